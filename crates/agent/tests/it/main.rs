//! Drivers as the agent uses them, against targets that behave as real ones were seen to.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on has failed"
)]

#[cfg(unix)]
mod exec;
