//! Which environments are whose. What is bound to an agent lies within its scope, always: so scopes and bindings change in
//! one transaction, in which the agents' rows are locked before those of environments.

use crate::error::Result;
use domain::environment::EnvironmentKey;
use store::{
    Tx,
    agents::{self, Agent},
    inventories::Bound,
};
use uuid::Uuid;

/// Environments that are looked at at once.
const BATCH: i64 = 1_000;

/// The agent that serves an environment which nobody reports: the only one of those that may. Where several may, the
/// operator has to say which.
pub(crate) fn server_of_unreported(agents: &[Agent], environment: &EnvironmentKey) -> Option<Uuid> {
    let mut covering = agents
        .iter()
        .filter(|agent| agent.serves_unreported && agent.scope.covers(environment));
    let first = covering.next()?;
    covering.next().is_none().then_some(first.id)
}

/// Takes from an agent what its scope does not cover; an agent that is gone covers nothing. How many that were.
pub(super) async fn unbind_uncovered(tx: &mut Tx<'_>, id: Uuid, agent: Option<&Agent>) -> Result<u64> {
    let is_covered = |environment: &Bound| agent.is_some_and(|agent| agent.scope.covers(&environment.key()));
    let to_nobody = |environment: &Bound| (!is_covered(environment)).then_some(None);
    rebind(tx, Some(id), to_nobody).await
}

/// Gives what belongs to nobody to an agent that the operator registers, if it serves what nobody reports. How many that
/// were. Only then: an agent that is there already does not inherit what another one reported, and may know nothing of it.
pub(super) async fn bind_unreported(tx: &mut Tx<'_>, agent: &Agent) -> Result<u64> {
    if !agent.serves_unreported {
        return Ok(0);
    }
    let agents = agents::agents_of_the_unreported(tx).await?;
    let is_its = |environment: &Bound| server_of_unreported(&agents, &environment.key()) == Some(agent.id);
    rebind(tx, None, |environment| {
        is_its(environment).then_some(Some(agent.id))
    })
    .await
}

/// Binds environments of one agent, or of none, to whom `wanted` says, where it says anything.
async fn rebind(
    tx: &mut Tx<'_>,
    whose: Option<Uuid>,
    wanted: impl Fn(&Bound) -> Option<Option<Uuid>>,
) -> Result<u64> {
    let (mut after, mut count) = (Uuid::nil(), 0);
    loop {
        let found = agents::lock_bound(tx, whose, after, BATCH).await?;
        let Some(last) = found.last() else {
            return Ok(count);
        };
        after = last.id;
        let bindings: Vec<_> = found
            .iter()
            .filter_map(|environment| Some((environment.id, wanted(environment)?)))
            .collect();
        count += bindings.len() as u64;
        agents::bind_environments(tx, bindings).await?;
    }
}
