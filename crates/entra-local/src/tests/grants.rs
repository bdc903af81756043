//! The token endpoint: what it gives, and how it refuses.

use serde_json::{Value, json};

use super::harness::{
    API, API_URI, CLIENT, Harness, NOW, PASSWORD, PUBLIC_CLIENT, SECRET, SERVICE_PRINCIPAL, TENANT, USER,
    verified_claims,
};
use crate::TokenVersion;

type Fields = Vec<(&'static str, String)>;

/// The fields of a good request of the application; `changes` replace or (with an empty value) remove some.
fn application_fields(changes: &[(&'static str, &str)]) -> Fields {
    let good = [
        ("grant_type", "client_credentials".to_owned()),
        ("client_id", CLIENT.to_string()),
        ("client_secret", SECRET.to_owned()),
        ("scope", format!("{API_URI}/.default")),
    ];
    changed(good.to_vec(), changes)
}

fn user_fields(changes: &[(&'static str, &str)]) -> Fields {
    let good = [
        ("grant_type", "password".to_owned()),
        ("client_id", PUBLIC_CLIENT.to_string()),
        ("username", "Reader@Contoso.com".to_owned()),
        ("password", PASSWORD.to_owned()),
        (
            "scope",
            format!("openid offline_access {API_URI}/user_impersonation"),
        ),
    ];
    changed(good.to_vec(), changes)
}

fn changed(mut fields: Fields, changes: &[(&'static str, &str)]) -> Fields {
    for (name, value) in changes {
        fields.retain(|(field, _)| field != name);
        if !value.is_empty() {
            fields.push((name, (*value).to_owned()));
        }
    }
    fields
}

async fn ask(harness: &Harness, tenant: &str, fields: &[(&str, String)]) -> (u16, Value) {
    let borrowed: Vec<(&str, &str)> = fields
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    harness
        .post_form(&format!("/{tenant}/oauth2/v2.0/token"), &borrowed)
        .await
}

#[tokio::test]
async fn an_application_gets_an_app_only_token() {
    let harness = Harness::open().await;
    let (status, body) = ask(&harness, &TENANT.to_string(), &application_fields(&[])).await;

    assert_eq!(status, 200, "{body}");
    let members: Vec<&String> = body.as_object().unwrap().keys().collect();
    assert_eq!(
        members,
        ["token_type", "expires_in", "ext_expires_in", "access_token"]
    );
    let token = body["access_token"].as_str().unwrap();
    let claims = verified_claims(token, &harness.issuer.key_set(TokenVersion::V2)).unwrap();
    assert_eq!(claims["aud"], json!(API));
    assert_eq!(claims["azp"], json!(CLIENT));
    assert_eq!(claims["azpacr"], "1");
    assert_eq!(claims["idtyp"], "app");
    assert_eq!(
        (&claims["oid"], &claims["sub"]),
        (&json!(SERVICE_PRINCIPAL), &json!(SERVICE_PRINCIPAL))
    );
    assert_eq!(
        (&claims["tid"], &claims["exp"]),
        (&json!(TENANT), &json!(NOW + 3_600))
    );
    assert_eq!(claims.get("scp"), None);
    assert_eq!(claims["roles"], json!(["AdminCenter.ReadWrite.All"]));
}

#[tokio::test]
async fn the_secret_may_come_as_basic_authentication() {
    let harness = Harness::open().await;
    let fields = application_fields(&[("client_id", ""), ("client_secret", "")]);
    for secret in [SECRET, "s3cret%2F%2B+of+owner"] {
        let url = format!("{}/{TENANT}/oauth2/v2.0/token", harness.origin);
        let request = harness
            .http
            .post(url)
            .basic_auth(CLIENT, Some(secret))
            .form(&fields);
        assert_eq!(request.send().await.unwrap().status(), 200, "{secret}");
    }
}

#[tokio::test]
async fn a_user_gets_a_delegated_token_through_a_public_client() {
    let harness = Harness::open().await;
    for tenant in [TENANT.to_string(), "organizations".to_owned()] {
        let (status, body) = ask(&harness, &tenant, &user_fields(&[])).await;

        assert_eq!(status, 200, "{body}");
        assert_eq!(body["scope"], format!("{API_URI}/user_impersonation"));
        let token = body["access_token"].as_str().unwrap();
        let claims = verified_claims(token, &harness.issuer.key_set(TokenVersion::V2)).unwrap();
        assert_eq!(
            (&claims["oid"], &claims["scp"]),
            (&json!(USER), &json!("user_impersonation"))
        );
        assert_eq!(
            (&claims["azp"], &claims["azpacr"]),
            (&json!(PUBLIC_CLIENT), &json!("0"))
        );
        assert_ne!(claims["sub"], claims["oid"]);
        assert_eq!(claims.get("idtyp"), None);
    }
}

#[tokio::test]
async fn a_user_may_also_sign_in_through_an_application_with_its_secret() {
    let harness = Harness::open().await;
    let client = CLIENT.to_string();
    let with_secret = user_fields(&[("client_id", &client), ("client_secret", SECRET)]);
    assert_eq!(ask(&harness, &TENANT.to_string(), &with_secret).await.0, 200);

    let without = user_fields(&[("client_id", &client)]);
    let (status, body) = ask(&harness, &TENANT.to_string(), &without).await;
    assert_eq!((status, &body["error_codes"]), (401, &json!([7_000_218])));
}

#[tokio::test]
async fn refusals_have_entras_status_word_and_number() {
    let harness = Harness::open().await;
    let tenant = TENANT.to_string();
    let nobody = "00000000-0000-0000-0000-00000000000f";
    let public = PUBLIC_CLIENT.to_string();
    let cases: [(&str, Fields, u16, &str, u32); 14] = [
        (
            &tenant,
            application_fields(&[("client_secret", "wrong")]),
            401,
            "invalid_client",
            7_000_215,
        ),
        (
            &tenant,
            application_fields(&[("client_secret", "")]),
            401,
            "invalid_client",
            7_000_218,
        ),
        (
            &tenant,
            application_fields(&[("client_id", &public)]),
            401,
            "invalid_client",
            700_025,
        ),
        (
            &tenant,
            application_fields(&[("client_id", nobody)]),
            400,
            "unauthorized_client",
            700_016,
        ),
        (nobody, application_fields(&[]), 400, "invalid_request", 90_002),
        (
            "organizations",
            application_fields(&[]),
            400,
            "invalid_request",
            50_194,
        ),
        (
            &tenant,
            application_fields(&[("grant_type", "")]),
            400,
            "invalid_request",
            900_144,
        ),
        (
            &tenant,
            application_fields(&[("grant_type", "urn:x:saml")]),
            400,
            "unsupported_grant_type",
            70_003,
        ),
        (
            &tenant,
            application_fields(&[("scope", "")]),
            400,
            "invalid_request",
            900_144,
        ),
        (
            &tenant,
            application_fields(&[("scope", "https://x/other")]),
            400,
            "invalid_scope",
            1_002_012,
        ),
        (
            &tenant,
            application_fields(&[("scope", "https://x/.default")]),
            400,
            "invalid_resource",
            500_011,
        ),
        (
            &tenant,
            user_fields(&[("password", "wrong")]),
            400,
            "invalid_grant",
            50_126,
        ),
        (
            &tenant,
            user_fields(&[("username", "nobody@contoso.com")]),
            400,
            "invalid_grant",
            50_126,
        ),
        (
            "common",
            user_fields(&[("password", "wrong")]),
            400,
            "invalid_grant",
            50_126,
        ),
    ];
    for (tenant, fields, status, error, number) in cases {
        let (answered, body) = ask(&harness, tenant, &fields).await;
        assert_eq!(
            (answered, body["error"].as_str()),
            (status, Some(error)),
            "{fields:?}"
        );
        assert_eq!(body["error_codes"], json!([number]), "{fields:?}");
    }
}

#[tokio::test]
async fn a_refusal_carries_ids_to_search_by() {
    let harness = Harness::open().await;
    let correlation = "6f8c7a3e-9999-4c2b-9a55-0c0a7c0a0009";
    let request = harness
        .http
        .post(format!("{}/{TENANT}/oauth2/v2.0/token", harness.origin))
        .header("client-request-id", correlation)
        .form(&application_fields(&[("client_secret", "wrong")]));
    let body: Value = request.send().await.unwrap().json().await.unwrap();

    assert_eq!(body["correlation_id"], correlation);
    assert_eq!(body["timestamp"], "2026-09-21 14:13:20Z");
    let description = body["error_description"].as_str().unwrap();
    assert!(description.starts_with("AADSTS7000215: "), "{description}");
    assert!(description.contains(body["trace_id"].as_str().unwrap()));
}

#[tokio::test]
async fn a_body_that_is_no_form_is_refused() {
    let harness = Harness::open().await;
    let (status, body) = ask(
        &harness,
        "common",
        &user_fields(&[("scope", &"x".repeat(16 * 1024))]),
    )
    .await;
    assert_eq!((status, &body["error_codes"]), (400, &json!([900_561])));
    let (status, body) = harness
        .post_json(&format!("/{TENANT}/oauth2/v2.0/token"), &json!({}))
        .await;
    assert_eq!((status, &body["error_codes"]), (400, &json!([900_561])));
}
