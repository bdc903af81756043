//! The life of an operation after it was scheduled: claimed when due, carried out by an agent under a lease,
//! ended by its report or by its silence.
//!
//! The environment's row is the lock under which all this is decided: whoever holds it may start the one operation
//! that is next there. It also says when that may be, so that nobody looks at an environment that is busy, held or has
//! nothing to start. Many environments are decided in one transaction: what they need is read for all of them, the
//! decisions are made in memory, and what follows is written for all of them.
//!
//! One environment with damaged rows must not keep the others from their work. Where a transaction over many fails for
//! another reason than the database's state, each of them gets one of its own.

mod claim;
mod due;
mod finish;
mod inventories;
mod lease;
mod waiting;

pub(crate) use claim::claim;
pub(crate) use due::{next_start, reschedule, window_of};
pub(crate) use finish::{Report, Verdict, finish};
pub(crate) use inventories::Inventories;
pub(crate) use lease::{end_lost, end_lost_by, renew, renew_one};
pub(crate) use waiting::{WaitingClaims, Woken};

use super::{
    Service,
    agents::AgentCaller,
    audit::{self, Actor, Change},
    environments, events,
};
use crate::error::{Error, Result};
use domain::{
    environment::EnvironmentKey,
    instant::Instant,
    operation::{FailReason, FailureCause, OperationKind, OperationStatus, Skip},
    start,
};
use serde_json::json;
use std::collections::HashMap;
use store::{
    Tx,
    execution::{self as rows, Ending, Lease},
    hotfixes::Operation,
};
use uuid::Uuid;

/// Environments or operations that one transaction decides about: enough to share its cost, few enough that others
/// who write do not notice it.
const BATCH: usize = 250;

/// How far it is counted what is under way, so that counting costs milliseconds.
const COUNTED: i64 = 10_000;

impl AgentCaller {
    /// Whether it carries that operation out, or did.
    fn carries(&self, operation: &Operation) -> bool {
        operation.agent_id == Some(self.id)
    }
}

/// An operation that an agent now holds. What one claim started shares a lease id.
#[derive(Clone, Debug)]
pub(crate) struct Claimed {
    pub(crate) operation: Operation,
    pub(crate) lease: Lease,
}

/// What an agent says became of an operation.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Outcome {
    Succeeded,
    Failed {
        message: String,
        cause: Option<FailureCause>,
        /// The full text for the audit, where the message is all that the vendor may be told.
        in_full: Option<String>,
    },
    Skipped(Option<String>),
}

fn ending_of(outcome: &Outcome, now: Instant) -> Ending {
    match outcome {
        Outcome::Succeeded => Ending {
            status: OperationStatus::Succeeded,
            completed_on: Some(now),
            ended_on: now,
            error_message: None,
            reason: None,
            failure_cause: None,
        },
        Outcome::Failed { message, cause, .. } => Ending {
            status: OperationStatus::Failed,
            completed_on: Some(now),
            ended_on: now,
            error_message: Some(message.clone()),
            reason: Some(FailReason::Reported.as_str().into()),
            failure_cause: *cause,
        },
        Outcome::Skipped(message) => skipped(&Skip::nothing_to_do(message.as_deref()), now),
    }
}

/// The ending of an operation that is skipped.
pub(crate) fn skipped(skip: &Skip, now: Instant) -> Ending {
    Ending {
        status: OperationStatus::Skipped,
        completed_on: None,
        ended_on: now,
        error_message: Some(skip.to_string()),
        reason: Some(skip.reason.as_str().into()),
        failure_cause: None,
    }
}

/// The audit row of an ending.
pub(crate) fn ended(operation: &Operation, ending: &Ending) -> Change<'static> {
    Change {
        action: "operations/end",
        target: address(operation),
        before: Some(json!({ "status": operation.status.as_str() })),
        after: Some(json!({
            "status": ending.status.as_str(),
            "errorMessage": ending.error_message,
            "reason": ending.reason,
        })),
    }
}

/// Why the rest of a plan is skipped of which this part did not come about.
fn part_failed(part: &Operation) -> Skip {
    let app = part.app_name.clone().unwrap_or_else(|| part.app_id.to_string());
    start::part_failed(part.id, part.kind, &app, part.status, part.reason.as_deref())
}

/// Skips what waits of the plans of operations that ended otherwise than well: nobody wants a part of one.
async fn skip_rest(
    tx: &mut Tx<'_>,
    by: Actor<'_>,
    now: Instant,
    ended_ones: impl IntoIterator<Item = &Operation>,
) -> Result<()> {
    let is_there_already = |one: &Operation| {
        let reason = one.reason.as_deref().and_then(|reason| reason.parse().ok());
        one.status == OperationStatus::Skipped
            && reason.is_some_and(|reason| start::is_there_already(one.kind, reason))
    };
    let is_part = |one: &&Operation| {
        let is_well = one.status == OperationStatus::Succeeded || is_there_already(one);
        one.kind != OperationKind::Hotfix && !is_well
    };
    for part in ended_ones.into_iter().filter(is_part) {
        let rest = rows::lock_rest_of_plan(tx, part.environment_id, part.plan()).await?;
        let ending = skipped(&part_failed(part), now);
        let endings = rest.iter().map(|operation| (operation, &ending));
        let changed = rows::end_operations(tx, endings).await?;
        all_changed("skipped", rest.len(), changed)?;
        audit::record_all(
            tx,
            by,
            now,
            rest.iter().map(|operation| ended(operation, &ending)),
        )
        .await?;
        let rest: Vec<_> = rest
            .into_iter()
            .map(|operation| after(operation, ending.clone()))
            .collect();
        events::emit(tx, by, now, &rest).await?;
    }
    Ok(())
}

/// An operation after its ending.
pub(crate) fn after(operation: Operation, ending: Ending) -> Operation {
    Operation {
        status: ending.status,
        completed_on: ending.completed_on,
        ended_on: Some(ending.ended_on),
        error_message: ending.error_message,
        reason: ending.reason,
        failure_cause: ending.failure_cause,
        lease_until: None,
        ..operation
    }
}

/// The address of an operation, without the API version: a hotfix is its vendor's, any other the environment's.
pub(crate) fn address(operation: &Operation) -> String {
    let Operation {
        app_id,
        country_code,
        id,
        ..
    } = operation;
    match operation.kind {
        OperationKind::Hotfix => format!("apps/{app_id}/countries/{country_code}/environmentHotfixes/{id}"),
        _ => {
            let (tenant, family, name) = (
                operation.tenant_id,
                &operation.family,
                &operation.environment_name,
            );
            let environment = EnvironmentKey::new(tenant, family, name);
            format!("{}/operations/{id}", environments::target(&environment))
        }
    }
}

/// When work may next start in the environments of each agent that may take some on.
pub(crate) async fn due_of_agents(service: &Service) -> Result<HashMap<Uuid, Instant>> {
    Ok(rows::due_of_agents(&service.db).await?.into_iter().collect())
}

/// In how many environments work may start now, and how many operations are running; counted so far and no further.
pub(crate) async fn under_way(service: &Service) -> Result<(i64, i64)> {
    let due = rows::count_due(&service.db, service.clock.now(), COUNTED).await?;
    Ok((due, rows::count_running(&service.db, COUNTED).await?))
}

/// The first instant after `after` at which work may start in an environment or a lease ends.
pub(crate) async fn next_instant(service: &Service, after: Instant) -> Result<Option<Instant>> {
    let due = rows::next_due(&service.db, after).await?;
    let lease_end = rows::next_lease_end(&service.db)
        .await?
        .filter(|end| *end > after);
    Ok(due.into_iter().chain(lease_end).min())
}

/// When the next lease ends, if any operation runs.
pub(crate) async fn next_lease_end(service: &Service) -> Result<Option<Instant>> {
    Ok(rows::next_lease_end(&service.db).await?)
}

/// Whether the cause of a failure lies in what was to be done, so that the rest of a batch may well succeed without
/// it. The database's own state would fail everything alike.
fn lies_in_the_matter(error: &Error) -> bool {
    !error.is_passing()
}

/// How many rows a change was to touch, and touched; a difference undoes it.
fn all_changed(what: &str, expected: usize, changed: u64) -> Result<()> {
    if u64::try_from(expected) == Ok(changed) {
        return Ok(());
    }
    Err(Error::fault(format!(
        "{changed} of {expected} operations could be {what}, though their rows were locked"
    )))
}
