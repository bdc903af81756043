//! A server's development endpoint, which takes a package and answers when it is installed, or why it is not.
//!
//! It replaces what came from developers' machines, and nothing else: for sandboxes and containers. It has no operations
//! and no list of what is installed, so that is read from the Automation API of the same server. Apps that need the one
//! that is published may be gone afterwards, so all that is installed is compared.

mod publication;

use super::{
    admincenter::entra,
    automation::extensions::Api,
    watch::{Repeats, Rhythm, ended},
};
use crate::{
    cause::Target,
    driver::{AppScope, Deployed, Driver, Finding, Found, InstalledApp, Weight, Work, Workplace},
    failure::Failure,
    http::{self, Credentials, Http, HttpSettings},
};
use client::SecureUrl;
use domain::environment::EnvironmentKind;
use futures::{FutureExt, future::BoxFuture};
use reqwest::Url;
use serde::Deserialize;
use std::time::Duration;
use wire::agent::EnvironmentName;

/// How a server is reached, and how patient the driver is.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// What to sign in with, as the server asks for it: a user and a password, or a token.
    pub credentials: Credentials,
    /// Up to the instance, before `/dev`: `https://server:7049/BC`.
    #[serde(deserialize_with = "http::url")]
    pub url: SecureUrl,
    /// The tenant on a server with several.
    #[serde(default)]
    pub tenant: Option<String>,
    /// What becomes of apps that need the one that is published; the server's own choice when left out, which servers
    /// need that do not know the option.
    #[serde(default)]
    pub dependencies: Option<Dependencies>,
    /// Whether a production environment may be published to.
    #[serde(default)]
    pub allow_production: bool,
    /// Where to read what is installed.
    #[serde(default)]
    pub inventory: Option<InventorySettings>,
    /// How patient the driver is with each request.
    #[serde(default)]
    pub http: HttpSettings,
    /// How long a publication may take.
    #[serde(default = "limit", deserialize_with = "crate::span::deserialize")]
    pub limit: Duration,
    /// How often it is looked whether the version is installed, after the answer was lost.
    #[serde(default = "polls")]
    pub polls: Rhythm,
    /// When the same is begun anew.
    #[serde(default)]
    pub repeats: Repeats,
}

/// Where to read what is installed: the Automation API of the same server.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InventorySettings {
    /// The root of the API, up to `/api/microsoft/automation/v2.0`.
    #[serde(deserialize_with = "http::url")]
    pub url: SecureUrl,
    /// What to sign in with, if not the same.
    #[serde(default)]
    pub credentials: Option<Credentials>,
    /// The name or the id of the company; the first one when left out.
    #[serde(default)]
    pub company: Option<String>,
}

/// What becomes of apps that need the one that is published.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Dependencies {
    /// They are published again.
    Default,
    /// They are left alone, and may end up uninstalled.
    Ignore,
    /// Nothing is published while there are any.
    Strict,
}

impl Dependencies {
    fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Ignore => "ignore",
            Self::Strict => "strict",
        }
    }
}

fn limit() -> Duration {
    Duration::from_secs(3_600)
}

fn polls() -> Rhythm {
    Rhythm {
        first: Duration::from_secs(15),
        first_for: Duration::from_secs(10 * 60),
        then: Duration::from_secs(60),
        then_for: Duration::from_secs(3_600),
        late: Duration::from_secs(60),
    }
}

/// A tenant of a server with a development endpoint.
pub struct DevEndpoint {
    settings: Settings,
    http: Http,
    inventory: Option<Api>,
    kind: EnvironmentKind,
}

impl DevEndpoint {
    /// The driver of that environment, which is for that.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(
        settings: Settings,
        environment: &EnvironmentName,
        kind: EnvironmentKind,
    ) -> Result<Self, Failure> {
        let token_url = entra(environment.aad_tenant_id);
        let inventory = settings.inventory.clone().map(|inventory| {
            let credentials = inventory
                .credentials
                .unwrap_or_else(|| settings.credentials.clone());
            Api::new(
                Target::DevEndpoint,
                settings.http.clone(),
                credentials,
                inventory.url,
                token_url.clone(),
                settings.tenant.clone(),
                inventory.company,
            )
        });
        Ok(Self {
            http: Http::new(
                Target::DevEndpoint,
                settings.http.clone(),
                settings.credentials.clone(),
                &settings.url,
                token_url.clone(),
            )?,
            inventory: inventory.transpose()?,
            settings,
            kind,
        })
    }

    fn at(&self, segments: &[&str], options: &[(&str, &str)]) -> Url {
        let mut url = http::below(&self.settings.url, segments);
        let tenant = self.settings.tenant.as_deref().map(|tenant| ("tenant", tenant));
        let options: Vec<_> = options.iter().copied().chain(tenant).collect();
        if !options.is_empty() {
            url.query_pairs_mut().extend_pairs(options);
        }
        url
    }

    async fn read_inventory(&self) -> Result<Found, Failure> {
        match &self.inventory {
            Some(api) => api.inventory().await,
            None => Err(Failure::misconfigured(
                "A development endpoint does not tell what is installed: set inventory to the Automation API of the server",
            )),
        }
    }

    fn refuse_production(&self, kind: EnvironmentKind) -> Result<(), Failure> {
        match kind == EnvironmentKind::Production && !self.settings.allow_production {
            true => Err(Failure::misconfigured(
                "Nothing is published to a production environment by a development endpoint, unless allow_production is set",
            )),
            false => Ok(()),
        }
    }

    async fn find_out(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut tell = |result: Result<String, Failure>| {
            findings.push(match result {
                Ok(text) => Finding {
                    weight: Weight::Good,
                    text,
                },
                Err(failure) => Finding {
                    weight: Weight::Problem,
                    text: failure.to_string(),
                },
            });
        };
        if let Err(refused) = self.refuse_production(self.kind) {
            tell(Err(refused));
        }
        let metadata = self.http.get(&self.at(&["dev", "metadata"], &[])).await;
        tell(metadata.map(|_| "The development endpoint answers".to_owned()));
        match self.read_inventory().await {
            Ok(found) => {
                let from_developers = found
                    .apps
                    .iter()
                    .filter(|app| app.scope == Some(AppScope::Dev))
                    .count();
                tell(Ok(format!(
                    "{} apps are installed, of which {from_developers} came from developers' machines and can be replaced",
                    found.apps.len()
                )));
            }
            Err(failure) => tell(Err(failure)),
        }
        findings
    }
}

impl Driver for DevEndpoint {
    fn inventory(&self) -> BoxFuture<'_, Result<Found, Failure>> {
        self.read_inventory().boxed()
    }

    fn check(&self) -> BoxFuture<'_, Vec<Finding>> {
        self.find_out().boxed()
    }

    fn needs_package(&self, work: &Work, installed: Option<&InstalledApp>) -> bool {
        installed.is_some_and(|app| self.refuse(work, app).is_ok())
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
