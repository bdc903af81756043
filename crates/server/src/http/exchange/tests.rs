//! What the log says of exchanges, through the layer that is around every request.

use super::*;
use crate::{config::SecurityLog, error::Error, http::context, telemetry::tests::Captured};
use axum::{Router, middleware, routing::get};
use futures::{StreamExt, stream};
use serde_json::Value;
use std::{convert::Infallible, io};
use store::StoreError;
use tower::{ServiceExt, util::MapRequestLayer};

fn service() -> Router {
    let chunks = || stream::iter(["one", "two", "three"]).map(Ok::<_, Infallible>);
    let broken = || StoreError::unavailable(io::Error::other("the cable is out"));
    let routed = Router::new()
        .route("/things/{id}", get(async || "abc"))
        .route("/unknown", get(async || StatusCode::UNAUTHORIZED))
        .route("/forbidden", get(async || StatusCode::FORBIDDEN))
        .route("/missing", get(async || StatusCode::NOT_FOUND))
        .route("/versions/{version}/getPackageContents", get(async || "abc"))
        .route("/agent/v1/operations/{id}/package", get(async || "abc"))
        .route("/long", get(async move || Body::from_stream(chunks())))
        .route("/broken", get(async move || Error::from(broken())))
        .route(
            "/panic",
            get(async || -> StatusCode { panic!("as it was asked to") }),
        )
        .layer(MapRequestLayer::new(note_route));
    Router::new()
        .fallback_service(routed)
        .layer(middleware::from_fn(context::around))
}

async fn asked(address: &str) -> Response {
    let request = Request::get(address)
        .header("host", "fame")
        .body(Body::empty())
        .unwrap();
    service().oneshot(request).await.unwrap()
}

/// What is logged about a request whose answer is taken whole.
async fn logged(address: &str) -> (Response<Bytes>, Vec<Value>) {
    logged_for(SecurityLog::Off, address).await
}

async fn logged_for(security: SecurityLog, address: &str) -> (Response<Bytes>, Vec<Value>) {
    let (captured, _guard) = Captured::listening_for(security);
    let (parts, body) = asked(address).await.into_parts();
    let body = axum::body::to_bytes(body, 1024).await.unwrap();
    (Response::from_parts(parts, body), captured.lines())
}

fn is_access(line: &Value) -> bool {
    line["target"] == ACCESS
}

#[tokio::test]
async fn one_line_tells_what_was_sent_and_nothing_that_a_caller_wrote() {
    let (answer, lines) = logged(
        "/things/secret?$filter=name eq 'Hush'"
            .replace(' ', "%20")
            .as_str(),
    )
    .await;
    let [line] = lines.as_slice() else {
        panic!("{lines:?}")
    };
    assert!(is_access(line), "{line}");
    assert_eq!((&line["status"], &line["bytes"]), (&200.into(), &3.into()));
    assert!(
        line["milliseconds"].is_number() && line["aborted"].is_null(),
        "{line}"
    );
    let span = &line["span"];
    assert_eq!(
        (&span["method"], &span["route"]),
        (&"GET".into(), &"/things/{id}".into())
    );
    assert_eq!(
        span["correlation"],
        answer.headers()["ms-correlation-x"].to_str().unwrap()
    );
    let text = line.to_string();
    assert!(!text.contains("secret") && !text.contains("Hush"), "{text}");
}

#[tokio::test]
async fn an_answer_that_is_given_up_is_told_when_it_ends_and_as_far_as_it_came() {
    let (captured, _guard) = Captured::listening();
    let mut body = asked("/long").await.into_body().into_data_stream();
    assert_eq!(body.next().await.unwrap().unwrap(), "one");
    assert!(captured.lines().is_empty(), "it is still being sent");
    drop(body);
    let lines = captured.lines();
    let [line] = lines.as_slice() else {
        panic!("{lines:?}")
    };
    assert_eq!(
        (&line["bytes"], &line["aborted"]),
        (&3.into(), &true.into()),
        "{line}"
    );
    let (_, lines) = logged("/long").await;
    assert_eq!(
        (&lines[0]["bytes"], &lines[0]["aborted"]),
        (&11.into(), &Value::Null)
    );
}

#[tokio::test]
async fn a_caller_who_hangs_up_before_the_answer_leaves_a_line_without_a_status() {
    let (captured, _guard) = Captured::listening();
    let info = Request::get("/things/1").body(()).unwrap();
    let exchange = Exchange {
        span: tracing::error_span!("request"),
        learnt: Mutex::default(),
    };
    drop(Ending::of(Arc::new(exchange), info.method().clone()));
    let lines = captured.lines();
    assert_eq!(
        (&lines[0]["status"], &lines[0]["aborted"]),
        (&Value::Null, &true.into())
    );
}

#[tokio::test]
async fn a_failure_is_told_once_with_all_that_led_to_it() {
    let (answer, lines) = logged("/broken").await;
    let failure = lines.iter().find(|line| !is_access(line)).unwrap();
    assert_eq!(
        (&failure["method"], &failure["status"], &failure["path"]),
        (&"GET".into(), &503.into(), &"/broken".into())
    );
    assert_eq!(answer.status(), 503);
    let told: Vec<_> = lines.iter().filter(|line| !is_access(line)).collect();
    let [line] = told.as_slice() else {
        panic!("{lines:?}")
    };
    assert_eq!(
        line["message"],
        "store: the database is unavailable: the cable is out"
    );
    assert_eq!(
        line["span"]["correlation"],
        answer.headers()["ms-correlation-x"].to_str().unwrap()
    );
    assert!(!String::from_utf8_lossy(answer.body()).contains("cable"));
}

#[tokio::test]
async fn a_panic_is_a_500_in_the_access_log_too() {
    let (answer, lines) = logged("/panic").await;
    assert_eq!(answer.status(), 500);
    let access: Vec<_> = lines.iter().filter(|line| is_access(line)).collect();
    let [line] = access.as_slice() else {
        panic!("{lines:?}")
    };
    assert_eq!(
        (&line["status"], &line["span"]["route"]),
        (&500.into(), &"/panic".into())
    );
}

#[tokio::test]
async fn a_security_team_hears_of_refusals_and_of_packages_if_it_wants_to() {
    const PACKAGES: [&str; 2] = [
        "/versions/1.0.0.0/getPackageContents",
        "/agent/v1/operations/1/package",
    ];
    let events = async |security, address: &str| {
        let (answer, lines) = logged_for(security, address).await;
        let of_security = |line: &&Value| line["target"] == SECURITY;
        let lines: Vec<_> = lines.iter().filter(of_security).cloned().collect();
        for line in &lines {
            let id = answer.headers()["ms-correlation-x"].to_str().unwrap();
            assert_eq!(line["span"]["correlation"], id);
        }
        let told = |line: &Value| format!("{} {}", line["level"], line["message"]);
        lines.iter().map(told).collect::<Vec<_>>()
    };
    for wanted in [SecurityLog::Refusals, SecurityLog::All] {
        assert_eq!(events(wanted, "/unknown").await, [r#""WARN" "sign-in failed""#]);
        assert_eq!(events(wanted, "/forbidden").await, [r#""WARN" "refused""#]);
        for address in ["/missing", "/things/1", "/nothing", "/long"] {
            assert!(events(wanted, address).await.is_empty(), "{address}");
        }
    }
    for address in PACKAGES {
        assert_eq!(
            events(SecurityLog::All, address).await,
            [r#""INFO" "package handed out""#]
        );
        assert!(events(SecurityLog::Refusals, address).await.is_empty());
    }
    for address in ["/unknown", "/forbidden", PACKAGES[0]] {
        assert!(events(SecurityLog::Off, address).await.is_empty(), "{address}");
    }
}
