//! Bringing a database up to date: numbered scripts, one set for both databases, each applied once.

use super::{
    db::{Db, StoreError},
    dialect::{self, Dialect},
    postgres::Postgres,
    sqlite::{self, Sqlite},
};
use std::{path::Path, sync::Arc};

const SCRIPTS: &[(i64, &str)] = &[(1, include_str!("../../migrations/0001_base.sql"))];

/// The number of the last script: what a database that is up to date has.
pub(crate) const SCHEMA_VERSION: i64 = SCRIPTS[SCRIPTS.len() - 1].0;

/// Opens the database that `url` names (`sqlite:PATH` or `postgres://…`) and migrates it.
pub(crate) async fn open(url: &str, connections: usize) -> Result<Db, StoreError> {
    if let Some(path) = url.strip_prefix("sqlite:") {
        let file = Sqlite::open(Path::new(path), |connection| sqlite::migrate(connection, SCRIPTS))?;
        return Ok(Db::Sqlite(Arc::new(file)));
    }
    let scripts: Vec<_> = SCRIPTS
        .iter()
        .map(|&(id, script)| (id, dialect::migration(Dialect::Postgres, script).into_owned()))
        .collect();
    let lock = Dialect::Postgres.migration_lock().unwrap_or("SELECT 1");
    Ok(Db::Postgres(Arc::new(
        Postgres::open(url, connections, lock, &scripts).await?,
    )))
}
