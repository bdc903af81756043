//! An executor that only pretends: for `fame dev`, demonstrations and tests.
//!
//! It takes time on the service's clock, fails and gets lost as its script says, and otherwise succeeds; how long it
//! takes follows from the operation alone, so that the same run gives the same picture.

use crate::actions::execution::{Claimed, Outcome, Report};
use domain::{
    environment::EnvironmentKey,
    ids::OperationId,
    instant::{Instant, TICKS_PER_SECOND},
};
use std::{collections::HashMap, time::Duration};
use store::execution::Lease;
use uuid::Uuid;

/// Shortest simulated work, in ticks.
const SHORTEST: i64 = TICKS_PER_SECOND;
/// What is added to it at most, in ticks.
const SPREAD: i64 = TICKS_PER_SECOND;

/// What goes wrong in an environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The work fails with this text.
    Fails(String),
    /// The executor finds nothing to do.
    FindsNothingToDo,
    /// The executor falls silent.
    GetsLost,
    /// The work succeeds, but takes this long.
    Takes(Duration),
}

/// Which environments something goes wrong in.
pub type Script = HashMap<EnvironmentKey, Fault>;

/// The executor and what it is at.
#[derive(Debug, Default)]
pub(crate) struct Simulator {
    script: Script,
    at_work: HashMap<OperationId, Work>,
}

#[derive(Debug)]
struct Work {
    lease: Lease,
    ends_on: Instant,
    /// `None` for work of which nobody will hear.
    outcome: Option<Outcome>,
}

impl Simulator {
    pub(crate) fn new(script: Script) -> Self {
        Self {
            script,
            at_work: HashMap::new(),
        }
    }

    /// How many operations it is at.
    pub(crate) fn busy(&self) -> usize {
        self.at_work.len()
    }

    /// Takes an operation on.
    pub(crate) fn begin(&mut self, claimed: &Claimed) {
        let operation = &claimed.operation;
        let key = EnvironmentKey::new(
            operation.tenant_id,
            &operation.family,
            &operation.environment_name,
        );
        let fault = self.script.get(&key);
        let outcome = match fault {
            None | Some(Fault::Takes(_)) => Some(Outcome::Succeeded),
            Some(Fault::Fails(text)) => Some(Outcome::Failed(text.clone())),
            Some(Fault::FindsNothingToDo) => Some(Outcome::Skipped(None)),
            Some(Fault::GetsLost) => None,
        };
        let started = operation.started_on.unwrap_or(operation.created_on);
        let ends_on = match fault {
            Some(Fault::Takes(span)) => started + *span,
            _ => Instant(started.0 + duration(operation.id)),
        };
        let work = Work {
            lease: claimed.lease,
            ends_on,
            outcome,
        };
        self.at_work.insert(operation.id, work);
    }

    /// What there is to report at `now`. Lost work is forgotten here; the rest is, once its report is written down.
    pub(crate) fn done(&mut self, now: Instant) -> Vec<Report> {
        let is_lost = |work: &Work| work.outcome.is_none() && work.ends_on <= now;
        self.at_work.retain(|_, work| !is_lost(work));
        let done = self.at_work.iter().filter(|(_, work)| work.ends_on <= now);
        let report = |(id, work): (&OperationId, &Work)| {
            work.outcome.clone().map(|outcome| Report {
                id: *id,
                lease_id: work.lease.id,
                outcome,
            })
        };
        done.filter_map(report).collect()
    }

    /// Forgets work that needs no report any more.
    pub(crate) fn forget(&mut self, id: OperationId) {
        self.at_work.remove(&id);
    }

    /// Whether the lease of this work has run out, so that another report of it would be of no use.
    pub(crate) fn has_lost_lease(&self, id: OperationId, now: Instant) -> bool {
        self.at_work.get(&id).is_none_or(|work| work.lease.until < now)
    }

    /// The leases of which at least half is over, when a new one lasts `lease`. What is done is not renewed: it is reported,
    /// or, if that can never be, given up like any other.
    pub(crate) fn to_renew(&self, now: Instant, lease: Duration) -> Vec<(OperationId, Uuid)> {
        let goes_on = |work: &Work| work.outcome.is_some() && work.ends_on > now;
        let is_old = |work: &Work| goes_on(work) && renewed_on(work, lease) <= now;
        let old = self.at_work.iter().filter(|(_, work)| is_old(work));
        old.map(|(id, work)| (*id, work.lease.id)).collect()
    }

    /// A lease ends later now.
    pub(crate) fn holds_until(&mut self, id: OperationId, until: Instant) {
        if let Some(work) = self.at_work.get_mut(&id) {
            work.lease.until = until;
        }
    }

    /// When the next report or renewal is due.
    pub(crate) fn next_step(&self, lease: Duration) -> Option<Instant> {
        let step = |work: &Work| match work.outcome {
            Some(_) => work.ends_on.min(renewed_on(work, lease)),
            None => work.ends_on,
        };
        self.at_work.values().map(step).min()
    }
}

/// When half of a lease is over.
fn renewed_on(work: &Work, lease: Duration) -> Instant {
    let half = i64::try_from((lease / 2).as_nanos() / 100).unwrap_or(i64::MAX);
    Instant(work.lease.until.0.saturating_sub(half))
}

fn duration(id: OperationId) -> i64 {
    let seed = i64::from(id.0.as_bytes()[15]);
    SHORTEST + SPREAD * seed / 255
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_takes_between_one_and_two_seconds() {
        for last in [0, 1, 128, 255] {
            let mut bytes = [0; 16];
            bytes[15] = last;
            let ticks = duration(OperationId(Uuid::from_bytes(bytes)));
            assert!(
                (TICKS_PER_SECOND..=2 * TICKS_PER_SECOND).contains(&ticks),
                "{ticks}"
            );
        }
    }
}
