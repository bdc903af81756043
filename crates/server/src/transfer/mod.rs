//! A whole service on its way from one database and set of storage locations to another.
//!
//! An export is a folder of plain files that belong to no database: rows as lines of JSON, packages as they are, and a
//! manifest that is written last and knows the SHA-256 of every part. So an export without a manifest is unfinished,
//! and one with a manifest can be held against it, here or years later. `docs/OPERATING.md` describes the files.
//!
//! Both ways can be cut at any instant and go on from there. An export keeps the packages that it has and writes the
//! rows anew; an import knows from the target database how far it has come. A service does not start on a database
//! that an import has not finished.

mod check;
mod export;
mod folder;
mod format;
mod import;
mod packages;
mod parts;
mod row;

pub use check::check;
pub use export::export;
pub use import::{LocationMap, import};

use serde::Serialize;
use std::{io, ops::ControlFlow, path::PathBuf, sync::Arc};
use store::{OpenError, StoreError};

/// Why nothing was moved, or not all.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// It must not be done, and this is why.
    #[error("{0}")]
    Refused(String),
    /// There is no export.
    #[error("{0}")]
    NotFound(String),
    /// The export is not what its manifest says, or not what an export looks like.
    #[error("{file}: {problem}")]
    Damaged {
        /// Which of its files, as the manifest names it.
        file: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A file, folder or storage location could not be used.
    #[error("{what}")]
    Files {
        /// What was tried.
        what: String,
        /// Why it did not work.
        source: io::Error,
    },
    /// The database could not be reached, or is busy or full.
    #[error("database")]
    Unavailable(#[source] StoreError),
    /// The database did not take what it was given.
    #[error("database")]
    Database(#[source] StoreError),
    /// The database did not take rows of this table.
    #[error("database: rows of {table}")]
    Rows {
        /// The table.
        table: &'static str,
        /// Why it did not take them.
        source: StoreError,
    },
    /// Another process works on the data folder.
    #[error("another process is using {}; stop the service before importing", .0.display())]
    InUse(PathBuf),
    /// Whoever watched the steps said stop.
    #[error("stopped")]
    Stopped,
    /// A fault of ours.
    #[error(transparent)]
    Fault(Box<dyn std::error::Error + Send + Sync>),
}

impl TransferError {
    fn files<E: Into<io::Error>>(what: impl Into<String>) -> impl FnOnce(E) -> Self {
        let what = what.into();
        move |error| Self::Files {
            what,
            source: error.into(),
        }
    }

    fn damaged(file: impl Into<String>, problem: impl ToString) -> Self {
        Self::Damaged {
            file: file.into(),
            problem: problem.to_string(),
        }
    }
}

impl From<StoreError> for TransferError {
    fn from(error: StoreError) -> Self {
        if error.is_passing() {
            Self::Unavailable(error)
        } else {
            Self::Database(error)
        }
    }
}

impl From<OpenError> for TransferError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Store(error) => error.into(),
            OpenError::Outdated(_) => Self::Refused(format!("The database cannot be filled: {error}.")),
        }
    }
}

impl From<crate::error::Error> for TransferError {
    fn from(error: crate::error::Error) -> Self {
        match error {
            crate::error::Error::Store(error) => error.into(),
            other => Self::Fault(other.into()),
        }
    }
}

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// An export writes rows.
    WritingRows,
    /// An export fetches packages.
    FetchingPackages,
    /// Rows are held against the manifest.
    CheckingRows,
    /// Packages are held against their names.
    CheckingPackages,
    /// An import writes rows.
    LoadingRows,
    /// An import stores packages.
    StoringPackages,
}

/// How far a stage has come: a part of rows or a package is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// What is being done.
    pub stage: Stage,
    /// Rows, or bytes of packages, so far.
    pub done: u64,
    /// How many there will be, where that is known.
    pub total: Option<u64>,
}

/// Hears of every step, and may stop the whole between two of them; what was done stays done.
pub type Watcher = Arc<dyn Fn(Step) -> ControlFlow<()> + Send + Sync>;

fn report(watcher: &Watcher, stage: Stage, done: u64, total: Option<u64>) -> Result<(), TransferError> {
    match watcher(Step { stage, done, total }) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(TransferError::Stopped),
    }
}

/// What an export holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Contents {
    /// Rows of each table.
    pub tables: Vec<TableContents>,
    /// Packages, counted once for each storage location that has them.
    pub packages: u64,
    /// Bytes of those packages.
    pub package_bytes: u64,
    /// Operations that were running when the export was made. In an import their agents are gone, so they end as
    /// `OutcomeUnknown` when their leases run out.
    pub running_operations: u64,
}

/// How many rows of a table there are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TableContents {
    /// The table.
    pub name: String,
    /// Its rows.
    pub rows: u64,
}

/// What came of an import.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Imported {
    /// What the database and the storage locations hold now.
    pub contents: Contents,
    /// Whether this export had been imported into this database before, so that nothing was left to do.
    pub was_there: bool,
}

/// Runs what blocks on a thread for such things.
async fn blocking<T: Send + 'static>(
    action: impl FnOnce() -> Result<T, TransferError> + Send + 'static,
) -> Result<T, TransferError> {
    let done = tokio::task::spawn_blocking(action).await;
    done.map_err(|error| TransferError::Fault(error.into()))?
}
