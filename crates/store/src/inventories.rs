//! Inventories: what an agent's environments are known as, for many of them at once.
//!
//! What has not changed is only read: a row that is locked is a row that is written, on PostgreSQL. So a batch is looked
//! at without locks first, and what differs is locked, looked at again, and written.

use super::{
    Db, FromRow, Row, StoreError, Tx, Value,
    agents::Recorded,
    dialect::Shape,
    environments::{Environment, InstalledApp},
    execution::{INSTALLED_SHAPE, Installed, installed_statement, one_each},
    row::row,
};
use domain::{
    environment::EnvironmentKey,
    ids::{AppId, OperationId, TenantId},
    instant::Instant,
    operation::OperationStatus,
    version::AppVersion,
};
use std::collections::HashMap;
use uuid::Uuid;

/// Environments with all that is installed in them, by their keys.
pub type Known = HashMap<EnvironmentKey, (Environment, Vec<InstalledApp>)>;

const KEY_SHAPE: Shape<'static> = &[("tenant", "uuid"), ("family", "text"), ("name", "text")];

fn by_key(clause: &str) -> String {
    format!(
        "SELECT {}
         FROM {{rows}}, environments t
         WHERE t.tenant_id = {{tenant}} AND t.name_key = {{name}} AND t.family_key = {{family}}
         {clause}",
        Environment::COLUMNS
    )
}

fn key_rows<'k>(keys: impl IntoIterator<Item = &'k EnvironmentKey>) -> Vec<Vec<Value>> {
    let row = |key: &EnvironmentKey| {
        vec![
            key.tenant_id.into(),
            Value::from(&key.family_key),
            Value::from(&key.name_key),
        ]
    };
    keys.into_iter().map(row).collect()
}

/// What is known of environments.
pub async fn find_known<'k>(
    db: &Db,
    keys: impl IntoIterator<Item = &'k EnvironmentKey>,
) -> Result<Known, StoreError> {
    let environments: Vec<Environment> = db.fetch_each(&by_key(""), KEY_SHAPE, key_rows(keys)).await?;
    let ids = environments.iter().map(|environment| environment.id);
    let installed = db
        .fetch_each(&installed_statement(), INSTALLED_SHAPE, one_each(ids))
        .await?;
    Ok(known(environments, installed))
}

/// The same within a transaction, the rows of the environments locked in the order of their identities.
pub async fn lock_known<'k>(
    tx: &mut Tx<'_>,
    keys: impl IntoIterator<Item = &'k EnvironmentKey>,
) -> Result<Known, StoreError> {
    let locking = by_key("ORDER BY t.id FOR UPDATE OF t");
    let environments: Vec<Environment> = tx.each(&locking, KEY_SHAPE, key_rows(keys)).fetch_all().await?;
    let ids = environments.iter().map(|environment| environment.id);
    let installed = super::execution::installed(tx, ids).await?;
    Ok(known(environments, installed))
}

fn known(environments: Vec<Environment>, installed: Vec<Installed>) -> Known {
    let mut apps: HashMap<Uuid, Vec<InstalledApp>> = HashMap::new();
    for app in installed {
        apps.entry(app.environment).or_default().push(app.into());
    }
    let with_apps = environments.into_iter().map(|environment| {
        let apps = apps.remove(&environment.id).unwrap_or_default();
        (environment.key(), (environment, apps))
    });
    with_apps.collect()
}

row! {
    /// An environment that is bound to an agent.
    pub struct Bound {
        /// Its identity here.
        pub id: Uuid,
        /// The customer's directory.
        pub tenant_id: TenantId,
        /// The normal form of its family.
        pub family_key: String,
        /// The normal form of its name.
        pub name_key: String,
        /// Since when its agent has not named it any more.
        pub missing_since: Option<Instant>,
    }
}

impl Bound {
    /// What tells it from all others.
    pub fn key(&self) -> EnvironmentKey {
        EnvironmentKey {
            tenant_id: self.tenant_id,
            family_key: self.family_key.clone(),
            name_key: self.name_key.clone(),
        }
    }
}

/// The environments that are bound to an agent.
pub async fn bound_to(tx: &mut Tx<'_>, agent: Uuid) -> Result<Vec<Bound>, StoreError> {
    tx.query(format!(
        "SELECT {} FROM environments t WHERE t.agent_id = $1",
        Bound::COLUMNS
    ))
    .bind(agent)
    .fetch_all()
    .await
}

/// Which of these environments are bound to an agent.
pub async fn bound_among<'k>(
    tx: &mut Tx<'_>,
    agent: Uuid,
    keys: impl IntoIterator<Item = &'k EnvironmentKey>,
) -> Result<Vec<Bound>, StoreError> {
    let sql = format!(
        "SELECT {}
         FROM {{rows}}, environments t
         WHERE t.tenant_id = {{tenant}} AND t.name_key = {{name}} AND t.family_key = {{family}} AND t.agent_id = {{agent}}",
        Bound::COLUMNS
    );
    let shape = [KEY_SHAPE, &[("agent", "uuid")]].concat();
    let mut rows = key_rows(keys);
    rows.iter_mut().for_each(|row| row.push(agent.into()));
    tx.each(&sql, &shape, rows).fetch_all().await
}

/// How many environments an agent has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// All of them.
    pub all: usize,
    /// Those that are not missing.
    pub present: usize,
    /// Those that have become missing since something.
    pub lost: usize,
}

impl FromRow for Counts {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        let count = |number: i64| usize::try_from(number).unwrap_or(usize::MAX);
        Ok(Self {
            all: count(row.get(0)?),
            present: count(row.get(1)?),
            lost: count(row.get(2)?),
        })
    }
}

/// How many environments an agent has, those that it lost after `since`, or ever.
pub async fn count_bound(tx: &mut Tx<'_>, agent: Uuid, since: Option<Instant>) -> Result<Counts, StoreError> {
    tx.query(
        "SELECT COUNT(*), COUNT(CASE WHEN missing_since IS NULL THEN 1 END),
                COUNT(CASE WHEN missing_since > $2 THEN 1 END)
         FROM environments
         WHERE agent_id = $1",
    )
    .bind(agent)
    .bind(since.unwrap_or(Instant(i64::MIN)))
    .fetch_one()
    .await
}

/// How many of these environments are bound to other agents.
pub async fn bound_to_others<'k>(
    tx: &mut Tx<'_>,
    agent: Uuid,
    keys: impl IntoIterator<Item = &'k EnvironmentKey>,
) -> Result<usize, StoreError> {
    let bound: Vec<(Option<Uuid>,)> = tx
        .each(
            "SELECT t.agent_id
             FROM {rows}, environments t
             WHERE t.tenant_id = {tenant} AND t.name_key = {name} AND t.family_key = {family}
               AND t.agent_id IS NOT NULL",
            KEY_SHAPE,
            key_rows(keys),
        )
        .fetch_all()
        .await?;
    Ok(bound.iter().filter(|(bound,)| *bound != Some(agent)).count())
}

/// Says which inventory of an agent is the last.
pub async fn set_sequence(tx: &mut Tx<'_>, agent: Uuid, sequence: i64) -> Result<(), StoreError> {
    tx.query("UPDATE agents SET inventory_sequence = $2 WHERE id = $1")
        .bind(agent)
        .bind(sequence)
        .execute()
        .await
        .map(drop)
}

/// Says how many environments an agent has gained by changes, and since when that is counted.
pub async fn set_counted(
    tx: &mut Tx<'_>,
    agent: Uuid,
    since: Option<Instant>,
    gained: usize,
) -> Result<(), StoreError> {
    tx.query("UPDATE agents SET counted_since = $2, gained = $3 WHERE id = $1")
        .bind(agent)
        .bind(since)
        .bind(i64::try_from(gained).unwrap_or(i64::MAX))
        .execute()
        .await
        .map(drop)
}

/// Says what an agent's inventories have written into history.
pub async fn set_recorded(tx: &mut Tx<'_>, agent: Uuid, recorded: Recorded) -> Result<(), StoreError> {
    tx.query(
        "UPDATE agents SET recorded_since = $2, recorded = $3, unrecorded = $4, unrecorded_id = $5 WHERE id = $1",
    )
    .bind(agent)
    .bind(recorded.since)
    .bind(recorded.count)
    .bind(recorded.beyond)
    .bind(recorded.beyond_id)
    .execute()
    .await
    .map(drop)
}

/// Says when an agent last sent a full inventory, from which on changes are counted.
pub async fn set_inventory_on(tx: &mut Tx<'_>, agent: Uuid, now: Instant) -> Result<(), StoreError> {
    tx.query("UPDATE agents SET inventory_on = $2, counted_since = $2, gained = 0 WHERE id = $1")
        .bind(agent)
        .bind(now)
        .execute()
        .await
        .map(drop)
}

row! {
    /// An operation that changes, or has changed, what is installed.
    pub struct Tried {
        /// Its identity.
        pub id: OperationId,
        /// The environment.
        pub environment: Uuid as (environment_id),
        /// The app.
        pub app_id: AppId,
        /// Whether it runs or has succeeded.
        pub status: OperationStatus,
        /// The version that it leads to; none where the app is uninstalled.
        pub target_version: Option<AppVersion>,
        /// When it began.
        pub started_on: Option<Instant>,
    }
}

/// The operations that run, or have succeeded, about apps in environments.
pub async fn tried(
    tx: &mut Tx<'_>,
    installations: impl IntoIterator<Item = (Uuid, AppId)>,
) -> Result<Vec<Tried>, StoreError> {
    let rows = installations
        .into_iter()
        .map(|(environment, app)| vec![environment.into(), app.into()]);
    let sql = format!(
        "SELECT {}
         FROM {{rows}}, operations t
         WHERE t.environment_id = {{environment}} AND t.app_id = {{app}} AND t.status IN ('Running', 'Succeeded')",
        Tried::COLUMNS
    );
    tx.each(&sql, &[("environment", "uuid"), ("app", "uuid")], rows.collect())
        .fetch_all()
        .await
}

/// Environments that are missing since `before` or longer, the longest first, behind `after` in that order. Those in
/// which something runs are left out.
pub async fn missing_environments(
    db: &Db,
    before: Instant,
    after: Option<(Instant, Uuid)>,
    limit: usize,
) -> Result<Vec<(Instant, Uuid)>, StoreError> {
    let (since, id) = after.unwrap_or((Instant(i64::MIN), Uuid::nil()));
    db.query(
        "SELECT t.missing_since, t.id
         FROM environments t
         WHERE t.missing_since <= $1 AND (t.missing_since, t.id) > ($2, $3)
           AND NOT EXISTS (SELECT 1 FROM operations o WHERE o.environment_id = t.id AND o.status = 'Running')
         ORDER BY t.missing_since, t.id
         LIMIT $4",
    )
    .bind(before)
    .bind(since)
    .bind(id)
    .bind(i64::try_from(limit).unwrap_or(i64::MAX))
    .fetch_all()
    .await
}
