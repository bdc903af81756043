//! Writing down who changed what, in the transaction that changes it.

use super::{Arrival, Principal, agents::caller::AgentCaller, customers::Customer};
use crate::error::Result;
use domain::instant::Instant;
use serde_json::Value;
use store::{
    Tx,
    audit::{AuditRow, amend_audit, insert_audit},
};
use uuid::Uuid;

/// Who acts: somebody who asked, somebody who carries out what was asked for, or the service unasked.
#[derive(Clone, Copy)]
pub(crate) enum Actor<'a> {
    Principal(&'a Principal),
    Customer(&'a Customer),
    Agent(&'a AgentCaller),
    /// The service, on nobody's request: a lease that ran out, a sweep.
    Service(&'static str),
}

/// A change and the state on both sides of it.
pub(crate) struct Change<'a> {
    /// What was done: `principals/write`, `operations/start` and so on.
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

impl<'a> Actor<'a> {
    /// Who asked for it, in one word, and by which request, if anybody did.
    pub(super) fn asked(self) -> Option<(String, Uuid)> {
        match self {
            Self::Principal(principal) => Some((principal.signature(), principal.arrival.correlation_id)),
            Self::Customer(customer) => Some((customer.signature(), customer.arrival.correlation_id)),
            Self::Agent(_) | Self::Service(_) => None,
        }
    }

    /// How the request came that it acts upon, if there was one.
    fn arrival(self) -> Option<Arrival> {
        match self {
            Self::Principal(principal) => Some(principal.arrival),
            Self::Customer(customer) => Some(customer.arrival),
            Self::Agent(agent) => Some(agent.arrival),
            Self::Service(_) => None,
        }
    }

    /// What kind of actor it is, and its id.
    pub(super) fn named(self) -> (&'static str, String) {
        match self {
            Self::Principal(principal) => (principal.kind.as_str(), principal.id.to_string()),
            Self::Customer(customer) => (customer.kind.as_str(), customer.id.to_string()),
            Self::Agent(agent) => ("Agent", agent.id.to_string()),
            Self::Service(part) => ("Service", part.to_owned()),
        }
    }
}

fn row(id: Uuid, actor: Actor<'_>, now: Instant, change: Change<'_>) -> AuditRow {
    let (actor_kind, actor_id) = actor.named();
    let arrival = actor.arrival();
    let mut row = AuditRow {
        id,
        recorded_on: now,
        actor_kind: actor_kind.into(),
        actor_id,
        actor_tenant_id: None,
        actor_object_id: None,
        actor_name: None,
        action: change.action.to_owned(),
        target: change.target,
        correlation_id: arrival.map_or_else(Uuid::new_v4, |arrival| arrival.correlation_id),
        before: change.before.map(|state| state.to_string()),
        after: change.after.map(|state| state.to_string()),
        address: arrival
            .and_then(|arrival| arrival.address)
            .map(|address| address.to_string()),
        via: arrival.map(|arrival| arrival.via.to_owned()),
    };
    match actor {
        Actor::Principal(principal) => {
            // The run of a pipeline is of no directory.
            row.actor_tenant_id = (!principal.reference.is_run()).then_some(principal.tenant_id);
            row.actor_object_id = principal.object_id;
            row.actor_name.clone_from(&principal.name);
        }
        Actor::Customer(customer) => {
            row.actor_tenant_id = Some(customer.own_tenant_id());
            row.actor_object_id = customer.object_id;
            row.actor_name.clone_from(&customer.name);
        }
        Actor::Agent(agent) => row.actor_name = Some(agent.name.clone()),
        Actor::Service(_) => {}
    }
    row
}

/// Says anew what came of a change that goes on over several transactions.
pub(crate) async fn amend(tx: &mut Tx<'_>, id: Uuid, after: &Value) -> Result<()> {
    Ok(amend_audit(tx, id, &after.to_string()).await?)
}
