//! Forgets from time to time what is older than it is to be kept.

use super::failure_reporter::FailureReporter;
use crate::{
    actions::{
        Service,
        retention::{Removed, Run},
    },
    error::Result,
};
use std::{sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// How often.
const PERIOD: Duration = Duration::from_secs(3600);
/// Rest between two batches, so that a first run over years of rows leaves the disk to others most of the time.
const REST: Duration = Duration::from_millis(50);

/// Forgets until it is asked to stop, which may be between any two batches.
pub(crate) async fn run(service: Arc<Service>, stop: CancellationToken) {
    let mut failures = FailureReporter::of("retention");
    while !stop.is_cancelled() {
        let removed = remove_until(&service, &stop).await;
        failures.after(&removed);
        match removed {
            Ok(removed) if removed != Removed::default() => {
                tracing::info!(?removed, "forgot what was old enough")
            }
            _ => {}
        }
        stop.run_until_cancelled(tokio::time::sleep(PERIOD)).await;
    }
}

async fn remove_until(service: &Service, stop: &CancellationToken) -> Result<Removed> {
    let mut run = Run::new(service);
    while run.remove_some(service).await? {
        let rested = stop.run_until_cancelled(tokio::time::sleep(REST)).await;
        if rested.is_none() {
            break;
        }
    }
    Ok(run.removed())
}
