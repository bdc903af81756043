//! `/operator/v1/operations` and `/operator/v1/audit`: what was done, and by whom.

use crate::{
    actions::listing::{self, ListScope},
    error::Result,
    http::{extract::OperatorContext, lists, options::ListQuery},
    wire_rows,
};
use axum::response::Response;
use wire::{
    ErrorBody, List,
    operator::{AuditRow, OperationRow},
};

/// Lists all operations, the newest first.
#[utoipa::path(get, path = "/operations", tag = "operator", params(ListQuery),
    responses((status = 200, body = List<OperationRow>), (status = "default", body = ErrorBody)))]
pub(crate) async fn list_operations(OperatorContext(context): OperatorContext) -> Result<Response> {
    lists::list_scope(
        &context,
        ListScope::Everything,
        (&listing::OPERATIONS, "operations"),
        wire_rows::operation,
    )
    .await
}

/// Lists all changes, the newest first.
#[utoipa::path(get, path = "/audit", tag = "operator", params(ListQuery),
    responses((status = 200, body = List<AuditRow>), (status = "default", body = ErrorBody)))]
pub(crate) async fn list_audit(OperatorContext(context): OperatorContext) -> Result<Response> {
    lists::list_scope(
        &context,
        ListScope::Everything,
        (&listing::AUDIT, "audit"),
        wire_rows::audit_row,
    )
    .await
}
