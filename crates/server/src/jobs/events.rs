//! Telling of what happened: each consumer is told of every event that changes left in the outbox, in order.
//!
//! Of several servers one at a time tells a consumer. It says so in the consumer's cursor, together with how far it has
//! come, and tells outside any transaction. So a consumer is told once as long as nobody crashes between telling and
//! writing that down, and otherwise again: it knows an event by its id. What a server has told it also keeps in mind, so
//! that a database that goes away in between makes no difference.

mod telemetry;

pub(crate) use telemetry::TelemetryLog;

use super::failure_reporter::FailureReporter;
use crate::{actions::Service, error::Result};
use domain::instant::Instant;
use std::{sync::Arc, time::Duration};
use store::events::{self, Event, Next, Teller, Told};
use tokio::{sync::Mutex, time::sleep};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Events that a consumer is told of at once, at most.
const BATCH: i64 = 500;
/// How long telling a batch may take before another server may do it.
const TERM: Duration = Duration::from_secs(30);
/// Rest between two looks; what happens meanwhile becomes one batch.
const REST: Duration = Duration::from_millis(200);
/// How often to look when nothing announced an event: others may have died before they told of theirs.
const PERIOD: Duration = Duration::from_secs(5);

/// Somebody who is told of what happened.
pub(crate) trait Consumer: Send + Sync + 'static {
    /// What its cursor is called, which a migration has added.
    const NAME: &'static str;

    /// Tells it of events, each after those that happened before to the same operation. It may have been told of the
    /// first of them already. After an error it is told of the same ones again.
    fn deliver(&self, events: &[Event]) -> impl Future<Output = Result<()>> + Send;
}

/// What tells a consumer.
pub(crate) struct Delivery<C> {
    service: Arc<Service>,
    consumer: C,
    id: Uuid,
    /// The last event that the consumer has been told of from here. Held by whoever tells it.
    told: Mutex<Option<Told>>,
}

impl<C: Consumer> Delivery<C> {
    pub(crate) fn new(service: Arc<Service>, consumer: C) -> Self {
        Self {
            service,
            consumer,
            id: Uuid::new_v4(),
            told: Mutex::default(),
        }
    }

    /// Tells of all that has happened; whether it did, or left it to another server that is at it.
    pub(crate) async fn catch_up(&self) -> Result<bool> {
        let mut told = self.told.lock().await;
        if !events::has_next(&self.service.db, C::NAME).await? {
            return Ok(true);
        }
        loop {
            match self.next(*told).await? {
                Next::Nothing => return Ok(true),
                Next::ToldByAnother => return Ok(false),
                Next::Events(events, last) => {
                    self.consumer.deliver(&events).await?;
                    *told = events.last().map(|event| Told {
                        id: event.id,
                        position: last,
                    });
                }
            }
        }
    }

    async fn next(&self, told: Option<Told>) -> Result<Next> {
        // Servers that share a database share its clock: their own may differ by more than the term.
        let there = self.service.db.clock().await?;
        let now = there.unwrap_or_else(|| self.service.clock.machine());
        let teller = Teller {
            consumer: C::NAME,
            id: self.id,
            told,
            // Where a database belongs to one process, whoever else has told from it is gone.
            now: if self.service.db.is_shared() {
                now
            } else {
                Instant(i64::MAX)
            },
            until: now + TERM,
        };
        self.service
            .db
            .write(teller, |mut tx, teller| {
                Box::pin(async move { Ok(events::next_events(&mut tx, teller, BATCH).await?) })
            })
            .await
    }

    /// Tells until it is told to stop.
    pub(crate) async fn run(&self, stop: CancellationToken) {
        let mut failures = FailureReporter::of(C::NAME);
        let mut emitted = self.service.emitted.listener();
        loop {
            let caught_up = self.catch_up().await;
            failures.after(&caught_up);
            if stop.run_until_cancelled(sleep(REST)).await.is_none() {
                return;
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = emitted.notified() => {}
                () = sleep(PERIOD) => {}
            }
        }
    }
}
