//! Tidies up from time to time.

use super::failure_reporter::FailureReporter;
use crate::actions::{Service, sweep};
use std::{sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// Sweeps until it is asked to stop. What an earlier process left behind unneeded goes at once, as far as it is older than
/// `grace`. A request to stop cuts a sweep short wherever it is: the next one goes on from there.
pub(crate) async fn run(service: Arc<Service>, grace: Duration, stop: CancellationToken) {
    stop.run_until_cancelled(sweep_for_ever(&service, grace)).await;
}

async fn sweep_for_ever(service: &Service, grace: Duration) {
    let settings = &service.settings.storage;
    let mut failures = FailureReporter::of("sweeper");
    let removed = sweep::remove_unreferenced(service, grace).await;
    failures.after(&removed);
    loop {
        let swept = sweep::sweep(service, settings.grace).await;
        failures.after(&swept);
        match swept {
            Ok(swept) if swept != sweep::Swept::default() => tracing::info!(?swept, "tidied up"),
            _ => {}
        }
        tokio::time::sleep(settings.sweep).await;
    }
}
