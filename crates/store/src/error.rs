//! Why a database did not do what it was asked, the same for both.

use std::sync::Arc;

/// Why the database did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A constraint stands against it.
    #[error("the constraint {constraint} stands against it")]
    Conflict {
        /// What the migrations call it.
        constraint: String,
    },
    /// Others were in the way for too long; the same request may succeed later.
    #[error("the database is busy")]
    Busy,
    /// The database cannot be reached, or its disk is full.
    #[error("the database is unavailable")]
    Unavailable(#[source] Cause),
    /// It could not be reached any more while a change was being committed.
    #[error("whether the change was made is not known")]
    InDoubt(#[source] Cause),
    /// Rows were read too slowly for what they came on to be kept for them any longer. Whoever receives them must not take
    /// what they have got for all.
    #[error("a list was read too slowly: for {} seconds nobody took its next rows", .0.as_secs())]
    TooSlow(std::time::Duration),
    /// A fault of ours, or a damaged database.
    #[error(transparent)]
    Broken(Cause),
}

/// What stood in the way: an error as it came, or a text. One failure may be that of many changes.
pub type Cause = Arc<dyn std::error::Error + Send + Sync>;

/// A cause that the log has told, and whose end it will tell.
#[derive(Debug)]
pub(crate) struct Told(pub(crate) Cause);

impl std::fmt::Display for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Told {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}

impl StoreError {
    /// Whether the log tells of it anyway: of an outage, once at its beginning and once at its end.
    pub fn is_told(&self) -> bool {
        matches!(self, Self::Unavailable(cause) if cause.is::<Told>())
    }

    /// The database cannot be reached.
    pub fn unavailable(why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Unavailable(why.into().into())
    }

    /// A fault of ours, in words for the log.
    pub fn broken(what: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Broken(what.into().into())
    }

    /// What stood in the way, for those whom it stands in the way of too.
    #[must_use]
    pub fn into_cause(self) -> Cause {
        match self {
            Self::Unavailable(cause) | Self::InDoubt(cause) | Self::Broken(cause) => cause,
            other => Arc::new(other),
        }
    }

    /// Whether it may be gone without anybody doing anything about it here.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Busy | Self::Unavailable(_) | Self::InDoubt(_))
    }
}

/// What a change can fail with: reasons of its caller's, and those of the database.
pub trait ChangeError: From<StoreError> + Send + 'static {
    /// What the database said, where it is that which failed.
    fn store_error(&self) -> Option<&StoreError>;
}

impl ChangeError for StoreError {
    fn store_error(&self) -> Option<&StoreError> {
        Some(self)
    }
}
