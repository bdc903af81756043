//! Tidies up from time to time.

use crate::actions::{Service, sweep};
use std::{sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// How often.
const PERIOD: Duration = Duration::from_secs(5 * 60);

/// Sweeps until it is told to stop.
pub(crate) async fn run(service: Arc<Service>, stop: CancellationToken) {
    while stop
        .run_until_cancelled(tokio::time::sleep(PERIOD))
        .await
        .is_some()
    {
        match sweep::sweep(&service, sweep::GRACE).await {
            Ok(swept) if swept == sweep::Swept::default() => {}
            Ok(swept) => tracing::info!(?swept, "tidied up"),
            Err(error) => tracing::error!(%error, "tidying up failed; it is tried again"),
        }
    }
}
