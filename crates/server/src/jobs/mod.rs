//! What the service does unasked: waking those who carry out due operations, delivering what happened, and tidying up.
//!
//! Jobs keep nothing in mind that counts: each round reads anew what is due. A signal makes them quick, a period makes
//! them right.

pub(crate) mod claims;
pub(crate) mod events;
mod failure_reporter;
pub(crate) mod feed;
pub(crate) mod gauges;
pub(crate) mod leases;
pub(crate) mod missing;
pub(crate) mod retention;
pub(crate) mod rollouts;
pub(crate) mod signals;
pub(crate) mod sweeper;
pub(crate) mod webhooks;
