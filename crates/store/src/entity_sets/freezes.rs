//! What the operator has stopped, and when nothing of an app starts.

use super::{guid_value, instant_value};
use crate::{
    freezes::{AppFreeze, Freeze},
    list::{EntitySet, guid, hidden, instant, property, text},
};
use odata::Value;
use std::sync::LazyLock;

/// All freezes.
pub static FREEZES: LazyLock<EntitySet<Freeze>> = LazyLock::new(|| {
    let properties = vec![
        property("subject", text("t.subject"), |row: &Freeze| {
            Value::text(row.subject.to_string())
        }),
        property("reason", text("t.reason"), |row| Value::text(row.reason.as_str())),
        property("frozenOn", instant("t.frozen_on"), |row| {
            instant_value(row.frozen_on)
        }),
        property("frozenBy", text("t.frozen_by"), |row| {
            Value::text(row.frozen_by.as_str())
        }),
        property("_etag", guid("t.etag"), |row| guid_value(row.etag.0)),
    ];
    EntitySet::new(
        "freeze",
        ("freezes t", Freeze::COLUMNS),
        &["subject"],
        None,
        properties,
    )
});

/// The freezes of an app.
pub static APP_FREEZES: LazyLock<EntitySet<AppFreeze>> = LazyLock::new(|| {
    let properties = vec![
        property("id", guid("t.id"), |row: &AppFreeze| guid_value(row.id)),
        property("from", instant("t.begins_on"), |row| {
            instant_value(row.span.begins_on)
        }),
        property("to", instant("t.ends_on"), |row| instant_value(row.span.ends_on)),
        property("countries", hidden(), |_| Value::Null),
        property("types", hidden(), |_| Value::Null),
        property("reason", text("t.reason"), |row| Value::text(row.reason.as_str())),
        property("createdOn", instant("t.created_on"), |row| {
            instant_value(row.created_on)
        }),
        property("createdBy", text("t.created_by"), |row| {
            Value::text(row.created_by.as_str())
        }),
        property("_etag", guid("t.etag"), |row| guid_value(row.etag.0)),
    ];
    EntitySet::new(
        "appFreeze",
        ("app_freezes t", AppFreeze::COLUMNS),
        &["id"],
        None,
        properties,
    )
});
