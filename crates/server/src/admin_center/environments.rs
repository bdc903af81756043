//! Environments, and the places at which clients look for updates of the platform, of which there are none.

use super::{AdminContext, EnvironmentPath, PathBelow, answer, named, rows};
use crate::{
    actions::customers::reading,
    error::Result,
    http::extract::{AppState, SmallBody},
};
use axum::{
    extract::{Path, State},
    response::Response,
};
use domain::{ids::TenantId, problem::RuleError};
use std::sync::Arc;
use store::environments::Environment;
use wire::admin_center::{AdminEnvironment, AdminError, Deployment, Listed};

/// Lists the tenant's environments.
#[utoipa::path(get, path = "/applications/environments", tag = "admin",
    responses((status = 200, body = Listed<AdminEnvironment>), (status = "default", body = AdminError)))]
pub(crate) async fn list_own_environments(context: AdminContext) -> Result<Response> {
    list(&context, None).await
}

/// Lists the tenant's environments of a family.
#[utoipa::path(get, path = "/applications/{applicationFamily}/environments", tag = "admin",
    params(("applicationFamily" = String, Path)),
    responses((status = 200, body = Listed<AdminEnvironment>), (status = "default", body = AdminError)))]
pub(crate) async fn list_own_environments_of_family(
    Path(family): Path<String>,
    context: AdminContext,
) -> Result<Response> {
    list(&context, Some(&family)).await
}

async fn list(context: &AdminContext, family: Option<&str>) -> Result<Response> {
    let found = reading::list_environments(context.service(), &context.customer, family).await?;
    let shown = |environment: &Environment| rows::environment(environment);
    Ok(answer(&Listed::of(found.iter().map(shown))))
}

/// Gets one of the tenant's environments.
#[utoipa::path(get, path = "/applications/{applicationFamily}/environments/{environmentName}", tag = "admin",
    params(("applicationFamily" = String, Path), ("environmentName" = String, Path)),
    responses((status = 200, body = AdminEnvironment), (status = "default", body = AdminError)))]
pub(crate) async fn get_own_environment(
    Path(path): Path<EnvironmentPath>,
    context: AdminContext,
) -> Result<Response> {
    let found = reading::get_environment(context.service(), &context.customer, &named(path)).await?;
    Ok(answer(&rows::environment(&found)))
}

/// Lists the updates of the platform that an environment can choose from: none, as it is not updated from here.
#[utoipa::path(get, path = "/applications/{applicationFamily}/environments/{environmentName}/updates", tag = "admin",
    params(("applicationFamily" = String, Path), ("environmentName" = String, Path)),
    responses((status = 200, body = Listed<String>), (status = "default", body = AdminError)))]
pub(crate) async fn list_platform_updates(
    Path(path): Path<EnvironmentPath>,
    context: AdminContext,
) -> Result<Response> {
    reading::get_environment(context.service(), &context.customer, &named(path)).await?;
    Ok(answer(&Listed::<String>::default()))
}

/// Chooses an update of the platform, of which there is none.
pub(crate) async fn choose_platform_update(
    Path((family, name, version)): Path<PathBelow>,
    context: AdminContext,
    _: SmallBody,
) -> Result<Response> {
    let environment = named((family, name));
    reading::get_environment(context.service(), &context.customer, &environment).await?;
    let message = format!(
        "There is no such update: this service does not update the platform, to {version} or otherwise."
    );
    Err(RuleError::broken("NoSuchUpdate", message)
        .about("targetVersion")
        .into())
}

/// The update of the platform that is scheduled, as it was asked for before v2.26.
pub(crate) async fn scheduled_platform_update(
    Path(path): Path<EnvironmentPath>,
    context: AdminContext,
) -> Result<Response> {
    let environment = named(path);
    reading::get_environment(context.service(), &context.customer, &environment).await?;
    let target = format!("{environment}/upgrade");
    let message = "No update of the platform is scheduled: this service does not update it.";
    Err(RuleError::missing(target, message).into())
}

/// Whether an environment can be worked with, for anybody who asks at the web address of environments.
pub(crate) async fn get_deployment(
    State(state): State<Arc<AppState>>,
    Path((tenant, name)): Path<(String, String)>,
) -> Result<Response> {
    let service = &state.service;
    if !service.settings.customers.deployment_url {
        let target = format!("/{tenant}/{name}/deployment/url");
        return Err(RuleError::missing(target, "Nothing is told here without signing in.").into());
    }
    let found = match tenant.parse::<TenantId>() {
        Ok(tenant) => reading::find_deployment(service, tenant, &name).await?,
        Err(_) => None,
    };
    Ok(answer(&found.as_ref().map_or_else(nowhere, rows::deployment)))
}

fn nowhere() -> Deployment {
    Deployment {
        status: "DoesNotExist".to_owned(),
        data: None,
        environment_type: None,
    }
}
