//! What comes of a claim, as it is told to the agent.

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
    /// How long all of it is held.
    pub(crate) lease: Duration,
}
