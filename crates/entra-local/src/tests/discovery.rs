//! The documents agree with each other and with the tokens.

use serde_json::json;

use super::harness::{BASE_URL, CLIENT, Harness, SECRET, TENANT, verified_claims};
use crate::{JsonWebKeySet, TokenRequest, TokenVersion};

#[tokio::test]
async fn the_v2_document_leads_back_through_the_listener_it_came_by() {
    let harness = Harness::open().await;
    let (status, document) = harness
        .get(&format!("/{TENANT}/v2.0/.well-known/openid-configuration"))
        .await;

    assert_eq!(status, 200);
    let origin = &harness.origin;
    assert_eq!(document["issuer"], format!("{BASE_URL}/{TENANT}/v2.0"));
    assert_eq!(
        document["token_endpoint"],
        format!("{origin}/{TENANT}/oauth2/v2.0/token")
    );
    assert_eq!(
        document["authorization_endpoint"],
        format!("{origin}/{TENANT}/oauth2/v2.0/authorize")
    );
    assert_eq!(
        document["jwks_uri"],
        format!("{origin}/{TENANT}/discovery/v2.0/keys")
    );
}

#[tokio::test]
async fn the_v1_document_names_the_v1_issuer_and_endpoints() {
    let harness = Harness::open().await;
    let (_, document) = harness
        .get(&format!("/{TENANT}/.well-known/openid-configuration"))
        .await;

    assert_eq!(document["issuer"], format!("{BASE_URL}/{TENANT}/"));
    assert_eq!(
        document["jwks_uri"],
        format!("{}/{TENANT}/discovery/keys", harness.origin)
    );
    assert_eq!(
        document["token_endpoint"],
        format!("{}/{TENANT}/oauth2/token", harness.origin)
    );
}

#[tokio::test]
async fn the_common_document_has_the_issuer_as_a_template() {
    let harness = Harness::open().await;
    for word in ["common", "organizations"] {
        let (_, document) = harness
            .get(&format!("/{word}/v2.0/.well-known/openid-configuration"))
            .await;
        assert_eq!(document["issuer"], format!("{BASE_URL}/{{tenantid}}/v2.0"));
    }
}

#[tokio::test]
async fn an_unknown_tenant_is_refused_in_entras_words() {
    let harness = Harness::open().await;
    for path in [
        "v2.0/.well-known/openid-configuration",
        ".well-known/openid-configuration",
        "discovery/keys",
    ] {
        let (status, body) = harness
            .get(&format!("/00000000-0000-0000-0000-000000000001/{path}"))
            .await;
        assert_eq!((status, &body["error_codes"]), (400, &json!([90002])), "{path}");
    }
}

#[tokio::test]
async fn tokens_verify_against_the_served_keys() {
    let harness = Harness::open().await;
    for version in [TokenVersion::V1, TokenVersion::V2] {
        let request = TokenRequest {
            version: Some(version),
            ..TokenRequest::client("owner")
        };
        let token = harness.issuer.mint(&request).unwrap();
        let path = match version {
            TokenVersion::V1 => "discovery/keys",
            TokenVersion::V2 => "discovery/v2.0/keys",
        };
        let (_, body) = harness.get(&format!("/{TENANT}/{path}")).await;
        let keys: JsonWebKeySet = serde_json::from_value(body).unwrap();
        let claims = verified_claims(&token, &keys).expect("a good signature");
        assert_eq!(claims["iss"], harness.issuer.issuer_of(TENANT, version));
    }
}

#[tokio::test]
async fn only_v2_keys_name_their_issuer() {
    let harness = Harness::open().await;
    let (_, v1) = harness.get(&format!("/{TENANT}/discovery/keys")).await;
    let (_, v2) = harness.get(&format!("/{TENANT}/discovery/v2.0/keys")).await;

    assert_eq!(v1["keys"][0]["issuer"], json!(null));
    assert_eq!(v2["keys"][0]["issuer"], format!("{BASE_URL}/{{tenantid}}/v2.0"));
}

#[tokio::test]
async fn msal_is_told_that_this_host_is_a_cloud_of_its_own() {
    let harness = Harness::open().await;
    let endpoint = format!("{}/{TENANT}/oauth2/v2.0/authorize", harness.origin);
    let (status, body) = harness
        .get(&format!(
            "/common/discovery/instance?api-version=1.1&authorization_endpoint={endpoint}"
        ))
        .await;

    let document = format!(
        "{}/{TENANT}/v2.0/.well-known/openid-configuration",
        harness.origin
    );
    assert_eq!(
        (status, body["tenant_discovery_endpoint"].as_str()),
        (200, Some(document.as_str()))
    );
    let host = harness.origin.strip_prefix("http://").unwrap();
    assert_eq!(body["metadata"][0]["aliases"], json!([host]));

    let (_, realm) = harness
        .get("/common/userrealm/reader@contoso.com?api-version=1.0")
        .await;
    assert_eq!(realm["account_type"], "Managed");
}

#[tokio::test]
async fn a_rotation_keeps_the_former_key_until_told_otherwise() {
    let harness = Harness::open().await;
    let old = harness.issuer.mint(&TokenRequest::client("owner")).unwrap();
    let new_kid = harness.issuer.rotate_keys().unwrap();
    let new = harness.issuer.mint(&TokenRequest::client("owner")).unwrap();

    let both = harness.issuer.key_set(TokenVersion::V2);
    assert_eq!(
        (both.keys.len(), both.keys[0].kid.as_str()),
        (2, new_kid.as_str())
    );
    assert!(verified_claims(&old, &both).is_some() && verified_claims(&new, &both).is_some());

    harness.issuer.retire_previous_keys();
    let one = harness.issuer.key_set(TokenVersion::V2);
    assert!(verified_claims(&old, &one).is_none() && verified_claims(&new, &one).is_some());
}

#[tokio::test]
async fn a_host_that_is_not_ours_is_refused_and_ours_are_named() {
    let harness = Harness::open().await;
    for path in ["v2.0/.well-known/openid-configuration", "oauth2/deviceauth"] {
        let url = format!("{}/{TENANT}/{path}", harness.origin);
        let asked = async |host: &str| {
            let request = harness.http.get(&url).header("host", host);
            let response = request.send().await.unwrap();
            (response.status().as_u16(), response.text().await.unwrap())
        };
        for host in [
            "evil/path?x",
            "evil.example:80",
            "127.0.0.1.evil.example",
            "localhost:8x",
        ] {
            let (status, text) = asked(host).await;
            assert_eq!(status, 400, "{host}");
            assert!(
                text.ends_with("goes by: localhost, 127.0.0.1, [::1].\n"),
                "{text}"
            );
        }
        for host in ["LOCALHOST:1", "[::1]:8080", "127.0.0.1"] {
            assert_eq!(asked(host).await.0, 200, "{host}");
        }
    }
}

#[tokio::test]
async fn both_endpoints_give_tokens_of_the_resources_version() {
    let harness = Harness::open().await;
    let client = CLIENT.to_string();
    let credentials = [
        ("grant_type", "client_credentials"),
        ("client_id", &*client),
        ("client_secret", SECRET),
    ];
    let mut v1 = credentials.to_vec();
    v1.push(("resource", super::harness::API_URI));
    let (status, body) = harness.post_form(&format!("/{TENANT}/oauth2/token"), &v1).await;

    assert_eq!(status, 200, "{body}");
    let token = body["access_token"].as_str().unwrap();
    let claims = verified_claims(token, &harness.issuer.key_set(TokenVersion::V1)).unwrap();
    assert_eq!(claims["ver"], "2.0");
    assert_eq!(
        (&body["expires_in"], &body["resource"]),
        (&json!("3599"), &json!(super::harness::API_URI))
    );
}
