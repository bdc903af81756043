//! `/operator/v1/operations` and `/operator/v1/audit`: what was done, and by whom.

use crate::{
    actions::listing,
    error::Result,
    http::{
        extract::{AppState, OperatorContext},
        lists,
    },
};
use axum::{extract::State, response::Response};
use std::sync::Arc;
use uuid::Uuid;
use wire::{
    ErrorBody, List,
    operator::{Actor, AuditRow, OperationRow},
    value::{Flag, Json},
};

fn operation_shown(operation: store::hotfixes::Operation) -> Result<OperationRow> {
    Ok(OperationRow {
        id: operation.id,
        kind: operation.kind,
        status: operation.status,
        app_id: operation.app_id,
        country_code: operation.country_code,
        environment_aad_tenant_id: operation.tenant_id,
        environment_application_family: operation.family,
        environment_name: operation.environment_name,
        environment_type: Some(operation.environment_kind),
        source_app_version: Some(operation.source_version),
        target_app_version: Some(operation.target_version),
        created_on: operation.created_on,
        run_after: Some(operation.run_after),
        ignore_upgrade_window: Flag(operation.ignore_window),
        started_on: operation.started_on,
        completed_on: operation.completed_on,
        error_message: operation.error_message,
    })
}

fn audit_shown(row: store::audit::AuditRow) -> Result<AuditRow> {
    let id = Uuid::try_parse(&row.actor_id).ok();
    let part = Some(row.actor_id).filter(|_| id.is_none());
    Ok(AuditRow {
        id: row.id,
        at: row.recorded_on,
        actor: Actor {
            kind: row.actor_kind,
            id,
            tenant_id: row.actor_tenant_id,
            name: row.actor_name.or(part),
        },
        action: row.action,
        target: row.target,
        correlation_id: Some(row.correlation_id),
        before: row.before.as_deref().and_then(Json::parse),
        after: row.after.as_deref().and_then(Json::parse),
    })
}

/// Lists all operations, the newest first.
#[utoipa::path(get, path = "/operations", tag = "operator", params(lists::ListQuery),
    responses((status = 200, body = List<OperationRow>), (status = "default", body = ErrorBody)))]
pub(crate) async fn list_operations(
    State(state): State<Arc<AppState>>,
    OperatorContext(context): OperatorContext,
) -> Result<Response> {
    lists::list_everything(
        &state,
        &context,
        (&listing::OPERATIONS, "operations"),
        operation_shown,
    )
    .await
}

/// Lists all changes, the newest first.
#[utoipa::path(get, path = "/audit", tag = "operator", params(lists::ListQuery),
    responses((status = 200, body = List<AuditRow>), (status = "default", body = ErrorBody)))]
pub(crate) async fn list_audit(
    State(state): State<Arc<AppState>>,
    OperatorContext(context): OperatorContext,
) -> Result<Response> {
    lists::list_everything(&state, &context, (&listing::AUDIT, "audit"), audit_shown).await
}
