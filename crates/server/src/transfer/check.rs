//! Holding an export against its manifest.

use super::{
    Contents, Stage, TransferError, Watcher, blocking,
    folder::Folder,
    format::{MANIFEST, Manifest},
    packages,
    parts::{Stored, rows_in, stored_in},
    report,
};
use std::{collections::BTreeSet, path::Path};
use store::{
    CARRIED_SCHEMA, Value,
    table::{Kind, Table},
    tables::BLOBS,
};

/// Storage locations that an export may name; no service has so many.
const MOST_LOCATIONS: usize = 10_000;

/// Reads the whole export in `from` and makes sure that it could be imported: every part is as the manifest says,
/// every row is one, every package has the bytes that it is named after. No database is needed.
///
/// # Errors
/// [`TransferError::Damaged`] with the first thing that is wrong.
pub async fn check(from: &Path, watcher: Watcher) -> Result<Contents, TransferError> {
    let folder = Folder::existing(from);
    blocking(move || {
        let manifest = Manifest::read(&folder.manifest()?, CARRIED_SCHEMA)?;
        check_rows(&folder, &manifest, &watcher)?;
        check_packages(&folder, &manifest, &watcher)?;
        Ok(manifest.contents())
    })
    .await
}

/// Checks all rows, and that all packages are there; answers which storage locations the rows name. Blocks.
pub(super) fn check_rows(
    folder: &Folder,
    manifest: &Manifest,
    watcher: &Watcher,
) -> Result<BTreeSet<String>, TransferError> {
    let mut names = BTreeSet::new();
    let (mut rows, mut packages, mut package_bytes) = (0, 0, 0_u64);
    for (table, part) in manifest.parts() {
        let read = rows_in(folder, table, part)?;
        for row in &read {
            add_locations(table, row, &mut names);
            if table.name == BLOBS {
                let impossible = || TransferError::damaged(&part.file, "lists something impossible");
                let stored = Stored::of(table, row).ok_or_else(impossible)?;
                packages::check_presence(folder, &stored.key.sha256, stored.size)?;
                packages += 1;
                package_bytes = package_bytes.saturating_add(stored.size);
            }
        }
        if names.len() > MOST_LOCATIONS {
            return Err(TransferError::damaged(
                &part.file,
                "names too many storage locations",
            ));
        }
        rows += part.rows;
        report(watcher, Stage::CheckingRows, rows, Some(manifest.rows()))?;
    }
    if (packages, package_bytes) == (manifest.packages, manifest.package_bytes) {
        Ok(names)
    } else {
        let problem = "its rows name other packages than it counts";
        Err(TransferError::damaged(MANIFEST, problem))
    }
}

fn add_locations(table: &Table, row: &[Value], names: &mut BTreeSet<String>) {
    for (column, value) in table.columns.iter().zip(row) {
        if let (Kind::Location, Value::Text(name)) = (column.kind, value)
            && !names.contains(name)
        {
            names.insert(name.clone());
        }
    }
}

/// Reads all packages. Blocks.
fn check_packages(folder: &Folder, manifest: &Manifest, watcher: &Watcher) -> Result<(), TransferError> {
    let mut bytes = 0;
    for (table, part) in manifest.parts().filter(|(table, _)| table.name == BLOBS) {
        for stored in stored_in(folder, table, part)? {
            packages::check(folder, &stored.key.sha256, stored.size)?;
            bytes += stored.size;
            let total = Some(manifest.package_bytes);
            report(watcher, Stage::CheckingPackages, bytes, total)?;
        }
    }
    Ok(())
}
