//! Whether the service can work: what `/health/ready` and the metrics tell.

use super::Service;
use crate::{blobs::Availability, free_space};
use futures::future::join_all;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::{task::spawn_blocking, time::timeout};

/// How long the database and the disks may take to answer: less than whoever asks is likely to wait.
const PING: Duration = Duration::from_secs(2);

/// What can be relied on.
pub(crate) struct Readiness {
    pub(crate) database: bool,
    pub(crate) clock: bool,
    pub(crate) locations: BTreeMap<String, bool>,
    /// Whether disks have the room that is kept free; where they do not, all that adds nothing goes on.
    pub(crate) room: bool,
}

impl Readiness {
    pub(crate) async fn of(service: &Service) -> Self {
        let (database, locations, room) = tokio::join!(
            database_answers(service),
            locations_that_work(service),
            has_room(service)
        );
        Self {
            database,
            clock: service.clock_check.is_right(),
            locations,
            room,
        }
    }

    /// Whether packages can be stored in every location.
    pub(crate) fn storage(&self) -> bool {
        self.locations.values().all(|works| *works)
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.database && self.clock && self.storage()
    }
}

async fn database_answers(service: &Service) -> bool {
    let answer = timeout(PING, service.db.ping()).await;
    answer.is_ok_and(|answer| answer.is_ok())
}

async fn has_room(service: &Service) -> bool {
    let settings = Arc::clone(&service.settings);
    let asked = spawn_blocking(move || free_space::shortages(&settings).is_empty());
    timeout(PING, asked)
        .await
        .is_ok_and(|answer| answer.unwrap_or(false))
}

/// Asks all at once, so that one that does not answer keeps nobody waiting for the others.
async fn locations_that_work(service: &Service) -> BTreeMap<String, bool> {
    let asked = service.blobs.all().map(|location| async move {
        let works = location.availability().await == Availability::Available;
        (location.name().to_owned(), works)
    });
    join_all(asked).await.into_iter().collect()
}
