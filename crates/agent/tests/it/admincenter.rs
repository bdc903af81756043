//! Business Central online by the Admin Center API.

pub(crate) mod target;

use crate::{
    desk::{Desk, OTHER_APP, SOURCE, TARGET, environment, polls, repeats, settings, version, work},
    double::{Double, Fault, Reply},
    everywhere::{Bench, everywhere},
};
use agent::{
    driver::{AppScope, Deployed, Driver, Weight, Work},
    drivers::admincenter::{AdminCenter, Settings},
};
use axum::http::Method;
use domain::operation::{FailureCause, OperationKind};
use serde_json::{Value, json};
use target::{App, End, Online, Shape};
use wire::agent::EnvironmentName;

everywhere!(super::OnlineBench);

/// Where the environment tells of all that is done there.
const OPERATIONS: &str = "/environments/Test 1/operations";

pub(crate) struct OnlineBench {
    double: Double<Online>,
    desk: Desk,
    /// Settings that differ.
    settings: Value,
}

impl Bench for OnlineBench {
    type Target = Online;

    async fn new() -> Self {
        Self {
            double: Double::of(Online::new()).await,
            desk: Desk::new(),
            settings: json!({}),
        }
    }

    fn double(&self) -> &Double<Online> {
        &self.double
    }

    fn desk(&self) -> &Desk {
        &self.desk
    }

    fn settings(&mut self) -> &mut Value {
        &mut self.settings
    }

    fn driver(&self) -> Box<dyn Driver> {
        self.driver_of(environment())
    }

    fn begins(&self) -> String {
        "/apps/pteInstall".to_owned()
    }

    fn reads(&self) -> String {
        "/apps".to_owned()
    }

    fn polls(&self) -> String {
        format!("/operations/{}", target::operation_id(1))
    }

    fn begun(&self) -> usize {
        self.double.change(|online| online.begun)
    }

    fn knows_what_never_began() -> bool {
        true
    }

    fn marks() -> usize {
        2
    }

    fn fill(&self, apps: usize) {
        self.double.change(|online| online.fill(apps));
    }
}

impl OnlineBench {
    fn driver_of(&self, environment: EnvironmentName) -> Box<dyn Driver> {
        let common = json!({
            "credentials": self.desk.credentials(&self.double.url),
            "url": self.double.url,
            "accept_isv_eula": true,
            "http": self.desk.http(),
            "between_requests": "0ms",
            "polls": polls(),
            "lost_after": "60ms",
            "others_within": "60s",
            "limit": "60s",
            "scheduled_limit": "60s",
            "repeats": repeats(),
        });
        let settings: Settings = settings(common, &self.settings);
        Box::new(AdminCenter::new(settings, environment).unwrap())
    }
}

#[tokio::test]
async fn a_global_app_is_updated_from_the_catalogue_and_no_bytes_are_sent() {
    let bench = OnlineBench::with(|online| online.apps[0].kind = "global").await;
    let driver = bench.driver();
    let found = driver.inventory().await.unwrap();
    assert!(!driver.needs_package(&work(), found.app(work().app_id)));
    assert_eq!(bench.ends().await, Deployed::Done);
    assert_eq!(bench.double.count(&Method::POST, "/update"), 1);
    assert_eq!(bench.begun(), 1);
}

#[tokio::test]
async fn a_version_that_the_catalogue_does_not_offer_is_not_asked_for() {
    let bench = OnlineBench::with(|online| {
        online.apps[0].kind = "global";
        online.catalogue = vec!["16.0.2.0"];
    })
    .await;
    let failure = bench.fails().await;
    assert!(
        failure.text.contains("does not offer version 16.0.1.10") && failure.text.contains("16.0.2.0"),
        "{failure}"
    );
    assert_eq!((bench.begun(), bench.desk.steps().len()), (0, 0));
}

#[tokio::test]
async fn a_per_tenant_extension_is_installed_from_its_bytes() {
    // The double compares every part of the form.
    let bench = OnlineBench::new().await;
    let driver = bench.driver();
    let found = driver.inventory().await.unwrap();
    assert!(driver.needs_package(&work(), found.app(work().app_id)));
    assert_eq!(bench.ends().await, Deployed::Done);
    let marks = bench.desk.steps();
    assert_eq!(marks, ["Send", "Operation"]);
}

fn install() -> Work {
    Work {
        kind: OperationKind::Install,
        source: None,
        language_id: Some("da-DK".to_owned()),
        ..work()
    }
}

fn uninstall(delete_data: bool) -> Work {
    Work {
        kind: OperationKind::Uninstall,
        target: None,
        delete_data,
        ..work()
    }
}

#[tokio::test]
async fn a_new_app_is_installed_from_its_bytes_or_from_the_catalogue() {
    for (mode, path) in [
        ("auto", "/apps/pteInstall"),
        ("pteInstall", "/apps/pteInstall"),
        ("update", "/install"),
    ] {
        let bench = OnlineBench::with(|online| {
            online.is_absent = true;
            online.language = "da-DK";
        })
        .await;
        let bench = bench.set(json!({"mode": mode}));
        let driver = bench.driver();
        assert!(driver.can(OperationKind::Install));
        assert_eq!(driver.needs_package(&install(), None), mode != "update");
        let ended = bench.desk.carries_out_what(&*driver, &install()).await;
        assert_eq!(ended, Some(Deployed::Done), "{mode}");
        assert_eq!(bench.double.count(&Method::POST, path), 1, "{mode}");
        assert_eq!(
            (bench.begun(), bench.desk.steps()),
            (1, vec!["Send".to_owned(), "Operation".to_owned()])
        );
    }
    let bench = OnlineBench::with(|online| online.is_absent = true).await;
    let bench = bench.set(json!({"mode": "update", "accept_isv_eula": false}));
    let ended = bench
        .desk
        .carries_out_what(&*bench.driver(), &install())
        .await
        .unwrap();
    assert!(
        matches!(&ended, Deployed::Failed(failure) if failure.text.contains("accept_isv_eula")),
        "{ended:?}"
    );
    assert_eq!(bench.begun(), 0);
}

#[tokio::test]
async fn an_app_is_uninstalled_and_its_data_are_kept_unless_somebody_asked() {
    for (kind, delete_data) in [("tenant", false), ("global", true)] {
        let bench = OnlineBench::with(|online| {
            online.apps[0].kind = kind;
            online.deletes_data = delete_data;
        })
        .await;
        let driver = bench.driver();
        let work = uninstall(delete_data);
        assert!(driver.can(OperationKind::Uninstall) && !driver.needs_package(&work, None));
        let ended = bench.desk.carries_out_what(&*driver, &work).await;
        assert_eq!(ended, Some(Deployed::Done), "{kind}");
        assert_eq!(bench.double.count(&Method::POST, "/uninstall"), 1);
        let found = driver.inventory().await.unwrap();
        assert!(found.is_complete && found.app(work.app_id).is_none());
    }
}

#[tokio::test]
async fn the_way_follows_from_how_the_installed_version_came_in() {
    for (kind, mode, refused) in [
        ("dev", "auto", "developer's machine"),
        ("dev", "pteInstall", "developer's machine"),
        ("tenant", "update", "per-tenant extension"),
        ("global", "pteInstall", "global app"),
        ("mystery", "auto", "does not say"),
    ] {
        let bench = OnlineBench::with(|online| online.apps[0].kind = kind).await;
        let bench = bench.set(json!({"mode": mode}));
        let failure = bench.fails().await;
        assert!(
            failure.hint == Some("Scope") && failure.text.contains(refused),
            "{kind}: {failure}"
        );
        assert_eq!(bench.begun(), 0, "{kind}");
    }
}

#[tokio::test]
async fn nobody_accepts_terms_for_somebody_else() {
    let bench = OnlineBench::new().await.set(json!({"accept_isv_eula": false}));
    let failure = bench.fails().await;
    assert!(
        failure.hint == Some("Configuration") && failure.text.contains("accept_isv_eula"),
        "{failure}"
    );
    assert_eq!(bench.begun(), 0);
    let findings = bench.driver().check().await;
    assert!(
        findings
            .iter()
            .any(|finding| finding.weight == Weight::Problem && finding.text.contains("accept_isv_eula"))
    );
}

#[tokio::test]
async fn too_large_a_package_is_not_sent() {
    let bench = OnlineBench::new().await;
    let work = agent::driver::Work {
        package_size: (50 << 20) + 1,
        ..work()
    };
    let ended = bench
        .desk
        .carries_out_what(&*bench.driver(), &work)
        .await
        .unwrap();
    assert!(
        matches!(&ended, Deployed::Failed(failure) if failure.text.contains("52428801")),
        "{ended:?}"
    );
    assert_eq!(bench.begun(), 0);
}

#[tokio::test]
async fn operations_are_read_in_every_shape() {
    for shape in [Shape::Object, Shape::List, Shape::Array, Shape::NotAlone] {
        for (old_names, words) in [(false, "Pascal"), (true, "lower")] {
            let bench = OnlineBench::with(|online| {
                online.shape = shape;
                online.old_names = old_names;
                online.words = words;
                online.queued = old_names;
            })
            .await;
            assert_eq!(bench.ends().await, Deployed::Done, "{shape:?} {old_names}");
            assert_eq!(bench.begun(), 1);
        }
    }
}

#[tokio::test]
async fn words_that_nobody_knows_are_not_the_end() {
    let bench = OnlineBench::with(|online| online.running = "Hibernating").await;
    assert_eq!(bench.ends().await, Deployed::Done);
}

#[tokio::test]
async fn an_operation_may_show_late() {
    let late = OnlineBench::with(|online| online.hidden_for = 6).await;
    let bench = late.set(json!({"lost_after": "60s"}));
    bench.double.breaks(
        &Method::POST,
        "/pteInstall",
        1,
        Fault::CutAfterBody { begun: true },
    );
    assert_eq!(bench.ends().await, Deployed::Done);
    assert_eq!(bench.begun(), 1);
    // Or not be known at first although its id is.
    let late = OnlineBench::with(|online| online.hidden_for = 6).await;
    let bench = late.set(json!({"lost_after": "60s"}));
    assert_eq!(bench.ends().await, Deployed::Done);
}

#[tokio::test]
async fn an_operation_may_vanish_and_the_inventory_decides() {
    let bench = OnlineBench::with(|online| online.vanishes = true).await;
    let bench = bench.set(json!({"lost_after": "60s"}));
    assert_eq!(bench.ends().await, Deployed::Done);
    let bench = OnlineBench::with(|online| {
        online.vanishes = true;
        online.end = End::Unchanged;
    })
    .await;
    let ended = bench.ends().await;
    assert!(
        matches!(&ended, Deployed::Unclear(failure) if failure.text.contains("any more")),
        "{ended:?}"
    );
}

#[tokio::test]
async fn somebody_elses_operation_of_the_same_version_is_not_ours() {
    let bench = OnlineBench::new().await.set(json!({"lost_after": "60s"}));
    // Ours is lost and never began; theirs appears just then.
    bench.double.change(|online| online.foreign_after_begin = true);
    bench
        .double
        .breaks(&Method::POST, "/pteInstall", 1, Fault::Answer(Reply::page(502)));
    assert_eq!(bench.ends().await, Deployed::Done);
    assert_eq!(bench.begun(), 0, "what they brought in is not brought in again");
    assert_eq!(
        bench.desk.steps(),
        ["Send"],
        "and their operation is not taken for ours"
    );
}

#[tokio::test]
async fn others_are_waited_for() {
    let bench = OnlineBench::with(|online| online.foreign_runs_for = Some(3)).await;
    assert_eq!(bench.ends().await, Deployed::Done);
    assert!(bench.desk.heard().contains("Wait"), "{}", bench.desk.heard());
    assert_eq!(bench.begun(), 1);

    let bench = OnlineBench::with(|online| online.apps[1].state = "Updating").await;
    let bench = bench.set(json!({"others_within": "50ms"}));
    let failure = bench.fails().await;
    assert_eq!(failure.cause, FailureCause::Lock, "{failure}");
    assert!(failure.text.contains("Other Pack"), "{failure}");
    assert_eq!((bench.begun(), bench.desk.steps().len()), (0, 0));
}

#[tokio::test]
async fn what_runs_elsewhere_in_the_environment_is_waited_for() {
    let bench = OnlineBench::with(|online| online.environment_runs_for = 3).await;
    assert_eq!(bench.ends().await, Deployed::Done);
    let id = target::operation_id(800);
    assert!(bench.desk.heard().contains(&id), "{}", bench.desk.heard());
    assert_eq!(
        (bench.begun(), bench.double.count(&Method::GET, OPERATIONS)),
        (1, 4)
    );

    let bench = OnlineBench::with(|online| online.environment_runs_for = usize::MAX).await;
    let failure = bench.set(json!({"others_within": "50ms"})).fails().await;
    assert_eq!(failure.cause, FailureCause::Lock, "{failure}");
    assert!(failure.text.contains(&id), "{failure}");
}

#[tokio::test]
async fn older_versions_are_not_asked_what_they_do_not_know() {
    let bench = OnlineBench::with(|online| {
        online.version = "v2.5";
        online.apps[0].kind = "global";
    })
    .await;
    let bench = bench.set(json!({"api_version": "v2.5"}));
    assert_eq!(bench.ends().await, Deployed::Done);
    assert_eq!(bench.double.count(&Method::GET, OPERATIONS), 0);
}

#[tokio::test]
async fn what_never_began_is_not_begun_anew_while_the_environment_is_worked_on() {
    let bench = OnlineBench::new().await;
    bench.desk.dies_after(1);
    assert_eq!(bench.desk.carries_out(&*bench.driver()).await, None);
    bench.double.change(|online| online.status = "Upgrading");
    let failure = bench.fails().await;
    assert_eq!(
        (failure.cause, bench.begun()),
        (FailureCause::Lock, 0),
        "{failure}"
    );
}

#[tokio::test]
async fn an_environment_is_addressed_as_the_target_spells_it() {
    let bench = OnlineBench::new().await;
    // The double knows only its own spelling.
    let driver = bench.driver_of(EnvironmentName {
        application_family: "business central".to_owned(),
        name: "TEST 1".to_owned(),
        ..environment()
    });
    let found = driver.inventory().await.unwrap();
    assert_eq!((found.is_complete, found.apps.len()), (true, 2));
}

#[tokio::test]
async fn what_microsoft_does_in_between_is_seen() {
    for (to, expected) in [(TARGET, "Done"), ("16.1.0.0", "Skipped")] {
        let bench = OnlineBench::new().await;
        let driver = bench.driver();
        let found = driver.inventory().await.unwrap();
        bench
            .double
            .change(|online| online.apps[0].version = to.to_owned());
        let ended = bench.desk.goes_on(&*driver, &work(), &found).await.unwrap();
        assert!(format!("{ended:?}").starts_with(expected), "{ended:?}");
        assert_eq!(bench.begun(), 0);
    }
}

#[tokio::test]
async fn what_runs_for_ever_ends_at_the_limit() {
    for running in ["Running", "Scheduled"] {
        let bench = OnlineBench::with(|online| {
            online.running = running;
            online.end = End::Never;
        })
        .await
        .set(json!({"limit": "100ms", "scheduled_limit": "100ms"}));
        let ended = bench.ends().await;
        let Deployed::Failed(failure) = &ended else {
            panic!("{ended:?}");
        };
        assert_eq!(failure.cause, FailureCause::TimeOut);
        assert!(failure.text.contains(running), "{failure}");
    }
}

#[tokio::test]
async fn a_failure_is_told_with_its_inner_cause() {
    let wrapped = "A request to the Data Plane Admin Service failed. Http status code: BadRequest. Error: \
                   {\"code\":\"ExtensionChangeFailed\",\"message\":\"Failed\",\"innerError\":{\"code\":\"AppAlreadyPublished\"}}";
    for (text, cause) in [
        (
            "Unsupported table change: Table Customer",
            FailureCause::SchemaBreak,
        ),
        (
            "Could not upgrade the extension 'Sales Pack' due to the following error: 'No'",
            FailureCause::UpgradeCode,
        ),
        ("Udvidelsen kunne ikke installeres", FailureCause::Other),
    ] {
        let bench = OnlineBench::with(|online| online.end = End::Failed(text)).await;
        let failure = bench.fails().await;
        assert_eq!((failure.cause, bench.begun()), (cause, 1), "{failure}");
        assert!(failure.text.contains(text), "{failure}");
    }
    // Often published and not installed: a second run installs.
    let bench = OnlineBench::with(|online| online.ends = vec![End::Failed(wrapped), End::Installed]).await;
    assert_eq!(bench.ends().await, Deployed::Done);
    assert_eq!(bench.begun(), 2);
    let bench = OnlineBench::with(|online| online.end = End::Failed(wrapped)).await;
    let failure = bench.fails().await;
    assert_eq!(
        (failure.cause, bench.begun()),
        (FailureCause::AlreadyPublished, 2),
        "{failure}"
    );
    // Somebody held a table: three times.
    let lock = "The operation could not complete because it failed to acquire a lock";
    let bench = OnlineBench::with(|online| online.end = End::Failed(lock)).await;
    let failure = bench.fails().await;
    assert_eq!(
        (failure.cause, bench.begun()),
        (FailureCause::Lock, 3),
        "{failure}"
    );
}

#[tokio::test]
async fn what_others_end_is_told_with_who_did() {
    let bench = OnlineBench::with(|online| online.end = End::Canceled).await;
    let failure = bench.fails().await;
    assert!(failure.text.contains("admin@customer.example"), "{failure}");
    let bench = OnlineBench::with(|online| online.end = End::Skipped).await;
    let ended = bench.ends().await;
    assert!(matches!(ended, Deployed::Skipped(_)), "{ended:?}");
    let bench = OnlineBench::with(|online| online.end = End::SkippedInstalled).await;
    assert_eq!(bench.ends().await, Deployed::Done);
}

#[tokio::test]
async fn success_is_what_the_target_says_and_the_inventory_is_for_the_runner() {
    // The driver passes the word on; whether the version is there is read by whoever asked.
    let bench = OnlineBench::with(|online| online.end = End::Unchanged).await;
    assert_eq!(bench.ends().await, Deployed::Done);
    let found = bench.driver().inventory().await.unwrap();
    assert_eq!(found.app(work().app_id).unwrap().version, version(SOURCE));
    let bench = OnlineBench::with(|online| online.end = End::Later(2)).await;
    assert_eq!(bench.ends().await, Deployed::Done);
    let driver = bench.driver();
    let mut versions = Vec::new();
    for _ in 0..3 {
        versions.push(
            driver
                .inventory()
                .await
                .unwrap()
                .app(work().app_id)
                .unwrap()
                .version,
        );
    }
    assert_eq!(versions.last(), Some(&version(TARGET)));
}

#[tokio::test]
async fn dependencies_are_not_brought_in_unasked() {
    let requirements = json!({"code": "EntityValidationFailed", "message": "Cannot update", "data": {"requirements": [
        {"appId": OTHER_APP.to_string(), "name": "Other Pack", "publisher": "Contoso", "version": "2.0.0.0", "type": "Update"}
    ]}});
    let bench = OnlineBench::with(|online| online.apps[0].kind = "global").await;
    bench.double.breaks(
        &Method::POST,
        "/update",
        9,
        Fault::Answer(Reply::json(400, &requirements)),
    );
    let failure = bench.fails().await;
    assert_eq!(failure.cause, FailureCause::MissingDependency, "{failure}");
    assert!(failure.text.contains("Other Pack"), "{failure}");
    assert_eq!(bench.begun(), 0);
}

#[tokio::test]
async fn what_is_scheduled_already_is_told() {
    let bench = OnlineBench::new().await;
    let body = json!({"code": "BadRequest", "message": "The version is scheduled already", "target": "apps"});
    bench.double.breaks(
        &Method::POST,
        "/pteInstall",
        9,
        Fault::Answer(Reply::json(400, &body)),
    );
    let failure = bench.fails().await;
    assert!(failure.text.contains("scheduled already"), "{failure}");
    assert_eq!(bench.double.count(&Method::POST, "/pteInstall"), 1);
}

#[tokio::test]
async fn an_api_that_is_too_old_says_what_to_set() {
    let bench = OnlineBench::with(|online| online.version = "v2.28").await;
    let bench = bench.set(json!({"api_version": "v2.28"}));
    let failure = bench.fails().await;
    assert!(
        failure.hint == Some("Configuration") && failure.text.contains("v2.29"),
        "{failure}"
    );
}

#[tokio::test]
async fn the_window_may_be_the_targets() {
    let bench = OnlineBench::with(|online| {
        online.running = "Scheduled";
        online.by_window = true;
    })
    .await
    .set(json!({"window": "target"}));
    assert_eq!(bench.ends().await, Deployed::Done);
    assert!(bench.desk.heard().contains("Scheduled"));
}

#[tokio::test]
async fn an_answer_without_an_id_is_looked_for() {
    let bench = OnlineBench::new().await;
    let reply = Fault::AnswerAfter(Reply::json(200, &json!({"status": "running"})));
    bench.double.breaks(&Method::POST, "/pteInstall", 1, reply);
    assert_eq!(bench.ends().await, Deployed::Done);
    assert_eq!(bench.begun(), 1);
}

#[tokio::test]
async fn the_inventory_tells_all_that_the_target_does() {
    let bench = OnlineBench::with(|online| {
        online.apps.push(App::of_microsoft(
            "Application",
            "c1335042-3002-4257-bf8a-75c898ccb1b8",
        ));
        online.apps[1].kind = "dev";
    })
    .await;
    let found = bench.driver().inventory().await.unwrap();
    assert!(found.is_complete && found.is_ready && !found.is_gone);
    assert_eq!(found.country_code.unwrap().as_str(), "US");
    assert_eq!(found.kind.unwrap().as_str(), "Sandbox");
    assert_eq!(found.application_version, Some(version("26.1.2.3")));
    let window = ["22:00", "06:00", "Romance Standard Time"].map(str::to_owned);
    assert_eq!(found.window, Some(window));
    let origins: Vec<_> = found.apps.iter().map(|app| app.scope.unwrap()).collect();
    assert_eq!(origins, [AppScope::Tenant, AppScope::Dev, AppScope::Global]);
    assert_eq!(found.app(OTHER_APP).unwrap().name.as_deref(), Some("Other Pack"));

    let bench = OnlineBench::with(|online| {
        online.window = Value::Null;
        online.old_names = true;
    })
    .await;
    let found = bench.driver().inventory().await.unwrap();
    assert_eq!((found.window, found.apps.len()), (None, 2));
}

#[tokio::test]
async fn an_environment_is_gone_only_when_it_is() {
    for (status, is_gone) in [
        ("Upgrading", false),
        ("NotReady", false),
        ("Recovering", false),
        ("SoftDeleting", false),
        ("SoftDeletingFailed", false),
        ("Removing", true),
        ("SoftDeleted", true),
    ] {
        let bench = OnlineBench::with(|online| online.status = status).await;
        let found = bench.driver().inventory().await.unwrap();
        assert_eq!(
            (found.is_gone, found.is_ready, found.is_complete),
            (is_gone, false, false),
            "{status}"
        );
    }
    let bench = OnlineBench::with(|online| online.name = "Renamed").await;
    assert!(bench.driver().inventory().await.unwrap().is_gone);
    assert!(
        bench
            .driver()
            .check()
            .await
            .iter()
            .any(|finding| finding.weight == Weight::Problem)
    );
}

#[tokio::test]
async fn another_tenants_environment_of_the_same_name_is_not_taken() {
    let bench = OnlineBench::with(|online| online.tenant = uuid::Uuid::from_u128(1)).await;
    let failure = bench.driver().inventory().await.unwrap_err();
    assert_eq!(failure.hint, Some("Configuration"), "{failure}");
}

#[tokio::test]
async fn a_check_changes_nothing_and_says_what_it_saw() {
    let bench = OnlineBench::new().await;
    let findings = bench.driver().check().await;
    assert!(
        findings.iter().all(|finding| finding.weight < Weight::Problem),
        "{findings:?}"
    );
    assert!(
        findings
            .iter()
            .any(|finding| finding.text.contains("delete environments"))
    );
    let posts = bench
        .double
        .asked()
        .iter()
        .filter(|asked| asked.method != Method::GET)
        .count();
    assert_eq!(posts, 1, "a token and nothing else");
}

#[tokio::test]
async fn an_application_needs_no_secret_where_its_platform_vouches_for_it() {
    let mut bench = OnlineBench::new().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("assertion");
    let vouch = |bench: &OnlineBench, assertion: &str| {
        std::fs::write(&path, format!("{assertion}\n")).unwrap();
        let kind = "urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer";
        bench.double.issuer(|issuer| {
            issuer.proof = format!("client_assertion_type={kind}&client_assertion={assertion}");
            issuer.valid.clear();
        });
    };
    let mut client = bench.desk.credentials(&bench.double.url);
    let keys = client["client"].as_object_mut().unwrap();
    keys.remove("client_secret");
    keys.insert("client_assertion_file".into(), json!(path));
    bench.settings = json!({"credentials": client});

    let driver = bench.driver();
    let missing = driver.inventory().await.unwrap_err();
    assert_eq!(missing.cause, FailureCause::Permission);
    assert!(missing.to_string().contains("assertion"), "{missing}");
    // Platforms renew the file: each new token is asked for with what it holds then.
    for assertion in ["header.first.signature", "header.second.signature"] {
        vouch(&bench, assertion);
        driver.inventory().await.unwrap();
    }
    assert_eq!(bench.double.issuer(|issuer| issuer.issued), 2);
}

#[test]
fn settings_are_refused_with_the_wrong_fact() {
    let settings = |change: Value| {
        let mut settings =
            json!({"credentials": {"client": {"client_id": "a", "client_secret": "env:SECRET"}}});
        for (name, value) in change.as_object().unwrap() {
            settings[name] = value.clone();
        }
        serde_json::from_value::<Settings>(settings).map_err(|wrong| wrong.to_string())
    };
    settings(json!({})).unwrap();
    for (change, part) in [
        (json!({"url": "http://contoso.com"}), "https"),
        (json!({"url": "https://me:hunter2@contoso.com"}), "credentials"),
        (json!({"limit": "soon"}), "'soon'"),
        (json!({"mood": "good"}), "mood"),
        (json!({"mode": "force"}), "force"),
        (
            json!({"credentials": {"client": {"client_id": "a", "client_secret": "hunter2"}}}),
            "env:NAME",
        ),
        (
            json!({"credentials": {"client": {"client_id": "a"}}}),
            "needs client_secret or client_assertion_file",
        ),
        (
            json!({"credentials": {"client": {"client_id": "a", "client_secret": "env:SECRET",
                "client_assertion_file": "/run/assertion"}}}),
            "may have only one",
        ),
    ] {
        let wrong = settings(change).unwrap_err();
        assert!(wrong.contains(part) && !wrong.contains("hunter2"), "{wrong}");
    }
}
