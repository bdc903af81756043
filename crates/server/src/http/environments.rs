//! `/apps/{appId}/countries/{countryCode}/environments`: where the app is installed.

use super::{
    extract::{RequestContext, id},
    lists::{self, ListPath, fragment},
    options::{CountQuery, ListQuery},
};
use crate::{
    actions::{
        environments::{self, EnvironmentAddress},
        listing::{self, ListScope},
    },
    error::Result,
    wire_rows,
};
use axum::{extract::Path, response::Response};
use domain::access::{Permission, Resource};
use wire::{ErrorBody, List, environments::Environment, history::EnvironmentHistory};

const RESOURCE: Resource = Resource::Environments;
const READ: Permission = Permission::read(RESOURCE);

/// Lists the environments in the country that have the app installed.
#[utoipa::path(get, path = "/apps/{appId}/countries/{countryCode}/environments", tag = "environments",
    params(("appId" = uuid::Uuid, Path), ("countryCode" = String, Path), ListQuery),
    responses((status = 200, body = List<Environment>), (status = "default", body = ErrorBody)))]
pub(crate) async fn list_environments(
    Path(path): Path<ListPath>,
    context: RequestContext,
) -> Result<Response> {
    lists::list(
        &context,
        path,
        (RESOURCE, &listing::ENVIRONMENTS),
        wire_rows::environment,
    )
    .await
}

/// Counts the environments in the country that have the app installed.
#[utoipa::path(get, path = "/apps/{appId}/countries/{countryCode}/environments/$count", tag = "environments",
    params(("appId" = uuid::Uuid, Path), ("countryCode" = String, Path), CountQuery),
    responses((status = 200, body = u64, content_type = "text/plain"), (status = "default", body = ErrorBody)))]
pub(crate) async fn count_environments(
    Path(path): Path<ListPath>,
    context: RequestContext,
) -> Result<Response> {
    lists::count(&context, path, (RESOURCE, &listing::ENVIRONMENTS)).await
}

/// Gets one environment that has the app installed, by its name or by OData's key of tenant, family and name.
#[utoipa::path(get, path = "/apps/{appId}/countries/{countryCode}/environments/{name}", tag = "environments",
    params(("appId" = uuid::Uuid, Path), ("countryCode" = String, Path), ("name" = String, Path),
        ("aadTenantId" = Option<uuid::Uuid>, Query, description = "Where several environments have the name: the customer's tenant."),
        ("applicationFamily" = Option<String>, Query, description = "Where several environments have the name: the family.")),
    responses((status = 200, body = Environment), (status = "default", body = ErrorBody)))]
pub(crate) async fn get_environment(
    Path((app, country, name)): Path<(String, String, String)>,
    context: RequestContext,
) -> Result<Response> {
    let app = context.app(&app)?;
    let country = context.country(app, &country, READ).await?;
    let address = context
        .reveal_to_permitted(app, READ, address(&context, name, odata::Resource::Entity))
        .await?;
    let found =
        environments::get_environment(context.service(), &context.principal, app, country, &address).await?;
    context.found(&wire_rows::environment(found)?, &fragment(RESOURCE, app, country))
}

/// Lists what was done with the app in an environment, the newest first: hotfixes, and what its customer asked for.
#[utoipa::path(get, path = "/apps/{appId}/countries/{countryCode}/environments/{name}/history", tag = "environments",
    params(("appId" = uuid::Uuid, Path), ("countryCode" = String, Path), ("name" = String, Path),
        ("aadTenantId" = Option<uuid::Uuid>, Query, description = "Where several environments have the name: the customer's tenant."),
        ("applicationFamily" = Option<String>, Query, description = "Where several environments have the name: the family."),
        ListQuery),
    responses((status = 200, body = List<EnvironmentHistory>), (status = "default", body = ErrorBody)))]
pub(crate) async fn list_environment_history(
    Path((app, country, name)): Path<(String, String, String)>,
    context: RequestContext,
) -> Result<Response> {
    let app = context.app(&app)?;
    let country = context.country(app, &country, READ).await?;
    let address = address(&context, name, odata::Resource::Collection);
    let address = context.reveal_to_permitted(app, READ, address).await?;
    let found =
        environments::get_environment(context.service(), &context.principal, app, country, &address).await?;
    let scope = ListScope::OfEnvironment {
        principal: Some((&context.principal, app)),
        environment: found.installation.environment_id,
    };
    let fragment = format!("{}/history", fragment(RESOURCE, app, country));
    lists::list_scope(
        &context,
        scope,
        (&listing::HISTORY, &fragment),
        wire_rows::history_of_app,
    )
    .await
}

/// The environment that is meant, by the segment and by the query.
fn address(context: &RequestContext, name: String, resource: odata::Resource) -> Result<EnvironmentAddress> {
    let mut address = EnvironmentAddress {
        name: String::new(),
        tenant_id: None,
        family: None,
    };
    let narrowing = context.custom_options(resource)?;
    let key = context.info.named_key.clone();
    for (option, value) in key
        .unwrap_or_else(|| vec![("name".into(), name)])
        .into_iter()
        .chain(narrowing)
    {
        match option.to_ascii_lowercase().as_str() {
            "name" if address.name.is_empty() => address.name = value,
            "aadtenantid" => address.tenant_id = Some(id("aadTenantId", &value)?),
            "applicationfamily" => address.family = Some(value),
            _ => {}
        }
    }
    Ok(address)
}
