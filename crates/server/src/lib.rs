//! The service: what vendors and operators reach over HTTP, and what it remembers and does for them.
//!
//! Arrows run one way: APIs (`http`, `operator`, `jobs`) translate and call `actions`; actions decide and call
//! `store` and `blobs`; those know the database and the package bytes. See `docs/ARCHITECTURE.md`.

#![cfg_attr(
    test,
    allow(
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        clippy::string_slice,
        reason = "the numbers and texts of a test are small and plain"
    )
)]

mod actions;
mod admin_center;
mod blobs;
pub mod clock;
pub mod config;
mod destinations;
mod durable;
mod error;
mod free_space;
mod http;
mod jobs;
mod listen;
mod migrate;
mod operator;
mod pace;
mod private;
mod reach;
mod receive;
mod secrets;
mod start;
pub mod telemetry;
pub mod transfer;
mod unread;
mod upload;
mod wire_rows;

pub use actions::webhooks::Resealed;
pub use http::router::openapi_json;
pub use listen::serve;
pub use migrate::{migrate, outstanding};
pub use reach::try_connections;
pub use start::{Server, StartError, rotate_secrets, run};
