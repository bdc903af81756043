//! When nothing of an app starts, as its owners say beforehand. It holds what the vendor asked for: what customers ask for
//! themselves goes on, and only the operator stops that.

use crate::{
    actions::{
        Principal, Service, access,
        audit::{self, Actor, Change},
        preconditions::Preconditions,
        repeat,
    },
    error::Result,
    wire_rows,
};
use domain::{
    access::{Permission, Resource},
    ids::{AppId, Etag},
    instant::Instant,
    problem::RuleError,
};
use serde_json::{Value, json};
use store::{
    Tx, apps,
    freezes::{self, AppFreeze},
};
use uuid::Uuid;
use wire::freezes::AppFreezeRequest;

pub(crate) const READ: Permission = Permission::read(Resource::Freezes);
pub(crate) const WRITE: Permission = Permission::write(Resource::Freezes);

/// Most freezes of an app that are not over: each is looked at with every claim.
const MOST: u64 = 50;

/// One freeze of an app.
pub(crate) async fn get_app_freeze(
    service: &Service,
    principal: &Principal,
    app: AppId,
    id: Uuid,
) -> Result<AppFreeze> {
    access::preview(service, principal, app, None, READ).await?;
    let found = freezes::find_app_freeze(&service.db, app, id).await?;
    found.ok_or_else(|| missing(app, id).into())
}

struct Saving {
    principal: Principal,
    app: AppId,
    id: Uuid,
    /// Nothing where it is to go.
    request: Option<AppFreezeRequest>,
    preconditions: Preconditions,
    now: Instant,
}

/// Declares a freeze of an app, or changes one; it, and whether it is new.
pub(crate) async fn put_app_freeze(
    service: &Service,
    principal: &Principal,
    app: AppId,
    id: Uuid,
    request: AppFreezeRequest,
    preconditions: Preconditions,
) -> Result<(AppFreeze, bool)> {
    let saved = save(service, principal, (app, id), Some(request), preconditions).await?;
    saved.ok_or_else(|| missing(app, id).into())
}

/// Removes a freeze of an app. What is due by then starts within a minute.
pub(crate) async fn delete_app_freeze(
    service: &Service,
    principal: &Principal,
    app: AppId,
    id: Uuid,
    preconditions: Preconditions,
) -> Result<()> {
    save(service, principal, (app, id), None, preconditions)
        .await
        .map(drop)
}

async fn save(
    service: &Service,
    principal: &Principal,
    (app, id): (AppId, Uuid),
    request: Option<AppFreezeRequest>,
    preconditions: Preconditions,
) -> Result<Option<(AppFreeze, bool)>> {
    let input = Saving {
        principal: principal.clone(),
        app,
        id,
        request,
        preconditions,
        now: service.clock.now(),
    };
    service
        .db
        .write(input, |tx, input| Box::pin(save_in(tx, input)))
        .await
}

async fn save_in(mut tx: Tx<'_>, input: &Saving) -> Result<Option<(AppFreeze, bool)>> {
    let &Saving { app, id, now, .. } = input;
    apps::lock_app(&mut tx, app).await?;
    access::require(&mut tx, &input.principal, app, WRITE).await?;
    let existing = freezes::lock_app_freeze(&mut tx, id).await?;
    // The id of another app's is no id here.
    if existing.as_ref().is_some_and(|existing| existing.app_id != app)
        || existing.is_none() && input.request.is_none()
    {
        return Err(input.preconditions.missing(missing(app, id)));
    }
    if !repeat::is_first(&mut tx, &input.principal, &input.preconditions, now).await? {
        return Ok(existing.map(|freeze| (freeze, false)));
    }
    let etag = existing.as_ref().map(|freeze| freeze.etag);
    input.preconditions.check_write(etag)?;
    let after = match &input.request {
        Some(request) => {
            let freeze = described(&mut tx, input, request, existing.as_ref()).await?;
            freezes::save_app_freeze(&mut tx, &freeze).await?;
            Some(freeze)
        }
        None => {
            freezes::delete_app_freeze(&mut tx, id).await?;
            None
        }
    };
    let change = Change {
        action: match after {
            Some(_) => WRITE.as_str(),
            None => "freezes/delete",
        },
        target: target(app, id),
        before: existing.as_ref().map(state),
        after: after.as_ref().map(state),
    };
    audit::record(&mut tx, Actor::Principal(&input.principal), now, change).await?;
    Ok(after.map(|freeze| (freeze, existing.is_none())))
}

/// A freeze as a request describes it.
async fn described(
    tx: &mut Tx<'_>,
    input: &Saving,
    request: &AppFreezeRequest,
    existing: Option<&AppFreeze>,
) -> Result<AppFreeze> {
    if let Some(existing) = existing {
        wire_rows::app_freeze(existing.clone())?.check_read_only(&request.given)?;
    } else {
        // Whoever mistypes a year must not believe that something is frozen.
        if request.span.ends_on <= input.now {
            let message = format!(
                "'to' is {}, which has passed: nothing would be frozen.",
                request.span.ends_on
            );
            return Err(RuleError::invalid("to", message).into());
        }
        if freezes::count_app_freezes(tx, input.app, input.now).await? >= MOST {
            let message = format!("The app has {MOST} freezes, and no more are allowed: remove one first.");
            return Err(RuleError::broken("TooManyFreezes", message).into());
        }
    }
    Ok(AppFreeze {
        id: input.id,
        app_id: input.app,
        span: request.span,
        places: request.places.clone(),
        reason: request.reason.clone(),
        created_on: existing.map_or(input.now, |kept| kept.created_on),
        created_by: existing.map_or_else(|| input.principal.signature(), |kept| kept.created_by.clone()),
        etag: Etag::random(),
    })
}

fn missing(app: AppId, id: Uuid) -> RuleError {
    RuleError::missing(target(app, id), format!("App {app} has no freeze {id}."))
}

fn target(app: AppId, id: Uuid) -> String {
    format!("apps/{app}/freezes/{id}")
}

/// What the audit says of a freeze.
fn state(freeze: &AppFreeze) -> Value {
    let countries: Vec<_> = freeze.places.countries.iter().map(|one| one.as_str()).collect();
    let kinds: Vec<_> = freeze.places.kinds.iter().map(|one| one.as_str()).collect();
    json!({
        "from": freeze.span.begins_on.to_string(),
        "to": freeze.span.ends_on.to_string(),
        "countries": countries,
        "types": kinds,
        "reason": freeze.reason,
    })
}
