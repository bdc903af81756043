//! The environments that a rollout selects, each with what the rules of hotfixes say of it: read once, country by country and
//! there in the order of their keys, for a plan, for creating a rollout, and for whoever wants to see the rows.
//!
//! Nothing is asked about a single environment. What the rules look at comes with its row; what is the same for many of them,
//! such as what a version declares and when a window next opens, is found out once.

use super::super::{Principal, Service, access, apps, forecasts, freezes, versions::key, waits};
use crate::error::{Error, Result};
use domain::{
    access::{Permission, Resource},
    catalogue::{DependantConstraint, Installed, StandardPart, app_of_part},
    country::CountryCode,
    environment::EnvironmentKey,
    hotfix::{self, Facts, Reason},
    ids::AppId,
    instant::Instant,
    signer::SignerRule,
    version::{AppVersion, VersionStatus},
    waiting::{Circumstances, Wait, WaitingFor},
    window::UpdateWindow,
};
use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};
use store::{
    StoreError, countries,
    entity_sets::SELECTED_ENVIRONMENTS,
    freezes::{AppFreeze, app_freezes_after},
    list::{ListRequest, Page, Scope},
    principals,
    selections::{self, KnownVersion, SelectedEnvironment},
    versions::{self, Version},
};
use uuid::Uuid;

const READ: Permission = Permission::read(Resource::Environments);

/// Which environments, and which version they are to go to.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) target: AppVersion,
    /// The countries; none: all of the app's.
    pub(crate) countries: Option<Vec<CountryCode>>,
    /// A `$filter` over environments.
    pub(crate) filter: Option<String>,
    /// Environments that are left out.
    pub(crate) except: Vec<EnvironmentKey>,
    /// When the hotfixes are to start at the earliest.
    pub(crate) run_after: Option<Instant>,
    /// Whether they do not wait for update windows.
    pub(crate) ignores_window: bool,
}

/// What the rules say of an environment, and so what becomes of it when its wave begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verdict {
    /// A hotfix can be scheduled.
    Eligible,
    /// The target is there, or something newer.
    AlreadyThere,
    /// It can be once something else has ended.
    Blocked,
    /// It cannot.
    Refused,
}

impl Verdict {
    pub(crate) const ALL: [Self; 4] = [Self::Eligible, Self::AlreadyThere, Self::Blocked, Self::Refused];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Eligible => "Eligible",
            Self::AlreadyThere => "AlreadyThere",
            Self::Blocked => "Blocked",
            Self::Refused => "Refused",
        }
    }
}

/// An environment with what the rules say of it.
#[derive(Clone, Debug)]
pub(crate) struct Judged {
    pub(crate) environment: SelectedEnvironment,
    pub(crate) verdict: Verdict,
    /// The stable code of the reason; the verdict's own word where there is none.
    pub(crate) code: &'static str,
    /// The reason with its facts, where there is one.
    pub(crate) message: Option<String>,
    /// When its hotfix would start.
    pub(crate) wait: Wait,
}

impl Judged {
    pub(crate) fn key(&self) -> EnvironmentKey {
        let installation = &self.environment.installation;
        EnvironmentKey::new(installation.tenant_id, &installation.family, &installation.name)
    }
}

/// All that the rules look at besides the environments themselves.
pub(crate) struct Selection {
    service: Arc<Service>,
    principal: Principal,
    app: AppId,
    asked: Asked,
    request: ListRequest,
    except: HashSet<EnvironmentKey>,
    signer_rule: SignerRule,
    visible: HashSet<AppId>,
    at_work: HashSet<Uuid>,
    is_frozen: bool,
    /// When nothing of the app starts, as its owners say.
    app_freezes: Vec<AppFreeze>,
    countries: Vec<Target>,
    /// When windows next open for them; nobody knows of one that is damaged.
    openings: HashMap<[String; 3], Option<Instant>>,
    pub(crate) now: Instant,
}

/// What the rules look at in a country.
pub(crate) struct Target {
    pub(crate) country: CountryCode,
    /// The version to go to; none where it was not uploaded for the country.
    pub(crate) version: Option<Version>,
    known: HashMap<AppVersion, KnownVersion>,
    /// What is forecast to be refused, by the version installed.
    forecasts: HashMap<AppVersion, Arc<str>>,
    /// What cannot live with the app from some version on.
    constraints: HashMap<(AppId, AppVersion), DependantConstraint>,
    /// The apps around of which the rules look at the installed version.
    beside: Vec<AppId>,
}

impl Selection {
    /// Gathers what is the same for all environments, and refuses what cannot be understood.
    pub(crate) async fn gather(
        service: &Arc<Service>,
        principal: &Principal,
        app: AppId,
        asked: Asked,
    ) -> Result<Self> {
        let request = ListRequest::filtered(&SELECTED_ENVIRONMENTS, asked.filter.as_deref())?;
        let now = service.clock.now();
        let signer_rule = apps::get_app(service, principal, app).await?.signer_rule;
        let frozen = freezes::why_nothing_is_scheduled(service, principal, app).await?;
        let mut selection = Self {
            service: Arc::clone(service),
            principal: principal.clone(),
            app,
            request,
            except: asked.except.iter().cloned().collect(),
            asked,
            signer_rule,
            visible: principals::apps_of(&service.db, principal.reference).await?,
            at_work: waits::agents_at_work(service, now).await?,
            is_frozen: frozen.is_some(),
            app_freezes: app_freezes_after(&service.db, app, now).await?,
            countries: Vec::new(),
            openings: HashMap::new(),
            now,
        };
        for country in selection.selected_countries().await? {
            let target = selection.target_in(country).await?;
            selection.countries.push(target);
        }
        Ok(selection)
    }

    pub(super) fn app(&self) -> AppId {
        self.app
    }

    async fn selected_countries(&self) -> Result<Vec<CountryCode>> {
        let known = countries::countries_of(&self.service.db, self.app).await?;
        let Some(named) = &self.asked.countries else {
            return Ok(known);
        };
        let mut named = named.clone();
        named.sort_unstable();
        named.dedup();
        match named.iter().find(|country| !known.contains(country)) {
            Some(missing) => Err(access::country_missing(self.app, *missing)
                .about("select.countries")
                .into()),
            None => Ok(named),
        }
    }

    async fn target_in(&self, country: CountryCode) -> Result<Target> {
        let db = &self.service.db;
        let found = versions::version(db, &key(self.app, country, self.asked.target)).await?;
        let version = found.filter(|version| version.status == VersionStatus::Uploaded);
        let known = selections::known_versions(db, self.app, country).await?;
        let forecasts = match &version {
            Some(version) => forecasts::schema_breaks(&self.service, &known, version).await?,
            None => HashMap::new(),
        };
        let mut constraints = HashMap::new();
        for dependant in selections::dependants_of(db, self.app, country).await? {
            let about = dependant.dependencies.iter().find(|one| one.app_id == self.app);
            if let Some(incompatible_from) = about.and_then(|about| about.incompatible_from) {
                let constraint = DependantConstraint {
                    app_id: dependant.app_id,
                    name: dependant.name,
                    incompatible_from,
                };
                constraints.insert((dependant.app_id, dependant.version), constraint);
            }
        }
        let needed = version.iter().flat_map(|version| &version.dependencies);
        let parts = [StandardPart::Application, StandardPart::Platform].map(app_of_part);
        let beside = needed
            .map(|needed| needed.app_id)
            .chain(parts)
            .chain(constraints.keys().map(|(app, _)| *app));
        let beside: BTreeSet<AppId> = beside.filter(|app| *app != self.app).collect();
        Ok(Target {
            country,
            version,
            known: known.into_iter().map(|known| (known.version, known)).collect(),
            forecasts,
            constraints,
            beside: beside.into_iter().collect(),
        })
    }

    /// The countries, in order, with the target in each.
    pub(crate) fn targets(&self) -> &[Target] {
        &self.countries
    }

    /// The environments of a country, in the order of their keys.
    pub(crate) async fn read(&self, target: &Target) -> Result<Page<SelectedEnvironment, Error>> {
        let scope = Scope::in_country(self.principal.reference, self.app, target.country);
        access::admit(
            &self.service,
            &self.principal,
            self.app,
            Some(target.country),
            READ,
        )
        .await?;
        let request = self.request.clone();
        let db = &self.service.db;
        let page = selections::select_environments(db, scope, request, &target.beside, self.now).await?;
        Ok(page.err_into())
    }

    /// What the rules say of environments of a country; those that are left out are.
    pub(crate) fn judge_all(
        &mut self,
        country: usize,
        environments: Vec<SelectedEnvironment>,
    ) -> Result<Vec<Judged>, StoreError> {
        let mut judged = Vec::with_capacity(environments.len());
        for environment in environments {
            if !self.is_left_out(&environment) {
                judged.push(self.judge(country, environment)?);
            }
        }
        Ok(judged)
    }

    fn is_left_out(&self, environment: &SelectedEnvironment) -> bool {
        if self.except.is_empty() {
            return false;
        }
        let installation = &environment.installation;
        let key = EnvironmentKey::new(installation.tenant_id, &installation.family, &installation.name);
        self.except.contains(&key)
    }

    fn judge(&mut self, country: usize, environment: SelectedEnvironment) -> Result<Judged, StoreError> {
        let target = self.countries.get(country);
        let target = target.ok_or_else(|| StoreError::broken("a country that was not selected"))?;
        let (verdict, code, message) = self.verdict(target, &environment);
        Ok(Judged {
            wait: match verdict {
                Verdict::Eligible => self.wait(&environment),
                _ => Wait::default(),
            },
            environment,
            verdict,
            code,
            message,
        })
    }

    fn verdict(
        &self,
        target: &Target,
        environment: &SelectedEnvironment,
    ) -> (Verdict, &'static str, Option<String>) {
        let (installation, condition) = (&environment.installation, &environment.condition);
        if installation.version >= self.asked.target {
            return (Verdict::AlreadyThere, Verdict::AlreadyThere.as_str(), None);
        }
        let Some(version) = &target.version else {
            let message = format!(
                "Version {} was not uploaded for {}.",
                self.asked.target, target.country
            );
            return (Verdict::Refused, "TargetMissing", Some(message));
        };
        if let Some(since) = condition.missing_since {
            let message = format!(
                "Environment '{}' has not been found since {since}.",
                installation.name
            );
            return (Verdict::Blocked, "EnvironmentMissing", Some(message));
        }
        let findings =
            hotfix::reasons(&self.facts(target, version, environment, &Around::of(target, environment)));
        let lasting = findings
            .iter()
            .position(|finding| finding.reason != Reason::AlreadyScheduled);
        match (lasting, findings.into_iter().nth(lasting.unwrap_or(0))) {
            (Some(_), Some(finding)) => (Verdict::Refused, finding.reason.code(), Some(finding.message)),
            (None, Some(finding)) => (Verdict::Blocked, finding.reason.code(), Some(finding.message)),
            _ => match condition.held_since.or(condition.disputed_since) {
                Some(since) => {
                    let message = format!(
                        "Nothing starts in environment '{}' since {since}.",
                        installation.name
                    );
                    (Verdict::Blocked, "EnvironmentHeld", Some(message))
                }
                None => (Verdict::Eligible, Verdict::Eligible.as_str(), None),
            },
        }
    }

    fn facts<'a>(
        &'a self,
        target: &'a Target,
        version: &'a Version,
        environment: &'a SelectedEnvironment,
        around: &'a Around,
    ) -> Facts<'a> {
        let (installation, condition) = (&environment.installation, &environment.condition);
        let known = target.known.get(&installation.version);
        Facts {
            environment_name: &installation.name,
            environment_kind: installation.kind,
            installed: installation.version,
            installed_availability: known.map(|known| known.availability),
            installed_dependencies: known.map(|known| known.dependencies.as_slice()),
            target: version.version,
            target_availability: version.availability,
            dependencies: &version.dependencies,
            target_application: version.application,
            target_platform: version.platform,
            target_runtime: version.runtime,
            target_signer: version.signer.as_ref(),
            signer_rule: &self.signer_rule,
            allow_preview_in_sandbox: self.service.settings.hotfixes.preview_in_sandbox,
            occupied_by: environment.occupied_by,
            inventory: &around.inventory,
            inventory_complete: condition.inventory_complete,
            application_version: condition.application_version,
            platform_version: condition.platform_version,
            dependants: &around.dependants,
            visible: Some(&self.visible),
            schema_break: target
                .forecasts
                .get(&installation.version)
                .map(|refused| &**refused),
        }
    }

    fn wait(&mut self, environment: &SelectedEnvironment) -> Wait {
        let condition = &environment.condition;
        let place = (
            environment.installation.country_code,
            environment.installation.kind,
        );
        let frozen_spans = waits::spans_in(&self.app_freezes, self.app, place);
        let asked = self.asked.run_after.unwrap_or(self.now);
        let opening = match self.asked.ignores_window {
            true => Some(asked),
            false => self.next_opening(&condition.window, asked.max(self.now)),
        };
        // When it opens is known; when it opens behind a freeze is asked where there is one.
        let behind_freezes = !frozen_spans.is_empty() && !self.asked.ignores_window;
        let window = behind_freezes.then(|| read_window(&condition.window)).flatten();
        let circumstances = Circumstances {
            run_after: opening.unwrap_or(asked),
            window: window.as_ref(),
            // Nothing starts where nobody knows when it may.
            is_held: opening.is_none(),
            is_frozen: self.is_frozen,
            frozen_spans: &frozen_spans,
            has_agent: condition
                .agent_id
                .is_some_and(|agent| self.at_work.contains(&agent)),
            is_occupied: environment.is_running,
        };
        let wait = circumstances.wait(self.now);
        match wait.waiting_for {
            Some(WaitingFor::RunAfter) if asked <= self.now => Wait {
                waiting_for: Some(WaitingFor::Window),
                ..wait
            },
            _ => wait,
        }
    }

    fn next_opening(&mut self, window: &[String; 3], from: Instant) -> Option<Instant> {
        if let Some(known) = self.openings.get(window) {
            return *known;
        }
        let opening = read_window(window).map(|window| window.next_start(from));
        self.openings.insert(window.clone(), opening);
        opening
    }
}

/// A window as it is kept; nothing of one that is damaged.
fn read_window([start, end, zone]: &[String; 3]) -> Option<UpdateWindow> {
    UpdateWindow::new(start, end, zone).ok()
}

/// The apps around that the rules look at, as an environment has them.
struct Around {
    inventory: Vec<Installed>,
    dependants: Vec<DependantConstraint>,
}

impl Around {
    fn of(target: &Target, environment: &SelectedEnvironment) -> Self {
        let beside = target.beside.iter().zip(&environment.beside);
        let installed = beside.filter_map(|(app_id, version)| {
            version.map(|version| Installed {
                app_id: *app_id,
                version,
            })
        });
        let inventory: Vec<_> = installed.collect();
        let dependants = match target.constraints.is_empty() {
            true => Vec::new(),
            false => inventory
                .iter()
                .filter_map(|one| target.constraints.get(&(one.app_id, one.version)).cloned())
                .collect(),
        };
        Self {
            inventory,
            dependants,
        }
    }
}
