//! Who is let in, what the others are told, and in which order.

use crate::harness::{
    API, APP, Backend, CUSTOMER, Caller, HOME_TENANT, Harness, PARTNER_TENANT, Person, RESELLER_TENANT,
    issuer_url, mint, on_both_databases, publisher, run,
};
use entra_local::{SigningKeyChoice, TokenAlgorithm, TokenRequest, TokenVersion};
use serde_json::json;
use uuid::Uuid;

on_both_databases!(
    both_kinds_of_token_are_understood,
    without_a_token_a_browser_is_told_where_to_sign_in,
    a_bad_token_is_refused_without_details,
    what_is_no_token_for_a_door_opens_it_for_nobody,
    tokens_that_prove_too_little_are_forbidden,
    the_order_is_401_404_403_400,
    operators_and_principals_are_kept_apart,
    a_token_of_another_tenant_is_refused,
    an_application_is_bound_to_the_publishers_tenant,
    operators_let_applications_of_other_tenants_in,
    a_setting_lets_in_all_applications_of_a_tenant,
    an_operator_is_of_the_tenant_that_is_named,
);

const APPS: &str = "/v1.4/apps";

async fn both_kinds_of_token_are_understood(backend: Backend) {
    let service = Harness::start(backend).await;
    for person in [Person::READER, Person::READER_USER] {
        for version in [TokenVersion::V1, TokenVersion::V2] {
            for audience in [None, Some(API.to_string())] {
                let request = TokenRequest {
                    version: Some(version),
                    audience,
                    ..person.token()
                };
                let caller = service.caller_with_token(mint(&request));
                assert_eq!(
                    caller.get(APPS).await.expect(200).column("id"),
                    [APP.to_string()],
                    "{request:?}"
                );
            }
        }
    }
    let lower = service.nobody().get(APPS).header(
        "authorization",
        format!("bearer {}", mint(&Person::READER.token())),
    );
    lower.await.expect(200);
}

async fn without_a_token_a_browser_is_told_where_to_sign_in(backend: Backend) {
    let service = Harness::start(backend).await;
    let realm = format!("{}/{HOME_TENANT}", issuer_url());
    let nobody = service.nobody().get(APPS).await.refused(401, "Unauthorized");
    assert_eq!(nobody.header("www-authenticate"), format!("Bearer realm={realm}"));
    for empty in ["Bearer", "Bearer "] {
        let answer = service
            .nobody()
            .get(APPS)
            .header("authorization", empty)
            .await
            .refused(401, "Unauthorized");
        let expected = format!("Bearer authorization_uri={realm}/oauth2/authorize");
        assert_eq!(answer.header("www-authenticate"), expected);
    }
    let basic = service
        .nobody()
        .get(APPS)
        .header("authorization", "Basic b3duZXI6c2VjcmV0")
        .await;
    basic.refused(401, "Unauthorized");
}

async fn a_bad_token_is_refused_without_details(backend: Backend) {
    let service = Harness::start(backend).await;
    let owner = || Person::OWNER.token();
    let tampered = {
        let token = mint(&owner());
        let other = mint(&Person::READER.token());
        let signature = other.rsplit('.').next().unwrap().to_owned();
        format!("{}.{signature}", token.rsplit_once('.').unwrap().0)
    };
    let mut bad: Vec<(&str, String)> = vec![
        ("tampered", tampered),
        ("no token at all", "no-token".into()),
        ("two parts", "a.b".into()),
        ("rubbish", "a.b.c".into()),
        ("too long", "x".repeat(20_000)),
    ];
    let requests = [
        (
            "expired",
            TokenRequest {
                expires_in: Some(-600),
                ..owner()
            },
        ),
        (
            "not yet valid",
            TokenRequest {
                not_before: Some(3_600),
                ..owner()
            },
        ),
        (
            "another audience",
            TokenRequest {
                audience: Some("api://another".into()),
                ..owner()
            },
        ),
        (
            "another issuer",
            TokenRequest {
                issuer: Some("https://login.fabrikam.com/v2.0".into()),
                ..owner()
            },
        ),
        (
            "a strange key",
            TokenRequest {
                key: SigningKeyChoice::Unknown,
                ..owner()
            },
        ),
        (
            "an unknown key id",
            TokenRequest {
                kid: Some("nobody's".into()),
                ..owner()
            },
        ),
        (
            "unsigned",
            TokenRequest {
                alg: TokenAlgorithm::None,
                ..owner()
            },
        ),
        (
            "signed with the public key",
            TokenRequest {
                alg: TokenAlgorithm::Hs256WithPublicKey,
                ..owner()
            },
        ),
        ("without an end", owner().without_claim("exp")),
        ("without a tenant", owner().without_claim("tid")),
        ("without an audience", owner().without_claim("aud")),
        (
            "both kinds at once",
            owner().with_claim("scp", "user_impersonation"),
        ),
    ];
    bad.extend(requests.into_iter().map(|(what, request)| (what, mint(&request))));
    for (what, token) in bad {
        let answer = service.caller_with_token(token.clone()).get(APPS).await;
        let answer = answer.refused(401, "Unauthorized");
        let challenge = answer.header("www-authenticate");
        assert!(
            challenge.contains("error=\"invalid_token\"") && challenge.contains("realm="),
            "{what}: {challenge}"
        );
        assert!(!answer.text().contains(&token), "{what}");
    }
    service.owner().get(APPS).await.expect(200);
}

/// I5: what somebody has besides an access token for this service, and what opens another of its doors.
async fn what_is_no_token_for_a_door_opens_it_for_nobody(backend: Backend) {
    let service = Harness::with(backend).publishing().start().await;
    service
        .owner()
        .trusts(Uuid::from_u128(1), &publisher())
        .await
        .expect(201);
    let of_run = service.has_run().await;
    let of_agent = service.has_agent("agent").await;
    let text = |caller: &Caller| caller.authorization().replace("Bearer ", "");
    let owner = || Person::OWNER_USER.token();
    let client = "4bb9d09b-9856-5934-bb34-e11bf6360c9e";
    let mut others: Vec<(&str, String)> = vec![
        // Issuers give out refresh tokens that nobody but they can read.
        ("a refresh token", "0.AXoA1a2B3c4D5e6F7g8H9i0J.AgABAAEAAAD".into()),
        ("a pipeline's own token", mint(&run())),
    ];
    let id_token = owner()
        .with_claim("nonce", "678910")
        .without_claim("scp")
        .without_claim("azp");
    for (what, request) in [
        ("an id token", id_token.with_claim("aud", client)),
        (
            "a token for the console's application",
            owner().with_claim("aud", client),
        ),
        (
            "a token for another service",
            owner().with_claim("aud", "https://graph.microsoft.com"),
        ),
    ] {
        others.push((what, mint(&request)));
    }
    for kind in ["id+jwt", "logout+jwt", "dpop+jwt", "secevent+jwt", ""] {
        let header = [("typ".to_owned(), json!(kind))].into_iter().collect();
        let mistyped = TokenRequest { header, ..owner() };
        others.push(("another typ", mint(&mistyped)));
    }
    let doors = [
        "/v1.4/apps",
        "/operator/v1/apps",
        "/admin/v2.0/applications/environments",
    ];
    for (what, token) in &others {
        let caller = service.caller_with_token(token.clone());
        for door in doors {
            let refused = caller.get(door).await;
            assert_eq!(refused.status, 401, "{what} at {door}: {refused:?}");
        }
        let claim = caller
            .in_session(Uuid::new_v4())
            .post("/agent/v1/claim", json!({ "max": 1 }))
            .await;
        assert_eq!(claim.status, 401, "{what} at the agents' door: {claim:?}");
        let end = caller.delete("/oidc/token").await;
        assert_eq!(end.status, 401, "{what} at /oidc/token: {end:?}");
    }
    // What is no token of a pipeline's run is exchanged for nothing.
    let others = others
        .iter()
        .filter(|(what, _)| *what != "a pipeline's own token");
    let of_service = [
        ("the token of a run", text(&of_run)),
        ("an agent's token", text(&of_agent)),
    ];
    for (what, token) in others.cloned().chain(of_service) {
        let exchanged = service
            .nobody()
            .post("/oidc/exchange", json!({ "token": token }))
            .await;
        assert_eq!(exchanged.status, 401, "{what} at /oidc/exchange: {exchanged:?}");
    }
    // What the service itself gives out opens one door each.
    for (caller, own) in [(&of_run, Some(doors[0])), (&of_agent, None)] {
        for door in doors {
            let expected = if own == Some(door) { 200 } else { 401 };
            caller.get(door).await.expect(expected);
        }
    }
    of_run
        .in_session(Uuid::new_v4())
        .post("/agent/v1/claim", json!({ "max": 1 }))
        .await
        .expect(401);
    of_agent.delete("/oidc/token").await.expect(401);
    for kind in ["JWT", "at+jwt", "application/at+jwt"] {
        let header = [("typ".to_owned(), json!(kind))].into_iter().collect();
        let typed = TokenRequest { header, ..owner() };
        service
            .caller_with_token(mint(&typed))
            .get(doors[0])
            .await
            .expect(200);
    }
}

async fn tokens_that_prove_too_little_are_forbidden(backend: Backend) {
    let service = Harness::start(backend).await;
    for request in [
        Person::OWNER_USER.token().with_claim("scp", "email"),
        Person::OWNER_USER.token().without_claim("scp"),
        Person::OWNER.token().with_claim("idtyp", "device"),
    ] {
        let answer = service
            .caller_with_token(mint(&request))
            .get(APPS)
            .await
            .refused(403, "Forbidden");
        assert!(
            answer.header("www-authenticate").contains("insufficient_scope"),
            "{answer:?}"
        );
    }
}

/// Each request is wrong in every later respect as well.
async fn the_order_is_401_404_403_400(backend: Backend) {
    let service = Harness::start(backend).await;
    let wrong = json!({ "roles": ["Admin"] });
    let path = format!("/v1.4/apps/{APP}/principals/{}", Uuid::from_u128(5));
    let sends = |caller: crate::harness::Caller| {
        caller
            .patch(&path, wrong.clone())
            .header("if-match", "\"x\"")
            .into_future()
    };
    sends(service.nobody()).await.refused(401, "Unauthorized");
    sends(service.stranger())
        .await
        .refused(404, "ResourceDoesNotExist");
    sends(service.reader()).await.refused(403, "Forbidden");
    sends(service.owner()).await.refused(400, "InvalidInput");
    let good = json!({ "type": "Application", "roles": ["Reader"] });
    let stale = service
        .owner()
        .patch(&path, good)
        .header("if-match", "\"x\"")
        .await;
    stale.refused(412, "PreconditionFailed");
    // A segment that cannot be read is like a body: only who may is told.
    let odd = format!("/v1.4/apps/{APP}/countries/Nowhere");
    service
        .nobody()
        .patch(&odd, json!({}))
        .await
        .refused(401, "Unauthorized");
    service
        .stranger()
        .patch(&odd, json!({}))
        .await
        .refused(404, "ResourceDoesNotExist");
    service
        .reader()
        .patch(&odd, json!({}))
        .await
        .refused(403, "Forbidden");
    service
        .owner()
        .patch(&odd, json!({}))
        .await
        .refused(400, "InvalidInput");
}

async fn operators_and_principals_are_kept_apart(backend: Backend) {
    let service = Harness::start(backend).await;
    service
        .operator()
        .get(format!("/v1.4/apps/{APP}"))
        .await
        .refused(404, "ResourceDoesNotExist");
    for path in [
        "/operator/v1/apps",
        "/operator/v1/environments",
        "/operator/v1/audit",
        "/operator/v1/operations",
    ] {
        service.operator().get(path).await.expect(200);
        service.nobody().get(path).await.refused(401, "Unauthorized");
        for caller in [service.owner(), service.owner_user(), service.stranger()] {
            let status = caller.get(path).await.status;
            assert!([403, 404].contains(&status), "{path}: {status}");
        }
    }
    // A user with the operator's id is somebody else.
    let user = Person::OWNER_USER
        .token()
        .with_claim("oid", Person::OPERATOR.id.to_string());
    let status = service
        .caller_with_token(mint(&user))
        .get("/operator/v1/apps")
        .await
        .status;
    assert!([403, 404].contains(&status), "{status}");
}

async fn a_token_of_another_tenant_is_refused(backend: Backend) {
    let service = Harness::start(backend).await;
    let foreign = TokenRequest {
        tenant: Some(CUSTOMER),
        ..Person::OWNER.token()
    };
    service
        .caller_with_token(mint(&foreign))
        .get(APPS)
        .await
        .refused(401, "Unauthorized");
}

/// The same person with a token of another tenant, which any administrator there could get for an application.
fn of_tenant(service: &Harness, person: &Person, tenant: Uuid) -> Caller {
    let request = TokenRequest {
        tenant: Some(tenant),
        ..person.token()
    };
    service.caller_with_token(mint(&request))
}

async fn an_application_is_bound_to_the_publishers_tenant(backend: Backend) {
    let both = [HOME_TENANT, PARTNER_TENANT];
    let service = Harness::with(backend).trusting(&both, json!({})).start().await;
    let uploaded = service.owner().has_uploaded("1.0.0.0").await.json();
    let app = format!("/v1.4/apps/{APP}");
    let version = format!("{app}/countries/US/versions/1.0.0.0");
    let paths = [
        app.clone(),
        format!("{app}/principals"),
        format!("{app}/principals/{}", Person::READER.id),
        format!("{app}/countries"),
        format!("{app}/countries/US"),
        version.clone(),
        format!("{version}/getPackageContents"),
        format!("{app}/countries/US/environments"),
    ];
    for person in [Person::OWNER, Person::CONTRIBUTOR, Person::READER] {
        let foreign = of_tenant(&service, &person, PARTNER_TENANT);
        assert_eq!(foreign.get(APPS).await.expect(200).rows(), [json!(null); 0]);
        for path in &paths {
            foreign.get(path).await.refused(404, "ResourceDoesNotExist");
        }
        foreign
            .patch(&version, json!({ "availability": "Preview" }))
            .await
            .refused(404, "ResourceDoesNotExist");
    }
    // By the object id of their service principal they are no more than by their client id.
    let own = Person::OWNER.service_principal().to_string();
    let both_ids = TokenRequest {
        tenant: Some(PARTNER_TENANT),
        ..Person::STRANGER.token().with_claim("oid", own)
    };
    let foreign = service.caller_with_token(mint(&both_ids));
    foreign.get(&app).await.refused(404, "ResourceDoesNotExist");
    // At home nothing changes.
    assert_eq!(service.reader().get(&version).await.expect(200).json(), uploaded);
    service.owner_user().get(&app).await.expect(200);
    // The publisher's tenant is the operator's word.
    let moved = json!({ "publisherAadTenantId": PARTNER_TENANT });
    service
        .operator()
        .patch(format!("/operator/v1/apps/{APP}"), moved)
        .await
        .expect(200);
    service
        .owner()
        .get(&app)
        .await
        .refused(404, "ResourceDoesNotExist");
    let moved = of_tenant(&service, &Person::OWNER, PARTNER_TENANT);
    assert_eq!(moved.get(APPS).await.expect(200).column("id"), [APP.to_string()]);
    for path in &paths {
        moved.get(path).await.expect(200);
    }
}

async fn operators_let_applications_of_other_tenants_in(backend: Backend) {
    let all = [HOME_TENANT, PARTNER_TENANT, RESELLER_TENANT];
    let service = Harness::with(backend).trusting(&all, json!({})).start().await;
    let app = format!("/v1.4/apps/{APP}");
    let documented = format!("{app}/principals/{}", Person::CONTRIBUTOR.id);
    let path = format!("/operator/v1/apps/{APP}/principals/{}", Person::CONTRIBUTOR.id);
    let at = |tenant| of_tenant(&service, &Person::CONTRIBUTOR, tenant);
    let unchanged = service.owner().get(&documented).await.expect(200).json();
    let first = service.operator().put(&path, json!({})).await.expect(200);
    assert_eq!(first.property("tokenTenant"), "publisher");
    assert_eq!(first.etag(), unchanged["_etag"].as_str().unwrap());

    let partner = json!({ "tokenTenant": PARTNER_TENANT });
    let allowed = service.operator().put(&path, partner).await.expect(200);
    assert_eq!(allowed.property("tokenTenant"), PARTNER_TENANT.to_string());
    assert_ne!(allowed.etag(), first.etag());
    at(HOME_TENANT).get(&app).await.expect(200);
    at(PARTNER_TENANT).get(&app).await.expect(200);
    at(RESELLER_TENANT)
        .get(&app)
        .await
        .refused(404, "ResourceDoesNotExist");
    // Owners change roles, and neither see nor change this.
    let roles = json!({ "roles": ["Reader"], "tokenTenant": "any" });
    drop(service.owner().patch(&documented, roles).await);
    let roles = json!({ "roles": ["Reader"] });
    let shown = service.owner().patch(&documented, roles).await.expect(200).json();
    let properties =
        |entity: &serde_json::Value| -> Vec<String> { entity.as_object().unwrap().keys().cloned().collect() };
    assert_eq!(properties(&shown), properties(&unchanged));
    at(RESELLER_TENANT)
        .get(&app)
        .await
        .refused(404, "ResourceDoesNotExist");
    at(PARTNER_TENANT).get(&app).await.expect(200);

    let service = service.restart().await;
    let at = |tenant| of_tenant(&service, &Person::CONTRIBUTOR, tenant);
    let any = service
        .operator()
        .put(&path, json!({ "tokenTenant": "any" }))
        .await
        .expect(200);
    assert_eq!(any.property("tokenTenant"), "any");
    at(RESELLER_TENANT).get(&app).await.expect(200);
    let publisher = json!({ "tokenTenant": "publisher" });
    service.operator().put(&path, publisher).await.expect(200);
    at(HOME_TENANT).get(&app).await.expect(200);
    for tenant in [PARTNER_TENANT, RESELLER_TENANT] {
        at(tenant).get(&app).await.refused(404, "ResourceDoesNotExist");
    }
    let target = format!("apps/{APP}/principals/{}", Person::CONTRIBUTOR.id);
    let audit = format!("/operator/v1/audit?$filter=target eq '{target}'&$orderby=id");
    let audit = service.operator().get(audit).await.expect(200).rows();
    let tenants: Vec<_> = audit
        .iter()
        .map(|row| row["after"]["tokenTenant"].clone())
        .collect();
    let (none, partner) = (json!(null), json!(PARTNER_TENANT));
    assert_eq!(
        tenants,
        [none.clone(), partner.clone(), partner, json!("any"), none]
    );

    let wrong = json!({ "tokenTenant": "everybody" });
    let refused = service
        .operator()
        .put(&path, wrong)
        .await
        .refused(400, "InvalidInput");
    assert_eq!(refused.target(), "tokenTenant");
    assert!(refused.message().contains("'everybody'"), "{}", refused.message());
    let user = format!("/operator/v1/apps/{APP}/principals/{}", Person::READER_USER.id);
    let refused = service
        .operator()
        .put(&user, json!({ "tokenTenant": "any" }))
        .await;
    refused.broke_rule("TokenTenantNotAllowed");
}

async fn a_setting_lets_in_all_applications_of_a_tenant(backend: Backend) {
    let all = [HOME_TENANT, PARTNER_TENANT, RESELLER_TENANT];
    let allowed = json!({ "tenants": [PARTNER_TENANT] });
    let service = Harness::with(backend).trusting(&all, allowed).start().await;
    let app = format!("/v1.4/apps/{APP}");
    let at = |tenant| of_tenant(&service, &Person::READER, tenant);
    at(HOME_TENANT).get(&app).await.expect(200);
    at(PARTNER_TENANT).get(&app).await.expect(200);
    at(RESELLER_TENANT)
        .get(&app)
        .await
        .refused(404, "ResourceDoesNotExist");
}

async fn an_operator_is_of_the_tenant_that_is_named(backend: Backend) {
    let both = [HOME_TENANT, PARTNER_TENANT];
    let plan = || Harness::with(backend).trusting(&both, json!({ "tenants": "any" }));
    let service = plan().start_empty().await;
    let path = "/operator/v1/apps";
    service.operator().get(path).await.expect(200);
    let foreign = of_tenant(&service, &Person::OPERATOR, PARTNER_TENANT);
    foreign.get(path).await.refused(403, "Forbidden");
}
