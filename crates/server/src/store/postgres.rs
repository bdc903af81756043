//! PostgreSQL: a pool of connections, each change a transaction of its own, tried again when the server asks for it.

use super::{
    db::{Rows, StoreError, Tx},
    dialect::{self, Dialect, Shape},
    value::{FromRow, Row, Value},
};
use crate::error::Error;
use deadpool_postgres::{GenericClient, ManagerConfig, Pool, RecyclingMethod, Runtime, Transaction};
use futures::{TryStreamExt, future::BoxFuture, pin_mut};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_postgres::{NoTls, error::SqlState, types::ToSql};
use uuid::Uuid;

/// Attempts at a change before its caller is told that the database is busy.
const ATTEMPTS: u32 = 8;
/// Statements that a connection keeps prepared.
const PREPARED: usize = 512;
/// Rows in one batch of a stream.
const BATCH: usize = 256;
/// Batches that may wait for a slow receiver.
const BATCHES_AHEAD: usize = 4;

pub(crate) struct Postgres {
    pool: Pool,
}

impl Postgres {
    /// Connects, and applies the migrations that the database does not have yet.
    pub(crate) async fn open(
        url: &str,
        connections: usize,
        lock: &str,
        scripts: &[(i64, String)],
    ) -> Result<Self, StoreError> {
        let mut config: tokio_postgres::Config = url.parse()?;
        config
            .application_name("fame")
            .connect_timeout(Duration::from_secs(10));
        let recycling = ManagerConfig {
            recycling_method: RecyclingMethod::Fast,
        };
        let manager = deadpool_postgres::Manager::from_config(config, NoTls, recycling);
        let pool = Pool::builder(manager)
            .max_size(connections)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(Duration::from_secs(10)))
            .build()
            .map_err(|error| StoreError::Unavailable(error.to_string()))?;
        let postgres = Self { pool };
        postgres.migrate(lock, scripts).await?;
        Ok(postgres)
    }

    async fn migrate(&self, lock: &str, scripts: &[(i64, String)]) -> Result<(), StoreError> {
        let mut client = self.pool.get().await?;
        let transaction = client.transaction().await?;
        transaction.batch_execute(lock).await?;
        transaction
            .batch_execute("CREATE TABLE IF NOT EXISTS migrations (id BIGINT NOT NULL PRIMARY KEY)")
            .await?;
        let applied: i64 = transaction
            .query_one("SELECT COALESCE(MAX(id), 0) FROM migrations", &[])
            .await?
            .try_get(0)?;
        for (id, script) in scripts.iter().filter(|(id, _)| *id > applied) {
            transaction.batch_execute(script).await?;
            transaction
                .execute("INSERT INTO migrations (id) VALUES ($1)", &[id])
                .await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    pub(super) async fn write<I, T, F>(&self, input: I, action: F) -> Result<T, Error>
    where
        I: Send + Sync + 'static,
        F: for<'t> Fn(Tx<'t>, &'t I) -> BoxFuture<'t, Result<T, Error>> + Send + Sync,
    {
        let mut attempt = 1;
        loop {
            match self.write_once(&input, &action).await {
                Err(Error::Store(StoreError::Busy)) if attempt < ATTEMPTS => {
                    tokio::time::sleep(pause_after(attempt)).await;
                    attempt += 1;
                }
                outcome => return outcome,
            }
        }
    }

    async fn write_once<I, T, F>(&self, input: &I, action: &F) -> Result<T, Error>
    where
        I: Send + Sync,
        F: for<'t> Fn(Tx<'t>, &'t I) -> BoxFuture<'t, Result<T, Error>> + Send + Sync,
    {
        let mut client = self.pool.get().await.map_err(StoreError::from)?;
        let transaction = client.transaction().await.map_err(StoreError::from)?;
        let outcome = action(Tx::Postgres(&transaction), input).await?;
        transaction.commit().await.map_err(StoreError::from)?;
        Ok(outcome)
    }

    pub(super) async fn fetch_all<T: FromRow>(
        &self,
        sql: &str,
        values: &[Value],
    ) -> Result<Vec<T>, StoreError> {
        let client = self.pool.get().await?;
        bound_statements(&client);
        fetch_all(&client, sql, values).await
    }

    pub(super) async fn stream<T: FromRow>(
        &self,
        sql: String,
        values: Vec<Value>,
    ) -> Result<Rows<T>, StoreError> {
        let client = self.pool.get().await?;
        bound_statements(&client);
        let statement = client.prepare_cached(&sql).await?;
        let (sender, receiver) = mpsc::channel(BATCHES_AHEAD);
        tokio::spawn(async move {
            let outcome = send_batches(&client, &statement, &values, &sender).await;
            if let Err(error) = outcome {
                // A receiver that has gone needs no error.
                drop(sender.send(Err(error)).await);
            }
        });
        Ok(Rows::from_channel(receiver))
    }
}

/// How long to leave the others alone before the next attempt: by chance up to twice as long each time, so that those
/// who met once do not meet again.
fn pause_after(attempt: u32) -> Duration {
    let longest = 1_000_u64 << attempt.min(ATTEMPTS);
    let chance = Uuid::new_v4().as_u64_pair().0;
    Duration::from_micros(chance % longest)
}

/// Forgets the prepared statements of a connection when filters of ever new shapes have made them too many.
fn bound_statements(client: &deadpool_postgres::Client) {
    if client.statement_cache.size() > PREPARED {
        client.statement_cache.clear();
    }
}

fn bound(values: &[Value]) -> Vec<&(dyn ToSql + Sync)> {
    values.iter().map(|value| value as &(dyn ToSql + Sync)).collect()
}

pub(super) async fn fetch_all<T: FromRow>(
    client: &impl GenericClient,
    sql: &str,
    values: &[Value],
) -> Result<Vec<T>, StoreError> {
    let statement = client.prepare_cached(sql).await?;
    let rows = client.query(&statement, &bound(values)).await?;
    rows.iter().map(|row| T::from_row(&Row::Postgres(row))).collect()
}

pub(super) async fn execute(
    transaction: &Transaction<'_>,
    sql: &str,
    values: &[Value],
) -> Result<u64, StoreError> {
    let statement = transaction.prepare_cached(sql).await?;
    Ok(transaction.execute(&statement, &bound(values)).await?)
}

pub(super) async fn fetch_each<T: FromRow>(
    transaction: &Transaction<'_>,
    sql: &str,
    shape: Shape,
    each: Vec<Vec<Value>>,
) -> Result<Vec<T>, StoreError> {
    let sql = dialect::for_each_row(Dialect::Postgres, sql, shape);
    let statement = transaction.prepare_cached(&sql).await?;
    let columns = columns(shape, each);
    let rows = transaction.query(&statement, &bound_columns(&columns)).await?;
    rows.iter().map(|row| T::from_row(&Row::Postgres(row))).collect()
}

pub(super) async fn execute_each(
    transaction: &Transaction<'_>,
    sql: &str,
    shape: Shape,
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
    client: &deadpool_postgres::Client,
    statement: &tokio_postgres::Statement,
    values: &[Value],
    sender: &mpsc::Sender<Result<Vec<T>, StoreError>>,
) -> Result<(), StoreError> {
    let rows = client.query_raw(statement, bound(values)).await?;
    pin_mut!(rows);
    let mut batch = Vec::with_capacity(BATCH);
    while let Some(row) = rows.try_next().await? {
        batch.push(T::from_row(&Row::Postgres(&row))?);
        if batch.len() == BATCH {
            let full = std::mem::replace(&mut batch, Vec::with_capacity(BATCH));
            if sender.send(Ok(full)).await.is_err() {
                return Ok(());
            }
        }
    }
    if !batch.is_empty() {
        // A receiver that has gone wants no more rows.
        drop(sender.send(Ok(batch)).await);
    }
    Ok(())
}

impl From<tokio_postgres::Error> for StoreError {
    fn from(error: tokio_postgres::Error) -> Self {
        let Some(answer) = error.as_db_error() else {
            return if error.is_closed()
                || std::error::Error::source(&error).is_some_and(|source| source.is::<std::io::Error>())
            {
                Self::Unavailable(error.to_string())
            } else {
                Self::broken(error.to_string())
            };
        };
        let code = answer.code();
        if *code == SqlState::T_R_SERIALIZATION_FAILURE || *code == SqlState::T_R_DEADLOCK_DETECTED {
            return Self::Busy;
        }
        match code.code().get(..2) {
            Some("23") => Self::Conflict {
                constraint: answer.constraint().unwrap_or_default().to_owned(),
            },
            // 08 connection, 53 resources, 57 operator intervention, 58 system error.
            Some("08" | "53" | "57" | "58") => Self::Unavailable(answer.to_string()),
            _ => Self::broken(answer.to_string()),
        }
    }
}

impl From<deadpool_postgres::PoolError> for StoreError {
    fn from(error: deadpool_postgres::PoolError) -> Self {
        Self::Unavailable(error.to_string())
    }
}
