//! What the service keeps is for its own account alone.

use crate::harness::{Backend, Harness, on_both_databases};
use std::{fs, os::unix::fs::PermissionsExt, path::Path};

on_both_databases!(files_and_folders_are_the_services_own);

async fn files_and_folders_are_the_services_own(backend: Backend) {
    let service = Harness::start(backend).await;
    service.owner().has_uploaded("1.0.0.1").await;
    assert_eq!(service.stored_packages().len(), 1);
    let mut seen = 0;
    check(service.folder(), &mut seen);
    let least = match backend {
        Backend::Sqlite => 8,
        Backend::Postgres => 5,
    };
    assert!(seen >= least, "{seen} files and folders");
}

/// No mode of anything in the folder lets others in.
fn check(folder: &Path, seen: &mut usize) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let found = fs::metadata(&path).unwrap();
        let mode = found.permissions().mode() & 0o777;
        let own = if found.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(mode, own, "{} has the mode {mode:04o}", path.display());
        *seen += 1;
        if found.is_dir() {
            check(&path, seen);
        }
    }
}
