//! What the tests of all crates lean on: an issuer of tokens and the people who get them, a PostgreSQL and a proxy in
//! front of it, object stores of other people's making, and files that are generated and reviewed.
//!
//! Each server is a child of a script that lives until its standard input ends, so that none outlives the tests.

pub mod google_server;
pub mod issuer;
pub mod object_servers;
pub mod postgres_cluster;
pub mod postgres_proxy;
pub mod reviewed_file;
