//! Removes from time to time the environments that no agent has found for long.

use super::failure_reporter::FailureReporter;
use crate::actions::{Service, inventory};
use std::{sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// How often.
const PERIOD: Duration = Duration::from_secs(300);

/// Removes until it is asked to stop, which may be between any two environments.
pub(crate) async fn run(service: Arc<Service>, stop: CancellationToken) {
    stop.run_until_cancelled(remove_for_ever(&service)).await;
}

async fn remove_for_ever(service: &Service) {
    let mut failures = FailureReporter::of("missing");
    loop {
        let removed = inventory::remove_missing(service, service.settings.agents.remove_missing_after).await;
        failures.after(&removed);
        match removed {
            Ok(removed) if removed > 0 => tracing::info!(removed, "removed environments that were missing"),
            _ => {}
        }
        tokio::time::sleep(PERIOD).await;
    }
}
