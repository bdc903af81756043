//! Signing in on another device: the code that is shown, the page where it is typed, and what the device gets.

use serde_json::{Value, json};

use super::harness::{
    API_URI, CLIENT, Harness, NOW, PUBLIC_CLIENT, Page, SECRET, TENANT, USER, verified_claims,
};
use crate::TokenVersion;

const PAGE: &str = "/common/oauth2/deviceauth";

async fn begin(harness: &Harness) -> Value {
    let client = PUBLIC_CLIENT.to_string();
    let scope = format!("{API_URI}/.default openid offline_access");
    let path = format!("/{TENANT}/oauth2/v2.0/devicecode");
    let fields = [("client_id", client.as_str()), ("scope", &scope)];
    let (status, body) = harness.post_form(&path, &fields).await;
    assert_eq!(status, 200, "{body}");
    body
}

async fn poll(harness: &Harness, begun: &Value, more: &[(&str, &str)]) -> (u16, Value) {
    let client = PUBLIC_CLIENT.to_string();
    let mut fields = vec![
        ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
        ("device_code", begun["device_code"].as_str().unwrap()),
    ];
    match more {
        [] => fields.push(("client_id", &client)),
        more => fields.extend(more),
    }
    harness
        .post_form(&format!("/{TENANT}/oauth2/v2.0/token"), &fields)
        .await
}

fn error(answer: &(u16, Value)) -> (u16, &str) {
    (answer.0, answer.1["error"].as_str().unwrap_or_default())
}

async fn pick(harness: &Harness, begun: &Value, account: &str) -> Page {
    let code = begun["user_code"].as_str().unwrap();
    harness
        .post_page(PAGE, &[("user_code", code), ("account", account)], &[])
        .await
}

#[tokio::test]
async fn a_device_waits_until_somebody_has_signed_in_for_it() {
    let harness = Harness::open().await;
    let begun = begin(&harness).await;
    assert_eq!(begun["verification_uri"], format!("{}{PAGE}", harness.origin));
    assert_eq!(
        (&begun["expires_in"], &begun["interval"]),
        (&json!(900), &json!(1))
    );
    let code = begun["user_code"].as_str().unwrap();
    assert!(begun["message"].as_str().unwrap().contains(code));
    assert_eq!(
        error(&poll(&harness, &begun, &[]).await),
        (400, "authorization_pending")
    );

    let page = harness.page(PAGE, &[]).await;
    assert!(
        page.status == 200 && page.text.contains("name=\"user_code\""),
        "{}",
        page.text
    );
    let typed = code.to_lowercase().replace('-', " ");
    let page = harness.post_page(PAGE, &[("user_code", &typed)], &[]).await;
    assert!(
        page.text.contains("reader@contoso.com") && page.text.contains(code),
        "{}",
        page.text
    );
    assert!(page.policy.contains("form-action 'self'") && !page.policy.contains("script-src"));
    assert_eq!(
        error(&poll(&harness, &begun, &[]).await),
        (400, "authorization_pending")
    );

    harness.advance(7);
    assert_eq!(pick(&harness, &begun, &USER.to_string()).await.status, 200);
    assert_eq!(
        pick(&harness, &begun, &USER.to_string()).await.status,
        400,
        "it was decided"
    );
    let owner = CLIENT.to_string();
    let other = [("client_id", owner.as_str()), ("client_secret", SECRET)];
    assert_eq!(
        error(&poll(&harness, &begun, &other).await),
        (400, "expired_token"),
        "of another application"
    );
    let (status, body) = poll(&harness, &begun, &[]).await;
    assert_eq!(status, 200, "{body}");
    let keys = harness.issuer.key_set(TokenVersion::V2);
    let id = verified_claims(body["id_token"].as_str().unwrap(), &keys).unwrap();
    assert_eq!((&id["oid"], &id["auth_time"]), (&json!(USER), &json!(NOW + 7)));
    assert!(body["refresh_token"].is_string() && body["access_token"].is_string());
    assert_eq!(
        error(&poll(&harness, &begun, &[]).await),
        (400, "expired_token"),
        "once"
    );
}

#[tokio::test]
async fn a_device_that_nobody_wants_or_that_waited_too_long_is_told() {
    let harness = Harness::open().await;
    let (unwanted, forgotten) = (begin(&harness).await, begin(&harness).await);
    assert_ne!(unwanted["user_code"], forgotten["user_code"]);
    assert!(pick(&harness, &unwanted, "").await.text.contains("not signed in"));
    assert_eq!(
        error(&poll(&harness, &unwanted, &[]).await),
        (400, "access_denied")
    );
    assert_eq!(
        error(&poll(&harness, &unwanted, &[]).await),
        (400, "expired_token")
    );
    harness.advance(900);
    assert_eq!(
        error(&poll(&harness, &forgotten, &[]).await),
        (400, "expired_token")
    );
    let page = pick(&harness, &forgotten, &USER.to_string()).await;
    assert!(
        page.status == 400 && page.text.contains(forgotten["user_code"].as_str().unwrap()),
        "{}",
        page.text
    );
}

#[tokio::test]
async fn foreign_pages_and_wrong_codes_decide_nothing() {
    let harness = Harness::open().await;
    let begun = begin(&harness).await;
    let (code, user) = (begun["user_code"].as_str().unwrap(), USER.to_string());
    let picked = [("user_code", code), ("account", user.as_str())];
    let page = harness
        .post_page(PAGE, &picked, &[("origin", "https://evil.example")])
        .await;
    assert!(page.text.contains("reader@contoso.com"), "it is asked once more");
    let markup = [("user_code", "<b>x</b>"), ("account", user.as_str())];
    let page = harness.post_page(PAGE, &markup, &[]).await;
    assert!(page.status == 400 && !page.text.contains("<b>x"), "{}", page.text);
    assert_eq!(harness.post_page(PAGE, &[], &[]).await.status, 400);
    assert_eq!(
        error(&poll(&harness, &begun, &[]).await),
        (400, "authorization_pending")
    );
}

#[tokio::test]
async fn pages_of_others_begin_nothing_and_newcomers_push_nobody_out() {
    let harness = Harness::open().await;
    let client = PUBLIC_CLIENT.to_string();
    let scope = format!("{API_URI}/.default");
    let path = format!("/{TENANT}/oauth2/v2.0/devicecode");
    let fields = [("client_id", client.as_str()), ("scope", &scope)];
    for headers in [
        [("origin", "https://evil.example")],
        [("origin", "null")],
        [("sec-fetch-site", "cross-site")],
    ] {
        let page = harness.post_page(&path, &fields, &headers).await;
        assert!(
            page.status == 403 && page.text.contains("AADSTS90013"),
            "{page:?}"
        );
    }
    let first = begin(&harness).await;
    for _ in 1..1_000 {
        begin(&harness).await;
    }
    let (status, body) = harness.post_form(&path, &fields).await;
    assert_eq!((status, &body["error"]), (429, &json!("temporarily_unavailable")));
    assert_eq!(
        error(&poll(&harness, &first, &[]).await),
        (400, "authorization_pending")
    );
    harness.advance(901);
    begin(&harness).await;
}

#[tokio::test]
async fn a_wish_that_could_never_be_granted_is_refused_at_once() {
    let harness = Harness::open().await;
    let client = PUBLIC_CLIENT.to_string();
    let path = format!("/{TENANT}/oauth2/v2.0/devicecode");
    let scope = format!("{API_URI}/.default");
    let cases: [(&[(&str, &str)], u32); 4] = [
        (&[("scope", &scope)], 900_144),
        (&[("client_id", &client)], 900_144),
        (
            &[("client_id", &client), ("scope", "https://x/.default")],
            500_011,
        ),
        (&[("client_id", "x"), ("scope", &scope)], 700_016),
    ];
    for (fields, number) in cases {
        let (status, body) = harness.post_form(&path, fields).await;
        assert_eq!(
            (status, &body["error_codes"]),
            (400, &json!([number])),
            "{fields:?}"
        );
    }
}
