//! Webhooks: whoever is told of events, and what each of them was told.
//!
//! None of it is part of the original's API. Owners have them for their app, operators for everything.

use crate::{
    entity::{Entity, entity},
    lenient::{self, Object},
};
use domain::{
    ids::{AppId, Etag, OperationId, TenantId},
    instant::Instant,
    problem::{Code, RuleError},
    webhook::{AttemptResult, DeliveryStatus, DisabledReason, WebhookFormat, means_something},
};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// Longest URL, in characters.
const LONGEST_URL: usize = 2_000;
/// Longest connection string, in characters.
const LONGEST_CONNECTION_STRING: usize = 4_096;
const LONGEST_HEADER: usize = 8_192;
/// Most patterns of events.
const MOST_EVENTS: usize = 50;

entity! {
    /// Somebody who is told of events.
    Webhook "webhook" keyed by ["id"] tagged by etag {
        /// By which it is addressed.
        id "id": Uuid,
        /// The app of whose events it is told; those of the operator have none and are told of all.
        #[serde(default)]
        #[schema(value_type = Option<uuid::Uuid>)]
        app_id "appId": Option<AppId>,
        /// The tenant of whose environments it is told; of all when there is none.
        #[serde(default)]
        #[schema(value_type = Option<uuid::Uuid>)]
        aad_tenant_id "aadTenantId": Option<TenantId>,
        /// Where it is.
        #[schema(example = "https://hooks.contoso.com/fame")]
        url "url": String,
        /// The events that it wants, by name or by what they begin with; all when there are none.
        #[serde(default)]
        #[schema(required = true, example = json!(["hotfix.*"]))]
        events "events": Vec<String>,
        /// StandardWebhooks, CloudEvents, ApplicationInsights or OpenTelemetry.
        #[schema(value_type = crate::words::WebhookFormat)]
        format "format": WebhookFormat,
        /// Whether it is told anything.
        enabled "enabled": bool,
        /// Since when it is told nothing.
        #[serde(default)]
        #[schema(value_type = Option<String>, format = DateTime)]
        disabled_on "disabledOn": Option<Instant>,
        /// Why: Asked, Gone (it answered 410) or Failing (nothing could be delivered as long as it is tried).
        #[serde(default)]
        #[schema(value_type = Option<crate::words::DisabledReason>)]
        disabled_reason "disabledReason": Option<DisabledReason>,
        /// Until when it is left alone, because it did not answer or asked for it.
        #[serde(default)]
        #[schema(value_type = Option<String>, format = DateTime)]
        paused_until "pausedUntil": Option<Instant>,
        /// When it last took something.
        #[serde(default)]
        #[schema(value_type = Option<String>, format = DateTime)]
        delivered_on "deliveredOn": Option<Instant>,
        /// When it was made.
        #[serde(default)]
        #[schema(value_type = Option<String>, format = DateTime)]
        created_on "createdOn": Option<Instant>,
        /// By whom: `User/tenant/id` or `Application/id`.
        #[serde(default)]
        created_by "createdBy": Option<String>,
        /// What deliveries are signed with. Shown in no other answer than the one that makes it.
        #[serde(default)]
        #[schema(example = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD")]
        secret "secret": Option<String>,
        /// Until when they are signed with the secret before as well.
        #[serde(default)]
        #[schema(value_type = Option<String>, format = DateTime)]
        former_secret_until "formerSecretUntil": Option<Instant>,
        /// A value unique to its current state.
        #[schema(value_type = uuid::Uuid)]
        etag "_etag": Etag,
    }
}

entity! {
    /// An event on its way to a webhook.
    WebhookDelivery "webhookDelivery" keyed by ["eventId"] {
        /// The event: the same id in each attempt.
        event_id "eventId": Uuid,
        /// What happened.
        #[schema(example = "hotfix.succeeded")]
        kind "type": String,
        /// The operation that it is a step of.
        #[serde(default)]
        #[schema(value_type = Option<uuid::Uuid>)]
        operation_id "operationId": Option<OperationId>,
        /// When it happened.
        #[schema(value_type = String, format = DateTime)]
        occurred_on "occurredOn": Instant,
        /// Waiting, Delivered or Failed.
        #[schema(value_type = crate::words::DeliveryStatus)]
        status "status": DeliveryStatus,
        /// How often it was tried.
        attempts "attempts": u32,
        /// When it is tried next.
        #[serde(default)]
        #[schema(value_type = Option<String>, format = DateTime)]
        next_attempt_on "nextAttemptOn": Option<Instant>,
        /// When it was tried last.
        #[serde(default)]
        #[schema(value_type = Option<String>, format = DateTime)]
        last_attempt_on "lastAttemptOn": Option<Instant>,
        /// How that went: Accepted, RefusedAddress, Connect, Tls, Timeout or Status.
        #[serde(default)]
        #[schema(value_type = Option<crate::words::AttemptResult>)]
        last_result "lastResult": Option<AttemptResult>,
        /// The HTTP status that was answered.
        #[serde(default)]
        last_status "lastStatus": Option<u32>,
        /// How long it took, to a tenth of a second.
        #[serde(default)]
        last_milliseconds "lastMilliseconds": Option<u32>,
    }
}

/// A request to make a webhook, or to change one, as a client sends it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct WebhookBody {
    /// Where it is; for Application Insights that is part of the connection string.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The connection string of an Application Insights resource. It is shown in no answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_string: Option<String>,
    /// `Name: value`, which is sent with everything to say who sends; for OpenTelemetry. It is shown in no answer, and kept
    /// until there is another or the webhook is at another URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "api-key: 0123456789abcdef")]
    pub header: Option<String>,
    /// The events that it wants, by name or by what they begin with (`hotfix.*`); all when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub events: Option<Vec<String>>,
    /// StandardWebhooks, CloudEvents, ApplicationInsights or OpenTelemetry; StandardWebhooks when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<crate::words::WebhookFormat>)]
    pub format: Option<String>,
    /// The tenant of whose environments it is told; of all when left out. For operators.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aad_tenant_id: Option<Uuid>,
    /// Whether it is told anything; it is when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
}

/// A request to make a webhook, or to change one, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookRequest {
    /// Where it is.
    pub url: Option<String>,
    /// Where it is, and as whom it is told.
    pub connection_string: Option<String>,
    /// What says who sends.
    pub header: Option<String>,
    /// The events that it wants; none: all.
    pub events: Vec<String>,
    /// How they are written.
    pub format: WebhookFormat,
    /// The tenant of whose environments it is told; none: of all.
    pub tenant_id: Option<TenantId>,
    /// Whether it is told anything.
    pub enabled: bool,
    /// All that was said.
    pub given: Object,
}

impl WebhookRequest {
    /// Reads a request body about the webhook `id`, of an app or of the operator.
    ///
    /// # Errors
    /// `RequestBodyRequired`; `InvalidInput` for missing, malformed and unknown values and for another webhook's id;
    /// `BadArgument` for a URL beside a connection string.
    pub fn read(body: &[u8], id: Uuid, is_of_app: bool) -> Result<Self, RuleError> {
        let object = lenient::object(body)?;
        let known: Vec<_> = Webhook::PROPERTIES
            .iter()
            .copied()
            .chain(["connectionString", "header"])
            .collect();
        object.only(&known)?;
        object.is_about("webhook", "id", &id)?;
        let format = object
            .parsed("format")?
            .unwrap_or(WebhookFormat::StandardWebhooks);
        let (url, connection_string) = (
            limited(&object, "url", LONGEST_URL)?,
            limited(&object, "connectionString", LONGEST_CONNECTION_STRING)?,
        );
        if format != WebhookFormat::ApplicationInsights {
            if connection_string.is_some() {
                let message =
                    format!("A webhook in the format {format} has a 'url' and no 'connectionString'.");
                return Err(RuleError::new(Code::BadArgument, message).about("connectionString"));
            }
            if url.is_none() {
                return Err(object.required("url"));
            }
        }
        let header = limited(&object, "header", LONGEST_HEADER)?;
        if format != WebhookFormat::OpenTelemetry && header.is_some() {
            let message = format!("A webhook in the format {format} has no 'header' of its own.");
            return Err(RuleError::new(Code::BadArgument, message).about("header"));
        }
        let tenant_id = object.parsed("aadTenantId")?;
        if is_of_app && tenant_id.is_some() {
            let why = "a webhook of an app is told of all environments in which the app is";
            return Err(object.invalid("aadTenantId", why));
        }
        Ok(Self {
            url,
            connection_string,
            header,
            events: read_events(&object, is_of_app)?,
            format,
            tenant_id,
            enabled: object.flag("enabled")?.unwrap_or(true),
            given: object,
        })
    }
}

fn limited(object: &Object, name: &str, longest: usize) -> Result<Option<String>, RuleError> {
    object.understood(name, |text| match text.trim() {
        "" => Err("it is empty".to_owned()),
        text if text.chars().count() > longest => Err(format!("it has more than {longest} characters")),
        text => Ok(text.to_owned()),
    })
}

fn read_events(object: &Object, is_of_app: bool) -> Result<Vec<String>, RuleError> {
    let read = |pattern: &str| match means_something(pattern, is_of_app) {
        true => Ok(pattern.to_owned()),
        false => Err(format!(
            "'{pattern}' is no event there is: name one such as hotfix.failed, or a group such as hotfix.*"
        )),
    };
    let events = object.understood_list("events", read)?.unwrap_or_default();
    if events.len() > MOST_EVENTS {
        return Err(object.invalid("events", &format!("there are more than {MOST_EVENTS}")));
    }
    Ok(events)
}

impl Webhook {
    /// Whether everything else that a request says is what the webhook is anyway. What changes by itself may be as it was
    /// when it was read.
    ///
    /// # Errors
    /// `EntityValidationFailed` with `ReadOnly`, naming the property.
    pub fn check_read_only(&self, given: &Object) -> Result<(), RuleError> {
        let steady = ["id", "appId", "createdOn", "createdBy"];
        let others: Vec<_> = Self::PROPERTIES
            .iter()
            .copied()
            .filter(|name| !steady.contains(name))
            .collect();
        given.check_read_only(self, &others)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WEBHOOK: &str = r#"{"url": "https://hooks.contoso.com/", "events": ["hotfix.*", "hotfix.failed"],
        "format": "CloudEvents", "enabled": false}"#;

    #[test]
    fn a_webhook_is_read_as_it_is_sent() {
        let read = WebhookRequest::read(WEBHOOK.as_bytes(), Uuid::nil(), true).unwrap();
        assert_eq!(read.url.as_deref(), Some("https://hooks.contoso.com/"));
        assert_eq!(read.events, ["hotfix.*", "hotfix.failed"]);
        assert_eq!((read.format, read.enabled), (WebhookFormat::CloudEvents, false));
        let least = WebhookRequest::read(br#"{"url": "https://a.b"}"#, Uuid::nil(), false).unwrap();
        assert_eq!(
            (least.format, least.enabled, least.events.len()),
            (WebhookFormat::StandardWebhooks, true, 0)
        );
    }

    #[test]
    fn what_is_wrong_with_it_is_named() {
        for (from, to, target) in [
            ("\"url\"", "\"uri\"", "uri"),
            ("https://hooks.contoso.com/", " ", "url"),
            ("hotfix.*", "hotfixes.*", "events"),
            ("hotfix.*", "agent.frozen", "events"),
            ("\"CloudEvents\"", "\"CloudEvent\"", "format"),
            (
                "\"enabled\"",
                "\"connectionString\": \"a=b\", \"enabled\"",
                "connectionString",
            ),
            (
                "\"enabled\"",
                "\"id\": \"aaaaaaaa-0000-1111-2222-bbbbbbbbbbbb\", \"enabled\"",
                "id",
            ),
            (
                "\"enabled\"",
                "\"aadTenantId\": \"aaaaaaaa-0000-1111-2222-bbbbbbbbbbbb\", \"enabled\"",
                "aadTenantId",
            ),
        ] {
            let body = WEBHOOK.replacen(from, to, 1);
            assert_ne!(body, WEBHOOK);
            let error = WebhookRequest::read(body.as_bytes(), Uuid::nil(), true).unwrap_err();
            assert_eq!(error.target.as_deref(), Some(target), "{body}");
        }
    }
}
