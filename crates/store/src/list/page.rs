//! The rows of an answer as they come, and whether more of them would have followed.

use super::{
    entity_set::EntitySet,
    error::ListError,
    order::SqlOrder,
    portions::{portions, unhurried},
    request::ListRequest,
    sorted,
    statement::{Range, Statement},
};
use crate::{Batches, Db, FromRow, db::complete};
use futures::{StreamExt, TryStreamExt, stream};
use odata::{OrderBy, SkipToken, Value};
use std::{
    future::Future,
    mem,
    sync::{Arc, OnceLock},
};

/// An answer to a list request: its rows, or what was made of them, batch by batch.
pub struct Page<T, E = ListError> {
    /// How many rows there are on this page or not, if that was asked for.
    pub count: Option<u64>,
    /// The most rows that a page has, if pages were asked for.
    pub page_size: Option<u32>,
    batches: Batches<T, E>,
    next_token: Arc<OnceLock<String>>,
}

impl<T: Send + 'static, E: Send + 'static> Page<T, E> {
    /// The next rows; `None` after the last.
    ///
    /// # Errors
    /// When the database fails on the way, or the filter does for a row that came to be only now.
    pub async fn next(&mut self) -> Result<Option<Vec<T>>, E> {
        self.batches.try_next().await
    }

    /// After the last batch: the token of the next page, if there is one.
    pub fn next_token(&self) -> Option<&str> {
        self.next_token.get().map(String::as_str)
    }

    /// Whether nothing comes at all. The first batch is read to know it, and kept.
    ///
    /// # Errors
    /// As for [`Page::next`].
    pub async fn is_empty(&mut self) -> Result<bool, E> {
        let first = self.next().await?;
        let is_empty = first.is_none();
        let rest = mem::replace(&mut self.batches, stream::empty().boxed());
        self.batches = stream::iter(first.map(Ok)).chain(rest).boxed();
        Ok(is_empty)
    }

    /// The page of what `make` makes of each batch when it is asked for.
    pub fn and_then<U, Made>(self, make: impl FnMut(Vec<T>) -> Made + Send + 'static) -> Page<U, E>
    where
        Made: Future<Output = Result<Vec<U>, E>> + Send + 'static,
    {
        Page {
            count: self.count,
            page_size: self.page_size,
            batches: self.batches.and_then(make).boxed(),
            next_token: self.next_token,
        }
    }

    /// The same page with errors of another kind.
    pub fn err_into<F: From<E> + Send + 'static>(self) -> Page<T, F> {
        Page {
            count: self.count,
            page_size: self.page_size,
            batches: self.batches.err_into().boxed(),
            next_token: self.next_token,
        }
    }
}

/// The rows of a page that are still to be read.
struct Remaining<T: 'static> {
    statement: Arc<Statement<T>>,
    source: Batches<T, ListError>,
    /// Rows that are still to be left out.
    skip: u64,
    /// Rows that may still be given out.
    room: Option<u64>,
    next: Option<NextPage>,
    next_token: Arc<OnceLock<String>>,
}

/// What is needed to say where the next page begins.
struct NextPage {
    order: OrderBy,
    fingerprint: u64,
    remaining_top: Option<u64>,
    /// What the last row given out was ordered by.
    last: Vec<Value<'static>>,
    /// Whether a row was seen that belongs on it.
    exists: bool,
}

/// How many rows are wanted.
#[derive(Clone, Copy)]
struct Bounds {
    skip: u64,
    limit: Option<u64>,
    /// Whether it matters if there is a row behind them.
    look_ahead: bool,
}

impl Bounds {
    fn of(request: &ListRequest) -> Self {
        // A token stands behind what was skipped, and knows what is left of the top.
        let (skip, top) = match &request.after {
            Some(token) => (0, token.remaining_top),
            None => (request.skip, request.top),
        };
        let page_size = request.page_size.map(u64::from);
        let look_ahead = page_size.is_some_and(|size| top.is_none_or(|top| size < top));
        Self {
            skip,
            limit: if look_ahead { page_size } else { top },
            look_ahead,
        }
    }

    /// The rows to fetch behind those that are skipped.
    fn with_look_ahead(self) -> Option<u64> {
        self.limit
            .map(|limit| limit.saturating_add(u64::from(self.look_ahead)))
    }
}

/// Begins the answer.
pub(crate) async fn open<T: FromRow>(
    db: &Db,
    statement: Arc<Statement<T>>,
    request: ListRequest,
    count: Option<u64>,
) -> Result<Page<T>, ListError> {
    let bounds = Bounds::of(&request);
    let (source, skip) = fetch(db, &statement, &request, bounds).await?;
    let top = request
        .after
        .as_ref()
        .map_or(request.top, |token| token.remaining_top);
    let next = bounds.look_ahead.then(|| NextPage {
        order: request.order,
        fingerprint: request.fingerprint,
        remaining_top: top.zip(bounds.limit).map(|(top, limit)| top - limit),
        last: Vec::new(),
        exists: false,
    });
    let next_token = Arc::default();
    let remaining = Remaining {
        statement,
        source,
        skip,
        room: bounds.limit,
        next,
        next_token: Arc::clone(&next_token),
    };
    Ok(Page {
        count,
        page_size: request.page_size,
        batches: stream::try_unfold(remaining, Remaining::read).boxed(),
        next_token,
    })
}

impl<T: FromRow> Remaining<T> {
    /// The next rows, never none, and those that remain then. What the rows come on is let go after the last.
    async fn read(mut self) -> Result<Option<(Vec<T>, Self)>, ListError> {
        while self.may_need_rows() {
            let Some(batch) = self.source.try_next().await? else {
                break;
            };
            let mut batch = self.statement.kept(batch).await?;
            let skipped = batch.len().min(usize::try_from(self.skip).unwrap_or(usize::MAX));
            self.skip -= skipped as u64;
            batch.drain(..skipped);
            self.cut(&mut batch);
            if !batch.is_empty() {
                return Ok(Some((batch, self)));
            }
        }
        if let Some(next) = self.next.filter(|next| next.exists) {
            let _ = self.next_token.set(next.token());
        }
        Ok(None)
    }

    fn may_need_rows(&self) -> bool {
        self.room != Some(0) || self.next.as_ref().is_some_and(|next| !next.exists)
    }

    /// Takes away what is beyond the page, and remembers where the page ends.
    fn cut(&mut self, batch: &mut Vec<T>) {
        if let Some(room) = &mut self.room {
            let taken = usize::try_from(*room).unwrap_or(usize::MAX).min(batch.len());
            *room -= taken as u64;
            if let Some(next) = &mut self.next {
                next.exists |= taken < batch.len();
            }
            batch.truncate(taken);
        }
        if let (Some(next), Some(last)) = (&mut self.next, batch.last()) {
            let entity_set: &EntitySet<T> = self.statement.entity_set;
            next.last = next.order.values(&entity_set.view(last), &entity_set.schema);
        }
    }
}

impl NextPage {
    fn token(self) -> String {
        let token = SkipToken {
            values: self.last,
            remaining_top: self.remaining_top,
        };
        token.encode(self.fingerprint)
    }
}

/// The rows in their order, and how many of them are still to be skipped.
async fn fetch<T: FromRow>(
    db: &Db,
    statement: &Arc<Statement<T>>,
    request: &ListRequest,
    bounds: Bounds,
) -> Result<(Batches<T, ListError>, u64), ListError> {
    if bounds.limit == Some(0) {
        return Ok((complete(Vec::new()), 0));
    }
    let Some(order) = SqlOrder::new(&request.order, &statement.entity_set.mappings) else {
        let limit = bounds
            .with_look_ahead()
            .map(|limit| limit.saturating_add(bounds.skip));
        let source = sorted::rows(
            db,
            statement,
            &request.order,
            request.after.as_ref(),
            limit,
            sorted::CAPACITY,
        )
        .await?;
        return Ok((source, bounds.skip));
    };
    let behind = request
        .after
        .as_ref()
        .map(|token| order.behind(token))
        .transpose()?;
    let mut range = Range {
        behind,
        order: Some(order.clause()),
        skip: 0,
        limit: None,
    };
    let mut skip = bounds.skip;
    if statement.is_in_sql() {
        range.skip = std::mem::take(&mut skip);
        range.limit = bounds.with_look_ahead();
    }
    let source = match request.in_portions {
        true => portions(db, statement, request.order.clone(), range),
        false => unhurried(db, statement, request.order.clone(), range).await?,
    };
    Ok((source, skip))
}
