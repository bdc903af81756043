//! Whether the service can work: what `/health/ready` and the metrics tell.

use super::Service;
use crate::blobs::Availability;
use futures::future::join_all;
use std::{collections::BTreeMap, time::Duration};

/// How long the database may take to answer: less than whoever asks is likely to wait.
const PING: Duration = Duration::from_secs(2);

/// What can be relied on.
pub(crate) struct Readiness {
    pub(crate) database: bool,
    pub(crate) clock: bool,
    pub(crate) locations: BTreeMap<String, bool>,
}

impl Readiness {
    pub(crate) async fn of(service: &Service) -> Self {
        let (database, locations) = tokio::join!(database_answers(service), locations_that_work(service));
        Self {
            database,
            clock: service.clock_check.is_right(),
            locations,
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
    let answer = tokio::time::timeout(PING, service.db.ping()).await;
    answer.is_ok_and(|answer| answer.is_ok())
}

/// Asks all at once, so that one that does not answer keeps nobody waiting for the others.
async fn locations_that_work(service: &Service) -> BTreeMap<String, bool> {
    let asked = service.blobs.all().map(|location| async move {
        let works = location.availability().await == Availability::Available;
        (location.name().to_owned(), works)
    });
    join_all(asked).await.into_iter().collect()
}
