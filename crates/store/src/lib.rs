//! What the service remembers, and the only place that speaks SQL.
//!
//! A file per resource; the same words as everywhere else. Reads that a principal asks for carry the principal in
//! the same statement, so that a role taken away a moment ago is gone from the very next answer.

#![cfg_attr(
    test,
    allow(
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        clippy::string_slice,
        reason = "the numbers and texts of a test are small and plain"
    )
)]

pub mod agents;
pub mod apps;
pub mod audit;
pub mod blobs;
mod connections;
pub mod countries;
pub mod customers;
mod db;
mod dialect;
pub mod driving;
pub mod entity_sets;
pub mod environments;
mod error;
pub mod events;
pub mod execution;
pub mod filter;
pub mod freezes;
pub mod hotfixes;
pub mod idempotency;
pub mod inventories;
pub mod list;
mod migrations;
mod postgres;
mod postgres_url;
pub mod principals;
pub mod publishers;
pub mod retention;
pub mod rollouts;
mod row;
pub mod selections;
pub mod settings;
mod shares;
mod signals;
mod sqlite;
pub mod table;
pub mod tables;
pub mod tags;
mod tls;
pub mod transfer;
mod value;
pub mod versions;
pub mod wakeup;
pub mod webhooks;
pub mod what_if;

pub use db::{Batches, Db, Query, Reader, Tx};
pub use dialect::Shape;
pub use error::{Cause, ChangeError, StoreError};
pub use migrations::{
    CARRIED_SCHEMA, OpenError, SCHEMA_VERSION, migrate, open, outstanding, wait_while_away,
};
pub use row::{ColumnValue, Field, Record};
pub use value::{FromRow, Row, Value};
