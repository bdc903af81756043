//! Rows by one short statement after the other, each behind the last row of the one before (keyset pagination).
//!
//! Whoever asks the database more about each batch must not hold what the rows come on: a connection, or a permit for
//! long reads. When all of those were taken by such readers, each would wait for the others for ever. The same holds for
//! those who wait for the network: however slowly a list is taken, nothing of the database's waits with it.

use super::{
    ListError,
    order::SqlOrder,
    statement::{Range, Statement},
};
use crate::{Batches, Db, FromRow, StoreError, db::complete, filter::Fragment};
use futures::{StreamExt, TryStreamExt, stream};
use odata::{OrderBy, SkipToken};
use std::{mem, sync::Arc, time::Duration};

/// Rows that one statement brings; few in tests, whose lists are short.
const PORTION: u64 = if cfg!(test) { 7 } else { 256 };

/// How long a stream waits for the network before it gives back what it holds.
const PATIENCE: Duration = Duration::from_secs(1);

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

/// The same rows in one stream for as long as they are taken at once, and in portions from where they are not.
pub(crate) async fn unhurried<T: FromRow>(
    db: &Db,
    statement: &Arc<Statement<T>>,
    order: OrderBy,
    range: Range,
) -> Result<Batches<T, ListError>, ListError> {
    let rest = Range {
        order: range.order.clone(),
        skip: 0,
        ..Range::default()
    };
    let limit = range.limit;
    let rows = statement.rows(db, range, PATIENCE).await?;
    Ok(going_on(db, statement, order, rows, Range { limit, ..rest }))
}

/// Rows from `source`, and from behind its last row the rest of them in portions when it says that it cannot wait.
fn going_on<T: FromRow>(
    db: &Db,
    statement: &Arc<Statement<T>>,
    order: OrderBy,
    source: Batches<T>,
    mut rest: Range,
) -> Batches<T, ListError> {
    let (db, statement) = (db.clone(), Arc::clone(statement));
    let batches = source.map(move |batch| match batch {
        Ok(rows) => {
            if let Some(last) = rows.last() {
                rest.behind = Some(behind(&statement, &order, last)?);
                rest.limit = rest.limit.map(|limit| limit.saturating_sub(rows.len() as u64));
            }
            Ok(complete(rows))
        }
        Err(StoreError::TooSlow(_)) if rest.behind.is_some() => {
            Ok(portions(&db, &statement, order.clone(), mem::take(&mut rest)))
        }
        Err(error) => Err(ListError::from(error)),
    });
    batches.try_flatten().boxed()
}

impl<T: FromRow> Portions<T> {
    /// The first rows of a range, if it has any, and what is wanted of it after them.
    async fn read(&self, range: Range) -> Result<Option<(Vec<T>, Option<Range>)>, ListError> {
        let size = range.limit.map_or(PORTION, |limit| limit.min(PORTION));
        let order = range.order.clone();
        let portion = Range {
            limit: Some(size),
            order: range.order,
            behind: range.behind,
            skip: range.skip,
        };
        let (rows, is_whole) = self.statement.portion(&self.db, portion).await?;
        let Some(last) = rows.last() else {
            return Ok(None);
        };
        let left = range.limit.map(|limit| limit.saturating_sub(rows.len() as u64));
        let is_last = is_whole && (rows.len() as u64) < size || left == Some(0);
        let rest = match is_last {
            true => None,
            false => Some(Range {
                behind: Some(behind(&self.statement, &self.order, last)?),
                order,
                skip: 0,
                limit: left,
            }),
        };
        Ok(Some((rows, rest)))
    }
}

/// What comes behind a row.
fn behind<T>(statement: &Statement<T>, order: &OrderBy, last: &T) -> Result<Fragment, ListError> {
    let entity_set = statement.entity_set;
    let token = SkipToken {
        values: order.values(&entity_set.view(last), &entity_set.schema),
        remaining_top: None,
    };
    let order = SqlOrder::new(order, &entity_set.mappings)
        .ok_or_else(|| StoreError::broken("an order that SQL could say cannot be said any more"))?;
    Ok(order.behind(&token)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        entity_sets::HOTFIXES,
        list::{
            Scope,
            tests::fixture::{FIXTURE, NOW, read},
        },
    };

    #[test]
    fn a_list_goes_on_behind_the_last_row_that_was_taken_in_time() {
        let request = read(&HOTFIXES, "$orderby=status desc,startedOn").unwrap();
        for (name, db) in &FIXTURE.databases {
            FIXTURE.runtime.block_on(async {
                let statement = Arc::new(Statement::new(db, &HOTFIXES, Scope::everything(), None, NOW));
                let order = SqlOrder::new(&request.order, &HOTFIXES.mappings)
                    .unwrap()
                    .clause();
                let range = |limit| Range {
                    order: Some(order.clone()),
                    limit,
                    ..Range::default()
                };
                let (all, _) = statement.portion(db, range(None)).await.unwrap();
                assert!(all.len() > 16, "{name}");
                for (taken, limit) in [(1, None), (9, None), (9, Some(12)), (9, Some(16))] {
                    let begun: Vec<Result<_, StoreError>> = vec![
                        Ok(all[..1].to_vec()),
                        Ok(all[1..taken].to_vec()),
                        Err(StoreError::TooSlow(PATIENCE)),
                    ];
                    let source = stream::iter(begun).boxed();
                    let rows = going_on(db, &statement, request.order.clone(), source, range(limit));
                    let rows: Vec<_> = rows.try_concat().await.unwrap();
                    let wanted = limit.map_or(all.len(), |limit| limit as usize);
                    assert_eq!(rows, all[..wanted], "{name}, {taken}, {limit:?}");
                }
            });
        }
    }
}
