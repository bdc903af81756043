//! Requests that were answered before: an `Idempotency-Key` is kept for a day, with what it made.

use super::{
    StoreError, Tx,
    row::{row, table},
};
use domain::{ids::OperationId, instant::Instant};
use std::time::Duration;

/// How long a key is kept.
pub const KEPT_FOR: Duration = Duration::from_secs(24 * 3600);

/// A key as one principal sent it to one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// Who sent it.
    pub principal: String,
    /// The method of the request.
    pub method: String,
    /// The address of the request.
    pub path: String,
    /// The key itself.
    pub key: String,
}

row! {
    /// What was made under a key, and from what body.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Remembered {
        /// The hash of the body.
        pub body_sha256: [u8; 32],
        /// The operation that it made, if it was to make one.
        pub operation_id: Option<OperationId>,
    }
}

table! {
    /// A key with what was made under it.
    pub struct KeptKey in "idempotency_keys" by [principal, method, path, idempotency_key] {
        /// Who sent it.
        pub principal: String,
        /// The method of the request.
        pub method: String,
        /// The address of the request.
        pub path: String,
        /// The key itself.
        pub idempotency_key: String,
        /// The hash of the body.
        pub body_sha256: [u8; 32],
        /// The operation that it made, if it was to make one.
        pub operation_id: Option<OperationId>,
        /// When it did.
        pub created_on: Instant,
    }
}

/// A key made at this instant or before is too old at `now`.
fn oldest(now: Instant) -> Instant {
    now - KEPT_FOR
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
    .bind(&key.method)
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
    let kept = KeptKey {
        principal: key.principal.clone(),
        method: key.method.clone(),
        path: key.path.clone(),
        idempotency_key: key.key.clone(),
        body_sha256: made.body_sha256,
        operation_id: made.operation_id,
        created_on: now,
    };
    tx.add(&kept)
        .clause(
            "ON CONFLICT (principal, method, path, idempotency_key) DO UPDATE
             SET body_sha256 = excluded.body_sha256, operation_id = excluded.operation_id, created_on = excluded.created_on
             WHERE idempotency_keys.created_on <= $8",
        )
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
