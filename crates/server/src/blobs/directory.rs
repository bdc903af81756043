//! A location in a folder of the file system. All but reading blocks.

use super::{BlobError, ByteStream, ObjectName, Reading, blocking};
use crate::{durable, free_space, private};
use futures::TryStreamExt;
use std::{
    collections::HashSet,
    fs::{self, File},
    io::{self, Seek, SeekFrom, Write},
    ops::Range,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::io::AsyncReadExt;
use tokio_util::io::ReaderStream;
use uuid::Uuid;

/// How many bytes one step reads.
const CHUNK_BYTES: usize = 512 * 1024;

/// The folder of a location, with `staging` and `objects` in it.
#[derive(Clone, Debug)]
pub(super) struct Directory {
    root: PathBuf,
    /// Bytes that stay free on its disk.
    floor: u64,
    /// The folders in `objects` that this process has made sure of.
    shards: Arc<Mutex<HashSet<PathBuf>>>,
}

impl Directory {
    pub(super) fn open(root: &Path, floor: u64) -> Result<Self, BlobError> {
        let directory = Self {
            root: root.to_owned(),
            floor,
            shards: Arc::default(),
        };
        create_durably(&directory.staging())?;
        create_durably(&directory.objects())?;
        // Both may have been made by a process that ended before it made sure of them.
        sync_folder(root)?;
        Ok(directory)
    }

    fn staging(&self) -> PathBuf {
        self.root.join("staging")
    }

    /// A new path for a staged file.
    pub(super) fn staging_path(&self) -> PathBuf {
        self.staging().join(Uuid::new_v4().to_string())
    }

    /// Whether there is room for more.
    pub(super) fn check_room(&self) -> Result<(), BlobError> {
        free_space::check(&self.root, self.floor).map_err(BlobError::file("write", &self.root))
    }

    fn objects(&self) -> PathBuf {
        self.root.join("objects")
    }

    fn object(&self, name: &ObjectName) -> PathBuf {
        self.objects().join(name.to_string())
    }

    /// Gives a staged file its final name, and makes that durable.
    pub(super) fn take_in(&self, staged: &Path, name: &ObjectName) -> Result<(), BlobError> {
        let target = self.object(name);
        let shard = target.parent().unwrap_or(&self.root);
        self.make_shard(shard)?;
        fs::rename(staged, &target).map_err(BlobError::file("name a staged file", &target))?;
        sync_folder(shard)
    }

    /// Makes a folder in `objects` that stays there. That it is there already does not say that it stays: somebody else may
    /// have made it this moment, or a process that a power cut ended.
    fn make_shard(&self, shard: &Path) -> Result<(), BlobError> {
        let known = || self.shards.lock().unwrap_or_else(PoisonError::into_inner);
        let is_known = known().contains(shard);
        if !is_known || !shard.exists() {
            private::make_folder(shard).map_err(BlobError::file("create", shard))?;
            sync_folder(&self.objects())?;
            known().insert(shard.to_owned());
        }
        Ok(())
    }

    pub(super) async fn read(
        &self,
        name: &ObjectName,
        range: Option<Range<u64>>,
    ) -> Result<Reading, BlobError> {
        let path = self.object(name);
        let (directory, name, opening) = (self.clone(), *name, path.clone());
        let (start, length) = range.map_or((0, u64::MAX), |range| {
            (range.start, range.end.saturating_sub(range.start))
        });
        let (file, size) = blocking(move || {
            open_at(&opening, start).map_err(|error| directory.unreadable(&name, &opening, error))
        })
        .await?;
        let file = tokio::fs::File::from_std(file).take(length);
        let bytes: ByteStream = Box::pin(
            ReaderStream::with_capacity(file, CHUNK_BYTES)
                .map_err(move |error| BlobError::file("read", &path)(error)),
        );
        Ok(Reading { size, bytes })
    }

    fn unreadable(&self, name: &ObjectName, path: &Path, error: io::Error) -> BlobError {
        if self.is_absent(&error) {
            BlobError::Missing {
                name: *name,
                location: self.root.display().to_string(),
            }
        } else {
            BlobError::file("open", path)(error)
        }
    }

    /// Whether it says that a file is not there. Where the folder itself is away, the file may come back with it.
    fn is_absent(&self, error: &io::Error) -> bool {
        error.kind() == io::ErrorKind::NotFound && self.objects().is_dir()
    }

    pub(super) fn remove(&self, name: &ObjectName) -> Result<(), BlobError> {
        let path = self.object(name);
        match fs::remove_file(&path) {
            Err(error) if self.is_absent(&error) => Ok(()),
            removed => removed.map_err(BlobError::file("remove", &path)),
        }
    }

    pub(super) fn sweep_staging(&self, age: Duration) -> Result<usize, BlobError> {
        let staging = self.staging();
        let failed = || BlobError::file("list", &staging);
        let mut removed = 0;
        for entry in fs::read_dir(&staging).map_err(failed())? {
            let entry = entry.map_err(failed())?;
            if !is_older(&entry, age) {
                continue;
            }
            match fs::remove_file(entry.path()) {
                Ok(()) => removed += 1,
                // Another server sweeps the same folder.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(BlobError::file("remove", &entry.path())(error)),
            }
        }
        Ok(removed)
    }

    pub(super) fn check(&self) -> Result<(), BlobError> {
        let path = self.staging_path();
        let created = private::options().write(true).create_new(true).open(&path);
        let written = created.and_then(|mut file| file.write_all(b"probe"));
        drop(fs::remove_file(&path));
        written.map_err(BlobError::file("write", &path))
    }
}

fn open_at(path: &Path, start: u64) -> io::Result<(File, u64)> {
    let mut file = File::open(path)?;
    let size = file.metadata()?.len();
    if start > 0 {
        file.seek(SeekFrom::Start(start))?;
    }
    Ok((file, size))
}

fn is_older(entry: &fs::DirEntry, age: Duration) -> bool {
    let touched = entry.metadata().and_then(|metadata| metadata.modified());
    touched.is_ok_and(|at| at.elapsed().is_ok_and(|elapsed| elapsed >= age))
}

/// Makes a folder and those above it, and lets none of those that it made be lost again.
fn create_durably(folder: &Path) -> Result<(), BlobError> {
    let is_missing = |above: &&Path| !above.as_os_str().is_empty() && !above.exists();
    let missing: Vec<&Path> = folder.ancestors().take_while(is_missing).collect();
    private::make_folder(folder).map_err(BlobError::file("create", folder))?;
    missing
        .into_iter()
        .filter_map(Path::parent)
        .try_for_each(sync_folder)
}

fn sync_folder(folder: &Path) -> Result<(), BlobError> {
    durable::sync_folder(folder).map_err(BlobError::file("sync", folder))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blobs::staged::StagedFile;

    #[test]
    fn a_folder_that_somebody_else_has_just_made_is_made_sure_of_all_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let directory = Directory::open(folder.path(), 0).unwrap();
        let name = ObjectName {
            sha256: [7; 32],
            generation: Uuid::nil(),
        };
        let shard = directory.objects().join("07");
        fs::create_dir(&shard).unwrap();
        assert!(directory.shards.lock().unwrap().is_empty());
        let publish = || StagedFile::create(directory.clone())?.publish(&name);
        publish().unwrap();
        assert!(directory.shards.lock().unwrap().contains(&shard));
        fs::remove_dir_all(&shard).unwrap();
        publish().unwrap();
        assert!(
            directory.object(&name).exists(),
            "it is made again where it was taken away"
        );
    }
}
