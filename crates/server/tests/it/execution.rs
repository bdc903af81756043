//! The life of a hotfix: when it starts, what keeps it from starting, and how it ends.

use crate::harness::{
    APP, Answer, Backend, Environment, Harness, LIBRARY, OTHER_CUSTOMER, country_path, on_both_databases,
    package, package_needing_library, package_of,
};
use agent::drivers::simulate::Settings as Simulated;
use serde_json::{Value, json};
use std::time::Duration;

on_both_databases!(
    a_hotfix_waits_for_the_window_runs_and_changes_what_is_installed,
    the_window_begins_inclusive_and_ends_exclusive,
    the_window_is_wall_time_of_the_environment,
    without_a_window_of_its_own_the_country_decides,
    the_window_can_be_ignored_but_not_run_after,
    work_that_has_started_goes_on_when_the_window_closes,
    what_missed_its_window_waits_for_the_next,
    a_changed_window_changes_when_it_starts,
    one_runs_at_a_time_and_dependencies_go_first,
    among_others_the_earlier_wish_goes_first,
    environments_do_not_wait_for_each_other,
    the_source_is_what_was_installed_at_the_start,
    what_no_longer_makes_sense_is_skipped,
    an_environment_that_is_removed_skips_what_waits_for_it,
    an_environment_that_is_back_does_not_revive_what_was_skipped,
    an_environment_in_which_something_runs_is_not_removed,
    a_failure_keeps_every_word_and_is_final,
    a_lost_agent_leaves_the_outcome_unknown,
    a_held_environment_works_again_after_release_or_report,
    canceling_and_starting_never_both_happen,
    operations_are_listed_for_the_operator,
);

const TARGET: &str = "16.0.1.2";

/// An app with versions 16.0.0.5 and 16.0.1.2 and a customer who has the first.
async fn documented(backend: Backend) -> (Harness, Environment) {
    prepared(Harness::start(backend).await).await
}

async fn prepared(service: Harness) -> (Harness, Environment) {
    for version in ["16.0.0.5", TARGET] {
        service.owner().has_uploaded(version).await;
    }
    let environment = Environment::my_customer("16.0.0.5");
    service.operator().reports(&environment).await.expect(201);
    (service, environment)
}

async fn status(service: &Harness, hotfix: &Answer) -> String {
    service.reader().looks_at(hotfix).await.property("status")
}

async fn installed(service: &Harness, environment: &Environment) -> Vec<String> {
    let path = format!(
        "{}?$filter=name eq '{}'",
        country_path(APP, "US", "environments"),
        environment.name
    );
    service.reader().get(path).await.expect(200).column("version")
}

async fn a_hotfix_waits_for_the_window_runs_and_changes_what_is_installed(backend: Backend) {
    let (service, environment) = documented(backend).await;
    let hotfix = service.owner().schedules(&environment, TARGET).await.expect(200);
    for early in ["2020-03-05T12:00:01Z", "2020-03-05T19:59:59.9999999Z"] {
        service.moves_clock_to(early).await;
        assert_eq!(service.reader().looks_at(&hotfix).await.json(), hotfix.json());
    }
    service.moves_clock_to("2020-03-05T20:00:00Z").await;
    let running = service.reader().looks_at(&hotfix).await;
    assert_eq!(running.property("status"), "Running");
    assert_eq!(running.property("startedOn"), "2020-03-05T20:00:00.0000000Z");
    assert_eq!(running.json().get("completedOn"), None);
    assert_eq!(installed(&service, &environment).await, ["16.0.0.5"]);
    service.advances(Duration::from_secs(2)).await;
    let done = service.reader().looks_at(&hotfix).await;
    assert_eq!(done.property("status"), "Succeeded");
    assert_eq!(done.property("completedOn"), "2020-03-05T20:00:02.0000000Z");
    assert_eq!(done.json().get("errorMessage"), None);
    assert_eq!(done.property("sourceAppVersion"), "16.0.0.5");
    assert_eq!(installed(&service, &environment).await, [TARGET]);
    service.advances(Duration::from_secs(86_400 * 3)).await;
    assert_eq!(service.reader().looks_at(&hotfix).await.json(), done.json());
}

async fn the_window_begins_inclusive_and_ends_exclusive(backend: Backend) {
    let service = Harness::with(backend).at("2020-03-05T06:00:00Z").start().await;
    let (service, environment) = prepared(service).await;
    let at_the_end = service.owner().schedules(&environment, TARGET).await.expect(200);
    service.catches_up().await;
    assert_eq!(status(&service, &at_the_end).await, "Scheduled");
    service.moves_clock_to("2020-03-06T05:59:59.9999999Z").await;
    assert_eq!(status(&service, &at_the_end).await, "Running");
}

async fn the_window_is_wall_time_of_the_environment(backend: Backend) {
    let (service, environment) = documented(backend).await;
    // Copenhagen is an hour ahead of UTC in March.
    let danish = environment.with_window("20:00", "06:00", "Romance Standard Time");
    service.operator().reports(&danish).await.expect(200);
    let hotfix = service.owner().schedules(&danish, TARGET).await.expect(200);
    service.moves_clock_to("2020-03-05T18:59:59Z").await;
    assert_eq!(status(&service, &hotfix).await, "Scheduled");
    service.moves_clock_to("2020-03-05T19:00:00Z").await;
    assert_eq!(status(&service, &hotfix).await, "Running");
}

async fn without_a_window_of_its_own_the_country_decides(backend: Backend) {
    let (service, environment) = documented(backend).await;
    let danish = environment.in_country("DK");
    let mut report = danish.report();
    report.as_object_mut().unwrap().remove("window");
    let reported = service
        .operator()
        .put(danish.operator_path(), report)
        .await
        .expect(200);
    let expected = json!({ "start": "20:00", "end": "06:00", "timeZone": "Romance Standard Time" });
    assert_eq!(reported.json()["window"], expected);
}

async fn the_window_can_be_ignored_but_not_run_after(backend: Backend) {
    let (service, environment) = documented(backend).await;
    let mut body = environment.hotfix(TARGET);
    body["ignoreUpgradeWindow"] = json!(true);
    body["runAfter"] = json!("2020-03-05T14:00:00Z");
    let path = country_path(APP, "US", "environmentHotfixes");
    let hotfix = service.owner().post(path, body).await.expect(200);
    service.moves_clock_to("2020-03-05T13:59:59Z").await;
    assert_eq!(status(&service, &hotfix).await, "Scheduled");
    service.moves_clock_to("2020-03-05T14:00:00Z").await;
    assert_eq!(status(&service, &hotfix).await, "Running");
}

async fn work_that_has_started_goes_on_when_the_window_closes(backend: Backend) {
    let service = Harness::with(backend).at("2020-03-05T05:59:59Z").start().await;
    let (service, environment) = prepared(service).await;
    let hotfix = service.owner().schedules(&environment, TARGET).await.expect(200);
    service.catches_up().await;
    assert_eq!(status(&service, &hotfix).await, "Running");
    service.moves_clock_to("2020-03-05T06:00:01Z").await;
    service.advances(Duration::from_secs(1)).await;
    assert_eq!(status(&service, &hotfix).await, "Succeeded");
}

async fn what_missed_its_window_waits_for_the_next(backend: Backend) {
    let (service, environment) = documented(backend).await;
    let hotfix = service.owner().schedules(&environment, TARGET).await.expect(200);
    service.moves_clock_to("2020-03-06T07:00:00Z").await;
    assert_eq!(status(&service, &hotfix).await, "Scheduled");
    service.moves_clock_to("2020-03-06T20:00:00Z").await;
    assert_eq!(status(&service, &hotfix).await, "Running");
}

async fn a_changed_window_changes_when_it_starts(backend: Backend) {
    let (service, environment) = documented(backend).await;
    let hotfix = service.owner().schedules(&environment, TARGET).await.expect(200);
    let earlier = environment.clone().with_window("13:00", "19:00", "UTC");
    service.operator().reports(&earlier).await.expect(200);
    service.moves_clock_to("2020-03-05T12:59:59Z").await;
    assert_eq!(status(&service, &hotfix).await, "Scheduled");
    let later = environment.with_window("22:00", "04:00", "UTC");
    service.operator().reports(&later).await.expect(200);
    service.moves_clock_to("2020-03-05T21:59:59Z").await;
    assert_eq!(status(&service, &hotfix).await, "Scheduled");
    service.moves_clock_to("2020-03-05T22:00:00Z").await;
    assert_eq!(status(&service, &hotfix).await, "Running");
}

/// The sample app, whose fix needs the library, and a customer who has both.
async fn two_apps(backend: Backend) -> (Harness, Environment) {
    let service = Harness::start(backend).await;
    service.has_app(LIBRARY).await;
    let library = service.owner().on(LIBRARY);
    service
        .owner()
        .uploads(&package_needing_library(TARGET, "1.0"), "Available")
        .await
        .expect(200);
    library
        .uploads(&package_of(LIBRARY, "1.0.0.1"), "Available")
        .await
        .expect(200);
    let environment = Environment::my_customer("16.0.0.5").has(LIBRARY, "1.0.0.0");
    service.operator().reports(&environment).await.expect(201);
    (service, environment)
}

async fn one_runs_at_a_time_and_dependencies_go_first(backend: Backend) {
    let (service, environment) = two_apps(backend).await;
    let library = service.owner().on(LIBRARY);
    let dependant = service.owner().schedules(&environment, TARGET).await.expect(200);
    let needed = library.schedules(&environment, "1.0.0.1").await.expect(200);
    let both = async || {
        let of_library = library.looks_at(&needed).await.property("status");
        (of_library, status(&service, &dependant).await)
    };
    service.moves_clock_to("2020-03-05T20:00:00Z").await;
    assert_eq!(both().await, ("Running".into(), "Scheduled".into()));
    service.advances(Duration::from_secs(2)).await;
    assert_eq!(both().await, ("Succeeded".into(), "Running".into()));
    service.advances(Duration::from_secs(2)).await;
    assert_eq!(both().await, ("Succeeded".into(), "Succeeded".into()));
}

async fn among_others_the_earlier_wish_goes_first(backend: Backend) {
    let (service, environment) = two_apps(backend).await;
    service
        .owner()
        .uploads(&package("16.0.1.3"), "Available")
        .await
        .expect(200);
    let library = service.owner().on(LIBRARY);
    let mut later = environment.hotfix("16.0.1.3");
    later["runAfter"] = json!("2020-03-05T13:00:00Z");
    let path = country_path(APP, "US", "environmentHotfixes");
    let later = service.owner().post(path, later).await.expect(200);
    let mut earlier = environment.hotfix("1.0.0.1");
    earlier["runAfter"] = json!("2020-03-05T12:30:00Z");
    let path = country_path(LIBRARY, "US", "environmentHotfixes");
    let earlier = library.post(path, earlier).await.expect(200);
    service.moves_clock_to("2020-03-05T20:00:00Z").await;
    assert_eq!(library.looks_at(&earlier).await.property("status"), "Running");
    assert_eq!(status(&service, &later).await, "Scheduled");
}

async fn environments_do_not_wait_for_each_other(backend: Backend) {
    let (service, one) = documented(backend).await;
    let other = one.clone().of(OTHER_CUSTOMER);
    service.operator().reports(&other).await.expect(201);
    let first = service.owner().schedules_at_once(&one, TARGET).await.expect(200);
    let second = service
        .owner()
        .schedules_at_once(&other, TARGET)
        .await
        .expect(200);
    service.catches_up().await;
    assert_eq!(
        (status(&service, &first).await, status(&service, &second).await),
        ("Running".into(), "Running".into())
    );
}

async fn the_source_is_what_was_installed_at_the_start(backend: Backend) {
    let (service, environment) = documented(backend).await;
    let hotfix = service.owner().schedules(&environment, TARGET).await.expect(200);
    service
        .operator()
        .reports(&environment.has(APP, "16.0.0.9"))
        .await
        .expect(200);
    assert_eq!(
        service
            .reader()
            .looks_at(&hotfix)
            .await
            .property("sourceAppVersion"),
        "16.0.0.5"
    );
    service.moves_clock_to("2020-03-05T20:00:00Z").await;
    let running = service.reader().looks_at(&hotfix).await;
    assert_eq!(
        (running.property("status"), running.property("sourceAppVersion")),
        ("Running".into(), "16.0.0.9".into())
    );
}

async fn what_no_longer_makes_sense_is_skipped(backend: Backend) {
    let (service, environment) = documented(backend).await;
    let (owner, operator) = (service.owner(), service.operator());
    owner
        .uploads(&package_needing_library("16.0.1.3", "1.0"), "Available")
        .await
        .expect(200);
    let mut day = 5;
    let mut skipped_after = async |change: &str, target: &str| {
        let before = environment.clone().has(LIBRARY, "1.0.0.0");
        operator.reports(&before).await.expect(200);
        for version in ["16.0.0.5", TARGET] {
            owner
                .changes_version(version, json!({ "availability": "Available" }))
                .await
                .expect(200);
        }
        let hotfix = owner.schedules(&environment, target).await.expect(200);
        let report = async |environment: Environment| operator.reports(&environment).await.expect(200);
        let becomes = async |version: &str, availability: &str| {
            owner
                .changes_version(version, json!({ "availability": availability }))
                .await
                .expect(200)
        };
        match change {
            "AlreadyUpToDate" => report(before.has(APP, target)).await,
            "AppUninstalled" => report(before.without(APP)).await,
            "EnvironmentMoved" => report(before.in_country("DK")).await,
            "LineChanged" => report(before.has(APP, "15.0.0.0")).await,
            "TargetDeprecated" => becomes(target, "Deprecated").await,
            "TargetBecamePreview" => becomes(target, "Preview").await,
            "SourceBecamePreview" => becomes("16.0.0.5", "Preview").await,
            "DependenciesUnmet" => report(before.has(LIBRARY, "0.9.0.0")).await,
            _ => panic!("{change}"),
        };
        service
            .moves_clock_to(&format!("2020-03-{day:02}T20:00:00Z"))
            .await;
        service
            .moves_clock_to(&format!("2020-03-{:02}T12:00:00Z", day + 1))
            .await;
        day += 1;
        let ended = service.reader().looks_at(&hotfix).await;
        assert_eq!(ended.property("status"), "Skipped", "{change}");
        assert!(ended.property("errorMessage").contains(change), "{ended:?}");
        assert_eq!(
            (ended.json().get("startedOn"), ended.json().get("completedOn")),
            (None, None),
            "{change}"
        );
    };
    for change in [
        "AlreadyUpToDate",
        "AppUninstalled",
        "EnvironmentMoved",
        "LineChanged",
        "TargetDeprecated",
        "TargetBecamePreview",
        "SourceBecamePreview",
    ] {
        skipped_after(change, TARGET).await;
    }
    skipped_after("DependenciesUnmet", "16.0.1.3").await;
}

async fn an_environment_that_is_removed_skips_what_waits_for_it(backend: Backend) {
    let (service, environment) = documented(backend).await;
    let hotfix = service.owner().schedules(&environment, TARGET).await.expect(200);
    service
        .operator()
        .delete(environment.operator_path())
        .await
        .expect(204);
    service.catches_up().await;
    let ended = service.reader().looks_at(&hotfix).await;
    assert_eq!(ended.property("status"), "Skipped");
    assert!(
        ended.property("errorMessage").contains("EnvironmentGone"),
        "{ended:?}"
    );
}

async fn an_environment_that_is_back_does_not_revive_what_was_skipped(backend: Backend) {
    let (service, environment) = documented(backend).await;
    let hotfix = service.owner().schedules(&environment, TARGET).await.expect(200);
    service
        .operator()
        .delete(environment.operator_path())
        .await
        .expect(204);
    service.operator().reports(&environment).await.expect(201);
    service.moves_clock_to("2020-03-05T20:00:00Z").await;
    assert_eq!(status(&service, &hotfix).await, "Skipped");
    assert_eq!(installed(&service, &environment).await, ["16.0.0.5"]);
    service.owner().schedules(&environment, TARGET).await.expect(200);
}

async fn an_environment_in_which_something_runs_is_not_removed(backend: Backend) {
    let (service, environment) = documented(backend).await;
    let hotfix = service
        .owner()
        .schedules_at_once(&environment, TARGET)
        .await
        .expect(200);
    service.catches_up().await;
    let path = environment.operator_path();
    let refused = service
        .operator()
        .delete(&path)
        .await
        .refused(409, "EnvironmentBusy");
    assert_eq!(refused.header("retry-after"), "30");
    assert!(refused.message().contains(&hotfix.property("id")), "{refused:?}");
    // It goes on being the one in which the hotfix runs, whatever is reported of it.
    service.operator().reports(&environment).await.expect(200);
    service
        .owner()
        .schedules_at_once(&environment, TARGET)
        .await
        .broke_rule("AlreadyScheduled");
    service.finishes_work().await;
    assert_eq!(status(&service, &hotfix).await, "Succeeded");
    assert_eq!(installed(&service, &environment).await, [TARGET]);
    service.operator().delete(&path).await.expect(204);
}

async fn a_failure_keeps_every_word_and_is_final(backend: Backend) {
    let environment = Environment::my_customer("16.0.0.5");
    let text = format!(
        "The schema could not be synchronised: «{}» & \"done\"\n",
        "x".repeat(30 * 1024)
    );
    let service = Harness::with(backend)
        .simulated(&environment, Simulated::failing(&text))
        .start()
        .await;
    let (service, environment) = prepared(service).await;
    let hotfix = service
        .owner()
        .schedules_at_once(&environment, TARGET)
        .await
        .expect(200);
    service.finishes_work().await;
    let failed = service.reader().looks_at(&hotfix).await;
    assert_eq!(failed.property("status"), "Failed");
    assert_eq!(failed.property("errorMessage"), text);
    assert_eq!(failed.property("completedOn"), "2020-03-05T12:00:02.0000000Z");
    assert_eq!(installed(&service, &environment).await, ["16.0.0.5"]);
    service.owner().cancels(&hotfix).await.broke_rule("NotCancelable");
    let again = service
        .owner()
        .schedules_at_once(&environment, TARGET)
        .await
        .expect(200);
    assert_ne!(again.property("id"), hotfix.property("id"));
    service.finishes_work().await;
    assert_eq!(status(&service, &again).await, "Failed");
}

/// A customer whose agent is lost with a hotfix of the library under way, and a hotfix of the app that waits.
async fn after_a_loss(backend: Backend) -> (Harness, Environment, Answer, Answer) {
    let environment = Environment::my_customer("16.0.0.5").has(LIBRARY, "1.0.0.0");
    let service = Harness::with(backend)
        .simulated(&environment, Simulated::silent())
        .start()
        .await;
    service.has_app(LIBRARY).await;
    service.owner().has_uploaded(TARGET).await;
    let library = service.owner().on(LIBRARY);
    library
        .uploads(&package_of(LIBRARY, "1.0.0.1"), "Available")
        .await
        .expect(200);
    service.operator().reports(&environment).await.expect(201);
    let lost = library
        .schedules_at_once(&environment, "1.0.0.1")
        .await
        .expect(200);
    service.catches_up().await;
    let waiting = service
        .owner()
        .schedules_at_once(&environment, TARGET)
        .await
        .expect(200);
    service.advances(Duration::from_secs(299)).await;
    assert_eq!(library.looks_at(&lost).await.property("status"), "Running");
    service.advances(Duration::from_secs(2)).await;
    let lost = library.looks_at(&lost).await;
    (service, environment, lost, waiting)
}

async fn a_lost_agent_leaves_the_outcome_unknown(backend: Backend) {
    let (service, environment, lost, waiting) = after_a_loss(backend).await;
    assert_eq!(lost.property("status"), "Failed");
    let told = lost.property("errorMessage");
    assert!(told.starts_with("OutcomeUnknown"), "{told}");
    // Not when its lease was over, which says nothing about the agent.
    assert!(told.contains("after 2020-03-05T12:00:00"), "{told}");
    assert!(lost.json().get("completedOn").is_some());
    let seen = service
        .operator()
        .get(environment.operator_path())
        .await
        .expect(200);
    assert!(seen.json().get("heldSince").is_some(), "{seen:?}");
    service.advances(Duration::from_secs(86_400)).await;
    assert_eq!(status(&service, &waiting).await, "Scheduled");
    // Only that environment is held.
    let other = Environment::named("Other").has(APP, "16.0.0.5");
    service.operator().reports(&other).await.expect(201);
    let elsewhere = service
        .owner()
        .schedules_at_once(&other, TARGET)
        .await
        .expect(200);
    service.finishes_work().await;
    assert_eq!(status(&service, &elsewhere).await, "Succeeded");
    // What waits can still be called off, and what was lost stays as it is.
    assert_eq!(status(&service, &waiting).await, "Scheduled");
    service.owner().cancels(&waiting).await.expect(200);
    assert_eq!(
        service.owner().on(LIBRARY).looks_at(&lost).await.json(),
        lost.json()
    );
}

async fn a_held_environment_works_again_after_release_or_report(backend: Backend) {
    let (service, environment, _, waiting) = after_a_loss(backend).await;
    let release = format!("{}/release", environment.operator_path());
    let released = service.operator().post(&release, json!({})).await.expect(200);
    assert_eq!(released.json().get("heldSince"), None);
    service.catches_up().await;
    assert_eq!(status(&service, &waiting).await, "Running");
    // This one gets lost too; a report that is newer than the loss is as good.
    service.advances(Duration::from_secs(301)).await;
    assert_eq!(status(&service, &waiting).await, "Failed");
    let again = service
        .owner()
        .schedules_at_once(&environment, TARGET)
        .await
        .expect(200);
    service.catches_up().await;
    assert_eq!(status(&service, &again).await, "Scheduled");
    let reported = service.operator().reports(&environment).await.expect(200);
    assert_eq!(reported.json().get("heldSince"), None);
    service.catches_up().await;
    assert_eq!(status(&service, &again).await, "Running");
}

async fn canceling_and_starting_never_both_happen(backend: Backend) {
    let (service, environment) = documented(backend).await;
    for round in 0..12 {
        let mut body = environment.hotfix(TARGET);
        body["ignoreUpgradeWindow"] = json!(true);
        body["runAfter"] = json!(format!("2020-03-{:02}T12:00:00Z", 6 + round));
        let path = country_path(APP, "US", "environmentHotfixes");
        let hotfix = service.owner().post(path, body).await.expect(200);
        let owner = service.owner();
        let due = format!("2020-03-{:02}T12:00:00Z", 6 + round);
        let (canceled, ()) = tokio::join!(owner.cancels(&hotfix), service.moves_clock_to(&due));
        service.finishes_work().await;
        let ended = service.reader().looks_at(&hotfix).await;
        let expected = if canceled.status == 200 {
            "Canceled"
        } else {
            "Succeeded"
        };
        assert_eq!(ended.property("status"), expected, "round {round}: {canceled:?}");
        assert_eq!(ended.json().get("startedOn").is_some(), canceled.status != 200);
        service.operator().reports(&environment).await.expect(200);
    }
}

async fn operations_are_listed_for_the_operator(backend: Backend) {
    let (service, environment) = documented(backend).await;
    let hotfix = service
        .owner()
        .schedules_at_once(&environment, TARGET)
        .await
        .expect(200);
    service.finishes_work().await;
    let path = format!("/operator/v1/operations?$filter=environmentName eq 'mycustomer' and appId eq {APP}");
    let listed = service.operator().get(path).await.expect(200);
    let row = &listed.rows()[0];
    assert_eq!(
        (&row["id"], &row["kind"]),
        (&json!(hotfix.property("id")), &json!("Hotfix"))
    );
    assert_eq!(row["status"], Value::from("Succeeded"));
    for caller in [service.owner(), service.reader()] {
        assert!([403, 404].contains(&caller.get("/operator/v1/operations").await.status));
    }
}
