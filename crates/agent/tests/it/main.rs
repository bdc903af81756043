//! Drivers as the agent uses them, against targets that behave as real ones were seen to; and the agent at work, against a
//! service on this machine that is strict about everything it is asked.

#![allow(
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::cast_possible_truncation,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on has failed"
)]

mod admincenter;
mod automation;
mod desk;
mod devendpoint;
mod double;
mod everywhere;
#[cfg(unix)]
mod exec;
#[cfg(unix)]
mod health;
mod host;
#[cfg(unix)]
mod interruptions;
#[cfg(unix)]
mod packages;
#[cfg(unix)]
mod rounds;
mod server;
#[cfg(unix)]
mod service;
