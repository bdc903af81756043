//! Work is carried out once, whichever replica gives it out.

use super::{Fleet, OPERATIONS, hotfixes_path};
use crate::services::{
    APPS, AgentHost, AuditTrail, COUNTRIES, Database, Environment, Site, eventually, package, plain_id,
};
use std::collections::BTreeSet;

/// Environments in the test of exactly once; each gets a hotfix of every app.
const ENVIRONMENTS: usize = 72;
/// Operations that one agent carries out at the same time.
const PARALLEL: usize = 24;

impl Fleet {
    /// Waits until an agent has reported these environments.
    pub(super) async fn knows(&self, environments: &[Environment]) {
        for environment in environments {
            eventually("an environment is known", async || {
                let found = self.operator(0).get(&environment.path()).await.unwrap();
                (found.status == 200).then_some(())
            })
            .await;
        }
    }

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
    pub(super) async fn has_scheduled(
        &self,
        replica: usize,
        app: usize,
        environment: &Environment,
    ) -> String {
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

    pub(super) async fn running(&self) -> BTreeSet<String> {
        let rows = self
            .books
            .rows("SELECT id FROM operations WHERE status = 'Running'")
            .await;
        rows.into_iter().map(|row| row[0].clone()).collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_operation_is_carried_out_once() {
    // Nobody may be taken for lost because the machine is busy.
    let site = Site::on(Database::Postgres).with("executor.lease_seconds", 60);
    let fleet = Fleet::start_on(site, super::REPLICAS).await;
    fleet.has_targets().await;
    let environments: Vec<_> = (0..ENVIRONMENTS)
        .map(|index| Environment::new(format!("customer-{index}"), COUNTRIES[index % COUNTRIES.len()]))
        .collect();
    let mut agents = Vec::new();
    for (served, replica) in environments
        .chunks(ENVIRONMENTS / super::REPLICAS)
        .zip(&fleet.replicas)
    {
        agents.push(AgentHost::starts(replica, served, PARALLEL).await);
    }
    fleet.knows(&environments).await;
    let mut scheduled = 0;
    for environment in &environments {
        for app in 0..APPS.len() {
            fleet
                .has_scheduled(scheduled % super::REPLICAS, app, environment)
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
async fn an_agent_that_was_away_for_longer_than_its_lease_changes_nothing() {
    const BUSY: usize = 4;
    let fleet = Fleet::start_on(Site::on(Database::Postgres), 1).await;
    fleet.has_targets().await;
    let environments: Vec<_> = (0..3 * BUSY)
        .map(|index| Environment::new(format!("customer-{index}"), "US"))
        .collect();
    let (spare, environments) = environments.split_last().unwrap();
    let all = [environments, std::slice::from_ref(spare)].concat();
    let host = AgentHost::starts(&fleet.replicas[0], &all, BUSY).await;
    fleet.knows(&all).await;
    for environment in environments {
        fleet.has_scheduled(0, 0, environment).await;
    }
    eventually("its hands are full", async || {
        (fleet.running().await.len() == BUSY).then_some(())
    })
    .await;
    host.signal("STOP");
    let lost = fleet.running().await;
    assert!(!lost.is_empty());
    eventually("its leases have run out", async || {
        fleet.running().await.is_empty().then_some(())
    })
    .await;
    host.signal("CONT");
    check_lost(&fleet.until_all_have_ended().await, &lost);
    // It works again like any other: takes on what is new, and leaves alone what was taken from it.
    fleet.has_scheduled(0, 0, spare).await;
    check_lost(&fleet.until_all_have_ended().await, &lost);
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
