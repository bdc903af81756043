//! Files and folders that nobody but the account that made them may read or change.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Write},
    path::Path,
};

/// Who else may use a file or a folder.
#[derive(Debug, thiserror::Error)]
pub enum NotOwnerOnly {
    /// Others may, too.
    #[error("{path} may be used by others (its mode is {mode:04o}): chmod {wanted:04o} it")]
    Open {
        /// Which.
        path: String,
        /// What its mode is.
        mode: u32,
        /// What it should be.
        wanted: u32,
    },
    /// It cannot be looked at.
    #[error("{path}: {source}")]
    Unreadable {
        /// Which.
        path: String,
        /// What the system said.
        source: io::Error,
    },
}

/// Makes sure that nobody else may use what is at `path`.
///
/// Where a system has no such modes, whoever set up the folder says who may enter it.
///
/// # Errors
/// [`NotOwnerOnly`] with what is wrong.
pub fn check(path: &Path) -> Result<(), NotOwnerOnly> {
    let found = fs::metadata(path).map_err(|source| NotOwnerOnly::Unreadable {
        path: path.display().to_string(),
        source,
    })?;
    match others_mode(&found) {
        None => Ok(()),
        Some(mode) => Err(NotOwnerOnly::Open {
            path: path.display().to_string(),
            mode,
            wanted: if found.is_dir() { 0o700 } else { 0o600 },
        }),
    }
}

/// The mode of a file that others than its owner may use.
#[cfg(unix)]
pub(crate) fn others_mode(found: &fs::Metadata) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt;
    let mode = found.permissions().mode() & 0o7777;
    (mode & 0o077 != 0).then_some(mode)
}

#[cfg(not(unix))]
pub(crate) fn others_mode(_: &fs::Metadata) -> Option<u32> {
    None
}

/// Makes a folder, and those above it, which nobody else may enter.
///
/// # Errors
/// What the system says.
pub fn make_folder(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// How to open a file that nobody else may read once it is made.
#[must_use]
pub fn options() -> OpenOptions {
    #[cfg_attr(not(unix), allow(unused_mut, reason = "there are no modes to set"))]
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Puts `bytes` in the place of the file at `path`: all of them or, whatever happens, none.
///
/// # Errors
/// What the system says.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut file = options().write(true).create(true).truncate(true).open(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    sync_folder(path)
}

/// Makes a change of name in the folder of `path` outlive a power cut.
///
/// # Errors
/// What the system says.
#[cfg(unix)]
pub fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    fs::File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// There is nothing to do where a system sees to that.
///
/// # Errors
/// None.
#[cfg(not(unix))]
pub fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn what_others_may_read_is_told_with_its_mode() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("policy.toml");
        replace(&path, b"x").unwrap();
        assert!(check(&path).is_ok());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let refused = check(&path).unwrap_err().to_string();
        assert!(
            refused.contains("0640") && refused.contains("chmod 0600"),
            "{refused}"
        );
        assert!(check(&folder.path().join("none")).is_err());
    }

    #[test]
    fn a_file_is_replaced_as_a_whole_and_stays_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        for text in ["the first, which is longer", "the second"] {
            replace(&path, text.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        assert!(check(&path).is_ok());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
