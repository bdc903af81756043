//! All rows, out of one snapshot and into an empty database, for exports and imports.
//!
//! Elsewhere a statement knows what it reads. Here tables are read and written whole, as `tables` describes them, so
//! the statements are made from the descriptions. An import says in its own row how far it has come, in the same
//! transaction as the rows that it brings: whatever moment it dies at, that row is right.

use super::{
    Db, FromRow, Row, StoreError, Tx, Value,
    blobs::BlobKey,
    postgres::Postgres,
    row::row,
    sqlite,
    table::{Column, Kind, Table},
    tables::{BLOBS, TABLES},
};
use crate::settings::DatabaseSettings;
use domain::instant::Instant;
use futures::{TryStreamExt, pin_mut};
use rusqlite::Connection;
use std::path::Path;
use tokio::sync::mpsc;

/// Rows in one batch of a snapshot.
const BATCH: usize = 512;
/// Batches that may wait for whoever writes them down.
const BATCHES_AHEAD: usize = 4;
/// Values in one statement; both databases take more.
const VALUES: usize = 12_000;

/// What every database is asked before its rows are read.
const SCHEMA: &str = "SELECT COALESCE(MAX(id), 0) FROM migrations";
const UNFINISHED: &str = "SELECT COUNT(*) FROM imports WHERE ended_on IS NULL";

/// Rows of a table, in the order of its key.
pub struct Batch {
    /// The table.
    pub table: &'static Table,
    /// For each row, the values of all columns.
    pub rows: Vec<Vec<Value>>,
}

/// All rows of all tables as they were at one instant, on their way.
pub struct Snapshot {
    batches: mpsc::Receiver<Result<Batch, StoreError>>,
}

/// Why there is no snapshot.
#[derive(Debug)]
pub enum NoSnapshot {
    /// The database has this schema; 0 when it is none of ours.
    Schema(i64),
    /// An import into it has not ended.
    Unfinished,
    /// It did not do what it was asked.
    Store(StoreError),
}

impl From<StoreError> for NoSnapshot {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Snapshot {
    /// Takes a snapshot of the configured database, which must have the schema `expected`. Others may go on writing;
    /// nothing is migrated, and nothing is written.
    pub async fn take(settings: &DatabaseSettings, expected: i64) -> Result<Self, NoSnapshot> {
        let (sender, batches) = mpsc::channel(BATCHES_AHEAD);
        match settings.url.sqlite_path() {
            Some(path) => read_sqlite(&path, expected, sender)?,
            None => read_postgres(settings, expected, sender).await?,
        }
        Ok(Self { batches })
    }

    /// The next rows, tables in the order of [`TABLES`]; `None` after the last. Blocks.
    pub fn next_batch(&mut self) -> Result<Option<Batch>, StoreError> {
        self.batches.blocking_recv().transpose()
    }
}

/// What is read of a column: nothing that somebody was still in the middle of.
fn expression(table: &Table, column: &Column) -> &'static str {
    match (table.name, column.name) {
        // Its bytes are not there yet, and whoever sends them sends them to the old service.
        ("versions", "status") => "CASE WHEN status = 'Uploading' THEN 'UploadFailed' ELSE status END",
        _ => column.name,
    }
}

/// Which rows are read: of bytes, those that are there and that a version needs.
fn condition(table: &Table) -> &'static str {
    if table.name == BLOBS {
        "WHERE state = 'stored'
           AND EXISTS (SELECT 1 FROM versions v
                       WHERE v.location = blobs.location AND v.sha256 = blobs.sha256
                         AND v.generation = blobs.generation
                         AND v.status NOT IN ('Uploading', 'UploadFailed'))"
    } else {
        ""
    }
}

fn select(table: &Table) -> String {
    let columns: Vec<_> = table
        .columns
        .iter()
        .map(|column| expression(table, column))
        .collect();
    format!(
        "SELECT {} FROM {} {} ORDER BY {}",
        columns.join(", "),
        table.name,
        condition(table),
        table.key.join(", ")
    )
}

fn values_of(table: &Table, row: &Row<'_>) -> Result<Vec<Value>, StoreError> {
    let columns = table.columns.iter().enumerate();
    columns
        .map(|(index, column)| value_of(column.kind, row, index))
        .collect()
}

fn value_of(kind: Kind, row: &Row<'_>, index: usize) -> Result<Value, StoreError> {
    Ok(match kind {
        Kind::Guid => row.get::<Option<uuid::Uuid>>(index)?.into(),
        Kind::Text | Kind::Location | Kind::Word(_) | Kind::Version => {
            row.get::<Option<String>>(index)?.into()
        }
        Kind::VersionKey | Kind::Digest => row.get::<Option<Vec<u8>>>(index)?.into(),
        Kind::Int | Kind::Ticks => row.get::<Option<i64>>(index)?.into(),
        Kind::Bool => row.get::<Option<bool>>(index)?.into(),
    })
}

/// Collects rows of one table into batches for whoever receives them.
struct RowBatcher<'s> {
    table: &'static Table,
    rows: Vec<Vec<Value>>,
    sender: &'s mpsc::Sender<Result<Batch, StoreError>>,
}

impl<'s> RowBatcher<'s> {
    fn of(table: &'static Table, sender: &'s mpsc::Sender<Result<Batch, StoreError>>) -> Self {
        Self {
            table,
            rows: Vec::with_capacity(BATCH),
            sender,
        }
    }

    fn is_full(&self) -> bool {
        self.rows.len() == BATCH
    }

    fn take(&mut self) -> Batch {
        Batch {
            table: self.table,
            rows: std::mem::replace(&mut self.rows, Vec::with_capacity(BATCH)),
        }
    }
}

/// Nobody receives rows any more.
struct ReceiverGone;

fn read_sqlite(
    path: &Path,
    expected: i64,
    sender: mpsc::Sender<Result<Batch, StoreError>>,
) -> Result<(), NoSnapshot> {
    let connection = sqlite::open_reader(path, sqlite::STREAM_CACHE)?;
    // The first read of the transaction is what fixes its snapshot.
    connection.execute_batch("BEGIN").map_err(StoreError::from)?;
    let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
    check_schema(number(SCHEMA).unwrap_or(0), expected)?;
    check_finished(number(UNFINISHED).map_err(StoreError::from)?)?;
    tokio::task::spawn_blocking(move || {
        for table in TABLES {
            match send_sqlite(&connection, table, &sender) {
                Ok(Ok(())) => {}
                Ok(Err(ReceiverGone)) => return,
                Err(error) => return drop(sender.blocking_send(Err(error))),
            }
        }
    });
    Ok(())
}

fn check_schema(found: i64, expected: i64) -> Result<(), NoSnapshot> {
    if found == expected {
        Ok(())
    } else {
        Err(NoSnapshot::Schema(found))
    }
}

fn check_finished(unfinished: i64) -> Result<(), NoSnapshot> {
    if unfinished == 0 {
        Ok(())
    } else {
        Err(NoSnapshot::Unfinished)
    }
}

fn send_sqlite(
    connection: &Connection,
    table: &'static Table,
    sender: &mpsc::Sender<Result<Batch, StoreError>>,
) -> Result<Result<(), ReceiverGone>, StoreError> {
    let mut statement = connection.prepare(&select(table))?;
    let mut rows = statement.query([])?;
    let mut batcher = RowBatcher::of(table, sender);
    while let Some(row) = rows.next()? {
        batcher.rows.push(values_of(table, &Row::Sqlite(row))?);
        if batcher.is_full() && batcher.sender.blocking_send(Ok(batcher.take())).is_err() {
            return Ok(Err(ReceiverGone));
        }
    }
    let rest = batcher.take();
    let sent = rest.rows.is_empty() || sender.blocking_send(Ok(rest)).is_ok();
    Ok(if sent { Ok(()) } else { Err(ReceiverGone) })
}

/// One transaction for all tables. Whatever time limits the server sets for statements, this one may take longer.
const SNAPSHOT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
     SET LOCAL statement_timeout = 0;
     SET LOCAL idle_in_transaction_session_timeout = 0";

async fn read_postgres(
    settings: &DatabaseSettings,
    expected: i64,
    sender: mpsc::Sender<Result<Batch, StoreError>>,
) -> Result<(), NoSnapshot> {
    let client = Postgres::new(settings)?.connection().await?;
    client.batch_execute(SNAPSHOT).await.map_err(StoreError::from)?;
    let schema = match client.query_one(SCHEMA, &[]).await {
        Ok(row) => row.try_get(0).map_err(StoreError::from)?,
        // There is no such table.
        Err(error) if error.as_db_error().is_some() => 0,
        Err(error) => return Err(StoreError::from(error).into()),
    };
    check_schema(schema, expected)?;
    let unfinished = client
        .query_one(UNFINISHED, &[])
        .await
        .map_err(StoreError::from)?;
    check_finished(unfinished.try_get(0).map_err(StoreError::from)?)?;
    tokio::spawn(async move {
        for table in TABLES {
            match send_postgres(&client, table, &sender).await {
                Ok(Ok(())) => {}
                Ok(Err(ReceiverGone)) => break,
                Err(error) => {
                    drop(sender.send(Err(error)).await);
                    break;
                }
            }
        }
        // The connection ends with its transaction open, which undoes nothing: it only read.
        client.end();
    });
    Ok(())
}

async fn send_postgres(
    client: &deadpool_postgres::Client,
    table: &'static Table,
    sender: &mpsc::Sender<Result<Batch, StoreError>>,
) -> Result<Result<(), ReceiverGone>, StoreError> {
    let none: [&(dyn tokio_postgres::types::ToSql + Sync); 0] = [];
    let rows = client.query_raw(&select(table), none).await?;
    pin_mut!(rows);
    let mut batcher = RowBatcher::of(table, sender);
    while let Some(row) = rows.try_next().await? {
        batcher.rows.push(values_of(table, &Row::Postgres(&row))?);
        if batcher.is_full() && batcher.sender.send(Ok(batcher.take())).await.is_err() {
            return Ok(Err(ReceiverGone));
        }
    }
    let rest = batcher.take();
    let sent = rest.rows.is_empty() || sender.send(Ok(rest)).await.is_ok();
    Ok(if sent { Ok(()) } else { Err(ReceiverGone) })
}

row! {
    /// An import as its row tells of it.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Import {
        /// Which export it brings: the hash of its manifest.
        pub manifest_sha256: [u8; 32],
        /// Which location became which.
        pub locations: String,
        /// How many parts of rows are in.
        pub parts_done: i64,
        /// When it began.
        pub started_on: Instant,
        /// When it ended.
        pub ended_on: Option<Instant>,
    }
}

/// The import that this database was or is being filled by.
pub async fn find_import(db: &Db) -> Result<Option<Import>, StoreError> {
    db.query(format!("SELECT {} FROM imports t", Import::COLUMNS))
        .fetch_optional()
        .await
}

/// The tables that have rows, with how many.
pub async fn occupied(db: &Db) -> Result<Vec<(&'static str, i64)>, StoreError> {
    let mut occupied = Vec::new();
    for table in TABLES {
        let rows = count(db, table).await?;
        if rows > 0 {
            occupied.push((table.name, rows));
        }
    }
    Ok(occupied)
}

/// How many rows the table has.
pub async fn count(db: &Db, table: &Table) -> Result<i64, StoreError> {
    let (rows,) = db
        .query(format!("SELECT COUNT(*) FROM {}", table.name))
        .fetch_one::<(i64,)>()
        .await?;
    Ok(rows)
}

/// Writes down that an import has begun. From now on no service starts on this database.
pub async fn begin_import(tx: &mut Tx<'_>, import: &Import) -> Result<(), StoreError> {
    tx.query(
        "INSERT INTO imports (slot, manifest_sha256, locations, parts_done, started_on, ended_on)
         VALUES (1, $1, $2, $3, $4, $5)",
    )
    .bind(import.manifest_sha256)
    .bind(&import.locations)
    .bind(import.parts_done)
    .bind(import.started_on)
    .bind(import.ended_on)
    .execute()
    .await
    .map(drop)
}

/// Writes down that one more part is in; `false` when the import does not stand where it was thought to stand.
pub async fn advance_import(
    tx: &mut Tx<'_>,
    manifest_sha256: [u8; 32],
    parts_done: i64,
) -> Result<bool, StoreError> {
    let advanced = tx
        .query(
            "UPDATE imports
             SET parts_done = $2 + 1
             WHERE manifest_sha256 = $1 AND parts_done = $2 AND ended_on IS NULL",
        )
        .bind(manifest_sha256)
        .bind(parts_done)
        .execute()
        .await?;
    Ok(advanced == 1)
}

/// Writes down that the import has ended: services may start.
pub async fn end_import(tx: &mut Tx<'_>, manifest_sha256: [u8; 32], now: Instant) -> Result<(), StoreError> {
    tx.query("UPDATE imports SET ended_on = $2 WHERE manifest_sha256 = $1")
        .bind(manifest_sha256)
        .bind(now)
        .execute()
        .await
        .map(drop)
}

/// Adds rows. Of bytes it is only announced that they will come; [`settle_blob`] says that they are there.
pub async fn insert_rows(tx: &mut Tx<'_>, table: &Table, rows: &[Vec<Value>]) -> Result<(), StoreError> {
    let state = table.position("state").filter(|_| table.name == BLOBS);
    let chunk = (VALUES / table.columns.len()).max(1);
    for rows in rows.chunks(chunk) {
        let announced = |(index, value): (usize, &Value)| {
            if Some(index) == state {
                Value::from("storing")
            } else {
                value.clone()
            }
        };
        let values = rows.iter().flat_map(|row| row.iter().enumerate().map(announced));
        tx.query(table.insert(rows.len()))
            .bind_all(values)
            .execute()
            .await?;
    }
    Ok(())
}

/// Bytes that were announced and have not come yet.
#[derive(Clone, Debug)]
pub struct Announced {
    /// Which bytes, and where.
    pub key: BlobKey,
    /// In bytes.
    pub size: i64,
}

impl FromRow for Announced {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            key: BlobKey::from_row(row)?,
            size: row.get(3)?,
        })
    }
}

/// Some of the bytes that have not come yet, in the order of their keys.
pub async fn announced_blobs(db: &Db, limit: i64) -> Result<Vec<Announced>, StoreError> {
    db.query(
        "SELECT location, sha256, generation, size
         FROM blobs
         WHERE state = 'storing'
         ORDER BY location, sha256, generation
         LIMIT $1",
    )
    .bind(limit)
    .fetch_all()
    .await
}

/// How many bytes are stored, in all locations.
pub async fn stored_bytes(db: &Db) -> Result<i64, StoreError> {
    let (bytes,) = db
        .query("SELECT CAST(COALESCE(SUM(size), 0) AS BIGINT) FROM blobs WHERE state = 'stored'")
        .fetch_one::<(i64,)>()
        .await?;
    Ok(bytes)
}

/// Writes down that bytes are where they belong.
pub async fn settle_blob(tx: &mut Tx<'_>, key: &BlobKey) -> Result<(), StoreError> {
    tx.query("UPDATE blobs SET state = 'stored' WHERE location = $1 AND sha256 = $2 AND generation = $3")
        .bind_all(key.values())
        .execute()
        .await
        .map(drop)
}

#[cfg(test)]
mod tests;
