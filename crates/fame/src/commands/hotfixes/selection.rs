//! Which environments are meant.

use crate::{
    args::{AppInCountry, said},
    failure::Failure,
    session::Session,
};
use clap::Args;
use client::{Query, literal};
use domain::{
    environment::{EnvironmentKey, EnvironmentKind},
    ids::TenantId,
    version::AppVersion,
};
use serde::Deserialize;
use std::fmt;

/// One environment by name, or all that match.
#[derive(Args, Debug)]
pub(super) struct Selection {
    #[command(flatten)]
    choice: Choice,
    /// The customer's Microsoft Entra tenant, if several have an environment of that name
    #[arg(long, value_name = "ID", requires = "environment")]
    aad_tenant_id: Option<TenantId>,
    /// The application family, if several have an environment of that name
    #[arg(long, value_name = "FAMILY", requires = "environment")]
    family: Option<String>,
}

/// Exactly one of these.
#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
struct Choice {
    /// The environment's name
    #[arg(long, short, value_name = "NAME")]
    environment: Option<String>,
    /// All environments for which this holds, as OData: "type eq 'Production' and version lt '16.0.1.2'"
    #[arg(long, visible_alias = "where", value_name = "EXPRESSION", value_parser = said)]
    filter: Option<String>,
    /// All environments of the country
    #[arg(long)]
    all: bool,
}

/// An environment that has the app.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::commands) struct Environment {
    /// The customer's tenant.
    #[serde(deserialize_with = "text_form")]
    pub aad_tenant_id: TenantId,
    /// The application family.
    pub application_family: String,
    /// The name.
    pub name: String,
    /// What it is for, as the service says.
    #[serde(default, rename = "type")]
    pub kind: Option<String>,
    /// The version of the app that is installed, if it can be understood.
    #[serde(default)]
    version: Option<String>,
    /// The same, as a plan calls it.
    #[serde(default)]
    installed_version: Option<String>,
}

fn text_form<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<TenantId, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(serde::de::Error::custom)
}

impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} ({}, {})",
            self.name, self.aad_tenant_id, self.application_family
        )
    }
}

impl Environment {
    /// One by what tells it from all others, without what it has.
    pub(in crate::commands) fn named(tenant: TenantId, family: &str, name: &str) -> Self {
        Self {
            aad_tenant_id: tenant,
            application_family: family.to_owned(),
            name: name.to_owned(),
            kind: None,
            version: None,
            installed_version: None,
        }
    }

    /// The version of the app that is installed.
    pub(in crate::commands) fn installed(&self) -> Option<AppVersion> {
        self.installed_version
            .as_ref()
            .or(self.version.as_ref())?
            .parse()
            .ok()
    }

    /// Whether it is for production, as far as that is told.
    pub(in crate::commands) fn kind(&self) -> Option<EnvironmentKind> {
        self.kind.as_ref()?.parse().ok()
    }

    /// What tells it from all others.
    pub(in crate::commands) fn key(&self) -> EnvironmentKey {
        EnvironmentKey::new(self.aad_tenant_id, &self.application_family, &self.name)
    }
}

impl Selection {
    /// The environments that are meant: at least one.
    ///
    /// # Errors
    /// Those of [`Selection::check`].
    pub(super) async fn resolve(
        &self,
        session: &Session,
        scopes: &[AppInCountry],
    ) -> Result<Vec<Place>, Failure> {
        if let ([scope], Some(environment)) = (scopes, self.fully_named()) {
            let scope = scope.clone();
            return Ok(vec![Place { scope, environment }]);
        }
        let mut found = places(session, scopes, self.list_filter()).await?;
        found.retain(|place| self.is_meant(&place.environment));
        self.check(scopes, found.iter().map(|place| &place.environment))?;
        Ok(found)
    }

    /// Makes sure that `found` is what can be meant.
    ///
    /// # Errors
    /// [`Failure::NotFound`] when nothing matches, [`Failure::Rule`] when a name is not enough to tell which.
    pub(super) fn check<'e>(
        &self,
        scopes: &[AppInCountry],
        found: impl ExactSizeIterator<Item = &'e Environment>,
    ) -> Result<(), Failure> {
        let countries: Vec<&str> = scopes.iter().map(|scope| scope.country.0.as_str()).collect();
        let countries = countries.join(", ");
        match (&self.choice.environment, found.len()) {
            (Some(name), 0) => Err(Failure::NotFound(format!(
                "No environment called '{name}' in {countries} has the app."
            ))),
            (None, 0) => Err(Failure::NotFound(format!(
                "No environment in {countries} that has the app matches."
            ))),
            (Some(name), 2..) => Err(ambiguous(name, found)),
            _ => Ok(()),
        }
    }

    /// The filter that finds them, and perhaps others of the same name.
    pub(super) fn list_filter(&self) -> Option<String> {
        match &self.choice.environment {
            Some(name) => Some(format!("name eq {}", literal(name))),
            None => self.choice.filter.clone(),
        }
    }

    pub(super) fn is_meant(&self, environment: &Environment) -> bool {
        let tenant = self.aad_tenant_id.unwrap_or(environment.aad_tenant_id);
        let family = self.family.as_deref().unwrap_or(&environment.application_family);
        let name = self.choice.environment.as_deref().unwrap_or(&environment.name);
        EnvironmentKey::new(tenant, family, name) == environment.key()
    }

    /// The environment, if nothing needs to be looked up to name it.
    fn fully_named(&self) -> Option<Environment> {
        let name = self.choice.environment.as_ref()?;
        Some(Environment::named(
            self.aad_tenant_id?,
            self.family.as_ref()?,
            name,
        ))
    }
}

/// An environment, and the country in which it has the app.
#[derive(Clone, Debug)]
pub(in crate::commands) struct Place {
    pub scope: AppInCountry,
    pub environment: Environment,
}

/// The environments of these countries in which the app is installed.
pub(in crate::commands) async fn places(
    session: &Session,
    scopes: &[AppInCountry],
    filter: Option<String>,
) -> Result<Vec<Place>, Failure> {
    let mut places = Vec::new();
    for scope in scopes {
        let found = environments(session, scope, filter.clone()).await?;
        places.extend(found.into_iter().map(|environment| Place {
            scope: scope.clone(),
            environment,
        }));
    }
    Ok(places)
}

/// Where a hotfix goes.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::commands) struct Target {
    environment_aad_tenant_id: String,
    environment_application_family: String,
    pub environment_name: String,
}

impl Target {
    pub(in crate::commands) fn is(&self, environment: &Environment) -> bool {
        self.key() == Some(environment.key())
    }

    /// What tells the environment from all others.
    pub(in crate::commands) fn key(&self) -> Option<EnvironmentKey> {
        let tenant = self.environment_aad_tenant_id.parse().ok()?;
        Some(EnvironmentKey::new(
            tenant,
            &self.environment_application_family,
            &self.environment_name,
        ))
    }
}

/// The environments in which the app is installed.
pub(in crate::commands) async fn environments(
    session: &Session,
    scope: &AppInCountry,
    filter: Option<String>,
) -> Result<Vec<Environment>, Failure> {
    let all = session.client.list_environments(scope.app, &scope.country.0);
    let meant = all.query(Query::default().filter(filter));
    Ok(meant.read_as().all().await?)
}

fn ambiguous<'e>(name: &str, found: impl Iterator<Item = &'e Environment>) -> Failure {
    let names: Vec<String> = found.map(|environment| format!("\n  {environment}")).collect();
    Failure::Rule(format!(
        "Several environments are called '{name}'; name --aad-tenant-id or --family too:{}",
        names.concat()
    ))
}
