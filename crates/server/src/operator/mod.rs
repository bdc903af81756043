//! The operator API: registering apps and environments, breaking glass, and seeing everything that happens.

pub(crate) mod apps;
pub(crate) mod environments;
pub(crate) mod records;
