//! A typed client of the App Management API, the original and the compatible one, and of the operator's, the agents' and
//! the customers' APIs.
//!
//! Each operation is a method of [`Client`] with the operation's name in `openapi.json`. It comes as a [`Request`] or
//! a [`List`] that is not sent before it is awaited, gives the shapes of [`wire`], and can be read as plain JSON where
//! the caller wants to keep what nobody here knows.
//!
//! Every request goes the same way: it is signed in, waits no longer than it was told to, is tried again where that
//! is safe, and whatever is no success becomes an [`Error`] that has lost nothing of the answer. A token or a secret
//! goes to a [`SecureUrl`] and follows neither redirects nor links to somebody else.

mod address;
mod agent;
mod challenge;
mod customer;
mod error;
mod list;
mod operator;
mod package;
mod request;
mod retry;
mod token;
mod upload;
mod vendor;

pub use address::{InsecureUrl, SecureUrl, literal};
pub use agent::AgentClient;
pub use challenge::Challenge;
pub use customer::OwnEnvironment;
pub use error::{Error, Refusal, Result};
pub use list::{List, Query};
pub use operator::EnvironmentPath;
pub use package::{PackageFacts, PackageStream, StoredPackage};
pub use request::{Answer, Request};
pub use retry::{Retry, RetryPolicy, spread};
pub use token::{ClientCredentials, Credentials, Proof};
pub use upload::Upload;
pub use vendor::Narrowing;

use bytes::Bytes;
use error::is_distrust;
use request::Call;
use reqwest::{Certificate, Response, StatusCode, Url, header::AUTHORIZATION, redirect};
use std::{fmt, sync::Arc, time::Duration};
use token::Fetched;
use tokio::sync::Mutex;
use upload::Sent;

/// The longest that a connection may take to come about.
const MAX_CONNECT: Duration = Duration::from_secs(30);

/// What a client is made of.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The service's root.
    pub url: SecureUrl,
    /// The version of the API, as it stands in addresses: `v1.4`.
    pub api_version: String,
    /// Who is calling.
    pub credentials: Credentials,
    /// Certificate authorities to trust besides the system's.
    pub trusted: Vec<Certificate>,
    /// How long an answer, or progress in a transfer, may take.
    pub timeout: Duration,
    /// How often to try again, and who hears of it.
    pub retry: RetryPolicy,
}

impl Settings {
    fn addresses(&self) -> impl Iterator<Item = &SecureUrl> {
        let issuer = match &self.credentials {
            Credentials::Nobody | Credentials::Token(_) => None,
            Credentials::Client(client) => Some(&client.token_url),
        };
        [&self.url].into_iter().chain(issuer)
    }

    fn connections(&self) -> Result<reqwest::Client> {
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("fame/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(self.timeout.min(MAX_CONNECT))
            // A token must not follow a redirect to somewhere else.
            .redirect(redirect::Policy::none());
        if self.addresses().all(SecureUrl::is_local) {
            builder = builder.no_proxy();
        }
        let trusted = self.trusted.clone();
        builder = match self.addresses().any(|url| url.scheme() == "https") {
            true => builder.tls_certs_merge(trusted),
            // Where nothing is encrypted, a machine without any certificate authorities will do.
            false => builder.tls_certs_only(trusted),
        };
        builder.build().map_err(Error::Tls)
    }
}

/// A caller of a service. Clones share its connections and its token.
#[derive(Clone)]
pub struct Client(Arc<Shared>);

struct Shared {
    settings: Settings,
    http: reqwest::Client,
    fetched: Mutex<Option<Fetched>>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Client({})", self.0.settings.url.as_str())
    }
}

impl Client {
    /// A client for the service that `settings` name. Nothing is sent yet.
    ///
    /// # Errors
    /// [`Error::Tls`] when TLS cannot be set up.
    pub fn new(settings: Settings) -> Result<Self> {
        Ok(Self(Arc::new(Shared {
            http: settings.connections()?,
            fetched: Mutex::default(),
            settings,
        })))
    }

    /// Fetches a token now rather than with the first request.
    ///
    /// # Errors
    /// [`Error::SignInRefused`], and those of an issuer that is out of reach.
    pub async fn sign_in(&self) -> Result<()> {
        self.token().await.map(drop)
    }

    /// The address of something in the vendor API: `apps`, then an id, and so on.
    fn vendor(&self, segments: &[&str]) -> Url {
        let Settings { url, api_version, .. } = &self.0.settings;
        url.below(&[&[api_version.as_str()], segments].concat())
    }

    /// The address of something in the operator API.
    fn operator(&self, segments: &[&str]) -> Url {
        self.below(&[&["operator", "v1"], segments].concat())
    }

    fn below(&self, segments: &[&str]) -> Url {
        self.0.settings.url.below(segments)
    }

    /// Sends `call` and returns the answer, its body unread.
    async fn send(&self, call: &Call) -> Result<Response> {
        let Shared { settings, http, .. } = &*self.0;
        let mut tries = settings.retry.tries();
        let mut has_renewed = false;
        loop {
            let token = self.token().await?;
            let sent = Sent::default();
            let mut request = call.build(http, &sent)?;
            if let Some(token) = &token {
                request = request.header(AUTHORIZATION, token.bearer()?);
            }
            let patience = settings.timeout + call.patience;
            let answer = tokio::select! {
                answer = request.send() => answer,
                () = sent.stalled(patience) => {
                    let error = self.no_answer(call);
                    if !call.is_repeatable {
                        return Err(error);
                    }
                    tries.pause_or(error, None).await?;
                    continue;
                }
            };
            match answer {
                Ok(answer) if answer.status().is_success() => return Ok(answer),
                Ok(answer)
                    if answer.status() == StatusCode::UNAUTHORIZED
                        && token.as_ref().is_some_and(|token| token.is_renewable)
                        && !has_renewed =>
                {
                    self.forget_token().await;
                    has_renewed = true;
                }
                Ok(answer) => {
                    let refusal = Refusal::read(&call.method, answer, settings.timeout).await;
                    let (again, asked) = (call.is_worth_repeating(&refusal), refusal.retry_after);
                    let error = Error::Refused(Box::new(refusal));
                    if !again {
                        return Err(error);
                    }
                    tries.pause_or(error, asked).await?;
                }
                Err(source) => {
                    let again = (source.is_connect() || call.is_repeatable) && !is_distrust(&source);
                    let error = self.broken(source);
                    if !again {
                        return Err(error);
                    }
                    tries.pause_or(error, None).await?;
                }
            }
        }
    }

    fn host(&self) -> String {
        self.0.settings.url.host_str().unwrap_or_default().to_owned()
    }

    fn no_answer(&self, call: &Call) -> Error {
        Error::NoAnswer {
            host: self.host(),
            after: self.0.settings.timeout + call.patience,
            request: call.line(),
        }
    }

    fn broken(&self, source: reqwest::Error) -> Error {
        let host = self.host();
        match source.is_connect() {
            _ if is_distrust(&source) => Error::Untrusted { host, source },
            true => Error::Unreachable { host, source },
            false => Error::Interrupted { host, source },
        }
    }

    /// The whole body of an answer to `call`, which is not read beyond what such an answer can have.
    async fn read_all(&self, mut answer: Response, call: &Call) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        while let Some(chunk) = self.next_chunk(&mut answer).await? {
            if body.len() + chunk.len() > call.answer_bytes {
                return Err(Error::TooLong {
                    request: call.line(),
                    most: call.answer_bytes,
                });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    /// The next bytes of an answer's body; none at its end.
    async fn next_chunk(&self, answer: &mut Response) -> Result<Option<Bytes>> {
        match tokio::time::timeout(self.0.settings.timeout, answer.chunk()).await {
            Ok(chunk) => chunk.map_err(|source| self.broken(source)),
            Err(_) => Err(Error::Stalled { host: self.host() }),
        }
    }
}
