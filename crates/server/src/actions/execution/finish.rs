//! Ending what runs, as its executor reports.
//!
//! Reporting again, or late, changes nothing: a state that was reported to somebody as final stays final. A late report
//! that says something new is kept in the audit, for whoever has to find out what happened.

use super::{
    BATCH, Outcome, Result, address, after, all_changed, ended, ending_of, lies_in_the_matter, reschedule,
};
use crate::{
    actions::{
        Service,
        audit::{self, Actor, Change},
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

/// Ends a running operation as its executor reports; answers the operation as it is now.
#[cfg(test)]
pub(crate) async fn finish(
    service: &Service,
    id: OperationId,
    lease_id: Uuid,
    outcome: Outcome,
) -> Result<Operation> {
    finish_one(
        service,
        "executor",
        Report {
            id,
            lease_id,
            outcome,
        },
    )
    .await
}

async fn finish_one(service: &Service, by: &str, report: Report) -> Result<Operation> {
    let answers = finish_batch(service, by, vec![report]).await?;
    let answer = answers.into_iter().next();
    answer.unwrap_or_else(|| Err(Error::fault("a report was not answered")))
}

/// Ends running operations as the executor of that name reports; answers for each report, in their order, the operation
/// as it is now, or why the report could not be written down. Such a one may be made again.
pub(crate) async fn finish_all(service: &Service, by: &str, reports: Vec<Report>) -> Vec<Result<Operation>> {
    let mut answers = Vec::with_capacity(reports.len());
    for batch in reports.chunks(BATCH) {
        match finish_batch(service, by, batch.to_vec()).await {
            Ok(batch) => answers.extend(batch),
            Err(error) if lies_in_the_matter(&error) => {
                for report in batch {
                    answers.push(finish_one(service, by, report.clone()).await);
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
    by: String,
    reports: Vec<Report>,
    now: Instant,
}

/// What became of a report.
struct Answer {
    operation: Operation,
    /// Whether the report ended the operation.
    is_news: bool,
}

async fn finish_batch(service: &Service, by: &str, reports: Vec<Report>) -> Result<Vec<Result<Operation>>> {
    let input = Finish {
        by: by.to_owned(),
        reports,
        now: service.clock.now(),
    };
    let answers = service
        .db
        .write(input, |tx, input| Box::pin(finish_in(tx, input)))
        .await;
    service.emitted.notify_here();
    let answers = answers?;
    if answers.iter().flatten().any(|answer| answer.is_news) {
        service.wakeup.notify();
    }
    let operation = |answer: Result<Answer>| answer.map(|answer| answer.operation);
    Ok(answers.into_iter().map(operation).collect())
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
        let is_news =
            operation.status == OperationStatus::Running && operation.lease_id == Some(report.lease_id);
        if is_news {
            let before = operation.clone();
            let ending = ending_of(&report.outcome, input.now);
            *operation = after(before.clone(), ending.clone());
            changes.end(before, ending);
        } else {
            changes.audit.extend(late(report, operation, input.now));
        }
        let operation = operation.clone();
        answers.push(Ok(Answer { operation, is_news }));
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
    fn end(&mut self, operation: Operation, ending: Ending) {
        self.audit.push(ended(&operation, &ending));
        self.ended.push((operation, ending));
    }

    async fn write(self, tx: &mut Tx<'_>, locked: &Locked, input: &Finish) -> Result<()> {
        let endings = self.ended.iter().map(|(operation, ending)| (operation, ending));
        let changed = rows::end_operations(tx, endings).await?;
        all_changed("ended", self.ended.len(), changed)?;
        rows::set_installed(tx, self.ended.iter().filter_map(now_installed)).await?;
        let (by, now) = (Actor::Executor(&input.by), input.now);
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

/// The audit row of a report that comes too late, unless it says what is known.
fn late(report: &Report, operation: &Operation, now: Instant) -> Option<Change<'static>> {
    let reported = ending_of(&report.outcome, now);
    if operation.lease_id == Some(report.lease_id) && operation.status == reported.status {
        return None;
    }
    Some(Change {
        action: "operations/lateReport",
        target: address(operation),
        before: Some(json!({ "status": operation.status.as_str() })),
        after: Some(json!({ "reported": reported.status.as_str(), "errorMessage": reported.error_message })),
    })
}
