//! `/apps/{appId}/countries`: the countries that the app was added to.

use super::{
    extract::{RequestContext, SmallBody},
    lists::{self, ListPath, fragment},
    options::{CountQuery, ListQuery},
    repeat::KeyHeader,
};
use crate::{
    actions::{countries, listing},
    error::Result,
    wire_rows,
};
use axum::{extract::Path, response::Response};
use domain::access::{Permission, Resource};
use wire::{
    ErrorBody, List,
    countries::{Country, CountryPatch},
};

const RESOURCE: Resource = Resource::Countries;
const READ: Permission = Permission::read(RESOURCE);
const WRITE: Permission = Permission::write(RESOURCE);

/// Lists the countries that the app was added to.
#[utoipa::path(get, path = "/apps/{appId}/countries", tag = "countries",
    params(("appId" = uuid::Uuid, Path), ListQuery),
    responses((status = 200, body = List<Country>), (status = "default", body = ErrorBody)))]
pub(crate) async fn list_countries(Path(path): Path<ListPath>, context: RequestContext) -> Result<Response> {
    lists::list(
        &context,
        path,
        (RESOURCE, &listing::COUNTRIES),
        wire_rows::country,
    )
    .await
}

/// Counts the countries that the app was added to.
#[utoipa::path(get, path = "/apps/{appId}/countries/$count", tag = "countries",
    params(("appId" = uuid::Uuid, Path), CountQuery),
    responses((status = 200, body = u64, content_type = "text/plain"), (status = "default", body = ErrorBody)))]
pub(crate) async fn count_countries(Path(path): Path<ListPath>, context: RequestContext) -> Result<Response> {
    lists::count(&context, path, (RESOURCE, &listing::COUNTRIES)).await
}

/// Gets one country of the app.
#[utoipa::path(get, path = "/apps/{appId}/countries/{countryCode}", tag = "countries",
    params(("appId" = uuid::Uuid, Path), ("countryCode" = String, Path)),
    responses((status = 200, body = Country), (status = "default", body = ErrorBody)))]
pub(crate) async fn get_country(
    Path((app, country)): Path<(String, String)>,
    context: RequestContext,
) -> Result<Response> {
    let app = context.app(&app)?;
    let country = context.country(app, &country, READ).await?;
    let country = countries::get_country(context.service(), &context.principal, app, country).await?;
    context.found(&wire_rows::country(country)?, &fragment(RESOURCE, app, None))
}

/// Adds a country to the app; one that is there already stays as it is.
#[utoipa::path(patch, path = "/apps/{appId}/countries/{countryCode}", tag = "countries",
    params(("appId" = uuid::Uuid, Path), ("countryCode" = String, Path),
        KeyHeader), request_body = CountryPatch,
    responses((status = 200, body = Country), (status = "default", body = ErrorBody)))]
pub(crate) async fn patch_country(
    Path((app, country)): Path<(String, String)>,
    context: RequestContext,
    SmallBody(body): SmallBody,
) -> Result<Response> {
    let app = context.app(&app)?;
    let country = context.country(app, &country, WRITE).await?;
    context.expect_entity::<Country>(app, WRITE).await?;
    let read = CountryPatch::read(&body).and_then(|patch| patch.check_path(country));
    context.reveal_to_permitted(app, WRITE, read).await?;
    let conditions = context.conditions(&body);
    let conditions = context.reveal_to_permitted(app, WRITE, conditions).await?;
    let country =
        countries::patch_country(context.service(), &context.principal, app, country, conditions).await?;
    context.entity(&wire_rows::country(country)?, &fragment(RESOURCE, app, None))
}
