//! What signatures prove, and what is told of them.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

mod der;
mod examination;
mod proof;
mod signers;
mod trust;

use std::time::{Duration, SystemTime};

/// The middle of a year.
fn year(year: u64) -> SystemTime {
    const YEAR: u64 = 31_556_952;
    SystemTime::UNIX_EPOCH + Duration::from_secs((year - 1970) * YEAR + YEAR / 2)
}
