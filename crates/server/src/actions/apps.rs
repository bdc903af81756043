//! Registered apps. Principals read them; operators register and change them.

use super::{
    Principal, Service, access,
    audit::{self, Actor, Change},
    preconditions::Preconditions,
    principals::{facts, write_principal},
    repeat,
};
use crate::{error::Result, wire_rows};
use domain::{
    access::{self as rules, Permission, PrincipalChange},
    ids::{AppId, Etag, PrincipalId, TenantId},
    instant::Instant,
    principal::{Role, Roles},
    problem::{Code, RuleError},
    signer::SignerRule,
};
use serde_json::{Value, json};
use std::collections::HashMap;
use store::{
    Tx,
    apps::{self, App},
    principals::{self, AppPrincipal},
};
use wire::lenient::Object;

/// One app.
pub(crate) async fn get_app(service: &Service, principal: &Principal, app: AppId) -> Result<App> {
    let found = apps::find_app(&service.db, principal.reference, app).await?;
    found.ok_or_else(|| access::app_missing(app).into())
}

/// What the caller may do with an app.
pub(crate) async fn get_my_permissions(
    service: &Service,
    principal: &Principal,
    app: AppId,
) -> Result<Vec<Permission>> {
    let app_access = principals::app_access(&service.db, principal.reference, app, "").await?;
    if app_access.roles.is_empty() {
        return Err(access::app_missing(app).into());
    }
    let mut permissions = rules::permissions_with(app_access.roles);
    if let Some(grant) = &app_access.grant {
        permissions.retain(|permission| grant.permits(*permission));
    }
    Ok(permissions)
}

/// Makes sure that the caller may read an app's roles, which are the same for every app.
pub(crate) async fn list_roles(service: &Service, principal: &Principal, app: AppId) -> Result<()> {
    let read = Permission::read(domain::access::Resource::Apps);
    access::preview(service, principal, app, None, read)
        .await
        .map(drop)
}

/// An app with its owners, as the operator sees it. A change answers with what it made of both, whatever others have made
/// of it since.
pub(crate) type Registered = (App, Vec<AppPrincipal>);

/// One app with its owners, for the operator.
pub(crate) async fn get_registered_app(service: &Service, app: AppId) -> Result<Registered> {
    let found = apps::find_any_app(&service.db, app).await?;
    let found = found.ok_or_else(|| not_registered(app))?;
    let owners = principals::owners_of(&service.db, app).await?;
    Ok((found, owners))
}

/// Apps with their owners, if those are wanted.
pub(crate) async fn with_owners(service: &Service, apps: Vec<App>, wanted: bool) -> Result<Vec<Registered>> {
    let ids: Vec<AppId> = apps.iter().map(|app| app.id).collect();
    let mut owners: HashMap<AppId, Vec<AppPrincipal>> = HashMap::new();
    if wanted {
        for owner in principals::owners_of_all(&service.db, &ids).await? {
            owners.entry(owner.app_id).or_default().push(owner);
        }
    }
    let with_own = |app: App| {
        let own = owners.remove(&app.id).unwrap_or_default();
        (app, own)
    };
    Ok(apps.into_iter().map(with_own).collect())
}

/// What an operator says about an app; when it registers one, nothing may be missing.
#[derive(Clone, Debug, Default)]
pub(crate) struct RegisterApp {
    pub(crate) publisher: Option<String>,
    pub(crate) publisher_tenant_id: Option<TenantId>,
    pub(crate) publisher_contact_email: Option<String>,
    pub(crate) storage_location: Option<String>,
    pub(crate) signer_rule: Option<SignerRule>,
    pub(crate) owner: Option<(PrincipalId, PrincipalChange)>,
    /// All that was said, be it only repeated.
    pub(crate) given: Object,
}

/// Whether an app was made or was there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Saved {
    Created,
    Replaced,
}

struct SaveApp {
    principal: Principal,
    app: AppId,
    command: RegisterApp,
    preconditions: Preconditions,
    now: Instant,
}

/// Registers an app with its first owner, or replaces what was registered.
pub(crate) async fn put_app(
    service: &Service,
    principal: &Principal,
    app: AppId,
    command: RegisterApp,
    preconditions: Preconditions,
) -> Result<(Registered, Saved)> {
    let command = RegisterApp {
        storage_location: mapped(service, command.storage_location)?,
        ..command
    };
    let input = SaveApp {
        principal: principal.clone(),
        app,
        command,
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
    if !repeat::is_first(&mut tx, &input.principal, &input.preconditions, input.now).await? {
        let app = existing.ok_or_else(|| not_registered(input.app))?;
        let owners = principals::owners_in(&mut tx, input.app).await?;
        return Ok(((app, owners), Saved::Replaced));
    }
    input
        .preconditions
        .check_write(existing.as_ref().map(|app| app.etag))?;
    check_read_only(&mut tx, input, existing.as_ref()).await?;
    let app = whole_app(input, existing.as_ref())?;
    if existing.is_none() && input.command.owner.is_none() {
        return Err(required("owner").into());
    }
    let app = save(&mut tx, input, existing.as_ref(), app).await?;
    if let Some((id, command)) = input.command.owner {
        save_owner(&mut tx, input, id, command).await?;
    }
    let saved = match existing {
        Some(_) => Saved::Replaced,
        None => Saved::Created,
    };
    let owners = principals::owners_in(&mut tx, input.app).await?;
    Ok(((app, owners), saved))
}

async fn check_read_only(tx: &mut Tx<'_>, input: &SaveApp, existing: Option<&App>) -> Result<()> {
    let Some(existing) = existing else { return Ok(()) };
    let owners = principals::owners_in(tx, input.app).await?;
    let shown = wire_rows::registered_app(existing.clone(), owners)?;
    Ok(shown.check_read_only(&input.command.given)?)
}

fn whole_app(input: &SaveApp, existing: Option<&App>) -> Result<App, RuleError> {
    let command = &input.command;
    let app = App {
        id: input.app,
        publisher: command.publisher.clone().ok_or_else(|| required("publisher"))?,
        publisher_tenant_id: command
            .publisher_tenant_id
            .ok_or_else(|| required("publisherAadTenantId"))?,
        publisher_contact_email: command
            .publisher_contact_email
            .clone()
            .ok_or_else(|| required("publisherContactEmail"))?,
        storage_location: command
            .storage_location
            .clone()
            .ok_or_else(|| required("storageLocation"))?,
        name: existing.and_then(|app| app.name.clone()),
        etag: existing.map_or_else(Etag::random, |existing| existing.etag),
        created_on: existing.map_or(input.now, |app| app.created_on),
        // A registration that does not mention it must not lift it.
        signer_rule: command
            .signer_rule
            .clone()
            .or_else(|| existing.map(|app| app.signer_rule.clone()))
            .unwrap_or_default(),
    };
    Ok(app)
}

/// Changes some of what was registered about an app.
pub(crate) async fn patch_app(
    service: &Service,
    principal: &Principal,
    app: AppId,
    command: RegisterApp,
    preconditions: Preconditions,
) -> Result<Registered> {
    let command = RegisterApp {
        storage_location: mapped(service, command.storage_location)?,
        ..command
    };
    let input = SaveApp {
        principal: principal.clone(),
        app,
        command,
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
    if !repeat::is_first(&mut tx, &input.principal, &input.preconditions, input.now).await? {
        let owners = principals::owners_in(&mut tx, input.app).await?;
        return Ok((existing, owners));
    }
    input.preconditions.check_write(Some(existing.etag))?;
    check_read_only(&mut tx, input, Some(&existing)).await?;
    let command = input.command.clone();
    let app = App {
        publisher: command.publisher.unwrap_or_else(|| existing.publisher.clone()),
        publisher_tenant_id: command
            .publisher_tenant_id
            .unwrap_or(existing.publisher_tenant_id),
        publisher_contact_email: command
            .publisher_contact_email
            .unwrap_or_else(|| existing.publisher_contact_email.clone()),
        storage_location: command
            .storage_location
            .unwrap_or_else(|| existing.storage_location.clone()),
        signer_rule: command
            .signer_rule
            .unwrap_or_else(|| existing.signer_rule.clone()),
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
    audit::record(tx, Actor::Principal(&input.principal), input.now, change).await?;
    Ok(app)
}

async fn save_owner(
    tx: &mut Tx<'_>,
    input: &SaveApp,
    id: PrincipalId,
    change: PrincipalChange,
) -> Result<()> {
    let existing = principals::lock_principal(tx, input.app, id).await?;
    let change = PrincipalChange {
        roles: Some(Roles::NONE.with(Role::Owner)),
        ..change
    };
    let mut owner = match &existing {
        None => rules::new_principal(change)?,
        Some(app_principal) => {
            let roles_stay = PrincipalChange {
                roles: None,
                ..change
            };
            rules::changed_principal(facts(app_principal), roles_stay)?
        }
    };
    owner.roles = owner.roles.with(Role::Owner);
    if existing
        .as_ref()
        .is_some_and(|app_principal| app_principal.roles == owner.roles)
    {
        return Ok(());
    }
    let by = (&input.principal, input.now);
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
        "signerRule": app.signer_rule.to_string(),
    })
}
