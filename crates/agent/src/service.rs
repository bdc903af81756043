//! The service, as this process speaks to it: with the token that it has now, in a session of its own.

use crate::{config, folder::KeptToken, status::Status};
use client::{AgentClient, Client, ClientCredentials, Credentials, RetryPolicy, Settings};
use reqwest::Certificate;
use std::{
    fs,
    sync::{Arc, PoisonError, RwLock},
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
    #[error("service.identity: {0}")]
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
    Ok(Client::new(settings(service, credentials)?)?)
}

/// Asks whether the service is there, without a token: health is told to everybody.
///
/// # Errors
/// [`ServiceError`] with what was in the way.
pub(crate) async fn reach(service: &config::Service) -> Result<(), ServiceError> {
    let nobody = Settings {
        timeout: service.answer_within.min(REACH),
        retry: RetryPolicy::new(0),
        ..settings(service, Credentials::Nobody)?
    };
    Client::new(nobody)?.get_live().await?;
    Ok(())
}

fn settings(service: &config::Service, credentials: Credentials) -> Result<Settings, ServiceError> {
    Ok(Settings {
        url: service.url.clone(),
        api_version: String::new(),
        credentials,
        trusted: trusted(service)?,
        timeout: service.answer_within,
        retry: RetryPolicy::new(RETRIES),
    })
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
        proof: identity.proof.read()?,
        scope: identity.scope.clone(),
        user: None,
    })))
}

/// The caller that all parts of the process share.
#[derive(Debug)]
pub(crate) struct Caller {
    session: Uuid,
    status: Arc<Status>,
    current: RwLock<AgentClient>,
}

impl Caller {
    pub(crate) fn new(client: Client, status: Arc<Status>) -> Self {
        let session = Uuid::new_v4();
        Self {
            session,
            status,
            current: RwLock::new(AgentClient::new(client, session)),
        }
    }

    /// The agent as it signs in now, and as it is now.
    pub(crate) fn now(&self) -> AgentClient {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.clone().ready(self.status.can_work())
    }

    /// Signs in as `client` does from now on.
    pub(crate) fn replace(&self, client: Client) {
        let new = AgentClient::new(client, self.session);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = new;
    }
}
