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
mod probe;
mod ranged_reader;
mod staged;
#[cfg(test)]
mod tests;

pub(crate) use probe::Availability;
pub(crate) use staged::Staged;

use crate::config::{Place, Settings};
use bucket::Bucket;
use bytes::Bytes;
use data_encoding::HEXLOWER;
use directory::Directory;
use futures::Stream;
use probe::Probe;
use std::{collections::HashMap, fmt, io, ops::Range, pin::Pin, sync::Arc, time::Duration};
use store::blobs::BlobKey;
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
    pub(crate) fn open(settings: &Settings) -> io::Result<Self> {
        let mut by_key = HashMap::new();
        for location in &settings.storage.locations {
            let store = match &location.place {
                Place::Directory(root) => Store::Directory(Directory::open(root)?),
                Place::Bucket(place) => Store::Bucket(Bucket::open(&location.name, place)?),
            };
            let opened = StorageLocation {
                name: location.name.as_str().into(),
                store,
                probe: Arc::default(),
            };
            by_key.insert(location_key(&location.name), opened);
        }
        Ok(Self { by_key })
    }

    /// The store of a location, if it is mapped.
    pub(crate) fn location(&self, name: &str) -> Option<&StorageLocation> {
        self.by_key.get(&location_key(name))
    }

    /// The store of a location that something was stored in before; the start made sure that it is still mapped.
    pub(crate) fn known_location(&self, name: &str) -> io::Result<&StorageLocation> {
        self.location(name).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::NotFound,
                format!("the storage location '{name}' is not configured"),
            )
        })
    }

    /// The configured names, for messages.
    pub(crate) fn names(&self) -> Vec<&str> {
        let mut names: Vec<_> = self.all().map(StorageLocation::name).collect();
        names.sort_unstable();
        names
    }

    /// Every store.
    pub(crate) fn all(&self) -> impl Iterator<Item = &StorageLocation> {
        self.by_key.values()
    }
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

impl fmt::Display for ObjectName {
    /// As in `ab/abcd…-generation`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hash = HEXLOWER.encode(&self.sha256);
        write!(f, "{}/{hash}-{}", &hash[..2], self.generation.simple())
    }
}

/// Stored bytes on their way out.
pub(crate) type ByteStream = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// Stored bytes, open for reading.
pub(crate) struct Reading {
    /// How many bytes the whole object has, whatever part of it is read.
    pub(crate) size: u64,
    /// The bytes that were asked for.
    pub(crate) bytes: ByteStream,
}

/// One storage location. What blocks is for threads that may block.
#[derive(Clone)]
pub(crate) struct StorageLocation {
    name: Arc<str>,
    store: Store,
    probe: Arc<Probe>,
}

#[derive(Clone)]
enum Store {
    Directory(Directory),
    Bucket(Bucket),
}

impl StorageLocation {
    /// The location's name, as configured.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// A place for bytes that are still arriving. Blocks.
    pub(crate) fn stage(&self) -> io::Result<Staged> {
        match &self.store {
            Store::Directory(directory) => directory.stage(),
            Store::Bucket(bucket) => Ok(Staged::to_bucket(bucket.clone())),
        }
    }

    /// Makes staged bytes durable under their name, which has to carry their hash. Blocks.
    pub(crate) fn publish(&self, staged: Staged, name: &ObjectName) -> io::Result<()> {
        match &self.store {
            Store::Directory(directory) => directory.publish(staged, name),
            Store::Bucket(bucket) => staged.publish_in(bucket, name),
        }
    }

    /// Opens stored bytes: all of them, or a range that lies within them.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidData`] when the location works and does not have them.
    pub(crate) async fn read(&self, name: &ObjectName, range: Option<Range<u64>>) -> io::Result<Reading> {
        match &self.store {
            Store::Directory(directory) => directory.read(name, range).await,
            Store::Bucket(bucket) => bucket.read(name, range).await,
        }
    }

    /// Whether it is a folder of this machine, or of what is mounted on it.
    pub(crate) fn is_folder(&self) -> bool {
        matches!(self.store, Store::Directory(_))
    }

    /// Removes stored bytes; that they are gone already is no failure.
    pub(crate) async fn remove(&self, name: &ObjectName) -> io::Result<()> {
        match &self.store {
            Store::Directory(directory) => {
                let (directory, name) = (directory.clone(), *name);
                blocking(move || directory.remove(&name)).await
            }
            Store::Bucket(bucket) => bucket.remove(name).await,
        }
    }

    /// Removes staged bytes that nothing has been added to for `age`; how many there were. In an object store, which
    /// others may share and which may date an object by the start of its upload, `age` is a day at least.
    pub(crate) async fn sweep_staging(&self, age: Duration) -> io::Result<usize> {
        match &self.store {
            Store::Directory(directory) => {
                let directory = directory.clone();
                blocking(move || directory.sweep_staging(age)).await
            }
            Store::Bucket(bucket) => bucket.sweep_staging(age.max(bucket::LONGEST_UPLOAD)).await,
        }
    }

    /// Whether bytes can be written here now. Blocks, in an object store for a few seconds at most.
    pub(crate) fn check(&self) -> io::Result<()> {
        match &self.store {
            Store::Directory(directory) => directory.check(),
            Store::Bucket(bucket) => bucket.check(),
        }
    }

    /// Whether the location can be used, as of a moment ago at most. Never takes more than a few seconds.
    pub(crate) async fn availability(&self) -> Availability {
        self.probe.ask(self).await
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(io::Error::other)?
}

/// What reading says of bytes that should be there and are not. No waiting brings them back.
fn missing(name: &ObjectName, whence: impl fmt::Display) -> io::Error {
    let message = format!("the stored package {name} is missing in {whence}");
    io::Error::new(io::ErrorKind::InvalidData, message)
}
