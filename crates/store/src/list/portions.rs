//! Rows by one short statement after the other, each behind the last row of the one before (keyset pagination).
//!
//! Whoever asks the database more about each batch must not hold what the rows come on: a connection, or a permit for
//! long reads. When all of those were taken by such readers, each would wait for the others for ever.

use super::{
    ListError,
    order::SqlOrder,
    statement::{Range, Statement},
};
use crate::{Batches, Db, FromRow, StoreError, filter::Fragment};
use futures::{StreamExt, stream};
use odata::{OrderBy, SkipToken};
use std::sync::Arc;

/// Rows that one statement brings; few in tests, whose lists are short.
const PORTION: u64 = if cfg!(test) { 7 } else { 256 };

/// What the rows are read by.
struct Portions<T: 'static> {
    db: Db,
    statement: Arc<Statement<T>>,
    order: OrderBy,
}

/// The rows of a range whose order SQL can say, those included that only the filter's rest will take away.
pub(crate) fn portions<T: FromRow>(
    db: &Db,
    statement: &Arc<Statement<T>>,
    order: OrderBy,
    range: Range,
) -> Batches<T, ListError> {
    let portions = Arc::new(Portions {
        db: db.clone(),
        statement: Arc::clone(statement),
        order,
    });
    stream::try_unfold(Some(range), move |wanted| {
        let portions = Arc::clone(&portions);
        async move {
            match wanted {
                Some(range) => portions.read(range).await,
                None => Ok(None),
            }
        }
    })
    .boxed()
}

impl<T: FromRow> Portions<T> {
    /// The first rows of a range, if it has any, and what is wanted of it after them.
    async fn read(&self, range: Range) -> Result<Option<(Vec<T>, Option<Range>)>, ListError> {
        let size = range.limit.map_or(PORTION, |limit| limit.min(PORTION));
        let left = range.limit.map(|limit| limit - size);
        let order = range.order.clone();
        let portion = Range {
            limit: Some(size),
            ..range
        };
        let rows = self.statement.portion(&self.db, portion).await?;
        let Some(last) = rows.last() else {
            return Ok(None);
        };
        let is_last = (rows.len() as u64) < size || left == Some(0);
        let rest = match is_last {
            true => None,
            false => Some(Range {
                behind: Some(self.behind(last)?),
                order,
                skip: 0,
                limit: left,
            }),
        };
        Ok(Some((rows, rest)))
    }

    fn behind(&self, last: &T) -> Result<Fragment, ListError> {
        let entity_set = self.statement.entity_set;
        let token = SkipToken {
            values: self.order.values(&entity_set.view(last), &entity_set.schema),
            remaining_top: None,
        };
        let order = SqlOrder::new(&self.order, &entity_set.mappings)
            .ok_or_else(|| StoreError::broken("an order that SQL could say cannot be said any more"))?;
        Ok(order.behind(&token)?)
    }
}
