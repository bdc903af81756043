//! What stands between client and service, and answers in its place.

use crate::service::{APP, Asked, Service, TAG, answer, gateway, json, with};
use axum::{body::Body, http::Response};
use client::{Error, Upload};
use domain::{ids::PrincipalId, principal::Role};
use serde_json::{Value, json as value};
use std::sync::atomic::{AtomicUsize, Ordering};
use wire::principals::PrincipalPatch;

/// What gateways say: pages, and JSON that is not the service's.
fn said(number: usize) -> Response<Body> {
    let answers = [
        gateway(503, "<h1>Service Unavailable</h1>"),
        gateway(504, ""),
        gateway(404, "<h1>Not Found</h1>"),
        gateway(403, "<h1>Forbidden</h1>"),
        gateway(200, "<h1>Sign in</h1>"),
        with(
            gateway(404, r#"{"statusCode": 404, "message": "Resource not found"}"#),
            "content-type",
            "application/json",
        ),
        with(gateway(200, "<h1>Maintenance</h1>"), "ms-correlation-x", TAG),
        with(gateway(404, "<h1>Not Found</h1>"), "ms-correlation-x", TAG),
    ];
    let answer = answers.into_iter().nth(number).unwrap();
    let answer = match number {
        6 | 7 => with(answer, "content-type", "text/html"),
        _ => answer,
    };
    with(answer, "retry-after", "0")
}

const KINDS: usize = 8;

#[tokio::test]
async fn what_a_gateway_says_is_not_the_services_word() {
    for number in 0..KINDS {
        let service = Service::start(move |_, _| said(number)).await;
        let error = service.client().get_app(APP).await.unwrap_err();
        assert!(
            matches!(&error, Error::Gateway(_)) && error.is_unavailable() && error.is_open(),
            "{number}: {error}"
        );
        assert_eq!(service.journal().len(), 3, "{number}: it is asked again");
    }
}

#[tokio::test]
async fn what_the_service_says_behind_it_counts() {
    for number in 0..KINDS {
        let service = Service::start(move |_, before| match before {
            0 => said(number),
            _ => json(&value!({"countryCode": "US", "_etag": TAG})),
        })
        .await;
        assert!(service.client().get_country(APP, "US").await.is_ok(), "{number}");
    }
}

fn principal() -> PrincipalId {
    TAG.parse().unwrap()
}

fn readers() -> PrincipalPatch {
    PrincipalPatch {
        roles: Some(vec![Role::Reader.to_string()]),
        ..PrincipalPatch::default()
    }
}

fn row(role: Role) -> Value {
    value!({"id": TAG, "type": "Application", "roles": [role.to_string()], "aadTenantId": null, "_etag": TAG})
}

/// A service whose first answer to a change is replaced on its way, and whose second is `second`.
async fn with_lost_answer(
    second: impl Fn() -> Response<Body> + Send + Sync + 'static,
    now: impl Fn() -> Response<Body> + Send + Sync + 'static,
) -> Service {
    let changes = AtomicUsize::new(0);
    Service::start(move |asked: &Asked, _| {
        if asked.method == "GET" {
            return now();
        }
        match changes.fetch_add(1, Ordering::Relaxed) {
            0 => said(1),
            _ => second(),
        }
    })
    .await
}

fn refusal(status: u16, code: &str) -> Response<Body> {
    answer(
        status,
        value!({"error": {"code": code, "message": "No."}}).to_string(),
    )
}

#[tokio::test]
async fn a_change_that_meets_itself_is_done() {
    let precondition = || refusal(412, "PreconditionFailed");
    let done = with_lost_answer(precondition, || json(&row(Role::Reader))).await;
    let change = done.client().patch_principal(APP, principal(), &readers());
    let shown = change.if_match("tag").json().await.unwrap();
    assert_eq!(shown, row(Role::Reader));

    let by_another = with_lost_answer(precondition, || json(&row(Role::Owner))).await;
    let change = by_another.client().patch_principal(APP, principal(), &readers());
    let error = change.if_match("tag").await.unwrap_err();
    assert!(
        matches!(&error, Error::Refused(refusal) if refusal.status == 412),
        "{error}"
    );

    let alone = Service::start(move |asked, _| match asked.method.as_str() {
        "GET" => json(&row(Role::Reader)),
        _ => precondition(),
    })
    .await;
    let change = alone.client().patch_principal(APP, principal(), &readers());
    assert!(change.if_match("tag").await.is_err(), "nothing was left open");
}

#[tokio::test]
async fn what_is_gone_after_a_removal_is_removed() {
    let gone = || refusal(404, "ResourceDoesNotExist");
    let service = with_lost_answer(gone, gone).await;
    assert!(service.client().delete_principal(APP, principal()).await.is_ok());
    let never = Service::start(move |_, _| gone()).await;
    assert!(never.client().delete_principal(APP, principal()).await.is_err());
    // All tries are lost, and the thing is not there.
    let lost = Service::start(move |asked, _| match asked.method.as_str() {
        "GET" => gone(),
        _ => said(0),
    })
    .await;
    assert!(lost.client().delete_principal(APP, principal()).await.is_ok());
}

#[tokio::test]
async fn what_cannot_be_looked_at_says_that_it_was_left_open() {
    let exists = || refusal(409, "ResourceExists");
    let service = with_lost_answer(exists, exists).await;
    let upload = service
        .client()
        .upload_version(APP, "US", Upload::bytes(&b"abc"[..]));
    let error = upload.await.unwrap_err();
    assert!(error.is_open() && !error.is_unavailable(), "{error}");
    let at_once = Service::start(move |_, _| exists()).await;
    let upload = at_once
        .client()
        .upload_version(APP, "US", Upload::bytes(&b"abc"[..]));
    assert!(!upload.await.unwrap_err().is_open());
}
