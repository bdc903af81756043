//! Customers.

use crate::{
    customers::Customer,
    list::{EntitySet, guid, hidden, property},
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
