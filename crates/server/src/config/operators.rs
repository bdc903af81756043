//! Section `operators`: who may use the operator API.

use domain::{principal::PrincipalKind, problem::UnknownWord};
use serde::Deserialize;
use uuid::Uuid;

/// Section `operators`.
#[derive(Clone, Debug, Deserialize)]
pub struct OperatorSettings {
    /// Who may use the operator API.
    pub principals: Vec<Operator>,
}

/// Somebody who may use the operator API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Entry")]
pub struct Operator {
    /// A person or a program.
    pub kind: PrincipalKind,
    /// A person's object id, a program's client id.
    pub id: Uuid,
    /// A person's tenant; that of a program's tokens, which may be left out where one tenant is trusted.
    pub tenant_id: Option<Uuid>,
}

#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "needs type, id and, for a User, tenant_id; or a text such as \"Application:ID@TENANT\""
)]
enum Entry {
    Text(String),
    Table(EntryTable),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EntryTable {
    #[serde(rename = "type")]
    kind: String,
    id: Uuid,
    tenant_id: Option<Uuid>,
}

impl TryFrom<Entry> for Operator {
    type Error = String;

    fn try_from(entry: Entry) -> Result<Self, String> {
        let EntryTable { kind, id, tenant_id } = match entry {
            Entry::Table(table) => table,
            Entry::Text(text) => split(&text)?,
        };
        let kind = kind.parse().map_err(|error: UnknownWord| error.to_string())?;
        match (kind, tenant_id) {
            (PrincipalKind::User, None) => Err("is a User and needs a tenant_id".to_owned()),
            _ => Ok(Self { kind, id, tenant_id }),
        }
    }
}

/// `User:OBJECT@TENANT`, `Application:CLIENT@TENANT` or `Application:CLIENT`.
fn split(text: &str) -> Result<EntryTable, String> {
    let (kind, ids) = text
        .split_once(':')
        .ok_or_else(|| format!("'{text}' is not of the form Application:ID"))?;
    let (id, tenant) = ids
        .split_once('@')
        .map_or((ids, None), |(id, tenant)| (id, Some(tenant)));
    let guid = |text: &str| text.trim().parse().map_err(|_| format!("'{text}' is not a GUID"));
    Ok(EntryTable {
        kind: kind.trim().to_owned(),
        id: guid(id)?,
        tenant_id: tenant.map(guid).transpose()?,
    })
}
