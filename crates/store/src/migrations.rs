//! Bringing a database up to date: numbered scripts, one set for both databases, each applied once.
//!
//! What was applied stands in the database with the digest of its text. A program meets three databases that it must
//! not work on: one that lacks scripts, unless it is to apply them; one that has scripts that it does not know, because
//! a newer program was there; and one whose scripts were not its own.

use super::{
    db::Db,
    dialect::{self, Dialect},
    error::StoreError,
    postgres::Postgres,
    sqlite::{self, Sqlite},
};
use crate::settings::{DatabaseSettings, Migrate};
use sha2::{Digest, Sha256};
use std::{sync::Arc, time::Duration};
use tokio::time::sleep;

/// What lies in the folder of migrations, by number.
const SCRIPTS: &[(i64, &str)] = include!(concat!(env!("OUT_DIR"), "/scripts.rs"));

/// How long a start waits before it looks again for a database that is away.
const BETWEEN_TRIES: Duration = Duration::from_secs(1);

/// The number of the last script: what a database that is up to date has.
pub const SCHEMA_VERSION: i64 = match SCRIPTS.last() {
    Some((number, _)) => *number,
    None => 0,
};

/// The number of the last script that changed a table which exports carry: what an export calls its schema.
pub const CARRIED_SCHEMA: i64 = include!(concat!(env!("OUT_DIR"), "/carried.rs"));

/// Number and digest of each script that was applied to a database.
pub(crate) type Applied = Vec<(i64, Vec<u8>)>;

/// The scripts that a database needs, in order.
pub(crate) type Plan = Vec<Script>;

/// A script as a database reads it.
pub(crate) struct Script {
    pub(crate) id: i64,
    pub(crate) sql: String,
    pub(crate) sha256: [u8; 32],
}

/// Why a database cannot be worked on.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It did not do what it was asked.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// These migrations were not run, and nobody said that they may be.
    #[error("it lacks {}; run 'fame migrate'", entity_set(.0))]
    Outdated(Vec<i64>),
}

/// Opens the database that the settings name, and brings it up to date or makes sure that it is.
pub async fn open(settings: &DatabaseSettings) -> Result<Db, OpenError> {
    if settings.migrate == Migrate::AtStart {
        migrate(settings).await?;
    } else {
        let lacking = outstanding(settings).await?;
        if !lacking.is_empty() {
            return Err(OpenError::Outdated(lacking));
        }
    }
    Ok(connect(settings)?)
}

/// Waits as long as the database is away, as the log says at the beginning and at the end. What stands against using it for
/// good is left to whoever opens it.
pub async fn wait_while_away(settings: &DatabaseSettings) {
    if settings.url.sqlite_path().is_some() {
        return;
    }
    let Ok(postgres) = Postgres::new(settings) else {
        return;
    };
    while postgres.applied().await.is_err_and(|error| error.is_away()) {
        sleep(BETWEEN_TRIES).await;
    }
}

fn connect(settings: &DatabaseSettings) -> Result<Db, StoreError> {
    match settings.url.sqlite_path() {
        Some(path) => Ok(Db::Sqlite(Arc::new(Sqlite::open(&path, settings.connections)?))),
        None => Ok(Db::Postgres(Arc::new(Postgres::new(settings)?))),
    }
}

/// The scripts that the database lacks. Changes nothing, and needs no right to change anything.
pub async fn outstanding(settings: &DatabaseSettings) -> Result<Vec<i64>, StoreError> {
    let (dialect, applied) = match settings.url.sqlite_path() {
        Some(path) => (Dialect::Sqlite, sqlite::applied_to(&path)?),
        None => (Dialect::Postgres, Postgres::new(settings)?.applied().await?),
    };
    let plan = plan(SCRIPTS, dialect, &applied)?;
    Ok(plan.iter().map(|script| script.id).collect())
}

/// Brings the database up to date; which scripts were applied.
pub async fn migrate(settings: &DatabaseSettings) -> Result<Vec<i64>, StoreError> {
    apply(settings, SCRIPTS).await
}

async fn apply(
    settings: &DatabaseSettings,
    scripts: &'static [(i64, &'static str)],
) -> Result<Vec<i64>, StoreError> {
    if let Some(path) = settings.url.sqlite_path() {
        return sqlite::migrate(&path, |applied| plan(scripts, Dialect::Sqlite, applied));
    }
    let postgres = Postgres::new(settings)?;
    // Asked first without any lock: a server that may not change tables can start on a database that is up to date.
    if plan(scripts, Dialect::Postgres, &postgres.applied().await?)?.is_empty() {
        return Ok(Vec::new());
    }
    let lock = Dialect::Postgres.migration_lock().unwrap_or("SELECT 1");
    postgres
        .migrate(lock, |applied| plan(scripts, Dialect::Postgres, applied))
        .await
}

/// What a database to which `applied` was applied still needs.
fn plan(scripts: &[(i64, &str)], dialect: Dialect, applied: &Applied) -> Result<Plan, StoreError> {
    let newest = scripts.last().map_or(0, |(id, _)| *id);
    if let Some((unknown, _)) = applied.iter().find(|(id, _)| *id > newest) {
        return Err(StoreError::broken(format!(
            "migration {unknown} was applied to it, and this program knows only {newest}: it was brought up to date \
             by a newer version of fame; run that one"
        )));
    }
    let mut plan = Plan::new();
    for (id, text) in scripts {
        let sha256 = digest(text);
        match applied.iter().find(|(applied, _)| applied == id) {
            None => plan.push(Script {
                id: *id,
                sql: dialect::migration(dialect, text).into_owned(),
                sha256,
            }),
            Some((_, before)) if *before == sha256 => {}
            Some(_) => {
                return Err(StoreError::broken(format!(
                    "migration {id} was applied to it with other content than this program has: it belongs to \
                     another build of fame"
                )));
            }
        }
    }
    Ok(plan)
}

/// The digest of a script, however its lines end.
fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text.replace('\r', "")).into()
}

fn entity_set(ids: &[i64]) -> String {
    let ids: Vec<_> = ids.iter().map(ToString::to_string).collect();
    let noun = if ids.len() == 1 { "migration" } else { "migrations" };
    format!("{noun} {}", ids.join(", "))
}

#[cfg(test)]
mod tests;
