//! What can go wrong between here and the service, each kind a variant that callers can act on.

use crate::retry::leaves_open;
use reqwest::{
    Method, Response, StatusCode, Url,
    header::{CONTENT_TYPE, HeaderMap},
};
use serde_json::{Map, Value};
use std::{fmt, io, path::PathBuf, str::FromStr, time::Duration};
use wire::error::{ErrorBody, ErrorDetail};

/// What came of a request.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a request did not come to what was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The service answered, and the answer was no.
    #[error("{0}")]
    Refused(Box<Refusal>),
    /// Something on the way answered in the service's place: the answer lacks the id of the service's log, or is no JSON.
    /// Whether the request reached the service is not known.
    #[error("{0}; that is no answer of the service, but of something before it")]
    Gateway(Box<Refusal>),
    /// There is no connection to the service.
    #[error("{host} cannot be reached")]
    Unreachable {
        /// Where it should be, with the port where it is not the usual one; so for every `host` here.
        host: String,
        /// What the network said.
        source: reqwest::Error,
    },
    /// Whoever answers there cannot prove to be who was meant, or does not speak TLS; trying again would not help.
    #[error("{host} cannot be trusted")]
    Untrusted {
        /// Who was meant.
        host: String,
        /// What is wrong with what it showed.
        source: reqwest::Error,
    },
    /// The proxy on the way cannot be reached, or does not let through.
    #[error("The proxy {proxy} cannot be reached, or does not let through to {host}")]
    ProxyUnreachable {
        /// The proxy's address.
        proxy: String,
        /// Who is behind it.
        host: String,
        /// What the network said.
        source: reqwest::Error,
    },
    /// The connection was lost before the answer was complete.
    #[error("{host} broke the connection")]
    Interrupted {
        /// Who it was to.
        host: String,
        /// What the network said.
        source: reqwest::Error,
    },
    /// The request arrived, or stopped on its way, and nothing came back.
    #[error("{host} did not answer for {} s", after.as_secs_f32())]
    NoAnswer {
        /// Who was asked.
        host: String,
        /// How long nothing moved.
        after: Duration,
        /// What was asked: method and path.
        request: String,
    },
    /// The answer began, and nothing followed for too long.
    #[error("{host} stopped in the middle of its answer")]
    Stalled {
        /// Who was answering.
        host: String,
    },
    /// The token issuer cannot be reached.
    #[error("The token issuer at {issuer} cannot be reached")]
    IssuerUnreachable {
        /// Its address.
        issuer: String,
        /// What the network said.
        source: reqwest::Error,
    },
    /// The token issuer's answer was cut off.
    #[error("The answer of the token issuer at {issuer} broke off")]
    IssuerInterrupted {
        /// Its address.
        issuer: String,
        /// What the network said.
        source: reqwest::Error,
    },
    /// The token issuer cannot issue tokens at the moment.
    #[error("The token issuer at {issuer} answered {status}")]
    IssuerUnavailable {
        /// Its address.
        issuer: String,
        /// What it answered.
        status: StatusCode,
    },
    /// The token issuer does not let the caller in.
    #[error("The token issuer at {issuer} refused to sign in: {}", format!("{status} {code} {description}").trim_end())]
    SignInRefused {
        /// Its address.
        issuer: String,
        /// What it answered.
        status: StatusCode,
        /// OAuth's code, such as `invalid_client`; empty when it gave none.
        code: String,
        /// Its reason in words; empty when it gave none.
        description: String,
    },
    /// The token issuer answered without a token.
    #[error("The token issuer's answer holds no access token")]
    NoToken,
    /// Who was to give a token, or what an application proves itself with, gave none.
    #[error("{0}")]
    NoSignIn(String),
    /// The token that an application proves itself with is not there.
    #[error("The client assertion in {} cannot be read", path.display())]
    NoAssertion {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// What was given as a token cannot be sent as one.
    #[error("The access token is not a token: it has odd characters")]
    InvalidToken,
    /// The answer is a success, and not what the API promises.
    #[error("The answer to {request} cannot be read")]
    Unreadable {
        /// What was asked: method and path.
        request: String,
        /// The id under which the service logged the request, if it named one.
        correlation_id: Option<String>,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// The answer is longer than any such answer is, and was not read to its end.
    #[error("The answer to {request} is longer than {most} bytes: not read any further")]
    TooLong {
        /// What was asked: method and path.
        request: String,
        /// How long it may be, in bytes.
        most: usize,
    },
    /// The next page of a list is said to be with somebody else, who must not see the token.
    #[error("The next page is said to be at {origin}, which is another service: not followed")]
    ForeignLink {
        /// Where the page is said to be.
        origin: String,
    },
    /// The next page of a list is nowhere.
    #[error("The link to the next page is no address")]
    InvalidLink(#[source] <Url as FromStr>::Err),
    /// A value given by the caller cannot stand in a header.
    #[error("'{value}' cannot be sent as {name}")]
    InvalidHeader {
        /// The header.
        name: &'static str,
        /// What should have stood there.
        value: String,
    },
    /// The body of a request cannot be written as JSON.
    #[error("The request cannot be written as JSON")]
    Unwritable(#[source] serde_json::Error),
    /// The package to upload cannot be read.
    #[error("Cannot read {}", path.display())]
    File {
        /// The package.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The bytes that arrived are not those that were stored.
    #[error("The package arrived damaged: its SHA-256 should be {expected} and is {actual}")]
    Damaged {
        /// The digest that the service named.
        expected: String,
        /// That of what arrived.
        actual: String,
    },
    /// The answer is a success without a package.
    #[error("The answer to {request} holds no package")]
    NoPackage {
        /// What was asked: method and path.
        request: String,
    },
    /// TLS cannot be set up on this machine.
    #[error("TLS cannot be set up")]
    Tls(#[source] reqwest::Error),
}

impl Error {
    /// The service's answer, if it gave one of this status.
    #[must_use]
    pub fn refusal(&self, status: StatusCode) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) if refusal.status == status => Some(refusal),
            _ => None,
        }
    }

    /// Whether nothing is wrong with the request, so that it may be answered another time.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        match self {
            Self::Refused(refusal) => matches!(refusal.status.as_u16(), 408 | 429 | 500..=599),
            Self::Gateway(_)
            | Self::Unreachable { .. }
            | Self::Untrusted { .. }
            | Self::ProxyUnreachable { .. }
            | Self::Interrupted { .. }
            | Self::NoAnswer { .. }
            | Self::Stalled { .. }
            | Self::IssuerUnreachable { .. }
            | Self::IssuerInterrupted { .. }
            | Self::IssuerUnavailable { .. }
            | Self::Damaged { .. } => true,
            _ => false,
        }
    }

    /// Whether the try that ended so may have been carried out all the same.
    pub(crate) fn leaves_open(&self) -> bool {
        match self {
            Self::Refused(refusal) => refusal.leaves_open() || leaves_open(refusal.status),
            Self::Gateway(_) | Self::Interrupted { .. } | Self::NoAnswer { .. } | Self::Stalled { .. } => {
                true
            }
            _ => false,
        }
    }

    /// Whether the request may have been carried out all the same, be it by an earlier try.
    #[must_use]
    pub fn is_open(&self) -> bool {
        let follows_open_try = matches!(self, Self::Refused(refusal) if refusal.follows_open_try);
        self.leaves_open() || follows_open_try
    }

    /// Whether whoever answers there speaks no TLS, though https was meant.
    #[must_use]
    pub fn is_plain_http(&self) -> bool {
        matches!(self, Self::Untrusted { source, .. } if speaks_no_tls(source))
    }

    /// How long whoever answered asks to be left alone.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused(answer) | Self::Gateway(answer) => answer.retry_after,
            _ => None,
        }
    }

    /// The innermost cause: what the network, the system or the reader said first.
    #[must_use]
    pub fn cause(&self) -> Option<&(dyn std::error::Error + 'static)> {
        let outermost = std::error::Error::source(self)?;
        std::iter::successors(Some(outermost), |error| error.source()).last()
    }
}

/// An answer of the service that is no success, with everything it said: the reader's only other source is the
/// service's log.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// The HTTP status.
    pub status: StatusCode,
    /// What was asked: method and path.
    pub request: String,
    /// The body, as far as it is of the documented shape.
    pub body: ErrorBody,
    /// The body as it came, up to 4,000 characters; what matters where it is a gateway's page.
    pub text: String,
    /// How long the service asks to be left alone.
    pub retry_after: Option<Duration>,
    /// Where the service sends callers on to.
    pub location: Option<String>,
    /// How the service wants callers to sign in: its `WWW-Authenticate`.
    pub challenge: Option<String>,
    /// The id under which the service logged the request.
    pub correlation_id: Option<String>,
    /// Whether an earlier try of the same request may have been carried out, so that this may be an answer to its effect.
    pub follows_open_try: bool,
}

/// Most characters kept of an answer's text.
const MAX_TEXT_CHARS: usize = 4_000;
/// Most bytes read of an answer that says no, or of one that holds a token.
const MAX_SHORT_BYTES: usize = 1 << 20;

/// The body of an answer that has every reason to be short: what comes after so much is not read.
pub(crate) async fn read_short(mut answer: Response) -> reqwest::Result<Vec<u8>> {
    let mut body = Vec::new();
    while body.len() < MAX_SHORT_BYTES
        && let Some(chunk) = answer.chunk().await?
    {
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

impl Refusal {
    /// An answer of which only the status and the headers have arrived.
    fn of_head(request: String, status: StatusCode, headers: &HeaderMap) -> Self {
        Self {
            status,
            request,
            body: ErrorBody::default(),
            text: "The rest of the answer did not arrive.".to_owned(),
            retry_after: retry_after(headers),
            location: header(headers, "location"),
            challenge: header(headers, "www-authenticate"),
            correlation_id: header(headers, "ms-correlation-x"),
            follows_open_try: false,
        }
    }

    /// Reads an answer, waiting no longer than `timeout` for its body; whether it is the service's.
    pub(crate) async fn read(method: &Method, answer: Response, timeout: Duration) -> (Self, bool) {
        let request = format!("{method} {}", answer.url().path());
        let is_ours = is_marked(answer.headers()) && is_json(answer.headers());
        let mut refusal = Self::of_head(request, answer.status(), answer.headers());
        if let Ok(body) = tokio::time::timeout(timeout, read_short(answer)).await {
            let body = body.unwrap_or_default();
            let text = String::from_utf8_lossy(&body);
            refusal.body = serde_json::from_slice(&body).unwrap_or_default();
            refusal.text = text.trim().chars().take(MAX_TEXT_CHARS).collect();
        }
        let inner = refusal.body.error.innererror.as_ref();
        let logged = inner.and_then(|inner| inner.correlation_id);
        refusal.correlation_id = refusal.correlation_id.or(logged.map(|id| id.to_string()));
        (refusal, is_ours)
    }

    /// The stable code; empty when the answer had none.
    #[must_use]
    pub fn code(&self) -> &str {
        self.body.code()
    }

    /// The message, or whatever text was there instead.
    #[must_use]
    pub fn message(&self) -> &str {
        match self.body.message() {
            "" => &self.text,
            message => message,
        }
    }

    /// The property, query option or resource that it is about.
    #[must_use]
    pub fn target(&self) -> Option<&str> {
        self.body.error.target.as_deref().or(self.body.target.as_deref())
    }

    /// The single reasons.
    #[must_use]
    pub fn details(&self) -> &[ErrorDetail] {
        &self.body.error.details
    }

    /// Facts for programs, such as `sha256`, from wherever the service put them.
    #[must_use]
    pub fn facts(&self) -> Map<String, Value> {
        let mut facts = self.body.extension_data.clone();
        let inner = self.body.error.innererror.iter();
        facts.extend(inner.flat_map(|inner| inner.extension_data.clone()));
        facts
    }

    /// Whether the service says that it does not know whether the request was carried out.
    #[must_use]
    pub fn leaves_open(&self) -> bool {
        self.details().iter().any(|detail| detail.code == "ChangeInDoubt")
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} was answered {}", self.request, self.status)?;
        for part in [self.code(), self.message()] {
            if !part.is_empty() {
                write!(f, ": {part}")?;
            }
        }
        Ok(())
    }
}

/// Whether a connection did not come about because of what TLS saw.
pub(crate) fn is_distrust(error: &reqwest::Error) -> bool {
    let outermost: &(dyn std::error::Error + 'static) = error;
    let mut causes = std::iter::successors(Some(outermost), |error| error.source());
    error.is_connect() && causes.any(|cause| innermost(cause).is::<rustls::Error>())
}

/// Whether a connection did not come about because whoever answers there speaks no TLS, but as it seems plain http.
#[must_use]
fn speaks_no_tls(error: &reqwest::Error) -> bool {
    let outermost: &(dyn std::error::Error + 'static) = error;
    let mut causes = std::iter::successors(Some(outermost), |error| error.source());
    causes.any(|cause| {
        let told = innermost(cause).downcast_ref::<rustls::Error>();
        matches!(
            told,
            Some(rustls::Error::InvalidMessage(
                rustls::InvalidMessage::InvalidContentType
            ))
        )
    })
}

/// What an I/O error was made of, which is not among its sources.
fn innermost<'e>(mut error: &'e (dyn std::error::Error + 'static)) -> &'e (dyn std::error::Error + 'static) {
    while let Some(inner) = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        error = inner;
    }
    error
}

/// Whether an answer bears the id under which the service logged the request, as all of its answers do.
pub(crate) fn is_marked(headers: &HeaderMap) -> bool {
    headers.contains_key("ms-correlation-x")
}

/// Whether an answer says that it is JSON.
pub(crate) fn is_json(headers: &HeaderMap) -> bool {
    let kind = header(headers, CONTENT_TYPE.as_str()).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json") || essence.ends_with("+json")
}

/// The text of a header, if it is there and is text.
pub(crate) fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    let value = headers.get(name)?.to_str().ok()?;
    Some(value.trim().to_owned())
}

/// How long an answer asks to be left alone.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = header(headers, "retry-after")?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}
