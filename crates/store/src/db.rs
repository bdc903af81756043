//! One way to speak to two databases.
//!
//! A statement is written once. Reads go straight from [`Db::query`]; every change goes through [`Db::write`],
//! whose closure may await nothing but its transaction. That rule is what makes group commit possible on SQLite:
//! its one writer thread runs each closure to its end, and several of them share one `fsync`.

use super::{
    dialect::{Dialect, Shape},
    error::{ChangeError, StoreError},
    postgres::Postgres,
    row::Record,
    sqlite::Sqlite,
    table::Column,
    value::{FromRow, Row, Value},
};
use crate::{
    shares::{Holder, Shares},
    wakeup::Wakeup,
};
use domain::instant::Instant;
use futures::{
    StreamExt,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use std::{borrow::Cow, sync::Arc, time::Duration};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// A database, open and migrated.
#[derive(Clone)]
pub enum Db {
    /// A file, and this process alone.
    Sqlite(Arc<Sqlite>),
    /// A server, and any number of processes.
    Postgres(Arc<Postgres>),
}

/// A transaction under way. Dropping it without having returned `Ok` from the closure undoes it.
pub enum Tx<'t> {
    /// The one connection that writes.
    Sqlite(&'t mut rusqlite::Connection),
    /// A connection of its own.
    Postgres(&'t deadpool_postgres::Transaction<'t>),
}

impl Db {
    /// How it differs in what it reads.
    pub fn dialect(&self) -> Dialect {
        match self {
            Self::Sqlite(_) => Dialect::Sqlite,
            Self::Postgres(_) => Dialect::Postgres,
        }
    }

    /// Places for requests that decide about rows in memory.
    pub(crate) fn judges(&self) -> &Shares {
        match self {
            Self::Sqlite(sqlite) => &sqlite.judges,
            Self::Postgres(postgres) => &postgres.judges,
        }
    }

    /// Places for what sorts in memory keep.
    pub(crate) fn sorts(&self) -> &Shares {
        match self {
            Self::Sqlite(sqlite) => &sqlite.sorts,
            Self::Postgres(postgres) => &postgres.sorts,
        }
    }

    /// A statement that only reads.
    pub fn query<'c>(&'c self, sql: impl Into<Cow<'c, str>>) -> Query<'c> {
        Query {
            on: On::Db(self),
            sql: sql.into(),
            values: Vec::with_capacity(8),
        }
    }

    /// What one statement that only reads finds for many rows of values, as [`Tx::each`] has them, in no order.
    pub async fn fetch_each<T: FromRow>(
        &self,
        sql: &str,
        shape: Shape<'_>,
        rows: Vec<Vec<Value>>,
    ) -> Result<Vec<T>, StoreError> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        match self {
            Self::Sqlite(sqlite) => {
                sqlite
                    .read(|connection| super::sqlite::fetch_each(connection, sql, shape, &rows))
                    .await
            }
            Self::Postgres(postgres) => postgres.fetch_each(sql, shape, rows).await,
        }
    }

    /// Runs `action` in one transaction and answers once it is durable.
    ///
    /// The closure may be called again when the database asks for a retry, so all that it does must go
    /// through its transaction. What it needs comes as `input`.
    ///
    /// # Errors
    /// Those of the closure, and whatever keeps the database from making the change.
    pub async fn write<I, T, E, F>(&self, input: I, action: F) -> Result<T, E>
    where
        I: Send + Sync + 'static,
        T: Send + 'static,
        E: ChangeError,
        F: for<'t> Fn(Tx<'t>, &'t I) -> BoxFuture<'t, Result<T, E>> + Send + Sync + 'static,
    {
        match self {
            Self::Sqlite(sqlite) => sqlite.write(input, action).await,
            Self::Postgres(postgres) => postgres.write(input, action).await,
        }
    }

    /// Passes signals on between servers that share the database, until `stop`.
    pub async fn exchange_signals(&self, wakeup: &Wakeup, stop: &CancellationToken) {
        if let Self::Postgres(postgres) = self {
            super::signals::exchange(postgres.connections(), wakeup, stop).await;
        }
    }

    /// Whether other servers may work on the same database.
    pub fn is_shared(&self) -> bool {
        matches!(self, Self::Postgres(_))
    }

    /// What time it is at the database; nothing where that has no clock but this machine's.
    pub async fn clock(&self) -> Result<Option<Instant>, StoreError> {
        match self.dialect().clock() {
            Some(sql) => self
                .query(sql)
                .fetch_one::<(Instant,)>()
                .await
                .map(|(now,)| Some(now)),
            None => Ok(None),
        }
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.query("SELECT COUNT(*) FROM apps WHERE publisher = ''")
            .fetch_one::<(i64,)>()
            .await
            .map(drop)
    }
}

impl Tx<'_> {
    /// How its database differs in what it reads.
    pub fn dialect(&self) -> Dialect {
        match self {
            Self::Sqlite(_) => Dialect::Sqlite,
            Self::Postgres(_) => Dialect::Postgres,
        }
    }

    /// A statement within the transaction.
    pub fn query<'c>(&'c mut self, sql: impl Into<Cow<'c, str>>) -> Query<'c> {
        let on = match self {
            Self::Sqlite(connection) => On::SqliteTx(connection),
            Self::Postgres(transaction) => On::PostgresTx(transaction),
        };
        Query {
            on,
            sql: sql.into(),
            values: Vec::with_capacity(8),
        }
    }

    /// The same statement for many rows of values, each of which has the given shape. How the text names the values
    /// is told at `dialect::for_each_row`.
    pub fn each<'c>(&'c mut self, sql: &'c str, shape: Shape<'c>, rows: Vec<Vec<Value>>) -> Each<'c> {
        let tx = match self {
            Self::Sqlite(connection) => Tx::Sqlite(connection),
            Self::Postgres(transaction) => Tx::Postgres(transaction),
        };
        Each { tx, sql, shape, rows }
    }

    /// Adds a row to its table.
    pub fn add<R: Record>(&mut self, row: &R) -> Query<'_> {
        self.query(R::TABLE.insert(1)).bind_all(row.values())
    }

    /// Adds rows to their table.
    pub async fn add_all<R: Record>(&mut self, rows: &[R]) -> Result<(), StoreError> {
        self.add_all_unless(rows, "").await.map(drop)
    }

    /// The same with a clause behind the statement that says what is done where a row is there already; how many rows it
    /// touched.
    pub async fn add_all_unless<R: Record>(&mut self, rows: &[R], clause: &str) -> Result<u64, StoreError> {
        let shape: Vec<_> = R::TABLE.columns.iter().map(Column::shape).collect();
        let given: Vec<_> = shape.iter().map(|(name, _)| format!("{{{name}}}")).collect();
        let sql = format!(
            "INSERT INTO {} ({}) SELECT {} FROM {{rows}} WHERE 1 = 1 {clause}",
            R::TABLE.name,
            R::TABLE.column_names(),
            given.join(", ")
        );
        let rows = rows.iter().map(Record::values).collect();
        self.each(&sql, &shape, rows).execute().await
    }

    /// Writes these columns of rows that are found by their key; how many there were.
    pub async fn update_all<R: Record>(&mut self, rows: &[R], columns: &[&str]) -> Result<u64, StoreError> {
        let table = R::TABLE;
        let written: Vec<_> = columns.iter().chain(table.key).collect();
        let positions: Vec<_> = written.iter().filter_map(|name| table.position(name)).collect();
        let columns_written = positions.iter().filter_map(|&at| table.columns.get(at));
        let shape: Vec<_> = columns_written.map(Column::shape).collect();
        let set: Vec<_> = columns
            .iter()
            .map(|name| format!("{name} = {{{name}}}"))
            .collect();
        let key = table
            .key
            .iter()
            .map(|name| format!("{}.{name} = {{{name}}}", table.name));
        let sql = format!(
            "UPDATE {} SET {} FROM {{rows}} WHERE {}",
            table.name,
            set.join(", "),
            key.collect::<Vec<_>>().join(" AND ")
        );
        let values = |row: &R| {
            let all = row.values();
            positions.iter().filter_map(|&at| all.get(at).cloned()).collect()
        };
        self.each(&sql, &shape, rows.iter().map(values).collect())
            .execute()
            .await
    }

    /// Writes these columns of a row that is found by its key. The database refuses one that the table does not have.
    pub fn update<R: Record>(&mut self, row: &R, columns: &[&str]) -> Query<'_> {
        let values = row.values();
        let value = |name: &&str| {
            R::TABLE
                .position(name)
                .and_then(|position| values.get(position).cloned())
        };
        let bound = columns
            .iter()
            .chain(R::TABLE.key)
            .map(|name| value(name).unwrap_or(Value::Null));
        self.query(R::TABLE.update(columns))
            .bind_all(bound.collect::<Vec<_>>())
    }
}

/// A statement and many rows of values for it. Without rows, nothing is done.
#[must_use = "a statement does nothing until it is fetched or executed"]
pub struct Each<'c> {
    tx: Tx<'c>,
    sql: &'c str,
    shape: Shape<'c>,
    rows: Vec<Vec<Value>>,
}

impl Each<'_> {
    /// What is found for all rows of values together, in no order.
    pub async fn fetch_all<T: FromRow>(self) -> Result<Vec<T>, StoreError> {
        if self.rows.is_empty() {
            return Ok(Vec::new());
        }
        match self.tx {
            Tx::Sqlite(connection) => super::sqlite::fetch_each(connection, self.sql, self.shape, &self.rows),
            Tx::Postgres(transaction) => {
                super::postgres::fetch_each(transaction, self.sql, self.shape, self.rows).await
            }
        }
    }

    /// Carries out a change; answers how many rows of the database it touched.
    pub async fn execute(self) -> Result<u64, StoreError> {
        if self.rows.is_empty() {
            return Ok(0);
        }
        match self.tx {
            Tx::Sqlite(connection) => {
                super::sqlite::execute_each(connection, self.sql, self.shape, &self.rows)
            }
            Tx::Postgres(transaction) => {
                super::postgres::execute_each(transaction, self.sql, self.shape, self.rows).await
            }
        }
    }
}

enum On<'c> {
    Db(&'c Db),
    SqliteTx(&'c mut rusqlite::Connection),
    PostgresTx(&'c deadpool_postgres::Transaction<'c>),
}

/// Where something is read that is asked for both outside of transactions and within them.
pub enum Reader<'r, 't> {
    /// Outside.
    Db(&'r Db),
    /// Within.
    Tx(&'r mut Tx<'t>),
}

impl<'r> From<&'r Db> for Reader<'r, '_> {
    fn from(db: &'r Db) -> Self {
        Self::Db(db)
    }
}

impl<'r, 't> From<&'r mut Tx<'t>> for Reader<'r, 't> {
    fn from(tx: &'r mut Tx<'t>) -> Self {
        Self::Tx(tx)
    }
}

impl<'r, 't> From<&'r mut Reader<'_, 't>> for Reader<'r, 't> {
    fn from(reader: &'r mut Reader<'_, 't>) -> Self {
        match reader {
            Reader::Db(db) => Self::Db(db),
            Reader::Tx(tx) => Self::Tx(tx),
        }
    }
}

impl Reader<'_, '_> {
    /// A statement that only reads.
    pub fn query<'c>(&'c mut self, sql: impl Into<Cow<'c, str>>) -> Query<'c> {
        match self {
            Self::Db(db) => db.query(sql),
            Self::Tx(tx) => tx.query(sql),
        }
    }

    /// What one statement that only reads finds for many rows of values, as [`Tx::each`] has them, in no order.
    pub async fn fetch_each<T: FromRow>(
        &mut self,
        sql: &str,
        shape: Shape<'_>,
        rows: Vec<Vec<Value>>,
    ) -> Result<Vec<T>, StoreError> {
        match self {
            Self::Db(db) => db.fetch_each(sql, shape, rows).await,
            Self::Tx(tx) => tx.each(sql, shape, rows).fetch_all().await,
        }
    }
}

/// A statement and its values.
#[must_use = "a query does nothing until it is fetched or executed"]
pub struct Query<'c> {
    on: On<'c>,
    sql: Cow<'c, str>,
    values: Vec<Value>,
}

impl Query<'_> {
    /// Binds the next `$n`.
    pub fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    /// Puts a clause behind the statement.
    pub fn clause(mut self, clause: &str) -> Self {
        let sql = self.sql.to_mut();
        sql.push('\n');
        sql.push_str(clause);
        self
    }

    /// Binds several at once.
    pub fn bind_all(mut self, values: impl IntoIterator<Item = Value>) -> Self {
        self.values.extend(values);
        self
    }

    /// All rows. For results known to be short; longer ones are streamed.
    pub async fn fetch_all<T: FromRow>(self) -> Result<Vec<T>, StoreError> {
        match self.on {
            On::Db(Db::Sqlite(sqlite)) => sqlite.fetch_all(&self.sql, &self.values).await,
            On::Db(Db::Postgres(postgres)) => postgres.fetch_all(&self.sql, &self.values).await,
            On::SqliteTx(connection) => super::sqlite::fetch_all(connection, &self.sql, &self.values),
            On::PostgresTx(transaction) => {
                super::postgres::fetch_all(transaction, &self.sql, &self.values).await
            }
        }
    }

    /// All rows, if one batch holds them.
    pub(crate) async fn fetch_batch<T: FromRow>(self) -> Result<Option<Vec<T>>, StoreError> {
        match self.on {
            On::Db(Db::Sqlite(sqlite)) => sqlite.fetch_batch(&self.sql, &self.values).await,
            On::Db(Db::Postgres(postgres)) => postgres.fetch_batch(&self.sql, &self.values).await,
            On::SqliteTx(_) | On::PostgresTx(_) => Err(StoreError::broken("a batch inside a transaction")),
        }
    }

    /// The first row, if there is any.
    pub async fn fetch_optional<T: FromRow>(self) -> Result<Option<T>, StoreError> {
        Ok(self.fetch_all().await?.into_iter().next())
    }

    /// The one row of a statement that always has one.
    pub async fn fetch_one<T: FromRow>(self) -> Result<T, StoreError> {
        let row = self.fetch_optional().await?;
        row.ok_or_else(|| StoreError::broken("a statement that always has a row had none"))
    }

    /// Carries out a change; answers how many rows it touched.
    pub async fn execute(self) -> Result<u64, StoreError> {
        match self.on {
            On::Db(_) => Err(StoreError::broken("a change outside a transaction")),
            On::SqliteTx(connection) => super::sqlite::execute(connection, &self.sql, &self.values),
            On::PostgresTx(transaction) => {
                super::postgres::execute(transaction, &self.sql, &self.values).await
            }
        }
    }

    /// Adds a row by a statement that does nothing where the row is there already. What is not there cannot be locked,
    /// so somebody else may have added it just now; then nothing holds that was decided on its absence, and the change
    /// is tried again, and meets the row.
    pub async fn insert(self) -> Result<(), StoreError> {
        match self.execute().await? {
            0 => Err(StoreError::Busy),
            _ => Ok(()),
        }
    }

    /// The rows as they come, in one snapshot and constant memory.
    ///
    /// A short result arrives with the first batch already; a long one is read by a thread or task of its own,
    /// which waits for the receiver and stops when it is dropped. It takes one of the places for streams, `holder`'s
    /// own first, and gives it back with [`StoreError::TooSlow`] when a batch is not received within `patience`.
    pub(crate) async fn stream<T: FromRow>(
        self,
        holder: Holder,
        patience: Duration,
    ) -> Result<Batches<T>, StoreError> {
        let sql = self.sql.into_owned();
        match self.on {
            On::Db(Db::Sqlite(sqlite)) => sqlite.stream(sql, self.values, holder, patience).await,
            On::Db(Db::Postgres(postgres)) => postgres.stream(sql, self.values, holder, patience).await,
            On::SqliteTx(_) | On::PostgresTx(_) => Err(StoreError::broken("a stream inside a transaction")),
        }
    }
}

/// How long the service itself may take for one batch of a stream before what the rows come on is needed for others.
pub(crate) const RECEIVED: Duration = Duration::from_secs(60);
/// The metric of how long requests and jobs waited for a place at the database.
pub(crate) const WAIT_SECONDS: &str = "fame_database_wait_seconds";
/// Rows in one batch.
pub(crate) const BATCH: usize = 256;
/// Bytes after which a batch is full whatever its rows.
const BATCH_BYTES: usize = 256 * 1024;

/// Rows that go on together.
pub(crate) struct Batch<T> {
    rows: Vec<T>,
    bytes: usize,
}

impl<T> Default for Batch<T> {
    fn default() -> Self {
        Self {
            rows: Vec::new(),
            bytes: 0,
        }
    }
}

impl<T: FromRow> Batch<T> {
    pub(crate) fn add(&mut self, row: &Row<'_>) -> Result<(), StoreError> {
        self.bytes += row.bytes();
        self.rows.push(T::from_row(row)?);
        Ok(())
    }

    pub(crate) fn is_full(&self) -> bool {
        self.rows.len() >= BATCH || self.bytes >= BATCH_BYTES
    }

    /// Its rows; it is empty then.
    pub(crate) fn take(&mut self) -> Vec<T> {
        std::mem::take(self).rows
    }
}

/// Rows on their way, batch by batch; no batch is empty.
pub type Batches<T, E = StoreError> = BoxStream<'static, Result<Vec<T>, E>>;

/// Rows that are there already.
pub(crate) fn complete<T: Send + 'static, E: Send + 'static>(rows: Vec<T>) -> Batches<T, E> {
    stream::iter((!rows.is_empty()).then_some(Ok(rows))).boxed()
}

/// Rows that a channel brings.
pub(crate) fn received<T: Send + 'static>(
    mut channel: mpsc::Receiver<Result<Vec<T>, StoreError>>,
) -> Batches<T> {
    stream::poll_fn(move |context| channel.poll_recv(context)).boxed()
}
