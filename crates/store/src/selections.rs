//! The environments that a rollout selects, with all that the rules of hotfixes ask about each of them, read by one statement:
//! a plan for a million environments cannot ask the database about each.
//!
//! What the rules ask of the apps around is little: the installed versions of those that the target needs, and of those that
//! may not live with it. So only these are read, and what their versions declare is read once for all environments.

use super::{
    Db, FromRow, Row, StoreError, Value,
    entity_sets::SELECTED_ENVIRONMENTS,
    environments::Installation,
    list::{self, ListError, ListRequest, Page, Scope},
    row::{Field, row},
};
use domain::{
    country::CountryCode,
    ids::{AppId, OperationId},
    instant::Instant,
    version::{AppVersion, Availability, Dependency},
};
use uuid::Uuid;

/// An environment that has the app, with all that the rules ask about it.
#[derive(Clone, Debug, PartialEq)]
pub struct SelectedEnvironment {
    /// The installation of the app.
    pub installation: Installation,
    /// What is known of the environment.
    pub condition: Condition,
    /// The operation that waits or runs for the app there.
    pub occupied_by: Option<OperationId>,
    /// Whether anything runs there.
    pub is_running: bool,
    /// The installed versions of the apps that were asked about, in their order.
    pub beside: Vec<Option<AppVersion>>,
}

/// How it is with an environment.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// The version of its base application, if known.
    pub application_version: Option<AppVersion>,
    /// The version of its platform, if known.
    pub platform_version: Option<AppVersion>,
    /// Start, end and time zone of its window, as they are kept.
    pub window: [String; 3],
    /// Whether the inventory names all that is installed.
    pub inventory_complete: bool,
    /// Since when nothing may start there, because nobody knows how an operation ended.
    pub held_since: Option<Instant>,
    /// Since when its agent has not named it any more.
    pub missing_since: Option<Instant>,
    /// Since when nothing may start there, because its kind is disputed.
    pub disputed_since: Option<Instant>,
    /// The agent that it is bound to.
    pub agent_id: Option<Uuid>,
}

impl Condition {
    /// What it is read from, over the alias `e` for environments.
    const COLUMNS: &str =
        "e.application_version, e.platform_version, e.window_start, e.window_end, e.window_zone,
      e.inventory_complete, e.held_since, e.missing_since, e.disputed_since, e.agent_id";

    fn read(row: &Row<'_>, at: &mut usize) -> Result<Self, StoreError> {
        Ok(Self {
            application_version: Field::read(row, at)?,
            platform_version: Field::read(row, at)?,
            window: [
                Field::read(row, at)?,
                Field::read(row, at)?,
                Field::read(row, at)?,
            ],
            inventory_complete: Field::read(row, at)?,
            held_since: Field::read(row, at)?,
            missing_since: Field::read(row, at)?,
            disputed_since: Field::read(row, at)?,
            agent_id: Field::read(row, at)?,
        })
    }
}

/// What of the operations there is read, over the alias `t` for installations.
const OPERATIONS: &str = "
    (SELECT o.id FROM operations o
     WHERE o.environment_id = t.environment_id AND o.app_id = t.app_id AND o.status IN ('Scheduled', 'Running')),
    (SELECT COUNT(*) FROM operations o WHERE o.environment_id = t.environment_id AND o.status = 'Running')";

/// The version of another app that is installed there.
const BESIDE: &str = "
    (SELECT i.version FROM installations i WHERE i.environment_id = t.environment_id AND i.app_id = {value})";

impl SelectedEnvironment {
    /// Where it is found.
    pub(crate) const TABLE: &str = "installations t JOIN environments e ON e.id = t.environment_id";

    /// What is read of it, over the alias `t` for installations.
    pub(crate) fn columns() -> String {
        format!("{}, {}, {OPERATIONS}", Installation::COLUMNS, Condition::COLUMNS)
    }
}

impl AsRef<Installation> for SelectedEnvironment {
    fn as_ref(&self) -> &Installation {
        &self.installation
    }
}

impl FromRow for SelectedEnvironment {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        let installation = Installation::from_row(row)?;
        let mut at = Installation::WIDTH;
        let condition = Condition::read(row, &mut at)?;
        let occupied_by = Field::read(row, &mut at)?;
        let running: i64 = Field::read(row, &mut at)?;
        let beside = (at..row.width()).map(|at| row.get(at));
        Ok(Self {
            installation,
            condition,
            occupied_by,
            is_running: running > 0,
            beside: beside.collect::<Result<_, _>>()?,
        })
    }
}

/// The environments of a scope that a filter leaves, each with the installed versions of the apps `beside`.
///
/// # Errors
/// As for [`list::list`].
pub async fn select_environments(
    db: &Db,
    scope: Scope,
    request: ListRequest,
    beside: &[AppId],
    now: Instant,
) -> Result<Page<SelectedEnvironment>, ListError> {
    let beside = beside.iter().copied().map(Value::from).collect();
    list::list_reading(db, &SELECTED_ENVIRONMENTS, scope, request, (BESIDE, beside), now).await
}

/// A version of the app, as far as the rules ask about what is installed.
pub struct KnownVersion {
    /// Its number.
    pub version: AppVersion,
    /// To whom it may go.
    pub availability: Availability,
    /// The apps that it needs.
    pub dependencies: Vec<Dependency>,
    /// Whether any environment of its country has it.
    pub is_installed: bool,
}

impl FromRow for KnownVersion {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        let installed: i64 = row.get(3)?;
        Ok(Self {
            version: row.get(0)?,
            availability: row.get(1)?,
            dependencies: row.get(2)?,
            is_installed: installed > 0,
        })
    }
}

/// The versions of an app in a country, the newest first.
pub async fn known_versions(
    db: &Db,
    app: AppId,
    country: CountryCode,
) -> Result<Vec<KnownVersion>, StoreError> {
    let sql = "SELECT t.version, t.availability, t.dependencies,
                 (SELECT COUNT(*) FROM (SELECT 1 FROM installations i
                                        WHERE i.app_id = t.app_id AND i.country_code = t.country_code
                                          AND i.version_key = t.version_key
                                        LIMIT 1) AS first)
               FROM versions t
               WHERE t.app_id = $1 AND t.country_code = $2 AND t.status = 'Uploaded'
               ORDER BY t.version_key DESC";
    db.query(sql).bind(app).bind(country).fetch_all().await
}

row! {
    /// A version of an app that needs another.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Dependant {
        /// The app.
        pub app_id: AppId,
        /// Its version.
        pub version: AppVersion,
        /// The app's name, as the version gives it.
        pub name: String,
        /// The apps that it needs.
        pub dependencies: Vec<Dependency>,
    }
}

/// The versions in a country whose dependencies name `app`.
pub async fn dependants_of(db: &Db, app: AppId, country: CountryCode) -> Result<Vec<Dependant>, StoreError> {
    let position = db.dialect().position_function();
    db.query(format!(
        "SELECT {}
         FROM versions t
         WHERE t.country_code = $1 AND t.status = 'Uploaded' AND {position}(t.dependencies, $2) > 0
         ORDER BY t.app_id, t.version_key",
        Dependant::COLUMNS
    ))
    .bind(country)
    .bind(app.to_string())
    .fetch_all()
    .await
}
