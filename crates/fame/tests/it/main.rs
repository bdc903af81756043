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
#[cfg(target_os = "linux")]
mod book;
mod configuration;
#[cfg(target_os = "linux")]
mod contrib;
mod crash;
mod customers;
mod dev;
#[cfg(target_os = "linux")]
mod documents;
mod downloads;
mod events;
mod faults;
mod gateways;
mod hotfixes;
mod libraries;
mod lists;
#[cfg(unix)]
mod logins;
mod migrate;
mod moving;
mod operator;
mod original;
mod package_diff;
mod packages;
#[cfg(unix)]
mod pipeline;
#[cfg(target_os = "linux")]
mod pipes;
mod printing;
mod publishers;
#[cfg(unix)]
mod recordings;
mod refusals;
mod release;
mod replicas;
mod reports;
#[cfg(unix)]
mod rollouts;
mod service;
mod services;
mod side_data;
mod signatures;
mod signing_in;
mod sources;
mod uploads;
mod views;
#[cfg(unix)]
mod walk;
#[cfg(unix)]
mod webhooks;
