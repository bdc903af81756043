//! The control endpoint as `fame dev` offers it.

use serde_json::json;

use super::harness::{Harness, TENANT, verified_claims};
use crate::TokenVersion;

#[tokio::test]
async fn a_token_can_be_ordered_in_json() {
    let harness = Harness::open().await;
    let order = json!({ "client": "owner", "version": "1.0", "expiresIn": 60, "claims": { "roles": ["x"] } });
    let (status, body) = harness.post_json("/control/tokens", &order).await;

    assert_eq!(status, 200, "{body}");
    let token = body["accessToken"].as_str().unwrap();
    let claims = verified_claims(token, &harness.issuer.key_set(TokenVersion::V1)).unwrap();
    assert_eq!((&claims["ver"], &claims["roles"]), (&json!("1.0"), &json!(["x"])));
}

#[tokio::test]
async fn every_kind_of_token_has_a_spelling() {
    let harness = Harness::open().await;
    let orders = [
        json!({ "user": "reader@contoso.com", "client": "desktop", "version": "v2" }),
        json!({ "client": "owner", "alg": "none" }),
        json!({ "client": "owner", "alg": "HS256" }),
        json!({ "client": "owner", "key": "unknown", "kid": "borrowed" }),
        json!({ "client": "owner", "issuer": "https://x", "tenant": TENANT, "audience": "y", "notBefore": 5 }),
        json!({ "client": "owner", "omitClaims": ["exp"] }),
    ];
    for order in orders {
        let (status, body) = harness.post_json("/control/tokens", &order).await;
        assert_eq!(status, 200, "{order}: {body}");
    }
}

#[tokio::test]
async fn a_wrong_order_says_what_is_wrong() {
    let harness = Harness::open().await;
    let cases = [
        (json!({ "client": "nobody" }), "UnknownPrincipal", "nobody"),
        (json!({}), "NoPrincipal", "client"),
        (
            json!({ "client": "owner", "expires": 1 }),
            "InvalidInput",
            "expires",
        ),
    ];
    for (order, code, word) in cases {
        let (status, body) = harness.post_json("/control/tokens", &order).await;
        assert_eq!(
            (status, body["error"]["code"].as_str()),
            (400, Some(code)),
            "{body}"
        );
        assert!(
            body["error"]["message"].as_str().unwrap().contains(word),
            "{body}"
        );
    }
}

#[tokio::test]
async fn keys_rotate_on_demand() {
    let harness = Harness::open().await;
    let url = format!("{}/control/keys/rotate", harness.origin);
    let first: serde_json::Value = harness
        .http
        .post(&url)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(first["kids"].as_array().unwrap().len(), 2);
    assert_eq!(first["kids"][0], first["kid"]);

    let (_, second) = harness
        .post_json("/control/keys/rotate", &json!({ "retirePrevious": true }))
        .await;
    assert_eq!(second["kids"], json!([second["kid"]]));
    assert_ne!(first["kid"], second["kid"]);
}
