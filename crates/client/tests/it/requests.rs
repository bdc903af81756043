//! Requests: what is sent, and what cannot be.

use crate::service::{APP, Service, TAG, answer, json};
use client::{AgentClient, Error, Upload};
use domain::version::{AppVersion, Availability};
use serde_json::json;
use std::sync::{Arc, Mutex};
use uuid::Uuid;
use wire::{agent::ClaimRequest, versions::VersionPatchBody};

#[tokio::test]
async fn conditions_keys_and_the_token_are_headers() {
    let service = Service::start(|_, _| answer(204, "")).await;
    let client = service.client();
    let removal = client.delete_principal(APP, TAG.parse().unwrap());
    removal.if_match(TAG).await.unwrap();
    let country = client.patch_country(APP, "US").if_match(None);
    country.idempotency_key("a-key").read_as::<()>().await.unwrap();
    let asked = service.journal();
    assert_eq!(asked[0].header("if-match"), TAG);
    assert_eq!(asked[0].header("authorization"), "Bearer the-token");
    assert_eq!(
        (asked[1].header("if-match"), asked[1].header("idempotency-key")),
        ("", "a-key")
    );
    assert_eq!(asked[1].json(), json!({"countryCode": "US"}));
}

#[tokio::test]
async fn an_agent_says_with_each_call_how_it_is() {
    let service = Service::start(|_, _| answer(200, r#"{"operations":[]}"#)).await;
    let agent = AgentClient::new(service.client(), Uuid::from_u128(1));
    for agent in [agent.clone(), agent.clone().ready(true), agent.ready(false)] {
        agent.claim_operations(&ClaimRequest::default()).await.unwrap();
    }
    let said: Vec<_> = service
        .journal()
        .iter()
        .map(|asked| asked.header("fame-agent-ready").to_owned())
        .collect();
    assert_eq!(said, ["", "true", "false"]);
}

#[tokio::test]
async fn what_no_header_can_carry_is_not_left_out() {
    let service = Service::start(|_, _| answer(204, "")).await;
    let request = service.client().delete_principal(APP, TAG.parse().unwrap());
    let error = request.if_match("a\nb").await.unwrap_err();
    assert!(
        matches!(error, Error::InvalidHeader { name: "if-match", .. }),
        "{error}"
    );
    assert!(service.journal().is_empty());
}

#[tokio::test]
async fn a_request_can_be_looked_at_before_it_is_sent() {
    let service = Service::start(|_, _| answer(204, "")).await;
    let upload = Upload::bytes(vec![0; 10]).availability(Availability::Preview);
    let request = service.client().upload_version(APP, "US", upload);
    assert_eq!(
        (request.method().as_str(), request.url().path()),
        ("POST", format!("/v1.0/apps/{APP}/countries/US/versions").as_str())
    );
    assert_eq!(
        request.body().unwrap(),
        json!({"initialAvailability": "Preview", "packageContents": "(10 bytes in base64)"})
    );
    drop(request);
    assert!(service.journal().is_empty());
}

#[tokio::test]
async fn a_body_may_be_of_the_callers_own_making() {
    let service = Service::start(|_, _| json(&json!({}))).await;
    let change = service
        .client()
        .patch_version(APP, "US", AppVersion([1, 0, 0, 0]), &VersionPatchBody::default())
        .with_body(&json!({"newer": true}));
    change.json().await.unwrap();
    assert_eq!(service.journal()[0].json(), json!({"newer": true}));
}

#[tokio::test]
async fn an_upload_says_how_far_it_is_and_begins_anew_with_each_try() {
    let service = Service::start(|_, before| match before {
        0 => crate::service::with(answer(503, ""), "retry-after", "0"),
        _ => json(&json!(null)),
    })
    .await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), b"abc").unwrap();
    let heard: Arc<Mutex<Vec<u64>>> = Arc::default();
    let told = heard.clone();
    let upload = Upload::file(file.path(), 3).on_progress(move |bytes| told.lock().unwrap().push(bytes));
    let sent = service.client().upload_version(APP, "US", upload);
    sent.json().await.unwrap();
    assert_eq!(*heard.lock().unwrap(), [0, 3, 0, 3]);
    for asked in service.journal() {
        assert_eq!(asked.json(), json!({"packageContents": "YWJj"}));
        assert_eq!(asked.header("content-length"), asked.body.len().to_string());
    }
    let gone = Upload::file("/nowhere/at/all.app", 3);
    let error = service
        .client()
        .upload_version(APP, "US", gone)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::File { .. }), "{error}");
}
