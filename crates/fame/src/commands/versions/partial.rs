//! Package bytes on their way to this machine.
//!
//! What has arrived stays in a `.part` file beside the target until all of it is there and its digest is right, so
//! that a broken connection costs nothing and a file under its final name is always whole. The file is locked: of two
//! downloads of the same, the second makes a file of its own. What is checked is what lies there, not what arrived.

use crate::failure::Failure;
use client::PackageStream;
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};
use uuid::Uuid;

/// Bytes that are read before they are digested.
const CHUNK_BYTES: usize = 256 * 1024;

/// The SHA-256 of everything that `source` holds, and how many bytes that was.
pub(super) fn digest_of(mut source: impl Read) -> io::Result<(String, u64)> {
    let mut digest = Sha256::new();
    let mut chunk = Vec::with_capacity(CHUNK_BYTES);
    let mut length = 0;
    loop {
        chunk.clear();
        let mut next = source.by_ref().take(CHUNK_BYTES as u64);
        match next.read_to_end(&mut chunk)? {
            0 => return Ok((HEXLOWER.encode(&digest.finalize()), length)),
            bytes => length += bytes as u64,
        }
        digest.update(&chunk);
    }
}

/// A file that is not complete yet, and that no other process writes.
pub(super) struct Partial {
    path: PathBuf,
    file: File,
    length: u64,
    /// Whether nobody would find it again.
    is_own: bool,
}

impl Partial {
    /// What an earlier try left at `path`, or nothing. Where another process is at it, a new file beside it.
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        let file = locked(path).map_err(|error| Failure::file("write", path, error))?;
        let is_own = file.is_none();
        let (path, file) = match file {
            Some(file) => (path.to_owned(), file),
            None => {
                let own = path.with_extension(format!("{}.part", Uuid::new_v4()));
                let made = OpenOptions::new()
                    .read(true)
                    .write(true)
                    .create_new(true)
                    .open(&own);
                let file = made.map_err(|error| Failure::file("write", &own, error))?;
                (own, file)
            }
        };
        let metadata = file
            .metadata()
            .map_err(|error| Failure::file("read", &path, error))?;
        Ok(Self {
            path,
            file,
            length: metadata.len(),
            is_own,
        })
    }

    /// How many bytes are there.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    fn failed(&self, error: io::Error) -> Failure {
        Failure::file("write", &self.path, error)
    }

    /// Throws away what is there, to begin anew.
    pub(super) fn clear(&mut self) -> Result<(), Failure> {
        self.length = 0;
        self.file.set_len(0).map_err(|error| self.failed(error))
    }

    /// Appends what `package` holds, or starts anew when it does not begin where this ends.
    pub(super) async fn take(
        &mut self,
        mut package: PackageStream,
        on_bytes: impl Fn(u64),
    ) -> Result<(), Failure> {
        if package.begins_at != self.length {
            self.clear()?;
        }
        on_bytes(self.length);
        let end = SeekFrom::Start(self.length);
        self.file.seek(end).map_err(|error| self.failed(error))?;
        while let Some(chunk) = package.chunk().await? {
            self.file.write_all(&chunk).map_err(|error| self.failed(error))?;
            self.length += chunk.len() as u64;
            on_bytes(chunk.len() as u64);
        }
        Ok(())
    }

    /// Makes what is there last, and reads it: its digest.
    pub(super) fn sha256(&mut self) -> Result<String, Failure> {
        self.file.sync_all().map_err(|error| self.failed(error))?;
        self.file.rewind().map_err(|error| self.failed(error))?;
        let (digest, length) =
            digest_of(&self.file).map_err(|error| Failure::file("read", &self.path, error))?;
        self.length = length;
        Ok(digest)
    }

    /// Gives the file its final name besides its own, if nothing has that name: of two processes at once, one is first. Where
    /// files have one name only, nobody is.
    pub(super) fn is_first_at(&self, target: &Path) -> bool {
        fs::hard_link(&self.path, target).is_ok()
    }

    /// Gives the file its final name, which it may have already, alone.
    pub(super) fn finish(self, target: &Path, has_it: bool) -> Result<(), Failure> {
        let named = match has_it {
            true => fs::remove_file(&self.path),
            false => fs::rename(&self.path, target),
        };
        let named = named.and_then(|()| sync_folder(target));
        named.map_err(|error| Failure::file("write", target, error))
    }

    /// Throws away what nobody would find again.
    pub(super) fn give_up(self) {
        if self.is_own {
            self.discard();
        }
    }

    /// Throws the file away.
    pub(super) fn discard(self) {
        // A leftover does no harm: the next try looks at it again.
        let _ = fs::remove_file(self.path);
    }
}

/// The file at `path`, for this process alone; none where another process has it, or where files cannot be locked.
fn locked(path: &Path) -> io::Result<Option<File>> {
    loop {
        // What somebody else has put there may lead elsewhere.
        if fs::symlink_metadata(path).is_ok_and(|there| !there.is_file()) {
            return Ok(None);
        }
        let mut options = OpenOptions::new();
        let file = options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        if file.try_lock().is_err() {
            return Ok(None);
        }
        // Who had it locked may have given it its final name in the meantime.
        if is_at(&file, path)? {
            return Ok(Some(file));
        }
    }
}

#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let id = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
    match fs::symlink_metadata(path) {
        Ok(there) => Ok(id(there) == id(file.metadata()?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(not(unix))]
fn is_at(_: &File, path: &Path) -> io::Result<bool> {
    path.try_exists()
}

/// Makes a name in its folder last.
#[cfg(unix)]
fn sync_folder(target: &Path) -> io::Result<()> {
    let folder = target.parent().filter(|folder| *folder != Path::new(""));
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}
