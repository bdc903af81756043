//! The countries of an app.

use super::guid_value;
use crate::{
    countries::Country,
    list::{EntitySet, country, guid, property},
};
use odata::Value;
use std::sync::LazyLock;

/// The countries that an app was added to.
pub static COUNTRIES: LazyLock<EntitySet<Country>> = LazyLock::new(|| {
    let properties = vec![
        property("countryCode", country("t.code"), |row: &Country| {
            Value::text(row.code.as_str())
        }),
        property("_etag", guid("t.etag"), |row| guid_value(row.etag.0)),
    ];
    EntitySet::new(
        "country",
        ("countries t", Country::COLUMNS),
        &["countryCode"],
        None,
        properties,
    )
});
