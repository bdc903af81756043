//! Who has which roles on an app. That an app always keeps an owner is decided with the app's row locked, so that
//! two owners who remove each other at once cannot both succeed.

use super::{
    Principal, Service, access,
    audit::{self, Actor, Change},
    preconditions::Preconditions,
    quotas, repeat,
};
use crate::{
    config::QuotaSettings,
    error::{Error, Result},
};
use domain::{
    access::{self as rules, Permission, PrincipalChange, Resource},
    ids::{AppId, Etag, PrincipalId},
    instant::Instant,
    principal::{Role, Roles, TokenTenant},
    problem::{Code, RuleError},
};
use serde_json::{Value, json};
use store::{
    Tx, agents, apps,
    principals::{self, AppPrincipal},
};

const READ: Permission = Permission::read(Resource::Principals);
const WRITE: Permission = Permission::write(Resource::Principals);

/// One principal of an app.
pub(crate) async fn get_principal(
    service: &Service,
    principal: &Principal,
    app: AppId,
    id: PrincipalId,
) -> Result<AppPrincipal> {
    access::admit(service, principal, app, None, READ).await?;
    if let Some(app_principal) = principals::find_principal(&service.db, principal.reference, app, id).await?
    {
        return Ok(app_principal);
    }
    access::preview(service, principal, app, None, READ).await?;
    Err(principal_missing(app, id).into())
}

/// Who may change principals of an app: its owners, or the service's operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Authority {
    Owner,
    Operator,
}

struct PatchPrincipal {
    principal: Principal,
    authority: Authority,
    app: AppId,
    id: PrincipalId,
    change: PrincipalChange,
    preconditions: Preconditions,
    quotas: QuotaSettings,
    now: Instant,
}

/// Adds a principal, or changes its roles.
pub(crate) async fn patch_principal(
    service: &Service,
    principal: &Principal,
    authority: Authority,
    app: AppId,
    id: PrincipalId,
    change: PrincipalChange,
    preconditions: Preconditions,
) -> Result<AppPrincipal> {
    let now = service.clock.now();
    let input = PatchPrincipal {
        principal: principal.clone(),
        authority,
        app,
        id,
        change,
        preconditions,
        quotas: service.settings.quotas,
        now,
    };
    service
        .db
        .write(input, |tx, input| Box::pin(patch_principal_in(tx, input)))
        .await
}

async fn patch_principal_in(mut tx: Tx<'_>, input: &PatchPrincipal) -> Result<AppPrincipal> {
    lock_and_require(&mut tx, &input.principal, input.authority, input.app).await?;
    let existing = principals::lock_principal(&mut tx, input.app, input.id).await?;
    if !repeat::is_first(&mut tx, &input.principal, &input.preconditions, input.now).await? {
        return existing.ok_or_else(|| principal_missing(input.app, input.id).into());
    }
    input
        .preconditions
        .check_write(existing.as_ref().map(|app_principal| app_principal.etag))?;
    let changed = match &existing {
        None => rules::new_principal(input.change)?,
        Some(existing) => rules::changed_principal(facts(existing), input.change)?,
    };
    if let Some(existing) = &existing {
        if facts(existing) == changed {
            return Ok(existing.clone());
        }
        check_owner_remains(&mut tx, input.app, existing, changed.roles).await?;
    } else if input.authority == Authority::Owner {
        quotas::check_principal(&mut tx, input.quotas, input.app).await?;
    }
    let by = (&input.principal, input.now);
    write_principal(&mut tx, by, (input.app, input.id), existing.as_ref(), changed).await
}

/// Stores a principal under a new tag, with its audit row.
pub(super) async fn write_principal(
    tx: &mut Tx<'_>,
    (principal, now): (&Principal, Instant),
    (app, id): (AppId, PrincipalId),
    existing: Option<&AppPrincipal>,
    changed: rules::Principal,
) -> Result<AppPrincipal> {
    if existing.is_none() {
        check_no_agent(tx, id).await?;
    }
    let rules::Principal {
        kind,
        tenant_id,
        roles,
        token_tenant,
    } = changed;
    let app_principal = AppPrincipal {
        app_id: app,
        id,
        kind,
        tenant_id,
        roles,
        etag: Etag::random(),
        token_tenant,
        approves_since: approves_since(existing, roles, now),
    };
    principals::save_principal(tx, &app_principal).await?;
    let change = Change {
        action: WRITE.as_str(),
        target: target(app, id),
        before: existing.map(state),
        after: Some(state(&app_principal)),
    };
    audit::record(tx, Actor::Principal(principal), now, change).await?;
    Ok(app_principal)
}

/// Since when a principal with these roles may approve rollouts.
fn approves_since(existing: Option<&AppPrincipal>, roles: Roles, now: Instant) -> Option<Instant> {
    let may = |roles| rules::permits(roles, Permission::write(Resource::Rollouts));
    match existing.filter(|existing| may(existing.roles)) {
        _ if !may(roles) => None,
        Some(existing) => existing.approves_since,
        None => Some(now),
    }
}

/// One credential opens one API: whoever is an agent is no principal of an app.
async fn check_no_agent(tx: &mut Tx<'_>, id: PrincipalId) -> Result<()> {
    let Some(agent) = agents::agent_of_identity(tx, [id.0, id.0], None).await? else {
        return Ok(());
    };
    let message =
        format!("{id} is what agent '{agent}' signs in as. A principal needs an identity of its own.");
    Err(RuleError::new(Code::IdentityInUse, message).about("id").into())
}

struct DeletePrincipal {
    principal: Principal,
    app: AppId,
    id: PrincipalId,
    preconditions: Preconditions,
    now: Instant,
}

/// Takes all roles from a principal.
pub(crate) async fn delete_principal(
    service: &Service,
    principal: &Principal,
    app: AppId,
    id: PrincipalId,
    preconditions: Preconditions,
) -> Result<()> {
    let input = DeletePrincipal {
        principal: principal.clone(),
        app,
        id,
        preconditions,
        now: service.clock.now(),
    };
    service
        .db
        .write(input, |tx, input| Box::pin(delete_principal_in(tx, input)))
        .await
}

async fn delete_principal_in(mut tx: Tx<'_>, input: &DeletePrincipal) -> Result<()> {
    lock_and_require(&mut tx, &input.principal, Authority::Owner, input.app).await?;
    let Some(existing) = principals::lock_principal(&mut tx, input.app, input.id).await? else {
        return Err(input
            .preconditions
            .missing(principal_missing(input.app, input.id)));
    };
    input.preconditions.check_write(Some(existing.etag))?;
    check_owner_remains(&mut tx, input.app, &existing, Roles::NONE).await?;
    principals::delete_principal(&mut tx, input.app, input.id).await?;
    let change = Change {
        action: "principals/delete",
        target: target(input.app, input.id),
        before: Some(state(&existing)),
        after: None,
    };
    audit::record(&mut tx, Actor::Principal(&input.principal), input.now, change).await
}

/// Locks the app first and reads the caller's role after: a role that another transaction is just taking away counts
/// as gone once that one has ended.
async fn lock_and_require(
    tx: &mut Tx<'_>,
    principal: &Principal,
    authority: Authority,
    app: AppId,
) -> Result<()> {
    let found = apps::lock_app(tx, app).await?;
    match authority {
        Authority::Owner => access::require(tx, principal, app, WRITE).await.map(drop),
        Authority::Operator if found.is_some() => Ok(()),
        Authority::Operator => Err(no_app(app)),
    }
}

fn no_app(app: AppId) -> Error {
    RuleError::missing(format!("apps/{app}"), format!("There is no app {app}.")).into()
}

async fn check_owner_remains(
    tx: &mut Tx<'_>,
    app: AppId,
    existing: &AppPrincipal,
    after: Roles,
) -> Result<()> {
    let others = principals::other_owners(tx, app, existing.id)
        .await?
        .unsigned_abs();
    let owners = others + u64::from(existing.roles.contains(Role::Owner));
    rules::check_owner_remains(owners, existing.roles, after)?;
    Ok(())
}

/// What the rules see of a principal.
pub(super) fn facts(app_principal: &AppPrincipal) -> rules::Principal {
    rules::Principal {
        kind: app_principal.kind,
        tenant_id: app_principal.tenant_id,
        roles: app_principal.roles,
        token_tenant: app_principal.token_tenant,
    }
}

fn target(app: AppId, id: PrincipalId) -> String {
    format!("apps/{app}/principals/{id}")
}

fn principal_missing(app: AppId, id: PrincipalId) -> RuleError {
    RuleError::missing(target(app, id), format!("App {app} has no principal {id}."))
}

fn state(app_principal: &AppPrincipal) -> Value {
    let roles: Vec<_> = app_principal.roles.iter().map(Role::as_str).collect();
    let state = [
        ("type", app_principal.kind.as_str().into()),
        (
            "aadTenantId",
            json!(app_principal.tenant_id.map(|tenant| tenant.to_string())),
        ),
        ("roles", roles.into()),
    ];
    let allowed = (app_principal.token_tenant != TokenTenant::Publisher)
        .then(|| ("tokenTenant", app_principal.token_tenant.to_string().into()));
    let all = state.into_iter().chain(allowed);
    all.map(|(name, value)| (name.to_owned(), value)).collect()
}
