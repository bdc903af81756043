//! How fast somebody has to be who sends or takes many bytes, and how far they may be behind.

use std::time::Duration;
use tokio::time::Instant;

/// The time that somebody has left. Every byte that they bring or take earns them more, up to what they had at first.
#[derive(Debug)]
pub(crate) struct Pace {
    idle: Duration,
    bytes_per_second: u64,
    until: Instant,
}

impl Pace {
    /// Begins now, with `idle` left.
    pub(crate) fn new(idle: Duration, bytes_per_second: u64) -> Self {
        Self {
            idle,
            bytes_per_second,
            until: Instant::now() + idle,
        }
    }

    /// When their time is over.
    pub(crate) fn until(&self) -> Instant {
        self.until
    }

    pub(crate) fn is_over(&self) -> bool {
        self.until <= Instant::now()
    }

    pub(crate) fn earn(&mut self, bytes: u64) {
        let earned = bytes as f64 / self.bytes_per_second as f64;
        let earned = Duration::from_secs_f64(earned.min(self.idle.as_secs_f64()));
        self.until = (self.until + earned).min(Instant::now() + self.idle);
    }

    /// Does not count a time in which they could do nothing.
    pub(crate) fn forgive(&mut self, waited: Duration) {
        self.until += waited;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_earn_time_up_to_what_there_was_at_first() {
        let idle = Duration::from_secs(60);
        let mut pace = Pace::new(idle, 100);
        pace.earn(1_000_000);
        let full = pace.until();
        assert!(full <= Instant::now() + idle);
        pace.until -= Duration::from_secs(50);
        pace.earn(1_000);
        assert_eq!(full - pace.until(), Duration::from_secs(40));
        pace.until -= Duration::from_secs(20);
        assert!(pace.is_over());
        pace.forgive(Duration::from_secs(5));
        assert!(!pace.is_over());
    }
}
