//! Which version each app has to go to, so that all of them go together.
//!
//! The app asked for is decided first. Whatever a chosen version needs and does not find, or would break, has to change too
//! and is decided in its turn, newest version first. So only what has to change ever does, and a plan is found if there is one.
//! Where nothing is left to choose for an app, the search goes back, not to the last choice, but to the last one that has
//! to do with it: each app remembers whose choices stood in its way.

use super::{Catalogue, Environment, Offer};
use crate::{
    catalogue::{
        DependantConstraint, DependencyState, EnvironmentApps, StandardPart, app_of_part,
        needed_before_install, standard_part,
    },
    environment::EnvironmentKind,
    hotfix::{Finding, Reason},
    ids::AppId,
    rules::{self, Place},
    version::{AppVersion, Availability, Dependency},
};
use std::{
    collections::{BTreeSet, HashMap},
    rc::Rc,
};

/// A version that an app is to go to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Choice<'a> {
    pub(super) offer: &'a Offer,
    /// Why it has to change; none for the app asked for.
    pub(super) cause: Option<Cause<'a>>,
}

/// Why an app has to change: what was chosen for another.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cause<'a> {
    /// That needs another version of it.
    Needed {
        by: &'a Offer,
        dependency: &'a Dependency,
    },
    /// The installed version was marked incompatible with that, from this version on.
    Broken { by: &'a Offer, from: AppVersion },
}

impl Choice<'_> {
    /// The rule that would be broken if the app did not change; none for the app asked for.
    pub(super) fn reason(&self, is_installed: bool) -> Option<Reason> {
        self.cause.map(|cause| match cause {
            Cause::Broken { .. } => Reason::DependantIncompatible,
            Cause::Needed { .. } if is_installed => Reason::DependencyTooOld,
            Cause::Needed { .. } => Reason::DependencyMissing,
        })
    }

    pub(super) fn because(&self) -> String {
        match self.cause {
            None => "It was asked for.".to_owned(),
            Some(Cause::Needed { by, dependency }) => {
                let below = dependency.incompatible_from;
                let below = below.map_or_else(String::new, |from| format!(", below {from}"));
                format!(
                    "Version {} of '{}' ({}) needs '{}' in version {} or later{below}.",
                    by.version, by.name, by.app_id, dependency.name, dependency.min_version
                )
            }
            Some(Cause::Broken { by, from }) => format!(
                "The installed version of '{}' is marked incompatible with '{}' ({}) from version {from} on, which goes \
                 to {}.",
                self.offer.name, by.name, by.app_id, by.version
            ),
        }
    }
}

/// Why there is no plan.
#[derive(Clone, Debug)]
pub(super) enum Impasse {
    /// There is none. This is the first thing that could not be had.
    Never(Finding),
    /// The limit was reached.
    TooMany,
}

/// What searches in one environment have in common.
pub(super) struct Search<'a> {
    environment: &'a Environment,
    catalogue: &'a Catalogue,
    /// Whether apps for which an operation waits or runs are left alone.
    heeds_slots: bool,
    /// What installed apps cannot live with, by the app that it is about.
    constraints: HashMap<AppId, Vec<DependantConstraint>>,
    needed_before_install: Vec<Dependency>,
    candidates: HashMap<AppId, Rc<[&'a Offer]>>,
}

impl<'a> Search<'a> {
    pub(super) fn new(environment: &'a Environment, catalogue: &'a Catalogue, heeds_slots: bool) -> Self {
        let mut constraints: HashMap<AppId, Vec<DependantConstraint>> = HashMap::new();
        for (&app_id, app) in &environment.apps {
            for dependency in app.dependencies.iter().flatten() {
                if let Some(incompatible_from) = dependency.incompatible_from {
                    let name = app.name.clone();
                    constraints
                        .entry(dependency.app_id)
                        .or_default()
                        .push(DependantConstraint {
                            app_id,
                            name,
                            incompatible_from,
                        });
                }
            }
        }
        Self {
            environment,
            catalogue,
            heeds_slots,
            constraints,
            needed_before_install: needed_before_install(),
            candidates: HashMap::new(),
        }
    }

    fn place(&self) -> Place<'a> {
        self.environment.place()
    }

    fn installed(&self, app: AppId) -> Option<AppVersion> {
        self.environment.apps.get(&app).map(|app| app.version)
    }

    /// The apps whose installed versions cannot live with a version.
    pub(super) fn broken_by(&self, offer: &Offer) -> impl Iterator<Item = AppId> {
        let constraints = self.constraints_on(offer.app_id).iter();
        let broken = constraints.filter(move |constraint| !constraint.accepts(offer.version));
        broken.map(|constraint| constraint.app_id)
    }

    fn constraints_on(&self, app: AppId) -> &[DependantConstraint] {
        self.constraints.get(&app).map_or(&[], Vec::as_slice)
    }

    /// Whether what is installed now meets a dependency.
    pub(super) fn fits_now(&self, dependency: &Dependency) -> bool {
        self.installed(dependency.app_id)
            .is_some_and(|version| dependency.accepts(version))
    }

    /// What stands against a version by itself, whatever becomes of other apps.
    pub(super) fn against(&self, offer: &Offer, allow_preview: bool) -> Option<Finding> {
        let (place, target) = (self.place(), offer.target());
        let listed = |part| self.installed(app_of_part(part));
        self.not_offered(offer, allow_preview)
            .or_else(|| rules::signer(target, self.catalogue.signer_rule(offer.app_id)))
            .or_else(|| self.no_successor(offer))
            .or_else(|| {
                let part = StandardPart::Application;
                rules::part(place, target, part, listed(part))
            })
            .or_else(|| {
                let part = StandardPart::Platform;
                rules::part(place, target, part, listed(part))
            })
            .or_else(|| rules::runtime(place, target))
    }

    fn not_offered(&self, offer: &Offer, allow_preview: bool) -> Option<Finding> {
        let reason = rules::availability(self.place(), offer.target(), allow_preview)?;
        let (version, name) = (offer.version, &self.environment.name);
        let message = match (reason, self.environment.kind) {
            (Reason::TargetDeprecated, _) => {
                format!("Version {version} is Deprecated: it is not offered any more.")
            }
            (_, EnvironmentKind::Sandbox) => format!(
                "Version {version} is in Preview. Environment '{name}' is a sandbox, and gets it only where the request \
                 says so (allowPreviewVersion)."
            ),
            (_, EnvironmentKind::Production) => format!(
                "Version {version} is in Preview, which is never offered to a production environment such as '{name}'."
            ),
        };
        Some(Finding::new(reason, message))
    }

    fn no_successor(&self, offer: &Offer) -> Option<Finding> {
        let installed = self.environment.apps.get(&offer.app_id)?;
        if let Some(finding) = rules::newer(self.place(), installed.version, offer.version) {
            return Some(finding);
        }
        rules::is_preview(installed.availability).then(|| {
            let message = format!(
                "Version {}, which is installed in environment '{}', is in Preview, and is not updated. Either uninstall it, \
                 or ask its publisher to make it Available.",
                installed.version, self.environment.name
            );
            Finding::new(Reason::InstalledIsPreview, message)
        })
    }

    /// The versions that an app may go to without anybody asking for one of them, the newest first.
    pub(super) fn candidates(&mut self, app: AppId) -> Rc<[&'a Offer]> {
        if let Some(known) = self.candidates.get(&app) {
            return Rc::clone(known);
        }
        let found: Rc<[&'a Offer]> = match self.is_left_alone(app) {
            true => Rc::from([]),
            false => self
                .available(app)
                .filter(|offer| self.against(offer, false).is_none())
                .collect(),
        };
        self.candidates.insert(app, Rc::clone(&found));
        found
    }

    fn available(&self, app: AppId) -> impl Iterator<Item = &'a Offer> + use<'a> {
        let offers = self.catalogue.offers(app).iter();
        offers.filter(|offer| offer.availability == Availability::Available)
    }

    fn is_left_alone(&self, app: AppId) -> bool {
        standard_part(app).is_some() || self.heeds_slots && self.environment.occupied.contains_key(&app)
    }

    /// How the environment as it is meets what a version needs.
    fn state_of(&self, offer: &Offer, dependency: &Dependency) -> DependencyState {
        let declared_before = match self.environment.apps.get(&offer.app_id) {
            Some(app) => app.dependencies.as_deref(),
            None => Some(self.needed_before_install.as_slice()),
        };
        let apps = EnvironmentApps {
            inventory: &[],
            inventory_complete: self.environment.inventory_complete,
            application_version: self.environment.application_version,
            platform_version: self.environment.platform_version,
            declared_before,
        };
        apps.state_with(dependency, self.installed(dependency.app_id))
    }

    /// The versions to go to, that of `app` among `candidates`; the first ones in the order of preference. What is looked at
    /// is taken from `left`.
    pub(super) fn solve(
        &mut self,
        app: AppId,
        candidates: Rc<[&'a Offer]>,
        left: &mut u64,
    ) -> Result<Vec<Choice<'a>>, Impasse> {
        let mut attempt = Attempt {
            search: self,
            variables: vec![Variable::new(app, None, candidates)],
            index_of: HashMap::from([(app, 0)]),
            demands: HashMap::new(),
            first_impasse: None,
            left,
        };
        attempt.run()?;
        let chosen = |variable: &Variable<'a>| {
            Some(Choice {
                offer: variable.chosen?,
                cause: variable.cause.map(|(_, cause)| cause),
            })
        };
        Ok(attempt.variables.iter().filter_map(chosen).collect())
    }
}

/// An app that has to change.
struct Variable<'a> {
    app: AppId,
    /// Why, and whose choice brought that about.
    cause: Option<(usize, Cause<'a>)>,
    candidates: Rc<[&'a Offer]>,
    /// How many of them were tried.
    tried: usize,
    /// The apps whose choices stand against what was tried, and against not changing at all.
    blamed: BTreeSet<usize>,
    /// Why one of the candidates can never be, with what is installed.
    rejected: Option<Finding>,
    chosen: Option<&'a Offer>,
    /// How many apps had to change before it was chosen.
    before: usize,
}

impl<'a> Variable<'a> {
    fn new(app: AppId, cause: Option<(usize, Cause<'a>)>, candidates: Rc<[&'a Offer]>) -> Self {
        Self {
            app,
            cause,
            candidates,
            tried: 0,
            blamed: cause.iter().map(|&(index, _)| index).collect(),
            rejected: None,
            chosen: None,
            before: 0,
        }
    }

    fn begin_again(&mut self) {
        self.tried = 0;
        self.blamed = self.cause.iter().map(|&(index, _)| index).collect();
        self.rejected = None;
    }
}

/// What comes of trying a candidate.
enum Verdict<'a> {
    /// It goes together with what was chosen before it; these have to change for it.
    Fits(Vec<(AppId, Cause<'a>)>),
    /// It does not go together with the choice for this app.
    Blames(usize),
    /// It does not go together with what is installed.
    Never(Option<Finding>),
}

/// One search under way. Apps before some index have been decided, those from it on wait for their turn.
struct Attempt<'s, 'a> {
    search: &'s mut Search<'a>,
    variables: Vec<Variable<'a>>,
    index_of: HashMap<AppId, usize>,
    /// What chosen versions need of an app, and whose versions they are.
    demands: HashMap<AppId, Vec<(usize, &'a Dependency)>>,
    first_impasse: Option<Finding>,
    left: &'s mut u64,
}

#[expect(
    clippy::indexing_slicing,
    reason = "all indices are those of variables that are there"
)]
impl<'a> Attempt<'_, 'a> {
    fn run(&mut self) -> Result<(), Impasse> {
        let mut at = 0;
        while at < self.variables.len() {
            if self.choose(at)? {
                at += 1;
                continue;
            }
            if self.first_impasse.is_none() {
                self.first_impasse = Some(self.explain(at));
            }
            let Some(back) = self.go_back(at) else {
                let explained = self.first_impasse.take();
                return Err(Impasse::Never(explained.unwrap_or_else(|| self.explain(0))));
            };
            at = back;
        }
        Ok(())
    }

    fn spend(&mut self, looked_at: usize) -> Result<(), Impasse> {
        let looked_at = u64::try_from(looked_at).unwrap_or(u64::MAX);
        let left = self.left.checked_sub(looked_at);
        *self.left = left.unwrap_or_default();
        left.map(drop).ok_or(Impasse::TooMany)
    }

    /// Chooses the next candidate that goes together with what was chosen before; whether there was one.
    fn choose(&mut self, at: usize) -> Result<bool, Impasse> {
        while let Some(&offer) = self.variables[at].candidates.get(self.variables[at].tried) {
            self.variables[at].tried += 1;
            match self.verdict(offer)? {
                Verdict::Fits(touched) => {
                    self.take(at, offer, touched);
                    return Ok(true);
                }
                Verdict::Blames(index) => {
                    self.variables[at].blamed.insert(index);
                }
                Verdict::Never(finding) => {
                    let rejected = &mut self.variables[at].rejected;
                    *rejected = rejected.take().or(finding);
                }
            }
        }
        Ok(false)
    }

    fn verdict(&mut self, offer: &'a Offer) -> Result<Verdict<'a>, Impasse> {
        let app = offer.app_id;
        let demands = self.demands.get(&app).map_or(0, Vec::len);
        let constraints = self.search.constraints_on(app).len();
        self.spend(1 + demands + offer.dependencies.len() + constraints)?;
        let mut demands = self.demands.get(&app).into_iter().flatten();
        if let Some(&(owner, _)) = demands.find(|(_, demand)| !demand.accepts(offer.version)) {
            return Ok(Verdict::Blames(owner));
        }
        let mut touched = Vec::new();
        for dependency in &offer.dependencies {
            if dependency.app_id == app {
                if !dependency.accepts(offer.version) {
                    return Ok(Verdict::Never(None));
                }
                continue;
            }
            if let Some(&other) = self.index_of.get(&dependency.app_id) {
                let chosen = self.variables[other].chosen;
                if chosen.is_some_and(|chosen| !dependency.accepts(chosen.version)) {
                    return Ok(Verdict::Blames(other));
                }
                continue;
            }
            if self.search.installed(dependency.app_id).is_none() {
                let before = self.search.environment.apps.get(&app);
                let declared = before.and_then(|app| app.dependencies.as_ref());
                self.spend(declared.map_or(0, Vec::len))?;
            }
            match self.search.state_of(offer, dependency) {
                DependencyState::Met => {}
                state @ DependencyState::Incompatible(_) => {
                    return Ok(Verdict::Never(self.finding_about(offer, dependency, state)));
                }
                _ => touched.push((
                    dependency.app_id,
                    Cause::Needed {
                        by: offer,
                        dependency,
                    },
                )),
            }
        }
        for constraint in self.search.constraints_on(app) {
            let from = constraint.incompatible_from;
            if !constraint.accepts(offer.version) && !self.index_of.contains_key(&constraint.app_id) {
                touched.push((constraint.app_id, Cause::Broken { by: offer, from }));
            }
        }
        Ok(Verdict::Fits(touched))
    }

    fn take(&mut self, at: usize, offer: &'a Offer, touched: Vec<(AppId, Cause<'a>)>) {
        self.variables[at].chosen = Some(offer);
        self.variables[at].before = self.variables.len();
        for dependency in &offer.dependencies {
            let demands = self.demands.entry(dependency.app_id).or_default();
            demands.push((at, dependency));
        }
        for (app, cause) in touched {
            if !self.index_of.contains_key(&app) {
                let candidates = self.search.candidates(app);
                self.index_of.insert(app, self.variables.len());
                self.variables
                    .push(Variable::new(app, Some((at, cause)), candidates));
            }
        }
    }

    fn undo(&mut self, index: usize) {
        let Some(offer) = self.variables[index].chosen.take() else {
            return;
        };
        for dependency in &offer.dependencies {
            self.demands.get_mut(&dependency.app_id).and_then(Vec::pop);
        }
        for touched in self.variables.drain(self.variables[index].before..) {
            self.index_of.remove(&touched.app);
        }
    }

    /// Takes back what was chosen since the last choice that has to do with the app at `at`, and that one too; none if
    /// there is no such choice.
    fn go_back(&mut self, at: usize) -> Option<usize> {
        let mut blamed = std::mem::take(&mut self.variables[at].blamed);
        let back = blamed.pop_last()?;
        for index in (back..at).rev() {
            self.undo(index);
        }
        for later in &mut self.variables[back + 1..] {
            later.begin_again();
        }
        self.variables[back].blamed.append(&mut blamed);
        Some(back)
    }

    /// What cannot be had, and why.
    fn explain(&self, at: usize) -> Finding {
        let variable = &self.variables[at];
        let found = match variable.cause {
            None => variable.rejected.clone(),
            Some((_, Cause::Needed { by, dependency })) => {
                let state = self.search.state_of(by, dependency);
                self.finding_about(by, dependency, state)
            }
            Some((_, Cause::Broken { by, from })) => {
                let installed = self.search.environment.apps.get(&variable.app);
                let dependant = DependantConstraint {
                    app_id: variable.app,
                    name: installed.map_or_else(String::new, |app| app.name.clone()),
                    incompatible_from: from,
                };
                rules::dependant(self.search.place(), by.version, &dependant, true)
                    .map(|finding| self.in_a_chain(by, finding))
            }
        };
        match (found, variable.cause) {
            (Some(found), None) => found,
            (Some(found), Some(_)) => Finding {
                message: format!("{} {}", found.message, self.why_not(variable)),
                ..found
            },
            (None, _) => Finding::new(
                Reason::DependencyMissing,
                format!("App {}: {}", variable.app, self.why_not(variable)),
            ),
        }
    }

    fn finding_about(&self, by: &Offer, dependency: &Dependency, state: DependencyState) -> Option<Finding> {
        let target = (by.version, self.search.installed(by.app_id));
        let finding = rules::dependency(self.search.place(), target, dependency, state, true)?;
        Some(self.in_a_chain(by, finding))
    }

    /// Says which app it is about, if it is not the one asked for.
    fn in_a_chain(&self, by: &Offer, finding: Finding) -> Finding {
        if self.variables[0].app == by.app_id {
            return finding;
        }
        let message = format!(
            "This takes '{}' by {} ({}) in version {}. {}",
            by.name, by.publisher, by.app_id, by.version, finding.message
        );
        Finding { message, ..finding }
    }

    fn why_not(&self, variable: &Variable<'_>) -> String {
        let app = variable.app;
        let country = self.search.environment.country;
        if standard_part(app).is_some() {
            return "It is a part of the environment itself, and is updated with it.".to_owned();
        }
        if let Some(operation) = self.search.environment.occupied.get(&app)
            && self.search.heeds_slots
        {
            return format!(
                "Operation {operation} waits or runs for it: wait until it is over, or cancel it."
            );
        }
        let Some(newest) = self.search.available(app).next() else {
            return format!("No version of it is offered in {country}.");
        };
        if let Some(finding) = self.search.against(newest, false) {
            return format!(
                "Its newest version that is offered in {country} does not do. {}",
                finding.message
            );
        }
        match &variable.rejected {
            Some(finding) => finding.message.clone(),
            None => format!(
                "None of its versions that are offered in {country}, up to {}, goes together with the rest.",
                newest.version
            ),
        }
    }
}
