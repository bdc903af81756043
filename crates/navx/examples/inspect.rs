//! Prints the facts of a package as JSON: `cargo run --features serde --example inspect -- FILE`.

use std::error::Error;
use std::fs::File;
use std::io::Write;

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args_os().nth(1).ok_or("usage: inspect FILE")?;
    let package = navx::read(File::open(path)?, &navx::Limits::default())?;
    writeln!(std::io::stdout(), "{}", serde_json::to_string_pretty(&package)?)?;
    Ok(())
}
