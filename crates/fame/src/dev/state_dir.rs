//! What lasts from one `fame dev` to the next on the same folder: who exists and their secrets, keys, certificates,
//! the clock, and whether the sample data is complete.
//!
//! Sample data that is not complete was never shown to anybody: a start that was cut off in the middle is undone and
//! done again, so that nothing is ever there twice.

use entra_local::IssuerState;
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};
use uuid::Uuid;

/// Holds secrets in clear text; only its owner may read it.
const STATE_FILE: &str = "dev.json";
const LOCK_FILE: &str = "dev.lock";
const CA_FILE: &str = "ca.pem";
const KEY_FILE: &str = "secret.key";
/// What the service itself keeps: database and packages.
const SERVICE_FOLDER: &str = "service";

/// What the folder began with; it stays so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Beginning {
    /// The sample data.
    Demo,
    /// Nothing but the clients.
    Empty,
}

/// What is written down.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SavedState {
    /// What the folder began with.
    pub beginning: Beginning,
    /// Whether that beginning is complete.
    pub complete: bool,
    /// How far the service's clock is ahead of the machine's, in ticks of 100 nanoseconds.
    pub clock_offset: i64,
    /// The token issuer, with the secrets of all clients.
    pub issuer: IssuerState,
}

/// Why a folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum StateDirError {
    /// Another process does already.
    #[error("another `fame dev` is using {}", .0.display())]
    InUse(PathBuf),
    /// It has somebody else's data.
    #[error("{} holds data that is not of `fame dev`; choose another folder", .0.display())]
    NotOurs(PathBuf),
    /// What was written down cannot be read.
    #[error("{} is damaged ({source}); remove it to begin anew", file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// The file system refused.
    #[error("{}: {source}", path.display())]
    Files {
        /// What was read or written.
        path: PathBuf,
        /// Why it did not work.
        source: io::Error,
    },
}

fn files(path: &Path) -> impl FnOnce(io::Error) -> StateDirError {
    let path = path.to_owned();
    move |source| StateDirError::Files { path, source }
}

/// The folder, held for as long as this value lives; a temporary one is gone after that.
pub(super) struct StateDir {
    folder: PathBuf,
    is_temporary: bool,
    /// Written down whenever it changes.
    kept: Mutex<Option<SavedState>>,
    _lock: File,
}

impl StateDir {
    /// Takes `data` into use, or a temporary folder.
    ///
    /// # Errors
    /// A folder that is in use, is not ours, is damaged, or cannot be written.
    pub(super) fn open(data: Option<&Path>) -> Result<Self, StateDirError> {
        let folder = match data {
            Some(folder) => folder.to_owned(),
            None => std::env::temp_dir().join(format!("fame-dev-{}", Uuid::new_v4())),
        };
        make_private(&folder).map_err(files(&folder))?;
        let folder = std::path::absolute(&folder).map_err(files(&folder))?;
        let lock = hold(&folder)?;
        let state = Self {
            is_temporary: data.is_none(),
            kept: Mutex::new(None),
            _lock: lock,
            folder,
        };
        let kept = state.read()?;
        if kept.is_none() && (state.service_folder().exists() || state.folder.join("fame.db").exists()) {
            return Err(StateDirError::NotOurs(state.folder.clone()));
        }
        if kept.as_ref().is_some_and(|kept| !kept.complete) {
            state.undo_beginning()?;
        }
        *state.kept.lock().unwrap_or_else(PoisonError::into_inner) = kept;
        Ok(state)
    }

    fn read(&self) -> Result<Option<SavedState>, StateDirError> {
        let file = self.folder.join(STATE_FILE);
        let text = match fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(files(&file)(error)),
        };
        serde_json::from_str(&text)
            .map(Some)
            .map_err(|source| StateDirError::Damaged { file, source })
    }

    fn undo_beginning(&self) -> Result<(), StateDirError> {
        let folder = self.service_folder();
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(files(&folder)(error)),
            _ => Ok(()),
        }
    }

    /// What was written down last; nothing in a new folder.
    pub(super) fn kept(&self) -> Option<SavedState> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Writes the first state of a new folder down.
    ///
    /// # Errors
    /// As the file system has it; so for [`StateDir::change`].
    pub(super) fn begin(&self, first: SavedState) -> Result<(), StateDirError> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        self.write(&first)?;
        *kept = Some(first);
        Ok(())
    }

    /// Changes what is kept, and writes it down before anybody can rely on it.
    pub(super) fn change(&self, change: impl FnOnce(&mut SavedState)) -> Result<(), StateDirError> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(current) = kept.as_mut() else {
            return Ok(());
        };
        change(current);
        self.write(current)
    }

    /// Replaces the file as a whole: a crash leaves the old one or the new one.
    fn write(&self, kept: &SavedState) -> Result<(), StateDirError> {
        let file = self.folder.join(STATE_FILE);
        let fresh = self.folder.join(format!("{STATE_FILE}.new"));
        let text = serde_json::to_vec_pretty(kept)
            .map_err(io::Error::other)
            .map_err(files(&file))?;
        write_private(&fresh, &text).map_err(files(&fresh))?;
        fs::rename(&fresh, &file).map_err(files(&file))
    }

    /// Writes the certificate authority down, for clients to trust.
    ///
    /// # Errors
    /// As the file system has it.
    pub(super) fn write_authority(&self, pem: &str) -> Result<(), StateDirError> {
        let file = self.ca_file();
        fs::write(&file, pem).map_err(files(&file))
    }

    /// The key under which the service keeps secrets, made where there is none. It holds as long as the folder.
    ///
    /// # Errors
    /// As the file system has it.
    pub(super) fn secret_key(&self) -> Result<PathBuf, StateDirError> {
        let file = self.folder.join(KEY_FILE);
        if !file.exists() {
            let bytes = [Uuid::new_v4(), Uuid::new_v4()].map(Uuid::into_bytes).concat();
            write_private(&file, &bytes).map_err(files(&file))?;
        }
        Ok(file)
    }

    /// The folder, as an absolute path.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where the service keeps its database and packages.
    pub(super) fn service_folder(&self) -> PathBuf {
        self.folder.join(SERVICE_FOLDER)
    }

    /// The certificate authority that https is proven with, PEM.
    pub(super) fn ca_file(&self) -> PathBuf {
        self.folder.join(CA_FILE)
    }
}

impl Drop for StateDir {
    fn drop(&mut self) {
        if !self.is_temporary {
            return;
        }
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            tracing::warn!(%error, folder = %self.folder.display(), "the temporary folder could not be removed");
        }
    }
}

fn hold(folder: &Path) -> Result<File, StateDirError> {
    let path = folder.join(LOCK_FILE);
    let lock = File::create(&path).map_err(files(&path))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(StateDirError::InUse(folder.to_owned())),
        Err(TryLockError::Error(source)) => Err(files(&path)(source)),
    }
}

/// Makes the folder for its owner alone; one that is there stays as it is.
fn make_private(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        builder.mode(0o700);
    }
    builder.create(folder)
}

fn write_private(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let mut out = options.open(file)?;
    out.write_all(bytes)?;
    out.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dev::people;
    use entra_local::{Issuer, Settings};
    use std::sync::Arc;

    fn kept(complete: bool) -> SavedState {
        let settings = Settings {
            base_url: "https://127.0.0.1:1".into(),
            hosts: Vec::new(),
            clock: Arc::new(|| 0),
        };
        let issuer = Issuer::new(settings, people::directory(&[])).unwrap();
        SavedState {
            beginning: Beginning::Demo,
            complete,
            clock_offset: 7,
            issuer: issuer.state().unwrap(),
        }
    }

    fn use_once(folder: &Path, complete: bool) {
        let state = StateDir::open(Some(folder)).unwrap();
        state.begin(kept(complete)).unwrap();
        fs::create_dir(state.service_folder()).unwrap();
        fs::write(state.service_folder().join("fame.db"), "rows").unwrap();
    }

    #[test]
    fn what_is_written_down_is_there_again_and_for_nobody_else() {
        let folder = tempfile::tempdir().unwrap();
        use_once(folder.path(), true);
        let state = StateDir::open(Some(folder.path())).unwrap();
        assert_eq!(state.kept().unwrap().clock_offset, 7);
        assert!(state.service_folder().join("fame.db").exists());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = fs::metadata(folder.path().join(STATE_FILE))
                .unwrap()
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn a_beginning_that_was_cut_off_is_undone_but_nobody_gets_another_secret() {
        let folder = tempfile::tempdir().unwrap();
        use_once(folder.path(), false);
        let state = StateDir::open(Some(folder.path())).unwrap();
        assert!(state.kept().is_some());
        assert!(!state.service_folder().exists());
    }

    #[test]
    fn two_do_not_use_one_folder_and_nobody_a_strange_one() {
        let folder = tempfile::tempdir().unwrap();
        let first = StateDir::open(Some(folder.path())).unwrap();
        assert!(matches!(
            StateDir::open(Some(folder.path())),
            Err(StateDirError::InUse(_))
        ));
        drop(first);
        fs::write(folder.path().join("fame.db"), "somebody's").unwrap();
        assert!(matches!(
            StateDir::open(Some(folder.path())),
            Err(StateDirError::NotOurs(_))
        ));
    }

    #[test]
    fn a_temporary_folder_is_gone_afterwards() {
        let state = StateDir::open(None).unwrap();
        let folder = state.folder().to_owned();
        assert!(folder.exists());
        drop(state);
        assert!(!folder.exists());
    }
}
