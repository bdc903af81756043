//! What there is when `fame dev` is ready: the one line of `--json`, which test suites and editors start from. Apps
//! and environments are read from the service itself, so that after a restart the line says what is true by then.

use super::{
    cast::{self, CLIENTS, Client, SCOPE},
    visitor::{Visitor, rows, text},
};
use entra_local::Directory;
use futures::{StreamExt, TryStreamExt, stream};
use serde::Serialize;
use serde_json::Value;
use std::{collections::BTreeMap, path::PathBuf};

/// Requests under way at the same time.
const AT_ONCE: usize = 8;

/// Where everything is.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Addresses {
    /// The service over http.
    pub base_url: String,
    /// The service over https.
    pub https_base_url: String,
    /// The issuer, with the tenant of all clients.
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
    pub fn new(http: &str, https: &str, ca_file: PathBuf) -> Self {
        let tenant = cast::home_tenant();
        Self {
            base_url: http.to_owned(),
            https_base_url: https.to_owned(),
            authority: format!("{https}/{tenant}"),
            token_url: format!("{http}/{tenant}/oauth2/v2.0/token"),
            https_token_url: format!("{https}/{tenant}/oauth2/v2.0/token"),
            ca_file,
            scope: SCOPE,
            control_url: format!("{http}{}", super::doors::CONTROL),
        }
    }
}

/// The line.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Ready {
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
pub struct ReadyClient {
    /// One of the promised names.
    pub name: &'static str,
    /// `User` or `Application`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// What a principal row names it by.
    pub principal_id: String,
    /// Its tenant.
    pub tenant_id: String,
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
pub struct ReadyApp {
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
pub struct ReadyEnvironment {
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
pub struct ReadyInstallation {
    /// The app.
    pub id: String,
    /// Its version.
    pub version: String,
}

/// Somebody who has signed in, to look around with.
pub struct SignedIn {
    /// Who.
    pub client: Client,
    /// The caller.
    pub visitor: Visitor,
}

/// Looks around as `operator` and, for what only an app's principals see, as each of `others`.
///
/// # Errors
/// When the service does not answer as it should.
pub async fn look_around(
    addresses: Addresses,
    data_dir: PathBuf,
    directory: &Directory,
    operator: &Visitor,
    others: &[SignedIn],
) -> anyhow::Result<Ready> {
    let mut clients: Vec<_> = CLIENTS
        .iter()
        .filter_map(|client| described(directory, client))
        .collect();
    let mut apps = Vec::new();
    for app in rows(&operator.get("/operator/v1/apps").await?) {
        let insight = look_into(text(app, "id"), others).await?;
        insight.grant(text(app, "id"), &mut clients);
        apps.push(ReadyApp {
            id: text(app, "id").to_owned(),
            name: text(app, "name").to_owned(),
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

/// A client with what it signs in with, before its roles are known.
pub fn described(directory: &Directory, client: &Client) -> Option<ReadyClient> {
    let credentials = cast::credentials(directory, client)?;
    let (username, password) = credentials.user.unzip();
    Some(ReadyClient {
        name: client.name,
        kind: client.kind.as_str(),
        principal_id: client.principal_id().to_string(),
        tenant_id: cast::home_tenant().to_string(),
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
    principals: Vec<Value>,
}

/// Looks as the first who may; an app on which none of the clients has a role keeps its secrets.
async fn look_into(app: &str, others: &[SignedIn]) -> anyhow::Result<Insight> {
    for other in others.iter().filter(|other| other.client.role.is_some()) {
        let path = format!("/v1.0/apps/{app}");
        let countries = other
            .visitor
            .ask(reqwest::Method::GET, &format!("{path}/countries"), None)
            .await?;
        if countries.status.is_success() {
            let principals = other.visitor.get(&format!("{path}/principals")).await?;
            return Ok(Insight {
                countries: rows(&countries.body)
                    .iter()
                    .map(|row| text(row, "countryCode").to_owned())
                    .collect(),
                principals: rows(&principals).to_vec(),
            });
        }
    }
    Ok(Insight::default())
}

impl Insight {
    fn grant(&self, app: &str, clients: &mut [ReadyClient]) {
        for principal in &self.principals {
            let is_meant = |client: &&mut ReadyClient| client.principal_id == text(principal, "id");
            let Some(client) = clients.iter_mut().find(is_meant) else {
                continue;
            };
            let roles = principal["roles"].as_array().into_iter().flatten();
            let roles = roles.filter_map(Value::as_str).map(str::to_owned).collect();
            client.roles.insert(app.to_owned(), roles);
        }
    }
}

async fn environments(operator: &Visitor) -> anyhow::Result<Vec<ReadyEnvironment>> {
    let list = operator.get("/operator/v1/environments").await?;
    let looked_at = rows(&list).iter().map(|row| environment(operator, row));
    stream::iter(looked_at).buffered(AT_ONCE).try_collect().await
}

/// One of them. The list does not say what is installed.
async fn environment(operator: &Visitor, row: &Value) -> anyhow::Result<ReadyEnvironment> {
    let segments = [
        text(row, "aadTenantId"),
        text(row, "applicationFamily"),
        text(row, "name"),
    ];
    let path = segments.map(escaped).join("/");
    let whole = operator.get(&format!("/operator/v1/environments/{path}")).await?;
    let installed = whole["apps"].as_array().into_iter().flatten();
    let [tenant, family, name] = segments.map(str::to_owned);
    Ok(ReadyEnvironment {
        aad_tenant_id: tenant,
        application_family: family,
        name,
        kind: text(row, "type").to_owned(),
        country_code: text(row, "countryCode").to_owned(),
        apps: installed
            .map(|app| ReadyInstallation {
                id: text(app, "id").to_owned(),
                version: text(app, "version").to_owned(),
            })
            .collect(),
    })
}

fn escaped(segment: &str) -> String {
    percent_encoding::utf8_percent_encode(segment, percent_encoding::NON_ALPHANUMERIC).to_string()
}
