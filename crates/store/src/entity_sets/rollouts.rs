//! Rollouts, and their environments.

use super::{
    environments::{FAMILY, NAME},
    guid_or_null, guid_value, instant_or_null, instant_value, text_or_null, version_value,
};
use crate::{
    list::{
        EntitySet, Spelling, country, folded, guid, hidden, hidden_instant, hidden_text, instant, number,
        property, text, version, word,
    },
    rollouts::{MemberEntry, Rollout, WAVE_NAME},
};
use domain::{
    environment::EnvironmentKind,
    rollout::{MemberState, Outcome, Reason, State},
};
use odata::Value;
use std::sync::LazyLock;

/// The rollouts of an app, the newest first.
pub static ROLLOUTS: LazyLock<EntitySet<Rollout>> = LazyLock::new(|| {
    let properties = vec![
        property("id", guid("t.id"), |row: &Rollout| guid_value(row.id)),
        property("name", text("t.name"), |row| Value::text(row.name.as_str())),
        property("note", text("t.note").or_null(), |row| {
            text_or_null(row.note.as_ref())
        }),
        property(
            "targetAppVersion",
            version("t.target_version", "t.target_version_key"),
            |row| version_value(row.target_version),
        ),
        property("state", word::<State>("t.state"), |row| {
            Value::text(row.state.as_str())
        }),
        property("outcome", word::<Outcome>("t.outcome").or_null(), |row| {
            row.outcome.map_or(Value::Null, |word| Value::text(word.as_str()))
        }),
        property("reasonCode", word::<Reason>("t.reason").or_null(), |row| {
            row.reason.map_or(Value::Null, |word| Value::text(word.as_str()))
        }),
        property("reason", text("t.reason_text").or_null(), |row| {
            text_or_null(row.reason_text.as_ref())
        }),
        property("createdOn", instant("t.created_on"), |row| {
            instant_value(row.created_on)
        }),
        property("createdBy", text("t.created_by"), |row| {
            Value::text(row.created_by.as_str())
        }),
        property("endedOn", instant("t.ended_on").or_null(), |row| {
            instant_or_null(row.ended_on)
        }),
        property("environments", number("t.environments", 0..=i64::MAX), |row| {
            Value::integer(i64::try_from(row.environments).unwrap_or(i64::MAX))
        }),
        property("fingerprint", hidden_text(), |_| Value::Null),
        property("approval", hidden(), |_| Value::Null),
        property("counts", hidden(), |_| Value::Null),
        property("waves", hidden(), |_| Value::Null),
        property("failures", hidden(), |_| Value::Null),
        property("supersededBy", hidden_text(), |_| Value::Null),
        property("warnings", hidden(), |_| Value::Null),
        property("_etag", guid("t.etag"), |row| guid_value(row.etag.0)),
        property("definition", hidden(), |_| Value::Null),
    ];
    EntitySet::new(
        "rollout",
        ("rollouts t", Rollout::COLUMNS),
        &["id"],
        Some("createdOn"),
        properties,
    )
});

/// The environments of a rollout.
pub static ROLLOUT_ENVIRONMENTS: LazyLock<EntitySet<MemberEntry>> = LazyLock::new(|| {
    let family = folded("t.family", "t.family_key", FAMILY, Spelling::Other);
    let name = folded("t.name", "t.name_key", NAME, Spelling::SmallLetters);
    let properties = vec![
        property("aadTenantId", guid("t.tenant_id"), |row: &MemberEntry| {
            guid_value(row.member.tenant_id.0)
        }),
        property("applicationFamily", family, |row| {
            Value::text(row.member.family.as_str())
        }),
        property("name", name, |row| Value::text(row.member.name.as_str())),
        property("countryCode", country("t.country_code"), |row| {
            Value::text(row.member.country_code.as_str())
        }),
        property("type", word::<EnvironmentKind>("t.kind"), |row| {
            Value::text(row.member.kind.as_str())
        }),
        property("version", version("t.version", "t.version_key"), |row| {
            version_value(row.member.version)
        }),
        property("wave", text(WAVE_NAME).or_null(), |row| {
            text_or_null(row.wave.as_ref())
        }),
        property("state", word::<MemberState>("t.state"), |row| {
            Value::text(row.member.state.as_str())
        }),
        property("attempt", number("t.attempt", 0..=i64::MAX), |row| {
            Value::integer(i64::try_from(row.member.attempt).unwrap_or(i64::MAX))
        }),
        property("hotfixId", guid("t.operation_id").or_null(), |row| {
            guid_or_null(row.member.operation_id.map(|id| id.0))
        }),
        property("reasonCode", text("t.reason").or_null(), |row| {
            text_or_null(row.member.reason.as_ref())
        }),
        property("reason", text("t.reason_text").or_null(), |row| {
            text_or_null(row.member.reason_text.as_ref())
        }),
        property("changedOn", instant("t.changed_on"), |row| {
            instant_value(row.member.changed_on)
        }),
        property("expectedStart", hidden_instant(), |_| Value::Null),
        property("waitingFor", hidden_text(), |_| Value::Null),
    ];
    EntitySet::new(
        "rolloutEnvironment",
        ("rollout_members t", MemberEntry::columns().leak()),
        &["aadTenantId", "name", "applicationFamily"],
        None,
        properties,
    )
});
