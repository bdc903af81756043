//! `/apps/{appId}/countries/{countryCode}/environments`: where the app is installed.

use super::{
    address::composite_key,
    answer::ResponseWriter,
    extract::{AppState, RequestContext, id},
    lists,
};
use crate::{
    actions::{
        environments::{self, EnvironmentAddress},
        listing,
    },
    error::Result,
};
use axum::{
    extract::{Path, State},
    response::Response,
};
use domain::{
    access::{Permission, Resource},
    country::CountryCode,
    ids::AppId,
    problem::RuleError,
};
use std::sync::Arc;
use wire::{ErrorBody, List, environments::Environment};

const READ: Permission = Permission::read(Resource::Environments);

pub(crate) fn shown(installation: store::environments::Installation) -> Result<Environment> {
    Ok(Environment {
        aad_tenant_id: installation.tenant_id,
        version: installation.version,
        app_id: installation.app_id,
        country_code: installation.country_code,
        application_family: installation.family,
        location_name: Some(installation.location_name).filter(|name| !name.is_empty()),
        name: installation.name,
        kind: installation.kind,
    })
}

fn fragment(app: AppId, country: CountryCode) -> String {
    format!("apps({app})/countries('{country}')/environments")
}

/// Lists the environments in the country that have the app installed.
#[utoipa::path(get, path = "/apps/{appId}/countries/{countryCode}/environments", tag = "environments",
    params(("appId" = uuid::Uuid, Path), ("countryCode" = String, Path), lists::ListQuery),
    responses((status = 200, body = List<Environment>), (status = "default", body = ErrorBody)))]
pub(crate) async fn list_environments(
    State(state): State<Arc<AppState>>,
    Path(path): Path<lists::ListPath>,
    context: RequestContext,
) -> Result<Response> {
    lists::list(
        &state,
        &context,
        path,
        (Resource::Environments, &listing::ENVIRONMENTS),
        shown,
    )
    .await
}

/// Counts the environments in the country that have the app installed.
#[utoipa::path(get, path = "/apps/{appId}/countries/{countryCode}/environments/$count", tag = "environments",
    params(("appId" = uuid::Uuid, Path), ("countryCode" = String, Path), lists::CountQuery),
    responses((status = 200, body = u64, content_type = "text/plain"), (status = "default", body = ErrorBody)))]
pub(crate) async fn count_environments(
    State(state): State<Arc<AppState>>,
    Path(path): Path<lists::ListPath>,
    context: RequestContext,
) -> Result<Response> {
    lists::count(
        &state,
        &context,
        path,
        (Resource::Environments, &listing::ENVIRONMENTS),
    )
    .await
}

/// Gets one environment that has the app installed, by its name or by OData's key of tenant, family and name.
#[utoipa::path(get, path = "/apps/{appId}/countries/{countryCode}/environments/{name}", tag = "environments",
    params(("appId" = uuid::Uuid, Path), ("countryCode" = String, Path), ("name" = String, Path),
        ("aadTenantId" = Option<uuid::Uuid>, Query, description = "Where several environments have the name: the customer's tenant."),
        ("applicationFamily" = Option<String>, Query, description = "Where several environments have the name: the family.")),
    responses((status = 200, body = Environment), (status = "default", body = ErrorBody)))]
pub(crate) async fn get_environment(
    State(state): State<Arc<AppState>>,
    Path((app, country, name)): Path<(String, String, String)>,
    context: RequestContext,
) -> Result<Response> {
    let app = context.app(&app)?;
    let country = context.country(&state, app, &country, READ).await?;
    let address = context
        .reveal_to_permitted(&state, app, READ, address(&context, name))
        .await?;
    let found =
        environments::get_environment(&state.service, &context.principal, app, country, &address).await?;
    ResponseWriter::new(&state, &context).entity(&shown(found)?, &fragment(app, country))
}

/// The environment that is meant, by the segment and by the query.
fn address(context: &RequestContext, name: String) -> Result<EnvironmentAddress, RuleError> {
    let mut address = EnvironmentAddress {
        name: String::new(),
        tenant_id: None,
        family: None,
    };
    let narrowing = lists::custom_options(&context.info.query);
    for (option, value) in composite_key(&name)
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
