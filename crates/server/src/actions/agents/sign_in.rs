//! Signing in, with each request. What is read of the agent is read then, so whatever an operator takes away is gone with
//! the next request; what is written is little, and seldom.

use super::{AgentCaller, Credential, OVERLAP, sign_in_change};
use crate::{
    actions::{
        Arrival, Service,
        access::{self, Standing},
        audit::{self, Actor},
        events::{self, AgentStep},
    },
    error::Result,
};
use domain::{
    ids::Etag,
    instant::Instant,
    problem::{Code, RuleError},
};
use store::{
    Tx,
    agents::{self, Agent},
};
use uuid::Uuid;
use wire::agent::SESSION_HEADER;

/// Who freezes agents.
pub(super) const GUARD: Actor<'static> = Actor::Service("agents");

/// A request of an agent's, as far as signing in needs it.
#[derive(Clone, Debug)]
pub(crate) struct AgentCall {
    pub(crate) credential: Credential,
    /// The process that calls, if it says so.
    pub(crate) session_id: Option<Uuid>,
    /// What it calls its software.
    pub(crate) software: Option<String>,
    /// Whether nothing keeps it from its work, if it says so.
    pub(crate) is_ready: Option<bool>,
    pub(crate) arrival: Arrival,
}

/// Whether somebody has signed in.
pub(crate) enum SignIn {
    Agent(Box<AgentCaller>),
    /// Nobody was given that.
    Unknown,
    /// The token has ended.
    Expired,
}

/// Signs an agent in.
///
/// # Errors
/// `AgentFrozen`, also where that is only found out now; `InvalidInput` for a call that does not name its process.
pub(crate) async fn sign_in(service: &Service, call: AgentCall) -> Result<SignIn> {
    let Some(agent) = find(service, &call.credential).await? else {
        return Ok(SignIn::Unknown);
    };
    if call.session_id.is_none() {
        let message =
            format!("The header {SESSION_HEADER} must hold a GUID that the process made when it started.");
        return Err(RuleError::invalid(SESSION_HEADER, message).into());
    }
    let now = service.clock.now();
    match access::standing(&agent, &call, now) {
        Standing::Changed | Standing::Reused(_) => {}
        settled => return answer(&agent, settled, call),
    }
    let input = (agent.id, call.clone(), now);
    let written = service
        .db
        .write(input, |tx, (id, call, now)| Box::pin(settle(tx, *id, call, *now)))
        .await?;
    match written {
        Some((agent, Standing::Reused(reason))) => {
            service.emitted.notify_here();
            tracing::warn!(agent = agent.name, reason, "an agent is frozen");
            Err(frozen(&agent).into())
        }
        Some((agent, standing)) => answer(&agent, standing, call),
        None => Ok(SignIn::Unknown),
    }
}

/// Makes sure, in the middle of a long answer, that whoever gets it could still ask for it.
///
/// # Errors
/// `AgentFrozen`, or `Unauthorized` where the token is none any more.
pub(crate) async fn check_standing(service: &Service, caller: &AgentCaller) -> Result<()> {
    let found = find(service, &caller.credential).await?;
    still_standing(found, caller, service.clock.now()).map(drop)
}

/// The same within a transaction: the agent with its row locked.
pub(crate) async fn lock_standing(tx: &mut Tx<'_>, caller: &AgentCaller, now: Instant) -> Result<Agent> {
    let found = agents::lock_agent_by_id(tx, caller.id).await?;
    still_standing(found, caller, now)
}

fn still_standing(found: Option<Agent>, caller: &AgentCaller, now: Instant) -> Result<Agent> {
    let call = AgentCall {
        credential: caller.credential.clone(),
        session_id: Some(caller.session_id),
        software: None,
        is_ready: None,
        arrival: caller.arrival,
    };
    let standing = found.as_ref().map(|agent| access::standing(agent, &call, now));
    match (found, standing) {
        (Some(agent), Some(Standing::Frozen)) => Err(frozen(&agent).into()),
        // Another process has taken over; whether that was right shows when this one calls again.
        (Some(agent), Some(Standing::Same | Standing::Changed | Standing::Reused(_))) => Ok(agent),
        _ => Err(RuleError::new(Code::Unauthorized, "The access token is not valid any more.").into()),
    }
}

async fn find(service: &Service, credential: &Credential) -> Result<Option<Agent>> {
    Ok(match credential {
        Credential::Token(sha256) => agents::find_agent_by_token(&service.db, *sha256).await?,
        Credential::Identity(identity) => agents::find_agent_by_identity(&service.db, *identity).await?,
    })
}

fn answer(agent: &Agent, standing: Standing, call: AgentCall) -> Result<SignIn> {
    match standing {
        Standing::Same | Standing::Changed => Ok(SignIn::Agent(Box::new(AgentCaller {
            id: agent.id,
            name: agent.name.clone(),
            credential: call.credential,
            session_id: call.session_id.unwrap_or_default(),
            arrival: call.arrival,
        }))),
        Standing::Unknown => Ok(SignIn::Unknown),
        Standing::Expired => Ok(SignIn::Expired),
        Standing::Frozen | Standing::Reused(_) => Err(frozen(agent).into()),
    }
}

/// Looks again with the row locked, and writes what has changed.
async fn settle(
    mut tx: Tx<'_>,
    id: Uuid,
    call: &AgentCall,
    now: Instant,
) -> Result<Option<(Agent, Standing)>> {
    let Some(agent) = agents::lock_agent_by_id(&mut tx, id).await? else {
        return Ok(None);
    };
    let standing = access::standing(&agent, call, now);
    let agent = match standing {
        Standing::Changed => seen(&mut tx, agent, call, now).await?,
        Standing::Reused(reason) => freeze(&mut tx, agent, reason, now).await?,
        _ => agent,
    };
    Ok(Some((agent, standing)))
}

async fn seen(tx: &mut Tx<'_>, agent: Agent, call: &AgentCall, now: Instant) -> Result<Agent> {
    let is_new_session = agent.session_id != call.session_id;
    let uses_token =
        matches!(&call.credential, Credential::Token(sha256) if agent.token_sha256 == Some(*sha256));
    let seen = Agent {
        former_sessions: match is_new_session {
            true => agent.former_sessions.with(agent.session_id, now),
            false => agent.former_sessions,
        },
        session_id: call.session_id,
        token_used: agent.token_used || uses_token,
        former_token_until: match uses_token && !agent.token_used {
            true => agent.former_token_until.map(|until| until.min(now + OVERLAP)),
            false => agent.former_token_until,
        },
        last_seen_on: Some(now),
        software: call.software.clone().or(agent.software),
        is_ready: call.is_ready,
        ..agent
    };
    agents::update_agent(tx, &seen).await?;
    Ok(seen)
}

pub(super) async fn freeze(
    tx: &mut Tx<'_>,
    agent: Agent,
    reason: &'static str,
    now: Instant,
) -> Result<Agent> {
    let frozen = Agent {
        frozen_on: Some(now),
        frozen_reason: Some(reason.to_owned()),
        etag: Etag::random(),
        ..agent.clone()
    };
    agents::update_agent(tx, &frozen).await?;
    audit::record(tx, GUARD, now, sign_in_change("agents/freeze", &agent, &frozen)).await?;
    events::emit_agent(tx, AgentStep::Frozen, GUARD, now, &frozen).await?;
    Ok(frozen)
}

pub(super) fn frozen(agent: &Agent) -> RuleError {
    let Agent {
        name, frozen_reason, ..
    } = agent;
    let since = agent.frozen_on.map(|on| on.to_string()).unwrap_or_default();
    let reason = frozen_reason.as_deref().unwrap_or_default();
    let message = format!(
        "Agent '{name}' is frozen since {since}: {reason} It gets nothing until it is enrolled again, with a new code from its operator."
    );
    RuleError::new(Code::AgentFrozen, message).about(super::target(name))
}
