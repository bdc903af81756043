//! The service, as this process speaks to it: with the token that it has now, in a session of its own.

use crate::{config, folder::KeptToken};
use client::{AgentClient, Client, ClientCredentials, Credentials, RetryPolicy, Settings};
use domain::{chain::Chain, loopback::is_loopback};
use reqwest::Certificate;
use std::{
    fs,
    sync::{PoisonError, RwLock},
    time::Duration,
};
use uuid::Uuid;

/// How often a request is tried again by itself; the agent's own rounds go on for ever.
const RETRIES: u32 = 2;

/// How long it is waited for a sign of life.
const REACH: Duration = Duration::from_secs(10);

/// Why the service cannot be spoken to.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The certificate authorities cannot be read.
    #[error("service.ca_file {0}")]
    Certificates(String),
    /// The secret to sign in with is not there.
    #[error("service.identity.client_secret: {0}")]
    Secret(#[from] crate::secret::NoSecret),
    /// TLS cannot be set up.
    #[error(transparent)]
    Client(#[from] client::Error),
}

/// A client of the service that signs in like this.
///
/// # Errors
/// [`ServiceError`] when it cannot be set up.
pub fn client(service: &config::Service, credentials: Credentials) -> Result<Client, ServiceError> {
    Ok(Client::new(Settings {
        url: service.url.clone(),
        api_version: String::new(),
        credentials,
        trusted: trusted(service)?,
        timeout: service.answer_within,
        retry: RetryPolicy::new(RETRIES),
    })?)
}

/// Asks whether the service is there, without a token: health is told to everybody.
///
/// # Errors
/// What was in the way, in words.
pub(crate) async fn reach(service: &config::Service) -> Result<(), String> {
    let url = &service.url;
    let none = |problem: String| format!("The service at {} does not answer: {problem}.", url.as_str());
    let trusted = trusted(service).map_err(|error| error.to_string())?;
    let mut http = reqwest::Client::builder()
        .timeout(service.answer_within.min(REACH))
        .redirect(reqwest::redirect::Policy::none())
        .tls_certs_merge(trusted);
    if url.host_str().is_some_and(is_loopback) {
        http = http.no_proxy();
    }
    let http = http.build().map_err(|error| none(Chain(&error).to_string()))?;
    let live = url.join("health/live").map_err(|error| none(error.to_string()))?;
    let answer = http.get(live).send().await;
    let answer = answer.map_err(|error| none(Chain(&error.without_url()).to_string()))?;
    match answer.status() {
        status if status.is_success() => Ok(()),
        status => Err(none(format!("/health/live says {status}"))),
    }
}

fn trusted(service: &config::Service) -> Result<Vec<Certificate>, ServiceError> {
    let Some(path) = &service.ca_file else {
        return Ok(Vec::new());
    };
    let told = |problem: String| ServiceError::Certificates(format!("{}: {problem}", path.display()));
    let pem = fs::read(path).map_err(|error| told(error.to_string()))?;
    match Certificate::from_pem_bundle(&pem) {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(told("holds no certificate in PEM form".into())),
    }
}

/// What the agent signs in with: its token, or the application that the configuration names.
///
/// # Errors
/// [`ServiceError::Secret`] when the application's secret is not there.
pub fn credentials(
    service: &config::Service,
    kept: Option<&KeptToken>,
) -> Result<Option<Credentials>, ServiceError> {
    let Some(identity) = &service.identity else {
        return Ok(kept.map(|kept| Credentials::Token(kept.token.clone())));
    };
    Ok(Some(Credentials::Client(ClientCredentials {
        token_url: identity.token_url.clone(),
        client_id: identity.client_id.clone(),
        client_secret: identity.client_secret.read()?,
        scope: identity.scope.clone(),
        user: None,
    })))
}

/// The caller that all parts of the process share.
#[derive(Debug)]
pub(crate) struct Caller {
    session: Uuid,
    current: RwLock<AgentClient>,
}

impl Caller {
    pub(crate) fn new(client: Client) -> Self {
        let session = Uuid::new_v4();
        Self {
            session,
            current: RwLock::new(AgentClient::new(client, session)),
        }
    }

    /// The agent as it signs in now.
    pub(crate) fn now(&self) -> AgentClient {
        self.current
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Signs in as `client` does from now on.
    pub(crate) fn replace(&self, client: Client) {
        let new = AgentClient::new(client, self.session);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = new;
    }
}
