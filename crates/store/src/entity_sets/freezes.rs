//! What the operator has stopped.

use super::instant_value;
use crate::{
    freezes::Freeze,
    list::{EntitySet, guid, instant, property, text},
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
        property("_etag", guid("t.etag"), |row| super::guid_value(row.etag.0)),
    ];
    EntitySet::new(
        "freeze",
        ("freezes t", Freeze::COLUMNS),
        &["subject"],
        None,
        properties,
    )
});
