//! Ending what runs, as its executor reports.
//!
//! Reporting again, or late, changes nothing: a state that was reported to somebody as final stays final. A late report
//! that says something new is kept in the audit, for whoever has to find out what happened.

use super::{
    BATCH, Claimant, Outcome, Result, address, after, all_changed, ended, ending_of, lies_in_the_matter,
    reschedule,
};
use crate::{
    actions::{
        Service,
        audit::{self, Change},
        events,
    },
    error::Error,
};
use domain::{ids::OperationId, instant::Instant, operation::OperationStatus};
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};
use store::{
    Cause, StoreError, Tx,
    environments::Environment,
    execution::{self as rows, Ending, NowInstalled},
    hotfixes::Operation,
};
use uuid::Uuid;

/// What an executor says about an operation that it holds by this lease.
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

/// Ends a running operation as whoever carries it out reports; the operation as it is now, and what the report came to.
pub(crate) async fn finish_one(
    service: &Service,
    by: &Claimant,
    report: Report,
) -> Result<(Operation, Verdict)> {
    let answers = finish_batch(service, by, vec![report]).await?;
    let answer = answers.into_iter().next();
    answer.unwrap_or_else(|| Err(Error::fault("a report was not answered")))
}

/// Ends running operations as whoever carries them out reports; answers for each report, in their order, the operation
/// as it is now, or why the report could not be written down. Such a one may be made again.
pub(crate) async fn finish_all(
    service: &Service,
    by: &Claimant,
    reports: Vec<Report>,
) -> Vec<Result<Operation>> {
    let operation = |answer: Result<Answer>| answer.map(|(operation, _)| operation);
    let mut answers = Vec::with_capacity(reports.len());
    for batch in reports.chunks(BATCH) {
        match finish_batch(service, by, batch.to_vec()).await {
            Ok(batch) => answers.extend(batch.into_iter().map(operation)),
            Err(error) if lies_in_the_matter(&error) => {
                for report in batch {
                    answers.push(operation(finish_one(service, by, report.clone()).await));
                }
            }
            Err(error) => {
                let cause: Cause = Arc::new(error);
                answers.extend(
                    batch
                        .iter()
                        .map(|_| Err(StoreError::Unavailable(cause.clone()).into())),
                );
            }
        }
    }
    answers
}

struct Finish {
    by: Claimant,
    reports: Vec<Report>,
    now: Instant,
}

/// An operation as it is after a report, and what the report came to.
type Answer = (Operation, Verdict);

async fn finish_batch(service: &Service, by: &Claimant, reports: Vec<Report>) -> Result<Vec<Result<Answer>>> {
    let input = Finish {
        by: by.clone(),
        reports,
        now: service.clock.now(),
    };
    let answers = service
        .db
        .write(input, |tx, input| Box::pin(finish_in(tx, input)))
        .await;
    service.emitted.notify_here();
    let answers = answers?;
    let has_ended = |(_, verdict): &Answer| *verdict == Verdict::Ended;
    if answers.iter().flatten().any(has_ended) {
        service.wakeup.notify();
    }
    Ok(answers)
}

async fn finish_in(mut tx: Tx<'_>, input: &Finish) -> Result<Vec<Result<Answer>>> {
    let reported = input.reports.iter().map(|report| report.id);
    let mut locked = Locked::lock(&mut tx, reported).await?;
    let mut changes = Changes::default();
    let mut answers = Vec::with_capacity(input.reports.len());
    for report in &input.reports {
        let Some(operation) = locked.operations.get_mut(&report.id) else {
            let missing = format!("there is no operation {}", report.id);
            answers.push(Err(Error::fault(missing)));
            continue;
        };
        let ending = ending_of(&report.outcome, input.now);
        let verdict = verdict(&input.by, report, &ending, operation);
        match verdict {
            Verdict::Ended => {
                let before = operation.clone();
                *operation = after(before.clone(), ending.clone());
                changes.end(before, ending, &report.outcome);
            }
            // Nobody fills the audit with what was never theirs.
            Verdict::Late if input.by.carries(operation) => {
                changes
                    .audit
                    .push(late(operation, in_full(ending, &report.outcome)));
            }
            Verdict::Late | Verdict::Known => {}
        }
        answers.push(Ok((operation.clone(), verdict)));
    }
    changes.write(&mut tx, &locked, input).await?;
    Ok(answers)
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

/// What reports come to, to be written at once.
#[derive(Default)]
struct Changes {
    /// Operations as they were, and how they end.
    ended: Vec<(Operation, Ending)>,
    audit: Vec<Change<'static>>,
}

impl Changes {
    fn end(&mut self, operation: Operation, ending: Ending, outcome: &Outcome) {
        self.audit
            .push(ended(&operation, &in_full(ending.clone(), outcome)));
        self.ended.push((operation, ending));
    }

    async fn write(self, tx: &mut Tx<'_>, locked: &Locked, input: &Finish) -> Result<()> {
        let endings = self.ended.iter().map(|(operation, ending)| (operation, ending));
        let changed = rows::end_operations(tx, endings).await?;
        all_changed("ended", self.ended.len(), changed)?;
        rows::set_installed(tx, self.ended.iter().filter_map(now_installed)).await?;
        let (by, now) = (input.by.actor(), input.now);
        audit::record_all(tx, by, now, self.audit).await?;
        let ended = self.ended.iter().cloned();
        let ended: Vec<_> = ended
            .map(|(operation, ending)| after(operation, ending))
            .collect();
        events::emit(tx, by, now, &ended).await?;
        let freed: BTreeSet<Uuid> = self
            .ended
            .iter()
            .map(|(operation, _)| operation.environment_id)
            .collect();
        let freed: Vec<_> = freed
            .iter()
            .filter_map(|id| locked.environments.get(id))
            .collect();
        reschedule(tx, &freed, now).await
    }
}

fn now_installed((operation, ending): &(Operation, Ending)) -> Option<NowInstalled> {
    (ending.status == OperationStatus::Succeeded).then_some(NowInstalled {
        environment: operation.environment_id,
        app_id: operation.app_id,
        version: operation.target_version,
    })
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

fn verdict(by: &Claimant, report: &Report, reported: &Ending, operation: &Operation) -> Verdict {
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
    Change {
        action: "operations/lateReport",
        target: address(operation),
        before: Some(json!({ "status": operation.status.as_str() })),
        after: Some(json!({ "reported": reported.status.as_str(), "errorMessage": reported.error_message })),
    }
}
