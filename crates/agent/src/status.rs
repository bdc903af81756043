//! How the agent is doing, for those who watch it. No name of a tenant, an environment or an app is among it.

use domain::instant::{Instant, TICKS_PER_SECOND};
use std::{
    collections::BTreeMap,
    fmt::Write,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
};

/// What is counted and remembered, since the process started.
#[derive(Debug, Default)]
pub struct Status {
    /// Operations that are being carried out.
    pub(crate) running: AtomicU64,
    pub(crate) succeeded: AtomicU64,
    pub(crate) failed: AtomicU64,
    pub(crate) skipped: AtomicU64,
    pub(crate) leases_lost: AtomicU64,
    /// Requests to the service that came to nothing.
    pub(crate) service_errors: AtomicU64,
    pub(crate) environments: AtomicU64,
    /// Environments that could not be read when this was last tried.
    pub(crate) unread: AtomicU64,
    /// Environments that the service did not take.
    pub(crate) refused: AtomicU64,
    /// When an inventory was last taken, in ticks; 0 for never.
    pub(crate) inventory_on: AtomicI64,
    /// When the token ends, in ticks; 0 where there is none.
    token_expires_on: AtomicI64,
    /// When the token should have been replaced, in ticks.
    token_due_on: AtomicI64,
    /// What keeps the agent from its work, by where it shows.
    troubles: Mutex<BTreeMap<Trouble, String>>,
}

/// Where trouble shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    /// The service cannot be reached, or does not take the agent for what it is.
    Service,
    /// The service did not take the inventory.
    Inventory,
    /// The journal cannot be written.
    Journal,
}

impl Status {
    /// Says what is wrong there, or that nothing is any more.
    pub fn trouble(&self, at: Trouble, what: Option<String>) {
        let mut troubles = self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        match what {
            Some(what) => _ = troubles.insert(at, what),
            None => _ = troubles.remove(&at),
        }
    }

    /// Says when the token ends, and until when it should be replaced.
    pub(crate) fn token(&self, expires_on: Instant, due_on: Instant) {
        self.token_expires_on.store(expires_on.0, Ordering::Relaxed);
        self.token_due_on.store(due_on.0, Ordering::Relaxed);
    }

    /// All that keeps the agent from its work, or soon will.
    #[must_use]
    pub fn troubles(&self, now: Instant) -> Vec<String> {
        let troubles = self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        let troubles = troubles.values().cloned();
        troubles
            .chain(self.late_token(now))
            .chain(self.idle_environments())
            .collect()
    }

    /// Whether it could work: nothing is in the way but, at most, the way to the service, of which the service knows
    /// better.
    pub(crate) fn can_work(&self) -> bool {
        let troubles = self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        let is_here = troubles.keys().any(|at| *at != Trouble::Service);
        !is_here && self.idle_environments().next().is_none()
    }

    /// That nothing is to be done anywhere, because no environment can be read or none is taken.
    fn idle_environments(&self) -> impl Iterator<Item = String> {
        let count = |number: &AtomicU64| number.load(Ordering::Relaxed);
        let (all, unread, refused) = (
            count(&self.environments),
            count(&self.unread),
            count(&self.refused),
        );
        let told = move |is_so: bool, text: &str| (all > 0 && is_so).then(|| text.to_owned());
        let unread = told(
            unread >= all,
            "None of the environments can be read: the log says why.",
        );
        let refused = told(
            refused >= all,
            "The service takes none of the environments: the log says why.",
        );
        unread.into_iter().chain(refused)
    }

    fn late_token(&self, now: Instant) -> Option<String> {
        let ends = Instant(self.token_expires_on.load(Ordering::Relaxed));
        let due = Instant(self.token_due_on.load(Ordering::Relaxed));
        let is_late = ends != Instant(0) && due < now;
        is_late.then(|| format!("The token ends on {ends}, and could not be replaced."))
    }

    /// The metrics in the text format of Prometheus.
    #[must_use]
    pub fn metrics(&self, now: Instant) -> String {
        let count = |number: &AtomicU64| number.load(Ordering::Relaxed);
        let seconds = |seconds: i64| u64::try_from(seconds).unwrap_or(0);
        let moment = |ticks: &AtomicI64| seconds(ticks.load(Ordering::Relaxed) / TICKS_PER_SECOND);
        let one = |value| vec![("", value)];
        let ended = vec![
            ("{status=\"Succeeded\"}", count(&self.succeeded)),
            ("{status=\"Failed\"}", count(&self.failed)),
            ("{status=\"Skipped\"}", count(&self.skipped)),
        ];
        let metrics = [
            (
                "ready",
                "gauge",
                "Whether nothing keeps the agent from its work.",
                one(u64::from(self.troubles(now).is_empty())),
            ),
            (
                "operations_running",
                "gauge",
                "Operations that are being carried out.",
                one(count(&self.running)),
            ),
            (
                "operations_total",
                "counter",
                "Operations that have ended.",
                ended,
            ),
            (
                "leases_lost_total",
                "counter",
                "Operations that the service gave up.",
                one(count(&self.leases_lost)),
            ),
            (
                "service_errors_total",
                "counter",
                "Requests that came to nothing.",
                one(count(&self.service_errors)),
            ),
            (
                "environments",
                "gauge",
                "Environments that the agent serves.",
                one(count(&self.environments)),
            ),
            (
                "environments_unread",
                "gauge",
                "Environments that could not be read.",
                one(count(&self.unread)),
            ),
            (
                "environments_refused",
                "gauge",
                "Environments that were not taken.",
                one(count(&self.refused)),
            ),
            (
                "inventory_timestamp_seconds",
                "gauge",
                "When an inventory was last taken.",
                one(moment(&self.inventory_on)),
            ),
            (
                "token_expiry_timestamp_seconds",
                "gauge",
                "When the token ends.",
                one(moment(&self.token_expires_on)),
            ),
            (
                "clock_timestamp_seconds",
                "gauge",
                "The agent's clock.",
                one(seconds(now.unix_seconds())),
            ),
        ];
        let mut text = String::new();
        for (name, kind, help, values) in metrics {
            let _ = write!(
                text,
                "# HELP fame_agent_{name} {help}\n# TYPE fame_agent_{name} {kind}\n"
            );
            for (labels, value) in values {
                let _ = writeln!(text, "fame_agent_{name}{labels} {value}");
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn troubles_come_and_go_and_show_in_the_metrics() {
        let status = Status::default();
        assert!(status.metrics(Instant(0)).contains("fame_agent_ready 1"));
        status.trouble(Trouble::Journal, Some("full".into()));
        status.trouble(Trouble::Service, Some("away".into()));
        assert_eq!(status.troubles(Instant(0)), ["away", "full"]);
        assert!(status.metrics(Instant(0)).contains("fame_agent_ready 0"));
        status.trouble(Trouble::Journal, None);
        assert_eq!(status.troubles(Instant(0)), ["away"]);
    }

    #[test]
    fn a_token_is_late_from_when_it_should_have_been_replaced() {
        let status = Status::default();
        status.token(Instant(30), Instant(20));
        assert!(status.troubles(Instant(20)).is_empty());
        assert_eq!(status.troubles(Instant(21)).len(), 1);
    }

    #[test]
    fn that_no_environment_is_any_good_is_trouble_and_that_some_are_not_is_none() {
        let status = Status::default();
        status.environments.store(2, Ordering::Relaxed);
        status.unread.store(1, Ordering::Relaxed);
        status.refused.store(1, Ordering::Relaxed);
        assert!(status.troubles(Instant(0)).is_empty());
        status.unread.store(2, Ordering::Relaxed);
        assert!(status.troubles(Instant(0))[0].starts_with("None of the environments can be read"));
        status.unread.store(0, Ordering::Relaxed);
        status.refused.store(2, Ordering::Relaxed);
        assert!(status.troubles(Instant(0))[0].starts_with("The service takes none"));
    }
}
