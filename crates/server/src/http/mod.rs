//! The vendor API: the App Management API over HTTP. It translates, and decides nothing.

mod accept;
mod address;
pub(crate) mod agent;
pub(crate) mod answer;
pub(crate) mod apps;
pub(crate) mod concurrency;
pub(crate) mod context;
pub(crate) mod countries;
mod download;
pub(crate) mod environments;
pub(crate) mod exchange;
pub(crate) mod extract;
mod headers;
mod health;
pub(crate) mod hotfixes;
pub(crate) mod lists;
mod metadata;
mod openapi;
pub(crate) mod options;
pub(crate) mod places;
pub(crate) mod principals;
pub(crate) mod problem;
pub(crate) mod repeat;
pub(crate) mod request_info;
pub(crate) mod router;
pub(crate) mod versions;
pub(crate) mod webhooks;
