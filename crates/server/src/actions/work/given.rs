//! What comes of a claim, as it is told to the agent.

use domain::ids::OperationId;
use std::time::Duration;
use store::hotfixes::Operation;
use uuid::Uuid;

/// An operation that an agent holds.
#[derive(Debug)]
pub(crate) struct Given {
    pub(crate) operation: Operation,
    pub(crate) lease_id: Uuid,
    /// Whether another country has other bytes of the same version.
    pub(crate) differs_elsewhere: bool,
}

/// What comes of a claim.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) given: Vec<Given>,
    /// What the agent is at, and does not hold any more.
    pub(crate) lost: Vec<OperationId>,
    /// How long all of it is held.
    pub(crate) lease: Duration,
}

impl Work {
    pub(super) fn is_news(&self) -> bool {
        !self.given.is_empty() || !self.lost.is_empty()
    }
}
