//! Customers' environments and the apps installed in them.

use super::{
    Db, Field, FromRow, Reader, Row, StoreError, Tx, Value,
    principals::PrincipalRef,
    row::{Record as _, row, table},
    table::Kind,
};
use domain::{
    country::CountryCode,
    environment::{AppScope, EnvironmentKey, EnvironmentKind, UpdateCadence, family_key, name_key},
    ids::{AppId, Etag, OperationId, TenantId},
    instant::Instant,
    tags::Tags,
    version::{AppVersion, Availability, Dependency},
    waiting::Wait,
    window::UpdateWindow,
};
use std::collections::{HashMap, HashSet};
use uuid::Uuid;

table! {
    /// A customer's environment as its inventory was reported.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Environment in "environments" by [id] {
        /// Its identity here.
        pub id: Uuid,
        /// The customer's directory.
        pub tenant_id: TenantId,
        /// Its application family, as it was reported first or last.
        pub family: String,
        derived family_key(row) -> String { family_key(&row.family) },
        /// Its name, as it was reported first or last.
        pub name: String,
        derived name_key(row) -> String { name_key(&row.name) },
        /// The country of its localisation.
        pub country_code: CountryCode,
        /// Production or sandbox.
        pub kind: EnvironmentKind,
        /// Where it runs; empty if nobody said.
        pub location_name: String,
        /// The version of its base application, if known.
        pub application_version: Option<AppVersion>,
        /// The version of its platform, if known.
        pub platform_version: Option<AppVersion>,
        /// When operations may start there.
        pub window: Result<UpdateWindow, DamagedWindow> as (window_start, window_end, window_zone),
        /// Whether the inventory names all that is installed.
        pub inventory_complete: bool,
        /// When the inventory was reported.
        pub inventory_on: Instant,
        /// Since when nothing may start there, because nobody knows how an operation ended.
        pub held_since: Option<Instant>,
        /// That operation.
        pub held_by: Option<OperationId>,
        /// When work may next start there, or earlier if something was canceled since; none while nothing waits,
        /// something runs or it is held.
        pub due_on: Option<Instant>,
        /// The tag of its state.
        pub etag: Etag,
        /// The agent that it is bound to: no other may report it or work in it.
        pub agent_id: Option<Uuid>,
        /// Since when its agent has not named it any more.
        pub missing_since: Option<Instant>,
        /// Since when nothing may start there, because it was reported as a sandbox, and was production before.
        pub disputed_since: Option<Instant>,
        /// Since when another agent reports it than the one that it is bound to.
        pub contested_since: Option<Instant>,
        /// When the customer wants apps to be updated with the platform, if they said.
        pub update_cadence: Option<UpdateCadence>,
        /// Where people sign in to it, if known.
        pub web_client_url: Option<String>,
        /// Where programs call it, if known.
        pub web_service_url: Option<String>,
        /// The window that its agent reports, where the customer has chosen another: theirs holds until this changes.
        pub reported_window: Option<String>,
    }
}

/// An update window that cannot be read. Its columns stay as they are: who reports what happened in the environment is
/// not kept from it.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{reason}")]
pub struct DamagedWindow {
    texts: [String; 3],
    reason: String,
}

impl Environment {
    /// Whether nothing may start there, whatever waits.
    pub fn is_held(&self) -> bool {
        self.held_since.is_some() || self.missing_since.is_some() || self.disputed_since.is_some()
    }

    /// What tells it from all others.
    pub fn key(&self) -> EnvironmentKey {
        EnvironmentKey::new(self.tenant_id, &self.family, &self.name)
    }

    /// Start, end and time zone of its window as they are kept, whether or not they make one.
    pub fn window_texts(&self) -> [String; 3] {
        window_texts(&self.window)
    }
}

/// An environment with the name of the agent that it is bound to.
#[derive(Clone, Debug, PartialEq)]
pub struct EnvironmentEntry {
    /// The environment.
    pub environment: Environment,
    /// The name of its agent.
    pub agent: Option<String>,
}

/// The name of the agent that the environment `t` is bound to.
pub(crate) const AGENT: &str = "(SELECT a.name FROM agents a WHERE a.id = t.agent_id)";
/// Its normal form.
pub(crate) const AGENT_KEY: &str = "(SELECT a.name_key FROM agents a WHERE a.id = t.agent_id)";

impl EnvironmentEntry {
    /// What it is read from, over the alias `t` for environments.
    pub fn columns() -> String {
        format!("{}, {AGENT}", Environment::COLUMNS)
    }
}

impl FromRow for EnvironmentEntry {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            environment: Environment::from_row(row)?,
            agent: row.get(Environment::WIDTH)?,
        })
    }
}

fn window_texts(window: &Result<UpdateWindow, DamagedWindow>) -> [String; 3] {
    match window {
        Ok(window) => [
            window.start_text(),
            window.end_text(),
            window.time_zone().to_owned(),
        ],
        Err(damaged) => damaged.texts.clone(),
    }
}

/// Start, end and time zone.
impl Field for Result<UpdateWindow, DamagedWindow> {
    const COLUMNS: &'static [(Kind, bool)] = &[(Kind::Text, false); 3];

    fn read(row: &Row<'_>, at: &mut usize) -> Result<Self, StoreError> {
        let texts = [
            Field::read(row, at)?,
            Field::read(row, at)?,
            Field::read(row, at)?,
        ];
        let [start, end, zone]: &[String; 3] = &texts;
        let window = UpdateWindow::new(start, end, zone);
        Ok(window.map_err(|error| DamagedWindow {
            reason: error.to_string(),
            texts,
        }))
    }

    fn write(&self, values: &mut Vec<Value>) {
        values.extend(window_texts(self).map(Value::from));
    }
}

/// What the operator calls the customer of the row `t`.
macro_rules! customer_name {
    () => {
        "(SELECT c.display_name FROM customers c WHERE c.tenant_id = t.tenant_id)"
    };
}

/// The vendor's own words on the environment of the installation `t`.
macro_rules! tags {
    () => {
        "(SELECT g.tags FROM environment_tags g WHERE g.environment_id = t.environment_id AND g.app_id = t.app_id)"
    };
}

/// What the operator calls the customer of the row `t`.
pub(crate) const CUSTOMER_NAME: &str = customer_name!();
/// The vendor's own words on the environment of the installation `t`.
pub(crate) const TAGS: &str = tags!();

row! {
    /// An app installed in an environment, as a vendor's list shows it.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Installation {
        /// The app.
        pub app_id: AppId,
        /// The environment.
        pub environment_id: Uuid,
        /// The country of its localisation.
        pub country_code: CountryCode,
        /// The customer's directory.
        pub tenant_id: TenantId,
        /// The environment's application family.
        pub family: String,
        /// The environment's name.
        pub name: String,
        /// Production or sandbox.
        pub kind: EnvironmentKind,
        /// Where it runs; empty if nobody said.
        pub location_name: String,
        /// The installed version.
        pub version: AppVersion,
        /// What the operator calls the customer, where somebody looks at it.
        pub customer_name: Option<String> = customer_name!(),
        /// The vendor's own words on the environment, where it has any and somebody looks at them.
        pub tags: Option<Tags> = tags!(),
    }
}

/// An installation with what a vendor's list has besides for those who select it.
#[derive(Clone, Debug, PartialEq)]
pub struct InstallationEntry {
    /// The installation.
    pub installation: Installation,
    /// How many versions of its line are newer and offered to everybody; nothing where nobody looks at it.
    pub behind: Option<u32>,
}

/// How many versions there are that the installation `t` is behind: newer ones of its line that are Available. A line is
/// the first eight bytes of a version's key.
pub(crate) const BEHIND: &str = "(SELECT COUNT(*) FROM versions v \
     WHERE v.app_id = t.app_id AND v.country_code = t.country_code AND v.version_key > t.version_key \
     AND substr(v.version_key, 1, 8) = substr(t.version_key, 1, 8) \
     AND v.availability = 'Available' AND v.status = 'Uploaded')";
/// What it depends on, of the installation.
pub(crate) const BEHIND_DEPENDS_ON: &[&str] = &["t.app_id", "t.country_code", "t.version_key"];

impl InstallationEntry {
    /// What it is read from, over the alias `t` for installations.
    pub fn columns() -> String {
        format!("{}, {BEHIND}", Installation::COLUMNS)
    }
}

impl FromRow for InstallationEntry {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            installation: Installation::from_row(row)?,
            behind: row.get(Installation::WIDTH)?,
        })
    }
}

/// Of which nobody has asked how far it is behind.
impl From<Installation> for InstallationEntry {
    fn from(installation: Installation) -> Self {
        Self {
            installation,
            behind: None,
        }
    }
}

impl AsRef<Installation> for InstallationEntry {
    fn as_ref(&self) -> &Installation {
        &self.installation
    }
}

/// An installation in a plan, and what a hotfix would come to there, once somebody has found that out.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedInstallation {
    /// The installation.
    pub installation: Installation,
    /// What a hotfix would come to.
    pub outlook: Option<Outlook>,
}

/// What a hotfix would come to in an environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outlook {
    /// The version that is installed by now.
    pub installed: AppVersion,
    /// Whether it can be scheduled.
    pub is_eligible: bool,
    /// What speaks against that, or keeps it from starting.
    pub objections: Vec<Objection>,
    /// When it would start.
    pub wait: Wait,
}

/// Something that speaks against a hotfix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Objection {
    /// Its stable code.
    pub code: String,
    /// What it is, with the facts.
    pub message: String,
}

impl FromRow for PlannedInstallation {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            installation: Installation::from_row(row)?,
            outlook: None,
        })
    }
}

impl AsRef<Installation> for PlannedInstallation {
    fn as_ref(&self) -> &Installation {
        &self.installation
    }
}

table! {
    /// An app installed in an environment, with what of the environment is kept beside it.
    #[derive(Clone, Debug, PartialEq)]
    pub struct InstallationRow in "installations" by [environment_id, app_id] {
        /// The app.
        pub app_id: AppId,
        /// The environment.
        pub environment_id: Uuid,
        /// The country of its localisation.
        pub country_code: CountryCode,
        /// The customer's directory.
        pub tenant_id: TenantId,
        /// The environment's application family.
        pub family: String,
        derived family_key(row) -> String { family_key(&row.family) },
        /// The environment's name.
        pub name: String,
        derived name_key(row) -> String { name_key(&row.name) },
        /// Production or sandbox.
        pub kind: EnvironmentKind,
        /// Where it runs; empty if nobody said.
        pub location_name: String,
        /// The installed version.
        pub version: AppVersion,
        derived version_key(row) -> [u8; 16] { row.version.sort_key() },
        /// The app's name, if the inventory gave it.
        pub app_name: Option<String>,
        /// The app's publisher, if the inventory gave it.
        pub app_publisher: Option<String>,
        /// For whom it was published, if the inventory said.
        pub app_scope: Option<AppScope>,
        /// Whether it can be uninstalled, if the inventory said.
        pub can_be_uninstalled: Option<bool>,
    }
}

row! {
    /// An installed app with what its version declares, where the version is known here.
    #[derive(Clone, Debug, PartialEq)]
    pub struct InstalledApp {
        /// The app.
        pub app_id: AppId,
        /// The installed version.
        pub version: AppVersion,
        /// Its name, if known.
        pub name: Option<String>,
        /// Its publisher, if known.
        pub publisher: Option<String>,
        /// To whom the version may go.
        pub availability: Option<Availability>,
        /// The apps that the version needs.
        pub dependencies: Option<Vec<Dependency>>,
        /// For whom it was published, if the inventory said.
        pub scope: Option<AppScope>,
        /// Whether it can be uninstalled, if the inventory said.
        pub can_be_uninstalled: Option<bool>,
    }
}

/// The environments of that name that have the app installed, if the caller has a role on the app.
pub async fn find_installations(
    db: &Db,
    principal: PrincipalRef,
    app: AppId,
    country: CountryCode,
    name: &str,
) -> Result<Vec<InstallationEntry>, StoreError> {
    let has_role = principal.has_role();
    db.query(format!(
        "SELECT {}
         FROM installations t
         WHERE t.app_id = $5 AND t.country_code = $6 AND t.name_key = $7 AND {has_role}
         ORDER BY t.tenant_id, t.family_key",
        InstallationEntry::columns()
    ))
    .bind_all(principal.values())
    .bind(app)
    .bind(country)
    .bind(name_key(name))
    .fetch_all()
    .await
}

/// The environment of that key that has the app installed, if the caller has a role on the app.
pub async fn find_installation(
    db: &Db,
    principal: PrincipalRef,
    app: AppId,
    key: &EnvironmentKey,
) -> Result<Option<Installation>, StoreError> {
    db.query(format!(
        "SELECT {}
         FROM installations t
         WHERE t.app_id = $5 AND t.tenant_id = $6 AND t.family_key = $7 AND t.name_key = $8
           AND t.environment_id IN (SELECT e.id FROM environments e
                                    WHERE e.tenant_id = $6 AND e.family_key = $7 AND e.name_key = $8)
           AND {}",
        Installation::COLUMNS,
        principal.has_role()
    ))
    .bind_all(principal.values())
    .bind(app)
    .bind_all(key_values(key))
    .fetch_optional()
    .await
}

/// Environments of a tenant that have the app installed, if the caller has a role on the app; some hundreds at most.
pub async fn installations_in_tenant(
    db: &Db,
    principal: PrincipalRef,
    app: AppId,
    tenant: TenantId,
) -> Result<Vec<Installation>, StoreError> {
    db.query(format!(
        "SELECT {}
         FROM installations t
         WHERE t.app_id = $5 AND t.environment_id IN (SELECT e.id FROM environments e WHERE e.tenant_id = $6) AND {}
         LIMIT 500",
        Installation::COLUMNS,
        principal.has_role()
    ))
    .bind_all(principal.values())
    .bind(app)
    .bind(tenant)
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

fn find() -> String {
    format!(
        "SELECT {}
         FROM environments t
         WHERE t.tenant_id = $1 AND t.family_key = $2 AND t.name_key = $3",
        Environment::COLUMNS
    )
}

/// One environment, for the operator.
pub async fn find_environment(db: &Db, key: &EnvironmentKey) -> Result<Option<Environment>, StoreError> {
    db.query(find()).bind_all(key_values(key)).fetch_optional().await
}

/// The environments of a tenant, of one family or of all, by their names.
pub async fn environments_of(
    db: &Db,
    tenant: TenantId,
    family: Option<&str>,
) -> Result<Vec<Environment>, StoreError> {
    let of_family = match family {
        Some(_) => "AND t.family_key = $2",
        None => "",
    };
    db.query(format!(
        "SELECT {}
         FROM environments t
         WHERE t.tenant_id = $1 {of_family}
         ORDER BY t.name_key, t.family_key",
        Environment::COLUMNS
    ))
    .bind(tenant)
    .bind_all(family.map(|family| Value::from(family_key(family))))
    .fetch_all()
    .await
}

/// One environment within a transaction, its row locked: its slots are then this transaction's.
pub async fn lock_environment(
    tx: &mut Tx<'_>,
    key: &EnvironmentKey,
) -> Result<Option<Environment>, StoreError> {
    tx.query(find())
        .clause("FOR UPDATE")
        .bind_all(key_values(key))
        .fetch_optional()
        .await
}

/// The same by identity, unless another replica holds the row.
pub async fn lock_environment_unless_held(
    tx: &mut Tx<'_>,
    id: Uuid,
) -> Result<Option<Environment>, StoreError> {
    tx.query(format!(
        "SELECT {} FROM environments t WHERE t.id = $1 FOR UPDATE SKIP LOCKED",
        Environment::COLUMNS
    ))
    .bind(id)
    .fetch_optional()
    .await
}

const INSTALLED: &str = "
    SELECT i.app_id, i.version, i.app_name, i.app_publisher, v.availability, v.dependencies, i.app_scope,
      i.can_be_uninstalled
    FROM installations i
    LEFT JOIN versions v
      ON v.app_id = i.app_id AND v.country_code = i.country_code AND v.version_key = i.version_key
     AND v.status = 'Uploaded'
    WHERE i.environment_id = $1
    ORDER BY i.app_id";

/// Everything installed in an environment.
pub async fn installed_apps<'r, 't: 'r>(
    reader: impl Into<Reader<'r, 't>>,
    environment: Uuid,
) -> Result<Vec<InstalledApp>, StoreError> {
    let mut reader = reader.into();
    reader.query(INSTALLED).bind(environment).fetch_all().await
}

/// The versions of the applications of environments, where they are known.
pub async fn application_versions(
    tx: &mut Tx<'_>,
    environments: impl IntoIterator<Item = Uuid>,
) -> Result<HashMap<Uuid, AppVersion>, StoreError> {
    let sql = "SELECT t.id, t.application_version
               FROM {rows}, environments t
               WHERE t.id = {environment} AND t.application_version IS NOT NULL";
    let rows = environments.into_iter().map(|id| vec![id.into()]).collect();
    let found = tx
        .each(sql, &[("environment", "uuid")], rows)
        .fetch_all::<(Uuid, AppVersion)>();
    Ok(found.await?.into_iter().collect())
}

/// The apps in an environment for which an operation waits or runs, with that operation.
pub async fn occupied_in(
    reader: &mut Reader<'_, '_>,
    environment: Uuid,
) -> Result<Vec<(AppId, OperationId)>, StoreError> {
    let occupying =
        "SELECT app_id, id FROM operations WHERE environment_id = $1 AND status IN ('Scheduled', 'Running')";
    reader.query(occupying).bind(environment).fetch_all().await
}

/// Adds environments. Where somebody else has added one of them just now, the change is tried again, and meets it.
pub async fn insert_environments(
    tx: &mut Tx<'_>,
    mut environments: Vec<Environment>,
) -> Result<(), StoreError> {
    let unless_there = "ON CONFLICT (tenant_id, name_key, family_key) DO NOTHING";
    // Two who add the same would wait for each other, were they to add them in different orders.
    environments.sort_by_cached_key(Environment::key);
    let added = tx.add_all_unless(&environments, unless_there).await?;
    if u64::try_from(environments.len()) == Ok(added) {
        return Ok(());
    }
    Err(StoreError::Busy)
}

/// What reports say of an environment. When work may start there is said by [`super::execution::set_due`].
const REPORTED: &[&str] = &[
    "family",
    "name",
    "country_code",
    "kind",
    "location_name",
    "application_version",
    "platform_version",
    "window_start",
    "window_end",
    "window_zone",
    "inventory_complete",
    "inventory_on",
    "held_since",
    "held_by",
    "etag",
    "agent_id",
    "missing_since",
    "disputed_since",
    "contested_since",
    "web_client_url",
    "web_service_url",
    "reported_window",
    "update_cadence",
];

/// Replaces what is known of environments, whose rows are locked.
pub async fn update_environments(tx: &mut Tx<'_>, environments: &[Environment]) -> Result<(), StoreError> {
    let changed = tx.update_all(environments, REPORTED).await?;
    if u64::try_from(environments.len()) == Ok(changed) {
        return Ok(());
    }
    Err(StoreError::broken(
        "an environment went away while its row was locked",
    ))
}

/// Replaces what was installed in environments by what is now. Rows that stay as they were are not written.
pub async fn save_installations(
    tx: &mut Tx<'_>,
    before: &[InstallationRow],
    after: &[InstallationRow],
) -> Result<(), StoreError> {
    let place = |row: &InstallationRow| (row.environment_id, row.app_id);
    let known: HashMap<_, _> = before.iter().map(|row| (place(row), row)).collect();
    let kept: HashSet<_> = after.iter().map(place).collect();
    let gone = known.keys().filter(|place| !kept.contains(place));
    let gone = gone.map(|&(environment, app)| vec![environment.into(), app.into()]);
    tx.each(
        "DELETE FROM installations
         WHERE (environment_id, app_id) IN (SELECT {environment}, {app} FROM {rows})",
        &[("environment", "uuid"), ("app", "uuid")],
        gone.collect(),
    )
    .execute()
    .await?;
    let is_new = |row: &&InstallationRow| known.get(&place(row)) != Some(row);
    let new: Vec<_> = after.iter().filter(is_new).cloned().collect();
    let columns = InstallationRow::TABLE.columns;
    let set: Vec<_> = columns
        .iter()
        .map(|column| format!("{0} = excluded.{0}", column.name))
        .collect();
    let clause = format!(
        "ON CONFLICT (environment_id, app_id) DO UPDATE SET {}",
        set.join(", ")
    );
    tx.add_all_unless(&new, &clause).await.map(drop)
}

/// The rows of what is installed in an environment.
pub fn installation_rows<'r>(
    environment: &'r Environment,
    apps: &'r [InstalledApp],
) -> impl Iterator<Item = InstallationRow> + 'r {
    apps.iter().map(|app| installation(environment, app))
}

fn installation(environment: &Environment, app: &InstalledApp) -> InstallationRow {
    InstallationRow {
        app_id: app.app_id,
        environment_id: environment.id,
        country_code: environment.country_code,
        tenant_id: environment.tenant_id,
        family: environment.family.clone(),
        name: environment.name.clone(),
        kind: environment.kind,
        location_name: environment.location_name.clone(),
        version: app.version,
        app_name: app.name.clone(),
        app_publisher: app.publisher.clone(),
        app_scope: app.scope,
        can_be_uninstalled: app.can_be_uninstalled,
    }
}

/// Removes an environment and what is installed in it.
pub async fn delete_environment(tx: &mut Tx<'_>, id: Uuid) -> Result<(), StoreError> {
    for beside in ["installations", "environment_tags"] {
        tx.query(format!("DELETE FROM {beside} WHERE environment_id = $1"))
            .bind(id)
            .execute()
            .await?;
    }
    tx.query("DELETE FROM environments WHERE id = $1")
        .bind(id)
        .execute()
        .await
        .map(drop)
}

/// `$1, $2, …` for so many values.
pub(crate) fn placeholders(count: usize) -> String {
    (1..=count)
        .map(|number| format!("${number}"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// Environments by their identities, in no order.
pub async fn environments_by_ids(db: &Db, ids: &[Uuid]) -> Result<Vec<Environment>, StoreError> {
    let marks = placeholders(ids.len());
    db.query(format!(
        "SELECT {} FROM environments t WHERE t.id IN ({marks})",
        Environment::COLUMNS
    ))
    .bind_all(ids.iter().copied().map(Value::from))
    .fetch_all()
    .await
}

/// An installed app and the environment that has it.
pub struct InstalledIn {
    /// The environment.
    pub environment: Uuid,
    /// The app.
    pub app: InstalledApp,
}

impl FromRow for InstalledIn {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            app: InstalledApp::from_row(row)?,
            environment: row.get(8)?,
        })
    }
}

/// Everything installed in several environments.
pub async fn installed_in(db: &Db, ids: &[Uuid]) -> Result<Vec<InstalledIn>, StoreError> {
    let marks = placeholders(ids.len());
    db.query(format!(
        "SELECT i.app_id, i.version, i.app_name, i.app_publisher, v.availability, v.dependencies,
           i.app_scope, i.can_be_uninstalled, i.environment_id
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
    /// The environment.
    pub environment: Uuid,
    /// The app that it changes.
    pub app_id: AppId,
    /// The operation.
    pub operation: OperationId,
    /// Whether it runs, and no longer waits.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{open, settings::DatabaseSettings};
    use test_support::postgres_cluster;

    const KEY: (TenantId, &str, &str) = (TenantId(Uuid::from_u128(1)), "Business Central", "Production");

    fn environment() -> Environment {
        Environment {
            id: Uuid::from_u128(2),
            tenant_id: KEY.0,
            family: KEY.1.into(),
            name: KEY.2.into(),
            country_code: "W1".parse().unwrap(),
            kind: EnvironmentKind::Production,
            location_name: "North Europe".into(),
            application_version: Some("24.0.0.0".parse().unwrap()),
            platform_version: None,
            window: UpdateWindow::new("21:00", "05:30", "Romance Standard Time")
                .map_err(|error| panic!("{error}")),
            inventory_complete: true,
            inventory_on: Instant(7),
            held_since: None,
            held_by: Some(OperationId(Uuid::from_u128(3))),
            due_on: Some(Instant(8)),
            etag: Etag(Uuid::from_u128(4)),
            agent_id: None,
            missing_since: None,
            disputed_since: None,
            contested_since: None,
            update_cadence: Some(UpdateCadence::DuringMajorUpgrade),
            web_client_url: Some("https://example.test/production".into()),
            web_service_url: None,
            reported_window: None,
        }
    }

    enum Change {
        Adds(Environment),
        Damages,
        Updates(Environment),
    }

    async fn change(db: &Db, change: Change) {
        let written = db.write(change, |mut tx, change| {
            Box::pin(async move {
                match change {
                    Change::Adds(environment) => {
                        insert_environments(&mut tx, vec![environment.clone()]).await
                    }
                    Change::Damages => {
                        let damage = tx.query("UPDATE environments SET window_zone = 'Nowhere'");
                        damage.execute().await.map(drop)
                    }
                    Change::Updates(environment) => {
                        update_environments(&mut tx, std::slice::from_ref(environment)).await
                    }
                }
            })
        });
        written.await.unwrap();
    }

    async fn found(db: &Db) -> Environment {
        let key = EnvironmentKey::new(KEY.0, KEY.1, KEY.2);
        find_environment(db, &key).await.unwrap().unwrap()
    }

    async fn a_damaged_window_stays_as_it_is(url: &str) {
        let db = open(&DatabaseSettings::at(url)).await.unwrap();
        change(&db, Change::Adds(environment())).await;
        assert_eq!(found(&db).await, environment());

        change(&db, Change::Damages).await;
        let damaged = found(&db).await;
        assert!(damaged.window.is_err());
        change(&db, Change::Updates(damaged)).await;
        assert_eq!(found(&db).await.window_texts(), ["21:00", "05:30", "Nowhere"]);
    }

    #[tokio::test]
    async fn a_row_is_read_as_it_was_written_and_a_damaged_window_stays_on_sqlite() {
        let folder = tempfile::tempdir().unwrap();
        a_damaged_window_stays_as_it_is(&format!("sqlite:{}", folder.path().join("fame.db").display())).await;
    }

    #[tokio::test]
    async fn a_row_is_read_as_it_was_written_and_a_damaged_window_stays_on_postgres() {
        a_damaged_window_stays_as_it_is(&postgres_cluster::database_url()).await;
    }
}
