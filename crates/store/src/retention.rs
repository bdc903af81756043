//! Taking away what is old enough, some rows at a time.
//!
//! A batch takes what nobody else is taking: several servers may clear up at the same time without waiting for each
//! other. Nothing else locks these rows, for what has ended does not change.

use super::{StoreError, Tx};
use domain::instant::Instant;

/// Removes up to `limit` operations that ended before `before`, the oldest first; how many there were. One whose outcome
/// holds its environment stays: it says why.
pub async fn remove_operations(tx: &mut Tx<'_>, before: Instant, limit: i64) -> Result<u64, StoreError> {
    let unlocked = tx.dialect().only_unlocked_rows();
    tx.query(format!(
        "DELETE FROM operations
         WHERE id IN (SELECT t.id
                      FROM operations t
                      WHERE t.ended_on IS NOT NULL AND t.ended_on < $1
                        AND NOT EXISTS (SELECT 1 FROM environments e
                                        WHERE e.id = t.environment_id AND e.held_by = t.id)
                      ORDER BY t.ended_on
                      LIMIT $2 {unlocked})"
    ))
    .bind(before)
    .bind(limit)
    .execute()
    .await
}

/// Removes up to `limit` audit rows that were recorded before `before`, the oldest first; how many there were.
pub async fn remove_audit(tx: &mut Tx<'_>, before: Instant, limit: i64) -> Result<u64, StoreError> {
    let unlocked = tx.dialect().only_unlocked_rows();
    tx.query(format!(
        "DELETE FROM audit
         WHERE id IN (SELECT t.id
                      FROM audit t
                      WHERE t.recorded_on < $1
                      ORDER BY t.recorded_on
                      LIMIT $2 {unlocked})"
    ))
    .bind(before)
    .bind(limit)
    .execute()
    .await
}
