//! Hotfixes as their publisher sees them: scheduled, looked at, canceled.

use super::{
    Principal, Service, access,
    audit::{self, Actor, Change},
    events,
    execution::{self, address},
    facts::InstallationFacts,
    forecasts, freezes, quotas,
    refused::RefusedApp,
    repeat::{self, Repeatable},
    versions::version_missing,
    waits,
};
use crate::{
    config::QuotaSettings,
    error::{Error, Result},
    telemetry::{self, HotfixEvent},
    wire_rows,
};
use domain::{
    access::{Permission, Resource},
    country::CountryCode,
    environment::{EnvironmentKey, EnvironmentKind},
    hotfix::{self, Facts},
    ids::{AppId, OperationId},
    instant::Instant,
    operation::{CancelOutcome, OperationKind, OperationStatus, check_cancel, check_requested_status},
    principal::CallerKind,
    problem::{Code, RuleError},
    version::{AppVersion, VersionStatus},
};
use serde_json::json;
use std::sync::Arc;
use store::{
    Tx, apps,
    environments::{self, Environment},
    execution as starting,
    hotfixes::{self, Operation},
    principals,
    versions::{self, Version, VersionKey},
};
use uuid::Uuid;
use wire::hotfixes::HotfixPatch;

const READ: Permission = Permission::read(Resource::EnvironmentHotfixes);
const WRITE: Permission = Permission::write(Resource::EnvironmentHotfixes);

/// One hotfix.
pub(crate) async fn get_hotfix(
    service: &Service,
    principal: &Principal,
    app: AppId,
    country: CountryCode,
    id: OperationId,
) -> Result<Operation> {
    access::admit(service, principal, app, Some(country), READ).await?;
    if let Some(found) = hotfixes::find_hotfix(&service.db, principal.reference, app, country, id).await? {
        return Ok(found);
    }
    access::explain_nothing(service, principal, app, Some(country), READ).await?;
    Err(hotfix_missing(app, country, id).into())
}

fn hotfix_missing(app: AppId, country: CountryCode, id: OperationId) -> RuleError {
    let message = format!("App {app} has no hotfix {id} in country {country}.");
    RuleError::missing(
        format!("apps/{app}/countries/{country}/environmentHotfixes/{id}"),
        message,
    )
}

/// What a publisher asks for.
#[derive(Clone, Debug)]
pub(crate) struct ScheduleHotfix {
    pub(crate) environment: EnvironmentKey,
    /// The environment's application family as it was spelled.
    pub(crate) environment_family: String,
    /// The environment's name as it was spelled.
    pub(crate) environment_name: String,
    pub(crate) environment_kind: Option<EnvironmentKind>,
    pub(crate) target: AppVersion,
    /// When it is to run at the earliest, as it is answered; a past one is due at once, and so is none.
    pub(crate) run_after: Option<Instant>,
    pub(crate) ignore_window: bool,
    /// Whether it is to be scheduled whatever schema synchronisation is forecast to refuse.
    pub(crate) despite_forecast: bool,
}

struct Schedule {
    principal: Principal,
    app: AppId,
    country: CountryCode,
    command: ScheduleHotfix,
    repeatable: Option<Repeatable>,
    allow_preview_in_sandbox: bool,
    quotas: QuotaSettings,
    /// What is forecast to be refused, and after which installed version.
    forecast: Option<(AppVersion, Arc<str>)>,
    now: Instant,
}

/// A hotfix that may not come to be scheduled.
struct Unscheduled {
    command: ScheduleHotfix,
    app: AppId,
    country: CountryCode,
    now: Instant,
}

impl Unscheduled {
    fn new(command: &ScheduleHotfix, app: AppId, country: CountryCode, now: Instant) -> Self {
        Self {
            command: command.clone(),
            app,
            country,
            now,
        }
    }

    /// The hotfix was refused by a rule, about which the environment's owner may want to know.
    async fn emit(&self, service: &Service, problem: &RuleError) {
        if problem.code != Code::EntityValidationFailed {
            return;
        }
        let found = environments::find_environment(&service.db, &self.command.environment).await;
        let environment = found.unwrap_or_default();
        let app = match &environment {
            Some(found) => RefusedApp::find(service, found, self.app, Some(self.command.target)).await,
            None => RefusedApp::default(),
        };
        let version = environment.and_then(|environment| environment.application_version);
        let version = version.map(|version| version.to_string());
        let target = self.command.target.to_string();
        telemetry::hotfix_scheduling_failed(&HotfixEvent {
            aad_tenant_id: self.command.environment.tenant_id.0,
            application_family: &self.command.environment_family,
            country_code: self.country.as_str(),
            environment_name: &self.command.environment_name,
            environment_type: self.command.environment_kind.map_or("", |kind| kind.as_str()),
            environment_version: version.as_deref(),
            extension_id: self.app.0,
            extension_name: app.name.as_deref(),
            extension_publisher: app.publisher.as_deref(),
            extension_source_version: app.installed.as_deref(),
            extension_destination_version: &target,
            run_after: self.command.run_after.unwrap_or(self.now),
            use_environment_update_window: !self.command.ignore_window,
            failure_reason: Some(&problem.message),
            total_time: None,
        });
    }
}

/// Schedules a hotfix for one environment.
pub(crate) async fn schedule_hotfix(
    service: &Arc<Service>,
    principal: &Principal,
    app: AppId,
    country: CountryCode,
    command: ScheduleHotfix,
    repeatable: Option<Repeatable>,
) -> Result<Operation> {
    let principal = principal.clone();
    let forecast = forecasts::about_hotfix(service, &principal, (app, country), &command).await?;
    let input = Schedule {
        forecast,
        principal: principal.clone(),
        app,
        country,
        command,
        repeatable,
        allow_preview_in_sandbox: service.settings.hotfixes.preview_in_sandbox,
        quotas: service.settings.quotas,
        now: service.clock.now(),
    };
    service
        .see_through(async move |service| {
            let failed = Unscheduled::new(&input.command, app, country, input.now);
            let scheduled = service
                .db
                .write(input, |tx, input| Box::pin(schedule_in(tx, input)))
                .await;
            service.emitted.notify_here();
            let (operation, is_new) = match scheduled {
                Err(Error::Rule(problem)) => {
                    failed.emit(&service, &problem).await;
                    return Err(told_of_the_other(&service, &failed, &principal, problem).await);
                }
                other => other?,
            };
            if is_new {
                service.wakeup.notify();
            }
            Ok(operation)
        })
        .await
}

/// The refusal, and what is known of the hotfix that is in the way: whether the one that was there already is the one that
/// was wanted, and when it starts.
async fn told_of_the_other(
    service: &Service,
    refused: &Unscheduled,
    principal: &Principal,
    problem: RuleError,
) -> Error {
    let named = problem.extension.iter().find(|(name, _)| *name == "operationId");
    let Some(id) = named.and_then(|(_, id)| id.parse().ok()) else {
        return problem.into();
    };
    let found =
        hotfixes::find_hotfix(&service.db, principal.reference, refused.app, refused.country, id).await;
    let Ok(Some(other)) = found else {
        return problem.into();
    };
    let (other, wait) = waits::told_with(service, other).await;
    let facts = [
        ("status", Some(other.status.to_string())),
        (
            "targetAppVersion",
            other.target_version.map(|version| version.to_string()),
        ),
        (
            "expectedStart",
            wait.expected_start.map(|start| start.to_string()),
        ),
        ("waitingFor", wait.waiting_for.map(|what| what.to_string())),
    ];
    let known = facts.into_iter().filter_map(|(name, value)| Some((name, value?)));
    known
        .fold(problem, |problem, (name, value)| problem.with(name, value))
        .into()
}

async fn schedule_in(mut tx: Tx<'_>, input: &Schedule) -> Result<(Operation, bool)> {
    let allowed =
        access::require_in_country(&mut tx, &input.principal, input.app, input.country, WRITE).await?;
    if let Some(before) = answered_before(&mut tx, input).await? {
        return Ok((before, false));
    }
    let allowed = allowed.in_country(input.app, input.country)?;
    freezes::check_scheduling(&mut tx, &[input.app]).await?;
    let (environment, gathered) = find_environment(&mut tx, input).await?;
    // The same request may have held the environment until now; then it has been answered.
    if let Some(before) = answered_before(&mut tx, input).await? {
        return Ok((before, false));
    }
    allowed.within(|grant| grant.check_hotfix(environment.kind))?;
    let target = find_target(&mut tx, input).await?;
    hotfix::check_environment_kind(
        input.command.environment_kind,
        environment.kind,
        &environment.name,
    )?;
    let occupied_by = hotfixes::slot_holder(&mut tx, environment.id, input.app).await?;
    let visible = principals::apps_of_in(&mut tx, input.principal.reference).await?;
    let signer_rule = apps::signer_rule(&mut tx, input.app).await?;
    let target_facts = (&target, &signer_rule);
    let facts = Facts {
        schema_break: input.refused_after(gathered.installed()),
        ..gathered.facts(
            target_facts,
            occupied_by,
            input.allow_preview_in_sandbox,
            Some(&visible),
        )
    };
    hotfix::check_schedule(&facts)?;
    quotas::check_hotfix(&mut tx, input.quotas, input.app).await?;
    let operation = described(&input.wanted(), &environment, &target, gathered.installed());
    hotfixes::insert_operation(&mut tx, &operation).await?;
    let becomes_due = becomes_due(&mut tx, &environment, &operation, input.now).await?;
    starting::set_due(&mut tx, becomes_due).await?;
    let repeatable = input.repeatable.as_ref();
    repeat::remember(
        &mut tx,
        &input.principal,
        repeatable,
        Some(operation.id),
        input.now,
    )
    .await?;
    let by = Actor::Principal(&input.principal);
    let change = scheduled(
        &operation,
        &input.command,
        input.forecast_after(gathered.installed()),
    );
    audit::record(&mut tx, by, input.now, change).await?;
    events::emit(&mut tx, by, input.now, [&operation]).await?;
    Ok((operation, true))
}

impl Schedule {
    fn wanted(&self) -> Wanted<'_> {
        Wanted {
            app: self.app,
            by: self.principal.signature(),
            by_kind: self.principal.kind,
            by_name: self.principal.name.as_deref(),
            by_object_id: self.principal.object_id,
            run_after: self.command.run_after.unwrap_or(self.now),
            ignore_window: self.command.ignore_window,
            rollout_id: None,
            now: self.now,
        }
    }

    /// What is forecast to be refused where that version is installed, unless that is not to count.
    fn refused_after(&self, installed: AppVersion) -> Option<&str> {
        self.forecast_after(installed)
            .filter(|_| !self.command.despite_forecast)
    }

    /// What is forecast to be refused where that version is installed.
    fn forecast_after(&self, installed: AppVersion) -> Option<&str> {
        let (after, refused) = self.forecast.as_ref()?;
        (*after == installed).then_some(&**refused)
    }
}

/// The environment, locked, if it has the app installed and belongs to the country.
async fn find_environment(tx: &mut Tx<'_>, input: &Schedule) -> Result<(Environment, InstallationFacts)> {
    let found = environments::lock_environment(tx, &input.command.environment).await?;
    let here = found.filter(|environment| environment.country_code == input.country);
    let environment = here.ok_or_else(|| environment_missing(input))?;
    let apps = environments::installed_apps(tx, environment.id).await?;
    let gathered = InstallationFacts::new(&environment, &apps, input.app);
    let gathered = gathered.ok_or_else(|| environment_missing(input))?;
    if let Some(since) = environment.missing_since {
        return Err(not_reported(&environment, since).into());
    }
    Ok((environment, gathered))
}

/// The one answer for an environment that is not there, that is in another country, and that has not the app: a vendor
/// learns nothing of environments without it.
fn environment_missing(input: &Schedule) -> RuleError {
    let message = format!(
        "There is no environment '{}' of that family and of tenant {} in country {} that has app {} installed.",
        input.command.environment_name, input.command.environment.tenant_id, input.country, input.app
    );
    RuleError::new(Code::EnvironmentNotFound, message).about("environmentName")
}

fn not_reported(environment: &Environment, since: Instant) -> RuleError {
    let message = format!(
        "Environment '{}' has not been found any more since {since}; it is removed if it does not come back.",
        environment.name
    );
    RuleError::new(Code::EnvironmentNotFound, message).about("environmentName")
}

async fn find_target(tx: &mut Tx<'_>, input: &Schedule) -> Result<Version> {
    let key = VersionKey {
        app_id: input.app,
        country_code: input.country,
        version: input.command.target,
    };
    let found = versions::version_in(tx, &key).await?;
    let uploaded = found.filter(|version| version.status == VersionStatus::Uploaded);
    uploaded.ok_or_else(|| version_missing(&key).into())
}

/// Who asks for a hotfix, and how it is to be carried out.
pub(crate) struct Wanted<'w> {
    pub(crate) app: AppId,
    /// Their signature: `User/tenant/id` or `Application/id`.
    pub(crate) by: String,
    pub(crate) by_kind: CallerKind,
    pub(crate) by_name: Option<&'w str>,
    pub(crate) by_object_id: Option<Uuid>,
    pub(crate) run_after: Instant,
    pub(crate) ignore_window: bool,
    /// The rollout that it is a part of.
    pub(crate) rollout_id: Option<Uuid>,
    pub(crate) now: Instant,
}

/// A hotfix that is scheduled, for an environment with that version installed.
pub(crate) fn described(
    wanted: &Wanted<'_>,
    environment: &Environment,
    target: &Version,
    installed: AppVersion,
) -> Operation {
    Operation {
        id: OperationId::new_ordered(),
        kind: OperationKind::Hotfix,
        app_id: wanted.app,
        app_name: Some(target.name.clone()),
        app_publisher: Some(target.publisher.clone()),
        country_code: environment.country_code,
        environment_id: environment.id,
        tenant_id: environment.tenant_id,
        family: environment.family.clone(),
        environment_name: environment.name.clone(),
        environment_kind: environment.kind,
        source_version: Some(installed),
        target_version: Some(target.version),
        status: OperationStatus::Scheduled,
        ignore_window: wanted.ignore_window,
        run_after: wanted.run_after,
        created_on: wanted.now,
        created_by: wanted.by.clone(),
        started_on: None,
        completed_on: None,
        ended_on: None,
        error_message: None,
        reason: None,
        lease_id: None,
        lease_until: None,
        package_sha256: Some(target.sha256),
        package_size: Some(target.size),
        agent_id: None,
        agent_name: None,
        progress_percent: None,
        progress_step: None,
        progress_text: None,
        progress_on: None,
        failure_cause: None,
        downloads: None,
        created_by_object_id: wanted.by_object_id,
        created_by_kind: wanted.by_kind,
        created_by_name: wanted.by_name.map(str::to_owned),
        canceled_by: None,
        canceled_by_name: None,
        parent_id: None,
        allow_preview: false,
        allow_dependencies: false,
        allow_dependents: false,
        delete_data: false,
        accept_eula: false,
        language_id: None,
        asked_run_after: None,
        postponed_on: None,
        postponed_by: None,
        postpone_reason: None,
        rollout_id: wanted.rollout_id,
    }
}

/// The environment, and when work may start there, if this operation makes it earlier.
async fn becomes_due(
    tx: &mut Tx<'_>,
    environment: &Environment,
    operation: &Operation,
    now: Instant,
) -> Result<Option<(Uuid, Option<Instant>)>> {
    let is_busy = environment.is_held() || hotfixes::running_in(tx, environment.id).await?.is_some();
    if is_busy {
        return Ok(None);
    }
    let starts = execution::next_start(environment, operation.run_after, operation.ignore_window, now)?;
    let is_earlier = environment.due_on.is_none_or(|due| starts < due);
    Ok(is_earlier.then_some((environment.id, Some(starts))))
}

fn scheduled(operation: &Operation, command: &ScheduleHotfix, forecast: Option<&str>) -> Change<'static> {
    Change {
        action: WRITE.as_str(),
        target: address(operation),
        before: None,
        after: Some(json!({
            "status": operation.status.as_str(),
            "environmentAadTenantId": operation.tenant_id.to_string(),
            "environmentApplicationFamily": operation.family,
            "environmentName": operation.environment_name,
            "sourceAppVersion": operation.source_version.map(|version| version.to_string()),
            "targetAppVersion": operation.target_version.map(|version| version.to_string()),
            "runAfter": operation.run_after.to_string(),
            "ignoreUpgradeWindow": operation.ignore_window,
            "despiteForecast": command.despite_forecast,
            "forecast": forecast,
        })),
    }
}

/// What the same request, sent before under the same key, made.
async fn answered_before(tx: &mut Tx<'_>, input: &Schedule) -> Result<Option<Operation>> {
    let before = repeat::recall(tx, &input.principal, input.repeatable.as_ref(), input.now).await?;
    let Some(id) = before.and_then(|before| before.operation_id) else {
        return Ok(None);
    };
    let operation = hotfixes::lock_operation(tx, id).await?;
    operation
        .map(Some)
        .ok_or_else(|| Error::fault("an idempotency key points to no operation"))
}

struct Update {
    principal: Principal,
    app: AppId,
    country: CountryCode,
    id: OperationId,
    patch: HotfixPatch,
    now: Instant,
}

/// Cancels a hotfix that has not begun: the one change that there is.
pub(crate) async fn update_hotfix(
    service: &Arc<Service>,
    principal: &Principal,
    app: AppId,
    country: CountryCode,
    id: OperationId,
    patch: HotfixPatch,
) -> Result<Operation> {
    let input = Update {
        principal: principal.clone(),
        app,
        country,
        id,
        patch,
        now: service.clock.now(),
    };
    service
        .see_through(async move |service| {
            let canceled = service
                .db
                .write(input, |tx, input| Box::pin(update_in(tx, input)))
                .await;
            service.emitted.notify_here();
            canceled
        })
        .await
}

async fn update_in(mut tx: Tx<'_>, input: &Update) -> Result<Operation> {
    let allowed =
        access::require_in_country(&mut tx, &input.principal, input.app, input.country, WRITE).await?;
    let allowed = allowed.in_country(input.app, input.country)?;
    let found = hotfixes::lock_operation(&mut tx, input.id)
        .await?
        .filter(|operation| {
            operation.app_id == input.app
                && operation.country_code == input.country
                && operation.kind == OperationKind::Hotfix
        });
    let operation = found.ok_or_else(|| hotfix_missing(input.app, input.country, input.id))?;
    allowed.within(|grant| grant.check_hotfix(operation.environment_kind))?;
    input
        .patch
        .check_read_only(&wire_rows::hotfix(operation.clone())?)?;
    check_requested_status(input.patch.status)?;
    if check_cancel(operation.status)? == CancelOutcome::AlreadyCanceled {
        return Ok(operation);
    }
    if !hotfixes::cancel_operation(&mut tx, operation.id, input.now).await? {
        return Err(Error::fault("an operation changed while its row was locked"));
    }
    let change = Change {
        action: "environmentHotfixes/cancel",
        target: address(&operation),
        before: Some(json!({ "status": operation.status.as_str() })),
        after: Some(json!({ "status": "Canceled" })),
    };
    let by = Actor::Principal(&input.principal);
    audit::record(&mut tx, by, input.now, change).await?;
    let canceled = Operation {
        status: OperationStatus::Canceled,
        ended_on: Some(input.now),
        ..operation
    };
    events::emit(&mut tx, by, input.now, [&canceled]).await?;
    Ok(canceled)
}
