//! Sweeping what a crash left behind.

use crate::harness::{APP, Backend, Harness, bytes_of, package_of};
use futures::future::join_all;
use std::time::Duration;
use test_support::{
    postgres_cluster::{PostgresCluster, query},
    postgres_proxy::{Moment, PostgresProxy},
};

/// After how long what is left behind counts as old, and a little more.
const GRACE: Duration = Duration::from_secs(901);
/// Commits of a sweep that finds one thing of each kind.
const SWEEP: std::ops::RangeInclusive<usize> = 1..=4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_crash_left_is_swept_in_spite_of_cuts() {
    let postgres = PostgresCluster::start();
    let cases = SWEEP.flat_map(|nth| Moment::BOTH.map(|moment| (nth, moment)));
    join_all(cases.map(|(nth, moment)| sweeps(&postgres, nth, moment))).await;
}

async fn sweeps(postgres: &PostgresCluster, nth: usize, moment: Moment) {
    let what = format!("commit {nth} cut {moment:?}");
    let proxy = PostgresProxy::to(postgres).await;
    let database = postgres.new_database().await;
    let service = Harness::with(Backend::Postgres)
        .on_database(&proxy.url_of(&database))
        .without_simulator()
        .setting("storage.sweep_seconds", 1)
        .start()
        .await;
    let owner = service.owner();
    owner.has_uploaded("1.0.0.0").await;
    let url = postgres.url_of(&database);
    proxy.cut(nth, moment);
    let left_behind = "
        UPDATE versions SET status = 'Uploading', uploaded_on = 0;
        UPDATE blobs SET state = 'storing', changed_on = 0;
        INSERT INTO idempotency_keys
        VALUES ('somebody', 'POST', 'somewhere', 'a key', '\\x00', gen_random_uuid(), 0)";
    query(&url, left_behind).await;
    let left = "SELECT (SELECT COUNT(*) FROM versions WHERE status = 'Uploading')
                     + (SELECT COUNT(*) FROM blobs) + (SELECT COUNT(*) FROM idempotency_keys)";
    service
        .until(&format!("all is swept ({what})"), async || {
            // What was marked before the cut is looked at again when it is old.
            service.advances_as_far_as_possible(GRACE).await;
            proxy.was_cut() && query(&url, left).await.as_deref() == Some("0")
        })
        .await;
    proxy.release();
    let again = package_of(APP, "1.0.0.0");
    owner.uploads(&again, "Available").await.expect(200);
    let path = owner.us("versions/1.0.0.0/getPackageContents");
    assert!(
        owner.get(path).await.expect(200).body == bytes_of(&again),
        "{what}"
    );
}
