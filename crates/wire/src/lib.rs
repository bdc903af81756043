//! The shapes that the service promises: every name, every order, every spelling that a client may rely on.
//!
//! They live in a room of their own because a promise must not change by accident. The service writes these
//! shapes and `client` reads them; the documented requests and answers in `samples/` hold both to it.
//!
//! Output is strict and input is not. What is written follows the documentation to the letter, in one of two
//! formats (see [`ResponseFormat`]). What is read is read as real clients send it (see [`lenient`]).

pub mod admin_center;
pub mod agent;
pub mod apps;
pub mod countries;
pub mod csdl;
pub mod entity;
pub mod environments;
pub mod error;
mod format;
pub mod hotfixes;
pub mod lenient;
pub mod list;
pub mod operator;
pub mod principals;
pub mod publishers;
pub mod rollouts;
pub mod service;
pub mod value;
pub mod versions;
pub mod webhooks;
mod words;

pub use entity::{Entity, Projection};
pub use error::ErrorBody;
pub use format::ResponseFormat;
pub use list::{List, ListWriter};
