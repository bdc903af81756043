//! `/operator/v1/apps`: which apps are registered, and who owns them.

use crate::{
    actions::{
        apps::{self, RegisterApp, Registered, Saved},
        listing::{self, ListScope},
        principals::{self, Authority},
    },
    error::Result,
    http::{
        extract::{OperatorContext, RequestContext, SmallBody, id},
        lists,
        options::ListQuery,
        repeat::KeyHeader,
    },
    wire_rows,
};
use axum::{extract::Path, http::StatusCode, response::Response};
use domain::access::PrincipalChange;
use std::sync::Arc;
use wire::{
    ErrorBody, List,
    operator::{
        AppPatch, AppRegistration, AppRegistrationBody, PrincipalRegistrationBody, RegisteredApp,
        RegisteredPrincipal,
    },
};

/// Lists all registered apps with their owners.
#[utoipa::path(get, path = "/apps", tag = "operator", params(ListQuery),
    responses((status = 200, body = List<RegisteredApp>), (status = "default", body = ErrorBody)))]
pub(crate) async fn list_registered_apps(OperatorContext(context): OperatorContext) -> Result<Response> {
    let service = Arc::clone(context.service());
    lists::list_completed(
        &context,
        ListScope::Everything,
        (&listing::REGISTERED_APPS, "apps"),
        (&["owners"], move |batch, with_owners| {
            let service = Arc::clone(&service);
            async move { apps::with_owners(&service, batch, with_owners).await }
        }),
        |(app, owners)| wire_rows::registered_app(app, owners),
    )
    .await
}

/// Gets one registered app with its owners.
#[utoipa::path(get, path = "/apps/{appId}", tag = "operator", params(("appId" = uuid::Uuid, Path)),
    responses((status = 200, body = RegisteredApp), (status = "default", body = ErrorBody)))]
pub(crate) async fn get_registered_app(
    Path(app): Path<String>,
    OperatorContext(context): OperatorContext,
) -> Result<Response> {
    let (app, owners) = apps::get_registered_app(context.service(), context.app(&app)?).await?;
    context.found(&wire_rows::registered_app(app, owners)?, "apps")
}

/// Registers an app with its first owner, or replaces what was registered.
#[utoipa::path(put, path = "/apps/{appId}", tag = "operator", params(("appId" = uuid::Uuid, Path),
        KeyHeader),
    request_body = AppRegistrationBody,
    responses((status = 200, body = RegisteredApp), (status = 201, body = RegisteredApp),
        (status = "default", body = ErrorBody)))]
pub(crate) async fn put_app(
    Path(app): Path<String>,
    OperatorContext(context): OperatorContext,
    SmallBody(body): SmallBody,
) -> Result<Response> {
    let app = context.app(&app)?;
    context.check_look::<RegisteredApp>()?;
    let registration = AppRegistration::read(&body, app)?;
    let conditions = context.conditions(&body)?;
    let command = command_of(registration);
    let (saved_app, saved) =
        apps::put_app(context.service(), &context.principal, app, command, conditions).await?;
    let mut response = registered(&context, saved_app)?;
    if saved == Saved::Created {
        *response.status_mut() = StatusCode::CREATED;
    }
    Ok(response)
}

fn command_of(registration: AppRegistration) -> RegisterApp {
    RegisterApp {
        publisher: Some(registration.publisher),
        publisher_tenant_id: Some(registration.publisher_tenant_id),
        publisher_contact_email: Some(registration.publisher_contact_email),
        storage_location: Some(registration.storage_location),
        signer_rule: registration.signer_rule,
        owner: registration.owner.map(|(id, owner)| {
            let change = PrincipalChange {
                kind: Some(owner.kind),
                tenant_id: owner.tenant_id,
                roles: Some(owner.roles),
                token_tenant: None,
            };
            (id, change)
        }),
        given: registration.given,
    }
}

fn registered(context: &RequestContext, (app, owners): Registered) -> Result<Response> {
    context.entity(&wire_rows::registered_app(app, owners)?, "apps")
}

/// Changes some of what was registered about an app.
#[utoipa::path(patch, path = "/apps/{appId}", tag = "operator", params(("appId" = uuid::Uuid, Path),
        KeyHeader),
    request_body = AppRegistrationBody,
    responses((status = 200, body = RegisteredApp), (status = "default", body = ErrorBody)))]
pub(crate) async fn patch_app(
    Path(app): Path<String>,
    OperatorContext(context): OperatorContext,
    SmallBody(body): SmallBody,
) -> Result<Response> {
    let app = context.app(&app)?;
    context.check_look::<RegisteredApp>()?;
    let patch = AppPatch::read(&body, app)?;
    let command = RegisterApp {
        publisher: patch.publisher,
        publisher_tenant_id: patch.publisher_tenant_id,
        publisher_contact_email: patch.publisher_contact_email,
        storage_location: patch.storage_location,
        signer_rule: patch.signer_rule,
        owner: None,
        given: patch.given,
    };
    let conditions = context.conditions(&body)?;
    let patched = apps::patch_app(context.service(), &context.principal, app, command, conditions).await?;
    registered(&context, patched)
}

/// Gives a principal roles on an app, whoever else has them: for when nobody is left who could.
///
/// Where the service trusts several tenants, this alone says whose tokens an application has them with besides those of the
/// publisher's tenant.
#[utoipa::path(put, path = "/apps/{appId}/principals/{id}", tag = "operator",
    params(("appId" = uuid::Uuid, Path), ("id" = uuid::Uuid, Path),
        KeyHeader), request_body = PrincipalRegistrationBody,
    responses((status = 200, body = RegisteredPrincipal), (status = "default", body = ErrorBody)))]
pub(crate) async fn put_principal(
    Path((app, id_text)): Path<(String, String)>,
    OperatorContext(context): OperatorContext,
    SmallBody(body): SmallBody,
) -> Result<Response> {
    let app = context.app(&app)?;
    let principal_id = id("id", &id_text)?;
    context.check_look::<RegisteredPrincipal>()?;
    let command = PrincipalRegistrationBody::read(&body, principal_id)?;
    let conditions = context.conditions(&body)?;
    let (service, principal) = (context.service(), &context.principal);
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
    context.entity(
        &wire_rows::registered_principal(principal),
        &format!("apps({app})/principals"),
    )
}
