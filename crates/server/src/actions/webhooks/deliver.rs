//! From an event to whoever is told of it: which webhooks want it, and what follows from each attempt.

use super::{emit, new_delivery, source, state, target};
use crate::{
    actions::{
        Service,
        audit::{self, Actor, Change},
    },
    destinations::{items, payload},
    error::{Error, Result},
    telemetry::Told,
};
use domain::{
    chain::Chain,
    instant::Instant,
    operation::SkipReason,
    webhook::{
        AttemptResult, DISABLED, DeliveryStatus, DisabledReason, NEW_HOST, SERVICE_EVENTS, is_wanted,
        next_attempt,
    },
};
use serde_json::Value;
use std::time::Duration;
use store::{
    Tx,
    events::Event,
    webhooks::{self, Delivery, Webhook},
};
use uuid::Uuid;

/// As whom the service acts where it tells of events.
const SENDER: Actor<'static> = Actor::Service("webhooks");

/// Longest pause after an attempt that was not answered, unless a longer one was asked for.
const PAUSE: Duration = Duration::from_mins(5);

/// How long after it was disabled a webhook is still to hear of new hosts, when it is enabled again.
const DEAF: Duration = Duration::from_hours(24);
/// For how long a webhook may take nothing that it was told. Ten attempts take about as long; where there is much to be
/// told, and each of it seldom tried, no delivery ever comes to the tenth.
const IN_VAIN: Duration = Duration::from_hours(80);

/// Makes deliveries of events, of each of which telemetry says that: one for each webhook that wants one. Events that come
/// again make none.
pub(crate) async fn add_deliveries(
    service: &Service,
    events: &[Event],
    telemetry: Vec<Vec<Told>>,
) -> Result<()> {
    if !webhooks::is_any(&service.db).await? {
        return Ok(());
    }
    let input = (
        (events.to_vec(), telemetry),
        source(service),
        service.settings.agents.only_cause_to_vendor.clone(),
        service.clock.now(),
    );
    service
        .db
        .write(input, |mut tx, ((events, telemetry), source, only_cause, now)| {
            Box::pin(async move {
                let all = webhooks::all(&mut tx).await?;
                let mut deliveries = Vec::new();
                for (event, telemetry) in events.iter().zip(telemetry) {
                    // One that cannot be read must not keep all that follow it from being told.
                    match told((event, telemetry), &all, source, only_cause, *now) {
                        Ok(of_event) => deliveries.extend(of_event),
                        Err(error) => {
                            tracing::error!(event = %event.id, error = %Chain(&error), "webhooks cannot be told of an event")
                        }
                    }
                }
                Ok(webhooks::insert_deliveries(&mut tx, &deliveries).await?)
            })
        })
        .await
}

fn told(
    (event, telemetry): (&Event, &[Told]),
    webhooks: &[Webhook],
    source: &str,
    only_cause: &[Uuid],
    now: Instant,
) -> Result<Vec<Delivery>> {
    let payload: Value = serde_json::from_str(&event.payload).map_err(Error::fault)?;
    let mut deliveries = Vec::new();
    for webhook in webhooks {
        let telemetry = telemetry_for(webhook, telemetry);
        if !wants(webhook, event, &payload, &telemetry) {
            continue;
        }
        let body = if webhook.format.is_telemetry() {
            let tenant: Option<Uuid> = payload::tenant_of(&payload).and_then(|tenant| tenant.parse().ok());
            let is_vendor = webhook.app_id.is_some();
            let only_cause = is_vendor && tenant.is_some_and(|tenant| only_cause.contains(&tenant));
            items::write(webhook.format, &items::items(event, &telemetry, only_cause)?)
        } else {
            Some(payload::write(webhook, event, &payload, source))
        };
        deliveries.extend(body.map(|body| new_delivery(webhook, event, body, now)));
    }
    Ok(deliveries)
}

/// What of an event's telemetry is a webhook's business: to an app's, what is said of the app itself, which may come with
/// another's event, and no more of other apps than its documented dimensions hold.
fn telemetry_for(webhook: &Webhook, telemetry: &[Told]) -> Vec<Told> {
    let Some(app) = webhook.app_id else {
        return telemetry.to_vec();
    };
    let app = app.to_string();
    let of_app = telemetry
        .iter()
        .filter(|told| told.field("extensionId") == Some(app.as_str()));
    of_app.cloned().map(without_other_parts).collect()
}

/// Why something was skipped names what else was asked for with it. The reason's word is enough.
fn without_other_parts(mut told: Told) -> Told {
    for (name, value) in &mut told.fields {
        let is_of_part = value.starts_with(SkipReason::PartFailed.as_str());
        if *name == "failureReason" && is_of_part {
            SkipReason::PartFailed.as_str().clone_into(value);
        }
    }
    told
}

/// Whether a webhook is to be told of an event, of which telemetry says that to it.
fn wants(webhook: &Webhook, event: &Event, payload: &Value, telemetry: &[Told]) -> bool {
    let is_about_itself = payload.get("id").and_then(Value::as_str) == Some(&webhook.id.to_string());
    let is_of_app = match webhook.app_id {
        Some(app) => {
            let is_told = webhook.format.is_telemetry() && !telemetry.is_empty();
            (event.app_id == Some(app) || is_told) && !SERVICE_EVENTS.contains(&event.kind.as_str())
        }
        None => true,
    };
    let tenant = webhook.tenant_id.map(|tenant| tenant.to_string());
    // Whoever is made deaf for a while hears afterwards who came to listen meanwhile.
    let hears = |disabled_on| event.kind == NEW_HOST && event.recorded_on <= disabled_on + DEAF;
    webhook.disabled_on.is_none_or(hears)
        && webhook.created_on <= event.recorded_on
        && is_of_app
        && !is_about_itself
        && tenant.is_none_or(|tenant| payload::tenant_of(payload) == Some(tenant.as_str()))
        && is_wanted(&event.kind, webhook.events.split_whitespace())
}

/// What came of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was taken.
    Accepted,
    /// It was not, and may be another time.
    Later {
        result: AttemptResult,
        /// For how long whoever was told wants to be left alone.
        asked: Option<Duration>,
        /// Whether whoever was told is unwell, so that nothing else is sent either.
        pauses: bool,
        /// What is left to be sent.
        rest: Option<String>,
    },
    /// It will never be.
    Refused,
    /// Nobody wants to be told anything any more.
    Gone,
}

/// An attempt, and how it went.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    pub(crate) outcome: Outcome,
    pub(crate) status: Option<u16>,
    pub(crate) took: Duration,
}

impl Outcome {
    pub(crate) fn result(&self) -> AttemptResult {
        match self {
            Self::Accepted => AttemptResult::Accepted,
            Self::Later { result, .. } => *result,
            Self::Refused | Self::Gone => AttemptResult::Status,
        }
    }
}

/// Writes down what came of an attempt at a delivery, unless somebody else has gone on with it meanwhile.
pub(crate) async fn record_attempt(service: &Service, delivery: &Delivery, attempt: Attempt) -> Result<()> {
    let input = (delivery.clone(), attempt, service.clock.now());
    service
        .db
        .write(input, |tx, (delivery, attempt, now)| {
            Box::pin(record_attempt_in(tx, delivery, attempt, *now))
        })
        .await
}

async fn record_attempt_in(mut tx: Tx<'_>, tried: &Delivery, attempt: &Attempt, now: Instant) -> Result<()> {
    let (webhook, event) = (tried.webhook_id, tried.event_id);
    let Some(webhook) = webhooks::lock_webhook(&mut tx, webhook).await? else {
        return Ok(());
    };
    let Some(before) = webhooks::lock_delivery(&mut tx, webhook.id, event).await? else {
        return Ok(());
    };
    if before.attempts != tried.attempts || before.status != DeliveryStatus::Waiting {
        return Ok(());
    }
    let delivery = after(&before, attempt, now);
    webhooks::update_delivery(&mut tx, &delivery).await?;
    if delivery.status == DeliveryStatus::Delivered {
        return Ok(webhooks::note_delivered(&mut tx, webhook.id, now).await?);
    }
    let has_taken_since = webhook.delivered_on > delivery.first_on;
    let reason = match &attempt.outcome {
        Outcome::Gone => Some(DisabledReason::Gone),
        Outcome::Later { .. } if delivery.next_on.is_none() && !has_taken_since => {
            Some(DisabledReason::Failing)
        }
        Outcome::Later { .. } if webhooks::is_in_vain_since(&mut tx, &webhook, now - IN_VAIN).await? => {
            Some(DisabledReason::Failing)
        }
        _ => None,
    };
    match reason {
        Some(reason) => disable(&mut tx, &webhook, reason, now).await,
        None => pause(&mut tx, &webhook, &delivery, attempt, now).await,
    }
}

/// A delivery as it is after an attempt.
fn after(before: &Delivery, attempt: &Attempt, now: Instant) -> Delivery {
    let attempts = before.attempts.saturating_add(1);
    let (next_on, rest) = match &attempt.outcome {
        Outcome::Later { asked, rest, .. } => (next_attempt(attempts, now, *asked), rest.clone()),
        Outcome::Accepted | Outcome::Refused | Outcome::Gone => (None, None),
    };
    Delivery {
        status: match (&attempt.outcome, next_on) {
            (Outcome::Accepted, _) => DeliveryStatus::Delivered,
            (_, Some(_)) => DeliveryStatus::Waiting,
            (_, None) => DeliveryStatus::Failed,
        },
        attempts,
        next_on,
        first_on: before.first_on.or(Some(now)),
        last_on: Some(now),
        last_result: Some(attempt.outcome.result()),
        last_status: attempt.status.map(u32::from),
        last_milliseconds: Some(to_tenths(attempt.took)),
        body: rest.unwrap_or_else(|| before.body.clone()),
        ..before.clone()
    }
}

/// A span in milliseconds, to a tenth of a second: how long something took to the millisecond tells who listens where.
fn to_tenths(took: Duration) -> u32 {
    let tenths = (took.as_millis() + 50) / 100;
    u32::try_from(tenths * 100).unwrap_or(u32::MAX)
}

/// Leaves a webhook alone for a while that did not answer, or asked for it.
async fn pause(
    tx: &mut Tx<'_>,
    webhook: &Webhook,
    delivery: &Delivery,
    attempt: &Attempt,
    now: Instant,
) -> Result<()> {
    let (
        Outcome::Later {
            pauses: true, asked, ..
        },
        Some(next),
    ) = (&attempt.outcome, delivery.next_on)
    else {
        return Ok(());
    };
    let until = match asked {
        Some(_) => next,
        None => next.min(now + PAUSE),
    };
    let paused = Webhook {
        paused_until: webhook.paused_until.max(Some(until)),
        ..webhook.clone()
    };
    Ok(webhooks::update_webhook(tx, &paused).await?)
}

async fn disable(tx: &mut Tx<'_>, webhook: &Webhook, reason: DisabledReason, now: Instant) -> Result<()> {
    if webhook.disabled_on.is_some() {
        return Ok(());
    }
    let disabled = Webhook {
        disabled_on: Some(now),
        disabled_reason: Some(reason),
        etag: domain::ids::Etag::random(),
        ..webhook.clone()
    };
    webhooks::update_webhook(tx, &disabled).await?;
    emit(tx, DISABLED, &disabled, SENDER, now, Some(reason)).await?;
    let change = Change {
        action: "webhooks/disable",
        target: target(webhook),
        before: Some(state(webhook)),
        after: Some(state(&disabled)),
    };
    audit::record(tx, SENDER, now, change).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{
        ids::{AppId, Etag},
        webhook::WebhookFormat,
    };
    use serde_json::json;
    use tracing::Level;

    const SALES_PACK: AppId = AppId(Uuid::from_u128(1));
    const SALES_REPORTS: AppId = AppId(Uuid::from_u128(2));

    fn of(app: Option<AppId>) -> Webhook {
        Webhook {
            id: Uuid::new_v4(),
            app_id: app,
            tenant_id: None,
            url: "https://ingestion.contoso.com/".to_owned(),
            events: String::new(),
            format: WebhookFormat::ApplicationInsights,
            secret: String::new(),
            former_secret: None,
            former_secret_until: None,
            created_on: Instant(0),
            created_by: "User".to_owned(),
            disabled_on: None,
            disabled_reason: None,
            paused_until: None,
            delivered_on: None,
            etag: Etag::random(),
        }
    }

    fn said(id: &str, app: AppId, name: &'static str, value: &str) -> Told {
        let app = app.to_string();
        let fields = [("eventId", id), ("extensionId", &app), (name, value)];
        Told {
            level: Level::INFO,
            message: String::new(),
            fields: fields.map(|(name, value)| (name, value.to_owned())).into(),
        }
    }

    fn event() -> Event {
        Event {
            id: Uuid::from_u128(9),
            kind: "install.scheduled".to_owned(),
            app_id: Some(SALES_PACK),
            environment_id: None,
            operation_id: None,
            payload: json!({ "id": Uuid::from_u128(4) }).to_string(),
            recorded_on: Instant(1),
        }
    }

    #[test]
    fn each_app_is_told_what_telemetry_says_of_it() {
        let all = [
            Some(SALES_PACK),
            Some(SALES_REPORTS),
            Some(AppId(Uuid::from_u128(3))),
            None,
        ]
        .map(of);
        let telemetry = [
            said("LC0161", SALES_PACK, "extensionName", "Sales Pack"),
            said("LC0166", SALES_REPORTS, "extensionName", "Contoso Sales Reports"),
        ];
        let deliveries = told((&event(), &telemetry), &all, "", &[], Instant(2)).unwrap();
        let heard = all.each_ref().map(|webhook| {
            let mine = deliveries
                .iter()
                .find(|delivery| delivery.webhook_id == webhook.id);
            let body = mine.map(|delivery| delivery.body.as_str()).unwrap_or_default();
            ["LC0161", "LC0166"].map(|id| body.contains(id))
        });
        assert_eq!(
            heard,
            [[true, false], [false, true], [false, false], [true, true]]
        );
    }

    #[test]
    fn a_vendor_is_not_told_which_other_part_failed() {
        let reason = "PartFailed: It was asked for together with the install of 'Contoso Sales Reports'.";
        let telemetry = [said("fame.install.skipped", SALES_PACK, "failureReason", reason)];
        for (app, is_told) in [(Some(SALES_PACK), false), (None, true)] {
            let deliveries = told((&event(), &telemetry), &[of(app)], "", &[], Instant(2)).unwrap();
            let [delivery] = deliveries.as_slice() else {
                panic!("{deliveries:?}");
            };
            assert!(delivery.body.contains("PartFailed"));
            assert_eq!(delivery.body.contains("Sales Reports"), is_told);
        }
    }
}
