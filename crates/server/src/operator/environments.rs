//! `/operator/v1/environments`: which environments there are, and what is installed in them.

use crate::{
    actions::{
        environments::{self, EnvironmentReport, Registered},
        execution::window_of,
        listing,
    },
    error::Result,
    http::{
        answer::ResponseWriter,
        context::empty,
        extract::{AppState, OperatorContext, RequestContext, SmallBody, id},
        lists,
    },
};
use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use domain::{environment::EnvironmentKey, ids::TenantId, problem::RuleError};
use std::sync::Arc;
use wire::{
    ErrorBody, List,
    operator::{
        EnvironmentRegistration, EnvironmentRegistrationBody, InstalledApp, RegisteredEnvironment, Window,
    },
};

/// Longest name of an environment or family, in characters.
const LONGEST_NAME: usize = 100;

fn shown(
    environment: store::environments::Environment,
    apps: Vec<store::environments::InstalledApp>,
) -> Result<RegisteredEnvironment> {
    let window = Window::from(window_of(&environment)?);
    let apps = apps
        .into_iter()
        .map(|app| InstalledApp {
            id: app.app_id,
            name: app.name,
            publisher: app.publisher,
            version: app.version,
        })
        .collect();
    Ok(RegisteredEnvironment {
        aad_tenant_id: environment.tenant_id,
        application_family: environment.family,
        name: environment.name,
        country_code: environment.country_code,
        kind: environment.kind,
        location_name: Some(environment.location_name).filter(|name| !name.is_empty()),
        application_version: environment.application_version,
        platform_version: environment.platform_version,
        window,
        inventory_complete: environment.inventory_complete,
        apps,
        held_since: environment.held_since,
    })
}

/// The tenant, family and name that an address spells.
struct Spelled {
    tenant_id: TenantId,
    family: String,
    name: String,
}

impl Spelled {
    fn read((tenant, family, name): (String, String, String)) -> Result<Self, RuleError> {
        check_name("applicationFamily", &family)?;
        check_name("name", &name)?;
        Ok(Self {
            tenant_id: id("aadTenantId", &tenant)?,
            family,
            name,
        })
    }

    fn key(&self) -> EnvironmentKey {
        EnvironmentKey::new(self.tenant_id, &self.family, &self.name)
    }
}

fn check_name(what: &str, text: &str) -> Result<(), RuleError> {
    let is_good = !text.trim().is_empty()
        && text.chars().count() <= LONGEST_NAME
        && !text.chars().any(char::is_control);
    if is_good {
        return Ok(());
    }
    let message = format!(
        "'{what}' must have 1 to {LONGEST_NAME} characters, not only blanks and no control characters."
    );
    Err(RuleError::invalid(what, message))
}

/// Lists all environments. What is installed in them is shown with the single environment.
#[utoipa::path(get, path = "/environments", tag = "operator", params(lists::ListQuery),
    responses((status = 200, body = List<RegisteredEnvironment>), (status = "default", body = ErrorBody)))]
pub(crate) async fn list_registered_environments(
    State(state): State<Arc<AppState>>,
    OperatorContext(context): OperatorContext,
) -> Result<Response> {
    lists::list_everything(
        &state,
        &context,
        (&listing::REGISTERED_ENVIRONMENTS, "environments"),
        |environment| shown(environment, Vec::new()),
    )
    .await
}

/// Gets one environment with what is installed in it.
#[utoipa::path(get, path = "/environments/{aadTenantId}/{applicationFamily}/{name}", tag = "operator",
    params(("aadTenantId" = uuid::Uuid, Path), ("applicationFamily" = String, Path), ("name" = String, Path)),
    responses((status = 200, body = RegisteredEnvironment), (status = "default", body = ErrorBody)))]
pub(crate) async fn get_registered_environment(
    State(state): State<Arc<AppState>>,
    Path(path): Path<(String, String, String)>,
    OperatorContext(context): OperatorContext,
) -> Result<Response> {
    let key = Spelled::read(path)?.key();
    let found = environments::get_registered_environment(&state.service, &key).await?;
    context.preconditions.check_read(&found.0.etag.to_string())?;
    registered(&state, &context, found)
}

fn registered(
    state: &AppState,
    context: &RequestContext,
    (environment, apps): Registered,
) -> Result<Response> {
    let etag = environment.etag;
    let mut response =
        ResponseWriter::new(state, context).entity(&shown(environment, apps)?, "environments")?;
    crate::http::answer::insert(
        response.headers_mut(),
        axum::http::header::ETAG,
        &format!("W/\"{etag}\""),
    );
    Ok(response)
}

/// Registers an environment, or replaces what is known of it. A full report lets a held environment work again.
#[utoipa::path(put, path = "/environments/{aadTenantId}/{applicationFamily}/{name}", tag = "operator",
    params(("aadTenantId" = uuid::Uuid, Path), ("applicationFamily" = String, Path), ("name" = String, Path)),
    request_body = EnvironmentRegistrationBody,
    responses((status = 200, body = RegisteredEnvironment), (status = 201, body = RegisteredEnvironment),
        (status = "default", body = ErrorBody)))]
pub(crate) async fn put_environment(
    State(state): State<Arc<AppState>>,
    Path(path): Path<(String, String, String)>,
    OperatorContext(context): OperatorContext,
    SmallBody(body): SmallBody,
) -> Result<Response> {
    let spelled = Spelled::read(path)?;
    let key = spelled.key();
    ResponseWriter::new(&state, &context).check::<RegisteredEnvironment>()?;
    let registration = EnvironmentRegistration::read(&body, state.service.settings.countries.allow_w1)?;
    let report = wish_of(spelled, registration);
    let conditions = context.preconditions.clone();
    let (saved, is_new) =
        environments::put_environment(&state.service, &context.principal, key, report, conditions).await?;
    let mut response = registered(&state, &context, saved)?;
    if is_new {
        *response.status_mut() = StatusCode::CREATED;
    }
    Ok(response)
}

fn wish_of(spelled: Spelled, registration: EnvironmentRegistration) -> EnvironmentReport {
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
        })
        .collect();
    EnvironmentReport {
        family: spelled.family,
        name: spelled.name,
        country: registration.country,
        kind: registration.kind,
        location_name: registration.location_name.unwrap_or_default(),
        application_version: registration.application_version,
        platform_version: registration.platform_version,
        window: registration.window,
        inventory_complete: registration.inventory_complete,
        apps,
    }
}

/// Removes an environment; hotfixes that wait for it are skipped. While one runs there, it stays (409 `EnvironmentBusy`).
#[utoipa::path(delete, path = "/environments/{aadTenantId}/{applicationFamily}/{name}", tag = "operator",
    params(("aadTenantId" = uuid::Uuid, Path), ("applicationFamily" = String, Path), ("name" = String, Path)),
    responses((status = 204), (status = "default", body = ErrorBody)))]
pub(crate) async fn delete_environment(
    State(state): State<Arc<AppState>>,
    Path(path): Path<(String, String, String)>,
    OperatorContext(context): OperatorContext,
) -> Result<Response> {
    let key = Spelled::read(path)?.key();
    let conditions = context.preconditions.clone();
    environments::delete_environment(&state.service, &context.principal, key, conditions).await?;
    Ok(empty(StatusCode::NO_CONTENT))
}

/// Lets an environment work again after the outcome of an operation remained unknown.
#[utoipa::path(post, path = "/environments/{aadTenantId}/{applicationFamily}/{name}/release", tag = "operator",
    params(("aadTenantId" = uuid::Uuid, Path), ("applicationFamily" = String, Path), ("name" = String, Path)),
    responses((status = 200, body = RegisteredEnvironment), (status = "default", body = ErrorBody)))]
pub(crate) async fn release_environment(
    State(state): State<Arc<AppState>>,
    Path(path): Path<(String, String, String)>,
    OperatorContext(context): OperatorContext,
) -> Result<Response> {
    let key = Spelled::read(path)?.key();
    ResponseWriter::new(&state, &context).check::<RegisteredEnvironment>()?;
    let released = environments::release_environment(&state.service, &context.principal, key).await?;
    registered(&state, &context, released)
}
