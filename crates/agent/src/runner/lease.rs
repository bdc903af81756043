//! What an operation is held by: renewed while it is carried out, together with how far it has come.

use super::{Pauses, Shared, is_answer};
use client::Error;
use domain::{ids::OperationId, instant::Instant};
use std::{
    convert::Infallible,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicI64, Ordering},
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
    seconds: Mutex<u32>,
    progress: watch::Receiver<Progress>,
    /// Until when, by this machine's clock: counted from before the service was asked.
    until: AtomicI64,
    is_lost: AtomicBool,
}

impl<'a> Lease<'a> {
    pub(super) fn new(
        agent: &'a Shared,
        claimed: &ClaimedOperation,
        progress: watch::Receiver<Progress>,
    ) -> Self {
        Self {
            agent,
            operation: OperationId(claimed.operation_id),
            lease_id: claimed.lease_id,
            seconds: Mutex::new(claimed.lease_seconds),
            progress,
            until: AtomicI64::new(0),
            is_lost: AtomicBool::new(false),
        }
    }

    fn span(&self) -> Duration {
        let seconds = self.seconds.lock().unwrap_or_else(PoisonError::into_inner);
        Duration::from_secs((*seconds).into())
    }

    /// The service granted it when it was asked then.
    pub(super) fn began(&self, asked: Instant) {
        self.until.store((asked + self.span()).0, Ordering::SeqCst);
    }

    /// When it ends, unless it is renewed.
    pub(super) fn ends_on(&self) -> Instant {
        Instant(self.until.load(Ordering::SeqCst))
    }

    /// Whether the service still counts on this agent.
    pub(super) fn is_held(&self) -> bool {
        !self.is_lost.load(Ordering::SeqCst) && self.agent.clock.now() < self.ends_on()
    }

    /// Finds out whether the lease of a process before this one is still good.
    pub(super) async fn ask(&self) {
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
            let due = now + self.span() / 3;
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

    /// Renews it, or learns that it is lost.
    async fn renew(&self, progress: Option<Progress>) -> Result<(), Error> {
        let asked = self.agent.clock.now();
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
                *self.seconds.lock().unwrap_or_else(PoisonError::into_inner) = renewed.lease_seconds;
                self.began(asked);
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
