//! Operations: the same ones at every address, whose `type` is spelt in two ways.

use super::{
    AdminContext, EnvironmentPath, PathBelow, answer,
    context::{app, id},
    named,
    rows::{self, Spelling},
};
use crate::{
    actions::customers::{
        operations::{self, Which},
        reading::{self, OperationsAt},
    },
    error::Result,
    http::extract::SmallBody,
};
use axum::{extract::Path, response::Response};
use domain::{environment::DEFAULT_FAMILY, ids::OperationId};
use wire::admin_center::{AdminError, AdminOperation, Listed, PostponeBody, PostponeRequest};

/// Lists the operations of all environments of the tenant, the newest first.
#[utoipa::path(get, path = "/environments/operations", tag = "admin",
    responses((status = 200, body = Listed<AdminOperation>), (status = "default", body = AdminError)))]
pub(crate) async fn list_tenant_operations(context: AdminContext) -> Result<Response> {
    list(&context, &OperationsAt::Tenant, Spelling::OfEnvironment).await
}

/// Gets an operation in any environment of the tenant.
#[utoipa::path(get, path = "/environments/operations/{id}", tag = "admin", params(("id" = uuid::Uuid, Path)),
    responses((status = 200, body = AdminOperation), (status = "default", body = AdminError)))]
pub(crate) async fn get_tenant_operation(
    Path(operation): Path<String>,
    context: AdminContext,
) -> Result<Response> {
    one(
        &context,
        &OperationsAt::Tenant,
        &operation,
        Spelling::OfEnvironment,
    )
    .await
}

/// The same list at an address that the original had before: the family says nothing there.
pub(crate) async fn list_tenant_operations_of_family(
    Path(_): Path<String>,
    context: AdminContext,
) -> Result<Response> {
    list(&context, &OperationsAt::Tenant, Spelling::OfEnvironment).await
}

/// Lists an environment's operations at an address without a family.
pub(crate) async fn list_operations_of_name(
    Path(name): Path<String>,
    context: AdminContext,
) -> Result<Response> {
    let at = OperationsAt::Environment(named((DEFAULT_FAMILY.to_owned(), name)), None);
    list(&context, &at, Spelling::OfEnvironment).await
}

/// Lists an environment's operations, the newest first.
#[utoipa::path(get, path = "/applications/{applicationFamily}/environments/{environmentName}/operations", tag = "admin",
    params(("applicationFamily" = String, Path), ("environmentName" = String, Path)),
    responses((status = 200, body = Listed<AdminOperation>), (status = "default", body = AdminError)))]
pub(crate) async fn list_environment_operations(
    Path(path): Path<EnvironmentPath>,
    context: AdminContext,
) -> Result<Response> {
    list(
        &context,
        &OperationsAt::Environment(named(path), None),
        Spelling::OfEnvironment,
    )
    .await
}

/// Gets an operation in an environment.
#[utoipa::path(get, path = "/applications/{applicationFamily}/environments/{environmentName}/operations/{id}", tag = "admin",
    params(("applicationFamily" = String, Path), ("environmentName" = String, Path), ("id" = uuid::Uuid, Path)),
    responses((status = 200, body = AdminOperation), (status = "default", body = AdminError)))]
pub(crate) async fn get_environment_operation(
    Path((family, name, operation)): Path<PathBelow>,
    context: AdminContext,
) -> Result<Response> {
    let at = OperationsAt::Environment(named((family, name)), None);
    one(&context, &at, &operation, Spelling::OfEnvironment).await
}

/// Lists the operations of an app in an environment, the newest first.
#[utoipa::path(get, path = "/applications/{applicationFamily}/environments/{environmentName}/apps/{appId}/operations",
    tag = "admin",
    params(("applicationFamily" = String, Path), ("environmentName" = String, Path), ("appId" = uuid::Uuid, Path)),
    responses((status = 200, body = Listed<AdminOperation>), (status = "default", body = AdminError)))]
pub(crate) async fn list_app_operations(
    Path((family, name, segment)): Path<PathBelow>,
    context: AdminContext,
) -> Result<Response> {
    let environment = named((family, name));
    reading::get_environment(context.service(), &context.customer, &environment).await?;
    let at = OperationsAt::Environment(environment, Some(app(&segment)?));
    list(&context, &at, Spelling::OfApp).await
}

/// Gets an operation of an app in an environment.
#[utoipa::path(get,
    path = "/applications/{applicationFamily}/environments/{environmentName}/apps/{appId}/operations/{id}", tag = "admin",
    params(("applicationFamily" = String, Path), ("environmentName" = String, Path), ("appId" = uuid::Uuid, Path),
        ("id" = uuid::Uuid, Path)),
    responses((status = 200, body = AdminOperation), (status = "default", body = AdminError)))]
pub(crate) async fn get_app_operation(
    Path((family, name, segment, operation)): Path<(String, String, String, String)>,
    context: AdminContext,
) -> Result<Response> {
    let environment = named((family, name));
    reading::get_environment(context.service(), &context.customer, &environment).await?;
    let at = OperationsAt::Environment(environment, Some(app(&segment)?));
    one(&context, &at, &operation, Spelling::OfApp).await
}

async fn list(context: &AdminContext, at: &OperationsAt, spelling: Spelling) -> Result<Response> {
    let found = reading::list_operations(context.service(), &context.customer, at).await?;
    Ok(answer(&Listed::of(
        found.iter().map(|operation| rows::operation(operation, spelling)),
    )))
}

async fn one(
    context: &AdminContext,
    at: &OperationsAt,
    segment: &str,
    spelling: Spelling,
) -> Result<Response> {
    if let OperationsAt::Environment(environment, _) = at {
        reading::get_environment(context.service(), &context.customer, environment).await?;
    }
    let operation = id::<OperationId>("id", segment)?;
    let found = reading::get_operation(context.service(), &context.customer, at, operation).await?;
    Ok(answer(&rows::operation(&found, spelling)))
}

/// Calls off an operation in an environment that has not begun; hotfixes are called off by their vendors.
#[utoipa::path(post,
    path = "/applications/{applicationFamily}/environments/{environmentName}/operations/{id}/cancel", tag = "admin",
    params(("applicationFamily" = String, Path), ("environmentName" = String, Path), ("id" = uuid::Uuid, Path)),
    responses((status = 200, body = AdminOperation), (status = "default", body = AdminError)))]
pub(crate) async fn cancel_environment_operation(
    Path((family, name, operation)): Path<PathBelow>,
    context: AdminContext,
    _: SmallBody,
) -> Result<Response> {
    let (service, customer) = (context.service(), &context.customer);
    let environment = reading::get_environment(service, customer, &named((family, name))).await?;
    let which = Which::Any(id("id", &operation)?);
    let canceled = operations::cancel_operation(service, customer, &environment, which, Vec::new()).await?;
    Ok(answer(&rows::operation(&canceled, Spelling::OfEnvironment)))
}

/// Puts a vendor's hotfix off that has not begun, for as long as the operator of the service lets customers do so.
///
/// Ours: the original knows no such call. The vendor sees that it was put off, until when, and why.
#[utoipa::path(post,
    path = "/applications/{applicationFamily}/environments/{environmentName}/operations/{id}/postpone", tag = "admin",
    params(("applicationFamily" = String, Path), ("environmentName" = String, Path), ("id" = uuid::Uuid, Path)),
    request_body = PostponeBody,
    responses((status = 200, body = AdminOperation), (status = "default", body = AdminError)))]
pub(crate) async fn postpone_operation(
    Path((family, name, operation)): Path<PathBelow>,
    context: AdminContext,
    SmallBody(body): SmallBody,
) -> Result<Response> {
    let (service, customer) = (context.service(), &context.customer);
    let environment = reading::get_environment(service, customer, &named((family, name))).await?;
    let operation = id::<OperationId>("id", &operation)?;
    let PostponeRequest { until, reason } = PostponeRequest::read(&body)?;
    let postponed =
        operations::postpone_hotfix(service, customer, &environment, operation, until, reason).await?;
    Ok(answer(&rows::operation(&postponed, Spelling::OfEnvironment)))
}
