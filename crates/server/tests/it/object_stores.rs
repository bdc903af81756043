//! Uploads and downloads where packages are kept in a folder, in Azure Blob Storage's emulator, on an S3 server, and on
//! what speaks as Google Cloud Storage does: the same service for its callers, whatever the location is.

use crate::harness::{
    APP, Backend, Harness, LIBRARY, Person, Plan, base64_of, bytes_of, country_path, package, package_of,
    upload_body,
};
use bytes::Bytes;
use futures::channel::mpsc;
use navx::PackageBuilder;
use serde_json::{Value, json};
use std::io;
use test_support::object_servers::{ObjectServer, ObjectServerKind, TestBucket};

/// Larger than two parts of an upload to an object store.
const LARGE: u64 = 12 * 1024 * 1024;

/// Where a test's service keeps its packages.
#[derive(Clone, Copy)]
enum StoreKind {
    Directory,
    Bucket(ObjectServerKind),
}

const AZURE: StoreKind = StoreKind::Bucket(ObjectServerKind::Azure);
const GOOGLE: StoreKind = StoreKind::Bucket(ObjectServerKind::Google);
const S3: StoreKind = StoreKind::Bucket(ObjectServerKind::S3);

/// Makes tests of each function, one for each store and database.
macro_rules! on_all_stores {
    ($($test:ident),+ $(,)?) => {
        on_all_stores!(@ directory_sqlite, StoreKind::Directory, Backend::Sqlite, $($test),+);
        on_all_stores!(@ directory_postgres, StoreKind::Directory, Backend::Postgres, $($test),+);
        on_all_stores!(@ azure_sqlite, AZURE, Backend::Sqlite, $($test),+);
        on_all_stores!(@ azure_postgres, AZURE, Backend::Postgres, $($test),+);
        on_all_stores!(@ google_sqlite, GOOGLE, Backend::Sqlite, $($test),+);
        on_all_stores!(@ s3_sqlite, S3, Backend::Sqlite, $($test),+);
        on_all_stores!(@ s3_postgres, S3, Backend::Postgres, $($test),+);
    };
    (@ $module:ident, $store:expr, $backend:expr, $($test:ident),+) => {
        mod $module {
            use super::*;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    super::$test(Fixture::start($store, $backend).await).await;
                }
            )+
        }
    };
}

on_all_stores!(
    a_small_and_a_large_package_come_back_as_they_were_sent,
    a_range_is_what_was_asked_for,
    two_countries_share_their_bytes,
    a_refused_package_leaves_nothing,
    a_cut_connection_leaves_nothing,
    equal_uploads_at_the_same_time_all_arrive,
    everything_is_served_after_a_restart,
    a_role_that_is_taken_away_meanwhile_leaves_nothing,
);

/// A service, and where its location 'West Europe' is.
struct Fixture {
    service: Harness,
    bucket: Option<TestBucket>,
}

fn locations(entry: &Value) -> Value {
    json!({ "West Europe": entry })
}

fn plan(backend: Backend, entry: &Value) -> Plan {
    Harness::with(backend).setting("storage.locations", locations(entry))
}

impl Fixture {
    async fn start(store: StoreKind, backend: Backend) -> Self {
        match store {
            StoreKind::Directory => Self {
                service: Harness::start(backend).await,
                bucket: None,
            },
            StoreKind::Bucket(kind) => {
                let bucket = ObjectServer::shared(kind).bucket();
                let service = plan(backend, &bucket.entry("fame")).start().await;
                Self {
                    service,
                    bucket: Some(bucket),
                }
            }
        }
    }

    /// The names of what is kept in `objects` or `staging`.
    async fn keeps(&self, part: &str) -> Vec<String> {
        let names = match &self.bucket {
            Some(bucket) => bucket.keys(&format!("fame/{part}")).await,
            None => {
                let files = match part {
                    "objects" => self.service.stored_packages(),
                    _ => self.service.staged_files(),
                };
                files.iter().map(|path| path.display().to_string()).collect()
            }
        };
        names
            .iter()
            .map(|name| name.rsplit('/').next().unwrap().to_owned())
            .collect()
    }

    async fn until_nothing_is_staged(&self) {
        self.service
            .until("staging is empty", async || {
                self.keeps("staging").await.is_empty()
            })
            .await;
    }

    async fn nothing_is_left(&self) {
        let versions = self.service.owner().get(versions()).await.expect(200).rows();
        assert_eq!(versions, Vec::<Value>::new());
        assert_eq!(self.keeps("objects").await, Vec::<String>::new());
        self.until_nothing_is_staged().await;
    }

    async fn downloads(&self, country: &str, version: &str) -> Vec<u8> {
        let path = country_path(APP, country, &format!("versions/{version}/getPackageContents"));
        self.service.owner().get(path).await.expect(200).body.to_vec()
    }
}

fn versions() -> String {
    country_path(APP, "US", "versions")
}

fn large(version: &str) -> PackageBuilder {
    package(version).payload_bytes(LARGE)
}

async fn a_small_and_a_large_package_come_back_as_they_were_sent(fixture: Fixture) {
    let owner = fixture.service.owner();
    for sent in [package("1.0.0.0"), large("2.0.0.0")] {
        owner.uploads(&sent, "Available").await.expect(200);
    }
    assert!(fixture.downloads("US", "1.0.0.0").await == bytes_of(&package("1.0.0.0")));
    assert!(fixture.downloads("US", "2.0.0.0").await == bytes_of(&large("2.0.0.0")));
    assert_eq!(fixture.keeps("objects").await.len(), 2);
    fixture.until_nothing_is_staged().await;
}

async fn a_range_is_what_was_asked_for(fixture: Fixture) {
    let owner = fixture.service.owner();
    owner.uploads(&large("1.0.0.0"), "Available").await.expect(200);
    let whole = bytes_of(&large("1.0.0.0"));
    let size = whole.len();
    let path = owner.us("versions/1.0.0.0/getPackageContents");
    for (range, expected) in [
        ("bytes=0-0".to_owned(), 0..1),
        ("bytes=-5".to_owned(), size - 5..size),
        ("bytes=5000000-9999999".to_owned(), 5_000_000..10_000_000),
        (format!("bytes={}-", size - 1), size - 1..size),
    ] {
        let part = owner.get(&path).header("range", &range).await.expect(206);
        assert!(part.body == whole[expected], "{range}");
    }
    let beyond = owner.get(&path).header("range", format!("bytes={size}-")).await;
    beyond.refused(416, "RangeNotSatisfiable");
}

async fn two_countries_share_their_bytes(fixture: Fixture) {
    let owner = fixture.service.owner();
    owner.adds_country("DK").await.expect(200);
    for country in ["US", "DK"] {
        owner
            .uploads_to(country, &large("1.0.0.0"), "Preview")
            .await
            .expect(200);
    }
    assert_eq!(fixture.keeps("objects").await.len(), 1);
    assert!(fixture.downloads("DK", "1.0.0.0").await == fixture.downloads("US", "1.0.0.0").await);
    fixture.until_nothing_is_staged().await;
}

async fn a_refused_package_leaves_nothing(fixture: Fixture) {
    let owner = fixture.service.owner();
    for of_another in [
        package_of(LIBRARY, "1.0.0.0"),
        package_of(LIBRARY, "1.0.0.0").payload_bytes(LARGE),
    ] {
        let refused = owner.uploads(&of_another, "Available").await;
        assert_eq!(refused.refused(400, "InvalidPackage").reason(), "AppIdMismatch");
    }
    let whole = bytes_of(&large("1.0.0.0"));
    let half = json!({ "packageContents": base64_of(&whole[..whole.len() - 1000]) });
    owner.post(versions(), half).await.refused(400, "InvalidPackage");
    fixture.nothing_is_left().await;
}

async fn a_cut_connection_leaves_nothing(fixture: Fixture) {
    let body = upload_body(&large("1.0.0.0"), "Available").to_string();
    for sent in [100, body.len() / 2, body.len() - 2] {
        let (chunks, stream) = mpsc::unbounded();
        let owner = fixture.service.owner();
        let answer = tokio::spawn(owner.asks(http::Method::POST, versions()).stream(stream).send());
        chunks
            .unbounded_send(Ok(Bytes::from(body[..sent].to_owned())))
            .unwrap();
        chunks
            .unbounded_send(Err(io::Error::other("the sender gave up")))
            .unwrap();
        assert!(answer.await.unwrap().is_err());
        fixture.nothing_is_left().await;
    }
    fixture.service.owner().has_uploaded("1.0.0.0").await;
}

async fn equal_uploads_at_the_same_time_all_arrive(fixture: Fixture) {
    let owner = fixture.service.owner();
    let countries = ["US", "DK", "AT", "DE"];
    for country in &countries[1..] {
        owner.adds_country(country).await.expect(200);
    }
    let package = package("1.0.0.0").payload_bytes(6 * 1024 * 1024);
    let uploads = countries.map(|country| async {
        let owner = fixture.service.owner();
        owner.uploads_to(country, &package, "Available").await.expect(200);
        assert!(fixture.downloads(country, "1.0.0.0").await == bytes_of(&package));
    });
    futures::future::join_all(uploads).await;
    assert_eq!(fixture.keeps("objects").await.len(), 1);
    fixture.until_nothing_is_staged().await;
}

async fn everything_is_served_after_a_restart(fixture: Fixture) {
    fixture
        .service
        .owner()
        .uploads(&large("1.0.0.0"), "Available")
        .await
        .expect(200);
    let Fixture { service, bucket } = fixture;
    let fixture = Fixture {
        service: service.restart().await,
        bucket,
    };
    assert!(fixture.downloads("US", "1.0.0.0").await == bytes_of(&large("1.0.0.0")));
    let again = fixture
        .service
        .owner()
        .uploads(&large("1.0.0.0"), "Available")
        .await;
    assert_eq!(again.refused(409, "ResourceExists").reason(), "IdenticalContent");
    fixture.until_nothing_is_staged().await;
}

async fn a_role_that_is_taken_away_meanwhile_leaves_nothing(fixture: Fixture) {
    let service = &fixture.service;
    let body = upload_body(&package("1.0.0.0"), "Available").to_string();
    let (chunks, stream) = mpsc::unbounded();
    let contributor = service.contributor();
    let answer = tokio::spawn(
        contributor
            .asks(http::Method::POST, versions())
            .stream(stream)
            .send(),
    );
    chunks
        .unbounded_send(Ok(Bytes::from(body[..body.len() - 1].to_owned())))
        .unwrap();
    service
        .owner()
        .grants(&Person::CONTRIBUTOR, &["Reader"])
        .await
        .expect(200);
    chunks.unbounded_send(Ok(Bytes::from_static(b"}"))).unwrap();
    drop(chunks);
    assert_eq!(answer.await.unwrap().unwrap().status, 403);
    fixture.nothing_is_left().await;
}
