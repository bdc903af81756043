//! Rows by one short statement after the other, each behind the last row of the one before (keyset pagination).
//!
//! Whoever asks the database more about each batch must not hold what the rows come on: a connection, or a permit for
//! long reads. When all of those were taken by such readers, each would wait for the others for ever.

use super::{
    entity_set::EntitySet,
    error::ListError,
    order::SqlOrder,
    statement::{Range, Statement},
};
use crate::{Db, FromRow, StoreError, filter::Fragment};
use odata::{OrderBy, SkipToken};

/// Rows that one statement brings; few in tests, whose lists are short.
const PORTION: u64 = if cfg!(test) { 7 } else { 256 };

/// What comes next, and from where.
pub(crate) struct Portions {
    db: Db,
    order: OrderBy,
    /// What is still wanted; `None` when nothing is left.
    rest: Option<Range>,
}

impl Portions {
    /// The rows of a range whose order SQL can say.
    pub(crate) fn new(db: &Db, order: OrderBy, range: Range) -> Self {
        Self {
            db: db.clone(),
            order,
            rest: Some(range),
        }
    }

    /// The next rows, those included that only the residue will take away; `None` after the last.
    pub(crate) async fn next<T: FromRow>(
        &mut self,
        statement: &Statement<T>,
    ) -> Result<Option<Vec<T>>, ListError> {
        let Some(range) = self.rest.take() else {
            return Ok(None);
        };
        let size = range.limit.map_or(PORTION, |limit| limit.min(PORTION));
        let left = range.limit.map(|limit| limit - size);
        let order = range.order.clone();
        let portion = Range {
            limit: Some(size),
            ..range
        };
        let rows = statement.portion(&self.db, portion).await?;
        if let Some(last) = rows.last()
            && rows.len() as u64 == size
            && left != Some(0)
        {
            self.rest = Some(Range {
                behind: Some(self.behind(statement.entity_set, last)?),
                order,
                skip: 0,
                limit: left,
            });
        }
        Ok((!rows.is_empty()).then_some(rows))
    }

    fn behind<T: FromRow>(&self, entity_set: &'static EntitySet<T>, last: &T) -> Result<Fragment, ListError> {
        let token = SkipToken {
            values: self.order.values(&entity_set.view(last), &entity_set.schema),
            remaining_top: None,
        };
        let order = SqlOrder::new(&self.order, &entity_set.mappings)
            .ok_or_else(|| StoreError::broken("an order that SQL could say cannot be said any more"))?;
        Ok(order.behind(&token)?)
    }
}
