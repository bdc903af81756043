//! Rows as the customers' API shows them: the words, and their case, that its clients compare with.

use crate::actions::customers::reading::LastDone;
use domain::{
    environment::{AppScope, EnvironmentKind, UpdateCadence, family_shown},
    ids::OperationId,
    operation::{OperationKind, OperationStatus},
    principal::CallerKind,
    problem::Requirement,
    resolution::Update,
    start::can_be_uninstalled,
    version::AppVersion,
};
use store::{
    environments::{Environment, InstalledApp},
    hotfixes::Operation,
};
use wire::admin_center::{
    AdminApp, AdminEnvironment, AdminOperation, AdminOperationParameters, AdminRequirement, AvailableUpdate,
    Deployment, UninstallRequirement, VersionDetails,
};

/// The publisher whose apps belong to the platform.
const PLATFORM: &str = "Microsoft";

/// What stands for a version that nobody said. Clients read it as a version.
const UNKNOWN_VERSION: AppVersion = AppVersion([0; 4]);

/// An environment.
pub(super) fn environment(row: &Environment) -> AdminEnvironment {
    let application = row.application_version.unwrap_or(UNKNOWN_VERSION).to_string();
    AdminEnvironment {
        name: row.name.clone(),
        friendly_name: row.name.clone(),
        kind: row.kind.to_string(),
        application_family: family_shown(&row.family).to_owned(),
        aad_tenant_id: row.tenant_id.0,
        country_code: row.country_code.to_string(),
        status: match row.missing_since {
            Some(_) => "NotReady".to_owned(),
            None => "Active".to_owned(),
        },
        web_client_login_url: row.web_client_url.clone().unwrap_or_default(),
        web_service_url: row.web_service_url.clone().unwrap_or_default(),
        location_name: row.location_name.clone(),
        ring_name: "Production".to_owned(),
        platform_version: row
            .platform_version
            .map_or_else(|| application.clone(), |version| version.to_string()),
        version_details: VersionDetails {
            version: application.clone(),
        },
        application_version: application,
        app_source_apps_update_cadence: row.update_cadence.unwrap_or(UpdateCadence::Default).to_string(),
    }
}

/// Whether an environment can be worked with.
pub(super) fn deployment(row: &Environment) -> Deployment {
    Deployment {
        status: "Ready".to_owned(),
        data: Some(row.web_client_url.clone().unwrap_or_default()),
        environment_type: Some(match row.kind {
            EnvironmentKind::Production => 0,
            EnvironmentKind::Sandbox => 1,
        }),
    }
}

/// An installed app.
pub(super) fn app((row, done): &(InstalledApp, LastDone)) -> AdminApp {
    let scope = scope(row);
    let (update, uninstall) = (done.update, done.uninstall);
    AdminApp {
        id: row.app_id.0,
        app_id: row.app_id.0,
        name: row.name.clone().unwrap_or_default(),
        version: row.version.to_string(),
        state: match update {
            Some((_, OperationStatus::Scheduled)) => "UpdatePending",
            Some((_, OperationStatus::Running)) => "Updating",
            _ => "Installed",
        }
        .to_owned(),
        last_operation_id: update.map(|(id, _)| id.0),
        last_update_attempt_result: result(update),
        last_uninstall_operation_id: uninstall.map(|(id, _)| id.0),
        last_uninstall_attempt_result: result(uninstall),
        app_type: scope.as_str().to_ascii_lowercase(),
        can_be_uninstalled: can_be_uninstalled(row.app_id, row.can_be_uninstalled),
        publisher: row.publisher.clone().unwrap_or_default(),
    }
}

fn result(done: Option<(OperationId, OperationStatus)>) -> Option<String> {
    done.filter(|(_, status)| status.is_terminal())
        .map(|(_, status)| status.to_string())
}

/// An update that an app can have.
pub(super) fn available_update(update: &Update) -> AvailableUpdate {
    AvailableUpdate {
        app_id: update.app_id.0,
        id: update.app_id.0,
        name: update.name.clone(),
        publisher: update.publisher.clone(),
        version: update.version.to_string(),
        requirements: update.requirements.iter().map(requirement).collect(),
    }
}

/// What an update needs; here its kind begins with a capital.
fn requirement(required: &Requirement) -> AdminRequirement {
    AdminRequirement {
        kind: required.kind.to_string(),
        ..AdminRequirement::from(required)
    }
}

/// An app that would have to go before another.
pub(super) fn uninstall_requirement(dependent: &Requirement, scope: AppScope) -> UninstallRequirement {
    let AdminRequirement {
        app_id,
        id,
        name,
        publisher,
        version,
        ..
    } = AdminRequirement::from(dependent);
    UninstallRequirement {
        app_id,
        id,
        name,
        publisher,
        version,
        kind: match scope {
            AppScope::Global => "Global",
            AppScope::Tenant => "PTE",
            AppScope::Dev => "DEV",
        }
        .to_owned(),
        environment_app_operation_requirement_type: "Uninstall".to_owned(),
    }
}

/// For whom an installed app was published, as far as it is known.
pub(super) fn scope(row: &InstalledApp) -> AppScope {
    let is_global = row.publisher.as_deref() == Some(PLATFORM) || row.availability.is_some();
    row.scope.unwrap_or(if is_global {
        AppScope::Global
    } else {
        AppScope::Tenant
    })
}

/// How the kind of an operation is spelt.
#[derive(Clone, Copy, Debug)]
pub(super) enum Spelling {
    /// `update`, where an app is asked about.
    OfApp,
    /// `environmentAppUpdate`, where an environment is.
    OfEnvironment,
}

impl Spelling {
    fn of(self, kind: OperationKind) -> String {
        match self {
            Self::OfApp => kind.as_str().to_ascii_lowercase(),
            Self::OfEnvironment => format!("environmentApp{kind}"),
        }
    }
}

/// An operation.
pub(super) fn operation(row: &Operation, spelling: Spelling) -> AdminOperation {
    let version =
        |version: Option<AppVersion>| version.map_or_else(String::new, |version| version.to_string());
    let (source, target) = (version(row.source_version), version(row.target_version));
    AdminOperation {
        id: row.id.0,
        kind: spelling.of(row.kind),
        status: row.status.as_str().to_ascii_lowercase(),
        created_on: row.created_on.to_string(),
        started_on: row.started_on.map(|on| on.to_string()),
        completed_on: row.completed_on.map(|on| on.to_string()),
        source_version: source.clone(),
        target_version: target.clone(),
        error_message: row
            .error_message
            .clone()
            .or_else(|| row.reason.clone())
            .unwrap_or_default(),
        created_by: creator(row),
        canceled_by: row
            .canceled_by_name
            .clone()
            .or_else(|| row.canceled_by.as_deref().map(shown_id))
            .unwrap_or_default(),
        creator_principal_type: match row.created_by_kind {
            CallerKind::Application | CallerKind::Publisher => "app",
            CallerKind::User | CallerKind::Delegated => "user",
        }
        .to_owned(),
        app_id: row.app_id.0,
        aad_tenant_id: row.tenant_id.0,
        environment_name: row.environment_name.clone(),
        environment_type: row.environment_kind.to_string(),
        product_family: family_shown(&row.family).to_owned(),
        can_be_canceled: row.kind != OperationKind::Hotfix && row.status == OperationStatus::Scheduled,
        schedule_kind: match row.ignore_window {
            true => "Immediate",
            false => "UpdateWindow",
        }
        .to_owned(),
        postponed_on: row.postponed_on.map(|on| on.to_string()),
        postponed_until: row.postponed_on.map(|_| row.run_after.to_string()),
        postpone_reason: row.postpone_reason.clone(),
        parameters: parameters(row, &source, &target),
        source_app_version: source,
        target_app_version: target,
    }
}

/// Which of a vendor's people it was is no customer's business; of a partner, it is the partner that counts.
fn creator(row: &Operation) -> String {
    match (row.kind, row.created_by_kind) {
        (OperationKind::Hotfix, _) => row.app_publisher.clone().unwrap_or_default(),
        (_, CallerKind::User) => row
            .created_by_name
            .clone()
            .unwrap_or_else(|| shown_id(&row.created_by)),
        (_, CallerKind::Application | CallerKind::Delegated | CallerKind::Publisher) => {
            shown_id(&row.created_by)
        }
    }
}

/// An id of `User/tenant/id`, `Application/id`, `Delegated/tenant/id` or `Publisher/id/run`, as customers read it.
fn shown_id(signature: &str) -> String {
    let parts: Vec<_> = signature.split('/').collect();
    match parts.as_slice() {
        ["Delegated", tenant, _] => format!("partner {tenant}"),
        ["Publisher", id, ..] => (*id).to_owned(),
        [_, .., id] => (*id).to_owned(),
        _ => signature.to_owned(),
    }
}

fn parameters(row: &Operation, source: &str, target: &str) -> AdminOperationParameters {
    let common = AdminOperationParameters {
        app_id: row.app_id.0,
        target_app_version: target.to_owned(),
        source_app_version: source.to_owned(),
        country_code: row.country_code.to_string(),
        ignore_upgrade_window: row.ignore_window,
        parent_operation_id: row.parent_id.map(|id| id.0),
        ..AdminOperationParameters::default()
    };
    match row.kind {
        OperationKind::Hotfix => common,
        OperationKind::Install | OperationKind::Update => AdminOperationParameters {
            allow_preview_version: Some(row.allow_preview),
            allow_dependency_update: Some(row.allow_dependencies),
            accept_isv_eula: (row.kind == OperationKind::Install).then_some(row.accept_eula),
            language_id: row.language_id.clone(),
            ..common
        },
        OperationKind::Uninstall => AdminOperationParameters {
            allow_dependents_uninstall: Some(row.allow_dependents),
            delete_data: Some(row.delete_data),
            ..common
        },
    }
}
