//! Prints as JSON what schema synchronisation would make of one package after another, and how long reading each took:
//! `cargo run --features schema,serde --example compare -- OLD NEW`.

use std::error::Error;
use std::fs::File;
use std::io::Write;
use std::time::Instant;

use navx::Limits;
use navx::schema::{Mode, Schema, compare};

fn main() -> Result<(), Box<dyn Error>> {
    let mut schemas = Vec::new();
    for path in std::env::args_os().skip(1) {
        let begin = Instant::now();
        schemas.push(Schema::read(File::open(&path)?, &Limits::default())?);
        writeln!(std::io::stderr(), "read in {:?}", begin.elapsed())?;
    }
    let [old, new] = schemas.as_slice() else {
        return Err("usage: compare OLD NEW".into());
    };
    let forecast = compare(old, new, Mode::Add)?;
    writeln!(std::io::stdout(), "{}", serde_json::to_string_pretty(&forecast)?)?;
    Ok(())
}
