//! Tidies up from time to time.

use super::trouble::Trouble;
use crate::actions::{Service, sweep};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Sweeps until it is told to stop.
pub(crate) async fn run(service: Arc<Service>, stop: CancellationToken) {
    let settings = &service.settings.storage;
    let mut trouble = Trouble::of("sweeper");
    while stop
        .run_until_cancelled(tokio::time::sleep(settings.sweep))
        .await
        .is_some()
    {
        let swept = sweep::sweep(&service, settings.grace).await;
        trouble.after(&swept);
        match swept {
            Ok(swept) if swept != sweep::Swept::default() => tracing::info!(?swept, "tidied up"),
            _ => {}
        }
    }
}
