//! Business Central by the Automation API, which Microsoft ends with version 30 (2027 release wave 1).
//!
//! A package goes into a slot that all clients of a company share, and is started there. What became of it is told in a
//! word without a reason, which is not always true, so the list of installed extensions decides.

mod deployment;
pub(super) mod extensions;
mod portal;
mod slot;

use super::{
    admincenter::{self, AdminCenter, entra},
    watch::{Repeats, Rhythm, ended},
};
use crate::{
    cause::Target,
    driver::{Deployed, Driver, Finding, Found, InstalledApp, Weight, Work, Workplace},
    failure::Failure,
    http::{self, Credentials, HttpSettings},
};
use client::SecureUrl;
use extensions::Api;
use futures::{FutureExt, future::BoxFuture};
use portal::Portal;
use serde::Deserialize;
use std::time::Duration;
use tokio::sync::Mutex;
use wire::agent::EnvironmentName;

/// How an environment is reached, and how patient the driver is.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// What to sign in with; an application with `Automation.ReadWrite.All` and a card in the environment.
    pub credentials: Credentials,
    /// The root of the API, up to `/api/microsoft/automation/v2.0`; that of the environment online when left out.
    #[serde(default, deserialize_with = "http::some_url")]
    pub url: Option<SecureUrl>,
    /// The tenant on a server with several.
    #[serde(default)]
    pub tenant: Option<String>,
    /// The name or the id of the company; the first one when left out.
    #[serde(default)]
    pub company: Option<String>,
    /// How the Admin Center of the same environment is reached, which knows more of it, and why something failed.
    #[serde(default)]
    pub admin_center: Option<admincenter::Settings>,
    /// Where it is asked whether the environment is ready, unless the Admin Center tells: that of Business Central online
    /// when `url` is left out too.
    #[serde(default, deserialize_with = "http::some_url")]
    pub portal: Option<SecureUrl>,
    /// How patient the driver is with each request.
    #[serde(default)]
    pub http: HttpSettings,
    /// How often it is asked how a deployment goes on.
    #[serde(default = "polls")]
    pub polls: Rhythm,
    /// How long a deployment may take.
    #[serde(default = "hour", deserialize_with = "crate::span::deserialize")]
    pub limit: Duration,
    /// How long it may take until a deployment is shown.
    #[serde(default = "lost_after", deserialize_with = "crate::span::deserialize")]
    pub lost_after: Duration,
    /// How long deployments of others are waited for.
    #[serde(default = "hour", deserialize_with = "crate::span::deserialize")]
    pub others_within: Duration,
    /// How old somebody else's package in the slot has to be to be overwritten.
    #[serde(default = "slot_age", deserialize_with = "crate::span::deserialize")]
    pub slot_age: Duration,
    /// When the same is begun anew.
    #[serde(default)]
    pub repeats: Repeats,
}

fn polls() -> Rhythm {
    Rhythm {
        first: Duration::from_secs(10),
        first_for: Duration::from_secs(10),
        then: Duration::from_secs(15),
        then_for: Duration::from_secs(15 * 60),
        late: Duration::from_secs(30),
    }
}

fn hour() -> Duration {
    Duration::from_secs(3_600)
}

fn lost_after() -> Duration {
    Duration::from_secs(5 * 60)
}

fn slot_age() -> Duration {
    Duration::from_secs(10 * 60)
}

/// An environment with an Automation API.
pub struct Automation {
    settings: Settings,
    api: Api,
    admin_center: Option<AdminCenter>,
    portal: Option<Portal>,
    /// Held by whoever uses the company's slot.
    slot: Mutex<()>,
}

impl Automation {
    /// The driver of that environment.
    ///
    /// # Errors
    /// When an address cannot be made of its name, or TLS cannot be set up.
    pub fn new(settings: Settings, environment: EnvironmentName) -> Result<Self, Failure> {
        let url = match &settings.url {
            Some(url) => url.clone(),
            None => online(&environment)?,
        };
        let token_url = entra(environment.aad_tenant_id);
        let portal = match (&settings.portal, &settings.url) {
            (Some(portal), _) => Some(portal.clone()),
            (None, None) => Some(root_of("https://businesscentral.dynamics.com")?),
            (None, Some(_)) => None,
        };
        let portal = portal.map(|root| Portal::new(settings.http.clone(), &root, &environment));
        let admin_center = settings.admin_center.clone();
        Ok(Self {
            api: Api::new(
                Target::Automation,
                settings.http.clone(),
                settings.credentials.clone(),
                url,
                token_url,
                settings.tenant.clone(),
                settings.company.clone(),
            )?,
            admin_center: admin_center
                .map(|settings| AdminCenter::new(settings, environment))
                .transpose()?,
            portal: portal.transpose()?,
            settings,
            slot: Mutex::default(),
        })
    }

    async fn read_inventory(&self) -> Result<Found, Failure> {
        let told = match (&self.admin_center, &self.portal) {
            (Some(admin_center), _) => admin_center.state().await?,
            (None, Some(portal)) => portal.state().await?,
            (None, None) => return self.api.inventory().await,
        };
        if told.is_gone || !told.is_ready {
            return Ok(told);
        }
        let found = self.api.inventory().await?;
        Ok(Found {
            application_version: found.application_version,
            platform_version: found.platform_version,
            apps: found.apps,
            is_complete: found.is_complete,
            ..told
        })
    }

    async fn find_out(&self) -> Vec<Finding> {
        let mut findings = match self.api.look_around().await {
            Ok(text) => vec![Finding {
                weight: Weight::Good,
                text,
            }],
            Err(failure) => vec![Finding {
                weight: Weight::Problem,
                text: failure.to_string(),
            }],
        };
        if let (None, Some(portal)) = (&self.admin_center, &self.portal) {
            findings.extend(portal.find_out().await);
        }
        findings.push(Finding {
            weight: Weight::Warning,
            text: "The Automation API is said to stop taking extensions with version 30 (2027 release wave 1): move to \
                   the driver admincenter before"
                .to_owned(),
        });
        match &self.admin_center {
            Some(admin_center) => findings.extend(admin_center.check().await),
            None => findings.push(Finding {
                weight: Weight::Warning,
                text: "Why a deployment fails is only known to the Admin Center: set admin_center to be told"
                    .to_owned(),
            }),
        }
        findings
    }
}

fn online(environment: &EnvironmentName) -> Result<SecureUrl, Failure> {
    let root = root_of("https://api.businesscentral.dynamics.com/v2.0")?;
    let tenant = environment.aad_tenant_id.to_string();
    let below = [
        tenant.as_str(),
        &environment.name,
        "api",
        "microsoft",
        "automation",
        "v2.0",
    ];
    root_of(http::below(&root, &below).as_str())
}

fn root_of(text: &str) -> Result<SecureUrl, Failure> {
    text.parse()
        .map_err(|wrong| Failure::misconfigured(format!("{wrong}")))
}

impl Driver for Automation {
    fn inventory(&self) -> BoxFuture<'_, Result<Found, Failure>> {
        self.read_inventory().boxed()
    }

    fn check(&self) -> BoxFuture<'_, Vec<Finding>> {
        self.find_out().boxed()
    }

    fn lags(&self) -> bool {
        true
    }

    fn needs_package(&self, _: &Work, _: Option<&InstalledApp>) -> bool {
        true
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
