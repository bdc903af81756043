//! The principals of an app.

use super::{guid_or_null, guid_value};
use crate::{
    list::{EntitySet, guid, property, roles, word},
    principals::AppPrincipal,
};
use domain::principal::PrincipalKind;
use odata::Value;
use std::sync::LazyLock;

/// Who has roles on an app.
pub static PRINCIPALS: LazyLock<EntitySet<AppPrincipal>> = LazyLock::new(|| {
    let properties = vec![
        property("id", guid("t.id"), |row: &AppPrincipal| guid_value(row.id.0)),
        property("type", word::<PrincipalKind>("t.kind"), |row| {
            Value::text(row.kind.as_str())
        }),
        property("aadTenantId", guid("t.tenant_id").or_null(), |row| {
            guid_or_null(row.tenant_id.map(|id| id.0))
        }),
        property("roles", roles("t.roles"), |row| {
            Value::List(row.roles.iter().map(|role| Value::text(role.as_str())).collect())
        }),
        property("_etag", guid("t.etag"), |row| guid_value(row.etag.0)),
    ];
    EntitySet::new(
        "principal",
        ("principals t", AppPrincipal::COLUMNS),
        &["id"],
        None,
        properties,
    )
});
