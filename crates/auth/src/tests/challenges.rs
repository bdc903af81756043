//! What a caller learns who is turned away.

use super::fixture::{ANY, API, Fixture, TENANT, application, call, user};
use crate::{AuthFailure, AuthSettings, Authenticator, Door};

#[tokio::test]
async fn power_query_finds_its_way_in_two_steps() {
    let fixture = Fixture::open().await;
    let authenticator = fixture.authenticator();
    let authority = format!("{}/{TENANT}", fixture.origin);

    let without = authenticator.authenticate(Door::Vendor, None).await.unwrap_err();
    assert_eq!(
        (without.status().as_u16(), without.failure()),
        (401, AuthFailure::Missing)
    );
    assert_eq!(
        without.www_authenticate(),
        Some(format!("Bearer realm={authority}").as_str())
    );

    for header in ["Bearer", "Bearer ", "bearer  "] {
        let empty = authenticator
            .authenticate(Door::Vendor, Some(header))
            .await
            .unwrap_err();
        let expected = format!("Bearer authorization_uri={authority}/oauth2/authorize");
        assert_eq!(
            (empty.status().as_u16(), empty.www_authenticate()),
            (401, Some(expected.as_str()))
        );
    }
}

#[tokio::test]
async fn an_invalid_token_is_told_where_to_get_a_valid_one() {
    let fixture = Fixture::open().await;
    let authenticator = fixture.authenticator();
    let error = call(
        &fixture,
        &authenticator,
        &application().with_claim("aud", "https://x"),
    )
    .await
    .unwrap_err();

    let authority = format!("{}/{TENANT}", fixture.origin);
    let expected = format!(
        r#"Bearer realm="{authority}", authorization_uri="{authority}/oauth2/authorize", resource_id="{API}", error="invalid_token""#
    );
    assert_eq!(error.www_authenticate(), Some(expected.as_str()));
    assert_eq!((error.code(), error.retry_after()), ("Unauthorized", None));
}

#[tokio::test]
async fn a_token_that_proves_too_little_is_told_what_it_lacks() {
    let fixture = Fixture::open().await;
    let authenticator = fixture.authenticator();
    let error = call(&fixture, &authenticator, &user().without_claim("scp"))
        .await
        .unwrap_err();

    assert_eq!((error.status().as_u16(), error.code()), (403, "Forbidden"));
    let challenge = error.www_authenticate().unwrap();
    assert!(
        challenge.ends_with(r#"error="insufficient_scope", scope="user_impersonation""#),
        "{challenge}"
    );
}

#[tokio::test]
async fn several_tenants_share_the_common_realm() {
    let fixture = Fixture::open().await;
    let error = fixture
        .authenticator_with(ANY)
        .authenticate(Door::Vendor, None)
        .await
        .unwrap_err();
    assert_eq!(
        error.www_authenticate(),
        Some(format!("Bearer realm={}/common", fixture.origin).as_str())
    );
}

#[tokio::test]
async fn another_issuer_is_its_own_realm() {
    let fixture = Fixture::open().await;
    let settings: AuthSettings = toml::from_str(
        r#"
        [[issuers]]
        kind = "oidc"
        issuer = "https://id.cronus.example/realms/cronus"
        tenant = "6f8c7a3e-7777-4c2b-9a55-0c0a7c0a0007"
        audiences = ["fame"]
        authorization_uri = "https://id.cronus.example/realms/cronus/auth"
        "#,
    )
    .unwrap();
    let authenticator = Authenticator::new(&settings, fixture.clock()).unwrap();
    let realm = "https://id.cronus.example/realms/cronus";
    let without = authenticator.authenticate(Door::Vendor, None).await.unwrap_err();
    assert_eq!(
        without.www_authenticate(),
        Some(format!("Bearer realm={realm}").as_str())
    );
    let empty = authenticator
        .authenticate(Door::Vendor, Some("Bearer"))
        .await
        .unwrap_err();
    assert_eq!(
        empty.www_authenticate(),
        Some(format!("Bearer authorization_uri={realm}/auth").as_str())
    );
}
