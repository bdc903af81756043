//! `/apps/{appId}/countries/{countryCode}/versions`: packages, up and down.

use super::{
    answer::{insert, json},
    download,
    encoding::{declared_bytes, decoded_upload},
    extract::{RequestContext, SmallBody},
    lists::{self, ListPath, fragment},
    openapi::FileBytes,
    options::{CountQuery, ListQuery},
    repeat::KeyHeader,
};
use crate::{
    actions::{
        forecasts, listing,
        upload::{self, UploadTarget},
        versions::{self, READ_ENVIRONMENTS},
    },
    error::{Error, Result},
    wire_rows,
};
use axum::{
    body::Body,
    extract::Path,
    http::{StatusCode, header},
    response::Response,
};
use domain::{
    access::{Permission, Resource},
    catalogue,
    country::CountryCode,
    ids::AppId,
    version::{AppVersion, Dependency},
};
use wire::{
    ErrorBody, List,
    versions::{UploadVersion, UploadedVersion, Version, VersionPatch, VersionPatchBody, VersionWhatIf},
};

const RESOURCE: Resource = Resource::Versions;
const READ: Permission = Permission::read(RESOURCE);
const WRITE: Permission = Permission::write(RESOURCE);
/// What of a version is found out where it is selected.
const TOLD: &[&str] = &["warnings", "missingDependencies"];

/// The version that an address names.
async fn addressed(
    context: &RequestContext,
    (app, country, version): &(String, String, String),
    permission: Permission,
) -> Result<(AppId, CountryCode, AppVersion)> {
    let app = context.app(app)?;
    let country = context.country(app, country, permission).await?;
    let version = context.key(app, ("versionNumber", version), permission).await?;
    Ok((app, country, version))
}

/// Lists the versions of the app in the country.
#[utoipa::path(get, path = "/apps/{appId}/countries/{countryCode}/versions", tag = "versions",
    params(("appId" = uuid::Uuid, Path), ("countryCode" = String, Path), ListQuery),
    responses((status = 200, body = List<Version>), (status = "default", body = ErrorBody)))]
pub(crate) async fn list_versions(Path(path): Path<ListPath>, context: RequestContext) -> Result<Response> {
    lists::list(&context, path, (RESOURCE, &listing::VERSIONS), wire_rows::version).await
}

/// Lists the versions of the app in all its countries, with what tells their packages from each other.
#[utoipa::path(get, path = "/apps/{appId}/versions", tag = "versions",
    params(("appId" = uuid::Uuid, Path), ListQuery),
    responses((status = 200, body = List<UploadedVersion>), (status = "default", body = ErrorBody)))]
pub(crate) async fn list_uploaded_versions(
    Path(path): Path<ListPath>,
    context: RequestContext,
) -> Result<Response> {
    let list = (RESOURCE, &*listing::UPLOADED_VERSIONS);
    lists::list(&context, path, list, wire_rows::uploaded_version).await
}

/// Counts the versions of the app in the country.
#[utoipa::path(get, path = "/apps/{appId}/countries/{countryCode}/versions/$count", tag = "versions",
    params(("appId" = uuid::Uuid, Path), ("countryCode" = String, Path), CountQuery),
    responses((status = 200, body = u64, content_type = "text/plain"), (status = "default", body = ErrorBody)))]
pub(crate) async fn count_versions(Path(path): Path<ListPath>, context: RequestContext) -> Result<Response> {
    lists::count(&context, path, (RESOURCE, &listing::VERSIONS)).await
}

/// Uploads a package as a version of the app in the country. The body may be of any size up to the service's limit;
/// it is taken in as it arrives, whatever the order of its properties.
#[utoipa::path(post, path = "/apps/{appId}/countries/{countryCode}/versions", tag = "versions",
    params(("appId" = uuid::Uuid, Path), ("countryCode" = String, Path),
        KeyHeader), request_body = UploadVersion,
    responses((status = 200, body = Version), (status = 201, body = Version), (status = "default", body = ErrorBody)))]
pub(crate) async fn upload_version(
    Path((app, country)): Path<(String, String)>,
    context: RequestContext,
    body: Body,
) -> Result<Response> {
    let app = context.app(&app)?;
    let country = context.country(app, &country, WRITE).await?;
    let target = UploadTarget {
        app,
        country,
        declared_bytes: declared_bytes(&context.headers),
    };
    context.expect_entity::<Version>(app, WRITE).await?;
    context.expect_no_tag(app, WRITE).await?;
    let decoded = decoded_upload(&context.headers, body);
    let mut chunks = context.reveal_to_permitted(app, WRITE, decoded).await?;
    // Of the body only the package counts, whose hash is known when it has arrived.
    let repeatable = context.repeatable(b"");
    let repeatable = context.reveal_to_permitted(app, WRITE, repeatable).await?;
    let (service, principal) = (context.service(), &context.principal);
    let version = upload::upload_version(service, principal, target, repeatable, &mut chunks).await?;
    let key = version.version.to_string();
    let is_wanted = context.selects::<Version>(TOLD)?;
    let told = forecasts::told_with(service, principal, version, is_wanted).await;
    let response = context.entity(&wire_rows::told_version(told)?, &fragment(RESOURCE, app, country))?;
    Ok(context.created(response, &key))
}

/// Gets one version.
#[utoipa::path(get, path = "/apps/{appId}/countries/{countryCode}/versions/{versionNumber}", tag = "versions",
    params(("appId" = uuid::Uuid, Path), ("countryCode" = String, Path), ("versionNumber" = String, Path)),
    responses((status = 200, body = Version), (status = "default", body = ErrorBody)))]
pub(crate) async fn get_version(
    Path(path): Path<(String, String, String)>,
    context: RequestContext,
) -> Result<Response> {
    let (app, country, version) = addressed(&context, &path, READ).await?;
    let (service, principal) = (context.service(), &context.principal);
    let version = versions::get_version(service, principal, app, country, version).await?;
    let is_wanted = context.selects::<Version>(TOLD)?;
    let told = forecasts::told_with(service, principal, version, is_wanted).await;
    context.found(&wire_rows::told_version(told)?, &fragment(RESOURCE, app, country))
}

/// Changes a version's availability, sync mode, or what is known of its dependencies.
#[utoipa::path(patch, path = "/apps/{appId}/countries/{countryCode}/versions/{versionNumber}", tag = "versions",
    params(("appId" = uuid::Uuid, Path), ("countryCode" = String, Path), ("versionNumber" = String, Path),
        KeyHeader), request_body = VersionPatchBody,
    responses((status = 200, body = Version), (status = "default", body = ErrorBody)))]
pub(crate) async fn patch_version(
    Path(path): Path<(String, String, String)>,
    context: RequestContext,
    SmallBody(body): SmallBody,
) -> Result<Response> {
    let (app, country, version) = addressed(&context, &path, WRITE).await?;
    context.expect_entity::<Version>(app, WRITE).await?;
    let patch = context
        .reveal_to_permitted(app, WRITE, VersionPatch::read(&body))
        .await?;
    let key = versions::key(app, country, version);
    let conditions = context.conditions(&body);
    let conditions = context.reveal_to_permitted(app, WRITE, conditions).await?;
    let version =
        versions::patch_version(context.service(), &context.principal, key, patch, conditions).await?;
    let warning = catalogue::unusable(&version.dependencies)
        .next()
        .map(fits_nothing);
    let mut answer = context.entity(&wire_rows::version(version)?, &fragment(RESOURCE, app, country))?;
    if let Some(warning) = warning {
        insert(answer.headers_mut(), header::WARNING, &warning);
    }
    Ok(answer)
}

/// Tells what a change of a version would hit: environments, hotfixes that wait, and what needs it. Nothing changes.
#[utoipa::path(post, path = "/apps/{appId}/countries/{countryCode}/versions/{versionNumber}/whatIf", tag = "versions",
    params(("appId" = uuid::Uuid, Path), ("countryCode" = String, Path), ("versionNumber" = String, Path)),
    request_body = VersionPatchBody,
    responses((status = 200, body = VersionWhatIf), (status = "default", body = ErrorBody)))]
pub(crate) async fn what_if_version(
    Path(path): Path<(String, String, String)>,
    context: RequestContext,
    SmallBody(body): SmallBody,
) -> Result<Response> {
    let (app, country, version) = addressed(&context, &path, READ_ENVIRONMENTS).await?;
    let patch = VersionPatch::read(&body);
    let patch = context.reveal_to_permitted(app, READ_ENVIRONMENTS, patch).await?;
    context.expect_no_tag(app, READ_ENVIRONMENTS).await?;
    let key = versions::key(app, country, version);
    let hit = versions::what_if_version(context.service(), &context.principal, key, patch).await?;
    let body = serde_json::to_vec(&hit).map_err(Error::fault)?;
    Ok(json(context.info.format, StatusCode::OK, Body::from(body)))
}

/// The warning about a dependency that no version of fits. Names may have characters that no header has.
fn fits_nothing(dependency: &Dependency) -> String {
    let from = dependency.incompatible_from.unwrap_or_default();
    format!(
        "299 - \"incompatibleFromVersion {from} of app {} is not above {}, the least version needed: no version fits\"",
        dependency.app_id, dependency.min_version
    )
}

/// Downloads the package of a version: the very bytes of the upload.
#[utoipa::path(post, path = "/apps/{appId}/countries/{countryCode}/versions/{versionNumber}/getPackageContents",
    tag = "versions",
    params(("appId" = uuid::Uuid, Path), ("countryCode" = String, Path), ("versionNumber" = String, Path)),
    responses((status = 200, body = inline(FileBytes), content_type = "application/octet-stream"),
        (status = 206, body = inline(FileBytes), content_type = "application/octet-stream"),
        (status = "default", body = ErrorBody)))]
pub(crate) async fn get_package_contents(
    Path(path): Path<(String, String, String)>,
    context: RequestContext,
) -> Result<Response> {
    let (app, country, version) = addressed(&context, &path, READ).await?;
    let version =
        versions::get_packaged_version(context.service(), &context.principal, app, country, version).await?;
    download::package(&context, &version).await
}

/// Downloads the package of a version: the same for clients that know no other verb.
#[utoipa::path(get, path = "/apps/{appId}/countries/{countryCode}/versions/{versionNumber}/getPackageContents",
    tag = "versions",
    params(("appId" = uuid::Uuid, Path), ("countryCode" = String, Path), ("versionNumber" = String, Path)),
    responses((status = 200, body = inline(FileBytes), content_type = "application/octet-stream"),
        (status = 206, body = inline(FileBytes), content_type = "application/octet-stream"),
        (status = "default", body = ErrorBody)))]
pub(crate) async fn get_package_contents_by_get(
    path: Path<(String, String, String)>,
    context: RequestContext,
) -> Result<Response> {
    get_package_contents(path, context).await
}
