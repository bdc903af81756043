//! `/apps/{appId}/principals`: who has which roles on the app.

use super::{
    answer::ResponseWriter,
    context::empty,
    extract::{AppState, RequestContext, SmallBody, id},
    lists,
};
use crate::{
    actions::{
        listing,
        principals::{self, Authority},
    },
    error::Result,
};
use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use domain::{
    access::{Permission, Resource},
    ids::{AppId, PrincipalId},
};
use std::sync::Arc;
use wire::{
    ErrorBody, List,
    principals::{Principal, PrincipalPatch},
};

const READ: Permission = Permission::read(Resource::Principals);
const WRITE: Permission = Permission::write(Resource::Principals);

pub(crate) fn shown(principal: store::principals::AppPrincipal) -> Result<Principal> {
    Ok(Principal {
        id: principal.id,
        kind: principal.kind,
        aad_tenant_id: principal.tenant_id,
        roles: principal.roles,
        etag: principal.etag,
    })
}

fn fragment(app: AppId) -> String {
    format!("apps({app})/principals")
}

/// Lists the principals of the app.
#[utoipa::path(get, path = "/apps/{appId}/principals", tag = "principals",
    params(("appId" = uuid::Uuid, Path), lists::ListQuery),
    responses((status = 200, body = List<Principal>), (status = "default", body = ErrorBody)))]
pub(crate) async fn list_principals(
    State(state): State<Arc<AppState>>,
    Path(path): Path<lists::ListPath>,
    context: RequestContext,
) -> Result<Response> {
    lists::list(
        &state,
        &context,
        path,
        (Resource::Principals, &listing::PRINCIPALS),
        shown,
    )
    .await
}

/// Counts the principals of the app.
#[utoipa::path(get, path = "/apps/{appId}/principals/$count", tag = "principals",
    params(("appId" = uuid::Uuid, Path), lists::CountQuery),
    responses((status = 200, body = u64, content_type = "text/plain"), (status = "default", body = ErrorBody)))]
pub(crate) async fn count_principals(
    State(state): State<Arc<AppState>>,
    Path(path): Path<lists::ListPath>,
    context: RequestContext,
) -> Result<Response> {
    lists::count(
        &state,
        &context,
        path,
        (Resource::Principals, &listing::PRINCIPALS),
    )
    .await
}

/// Gets one principal of the app.
#[utoipa::path(get, path = "/apps/{appId}/principals/{id}", tag = "principals",
    params(("appId" = uuid::Uuid, Path), ("id" = uuid::Uuid, Path)),
    responses((status = 200, body = Principal), (status = "default", body = ErrorBody)))]
pub(crate) async fn get_principal(
    State(state): State<Arc<AppState>>,
    Path((app, id_text)): Path<(String, String)>,
    context: RequestContext,
) -> Result<Response> {
    let app = context.app(&app)?;
    let principal_id: PrincipalId = context
        .reveal_to_permitted(&state, app, READ, id("id", &id_text))
        .await?;
    let principal =
        shown(principals::get_principal(&state.service, &context.principal, app, principal_id).await?)?;
    context.preconditions.check_read(&principal.etag.to_string())?;
    ResponseWriter::new(&state, &context).entity(&principal, &fragment(app))
}

/// Adds a principal to the app, or changes its roles.
#[utoipa::path(patch, path = "/apps/{appId}/principals/{id}", tag = "principals",
    params(("appId" = uuid::Uuid, Path), ("id" = uuid::Uuid, Path)), request_body = PrincipalPatch,
    responses((status = 200, body = Principal), (status = "default", body = ErrorBody)))]
pub(crate) async fn patch_principal(
    State(state): State<Arc<AppState>>,
    Path((app, id_text)): Path<(String, String)>,
    context: RequestContext,
    SmallBody(body): SmallBody,
) -> Result<Response> {
    let app = context.app(&app)?;
    let principal_id: PrincipalId = context
        .reveal_to_permitted(&state, app, WRITE, id("id", &id_text))
        .await?;
    context.expect_entity::<Principal>(&state, app, WRITE).await?;
    let change = context
        .reveal_to_permitted(&state, app, WRITE, PrincipalPatch::read(&body, principal_id))
        .await?;
    let conditions = context.preconditions.clone();
    let (service, principal) = (&state.service, &context.principal);
    let principal = principals::patch_principal(
        service,
        principal,
        Authority::Owner,
        app,
        principal_id,
        change,
        conditions,
    )
    .await?;
    ResponseWriter::new(&state, &context).entity(&shown(principal)?, &fragment(app))
}

/// Takes all roles on the app from a principal.
#[utoipa::path(delete, path = "/apps/{appId}/principals/{id}", tag = "principals",
    params(("appId" = uuid::Uuid, Path), ("id" = uuid::Uuid, Path)),
    responses((status = 204), (status = "default", body = ErrorBody)))]
pub(crate) async fn delete_principal(
    State(state): State<Arc<AppState>>,
    Path((app, id_text)): Path<(String, String)>,
    context: RequestContext,
) -> Result<Response> {
    let app = context.app(&app)?;
    let principal_id: PrincipalId = context
        .reveal_to_permitted(&state, app, WRITE, id("id", &id_text))
        .await?;
    let conditions = context.preconditions.clone();
    principals::delete_principal(&state.service, &context.principal, app, principal_id, conditions).await?;
    Ok(empty(StatusCode::NO_CONTENT))
}
