//! The client against a service on this machine that answers as each test tells it to and remembers what it was
//! asked.

#![allow(
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

mod answers;
mod gateways;
mod lists;
mod operations;
mod packages;
mod requests;
mod service;
