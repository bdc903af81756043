//! A location in a folder of the file system.

use super::{ByteStream, ObjectName, Reading, Staged, missing};
use std::{
    collections::HashSet,
    fs::{self, File},
    io::{self, Seek, SeekFrom},
    ops::Range,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::io::AsyncReadExt;
use tokio_util::io::ReaderStream;
use uuid::Uuid;

/// How much of a file is read at once.
const CHUNK: usize = 512 * 1024;

/// The folder of a location, with `staging` and `objects` in it.
#[derive(Clone, Debug)]
pub(super) struct Directory {
    root: PathBuf,
    /// The folders in `objects` that this process has made sure of.
    shards: Arc<Mutex<HashSet<PathBuf>>>,
}

impl Directory {
    pub(super) fn open(root: &Path) -> io::Result<Self> {
        let directory = Self {
            root: root.to_owned(),
            shards: Arc::default(),
        };
        create_durably(&directory.staging())?;
        create_durably(&directory.objects())?;
        // Both may have been made by a process that ended before it made sure of them.
        sync_folder(root)?;
        Ok(directory)
    }

    pub(super) fn staging(&self) -> PathBuf {
        self.root.join("staging")
    }

    fn objects(&self) -> PathBuf {
        self.root.join("objects")
    }

    fn object(&self, name: &ObjectName) -> PathBuf {
        self.objects().join(name.to_string())
    }

    pub(super) fn stage(&self) -> io::Result<Staged> {
        let path = self.staging().join(Uuid::new_v4().to_string());
        let file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)?;
        Ok(Staged::to_file(file, path))
    }

    pub(super) fn publish(&self, staged: Staged, name: &ObjectName) -> io::Result<()> {
        let (file, path) = staged.file()?;
        let target = self.object(name);
        let shard = target.parent().unwrap_or(&self.root);
        file.sync_all()?;
        self.make_shard(shard)?;
        fs::rename(path, &target)?;
        sync_folder(shard)
    }

    /// Makes a folder in `objects` that stays there. That it is there already does not say that it stays: somebody else may
    /// have made it this moment, or a process that a power cut ended.
    fn make_shard(&self, shard: &Path) -> io::Result<()> {
        let known = || self.shards.lock().unwrap_or_else(PoisonError::into_inner);
        let is_known = known().contains(shard);
        if !is_known || !shard.exists() {
            fs::create_dir_all(shard)?;
            sync_folder(&self.objects())?;
            known().insert(shard.to_owned());
        }
        Ok(())
    }

    pub(super) async fn read(&self, name: &ObjectName, range: Option<Range<u64>>) -> io::Result<Reading> {
        let (path, objects) = (self.object(name), self.objects());
        let (start, length) = range.map_or((0, None), |range| {
            (range.start, Some(range.end.saturating_sub(range.start)))
        });
        let open = move || open_at(&path, start).map_err(|error| (error, objects.is_dir()));
        let opened = tokio::task::spawn_blocking(open)
            .await
            .map_err(io::Error::other)?;
        let (file, size) = opened.map_err(|(error, is_mounted)| {
            if error.kind() == io::ErrorKind::NotFound && is_mounted {
                missing(name, self.root.display())
            } else {
                error
            }
        })?;
        let file = tokio::fs::File::from_std(file);
        let bytes: ByteStream = match length {
            None => Box::pin(ReaderStream::with_capacity(file, CHUNK)),
            Some(length) => Box::pin(ReaderStream::with_capacity(file.take(length), CHUNK)),
        };
        Ok(Reading { size, bytes })
    }

    pub(super) fn remove(&self, name: &ObjectName) -> io::Result<()> {
        match fs::remove_file(self.object(name)) {
            // Where the folder itself is away, the bytes may come back with it.
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.objects().is_dir() => Ok(()),
            removed => removed,
        }
    }

    pub(super) fn sweep_staging(&self, age: Duration) -> io::Result<usize> {
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

    pub(super) fn check(&self) -> io::Result<()> {
        let mut probe = self.stage()?;
        probe.write(b"probe")
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
fn create_durably(folder: &Path) -> io::Result<()> {
    let is_missing = |above: &&Path| !above.as_os_str().is_empty() && !above.exists();
    let missing: Vec<&Path> = folder.ancestors().take_while(is_missing).collect();
    fs::create_dir_all(folder)?;
    for made in missing {
        match made.parent() {
            Some(above) if above.as_os_str().is_empty() => sync_folder(Path::new("."))?,
            Some(above) => sync_folder(above)?,
            None => {}
        }
    }
    Ok(())
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_somebody_else_has_just_made_is_made_sure_of_all_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let directory = Directory::open(folder.path()).unwrap();
        let name = ObjectName {
            sha256: [7; 32],
            generation: Uuid::nil(),
        };
        let shard = directory.objects().join("07");
        fs::create_dir(&shard).unwrap();
        assert!(directory.shards.lock().unwrap().is_empty());
        directory.publish(directory.stage().unwrap(), &name).unwrap();
        assert!(directory.shards.lock().unwrap().contains(&shard));
        fs::remove_dir_all(&shard).unwrap();
        directory.publish(directory.stage().unwrap(), &name).unwrap();
        assert!(
            directory.object(&name).exists(),
            "it is made again where it was taken away"
        );
    }
}
