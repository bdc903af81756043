//! The events of customers' installs, updates and uninstalls: LC0161 to LC0174, each with the dimensions that are documented
//! for it, and ours for the steps that have none. Ours are called `fame.` and the name of the event.

use super::{EXTENSION_SCOPE, HotfixEvent, TARGET, one_line, time_span, truth};
use domain::operation::OperationKind;
use tracing::Level;
use uuid::Uuid;

/// A step in the life of a customer's operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeStep {
    /// It was accepted.
    Scheduled,
    /// It was refused.
    SchedulingFailed,
    /// Another app has to be installed for it.
    NeedsApp,
    /// Its customer put it off.
    Postponed,
    /// It was called off.
    Canceled,
    /// An agent began with it.
    Started,
    /// It was carried out.
    Succeeded,
    /// It was tried in vain.
    Failed,
    /// It was not carried out.
    Skipped,
}

impl ChangeStep {
    fn word(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::SchedulingFailed => "scheduling failed",
            Self::NeedsApp => "requires automatically installing a new dependency app",
            Self::Postponed => "postponed",
            Self::Canceled => "canceled",
            Self::Started => "started",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}

/// One step in the life of a customer's operation; what hotfixes have too is in `of`.
#[derive(Clone, Copy, Debug)]
pub struct ChangeEvent<'a> {
    /// What the operation does.
    pub kind: OperationKind,
    /// Who, where, which app, when and how long. A target that is empty is the latest compatible one.
    pub of: HotfixEvent<'a>,
    /// Whether other apps may be installed or updated for it.
    pub allow_dependencies: bool,
    /// Whether it may lead to a version in preview.
    pub allow_preview: bool,
    /// Whether what needs the app may be uninstalled for it.
    pub allow_dependents: bool,
    /// Whether the data is deleted with the app.
    pub delete_data: bool,
    /// The app that has to be installed for it.
    pub dependency: Option<Dependency<'a>>,
}

/// An app that has to be installed for another.
#[derive(Clone, Copy, Debug)]
pub struct Dependency<'a> {
    /// The app.
    pub id: Uuid,
    /// Its name, where known.
    pub name: Option<&'a str>,
    /// Its publisher, where known.
    pub publisher: Option<&'a str>,
    /// The version that is installed.
    pub version: &'a str,
}

/// Which dimensions an event has beside those that all have.
#[derive(Clone, Copy, Default)]
struct Dimensions {
    /// `allowDependencyUpdate` and `allowPreviewVersion`.
    allowed: bool,
    run_after: bool,
    use_window: bool,
    /// `extensionName` and `extensionPublisher`; the id all have.
    name: bool,
    source: bool,
    destination: bool,
    scope: bool,
    /// `allowDependentsUninstall` and `deleteData`.
    uninstall: bool,
    reason: bool,
    time: bool,
}

const ASKED: Dimensions = Dimensions {
    allowed: true,
    run_after: true,
    use_window: true,
    name: false,
    source: false,
    destination: false,
    scope: false,
    uninstall: false,
    reason: false,
    time: false,
};

/// The documented id of a step and its dimensions, if it is documented.
fn documented(kind: OperationKind, step: ChangeStep) -> Option<(&'static str, Dimensions)> {
    let install = Dimensions {
        name: true,
        destination: true,
        scope: true,
        ..ASKED
    };
    let update = Dimensions {
        source: true,
        destination: true,
        scope: true,
        ..ASKED
    };
    let reason = |of: Dimensions| Dimensions { reason: true, ..of };
    let time = |of: Dimensions| Dimensions { time: true, ..of };
    Some(match (kind, step) {
        (OperationKind::Install, ChangeStep::Scheduled) => (
            "LC0161",
            Dimensions {
                scope: false,
                ..install
            },
        ),
        (OperationKind::Install, ChangeStep::SchedulingFailed) => ("LC0162", reason(install)),
        (OperationKind::Install, ChangeStep::Started) => ("LC0163", install),
        (OperationKind::Install, ChangeStep::Succeeded) => ("LC0164", time(install)),
        (OperationKind::Install, ChangeStep::Failed) => ("LC0165", reason(time(install))),
        (OperationKind::Install | OperationKind::Update, ChangeStep::NeedsApp) => {
            let needs = Dimensions {
                run_after: false,
                ..install
            };
            ("LC0166", needs)
        }
        (OperationKind::Update, ChangeStep::Scheduled) => {
            let scheduled = Dimensions {
                name: true,
                scope: false,
                ..update
            };
            ("LC0167", scheduled)
        }
        (OperationKind::Update, ChangeStep::SchedulingFailed) => ("LC0168", reason(update)),
        (OperationKind::Update, ChangeStep::Started) => ("LC0169", update),
        (OperationKind::Update, ChangeStep::Succeeded) => ("LC0170", time(update)),
        (OperationKind::Update, ChangeStep::Failed) => ("LC0171", reason(time(update))),
        (OperationKind::Uninstall, ChangeStep::Scheduled) => {
            let scheduled = Dimensions {
                name: true,
                source: true,
                uninstall: true,
                ..ASKED
            };
            ("LC0173", scheduled)
        }
        (OperationKind::Uninstall, ChangeStep::SchedulingFailed) => {
            let failed = Dimensions {
                allowed: false,
                uninstall: true,
                reason: true,
                ..ASKED
            };
            ("LC0174", failed)
        }
        _ => return None,
    })
}

/// Of a step that is documented nowhere, all that is known is told.
fn ours(kind: OperationKind) -> Dimensions {
    Dimensions {
        allowed: kind != OperationKind::Hotfix,
        name: true,
        source: kind != OperationKind::Install,
        destination: kind != OperationKind::Uninstall,
        scope: true,
        uninstall: kind == OperationKind::Uninstall,
        reason: true,
        time: true,
        ..ASKED
    }
}

/// Emits one event, with the dimensions that it has.
macro_rules! emit {
    ($level:expr, $id:expr, $has:ident, $event:ident, $message:expr) => {{
        let of = &$event.of;
        let dependency = $event.dependency.as_ref();
        tracing::event!(
            target: TARGET,
            $level,
            eventId = $id,
            aadTenantId = of.aad_tenant_id.to_string().as_str(),
            applicationFamily = of.application_family,
            countryCode = of.country_code,
            environmentName = of.environment_name,
            environmentType = of.environment_type,
            environmentVersion = of.environment_version,
            extensionId = of.extension_id.to_string().as_str(),
            extensionName = of.extension_name.filter(|_| $has.name),
            extensionPublisher = of.extension_publisher.filter(|_| $has.name),
            extensionScope = $has.scope.then_some(EXTENSION_SCOPE),
            extensionDestinationVersion = $has.destination.then(|| destination(of)),
            extensionSourceVersion = of.extension_source_version.filter(|_| $has.source),
            allowDependencyUpdate = $has.allowed.then(|| truth($event.allow_dependencies)),
            allowPreviewVersion = $has.allowed.then(|| truth($event.allow_preview)),
            allowDependentsUninstall = $has.uninstall.then(|| truth($event.allow_dependents)),
            deleteData = $has.uninstall.then(|| truth($event.delete_data)),
            runAfterDateUtc = $has.run_after.then(|| of.run_after.to_string()).as_deref(),
            useEnvironmentUpdateWindow = $has.use_window.then(|| truth(of.use_environment_update_window)),
            dependencyExtensionId = dependency.map(|of| of.id.to_string()).as_deref(),
            dependencyExtensionName = dependency.and_then(|of| of.name),
            dependencyExtensionPublisher = dependency.and_then(|of| of.publisher),
            dependencyExtensionDestinationVersion = dependency.map(|of| of.version),
            dependencyExtensionScope = dependency.map(|_| EXTENSION_SCOPE),
            failureReason = of.failure_reason.filter(|_| $has.reason),
            totalTime = of.total_time.filter(|_| $has.time).map(time_span).as_deref(),
            "{}",
            $message
        )
    }};
}

/// Tells of a step of a customer's operation, or of one of a hotfix that has no documented event.
pub fn change(step: ChangeStep, event: &ChangeEvent<'_>) {
    let kind = event.kind;
    let name = || format!("fame.{}.{}", kind.as_str(), step.word()).to_lowercase();
    let (id, has) = match documented(kind, step) {
        Some((id, has)) => (id.to_owned(), has),
        None => (name(), ours(kind)),
    };
    let message = one_line(&message(step, event));
    match step {
        ChangeStep::SchedulingFailed | ChangeStep::Failed => {
            emit!(Level::ERROR, id.as_str(), has, event, message);
        }
        _ => emit!(Level::INFO, id.as_str(), has, event, message),
    }
}

fn destination<'a>(of: &HotfixEvent<'a>) -> &'a str {
    match of.extension_destination_version {
        "" => "latest compatible",
        version => version,
    }
}

fn message(step: ChangeStep, event: &ChangeEvent<'_>) -> String {
    let of = &event.of;
    let id = of.extension_id.to_string();
    let name = of.extension_name.unwrap_or(&id);
    let (version, word) = (destination(of), step.word());
    let core = match (event.kind, step) {
        (_, ChangeStep::NeedsApp) => {
            let dependency = event.dependency.map(|of| match of.name {
                Some(name) => format!(" {name}, version {}", of.version),
                None => format!(" {}, version {}", of.id, of.version),
            });
            format!(
                "{name}, version {version} installation/update {word}{}",
                dependency.unwrap_or_default()
            )
        }
        (OperationKind::Install, _) => format!("{name}, version {version} installation {word}"),
        (OperationKind::Update, ChangeStep::Scheduled) => {
            format!("{name} update to version {version} {word}")
        }
        (OperationKind::Update, _) => format!("{id} update to version {version} {word}"),
        (OperationKind::Uninstall, ChangeStep::SchedulingFailed) => format!("{id} uninstall {word}"),
        (OperationKind::Uninstall, _) => format!("{name} uninstall {word}"),
        (OperationKind::Hotfix, _) => format!("'{name}' hotfix to version {version} {word}"),
    };
    format!("Environment app {core} for environment: {}", of.environment_name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::tests::the_event;
    use serde_json::Value;
    use std::{collections::BTreeSet, time::Duration};

    const COMMON: &str = "level target message eventId aadTenantId applicationFamily countryCode environmentName environmentType environmentVersion extensionId";
    const A: &str = "allowDependencyUpdate allowPreviewVersion runAfterDateUtc useEnvironmentUpdateWindow";
    const N: &str = "extensionName extensionPublisher";
    const VERSIONS: &str = "extensionSourceVersion extensionDestinationVersion";

    fn sample(kind: OperationKind) -> ChangeEvent<'static> {
        ChangeEvent {
            kind,
            of: HotfixEvent {
                failure_reason: Some("table is locked"),
                total_time: Some(Duration::from_secs(61)),
                ..crate::telemetry::tests::sample()
            },
            allow_dependencies: true,
            allow_preview: false,
            allow_dependents: true,
            delete_data: false,
            dependency: None,
        }
    }

    fn told(step: ChangeStep, event: &ChangeEvent<'_>) -> Value {
        the_event(|| change(step, event))
    }

    #[test]
    fn each_documented_step_has_its_id_its_level_and_exactly_its_dimensions() {
        use ChangeStep::{Failed, NeedsApp, Scheduled, SchedulingFailed, Started, Succeeded};
        use OperationKind::{Install, Uninstall, Update};
        let destination = "extensionDestinationVersion";
        let scope = "extensionScope";
        let reason = "failureReason";
        let time = "totalTime";
        let both = "allowDependentsUninstall deleteData";
        let dependency = "dependencyExtensionId dependencyExtensionName dependencyExtensionPublisher \
                          dependencyExtensionDestinationVersion dependencyExtensionScope";
        let cases: [(OperationKind, ChangeStep, &str, &str, &[&str]); 13] = [
            (Install, Scheduled, "LC0161", "INFO", &[A, N, destination]),
            (
                Install,
                SchedulingFailed,
                "LC0162",
                "ERROR",
                &[A, N, destination, scope, reason],
            ),
            (Install, Started, "LC0163", "INFO", &[A, N, destination, scope]),
            (
                Install,
                Succeeded,
                "LC0164",
                "INFO",
                &[A, N, destination, scope, time],
            ),
            (
                Install,
                Failed,
                "LC0165",
                "ERROR",
                &[A, N, destination, scope, time, reason],
            ),
            (
                Update,
                NeedsApp,
                "LC0166",
                "INFO",
                &[
                    "allowDependencyUpdate allowPreviewVersion useEnvironmentUpdateWindow",
                    N,
                    destination,
                    scope,
                    dependency,
                ],
            ),
            (Update, Scheduled, "LC0167", "INFO", &[A, N, VERSIONS]),
            (
                Update,
                SchedulingFailed,
                "LC0168",
                "ERROR",
                &[A, scope, VERSIONS, reason],
            ),
            (Update, Started, "LC0169", "INFO", &[A, scope, VERSIONS]),
            (Update, Succeeded, "LC0170", "INFO", &[A, scope, VERSIONS, time]),
            (
                Update,
                Failed,
                "LC0171",
                "ERROR",
                &[A, scope, VERSIONS, time, reason],
            ),
            (
                Uninstall,
                Scheduled,
                "LC0173",
                "INFO",
                &[A, N, "extensionSourceVersion", both],
            ),
            (
                Uninstall,
                SchedulingFailed,
                "LC0174",
                "ERROR",
                &["runAfterDateUtc useEnvironmentUpdateWindow", both, reason],
            ),
        ];
        for (kind, step, id, level, dimensions) in cases {
            let mut event = sample(kind);
            if step == NeedsApp {
                event.dependency = Some(Dependency {
                    id: Uuid::from_u128(9),
                    name: Some("Contoso Base"),
                    publisher: Some("Contoso"),
                    version: "1.4.0.0",
                });
            }
            let line = told(step, &event);
            assert_eq!(
                (line["eventId"].as_str(), line["level"].as_str()),
                (Some(id), Some(level))
            );
            let has: BTreeSet<&str> = line.as_object().unwrap().keys().map(String::as_str).collect();
            let expected: BTreeSet<&str> = dimensions
                .iter()
                .chain([&COMMON])
                .flat_map(|names| names.split_whitespace())
                .collect();
            assert_eq!(has, expected, "{id}");
        }
    }

    #[test]
    fn the_messages_are_as_documented() {
        let message = |kind, step| {
            let line = told(step, &sample(kind));
            line["message"].as_str().unwrap().to_owned()
        };
        assert_eq!(
            message(OperationKind::Install, ChangeStep::Scheduled),
            "Environment app Contoso Rental, version 1.0.1.0 installation scheduled for environment: CRONUS-PROD"
        );
        assert_eq!(
            message(OperationKind::Update, ChangeStep::Started),
            "Environment app 00000000-0000-0000-0000-000000000002 update to version 1.0.1.0 started for environment: CRONUS-PROD"
        );
        let mut open = sample(OperationKind::Install);
        open.of.extension_destination_version = "";
        open.of.extension_name = None;
        let line = told(ChangeStep::SchedulingFailed, &open);
        assert_eq!(line["extensionDestinationVersion"], "latest compatible");
        assert_eq!(line.get("extensionName"), None);
        let named = format!("Environment app {}, version latest", open.of.extension_id);
        assert!(line["message"].as_str().unwrap().starts_with(&named), "{line}");
    }

    #[test]
    fn what_is_documented_nowhere_has_a_name_of_ours() {
        for (kind, step, id) in [
            (
                OperationKind::Uninstall,
                ChangeStep::Started,
                "fame.uninstall.started",
            ),
            (
                OperationKind::Uninstall,
                ChangeStep::Succeeded,
                "fame.uninstall.succeeded",
            ),
            (
                OperationKind::Install,
                ChangeStep::Canceled,
                "fame.install.canceled",
            ),
            (OperationKind::Update, ChangeStep::Skipped, "fame.update.skipped"),
            (OperationKind::Hotfix, ChangeStep::Skipped, "fame.hotfix.skipped"),
        ] {
            let line = told(step, &sample(kind));
            assert_eq!(line["eventId"], id);
            assert_eq!(line["extensionName"], "Contoso Rental");
        }
    }
}
