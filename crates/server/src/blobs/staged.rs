//! Bytes on their way into a location.
//!
//! To a folder they go as a file. To an object store they go in parts, while the next ones arrive; what fits into one
//! part is kept here and stored with one request when it is published.

use super::{
    ObjectName,
    bucket::{Bucket, PART},
    ranged_reader::RangedReader,
};
use bytes::Bytes;
use object_store::{WriteMultipart, path::Path as Key};
use sha2::{Digest, Sha256};
use std::{
    fs::{self, File},
    io::{self, BufReader, Cursor, Read, Seek, Write},
    path::{Path, PathBuf},
};

/// Parts on their way at the same time. With the one that is being filled, an upload holds three in memory.
const IN_FLIGHT: usize = 2;

/// Bytes on their way into a store. Dropping it removes what was not published.
pub(crate) struct Staged {
    hasher: Sha256,
    size: u64,
    bytes: StagedBytes,
}

enum StagedBytes {
    File(StagedFile),
    Object(StagedObject),
}

/// What can be read here and there.
pub(crate) trait ReadSeek: Read + Seek {}
impl<R: Read + Seek> ReadSeek for R {}

impl Staged {
    pub(super) fn to_file(file: File, path: PathBuf) -> Self {
        Self::new(StagedBytes::File(StagedFile { file, path }))
    }

    pub(super) fn to_bucket(bucket: Bucket) -> Self {
        let arriving = Arriving::Small(Vec::new());
        Self::new(StagedBytes::Object(StagedObject { bucket, arriving }))
    }

    fn new(bytes: StagedBytes) -> Self {
        Self {
            hasher: Sha256::new(),
            size: 0,
            bytes,
        }
    }

    /// Adds bytes. Blocks.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
        match &mut self.bytes {
            StagedBytes::File(staged) => staged.file.write_all(bytes),
            StagedBytes::Object(staged) => staged.write(bytes),
        }
    }

    /// How many bytes there are.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// The hash of all bytes so far.
    pub(crate) fn sha256(&self) -> [u8; 32] {
        self.hasher.clone().finalize().into()
    }

    /// Reads what was written; nothing can be added after. Blocks, and so does its reading.
    pub(crate) fn reader(&mut self) -> io::Result<Box<dyn ReadSeek + '_>> {
        match &mut self.bytes {
            StagedBytes::File(staged) => Ok(Box::new(BufReader::new(&staged.file))),
            StagedBytes::Object(staged) => staged.reader(self.size),
        }
    }

    pub(super) fn file(&self) -> io::Result<(&File, &Path)> {
        match &self.bytes {
            StagedBytes::File(staged) => Ok((&staged.file, &staged.path)),
            StagedBytes::Object(_) => Err(elsewhere()),
        }
    }

    pub(super) fn publish_in(self, bucket: &Bucket, name: &ObjectName) -> io::Result<()> {
        match self.bytes {
            StagedBytes::Object(staged) => staged.publish(bucket, name, self.size),
            StagedBytes::File(_) => Err(elsewhere()),
        }
    }
}

fn elsewhere() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "staged in another location")
}

struct StagedFile {
    file: File,
    path: PathBuf,
}

impl Drop for StagedFile {
    fn drop(&mut self) {
        // After publishing there is nothing under this name; what a failed removal leaves, the sweeper takes.
        drop(fs::remove_file(&self.path));
    }
}

struct StagedObject {
    bucket: Bucket,
    arriving: Arriving,
}

enum Arriving {
    /// All so far is here.
    Small(Vec<u8>),
    /// What is complete has gone to the store.
    InParts(Key, WriteMultipart),
    /// All of it is in the store.
    Whole(Key),
    /// Nothing is left to be removed.
    Nothing,
}

impl StagedObject {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.arriving {
            Arriving::Small(held) if held.len() + bytes.len() <= PART => {
                held.extend_from_slice(bytes);
                Ok(())
            }
            Arriving::Small(held) => {
                let held = std::mem::take(held);
                self.begin_parts()?;
                self.write(&held)?;
                self.write(bytes)
            }
            Arriving::InParts(_, upload) => self.bucket.add(upload, bytes, IN_FLIGHT),
            Arriving::Whole(_) | Arriving::Nothing => Err(io::Error::other("the staged bytes are complete")),
        }
    }

    fn begin_parts(&mut self) -> io::Result<()> {
        let key = self.bucket.staging_key();
        let upload = self.bucket.begin_upload(&key)?;
        self.arriving = Arriving::InParts(key, upload);
        Ok(())
    }

    /// Ends an upload in parts, if it is one.
    fn complete(&mut self) -> io::Result<()> {
        self.arriving = match std::mem::replace(&mut self.arriving, Arriving::Nothing) {
            Arriving::InParts(key, upload) => {
                self.bucket.end_upload(upload)?;
                Arriving::Whole(key)
            }
            other => other,
        };
        Ok(())
    }

    fn reader(&mut self, size: u64) -> io::Result<Box<dyn ReadSeek + '_>> {
        self.complete()?;
        let bucket = &self.bucket;
        match &self.arriving {
            Arriving::Small(held) => Ok(Box::new(Cursor::new(held.as_slice()))),
            Arriving::Whole(key) => Ok(Box::new(RangedReader::new(size, move |range| {
                bucket.read_part(key, range)
            }))),
            Arriving::InParts(..) | Arriving::Nothing => Err(io::Error::other("the upload was given up")),
        }
    }

    fn publish(mut self, bucket: &Bucket, name: &ObjectName, size: u64) -> io::Result<()> {
        self.complete()?;
        match &mut self.arriving {
            Arriving::Small(held) => bucket.put(name, Bytes::from(std::mem::take(held))),
            // Dropping this removes the staged object, whether or not it could be copied.
            Arriving::Whole(key) => bucket.copy(key, name, size),
            Arriving::InParts(..) | Arriving::Nothing => Err(io::Error::other("the upload was given up")),
        }
    }
}

impl Drop for StagedObject {
    fn drop(&mut self) {
        match std::mem::replace(&mut self.arriving, Arriving::Nothing) {
            Arriving::InParts(_, upload) => self.bucket.give_up(upload),
            Arriving::Whole(key) => self.bucket.discard(key),
            Arriving::Small(_) | Arriving::Nothing => {}
        }
    }
}
