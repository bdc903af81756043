//! Business Central online by the Admin Center API.
//!
//! How a newer version comes in depends on how the installed one did: an app for all tenants is updated from Microsoft's
//! catalogue, which has the bytes, and a per-tenant extension is installed from the package's bytes. A new app is installed
//! from its bytes too, unless the settings say that everything comes from the catalogue. Whatever it is, the target gives
//! the operation a name by which it is watched.

mod check;
mod deployment;
mod inventory;
mod operations;

use super::watch::{Repeats, Rhythm, ended};
use crate::{
    cause::Target,
    driver::{AppScope, Deployed, Driver, Finding, Found, InstalledApp, Work, Workplace},
    failure::Failure,
    http::{self, Credentials, Http, HttpSettings, Pace},
};
use client::SecureUrl;
use domain::{ids::AppId, operation::OperationKind};
use futures::{FutureExt, future::BoxFuture};
use reqwest::Url;
use serde::Deserialize;
use std::{sync::OnceLock, time::Duration};
use uuid::Uuid;
use wire::agent::EnvironmentName;

/// How an environment is reached, and how patient the driver is.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// What to sign in with; an application with `AdminCenter.ReadWrite.All` that the customer has authorised.
    pub credentials: Credentials,
    /// The root of the API.
    #[serde(default = "online", deserialize_with = "http::url")]
    pub url: SecureUrl,
    /// The version of the API.
    #[serde(default = "api_version")]
    pub api_version: String,
    /// How newer versions come in.
    #[serde(default)]
    pub mode: Mode,
    /// Who sees to it that operations start in the environment's window.
    #[serde(default)]
    pub window: Window,
    /// Whether whoever runs the agent accepts the terms of the apps' publishers, without which no per-tenant extension
    /// is installed.
    #[serde(default)]
    pub accept_isv_eula: bool,
    /// The language in which per-tenant extensions are installed.
    #[serde(default = "language_id")]
    pub language_id: String,
    /// How patient the driver is with each request.
    #[serde(default)]
    pub http: HttpSettings,
    /// The pause between two requests to a tenant.
    #[serde(default = "between", deserialize_with = "crate::span::deserialize")]
    pub between_requests: Duration,
    /// How often it is asked how an operation goes on.
    #[serde(default = "polls")]
    pub polls: Rhythm,
    /// How long an operation may run.
    #[serde(default = "limit", deserialize_with = "crate::span::deserialize")]
    pub limit: Duration,
    /// How long an operation may be scheduled at the target before it runs.
    #[serde(default = "scheduled_limit", deserialize_with = "crate::span::deserialize")]
    pub scheduled_limit: Duration,
    /// How long an operation is looked for whose id was lost with the answer.
    #[serde(default = "lost_after", deserialize_with = "crate::span::deserialize")]
    pub lost_after: Duration,
    /// How long operations of others are waited for.
    #[serde(default = "others_within", deserialize_with = "crate::span::deserialize")]
    pub others_within: Duration,
    /// When the same is begun anew.
    #[serde(default)]
    pub repeats: Repeats,
}

fn online() -> SecureUrl {
    #[expect(clippy::expect_used, reason = "the text is fixed")]
    "https://api.businesscentral.dynamics.com"
        .parse()
        .expect("the address of Business Central online")
}

fn api_version() -> String {
    "v2.29".to_owned()
}

fn language_id() -> String {
    "en-US".to_owned()
}

fn between() -> Duration {
    Duration::from_millis(500)
}

fn polls() -> Rhythm {
    Rhythm {
        first: Duration::from_secs(5),
        first_for: Duration::from_secs(60),
        then: Duration::from_secs(15),
        then_for: Duration::from_secs(11 * 60),
        late: Duration::from_secs(60),
    }
}

fn limit() -> Duration {
    Duration::from_secs(4 * 3_600)
}

fn scheduled_limit() -> Duration {
    Duration::from_secs(48 * 3_600)
}

fn lost_after() -> Duration {
    Duration::from_secs(5 * 60)
}

fn others_within() -> Duration {
    Duration::from_secs(3_600)
}

/// How newer versions come in.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub enum Mode {
    /// By whichever of the two the installed version came in.
    #[default]
    Auto,
    /// From Microsoft's catalogue only.
    Update,
    /// As per-tenant extensions only.
    PteInstall,
}

/// Who sees to it that operations start in the environment's window.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Window {
    /// The service, which lets an operation start when it is open; the target starts at once.
    #[default]
    Fame,
    /// The target: the operation stays scheduled there.
    Target,
}

/// A way for a version to come in, or for an app to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// A newer version from the catalogue.
    Update,
    /// From the package's bytes.
    PteInstall,
    /// A new app from the catalogue.
    Install,
    Uninstall,
}

/// An environment of Business Central online.
pub struct AdminCenter {
    settings: Settings,
    environment: EnvironmentName,
    /// The environment as the target spells it, once it was read there.
    spelled: OnceLock<EnvironmentName>,
    http: Http,
}

impl AdminCenter {
    /// The driver of that environment.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(settings: Settings, environment: EnvironmentName) -> Result<Self, Failure> {
        let tenant = environment.aad_tenant_id;
        let http = Http::new(
            Target::AdminCenter,
            settings.http.clone(),
            settings.credentials.clone(),
            &settings.url,
            entra(tenant),
        )?;
        let pace = Pace::of(settings.url.host_str().unwrap_or_default(), tenant);
        let between = settings.between_requests;
        Ok(Self {
            http: http.paced(pace, between),
            settings,
            environment,
            spelled: OnceLock::new(),
        })
    }

    fn root(&self, segments: &[&str]) -> Url {
        let version = ["admin", self.settings.api_version.as_str()];
        http::below(&self.settings.url, &[&version, segments].concat())
    }

    /// The address of something of the environment.
    fn at(&self, segments: &[&str]) -> Url {
        let EnvironmentName {
            application_family,
            name,
            ..
        } = self.spelled.get().unwrap_or(&self.environment);
        let environment = ["applications", application_family, "environments", name];
        self.root(&[environment.as_slice(), segments].concat())
    }

    fn of_app(&self, app: AppId, segments: &[&str]) -> Url {
        self.at(&[&["apps", &app.to_string()], segments].concat())
    }

    /// How that is done there.
    fn way_of(&self, work: &Work, app: Option<&InstalledApp>) -> Result<Way, Failure> {
        match (work.kind, self.settings.mode) {
            (OperationKind::Uninstall, _) => Ok(Way::Uninstall),
            (OperationKind::Install, Mode::Update) => Ok(Way::Install),
            (OperationKind::Install, Mode::Auto | Mode::PteInstall) => Ok(Way::PteInstall),
            (OperationKind::Hotfix | OperationKind::Update, _) => self.way(app.and_then(|app| app.scope)),
        }
    }

    /// How a newer version of an app comes in that came in like this.
    fn way(&self, published: Option<AppScope>) -> Result<Way, Failure> {
        let scope = |text: &str| Failure {
            hint: Some("Scope"),
            ..Failure::other(text)
        };
        match (self.settings.mode, published) {
            (Mode::Auto | Mode::Update, Some(AppScope::Global)) => Ok(Way::Update),
            (Mode::Auto | Mode::PteInstall, Some(AppScope::Tenant)) => Ok(Way::PteInstall),
            (_, Some(AppScope::Dev)) => Err(scope(
                "The installed version was published from a developer's machine: the Admin Center replaces no such app",
            )),
            (Mode::Update, Some(AppScope::Tenant)) => Err(scope(
                "The installed version is a per-tenant extension, and this environment is set to mode = \"update\"",
            )),
            (Mode::PteInstall, Some(AppScope::Global)) => Err(scope(
                "The installed version is a global app, and this environment is set to mode = \"pteInstall\"",
            )),
            (_, None) => Err(scope(
                "The Admin Center does not say of which type the installed app is",
            )),
        }
    }

    fn refuse_without_eula(&self) -> Result<(), Failure> {
        match self.settings.accept_isv_eula {
            true => Ok(()),
            false => Err(Failure::misconfigured(
                "Per-tenant extensions are only installed where the publishers' terms are accepted: set \
                 accept_isv_eula = true for this environment if they are",
            )),
        }
    }
}

/// Where Microsoft Entra issues tokens for a tenant.
pub(super) fn entra(tenant: Uuid) -> Option<SecureUrl> {
    format!("https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token")
        .parse()
        .ok()
}

impl Driver for AdminCenter {
    fn inventory(&self) -> BoxFuture<'_, Result<Found, Failure>> {
        self.read_inventory().boxed()
    }

    fn check(&self) -> BoxFuture<'_, Vec<Finding>> {
        self.find_out().boxed()
    }

    fn lags(&self) -> bool {
        true
    }

    fn can(&self, _: OperationKind) -> bool {
        true
    }

    fn needs_package(&self, work: &Work, installed: Option<&InstalledApp>) -> bool {
        self.way_of(work, installed) == Ok(Way::PteInstall)
    }

    fn deploy<'d>(
        &'d self,
        work: &'d Work,
        found: &'d Found,
        at: &'d dyn Workplace,
    ) -> BoxFuture<'d, Deployed> {
        ended(self.carry_out(work, found, at))
    }
}
