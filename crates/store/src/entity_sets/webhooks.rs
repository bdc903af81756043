//! Whoever is told of events, and what each of them was told.

use super::{guid_or_null, guid_value, instant_or_null, instant_value};
use crate::{
    list::{EntitySet, guid, hidden, hidden_text, instant, number, property, text, truth, word},
    webhooks::{DeliveryEntry, Webhook},
};
use domain::webhook::{AttemptResult, DeliveryStatus, DisabledReason, WebhookFormat};
use odata::Value;
use std::sync::LazyLock;

const MOST: i64 = u32::MAX as i64;

fn number_or_null(number: Option<u32>) -> Value<'static> {
    number.map_or(Value::Null, |number| Value::integer(number.into()))
}

/// All webhooks.
pub static WEBHOOKS: LazyLock<EntitySet<Webhook>> = LazyLock::new(|| {
    let properties = vec![
        property("id", guid("t.id"), |row: &Webhook| guid_value(row.id)),
        property("appId", guid("t.app_id").or_null(), |row| {
            guid_or_null(row.app_id.map(|id| id.0))
        }),
        property("aadTenantId", guid("t.tenant_id").or_null(), |row| {
            guid_or_null(row.tenant_id.map(|id| id.0))
        }),
        property("url", text("t.url"), |row| Value::text(row.url.as_str())),
        property("events", hidden(), |_| Value::Null),
        property("format", word::<WebhookFormat>("t.format"), |row| {
            Value::text(row.format.as_str())
        }),
        property("enabled", truth("(t.disabled_on IS NULL)"), |row| {
            Value::Boolean(row.disabled_on.is_none())
        }),
        property("disabledOn", instant("t.disabled_on").or_null(), |row| {
            instant_or_null(row.disabled_on)
        }),
        property(
            "disabledReason",
            word::<DisabledReason>("t.disabled_reason").or_null(),
            |row| {
                row.disabled_reason
                    .map_or(Value::Null, |reason| Value::text(reason.as_str()))
            },
        ),
        property("pausedUntil", instant("t.paused_until").or_null(), |row| {
            instant_or_null(row.paused_until)
        }),
        property("deliveredOn", instant("t.delivered_on").or_null(), |row| {
            instant_or_null(row.delivered_on)
        }),
        property("createdOn", instant("t.created_on"), |row| {
            instant_value(row.created_on)
        }),
        property("createdBy", text("t.created_by"), |row| {
            Value::text(row.created_by.as_str())
        }),
        property("secret", hidden_text(), |_| Value::Null),
        property(
            "formerSecretUntil",
            instant("t.former_secret_until").or_null(),
            |row| instant_or_null(row.former_secret_until),
        ),
        property("_etag", guid("t.etag"), |row| guid_value(row.etag.0)),
    ];
    EntitySet::new(
        "webhook",
        ("webhooks t", Webhook::COLUMNS),
        &["id"],
        None,
        properties,
    )
});

/// What a webhook is told, the newest first.
pub static DELIVERIES: LazyLock<EntitySet<DeliveryEntry>> = LazyLock::new(|| {
    let properties = vec![
        property("eventId", guid("t.event_id"), |row: &DeliveryEntry| {
            guid_value(row.event_id)
        }),
        property("type", text("t.kind"), |row| Value::text(row.kind.as_str())),
        property("operationId", guid("t.operation_id").or_null(), |row| {
            guid_or_null(row.operation_id.map(|id| id.0))
        }),
        property("occurredOn", instant("t.occurred_on"), |row| {
            instant_value(row.occurred_on)
        }),
        property("status", word::<DeliveryStatus>("t.status"), |row| {
            Value::text(row.status.as_str())
        }),
        property("attempts", number("t.attempts", 0..=MOST), |row| {
            Value::integer(row.attempts.into())
        }),
        property("nextAttemptOn", instant("t.next_on").or_null(), |row| {
            instant_or_null(row.next_on)
        }),
        property("lastAttemptOn", instant("t.last_on").or_null(), |row| {
            instant_or_null(row.last_on)
        }),
        property(
            "lastResult",
            word::<AttemptResult>("t.last_result").or_null(),
            |row| {
                row.last_result
                    .map_or(Value::Null, |result| Value::text(result.as_str()))
            },
        ),
        property("lastStatus", number("t.last_status", 0..=MOST).or_null(), |row| {
            number_or_null(row.last_status)
        }),
        property(
            "lastMilliseconds",
            number("t.last_milliseconds", 0..=MOST).or_null(),
            |row| number_or_null(row.last_milliseconds),
        ),
    ];
    EntitySet::new(
        "webhookDelivery",
        ("webhook_deliveries t", DeliveryEntry::COLUMNS),
        &["eventId"],
        Some("occurredOn"),
        properties,
    )
});
