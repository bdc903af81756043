//! Whether the service can work: what `/health/ready` and the metrics tell.
//!
//! Only what keeps everything from working takes a server out: its database, and a clock that is wrong. A storage location
//! that is away, a disk that is full, and a service for which nobody carries anything out are told, and the rest goes on.

use super::Service;
use crate::{blobs::Availability, free_space};
use futures::future::join_all;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use store::agents;
use tokio::{task::spawn_blocking, time::timeout};

/// How long the database and the disks may take to answer: less than whoever asks is likely to wait.
const PING: Duration = Duration::from_secs(2);

/// Whether the database can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Database {
    Available,
    /// It can be read, and its disk has no room for changes.
    Full,
    Unavailable,
}

/// In which locations packages can be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Storage {
    All,
    Some,
    None,
}

/// Whether somebody carries out what is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Agents {
    /// At least one is there and works.
    Working,
    /// Those that may have not called for a while, or say that something keeps them from it.
    Silent,
    /// Nobody may.
    None,
    /// The database does not tell.
    Unknown,
}

/// What can be relied on.
pub(crate) struct Readiness {
    pub(crate) database: Database,
    pub(crate) clock: bool,
    pub(crate) locations: BTreeMap<String, bool>,
    /// Whether disks have the room that is kept free; where they do not, all that adds nothing goes on.
    pub(crate) room: bool,
    pub(crate) agents: Agents,
}

impl Readiness {
    pub(crate) async fn of(service: &Service) -> Self {
        let (answers, locations, (is_full, room), agents) = tokio::join!(
            database_answers(service),
            locations_that_work(service),
            room_on_disks(service),
            Agents::of(service)
        );
        Self {
            database: match (answers, is_full) {
                (false, _) => Database::Unavailable,
                (true, true) => Database::Full,
                (true, false) => Database::Available,
            },
            clock: service.clock_check.is_right(),
            locations,
            room,
            agents,
        }
    }

    /// Whether the service can work at all.
    pub(crate) fn is_ready(&self) -> bool {
        self.database != Database::Unavailable && self.clock
    }

    /// Whether a part of it does not.
    pub(crate) fn is_degraded(&self) -> bool {
        self.database == Database::Full || self.storage() != Storage::All
    }

    /// Where packages can be stored.
    pub(crate) fn storage(&self) -> Storage {
        let works = |works: &&bool| **works;
        match self.locations.values().filter(works).count() {
            count if count == self.locations.len() => Storage::All,
            0 => Storage::None,
            _ => Storage::Some,
        }
    }

    /// What is not as it should be, a sentence for each.
    pub(crate) fn details(&self) -> Vec<String> {
        let mut details = Vec::new();
        match self.database {
            Database::Available => {}
            Database::Full => details.push(
                "The disk of the database is full: what is there can be read, and no change be made."
                    .to_owned(),
            ),
            Database::Unavailable => details.push("The database does not answer.".to_owned()),
        }
        if !self.clock {
            details.push(
                "This machine's clock is not the database's: nothing is started or given up.".to_owned(),
            );
        }
        let away = self.locations.iter().filter(|(_, works)| !**works);
        details.extend(away.map(|(name, _)| {
            format!("The storage location '{name}' cannot be used, as the log says: its packages are neither stored nor read.")
        }));
        if !self.room {
            details.push("Disks have less room than is kept free: nothing is added to them.".to_owned());
        }
        details.extend(self.agents.objection().map(str::to_owned));
        details
    }
}

impl Agents {
    /// Whether somebody carries out what is asked for.
    pub(crate) async fn of(service: &Service) -> Self {
        let now = service.clock.now();
        let workers = timeout(PING, agents::workers(&service.db, now)).await;
        match workers {
            Ok(Ok(workers)) if workers.is_empty() => Self::None,
            Ok(Ok(workers)) if workers.iter().any(|worker| worker.is_at_work(now)) => Self::Working,
            Ok(Ok(_)) => Self::Silent,
            _ => Self::Unknown,
        }
    }

    /// Why nothing is carried out, if nothing is.
    pub(crate) fn objection(self) -> Option<&'static str> {
        match self {
            Self::Working | Self::Unknown => None,
            Self::None => {
                Some("Nobody carries anything out: there is no agent that could, so hotfixes stay Scheduled.")
            }
            Self::Silent => Some(
                "Nobody carries anything out: no agent has called in the last minutes and was ready, so hotfixes stay Scheduled.",
            ),
        }
    }
}

async fn database_answers(service: &Service) -> bool {
    let answer = timeout(PING, service.db.ping()).await;
    answer.is_ok_and(|answer| answer.is_ok())
}

/// Whether the disk of the database is full, and whether disks have the room that is kept free.
async fn room_on_disks(service: &Service) -> (bool, bool) {
    let settings = Arc::clone(&service.settings);
    let asked = spawn_blocking(move || {
        let has_room = free_space::shortages(&settings).is_empty();
        (free_space::is_database_full(&settings), has_room)
    });
    let answer = timeout(PING, asked).await;
    answer.map_or((false, false), |answer| answer.unwrap_or((false, false)))
}

/// Asks all at once, so that one that does not answer keeps nobody waiting for the others.
async fn locations_that_work(service: &Service) -> BTreeMap<String, bool> {
    let asked = service.blobs.all().map(|location| async move {
        let works = location.availability().await == Availability::Available;
        (location.name().to_owned(), works)
    });
    join_all(asked).await.into_iter().collect()
}
