//! Explaining before running: the rules of scheduling, asked for every environment without changing anything.

use super::{
    Principal, Service, access,
    execution::window_of,
    facts::InstallationFacts,
    forecasts, freezes,
    listing::{self, ListScope},
    versions::version_missing,
    waits,
};
use crate::error::{Error, Result};
use domain::{
    access::{Permission, Resource},
    chain::Chain,
    country::CountryCode,
    hotfix::{self, Facts},
    ids::AppId,
    instant::Instant,
    signer::SignerRule,
    version::{AppVersion, VersionStatus},
    waiting::{Circumstances, WaitingFor},
};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};
use store::{
    StoreError,
    environments::{
        self, Environment, Installation, InstalledApp, Objection, Occupation, Outlook, PlannedInstallation,
    },
    freezes::{AppFreeze, app_freezes_after},
    list::{Completion, ListRequest, Page},
    principals,
    versions::{self, Version},
};
use tokio::sync::Mutex;
use uuid::Uuid;
use wire::hotfixes::{PlanReason, PlanRow};

/// What the environments of a plan are explained by.
struct Plan {
    service: Arc<Service>,
    app: AppId,
    target: Version,
    signer_rule: SignerRule,
    /// The apps of which the caller may know what is installed.
    visible: HashSet<AppId>,
    /// What the operator has stopped, which speaks against all of them.
    frozen: Option<Objection>,
    /// When nothing of the app starts, as its owners say.
    app_freezes: Vec<AppFreeze>,
    /// The agents that are there and work.
    at_work: HashSet<Uuid>,
    start: AskedStart,
    /// What of the target is forecast to be refused, by the version installed, as far as that was asked.
    forecasts: Mutex<HashMap<AppVersion, Option<Arc<str>>>>,
    now: Instant,
}

/// When the hotfixes of a plan are to start.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct AskedStart {
    /// No earlier than this.
    pub(crate) run_after: Option<Instant>,
    /// Whether they do not wait for update windows.
    pub(crate) ignores_window: bool,
}

/// A plan's rows, and what all of them would wait for.
pub(crate) struct Planned {
    pub(crate) rows: Page<PlanRow, Error>,
    pub(crate) waiting_for: Option<WaitingFor>,
}

/// Explains the environments that a list would bring. They come in batches, and each batch is explained when it is asked
/// for, or before, if what is found out decides whether and where it comes. Between batches nothing of the database is held.
pub(crate) async fn plan_hotfixes(
    service: &Arc<Service>,
    principal: &Principal,
    app: AppId,
    country: CountryCode,
    (target, start): (AppVersion, AskedStart),
    request: ListRequest,
) -> Result<Planned> {
    let permission = Permission::read(Resource::Environments);
    access::admit(service, principal, app, Some(country), permission).await?;
    let scope = ListScope::OfApp {
        principal,
        app,
        country: Some(country),
        permission,
    };
    let request = ListRequest {
        in_portions: true,
        ..request
    };
    let key = super::versions::key(app, country, target);
    let found = versions::find_version(&service.db, principal.reference, &key).await?;
    let Some(target) = found.filter(|version| version.status == VersionStatus::Uploaded) else {
        access::explain_nothing(service, principal, app, Some(country), permission).await?;
        return Err(version_missing(&key).into());
    };
    let frozen = freezes::why_nothing_is_scheduled(service, principal, app).await?;
    let now = service.clock.now();
    let at_work = waits::agents_at_work(service, now).await?;
    let waiting_for = at_work.is_empty().then_some(WaitingFor::Agent);
    let plan = Arc::new(Plan {
        service: Arc::clone(service),
        app,
        target,
        signer_rule: super::apps::get_app(service, principal, app).await?.signer_rule,
        visible: principals::apps_of(&service.db, principal.reference).await?,
        frozen: frozen.map(|message| Objection {
            code: "Frozen".into(),
            message,
        }),
        app_freezes: app_freezes_after(&service.db, app, now).await?,
        at_work,
        start,
        forecasts: Mutex::default(),
        now,
    });
    let planned = &listing::PLANNED_ENVIRONMENTS;
    let completion = request
        .looks_at(planned, &listing::FOUND_OUT)
        .then(|| completion(&plan));
    let page = listing::list_completed(service, scope, planned, request, completion).await?;
    let rows = page.and_then(move |batch| {
        let plan = Arc::clone(&plan);
        async move { Ok(plan.rows(batch).await?) }
    });
    Ok(Planned { rows, waiting_for })
}

fn completion(plan: &Arc<Plan>) -> Completion<PlannedInstallation> {
    let plan = Arc::clone(plan);
    Arc::new(move |batch| {
        let plan = Arc::clone(&plan);
        Box::pin(async move { Ok(plan.explain(batch).await?) })
    })
}

impl Plan {
    /// The rows as they are shown.
    async fn rows(&self, batch: Vec<PlannedInstallation>) -> Result<Vec<PlanRow>, StoreError> {
        let explained = self.explain(batch).await?;
        let shown = |row: PlannedInstallation| Some(shown(row.installation, row.outlook?));
        Ok(explained.into_iter().filter_map(shown).collect())
    }

    /// The rows, each with what a hotfix would come to. Those are left out whose environment went away, or was not found any
    /// more by its agent.
    async fn explain(&self, batch: Vec<PlannedInstallation>) -> Result<Vec<PlannedInstallation>, StoreError> {
        if batch.iter().all(|row| row.outlook.is_some()) {
            return Ok(batch);
        }
        let ids: Vec<Uuid> = batch.iter().map(|row| row.installation.environment_id).collect();
        let mut batch_facts = BatchFacts::load(&self.service, &ids).await?;
        let refused = self.forecast(&batch_facts).await?;
        let mut explained = Vec::with_capacity(batch.len());
        for row in batch {
            if let Some(outlook) =
                self.outlook(row.installation.environment_id, &mut batch_facts, &refused)?
            {
                let outlook = Some(outlook);
                explained.push(PlannedInstallation { outlook, ..row });
            }
        }
        Ok(explained)
    }

    /// What is forecast to be refused where one of the versions is installed that a batch has. Each is asked for once.
    async fn forecast(
        &self,
        batch_facts: &BatchFacts,
    ) -> Result<HashMap<AppVersion, Option<Arc<str>>>, StoreError> {
        let mut known = self.forecasts.lock().await;
        let installed = batch_facts.installed.values().flatten();
        for app in installed.filter(|app| app.app_id == self.app) {
            if known.len() < forecasts::MAX_FORECASTS && !known.contains_key(&app.version) {
                let refused = forecasts::schema_break(&self.service, app.version, &self.target).await?;
                known.insert(app.version, refused);
            }
        }
        Ok(known.clone())
    }

    fn outlook(
        &self,
        id: Uuid,
        batch_facts: &mut BatchFacts,
        refused: &HashMap<AppVersion, Option<Arc<str>>>,
    ) -> Result<Option<Outlook>, StoreError> {
        let found = batch_facts.environments.remove(&id);
        let Some(environment) = found.filter(|found| found.missing_since.is_none()) else {
            return Ok(None);
        };
        let apps = batch_facts.installed.remove(&id).unwrap_or_default();
        let occupations = batch_facts.occupations.remove(&id).unwrap_or_default();
        let Some(gathered) = InstallationFacts::new(&environment, &apps, self.app) else {
            return Ok(None);
        };
        let holder = occupations
            .iter()
            .find(|occupation| occupation.app_id == self.app);
        let preview = self.service.settings.hotfixes.preview_in_sandbox;
        let holder = holder.map(|holder| holder.operation);
        let target = (&self.target, &self.signer_rule);
        let facts = Facts {
            schema_break: refused.get(&gathered.installed()).and_then(Option::as_deref),
            ..gathered.facts(target, holder, preview, Some(&self.visible))
        };
        let rules = hotfix::reasons(&facts).into_iter().map(|finding| Objection {
            code: finding.reason.code().to_owned(),
            message: finding.message,
        });
        let mut objections: Vec<_> = self.frozen.iter().cloned().chain(rules).collect();
        let is_eligible = objections.is_empty();
        objections.extend(why_held(&environment));
        let window =
            window_of(&environment).map_err(|error| StoreError::broken(Chain(&error).to_string()))?;
        let frozen_spans = waits::spans_in(
            &self.app_freezes,
            self.app,
            (environment.country_code, environment.kind),
        );
        let circumstances = Circumstances {
            run_after: self.start.run_after.unwrap_or(self.now),
            window: (!self.start.ignores_window).then_some(window),
            is_held: environment.is_held(),
            is_frozen: self.frozen.is_some(),
            frozen_spans: &frozen_spans,
            has_agent: waits::has_agent(&environment, &self.at_work),
            is_occupied: occupations.iter().any(|one| one.is_running),
        };
        let wait = is_eligible.then(|| circumstances.wait(self.now));
        Ok(Some(Outlook {
            installed: gathered.installed(),
            is_eligible,
            objections,
            wait: wait.unwrap_or_default(),
        }))
    }
}

/// Why nothing starts in an environment that is reported, and since when.
fn why_held(environment: &Environment) -> Option<Objection> {
    let (since, why) = match (environment.held_since, environment.disputed_since) {
        (Some(since), _) => (
            since,
            "nobody knows how an operation ended there, so nothing starts until it is reported anew or the operator \
             releases it",
        ),
        (None, Some(since)) => (
            since,
            "it is reported as a sandbox and was production before, so nothing starts until the operator releases it",
        ),
        (None, None) => return None,
    };
    Some(Objection {
        code: "EnvironmentHeld".into(),
        message: format!(
            "Environment '{}' has been held since {since}: {why}.",
            environment.name
        ),
    })
}

fn shown(row: Installation, outlook: Outlook) -> PlanRow {
    let reason = |objection: Objection| PlanReason {
        code: objection.code,
        message: objection.message,
    };
    PlanRow {
        aad_tenant_id: row.tenant_id,
        application_family: row.family,
        name: row.name,
        kind: row.kind,
        installed_version: outlook.installed,
        eligible: outlook.is_eligible,
        reasons: outlook.objections.into_iter().map(reason).collect(),
        starts_at: outlook.wait.expected_start,
        waiting_for: outlook.wait.waiting_for,
    }
}

/// What a batch of environments is judged by.
struct BatchFacts {
    environments: HashMap<Uuid, Environment>,
    installed: HashMap<Uuid, Vec<InstalledApp>>,
    occupations: HashMap<Uuid, Vec<Occupation>>,
}

impl BatchFacts {
    async fn load(service: &Service, ids: &[Uuid]) -> Result<Self, StoreError> {
        let found = environments::environments_by_ids(&service.db, ids).await?;
        let environments = found
            .into_iter()
            .map(|environment| (environment.id, environment))
            .collect();
        let mut installed: HashMap<Uuid, Vec<InstalledApp>> = HashMap::new();
        for row in environments::installed_in(&service.db, ids).await? {
            installed.entry(row.environment).or_default().push(row.app);
        }
        let mut occupations: HashMap<Uuid, Vec<Occupation>> = HashMap::new();
        for row in environments::occupations_of(&service.db, ids).await? {
            occupations.entry(row.environment).or_default().push(row);
        }
        Ok(Self {
            environments,
            installed,
            occupations,
        })
    }
}
