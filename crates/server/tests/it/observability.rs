//! What operators can see of requests: the lines of the log, and the metrics.

use crate::harness::{Backend, Environment, Harness, on_both_databases, package};
use serde_json::Value;
use std::{
    io::{self, Write},
    sync::{Condvar, Mutex, OnceLock},
    time::Duration,
};
use tracing_subscriber::{
    Layer as _, filter::Targets, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

on_both_databases!(
    a_list_and_what_goes_on_after_a_handler_are_told_under_the_ids_of_their_request,
    requests_and_claims_are_counted_where_no_caller_comes,
);

/// What all services of this process log.
#[derive(Default)]
pub(crate) struct Log {
    lines: Mutex<Vec<Value>>,
    more: Condvar,
}

impl Log {
    /// Begins to listen, once for the process.
    pub(crate) fn listening() -> &'static Self {
        static LOG: OnceLock<Log> = OnceLock::new();
        static BEGUN: OnceLock<()> = OnceLock::new();
        let log = LOG.get_or_init(Log::default);
        BEGUN.get_or_init(|| {
            let ours =
                Targets::new().with_targets(["server", "fame"].map(|ours| (ours, tracing::Level::INFO)));
            let layer = tracing_subscriber::fmt::layer().json().flatten_event(true);
            let layer = layer.with_writer(move || Line(log)).with_filter(ours);
            tracing_subscriber::registry().with(layer).init();
        });
        log
    }

    /// The line of a request that `is_meant`, as soon as it is there.
    fn line(&self, correlation: &str, is_meant: impl Fn(&Value) -> bool) -> Value {
        self.any_line(|line| line["span"]["correlation"] == correlation && is_meant(line))
    }

    /// The first line that `is_meant`, as soon as it is there.
    pub(crate) fn any_line(&self, is_meant: impl Fn(&Value) -> bool) -> Value {
        let find = |lines: &[Value]| lines.iter().find(|line| is_meant(line)).cloned();
        let waiting = || {
            let lines = self.lines.lock().unwrap();
            let most = Duration::from_secs(60);
            let found = self
                .more
                .wait_timeout_while(lines, most, |lines| find(lines).is_none());
            find(&found.unwrap().0).unwrap()
        };
        tokio::task::block_in_place(waiting)
    }
}

/// A line is written in one piece.
struct Line(&'static Log);

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0
            .lines
            .lock()
            .unwrap()
            .push(serde_json::from_slice(bytes).unwrap());
        self.0.more.notify_all();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

async fn a_list_and_what_goes_on_after_a_handler_are_told_under_the_ids_of_their_request(backend: Backend) {
    let log = Log::listening();
    let service = Harness::start(backend).await;
    let owner = service.owner();
    let answer = owner
        .get("/v1.0/apps?$filter=publisher eq 'Hush'")
        .await
        .expect(200);
    let access = log.line(answer.header("ms-correlation-x"), |line| {
        line["target"] == "fame::access"
    });
    assert_eq!(
        (&access["status"], &access["aborted"]),
        (&200.into(), &Value::Null)
    );
    assert_eq!(access["bytes"], answer.body.len());
    assert_eq!(access["span"]["route"], "/v1.0/apps");
    let principal = access["span"]["principal"].as_str().unwrap();
    assert!(principal.starts_with("Application/"), "{principal}");
    assert!(!access.to_string().contains("Hush"), "{access}");

    let wrong = owner.get("/v1.0/apps?$filter=id eq 'Hush'").await.expect(400);
    let refused = log.line(wrong.header("ms-correlation-x"), |line| line["code"].is_string());
    assert!(
        wrong.text().contains("Hush") && !refused.to_string().contains("Hush"),
        "{refused}"
    );

    let environment = two_versions(&service).await;
    let scheduled = owner.schedules(&environment, "1.0.1.0").await.expect(200);
    // It comes from the outbox, after the commit.
    let event = log.line(scheduled.header("ms-correlation-x"), |line| {
        line["eventId"] == "LC0155"
    });
    assert_eq!(event["span"]["principal"], principal);

    let again = owner.uploads(&package("1.0.1.0"), "Available").await;
    let refused = log.line(again.header("ms-correlation-x"), |line| line["code"].is_string());
    let versions = "/v1.0/apps/{appId}/countries/{countryCode}/versions";
    assert_eq!(refused["span"]["route"], versions);
}

/// Two versions, and a customer who has the first.
async fn two_versions(service: &Harness) -> Environment {
    let owner = service.owner();
    owner.has_uploaded("1.0.0.0").await;
    owner.has_uploaded("1.0.1.0").await;
    let environment = Environment::my_customer("1.0.0.0");
    service.operator().reports(&environment).await.expect(201);
    environment
}

async fn requests_and_claims_are_counted_where_no_caller_comes(backend: Backend) {
    let plan = Harness::with(backend).setting("metrics.listen", "127.0.0.1:0");
    let service = plan.start().await;
    let address = service.serves_metrics().await;
    let read = async |path: &str| reqwest::get(format!("http://{address}{path}")).await.unwrap();
    // A rule over the rise of a number does not see its first one, unless the number is there before.
    let fresh = read("/metrics").await.text().await.unwrap();
    for counted_from_nothing in [
        "fame_operations_lost_total ",
        "fame_upload_bytes_total ",
        "fame_uploads_total{outcome=\"failed\"} ",
        "fame_storage_errors_total{location=",
    ] {
        assert!(
            fresh.contains(counted_from_nothing),
            "{counted_from_nothing}: {fresh}"
        );
    }
    let environment = two_versions(&service).await;
    service
        .owner()
        .schedules_at_once(&environment, "1.0.1.0")
        .await
        .expect(200);
    service.finishes_work().await;
    let text = read("/metrics").await.text().await.unwrap();
    for part in [
        "# TYPE fame_http_requests_total counter",
        "fame_http_requests_total{method=\"POST\",route=\"/v1.0/apps/{appId}/countries/{countryCode}/versions\",status=\"200\"}",
        "fame_http_request_seconds_bucket{method=\"POST\",",
        "fame_uploads_total{outcome=\"stored\"}",
        "fame_claim_lag_seconds_count",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    for elsewhere in ["/", "/v1.0/apps", "/health/ready", "/openapi.json"] {
        assert_eq!(read(elsewhere).await.status(), 404, "{elsewhere}");
    }
    service.nobody().get("/metrics").await.expect(404);
}
