//! Rollouts and their members as whoever drives them looks for them.

use super::{
    Db, StoreError, Tx, Value,
    rollouts::{Member, Rollout},
};
use domain::{ids::AppId, rollout::MemberState};
use uuid::Uuid;

/// A rollout, for the service itself.
pub async fn rollout(db: &Db, id: Uuid) -> Result<Option<Rollout>, StoreError> {
    db.query(format!(
        "SELECT {} FROM rollouts t WHERE t.id = $1",
        Rollout::COLUMNS
    ))
    .bind(id)
    .fetch_optional()
    .await
}

/// Members of a rollout in one of these states, in a wave or in any; so many at most.
pub async fn members_in(
    tx: &mut Tx<'_>,
    rollout: Uuid,
    states: &[MemberState],
    wave: Option<u64>,
    most: i64,
) -> Result<Vec<Member>, StoreError> {
    let states: Vec<_> = states.iter().map(|state| format!("'{state}'")).collect();
    let in_wave = if wave.is_some() { "AND t.wave = $3" } else { "" };
    tx.query(format!(
        "SELECT {}
         FROM rollout_members t
         WHERE t.rollout_id = $1 AND t.wave IS NOT NULL AND t.state IN ({}) {in_wave}
         ORDER BY t.environment_id
         LIMIT $2",
        Member::COLUMNS,
        states.join(", ")
    ))
    .bind(rollout)
    .bind(most)
    .bind_all(wave.map(Value::from))
    .fetch_all()
    .await
}

/// Scheduled members of a rollout that are held, or that are not; so many at most.
pub async fn scheduled_members(
    tx: &mut Tx<'_>,
    rollout: Uuid,
    are_held: bool,
    most: i64,
) -> Result<Vec<Member>, StoreError> {
    tx.query(format!(
        "SELECT {}
         FROM rollout_members t
         WHERE t.rollout_id = $1 AND t.state = 'Scheduled' AND t.is_held = $2
         ORDER BY t.environment_id
         LIMIT $3",
        Member::COLUMNS
    ))
    .bind(rollout)
    .bind(are_held)
    .bind(most)
    .fetch_all()
    .await
}

/// Blocked members of a rollout with nothing in the way any more; so many at most.
pub async fn unblocked_members(
    tx: &mut Tx<'_>,
    rollout: Uuid,
    app: AppId,
    most: i64,
) -> Result<Vec<Member>, StoreError> {
    tx.query(format!(
        "SELECT {}
         FROM rollout_members t
         WHERE t.rollout_id = $1 AND t.state = 'Blocked'
           AND NOT EXISTS (SELECT 1 FROM operations o
                           WHERE o.environment_id = t.environment_id AND o.app_id = $2
                             AND o.status IN ('Scheduled', 'Running'))
           AND NOT EXISTS (SELECT 1 FROM environments e
                           WHERE e.id = t.environment_id
                             AND (e.held_since IS NOT NULL OR e.missing_since IS NOT NULL OR e.disputed_since IS NOT NULL))
         ORDER BY t.environment_id
         LIMIT $3",
        Member::COLUMNS
    ))
    .bind(rollout)
    .bind(app)
    .bind(most)
    .fetch_all()
    .await
}
