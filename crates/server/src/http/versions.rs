//! `/apps/{appId}/countries/{countryCode}/versions`: packages, up and down.

use super::{
    answer::{ResponseWriter, created},
    download,
    extract::{AppState, RequestContext, SmallBody, id},
    lists, refused_body,
};
use crate::{
    actions::{
        listing,
        upload::{self, UploadTarget},
        versions::{self, shown},
    },
    error::Result,
};
use axum::{
    body::Body,
    extract::{Path, State},
    http::header,
    response::Response,
};
use domain::{
    access::{Permission, Resource},
    country::CountryCode,
    ids::AppId,
    version::AppVersion,
};
use futures::StreamExt;
use std::sync::Arc;
use wire::{
    ErrorBody, List,
    versions::{UploadVersion, Version, VersionPatch, VersionPatchBody},
};

const READ: Permission = Permission::read(Resource::Versions);
const WRITE: Permission = Permission::write(Resource::Versions);

fn fragment(app: AppId, country: CountryCode) -> String {
    format!("apps({app})/countries('{country}')/versions")
}

/// The version that an address names.
async fn addressed(
    state: &AppState,
    context: &RequestContext,
    (app, country, version): &(String, String, String),
    permission: Permission,
) -> Result<(AppId, CountryCode, AppVersion)> {
    let app = context.app(app)?;
    let country = context.country(state, app, country, permission).await?;
    let version = context
        .reveal_to_permitted(state, app, permission, id("versionNumber", version))
        .await?;
    Ok((app, country, version))
}

/// Lists the versions of the app in the country.
#[utoipa::path(get, path = "/apps/{appId}/countries/{countryCode}/versions", tag = "versions",
    params(("appId" = uuid::Uuid, Path), ("countryCode" = String, Path), lists::ListQuery),
    responses((status = 200, body = List<Version>), (status = "default", body = ErrorBody)))]
pub(crate) async fn list_versions(
    State(state): State<Arc<AppState>>,
    Path(path): Path<lists::ListPath>,
    context: RequestContext,
) -> Result<Response> {
    lists::list(
        &state,
        &context,
        path,
        (Resource::Versions, &listing::VERSIONS),
        shown,
    )
    .await
}

/// Counts the versions of the app in the country.
#[utoipa::path(get, path = "/apps/{appId}/countries/{countryCode}/versions/$count", tag = "versions",
    params(("appId" = uuid::Uuid, Path), ("countryCode" = String, Path), lists::CountQuery),
    responses((status = 200, body = u64, content_type = "text/plain"), (status = "default", body = ErrorBody)))]
pub(crate) async fn count_versions(
    State(state): State<Arc<AppState>>,
    Path(path): Path<lists::ListPath>,
    context: RequestContext,
) -> Result<Response> {
    lists::count(&state, &context, path, (Resource::Versions, &listing::VERSIONS)).await
}

/// Uploads a package as a version of the app in the country. The body may be of any size up to the service's limit;
/// it is taken in as it arrives, whatever the order of its properties.
#[utoipa::path(post, path = "/apps/{appId}/countries/{countryCode}/versions", tag = "versions",
    params(("appId" = uuid::Uuid, Path), ("countryCode" = String, Path)), request_body = UploadVersion,
    responses((status = 200, body = Version), (status = "default", body = ErrorBody)))]
pub(crate) async fn upload_version(
    State(state): State<Arc<AppState>>,
    Path((app, country)): Path<(String, String)>,
    context: RequestContext,
    body: Body,
) -> Result<Response> {
    let app = context.app(&app)?;
    let country = context.country(&state, app, &country, WRITE).await?;
    let declared_bytes = context
        .header(header::CONTENT_LENGTH.as_str())
        .and_then(|text| text.parse().ok());
    let target = UploadTarget {
        app,
        country,
        declared_bytes,
    };
    context.expect_entity::<Version>(&state, app, WRITE).await?;
    let mut chunks = body
        .into_data_stream()
        .map(|chunk| chunk.map_err(|error| error.to_string()));
    let uploaded = upload::upload_version(&state.service, &context.principal, target, &mut chunks).await;
    if uploaded.is_err() {
        refused_body::forget(chunks);
    }
    let version = uploaded?;
    let writer = ResponseWriter::new(&state, &context);
    let address = format!("{}/{}", writer.address().trim_end_matches('/'), version.version);
    let response = writer.entity(&shown(version)?, &fragment(app, country))?;
    Ok(created(&writer, response, &address))
}

/// Gets one version.
#[utoipa::path(get, path = "/apps/{appId}/countries/{countryCode}/versions/{versionNumber}", tag = "versions",
    params(("appId" = uuid::Uuid, Path), ("countryCode" = String, Path), ("versionNumber" = String, Path)),
    responses((status = 200, body = Version), (status = "default", body = ErrorBody)))]
pub(crate) async fn get_version(
    State(state): State<Arc<AppState>>,
    Path(path): Path<(String, String, String)>,
    context: RequestContext,
) -> Result<Response> {
    let (app, country, version) = addressed(&state, &context, &path, READ).await?;
    let version = versions::get_version(&state.service, &context.principal, app, country, version).await?;
    context.preconditions.check_read(&version.etag.to_string())?;
    ResponseWriter::new(&state, &context).entity(&shown(version)?, &fragment(app, country))
}

/// Changes a version's availability, sync mode, or what is known of its dependencies.
#[utoipa::path(patch, path = "/apps/{appId}/countries/{countryCode}/versions/{versionNumber}", tag = "versions",
    params(("appId" = uuid::Uuid, Path), ("countryCode" = String, Path), ("versionNumber" = String, Path)),
    request_body = VersionPatchBody,
    responses((status = 200, body = Version), (status = "default", body = ErrorBody)))]
pub(crate) async fn patch_version(
    State(state): State<Arc<AppState>>,
    Path(path): Path<(String, String, String)>,
    context: RequestContext,
    SmallBody(body): SmallBody,
) -> Result<Response> {
    let (app, country, version) = addressed(&state, &context, &path, WRITE).await?;
    context.expect_entity::<Version>(&state, app, WRITE).await?;
    let patch = context
        .reveal_to_permitted(&state, app, WRITE, VersionPatch::read(&body))
        .await?;
    let key = versions::key(app, country, version);
    let conditions = context.preconditions.clone();
    let version = versions::patch_version(&state.service, &context.principal, key, patch, conditions).await?;
    ResponseWriter::new(&state, &context).entity(&shown(version)?, &fragment(app, country))
}

/// Downloads the package of a version: the very bytes of the upload.
#[utoipa::path(post, path = "/apps/{appId}/countries/{countryCode}/versions/{versionNumber}/getPackageContents",
    tag = "versions",
    params(("appId" = uuid::Uuid, Path), ("countryCode" = String, Path), ("versionNumber" = String, Path)),
    responses((status = 200, body = Vec<u8>, content_type = "application/octet-stream"),
        (status = 206, body = Vec<u8>, content_type = "application/octet-stream"),
        (status = "default", body = ErrorBody)))]
pub(crate) async fn get_package_contents(
    State(state): State<Arc<AppState>>,
    Path(path): Path<(String, String, String)>,
    context: RequestContext,
) -> Result<Response> {
    let (app, country, version) = addressed(&state, &context, &path, READ).await?;
    let version =
        versions::get_packaged_version(&state.service, &context.principal, app, country, version).await?;
    download::package(&state.service, &context, &version).await
}
