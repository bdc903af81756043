//! `/apps`: the apps on which the caller has a role.

use super::{
    extract::RequestContext,
    lists::{self, ListPath},
    options::{CountQuery, ListQuery},
};
use crate::{
    actions::{apps, listing},
    error::Result,
    wire_rows,
};
use axum::{extract::Path, response::Response};
use domain::{access::Resource, principal::Role};
use wire::{
    ErrorBody, List,
    apps::{AllowedAction, App, RolePermissions},
};

/// Lists the apps on which the caller has a role.
#[utoipa::path(get, path = "/apps", tag = "apps", params(ListQuery),
    responses((status = 200, body = List<App>), (status = "default", body = ErrorBody)))]
pub(crate) async fn list_apps(Path(path): Path<ListPath>, context: RequestContext) -> Result<Response> {
    lists::list(&context, path, (Resource::Apps, &listing::APPS), wire_rows::app).await
}

/// Counts the apps on which the caller has a role.
#[utoipa::path(get, path = "/apps/$count", tag = "apps", params(CountQuery),
    responses((status = 200, body = u64, content_type = "text/plain"), (status = "default", body = ErrorBody)))]
pub(crate) async fn count_apps(Path(path): Path<ListPath>, context: RequestContext) -> Result<Response> {
    lists::count(&context, path, (Resource::Apps, &listing::APPS)).await
}

/// Gets one app.
#[utoipa::path(get, path = "/apps/{appId}", tag = "apps", params(("appId" = uuid::Uuid, Path)),
    responses((status = 200, body = App), (status = "default", body = ErrorBody)))]
pub(crate) async fn get_app(Path(app): Path<String>, context: RequestContext) -> Result<Response> {
    let app = apps::get_app(context.service(), &context.principal, context.app(&app)?).await?;
    context.found(&wire_rows::app(app)?, "apps")
}

/// Tells what the caller may do with the app.
#[utoipa::path(post, path = "/apps/{appId}/getMyPermissions", tag = "apps", params(("appId" = uuid::Uuid, Path)),
    responses((status = 200, body = List<AllowedAction>), (status = "default", body = ErrorBody)))]
pub(crate) async fn get_my_permissions(Path(app): Path<String>, context: RequestContext) -> Result<Response> {
    let permissions =
        apps::get_my_permissions(context.service(), &context.principal, context.app(&app)?).await?;
    let actions: Vec<_> = permissions.into_iter().map(AllowedAction::from).collect();
    context.short_list(&actions)
}

/// Tells what the caller may do with the app: the same for clients that know no other verb.
#[utoipa::path(get, path = "/apps/{appId}/getMyPermissions", tag = "apps", params(("appId" = uuid::Uuid, Path)),
    responses((status = 200, body = List<AllowedAction>), (status = "default", body = ErrorBody)))]
pub(crate) async fn get_my_permissions_by_get(
    app: Path<String>,
    context: RequestContext,
) -> Result<Response> {
    get_my_permissions(app, context).await
}

/// Lists the three roles and what they allow.
#[utoipa::path(get, path = "/apps/{appId}/roles", tag = "apps", params(("appId" = uuid::Uuid, Path)),
    responses((status = 200, body = List<RolePermissions>), (status = "default", body = ErrorBody)))]
pub(crate) async fn list_roles(Path(app): Path<String>, context: RequestContext) -> Result<Response> {
    apps::list_roles(context.service(), &context.principal, context.app(&app)?).await?;
    let roles: Vec<_> = Role::ALL.iter().copied().map(RolePermissions::from).collect();
    context.short_list(&roles)
}
