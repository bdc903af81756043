//! Lists: one statement, or as little more than that as the caller's options allow.
//!
//! Filter, count, order, skip, top, page: in this order, wherever each of them is decided. What SQL can do, SQL does,
//! so that a page costs the same among a thousand rows as among a million. The rest streams past in constant memory.
//! Only an order that SQL cannot say needs rows in memory, and then as few as the page asks for.

pub(crate) mod entity_set;
mod error;
mod order;
mod page;
mod portions;
mod request;
mod scope;
mod sorted;
mod statement;
#[cfg(test)]
mod tests;
mod work;

use super::Db;
use domain::instant::Instant;

pub(crate) use entity_set::spelled_among;
pub use entity_set::{
    ColumnMapping, ColumnType, EntitySet, Property, Spelling, country, folded, guid, hidden, hidden_instant,
    hidden_text, in_memory, instant, number, picked, property, roles, text, truth, version, word,
    word_in_memory,
};
pub use error::ListError;
pub use page::Page;
pub use request::ListRequest;
pub use scope::Scope;
pub(crate) use sorted::places as sort_places;
pub use statement::Completion;
use statement::Statement;
use std::sync::Arc;

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
    list_completed(db, entity_set, scope, request, now, None).await
}

/// The same of rows that somebody adds something to, before the filter and the order look at it.
///
/// # Errors
/// As for [`list`].
pub async fn list_completed<T: super::FromRow>(
    db: &Db,
    entity_set: &'static EntitySet<T>,
    scope: Scope,
    request: ListRequest,
    now: Instant,
    completion: Option<Completion<T>>,
) -> Result<Page<T>, ListError> {
    let statement = statement(db, entity_set, scope, &request, now).completed_by(completion);
    let statement = Arc::new(statement);
    let count = match request.count || statement.can_fail() {
        true => Some(statement.count(db).await?).filter(|_| request.count),
        false => None,
    };
    page::open(db, statement, request, count).await
}

/// The same of rows of which more is read, as [`Statement::reading`] has it. They are all there in one snapshot for as long as
/// they are taken at once.
///
/// # Errors
/// As for [`list`].
pub(crate) async fn list_reading<T: super::FromRow>(
    db: &Db,
    entity_set: &'static EntitySet<T>,
    scope: Scope,
    request: ListRequest,
    (column, values): (&str, Vec<super::Value>),
    now: Instant,
) -> Result<Page<T>, ListError> {
    let statement = statement(db, entity_set, scope, &request, now).reading(column, values);
    page::open(db, Arc::new(statement), request, None).await
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
    let statement = Arc::new(statement(db, entity_set, scope, request, now));
    statement.count(db).await
}

fn statement<T: super::FromRow>(
    db: &Db,
    entity_set: &'static EntitySet<T>,
    scope: Scope,
    request: &ListRequest,
    now: Instant,
) -> Statement<T> {
    let statement = Statement::new(db, entity_set, scope, request.filter.as_ref(), now);
    match request.without_bulk {
        true => statement.without_bulk(),
        false => statement,
    }
}
