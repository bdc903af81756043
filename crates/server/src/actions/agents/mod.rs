//! Agents: who carries operations out beside the environments, how they sign in, and which environments are theirs.
//!
//! An agent has no rights but those over the environments that are bound to it. That a token is in two hands is the
//! worst that can happen to it; nobody can tell the hands apart, so both get nothing from then on.

pub(crate) mod binding;
pub(crate) mod caller;
mod enrol;
mod leaks;
mod look_ups;
mod manage;
pub(crate) mod sign_in;

pub(crate) use caller::{AgentCaller, Credential};
pub(crate) use enrol::{GivenToken, enrol, rotate_token};
pub(crate) use leaks::end_leaked;
pub(crate) use look_ups::LookUps;
pub(crate) use manage::{
    RegisterAgent, Saved, delete_agent, get_agent, put_agent, rebind_environment, rotate_agent,
};
pub(crate) use sign_in::{AgentCall, SignIn, lock_standing, sign_in};

use super::audit::Change;
use domain::instant::Instant;
use serde_json::{Value, json};
use std::time::Duration;
use store::agents::Agent;

/// How long a token that was replaced is still good: requests under way still carry it.
const OVERLAP: Duration = Duration::from_secs(10 * 60);

pub(super) fn target(name: &str) -> String {
    format!("agents/{name}")
}

/// A change of how an agent may sign in; its secrets are not part of it.
fn sign_in_change(action: &'static str, before: &Agent, after: &Agent) -> Change<'static> {
    Change {
        action,
        target: target(&after.name),
        before: Some(sign_in_state(before)),
        after: Some(sign_in_state(after)),
    }
}

fn sign_in_state(agent: &Agent) -> Value {
    let text = |on: Option<Instant>| on.map(|on| on.to_string());
    json!({
        "tokenExpiresOn": text(agent.token_until),
        "enrolmentCodeExpiresOn": text(agent.code_until),
        "frozenOn": text(agent.frozen_on),
        "frozenReason": agent.frozen_reason,
    })
}
