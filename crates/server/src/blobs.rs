//! Package bytes: one store for each storage location, addressed by content.
//!
//! A store is a directory. Bytes arrive in its `staging` folder under a random name, are made durable there, and only
//! then move to their final name, which is their hash. So a final name never shows half a package, identical bytes for
//! several countries are kept once, and whatever a crash leaves behind lies in `staging` or is listed in the `blobs`
//! table, where the sweeper finds it.

use crate::config::Settings;
use sha2::{Digest, Sha256};
use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    time::Duration,
};
use uuid::Uuid;

/// All storage locations of the configuration.
pub(crate) struct Blobs {
    by_key: HashMap<String, Directory>,
}

/// Location names compare without regard to case.
fn location_key(name: &str) -> String {
    name.trim().to_lowercase()
}

impl Blobs {
    /// Opens every configured location, making its folders where they are missing.
    pub(crate) fn open(settings: &Settings) -> io::Result<Self> {
        let mut by_key = HashMap::new();
        for location in &settings.storage.locations {
            let directory = Directory::open(&location.name, &location.directory)?;
            by_key.insert(location_key(&location.name), directory);
        }
        Ok(Self { by_key })
    }

    /// The store of a location, if it is mapped.
    pub(crate) fn location(&self, name: &str) -> Option<&Directory> {
        self.by_key.get(&location_key(name))
    }

    /// The store of a location that something was stored in before; the start made sure that it is still mapped.
    pub(crate) fn known_location(&self, name: &str) -> io::Result<&Directory> {
        self.location(name).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::NotFound,
                format!("the storage location '{name}' is not configured"),
            )
        })
    }

    /// The configured names, for messages.
    pub(crate) fn names(&self) -> Vec<&str> {
        let mut names: Vec<_> = self
            .by_key
            .values()
            .map(|directory| directory.name.as_str())
            .collect();
        names.sort_unstable();
        names
    }

    /// Every store.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Directory> {
        self.by_key.values()
    }
}

/// One storage location on the local file system.
#[derive(Clone, Debug)]
pub(crate) struct Directory {
    /// The location's name, as configured.
    pub(crate) name: String,
    root: PathBuf,
}

impl Directory {
    fn open(name: &str, root: &Path) -> io::Result<Self> {
        let directory = Self {
            name: name.to_owned(),
            root: root.to_owned(),
        };
        fs::create_dir_all(directory.staging())?;
        fs::create_dir_all(directory.objects())?;
        Ok(directory)
    }

    fn staging(&self) -> PathBuf {
        self.root.join("staging")
    }

    fn objects(&self) -> PathBuf {
        self.root.join("objects")
    }

    fn object(&self, sha256: &[u8; 32]) -> PathBuf {
        let name = hex(sha256);
        self.objects().join(&name[..2]).join(&name)
    }

    /// A place for bytes that are still arriving. Blocks.
    pub(crate) fn stage(&self) -> io::Result<Staged> {
        let path = self.staging().join(Uuid::new_v4().to_string());
        let file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)?;
        Ok(Staged {
            file,
            path,
            hasher: Sha256::new(),
            size: 0,
        })
    }

    /// Makes staged bytes durable under their hash. Blocks.
    pub(crate) fn publish(&self, staged: &Staged, sha256: &[u8; 32]) -> io::Result<()> {
        let target = self.object(sha256);
        let folder = target.parent().unwrap_or(&self.root);
        staged.file.sync_all()?;
        if !folder.exists() {
            fs::create_dir_all(folder)?;
            sync_folder(&self.objects())?;
        }
        fs::rename(&staged.path, &target)?;
        sync_folder(folder)
    }

    /// Opens stored bytes.
    pub(crate) async fn read(&self, sha256: &[u8; 32]) -> io::Result<tokio::fs::File> {
        tokio::fs::File::open(self.object(sha256)).await
    }

    /// Removes stored bytes; that they are gone already is no failure. Blocks.
    pub(crate) fn remove(&self, sha256: &[u8; 32]) -> io::Result<()> {
        match fs::remove_file(self.object(sha256)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Removes staged bytes that nothing has been added to for `age`; how many there were. Blocks.
    pub(crate) fn sweep_staging(&self, age: Duration) -> io::Result<usize> {
        let mut removed = 0;
        for entry in fs::read_dir(self.staging())? {
            let entry = entry?;
            if !is_older(&entry, age) {
                continue;
            }
            match fs::remove_file(entry.path()) {
                Ok(()) => removed += 1,
                // Another server sweeps the same folder.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(removed)
    }

    /// Whether bytes can be written here now. Blocks.
    pub(crate) fn check(&self) -> io::Result<()> {
        let mut probe = self.stage()?;
        probe.write(b"probe")
    }
}

fn is_older(entry: &fs::DirEntry, age: Duration) -> bool {
    let touched = entry.metadata().and_then(|metadata| metadata.modified());
    touched.is_ok_and(|at| at.elapsed().is_ok_and(|elapsed| elapsed >= age))
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

/// Bytes on their way into a store. Dropping it removes what was not published.
pub(crate) struct Staged {
    file: File,
    path: PathBuf,
    hasher: Sha256,
    size: u64,
}

impl Staged {
    /// Adds bytes. Blocks.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
        self.file.write_all(bytes)
    }

    /// How many bytes there are.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// The hash of all bytes so far.
    pub(crate) fn sha256(&self) -> [u8; 32] {
        self.hasher.clone().finalize().into()
    }

    /// The file, for reading what was written.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        // After publishing there is nothing under this name; what a failed removal leaves, the sweeper takes.
        drop(fs::remove_file(&self.path));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (tempfile::TempDir, Directory) {
        let folder = tempfile::tempdir().unwrap();
        let directory = Directory::open("West Europe", folder.path()).unwrap();
        (folder, directory)
    }

    fn names_in(folder: &Path) -> usize {
        fs::read_dir(folder).unwrap().count()
    }

    #[tokio::test]
    async fn published_bytes_are_found_under_their_hash_and_nothing_stays_staged() {
        let (_folder, store) = store();
        let mut staged = store.stage().unwrap();
        staged.write(b"one ").unwrap();
        staged.write(b"two").unwrap();
        let sha256 = staged.sha256();
        store.publish(&staged, &sha256).unwrap();
        drop(staged);
        let mut text = String::new();
        let mut file = store.read(&sha256).await.unwrap();
        tokio::io::AsyncReadExt::read_to_string(&mut file, &mut text)
            .await
            .unwrap();
        assert_eq!(text, "one two");
        assert_eq!(names_in(&store.staging()), 0);
    }

    #[test]
    fn what_is_not_published_goes_with_its_handle() {
        let (_folder, store) = store();
        let mut staged = store.stage().unwrap();
        staged.write(b"half").unwrap();
        assert_eq!(names_in(&store.staging()), 1);
        drop(staged);
        assert_eq!(names_in(&store.staging()), 0);
    }

    #[test]
    fn the_sweeper_takes_what_a_crash_left_and_spares_what_is_young() {
        let (_folder, store) = store();
        fs::write(store.staging().join("left-behind"), b"x").unwrap();
        assert_eq!(store.sweep_staging(Duration::from_secs(3600)).unwrap(), 0);
        assert_eq!(store.sweep_staging(Duration::ZERO).unwrap(), 1);
    }

    #[test]
    fn removing_twice_is_no_failure() {
        let (_folder, store) = store();
        store.remove(&[7; 32]).unwrap();
        store.remove(&[7; 32]).unwrap();
    }
}
