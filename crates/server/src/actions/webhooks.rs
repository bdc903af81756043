//! Who is told of events: owners for their app, operators for everything.
//!
//! Whoever adds a webhook at a host at which the app had none is heard by its other webhooks, so that nobody listens unheard.
//! A secret is shown once, by the answer that makes it.

mod deliver;

pub(crate) use deliver::{Attempt, Outcome, add_deliveries, record_attempt};

use super::{
    Principal, Service, access,
    audit::{self, Actor, Change},
    preconditions::Preconditions,
    repeat,
};
use crate::{
    destinations::{Connector, Target, insights::Connection, items, otlp::Credential, payload, signing},
    error::{Error, Result},
    secrets::{KeyRing, Place, SecretError},
    wire_rows,
};
use domain::{
    access::{Permission, Resource},
    ids::{AppId, Etag},
    instant::Instant,
    problem::{Code, RuleError},
    webhook::{DISABLED, DeliveryStatus, DisabledReason, NEW_HOST, WebhookFormat},
};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use store::{
    Tx, apps,
    events::{Event, insert_events},
    webhooks::{self, Delivery, Webhook},
};
use uuid::Uuid;
use wire::webhooks::WebhookRequest;

pub(crate) const READ: Permission = Permission::read(Resource::Webhooks);
pub(crate) const WRITE: Permission = Permission::write(Resource::Webhooks);

/// Most webhooks of an app, and of the operator.
const MOST: usize = 10;
/// How long the secret before is good after a rotation.
const OVERLAP: Duration = Duration::from_hours(24);
/// How often the webhooks of an app may be tested, and how often they may be told something again.
const TESTS_EACH_HOUR: u64 = 10;
const REPLAYS_EACH_HOUR: u64 = 60;
/// How often they may be changed: each change may be told to all others.
const CHANGES_EACH_HOUR: u64 = 120;
/// How many webhooks are sealed anew in one transaction.
const RESEALED_AT_ONCE: i64 = 100;
const HOUR: Duration = Duration::from_hours(1);
/// Seconds after which that may be again, at most.
const WAIT: u32 = 3_600;

/// Through whom webhooks are reached: an app, or the operator, who may reach all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reached {
    Through(AppId),
    ByOperator,
}

impl Reached {
    fn app(self) -> Option<AppId> {
        match self {
            Self::Through(app) => Some(app),
            Self::ByOperator => None,
        }
    }

    /// Whether a webhook is among those.
    fn includes(self, webhook: &Webhook) -> bool {
        match self {
            Self::Through(app) => webhook.app_id == Some(app),
            Self::ByOperator => true,
        }
    }
}

/// A webhook, and its secret where it has just been made.
pub(crate) struct Saved {
    pub(crate) webhook: Webhook,
    pub(crate) secret: Option<String>,
    pub(crate) is_new: bool,
}

/// One webhook.
pub(crate) async fn get_webhook(
    service: &Service,
    principal: &Principal,
    reached: Reached,
    id: Uuid,
) -> Result<Webhook> {
    may(service, principal, reached, READ).await?;
    let found = webhooks::find_webhook(&service.db, id).await?;
    found
        .filter(|webhook| reached.includes(webhook))
        .ok_or_else(|| missing(id).into())
}

/// Decides outside a transaction.
async fn may(
    service: &Service,
    principal: &Principal,
    reached: Reached,
    permission: Permission,
) -> Result<()> {
    match reached {
        Reached::Through(app) => access::preview(service, principal, app, None, permission)
            .await
            .map(drop),
        // Who is an operator is known before.
        Reached::ByOperator => Ok(()),
    }
}

/// Decides within a transaction, with the app's row locked.
async fn require(tx: &mut Tx<'_>, principal: &Principal, reached: Reached) -> Result<()> {
    let Some(app) = reached.app() else {
        return Ok(());
    };
    apps::lock_app(tx, app).await?;
    access::require(tx, principal, app, WRITE).await.map(drop)
}

struct Saving {
    principal: Principal,
    reached: Reached,
    id: Uuid,
    request: WebhookRequest,
    /// Where it is from now on, unless it stays where it is.
    url: Option<String>,
    /// What is kept sealed of a new one, or of one that is somewhere else now.
    sealed: Option<String>,
    preconditions: Preconditions,
    now: Instant,
}

/// Makes a webhook, or changes one.
pub(crate) async fn put_webhook(
    service: &Service,
    principal: &Principal,
    reached: Reached,
    id: Uuid,
    request: WebhookRequest,
    preconditions: Preconditions,
) -> Result<Saved> {
    may(service, principal, reached, WRITE).await?;
    let url = match &request.connection_string {
        Some(text) => Some(
            Connection::read(text)
                .map_err(|refused| RuleError::invalid("connectionString", sentence(&refused.0)))?
                .url,
        ),
        None => request.url.clone(),
    };
    if let Some(header) = &request.header {
        Credential::read(header).map_err(|refused| RuleError::invalid("header", sentence(&refused.0)))?;
    }
    if let Some(url) = &url {
        check(&service.connector, reached, url).await?;
    }
    let secret = match request.format {
        WebhookFormat::ApplicationInsights => request.connection_string.clone(),
        WebhookFormat::OpenTelemetry => Some(request.header.clone().unwrap_or_default()),
        WebhookFormat::StandardWebhooks | WebhookFormat::CloudEvents => {
            Some(signing::new_secret().map_err(Error::fault)?)
        }
    };
    let sealed = secret
        .as_ref()
        .map(|secret| seal(&service.secrets, id, SECRET, secret))
        .transpose()?;
    let input = Saving {
        principal: principal.clone(),
        reached,
        id,
        request,
        url,
        sealed,
        preconditions,
        now: service.clock.now(),
    };
    let (webhook, is_new) = service
        .db
        .write(input, |tx, input| Box::pin(put_webhook_in(tx, input)))
        .await?;
    service.emitted.notify_here();
    service.deliveries.notify();
    let is_shown = is_new && !webhook.format.is_telemetry();
    Ok(Saved {
        webhook,
        secret: secret.filter(|_| is_shown),
        is_new,
    })
}

async fn put_webhook_in(mut tx: Tx<'_>, input: &Saving) -> Result<(Webhook, bool)> {
    require(&mut tx, &input.principal, input.reached).await?;
    let existing = lock(&mut tx, input.reached, input.id).await?;
    if !repeat::is_first(&mut tx, &input.principal, &input.preconditions, input.now).await? {
        return existing
            .map(|webhook| (webhook, false))
            .ok_or_else(|| missing(input.id).into());
    }
    let etag = existing.as_ref().map(|webhook| webhook.etag);
    input.preconditions.check_write(etag)?;
    if let Some(existing) = &existing {
        wire_rows::webhook(existing.clone())?.check_read_only(&input.request.given)?;
        // What waits is written in the format that there is, and one tells what the other must not.
        if existing.format != input.request.format {
            let message = format!(
                "The format of a webhook cannot be changed from {} to {}: remove it, and add another.",
                existing.format.as_str(),
                input.request.format.as_str()
            );
            return Err(RuleError::broken("FormatCannotChange", message)
                .about("format")
                .into());
        }
        // Somewhere else for a while, it would not hear who begins to listen meanwhile.
        let to = input.url.as_deref().map(host_of);
        if let Some(to) = to.filter(|to| *to != host(existing)) {
            let message = format!(
                "A webhook cannot be moved from host '{}' to '{}': add another there, then remove this one.",
                host(existing).unwrap_or_default(),
                to.unwrap_or_default()
            );
            return Err(RuleError::broken("HostCannotChange", message).about("url").into());
        }
        bound(&mut tx, existing, WRITE.as_str(), CHANGES_EACH_HOUR, input.now).await?;
    }
    let app = existing
        .as_ref()
        .map_or(input.reached.app(), |webhook| webhook.app_id);
    let others = webhooks::webhooks_of(&mut tx, app).await?;
    let webhook = described(input, existing.as_ref(), app)?;
    let is_new = existing.is_none();
    if is_new {
        if others.len() >= MOST {
            let message = format!("There are {MOST} webhooks, and no more are allowed: remove one first.");
            return Err(RuleError::broken("TooManyWebhooks", message).into());
        }
        webhooks::insert_webhook(&mut tx, &webhook).await?;
    } else {
        webhooks::update_webhook(&mut tx, &webhook).await?;
    }
    let was_disabled = existing
        .as_ref()
        .is_some_and(|existing| existing.disabled_on.is_some());
    if was_disabled && webhook.disabled_on.is_none() {
        webhooks::begin_anew(&mut tx, webhook.id, input.now).await?;
    }
    if is_new && !others.iter().any(|other| host(other) == host(&webhook)) {
        let by = Actor::Principal(&input.principal);
        emit(&mut tx, NEW_HOST, &webhook, by, input.now, None).await?;
    }
    let was_enabled = existing
        .as_ref()
        .is_some_and(|existing| existing.disabled_on.is_none());
    if was_enabled && webhook.disabled_on.is_some() {
        tell_of_silence(&mut tx, &webhook, &input.principal, input.now).await?;
    }
    let change = Change {
        action: WRITE.as_str(),
        target: target(&webhook),
        before: existing.as_ref().map(state),
        after: Some(state(&webhook)),
    };
    audit::record(&mut tx, Actor::Principal(&input.principal), input.now, change).await?;
    Ok((webhook, is_new))
}

/// A webhook as a request describes it.
fn described(input: &Saving, existing: Option<&Webhook>, app: Option<AppId>) -> Result<Webhook> {
    let request = &input.request;
    let given = input.sealed.clone();
    // A secret stays until it is rotated; a connection string, until there is another. A header goes to nobody else than whom
    // it was meant for.
    let secret = match (existing, request.format) {
        (Some(kept), WebhookFormat::ApplicationInsights) => given.unwrap_or_else(|| kept.secret.clone()),
        (Some(kept), WebhookFormat::OpenTelemetry)
            if request.header.is_some() || input.url.as_ref() != Some(&kept.url) =>
        {
            given.unwrap_or_default()
        }
        (Some(kept), _) => kept.secret.clone(),
        (None, _) => given.ok_or_else(|| required("connectionString"))?,
    };
    let url = match request.format {
        WebhookFormat::ApplicationInsights if request.connection_string.is_none() => None,
        _ => input.url.clone(),
    };
    let was = existing.and_then(|webhook| webhook.disabled_reason.filter(|_| !request.enabled));
    let since = existing.and_then(|webhook| webhook.disabled_on.filter(|_| !request.enabled));
    Ok(Webhook {
        id: input.id,
        app_id: app,
        tenant_id: request.tenant_id,
        url: url
            .or_else(|| existing.map(|kept| kept.url.clone()))
            .ok_or_else(|| required("url"))?,
        events: request.events.join(" "),
        format: request.format,
        secret,
        former_secret: existing.and_then(|kept| kept.former_secret.clone()),
        former_secret_until: existing.and_then(|kept| kept.former_secret_until),
        created_on: existing.map_or(input.now, |webhook| webhook.created_on),
        created_by: existing.map_or_else(
            || input.principal.signature(),
            |webhook| webhook.created_by.clone(),
        ),
        disabled_on: (!request.enabled).then(|| since.unwrap_or(input.now)),
        disabled_reason: (!request.enabled).then(|| was.unwrap_or(DisabledReason::Asked)),
        // Who asked to be left alone, or does not answer, is so all the same.
        paused_until: existing
            .filter(|kept| Some(&kept.url) == input.url.as_ref() && kept.disabled_on.is_none())
            .and_then(|kept| kept.paused_until),
        delivered_on: existing.and_then(|webhook| webhook.delivered_on),
        etag: Etag::random(),
    })
}

fn required(what: &str) -> RuleError {
    RuleError::invalid(what, format!("'{what}' is required."))
}

/// Whether something may be sent to an url at all.
async fn check(connector: &Connector, reached: Reached, url: &str) -> Result<()> {
    let refused = |why: &str| RuleError::broken("AddressRefused", sentence(why)).about("url");
    let target = Target::read(url).map_err(|why| refused(&why.0))?;
    let checked = connector.check(&target).await;
    checked.map_err(|denied| {
        tracing::info!(host = target.host(), why = denied.detail, "an url is refused");
        refused(match reached {
            Reached::Through(_) => &denied.told,
            Reached::ByOperator => &denied.detail,
        })
        .into()
    })
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string());
    format!("{}{}.", first.unwrap_or_default(), letters.as_str())
}

struct Removing {
    principal: Principal,
    reached: Reached,
    id: Uuid,
    preconditions: Preconditions,
    now: Instant,
}

/// Removes a webhook. What it was still to be told it is not told any more.
pub(crate) async fn delete_webhook(
    service: &Service,
    principal: &Principal,
    reached: Reached,
    id: Uuid,
    preconditions: Preconditions,
) -> Result<()> {
    let input = Removing {
        principal: principal.clone(),
        reached,
        id,
        preconditions,
        now: service.clock.now(),
    };
    service
        .db
        .write(input, |tx, input| Box::pin(delete_webhook_in(tx, input)))
        .await?;
    service.emitted.notify_here();
    Ok(())
}

async fn delete_webhook_in(mut tx: Tx<'_>, input: &Removing) -> Result<()> {
    require(&mut tx, &input.principal, input.reached).await?;
    let Some(existing) = lock(&mut tx, input.reached, input.id).await? else {
        return Err(input.preconditions.missing(missing(input.id)));
    };
    input.preconditions.check_write(Some(existing.etag))?;
    webhooks::delete_webhook(&mut tx, input.id).await?;
    if existing.disabled_on.is_none() {
        tell_of_silence(&mut tx, &existing, &input.principal, input.now).await?;
    }
    let change = Change {
        action: "webhooks/delete",
        target: target(&existing),
        before: Some(state(&existing)),
        after: None,
    };
    audit::record(&mut tx, Actor::Principal(&input.principal), input.now, change).await
}

struct Rotating {
    principal: Principal,
    reached: Reached,
    id: Uuid,
    keys: Arc<KeyRing>,
    /// The secret from now on.
    secret: String,
    preconditions: Preconditions,
    now: Instant,
}

/// Gives a webhook another secret. The one before is good for a day more: deliveries are signed with both.
pub(crate) async fn rotate_webhook(
    service: &Service,
    principal: &Principal,
    reached: Reached,
    id: Uuid,
    preconditions: Preconditions,
) -> Result<Saved> {
    may(service, principal, reached, WRITE).await?;
    let secret = signing::new_secret().map_err(Error::fault)?;
    let input = Rotating {
        principal: principal.clone(),
        reached,
        id,
        keys: Arc::clone(&service.secrets),
        secret: secret.clone(),
        preconditions,
        now: service.clock.now(),
    };
    let (webhook, is_rotated) = service
        .db
        .write(input, |tx, input| Box::pin(rotate_webhook_in(tx, input)))
        .await?;
    Ok(Saved {
        webhook,
        secret: is_rotated.then_some(secret),
        is_new: false,
    })
}

/// The webhook, and whether its secret is another now: when the same is asked for again, it stays as it is.
async fn rotate_webhook_in(mut tx: Tx<'_>, input: &Rotating) -> Result<(Webhook, bool)> {
    require(&mut tx, &input.principal, input.reached).await?;
    let existing = lock(&mut tx, input.reached, input.id).await?;
    let existing = existing.ok_or_else(|| missing(input.id))?;
    if !repeat::is_first(&mut tx, &input.principal, &input.preconditions, input.now).await? {
        return Ok((existing, false));
    }
    if existing.format.is_telemetry() {
        let message = "Telemetry is not signed: there is no secret to rotate.";
        return Err(RuleError::new(Code::BadArgument, message).into());
    }
    input.preconditions.check_write(Some(existing.etag))?;
    let former = open(&input.keys, input.id, SECRET, &existing.secret)?;
    let webhook = Webhook {
        secret: seal(&input.keys, input.id, SECRET, &input.secret)?,
        former_secret: Some(seal(&input.keys, input.id, FORMER_SECRET, &former)?),
        former_secret_until: Some(input.now + OVERLAP),
        etag: Etag::random(),
        ..existing
    };
    webhooks::update_webhook(&mut tx, &webhook).await?;
    let change = Change {
        action: "webhooks/rotate",
        target: target(&webhook),
        before: None,
        after: Some(json!({ "formerSecretUntil": (input.now + OVERLAP).to_string() })),
    };
    audit::record(&mut tx, Actor::Principal(&input.principal), input.now, change).await?;
    Ok((webhook, true))
}

struct Sending {
    principal: Principal,
    reached: Reached,
    id: Uuid,
    event: Uuid,
    source: String,
    now: Instant,
}

/// Sends a webhook something that says no more than that it arrives.
pub(crate) async fn test_webhook(
    service: &Service,
    principal: &Principal,
    reached: Reached,
    id: Uuid,
) -> Result<Delivery> {
    let input = Sending {
        principal: principal.clone(),
        reached,
        id,
        event: Uuid::now_v7(),
        source: source(service),
        now: service.clock.now(),
    };
    let sent = service
        .db
        .write(input, |tx, input| Box::pin(test_webhook_in(tx, input)))
        .await?;
    service.deliveries.notify();
    Ok(sent)
}

async fn test_webhook_in(mut tx: Tx<'_>, input: &Sending) -> Result<Delivery> {
    require(&mut tx, &input.principal, input.reached).await?;
    let webhook = lock(&mut tx, input.reached, input.id).await?;
    let webhook = webhook.ok_or_else(|| missing(input.id))?;
    if webhook.disabled_on.is_some() {
        let message = "The webhook is disabled, so nothing is sent to it: enable it first.";
        return Err(RuleError::broken("WebhookDisabled", message).into());
    }
    bound(&mut tx, &webhook, TESTED, TESTS_EACH_HOUR, input.now).await?;
    let event = payload::test(&webhook, input.event, input.now);
    let body = match webhook.format.is_telemetry() {
        true => items::write(webhook.format, &items::test(&webhook, &event)).unwrap_or_default(),
        false => payload::write(&webhook, &event, &json!({ "id": webhook.id }), &input.source),
    };
    let delivery = new_delivery(&webhook, &event, body, input.now);
    webhooks::insert_deliveries(&mut tx, std::slice::from_ref(&delivery)).await?;
    let change = Change {
        action: TESTED,
        target: target(&webhook),
        before: None,
        after: Some(json!({ "eventId": input.event })),
    };
    audit::record(&mut tx, Actor::Principal(&input.principal), input.now, change).await?;
    Ok(delivery)
}

/// Sends a webhook once more what it was told before, under the same id.
pub(crate) async fn replay_delivery(
    service: &Service,
    principal: &Principal,
    reached: Reached,
    id: Uuid,
    event: Uuid,
) -> Result<Delivery> {
    let input = Sending {
        principal: principal.clone(),
        reached,
        id,
        event,
        source: String::new(),
        now: service.clock.now(),
    };
    let sent = service
        .db
        .write(input, |tx, input| Box::pin(replay_delivery_in(tx, input)))
        .await?;
    service.deliveries.notify();
    Ok(sent)
}

async fn replay_delivery_in(mut tx: Tx<'_>, input: &Sending) -> Result<Delivery> {
    require(&mut tx, &input.principal, input.reached).await?;
    let webhook = lock(&mut tx, input.reached, input.id).await?;
    let webhook = webhook.ok_or_else(|| missing(input.id))?;
    let found = webhooks::lock_delivery(&mut tx, input.id, input.event).await?;
    let found = found.ok_or_else(|| {
        let message = format!(
            "Webhook {} was not told of event {}, or too long ago.",
            input.id, input.event
        );
        RuleError::missing(
            format!("webhooks/{}/deliveries/{}", input.id, input.event),
            message,
        )
    })?;
    if found.status == DeliveryStatus::Waiting {
        return Ok(found);
    }
    bound(&mut tx, &webhook, REPLAYED, REPLAYS_EACH_HOUR, input.now).await?;
    let delivery = Delivery {
        status: DeliveryStatus::Waiting,
        attempts: 0,
        next_on: Some(input.now),
        first_on: None,
        ..found
    };
    webhooks::update_delivery(&mut tx, &delivery).await?;
    let change = Change {
        action: REPLAYED,
        target: target(&webhook),
        before: None,
        after: Some(json!({ "eventId": input.event })),
    };
    audit::record(&mut tx, Actor::Principal(&input.principal), input.now, change).await?;
    Ok(delivery)
}

const TESTED: &str = "webhooks/test";
const REPLAYED: &str = "webhooks/replay";

/// Refuses what was done with the webhooks of an app `most` times within the hour, those that were removed since included.
async fn bound(tx: &mut Tx<'_>, webhook: &Webhook, action: &str, most: u64, now: Instant) -> Result<()> {
    let since = now - HOUR;
    if store::audit::count_since(tx, action, &list(webhook.app_id), since).await? < most {
        return Ok(());
    }
    let what = match action {
        TESTED => "tested",
        REPLAYED => "told something again",
        _ => "changed",
    };
    let message = format!("Webhooks can be {what} {most} times an hour. Try again later.");
    Err(Error::try_later(Code::TooManyRequests, &message, WAIT))
}

/// A delivery that was not tried yet.
fn new_delivery(webhook: &Webhook, event: &Event, body: String, now: Instant) -> Delivery {
    Delivery {
        webhook_id: webhook.id,
        event_id: event.id,
        kind: event.kind.clone(),
        operation_id: event.operation_id,
        body,
        occurred_on: event.recorded_on,
        status: DeliveryStatus::Waiting,
        attempts: 0,
        next_on: Some(now),
        first_on: None,
        last_on: None,
        last_result: None,
        last_status: None,
        last_milliseconds: None,
    }
}

/// One webhook that is reached so, its row locked.
async fn lock(tx: &mut Tx<'_>, reached: Reached, id: Uuid) -> Result<Option<Webhook>> {
    let found = webhooks::lock_webhook(tx, id).await?;
    match found {
        Some(webhook) if !reached.includes(&webhook) => Err(missing(id).into()),
        found => Ok(found),
    }
}

fn missing(id: Uuid) -> RuleError {
    RuleError::missing(format!("webhooks/{id}"), format!("There is no webhook {id}."))
}

fn target(webhook: &Webhook) -> String {
    format!("{}{}", list(webhook.app_id), webhook.id)
}

/// What the targets of an app's webhooks begin with, or of the operator's.
fn list(app: Option<AppId>) -> String {
    match app {
        Some(app) => format!("apps/{app}/webhooks/"),
        None => "webhooks/".to_owned(),
    }
}

/// What the audit says of a webhook. Of its address that is the host: what stands behind it may be a secret.
fn state(webhook: &Webhook) -> Value {
    json!({
        "host": host(webhook),
        "events": webhook.events,
        "format": webhook.format.as_str(),
        "aadTenantId": webhook.tenant_id.map(|tenant| tenant.to_string()),
        "disabledReason": webhook.disabled_reason.map(DisabledReason::as_str),
    })
}

pub(super) fn host(webhook: &Webhook) -> Option<String> {
    host_of(&webhook.url)
}

fn host_of(url: &str) -> Option<String> {
    let target = Target::read(url).ok()?;
    Some(target.host().to_owned())
}

/// Tells the others of a webhook that somebody disabled or removed.
async fn tell_of_silence(
    tx: &mut Tx<'_>,
    webhook: &Webhook,
    principal: &Principal,
    now: Instant,
) -> Result<()> {
    let by = Actor::Principal(principal);
    emit(tx, DISABLED, webhook, by, now, Some(DisabledReason::Asked)).await
}

/// Tells the others what became of a webhook.
async fn emit(
    tx: &mut Tx<'_>,
    kind: &str,
    webhook: &Webhook,
    by: Actor<'_>,
    now: Instant,
    reason: Option<DisabledReason>,
) -> Result<()> {
    let payload = json!({
        "id": webhook.id,
        "by": by.named(),
        "host": host(webhook),
        "reason": reason.map(DisabledReason::as_str),
    });
    let event = Event {
        id: Uuid::now_v7(),
        kind: kind.to_owned(),
        app_id: webhook.app_id,
        environment_id: None,
        operation_id: None,
        payload: payload.to_string(),
        recorded_on: now,
    };
    Ok(insert_events(tx, &[event]).await?)
}

/// By which address the service calls itself in what it sends.
fn source(service: &Service) -> String {
    service.settings.server.public_url.clone().unwrap_or_default()
}

/// The columns in which secrets stand.
pub(crate) const SECRET: &str = "secret";
pub(crate) const FORMER_SECRET: &str = "former_secret";

pub(crate) fn place(id: Uuid, column: &'static str) -> Place {
    Place {
        table: "webhooks",
        row: id,
        column,
    }
}

/// What became of secrets when another key took over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resealed {
    /// Webhooks whose secrets are kept under the first key from now on.
    pub anew: u64,
    /// Webhooks that were removed, for nobody can read their secrets any more.
    pub forgotten: u64,
}

/// Seals what is kept of webhooks under the key that seals now. Those under a key that is gone are removed where that is
/// meant, and are an error otherwise.
pub(crate) async fn reseal(
    db: &store::Db,
    keys: Arc<KeyRing>,
    forgets: bool,
    now: Instant,
) -> Result<Resealed> {
    let mut done = Resealed::default();
    let mut after = None;
    loop {
        let input = (Arc::clone(&keys), forgets, after, now);
        let (some, last) = db
            .write(input, |tx, (keys, forgets, after, now)| {
                Box::pin(reseal_some(tx, keys, *forgets, *after, *now))
            })
            .await?;
        done.anew += some.anew;
        done.forgotten += some.forgotten;
        if last.is_none() {
            return Ok(done);
        }
        after = last;
    }
}

/// Does so with the next webhooks after `after`, and says which was the last, if there was one. Whoever changes one of them
/// meanwhile waits, and it is only its secrets that are written.
async fn reseal_some(
    mut tx: Tx<'_>,
    keys: &KeyRing,
    forgets: bool,
    after: Option<Uuid>,
    now: Instant,
) -> Result<(Resealed, Option<Uuid>)> {
    let mut done = Resealed::default();
    let some = webhooks::lock_some(&mut tx, after, RESEALED_AT_ONCE).await?;
    for webhook in &some {
        let is_lost = sealed_of(webhook).any(|(_, sealed)| keys.check(sealed).is_err());
        if is_lost && forgets {
            webhooks::delete_webhook(&mut tx, webhook.id).await?;
            done.forgotten += 1;
        } else if sealed_of(webhook).any(|(_, sealed)| !keys.is_current(sealed)) {
            webhooks::update_sealed(&mut tx, &resealed(keys, webhook)?).await?;
            done.anew += 1;
        }
    }
    if done != Resealed::default() {
        let change = Change {
            action: "secrets/rotate",
            target: "secrets".to_owned(),
            before: None,
            after: Some(json!({ "anew": done.anew, "forgotten": done.forgotten })),
        };
        audit::record(&mut tx, Actor::Service("secrets"), now, change).await?;
    }
    Ok((done, some.last().map(|webhook| webhook.id)))
}

fn sealed_of(webhook: &Webhook) -> impl Iterator<Item = (&'static str, &str)> {
    let former = webhook.former_secret.as_deref();
    [(SECRET, Some(webhook.secret.as_str())), (FORMER_SECRET, former)]
        .into_iter()
        .filter_map(|(column, sealed)| Some((column, sealed?)))
}

fn resealed(keys: &KeyRing, webhook: &Webhook) -> Result<Webhook> {
    let mut resealed = webhook.clone();
    for (column, sealed) in sealed_of(webhook) {
        let anew = seal(keys, webhook.id, column, &open(keys, webhook.id, column, sealed)?)?;
        match column {
            SECRET => resealed.secret = anew,
            _ => resealed.former_secret = Some(anew),
        }
    }
    Ok(resealed)
}

fn seal(keys: &KeyRing, id: Uuid, column: &'static str, text: &str) -> Result<String> {
    keys.seal(place(id, column), text).map_err(|error| match error {
        SecretError::NoKey => {
            let message = "The service keeps no secrets: its operator has named no key under secrets.keys.";
            RuleError::broken("NoSecretKey", message).into()
        }
        error => Error::fault(error),
    })
}

fn open(keys: &KeyRing, id: Uuid, column: &'static str, sealed: &str) -> Result<String> {
    keys.open(place(id, column), sealed).map_err(Error::fault)
}
