//! A target that does what each test says, and whether the truth comes out.

use super::*;
use crate::{
    clock::Clock,
    driver::{Finding, InstalledApp, Mark},
};
use futures::future::BoxFuture;
use serde_json::{Value, json};
use std::{
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicI64, Ordering},
    },
};
use uuid::Uuid;
use wire::agent::{ClaimedPackage, EnvironmentName};

const OLD: AppVersion = AppVersion([16, 0, 0, 5]);
const NEW: AppVersion = AppVersion([16, 0, 1, 2]);

pub(crate) fn claimed() -> ClaimedOperation {
    ClaimedOperation {
        operation_id: Uuid::from_u128(1),
        lease_id: Uuid::from_u128(2),
        lease_seconds: 300,
        kind: "Hotfix".into(),
        environment: EnvironmentName {
            aad_tenant_id: Uuid::from_u128(3),
            application_family: "BusinessCentral".into(),
            name: "Production".into(),
        },
        environment_type: "Production".into(),
        country_code: "US".into(),
        app_id: Uuid::from_u128(4),
        app_name: Some("Sales".into()),
        app_publisher: Some("Contoso".into()),
        source_version: Some(OLD.to_string()),
        target_version: Some(NEW.to_string()),
        sync_mode: "Sync".into(),
        package: Some(ClaimedPackage {
            sha256: "0a".repeat(32),
            size: 3,
            differs_elsewhere: false,
        }),
        delete_data: false,
        language_id: None,
    }
}

pub(crate) fn work() -> Work {
    understood(&claimed()).unwrap()
}

/// Waiting takes no time: the clock is just later.
struct Leaping(AtomicI64);

impl Clock for Leaping {
    fn now(&self) -> Instant {
        Instant(self.0.load(Ordering::SeqCst))
    }

    fn reach(&self, moment: Instant) -> BoxFuture<'_, ()> {
        self.0.fetch_max(moment.0, Ordering::SeqCst);
        Box::pin(async {})
    }
}

/// A target whose inventories are a script: each reading takes the first, the last one stays.
struct Target {
    inventories: Mutex<Vec<Result<Found, Failure>>>,
    says: Deployed,
    deployed: Mutex<u32>,
    needs_package: bool,
    lags: bool,
}

struct Desk {
    is_held: bool,
    marks: Vec<Mark>,
    package: Result<(), Failure>,
    texts: Mutex<Vec<String>>,
}

impl Workplace for Desk {
    fn package(&self) -> BoxFuture<'_, Result<&Path, Failure>> {
        Box::pin(async { self.package.clone().map(|()| Path::new("package.app")) })
    }

    fn may_begin(&self) -> Result<(), Failure> {
        match self.is_held {
            true => Ok(()),
            false => Err(Failure::new(FailureCause::TimeOut, "given up")),
        }
    }

    fn mark(&self, _: &str, _: Value) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(async { Ok(()) })
    }

    fn rest(&self, span: Duration) -> BoxFuture<'_, ()> {
        Box::pin(tokio::time::sleep(span))
    }

    fn marks(&self) -> Vec<Mark> {
        self.marks.clone()
    }

    fn progress(&self, _: Option<u8>, _: &str, text: &str) {
        self.texts.lock().unwrap().push(text.into());
    }
}

impl Driver for Target {
    fn inventory(&self) -> BoxFuture<'_, Result<Found, Failure>> {
        let mut inventories = self.inventories.lock().unwrap();
        let found = match inventories.len() {
            1 => inventories[0].clone(),
            _ => inventories.remove(0),
        };
        Box::pin(async { found })
    }

    fn check(&self) -> BoxFuture<'_, Vec<Finding>> {
        Box::pin(async { Vec::new() })
    }

    fn can(&self, kind: OperationKind) -> bool {
        kind != OperationKind::Update
    }

    fn needs_package(&self, _: &Work, _: Option<&InstalledApp>) -> bool {
        self.needs_package
    }

    fn lags(&self) -> bool {
        self.lags
    }

    fn deploy<'d>(&'d self, _: &'d Work, _: &'d Found, _: &'d dyn Workplace) -> BoxFuture<'d, Deployed> {
        *self.deployed.lock().unwrap() += 1;
        Box::pin(async { self.says.clone() })
    }
}

fn found(version: Option<AppVersion>) -> Found {
    let app = |version| InstalledApp {
        id: work().app_id,
        version,
        name: None,
        publisher: None,
        scope: None,
        can_be_uninstalled: None,
    };
    Found {
        is_complete: true,
        is_ready: true,
        apps: version.map(app).into_iter().collect(),
        ..Found::default()
    }
}

/// What became of it, and how often it was deployed.
struct Told {
    outcome: Outcome,
    deployed: u32,
    waited: Duration,
}

struct Case {
    target: Target,
    desk: Desk,
}

fn case(inventories: impl IntoIterator<Item = Found>, says: Deployed) -> Case {
    Case {
        target: Target {
            inventories: Mutex::new(inventories.into_iter().map(Ok).collect()),
            says,
            deployed: Mutex::default(),
            needs_package: true,
            lags: false,
        },
        desk: Desk {
            is_held: true,
            marks: Vec::new(),
            package: Ok(()),
            texts: Mutex::default(),
        },
    }
}

impl Case {
    fn resumed(mut self) -> Self {
        self.desk.marks.push(Mark {
            step: "Publish".into(),
            facts: json!({}),
        });
        self
    }

    async fn carried_out(self) -> Told {
        self.carried_out_as(work()).await
    }

    async fn carried_out_as(self, work: Work) -> Told {
        let clock = Leaping(AtomicI64::new(0));
        let bench = Bench {
            driver: &self.target,
            clock: &clock,
            patience: Patience {
                verify: Duration::from_secs(180),
                watch: Duration::from_secs(3_600),
            },
        };
        let outcome = bench.carry_out(&work, &self.desk).await;
        Told {
            outcome,
            deployed: *self.target.deployed.lock().unwrap(),
            waited: clock.now().since(Instant(0)),
        }
    }
}

fn failed() -> Deployed {
    Deployed::Failed(Failure::new(
        FailureCause::SchemaBreak,
        "Unsupported table change",
    ))
}

fn text_of(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Succeeded => String::new(),
        Outcome::Failed(failure, _) => failure.to_string(),
        Outcome::Skipped(reason, _) => reason.clone(),
    }
}

#[tokio::test]
async fn what_is_there_already_or_not_at_all_is_not_touched() {
    let gone = Found {
        is_gone: true,
        ..found(None)
    };
    let newer = AppVersion([16, 0, 1, 3]);
    for (inventory, fact) in [
        (found(Some(NEW)), ""),
        (found(Some(newer)), "16.0.1.3 is installed"),
        (found(None), "is not installed"),
        (gone, "is not there any more"),
    ] {
        let told = case([inventory], Deployed::Done).carried_out().await;
        assert_eq!(told.deployed, 0);
        assert!(!matches!(told.outcome, Outcome::Failed(..)), "{:?}", told.outcome);
        assert!(text_of(&told.outcome).contains(fact), "{:?}", told.outcome);
    }
}

#[tokio::test]
async fn what_cannot_be_read_begins_nothing() {
    let partial = Found {
        is_complete: false,
        ..found(None)
    };
    let told = case([partial], Deployed::Done).carried_out().await;
    assert!(matches!(told.outcome, Outcome::Failed(..)) && told.deployed == 0);
    let case = case([], Deployed::Done);
    let unread = Failure::new(FailureCause::Connection, "refused");
    case.target.inventories.lock().unwrap().push(Err(unread.clone()));
    let told = case.carried_out().await;
    assert_eq!((told.outcome, told.deployed), (Outcome::Failed(unread, None), 0));
}

#[tokio::test]
async fn only_a_version_that_is_read_back_is_a_success() {
    let told = case([found(Some(OLD)), found(Some(NEW))], Deployed::Done)
        .carried_out()
        .await;
    assert_eq!((told.outcome, told.deployed), (Outcome::Succeeded, 1));
    let late = [found(Some(OLD)), found(Some(OLD)), found(None), found(Some(NEW))];
    let told = case(late, Deployed::Done).carried_out().await;
    assert_eq!(told.outcome, Outcome::Succeeded);
    assert!(told.waited <= Duration::from_secs(180));
    let told = case([found(Some(OLD))], Deployed::Done).carried_out().await;
    let text = text_of(&told.outcome);
    assert!(
        text.contains("Asked for 16.0.1.2: 16.0.0.5 is installed."),
        "{text}"
    );
    assert_eq!(told.waited, Duration::from_secs(180));
}

#[tokio::test]
async fn a_failure_is_told_with_what_is_installed_and_may_have_worked() {
    let told = case([found(Some(OLD)), found(None)], failed())
        .carried_out()
        .await;
    let Outcome::Failed(failure, None) = told.outcome else {
        panic!("{:?}", told.outcome)
    };
    assert_eq!(failure.cause, FailureCause::SchemaBreak);
    assert_eq!(
        failure.text,
        "Unsupported table change. Asked for 16.0.1.2: the app is not installed."
    );
    let told = case([found(Some(OLD)), found(Some(NEW))], failed())
        .carried_out()
        .await;
    assert_eq!(told.outcome, Outcome::Succeeded);
}

#[tokio::test]
async fn what_is_unclear_is_watched_and_not_repeated() {
    let unclear = || Deployed::Unclear(Failure::new(FailureCause::Connection, "The connection broke"));
    let mut slow = vec![found(Some(OLD)); 100];
    slow.push(found(Some(NEW)));
    let told = case(slow, unclear()).carried_out().await;
    assert_eq!((told.outcome, told.deployed), (Outcome::Succeeded, 1));
    let told = case([found(Some(OLD))], unclear()).carried_out().await;
    let Outcome::Failed(failure, Some(OLD)) = told.outcome else {
        panic!("{:?}", told.outcome)
    };
    assert_eq!((failure.cause, told.deployed), (FailureCause::TimeOut, 1));
    assert!(failure.text.starts_with("The connection broke."), "{failure}");
    assert_eq!(told.waited, Duration::from_secs(3_600));
}

#[tokio::test]
async fn a_package_that_is_another_one_begins_nothing() {
    let mut case = case([found(Some(OLD))], Deployed::Done);
    let changed = Failure::new(FailureCause::PackageChanged, "other bytes");
    case.desk.package = Err(changed.clone());
    let told = case.carried_out().await;
    assert_eq!(told.outcome, Outcome::Failed(changed, Some(OLD)));
    assert_eq!(told.deployed, 0);
}

#[tokio::test]
async fn somebody_elses_work_is_waited_for() {
    let busy = Found {
        is_ready: false,
        ..found(Some(OLD))
    };
    let told = case(
        [busy.clone(), busy.clone(), found(Some(OLD)), found(Some(NEW))],
        Deployed::Done,
    )
    .carried_out()
    .await;
    assert_eq!((told.outcome, told.deployed), (Outcome::Succeeded, 1));
    let told = case([busy], Deployed::Done).carried_out().await;
    let Outcome::Failed(failure, _) = told.outcome else {
        panic!("{:?}", told.outcome)
    };
    assert_eq!((failure.cause, told.deployed), (FailureCause::Lock, 0));
}

#[tokio::test]
async fn without_the_lease_nothing_is_begun_and_what_was_begun_is_watched() {
    let mut fresh = case([found(Some(OLD))], Deployed::Done);
    fresh.desk.is_held = false;
    let told = fresh.carried_out().await;
    assert!(
        matches!(told.outcome, Outcome::Failed(_, Some(OLD))),
        "{:?}",
        told.outcome
    );
    assert_eq!(told.deployed, 0);
    let mut resumed = case([found(Some(OLD)), found(None), found(Some(NEW))], Deployed::Done).resumed();
    resumed.desk.is_held = false;
    let told = resumed.carried_out().await;
    assert_eq!((told.outcome, told.deployed), (Outcome::Succeeded, 0));
}

#[tokio::test]
async fn what_was_interrupted_goes_on_also_where_the_app_is_away_for_a_moment() {
    let between = case([found(None), found(Some(NEW))], Deployed::Done).resumed();
    let told = between.carried_out().await;
    assert_eq!((told.outcome, told.deployed), (Outcome::Succeeded, 1));
    let done = case([found(Some(NEW))], Deployed::Done).resumed();
    let told = done.carried_out().await;
    assert_eq!((told.outcome, told.deployed), (Outcome::Succeeded, 0));
}

#[tokio::test]
async fn what_was_interrupted_ends_where_a_newer_version_is_installed_or_all_is_gone() {
    let gone = Found {
        is_gone: true,
        ..found(None)
    };
    for inventory in [found(Some(AppVersion([16, 0, 1, 3]))), gone] {
        let told = case([inventory], Deployed::Done).resumed().carried_out().await;
        assert!(matches!(told.outcome, Outcome::Skipped(..)), "{:?}", told.outcome);
        assert_eq!(told.deployed, 0);
    }
}

#[tokio::test]
async fn a_target_with_nothing_to_do_is_believed_unless_something_was_begun() {
    let nothing = || Deployed::Skipped("AppUninstalled".into());
    let fresh = case([found(Some(OLD))], nothing()).carried_out().await;
    assert_eq!(
        fresh.outcome,
        Outcome::Skipped("AppUninstalled".into(), Some(OLD))
    );
    let there = case([found(Some(OLD)), found(Some(NEW))], nothing());
    assert_eq!(there.carried_out().await.outcome, Outcome::Succeeded);
    let told = case([found(None)], nothing()).resumed().carried_out().await;
    let Outcome::Failed(failure, None) = told.outcome else {
        panic!("{:?}", told.outcome)
    };
    assert_eq!(
        failure.text,
        "AppUninstalled. Asked for 16.0.1.2: the app is not installed."
    );
}

#[tokio::test]
async fn a_package_is_not_brought_again_before_the_driver_asks_for_it() {
    let mut resumed = case([found(Some(OLD)), found(Some(NEW))], Deployed::Done).resumed();
    resumed.desk.package = Err(Failure::new(FailureCause::Connection, "refused"));
    let told = resumed.carried_out().await;
    assert_eq!((told.outcome, told.deployed), (Outcome::Succeeded, 1));
}

#[tokio::test]
async fn what_failed_is_read_for_a_while_where_the_list_lags_behind() {
    let lagging = || [found(Some(OLD)), found(Some(OLD)), found(Some(NEW))];
    let mut late = case(lagging(), failed()).resumed();
    late.target.lags = true;
    let told = late.carried_out().await;
    assert_eq!(told.outcome, Outcome::Succeeded);
    // Without a mark nothing was sent, so nothing can come of it.
    let mut unsent = case(lagging(), failed());
    unsent.target.lags = true;
    let told = unsent.carried_out().await;
    assert!(
        matches!(told.outcome, Outcome::Failed(_, Some(OLD))),
        "{:?}",
        told.outcome
    );
}

#[tokio::test]
async fn what_a_target_hides_while_it_is_worked_on_is_not_told_as_missing() {
    let hidden = Found {
        is_ready: false,
        ..found(None)
    };
    let case_of = |last: Found| {
        case(
            [found(Some(OLD)), hidden.clone(), hidden.clone(), last],
            Deployed::Done,
        )
    };
    let told = case_of(found(Some(NEW))).carried_out().await;
    assert_eq!(told.outcome, Outcome::Succeeded);
    // It is waited for as long as a target may take, not only as long as a list may lag behind.
    let told = case_of(hidden.clone()).carried_out().await;
    let text = text_of(&told.outcome);
    assert!(
        text.contains("could not be read") && !text.contains("not installed"),
        "{text}"
    );
    assert!(told.waited >= Duration::from_secs(3_600));
    let partial = Found {
        is_complete: false,
        ..found(None)
    };
    let text = text_of(&case_of(partial).carried_out().await.outcome);
    assert!(
        text.contains("could not be read") && !text.contains("not installed"),
        "{text}"
    );
}

fn install() -> Work {
    Work {
        kind: OperationKind::Install,
        source: None,
        ..work()
    }
}

fn uninstall() -> Work {
    Work {
        kind: OperationKind::Uninstall,
        target: None,
        ..work()
    }
}

#[tokio::test]
async fn an_install_needs_an_app_that_is_not_there_and_an_uninstall_one_that_is() {
    let done = || Deployed::Done;
    let told = case([found(None), found(Some(NEW))], done());
    let told = told.carried_out_as(install()).await;
    assert_eq!((told.outcome, told.deployed), (Outcome::Succeeded, 1));
    let told = case([found(Some(OLD))], done()).carried_out_as(install()).await;
    assert!(
        text_of(&told.outcome).contains("16.0.0.5 is installed"),
        "{:?}",
        told.outcome
    );
    assert!(matches!(told.outcome, Outcome::Skipped(_, Some(OLD))) && told.deployed == 0);
    let told = case([found(Some(NEW))], done()).carried_out_as(install()).await;
    assert_eq!((told.outcome, told.deployed), (Outcome::Succeeded, 0));

    let mut leaves = case([found(Some(OLD)), found(Some(OLD)), found(None)], done());
    // Nothing is brought for it.
    leaves.desk.package = Err(Failure::new(FailureCause::Connection, "refused"));
    let told = leaves.carried_out_as(uninstall()).await;
    assert_eq!((told.outcome, told.deployed), (Outcome::Succeeded, 1));
    let told = case([found(None)], done()).carried_out_as(uninstall()).await;
    assert_eq!((told.outcome, told.deployed), (Outcome::Succeeded, 0));
    let told = case([found(Some(OLD))], done()).carried_out_as(uninstall()).await;
    let text = text_of(&told.outcome);
    assert!(
        text.contains("Asked for it to be uninstalled: 16.0.0.5 is installed."),
        "{text}"
    );
}

#[tokio::test]
async fn an_app_that_is_only_not_seen_has_not_been_uninstalled() {
    let partial = Found {
        is_complete: false,
        ..found(None)
    };
    let told = case([partial.clone()], Deployed::Done)
        .carried_out_as(uninstall())
        .await;
    assert!(matches!(told.outcome, Outcome::Failed(..)) && told.deployed == 0);
    let hidden = Found {
        is_ready: false,
        ..found(None)
    };
    for unseen in [partial, hidden] {
        let case = case([unseen, found(Some(OLD))], Deployed::Done).resumed();
        let told = case.carried_out_as(uninstall()).await;
        assert!(
            matches!(told.outcome, Outcome::Failed(_, Some(OLD))),
            "{:?}",
            told.outcome
        );
        assert_eq!(told.deployed, 1, "it is gone on with");
    }
}

#[tokio::test]
async fn what_a_target_cannot_do_is_refused_before_anything_is_begun() {
    let update = Work {
        kind: OperationKind::Update,
        ..work()
    };
    let told = case([found(Some(OLD))], Deployed::Done)
        .carried_out_as(update)
        .await;
    let Outcome::Failed(failure, None) = told.outcome else {
        panic!("{:?}", told.outcome)
    };
    assert_eq!((failure.cause, told.deployed), (FailureCause::NotSupported, 0));
    assert!(failure.text.contains("update"), "{failure}");
}

#[test]
fn each_kind_is_understood_with_what_belongs_to_it() {
    let read = |kind: &str, change: fn(&mut ClaimedOperation)| {
        let mut claimed = claimed();
        claimed.kind = kind.into();
        change(&mut claimed);
        understood(&claimed)
    };
    let install = read("Install", |claimed| {
        claimed.source_version = None;
        claimed.language_id = Some("da-DK".into());
    });
    let install = install.unwrap();
    assert_eq!((install.source, install.target), (None, Some(NEW)));
    assert_eq!(install.language_id.as_deref(), Some("da-DK"));
    let uninstall = read("Uninstall", |claimed| {
        claimed.target_version = None;
        claimed.package = None;
        claimed.delete_data = true;
    });
    let uninstall = uninstall.unwrap();
    assert_eq!((uninstall.source, uninstall.target), (Some(OLD), None));
    assert!(uninstall.delete_data);
    assert!(read("Update", |_| {}).is_ok());
    type Change = fn(&mut ClaimedOperation);
    let odd: [(&str, Change); 5] = [
        ("Install", |_| {}),
        ("Uninstall", |_| {}),
        ("Uninstall", |claimed| claimed.target_version = None),
        ("Update", |claimed| claimed.source_version = None),
        ("Hotfix", |claimed| claimed.package = None),
    ];
    for (kind, change) in odd {
        assert!(read(kind, change).is_err(), "{kind}");
    }
}

#[test]
fn whatever_is_not_understood_is_refused() {
    let refused = |change: fn(&mut ClaimedOperation)| {
        let mut claimed = claimed();
        change(&mut claimed);
        understood(&claimed).unwrap_err().to_string()
    };
    let sha = refused(|claimed| claimed.package.as_mut().unwrap().sha256 = "00".into());
    assert!(sha.contains("SHA-256 '00'"), "{sha}");
    assert!(refused(|claimed| claimed.kind = "sh -c reboot".into()).contains("sh -c"));
    assert!(refused(|claimed| claimed.sync_mode = "ForceSync".into()).contains("ForceSync"));
    assert!(refused(|claimed| claimed.target_version = Some("newest".into())).contains("newest"));
}
