//! `/apps/{appId}/principals`: who has which roles on the app.

use super::{
    answer::Frame,
    context::empty,
    extract::{Asking, Door, SmallBody, id},
    lists,
};
use crate::{
    actions::{
        listing,
        principals::{self, By},
    },
    error::Result,
    store,
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

pub(crate) fn shown(principal: store::principals::Principal) -> Result<Principal> {
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
    State(door): State<Arc<Door>>,
    Path(path): Path<lists::ListPath>,
    asking: Asking,
) -> Result<Response> {
    lists::list(
        &door,
        &asking,
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
    State(door): State<Arc<Door>>,
    Path(path): Path<lists::ListPath>,
    asking: Asking,
) -> Result<Response> {
    lists::count(&door, &asking, path, (Resource::Principals, &listing::PRINCIPALS)).await
}

/// Gets one principal of the app.
#[utoipa::path(get, path = "/apps/{appId}/principals/{id}", tag = "principals",
    params(("appId" = uuid::Uuid, Path), ("id" = uuid::Uuid, Path)),
    responses((status = 200, body = Principal), (status = "default", body = ErrorBody)))]
pub(crate) async fn get_principal(
    State(door): State<Arc<Door>>,
    Path((app, principal)): Path<(String, String)>,
    asking: Asking,
) -> Result<Response> {
    let app = asking.app(&app)?;
    let principal: PrincipalId = asking.understood(&door, app, READ, id("id", &principal)).await?;
    let principal = shown(principals::get_principal(&door.service, &asking.asker, app, principal).await?)?;
    asking.preconditions.check_read(&principal.etag.to_string())?;
    Frame::new(&door, &asking).entity(&principal, &fragment(app))
}

/// Adds a principal to the app, or changes its roles.
#[utoipa::path(patch, path = "/apps/{appId}/principals/{id}", tag = "principals",
    params(("appId" = uuid::Uuid, Path), ("id" = uuid::Uuid, Path)), request_body = PrincipalPatch,
    responses((status = 200, body = Principal), (status = "default", body = ErrorBody)))]
pub(crate) async fn patch_principal(
    State(door): State<Arc<Door>>,
    Path((app, principal)): Path<(String, String)>,
    asking: Asking,
    SmallBody(body): SmallBody,
) -> Result<Response> {
    let app = asking.app(&app)?;
    let principal: PrincipalId = asking.understood(&door, app, WRITE, id("id", &principal)).await?;
    asking.expect_entity::<Principal>(&door, app, WRITE).await?;
    let wish = asking
        .understood(&door, app, WRITE, PrincipalPatch::read(&body, principal))
        .await?;
    let conditions = asking.preconditions.clone();
    let (service, asker) = (&door.service, &asking.asker);
    let principal =
        principals::patch_principal(service, asker, By::Owner, app, principal, wish, conditions).await?;
    Frame::new(&door, &asking).entity(&shown(principal)?, &fragment(app))
}

/// Takes all roles on the app from a principal.
#[utoipa::path(delete, path = "/apps/{appId}/principals/{id}", tag = "principals",
    params(("appId" = uuid::Uuid, Path), ("id" = uuid::Uuid, Path)),
    responses((status = 204), (status = "default", body = ErrorBody)))]
pub(crate) async fn delete_principal(
    State(door): State<Arc<Door>>,
    Path((app, principal)): Path<(String, String)>,
    asking: Asking,
) -> Result<Response> {
    let app = asking.app(&app)?;
    let principal: PrincipalId = asking.understood(&door, app, WRITE, id("id", &principal)).await?;
    let conditions = asking.preconditions.clone();
    principals::delete_principal(&door.service, &asking.asker, app, principal, conditions).await?;
    Ok(empty(StatusCode::NO_CONTENT))
}
