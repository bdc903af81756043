//! Which runs of pipelines may act for an app: its owners say so, and each run exchanges what its own issuer says of it for a
//! token of the service's own.
//!
//! What a run may is read from its publisher's record with each request, so whatever an owner takes away is gone with the
//! next one.

mod exchange;
mod refusals;
mod run;
mod tokens;

pub(crate) use exchange::{Given, Wish, exchange};
pub(crate) use refusals::Refusals;
pub(crate) use run::{End, SignIn, end_token, forget_ended, sign_in};
pub(crate) use tokens::revoke_token;

use super::{
    Principal, Service, access,
    audit::{self, Actor, Change},
    events,
    preconditions::Preconditions,
    repeat,
};
use crate::{
    error::{Error, Result},
    wire_rows,
};
use auth::{AuthSettings, PipelineIssuerSettings};
use domain::{
    access::{Permission, Resource},
    country::CountryCode,
    ids::{AppId, Etag},
    instant::Instant,
    problem::RuleError,
    publisher::{PENDING_FOR, Provider, PublisherState, check_grant},
    webhook::PUBLISHER_WIDENED,
};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use store::{
    Tx, apps,
    publishers::{self, TrustedPublisher, UnconfirmedIds},
};
use uuid::Uuid;
use wire::publishers::TrustedPublisherRequest;

pub(crate) const READ: Permission = Permission::read(Resource::TrustedPublishers);
pub(crate) const WRITE: Permission = Permission::write(Resource::TrustedPublishers);

/// Most publishers of an app.
const MOST: u64 = 20;

/// One publisher of an app.
pub(crate) async fn get_trusted_publisher(
    service: &Service,
    principal: &Principal,
    app: AppId,
    id: Uuid,
) -> Result<TrustedPublisher> {
    access::preview(service, principal, app, None, READ).await?;
    let found = publishers::find_publisher(&service.db, app, id).await?;
    found.ok_or_else(|| missing(app, id).into())
}

struct Saving {
    principal: Principal,
    app: AppId,
    id: Uuid,
    request: TrustedPublisherRequest,
    /// The refusal of it comes last: it is the operator's to mend, and the rest the caller's.
    issuer: Result<String, RuleError>,
    countries: BTreeSet<CountryCode>,
    preconditions: Preconditions,
    now: Instant,
}

/// Trusts a publisher, or changes what is said of one; whether it was not trusted before.
pub(crate) async fn put_trusted_publisher(
    service: &Service,
    principal: &Principal,
    app: AppId,
    id: Uuid,
    request: TrustedPublisherRequest,
    preconditions: Preconditions,
) -> Result<(TrustedPublisher, bool)> {
    access::preview(service, principal, app, None, WRITE).await?;
    let allow_w1 = service.settings.countries.allow_w1;
    let countries = request.countries.iter().map(|code| {
        CountryCode::parse(code, allow_w1)
            .map_err(|error| RuleError::invalid("countries", format!("'countries': {error}.")))
    });
    let input = Saving {
        principal: principal.clone(),
        app,
        id,
        issuer: enabled_issuer(&service.settings.identity, &request),
        countries: countries.collect::<Result<_, _>>()?,
        request,
        preconditions,
        now: service.clock.now(),
    };
    let saved = service
        .db
        .write(input, |tx, input| Box::pin(put_in(tx, input)))
        .await?;
    service.emitted.notify_here();
    Ok(saved)
}

/// The issuer that is meant, among those that the operator has enabled: where an owner could name any, the service would go
/// where they say to fetch its keys.
fn enabled_issuer(settings: &AuthSettings, request: &TrustedPublisherRequest) -> Result<String, RuleError> {
    let of_provider = |known: &&PipelineIssuerSettings| Provider::from(known.provider) == request.provider;
    let enabled: Vec<_> = settings
        .publishers
        .iter()
        .filter(of_provider)
        .map(|known| known.issuer.as_str())
        .collect();
    match (&request.issuer, enabled.as_slice()) {
        (Some(issuer), enabled) if enabled.contains(&issuer.as_str()) => Ok(issuer.clone()),
        (None, [only]) => Ok((*only).to_owned()),
        (_, []) => Err(not_enabled(
            settings,
            request,
            "Ask the operator to enable one (identity.publishers)",
        )),
        _ => Err(not_enabled(settings, request, "Name one of them as 'issuer'")),
    }
}

/// The refusal of an issuer, with all that are enabled, of whichever provider, and what is to be done.
fn not_enabled(settings: &AuthSettings, request: &TrustedPublisherRequest, advice: &str) -> RuleError {
    let provider = request.provider;
    let fact = match &request.issuer {
        Some(issuer) => {
            format!("'{issuer}' is no issuer of {provider} that this service's operator has enabled.")
        }
        None => format!("It takes one issuer of {provider} that this service's operator has enabled."),
    };
    let enabled: Vec<_> = settings
        .publishers
        .iter()
        .map(|known| format!("{} ({})", known.issuer, Provider::from(known.provider)))
        .collect();
    let enabled = match enabled.as_slice() {
        [] => "None is enabled, of any provider".to_owned(),
        some => format!("Enabled are: {}", some.join(", ")),
    };
    RuleError::broken("IssuerNotEnabled", format!("{fact} {enabled}. {advice}.")).about("issuer")
}

async fn put_in(mut tx: Tx<'_>, input: &Saving) -> Result<(TrustedPublisher, bool)> {
    apps::lock_app(&mut tx, input.app).await?;
    access::require(&mut tx, &input.principal, input.app, WRITE).await?;
    let existing = lock(&mut tx, input.app, input.id).await?;
    if !repeat::is_first(&mut tx, &input.principal, &input.preconditions, input.now).await? {
        return existing
            .map(|publisher| (publisher, false))
            .ok_or_else(|| missing(input.app, input.id).into());
    }
    let etag = existing.as_ref().map(|publisher| publisher.etag);
    input.preconditions.check_write(etag)?;
    if let Some(existing) = &existing {
        wire_rows::trusted_publisher(existing.clone())?.check_read_only(&input.request.given)?;
    }
    let given = given_ids(input);
    let is_unconfirmed = match &given {
        Some(ids) => publishers::are_unconfirmed(&mut tx, ids).await?,
        None => false,
    };
    let publisher = described(input, existing.as_ref(), is_unconfirmed)?;
    publisher.binding().check()?;
    check_grant(&publisher.grant())?;
    input.issuer.clone()?;
    if let Some(ids) = given.filter(|_| input.request.confirmed) {
        publishers::forget_unconfirmed(&mut tx, &ids).await?;
    }
    match &existing {
        None => {
            if publishers::count_publishers(&mut tx, input.app).await? >= MOST {
                let message = format!(
                    "There are {MOST} trusted publishers, and no more are allowed: remove one first."
                );
                return Err(RuleError::broken("TooManyPublishers", message).into());
            }
            publishers::insert_publisher(&mut tx, &publisher).await?;
        }
        Some(existing) => {
            publishers::update_publisher(&mut tx, &publisher).await?;
            let is_another = existing.binding() != publisher.binding();
            if is_another {
                // Whatever runs at this moment was trusted as something else.
                publishers::revoke_tokens(&mut tx, publisher.id, input.now).await?;
            }
            if is_another || publisher.grant().is_wider_than(&existing.grant()) {
                let by = Actor::Principal(&input.principal);
                emit(&mut tx, PUBLISHER_WIDENED, (input.app, input.id), by, input.now).await?;
            }
        }
    }
    let change = Change {
        action: WRITE.as_str(),
        target: target(input.app, input.id),
        before: existing.as_ref().map(state),
        after: Some(state(&publisher)),
    };
    audit::record(&mut tx, Actor::Principal(&input.principal), input.now, change).await?;
    Ok((publisher, existing.is_none()))
}

/// The ids that a request gives, as they are looked for among those that a run locked a publisher of the app to.
fn given_ids(input: &Saving) -> Option<UnconfirmedIds> {
    Some(UnconfirmedIds {
        app_id: input.app,
        issuer: input.issuer.clone().ok()?,
        repository_id: input.request.repository_id.clone()?,
        owner_id: input.request.owner_id.clone()?,
    })
}

/// A publisher as a request describes it.
fn described(
    input: &Saving,
    existing: Option<&TrustedPublisher>,
    is_unconfirmed: bool,
) -> Result<TrustedPublisher, RuleError> {
    let request = &input.request;
    let Ids {
        repository_id,
        owner_id,
        state,
    } = ids(input, existing, is_unconfirmed)?;
    let is_of_same = |kept: &&TrustedPublisher| {
        (&kept.repository_id, &kept.owner_id) == (&repository_id, &owner_id)
            && input.issuer.as_ref() == Ok(&kept.issuer)
            && kept.repository.eq_ignore_ascii_case(&request.repository)
    };
    // Runs of another repository have not named it.
    let named_on = existing.filter(is_of_same).and_then(|kept| kept.named_on);
    let joined = |words: &mut dyn Iterator<Item = &str>| words.collect::<Vec<_>>().join(" ");
    Ok(TrustedPublisher {
        id: input.id,
        app_id: input.app,
        provider: request.provider,
        issuer: input.issuer.clone().unwrap_or_default(),
        repository: request.repository.clone(),
        repository_id,
        owner_id,
        workflow: request.workflow.clone(),
        job_workflow: request.job_workflow.clone(),
        environment: request.environment.clone(),
        ref_pattern: request.ref_pattern.clone(),
        events: request.events.join(" "),
        runner_environment: request.runner_environment.clone(),
        may: joined(&mut request.may.iter().map(|right| right.as_str())),
        max_availability: request.max_availability,
        countries: (!input.countries.is_empty())
            .then(|| joined(&mut input.countries.iter().map(|country| country.as_str()))),
        lifetime_seconds: request.lifetime_seconds,
        state,
        // Whoever saves it again begins its time anew.
        pending_until: (state == PublisherState::Pending).then(|| input.now + PENDING_FOR),
        locked_on: existing
            .filter(|_| state != PublisherState::Pending)
            .and_then(|kept| kept.locked_on),
        created_on: existing.map_or(input.now, |kept| kept.created_on),
        created_by: existing.map_or_else(|| input.principal.signature(), |kept| kept.created_by.clone()),
        used_on: existing.and_then(|kept| kept.used_on),
        etag: Etag::random(),
        named_on,
    })
}

struct Ids {
    repository_id: Option<String>,
    owner_id: Option<String>,
    state: PublisherState,
}

/// Which ids are meant, and whether an owner said so. Those that a run was locked to stay unconfirmed until an owner repeats
/// them and says that they are right: whoever sends back what they were shown has not looked at it, under whatever name they
/// send it, whichever of the app's publishers showed it, and whether that is still there.
fn ids(input: &Saving, existing: Option<&TrustedPublisher>, is_unconfirmed: bool) -> Result<Ids, RuleError> {
    let request = &input.request;
    let given = (&request.repository_id, &request.owner_id);
    let is_as_kept = |kept: &TrustedPublisher| (&kept.repository_id, &kept.owner_id) == given;
    let is_same_repository = |kept: &TrustedPublisher| {
        kept.repository.eq_ignore_ascii_case(&request.repository) || is_as_kept(kept)
    };
    let kept = existing
        .filter(|kept| kept.provider == request.provider && input.issuer.as_ref() == Ok(&kept.issuer))
        .filter(|kept| kept.binding().has_ids() && is_same_repository(kept));
    let is_given = given.0.is_some() || given.1.is_some();
    if request.confirmed && (!is_given || kept.is_some_and(|kept| !is_as_kept(kept))) {
        let message = "To confirm ids, repeat them: 'repositoryId' and 'ownerId', as the publisher shows them, once you have \
                       made sure that they are those of your repository.";
        return Err(RuleError::broken("NothingToConfirm", message).about("confirmed"));
    }
    let (ids, state) = match kept {
        Some(kept) if !is_given => ((&kept.repository_id, &kept.owner_id), kept.state),
        Some(kept) if is_as_kept(kept) && !request.confirmed => (given, kept.state),
        _ if is_given && is_unconfirmed && !request.confirmed => (given, PublisherState::Unconfirmed),
        _ if is_given => (given, PublisherState::Active),
        _ => ((&None, &None), PublisherState::Pending),
    };
    Ok(Ids {
        repository_id: ids.0.clone(),
        owner_id: ids.1.clone(),
        state,
    })
}

struct Removing {
    principal: Principal,
    app: AppId,
    id: Uuid,
    preconditions: Preconditions,
    now: Instant,
}

/// Trusts a publisher no more. Whatever its runs were given ends with it.
pub(crate) async fn delete_trusted_publisher(
    service: &Service,
    principal: &Principal,
    app: AppId,
    id: Uuid,
    preconditions: Preconditions,
) -> Result<()> {
    let input = Removing {
        principal: principal.clone(),
        app,
        id,
        preconditions,
        now: service.clock.now(),
    };
    service
        .db
        .write(input, |tx, input| Box::pin(delete_in(tx, input)))
        .await
}

async fn delete_in(mut tx: Tx<'_>, input: &Removing) -> Result<()> {
    apps::lock_app(&mut tx, input.app).await?;
    access::require(&mut tx, &input.principal, input.app, WRITE).await?;
    let Some(existing) = lock(&mut tx, input.app, input.id).await? else {
        return Err(input.preconditions.missing(missing(input.app, input.id)));
    };
    input.preconditions.check_write(Some(existing.etag))?;
    publishers::delete_publisher(&mut tx, input.id).await?;
    let change = Change {
        action: "trustedPublishers/delete",
        target: target(input.app, input.id),
        before: Some(state(&existing)),
        after: None,
    };
    audit::record(&mut tx, Actor::Principal(&input.principal), input.now, change).await
}

/// A publisher of that app, its row locked. The id of another app's is no id here.
async fn lock(tx: &mut Tx<'_>, app: AppId, id: Uuid) -> Result<Option<TrustedPublisher>> {
    match publishers::lock_publisher(tx, id).await? {
        Some(publisher) if publisher.app_id != app => Err(Error::from(missing(app, id))),
        found => Ok(found),
    }
}

fn missing(app: AppId, id: Uuid) -> RuleError {
    RuleError::missing(
        target(app, id),
        format!("App {app} has no trusted publisher {id}."),
    )
}

fn target(app: AppId, id: Uuid) -> String {
    format!("apps/{app}/trustedPublishers/{id}")
}

/// What the audit says of a publisher.
fn state(publisher: &TrustedPublisher) -> Value {
    json!({
        "provider": publisher.provider.as_str(),
        "issuer": publisher.issuer,
        "repository": publisher.repository,
        "repositoryId": publisher.repository_id,
        "ownerId": publisher.owner_id,
        "workflow": publisher.workflow,
        "jobWorkflow": publisher.job_workflow,
        "environment": publisher.environment,
        "refPattern": publisher.ref_pattern,
        "events": publisher.events,
        "runnerEnvironment": publisher.runner_environment,
        "may": publisher.may,
        "maxAvailability": publisher.max_availability.as_str(),
        "countries": publisher.countries,
        "lifetimeSeconds": publisher.lifetime_seconds,
        "state": publisher.state.as_str(),
    })
}

/// Tells those who listen to the app what became of a publisher.
async fn emit(
    tx: &mut Tx<'_>,
    kind: &str,
    (app, id): (AppId, Uuid),
    by: Actor<'_>,
    now: Instant,
) -> Result<()> {
    let facts = Map::from_iter([("id".to_owned(), id.to_string().into())]);
    events::emit_of_app(tx, kind, app, by, now, facts).await
}
