//! The apps of an environment: what is installed, what it can be updated to, and what is asked to change.

use super::{
    AdminContext, EnvironmentPath, PathBelow, answer,
    context::app,
    named,
    rows::{self, Spelling},
};
use crate::{
    actions::customers::{
        apps,
        operations::{self, Which},
        reading::{self, EnvironmentName},
    },
    error::Result,
    http::extract::SmallBody,
};
use axum::{extract::Path, response::Response};
use domain::{environment::AppScope, ids::AppId, problem::Requirement};
use std::collections::HashMap;
use store::environments::Environment;
use wire::admin_center::{
    AdminApp, AdminError, AdminOperation, AvailableUpdate, CancelBody, CancelRequest, InstallBody,
    InstallRequest, Listed, UninstallBody, UninstallRequest, UninstallRequirement, UpdateBody, UpdateRequest,
};

/// Lists the apps that are installed in an environment.
#[utoipa::path(get, path = "/applications/{applicationFamily}/environments/{environmentName}/apps", tag = "admin",
    params(("applicationFamily" = String, Path), ("environmentName" = String, Path)),
    responses((status = 200, body = Listed<AdminApp>), (status = "default", body = AdminError)))]
pub(crate) async fn list_installed_apps(
    Path(path): Path<EnvironmentPath>,
    context: AdminContext,
) -> Result<Response> {
    let found = reading::list_apps(context.service(), &context.customer, &named(path)).await?;
    Ok(answer(&Listed::of(found.iter().map(rows::app))))
}

/// Lists the highest version to which each app of an environment can be updated, and what that needs.
#[utoipa::path(get, path = "/applications/{applicationFamily}/environments/{environmentName}/apps/availableUpdates",
    tag = "admin", params(("applicationFamily" = String, Path), ("environmentName" = String, Path)),
    responses((status = 200, body = Listed<AvailableUpdate>), (status = "default", body = AdminError)))]
pub(crate) async fn list_available_updates(
    Path(path): Path<EnvironmentPath>,
    context: AdminContext,
) -> Result<Response> {
    let found = apps::available_updates(context.service(), &context.customer, &named(path)).await?;
    Ok(answer(&Listed::of(
        found.available.iter().map(rows::available_update),
    )))
}

/// Lists the apps that depend on an app, in the order in which they would have to go before it.
#[utoipa::path(get,
    path = "/applications/{applicationFamily}/environments/{environmentName}/apps/{appId}/uninstallRequirements",
    tag = "admin",
    params(("applicationFamily" = String, Path), ("environmentName" = String, Path), ("appId" = uuid::Uuid, Path)),
    responses((status = 200, body = Listed<UninstallRequirement>), (status = "default", body = AdminError)))]
pub(crate) async fn list_uninstall_requirements(
    Path(path): Path<PathBelow>,
    context: AdminContext,
) -> Result<Response> {
    let (environment, app) = found(&context, path).await?;
    let name = EnvironmentName::of(&environment);
    let (service, customer) = (context.service(), &context.customer);
    let dependents = apps::uninstall_requirements(service, customer, &name, app).await?;
    let scopes: HashMap<_, _> = reading::list_apps(service, customer, &name)
        .await?
        .iter()
        .map(|(app, _)| (app.app_id, rows::scope(app)))
        .collect();
    let shown = |dependent: &Requirement| {
        let scope = scopes.get(&dependent.app_id).copied().unwrap_or(AppScope::Global);
        rows::uninstall_requirement(dependent, scope)
    };
    Ok(answer(&Listed::of(dependents.iter().map(shown))))
}

/// Schedules the install of an app, with what it needs where that is allowed.
#[utoipa::path(post, path = "/applications/{applicationFamily}/environments/{environmentName}/apps/{appId}/install",
    tag = "admin",
    params(("applicationFamily" = String, Path), ("environmentName" = String, Path), ("appId" = uuid::Uuid, Path)),
    request_body = InstallBody,
    responses((status = 200, body = AdminOperation), (status = "default", body = AdminError)))]
pub(crate) async fn install_app(
    Path(path): Path<PathBelow>,
    context: AdminContext,
    SmallBody(body): SmallBody,
) -> Result<Response> {
    let (environment, app) = found(&context, path).await?;
    let request = InstallRequest::read(&body)?;
    let operation =
        apps::install_app(context.service(), &context.customer, &environment, app, request).await?;
    Ok(answer(&rows::operation(&operation, Spelling::OfApp)))
}

/// Schedules the update of an app, with what it needs or would break where that is allowed.
#[utoipa::path(post, path = "/applications/{applicationFamily}/environments/{environmentName}/apps/{appId}/update",
    tag = "admin",
    params(("applicationFamily" = String, Path), ("environmentName" = String, Path), ("appId" = uuid::Uuid, Path)),
    request_body = UpdateBody,
    responses((status = 200, body = AdminOperation), (status = "default", body = AdminError)))]
pub(crate) async fn update_app(
    Path(path): Path<PathBelow>,
    context: AdminContext,
    SmallBody(body): SmallBody,
) -> Result<Response> {
    let (environment, app) = found(&context, path).await?;
    let request = UpdateRequest::read(&body)?;
    let operation =
        apps::update_app(context.service(), &context.customer, &environment, app, request).await?;
    Ok(answer(&rows::operation(&operation, Spelling::OfApp)))
}

/// Schedules that an app is taken out, with what depends on it where that is allowed.
#[utoipa::path(post, path = "/applications/{applicationFamily}/environments/{environmentName}/apps/{appId}/uninstall",
    tag = "admin",
    params(("applicationFamily" = String, Path), ("environmentName" = String, Path), ("appId" = uuid::Uuid, Path)),
    request_body = UninstallBody,
    responses((status = 200, body = AdminOperation), (status = "default", body = AdminError)))]
pub(crate) async fn uninstall_app(
    Path(path): Path<PathBelow>,
    context: AdminContext,
    SmallBody(body): SmallBody,
) -> Result<Response> {
    let (environment, app) = found(&context, path).await?;
    let request = UninstallRequest::read(&body)?;
    let operation =
        apps::uninstall_app(context.service(), &context.customer, &environment, app, request).await?;
    Ok(answer(&rows::operation(&operation, Spelling::OfApp)))
}

/// Calls off an install, update or uninstall of an app that has not begun; without an id the only update that waits.
#[utoipa::path(post,
    path = "/applications/{applicationFamily}/environments/{environmentName}/apps/{appId}/update/cancel", tag = "admin",
    params(("applicationFamily" = String, Path), ("environmentName" = String, Path), ("appId" = uuid::Uuid, Path)),
    request_body = CancelBody,
    responses((status = 200, body = AdminOperation), (status = "default", body = AdminError)))]
pub(crate) async fn cancel_app_operation(
    Path(path): Path<PathBelow>,
    context: AdminContext,
    SmallBody(body): SmallBody,
) -> Result<Response> {
    let (environment, app) = found(&context, path).await?;
    let request = CancelRequest::read(&body)?;
    let which = match request.operation {
        Some(operation) => Which::Of(app, operation),
        None => Which::UpdateOf(app),
    };
    let (service, customer) = (context.service(), &context.customer);
    let canceled =
        operations::cancel_operation(service, customer, &environment, which, request.ignored).await?;
    Ok(answer(&rows::operation(&canceled, Spelling::OfApp)))
}

/// The environment that an address names, and then the app.
async fn found(context: &AdminContext, (family, name, segment): PathBelow) -> Result<(Environment, AppId)> {
    let environment =
        reading::get_environment(context.service(), &context.customer, &named((family, name))).await?;
    Ok((environment, app(&segment)?))
}
