//! Keys: fetched once, renewed in time, never because a stranger asks for it, and only from where they belong.

use entra_local::{TokenRequest, TokenVersion};
use futures::future::join_all;
use serde_json::{Value, json};
use uuid::Uuid;

use super::fixture::{
    ANY, BASE_URL, Fixture, Instead, OTHER_TENANT, TENANT, application, call, call_as_customer, present,
    refusal, refused, v1,
};
use crate::AuthFailure::{Signature, Unavailable};

fn document_path() -> String {
    format!("/{TENANT}/v2.0/.well-known/openid-configuration")
}

fn keys_path() -> String {
    format!("/{TENANT}/discovery/v2.0/keys")
}

fn with_kid(kid: &str) -> TokenRequest {
    TokenRequest {
        kid: Some(kid.to_owned()),
        ..application()
    }
}

#[tokio::test]
async fn many_first_callers_cause_one_fetch() {
    let fixture = Fixture::open().await;
    let authenticator = fixture.authenticator();
    // Different tokens, so that the memory of verified tokens cannot help.
    let tokens: Vec<String> = (0..40).map(|_| fixture.mint(&application())).collect();
    let calls = tokens.iter().map(|token| present(&authenticator, token));
    assert!(join_all(calls).await.iter().all(Result::is_ok));
    assert_eq!(fixture.key_fetches(), 1);
}

#[tokio::test]
async fn unknown_keys_of_many_callers_cause_one_fetch() {
    let fixture = Fixture::open().await;
    let authenticator = fixture.authenticator();
    assert!(call(&fixture, &authenticator, &application()).await.is_ok());

    let tokens: Vec<String> = (0..40)
        .map(|n| fixture.mint(&with_kid(&format!("unknown-{n}"))))
        .collect();
    let calls = tokens.iter().map(|token| present(&authenticator, token));
    for outcome in join_all(calls).await {
        assert_eq!(refused(outcome), (401, Signature));
    }
    assert_eq!(fixture.key_fetches(), 2);
}

#[tokio::test]
async fn forged_key_ids_neither_make_us_fetch_at_will_nor_keep_a_new_key_from_us() {
    let fixture = Fixture::open().await;
    let authenticator = fixture.authenticator();
    assert!(call(&fixture, &authenticator, &application()).await.is_ok());
    for n in 0..5 {
        let forged = with_kid(&format!("forged-{n}"));
        assert_eq!(refusal(&fixture, &authenticator, &forged).await, (401, Signature));
    }
    assert_eq!(fixture.key_fetches(), 1 + 5);

    // From now on there is a pause; whoever comes during it is answered by one fetch behind it.
    let began = std::time::Instant::now();
    fixture.issuer.rotate_keys().unwrap();
    let new = fixture.mint(&application());
    let forged: Vec<String> = (5..45)
        .map(|n| fixture.mint(&with_kid(&format!("forged-{n}"))))
        .collect();
    let calls = forged
        .iter()
        .chain([&new])
        .map(|token| present(&authenticator, token));
    let mut outcomes = join_all(calls).await;
    assert!(outcomes.pop().unwrap().is_ok(), "the new key was not found");
    for outcome in outcomes {
        assert_eq!(refused(outcome), (401, Signature));
    }
    assert_eq!(fixture.key_fetches(), 1 + 5 + 1);
    assert!(began.elapsed() >= std::time::Duration::from_secs(5));
}

#[tokio::test]
async fn callers_who_wait_for_unknown_keys_are_not_too_many() {
    let fixture = Fixture::open().await;
    let authenticator = fixture.authenticator();
    assert!(call(&fixture, &authenticator, &application()).await.is_ok());
    let tokens: Vec<String> = (0..300)
        .map(|n| fixture.mint(&with_kid(&format!("forged-{n}"))))
        .collect();
    let calls = tokens.iter().map(|token| present(&authenticator, token));
    for outcome in join_all(calls).await {
        assert_eq!(refused(outcome), (401, Signature));
    }
    assert!(fixture.key_fetches() <= 3, "{}", fixture.key_fetches());
}

#[tokio::test]
async fn a_key_that_was_searched_in_vain_is_not_searched_again_at_once() {
    let fixture = Fixture::open().await;
    let authenticator = fixture.authenticator();
    assert!(call(&fixture, &authenticator, &application()).await.is_ok());
    for (seconds, fetches) in [(0, 2), (5, 2), (4, 2), (1, 3)] {
        fixture.advance(seconds);
        assert_eq!(
            refusal(&fixture, &authenticator, &with_kid("unknown")).await,
            (401, Signature)
        );
        assert_eq!(fixture.key_fetches(), fetches, "after {seconds} more seconds");
    }
}

#[tokio::test]
async fn a_search_that_failed_proves_nothing_about_the_key() {
    let fixture = Fixture::open().await;
    let authenticator = fixture.authenticator();
    assert!(call(&fixture, &authenticator, &application()).await.is_ok());
    fixture.issuer.rotate_keys().unwrap();
    fixture.answer_instead(&keys_path(), Instead::Status(500));
    let token = fixture.mint(&application());
    assert_eq!(refused(present(&authenticator, &token).await), (401, Signature));

    fixture.behave_again();
    assert!(present(&authenticator, &token).await.is_ok());
}

#[tokio::test]
async fn a_rotation_is_noticed_by_the_first_new_token() {
    let fixture = Fixture::open().await;
    let authenticator = fixture.authenticator();
    let old = fixture.mint(&application());
    assert!(present(&authenticator, &old).await.is_ok());

    fixture.issuer.rotate_keys().unwrap();
    assert!(call(&fixture, &authenticator, &application()).await.is_ok());
    assert!(
        present(&authenticator, &old).await.is_ok(),
        "the former key is still served"
    );
    assert!(call(&fixture, &authenticator, &v1(application())).await.is_ok());
}

#[tokio::test]
async fn a_token_is_forgotten_together_with_its_key() {
    let fixture = Fixture::open().await;
    let authenticator = fixture.authenticator();
    let old = fixture.mint(&application());
    assert!(present(&authenticator, &old).await.is_ok());

    fixture.issuer.rotate_keys().unwrap();
    fixture.issuer.retire_previous_keys();
    assert!(
        present(&authenticator, &old).await.is_ok(),
        "we have not heard of the rotation yet"
    );
    assert!(
        call(&fixture, &authenticator, &application()).await.is_ok(),
        "now we have"
    );
    assert_eq!(refused(present(&authenticator, &old).await), (401, Signature));
}

#[tokio::test]
async fn keys_are_renewed_after_an_hour_without_anybody_waiting() {
    let fixture = Fixture::open().await;
    let authenticator = fixture.authenticator();
    assert!(call(&fixture, &authenticator, &application()).await.is_ok());
    fixture.advance(3_599);
    assert!(call(&fixture, &authenticator, &application()).await.is_ok());
    assert_eq!(fixture.key_fetches(), 1);

    fixture.advance(1);
    assert!(call(&fixture, &authenticator, &application()).await.is_ok());
    // The renewal is a task of its own; waiting here lets it finish.
    while fixture.key_fetches() < 2 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn keys_older_than_a_day_are_fetched_before_they_are_used() {
    let fixture = Fixture::open().await;
    let authenticator = fixture.authenticator();
    assert!(call(&fixture, &authenticator, &application()).await.is_ok());
    let old = fixture.mint(&TokenRequest {
        expires_in: Some(48 * 3_600),
        ..application()
    });
    fixture.issuer.rotate_keys().unwrap();
    fixture.issuer.retire_previous_keys();

    fixture.advance(24 * 3_600);
    assert_eq!(refused(present(&authenticator, &old).await), (401, Signature));
}

#[tokio::test]
async fn the_last_good_keys_stay_in_force_while_the_issuer_is_down() {
    let fixture = Fixture::open().await;
    let authenticator = fixture.authenticator();
    assert!(call(&fixture, &authenticator, &application()).await.is_ok());
    let failures = [
        (document_path(), Instead::Status(500)),
        (keys_path(), Instead::Status(404)),
        (keys_path(), Instead::Json(json!({ "keys": [] }))),
        (keys_path(), Instead::Json(json!("nonsense"))),
    ];
    for (path, failure) in failures {
        fixture.behave_again();
        fixture.answer_instead(&path, failure);
        fixture.advance(25 * 3_600);
        assert!(
            call(&fixture, &authenticator, &application()).await.is_ok(),
            "{path}"
        );
    }
}

#[tokio::test]
async fn without_any_keys_nobody_can_tell_and_it_is_tried_again_soon() {
    let fixture = Fixture::open().await;
    let authenticator = fixture.authenticator();
    fixture.answer_instead(&document_path(), Instead::Status(503));
    let error = call(&fixture, &authenticator, &application()).await.unwrap_err();
    assert_eq!((error.status().as_u16(), error.failure()), (503, Unavailable));
    assert_eq!((error.retry_after(), error.www_authenticate()), (Some(10), None));
    let attempts = fixture.all_requests();
    assert_eq!(
        refusal(&fixture, &authenticator, &application()).await,
        (503, Unavailable)
    );
    assert_eq!(fixture.all_requests(), attempts, "not on every request");

    fixture.behave_again();
    fixture.advance(10);
    assert!(call(&fixture, &authenticator, &application()).await.is_ok());
}

#[tokio::test]
async fn keys_come_only_from_where_they_belong() {
    let elsewhere = Fixture::open().await;
    let keys = format!("{}{}", elsewhere.origin, keys_path());
    let issuer = format!("{BASE_URL}/{TENANT}/v2.0");
    let answers = [
        Instead::Json(json!({ "issuer": issuer, "jwks_uri": keys })),
        Instead::Json(json!({ "issuer": issuer, "jwks_uri": "file:///etc/passwd" })),
        Instead::Json(json!({ "issuer": "https://evil.example", "jwks_uri": keys })),
        Instead::Redirect(format!("{}{}", elsewhere.origin, document_path())),
        Instead::Bytes(1024 * 1024 + 1),
    ];
    for answer in answers {
        let fixture = Fixture::open().await;
        fixture.answer_instead(&document_path(), answer);
        assert_eq!(
            refusal(&fixture, &fixture.authenticator(), &application()).await,
            (503, Unavailable)
        );
        assert_eq!(fixture.key_fetches(), 0);
    }
    assert_eq!(elsewhere.all_requests(), 0);
}

#[tokio::test]
async fn another_origin_for_keys_can_be_configured() {
    let keys_host = Fixture::open().await;
    let fixture = Fixture::open().await;
    keys_host.answer_instead(
        &keys_path(),
        Instead::Json(json!(fixture.issuer.key_set(TokenVersion::V2))),
    );
    let document = json!({
        "issuer": format!("{BASE_URL}/{{tenantid}}/v2.0"),
        "jwks_uri": format!("{}{}", keys_host.origin, keys_path()),
    });
    fixture.answer_instead(&document_path(), Instead::Json(document));
    let more = format!(
        "tenants = [\"{TENANT}\"]\nkey_origins = [\"{}\"]",
        keys_host.origin
    );
    assert!(
        call(&fixture, &fixture.authenticator_with(&more), &application())
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn one_strange_key_does_not_spoil_the_set() {
    let fixture = Fixture::open().await;
    let good = json!(fixture.issuer.key_set(TokenVersion::V2).keys[0]);
    let kid = good["kid"].clone();
    let variant = |name: &str, value: Value| {
        let mut key = good.clone();
        key[name] = value;
        key
    };
    let strange = [
        json!(7),
        json!({ "kty": "PQC-2030", "kid": kid }),
        json!({ "kty": "RSA", "kid": kid, "n": "!", "e": "AQAB" }),
        json!({ "kty": "RSA", "kid": kid, "n": "AQAB", "e": "AQAB" }),
        json!({ "kty": "oct", "kid": kid, "k": "c2VjcmV0" }),
        variant("use", json!("enc")),
        variant("alg", json!("RS512")),
        variant("kid", json!(null)),
    ];
    fixture.answer_instead(&keys_path(), Instead::Json(json!({ "keys": strange })));
    assert_eq!(
        refusal(&fixture, &fixture.authenticator(), &application()).await,
        (503, Unavailable)
    );

    let mut keys = strange.to_vec();
    keys.push(good);
    fixture.answer_instead(&keys_path(), Instead::Json(json!({ "keys": keys })));
    assert!(
        call(&fixture, &fixture.authenticator(), &application())
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn a_key_signs_only_for_the_issuer_it_names() {
    let fixture = Fixture::open().await;
    let mut key = json!(fixture.issuer.key_set(TokenVersion::V2).keys[0]);
    let path = "/organizations/discovery/v2.0/keys";
    let of = |tenant: Uuid| TokenRequest {
        tenant: Some(tenant),
        ..application()
    };

    key["issuer"] = json!(format!("{BASE_URL}/{TENANT}/v2.0"));
    fixture.answer_instead(path, Instead::Json(json!({ "keys": [key] })));
    let authenticator = fixture.authenticator_with(ANY);
    let outcome = call_as_customer(&fixture, &authenticator, &of(TENANT)).await;
    assert!(outcome.is_ok());
    let outcome = call_as_customer(&fixture, &authenticator, &of(OTHER_TENANT)).await;
    assert_eq!(refused(outcome), (401, Signature));
}

#[tokio::test]
async fn keys_can_be_loaded_before_anybody_calls() {
    let fixture = Fixture::open().await;
    let authenticator = fixture.authenticator();
    fixture.answer_instead(&document_path(), Instead::Status(500));
    assert!(!authenticator.load_keys().await);
    fixture.behave_again();
    fixture.advance(10);
    assert!(authenticator.load_keys().await);

    let fetches = fixture.key_fetches();
    assert!(call(&fixture, &authenticator, &application()).await.is_ok());
    assert!(call(&fixture, &authenticator, &v1(application())).await.is_ok());
    assert_eq!(fixture.key_fetches(), fetches);
}

#[tokio::test]
async fn a_clock_set_back_does_not_forbid_fetching() {
    let fixture = Fixture::open().await;
    let authenticator = fixture.authenticator();
    assert_eq!(
        refusal(&fixture, &authenticator, &with_kid("first")).await,
        (401, Signature)
    );
    assert_eq!(
        refusal(&fixture, &authenticator, &with_kid("second")).await,
        (401, Signature)
    );
    assert_eq!(fixture.key_fetches(), 2);

    fixture.advance(-1_000_000);
    fixture.issuer.rotate_keys().unwrap();
    assert!(call(&fixture, &authenticator, &application()).await.is_ok());
}
