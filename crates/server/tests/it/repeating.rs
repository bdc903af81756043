//! `Idempotency-Key` wherever something is made: the same request is carried out once.

use crate::harness::{
    APP, Answer, Backend, Caller, Environment, Harness, Person, agent_registration, on_both_databases,
    package, principal_body, registration, upload_body,
};
use http::Method;
use serde_json::{Value, json};
use uuid::Uuid;

on_both_databases!(
    an_upload_that_comes_again_is_answered_again,
    a_change_that_comes_again_is_made_once,
    another_request_under_the_same_key_is_refused,
    what_was_taken_away_does_not_come_back,
);

async fn uploads(caller: &Caller, version: &str, key: &str) -> Answer {
    let body = upload_body(&package(version), "Available");
    let request = caller.post(caller.us("versions"), body);
    request.header("idempotency-key", key).await
}

async fn an_upload_that_comes_again_is_answered_again(backend: Backend) {
    let service = Harness::start(backend).await;
    let (owner, contributor) = (service.owner(), service.contributor());
    let first = uploads(&contributor, "1.0.0.0", "a").await.expect(200);
    let again = uploads(&contributor, "1.0.0.0", "a").await.expect(200);
    assert_eq!(again.json(), first.json());
    // How the body is laid out does not matter, only what is in the package.
    let body = upload_body(&package("1.0.0.0"), "Available").to_string();
    let laid_out = contributor
        .asks(Method::POST, contributor.us("versions/").trim_end_matches('/'))
        .bytes(format!(" {body}"))
        .header("idempotency-key", "a");
    assert_eq!(laid_out.await.expect(200).json(), first.json());
    let deprecated = upload_body(&package("1.0.0.0"), "Deprecated");
    let request = contributor.post(contributor.us("versions"), deprecated);
    request
        .header("idempotency-key", "a")
        .await
        .refused(422, "IdempotencyKeyReused");
    uploads(&contributor, "2.0.0.0", "a")
        .await
        .refused(422, "IdempotencyKeyReused");
    uploads(&contributor, "1.0.0.0", "b")
        .await
        .refused(409, "ResourceExists");
    uploads(&owner, "1.0.0.0", "a")
        .await
        .refused(409, "ResourceExists");
    assert_eq!(owner.get(owner.us("versions/$count")).await.text(), "1");
    owner.removes(&Person::CONTRIBUTOR).await.expect(204);
    uploads(&contributor, "1.0.0.0", "a").await.expect(404);
}

/// Who changes what: a request that makes something new or changes what is there, and another body for the same address.
fn changes(service: &Harness) -> Vec<(Caller, Method, String, Value, Value)> {
    let (owner, operator) = (service.owner(), service.operator());
    let environment = Environment::my_customer("16.0.0.5");
    let principal = |id: u128| Uuid::from_u128(id);
    let role = |role: &str| principal_body(&Person::STRANGER, &[role]);
    let mut other_app = registration();
    other_app["publisher"] = json!("Fabrikam");
    let mut other_agent = agent_registration();
    other_agent["servesUnreported"] = json!(true);
    vec![
        (
            owner.clone(),
            Method::PATCH,
            format!("{}/countries/AT", owner.app_path()),
            json!({}),
            json!({ "countryCode": "AT" }),
        ),
        (
            owner.clone(),
            Method::PATCH,
            format!("{}/principals/{}", owner.app_path(), principal(1)),
            role("Reader"),
            role("Owner"),
        ),
        (
            owner.clone(),
            Method::PATCH,
            owner.us("versions/7.0.0.0"),
            json!({ "availability": "Deprecated" }),
            json!({ "availability": "Available" }),
        ),
        (
            operator.clone(),
            Method::PUT,
            format!("/operator/v1/apps/{APP}/principals/{}", principal(2)),
            role("Reader"),
            role("Owner"),
        ),
        (
            operator.clone(),
            Method::PUT,
            format!("/operator/v1/apps/{}", Uuid::from_u128(3)),
            registration(),
            other_app,
        ),
        (
            operator.clone(),
            Method::PUT,
            environment.operator_path(),
            environment.report(),
            environment.clone().without(APP).report(),
        ),
        (
            operator.clone(),
            Method::PUT,
            format!("/operator/v1/freezes/principal:{}", principal(4)),
            json!({ "reason": "Their secret was found." }),
            json!({ "reason": "We look into it." }),
        ),
        (
            operator.clone(),
            Method::PATCH,
            format!("/operator/v1/apps/{APP}"),
            json!({ "publisher": "Tailspin" }),
            json!({ "publisher": "Fabrikam" }),
        ),
        (
            operator,
            Method::PUT,
            "/operator/v1/agents/eu".to_owned(),
            agent_registration(),
            other_agent,
        ),
    ]
}

async fn audited(service: &Harness) -> usize {
    service
        .operator()
        .get("/operator/v1/audit")
        .await
        .expect(200)
        .rows()
        .len()
}

async fn a_change_that_comes_again_is_made_once(backend: Backend) {
    let service = Harness::start(backend).await;
    service.owner().has_uploaded("7.0.0.0").await;
    for (caller, verb, path, body, other) in changes(&service) {
        let asks = |key: &str, body: &Value| {
            caller
                .asks(verb.clone(), &path)
                .json(body)
                .header("idempotency-key", key)
        };
        let there = caller.get(&path).await;
        let (condition, tag) = match there.status {
            200 => ("if-match", format!("\"{}\"", there.etag())),
            _ => ("if-none-match", "*".to_owned()),
        };
        let made = asks("first", &body).header(condition, &tag).await;
        assert!(made.status < 300, "{path}: {made:?}");
        let before = audited(&service).await;
        // It would be refused by its condition, were it carried out again.
        let again = asks("first", &body).header(condition, &tag).await.expect(200);
        let (mut made, mut told) = (made.json(), again.json());
        // Of an agent's code the first answer tells alone.
        for told in [&mut made, &mut told] {
            let told = told.as_object_mut().unwrap();
            told.retain(|name, _| !name.starts_with("enrolmentCode") && name != "overlaps");
        }
        assert_eq!(told, made, "{path}");
        assert_eq!(audited(&service).await, before, "{path}");
        // What others made of it since stays.
        let changed = asks("second", &other).await.expect(200).json();
        let late = asks("first", &body).await.expect(200).json();
        assert_eq!(late["_etag"], changed["_etag"], "{path}");
    }
}

async fn another_request_under_the_same_key_is_refused(backend: Backend) {
    let service = Harness::start(backend).await;
    service.owner().has_uploaded("7.0.0.0").await;
    for (caller, verb, path, body, other) in changes(&service) {
        let asks = |body: &Value| {
            caller
                .asks(verb.clone(), &path)
                .json(body)
                .header("idempotency-key", "one")
        };
        let made = asks(&body).await;
        assert!(made.status < 300, "{path}: {made:?}");
        let before = audited(&service).await;
        let refused = asks(&other).await.refused(422, "IdempotencyKeyReused");
        assert_eq!(refused.target(), "Idempotency-Key", "{path}");
        assert_eq!(audited(&service).await, before, "{path}");
        for wrong in ["", " ", &"k".repeat(256)] {
            let wrong = caller
                .asks(verb.clone(), &path)
                .json(&body)
                .header("idempotency-key", wrong);
            assert_eq!(
                wrong.await.refused(400, "InvalidInput").target(),
                "Idempotency-Key",
                "{path}"
            );
        }
    }
}

async fn what_was_taken_away_does_not_come_back(backend: Backend) {
    let service = Harness::start(backend).await;
    let owner = service.owner();
    let grants = || {
        owner
            .grants(&Person::STRANGER, &["Reader"])
            .header("idempotency-key", "one")
    };
    grants().await.expect(200);
    owner.removes(&Person::STRANGER).await.expect(204);
    grants().await.refused(404, "ResourceDoesNotExist");
    service.stranger().get(owner.app_path()).await.expect(404);
}
