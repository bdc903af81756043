//! The agent's folder: its token, its journal, and packages on their way.
//!
//! One process at a time: the folder is locked for as long as it is held, so that two agents on one machine cannot take
//! each other for themselves. Who copies the folder to another machine is found out by the service.

use crate::owner_only::{self, NotOwnerOnly};
use domain::{ids::OperationId, instant::Instant};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
};
use wire::agent::AgentToken;

/// A folder that this process has for itself.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    /// The lock ends with it.
    _lock: File,
}

/// Why the folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// Another process has it.
    #[error("{} is used by another agent that is running", .0.display())]
    InUse(PathBuf),
    /// Others may enter it.
    #[error(transparent)]
    NotOwnerOnly(#[from] NotOwnerOnly),
    /// Something in it cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// What.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The token's file holds something else.
    #[error("{} is no token of an agent: enrol the agent again ({problem})", path.display())]
    NoToken {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
}

/// What an agent signs in with, as it is kept.
#[derive(Clone, Debug)]
pub struct KeptToken {
    /// What the operator calls the agent.
    pub name: String,
    /// The token.
    pub token: SecretString,
    /// When it was given.
    pub given_on: Instant,
    /// When it ends.
    pub expires_on: Instant,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct TokenFile {
    name: String,
    token: String,
    given_on: String,
    expires_on: String,
}

impl KeptToken {
    /// A token that was given at `now`. One that does not say when it ends counts as good for no longer than that.
    #[must_use]
    pub fn new(given: AgentToken, now: Instant) -> Self {
        Self {
            name: given.name,
            token: given.token.into(),
            given_on: now,
            expires_on: given.expires_on.parse().unwrap_or(now),
        }
    }
}

impl Folder {
    /// Takes the folder, and makes it if there is none.
    ///
    /// # Errors
    /// [`FolderError`] with what is wrong.
    pub fn open(path: &Path) -> Result<Self, FolderError> {
        let failed = |source| FolderError::Io {
            path: path.to_owned(),
            source,
        };
        owner_only::make_folder(path).map_err(failed)?;
        owner_only::check(path)?;
        let mut options = owner_only::options();
        let lock = options
            .write(true)
            .create(true)
            .truncate(false)
            .open(path.join("lock"));
        let lock = lock.map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(FolderError::InUse(path.to_owned())),
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        Ok(Self {
            path: path.to_owned(),
            _lock: lock,
        })
    }

    /// Where the journal is.
    #[must_use]
    pub fn journal(&self) -> PathBuf {
        self.path.join("journal")
    }

    /// Keeps a token in the place of the one before.
    ///
    /// # Errors
    /// [`FolderError::Io`] when it cannot be written.
    pub fn keep_token(&self, kept: &KeptToken) -> Result<(), FolderError> {
        let path = self.path.join("token");
        let file = TokenFile {
            name: kept.name.clone(),
            token: kept.token.expose_secret().to_owned(),
            given_on: kept.given_on.to_string(),
            expires_on: kept.expires_on.to_string(),
        };
        let written = serde_json::to_vec(&file)
            .map_err(io::Error::other)
            .and_then(|bytes| owner_only::replace(&path, &bytes));
        written.map_err(|source| FolderError::Io { path, source })
    }

    /// A folder for the package of an operation.
    ///
    /// # Errors
    /// [`FolderError::Io`] when it cannot be made.
    pub fn package_of(&self, operation: OperationId) -> Result<PathBuf, FolderError> {
        let path = self.packages().join(operation.to_string());
        match owner_only::make_folder(&path) {
            Ok(()) => Ok(path),
            Err(source) => Err(FolderError::Io { path, source }),
        }
    }

    /// Removes the package of an operation. That it could not is no loss: it is tried again at the next start.
    pub fn forget_package(&self, operation: OperationId) {
        let path = self.packages().join(operation.to_string());
        let _ = fs::remove_dir_all(path);
    }

    /// Removes all packages but those of `operations`.
    pub fn keep_packages(&self, operations: &[OperationId]) {
        let Ok(entries) = fs::read_dir(self.packages()) else {
            return;
        };
        for entry in entries.flatten() {
            let operation = entry.file_name().to_str().and_then(|name| name.parse().ok());
            if !operation.is_some_and(|id| operations.contains(&id)) {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
    }

    fn packages(&self) -> PathBuf {
        self.path.join("packages")
    }
}

/// Makes sure that the folder is its owner's alone, if it is there; making one is left to whoever enrols.
///
/// # Errors
/// Who else may use it, or why that cannot be found out.
pub(crate) fn check(path: &Path) -> Result<(), FolderError> {
    match fs::metadata(path) {
        Ok(found) if !found.is_dir() => Err(FolderError::Io {
            path: path.to_owned(),
            source: io::Error::from(io::ErrorKind::NotADirectory),
        }),
        Ok(_) => Ok(owner_only::check(path)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(FolderError::Io {
            path: path.to_owned(),
            source,
        }),
    }
}

/// The token that is kept in the folder at `path`, if there is one. Only looks: another process may have the folder.
///
/// # Errors
/// [`FolderError`] with what is wrong.
pub fn kept_token(path: &Path) -> Result<Option<KeptToken>, FolderError> {
    let path = path.join("token");
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(FolderError::Io { path, source }),
    };
    owner_only::check(&path)?;
    let no_token = |problem: String| FolderError::NoToken {
        path: path.clone(),
        problem,
    };
    let file: TokenFile = serde_json::from_slice(&text).map_err(|error| no_token(error.to_string()))?;
    let instant = |text: &str| {
        text.parse::<Instant>()
            .map_err(|error| no_token(error.to_string()))
    };
    Ok(Some(KeptToken {
        given_on: instant(&file.given_on)?,
        expires_on: instant(&file.expires_on)?,
        name: file.name,
        token: file.token.into(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn token() -> KeptToken {
        let given = AgentToken {
            name: "north".into(),
            token: "fameagt_x".into(),
            expires_on: "2026-03-01T00:00:00Z".into(),
        };
        KeptToken::new(given, "2026-01-01T00:00:00Z".parse().unwrap())
    }

    #[test]
    fn a_folder_is_for_one_process() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("agent");
        let held = Folder::open(&path).unwrap();
        assert!(matches!(Folder::open(&path), Err(FolderError::InUse(_))));
        drop(held);
        assert!(Folder::open(&path).is_ok());
    }

    #[test]
    fn a_token_is_kept_for_the_owner_alone() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("agent");
        let folder = Folder::open(&path).unwrap();
        assert!(kept_token(&path).unwrap().is_none());
        folder.keep_token(&token()).unwrap();
        let kept = kept_token(&path).unwrap().unwrap();
        assert_eq!(kept.token.expose_secret(), "fameagt_x");
        assert_eq!(kept.expires_on, token().expires_on);
        owner_only::check(&path.join("token")).unwrap();
        assert!(!format!("{kept:?}").contains("fameagt_x"));
        owner_only::replace(&path.join("token"), b"{").unwrap();
        assert!(matches!(kept_token(&path), Err(FolderError::NoToken { .. })));
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_or_a_token_that_others_may_read_is_not_used() {
        use std::{fs::Permissions, os::unix::fs::PermissionsExt};
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("agent");
        Folder::open(&path).unwrap().keep_token(&token()).unwrap();
        fs::set_permissions(path.join("token"), Permissions::from_mode(0o604)).unwrap();
        assert!(matches!(kept_token(&path), Err(FolderError::NotOwnerOnly(_))));
        fs::set_permissions(&path, Permissions::from_mode(0o750)).unwrap();
        assert!(matches!(Folder::open(&path), Err(FolderError::NotOwnerOnly(_))));
    }

    #[test]
    fn packages_of_operations_that_have_ended_go_away() {
        let home = tempfile::tempdir().unwrap();
        let folder = Folder::open(&home.path().join("agent")).unwrap();
        let [open, ended] = [1, 2].map(|number| OperationId(Uuid::from_u128(number)));
        for id in [open, ended] {
            fs::write(folder.package_of(id).unwrap().join("package.app"), b"x").unwrap();
        }
        folder.keep_packages(&[open]);
        let left: Vec<_> = fs::read_dir(folder.packages()).unwrap().flatten().collect();
        assert_eq!(left.len(), 1);
        folder.forget_package(open);
        assert_eq!(fs::read_dir(folder.packages()).unwrap().count(), 0);
    }
}
