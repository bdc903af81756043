//! Why there is no list.

use crate::StoreError;
use odata::QueryError;

/// Why there is no list.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// The caller asked for what cannot be answered; all of it may be shown.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<odata::EvalError> for ListError {
    fn from(error: odata::EvalError) -> Self {
        match error.as_query_error() {
            Some(error) => Self::Query(error),
            None => Self::Store(StoreError::broken(error)),
        }
    }
}
