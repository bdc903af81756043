//! Who changed what: one row for every change, written in the change's own transaction.

use super::{StoreError, Tx, Value, row::table};
use domain::{ids::TenantId, instant::Instant};
use uuid::Uuid;

table! {
    /// A change and who made it.
    #[derive(Clone, Debug, PartialEq)]
    pub struct AuditRow in "audit" by [id] {
        /// Its identity, which sorts by time.
        pub id: Uuid,
        /// When the change was made.
        pub recorded_on: Instant,
        /// What made it: a user, an application or the service.
        pub actor_kind: String,
        /// Which of them: a GUID, or a part of the service.
        pub actor_id: String,
        /// The directory that the token of a user or an application was of.
        pub actor_tenant_id: Option<TenantId>,
        /// The name that a user's token gave.
        pub actor_name: Option<String>,
        /// What was done.
        pub action: String,
        /// The address of what it was done to, without the API version.
        pub target: String,
        /// The request that asked for it.
        pub correlation_id: Uuid,
        /// The state before it as JSON; none where there was nothing.
        pub before: Option<String> as (before_state),
        /// The state after it as JSON; none where nothing is left.
        pub after: Option<String> as (after_state),
        /// An application's service principal in that directory.
        pub actor_object_id: Option<Uuid>,
        /// The address that the request came from.
        pub address: Option<String>,
        /// The API that it came through.
        pub via: Option<String>,
    }
}

/// Adds rows.
pub async fn insert_audit(tx: &mut Tx<'_>, rows: &[AuditRow]) -> Result<(), StoreError> {
    tx.add_all(rows).await
}

/// For each of these targets, the last row about it with that action, if there is one.
pub async fn last_with_action<'t>(
    tx: &mut Tx<'_>,
    action: &str,
    targets: impl IntoIterator<Item = &'t String>,
) -> Result<Vec<AuditRow>, StoreError> {
    let rows = targets
        .into_iter()
        .map(|target| vec![Value::from(target), Value::from(action)]);
    let sql = format!(
        "SELECT {}
         FROM {{rows}}, audit t
         WHERE t.target = {{target}} AND t.action = {{action}}
           AND NOT EXISTS (
             SELECT 1 FROM audit a
             WHERE a.target = t.target AND a.action = t.action AND (a.recorded_on, a.id) > (t.recorded_on, t.id)
           )",
        AuditRow::COLUMNS
    );
    tx.each(&sql, &[("target", "text"), ("action", "text")], rows.collect())
        .fetch_all()
        .await
}

/// The states after all changes of a target with that action.
pub async fn states_after(tx: &mut Tx<'_>, action: &str, target: &str) -> Result<Vec<String>, StoreError> {
    let states: Vec<(String,)> = tx
        .query("SELECT after_state FROM audit WHERE target = $1 AND action = $2 AND after_state IS NOT NULL")
        .bind(target)
        .bind(action)
        .fetch_all()
        .await?;
    Ok(states.into_iter().map(|(state,)| state).collect())
}

/// How often there was that action since `since`, on targets that begin with `beginning`.
pub async fn count_since(
    tx: &mut Tx<'_>,
    action: &str,
    beginning: &str,
    since: Instant,
) -> Result<u64, StoreError> {
    tx.query("SELECT COUNT(*) FROM audit WHERE action = $1 AND recorded_on > $2 AND target LIKE $3")
        .bind(action)
        .bind(since)
        .bind(format!("{beginning}%"))
        .fetch_one::<(u64,)>()
        .await
        .map(|(count,)| count)
}

/// Replaces the state after the change in a row.
pub async fn amend_audit(tx: &mut Tx<'_>, id: Uuid, after: &str) -> Result<(), StoreError> {
    tx.query("UPDATE audit SET after_state = $2 WHERE id = $1")
        .bind(id)
        .bind(after)
        .execute()
        .await
        .map(drop)
}
