//! The service: what vendors and operators reach over HTTP, and what it remembers and does for them.
//!
//! Arrows run one way: APIs (`http`, `operator`, `jobs`) translate and call `actions`; actions decide and call
//! `store` and `blobs`; those know the database and the package bytes. See `docs/ARCHITECTURE.md`.

mod actions;
pub mod auth;
mod blobs;
pub mod clock;
pub mod config;
mod error;
#[cfg(test)]
#[path = "../tests/it/google_server.rs"]
mod google_server;
mod http;
mod jobs;
mod listen;
mod migrate;
#[cfg(test)]
#[path = "../tests/it/object_servers.rs"]
mod object_servers;
mod operator;
#[cfg(test)]
#[path = "../tests/it/postgres_cluster.rs"]
mod postgres_cluster;
mod receive;
pub mod simulate;
mod start;
mod store;
pub mod telemetry;
pub mod transfer;
mod upload;
mod work;

pub use http::router::openapi_json;
pub use listen::serve;
pub use migrate::{migrate, outstanding};
pub use start::{Server, StartError, run};
