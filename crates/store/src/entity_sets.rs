//! The lists of the service, one file for each of the API's resources: what their properties are called, in the order in
//! which `wire` shows them, and where they are kept.

mod agents;
mod apps;
mod audit;
mod countries;
mod customers;
mod environments;
mod freezes;
mod hotfixes;
mod principals;
mod publishers;
mod rollouts;
mod versions;
mod webhooks;

use domain::{instant::Instant, version::AppVersion};
use odata::{Guid, Value};
use uuid::Uuid;

pub use agents::AGENTS;
pub use apps::{APPS, REGISTERED_APPS};
#[cfg(test)]
pub(crate) use audit::ACTOR_KINDS;
pub use audit::AUDIT;
pub use countries::COUNTRIES;
pub use customers::CUSTOMERS;
pub use environments::{
    ENVIRONMENTS, FOUND_OUT, PLANNED_ENVIRONMENTS, REGISTERED_ENVIRONMENTS, SELECTED_ENVIRONMENTS,
};
pub use freezes::FREEZES;
pub use hotfixes::{HOTFIXES, OPERATIONS};
pub use principals::PRINCIPALS;
pub use publishers::TRUSTED_PUBLISHERS;
pub use rollouts::{ROLLOUT_ENVIRONMENTS, ROLLOUTS};
pub use versions::VERSIONS;
pub use webhooks::{DELIVERIES, WEBHOOKS};

fn guid_value(id: impl Into<Uuid>) -> Value<'static> {
    Value::Guid(Guid(id.into().as_u128()))
}

fn instant_value(at: Instant) -> Value<'static> {
    Value::Instant(odata::Instant::from_ticks(at.0))
}

fn version_value(version: AppVersion) -> Value<'static> {
    Value::Version(odata::Version(version.0))
}

fn text_or_null(text: Option<&String>) -> Value<'_> {
    text.map_or(Value::Null, |text| Value::text(text.as_str()))
}

fn instant_or_null(at: Option<Instant>) -> Value<'static> {
    at.map_or(Value::Null, instant_value)
}

fn version_or_null(version: Option<AppVersion>) -> Value<'static> {
    version.map_or(Value::Null, version_value)
}

fn guid_or_null(id: Option<impl Into<Uuid>>) -> Value<'static> {
    id.map_or(Value::Null, guid_value)
}
