//! Prints, as JSON, what schema synchronisation would make of one package after another: `compare OLD NEW`.

use std::fs::File;
use std::time::Instant;

use navx::Limits;
use navx::schema::{Mode, Schema, compare};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut schemas = Vec::new();
    for path in std::env::args().skip(1) {
        let begin = Instant::now();
        let schema = Schema::read(File::open(&path)?, &Limits::default())?;
        eprintln!("{path}: read in {:?}", begin.elapsed());
        schemas.push(schema);
    }
    let [old, new] = schemas.as_slice() else {
        return Err("compare OLD NEW".into());
    };
    let forecast = compare(old, new, Mode::Add)?;
    println!("{}", serde_json::to_string_pretty(&forecast)?);
    Ok(())
}
