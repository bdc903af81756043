//! `/apps/{appId}/countries`: the countries that the app was added to.

use super::{
    answer::Frame,
    extract::{Asking, Door, SmallBody},
    lists,
};
use crate::{
    actions::{countries, listing},
    error::{Error, Result},
    store,
};
use axum::{
    extract::{Path, State},
    response::Response,
};
use domain::{
    access::{Permission, Resource},
    country::CountryCode,
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
    let country_code = CountryCode::parse(&country.code, true).map_err(Error::fault)?;
    Ok(Country {
        country_code,
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
    State(door): State<Arc<Door>>,
    Path(path): Path<lists::ListPath>,
    asking: Asking,
) -> Result<Response> {
    lists::list(
        &door,
        &asking,
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
    State(door): State<Arc<Door>>,
    Path(path): Path<lists::ListPath>,
    asking: Asking,
) -> Result<Response> {
    lists::count(&door, &asking, path, (Resource::Countries, &listing::COUNTRIES)).await
}

/// Gets one country of the app.
#[utoipa::path(get, path = "/apps/{appId}/countries/{countryCode}", tag = "countries",
    params(("appId" = uuid::Uuid, Path), ("countryCode" = String, Path)),
    responses((status = 200, body = Country), (status = "default", body = ErrorBody)))]
pub(crate) async fn get_country(
    State(door): State<Arc<Door>>,
    Path((app, country)): Path<(String, String)>,
    asking: Asking,
) -> Result<Response> {
    let app = asking.app(&app)?;
    let country = asking.country(&door, app, &country, READ).await?;
    let country = shown(countries::get_country(&door.service, &asking.asker, app, country).await?)?;
    asking.preconditions.check_read(&country.etag.to_string())?;
    Frame::new(&door, &asking).entity(&country, &fragment(app))
}

/// Adds a country to the app; one that is there already stays as it is.
#[utoipa::path(patch, path = "/apps/{appId}/countries/{countryCode}", tag = "countries",
    params(("appId" = uuid::Uuid, Path), ("countryCode" = String, Path)), request_body = CountryPatch,
    responses((status = 200, body = Country), (status = "default", body = ErrorBody)))]
pub(crate) async fn patch_country(
    State(door): State<Arc<Door>>,
    Path((app, country)): Path<(String, String)>,
    asking: Asking,
    SmallBody(body): SmallBody,
) -> Result<Response> {
    let app = asking.app(&app)?;
    let country = asking.country(&door, app, &country, WRITE).await?;
    asking.expect_entity::<Country>(&door, app, WRITE).await?;
    let read = CountryPatch::read(&body).and_then(|patch| patch.check_path(country));
    asking.understood(&door, app, WRITE, read).await?;
    let preconditions = asking.preconditions.clone();
    let country = countries::patch_country(&door.service, &asking.asker, app, country, preconditions).await?;
    Frame::new(&door, &asking).entity(&shown(country)?, &fragment(app))
}
