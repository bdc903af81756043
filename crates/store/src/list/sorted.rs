//! An order that SQL cannot say. The rows stream past, and only what they are sorted by stays of them, and only of as
//! many of them as can still be among the first that are wanted. Once they are in order, all that stays are their keys,
//! by which they are read again as they are sent.
//!
//! What all sorts together keep is bounded, for as long as it is kept: a receiver may be slow.

use super::{
    entity_set::EntitySet,
    error::ListError,
    order::SqlOrder,
    request::refused,
    statement::{Range, Statement},
    work::Watch,
};
use crate::{
    Batches, Db, FromRow, StoreError,
    shares::{Place, Shares},
};
use futures::{StreamExt, TryStreamExt, stream};
use odata::{OrderBy, SkipToken, Value};
use std::{sync::Arc, vec};

/// The most rows that are kept in memory at once.
pub(crate) const CAPACITY: usize = 100_000;
/// Rows that are read at once by their keys.
const BATCH: usize = if cfg!(test) { 7 } else { 256 };
/// Rows from which on those that cannot be wanted any more are taken away.
const MANY: usize = 4_096;
/// Bytes of one place among those for sorts.
const BLOCK: usize = 256 * 1024;
/// Bytes that all sorts together may keep.
const MEMORY: usize = 96 * 1024 * 1024;

/// Places for what sorts keep.
pub(crate) fn places() -> Shares {
    Shares::new("sort", MEMORY / BLOCK)
}

/// What one row is ordered by, or found by.
type Values = Vec<Value<'static>>;

/// The first `limit` rows behind the token's position, in their order; all of them without a `limit`. No more than
/// `capacity` rows, give or take a batch, are kept at once.
pub(crate) async fn rows<T: FromRow>(
    db: &Db,
    statement: &Arc<Statement<T>>,
    order: &OrderBy,
    after: Option<&SkipToken>,
    limit: Option<u64>,
    capacity: usize,
) -> Result<Batches<T, ListError>, ListError> {
    let wanted = limit
        .and_then(|limit| usize::try_from(limit).ok())
        .filter(|limit| *limit <= capacity / 2);
    let sorting = Arc::new(Sorting {
        entity_set: statement.entity_set,
        order: order.clone(),
        by_key: OrderBy::new(Vec::new(), &statement.entity_set.schema),
        after: after.cloned(),
        wanted,
        capacity,
    });
    let mut memory = Memory {
        db: db.clone(),
        places: Vec::new(),
    };
    let mut first: Vec<Values> = Vec::new();
    let mut rows = statement.all(db).await?;
    while let Some(batch) = rows.try_next().await? {
        let kept = statement.kept(batch).await?;
        let sorting = Arc::clone(&sorting);
        let turn = move |_: &Watch| (kept.len() as u64, sorting.add(first, kept));
        let size;
        (first, size) = statement.work.aside("$orderby", turn).await?;
        memory.hold(size, statement).await?;
    }
    let sorted = Arc::clone(&sorting);
    let turn = move |_: &Watch| (0, Ok(sorted.keys(first)));
    let (keys, size) = statement.work.aside("$orderby", turn).await?;
    memory.hold(size, statement).await?;
    let found = Found {
        db: db.clone(),
        statement: Arc::clone(statement),
        by_key: sorting.by_key.clone(),
        keys: keys.into_iter(),
        _memory: memory,
    };
    Ok(stream::try_unfold(found, Found::read).boxed())
}

/// What rows are sorted by, and which of them are wanted.
struct Sorting<T: 'static> {
    entity_set: &'static EntitySet<T>,
    order: OrderBy,
    by_key: OrderBy,
    after: Option<SkipToken>,
    wanted: Option<usize>,
    capacity: usize,
}

impl<T> Sorting<T> {
    /// What is kept once there are more rows, and its size.
    fn add(&self, mut first: Vec<Values>, more: Vec<T>) -> Result<(Vec<Values>, usize), ListError> {
        for row in more {
            let values = self
                .order
                .values(&self.entity_set.view(&row), &self.entity_set.schema);
            let is_behind = |token: &SkipToken| self.order.compare(&values, &token.values).is_gt();
            if self.after.as_ref().is_none_or(is_behind) {
                first.push(values);
            }
        }
        let most = self.wanted.map_or(self.capacity, |wanted| (2 * wanted).max(MANY));
        if first.len() >= most.min(self.capacity) {
            let wanted = self.wanted.ok_or_else(|| too_many(self.capacity))?;
            self.keep_first(&mut first, wanted);
        }
        let size = size(&first);
        Ok((first, size))
    }

    /// The keys of the rows that are wanted, in order, and their size.
    fn keys(&self, mut first: Vec<Values>) -> (Vec<Values>, usize) {
        self.keep_first(&mut first, self.wanted.unwrap_or(self.capacity));
        let positions: Vec<usize> = self
            .by_key
            .terms
            .iter()
            .filter_map(|key| self.order.terms.iter().position(|term| term.key == key.key))
            .collect();
        let keys: Vec<Values> = first
            .into_iter()
            .map(|values| {
                positions
                    .iter()
                    .filter_map(|&at| values.get(at).cloned())
                    .collect()
            })
            .collect();
        let size = size(&keys);
        (keys, size)
    }

    fn keep_first(&self, rows: &mut Vec<Values>, limit: usize) {
        rows.sort_by(|left, right| self.order.compare(left, right));
        rows.truncate(limit);
    }
}

/// How many bytes they take in memory, what the allocator adds included.
fn size(rows: &[Values]) -> usize {
    const ADDED: usize = 16;
    let bytes = |value: &Value| match value {
        Value::Text(text) => size_of::<Value>() + ADDED + text.len(),
        Value::Binary(bytes) => size_of::<Value>() + ADDED + bytes.len(),
        _ => size_of::<Value>(),
    };
    let sizes = rows.iter().map(|values| values.iter().map(bytes).sum::<usize>());
    sizes.map(|values| size_of::<Values>() + ADDED + values).sum()
}

/// The part that one sort has of the memory of all sorts.
struct Memory {
    db: Db,
    places: Vec<Place>,
}

impl Memory {
    async fn hold<T>(&mut self, bytes: usize, statement: &Statement<T>) -> Result<(), ListError> {
        let (shares, wanted) = (self.db.sorts(), bytes.div_ceil(BLOCK));
        if wanted > shares.each() {
            let message = format!(
                "What the rows are sorted by is more than {} MiB. Narrow the list with $filter, or ask for fewer rows \
                 with $top or by pages.",
                shares.each() * BLOCK / (1024 * 1024)
            );
            return Err(refused("$orderby", message).into());
        }
        while self.places.len() < wanted {
            self.places.push(shares.place(statement.work.holder).await?);
        }
        self.places.truncate(wanted);
        Ok(())
    }
}

/// The rows of a sorted list that are still to be read.
struct Found<T: 'static> {
    db: Db,
    statement: Arc<Statement<T>>,
    by_key: OrderBy,
    keys: vec::IntoIter<Values>,
    _memory: Memory,
}

impl<T: FromRow> Found<T> {
    async fn read(mut self) -> Result<Option<(Vec<T>, Self)>, ListError> {
        let mut size = BATCH;
        while !self.keys.as_slice().is_empty() {
            size = size.min(self.keys.len());
            let keys = self.keys.as_slice().get(..size).unwrap_or_default();
            let (rows, is_whole) = self.rows(keys).await?;
            if !is_whole && size > 1 {
                // Rows that are too large to be read together.
                size = (size / 4).max(1);
                continue;
            }
            self.keys.by_ref().take(size).for_each(drop);
            if !rows.is_empty() {
                return Ok(Some((rows, self)));
            }
        }
        Ok(None)
    }

    /// The rows of these keys in their order, but for those that are gone, and whether they are all.
    async fn rows(&self, keys: &[Values]) -> Result<(Vec<T>, bool), ListError> {
        let entity_set = self.statement.entity_set;
        let is_one_of =
            SqlOrder::new(&self.by_key, &entity_set.mappings).and_then(|order| order.one_of(keys));
        let range = Range {
            behind: Some(is_one_of.ok_or_else(|| StoreError::broken("a row cannot be found by its key"))?),
            ..Range::default()
        };
        let values = |row: &T| self.by_key.values(&entity_set.view(row), &entity_set.schema);
        let (rows, is_whole) = self.statement.portion(&self.db, range).await?;
        let mut found: Vec<(Values, Option<T>)> =
            rows.into_iter().map(|row| (values(&row), Some(row))).collect();
        found.sort_by(|(left, _), (right, _)| self.by_key.compare(left, right));
        let mut take = |key: &Values| {
            let at = found
                .binary_search_by(|(values, _)| self.by_key.compare(values, key))
                .ok()?;
            found.get_mut(at)?.1.take()
        };
        Ok((keys.iter().filter_map(&mut take).collect(), is_whole))
    }
}

fn too_many(capacity: usize) -> odata::QueryError {
    let message = format!(
        "More than {capacity} rows cannot be sorted in this way. Narrow the list with $filter, or ask for fewer rows with \
         $top or by pages."
    );
    refused("$orderby", message)
}
