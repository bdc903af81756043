//! Why a command could not do what it was asked to, and which exit code that is.

use crate::exit::Exit;
use reqwest::{Method, Response, StatusCode, Url, header::HeaderMap};
use serde_json::{Map, Value};
use std::{fmt, io, path::Path, time::Duration};
use wire::error::{ErrorBody, ErrorDetail};

/// Why a command ended early.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The command line or a setting is wrong.
    #[error("{0}")]
    Usage(String),
    /// Nobody is signed in, or the sign-in was refused.
    #[error("{0}")]
    NotSignedIn(String),
    /// The service answered, and the answer was no.
    #[error("{0}")]
    Refused(Box<Refusal>),
    /// The service did not answer, or its answer broke off.
    #[error("{0}")]
    Unavailable(String),
    /// What was asked about is not there.
    #[error("{0}")]
    NotFound(String),
    /// A rule of this command, checked before anything was sent.
    #[error("{0}")]
    Rule(String),
    /// The package is unfit, with a stable code.
    #[error("{file}: {code}: {message}")]
    Package {
        /// The file, as it was named.
        file: String,
        /// The stable code of the fault.
        code: String,
        /// What is wrong.
        message: String,
    },
    /// The version is there already, with other bytes.
    #[error("{0}")]
    DifferentContent(String),
    /// Something on this machine went wrong.
    #[error("{what}: {source}")]
    Io {
        /// What was being done to what.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// Anything else.
    #[error("{0}")]
    Unexpected(String),
}

impl Failure {
    /// `source` happened while `doing` something with the file at `path`.
    pub fn file(doing: &str, path: &Path, source: io::Error) -> Self {
        let what = format!("Cannot {doing} {}", path.display());
        Self::Io { what, source }
    }

    /// The exit code that stands for it.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) => Exit::Usage,
            Self::NotSignedIn(_) => Exit::NotAllowed,
            Self::Refused(refusal) => refusal.exit(),
            Self::Unavailable(_) => Exit::Unavailable,
            Self::NotFound(_) => Exit::NotFound,
            Self::Rule(_) => Exit::Refused,
            Self::Package { .. } => Exit::PackageRefused,
            Self::DifferentContent(_) => Exit::DifferentContent,
            Self::Io { .. } | Self::Unexpected(_) => Exit::Unexpected,
        }
    }

    /// The service's answer, if it gave one of this status.
    pub fn refusal(&self, status: StatusCode) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) if refusal.status == status => Some(refusal),
            _ => None,
        }
    }

    /// Whether whoever reads our output has gone away; there is nobody left to complain to.
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::BrokenPipe)
    }
}

impl From<io::Error> for Failure {
    fn from(source: io::Error) -> Self {
        let what = "Cannot write the output".to_owned();
        Self::Io { what, source }
    }
}

/// An answer of the service that is no success, with everything it said: no word of it is dropped, because the
/// reader's only other source is the service's log.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// The HTTP status.
    pub status: StatusCode,
    /// The stable code; empty when the answer had none.
    pub code: String,
    /// The message, or whatever text was there instead.
    pub message: String,
    /// Facts for programs, such as `sha256`.
    pub facts: Map<String, Value>,
    /// How long the service asks to be left alone.
    pub retry_after: Option<Duration>,
    request: String,
    target: Option<String>,
    details: Vec<ErrorDetail>,
    correlation: Option<String>,
}

/// Most characters shown of an answer that is not of the documented shape, such as a gateway's HTML page.
const STRANGE_ANSWER_CHARS: usize = 4_000;

impl Refusal {
    /// Whether the service says that it does not know whether the request was carried out.
    pub fn leaves_in_doubt(&self) -> bool {
        self.details.iter().any(|detail| detail.code == "ChangeInDoubt")
    }

    /// Reads an answer to `method`.
    pub async fn read(method: &Method, answer: Response) -> Self {
        let (status, url) = (answer.status(), answer.url().clone());
        let correlation = header(answer.headers(), "ms-correlation-x");
        let retry_after = header(answer.headers(), "retry-after").and_then(|text| text.parse().ok());
        let location = header(answer.headers(), "location");
        let text = answer.text().await.unwrap_or_default();
        let body: ErrorBody = serde_json::from_str(&text).unwrap_or_default();
        let message = match (body.message(), location) {
            ("", Some(elsewhere)) => format!("The service sends callers on to {elsewhere}; check --url."),
            ("", None) => text.trim().chars().take(STRANGE_ANSWER_CHARS).collect(),
            (message, _) => message.to_owned(),
        };
        let mut facts = body.extension_data.clone();
        let inner = body.error.innererror.clone().unwrap_or_default();
        facts.extend(inner.extension_data);
        Self {
            status,
            code: body.code().to_owned(),
            message,
            facts,
            retry_after: retry_after.map(Duration::from_secs),
            request: format!("{method} {}", url.path()),
            target: body.error.target.or(body.target),
            details: body.error.details,
            correlation: correlation.or(inner.correlation_id.map(|id| id.to_string())),
        }
    }

    /// An answer of which only the status arrived.
    pub fn without_body(method: &Method, url: &Url, status: StatusCode) -> Self {
        Self {
            status,
            code: String::new(),
            message: "The rest of the answer did not arrive.".to_owned(),
            facts: Map::new(),
            retry_after: None,
            request: format!("{method} {}", url.path()),
            target: None,
            details: Vec::new(),
            correlation: None,
        }
    }

    fn exit(&self) -> Exit {
        match self.status.as_u16() {
            401 | 403 => Exit::NotAllowed,
            404 => Exit::NotFound,
            408 | 429 | 500..=599 => Exit::Unavailable,
            400..=499 => Exit::Refused,
            _ => Exit::Unexpected,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.status)?;
        if !self.code.is_empty() {
            write!(f, " {}", self.code)?;
        }
        if !self.message.is_empty() {
            write!(f, ": {}", self.message)?;
        }
        for detail in &self.details {
            write!(f, "\n  {}", detail.code)?;
            if detail.message != self.message {
                write!(f, ": {}", detail.message)?;
            }
            if let Some(target) = &detail.target {
                write!(f, " ({target})")?;
            }
        }
        for (name, value) in &self.facts {
            write!(f, "\n  {name}: {}", crate::output::cell(value))?;
        }
        if let Some(target) = &self.target {
            write!(f, "\n  target: {target}")?;
        }
        write!(f, "\n  request: {}", self.request)?;
        if let Some(correlation) = &self.correlation {
            write!(f, "\n  ms-correlation-x: {correlation}")?;
        }
        Ok(())
    }
}

/// The text of a header, if it is there and is text.
pub fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    let value = headers.get(name)?.to_str().ok()?;
    Some(value.trim().to_owned())
}
