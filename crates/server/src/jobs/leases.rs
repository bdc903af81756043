//! Ends what nobody carries any more, whoever carried it out: an agent that fell silent, or one that was there before a
//! move.

use super::failure_reporter::FailureReporter;
use crate::{
    actions::{Service, execution},
    error::{Error, Result},
};
use futures::FutureExt;
use std::{sync::Arc, time::Duration};
use store::{StoreError, wakeup::Listener};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// A lease is lost only when it is over, so the look comes a little later.
const A_LITTLE_LATER: Duration = Duration::from_millis(5);

/// How often to ask whether the database is there again.
const PING: Duration = Duration::from_secs(1);

/// Looks after leases until it is asked to stop.
pub(crate) async fn run(service: Arc<Service>, stop: CancellationToken) {
    let mut failures = FailureReporter::of("leases");
    let mut moved = service.clock.listener();
    // An outage may have ended just now, and others may have carried something through it.
    let first = match service.db.is_shared() {
        true => service.settings.executor.lease / 2,
        false => Duration::ZERO,
    };
    if stop.run_until_cancelled(sleep(first)).await.is_none() {
        return;
    }
    loop {
        let ended = look(&service, &mut moved).await;
        failures.after(&ended);
        if stop.run_until_cancelled(rest(&service, ended)).await.is_none() {
            return;
        }
    }
}

/// Ends what was lost; nothing right after the clock was moved, when leases only look over: their holders report first.
async fn look(service: &Service, moved: &mut Listener) -> Result<usize> {
    let now = service.clock_check.compare(service).await?;
    match moved.notified().now_or_never() {
        Some(()) => Ok(0),
        None => execution::end_lost_by(service, now).await,
    }
}

async fn rest(service: &Service, ended: Result<usize>) {
    let settings = &service.settings.executor;
    match ended {
        Ok(_) => sleep(until_next_end(service).await).await,
        // Whoever carried something through an outage needs time to say so once it is over.
        Err(Error::Store(StoreError::Unavailable(_) | StoreError::InDoubt(_))) => {
            while service.db.ping().await.is_err() {
                sleep(settings.poll.min(PING)).await;
            }
            sleep(settings.lease / 2).await;
        }
        Err(_) => sleep(settings.poll).await,
    }
}

/// Until the next lease ends; a lease that has ended and is still there is not settled by looking again at once.
async fn until_next_end(service: &Service) -> Duration {
    let poll = service.settings.executor.poll;
    let now = service.clock.now();
    let next = execution::next_lease_end(service).await.ok().flatten();
    let next = next.filter(|&end| end > now);
    next.map_or(poll, |end| (end.since(now) + A_LITTLE_LATER).min(poll))
}
