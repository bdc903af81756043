//! `/apps`: the apps on which the caller has a role.

use super::{
    answer::ResponseWriter,
    extract::{AppState, RequestContext},
    lists,
};
use crate::{
    actions::{apps, listing},
    error::Result,
};
use axum::{
    extract::{Path, State},
    response::Response,
};
use domain::principal::Role;
use std::sync::Arc;
use wire::{
    ErrorBody, List,
    apps::{AllowedAction, App, RolePermissions},
};

/// An app as its principals see it.
pub(crate) fn shown(app: store::apps::App) -> Result<App> {
    Ok(App {
        id: app.id,
        publisher: app.publisher,
        publisher_aad_tenant_id: Some(app.publisher_tenant_id),
        publisher_contact_email: app.publisher_contact_email,
        storage_location: app.storage_location,
        name: app.name,
        etag: app.etag,
    })
}

/// Lists the apps on which the caller has a role.
#[utoipa::path(get, path = "/apps", tag = "apps", params(lists::ListQuery),
    responses((status = 200, body = List<App>), (status = "default", body = ErrorBody)))]
pub(crate) async fn list_apps(
    State(state): State<Arc<AppState>>,
    context: RequestContext,
) -> Result<Response> {
    let writer = ResponseWriter::new(&state, &context);
    let (request, view) = lists::read(&writer, &listing::APPS)?;
    let page = listing::list_apps(&state.service, &context.principal, request).await?;
    lists::answer(&writer, view, page, "apps", shown).await
}

/// Counts the apps on which the caller has a role.
#[utoipa::path(get, path = "/apps/$count", tag = "apps", params(lists::CountQuery),
    responses((status = 200, body = u64, content_type = "text/plain"), (status = "default", body = ErrorBody)))]
pub(crate) async fn count_apps(
    State(state): State<Arc<AppState>>,
    context: RequestContext,
) -> Result<Response> {
    let writer = ResponseWriter::new(&state, &context);
    let request = lists::read_count(&writer, &listing::APPS)?;
    let count = listing::count_apps(&state.service, &context.principal, request).await?;
    Ok(lists::count_answer(count))
}

/// Gets one app.
#[utoipa::path(get, path = "/apps/{appId}", tag = "apps", params(("appId" = uuid::Uuid, Path)),
    responses((status = 200, body = App), (status = "default", body = ErrorBody)))]
pub(crate) async fn get_app(
    State(state): State<Arc<AppState>>,
    Path(app): Path<String>,
    context: RequestContext,
) -> Result<Response> {
    let app = shown(apps::get_app(&state.service, &context.principal, context.app(&app)?).await?)?;
    context.preconditions.check_read(&app.etag.to_string())?;
    ResponseWriter::new(&state, &context).entity(&app, "apps")
}

/// Tells what the caller may do with the app.
#[utoipa::path(post, path = "/apps/{appId}/getMyPermissions", tag = "apps", params(("appId" = uuid::Uuid, Path)),
    responses((status = 200, body = List<AllowedAction>), (status = "default", body = ErrorBody)))]
pub(crate) async fn get_my_permissions(
    State(state): State<Arc<AppState>>,
    Path(app): Path<String>,
    context: RequestContext,
) -> Result<Response> {
    let permissions =
        apps::get_my_permissions(&state.service, &context.principal, context.app(&app)?).await?;
    let actions: Vec<_> = permissions.into_iter().map(AllowedAction::from).collect();
    ResponseWriter::new(&state, &context).short_list(&actions, "Collection(AppManagement.allowedAction)")
}

/// Lists the three roles and what they allow.
#[utoipa::path(get, path = "/apps/{appId}/roles", tag = "apps", params(("appId" = uuid::Uuid, Path)),
    responses((status = 200, body = List<RolePermissions>), (status = "default", body = ErrorBody)))]
pub(crate) async fn list_roles(
    State(state): State<Arc<AppState>>,
    Path(app): Path<String>,
    context: RequestContext,
) -> Result<Response> {
    apps::list_roles(&state.service, &context.principal, context.app(&app)?).await?;
    let roles: Vec<_> = Role::ALL.iter().copied().map(RolePermissions::from).collect();
    ResponseWriter::new(&state, &context).short_list(&roles, "Collection(AppManagement.role)")
}
