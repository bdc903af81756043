//! What the service remembers, and the only place that speaks SQL.
//!
//! A file per resource; the same words as everywhere else. Reads that a principal asks for carry the principal in
//! the same statement, so that a role taken away a moment ago is gone from the very next answer.

pub(crate) mod apps;
pub(crate) mod audit;
pub(crate) mod blobs;
mod connections;
pub(crate) mod countries;
mod db;
pub(crate) mod descriptions;
mod dialect;
pub(crate) mod environments;
pub(crate) mod execution;
pub(crate) mod filter;
pub(crate) mod hotfixes;
pub(crate) mod idempotency;
pub(crate) mod list;
mod migrations;
mod postgres;
pub(crate) mod principals;
pub(crate) mod retention;
mod signals;
mod sqlite;
pub(crate) mod tables;
mod tls;
pub(crate) mod transfer;
mod value;
pub(crate) mod versions;

pub(crate) use db::{Db, Rows, StoreError, Tx};
pub(crate) use dialect::Shape;
pub(crate) use migrations::{OpenError, SCHEMA_VERSION, migrate, open, outstanding};
pub(crate) use value::{FromRow, Row, Value};
