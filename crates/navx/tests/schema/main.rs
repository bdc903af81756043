//! What schema synchronisation would make of one made package after another.

mod hostile;
mod made;
mod manifests;
mod objects;
mod properties;
mod tables;
