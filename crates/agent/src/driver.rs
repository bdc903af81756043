//! What an agent has to be able to do at a target, once for each environment that it serves.
//!
//! A driver speaks to its target and nothing else. That the inventory is read before, that nothing is done which is not
//! needed or not allowed, that the new version is read back, and that an unclear answer is watched and not repeated, is
//! the same for all (`work.rs`).

use crate::failure::Failure;
pub use domain::environment::AppScope;
use domain::{
    country::CountryCode,
    environment::EnvironmentKind,
    ids::{AppId, OperationId},
    instant::Instant,
    operation::OperationKind,
    version::AppVersion,
};
use futures::future::BoxFuture;
use serde_json::Value;
use std::{path::Path, time::Duration};
use uuid::Uuid;

/// An environment at its target.
pub trait Driver: Send + Sync {
    /// What the environment is, and what is installed there now. Changes nothing.
    fn inventory(&self) -> BoxFuture<'_, Result<Found, Failure>>;

    /// Tries what can be tried without changing anything, and says what the driver may do there.
    fn check(&self) -> BoxFuture<'_, Vec<Finding>>;

    /// Whether it can do that at its target. What it cannot is refused before anything is begun.
    fn can(&self, kind: OperationKind) -> bool {
        matches!(kind, OperationKind::Hotfix | OperationKind::Update)
    }

    /// Whether the package's bytes have to be brought for this operation.
    fn needs_package(&self, work: &Work, installed: Option<&InstalledApp>) -> bool;

    /// Brings the version in, or takes the app out, or goes on with that where marks of an earlier try are found. The
    /// inventory was read just before: `found`.
    ///
    /// Whatever can change something is marked before it is sent. What it says of the end is only believed when the
    /// inventory says the same.
    fn deploy<'d>(
        &'d self,
        work: &'d Work,
        found: &'d Found,
        at: &'d dyn Workplace,
    ) -> BoxFuture<'d, Deployed>;

    /// Whether its list of what is installed may lag behind what the target says of an operation.
    fn lags(&self) -> bool {
        false
    }

    /// Whether the agent is to fall silent over whatever it takes on here: only where nothing is real.
    fn falls_silent(&self) -> bool {
        false
    }
}

/// What is to be done: an operation that the agent holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Work {
    /// The operation.
    pub operation_id: OperationId,
    /// What it does.
    pub kind: OperationKind,
    /// The customer's tenant.
    pub aad_tenant_id: Uuid,
    /// The environment's application family.
    pub application_family: String,
    /// The environment's name.
    pub environment_name: String,
    /// What the environment is for.
    pub environment_kind: EnvironmentKind,
    /// The country of its localisation.
    pub country_code: CountryCode,
    /// The app.
    pub app_id: AppId,
    /// The app's name, if known.
    pub app_name: Option<String>,
    /// The app's publisher, if known.
    pub app_publisher: Option<String>,
    /// The version that was installed when the operation started; none of what is to be installed.
    pub source: Option<AppVersion>,
    /// The version to bring in; none of what is to be uninstalled.
    pub target: Option<AppVersion>,
    /// SHA-256 of the package, where a version is brought in.
    pub package_sha256: [u8; 32],
    /// Size of the package in bytes.
    pub package_size: u64,
    /// Whether the app's data is deleted with it.
    pub delete_data: bool,
    /// The language to install it in, if somebody chose one.
    pub language_id: Option<String>,
}

impl Work {
    /// The version to bring in, as a text; empty of what is to be uninstalled.
    #[must_use]
    pub fn target_text(&self) -> String {
        self.target.map(|version| version.to_string()).unwrap_or_default()
    }
}

/// What a driver is given while it works: its journal, the package, and somebody who hears how it goes on.
pub trait Workplace: Send + Sync {
    /// The package as a file that ends in `.app`, in a folder that only the agent may enter, its digest, app and version
    /// checked. Brought when first asked for.
    fn package(&self) -> BoxFuture<'_, Result<&Path, Failure>>;

    /// Whether the service still counts on this agent for the operation. Asked before each request that begins something:
    /// until then others may have been waited for, or the machine may have slept.
    ///
    /// # Errors
    /// A [`Failure`] that says so. Nothing may be begun then; what was begun is watched to its end.
    fn may_begin(&self) -> Result<(), Failure>;

    /// Waits that long while nothing is under way at the target. It never ends where the agent stops meanwhile: then the
    /// operation is gone on with at the next start.
    fn rest(&self, span: Duration) -> BoxFuture<'_, ()>;

    /// Writes down, so that it is kept whatever happens, what is about to be done and what will be needed to find it
    /// again.
    fn mark(&self, step: &str, facts: Value) -> BoxFuture<'_, Result<(), Failure>>;

    /// What was marked for this operation by this process or one before it, the oldest first.
    fn marks(&self) -> Vec<Mark>;

    /// Says how it goes on: a word for the step, and a text.
    fn progress(&self, percent: Option<u8>, step: &str, text: &str);
}

/// What was written down before something was done.
#[derive(Clone, Debug, PartialEq)]
pub struct Mark {
    /// What was about to be done.
    pub step: String,
    /// What is needed to find it again.
    pub facts: Value,
}

/// How a deployment went, as far as the target told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deployed {
    /// The target says that it is done.
    Done,
    /// It did not happen, or failed.
    Failed(Failure),
    /// It may have begun, and nobody says how it ended: the inventory is watched until it shows the version, or the agent's
    /// `watch_within` is over.
    Unclear(Failure),
    /// There was nothing to do, for the reason given.
    Skipped(String),
}

/// An environment as it was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The country, where the target tells it; else the configuration does.
    pub country_code: Option<CountryCode>,
    /// What it is for, where the target tells it.
    pub kind: Option<EnvironmentKind>,
    /// Where it runs.
    pub location_name: Option<String>,
    /// The version of the application.
    pub application_version: Option<AppVersion>,
    /// The version of the platform.
    pub platform_version: Option<AppVersion>,
    /// Where people sign in to it.
    pub web_client_url: Option<String>,
    /// Where programs call it.
    pub web_service_url: Option<String>,
    /// The update window: start and end as `HH:MM`, and the time zone.
    pub window: Option<[String; 3]>,
    /// Whether the apps are all that are installed.
    pub is_complete: bool,
    /// Whether work can start: the target is not being updated, moved or prepared.
    pub is_ready: bool,
    /// Whether it is not there any more.
    pub is_gone: bool,
    /// The installed apps.
    pub apps: Vec<InstalledApp>,
    /// When this was read, by the agent's clock.
    pub read_on: Option<Instant>,
}

impl Found {
    /// The installed app of that identity.
    #[must_use]
    pub fn app(&self, id: AppId) -> Option<&InstalledApp> {
        self.apps.iter().find(|app| app.id == id)
    }
}

/// An installed app as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstalledApp {
    /// Its identity.
    pub id: AppId,
    /// The version.
    pub version: AppVersion,
    /// Its name.
    pub name: Option<String>,
    /// Its publisher.
    pub publisher: Option<String>,
    /// For whom it was published, where the target tells: it decides how a newer version can come.
    pub scope: Option<AppScope>,
    /// Whether the target lets it be uninstalled, where it tells.
    pub can_be_uninstalled: Option<bool>,
}

/// Something that a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub weight: Weight,
    /// What it is, with the fact, in a sentence.
    pub text: String,
}

/// How bad something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// It is good to know.
    Good,
    /// It will become a problem.
    Warning,
    /// Nothing can be done there as it is.
    Problem,
}
