//! Operations: what was asked for, where, and what became of it. How they start and end is in
//! [`super::execution`].

use super::principals::caller_has_role;
use super::{Db, FromRow, Row, StoreError, Tx, principals::PrincipalRef};
use domain::{
    environment::{EnvironmentKind, family_key, name_key},
    ids::{AppId, OperationId, TenantId},
    instant::Instant,
    operation::{OperationKind, OperationStatus},
    version::AppVersion,
};
use uuid::Uuid;

/// A row of the table.
#[derive(Clone, Debug, PartialEq)]
pub struct Operation {
    pub id: OperationId,
    pub kind: OperationKind,
    pub app_id: AppId,
    pub app_name: Option<String>,
    pub app_publisher: Option<String>,
    pub country_code: String,
    pub environment_id: Uuid,
    pub tenant_id: TenantId,
    pub family: String,
    pub environment_name: String,
    pub environment_kind: EnvironmentKind,
    pub source_version: AppVersion,
    pub target_version: AppVersion,
    pub status: OperationStatus,
    pub ignore_window: bool,
    pub run_after: Instant,
    pub created_on: Instant,
    pub created_by: String,
    pub started_on: Option<Instant>,
    pub completed_on: Option<Instant>,
    pub ended_on: Option<Instant>,
    pub error_message: Option<String>,
    pub reason: Option<String>,
    pub lease_id: Option<Uuid>,
    pub lease_until: Option<Instant>,
}

macro_rules! columns {
    () => {
        "t.id, t.kind, t.app_id, t.app_name, t.app_publisher, t.country_code, t.environment_id, t.tenant_id, t.family, t.environment_name, t.environment_kind, t.source_version, t.target_version, t.status, t.ignore_window, t.run_after, t.created_on, t.created_by, t.started_on, t.completed_on, t.ended_on, t.error_message, t.reason, t.lease_id, t.lease_until"
    };
}

/// What a row is read from.
pub const COLUMNS: &str = columns!();

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
            created_on: row.get(16)?,
            created_by: row.get(17)?,
            started_on: row.get(18)?,
            completed_on: row.get(19)?,
            ended_on: row.get(20)?,
            error_message: row.get(21)?,
            reason: row.get(22)?,
            lease_id: row.get(23)?,
            lease_until: row.get(24)?,
        })
    }
}

/// One hotfix of an app in a country, if the caller has a role on the app.
pub async fn find_hotfix(
    db: &Db,
    principal: PrincipalRef,
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
    .bind_all(principal.values())
    .bind(app)
    .bind(country)
    .bind(id)
    .fetch_optional()
    .await
}

/// One operation within a transaction, its row locked.
pub async fn lock_operation(tx: &mut Tx<'_>, id: OperationId) -> Result<Option<Operation>, StoreError> {
    tx.query(format!(
        "SELECT {COLUMNS} FROM operations t WHERE t.id = $1 FOR UPDATE"
    ))
    .bind(id)
    .fetch_optional()
    .await
}

/// Adds an operation.
pub async fn insert_operation(tx: &mut Tx<'_>, operation: &Operation) -> Result<(), StoreError> {
    tx.query(
        "INSERT INTO operations (id, kind, app_id, app_name, app_publisher, country_code, environment_id, tenant_id, family, family_key, environment_name, environment_name_key, environment_kind, source_version, source_version_key, target_version, target_version_key, status, ignore_window, run_after, created_on, created_by)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22)",
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
    .bind(operation.created_on)
    .bind(&operation.created_by)
    .execute()
    .await
    .map(drop)
}

/// Cancels an operation if it has not begun; whether it was.
pub async fn cancel_operation(tx: &mut Tx<'_>, id: OperationId, now: Instant) -> Result<bool, StoreError> {
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

/// The operations that wait in an environment, their rows locked.
pub async fn lock_waiting(tx: &mut Tx<'_>, environment: Uuid) -> Result<Vec<Operation>, StoreError> {
    tx.query(format!(
        "SELECT {COLUMNS}
         FROM operations t
         WHERE t.environment_id = $1 AND t.status IN ('Scheduled', 'Running') AND t.status = 'Scheduled'
         ORDER BY t.run_after, t.created_on, t.id
         FOR UPDATE",
    ))
    .bind(environment)
    .fetch_all()
    .await
}

/// The operation that runs in an environment, if one does.
pub async fn running_in(tx: &mut Tx<'_>, environment: Uuid) -> Result<Option<OperationId>, StoreError> {
    let found = tx
        .query("SELECT id FROM operations WHERE environment_id = $1 AND status = 'Running'")
        .bind(environment)
        .fetch_optional::<(OperationId,)>()
        .await?;
    Ok(found.map(|(id,)| id))
}

/// The operation that has the slot of an installation, if one has.
pub async fn slot_holder(
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
