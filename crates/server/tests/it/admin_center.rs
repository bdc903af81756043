//! The Admin Center API: addresses, shapes and words as its clients rely on them.

use crate::{
    every_operation::{CallerKind, Fixture, Guard, Whose, described, samples},
    harness::{
        APP, Answer, Backend, CUSTOMER, Caller, Environment, Harness, LIBRARY, admin_path, administrator_of,
        on_both_databases,
    },
};
use http::Method;
use serde_json::{Value, json};
use uuid::{Uuid, uuid};

on_both_databases!(
    every_minor_version_and_spelling_is_one_address,
    environments_have_the_documented_shape,
    apps_have_the_documented_shape,
    an_app_is_shown_as_it_is_treated,
    an_operation_is_the_same_at_every_address,
    users_are_shown_by_their_address,
    a_window_is_read_and_set_in_both_ways,
    a_window_that_cannot_be_is_refused,
    what_waits_is_timed_anew_when_the_window_changes,
    the_cadence_is_kept_and_shown,
    updates_of_the_platform_are_none,
    what_is_not_served_is_named,
    an_environment_of_another_tenant_answers_as_one_that_is_nobodys,
    the_tenant_of_the_token_decides_what_there_is,
    the_web_address_of_an_environment_is_told_where_that_is_switched_on,
);

async fn service(backend: Backend) -> Harness {
    let service = Harness::with(backend).start().await;
    let mut report = Environment::my_customer("16.0.0.5")
        .on_application("27.0.0.0")
        .report();
    report["apps"] = json!([
        { "id": APP, "version": "16.0.0.5", "name": "ExampleApp", "publisher": "Contoso" },
        { "id": LIBRARY, "version": "1.0.0.0", "name": "Company Hub", "publisher": "Microsoft" },
    ]);
    let path = Environment::named("MyCustomer").operator_path();
    service.operator().put(path, report).await.expect(201);
    service
}

/// Compact, in UTF-8, with the ids of a request: what every answer has.
fn check(answer: &Answer) {
    assert_eq!(answer.header("content-type"), "application/json; charset=utf-8");
    let compact = serde_json::from_slice::<Value>(&answer.body).unwrap();
    assert!(!answer.text().contains("\": "), "{answer:?}");
    assert!(!answer.text().contains("null"), "{answer:?}");
    assert!(compact.is_object() || compact.is_array());
}

async fn gets(caller: &Caller, path: impl AsRef<str>) -> Value {
    let answer = caller.get(path).await.expect(200);
    check(&answer);
    answer.json()
}

async fn every_minor_version_and_spelling_is_one_address(backend: Backend) {
    let service = service(backend).await;
    let administrator = service.administrator();
    let expected = gets(&administrator, admin_path("MyCustomer", "apps")).await;
    for path in [
        "/admin/v2.0/applications/BusinessCentral/environments/MyCustomer/apps",
        "/admin/v2.99/applications/businesscentral/environments/mycustomer/apps/",
        "/ADMIN/V2.6/APPLICATIONS/Business%20Central/ENVIRONMENTS/MYCUSTOMER/APPS?skipDbSize=true&$top=0",
    ] {
        assert_eq!(gets(&administrator, path).await, expected, "{path}");
    }
    let braces = format!("%7B{}%7D", APP.to_string().to_uppercase());
    for spelling in [APP.to_string(), braces, APP.simple().to_string()] {
        let path = admin_path("MyCustomer", &format!("apps/{spelling}/operations"));
        assert_eq!(gets(&administrator, path).await, json!({ "value": [] }));
    }
    administrator
        .get(admin_path("MyCustomer", "apps/me/operations"))
        .await
        .refused(400, "InvalidInput");
    administrator
        .get(admin_path("Nowhere", "apps/me/operations"))
        .await
        .refused(404, "EnvironmentNotFound");
    for path in [
        "/admin/v1.0/applications",
        "/admin/v3.0/applications",
        "/admin/v2.100/applications",
    ] {
        let missing = administrator.get(path).await.refused(404, "ResourceDoesNotExist");
        assert!(missing.text().contains("v2.0 to v2.99"), "{missing:?}");
    }
    let odata = administrator
        .get(admin_path("MyCustomer", "apps"))
        .odata()
        .await
        .expect(200);
    assert_eq!(odata.json(), expected);
}

async fn environments_have_the_documented_shape(backend: Backend) {
    let service = service(backend).await;
    let administrator = service.administrator();
    let expected = json!({
        "name": "MyCustomer",
        "friendlyName": "MyCustomer",
        "type": "Production",
        "applicationFamily": "BusinessCentral",
        "aadTenantId": CUSTOMER,
        "countryCode": "US",
        "status": "Active",
        "webClientLoginUrl": "",
        "webServiceUrl": "",
        "locationName": "West Europe",
        "ringName": "Production",
        "applicationVersion": "27.0.0.0",
        "platformVersion": "27.0.0.0",
        "versionDetails": { "version": "27.0.0.0" },
        "appSourceAppsUpdateCadence": "Default",
    });
    assert_eq!(gets(&administrator, admin_path("MyCustomer", "")).await, expected);
    for list in [
        "environments",
        "BusinessCentral/environments",
        "Business%20Central/environments",
    ] {
        let listed = gets(&administrator, format!("/admin/v2.19/applications/{list}")).await;
        assert_eq!(listed, json!({ "value": [expected] }));
    }
    for name in ["zeta", "Alpha"] {
        let environment = Environment::named(name).in_family("BusinessCentral").sandbox();
        service.operator().reports(&environment).await.expect(201);
    }
    let listed = administrator
        .get("/admin/v2.19/applications/environments")
        .await
        .expect(200);
    assert_eq!(listed.column("name"), ["Alpha", "MyCustomer", "zeta"]);
    // What a connection test looks for in the text, however the family was registered.
    let spelt = r#""applicationFamily":"BusinessCentral""#;
    assert_eq!(listed.text().matches(spelt).count(), 3, "{listed:?}");
    let other = Environment::named("Other").in_family("Fabrikam Suite");
    service.operator().reports(&other).await.expect(201);
    for (asked, shown) in [
        ("business%20central", "BusinessCentral"),
        ("fabrikamsuite", "fabrikamsuite"),
    ] {
        let missing = administrator
            .get(format!(
                "/admin/v2.28/applications/{asked}/environments/Nowhere/apps"
            ))
            .await;
        let target = missing.refused(404, "EnvironmentNotFound").target();
        assert_eq!(target, format!("{shown}/Nowhere"));
    }
    let not_installed = administrator
        .post(
            admin_path("MyCustomer", &format!("apps/{}/update", Uuid::from_u128(9))),
            json!({ "targetVersion": "1.0.0.0" }),
        )
        .await;
    assert!(
        !not_installed.text().contains("Business Central"),
        "{not_installed:?}"
    );
    let unknown = administrator
        .get("/admin/v2.19/applications/Other/environments")
        .await;
    assert_eq!(
        unknown.refused(400, "ApplicationTypeDoesNotExist").target(),
        "Other"
    );
    let families = gets(&administrator, "/admin/v2.27/applications/").await;
    let [usual, fabrikam] = [&families["value"][0], &families["value"][1]];
    assert_eq!(
        (&usual["applicationFamily"], &fabrikam["applicationFamily"]),
        (&json!("BusinessCentral"), &json!("Fabrikam Suite"))
    );
    assert_eq!(usual["countriesRingDetails"][0]["rings"][0]["name"], "PROD");
}

async fn apps_have_the_documented_shape(backend: Backend) {
    let service = service(backend).await;
    let (administrator, owner) = (service.administrator(), service.owner());
    let path = admin_path("MyCustomer", "apps");
    let hub = json!({
        "id": LIBRARY, "appId": LIBRARY, "name": "Company Hub", "publisher": "Microsoft", "version": "1.0.0.0",
        "state": "Installed", "appType": "global", "canBeUninstalled": true,
    });
    let mut app = json!({
        "id": APP, "appId": APP, "name": "ExampleApp", "publisher": "Contoso", "version": "16.0.0.5",
        "state": "Installed", "appType": "tenant", "canBeUninstalled": true,
    });
    assert_eq!(gets(&administrator, &path).await, json!({ "value": [hub, app] }));
    for version in ["16.0.0.5", "16.0.1.2"] {
        owner.has_uploaded(version).await;
    }
    let environment = Environment::named("MyCustomer");
    let hotfix = owner
        .schedules_at_once(&environment, "16.0.1.2")
        .await
        .expect(200)
        .property("id");
    app["appType"] = json!("global");
    app["lastOperationId"] = json!(hotfix);
    app["state"] = json!("UpdatePending");
    assert_eq!(gets(&administrator, &path).await["value"][1], app);
    service.catches_up().await;
    app["state"] = json!("Updating");
    assert_eq!(gets(&administrator, &path).await["value"][1], app);
    service.finishes_work().await;
    app["state"] = json!("Installed");
    app["lastUpdateAttemptResult"] = json!("Succeeded");
    app["version"] = json!("16.0.1.2");
    assert_eq!(gets(&administrator, &path).await["value"][1], app);
}

async fn an_app_is_shown_as_it_is_treated(backend: Backend) {
    let service = service(backend).await;
    let base = uuid!("437dbf0e-84ff-417a-965d-ed2bb9650972");
    let mut report = Environment::named("Other").report();
    report["apps"] = json!([
        { "id": base, "version": "27.0.0.0", "name": "Base Application", "publisher": "Microsoft" },
        { "id": LIBRARY, "version": "1.0.0.0", "name": "Company Hub", "publisher": "Microsoft" },
    ]);
    let path = Environment::named("Other").operator_path();
    service.operator().put(path, report).await.expect(201);
    let administrator = service.administrator();
    let shown = gets(&administrator, admin_path("Other", "apps")).await;
    for (at, app, goes) in [(0, base, false), (1, LIBRARY, true)] {
        assert_eq!(shown["value"][at]["appId"], json!(app));
        assert_eq!(shown["value"][at]["canBeUninstalled"], goes, "{app}");
        let path = admin_path("Other", &format!("apps/{app}/uninstall"));
        let answer = administrator.post(path, json!({})).await;
        answer.expect(if goes { 200 } else { 400 });
    }
}

async fn an_operation_is_the_same_at_every_address(backend: Backend) {
    let service = service(backend).await;
    let (administrator, owner) = (service.administrator(), service.owner());
    for version in ["16.0.0.5", "16.0.1.2"] {
        owner.has_uploaded(version).await;
    }
    let hotfix = owner
        .schedules(&Environment::named("MyCustomer"), "16.0.1.2")
        .await
        .expect(200)
        .property("id");
    let mut expected = json!({
        "id": hotfix,
        "type": "hotfix",
        "status": "scheduled",
        "createdOn": "2020-03-05T12:00:00.0000000Z",
        "sourceAppVersion": "16.0.0.5",
        "targetAppVersion": "16.0.1.2",
        "sourceVersion": "16.0.0.5",
        "targetVersion": "16.0.1.2",
        "errorMessage": "",
        "createdBy": "Contoso",
        "canceledBy": "",
        "creatorPrincipalType": "app",
        "appId": APP,
        "aadTenantId": CUSTOMER,
        "environmentName": "MyCustomer",
        "environmentType": "Production",
        "productFamily": "BusinessCentral",
        "canBeCanceled": false,
        "scheduleKind": "UpdateWindow",
        "parameters": {
            "appId": APP,
            "targetAppVersion": "16.0.1.2",
            "sourceAppVersion": "16.0.0.5",
            "countryCode": "US",
            "ignoreUpgradeWindow": false,
        },
    });
    let of_app = admin_path("MyCustomer", &format!("apps/{APP}/operations"));
    assert_eq!(
        gets(&administrator, &of_app).await,
        json!({ "value": [expected] })
    );
    assert_eq!(gets(&administrator, format!("{of_app}/{hotfix}")).await, expected);
    expected["type"] = json!("environmentAppHotfix");
    let of_environment = admin_path("MyCustomer", "operations");
    for list in [
        of_environment.as_str(),
        "/admin/v2.19/environments/operations",
        "/admin/v2.19/applications/BusinessCentral/environments/operations",
        "/admin/v2.19/environments/MyCustomer/operations",
    ] {
        assert_eq!(
            gets(&administrator, list).await,
            json!({ "value": [expected] }),
            "{list}"
        );
    }
    for one in [of_environment.as_str(), "/admin/v2.28/environments/operations"] {
        assert_eq!(gets(&administrator, format!("{one}/{hotfix}")).await, expected);
        let unknown = administrator.get(format!("{one}/{}", Uuid::new_v4())).await;
        unknown.refused(404, "ResourceDoesNotExist");
    }
    let of_another_app = admin_path("MyCustomer", &format!("apps/{LIBRARY}/operations/{hotfix}"));
    administrator
        .get(of_another_app)
        .await
        .refused(404, "ResourceDoesNotExist");
    service.moves_clock_to("2020-03-05T20:00:00Z").await;
    service.finishes_work().await;
    let done = gets(&administrator, format!("{of_app}/{hotfix}")).await;
    assert_eq!(
        (&done["status"], &done["startedOn"]),
        (&json!("succeeded"), &json!("2020-03-05T20:00:00.0000000Z"))
    );
    assert!(done["completedOn"].is_string(), "{done}");
}

async fn users_are_shown_by_their_address(backend: Backend) {
    let service = service(backend).await;
    for version in ["16.0.0.5", "16.0.1.2"] {
        service.owner().has_uploaded(version).await;
    }
    let update = admin_path("MyCustomer", &format!("apps/{APP}/update"));
    let body = json!({ "targetVersion": "16.0.1.2", "useEnvironmentUpdateWindow": true });
    let without = administrator_of(CUSTOMER)
        .with_claim("name", "Adele Vance")
        .without_claim("preferred_username");
    let without = ["upn", "unique_name"]
        .into_iter()
        .fold(without, |token, claim| token.without_claim(claim));
    let id = &without.claims["oid"];
    let id = id.as_str().unwrap().to_owned();
    let with = without
        .clone()
        .with_claim("preferred_username", "adele@contoso.example");
    // Without an address, the object id is what there is; the name never is.
    for (token, shown) in [(&with, "adele@contoso.example"), (&without, id.as_str())] {
        let user = service.with_token(token);
        let asked = user.post(&update, body.clone()).await.expect(200);
        assert_eq!(asked.property("createdBy"), shown);
        let canceled = user.post(format!("{update}/cancel"), json!({})).await.expect(200);
        assert_eq!(canceled.property("canceledBy"), shown);
    }
}

async fn a_window_is_read_and_set_in_both_ways(backend: Backend) {
    let service = service(backend).await;
    let administrator = service.administrator();
    let path = admin_path("MyCustomer", "settings/upgrade");
    let expected = |start: &str, end: &str, zone: &str, utc: [&str; 2]| {
        json!({
            "preferredStartTime": start,
            "preferredEndTime": end,
            "timeZoneId": zone,
            "preferredStartTimeUtc": utc[0],
            "preferredEndTimeUtc": utc[1],
        })
    };
    let night = ["2020-03-05T20:00:00.0000000Z", "2020-03-06T06:00:00.0000000Z"];
    assert_eq!(
        gets(&administrator, &path).await,
        expected("20:00", "06:00", "UTC", night)
    );

    let local = json!({ "PreferredStartTime": "7:30", "preferredEndTime": "17:00:00", "timeZoneId": "romance standard time" });
    let set = administrator.put(&path, local).await.expect(200);
    check(&set);
    let day = ["2020-03-05T06:30:00.0000000Z", "2020-03-05T16:00:00.0000000Z"];
    assert_eq!(
        set.json(),
        expected("07:30", "17:00", "Romance Standard Time", day)
    );
    assert_eq!(gets(&administrator, &path).await, set.json());

    let utc = json!({ "preferredStartTimeUtc": "1999-12-31T22:00:00Z", "preferredEndTimeUtc": "2000-01-01T08:00:00Z" });
    let set = administrator.put(&path, utc).await.expect(200).json();
    assert_eq!(set["preferredStartTimeUtc"], "2020-03-05T22:00:00.0000000Z");
    assert_ne!(set["timeZoneId"], "Romance Standard Time");
    // What is sent back as it was read says both at once.
    administrator.put(&path, set).await.refused(400, "InvalidInput");

    let audit = service
        .operator()
        .get("/operator/v1/audit?$filter=action eq 'environments/window'")
        .await;
    let rows = audit.expect(200).rows();
    assert_eq!(rows[0]["before"]["window"]["start"], "20:00");
    assert_eq!(rows[0]["after"]["window"]["timeZone"], "Romance Standard Time");
    // What is reported as it was before does not undo the customer's choice; what is reported anew does.
    let reported = Environment::my_customer("16.0.0.5");
    service.operator().reports(&reported).await.expect(200);
    assert_eq!(
        gets(&administrator, &path).await["preferredStartTimeUtc"],
        "2020-03-05T22:00:00.0000000Z"
    );
    service
        .operator()
        .reports(&reported.with_window("19:00", "06:00", "UTC"))
        .await
        .expect(200);
    assert_eq!(gets(&administrator, &path).await["preferredStartTime"], "19:00");
}

async fn a_window_that_cannot_be_is_refused(backend: Backend) {
    let service = service(backend).await;
    let administrator = service.administrator();
    let path = admin_path("MyCustomer", "settings/upgrade");
    let local = |start: &str, end: &str, zone: &str| json!({ "preferredStartTime": start, "preferredEndTime": end, "timeZoneId": zone });
    let wrong = [
        (json!({}), "InvalidInput", "preferredStartTime"),
        (
            local("20:00", "01:59", "UTC"),
            "InvalidRange",
            "Preferred Upgrade Window",
        ),
        (
            local("20:00", "20:00", "UTC"),
            "InvalidRange",
            "Preferred Upgrade Window",
        ),
        (
            local("20:00", "06:00", "Mars Standard Time"),
            "InvalidInput",
            "timeZoneId",
        ),
        (
            local("25:00", "06:00", "UTC"),
            "InvalidInput",
            "preferredStartTime",
        ),
        (
            json!({ "preferredStartTime": "20:00", "preferredEndTim": "06:00" }),
            "InvalidInput",
            "preferredEndTim",
        ),
    ];
    for (body, code, target) in wrong {
        let refused = administrator.put(&path, body).await.refused(400, code);
        assert_eq!(refused.target(), target, "{refused:?}");
    }
    administrator
        .asks(Method::PUT, &path)
        .await
        .refused(400, "RequestBodyRequired");
    // The environment comes before the body.
    administrator
        .put(admin_path("Nowhere", "settings/upgrade"), json!({}))
        .await
        .refused(404, "EnvironmentNotFound");
    assert_eq!(gets(&administrator, &path).await["preferredStartTime"], "20:00");
}

async fn what_waits_is_timed_anew_when_the_window_changes(backend: Backend) {
    let service = service(backend).await;
    let (administrator, owner) = (service.administrator(), service.owner());
    for version in ["16.0.0.5", "16.0.1.2"] {
        owner.has_uploaded(version).await;
    }
    let hotfix = owner
        .schedules(&Environment::named("MyCustomer"), "16.0.1.2")
        .await
        .expect(200);
    let day = json!({ "preferredStartTime": "12:00", "preferredEndTime": "18:00", "timeZoneId": "UTC" });
    administrator
        .put(admin_path("MyCustomer", "settings/upgrade"), day)
        .await
        .expect(200);
    service.finishes_work().await;
    assert_eq!(owner.looks_at(&hotfix).await.property("status"), "Succeeded");
}

async fn the_cadence_is_kept_and_shown(backend: Backend) {
    let service = service(backend).await;
    let administrator = service.administrator();
    let path = admin_path("MyCustomer", "settings/appSourceAppsUpdateCadence");
    let kept = administrator
        .put(&path, json!({ "Value": "duringMajorUpgrade", "more": 1 }))
        .await
        .expect(200);
    check(&kept);
    assert_eq!(kept.json(), json!({ "value": "DuringMajorUpgrade" }));
    let shown = gets(&administrator, admin_path("MyCustomer", "")).await;
    assert_eq!(shown["appSourceAppsUpdateCadence"], "DuringMajorUpgrade");
    let audit = service
        .operator()
        .get("/operator/v1/audit?$filter=action eq 'environments/cadence'")
        .await
        .expect(200)
        .rows();
    assert_eq!(audit[0]["after"]["ignored"], json!(["more"]));
    let refused = administrator
        .put(&path, json!({ "value": "Weekly" }))
        .await
        .refused(400, "InvalidInput");
    assert_eq!(refused.target(), "value");
    let post = administrator
        .post(&path, json!({ "value": "Default" }))
        .await
        .refused(405, "MethodNotAllowed");
    assert_eq!(post.header("allow"), "PUT");
}

async fn updates_of_the_platform_are_none(backend: Backend) {
    let service = service(backend).await;
    let administrator = service.administrator();
    assert_eq!(
        gets(&administrator, admin_path("MyCustomer", "updates")).await,
        json!({ "value": [] })
    );
    let patch = administrator
        .patch(
            admin_path("MyCustomer", "updates/27.0"),
            json!({ "selected": true }),
        )
        .await;
    let patch = patch.refused(400, "EntityValidationFailed");
    assert!(
        !patch.message().contains("selected date time in the past"),
        "{patch:?}"
    );
    let upgrade = admin_path("MyCustomer", "upgrade");
    for asked in [
        administrator.get(&upgrade),
        administrator.put(&upgrade, json!({ "runOn": "x" })),
    ] {
        assert_eq!(
            asked.await.refused(404, "ResourceDoesNotExist").target(),
            "BusinessCentral/MyCustomer/upgrade"
        );
    }
    for (method, rest) in [
        (Method::GET, "updates"),
        (Method::GET, "upgrade"),
        (Method::PATCH, "updates/27.0"),
    ] {
        administrator
            .asks(method, admin_path("Nowhere", rest))
            .await
            .refused(404, "EnvironmentNotFound");
    }
}

async fn what_is_not_served_is_named(backend: Backend) {
    let service = service(backend).await;
    let administrator = service.administrator();
    let below = "/admin/v2.28/applications/BusinessCentral/environments";
    let calls = [
        (Method::PUT, format!("{below}/New")),
        (Method::DELETE, format!("{below}/MyCustomer")),
        (Method::POST, format!("{below}/MyCustomer/copy")),
        (Method::POST, format!("{below}/MyCustomer/rename/")),
        (Method::GET, format!("{below}/MyCustomer/settings/partneraccess")),
        (
            Method::GET,
            format!("{below}/MyCustomer/settings/securitygroupaccess"),
        ),
        (Method::POST, format!("{below}/MyCustomer/apps/pteInstall")),
        (Method::PUT, format!("/admin/v2.28/authorizedAadApps/{APP}")),
        (Method::PUT, "/admin/v2.28/authorizedAadApps".into()),
        (Method::DELETE, "/admin/v2.28/authorizedAadApps".into()),
        (Method::GET, "/admin/v2.28/notifications".to_owned()),
    ];
    for (method, path) in calls {
        let refused = administrator
            .asks(method.clone(), &path)
            .await
            .refused(501, "NotImplemented");
        assert!(
            refused.message().contains(&format!("{method} {path}")),
            "{refused:?}"
        );
        service
            .nobody()
            .asks(method, path)
            .await
            .refused(401, "Unauthorized");
    }
    let automation = "/v2.0/MyCustomer/api/microsoft/automation/v1.0/companies";
    let hint = administrator.get(automation).await.refused(501, "NotImplemented");
    assert!(hint.message().contains("Automation API"), "{hint:?}");
}

/// Each address as the administrator of another tenant, once about an environment that the customer has, and once about one
/// that nobody has.
async fn an_environment_of_another_tenant_answers_as_one_that_is_nobodys(backend: Backend) {
    let fixture = Fixture::set(backend).await;
    let other = CallerKind::OtherAdministrator;
    let mut seen = 0;
    for operation in described(&serde_json::from_str(&server::openapi_json()).unwrap()) {
        let samples = samples();
        let sample = samples
            .iter()
            .find(|sample| sample.operation == operation.id)
            .unwrap();
        if sample.guard != Guard::Administrator(Whose::Customers)
            || !operation.path.contains("{environmentName}")
        {
            continue;
        }
        let there = fixture.answer(other, sample, &operation).await.expect(404);
        let name = there.target().split('/').next_back().unwrap().to_owned();
        let elsewhere = crate::every_operation::Described {
            path: operation.path.replace("{environmentName}", "Nobodys%20own"),
            id: operation.id.clone(),
            method: operation.method.clone(),
        };
        let nowhere = fixture.answer(other, sample, &elsewhere).await.expect(404);
        assert_eq!(
            there.text().replace(&name, "Nobodys own"),
            nowhere.text(),
            "{}",
            operation.id
        );
        seen += 1;
    }
    assert!(seen >= 10, "{seen}");
}

async fn the_tenant_of_the_token_decides_what_there_is(backend: Backend) {
    let service = service(backend).await;
    let elsewhere = service.with_token(&administrator_of(crate::harness::OTHER_CUSTOMER));
    for list in [
        "applications/environments",
        "applications/BusinessCentral/environments",
        "environments/operations",
    ] {
        assert_eq!(
            gets(&elsewhere, format!("/admin/v2.28/{list}")).await,
            json!({ "value": [] })
        );
    }
    let zones = gets(&elsewhere, "/admin/v2.28/applications/settings/timezones").await;
    let romance = zones["value"]
        .as_array()
        .unwrap()
        .iter()
        .find(|zone| zone["id"] == "Romance Standard Time");
    assert_eq!(
        romance.unwrap(),
        &json!({
            "id": "Romance Standard Time",
            "displayName": "(UTC+01:00) Romance Standard Time",
            "currentUtcOffset": "+01:00",
            "supportsDaylightSavingTime": true,
            "isCurrentlyDaylightSavingTime": false,
        })
    );
    service.moves_clock_to("2020-07-01T12:00:00Z").await;
    let zones = gets(&elsewhere, "/admin/v2.28/applications/settings/timezones").await;
    let of = |id: &str| {
        zones["value"]
            .as_array()
            .unwrap()
            .iter()
            .find(|zone| zone["id"] == id)
            .unwrap()
            .clone()
    };
    assert_eq!(of("Romance Standard Time")["currentUtcOffset"], "+02:00");
    assert_eq!(
        of("Romance Standard Time")["displayName"],
        "(UTC+01:00) Romance Standard Time"
    );
    assert_eq!(of("UTC")["supportsDaylightSavingTime"], false);
    assert_eq!(of("India Standard Time")["currentUtcOffset"], "+05:30");
}

async fn the_web_address_of_an_environment_is_told_where_that_is_switched_on(backend: Backend) {
    let path = format!("/{CUSTOMER}/MyCustomer/deployment/url");
    let off = service(backend).await;
    off.nobody().get(&path).await.refused(404, "ResourceDoesNotExist");
    let on = Harness::with(backend)
        .setting("customers.deployment_url", true)
        .start()
        .await;
    on.operator()
        .reports(&Environment::named("MyCustomer").in_family("BusinessCentral"))
        .await
        .expect(201);
    let answer = on.nobody().get(&path).await.expect(200);
    assert_eq!(
        answer.json(),
        json!({ "status": "Ready", "data": "", "environmentType": 0 })
    );
    for unknown in [
        format!("/{CUSTOMER}/Nowhere/deployment/url"),
        "/contoso.com/MyCustomer/deployment/url".to_owned(),
    ] {
        let answer = on.nobody().get(unknown).await.expect(200);
        assert_eq!(answer.json(), json!({ "status": "DoesNotExist" }));
    }
}
