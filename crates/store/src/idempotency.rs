//! Requests that were answered before: an `Idempotency-Key` is kept for a day, with what it made.

use super::{FromRow, Row, StoreError, Tx};
use domain::{ids::OperationId, instant::Instant};
use std::time::Duration;

/// How long a key is kept.
pub const KEPT_FOR: Duration = Duration::from_secs(24 * 3600);

/// A key as one principal sent it to one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey {
    pub principal: String,
    pub method: &'static str,
    pub path: String,
    pub key: String,
}

/// What was made under a key, and from what body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remembered {
    pub body_sha256: [u8; 32],
    pub operation_id: OperationId,
}

impl FromRow for Remembered {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            body_sha256: row.get(0)?,
            operation_id: row.get(1)?,
        })
    }
}

/// A key made at this instant or before is too old at `now`.
fn oldest(now: Instant) -> Instant {
    Instant(
        now.0
            .saturating_sub(i64::try_from(KEPT_FOR.as_nanos() / 100).unwrap_or(i64::MAX)),
    )
}

/// What is remembered under a key that is not too old at `now`.
pub async fn recall(
    tx: &mut Tx<'_>,
    key: &IdempotencyKey,
    now: Instant,
) -> Result<Option<Remembered>, StoreError> {
    tx.query(
        "SELECT body_sha256, operation_id
         FROM idempotency_keys
         WHERE principal = $1 AND method = $2 AND path = $3 AND idempotency_key = $4 AND created_on > $5",
    )
    .bind(&key.principal)
    .bind(key.method)
    .bind(&key.path)
    .bind(&key.key)
    .bind(oldest(now))
    .fetch_optional()
    .await
}

/// Remembers what a key made; one that was too old is replaced.
pub async fn remember(
    tx: &mut Tx<'_>,
    key: &IdempotencyKey,
    made: &Remembered,
    now: Instant,
) -> Result<(), StoreError> {
    tx.query(
        "INSERT INTO idempotency_keys (principal, method, path, idempotency_key, body_sha256, operation_id, created_on)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (principal, method, path, idempotency_key) DO UPDATE
         SET body_sha256 = excluded.body_sha256, operation_id = excluded.operation_id, created_on = excluded.created_on
         WHERE idempotency_keys.created_on <= $8",
    )
    .bind(&key.principal)
    .bind(key.method)
    .bind(&key.path)
    .bind(&key.key)
    .bind(made.body_sha256)
    .bind(made.operation_id)
    .bind(now)
    .bind(oldest(now))
    .insert()
    .await
}

/// Forgets up to `limit` keys made before `before`; how many went. Those that somebody else is forgetting are passed over.
pub async fn forget_before(tx: &mut Tx<'_>, before: Instant, limit: i64) -> Result<u64, StoreError> {
    let unlocked = tx.dialect().only_unlocked_rows();
    tx.query(format!(
        "DELETE FROM idempotency_keys
         WHERE (principal, method, path, idempotency_key)
               IN (SELECT t.principal, t.method, t.path, t.idempotency_key
                   FROM idempotency_keys t
                   WHERE t.created_on < $1
                   ORDER BY t.created_on
                   LIMIT $2 {unlocked})"
    ))
    .bind(before)
    .bind(limit)
    .execute()
    .await
}
