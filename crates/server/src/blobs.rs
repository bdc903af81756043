//! Package bytes: one store for each storage location, addressed by content.
//!
//! A location is a folder or a part of an object store. Bytes arrive in its `staging` part under a random name, are made
//! durable there, and only then get their final name, which begins with their hash. So a final name never shows half a
//! package, identical bytes for several countries are kept once, and whatever a crash leaves behind lies in `staging` or
//! is listed in the `blobs` table, where the sweeper finds it.
//!
//! A final name ends with a *generation*, which no two writings share. Removing happens outside transactions and may
//! come late; what it removes can therefore never be bytes that somebody wrote anew in the meantime.

mod bucket;
mod connect;
mod directory;
mod error;
mod probe;
mod ranged_reader;
mod staged;
#[cfg(test)]
mod tests;

pub(crate) use error::BlobError;
pub(crate) use probe::Availability;
pub(crate) use staged::Staged;

use crate::{
    config::{BucketSettings, Location, Settings, StorageBackend},
    telemetry::metrics::STORAGE_ERRORS,
};
use bucket::Bucket;
use bytes::Bytes;
use data_encoding::HEXLOWER;
use directory::Directory;
use domain::chain::Chain;
use futures::{Stream, TryStreamExt};
use probe::Probe;
use ranged_reader::RangedReader;
pub(crate) use staged::ReadSeek;
use staged::{StagedBytes, StagedFile, StagedObject};
use std::{collections::HashMap, fmt, io, ops::Range, pin::Pin, sync::Arc, time::Duration};
use store::{blobs::BlobKey, versions::Version};
use tokio::runtime::Handle;
use uuid::Uuid;

/// All storage locations of the configuration.
pub(crate) struct Blobs {
    by_key: HashMap<String, StorageLocation>,
}

/// Location names compare without regard to case.
fn location_key(name: &str) -> String {
    name.trim().to_lowercase()
}

impl Blobs {
    /// Opens every configured location: makes folders where they are missing, and clients for object stores. Whether
    /// an object store answers is not asked here; a store that is away for a while keeps nobody from starting.
    pub(crate) fn open(settings: &Settings) -> Result<Self, BlobError> {
        let mut by_key = HashMap::new();
        for location in &settings.storage.locations {
            let backend = match &location.backend {
                StorageBackend::Directory(root) => {
                    Backend::Directory(Directory::open(root, settings.storage.min_free_bytes)?)
                }
                StorageBackend::Bucket(bucket) => Backend::Bucket(Bucket::open(&location.name, bucket)?),
            };
            let opened = StorageLocation {
                name: location.name.as_str().into(),
                backend,
                probe: Arc::default(),
            };
            by_key.insert(location_key(&location.name), opened);
        }
        Ok(Self { by_key })
    }

    /// A location, if it is mapped.
    pub(crate) fn location(&self, name: &str) -> Option<&StorageLocation> {
        self.by_key.get(&location_key(name))
    }

    /// A location that something was stored in before; the start made sure that it is still mapped.
    pub(crate) fn known_location(&self, name: &str) -> Result<&StorageLocation, BlobError> {
        self.location(name)
            .ok_or_else(|| BlobError::NotConfigured(name.to_owned()))
    }

    /// The configured names, for messages.
    pub(crate) fn names(&self) -> Vec<&str> {
        let mut names: Vec<_> = self.all().map(StorageLocation::name).collect();
        names.sort_unstable();
        names
    }

    /// Every location.
    pub(crate) fn all(&self) -> impl Iterator<Item = &StorageLocation> {
        self.by_key.values()
    }
}

/// What stands against a location before anybody looks for it, such as a file that it names.
pub(crate) fn unusable(location: &Location) -> Option<String> {
    match &location.backend {
        StorageBackend::Directory(_) => None,
        StorageBackend::Bucket(bucket) => {
            let failed = Bucket::open(&location.name, bucket).err()?;
            Some(Chain(&failed).to_string())
        }
    }
}

/// What stands against using a location in an object store now.
pub(crate) async fn out_of_reach(name: &str, bucket: &BucketSettings) -> Option<String> {
    let bucket = Bucket::open(name, bucket).ok()?;
    let failed = bucket.check().await.err()?;
    Some(Chain(&failed).to_string())
}

/// Which bytes: their hash, and which writing of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ObjectName {
    pub(crate) sha256: [u8; 32],
    pub(crate) generation: Uuid,
}

impl From<&BlobKey> for ObjectName {
    fn from(key: &BlobKey) -> Self {
        Self {
            sha256: key.sha256,
            generation: key.generation,
        }
    }
}

impl From<&Version> for ObjectName {
    fn from(version: &Version) -> Self {
        Self {
            sha256: version.sha256,
            generation: version.generation,
        }
    }
}

impl fmt::Display for ObjectName {
    /// As in `ab/abcd…-generation`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ([first, ..], hash) = (self.sha256, HEXLOWER.encode(&self.sha256));
        write!(f, "{first:02x}/{hash}-{}", self.generation.simple())
    }
}

/// Stored bytes on their way out.
pub(crate) type ByteStream = Pin<Box<dyn Stream<Item = Result<Bytes, BlobError>> + Send>>;

/// Stored bytes, open for reading.
pub(crate) struct Reading {
    /// How many bytes the whole object has, whatever part of it is read.
    pub(crate) size: u64,
    /// The bytes that were asked for.
    pub(crate) bytes: ByteStream,
}

/// One storage location. The requests of object stores run on the runtime; what files need blocks, on threads that may.
#[derive(Clone)]
pub(crate) struct StorageLocation {
    name: Arc<str>,
    backend: Backend,
    probe: Arc<Probe>,
}

#[derive(Clone)]
enum Backend {
    Directory(Directory),
    Bucket(Bucket),
}

impl StorageLocation {
    /// The location's name, as configured.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Counts a failure as this location's.
    pub(crate) fn note<T>(&self, outcome: Result<T, BlobError>) -> Result<T, BlobError> {
        note(&self.name, outcome)
    }

    /// Begins to store bytes that are still arriving.
    pub(crate) async fn stage(&self) -> Result<Staged, BlobError> {
        let bytes = match &self.backend {
            Backend::Directory(directory) => {
                let directory = directory.clone();
                let created = blocking(move || StagedFile::create(directory)).await;
                StagedBytes::File(self.note(created)?)
            }
            Backend::Bucket(bucket) => StagedBytes::Object(StagedObject::new(bucket.clone())),
        };
        Ok(Staged::new(Arc::clone(&self.name), bytes))
    }

    /// Opens stored bytes: all of them, or a range that lies within them.
    ///
    /// # Errors
    /// [`BlobError::Missing`] when the location works and does not have them.
    pub(crate) async fn read(
        &self,
        name: &ObjectName,
        range: Option<Range<u64>>,
    ) -> Result<Reading, BlobError> {
        self.note(match &self.backend {
            Backend::Directory(directory) => directory.read(name, range).await,
            Backend::Bucket(bucket) => bucket.read(name, range).await,
        })
    }

    /// Lets `read` look here and there into stored bytes, on a thread that may block. What it meets is an I/O error.
    pub(crate) async fn look_into<T: Send + 'static>(
        &self,
        name: ObjectName,
        size: u64,
        read: impl FnOnce(Box<dyn ReadSeek>) -> T + Send + 'static,
    ) -> Result<T, BlobError> {
        let (location, runtime) = (self.clone(), Handle::current());
        let fetch = move |range| {
            let part = async {
                let reading = location.read(&name, Some(range)).await?;
                let chunks: Vec<Bytes> = reading.bytes.try_collect().await?;
                Ok(Bytes::from(chunks.concat()))
            };
            runtime.block_on(part).map_err(|error: BlobError| error.into())
        };
        let reader = Box::new(RangedReader::new(size, fetch));
        blocking(move || Ok(read(reader))).await
    }

    /// Whether it is a folder of this machine, or of what is mounted on it.
    pub(crate) fn is_folder(&self) -> bool {
        matches!(self.backend, Backend::Directory(_))
    }

    /// Removes stored bytes; that they are gone already is no failure.
    pub(crate) async fn remove(&self, name: &ObjectName) -> Result<(), BlobError> {
        self.note(match &self.backend {
            Backend::Directory(directory) => {
                let (directory, name) = (directory.clone(), *name);
                blocking(move || directory.remove(&name)).await
            }
            Backend::Bucket(bucket) => bucket.remove(name).await,
        })
    }

    /// Removes staged bytes that nothing has been added to for `age`; how many there were. In an object store, which
    /// others may share and which may date an object by the start of its upload, `age` is a day at least.
    pub(crate) async fn sweep_staging(&self, age: Duration) -> Result<usize, BlobError> {
        self.note(match &self.backend {
            Backend::Directory(directory) => {
                let directory = directory.clone();
                blocking(move || directory.sweep_staging(age)).await
            }
            Backend::Bucket(bucket) => bucket.sweep_staging(age.max(bucket::LONGEST_UPLOAD)).await,
        })
    }

    /// Whether bytes can be written here now. An object store is given a few seconds for it.
    async fn check(&self) -> Result<(), BlobError> {
        self.note(match &self.backend {
            Backend::Directory(directory) => {
                let directory = directory.clone();
                blocking(move || directory.check()).await
            }
            Backend::Bucket(bucket) => bucket.check().await,
        })
    }

    /// Whether the location can be used, as of a moment ago at most. Never takes more than a few seconds.
    pub(crate) async fn availability(&self) -> Availability {
        self.probe.ask(self).await
    }
}

/// Counts a failure as that of the location of this name.
fn note<T>(location: &Arc<str>, outcome: Result<T, BlobError>) -> Result<T, BlobError> {
    if outcome.is_err() {
        metrics::counter!(STORAGE_ERRORS, "location" => location.to_string()).increment(1);
    }
    outcome
}

/// Does work on files on a thread that may block. Whoever gives it up does not end it.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BlobError> + Send + 'static,
) -> Result<T, BlobError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| BlobError::new("work on files did not end", io::Error::other(error)))?
}
