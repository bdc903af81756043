//! The heartbeat of an agent: renewed while it works, and what its absence comes to.

use super::{BATCH, Result, after, all_changed, ended, finish::Locked, lies_in_the_matter, skip_rest};
use crate::{
    actions::{
        Service,
        agents::AgentCaller,
        audit::{self, Actor},
        events,
    },
    telemetry::metrics::LOST,
};
use domain::{
    chain::Chain,
    ids::OperationId,
    instant::Instant,
    operation::{self, FailReason, OperationStatus},
};
use std::{collections::BTreeSet, time::Duration};
use store::{
    Tx,
    execution::{self as rows, Ending, LeaseEnd, Progress},
    hotfixes::Operation,
};
use uuid::Uuid;

struct Renewal {
    by: AgentCaller,
    held: Vec<(OperationId, Uuid)>,
    until: Instant,
    /// How far what is renewed has come, and at which moment.
    progress: Option<(Progress, Instant)>,
}

/// Lets the lease of an operation end at `until`, and says how far it has come; whether it runs under that lease.
pub(crate) async fn renew_one(
    service: &Service,
    by: &AgentCaller,
    held: (OperationId, Uuid),
    until: Instant,
    progress: Option<Progress>,
) -> Result<bool> {
    let input = Renewal {
        by: by.clone(),
        held: vec![held],
        until,
        progress: progress.map(|progress| (progress, service.clock.now())),
    };
    Ok(!renew_as(service, input).await?.is_empty())
}

/// Lets leases end at `until`, each named by its operation and its id; answers the operations that were renewed.
/// The others do not run under that lease: they have ended, or never did.
pub(crate) async fn renew(
    service: &Service,
    by: &AgentCaller,
    held: Vec<(OperationId, Uuid)>,
    until: Instant,
) -> Result<Vec<OperationId>> {
    let mut renewed = Vec::with_capacity(held.len());
    for batch in held.chunks(BATCH) {
        match renew_together(service, by, batch, until).await {
            Err(error) if lies_in_the_matter(&error) => {}
            outcome => {
                renewed.extend(outcome?);
                continue;
            }
        }
        for one in batch {
            match renew_together(service, by, std::slice::from_ref(one), until).await {
                Err(error) if lies_in_the_matter(&error) => {
                    tracing::error!(operation = %one.0, error = %Chain(&error), "a lease cannot be renewed");
                }
                outcome => renewed.extend(outcome?),
            }
        }
    }
    Ok(renewed)
}

async fn renew_together(
    service: &Service,
    by: &AgentCaller,
    held: &[(OperationId, Uuid)],
    until: Instant,
) -> Result<Vec<OperationId>> {
    let input = Renewal {
        by: by.clone(),
        held: held.to_vec(),
        until,
        progress: None,
    };
    renew_as(service, input).await
}

async fn renew_as(service: &Service, input: Renewal) -> Result<Vec<OperationId>> {
    service
        .db
        .write(input, |tx, input| Box::pin(renew_in(tx, input)))
        .await
}

async fn renew_in(mut tx: Tx<'_>, input: &Renewal) -> Result<Vec<OperationId>> {
    let ids = input.held.iter().map(|(id, _)| *id);
    let mut renewed = Vec::with_capacity(input.held.len());
    // Whoever lost an environment, be it by a scope that shrank, does not keep what they are at there either.
    let within_reach = rows::operations_within_reach(&mut tx, input.by.id, ids.clone()).await?;
    for operation in rows::lock_operations(&mut tx, ids).await? {
        let is_held = |&(id, lease_id): &(OperationId, Uuid)| {
            id == operation.id && operation.lease_id == Some(lease_id)
        };
        let is_theirs = input.by.carries(&operation) && within_reach.contains(&operation.id);
        let runs = operation.status == OperationStatus::Running && is_theirs;
        if runs && input.held.iter().any(is_held) {
            renewed.push(operation.id);
        }
    }
    if let Some((progress, at)) = &input.progress {
        for id in &renewed {
            rows::set_progress(&mut tx, *id, progress, *at).await?;
        }
    }
    rows::renew_leases(&mut tx, renewed.iter().copied(), input.until).await?;
    Ok(renewed)
}

/// Ends operations whose agent fell silent, and holds their environments; how many there were. A server that
/// cannot trust its own clock ends none.
pub(crate) async fn end_lost(service: &Service) -> Result<usize> {
    let now = service.clock_check.compare(service).await?;
    end_lost_by(service, now).await
}

/// Ends those whose lease was over before `now`, by a clock that was just compared.
pub(crate) async fn end_lost_by(service: &Service, now: Instant) -> Result<usize> {
    if !service.clock_check.is_right() {
        return Ok(0);
    }
    let (mut ended, mut behind) = (0, None);
    loop {
        let lost = rows::lost_operations(&service.db, now, behind, BATCH).await?;
        let Some(&last) = lost.last() else {
            return Ok(ended);
        };
        ended += end_batch(service, &lost, now).await?;
        behind = Some(last);
    }
}

async fn end_batch(service: &Service, lost: &[LeaseEnd], now: Instant) -> Result<usize> {
    match end_together(service, lost, now).await {
        Err(error) if lies_in_the_matter(&error) => {}
        outcome => return outcome,
    }
    let mut ended = 0;
    for one in lost {
        match end_together(service, std::slice::from_ref(one), now).await {
            Ok(count) => ended += count,
            Err(error) if lies_in_the_matter(&error) => {
                tracing::error!(operation = %one.1, error = %Chain(&error), "an operation whose agent fell silent cannot be ended");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(ended)
}

async fn end_together(service: &Service, lost: &[LeaseEnd], now: Instant) -> Result<usize> {
    let ids: Vec<_> = lost.iter().map(|(_, id)| *id).collect();
    let ended = service
        .db
        .write((ids, now, service.settings.executor.lease), |tx, input| {
            Box::pin(end_lost_in(tx, input))
        })
        .await?;
    service.emitted.notify_here();
    metrics::counter!(LOST).increment(ended as u64);
    Ok(ended)
}

async fn end_lost_in(mut tx: Tx<'_>, input: &(Vec<OperationId>, Instant, Duration)) -> Result<usize> {
    let (ids, now, lease) = input;
    let locked = Locked::lock(&mut tx, ids.iter().copied()).await?;
    let is_lost = |operation: &&Operation| {
        operation.status == OperationStatus::Running
            && operation.lease_until.is_some_and(|until| until < *now)
    };
    let lost: BTreeSet<_> = locked
        .operations
        .values()
        .filter(is_lost)
        .map(|lost| lost.id)
        .collect();
    let lost: Vec<_> = lost.iter().filter_map(|id| locked.operations.get(id)).collect();
    let endings: Vec<_> = lost
        .iter()
        .map(|operation| outcome_unknown(operation, *now, *lease))
        .collect();
    let changed = rows::end_operations(&mut tx, lost.iter().copied().zip(&endings)).await?;
    all_changed("ended", lost.len(), changed)?;
    let held = lost
        .iter()
        .map(|operation| (operation.environment_id, operation.id));
    let held = held.filter(|(environment, _)| locked.environments.contains_key(environment));
    rows::hold_environments(&mut tx, held, *now).await?;
    let changes = lost
        .iter()
        .zip(&endings)
        .map(|(operation, ending)| ended(operation, ending));
    let by = Actor::Service("executor");
    audit::record_all(&mut tx, by, *now, changes).await?;
    let lost = lost.into_iter().cloned().zip(endings);
    let ended: Vec<_> = lost.map(|(operation, ending)| after(operation, ending)).collect();
    events::emit(&mut tx, by, *now, &ended).await?;
    skip_rest(&mut tx, by, *now, &ended).await?;
    Ok(ended.len())
}

fn outcome_unknown(operation: &Operation, now: Instant, lease: Duration) -> Ending {
    // Each heartbeat is followed by the whole lease; said more exactly, where it said something.
    let renewed = operation.lease_until.map(|until| until - lease);
    let heard = [operation.started_on, operation.progress_on, renewed];
    let last_heard = heard.into_iter().flatten().max().unwrap_or(now);
    Ending {
        status: OperationStatus::Failed,
        completed_on: Some(now),
        ended_on: now,
        error_message: Some(operation::outcome_unknown(
            &operation.environment_name,
            last_heard,
        )),
        reason: Some(FailReason::OutcomeUnknown.as_str().into()),
        failure_cause: None,
    }
}
