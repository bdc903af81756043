//! What every location does: on a folder, on Azure Blob Storage's emulator, on an S3 server, and on what speaks as
//! Google Cloud Storage does.

use super::*;
use crate::config::Sources;
use futures::TryStreamExt;
use serde_json::{Value, json};
use std::io::{Read, Seek, SeekFrom};
use test_support::object_servers::{ObjectServer, ObjectServerKind, TestBucket};

/// More than two parts, and no multiple of any size that anything is cut into.
const LARGE: usize = 2 * bucket::PART_BYTES + 777_777;

/// A location, and what holds its bytes.
struct Fixture {
    location: StorageLocation,
    holder: Holder,
}

enum Holder {
    Folder(tempfile::TempDir),
    Bucket(TestBucket),
}

impl Fixture {
    fn folder() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let location = open(json!({ "directory": folder.path().join("west europe") })).unwrap();
        Self {
            location,
            holder: Holder::Folder(folder),
        }
    }

    fn bucket(kind: ObjectServerKind) -> Self {
        let bucket = ObjectServer::shared(kind).bucket();
        Self {
            location: open(bucket.entry("some/prefix")).unwrap(),
            holder: Holder::Bucket(bucket),
        }
    }

    /// What is kept in `staging` or `objects`, by the names under it.
    async fn names(&self, part: &str) -> Vec<String> {
        let names = match &self.holder {
            Holder::Folder(folder) => files(&folder.path().join("west europe").join(part)),
            Holder::Bucket(bucket) => bucket.keys(&format!("some/prefix/{part}")).await,
        };
        let under = format!("/{part}/");
        names
            .iter()
            .map(|name| name.split_once(&under).unwrap().1.to_owned())
            .collect()
    }

    /// Removing what was given up happens in the background.
    async fn until_staging_is_empty(&self) {
        let emptied = async {
            while !self.names("staging").await.is_empty() {
                tokio::task::yield_now().await;
            }
        };
        let in_time = tokio::time::timeout(Duration::from_secs(20), emptied).await;
        assert!(in_time.is_ok(), "{:?}", self.names("staging").await);
    }

    async fn has(&self, content: &[u8]) -> ObjectName {
        publish(&self.location, content).await
    }

    async fn reads(&self, name: &ObjectName, range: Option<Range<u64>>) -> Vec<u8> {
        let reading = self.location.read(name, range).await.unwrap();
        let chunks: Vec<Bytes> = reading.bytes.try_collect().await.unwrap();
        chunks.concat()
    }
}

fn files(folder: &std::path::Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path.display().to_string());
        }
    }
    found
}

fn open(entry: Value) -> Result<StorageLocation, BlobError> {
    let locations = json!({ "West Europe": entry }).to_string();
    let sources = Sources {
        overrides: vec![("storage.locations".to_owned(), locations)],
        ..Sources::default()
    };
    let settings = Settings::load(&sources).unwrap().settings;
    Ok(Blobs::open(&settings)?.location("West Europe").unwrap().clone())
}

fn content(size: usize) -> Vec<u8> {
    (0..size).map(|at| (at ^ (at >> 8) ^ (at >> 15)) as u8).collect()
}

async fn stage(location: &StorageLocation, content: &[u8]) -> Staged {
    let mut staged = location.stage().await.unwrap();
    for chunk in content.chunks(250_001) {
        staged.write(chunk).await.unwrap();
    }
    staged
}

async fn publish(location: &StorageLocation, content: &[u8]) -> ObjectName {
    let staged = stage(location, content).await;
    assert_eq!(staged.size(), content.len() as u64);
    let name = ObjectName {
        sha256: staged.sha256(),
        generation: Uuid::new_v4(),
    };
    staged.publish(&name).await.unwrap();
    name
}

macro_rules! for_each_store {
    ($($test:ident),+ $(,)?) => {
        mod directory {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    super::$test(super::Fixture::folder()).await;
                }
            )+
        }
        mod azure {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    super::$test(super::Fixture::bucket(super::ObjectServerKind::Azure)).await;
                }
            )+
        }
        mod google {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    super::$test(super::Fixture::bucket(super::ObjectServerKind::Google)).await;
                }
            )+
        }
        mod s3 {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    super::$test(super::Fixture::bucket(super::ObjectServerKind::S3)).await;
                }
            )+
        }
    };
}

for_each_store!(
    published_bytes_are_found_under_their_name_and_nothing_stays_staged,
    a_range_is_read_alone,
    staged_bytes_can_be_read_here_and_there,
    what_is_not_published_goes_with_its_handle,
    publishing_the_same_again_is_no_failure,
    removing_twice_is_no_failure_and_spares_other_generations,
    the_sweeper_takes_what_is_old_and_spares_what_is_young,
    a_location_that_works_says_so,
);

async fn published_bytes_are_found_under_their_name_and_nothing_stays_staged(fixture: Fixture) {
    for size in [1, 1000, bucket::PART_BYTES, bucket::PART_BYTES + 1, LARGE] {
        let content = content(size);
        let name = fixture.has(&content).await;
        let reading = fixture.location.read(&name, None).await.unwrap();
        assert_eq!(reading.size, size as u64);
        drop(reading);
        assert!(fixture.reads(&name, None).await == content, "{size}");
        assert!(fixture.names("objects").await.contains(&name.to_string()));
    }
    assert_eq!(fixture.names("objects").await.len(), 5);
    fixture.until_staging_is_empty().await;
}

async fn a_range_is_read_alone(fixture: Fixture) {
    let content = content(700_000);
    let name = fixture.has(&content).await;
    for range in [0..1, 0..700_000, 1..2, 699_999..700_000, 300_000..600_001] {
        let read = fixture.reads(&name, Some(range.clone())).await;
        assert!(
            read == content[range.start as usize..range.end as usize],
            "{range:?}"
        );
    }
}

async fn staged_bytes_can_be_read_here_and_there(fixture: Fixture) {
    for size in [1000, LARGE] {
        let content = content(size);
        let mut staged = super::tests::stage(&fixture.location, &content).await;
        let read = staged.read(move |mut reader| {
            let mut read = Vec::new();
            reader.seek(SeekFrom::Start(0)).unwrap();
            reader.read_to_end(&mut read).unwrap();
            assert!(read == content);
            reader.seek(SeekFrom::End(-7)).unwrap();
            read.clear();
            reader.read_to_end(&mut read).unwrap();
            assert!(read == content[size - 7..]);
        });
        read.await.unwrap();
    }
}

async fn what_is_not_published_goes_with_its_handle(fixture: Fixture) {
    for (size, is_read) in [(1000, false), (LARGE, false), (LARGE, true)] {
        let mut staged = super::tests::stage(&fixture.location, &content(size)).await;
        if is_read {
            staged.read(drop).await.unwrap();
        }
        drop(staged);
        fixture.until_staging_is_empty().await;
    }
    assert_eq!(fixture.names("objects").await, Vec::<String>::new());
}

async fn publishing_the_same_again_is_no_failure(fixture: Fixture) {
    for size in [1000, LARGE] {
        let name = fixture.has(&content(size)).await;
        let staged = super::tests::stage(&fixture.location, &content(size)).await;
        staged.publish(&name).await.unwrap();
        assert!(fixture.reads(&name, None).await == content(size));
    }
    assert_eq!(fixture.names("objects").await.len(), 2);
    fixture.until_staging_is_empty().await;
}

async fn removing_twice_is_no_failure_and_spares_other_generations(fixture: Fixture) {
    let (one, other) = (fixture.has(&content(10)).await, fixture.has(&content(10)).await);
    assert_eq!(one.sha256, other.sha256);
    for _ in 0..2 {
        fixture.location.remove(&one).await.unwrap();
    }
    let gone = fixture.location.read(&one, None).await.err().unwrap();
    assert_eq!(gone.kind(), io::ErrorKind::InvalidData);
    assert!(gone.to_string().contains(&one.to_string()), "{gone}");
    assert!(fixture.reads(&other, None).await == content(10));
}

async fn the_sweeper_takes_what_is_old_and_spares_what_is_young(fixture: Fixture) {
    match &fixture.holder {
        Holder::Folder(folder) => {
            let staging = folder.path().join("west europe/staging/left-behind");
            std::fs::write(staging, "x").unwrap();
        }
        Holder::Bucket(bucket) => {
            let key = object_store::path::Path::from("some/prefix/staging/left-behind");
            object_store::ObjectStoreExt::put(&bucket.client(), &key, "x".into())
                .await
                .unwrap();
        }
    }
    let sweep = async |age| fixture.location.sweep_staging(age).await.unwrap();
    assert_eq!(sweep(Duration::from_secs(2 * 24 * 60 * 60)).await, 0);
    assert_eq!(fixture.names("staging").await, ["left-behind"]);
    match &fixture.location.backend {
        Backend::Directory(_) => assert_eq!(sweep(Duration::ZERO).await, 1),
        // Even a start that is alone with its database may not be alone with an object store.
        Backend::Bucket(bucket) => {
            assert_eq!(sweep(Duration::ZERO).await, 0);
            assert_eq!(bucket.sweep_staging(Duration::ZERO).await.unwrap(), 1);
        }
    }
    assert_eq!(fixture.names("staging").await, Vec::<String>::new());
}

async fn a_location_that_works_says_so(fixture: Fixture) {
    fixture.location.check().await.unwrap();
    assert_eq!(fixture.location.availability().await, Availability::Available);
    assert_eq!(fixture.names("staging").await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_do_not_fit_are_said_to_and_not_shown() {
    for kind in [ObjectServerKind::Azure, ObjectServerKind::S3] {
        let bucket = ObjectServer::shared(kind).bucket();
        let (entry, wrong) = bucket.entry_with_wrong_key("");
        let location = open(entry).unwrap();
        assert_eq!(location.availability().await, Availability::Unavailable);
        let refused = location.check().await.unwrap_err();
        assert_eq!(
            refused.kind(),
            io::ErrorKind::PermissionDenied,
            "{kind:?}: {refused}"
        );
        let text = format!("{refused} {refused:?}");
        assert!(text.contains("'West Europe'") && !text.contains(&wrong), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_not_there_is_away_for_a_while() {
    let mut server = ObjectServer::start(ObjectServerKind::S3);
    let location = open(server.bucket().entry("")).unwrap();
    server.end();
    let staged = stage(&location, b"some bytes").await;
    let name = ObjectName {
        sha256: staged.sha256(),
        generation: Uuid::new_v4(),
    };
    let away = staged.publish(&name).await.unwrap_err();
    assert_eq!(away.kind(), io::ErrorKind::NotConnected);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_often_gets_one_look_that_ends() {
    // Takes connections and says nothing.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    let connections = tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok(Ok((connection, _))) =
            tokio::time::timeout(Duration::from_secs(5), silent.accept()).await
        {
            held.push(connection);
        }
        held.len()
    });
    let location = open(json!({
        "url": "s3://packages", "region": "r", "endpoint": endpoint, "allow_http": true,
        "access_key_id": "id", "secret_access_key": "secret",
    }))
    .unwrap();
    let asked = (0..50).map(|_| location.availability());
    let availabilities = futures::future::join_all(asked);
    let availabilities = tokio::time::timeout(Duration::from_secs(10), availabilities)
        .await
        .unwrap();
    assert_eq!(availabilities, [Availability::Unavailable; 50]);
    assert_eq!(connections.await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_hangs_up_leaves_nothing_staged() {
    let fixture = Fixture::folder();
    let limits = crate::receive::ReceiveLimits {
        max_package_bytes: u64::MAX,
        idle: Duration::from_hours(1),
        bytes_per_second: 1,
        now: std::time::SystemTime::UNIX_EPOCH,
    };
    let (sender, mut body) = futures::channel::mpsc::unbounded();
    let begun = format!(r#"{{"packageContents":"{}"#, "AAAA".repeat(1 << 20));
    sender.unbounded_send(Ok(Bytes::from(begun))).unwrap();
    let is_staged = async {
        while fixture.names("staging").await.is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        _ = crate::receive::receive(&fixture.location, limits, &mut body) => panic!("the body has not ended"),
        () = is_staged => {}
    }
    assert!(!sender.is_closed());
    fixture.until_staging_is_empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_says_which_file_it_was_and_keeps_its_cause() {
    let fixture = Fixture::folder();
    let staged = super::tests::stage(&fixture.location, b"some bytes").await;
    let name = ObjectName {
        sha256: staged.sha256(),
        generation: Uuid::new_v4(),
    };
    let Holder::Folder(folder) = &fixture.holder else {
        unreachable!("it is a folder");
    };
    let shard = folder
        .path()
        .join("west europe/objects")
        .join(data_encoding::HEXLOWER.encode(&name.sha256[..1]));
    std::fs::write(&shard, "no folder").unwrap();
    let failed = crate::error::Error::from(staged.publish(&name).await.unwrap_err());
    let told = domain::chain::Chain(&failed).to_string();
    assert!(told.contains(shard.to_str().unwrap()), "{told}");
    let sources = std::iter::successors(std::error::Error::source(&failed), |error| error.source());
    let cause = sources.last().unwrap().downcast_ref::<io::Error>().unwrap();
    assert_eq!(cause.kind(), io::ErrorKind::AlreadyExists);
    fixture.until_staging_is_empty().await;
}
