//! Writing down who changed what, in the transaction that changes it.

use super::Principal;
use crate::error::Result;
use domain::{instant::Instant, principal::PrincipalKind};
use serde_json::Value;
use store::{
    Tx,
    audit::{AuditRow, amend_audit, insert_audit},
};
use uuid::Uuid;

/// Who acts: somebody who asked, or the service by itself.
#[derive(Clone, Copy)]
pub(crate) enum Actor<'a> {
    Principal(&'a Principal),
    /// The service, on nobody's request: a due operation, a lease that ran out, a sweep.
    Service(&'static str),
}

/// A change and the state on both sides of it.
pub(crate) struct Change<'a> {
    /// What was done: `principals/write`, `environmentHotfixes/start` and so on.
    pub(crate) action: &'a str,
    /// The address of what was changed, without the API version.
    pub(crate) target: String,
    pub(crate) before: Option<Value>,
    pub(crate) after: Option<Value>,
}

/// Adds the row.
pub(crate) async fn record(
    tx: &mut Tx<'_>,
    actor: Actor<'_>,
    now: Instant,
    change: Change<'_>,
) -> Result<()> {
    record_all(tx, actor, now, [change]).await
}

/// Adds the rows of several changes, in their order.
pub(crate) async fn record_all<'c>(
    tx: &mut Tx<'_>,
    actor: Actor<'_>,
    now: Instant,
    changes: impl IntoIterator<Item = Change<'c>>,
) -> Result<()> {
    let rows: Vec<_> = changes
        .into_iter()
        .map(|change| row(Uuid::now_v7(), actor, now, change))
        .collect();
    Ok(insert_audit(tx, &rows).await?)
}

/// Adds the row under an id by which it can be amended.
pub(crate) async fn record_under(
    tx: &mut Tx<'_>,
    id: Uuid,
    actor: Actor<'_>,
    now: Instant,
    change: Change<'_>,
) -> Result<()> {
    Ok(insert_audit(tx, &[row(id, actor, now, change)]).await?)
}

fn row(id: Uuid, actor: Actor<'_>, now: Instant, change: Change<'_>) -> AuditRow {
    let mut row = AuditRow {
        id,
        recorded_on: now,
        actor_kind: "Service".into(),
        actor_id: String::new(),
        actor_tenant_id: None,
        actor_name: None,
        action: change.action.to_owned(),
        target: change.target,
        correlation_id: Uuid::nil(),
        before: change.before.map(|state| state.to_string()),
        after: change.after.map(|state| state.to_string()),
    };
    match actor {
        Actor::Principal(principal) => {
            row.actor_kind = principal.kind.as_str().into();
            row.actor_id = principal.id.to_string();
            row.actor_tenant_id = (principal.kind == PrincipalKind::User).then_some(principal.tenant_id);
            row.actor_name.clone_from(&principal.name);
            row.correlation_id = principal.correlation_id;
        }
        Actor::Service(part) => {
            row.actor_id = part.into();
            row.correlation_id = Uuid::new_v4();
        }
    }
    row
}

/// Says anew what came of a change that goes on over several transactions.
pub(crate) async fn amend(tx: &mut Tx<'_>, id: Uuid, after: &Value) -> Result<()> {
    Ok(amend_audit(tx, id, &after.to_string()).await?)
}
