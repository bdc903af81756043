//! Bytes on their way into a folder: a file in its `staging`, written in few steps on threads that may block.

use super::ReadSeek;
use crate::{
    blobs::{BlobError, ObjectName, blocking, directory::Directory},
    private,
};
use std::{
    fs::{self, File},
    io::{BufReader, Write},
    path::PathBuf,
    sync::Arc,
};
use tokio::runtime::Handle;

/// How many bytes one step writes.
const CHUNK_BYTES: usize = 1024 * 1024;

/// A file in the staging part of a folder. Dropping it removes the file.
pub(in crate::blobs) struct StagedFile {
    directory: Directory,
    path: PathBuf,
    /// Shared with the thread that uses it.
    file: Arc<File>,
    /// What the next step writes.
    buffer: Vec<u8>,
}

impl StagedFile {
    /// An empty file. Blocks.
    pub(in crate::blobs) fn create(directory: Directory) -> Result<Self, BlobError> {
        directory.check_room()?;
        let path = directory.staging_path();
        let created = private::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path);
        Ok(Self {
            directory,
            file: Arc::new(created.map_err(BlobError::file("create", &path))?),
            path,
            buffer: Vec::new(),
        })
    }

    pub(super) async fn write(&mut self, bytes: &[u8]) -> Result<(), BlobError> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() < CHUNK_BYTES {
            return Ok(());
        }
        self.flush().await
    }

    async fn flush(&mut self) -> Result<(), BlobError> {
        let (file, path) = (Arc::clone(&self.file), self.path.clone());
        let directory = self.directory.clone();
        let mut buffer = std::mem::take(&mut self.buffer);
        self.buffer = blocking(move || {
            directory.check_room()?;
            let written = (&*file).write_all(&buffer);
            written.map_err(BlobError::file("write", &path))?;
            buffer.clear();
            Ok(buffer)
        })
        .await?;
        Ok(())
    }

    pub(super) async fn reader(&mut self) -> Result<Box<dyn ReadSeek>, BlobError> {
        self.flush().await?;
        Ok(Box::new(BufReader::new(Arc::clone(&self.file))))
    }

    /// Makes the file durable, and then its name. Blocks.
    pub(in crate::blobs) fn publish(self, name: &ObjectName) -> Result<(), BlobError> {
        let written = (&*self.file).write_all(&self.buffer);
        written.map_err(BlobError::file("write", &self.path))?;
        self.file
            .sync_all()
            .map_err(BlobError::file("sync", &self.path))?;
        self.directory.take_in(&self.path, name)
    }
}

impl Drop for StagedFile {
    fn drop(&mut self) {
        // After publishing there is nothing under this name; what a failed removal leaves, the sweeper takes.
        let path = std::mem::take(&mut self.path);
        let remove = move || drop(fs::remove_file(path));
        match Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(remove)),
            Err(_) => remove(),
        }
    }
}
