//! Tidies up from time to time.

use super::trouble::Trouble;
use crate::actions::{Service, sweep};
use std::{sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// How often.
const PERIOD: Duration = Duration::from_secs(5 * 60);

/// Sweeps until it is told to stop.
pub(crate) async fn run(service: Arc<Service>, stop: CancellationToken) {
    let mut trouble = Trouble::of("sweeper");
    while stop
        .run_until_cancelled(tokio::time::sleep(PERIOD))
        .await
        .is_some()
    {
        let swept = sweep::sweep(&service, sweep::GRACE).await;
        trouble.after(&swept);
        match swept {
            Ok(swept) if swept != sweep::Swept::default() => tracing::info!(?swept, "tidied up"),
            _ => {}
        }
    }
}
