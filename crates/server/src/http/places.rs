//! Places for what is too large to be taken in many times at once. Nobody has more than one, nor waits for another beside
//! it, so that one caller cannot keep all others out; and nobody waits for ever.

use crate::error::{Error, Result};
use domain::problem::Code;
use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

/// How many inventories are taken in at the same time. Others wait before they are received.
const AT_ONCE: usize = 4;
/// After how many seconds somebody without a place may ask again.
const ASK_AGAIN: u32 = 10;

/// The agents that have a place, or wait for one.
type Agents = Arc<Mutex<HashSet<Uuid>>>;

/// All places.
pub(crate) struct Places {
    free: Arc<Semaphore>,
    agents: Agents,
}

/// The place of an agent; it is free again when this goes.
pub(crate) struct Place {
    _permit: OwnedSemaphorePermit,
    _turn: Turn,
}

/// What an agent has from its asking for a place until it gives that back.
struct Turn {
    agents: Agents,
    agent: Uuid,
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut agents = self.agents.lock().unwrap_or_else(PoisonError::into_inner);
        agents.remove(&self.agent);
    }
}

impl Places {
    pub(crate) fn new() -> Self {
        Self {
            free: Arc::new(Semaphore::new(AT_ONCE)),
            agents: Agents::default(),
        }
    }

    /// Waits for a place.
    ///
    /// # Errors
    /// `TooManyRequests` for an agent that has one or waits for one; `ServiceUnavailable` if there is none in time.
    pub(crate) async fn enter(&self, agent: Uuid, within: Duration) -> Result<Place> {
        let turn = self.turn(agent)?;
        let waiting = Arc::clone(&self.free).acquire_owned();
        let permit = tokio::time::timeout(within, waiting).await.map_err(|_| {
            let message = format!("{AT_ONCE} inventories of other agents are being taken in.");
            Error::try_later(Code::ServiceUnavailable, message, ASK_AGAIN)
        })?;
        Ok(Place {
            _permit: permit.map_err(Error::fault)?,
            _turn: turn,
        })
    }

    fn turn(&self, agent: Uuid) -> Result<Turn> {
        let mut agents = self.agents.lock().unwrap_or_else(PoisonError::into_inner);
        if agents.insert(agent) {
            let agents = Arc::clone(&self.agents);
            return Ok(Turn { agents, agent });
        }
        let message = "Another inventory of this agent is being taken in.";
        Err(Error::try_later(Code::TooManyRequests, message, ASK_AGAIN))
    }
}
