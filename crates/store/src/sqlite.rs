//! The embedded database: one writer that shares its commits, many readers that are used in place.
//!
//! A point read costs a few microseconds, less than handing it to another thread would; so short reads run on the
//! task's own thread. A read that turns out long is interrupted there and begun again on a thread of its own.

mod writer;

use super::{
    db::{Batch, Batches, RECEIVED, Tx, complete, received},
    dialect::{self, Dialect, Shape},
    error::{ChangeError, StoreError},
    migrations::{Applied, Plan},
    shares::{Holder, Shares},
    value::{FromRow, Row, Value},
};
use futures::{FutureExt as _, TryStreamExt, future::BoxFuture};
use rusqlite::{
    CachedStatement, Connection, OpenFlags, TransactionBehavior, config::DbConfig, ffi::ErrorCode,
};
use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::{
    runtime::Handle,
    sync::{
        Semaphore,
        mpsc::{self, error::TrySendError},
        oneshot,
    },
};
use writer::{Change, PendingChange, write_in_groups};

/// Changes that may wait for the writer before callers have to wait for a place.
const QUEUE: usize = 4096;
/// Steps of SQLite's machine, in thousands, that a read in place may take: some milliseconds.
const SHORT_KILOSTEPS: u32 = 400;
/// And how long it may take: some steps are long.
const SHORT: Duration = Duration::from_millis(10);
/// Steps of SQLite's machine after which a long read asks whether anybody still wants it.
const STEPS_UNASKED: std::ffi::c_int = 10_000;
/// Batches that may wait for a slow receiver.
const BATCHES_AHEAD: usize = 4;
/// How much of the file a connection for short reads keeps in memory, in KiB.
const READER_CACHE: u32 = 8192;
/// The same for one that reads from one end to the other and seldom meets a page again.
pub(crate) const STREAM_CACHE: u32 = 1024;
/// Statements that each connection keeps prepared.
const PREPARED: usize = 256;

pub struct Sqlite {
    changes: mpsc::Sender<Box<dyn Change>>,
    readers: Pool,
    streamers: Arc<Pool>,
    /// Places for streams.
    streams: Shares,
    pub(crate) judges: Shares,
    pub(crate) sorts: Shares,
}

impl Sqlite {
    /// Opens the file for so many reads at the same time, long ones and short ones each. More short ones than there are
    /// cores would only get in each other's way.
    pub fn open(path: &Path, reads: usize) -> Result<Self, StoreError> {
        let writer = open_writer(path)?;
        let cores = std::thread::available_parallelism().map_or(4, usize::from);
        let (changes, queue) = mpsc::channel(QUEUE);
        std::thread::Builder::new()
            .name("sqlite-writer".into())
            .spawn(move || write_in_groups(writer, queue))
            .map_err(StoreError::unavailable)?;
        Ok(Self {
            changes,
            readers: Pool::new(path, cores.max(2).min(reads), READER_CACHE),
            streamers: Arc::new(Pool::new(path, reads, STREAM_CACHE)),
            streams: Shares::new("stream", reads),
            judges: Shares::of_processors(),
            sorts: super::list::sort_places(),
        })
    }

    pub(crate) async fn write<I, T, E, F>(&self, input: I, action: F) -> Result<T, E>
    where
        I: Send + Sync + 'static,
        T: Send + 'static,
        E: ChangeError,
        F: for<'t> Fn(Tx<'t>, &'t I) -> BoxFuture<'t, Result<T, E>> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let change = Box::new(PendingChange {
            input,
            action,
            outcome: None,
            reply,
        });
        let gone = || StoreError::unavailable("the writer has stopped");
        self.changes.send(change).await.map_err(|_| gone())?;
        answer
            .await
            .map_err(|_| StoreError::broken("a change ended without an answer"))?
    }

    pub(crate) async fn read<T>(
        &self,
        action: impl FnOnce(&mut Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let _permit = self.readers.permits.acquire().await.map_err(closed)?;
        let mut connection = self.readers.take()?;
        let outcome = action(&mut connection);
        self.readers.give_back(connection);
        outcome
    }

    /// All rows: in place when they are quickly found, as a key or an index finds them; otherwise, such as when all
    /// rows of a table have to be counted, by a thread of its own, so that the task's thread serves others meanwhile.
    pub(crate) async fn fetch_all<T: FromRow>(
        &self,
        sql: &str,
        values: &[Value],
    ) -> Result<Vec<T>, StoreError> {
        let quick = self
            .read(|connection| if_quick(connection, |connection| fetch_all(connection, sql, values)))
            .await?;
        if let Some(rows) = quick {
            return Ok(rows);
        }
        let mut rows = self
            .stream_from_thread(sql.to_owned(), values.to_vec(), None, RECEIVED)
            .await?;
        let mut found = Vec::new();
        while let Some(batch) = rows.try_next().await? {
            found.extend(batch);
        }
        Ok(found)
    }

    pub(crate) async fn stream<T: FromRow>(
        &self,
        sql: String,
        values: Vec<Value>,
        holder: Holder,
        patience: Duration,
    ) -> Result<Batches<T>, StoreError> {
        match self.fetch_batch(&sql, &values).await? {
            Some(rows) => Ok(complete(rows)),
            None => self.stream_from_thread(sql, values, holder, patience).await,
        }
    }

    /// All rows, if they are quickly found and one batch holds them.
    pub(crate) async fn fetch_batch<T: FromRow>(
        &self,
        sql: &str,
        values: &[Value],
    ) -> Result<Option<Vec<T>>, StoreError> {
        let found = self
            .read(|connection| if_quick(connection, |connection| fetch_batch(connection, sql, values)))
            .await?;
        Ok(found.flatten())
    }

    async fn stream_from_thread<T: FromRow>(
        &self,
        sql: String,
        values: Vec<Value>,
        holder: Holder,
        patience: Duration,
    ) -> Result<Batches<T>, StoreError> {
        let pool = self.streamers.clone();
        let permit = self.streams.place(holder).await?;
        let (sender, receiver) = mpsc::channel(BATCHES_AHEAD);
        let runtime = Handle::current();
        // Boxed, as each task here: the compiler then builds what carries a task out once, and not for each kind of row.
        let work: Box<dyn FnOnce() + Send> = Box::new(move || {
            let _permit = permit;
            let outcome = pool.take().and_then(|mut connection| {
                let outcome = while_wanted(&mut connection, &sender, |connection| {
                    send_batches(connection, &sql, &values, &sender, patience)
                });
                pool.give_back(connection);
                outcome
            });
            if let Err(error) = outcome {
                // Not waited for: a receiver that is only slow may take its time to learn of it.
                runtime.spawn(async move { drop(sender.send(Err(error)).await) }.boxed());
            }
        });
        tokio::task::spawn_blocking(work);
        Ok(received(receiver))
    }
}

fn closed<E>(_: E) -> StoreError {
    StoreError::unavailable("the database is closed")
}

/// Connections that only read, opened when first needed.
struct Pool {
    path: PathBuf,
    /// In KiB, for each connection.
    cache: u32,
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Connection>>,
}

impl Pool {
    fn new(path: &Path, permits: usize, cache: u32) -> Self {
        Self {
            path: path.into(),
            cache,
            permits: Arc::new(Semaphore::new(permits)),
            idle: Mutex::default(),
        }
    }

    fn take(&self) -> Result<Connection, StoreError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        idle.map_or_else(|| open_reader(&self.path, self.cache), Ok)
    }

    fn give_back(&self, connection: Connection) {
        self.idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(connection);
    }
}

fn open_writer(path: &Path) -> Result<Connection, StoreError> {
    let connection = Connection::open(path)?;
    // FULL: an acknowledged change survives a power cut, not only a crash of this process. What a savepoint needs to
    // go back stays in memory: it is of no use after a crash, and a file for it costs more than the change itself.
    connection.execute_batch(
        "PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;
         PRAGMA foreign_keys = ON;
         PRAGMA cache_size = -16384;
         PRAGMA temp_store = MEMORY;
         PRAGMA wal_autocheckpoint = 4000;
         PRAGMA journal_size_limit = 67108864;",
    )?;
    configure(&connection)?;
    Ok(connection)
}

/// A connection that only reads, and keeps up to `cache` KiB of the file in memory.
pub(crate) fn open_reader(path: &Path, cache: u32) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.execute_batch(&format!("PRAGMA query_only = ON; PRAGMA cache_size = -{cache};"))?;
    configure(&connection)?;
    Ok(connection)
}

fn configure(connection: &Connection) -> Result<(), StoreError> {
    connection.busy_timeout(Duration::from_secs(10))?;
    connection.set_prepared_statement_cache_capacity(PREPARED);
    // Otherwise SQLite looks at bound values when it plans, and plans a prepared statement anew for every other value:
    // that costs more than most of our statements do.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

fn prepare<'c>(connection: &'c Connection, sql: &str) -> Result<CachedStatement<'c>, StoreError> {
    Ok(connection.prepare_cached(&dialect::for_sqlite(sql))?)
}

fn bound(values: &[Value]) -> impl rusqlite::Params + '_ {
    rusqlite::params_from_iter(values)
}

pub(crate) fn fetch_all<T: FromRow>(
    connection: &Connection,
    sql: &str,
    values: &[Value],
) -> Result<Vec<T>, StoreError> {
    let mut statement = prepare(connection, sql)?;
    let mut rows = statement.query(bound(values))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(T::from_row(&Row::Sqlite(row))?);
    }
    Ok(found)
}

pub(crate) fn execute(connection: &Connection, sql: &str, values: &[Value]) -> Result<u64, StoreError> {
    let changed = prepare(connection, sql)?.execute(bound(values))?;
    Ok(changed as u64)
}

fn prepare_each<'c>(
    connection: &'c Connection,
    sql: &str,
    shape: Shape,
) -> Result<CachedStatement<'c>, StoreError> {
    let sql = dialect::for_each_row(Dialect::Sqlite, sql, shape);
    Ok(connection.prepare_cached(&sql)?)
}

pub(crate) fn fetch_each<T: FromRow>(
    connection: &Connection,
    sql: &str,
    shape: Shape,
    each: &[Vec<Value>],
) -> Result<Vec<T>, StoreError> {
    let mut statement = prepare_each(connection, sql, shape)?;
    let mut found = Vec::with_capacity(each.len());
    for values in each {
        let mut rows = statement.query(bound(values))?;
        while let Some(row) = rows.next()? {
            found.push(T::from_row(&Row::Sqlite(row))?);
        }
    }
    Ok(found)
}

pub(crate) fn execute_each(
    connection: &Connection,
    sql: &str,
    shape: Shape,
    each: &[Vec<Value>],
) -> Result<u64, StoreError> {
    let mut statement = prepare_each(connection, sql, shape)?;
    let mut changed = 0;
    for values in each {
        changed += statement.execute(bound(values))?;
    }
    Ok(changed as u64)
}

/// What `action` finds in a few milliseconds; `None` when a thread should go on looking.
fn if_quick<T>(
    connection: &mut Connection,
    action: impl FnOnce(&Connection) -> Result<T, StoreError>,
) -> Result<Option<T>, StoreError> {
    let (mut kilosteps, begun) = (0, Instant::now());
    let too_long = move || {
        kilosteps += 1;
        kilosteps > SHORT_KILOSTEPS || begun.elapsed() > SHORT
    };
    connection.progress_handler(1000, Some(too_long))?;
    let outcome = action(connection);
    connection.progress_handler(0, None::<fn() -> bool>)?;
    match outcome {
        Err(StoreError::Busy) => Ok(None),
        other => other.map(Some),
    }
}

/// Does `work` until the receiver of what it finds has gone: nobody is to wait for a read that nobody wants.
fn while_wanted<T: Send + 'static>(
    connection: &mut Connection,
    sender: &mpsc::Sender<T>,
    work: impl FnOnce(&Connection) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let asked = sender.clone();
    connection.progress_handler(STEPS_UNASKED, Some(move || asked.is_closed()))?;
    let outcome = work(connection);
    connection.progress_handler(0, None::<fn() -> bool>)?;
    outcome
}

fn fetch_batch<T: FromRow>(
    connection: &Connection,
    sql: &str,
    values: &[Value],
) -> Result<Option<Vec<T>>, StoreError> {
    let mut statement = prepare(connection, sql)?;
    let mut rows = statement.query(bound(values))?;
    let mut batch = Batch::default();
    while let Some(row) = rows.next()? {
        if batch.is_full() {
            return Ok(None);
        }
        batch.add(&Row::Sqlite(row))?;
    }
    Ok(Some(batch.take()))
}

fn send_batches<T: FromRow>(
    connection: &Connection,
    sql: &str,
    values: &[Value],
    sender: &mpsc::Sender<Result<Vec<T>, StoreError>>,
    within: Duration,
) -> Result<(), StoreError> {
    let mut statement = prepare(connection, sql)?;
    let mut rows = statement.query(bound(values))?;
    let mut batch = Batch::default();
    while let Some(row) = rows.next()? {
        batch.add(&Row::Sqlite(row))?;
        if batch.is_full() && !send(sender, batch.take(), within)? {
            return Ok(());
        }
    }
    let rest = batch.take();
    if !rest.is_empty() {
        send(sender, rest, within)?;
    }
    Ok(())
}

/// Sends a batch to a receiver who takes it in time; whether there still is one.
fn send<T>(
    sender: &mpsc::Sender<Result<Vec<T>, StoreError>>,
    batch: Vec<T>,
    within: Duration,
) -> Result<bool, StoreError> {
    let batch = match sender.try_send(Ok(batch)) {
        Err(TrySendError::Full(batch)) => batch,
        sent => return Ok(sent.is_ok()),
    };
    let sending = async { tokio::time::timeout(within, sender.send(batch)).await };
    match Handle::current().block_on(sending) {
        Ok(sent) => Ok(sent.is_ok()),
        Err(_) => Err(StoreError::TooSlow(within)),
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        let rusqlite::Error::SqliteFailure(failure, text) = &error else {
            return Self::broken(error);
        };
        match failure.code {
            ErrorCode::ConstraintViolation => Self::Conflict {
                constraint: constraint_of(text.as_deref()),
            },
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::OperationInterrupted => {
                Self::Busy
            }
            ErrorCode::DiskFull
            | ErrorCode::CannotOpen
            | ErrorCode::SystemIoFailure
            | ErrorCode::ReadOnly
            | ErrorCode::OutOfMemory => Self::unavailable(error),
            _ => Self::broken(error),
        }
    }
}

/// SQLite names the columns of a violated constraint, PostgreSQL its name; ours are known by name.
fn constraint_of(text: Option<&str>) -> String {
    let text = text.unwrap_or_default();
    let columns = text.rsplit("failed: ").next().unwrap_or_default();
    dialect::constraint_on(columns).unwrap_or(columns).to_owned()
}

/// Which scripts were applied to the file; none when there is no file.
pub(crate) fn applied_to(path: &Path) -> Result<Applied, StoreError> {
    if !path.exists() {
        return Ok(Applied::new());
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
    applied(&Connection::open_with_flags(path, flags)?)
}

fn applied(connection: &Connection) -> Result<Applied, StoreError> {
    let known = "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = 'migrations'";
    let tables: i64 = connection.query_row(known, [], |row| row.get(0))?;
    if tables == 0 {
        return Ok(Applied::new());
    }
    let mut statement = connection.prepare("SELECT id, sha256 FROM migrations ORDER BY id")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Makes the file when it is missing, and applies the scripts that `plan` finds wanting, all in one transaction.
pub(crate) fn migrate(
    path: &Path,
    plan: impl Fn(&Applied) -> Result<Plan, StoreError>,
) -> Result<Vec<i64>, StoreError> {
    let mut connection = open_writer(path)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(
        "CREATE TABLE IF NOT EXISTS migrations (id BIGINT NOT NULL PRIMARY KEY, sha256 BYTEA NOT NULL)",
    )?;
    let plan = plan(&applied(&transaction)?)?;
    for script in &plan {
        transaction.execute_batch(&script.sql)?;
        transaction.execute(
            "INSERT INTO migrations (id, sha256) VALUES (?1, ?2)",
            (script.id, script.sha256),
        )?;
    }
    transaction.commit()?;
    Ok(plan.iter().map(|script| script.id).collect())
}

#[cfg(test)]
mod tests;
