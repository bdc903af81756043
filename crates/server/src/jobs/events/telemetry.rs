//! The first consumer: the events that telemetry knows, in the log.

use super::Consumer;
use crate::{
    actions::events::{HotfixState, HotfixStep, WINDOW_MODIFIED},
    error::{Error, Result},
    telemetry::{self, HotfixEvent, WindowEvent},
};
use domain::{chain::Chain, instant::Instant};
use serde_json::{Map, Value};
use store::events::Event;
use tracing::{Span, field};

/// The log of this server.
pub(crate) struct TelemetryLog;

impl Consumer for TelemetryLog {
    const NAME: &'static str = "telemetry";

    async fn deliver(&self, events: &[Event]) -> Result<()> {
        for event in events {
            // One that cannot be read must not keep all that follow it from being delivered.
            if let Err(error) = log(event) {
                tracing::error!(event = %event.id, error = %Chain(&error), "an event cannot be delivered");
            }
        }
        Ok(())
    }
}

/// Logs an event, if it is one that the documented ones know.
fn log(event: &Event) -> Result<()> {
    if event.kind == WINDOW_MODIFIED {
        return log_window(event);
    }
    let step = match HotfixStep::of(event) {
        None | Some(HotfixStep::Postponed) => return Ok(()),
        Some(HotfixStep::Scheduled) => telemetry::hotfix_scheduled,
        Some(HotfixStep::Canceled) => telemetry::hotfix_cancelled,
        Some(HotfixStep::Started) => telemetry::hotfix_started,
        Some(HotfixStep::Succeeded) => telemetry::hotfix_applied,
        Some(HotfixStep::Failed) => telemetry::hotfix_failed,
    };
    let hotfix = HotfixState::read(event)?;
    let started = instant(hotfix.started_on.as_deref())?;
    let completed = instant(hotfix.completed_on.as_deref())?;
    let run_after = hotfix.run_after.parse().map_err(Error::fault)?;
    let span = span_of(event, &hotfix);
    let _entered = span.enter();
    step(&HotfixEvent {
        aad_tenant_id: hotfix.tenant_id,
        application_family: &hotfix.family,
        country_code: &hotfix.country_code,
        environment_name: &hotfix.environment_name,
        environment_type: &hotfix.environment_type,
        environment_version: None,
        extension_id: hotfix.app_id,
        extension_name: hotfix.app_name.as_deref().unwrap_or_default(),
        extension_publisher: hotfix.app_publisher.as_deref().unwrap_or_default(),
        extension_source_version: hotfix.source_version.as_deref(),
        extension_destination_version: hotfix.target_version.as_deref().unwrap_or_default(),
        run_after,
        use_environment_update_window: !hotfix.ignore_window,
        failure_reason: hotfix.error_message.as_deref(),
        total_time: completed.zip(started).map(|(end, start)| end.since(start)),
    });
    Ok(())
}

fn log_window(event: &Event) -> Result<()> {
    let told: Map<String, Value> = serde_json::from_str(&event.payload).map_err(Error::fault)?;
    let text = |name: &str| told.get(name).and_then(Value::as_str);
    let tenant = text("environmentAadTenantId").unwrap_or_default().parse();
    let hours = |which: &str| ["Start", "End"].map(|end| text(&format!("{which}UpdateWindow{end}TimeUtc")));
    let span = tracing::error_span!("event", event = %event.id);
    let _entered = span.enter();
    telemetry::window_modified(&WindowEvent {
        aad_tenant_id: tenant.map_err(Error::fault)?,
        application_family: text("environmentApplicationFamily").unwrap_or_default(),
        country_code: text("countryCode").unwrap_or_default(),
        environment_name: text("environmentName").unwrap_or_default(),
        environment_type: text("environmentType").unwrap_or_default(),
        environment_version: text("environmentVersion").map(str::to_owned),
        new_window: hours("new"),
        old_window: hours("old"),
        failure_reason: None,
    });
    Ok(())
}

/// Under the event's own id, by which a repetition is known, and those of the request that asked for the step, if one did.
fn span_of(event: &Event, hotfix: &HotfixState) -> Span {
    let span = tracing::error_span!(
        "event",
        event = %event.id,
        correlation = field::Empty,
        principal = field::Empty,
        operation = %hotfix.id
    );
    if let Some((principal, correlation)) = &hotfix.asked_by {
        span.record("correlation", field::display(correlation));
        span.record("principal", principal);
    }
    span
}

fn instant(text: Option<&str>) -> Result<Option<Instant>> {
    text.map(str::parse).transpose().map_err(Error::fault)
}
