//! `/operator/v1/apps`: which apps are registered, and who owns them.

use crate::{
    actions::{
        apps::{self, AppWish, Registered, Saved},
        listing,
        principals::{self, By},
    },
    error::Result,
    http::{
        answer::Frame,
        extract::{Asking, Door, Operating, SmallBody, id},
        lists,
        principals::shown as principal_shown,
    },
    store,
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

fn shown(app: store::apps::App, owners: Vec<store::principals::Principal>) -> RegisteredApp {
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
    State(door): State<Arc<Door>>,
    Operating(asking): Operating,
) -> Result<Response> {
    lists::list_everything(&door, &asking, (&listing::REGISTERED_APPS, "apps"), |app| {
        Ok(shown(app, Vec::new()))
    })
    .await
}

/// Gets one registered app with its owners.
#[utoipa::path(get, path = "/apps/{appId}", tag = "operator", params(("appId" = uuid::Uuid, Path)),
    responses((status = 200, body = RegisteredApp), (status = "default", body = ErrorBody)))]
pub(crate) async fn get_registered_app(
    State(door): State<Arc<Door>>,
    Path(app): Path<String>,
    Operating(asking): Operating,
) -> Result<Response> {
    let found = apps::get_registered_app(&door.service, asking.app(&app)?).await?;
    asking.preconditions.check_read(&found.0.etag.to_string())?;
    registered(&door, &asking, found)
}

/// Registers an app with its first owner, or replaces what was registered.
#[utoipa::path(put, path = "/apps/{appId}", tag = "operator", params(("appId" = uuid::Uuid, Path)),
    request_body = AppRegistrationBody,
    responses((status = 200, body = RegisteredApp), (status = 201, body = RegisteredApp),
        (status = "default", body = ErrorBody)))]
pub(crate) async fn put_app(
    State(door): State<Arc<Door>>,
    Path(app): Path<String>,
    Operating(asking): Operating,
    SmallBody(body): SmallBody,
) -> Result<Response> {
    let app = asking.app(&app)?;
    Frame::new(&door, &asking).check::<RegisteredApp>()?;
    let registration = AppRegistration::read(&body)?;
    let conditions = asking.preconditions.clone();
    let wish = wish_of(registration);
    let (saved_app, saved) = apps::put_app(&door.service, &asking.asker, app, wish, conditions).await?;
    let mut response = registered(&door, &asking, saved_app)?;
    if saved == Saved::Created {
        *response.status_mut() = StatusCode::CREATED;
    }
    Ok(response)
}

fn wish_of(registration: AppRegistration) -> AppWish {
    AppWish {
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

fn registered(door: &Door, asking: &Asking, (app, owners): Registered) -> Result<Response> {
    Frame::new(door, asking).entity(&shown(app, owners), "apps")
}

/// Changes some of what was registered about an app.
#[utoipa::path(patch, path = "/apps/{appId}", tag = "operator", params(("appId" = uuid::Uuid, Path)),
    request_body = AppRegistrationBody,
    responses((status = 200, body = RegisteredApp), (status = "default", body = ErrorBody)))]
pub(crate) async fn patch_app(
    State(door): State<Arc<Door>>,
    Path(app): Path<String>,
    Operating(asking): Operating,
    SmallBody(body): SmallBody,
) -> Result<Response> {
    let app = asking.app(&app)?;
    Frame::new(&door, &asking).check::<RegisteredApp>()?;
    let patch = AppPatch::read(&body)?;
    let wish = AppWish {
        publisher: patch.publisher,
        publisher_tenant_id: patch.publisher_tenant_id,
        publisher_contact_email: patch.publisher_contact_email,
        storage_location: patch.storage_location,
        owner: None,
    };
    let conditions = asking.preconditions.clone();
    let patched = apps::patch_app(&door.service, &asking.asker, app, wish, conditions).await?;
    registered(&door, &asking, patched)
}

/// Gives a principal roles on an app, whoever else has them: for when nobody is left who could.
#[utoipa::path(put, path = "/apps/{appId}/principals/{id}", tag = "operator",
    params(("appId" = uuid::Uuid, Path), ("id" = uuid::Uuid, Path)), request_body = PrincipalPatch,
    responses((status = 200, body = Principal), (status = "default", body = ErrorBody)))]
pub(crate) async fn put_principal(
    State(door): State<Arc<Door>>,
    Path((app, principal)): Path<(String, String)>,
    Operating(asking): Operating,
    SmallBody(body): SmallBody,
) -> Result<Response> {
    let app = asking.app(&app)?;
    let principal = id("id", &principal)?;
    Frame::new(&door, &asking).check::<Principal>()?;
    let wish = PrincipalPatch::read(&body, principal)?;
    let conditions = asking.preconditions.clone();
    let (service, asker) = (&door.service, &asking.asker);
    let principal =
        principals::patch_principal(service, asker, By::Operator, app, principal, wish, conditions).await?;
    Frame::new(&door, &asking).entity(&principal_shown(principal)?, &format!("apps({app})/principals"))
}
