//! Customers.

use super::text_or_null;
use crate::{
    customers::Customer,
    list::{EntitySet, guid, hidden, property, text},
};
use odata::Value;
use std::sync::LazyLock;

/// All customers.
pub static CUSTOMERS: LazyLock<EntitySet<Customer>> = LazyLock::new(|| {
    let properties = vec![
        property("aadTenantId", guid("t.tenant_id"), |row: &Customer| {
            super::guid_value(row.tenant_id.0)
        }),
        property("administrators", hidden(), |_| Value::Null),
        property("clients", hidden(), |_| Value::Null),
        property("partners", hidden(), |_| Value::Null),
        property("displayName", text("t.display_name").or_null(), |row| {
            text_or_null(row.display_name.as_ref())
        }),
        property("domain", text("t.domain").or_null(), |row| {
            text_or_null(row.domain.as_ref())
        }),
        property("notes", text("t.notes").or_null(), |row| {
            text_or_null(row.notes.as_ref())
        }),
        property("_etag", guid("t.etag"), |row| super::guid_value(row.etag.0)),
    ];
    EntitySet::new(
        "customer",
        ("customers t", Customer::COLUMNS),
        &["aadTenantId"],
        None,
        properties,
    )
});
