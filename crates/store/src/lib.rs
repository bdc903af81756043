//! What the service remembers, and the only place that speaks SQL.
//!
//! A file per resource; the same words as everywhere else. Reads that a principal asks for carry the principal in
//! the same statement, so that a role taken away a moment ago is gone from the very next answer.

#![allow(
    missing_docs,
    reason = "the fields of rows are columns, which `tables` describes"
)]

pub mod apps;
pub mod audit;
pub mod blobs;
mod connections;
pub mod countries;
mod db;
pub mod descriptions;
mod dialect;
pub mod environments;
pub mod execution;
pub mod filter;
pub mod hotfixes;
pub mod idempotency;
pub mod list;
mod migrations;
mod postgres;
mod postgres_url;
pub mod principals;
pub mod retention;
pub mod settings;
mod signals;
mod sqlite;
pub mod tables;
mod tls;
pub mod transfer;
mod value;
pub mod versions;
pub mod wakeup;

pub use db::{Cause, ChangeError, Db, Query, Rows, StoreError, Tx};
pub use dialect::Shape;
pub use migrations::{OpenError, SCHEMA_VERSION, migrate, open, outstanding};
pub use value::{FromRow, Row, Value};
