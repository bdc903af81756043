//! What happened, on its way to those who subscribed to it: the outbox.
//!
//! A change adds its events in its own transaction, so that there are none without it and it has none that get lost.
//! Afterwards they are put in line: each is given a position, once and for good, and all of them are delivered to each
//! consumer in that order. Its cursor is the position of the last.
//!
//! The order in which rows were added would not do for a cursor. Changes go on side by side, so a row of a number that
//! a cursor has passed may be committed later, and would never be delivered. Waiting until every transaction is over
//! that had begun by then does not help either: the order of transactions is not the one in which changes of the same
//! operation follow each other, since one may begin before another that it then waits for. So only what is committed
//! gets a position, from one server at a time, which holds the row `line`; whatever becomes visible later comes behind.
//! Of two changes of the same operation the second waits for the commit of the first, so whoever sees the second sees
//! both, and the number that the database gave them says which was first.
//!
//! What has been delivered to all consumers is removed at once. A consumer begins with a row that a migration adds, and
//! ends with the migration that removes it; until then its cursor keeps what it has not been given.
//!
//! The feed is no such consumer: whoever reads it keeps in mind how far they have come, and begins again there. Its
//! cursor stands still behind the others, and so keeps what somebody may come back for, until that is older than it is
//! to be kept.

use super::{
    Db, FromRow, Row, StoreError, Tx,
    row::{Record as _, row, table},
};
use domain::{
    ids::{AppId, OperationId},
    instant::Instant,
};
use uuid::Uuid;

table! {
    /// Something that happened. The database adds the number of the row to it, and the line its position.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Event in "events" by [id] {
        /// By which whoever gets it twice knows it again.
        pub id: Uuid,
        /// What happened, such as `hotfix.started`.
        pub kind: String,
        /// The app it is about.
        pub app_id: Option<AppId>,
        /// The environment in which it happened.
        pub environment_id: Option<Uuid>,
        /// The operation it is a step of.
        pub operation_id: Option<OperationId>,
        /// JSON.
        pub payload: String,
        /// When the change was made.
        pub recorded_on: Instant,
    }
}

/// Adds events. Those of one operation come under its lock, one in a transaction.
pub async fn insert_events(tx: &mut Tx<'_>, events: &[Event]) -> Result<(), StoreError> {
    tx.add_all(events).await
}

/// A server that delivers events to a consumer.
#[derive(Clone, Debug)]
pub struct Deliverer {
    /// To whom.
    pub consumer: &'static str,
    /// Distinguishes this server from others.
    pub id: Uuid,
    /// The last event that it has delivered.
    pub delivered: Option<Delivered>,
    /// By what time others count.
    pub now: Instant,
    /// Until when they leave the consumer to this one.
    pub until: Instant,
}

/// An event that has been delivered to a consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// Which.
    pub id: Uuid,
    /// Its place in the line.
    pub position: i64,
}

/// What a consumer is to get next.
#[derive(Debug, PartialEq)]
pub enum Next {
    /// These, the last of which has that position.
    Events(Vec<Event>, i64),
    /// Nothing.
    Nothing,
    /// Whatever another server finds, which is delivering to it.
    DeliveredByAnother,
}

/// Whether there is anything for a consumer, in a look that changes nothing.
pub async fn has_next(db: &Db, consumer: &str) -> Result<bool, StoreError> {
    let (count,) = db
        .query(
            "SELECT COUNT(*)
             FROM event_cursors c
             WHERE c.consumer = $1
               AND (EXISTS (SELECT 1 FROM events t WHERE t.position IS NULL)
                    OR EXISTS (SELECT 1 FROM events t WHERE t.position > c.position))",
        )
        .bind(consumer)
        .fetch_one::<(i64,)>()
        .await?;
    Ok(count > 0)
}

/// When the oldest event happened that some consumer has not been given.
pub async fn oldest(db: &Db) -> Result<Option<Instant>, StoreError> {
    let oldest = db
        .query(
            "SELECT MIN(t.recorded_on)
             FROM (SELECT (SELECT recorded_on FROM events WHERE position IS NULL ORDER BY entered LIMIT 1) AS recorded_on
                   UNION ALL
                   SELECT (SELECT recorded_on FROM events
                           WHERE position > (SELECT MIN(position) FROM event_cursors WHERE consumer <> $1)
                           ORDER BY position LIMIT 1)) AS t",
        )
        .bind(FEED)
        .fetch_one::<(Option<Instant>,)>()
        .await?;
    Ok(oldest.0)
}

/// From where to where the line goes that the feed tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The position of the last event that is not kept any more.
    pub after: i64,
    /// That of the last event in line.
    pub end: i64,
}

/// Which events are kept.
pub async fn kept(db: &Db) -> Result<Kept, StoreError> {
    let (after, end) = db
        .query(
            "SELECT f.position, l.position
             FROM event_cursors f, event_cursors l
             WHERE f.consumer = $1 AND l.consumer = $2",
        )
        .bind(FEED)
        .bind(LINE)
        .fetch_one::<(i64, i64)>()
        .await?;
    Ok(Kept { after, end })
}

/// Up to `most` events behind a position, with theirs: those of an app, or all.
pub async fn read_line(
    db: &Db,
    app: Option<AppId>,
    after: i64,
    most: i64,
) -> Result<Vec<(i64, Event)>, StoreError> {
    let of_app = if app.is_some() { "AND t.app_id = $3" } else { "" };
    let query = db.query(format!(
        "SELECT {}, t.position
         FROM events t
         WHERE t.position > $1 {of_app}
         ORDER BY t.position
         LIMIT $2",
        Event::COLUMNS
    ));
    let query = query.bind(after).bind(most);
    let query = match app {
        Some(app) => query.bind(app),
        None => query,
    };
    let found: Vec<InLine> = query.fetch_all().await?;
    Ok(found
        .into_iter()
        .map(|InLine(event, position)| (position, event))
        .collect())
}

/// Forgets events that all consumers have been given: those of before an instant, and all but the last `most`. Not more
/// than `batch` of them; whether there may be more.
pub async fn forget(tx: &mut Tx<'_>, before: Instant, most: i64, batch: i64) -> Result<bool, StoreError> {
    let end = lock_cursor(tx, LINE).await?.position;
    let forgotten = lock_cursor(tx, FEED).await?.position;
    let (last,) = tx
        .query(
            "SELECT MAX(t.position)
             FROM (SELECT position, recorded_on FROM events
                   WHERE position > $1
                     AND position <= (SELECT MIN(position) FROM event_cursors WHERE consumer <> $2)
                   ORDER BY position
                   LIMIT $3) AS t
             WHERE t.recorded_on < $4 OR t.position <= $5",
        )
        .bind(forgotten)
        .bind(FEED)
        .bind(batch)
        .bind(before)
        .bind(end.saturating_sub(most))
        .fetch_one::<(Option<i64>,)>()
        .await?;
    let Some(last) = last else {
        return Ok(false);
    };
    tx.query("UPDATE event_cursors SET position = $2 WHERE consumer = $1")
        .bind(FEED)
        .bind(last)
        .execute()
        .await?;
    remove_delivered(tx).await?;
    Ok(true)
}

/// Writes down how far a consumer has come, and brings up to `most` events that come next. While there are any, no other
/// server delivers to the consumer, unless this one's time is over.
pub async fn next_events(tx: &mut Tx<'_>, deliverer: &Deliverer, most: i64) -> Result<Next, StoreError> {
    let end = lock_cursor(tx, LINE).await?.position;
    let cursor = lock_cursor(tx, deliverer.consumer).await?;
    if cursor.is_held_by_another(deliverer) {
        return Ok(Next::DeliveredByAnother);
    }
    put_in_line(tx, end, most).await?;
    let delivered = match deliverer.delivered {
        Some(delivered) if delivered.position > cursor.position && is_in_line(tx, delivered).await? => {
            delivered.position
        }
        _ => cursor.position,
    };
    let next = events_behind(tx, delivered, most).await?;
    let last = next.last().map(|InLine(_, position)| *position);
    set_cursor(tx, deliverer, delivered, last.is_some()).await?;
    if delivered > cursor.position {
        remove_delivered(tx).await?;
    }
    let events = next.into_iter().map(|InLine(event, _)| event).collect();
    Ok(last.map_or(Next::Nothing, |last| Next::Events(events, last)))
}

/// The cursor of the line itself.
const LINE: &str = "line";
/// That of the feed.
const FEED: &str = "feed";

row! {
    /// How far a consumer has come, and until when which server delivers to it.
    struct Cursor {
        /// The position of the last event.
        pub position: i64,
        /// The server.
        pub held_by: Option<Uuid>,
        /// Until when others leave the consumer to it.
        pub held_until: Option<Instant>,
    }
}

impl Cursor {
    fn is_held_by_another(&self, deliverer: &Deliverer) -> bool {
        self.held_by.is_some_and(|holder| holder != deliverer.id)
            && self.held_until.is_some_and(|until| until >= deliverer.now)
    }
}

async fn lock_cursor(tx: &mut Tx<'_>, consumer: &str) -> Result<Cursor, StoreError> {
    let found = tx
        .query(format!(
            "SELECT {}
             FROM event_cursors t
             WHERE t.consumer = $1
             FOR UPDATE",
            Cursor::COLUMNS
        ))
        .bind(consumer)
        .fetch_optional()
        .await?;
    found.ok_or_else(|| StoreError::broken(format!("there is no cursor for {consumer}")))
}

/// Gives events that have no position yet those behind `end`.
async fn put_in_line(tx: &mut Tx<'_>, end: i64, most: i64) -> Result<(), StoreError> {
    let added = tx
        .query(
            "UPDATE events SET position = line.position
             FROM (SELECT entered, $1 + ROW_NUMBER() OVER (ORDER BY entered) AS position
                   FROM events
                   WHERE position IS NULL
                   ORDER BY entered
                   LIMIT $2) AS line
             WHERE events.entered = line.entered",
        )
        .bind(end)
        .bind(most)
        .execute()
        .await?;
    if added == 0 {
        return Ok(());
    }
    let added = i64::try_from(added).unwrap_or(i64::MAX);
    tx.query("UPDATE event_cursors SET position = $2 WHERE consumer = $1")
        .bind(LINE)
        .bind(end.saturating_add(added))
        .execute()
        .await
        .map(drop)
}

/// An event and its position.
struct InLine(Event, i64);

impl FromRow for InLine {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        let behind = Event::TABLE.columns.len();
        Ok(Self(Event::from_row(row)?, row.get(behind)?))
    }
}

async fn events_behind(tx: &mut Tx<'_>, delivered: i64, most: i64) -> Result<Vec<InLine>, StoreError> {
    tx.query(format!(
        "SELECT {}, t.position
         FROM events t
         WHERE t.position > $1
         ORDER BY t.position
         LIMIT $2",
        Event::COLUMNS
    ))
    .bind(delivered)
    .bind(most)
    .fetch_all()
    .await
}

/// Whether the line still has that event there. It has not once the database has gone back, to a standby that lagged
/// behind or to a backup: others come to be at those positions then, which nobody has been given.
async fn is_in_line(tx: &mut Tx<'_>, delivered: Delivered) -> Result<bool, StoreError> {
    let found = tx
        .query("SELECT COUNT(*) FROM events WHERE position = $1 AND id = $2")
        .bind(delivered.position)
        .bind(delivered.id)
        .fetch_one::<(i64,)>()
        .await?;
    Ok(found.0 > 0)
}

async fn set_cursor(
    tx: &mut Tx<'_>,
    deliverer: &Deliverer,
    delivered: i64,
    goes_on: bool,
) -> Result<(), StoreError> {
    tx.query(
        "UPDATE event_cursors SET position = $2, held_by = $3, held_until = $4
         WHERE consumer = $1",
    )
    .bind(deliverer.consumer)
    .bind(delivered)
    .bind(goes_on.then_some(deliverer.id))
    .bind(goes_on.then_some(deliverer.until))
    .execute()
    .await
    .map(drop)
}

/// Removes what has been delivered to all consumers.
///
/// Positions begin at 1. Without the lower bound PostgreSQL expects to find a third of all events, and reads the whole
/// table each time, with all that was removed since it was last vacuumed.
async fn remove_delivered(tx: &mut Tx<'_>) -> Result<(), StoreError> {
    tx.query(
        "DELETE FROM events WHERE position > 0 AND position <= (SELECT MIN(position) FROM event_cursors)",
    )
    .execute()
    .await
    .map(drop)
}

#[cfg(test)]
mod tests;
