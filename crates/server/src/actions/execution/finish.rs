//! Ending what runs, as its agent reports.
//!
//! Reporting again, or late, changes nothing: a state that was reported to somebody as final stays final. A late report
//! that says something new is kept in the audit, for whoever has to find out what happened.

use super::{Outcome, Result, address, after, all_changed, ended, ending_of, reschedule, skip_rest};
use crate::{
    actions::{
        Service,
        agents::AgentCaller,
        audit::{self, Actor, Change},
        events,
    },
    error::Error,
};
use domain::{
    ids::OperationId,
    instant::Instant,
    operation::{OperationKind, OperationStatus},
};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use store::{
    Tx,
    audit::states_after,
    environments::{Environment, InstalledApp, installation_rows},
    execution::{self as rows, Ending, NowInstalled},
    hotfixes::Operation,
};
use uuid::Uuid;

/// A report that comes too late, in the audit.
const LATE: &str = "operations/lateReport";
/// Longest text of one that is kept, in bytes.
const LONGEST_LATE: usize = 2 * 1024;

/// What an agent says about an operation that it holds by this lease.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Report {
    pub(crate) id: OperationId,
    pub(crate) lease_id: Uuid,
    pub(crate) outcome: Outcome,
}

/// What a report comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It ended the operation.
    Ended,
    /// It says again what ended the operation.
    Known,
    /// It changes nothing: the operation has ended otherwise, or is held by somebody else.
    Late,
}

struct Finish {
    by: AgentCaller,
    report: Report,
    now: Instant,
}

/// An operation as it is after a report, and what the report came to.
type Answer = (Operation, Verdict);

/// Ends a running operation as whoever carries it out reports; the operation as it is now, and what the report came to.
pub(crate) async fn finish(service: &Service, by: &AgentCaller, report: Report) -> Result<Answer> {
    let input = Finish {
        by: by.clone(),
        report,
        now: service.clock.now(),
    };
    let answer = service
        .db
        .write(input, |tx, input| Box::pin(finish_in(tx, input)))
        .await;
    service.emitted.notify_here();
    let answer = answer?;
    if answer.1 == Verdict::Ended {
        service.wakeup.notify();
    }
    Ok(answer)
}

async fn finish_in(mut tx: Tx<'_>, input: &Finish) -> Result<Answer> {
    let Finish { by, report, now } = input;
    let mut locked = Locked::lock(&mut tx, [report.id].into_iter()).await?;
    let Some(operation) = locked.operations.remove(&report.id) else {
        return Err(Error::fault(format!("there is no operation {}", report.id)));
    };
    let ending = ending_of(&report.outcome, *now);
    let verdict = verdict(by, report, &ending, &operation);
    let operation = match verdict {
        Verdict::Ended => {
            let environments: Vec<_> = locked.environments.values().collect();
            end(&mut tx, operation, ending, &environments, input).await?
        }
        // Nobody fills the audit with what was never theirs.
        Verdict::Late if by.carries(&operation) => {
            let change = late(&operation, in_full(ending, &report.outcome));
            if !was_reported(&mut tx, &change).await? {
                audit::record(&mut tx, Actor::Agent(by), *now, change).await?;
            }
            operation
        }
        Verdict::Late | Verdict::Known => operation,
    };
    Ok((operation, verdict))
}

/// Writes down how an operation ended, and what that makes of its environment; the operation as it is now.
async fn end(
    tx: &mut Tx<'_>,
    operation: Operation,
    ending: Ending,
    environments: &[&Environment],
    input: &Finish,
) -> Result<Operation> {
    let Finish { by, report, now } = input;
    let by = Actor::Agent(by);
    let changed = rows::end_operations(tx, [(&operation, &ending)]).await?;
    all_changed("ended", 1, changed)?;
    if ending.status == OperationStatus::Succeeded {
        take_over(tx, &operation, environments).await?;
    }
    let change = ended(&operation, &in_full(ending.clone(), &report.outcome));
    audit::record(tx, by, *now, change).await?;
    let operation = after(operation, ending);
    events::emit(tx, by, *now, [&operation]).await?;
    skip_rest(tx, by, *now, [&operation]).await?;
    reschedule(tx, environments, *now).await?;
    Ok(operation)
}

/// Operations and their environments, locked in the order that everybody keeps: environments first, each kind by
/// identity. So nobody waits in a circle.
pub(super) struct Locked {
    pub(super) operations: HashMap<OperationId, Operation>,
    /// Those that are still there.
    pub(super) environments: HashMap<Uuid, Environment>,
}

impl Locked {
    pub(super) async fn lock(tx: &mut Tx<'_>, ids: impl Iterator<Item = OperationId>) -> Result<Self> {
        let places: BTreeMap<_, _> = rows::environments_of(tx, ids).await?.into_iter().collect();
        let environments: BTreeSet<Uuid> = places.values().copied().collect();
        let environments = rows::lock_environments(tx, environments).await?;
        let operations = rows::lock_operations(tx, places.into_keys()).await?;
        Ok(Self {
            operations: operations
                .into_iter()
                .map(|operation| (operation.id, operation))
                .collect(),
            environments: environments
                .into_iter()
                .map(|environment| (environment.id, environment))
                .collect(),
        })
    }
}

/// What is installed after an operation that succeeded, unless an inventory knows better by now.
async fn take_over(tx: &mut Tx<'_>, operation: &Operation, environments: &[&Environment]) -> Result<()> {
    let (environment, app_id) = (operation.environment_id, operation.app_id);
    match (operation.kind, operation.source_version, operation.target_version) {
        (OperationKind::Install, _, Some(version)) => {
            let app = InstalledApp {
                app_id,
                version,
                name: operation.app_name.clone(),
                publisher: operation.app_publisher.clone(),
                availability: None,
                dependencies: None,
                scope: None,
                can_be_uninstalled: None,
            };
            let there = environments.iter().find(|there| there.id == environment);
            let rows = there
                .into_iter()
                .flat_map(|there| installation_rows(there, std::slice::from_ref(&app)));
            rows::add_installed(tx, &rows.collect::<Vec<_>>()).await?;
        }
        (OperationKind::Uninstall, Some(was), _) => {
            rows::remove_installed(tx, environment, app_id, was).await?;
        }
        (_, _, Some(version)) => {
            let now = NowInstalled {
                environment,
                app_id,
                version,
            };
            rows::set_installed(tx, [now]).await?;
        }
        (_, _, None) => {}
    }
    Ok(())
}

/// An ending with all that was said of it.
fn in_full(ending: Ending, outcome: &Outcome) -> Ending {
    match outcome {
        Outcome::Failed {
            in_full: Some(text), ..
        } => Ending {
            error_message: Some(text.clone()),
            ..ending
        },
        _ => ending,
    }
}

fn verdict(by: &AgentCaller, report: &Report, reported: &Ending, operation: &Operation) -> Verdict {
    let is_its = by.carries(operation) && operation.lease_id == Some(report.lease_id);
    let is_so = operation.status == reported.status && operation.reason == reported.reason;
    match operation.status {
        OperationStatus::Running if is_its => Verdict::Ended,
        _ if is_its && is_so => Verdict::Known,
        _ => Verdict::Late,
    }
}

/// The audit row of a report that comes too late.
fn late(operation: &Operation, reported: Ending) -> Change<'static> {
    let text = reported.error_message.as_deref();
    let message = text.and_then(|text| text.get(..text.floor_char_boundary(LONGEST_LATE)));
    Change {
        action: LATE,
        target: address(operation),
        before: Some(json!({ "status": operation.status.as_str() })),
        after: Some(json!({ "reported": reported.status.as_str(), "errorMessage": message })),
    }
}

/// Whether the same outcome was reported too late before. Each is news once, whatever else is said about it.
async fn was_reported(tx: &mut Tx<'_>, late: &Change<'_>) -> Result<bool> {
    let reported = |state: &Value| state["reported"].clone();
    let now = late.after.as_ref().map(reported);
    let told = states_after(tx, LATE, &late.target).await?;
    let before = |state: &String| serde_json::from_str(state).ok().as_ref().map(reported);
    Ok(told.iter().any(|state| before(state) == now))
}
