//! What the client commands were told, understood.
//!
//! Flags and environment are looked at here, once. What comes out cannot be wrong any more: a token or a secret
//! will only ever be sent over https, or to this very machine.

use crate::{
    args::GlobalArgs,
    failure::{Failure, explained},
    output::Printer,
};
use client::{ClientCredentials, Credentials, InsecureUrl, Proof, Retry, RetryPolicy, SecureUrl, Settings};
use reqwest::Certificate;
use secrecy::SecretString;
use std::{env, fs, path::Path, sync::Arc};

/// Makes settings of flags and environment.
///
/// # Errors
/// [`Failure::Usage`] for what cannot be used, [`Failure::NotSignedIn`] when there is nothing to sign in with.
pub(crate) fn resolve(args: &GlobalArgs, printer: Printer) -> Result<Settings, Failure> {
    Ok(Settings {
        url: service_root(&args.url)?,
        api_version: api_version(&args.api_version)?,
        credentials: credentials(args)?,
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

fn tell(retry: Retry<'_>, printer: Printer) {
    let why = explained(retry.error);
    let first_line = why.lines().next().unwrap_or_default();
    let (seconds, number, allowed) = (retry.pause.as_secs_f32(), retry.number, retry.allowed);
    printer.note(format!(
        "{first_line} Trying again in {seconds:.0} s ({number} of {allowed})."
    ));
}

fn credentials(args: &GlobalArgs) -> Result<Credentials, Failure> {
    if let Some(token) = secret_variable("FAME_TOKEN") {
        return Ok(Credentials::Token(token));
    }
    let Some(client_id) = args.client_id.clone().filter(|id| !id.is_empty()) else {
        return Err(Failure::NotSignedIn(
            "Nothing to sign in with: set FAME_TOKEN to an access token, or --client-id and --tenant with the secret \
             in FAME_CLIENT_SECRET or --client-secret-file."
                .to_owned(),
        ));
    };
    Ok(Credentials::Client(ClientCredentials {
        token_url: token_url(&args.token_url, args.tenant.as_deref())?,
        client_id,
        proof: Proof::Secret(client_secret(args.client_secret_file.as_deref())?),
        scope: args.scope.clone(),
        user: None,
    }))
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
    secure_url("--token-url", &template.replace(TENANT, tenant))
}

fn service_root(text: &str) -> Result<SecureUrl, Failure> {
    let url = secure_url("--url", text)?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err(Failure::Usage(format!(
            "--url: '{text}' has more than an address: leave out what follows ? and #"
        )));
    }
    Ok(url)
}

fn secure_url(flag: &str, text: &str) -> Result<SecureUrl, Failure> {
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
        let refused = secure_url("--url", "https://user:secret@fame.contoso.com").unwrap_err();
        assert!(!refused.to_string().contains("secret@"), "{refused}");
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
