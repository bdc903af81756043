//! The library as its users see it.

#![allow(
    clippy::cast_sign_loss,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test that cannot go on has failed"
)]

mod apply;
#[cfg(unix)]
mod cost;
mod evaluation;
mod grammar;
mod options;
mod properties;
mod shop;
mod stress;
