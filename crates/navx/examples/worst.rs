//! Measures what the worst package at each limit costs: `cargo run --release --features build --example worst`.
//!
//! Prints CPU time, size, and the time for each megabyte that was there to be read.
#![allow(
    dead_code,
    clippy::cast_possible_truncation,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "the writer is that of the tests, which use all of it"
)]

#[path = "../tests/threats/raw.rs"]
mod raw;
#[path = "../tests/worst/mod.rs"]
mod worst;

use std::error::Error;
use std::io::{Cursor, Write};

use navx::Limits;

fn main() -> Result<(), Box<dyn Error>> {
    let mut out = std::io::stdout();
    let largest = ("the largest embedded app", worst::embedded(235));
    for (name, bytes) in worst::packages(1).into_iter().chain([largest]) {
        let before = worst::worked();
        let read = navx::read(Cursor::new(&bytes), &Limits::default());
        let micros = (worst::worked() - before) / 1_000;
        let outcome = read.map_or_else(|error| error.to_string(), |_| "accepted".to_owned());
        let (millis, kilobytes) = (micros / 1_000, bytes.len() / 1_000);
        writeln!(
            out,
            "{millis:6} ms {kilobytes:8} KB  {name}: {}",
            outcome.chars().take(60).collect::<String>()
        )?;
    }
    Ok(())
}
