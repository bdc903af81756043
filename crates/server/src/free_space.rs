//! Room on the service's disks: what adds to them is refused while there is still some left, so that what is kept can be
//! read, changed and put right.

use crate::config::{Location, Settings};
use std::{io, path::Path};

/// What a change of some size may take, in bytes.
const OF_ONE_CHANGE: u64 = 64 * 1024;

/// What is wrong with the room on the disks of folders for packages and of a SQLite database, one problem for each place
/// with less than is kept free.
pub(crate) fn shortages(settings: &Settings) -> Vec<io::Error> {
    let database = settings.database.url.sqlite_path();
    let database = database.as_deref().map(folder_of);
    let folders = settings.storage.locations.iter().filter_map(Location::folder);
    let checked = folders
        .chain(database)
        .map(|folder| check(folder, settings.storage.min_free_bytes));
    checked.filter_map(Result::err).collect()
}

/// Whether a SQLite database lies on a disk that has no room left for a change.
pub(crate) fn is_database_full(settings: &Settings) -> bool {
    let database = settings.database.url.sqlite_path();
    database.is_some_and(|database| free_at(folder_of(&database)).is_some_and(|free| free < OF_ONE_CHANGE))
}

/// Where a SQLite database lies.
pub(crate) fn folder_of(database: &Path) -> &Path {
    database.parent().unwrap_or(database)
}

/// Whether more may be written where `folder` is, of which `floor` bytes are to stay free; 0 is no floor. What cannot be
/// asked is no reason to refuse.
///
/// # Errors
/// [`io::ErrorKind::StorageFull`], with the figures.
pub(crate) fn check(folder: &Path, floor: u64) -> io::Result<()> {
    if floor == 0 {
        return Ok(());
    }
    let Some(free) = free_at(folder).filter(|free| *free < floor) else {
        return Ok(());
    };
    let folder = folder.display();
    let message =
        format!("{free} bytes are free at {folder}, where {floor} are kept free (storage.min_free_bytes)");
    Err(io::Error::new(io::ErrorKind::StorageFull, message))
}

/// How many bytes are free where `folder` is, if that can be asked.
#[cfg(unix)]
fn free_at(folder: &Path) -> Option<u64> {
    let found = rustix::fs::statvfs(folder).ok()?;
    Some(found.f_bavail.saturating_mul(found.f_frsize))
}

/// Not to be had from the standard library.
#[cfg(not(unix))]
fn free_at(_: &Path) -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_keeps_some_of_its_room() {
        let folder = tempfile::tempdir().unwrap();
        for floor in [0, 1] {
            assert!(check(folder.path(), floor).is_ok());
        }
        let full = check(folder.path(), u64::MAX).unwrap_err();
        assert_eq!(full.kind(), io::ErrorKind::StorageFull);
        assert!(full.to_string().contains(&u64::MAX.to_string()), "{full}");
        assert!(check(&folder.path().join("nothing"), u64::MAX).is_ok());
    }
}
