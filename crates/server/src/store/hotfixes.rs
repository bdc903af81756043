//! Operations: what was asked for, what is due, what is running, and how it ended.
//!
//! `due_on` is the instant at which an operation may be claimed. One that waits for its environment, because another
//! operation runs there or the environment is held, is *parked* at the end of time and gets a due instant again when
//! the environment is free. So the index over `due_on` holds nothing that a claim would have to pass over, and a
//! claim costs the same among a thousand waiting operations as among a million.

use super::principals::caller_has_role;
use super::{Db, FromRow, Row, StoreError, Tx, principals::Who};
use crate::store::versions::read_dependencies;
use domain::{
    environment::{EnvironmentKind, family_key, name_key},
    ids::{AppId, OperationId, TenantId},
    instant::Instant,
    operation::{OperationKind, OperationStatus},
    version::{AppVersion, Dependency},
};
use uuid::Uuid;

/// The due instant of a parked operation.
pub(crate) const PARKED: Instant = Instant(i64::MAX);

/// A row of the table.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Operation {
    pub(crate) id: OperationId,
    pub(crate) kind: OperationKind,
    pub(crate) app_id: AppId,
    pub(crate) app_name: Option<String>,
    pub(crate) app_publisher: Option<String>,
    pub(crate) country_code: String,
    pub(crate) environment_id: Uuid,
    pub(crate) tenant_id: TenantId,
    pub(crate) family: String,
    pub(crate) environment_name: String,
    pub(crate) environment_kind: EnvironmentKind,
    pub(crate) source_version: AppVersion,
    pub(crate) target_version: AppVersion,
    pub(crate) status: OperationStatus,
    pub(crate) ignore_window: bool,
    pub(crate) run_after: Instant,
    pub(crate) due_on: Instant,
    pub(crate) created_on: Instant,
    pub(crate) created_by: String,
    pub(crate) started_on: Option<Instant>,
    pub(crate) completed_on: Option<Instant>,
    pub(crate) ended_on: Option<Instant>,
    pub(crate) error_message: Option<String>,
    pub(crate) reason: Option<String>,
    pub(crate) lease_id: Option<Uuid>,
    pub(crate) lease_until: Option<Instant>,
}

macro_rules! columns {
    () => {
        "t.id, t.kind, t.app_id, t.app_name, t.app_publisher, t.country_code, t.environment_id, t.tenant_id, t.family, t.environment_name, t.environment_kind, t.source_version, t.target_version, t.status, t.ignore_window, t.run_after, t.due_on, t.created_on, t.created_by, t.started_on, t.completed_on, t.ended_on, t.error_message, t.reason, t.lease_id, t.lease_until"
    };
}

/// What a row is read from.
pub(crate) const COLUMNS: &str = columns!();

impl FromRow for Operation {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.get(0)?,
            kind: row.get(1)?,
            app_id: row.get(2)?,
            app_name: row.get(3)?,
            app_publisher: row.get(4)?,
            country_code: row.get(5)?,
            environment_id: row.get(6)?,
            tenant_id: row.get(7)?,
            family: row.get(8)?,
            environment_name: row.get(9)?,
            environment_kind: row.get(10)?,
            source_version: row.get(11)?,
            target_version: row.get(12)?,
            status: row.get(13)?,
            ignore_window: row.get(14)?,
            run_after: row.get(15)?,
            due_on: row.get(16)?,
            created_on: row.get(17)?,
            created_by: row.get(18)?,
            started_on: row.get(19)?,
            completed_on: row.get(20)?,
            ended_on: row.get(21)?,
            error_message: row.get(22)?,
            reason: row.get(23)?,
            lease_id: row.get(24)?,
            lease_until: row.get(25)?,
        })
    }
}

/// One hotfix of an app in a country, if the caller has a role on the app.
pub(crate) async fn find_hotfix(
    db: &Db,
    who: Who,
    app: AppId,
    country: &str,
    id: OperationId,
) -> Result<Option<Operation>, StoreError> {
    db.query(concat!(
        "SELECT ",
        columns!(),
        " FROM operations t
         WHERE t.id = $6 AND t.app_id = $4 AND t.country_code = $5 AND t.kind = 'Hotfix' AND ",
        caller_has_role!()
    ))
    .bind_all(who.values())
    .bind(app)
    .bind(country)
    .bind(id)
    .fetch_optional()
    .await
}

/// The environment that an operation is about.
pub(crate) async fn environment_of(tx: &mut Tx<'_>, id: OperationId) -> Result<Option<Uuid>, StoreError> {
    let found = tx
        .query("SELECT environment_id FROM operations WHERE id = $1")
        .bind(id)
        .fetch_optional::<(Uuid,)>()
        .await?;
    Ok(found.map(|(environment,)| environment))
}

/// One operation within a transaction, its row locked.
pub(crate) async fn lock_operation(
    tx: &mut Tx<'_>,
    id: OperationId,
) -> Result<Option<Operation>, StoreError> {
    tx.query(format!(
        "SELECT {COLUMNS} FROM operations t WHERE t.id = $1 FOR UPDATE"
    ))
    .bind(id)
    .fetch_optional()
    .await
}

/// Adds an operation.
pub(crate) async fn insert_operation(tx: &mut Tx<'_>, operation: &Operation) -> Result<(), StoreError> {
    tx.query(
        "INSERT INTO operations (id, kind, app_id, app_name, app_publisher, country_code, environment_id, tenant_id, family, family_key, environment_name, environment_name_key, environment_kind, source_version, source_version_key, target_version, target_version_key, status, ignore_window, run_after, due_on, created_on, created_by)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23)",
    )
    .bind(operation.id)
    .bind(operation.kind.as_str())
    .bind(operation.app_id)
    .bind(operation.app_name.clone())
    .bind(operation.app_publisher.clone())
    .bind(&operation.country_code)
    .bind(operation.environment_id)
    .bind(operation.tenant_id)
    .bind(&operation.family)
    .bind(family_key(&operation.family))
    .bind(&operation.environment_name)
    .bind(name_key(&operation.environment_name))
    .bind(operation.environment_kind.as_str())
    .bind(operation.source_version.to_string())
    .bind(operation.source_version)
    .bind(operation.target_version.to_string())
    .bind(operation.target_version)
    .bind(operation.status.as_str())
    .bind(operation.ignore_window)
    .bind(operation.run_after)
    .bind(operation.due_on)
    .bind(operation.created_on)
    .bind(&operation.created_by)
    .execute()
    .await
    .map(drop)
}

/// Cancels an operation if it has not begun; whether it was.
pub(crate) async fn cancel_operation(
    tx: &mut Tx<'_>,
    id: OperationId,
    now: Instant,
) -> Result<bool, StoreError> {
    let changed = tx
        .query(
            "UPDATE operations SET status = 'Canceled', ended_on = $2 WHERE id = $1 AND status = 'Scheduled'",
        )
        .bind(id)
        .bind(now)
        .execute()
        .await?;
    Ok(changed == 1)
}

/// How an operation ended.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ending {
    pub(crate) status: OperationStatus,
    pub(crate) completed_on: Option<Instant>,
    pub(crate) ended_on: Instant,
    pub(crate) error_message: Option<String>,
    pub(crate) reason: Option<String>,
}

/// Ends an operation that is in `from`; whether it still was.
pub(crate) async fn end_operation(
    tx: &mut Tx<'_>,
    id: OperationId,
    from: OperationStatus,
    ending: &Ending,
) -> Result<bool, StoreError> {
    let changed = tx
        .query(
            "UPDATE operations
             SET status = $3, completed_on = $4, ended_on = $5, error_message = $6, reason = $7, lease_until = NULL
             WHERE id = $1 AND status = $2",
        )
        .bind(id)
        .bind(from.as_str())
        .bind(ending.status.as_str())
        .bind(ending.completed_on)
        .bind(ending.ended_on)
        .bind(ending.error_message.clone())
        .bind(ending.reason.clone())
        .execute()
        .await?;
    Ok(changed == 1)
}

/// What holds an operation while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lease {
    pub(crate) id: Uuid,
    pub(crate) until: Instant,
}

/// Starts an operation that is still scheduled; whether it was.
pub(crate) async fn start_operation(
    tx: &mut Tx<'_>,
    id: OperationId,
    source: AppVersion,
    now: Instant,
    lease: Lease,
) -> Result<bool, StoreError> {
    let changed = tx
        .query(
            "UPDATE operations
             SET status = 'Running', source_version = $2, source_version_key = $3, started_on = $4, lease_id = $5, lease_until = $6
             WHERE id = $1 AND status = 'Scheduled'",
        )
        .bind(id)
        .bind(source.to_string())
        .bind(source)
        .bind(now)
        .bind(lease.id)
        .bind(lease.until)
        .execute()
        .await?;
    Ok(changed == 1)
}

/// Environments that have operations due at `now`, the longest due first.
pub(crate) async fn environments_due(db: &Db, now: Instant, most: i64) -> Result<Vec<Uuid>, StoreError> {
    let rows = db
        .query(
            "SELECT environment_id, due_on
             FROM operations
             WHERE status = 'Scheduled' AND due_on <= $1
             ORDER BY due_on, id
             LIMIT $2",
        )
        .bind(now)
        .bind(most)
        .fetch_all::<(Uuid, i64)>()
        .await?;
    let mut environments: Vec<Uuid> = Vec::with_capacity(rows.len());
    for (environment, _) in rows {
        if !environments.contains(&environment) {
            environments.push(environment);
        }
    }
    Ok(environments)
}

/// When the next operation becomes due, if any is waiting.
pub(crate) async fn next_due(db: &Db) -> Result<Option<Instant>, StoreError> {
    let found = db
        .query(
            "SELECT due_on
             FROM operations
             WHERE status = 'Scheduled' AND due_on < $1
             ORDER BY due_on
             LIMIT 1",
        )
        .bind(PARKED)
        .fetch_optional::<(i64,)>()
        .await?;
    Ok(found.map(|(due,)| Instant(due)))
}

/// The operations that wait in an environment, their rows locked, with what their targets need.
pub(crate) async fn lock_waiting(tx: &mut Tx<'_>, environment: Uuid) -> Result<Vec<Waiting>, StoreError> {
    tx.query(format!(
        "SELECT {COLUMNS}, (SELECT v.dependencies FROM versions v
                            WHERE v.app_id = t.app_id AND v.country_code = t.country_code
                              AND v.version_key = t.target_version_key)
         FROM operations t
         WHERE t.environment_id = $1 AND t.status = 'Scheduled'
         ORDER BY t.run_after, t.created_on, t.id
         FOR UPDATE",
    ))
    .bind(environment)
    .fetch_all()
    .await
}

/// A waiting operation with the dependencies of its target.
#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    pub(crate) operation: Operation,
    pub(crate) dependencies: Vec<Dependency>,
}

impl FromRow for Waiting {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        let dependencies: Option<String> = row.get(26)?;
        Ok(Self {
            operation: Operation::from_row(row)?,
            dependencies: dependencies
                .as_deref()
                .map(read_dependencies)
                .transpose()?
                .unwrap_or_default(),
        })
    }
}

/// The operation that runs in an environment, if one does.
pub(crate) async fn running_in(
    tx: &mut Tx<'_>,
    environment: Uuid,
) -> Result<Option<OperationId>, StoreError> {
    let found = tx
        .query("SELECT id FROM operations WHERE environment_id = $1 AND status = 'Running'")
        .bind(environment)
        .fetch_optional::<(OperationId,)>()
        .await?;
    Ok(found.map(|(id,)| id))
}

/// The operation that has the slot of an installation, if one has.
pub(crate) async fn slot_holder(
    tx: &mut Tx<'_>,
    environment: Uuid,
    app: AppId,
) -> Result<Option<OperationId>, StoreError> {
    let found = tx
        .query(
            "SELECT id
             FROM operations
             WHERE environment_id = $1 AND app_id = $2 AND status IN ('Scheduled', 'Running')",
        )
        .bind(environment)
        .bind(app)
        .fetch_optional::<(OperationId,)>()
        .await?;
    Ok(found.map(|(id,)| id))
}

/// Says when a waiting operation may start.
pub(crate) async fn set_due(tx: &mut Tx<'_>, id: OperationId, due: Instant) -> Result<(), StoreError> {
    tx.query("UPDATE operations SET due_on = $2 WHERE id = $1 AND status = 'Scheduled'")
        .bind(id)
        .bind(due)
        .execute()
        .await
        .map(drop)
}

/// Makes the operations of an environment wait until it is free.
pub(crate) async fn park_waiting(tx: &mut Tx<'_>, environment: Uuid) -> Result<(), StoreError> {
    tx.query("UPDATE operations SET due_on = $2 WHERE environment_id = $1 AND status = 'Scheduled'")
        .bind(environment)
        .bind(PARKED)
        .execute()
        .await
        .map(drop)
}

/// Running operations whose lease ended before `now`.
pub(crate) async fn lost_operations(db: &Db, now: Instant) -> Result<Vec<OperationId>, StoreError> {
    let rows = db
        .query(
            "SELECT id
             FROM operations
             WHERE status = 'Running' AND lease_until < $1
             ORDER BY lease_until
             LIMIT 100",
        )
        .bind(now)
        .fetch_all::<(OperationId,)>()
        .await?;
    Ok(rows.into_iter().map(|(id,)| id).collect())
}

/// When the next lease ends, if any operation runs.
pub(crate) async fn next_lease_end(db: &Db) -> Result<Option<Instant>, StoreError> {
    let found = db
        .query("SELECT lease_until FROM operations WHERE status = 'Running' ORDER BY lease_until LIMIT 1")
        .fetch_optional::<(Option<i64>,)>()
        .await?;
    Ok(found.and_then(|(until,)| until).map(Instant))
}
