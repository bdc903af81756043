//! The operator's emergency stop: what is frozen changes nothing and begins nothing, and whoever asks is told why. What has
//! begun goes on, reading does, and a hotfix that waits can be canceled. What an app's owners hold beforehand is in
//! [`of_apps`].

pub(crate) mod of_apps;

use super::{
    Principal, Service,
    audit::{self, Actor, Change},
    customers::Customer,
    preconditions::Preconditions,
    repeat,
};
use crate::{
    error::{Error, Result},
    wire_rows,
};
use domain::{
    access::{Access, Permission, Resource},
    freeze::Frozen,
    ids::{AppId, Etag, PrincipalId},
    instant::Instant,
    problem::{Code, RuleError},
};
use serde_json::{Value, json};
use std::sync::Arc;
use store::{
    Tx, apps,
    freezes::{self, Freeze},
};
use wire::operator::FreezeRequest;

/// The ids by which somebody may be frozen.
fn as_frozen(principal: &Principal) -> Vec<Frozen> {
    let ids = [Some(principal.id), principal.other_id()];
    ids.into_iter().flatten().map(Frozen::Principal).collect()
}

/// What keeps somebody from a change if it is frozen. An app's hotfixes are another matter: they may still be canceled.
fn in_the_way_of(principal: &Principal, app: AppId, permission: Permission) -> Vec<Frozen> {
    if permission.access == Access::Read {
        return Vec::new();
    }
    let mut subjects = as_frozen(principal);
    if permission.resource != Resource::EnvironmentHotfixes {
        subjects.push(Frozen::App(app));
    }
    subjects
}

/// Whether somebody may make this kind of change now.
pub(super) async fn check_in(
    tx: &mut Tx<'_>,
    principal: &Principal,
    app: AppId,
    permission: Permission,
) -> Result<()> {
    refuse(freezes::find_first(tx, &in_the_way_of(principal, app, permission)).await?)
}

/// Whether a customer's caller may change anything now.
pub(super) async fn check_customer(tx: &mut Tx<'_>, customer: &Customer) -> Result<()> {
    let ids = [Some(customer.id), customer.object_id.map(PrincipalId)];
    let subjects: Vec<_> = ids.into_iter().flatten().map(Frozen::Principal).collect();
    refuse(freezes::find_first(tx, &subjects).await?)
}

/// The same outside a transaction.
pub(super) async fn check(
    service: &Service,
    principal: &Principal,
    app: AppId,
    permission: Permission,
) -> Result<()> {
    refuse(freezes::find_first(&service.db, &in_the_way_of(principal, app, permission)).await?)
}

/// Whether operations of these apps may be scheduled now.
pub(super) async fn check_scheduling(tx: &mut Tx<'_>, apps: &[AppId]) -> Result<()> {
    let mut subjects = vec![Frozen::Scheduling];
    subjects.extend(apps.iter().copied().map(Frozen::App));
    refuse(freezes::find_first(tx, &subjects).await?)
}

/// Why the caller could not schedule a hotfix of the app now, if that is because something is frozen.
pub(super) async fn why_nothing_is_scheduled(
    service: &Service,
    principal: &Principal,
    app: AppId,
) -> Result<Option<String>> {
    let mut subjects = as_frozen(principal);
    subjects.extend([Frozen::Scheduling, Frozen::App(app)]);
    let freeze = freezes::find_first(&service.db, &subjects).await?;
    Ok(freeze.as_ref().map(told))
}

fn refuse(freeze: Option<Freeze>) -> Result<()> {
    let Some(freeze) = freeze else {
        return Ok(());
    };
    let message = told(&freeze);
    Err(RuleError::new(Code::Forbidden, message.clone())
        .because("Frozen", message)
        .into())
}

fn told(freeze: &Freeze) -> String {
    let what = match freeze.subject {
        Frozen::Scheduling => "all scheduling".to_owned(),
        Frozen::App(app) => format!("app {app}"),
        Frozen::Principal(id) => format!("what {id} does"),
        Frozen::Webhooks => "all webhooks".to_owned(),
        Frozen::WebhooksOf(app) => format!("the webhooks of app {app}"),
    };
    format!(
        "The operator has frozen {what} since {}: {}",
        freeze.frozen_on, freeze.reason
    )
}

/// One freeze.
pub(crate) async fn get_freeze(service: &Service, subject: Frozen) -> Result<Freeze> {
    let found = freezes::find_freeze(&service.db, subject).await?;
    found.ok_or_else(|| not_frozen(subject).into())
}

fn not_frozen(subject: Frozen) -> RuleError {
    RuleError::missing(target(subject), format!("{subject} is not frozen."))
}

fn target(subject: Frozen) -> String {
    format!("freezes/{subject}")
}

struct Saving {
    principal: Principal,
    subject: Frozen,
    /// Nothing where it is to go on.
    request: Option<FreezeRequest>,
    preconditions: Preconditions,
    now: Instant,
}

/// Freezes something, or says anew why; whether it was free before.
pub(crate) async fn put_freeze(
    service: &Service,
    principal: &Principal,
    subject: Frozen,
    request: FreezeRequest,
    preconditions: Preconditions,
) -> Result<(Freeze, bool)> {
    // Whoever mistypes an id in an emergency must not believe that something has stopped.
    if let Frozen::App(app) | Frozen::WebhooksOf(app) = subject
        && apps::find_any_app(&service.db, app).await?.is_none()
    {
        let message = format!("There is no app {app} to freeze.");
        return Err(RuleError::missing(format!("apps({app})"), message).into());
    }
    let input = Saving {
        principal: principal.clone(),
        subject,
        request: Some(request),
        preconditions,
        now: service.clock.now(),
    };
    let saved = service
        .db
        .write(input, |tx, input| Box::pin(save_in(tx, input)))
        .await?;
    saved.ok_or_else(|| Error::fault("a freeze that was saved is not there"))
}

/// Lets what was frozen go on. What is due by then begins within a minute.
pub(crate) async fn delete_freeze(
    service: &Arc<Service>,
    principal: &Principal,
    subject: Frozen,
    preconditions: Preconditions,
) -> Result<()> {
    let input = Saving {
        principal: principal.clone(),
        subject,
        request: None,
        preconditions,
        now: service.clock.now(),
    };
    service
        .db
        .write(input, |tx, input| Box::pin(save_in(tx, input)))
        .await
        .map(drop)
}

async fn save_in(mut tx: Tx<'_>, input: &Saving) -> Result<Option<(Freeze, bool)>> {
    let subject = input.subject;
    let existing = freezes::lock_freeze(&mut tx, subject).await?;
    if existing.is_none() && input.request.is_none() {
        return Err(input.preconditions.missing(not_frozen(subject)));
    }
    if !repeat::is_first(&mut tx, &input.principal, &input.preconditions, input.now).await? {
        let freeze = existing.ok_or_else(|| not_frozen(subject))?;
        return Ok(Some((freeze, false)));
    }
    input
        .preconditions
        .check_write(existing.as_ref().map(|freeze| freeze.etag))?;
    if let (Some(existing), Some(request)) = (&existing, &input.request) {
        wire_rows::freeze(existing.clone())?.check_read_only(&request.given)?;
    }
    let after = input.request.as_ref().map(|request| Freeze {
        subject,
        reason: request.reason.clone(),
        frozen_on: existing.as_ref().map_or(input.now, |freeze| freeze.frozen_on),
        frozen_by: input.principal.signature(),
        etag: Etag::random(),
    });
    match &after {
        Some(freeze) => freezes::save_freeze(&mut tx, freeze).await?,
        None => freezes::delete_freeze(&mut tx, subject).await?,
    }
    let change = Change {
        action: match after {
            Some(_) => "freezes/write",
            None => "freezes/delete",
        },
        target: target(subject),
        before: existing.as_ref().map(state),
        after: after.as_ref().map(state),
    };
    audit::record(&mut tx, Actor::Principal(&input.principal), input.now, change).await?;
    Ok(after.map(|freeze| (freeze, existing.is_none())))
}

fn state(freeze: &Freeze) -> Value {
    json!({ "reason": freeze.reason, "frozenOn": freeze.frozen_on.to_string() })
}

impl Principal {
    /// The other id by which a principals row may know an application.
    fn other_id(&self) -> Option<PrincipalId> {
        self.object_id.map(PrincipalId)
    }
}
