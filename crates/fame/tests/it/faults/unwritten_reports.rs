//! Work ends while PostgreSQL is away, so that nobody can write down what became of it.

use super::{postgres_away::start, upload};
use crate::services::{APPS, AgentHost, Books, Environment, Site, eventually, package};
use domain::instant::Instant;
use server::clock::Clock;
use std::time::Duration;

/// What work in an environment takes at most.
const LONGEST_WORK: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_became_of_work_is_told_when_the_database_is_back() {
    const PARALLEL: usize = 6;
    let patient = |site: Site| site.with("executor.lease_seconds", 60);
    let (mut cluster, site, process) = start(patient).await;
    let (books, owner) = (Books::of(&site), process.owner());
    upload(&owner, APPS[0], &package(APPS[0], 1))
        .await
        .unwrap()
        .expect(200);
    let environments: Vec<_> = (0..PARALLEL)
        .map(|index| Environment::new(format!("customer-{index}"), "US"))
        .collect();
    let _agent = AgentHost::starts(&process, &environments, PARALLEL).await;
    eventually("all environments are known", async || {
        let known = books.rows("SELECT name FROM environments").await;
        (known.len() == PARALLEL).then_some(())
    })
    .await;
    for environment in &environments {
        let path = format!("/v1.4/apps/{}/countries/US/environmentHotfixes", APPS[0]);
        owner
            .post(&path, &environment.hotfix("1.0.1.0"))
            .await
            .unwrap()
            .expect(200);
    }
    let running = eventually("all have started", async || {
        let running = books
            .rows("SELECT started_on FROM operations WHERE status = 'Running'")
            .await;
        (running.len() == PARALLEL).then_some(running)
    })
    .await;
    cluster.stop();
    let last_start = running.iter().map(|row| row[0].parse().unwrap()).max();
    let end = Instant(last_start.unwrap()) + LONGEST_WORK;
    let clock = Clock::system();
    eventually("all work has ended while nobody can write it down", async || {
        (clock.now() > end).then_some(())
    })
    .await;
    cluster.start_again();
    process.until_readiness_is(200).await;
    let ended = eventually("all have ended", async || {
        let rows = books.rows("SELECT status, reason FROM operations").await;
        (rows.iter().all(|row| row[0] != "Running")).then_some(rows)
    })
    .await;
    assert!(ended.iter().all(|row| row[0] == "Succeeded"), "{ended:?}");
}
