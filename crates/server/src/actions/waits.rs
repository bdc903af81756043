//! When hotfixes that wait are expected to start, and what they wait for: told to whoever asks, kept nowhere.

use super::{Service, execution::window_of};
use crate::error::Result;
use domain::{
    chain::Chain,
    country::CountryCode,
    environment::EnvironmentKind,
    freeze::{Frozen, FrozenSpan},
    ids::{AppId, PrincipalId},
    instant::Instant,
    operation::{OperationKind, OperationStatus},
    waiting::{Circumstances, Wait},
};
use std::collections::{HashMap, HashSet};
use store::{
    StoreError, agents,
    environments::{self, Environment},
    freezes::{self, AppFreeze},
    hotfixes::Operation,
};
use uuid::Uuid;

/// A hotfix, and what it waits for if it does.
pub(crate) type Waiting = (Operation, Wait);

/// The agents that are there and work.
pub(super) async fn agents_at_work(service: &Service, now: Instant) -> Result<HashSet<Uuid>, StoreError> {
    let workers = agents::workers(&service.db, now).await?.into_iter();
    let at_work = workers.filter(|worker| worker.is_at_work(now));
    Ok(at_work.map(|worker| worker.id).collect())
}

/// Whether an agent that works serves an environment.
pub(super) fn has_agent(environment: &Environment, at_work: &HashSet<Uuid>) -> bool {
    environment.agent_id.is_some_and(|agent| at_work.contains(&agent))
}

/// When nothing of an app starts in an environment, as the app's owners say.
pub(super) fn spans_in(
    freezes: &[AppFreeze],
    app: AppId,
    (country, kind): (CountryCode, EnvironmentKind),
) -> Vec<FrozenSpan> {
    let concerned = freezes
        .iter()
        .filter(|freeze| freeze.concerns(app, country, kind));
    concerned.map(|freeze| freeze.span).collect()
}

/// A hotfix with what it waits for. It has been scheduled, whether or not that can be found out.
pub(crate) async fn told_with(service: &Service, operation: Operation) -> Waiting {
    let found = waits_of(service, vec![operation.clone()]).await;
    if let Err(error) = &found {
        tracing::warn!(error = %Chain(error), "what a hotfix waits for cannot be told");
    }
    let found = found.ok().and_then(|mut found| found.pop());
    found.unwrap_or((operation, Wait::default()))
}

/// Hotfixes with what they wait for, if that is wanted.
pub(crate) async fn waits_if(
    service: &Service,
    operations: Vec<Operation>,
    is_wanted: bool,
) -> Result<Vec<Waiting>> {
    match is_wanted {
        true => waits_of(service, operations).await,
        false => Ok(without(operations)),
    }
}

fn without(operations: Vec<Operation>) -> Vec<Waiting> {
    let none = |operation| (operation, Wait::default());
    operations.into_iter().map(none).collect()
}

async fn waits_of(service: &Service, operations: Vec<Operation>) -> Result<Vec<Waiting>> {
    let waiting = operations
        .iter()
        .filter(|operation| operation.status == OperationStatus::Scheduled);
    let ids: HashSet<Uuid> = waiting.map(|operation| operation.environment_id).collect();
    if ids.is_empty() {
        return Ok(without(operations));
    }
    let ids: Vec<Uuid> = ids.into_iter().collect();
    let now = service.clock.now();
    let apps: HashSet<AppId> = operations.iter().map(|operation| operation.app_id).collect();
    let surroundings = Surroundings::read(service, &ids, &apps, now).await?;
    let with_wait = operations.into_iter().map(|operation| {
        let wait = surroundings.wait(&operation, now)?;
        Ok((operation, wait))
    });
    with_wait.collect()
}

/// What of everything else says when operations start.
struct Surroundings {
    environments: HashMap<Uuid, Environment>,
    /// The environments in which something runs.
    occupied: HashSet<Uuid>,
    frozen: Vec<Frozen>,
    app_freezes: Vec<AppFreeze>,
    at_work: HashSet<Uuid>,
}

impl Surroundings {
    async fn read(service: &Service, ids: &[Uuid], apps: &HashSet<AppId>, now: Instant) -> Result<Self> {
        let mut app_freezes = Vec::new();
        for app in apps {
            app_freezes.extend(freezes::app_freezes_after(&service.db, *app, now).await?);
        }
        let found = environments::environments_by_ids(&service.db, ids).await?;
        let occupations = environments::occupations_of(&service.db, ids).await?;
        let running = occupations.into_iter().filter(|one| one.is_running);
        Ok(Self {
            environments: found.into_iter().map(|one| (one.id, one)).collect(),
            occupied: running.map(|one| one.environment).collect(),
            frozen: freezes::all(&service.db).await?,
            app_freezes,
            at_work: agents_at_work(service, now).await?,
        })
    }

    fn wait(&self, operation: &Operation, now: Instant) -> Result<Wait> {
        let environment = self.environments.get(&operation.environment_id);
        let Some(environment) = environment.filter(|_| operation.status == OperationStatus::Scheduled) else {
            return Ok(Wait::default());
        };
        let window = match operation.ignore_window {
            true => None,
            false => Some(window_of(environment)?),
        };
        let object_id = operation.created_by_object_id.map(PrincipalId);
        let frozen_spans = match operation.kind {
            OperationKind::Hotfix => spans_in(
                &self.app_freezes,
                operation.app_id,
                (environment.country_code, environment.kind),
            ),
            _ => Vec::new(),
        };
        let stops = |one: &Frozen| one.stops(operation.app_id, &operation.created_by, object_id);
        let circumstances = Circumstances {
            run_after: operation.run_after,
            window,
            is_held: environment.is_held(),
            is_frozen: self.frozen.iter().any(stops),
            frozen_spans: &frozen_spans,
            has_agent: has_agent(environment, &self.at_work),
            is_occupied: self.occupied.contains(&environment.id),
        };
        Ok(circumstances.wait(now))
    }
}
