//! The commands: each module holds what can be typed and what then happens.

pub mod apps;
pub mod completions;
pub mod config;
pub mod countries;
pub mod environments;
pub mod export;
pub mod hotfixes;
pub mod import;
pub mod migrate;
pub mod openapi;
pub mod operator;
pub mod package;
pub mod principals;
pub mod serve;
mod transfer;
pub mod versions;
