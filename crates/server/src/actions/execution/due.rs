//! When work may next start in an environment: the one place that computes it.

use crate::error::{Error, Result};
use domain::{instant::Instant, operation::OperationStatus, window::UpdateWindow};
use std::collections::HashMap;
use store::{
    Tx,
    environments::Environment,
    execution::{self as rows, Occupying},
};
use uuid::Uuid;

/// The window of an environment.
pub(crate) fn window_of(environment: &Environment) -> Result<&UpdateWindow> {
    environment.window.as_ref().map_err(|error| {
        Error::fault(format!(
            "environment {} has a damaged window: {error}",
            environment.id
        ))
    })
}

/// The first instant, from now on, at which an operation may start that wants this.
pub(crate) fn next_start(
    environment: &Environment,
    run_after: Instant,
    ignore_window: bool,
    now: Instant,
) -> Result<Instant> {
    let earliest = run_after.max(now);
    if ignore_window {
        return Ok(earliest);
    }
    Ok(window_of(environment)?.next_start(earliest))
}

/// Whether no work may start in an environment, whatever waits there.
fn is_busy(environment: &Environment, occupying: &[Occupying]) -> bool {
    let runs = |one: &Occupying| one.status == OperationStatus::Running;
    environment.is_held() || occupying.iter().any(runs)
}

/// Says anew when work may start in environments: after a window, an inventory or the freedom to work changed.
pub(crate) async fn reschedule(tx: &mut Tx<'_>, environments: &[&Environment], now: Instant) -> Result<()> {
    let ids = environments.iter().map(|environment| environment.id);
    let mut occupying: HashMap<Uuid, Vec<Occupying>> = HashMap::new();
    for one in rows::occupying(tx, ids).await? {
        occupying.entry(one.environment).or_default().push(one);
    }
    let mut changed = Vec::new();
    for environment in environments {
        let there = occupying.remove(&environment.id).unwrap_or_default();
        let due = due_on(environment, &there, now);
        if due != environment.due_on {
            changed.push((environment.id, due));
        }
    }
    Ok(rows::set_due(tx, changed).await?)
}

/// The first instant at which one of the waiting operations may start. Where it cannot be computed it is now: who
/// claims then meets the damage, reports it, and sets the environment aside; who reports is not kept from it.
fn due_on(environment: &Environment, occupying: &[Occupying], now: Instant) -> Option<Instant> {
    if is_busy(environment, occupying) {
        return None;
    }
    let start =
        |one: &Occupying| next_start(environment, one.run_after, one.ignore_window, now).unwrap_or(now);
    occupying.iter().map(start).min()
}
