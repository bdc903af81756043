//! Hotfixes as an agent carries them out: claims, reports, renewals and lost leases.

use super::trial::MANY;
use crate::harness::{APP, Answer, Backend, Environment, Harness};
use agent::drivers::simulate::Settings as Simulated;
use serde_json::{Value, json};
use std::time::Duration;
use test_support::{
    postgres_cluster::PostgresCluster,
    postgres_proxy::{Moment, PostgresProxy},
};

/// Environments in which all goes well, one in which work outlasts its lease, and one whose agent falls silent.
const QUICK: [&str; 3] = ["Quick1", "Quick2", "Quick3"];
const LONG: &str = "Long";
const SILENT: &str = "Silent";

fn named(name: &str) -> Environment {
    Environment::named(name).has(APP, "1.0.0.0")
}

/// A service with an agent, behind a proxy of its own to a database of its own, and hotfixes that are due in a minute.
struct Work {
    proxy: PostgresProxy,
    service: Harness,
    hotfixes: Vec<(&'static str, Answer)>,
    what: String,
}

impl Work {
    async fn prepare(postgres: &PostgresCluster, nth: usize, moment: Moment) -> Self {
        let proxy = PostgresProxy::to(postgres).await;
        let url = proxy.url_of(&postgres.new_database().await);
        let service = Harness::with(Backend::Postgres)
            .on_database(&url)
            .setting("executor.poll_seconds", 1)
            .simulated(&named(LONG), Simulated::lasting(Duration::from_secs(400)))
            .simulated(&named(SILENT), Simulated::silent())
            .start()
            .await;
        service.owner().has_uploaded("1.0.0.1").await;
        let mut hotfixes = Vec::new();
        for name in QUICK.into_iter().chain([LONG, SILENT]) {
            let environment = named(name);
            service.operator().reports(&environment).await.expect(201);
            let mut body = environment.hotfix("1.0.0.1");
            body["ignoreUpgradeWindow"] = json!(true);
            body["runAfter"] = json!("2020-03-05T12:01:00Z");
            let path = service.owner().us("environmentHotfixes");
            let hotfix = service.owner().post(path, body).await.expect(200);
            hotfixes.push((name, hotfix));
        }
        service.catches_up().await;
        proxy.cut(nth, moment);
        Self {
            proxy,
            service,
            hotfixes,
            what: format!("commit {nth} cut {moment:?}"),
        }
    }

    async fn advances(&self, steps: usize, seconds: u64) {
        for _ in 0..steps {
            let span = Duration::from_secs(seconds);
            self.service.advances_as_far_as_possible(span).await;
        }
    }

    async fn check(&self, name: &str, expected: &str) {
        let (_, hotfix) = self.hotfixes.iter().find(|(of, _)| *of == name).unwrap();
        let shown = self.service.reader().looks_at(hotfix).await;
        assert_eq!(
            shown.property("status"),
            expected,
            "{}: {name}: {}",
            self.what,
            shown.text()
        );
    }

    /// What is wanted has been done once, and each change is recorded once.
    async fn check_history(&self) {
        let operator = self.service.operator();
        let rows = operator.get("/operator/v1/audit").await.expect(200).rows();
        for (name, hotfix) in &self.hotfixes {
            let id = hotfix.property("id");
            let count = |action: &str| {
                let is_it = |row: &&Value| {
                    row["action"] == action && row["target"].as_str().unwrap().ends_with(id.as_str())
                };
                rows.iter().filter(is_it).count()
            };
            let counts = ["operations/start", "operations/end", "operations/lateReport"].map(count);
            assert_eq!(counts, [1, 1, 0], "{}: {name}", self.what);
            let shown = operator.get(named(name).operator_path()).await.expect(200);
            let expected = if *name == SILENT { "1.0.0.0" } else { "1.0.0.1" };
            assert_eq!(
                shown.json()["apps"][0]["version"],
                expected,
                "{}: {name}",
                self.what
            );
            assert_eq!(
                shown.json()["heldSince"].is_string(),
                *name == SILENT,
                "{}: {name}",
                self.what
            );
        }
    }
}

/// Lets all hotfixes happen with the `nth` commit cut; whether there was one.
async fn carries_out(postgres: &PostgresCluster, nth: usize, moment: Moment) -> bool {
    let work = Work::prepare(postgres, nth, moment).await;
    work.advances(1, 60).await;
    work.advances(6, 5).await;
    for name in QUICK {
        work.check(name, "Succeeded").await;
    }
    work.advances(25, 20).await;
    let was_cut = work.proxy.release();
    work.advances(2, 1).await;
    work.check(LONG, "Succeeded").await;
    work.check(SILENT, "Failed").await;
    work.check_history().await;
    was_cut
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hotfixes_of_which_a_claim_was_in_doubt_are_carried_out_all_the_same() {
    let postgres = PostgresCluster::start();
    for moment in Moment::BOTH {
        assert!(carries_out(&postgres, 1, moment).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reports_renewals_and_lost_leases_are_written_down_once() {
    let postgres = PostgresCluster::start();
    for moment in Moment::BOTH {
        for nth in 2.. {
            assert!(nth < MANY, "the work never gets through uncut");
            if !carries_out(&postgres, nth, moment).await {
                assert!(
                    nth > 4,
                    "a claim, a report, a renewal and a lost lease are commits"
                );
                break;
            }
        }
    }
}
