//! Environments: where an app is installed, and all that the operator knows.

use super::{guid_value, instant_or_null, instant_value, text_or_null, version_or_null, version_value};
use crate::{
    environments::{AGENT, AGENT_KEY, EnvironmentEntry, Installation},
    list::{
        EntitySet, Property, Spelling, country, folded, guid, hidden, in_memory, instant, property, text,
        truth, version, word,
    },
};
use domain::environment::{EnvironmentKind, family_key, name_key};
use odata::{Fold, Scalar, Value};
use std::sync::LazyLock;

/// The key in the order of the list: tenant, then name.
const KEYS: [&str; 3] = ["aadTenantId", "name", "applicationFamily"];

/// Where an environment is. Nobody may have said so.
const LOCATION: &str = "NULLIF(t.location_name, '')";

fn shown(location: &str) -> Option<&str> {
    Some(location).filter(|location| !location.is_empty())
}

/// How application families compare.
pub(crate) const FAMILY: Fold = Fold {
    name: "family",
    apply: family_key,
};
/// How environment names compare.
pub(crate) const NAME: Fold = Fold {
    name: "name",
    apply: name_key,
};

/// The environments of a country that have the app installed.
pub static ENVIRONMENTS: LazyLock<EntitySet<Installation>> = LazyLock::new(|| installations(Vec::new()));

/// The same for a plan, whose rows have the version under a name of its own.
pub static PLANNED_ENVIRONMENTS: LazyLock<EntitySet<Installation>> = LazyLock::new(|| {
    let installed = version("t.version", "t.version_key");
    installations(vec![property("installedVersion", installed, |row| {
        version_value(row.version)
    })])
});

fn installations(own: Vec<Property<Installation>>) -> EntitySet<Installation> {
    let family = folded("t.family", "t.family_key", FAMILY, Spelling::Other);
    let name = folded("t.name", "t.name_key", NAME, Spelling::SmallLetters);
    let mut properties = vec![
        property("aadTenantId", guid("t.tenant_id"), |row: &Installation| {
            guid_value(row.tenant_id.0)
        }),
        property("version", version("t.version", "t.version_key"), |row| {
            version_value(row.version)
        }),
        property("appId", guid("t.app_id"), |row| guid_value(row.app_id.0)),
        property("countryCode", country("t.country_code"), |row| {
            Value::text(row.country_code.as_str())
        }),
        property("applicationFamily", family, |row| {
            Value::text(row.family.as_str())
        }),
        property("locationName", text(LOCATION).or_null(), |row| {
            Value::or_null(shown(&row.location_name))
        }),
        property("name", name, |row| Value::text(row.name.as_str())),
        property("type", word::<EnvironmentKind>("t.kind"), |row| {
            Value::text(row.kind.as_str())
        }),
    ];
    properties.extend(own);
    EntitySet::new(
        "environment",
        ("installations t", Installation::COLUMNS),
        &KEYS,
        None,
        properties,
    )
}

/// All environments.
pub static REGISTERED_ENVIRONMENTS: LazyLock<EntitySet<EnvironmentEntry>> = LazyLock::new(|| {
    let family = folded("t.family", "t.family_key", FAMILY, Spelling::Other);
    let name = folded("t.name", "t.name_key", NAME, Spelling::SmallLetters);
    let agent = folded(AGENT, AGENT_KEY, NAME, Spelling::SmallLetters).or_null();
    let properties = vec![
        property("aadTenantId", guid("t.tenant_id"), |row: &EnvironmentEntry| {
            guid_value(row.environment.tenant_id.0)
        }),
        property("applicationFamily", family, |row| {
            Value::text(row.environment.family.as_str())
        }),
        property("name", name, |row| Value::text(row.environment.name.as_str())),
        property("countryCode", country("t.country_code"), |row| {
            Value::text(row.environment.country_code.as_str())
        }),
        property("type", word::<EnvironmentKind>("t.kind"), |row| {
            Value::text(row.environment.kind.as_str())
        }),
        property("locationName", text(LOCATION).or_null(), |row| {
            Value::or_null(shown(&row.environment.location_name))
        }),
        // Kept as text only, which sorts otherwise than the versions do.
        property(
            "applicationVersion",
            in_memory(Scalar::Version).or_null(),
            |row| version_or_null(row.environment.application_version),
        ),
        property("platformVersion", in_memory(Scalar::Version).or_null(), |row| {
            version_or_null(row.environment.platform_version)
        }),
        property("window", hidden(), |_| Value::Null),
        property("inventoryComplete", truth("t.inventory_complete"), |row| {
            Value::Boolean(row.environment.inventory_complete)
        }),
        property("apps", hidden(), |_| Value::Null),
        property("heldSince", instant("t.held_since").or_null(), |row| {
            instant_or_null(row.environment.held_since)
        }),
        property("agent", agent, |row| text_or_null(row.agent.as_ref())),
        property("inventoryOn", instant("t.inventory_on"), |row| {
            instant_value(row.environment.inventory_on)
        }),
        property("missingSince", instant("t.missing_since").or_null(), |row| {
            instant_or_null(row.environment.missing_since)
        }),
        property("disputedSince", instant("t.disputed_since").or_null(), |row| {
            instant_or_null(row.environment.disputed_since)
        }),
    ];
    EntitySet::new(
        "registeredEnvironment",
        ("environments t", EnvironmentEntry::columns().leak()),
        &KEYS,
        None,
        properties,
    )
});
