//! The engine's claim loop: `UPDATE … RETURNING` over a partial index, a batch of rows in each commit, one writer.
//!
//! This is what a work queue in SQLite costs when nothing is asked about the work but that it is due.

use clap::Parser;
use rusqlite::{Connection, params};
use std::{io::Write, path::PathBuf, time::Instant};

#[derive(Parser)]
struct Arguments {
    /// A file that does not exist yet
    #[arg(long)]
    database: PathBuf,
    /// Rows that wait
    #[arg(long)]
    waiting: i64,
    /// Rows that are claimed at once
    #[arg(long, default_value_t = 100)]
    batch: i64,
    /// Batches to claim
    #[arg(long, default_value_t = 10)]
    rounds: u32,
}

const SEED: &str = "
    WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?1)
    INSERT INTO work
    SELECT randomblob(16), 'Hotfix', randomblob(16), 'US', randomblob(16), randomblob(16),
           'Environment ' || n, '16.0.0.5', '16.0.1.2', 'Scheduled', n, NULL, NULL
    FROM numbers";

const CLAIM: &str = "
    UPDATE work SET status = 'Running', lease_id = ?1, lease_until = ?2
    WHERE id IN (SELECT id FROM work WHERE status = 'Scheduled' AND due_on <= ?3 ORDER BY due_on, id LIMIT ?4)
    RETURNING id, app_id, country_code, environment_id, tenant_id, environment_name, source_version, target_version";

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let connection = Connection::open(&arguments.database)?;
    connection.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -16384;
         PRAGMA wal_autocheckpoint = 4000;
         CREATE TABLE work (id BLOB PRIMARY KEY, kind TEXT, app_id BLOB, country_code TEXT, environment_id BLOB,
             tenant_id BLOB, environment_name TEXT, source_version TEXT, target_version TEXT, status TEXT NOT NULL,
             due_on INTEGER NOT NULL, lease_id BLOB, lease_until INTEGER);
         CREATE INDEX work_due ON work (due_on, id) WHERE status = 'Scheduled';",
    )?;
    connection.execute(SEED, [arguments.waiting])?;
    connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")?;
    let mut claim = connection.prepare(CLAIM)?;
    for round in 0..arguments.rounds {
        let lease = u128::from(round).to_be_bytes();
        let start = Instant::now();
        let mut rows = claim.query(params![lease, round, i64::MAX, arguments.batch])?;
        let mut claimed = Vec::new();
        while let Some(row) = rows.next()? {
            let id: [u8; 16] = row.get(0)?;
            let name: String = row.get(5)?;
            claimed.push((id, name));
        }
        drop(rows);
        let seconds = start.elapsed().as_secs_f64();
        let line = serde_json::json!({
            "waiting": arguments.waiting, "round": round, "claimed": claimed.len(), "seconds": seconds,
        });
        writeln!(std::io::stdout(), "{line}")?;
    }
    Ok(())
}
