//! Counts from time to time what the metrics tell of the database: at a bounded cost, however often they are read.

use super::failure_reporter::FailureReporter;
use crate::{
    actions::{Service, execution, readiness::Readiness},
    error::Result,
    telemetry::metrics::{
        DEGRADED, DUE, OUTBOX_BEHIND, READY, RUNNING, WEBHOOKS_BEHIND, WEBHOOKS_WAITING, keep,
    },
};
use domain::instant::Instant;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Counts until it is told to stop.
pub(crate) async fn run(service: Arc<Service>, stop: CancellationToken) {
    let mut failures = FailureReporter::of("metrics");
    let kept = keep();
    while !stop.is_cancelled() {
        failures.after(&count(&service).await);
        // What histograms have been given is only kept in order when somebody reads it, or here.
        kept.run_upkeep();
        let rest = tokio::time::sleep(service.settings.metrics.refresh);
        stop.run_until_cancelled(rest).await;
    }
}

pub(crate) async fn count(service: &Service) -> Result<()> {
    let readiness = Readiness::of(service).await;
    for (gauge, is_so) in [(READY, readiness.is_ready()), (DEGRADED, readiness.is_degraded())] {
        metrics::gauge!(gauge).set(f64::from(u8::from(is_so)));
    }
    let (due, running) = execution::under_way(service).await?;
    metrics::gauge!(DUE).set(due as f64);
    metrics::gauge!(RUNNING).set(running as f64);
    let now = service.clock.now();
    let behind = |since: Option<Instant>| since.map_or(0.0, |since| now.since(since).as_secs_f64());
    let (waiting, since) = store::webhooks::count_waiting(&service.db, 10_000).await?;
    metrics::gauge!(WEBHOOKS_WAITING).set(waiting as f64);
    metrics::gauge!(WEBHOOKS_BEHIND).set(behind(since));
    metrics::gauge!(OUTBOX_BEHIND).set(behind(store::events::oldest(&service.db).await?));
    Ok(())
}
