//! Whether a location can be used, for whoever asks often.
//!
//! A check may take long, on a file system that hangs for ever. So there is one check at a time for each location, its
//! outcome counts for a moment, and whoever asks waits for it only so long.

use super::{BlobError, StorageLocation};
use domain::chain::Chain;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{sync::Mutex, task::JoinHandle};

/// How long an outcome counts.
const OUTCOME_TTL: Duration = Duration::from_secs(2);
/// How long to wait for a check.
const CHECK_TIMEOUT: Duration = Duration::from_secs(4);

/// Whether a location can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Availability {
    Available,
    Unavailable,
}

/// What is known of a location.
#[derive(Default)]
pub(super) struct Probe {
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    last: Option<(Instant, Availability)>,
    /// A check that took longer than anybody waited.
    running: Option<JoinHandle<Result<(), BlobError>>>,
}

impl Probe {
    /// What was found a moment ago, or is found now.
    pub(super) async fn ask(self: &Arc<Self>, location: &StorageLocation) -> Availability {
        let mut known = self.known.lock().await;
        if let Some((found, availability)) = known.last
            && found.elapsed() < OUTCOME_TTL
        {
            return availability;
        }
        let before = known.last.map(|(_, availability)| availability);
        let availability = known.check(location, before).await;
        known.last = Some((Instant::now(), availability));
        availability
    }
}

impl Known {
    async fn check(&mut self, location: &StorageLocation, before: Option<Availability>) -> Availability {
        let mut check = self.running.take().unwrap_or_else(|| {
            let location = location.clone();
            tokio::spawn(async move { location.check().await })
        });
        let problem = match tokio::time::timeout(CHECK_TIMEOUT, &mut check).await {
            Ok(Ok(Ok(()))) => None,
            Ok(Ok(Err(error))) => Some(Chain(&error).to_string()),
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => {
                self.running = Some(check);
                Some(format!("no answer within {} seconds", CHECK_TIMEOUT.as_secs()))
            }
        };
        let name = location.name();
        match (problem, before) {
            (Some(problem), before) => {
                // Once is enough: readiness is asked for every few seconds.
                if before != Some(Availability::Unavailable) {
                    tracing::error!(location = name, "the storage location cannot be used: {problem}");
                }
                Availability::Unavailable
            }
            (None, Some(Availability::Unavailable)) => {
                tracing::info!(location = name, "the storage location can be used again");
                Availability::Available
            }
            (None, _) => Availability::Available,
        }
    }
}
