//! The rows of an answer as they come, and whether more of them would have followed.

use super::{
    entity_set::EntitySet,
    error::ListError,
    order::SqlOrder,
    portions::Portions,
    request::ListRequest,
    sorted,
    statement::{Range, Statement},
};
use crate::{Db, FromRow, Rows};
use odata::{OrderBy, SkipToken, Value};

/// An answer to a list request: its rows, batch by batch.
pub struct Page<T: 'static> {
    /// How many rows there are on this page or not, if that was asked for.
    pub count: Option<u64>,
    statement: Statement<T>,
    source: Source<T>,
    /// Rows that are still to be left out.
    skip: u64,
    /// Rows that may still be given out.
    room: Option<u64>,
    next: Option<NextPage>,
}

/// Where the rows of a page come from.
enum Source<T> {
    /// They arrive while others are sent on.
    Stream(Rows<T>),
    /// Each batch by a statement of its own.
    Portions(Portions),
    /// None comes any more.
    Spent,
}

impl<T: FromRow> Source<T> {
    async fn next(&mut self, statement: &Statement<T>) -> Result<Option<Vec<T>>, ListError> {
        match self {
            Self::Stream(rows) => Ok(rows.next().await?),
            Self::Portions(portions) => portions.next(statement).await,
            Self::Spent => Ok(None),
        }
    }
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
struct Portion {
    skip: u64,
    limit: Option<u64>,
    /// Whether it matters if there is a row behind them.
    look_ahead: bool,
}

impl Portion {
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

impl<T: FromRow> Page<T> {
    /// Begins the answer.
    pub(crate) async fn open(
        db: &Db,
        statement: Statement<T>,
        request: ListRequest,
        count: Option<u64>,
    ) -> Result<Self, ListError> {
        let portion = Portion::of(&request);
        let (source, skip) = fetch(db, &statement, &request, portion).await?;
        let top = request
            .after
            .as_ref()
            .map_or(request.top, |token| token.remaining_top);
        let next = portion.look_ahead.then(|| NextPage {
            order: request.order,
            fingerprint: request.fingerprint,
            remaining_top: top.zip(portion.limit).map(|(top, limit)| top - limit),
            last: Vec::new(),
            exists: false,
        });
        Ok(Self {
            count,
            statement,
            source,
            skip,
            room: portion.limit,
            next,
        })
    }

    /// The next rows, never none; `None` after the last.
    ///
    /// # Errors
    /// When the database fails on the way, or the filter does for a row that came to be only now.
    pub async fn next(&mut self) -> Result<Option<Vec<T>>, ListError> {
        while self.may_need_rows() {
            let Some(batch) = self.source.next(&self.statement).await? else {
                break;
            };
            let mut batch = self.statement.kept(batch)?;
            let skipped = self.skip.min(batch.len() as u64);
            self.skip -= skipped;
            batch.drain(..skipped as usize);
            self.cut(&mut batch);
            if !batch.is_empty() {
                return Ok(Some(batch));
            }
        }
        self.source = Source::Spent;
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

    /// After the last batch: the token of the next page, if there is one.
    pub fn next_token(&self) -> Option<String> {
        let next = self.next.as_ref().filter(|next| next.exists)?;
        let token = SkipToken {
            values: next.last.clone(),
            remaining_top: next.remaining_top,
        };
        Some(token.encode(next.fingerprint))
    }
}

/// The rows in their order, and how many of them are still to be skipped.
async fn fetch<T: FromRow>(
    db: &Db,
    statement: &Statement<T>,
    request: &ListRequest,
    portion: Portion,
) -> Result<(Source<T>, u64), ListError> {
    if portion.limit == Some(0) {
        return Ok((Source::Spent, 0));
    }
    let Some(order) = SqlOrder::new(&request.order, &statement.entity_set.mappings) else {
        let limit = portion
            .with_look_ahead()
            .map(|limit| limit.saturating_add(portion.skip));
        let rows = sorted::rows(
            db,
            statement,
            &request.order,
            request.after.as_ref(),
            limit,
            sorted::CAPACITY,
        )
        .await?;
        return Ok((Source::Stream(Rows::complete(rows)), portion.skip));
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
    let mut skip = portion.skip;
    if statement.post_filter().is_empty() {
        range.skip = std::mem::take(&mut skip);
        range.limit = portion.with_look_ahead();
    }
    let source = match request.in_portions {
        true => Source::Portions(Portions::new(db, request.order.clone(), range)),
        false => Source::Stream(statement.rows(db, range).await?),
    };
    Ok((source, skip))
}
