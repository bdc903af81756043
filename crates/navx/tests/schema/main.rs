//! What schema synchronisation would make of one made package after another.
#![allow(
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

mod hostile;
mod made;
mod manifests;
mod objects;
mod properties;
mod tables;
