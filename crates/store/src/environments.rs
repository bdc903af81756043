//! Customers' environments and the apps installed in them.

use super::principals::caller_has_role;
use super::{Db, FromRow, Row, StoreError, Tx, Value, principals::PrincipalRef};
use crate::versions::read_dependencies;
use domain::{
    environment::{EnvironmentKey, EnvironmentKind, family_key, name_key},
    ids::{AppId, Etag, OperationId, TenantId},
    instant::Instant,
    version::{AppVersion, Availability, Dependency},
};
use uuid::Uuid;

/// A row of the environments table.
#[derive(Clone, Debug, PartialEq)]
pub struct Environment {
    pub id: Uuid,
    pub tenant_id: TenantId,
    pub family: String,
    pub name: String,
    pub country_code: String,
    pub kind: EnvironmentKind,
    pub location_name: String,
    pub application_version: Option<AppVersion>,
    pub platform_version: Option<AppVersion>,
    pub window_start: String,
    pub window_end: String,
    pub window_zone: String,
    pub inventory_complete: bool,
    pub inventory_on: Instant,
    pub held_since: Option<Instant>,
    pub held_by: Option<OperationId>,
    /// When work may next start there, or earlier if something was canceled since; none while nothing waits, something
    /// runs or it is held.
    pub due_on: Option<Instant>,
    pub etag: Etag,
}

macro_rules! columns {
    () => {
        "t.id, t.tenant_id, t.family, t.name, t.country_code, t.kind, t.location_name, t.application_version, t.platform_version, t.window_start, t.window_end, t.window_zone, t.inventory_complete, t.inventory_on, t.held_since, t.held_by, t.due_on, t.etag"
    };
}

/// What a row is read from.
pub const COLUMNS: &str = columns!();

impl FromRow for Environment {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.get(0)?,
            tenant_id: row.get(1)?,
            family: row.get(2)?,
            name: row.get(3)?,
            country_code: row.get(4)?,
            kind: row.get(5)?,
            location_name: row.get(6)?,
            application_version: row.get(7)?,
            platform_version: row.get(8)?,
            window_start: row.get(9)?,
            window_end: row.get(10)?,
            window_zone: row.get(11)?,
            inventory_complete: row.get(12)?,
            inventory_on: row.get(13)?,
            held_since: row.get(14)?,
            held_by: row.get(15)?,
            due_on: row.get(16)?,
            etag: row.get(17)?,
        })
    }
}

/// An app installed in an environment, as a vendor's list shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Installation {
    pub app_id: AppId,
    pub environment_id: Uuid,
    pub country_code: String,
    pub tenant_id: TenantId,
    pub family: String,
    pub name: String,
    pub kind: EnvironmentKind,
    pub location_name: String,
    pub version: AppVersion,
}

macro_rules! installation_columns {
    () => {
        "t.app_id, t.environment_id, t.country_code, t.tenant_id, t.family, t.name, t.kind, t.location_name, t.version"
    };
}

/// What a row is read from.
pub const INSTALLATION_COLUMNS: &str = installation_columns!();

impl FromRow for Installation {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            app_id: row.get(0)?,
            environment_id: row.get(1)?,
            country_code: row.get(2)?,
            tenant_id: row.get(3)?,
            family: row.get(4)?,
            name: row.get(5)?,
            kind: row.get(6)?,
            location_name: row.get(7)?,
            version: row.get(8)?,
        })
    }
}

/// An installed app with what its version declares, where the version is known here.
#[derive(Clone, Debug, PartialEq)]
pub struct InstalledApp {
    pub app_id: AppId,
    pub version: AppVersion,
    pub name: Option<String>,
    pub publisher: Option<String>,
    pub availability: Option<Availability>,
    pub dependencies: Option<Vec<Dependency>>,
}

impl FromRow for InstalledApp {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        let dependencies: Option<String> = row.get(5)?;
        Ok(Self {
            app_id: row.get(0)?,
            version: row.get(1)?,
            name: row.get(2)?,
            publisher: row.get(3)?,
            availability: row.get(4)?,
            dependencies: dependencies.as_deref().map(read_dependencies).transpose()?,
        })
    }
}

/// The environments of that name that have the app installed, if the caller has a role on the app.
pub async fn find_installations(
    db: &Db,
    principal: PrincipalRef,
    app: AppId,
    country: &str,
    name: &str,
) -> Result<Vec<Installation>, StoreError> {
    db.query(concat!(
        "SELECT ",
        installation_columns!(),
        "
         FROM installations t
         WHERE t.app_id = $4 AND t.country_code = $5 AND t.name_key = $6
           AND ",
        caller_has_role!(),
        "
         ORDER BY t.tenant_id, t.family_key"
    ))
    .bind_all(principal.values())
    .bind(app)
    .bind(country)
    .bind(name_key(name))
    .fetch_all()
    .await
}

fn key_values(key: &EnvironmentKey) -> [Value; 3] {
    [
        key.tenant_id.into(),
        Value::from(&key.family_key),
        Value::from(&key.name_key),
    ]
}

const FIND: &str = concat!(
    "
    SELECT ",
    columns!(),
    "
    FROM environments t
    WHERE t.tenant_id = $1 AND t.family_key = $2 AND t.name_key = $3"
);

/// One environment, for the operator.
pub async fn find_environment(db: &Db, key: &EnvironmentKey) -> Result<Option<Environment>, StoreError> {
    db.query(FIND).bind_all(key_values(key)).fetch_optional().await
}

/// One environment within a transaction, its row locked: its slots are then this transaction's.
pub async fn lock_environment(
    tx: &mut Tx<'_>,
    key: &EnvironmentKey,
) -> Result<Option<Environment>, StoreError> {
    tx.query(format!("{FIND}\nFOR UPDATE"))
        .bind_all(key_values(key))
        .fetch_optional()
        .await
}

/// The same by identity, unless another replica holds the row.
pub async fn lock_environment_unless_held(
    tx: &mut Tx<'_>,
    id: Uuid,
) -> Result<Option<Environment>, StoreError> {
    tx.query(concat!(
        "SELECT ",
        columns!(),
        " FROM environments t WHERE t.id = $1 FOR UPDATE SKIP LOCKED"
    ))
    .bind(id)
    .fetch_optional()
    .await
}

const INSTALLED: &str = "
    SELECT i.app_id, i.version, i.app_name, i.app_publisher, v.availability, v.dependencies
    FROM installations i
    LEFT JOIN versions v
      ON v.app_id = i.app_id AND v.country_code = i.country_code AND v.version_key = i.version_key
     AND v.status = 'Uploaded'
    WHERE i.environment_id = $1
    ORDER BY i.app_id";

/// Everything installed in an environment.
pub async fn installed_apps(db: &Db, environment: Uuid) -> Result<Vec<InstalledApp>, StoreError> {
    db.query(INSTALLED).bind(environment).fetch_all().await
}

/// The same within a transaction.
pub async fn installed_apps_in(tx: &mut Tx<'_>, environment: Uuid) -> Result<Vec<InstalledApp>, StoreError> {
    tx.query(INSTALLED).bind(environment).fetch_all().await
}

/// Adds an environment.
pub async fn insert_environment(tx: &mut Tx<'_>, environment: &Environment) -> Result<(), StoreError> {
    tx.query(
        "INSERT INTO environments (id, tenant_id, family, family_key, name, name_key, country_code, kind, location_name, application_version, platform_version, window_start, window_end, window_zone, inventory_complete, inventory_on, held_since, held_by, etag)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)
         ON CONFLICT (tenant_id, name_key, family_key) DO NOTHING",
    )
    .bind(environment.id)
    .bind(environment.tenant_id)
    .bind(&environment.family)
    .bind(family_key(&environment.family))
    .bind(&environment.name)
    .bind(name_key(&environment.name))
    .bind_all(changeable(environment))
    .insert()
    .await
}

/// Replaces what is known of an environment.
pub async fn update_environment(tx: &mut Tx<'_>, environment: &Environment) -> Result<(), StoreError> {
    tx.query(
        "UPDATE environments
         SET family = $2, name = $3, country_code = $4, kind = $5, location_name = $6, application_version = $7, platform_version = $8, window_start = $9, window_end = $10, window_zone = $11, inventory_complete = $12, inventory_on = $13, held_since = $14, held_by = $15, etag = $16
         WHERE id = $1",
    )
    .bind(environment.id)
    .bind(&environment.family)
    .bind(&environment.name)
    .bind_all(changeable(environment))
    .execute()
    .await
    .map(drop)
}

/// What of an environment may change, but for how its key is spelled.
fn changeable(environment: &Environment) -> [Value; 13] {
    [
        Value::from(&environment.country_code),
        environment.kind.as_str().into(),
        Value::from(&environment.location_name),
        environment
            .application_version
            .map(|version| version.to_string())
            .into(),
        environment
            .platform_version
            .map(|version| version.to_string())
            .into(),
        Value::from(&environment.window_start),
        Value::from(&environment.window_end),
        Value::from(&environment.window_zone),
        environment.inventory_complete.into(),
        environment.inventory_on.into(),
        environment.held_since.into(),
        environment.held_by.into(),
        environment.etag.into(),
    ]
}

/// Replaces the full set of apps installed in an environment.
pub async fn save_installations(
    tx: &mut Tx<'_>,
    environment: &Environment,
    apps: &[InstalledApp],
) -> Result<(), StoreError> {
    tx.query("DELETE FROM installations WHERE environment_id = $1")
        .bind(environment.id)
        .execute()
        .await?;
    for app in apps {
        insert_installation(tx, environment, app).await?;
    }
    Ok(())
}

async fn insert_installation(
    tx: &mut Tx<'_>,
    environment: &Environment,
    app: &InstalledApp,
) -> Result<(), StoreError> {
    tx.query(
        "INSERT INTO installations (app_id, environment_id, country_code, tenant_id, family, family_key, name, name_key, kind, location_name, version, version_key, app_name, app_publisher)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
    )
    .bind(app.app_id)
    .bind(environment.id)
    .bind(&environment.country_code)
    .bind(environment.tenant_id)
    .bind(&environment.family)
    .bind(family_key(&environment.family))
    .bind(&environment.name)
    .bind(name_key(&environment.name))
    .bind(environment.kind.as_str())
    .bind(&environment.location_name)
    .bind(app.version.to_string())
    .bind(app.version)
    .bind(app.name.clone())
    .bind(app.publisher.clone())
    .execute()
    .await
    .map(drop)
}

/// Removes an environment and what is installed in it.
pub async fn delete_environment(tx: &mut Tx<'_>, id: Uuid) -> Result<(), StoreError> {
    tx.query("DELETE FROM installations WHERE environment_id = $1")
        .bind(id)
        .execute()
        .await?;
    tx.query("DELETE FROM environments WHERE id = $1")
        .bind(id)
        .execute()
        .await
        .map(drop)
}

/// `$1, $2, …` for so many values.
fn placeholders(count: usize) -> String {
    (1..=count)
        .map(|number| format!("${number}"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// Environments by their identities, in no order.
pub async fn environments_by_ids(db: &Db, ids: &[Uuid]) -> Result<Vec<Environment>, StoreError> {
    let marks = placeholders(ids.len());
    db.query(format!(
        "SELECT {COLUMNS} FROM environments t WHERE t.id IN ({marks})"
    ))
    .bind_all(ids.iter().copied().map(Value::from))
    .fetch_all()
    .await
}

/// An installed app and the environment that has it.
pub struct InstalledIn {
    pub environment: Uuid,
    pub app: InstalledApp,
}

impl FromRow for InstalledIn {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            app: InstalledApp::from_row(row)?,
            environment: row.get(6)?,
        })
    }
}

/// Everything installed in several environments.
pub async fn installed_in(db: &Db, ids: &[Uuid]) -> Result<Vec<InstalledIn>, StoreError> {
    let marks = placeholders(ids.len());
    db.query(format!(
        "SELECT i.app_id, i.version, i.app_name, i.app_publisher, v.availability, v.dependencies, i.environment_id
         FROM installations i
         LEFT JOIN versions v
           ON v.app_id = i.app_id AND v.country_code = i.country_code AND v.version_key = i.version_key
          AND v.status = 'Uploaded'
         WHERE i.environment_id IN ({marks})"
    ))
    .bind_all(ids.iter().copied().map(Value::from))
    .fetch_all()
    .await
}

/// An operation that waits or runs in an environment.
pub struct Occupation {
    pub environment: Uuid,
    pub app_id: AppId,
    pub operation: OperationId,
    pub is_running: bool,
}

impl FromRow for Occupation {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        let status: String = row.get(3)?;
        Ok(Self {
            environment: row.get(0)?,
            app_id: row.get(1)?,
            operation: row.get(2)?,
            is_running: status == "Running",
        })
    }
}

/// The operations that wait or run in several environments.
pub async fn occupations_of(db: &Db, ids: &[Uuid]) -> Result<Vec<Occupation>, StoreError> {
    let marks = placeholders(ids.len());
    db.query(format!(
        "SELECT environment_id, app_id, id, status
         FROM operations
         WHERE status IN ('Scheduled', 'Running') AND environment_id IN ({marks})"
    ))
    .bind_all(ids.iter().copied().map(Value::from))
    .fetch_all()
    .await
}
