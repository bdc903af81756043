//! Environments that have been missing for long: they go, and it is remembered what they were.
//!
//! Else whoever reports a production as gone for a day, and then as a sandbox, would have made a sandbox of it without
//! anybody having looked. What the operator removes themselves they have looked at.

use super::BATCH;
use crate::{
    actions::{
        Service,
        audit::Actor,
        environments::{self, target},
    },
    error::Result,
};
use domain::{
    chain::Chain,
    environment::{EnvironmentKey, EnvironmentKind},
    instant::Instant,
};
use serde_json::Value;
use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};
use store::{
    Tx,
    audit::{self as rows, AuditRow},
    environments::Environment,
    execution as locking, hotfixes,
    inventories::missing_environments,
};
use uuid::Uuid;

/// Who removes what is missing.
const REMOVER: Actor<'static> = Actor::Service("inventory");

/// Removes environments that have been missing for `after`; how many. Where something runs, they stay. One that cannot be
/// removed keeps none of the others. By a wrong clock nothing has been missing for long.
pub(crate) async fn remove_missing(service: &Service, after: Duration) -> Result<usize> {
    if !service.clock_check.agrees(service).await? {
        return Ok(0);
    }
    let now = service.clock.now();
    let (mut removed, mut last) = (0, None);
    loop {
        let batch = missing_environments(&service.db, now - after, last, BATCH).await?;
        for &(_, id) in &batch {
            let gone = service
                .db
                .write((id, now - after, now), |tx, &(id, before, now)| {
                    Box::pin(remove_if_missing(tx, id, before, now))
                })
                .await;
            match gone {
                Ok(was_missing) => removed += usize::from(was_missing),
                Err(error) if error.is_passing() => return Err(error),
                Err(error) => {
                    tracing::error!(environment = %id, error = %Chain(&error), "an environment that is missing cannot be removed")
                }
            }
        }
        if batch.len() < BATCH {
            return Ok(removed);
        }
        last = batch.last().copied();
    }
}

async fn remove_if_missing(mut tx: Tx<'_>, id: Uuid, before: Instant, now: Instant) -> Result<bool> {
    let found = locking::lock_environments(&mut tx, [id]).await?;
    let is_due = |one: &Environment| one.missing_since.is_some_and(|since| since <= before);
    let Some(environment) = found.into_iter().find(is_due) else {
        return Ok(false);
    };
    if hotfixes::running_in(&mut tx, id).await?.is_some() {
        return Ok(false);
    }
    environments::remove_environment(&mut tx, REMOVER, &environment, now).await?;
    Ok(true)
}

/// Which of these environments were production when they were removed because they had been missing.
pub(super) async fn removed_productions<'k>(
    tx: &mut Tx<'_>,
    keys: impl Iterator<Item = &'k EnvironmentKey>,
) -> Result<HashSet<EnvironmentKey>> {
    let by_target: HashMap<_, _> = keys.map(|key| (target(key), key)).collect();
    if by_target.is_empty() {
        return Ok(HashSet::new());
    }
    let rows = rows::last_with_action(tx, environments::DELETE, by_target.keys()).await?;
    let productions = rows.iter().filter(|row| is_removed_production(row));
    let keys = productions.filter_map(|row| by_target.get(&row.target));
    Ok(keys.map(|key| EnvironmentKey::clone(key)).collect())
}

fn is_removed_production(row: &AuditRow) -> bool {
    let (kind, id) = REMOVER.named();
    let before = row.before.as_deref().map(serde_json::from_str::<Value>);
    let is_production = |before: Value| {
        before
            .get("type")
            .is_some_and(|kind| kind == EnvironmentKind::Production.as_str())
    };
    let was_production = before.and_then(Result::ok).is_some_and(is_production);
    row.actor_kind == kind && row.actor_id == id && was_production
}
