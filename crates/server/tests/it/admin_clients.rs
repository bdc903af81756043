//! The public clients of the Admin Center API, as far as what they send and read is public: each sequence of requests is sent
//! as its client sends it, and read as it reads, with the words that it compares with. Only the base address is ours.

use crate::harness::{
    APP, Answer, Backend, CUSTOMER, Caller, Environment, Harness, LIBRARY, Person, client_of,
    on_both_databases, package_needing_library,
};
use http::Method;
use serde_json::{Value, json};
use uuid::Uuid;

on_both_databases!(
    bc_container_helper_installs_an_app_and_polls_its_list,
    bc_container_helper_reads_environments_operations_and_windows,
    al_go_reads_the_version_of_the_base_application,
    terraform_creates_updates_and_destroys_an_app,
    terraform_takes_a_scheduled_operation_for_a_deferred_success,
    terraform_changes_the_window_flag_of_an_update_that_waits,
    terraform_reads_an_environment_and_its_data_sources,
    ccms_updates_an_app_whose_id_stands_in_braces,
    the_open_tool_requires_members_and_understands_texts,
    alops_updates_every_app_that_is_listed,
    the_mcp_server_parses_what_it_gets,
    al_dev_toolbox_is_tolerant,
    the_rest_client_and_the_samples_take_200_alone,
);

const FAMILY: &str = "/applications/BusinessCentral/environments";

/// The service with `MyCustomer`, which has the library and not the app that needs it, and a program that the customer lists.
async fn customer(backend: Backend) -> (Harness, Caller) {
    let service = Harness::with(backend)
        .setting("customers.deployment_url", true)
        .setting("customers.delete_data", true)
        .start()
        .await;
    service.has_app(LIBRARY).await;
    let owner = service.owner();
    for version in ["1.0.0.0", "1.1.0.0"] {
        owner.on(LIBRARY).has_uploaded(version).await;
    }
    for (version, library) in [("16.0.0.5", "1.0.0.0"), ("16.0.1.2", "1.1.0.0")] {
        let package = package_needing_library(version, library);
        owner.uploads(&package, "Available").await.expect(200);
    }
    let mut report = environment().report();
    report["apps"] = json!([
        { "id": LIBRARY, "version": "1.0.0.0", "name": "Example Library", "publisher": "Contoso" },
        { "id": BASE, "version": "27.0.1.0", "name": "Base Application", "publisher": "Microsoft" },
    ]);
    service
        .operator()
        .put(environment().operator_path(), report)
        .await
        .expect(201);
    let listed = json!({ "clients": [Person::STRANGER.id] });
    service.registers_customer(CUSTOMER, listed).await.expect(201);
    let caller = service.with_token(&client_of(CUSTOMER, &Person::STRANGER));
    (service, caller)
}

/// The id of Microsoft's Base Application.
const BASE: Uuid = uuid::uuid!("437dbf0e-84ff-417a-965d-ed2bb9650972");

/// Its family is registered with the blank that vendors' documents have.
fn environment() -> Environment {
    Environment::named("MyCustomer")
        .in_family("Business Central")
        .on_application("27.0.0.0")
        .with_complete_inventory()
}

/// What a strict reader takes: 200 alone, JSON, no `null`.
fn ok(answer: Answer) -> Value {
    let answer = answer.expect(200);
    assert!(!answer.text().contains("null"), "{answer:?}");
    answer.json()
}

fn text(row: &Value, member: &str) -> String {
    let value = &row[member];
    value
        .as_str()
        .unwrap_or_else(|| panic!("{member} of {row}"))
        .to_owned()
}

fn rows(list: &Value) -> Vec<Value> {
    list["value"]
        .as_array()
        .unwrap_or_else(|| panic!("{list}"))
        .clone()
}

/// Installs the app at once, and sees that it is there.
async fn has_the_app(service: &Harness, caller: &Caller) {
    let body = json!({ "acceptIsvEula": true, "targetVersion": "16.0.0.5" });
    ok(caller
        .post(
            format!("/admin/v2.27{FAMILY}/MyCustomer/apps/{APP}/install"),
            body,
        )
        .await);
    service.finishes_work().await;
}

async fn bc_container_helper_installs_an_app_and_polls_its_list(backend: Backend) {
    let (service, caller) = customer(backend).await;
    let environments = rows(&ok(caller.get(format!("/admin/v2.6{FAMILY}")).await));
    assert_eq!(
        (text(&environments[0], "name"), text(&environments[0], "type")),
        ("MyCustomer".into(), "Production".into())
    );
    let apps = format!("/admin/v2.6{FAMILY}/MyCustomer/apps");
    let id = APP.to_string().to_uppercase();
    let is_it = |row: &&Value| {
        text(row, "id").eq_ignore_ascii_case(&id) && text(row, "state").eq_ignore_ascii_case("installed")
    };
    assert!(rows(&ok(caller.get(&apps).await)).iter().find(is_it).is_none());
    let deployment = service
        .nobody()
        .get(format!("/{CUSTOMER}/MyCustomer/deployment/url"))
        .await
        .expect(200)
        .json();
    assert_eq!(deployment["status"], "Ready");

    let body =
        json!({ "AcceptIsvEula": true, "languageId": "da-DK", "installOrUpdateNeededDependencies": true });
    let operation = ok(caller.post(format!("{apps}/{id}/install"), body).await);
    assert_eq!(operation["status"], "scheduled");
    let mut seen = Vec::new();
    let status = loop {
        let list = rows(&ok(caller.get(format!("{apps}/{id}/operations")).await));
        let found = list
            .iter()
            .find(|row| text(row, "id") == text(&operation, "id"))
            .unwrap()
            .clone();
        let status = text(&found, "status");
        seen.push(status.clone());
        match status.as_str() {
            "running" | "scheduled" => service.finishes_work().await,
            "succeeded" => break status,
            other => panic!("{other}: {}", text(&found, "errorMessage")),
        }
        assert!(seen.len() < 10, "{seen:?}");
    };
    assert_eq!(status, "succeeded");
    // Nobody named a version: it is the highest, with the library that it needs.
    let installed = rows(&ok(caller.get(&apps).await));
    let version = |id: Uuid| {
        text(
            installed
                .iter()
                .find(|row| text(row, "id") == id.to_string())
                .unwrap(),
            "version",
        )
    };
    assert_eq!(
        (version(APP), version(LIBRARY)),
        ("16.0.1.2".into(), "1.1.0.0".into())
    );
}

async fn bc_container_helper_reads_environments_operations_and_windows(backend: Backend) {
    let (service, caller) = customer(backend).await;
    for list in [
        "applications/BusinessCentral/environments",
        "applications/BusinessCentral/environments/MyCustomer",
    ] {
        let got = ok(caller.get(format!("/admin/v2.19/{list}")).await);
        let one = got.get("value").map_or(got.clone(), |value| value[0].clone());
        let platform: Vec<_> = text(&one, "platformVersion")
            .split('.')
            .map(str::to_owned)
            .collect();
        assert_eq!(
            (platform.len(), text(&one, "countryCode").to_lowercase()),
            (4, "us".to_owned())
        );
    }
    has_the_app(&service, &caller).await;
    for list in [
        "environments/operations",
        "applications/BusinessCentral/environments/MyCustomer/operations",
    ] {
        for row in rows(&ok(caller.get(format!("/admin/v2.19/{list}")).await)) {
            let of = (text(&row, "productFamily"), text(&row, "environmentName"));
            assert_eq!(of, ("BusinessCentral".into(), "MyCustomer".into()));
            assert!(
                !["queued", "scheduled", "running"].contains(&text(&row, "status").as_str()),
                "{row}"
            );
        }
    }
    let window = format!("/admin/v2.19{FAMILY}/MyCustomer/settings/upgrade");
    let zone = text(&ok(caller.get(&window).await), "timeZoneId");
    let body = json!({ "preferredStartTime": "7:30", "preferredEndTime": "17:00", "timeZoneId": zone });
    assert_eq!(ok(caller.put(&window, body).await)["preferredStartTime"], "07:30");
    caller
        .get(format!("/admin/v2.3{FAMILY}/MyCustomer/upgrade"))
        .await
        .expect(404);
    caller
        .put(
            format!("/admin/v2.13{FAMILY}/MyCustomer/upgrade"),
            json!({ "runOn": "x" }),
        )
        .await
        .expect(404);
    // An error is read from the top level, from `error`, and from a header.
    let refused = caller
        .get(format!("/admin/v2.19{FAMILY}/Nowhere"))
        .await
        .expect(404);
    assert_eq!(refused.json()["error"]["message"], refused.json()["message"]);
    assert!(refused.has_header("ms-correlation-x"));
}

async fn al_go_reads_the_version_of_the_base_application(backend: Backend) {
    let (_, caller) = customer(backend).await;
    let apps = rows(&ok(caller
        .get(format!("/admin/v2.6{FAMILY}/MyCustomer/apps"))
        .await));
    let base = apps
        .iter()
        .find(|row| text(row, "name") == "Base Application")
        .unwrap();
    assert_eq!(text(base, "version"), "27.0.1.0");
}

/// Waits as the provider does: by id, at an environment's address, with words compared exactly.
async fn terraform_waits(service: &Harness, caller: &Caller, id: &str) -> String {
    for _ in 0..10 {
        let operation = ok(caller
            .get(format!("/admin/v2.27{FAMILY}/MyCustomer/operations/{id}"))
            .await);
        assert!(
            operation["type"].as_str().unwrap().starts_with("environmentApp"),
            "{operation}"
        );
        for member in ["startedOn", "completedOn"] {
            assert_ne!(operation.get(member), Some(&json!("")), "{operation}");
        }
        match text(&operation, "status").as_str() {
            "queued" | "scheduled" | "running" => service.finishes_work().await,
            "succeeded" => return "succeeded".into(),
            other => return other.into(),
        }
    }
    panic!("it never ended")
}

/// The app as the provider finds it: by the exact text of its id.
async fn terraform_reads(caller: &Caller) -> Option<Value> {
    let apps = rows(&ok(caller
        .get(format!("/admin/v2.27{FAMILY}/MyCustomer/apps"))
        .await));
    assert!(apps.iter().all(|app| app.get("status").is_none()), "{apps:?}");
    apps.into_iter().find(|app| text(app, "id") == APP.to_string())
}

async fn terraform_creates_updates_and_destroys_an_app(backend: Backend) {
    let (service, caller) = customer(backend).await;
    let app = format!("/admin/v2.27{FAMILY}/MyCustomer/apps/{APP}");
    assert_eq!(terraform_reads(&caller).await, None);
    let create = json!({
        "targetVersion": "16.0.0.5", "allowPreviewVersion": false, "installOrUpdateNeededDependencies": true,
        "acceptIsvEula": true, "languageId": "en-US",
    });
    let operation = ok(caller.post(format!("{app}/install"), create).await);
    assert_eq!(
        terraform_waits(&service, &caller, &text(&operation, "id")).await,
        "succeeded"
    );
    let found = terraform_reads(&caller).await.unwrap();
    assert_eq!(
        (text(&found, "name"), text(&found, "version")),
        ("ExampleApp".into(), "16.0.0.5".into())
    );

    let update = json!({
        "targetVersion": "16.0.1.2", "allowPreviewVersion": false, "installOrUpdateNeededDependencies": true,
        "useEnvironmentUpdateWindow": false,
    });
    let operation = ok(caller.post(format!("{app}/update"), update).await);
    assert_eq!(
        terraform_waits(&service, &caller, &text(&operation, "id")).await,
        "succeeded"
    );
    assert_eq!(
        text(&terraform_reads(&caller).await.unwrap(), "version"),
        "16.0.1.2"
    );

    let destroy =
        json!({ "doNotSaveData": true, "uninstallDependents": true, "useEnvironmentUpdateWindow": false });
    let operation = ok(caller.post(format!("{app}/uninstall"), destroy).await);
    assert_eq!(
        operation["parameters"]["deleteData"], false,
        "a member that nobody knows deletes nothing"
    );
    assert_eq!(
        terraform_waits(&service, &caller, &text(&operation, "id")).await,
        "succeeded"
    );
    assert_eq!(terraform_reads(&caller).await, None);
}

async fn terraform_takes_a_scheduled_operation_for_a_deferred_success(backend: Backend) {
    let (service, caller) = customer(backend).await;
    has_the_app(&service, &caller).await;
    let app = format!("/admin/v2.27{FAMILY}/MyCustomer/apps/{APP}");
    let update = json!({
        "targetVersion": "16.0.1.2", "allowPreviewVersion": false, "installOrUpdateNeededDependencies": true,
        "useEnvironmentUpdateWindow": true,
    });
    let first = ok(caller.post(format!("{app}/update"), update.clone()).await);
    assert_eq!(first["status"], "scheduled");
    let refused = caller
        .post(format!("{app}/update"), update)
        .await
        .refused(400, "EntityValidationFailed");
    assert!(
        refused.message().contains("already been scheduled"),
        "{refused:?}"
    );
    assert_eq!(refused.json()["extensionData"]["operationId"], first["id"]);
    // The window opens at eight.
    service.moves_clock_to("2020-03-05T20:00:00Z").await;
    for _ in 0..3 {
        service.finishes_work().await;
    }
    assert_eq!(
        text(&terraform_reads(&caller).await.unwrap(), "version"),
        "16.0.1.2"
    );
}

async fn terraform_changes_the_window_flag_of_an_update_that_waits(backend: Backend) {
    let (service, caller) = customer(backend).await;
    has_the_app(&service, &caller).await;
    let app = format!("/admin/v2.27{FAMILY}/MyCustomer/apps/{APP}");
    let update = |in_window: bool| {
        json!({
            "targetVersion": "16.0.1.2", "allowPreviewVersion": false, "installOrUpdateNeededDependencies": true,
            "useEnvironmentUpdateWindow": in_window,
        })
    };
    ok(caller.post(format!("{app}/update"), update(true)).await);
    let operations = rows(&ok(caller.get(format!("{app}/operations")).await));
    let is_waiting = |row: &&Value| {
        text(row, "status").eq_ignore_ascii_case("scheduled")
            && text(row, "type").eq_ignore_ascii_case("update")
    };
    let waiting = operations.iter().find(is_waiting).unwrap();
    let cancel = json!({ "ScheduledOperationId": waiting["id"] });
    let canceled = ok(caller.post(format!("{app}/update/cancel"), cancel.clone()).await);
    assert_eq!(
        (&canceled["status"], text(&canceled, "canceledBy")),
        (&json!("canceled"), Person::STRANGER.id.to_string())
    );
    assert_eq!(
        ok(caller.post(format!("{app}/update/cancel"), cancel).await)["status"],
        "canceled"
    );
    let again = ok(caller.post(format!("{app}/update"), update(false)).await);
    assert_eq!(
        terraform_waits(&service, &caller, &text(&again, "id")).await,
        "succeeded"
    );
}

async fn terraform_reads_an_environment_and_its_data_sources(backend: Backend) {
    let (_, caller) = customer(backend).await;
    let one = ok(caller.get(format!("/admin/v2.27{FAMILY}/MyCustomer")).await);
    assert_eq!(
        (text(&one, "status"), text(&one, "ringName")),
        ("Active".into(), "Production".into())
    );
    assert_eq!(
        rows(&ok(caller
            .get(format!("/admin/v2.27{FAMILY}/MyCustomer/updates"))
            .await)),
        Vec::<Value>::new()
    );
    let settings = format!("/admin/v2.27{FAMILY}/MyCustomer/settings");
    ok(caller.get(format!("{settings}/upgrade")).await);
    let cadence = json!({ "value": "DuringMajorMinorUpgrade" });
    ok(caller
        .put(format!("{settings}/appSourceAppsUpdateCadence"), cadence)
        .await);
    for named in ["securitygroupaccess", "accesswithm365licenses"] {
        let refused = caller.get(format!("{settings}/{named}")).await.expect(501).json();
        assert!(refused["code"].is_string() && refused["message"].is_string());
    }
    let families = rows(&ok(caller.get("/admin/v2.27/applications/").await));
    assert_eq!(families[0]["countriesRingDetails"][0]["countryCode"], "US");
    assert!(
        rows(&ok(caller
            .get("/admin/v2.27/applications/settings/timezones")
            .await))
        .len()
            > 100
    );
    let tenants = rows(&ok(caller
        .get("/admin/v2.27/authorizedAadApps/manageableTenants")
        .await));
    assert_eq!(tenants, [json!({ "entraTenantId": CUSTOMER })]);
    let unknown = caller
        .get(format!("/admin/v2.27{FAMILY}/Nowhere"))
        .await
        .expect(404)
        .json();
    assert_eq!(unknown["code"], "EnvironmentNotFound");
}

async fn ccms_updates_an_app_whose_id_stands_in_braces(backend: Backend) {
    let (service, caller) = customer(backend).await;
    has_the_app(&service, &caller).await;
    let root = format!("/admin/v2.28{FAMILY}/MyCustomer");
    for member in [
        "name",
        "friendlyName",
        "type",
        "countryCode",
        "status",
        "applicationVersion",
        "webClientLoginUrl",
    ] {
        text(&ok(caller.get(&root).await), member);
    }
    let app = |list: Vec<Value>| list.into_iter().find(|row| row["appId"] == json!(APP)).unwrap();
    let before = app(rows(&ok(caller.get(format!("{root}/apps")).await)));
    assert_eq!(
        (text(&before, "state"), text(&before, "appType")),
        ("Installed".into(), "global".into())
    );
    let available = app(rows(&ok(caller
        .get(format!("{root}/apps/availableUpdates"))
        .await)));
    let body = json!({
        "useEnvironmentUpdateWindow": false, "targetVersion": available["version"], "allowPreviewVersion": false,
        "installOrUpdateNeededDependencies": true,
    });
    let braces = format!("%7B{}%7D", APP.to_string().to_uppercase());
    let operation = ok(caller.post(format!("{root}/apps/{braces}/update"), body).await);
    let waiting = app(rows(&ok(caller.get(format!("{root}/apps")).await)));
    assert_eq!(
        (&waiting["state"], &waiting["lastOperationId"]),
        (&json!("UpdatePending"), &operation["id"])
    );
    for _ in 0..3 {
        service.finishes_work().await;
    }
    let after = app(rows(&ok(caller.get(format!("{root}/apps")).await)));
    assert_eq!(
        (text(&after, "state"), text(&after, "lastUpdateAttemptResult")),
        ("Installed".into(), "Succeeded".into())
    );
    for row in rows(&ok(caller.get(format!("{root}/operations")).await)) {
        for member in [
            "id",
            "type",
            "status",
            "createdOn",
            "createdBy",
            "environmentName",
            "environmentType",
            "productFamily",
            "errorMessage",
        ] {
            text(&row, member);
        }
        assert!(row["parameters"].is_object());
    }
    caller
        .patch(format!("{root}/updates/27.1"), json!({ "selected": true }))
        .await
        .expect(400);
}

async fn the_open_tool_requires_members_and_understands_texts(backend: Backend) {
    let (service, caller) = customer(backend).await;
    let listed = caller
        .get("/admin/v2.28/applications/environments")
        .await
        .expect(200);
    assert!(
        listed.text().contains(r#""applicationFamily":"BusinessCentral""#),
        "{listed:?}"
    );
    for member in [
        "name",
        "type",
        "aadTenantId",
        "countryCode",
        "status",
        "webClientLoginUrl",
        "applicationVersion",
        "platformVersion",
    ] {
        text(&listed.rows()[0], member);
    }
    let root = format!("/admin/v2.28{FAMILY}/MyCustomer");
    let window = ok(caller.get(format!("{root}/settings/upgrade")).await);
    assert_eq!(window.as_object().unwrap().len(), 5);
    for app in rows(&ok(caller.get(format!("{root}/apps")).await)) {
        for member in ["id", "name", "publisher", "version", "state"] {
            text(&app, member);
        }
    }
    let install = |dependencies: bool| {
        json!({
            "useEnvironmentUpdateWindow": false, "allowPreviewVersion": false,
            "installOrUpdateNeededDependencies": dependencies, "acceptIsvEula": true,
        })
    };
    let path = |app: Uuid| format!("{root}/apps/{app}/install");
    let needs = caller
        .post(path(APP), install(false))
        .await
        .refused(400, "EntityValidationFailed");
    let words = "requires the following apps to be installed or updated as dependencies, please either allow automatic dependency installation/update or do the operation manually";
    assert!(needs.message().contains(words), "{needs:?}");
    let requirement = &needs.json()["data"]["requirements"][0];
    assert_eq!(
        ["name", "version", "type"].map(|member| text(requirement, member)),
        ["Example Library", "1.1.0.0", "update"]
    );
    let nowhere = Uuid::new_v4();
    let unknown = caller
        .post(path(nowhere), install(true))
        .await
        .refused(400, "EntityValidationFailed")
        .message();
    assert!(
        unknown.starts_with("Entity validation failed: Target app version was not found."),
        "{unknown}"
    );
    let pieces: Vec<_> = unknown.split('\'').collect();
    assert_eq!(
        (pieces[1].parse::<Uuid>().unwrap(), pieces[3], pieces[5]),
        (nowhere, "latest compatible", "US")
    );
    has_the_app(&service, &caller).await;
    let again = caller
        .post(path(APP), install(true))
        .await
        .refused(400, "EntityValidationFailed");
    assert!(
        again
            .message()
            .contains("Entity validation failed: App is already installed."),
        "{again:?}"
    );
}

async fn alops_updates_every_app_that_is_listed(backend: Backend) {
    let (service, caller) = customer(backend).await;
    has_the_app(&service, &caller).await;
    let root = format!("/admin/v2.21{FAMILY}/MyCustomer/apps");
    let mut updates = rows(&ok(caller.get(format!("{root}/availableUpdates")).await));
    // What another update brings along is not there for the next one.
    updates.sort_by_key(|update| update["requirements"].as_array().unwrap().len());
    assert_eq!(updates.len(), 2, "{updates:?}");
    for update in updates {
        let body = json!({ "targetVersion": update["version"], "installOrUpdateNeededDependencies": true });
        let operation = ok(caller
            .post(format!("{root}/{}/update", text(&update, "appId")), body)
            .await);
        let mut polls = 0;
        loop {
            let list = rows(&ok(caller
                .get(format!("{root}/{}/operations", text(&update, "appId")))
                .await));
            let found = list
                .iter()
                .find(|row| row["id"] == operation["id"])
                .unwrap()
                .clone();
            if text(&found, "status").eq_ignore_ascii_case("succeeded") {
                break;
            }
            polls += 1;
            assert!(polls < 20, "{found}");
            service.finishes_work().await;
        }
    }
    assert_eq!(
        rows(&ok(caller.get(format!("{root}/availableUpdates")).await)),
        Vec::<Value>::new()
    );
}

async fn the_mcp_server_parses_what_it_gets(backend: Backend) {
    let (service, caller) = customer(backend).await;
    has_the_app(&service, &caller).await;
    let root = format!("/admin/v2.27{FAMILY}/MyCustomer");
    for update in rows(&ok(caller.get(format!("{root}/apps/availableUpdates")).await)) {
        text(&update, "appId").parse::<Uuid>().unwrap();
        for requirement in update["requirements"].as_array().unwrap() {
            text(requirement, "id").parse::<Uuid>().unwrap();
            assert!(
                ["Install", "Update"].contains(&text(requirement, "type").as_str()),
                "{requirement}"
            );
        }
    }
    for operation in rows(&ok(caller.get(format!("{root}/apps/{APP}/operations")).await)) {
        for member in ["createdOn", "startedOn", "completedOn"] {
            let on = operation
                .get(member)
                .map(|on| on.as_str().unwrap().parse::<domain::instant::Instant>());
            assert!(on.is_none_or(|on| on.is_ok()), "{operation}");
        }
    }
    let nulls =
        json!({ "uninstallDependents": false, "deleteData": null, "useEnvironmentUpdateWindow": null });
    let uninstall = ok(caller.post(format!("{root}/apps/{APP}/uninstall"), nulls).await);
    assert_eq!(
        (
            &uninstall["targetVersion"],
            &uninstall["parameters"]["deleteData"]
        ),
        (&json!(""), &json!(false))
    );
}

async fn al_dev_toolbox_is_tolerant(backend: Backend) {
    let (service, caller) = customer(backend).await;
    has_the_app(&service, &caller).await;
    let root = format!("/admin/v2.29{FAMILY}/MyCustomer");
    let one = ok(caller.get(&root).await);
    assert_eq!(text(&one["versionDetails"], "version"), "27.0.0.0");
    let apps = rows(&ok(caller.get(format!("{root}/apps")).await));
    assert!(apps.iter().all(|app| app["appId"].is_string()));
    let operations = rows(&ok(caller.get(format!("{root}/apps/{APP}/operations")).await));
    let operation = ok(caller
        .get(format!(
            "{root}/apps/{APP}/operations/{}",
            text(&operations[0], "id")
        ))
        .await);
    assert_eq!(
        (&operation["sourceVersion"], &operation["targetVersion"]),
        (&json!(""), &json!("16.0.0.5"))
    );
    let refused = caller
        .asks(Method::POST, format!("{root}/apps/pteInstall"))
        .await
        .expect(501)
        .json();
    assert_eq!(refused["error"]["code"], "NotImplemented");
    caller
        .get(format!("{root}/apps/scheduledPteOperations"))
        .await
        .expect(501);
}

async fn the_rest_client_and_the_samples_take_200_alone(backend: Backend) {
    let (service, caller) = customer(backend).await;
    has_the_app(&service, &caller).await;
    let app = format!("/admin/v2.1{FAMILY}/MyCustomer/apps/{APP}");
    let update = json!({
        "targetVersion": "16.0.1.2", "acceptIsvEula": true, "installOrUpdateNeededDependencies": "true",
        "useEnvironmentUpdateWindow": "True",
    });
    ok(caller.post(format!("{app}/update"), update.clone()).await);
    // Without an id it is the only update that waits; what was called off with it does not wait either.
    assert_eq!(
        ok(caller.post(format!("{app}/update/cancel"), json!({})).await)["status"],
        "canceled"
    );
    caller
        .post(format!("{app}/update/cancel"), json!({}))
        .await
        .expect(404);
    let second = ok(caller.post(format!("{app}/update"), update).await);
    let cancel = format!(
        "/admin/v2.28{FAMILY}/MyCustomer/operations/{}/cancel",
        text(&second, "id")
    );
    assert_eq!(ok(caller.asks(Method::POST, cancel).await)["status"], "canceled");
    let library = format!("/admin/v2.25{FAMILY}/MyCustomer/apps/{LIBRARY}");
    let dependents = rows(&ok(caller.get(format!("{library}/uninstallRequirements")).await));
    assert_eq!(
        (
            text(&dependents[0], "appId"),
            text(&dependents[0], "type"),
            text(&dependents[0], "environmentAppOperationRequirementType")
        ),
        (APP.to_string(), "Global".into(), "Uninstall".into())
    );
    let refused = caller
        .post(format!("{library}/uninstall"), json!({}))
        .await
        .refused(400, "EntityValidationFailed");
    assert_eq!(refused.json()["data"]["requirements"][0]["type"], "uninstall");
    let both = ok(caller
        .post(
            format!("{library}/uninstall"),
            json!({ "uninstallDependents": true }),
        )
        .await);
    assert_eq!(both["parameters"]["allowDependentsUninstall"], true);
    for _ in 0..3 {
        service.finishes_work().await;
    }
    let left = rows(&ok(caller
        .get(format!("/admin/v2.1{FAMILY}/MyCustomer/apps"))
        .await));
    assert_eq!(left.len(), 1, "{left:?}");
}
