//! Good tokens of Entra, and whom they speak for.

use entra_local::TokenRequest;
use uuid::Uuid;

use super::fixture::{
    ANY, API, API_URI, CLIENT, Fixture, OTHER_TENANT, SERVICE_PRINCIPAL, TENANT, USER, application, call,
    call_as_customer, refusal, user, v1,
};
use crate::{ApplicationMatch, AuthFailure, Caller, CallerKind, CustomerCaller, Door, MatchedBy};

#[tokio::test]
async fn an_application_is_its_client_id_in_both_versions() {
    let fixture = Fixture::open().await;
    let authenticator = fixture.authenticator();
    for request in [application(), v1(application())] {
        let caller = call(&fixture, &authenticator, &request).await.unwrap();
        let expected = Caller {
            kind: CallerKind::Application,
            tenant_id: TENANT,
            id: CLIENT,
            object_id: Some(SERVICE_PRINCIPAL),
            name: Some("owner".to_owned()),
            address: None,
            is_agent: false,
            is_administrator: false,
            match_by: ApplicationMatch::Either,
            bound_to: None,
        };
        assert_eq!(*caller, expected);
    }
}

#[tokio::test]
async fn a_user_is_its_object_id_in_both_versions_and_never_its_client() {
    let fixture = Fixture::open().await;
    let authenticator = fixture.authenticator();
    let through_application = TokenRequest {
        client: Some("owner".to_owned()),
        ..user()
    };
    for request in [user(), v1(user()), through_application] {
        let caller = call(&fixture, &authenticator, &request).await.unwrap();
        assert_eq!(
            (caller.kind, caller.tenant_id, caller.id),
            (CallerKind::User, TENANT, USER)
        );
        assert_eq!(
            (caller.object_id, caller.name.as_deref()),
            (None, Some("reader-user"))
        );
        let ids: Vec<_> = caller.principal_ids().collect();
        assert_eq!(ids, [(USER, MatchedBy::UserId)]);
    }
}

#[tokio::test]
async fn an_application_without_idtyp_is_known_by_oid_and_sub() {
    let fixture = Fixture::open().await;
    let authenticator = fixture.authenticator();
    for request in [application(), v1(application())] {
        let caller = call(&fixture, &authenticator, &request.without_claim("idtyp"))
            .await
            .unwrap();
        assert_eq!((caller.kind, caller.id), (CallerKind::Application, CLIENT));
    }
}

#[tokio::test]
async fn an_audience_may_be_spelled_in_several_ways() {
    let fixture = Fixture::open().await;
    let authenticator = fixture.authenticator();
    let spellings = [
        API_URI.to_owned(),
        format!("{API_URI}/"),
        "HTTPS://Apps.Contoso.com".to_owned(),
        API.to_string(),
        API.to_string().to_uppercase(),
    ];
    for spelling in spellings {
        let request = v1(application()).with_claim("aud", spelling.clone());
        assert!(
            call(&fixture, &authenticator, &request).await.is_ok(),
            "{spelling}"
        );
    }
    let list = application().with_claim("aud", vec!["https://elsewhere.example", API_URI]);
    assert!(call(&fixture, &authenticator, &list).await.is_ok());
}

#[tokio::test]
async fn clocks_may_differ_by_five_minutes() {
    let fixture = Fixture::open().await;
    let authenticator = fixture.authenticator();
    let just_expired = TokenRequest {
        expires_in: Some(-300),
        ..application()
    };
    let nearly_valid = TokenRequest {
        not_before: Some(300),
        ..application()
    };
    assert!(call(&fixture, &authenticator, &just_expired).await.is_ok());
    assert!(call(&fixture, &authenticator, &nearly_valid).await.is_ok());
}

#[tokio::test]
async fn a_token_without_nbf_is_fine() {
    let fixture = Fixture::open().await;
    let authenticator = fixture.authenticator();
    assert!(
        call(&fixture, &authenticator, &application().without_claim("nbf"))
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn a_user_may_have_more_scopes_than_the_required_one() {
    let fixture = Fixture::open().await;
    let authenticator = fixture.authenticator();
    let request = user().with_claim("scp", "Other.Read user_impersonation");
    assert!(call(&fixture, &authenticator, &request).await.is_ok());

    let more = format!("tenants = [\"{TENANT}\"]\nrequired_scope = \"Other.Read\"");
    assert!(
        call(&fixture, &fixture.authenticator_with(&more), &request)
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn any_tenant_means_every_tenant_and_one_place_to_fetch_from() {
    let fixture = Fixture::open().await;
    let authenticator = fixture.authenticator_with(ANY);
    for tenant in [TENANT, OTHER_TENANT, Uuid::from_u128(77)] {
        for request in [application(), v1(application())] {
            let request = TokenRequest {
                tenant: Some(tenant),
                ..request
            };
            let customer = call_as_customer(&fixture, &authenticator, &request)
                .await
                .unwrap();
            let CustomerCaller::Own(caller) = customer.caller else {
                panic!("a caller of its own tenant");
            };
            assert_eq!((caller.tenant_id, customer.must_be_registered), (tenant, true));
            assert_eq!(
                refusal(&fixture, &authenticator, &request).await,
                (401, AuthFailure::OtherApi)
            );
        }
    }
    assert_eq!(
        fixture.key_fetches(),
        2,
        "one set per version, however many tenants call"
    );
}

#[tokio::test]
async fn the_scheme_is_not_case_sensitive_and_blanks_do_not_matter() {
    let fixture = Fixture::open().await;
    let authenticator = fixture.authenticator();
    let token = fixture.mint(&application());
    for header in [format!("bearer {token}"), format!("BEARER   {token} ")] {
        assert!(
            authenticator
                .authenticate(Door::Vendor, Some(&header))
                .await
                .is_ok()
        );
    }
}

#[tokio::test]
async fn which_id_of_an_application_counts_is_configured() {
    let fixture = Fixture::open().await;
    let by_client = Some(MatchedBy::ClientId);
    let by_object = Some(MatchedBy::ObjectId);
    let cases = [
        ("client_id", by_client, None),
        ("object_id", None, by_object),
        ("either", by_client, by_object),
    ];
    for (setting, client_id, object_id) in cases {
        let more = format!("tenants = [\"{TENANT}\"]\napplications.match = \"{setting}\"");
        let caller = call(&fixture, &fixture.authenticator_with(&more), &application())
            .await
            .unwrap();
        // An application's row names no tenant.
        assert_eq!(
            caller.is_meant_by(CallerKind::Application, CLIENT, None),
            client_id,
            "{setting}"
        );
        assert_eq!(
            caller.is_meant_by(CallerKind::Application, SERVICE_PRINCIPAL, None),
            object_id
        );
        assert_eq!(caller.is_meant_by(CallerKind::User, CLIENT, Some(TENANT)), None);
    }
}

#[tokio::test]
async fn a_users_row_must_name_the_tenant() {
    let fixture = Fixture::open().await;
    let caller = call(&fixture, &fixture.authenticator(), &user()).await.unwrap();
    assert_eq!(
        caller.is_meant_by(CallerKind::User, USER, Some(TENANT)),
        Some(MatchedBy::UserId)
    );
    assert_eq!(
        caller.is_meant_by(CallerKind::User, USER, Some(OTHER_TENANT)),
        None
    );
    assert_eq!(caller.is_meant_by(CallerKind::User, USER, None), None);
}

#[tokio::test]
async fn an_application_is_bound_to_its_tenant_where_several_are_trusted() {
    let fixture = Fixture::open().await;
    let bound = async |more: &str, request| {
        let authenticator = fixture.authenticator_with(more);
        call(&fixture, &authenticator, &request).await.unwrap().bound_to
    };
    let one = format!("tenants = [\"{TENANT}\", \"{TENANT}\"]");
    let both = format!("tenants = [\"{TENANT}\", \"{OTHER_TENANT}\"]");
    assert_eq!(bound(&one, application()).await, None);
    assert_eq!(bound(&both, application()).await, Some(TENANT));
    assert_eq!(bound(&both, user()).await, None);
    let other = TokenRequest {
        tenant: Some(OTHER_TENANT),
        ..application()
    };
    assert_eq!(bound(&both, other.clone()).await, Some(OTHER_TENANT));
    let allowed = format!("{both}\napplications = {{ tenants = \"{OTHER_TENANT}\" }}");
    assert_eq!(bound(&allowed, other).await, None);
    assert_eq!(bound(&allowed, application()).await, Some(TENANT));
    let all = format!("{both}\napplications = {{ tenants = \"any\" }}");
    assert_eq!(bound(&all, application()).await, None);
}
