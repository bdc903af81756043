//! Business Central by the Automation API.

use crate::{
    admincenter::target::Online,
    desk::{APP, Desk, NAME, SOURCE, TARGET, environment, polls, repeats, settings, version, work},
    double::{Double, Fault, Reply},
    everywhere::{Bench, everywhere},
    server::{COMPANY, Outcome, Server, left_behind},
};
use agent::{
    driver::{AppScope, Deployed, Driver, Weight},
    drivers::automation::{Automation, Settings},
};
use axum::http::Method;
use domain::operation::FailureCause;
use serde_json::{Value, json};

everywhere!(super::AutomationBench);

pub(crate) struct AutomationBench {
    double: Double<Server>,
    desk: Desk,
    /// Settings that differ.
    settings: Value,
}

impl Bench for AutomationBench {
    type Target = Server;

    async fn new() -> Self {
        Self {
            double: Double::of(Server::new()).await,
            desk: Desk::new(),
            settings: json!({}),
        }
    }

    fn double(&self) -> &Double<Server> {
        &self.double
    }

    fn desk(&self) -> &Desk {
        &self.desk
    }

    fn settings(&mut self) -> &mut Value {
        &mut self.settings
    }

    fn driver(&self) -> Box<dyn Driver> {
        let common = json!({
            "credentials": self.desk.credentials(&self.double.url),
            "url": format!("{}/api/microsoft/automation/v2.0", self.double.url),
            "http": self.desk.http(),
            "polls": polls(),
            "lost_after": "60ms",
            "others_within": "60s",
            "limit": "60s",
            "repeats": repeats(),
        });
        let settings: Settings = settings(common, &self.settings);
        Box::new(Automation::new(settings, environment()).unwrap())
    }

    fn begins(&self) -> String {
        "/Microsoft.NAV.upload".to_owned()
    }

    fn reads(&self) -> String {
        "/extensions".to_owned()
    }

    fn polls(&self) -> String {
        "/extensionDeploymentStatus".to_owned()
    }

    fn begun(&self) -> usize {
        self.double.change(|server| server.begun)
    }

    fn knows_what_never_began() -> bool {
        true
    }

    fn marks() -> usize {
        2
    }

    fn fill(&self, apps: usize) {
        self.double.change(|server| server.fill(apps));
    }
}

impl AutomationBench {
    fn with_admin_center(self, online: &Double<Online>) -> Self {
        let admin_center = json!({
            "credentials": self.desk.credentials(&online.url),
            "url": online.url,
            "http": self.desk.http(),
            "between_requests": "0ms",
        });
        self.set(json!({"admin_center": admin_center}))
    }
}

#[tokio::test]
async fn a_package_goes_into_the_slot_and_is_started_there() {
    for (old_statuses, has_links) in [(false, true), (true, false)] {
        let bench = AutomationBench::with(|server| {
            server.old_statuses = old_statuses;
            server.has_links = has_links;
        })
        .await;
        bench.ends_well("slot").await;
        assert_eq!(bench.desk.steps(), ["Slot", "Start"]);
        assert!(bench.double.change(|server| server.slot.is_none()));
    }
}

#[tokio::test]
async fn a_slot_that_somebody_left_is_taken_over_with_all_that_it_says() {
    // The double compares both, and an old row would keep `Force Sync`.
    let bench = AutomationBench::with(|server| server.slot = Some(left_behind(3_600))).await;
    bench.ends_well("an old one").await;
    assert_eq!(bench.double.count(&Method::POST, "/extensionUpload"), 0);
    let without_time = AutomationBench::with(|server| {
        let mut slot = left_behind(0);
        slot.modified = None;
        server.slot = Some(slot);
    });
    without_time.await.ends_well("of unknown age").await;
}

#[tokio::test]
async fn a_slot_that_somebody_just_uses_is_waited_for() {
    let bench = AutomationBench::with(|server| server.slot = Some(left_behind(1))).await;
    let bench = bench.set(json!({"slot_age": "20s"}));
    // The target's clock goes a second with each request, so it is too old after a few.
    bench.ends_well("a fresh one").await;
    assert!(
        bench
            .desk
            .heard()
            .contains("Somebody else has a package in the slot")
    );
}

#[tokio::test]
async fn whoever_takes_the_slot_meanwhile_is_noticed() {
    let bench = AutomationBench::with(|server| {
        server.intruders = 2;
        server.intrusion = |slot| {
            if let Some(slot) = slot {
                slot.mode = Some("Force Sync".to_owned());
            }
        };
    })
    .await;
    bench.ends_well("another mode").await;
    let bench = AutomationBench::with(|server| server.intruders = 1).await;
    bench.ends_well("their start took it away").await;
    let bench = AutomationBench::with(|server| {
        server.intruders = 1;
        server.intrusion = |slot| {
            if let Some(slot) = slot {
                slot.content = None;
            }
        };
    })
    .await;
    bench.ends_well("it is empty").await;
    // Their bytes under our words: it is theirs that is deployed, and ours is never shown.
    let bench = AutomationBench::with(|server| {
        server.intruders = 1;
        server.intrusion = |slot| {
            if let Some(slot) = slot {
                slot.content = Some(b"theirs".to_vec());
            }
        };
    })
    .await;
    let ended = bench.ends().await;
    assert!(matches!(ended, Deployed::Unclear(_)), "{ended:?}");
    let bench = AutomationBench::with(|server| server.intruders = usize::MAX).await;
    let failure = bench.fails().await;
    assert_eq!(
        (failure.cause, bench.begun()),
        (FailureCause::Lock, 0),
        "{failure}"
    );
}

#[tokio::test]
async fn filling_the_slot_may_be_done_again() {
    for (method, path) in [
        (Method::POST, "/extensionUpload"),
        (Method::PATCH, "/extensionContent"),
    ] {
        for begun in [true, false] {
            let bench = AutomationBench::new().await.set(json!({"slot_age": "1ms"}));
            bench
                .double
                .breaks(&method, path, 1, Fault::CutAfterBody { begun });
            bench.ends_well(&format!("{method} {path} {begun}")).await;
        }
    }
}

#[tokio::test]
async fn words_of_the_target_are_believed_only_with_the_inventory() {
    for outcome in [
        Outcome::Installed("Unknown"),
        Outcome::Installed("NotFound"),
        Outcome::Installed("Hibernating"),
        Outcome::FailedButInstalled,
        Outcome::Hidden,
    ] {
        let bench = AutomationBench::with(|server| server.outcome = outcome).await;
        let bench = bench.set(json!({"lost_after": "60s"}));
        bench.ends_well(&format!("{outcome:?}")).await;
    }
    // The word is passed on; whoever asked reads the inventory again.
    let bench = AutomationBench::with(|server| server.outcome = Outcome::Unchanged).await;
    bench.ends_well("unchanged").await;
    let found = bench.driver().inventory().await.unwrap();
    assert_eq!(found.app(APP).unwrap().version, version(SOURCE));
}

#[tokio::test]
async fn what_never_ends_ends_at_the_limit() {
    for word in ["Unknown", "InProgress", "NotFound"] {
        let bench = AutomationBench::with(|server| server.outcome = Outcome::Stays(word)).await;
        let ended = bench.set(json!({"limit": "100ms"})).ends().await;
        let Deployed::Failed(failure) = ended else {
            panic!("{ended:?}");
        };
        assert!(
            failure.cause == FailureCause::TimeOut && failure.text.contains(word),
            "{failure}"
        );
    }
    let bench = AutomationBench::with(|server| server.outcome = Outcome::Lost).await;
    let ended = bench.ends().await;
    assert!(matches!(ended, Deployed::Unclear(_)), "{ended:?}");
    assert_eq!(bench.begun(), 1, "what took the slot away is not begun again");
}

#[tokio::test]
async fn ours_is_told_from_years_of_others() {
    let old = "2029-01-01T00:00:00Z".parse().unwrap();
    let bench = AutomationBench::with(|server| {
        for number in 0..2_000 {
            server.started(&format!("App {number}"), "Completed", "1.0.0.0", old);
        }
        // The same version failed before, and never was refreshed another time.
        server.started(NAME, "Failed", TARGET, old);
        server.started(NAME, "Unknown", TARGET, old);
    })
    .await;
    bench.ends_well("history").await;
    let bench = AutomationBench::with(|server| server.is_nameless = true).await;
    bench.ends_well("without a name at first").await;
    let bench = AutomationBench::with(|server| {
        server.shows_ids = false;
        server.started(NAME, "Failed", TARGET, old);
    })
    .await;
    bench.ends_well("without ids").await;
}

#[tokio::test]
async fn others_are_waited_for() {
    let bench = AutomationBench::with(|server| {
        server.started(
            "Other Pack",
            "InProgress",
            "2.1.0.0",
            "2031-05-06T07:00:00Z".parse().unwrap(),
        );
        server.deployments[0].outcome = Outcome::Unchanged;
        server.deployments[0].left = 3;
    })
    .await;
    bench.ends_well("others").await;
    assert!(
        bench.desk.heard().contains("Other Pack is in progress"),
        "{}",
        bench.desk.heard()
    );
    let bench = AutomationBench::with(|server| {
        server.started(
            "Other Pack",
            "InProgress",
            "2.1.0.0",
            "2031-05-06T07:00:00Z".parse().unwrap(),
        );
    })
    .await
    .set(json!({"others_within": "50ms"}));
    let failure = bench.fails().await;
    assert_eq!(
        (failure.cause, bench.begun()),
        (FailureCause::Lock, 0),
        "{failure}"
    );
}

#[tokio::test]
async fn nothing_is_started_beside_what_others_began_meanwhile() {
    // The double refuses to start two at once.
    let bench = AutomationBench::with(|server| server.rivals = 1).await;
    bench.ends_well("one began while the package was uploaded").await;
    assert!(
        bench.desk.heard().contains("Other Pack is in progress"),
        "{}",
        bench.desk.heard()
    );
    let bench = AutomationBench::with(|server| server.rivals = usize::MAX).await;
    let bench = bench.set(json!({"others_within": "1ms"}));
    let failure = bench.fails().await;
    assert_eq!(
        (failure.cause, bench.begun()),
        (FailureCause::Lock, 0),
        "{failure}"
    );
}

#[tokio::test]
async fn a_failure_says_that_nobody_says_why() {
    let bench = AutomationBench::with(|server| server.outcome = Outcome::Failed).await;
    let failure = bench.fails().await;
    assert_eq!(failure.cause, FailureCause::Other);
    for part in [
        "does not say why",
        "Extension Deployment Status",
        "16.0.1.10",
        "00000000-0000-0000-0000-00000000d001",
    ] {
        assert!(failure.text.contains(part), "{failure}");
    }
}

#[tokio::test]
async fn the_admin_center_knows_why_and_more() {
    // Only the Admin Center says so.
    let why = "Sales Pack requires the following apps to be installed or updated as dependencies: Base Pack";
    let online = Double::of(Online::new()).await;
    online.change(|online| {
        online.failed("2031-05-06T07:00:00Z", "Unsupported table change: Table Customer");
        online.failed("2031-05-06T07:08:20Z", why);
    });
    let bench = AutomationBench::with(|server| server.outcome = Outcome::Failed).await;
    let bench = bench.with_admin_center(&online);
    let failure = bench.fails().await;
    assert_eq!(
        (failure.cause, bench.begun()),
        (FailureCause::MissingDependency, 1),
        "{failure}"
    );
    assert!(failure.text.contains(why), "{failure}");

    let found = bench.driver().inventory().await.unwrap();
    assert_eq!(
        (found.country_code.unwrap().as_str(), found.apps.len()),
        ("US", 3)
    );
    assert!(found.window.is_some());
    online.change(|online| online.status = "Upgrading");
    let found = bench.driver().inventory().await.unwrap();
    assert!(!found.is_ready && !found.is_gone && !found.is_complete);
    online.change(|online| online.status = "SoftDeleted");
    assert!(bench.driver().inventory().await.unwrap().is_gone);
}

#[tokio::test]
async fn why_something_else_failed_before_is_not_why_this_did() {
    let online = Double::of(Online::new()).await;
    online.change(|online| online.failed("2031-05-06T07:00:00Z", "Unsupported table change: Table Customer"));
    let bench = AutomationBench::with(|server| server.outcome = Outcome::Failed).await;
    let bench = bench.with_admin_center(&online);
    let failure = bench.fails().await;
    assert_eq!(failure.cause, FailureCause::Other, "{failure}");
    assert!(failure.text.contains("does not say why"), "{failure}");
}

#[tokio::test]
async fn of_two_deployments_the_newest_is_ours() {
    let bench = AutomationBench::new().await;
    // Somebody else's of the same version fails at the same time.
    bench.double.change(|server| server.twin = true);
    bench.ends_well("two of one version").await;
}

#[tokio::test]
async fn our_own_deployment_may_end_the_session_that_answers() {
    let bench = AutomationBench::new().await;
    let text = "An administrator changed one or more extensions. Sign in again.";
    let reply = Reply::error(400, "Internal_SessionLost", text);
    bench.double.breaks(
        &Method::POST,
        "/Microsoft.NAV.upload",
        1,
        Fault::AnswerAfter(reply),
    );
    bench.ends_well("session").await;
    assert_eq!(bench.double.count(&Method::POST, "/Microsoft.NAV.upload"), 1);
}

#[tokio::test]
async fn refusals_are_told_with_their_cause() {
    for (text, cause) in [
        (
            "Upload of per-tenant extensions is not supported for your system configuration.",
            FailureCause::Other,
        ),
        (
            "An extension with the same App ID and version has already been uploaded.",
            FailureCause::AlreadyPublished,
        ),
    ] {
        let bench = AutomationBench::new().await;
        let reply = Reply::error(400, "Application_DialogException", text);
        bench
            .double
            .breaks(&Method::POST, "/Microsoft.NAV.upload", 9, Fault::Answer(reply));
        let failure = bench.fails().await;
        assert!(failure.cause == cause && failure.text.contains(text), "{failure}");
        assert_eq!(bench.double.count(&Method::POST, "/Microsoft.NAV.upload"), 1);
    }
}

#[tokio::test]
async fn old_versions_are_not_told_a_mode() {
    let bench = AutomationBench::with(|server| {
        server.knows_modes = false;
        server.extensions.last_mut().unwrap().version = "21.1.9.9".to_owned();
    })
    .await;
    bench.ends_well("21.1").await;
}

#[tokio::test]
async fn only_what_is_installed_is_in_the_inventory() {
    let bench = AutomationBench::new().await;
    let found = bench.driver().inventory().await.unwrap();
    assert!(found.is_complete && found.is_ready);
    assert_eq!(found.apps.len(), 3);
    let app = found.app(APP).unwrap();
    assert_eq!(
        (app.version, app.scope),
        (version(SOURCE), Some(AppScope::Tenant))
    );
    assert_eq!(found.application_version, Some(version("26.1.2.3")));
    assert_eq!(found.platform_version, Some(version("26.0.34567.0")));
}

#[tokio::test]
async fn whether_the_environment_is_ready_is_known_to_the_portal() {
    for (status, is_ready, is_gone) in [
        ("Ready", true, false),
        ("DoesNotExist", false, true),
        ("Upgrading", false, false),
    ] {
        let bench = AutomationBench::with(|server| server.portal = status).await;
        let portal = format!("{}/portal", bench.double.url);
        let bench = bench.set(json!({"portal": portal}));
        let found = bench.driver().inventory().await.unwrap();
        assert_eq!(
            (found.is_ready, found.is_gone, found.is_complete),
            (is_ready, is_gone, is_ready),
            "{status}"
        );
        assert_eq!(found.app(APP).is_some(), is_ready, "{status}");
        assert!(found.kind.is_some(), "{status}");
        let findings = bench.driver().check().await;
        let told = findings.iter().any(|finding| finding.text.contains("portal"));
        assert_eq!(told, !is_ready, "{status}: {findings:?}");
    }
}

#[tokio::test]
async fn the_company_is_the_one_that_is_named() {
    for (company, is_there) in [
        ("cronus".to_owned(), true),
        (COMPANY.to_string(), true),
        ("Nobody Ltd.".to_owned(), false),
    ] {
        let bench = AutomationBench::new().await.set(json!({"company": company}));
        match bench.driver().inventory().await {
            Ok(_) => assert!(is_there),
            Err(failure) => {
                assert!(
                    !is_there
                        && failure.hint == Some("Configuration")
                        && failure.text.contains("Nobody Ltd.")
                );
            }
        }
    }
}

#[tokio::test]
async fn a_tenant_of_a_server_is_named_in_each_request() {
    let bench = AutomationBench::with(|server| server.tenant = Some("tenant one")).await;
    // The double compares the query of each.
    bench
        .set(json!({"tenant": "tenant one"}))
        .ends_well("tenant")
        .await;
}

#[tokio::test]
async fn a_check_says_when_it_ends() {
    let bench = AutomationBench::new().await;
    let findings = bench.driver().check().await;
    assert!(
        findings
            .iter()
            .any(|finding| finding.weight == Weight::Warning && finding.text.contains("version 30"))
    );
    assert!(findings.iter().all(|finding| finding.weight < Weight::Problem));
    assert_eq!(bench.begun(), 0);
    assert!(
        bench
            .driver()
            .needs_package(&work(), bench.driver().inventory().await.unwrap().app(APP))
    );
}
