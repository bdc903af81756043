//! Apps, as their principals and as the operator see them.

use super::{guid_value, instant_value, text_or_null};
use crate::{
    apps::App,
    list::{EntitySet, Property, guid, hidden, instant, property, text},
};
use odata::Value;
use std::sync::LazyLock;

const SOURCE: (&str, &str) = ("apps t", App::COLUMNS);

/// What both lists have, in the order of both.
fn shared() -> Vec<Property<App>> {
    vec![
        property("id", guid("t.id"), |row: &App| guid_value(row.id.0)),
        property("publisher", text("t.publisher"), |row| {
            Value::text(row.publisher.as_str())
        }),
        property("publisherAadTenantId", guid("t.publisher_tenant_id"), |row| {
            guid_value(row.publisher_tenant_id.0)
        }),
        property(
            "publisherContactEmail",
            text("t.publisher_contact_email"),
            |row| Value::text(row.publisher_contact_email.as_str()),
        ),
        property("storageLocation", text("t.storage_location"), |row| {
            Value::text(row.storage_location.as_str())
        }),
        property("name", text("t.name").or_null(), |row| {
            text_or_null(row.name.as_ref())
        }),
    ]
}

fn etag() -> Property<App> {
    property("_etag", guid("t.etag"), |row| guid_value(row.etag.0))
}

/// The apps on which the caller has a role.
pub static APPS: LazyLock<EntitySet<App>> = LazyLock::new(|| {
    let mut properties = shared();
    properties.push(etag());
    EntitySet::new("app", SOURCE, &["id"], None, properties)
});

/// All registered apps.
pub static REGISTERED_APPS: LazyLock<EntitySet<App>> = LazyLock::new(|| {
    let mut properties = shared();
    properties.extend([
        property("createdOn", instant("t.created_on"), |row: &App| {
            instant_value(row.created_on)
        }),
        property("signerRule", text("t.signer_rule"), |row| {
            Value::text(row.signer_rule.to_string())
        }),
        property("owners", hidden(), |_| Value::Null),
        etag(),
    ]);
    EntitySet::new("registeredApp", SOURCE, &["id"], None, properties)
});
