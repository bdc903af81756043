//! What webhooks and the feed are told: of each event the ids, versions and states in it, and nothing that anybody wrote.
//!
//! One list says what goes out. A member that an event gets one day is told when it is added here, not before.

use domain::{
    instant::Instant,
    webhook::{self, WebhookFormat},
};
use serde_json::{Map, Value, json};
use store::{events::Event, webhooks::Webhook};

/// What is told of an event: the member of the event, and what it is called.
const TOLD: &[(&str, &str)] = &[
    ("id", "id"),
    ("appId", "appId"),
    ("tenantId", "aadTenantId"),
    ("environmentAadTenantId", "aadTenantId"),
    ("family", "applicationFamily"),
    ("environmentApplicationFamily", "applicationFamily"),
    ("environmentType", "environmentType"),
    ("countryCode", "countryCode"),
    ("sourceVersion", "sourceVersion"),
    ("targetVersion", "targetVersion"),
    ("runAfter", "runAfter"),
    ("startedOn", "startedOn"),
    ("completedOn", "completedOn"),
    ("failureCause", "failureCause"),
    ("kind", "drift"),
    ("versionBefore", "versionBefore"),
    ("version", "version"),
    ("availability", "availability"),
    ("availabilityBefore", "availabilityBefore"),
    ("syncMode", "syncMode"),
    ("sha256", "sha256"),
    ("principalType", "principalType"),
    ("roles", "roles"),
    ("rolesBefore", "rolesBefore"),
    ("contradicts", "contradictedOperationId"),
    ("host", "host"),
    ("reason", "reason"),
];

/// The tenant of whose environment an event tells, if it does.
pub(crate) fn tenant_of(payload: &Value) -> Option<&str> {
    let tenant = payload
        .get("tenantId")
        .or_else(|| payload.get("environmentAadTenantId"));
    tenant?.as_str()
}

/// An event as it is sent to a webhook; `source` is the address of the service.
pub(crate) fn write(webhook: &Webhook, event: &Event, payload: &Value, source: &str) -> String {
    let data = data(webhook.app_id.is_some(), event, payload);
    let body = match webhook.format {
        WebhookFormat::CloudEvents => cloud_event(event, data, source),
        WebhookFormat::StandardWebhooks
        | WebhookFormat::ApplicationInsights
        | WebhookFormat::OpenTelemetry => json!({
            "type": event.kind,
            "timestamp": event.recorded_on.to_string(),
            "data": data,
        }),
    };
    body.to_string()
}

/// The type of a body's content.
pub(crate) fn content_type(format: WebhookFormat) -> &'static str {
    match format {
        WebhookFormat::CloudEvents => "application/cloudevents+json; charset=UTF-8",
        WebhookFormat::StandardWebhooks
        | WebhookFormat::ApplicationInsights
        | WebhookFormat::OpenTelemetry => "application/json",
    }
}

/// What is told of an event, to somebody who is told of one app, or of everything.
pub(crate) fn data(is_of_app: bool, event: &Event, payload: &Value) -> Value {
    let mut data = Map::new();
    for (member, called) in TOLD {
        match payload.get(member) {
            Some(value) if !value.is_object() && !value.is_array() && !value.is_null() => {
                data.insert((*called).to_owned(), value.clone());
            }
            _ => {}
        }
    }
    // What tells of an app says so, whatever else it tells.
    if let Some(app) = event.app_id {
        data.insert("appId".to_owned(), app.to_string().into());
    }
    if let Some([kind, id]) = payload.get("by").and_then(Value::as_array).map(Vec::as_slice) {
        // Who a customer's administrators are is no business of the apps' publishers.
        let is_unnamed = is_of_app && payload.get("byCustomer") == Some(&Value::Bool(true));
        let by = if is_unnamed {
            json!({ "type": kind })
        } else {
            json!({ "type": kind, "id": id })
        };
        data.insert("by".to_owned(), by);
    }
    Value::Object(data)
}

fn cloud_event(event: &Event, data: Value, source: &str) -> Value {
    let mut written = json!({
        "specversion": "1.0",
        "id": event.id.to_string(),
        "source": match event.app_id {
            Some(app) => format!("{source}/apps/{app}"),
            None => format!("{source}/"),
        },
        "type": format!("fame.{}", event.kind),
        "time": event.recorded_on.to_string(),
        "datacontenttype": "application/json",
    });
    let subject = event.operation_id.map(|id| id.to_string());
    let subject = subject.or_else(|| Some(data.get("id")?.as_str()?.to_owned()));
    if let (Some(subject), Some(members)) = (subject, written.as_object_mut()) {
        members.insert("subject".to_owned(), subject.into());
        members.insert("sequence".to_owned(), sequence(event.recorded_on).into());
    }
    if let Some(members) = written.as_object_mut() {
        members.insert("data".to_owned(), data);
    }
    written
}

/// A text that sorts as what happened to the subject followed each other.
fn sequence(at: Instant) -> String {
    format!("{:020}", at.0)
}

/// The event by which a webhook is tested.
pub(crate) fn test(webhook: &Webhook, id: uuid::Uuid, now: Instant) -> Event {
    Event {
        id,
        kind: webhook::TEST.to_owned(),
        app_id: webhook.app_id,
        environment_id: None,
        operation_id: None,
        payload: json!({ "id": webhook.id }).to_string(),
        recorded_on: now,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::ids::{AppId, Etag, OperationId};
    use uuid::Uuid;

    fn webhook(format: WebhookFormat, app_id: Option<AppId>) -> Webhook {
        Webhook {
            id: Uuid::from_u128(5),
            app_id,
            tenant_id: None,
            url: "https://a.b/".to_owned(),
            events: String::new(),
            format,
            secret: String::new(),
            former_secret: None,
            former_secret_until: None,
            created_on: Instant(0),
            created_by: String::new(),
            disabled_on: None,
            disabled_reason: None,
            paused_until: None,
            delivered_on: None,
            etag: Etag::random(),
        }
    }

    fn of_app(format: WebhookFormat) -> Webhook {
        webhook(format, Some(AppId(Uuid::from_u128(1))))
    }

    #[test]
    fn a_customer_is_named_to_operators_alone() {
        let (event, mut payload) = hotfix();
        payload["by"] = json!(["Delegated", "00000000-0000-0000-0000-000000000007"]);
        payload["byCustomer"] = json!(true);
        let of_operator = webhook(WebhookFormat::StandardWebhooks, None);
        for format in [WebhookFormat::StandardWebhooks, WebhookFormat::CloudEvents] {
            let written = write(&of_app(format), &event, &payload, "https://fame");
            assert!(written.contains(r#""by":{"type":"Delegated"}"#), "{written}");
            assert!(
                !written.contains("000000000007") && !written.contains("Customer"),
                "{written}"
            );
        }
        let written = write(&of_operator, &event, &payload, "https://fame");
        let named = r#""by":{"type":"Delegated","id":"00000000-0000-0000-0000-000000000007"}"#;
        assert!(written.contains(named), "{written}");
    }

    fn hotfix() -> (Event, Value) {
        let payload = json!({
            "id": "00000000-0000-0000-0000-000000000004",
            "by": ["Agent", "00000000-0000-0000-0000-000000000007"],
            "askedBy": ["User/a/b", "00000000-0000-0000-0000-000000000008"],
            "tenantId": "00000000-0000-0000-0000-000000000003",
            "family": "BusinessCentral",
            "environmentName": "Fabrikam production",
            "environmentType": "Production",
            "appId": "00000000-0000-0000-0000-000000000001",
            "appName": "Contoso Coffee",
            "appPublisher": "Contoso",
            "countryCode": "US",
            "sourceVersion": "16.0.0.5",
            "targetVersion": "16.0.1.2",
            "ignoreWindow": false,
            "runAfter": "2020-03-05T12:00:00.0000000Z",
            "startedOn": "2020-03-05T12:00:01.0000000Z",
            "completedOn": "2020-03-05T12:00:03.0000000Z",
            "errorMessage": "Customer Adatum has no address.",
            "failureCause": "SchemaBreak",
        });
        let event = Event {
            id: Uuid::from_u128(9),
            kind: "hotfix.failed".to_owned(),
            app_id: Some(AppId(Uuid::from_u128(1))),
            environment_id: None,
            operation_id: Some(OperationId(Uuid::from_u128(4))),
            payload: payload.to_string(),
            recorded_on: "2020-03-05T12:00:03Z".parse().unwrap(),
        };
        (event, payload)
    }

    #[test]
    fn a_hotfix_is_told_by_ids_versions_and_states() {
        let (event, payload) = hotfix();
        let written = write(
            &of_app(WebhookFormat::StandardWebhooks),
            &event,
            &payload,
            "https://fame",
        );
        assert_eq!(
            written,
            concat!(
                r#"{"type":"hotfix.failed","timestamp":"2020-03-05T12:00:03.0000000Z","data":{"#,
                r#""id":"00000000-0000-0000-0000-000000000004","appId":"00000000-0000-0000-0000-000000000001","#,
                r#""aadTenantId":"00000000-0000-0000-0000-000000000003","applicationFamily":"BusinessCentral","#,
                r#""environmentType":"Production","countryCode":"US","sourceVersion":"16.0.0.5","#,
                r#""targetVersion":"16.0.1.2","runAfter":"2020-03-05T12:00:00.0000000Z","#,
                r#""startedOn":"2020-03-05T12:00:01.0000000Z","completedOn":"2020-03-05T12:00:03.0000000Z","#,
                r#""failureCause":"SchemaBreak","by":{"type":"Agent","id":"00000000-0000-0000-0000-000000000007"}}}"#,
            )
        );
    }

    #[test]
    fn a_cloud_event_says_the_same_in_its_own_frame() {
        let (event, payload) = hotfix();
        let written = write(
            &of_app(WebhookFormat::CloudEvents),
            &event,
            &payload,
            "https://fame",
        );
        let mut written: Value = serde_json::from_str(&written).unwrap();
        let data = written.as_object_mut().unwrap().remove("data").unwrap();
        assert_eq!(
            written,
            json!({
                "specversion": "1.0",
                "id": "00000000-0000-0000-0000-000000000009",
                "source": "https://fame/apps/00000000-0000-0000-0000-000000000001",
                "type": "fame.hotfix.failed",
                "time": "2020-03-05T12:00:03.0000000Z",
                "datacontenttype": "application/json",
                "subject": "00000000-0000-0000-0000-000000000004",
                "sequence": format!("{:020}", event.recorded_on.0),
            })
        );
        let plain = write(
            &of_app(WebhookFormat::StandardWebhooks),
            &event,
            &payload,
            "https://fame",
        );
        let plain: Value = serde_json::from_str(&plain).unwrap();
        assert_eq!(plain["data"], data);
    }
}
