//! What time it is: a parameter, so that tests and `fame dev` can move it.

use domain::instant::{Instant, TICKS_PER_SECOND};
use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};
use store::wakeup::{Listener, Wakeup};

/// The service's clock: the machine's, moved by an offset that only `fame dev` and tests change.
#[derive(Clone, Default)]
pub struct Clock {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    offset: AtomicI64,
    stopped_at: AtomicI64,
    /// How far the machine's clock goes wrong, as far as this process is concerned.
    error: AtomicI64,
    moved: Wakeup,
}

/// Not stopped.
const RUNNING: i64 = 0;

impl Clock {
    /// A clock that shows the machine's time.
    #[must_use]
    pub fn system() -> Self {
        Self::default()
    }

    /// A clock that stands still at `at` until it is moved.
    #[must_use]
    pub fn stopped(at: Instant) -> Self {
        let clock = Self::default();
        clock.shared.stopped_at.store(at.0, Ordering::SeqCst);
        clock
    }

    /// This moment on this clock.
    #[must_use]
    pub fn now(&self) -> Instant {
        match self.shared.stopped_at.load(Ordering::SeqCst) {
            RUNNING => Instant(self.machine().0 + self.shared.offset.load(Ordering::SeqCst)),
            stopped => Instant(stopped),
        }
    }

    /// This moment on the machine's clock, however far this one was moved.
    pub(crate) fn machine(&self) -> Instant {
        Instant(machine_ticks() + self.shared.error.load(Ordering::SeqCst))
    }

    /// Lets the machine's clock go wrong by so many ticks: for tests of what follows from that.
    pub fn go_wrong_by(&self, ticks: i64) {
        self.shared.error.store(ticks, Ordering::SeqCst);
    }

    /// Sets the clock; it goes on from there, or stands there if it was stopped.
    pub fn set(&self, now: Instant) {
        let stopped = self.shared.stopped_at.load(Ordering::SeqCst) != RUNNING;
        if stopped {
            self.shared.stopped_at.store(now.0, Ordering::SeqCst);
        } else {
            return self.set_offset(now.0 - self.machine().0);
        }
        self.shared.moved.notify_here();
    }

    /// Sets a running clock so far ahead of the machine's, in ticks; with none the two are one.
    pub fn set_offset(&self, ticks: i64) {
        self.shared.offset.store(ticks, Ordering::SeqCst);
        self.shared.moved.notify_here();
    }

    /// How far this clock is ahead of the machine's, in ticks; negative when behind.
    #[must_use]
    pub fn offset(&self) -> i64 {
        match self.shared.stopped_at.load(Ordering::SeqCst) {
            RUNNING => self.shared.offset.load(Ordering::SeqCst),
            stopped => stopped - self.machine().0,
        }
    }

    /// Waits until it is `moment` on this clock, or later.
    pub async fn reach(&self, moment: Instant) {
        let mut moved = self.listener();
        while self.now() < moment {
            tokio::select! {
                () = moved.notified() => {}
                () = tokio::time::sleep(moment.since(self.now())) => {}
            }
        }
    }

    /// Somebody who wants to know from now on when this clock is moved.
    pub(crate) fn listener(&self) -> Listener {
        self.shared.moved.listener()
    }
}

/// Seconds since 1970 on the machine's clock: what tokens are checked against, however far the service's is moved.
#[must_use]
pub fn wall_seconds() -> i64 {
    machine_ticks().div_euclid(TICKS_PER_SECOND)
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that asks the machine"
)]
pub(crate) fn machine_ticks() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos() / 100).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_running_clock_goes_on_from_where_it_was_set() {
        let clock = Clock::system();
        let target = Instant(clock.now().0 + 3_600 * TICKS_PER_SECOND);
        clock.set(target);
        assert!(clock.now() >= target);
        assert!(clock.offset() > 3_599 * TICKS_PER_SECOND);
    }

    #[test]
    fn a_stopped_clock_stands_where_it_is_put() {
        let clock = Clock::stopped(Instant(5));
        assert_eq!(clock.now(), Instant(5));
        clock.set(Instant(9));
        assert_eq!(clock.now(), Instant(9));
    }
}
