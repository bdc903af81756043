//! What is wrong with a request's query options, and where.
//!
//! The message is read by a person looking at a URL: it names the wrong part, counts characters of the decoded
//! value (not bytes of the raw URL), and says what to write instead where that is known.

use std::fmt;

/// The closed list of reasons for which a query option is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// `$filter` cannot be read, does not fit the entity's types, or is over a limit.
    InvalidFilter,
    /// Any other query option is wrong.
    InvalidQueryOption,
    /// OData defines it, this library does not do it.
    NotImplemented,
    /// `$format` asks for a representation that does not exist.
    NotAcceptable,
}

impl ErrorCode {
    /// The stable PascalCase code for the `code` member of an error body.
    pub fn as_str(self) -> &'static str {
        match self {
            ErrorCode::InvalidFilter => "InvalidFilter",
            ErrorCode::InvalidQueryOption => "InvalidQueryOption",
            ErrorCode::NotImplemented => "NotImplemented",
            ErrorCode::NotAcceptable => "NotAcceptable",
        }
    }

    /// The HTTP status that goes with the code.
    pub fn status(self) -> u16 {
        match self {
            ErrorCode::InvalidFilter | ErrorCode::InvalidQueryOption => 400,
            ErrorCode::NotAcceptable => 406,
            ErrorCode::NotImplemented => 501,
        }
    }
}

/// A refused query option. Safe to show to the caller as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryError {
    /// The stable reason.
    pub code: ErrorCode,
    /// One or two sentences; the position is part of them when there is one.
    pub message: String,
    /// Where it is wrong: characters (not bytes) from the start of the decoded value.
    pub position: Option<usize>,
    /// The option or alias at fault, such as `$filter` or `@p`.
    pub target: String,
}

impl QueryError {
    /// A `$filter` that is wrong at `position`; ` at position N.` is appended to `what`.
    pub(crate) fn filter_at(position: usize, what: impl fmt::Display) -> Self {
        QueryError::at(ErrorCode::InvalidFilter, "$filter", position, what)
    }

    /// A `$filter` that asks at `position` for something OData defines and this library lacks.
    pub(crate) fn unsupported_at(position: usize, what: impl fmt::Display) -> Self {
        let message = format!("{what} is not supported");
        QueryError::at(ErrorCode::NotImplemented, "$filter", position, message)
    }

    /// A `$filter` that is wrong as a whole.
    pub(crate) fn filter(message: impl Into<String>) -> Self {
        QueryError {
            code: ErrorCode::InvalidFilter,
            message: message.into(),
            position: None,
            target: "$filter".into(),
        }
    }

    /// Another option that is wrong as a whole.
    pub(crate) fn option(target: &str, message: impl Into<String>) -> Self {
        QueryError {
            code: ErrorCode::InvalidQueryOption,
            message: message.into(),
            position: None,
            target: target.into(),
        }
    }

    /// Any option that is wrong at one place.
    pub(crate) fn at(code: ErrorCode, target: &str, position: usize, what: impl fmt::Display) -> Self {
        QueryError {
            code,
            message: place(&what.to_string(), position),
            position: Some(position),
            target: target.into(),
        }
    }

    /// The same problem, found in another option or alias.
    pub(crate) fn blamed_on(mut self, target: &str) -> Self {
        self.target = target.into();
        self
    }
}

/// Puts the position behind the first clause: `Expected an operand at position 14.`, and a hint after it.
fn place(what: &str, position: usize) -> String {
    match what.split_once("; ") {
        Some((fact, hint)) => format!("{fact} at position {position}; {hint}."),
        None => format!("{what} at position {position}."),
    }
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.code.as_str(), self.target, self.message)
    }
}

impl std::error::Error for QueryError {}
