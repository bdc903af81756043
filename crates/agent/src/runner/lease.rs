//! What an operation is held by: renewed while it is carried out, together with how far it has come.

use super::{Pauses, Shared, is_answer};
use crate::clock::Moment;
use client::Error;
use domain::{ids::OperationId, instant::Instant};
use std::{
    convert::Infallible,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::sync::watch;
use uuid::Uuid;
use wire::agent::{ClaimedOperation, Progress, Renewal};

/// Progress is told no more often than this.
const TELL_PAUSE: Duration = Duration::from_secs(5);

pub(super) struct Lease<'a> {
    agent: &'a Shared,
    operation: OperationId,
    lease_id: Uuid,
    granted: Mutex<Granted>,
    progress: watch::Receiver<Progress>,
    /// What the service was told of it last.
    told: Mutex<Progress>,
    is_lost: AtomicBool,
}

/// When the service was asked for it, if that was by this process, and how long it lasts from then on. The service counts
/// from a later moment.
#[derive(Clone, Copy)]
struct Granted {
    asked: Option<Moment>,
    span: Duration,
}

impl<'a> Lease<'a> {
    pub(super) fn new(
        agent: &'a Shared,
        claimed: &ClaimedOperation,
        asked: Option<Moment>,
        progress: watch::Receiver<Progress>,
    ) -> Self {
        let span = Duration::from_secs(claimed.lease_seconds.into());
        Self {
            agent,
            operation: OperationId(claimed.operation_id),
            lease_id: claimed.lease_id,
            granted: Mutex::new(Granted { asked, span }),
            progress,
            told: Mutex::default(),
            is_lost: AtomicBool::new(false),
        }
    }

    fn granted(&self) -> MutexGuard<'_, Granted> {
        self.granted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When it ends, unless it is renewed.
    pub(super) fn ends_on(&self) -> Instant {
        let Granted { asked, span } = *self.granted();
        asked.map_or(Instant(0), |asked| asked.after(span))
    }

    /// Whether the service still counts on this agent.
    pub(super) fn is_held(&self) -> bool {
        !self.is_lost.load(Ordering::SeqCst) && self.lasts(|span| span)
    }

    fn lasts(&self, part: fn(Duration) -> Duration) -> bool {
        let Granted { asked, span } = *self.granted();
        asked.is_some_and(|asked| !asked.is_past(part(span), &*self.agent.clock))
    }

    /// Makes sure that there is time to begin: it may have been granted at the end of a long wait, or to a process before
    /// this one.
    pub(super) async fn hold(&self) {
        if !self.lasts(|span| span / 2) {
            self.ask().await;
        }
    }

    /// Renews it, or finds out that it is lost.
    async fn ask(&self) {
        let mut pauses = Pauses::default();
        while let Err(error) = self.renew(None).await {
            pauses.pause_after(self.agent, &error).await;
        }
    }

    /// Renews it for as long as this is polled.
    pub(super) async fn renew_on(&self) -> Infallible {
        let mut progress = self.progress.clone();
        loop {
            let now = self.agent.clock.now();
            let due = now + self.granted().span / 3;
            tokio::select! {
                () = self.agent.clock.reach(due) => {}
                // Not at once: what comes soon after goes along.
                Ok(()) = progress.changed() => self.agent.clock.reach(due.min(now + TELL_PAUSE)).await,
            }
            if self.is_lost.load(Ordering::SeqCst) {
                // Nothing brings it back; what was begun comes to its end all the same.
                return std::future::pending().await;
            }
            let told = progress.borrow_and_update().clone();
            let told = Some(told).filter(|told| *told != Progress::default());
            let renewed = self.renew(told).await;
            self.agent.note(renewed.as_ref().err());
            if let Err(error) = renewed {
                tracing::warn!(operation = %self.operation, "the lease was not renewed: {error}");
                self.agent.clock.pause(TELL_PAUSE).await;
            }
        }
    }

    /// Tells what was said since it was renewed last, such as what became of other apps: the end of an operation that
    /// succeeded has no text. That it cannot be told changes nothing.
    pub(super) async fn tell_last(&self) {
        let last = self.progress.borrow().clone();
        let is_told = *self.told.lock().unwrap_or_else(PoisonError::into_inner) == last;
        if is_told || !self.is_held() {
            return;
        }
        if let Err(error) = self.renew(Some(last)).await {
            tracing::warn!(operation = %self.operation, "what was said last was not told: {error}");
        }
    }

    /// Asks the service once.
    async fn renew(&self, progress: Option<Progress>) -> Result<(), Error> {
        let asked = Moment::now(&*self.agent.clock);
        let renewal = Renewal {
            lease_id: self.lease_id,
            progress,
        };
        match self
            .agent
            .caller
            .now()
            .renew_operation(self.operation, &renewal)
            .await
        {
            Ok(renewed) => {
                *self.granted() = Granted {
                    asked: Some(asked),
                    span: Duration::from_secs(renewed.lease_seconds.into()),
                };
                if let Some(progress) = renewal.progress {
                    *self.told.lock().unwrap_or_else(PoisonError::into_inner) = progress;
                }
                Ok(())
            }
            Err(error) if is_answer(&error) => {
                tracing::warn!(operation = %self.operation, "the service has given the operation up: {error}");
                self.agent.status.leases_lost.fetch_add(1, Ordering::Relaxed);
                self.is_lost.store(true, Ordering::SeqCst);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}
