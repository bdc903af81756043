//! Who changed what.

use super::{guid_or_null, guid_value, instant_value, text_or_null};
use crate::{
    audit::AuditRow,
    list::{EntitySet, Spelling, folded, guid, hidden, instant, property, spelled_among, text},
};
use odata::{Fold, Value};
use std::sync::LazyLock;

/// What may have made a change.
pub(crate) const ACTOR_KINDS: &[&str] = &["User", "Application", "Publisher", "Agent", "Service"];

const ACTOR_KIND: Fold = Fold {
    name: "actorType",
    apply: |text| spelled_among(ACTOR_KINDS, text),
};

const ACTOR_ID: Fold = Fold {
    name: "actorId",
    apply: str::to_ascii_lowercase,
};

// A part of the service has a name in place of an id.
const SHOWN_ID: &str = "CASE WHEN t.actor_kind <> 'Service' THEN t.actor_id END";
const SHOWN_NAME: &str = "COALESCE(t.actor_name, CASE WHEN t.actor_kind = 'Service' THEN t.actor_id END)";

impl AuditRow {
    /// The id of who made the change, if it is one that has an id.
    pub fn shown_id(&self) -> Option<&str> {
        (self.actor_kind != "Service").then_some(self.actor_id.as_str())
    }

    /// The name that it goes by, if it has one.
    pub fn shown_name(&self) -> Option<&str> {
        let part = || self.shown_id().is_none().then_some(self.actor_id.as_str());
        self.actor_name.as_deref().or_else(part)
    }
}

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
        property("address", text("t.address").or_null(), |row| {
            text_or_null(row.address.as_ref())
        }),
        property("via", text("t.via").or_null(), |row| {
            text_or_null(row.via.as_ref())
        }),
        property(
            "actorType",
            folded("t.actor_kind", "t.actor_kind", ACTOR_KIND, Spelling::Ascii),
            |row: &AuditRow| Value::text(row.actor_kind.as_str()),
        )
        .shown_in("actor"),
        property(
            "actorId",
            folded(SHOWN_ID, SHOWN_ID, ACTOR_ID, Spelling::Ascii).or_null(),
            |row: &AuditRow| Value::or_null(row.shown_id()),
        )
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
        property("actorName", text(SHOWN_NAME).or_null(), |row: &AuditRow| {
            Value::or_null(row.shown_name())
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
