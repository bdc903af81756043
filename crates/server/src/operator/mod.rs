//! The operator API: registering apps, environments and agents, breaking glass, and seeing everything that happens.

pub(crate) mod agents;
pub(crate) mod apps;
pub(crate) mod customers;
pub(crate) mod environments;
pub(crate) mod freezes;
pub(crate) mod records;
pub(crate) mod webhooks;
