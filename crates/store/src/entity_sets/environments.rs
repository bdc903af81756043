//! Environments: where an app is installed, and all that the operator knows.

use super::{guid_value, instant_or_null, instant_value, text_or_null, version_or_null, version_value};
use crate::{
    environments::{AGENT, AGENT_KEY, EnvironmentEntry, Installation, Objection, PlannedInstallation},
    list::{
        EntitySet, Property, Spelling, country, folded, guid, hidden, in_memory, instant, property, text,
        truth, version, word, word_in_memory,
    },
    selections::SelectedEnvironment,
};
use domain::{
    environment::{EnvironmentKind, family_key, name_key},
    waiting::WaitingFor,
};
use odata::{Fold, Scalar, Type, Value};
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
pub static ENVIRONMENTS: LazyLock<EntitySet<Installation>> =
    LazyLock::new(|| installations(INSTALLATIONS, Vec::new()));

/// The same with all that the rules of hotfixes ask about them.
pub static SELECTED_ENVIRONMENTS: LazyLock<EntitySet<SelectedEnvironment>> = LazyLock::new(|| {
    let columns: &'static str = SelectedEnvironment::columns().leak();
    installations((SelectedEnvironment::TABLE, columns), Vec::new())
});

/// The same for a plan, whose rows have the version under a name of its own, and what a hotfix would come to.
pub static PLANNED_ENVIRONMENTS: LazyLock<EntitySet<PlannedInstallation>> = LazyLock::new(|| {
    let installed = version("t.version", "t.version_key");
    let own = vec![
        property("installedVersion", installed, |row: &PlannedInstallation| {
            version_value(row.installation.version)
        }),
        property("eligible", in_memory(Scalar::Boolean), |row| {
            Value::Boolean(row.outlook.as_ref().is_some_and(|outlook| outlook.is_eligible))
        }),
        property("reasons", in_memory(Type::Complex(reason())), |row| {
            Value::List(objections(row).iter().map(objection).collect())
        }),
        property("startsAt", in_memory(Scalar::DateTimeOffset).or_null(), |row| {
            instant_or_null(
                row.outlook
                    .as_ref()
                    .and_then(|outlook| outlook.wait.expected_start),
            )
        }),
        property("waitingFor", word_in_memory::<WaitingFor>().or_null(), |row| {
            let waiting_for = row.outlook.as_ref().and_then(|outlook| outlook.wait.waiting_for);
            waiting_for.map_or(Value::Null, |word| Value::text(word.as_str()))
        }),
    ];
    installations(INSTALLATIONS, own)
});

/// The properties of a plan's rows that its environments do not have: they are found out row by row.
pub const FOUND_OUT: [&str; 4] = ["eligible", "reasons", "startsAt", "waitingFor"];

fn objections(row: &PlannedInstallation) -> &[Objection] {
    row.outlook.as_ref().map_or(&[], |outlook| &outlook.objections)
}

fn reason() -> Vec<odata::Property> {
    ["code", "message"]
        .map(|name| odata::Property::new(name, Scalar::String))
        .into()
}

/// An objection with its members in the order of [`reason`].
fn objection(objection: &Objection) -> Value<'_> {
    Value::Record(vec![
        Value::text(objection.code.as_str()),
        Value::text(objection.message.as_str()),
    ])
}

/// Where installations are found, and what is read of them.
const INSTALLATIONS: (&str, &str) = ("installations t", Installation::COLUMNS);

fn installations<R: AsRef<Installation>>(
    source: (&'static str, &'static str),
    own: Vec<Property<R>>,
) -> EntitySet<R> {
    let family = folded("t.family", "t.family_key", FAMILY, Spelling::Other);
    let name = folded("t.name", "t.name_key", NAME, Spelling::SmallLetters);
    let mut properties = vec![
        property("aadTenantId", guid("t.tenant_id"), |row: &R| {
            guid_value(row.as_ref().tenant_id.0)
        }),
        property("version", version("t.version", "t.version_key"), |row| {
            version_value(row.as_ref().version)
        }),
        property("appId", guid("t.app_id"), |row| guid_value(row.as_ref().app_id.0)),
        property("countryCode", country("t.country_code"), |row| {
            Value::text(row.as_ref().country_code.as_str())
        }),
        property("applicationFamily", family, |row| {
            Value::text(row.as_ref().family.as_str())
        }),
        property("locationName", text(LOCATION).or_null(), |row| {
            Value::or_null(shown(&row.as_ref().location_name))
        }),
        property("name", name, |row| Value::text(row.as_ref().name.as_str())),
        property("type", word::<EnvironmentKind>("t.kind"), |row| {
            Value::text(row.as_ref().kind.as_str())
        }),
    ];
    properties.extend(own);
    EntitySet::new("environment", source, &KEYS, None, properties)
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
