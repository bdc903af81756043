//! The library as its users see it.

// Helpers of tests fail as tests do; clippy only exempts the test functions themselves.
#![allow(clippy::expect_used)]

mod evaluation;
mod grammar;
mod options;
mod properties;
mod shop;
mod stress;
