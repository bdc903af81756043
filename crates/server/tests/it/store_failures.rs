//! Object stores that are away, let nobody in, or lost something: what callers are told, and that it passes.

use crate::harness::{
    APP, Backend, Harness, Plan, bytes_of, country_path, on_both_databases, package, upload_body,
};
use bytes::Bytes;
use futures::channel::mpsc;
use navx::PackageBuilder;
use object_store::{ObjectStoreExt, path::Path as Key};
use serde_json::{Value, json};
use std::{
    fs::File,
    time::{Duration, Instant},
};
use test_support::object_servers::{ObjectServer, ObjectServerKind};
use test_support::postgres_cluster::{self, query};

on_both_databases!(
    azure_may_be_away_for_a_while,
    s3_may_be_away_for_a_while,
    a_store_that_goes_during_an_upload_leaves_nothing_half_done,
    a_store_that_is_away_keeps_nobody_from_starting,
    readiness_names_the_location_that_lets_nobody_in,
    what_a_crash_left_in_staging_goes_at_a_start_when_it_is_old,
    a_package_that_the_store_lost_is_a_fault_of_ours,
);

const KINDS: [ObjectServerKind; 2] = [ObjectServerKind::Azure, ObjectServerKind::S3];

fn plan(backend: Backend, west_europe: &Value) -> Plan {
    let folder = json!({ "directory": "{data_dir}/packages/north-europe" });
    let locations = json!({ "West Europe": west_europe, "North Europe": folder });
    Harness::with(backend).setting("storage.locations", locations)
}

fn versions() -> String {
    country_path(APP, "US", "versions")
}

/// More than two parts of an upload to an object store.
fn large(version: &str) -> PackageBuilder {
    package(version).payload_bytes(12 * 1024 * 1024)
}

async fn azure_may_be_away_for_a_while(backend: Backend) {
    may_be_away_for_a_while(ObjectServerKind::Azure, backend).await;
}

async fn s3_may_be_away_for_a_while(backend: Backend) {
    may_be_away_for_a_while(ObjectServerKind::S3, backend).await;
}

async fn may_be_away_for_a_while(kind: ObjectServerKind, backend: Backend) {
    let mut server = ObjectServer::start(kind);
    let bucket = server.bucket();
    let service = plan(backend, &bucket.entry("fame")).start().await;
    let owner = service.owner();
    owner.has_uploaded("1.0.0.0").await;
    let path = owner.us("versions/1.0.0.0/getPackageContents");

    server.end();
    for sent in [package("2.0.0.0"), large("2.0.0.0")] {
        let refused = owner
            .uploads(&sent, "Available")
            .await
            .refused(503, "ServiceUnavailable");
        assert!(!refused.header("retry-after").is_empty(), "{refused:?}");
    }
    let refused = owner.get(&path).await.refused(503, "ServiceUnavailable");
    assert!(!refused.header("retry-after").is_empty(), "{refused:?}");
    let unready = service.nobody().get("/health/ready").await.expect(200);
    assert_eq!(unready.property("status"), "degraded");
    assert_eq!(
        unready.json()["locations"],
        json!({ "North Europe": "available", "West Europe": "unavailable" })
    );
    service.nobody().get("/health/live").await.expect(200);

    server.begin();
    owner.has_uploaded("2.0.0.0").await;
    owner.uploads(&large("3.0.0.0"), "Available").await.expect(200);
    assert_eq!(
        owner.get(&path).await.expect(200).body,
        bytes_of(&package("1.0.0.0"))
    );
    service
        .until("the service is ready again", async || {
            service.nobody().get("/health/ready").await.property("status") == "ready"
        })
        .await;
    assert_eq!(bucket.keys("fame/objects").await.len(), 3);
}

async fn a_store_that_goes_during_an_upload_leaves_nothing_half_done(backend: Backend) {
    let mut server = ObjectServer::start(ObjectServerKind::S3);
    let bucket = server.bucket();
    let service = plan(backend, &bucket.entry("fame")).start().await;
    let owner = service.owner();
    let body = upload_body(&large("1.0.0.0"), "Available").to_string();
    let (chunks, stream) = mpsc::unbounded();
    let answer = tokio::spawn(owner.asks(http::Method::POST, versions()).stream(stream).send());
    let half = body.len() / 2;
    chunks
        .unbounded_send(Ok(Bytes::from(body[..half].to_owned())))
        .unwrap();
    // s3s-fs keeps the parts of an upload as files beside the buckets.
    let parts = bucket.folder().parent().unwrap();
    service
        .until("a part has arrived", async || {
            std::fs::read_dir(parts).unwrap().count() > 2
        })
        .await;
    server.end();
    chunks
        .unbounded_send(Ok(Bytes::from(body[half..].to_owned())))
        .unwrap();
    drop(chunks);
    answer.await.unwrap().unwrap().refused(503, "ServiceUnavailable");
    server.begin();
    assert_eq!(
        owner.get(versions()).await.expect(200).rows(),
        Vec::<Value>::new()
    );
    owner.uploads(&large("1.0.0.0"), "Available").await.expect(200);
    assert_eq!(bucket.keys("fame/objects").await.len(), 1);
    service
        .until("staging is empty", async || {
            bucket.keys("fame/staging").await.is_empty()
        })
        .await;
}

async fn a_store_that_is_away_keeps_nobody_from_starting(backend: Backend) {
    let mut server = ObjectServer::start(ObjectServerKind::S3);
    let bucket = server.bucket();
    let service = plan(backend, &bucket.entry("")).start().await;
    let left = service.location("North Europe").join("staging/left-behind");
    std::fs::write(&left, "half").unwrap();
    server.end();
    let service = service.restart().await;
    // On SQLite a start knows that it is alone, and need not wait until what is left is old.
    assert_eq!(left.exists(), backend == Backend::Postgres);
    let unready = service.nobody().get("/health/ready").await.expect(200);
    assert_eq!(unready.json()["locations"]["West Europe"], "unavailable");
    server.begin();
    service.owner().has_uploaded("1.0.0.0").await;
}

async fn readiness_names_the_location_that_lets_nobody_in(backend: Backend) {
    for kind in KINDS {
        let bucket = ObjectServer::shared(kind).bucket();
        let (entry, wrong) = bucket.entry_with_wrong_key("fame");
        let service = plan(backend, &entry).start().await;
        let unready = service.nobody().get("/health/ready").await.expect(200);
        assert_eq!(
            unready.json()["locations"],
            json!({ "North Europe": "available", "West Europe": "unavailable" })
        );
        let refused = service
            .owner()
            .uploads(&package("1.0.0.0"), "Available")
            .await
            .refused(503, "ServiceUnavailable");
        assert!(!format!("{unready:?} {refused:?}").contains(&wrong));
    }
}

async fn what_a_crash_left_in_staging_goes_at_a_start_when_it_is_old(backend: Backend) {
    let bucket = ObjectServer::shared(ObjectServerKind::S3).bucket();
    let service = plan(backend, &bucket.entry("fame")).start().await;
    for name in ["old", "young"] {
        let key = Key::from(format!("fame/staging/{name}"));
        bucket.client().put(&key, "half".into()).await.unwrap();
    }
    let old = File::options()
        .write(true)
        .open(bucket.folder().join("fame/staging/old"))
        .unwrap();
    let now = old.metadata().unwrap().modified().unwrap();
    old.set_modified(now - Duration::from_secs(2 * 24 * 60 * 60))
        .unwrap();
    let service = service.restart().await;
    service
        .until("the young one is left alone", async || {
            bucket.keys("fame/staging").await == ["fame/staging/young"]
        })
        .await;
}

/// What is left to be removed there stays, for as long as it takes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_away_delays_neither_a_start_nor_a_stop() {
    let mut server = ObjectServer::start(ObjectServerKind::S3);
    let bucket = server.bucket();
    let url = postgres_cluster::database_url();
    let service = plan(Backend::Postgres, &bucket.entry("fame"))
        .on_database(&url)
        .start()
        .await;
    service.owner().has_uploaded("1.0.0.0").await;
    query(&url, "UPDATE versions SET status = 'UploadFailed'").await;
    query(&url, "UPDATE blobs SET changed_on = 0").await;
    server.end();
    let begun = Instant::now();
    let service = service.restart().await;
    service
        .until("its removal has begun", async || {
            query(&url, "SELECT state FROM blobs").await.as_deref() == Some("deleting")
        })
        .await;
    let service = service.restart().await;
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    // While it runs it may begin once more, and the removal be young again.
    let stopped = service.crash().await;
    server.begin();
    query(&url, "UPDATE blobs SET changed_on = 0").await;
    let service = stopped.start().await;
    service
        .until("it is removed", async || {
            bucket.keys("fame/objects").await.is_empty()
        })
        .await;
}

async fn a_package_that_the_store_lost_is_a_fault_of_ours(backend: Backend) {
    for kind in KINDS {
        let bucket = ObjectServer::shared(kind).bucket();
        let service = plan(backend, &bucket.entry("fame")).start().await;
        let owner = service.owner();
        owner.has_uploaded("1.0.0.0").await;
        for key in bucket.keys("fame/objects").await {
            bucket.client().delete(&Key::from(key)).await.unwrap();
        }
        let path = owner.us("versions/1.0.0.0/getPackageContents");
        let lost = owner.get(path).await.expect(500);
        assert!(!lost.has_header("retry-after"), "{lost:?}");
        assert!(!lost.header("ms-correlation-x").is_empty());
    }
}
