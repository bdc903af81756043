//! An executor that only pretends: for `fame dev`, demonstrations and tests.
//!
//! It takes time on the service's clock, fails and gets lost as its script says, and otherwise succeeds; how long it
//! takes follows from the operation alone, so that the same run gives the same picture.

use crate::actions::execution::{Claimed, Outcome};
use domain::{
    environment::EnvironmentKey,
    ids::OperationId,
    instant::{Instant, TICKS_PER_SECOND},
};
use std::collections::HashMap;
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
    /// The executor is never heard of again.
    GetsLost,
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
    lease_id: Uuid,
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
        let outcome = match self.script.get(&key) {
            None => Some(Outcome::Succeeded),
            Some(Fault::Fails(text)) => Some(Outcome::Failed(text.clone())),
            Some(Fault::FindsNothingToDo) => Some(Outcome::Skipped(None)),
            Some(Fault::GetsLost) => None,
        };
        let started = operation.started_on.unwrap_or(operation.created_on);
        let ends_on = Instant(started.0 + duration(operation.id));
        self.at_work.insert(
            operation.id,
            Work {
                lease_id: claimed.lease.id,
                ends_on,
                outcome,
            },
        );
    }

    /// The operations that are done at `now`, with what became of them. Lost ones are forgotten here.
    pub(crate) fn take_done(&mut self, now: Instant) -> Vec<(OperationId, Uuid, Outcome)> {
        let done: Vec<_> = self
            .at_work
            .iter()
            .filter(|(_, work)| work.ends_on <= now)
            .map(|(id, _)| *id)
            .collect();
        let taken = done
            .into_iter()
            .filter_map(|id| self.at_work.remove(&id).map(|work| (id, work)));
        taken
            .filter_map(|(id, work)| work.outcome.map(|outcome| (id, work.lease_id, outcome)))
            .collect()
    }

    /// Takes an operation back that is done but could not be reported yet.
    pub(crate) fn put_back(&mut self, id: OperationId, lease_id: Uuid, outcome: Outcome, now: Instant) {
        let work = Work {
            lease_id,
            ends_on: now,
            outcome: Some(outcome),
        };
        self.at_work.insert(id, work);
    }

    /// When the next operation will be done.
    pub(crate) fn next_end(&self) -> Option<Instant> {
        self.at_work.values().map(|work| work.ends_on).min()
    }
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
