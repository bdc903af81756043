//! A location in an object store.
//!
//! No object store can rename, and none shows an object before it is whole. So staged bytes are an object of their own,
//! which is copied to its final name inside the store and then removed (docs/decisions/0004).

use super::{BlobError, ObjectName, Reading, connect};
use crate::{clock::wall_seconds, config::BucketSettings};
use bytes::Bytes;
use domain::chain::Chain;
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
/// How many bytes one request of an upload carries: the least that S3 takes.
pub(super) const PART_BYTES: usize = 5 * 1024 * 1024;
/// How long a download waits for the next bytes.
const READ_IDLE: Duration = Duration::from_secs(30);
/// What fails when a package cannot be read.
const READ: &str = "cannot read a package";
/// How long the check whether the store can be used may take.
const CHECK_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a copy inside the store may take, and how often to ask whether it has ended.
const COPY_TIMEOUT: Duration = Duration::from_secs(5 * 60);
const COPY_POLL: Duration = Duration::from_millis(100);

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
}

impl Bucket {
    /// A client for a part of an object store. It speaks to nobody yet.
    pub(super) fn open(location: &str, settings: &BucketSettings) -> Result<Self, BlobError> {
        let secrets = connect::secrets(settings);
        let store = connect::connect(settings)
            .map_err(|error| failure(location, "cannot be set up", &error, &secrets))?;
        let prefix = match settings.prefix.as_str() {
            "" => String::new(),
            prefix => format!("{prefix}/"),
        };
        let shared = Shared {
            location: location.to_owned(),
            store,
            prefix,
            secrets,
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

    /// What the store says of a request, for whoever asked for `operation`.
    fn failed(&self, operation: &str) -> impl FnOnce(StoreError) -> BlobError {
        move |error| failure(&self.shared.location, operation, &error, &self.shared.secrets)
    }

    /// Begins an upload in parts.
    pub(super) async fn begin_upload(&self, key: &Path) -> Result<WriteMultipart, BlobError> {
        let begun = self.shared.store.put_multipart(key).await;
        let upload = begun.map_err(self.failed("cannot begin an upload"))?;
        Ok(WriteMultipart::new_with_chunk_size(upload, PART_BYTES))
    }

    /// Adds bytes to an upload; waits while as many parts are on their way as may be.
    pub(super) async fn add(
        &self,
        upload: &mut WriteMultipart,
        bytes: &[u8],
        max_in_flight: usize,
    ) -> Result<(), BlobError> {
        let sent = upload.wait_for_capacity(max_in_flight).await;
        sent.map_err(self.failed("cannot store a part of an upload"))?;
        upload.write(bytes);
        Ok(())
    }

    pub(super) async fn end_upload(&self, upload: WriteMultipart) -> Result<(), BlobError> {
        let ended = upload.finish().await;
        ended.map(drop).map_err(self.failed("cannot end an upload"))
    }

    /// Gives an upload up; what is left of it then, the store's lifecycle rules remove.
    pub(super) fn abort_in_background(&self, upload: WriteMultipart) {
        self.in_background(upload.abort());
    }

    /// Removes a staged object; what is left then, the sweeper removes.
    pub(super) fn discard_in_background(&self, key: Path) {
        let shared = Arc::clone(&self.shared);
        self.in_background(async move { gone(shared.store.delete(&key).await) });
    }

    /// Stores bytes that are all here.
    pub(super) async fn put(&self, name: &ObjectName, bytes: Bytes) -> Result<(), BlobError> {
        let payload = PutPayload::from_bytes(bytes);
        let stored = self.shared.store.put(&self.object(name), payload).await;
        stored.map(drop).map_err(self.failed("cannot store a package"))
    }

    /// Copies a staged object to its final name. Returns when the store holds all of its bytes there.
    pub(super) async fn copy(&self, staged: &Path, name: &ObjectName, size: u64) -> Result<(), BlobError> {
        let target = self.object(name);
        let copied = async {
            // Whoever stores the same bytes for another country at the same time may have been faster.
            if self.size_of(&target).await? == Some(size) {
                return Ok(());
            }
            self.shared.store.copy(staged, &target).await?;
            // Azure may answer before it has copied; until then the target shows no bytes.
            while self.size_of(&target).await? != Some(size) {
                tokio::time::sleep(COPY_POLL).await;
            }
            Ok(())
        };
        let copied = within(COPY_TIMEOUT, copied).await;
        copied.map_err(self.failed("cannot copy a staged package"))
    }

    async fn size_of(&self, key: &Path) -> Result<Option<u64>, StoreError> {
        match self.shared.store.head(key).await {
            Ok(object) => Ok(Some(object.size)),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn read_part(&self, key: &Path, range: Range<u64>) -> Result<Bytes, BlobError> {
        let got = self.shared.store.get_range(key, range).await;
        got.map_err(self.failed("cannot read a staged package"))
    }

    pub(super) async fn read(
        &self,
        name: &ObjectName,
        range: Option<Range<u64>>,
    ) -> Result<Reading, BlobError> {
        let options = GetOptions {
            range: range.map(GetRange::Bounded),
            ..GetOptions::default()
        };
        let got = self.shared.store.get_opts(&self.object(name), options).await;
        let got = got.map_err(|error| match error {
            StoreError::NotFound { .. } => BlobError::Missing {
                name: *name,
                location: format!("the location '{}'", self.shared.location),
            },
            other => self.failed(READ)(other),
        })?;
        let size = got.meta.size;
        let bucket = self.clone();
        let bytes = with_idle_timeout(got.into_stream()).map_err(move |error| bucket.failed(READ)(error));
        Ok(Reading {
            size,
            bytes: Box::pin(bytes),
        })
    }

    pub(super) async fn remove(&self, name: &ObjectName) -> Result<(), BlobError> {
        let deleted = self.shared.store.delete(&self.object(name)).await;
        gone(deleted).map_err(self.failed("cannot remove a package"))
    }

    pub(super) async fn sweep_staging(&self, age: Duration) -> Result<usize, BlobError> {
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
        swept.await.map_err(self.failed("cannot sweep staging"))
    }

    pub(super) async fn check(&self) -> Result<(), BlobError> {
        let key = self.staging_key();
        let probe = async {
            let payload = PutPayload::from_static(b"probe");
            self.shared.store.put(&key, payload).await?;
            gone(self.shared.store.delete(&key).await)
        };
        let checked = within(CHECK_TIMEOUT, probe).await;
        checked.map_err(self.failed("cannot be written to"))
    }

    /// For what a dropped handle leaves. Without a runtime it stays, as after a crash.
    fn in_background(&self, work: impl Future<Output = Result<(), StoreError>> + Send + 'static) {
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let bucket = self.clone();
        runtime.spawn(async move {
            if let Err(error) = work.await {
                let error = bucket.failed("left something in staging")(error);
                tracing::info!("{}", Chain(&error));
            }
        });
    }
}

/// A failure of the same class as files have it. Of what the client says only the text is kept, without secrets.
fn failure(location: &str, operation: &str, error: &StoreError, secrets: &[String]) -> BlobError {
    let kind = match error {
        StoreError::NotFound { .. } => io::ErrorKind::NotFound,
        StoreError::PermissionDenied { .. } | StoreError::Unauthenticated { .. } => {
            io::ErrorKind::PermissionDenied
        }
        StoreError::Generic { .. } => io::ErrorKind::NotConnected,
        _ => io::ErrorKind::Other,
    };
    let text = secrets
        .iter()
        .fold(error.to_string(), |text, secret| text.replace(secret, "***"));
    BlobError::new(
        format!("the location '{location}' {operation}"),
        io::Error::new(kind, text),
    )
}

async fn within<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    tokio::time::timeout(limit, work)
        .await
        .unwrap_or_else(|_| Err(no_answer(limit)))
}

fn no_answer(limit: Duration) -> StoreError {
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

/// The same bytes; a store that sends nothing for long is an error, and the end.
fn with_idle_timeout(
    bytes: impl Stream<Item = Result<Bytes, StoreError>> + Send + Unpin + 'static,
) -> impl Stream<Item = Result<Bytes, StoreError>> + Send + 'static {
    stream::unfold(Some(bytes), async |bytes| {
        let mut bytes = bytes?;
        match tokio::time::timeout(READ_IDLE, bytes.next()).await {
            Ok(next) => next.map(|next| (next, Some(bytes))),
            Err(_) => Some((Err(no_answer(READ_IDLE)), None)),
        }
    })
}
