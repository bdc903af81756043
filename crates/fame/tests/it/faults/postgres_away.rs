//! PostgreSQL is away. What happens under load while it comes and goes is tried among the crashes.

use super::{download, report, upload, upload_until_it_works};
use crate::services::{APPS, Environment, PostgresCluster, Process, Site, fill, package};

/// A service on a server of its own.
pub(super) async fn start(site: impl FnOnce(Site) -> Site) -> (PostgresCluster, Site, Process) {
    let cluster = PostgresCluster::start();
    let site = site(Site::in_cluster(&cluster));
    let process = site.start(0).await;
    fill(&process.operator(), &process.owner()).await;
    (cluster, site, process)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_away_is_said_and_survived() {
    let (mut cluster, _site, mut process) = start(|site| site).await;
    let (owner, operator) = (process.owner(), process.operator());
    let environment = Environment::new("customer", "US");
    report(&process, &environment, "before").await.expect(201);
    upload(&owner, APPS[0], &package(APPS[0], 1))
        .await
        .unwrap()
        .expect(200);
    for round in 1..=2 {
        cluster.stop();
        owner.get("/v1.4/apps").await.unwrap().expect_unavailable();
        report(&process, &environment, "while it is away")
            .await
            .expect_unavailable();
        let refused = upload(&owner, APPS[0], &package(APPS[0], 2)).await;
        refused.unwrap().expect_unavailable();
        download(&owner, APPS[0], 1).await.expect_unavailable();
        let health = process.until_readiness_is(503).await;
        assert_eq!(
            (&health["database"], &health["storage"]),
            (&"unavailable".into(), &"available".into())
        );
        operator.get("/health/live").await.unwrap().expect(200);

        cluster.start_again();
        process.until_readiness_is(200).await;
        let shown = operator.get(&environment.path()).await.unwrap().expect(200);
        assert_ne!(
            shown.property("locationName"),
            "while it is away",
            "what was refused is not done"
        );
        report(&process, &environment, &format!("after round {round}"))
            .await
            .expect(200);
    }
    upload_until_it_works(&owner, APPS[0], &package(APPS[0], 2)).await;
    for number in [1, 2] {
        let contents = download(&owner, APPS[0], number).await.expect(200);
        assert!(contents.body == package(APPS[0], number), "version {number}");
    }
    assert!(process.is_running());
}
