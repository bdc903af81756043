//! Operations: what was asked for, where, and what became of it. How they start and end is in
//! [`super::execution`].

use super::{Db, StoreError, Tx, Value, principals::PrincipalRef, row::table};
use domain::{
    country::CountryCode,
    environment::{EnvironmentKind, family_key, name_key},
    ids::{AppId, OperationId, TenantId},
    instant::Instant,
    operation::{FailureCause, OperationKind, OperationStatus},
    principal::CallerKind,
    version::AppVersion,
};
use uuid::Uuid;

table! {
    /// What was asked for in an environment, and what became of it.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Operation in "operations" by [id] {
        /// Its identity.
        pub id: OperationId,
        /// What it does.
        pub kind: OperationKind,
        /// The app that it changes.
        pub app_id: AppId,
        /// The name of the app, as its version gave it.
        pub app_name: Option<String>,
        /// The publisher of the app, as its version gave it.
        pub app_publisher: Option<String>,
        /// The country that it was asked for in.
        pub country_code: CountryCode,
        /// The environment, which may be gone.
        pub environment_id: Uuid,
        /// The customer's directory.
        pub tenant_id: TenantId,
        /// The environment's application family.
        pub family: String,
        derived family_key(row) -> String { family_key(&row.family) },
        /// The environment's name.
        pub environment_name: String,
        derived environment_name_key(row) -> String { name_key(&row.environment_name) },
        /// Production or sandbox.
        pub environment_kind: EnvironmentKind,
        /// The installed version; once it runs, that of its start. None where the app is installed.
        pub source_version: Option<AppVersion>,
        derived source_version_key(row) -> Option<[u8; 16]> { row.source_version.map(AppVersion::sort_key) },
        /// The version that it leads to. None where the app is uninstalled.
        pub target_version: Option<AppVersion>,
        derived target_version_key(row) -> Option<[u8; 16]> { row.target_version.map(AppVersion::sort_key) },
        /// Where it stands.
        pub status: OperationStatus,
        /// Whether it may start outside the environment's window.
        pub ignore_window: bool,
        /// Before when it may not start.
        pub run_after: Instant,
        /// When it was asked for.
        pub created_on: Instant,
        /// Who asked for it.
        pub created_by: String,
        /// When it started.
        pub started_on: Option<Instant>,
        /// When it succeeded.
        pub completed_on: Option<Instant>,
        /// When it ended, in whatever way.
        pub ended_on: Option<Instant>,
        /// What its agent said of its failure.
        pub error_message: Option<String>,
        /// Why it was skipped or lost.
        pub reason: Option<String>,
        /// What holds it since it runs.
        pub lease_id: Option<Uuid>,
        /// Until when it is held while it runs.
        pub lease_until: Option<Instant>,
        /// The package when it was asked for: SHA-256.
        pub package_sha256: Option<[u8; 32]>,
        /// Its size in bytes.
        pub package_size: Option<u64>,
        /// The agent that carries it out, or did.
        pub agent_id: Option<Uuid>,
        /// What that agent was called.
        pub agent_name: Option<String>,
        /// How far it has come, of a hundred.
        pub progress_percent: Option<i64>,
        /// What is being done.
        pub progress_step: Option<String>,
        /// What was said of it last.
        pub progress_text: Option<String>,
        /// When that was said.
        pub progress_on: Option<Instant>,
        /// Why it failed, as its agent understood it.
        pub failure_cause: Option<FailureCause>,
        /// How often its package was fetched.
        pub downloads: Option<i64>,
        /// The service principal of the application that asked for it.
        pub created_by_object_id: Option<Uuid>,
        /// What kind of caller asked for it.
        pub created_by_kind: CallerKind,
        /// How others know them: the address of a customer's user, what a vendor's token called them, if it did.
        pub created_by_name: Option<String>,
        /// Who canceled it.
        pub canceled_by: Option<String>,
        /// The address of a customer's user who did.
        pub canceled_by_name: Option<String>,
        /// The operation that it was made for, and without which nobody would have asked for it.
        pub parent_id: Option<OperationId>,
        /// Whether it may lead to a version in preview.
        pub allow_preview: bool,
        /// Whether what it needs may be installed and updated for it.
        pub allow_dependencies: bool,
        /// Whether what needs it may be uninstalled for it.
        pub allow_dependents: bool,
        /// Whether its data is deleted with the app.
        pub delete_data: bool,
        /// Whether the publisher's licence was accepted.
        pub accept_eula: bool,
        /// The language that it is installed in.
        pub language_id: Option<String>,
        /// When its vendor wanted it to run, where the customer has postponed it.
        pub asked_run_after: Option<Instant>,
        /// When that was.
        pub postponed_on: Option<Instant>,
        /// Who did.
        pub postponed_by: Option<String>,
        /// And why, as they say.
        pub postpone_reason: Option<String>,
        /// The rollout that it is a part of.
        pub rollout_id: Option<Uuid>,
    }
}

impl Operation {
    /// What it was asked for with: the first of a customer's plan, or itself.
    pub fn plan(&self) -> OperationId {
        self.parent_id.unwrap_or(self.id)
    }
}

/// One hotfix of an app in a country, if the caller has a role on the app.
pub async fn find_hotfix(
    db: &Db,
    principal: PrincipalRef,
    app: AppId,
    country: CountryCode,
    id: OperationId,
) -> Result<Option<Operation>, StoreError> {
    let has_role = principal.has_role();
    db.query(format!(
        "SELECT {}
         FROM operations t
         WHERE t.id = $7 AND t.app_id = $5 AND t.country_code = $6 AND t.kind = 'Hotfix' AND {has_role}",
        Operation::COLUMNS
    ))
    .bind_all(principal.values())
    .bind(app)
    .bind(country)
    .bind(id)
    .fetch_optional()
    .await
}

/// Operations by their identities, in no order.
pub async fn operations_by_ids(db: &Db, ids: &[OperationId]) -> Result<Vec<Operation>, StoreError> {
    let sql = format!(
        "SELECT {} FROM {{rows}}, operations t WHERE t.id = {{operation}}",
        Operation::COLUMNS
    );
    let rows = ids.iter().map(|id| vec![(*id).into()]).collect();
    db.fetch_each(&sql, &[("operation", "uuid")], rows).await
}

/// Which operations of a tenant are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperationsOf {
    /// All.
    Tenant,
    /// Those in an environment.
    Environment(Uuid),
    /// Those of an app in an environment.
    App(Uuid, AppId),
}

impl OperationsOf {
    fn condition(self) -> &'static str {
        match self {
            Self::Tenant => "t.tenant_id = $1",
            Self::Environment(_) => "t.tenant_id = $1 AND t.environment_id = $2",
            Self::App(..) => "t.tenant_id = $1 AND t.environment_id = $2 AND t.app_id = $3",
        }
    }

    fn values(self, tenant: TenantId) -> Vec<Value> {
        match self {
            Self::Tenant => vec![tenant.into()],
            Self::Environment(environment) => vec![tenant.into(), environment.into()],
            Self::App(environment, app) => vec![tenant.into(), environment.into(), app.into()],
        }
    }
}

/// Operations of a tenant, the newest first.
pub async fn operations_of(
    db: &Db,
    tenant: TenantId,
    of: OperationsOf,
) -> Result<Vec<Operation>, StoreError> {
    db.query(format!(
        "SELECT {}
         FROM operations t
         WHERE {}
         ORDER BY t.created_on DESC, t.id DESC",
        Operation::COLUMNS,
        of.condition()
    ))
    .bind_all(of.values(tenant))
    .fetch_all()
    .await
}

/// One of them.
pub async fn operation_of(
    db: &Db,
    tenant: TenantId,
    of: OperationsOf,
    id: OperationId,
) -> Result<Option<Operation>, StoreError> {
    let values = of.values(tenant);
    db.query(format!(
        "SELECT {} FROM operations t WHERE {} AND t.id = ${}",
        Operation::COLUMNS,
        of.condition(),
        values.len() + 1
    ))
    .bind_all(values)
    .bind(id)
    .fetch_optional()
    .await
}

/// One operation within a transaction, its row locked.
pub async fn lock_operation(tx: &mut Tx<'_>, id: OperationId) -> Result<Option<Operation>, StoreError> {
    tx.query(format!(
        "SELECT {} FROM operations t WHERE t.id = $1 FOR UPDATE",
        Operation::COLUMNS
    ))
    .bind(id)
    .fetch_optional()
    .await
}

/// Adds an operation.
pub async fn insert_operation(tx: &mut Tx<'_>, operation: &Operation) -> Result<(), StoreError> {
    tx.add(operation).execute().await.map(drop)
}

/// Adds the operations of a plan.
pub async fn insert_operations(tx: &mut Tx<'_>, operations: &[Operation]) -> Result<(), StoreError> {
    tx.add_all(operations).await
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

/// Cancels operations that have not begun, as it is said in them; how many were.
pub async fn cancel_operations(tx: &mut Tx<'_>, canceled: &[Operation]) -> Result<u64, StoreError> {
    let row = |operation: &Operation| {
        vec![
            operation.id.into(),
            operation.ended_on.into(),
            operation.canceled_by.clone().into(),
            operation.canceled_by_name.clone().into(),
        ]
    };
    tx.each(
        "UPDATE operations SET status = 'Canceled', ended_on = {ended}, canceled_by = {by}, canceled_by_name = {name}
         FROM {rows}
         WHERE operations.id = {id} AND operations.status = 'Scheduled'",
        &[("id", "uuid"), ("ended", "bigint"), ("by", "text"), ("name", "text")],
        canceled.iter().map(row).collect(),
    )
    .execute()
    .await
}

/// Keeps that a customer has put an operation off.
pub async fn postpone_operation(tx: &mut Tx<'_>, operation: &Operation) -> Result<(), StoreError> {
    let columns = &[
        "run_after",
        "asked_run_after",
        "postponed_on",
        "postponed_by",
        "postpone_reason",
    ];
    tx.update(operation, columns).execute().await.map(drop)
}

/// The operations that wait in an environment, their rows locked.
pub async fn lock_waiting(tx: &mut Tx<'_>, environment: Uuid) -> Result<Vec<Operation>, StoreError> {
    tx.query(format!(
        "SELECT {}
         FROM operations t
         WHERE t.environment_id = $1 AND t.status IN ('Scheduled', 'Running') AND t.status = 'Scheduled'
         ORDER BY t.run_after, t.created_on, t.id
         FOR UPDATE",
        Operation::COLUMNS
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

/// How many hotfixes of an app have not begun.
pub async fn count_scheduled_of(tx: &mut Tx<'_>, app: AppId) -> Result<u64, StoreError> {
    tx.query("SELECT COUNT(*) FROM operations WHERE app_id = $1 AND status = 'Scheduled' AND kind = 'Hotfix'")
        .bind(app)
        .fetch_one::<(u64,)>()
        .await
        .map(|(count,)| count)
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
