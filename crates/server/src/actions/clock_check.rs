//! Whether this server's clock can be trusted with what belongs to others.
//!
//! What one server has begun, others give up when its time is over: operations without a heartbeat, uploads, what is
//! old enough to be forgotten. So servers that share a database compare their clocks with the database's each time before
//! they start, renew or give up anything. Leases are granted and ended by the database's time. A server whose clock is
//! wrong says so, is not ready, starts nothing and gives nothing up; it goes on reporting and renewing what it carries.

use super::Service;
use crate::error::Result;
use domain::instant::Instant;
use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

/// A clock may differ by this part of the shortest time after which something is given up. Two servers may then differ by
/// twice as much, and heartbeats come when half of that time is over at the latest.
const TOLERATED_PART: u32 = 8;

/// What the last comparison found.
#[derive(Debug, Default)]
pub(crate) struct ClockCheck {
    is_wrong: AtomicBool,
}

impl ClockCheck {
    /// Whether the clock agreed with the database's when they were last compared.
    pub(crate) fn is_right(&self) -> bool {
        !self.is_wrong.load(Ordering::SeqCst)
    }

    /// Compares the clocks; what this server's clock would show if it were right.
    pub(crate) async fn compare(&self, service: &Service) -> Result<Instant> {
        let asked = service.clock.machine();
        let there = service.db.clock().await?;
        let answered = service.clock.machine();
        let now = service.clock.now();
        let Some(there) = there else { return Ok(now) };
        let (ahead, behind) = differences(asked, there, answered);
        let settings = &service.settings;
        let tolerated = settings.executor.lease.min(settings.storage.grace) / TOLERATED_PART;
        let is_wrong = ahead.max(behind) > tolerated;
        if is_wrong != self.is_wrong.swap(is_wrong, Ordering::SeqCst) {
            log_change(is_wrong, answered, there);
        }
        Ok(now + behind - ahead)
    }

    /// Compares the clocks; whether they agree.
    pub(crate) async fn agrees(&self, service: &Service) -> Result<bool> {
        self.compare(service).await?;
        Ok(self.is_right())
    }
}

/// By how much this clock is certainly ahead of the other, and behind it: the other was read at some moment between asking
/// and hearing the answer.
fn differences(asked: Instant, there: Instant, answered: Instant) -> (Duration, Duration) {
    (asked.since(there), there.since(answered))
}

fn log_change(is_wrong: bool, here: Instant, there: Instant) {
    if is_wrong {
        tracing::error!(
            %here,
            %there,
            "this server's clock differs from the database's: it is not ready, starts nothing and gives nothing up until they agree"
        );
    } else {
        tracing::info!("this server's clock agrees with the database's again");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_answers_own_time_cannot_explain_counts() {
        let found = |there| {
            let (ahead, behind) = differences(Instant(100), Instant(there), Instant(110));
            [ahead, behind].map(|span| span.as_nanos() / 100)
        };
        assert_eq!([100, 105, 110].map(found), [[0, 0]; 3]);
        assert_eq!([90, 130].map(found), [[10, 0], [0, 20]]);
    }
}
