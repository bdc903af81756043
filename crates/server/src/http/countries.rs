//! `/apps/{appId}/countries`: the countries that the app was added to.

use super::{
    answer::ResponseWriter,
    extract::{AppState, RequestContext, SmallBody},
    lists,
};
use crate::{
    actions::{countries, listing},
    error::Result,
};
use axum::{
    extract::{Path, State},
    response::Response,
};
use domain::{
    access::{Permission, Resource},
    ids::AppId,
};
use std::sync::Arc;
use wire::{
    ErrorBody, List,
    countries::{Country, CountryPatch},
};

const READ: Permission = Permission::read(Resource::Countries);
const WRITE: Permission = Permission::write(Resource::Countries);

pub(crate) fn shown(country: store::countries::Country) -> Result<Country> {
    Ok(Country {
        country_code: country.code,
        etag: country.etag,
    })
}

fn fragment(app: AppId) -> String {
    format!("apps({app})/countries")
}

/// Lists the countries that the app was added to.
#[utoipa::path(get, path = "/apps/{appId}/countries", tag = "countries",
    params(("appId" = uuid::Uuid, Path), lists::ListQuery),
    responses((status = 200, body = List<Country>), (status = "default", body = ErrorBody)))]
pub(crate) async fn list_countries(
    State(state): State<Arc<AppState>>,
    Path(path): Path<lists::ListPath>,
    context: RequestContext,
) -> Result<Response> {
    lists::list(
        &state,
        &context,
        path,
        (Resource::Countries, &listing::COUNTRIES),
        shown,
    )
    .await
}

/// Counts the countries that the app was added to.
#[utoipa::path(get, path = "/apps/{appId}/countries/$count", tag = "countries",
    params(("appId" = uuid::Uuid, Path), lists::CountQuery),
    responses((status = 200, body = u64, content_type = "text/plain"), (status = "default", body = ErrorBody)))]
pub(crate) async fn count_countries(
    State(state): State<Arc<AppState>>,
    Path(path): Path<lists::ListPath>,
    context: RequestContext,
) -> Result<Response> {
    lists::count(&state, &context, path, (Resource::Countries, &listing::COUNTRIES)).await
}

/// Gets one country of the app.
#[utoipa::path(get, path = "/apps/{appId}/countries/{countryCode}", tag = "countries",
    params(("appId" = uuid::Uuid, Path), ("countryCode" = String, Path)),
    responses((status = 200, body = Country), (status = "default", body = ErrorBody)))]
pub(crate) async fn get_country(
    State(state): State<Arc<AppState>>,
    Path((app, country)): Path<(String, String)>,
    context: RequestContext,
) -> Result<Response> {
    let app = context.app(&app)?;
    let country = context.country(&state, app, &country, READ).await?;
    let country = shown(countries::get_country(&state.service, &context.principal, app, country).await?)?;
    context.preconditions.check_read(&country.etag.to_string())?;
    ResponseWriter::new(&state, &context).entity(&country, &fragment(app))
}

/// Adds a country to the app; one that is there already stays as it is.
#[utoipa::path(patch, path = "/apps/{appId}/countries/{countryCode}", tag = "countries",
    params(("appId" = uuid::Uuid, Path), ("countryCode" = String, Path)), request_body = CountryPatch,
    responses((status = 200, body = Country), (status = "default", body = ErrorBody)))]
pub(crate) async fn patch_country(
    State(state): State<Arc<AppState>>,
    Path((app, country)): Path<(String, String)>,
    context: RequestContext,
    SmallBody(body): SmallBody,
) -> Result<Response> {
    let app = context.app(&app)?;
    let country = context.country(&state, app, &country, WRITE).await?;
    context.expect_entity::<Country>(&state, app, WRITE).await?;
    let read = CountryPatch::read(&body).and_then(|patch| patch.check_path(country));
    context.reveal_to_permitted(&state, app, WRITE, read).await?;
    let preconditions = context.preconditions.clone();
    let country =
        countries::patch_country(&state.service, &context.principal, app, country, preconditions).await?;
    ResponseWriter::new(&state, &context).entity(&shown(country)?, &fragment(app))
}
