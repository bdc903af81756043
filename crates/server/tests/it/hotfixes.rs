//! Scheduling hotfixes: every check with its reason, in its order; and calling them off.

use crate::harness::{
    APP, Answer, Backend, CUSTOMER, Environment, Harness, LIBRARY, OTHER_CUSTOMER, Person, country_path,
    on_both_databases, package, package_needing_library, package_of,
};
use futures::future::join_all;
use serde_json::{Value, json};
use std::time::Duration;
use uuid::Uuid;

on_both_databases!(
    a_hotfix_is_shown_as_documented,
    the_body_is_read_leniently_but_checked,
    the_environment_must_exist_and_have_the_app,
    the_target_must_be_uploaded_in_this_country,
    the_type_must_fit_when_it_is_given,
    targets_must_be_available,
    a_sandbox_gets_a_preview_only_where_the_operator_allows_it,
    the_line_is_kept_and_the_version_rises,
    an_installed_preview_is_not_hotfixed,
    there_is_one_operation_for_an_app_in_an_environment,
    of_many_at_once_one_is_scheduled,
    dependencies_must_be_satisfied,
    a_part_of_business_central_is_there_whatever_the_inventory_says,
    the_environment_must_be_new_enough,
    the_environment_must_have_the_runtime,
    the_stricter_of_attribute_and_row_counts,
    an_app_that_is_incompatible_with_the_target_keeps_it_out,
    the_first_broken_rule_answers,
    run_after_is_answered_as_it_was_sent,
    a_moment_that_has_passed_is_due_at_once,
    the_error_that_is_told_is_the_one_that_was_made,
    an_idempotency_key_repeats_the_answer,
    an_idempotency_key_does_not_outlive_the_role,
    the_same_key_at_once_makes_one_hotfix,
    what_waits_can_be_canceled,
    nothing_else_can_be_changed,
    a_plan_explains_without_changing_anything,
    a_plan_is_filtered_by_what_it_finds_out,
    what_is_installed_of_other_apps_is_told_to_their_callers_alone,
    rights_come_first,
);

fn all() -> String {
    country_path(APP, "US", "environmentHotfixes")
}

/// An app with versions 16.0.0.5 and 16.0.1.2 and a customer who has the first.
async fn documented(backend: Backend) -> (Harness, Environment) {
    let service = Harness::start(backend).await;
    for version in ["16.0.0.5", "16.0.1.2"] {
        service.owner().has_uploaded(version).await;
    }
    let environment = Environment::my_customer("16.0.0.5");
    service.operator().reports(&environment).await.expect(201);
    (service, environment)
}

async fn a_hotfix_is_shown_as_documented(backend: Backend) {
    let (service, environment) = documented(backend).await;
    let mut body = environment.hotfix("16.0.1.2");
    body["runAfter"] = json!("2020-03-05T17:30:00.0000000Z");
    body["environmentType"] = json!("Production");
    let scheduled = service.contributor().post(all(), body).await.expect(200);
    let expected = json!({
        "id": scheduled.property("id"),
        "environmentAadTenantId": CUSTOMER,
        "sourceAppVersion": "16.0.0.5",
        "targetAppVersion": "16.0.1.2",
        "status": "Scheduled",
        "createdOn": "2020-03-05T12:00:00.0000000Z",
        "runAfter": "2020-03-05T17:30:00.0000000Z",
        "appId": APP,
        "countryCode": "US",
        "environmentApplicationFamily": "Business Central",
        "environmentName": "MyCustomer",
        "environmentType": "Production",
    });
    assert_eq!(scheduled.json(), expected);
    assert_eq!(service.reader().looks_at(&scheduled).await.json(), expected);
    let path = format!("{}?$filter=targetAppVersion eq '16.0.1.2'", all());
    assert_eq!(
        service.reader().get(path).await.expect(200).json(),
        json!({ "value": [expected] })
    );
    service
        .reader()
        .get(format!("{}/{}", all(), Uuid::from_u128(1)))
        .await
        .refused(404, "ResourceDoesNotExist");
    service
        .reader()
        .get(format!("{}/1", all()))
        .await
        .refused(400, "InvalidInput");
}

async fn the_body_is_read_leniently_but_checked(backend: Backend) {
    let (service, environment) = documented(backend).await;
    let owner = service.owner();
    owner
        .asks(http::Method::POST, all())
        .await
        .refused(400, "RequestBodyRequired");
    let good = environment.hotfix("16.0.1.2");
    for missing in [
        "environmentAadTenantId",
        "environmentApplicationFamily",
        "environmentName",
        "targetAppVersion",
    ] {
        let mut body = good.clone();
        body.as_object_mut().unwrap().remove(missing);
        assert_eq!(
            owner
                .post(all(), body)
                .await
                .refused(400, "InvalidInput")
                .target(),
            missing
        );
    }
    let wrong = [
        ("environmentAadTenantId", json!("contoso.com")),
        ("targetAppVersion", json!("latest")),
        ("runAfter", json!("tomorrow")),
        ("ignoreUpgradeWindow", json!("perhaps")),
        ("environmentType", json!("Playground")),
        ("countryCode", json!("DK")),
        ("appId", json!(LIBRARY)),
    ];
    for (field, value) in wrong {
        let mut body = good.clone();
        body[field] = value;
        assert_eq!(
            owner
                .post(all(), body)
                .await
                .refused(400, "InvalidInput")
                .target(),
            field
        );
    }
    assert_eq!(owner.get(all()).await.rows(), Vec::<Value>::new());
    let lenient = json!({
        "ENVIRONMENTAADTENANTID": format!("{{{CUSTOMER}}}").to_uppercase(),
        "EnvironmentApplicationFamily": "businesscentral",
        "environmentname": "MYCUSTOMER",
        "TargetAppVersion": "16.0.1.2",
        "sourceAppVersion": "1.0.0.0",
        "environmentType": "production",
        "@note": "ignored",
    });
    let scheduled = owner.post(all(), lenient).await.expect(200);
    assert_eq!(scheduled.property("environmentName"), "MyCustomer");
    assert_eq!(
        scheduled.property("environmentApplicationFamily"),
        "Business Central"
    );
    assert_eq!(scheduled.property("sourceAppVersion"), "16.0.0.5");
}

async fn the_environment_must_exist_and_have_the_app(backend: Backend) {
    let (service, environment) = documented(backend).await;
    let owner = service.owner();
    for absent in [
        environment.clone().of(OTHER_CUSTOMER),
        environment.clone().in_family("Fabrikam"),
        Environment {
            name: "Nobody".into(),
            ..environment.clone()
        },
    ] {
        owner
            .schedules(&absent, "16.0.1.2")
            .await
            .refused(404, "EnvironmentNotFound");
    }
    // Whether it is not there, is there without the app, or in another country: nobody can tell it from the answer.
    let operator = service.operator();
    let asks = || async {
        let refused = owner.schedules(&environment, "16.0.1.2").await;
        let refused = refused.refused(404, "EnvironmentNotFound").json();
        let said = |name: &str| refused[name].clone();
        (
            said("code"),
            said("message"),
            said("target"),
            refused["error"]["details"].clone(),
        )
    };
    operator.delete(environment.operator_path()).await.expect(204);
    let not_there = asks().await;
    operator
        .reports(&environment.clone().without(APP))
        .await
        .expect(201);
    assert_eq!(asks().await, not_there);
    owner.adds_country("DK").await.expect(200);
    operator
        .reports(&environment.clone().in_country("DK"))
        .await
        .expect(200);
    assert_eq!(asks().await, not_there);
}

async fn the_target_must_be_uploaded_in_this_country(backend: Backend) {
    let (service, environment) = documented(backend).await;
    let owner = service.owner();
    owner
        .schedules(&environment, "16.0.9.9")
        .await
        .refused(404, "ResourceDoesNotExist");
    owner.adds_country("DK").await.expect(200);
    owner
        .uploads_to("DK", &package("16.0.9.9"), "Available")
        .await
        .expect(200);
    owner
        .schedules(&environment, "16.0.9.9")
        .await
        .refused(404, "ResourceDoesNotExist");
}

async fn the_type_must_fit_when_it_is_given(backend: Backend) {
    let (service, environment) = documented(backend).await;
    let mut body = environment.hotfix("16.0.1.2");
    body["environmentType"] = json!("Sandbox");
    let refused = service
        .owner()
        .post(all(), body.clone())
        .await
        .broke_rule("EnvironmentTypeDiffers");
    assert_eq!(refused.target(), "environmentType");
    service
        .operator()
        .reports(&environment.sandbox())
        .await
        .expect(200);
    let scheduled = service.owner().post(all(), body).await.expect(200);
    assert_eq!(scheduled.property("environmentType"), "Sandbox");
}

async fn targets_must_be_available(backend: Backend) {
    let (service, environment) = documented(backend).await;
    let owner = service.owner();
    let becomes = async |availability: &str| {
        owner
            .changes_version("16.0.1.2", json!({ "availability": availability }))
            .await
            .expect(200)
    };
    becomes("Deprecated").await;
    owner
        .schedules(&environment, "16.0.1.2")
        .await
        .broke_rule("TargetDeprecated");
    becomes("Preview").await;
    owner
        .schedules(&environment, "16.0.1.2")
        .await
        .broke_rule("TargetPreview");
    service
        .operator()
        .reports(&environment.clone().sandbox())
        .await
        .expect(200);
    owner
        .schedules(&environment, "16.0.1.2")
        .await
        .broke_rule("TargetPreview");
    becomes("Available").await;
    owner.schedules(&environment, "16.0.1.2").await.expect(200);
}

async fn a_sandbox_gets_a_preview_only_where_the_operator_allows_it(backend: Backend) {
    let service = Harness::with(backend)
        .setting("hotfixes.preview_in_sandbox", true)
        .start()
        .await;
    let owner = service.owner();
    owner.uploads(&package("1.0.0.1"), "Preview").await.expect(200);
    owner.uploads(&package("1.0.0.2"), "Deprecated").await.expect(200);
    let production = Environment::my_customer("1.0.0.0");
    let sandbox = Environment::named("Sandbox").has(APP, "1.0.0.0").sandbox();
    service.operator().reports(&production).await.expect(201);
    service.operator().reports(&sandbox).await.expect(201);
    owner
        .schedules(&production, "1.0.0.1")
        .await
        .broke_rule("TargetPreview");
    owner
        .schedules(&sandbox, "1.0.0.2")
        .await
        .broke_rule("TargetDeprecated");
    owner.schedules(&sandbox, "1.0.0.1").await.expect(200);
}

async fn the_line_is_kept_and_the_version_rises(backend: Backend) {
    let (service, environment) = documented(backend).await;
    let owner = service.owner();
    for version in ["16.1.0.0", "17.0.0.5", "16.0.0.4", "15.0.9.9", "16.0.0.10"] {
        owner.has_uploaded(version).await;
    }
    for target in ["16.1.0.0", "17.0.0.5", "15.0.9.9"] {
        let refused = owner
            .schedules(&environment, target)
            .await
            .broke_rule("LineDiffers");
        assert!(
            refused.message().contains(target) && refused.message().contains("16.0.0.5"),
            "{refused:?}"
        );
    }
    owner
        .schedules(&environment, "16.0.0.5")
        .await
        .broke_rule("NotNewer");
    owner
        .schedules(&environment, "16.0.0.4")
        .await
        .broke_rule("NotNewer");
    // Numbers, not letters.
    owner.schedules(&environment, "16.0.0.10").await.expect(200);
}

async fn an_installed_preview_is_not_hotfixed(backend: Backend) {
    let (service, environment) = documented(backend).await;
    let owner = service.owner();
    owner
        .changes_version("16.0.0.5", json!({ "availability": "Preview" }))
        .await
        .expect(200);
    let refused = owner
        .schedules(&environment, "16.0.1.2")
        .await
        .broke_rule("InstalledIsPreview");
    assert!(
        refused.message().to_lowercase().contains("uninstall"),
        "{refused:?}"
    );
    assert!(refused.message().contains("availability"), "{refused:?}");
    owner
        .changes_version("16.0.0.5", json!({ "availability": "Deprecated" }))
        .await
        .expect(200);
    owner.schedules(&environment, "16.0.1.2").await.expect(200);
    // An installed version that was never uploaded here says nothing against it.
    let unknown = Environment::named("Unknown").has(APP, "16.0.0.1");
    service.operator().reports(&unknown).await.expect(201);
    owner.schedules(&unknown, "16.0.1.2").await.expect(200);
}

async fn there_is_one_operation_for_an_app_in_an_environment(backend: Backend) {
    let (service, environment) = documented(backend).await;
    let owner = service.owner();
    owner.has_uploaded("16.0.1.3").await;
    let first = owner.schedules(&environment, "16.0.1.2").await.expect(200);
    let refused = owner
        .schedules(&environment, "16.0.1.3")
        .await
        .broke_rule("AlreadyScheduled");
    assert!(
        refused.message().contains("already been scheduled"),
        "{refused:?}"
    );
    let told = &refused.json()["extensionData"];
    assert_eq!(told["operationId"], first.property("id"), "{refused:?}");
    assert_eq!(
        (&told["status"], &told["targetAppVersion"]),
        (&json!("Scheduled"), &json!("16.0.1.2"))
    );
    let says_when = told["expectedStart"].is_string() || told["waitingFor"].is_string();
    assert!(says_when, "{refused:?}");
    let spoken = owner
        .schedules(&environment, "16.0.1.3")
        .odata()
        .await
        .broke_rule("AlreadyScheduled");
    let facts = &spoken.json()["error"]["innererror"]["extensionData"];
    assert_eq!(facts["operationId"], first.property("id"), "{spoken:?}");
    owner.cancels(&first).await.expect(200);
    let second = owner
        .schedules_at_once(&environment, "16.0.1.2")
        .await
        .expect(200);
    service.catches_up().await;
    assert_eq!(owner.looks_at(&second).await.property("status"), "Running");
    owner
        .schedules(&environment, "16.0.1.3")
        .await
        .broke_rule("AlreadyScheduled");
    service.finishes_work().await;
    owner.schedules(&environment, "16.0.1.3").await.expect(200);
}

async fn of_many_at_once_one_is_scheduled(backend: Backend) {
    let (service, environment) = documented(backend).await;
    let owner = service.owner();
    for round in 0..5 {
        let answers = join_all((0..6).map(|_| owner.schedules(&environment, "16.0.1.2").into_future())).await;
        let (made, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 200);
        assert_eq!(made.len(), 1, "round {round}");
        for answer in refused {
            answer.broke_rule("AlreadyScheduled");
        }
        owner.cancels(&made[0]).await.expect(200);
    }
}

async fn dependencies_must_be_satisfied(backend: Backend) {
    let service = Harness::start(backend).await;
    let (owner, operator) = (service.owner(), service.operator());
    owner
        .uploads(&package_needing_library("1.0.0.0", "1.0"), "Available")
        .await
        .expect(200);
    owner
        .uploads(&package_needing_library("1.0.0.1", "1.0"), "Available")
        .await
        .expect(200);
    owner
        .uploads(&package_needing_library("1.0.0.2", "2.0"), "Available")
        .await
        .expect(200);
    let environment = Environment::my_customer("1.0.0.0");
    let now_has = async |environment: &Environment| operator.reports(environment).await;
    now_has(&environment).await.expect(201);
    let tries = async |target: &str| owner.schedules(&environment, target).await;

    // Not listed, but the list need not be complete: what is installed declares the same already.
    let scheduled = tries("1.0.0.1").await.expect(200);
    owner.cancels(&scheduled).await.expect(200);
    tries("1.0.0.2").await.broke_rule("DependencyMissing");
    now_has(&environment.clone().with_complete_inventory())
        .await
        .expect(200);
    let refused = tries("1.0.0.1").await.broke_rule("DependencyMissing");
    assert!(refused.message().contains("Example Library"), "{refused:?}");

    now_has(&environment.clone().has(LIBRARY, "1.9.9.9"))
        .await
        .expect(200);
    let refused = tries("1.0.0.2").await.broke_rule("DependencyTooOld");
    assert!(
        refused.message().contains("an older one") && refused.message().contains("2.0.0.0"),
        "{refused:?}"
    );

    now_has(&environment.clone().has(LIBRARY, "3.0.0.0"))
        .await
        .expect(200);
    let mark = json!({ "dependencies": [{ "appId": LIBRARY, "incompatibleFromVersion": "3.0" }] });
    owner.changes_version("1.0.0.2", mark).await.expect(200);
    tries("1.0.0.2").await.broke_rule("DependencyIncompatible");
    now_has(&environment.clone().has(LIBRARY, "2.9.9.9"))
        .await
        .expect(200);
    tries("1.0.0.2").await.expect(200);
}

/// A complete inventory that leaves Microsoft's own apps out is what operators report. Such an app is only spoken of
/// when its publisher marked it, and to mark it does not make an environment lack it.
async fn a_part_of_business_central_is_there_whatever_the_inventory_says(backend: Backend) {
    let service = Harness::start(backend).await;
    let (owner, operator) = (service.owner(), service.operator());
    let target = package("1.0.0.1")
        .application(Some("25.0".parse().unwrap()))
        .platform(None)
        .runtime(None);
    owner.uploads(&target, "Available").await.expect(200);
    let environment = Environment::my_customer("1.0.0.0").with_complete_inventory();
    operator.reports(&environment).await.expect(201);
    let is_eligible = async || {
        let scheduled = owner.schedules(&environment, "1.0.0.1").await.expect(200);
        owner.cancels(&scheduled).await.expect(200);
    };
    let says = async |from: Value| {
        let system_application = "63ca2fa4-4f03-4f2b-a480-172fef340d3f";
        let row = json!({ "appId": system_application, "incompatibleFromVersion": from });
        let change = json!({ "dependencies": [row] });
        owner.changes_version("1.0.0.1", change).await.expect(200);
    };
    is_eligible().await;
    says(json!("27.0")).await;
    is_eligible().await;

    let on_application = async |version: &str| {
        let environment = environment.clone().on_application(version);
        operator.reports(&environment).await.expect(200);
    };
    on_application("26.9.0.0").await;
    is_eligible().await;
    on_application("27.0.0.0").await;
    owner
        .schedules(&environment, "1.0.0.1")
        .await
        .broke_rule("DependencyIncompatible");
    says(json!(null)).await;
    is_eligible().await;
}

async fn the_environment_must_be_new_enough(backend: Backend) {
    let service = Harness::start(backend).await;
    let owner = service.owner();
    let needy = package("1.0.0.1")
        .application(Some("26.0".parse().unwrap()))
        .platform(None)
        .runtime(None);
    owner.uploads(&needy, "Available").await.expect(200);
    let environment = Environment::my_customer("1.0.0.0");
    service
        .operator()
        .reports(&environment.clone().on_application("25.9.0.0"))
        .await
        .expect(201);
    owner
        .schedules(&environment, "1.0.0.1")
        .await
        .broke_rule("ApplicationTooOld");
    service
        .operator()
        .reports(&environment.clone().on_application("26.0.0.0"))
        .await
        .expect(200);
    owner.schedules(&environment, "1.0.0.1").await.expect(200);
}

/// Runtime N.M came with version N+11.M.
async fn the_environment_must_have_the_runtime(backend: Backend) {
    let service = Harness::start(backend).await;
    let owner = service.owner();
    let compiled_for = |version: &str, runtime: Option<&str>| {
        package(version).application(None).platform(None).runtime(runtime)
    };
    let packages = [
        ("1.0.0.1", Some("99.0")),
        ("1.0.0.2", Some("15.2")),
        ("1.0.0.3", Some("what?")),
        ("1.0.0.4", None),
    ];
    for (version, runtime) in packages {
        owner
            .uploads(&compiled_for(version, runtime), "Available")
            .await
            .expect(200);
    }
    let environment = Environment::my_customer("1.0.0.0");
    let operator = service.operator();
    operator.reports(&environment).await.expect(201);
    let is_eligible = async |version: &str| {
        let scheduled = owner.schedules(&environment, version).await.expect(200);
        owner.cancels(&scheduled).await.expect(200);
    };
    is_eligible("1.0.0.1").await;
    let on = async |application: &str| {
        operator
            .reports(&environment.clone().on_application(application))
            .await
            .expect(200);
    };
    on("26.1.9.9").await;
    for version in ["1.0.0.1", "1.0.0.2"] {
        let refused = owner.schedules(&environment, version).await;
        refused.broke_rule("RuntimeTooNew");
    }
    for version in ["1.0.0.3", "1.0.0.4"] {
        is_eligible(version).await;
    }
    on("26.2.0.0").await;
    is_eligible("1.0.0.2").await;
    let refused = owner.schedules(&environment, "1.0.0.1").await;
    let message = refused.broke_rule("RuntimeTooNew").message();
    assert!(
        message.contains("99.0") && message.contains("110.0") && message.contains("26.2"),
        "{message}"
    );
}

/// A row beside the attribute of the manifest does not hide it, nor the attribute the row.
async fn the_stricter_of_attribute_and_row_counts(backend: Backend) {
    let service = Harness::start(backend).await;
    let owner = service.owner();
    let application = Uuid::from_u128(0xc133_5042_3002_4257_bf8a_75c8_98cc_b1b8);
    let needy = |version: &str, attribute: &str, row: &str| {
        package(version)
            .application(Some(attribute.parse().unwrap()))
            .platform(None)
            .runtime(None)
            .dependency(application, "Application", "Microsoft", row.parse().unwrap())
    };
    for package in [needy("1.0.0.1", "26.0", "25.0"), needy("1.0.0.2", "25.0", "26.0")] {
        owner.uploads(&package, "Available").await.expect(200);
    }
    let environment = Environment::my_customer("1.0.0.0").has(application, "25.5.0.0");
    let operator = service.operator();
    operator.reports(&environment).await.expect(201);
    let tries = async |version: &str| owner.schedules(&environment, version).await;
    tries("1.0.0.1").await.broke_rule("ApplicationTooOld");
    tries("1.0.0.2").await.broke_rule("DependencyTooOld");
    let listed_newer = Environment::my_customer("1.0.0.0").has(application, "26.0.0.0");
    let on = |version: &str| listed_newer.clone().on_application(version);
    operator.reports(&on("25.5.0.0")).await.expect(200);
    for version in ["1.0.0.1", "1.0.0.2"] {
        tries(version).await.broke_rule("ApplicationTooOld");
    }
    operator.reports(&on("26.0.0.0")).await.expect(200);
    tries("1.0.0.1").await.expect(200);
}

async fn an_app_that_is_incompatible_with_the_target_keeps_it_out(backend: Backend) {
    let service = Harness::start(backend).await;
    service.has_app(LIBRARY).await;
    let (owner, library) = (service.owner(), service.owner().on(LIBRARY));
    owner
        .uploads(&package_needing_library("5.0.0.0", "1.0"), "Available")
        .await
        .expect(200);
    for version in ["1.0.0.1", "1.0.0.2"] {
        library
            .uploads(&package_of(LIBRARY, version), "Available")
            .await
            .expect(200);
    }
    let environment = Environment::my_customer("5.0.0.0").has(LIBRARY, "1.0.0.0");
    service.operator().reports(&environment).await.expect(201);
    let mark = json!({ "dependencies": [{ "appId": LIBRARY, "incompatibleFromVersion": "1.0.0.2" }] });
    owner.changes_version("5.0.0.0", mark).await.expect(200);
    library
        .schedules(&environment, "1.0.0.2")
        .await
        .broke_rule("DependantIncompatible");
    library.schedules(&environment, "1.0.0.1").await.expect(200);
}

/// Pairs of neighbours in the order of checks, each broken at once.
async fn the_first_broken_rule_answers(backend: Backend) {
    let service = Harness::start(backend).await;
    let owner = service.owner();
    let environment = Environment::my_customer("1.5.0.5").with_complete_inventory();
    let absent = Environment::named("Absent");

    // Body before the environment.
    let mut malformed = absent.hotfix("1.5.0.9");
    malformed["targetAppVersion"] = json!("x");
    owner.post(all(), malformed).await.refused(400, "InvalidInput");
    // The country before the environment.
    let elsewhere = owner
        .post(
            country_path(APP, "DK", "environmentHotfixes"),
            absent.hotfix("1.5.0.9"),
        )
        .await;
    elsewhere.refused(404, "ResourceDoesNotExist");
    // The environment before the target.
    owner
        .schedules(&absent, "9.9.9.9")
        .await
        .refused(404, "EnvironmentNotFound");

    service.operator().reports(&environment).await.expect(201);
    owner.uploads(&package("1.5.0.5"), "Preview").await.expect(200);
    for (version, availability) in [
        ("2.0.0.0", "Deprecated"),
        ("1.4.0.0", "Available"),
        ("1.5.0.4", "Available"),
    ] {
        owner.uploads(&package(version), availability).await.expect(200);
    }
    owner
        .uploads(&package_needing_library("1.5.0.6", "1.0"), "Available")
        .await
        .expect(200);
    owner
        .uploads(&package_needing_library("1.5.0.7", "1.0"), "Available")
        .await
        .expect(200);

    owner
        .schedules(&environment, "2.0.0.0")
        .await
        .broke_rule("TargetDeprecated");
    owner
        .schedules(&environment, "1.4.0.0")
        .await
        .broke_rule("LineDiffers");
    owner
        .schedules(&environment, "1.5.0.4")
        .await
        .broke_rule("NotNewer");
    owner
        .schedules(&environment, "1.5.0.6")
        .await
        .broke_rule("InstalledIsPreview");
    owner
        .changes_version("1.5.0.5", json!({ "availability": "Available" }))
        .await
        .expect(200);
    owner
        .schedules(&environment, "1.5.0.6")
        .await
        .broke_rule("DependencyMissing");
    service
        .operator()
        .reports(&environment.clone().has(LIBRARY, "1.0.0.0"))
        .await
        .expect(200);
    owner.schedules(&environment, "1.5.0.6").await.expect(200);
    service.operator().reports(&environment).await.expect(200);
    owner
        .schedules(&environment, "1.5.0.7")
        .await
        .broke_rule("AlreadyScheduled");
    owner
        .schedules(&environment, "1.5.0.4")
        .await
        .broke_rule("NotNewer");
}

async fn run_after_is_answered_as_it_was_sent(backend: Backend) {
    let (service, environment) = documented(backend).await;
    let owner = service.owner();
    let cases = [
        (Value::Null, "2020-03-05T12:00:00.0000000Z"),
        (json!("2019-01-01T00:00:00Z"), "2019-01-01T00:00:00.0000000Z"),
        (json!("0001-01-01T00:00:00Z"), "0001-01-01T00:00:00.0000000Z"),
        (
            json!("1969-12-31T23:59:59.9999999Z"),
            "1969-12-31T23:59:59.9999999Z",
        ),
        (json!("2020-03-05T17:30:00"), "2020-03-05T17:30:00.0000000Z"),
        (
            json!("2020-03-05T17:30:00.1234567+02:00"),
            "2020-03-05T15:30:00.1234567Z",
        ),
        (
            json!("2021-03-05T12:00:00.0000001Z"),
            "2021-03-05T12:00:00.0000001Z",
        ),
        (json!("2099-12-31T23:59:59Z"), "2099-12-31T23:59:59.0000000Z"),
        (json!("9999-12-31T23:59:59Z"), "9999-12-31T23:59:59.0000000Z"),
        (
            json!("9999-12-31T23:59:59.9999999"),
            "9999-12-31T23:59:59.9999999Z",
        ),
    ];
    for (given, expected) in cases {
        let mut body = environment.hotfix("16.0.1.2");
        body["runAfter"] = given;
        let scheduled = owner.post(all(), body).await.expect(200);
        assert_eq!(scheduled.property("runAfter"), expected);
        let read = owner
            .get(format!("{}/{}", all(), scheduled.property("id")))
            .await
            .expect(200);
        assert_eq!(read.property("runAfter"), expected);
        assert_eq!(scheduled.json().get("ignoreUpgradeWindow"), None);
        owner.cancels(&scheduled).await.expect(200);
    }
    let mut at_once = environment.hotfix("16.0.1.2");
    at_once["runAfter"] = json!("2020-03-06T00:00:00Z");
    at_once["ignoreUpgradeWindow"] = json!(true);
    let scheduled = owner.post(all(), at_once).await.expect(200);
    assert_eq!(scheduled.json()["ignoreUpgradeWindow"], true);
}

async fn a_moment_that_has_passed_is_due_at_once(backend: Backend) {
    let (service, environment) = documented(backend).await;
    let mut body = environment.hotfix("16.0.1.2");
    body["runAfter"] = json!("2019-01-01T00:00:00Z");
    body["ignoreUpgradeWindow"] = json!(true);
    let scheduled = service.owner().post(all(), body).await.expect(200);
    service.finishes_work().await;
    let path = format!("{}/{}", all(), scheduled.property("id"));
    let ended = service.owner().get(path).await.expect(200);
    assert_eq!(
        (ended.property("status"), ended.property("startedOn")),
        ("Succeeded".into(), "2020-03-05T12:00:00.0000000Z".into())
    );
    assert_eq!(ended.property("runAfter"), "2019-01-01T00:00:00.0000000Z");
}

async fn an_idempotency_key_repeats_the_answer(backend: Backend) {
    let (service, environment) = documented(backend).await;
    let (owner, contributor) = (service.owner(), service.contributor());
    let send = |caller: &crate::harness::Caller, key: &str, target: &str| {
        caller
            .schedules(&environment, target)
            .header("idempotency-key", key)
            .into_future()
    };
    let first = send(&owner, "one", "16.0.1.2").await.expect(200);
    let again = send(&owner, "one", "16.0.1.2").await.expect(200);
    assert_eq!(again.json(), first.json());
    send(&owner, "one", "16.0.0.5")
        .await
        .refused(422, "IdempotencyKeyReused");
    // The key is the caller's own, and this one's request is another one.
    send(&contributor, "one", "16.0.1.2")
        .await
        .broke_rule("AlreadyScheduled");
    send(&owner, "two", "16.0.1.2")
        .await
        .broke_rule("AlreadyScheduled");
    owner.cancels(&first).await.expect(200);
    assert_eq!(
        send(&owner, "one", "16.0.1.2").await.expect(200).property("id"),
        first.property("id")
    );
    // A refusal is not remembered.
    let second = send(&owner, "two", "16.0.1.2").await.expect(200);
    assert_ne!(second.property("id"), first.property("id"));
    owner.cancels(&second).await.expect(200);
    send(&owner, "", "16.0.1.2").await.refused(400, "InvalidInput");
    service.advances(Duration::from_secs(24 * 3600 + 1)).await;
    let later = send(&owner, "one", "16.0.1.2").await.expect(200);
    assert_ne!(later.property("id"), first.property("id"));
}

async fn an_idempotency_key_does_not_outlive_the_role(backend: Backend) {
    let (service, environment) = documented(backend).await;
    let send = || {
        let request = service.contributor().schedules(&environment, "16.0.1.2");
        request.header("idempotency-key", "one").into_future()
    };
    send().await.expect(200);
    service
        .owner()
        .grants(&Person::CONTRIBUTOR, &["Reader"])
        .await
        .expect(200);
    send().await.refused(403, "Forbidden");
    service.owner().removes(&Person::CONTRIBUTOR).await.expect(204);
    send().await.refused(404, "ResourceDoesNotExist");
}

async fn the_same_key_at_once_makes_one_hotfix(backend: Backend) {
    let (service, environment) = documented(backend).await;
    let owner = service.owner();
    for round in 0..5 {
        let send = |_| {
            let request = owner.schedules(&environment, "16.0.1.2");
            request
                .header("idempotency-key", format!("round {round}"))
                .into_future()
        };
        let answers = join_all((0..5).map(send)).await;
        let ids: Vec<_> = answers
            .into_iter()
            .map(|answer| answer.expect(200).property("id"))
            .collect();
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
        let open = owner
            .get(format!("{}?$filter=status eq 'Scheduled'", all()))
            .await;
        assert_eq!(open.column("id"), ids[..1]);
        owner.cancels(&open_hotfix(&open)).await.expect(200);
    }
}

/// The first row of a list, as if it had been asked for alone.
fn open_hotfix(list: &Answer) -> Answer {
    Answer {
        body: list.rows()[0].to_string().into(),
        ..list.clone()
    }
}

async fn what_waits_can_be_canceled(backend: Backend) {
    let (service, environment) = documented(backend).await;
    let contributor = service.contributor();
    let scheduled = contributor.schedules(&environment, "16.0.1.2").await.expect(200);
    let canceled = contributor.cancels(&scheduled).await.expect(200);
    let mut expected = scheduled.json();
    expected["status"] = json!("Canceled");
    assert_eq!(canceled.json(), expected);
    assert_eq!(contributor.cancels(&scheduled).await.expect(200).json(), expected);
    let lower = contributor.patch(
        contributor.hotfix_path(&scheduled),
        json!({ "Status": "canceled" }),
    );
    assert_eq!(lower.await.expect(200).json(), expected);
    service.moves_clock_to("2020-03-05T20:00:00Z").await;
    assert_eq!(contributor.looks_at(&scheduled).await.json(), expected);

    let running = contributor
        .schedules_at_once(&environment, "16.0.1.2")
        .await
        .expect(200);
    service.catches_up().await;
    let refused = contributor.cancels(&running).await.broke_rule("NotCancelable");
    assert!(refused.message().contains("Running"), "{refused:?}");
    service.finishes_work().await;
    assert!(
        contributor
            .cancels(&running)
            .await
            .broke_rule("NotCancelable")
            .message()
            .contains("Succeeded")
    );
    let unknown = format!("{}/{}", all(), Uuid::from_u128(1));
    let unknown = contributor.patch(unknown, json!({ "status": "Canceled" })).await;
    unknown.refused(404, "ResourceDoesNotExist");
}

async fn nothing_else_can_be_changed(backend: Backend) {
    let (service, environment) = documented(backend).await;
    let owner = service.owner();
    let scheduled = owner.schedules(&environment, "16.0.1.2").await.expect(200);
    let path = owner.hotfix_path(&scheduled);
    owner
        .asks(http::Method::PATCH, &path)
        .await
        .refused(400, "RequestBodyRequired");
    for body in [
        json!({}),
        json!({ "status": "Running" }),
        json!({ "status": "Scheduled" }),
    ] {
        owner
            .patch(&path, body)
            .await
            .refused(400, "EntityValidationFailed");
    }
    owner
        .patch(&path, json!({ "status": "Cancelled!" }))
        .await
        .refused(400, "InvalidInput");
    let moved = json!({ "status": "Canceled", "runAfter": "2020-03-06T00:00:00Z" });
    owner.patch(&path, moved).await.broke_rule("ReadOnly");
    assert_eq!(owner.looks_at(&scheduled).await.json(), scheduled.json());
    let mut whole = scheduled.json();
    whole["status"] = json!("Canceled");
    owner.patch(&path, whole).await.expect(200);
}

async fn what_is_installed_of_other_apps_is_told_to_their_callers_alone(backend: Backend) {
    let service = Harness::start(backend).await;
    let owner = service.owner();
    let target = package_needing_library("1.0.0.1", "5.0");
    owner.uploads(&target, "Available").await.expect(200);
    let environment = Environment::my_customer("1.0.0.0").has(LIBRARY, "4.7.8.9");
    service.operator().reports(&environment).await.expect(201);
    let tells = async |is_told: bool| {
        let plan = format!("{}/plan?targetAppVersion=1.0.0.1", all());
        let plan = owner.get(plan).await.expect(200);
        let reason = plan.rows()[0]["reasons"][0].clone();
        assert_eq!(reason["code"], "DependencyTooOld");
        let refused = owner.schedules(&environment, "1.0.0.1").await;
        let refused = refused.broke_rule("DependencyTooOld").message();
        for message in [reason["message"].as_str().unwrap(), &refused] {
            assert_eq!(message.contains("4.7.8.9"), is_told, "{message}");
            assert!(message.contains("5.0.0.0"), "{message}");
        }
    };
    tells(false).await;
    service.has_app(LIBRARY).await;
    tells(true).await;
}

/// What only the plan finds out decides like any other property: which rows come, in which order, how many, and on which page.
async fn a_plan_is_filtered_by_what_it_finds_out(backend: Backend) {
    let (service, ready) = documented(backend).await;
    let operator = service.operator();
    for (name, version) in [
        ("Alpha", "16.0.1.2"),
        ("beta", "16.0.0.5"),
        ("Gamma", "17.0.0.0"),
        ("delta", "16.0.0.5"),
        ("Epsilon", "16.0.1.2"),
    ] {
        let environment = Environment::named(name).has(APP, version);
        operator.reports(&environment).await.expect(201);
    }
    let late = Environment::named("Late")
        .has(APP, "16.0.0.5")
        .with_window("22:00", "06:00", "UTC");
    operator.reports(&late).await.expect(201);
    service.catches_up().await;
    service.owner().schedules(&ready, "16.0.1.2").await.expect(200);
    let reader = service.reader();
    let plan = |options: &str| {
        reader.get(format!(
            "{}/plan?targetAppVersion=16.0.1.2&$count=true{options}",
            all()
        ))
    };
    let whole = plan("").await.expect(200).rows();
    assert_eq!(whole.len(), 7);
    let is = |row: &Value, code: &str| {
        row["reasons"]
            .as_array()
            .unwrap()
            .iter()
            .any(|one| one["code"] == code)
    };
    let begins = |row: &Value, letter: &str| row["name"].as_str().unwrap().starts_with(letter);
    type Belongs<'b> = &'b dyn Fn(&Value) -> bool;
    let cases: [(&str, Belongs<'_>); 10] = [
        ("eligible eq true", &|row| row["eligible"] == true),
        ("eligible", &|row| row["eligible"] == true),
        ("not eligible and startswith(name,'E')", &|row| {
            row["eligible"] == false && begins(row, "E")
        }),
        ("eligible or installedVersion ge '17.0'", &|row| {
            row["eligible"] == true || row["installedVersion"] == "17.0.0.0"
        }),
        ("reasons/any(r: r/code eq 'AlreadyScheduled')", &|row| {
            is(row, "AlreadyScheduled")
        }),
        ("reasons/$count eq 0 and type eq 'Production'", &|row| {
            row["reasons"] == json!([])
        }),
        ("reasons/all(r: contains(r/message,'not newer'))", &|row| {
            row["reasons"]
                .as_array()
                .unwrap()
                .iter()
                .all(|one| one["code"] == "NotNewer")
        }),
        ("startsAt lt 2020-03-05T21:00:00Z", &|row| {
            row["startsAt"] == "2020-03-05T20:00:00.0000000Z"
        }),
        ("startsAt eq null", &|row| row.get("startsAt").is_none()),
        ("waitingFor eq 'window'", &|row| row["waitingFor"] == "Window"),
    ];
    for (filter, belongs) in cases {
        let expected: Vec<Value> = whole.iter().filter(|row| belongs(row)).cloned().collect();
        assert!(!expected.is_empty() && expected.len() < 7, "{filter}");
        let answer = plan(&format!("&$filter={filter}")).await.expect(200);
        assert_eq!(answer.rows(), expected, "{filter}");
        assert_eq!(answer.json()["@odata.count"], expected.len(), "{filter}");
        let part = plan(&format!("&$filter={filter}&$skip=1&$top=1"))
            .await
            .expect(200);
        let second: Vec<_> = expected.iter().skip(1).take(1).cloned().collect();
        assert_eq!(part.rows(), second, "{filter}");
        assert_eq!(part.json()["@odata.count"], expected.len(), "{filter}");
        let mut pages = Vec::new();
        let mut next = Some(format!(
            "{}/plan?targetAppVersion=16.0.1.2&$filter={filter}",
            all()
        ));
        while let Some(address) = next {
            let page = reader
                .get(address)
                .header("prefer", "odata.maxpagesize=1")
                .await
                .expect(200);
            assert_eq!(page.rows().len(), 1, "{filter}");
            pages.extend(page.rows());
            let link = page.json()["@odata.nextLink"].as_str().map(str::to_owned);
            next = link.map(|link| link.strip_prefix(&service.base_url()).unwrap().to_owned());
        }
        assert_eq!(pages, expected, "{filter}");
    }
    let mut sorted = whole.clone();
    sorted.sort_by_key(|row| {
        (
            row["eligible"] == true,
            row["name"].as_str().unwrap().to_lowercase(),
        )
    });
    for options in ["&$orderby=eligible,name", "&$orderby=eligible,tolower(name)"] {
        assert_eq!(plan(options).await.expect(200).rows(), sorted, "{options}");
    }
    let by_name = plan("&$filter=not eligible&$orderby=tolower(name) desc")
        .await
        .expect(200);
    assert_eq!(
        by_name.column("name"),
        ["MyCustomer", "Gamma", "Epsilon", "Alpha"]
    );
    let unknown = plan("&$filter=reasons/any(r: r/nothing eq 1)").await;
    unknown.refused(400, "InvalidFilter");
    // Who may not see the list learns nothing from what decides about its rows.
    let stranger = service.stranger();
    let plan = format!("{}/plan?targetAppVersion=16.0.1.2&$filter=eligible", all());
    stranger.get(plan).await.refused(404, "ResourceDoesNotExist");
}

async fn a_plan_explains_without_changing_anything(backend: Backend) {
    let (service, ready) = documented(backend).await;
    let operator = service.operator();
    let done = Environment::named("Done").has(APP, "16.0.1.2");
    let other_line = Environment::named("Other").has(APP, "17.0.0.0").sandbox();
    operator.reports(&done).await.expect(201);
    operator.reports(&other_line).await.expect(201);
    service.catches_up().await;
    let plan = service
        .reader()
        .get(format!("{}/plan?targetAppVersion=16.0.1.2", all()))
        .await
        .expect(200);
    let rows = plan.rows();
    let of = |name: &str| rows.iter().find(|row| row["name"] == name).unwrap();
    assert_eq!(
        of("MyCustomer"),
        &json!({
            "aadTenantId": CUSTOMER, "applicationFamily": "Business Central", "name": "MyCustomer",
            "type": "Production", "installedVersion": "16.0.0.5", "eligible": true, "reasons": [],
            "startsAt": "2020-03-05T20:00:00.0000000Z", "waitingFor": "Window",
        })
    );
    assert_eq!(
        (&of("Done")["eligible"], &of("Done")["reasons"][0]["code"]),
        (&json!(false), &json!("NotNewer"))
    );
    assert_eq!(of("Other")["reasons"][0]["code"], "LineDiffers");
    let filtered = format!(
        "{}/plan?targetAppVersion=16.0.1.2&$filter=type eq 'Sandbox'",
        all()
    );
    assert_eq!(
        service.reader().get(filtered).await.expect(200).column("name"),
        ["Other"]
    );
    let by_version = format!(
        "{}/plan?targetAppVersion=16.0.1.2&$filter=installedVersion lt '16.0.10.0'&$orderby=installedVersion desc",
        all()
    );
    assert_eq!(
        service.reader().get(by_version).await.expect(200).column("name"),
        ["Done", "MyCustomer"]
    );
    service
        .reader()
        .get(format!("{}/plan", all()))
        .await
        .refused(400, "InvalidInput");
    service
        .reader()
        .get(format!("{}/plan?targetAppVersion=x", all()))
        .await
        .refused(400, "InvalidInput");
    service
        .reader()
        .get(format!("{}/plan?targetAppVersion=9.9.9.9", all()))
        .await
        .refused(404, "ResourceDoesNotExist");
    assert_eq!(service.reader().get(all()).await.rows(), Vec::<Value>::new());

    // What the plan says is what scheduling says.
    let scheduled = service.owner().schedules(&ready, "16.0.1.2").await.expect(200);
    service
        .owner()
        .schedules(&done, "16.0.1.2")
        .await
        .broke_rule("NotNewer");
    let plan = service.reader().get(format!(
        "{}/PLAN?TARGETAPPVERSION=16.0.1.2&$filter=name eq 'MyCustomer'",
        all()
    ));
    let plan = plan.await.expect(200);
    assert_eq!(plan.rows()[0]["reasons"][0]["code"], "AlreadyScheduled");
    service.owner().cancels(&scheduled).await.expect(200);
}

async fn rights_come_first(backend: Backend) {
    let (service, environment) = documented(backend).await;
    service
        .reader()
        .schedules(&environment, "16.0.1.2")
        .await
        .refused(403, "Forbidden");
    service
        .reader()
        .post(all(), json!({ "x": 1 }))
        .await
        .refused(403, "Forbidden");
    service
        .stranger()
        .schedules(&environment, "16.0.1.2")
        .await
        .refused(404, "ResourceDoesNotExist");
    service
        .nobody()
        .schedules(&environment, "16.0.1.2")
        .await
        .refused(401, "Unauthorized");
    let scheduled = service
        .owner()
        .schedules(&environment, "16.0.1.2")
        .await
        .expect(200);
    service
        .reader()
        .cancels(&scheduled)
        .await
        .refused(403, "Forbidden");
    service
        .stranger()
        .cancels(&scheduled)
        .await
        .refused(404, "ResourceDoesNotExist");
}

async fn the_error_that_is_told_is_the_one_that_was_made(backend: Backend) {
    let (service, _) = documented(backend).await;
    let reader = service.reader();
    let plan = format!("{}/plan?targetAppVersion=16.0.1.2", all());
    let environment = reader.us("environments/MyCustomer?aadTenantId=");
    for (path, code, target) in [
        (format!("{plan}&$top=abc"), "InvalidQueryOption", "$top"),
        (format!("{plan}&$skip=-1"), "InvalidQueryOption", "$skip"),
        (format!("{plan}&$top=1&$top=1"), "InvalidQueryOption", "$top"),
        (format!("{plan}&$filter=name eq"), "InvalidFilter", "$filter"),
        (format!("{plan}&$nothing=1"), "InvalidQueryOption", "$nothing"),
        (
            format!("{environment}{CUSTOMER}&$top=abc"),
            "InvalidQueryOption",
            "$top",
        ),
    ] {
        let refused = reader.get(path.replace(' ', "%20")).await.expect(400);
        assert_eq!(
            (refused.code().as_str(), refused.target().as_str()),
            (code, target),
            "{path}"
        );
    }
    let nothing = reader
        .get(format!("{}/plan", all()))
        .await
        .refused(400, "InvalidInput");
    assert_eq!(nothing.target(), "targetAppVersion");
}
