//! No package costs much more than its bytes: the worst at each limit is read within a bound.
//!
//! `examples/worst.rs` measures the same packages with an optimised reader.
#![cfg(target_os = "linux")]
#![allow(
    dead_code,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "the writer is that of the threats, which use all of it; a test that cannot go on has failed"
)]

#[path = "threats/raw.rs"]
mod raw;
mod worst;

use std::io::Cursor;

use navx::Limits;

/// How much slower the reader is without optimisation, generously.
const UNOPTIMISED: u64 = 10;

#[test]
fn the_worst_package_at_each_limit_is_read_in_time() {
    let mut total = 0;
    for (name, bytes) in worst::packages(10) {
        let before = worst::worked();
        let _ = navx::read(Cursor::new(&bytes), &Limits::default());
        let millis = (worst::worked() - before) / 1_000_000;
        let megabytes = bytes.len() as u64 / 1_000_000;
        let allowed = (40 + 200 * megabytes).min(1_000) * UNOPTIMISED;
        assert!(millis <= allowed, "{name}: {millis} of {allowed} ms");
        total += millis;
    }
    assert!(total > 0, "nothing was measured");
}
