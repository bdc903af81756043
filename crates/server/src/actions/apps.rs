//! Registered apps. Principals read them; operators register and change them.

use super::{
    Asker, Service, access,
    audit::{self, Actor, Change},
    preconditions::Preconditions,
    principals::{facts, write_principal},
};
use crate::{
    error::Result,
    store::{
        Tx,
        apps::{self, App},
        principals::{self, Principal},
    },
};
use domain::{
    access::{self as rules, Permission, PrincipalChange},
    ids::{AppId, Etag, PrincipalId, TenantId},
    instant::Instant,
    principal::{Role, Roles},
    problem::{Code, RuleError},
};
use serde_json::{Value, json};

/// One app.
pub(crate) async fn get_app(service: &Service, asker: &Asker, app: AppId) -> Result<App> {
    let found = apps::find_app(&service.db, asker.who, app).await?;
    found.ok_or_else(|| access::app_missing(app).into())
}

/// What the asker may do with an app.
pub(crate) async fn get_my_permissions(
    service: &Service,
    asker: &Asker,
    app: AppId,
) -> Result<Vec<Permission>> {
    let standing = principals::standing(&service.db, asker.who, app, "").await?;
    if standing.roles.is_empty() {
        return Err(access::app_missing(app).into());
    }
    Ok(rules::permissions_with(standing.roles))
}

/// Makes sure that the asker may read an app's roles, which are the same for every app.
pub(crate) async fn list_roles(service: &Service, asker: &Asker, app: AppId) -> Result<()> {
    let read = Permission::read(domain::access::Resource::Apps);
    access::preview(service, asker, app, None, read).await.map(drop)
}

/// An app with its owners, as the operator sees it. A change answers with what it made of both, whatever others have made
/// of it since.
pub(crate) type Registered = (App, Vec<Principal>);

/// One app with its owners, for the operator.
pub(crate) async fn get_registered_app(service: &Service, app: AppId) -> Result<Registered> {
    let found = apps::find_any_app(&service.db, app).await?;
    let found = found.ok_or_else(|| not_registered(app))?;
    let owners = principals::owners_of(&service.db, app).await?;
    Ok((found, owners))
}

/// What an operator says about an app; when it registers one, nothing may be missing.
#[derive(Clone, Debug, Default)]
pub(crate) struct AppWish {
    pub(crate) publisher: Option<String>,
    pub(crate) publisher_tenant_id: Option<TenantId>,
    pub(crate) publisher_contact_email: Option<String>,
    pub(crate) storage_location: Option<String>,
    pub(crate) owner: Option<(PrincipalId, PrincipalChange)>,
}

/// Whether an app was made or was there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Saved {
    Created,
    Replaced,
}

struct SaveApp {
    asker: Asker,
    app: AppId,
    wish: AppWish,
    preconditions: Preconditions,
    now: Instant,
}

/// Registers an app with its first owner, or replaces what was registered.
pub(crate) async fn put_app(
    service: &Service,
    asker: &Asker,
    app: AppId,
    wish: AppWish,
    preconditions: Preconditions,
) -> Result<(Registered, Saved)> {
    let wish = AppWish {
        storage_location: mapped(service, wish.storage_location)?,
        ..wish
    };
    let input = SaveApp {
        asker: asker.clone(),
        app,
        wish,
        preconditions,
        now: service.clock.now(),
    };
    service
        .db
        .write(input, |tx, input| Box::pin(put_app_in(tx, input)))
        .await
}

async fn put_app_in(mut tx: Tx<'_>, input: &SaveApp) -> Result<(Registered, Saved)> {
    let existing = apps::lock_app(&mut tx, input.app).await?;
    input
        .preconditions
        .check_write(existing.as_ref().map(|app| app.etag))?;
    let app = whole_app(input, existing.as_ref())?;
    if existing.is_none() && input.wish.owner.is_none() {
        return Err(required("owner").into());
    }
    let app = save(&mut tx, input, existing.as_ref(), app).await?;
    if let Some((id, wish)) = input.wish.owner {
        save_owner(&mut tx, input, id, wish).await?;
    }
    let saved = match existing {
        Some(_) => Saved::Replaced,
        None => Saved::Created,
    };
    let owners = principals::owners_in(&mut tx, input.app).await?;
    Ok(((app, owners), saved))
}

fn whole_app(input: &SaveApp, existing: Option<&App>) -> Result<App, RuleError> {
    let wish = &input.wish;
    let app = App {
        id: input.app,
        publisher: wish.publisher.clone().ok_or_else(|| required("publisher"))?,
        publisher_tenant_id: wish
            .publisher_tenant_id
            .ok_or_else(|| required("publisherAadTenantId"))?,
        publisher_contact_email: wish
            .publisher_contact_email
            .clone()
            .ok_or_else(|| required("publisherContactEmail"))?,
        storage_location: wish
            .storage_location
            .clone()
            .ok_or_else(|| required("storageLocation"))?,
        name: existing.and_then(|app| app.name.clone()),
        etag: existing.map_or_else(Etag::random, |existing| existing.etag),
        created_on: existing.map_or(input.now, |app| app.created_on),
    };
    Ok(app)
}

/// Changes some of what was registered about an app.
pub(crate) async fn patch_app(
    service: &Service,
    asker: &Asker,
    app: AppId,
    wish: AppWish,
    preconditions: Preconditions,
) -> Result<Registered> {
    let wish = AppWish {
        storage_location: mapped(service, wish.storage_location)?,
        ..wish
    };
    let input = SaveApp {
        asker: asker.clone(),
        app,
        wish,
        preconditions,
        now: service.clock.now(),
    };
    service
        .db
        .write(input, |tx, input| Box::pin(patch_app_in(tx, input)))
        .await
}

async fn patch_app_in(mut tx: Tx<'_>, input: &SaveApp) -> Result<Registered> {
    let Some(existing) = apps::lock_app(&mut tx, input.app).await? else {
        return Err(input.preconditions.missing(not_registered(input.app)));
    };
    input.preconditions.check_write(Some(existing.etag))?;
    let wish = input.wish.clone();
    let app = App {
        publisher: wish.publisher.unwrap_or_else(|| existing.publisher.clone()),
        publisher_tenant_id: wish.publisher_tenant_id.unwrap_or(existing.publisher_tenant_id),
        publisher_contact_email: wish
            .publisher_contact_email
            .unwrap_or_else(|| existing.publisher_contact_email.clone()),
        storage_location: wish
            .storage_location
            .unwrap_or_else(|| existing.storage_location.clone()),
        ..existing.clone()
    };
    let app = save(&mut tx, input, Some(&existing), app).await?;
    let owners = principals::owners_in(&mut tx, input.app).await?;
    Ok((app, owners))
}

/// Stores an app under a new tag, unless nothing about it changes.
async fn save(tx: &mut Tx<'_>, input: &SaveApp, existing: Option<&App>, app: App) -> Result<App> {
    if existing == Some(&app) {
        return Ok(app);
    }
    let app = App {
        etag: Etag::random(),
        ..app
    };
    match existing {
        None => apps::insert_app(tx, &app).await?,
        Some(_) => apps::update_app(tx, &app).await?,
    }
    let change = Change {
        action: "apps/write",
        target: format!("apps/{}", app.id),
        before: existing.map(state),
        after: Some(state(&app)),
    };
    audit::record(tx, Actor::Asker(&input.asker), input.now, change).await?;
    Ok(app)
}

async fn save_owner(tx: &mut Tx<'_>, input: &SaveApp, id: PrincipalId, wish: PrincipalChange) -> Result<()> {
    let existing = principals::lock_principal(tx, input.app, id).await?;
    let wish = PrincipalChange {
        roles: Some(Roles::NONE.with(Role::Owner)),
        ..wish
    };
    let mut owner = match &existing {
        None => rules::new_principal(wish)?,
        Some(principal) => {
            let roles_stay = PrincipalChange { roles: None, ..wish };
            rules::changed_principal(facts(principal), roles_stay)?
        }
    };
    owner.roles = owner.roles.with(Role::Owner);
    if existing
        .as_ref()
        .is_some_and(|principal| principal.roles == owner.roles)
    {
        return Ok(());
    }
    let by = (&input.asker, input.now);
    write_principal(tx, by, (input.app, id), existing.as_ref(), owner)
        .await
        .map(drop)
}

/// The location under its configured spelling: an app must not point to where nothing can be stored.
fn mapped(service: &Service, location: Option<String>) -> Result<Option<String>, RuleError> {
    let Some(location) = location else { return Ok(None) };
    match service.blobs.location(&location) {
        Some(known) => Ok(Some(known.name().to_owned())),
        None => {
            let known = service.blobs.names().join(", ");
            let message =
                format!("The storage location '{location}' is not configured here. Configured: {known}.");
            Err(RuleError::new(Code::InvalidInput, message.clone())
                .about("storageLocation")
                .because("StorageLocationUnmapped", message))
        }
    }
}

fn required(property: &str) -> RuleError {
    RuleError::invalid(property, format!("'{property}' is required."))
}

fn not_registered(app: AppId) -> RuleError {
    RuleError::missing(format!("apps/{app}"), format!("App {app} is not registered."))
}

fn state(app: &App) -> Value {
    json!({
        "publisher": app.publisher,
        "publisherAadTenantId": app.publisher_tenant_id.to_string(),
        "publisherContactEmail": app.publisher_contact_email,
        "storageLocation": app.storage_location,
    })
}
