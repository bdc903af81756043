//! An executor that only pretends: for `fame dev`, demonstrations and tests.
//!
//! It takes time on the service's clock, fails and gets lost as its script says, and otherwise succeeds; how long it
//! takes follows from the operation alone, so that the same run gives the same picture.

use crate::{
    actions::execution::{Claimant, Outcome},
    executor::{Executor, Progress},
};
use domain::{
    environment::EnvironmentKey,
    ids::OperationId,
    instant::{Instant, TICKS_PER_SECOND},
};
use std::{collections::HashMap, time::Duration};
use store::hotfixes::Operation;

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
#[derive(Debug)]
pub(crate) struct Simulator {
    claimant: Claimant,
    script: Script,
    at_work: HashMap<OperationId, Work>,
}

#[derive(Debug)]
struct Work {
    ends_on: Instant,
    /// `None` for work of which nobody will hear.
    outcome: Option<Outcome>,
}

impl Simulator {
    pub(crate) fn new(script: Script) -> Self {
        Self {
            claimant: Claimant::Own("executor"),
            script,
            at_work: HashMap::new(),
        }
    }
}

impl Executor for Simulator {
    fn claimant(&self) -> &Claimant {
        &self.claimant
    }

    fn begin(&mut self, operation: &Operation) {
        let key = EnvironmentKey::new(
            operation.tenant_id,
            &operation.family,
            &operation.environment_name,
        );
        let fault = self.script.get(&key);
        let outcome = match fault {
            None | Some(Fault::Takes(_)) => Some(Outcome::Succeeded),
            Some(Fault::Fails(text)) => Some(Outcome::Failed {
                message: text.clone(),
                cause: None,
                in_full: None,
            }),
            Some(Fault::FindsNothingToDo) => Some(Outcome::Skipped(None)),
            Some(Fault::GetsLost) => None,
        };
        let started = operation.started_on.unwrap_or(operation.created_on);
        let ends_on = match fault {
            Some(Fault::Takes(span)) => started + *span,
            _ => Instant(started.0 + duration(operation.id)),
        };
        self.at_work.insert(operation.id, Work { ends_on, outcome });
    }

    fn poll(&mut self, id: OperationId, now: Instant) -> Progress {
        match self.at_work.get(&id) {
            Some(Work { ends_on, outcome }) => match outcome {
                None => Progress::Silent(*ends_on),
                Some(outcome) if *ends_on <= now => Progress::Ended(outcome.clone()),
                Some(_) => Progress::GoesOn(Some(*ends_on)),
            },
            None => Progress::Silent(now),
        }
    }

    fn stop(&mut self, id: OperationId) {
        self.at_work.remove(&id);
    }
}

fn duration(id: OperationId) -> i64 {
    let seed = i64::from(id.0.as_bytes()[15]);
    SHORTEST + SPREAD * seed / 255
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

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
