//! An order that SQL cannot say. The rows stream past, and only as many of them stay as can still be among the
//! first that are wanted.

use super::{
    entity_set::EntitySet,
    error::ListError,
    request::refused,
    statement::{Range, Statement},
};
use crate::{Db, FromRow};
use futures::TryStreamExt;
use odata::{OrderBy, SkipToken, Value};
use std::time::Instant;

/// The most rows that are kept in memory at once.
pub(crate) const CAPACITY: usize = 100_000;

/// A row and what it is ordered by.
type Keyed<T> = (Vec<Value<'static>>, T);

/// The first `limit` rows behind the token's position, in their order; all of them without a `limit`. No more than
/// `capacity` rows, give or take a batch, are kept at once.
pub(crate) async fn rows<T: FromRow>(
    db: &Db,
    statement: &Statement<T>,
    order: &OrderBy,
    after: Option<&SkipToken>,
    limit: Option<u64>,
    capacity: usize,
) -> Result<Vec<T>, ListError> {
    let wanted = limit
        .and_then(|limit| usize::try_from(limit).ok())
        .filter(|limit| *limit <= capacity / 2);
    let entity_set: &EntitySet<T> = statement.entity_set;
    let mut first: Vec<Keyed<T>> = Vec::new();
    let mut rows = statement.rows(db, Range::default()).await?;
    while let Some(batch) = rows.try_next().await? {
        let kept = statement.kept(batch)?;
        let (size, begun) = (kept.len(), Instant::now());
        for row in kept {
            let values = order.values(&entity_set.view(&row), &entity_set.schema);
            if after.is_none_or(|token| order.compare(&values, &token.values).is_gt()) {
                first.push((values, row));
            }
        }
        if first.len() >= capacity {
            keep_first(&mut first, order, wanted.ok_or_else(|| too_many(capacity))?);
        }
        statement.spend("$orderby", size, begun.elapsed())?;
    }
    keep_first(&mut first, order, wanted.unwrap_or(capacity));
    Ok(first.into_iter().map(|(_, row)| row).collect())
}

fn keep_first<T>(rows: &mut Vec<Keyed<T>>, order: &OrderBy, limit: usize) {
    rows.sort_by(|(left, _), (right, _)| order.compare(left, right));
    rows.truncate(limit);
}

fn too_many(capacity: usize) -> odata::QueryError {
    let message = format!(
        "More than {capacity} rows cannot be sorted in this way. Narrow the list with $filter, or ask for fewer rows with \
         $top or by pages."
    );
    refused("$orderby", message)
}
