//! Packages between storage locations and the files of an export: the one place here that knows what a storage
//! location is.

use super::{TransferError, blocking, folder::Folder, format::package_name};
use crate::{
    blobs::{Blobs, ObjectName},
    config::Settings,
};
use data_encoding::HEXLOWER;
use futures::StreamExt;
use sha2::{Digest, Sha256};
use std::{
    fs::File,
    io::{self, Read},
    sync::Arc,
};
use store::blobs::BlobKey;
use tokio_util::io::ReaderStream;

/// Bytes that are moved at a time.
const CHUNK_BYTES: usize = 256 * 1024;

/// The storage locations of the configuration.
#[derive(Clone)]
pub(super) struct Locations {
    blobs: Arc<Blobs>,
}

impl Locations {
    pub(super) fn open(settings: &Settings) -> Result<Self, TransferError> {
        let blobs = Blobs::open(settings).map_err(TransferError::files("storage locations"))?;
        Ok(Self {
            blobs: Arc::new(blobs),
        })
    }

    /// Fetches a package into the export, unless it is there.
    pub(super) async fn fetch(&self, key: &BlobKey, size: u64, folder: &Folder) -> Result<(), TransferError> {
        let name = package_name(&key.sha256);
        if folder.has(&name, size) {
            return Ok(());
        }
        let failed = || {
            let digest = HEXLOWER.encode(&key.sha256);
            TransferError::files(format!("package {digest} in '{}'", key.location))
        };
        let location = self.blobs.known_location(&key.location).map_err(failed())?;
        let source = location
            .read(&ObjectName::from(key), None)
            .await
            .map_err(failed())?;
        let mut chunks = source.bytes;
        let mut file = folder.create(&name)?;
        let mut digest = Sha256::new();
        let mut bytes = 0;
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(failed())?;
            bytes += chunk.len() as u64;
            (file, digest) = blocking(move || {
                digest.update(&chunk);
                file.write(&chunk)?;
                Ok((file, digest))
            })
            .await?;
        }
        if bytes != size || digest.finalize().as_slice() != key.sha256 {
            return Err(TransferError::Refused(format!(
                "The package {} in '{}' is damaged: its bytes are not those that were uploaded.",
                HEXLOWER.encode(&key.sha256),
                key.location
            )));
        }
        blocking(move || file.finish()).await
    }

    /// Stores a package of the export, whose bytes are what their name says.
    pub(super) async fn store(&self, key: &BlobKey, size: u64, folder: &Folder) -> Result<(), TransferError> {
        let name = package_name(&key.sha256);
        let failed = || TransferError::files(format!("storage location '{}'", key.location));
        let location = self.blobs.known_location(&key.location).map_err(failed())?;
        let mut staged = location.stage().await.map_err(failed())?;
        let (opened, opening) = (folder.clone(), name.clone());
        let file = blocking(move || open_package(&opened, &opening, size)).await?;
        let mut chunks = ReaderStream::with_capacity(tokio::fs::File::from_std(file), CHUNK_BYTES);
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(unreadable(folder, &name))?;
            staged.write(&chunk).await.map_err(failed())?;
        }
        if staged.sha256() != key.sha256 {
            return Err(damaged(&name));
        }
        staged.publish(&ObjectName::from(key)).await.map_err(failed())
    }
}

/// Holds a package of the export against its name.
pub(super) fn check(folder: &Folder, sha256: &[u8; 32], size: u64) -> Result<(), TransferError> {
    let name = package_name(sha256);
    let mut file = open_package(folder, &name, size)?;
    let (mut digest, mut chunk) = (Sha256::new(), Vec::with_capacity(CHUNK_BYTES));
    loop {
        chunk.clear();
        let mut next = file.by_ref().take(CHUNK_BYTES as u64);
        match next.read_to_end(&mut chunk).map_err(unreadable(folder, &name))? {
            0 => break,
            _ => digest.update(&chunk),
        }
    }
    if digest.finalize().as_slice() == sha256 {
        Ok(())
    } else {
        Err(damaged(&name))
    }
}

/// Makes sure that a package of that size is there, without reading it.
pub(super) fn check_presence(folder: &Folder, sha256: &[u8; 32], size: u64) -> Result<(), TransferError> {
    let name = package_name(sha256);
    match folder.plain(&name) {
        Ok(found) if found == size => Ok(()),
        Ok(found) => Err(TransferError::damaged(
            name,
            format!("is {found} bytes long, not {size}"),
        )),
        Err(error) => Err(TransferError::damaged(name, error)),
    }
}

fn damaged(name: &str) -> TransferError {
    TransferError::damaged(name, "is damaged: its SHA-256 is not its name")
}

fn open_package(folder: &Folder, name: &str, size: u64) -> Result<File, TransferError> {
    let found = folder
        .plain(name)
        .map_err(|error| TransferError::damaged(name, error))?;
    if found != size {
        return Err(TransferError::damaged(
            name,
            format!("is {found} bytes long, not {size}"),
        ));
    }
    File::open(folder.path(name)).map_err(unreadable(folder, name))
}

fn unreadable(folder: &Folder, name: &str) -> impl FnOnce(io::Error) -> TransferError {
    TransferError::files(format!("cannot read {}", folder.path(name).display()))
}

/// The name under which a storage location is configured, whatever case it is asked for in.
pub(super) fn configured_name(settings: &Settings, location: &str) -> Option<String> {
    settings
        .storage
        .location(location)
        .map(|location| location.name.clone())
}

/// The names of all configured storage locations, for messages.
pub(super) fn configured_names(settings: &Settings) -> Vec<&str> {
    let locations = settings.storage.locations.iter();
    locations.map(|location| location.name.as_str()).collect()
}
