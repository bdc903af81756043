//! What somebody signs in with: the first source that is there, in one order, and no other when it fails.
//!
//! A source that is configured and fails ends the command. To go on with another would be to act as somebody whom nobody
//! meant.
//!
//! | source | is there when |
//! |---|---|
//! | a token | `--token-file` or `FAME_TOKEN` is set, beside the service that it is for |
//! | what `--credential` or the profile names | it is named |
//! | a secret or a certificate | it is set |
//! | trusted publishing | a pipeline that can prove itself talks to a service that takes such proof |
//! | a pipeline's or a platform's token | an application is named, and the platform offers one |
//! | a login | `fame login` was done for the profile |
//! | the Azure CLI | it is installed, and no application is named |

mod azure;
pub(crate) mod browser;
mod certificate;
pub(crate) mod device;
pub(crate) mod hints;
pub(crate) mod login;
mod pipelines;
mod publishing;

use crate::{
    failure::Failure,
    settings::{Place, variable},
};
use azure::{AzureCli, ManagedIdentity};
use certificate::Certificate;
use client::{Assertions, ClientCredentials, Credentials, Error, IssuedToken, Proof, TokenSource};
use domain::ids::AppId;
use futures::future::BoxFuture;
use login::StoredLogin;
use pipelines::Pipeline;
use publishing::TrustedPublishing;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{
    env, fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// Whom Microsoft Entra wants tokens to be for that an application proves itself with.
const EXCHANGE: &str = "api://AzureADTokenExchange";

/// What somebody can sign in with, as profiles and `--credential` call it. Help shows the words alone: docs of theirs would
/// make the help of every command longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    // An application's secret
    Secret,
    // An application's certificate
    Certificate,
    // A pipeline that an app's owner trusts to publish
    TrustedPublishing,
    // An application that trusts a workflow of GitHub Actions
    Github,
    // An application that trusts an Azure pipeline
    AzurePipelines,
    // An application that trusts the platform that it runs on
    WorkloadIdentity,
    // An application that shows the token in FAME_CLIENT_ASSERTION
    Assertion,
    // Whoever signed in by fame login
    Login,
    // Whoever signed in by az login
    AzureCli,
    // The identity of the machine in Azure
    ManagedIdentity,
}

/// What somebody signs in with, and why it is that.
#[derive(Debug)]
pub(crate) struct Source {
    /// The service that it is for.
    pub service: String,
    /// The profile that was asked, if one was.
    pub profile: Option<String>,
    /// What it is, for people.
    pub name: String,
    /// Why it is that and nothing else.
    pub why: String,
    /// The same for a client.
    pub credentials: Credentials,
    /// Whether it is the login of the profile.
    is_login: bool,
    /// What an application is proven with, where its issuer is to believe another.
    pub proof: Option<Proof>,
    /// The pipeline that an app's owner trusts, where it is that.
    pub publishing: Option<Arc<TrustedPublishing>>,
}

impl Source {
    fn new(name: impl Into<String>, why: impl Into<String>, credentials: Credentials) -> Self {
        Self {
            service: String::new(),
            profile: None,
            name: name.into(),
            why: why.into(),
            credentials,
            is_login: false,
            proof: None,
            publishing: None,
        }
    }

    fn asked(name: impl Into<String>, why: impl Into<String>, source: impl TokenSource + 'static) -> Self {
        Self::new(name, why, Credentials::Source(Arc::new(source)))
    }
}

/// The source that is there first.
///
/// # Errors
/// [`Failure::NotSignedIn`] when there is none or it lacks something, [`Failure::Usage`] when it is said wrongly,
/// [`Failure::Service`] when the service cannot be asked whether it takes a pipeline's own token.
pub(crate) async fn choose(place: &Place) -> Result<Source, Failure> {
    let mut source = first(place).await?;
    if !source.is_login
        && let Some(name) = kept_login(place)
    {
        source.why = format!(
            "{}, which goes before the login of the profile '{name}'",
            source.why
        );
    }
    Ok(Source {
        service: place.url.as_str().to_owned(),
        profile: place.profile.as_ref().map(|(name, _)| name.clone()),
        ..source
    })
}

/// The profile for which somebody signed in.
fn kept_login(place: &Place) -> Option<&str> {
    let (name, profile) = place.profile.as_ref()?;
    profile.kept_in.map(|_| name.as_str())
}

/// What an application proves itself with, as it says: nothing of a secret.
///
/// # Errors
/// What kept it from coming.
pub(crate) async fn claims_of_proof(source: &Source) -> Result<Option<Value>, Failure> {
    if let Some(publishing) = &source.publishing {
        return Ok(publishing.claims().await?);
    }
    let Some(proof) = &source.proof else {
        return Ok(None);
    };
    let fields = proof.fields().await?;
    let shown = fields.iter().find(|(name, _)| *name == "client_assertion");
    Ok(shown.and_then(|(_, token)| client::claims(token.expose_secret())))
}

async fn first(place: &Place) -> Result<Source, Failure> {
    if let Some(token) = handed_token(place)? {
        return Ok(token);
    }
    if let Some((kind, why)) = &place.credential {
        return of_kind(*kind, why, place).await;
    }
    if let Some((kind, why)) = key(place) {
        return of_kind(kind, &why, place).await;
    }
    if let Some(publishing) = publishing::offered(place).await? {
        return Ok(publishing);
    }
    if let Some((kind, why)) = platform(place).or_else(|| person(place)) {
        return of_kind(kind, why, place).await;
    }
    Err(Failure::NotSignedIn(nothing(place)))
}

/// A token that somebody else fetched. It is for one service, so that service is named beside it.
fn handed_token(place: &Place) -> Result<Option<Source>, Failure> {
    let file = place.token_file.clone();
    let Some(said_by) = file
        .as_ref()
        .map(|_| "--token-file (FAME_TOKEN_FILE)")
        .or_else(|| variable([TOKEN]).map(|_| TOKEN))
    else {
        return Ok(None);
    };
    if !place.is_named {
        return Err(Failure::Usage(format!(
            "{said_by} holds a token for one service: say which, with FAME_URL or --url. Neither Microsoft's service nor a \
             profile's gets it by itself."
        )));
    }
    let why = format!("{said_by} is set");
    let source = match (file, secret_variable(TOKEN)) {
        (Some(path), _) => {
            let file = TokenFile { path };
            file.read()?;
            Source::asked(format!("the token in {}", file.path.display()), why, file)
        }
        (None, Some(token)) => {
            check_token(TOKEN, token.expose_secret())?;
            Source::new("the token in FAME_TOKEN", why, Credentials::Token(token))
        }
        (None, None) => return Ok(None),
    };
    Ok(Some(source))
}

const TOKEN: &str = "FAME_TOKEN";
const ASSERTION: &str = "FAME_CLIENT_ASSERTION";
const FEDERATED_FILE: &str = "AZURE_FEDERATED_TOKEN_FILE";

/// An application's secret or certificate, and what names it.
fn key(place: &Place) -> Option<(Kind, String)> {
    if let Some(file) = &place.secret_file {
        let why = format!(
            "an application's secret is set by --client-secret-file ({})",
            file.display()
        );
        return Some((Kind::Secret, why));
    }
    if let Some(name) = SECRETS.into_iter().find(|name| variable([*name]).is_some()) {
        return Some((Kind::Secret, format!("an application's secret is set by {name}")));
    }
    let by = match place.certificate_file {
        Some(_) => "--client-certificate",
        None => CERTIFICATE,
    };
    let file = certificate_file(place).filter(|file| !file.as_os_str().is_empty())?;
    let why = format!("an application's certificate is set by {by} ({})", file.display());
    Some((Kind::Certificate, why))
}

const CERTIFICATE: &str = "AZURE_CLIENT_CERTIFICATE_PATH";
const SECRETS: [&str; 2] = ["FAME_CLIENT_SECRET", "AZURE_CLIENT_SECRET"];

fn certificate_file(place: &Place) -> Option<PathBuf> {
    let other = || variable([CERTIFICATE]).map(PathBuf::from);
    place.certificate_file.clone().or_else(other)
}

/// What proves an application without any secret, where this platform offers that.
fn platform(place: &Place) -> Option<(Kind, &'static str)> {
    place.client_id.as_ref()?;
    match Pipeline::found() {
        Some(Pipeline::AzurePipelines { .. }) => {
            return Some((
                Kind::AzurePipelines,
                "an application is named, and this is an Azure pipeline",
            ));
        }
        Some(Pipeline::Github { .. }) => {
            let why = "an application is named, and this workflow may ask for tokens (id-token: write)";
            return Some((Kind::Github, why));
        }
        None => {}
    }
    if variable([FEDERATED_FILE]).is_some() {
        let why = "an application is named, and AZURE_FEDERATED_TOKEN_FILE is set";
        return Some((Kind::WorkloadIdentity, why));
    }
    let why = "an application is named, and FAME_CLIENT_ASSERTION is set";
    variable([ASSERTION]).map(|_| (Kind::Assertion, why))
}

/// Somebody who signed in here.
fn person(place: &Place) -> Option<(Kind, &'static str)> {
    let is_kept = place
        .profile
        .as_ref()
        .is_some_and(|(_, profile)| profile.kept_in.is_some());
    if is_kept {
        return Some((Kind::Login, "fame login was done for the profile"));
    }
    // Whoever names an application does not mean the person at the desk.
    let is_for_cli = place.client_id.is_none() && place.known_scope().is_some() && azure::is_installed();
    is_for_cli.then_some((
        Kind::AzureCli,
        "nothing else is there, and the Azure CLI is installed",
    ))
}

/// The source of that kind.
async fn of_kind(kind: Kind, why: &str, place: &Place) -> Result<Source, Failure> {
    let proof = match kind {
        Kind::TrustedPublishing => return publishing::named(place, why).await,
        Kind::Login => {
            let (name, login) = StoredLogin::open(place).await?;
            return Ok(Source {
                is_login: true,
                ..Source::asked(name, why, login)
            });
        }
        Kind::AzureCli => {
            let scope = place.known_scope();
            let scope = scope.map_or_else(|| Err(no_scope(place)), Ok)?;
            let cli = AzureCli::new(scope, place.tenant.clone())?;
            return Ok(Source::asked("the Azure CLI's account", why, cli));
        }
        Kind::ManagedIdentity => {
            let scope = place.known_scope();
            let scope = scope.map_or_else(|| Err(no_scope(place)), Ok)?;
            let identity = ManagedIdentity::new(&scope, place.client_id.clone())?;
            return Ok(Source::asked("the machine's managed identity", why, identity));
        }
        Kind::Secret => Proof::Secret(secret(place.secret_file.as_deref())?),
        Kind::Certificate => {
            let file = certificate_file(place).ok_or_else(|| lacks("certificate", "--client-certificate"))?;
            let (token_url, _) = place.sign_in_place().await?;
            Proof::Assertion(Arc::new(Certificate::read(
                &file,
                &token_url,
                place.application()?,
            )?))
        }
        Kind::Github | Kind::AzurePipelines => {
            let pipeline = Pipeline::of_kind(kind).map_err(Failure::NotSignedIn)?;
            Proof::Assertion(Arc::new(pipeline.for_application(place)?))
        }
        Kind::WorkloadIdentity => {
            let file = variable([FEDERATED_FILE]);
            let file = file.ok_or_else(|| lacks("platform's token", FEDERATED_FILE))?;
            Proof::AssertionFile(file.into())
        }
        Kind::Assertion => {
            let given = secret_variable(ASSERTION);
            let given = given.ok_or_else(|| lacks("assertion", ASSERTION))?;
            Proof::Assertion(Arc::new(Given(given)))
        }
    };
    of_application(kind, why, place, proof).await
}

/// An application that proves itself so.
async fn of_application(kind: Kind, why: &str, place: &Place, proof: Proof) -> Result<Source, Failure> {
    let client_id = place.application()?;
    let (token_url, scope) = place.sign_in_place().await?;
    let by = match kind {
        Kind::Secret => "its secret",
        Kind::Certificate => "its certificate",
        Kind::Github => "this workflow's token of GitHub Actions",
        Kind::AzurePipelines => "this pipeline's token of Azure DevOps",
        Kind::WorkloadIdentity => "the platform's token",
        _ => "the token in FAME_CLIENT_ASSERTION",
    };
    let name = format!("the application {client_id}, by {by}");
    let credentials = Credentials::Client(ClientCredentials {
        token_url,
        client_id,
        proof: proof.clone(),
        scope,
        user: None,
    });
    let is_assertion = !matches!(kind, Kind::Secret | Kind::Certificate);
    Ok(Source {
        proof: is_assertion.then_some(proof),
        ..Source::new(name, why, credentials)
    })
}

fn no_scope(place: &Place) -> Failure {
    Failure::NotSignedIn(format!(
        "Nobody says what tokens for {} are issued for: set --scope (FAME_SCOPE).",
        place.host()
    ))
}

fn lacks(what: &str, setting: &str) -> Failure {
    Failure::NotSignedIn(format!("The {what} to sign in with is missing: set {setting}."))
}

/// That there is nothing to sign in with, and what could be.
fn nothing(place: &Place) -> String {
    let mut text = match (&place.profile, &place.client_id) {
        (Some((name, _)), _) => format!(
            "Nobody is signed in for the profile '{name}', and there is nothing else to sign in with: fame login --profile \
             {name}, or set FAME_CLIENT_SECRET or --client-secret-file."
        ),
        (None, None) => format!(
            "Nothing to sign in to {} with: set FAME_TOKEN to an access token, or --client-id and --tenant with the secret \
             in FAME_CLIENT_SECRET or --client-secret-file; or sign in with fame login.",
            place.host()
        ),
        (None, Some(_)) => {
            "The application's secret is missing: set FAME_CLIENT_SECRET or --client-secret-file; or sign in \
                            with fame login --client-id."
                .to_owned()
        }
    };
    for hint in pipelines::hints() {
        text = format!("{text}\n  {hint}");
    }
    text
}

/// A token in a file, which somebody else keeps fresh.
#[derive(Debug)]
struct TokenFile {
    path: PathBuf,
}

impl TokenFile {
    fn read(&self) -> Result<SecretString, Failure> {
        let text = fs::read_to_string(&self.path).map_err(|error| Failure::unreadable(&self.path, &error))?;
        check_token(&self.path.display().to_string(), text.trim())?;
        Ok(text.trim().into())
    }
}

impl TokenSource for TokenFile {
    fn fetch(&self, _: Option<AppId>) -> BoxFuture<'_, client::Result<IssuedToken>> {
        let read = self
            .read()
            .map_err(|failure| Error::NoSignIn(failure.to_string()));
        // Whether another one lies there by the next request, only the file can say.
        let life = Duration::ZERO;
        Box::pin(async move { read.map(|text| IssuedToken { text, life }) })
    }
}

/// An assertion that was made before: it is good for minutes only, and there is no other.
#[derive(Debug)]
struct Given(SecretString);

impl Assertions for Given {
    fn fetch(&self) -> BoxFuture<'_, client::Result<SecretString>> {
        Box::pin(async { Ok(self.0.clone()) })
    }
}

/// Refuses what is sure not to be a token, before the service does so in its own words.
fn check_token(place: &str, token: &str) -> Result<(), Failure> {
    let first_word = token.split_whitespace().next().unwrap_or_default();
    if first_word.eq_ignore_ascii_case("bearer") {
        return Err(Failure::Usage(format!(
            "{place} begins with 'Bearer': it is to hold the token alone."
        )));
    }
    let is_of_tokens = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    if token.is_empty() || !token.bytes().all(is_of_tokens) {
        return Err(Failure::Usage(format!(
            "{place} holds nothing, or blanks, quotes or other characters that no token has: it is to hold the token alone."
        )));
    }
    Ok(())
}

fn secret_variable(name: &str) -> Option<SecretString> {
    let text = env::var(name).ok()?;
    Some(SecretString::from(text.trim())).filter(|_| !text.trim().is_empty())
}

fn secret(file: Option<&Path>) -> Result<SecretString, Failure> {
    if let Some(path) = file {
        let text = fs::read_to_string(path).map_err(|error| Failure::unreadable(path, &error))?;
        return Ok(SecretString::from(text.trim()));
    }
    let found = SECRETS.iter().find_map(|name| secret_variable(name));
    found.ok_or_else(|| {
        let message = "The application's secret is missing: set FAME_CLIENT_SECRET or --client-secret-file.";
        Failure::NotSignedIn(message.to_owned())
    })
}
