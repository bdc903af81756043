//! Why a command could not do what it was asked to, and which exit code that is.

use crate::{
    exit::Exit,
    output::{Printer, Unwritten},
    sign_in::hints,
};
use client::{Error, Refusal};
use domain::{chain::Chain, loopback::is_loopback};
use reqwest::StatusCode;
use serde_json::{Map, Value, json};
use std::{fmt::Write, io, path::Path};

/// Why a command ended early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The command line or a setting is wrong.
    #[error("{0}")]
    Usage(String),
    /// There is nothing to sign in with.
    #[error("{0}")]
    NotSignedIn(String),
    /// What the caller may not do, found out before anything was changed.
    #[error("{0}")]
    NotAllowed(String),
    /// The service said no, or nothing, or nothing that can be understood.
    #[error("{}", explained(.0))]
    Service(#[from] Error),
    /// What is needed is out of reach for now.
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
    /// Schema synchronisation is forecast to refuse it.
    #[error("{0}")]
    SchemaRefused(String),
    /// Something on this machine went wrong.
    #[error("{what}: {}", Chain(.source))]
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
    pub(crate) fn file(doing: &str, path: &Path, source: io::Error) -> Self {
        let what = format!("Cannot {doing} {}", path.display());
        Self::Io { what, source }
    }

    /// The file at `path`, which was named on the command line, cannot be read.
    pub(crate) fn unreadable(path: &Path, source: &io::Error) -> Self {
        Self::Usage(format!("Cannot read {}: {}", path.display(), Chain(source)))
    }

    /// The exit code that stands for it.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) => Exit::Usage,
            Self::NotSignedIn(_) | Self::NotAllowed(_) => Exit::NotAllowed,
            Self::Service(error) => exit_of(error),
            Self::Unavailable(_) => Exit::Unavailable,
            Self::NotFound(_) => Exit::NotFound,
            Self::Rule(_) => Exit::Refused,
            Self::Package { .. } => Exit::PackageRefused,
            Self::DifferentContent(_) => Exit::DifferentContent,
            Self::SchemaRefused(_) => Exit::SchemaRefused,
            Self::Io { .. } | Self::Unexpected(_) => Exit::Unexpected,
        }
    }

    /// Whether the service did not take what the caller signed in with.
    pub(crate) fn is_of_strangers(&self) -> bool {
        matches!(self, Self::Service(error) if error.refusal(StatusCode::UNAUTHORIZED).is_some())
    }

    /// Tells of it on standard error; `about` is what it is about where that is one of several things.
    pub(crate) fn tell(&self, printer: Printer, about: Option<&str>) {
        let text = match about {
            Some(about) => format!("{about}: {self}"),
            None => self.to_string(),
        };
        printer.error_with_facts(&text, || self.facts(about));
    }

    /// The failure for programs.
    pub(crate) fn facts(&self, about: Option<&str>) -> Value {
        let mut facts = Map::new();
        let mut add = |name: &str, value: Value| {
            if !value.is_null() {
                facts.insert(name.to_owned(), value);
            }
        };
        add("code", self.code().into());
        add("exitCode", self.exit().code().into());
        add("about", about.into());
        let Self::Service(Error::Refused(refusal)) = self else {
            add("message", self.to_string().into());
            return facts.into();
        };
        add("message", refusal.message().into());
        add("status", refusal.status.as_u16().into());
        add("target", refusal.target().into());
        let details = refusal
            .details()
            .iter()
            .map(|detail| json!({ "code": detail.code, "message": detail.message, "target": detail.target }));
        add("details", details.collect());
        add("request", refusal.request.as_str().into());
        add("correlationId", refusal.correlation_id.as_deref().into());
        for (name, value) in refusal.facts() {
            add(&name, value);
        }
        facts.into()
    }

    /// What it is, in one word: the service's, or ours.
    pub(crate) fn code(&self) -> &str {
        match self {
            Self::Usage(_) => "Usage",
            Self::NotSignedIn(_) => "NotSignedIn",
            Self::NotAllowed(_) => "NotAllowed",
            Self::Service(Error::Refused(refusal)) if !refusal.code().is_empty() => refusal.code(),
            Self::Service(Error::SignInRefused { .. } | Error::NoSignIn(_)) => "NotSignedIn",
            Self::Service(_) | Self::Unavailable(_) if self.exit() == Exit::Unavailable => "Unavailable",
            Self::NotFound(_) => "NotFound",
            Self::Rule(_) => "Refused",
            Self::Package { code, .. } => code,
            Self::DifferentContent(_) => "DifferentContent",
            Self::SchemaRefused(_) => "SchemaRefused",
            Self::Service(_) | Self::Unavailable(_) | Self::Io { .. } | Self::Unexpected(_) => "Unexpected",
        }
    }
}

impl From<Unwritten> for Failure {
    fn from(Unwritten(source): Unwritten) -> Self {
        let what = "Cannot write the output".to_owned();
        Self::Io { what, source }
    }
}

fn exit_of(error: &Error) -> Exit {
    match error {
        Error::Refused(refusal) => match refusal.status.as_u16() {
            401 | 403 => Exit::NotAllowed,
            404 => Exit::NotFound,
            408 | 429 | 500..=599 => Exit::Unavailable,
            400..=499 => Exit::Refused,
            _ => Exit::Unexpected,
        },
        Error::SignInRefused { .. }
        | Error::NoAssertion { .. }
        | Error::InvalidToken
        | Error::NoSignIn(_) => Exit::NotAllowed,
        Error::InvalidHeader { .. } => Exit::Usage,
        error if error.is_unavailable() => Exit::Unavailable,
        _ => Exit::Unexpected,
    }
}

/// What the client reports, in words for people, who see it but once: with its cause.
pub(crate) fn explained(error: &Error) -> String {
    let cause = error
        .cause()
        .map(|cause| format!(": {cause}"))
        .unwrap_or_default();
    match error {
        Error::Refused(refusal) => told(refusal),
        Error::Gateway(answer) => told_of_gateway(answer),
        Error::SignInRefused { description, .. } => match hints::for_refusal(description) {
            Some(hint) => format!("{error}\n  {hint}"),
            None => error.to_string(),
        },
        Error::NoSignIn(problem) => problem.clone(),
        Error::Untrusted { host, .. } if error.is_plain_http() => {
            // Named with its port where that is not the usual one.
            let name = host.rsplit_once(':').map_or(host.as_str(), |(name, _)| name);
            let meant = match is_loopback(name) {
                true => " Is http:// meant?",
                false => "",
            };
            format!("{host} does not speak TLS there, but plain http as it seems.{meant}")
        }
        Error::Untrusted { .. } => format!(
            "{error}{cause}.\n  Where its certificate comes from an authority that this machine does not know, name that \
             with --ca-file (FAME_CA_FILE)."
        ),
        Error::NoAnswer { request, .. } => format!("{error}.\n  request: {request}"),
        Error::Unreadable {
            request,
            correlation_id,
            ..
        } => {
            let correlation_id = correlation_id.as_deref().unwrap_or_default();
            format!(
                "The answer cannot be read{cause}; is --url right?\n  request: {request}\n  ms-correlation-x: \
                 {correlation_id}"
            )
        }
        _ => format!("{error}{cause}."),
    }
}

/// Most characters that are shown of a page which is not the service's.
const MAX_PAGE_CHARS: usize = 300;

/// What something on the way said in the service's place.
fn told_of_gateway(answer: &Refusal) -> String {
    let page = answer.text.split_whitespace().collect::<Vec<_>>().join(" ");
    let said = match &answer.location {
        Some(elsewhere) => format!(": it sends callers on to {elsewhere}; check --url."),
        None if page.is_empty() => String::new(),
        None => format!(": {}", page.chars().take(MAX_PAGE_CHARS).collect::<String>()),
    };
    let unknown = match answer.request.starts_with("GET ") || answer.request.starts_with("HEAD ") {
        true => "",
        false => " Whether the request was carried out is not known.",
    };
    format!(
        "{}{said}\n  This is no answer of the service, but of something before it; is --url right?{unknown}\n  request: {}",
        answer.status, answer.request
    )
}

/// A refusal with everything that the service said, because the reader's only other source is the service's log.
pub(crate) fn told(refusal: &Refusal) -> String {
    let mut text = refusal.status.to_string();
    let mut add = |part: &dyn std::fmt::Display| {
        // Writing into a string has no way to fail.
        let _ = write!(text, "{part}");
    };
    if !refusal.code().is_empty() {
        add(&format_args!(" {}", refusal.code()));
    }
    let message = refusal.message();
    if !message.is_empty() {
        add(&format_args!(": {message}"));
    }
    for detail in refusal.details() {
        add(&format_args!("\n  {}", detail.code));
        if detail.message != message {
            add(&format_args!(": {}", detail.message));
        }
        if let Some(target) = &detail.target {
            add(&format_args!(" ({target})"));
        }
    }
    for (name, value) in refusal.facts() {
        add(&format_args!("\n  {name}: {}", crate::output::cell(&value)));
    }
    if let Some(target) = refusal.target() {
        add(&format_args!("\n  target: {target}"));
    }
    if let Some(challenge) = refusal
        .challenge
        .as_ref()
        .filter(|_| refusal.status == StatusCode::UNAUTHORIZED)
    {
        add(&format_args!("\n  the service says of signing in: {challenge}"));
    }
    add(&format_args!("\n  request: {}", refusal.request));
    if let Some(correlation) = &refusal.correlation_id {
        add(&format_args!("\n  ms-correlation-x: {correlation}"));
    }
    text
}
