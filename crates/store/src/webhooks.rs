//! Whoever is told of events, and what each of them is told.
//!
//! An event becomes one delivery for each webhook that wants it. Its next attempt is part of the row, so that an attempt
//! needs no claim: one server sends at a time, and what it did not write down is sent again by whoever is next.

use super::{
    Db, StoreError, Tx, Value,
    row::{row, table},
};
use domain::{
    ids::{AppId, Etag, OperationId, TenantId},
    instant::Instant,
    webhook::{AttemptResult, DeliveryStatus, DisabledReason, WebhookFormat},
};
use uuid::Uuid;

table! {
    /// Somebody who is told of events.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Webhook in "webhooks" by [id] {
        /// By which it is found.
        pub id: Uuid,
        /// The app of whose events it is told; none: of all.
        pub app_id: Option<AppId>,
        /// The tenant of whose environments it is told; none: of all.
        pub tenant_id: Option<TenantId>,
        /// Where it is.
        pub url: String,
        /// The events that it wants, with blanks between; none: all.
        pub events: String,
        /// How they are written.
        pub format: WebhookFormat,
        /// What deliveries are signed with, or where they go, sealed.
        pub secret: String,
        /// What they are signed with besides for a while, sealed.
        pub former_secret: Option<String>,
        /// Until when.
        pub former_secret_until: Option<Instant>,
        /// When it was made.
        pub created_on: Instant,
        /// By whom: `User/tenant/id` or `Application/id`.
        pub created_by: String,
        /// Since when it gets nothing.
        pub disabled_on: Option<Instant>,
        /// Why.
        pub disabled_reason: Option<DisabledReason>,
        /// Until when it is left alone, because it did not answer or said so.
        pub paused_until: Option<Instant>,
        /// When it last took something.
        pub delivered_on: Option<Instant>,
        /// The tag of its state.
        pub etag: Etag,
    }
}

/// What can be changed of a webhook.
pub const CHANGEABLE: &[&str] = &[
    "tenant_id",
    "url",
    "events",
    "format",
    "secret",
    "former_secret",
    "former_secret_until",
    "disabled_on",
    "disabled_reason",
    "paused_until",
    "etag",
];

table! {
    /// An event on its way to a webhook.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Delivery in "webhook_deliveries" by [webhook_id, event_id] {
        /// To whom.
        pub webhook_id: Uuid,
        /// Of what: the same id in each attempt.
        pub event_id: Uuid,
        /// What happened, such as `hotfix.started`.
        pub kind: String,
        /// The operation that it is a step of; what came before in it goes first.
        pub operation_id: Option<OperationId>,
        /// What is sent.
        pub body: String,
        /// When it happened.
        pub occurred_on: Instant,
        /// How far it has come.
        pub status: DeliveryStatus,
        /// How often it was tried.
        pub attempts: u32,
        /// When it is tried next.
        pub next_on: Option<Instant>,
        /// When it was tried first.
        pub first_on: Option<Instant>,
        /// When it was tried last.
        pub last_on: Option<Instant>,
        /// How that went.
        pub last_result: Option<AttemptResult>,
        /// What was answered.
        pub last_status: Option<u32>,
        /// How long that took.
        pub last_milliseconds: Option<u32>,
    }
}

row! {
    /// The same without what is sent, for lists.
    #[derive(Clone, Debug, PartialEq)]
    pub struct DeliveryEntry from Delivery {
        /// Of what.
        pub event_id: Uuid,
        /// What happened.
        pub kind: String,
        /// The operation that it is a step of.
        pub operation_id: Option<OperationId>,
        /// When it happened.
        pub occurred_on: Instant,
        /// How far it has come.
        pub status: DeliveryStatus,
        /// How often it was tried.
        pub attempts: u32,
        /// When it is tried next.
        pub next_on: Option<Instant>,
        /// When it was tried last.
        pub last_on: Option<Instant>,
        /// How that went.
        pub last_result: Option<AttemptResult>,
        /// What was answered.
        pub last_status: Option<u32>,
        /// How long that took.
        pub last_milliseconds: Option<u32>,
    }
}

const ATTEMPTED: &[&str] = &[
    "body",
    "status",
    "attempts",
    "next_on",
    "first_on",
    "last_on",
    "last_result",
    "last_status",
    "last_milliseconds",
];

fn one() -> String {
    format!("SELECT {} FROM webhooks t WHERE t.id = $1", Webhook::COLUMNS)
}

/// One webhook, whoever's it is.
pub async fn find_webhook(db: &Db, id: Uuid) -> Result<Option<Webhook>, StoreError> {
    db.query(one()).bind(id).fetch_optional().await
}

/// The same within a transaction, its row locked.
pub async fn lock_webhook(tx: &mut Tx<'_>, id: Uuid) -> Result<Option<Webhook>, StoreError> {
    let sql = format!("{}\nFOR UPDATE", one());
    tx.query(sql).bind(id).fetch_optional().await
}

/// Whether there is any.
pub async fn is_any(db: &Db) -> Result<bool, StoreError> {
    let sql = "SELECT COUNT(*) FROM (SELECT 1 AS one FROM webhooks LIMIT 1) AS found";
    db.query(sql)
        .fetch_one::<(i64,)>()
        .await
        .map(|(count,)| count > 0)
}

/// All webhooks, within a transaction.
pub async fn all(tx: &mut Tx<'_>) -> Result<Vec<Webhook>, StoreError> {
    let sql = format!("SELECT {} FROM webhooks t ORDER BY t.id", Webhook::COLUMNS);
    tx.query(sql).fetch_all().await
}

/// Up to `most` webhooks after `after`, their rows locked in the order of their ids.
pub async fn lock_some(tx: &mut Tx<'_>, after: Option<Uuid>, most: i64) -> Result<Vec<Webhook>, StoreError> {
    let from = match after {
        Some(_) => "WHERE t.id > $2",
        None => "",
    };
    let sql = format!(
        "SELECT {} FROM webhooks t {from} ORDER BY t.id LIMIT $1\nFOR UPDATE",
        Webhook::COLUMNS
    );
    tx.query(sql)
        .bind(most)
        .bind_all(after.map(Value::from))
        .fetch_all()
        .await
}

/// Writes what is kept sealed of a webhook.
pub async fn update_sealed(tx: &mut Tx<'_>, webhook: &Webhook) -> Result<(), StoreError> {
    tx.update(webhook, &["secret", "former_secret"])
        .execute()
        .await
        .map(drop)
}

/// Whatever is sealed.
pub async fn all_sealed(db: &Db) -> Result<Vec<String>, StoreError> {
    let sealed = db
        .query("SELECT secret, former_secret FROM webhooks")
        .fetch_all::<(String, Option<String>)>()
        .await?;
    Ok(sealed
        .into_iter()
        .flat_map(|(secret, former)| [Some(secret), former])
        .flatten()
        .collect())
}

/// The webhooks of an app; those of the operator where there is none.
pub async fn webhooks_of(tx: &mut Tx<'_>, app: Option<AppId>) -> Result<Vec<Webhook>, StoreError> {
    let whose = match app {
        Some(_) => "t.app_id = $1",
        None => "t.app_id IS NULL",
    };
    let sql = format!(
        "SELECT {} FROM webhooks t WHERE {whose} ORDER BY t.id",
        Webhook::COLUMNS
    );
    tx.query(sql).bind_all(app.map(Value::from)).fetch_all().await
}

/// Adds a webhook, unless somebody else has added one of its id just now.
pub async fn insert_webhook(tx: &mut Tx<'_>, webhook: &Webhook) -> Result<(), StoreError> {
    tx.add(webhook)
        .clause("ON CONFLICT (id) DO NOTHING")
        .insert()
        .await
}

/// Writes what can be changed of a webhook.
pub async fn update_webhook(tx: &mut Tx<'_>, webhook: &Webhook) -> Result<(), StoreError> {
    tx.update(webhook, CHANGEABLE).execute().await.map(drop)
}

/// Removes a webhook and what it was to be told.
pub async fn delete_webhook(tx: &mut Tx<'_>, id: Uuid) -> Result<(), StoreError> {
    for sql in [
        "DELETE FROM webhook_deliveries WHERE webhook_id = $1",
        "DELETE FROM webhooks WHERE id = $1",
    ] {
        tx.query(sql).bind(id).execute().await?;
    }
    Ok(())
}

/// Adds deliveries, of which some may be there already.
pub async fn insert_deliveries(tx: &mut Tx<'_>, deliveries: &[Delivery]) -> Result<(), StoreError> {
    let unless_there = "ON CONFLICT (webhook_id, event_id) DO NOTHING";
    tx.add_all_unless(deliveries, unless_there).await.map(drop)
}

/// One delivery within a transaction, its row locked.
pub async fn lock_delivery(
    tx: &mut Tx<'_>,
    webhook: Uuid,
    event: Uuid,
) -> Result<Option<Delivery>, StoreError> {
    tx.query(format!(
        "SELECT {}
         FROM webhook_deliveries t
         WHERE t.webhook_id = $1 AND t.event_id = $2
         FOR UPDATE",
        Delivery::COLUMNS
    ))
    .bind(webhook)
    .bind(event)
    .fetch_optional()
    .await
}

/// Writes how far a delivery has come.
pub async fn update_delivery(tx: &mut Tx<'_>, delivery: &Delivery) -> Result<(), StoreError> {
    tx.update(delivery, ATTEMPTED).execute().await.map(drop)
}

/// Writes that a webhook took something. A pause stays: what began before it and ended well does not undo it, and what
/// began after it shows that it is over.
pub async fn note_delivered(tx: &mut Tx<'_>, id: Uuid, now: Instant) -> Result<(), StoreError> {
    tx.query("UPDATE webhooks SET delivered_on = $2 WHERE id = $1")
        .bind(id)
        .bind(now)
        .execute()
        .await
        .map(drop)
}

/// Whether a webhook was first told something at `since` or before that waits to this day, and has taken nothing since.
pub async fn is_in_vain_since(
    tx: &mut Tx<'_>,
    webhook: &Webhook,
    since: Instant,
) -> Result<bool, StoreError> {
    if webhook.delivered_on > Some(since) {
        return Ok(false);
    }
    let after = webhook.delivered_on.unwrap_or(Instant(i64::MIN));
    tx.query(
        "SELECT COUNT(*)
         FROM (SELECT 1 AS one
               FROM webhook_deliveries
               WHERE webhook_id = $1 AND next_on IS NOT NULL AND first_on <= $2 AND first_on >= $3
               LIMIT 1) AS found",
    )
    .bind(webhook.id)
    .bind(since)
    .bind(after)
    .fetch_one::<(i64,)>()
    .await
    .map(|(count,)| count > 0)
}

/// Lets whatever a webhook is still to be told begin anew at `now`.
pub async fn begin_anew(tx: &mut Tx<'_>, id: Uuid, now: Instant) -> Result<(), StoreError> {
    tx.query(
        "UPDATE webhook_deliveries SET attempts = 0, first_on = NULL, next_on = $2
         WHERE webhook_id = $1 AND next_on IS NOT NULL",
    )
    .bind(id)
    .bind(now)
    .execute()
    .await
    .map(drop)
}

/// Makes `server` the one that sends until `until`, unless another is.
pub async fn hold(tx: &mut Tx<'_>, server: Uuid, now: Instant, until: Instant) -> Result<bool, StoreError> {
    let held = tx
        .query(
            "UPDATE webhook_senders SET held_by = $1, held_until = $3
             WHERE name = 'webhooks' AND (held_by IS NULL OR held_by = $1 OR held_until < $2)",
        )
        .bind(server)
        .bind(now)
        .bind(until)
        .execute()
        .await?;
    Ok(held > 0)
}

/// Lets another send.
pub async fn let_go(tx: &mut Tx<'_>, server: Uuid) -> Result<(), StoreError> {
    tx.query("UPDATE webhook_senders SET held_by = NULL, held_until = NULL WHERE held_by = $1")
        .bind(server)
        .execute()
        .await
        .map(drop)
}

/// What waits to be sent: not what waits for somebody to enable its webhook again.
const WAITING: &str = "webhook_deliveries d
         JOIN webhooks w ON w.id = d.webhook_id AND w.disabled_on IS NULL
         WHERE d.next_on IS NOT NULL";

/// Whether anything waits at all, in a look that changes nothing.
pub async fn is_any_waiting(db: &Db) -> Result<bool, StoreError> {
    db.query(format!(
        "SELECT COUNT(*) FROM (SELECT 1 AS one FROM {WAITING} LIMIT 1) AS found"
    ))
    .fetch_one::<(i64,)>()
    .await
    .map(|(count,)| count > 0)
}

/// Webhooks for which something is due at `now`.
pub async fn due_webhooks(db: &Db, now: Instant) -> Result<Vec<Webhook>, StoreError> {
    db.query(format!(
        "SELECT {}
         FROM webhooks t
         WHERE t.disabled_on IS NULL AND (t.paused_until IS NULL OR t.paused_until <= $1)
           AND EXISTS (SELECT 1 FROM webhook_deliveries d WHERE d.webhook_id = t.id AND d.next_on <= $1)
         ORDER BY t.id",
        Webhook::COLUMNS
    ))
    .bind(now)
    .fetch_all()
    .await
}

/// What a webhook is due to be told, the longest due first; of each operation only what comes first.
pub async fn due_deliveries(
    db: &Db,
    webhook: Uuid,
    now: Instant,
    most: usize,
) -> Result<Vec<Delivery>, StoreError> {
    db.query(format!(
        "SELECT {}
         FROM webhook_deliveries t
         WHERE t.webhook_id = $1 AND t.next_on <= $2
           AND NOT EXISTS (
               SELECT 1
               FROM webhook_deliveries e
               WHERE e.webhook_id = t.webhook_id AND e.operation_id = t.operation_id
                 AND e.next_on IS NOT NULL AND e.entered < t.entered)
         ORDER BY t.next_on, t.entered
         LIMIT $3",
        Delivery::COLUMNS
    ))
    .bind(webhook)
    .bind(now)
    .bind(i64::try_from(most).unwrap_or(i64::MAX))
    .fetch_all()
    .await
}

/// Removes up to `most` deliveries of what happened before `before` that wait for nothing; how many there were.
pub async fn remove_deliveries(tx: &mut Tx<'_>, before: Instant, most: i64) -> Result<u64, StoreError> {
    remove(tx, "next_on IS NULL", before, most).await
}

/// The same of those that wait in vain, as their webhook is disabled.
pub async fn remove_unsent(tx: &mut Tx<'_>, before: Instant, most: i64) -> Result<u64, StoreError> {
    let which =
        "webhook_id IN (SELECT id FROM webhooks WHERE disabled_on IS NOT NULL) AND next_on IS NOT NULL";
    remove(tx, which, before, most).await
}

async fn remove(tx: &mut Tx<'_>, which: &str, before: Instant, most: i64) -> Result<u64, StoreError> {
    tx.query(format!(
        "DELETE FROM webhook_deliveries
         WHERE entered IN (
             SELECT entered FROM webhook_deliveries WHERE occurred_on < $1 AND {which} LIMIT $2)"
    ))
    .bind(before)
    .bind(most)
    .execute()
    .await
}

/// How many deliveries wait, counted to `most`, and since when the oldest has.
pub async fn count_waiting(db: &Db, most: i64) -> Result<(i64, Option<Instant>), StoreError> {
    db.query(format!(
        "SELECT COUNT(*), MIN(occurred_on) FROM (SELECT d.occurred_on FROM {WAITING} LIMIT $1) AS waiting"
    ))
    .bind(most)
    .fetch_one()
    .await
}
