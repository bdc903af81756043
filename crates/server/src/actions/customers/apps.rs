//! Installing, updating and taking out apps, with all that has to change for it: all of it is scheduled, or nothing.

use super::{
    Customer, carry_out, changes, lock_environment,
    reading::{self, EnvironmentName},
    resolving::{self, Gathered, Question},
};
use crate::{
    actions::{
        Service,
        audit::{self, Actor, Change},
        events,
        execution::{self, address},
        freezes,
        refused::RefusedApp,
    },
    config::CustomerSettings,
    error::{Error, Result},
    telemetry::{self, ChangeEvent, ChangeStep, HotfixEvent},
};
use domain::{
    ids::{AppId, OperationId},
    instant::Instant,
    operation::OperationStatus,
    problem::{Code, Requirement, RuleError},
    resolution::{self, Plan, Request, Step, Updates},
};
use serde_json::json;
use std::sync::Arc;
use store::{
    Reader, Tx,
    environments::Environment,
    hotfixes::{self, Operation},
};
use wire::admin_center::{InstallRequest, UninstallRequest, UpdateRequest};

/// The updates of all that is installed in an environment. What it takes to find them is decided aside from the threads that
/// serve everybody.
pub(crate) async fn available_updates(
    service: &Service,
    customer: &Customer,
    name: &EnvironmentName,
) -> Result<Updates> {
    let environment = reading::get_environment(service, customer, name).await?;
    let mut reader = Reader::Db(&service.db);
    let gathered = resolving::gather(&mut reader, &environment, Question::Updates).await?;
    let found = tokio::task::spawn_blocking(move || {
        resolution::available_updates(&gathered.environment, &gathered.catalogue)
    });
    let updates = found.await.map_err(Error::fault)?;
    if !updates.undecided.is_empty() {
        tracing::warn!(
            environment = %environment.id,
            apps = updates.undecided.len(),
            "updates of some apps were not found within the limit of the search"
        );
    }
    Ok(updates)
}

/// The installed apps that depend on an app, in the order in which they would be taken out.
pub(crate) async fn uninstall_requirements(
    service: &Service,
    customer: &Customer,
    name: &EnvironmentName,
    app: AppId,
) -> Result<Vec<Requirement>> {
    let row = reading::get_environment(service, customer, name).await?;
    let environment = resolving::environment(&mut Reader::Db(&service.db), &row).await?;
    if !environment.apps.contains_key(&app) {
        let message = format!("App {app} is not installed in environment '{}'.", row.name);
        return Err(RuleError::missing(environment.address(app), message).into());
    }
    Ok(resolution::uninstall_requirements(&environment, app))
}

/// Schedules the install of an app, and of what it needs.
pub(crate) async fn install_app(
    service: &Arc<Service>,
    customer: &Customer,
    environment: &Environment,
    app: AppId,
    request: InstallRequest,
) -> Result<Operation> {
    let asked = Asked {
        request: Request::Install {
            app,
            target: request.target_version,
            allow_preview: request.allow_preview,
            allow_dependencies: request.allow_dependencies,
        },
        use_window: request.use_window,
        accept_eula: request.accept_eula,
        language_id: request.language_id,
        delete_data: false,
        ignored: request.ignored,
    };
    change(service, customer, environment, app, asked).await
}

/// Schedules the update of an app, and of what it needs or would break.
pub(crate) async fn update_app(
    service: &Arc<Service>,
    customer: &Customer,
    environment: &Environment,
    app: AppId,
    request: UpdateRequest,
) -> Result<Operation> {
    let asked = Asked {
        request: Request::Update {
            app,
            target: request.target_version,
            allow_preview: request.allow_preview,
            allow_dependencies: request.allow_dependencies,
        },
        use_window: request.use_window,
        accept_eula: false,
        language_id: None,
        delete_data: false,
        ignored: request.ignored,
    };
    change(service, customer, environment, app, asked).await
}

/// Schedules that an app is taken out, and what depends on it before.
pub(crate) async fn uninstall_app(
    service: &Arc<Service>,
    customer: &Customer,
    environment: &Environment,
    app: AppId,
    request: UninstallRequest,
) -> Result<Operation> {
    let asked = Asked {
        request: Request::Uninstall {
            app,
            allow_dependents: request.allow_dependents,
        },
        use_window: request.use_window,
        accept_eula: false,
        language_id: None,
        delete_data: request.delete_data,
        ignored: request.ignored,
    };
    change(service, customer, environment, app, asked).await
}

/// What somebody asks for, with what goes with it.
struct Asked {
    request: Request,
    use_window: bool,
    accept_eula: bool,
    language_id: Option<String>,
    delete_data: bool,
    /// Members of the request that meant nothing.
    ignored: Vec<String>,
}

impl Asked {
    /// Whether it can be meant so, and the operator lets customers ask for it.
    fn check(&self, settings: CustomerSettings) -> Result<(), RuleError> {
        if let Request::Install {
            target,
            allow_preview,
            ..
        } = self.request
        {
            if !self.accept_eula {
                let message =
                    "'acceptIsvEula' must be true: the terms of the app's publisher have to be accepted.";
                return Err(RuleError::new(Code::EntityValidationFailed, message).about("acceptIsvEula"));
            }
            if allow_preview && target.is_none() {
                let message = "'allowPreviewVersion' needs 'targetVersion': a preview is installed by its version only.";
                return Err(RuleError::invalid("targetVersion", message));
            }
        }
        if !self.delete_data || settings.delete_data {
            return Ok(());
        }
        let message = "This service does not delete the data of an app that is uninstalled (customers.delete_data, which \
                       the operator sets). Leave 'deleteData' out: the data stays.";
        Err(RuleError::broken("DeleteDataNotAllowed", message).about("deleteData"))
    }
}

struct Changing {
    customer: Customer,
    name: EnvironmentName,
    app: AppId,
    asked: Asked,
    now: Instant,
}

async fn change(
    service: &Arc<Service>,
    customer: &Customer,
    environment: &Environment,
    app: AppId,
    asked: Asked,
) -> Result<Operation> {
    let input = Changing {
        customer: customer.clone(),
        name: EnvironmentName::of(environment),
        app,
        asked,
        now: service.clock.now(),
    };
    let failed = Unscheduled::new(&input, environment);
    let scheduled = schedule(service, customer, input).await;
    if let Err(Error::Rule(problem)) = &scheduled {
        failed.emit(service, problem).await;
    }
    scheduled
}

async fn schedule(service: &Arc<Service>, customer: &Customer, input: Changing) -> Result<Operation> {
    input.asked.check(service.settings.customers)?;
    changes::admit(service, customer)?;
    carry_out(service, input, |tx, input| Box::pin(change_in(tx, input))).await
}

/// A change that may not come to be scheduled.
struct Unscheduled {
    environment: Environment,
    app: AppId,
    request: Request,
    use_window: bool,
    delete_data: bool,
    now: Instant,
}

impl Unscheduled {
    fn new(input: &Changing, environment: &Environment) -> Self {
        Self {
            environment: environment.clone(),
            app: input.app,
            request: input.asked.request,
            use_window: input.asked.use_window,
            delete_data: input.asked.delete_data,
            now: input.now,
        }
    }

    /// It was refused by a rule, about which whoever watches over the environment may want to know. Told at once: what does
    /// not happen is not committed either.
    async fn emit(&self, service: &Service, problem: &RuleError) {
        if problem.code != Code::EntityValidationFailed {
            return;
        }
        let environment = &self.environment;
        let app = RefusedApp::find(service, environment, self.app, self.request.target()).await;
        let version = environment.application_version.map(|version| version.to_string());
        let target = self.request.target().map(|version| version.to_string());
        let allowed = self.request.allowed();
        telemetry::change(
            ChangeStep::SchedulingFailed,
            &ChangeEvent {
                kind: self.request.kind(),
                of: HotfixEvent {
                    aad_tenant_id: environment.tenant_id.0,
                    application_family: &environment.family,
                    country_code: environment.country_code.as_str(),
                    environment_name: &environment.name,
                    environment_type: environment.kind.as_str(),
                    environment_version: version.as_deref(),
                    extension_id: self.app.0,
                    extension_name: app.name.as_deref(),
                    extension_publisher: app.publisher.as_deref(),
                    extension_source_version: app.installed.as_deref(),
                    extension_destination_version: target.as_deref().unwrap_or_default(),
                    run_after: self.now,
                    use_environment_update_window: self.use_window,
                    failure_reason: Some(&problem.message),
                    total_time: None,
                },
                allow_dependencies: allowed.dependencies,
                allow_preview: allowed.preview,
                allow_dependents: allowed.dependents,
                delete_data: self.delete_data,
                dependency: None,
            },
        );
    }
}

async fn change_in(mut tx: Tx<'_>, input: &Changing) -> Result<Operation> {
    let row = lock(&mut tx, input).await?;
    freezes::check_scheduling(&mut tx, &[input.app]).await?;
    let mut reader = Reader::Tx(&mut tx);
    let gathered = match input.asked.request {
        Request::Uninstall { .. } => Gathered {
            environment: resolving::environment(&mut reader, &row).await?,
            catalogue: Default::default(),
            packages: Default::default(),
        },
        _ => resolving::gather(&mut reader, &row, Question::App(input.app)).await?,
    };
    let plan = resolution::plan(&gathered.environment, &gathered.catalogue, &input.asked.request)?;
    let apps: Vec<AppId> = plan.steps.iter().map(|step| step.app_id).collect();
    freezes::check_scheduling(&mut tx, &apps).await?;
    let operations = described(input, &row, &gathered, &plan)?;
    hotfixes::insert_operations(&mut tx, &operations).await?;
    execution::reschedule(&mut tx, &[&row], input.now).await?;
    let by = Actor::Customer(&input.customer);
    let recorded = plan.steps.iter().zip(&operations);
    let recorded = recorded.map(|(step, operation)| scheduled(input, step, operation));
    audit::record_all(&mut tx, by, input.now, recorded).await?;
    events::emit(&mut tx, by, input.now, &operations).await?;
    let asked = plan.steps.iter().zip(operations).find(|(step, _)| step.is_asked);
    asked
        .map(|(_, operation)| operation)
        .ok_or_else(|| Error::fault("a plan without what was asked for"))
}

/// The environment, locked, if something may be scheduled in it: its slots are then this transaction's.
async fn lock(tx: &mut Tx<'_>, input: &Changing) -> Result<Environment> {
    let row = lock_environment(tx, &input.customer, &input.name, input.now).await?;
    match row.missing_since {
        None => Ok(row),
        Some(since) => {
            let message = format!(
                "Environment '{}' has not been found any more since {since}; it is removed if it does not come back.",
                row.name
            );
            Err(RuleError::new(Code::EnvironmentNotActive, message)
                .about(EnvironmentName::of(&row).to_string())
                .into())
        }
    }
}

/// The operations of a plan in its order, which that of their identities keeps.
fn described(
    input: &Changing,
    row: &Environment,
    gathered: &Gathered,
    plan: &Plan,
) -> Result<Vec<Operation>> {
    let ids: Vec<OperationId> = plan.steps.iter().map(|_| OperationId::new_ordered()).collect();
    let asked = plan.steps.iter().zip(&ids).find(|(step, _)| step.is_asked);
    let asked = asked.map(|(_, &id)| id);
    let each = plan.steps.iter().zip(ids);
    each.map(|(step, id)| operation(input, row, gathered, step, id, asked))
        .collect()
}

fn operation(
    input: &Changing,
    row: &Environment,
    gathered: &Gathered,
    step: &Step,
    id: OperationId,
    asked: Option<OperationId>,
) -> Result<Operation> {
    let package = match step.to {
        Some(version) => {
            let found = gathered.packages.get(&(step.app_id, version)).copied();
            Some(found.ok_or_else(|| Error::fault("a version was planned that is not offered"))?)
        }
        None => None,
    };
    let allowed = input.asked.request.allowed();
    let Customer {
        kind,
        object_id,
        address,
        ..
    } = &input.customer;
    Ok(Operation {
        id,
        kind: step.kind,
        app_id: step.app_id,
        app_name: Some(step.name.clone()),
        app_publisher: Some(step.publisher.clone()),
        country_code: row.country_code,
        environment_id: row.id,
        tenant_id: row.tenant_id,
        family: row.family.clone(),
        environment_name: row.name.clone(),
        environment_kind: row.kind,
        source_version: step.from,
        target_version: step.to,
        status: OperationStatus::Scheduled,
        ignore_window: !input.asked.use_window,
        run_after: input.now,
        created_on: input.now,
        created_by: input.customer.signature(),
        started_on: None,
        completed_on: None,
        ended_on: None,
        error_message: None,
        reason: None,
        lease_id: None,
        lease_until: None,
        package_sha256: package.map(|(sha256, _)| sha256),
        package_size: package.map(|(_, size)| size),
        agent_id: None,
        agent_name: None,
        progress_percent: None,
        progress_step: None,
        progress_text: None,
        progress_on: None,
        failure_cause: None,
        downloads: None,
        created_by_object_id: *object_id,
        created_by_kind: *kind,
        created_by_name: address.clone(),
        canceled_by: None,
        canceled_by_name: None,
        parent_id: asked.filter(|_| !step.is_asked),
        allow_preview: allowed.preview && step.is_asked,
        allow_dependencies: allowed.dependencies,
        allow_dependents: allowed.dependents,
        delete_data: input.asked.delete_data,
        accept_eula: input.asked.accept_eula,
        language_id: input.asked.language_id.clone(),
        asked_run_after: None,
        postponed_on: None,
        postponed_by: None,
        postpone_reason: None,
        rollout_id: None,
    })
}

fn scheduled(input: &Changing, step: &Step, operation: &Operation) -> Change<'static> {
    let version = |version: Option<domain::version::AppVersion>| version.map(|version| version.to_string());
    Change {
        action: match input.asked.request {
            Request::Install { .. } => "apps/install",
            Request::Update { .. } => "apps/update",
            Request::Uninstall { .. } => "apps/uninstall",
        },
        target: address(operation),
        before: None,
        after: Some(json!({
            "status": operation.status.as_str(),
            "kind": operation.kind.as_str(),
            "environmentAadTenantId": operation.tenant_id.to_string(),
            "environmentApplicationFamily": operation.family,
            "environmentName": operation.environment_name,
            "sourceAppVersion": version(operation.source_version),
            "targetAppVersion": version(operation.target_version),
            "ignoreUpgradeWindow": operation.ignore_window,
            "deleteData": operation.delete_data,
            "parentOperationId": operation.parent_id.map(|id| id.to_string()),
            "because": step.because,
            "ignoredMembers": input.asked.ignored,
        })),
    }
}
