//! Which API a token opens, and who is at the customers' door.

use entra_local::TokenRequest;
use serde_json::json;
use uuid::Uuid;

use super::fixture::{
    ANY, BASE_URL, Fixture, OTHER_TENANT, TENANT, USER, application, bearer, call_as_customer, refused, user,
    v1,
};
use crate::{AuthError, AuthFailure, AuthFailure::*};
use crate::{Authenticator, CallerKind, CustomerCaller, Delegated, Door};

const MARKER: &str = "08372b87-7d02-482a-9e02-fb03ea5fe193";
const DYNAMICS_ADMINISTRATOR: &str = "44367163-eba1-44c3-98af-f5787879f96a";
const BUSINESS_CENTRAL_ADMINISTRATOR: &str = "963797fb-eb3b-4cde-8ce3-5878b3f32a3f";
const ANY_MEMBER: &str = "b79fbf4d-3ef9-4689-8143-76b194e85509";
const PARTNER: Uuid = OTHER_TENANT;
const TECHNICIAN: Uuid = Uuid::from_u128(7);

fn idp(tenant: Uuid) -> String {
    format!("{BASE_URL}/{tenant}/")
}

fn aai(tenant: Uuid) -> String {
    format!("tenant: {tenant}, object: {TECHNICIAN}")
}

/// As Entra makes the token of a partner's technician in a customer's tenant.
fn delegated() -> TokenRequest {
    user()
        .without_claim("oid")
        .with_claim("idp", idp(PARTNER))
        .with_claim("aai", aai(PARTNER))
        .with_claim("wids", json!([MARKER, DYNAMICS_ADMINISTRATOR]))
}

async fn at_every_door(
    fixture: &Fixture,
    authenticator: &Authenticator,
    request: &TokenRequest,
) -> Vec<Option<AuthFailure>> {
    let token = bearer(&fixture.mint(request));
    let failure = |error: AuthError| {
        assert_eq!(error.status(), 401);
        error.failure()
    };
    vec![
        authenticator
            .authenticate(Door::Vendor, Some(&token))
            .await
            .err()
            .map(failure),
        authenticator
            .authenticate(Door::Operator, Some(&token))
            .await
            .err()
            .map(failure),
        authenticator
            .authenticate_agent(Some(&token))
            .await
            .err()
            .map(failure),
        authenticator
            .authenticate_customer(Some(&token))
            .await
            .err()
            .map(failure),
    ]
}

async fn delegated_caller(fixture: &Fixture, request: &TokenRequest) -> Delegated {
    let customer = call_as_customer(fixture, &fixture.authenticator(), request)
        .await
        .unwrap();
    match customer.caller {
        CustomerCaller::Delegated(delegated) => delegated.as_ref().clone(),
        own => panic!("{own:?}"),
    }
}

#[tokio::test]
async fn a_delegated_administrator_is_known_by_their_own_tenant_in_both_versions() {
    let fixture = Fixture::open().await;
    for request in [delegated(), v1(delegated())] {
        let expected = Delegated {
            tenant_id: TENANT,
            partner_tenant_id: PARTNER,
            partner_object_id: Some(TECHNICIAN),
            name: Some("reader-user".to_owned()),
            is_administrator: true,
        };
        assert_eq!(delegated_caller(&fixture, &request).await, expected);
    }
}

#[tokio::test]
async fn a_delegation_opens_the_customers_door_alone() {
    let fixture = Fixture::open().await;
    let authenticator = fixture.authenticator();
    let marked = delegated().with_claim("oid", USER.to_string());
    for request in [delegated(), v1(delegated()), marked] {
        let outcomes = at_every_door(&fixture, &authenticator, &request).await;
        assert_eq!(outcomes, [Some(OtherApi), Some(OtherApi), Some(OtherApi), None]);
    }
}

#[tokio::test]
async fn what_a_delegation_does_not_say_is_not_made_up() {
    let fixture = Fixture::open().await;
    let without_object = delegated().without_claim("aai");
    assert_eq!(
        delegated_caller(&fixture, &without_object)
            .await
            .partner_object_id,
        None
    );
    let marked = delegated()
        .without_claim("aai")
        .with_claim("oid", USER.to_string());
    assert_eq!(delegated_caller(&fixture, &marked).await.partner_object_id, None);
    for roles in [json!([MARKER]), json!([MARKER, ANY_MEMBER]), json!(MARKER)] {
        let request = delegated().with_claim("wids", roles);
        assert!(!delegated_caller(&fixture, &request).await.is_administrator);
    }
    let by_role = delegated().with_claim("wids", json!([BUSINESS_CENTRAL_ADMINISTRATOR]));
    assert!(delegated_caller(&fixture, &by_role).await.is_administrator);
}

#[tokio::test]
async fn a_delegation_that_contradicts_itself_is_none() {
    let fixture = Fixture::open().await;
    let authenticator = fixture.authenticator();
    let elsewhere = Uuid::from_u128(9);
    let wrong = [
        user().without_claim("oid"),
        application().without_claim("oid"),
        delegated().without_claim("idp"),
        delegated().without_claim("scp"),
        delegated().with_claim("idtyp", "app"),
        delegated().with_claim("aai", aai(elsewhere)),
        delegated().with_claim("aai", format!("object: {TECHNICIAN}, tenant: {PARTNER}")),
        delegated().with_claim("aai", format!("tenant: {PARTNER}")),
        delegated().with_claim("aai", ""),
        delegated().with_claim("aai", 7),
        delegated().with_claim("aai", format!("tenant: {PARTNER}, object: ")),
        delegated().with_claim("idp", PARTNER.to_string()),
        delegated().with_claim("idp", format!("https://elsewhere.example/{PARTNER}/")),
        delegated()
            .with_claim("idp", idp(TENANT))
            .with_claim("aai", aai(TENANT)),
        delegated().with_claim("idp", "live.com"),
        user().with_claim("wids", json!([MARKER, DYNAMICS_ADMINISTRATOR])),
    ];
    for request in wrong {
        let outcome = call_as_customer(&fixture, &authenticator, &request).await;
        assert_eq!(refused(outcome), (401, Malformed), "{request:?}");
    }
}

#[tokio::test]
async fn a_guest_is_a_user_of_the_tenant_whose_guest_they_are() {
    let fixture = Fixture::open().await;
    let guest = user().with_claim("idp", idp(PARTNER));
    let customer = call_as_customer(&fixture, &fixture.authenticator(), &guest)
        .await
        .unwrap();
    let CustomerCaller::Own(caller) = customer.caller else {
        panic!("a guest is no partner");
    };
    assert_eq!(
        (caller.kind, caller.id, caller.tenant_id),
        (CallerKind::User, USER, TENANT)
    );
}

#[tokio::test]
async fn administrators_are_told_by_their_roles() {
    let fixture = Fixture::open().await;
    let authenticator = fixture.authenticator();
    let cases = [
        (user(), false),
        (user().with_claim("wids", json!([ANY_MEMBER])), false),
        (
            user().with_claim("wids", json!([ANY_MEMBER, DYNAMICS_ADMINISTRATOR])),
            true,
        ),
        (
            user().with_claim("wids", json!([BUSINESS_CENTRAL_ADMINISTRATOR])),
            true,
        ),
        (
            user().with_claim("roles", json!(["AdminCenter.ReadWrite.All"])),
            false,
        ),
        (application(), false),
        (
            application().with_claim("wids", json!([DYNAMICS_ADMINISTRATOR])),
            false,
        ),
        (
            application().with_claim("roles", json!(["AdminCenter.Read.All"])),
            false,
        ),
        (
            application().with_claim("roles", json!(["AdminCenter.ReadWrite.All"])),
            true,
        ),
    ];
    for (request, expected) in cases {
        let customer = call_as_customer(&fixture, &authenticator, &request)
            .await
            .unwrap();
        let CustomerCaller::Own(caller) = customer.caller else {
            panic!("a caller of its own tenant");
        };
        assert_eq!(caller.is_administrator, expected, "{request:?}");
    }
}

#[tokio::test]
async fn a_tenant_is_trusted_for_the_doors_of_its_entry() {
    let fixture = Fixture::open().await;
    let agents = application().with_claim("roles", json!(["Fame.Agent"]));
    let doors = [Door::Vendor, Door::Operator, Door::Agent, Door::Customer];
    for (at, name) in ["vendor", "operator", "agent", "customer"]
        .into_iter()
        .enumerate()
    {
        let authenticator =
            fixture.authenticator_with(&format!("tenants = [\"{TENANT}\"]\ndoors = [\"{name}\"]"));
        let asks = if doors[at] == Door::Agent {
            &agents
        } else {
            &application()
        };
        let mut expected = vec![Some(OtherApi); doors.len()];
        expected[at] = None;
        assert_eq!(
            at_every_door(&fixture, &authenticator, asks).await,
            expected,
            "{name}"
        );
    }
}

#[tokio::test]
async fn the_token_of_an_agent_is_none_of_a_customer() {
    let fixture = Fixture::open().await;
    let roles = json!(["Fame.Agent", "AdminCenter.ReadWrite.All"]);
    let outcome = call_as_customer(
        &fixture,
        &fixture.authenticator(),
        &application().with_claim("roles", roles),
    )
    .await;
    assert_eq!(refused(outcome), (401, OtherApi));
}

#[tokio::test]
async fn a_tenant_that_is_listed_is_none_of_any() {
    let fixture = Fixture::open().await;
    let mut settings = fixture.settings_with(ANY);
    let listed = fixture.settings_with(&format!("tenants = [\"{TENANT}\"]"));
    settings.issuers.extend(listed.issuers);
    let authenticator = Authenticator::new(&settings, fixture.clock()).unwrap();
    let of = |tenant| TokenRequest {
        tenant: Some(tenant),
        ..application()
    };
    let [listed, other] = [TENANT, OTHER_TENANT].map(of);
    assert_eq!(
        at_every_door(&fixture, &authenticator, &listed).await,
        [None, None, Some(OtherApi), None]
    );
    let as_any = vec![Some(OtherApi), Some(OtherApi), Some(OtherApi), None];
    assert_eq!(at_every_door(&fixture, &authenticator, &other).await, as_any);
    let customer = call_as_customer(&fixture, &authenticator, &listed).await.unwrap();
    assert!(!customer.must_be_registered);
    let customer = call_as_customer(&fixture, &authenticator, &other).await.unwrap();
    assert!(customer.must_be_registered);
}
