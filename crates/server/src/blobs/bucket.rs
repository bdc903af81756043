//! A location in an object store.
//!
//! No object store can rename, and none shows an object before it is whole. So staged bytes are an object of their own,
//! which is copied to its final name inside the store and then removed (docs/decisions/0004). The blocking functions
//! hand their requests to the runtime and wait.

use super::{ObjectName, Reading, connect, missing};
use crate::{clock::wall_seconds, config::BucketPlace};
use bytes::Bytes;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use object_store::{
    Error as StoreError, GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt, PutPayload,
    WriteMultipart, path::Path,
};
use std::{io, ops::Range, sync::Arc, time::Duration};
use tokio::runtime::Handle;
use uuid::Uuid;

/// How long an upload may take from its first byte to its last. S3 dates an object by the start of its upload, so a
/// younger one may still be needed.
pub(super) const LONGEST_UPLOAD: Duration = Duration::from_secs(24 * 60 * 60);
/// How many bytes one request of an upload carries; the least that S3 takes.
pub(super) const PART: usize = 5 * 1024 * 1024;
/// How long a download waits for the next bytes.
const READ_IDLE: Duration = Duration::from_secs(30);
/// How long a look whether the store can be used may take.
const CHECK: Duration = Duration::from_secs(3);
/// How long a copy inside the store may take, and how often to look whether it has ended.
const COPY: Duration = Duration::from_secs(5 * 60);
const COPY_LOOK: Duration = Duration::from_millis(100);

/// The part of an object store that belongs to a location.
#[derive(Clone)]
pub(super) struct Bucket {
    shared: Arc<Shared>,
}

struct Shared {
    /// The location's name, for messages.
    location: String,
    store: Box<dyn ObjectStore>,
    /// Empty, or with a slash at its end.
    prefix: String,
    /// What must not appear in any message.
    secrets: Vec<String>,
    runtime: Handle,
}

impl Bucket {
    /// A client for a place. It speaks to nobody yet.
    pub(super) fn open(location: &str, place: &BucketPlace) -> io::Result<Self> {
        let secrets = connect::secrets(place);
        let store = connect::connect(place)
            .map_err(|error| io::Error::other(described(location, &error.to_string(), &secrets)))?;
        let prefix = match place.prefix.as_str() {
            "" => String::new(),
            prefix => format!("{prefix}/"),
        };
        let shared = Shared {
            location: location.to_owned(),
            store,
            prefix,
            secrets,
            runtime: Handle::try_current().map_err(io::Error::other)?,
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    fn path(&self, rest: &str) -> Path {
        Path::from(format!("{}{rest}", self.shared.prefix))
    }

    fn object(&self, name: &ObjectName) -> Path {
        self.path(&format!("objects/{name}"))
    }

    /// A new key for staged bytes.
    pub(super) fn staging_key(&self) -> Path {
        self.path(&format!("staging/{}", Uuid::new_v4()))
    }

    /// The same failure as files have it, without secrets.
    fn failed(&self, error: StoreError) -> io::Error {
        let kind = match &error {
            StoreError::NotFound { .. } => io::ErrorKind::NotFound,
            StoreError::PermissionDenied { .. } | StoreError::Unauthenticated { .. } => {
                io::ErrorKind::PermissionDenied
            }
            StoreError::Generic { .. } => io::ErrorKind::NotConnected,
            _ => io::ErrorKind::Other,
        };
        let text = described(&self.shared.location, &error.to_string(), &self.shared.secrets);
        io::Error::new(kind, text)
    }

    /// Waits on a thread that may block.
    fn wait<T>(&self, work: impl Future<Output = Result<T, StoreError>>) -> io::Result<T> {
        self.shared
            .runtime
            .block_on(work)
            .map_err(|error| self.failed(error))
    }

    /// Begins an upload in parts.
    pub(super) fn begin_upload(&self, key: &Path) -> io::Result<WriteMultipart> {
        let upload = self.wait(self.shared.store.put_multipart(key))?;
        Ok(WriteMultipart::new_with_chunk_size(upload, PART))
    }

    /// Adds bytes to an upload; waits while as many parts are on their way as may be.
    pub(super) fn add(&self, upload: &mut WriteMultipart, bytes: &[u8], in_flight: usize) -> io::Result<()> {
        self.wait(upload.wait_for_capacity(in_flight))?;
        let _runtime = self.shared.runtime.enter();
        upload.write(bytes);
        Ok(())
    }

    pub(super) fn end_upload(&self, upload: WriteMultipart) -> io::Result<()> {
        self.wait(upload.finish()).map(drop)
    }

    /// Gives an upload up, in the background; what is left of it then, the store's lifecycle rules remove.
    pub(super) fn give_up(&self, upload: WriteMultipart) {
        self.in_background(async move { upload.abort().await });
    }

    /// Removes a staged object, in the background; what is left then, the sweeper removes.
    pub(super) fn discard(&self, key: Path) {
        let shared = Arc::clone(&self.shared);
        self.in_background(async move { shared.store.delete(&key).await });
    }

    fn in_background(&self, work: impl Future<Output = Result<(), StoreError>> + Send + 'static) {
        let bucket = self.clone();
        self.shared.runtime.spawn(async move {
            if let Err(error) = work.await {
                tracing::info!("left behind in staging: {}", bucket.failed(error));
            }
        });
    }

    /// Stores bytes that are all here.
    pub(super) fn put(&self, name: &ObjectName, bytes: Bytes) -> io::Result<()> {
        let target = self.object(name);
        self.wait(self.shared.store.put(&target, PutPayload::from_bytes(bytes)))
            .map(drop)
    }

    /// Copies a staged object to its final name. Returns when the store holds all of its bytes there.
    pub(super) fn copy(&self, staged: &Path, name: &ObjectName, size: u64) -> io::Result<()> {
        let target = self.object(name);
        let copied = async {
            // Whoever stores the same bytes for another country at the same time may have been faster.
            if self.size_of(&target).await? == Some(size) {
                return Ok(());
            }
            self.shared.store.copy(staged, &target).await?;
            // Azure may answer before it has copied; until then the target shows no bytes.
            while self.size_of(&target).await? != Some(size) {
                tokio::time::sleep(COPY_LOOK).await;
            }
            Ok(())
        };
        self.wait(async {
            tokio::time::timeout(COPY, copied)
                .await
                .unwrap_or_else(|_| Err(too_long(COPY)))
        })
    }

    async fn size_of(&self, key: &Path) -> Result<Option<u64>, StoreError> {
        match self.shared.store.head(key).await {
            Ok(object) => Ok(Some(object.size)),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) fn read_part(&self, key: &Path, range: Range<u64>) -> io::Result<Bytes> {
        self.wait(self.shared.store.get_range(key, range))
    }

    pub(super) async fn read(&self, name: &ObjectName, range: Option<Range<u64>>) -> io::Result<Reading> {
        let options = GetOptions {
            range: range.map(GetRange::Bounded),
            ..GetOptions::default()
        };
        let got = self.shared.store.get_opts(&self.object(name), options).await;
        let got = got.map_err(|error| match error {
            StoreError::NotFound { .. } => {
                missing(name, format_args!("the location '{}'", self.shared.location))
            }
            other => self.failed(other),
        })?;
        let size = got.meta.size;
        let bucket = self.clone();
        let bytes = got.into_stream().map_err(move |error| bucket.failed(error));
        Ok(Reading {
            size,
            bytes: Box::pin(without_standstill(bytes)),
        })
    }

    pub(super) async fn remove(&self, name: &ObjectName) -> io::Result<()> {
        let deleted = self.shared.store.delete(&self.object(name)).await;
        gone(deleted).map_err(|error| self.failed(error))
    }

    pub(super) async fn sweep_staging(&self, age: Duration) -> io::Result<usize> {
        let prefix = self.path("staging");
        // The store dates its objects by its own clock, which no test moves.
        let latest = wall_seconds().saturating_sub(i64::try_from(age.as_secs()).unwrap_or(i64::MAX));
        let is_left = |object: &ObjectMeta| object.last_modified.timestamp() <= latest;
        let swept = async {
            let mut removed = 0;
            let mut listed = self.shared.store.list(Some(&prefix));
            while let Some(object) = listed.try_next().await? {
                if is_left(&object) {
                    gone(self.shared.store.delete(&object.location).await)?;
                    removed += 1;
                }
            }
            Ok(removed)
        };
        swept.await.map_err(|error| self.failed(error))
    }

    pub(super) fn check(&self) -> io::Result<()> {
        let key = self.staging_key();
        let probe = async {
            self.shared
                .store
                .put(&key, PutPayload::from_static(b"probe"))
                .await?;
            gone(self.shared.store.delete(&key).await)
        };
        self.wait(async {
            tokio::time::timeout(CHECK, probe)
                .await
                .unwrap_or_else(|_| Err(too_long(CHECK)))
        })
    }
}

fn described(location: &str, text: &str, secrets: &[String]) -> String {
    let hidden = secrets
        .iter()
        .fold(text.to_owned(), |text, secret| text.replace(secret, "***"));
    format!("the location '{location}': {hidden}")
}

fn too_long(limit: Duration) -> StoreError {
    StoreError::Generic {
        store: "object store",
        source: format!("no answer within {} seconds", limit.as_secs()).into(),
    }
}

fn gone(deleted: Result<(), StoreError>) -> Result<(), StoreError> {
    match deleted {
        Err(StoreError::NotFound { .. }) => Ok(()),
        other => other,
    }
}

/// The same bytes; a store that sends nothing for long is an error.
fn without_standstill(
    bytes: impl Stream<Item = io::Result<Bytes>> + Send + Unpin + 'static,
) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    stream::unfold(Some(bytes), |bytes| async move {
        let mut bytes = bytes?;
        match tokio::time::timeout(READ_IDLE, bytes.next()).await {
            Ok(Some(next)) => Some((next, Some(bytes))),
            Ok(None) => None,
            Err(_) => {
                let error =
                    io::Error::new(io::ErrorKind::TimedOut, "the object store sends nothing any more");
                Some((Err(error), None))
            }
        }
    })
}
