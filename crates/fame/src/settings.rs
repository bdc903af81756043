//! What the client commands were told, understood.
//!
//! Flags, environment and the profile are looked at here, once. What comes out cannot be wrong any more: a token or a
//! secret will only ever be sent over https, or to this very machine. And it is sent to the service that it belongs to:
//! a profile is for one service, and a token of the environment for the one that is named beside it.

use crate::{
    args::{GlobalArgs, ORIGINAL_URL},
    failure::{Failure, explained},
    output::Printer,
    profiles::{Profile, Profiles, USUAL},
    sign_in::{self, Kind, Source},
};
use clap::{Args, Command};
use client::{Client, Credentials, InsecureUrl, Issuers, Retry, RetryPolicy, SecureUrl, Settings};
use reqwest::Certificate;
use std::{
    env, fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// Makes settings of flags, environment and profile, and says what it is signed in with.
///
/// # Errors
/// [`Failure::Usage`] for what cannot be used, [`Failure::NotSignedIn`] when there is nothing to sign in with or nobody
/// says where, [`Failure::Service`] when a service that would take a pipeline's own token cannot be asked.
pub(crate) async fn resolve(args: &GlobalArgs, printer: Printer) -> Result<(Settings, Source), Failure> {
    warn_of_unknown(printer);
    let place = Place::read(args, printer)?;
    let source = sign_in::choose(&place).await?;
    Ok((place.settings(source.credentials.clone()), source))
}

/// A service, and who wants to sign in there with what: all that flags, environment and profile say.
pub(crate) struct Place {
    /// The service's root.
    pub url: SecureUrl,
    /// Whether a flag or the environment names it, and not a profile or nobody.
    pub is_named: bool,
    /// The profile, by its name.
    pub profile: Option<(String, Profile)>,
    /// The tenant to sign in to.
    pub tenant: Option<String>,
    /// The application to sign in as, or by.
    pub client_id: Option<String>,
    /// What to sign in with, and who says so.
    pub credential: Option<(Kind, String)>,
    /// A file that holds a token.
    pub token_file: Option<PathBuf>,
    /// A file that holds the application's secret.
    pub secret_file: Option<PathBuf>,
    /// A file that holds the application's certificate and key.
    pub certificate_file: Option<PathBuf>,
    /// What is shown to people on the way.
    pub printer: Printer,
    api_version: String,
    token_url: Option<String>,
    scope: Option<String>,
    trusted: Vec<Certificate>,
    timeout: Duration,
    retries: u32,
}

/// The first of the texts that says something.
fn first<const N: usize>(texts: [Option<String>; N]) -> Option<String> {
    let said = |text: &String| !text.trim().is_empty();
    texts.into_iter().flatten().find(said)
}

/// The first of these variables that says something.
pub(crate) fn variable<const N: usize>(names: [&str; N]) -> Option<String> {
    first(names.map(|name| env::var(name).ok()))
}

impl Place {
    /// Reads them.
    ///
    /// # Errors
    /// [`Failure::Usage`] for what cannot be used.
    pub(crate) fn read(args: &GlobalArgs, printer: Printer) -> Result<Self, Failure> {
        let profiles = Profiles::load()?;
        let named = first([args.profile.clone()]);
        let profile = match (named, &args.url) {
            (Some(name), _) => Some((name.clone(), profiles.get(&name)?)),
            (None, None) => profiles.find(USUAL).map(|usual| (USUAL.to_owned(), usual)),
            // A service that is named may be the usual one.
            (None, Some(url)) => profiles
                .find(USUAL)
                .filter(|usual| is_same_service(usual.url.as_deref(), url))
                .map(|usual| (USUAL.to_owned(), usual)),
        };
        Self::of(args, profile, printer)
    }

    /// The same with this profile, whichever the flags name.
    ///
    /// # Errors
    /// [`Failure::Usage`] for what cannot be used.
    pub(crate) fn of(
        args: &GlobalArgs,
        profile: Option<(String, Profile)>,
        printer: Printer,
    ) -> Result<Self, Failure> {
        let url = told_url(args, profile.as_ref())?;
        let of_profile = profile.as_ref().map(|(_, profile)| profile.clone());
        let kept = of_profile.unwrap_or_default();
        let told = args
            .credential
            .map(|kind| (kind, "--credential (FAME_CREDENTIAL) says so".to_owned()));
        let credential = told.or_else(|| {
            let (name, profile) = profile.as_ref()?;
            Some((profile.credential?, format!("the profile '{name}' says so")))
        });
        let api_version = first([args.api_version.clone(), kept.api_version]);
        let ca_file = args.ca_file.clone().or(kept.ca_file);
        Ok(Self {
            api_version: api_version.map_or(Ok("v1.4".to_owned()), |text| api_version_of(&text))?,
            tenant: first([
                args.tenant.clone(),
                kept.tenant,
                variable(["AZURE_TENANT_ID", "AZURESUBSCRIPTION_TENANT_ID"]),
            ]),
            client_id: first([
                args.client_id.clone(),
                kept.client_id,
                variable(["AZURE_CLIENT_ID", "AZURESUBSCRIPTION_CLIENT_ID"]),
            ]),
            token_url: first([args.token_url.clone(), kept.token_url]),
            scope: first([args.scope.clone(), kept.scope]),
            token_file: args.token_file.clone(),
            secret_file: args.client_secret_file.clone().or(kept.client_secret_file),
            certificate_file: args.client_certificate.clone().or(kept.client_certificate_file),
            trusted: ca_file.as_deref().map_or(Ok(Vec::new()), read_certificates)?,
            is_named: args.url.is_some(),
            timeout: args.request_timeout,
            retries: args.retries,
            url,
            profile,
            credential,
            printer,
        })
    }

    /// The settings of a client that calls with `credentials`.
    pub(crate) fn settings(&self, credentials: Credentials) -> Settings {
        Settings {
            url: self.url.clone(),
            api_version: self.api_version.clone(),
            credentials,
            trusted: self.trusted.clone(),
            timeout: self.timeout,
            retry: self.retry(),
        }
    }

    fn retry(&self) -> RetryPolicy {
        let printer = self.printer;
        RetryPolicy {
            retries: self.retries,
            on_retry: Arc::new(move |retry| tell(retry, printer)),
        }
    }

    /// The way to the issuer at `url`.
    ///
    /// # Errors
    /// [`Failure::Service`] when TLS cannot be set up.
    pub(crate) fn issuers(&self, url: &SecureUrl) -> Result<Issuers, Failure> {
        Ok(Issuers::new(&[url], &self.trusted, self.retry())?)
    }

    /// Whether it is Microsoft's service.
    pub(crate) fn is_original(&self) -> bool {
        is_original(&self.url)
    }

    /// What an error calls the service.
    pub(crate) fn host(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        let port = self.url.port().map(|port| format!(":{port}"));
        format!("{host}{}", port.unwrap_or_default())
    }

    /// The application to sign in as.
    ///
    /// # Errors
    /// [`Failure::NotSignedIn`] when nobody names one.
    pub(crate) fn application(&self) -> Result<String, Failure> {
        self.client_id.clone().ok_or_else(|| {
            let message = "The application to sign in as is missing: set --client-id or FAME_CLIENT_ID.";
            Failure::NotSignedIn(message.to_owned())
        })
    }

    /// What a token is to be for, where that is known.
    pub(crate) fn known_scope(&self) -> Option<String> {
        let original = || self.is_original().then(|| format!("{ORIGINAL_URL}/.default"));
        self.scope.clone().or_else(original)
    }

    /// What may help where the service takes no token of this kind.
    fn advice(&self) -> Option<String> {
        let other = format!("{OTHER_OF_MICROSOFT}/.default");
        let may_help = self.is_original() && self.known_scope().as_ref() != Some(&other);
        may_help.then(|| {
            format!(
                "Microsoft does not document what tokens for this service are issued for. Try --scope {other}"
            )
        })
    }

    /// Where tokens are issued, and what for. What the service says of that is shown and never followed: it would choose who
    /// is shown a secret.
    ///
    /// # Errors
    /// [`Failure::NotSignedIn`] when nobody here says so, [`Failure::Service`] when the service cannot be asked what it
    /// would say, [`Failure::Usage`] for what is no such address.
    pub(crate) async fn sign_in_place(&self) -> Result<(SecureUrl, String), Failure> {
        let of_entra = || {
            let is_of_entra = self.is_original() || self.tenant.is_some();
            is_of_entra.then(|| ENTRA_TOKEN_URL.to_owned())
        };
        let template = self.token_url.clone().or_else(of_entra);
        let url = template.map(|template| token_url(&template, self.tenant.as_deref()));
        match (url.transpose()?, self.known_scope()) {
            (Some(url), Some(scope)) => Ok((url, scope)),
            (url, _) => Err(self.unknown_place(url.is_none()).await?),
        }
    }

    /// That nobody says where to sign in, or what for; with what the service says of it.
    async fn unknown_place(&self, lacks_url: bool) -> Result<Failure, Failure> {
        let host = self.host();
        let mut text = match lacks_url {
            true => format!(
                "Nobody says where tokens for {host} are issued: set --token-url (FAME_TOKEN_URL), or --tenant \
                 (FAME_TENANT_ID) for Microsoft Entra."
            ),
            false => format!(
                "Nobody says what tokens for {host} are issued for: set --scope (FAME_SCOPE), such as \
                 api://{}/.default.",
                self.url.host_str().unwrap_or_default()
            ),
        };
        let challenge = Client::new(self.settings(Credentials::Nobody))?
            .challenge()
            .await?;
        let said = [
            challenge
                .authorization_uri
                .map(|place| format!("that its callers sign in at {place}")),
            challenge
                .resource_id
                .map(|resource| format!("that tokens are issued for {resource}")),
        ];
        let said: Vec<String> = said.into_iter().flatten().collect();
        if !said.is_empty() {
            text = format!(
                "{text}\n  {host} says {}. Nothing is sent there because of that; if it is right, say so yourself.",
                said.join(", and ")
            );
        }
        Ok(Failure::NotSignedIn(text))
    }
}

/// The service that is meant. A profile is for one: what is kept for it goes to no other.
fn told_url(args: &GlobalArgs, profile: Option<&(String, Profile)>) -> Result<SecureUrl, Failure> {
    let told = args.url.as_deref().map(service_root).transpose()?;
    let Some((name, profile)) = profile else {
        return told.map_or_else(|| service_root(ORIGINAL_URL), Ok);
    };
    let of_profile = service_root(profile.url.as_deref().unwrap_or(ORIGINAL_URL))?;
    match told {
        Some(told) if told.origin() != of_profile.origin() => Err(Failure::Usage(format!(
            "The profile '{name}' is for {}, and --url (FAME_URL) names {}: what is kept for one service goes to no other. \
             Leave one of them out.",
            of_profile.origin().ascii_serialization(),
            told.origin().ascii_serialization()
        ))),
        Some(told) => Ok(told),
        None => Ok(of_profile),
    }
}

/// Whether a profile's address and another one are of one service.
fn is_same_service(of_profile: Option<&str>, other: &str) -> bool {
    let origin = |text: &str| text.parse().map(|url: SecureUrl| url.origin()).ok();
    let known = origin(of_profile.unwrap_or(ORIGINAL_URL));
    known.is_some_and(|known| origin(other) == Some(known))
}

/// Settings with which to talk to the service at `url` as nobody.
///
/// # Errors
/// [`Failure::Usage`] for what cannot be used.
pub(crate) fn nobody_at(url: &str, args: &GlobalArgs, printer: Printer) -> Result<Settings, Failure> {
    let place = Place::of(args, None, printer)?;
    Ok(Settings {
        url: root_by("--to", url)?,
        ..place.settings(Credentials::Nobody)
    })
}

/// Whether this is Microsoft's service.
pub(crate) fn is_original(url: &SecureUrl) -> bool {
    url.origin().ascii_serialization() == ORIGINAL_URL
}

/// What may help somebody whom the service that `args` name did not let in.
pub(crate) fn advice_for_strangers(args: &GlobalArgs, printer: Printer) -> Option<String> {
    Place::read(args, printer).ok()?.advice()
}

/// What tokens for the neighbour of Microsoft's service are issued for, the Admin Center API.
const OTHER_OF_MICROSOFT: &str = "https://api.businesscentral.dynamics.com";

/// The variables that are no flag's.
const OTHER_VARIABLES: [&str; 4] = [
    "FAME_TOKEN",
    "FAME_CLIENT_SECRET",
    "FAME_CLIENT_ASSERTION",
    "FAME_CONFIG",
];

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

const TENANT: &str = "{tenant}";
/// Where Microsoft Entra issues tokens.
const ENTRA_TOKEN_URL: &str = "https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token";

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

/// The root of a service.
///
/// # Errors
/// [`Failure::Usage`] when it is no address, or none that a secret may be sent to.
pub(crate) fn service_root(text: &str) -> Result<SecureUrl, Failure> {
    root_by("--url (FAME_URL)", text)
}

/// The root of a service, as `flag` says it.
///
/// # Errors
/// As of [`service_root`].
pub(crate) fn root_by(flag: &str, text: &str) -> Result<SecureUrl, Failure> {
    let url = secure_url(flag, text)?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err(Failure::Usage(format!(
            "{flag}: '{text}' has more than an address: leave out what follows ? and #"
        )));
    }
    Ok(url)
}

/// An address that a secret may be sent to, as `flag` says it.
///
/// # Errors
/// [`Failure::Usage`] when it is none.
pub(crate) fn secure_url(flag: &str, text: &str) -> Result<SecureUrl, Failure> {
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

fn api_version_of(text: &str) -> Result<String, Failure> {
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
    use crate::ci::Ci;
    use clap::Parser;

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

    fn place(args: &[&str], profile: Option<Profile>) -> Result<Place, Failure> {
        let cli = crate::cli::Cli::try_parse_from([&["fame", "apps", "list"], args].concat()).unwrap();
        let profile = profile.map(|profile| ("contoso".to_owned(), profile));
        Place::of(&cli.global, profile, Printer::new(false, true, Ci::None))
    }

    fn at(url: &str) -> Option<Profile> {
        Some(Profile {
            url: Some(url.to_owned()),
            ..Profile::default()
        })
    }

    #[test]
    fn a_profile_is_for_one_service() {
        let here = "https://fame.contoso.com";
        assert_eq!(place(&[], at(here)).unwrap().host(), "fame.contoso.com");
        assert!(place(&["--url", "https://fame.contoso.com/"], at(here)).is_ok());
        assert!(place(&["--url", "https://FAME.contoso.com:443"], at(here)).is_ok());
        for other in [
            "https://fame.contoso.com:444",
            "https://fame.fabrikam.com",
            "https://fame.contoso.com.evil.example",
        ] {
            let refused = place(&["--url", other], at(here)).err().unwrap().to_string();
            assert!(refused.contains("goes to no other"), "{refused}");
            assert!(!is_same_service(Some(here), other) && is_same_service(Some(here), here));
        }
        assert!(place(&["--url", "https://fame.contoso.com"], Some(Profile::default())).is_err());
    }

    #[test]
    fn whom_microsofts_service_refuses_is_told_what_else_to_try() {
        let other = "https://api.businesscentral.dynamics.com/.default";
        let strange = place(&[], None).unwrap();
        assert_eq!(
            strange.known_scope().as_deref(),
            Some("https://apps.businesscentral.dynamics.com/.default")
        );
        assert!(strange.advice().unwrap().contains(other));
        assert_eq!(place(&["--scope", other], None).unwrap().advice(), None);
        assert_eq!(place(&[], at("https://fame.contoso.com")).unwrap().advice(), None);
    }

    #[test]
    fn versions_of_the_api_may_leave_out_their_v() {
        assert_eq!(api_version_of("1.3").unwrap(), "v1.3");
        assert_eq!(api_version_of("v2").unwrap(), "v2");
        assert!(api_version_of("v1.4/apps").is_err());
        assert!(api_version_of("").is_err());
    }
}
