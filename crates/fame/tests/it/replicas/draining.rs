//! Asked to stop, an executor takes nothing on any more and ends what it is at.

use super::{Fleet, hotfixes_path};
use crate::services::{APPS, Database, Environment, Site, eventually, package};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_operation_is_left_without_an_outcome() {
    const SLOTS: usize = 6;
    let site = Site::on(Database::Postgres).with("executor.slots", SLOTS);
    let mut fleet = Fleet::start_on(site, 1).await;
    fleet.has_uploaded(APPS[0], "US", &package(APPS[0], 1)).await;
    for index in 0..2 * SLOTS {
        let environment = Environment::new(format!("customer-{index}"), "US");
        fleet.has_reported(&environment).await;
        let owner = fleet.owner(0);
        let path = hotfixes_path(APPS[0], "US");
        owner
            .post(&path, &environment.hotfix("1.0.1.0"))
            .await
            .unwrap()
            .expect(200);
    }
    eventually("its hands are full", async || {
        let running = fleet
            .books
            .rows("SELECT id FROM operations WHERE status = 'Running'")
            .await;
        (running.len() == SLOTS).then_some(())
    })
    .await;
    let mut stopping = fleet.replicas.remove(0);
    stopping.signal("TERM");
    fleet.start_another().await;
    assert_eq!(stopping.ended().await.code(), Some(0), "{}", stopping.log_tail());
    let ended = fleet.until_all_have_ended().await;
    let unsuccessful: Vec<_> = ended.iter().filter(|row| row[1] != "Succeeded").collect();
    assert!(unsuccessful.is_empty(), "{unsuccessful:?}");
}
