//! What there is when `fame dev` is ready: the one line of `--json`, which test suites and editors start from. Apps
//! and environments are read from the service itself, so that after a restart the line says what is true by then.

use super::people::{self, PEOPLE, Person, SCOPE};
use client::{Client, EnvironmentPath, Error};
use domain::ids::AppId;
use entra_local::Directory;
use futures::{StreamExt, TryStreamExt, stream};
use serde::Serialize;
use std::{collections::BTreeMap, path::PathBuf};
use uuid::Uuid;
use wire::{
    operator::{InstalledApp, RegisteredEnvironment},
    principals::Principal,
};

/// Requests under way at the same time.
const AT_ONCE: usize = 8;

/// Where everything is.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Addresses {
    /// The service over http.
    pub base_url: String,
    /// The service over https.
    pub https_base_url: String,
    /// The issuer, with the tenant of the vendor's and the operator's clients.
    pub authority: String,
    /// The issuer's token endpoint over http.
    pub token_url: String,
    /// The issuer's token endpoint over https.
    pub https_token_url: String,
    /// The certificate authority of both https addresses.
    pub ca_file: PathBuf,
    /// What to ask a token for.
    pub scope: &'static str,
    /// The control endpoint.
    pub control_url: String,
}

impl Addresses {
    /// The addresses under these two roots.
    pub(super) fn new(http: &str, https: &str, ca_file: PathBuf) -> Self {
        let tenant = people::home_tenant();
        Self {
            base_url: http.to_owned(),
            https_base_url: https.to_owned(),
            authority: format!("{https}/{tenant}"),
            token_url: token_url(http, tenant),
            https_token_url: token_url(https, tenant),
            ca_file,
            scope: SCOPE,
            control_url: format!("{http}{}", super::listeners::CONTROL),
        }
    }
}

fn token_url(root: &str, tenant: Uuid) -> String {
    format!("{root}/{tenant}/oauth2/v2.0/token")
}

/// The line.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Ready {
    /// Where everything is.
    #[serde(flatten)]
    pub addresses: Addresses,
    /// Who can sign in.
    pub clients: Vec<ReadyClient>,
    /// The registered apps.
    pub apps: Vec<ReadyApp>,
    /// The registered environments.
    pub environments: Vec<ReadyEnvironment>,
    /// Where all is kept.
    pub data_dir: PathBuf,
}

/// Somebody who can sign in.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReadyClient {
    /// One of the promised names.
    pub name: &'static str,
    /// `User` or `Application`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// What a principal row names it by.
    pub principal_id: String,
    /// Its tenant.
    pub tenant_id: String,
    /// The issuer's token endpoint over http for that tenant.
    pub token_url: String,
    /// The application that signs in, or through which a user does.
    pub client_id: String,
    /// The application's secret.
    pub client_secret: String,
    /// A user's sign-in name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// A user's password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// Its roles by app.
    pub roles: BTreeMap<String, Vec<String>>,
}

/// A registered app.
#[derive(Clone, Debug, Serialize)]
pub(super) struct ReadyApp {
    /// Its id.
    pub id: String,
    /// The name of its highest version; empty before the first.
    pub name: String,
    /// Where it is available, as far as any of the clients may see.
    pub countries: Vec<String>,
}

/// A registered environment.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReadyEnvironment {
    /// The customer's tenant.
    pub aad_tenant_id: String,
    /// Its family.
    pub application_family: String,
    /// Its name.
    pub name: String,
    /// Production or Sandbox.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its country.
    pub country_code: String,
    /// What is installed.
    pub apps: Vec<ReadyInstallation>,
}

/// An installed app.
#[derive(Clone, Debug, Serialize)]
pub(super) struct ReadyInstallation {
    /// The app.
    pub id: String,
    /// Its version.
    pub version: String,
}

/// Somebody who has signed in, to look around with.
pub(super) struct SignedIn {
    /// Who.
    pub person: Person,
    /// The service, asked as them.
    pub client: Client,
}

/// Looks around as `operator` and, for what only an app's principals see, as each of `others`.
///
/// # Errors
/// When the service does not answer as it should.
pub(super) async fn look_around(
    addresses: Addresses,
    data_dir: PathBuf,
    directory: &Directory,
    operator: &Client,
    others: &[SignedIn],
) -> anyhow::Result<Ready> {
    let mut clients: Vec<_> = PEOPLE
        .iter()
        .filter_map(|person| described(&addresses, directory, person))
        .collect();
    let mut apps = Vec::new();
    for app in operator.list_registered_apps().all().await? {
        let insight = look_into(app.id, others).await?;
        insight.grant(app.id, &mut clients);
        apps.push(ReadyApp {
            id: app.id.to_string(),
            name: app.name.unwrap_or_default(),
            countries: insight.countries,
        });
    }
    let environments = environments(operator).await?;
    Ok(Ready {
        addresses,
        clients,
        apps,
        environments,
        data_dir,
    })
}

/// Somebody with what they sign in with, before their roles are known.
pub(super) fn described(
    addresses: &Addresses,
    directory: &Directory,
    person: &Person,
) -> Option<ReadyClient> {
    let credentials = people::credentials(directory, person)?;
    let (username, password) = credentials.user.unzip();
    Some(ReadyClient {
        name: person.name,
        kind: person.kind.as_str(),
        principal_id: person.principal_id().to_string(),
        tenant_id: person.tenant().to_string(),
        token_url: token_url(&addresses.base_url, person.tenant()),
        client_id: credentials.client_id.to_string(),
        client_secret: credentials.client_secret.reveal().to_owned(),
        username,
        password: password.map(|password| password.reveal().to_owned()),
        roles: BTreeMap::new(),
    })
}

/// What only principals of an app see of it.
#[derive(Default)]
struct Insight {
    countries: Vec<String>,
    principals: Vec<Principal>,
}

/// Looks as the first who may; an app on which nobody here has a role keeps its secrets.
async fn look_into(app: AppId, others: &[SignedIn]) -> client::Result<Insight> {
    for other in others.iter().filter(|other| other.person.role.is_some()) {
        let countries = match other.client.list_countries(app).all().await {
            Ok(countries) => countries,
            Err(Error::Refused(_)) => continue,
            Err(error) => return Err(error),
        };
        return Ok(Insight {
            countries: countries.iter().map(|row| row.country_code.to_string()).collect(),
            principals: other.client.list_principals(app).all().await?,
        });
    }
    Ok(Insight::default())
}

impl Insight {
    fn grant(&self, app: AppId, clients: &mut [ReadyClient]) {
        for principal in &self.principals {
            let id = principal.id.to_string();
            let Some(client) = clients.iter_mut().find(|client| client.principal_id == id) else {
                continue;
            };
            let roles = principal.roles.iter().map(|role| role.to_string()).collect();
            client.roles.insert(app.to_string(), roles);
        }
    }
}

async fn environments(operator: &Client) -> client::Result<Vec<ReadyEnvironment>> {
    let list = operator.list_registered_environments().all().await?;
    let looked_at = list.iter().map(|row| environment(operator, row));
    stream::iter(looked_at).buffered(AT_ONCE).try_collect().await
}

/// One of them. The list does not say what is installed.
async fn environment(operator: &Client, row: &RegisteredEnvironment) -> client::Result<ReadyEnvironment> {
    let path = EnvironmentPath {
        aad_tenant_id: row.aad_tenant_id,
        application_family: &row.application_family,
        name: &row.name,
    };
    let whole = operator.get_registered_environment(path).await?;
    let installed = |app: InstalledApp| ReadyInstallation {
        id: app.id.to_string(),
        version: app.version.to_string(),
    };
    Ok(ReadyEnvironment {
        aad_tenant_id: whole.aad_tenant_id.to_string(),
        application_family: whole.application_family,
        name: whole.name,
        kind: whole.kind.to_string(),
        country_code: whole.country_code.to_string(),
        apps: whole.apps.into_iter().map(installed).collect(),
    })
}
