//! Package bytes on their way to this machine.
//!
//! What has arrived stays in a `.part` file beside the target until all of it is there and its digest is right, so
//! that a broken connection costs nothing and a file under its final name is always whole.

use crate::failure::Failure;
use client::PackageStream;
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

/// Bytes that are read before they are digested.
const CHUNK_BYTES: usize = 256 * 1024;

/// Feeds everything that `source` holds to `digest`; says how many bytes that was.
pub(super) fn digest_all(mut source: impl Read, digest: &mut Sha256) -> io::Result<u64> {
    let mut chunk = Vec::with_capacity(CHUNK_BYTES);
    let mut length = 0;
    loop {
        chunk.clear();
        let mut next = source.by_ref().take(CHUNK_BYTES as u64);
        match next.read_to_end(&mut chunk)? {
            0 => return Ok(length),
            bytes => length += bytes as u64,
        }
        digest.update(&chunk);
    }
}

/// A file that is not complete yet.
pub(super) struct Partial {
    path: PathBuf,
    digest: Sha256,
    length: u64,
}

impl Partial {
    /// What an earlier try left at `path`, or nothing.
    pub(super) fn open(path: PathBuf) -> Result<Self, Failure> {
        let mut digest = Sha256::new();
        let length = match File::open(&path) {
            Ok(file) => digest_all(file, &mut digest).map_err(|error| Failure::file("read", &path, error))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(Failure::file("read", &path, error)),
        };
        Ok(Self { path, digest, length })
    }

    /// How many bytes are there.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Appends what `package` holds, or starts anew when it holds the whole.
    pub(super) async fn take(
        &mut self,
        mut package: PackageStream,
        on_bytes: impl Fn(u64),
    ) -> Result<(), Failure> {
        let continues = self.length > 0 && package.begins_at == self.length;
        let mut file = self.reopen(continues)?;
        if continues {
            on_bytes(self.length);
        }
        while let Some(chunk) = package.chunk().await? {
            file.write_all(&chunk)
                .map_err(|error| Failure::file("write", &self.path, error))?;
            self.digest.update(&chunk);
            self.length += chunk.len() as u64;
            on_bytes(chunk.len() as u64);
        }
        file.sync_all()
            .map_err(|error| Failure::file("write", &self.path, error))
    }

    fn reopen(&mut self, continues: bool) -> Result<File, Failure> {
        let mut options = OpenOptions::new();
        options.create(true);
        if continues {
            options.append(true);
        } else {
            (self.digest, self.length) = (Sha256::new(), 0);
            options.write(true).truncate(true);
        }
        options
            .open(&self.path)
            .map_err(|error| Failure::file("write", &self.path, error))
    }

    /// The digest of what is there.
    pub(super) fn sha256(&self) -> String {
        HEXLOWER.encode(&self.digest.clone().finalize())
    }

    /// Gives the file its final name.
    pub(super) fn finish(self, target: &Path) -> Result<(), Failure> {
        std::fs::rename(&self.path, target).map_err(|error| Failure::file("write", target, error))
    }

    /// Throws away what is there.
    pub(super) fn discard(self) {
        // A leftover does no harm: the next try looks at it again.
        let _ = std::fs::remove_file(self.path);
    }
}
