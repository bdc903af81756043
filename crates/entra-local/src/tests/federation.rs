//! Applications that show another issuer's token instead of a secret.

use std::sync::Arc;

use serde_json::{Value, json};

use super::harness::{API_URI, CLIENT, Harness, NOW, TENANT, directory, settings};
use crate::{FederatedCredential, Issuer, Settings, SigningKeyChoice, TokenRequest, TokenVersion};

const PIPELINES: &str = "https://token.pipelines.example";
const SUBJECT: &str = "repo:contoso/sales-pack:ref:refs/heads/main";
const EXCHANGE: &str = "api://AzureADTokenExchange";

/// Somebody else's issuer, by whose tokens the application may sign in.
fn pipelines() -> Issuer {
    let settings = Settings {
        base_url: "https://127.0.0.1:9".to_owned(),
        clock: Arc::new(|| NOW),
        ..settings()
    };
    Issuer::new(settings, directory()).unwrap()
}

fn registered(pipelines: &Issuer) -> FederatedCredential {
    FederatedCredential {
        issuer: PIPELINES.to_owned(),
        subject: SUBJECT.to_owned(),
        audience: EXCHANGE.to_owned(),
        keys: pipelines.key_set(TokenVersion::V1),
    }
}

fn assertion() -> TokenRequest {
    TokenRequest {
        issuer: Some(PIPELINES.to_owned()),
        audience: Some(EXCHANGE.to_owned()),
        ..TokenRequest::client(CLIENT.to_string())
    }
    .with_claim("sub", SUBJECT)
}

async fn harness(registered: Vec<FederatedCredential>) -> Harness {
    let harness = Harness::open().await;
    harness.issuer.change_directory(|directory| {
        for application in &mut directory.applications {
            application.federated_credentials.clone_from(&registered);
        }
    });
    harness
}

async fn shown(harness: &Harness, assertion: &str) -> (u16, Value) {
    let (client, scope) = (CLIENT.to_string(), format!("{API_URI}/.default"));
    let fields = [
        ("grant_type", "client_credentials"),
        ("client_id", client.as_str()),
        ("scope", &scope),
        (
            "client_assertion_type",
            "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        ),
        ("client_assertion", assertion),
    ];
    harness
        .post_form(&format!("/{TENANT}/oauth2/v2.0/token"), &fields)
        .await
}

#[tokio::test]
async fn an_application_may_show_the_token_of_an_issuer_that_it_registered() {
    let pipelines = pipelines();
    let harness = harness(vec![registered(&pipelines)]).await;
    let (status, body) = shown(&harness, &pipelines.mint(&assertion()).unwrap()).await;
    assert_eq!(status, 200, "{body}");
    assert!(body["access_token"].is_string() && body.get("refresh_token").is_none());
}

#[tokio::test]
async fn what_does_not_fit_the_registration_is_refused_with_entras_number() {
    let pipelines = pipelines();
    let harness = harness(vec![registered(&pipelines)]).await;
    let mut expired = assertion();
    expired.expires_in = Some(-301);
    let mut early = assertion();
    early.not_before = Some(301);
    let mut impostor = assertion();
    impostor.key = SigningKeyChoice::Unknown;
    impostor.kid = Some(pipelines.key_set(TokenVersion::V1).keys[0].kid.clone());
    let mut of_other_issuer = assertion();
    of_other_issuer.issuer = Some("https://token.actions.example".to_owned());
    let mut for_another = assertion();
    for_another.audience = Some("api://fame.contoso.com".to_owned());
    let cases = [
        (expired, 700_024),
        (early, 700_024),
        (of_other_issuer, 700_211),
        (
            assertion().with_claim("sub", "repo:Contoso/sales-pack:ref:refs/heads/main"),
            700_213,
        ),
        (for_another, 700_212),
        (impostor, 700_027),
    ];
    for (request, number) in cases {
        let (status, body) = shown(&harness, &pipelines.mint(&request).unwrap()).await;
        assert_eq!((status, &body["error_codes"]), (401, &json!([number])), "{body}");
        assert_eq!(body["error"], "invalid_client");
    }
    let (status, body) = shown(&harness, "no.token").await;
    assert_eq!((status, &body["error_codes"]), (401, &json!([50_027])));
}

#[tokio::test]
async fn an_application_without_a_federated_credential_is_told() {
    let pipelines = pipelines();
    let harness = harness(Vec::new()).await;
    let (status, body) = shown(&harness, &pipelines.mint(&assertion()).unwrap()).await;
    assert_eq!((status, &body["error_codes"]), (401, &json!([70_025])), "{body}");
}

#[tokio::test]
async fn an_application_is_told_by_the_control_endpoint_whom_to_trust() {
    let pipelines = pipelines();
    let harness = harness(Vec::new()).await;
    let asked =
        |application: &str| json!({ "application": application, "credentials": [registered(&pipelines)] });
    let (status, body) = harness
        .post_json("/control/federated-credentials", &asked("owner"))
        .await;
    assert_eq!((status, &body), (200, &asked("owner")));
    let (status, body) = shown(&harness, &pipelines.mint(&assertion()).unwrap()).await;
    assert_eq!(status, 200, "{body}");
    let (status, body) = harness
        .post_json("/control/federated-credentials", &asked("nobody"))
        .await;
    assert_eq!(
        (status, &body["error"]["code"]),
        (400, &json!("UnknownPrincipal")),
        "{body}"
    );
}
