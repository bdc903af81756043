//! The life of an operation after it was scheduled: claimed when due, carried out by an executor under a lease,
//! ended by its report or by its silence.
//!
//! The environment's row is the lock under which all this is decided: whoever holds it may start the one operation
//! that is next there. Waiting operations of an environment that is busy or held are parked, so that nobody looks at
//! them until it is free.

use super::{
    Service, announce,
    audit::{self, Actor, Change},
    facts::Gathered,
};
use crate::{
    error::{Error, Result},
    store::{
        Tx,
        environments::{self, Environment},
        hotfixes::{self, Ending, Lease, Operation, PARKED, Waiting},
        versions::{self, Version, VersionKey},
    },
};
use domain::{
    country::CountryCode,
    hotfix::{self, Start},
    ids::OperationId,
    instant::Instant,
    operation::{self, Due, FailReason, OperationStatus, Skip},
    version::{AppVersion, VersionStatus},
    window::UpdateWindow,
};
use serde_json::json;
use std::time::Duration;
use uuid::Uuid;

/// Environments that one round of claiming looks at.
const ROUND: i64 = 200;

/// An operation that an executor now holds.
#[derive(Clone, Debug)]
pub(crate) struct Claimed {
    pub(crate) operation: Operation,
    pub(crate) lease: Lease,
}

/// What an executor says became of an operation.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Outcome {
    Succeeded,
    Failed(String),
    Skipped(Option<String>),
}

/// Starts up to `most` operations that are due, each in an environment of its own.
pub(crate) async fn claim(service: &Service, most: usize, lease: Duration) -> Result<Vec<Claimed>> {
    let mut claimed = Vec::new();
    if most == 0 {
        return Ok(claimed);
    }
    let now = service.clock.now();
    for environment in hotfixes::environments_due(&service.db, now, ROUND).await? {
        if claimed.len() == most {
            break;
        }
        if let Some(started) = claim_in(service, environment, lease).await? {
            announce::started(&started.operation);
            claimed.push(started);
        }
    }
    Ok(claimed)
}

struct Claim {
    environment: Uuid,
    lease: Duration,
    allow_preview_in_sandbox: bool,
    now: Instant,
}

async fn claim_in(service: &Service, environment: Uuid, lease: Duration) -> Result<Option<Claimed>> {
    let input = Claim {
        environment,
        lease,
        allow_preview_in_sandbox: service.settings.hotfixes.preview_in_sandbox,
        now: service.clock.now(),
    };
    service
        .db
        .write(input, |tx, input| Box::pin(claim_environment(tx, input)))
        .await
}

async fn claim_environment(mut tx: Tx<'_>, input: &Claim) -> Result<Option<Claimed>> {
    let Some(environment) = environments::lock_environment_by_id(&mut tx, input.environment, true).await?
    else {
        return Ok(None);
    };
    if is_busy(&mut tx, &environment).await? {
        hotfixes::park_waiting(&mut tx, environment.id).await?;
        return Ok(None);
    }
    let mut waiting = due_now(&mut tx, &environment, input.now).await?;
    while let Some(next) = operation::pick_next(&waiting.iter().map(due).collect::<Vec<_>>()) {
        let operation = waiting.swap_remove(next).operation;
        waiting.sort_by_key(|left| (left.operation.run_after, left.operation.created_on));
        if let Some(claimed) = start_or_skip(&mut tx, input, &environment, operation).await? {
            hotfixes::park_waiting(&mut tx, environment.id).await?;
            return Ok(Some(claimed));
        }
    }
    Ok(None)
}

async fn is_busy(tx: &mut Tx<'_>, environment: &Environment) -> Result<bool> {
    Ok(environment.held_since.is_some() || hotfixes::running_in(tx, environment.id).await?.is_some())
}

/// The operations of an environment that may start now. One whose window closed meanwhile gets its next due instant.
async fn due_now(tx: &mut Tx<'_>, environment: &Environment, now: Instant) -> Result<Vec<Waiting>> {
    let window = window_of(environment)?;
    let mut due = Vec::new();
    for waiting in hotfixes::lock_waiting(tx, environment.id).await? {
        let starts = next_start(&window, &waiting.operation, now);
        if starts <= now {
            due.push(waiting);
        } else if starts != waiting.operation.due_on {
            hotfixes::set_due(tx, waiting.operation.id, starts).await?;
        }
    }
    Ok(due)
}

fn due(waiting: &Waiting) -> Due {
    Due {
        app_id: waiting.operation.app_id,
        depends_on: waiting
            .dependencies
            .iter()
            .map(|dependency| dependency.app_id)
            .collect(),
        run_after: waiting.operation.run_after,
        created_on: waiting.operation.created_on,
    }
}

/// The window of an environment.
pub(crate) fn window_of(environment: &Environment) -> Result<UpdateWindow> {
    UpdateWindow::new(
        &environment.window_start,
        &environment.window_end,
        &environment.window_zone,
    )
    .map_err(|error| {
        Error::fault(format!(
            "environment {} has a damaged window: {error}",
            environment.id
        ))
    })
}

/// The first instant, from now on, at which an operation may start.
pub(crate) fn next_start(window: &UpdateWindow, operation: &Operation, now: Instant) -> Instant {
    let earliest = operation.run_after.max(now);
    if operation.ignore_window {
        earliest
    } else {
        window.next_start(earliest)
    }
}

/// Gives every waiting operation of an environment its due instant anew: after its window, its inventory or its
/// freedom to work changed.
pub(crate) async fn reschedule(tx: &mut Tx<'_>, environment: &Environment, now: Instant) -> Result<()> {
    if is_busy(tx, environment).await? {
        return Ok(hotfixes::park_waiting(tx, environment.id).await?);
    }
    let window = window_of(environment)?;
    for waiting in hotfixes::lock_waiting(tx, environment.id).await? {
        let starts = next_start(&window, &waiting.operation, now);
        hotfixes::set_due(tx, waiting.operation.id, starts).await?;
    }
    Ok(())
}

async fn start_or_skip(
    tx: &mut Tx<'_>,
    input: &Claim,
    environment: &Environment,
    operation: Operation,
) -> Result<Option<Claimed>> {
    match still_makes_sense(tx, input, environment, &operation).await? {
        Ok(installed) => start(tx, input, operation, installed).await.map(Some),
        Err(skip) => {
            let ending = skipped(&skip, input.now);
            if hotfixes::end_operation(tx, operation.id, OperationStatus::Scheduled, &ending).await? {
                let change = ended(&operation, &ending);
                audit::record(tx, Actor::Service("executor"), input.now, change).await?;
            }
            Ok(None)
        }
    }
}

/// The installed version, when the rules still allow the operation; otherwise why it is skipped.
async fn still_makes_sense(
    tx: &mut Tx<'_>,
    input: &Claim,
    environment: &Environment,
    operation: &Operation,
) -> Result<Result<AppVersion, Skip>> {
    let scheduled_in = CountryCode::parse(&operation.country_code, true).map_err(Error::fault)?;
    let is_in = CountryCode::parse(&environment.country_code, true).map_err(Error::fault)?;
    if scheduled_in != is_in {
        return Ok(Err(Skip::environment_moved(
            &environment.name,
            scheduled_in,
            is_in,
        )));
    }
    let apps = environments::installed_apps_in(tx, environment.id).await?;
    let Some(gathered) = Gathered::new(environment, apps, operation.app_id) else {
        return Ok(Err(Skip::app_uninstalled(&environment.name)));
    };
    let Some(target) = target_of(tx, operation).await? else {
        return Ok(Err(Skip::target_missing(operation.target_version, scheduled_in)));
    };
    let facts = gathered.facts(&target, None, input.allow_preview_in_sandbox);
    match hotfix::check_start(&facts) {
        Start::Go => Ok(Ok(gathered.installed())),
        Start::Skip(skip) => Ok(Err(skip)),
    }
}

async fn target_of(tx: &mut Tx<'_>, operation: &Operation) -> Result<Option<Version>> {
    let key = VersionKey {
        app_id: operation.app_id,
        country_code: operation.country_code.clone(),
        version: operation.target_version,
    };
    let found = versions::version_in(tx, &key).await?;
    Ok(found.filter(|version| version.status == VersionStatus::Uploaded))
}

async fn start(
    tx: &mut Tx<'_>,
    input: &Claim,
    operation: Operation,
    installed: AppVersion,
) -> Result<Claimed> {
    let lease = Lease {
        id: Uuid::new_v4(),
        until: input.now + input.lease,
    };
    if !hotfixes::start_operation(tx, operation.id, installed, input.now, lease).await? {
        return Err(Error::fault(format!(
            "operation {} changed while its row was locked",
            operation.id
        )));
    }
    let change = Change {
        action: "operations/start",
        target: address(&operation),
        before: Some(json!({ "status": operation.status.as_str() })),
        after: Some(json!({ "status": "Running", "sourceAppVersion": installed.to_string() })),
    };
    audit::record(tx, Actor::Service("executor"), input.now, change).await?;
    let operation = Operation {
        status: OperationStatus::Running,
        source_version: installed,
        started_on: Some(input.now),
        lease_id: Some(lease.id),
        lease_until: Some(lease.until),
        ..operation
    };
    Ok(Claimed { operation, lease })
}

struct Finish {
    id: OperationId,
    lease_id: Uuid,
    outcome: Outcome,
    now: Instant,
}

/// Ends a running operation as its executor reports. Reporting again, or late, changes nothing.
pub(crate) async fn finish(
    service: &Service,
    id: OperationId,
    lease_id: Uuid,
    outcome: Outcome,
) -> Result<Operation> {
    let input = Finish {
        id,
        lease_id,
        outcome,
        now: service.clock.now(),
    };
    let (operation, is_news) = service
        .db
        .write(input, |tx, input| Box::pin(finish_in(tx, input)))
        .await?;
    if is_news {
        announce::ended(&operation);
        service.work.notify_one();
    }
    Ok(operation)
}

async fn finish_in(mut tx: Tx<'_>, input: &Finish) -> Result<(Operation, bool)> {
    let (operation, environment) = lock_with_environment(&mut tx, input.id).await?;
    if operation.status != OperationStatus::Running || operation.lease_id != Some(input.lease_id) {
        record_late(&mut tx, input, &operation).await?;
        return Ok((operation, false));
    }
    let ending = ending_of(&input.outcome, input.now);
    hotfixes::end_operation(&mut tx, operation.id, OperationStatus::Running, &ending).await?;
    if input.outcome == Outcome::Succeeded {
        let (environment, app) = (operation.environment_id, operation.app_id);
        environments::set_installed_version(&mut tx, environment, app, operation.target_version).await?;
    }
    audit::record(
        &mut tx,
        Actor::Service("executor"),
        input.now,
        ended(&operation, &ending),
    )
    .await?;
    if let Some(environment) = environment {
        reschedule(&mut tx, &environment, input.now).await?;
    }
    Ok((after(operation, ending), true))
}

/// The operation, locked after its environment: the order that everybody keeps, so that nobody waits in a circle.
async fn lock_with_environment(tx: &mut Tx<'_>, id: OperationId) -> Result<(Operation, Option<Environment>)> {
    let missing = || Error::fault(format!("there is no operation {id}"));
    let environment = hotfixes::environment_of(tx, id).await?.ok_or_else(missing)?;
    let environment = environments::lock_environment_by_id(tx, environment, false).await?;
    let operation = hotfixes::lock_operation(tx, id).await?.ok_or_else(missing)?;
    Ok((operation, environment))
}

async fn record_late(tx: &mut Tx<'_>, input: &Finish, operation: &Operation) -> Result<()> {
    let told = ending_of(&input.outcome, input.now);
    if operation.lease_id == Some(input.lease_id) && operation.status == told.status {
        return Ok(());
    }
    let change = Change {
        action: "operations/lateReport",
        target: address(operation),
        before: Some(json!({ "status": operation.status.as_str() })),
        after: Some(json!({ "reported": told.status.as_str(), "errorMessage": told.error_message })),
    };
    audit::record(tx, Actor::Service("executor"), input.now, change).await
}

fn ending_of(outcome: &Outcome, now: Instant) -> Ending {
    match outcome {
        Outcome::Succeeded => Ending {
            status: OperationStatus::Succeeded,
            completed_on: Some(now),
            ended_on: now,
            error_message: None,
            reason: None,
        },
        Outcome::Failed(message) => Ending {
            status: OperationStatus::Failed,
            completed_on: Some(now),
            ended_on: now,
            error_message: Some(message.clone()),
            reason: Some(FailReason::Reported.as_str().into()),
        },
        Outcome::Skipped(told) => skipped(&Skip::nothing_to_do(told.as_deref()), now),
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

fn after(operation: Operation, ending: Ending) -> Operation {
    Operation {
        status: ending.status,
        completed_on: ending.completed_on,
        ended_on: Some(ending.ended_on),
        error_message: ending.error_message,
        reason: ending.reason,
        lease_until: None,
        ..operation
    }
}

/// The address of an operation, without the API version.
pub(crate) fn address(operation: &Operation) -> String {
    let Operation {
        app_id,
        country_code,
        id,
        ..
    } = operation;
    format!("apps/{app_id}/countries/{country_code}/environmentHotfixes/{id}")
}

/// Ends operations whose executor fell silent, and holds their environments; how many there were.
pub(crate) async fn end_lost(service: &Service) -> Result<usize> {
    let now = service.clock.now();
    let lost = hotfixes::lost_operations(&service.db, now).await?;
    let mut ended = 0;
    for id in lost {
        let outcome = service
            .db
            .write((id, now), |tx, input| Box::pin(end_lost_in(tx, input)))
            .await?;
        if let Some(operation) = outcome {
            announce::ended(&operation);
            ended += 1;
        }
    }
    Ok(ended)
}

async fn end_lost_in(mut tx: Tx<'_>, input: &(OperationId, Instant)) -> Result<Option<Operation>> {
    let (id, now) = *input;
    let (operation, environment) = lock_with_environment(&mut tx, id).await?;
    let lost = operation.lease_until.filter(|&until| until < now);
    let Some(lease_until) = lost.filter(|_| operation.status == OperationStatus::Running) else {
        return Ok(None);
    };
    let ending = Ending {
        status: OperationStatus::Failed,
        completed_on: Some(now),
        ended_on: now,
        error_message: Some(operation::outcome_unknown(
            &operation.environment_name,
            lease_until,
        )),
        reason: Some(FailReason::OutcomeUnknown.as_str().into()),
    };
    hotfixes::end_operation(&mut tx, id, OperationStatus::Running, &ending).await?;
    if let Some(environment) = environment {
        environments::hold_environment(&mut tx, environment.id, id, now).await?;
        hotfixes::park_waiting(&mut tx, environment.id).await?;
    }
    audit::record(
        &mut tx,
        Actor::Service("executor"),
        now,
        ended(&operation, &ending),
    )
    .await?;
    Ok(Some(after(operation, ending)))
}

/// When there will be something to do next, as far as the database knows.
pub(crate) async fn next_work(service: &Service) -> Result<Option<Instant>> {
    let due = hotfixes::next_due(&service.db).await?;
    let lease_end = hotfixes::next_lease_end(&service.db).await?;
    Ok([due, lease_end]
        .into_iter()
        .flatten()
        .filter(|&at| at != PARKED)
        .min())
}
