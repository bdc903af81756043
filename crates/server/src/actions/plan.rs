//! Explaining before running: the rules of scheduling, asked for every environment without changing anything.

use super::{
    Principal, Service,
    execution::window_of,
    facts::InstallationFacts,
    freezes,
    listing::{self, ListScope},
    versions::version_missing,
};
use crate::error::{Error, Result};
use domain::{
    access::{Permission, Resource},
    country::CountryCode,
    hotfix,
    ids::AppId,
    instant::Instant,
    signer::SignerRule,
    version::{AppVersion, VersionStatus},
};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};
use store::{
    environments::{self, Environment, Installation, InstalledApp, Occupation},
    list::{ListRequest, Page},
    principals,
    versions::{self, Version},
};
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
    frozen: Option<PlanReason>,
    now: Instant,
}

/// Explains the environments that a list would bring. They come in batches, and each batch is explained when it is asked
/// for. Between batches nothing of the database is held.
pub(crate) async fn plan_hotfixes(
    service: &Arc<Service>,
    principal: &Principal,
    app: AppId,
    country: CountryCode,
    target: AppVersion,
    request: ListRequest,
) -> Result<Page<PlanRow, Error>> {
    let scope = ListScope::OfApp {
        principal,
        app,
        country: Some(country),
        permission: Permission::read(Resource::Environments),
    };
    let request = ListRequest {
        in_portions: true,
        ..request
    };
    let page = listing::list(service, scope, &listing::PLANNED_ENVIRONMENTS, request).await?;
    let key = super::versions::key(app, country, target);
    let found = versions::find_version(&service.db, principal.reference, &key).await?;
    let target = found.filter(|version| version.status == VersionStatus::Uploaded);
    let frozen = freezes::why_nothing_is_scheduled(service, principal, app).await?;
    let registered = super::apps::get_app(service, principal, app).await?;
    let plan = Arc::new(Plan {
        service: Arc::clone(service),
        app,
        target: target.ok_or_else(|| version_missing(&key))?,
        signer_rule: registered.signer_rule,
        visible: principals::apps_of(&service.db, principal.reference).await?,
        frozen: frozen.map(|message| PlanReason {
            code: "Frozen".into(),
            message,
        }),
        now: service.clock.now(),
    });
    Ok(page.and_then(move |batch| {
        let plan = Arc::clone(&plan);
        async move { plan.explain(batch).await }
    }))
}

impl Plan {
    async fn explain(&self, batch: Vec<Installation>) -> Result<Vec<PlanRow>> {
        let ids: Vec<Uuid> = batch.iter().map(|row| row.environment_id).collect();
        let mut batch_facts = BatchFacts::load(&self.service, &ids).await?;
        batch
            .into_iter()
            .filter_map(|row| self.row(row, &mut batch_facts).transpose())
            .collect()
    }

    /// One environment; `None` when it went away, or was not found any more by its agent.
    fn row(&self, row: Installation, batch_facts: &mut BatchFacts) -> Result<Option<PlanRow>> {
        let id = row.environment_id;
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
        let facts = gathered.facts(target, holder, preview, Some(&self.visible));
        let rules = hotfix::reasons(&facts).into_iter().map(PlanReason::from);
        let reasons: Vec<_> = self.frozen.iter().cloned().chain(rules).collect();
        let is_free = !environment.is_held() && !occupations.iter().any(|one| one.is_running);
        let window = window_of(&environment)?;
        let starts_at = (reasons.is_empty() && is_free).then(|| window.next_start(self.now));
        Ok(Some(PlanRow {
            aad_tenant_id: row.tenant_id,
            application_family: row.family,
            name: row.name,
            kind: row.kind,
            installed_version: gathered.installed(),
            eligible: reasons.is_empty(),
            reasons,
            starts_at,
        }))
    }
}

/// What a batch of environments is judged by.
struct BatchFacts {
    environments: HashMap<Uuid, Environment>,
    installed: HashMap<Uuid, Vec<InstalledApp>>,
    occupations: HashMap<Uuid, Vec<Occupation>>,
}

impl BatchFacts {
    async fn load(service: &Service, ids: &[Uuid]) -> Result<Self> {
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
