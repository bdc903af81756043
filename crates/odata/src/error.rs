//! What is wrong with a request's query options, and where; and why a filter has no answer for a row.
//!
//! The message is read by a person looking at a URL: it names the wrong part, counts characters of the decoded
//! value (not bytes of the raw URL), and says what to write instead where that is known.

use crate::number::ArithmeticError;
use crate::pattern::MAX_TEXT;
use std::fmt;

/// Why a query option is refused: the closed list of reasons, each of which has its own status.
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
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct QueryError {
    /// The stable reason.
    pub code: ErrorCode,
    /// One or two sentences; the position is part of them when there is one.
    pub message: String,
    /// Where it is wrong: characters (not bytes) from the start of the decoded value.
    pub position: Option<usize>,
    /// The option or alias at fault, such as `$filter` or `@p`.
    pub target: String,
    source: Option<regex::Error>,
}

impl QueryError {
    /// An option or alias, the `target`, that is wrong as a whole.
    pub fn new(code: ErrorCode, target: impl Into<String>, message: impl Into<String>) -> Self {
        QueryError {
            code,
            message: message.into(),
            position: None,
            target: target.into(),
            source: None,
        }
    }

    /// One that is wrong at `position`; ` at position N.` is appended to the first clause of `what`.
    pub fn at(code: ErrorCode, target: &str, position: usize, what: impl fmt::Display) -> Self {
        QueryError {
            position: Some(position),
            ..QueryError::new(code, target, place(&what.to_string(), position))
        }
    }

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
        QueryError::new(ErrorCode::InvalidFilter, "$filter", message)
    }

    /// Another option that is wrong as a whole.
    pub(crate) fn option(target: &str, message: impl Into<String>) -> Self {
        QueryError::new(ErrorCode::InvalidQueryOption, target, message)
    }

    pub(crate) fn caused_by(mut self, source: Option<regex::Error>) -> Self {
        self.source = source;
        self
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

impl std::error::Error for QueryError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|error| error as _)
    }
}

/// Why a filter has no result for a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EvalError {
    /// A divisor is zero.
    DivisionByZero {
        /// Characters from the start of the filter.
        position: usize,
    },
    /// A calculation leaves the range of its type.
    OutOfRange {
        /// Characters from the start of the filter.
        position: usize,
    },
    /// A calculation gives more digits than a number can hold.
    NotExact {
        /// Characters from the start of the filter.
        position: usize,
    },
    /// `substring` was asked for a negative length.
    NegativeLength {
        /// Characters from the start of the filter.
        position: usize,
    },
    /// A text is longer than a pattern may be matched with.
    TextTooLong {
        /// Characters from the start of the filter.
        position: usize,
    },
    /// The filter needs too much work for one row.
    TooExpensive,
    /// Nobody waits for the result any more.
    Unwanted,
    /// The row does not hold what its schema says. The row's fault, not the filter's.
    RowDoesNotFit {
        /// Characters from the start of the filter.
        position: usize,
    },
}

impl EvalError {
    pub(crate) fn from_arithmetic(error: ArithmeticError, position: usize) -> EvalError {
        match error {
            ArithmeticError::DivisionByZero => EvalError::DivisionByZero { position },
            ArithmeticError::OutOfRange => EvalError::OutOfRange { position },
            ArithmeticError::NotExact => EvalError::NotExact { position },
        }
    }

    /// What to tell the caller who sent the filter; `None` if they are not to blame.
    pub fn as_query_error(&self) -> Option<QueryError> {
        match *self {
            EvalError::DivisionByZero { position } => {
                Some(QueryError::filter_at(position, "Division by zero"))
            }
            EvalError::OutOfRange { position } => {
                Some(QueryError::filter_at(position, "The result is out of range"))
            }
            EvalError::NotExact { position } => Some(QueryError::filter_at(
                position,
                "The result has more digits than the 28 that can be held",
            )),
            EvalError::NegativeLength { position } => Some(QueryError::filter_at(
                position,
                "The length of a substring is negative",
            )),
            EvalError::TextTooLong { position } => Some(QueryError::filter_at(
                position,
                format!("The text is longer than the {MAX_TEXT} bytes that a pattern is matched with"),
            )),
            EvalError::TooExpensive => {
                Some(QueryError::filter("The filter needs too much work for one row."))
            }
            EvalError::RowDoesNotFit { .. } | EvalError::Unwanted => None,
        }
    }
}

impl fmt::Display for EvalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.as_query_error(), self) {
            (Some(error), _) => f.write_str(&error.message),
            (None, EvalError::Unwanted) => f.write_str("nobody waits for the result any more"),
            (None, error) => write!(f, "the row does not fit the schema: {error:?}"),
        }
    }
}

impl std::error::Error for EvalError {}
