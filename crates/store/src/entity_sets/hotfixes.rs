//! Operations: the hotfixes of an app, and everything that the operator sees.

use super::{
    environments::{FAMILY, NAME},
    guid_or_null, guid_value, instant_or_null, instant_value, text_or_null, version_value,
};
use crate::{
    environments::CUSTOMER_NAME,
    hotfixes::{HotfixEntry, Operation},
    list::{
        EntitySet, Property, Spelling, country, folded, guid, hidden_instant, hidden_text, instant, number,
        picked, property, text, truth, version, word,
    },
};
use domain::{
    environment::EnvironmentKind,
    operation::{FailureCause, OperationKind, OperationStatus},
    principal::CallerKind,
};
use odata::Value;
use std::sync::LazyLock;

/// Why an operation was skipped or failed, as [`Operation::reason_code`] says.
const REASON_CODE: &str = "COALESCE(t.failure_cause, t.reason)";

/// What an operation has to be filtered and sorted by.
fn properties<R: AsRef<Operation>>() -> Vec<Property<R>> {
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
        property("id", guid("t.id"), |row: &R| guid_value(row.as_ref().id.0)),
        property("kind", word::<OperationKind>("t.kind"), |row| {
            Value::text(row.as_ref().kind.as_str())
        }),
        property("status", word::<OperationStatus>("t.status"), |row| {
            Value::text(row.as_ref().status.as_str())
        }),
        property("appId", guid("t.app_id"), |row| guid_value(row.as_ref().app_id.0)),
        property("countryCode", country("t.country_code"), |row| {
            Value::text(row.as_ref().country_code.as_str())
        }),
        property("environmentAadTenantId", guid("t.tenant_id"), |row| {
            guid_value(row.as_ref().tenant_id.0)
        }),
        property("environmentApplicationFamily", family, |row| {
            Value::text(row.as_ref().family.as_str())
        }),
        property("environmentName", name, |row| {
            Value::text(row.as_ref().environment_name.as_str())
        }),
        property(
            "environmentType",
            word::<EnvironmentKind>("t.environment_kind"),
            |row| Value::text(row.as_ref().environment_kind.as_str()),
        ),
        property("sourceAppVersion", source, |row| {
            row.as_ref().source_version.map_or(Value::Null, version_value)
        }),
        property("targetAppVersion", target, |row| {
            row.as_ref().target_version.map_or(Value::Null, version_value)
        }),
        property("createdOn", instant("t.created_on"), |row| {
            instant_value(row.as_ref().created_on)
        }),
        property("runAfter", instant("t.run_after"), |row| {
            instant_value(row.as_ref().run_after)
        }),
        property("ignoreUpgradeWindow", truth("t.ignore_window"), |row| {
            Value::Boolean(row.as_ref().ignore_window)
        }),
        property("startedOn", instant("t.started_on").or_null(), |row| {
            instant_or_null(row.as_ref().started_on)
        }),
        property("completedOn", instant("t.completed_on").or_null(), |row| {
            instant_or_null(row.as_ref().completed_on)
        }),
        property("errorMessage", text("t.error_message").or_null(), |row| {
            text_or_null(row.as_ref().error_message.as_ref())
        }),
        property("failureCause", cause, |row| {
            row.as_ref()
                .failure_cause
                .map_or(Value::Null, |cause| Value::text(cause.as_str()))
        }),
        property("progressPercent", percent, |row| {
            row.as_ref().progress_percent.map_or(Value::Null, Value::integer)
        }),
        property("progressStep", text("t.progress_step").or_null(), |row| {
            text_or_null(row.as_ref().progress_step.as_ref())
        }),
        property("progressText", text("t.progress_text").or_null(), |row| {
            text_or_null(row.as_ref().progress_text.as_ref())
        }),
        property("progressOn", instant("t.progress_on").or_null(), |row| {
            instant_or_null(row.as_ref().progress_on)
        }),
        property("agentName", text("t.agent_name").or_null(), |row| {
            text_or_null(row.as_ref().agent_name.as_ref())
        }),
        property("askedRunAfter", instant("t.asked_run_after").or_null(), |row| {
            instant_or_null(row.as_ref().asked_run_after)
        }),
        property("postponedOn", instant("t.postponed_on").or_null(), |row| {
            instant_or_null(row.as_ref().postponed_on)
        }),
        property("postponeReason", text("t.postpone_reason").or_null(), |row| {
            text_or_null(row.as_ref().postpone_reason.as_ref())
        }),
        property("reasonCode", text(REASON_CODE).or_null(), |row| {
            Value::or_null(row.as_ref().reason_code())
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
    "reasonCode",
];

/// The hotfixes of an app in a country, the newest first.
pub static HOTFIXES: LazyLock<EntitySet<HotfixEntry>> = LazyLock::new(|| {
    let mut properties = picked(properties(), HOTFIX);
    let customer_name = text(CUSTOMER_NAME).or_null();
    properties.push(property("customerName", customer_name, |row: &HotfixEntry| {
        text_or_null(row.customer_name.as_ref())
    }));
    // They are found out where they are selected.
    properties.push(property("expectedStart", hidden_instant(), |_| Value::Null));
    properties.push(property("waitingFor", hidden_text(), |_| Value::Null));
    properties.push(property("rolloutId", guid("t.rollout_id").or_null(), |row| {
        guid_or_null(row.operation.rollout_id)
    }));
    let hotfixes = EntitySet::new(
        "environmentHotfix",
        ("operations t", HotfixEntry::columns().leak()),
        &["id"],
        Some("createdOn"),
        properties,
    );
    hotfixes
        .only("t.kind = 'Hotfix'")
        .found_out("customerName", CUSTOMER_NAME)
});

/// Of what was done in an environment.
const HISTORY_ENTRY: &[&str] = &[
    "id",
    "kind",
    "status",
    "appId",
    "countryCode",
    "sourceAppVersion",
    "targetAppVersion",
    "createdOn",
    "startedOn",
    "endedOn",
    "failureCause",
    "agentName",
    "requestedByType",
];

/// What was done in an environment, the newest first. Who asked for it is not to be guessed by those who are not told.
pub static HISTORY: LazyLock<EntitySet<Operation>> = LazyLock::new(|| {
    let mut all = properties::<Operation>();
    all.push(property("endedOn", instant("t.ended_on").or_null(), |row| {
        instant_or_null(row.ended_on)
    }));
    all.push(property(
        "requestedByType",
        word::<CallerKind>("t.created_by_kind"),
        |row: &Operation| Value::text(row.created_by_kind.as_str()),
    ));
    let mut properties = picked(all, HISTORY_ENTRY);
    properties.push(property("requestedBy", hidden_text(), |_| Value::Null));
    EntitySet::new(
        "environmentHistory",
        ("operations t", Operation::COLUMNS),
        &["id"],
        Some("createdOn"),
        properties,
    )
});

/// All operations, the newest first.
pub static OPERATIONS: LazyLock<EntitySet<Operation>> = LazyLock::new(|| {
    EntitySet::new(
        "operation",
        ("operations t", Operation::COLUMNS),
        &["id"],
        Some("createdOn"),
        properties(),
    )
});
