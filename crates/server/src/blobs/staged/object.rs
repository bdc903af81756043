//! Bytes on their way into an object store. They go there in parts, while the next ones arrive; what fits into one part
//! is kept here and stored with one request when it is published.

use super::ReadSeek;
use crate::blobs::{
    BlobError, ObjectName,
    bucket::{Bucket, PART_BYTES},
    ranged_reader::RangedReader,
};
use bytes::Bytes;
use object_store::{WriteMultipart, path::Path as Key};
use std::io::{self, Cursor};
use tokio::runtime::Handle;

/// Parts on their way at the same time. With the one that is being filled, an upload holds three in memory.
const MAX_IN_FLIGHT: usize = 2;

/// Bytes for an object store. Dropping it removes what is in the store's staging part.
pub(in crate::blobs) struct StagedObject {
    bucket: Bucket,
    state: State,
}

enum State {
    /// All so far is here.
    Held(Vec<u8>),
    /// What fills a part has gone to the store.
    InParts(Key, WriteMultipart),
    Whole(Whole),
}

/// All that was to come.
#[derive(Clone)]
enum Whole {
    Held(Bytes),
    Stored(Key),
}

impl StagedObject {
    pub(in crate::blobs) fn new(bucket: Bucket) -> Self {
        Self {
            bucket,
            state: State::Held(Vec::new()),
        }
    }

    pub(super) async fn write(&mut self, bytes: &[u8]) -> Result<(), BlobError> {
        match &mut self.state {
            State::Held(held) if held.len() + bytes.len() <= PART_BYTES => {
                held.extend_from_slice(bytes);
                Ok(())
            }
            State::Held(held) => {
                let key = self.bucket.staging_key();
                let mut upload = self.bucket.begin_upload(&key).await?;
                upload.write(held);
                upload.write(bytes);
                self.state = State::InParts(key, upload);
                Ok(())
            }
            State::InParts(_, upload) => self.bucket.add(upload, bytes, MAX_IN_FLIGHT).await,
            State::Whole(_) => Err(BlobError::new(
                "cannot add to a staged package",
                io::Error::other("it is complete"),
            )),
        }
    }

    /// Ends an upload in parts, if it is one.
    async fn complete(&mut self) -> Result<Whole, BlobError> {
        let (whole, upload) = match self.take_state() {
            State::Held(held) => (Whole::Held(held.into()), None),
            State::InParts(key, upload) => (Whole::Stored(key), Some(upload)),
            State::Whole(whole) => (whole, None),
        };
        // Even before the upload has ended: whatever the store makes of it goes with this handle.
        self.state = State::Whole(whole.clone());
        if let Some(upload) = upload {
            self.bucket.end_upload(upload).await?;
        }
        Ok(whole)
    }

    fn take_state(&mut self) -> State {
        std::mem::replace(&mut self.state, State::Held(Vec::new()))
    }

    /// What is in the store is read from there, range by range. The reading thread waits for each request, which the
    /// runtime carries out: here alone what blocks waits for what does not.
    pub(super) async fn reader(&mut self, size: u64) -> Result<Box<dyn ReadSeek>, BlobError> {
        match self.complete().await? {
            Whole::Held(bytes) => Ok(Box::new(Cursor::new(bytes))),
            Whole::Stored(key) => {
                let (bucket, runtime) = (self.bucket.clone(), Handle::current());
                let fetch = move |range| Ok(runtime.block_on(bucket.read_part(&key, range))?);
                Ok(Box::new(RangedReader::new(size, fetch)))
            }
        }
    }

    pub(super) async fn publish(mut self, name: &ObjectName, size: u64) -> Result<(), BlobError> {
        match self.complete().await? {
            Whole::Held(bytes) => self.bucket.put(name, bytes).await,
            // Dropping this removes the staged object, whether or not it could be copied.
            Whole::Stored(key) => self.bucket.copy(&key, name, size).await,
        }
    }
}

impl Drop for StagedObject {
    fn drop(&mut self) {
        match self.take_state() {
            State::InParts(_, upload) => self.bucket.abort_in_background(upload),
            State::Whole(Whole::Stored(key)) => self.bucket.discard_in_background(key),
            State::Held(_) | State::Whole(Whole::Held(_)) => {}
        }
    }
}
