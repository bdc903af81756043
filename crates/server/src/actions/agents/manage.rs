//! What operators do with agents.

use super::{
    binding::{bind_unreported, unbind_uncovered},
    sign_in_change, target,
};
use crate::{
    actions::{
        Principal, Service,
        audit::{self, Actor, Change},
        environments::not_registered,
        preconditions::Preconditions,
        repeat,
    },
    config::Operator,
    error::{Error, Result},
    wire_rows,
};
use auth::{OwnToken, OwnTokenKind};
use domain::{
    agent::{AgentScope, Identity},
    environment::EnvironmentKey,
    ids::Etag,
    instant::Instant,
    problem::{Code, RuleError},
};
use serde_json::{Value, json};
use std::sync::Arc;
use store::{
    Tx,
    agents::{self, Agent, AgentEntry, FormerSessions, Recorded},
    environments::{self, EnvironmentEntry, InstalledApp},
    principals,
};
use uuid::Uuid;
use wire::lenient::Object;

/// One agent.
pub(crate) async fn get_agent(service: &Service, name: &str) -> Result<AgentEntry> {
    let found = agents::find_agent_entry(&service.db, name).await?;
    found.ok_or_else(|| agent_missing(name).into())
}

/// What an operator says of an agent.
#[derive(Clone, Debug)]
pub(crate) struct RegisterAgent {
    pub(crate) scope: AgentScope,
    pub(crate) scope_reason: Option<String>,
    pub(crate) serves_unreported: bool,
    /// Tenant, client id and object id of the application whose tokens it signs in with.
    pub(crate) identity: Option<Identity>,
    /// All that was said, be it only repeated.
    pub(crate) given: Object,
}

/// An agent as an operator left it, and the code that was made for it, to be shown once.
pub(crate) struct Saved {
    pub(crate) agent: AgentEntry,
    pub(crate) code: Option<OwnToken>,
    /// Others whose scopes overlap with its own, so that whoever reports an environment first is the one to serve it.
    pub(crate) overlaps: Option<Vec<String>>,
    pub(crate) is_new: bool,
}

struct PutAgent {
    principal: Principal,
    operators: Vec<Operator>,
    name: String,
    command: RegisterAgent,
    code: OwnToken,
    code_until: Instant,
    preconditions: Preconditions,
    now: Instant,
}

/// Makes an agent, with a code to enrol by, or replaces what is registered of one. What its scope covers no longer is
/// nobody's from then on.
pub(crate) async fn put_agent(
    service: &Arc<Service>,
    principal: &Principal,
    name: String,
    command: RegisterAgent,
    preconditions: Preconditions,
) -> Result<Saved> {
    let now = service.clock.now();
    let input = PutAgent {
        principal: principal.clone(),
        operators: service.settings.operators.principals.clone(),
        name,
        command,
        code: new_code()?,
        code_until: now + service.settings.agents.enrolment,
        preconditions,
        now,
    };
    service
        .see_through(async move |service| {
            let saved = service
                .db
                .write(input, |tx, input| Box::pin(put_agent_in(tx, input)))
                .await?;
            service.wakeup.notify();
            Ok(saved)
        })
        .await
}

fn new_code() -> Result<OwnToken> {
    OwnToken::random(OwnTokenKind::Enrolment).map_err(Error::fault)
}

async fn put_agent_in(mut tx: Tx<'_>, input: &PutAgent) -> Result<Saved> {
    let existing = agents::lock_agent(&mut tx, &input.name).await?;
    if !repeat::is_first(&mut tx, &input.principal, &input.preconditions, input.now).await? {
        existing.ok_or_else(|| agent_missing(&input.name))?;
        // Of a code only the first answer tells: it is not kept.
        return Ok(Saved {
            agent: entry_in(&mut tx, &input.name).await?,
            code: None,
            overlaps: None,
            is_new: false,
        });
    }
    input
        .preconditions
        .check_write(existing.as_ref().map(|agent| agent.etag))?;
    if existing.is_some() {
        let shown = wire_rows::registered_agent(entry_in(&mut tx, &input.name).await?, input.now)?;
        shown.check_read_only(&input.command.given)?;
    }
    check_identity(&mut tx, input, existing.as_ref()).await?;
    let described = described(input, existing.as_ref());
    let (agent, code) = match &existing {
        Some(_) => (described, None),
        None if described.identity.is_some() => (described, None),
        None => (
            with_code(described, &input.code, input.code_until),
            Some(input.code.clone()),
        ),
    };
    match existing {
        None => agents::insert_agent(&mut tx, &agent).await?,
        Some(_) => agents::update_agent(&mut tx, &agent).await?,
    }
    let unbound = unbind_uncovered(&mut tx, agent.id, Some(&agent)).await?;
    let bound = bind_unreported(&mut tx, &agent).await?;
    let others = agents::agents_but(&mut tx, agent.id).await?;
    let overlapping = others
        .into_iter()
        .filter(|other| other.scope.overlaps(&agent.scope));
    let overlaps: Vec<_> = overlapping.map(|other| other.name).collect();
    let change = Change {
        action: "agents/write",
        target: target(&agent.name),
        before: existing.as_ref().map(state),
        after: Some(with_bindings(state(&agent), unbound, bound)),
    };
    audit::record(&mut tx, Actor::Principal(&input.principal), input.now, change).await?;
    Ok(Saved {
        agent: entry_in(&mut tx, &agent.name).await?,
        code,
        overlaps: Some(overlaps),
        is_new: existing.is_none(),
    })
}

fn described(input: &PutAgent, existing: Option<&Agent>) -> Agent {
    let command = &input.command;
    let known = existing
        .cloned()
        .unwrap_or_else(|| new_agent(&input.name, input.now));
    Agent {
        scope: command.scope.clone(),
        scope_reason: command.scope_reason.clone(),
        serves_unreported: command.serves_unreported,
        identity: command.identity,
        etag: Etag::random(),
        ..known
    }
}

fn new_agent(name: &str, now: Instant) -> Agent {
    Agent {
        id: Uuid::now_v7(),
        name: name.to_owned(),
        scope: AgentScope::default(),
        scope_reason: None,
        serves_unreported: false,
        identity: None,
        created_on: now,
        code_sha256: None,
        code_until: None,
        token_sha256: None,
        token_until: None,
        token_used: false,
        former_token_sha256: None,
        former_token_until: None,
        lost_token_sha256: None,
        session_id: None,
        former_sessions: FormerSessions::default(),
        frozen_on: None,
        frozen_reason: None,
        last_seen_on: None,
        software: None,
        is_ready: None,
        inventory_sequence: 0,
        inventory_on: None,
        counted_since: None,
        gained: 0,
        recorded: Recorded::default(),
        etag: Etag::random(),
    }
}

fn with_code(agent: Agent, code: &OwnToken, until: Instant) -> Agent {
    Agent {
        code_sha256: Some(code.sha256()),
        code_until: Some(until),
        ..agent
    }
}

async fn entry_in(tx: &mut Tx<'_>, name: &str) -> Result<AgentEntry> {
    let entry = agents::agent_entry_in(tx, name).await?;
    entry.ok_or_else(|| Error::fault("an agent is gone that was just written"))
}

/// One credential opens one API: whoever is an agent is neither an operator, nor a principal of an app, nor another agent.
async fn check_identity(tx: &mut Tx<'_>, input: &PutAgent, existing: Option<&Agent>) -> Result<()> {
    let Some(Identity { client, object, .. }) = input.command.identity else {
        return Ok(());
    };
    let ids = [client, object];
    if input.operators.iter().any(|operator| ids.contains(&operator.id)) {
        return Err(in_use("an operator of the service"));
    }
    if let Some(app) = principals::app_of_principal(tx, ids).await? {
        return Err(in_use(&format!("a principal of app {app}")));
    }
    match agents::agent_of_identity(tx, ids, existing.map(|agent| agent.id)).await? {
        Some(other) => Err(in_use(&format!("agent '{other}'"))),
        None => Ok(()),
    }
}

fn in_use(whose: &str) -> Error {
    let message = format!("The application is {whose} already. An agent needs one of its own.");
    RuleError::new(Code::IdentityInUse, message)
        .about("identity")
        .into()
}

struct ChangeAgent {
    principal: Principal,
    name: String,
    preconditions: Preconditions,
    now: Instant,
}

impl ChangeAgent {
    async fn lock(&self, tx: &mut Tx<'_>) -> Result<Agent> {
        let found = agents::lock_agent(tx, &self.name).await?;
        let agent = found.ok_or_else(|| self.preconditions.missing(agent_missing(&self.name)))?;
        self.preconditions.check_write(Some(agent.etag))?;
        Ok(agent)
    }
}

/// Removes an agent. Its environments are nobody's then, and what it is carrying out is held when its lease runs out.
pub(crate) async fn delete_agent(
    service: &Arc<Service>,
    principal: &Principal,
    name: String,
    preconditions: Preconditions,
) -> Result<()> {
    let input = ChangeAgent {
        principal: principal.clone(),
        name,
        preconditions,
        now: service.clock.now(),
    };
    service
        .see_through(async move |service| {
            service
                .db
                .write(input, |tx, input| Box::pin(delete_agent_in(tx, input)))
                .await?;
            service.wakeup.notify();
            Ok(())
        })
        .await
}

async fn delete_agent_in(mut tx: Tx<'_>, input: &ChangeAgent) -> Result<()> {
    let agent = input.lock(&mut tx).await?;
    let unbound = unbind_uncovered(&mut tx, agent.id, None).await?;
    agents::delete_agent(&mut tx, agent.id).await?;
    let change = Change {
        action: "agents/delete",
        target: target(&agent.name),
        before: Some(with_bindings(state(&agent), unbound, 0)),
        after: None,
    };
    audit::record(&mut tx, Actor::Principal(&input.principal), input.now, change).await
}

struct RotateAgent {
    change: ChangeAgent,
    revoke: bool,
    code: OwnToken,
    code_until: Instant,
}

/// Makes a new code for an agent, in the place of any before. Its token is good until the code is used, or with `revoke`
/// not any more.
pub(crate) async fn rotate_agent(
    service: &Arc<Service>,
    principal: &Principal,
    name: String,
    revoke: bool,
    preconditions: Preconditions,
) -> Result<Saved> {
    let now = service.clock.now();
    let input = RotateAgent {
        change: ChangeAgent {
            principal: principal.clone(),
            name,
            preconditions,
            now,
        },
        revoke,
        code: new_code()?,
        code_until: now + service.settings.agents.enrolment,
    };
    service
        .see_through(async move |service| {
            service
                .db
                .write(input, |tx, input| Box::pin(rotate_agent_in(tx, input)))
                .await
        })
        .await
}

async fn rotate_agent_in(mut tx: Tx<'_>, input: &RotateAgent) -> Result<Saved> {
    let ChangeAgent { principal, now, .. } = &input.change;
    let before = input.change.lock(&mut tx).await?;
    let kept = match input.revoke {
        true => without_tokens(before.clone()),
        false => before.clone(),
    };
    let rotated = Agent {
        etag: Etag::random(),
        ..with_code(kept, &input.code, input.code_until)
    };
    agents::update_agent(&mut tx, &rotated).await?;
    let change = sign_in_change("agents/rotate", &before, &rotated);
    audit::record(&mut tx, Actor::Principal(principal), *now, change).await?;
    Ok(Saved {
        agent: entry_in(&mut tx, &rotated.name).await?,
        code: Some(input.code.clone()),
        overlaps: None,
        is_new: false,
    })
}

fn without_tokens(agent: Agent) -> Agent {
    Agent {
        token_sha256: None,
        token_until: None,
        former_token_sha256: None,
        former_token_until: None,
        lost_token_sha256: None,
        ..agent
    }
}

struct Rebind {
    principal: Principal,
    key: EnvironmentKey,
    agent: Option<String>,
    preconditions: Preconditions,
    now: Instant,
}

/// Says whose an environment is: an agent's whose scope covers it, or nobody's.
pub(crate) async fn rebind_environment(
    service: &Arc<Service>,
    principal: &Principal,
    key: EnvironmentKey,
    agent: Option<String>,
    preconditions: Preconditions,
) -> Result<(EnvironmentEntry, Vec<InstalledApp>)> {
    let input = Rebind {
        principal: principal.clone(),
        key,
        agent,
        preconditions,
        now: service.clock.now(),
    };
    service
        .see_through(async move |service| {
            let rebound = service
                .db
                .write(input, |tx, input| Box::pin(rebind_environment_in(tx, input)))
                .await?;
            service.wakeup.notify();
            Ok(rebound)
        })
        .await
}

async fn rebind_environment_in(
    mut tx: Tx<'_>,
    input: &Rebind,
) -> Result<(EnvironmentEntry, Vec<InstalledApp>)> {
    let agent = match &input.agent {
        Some(name) => Some(covering_agent(&mut tx, name, &input.key).await?),
        None => None,
    };
    let found = environments::lock_environment(&mut tx, &input.key).await?;
    let environment = found.ok_or_else(|| input.preconditions.missing(not_registered(&input.key)))?;
    input.preconditions.check_write(Some(environment.etag))?;
    let apps = environments::installed_apps(&mut tx, environment.id).await?;
    let before = match environment.agent_id {
        Some(id) => agents::agent_name_in(&mut tx, id).await?,
        None => None,
    };
    let name = agent.as_ref().map(|agent| agent.name.clone());
    let agent_id = agent.map(|agent| agent.id);
    if environment.agent_id == agent_id {
        return Ok((
            EnvironmentEntry {
                environment,
                agent: name,
            },
            apps,
        ));
    }
    let rebound = environments::Environment {
        agent_id,
        contested_since: None,
        etag: Etag::random(),
        ..environment
    };
    environments::update_environments(&mut tx, std::slice::from_ref(&rebound)).await?;
    let change = Change {
        action: "environments/rebind",
        target: format!("environments/{}", input.key),
        before: Some(json!({ "agent": before })),
        after: Some(json!({ "agent": name })),
    };
    audit::record(&mut tx, Actor::Principal(&input.principal), input.now, change).await?;
    Ok((
        EnvironmentEntry {
            environment: rebound,
            agent: name,
        },
        apps,
    ))
}

async fn covering_agent(tx: &mut Tx<'_>, name: &str, key: &EnvironmentKey) -> Result<Agent> {
    let found = agents::lock_agent(tx, name).await?;
    let agent = found.ok_or_else(|| agent_missing(name))?;
    if agent.scope.covers(key) {
        return Ok(agent);
    }
    let message = format!(
        "The scope of agent '{}' does not cover environment {key}.",
        agent.name
    );
    Err(RuleError::new(Code::BadArgument, message).about("agent").into())
}

fn agent_missing(name: &str) -> RuleError {
    RuleError::missing(target(name), format!("There is no agent '{name}'."))
}

fn state(agent: &Agent) -> Value {
    let AgentScope {
        tenants,
        families,
        names,
    } = &agent.scope;
    let tenants: Option<Vec<_>> = tenants
        .as_ref()
        .map(|all| all.iter().map(ToString::to_string).collect());
    let names: Option<Vec<_>> = names
        .as_ref()
        .map(|all| all.iter().map(|name| name.as_str()).collect());
    json!({
        "scope": {
            "tenants": tenants,
            "allTenants": tenants.is_none(),
            "reason": agent.scope_reason,
            "families": families,
            "names": names,
        },
        "servesUnreported": agent.serves_unreported,
        "identity": agent.identity.map(|identity| identity.to_string()),
    })
}

/// The same with how many environments changed hands.
#[expect(clippy::indexing_slicing, reason = "members of an object are added")]
fn with_bindings(mut state: Value, unbound: u64, bound: u64) -> Value {
    state["environmentsUnbound"] = unbound.into();
    state["environmentsBound"] = bound.into();
    state
}
