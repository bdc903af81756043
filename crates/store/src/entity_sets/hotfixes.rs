//! Operations: the hotfixes of an app, and everything that the operator sees.

use super::{
    environments::{FAMILY, NAME},
    guid_or_null, guid_value, instant_or_null, instant_value, text_or_null, version_value,
};
use crate::{
    hotfixes::Operation,
    list::{
        EntitySet, Property, Spelling, country, folded, guid, hidden_instant, hidden_text, instant, number,
        picked, property, text, truth, version, word,
    },
};
use domain::{
    environment::EnvironmentKind,
    operation::{FailureCause, OperationKind, OperationStatus},
};
use odata::Value;
use std::sync::LazyLock;

const SOURCE: (&str, &str) = ("operations t", Operation::COLUMNS);

/// What an operation has to be filtered and sorted by.
fn properties() -> Vec<Property<Operation>> {
    let source = version("t.source_version", "t.source_version_key").or_null();
    let target = version("t.target_version", "t.target_version_key").or_null();
    let family = folded("t.family", "t.family_key", FAMILY, Spelling::Other);
    let name = folded(
        "t.environment_name",
        "t.environment_name_key",
        NAME,
        Spelling::SmallLetters,
    );
    let cause = word::<FailureCause>("t.failure_cause").or_null();
    let percent = number("t.progress_percent", 0..=100).or_null();
    vec![
        property("id", guid("t.id"), |row: &Operation| guid_value(row.id.0)),
        property("kind", word::<OperationKind>("t.kind"), |row| {
            Value::text(row.kind.as_str())
        }),
        property("status", word::<OperationStatus>("t.status"), |row| {
            Value::text(row.status.as_str())
        }),
        property("appId", guid("t.app_id"), |row| guid_value(row.app_id.0)),
        property("countryCode", country("t.country_code"), |row| {
            Value::text(row.country_code.as_str())
        }),
        property("environmentAadTenantId", guid("t.tenant_id"), |row| {
            guid_value(row.tenant_id.0)
        }),
        property("environmentApplicationFamily", family, |row| {
            Value::text(row.family.as_str())
        }),
        property("environmentName", name, |row| {
            Value::text(row.environment_name.as_str())
        }),
        property(
            "environmentType",
            word::<EnvironmentKind>("t.environment_kind"),
            |row| Value::text(row.environment_kind.as_str()),
        ),
        property("sourceAppVersion", source, |row| {
            row.source_version.map_or(Value::Null, version_value)
        }),
        property("targetAppVersion", target, |row| {
            row.target_version.map_or(Value::Null, version_value)
        }),
        property("createdOn", instant("t.created_on"), |row| {
            instant_value(row.created_on)
        }),
        property("runAfter", instant("t.run_after"), |row| {
            instant_value(row.run_after)
        }),
        property("ignoreUpgradeWindow", truth("t.ignore_window"), |row| {
            Value::Boolean(row.ignore_window)
        }),
        property("startedOn", instant("t.started_on").or_null(), |row| {
            instant_or_null(row.started_on)
        }),
        property("completedOn", instant("t.completed_on").or_null(), |row| {
            instant_or_null(row.completed_on)
        }),
        property("errorMessage", text("t.error_message").or_null(), |row| {
            text_or_null(row.error_message.as_ref())
        }),
        property("failureCause", cause, |row| {
            row.failure_cause
                .map_or(Value::Null, |cause| Value::text(cause.as_str()))
        }),
        property("progressPercent", percent, |row| {
            row.progress_percent.map_or(Value::Null, Value::integer)
        }),
        property("progressStep", text("t.progress_step").or_null(), |row| {
            text_or_null(row.progress_step.as_ref())
        }),
        property("progressText", text("t.progress_text").or_null(), |row| {
            text_or_null(row.progress_text.as_ref())
        }),
        property("progressOn", instant("t.progress_on").or_null(), |row| {
            instant_or_null(row.progress_on)
        }),
        property("agentName", text("t.agent_name").or_null(), |row| {
            text_or_null(row.agent_name.as_ref())
        }),
        property("askedRunAfter", instant("t.asked_run_after").or_null(), |row| {
            instant_or_null(row.asked_run_after)
        }),
        property("postponedOn", instant("t.postponed_on").or_null(), |row| {
            instant_or_null(row.postponed_on)
        }),
        property("postponeReason", text("t.postpone_reason").or_null(), |row| {
            text_or_null(row.postpone_reason.as_ref())
        }),
    ]
}

/// Of a hotfix, in the documented order.
const HOTFIX: &[&str] = &[
    "id",
    "environmentAadTenantId",
    "sourceAppVersion",
    "targetAppVersion",
    "status",
    "createdOn",
    "runAfter",
    "startedOn",
    "completedOn",
    "errorMessage",
    "ignoreUpgradeWindow",
    "appId",
    "countryCode",
    "environmentApplicationFamily",
    "environmentName",
    "environmentType",
    "progressPercent",
    "progressStep",
    "progressText",
    "progressOn",
    "agentName",
    "failureCause",
    "askedRunAfter",
    "postponedOn",
    "postponeReason",
];

/// The hotfixes of an app in a country, the newest first.
pub static HOTFIXES: LazyLock<EntitySet<Operation>> = LazyLock::new(|| {
    let mut properties = picked(properties(), HOTFIX);
    // They are found out where they are selected.
    properties.push(property("expectedStart", hidden_instant(), |_| Value::Null));
    properties.push(property("waitingFor", hidden_text(), |_| Value::Null));
    properties.push(property("rolloutId", guid("t.rollout_id").or_null(), |row| {
        guid_or_null(row.rollout_id)
    }));
    let hotfixes = EntitySet::new(
        "environmentHotfix",
        SOURCE,
        &["id"],
        Some("createdOn"),
        properties,
    );
    hotfixes.only("t.kind = 'Hotfix'")
});

/// All operations, the newest first.
pub static OPERATIONS: LazyLock<EntitySet<Operation>> =
    LazyLock::new(|| EntitySet::new("operation", SOURCE, &["id"], Some("createdOn"), properties()));
