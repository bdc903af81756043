//! `/operator/v1/apps`: which apps are registered, and who owns them.

use crate::{
    actions::{
        apps::{self, RegisterApp, Registered, Saved},
        listing,
        principals::{self, Authority},
    },
    error::Result,
    http::{
        answer::ResponseWriter,
        extract::{AppState, OperatorContext, RequestContext, SmallBody, id},
        lists,
        principals::shown as principal_shown,
    },
};
use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use domain::access::PrincipalChange;
use std::sync::Arc;
use wire::{
    ErrorBody, List,
    operator::{AppPatch, AppRegistration, AppRegistrationBody, Owner, RegisteredApp},
    principals::{Principal, PrincipalPatch},
};

fn shown(app: store::apps::App, owners: Vec<store::principals::AppPrincipal>) -> RegisteredApp {
    let owners = owners
        .into_iter()
        .map(|owner| Owner {
            kind: owner.kind,
            id: owner.id,
            aad_tenant_id: owner.tenant_id,
        })
        .collect();
    RegisteredApp {
        id: app.id,
        publisher: app.publisher,
        publisher_aad_tenant_id: Some(app.publisher_tenant_id),
        publisher_contact_email: app.publisher_contact_email,
        storage_location: app.storage_location,
        name: app.name,
        created_on: Some(app.created_on),
        owners,
        etag: app.etag,
    }
}

/// Lists all registered apps. Their owners are shown with the single app.
#[utoipa::path(get, path = "/apps", tag = "operator", params(lists::ListQuery),
    responses((status = 200, body = List<RegisteredApp>), (status = "default", body = ErrorBody)))]
pub(crate) async fn list_registered_apps(
    State(state): State<Arc<AppState>>,
    OperatorContext(context): OperatorContext,
) -> Result<Response> {
    lists::list_everything(&state, &context, (&listing::REGISTERED_APPS, "apps"), |app| {
        Ok(shown(app, Vec::new()))
    })
    .await
}

/// Gets one registered app with its owners.
#[utoipa::path(get, path = "/apps/{appId}", tag = "operator", params(("appId" = uuid::Uuid, Path)),
    responses((status = 200, body = RegisteredApp), (status = "default", body = ErrorBody)))]
pub(crate) async fn get_registered_app(
    State(state): State<Arc<AppState>>,
    Path(app): Path<String>,
    OperatorContext(context): OperatorContext,
) -> Result<Response> {
    let found = apps::get_registered_app(&state.service, context.app(&app)?).await?;
    context.preconditions.check_read(&found.0.etag.to_string())?;
    registered(&state, &context, found)
}

/// Registers an app with its first owner, or replaces what was registered.
#[utoipa::path(put, path = "/apps/{appId}", tag = "operator", params(("appId" = uuid::Uuid, Path)),
    request_body = AppRegistrationBody,
    responses((status = 200, body = RegisteredApp), (status = 201, body = RegisteredApp),
        (status = "default", body = ErrorBody)))]
pub(crate) async fn put_app(
    State(state): State<Arc<AppState>>,
    Path(app): Path<String>,
    OperatorContext(context): OperatorContext,
    SmallBody(body): SmallBody,
) -> Result<Response> {
    let app = context.app(&app)?;
    ResponseWriter::new(&state, &context).check::<RegisteredApp>()?;
    let registration = AppRegistration::read(&body)?;
    let conditions = context.preconditions.clone();
    let command = wish_of(registration);
    let (saved_app, saved) =
        apps::put_app(&state.service, &context.principal, app, command, conditions).await?;
    let mut response = registered(&state, &context, saved_app)?;
    if saved == Saved::Created {
        *response.status_mut() = StatusCode::CREATED;
    }
    Ok(response)
}

fn wish_of(registration: AppRegistration) -> RegisterApp {
    RegisterApp {
        publisher: Some(registration.publisher),
        publisher_tenant_id: Some(registration.publisher_tenant_id),
        publisher_contact_email: Some(registration.publisher_contact_email),
        storage_location: Some(registration.storage_location),
        owner: registration.owner.map(|(id, owner)| {
            let change = PrincipalChange {
                kind: Some(owner.kind),
                tenant_id: owner.tenant_id,
                roles: Some(owner.roles),
            };
            (id, change)
        }),
    }
}

fn registered(state: &AppState, context: &RequestContext, (app, owners): Registered) -> Result<Response> {
    ResponseWriter::new(state, context).entity(&shown(app, owners), "apps")
}

/// Changes some of what was registered about an app.
#[utoipa::path(patch, path = "/apps/{appId}", tag = "operator", params(("appId" = uuid::Uuid, Path)),
    request_body = AppRegistrationBody,
    responses((status = 200, body = RegisteredApp), (status = "default", body = ErrorBody)))]
pub(crate) async fn patch_app(
    State(state): State<Arc<AppState>>,
    Path(app): Path<String>,
    OperatorContext(context): OperatorContext,
    SmallBody(body): SmallBody,
) -> Result<Response> {
    let app = context.app(&app)?;
    ResponseWriter::new(&state, &context).check::<RegisteredApp>()?;
    let patch = AppPatch::read(&body)?;
    let command = RegisterApp {
        publisher: patch.publisher,
        publisher_tenant_id: patch.publisher_tenant_id,
        publisher_contact_email: patch.publisher_contact_email,
        storage_location: patch.storage_location,
        owner: None,
    };
    let conditions = context.preconditions.clone();
    let patched = apps::patch_app(&state.service, &context.principal, app, command, conditions).await?;
    registered(&state, &context, patched)
}

/// Gives a principal roles on an app, whoever else has them: for when nobody is left who could.
#[utoipa::path(put, path = "/apps/{appId}/principals/{id}", tag = "operator",
    params(("appId" = uuid::Uuid, Path), ("id" = uuid::Uuid, Path)), request_body = PrincipalPatch,
    responses((status = 200, body = Principal), (status = "default", body = ErrorBody)))]
pub(crate) async fn put_principal(
    State(state): State<Arc<AppState>>,
    Path((app, id_text)): Path<(String, String)>,
    OperatorContext(context): OperatorContext,
    SmallBody(body): SmallBody,
) -> Result<Response> {
    let app = context.app(&app)?;
    let principal_id = id("id", &id_text)?;
    ResponseWriter::new(&state, &context).check::<Principal>()?;
    let command = PrincipalPatch::read(&body, principal_id)?;
    let conditions = context.preconditions.clone();
    let (service, principal) = (&state.service, &context.principal);
    let principal = principals::patch_principal(
        service,
        principal,
        Authority::Operator,
        app,
        principal_id,
        command,
        conditions,
    )
    .await?;
    ResponseWriter::new(&state, &context)
        .entity(&principal_shown(principal)?, &format!("apps({app})/principals"))
}
