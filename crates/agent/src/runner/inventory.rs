//! What is installed, as the service is told: all of it at the start and once a day, and what changed in between.
//!
//! Of an environment in which an operation is carried out, or that could not be read, nothing is said but that it is there:
//! what was read before an operation is not to be told after it. Nor is anything said of one that is still being read after
//! a while; once it was, that is reported as a change.

use super::{
    Pauses, Served, Shared, is_answer,
    reads::{Reading, Reads, Seen, WAITED_FOR},
};
use crate::{
    driver::{Found, InstalledApp},
    status::Trouble,
};
use client::Error;
use domain::{chain::Chain, environment::EnvironmentKey, instant::Instant};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, atomic::Ordering},
};
use tokio::sync::{mpsc, watch};
use wire::agent::{
    EnvironmentName, Inventory, InventoryResult, ReportedApp, ReportedEnvironment, ReportedWindow,
};

/// The round that reports what is installed.
pub(super) struct Reporter {
    agent: Arc<Shared>,
    changes: mpsc::UnboundedReceiver<EnvironmentKey>,
    is_confirmed: bool,
    /// What the service was told last, as far as it took it.
    told: BTreeMap<EnvironmentKey, Told>,
    full_on: Option<Instant>,
    reads: Reads,
    /// What could not be read when it was last tried.
    unreadable: BTreeSet<EnvironmentKey>,
    /// What the service did not take when it was last told of it.
    refused: BTreeSet<EnvironmentKey>,
}

/// What is said of an environment.
#[derive(Clone, Debug, PartialEq)]
enum Told {
    /// That it is there, and what is installed.
    Read(Box<ReportedEnvironment>),
    /// That it is there.
    Unread,
    /// That it is not there any more.
    Gone,
}

impl Reporter {
    pub(super) fn new(
        agent: Arc<Shared>,
        changes: mpsc::UnboundedReceiver<EnvironmentKey>,
        is_confirmed: bool,
    ) -> Self {
        Self {
            reads: Reads::new(agent.clone()),
            agent,
            changes,
            is_confirmed,
            told: BTreeMap::new(),
            full_on: None,
            unreadable: BTreeSet::new(),
            refused: BTreeSet::new(),
        }
    }

    /// Reports until the agent stops. Says when the service has answered for the first time.
    pub(super) async fn run(mut self, answered: watch::Sender<bool>) {
        let stopping = self.agent.stopping.clone();
        tokio::select! {
            () = stopping.cancelled() => {}
            () = self.rounds(answered) => {}
        }
    }

    async fn rounds(&mut self, answered: watch::Sender<bool>) {
        let agent = self.agent.clone();
        let mut pauses = Pauses::default();
        loop {
            match self.report().await {
                Ok(()) => {
                    pauses = Pauses::default();
                    answered.send_replace(true);
                }
                Err(error) => {
                    pauses.pause_after(&agent, &error).await;
                    continue;
                }
            }
            let next = agent.clock.now() + agent.config.spans.inventory_every;
            self.report_late_ones(next).await;
        }
    }

    /// Until it is time to read all, reports what operations changed, at once, and what took too long for the report before,
    /// several together.
    async fn report_late_ones(&mut self, until: Instant) {
        let agent = self.agent.clone();
        let mut pauses = Pauses::default();
        let (mut ended, mut late, mut due) = (BTreeSet::new(), BTreeMap::new(), until);
        loop {
            tokio::select! {
                biased;
                () = agent.clock.reach(due) => {
                    if let Err(error) = self.report_changes(std::mem::take(&mut late).into_values().collect()).await {
                        // The next round tells of it.
                        pauses.pause_after(&agent, &error).await;
                    }
                    if agent.clock.now() >= until {
                        return;
                    }
                    due = until;
                }
                Some(key) = self.changes.recv() => {
                    // Also where nothing changed by an operation, an environment that was held since is only let go by a
                    // newer report.
                    self.told.remove(&key);
                    self.reads.begin(&key);
                    ended.insert(key);
                }
                Some(reading) = self.reads.next() => {
                    let is_awaited = ended.remove(&reading.key) || self.reads.is_idle();
                    keep(&mut late, reading);
                    let now = agent.clock.now();
                    due = due.min(if is_awaited { now } else { now + WAITED_FOR });
                }
            }
        }
    }

    /// Reads all environments, and reports all of them or what changed.
    async fn report(&mut self) -> Result<(), Error> {
        let agent = self.agent.clone();
        let readings = self.read_all().await;
        let full_every = agent.config.spans.full_inventory_every;
        match self.full_on.is_none_or(|on| on + full_every <= agent.clock.now()) {
            true => self.report_all(readings).await,
            false => self.report_changes(readings).await,
        }
    }

    /// Each environment as far as it was read in a while.
    async fn read_all(&mut self) -> Vec<Reading> {
        let agent = self.agent.clone();
        for key in agent.environments.keys() {
            self.reads.begin(key);
        }
        let until = agent.clock.now() + WAITED_FOR;
        let mut readings = BTreeMap::new();
        loop {
            tokio::select! {
                biased;
                reading = self.reads.next() => match reading {
                    Some(reading) => keep(&mut readings, reading),
                    None => break,
                },
                () = agent.clock.reach(until) => break,
            }
        }
        for hanging in self.reads.hanging() {
            keep(&mut readings, hanging);
        }
        readings.into_values().collect()
    }

    /// What can be said of readings now.
    fn current(&mut self, readings: Vec<Reading>) -> Vec<(EnvironmentKey, Told)> {
        for reading in &readings {
            match reading.seen {
                Seen::Unreadable => _ = self.unreadable.insert(reading.key.clone()),
                _ => _ = self.unreadable.remove(&reading.key),
            }
        }
        let unread = self.unreadable.len() as u64;
        self.agent.status.unread.store(unread, Ordering::Relaxed);
        let agent = &self.agent;
        readings
            .into_iter()
            .map(|reading| current(agent, reading))
            .collect()
    }

    async fn report_all(&mut self, readings: Vec<Reading>) -> Result<(), Error> {
        let agent = self.agent.clone();
        let _in_order = agent.in_order.write().await;
        let rows = self.current(readings);
        let unread = rows.iter().filter(|(_, told)| *told == Told::Unread);
        let inventory = Inventory {
            sequence: self.sequence().await,
            confirm: self.is_confirmed,
            environments: rows.iter().filter_map(|(_, told)| said(told)).collect(),
            gone: Vec::new(),
            unread: unread.filter_map(|(key, _)| name_of(&agent, key)).collect(),
        };
        match agent.caller.now().put_inventory(&inventory).await {
            Ok(result) => {
                self.is_confirmed = false;
                self.full_on = Some(agent.clock.now());
                self.told = rows.into_iter().collect();
                self.refused.clear();
                self.taken(&result);
                Ok(())
            }
            Err(error) => self.not_taken(error),
        }
    }

    async fn report_changes(&mut self, readings: Vec<Reading>) -> Result<(), Error> {
        // Before the first full set there is nothing that could have changed.
        if self.full_on.is_none() {
            return Ok(());
        }
        let agent = self.agent.clone();
        let _in_order = agent.in_order.write().await;
        let rows = self.current(readings);
        let changed: Vec<_> = rows
            .into_iter()
            .filter(|(key, told)| *told != Told::Unread && self.told.get(key) != Some(told))
            .collect();
        if changed.is_empty() {
            return Ok(());
        }
        let gone = changed.iter().filter(|(_, told)| *told == Told::Gone);
        let inventory = Inventory {
            sequence: self.sequence().await,
            confirm: false,
            environments: changed.iter().filter_map(|(_, told)| said(told)).collect(),
            unread: Vec::new(),
            gone: gone.filter_map(|(key, _)| name_of(&agent, key)).collect(),
        };
        match agent.caller.now().patch_inventory(&inventory).await {
            Ok(result) => {
                for (key, told) in changed {
                    self.refused.remove(&key);
                    self.told.insert(key, told);
                }
                self.taken(&result);
                Ok(())
            }
            Err(error) => self.not_taken(error),
        }
    }

    /// The service has taken a report. What it refused of it is told again with the next.
    fn taken(&mut self, result: &InventoryResult) {
        let agent = self.agent.clone();
        agent.note(None);
        agent.status.trouble(Trouble::Inventory, None);
        agent
            .status
            .inventory_on
            .store(agent.clock.now().0, Ordering::Relaxed);
        let refused = result.refused.iter().map(|refused| refused.environment.key());
        self.refused.extend(refused);
        let refused = self.refused.len() as u64;
        agent.status.refused.store(refused, Ordering::Relaxed);
        tracing::info!(
            added = result.added,
            changed = result.changed,
            unchanged = result.unchanged,
            missing = result.missing,
            refused = result.refused.len(),
            "an inventory was taken"
        );
        for refused in &result.refused {
            self.told.remove(&refused.environment.key());
            tracing::warn!(
                environment = refused.environment.name,
                code = refused.code,
                "not taken: {}",
                refused.message
            );
        }
        for disputed in &result.disputed {
            tracing::warn!(
                environment = disputed.name,
                "it was production and is reported as a sandbox: nothing starts there until it is reported as before, or the \
                 operator has released it (fame operator environments release)"
            );
        }
        for warning in &result.warnings {
            tracing::warn!("{warning}");
        }
    }

    /// Something that the service will not take by being asked again is left to the next round, where all is told anew.
    fn not_taken(&mut self, error: Error) -> Result<(), Error> {
        let text = format!("The inventory was not taken: {}", Chain(&error));
        self.agent.status.trouble(Trouble::Inventory, Some(text.clone()));
        self.full_on = None;
        match is_answer(&error) {
            true => {
                tracing::error!("{text}");
                Ok(())
            }
            false => {
                self.agent.note(Some(&error));
                Err(error)
            }
        }
    }

    /// A number that is higher than those before. Without a journal to keep it in, the clock has to do.
    async fn sequence(&self) -> i64 {
        let now = self.agent.clock.now();
        self.agent.journal.next_sequence(now).await.unwrap_or(now.0)
    }
}

/// Of each environment the newest reading counts.
fn keep(readings: &mut BTreeMap<EnvironmentKey, Reading>, reading: Reading) {
    let known = readings.get(&reading.key);
    if known.is_none_or(|known| known.turn <= reading.turn) {
        readings.insert(reading.key.clone(), reading);
    }
}

/// What can still be said of a reading now.
fn current(agent: &Shared, reading: Reading) -> (EnvironmentKey, Told) {
    let Reading { key, turn, seen } = reading;
    let served = agent
        .environments
        .get(&key)
        .filter(|served| served.turns.load(Ordering::SeqCst) == turn && served.at_work.try_lock().is_ok());
    let told = match (served, seen) {
        (Some(served), Seen::Found(found)) => Told::Read(Box::new(reported(served, *found))),
        (Some(_), Seen::Gone) => Told::Gone,
        _ => Told::Unread,
    };
    (key, told)
}

fn name_of(agent: &Shared, key: &EnvironmentKey) -> Option<EnvironmentName> {
    Some(agent.environments.get(key)?.settings.name.clone())
}

/// What is said of an environment that was read.
fn said(told: &Told) -> Option<ReportedEnvironment> {
    match told {
        Told::Gone | Told::Unread => None,
        Told::Read(reported) => Some((**reported).clone()),
    }
}

/// An environment as it was found; what its target does not tell is taken from the configuration.
fn reported(served: &Served, found: Found) -> ReportedEnvironment {
    let settings = &served.settings;
    let window = found.window.map(|[start, end, time_zone]| ReportedWindow {
        start,
        end,
        time_zone,
    });
    let text = |version: Option<domain::version::AppVersion>| version.map(|version| version.to_string());
    ReportedEnvironment {
        environment: settings.name.clone(),
        country_code: found.country_code.unwrap_or(settings.country).to_string(),
        kind: found.kind.unwrap_or(settings.kind).to_string(),
        location_name: found.location_name.or_else(|| settings.location.clone()),
        application_version: text(found.application_version),
        platform_version: text(found.platform_version),
        web_client_url: found.web_client_url,
        web_service_url: found.web_service_url,
        window: window.or_else(|| settings.window.clone()),
        inventory_complete: found.is_complete,
        apps: found.apps.into_iter().map(reported_app).collect(),
    }
}

fn reported_app(app: InstalledApp) -> ReportedApp {
    ReportedApp {
        id: app.id.0,
        version: app.version.to_string(),
        name: app.name,
        publisher: app.publisher,
        scope: app.scope.map(|scope| scope.to_string()),
        can_be_uninstalled: app.can_be_uninstalled,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::ids::TenantId;

    #[test]
    fn of_two_readings_the_newer_one_counts_whichever_ended_first() {
        let key = EnvironmentKey::new(
            TenantId(uuid::Uuid::from_u128(1)),
            "BusinessCentral",
            "Production",
        );
        let reading = |turn, seen| Reading {
            key: key.clone(),
            turn,
            seen,
        };
        let mut readings = BTreeMap::new();
        keep(&mut readings, reading(1, Seen::Busy));
        keep(&mut readings, reading(3, Seen::Gone));
        keep(&mut readings, reading(2, Seen::Unreadable));
        let kept: Vec<_> = readings.into_values().collect();
        assert!(matches!(
            kept.as_slice(),
            [Reading {
                turn: 3,
                seen: Seen::Gone,
                ..
            }]
        ));
    }
}
