//! Work is carried out once, by whichever replica is free.

use super::{Fleet, OPERATIONS, closed_window, hotfixes_path};
use crate::services::{
    APPS, AuditTrail, COUNTRIES, Database, Environment, Person, Site, eventually, package, plain_id,
};
use serde_json::json;
use std::collections::BTreeSet;

/// Environments in the test of exactly once; each gets a hotfix of every app.
const ENVIRONMENTS: usize = 72;

impl Fleet {
    /// Uploads version 1.0.1.0 of every app for every country.
    async fn has_targets(&self) {
        for app in APPS {
            let package = package(app, 1);
            for country in COUNTRIES {
                self.has_uploaded(app, country, &package).await;
            }
        }
    }

    /// Schedules a hotfix of the app of that index; its id.
    async fn has_scheduled(&self, replica: usize, app: usize, environment: &Environment) -> String {
        let path = hotfixes_path(APPS[app], environment.country);
        let made = self
            .owner(replica)
            .post(&path, &environment.hotfix("1.0.1.0"))
            .await;
        plain_id(&made.unwrap().expect(200).property("id"))
    }

    /// What the audit says of all operations must be possible.
    async fn history_is_possible(&self) {
        let [audit, operations, installed] = self
            .books
            .snapshot([
                AuditTrail::QUERY,
                OPERATIONS,
                "SELECT e.name, i.app_id, i.version FROM installations i JOIN environments e ON e.id = i.environment_id",
            ])
            .await;
        let trail = AuditTrail::read(&audit);
        let wrong = [
            trail.check_operations(&operations),
            trail.check_installed(&installed),
        ]
        .concat();
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    async fn running(&self) -> BTreeSet<String> {
        let rows = self
            .books
            .rows("SELECT id FROM operations WHERE status = 'Running'")
            .await;
        rows.into_iter().map(|row| row[0].clone()).collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_operation_is_carried_out_once() {
    let site = Site::on(Database::Postgres)
        .with("executor.slots", 24)
        // Nobody may be taken for lost because the machine is busy.
        .with("executor.lease_seconds", 60);
    let fleet = Fleet::start_on(site, super::REPLICAS).await;
    fleet.has_targets().await;
    let mut scheduled = 0;
    for index in 0..ENVIRONMENTS {
        let environment = Environment::new(format!("customer-{index}"), COUNTRIES[index % COUNTRIES.len()]);
        fleet.has_reported(&environment).await;
        for app in 0..APPS.len() {
            fleet
                .has_scheduled(scheduled % super::REPLICAS, app, &environment)
                .await;
            scheduled += 1;
        }
    }
    let operations = fleet.until_all_have_ended().await;
    assert_eq!(operations.len(), scheduled);
    let unsuccessful: Vec<_> = operations.iter().filter(|row| row[1] != "Succeeded").collect();
    assert!(unsuccessful.is_empty(), "{unsuccessful:?}");
    fleet.history_is_possible().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_without_free_hands_leaves_work_to_others() {
    let idle = Site::on(Database::Postgres).with("executor.kind", "\"none\"");
    let mut fleet = Fleet::start_on(idle, 1).await;
    fleet.has_targets().await;
    let (open, mut closed) = (Environment::new("open", "US"), Environment::new("closed", "US"));
    closed.window = closed_window();
    fleet.has_reported(&open).await;
    fleet.has_reported(&closed).await;
    let waits = hotfixes_path(APPS[0], "US");
    let mut body = closed.hotfix("1.0.1.0");
    body["ignoreUpgradeWindow"] = json!(false);
    let waits = fleet.owner(0).post(&waits, &body).await.unwrap().expect(200);
    fleet.site = fleet.site.with("executor.kind", "\"simulate\"");
    fleet.start_another().await;
    for app in 0..APPS.len() {
        fleet.has_scheduled(0, app, &open).await;
    }
    eventually("the other replica has done the work", async || {
        let rows = fleet
            .books
            .rows("SELECT status FROM operations WHERE environment_name = 'open'")
            .await;
        rows.iter().all(|row| row[0] == "Succeeded").then_some(())
    })
    .await;
    let path = format!("{}/{}", hotfixes_path(APPS[0], "US"), waits.property("id"));
    for caller in fleet.everywhere(&Person::OWNER) {
        let waits = caller.get(&path).await.unwrap().expect(200);
        assert_eq!(
            waits.property("status"),
            "Scheduled",
            "its window is closed: {waits}"
        );
    }
    fleet.history_is_possible().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_was_away_for_longer_than_its_lease_changes_nothing() {
    const SLOTS: usize = 4;
    let site = Site::on(Database::Postgres).with("executor.slots", SLOTS);
    let mut fleet = Fleet::start_on(site, 1).await;
    fleet.has_targets().await;
    for index in 0..3 * SLOTS {
        let environment = Environment::new(format!("customer-{index}"), "US");
        fleet.has_reported(&environment).await;
        fleet.has_scheduled(0, 0, &environment).await;
    }
    eventually("its hands are full", async || {
        (fleet.running().await.len() == SLOTS).then_some(())
    })
    .await;
    fleet.replicas[0].signal("STOP");
    let lost = fleet.running().await;
    assert!(!lost.is_empty());
    fleet.start_another().await;
    let ended = fleet.until_all_have_ended().await;
    check_lost(&ended, &lost);
    fleet.replicas[0].signal("CONT");
    let awake = fleet.replicas[0].until_readiness_is(200).await;
    assert_eq!(awake["database"], "available");
    // It works again like the other: takes on what is new, and leaves alone what was taken from it.
    let environment = Environment::new("customer-new", "DE");
    fleet.has_reported(&environment).await;
    fleet.has_scheduled(0, 0, &environment).await;
    let ended = fleet.until_all_have_ended().await;
    check_lost(&ended, &lost);
    fleet.history_is_possible().await;
}

/// The lost operations have failed, because nobody knows; all others have succeeded.
fn check_lost(operations: &[Vec<String>], lost: &BTreeSet<String>) {
    for row in operations {
        let expected = if lost.contains(&row[0]) {
            ("Failed", "OutcomeUnknown")
        } else {
            ("Succeeded", "")
        };
        assert_eq!((row[1].as_str(), row[6].as_str()), expected, "{row:?}");
    }
}
