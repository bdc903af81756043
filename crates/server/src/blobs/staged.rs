//! Bytes on their way into a location, which knows how they become durable there.

mod file;
mod object;

pub(super) use file::StagedFile;
pub(super) use object::StagedObject;

use super::{BlobError, ObjectName, blocking, note};
use sha2::{Digest, Sha256};
use std::{
    io::{Read, Seek},
    sync::Arc,
};

/// Bytes on their way into a location. Dropping it removes what was not published.
pub(crate) struct Staged {
    /// Whose failures are counted.
    location: Arc<str>,
    hasher: Sha256,
    size: u64,
    bytes: StagedBytes,
}

pub(super) enum StagedBytes {
    File(StagedFile),
    Object(StagedObject),
}

/// What can be read here and there.
pub(crate) trait ReadSeek: Read + Seek + Send {}
impl<R: Read + Seek + Send> ReadSeek for R {}

impl Staged {
    pub(super) fn new(location: Arc<str>, bytes: StagedBytes) -> Self {
        Self {
            location,
            hasher: Sha256::new(),
            size: 0,
            bytes,
        }
    }

    /// Adds bytes. Once that has failed or was given up, they can only be dropped.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> Result<(), BlobError> {
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
        let written = match &mut self.bytes {
            StagedBytes::File(staged) => staged.write(bytes).await,
            StagedBytes::Object(staged) => staged.write(bytes).await,
        };
        note(&self.location, written)
    }

    /// How many bytes there are.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// The hash of all bytes so far.
    pub(crate) fn sha256(&self) -> [u8; 32] {
        self.hasher.clone().finalize().into()
    }

    /// Lets `read` read what was written, on a thread that may block, for nothing reads packages but what blocks; nothing
    /// can be added after.
    pub(crate) async fn read<T: Send + 'static>(
        &mut self,
        read: impl FnOnce(Box<dyn ReadSeek>) -> T + Send + 'static,
    ) -> Result<T, BlobError> {
        let reader = match &mut self.bytes {
            StagedBytes::File(staged) => staged.reader().await,
            StagedBytes::Object(staged) => staged.reader(self.size).await,
        };
        let reader = note(&self.location, reader)?;
        blocking(move || Ok(read(reader))).await
    }

    /// Makes the bytes durable under their name, which has to carry their hash.
    pub(crate) async fn publish(self, name: &ObjectName) -> Result<(), BlobError> {
        let published = match self.bytes {
            StagedBytes::File(staged) => {
                let name = *name;
                blocking(move || staged.publish(&name)).await
            }
            StagedBytes::Object(staged) => staged.publish(name, self.size).await,
        };
        note(&self.location, published)
    }
}
