//! What time it is, and waiting for a moment: both given from outside, so that tests and `fame dev` can move time.

use domain::instant::Instant;
use futures::future::BoxFuture;
use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// A clock.
pub trait Clock: Send + Sync {
    /// This moment.
    fn now(&self) -> Instant;

    /// Waits until that moment.
    fn reach(&self, moment: Instant) -> BoxFuture<'_, ()>;
}

/// A clock that several hold.
pub type SharedClock = Arc<dyn Clock>;

impl dyn Clock + '_ {
    /// Waits that long.
    pub async fn pause(&self, span: Duration) {
        self.reach(self.now() + span).await;
    }
}

/// A moment by both clocks of a machine: the one that people set, and the one that only goes on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    set: Instant,
    steady: tokio::time::Instant,
}

impl Moment {
    /// This moment.
    pub(crate) fn now(clock: &dyn Clock) -> Self {
        Self {
            set: clock.now(),
            steady: tokio::time::Instant::now(),
        }
    }

    /// When `span` has passed since, by the clock that people set.
    pub(crate) fn after(self, span: Duration) -> Instant {
        self.set + span
    }

    /// Whether `span` has passed since by either of them: one may have been set, the other may have slept.
    pub(crate) fn is_past(self, span: Duration, clock: &dyn Clock) -> bool {
        clock.now() >= self.after(span) || self.steady.elapsed() >= span
    }
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct MachineClock;

impl Clock for MachineClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place of an agent that asks the machine"
    )]
    fn now(&self) -> Instant {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Instant(i64::try_from(since.as_nanos() / 100).unwrap_or(i64::MAX))
    }

    fn reach(&self, moment: Instant) -> BoxFuture<'_, ()> {
        let span = moment.since(self.now());
        Box::pin(tokio::time::sleep(span))
    }
}
