//! What destinations of telemetry are told of an event, however each wants it written.
//!
//! It is what the telemetry of the log says of the event, so that the two can never differ.

use super::{insights, otlp};
use crate::{
    error::{Error, Result},
    telemetry::Told,
};
use domain::{instant::Instant, webhook::WebhookFormat};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use store::{events::Event, webhooks::Webhook};
use tracing::Level;

const COMPONENT: &str = "Dynamics 365 Business Central Control Plane";
/// The component of events that have an id of ours.
const OURS: &str = "fame";
/// Longest value of a dimension, in characters.
const LONGEST_VALUE: usize = 8_192;

/// One thing that is said.
pub(crate) struct Item {
    pub(super) at: Instant,
    pub(super) operation: String,
    pub(super) message: String,
    pub(super) is_error: bool,
    pub(super) properties: BTreeMap<String, String>,
}

/// What is said of an event of which telemetry says `all`. Of some customers' failures that is the cause alone.
pub(crate) fn items(event: &Event, all: &[Told], only_cause: bool) -> Result<Vec<Item>> {
    let payload: Map<String, Value> = serde_json::from_str(&event.payload).map_err(Error::fault)?;
    let text = |member: &str| payload.get(member).and_then(Value::as_str).map(str::to_owned);
    let about = About {
        event,
        operation: text("id"),
        cause: text("failureCause"),
        only_cause,
    };
    let mut items = Vec::new();
    for told in all {
        items.push(about.item(told));
        items.extend(as_update(told).map(|told| about.item(&told)));
    }
    Ok(items)
}

/// What tests a destination. It has an id of ours, as Business Central has none for it.
pub(crate) fn test(webhook: &Webhook, event: &Event) -> Vec<Item> {
    let properties = [
        ("component", OURS.to_owned()),
        ("eventId", "FM0001".to_owned()),
        ("fameEventId", event.id.to_string()),
        ("fameWebhookId", webhook.id.to_string()),
    ];
    vec![Item {
        at: event.recorded_on,
        operation: event.id.to_string(),
        message: "A test of what fame sends here".to_owned(),
        is_error: false,
        properties: properties
            .map(|(name, value)| (name.to_owned(), value))
            .into_iter()
            .collect(),
    }]
}

/// The body by which a destination of that format is told; none where there is nothing to tell.
pub(crate) fn write(format: WebhookFormat, items: &[Item]) -> Option<String> {
    let written = match format {
        WebhookFormat::OpenTelemetry => otlp::write(items),
        WebhookFormat::ApplicationInsights => insights::write(items),
        WebhookFormat::StandardWebhooks | WebhookFormat::CloudEvents => return None,
    };
    (!items.is_empty()).then(|| written.to_string())
}

/// What goes with everything that telemetry says of an event.
struct About<'e> {
    event: &'e Event,
    operation: Option<String>,
    cause: Option<String>,
    only_cause: bool,
}

impl About<'_> {
    fn item(&self, told: &Told) -> Item {
        let id = told.field("eventId").unwrap_or_default();
        let mut properties = BTreeMap::from([
            ("component".to_owned(), component_of(id).to_owned()),
            ("telemetrySchemaVersion".to_owned(), "0.1".to_owned()),
            ("fameEventId".to_owned(), self.event.id.to_string()),
        ]);
        for (name, value) in &told.fields {
            properties.insert((*name).to_owned(), self.fit(name, value));
        }
        if let Some(cause) = &self.cause {
            properties.insert("fameReasonCode".to_owned(), cause.clone());
        }
        let operation = self.operation.clone();
        Item {
            at: self.event.recorded_on,
            operation: operation.unwrap_or_else(|| self.event.id.to_string()),
            message: told.message.clone(),
            is_error: told.level == Level::ERROR,
            properties,
        }
    }

    /// A value as it may be. One that is too long says where the rest of it is.
    fn fit(&self, name: &str, value: &str) -> String {
        let is_reason = name == "failureReason";
        let value = match &self.cause {
            cause if is_reason && self.only_cause => cause.as_deref().unwrap_or_default(),
            _ => value,
        };
        if value.chars().count() <= LONGEST_VALUE {
            return value.to_owned();
        }
        let rest = match &self.operation {
            Some(operation) if is_reason => format!("… (full text: operation {operation})"),
            _ => "…".to_owned(),
        };
        let room = LONGEST_VALUE - rest.chars().count();
        value.chars().take(room).chain(rest.chars()).collect()
    }
}

/// The events of an update that Business Central sends of a hotfix as well, as its documentation says.
fn as_update(told: &Told) -> Option<Told> {
    let (id, step) = match told.field("eventId")? {
        "LC0158" => ("LC0169", "started"),
        "LC0159" => ("LC0170", "succeeded"),
        "LC0160" => ("LC0171", "failed"),
        _ => return None,
    };
    let field = |name| told.field(name).unwrap_or_default();
    let message = format!(
        "Environment app '{}' update to version {} {step} for environment: {}",
        field("extensionId"),
        field("extensionDestinationVersion"),
        field("environmentName")
    );
    let is_kept = |name: &str| !matches!(name, "eventId" | "extensionName" | "extensionPublisher");
    let kept = told.fields.iter().filter(|(name, _)| is_kept(name)).cloned();
    // A hotfix asks for no dependencies.
    let own = [
        ("eventId", id),
        ("allowDependencyUpdate", "False"),
        ("allowPreviewVersion", "False"),
    ];
    Some(Told {
        message,
        level: told.level,
        fields: own
            .map(|(name, value)| (name, value.to_owned()))
            .into_iter()
            .chain(kept)
            .collect(),
    })
}

/// Whose the id of an event is.
fn component_of(id: &str) -> &'static str {
    match id.starts_with("LC") {
        true => COMPONENT,
        false => OURS,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::jobs::events::telemetry_of;
    use domain::ids::{AppId, OperationId};
    use serde_json::json;
    use uuid::Uuid;

    pub(crate) fn told(event: &Event, only_cause: bool) -> Vec<Item> {
        let all = telemetry_of(std::slice::from_ref(event));
        items(event, all.first().unwrap(), only_cause).unwrap()
    }

    pub(crate) fn failed(reason: &str) -> Event {
        let payload = json!({
            "id": Uuid::from_u128(4), "by": ["Agent", "a"], "askedBy": null, "tenantId": Uuid::from_u128(3),
            "family": "BusinessCentral", "environmentName": "Prod", "environmentType": "Production",
            "appId": Uuid::from_u128(1), "appName": "Coffee", "appPublisher": "Contoso", "countryCode": "US",
            "sourceVersion": "16.0.0.5", "targetVersion": "16.0.1.2", "ignoreWindow": true,
            "runAfter": "2020-03-05T12:00:00.0000000Z", "startedOn": "2020-03-05T12:00:01.0000000Z",
            "completedOn": "2020-03-05T12:00:03.5000000Z", "errorMessage": reason, "failureCause": "SchemaBreak",
            "allowPreview": false, "allowDependencies": false, "allowDependents": false, "deleteData": false,
        });
        Event {
            id: Uuid::from_u128(9),
            kind: "hotfix.failed".to_owned(),
            app_id: Some(AppId(Uuid::from_u128(1))),
            environment_id: None,
            operation_id: Some(OperationId(Uuid::from_u128(4))),
            payload: payload.to_string(),
            recorded_on: "2020-03-05T12:00:03Z".parse().unwrap(),
        }
    }

    #[test]
    fn a_window_is_told_too_and_what_telemetry_does_not_know_is_not() {
        let mut event = failed("");
        event.kind = "environment.windowModified".to_owned();
        event.payload = json!({
            "by": ["User", "a"], "environmentAadTenantId": Uuid::from_u128(3), "environmentName": "Prod",
            "environmentApplicationFamily": "BusinessCentral", "environmentType": "Production", "countryCode": "US",
            "newUpdateWindowStartTimeUtc": "20:00", "newUpdateWindowEndTimeUtc": "06:00",
        })
        .to_string();
        let items = told(&event, false);
        let properties = &items.first().unwrap().properties;
        assert_eq!(
            (properties["eventId"].as_str(), properties["component"].as_str()),
            ("LC0146", COMPONENT)
        );
        assert_eq!(properties["newUpdateWindowStartTimeUtc"], "20:00");
        assert!(!properties.contains_key("oldUpdateWindowStartTimeUtc"));
        event.kind = "agent.frozen".to_owned();
        for format in [WebhookFormat::ApplicationInsights, WebhookFormat::OpenTelemetry] {
            assert_eq!(write(format, &told(&event, false)), None);
        }
    }

    #[test]
    fn a_long_reason_says_where_the_rest_is_and_some_customers_are_told_of_by_cause_alone() {
        let long = told(&failed(&"ü".repeat(9_000)), false);
        let reason = &long.first().unwrap().properties["failureReason"];
        assert_eq!(reason.chars().count(), LONGEST_VALUE);
        assert!(reason.ends_with(&format!("… (full text: operation {})", Uuid::from_u128(4))));
        let cause = told(&failed("a customer's name"), true);
        let cause = write(WebhookFormat::OpenTelemetry, &cause).unwrap();
        assert!(!cause.contains("a customer's name") && cause.contains("SchemaBreak"));
    }
}
