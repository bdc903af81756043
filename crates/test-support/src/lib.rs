//! What the tests of all crates lean on: a PostgreSQL, and object stores of other people's making.
//!
//! Each server is a child of a script that lives until its standard input ends, so that none outlives the tests.

pub mod google_server;
pub mod object_servers;
pub mod postgres_cluster;
