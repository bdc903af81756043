//! The agent: what runs beside Business Central environments, reports what is installed in them, and carries out what
//! the service says is due.
//!
//! It is told of work and never reached: it asks the service (`client::agent`), and decides by files of its own what it may
//! do. What all targets have in common is written once (`work`): what is installed is read before anything is begun and
//! after it has ended, and only that decides. How a target is spoken to is a [`driver::Driver`]'s.

pub mod cause;
pub mod check;
pub mod clock;
pub mod config;
pub mod driver;
pub mod drivers;
pub mod enrol;
pub mod failure;
pub mod folder;
mod health;
pub mod http;
pub mod journal;
pub mod owner_only;
mod package;
pub mod policy;
pub mod redact;
pub mod runner;
pub mod secret;
mod section;
pub mod service;
pub mod simulated;
pub mod span;
pub mod status;
pub mod work;
mod workplace;
