//! How each kind of target is spoken to.
