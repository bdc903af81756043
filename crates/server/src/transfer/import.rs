//! Filling an empty database and its storage locations from an export.
//!
//! The export is checked before anything is written. Then each part of rows is one transaction, which also counts the
//! part as done; bytes of packages are announced by those rows and settled one by one, as uploads do it. In the end all
//! rows are counted, and the last transaction ends the import. Until then no service starts on the database, so what an import
//! leaves when it is cut is seen by nobody but the next try.

use super::{
    Imported, Stage, TransferError, Watcher, blocking,
    check::check_rows,
    folder::Folder,
    format::Manifest,
    packages::{self, Locations},
    parts::rows_in,
    report,
};
use crate::{
    clock::Clock,
    config::Settings,
    start::{StartError, lock_database, lock_folder},
};
use futures::{StreamExt, TryStreamExt, stream};
use sha2::{Digest, Sha256};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};
use store::{
    CARRIED_SCHEMA, Db, StoreError, Value,
    table::{Kind, Table},
    tables::TABLES,
    transfer::{self, Announced, Import},
};

/// Packages that are stored at the same time.
const PACKAGES_AT_ONCE: usize = 4;
/// Packages that are looked up at a time.
const PACKAGES_AHEAD: i64 = 256;

/// Which storage location of the export becomes which of the configuration's, where they are not called the same.
#[derive(Clone, Debug, Default)]
pub struct LocationMap(BTreeMap<String, String>);

impl LocationMap {
    /// Pairs of a name in the export and a configured name; in the export's, case does not count.
    ///
    /// # Errors
    /// [`TransferError::Refused`] when a location is to become two.
    pub fn new(pairs: impl IntoIterator<Item = (String, String)>) -> Result<Self, TransferError> {
        let mut map = BTreeMap::new();
        for (from, to) in pairs {
            if map.insert(from.trim().to_lowercase(), to).is_some() {
                let problem = format!("The storage location '{from}' is mapped twice.");
                return Err(TransferError::Refused(problem));
            }
        }
        Ok(Self(map))
    }

    /// What each of `names` becomes. All that stands against it is said at once.
    fn resolve(
        &self,
        names: &BTreeSet<String>,
        settings: &Settings,
    ) -> Result<BTreeMap<String, String>, TransferError> {
        let (mut resolved, mut problems) = (BTreeMap::new(), Vec::new());
        for name in names {
            let wanted = self.0.get(&name.trim().to_lowercase());
            match packages::configured_name(settings, wanted.unwrap_or(name)) {
                // Unless it is asked for, a name stays as it is, also where it is configured in another case.
                Some(configured) => {
                    let becomes = if wanted.is_some() {
                        configured
                    } else {
                        name.clone()
                    };
                    resolved.insert(name.clone(), becomes);
                }
                None => problems.push(match wanted {
                    Some(wanted) => format!("'{name}' is mapped to '{wanted}', which is not configured"),
                    None => format!("'{name}' is not configured, and not mapped to one that is"),
                }),
            }
        }
        problems.extend(self.unknown_among(names));
        problems.extend(merged(&resolved));
        if problems.is_empty() {
            return Ok(resolved);
        }
        Err(TransferError::Refused(format!(
            "The storage locations do not fit:\n  {}\nConfigured are: {}.",
            problems.join("\n  "),
            packages::configured_names(settings).join(", ")
        )))
    }

    fn unknown_among(&self, names: &BTreeSet<String>) -> Vec<String> {
        let known: BTreeSet<_> = names.iter().map(|name| name.trim().to_lowercase()).collect();
        let unknown = self.0.keys().filter(|name| !known.contains(*name));
        unknown
            .map(|name| format!("'{name}' is mapped, but the export names no such location"))
            .collect()
    }
}

/// Locations that would become one: their packages could not be told apart again.
fn merged(resolved: &BTreeMap<String, String>) -> Vec<String> {
    let mut taken: BTreeMap<&str, &str> = BTreeMap::new();
    let mut problems = Vec::new();
    for (from, to) in resolved {
        if let Some(other) = taken.insert(to, from) {
            problems.push(format!("'{other}' and '{from}' would both become '{to}'"));
        }
    }
    problems
}

/// Fills the configured database, which must be empty, and the configured storage locations with what the export in
/// `from` holds. After an import that was cut, the same call goes on where that one ended.
///
/// # Errors
/// [`TransferError::Refused`] before anything is written when the database holds something else, when the export is
/// of another version, or when its storage locations are not all configured or mapped; [`TransferError::Damaged`]
/// when it is not what its manifest says.
pub async fn import(
    settings: &Settings,
    from: &Path,
    locations: &LocationMap,
    watcher: Watcher,
) -> Result<Imported, TransferError> {
    let folder = Folder::existing(from);
    let manifest_bytes = folder.manifest()?;
    let manifest = Arc::new(Manifest::read(&manifest_bytes, CARRIED_SCHEMA)?);
    let _folder = lock_folder(&settings.server.data_dir).map_err(unlockable)?;
    let _database = lock_database(settings).map_err(unlockable)?;
    let db = store::open(&settings.database).await?;
    let manifest_sha256 = Sha256::digest(&manifest_bytes).into();
    let under_way = expect_room(&db, manifest_sha256).await?;
    if under_way.is_some_and(|import| import.ended_on.is_some()) {
        return Ok(Imported {
            contents: manifest.contents(),
            was_there: true,
        });
    }
    let names = {
        let (folder, manifest, watcher) = (folder.clone(), Arc::clone(&manifest), watcher.clone());
        blocking(move || check_rows(&folder, &manifest, &watcher)).await?
    };
    let names = locations.resolve(&names, settings)?;
    let stores = Locations::open(settings)?;
    let import = begin(&db, manifest_sha256, &names).await?;
    let running = Running {
        db,
        folder,
        manifest,
        manifest_sha256,
        names: Arc::new(names),
        watcher,
    };
    running.load_rows(import.parts_done).await?;
    running.store_packages(&stores).await?;
    running.finish().await?;
    Ok(Imported {
        contents: running.manifest.contents(),
        was_there: false,
    })
}

fn unlockable(error: StartError) -> TransferError {
    match error {
        StartError::InUse(folder) => TransferError::InUse(folder),
        StartError::Files { what, source } => TransferError::Files { what, source },
        other => TransferError::Fault(other.into()),
    }
}

/// Makes sure that the database is empty, or holds what an import of this very export brought so far.
async fn expect_room(db: &Db, manifest_sha256: [u8; 32]) -> Result<Option<Import>, TransferError> {
    if let Some(found) = transfer::find_import(db).await? {
        if found.manifest_sha256 == manifest_sha256 {
            return Ok(Some(found));
        }
        let (when, how) = match found.ended_on {
            Some(ended_on) => (
                ended_on,
                "was filled by the import of another export, which ended",
            ),
            None => (
                found.started_on,
                "holds a part of another export, whose import began",
            ),
        };
        return Err(TransferError::Refused(format!(
            "The database {how} at {when}. An import needs an empty database."
        )));
    }
    let occupied = transfer::occupied(db).await?;
    if occupied.is_empty() {
        return Ok(None);
    }
    let tables: Vec<_> = occupied
        .iter()
        .map(|(table, rows)| format!("{table}: {rows}"))
        .collect();
    Err(TransferError::Refused(format!(
        "An import needs an empty database, and this one holds rows ({}).",
        tables.join(", ")
    )))
}

/// Writes down that the import begins, unless it began before.
async fn begin(
    db: &Db,
    manifest_sha256: [u8; 32],
    names: &BTreeMap<String, String>,
) -> Result<Import, TransferError> {
    let locations = serde_json::to_string(names).map_err(|error| TransferError::Fault(error.into()))?;
    if let Some(found) = transfer::find_import(db).await? {
        if found.locations == locations {
            return Ok(found);
        }
        return Err(TransferError::Refused(format!(
            "The import that is to go on here began with other storage locations: {}.",
            found.locations
        )));
    }
    let import = Import {
        manifest_sha256,
        locations,
        parts_done: 0,
        started_on: Clock::system().now(),
        ended_on: None,
    };
    db.write(import.clone(), |mut tx, import| {
        Box::pin(async move { transfer::begin_import(&mut tx, import).await })
    })
    .await?;
    Ok(import)
}

/// Rows of a part, on their way into the database.
struct PartRows {
    manifest_sha256: [u8; 32],
    /// How many parts were there before.
    number: i64,
    table: &'static Table,
    rows: Vec<Vec<Value>>,
}

/// An import that has begun.
struct Running {
    db: Db,
    folder: Folder,
    manifest: Arc<Manifest>,
    manifest_sha256: [u8; 32],
    names: Arc<BTreeMap<String, String>>,
    watcher: Watcher,
}

impl Running {
    /// Brings in the parts that are not in yet. The next one is read while the last one is written.
    async fn load_rows(&self, parts_done: i64) -> Result<(), TransferError> {
        let done = usize::try_from(parts_done).unwrap_or(usize::MAX);
        let before = self.manifest.parts().take(done);
        let mut rows: u64 = before.map(|(_, part)| part.rows).sum();
        let mut parts = stream::iter(done..self.manifest.parts.len())
            .map(|index| self.read(index))
            .buffered(2);
        while let Some(part) = parts.try_next().await? {
            rows += part.rows.len() as u64;
            self.write(part).await?;
            report(
                &self.watcher,
                Stage::LoadingRows,
                rows,
                Some(self.manifest.rows()),
            )?;
        }
        Ok(())
    }

    fn read(&self, index: usize) -> impl Future<Output = Result<PartRows, TransferError>> + use<> {
        let (folder, manifest, names) = (
            self.folder.clone(),
            Arc::clone(&self.manifest),
            Arc::clone(&self.names),
        );
        let manifest_sha256 = self.manifest_sha256;
        blocking(move || {
            let missing = || TransferError::Fault("a part that there is not".into());
            let (table, part) = manifest.part(index).ok_or_else(missing)?;
            let mut rows = rows_in(&folder, table, part)?;
            for row in &mut rows {
                rename_locations(table, row, &names);
            }
            Ok(PartRows {
                manifest_sha256,
                number: i64::try_from(index).unwrap_or(i64::MAX),
                table,
                rows,
            })
        })
    }

    /// One transaction: the rows, and that they are there.
    async fn write(&self, part: PartRows) -> Result<(), TransferError> {
        let table = part.table;
        let written = self
            .db
            .write(part, |mut tx, part| {
                Box::pin(async move {
                    let is_next =
                        transfer::advance_import(&mut tx, part.manifest_sha256, part.number).await?;
                    if is_next {
                        transfer::insert_rows(&mut tx, part.table, &part.rows).await?;
                    }
                    Ok(is_next)
                })
            })
            .await
            .map_err(|error: StoreError| in_table(error.into(), table))?;
        if written {
            return Ok(());
        }
        Err(TransferError::Refused(
            "Another import is filling this database.".into(),
        ))
    }

    /// Stores the packages that have been announced and are not there yet.
    async fn store_packages(&self, stores: &Locations) -> Result<(), TransferError> {
        let stored = transfer::stored_bytes(&self.db).await?;
        let mut bytes = u64::try_from(stored).unwrap_or(0);
        loop {
            let announced = transfer::announced_blobs(&self.db, PACKAGES_AHEAD).await?;
            if announced.is_empty() {
                return Ok(());
            }
            let mut storing = stream::iter(announced)
                .map(|blob| self.store_package(stores.clone(), blob))
                .buffer_unordered(PACKAGES_AT_ONCE);
            while let Some(size) = storing.try_next().await? {
                bytes += size;
                let total = Some(self.manifest.package_bytes);
                report(&self.watcher, Stage::StoringPackages, bytes, total)?;
            }
        }
    }

    /// Stores one package, and then says that it is there.
    fn store_package(
        &self,
        stores: Locations,
        blob: Announced,
    ) -> impl Future<Output = Result<u64, TransferError>> + use<> {
        let (db, folder) = (self.db.clone(), self.folder.clone());
        async move {
            let size = u64::try_from(blob.size).unwrap_or(0);
            stores.store(&blob.key, size, &folder).await?;
            db.write(blob.key, |mut tx, key| {
                Box::pin(async move { transfer::settle_blob(&mut tx, key).await })
            })
            .await?;
            Ok(size)
        }
    }

    /// Counts everything once more and ends the import.
    async fn finish(&self) -> Result<(), TransferError> {
        for table in TABLES {
            let (found, expected) = (
                transfer::count(&self.db, table).await?,
                self.manifest.rows_of(table),
            );
            if u64::try_from(found) != Ok(expected) {
                return Err(TransferError::Refused(format!(
                    "{} has {found} rows, and the export has {expected}: something else writes to this database. \
                     Begin again with an empty one.",
                    table.name
                )));
            }
        }
        let input = (self.manifest_sha256, Clock::system().now());
        self.db
            .write(input, |mut tx, (manifest_sha256, now)| {
                Box::pin(async move { transfer::end_import(&mut tx, *manifest_sha256, *now).await })
            })
            .await?;
        Ok(())
    }
}

fn rename_locations(table: &Table, row: &mut [Value], names: &BTreeMap<String, String>) {
    for (column, value) in table.columns.iter().zip(row) {
        if let (Kind::Location, Value::Text(name)) = (column.kind, &mut *value)
            && let Some(becomes) = names.get(name)
        {
            becomes.clone_into(name);
        }
    }
}

/// Says which table's rows the database did not take.
fn in_table(error: TransferError, table: &Table) -> TransferError {
    match error {
        TransferError::Database(source) => TransferError::Rows {
            table: table.name,
            source,
        },
        other => other,
    }
}
