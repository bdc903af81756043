//! Trying beforehand what the service has to reach: its database, its storage locations, its issuers. Nothing is made, and
//! nothing changed but a few bytes that object stores are given and asked to remove.

use crate::{
    blobs,
    clock::wall_seconds,
    config::{Loaded, Migrate, Problem, Settings, StorageBackend},
};
use auth::Authenticator;
use domain::chain::Chain;
use futures::future::join_all;
use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// What could not be reached, or does not do what is asked of it.
pub async fn try_connections(loaded: &Loaded) -> Vec<Problem> {
    let settings = &loaded.settings;
    let (database, locations, issuers) =
        tokio::join!(database(settings), locations(settings), issuers(settings));
    let found = database.into_iter().chain(locations).chain(issuers);
    found
        .map(|(key, message)| loaded.unreachable(&key, &message))
        .collect()
}

type Found = (String, String);

async fn database(settings: &Settings) -> Option<Found> {
    let found = |key: &str, message: String| Some((key.to_owned(), message));
    if let Some(path) = settings.database.url.sqlite_path()
        && let Some(message) = not_writable(&path, Expected::File)
    {
        return found("database.url", message);
    }
    match store::outstanding(&settings.database).await {
        Err(error) => found("database.url", Chain(&error).to_string()),
        Ok(lacking) if settings.database.migrate == Migrate::Separately && !lacking.is_empty() => {
            let message = "is \"separately\", and the database is not up to date: run 'fame migrate'";
            found("database.migrate", message.to_owned())
        }
        Ok(_) => None,
    }
}

async fn locations(settings: &Settings) -> Vec<Found> {
    let tried = settings.storage.locations.iter().map(|location| async move {
        let message = match &location.backend {
            StorageBackend::Directory(folder) => not_writable(folder, Expected::Folder),
            StorageBackend::Bucket(bucket) => blobs::out_of_reach(&location.name, bucket).await,
        }?;
        Some((format!("storage.locations[{:?}]", location.name), message))
    });
    join_all(tried).await.into_iter().flatten().collect()
}

/// What a path is to be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Expected {
    File,
    Folder,
}

/// Why nothing can be written to a file or a folder, or be made in its place: it is made by whoever starts, not here. A slash
/// at its end says that it is a folder, whether or not one is there.
fn not_writable(path: &Path, expected: Expected) -> Option<String> {
    let names_folder = path
        .as_os_str()
        .to_string_lossy()
        .ends_with(std::path::is_separator);
    let path: PathBuf = path.components().collect();
    if expected == Expected::File && (names_folder || path.is_dir()) {
        return Some(format!("{} is a folder, and has to be a file", path.display()));
    }
    let here = Path::new(".");
    let there = path.ancestors().find(|one| one.exists()).unwrap_or(here);
    let is_file = expected == Expected::File && there == path;
    if !is_file && !there.is_dir() {
        return Some(format!("{} is a file, and has to be a folder", there.display()));
    }
    let error = check_writable(there).err()?;
    Some(format!("{} cannot be written to: {error}", there.display()))
}

#[cfg(unix)]
fn check_writable(path: &Path) -> io::Result<()> {
    Ok(rustix::fs::access(path, rustix::fs::Access::WRITE_OK)?)
}

/// Who may write is not to be had from the standard library, but whether anybody may.
#[cfg(not(unix))]
fn check_writable(path: &Path) -> io::Result<()> {
    match path.metadata()? {
        found if found.is_file() && found.permissions().readonly() => {
            Err(io::ErrorKind::PermissionDenied.into())
        }
        _ => Ok(()),
    }
}

async fn issuers(settings: &Settings) -> Vec<Found> {
    // What is wrong with the settings themselves has been said.
    let Ok(authenticator) = Authenticator::new(&settings.identity, Arc::new(wall_seconds)) else {
        return Vec::new();
    };
    let failed = authenticator.try_issuers().await;
    let named = failed
        .into_iter()
        .map(|message| ("identity.issuers".to_owned(), message));
    named.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slash_at_the_end_changes_nothing_of_a_folder_and_makes_no_folder_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| PathBuf::from(format!("{}/{name}", folder.path().display()));
        std::fs::write(at("a-file"), "").unwrap();
        std::fs::create_dir(at("a-folder")).unwrap();
        for fine in ["a-folder", "a-folder/", "later", "later/", "later/still/"] {
            assert_eq!(not_writable(&at(fine), Expected::Folder), None, "{fine}");
        }
        for fine in ["a-file", "later", "later/fame.db"] {
            assert_eq!(not_writable(&at(fine), Expected::File), None, "{fine}");
        }
        for (wrong, expected) in [
            ("a-file", Expected::Folder),
            ("a-file/", Expected::Folder),
            ("a-file/packages", Expected::Folder),
            ("a-file/fame.db", Expected::File),
        ] {
            let told = not_writable(&at(wrong), expected).unwrap();
            assert!(
                told.ends_with("a-file is a file, and has to be a folder"),
                "{told}"
            );
        }
        for wrong in ["a-folder", "a-folder/", "later/"] {
            let told = not_writable(&at(wrong), Expected::File).unwrap();
            assert!(told.ends_with("is a folder, and has to be a file"), "{told}");
        }
        assert_eq!(not_writable(Path::new("later"), Expected::Folder), None);
    }
}
