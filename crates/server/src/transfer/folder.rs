//! The folder of an export, on this machine's disk.
//!
//! It holds everything that the service knows, e-mail addresses included, so nobody but its owner may read it. A file
//! gets its name only when it is complete and on disk. While an export is being written, its folder holds the file
//! `unfinished`, locked; the manifest takes its place in the end.

use super::{
    TransferError,
    format::{MANIFEST, MOST_MANIFEST_BYTES, Part},
};
use crate::durable;
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use std::{
    fs::{self, File, TryLockError},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};
use uuid::Uuid;

const UNFINISHED: &str = "unfinished";
const ROWS: &str = "rows";
const PACKAGES: &str = "packages";
/// Ends the names of files that are being written.
const PARTIAL: &str = ".partial";

/// An export's folder.
#[derive(Clone, Debug)]
pub(super) struct Folder {
    root: PathBuf,
}

/// Held while an export is written into a folder.
pub(super) struct Writing {
    _lock: File,
}

impl Folder {
    /// The folder of an export that is to be read.
    pub(super) fn existing(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
        }
    }

    /// Makes a folder ready for an export: a new one, or one that an earlier try did not finish. What rows that one
    /// wrote are removed, its packages stay.
    pub(super) fn begin(root: &Path) -> Result<(Self, Writing), TransferError> {
        let folder = Self::existing(root);
        let failed = || TransferError::files(format!("folder {}", root.display()));
        make_private(root).map_err(failed())?;
        folder.refuse_foreign()?;
        let lock = private_file(&folder.path(UNFINISHED), false).map_err(failed())?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(TransferError::Refused(format!(
                    "Another export is being written to {}.",
                    root.display()
                )));
            }
            Err(TryLockError::Error(source)) => return Err(failed()(source)),
        }
        folder.clear().map_err(failed())?;
        Ok((folder, Writing { _lock: lock }))
    }

    /// Refuses a folder that holds anything but an unfinished export.
    fn refuse_foreign(&self) -> Result<(), TransferError> {
        let failed = || TransferError::files(format!("folder {}", self.root.display()));
        if self.path(MANIFEST).exists() {
            return Err(TransferError::Refused(format!(
                "{} holds an export already; name another folder.",
                self.root.display()
            )));
        }
        let is_unfinished = self.path(UNFINISHED).exists();
        let mut entries = fs::read_dir(&self.root).map_err(failed())?;
        match entries.next().transpose().map_err(failed())? {
            Some(entry) if !is_unfinished => Err(TransferError::Refused(format!(
                "{} holds something else already ({}); name an empty or a new folder.",
                self.root.display(),
                entry.file_name().display()
            ))),
            _ => Ok(()),
        }
    }

    /// Removes the rows of an earlier try, and its files that were not complete.
    fn clear(&self) -> io::Result<()> {
        let rows = self.path(ROWS);
        if rows.exists() {
            fs::remove_dir_all(&rows)?;
        }
        make_private(&rows)?;
        let packages = self.path(PACKAGES);
        make_private(&packages)?;
        for subfolder in fs::read_dir(&packages)? {
            for file in fs::read_dir(subfolder?.path())? {
                let path = file?.path();
                if path.to_string_lossy().ends_with(PARTIAL) {
                    fs::remove_file(path)?;
                }
            }
        }
        Ok(())
    }

    /// The path of one of its files.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Whether a file of that name and size is there; files with a final name are complete.
    pub(super) fn has(&self, name: &str, size: u64) -> bool {
        self.plain(name).is_ok_and(|found| found == size)
    }

    /// The size of a plain file; a link, a device or a folder is none.
    pub(super) fn plain(&self, name: &str) -> io::Result<u64> {
        let metadata = fs::symlink_metadata(self.path(name))?;
        if metadata.is_file() {
            Ok(metadata.len())
        } else {
            Err(io::Error::new(io::ErrorKind::InvalidInput, "is no plain file"))
        }
    }

    /// Begins a file that appears under `name` when it is complete.
    pub(super) fn create(&self, name: &str) -> Result<NewFile, TransferError> {
        let target = self.path(name);
        let partial = target.with_added_extension(format!("{}{PARTIAL}", Uuid::new_v4().simple()));
        let opened = (|| {
            if let Some(folder) = target.parent() {
                make_private(folder)?;
            }
            private_file(&partial, true)
        })();
        let file = opened.map_err(TransferError::files(format!("{}", target.display())))?;
        Ok(NewFile {
            file: Some(file),
            target,
            partial,
        })
    }

    /// Writes a file as a whole.
    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> Result<(), TransferError> {
        let mut file = self.create(name)?;
        file.write(bytes)?;
        file.finish()
    }

    /// Ends the export: from now on it is one.
    pub(super) fn finish(&self, manifest: &[u8]) -> Result<(), TransferError> {
        self.write(MANIFEST, manifest)?;
        let failed = TransferError::files(format!("folder {}", self.root.display()));
        fs::remove_file(self.path(UNFINISHED)).map_err(failed)
    }

    /// The manifest's bytes.
    pub(super) fn manifest(&self) -> Result<Vec<u8>, TransferError> {
        let name = self.path(MANIFEST);
        match self.plain(MANIFEST) {
            Ok(size) if size <= MOST_MANIFEST_BYTES => {}
            Ok(_) => return Err(TransferError::damaged(MANIFEST, "is too large")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(self.no_manifest()),
            Err(source) => return Err(TransferError::files(name.display().to_string())(source)),
        }
        read_at_most(&name, MOST_MANIFEST_BYTES).map_err(TransferError::files(name.display().to_string()))
    }

    fn no_manifest(&self) -> TransferError {
        let shown = self.root.display();
        TransferError::NotFound(if self.path(UNFINISHED).exists() {
            format!("The export in {shown} is unfinished; run 'fame export' again to finish it.")
        } else {
            format!("There is no export in {shown}: it has no {MANIFEST}.")
        })
    }

    /// The bytes of a part, which are what the manifest says.
    pub(super) fn part(&self, part: &Part) -> Result<Vec<u8>, TransferError> {
        let size = self
            .plain(&part.file)
            .map_err(|error| TransferError::damaged(&part.file, error))?;
        if size != part.bytes {
            let problem = format!("is {size} bytes long, not {}", part.bytes);
            return Err(TransferError::damaged(&part.file, problem));
        }
        let path = self.path(&part.file);
        let bytes =
            read_at_most(&path, part.bytes).map_err(TransferError::files(format!("{}", path.display())))?;
        if HEXLOWER.encode(&Sha256::digest(&bytes)) != part.sha256 {
            return Err(TransferError::damaged(
                &part.file,
                "is damaged: its SHA-256 is not the manifest's",
            ));
        }
        Ok(bytes)
    }
}

fn read_at_most(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A file on its way to its name. Dropping it removes what is not finished.
pub(super) struct NewFile {
    file: Option<File>,
    target: PathBuf,
    partial: PathBuf,
}

impl NewFile {
    fn failed(&self) -> impl FnOnce(io::Error) -> TransferError + use<> {
        TransferError::files(format!("cannot write {}", self.target.display()))
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), TransferError> {
        let failed = self.failed();
        match &mut self.file {
            Some(file) => file.write_all(bytes).map_err(failed),
            None => Err(TransferError::Fault("a finished file was written to".into())),
        }
    }

    /// Makes it durable and gives it its name.
    pub(super) fn finish(mut self) -> Result<(), TransferError> {
        let failed = self.failed();
        let Some(file) = self.file.take() else {
            return Ok(());
        };
        let finished = (|| {
            file.sync_all()?;
            fs::rename(&self.partial, &self.target)?;
            self.target.parent().map_or(Ok(()), durable::sync_folder)
        })();
        finished.map_err(failed)
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        // A finished file is not under this name any more; what a failed removal leaves, the next try removes.
        drop(fs::remove_file(&self.partial));
    }
}

/// Makes a folder that only its owner may enter, and those above it.
fn make_private(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)?;
    folder.parent().map_or(Ok(()), durable::sync_folder)
}

/// Opens a file for writing that only its owner may read.
fn private_file(path: &Path, must_be_new: bool) -> io::Result<File> {
    let mut options = File::options();
    options.write(true).create(true).create_new(must_be_new);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
