//! The numbers of this process, as Prometheus reads them.
//!
//! They are kept for the whole process, where its parts can reach them without knowing of each other. Labels have few
//! values, none of which a caller can make up: routes, not addresses; no principals and no apps.

use axum::{Router, http::header, routing::get};
use domain::webhook::AttemptResult;
use metrics::{Counter, Histogram, KeyName, Unit};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use std::{
    collections::HashMap,
    sync::{Mutex, OnceLock, PoisonError},
    time::Duration,
};

const HTTP_REQUESTS: &str = "fame_http_requests_total";
const HTTP_ABORTED: &str = "fame_http_aborted_total";
const HTTP_SECONDS: &str = "fame_http_request_seconds";
pub(crate) const UPLOADS: &str = "fame_uploads_total";
/// How uploads come out: the values of `outcome`.
pub(crate) const STORED: &str = "stored";
pub(crate) const REFUSED: &str = "refused";
pub(crate) const FAILED: &str = "failed";
pub(crate) const UPLOAD_BYTES: &str = "fame_upload_bytes_total";
pub(crate) const STORAGE_ERRORS: &str = "fame_storage_errors_total";
pub(crate) const CLAIM_LAG: &str = "fame_claim_lag_seconds";
pub(crate) const LOST: &str = "fame_operations_lost_total";
pub(crate) const RUNNING: &str = "fame_operations_running";
pub(crate) const DUE: &str = "fame_environments_due";
pub(crate) const READY: &str = "fame_ready";
pub(crate) const DEGRADED: &str = "fame_degraded";
pub(crate) const WEBHOOK_DELIVERIES: &str = "fame_webhook_deliveries_total";
pub(crate) const WEBHOOKS_WAITING: &str = "fame_webhook_deliveries_waiting";
pub(crate) const WEBHOOKS_BEHIND: &str = "fame_webhook_oldest_waiting_seconds";
pub(crate) const OUTBOX_BEHIND: &str = "fame_outbox_oldest_seconds";

/// How a number comes about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// Every metric, and what it tells.
const METRICS: &[(&str, Kind, &str)] = &[
    (
        HTTP_REQUESTS,
        Kind::Counter,
        "Requests whose answer was sent or given up, by method, route and status.",
    ),
    (
        HTTP_ABORTED,
        Kind::Counter,
        "Requests whose caller did not get the whole answer, by method and route.",
    ),
    (
        HTTP_SECONDS,
        Kind::Histogram,
        "From the head of a request to the end of its answer, by method and route.",
    ),
    (
        "fame_database_wait_seconds",
        Kind::Histogram,
        "Waits for a connection to PostgreSQL or a place for a long list.",
    ),
    (
        "fame_commit_changes",
        Kind::Histogram,
        "Changes that shared one commit of SQLite.",
    ),
    (
        UPLOADS,
        Kind::Counter,
        "Uploads by outcome: stored, refused or failed.",
    ),
    (UPLOAD_BYTES, Kind::Counter, "Bytes of packages that were stored."),
    (
        STORAGE_ERRORS,
        Kind::Counter,
        "Failures of storage locations, by location.",
    ),
    (
        CLAIM_LAG,
        Kind::Histogram,
        "From an operation's runAfterDateUtc to its start.",
    ),
    (
        LOST,
        Kind::Counter,
        "Operations that ended because their agent fell silent.",
    ),
    (
        RUNNING,
        Kind::Gauge,
        "Operations that are running, on all servers; counted up to 10000.",
    ),
    (
        DUE,
        Kind::Gauge,
        "Environments in which work may start now; counted up to 10000.",
    ),
    (
        READY,
        Kind::Gauge,
        "1 while this server can work, as /health/ready says it; else 0.",
    ),
    (
        DEGRADED,
        Kind::Gauge,
        "1 while a part of this server does not work, as /health/ready says it; else 0.",
    ),
    (
        WEBHOOK_DELIVERIES,
        Kind::Counter,
        "Attempts to deliver to webhooks, by result.",
    ),
    (
        WEBHOOKS_WAITING,
        Kind::Gauge,
        "Deliveries to webhooks that wait, on all servers; counted up to 10000.",
    ),
    (
        WEBHOOKS_BEHIND,
        Kind::Gauge,
        "How long ago the oldest of these happened.",
    ),
    (
        OUTBOX_BEHIND,
        Kind::Gauge,
        "How long ago the oldest event happened that some consumer was not given yet.",
    ),
];

/// Upper ends of spans of time, in seconds.
const SECONDS: &[f64] = &[
    0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
];
/// The same for what waits for windows and agents.
const LAG_SECONDS: &[f64] = &[
    0.1, 1.0, 5.0, 15.0, 60.0, 300.0, 3_600.0, 21_600.0, 86_400.0, 604_800.0,
];
/// Upper ends of numbers of changes.
const CHANGES: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

struct Kept {
    handle: PrometheusHandle,
    routes: Mutex<HashMap<String, Route>>,
}

/// The numbers of a route, by method and status.
type Route = HashMap<(&'static str, Option<u16>), Requests>;

/// The numbers that a request adds to. They are looked up once: their labels cost more than to count does.
#[derive(Clone)]
struct Requests {
    all: Counter,
    aborted: Counter,
    seconds: Histogram,
}

static KEPT: OnceLock<Kept> = OnceLock::new();

/// What is kept from now on; the same for every service of this process.
pub(crate) fn keep() -> PrometheusHandle {
    let kept = KEPT.get_or_init(|| {
        let recorder = builder().build_recorder();
        let handle = recorder.handle();
        // Whoever has set another one wants the numbers there.
        drop(metrics::set_global_recorder(recorder));
        metrics::with_recorder(describe);
        let routes = Mutex::default();
        Kept { handle, routes }
    });
    kept.handle.clone()
}

/// A request whose answer was sent, or given up.
pub(crate) struct Answered<'r> {
    pub(crate) method: &'static str,
    pub(crate) route: &'r str,
    /// If an answer had begun.
    pub(crate) status: Option<u16>,
    pub(crate) elapsed: Duration,
    pub(crate) is_whole: bool,
}

impl Answered<'_> {
    /// Counts it, if anything is kept.
    pub(crate) fn count(&self) {
        let Some(kept) = KEPT.get() else { return };
        let requests = self.requests(&mut kept.routes.lock().unwrap_or_else(PoisonError::into_inner));
        requests.seconds.record(self.elapsed);
        requests.all.increment(1);
        if !self.is_whole {
            requests.aborted.increment(1);
        }
    }

    fn requests(&self, routes: &mut HashMap<String, Route>) -> Requests {
        let key = (self.method, self.status);
        if let Some(known) = routes.get(self.route).and_then(|route| route.get(&key)) {
            return known.clone();
        }
        let labels = [
            ("method", self.method.to_owned()),
            ("route", self.route.to_owned()),
        ];
        let status = self
            .status
            .map_or_else(|| "none".to_owned(), |status| status.to_string());
        let [method, route] = labels.clone();
        let requests = Requests {
            all: metrics::counter!(HTTP_REQUESTS, &[method, route, ("status", status)]),
            aborted: metrics::counter!(HTTP_ABORTED, &labels),
            seconds: metrics::histogram!(HTTP_SECONDS, &labels),
        };
        let route = routes.entry(self.route.to_owned()).or_default();
        route.entry(key).or_insert(requests).clone()
    }
}

fn builder() -> PrometheusBuilder {
    let buckets = [
        (Matcher::Suffix("_seconds".to_owned()), SECONDS),
        (Matcher::Full(CLAIM_LAG.to_owned()), LAG_SECONDS),
        (Matcher::Full("fame_commit_changes".to_owned()), CHANGES),
    ];
    let builder = PrometheusBuilder::new();
    let with_all = buckets.into_iter().try_fold(builder, |builder, (matcher, ends)| {
        builder.set_buckets_for_metric(matcher, ends)
    });
    // Only buckets without ends are refused.
    with_all.unwrap_or_default()
}

fn describe(recorder: &dyn metrics::Recorder) {
    for (name, kind, help) in METRICS.iter().copied() {
        let (key, unit) = (KeyName::from_const_str(name), None::<Unit>);
        match kind {
            Kind::Counter => recorder.describe_counter(key, unit, help.into()),
            Kind::Gauge => recorder.describe_gauge(key, unit, help.into()),
            Kind::Histogram => recorder.describe_histogram(key, unit, help.into()),
        }
    }
}

/// Begins to count, at nothing: a rule over the rise of a number would not see its first one otherwise.
pub(crate) fn begin<'l>(locations: impl IntoIterator<Item = &'l str>) {
    drop(keep());
    for outcome in [STORED, REFUSED, FAILED] {
        metrics::counter!(UPLOADS, "outcome" => outcome).increment(0);
    }
    for result in AttemptResult::ALL {
        metrics::counter!(WEBHOOK_DELIVERIES, "result" => result.as_str()).increment(0);
    }
    for name in [UPLOAD_BYTES, LOST] {
        metrics::counter!(name).increment(0);
    }
    for location in locations {
        metrics::counter!(STORAGE_ERRORS, "location" => location.to_owned()).increment(0);
    }
}

/// Where Prometheus reads them.
pub(crate) fn router() -> Router {
    let kept = keep();
    let text = "text/plain; version=0.0.4; charset=utf-8";
    Router::new().route(
        "/metrics",
        get(async move || ([(header::CONTENT_TYPE, text)], kept.render())),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn operators_are_told_of_every_metric_and_of_no_other() {
        let documented: BTreeSet<_> = include_str!("../../../../docs/OPERATING.md")
            .lines()
            .filter_map(|line| line.strip_prefix("| `fame_")?.split('`').next())
            .map(|name| format!("fame_{}", name.split('{').next().unwrap_or(name)))
            .collect();
        let kept: BTreeSet<_> = METRICS.iter().map(|(name, ..)| (*name).to_owned()).collect();
        assert_eq!(documented, kept);
    }
}
