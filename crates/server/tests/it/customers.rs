//! Who is let in at the customers' door, and who says so.

use crate::harness::{
    ADMINISTRATOR, APP, Answer, Backend, CUSTOMER, Caller, Environment, HOME_TENANT, Harness, OTHER_CUSTOMER,
    PARTNER_TENANT, Person, TECHNICIAN, admin_path, administrator_of, client_of, customer_path, issuers,
    mint, on_both_databases, partner_entry, partner_of, user_of,
};
use entra_local::TokenRequest;
use serde_json::{Value, json};
use uuid::Uuid;

on_both_databases!(
    operators_register_customers,
    a_registration_that_cannot_be_is_refused,
    each_door_has_its_own_tenants,
    users_have_a_directory_role_or_are_named,
    applications_have_the_role_and_are_listed,
    a_delegated_token_opens_the_door_of_a_customer_who_let_it_in,
    a_partnership_ends_at_its_instant,
    customers_see_and_end_the_access_of_partners,
    of_any_tenant_only_the_registered_come_in,
    a_frozen_caller_changes_nothing,
    so_many_changes_an_hour_in_all_tenants_together,
);

const ENVIRONMENTS: &str = "/admin/v2.28/applications/environments";

async fn service(backend: Backend) -> Harness {
    let service = Harness::start(backend).await;
    let environment = Environment::my_customer("16.0.0.5");
    service.operator().reports(&environment).await.expect(201);
    service
}

fn unknown() -> String {
    admin_path("MyCustomer", "")
}

async fn operators_register_customers(backend: Backend) {
    let service = Harness::start(backend).await;
    let operator = service.operator();
    let body = json!({
        "administrators": [ADMINISTRATOR],
        "clients": [Person::STRANGER.id, Person::READER.id, Person::READER.id],
        "partners": [partner_entry()],
    });
    let registered = service
        .registers_customer(CUSTOMER, body.clone())
        .await
        .expect(201);
    let shown = registered.json();
    assert_eq!(shown["aadTenantId"], json!(CUSTOMER));
    assert_eq!(shown["administrators"], json!([ADMINISTRATOR]));
    assert_eq!(shown["clients"], json!([Person::READER.id, Person::STRANGER.id]));
    assert_eq!(shown["partners"][0]["tenantId"], json!(PARTNER_TENANT));
    assert_eq!(shown["partners"][0]["expiresOn"], "2021-01-01T00:00:00.0000000Z");
    let path = customer_path(CUSTOMER);
    assert_eq!(operator.get(&path).await.expect(200).json(), shown);
    assert_eq!(
        operator.get("/operator/v1/customers").await.expect(200).rows(),
        std::slice::from_ref(&shown)
    );

    // What was shown can be sent back.
    let again = operator
        .put(&path, shown.clone())
        .header("if-match", registered.etag());
    let again = again.await.expect(200);
    operator
        .put(&path, json!({}))
        .header("if-match", registered.etag())
        .await
        .refused(412, "PreconditionFailed");
    operator
        .delete(&path)
        .header("if-match", again.etag())
        .await
        .expect(204);
    operator.get(&path).await.refused(404, "ResourceDoesNotExist");
    operator.delete(&path).await.refused(404, "ResourceDoesNotExist");

    let audit = operator.get("/operator/v1/audit").await.expect(200);
    let of_customers: Vec<_> = audit
        .rows()
        .into_iter()
        .filter(|row| row["target"] == format!("customers/{CUSTOMER}"))
        .collect();
    let actions: Vec<_> = of_customers
        .iter()
        .map(|row| row["action"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        actions,
        ["customers/write", "customers/write", "customers/delete"]
    );
    assert_eq!(
        of_customers[0]["after"]["clients"],
        json!([Person::READER.id, Person::STRANGER.id])
    );
}

async fn a_registration_that_cannot_be_is_refused(backend: Backend) {
    let service = Harness::start(backend).await;
    let partner =
        |tenant: Uuid, until: &str| json!({ "partners": [{ "tenantId": tenant, "expiresOn": until }] });
    let wrong = [
        (json!({ "client": [] }), "client"),
        (json!({ "clients": ["me"] }), "clients"),
        (json!({ "administrators": [Uuid::nil()] }), "administrators"),
        (
            json!({ "clients": vec![0; 101].iter().map(|_| Uuid::new_v4()).collect::<Vec<_>>() }),
            "clients",
        ),
        (json!({ "aadTenantId": OTHER_CUSTOMER }), "aadTenantId"),
        (partner(CUSTOMER, "2020-06-01T00:00:00Z"), "partners[0].tenantId"),
        (
            partner(PARTNER_TENANT, "2022-03-05T12:00:00.0000001Z"),
            "partners[0].expiresOn",
        ),
        (
            json!({ "partners": [{ "tenantId": PARTNER_TENANT }] }),
            "partners[0].expiresOn",
        ),
        (
            json!({ "partners": [{ "expiresOn": "2020-06-01T00:00:00Z" }] }),
            "partners[0].tenantId",
        ),
        (
            json!({ "partners": [{ "tenantId": PARTNER_TENANT, "until": 1 }] }),
            "partners[0].until",
        ),
    ];
    for (body, target) in wrong {
        let refused = service
            .registers_customer(CUSTOMER, body)
            .await
            .refused(400, "InvalidInput");
        assert_eq!(refused.target(), target, "{refused:?}");
    }
    let longest = partner(PARTNER_TENANT, "2022-03-05T12:00:00Z");
    service.registers_customer(CUSTOMER, longest).await.expect(201);
}

async fn each_door_has_its_own_tenants(backend: Backend) {
    let service = service(backend).await;
    // A principal of the very id, so that nothing but the door is in the way.
    let id = ADMINISTRATOR;
    let path = format!("{}/principals/{id}", service.owner().app_path());
    let as_user = json!({ "type": "User", "aadTenantId": CUSTOMER, "roles": ["Owner"] });
    service.owner().patch(path, as_user).await.expect(200);
    let administrator = service.administrator();
    administrator.get(ENVIRONMENTS).await.expect(200);
    for elsewhere in ["/v1.0/apps", "/operator/v1/apps", "/operator/v1/customers"] {
        administrator.get(elsewhere).await.refused(401, "Unauthorized");
    }
    administrator
        .post("/agent/v1/claim", json!({ "max": 1 }))
        .await
        .refused(401, "Unauthorized");
    // The other way round: good tokens of the vendor's half that administer nothing, and an agent's.
    for caller in [service.owner(), service.operator(), service.owner_user()] {
        let refused = caller.get(ENVIRONMENTS).await.refused(403, "Forbidden");
        assert!(
            refused.message().contains(&HOME_TENANT.to_string()),
            "{refused:?}"
        );
    }
    service
        .has_agent("agent")
        .await
        .get(ENVIRONMENTS)
        .await
        .refused(401, "Unauthorized");
    service
        .nobody()
        .get(ENVIRONMENTS)
        .await
        .refused(401, "Unauthorized");
}

async fn users_have_a_directory_role_or_are_named(backend: Backend) {
    let service = service(backend).await;
    let without = service.with_token(&user_of(CUSTOMER));
    service.administrator().get(unknown()).await.expect(200);
    let refused = without.get(unknown()).await.refused(403, "Forbidden");
    assert!(
        refused.message().contains(&ADMINISTRATOR.to_string()),
        "{refused:?}"
    );
    // Never 404 to somebody of the tenant: clients take that for an environment that is gone.
    without
        .get(admin_path("Nowhere", ""))
        .await
        .refused(403, "Forbidden");
    service
        .registers_customer(CUSTOMER, json!({ "administrators": [ADMINISTRATOR] }))
        .await
        .expect(201);
    without.get(unknown()).await.expect(200);
    service
        .registers_customer(CUSTOMER, json!({ "clients": [ADMINISTRATOR] }))
        .await
        .expect(200);
    without.get(unknown()).await.refused(403, "Forbidden");
}

async fn applications_have_the_role_and_are_listed(backend: Backend) {
    let service = service(backend).await;
    let client = service.with_token(&client_of(CUSTOMER, &Person::STRANGER));
    let elsewhere = service.with_token(&client_of(OTHER_CUSTOMER, &Person::STRANGER));
    let refused = client.get(ENVIRONMENTS).await.refused(403, "Forbidden");
    assert!(refused.message().contains("list of clients"), "{refused:?}");
    service
        .registers_customer(CUSTOMER, json!({ "clients": [Person::STRANGER.id] }))
        .await
        .expect(201);
    client.get(ENVIRONMENTS).await.expect(200);
    // The list is the customer's: the same program with a token of another tenant is on none.
    elsewhere.get(ENVIRONMENTS).await.refused(403, "Forbidden");
    let without_role = TokenRequest {
        tenant: Some(CUSTOMER),
        ..Person::STRANGER.token()
    };
    service
        .with_token(&without_role)
        .get(ENVIRONMENTS)
        .await
        .refused(403, "Forbidden");

    service
        .registers_customer(OTHER_CUSTOMER, json!({ "clients": [Person::STRANGER.id] }))
        .await
        .expect(201);
    let tenants = "/admin/v2.24/authorizedAadApps/manageableTenants";
    assert_eq!(
        client.get(tenants).await.expect(200).column("entraTenantId"),
        [CUSTOMER, OTHER_CUSTOMER].map(|id| id.to_string())
    );
    service
        .administrator()
        .get(tenants)
        .await
        .refused(403, "Forbidden");
    let listed = service
        .administrator()
        .get("/admin/v2.24/authorizedAadApps")
        .await
        .expect(200);
    assert_eq!(
        listed.json(),
        json!([{ "appId": Person::STRANGER.id, "isAdminConsentGranted": true }])
    );
    client
        .get("/admin/v2.24/authorizedAadApps")
        .await
        .refused(403, "Forbidden");
}

fn let_in() -> Value {
    json!({ "partners": [partner_entry()] })
}

async fn a_delegated_token_opens_the_door_of_a_customer_who_let_it_in(backend: Backend) {
    let service = service(backend).await;
    let partner = service.with_token(&partner_of(CUSTOMER));
    let hidden = partner.get(unknown()).await.refused(404, "EnvironmentNotFound");
    assert_eq!(hidden.target(), "BusinessCentral/MyCustomer");
    partner
        .get(ENVIRONMENTS)
        .await
        .refused(404, "ResourceDoesNotExist");

    service.registers_customer(CUSTOMER, let_in()).await.expect(201);
    partner.get(unknown()).await.expect(200);
    for elsewhere in ["/v1.0/apps", "/operator/v1/apps"] {
        partner.get(elsewhere).await.refused(401, "Unauthorized");
    }
    partner
        .post("/agent/v1/claim", json!({ "max": 1 }))
        .await
        .refused(401, "Unauthorized");
    let without_role =
        partner_of(CUSTOMER).with_claim("wids", json!(["08372b87-7d02-482a-9e02-fb03ea5fe193"]));
    service
        .with_token(&without_role)
        .get(unknown())
        .await
        .refused(403, "Forbidden");
    let elsewhere = service.with_token(&partner_of(OTHER_CUSTOMER));
    elsewhere
        .get(ENVIRONMENTS)
        .await
        .refused(404, "ResourceDoesNotExist");

    let one = |object: Uuid| json!({ "partners": [{ "tenantId": PARTNER_TENANT, "objectId": object, "expiresOn": "2020-06-01T00:00:00Z" }] });
    service
        .registers_customer(CUSTOMER, one(Uuid::new_v4()))
        .await
        .expect(200);
    partner.get(unknown()).await.refused(404, "EnvironmentNotFound");
    service
        .registers_customer(CUSTOMER, one(TECHNICIAN))
        .await
        .expect(200);
    partner.get(unknown()).await.expect(200);
    let nameless = service.with_token(&partner_of(CUSTOMER).without_claim("aai"));
    nameless.get(unknown()).await.refused(404, "EnvironmentNotFound");
}

async fn a_partnership_ends_at_its_instant(backend: Backend) {
    let service = service(backend).await;
    let entry = json!({ "partners": [{ "tenantId": PARTNER_TENANT, "expiresOn": "2020-03-06T12:00:00Z" }] });
    service.registers_customer(CUSTOMER, entry).await.expect(201);
    let partner = service.with_token(&partner_of(CUSTOMER));
    service.moves_clock_to("2020-03-06T11:59:59.9999999Z").await;
    partner.get(unknown()).await.expect(200);
    service.moves_clock_to("2020-03-06T12:00:00Z").await;
    partner.get(unknown()).await.refused(404, "EnvironmentNotFound");
}

async fn customers_see_and_end_the_access_of_partners(backend: Backend) {
    let service = service(backend).await;
    service.registers_customer(CUSTOMER, let_in()).await.expect(201);
    let (administrator, partner) = (service.administrator(), service.with_token(&partner_of(CUSTOMER)));
    let partners = "/admin/v2.28/delegatedPartners";
    let listed = administrator.get(partners).await.expect(200);
    assert_eq!(
        listed.json(),
        json!({ "value": [{ "tenantId": PARTNER_TENANT, "expiresOn": "2021-01-01T00:00:00.0000000Z" }] })
    );
    let one = format!("{partners}/{PARTNER_TENANT}");
    for asked in [partner.get(partners), partner.delete(&one)] {
        asked.await.refused(403, "Forbidden");
    }
    let client = client_of(CUSTOMER, &Person::STRANGER);
    service
        .registers_customer(
            CUSTOMER,
            json!({ "clients": [Person::STRANGER.id], "partners": [partner_entry()] }),
        )
        .await
        .expect(200);
    service
        .with_token(&client)
        .delete(&one)
        .await
        .refused(403, "Forbidden");
    let elsewhere = service.with_token(&administrator_of(OTHER_CUSTOMER));
    elsewhere.delete(&one).await.refused(404, "ResourceDoesNotExist");
    administrator
        .delete(format!("{one}/{TECHNICIAN}"))
        .await
        .refused(404, "ResourceDoesNotExist");

    partner.get(unknown()).await.expect(200);
    administrator.delete(&one).await.expect(204);
    partner.get(unknown()).await.refused(404, "EnvironmentNotFound");
    administrator
        .delete(&one)
        .await
        .refused(404, "ResourceDoesNotExist");
    let audit = service
        .operator()
        .get("/operator/v1/audit?$filter=action eq 'customers/revoke'")
        .await
        .expect(200)
        .rows();
    assert_eq!(
        (&audit[0]["action"], &audit[0]["actor"]["id"]),
        (&json!("customers/revoke"), &json!(ADMINISTRATOR))
    );
    assert_eq!(audit[0]["after"]["partners"], json!([]));
}

async fn of_any_tenant_only_the_registered_come_in(backend: Backend) {
    let mut trusted = issuers(&[HOME_TENANT], json!({}));
    let mut any = issuers(&[], json!({}));
    any[0]["tenants"] = json!("any");
    any[0]["doors"] = json!(["customer"]);
    trusted.as_array_mut().unwrap().push(any[0].take());
    let service = Harness::with(backend)
        .setting("identity.issuers", trusted)
        .start()
        .await;
    let administrator = service.administrator();
    administrator.get(ENVIRONMENTS).await.refused(401, "Unauthorized");
    service.registers_customer(CUSTOMER, json!({})).await.expect(201);
    administrator.get(ENVIRONMENTS).await.expect(200);
    administrator.get("/v1.0/apps").await.refused(401, "Unauthorized");
    service
        .operator()
        .delete(customer_path(CUSTOMER))
        .await
        .expect(204);
    administrator.get(ENVIRONMENTS).await.refused(401, "Unauthorized");
}

async fn sets_window(caller: &Caller, start: &str) -> Answer {
    let body = json!({ "preferredStartTime": start, "preferredEndTime": "08:00", "timeZoneId": "UTC" });
    caller
        .put(admin_path("MyCustomer", "settings/upgrade"), body)
        .await
}

async fn a_frozen_caller_changes_nothing(backend: Backend) {
    let service = service(backend).await;
    service
        .registers_customer(CUSTOMER, json!({ "clients": [Person::STRANGER.id] }))
        .await
        .expect(201);
    let client = service.with_token(&client_of(CUSTOMER, &Person::STRANGER));
    sets_window(&client, "20:00").await.expect(200);
    let freeze = format!("/operator/v1/freezes/principal:{}", Person::STRANGER.id);
    service
        .operator()
        .put(freeze, json!({ "reason": "its secret was found" }))
        .await
        .expect(201);
    let refused = sets_window(&client, "21:00").await.refused(403, "Forbidden");
    assert_eq!(refused.reason(), "Frozen");
    client.get(unknown()).await.expect(200);
    sets_window(&service.administrator(), "21:00").await.expect(200);
}

async fn so_many_changes_an_hour_in_all_tenants_together(backend: Backend) {
    let service = Harness::with(backend)
        .setting("customers.changes_per_hour", 2)
        .start()
        .await;
    for tenant in [CUSTOMER, OTHER_CUSTOMER] {
        let environment = Environment::named("MyCustomer").of(tenant).has(APP, "16.0.0.5");
        service.operator().reports(&environment).await.expect(201);
        service
            .registers_customer(tenant, json!({ "clients": [Person::STRANGER.id] }))
            .await
            .expect(201);
    }
    let [here, there] =
        [CUSTOMER, OTHER_CUSTOMER].map(|tenant| service.with_token(&client_of(tenant, &Person::STRANGER)));
    sets_window(&here, "20:00").await.expect(200);
    sets_window(&there, "20:00").await.expect(200);
    let refused = sets_window(&here, "21:00").await.refused(429, "TooManyRequests");
    assert_eq!(refused.header("retry-after"), "3600");
    here.get(unknown()).await.expect(200);
    sets_window(
        &service.caller_with_token(mint(&administrator_of(CUSTOMER))),
        "21:00",
    )
    .await
    .expect(200);
    service.moves_clock_to("2020-03-05T13:00:00Z").await;
    sets_window(&here, "21:00").await.expect(200);
}
