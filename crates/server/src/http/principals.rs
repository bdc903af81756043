//! `/apps/{appId}/principals`: who has which roles on the app.

use super::{
    extract::{RequestContext, SmallBody},
    lists::{self, ListPath, fragment},
    options::{CountQuery, ListQuery},
    repeat::KeyHeader,
};
use crate::{
    actions::{
        listing,
        principals::{self, Authority},
    },
    error::Result,
    wire_rows,
};
use axum::{
    extract::Path,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use domain::{
    access::{Permission, Resource},
    ids::PrincipalId,
};
use wire::{
    ErrorBody, List,
    principals::{Principal, PrincipalPatch},
};

const RESOURCE: Resource = Resource::Principals;
const READ: Permission = Permission::read(RESOURCE);
const WRITE: Permission = Permission::write(RESOURCE);

/// Lists the principals of the app.
#[utoipa::path(get, path = "/apps/{appId}/principals", tag = "principals",
    params(("appId" = uuid::Uuid, Path), ListQuery),
    responses((status = 200, body = List<Principal>), (status = "default", body = ErrorBody)))]
pub(crate) async fn list_principals(Path(path): Path<ListPath>, context: RequestContext) -> Result<Response> {
    lists::list(
        &context,
        path,
        (RESOURCE, &listing::PRINCIPALS),
        wire_rows::principal,
    )
    .await
}

/// Counts the principals of the app.
#[utoipa::path(get, path = "/apps/{appId}/principals/$count", tag = "principals",
    params(("appId" = uuid::Uuid, Path), CountQuery),
    responses((status = 200, body = u64, content_type = "text/plain"), (status = "default", body = ErrorBody)))]
pub(crate) async fn count_principals(
    Path(path): Path<ListPath>,
    context: RequestContext,
) -> Result<Response> {
    lists::count(&context, path, (RESOURCE, &listing::PRINCIPALS)).await
}

/// Gets one principal of the app.
#[utoipa::path(get, path = "/apps/{appId}/principals/{id}", tag = "principals",
    params(("appId" = uuid::Uuid, Path), ("id" = uuid::Uuid, Path)),
    responses((status = 200, body = Principal), (status = "default", body = ErrorBody)))]
pub(crate) async fn get_principal(
    Path((app, id_text)): Path<(String, String)>,
    context: RequestContext,
) -> Result<Response> {
    let app = context.app(&app)?;
    let principal_id: PrincipalId = context.key(app, ("id", &id_text), READ).await?;
    let principal =
        principals::get_principal(context.service(), &context.principal, app, principal_id).await?;
    context.found(&wire_rows::principal(principal)?, &fragment(RESOURCE, app, None))
}

/// Adds a principal to the app, or changes its roles.
#[utoipa::path(patch, path = "/apps/{appId}/principals/{id}", tag = "principals",
    params(("appId" = uuid::Uuid, Path), ("id" = uuid::Uuid, Path),
        KeyHeader), request_body = PrincipalPatch,
    responses((status = 200, body = Principal), (status = "default", body = ErrorBody)))]
pub(crate) async fn patch_principal(
    Path((app, id_text)): Path<(String, String)>,
    context: RequestContext,
    SmallBody(body): SmallBody,
) -> Result<Response> {
    let app = context.app(&app)?;
    let principal_id: PrincipalId = context.key(app, ("id", &id_text), WRITE).await?;
    context.expect_entity::<Principal>(app, WRITE).await?;
    let change = context
        .reveal_to_permitted(app, WRITE, PrincipalPatch::read(&body, principal_id))
        .await?;
    let conditions = context.conditions(&body);
    let conditions = context.reveal_to_permitted(app, WRITE, conditions).await?;
    let (service, principal) = (context.service(), &context.principal);
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
    context.entity(&wire_rows::principal(principal)?, &fragment(RESOURCE, app, None))
}

/// Takes all roles on the app from a principal.
#[utoipa::path(delete, path = "/apps/{appId}/principals/{id}", tag = "principals",
    params(("appId" = uuid::Uuid, Path), ("id" = uuid::Uuid, Path)),
    responses((status = 204), (status = "default", body = ErrorBody)))]
pub(crate) async fn delete_principal(
    Path((app, id_text)): Path<(String, String)>,
    context: RequestContext,
) -> Result<Response> {
    let app = context.app(&app)?;
    let principal_id: PrincipalId = context.key(app, ("id", &id_text), WRITE).await?;
    let conditions = context.preconditions.clone();
    principals::delete_principal(
        context.service(),
        &context.principal,
        app,
        principal_id,
        conditions,
    )
    .await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
