//! The operator API: registering apps and environments, and the audit of everything.

use crate::harness::{
    APP, Answer, Backend, CUSTOMER, Environment, HOME_TENANT, Harness, LIBRARY, Person, mint,
    on_both_databases, package, registration,
};
use serde_json::{Value, json};
use std::time::Duration;

on_both_databases!(
    an_app_is_registered_with_an_owner_and_replaced,
    an_app_is_changed_in_part,
    a_registration_is_checked,
    an_environment_is_reported_and_replaced,
    an_environment_is_changed_in_part,
    a_time_zone_that_nobody_knows_costs_the_window_alone,
    a_report_is_checked,
    environments_are_known_by_tenant_family_and_name,
    releasing_what_is_not_held_changes_nothing,
    every_change_leaves_an_audit_row,
    an_actor_is_known_in_their_tenant_and_named_as_it_can_be_shown,
    the_audit_tells_what_agents_did,
    the_audit_can_be_filtered,
    what_changes_nothing_leaves_no_row,
    a_list_shows_what_the_single_ones_show,
    what_is_not_known_is_null_in_filters_too,
);

fn app_path() -> String {
    format!("/operator/v1/apps/{LIBRARY}")
}

async fn an_app_is_registered_with_an_owner_and_replaced(backend: Backend) {
    let service = Harness::start(backend).await;
    let operator = service.operator();
    operator
        .get(app_path())
        .await
        .refused(404, "ResourceDoesNotExist");
    let made = operator.put(app_path(), registration()).await.expect(201);
    let owner = json!({ "type": "Application", "id": Person::OWNER.id });
    let expected = json!({
        "id": LIBRARY,
        "publisher": "Contoso",
        "publisherAadTenantId": HOME_TENANT,
        "publisherContactEmail": "publisher@contoso.com",
        "storageLocation": "West Europe",
        "signerRule": "none",
        "createdOn": "2020-03-05T12:00:00.0000000Z",
        "owners": [owner],
        "_etag": made.etag(),
    });
    assert_eq!(made.json(), expected);
    assert_eq!(operator.get(app_path()).await.expect(200).json(), expected);
    let again = operator.put(app_path(), registration()).await.expect(200);
    assert_eq!(again.etag(), made.etag());
    let mut renamed = registration();
    renamed["publisher"] = json!("Fabrikam");
    renamed["owner"] = json!({ "type": "User", "id": Person::OWNER_USER.id, "aadTenantId": HOME_TENANT });
    let replaced = operator.put(app_path(), renamed).await.expect(200);
    assert_eq!(
        (replaced.property("publisher"), replaced.property("createdOn")),
        ("Fabrikam".into(), made.property("createdOn"))
    );
    assert_ne!(replaced.etag(), made.etag());
    service
        .owner_user()
        .on(LIBRARY)
        .adds_country("US")
        .await
        .expect(200);
    service.owner().on(LIBRARY).adds_country("DK").await.expect(200);
    let listed = operator
        .get("/operator/v1/apps?$filter=publisher eq 'Fabrikam'")
        .await
        .expect(200);
    assert_eq!(listed.column("id"), [LIBRARY.to_string()]);
}

async fn an_app_is_changed_in_part(backend: Backend) {
    let service = Harness::start(backend).await;
    let operator = service.operator();
    let path = format!("/operator/v1/apps/{APP}");
    let before = operator.get(&path).await.expect(200);
    let changed = operator
        .patch(&path, json!({ "publisherContactEmail": "apps@contoso.com" }))
        .await
        .expect(200);
    let mut expected = before.json();
    expected["publisherContactEmail"] = json!("apps@contoso.com");
    expected["_etag"] = json!(changed.etag());
    assert_eq!(changed.json(), expected);
    assert_ne!(changed.etag(), before.etag());
    assert_eq!(
        service.reader().get(service.reader().app_path()).await.etag(),
        changed.etag()
    );
    let stale = operator
        .patch(&path, json!({ "publisher": "X" }))
        .header("if-match", before.header("etag"));
    stale.await.refused(412, "PreconditionFailed");
    operator
        .patch(app_path(), json!({ "publisher": "X" }))
        .await
        .refused(404, "ResourceDoesNotExist");
}

async fn a_registration_is_checked(backend: Backend) {
    let service = Harness::start(backend).await;
    let operator = service.operator();
    operator
        .asks(http::Method::PUT, app_path())
        .await
        .refused(400, "RequestBodyRequired");
    for missing in [
        "publisher",
        "publisherAadTenantId",
        "publisherContactEmail",
        "storageLocation",
        "owner",
    ] {
        let mut body = registration();
        body.as_object_mut().unwrap().remove(missing);
        assert_eq!(
            operator
                .put(app_path(), body)
                .await
                .refused(400, "InvalidInput")
                .target(),
            missing
        );
    }
    let mut unmapped = registration();
    unmapped["storageLocation"] = json!("Atlantis");
    let answer = operator.put(app_path(), unmapped).await.expect(400);
    assert!(
        answer.message().contains("Atlantis") && answer.message().contains("West Europe"),
        "{answer:?}"
    );
    let mut no_tenant = registration();
    no_tenant["owner"] = json!({ "type": "User", "id": Person::OWNER_USER.id });
    operator.put(app_path(), no_tenant).await.expect(400);
    operator
        .patch(
            format!("/operator/v1/apps/{APP}"),
            json!({ "storageLocation": "Atlantis" }),
        )
        .await
        .expect(400);
    operator
        .put("/operator/v1/apps/nobody", registration())
        .await
        .refused(400, "InvalidInput");
    operator
        .get(app_path())
        .await
        .refused(404, "ResourceDoesNotExist");
}

async fn an_environment_is_reported_and_replaced(backend: Backend) {
    let service = Harness::start(backend).await;
    let operator = service.operator();
    let environment = Environment::my_customer("1.0.0.0")
        .has(LIBRARY, "2.0")
        .on_application("26.1");
    operator.get(environment.operator_path()).await.expect(404);
    let made = operator.reports(&environment).await.expect(201);
    let body = made.json();
    let fields = [
        ("aadTenantId", json!(CUSTOMER)),
        ("applicationFamily", json!("Business Central")),
        ("name", json!("MyCustomer")),
        ("countryCode", json!("US")),
        ("type", json!("Production")),
        ("locationName", json!("West Europe")),
        ("applicationVersion", json!("26.1.0.0")),
        ("inventoryComplete", json!(false)),
        (
            "window",
            json!({ "start": "20:00", "end": "06:00", "timeZone": "UTC" }),
        ),
    ];
    for (name, value) in fields {
        assert_eq!(body[name], value, "{name}");
    }
    let mut apps: Vec<_> = body["apps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|app| app["version"].as_str().unwrap())
        .collect();
    apps.sort_unstable();
    assert_eq!(apps, ["1.0.0.0", "2.0.0.0"]);
    assert_eq!(
        operator.get(environment.operator_path()).await.expect(200).json(),
        body
    );
    operator
        .reports(&environment.clone().without(LIBRARY))
        .await
        .expect(200);
    let left = operator.get(environment.operator_path()).await.json()["apps"]
        .as_array()
        .unwrap()
        .len();
    assert_eq!(left, 1);
    let stale = operator
        .reports(&environment)
        .header("if-match", made.header("etag"));
    stale.await.refused(412, "PreconditionFailed");
    operator.delete(environment.operator_path()).await.expect(204);
    operator.delete(environment.operator_path()).await.expect(404);
    let listed = operator
        .get("/operator/v1/environments?$filter=name eq 'mycustomer'")
        .await
        .expect(200);
    assert_eq!(listed.rows(), Vec::<Value>::new());
}

async fn an_environment_is_changed_in_part(backend: Backend) {
    let service = Harness::start(backend).await;
    let operator = service.operator();
    let environment = Environment::my_customer("1.0.0.0")
        .has(LIBRARY, "2.0")
        .on_application("26.1");
    let path = environment.operator_path();
    let window = json!({ "start": "21:00", "end": "05:00", "timeZone": "Romance Standard Time" });
    let change = json!({ "window": window, "platformVersion": "26.2", "locationName": null });
    operator
        .patch(&path, change.clone())
        .await
        .refused(404, "EnvironmentNotFound");
    let before = operator.reports(&environment).await.expect(201);
    service.advances(Duration::from_secs(60)).await;
    let changed = operator.patch(&path, change).await.expect(200);
    let mut expected = operator.get(&path).await.expect(200).json();
    assert_eq!(changed.json(), expected);
    for (name, value) in [("window", window), ("platformVersion", json!("26.2.0.0"))] {
        assert_eq!(expected[name], value);
    }
    // Everything else is as it was: what is installed, and since when that is known.
    let mut before_json = before.json();
    for json in [&mut expected, &mut before_json] {
        for name in ["window", "platformVersion", "locationName", "agent"] {
            json.as_object_mut().unwrap().remove(name);
        }
    }
    assert_eq!(expected, before_json);
    let stale = operator.patch(&path, json!({ "locationName": "Here" }));
    stale
        .header("if-match", before.header("etag"))
        .await
        .refused(412, "PreconditionFailed");
    operator
        .patch(&path, json!({ "apps": [], "locationName": "Here" }))
        .await
        .broke_rule("ReadOnly");
    operator
        .patch(&path, json!({}))
        .await
        .broke_rule("NothingWritable");
    let row = row_of(&service, &changed).await;
    assert_eq!(row["action"], "environments/write");
    assert_eq!(row["after"]["window"]["start"], "21:00");
}

async fn a_time_zone_that_nobody_knows_costs_the_window_alone(backend: Backend) {
    let service = Harness::start(backend).await;
    let operator = service.operator();
    let environment = Environment::my_customer("1.0.0.0");
    assert!(
        !operator
            .reports(&environment)
            .await
            .expect(201)
            .has_header("warning")
    );
    let unknown = environment
        .has(LIBRARY, "2.0")
        .with_window("01:00", "09:00", "Atlantis \"Süd\" Time");
    let kept = operator.reports(&unknown).await.expect(200);
    let warning = kept.header("warning");
    assert!(
        warning.starts_with("299 - \"") && warning.contains(r#"'Atlantis \"S\u{fc}d\" Time'"#),
        "{warning}"
    );
    let body = kept.json();
    let of_the_country = json!({ "start": "20:00", "end": "06:00", "timeZone": "Central Standard Time" });
    assert_eq!(body["window"], of_the_country);
    assert_eq!(body["apps"].as_array().unwrap().len(), 2);
    let too_short = unknown.with_window("01:00", "02:00", "Atlantis Standard Time");
    operator
        .reports(&too_short)
        .await
        .refused(400, "EntityValidationFailed");
}

async fn a_report_is_checked(backend: Backend) {
    let service = Harness::start(backend).await;
    let operator = service.operator();
    let environment = Environment::my_customer("1.0.0.0");
    operator
        .asks(http::Method::PUT, environment.operator_path())
        .await
        .refused(400, "RequestBodyRequired");
    let short = environment.clone().with_window("20:00", "01:59", "UTC");
    operator.reports(&short).await.broke_rule("WindowTooShort");
    operator
        .reports(&environment.clone().with_window("20:00", "02:00", "UTC"))
        .await
        .expect(201);
    for wrong in [
        environment.clone().with_window("25:00", "06:00", "UTC"),
        environment.clone().in_country("ZZ"),
        Environment {
            kind: "Playground".into(),
            ..environment.clone()
        },
        environment.clone().has(APP, "one"),
    ] {
        operator.reports(&wrong).await.expect(400);
    }
    let mut twice = environment.report();
    twice["apps"] = json!([{ "id": APP, "version": "1.0" }, { "id": APP, "version": "2.0" }]);
    operator
        .put(environment.operator_path(), twice)
        .await
        .refused(400, "InvalidInput");
}

async fn environments_are_known_by_tenant_family_and_name(backend: Backend) {
    let service = Harness::start(backend).await;
    let operator = service.operator();
    let environment = Environment::my_customer("1.0.0.0");
    operator.reports(&environment).await.expect(201);
    let spelled = format!("/operator/v1/environments/{CUSTOMER}/BUSINESSCENTRAL/mycustomer/");
    assert_eq!(
        operator.get(&spelled).await.expect(200).property("name"),
        "MyCustomer"
    );
    operator.put(&spelled, environment.report()).await.expect(200);
    assert_eq!(
        operator.get("/operator/v1/environments?$count=true").await.json()["@odata.count"],
        1
    );
    operator
        .reports(&environment.in_family("Fabrikam"))
        .await
        .expect(201);
}

async fn releasing_what_is_not_held_changes_nothing(backend: Backend) {
    let service = Harness::start(backend).await;
    let environment = Environment::my_customer("1.0.0.0");
    let release = format!("{}/release", environment.operator_path());
    service.operator().post(&release, json!({})).await.expect(404);
    let before = service.operator().reports(&environment).await.expect(201);
    let released = service
        .operator()
        .asks(http::Method::POST, &release)
        .await
        .expect(200);
    assert_eq!(released.json(), before.json());
}

async fn audit(service: &Harness, query: &str) -> Vec<Value> {
    let path = format!("/operator/v1/audit?{query}");
    service.operator().get(path).await.expect(200).rows()
}

/// The one audit row that this request left.
async fn row_of(service: &Harness, answer: &Answer) -> Value {
    let id = answer.header("ms-correlation-x");
    let rows = audit(service, &format!("$filter=correlationId eq {id}")).await;
    assert!(!rows.is_empty(), "{} left no row", answer.request);
    rows[0].clone()
}

async fn every_change_leaves_an_audit_row(backend: Backend) {
    let service = Harness::start(backend).await;
    let (owner, operator) = (service.owner(), service.operator());
    let environment = Environment::my_customer("1.0.0.0");
    let application = |person: &Person| json!({ "type": "Application", "id": person.id });

    let added = owner.adds_country("DK").await.expect(200);
    let row = row_of(&service, &added).await;
    assert_eq!(
        (&row["target"], row.get("before")),
        (&json!(format!("apps/{APP}/countries/DK")), None)
    );
    assert_eq!(
        (&row["actor"]["type"], &row["actor"]["id"]),
        (&application(&Person::OWNER)["type"], &json!(Person::OWNER.id))
    );
    assert_eq!(row["at"], "2020-03-05T12:00:00.0000000Z");

    let changed = service
        .owner_user()
        .grants(&Person::READER, &["Contributor"])
        .await
        .expect(200);
    let row = row_of(&service, &changed).await;
    assert_eq!(
        (&row["before"]["roles"], &row["after"]["roles"]),
        (&json!(["Reader"]), &json!(["Contributor"]))
    );
    assert_eq!(
        (&row["actor"]["type"], &row["actor"]["tenantId"]),
        (&json!("User"), &json!(HOME_TENANT))
    );

    let uploaded = owner.has_uploaded("1.0.0.1").await;
    let row = row_of(&service, &uploaded).await;
    assert_eq!(
        (&row["action"], &row["after"]["availability"]),
        (&json!("versions/upload"), &json!("Available"))
    );
    let patched = owner
        .changes_version("1.0.0.1", json!({ "availability": "Preview" }))
        .await
        .expect(200);
    let row = row_of(&service, &patched).await;
    assert_eq!(
        (&row["before"]["availability"], &row["after"]["availability"]),
        (&json!("Available"), &json!("Preview"))
    );
    owner
        .changes_version("1.0.0.1", json!({ "availability": "Available" }))
        .await
        .expect(200);

    let reported = operator.reports(&environment).await.expect(201);
    let row = row_of(&service, &reported).await;
    assert_eq!(
        (&row["actor"]["id"], row.get("before")),
        (&json!(Person::OPERATOR.id), None)
    );
    let scheduled = owner.schedules(&environment, "1.0.0.1").await.expect(200);
    assert_eq!(row_of(&service, &scheduled).await["after"]["status"], "Scheduled");
    let canceled = owner.cancels(&scheduled).await.expect(200);
    let row = row_of(&service, &canceled).await;
    assert_eq!(
        (&row["before"]["status"], &row["after"]["status"]),
        (&json!("Scheduled"), &json!("Canceled"))
    );

    let removed = owner.removes(&Person::READER).await.expect(204);
    let row = row_of(&service, &removed).await;
    assert_eq!(
        (&row["before"]["roles"], row.get("after")),
        (&json!(["Contributor"]), None)
    );
    let moved = operator
        .patch(
            format!("/operator/v1/apps/{APP}"),
            json!({ "storageLocation": "East US" }),
        )
        .await;
    let row = row_of(&service, &moved.expect(200)).await;
    assert_eq!(
        (
            &row["before"]["storageLocation"],
            &row["after"]["storageLocation"]
        ),
        (&json!("West Europe"), &json!("East US"))
    );
    let broken_glass = format!("/operator/v1/apps/{APP}/principals/{}", Person::STRANGER.id);
    let broken_glass = operator
        .put(broken_glass, json!({ "type": "Application", "roles": ["Owner"] }))
        .await;
    assert_eq!(
        row_of(&service, &broken_glass.expect(200)).await["actor"]["id"],
        json!(Person::OPERATOR.id)
    );
    let gone = operator.delete(environment.operator_path()).await.expect(204);
    let row = row_of(&service, &gone).await;
    assert_eq!((row.get("before").is_some(), row.get("after")), (true, None));
}

async fn an_actor_is_known_in_their_tenant_and_named_as_it_can_be_shown(backend: Backend) {
    let service = Harness::start(backend).await;
    let hostile = format!("Eve\r\n\u{1b}[2J\u{202e}{}", "x".repeat(9_000));
    let request = Person::OWNER.token().with_claim("app_displayname", hostile);
    let added = service.caller_with_token(mint(&request)).adds_country("DK").await;
    let actor = row_of(&service, &added.expect(200)).await["actor"].clone();
    assert_eq!(
        [&actor["tenantId"], &actor["objectId"]],
        [&json!(HOME_TENANT), &json!(Person::OWNER.service_principal())]
    );
    let name = actor["name"].as_str().unwrap();
    assert!(name.starts_with(r"Eve\u{d}\u{a}\u{1b}[2J\u{202e}xxx"), "{name}");
    assert_eq!(name.chars().count(), 250);
    let known = format!(
        "$filter=actorObjectId eq {} and actorTenantId eq {HOME_TENANT}&$top=1",
        Person::OWNER.service_principal()
    );
    assert_eq!(
        audit(&service, &known).await[0]["actor"]["id"],
        json!(Person::OWNER.id)
    );

    let added = service.owner_user().adds_country("FR").await.expect(200);
    let actor = row_of(&service, &added).await["actor"].clone();
    assert_eq!(
        (&actor["tenantId"], actor.get("objectId")),
        (&json!(HOME_TENANT), None)
    );
}

async fn the_audit_tells_what_agents_did(backend: Backend) {
    let service = Harness::start(backend).await;
    service.owner().has_uploaded("1.0.0.1").await;
    let environment = Environment::my_customer("1.0.0.0");
    service.operator().reports(&environment).await.expect(201);
    let hotfix = service
        .owner()
        .schedules_at_once(&environment, "1.0.0.1")
        .await
        .expect(200);
    service.finishes_work().await;
    let target = format!(
        "apps/{APP}/countries/US/environmentHotfixes/{}",
        hotfix.property("id")
    );
    let rows = audit(&service, &format!("$filter=target eq '{target}'&$orderby=at")).await;
    let statuses: Vec<_> = rows
        .iter()
        .map(|row| row["after"]["status"].as_str().unwrap())
        .collect();
    let mut sorted = statuses.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, ["Running", "Scheduled", "Succeeded"]);
    let by_agent = rows
        .iter()
        .filter(|row| row["actor"]["type"] == "Agent" && row["actor"]["name"] == "simulator")
        .count();
    assert_eq!(by_agent, 2);
}

async fn the_audit_can_be_filtered(backend: Backend) {
    let service = Harness::with(backend).without_simulator().start().await;
    service.advances(std::time::Duration::from_secs(3600)).await;
    service.owner().adds_country("AT").await.expect(200);
    let recent = audit(&service, "$filter=at ge 2020-03-05T12:30:00Z").await;
    assert_eq!(recent.len(), 1);
    assert_eq!(recent[0]["target"], format!("apps/{APP}/countries/AT"));
    let newest = audit(&service, "$top=1").await;
    assert_eq!(newest, recent);
    let of_app = audit(
        &service,
        &format!("$filter=startswith(target,'apps/{APP}/principals/')"),
    )
    .await;
    assert!(of_app.len() >= 4, "{of_app:?}");
    let paged = service
        .operator()
        .get("/operator/v1/audit")
        .header("prefer", "odata.maxpagesize=2")
        .await
        .expect(200);
    assert!(paged.json().get("@odata.nextLink").is_some());
}

async fn what_changes_nothing_leaves_no_row(backend: Backend) {
    let service = Harness::start(backend).await;
    let owner = service.owner();
    owner.has_uploaded("1.0.0.0").await;
    let count = async || {
        service
            .operator()
            .get("/operator/v1/audit?$count=true&$top=0")
            .await
            .json()["@odata.count"]
            .clone()
    };
    let before = count().await;
    owner.adds_country("US").await.expect(200);
    owner.grants(&Person::READER, &["Reader"]).await.expect(200);
    owner
        .changes_version("1.0.0.0", json!({ "availability": "Available" }))
        .await
        .expect(200);
    owner.uploads(&package("1.0.0.0"), "Available").await.expect(409);
    owner.removes(&Person::STRANGER).await.expect(404);
    service.reader().adds_country("DK").await.expect(403);
    assert_eq!(count().await, before);
}

async fn a_list_shows_what_the_single_ones_show(backend: Backend) {
    let service = Harness::start(backend).await;
    let operator = service.operator();
    service.has_app(LIBRARY).await;
    for (name, app) in [("One", APP), ("Two", LIBRARY)] {
        let environment = Environment::named(name)
            .has(app, "1.0.0.0")
            .has(CUSTOMER, "2.0.0.0");
        operator.reports(&environment).await.expect(201);
    }
    operator.reports(&Environment::named("None")).await.expect(201);
    for (path, key, part) in [
        ("/operator/v1/apps", "id", "owners"),
        ("/operator/v1/environments", "name", "apps"),
    ] {
        let rows = operator.get(path).await.expect(200).rows();
        assert!(
            rows.iter()
                .any(|row| row[part].as_array().unwrap().len() > 1 || part == "owners")
        );
        for row in &rows {
            let single = match part {
                "owners" => format!("{path}/{}", row[key].as_str().unwrap()),
                _ => Environment::named(row[key].as_str().unwrap()).operator_path(),
            };
            let single = operator.get(single).await.expect(200).json();
            assert_eq!(row[part], single[part], "{path}");
        }
        let least = operator
            .get(format!("{path}?$select={key}&$top=1"))
            .await
            .expect(200)
            .rows();
        assert!(least[0].get(part).is_none());
        let pages = operator.get(format!("{path}?$orderby={key} desc&$top=1&$select={part}"));
        assert!(pages.await.expect(200).rows()[0][part].is_array());
    }
}

async fn what_is_not_known_is_null_in_filters_too(backend: Backend) {
    let service = Harness::start(backend).await;
    let operator = service.operator();
    let environment = Environment::named("One").has(APP, "1.0.0.0");
    operator.reports(&environment).await.expect(201);
    let found = async |caller: &crate::harness::Caller, path: &str, filter: &str| {
        let answer = caller.get(format!("{path}?$filter={filter}")).await.expect(200);
        answer.rows().len()
    };
    let of_vendor = service.reader().us("environments");
    for (caller, path) in [
        (operator.clone(), "/operator/v1/environments"),
        (service.reader(), &of_vendor),
    ] {
        let all = found(&caller, path, "name eq 'One'").await;
        let known = found(&caller, path, "locationName ne null").await;
        let row = &caller.get(path).await.expect(200).rows()[0];
        assert_eq!(
            known,
            if row["locationName"].is_null() { 0 } else { all },
            "{path}"
        );
        assert_eq!(found(&caller, path, "locationName eq ''").await, 0, "{path}");
    }
    let audit = "/operator/v1/audit";
    for row in operator.get(audit).await.expect(200).rows() {
        let id = row["id"].as_str().unwrap();
        for (property, shown) in [("actorName", "name"), ("actorId", "id"), ("actorType", "type")] {
            let shown = &row["actor"][shown];
            let compared = match shown.as_str() {
                Some(text) if property != "actorName" => format!("'{}'", text.to_uppercase()),
                Some(text) => format!("'{}'", text.replace('\'', "''")),
                None => "null".into(),
            };
            let filter = format!("id eq {id} and {property} eq {compared}");
            assert_eq!(found(&operator, audit, &filter).await, 1, "{filter}");
        }
    }
}
