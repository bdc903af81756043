//! Writing an export: first all rows, in one snapshot, then the packages that they name, then the manifest.
//!
//! In this order because packages never change in place, and what was uploaded is never removed: whatever the rows name
//! was complete before the snapshot, and is still there when its turn comes.

use super::{
    Contents, Stage, TransferError, Watcher, blocking,
    folder::{Folder, NewFile},
    format::{Manifest, PART_BYTES, PART_ROWS, Part, part_name},
    packages::Locations,
    parts::{Stored, stored_in},
    report,
    row::write_row,
};
use crate::{clock::Clock, config::Settings};
use data_encoding::HEXLOWER;
use domain::operation::OperationStatus;
use futures::{StreamExt, TryStreamExt, stream};
use sha2::{Digest, Sha256};
use std::path::Path;
use store::{
    CARRIED_SCHEMA, SCHEMA_VERSION, Value,
    table::Table,
    tables::BLOBS,
    transfer::{NoSnapshot, Snapshot},
};

/// Packages that are fetched at the same time.
const PACKAGES_AT_ONCE: usize = 4;

/// Writes everything that the configured service holds into the folder `to`, which is new, empty, or an earlier try.
///
/// The service may go on meanwhile: rows are those of one instant. An upload that was under way at that instant is
/// exported as failed. In an unfinished folder only missing packages are fetched.
///
/// # Errors
/// When the folder holds something else, when the database is not of this program's schema, and all that can happen
/// to files and databases. The folder can be used for another try.
pub async fn export(settings: &Settings, to: &Path, watcher: Watcher) -> Result<Contents, TransferError> {
    let target = to.to_owned();
    let (folder, writing) = blocking(move || Folder::begin(&target)).await?;
    let snapshot = Snapshot::take(&settings.database, SCHEMA_VERSION)
        .await
        .map_err(refusal)?;
    let made_on = Clock::system().now();
    let (at, watching) = (folder.clone(), watcher.clone());
    let mut manifest = blocking(move || {
        let manifest = Manifest::new(CARRIED_SCHEMA, made_on);
        write_rows(snapshot, &at, manifest, &watching)
    })
    .await?;
    fetch_packages(settings, &folder, &mut manifest, &watcher).await?;
    let contents = manifest.contents();
    blocking(move || folder.finish(&manifest.to_bytes()?)).await?;
    drop(writing);
    Ok(contents)
}

fn refusal(reason: NoSnapshot) -> TransferError {
    match reason {
        NoSnapshot::Store(error) => error.into(),
        NoSnapshot::Schema(0) => TransferError::Refused("The database holds no service.".into()),
        NoSnapshot::Schema(found) => TransferError::Refused(format!(
            "The database has schema {found} and this program works with {SCHEMA_VERSION}: export with the program \
             that serves it."
        )),
        NoSnapshot::Unfinished => TransferError::Refused(
            "An import into this database has not finished; it holds no whole service yet.".into(),
        ),
    }
}

/// Writes all rows into parts. Blocks.
fn write_rows(
    mut snapshot: Snapshot,
    folder: &Folder,
    mut manifest: Manifest,
    watcher: &Watcher,
) -> Result<Manifest, TransferError> {
    let mut open: Option<OpenPart> = None;
    let mut rows = 0;
    while let Some(batch) = snapshot.next_batch()? {
        manifest.running_operations += running_among(batch.table, &batch.rows);
        for row in &batch.rows {
            let (full, mut part) = match open.take() {
                Some(part) if part.takes_more_of(batch.table) => (None, part),
                other => {
                    let number = next_number(other.as_ref(), batch.table);
                    (other, OpenPart::begin(folder, batch.table, number)?)
                }
            };
            if let Some(full) = full {
                rows += full.rows;
                manifest.parts.push(full.finish()?);
                report(watcher, Stage::WritingRows, rows, None)?;
            }
            part.add(row)?;
            open = Some(part);
        }
    }
    if let Some(last) = open {
        rows += last.rows;
        manifest.parts.push(last.finish()?);
        report(watcher, Stage::WritingRows, rows, None)?;
    }
    Ok(manifest)
}

fn running_among(table: &Table, rows: &[Vec<Value>]) -> u64 {
    let Some(status) = table.position("status").filter(|_| table.name == "operations") else {
        return 0;
    };
    let running = Value::from(OperationStatus::Running.as_str());
    let running = rows.iter().filter(|row| row.get(status) == Some(&running));
    running.count() as u64
}

fn next_number(before: Option<&OpenPart>, table: &Table) -> usize {
    match before {
        Some(before) if before.table.name == table.name => before.number + 1,
        _ => 1,
    }
}

/// A part that is being written.
struct OpenPart {
    table: &'static Table,
    number: usize,
    file: NewFile,
    digest: Sha256,
    line: Vec<u8>,
    /// What has not been written yet.
    waiting: Vec<u8>,
    bytes: usize,
    rows: u64,
}

/// Bytes of a part that are written at once.
const WAITING_BYTES: usize = 256 * 1024;

impl OpenPart {
    fn begin(folder: &Folder, table: &'static Table, number: usize) -> Result<Self, TransferError> {
        Ok(Self {
            table,
            number,
            file: folder.create(&part_name(table, number))?,
            digest: Sha256::new(),
            line: Vec::new(),
            waiting: Vec::with_capacity(WAITING_BYTES + 4096),
            bytes: 0,
            rows: 0,
        })
    }

    fn takes_more_of(&self, table: &Table) -> bool {
        self.table.name == table.name && self.rows < PART_ROWS && self.bytes < PART_BYTES
    }

    fn add(&mut self, row: &[Value]) -> Result<(), TransferError> {
        self.line.clear();
        write_row(&mut self.line, self.table, row)?;
        self.waiting.extend_from_slice(&self.line);
        self.bytes += self.line.len();
        self.rows += 1;
        if self.waiting.len() >= WAITING_BYTES {
            self.write_waiting()?;
        }
        Ok(())
    }

    fn write_waiting(&mut self) -> Result<(), TransferError> {
        self.digest.update(&self.waiting);
        self.file.write(&self.waiting)?;
        self.waiting.clear();
        Ok(())
    }

    fn finish(mut self) -> Result<Part, TransferError> {
        self.write_waiting()?;
        self.file.finish()?;
        Ok(Part {
            file: part_name(self.table, self.number),
            rows: self.rows,
            bytes: self.bytes as u64,
            sha256: HEXLOWER.encode(&self.digest.finalize()),
        })
    }
}

/// Fetches the packages that the rows written name, part by part.
async fn fetch_packages(
    settings: &Settings,
    folder: &Folder,
    manifest: &mut Manifest,
    watcher: &Watcher,
) -> Result<(), TransferError> {
    let locations = Locations::open(settings)?;
    let parts: Vec<_> = manifest
        .parts()
        .filter(|(table, _)| table.name == BLOBS)
        .map(|(table, part)| (table, part.clone()))
        .collect();
    for (table, part) in parts {
        let from = folder.clone();
        let listed = blocking(move || stored_in(&from, table, &part)).await?;
        let mut fetched = stream::iter(listed)
            .map(|stored| fetch(locations.clone(), stored, folder.clone()))
            .buffer_unordered(PACKAGES_AT_ONCE);
        while let Some(size) = fetched.try_next().await? {
            manifest.packages += 1;
            manifest.package_bytes += size;
            report(watcher, Stage::FetchingPackages, manifest.package_bytes, None)?;
        }
    }
    Ok(())
}

async fn fetch(locations: Locations, stored: Stored, folder: Folder) -> Result<u64, TransferError> {
    locations.fetch(&stored.key, stored.size, &folder).await?;
    Ok(stored.size)
}
