//! What an executor of the service's own has to be able to do. The simulator is one.
//!
//! It is about the work alone. That an operation is claimed, reported and held by a lease, that work goes on being held
//! as long as it goes on, and what its silence comes to, is the same for every executor and lies with whoever drives
//! it (`jobs/executor.rs`, `actions/execution`). Executors elsewhere do without this trait: they claim and report by the
//! same actions, through an API.

use crate::actions::execution::{Claimant, Outcome};
use domain::{ids::OperationId, instant::Instant};
use store::hotfixes::Operation;

/// How far work has come.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Progress {
    /// It goes on, and there is nothing else to say of it before that moment, where one is known.
    GoesOn(Option<Instant>),
    /// It has ended.
    Ended(Outcome),
    /// Nobody will hear of it any more. It takes up a place until that moment.
    Silent(Instant),
}

/// Somebody who carries operations out.
///
/// Nothing here waits: what takes time is done elsewhere, and asked about.
pub(crate) trait Executor: Send {
    /// Who it is.
    fn claimant(&self) -> &Claimant;

    /// Takes an operation on that has been claimed for it.
    fn begin(&mut self, operation: &Operation);

    /// How far that operation has come at `now`. An ending is told again, until it has been written down.
    fn poll(&mut self, id: OperationId, now: Instant) -> Progress;

    /// Lets go of an operation: its ending has been written down, or it is not its own any more.
    fn stop(&mut self, id: OperationId);
}
