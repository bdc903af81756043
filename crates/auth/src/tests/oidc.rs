//! Issuers that are not Entra, alone and beside it.

use entra_local::{TokenRequest, TokenVersion};
use serde_json::json;
use uuid::{Uuid, uuid};

use super::fixture::{
    ANY, API, BASE_URL, CLIENT, Fixture, Instead, TENANT, application, call, call_as_customer, refusal,
    refused, user,
};
use crate::AuthFailure::{Audience, InsufficientScope, Issuer, Malformed, Signature};
use crate::{AuthSettings, Authenticator, CallerKind, oidc_id};

const REALM_TENANT: Uuid = uuid!("6f8c7a3e-7777-4c2b-9a55-0c0a7c0a0007");

/// A realm as Keycloak would serve it, at the fixture's web server and with its keys.
fn open_realm(fixture: &Fixture) -> String {
    let issuer = format!("{}/realms/cronus", fixture.origin);
    let keys = "/realms/cronus/protocol/openid-connect/certs";
    let document = json!({ "issuer": issuer, "jwks_uri": format!("{}{keys}", fixture.origin) });
    fixture.answer_instead(
        "/realms/cronus/.well-known/openid-configuration",
        Instead::Json(document),
    );
    fixture.answer_instead(
        keys,
        Instead::Json(json!(fixture.issuer.key_set(TokenVersion::V1))),
    );
    issuer
}

fn realm_settings(issuer: &str, more: &str) -> AuthSettings {
    toml::from_str(&format!(
        r#"
        allow_insecure_loopback = true
        [[issuers]]
        kind = "oidc"
        issuer = "{issuer}"
        tenant = "{REALM_TENANT}"
        audiences = ["fame"]
        {more}
        "#
    ))
    .unwrap()
}

fn realm(fixture: &Fixture, more: &str) -> (String, Authenticator) {
    let issuer = open_realm(fixture);
    let authenticator = Authenticator::new(&realm_settings(&issuer, more), fixture.clock()).unwrap();
    (issuer, authenticator)
}

/// A token as such an issuer writes it: none of Entra's claims.
fn realm_token(issuer: &str, subject: &str, client: &str) -> TokenRequest {
    let mut request = application().with_claim("aud", "fame").with_claim("sub", subject);
    for claim in ["tid", "oid", "ver", "idtyp", "azpacr", "app_displayname", "nbf"] {
        request = request.without_claim(claim);
    }
    request.issuer = Some(issuer.to_owned());
    request.with_claim("azp", client)
}

#[tokio::test]
async fn a_user_is_hashed_with_the_issuer_into_the_fixed_tenant() {
    let fixture = Fixture::open().await;
    let (issuer, authenticator) = realm(&fixture, "");
    let request = realm_token(&issuer, "reader", "cli")
        .with_claim("scope", "openid user_impersonation")
        .with_claim("preferred_username", "reader@cronus.example");
    let caller = call(&fixture, &authenticator, &request).await.unwrap();

    assert_eq!((caller.kind, caller.tenant_id), (CallerKind::User, REALM_TENANT));
    assert_eq!(caller.id, oidc_id(&issuer, "reader"));
    assert_eq!(caller.name.as_deref(), Some("reader@cronus.example"));
}

#[tokio::test]
async fn a_client_named_like_somebodys_guid_does_not_become_that_principal() {
    let fixture = Fixture::open().await;
    let (issuer, authenticator) = realm(&fixture, "");
    let name = CLIENT.to_string();
    let caller = call(&fixture, &authenticator, &realm_token(&issuer, &name, &name))
        .await
        .unwrap();

    assert_eq!(caller.kind, CallerKind::Application);
    assert_eq!(caller.id, oidc_id(&issuer, &name));
    assert_eq!(caller.is_meant_by(CallerKind::Application, CLIENT, None), None);
}

#[test]
fn ids_are_stable_and_differ_by_issuer_and_claim() {
    let id = oidc_id("https://id.cronus.example/realms/cronus", "reader");
    assert_eq!(id.get_version_num(), 5);
    assert_eq!(id, oidc_id("https://id.cronus.example/realms/cronus", "reader"));
    assert_ne!(id, oidc_id("https://id.cronus.example/realms/other", "reader"));
    assert_ne!(id, oidc_id("https://id.cronus.example/realms/cronus", "writer"));
}

#[tokio::test]
async fn an_application_is_known_by_three_signs() {
    let fixture = Fixture::open().await;
    let (issuer, authenticator) = realm(&fixture, KEYCLOAK);
    let signs = [
        realm_token(&issuer, "pipeline", "pipeline"),
        realm_token(&issuer, "0f3a", "pipeline")
            .with_claim("client_id", "pipeline")
            .with_claim("preferred_username", "service-account-pipeline"),
        realm_token(&issuer, "0f3a", "pipeline").with_claim("idtyp", "app"),
    ];
    for request in signs {
        let caller = call(&fixture, &authenticator, &request).await.unwrap();
        assert_eq!(
            (caller.kind, caller.id),
            (CallerKind::Application, oidc_id(&issuer, "pipeline"))
        );
    }
}

const KEYCLOAK: &str = "application_claim = \"client_id\"\naccount_claim = \"preferred_username\"";

#[tokio::test]
async fn a_users_token_is_no_applications_whatever_it_carries() {
    let fixture = Fixture::open().await;
    for more in ["application_claim = \"client_id\"", KEYCLOAK] {
        let (issuer, authenticator) = realm(&fixture, more);
        for account in [
            "reader",
            "service-account-",
            "service-account-another",
            "pipeline",
        ] {
            let request = realm_token(&issuer, "reader", "pipeline")
                .with_claim("client_id", "pipeline")
                .with_claim("preferred_username", account);
            let outcome = refusal(&fixture, &authenticator, &request).await;
            assert_eq!(outcome, (403, InsufficientScope), "{more}: {account}");
            let delegated = request.with_claim("scope", "user_impersonation");
            let caller = call(&fixture, &authenticator, &delegated).await.unwrap();
            assert_eq!(
                (caller.kind, caller.id),
                (CallerKind::User, oidc_id(&issuer, "reader")),
                "{more}: {account}"
            );
        }
    }
    // A name that people choose says nothing where it is not configured, and nothing without the mark.
    let (issuer, authenticator) = realm(&fixture, "application_claim = \"client_id\"");
    let chosen = realm_token(&issuer, "reader", "pipeline")
        .with_claim("client_id", "pipeline")
        .with_claim("preferred_username", "service-account-pipeline");
    let outcome = refusal(&fixture, &authenticator, &chosen).await;
    assert_eq!(outcome, (403, InsufficientScope));
    let (issuer, authenticator) = realm(&fixture, KEYCLOAK);
    let unmarked = realm_token(&issuer, "reader", "pipeline")
        .with_claim("preferred_username", "service-account-pipeline");
    let outcome = refusal(&fixture, &authenticator, &unmarked).await;
    assert_eq!(outcome, (403, InsufficientScope));
}

#[tokio::test]
async fn claim_names_are_configured() {
    let fixture = Fixture::open().await;
    let more = "object_claim = \"uid\"\nclient_claim = \"cid\"\nscope_claim = \"permissions\"";
    let (issuer, authenticator) = realm(&fixture, more);
    let request = realm_token(&issuer, "s", "c")
        .with_claim("uid", "reader")
        .with_claim("cid", "cli")
        .with_claim("permissions", vec!["user_impersonation"]);
    assert_eq!(
        call(&fixture, &authenticator, &request).await.unwrap().id,
        oidc_id(&issuer, "reader")
    );

    let application = realm_token(&issuer, "s", "c")
        .with_claim("uid", "cli")
        .with_claim("cid", "cli");
    assert_eq!(
        call(&fixture, &authenticator, &application).await.unwrap().id,
        oidc_id(&issuer, "cli")
    );
}

#[tokio::test]
async fn what_is_refused_at_such_an_issuer() {
    let fixture = Fixture::open().await;
    let (issuer, authenticator) = realm(&fixture, "");
    let good = realm_token(&issuer, "reader", "cli").with_claim("scope", "user_impersonation");
    assert!(call(&fixture, &authenticator, &good).await.is_ok());
    let slashed = format!("{issuer}/");
    let cases = [
        (good.clone().with_claim("scope", "openid"), 403, InsufficientScope),
        (good.clone().without_claim("scope"), 403, InsufficientScope),
        (good.clone().with_claim("idtyp", "device"), 403, InsufficientScope),
        (good.clone().with_claim("aud", "account"), 401, Audience),
        (good.clone().without_claim("sub"), 401, Malformed),
        (good.clone().with_claim("sub", ""), 401, Malformed),
        (
            TokenRequest {
                issuer: Some(slashed),
                ..good.clone()
            },
            401,
            Issuer,
        ),
    ];
    for (request, status, failure) in cases {
        assert_eq!(
            refusal(&fixture, &authenticator, &request).await,
            (status, failure),
            "{request:?}"
        );
    }
}

#[tokio::test]
async fn two_issuers_live_side_by_side() {
    let fixture = Fixture::open().await;
    let issuer = open_realm(&fixture);
    let mut settings = fixture.settings_with(&format!("tenants = [\"{TENANT}\"]"));
    settings.issuers.extend(realm_settings(&issuer, "").issuers);
    let authenticator = Authenticator::new(&settings, fixture.clock()).unwrap();

    let at_entra = call(&fixture, &authenticator, &user()).await.unwrap();
    let request = realm_token(&issuer, "reader", "cli").with_claim("scope", "user_impersonation");
    let at_realm = call(&fixture, &authenticator, &request).await.unwrap();
    assert_eq!((at_entra.tenant_id, at_realm.tenant_id), (TENANT, REALM_TENANT));

    // An audience of one issuer is none of the other's.
    let crossed = request.clone().with_claim("aud", API.to_string());
    assert_eq!(refusal(&fixture, &authenticator, &crossed).await, (401, Audience));
    // Entra's claims do not make a token Entra's.
    let dressed_up = realm_token(&issuer, "reader", "cli").with_claim("ver", "2.0");
    assert_eq!(
        refusal(&fixture, &authenticator, &dressed_up).await,
        (403, InsufficientScope)
    );
}

#[tokio::test]
async fn where_any_entra_tenant_is_welcome_the_other_issuers_tenant_is_not_one() {
    let fixture = Fixture::open().await;
    let issuer = open_realm(&fixture);
    let mut settings = fixture.settings_with(ANY);
    settings.issuers.extend(realm_settings(&issuer, "").issuers);
    let authenticator = Authenticator::new(&settings, fixture.clock()).unwrap();

    let request = TokenRequest {
        tenant: Some(REALM_TENANT),
        ..user()
    };
    let outcome = call_as_customer(&fixture, &authenticator, &request).await;
    assert_eq!(refused(outcome), (401, Issuer));
}

#[tokio::test]
async fn two_entra_authorities_live_side_by_side() {
    let first = Fixture::open().await;
    let second = Fixture::open().await;
    second.issuer.rotate_keys().unwrap();
    second.issuer.retire_previous_keys();
    let mut settings = first.settings_with(&format!("tenants = [\"{TENANT}\"]"));
    let other = second.settings_with("tenants = \"6f8c7a3e-1111-4c2b-9a55-0c0a7c0a0099\"");
    settings.issuers.extend(other.issuers);
    let authenticator = Authenticator::new(&settings, first.clock()).unwrap();

    assert!(call(&first, &authenticator, &user()).await.is_ok());
    let abroad = TokenRequest {
        tenant: Some(super::fixture::OTHER_TENANT),
        ..user()
    };
    assert!(call(&second, &authenticator, &abroad).await.is_ok());
    // The second authority's signature is worth nothing for the first one's tenant.
    let forged = TokenRequest {
        issuer: Some(format!("{BASE_URL}/{TENANT}/v2.0")),
        ..user()
    };
    assert_eq!(refusal(&second, &authenticator, &forged).await, (401, Signature));
}
