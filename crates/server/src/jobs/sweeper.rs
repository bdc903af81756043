//! Tidies up from time to time.

use crate::actions::{Service, sweep};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Sweeps until it is told to stop.
pub(crate) async fn run(service: Arc<Service>, stop: CancellationToken) {
    let settings = &service.settings.storage;
    while stop
        .run_until_cancelled(tokio::time::sleep(settings.sweep))
        .await
        .is_some()
    {
        match sweep::sweep(&service, settings.grace).await {
            Ok(swept) if swept == sweep::Swept::default() => {}
            Ok(swept) => tracing::info!(?swept, "tidied up"),
            Err(error) => tracing::error!(%error, "tidying up failed; it is tried again"),
        }
    }
}
