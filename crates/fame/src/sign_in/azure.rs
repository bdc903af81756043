//! Tokens that a machine of Azure, or the Azure CLI of whoever sits at this one, has at hand.

use crate::{failure::Failure, settings::variable};
use client::{Error, IssuedToken, TokenSource};
use domain::ids::AppId;
use futures::future::BoxFuture;
use reqwest::{RequestBuilder, Url, redirect};
use serde_json::Value;
use server::clock::wall_seconds;
use std::{env, path::Path, time::Duration};
use tokio::process::Command;

/// The Azure CLI.
const CLI: &str = if cfg!(windows) { "az.cmd" } else { "az" };
/// How long it may take; it starts slowly and may have to ask its issuer.
const CLI_WITHIN: Duration = Duration::from_secs(60);
/// How long a machine's own identity may take. Elsewhere nobody answers at that address.
const IDENTITY_WITHIN: Duration = Duration::from_secs(10);
/// Where machines of Azure ask for tokens.
const MACHINES: &str = "http://169.254.169.254/metadata/identity/oauth2/token";

/// Whether the Azure CLI is there.
pub(super) fn is_installed() -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut folders = env::split_paths(&path);
    folders.any(|folder| folder.is_absolute() && Path::new(&folder).join(CLI).is_file())
}

/// Whoever signed in by `az login`.
#[derive(Debug)]
pub(super) struct AzureCli {
    scope: String,
    tenant: Option<String>,
}

impl AzureCli {
    /// That account, for tokens of `scope`.
    ///
    /// # Errors
    /// [`Failure::Usage`] for what would be read as something else on its command line.
    pub(super) fn new(scope: String, tenant: Option<String>) -> Result<Self, Failure> {
        // On Windows a shell reads the line once more.
        let is_plain = |text: &str| {
            let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || b":/.-_{}".contains(&byte);
            !text.starts_with('-') && text.bytes().all(is_fine)
        };
        let texts = [Some(scope.as_str()), tenant.as_deref()];
        let odd = texts.into_iter().flatten().find(|text| !is_plain(text));
        match odd.map(str::to_owned) {
            Some(odd) => Err(Failure::Usage(format!(
                "'{odd}' is no scope or tenant that the Azure CLI takes"
            ))),
            None => Ok(Self { scope, tenant }),
        }
    }

    async fn ask(&self) -> client::Result<IssuedToken> {
        let mut command = Command::new(CLI);
        command.args([
            "account",
            "get-access-token",
            "--output",
            "json",
            "--scope",
            &self.scope,
        ]);
        if let Some(tenant) = &self.tenant {
            command.args(["--tenant", tenant]);
        }
        command.kill_on_drop(true).stdin(std::process::Stdio::null());
        let ended = tokio::time::timeout(CLI_WITHIN, command.output()).await;
        let told = |problem: String| Error::NoSignIn(format!("The Azure CLI gave no token: {problem}"));
        let ended = ended.map_err(|_| told(format!("it was silent for {} s", CLI_WITHIN.as_secs())))?;
        let ended = ended.map_err(|error| told(error.to_string()))?;
        if !ended.status.success() {
            let said = String::from_utf8_lossy(&ended.stderr);
            let said: String = said.trim().chars().take(1_000).collect();
            return Err(told(said));
        }
        let answer: Value = serde_json::from_slice(&ended.stdout).map_err(|_| Error::NoToken)?;
        let text = answer
            .get("accessToken")
            .and_then(Value::as_str)
            .ok_or(Error::NoToken)?;
        Ok(IssuedToken {
            text: text.into(),
            life: left(answer.get("expires_on"), wall_seconds()),
        })
    }
}

impl TokenSource for AzureCli {
    fn fetch(&self, _: Option<AppId>) -> BoxFuture<'_, client::Result<IssuedToken>> {
        Box::pin(self.ask())
    }
}

/// The identity that Azure gives to a machine, a container or a function.
#[derive(Debug)]
pub(super) struct ManagedIdentity {
    http: reqwest::Client,
    resource: String,
    client_id: Option<String>,
}

impl ManagedIdentity {
    /// The machine's, or the one of these that the machine has which is called `client_id`, for tokens of `scope`.
    ///
    /// # Errors
    /// [`Failure::Service`] when no connections can be made.
    pub(super) fn new(scope: &str, client_id: Option<String>) -> Result<Self, Failure> {
        let http = reqwest::Client::builder()
            // It is the machine's own address, and no proxy's business.
            .no_proxy()
            .redirect(redirect::Policy::none())
            .timeout(IDENTITY_WITHIN)
            .build()
            .map_err(Error::Tls)?;
        Ok(Self {
            http,
            resource: scope.strip_suffix("/.default").unwrap_or(scope).to_owned(),
            client_id,
        })
    }

    /// The request, and where it goes: to who says in the environment that it is there, or to the machine's own address.
    fn request(&self) -> client::Result<(RequestBuilder, Url)> {
        let (endpoint, version, header, value) = match variable(["IDENTITY_ENDPOINT"]) {
            Some(endpoint) => {
                let secret = variable(["IDENTITY_HEADER"]).unwrap_or_default();
                (endpoint, "2019-08-01", "x-identity-header", secret)
            }
            None => (MACHINES.to_owned(), "2018-02-01", "metadata", "true".to_owned()),
        };
        let mut url = Url::parse(&endpoint)
            .ok()
            .ok_or_else(|| Error::NoSignIn(format!("IDENTITY_ENDPOINT: '{endpoint}' is no address")))?;
        url.query_pairs_mut()
            .append_pair("api-version", version)
            .append_pair("resource", &self.resource);
        if let Some(client_id) = &self.client_id {
            url.query_pairs_mut().append_pair("client_id", client_id);
        }
        Ok((self.http.get(url.clone()).header(header, value), url))
    }

    async fn ask(&self) -> client::Result<IssuedToken> {
        let (request, url) = self.request()?;
        let place = url.host_str().unwrap_or_default().to_owned();
        let told = |problem: String| {
            Error::NoSignIn(format!(
                "The managed identity at {place} gave no token: {problem}"
            ))
        };
        let answer = request.send().await.map_err(|error| told(error.to_string()))?;
        let status = answer.status();
        let text = answer.text().await.map_err(|error| told(error.to_string()))?;
        if !status.is_success() {
            let said: String = text.trim().chars().take(1_000).collect();
            return Err(told(format!("{status} {said}")));
        }
        let answer: Value = serde_json::from_str(&text).map_err(|_| Error::NoToken)?;
        let text = answer
            .get("access_token")
            .and_then(Value::as_str)
            .ok_or(Error::NoToken)?;
        Ok(IssuedToken {
            text: text.into(),
            life: left(answer.get("expires_on"), wall_seconds()),
        })
    }
}

impl TokenSource for ManagedIdentity {
    fn fetch(&self, _: Option<AppId>) -> BoxFuture<'_, client::Result<IssuedToken>> {
        Box::pin(self.ask())
    }
}

/// How long it is until `ends`, seen at `now`, both in seconds since 1970: not long at all where that is not said.
fn left(ends: Option<&Value>, now: i64) -> Duration {
    let ends = ends.and_then(|ends| ends.as_i64().or_else(|| ends.as_str()?.parse().ok()));
    let left = ends.map(|ends| ends.saturating_sub(now).clamp(0, 86_400));
    Duration::from_secs(left.and_then(|left| left.try_into().ok()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_left_of_a_token_is_read_from_numbers_and_text() {
        assert_eq!(left(Some(&json!(1_000)), 400).as_secs(), 600);
        assert_eq!(left(Some(&json!("1000")), 400).as_secs(), 600);
        assert_eq!(left(None, 400), Duration::ZERO);
        for over in [json!(null), json!("soon"), json!(399)] {
            assert_eq!(left(Some(&over), 400), Duration::ZERO, "{over}");
        }
    }

    #[test]
    fn nothing_on_the_command_line_of_the_azure_cli_is_read_as_something_else() {
        let scope = "api://fame.contoso.com/.default";
        assert!(AzureCli::new(scope.into(), Some("contoso.com".into())).is_ok());
        for odd in ["--debug", "a b", "a&calc", "%PATH%", "a\"b"] {
            assert!(AzureCli::new(odd.into(), None).is_err(), "{odd}");
            assert!(AzureCli::new(scope.into(), Some(odd.into())).is_err(), "{odd}");
        }
    }
}
