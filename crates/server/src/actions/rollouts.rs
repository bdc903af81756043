//! Rollouts: one decision for many environments, made, looked at, and held by those who may.
//!
//! What follows for a rollout is decided by `domain::rollout`. Here it is read, asked and kept, each time under the lock of
//! the rollout's row, so of two who change it the second sees what the first did.

mod begin;
mod brake;
mod carry_out;
mod create;
mod follow;
mod next;
mod plan;
mod policy;
mod read;
mod selection;
mod state;
mod step;
mod summary;
mod verbs;

pub(crate) use brake::{Rooms, hold};
pub(crate) use create::{CreateRollout, create_rollout};
pub(crate) use follow::follow;
pub(crate) use plan::{Piece, PlanRollout, Plans, plan_rollout, rows_of_plan};
pub(crate) use policy::{get_approval_policy, put_approval_policy};
pub(crate) use read::{RolloutEntry, complete, complete_environments, get_rollout};
pub(crate) use selection::{Judged, Verdict};
pub(crate) use step::{next_step, step_due};
pub(crate) use summary::{Example, Summary};
pub(crate) use verbs::{Verb, change_rollout};

use super::events::{RolloutStep, emit_rollout};
use domain::{
    access::{Permission, Resource},
    ids::AppId,
    problem::RuleError,
};
use uuid::Uuid;

pub(crate) const READ: Permission = Permission::read(Resource::Rollouts);
pub(crate) const WRITE: Permission = Permission::write(Resource::Rollouts);

fn missing(app: AppId, id: Uuid) -> RuleError {
    RuleError::missing(address(app, id), format!("App {app} has no rollout {id}."))
}

fn address(app: AppId, id: Uuid) -> String {
    format!("apps/{app}/rollouts/{id}")
}
