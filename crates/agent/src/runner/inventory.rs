//! What is installed, as the service is told: all of it at the start and once a day, and what changed in between.
//!
//! Of an environment in which an operation is carried out, or that could not be read, nothing is said but that it is there:
//! what was read before an operation is not to be told after it.

use super::{Pauses, Served, Shared, is_answer};
use crate::{
    driver::{Found, InstalledApp},
    status::Trouble,
};
use client::Error;
use domain::{chain::Chain, environment::EnvironmentKey, instant::Instant};
use futures::{StreamExt, stream};
use std::{
    collections::BTreeMap,
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

/// An environment as it was just read.
struct Reading {
    key: EnvironmentKey,
    turn: u64,
    told: Told,
}

impl Reporter {
    pub(super) fn new(
        agent: Arc<Shared>,
        changes: mpsc::UnboundedReceiver<EnvironmentKey>,
        is_confirmed: bool,
    ) -> Self {
        Self {
            agent,
            changes,
            is_confirmed,
            told: BTreeMap::new(),
            full_on: None,
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
            while let Some(key) = self.changed_before(next).await {
                if let Err(error) = self.report_one(&key).await {
                    // The next round tells of it.
                    pauses.pause_after(&agent, &error).await;
                }
            }
        }
    }

    /// The next environment in which an operation has ended; none when it is time to read all.
    async fn changed_before(&mut self, next: Instant) -> Option<EnvironmentKey> {
        tokio::select! {
            biased;
            () = self.agent.clock.reach(next) => None,
            key = self.changes.recv() => key,
        }
    }

    /// Reads all environments, and reports all of them or what changed.
    async fn report(&mut self) -> Result<(), Error> {
        let agent = self.agent.clone();
        let readings = read_all(&agent).await;
        let full_every = agent.config.spans.full_inventory_every;
        match self.full_on.is_none_or(|on| on + full_every <= agent.clock.now()) {
            true => self.report_all(readings).await,
            false => self.report_changes(readings).await,
        }
    }

    async fn report_one(&mut self, key: &EnvironmentKey) -> Result<(), Error> {
        let agent = self.agent.clone();
        let Some(served) = agent.environments.get(key) else {
            return Ok(());
        };
        // An operation has ended there. Also where nothing changed by it, an environment that was held since is only let go by
        // a newer report.
        self.told.remove(key);
        // Before the first full set there is nothing that could have changed.
        match self.full_on {
            None => Ok(()),
            Some(_) => self.report_changes(vec![read(&agent, key, served).await]).await,
        }
    }

    async fn report_all(&mut self, readings: Vec<Reading>) -> Result<(), Error> {
        let agent = self.agent.clone();
        let _in_order = agent.in_order.write().await;
        let rows: Vec<_> = readings
            .into_iter()
            .map(|reading| current(&agent, reading))
            .collect();
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
                self.taken(&result);
                Ok(())
            }
            Err(error) => self.not_taken(error),
        }
    }

    async fn report_changes(&mut self, readings: Vec<Reading>) -> Result<(), Error> {
        let agent = self.agent.clone();
        let _in_order = agent.in_order.write().await;
        let rows = readings.into_iter().map(|reading| current(&agent, reading));
        let changed: Vec<_> = rows
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
                self.told.extend(changed);
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
        agent
            .status
            .refused
            .store(result.refused.len() as u64, Ordering::Relaxed);
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

/// Reads what is installed everywhere, several at once.
async fn read_all(agent: &Shared) -> Vec<Reading> {
    let reads: Vec<_> = agent
        .environments
        .iter()
        .map(|(key, served)| read(agent, key, served))
        .collect();
    let readings = stream::iter(reads)
        .buffer_unordered(agent.config.parallel.max(1))
        .collect::<Vec<_>>()
        .await;
    let unread = readings
        .iter()
        .filter(|reading| reading.told == Told::Unread)
        .count();
    agent.status.unread.store(unread as u64, Ordering::Relaxed);
    readings
}

async fn read(agent: &Shared, key: &EnvironmentKey, served: &Served) -> Reading {
    let turn = served.turns.load(Ordering::SeqCst);
    let told = match served.at_work.try_lock() {
        // An operation is carried out there.
        Err(_) => Told::Unread,
        Ok(free) => {
            // It is only looked at: whoever begins an operation meanwhile makes another turn of it.
            drop(free);
            match served.driver.inventory().await {
                Ok(found) if found.is_gone => Told::Gone,
                // A target that is being worked on may say of apps that are there that they are not.
                Ok(found) if !found.is_ready && !found.is_complete => Told::Unread,
                Ok(found) => Told::Read(Box::new(reported(served, found))),
                Err(failure) => {
                    let failure = agent.redactor.redact(&failure.to_string());
                    tracing::warn!(environment = %key, "what is installed cannot be read: {failure}");
                    Told::Unread
                }
            }
        }
    };
    Reading {
        key: key.clone(),
        turn,
        told,
    }
}

/// What can still be said of a reading now.
fn current(agent: &Shared, reading: Reading) -> (EnvironmentKey, Told) {
    let Reading { key, turn, told } = reading;
    let is_current = agent.environments.get(&key).is_some_and(|served| {
        served.turns.load(Ordering::SeqCst) == turn && served.at_work.try_lock().is_ok()
    });
    (key, if is_current { told } else { Told::Unread })
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
    }
}
