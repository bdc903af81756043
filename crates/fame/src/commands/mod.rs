//! The commands: each module holds what can be typed and what then happens.

pub(crate) mod agent;
pub(crate) mod apps;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod countries;
pub(crate) mod environments;
pub(crate) mod export;
pub(crate) mod fleet;
pub(crate) mod hotfixes;
pub(crate) mod import;
pub(crate) mod man;
pub(crate) mod matrix;
pub(crate) mod migrate;
pub(crate) mod openapi;
pub(crate) mod operator;
pub(crate) mod package;
pub(crate) mod principals;
pub(crate) mod record;
pub(crate) mod release;
pub(crate) mod replay;
pub(crate) mod secrets;
pub(crate) mod serve;
mod transfer;
pub(crate) mod versions;
pub(crate) mod webhooks;
