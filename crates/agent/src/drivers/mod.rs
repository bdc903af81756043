//! How each kind of target is spoken to.

pub mod exec;
