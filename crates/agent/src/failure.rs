//! Why something could not be done.

use domain::operation::FailureCause;
use std::fmt;

/// The hint of what only another configuration can change.
pub(crate) const CONFIGURATION: &str = "Configuration";

/// Why something could not be done at a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// As a word that a vendor can filter by.
    pub cause: FailureCause,
    /// A free word that says more where the cause is `Other`: `Scope`, `Downgrade`, `Compile`, `Configuration`,
    /// `Dependents`.
    pub hint: Option<&'static str>,
    /// All that the target said, and what the agent knows besides.
    pub text: String,
}

impl Failure {
    /// A failure with no better word.
    pub fn other(text: impl Into<String>) -> Self {
        Self::new(FailureCause::Other, text)
    }

    /// A failure that only another configuration can change.
    pub fn misconfigured(text: impl Into<String>) -> Self {
        Self {
            hint: Some(CONFIGURATION),
            ..Self::other(text)
        }
    }

    /// A failure.
    pub fn new(cause: FailureCause, text: impl Into<String>) -> Self {
        Self {
            cause,
            hint: None,
            text: text.into(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.hint {
            Some(hint) => write!(f, "{hint}: {}", self.text),
            None => f.write_str(&self.text),
        }
    }
}

impl std::error::Error for Failure {}
