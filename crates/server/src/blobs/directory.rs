//! A location in a folder of the file system.

use super::{ByteStream, ObjectName, Reading, Staged, missing};
use std::{
    fs::{self, File},
    io::{self, Seek, SeekFrom},
    ops::Range,
    path::{Path, PathBuf},
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
}

impl Directory {
    pub(super) fn open(root: &Path) -> io::Result<Self> {
        let directory = Self {
            root: root.to_owned(),
        };
        fs::create_dir_all(directory.staging())?;
        fs::create_dir_all(directory.objects())?;
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
        let folder = target.parent().unwrap_or(&self.root);
        file.sync_all()?;
        if !folder.exists() {
            fs::create_dir_all(folder)?;
            sync_folder(&self.objects())?;
        }
        fs::rename(path, &target)?;
        sync_folder(folder)
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

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
