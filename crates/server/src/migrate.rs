//! Bringing the database up to date without serving: what `fame migrate` does.

use crate::{
    config::Settings,
    start::{StartError, lock_for_one},
};

/// The numbers of the migrations that the database lacks, in order. Changes nothing.
///
/// # Errors
/// The database cannot be reached, or belongs to a newer version or another build.
pub async fn outstanding(settings: &Settings) -> Result<Vec<i64>, StartError> {
    let outstanding = store::outstanding(&settings.database).await;
    outstanding.map_err(|error| StartError::Database(error.into()))
}

/// Applies the migrations that the database lacks; their numbers, in order.
///
/// # Errors
/// As [`outstanding`]; a SQLite database must not be in use. What fails is undone.
pub async fn migrate(settings: &Settings) -> Result<Vec<i64>, StartError> {
    let _lock = lock_for_one(settings)?;
    let migrated = store::migrate(&settings.database).await;
    migrated.map_err(|error| StartError::Database(error.into()))
}
