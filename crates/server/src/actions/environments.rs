//! Customers' environments: vendors see where their app is installed; operators say what there is.

use super::{
    Principal, Service, access,
    agents::binding::server_of_unreported,
    audit::{self, Actor, Change},
    events, execution,
    preconditions::Preconditions,
    repeat,
};
use crate::{
    error::{Error, Result},
    wire_rows,
};
use domain::{
    access::{Permission, Resource},
    country::CountryCode,
    environment::{EnvironmentKey, EnvironmentKind, family_key},
    ids::{AppId, Etag, OperationId, TenantId},
    instant::Instant,
    operation::Skip,
    problem::{Code, RuleError},
    version::AppVersion,
    window::UpdateWindow,
};
use serde_json::{Value, json};
use std::{collections::HashMap, sync::Arc};
use store::{
    Tx, agents,
    environments::{
        self, Environment, EnvironmentEntry, Installation, InstallationEntry, InstalledApp, installation_rows,
    },
    execution::end_operations,
    hotfixes,
};
use uuid::Uuid;
use wire::{lenient::Object, operator::EnvironmentPatch};

const READ: Permission = Permission::read(Resource::Environments);

/// How the audit calls that an environment is removed.
pub(super) const DELETE: &str = "environments/delete";

/// After how many seconds it is worth looking whether an operation has ended: most take minutes.
const ENDS_SOON: u32 = 30;

/// Which environment is meant: a name, and more where a name is not enough.
#[derive(Clone, Debug)]
pub(crate) struct EnvironmentAddress {
    pub(crate) name: String,
    pub(crate) tenant_id: Option<TenantId>,
    pub(crate) family: Option<String>,
}

/// One environment that has the app installed.
pub(crate) async fn get_environment(
    service: &Service,
    principal: &Principal,
    app: AppId,
    country: CountryCode,
    address: &EnvironmentAddress,
) -> Result<InstallationEntry> {
    access::admit(service, principal, app, Some(country), READ).await?;
    let found =
        environments::find_installations(&service.db, principal.reference, app, country, &address.name)
            .await?;
    let mut fitting: Vec<_> = found
        .into_iter()
        .filter(|environment| address.fits(&environment.installation))
        .collect();
    match fitting.len() {
        0 => {
            access::explain_nothing(service, principal, app, Some(country), READ).await?;
            Err(environment_missing(&address.name, country).into())
        }
        1 => Ok(fitting.remove(0)),
        _ => Err(ambiguous(&address.name, &fitting).into()),
    }
}

impl EnvironmentAddress {
    fn fits(&self, environment: &Installation) -> bool {
        let tenant_fits = self
            .tenant_id
            .is_none_or(|tenant| tenant == environment.tenant_id);
        let family = self.family.as_deref().map(family_key);
        tenant_fits && family.is_none_or(|family| family == family_key(&environment.family))
    }
}

fn environment_missing(name: &str, country: CountryCode) -> RuleError {
    let message =
        format!("There is no environment '{name}' in country {country} that has the app installed.");
    RuleError::new(Code::EnvironmentNotFound, message).about(format!("environments/{name}"))
}

/// What is told of an environment that is not there, or has the app not installed: the same, to whoever asks for the app.
pub(super) fn not_installed(app: AppId, key: &EnvironmentKey) -> RuleError {
    let (tenant, family, name) = (key.tenant_id, &key.family_key, &key.name_key);
    let message = format!(
        "There is no environment '{name}' of tenant {tenant} in the family '{family}' that has the app installed."
    );
    let target = format!("apps/{app}/environments/{tenant}/{family}/{name}");
    RuleError::new(Code::EnvironmentNotFound, message).about(target)
}

fn ambiguous(name: &str, fitting: &[InstallationEntry]) -> RuleError {
    let several: Vec<_> = fitting
        .iter()
        .map(
            |InstallationEntry {
                 installation: one, ..
             }| format!("{} / {}", one.tenant_id, one.family),
        )
        .collect();
    let message = format!(
        "There are {} environments of the name '{name}': {}. Narrow it by ?aadTenantId= and ?applicationFamily=.",
        fitting.len(),
        several.join(", ")
    );
    RuleError::new(Code::AmbiguousRequest, message).about(format!("environments/{name}"))
}

/// An environment with everything installed in it, as the operator sees it. A change answers with what it made of it,
/// whatever others have made of it since.
pub(crate) type Registered = (EnvironmentEntry, Vec<InstalledApp>);

/// One environment with everything installed in it, for the operator.
pub(crate) async fn get_registered_environment(
    service: &Service,
    key: &EnvironmentKey,
) -> Result<Registered> {
    let found = environments::find_environment(&service.db, key).await?;
    let environment = found.ok_or_else(|| not_registered(key))?;
    let apps = environments::installed_apps(&service.db, environment.id).await?;
    let agent = match environment.agent_id {
        Some(id) => agents::agent_name(&service.db, id).await?,
        None => None,
    };
    Ok((EnvironmentEntry { environment, agent }, apps))
}

/// Environments with what is installed in them, if that is wanted.
pub(crate) async fn with_apps(
    service: &Service,
    entries: Vec<EnvironmentEntry>,
    wanted: bool,
) -> Result<Vec<Registered>> {
    let mut apps: HashMap<Uuid, Vec<InstalledApp>> = HashMap::new();
    if wanted {
        let ids: Vec<Uuid> = entries.iter().map(|entry| entry.environment.id).collect();
        for installed in environments::installed_in(&service.db, &ids).await? {
            apps.entry(installed.environment).or_default().push(installed.app);
        }
    }
    let with_own = |entry: EnvironmentEntry| {
        let mut own = apps.remove(&entry.environment.id).unwrap_or_default();
        own.sort_by_key(|app| app.app_id);
        (entry, own)
    };
    Ok(entries.into_iter().map(with_own).collect())
}

/// What an operator or an agent says about an environment.
#[derive(Clone, Debug)]
pub(crate) struct EnvironmentReport {
    pub(crate) family: String,
    pub(crate) name: String,
    pub(crate) country: CountryCode,
    pub(crate) kind: EnvironmentKind,
    pub(crate) location_name: String,
    pub(crate) web_client_url: Option<String>,
    pub(crate) web_service_url: Option<String>,
    pub(crate) application_version: Option<AppVersion>,
    pub(crate) platform_version: Option<AppVersion>,
    /// What was known of it, or the default of the country, if nothing is said.
    pub(crate) window: Option<UpdateWindow>,
    pub(crate) inventory_complete: bool,
    pub(crate) apps: Vec<InstalledApp>,
}

/// An environment with everything installed in it.
pub(super) type Known = (Environment, Vec<InstalledApp>);

/// What is known of an environment from now on, and what was before, if it is not new.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) before: Option<Known>,
    pub(super) after: Known,
}

struct PutEnvironment {
    principal: Principal,
    key: EnvironmentKey,
    report: EnvironmentReport,
    given: Object,
    preconditions: Preconditions,
    now: Instant,
}

/// Adds an environment, or replaces what is known of it; whether it is new.
///
/// A full report is newer than any loss before it, so it lets a held environment work again.
pub(crate) async fn put_environment(
    service: &Arc<Service>,
    principal: &Principal,
    key: EnvironmentKey,
    report: EnvironmentReport,
    given: Object,
    preconditions: Preconditions,
) -> Result<(Registered, bool)> {
    let input = PutEnvironment {
        principal: principal.clone(),
        key,
        report,
        given,
        preconditions,
        now: service.clock.now(),
    };
    service
        .see_through(async move |service| {
            let saved = service
                .db
                .write(input, |tx, input| Box::pin(put_environment_in(tx, input)))
                .await?;
            service.wakeup.notify();
            Ok(saved)
        })
        .await
}

async fn put_environment_in(mut tx: Tx<'_>, input: &PutEnvironment) -> Result<(Registered, bool)> {
    let unreported = agents::agents_of_the_unreported(&mut tx).await?;
    let existing = environments::lock_environment(&mut tx, &input.key).await?;
    if !repeat::is_first(&mut tx, &input.principal, &input.preconditions, input.now).await? {
        let environment = existing.ok_or_else(|| not_registered(&input.key))?;
        let apps = environments::installed_apps(&mut tx, environment.id).await?;
        return Ok((with_agent(&mut tx, environment, apps).await?, false));
    }
    input
        .preconditions
        .check_write(existing.as_ref().map(|environment| environment.etag))?;
    let before = match existing {
        Some(environment) => {
            let apps = environments::installed_apps(&mut tx, environment.id).await?;
            let (shown, apps) = with_agent(&mut tx, environment, apps).await?;
            wire_rows::registered_environment(shown.clone(), apps.clone())?.check_read_only(&input.given)?;
            Some((shown.environment, apps))
        }
        None => None,
    };
    let known = before.as_ref().map(|(environment, _)| environment);
    let mut environment = described(&input.report, input.key.tenant_id, known, input.now);
    let server = || server_of_unreported(&unreported, &input.key);
    environment.agent_id = environment.agent_id.or_else(server);
    let (id, is_new) = (environment.id, before.is_none());
    let written = Written {
        before,
        after: (environment, input.report.apps.clone()),
    };
    save(&mut tx, std::slice::from_ref(&written), input.now).await?;
    let by = Actor::Principal(&input.principal);
    audit::record(&mut tx, by, input.now, written.change()).await?;
    let apps = environments::installed_apps(&mut tx, id).await?;
    Ok((with_agent(&mut tx, written.after.0, apps).await?, is_new))
}

async fn with_agent(
    tx: &mut Tx<'_>,
    environment: Environment,
    apps: Vec<InstalledApp>,
) -> Result<Registered> {
    let agent = match environment.agent_id {
        Some(id) => agents::agent_name_in(tx, id).await?,
        None => None,
    };
    Ok((EnvironmentEntry { environment, agent }, apps))
}

/// An environment as a report describes it: nothing that it says is held against it.
pub(super) fn described(
    report: &EnvironmentReport,
    tenant_id: TenantId,
    existing: Option<&Environment>,
    now: Instant,
) -> Environment {
    let known = existing.map(|environment| environment.window.clone());
    let chosen_over = existing.and_then(|environment| environment.reported_window.clone());
    let (window, reported_window) = match (&report.window, known) {
        // The customer's own choice holds until something else is reported than when they made it.
        (Some(window), Some(known)) if chosen_over == Some(window_text(window)) => (known, chosen_over),
        (Some(window), _) => (Ok(window.clone()), None),
        (None, Some(known)) => (known, chosen_over),
        (None, None) => (Ok(UpdateWindow::default_in(report.country)), None),
    };
    Environment {
        id: existing.map_or_else(Uuid::now_v7, |environment| environment.id),
        tenant_id,
        family: report.family.clone(),
        name: report.name.clone(),
        country_code: report.country,
        kind: report.kind,
        location_name: report.location_name.clone(),
        application_version: report.application_version,
        platform_version: report.platform_version,
        window,
        inventory_complete: report.inventory_complete,
        inventory_on: now,
        held_since: None,
        held_by: None,
        due_on: existing.and_then(|environment| environment.due_on),
        etag: Etag::random(),
        agent_id: existing.and_then(|environment| environment.agent_id),
        missing_since: None,
        disputed_since: None,
        contested_since: existing.and_then(|environment| environment.contested_since),
        update_cadence: existing.and_then(|environment| environment.update_cadence),
        web_client_url: report
            .web_client_url
            .clone()
            .or_else(|| existing?.web_client_url.clone()),
        web_service_url: report
            .web_service_url
            .clone()
            .or_else(|| existing?.web_service_url.clone()),
        reported_window,
    }
}

/// A window in one text, by which it is told whether another is reported.
pub(crate) fn window_text(window: &UpdateWindow) -> String {
    format!(
        "{}-{} {}",
        window.start_text(),
        window.end_text(),
        window.time_zone()
    )
}

/// Writes down what is known of environments, which are locked or new, and when work may start in them.
pub(super) async fn save(tx: &mut Tx<'_>, written: &[Written], now: Instant) -> Result<()> {
    let (known, new): (Vec<_>, Vec<_>) = written.iter().partition(|one| one.before.is_some());
    let environments = |written: &[&Written]| -> Vec<_> {
        let after = written.iter().map(|one| one.after.0.clone());
        after.collect()
    };
    environments::insert_environments(tx, environments(&new)).await?;
    environments::update_environments(tx, &environments(&known)).await?;
    let before: Vec<_> = written
        .iter()
        .filter_map(|one| one.before.as_ref())
        .flat_map(|(environment, apps)| installation_rows(environment, apps))
        .collect();
    let after: Vec<_> = written
        .iter()
        .flat_map(
            |Written {
                 after: (environment, apps),
                 ..
             }| installation_rows(environment, apps),
        )
        .collect();
    environments::save_installations(tx, &before, &after).await?;
    let known: Vec<_> = known.iter().map(|one| &one.after.0).collect();
    execution::reschedule(tx, &known, now).await
}

impl Written {
    /// The audit row of it.
    pub(super) fn change(&self) -> Change<'static> {
        let (environment, apps) = &self.after;
        let before = self.before.as_ref();
        Change {
            action: "environments/write",
            target: target(&environment.key()),
            before: before.map(|(environment, apps)| state(environment, apps)),
            after: Some(state(environment, apps)),
        }
    }
}

struct ChangeEnvironment {
    principal: Principal,
    key: EnvironmentKey,
    preconditions: Preconditions,
    now: Instant,
}

impl ChangeEnvironment {
    fn new(
        service: &Service,
        principal: &Principal,
        key: EnvironmentKey,
        preconditions: Preconditions,
    ) -> Self {
        Self {
            principal: principal.clone(),
            key,
            preconditions,
            now: service.clock.now(),
        }
    }

    async fn lock(&self, tx: &mut Tx<'_>) -> Result<Environment> {
        let found = environments::lock_environment(tx, &self.key).await?;
        let environment = found.ok_or_else(|| self.preconditions.missing(not_registered(&self.key)))?;
        self.preconditions.check_write(Some(environment.etag))?;
        Ok(environment)
    }
}

struct PatchEnvironment {
    change: ChangeEnvironment,
    patch: EnvironmentPatch,
}

/// Changes some of what is known of an environment. What is installed there, and whether it is held, is another matter.
pub(crate) async fn patch_environment(
    service: &Arc<Service>,
    principal: &Principal,
    key: EnvironmentKey,
    patch: EnvironmentPatch,
    preconditions: Preconditions,
) -> Result<Registered> {
    let change = ChangeEnvironment::new(service, principal, key, preconditions);
    let input = PatchEnvironment { change, patch };
    service
        .see_through(async move |service| {
            let patched = service
                .db
                .write(input, |tx, input| Box::pin(patch_environment_in(tx, input)))
                .await?;
            service.wakeup.notify();
            Ok(patched)
        })
        .await
}

async fn patch_environment_in(mut tx: Tx<'_>, input: &PatchEnvironment) -> Result<Registered> {
    let PatchEnvironment { change, patch } = input;
    let environment = change.lock(&mut tx).await?;
    let apps = environments::installed_apps(&mut tx, environment.id).await?;
    let (shown, apps) = with_agent(&mut tx, environment, apps).await?;
    patch.check_read_only(&wire_rows::registered_environment(shown.clone(), apps.clone())?)?;
    let before = shown.environment;
    let mut after = Environment {
        etag: Etag::random(),
        ..before.clone()
    };
    if let Some(location) = &patch.location_name {
        after.location_name = location.clone().unwrap_or_default();
    }
    if let Some(version) = patch.application_version {
        after.application_version = version;
    }
    if let Some(version) = patch.platform_version {
        after.platform_version = version;
    }
    if let Some(window) = &patch.window {
        let default = || UpdateWindow::default_in(before.country_code);
        after.window = Ok(window.clone().unwrap_or_else(default));
        after.reported_window = None;
    }
    let written = Written {
        before: Some((before, apps.clone())),
        after: (after, apps.clone()),
    };
    save(&mut tx, std::slice::from_ref(&written), change.now).await?;
    let by = Actor::Principal(&change.principal);
    audit::record(&mut tx, by, change.now, written.change()).await?;
    with_agent(&mut tx, written.after.0, apps).await
}

/// Removes an environment. What waits for it is skipped. While something runs in it, it stays: removed and reported
/// again it would be another one, in which the same app could be worked on at the same time.
pub(crate) async fn delete_environment(
    service: &Service,
    principal: &Principal,
    key: EnvironmentKey,
    preconditions: Preconditions,
) -> Result<()> {
    let input = ChangeEnvironment::new(service, principal, key, preconditions);
    service
        .db
        .write(input, |tx, input| Box::pin(delete_environment_in(tx, input)))
        .await?;
    service.emitted.notify_here();
    Ok(())
}

async fn delete_environment_in(mut tx: Tx<'_>, input: &ChangeEnvironment) -> Result<()> {
    let environment = input.lock(&mut tx).await?;
    if let Some(running) = hotfixes::running_in(&mut tx, environment.id).await? {
        return Err(busy(&environment, running));
    }
    let by = Actor::Principal(&input.principal);
    remove_environment(&mut tx, by, &environment, input.now).await
}

/// Removes an environment in which nothing runs, and skips what waits there.
pub(super) async fn remove_environment(
    tx: &mut Tx<'_>,
    by: Actor<'_>,
    environment: &Environment,
    now: Instant,
) -> Result<()> {
    let before = state_in(tx, environment).await?;
    for waiting in hotfixes::lock_waiting(tx, environment.id).await? {
        let skip = Skip::environment_gone(&environment.name);
        let ending = execution::skipped(&skip, now);
        end_operations(tx, [(&waiting, &ending)]).await?;
        audit::record(tx, by, now, execution::ended(&waiting, &ending)).await?;
        events::emit(tx, by, now, [&execution::after(waiting, ending)]).await?;
    }
    environments::delete_environment(tx, environment.id).await?;
    let change = Change {
        action: DELETE,
        target: target(&environment.key()),
        before: Some(before),
        after: None,
    };
    audit::record(tx, by, now, change).await
}

/// Lets an environment work again after an unknown outcome, or after it was reported as a sandbox and was production: it is
/// one from then on.
pub(crate) async fn release_environment(
    service: &Arc<Service>,
    principal: &Principal,
    key: EnvironmentKey,
    preconditions: Preconditions,
) -> Result<Registered> {
    let input = ChangeEnvironment::new(service, principal, key, preconditions);
    service
        .see_through(async move |service| {
            let released = service
                .db
                .write(input, |tx, input| Box::pin(release_environment_in(tx, input)))
                .await?;
            service.wakeup.notify();
            Ok(released)
        })
        .await
}

async fn release_environment_in(mut tx: Tx<'_>, input: &ChangeEnvironment) -> Result<Registered> {
    let environment = input.lock(&mut tx).await?;
    let apps = environments::installed_apps(&mut tx, environment.id).await?;
    if environment.held_since.is_none() && environment.disputed_since.is_none() {
        return with_agent(&mut tx, environment, apps).await;
    }
    let kind = match environment.disputed_since {
        Some(_) => EnvironmentKind::Sandbox,
        None => environment.kind,
    };
    let released = Environment {
        kind,
        held_since: None,
        held_by: None,
        disputed_since: None,
        etag: Etag::random(),
        ..environment.clone()
    };
    let change = Change {
        action: "environments/release",
        target: target(&input.key),
        before: Some(standstill(&environment)),
        after: Some(standstill(&released)),
    };
    let written = Written {
        before: Some((environment, apps.clone())),
        after: (released.clone(), apps.clone()),
    };
    save(&mut tx, &[written], input.now).await?;
    audit::record(&mut tx, Actor::Principal(&input.principal), input.now, change).await?;
    with_agent(&mut tx, released, apps).await
}

/// Why nothing starts in an environment, as the audit shows it.
fn standstill(environment: &Environment) -> Value {
    json!({
        "heldSince": environment.held_since.map(|since| since.to_string()),
        "heldBy": environment.held_by.map(|operation| operation.to_string()),
        "disputedSince": environment.disputed_since.map(|since| since.to_string()),
        "type": environment.kind.as_str(),
    })
}

fn busy(environment: &Environment, running: OperationId) -> Error {
    let Environment { name, .. } = environment;
    let message = format!(
        "Operation {running} is running in environment '{name}'. The environment can be removed once the operation has ended."
    );
    let problem = RuleError::new(Code::EnvironmentBusy, message).about(format!("environments/{name}"));
    Error::TryLater {
        problem: problem.with("operationId", running.to_string()),
        seconds: ENDS_SOON,
    }
}

pub(super) fn not_registered(key: &EnvironmentKey) -> RuleError {
    let message = format!("There is no environment {key}.");
    RuleError::new(Code::EnvironmentNotFound, message).about(target(key))
}

/// The address of an environment, without the API version.
pub(super) fn target(key: &EnvironmentKey) -> String {
    format!("environments/{key}")
}

async fn state_in(tx: &mut Tx<'_>, environment: &Environment) -> Result<Value> {
    let apps = environments::installed_apps(tx, environment.id).await?;
    Ok(state(environment, &apps))
}

#[expect(clippy::indexing_slicing, reason = "members of an object are added")]
fn state(environment: &Environment, apps: &[InstalledApp]) -> Value {
    let apps: Vec<_> = apps
        .iter()
        .map(|app| json!({ "id": app.app_id.to_string(), "version": app.version.to_string() }))
        .collect();
    let [start, end, time_zone] = environment.window_texts();
    let mut shown = json!({
        "countryCode": environment.country_code.as_str(),
        "type": environment.kind.as_str(),
        "locationName": environment.location_name,
        "window": {
            "start": start,
            "end": end,
            "timeZone": time_zone,
        },
        "inventoryComplete": environment.inventory_complete,
        "apps": apps,
    });
    if let Some(agent) = environment.agent_id {
        shown["agentId"] = agent.to_string().into();
    }
    for (name, version) in [
        ("applicationVersion", environment.application_version),
        ("platformVersion", environment.platform_version),
    ] {
        if let Some(version) = version {
            shown[name] = version.to_string().into();
        }
    }
    for (name, since) in [
        ("heldSince", environment.held_since),
        ("missingSince", environment.missing_since),
        ("disputedSince", environment.disputed_since),
    ] {
        if let Some(since) = since {
            shown[name] = since.to_string().into();
        }
    }
    shown
}
