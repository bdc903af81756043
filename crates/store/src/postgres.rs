//! PostgreSQL: reads on any connection, each change a transaction of its own, tried again when the server asks for it.
//!
//! A connection that breaks is nobody's fault: a read is made again on a fresh one, and so is a change, unless it broke
//! while the change was being committed. Then nobody knows what became of it, and its caller learns so.
//!
//! A caller may go away at any moment: then what it had begun is canceled, and its connection ends with it.

use super::{
    connections::{CHANGE, Connections, PooledConnection, READ},
    db::{Batch, Batches, Tx, received},
    dialect::{self, Dialect, Shape},
    error::{ChangeError, StoreError, Told},
    migrations::{Applied, Plan},
    shares::{Holder, Shares},
    value::{FromRow, Row, Value},
};
use crate::settings::DatabaseSettings;
use deadpool_postgres::{GenericClient, Transaction};
use domain::jitter;
use futures::{FutureExt as _, TryStreamExt, future::BoxFuture, pin_mut};
use std::{pin::Pin, time::Duration};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, timeout},
};
use tokio_postgres::{
    RowStream,
    error::{DbError, SqlState},
    types::ToSql,
};

/// How long a change is tried again before its caller is told that the database is busy.
const TRIED_FOR: Duration = Duration::from_secs(5);
/// The longest pause before a change is tried again, after the first attempt and in the end.
const PAUSES: (Duration, Duration) = (Duration::from_millis(4), Duration::from_millis(250));
/// Statements that a connection keeps prepared.
const PREPARED: usize = 512;
/// Batches that may wait for a slow receiver.
const BATCHES_AHEAD: usize = 4;
/// How long the end of a result may take when its receiver has all the rows that it wants.
const LAST_WORD: Duration = Duration::from_secs(1);

pub struct Postgres {
    connections: Connections,
    /// Places for streams: they take as long as their receivers do, and must leave connections to everybody else.
    streams: Shares,
    pub(crate) judges: Shares,
    pub(crate) sorts: Shares,
}

impl Postgres {
    /// Prepares for connecting; whether the server is there shows with the first statement.
    pub fn new(settings: &DatabaseSettings) -> Result<Self, StoreError> {
        Ok(Self {
            connections: Connections::new(settings)?,
            streams: Shares::new("stream", (settings.connections / 2).max(1)),
            judges: Shares::of_processors(),
            sorts: super::list::sort_places(),
        })
    }

    /// A connection that its caller looks after.
    pub(crate) async fn connection(&self) -> Result<PooledConnection, StoreError> {
        self.connections.get().await
    }

    /// All connections, for those who need another one.
    pub(crate) fn connections(&self) -> &Connections {
        &self.connections
    }

    /// Which scripts were applied to this database.
    pub(crate) async fn applied(&self) -> Result<Applied, StoreError> {
        let client = self.connections.get().await?;
        let known = client
            .query_one("SELECT to_regclass('migrations') IS NOT NULL", &[])
            .await?;
        let applied = if known.try_get(0)? {
            applied(&*client).await?
        } else {
            Applied::new()
        };
        client.give_back();
        Ok(applied)
    }

    /// Applies the scripts that `plan` finds wanting, all in one transaction and under `lock`, so that of several
    /// servers that start at the same time one does it and the others find it done.
    pub(crate) async fn migrate(
        &self,
        lock: &str,
        plan: impl Fn(&Applied) -> Result<Plan, StoreError> + Sync,
    ) -> Result<Vec<i64>, StoreError> {
        let mut client = self.connections.get().await?;
        let transaction = client.transaction().await?;
        // The first of several may take its time.
        transaction
            .batch_execute("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0")
            .await?;
        transaction.batch_execute(lock).await?;
        transaction
            .batch_execute(
                "CREATE TABLE IF NOT EXISTS migrations (id BIGINT NOT NULL PRIMARY KEY, sha256 BYTEA NOT NULL)",
            )
            .await?;
        let plan = plan(&applied(&transaction).await?)?;
        for script in &plan {
            transaction.batch_execute(&script.sql).await?;
            transaction
                .execute(
                    "INSERT INTO migrations (id, sha256) VALUES ($1, $2)",
                    &[&script.id, &script.sha256.as_slice()],
                )
                .await?;
        }
        transaction.commit().await?;
        client.give_back();
        Ok(plan.iter().map(|script| script.id).collect())
    }

    pub(crate) async fn write<I, T, E, F>(&self, input: I, action: F) -> Result<T, E>
    where
        I: Send + Sync + 'static,
        E: ChangeError,
        F: for<'t> Fn(Tx<'t>, &'t I) -> BoxFuture<'t, Result<T, E>> + Send + Sync,
    {
        let begun = Instant::now();
        let mut longest_pause = PAUSES.0;
        let mut is_renewed = false;
        loop {
            let outcome = self.write_once(&input, &action).await;
            match failure(&outcome) {
                Some(StoreError::Busy) if begun.elapsed() < TRIED_FOR => {
                    sleep(jitter::between(Duration::ZERO, longest_pause)).await;
                    longest_pause = (longest_pause * 2).min(PAUSES.1);
                }
                Some(StoreError::Unavailable(_)) if !is_renewed => {
                    self.connections.forget_idle();
                    is_renewed = true;
                }
                _ => return outcome,
            }
        }
    }

    async fn write_once<I, T, E, F>(&self, input: &I, action: &F) -> Result<T, E>
    where
        I: Send + Sync,
        E: ChangeError,
        F: for<'t> Fn(Tx<'t>, &'t I) -> BoxFuture<'t, Result<T, E>> + Send + Sync,
    {
        let mut client = self.connections.get().await?;
        let mut at_commit = false;
        let outcome = timeout(CHANGE, transact(&mut client, input, action, &mut at_commit)).await;
        let outcome = match outcome {
            Ok(outcome) => {
                if matches!(failure(&outcome), Some(StoreError::Unavailable(_))) {
                    client.end();
                } else {
                    client.give_back();
                }
                outcome
            }
            Err(_) => Err(no_answer().into()),
        };
        match failure(&outcome) {
            Some(StoreError::Unavailable(why)) if at_commit => Err(StoreError::InDoubt(why.clone()).into()),
            _ => outcome,
        }
    }

    pub(crate) async fn fetch_all<T: FromRow>(
        &self,
        sql: &str,
        values: &[Value],
    ) -> Result<Vec<T>, StoreError> {
        self.fetch_bound(sql, &bound(values)).await
    }

    async fn fetch_bound<T: FromRow>(&self, sql: &str, bound: Bound<'_>) -> Result<Vec<T>, StoreError> {
        let rows = match self.fetch_once(sql, bound).await {
            Err(StoreError::Unavailable(_)) => {
                self.connections.forget_idle();
                self.fetch_once(sql, bound).await?
            }
            outcome => outcome?,
        };
        read(&rows)
    }

    /// All rows, if one batch holds them.
    pub(crate) async fn fetch_batch<T: FromRow>(
        &self,
        sql: &str,
        values: &[Value],
    ) -> Result<Option<Vec<T>>, StoreError> {
        match self.fetch_batch_once(sql, values).await {
            Err(StoreError::Unavailable(_)) => {
                self.connections.forget_idle();
                self.fetch_batch_once(sql, values).await
            }
            outcome => outcome,
        }
    }

    async fn fetch_batch_once<T: FromRow>(
        &self,
        sql: &str,
        values: &[Value],
    ) -> Result<Option<Vec<T>>, StoreError> {
        let client = self.connections.get().await?;
        bound_statements(&client);
        let outcome = timeout(READ, read_batch(&client, sql, values)).await;
        let (client, rows) = client.settle(outcome)?;
        // What is still on its way would keep the next user of the connection waiting.
        if rows.is_some() {
            client.give_back();
        }
        Ok(rows)
    }

    /// The same for many rows of values.
    pub(crate) async fn fetch_each<T: FromRow>(
        &self,
        sql: &str,
        shape: Shape<'_>,
        each: Vec<Vec<Value>>,
    ) -> Result<Vec<T>, StoreError> {
        let sql = dialect::for_each_row(Dialect::Postgres, sql, shape);
        let columns = columns(shape, each);
        self.fetch_bound(&sql, &bound_columns(&columns)).await
    }

    async fn fetch_once(&self, sql: &str, bound: Bound<'_>) -> Result<Vec<tokio_postgres::Row>, StoreError> {
        let client = self.connections.get().await?;
        bound_statements(&client);
        let outcome = timeout(READ, fetch_rows(&*client, sql, bound)).await;
        let (client, rows) = client.settle(outcome)?;
        client.give_back();
        Ok(rows)
    }

    pub(crate) async fn stream<T: FromRow>(
        &self,
        sql: String,
        values: Vec<Value>,
        holder: Holder,
        patience: Duration,
    ) -> Result<Batches<T>, StoreError> {
        let permit = self.streams.place(holder).await?;
        let (client, rows) = match self.open_stream(&sql, &values).await {
            Err(StoreError::Unavailable(_)) => {
                self.connections.forget_idle();
                self.open_stream(&sql, &values).await?
            }
            opened => opened?,
        };
        let (sender, receiver) = mpsc::channel(BATCHES_AHEAD);
        let sending = async move {
            let _permit = permit;
            send_rows(client, rows, sender, patience).await;
        };
        tokio::spawn(sending.boxed());
        Ok(received(receiver))
    }

    async fn open_stream(
        &self,
        sql: &str,
        values: &[Value],
    ) -> Result<(PooledConnection, RowStream), StoreError> {
        let client = self.connections.get().await?;
        bound_statements(&client);
        let opened = timeout(READ, begin_stream(&client, sql, values)).await;
        client.settle(opened)
    }
}

async fn begin_stream(
    client: &PooledConnection,
    sql: &str,
    values: &[Value],
) -> Result<RowStream, StoreError> {
    let statement = client.prepare_cached(sql).await?;
    Ok(client.query_raw(&statement, bound(values)).await?)
}

async fn read_batch<T: FromRow>(
    client: &PooledConnection,
    sql: &str,
    values: &[Value],
) -> Result<Option<Vec<T>>, StoreError> {
    let rows = begin_stream(client, sql, values).await?;
    pin_mut!(rows);
    let mut batch = Batch::default();
    while let Some(row) = rows.try_next().await? {
        if batch.is_full() {
            return Ok(None);
        }
        batch.add(&Row::Postgres(&row))?;
    }
    Ok(Some(batch.take()))
}

/// Sends rows to whoever receives them, for as long as somebody does and takes no longer than `within` for a batch.
async fn send_rows<T: FromRow>(
    client: PooledConnection,
    rows: RowStream,
    sender: mpsc::Sender<Result<Vec<T>, StoreError>>,
    within: Duration,
) {
    pin_mut!(rows);
    let sent = tokio::select! {
        sent = send_batches(rows.as_mut(), &sender, within) => sent,
        () = sender.closed() => Err(StreamEnd::ReceiverGone),
    };
    match sent {
        Ok(()) => client.give_back(),
        Err(StreamEnd::ReceiverGone) => {
            if matches!(timeout(LAST_WORD, rows.try_next()).await, Ok(Ok(None))) {
                client.give_back();
            }
        }
        Err(StreamEnd::Failed(error)) => {
            drop(client);
            // Not waited for: a receiver that is only slow may take its time to learn of it.
            tokio::spawn(async move { drop(sender.send(Err(error)).await) }.boxed());
        }
    }
}

/// Makes a change; `at_commit` says how far it came.
async fn transact<I, T, E, F>(
    client: &mut PooledConnection,
    input: &I,
    action: &F,
    at_commit: &mut bool,
) -> Result<T, E>
where
    E: ChangeError,
    F: for<'t> Fn(Tx<'t>, &'t I) -> BoxFuture<'t, Result<T, E>>,
{
    let transaction = client.transaction().await.map_err(StoreError::from)?;
    match action(Tx::Postgres(&transaction), input).await {
        Ok(outcome) => {
            *at_commit = true;
            transaction.commit().await.map_err(StoreError::from)?;
            Ok(outcome)
        }
        Err(error) => {
            // What it had locked is free when its caller hears of it. If even that fails, the connection ends, and the
            // transaction with it.
            drop(transaction.rollback().await);
            Err(error)
        }
    }
}

/// What of the database's made a change fail, if that did.
fn failure<T, E: ChangeError>(outcome: &Result<T, E>) -> Option<&StoreError> {
    outcome.as_ref().err().and_then(ChangeError::store_error)
}

fn no_answer() -> StoreError {
    StoreError::unavailable(format!("no answer within {} seconds", CHANGE.as_secs()))
}

async fn applied(client: &impl GenericClient) -> Result<Applied, StoreError> {
    let rows = client
        .query("SELECT id, sha256 FROM migrations ORDER BY id", &[])
        .await?;
    rows.iter()
        .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
        .collect()
}

/// Forgets the prepared statements of a connection when filters of ever new shapes have made them too many.
fn bound_statements(client: &deadpool_postgres::Client) {
    if client.statement_cache.size() > PREPARED {
        client.statement_cache.clear();
    }
}

/// The values of a statement.
type Bound<'b> = &'b [&'b (dyn ToSql + Sync)];

fn bound(values: &[Value]) -> Vec<&(dyn ToSql + Sync)> {
    values.iter().map(|value| value as &(dyn ToSql + Sync)).collect()
}

pub(crate) async fn fetch_all<T: FromRow>(
    client: &impl GenericClient,
    sql: &str,
    values: &[Value],
) -> Result<Vec<T>, StoreError> {
    read(&fetch_rows(client, sql, &bound(values)).await?)
}

async fn fetch_rows(
    client: &impl GenericClient,
    sql: &str,
    bound: Bound<'_>,
) -> Result<Vec<tokio_postgres::Row>, StoreError> {
    let statement = client.prepare_cached(sql).await?;
    Ok(client.query(&statement, bound).await?)
}

fn read<T: FromRow>(rows: &[tokio_postgres::Row]) -> Result<Vec<T>, StoreError> {
    rows.iter().map(|row| T::from_row(&Row::Postgres(row))).collect()
}

pub(crate) async fn execute(
    transaction: &Transaction<'_>,
    sql: &str,
    values: &[Value],
) -> Result<u64, StoreError> {
    let statement = transaction.prepare_cached(sql).await?;
    Ok(transaction.execute(&statement, &bound(values)).await?)
}

/// Why a stream ended before its last row.
enum StreamEnd {
    /// Nobody receives it any more.
    ReceiverGone,
    Failed(StoreError),
}

impl<E: Into<StoreError>> From<E> for StreamEnd {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

pub(crate) async fn fetch_each<T: FromRow>(
    transaction: &Transaction<'_>,
    sql: &str,
    shape: Shape<'_>,
    each: Vec<Vec<Value>>,
) -> Result<Vec<T>, StoreError> {
    let sql = dialect::for_each_row(Dialect::Postgres, sql, shape);
    let statement = transaction.prepare_cached(&sql).await?;
    let columns = columns(shape, each);
    read(&transaction.query(&statement, &bound_columns(&columns)).await?)
}

pub(crate) async fn execute_each(
    transaction: &Transaction<'_>,
    sql: &str,
    shape: Shape<'_>,
    each: Vec<Vec<Value>>,
) -> Result<u64, StoreError> {
    let sql = dialect::for_each_row(Dialect::Postgres, sql, shape);
    let statement = transaction.prepare_cached(&sql).await?;
    let columns = columns(shape, each);
    Ok(transaction.execute(&statement, &bound_columns(&columns)).await?)
}

/// The values of all rows, one list for each column.
fn columns(shape: Shape, each: Vec<Vec<Value>>) -> Vec<Vec<Value>> {
    let mut columns: Vec<_> = shape.iter().map(|_| Vec::with_capacity(each.len())).collect();
    for values in each {
        for (column, value) in columns.iter_mut().zip(values) {
            column.push(value);
        }
    }
    columns
}

fn bound_columns(columns: &[Vec<Value>]) -> Vec<&(dyn ToSql + Sync)> {
    columns
        .iter()
        .map(|column| column as &(dyn ToSql + Sync))
        .collect()
}

async fn send_batches<T: FromRow>(
    mut rows: Pin<&mut RowStream>,
    sender: &mpsc::Sender<Result<Vec<T>, StoreError>>,
    within: Duration,
) -> Result<(), StreamEnd> {
    let mut batch = Batch::default();
    while let Some(row) = rows.try_next().await? {
        batch.add(&Row::Postgres(&row))?;
        if batch.is_full() {
            send(sender, batch.take(), within).await?;
        }
    }
    let rest = batch.take();
    if !rest.is_empty() {
        send(sender, rest, within).await?;
    }
    Ok(())
}

async fn send<T>(
    sender: &mpsc::Sender<Result<Vec<T>, StoreError>>,
    batch: Vec<T>,
    within: Duration,
) -> Result<(), StreamEnd> {
    match timeout(within, sender.send(Ok(batch))).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(StreamEnd::ReceiverGone),
        Err(_) => Err(StreamEnd::Failed(StoreError::TooSlow(within))),
    }
}

impl From<tokio_postgres::Error> for StoreError {
    fn from(error: tokio_postgres::Error) -> Self {
        match error.as_db_error() {
            Some(answer) => Self::from_answer(answer.clone()),
            None if is_of_connection(&error) => Self::unavailable(error),
            None => Self::broken(error),
        }
    }
}

impl StoreError {
    fn from_answer(answer: DbError) -> Self {
        let code = answer.code();
        let may_pass = [
            SqlState::T_R_SERIALIZATION_FAILURE,
            SqlState::T_R_DEADLOCK_DETECTED,
            SqlState::LOCK_NOT_AVAILABLE,
            // The statement's time was over.
            SqlState::QUERY_CANCELED,
        ];
        if may_pass.contains(code) {
            return Self::Busy;
        }
        let of_this_connection = [
            // It leads to a standby, or to what has become one.
            SqlState::READ_ONLY_SQL_TRANSACTION,
            SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
            SqlState::INVALID_CATALOG_NAME,
        ];
        let has_stale_plan = answer.routine() == Some("RevalidateCachedQuery");
        if of_this_connection.contains(code) || has_stale_plan {
            return Self::unavailable(answer);
        }
        match code.code().get(..2) {
            Some("23") => Self::Conflict {
                constraint: answer.constraint().unwrap_or_default().to_owned(),
            },
            // 08 connection, 28 sign-in, 53 resources, 57 operator intervention, 58 system error.
            Some("08" | "28" | "53" | "57" | "58") => Self::unavailable(answer),
            _ => Self::broken(answer),
        }
    }
}

impl StoreError {
    /// Whether the database is only away: it cannot be reached, or takes nobody in yet. Whoever it refuses, and whoever does
    /// not believe its certificate, gets no further by waiting.
    pub(crate) fn is_away(&self) -> bool {
        let Self::Unavailable(cause) = self else {
            return false;
        };
        let cause = cause.downcast_ref().map_or(cause, |Told(cause)| cause);
        if let Some(answer) = cause.downcast_ref::<DbError>() {
            return !matches!(answer.code().code().get(..2), Some("28" | "3D"));
        }
        let failed = cause.downcast_ref::<tokio_postgres::Error>();
        let failed = failed.and_then(std::error::Error::source);
        let failed = failed.and_then(|source| source.downcast_ref::<std::io::Error>());
        failed.is_none_or(|error| error.kind() != std::io::ErrorKind::InvalidData)
    }
}

/// Whether the connection is at fault, not what was sent on it.
fn is_of_connection(error: &tokio_postgres::Error) -> bool {
    error.is_closed() || std::error::Error::source(error).is_some_and(|source| source.is::<std::io::Error>())
}

#[cfg(test)]
mod tests;
