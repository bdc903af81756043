//! Telling telemetry about the steps of a hotfix's life, once they are committed.

use super::hotfixes::ScheduleHotfix;
use crate::telemetry::{self, HotfixEvent};
use domain::{
    country::CountryCode,
    ids::AppId,
    instant::Instant,
    operation::{OperationKind, OperationStatus},
    problem::{Code, RuleError},
};
use store::hotfixes::Operation;

/// The hotfix was scheduled.
pub(super) fn scheduled(operation: &Operation) {
    tell(operation, telemetry::hotfix_scheduled);
}

/// The hotfix was canceled before it began.
pub(super) fn canceled(operation: &Operation) {
    tell(operation, telemetry::hotfix_cancelled);
}

/// The hotfix started.
pub(super) fn started(operation: &Operation) {
    tell(operation, telemetry::hotfix_started);
}

/// The hotfix was carried out, or failed. The documented events know no other ending.
pub(super) fn ended(operation: &Operation) {
    match operation.status {
        OperationStatus::Succeeded => tell(operation, telemetry::hotfix_applied),
        OperationStatus::Failed => tell(operation, telemetry::hotfix_failed),
        _ => {}
    }
}

/// A hotfix that may not come to be scheduled.
pub(super) struct Unscheduled {
    command: ScheduleHotfix,
    app: AppId,
    country: CountryCode,
    now: Instant,
}

impl Unscheduled {
    pub(super) fn new(command: &ScheduleHotfix, app: AppId, country: CountryCode, now: Instant) -> Self {
        Self {
            command: command.clone(),
            app,
            country,
            now,
        }
    }

    /// The hotfix was refused by a rule, about which the environment's owner may want to know.
    pub(super) fn tell(&self, problem: &RuleError) {
        if problem.code != Code::EntityValidationFailed {
            return;
        }
        let target = self.command.target.to_string();
        telemetry::hotfix_scheduling_failed(&HotfixEvent {
            aad_tenant_id: self.command.environment.tenant_id.0,
            application_family: &self.command.environment.family_key,
            country_code: self.country.as_str(),
            environment_name: &self.command.environment_name,
            environment_type: self.command.environment_kind.map_or("", |kind| kind.as_str()),
            environment_version: None,
            extension_id: self.app.0,
            extension_name: "",
            extension_publisher: "",
            extension_source_version: None,
            extension_destination_version: &target,
            run_after: self.command.run_after.unwrap_or(self.now),
            use_environment_update_window: !self.command.ignore_window,
            failure_reason: Some(&problem.message),
            total_time: None,
        });
    }
}

fn tell(operation: &Operation, step: fn(&HotfixEvent<'_>)) {
    if operation.kind != OperationKind::Hotfix {
        return;
    }
    let source = operation.source_version.to_string();
    let target = operation.target_version.to_string();
    let total_time = operation
        .completed_on
        .zip(operation.started_on)
        .map(|(end, start)| end.since(start));
    step(&HotfixEvent {
        aad_tenant_id: operation.tenant_id.0,
        application_family: &operation.family,
        country_code: operation.country_code.as_str(),
        environment_name: &operation.environment_name,
        environment_type: operation.environment_kind.as_str(),
        environment_version: None,
        extension_id: operation.app_id.0,
        extension_name: operation.app_name.as_deref().unwrap_or_default(),
        extension_publisher: operation.app_publisher.as_deref().unwrap_or_default(),
        extension_source_version: Some(&source),
        extension_destination_version: &target,
        run_after: operation.run_after,
        use_environment_update_window: !operation.ignore_window,
        failure_reason: operation.error_message.as_deref(),
        total_time,
    });
}
