//! The first consumer: the events that telemetry knows, in the log.

use super::Consumer;
use crate::{
    actions::events::{Needing, OperationState, OperationStep, WINDOW_MODIFIED},
    error::{Error, Result},
    telemetry::{self, ChangeEvent, ChangeStep, Dependency, HotfixEvent, WindowEvent},
};
use domain::{chain::Chain, instant::Instant, operation::OperationKind};
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

/// Logs an event, if it is the step of an operation or the change of a window.
fn log(event: &Event) -> Result<()> {
    if event.kind == WINDOW_MODIFIED {
        return log_window(event);
    }
    let Some((kind, step)) = OperationStep::of(event) else {
        return Ok(());
    };
    let state = OperationState::read(event)?;
    let started = instant(state.started_on.as_deref())?;
    let completed = instant(state.completed_on.as_deref())?;
    let run_after = state.run_after.parse().map_err(Error::fault)?;
    let span = span_of(event, &state);
    let _entered = span.enter();
    let told = HotfixEvent {
        aad_tenant_id: state.tenant_id,
        application_family: &state.family,
        country_code: &state.country_code,
        environment_name: &state.environment_name,
        environment_type: &state.environment_type,
        environment_version: state.environment_version.as_deref(),
        extension_id: state.app_id,
        extension_name: state.app_name.as_deref(),
        extension_publisher: state.app_publisher.as_deref(),
        extension_source_version: state.source_version.as_deref(),
        extension_destination_version: state.target_version.as_deref().unwrap_or_default(),
        run_after,
        use_environment_update_window: !state.ignore_window,
        failure_reason: state.error_message.as_deref(),
        total_time: completed.zip(started).map(|(end, start)| end.since(start)),
    };
    let change = ChangeEvent {
        kind,
        of: told,
        allow_dependencies: state.allow_dependencies,
        allow_preview: state.allow_preview,
        allow_dependents: state.allow_dependents,
        delete_data: state.delete_data,
        dependency: None,
    };
    match (kind, step) {
        (OperationKind::Hotfix, OperationStep::Scheduled) => telemetry::hotfix_scheduled(&told),
        (OperationKind::Hotfix, OperationStep::Canceled) => telemetry::hotfix_cancelled(&told),
        (OperationKind::Hotfix, OperationStep::Started) => telemetry::hotfix_started(&told),
        (OperationKind::Hotfix, OperationStep::Succeeded) => telemetry::hotfix_applied(&told),
        (OperationKind::Hotfix, OperationStep::Failed) => telemetry::hotfix_failed(&told),
        (_, OperationStep::Scheduled) => telemetry::change(ChangeStep::Scheduled, &change),
        (_, OperationStep::Postponed) => telemetry::change(ChangeStep::Postponed, &change),
        (_, OperationStep::Canceled) => telemetry::change(ChangeStep::Canceled, &change),
        (_, OperationStep::Started) => telemetry::change(ChangeStep::Started, &change),
        (_, OperationStep::Succeeded) => telemetry::change(ChangeStep::Succeeded, &change),
        (_, OperationStep::Failed) => telemetry::change(ChangeStep::Failed, &change),
        (_, OperationStep::Skipped) => telemetry::change(ChangeStep::Skipped, &change),
    }
    match &state.needed_by {
        Some(needing) => log_dependency(&change, needing),
        None => Ok(()),
    }
}

/// That an app is installed because another needs it is told of that other one.
fn log_dependency(installed: &ChangeEvent<'_>, needing: &Needing) -> Result<()> {
    telemetry::change(
        ChangeStep::NeedsApp,
        &ChangeEvent {
            kind: needing.kind.parse().map_err(Error::fault)?,
            of: HotfixEvent {
                extension_id: needing.app_id,
                extension_name: needing.app_name.as_deref(),
                extension_publisher: needing.app_publisher.as_deref(),
                extension_destination_version: needing.target_version.as_deref().unwrap_or_default(),
                ..installed.of
            },
            dependency: Some(Dependency {
                id: installed.of.extension_id,
                name: installed.of.extension_name,
                publisher: installed.of.extension_publisher,
                version: installed.of.extension_destination_version,
            }),
            ..*installed
        },
    );
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
fn span_of(event: &Event, state: &OperationState) -> Span {
    let span = tracing::error_span!(
        "event",
        event = %event.id,
        correlation = field::Empty,
        principal = field::Empty,
        operation = %state.id
    );
    if let Some((principal, correlation)) = &state.asked_by {
        span.record("correlation", field::display(correlation));
        span.record("principal", principal);
    }
    span
}

fn instant(text: Option<&str>) -> Result<Option<Instant>> {
    text.map(str::parse).transpose().map_err(Error::fault)
}
