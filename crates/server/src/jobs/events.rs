//! Delivering what happened: each consumer gets every event that changes left in the outbox, in order.
//!
//! Of several servers one at a time delivers to a consumer. It says so in the consumer's cursor, together with how far
//! it has come, and delivers outside any transaction. So a consumer gets an event once as long as nobody crashes between
//! delivering it and writing that down, and otherwise again: it knows an event by its id. What a server has delivered
//! it also keeps in mind, so that a database that goes away in between makes no difference.

mod telemetry;
mod webhooks;

pub(crate) use telemetry::TelemetryLog;
pub(crate) use webhooks::Webhooks;
#[cfg(test)]
pub(crate) use webhooks::telemetry_of;

use super::failure_reporter::FailureReporter;
use crate::{actions::Service, error::Result};
use domain::instant::Instant;
use std::{sync::Arc, time::Duration};
use store::events::{self, Delivered, Deliverer, Event, Next};
use tokio::{sync::Mutex, time::sleep};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Events that a consumer gets at once, at most.
const BATCH: i64 = 500;
/// How long delivering a batch may take before another server may do it.
const TERM: Duration = Duration::from_secs(30);
/// Rest between two looks; what happens meanwhile becomes one batch.
const REST: Duration = Duration::from_millis(200);
/// How often to look when nothing announced an event: others may have died before they delivered theirs.
const PERIOD: Duration = Duration::from_secs(5);

/// Somebody who subscribed to what happens.
pub(crate) trait Consumer: Send + Sync + 'static {
    /// What its cursor is called, which a migration has added.
    const NAME: &'static str;

    /// Gives it events, each after those that happened before to the same operation. It may have been given the first of
    /// them already. After an error it is given the same ones again.
    fn deliver(&self, events: &[Event]) -> impl Future<Output = Result<()>> + Send;
}

/// What delivers to a consumer.
pub(crate) struct Delivery<C> {
    service: Arc<Service>,
    consumer: C,
    id: Uuid,
    /// The last event that was delivered from here. Locked by whoever delivers.
    delivered: Mutex<Option<Delivered>>,
}

impl<C: Consumer> Delivery<C> {
    pub(crate) fn new(service: Arc<Service>, consumer: C) -> Self {
        Self {
            service,
            consumer,
            id: Uuid::new_v4(),
            delivered: Mutex::default(),
        }
    }

    /// Delivers all that has happened; whether it did, or left it to another server that is at it.
    pub(crate) async fn catch_up(&self) -> Result<bool> {
        let mut delivered = self.delivered.lock().await;
        if !events::has_next(&self.service.db, C::NAME).await? {
            return Ok(true);
        }
        loop {
            match self.next(*delivered).await? {
                Next::Nothing => return Ok(true),
                Next::DeliveredByAnother => return Ok(false),
                Next::Events(events, last) => {
                    self.consumer.deliver(&events).await?;
                    *delivered = events.last().map(|event| Delivered {
                        id: event.id,
                        position: last,
                    });
                }
            }
        }
    }

    async fn next(&self, delivered: Option<Delivered>) -> Result<Next> {
        // Servers that share a database share its clock: their own may differ by more than the term.
        let there = self.service.db.clock().await?;
        let now = there.unwrap_or_else(|| self.service.clock.machine());
        let deliverer = Deliverer {
            consumer: C::NAME,
            id: self.id,
            delivered,
            // Where a database belongs to one process, whoever else has delivered from it is gone.
            now: if self.service.db.is_shared() {
                now
            } else {
                Instant(i64::MAX)
            },
            until: now + TERM,
        };
        self.service
            .db
            .write(deliverer, |mut tx, deliverer| {
                Box::pin(async move { Ok(events::next_events(&mut tx, deliverer, BATCH).await?) })
            })
            .await
    }

    /// Delivers until it is asked to stop.
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
