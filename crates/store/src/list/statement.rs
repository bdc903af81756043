//! The statement of a list: where its rows come from and which of them are wanted, before any order.

use super::{entity_set::EntitySet, error::ListError, request::refused, scope::Scope};
use crate::{
    Batches, Db, FromRow, StoreError, Value, db,
    filter::{self, Fragment, PostFilter},
};
use domain::instant::Instant as Moment;
use futures::TryStreamExt;
use odata::{Filter, QueryError};
use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// What deciding in memory may cost one request, all of its rows together: more would take a processor from everybody else.
#[derive(Clone, Copy)]
pub(crate) struct Budget {
    pub(crate) rows: u64,
    pub(crate) time: Duration,
}

/// Rows that are read at once where no more are wanted.
const SHORT: u64 = 256;

const BUDGET: Budget = Budget {
    rows: 5_000_000,
    time: Duration::from_secs(10),
};

/// The rows that a filter leaves: what of it is in the statement, and what is not.
pub(crate) struct Statement<T: 'static> {
    pub(crate) entity_set: &'static EntitySet<T>,
    /// From `FROM` on.
    source: String,
    values: Vec<Value>,
    filter: Option<Filter>,
    post_filter: PostFilter,
    now: odata::Instant,
    budget: Budget,
    spent: Mutex<(u64, Duration)>,
}

/// The part of the rows that SQL is to bring.
#[derive(Default)]
pub(crate) struct Range {
    /// The condition that continues behind a row.
    pub(crate) behind: Option<Fragment>,
    /// What stands behind `ORDER BY`; without it the rows come in any order.
    pub(crate) order: Option<String>,
    pub(crate) skip: u64,
    pub(crate) limit: Option<u64>,
}

impl<T: FromRow> Statement<T> {
    pub(crate) fn new(
        db: &Db,
        entity_set: &'static EntitySet<T>,
        scope: Scope,
        filter: Option<&Filter>,
        now: Moment,
    ) -> Self {
        let now = odata::Instant::from_ticks(now.0);
        let split =
            filter.map(|filter| filter::split_filter(filter, &entity_set.mappings, db.dialect(), now));
        let split = split.unwrap_or_default();
        let mut source = format!("FROM {} WHERE {}", entity_set.table, scope.sql);
        if let Some(condition) = entity_set.condition {
            source.push_str(" AND ");
            source.push_str(condition);
        }
        let mut values = scope.values;
        for condition in split.in_sql {
            source.push_str(" AND ");
            condition.append_to(&mut source, &mut values);
        }
        Self {
            entity_set,
            source,
            values,
            filter: filter.cloned(),
            post_filter: split.post_filter,
            now,
            budget: BUDGET,
            spent: Mutex::default(),
        }
    }

    /// The same with another budget.
    #[cfg(test)]
    pub(crate) fn with_budget(self, budget: Budget) -> Self {
        Self { budget, ..self }
    }

    pub(crate) fn post_filter(&self) -> &PostFilter {
        &self.post_filter
    }

    /// The rows of a range, those included that only the filter's rest will take away.
    ///
    /// A short list is read at once: it needs no place among those that take as long as their receivers do.
    pub(crate) async fn rows(&self, db: &Db, range: Range) -> Result<Batches<T>, StoreError> {
        if range.limit.is_some_and(|limit| limit <= SHORT) {
            return self.portion(db, range).await.map(db::complete);
        }
        let (sql, values) = self.select(range);
        db.query(sql).bind_all(values).stream().await
    }

    /// The same for a range so short that they are read at once.
    pub(crate) async fn portion(&self, db: &Db, range: Range) -> Result<Vec<T>, StoreError> {
        let (sql, values) = self.select(range);
        db.query(sql).bind_all(values).fetch_all().await
    }

    pub(crate) fn select(&self, range: Range) -> (String, Vec<Value>) {
        let mut sql = format!("SELECT {} {}", self.entity_set.columns, self.source);
        let mut values = self.values.clone();
        if let Some(behind) = range.behind {
            sql.push_str(" AND ");
            behind.append_to(&mut sql, &mut values);
        }
        if let Some(order) = range.order {
            sql.push_str(" ORDER BY ");
            sql.push_str(&order);
        }
        // SQLite knows an offset only behind a limit.
        if range.limit.is_some() || range.skip > 0 {
            let limit = range.limit.and_then(|limit| i64::try_from(limit).ok());
            push_bound(&mut sql, &mut values, " LIMIT ", limit.unwrap_or(i64::MAX));
        }
        if range.skip > 0 {
            let skip = i64::try_from(range.skip).unwrap_or(i64::MAX);
            push_bound(&mut sql, &mut values, " OFFSET ", skip);
        }
        (sql, values)
    }

    /// How many rows the whole filter leaves.
    pub(crate) async fn count(&self, db: &Db) -> Result<u64, ListError> {
        if self.post_filter.is_empty() {
            return self.count_in_sql(db).await;
        }
        let mut rows = self.rows(db, Range::default()).await?;
        let mut count = 0;
        while let Some(batch) = rows.try_next().await? {
            count += self.kept(batch)?.len() as u64;
        }
        Ok(count)
    }

    async fn count_in_sql(&self, db: &Db) -> Result<u64, ListError> {
        let sql = format!("SELECT COUNT(*) {}", self.source);
        let counted = db.query(sql).bind_all(self.values.clone());
        let (count,) = counted.fetch_one::<(i64,)>().await?;
        Ok(count.unsigned_abs())
    }

    /// The rows of a batch that the filter's rest keeps.
    pub(crate) fn kept(&self, batch: Vec<T>) -> Result<Vec<T>, ListError> {
        let Some(filter) = self.filter.as_ref().filter(|_| !self.post_filter.is_empty()) else {
            return Ok(batch);
        };
        let (rows, begun) = (batch.len(), Instant::now());
        let mut kept = Vec::with_capacity(batch.len());
        for row in batch {
            if self
                .post_filter
                .keeps(filter, &self.entity_set.view(&row), self.now)?
            {
                kept.push(row);
            }
        }
        self.spend("$filter", rows, begun.elapsed())?;
        Ok(kept)
    }

    /// Accounts for rows that were decided about in memory, because of the query option `option`.
    pub(crate) fn spend(&self, option: &str, rows: usize, time: Duration) -> Result<(), QueryError> {
        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        spent.0 += rows as u64;
        spent.1 += time;
        if spent.0 <= self.budget.rows && spent.1 <= self.budget.time {
            return Ok(());
        }
        let (rows, seconds) = (spent.0, spent.1.as_secs_f32());
        Err(refused(
            option,
            format!(
                "Parts of {option} can only be decided by the service itself, row by row. After {rows} rows and {seconds:.1} s of that it is given up. Narrow the list by conditions on properties as they are, such as eq, lt or startswith."
            ),
        ))
    }
}

fn push_bound(sql: &mut String, values: &mut Vec<Value>, word: &str, number: i64) {
    values.push(Value::Int(number));
    sql.push_str(word);
    sql.push('$');
    sql.push_str(&values.len().to_string());
}
