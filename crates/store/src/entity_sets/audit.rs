//! Who changed what.

use super::{guid_or_null, guid_value, instant_value, text_or_null};
use crate::{
    audit::AuditRow,
    list::{EntitySet, guid, hidden, instant, property, text},
};
use odata::Value;
use std::sync::LazyLock;

/// All changes, the newest first. The parts of `actor` have names of their own to ask by, because a path into a
/// single object is not among the query options.
pub static AUDIT: LazyLock<EntitySet<AuditRow>> = LazyLock::new(|| {
    let properties = vec![
        property("id", guid("t.id"), |row: &AuditRow| guid_value(row.id)),
        property("at", instant("t.recorded_on"), |row| {
            instant_value(row.recorded_on)
        }),
        property("actor", hidden(), |_| Value::Null),
        property("action", text("t.action"), |row| Value::text(row.action.as_str())),
        property("target", text("t.target"), |row| Value::text(row.target.as_str())),
        property("correlationId", guid("t.correlation_id"), |row| {
            guid_value(row.correlation_id)
        }),
        property("before", hidden(), |_| Value::Null),
        property("after", hidden(), |_| Value::Null),
        property("actorType", text("t.actor_kind"), |row: &AuditRow| {
            Value::text(row.actor_kind.as_str())
        })
        .shown_in("actor"),
        property("actorId", text("t.actor_id"), |row: &AuditRow| {
            Value::text(row.actor_id.as_str())
        })
        .shown_in("actor"),
        property(
            "actorTenantId",
            guid("t.actor_tenant_id").or_null(),
            |row: &AuditRow| guid_or_null(row.actor_tenant_id.map(|id| id.0)),
        )
        .shown_in("actor"),
        property(
            "actorObjectId",
            guid("t.actor_object_id").or_null(),
            |row: &AuditRow| guid_or_null(row.actor_object_id),
        )
        .shown_in("actor"),
        property("actorName", text("t.actor_name").or_null(), |row: &AuditRow| {
            text_or_null(row.actor_name.as_ref())
        })
        .shown_in("actor"),
    ];
    EntitySet::new(
        "auditRow",
        ("audit t", AuditRow::COLUMNS),
        &["id"],
        Some("at"),
        properties,
    )
});
