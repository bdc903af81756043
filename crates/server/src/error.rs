//! Why the service did not do what it was asked. Nothing here knows HTTP; `http/problem.rs` turns it into a status
//! and a body. What a caller may see is a [`RuleError`]; everything else is ours, and stays in the log.

use crate::blobs::BlobError;
use domain::problem::{Code, RuleError};
use store::StoreError;

/// Any failure of the service.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The request cannot be carried out, and this is why: all of it may be shown.
    #[error(transparent)]
    Rule(#[from] RuleError),
    /// The same, and the caller may try again after so many seconds.
    #[error("{problem}")]
    TryLater { problem: RuleError, seconds: u32 },
    /// Nobody, or nobody we believe.
    #[error(transparent)]
    Auth(#[from] auth::AuthError),
    /// The state that the caller named by `If-None-Match` is the present one, whose tag this is as headers write it,
    /// where it has one.
    #[error("not modified")]
    NotModified { tag: Option<String> },
    /// The database.
    #[error("store")]
    Store(#[from] StoreError),
    /// A storage location.
    #[error("package store")]
    Blobs(#[from] BlobError),
    /// A fault of ours.
    #[error(transparent)]
    Fault(Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// A fault of ours, as an error or a text; it goes to the log only.
    pub(crate) fn fault(what: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Fault(what.into())
    }

    /// Whether it may be gone without anybody doing anything about it here: the database is away; a package store is, its
    /// disk is full, or it does not let us in. What is missing or damaged in a store that works is not brought back by
    /// waiting.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::Store(error) => error.is_passing(),
            Self::Blobs(error) => error.is_passing(),
            _ => false,
        }
    }

    /// A refusal that may be gone after `seconds`.
    pub(crate) fn try_later(code: Code, message: impl Into<String>, seconds: u32) -> Self {
        Self::TryLater {
            problem: RuleError::new(code, message),
            seconds,
        }
    }

    /// The same refusal about `target`, where it has no target yet.
    pub(crate) fn about(self, target: &str) -> Self {
        match self {
            Self::Rule(problem) if problem.target.is_none() => Self::Rule(problem.about(target)),
            other => other,
        }
    }
}

impl store::ChangeError for Error {
    fn store_error(&self) -> Option<&StoreError> {
        match self {
            Self::Store(error) => Some(error),
            _ => None,
        }
    }
}

/// What can be done, or why it cannot.
pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;
