//! Reading what is installed, in several environments at once: none that hangs keeps the others from being told of.

use super::{Served, Shared};
use crate::driver::Found;
use domain::environment::EnvironmentKey;
use std::{
    collections::BTreeMap,
    panic,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::{
    sync::Semaphore,
    task::{JoinError, JoinSet},
};

/// How long a reading is waited for, be it by a report or by the readings that come after it.
pub(super) const WAITED_FOR: Duration = Duration::from_secs(60);

/// Environments that are being read.
pub(super) struct Reads {
    agent: Arc<Shared>,
    places: Arc<Semaphore>,
    tasks: JoinSet<Reading>,
    /// Since which turn of the environment.
    open: BTreeMap<EnvironmentKey, u64>,
}

/// An environment as it was just read.
pub(super) struct Reading {
    pub(super) key: EnvironmentKey,
    /// The environment's turn when this began.
    pub(super) turn: u64,
    pub(super) seen: Seen,
}

/// What was seen of an environment.
pub(super) enum Seen {
    /// What it is, and what is installed.
    Found(Box<Found>),
    /// It is not there any more.
    Gone,
    /// An operation is carried out there, or its target is being worked on.
    Busy,
    /// It cannot be read.
    Unreadable,
}

impl Reads {
    pub(super) fn new(agent: Arc<Shared>) -> Self {
        Self {
            places: Arc::new(Semaphore::new(agent.config.parallel.max(1))),
            agent,
            tasks: JoinSet::new(),
            open: BTreeMap::new(),
        }
    }

    /// Reads an environment, unless it is being read as it is now.
    pub(super) fn begin(&mut self, key: &EnvironmentKey) {
        let Some(served) = self.agent.environments.get(key) else {
            return;
        };
        let turn = served.turns.load(Ordering::SeqCst);
        if self.open.insert(key.clone(), turn) == Some(turn) {
            return;
        }
        let (agent, places, key) = (self.agent.clone(), self.places.clone(), key.clone());
        self.tasks
            .spawn(async move { read_in_turn(&agent, &places, key).await });
    }

    /// The next reading that comes to its end; none while nothing is read.
    pub(super) async fn next(&mut self) -> Option<Reading> {
        let reading = self.tasks.join_next().await?.unwrap_or_else(broken);
        if self
            .open
            .get(&reading.key)
            .is_some_and(|turn| *turn <= reading.turn)
        {
            self.open.remove(&reading.key);
        }
        Some(reading)
    }

    /// What is still being read: nothing can be said of it yet.
    pub(super) fn hanging(&self) -> impl Iterator<Item = Reading> {
        self.open.iter().map(|(key, turn)| Reading {
            key: key.clone(),
            turn: *turn,
            seen: Seen::Unreadable,
        })
    }

    pub(super) fn is_idle(&self) -> bool {
        self.tasks.is_empty()
    }
}

fn broken(error: JoinError) -> Reading {
    panic::resume_unwind(error.into_panic())
}

/// Reads an environment when there is a place. One that takes too long gives its place up and is waited for all the same.
async fn read_in_turn(agent: &Shared, places: &Semaphore, key: EnvironmentKey) -> Reading {
    let place = places.acquire().await;
    let mut reading = std::pin::pin!(read(agent, key));
    let early = tokio::select! {
        reading = &mut reading => Some(reading),
        () = agent.clock.pause(WAITED_FOR) => None,
    };
    drop(place);
    match early {
        Some(reading) => reading,
        None => reading.await,
    }
}

async fn read(agent: &Shared, key: EnvironmentKey) -> Reading {
    match agent.environments.get(&key) {
        Some(served) => {
            let turn = served.turns.load(Ordering::SeqCst);
            let seen = seen(agent, &key, served).await;
            Reading { key, turn, seen }
        }
        None => Reading {
            key,
            turn: 0,
            seen: Seen::Gone,
        },
    }
}

async fn seen(agent: &Shared, key: &EnvironmentKey, served: &Served) -> Seen {
    // It is only looked at: whoever begins an operation meanwhile makes another turn of it.
    if served.at_work.try_lock().is_err() {
        return Seen::Busy;
    }
    match served.driver.inventory().await {
        Ok(found) if found.is_gone => Seen::Gone,
        // A target that is being worked on may say of apps that are there that they are not.
        Ok(found) if !found.is_ready && !found.is_complete => Seen::Busy,
        Ok(found) => Seen::Found(Box::new(found)),
        Err(failure) => {
            let failure = agent.redactor.redact(&failure.to_string());
            tracing::warn!(environment = %key, "what is installed cannot be read: {failure}");
            Seen::Unreadable
        }
    }
}
