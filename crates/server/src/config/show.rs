//! What is in force and why: the answer to `fame config show`.

use super::{
    database,
    layers::{Origin, Values},
    storage,
};

/// The key whose value holds the keys to object stores.
const LOCATIONS: &str = "storage.locations";

/// A key, what it is set to and who set it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    /// As in `server.listen`.
    pub key: String,
    /// As it would stand in a configuration file; passwords and keys are `***`.
    pub value: String,
    /// Who set it.
    pub origin: Origin,
}

/// Every key, in alphabetical order.
pub(super) fn explain(values: &Values) -> Vec<Explained> {
    let mut explained = Vec::with_capacity(values.len());
    for (key, given) in values {
        let value = match given.value.as_str() {
            Some(url) if key == database::URL => {
                toml::Value::from(store::settings::redacted(url)).to_string()
            }
            _ if key == LOCATIONS => storage::redacted(&given.value).to_string(),
            _ => given.value.to_string(),
        };
        explained.push(Explained {
            key: key.clone(),
            value,
            origin: given.origin.clone(),
        });
    }
    explained
}
