//! Asked to stop, an agent takes nothing on any more and ends what it is at.

use super::Fleet;
use crate::services::{APPS, AgentHost, Database, Environment, Site, eventually, package};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_operation_is_left_without_an_outcome() {
    const PARALLEL: usize = 6;
    let fleet = Fleet::start_on(Site::on(Database::Postgres), 1).await;
    fleet.has_uploaded(APPS[0], "US", &package(APPS[0], 1)).await;
    let environments: Vec<_> = (0..2 * PARALLEL)
        .map(|index| Environment::new(format!("customer-{index}"), "US"))
        .collect();
    let mut host = AgentHost::starts(&fleet.replicas[0], &environments, PARALLEL).await;
    fleet.knows(&environments).await;
    for environment in &environments {
        fleet.has_scheduled(0, 0, environment).await;
    }
    eventually("its hands are full", async || {
        (fleet.running().await.len() == PARALLEL).then_some(())
    })
    .await;
    host.signal("TERM");
    assert_eq!(host.ended().await.code(), Some(0), "{}", host.log());
    assert_eq!(fleet.running().await.len(), 0);
    host.runs();
    let ended = fleet.until_all_have_ended().await;
    let unsuccessful: Vec<_> = ended.iter().filter(|row| row[1] != "Succeeded").collect();
    assert!(unsuccessful.is_empty(), "{unsuccessful:?}");
}
