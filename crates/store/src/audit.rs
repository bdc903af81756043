//! Who changed what: one row for every change, written in the change's own transaction.

use super::{FromRow, Row, Shape, StoreError, Tx};
use domain::{ids::TenantId, instant::Instant};
use uuid::Uuid;

/// A row of the table.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditRow {
    pub id: Uuid,
    pub recorded_on: Instant,
    pub actor_kind: String,
    pub actor_id: String,
    pub actor_tenant_id: Option<TenantId>,
    pub actor_name: Option<String>,
    pub action: String,
    pub target: String,
    pub correlation_id: Uuid,
    pub before: Option<String>,
    pub after: Option<String>,
}

pub const COLUMNS: &str = "t.id, t.recorded_on, t.actor_kind, t.actor_id, t.actor_tenant_id, t.actor_name, t.action, t.target, t.correlation_id, t.before_state, t.after_state";

impl FromRow for AuditRow {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.get(0)?,
            recorded_on: row.get(1)?,
            actor_kind: row.get(2)?,
            actor_id: row.get(3)?,
            actor_tenant_id: row.get(4)?,
            actor_name: row.get(5)?,
            action: row.get(6)?,
            target: row.get(7)?,
            correlation_id: row.get(8)?,
            before: row.get(9)?,
            after: row.get(10)?,
        })
    }
}

const SHAPE: Shape = &[
    ("id", "uuid"),
    ("recorded_on", "bigint"),
    ("actor_kind", "text"),
    ("actor_id", "text"),
    ("actor_tenant", "uuid"),
    ("actor_name", "text"),
    ("action", "text"),
    ("target", "text"),
    ("correlation", "uuid"),
    ("before", "text"),
    ("after", "text"),
];

/// Adds rows.
pub async fn insert_audit(tx: &mut Tx<'_>, rows: Vec<AuditRow>) -> Result<(), StoreError> {
    let rows = rows.into_iter().map(|row| {
        vec![
            row.id.into(),
            row.recorded_on.into(),
            row.actor_kind.into(),
            row.actor_id.into(),
            row.actor_tenant_id.into(),
            row.actor_name.into(),
            row.action.into(),
            row.target.into(),
            row.correlation_id.into(),
            row.before.into(),
            row.after.into(),
        ]
    });
    tx.each(
        "INSERT INTO audit (id, recorded_on, actor_kind, actor_id, actor_tenant_id, actor_name, action, target, correlation_id, before_state, after_state)
         SELECT {id}, {recorded_on}, {actor_kind}, {actor_id}, {actor_tenant}, {actor_name}, {action}, {target}, {correlation}, {before}, {after}
         FROM {rows}",
        SHAPE,
        rows.collect(),
    )
    .execute()
    .await
    .map(drop)
}

/// Replaces the state after the change in a row.
pub async fn amend_audit(tx: &mut Tx<'_>, id: Uuid, after: &str) -> Result<(), StoreError> {
    tx.query("UPDATE audit SET after_state = $2 WHERE id = $1")
        .bind(id)
        .bind(after)
        .execute()
        .await
        .map(drop)
}
