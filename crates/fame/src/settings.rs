//! What the client commands were told, understood.
//!
//! Flags and environment are looked at here, once. What comes out cannot be wrong any more: a token or a secret
//! will only ever be sent over https, or to this very machine.

use crate::{args::GlobalArgs, failure::Failure};
use domain::loopback::is_loopback;
use reqwest::{Certificate, Url};
use secrecy::SecretString;
use std::{env, fs, path::Path, time::Duration};

/// What the client commands believe in.
pub struct Settings {
    /// The service's root, with a slash at its end.
    pub url: Url,
    /// The version of the API, as it stands in addresses: `v1.4`.
    pub api_version: String,
    /// Who is calling.
    pub credentials: Credentials,
    /// Certificate authorities to trust besides the system's.
    pub trusted: Vec<Certificate>,
    /// How long an answer, or progress in a transfer, may take.
    pub patience: Duration,
    /// How often to try again.
    pub retries: u32,
}

/// Who is calling.
pub enum Credentials {
    /// An access token that was handed to us.
    Token(SecretString),
    /// An application that fetches tokens for itself.
    Client(ClientCredentials),
}

/// An application and its secret.
pub struct ClientCredentials {
    /// Where tokens are issued.
    pub token_url: Url,
    /// The application.
    pub client_id: String,
    /// Its secret.
    pub client_secret: SecretString,
    /// What the token is for.
    pub scope: String,
}

impl Settings {
    /// Makes settings of flags and environment.
    ///
    /// # Errors
    /// [`Failure::Usage`] for what cannot be used, [`Failure::NotSignedIn`] when there is nothing to sign in with.
    pub fn resolve(args: &GlobalArgs) -> Result<Self, Failure> {
        Ok(Self {
            url: service_root(&args.url)?,
            api_version: api_version(&args.api_version)?,
            credentials: Credentials::resolve(args)?,
            trusted: args
                .ca_file
                .as_deref()
                .map_or(Ok(Vec::new()), read_certificates)?,
            patience: args.request_timeout,
            retries: args.retries,
        })
    }

    /// Whether everything that is talked to is this machine, so that no proxy has any business with it.
    pub fn is_local(&self) -> bool {
        self.addresses().all(is_here)
    }

    /// Whether anything that is talked to is talked to over https.
    pub fn needs_tls(&self) -> bool {
        self.addresses().any(|url| url.scheme() == "https")
    }

    fn addresses(&self) -> impl Iterator<Item = &Url> {
        let issuer = match &self.credentials {
            Credentials::Token(_) => None,
            Credentials::Client(client) => Some(&client.token_url),
        };
        [&self.url].into_iter().chain(issuer)
    }
}

impl Credentials {
    fn resolve(args: &GlobalArgs) -> Result<Self, Failure> {
        if let Some(token) = secret_variable("FAME_TOKEN") {
            return Ok(Self::Token(token));
        }
        let Some(client_id) = args.client_id.clone().filter(|id| !id.is_empty()) else {
            return Err(Failure::NotSignedIn(
                "Nothing to sign in with: set FAME_TOKEN to an access token, or --client-id and --tenant with the \
                 secret in FAME_CLIENT_SECRET or --client-secret-file."
                    .to_owned(),
            ));
        };
        Ok(Self::Client(ClientCredentials {
            token_url: token_url(&args.token_url, args.tenant.as_deref())?,
            client_id,
            client_secret: client_secret(args.client_secret_file.as_deref())?,
            scope: args.scope.clone(),
        }))
    }
}

fn secret_variable(name: &str) -> Option<SecretString> {
    let text = env::var(name).ok()?;
    Some(SecretString::from(text.trim())).filter(|_| !text.trim().is_empty())
}

fn client_secret(file: Option<&Path>) -> Result<SecretString, Failure> {
    if let Some(path) = file {
        let text = fs::read_to_string(path).map_err(|error| Failure::file("read", path, error))?;
        return Ok(SecretString::from(text.trim()));
    }
    secret_variable("FAME_CLIENT_SECRET").ok_or_else(|| {
        let message = "The application's secret is missing: set FAME_CLIENT_SECRET or --client-secret-file.";
        Failure::NotSignedIn(message.to_owned())
    })
}

const TENANT: &str = "{tenant}";

fn token_url(template: &str, tenant: Option<&str>) -> Result<Url, Failure> {
    let tenant = tenant.filter(|tenant| !tenant.is_empty());
    if tenant.is_none() && template.contains(TENANT) {
        let message = "The tenant to sign in to is missing: set --tenant or FAME_TENANT_ID.";
        return Err(Failure::NotSignedIn(message.to_owned()));
    }
    let tenant = tenant.unwrap_or_default();
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    if !tenant.bytes().all(is_name) {
        return Err(Failure::Usage(format!(
            "--tenant: '{tenant}' is not a tenant's id or domain"
        )));
    }
    safe_url("--token-url", &template.replace(TENANT, tenant))
}

fn service_root(text: &str) -> Result<Url, Failure> {
    let mut url = safe_url("--url", text)?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err(Failure::Usage(format!(
            "--url: '{text}' has more than an address: leave out what follows ? and #"
        )));
    }
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    Ok(url)
}

/// An address that a secret may be sent to.
fn safe_url(flag: &str, text: &str) -> Result<Url, Failure> {
    let wrong = |why: &str| Failure::Usage(format!("{flag}: '{text}' {why}"));
    let url = Url::parse(text).map_err(|error| wrong(&format!("is not a URL: {error}")))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Failure::Usage(format!(
            "{flag}: credentials do not belong into a URL"
        )));
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_here(&url) => Ok(url),
        "http" => Err(wrong(
            "would send secrets in the clear: use https (http is for this machine only)",
        )),
        _ => Err(wrong("is neither https nor http")),
    }
}

fn is_here(url: &Url) -> bool {
    url.host_str().is_some_and(is_loopback)
}

fn api_version(text: &str) -> Result<String, Failure> {
    let number = text.strip_prefix(['v', 'V']).unwrap_or(text);
    let is_number = number
        .split('.')
        .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()));
    if is_number {
        Ok(format!("v{number}"))
    } else {
        Err(Failure::Usage(format!(
            "--api-version: '{text}' is not a version such as v1.4"
        )))
    }
}

fn read_certificates(path: &Path) -> Result<Vec<Certificate>, Failure> {
    let pem = fs::read(path).map_err(|error| Failure::file("read", path, error))?;
    let certificates = Certificate::from_pem_bundle(&pem).unwrap_or_default();
    if certificates.is_empty() {
        let message = format!("--ca-file: {} holds no certificate in PEM form", path.display());
        return Err(Failure::Usage(message));
    }
    Ok(certificates)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_go_over_https_or_nowhere() {
        for good in [
            "https://fame.contoso.com",
            "http://127.0.0.1:8080",
            "http://[::1]:1",
            "http://localhost",
        ] {
            assert!(safe_url("--url", good).is_ok(), "{good}");
        }
        for bad in [
            "http://fame.contoso.com",
            "http://127.0.0.1.contoso.com",
            "http://0.0.0.0",
            "http://10.0.0.1",
            "ftp://127.0.0.1",
            "127.0.0.1:8080",
            "https://user:secret@fame.contoso.com",
        ] {
            let refused = safe_url("--url", bad).unwrap_err();
            assert!(!refused.to_string().contains("secret@"), "{refused}");
        }
    }

    #[test]
    fn a_service_may_live_below_a_path() {
        let root = service_root("https://contoso.com/fame").unwrap();
        assert_eq!(
            root.join("v1.4/apps").unwrap().as_str(),
            "https://contoso.com/fame/v1.4/apps"
        );
        assert!(service_root("https://contoso.com/?a=b").is_err());
    }

    #[test]
    fn the_tenant_takes_its_place_in_the_token_url() {
        let url = token_url("https://login.contoso.com/{tenant}/token", Some("contoso.com")).unwrap();
        assert_eq!(url.as_str(), "https://login.contoso.com/contoso.com/token");
        assert!(token_url("https://login.contoso.com/{tenant}/token", None).is_err());
        assert!(token_url("https://login.contoso.com/{tenant}/token", Some("a/../b")).is_err());
        assert!(token_url("https://login.contoso.com/token", None).is_ok());
    }

    #[test]
    fn versions_of_the_api_may_leave_out_their_v() {
        assert_eq!(api_version("1.3").unwrap(), "v1.3");
        assert_eq!(api_version("v2").unwrap(), "v2");
        assert!(api_version("v1.4/apps").is_err());
        assert!(api_version("").is_err());
    }
}
