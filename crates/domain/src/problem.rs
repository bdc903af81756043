//! What can be wrong with a request, in words a caller may see and codes a program may rely on.

use crate::{ids::AppId, operation::OperationKind, version::AppVersion};
use std::fmt;

/// A word that is not in a closed vocabulary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownWord {
    /// The text given, at most 80 characters of it.
    pub text: String,
    /// The words of the vocabulary.
    pub known: Vec<&'static str>,
}

impl fmt::Display for UnknownWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}' is not one of {}", self.text, self.known.join(", "))
    }
}

impl std::error::Error for UnknownWord {}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $status:literal),+ $(,)?) => {
        /// The stable code of an error body, with the HTTP status it is sent with.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code {
            $($(#[$doc])* $name,)+
        }

        impl Code {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// The code as sent.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)+ }
            }

            /// The HTTP status it goes with.
            #[must_use]
            pub fn status(self) -> u16 {
                match self { $(Self::$name => $status,)+ }
            }
        }
    };
}

codes! {
    /// A body is needed and there was none.
    RequestBodyRequired = 400,
    /// A value is malformed; the target names it.
    InvalidInput = 400,
    /// Every value is well formed, but together they ask for something impossible.
    BadArgument = 400,
    /// `$filter` cannot be understood.
    InvalidFilter = 400,
    /// Another query option cannot be understood.
    InvalidQueryOption = 400,
    /// There is no such application family.
    ApplicationTypeDoesNotExist = 400,
    /// The hours of an update window are too few.
    InvalidRange = 400,
    /// Several environments fit.
    AmbiguousRequest = 400,
    /// A rule is broken; the reasons are in the details.
    EntityValidationFailed = 400,
    /// The uploaded file is no acceptable package; the reason is in the details.
    InvalidPackage = 400,
    /// No valid token.
    Unauthorized = 401,
    /// The caller may see this, but not do that.
    Forbidden = 403,
    /// A token of the agent was used by somebody else, so it gets nothing until it is enrolled again.
    AgentFrozen = 403,
    /// The enrolment code was used, has ended, or was never given out.
    EnrolmentRefused = 403,
    /// There is no such thing, or the caller may not know that there is.
    ResourceDoesNotExist = 404,
    /// There is no such environment, or the app is not installed in it.
    EnvironmentNotFound = 404,
    /// The address exists, for other verbs.
    MethodNotAllowed = 405,
    /// No representation of the kind asked for.
    NotAcceptable = 406,
    /// The body did not arrive in time.
    RequestTimeout = 408,
    /// The version was uploaded before.
    ResourceExists = 409,
    /// The same version is being uploaded at this moment.
    UploadInProgress = 409,
    /// An operation is running in the environment at this moment.
    EnvironmentBusy = 409,
    /// The environment is not there at the moment, as far as its agent knows.
    EnvironmentNotActive = 409,
    /// The package was sent to the agent as often as it is for one operation.
    DownloadsUsedUp = 403,
    /// The identity belongs to somebody else already: an agent is neither a principal nor an operator.
    IdentityInUse = 409,
    /// A later inventory of the same agent has come before.
    StaleInventory = 409,
    /// The inventory has far fewer or far more environments than the one before; it must say that this is meant.
    ConfirmationRequired = 409,
    /// The agent does not hold the operation, or not any more.
    LeaseLost = 409,
    /// The package is not what it was when the operation was scheduled.
    PackageChanged = 409,
    /// The rollout is in a state in which this cannot be asked of it.
    RolloutNotInState = 409,
    /// What a rollout selects, or what the rules say of it, is not what was planned.
    PlanChanged = 409,
    /// The entity is no longer, or not, in the state the caller named.
    PreconditionFailed = 412,
    /// The body is larger than allowed.
    RequestEntityTooLarge = 413,
    /// The body is encoded in a way that is not read here; the target names the header that says how.
    UnsupportedMediaType = 415,
    /// The range lies outside the file.
    RangeNotSatisfiable = 416,
    /// The same idempotency key came with another body.
    IdempotencyKeyReused = 422,
    /// Too many requests at once.
    TooManyRequests = 429,
    /// Anything unforeseen; its cause is in the log under the correlation id.
    Unknown = 500,
    /// A feature of OData, or a call of the Admin Center API, that the service does not have.
    NotImplemented = 501,
    /// The service cannot answer now; try again.
    ServiceUnavailable = 503,
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One of several things that are wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detail {
    /// A stable code, narrower than the problem's own.
    pub code: String,
    /// What is wrong, with the facts.
    pub message: String,
    /// The value that is wrong.
    pub target: Option<String>,
}

/// What would have to happen to another app of the environment first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    /// That app.
    pub app_id: AppId,
    /// Its name.
    pub name: String,
    /// Its publisher.
    pub publisher: String,
    /// The version that it is to have, or, of one that is to go, has.
    pub version: AppVersion,
    /// What is to be done with it.
    pub kind: OperationKind,
}

/// Why a request cannot be carried out: all of it may be shown to the caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct RuleError {
    /// The stable code.
    pub code: Code,
    /// One or two sentences with the fact that is wrong.
    pub message: String,
    /// The value, property or resource that it is about.
    pub target: Option<String>,
    /// The single reasons.
    pub details: Vec<Detail>,
    /// Facts for programs, such as the operation that is in the way.
    pub extension: Vec<(&'static str, String)>,
    /// What would have to happen to other apps first, in that order.
    pub requirements: Box<[Requirement]>,
}

impl RuleError {
    /// A problem without target or details.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            target: None,
            details: Vec::new(),
            extension: Vec::new(),
            requirements: Box::default(),
        }
    }

    /// A malformed value, named.
    #[must_use]
    pub fn invalid(target: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Code::InvalidInput, message).about(target)
    }

    /// A broken rule, with its narrower code.
    #[must_use]
    pub fn broken(reason: impl Into<String>, message: impl Into<String>) -> Self {
        let message = message.into();
        Self::new(Code::EntityValidationFailed, message.clone()).because(reason, message)
    }

    /// Something that is not there.
    #[must_use]
    pub fn missing(target: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Code::ResourceDoesNotExist, message).about(target)
    }

    /// The same, about a value.
    #[must_use]
    pub fn about(mut self, target: impl Into<String>) -> Self {
        self.target = Some(target.into());
        self
    }

    /// The same, with one more reason.
    #[must_use]
    pub fn because(mut self, code: impl Into<String>, message: impl Into<String>) -> Self {
        self.details.push(Detail {
            code: code.into(),
            message: message.into(),
            target: None,
        });
        self
    }

    /// The same, with a fact for programs.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.extension.push((name, value.into()));
        self
    }

    /// The same, with what would have to happen to other apps first.
    #[must_use]
    pub fn requiring(mut self, requirements: impl IntoIterator<Item = Requirement>) -> Self {
        self.requirements = requirements.into_iter().collect();
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_reads_as_its_code_and_what_is_wrong() {
        let error = RuleError::broken("NotNewer", "Version 1.0.0.0 is not newer.");
        assert_eq!(
            error.to_string(),
            "EntityValidationFailed: Version 1.0.0.0 is not newer."
        );
    }
}
