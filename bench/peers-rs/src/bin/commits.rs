//! The commit rate: one row of thirteen columns in each transaction, one writer, WAL, `synchronous=FULL`.
//!
//! This is what SQLite can do on this disk for anybody who makes every row durable by itself.

use anyhow::Context;
use clap::Parser;
use rusqlite::{Connection, params};
use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

#[derive(Parser)]
struct Arguments {
    /// A file that is made anew
    #[arg(long)]
    database: PathBuf,
    /// How long to go on
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    for suffix in ["", "-wal", "-shm"] {
        let name = format!("{}{suffix}", arguments.database.display());
        if let Err(error) = std::fs::remove_file(&name) {
            let is_missing = error.kind() == std::io::ErrorKind::NotFound;
            is_missing
                .then_some(())
                .with_context(|| format!("{name}: {error}"))?;
        }
    }
    let connection = Connection::open(&arguments.database)?;
    connection.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4000;
         CREATE TABLE rows (id INTEGER PRIMARY KEY, a TEXT, b TEXT, c TEXT, d TEXT, e TEXT, f TEXT, g TEXT, h TEXT,
                            i INTEGER, j INTEGER, k INTEGER, l INTEGER)",
    )?;
    let mut insert =
        connection.prepare("INSERT INTO rows VALUES (?1, ?2, ?2, ?2, ?2, ?2, ?2, ?2, ?2, ?1, ?1, ?1, ?1)")?;
    let text = "aaaabbbb-0000-cccc-1111-dddd2222eeee";
    let limit = Duration::from_secs_f64(arguments.seconds);
    let start = Instant::now();
    let mut commits = 0_i64;
    while start.elapsed() < limit {
        commits += 1;
        insert.execute(params![commits, text])?;
    }
    let seconds = start.elapsed().as_secs_f64();
    let line =
        serde_json::json!({ "commits": commits, "seconds": seconds, "rate": commits as f64 / seconds });
    use std::io::Write;
    writeln!(std::io::stdout(), "{line}")?;
    Ok(())
}
