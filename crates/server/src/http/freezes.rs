//! `/apps/{appId}/freezes`: when nothing of the app starts, as its owners say.

use super::{
    extract::{RequestContext, SmallBody},
    lists::{self, ListPath, fragment},
    options::ListQuery,
    repeat::KeyHeader,
};
use crate::{
    actions::{
        freezes::of_apps::{self, READ, WRITE},
        listing,
    },
    error::Result,
    wire_rows,
};
use axum::{
    extract::Path,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use domain::access::Resource;
use uuid::Uuid;
use wire::{
    ErrorBody, List,
    freezes::{AppFreeze, AppFreezeBody, AppFreezeRequest},
};

const RESOURCE: Resource = Resource::Freezes;

/// The keys of a freeze in a path.
type FreezePath = Path<(String, String)>;

/// Lists the freezes of the app, those that are over as well.
#[utoipa::path(get, path = "/apps/{appId}/freezes", tag = "freezes",
    params(("appId" = uuid::Uuid, Path), ListQuery),
    responses((status = 200, body = List<AppFreeze>), (status = "default", body = ErrorBody)))]
pub(crate) async fn list_app_freezes(
    Path(path): Path<ListPath>,
    context: RequestContext,
) -> Result<Response> {
    let list = (RESOURCE, &*listing::APP_FREEZES);
    lists::list(&context, path, list, wire_rows::app_freeze).await
}

/// Gets one freeze of the app.
#[utoipa::path(get, path = "/apps/{appId}/freezes/{id}", tag = "freezes",
    params(("appId" = uuid::Uuid, Path), ("id" = uuid::Uuid, Path)),
    responses((status = 200, body = AppFreeze), (status = "default", body = ErrorBody)))]
pub(crate) async fn get_app_freeze(Path((app, id)): FreezePath, context: RequestContext) -> Result<Response> {
    let app = context.app(&app)?;
    let id: Uuid = context.key(app, ("id", &id), READ).await?;
    let freeze = of_apps::get_app_freeze(context.service(), &context.principal, app, id).await?;
    context.found(&wire_rows::app_freeze(freeze)?, &fragment(RESOURCE, app, None))
}

/// Declares a freeze of the app under an id that the caller chooses, or changes one.
///
/// From `from` on, and until `to`, no hotfix of the app starts in the environments that it is about, as they are then. Hotfixes
/// can be scheduled and canceled, and wait with `waitingFor` Freeze; `ignoreUpgradeWindow` does not pass it. What runs goes on,
/// and so do the updates, installs and uninstalls that customers ask for themselves.
#[utoipa::path(put, path = "/apps/{appId}/freezes/{id}", tag = "freezes",
    params(("appId" = uuid::Uuid, Path), ("id" = uuid::Uuid, Path), KeyHeader), request_body = AppFreezeBody,
    responses((status = 200, body = AppFreeze), (status = 201, body = AppFreeze),
        (status = "default", body = ErrorBody)))]
pub(crate) async fn put_app_freeze(
    Path((app, id)): FreezePath,
    context: RequestContext,
    SmallBody(body): SmallBody,
) -> Result<Response> {
    let app = context.app(&app)?;
    let id: Uuid = context.key(app, ("id", &id), WRITE).await?;
    context.expect_entity::<AppFreeze>(app, WRITE).await?;
    let allow_w1 = context.service().settings.countries.allow_w1;
    let request = AppFreezeRequest::read(&body, id, allow_w1);
    let request = context.reveal_to_permitted(app, WRITE, request).await?;
    let conditions = context.conditions(&body);
    let conditions = context.reveal_to_permitted(app, WRITE, conditions).await?;
    let (service, principal) = (context.service(), &context.principal);
    let (freeze, is_new) = of_apps::put_app_freeze(service, principal, app, id, request, conditions).await?;
    let freeze = wire_rows::app_freeze(freeze)?;
    let mut response = context.entity(&freeze, &fragment(RESOURCE, app, None))?;
    if is_new {
        *response.status_mut() = StatusCode::CREATED;
    }
    Ok(response)
}

/// Removes a freeze of the app. What is due by then starts within a minute.
#[utoipa::path(delete, path = "/apps/{appId}/freezes/{id}", tag = "freezes",
    params(("appId" = uuid::Uuid, Path), ("id" = uuid::Uuid, Path)),
    responses((status = 204), (status = "default", body = ErrorBody)))]
pub(crate) async fn delete_app_freeze(
    Path((app, id)): FreezePath,
    context: RequestContext,
) -> Result<Response> {
    let app = context.app(&app)?;
    let id: Uuid = context.key(app, ("id", &id), WRITE).await?;
    let conditions = context.preconditions.clone();
    of_apps::delete_app_freeze(context.service(), &context.principal, app, id, conditions).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
