//! `…/environments`: where the app is installed.

use crate::harness::{
    APP, Backend, CUSTOMER, Environment, Harness, LIBRARY, OTHER_CUSTOMER, country_path, on_both_databases,
};
use serde_json::json;

on_both_databases!(
    an_environment_is_shown_as_documented,
    only_environments_with_the_app_in_the_country_are_listed,
    the_order_is_tenant_then_name,
    one_is_found_by_name_in_any_case,
    a_name_that_several_have_must_be_narrowed,
    odata_finds_one_by_its_composite_key,
    names_may_be_anything,
    versions_compare_by_number_and_names_without_case,
    what_was_reported_last_counts,
);

fn all() -> String {
    country_path(APP, "US", "environments")
}

fn one(name: &str) -> String {
    format!("{}/{name}", all())
}

async fn reports(service: &Harness, environments: &[Environment]) {
    for environment in environments {
        service.operator().reports(environment).await.expect(201);
    }
}

async fn an_environment_is_shown_as_documented(backend: Backend) {
    let service = Harness::start(backend).await;
    reports(&service, &[Environment::my_customer("16.0.1.2")]).await;
    let expected = json!({
        "aadTenantId": CUSTOMER,
        "version": "16.0.1.2",
        "appId": APP,
        "countryCode": "US",
        "applicationFamily": "Business Central",
        "locationName": "West Europe",
        "name": "MyCustomer",
        "type": "Production",
    });
    let path = format!("{}?$filter=version eq '16.0.1.2'", all());
    assert_eq!(
        service.reader().get(path).await.expect(200).json(),
        json!({ "value": [expected] })
    );
    assert_eq!(
        service.reader().get(one("MyCustomer")).await.expect(200).json(),
        expected
    );
    service
        .stranger()
        .get(one("MyCustomer"))
        .await
        .refused(404, "ResourceDoesNotExist");
}

async fn only_environments_with_the_app_in_the_country_are_listed(backend: Backend) {
    let service = Harness::start(backend).await;
    service.owner().adds_country("DK").await.expect(200);
    let here = Environment::named("Here")
        .has(APP, "1.0.0.0")
        .has(LIBRARY, "2.0.0.0");
    let without = Environment::named("Without").has(LIBRARY, "2.0.0.0");
    let abroad = Environment::named("Abroad").has(APP, "1.0.0.0").in_country("DK");
    reports(&service, &[here, without, abroad]).await;
    assert_eq!(
        service.reader().get(all()).await.expect(200).column("name"),
        ["Here"]
    );
    for hidden in ["Without", "Abroad", "Nowhere"] {
        service
            .reader()
            .get(one(hidden))
            .await
            .refused(404, "EnvironmentNotFound");
    }
    let danish = service
        .reader()
        .get(country_path(APP, "DK", "environments"))
        .await
        .expect(200);
    assert_eq!(danish.column("name"), ["Abroad"]);
    assert_eq!(service.reader().get(one("$count")).await.expect(200).text(), "1");
}

async fn the_order_is_tenant_then_name(backend: Backend) {
    let service = Harness::start(backend).await;
    let of = |name: &str, tenant| Environment::named(name).has(APP, "1.0.0.0").of(tenant);
    let reported = [
        of("b", OTHER_CUSTOMER),
        of("c", CUSTOMER),
        of("A", OTHER_CUSTOMER),
        of("B", CUSTOMER),
    ];
    reports(&service, &reported).await;
    assert_eq!(
        service.reader().get(all()).await.expect(200).column("name"),
        ["B", "c", "A", "b"]
    );
}

async fn one_is_found_by_name_in_any_case(backend: Backend) {
    let service = Harness::start(backend).await;
    reports(&service, &[Environment::my_customer("1.0.0.0")]).await;
    for name in ["mycustomer", "MYCUSTOMER", "MyCustomer/"] {
        let found = service.reader().get(one(name)).await.expect(200);
        assert_eq!(found.property("name"), "MyCustomer");
    }
}

async fn a_name_that_several_have_must_be_narrowed(backend: Backend) {
    let service = Harness::start(backend).await;
    let same = |tenant| Environment::my_customer("1.0.0.0").of(tenant);
    let other_family = same(CUSTOMER).in_family("Fabrikam Family");
    reports(&service, &[same(CUSTOMER), same(OTHER_CUSTOMER), other_family]).await;
    let reader = service.reader();
    let ambiguous = reader
        .get(one("mycustomer"))
        .await
        .refused(400, "AmbiguousRequest");
    assert!(ambiguous.message().contains("aadTenantId"), "{ambiguous:?}");
    let by_tenant = format!("{}?aadTenantId={OTHER_CUSTOMER}", one("MyCustomer"));
    assert_eq!(
        reader.get(by_tenant).await.expect(200).property("aadTenantId"),
        OTHER_CUSTOMER.to_string()
    );
    let still = format!("{}?aadTenantId={CUSTOMER}", one("MyCustomer"));
    reader.get(still).await.refused(400, "AmbiguousRequest");
    let by_both = format!(
        "{}?aadTenantId={CUSTOMER}&applicationFamily=fabrikamfamily",
        one("MyCustomer")
    );
    assert_eq!(
        reader
            .get(by_both)
            .await
            .expect(200)
            .property("applicationFamily"),
        "Fabrikam Family"
    );
    let nobody = format!(
        "{}?aadTenantId={OTHER_CUSTOMER}&applicationFamily=fabrikamfamily",
        one("MyCustomer")
    );
    reader.get(nobody).await.refused(404, "EnvironmentNotFound");
    let no_guid = format!("{}?aadTenantId=contoso.com", one("MyCustomer"));
    reader.get(no_guid).await.refused(400, "InvalidInput");
}

async fn odata_finds_one_by_its_composite_key(backend: Backend) {
    let service = Harness::start(backend).await;
    let same = |tenant| Environment::named("It's, ours").has(APP, "1.0.0.0").of(tenant);
    reports(&service, &[same(CUSTOMER), same(OTHER_CUSTOMER)]).await;
    let key =
        format!("(name='It''s, ours',aadTenantId={OTHER_CUSTOMER},applicationFamily='BusinessCentral')");
    let found = service.reader().get(format!("{}{key}", all())).await.expect(200);
    assert_eq!(found.property("aadTenantId"), OTHER_CUSTOMER.to_string());
    assert_eq!(found.property("name"), "It's, ours");
}

async fn names_may_be_anything(backend: Backend) {
    let service = Harness::start(backend).await;
    for name in [
        "plan",
        "My Cust & Co",
        "Größe",
        "a+b",
        "versions",
        "50% off",
        "a=b",
        "(x=1)",
        "$count",
        "name='a'",
        "...",
    ] {
        let environment = Environment::named(name).has(APP, "1.0.0.0");
        let encoded = name.replace('%', "%25").replace('$', "%24");
        let address = Environment {
            name: encoded.clone(),
            ..environment
        };
        service
            .operator()
            .put(address.operator_path(), address.report())
            .await
            .expect(201);
        let found = service.reader().get(one(&encoded)).await.expect(200);
        assert_eq!(found.property("name"), name);
        let quoted = name.replace('%', "%25").replace('\'', "''");
        for key in [format!("'{quoted}'"), format!("name='{quoted}'")] {
            let found = service
                .reader()
                .get(format!("{}({key})", all()))
                .await
                .expect(200);
            assert_eq!(found.property("name"), name, "{key}");
        }
    }
    assert_eq!(service.reader().get(one("$count")).await.expect(200).text(), "11");
    let filtered = format!("{}?$filter=name eq 'my cust %26 co'", all());
    assert_eq!(
        service.reader().get(filtered).await.expect(200).column("name"),
        ["My Cust & Co"]
    );
}

async fn versions_compare_by_number_and_names_without_case(backend: Backend) {
    let service = Harness::start(backend).await;
    let named = |name: &str, version| Environment::named(name).has(APP, version);
    reports(
        &service,
        &[
            named("nine", "16.0.9.0"),
            named("ten", "16.0.10.0"),
            named("two", "2.0.0.0").sandbox(),
        ],
    )
    .await;
    let found = async |filter: &str| {
        service
            .reader()
            .get(format!("{}?$filter={filter}", all()))
            .await
            .expect(200)
            .column("name")
    };
    assert_eq!(found("version lt '16.0.10.0'").await, ["nine", "two"]);
    assert_eq!(found("version ge '16.0.9'").await, ["nine", "ten"]);
    assert_eq!(found("name eq 'TEN'").await, ["ten"]);
    assert_eq!(found("type eq 'sandbox'").await, ["two"]);
    assert_eq!(
        found("applicationFamily eq 'businesscentral' and type ne 'Sandbox'").await,
        ["nine", "ten"]
    );
    assert_eq!(found(&format!("aadTenantId eq {CUSTOMER}")).await.len(), 3);
}

async fn what_was_reported_last_counts(backend: Backend) {
    let service = Harness::start(backend).await;
    let operator = service.operator();
    let environment = Environment::my_customer("1.0.0.0");
    operator.reports(&environment).await.expect(201);
    operator
        .reports(&environment.clone().has(APP, "1.0.0.5").sandbox())
        .await
        .expect(200);
    let found = service.reader().get(one("MyCustomer")).await.expect(200);
    assert_eq!(
        (found.property("version"), found.property("type")),
        ("1.0.0.5".into(), "Sandbox".into())
    );
    operator
        .reports(&environment.clone().without(APP))
        .await
        .expect(200);
    service
        .reader()
        .get(one("MyCustomer"))
        .await
        .refused(404, "EnvironmentNotFound");
    operator.reports(&environment).await.expect(200);
    operator.delete(environment.operator_path()).await.expect(204);
    assert_eq!(service.reader().get(all()).await.expect(200).rows().len(), 0);
}
