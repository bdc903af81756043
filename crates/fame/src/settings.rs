//! What the client commands were told, understood.
//!
//! Flags and environment are looked at here, once. What comes out cannot be wrong any more: a token or a secret
//! will only ever be sent over https, or to this very machine.

use crate::{
    args::{GlobalArgs, ORIGINAL_URL},
    failure::{Failure, explained},
    output::Printer,
};
use clap::{Args, Command};
use client::{
    Challenge, Client, ClientCredentials, Credentials, InsecureUrl, Proof, Retry, RetryPolicy, SecureUrl,
    Settings,
};
use domain::loopback::is_loopback;
use reqwest::Certificate;
use secrecy::{ExposeSecret, SecretString};
use std::{env, fs, path::Path, sync::Arc, time::Duration};

/// Makes settings of flags, environment and, where neither says how to sign in, of what the service says of it.
///
/// # Errors
/// [`Failure::Usage`] for what cannot be used, [`Failure::NotSignedIn`] when there is nothing to sign in with or nowhere to
/// do so, [`Failure::Service`] when the service cannot be asked.
pub(crate) async fn resolve(args: &GlobalArgs, printer: Printer) -> Result<Settings, Failure> {
    warn_of_unknown(printer);
    let nobody = nobody_at(&args.url, args, printer)?;
    Ok(Settings {
        credentials: credentials(args, &nobody).await?,
        ..nobody
    })
}

/// Settings with which to talk to the service at `url` as nobody.
///
/// # Errors
/// [`Failure::Usage`] for what cannot be used.
pub(crate) fn nobody_at(url: &str, args: &GlobalArgs, printer: Printer) -> Result<Settings, Failure> {
    Ok(Settings {
        url: service_root(url)?,
        api_version: api_version(&args.api_version)?,
        credentials: Credentials::Nobody,
        trusted: args
            .ca_file
            .as_deref()
            .map_or(Ok(Vec::new()), read_certificates)?,
        timeout: args.request_timeout,
        retry: RetryPolicy {
            retries: args.retries,
            on_retry: Arc::new(move |retry| tell(retry, printer)),
        },
    })
}

/// The variables that are no flag's.
const OTHER_VARIABLES: [&str; 3] = ["FAME_TOKEN", "FAME_CLIENT_SECRET", "FAME_CONFIG"];

/// A variable that is spelled wrong says nothing, and nobody would notice.
fn warn_of_unknown(printer: Printer) {
    let command = GlobalArgs::augment_args(Command::new("fame"));
    let of_flags = command.get_arguments().filter_map(|arg| arg.get_env()?.to_str());
    let known: Vec<&str> = of_flags.chain(OTHER_VARIABLES).collect();
    for name in env::vars_os().filter_map(|(name, _)| name.into_string().ok()) {
        if is_for_clients(&name) && !known.contains(&name.as_str()) {
            let known = known.join(", ");
            printer.warning(format!(
                "{name} is no variable that fame knows, so it changes nothing. It knows {known}."
            ));
        }
    }
}

/// Whether somebody who sets a variable of this name means a client by it: those of `fame serve` have sections, and
/// Kubernetes sets some of its own for a service called fame.
fn is_for_clients(name: &str) -> bool {
    let other = ["FAME_SERVICE_", "FAME_PORT", "FAME_TEST_"];
    name.starts_with("FAME_") && !name.contains("__") && !other.iter().any(|prefix| name.starts_with(prefix))
}

fn tell(retry: Retry<'_>, printer: Printer) {
    let why = explained(retry.error);
    let first_line = why.lines().next().unwrap_or_default();
    let (when, number, allowed) = (when(retry.pause), retry.number, retry.allowed);
    printer.note(format!(
        "{first_line} Trying again {when} ({number} of {allowed})."
    ));
}

/// How long a pause is, for people.
fn when(pause: Duration) -> String {
    match pause.as_millis() {
        0 => "at once".to_owned(),
        1..950 => format!("in {:.1} s", pause.as_secs_f32().max(0.1)),
        _ => format!("in {:.0} s", pause.as_secs_f32()),
    }
}

async fn credentials(args: &GlobalArgs, nobody: &Settings) -> Result<Credentials, Failure> {
    if let Some(token) = secret_variable("FAME_TOKEN") {
        check_token(token.expose_secret())?;
        return Ok(Credentials::Token(token));
    }
    let Some(client_id) = args.client_id.clone().filter(|id| !id.is_empty()) else {
        return Err(Failure::NotSignedIn(
            "Nothing to sign in with: set FAME_TOKEN to an access token, or --client-id and --tenant with the secret \
             in FAME_CLIENT_SECRET or --client-secret-file."
                .to_owned(),
        ));
    };
    let proof = Proof::Secret(client_secret(args.client_secret_file.as_deref())?);
    let (token_url, scope) = sign_in_place(args, nobody).await?;
    Ok(Credentials::Client(ClientCredentials {
        token_url,
        client_id,
        proof,
        scope,
        user: None,
    }))
}

/// Refuses what is sure not to be a token, before the service does so in its own words.
fn check_token(token: &str) -> Result<(), Failure> {
    let first_word = token.split_whitespace().next().unwrap_or_default();
    if first_word.eq_ignore_ascii_case("bearer") {
        let message = "FAME_TOKEN begins with 'Bearer': it is to hold the token alone.";
        return Err(Failure::Usage(message.to_owned()));
    }
    let is_of_tokens = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    if !token.bytes().all(is_of_tokens) {
        let message = "FAME_TOKEN holds blanks, quotes or other characters that no token has: it is to hold the token alone.";
        return Err(Failure::Usage(message.to_owned()));
    }
    Ok(())
}

fn secret_variable(name: &str) -> Option<SecretString> {
    let text = env::var(name).ok()?;
    Some(SecretString::from(text.trim())).filter(|_| !text.trim().is_empty())
}

fn client_secret(file: Option<&Path>) -> Result<SecretString, Failure> {
    if let Some(path) = file {
        let text = fs::read_to_string(path).map_err(|error| Failure::unreadable(path, &error))?;
        return Ok(SecretString::from(text.trim()));
    }
    secret_variable("FAME_CLIENT_SECRET").ok_or_else(|| {
        let message = "The application's secret is missing: set FAME_CLIENT_SECRET or --client-secret-file.";
        Failure::NotSignedIn(message.to_owned())
    })
}

const TENANT: &str = "{tenant}";
/// Where tokens for the original service are issued.
const ORIGINAL_TOKEN_URL: &str = "https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token";
/// Microsoft's, to which a service may send callers with their secret though nobody here named them.
const MICROSOFT_LOGINS: [&str; 3] = [
    "login.microsoftonline.com",
    "login.microsoftonline.us",
    "login.partner.microsoftonline.cn",
];

/// Whether that is the original service.
pub(crate) fn is_original(url: &SecureUrl) -> bool {
    let host = ORIGINAL_URL.strip_prefix("https://");
    url.host_str() == host
}

/// Where an application signs in, and what for: as it was told to, as is known of the original service, or as the service
/// says. So no secret goes to Microsoft for a service that has nothing to do with it, and no token for the original to
/// another.
async fn sign_in_place(args: &GlobalArgs, nobody: &Settings) -> Result<(SecureUrl, String), Failure> {
    let is_original = is_original(&nobody.url);
    let original = |text: String| Some(text).filter(|_| is_original);
    let told_url = args
        .token_url
        .clone()
        .or_else(|| original(ORIGINAL_TOKEN_URL.to_owned()));
    let told_url = told_url
        .map(|url| token_url(&url, args.tenant.as_deref()))
        .transpose()?;
    let told_scope = args
        .scope
        .clone()
        .or_else(|| original(format!("{ORIGINAL_URL}/.default")));
    let (url, scope) = match (told_url, told_scope) {
        (Some(url), Some(scope)) => return Ok((url, scope)),
        told => told,
    };
    let challenge = Client::new(nobody.clone())?.challenge().await?;
    let host = nobody.url.host_str().unwrap_or_default();
    let scope = scope.map_or_else(|| scope_of_challenge(&challenge, host), Ok)?;
    let url = url.map_or_else(|| url_of_challenge(&challenge, host, args.tenant.as_deref()), Ok)?;
    Ok((url, scope))
}

/// What tokens for the service at `host` are issued for, as it says: for itself, or else it would get tokens for others.
fn scope_of_challenge(challenge: &Challenge, host: &str) -> Result<String, Failure> {
    let Some(resource) = &challenge.resource_id else {
        return Err(Failure::NotSignedIn(format!(
            "{host} does not say what tokens for it are issued for: set --scope (FAME_SCOPE), such as \
             api://{host}/.default."
        )));
    };
    let rest = ["api://", "https://"]
        .iter()
        .find_map(|scheme| resource.strip_prefix(scheme));
    let named = rest.and_then(|rest| rest.split(['/', ':']).next());
    let is_demo = is_loopback(host) && resource == "api://fame-dev";
    if is_demo || named.is_some_and(|named| named.eq_ignore_ascii_case(host)) {
        return Ok(format!("{resource}/.default"));
    }
    Err(Failure::NotSignedIn(format!(
        "{host} says that tokens for it are issued for '{resource}', which does not name {host}. It gets one only if you say so: \
         set --scope (FAME_SCOPE) to {resource}/.default."
    )))
}

/// Where tokens are issued, going by where the service at `host` says that browsers sign in.
fn url_of_challenge(challenge: &Challenge, host: &str, tenant: Option<&str>) -> Result<SecureUrl, Failure> {
    let not_there = |why: String| {
        Failure::NotSignedIn(format!(
            "{why}: set --token-url (FAME_TOKEN_URL) to where tokens are issued."
        ))
    };
    let Some(sign_in) = &challenge.authorization_uri else {
        return Err(not_there(format!(
            "{host} does not say where its callers sign in"
        )));
    };
    let of_entra = ["/oauth2/authorize", "/oauth2/v2.0/authorize"];
    let realm = of_entra.iter().find_map(|end| sign_in.strip_suffix(end));
    let Some((authority, theirs)) = realm.and_then(|realm| realm.rsplit_once('/')) else {
        return Err(not_there(format!(
            "{host} says that its callers sign in at {sign_in}"
        )));
    };
    // Those who take several tenants do not name one.
    let theirs = Some(theirs).filter(|theirs| !["common", "organizations"].contains(theirs));
    let tenant = tenant.filter(|tenant| !tenant.is_empty()).or(theirs);
    let url = token_url(&format!("{authority}/{TENANT}/oauth2/v2.0/token"), tenant)?;
    let issuer = url.host_str().unwrap_or_default();
    let is_same = issuer == host || (is_loopback(issuer) && is_loopback(host));
    if is_same || MICROSOFT_LOGINS.contains(&issuer) {
        return Ok(url);
    }
    Err(Failure::NotSignedIn(format!(
        "{host} says that its callers sign in at {issuer}. Your secret goes there only if you say so: set --token-url \
         (FAME_TOKEN_URL) to {}.",
        url.as_str()
    )))
}

fn token_url(template: &str, tenant: Option<&str>) -> Result<SecureUrl, Failure> {
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
    secure_url("--token-url (FAME_TOKEN_URL)", &template.replace(TENANT, tenant))
}

fn service_root(text: &str) -> Result<SecureUrl, Failure> {
    let url = secure_url("--url (FAME_URL)", text)?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err(Failure::Usage(format!(
            "--url: '{text}' has more than an address: leave out what follows ? and #"
        )));
    }
    Ok(url)
}

fn secure_url(flag: &str, text: &str) -> Result<SecureUrl, Failure> {
    if !text.contains("://") {
        let problem = match text.trim() {
            "" => "it is empty".to_owned(),
            text if text.contains('@') => "it does not begin with https://".to_owned(),
            text => format!("'{text}' does not begin with https://: is https://{text} meant?"),
        };
        return Err(Failure::Usage(format!("{flag}: {problem}")));
    }
    text.parse().map_err(|error| match error {
        // Whoever wrote a secret there does not want to see it in a log.
        InsecureUrl::Credentials => Failure::Usage(format!("{flag}: credentials do not belong into a URL")),
        error => Failure::Usage(format!("{flag}: '{text}' {error}")),
    })
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
    let pem = fs::read(path).map_err(|error| Failure::unreadable(path, &error))?;
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
    fn secrets_in_a_url_are_not_repeated() {
        for url in [
            "https://user:secret@fame.contoso.com",
            "user:secret@fame.contoso.com",
        ] {
            let refused = secure_url("--url", url).unwrap_err();
            assert!(!refused.to_string().contains("secret@"), "{refused}");
        }
        assert!(service_root("https://contoso.com/?a=b").is_err());
    }

    #[test]
    fn a_pause_is_never_nothing() {
        for (pause, told) in [
            (0, "at once"),
            (3, "in 0.1 s"),
            (420, "in 0.4 s"),
            (960, "in 1 s"),
            (8_300, "in 8 s"),
        ] {
            assert_eq!(when(Duration::from_millis(pause)), told);
        }
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
