//! How far the uploads of a release are, all together: for people as a bar, for logs as a line now and then.

use crate::{output::Printer, reports::Percent};
use indicatif::{HumanBytes, HumanDuration, ProgressBar};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// How often a log hears how far it is.
const TOLD_EVERY: Duration = Duration::from_secs(30);

/// Uploads that are under way at the same time.
pub(super) struct Transfers {
    printer: Printer,
    bar: ProgressBar,
    percent: Percent,
    sent: Arc<[AtomicU64]>,
    total: u64,
    begun: Instant,
    told: Instant,
}

impl Transfers {
    /// Uploads of packages of these sizes, in bytes.
    pub(super) fn new(printer: Printer, sizes: &[u64]) -> Self {
        let (total, now) = (sizes.iter().sum(), Instant::now());
        Self {
            printer,
            bar: printer.progress(total, "Uploading".to_owned()),
            percent: Percent::new(printer),
            sent: sizes.iter().map(|_| AtomicU64::new(0)).collect(),
            total,
            begun: now,
            told: now,
        }
    }

    /// Hears how many bytes of one of them are on their way.
    pub(super) fn listener(&self, number: usize) -> Box<dyn Fn(u64) + Send + Sync> {
        let (sent, bar) = (Arc::clone(&self.sent), self.bar.clone());
        Box::new(move |bytes| {
            if let Some(own) = sent.get(number) {
                own.store(bytes, Ordering::Relaxed);
            }
            bar.set_position(sum(&sent));
        })
    }

    /// Says how far all of them are, where it is time to.
    pub(super) fn tell(&mut self) {
        let sent = sum(&self.sent);
        self.percent.tell(sent, self.total, "Uploading");
        if !self.bar.is_hidden() || self.told.elapsed() < TOLD_EVERY {
            return;
        }
        self.told = Instant::now();
        self.printer.note(line(sent, self.total, self.begun.elapsed()));
    }

    /// Takes the bar away.
    pub(super) fn end(self) {
        self.bar.finish_and_clear();
    }
}

fn sum(sent: &[AtomicU64]) -> u64 {
    sent.iter().map(|bytes| bytes.load(Ordering::Relaxed)).sum()
}

/// What is sent, how fast, and how long the rest takes at that rate.
fn line(sent: u64, total: u64, took: Duration) -> String {
    let rate = sent.checked_div(took.as_secs()).unwrap_or(0);
    let left = total.saturating_sub(sent).checked_div(rate);
    let left = left.map(|seconds| format!(", {} left", HumanDuration(Duration::from_secs(seconds))));
    format!(
        "Uploading: {} of {}, {}/s{}",
        HumanBytes(sent),
        HumanBytes(total),
        HumanBytes(rate),
        left.unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_much_how_fast_and_how_long() {
        let told = line(10 << 20, 40 << 20, Duration::from_secs(10));
        assert_eq!(
            told,
            "Uploading: 10.00 MiB of 40.00 MiB, 1.00 MiB/s, 30 seconds left"
        );
        assert_eq!(line(0, 40, Duration::ZERO), "Uploading: 0 B of 40 B, 0 B/s");
    }
}
