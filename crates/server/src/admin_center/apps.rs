//! The apps of an environment.

use super::{AdminContext, EnvironmentPath, answer, named, rows};
use crate::{actions::customers::reading, error::Result};
use axum::{extract::Path, response::Response};
use wire::admin_center::{AdminApp, AdminError, Listed};

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
