//! An order that SQL cannot say. The rows stream past, and only as many of them stay as can still be among the
//! first that are wanted.

use super::{
    entity_set::EntitySet,
    error::ListError,
    request::refused,
    statement::{Range, Statement},
    work::Watch,
};
use crate::{Db, FromRow};
use futures::TryStreamExt;
use odata::{OrderBy, SkipToken, Value};
use std::sync::Arc;

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
    let sorting = Arc::new(Sorting {
        entity_set: statement.entity_set,
        order: order.clone(),
        after: after.cloned(),
        wanted,
        capacity,
    });
    let mut first: Vec<Keyed<T>> = Vec::new();
    let mut rows = statement.rows(db, Range::default()).await?;
    while let Some(batch) = rows.try_next().await? {
        let kept = statement.kept(batch).await?;
        let sorting = Arc::clone(&sorting);
        let turn = move |_: &Watch| (kept.len() as u64, sorting.add(first, kept));
        first = statement.work.aside("$orderby", turn).await?;
    }
    let turn = move |_: &Watch| {
        sorting.keep_first(&mut first, wanted.unwrap_or(capacity));
        (0, Ok(first))
    };
    let first = statement.work.aside("$orderby", turn).await?;
    Ok(first.into_iter().map(|(_, row)| row).collect())
}

/// What rows are sorted by, and which of them are wanted.
struct Sorting<T: 'static> {
    entity_set: &'static EntitySet<T>,
    order: OrderBy,
    after: Option<SkipToken>,
    wanted: Option<usize>,
    capacity: usize,
}

impl<T> Sorting<T> {
    /// The rows that are kept, once there are more.
    fn add(&self, mut first: Vec<Keyed<T>>, more: Vec<T>) -> Result<Vec<Keyed<T>>, ListError> {
        for row in more {
            let values = self
                .order
                .values(&self.entity_set.view(&row), &self.entity_set.schema);
            let is_behind = |token: &SkipToken| self.order.compare(&values, &token.values).is_gt();
            if self.after.as_ref().is_none_or(is_behind) {
                first.push((values, row));
            }
        }
        if first.len() >= self.capacity {
            let wanted = self.wanted.ok_or_else(|| too_many(self.capacity))?;
            self.keep_first(&mut first, wanted);
        }
        Ok(first)
    }

    fn keep_first(&self, rows: &mut Vec<Keyed<T>>, limit: usize) {
        rows.sort_by(|(left, _), (right, _)| self.order.compare(left, right));
        rows.truncate(limit);
    }
}

fn too_many(capacity: usize) -> odata::QueryError {
    let message = format!(
        "More than {capacity} rows cannot be sorted in this way. Narrow the list with $filter, or ask for fewer rows with \
         $top or by pages."
    );
    refused("$orderby", message)
}
