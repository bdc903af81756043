//! The command line, run as its users run it: the real binary, against a service on this machine that answers as
//! each test tells it to and remembers everything it was asked.

#![allow(
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

mod agent;
#[cfg(target_os = "linux")]
mod agent_kills;
mod agents;
mod configuration;
mod crash;
mod customers;
mod dev;
#[cfg(target_os = "linux")]
mod documents;
mod downloads;
mod faults;
mod gateways;
mod hotfixes;
mod libraries;
mod lists;
mod migrate;
mod moving;
mod operator;
mod packages;
#[cfg(target_os = "linux")]
mod pipes;
mod printing;
mod publishers;
mod refusals;
mod replicas;
mod service;
mod services;
mod signing_in;
mod uploads;
#[cfg(unix)]
mod walk;
#[cfg(unix)]
mod webhooks;
