//! Lists: one statement, or as little more than that as the caller's wishes allow.
//!
//! Filter, count, order, skip, top, page: in this order, wherever each of them is decided. What SQL can do, SQL does,
//! so that a page costs the same among a thousand rows as among a million. The rest streams past in constant memory.
//! Only an order that SQL cannot say needs rows in memory, and then as few as the page asks for.

mod entity_set;
mod order;
mod page;
mod portions;
mod request;
mod scope;
mod sorted;
mod statement;
#[cfg(test)]
mod tests;

use super::{Db, StoreError};
use domain::instant::Instant;
use odata::QueryError;

pub use entity_set::{
    ColumnMapping, ColumnType, EntitySet, Spelling, country, folded, guid, hidden, in_memory, instant,
    number, property, roles, text, truth, version, word,
};
pub use page::Page;
pub use request::{ListQuery, ListRequest};
pub use scope::Scope;
use statement::Statement;

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

/// The rows that the request asks for; `now` is what `now()` means in its filter.
///
/// # Errors
/// A filter that fails for a row, such as a division by zero, fails here as far as possible and not halfway through
/// the answer; so does an order that SQL cannot say over too many rows.
pub async fn list<T: super::FromRow>(
    db: &Db,
    entity_set: &'static EntitySet<T>,
    scope: Scope,
    request: ListRequest,
    now: Instant,
) -> Result<Page<T>, ListError> {
    let statement = Statement::new(db, entity_set, scope, request.filter.as_ref(), now);
    let count = match request.count || statement.post_filter().can_fail {
        true => Some(statement.count(db).await?).filter(|_| request.count),
        false => None,
    };
    Page::open(db, statement, request, count).await
}

/// How many rows the request's filter leaves.
///
/// # Errors
/// As for [`list`].
pub async fn count_only<T: super::FromRow>(
    db: &Db,
    entity_set: &'static EntitySet<T>,
    scope: Scope,
    request: &ListRequest,
    now: Instant,
) -> Result<u64, ListError> {
    Statement::new(db, entity_set, scope, request.filter.as_ref(), now)
        .count(db)
        .await
}
