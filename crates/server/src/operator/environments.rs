//! `/operator/v1/environments`: which environments there are, and what is installed in them.

use crate::{
    actions::{
        environments::{self, EnvironmentReport, Registered},
        listing::{self, ListScope},
    },
    error::Result,
    http::{
        answer::insert,
        extract::{OperatorContext, RequestContext, SmallBody, id},
        lists,
        options::ListQuery,
        repeat::KeyHeader,
    },
    wire_rows,
};
use axum::{
    extract::Path,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use domain::{
    environment::{EnvironmentKey, check_name},
    ids::TenantId,
    problem::RuleError,
    window::UpdateWindow,
};
use std::sync::Arc;
use wire::{
    ErrorBody, List,
    operator::{
        EnvironmentPatch, EnvironmentPatchBody, EnvironmentRegistration, EnvironmentRegistrationBody,
        RegisteredEnvironment,
    },
};

/// The tenant, family and name that an address spells.
pub(super) struct EnvironmentPath {
    tenant_id: TenantId,
    family: String,
    name: String,
}

impl EnvironmentPath {
    pub(super) fn read((tenant, family, name): (String, String, String)) -> Result<Self, RuleError> {
        check_name("applicationFamily", &family)?;
        check_name("name", &name)?;
        Ok(Self {
            tenant_id: id("aadTenantId", &tenant)?,
            family,
            name,
        })
    }

    pub(super) fn key(&self) -> EnvironmentKey {
        EnvironmentKey::new(self.tenant_id, &self.family, &self.name)
    }
}

/// Lists all environments with what is installed in them.
#[utoipa::path(get, path = "/environments", tag = "operator", params(ListQuery),
    responses((status = 200, body = List<RegisteredEnvironment>), (status = "default", body = ErrorBody)))]
pub(crate) async fn list_registered_environments(
    OperatorContext(context): OperatorContext,
) -> Result<Response> {
    let service = Arc::clone(context.service());
    lists::list_completed(
        &context,
        ListScope::Everything,
        (&listing::REGISTERED_ENVIRONMENTS, "environments"),
        (&["apps"], move |batch, with_apps| {
            let service = Arc::clone(&service);
            async move { environments::with_apps(&service, batch, with_apps).await }
        }),
        |(environment, apps)| wire_rows::registered_environment(environment, apps),
    )
    .await
}

/// Gets one environment with what is installed in it.
#[utoipa::path(get, path = "/environments/{aadTenantId}/{applicationFamily}/{name}", tag = "operator",
    params(("aadTenantId" = uuid::Uuid, Path), ("applicationFamily" = String, Path), ("name" = String, Path)),
    responses((status = 200, body = RegisteredEnvironment), (status = "default", body = ErrorBody)))]
pub(crate) async fn get_registered_environment(
    Path(path): Path<(String, String, String)>,
    OperatorContext(context): OperatorContext,
) -> Result<Response> {
    let key = EnvironmentPath::read(path)?.key();
    let found = environments::get_registered_environment(context.service(), &key).await?;
    context
        .preconditions
        .check_read(&found.0.environment.etag.to_string())?;
    registered(&context, found)
}

pub(super) fn registered(context: &RequestContext, (environment, apps): Registered) -> Result<Response> {
    let etag = environment.environment.etag;
    let environment = wire_rows::registered_environment(environment, apps)?;
    let mut response = context.entity(&environment, "environments")?;
    insert(response.headers_mut(), header::ETAG, &format!("W/\"{etag}\""));
    Ok(response)
}

/// Registers an environment, or replaces all that is known of it: what the body leaves out, be it an app, a version, the
/// window or the location, is gone. A full report lets a held environment work again. To change some of it, PATCH it.
#[utoipa::path(put, path = "/environments/{aadTenantId}/{applicationFamily}/{name}", tag = "operator",
    params(("aadTenantId" = uuid::Uuid, Path), ("applicationFamily" = String, Path), ("name" = String, Path),
        KeyHeader),
    request_body = EnvironmentRegistrationBody,
    responses((status = 200, body = RegisteredEnvironment), (status = 201, body = RegisteredEnvironment),
        (status = "default", body = ErrorBody)))]
pub(crate) async fn put_environment(
    Path(path): Path<(String, String, String)>,
    OperatorContext(context): OperatorContext,
    SmallBody(body): SmallBody,
) -> Result<Response> {
    let environment_path = EnvironmentPath::read(path)?;
    let key = environment_path.key();
    context.check_look::<RegisteredEnvironment>()?;
    let allow_w1 = context.service().settings.countries.allow_w1;
    let mut registration = EnvironmentRegistration::read(&body, &key, allow_w1)?;
    let given = std::mem::take(&mut registration.given);
    let unknown_zone = registration.unknown_zone.take();
    let report = report_of(environment_path, registration);
    let conditions = context.conditions(&body)?;
    let (service, principal) = (context.service(), &context.principal);
    let (saved, is_new) =
        environments::put_environment(service, principal, key, report, given, conditions).await?;
    let mut response = registered(&context, saved)?;
    if let Some(zone) = unknown_zone {
        insert(response.headers_mut(), header::WARNING, &nobody_knows(&zone));
    }
    if is_new {
        *response.status_mut() = StatusCode::CREATED;
    }
    Ok(response)
}

fn nobody_knows(zone: &str) -> String {
    // Of what can stand in quotes in a header.
    let zone: String = zone.chars().take(80).flat_map(char::escape_default).collect();
    format!(
        "299 - \"Nobody knows the time zone '{zone}': the environment gets the default window of its country\""
    )
}

fn report_of(environment_path: EnvironmentPath, registration: EnvironmentRegistration) -> EnvironmentReport {
    let apps = registration
        .apps
        .into_iter()
        .map(|app| store::environments::InstalledApp {
            app_id: app.id,
            version: app.version,
            name: app.name,
            publisher: app.publisher,
            availability: None,
            dependencies: None,
            scope: None,
            can_be_uninstalled: None,
        })
        .collect();
    let window = registration.window;
    let window = window.unwrap_or_else(|| UpdateWindow::default_in(registration.country));
    EnvironmentReport {
        family: environment_path.family,
        name: environment_path.name,
        country: registration.country,
        kind: registration.kind,
        location_name: registration.location_name.unwrap_or_default(),
        web_client_url: None,
        web_service_url: None,
        application_version: registration.application_version,
        platform_version: registration.platform_version,
        window: Some(window),
        inventory_complete: registration.inventory_complete,
        apps,
    }
}

/// Changes the update window, the versions or the location of an environment, and leaves everything else as it is: what is
/// installed there, and whether it is held.
#[utoipa::path(patch, path = "/environments/{aadTenantId}/{applicationFamily}/{name}", tag = "operator",
    params(("aadTenantId" = uuid::Uuid, Path), ("applicationFamily" = String, Path), ("name" = String, Path)),
    request_body = EnvironmentPatchBody,
    responses((status = 200, body = RegisteredEnvironment), (status = "default", body = ErrorBody)))]
pub(crate) async fn patch_environment(
    Path(path): Path<(String, String, String)>,
    OperatorContext(context): OperatorContext,
    SmallBody(body): SmallBody,
) -> Result<Response> {
    let key = EnvironmentPath::read(path)?.key();
    context.check_look::<RegisteredEnvironment>()?;
    let patch = EnvironmentPatch::read(&body, &key)?;
    let conditions = context.preconditions.clone();
    let (service, principal) = (context.service(), &context.principal);
    let patched = environments::patch_environment(service, principal, key, patch, conditions).await?;
    registered(&context, patched)
}

/// Removes an environment; hotfixes that wait for it are skipped. While one runs there, it stays (409 `EnvironmentBusy`).
#[utoipa::path(delete, path = "/environments/{aadTenantId}/{applicationFamily}/{name}", tag = "operator",
    params(("aadTenantId" = uuid::Uuid, Path), ("applicationFamily" = String, Path), ("name" = String, Path)),
    responses((status = 204), (status = "default", body = ErrorBody)))]
pub(crate) async fn delete_environment(
    Path(path): Path<(String, String, String)>,
    OperatorContext(context): OperatorContext,
) -> Result<Response> {
    let key = EnvironmentPath::read(path)?.key();
    let conditions = context.preconditions.clone();
    environments::delete_environment(context.service(), &context.principal, key, conditions).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Lets an environment work again after the outcome of an operation remained unknown, or as the sandbox that it is
/// reported to be, and is from then on.
#[utoipa::path(post, path = "/environments/{aadTenantId}/{applicationFamily}/{name}/release", tag = "operator",
    params(("aadTenantId" = uuid::Uuid, Path), ("applicationFamily" = String, Path), ("name" = String, Path)),
    responses((status = 200, body = RegisteredEnvironment), (status = "default", body = ErrorBody)))]
pub(crate) async fn release_environment(
    Path(path): Path<(String, String, String)>,
    OperatorContext(context): OperatorContext,
) -> Result<Response> {
    let key = EnvironmentPath::read(path)?.key();
    context.check_look::<RegisteredEnvironment>()?;
    let conditions = context.preconditions.clone();
    let released =
        environments::release_environment(context.service(), &context.principal, key, conditions).await?;
    registered(&context, released)
}
