//! The statement of a list: where its rows come from and which of them are wanted, before any order.

use super::{
    entity_set::EntitySet,
    error::ListError,
    order::SqlOrder,
    portions::portions,
    scope::Scope,
    work::{Watch, Work},
};
use crate::{
    Batches, Db, FromRow, StoreError, Value,
    db::{self, BATCH, RECEIVED},
    filter::{self, Fragment, PostFilter},
};
use domain::instant::Instant as Moment;
use futures::{StreamExt, TryStreamExt, future::BoxFuture};
use odata::{Account, Filter, OrderBy};
use std::{borrow::Cow, sync::Arc, time::Duration, vec};

/// The rows that a filter leaves: what of it is in the statement, and what is not.
pub(crate) struct Statement<T: 'static> {
    pub(crate) entity_set: &'static EntitySet<T>,
    columns: Cow<'static, str>,
    /// From `FROM` on.
    source: String,
    values: Vec<Value>,
    completion: Option<Completion<T>>,
    judge: Option<Arc<Judge<T>>>,
    pub(crate) work: Arc<Work>,
}

/// Adds to the rows of a batch what the database alone does not know. It may ask the database more, so it is asked while
/// nothing of it is held; and it may leave rows out.
pub type Completion<T> = Arc<dyn Fn(Vec<T>) -> BoxFuture<'static, Result<Vec<T>, ListError>> + Send + Sync>;

/// What decides about rows in memory.
struct Judge<T: 'static> {
    entity_set: &'static EntitySet<T>,
    filter: Filter,
    post_filter: PostFilter,
    now: odata::Instant,
}

/// Rows about which nobody has decided yet, and those that stay.
type Judged<T> = (vec::IntoIter<T>, Vec<T>);

impl<T> Judge<T> {
    /// Decides about rows for as long as it is its turn, and about one at least; how many there were.
    fn judge(&self, (mut rows, mut kept): Judged<T>, watch: &Watch) -> (u64, Result<Judged<T>, ListError>) {
        let is_wanted = || watch.is_wanted();
        let mut account = Account::new(&is_wanted);
        let mut decided = 0;
        for row in &mut rows {
            decided += 1;
            let view = self.entity_set.view(&row);
            match self
                .post_filter
                .keeps(&self.filter, &view, self.now, &mut account)
            {
                Ok(true) => kept.push(row),
                Ok(false) => {}
                Err(error) => return (decided, Err(error.into())),
            }
            if watch.is_over() {
                break;
            }
        }
        (decided, Ok((rows, kept)))
    }
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
        let judge = filter
            .filter(|_| !split.post_filter.is_empty())
            .map(|filter| Judge {
                entity_set,
                filter: filter.clone(),
                post_filter: split.post_filter,
                now,
            });
        for condition in split.in_sql {
            source.push_str(" AND ");
            condition.append_to(&mut source, &mut values);
        }
        Self {
            entity_set,
            columns: Cow::Borrowed(entity_set.columns),
            source,
            values,
            completion: None,
            judge: judge.map(Arc::new),
            work: Arc::new(Work::new(db, scope.holder)),
        }
    }

    /// The same without what makes rows large, for those who do not look at it.
    pub(crate) fn without_bulk(self) -> Self {
        let Some((_, column)) = self.entity_set.bulk else {
            return self;
        };
        Self {
            columns: self.columns.replace(column, "'[]'").into(),
            ..self
        }
    }

    /// The same of rows that are completed before anything in memory looks at them.
    pub(crate) fn completed_by(self, completion: Option<Completion<T>>) -> Self {
        Self { completion, ..self }
    }

    /// The same with more to read of each row, behind the rest: a column for each value, in which `{value}` stands for it.
    pub(crate) fn reading(mut self, column: &str, values: Vec<Value>) -> Self {
        let mut columns = self.columns.into_owned();
        for value in values {
            self.values.push(value);
            columns.push_str(", ");
            columns.push_str(&column.replace("{value}", &format!("${}", self.values.len())));
        }
        Self {
            columns: columns.into(),
            ..self
        }
    }

    /// The same with another budget.
    #[cfg(test)]
    pub(crate) fn with_budget(self, budget: super::work::Budget) -> Self {
        let work = Arc::into_inner(self.work).unwrap().with_budget(budget);
        Self {
            work: Arc::new(work),
            ..self
        }
    }

    /// Whether the database decides about all rows.
    pub(crate) fn is_in_sql(&self) -> bool {
        self.judge.is_none()
    }

    /// Whether deciding can fail for a row, as a division can.
    pub(crate) fn can_fail(&self) -> bool {
        self.judge
            .as_ref()
            .is_some_and(|judge| judge.post_filter.can_fail)
    }

    /// The rows of a range, those included that only the filter's rest will take away.
    ///
    /// A short list is read at once: it needs no place among those that take as long as their receivers do.
    /// A long one ends with [`StoreError::TooSlow`] when a batch is not taken within `patience`.
    pub(crate) async fn rows(
        &self,
        db: &Db,
        range: Range,
        patience: Duration,
    ) -> Result<Batches<T>, StoreError> {
        let is_short = range.limit.is_some_and(|limit| limit <= BATCH as u64);
        let (sql, values) = self.select(range);
        if is_short && let Some(rows) = db.query(&sql).bind_all(values.clone()).fetch_batch().await? {
            return Ok(db::complete(rows));
        }
        db.query(sql)
            .bind_all(values)
            .stream(self.work.holder, patience)
            .await
    }

    /// The first rows of a range that is so short that they are read at once, and whether they are all of it: rows that
    /// are too large for one batch come in several portions.
    pub(crate) async fn portion(&self, db: &Db, range: Range) -> Result<(Vec<T>, bool), StoreError> {
        let (sql, values) = self.select(range);
        if let Some(rows) = db.query(&sql).bind_all(values.clone()).fetch_batch().await? {
            return Ok((rows, true));
        }
        let mut rows = db
            .query(sql)
            .bind_all(values)
            .stream(self.work.holder, RECEIVED)
            .await?;
        let first = rows.try_next().await?;
        Ok((first.unwrap_or_default(), false))
    }

    pub(crate) fn select(&self, range: Range) -> (String, Vec<Value>) {
        let mut sql = format!("SELECT {} {}", self.columns, self.source);
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

    /// All rows in any order, those included that only the filter's rest will take away.
    pub(crate) async fn all(self: &Arc<Self>, db: &Db) -> Result<Batches<T, ListError>, ListError> {
        if self.completion.is_none() {
            let rows = self.rows(db, Range::default(), RECEIVED).await?;
            return Ok(rows.err_into().boxed());
        }
        let by_key = OrderBy::new(Vec::new(), &self.entity_set.schema);
        let order = SqlOrder::new(&by_key, &self.entity_set.mappings)
            .ok_or_else(|| StoreError::broken("SQL cannot say the order of the keys"))?;
        let range = Range {
            order: Some(order.clause()),
            ..Range::default()
        };
        Ok(portions(db, self, by_key, range))
    }

    /// How many rows the whole filter leaves.
    pub(crate) async fn count(self: &Arc<Self>, db: &Db) -> Result<u64, ListError> {
        if self.is_in_sql() {
            return self.count_in_sql(db).await;
        }
        let mut rows = self.all(db).await?;
        let mut count = 0;
        while let Some(batch) = rows.try_next().await? {
            count += self.kept(batch).await?.len() as u64;
        }
        Ok(count)
    }

    async fn count_in_sql(&self, db: &Db) -> Result<u64, ListError> {
        let sql = format!("SELECT COUNT(*) {}", self.source);
        let counted = db.query(sql).bind_all(self.values.clone());
        let (count,) = counted.fetch_one::<(i64,)>().await?;
        Ok(count.unsigned_abs())
    }

    /// The rows of a batch, completed, that the filter's rest keeps.
    pub(crate) async fn kept(&self, batch: Vec<T>) -> Result<Vec<T>, ListError> {
        let batch = match &self.completion {
            Some(complete) => complete(batch).await?,
            None => batch,
        };
        let Some(judge) = &self.judge else {
            return Ok(batch);
        };
        let mut judged = (batch.into_iter(), Vec::new());
        while !judged.0.as_slice().is_empty() {
            let judge = Arc::clone(judge);
            let turn = move |watch: &Watch| judge.judge(judged, watch);
            judged = self.work.aside("$filter", turn).await?;
        }
        Ok(judged.1)
    }
}

fn push_bound(sql: &mut String, values: &mut Vec<Value>, word: &str, number: i64) {
    values.push(Value::Int(number));
    sql.push_str(word);
    sql.push('$');
    sql.push_str(&values.len().to_string());
}
