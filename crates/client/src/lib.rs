//! A typed client of the App Management API, the original and the compatible one, and of the operator's, the agents' and
//! the customers' APIs.
//!
//! Each operation is a method of [`Client`] with the operation's name in `openapi.json`. It comes as a [`Request`] or
//! a [`List`] that is not sent before it is awaited, gives the shapes of [`wire`], and can be read as plain JSON where
//! the caller wants to keep what nobody here knows.
//!
//! Every request goes the same way: it is signed in, waits no longer than it was told to, is tried again where that
//! is safe, and whatever is no success becomes an [`Error`] that has lost nothing of the answer. What a gateway says in
//! the service's place is not taken for the service's word, and of a change whose answer was lost the client looks what
//! became of it. A token or a secret goes to a [`SecureUrl`] and follows neither redirects nor links to somebody else.

mod address;
mod agent;
mod challenge;
mod customer;
mod error;
mod events;
mod exchange;
mod issuer;
mod list;
mod operator;
mod package;
mod proxy;
mod request;
mod retry;
mod settle;
mod token;
mod upload;
mod vendor;

pub use address::{InsecureUrl, SecureUrl, literal};
pub use agent::AgentClient;
pub use challenge::Challenge;
pub use customer::OwnEnvironment;
pub use error::{Error, Refusal, Result};
pub use events::{EventStream, From as EventsFrom, ToldEvent};
pub use exchange::Parts;
pub use issuer::Issuers;
pub use list::{List, Query};
pub use operator::EnvironmentPath;
pub use package::{PackageFacts, PackageStream, StoredPackage};
pub use request::{Answer, Request};
pub use retry::{Pauses, Retry, RetryPolicy, Tries, spread};
pub use token::{Assertions, ClientCredentials, Credentials, IssuedToken, Proof, TokenSource, claims};
pub use upload::Upload;
pub use vendor::{Narrowing, RolloutVerb};

use bytes::Bytes;
use domain::ids::AppId;
use error::is_distrust;
use issuer::{MAX_CONNECT, connections};
use proxy::Proxies;
use request::{Arrival, ArrivedBody, Call, Reads};
use reqwest::{Certificate, Method, Response, StatusCode, Url, header::AUTHORIZATION};
use settle::Wish;
use std::{collections::HashMap, fmt, sync::Arc, time::Duration};
use token::{Fetched, Token};
use tokio::sync::Mutex;
use upload::Sent;

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
            Credentials::Nobody | Credentials::Token(_) | Credentials::Source(_) => None,
            Credentials::Client(client) => Some(&client.token_url),
        };
        [&self.url].into_iter().chain(issuer)
    }
}

/// A caller of a service. Clones share its connections and its token.
#[derive(Clone)]
pub struct Client(Arc<Shared>);

struct Shared {
    settings: Settings,
    http: reqwest::Client,
    proxies: Arc<Proxies>,
    issuers: Issuers,
    /// The tokens that are good for now, each by the app that it is for.
    fetched: Mutex<HashMap<Option<AppId>, Fetched>>,
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
        let proxies = Arc::new(Proxies::from_env());
        let addresses: Vec<&SecureUrl> = settings.addresses().collect();
        let connect_within = settings.timeout.min(MAX_CONNECT);
        let http = connections(&addresses, &settings.trusted, &proxies, connect_within)?;
        let is_direct = addresses.iter().all(|url| url.is_local());
        let issuers = Issuers::of(
            http.clone(),
            Arc::clone(&proxies),
            is_direct,
            settings.retry.clone(),
        );
        Ok(Self(Arc::new(Shared {
            http,
            proxies,
            issuers,
            fetched: Mutex::default(),
            settings,
        })))
    }

    /// Fetches a token now rather than with the first request.
    ///
    /// # Errors
    /// [`Error::SignInRefused`], and those of an issuer that is out of reach.
    pub async fn sign_in(&self) -> Result<()> {
        self.token(None).await.map(drop)
    }

    /// The address of something in the vendor API: `apps`, then an id, and so on.
    fn vendor(&self, segments: &[&str]) -> Url {
        let Settings { url, api_version, .. } = &self.0.settings;
        url.below(&[&[api_version.as_str()], segments].concat())
    }

    /// The app that an address of the vendor API is about, if it is about one.
    fn app_of(&self, url: &Url) -> Option<AppId> {
        let apps = self.vendor(&["apps"]);
        let rest = url.path().strip_prefix(apps.path())?.strip_prefix('/')?;
        rest.split('/').next()?.parse().ok()
    }

    /// The address of something in the operator API.
    fn operator(&self, segments: &[&str]) -> Url {
        self.below(&[&["operator", "v1"], segments].concat())
    }

    fn below(&self, segments: &[&str]) -> Url {
        self.0.settings.url.below(segments)
    }

    /// Sends `call` until it is answered, and finds out what became of a change whose answer was lost.
    async fn send(&self, call: &Call) -> Result<Arrival> {
        let mut is_open = false;
        match self.repeat(call, &mut is_open).await {
            Err(error) if is_open => self.settle(call, error).await,
            ended => ended,
        }
    }

    /// Sends `call` until it is answered or no further try would help. `is_open` is set by a try that may have been
    /// carried out though no answer to it arrived.
    async fn repeat(&self, call: &Call, is_open: &mut bool) -> Result<Arrival> {
        let mut tries = self.0.settings.retry.tries();
        let mut has_renewed = false;
        let app = self.app_of(&call.url);
        loop {
            let token = self.token(app).await?;
            let is_renewable = !has_renewed && token.as_ref().is_some_and(|token| token.is_renewable);
            let mut error = match self.attempt(call, token).await {
                Ok(arrival) => return Ok(arrival),
                Err(error) => error,
            };
            if is_renewable && error.refusal(StatusCode::UNAUTHORIZED).is_some() {
                self.forget_token(app).await;
                has_renewed = true;
                continue;
            }
            if let Error::Refused(refusal) = &mut error {
                refusal.follows_open_try = *is_open;
            }
            *is_open |= error.leaves_open();
            if !call.is_worth_repeating(&error) {
                return Err(error);
            }
            let asked = error.retry_after();
            tries.pause_or(error, asked).await?;
        }
    }

    /// One try.
    async fn attempt(&self, call: &Call, token: Option<Token>) -> Result<Arrival> {
        let Shared { settings, http, .. } = &*self.0;
        let sent = Sent::default();
        let mut request = call.build(http, &sent)?;
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, token.bearer()?);
        }
        let answer = tokio::select! {
            answer = request.send() => answer.map_err(|source| self.broken(source))?,
            () = sent.stalled(settings.timeout + call.patience) => return Err(self.no_answer(call)),
        };
        let (status, headers) = (answer.status(), answer.headers().clone());
        if !status.is_success() || !call.is_answered_by(&headers) {
            let (refusal, is_ours) = Refusal::read(&call.method, answer, settings.timeout).await;
            let refusal = Box::new(refusal);
            return Err(match is_ours && !status.is_success() {
                true => Error::Refused(refusal),
                false => Error::Gateway(refusal),
            });
        }
        let body = match call.reads {
            Reads::Package => ArrivedBody::Arriving(answer),
            Reads::Json | Reads::Text => ArrivedBody::Whole(self.read_all(answer, call).await?),
        };
        Ok(Arrival {
            status,
            headers,
            body,
        })
    }

    /// What became of a change whose answer was lost: what is there now, if that is what was wished for; else `error`.
    async fn settle(&self, call: &Call, error: Error) -> Result<Arrival> {
        let Some(wish) = call.wish() else {
            return Err(error);
        };
        let is_gone = |error: &Error| error.refusal(StatusCode::NOT_FOUND).is_some();
        if matches!(wish, Wish::Gone) && is_gone(&error) {
            return Ok(Arrival::nothing());
        }
        let look = Call::new(Method::GET, call.url.clone());
        match (wish, self.repeat(&look, &mut false).await) {
            (Wish::Gone, Err(now)) if is_gone(&now) => Ok(Arrival::nothing()),
            (Wish::Shown(wish), Ok(now)) if wish.is_shown_by(now.whole()) => Ok(now),
            _ => Err(error),
        }
    }

    fn host(&self) -> String {
        self.0.settings.url.authority().to_owned()
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
            true => self.unreachable(host, source),
            false => Error::Interrupted { host, source },
        }
    }

    /// What keeps a connection to the service from coming about.
    fn unreachable(&self, host: String, source: reqwest::Error) -> Error {
        let Shared {
            settings, proxies, ..
        } = &*self.0;
        let is_direct = settings.addresses().all(SecureUrl::is_local);
        match proxies.before(&settings.url).filter(|_| !is_direct) {
            Some(proxy) => Error::ProxyUnreachable { proxy, host, source },
            None => Error::Unreachable { host, source },
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
