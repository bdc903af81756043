//! Taking away what is old enough, some rows at a time.
//!
//! A batch takes what nobody else is taking: several servers may clear up at the same time without waiting for each
//! other. Nothing else locks these rows, for what has ended does not change.

use super::{StoreError, Tx};
use domain::instant::Instant;
use uuid::Uuid;

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

/// Removes up to `limit` environments of the rollout that ended first, if that was before `before`, and with the last of them
/// the rollout; how many rows there were.
pub async fn remove_rollouts(tx: &mut Tx<'_>, before: Instant, limit: i64) -> Result<u64, StoreError> {
    let unlocked = tx.dialect().only_unlocked_rows();
    let oldest = tx
        .query(format!(
            "SELECT t.id FROM rollouts t
             WHERE t.ended_on IS NOT NULL AND t.ended_on < $1
             ORDER BY t.ended_on
             LIMIT 1
             {unlocked}"
        ))
        .bind(before)
        .fetch_optional::<(Uuid,)>()
        .await?;
    let Some((rollout,)) = oldest else {
        return Ok(0);
    };
    let removed = tx
        .query(
            "DELETE FROM rollout_members
             WHERE rollout_id = $1
               AND (tenant_id, name_key, family_key) IN (SELECT m.tenant_id, m.name_key, m.family_key
                                                         FROM rollout_members m
                                                         WHERE m.rollout_id = $1
                                                         ORDER BY m.tenant_id, m.name_key, m.family_key
                                                         LIMIT $2)",
        )
        .bind(rollout)
        .bind(limit)
        .execute()
        .await?;
    if i64::try_from(removed).is_ok_and(|removed| removed >= limit) {
        return Ok(removed);
    }
    for table in ["rollout_counts", "rollout_waves"] {
        let sql = format!("DELETE FROM {table} WHERE rollout_id = $1");
        tx.query(sql).bind(rollout).execute().await?;
    }
    let itself = tx
        .query("DELETE FROM rollouts WHERE id = $1")
        .bind(rollout)
        .execute();
    Ok(removed + itself.await?)
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
