//! What else has to change in an environment for an app to be installed, updated or taken out, and in which order.
//!
//! What a customer asks for is carried out as a whole or not at all: a plan, or the rule that stands against it with its
//! facts. Which plan it is out of several is decided thus, so that the same question always has the same answer:
//!
//! 1. The app asked for goes to the version asked for; where none is, to the highest one that has a plan.
//! 2. Nothing else changes but what has to: an app that is there and fits stays as it is. One changes if a version that the
//!    plan has chosen needs it in another one, or if the installed version is marked incompatible with such a one.
//! 3. What changes goes to the newest version that is Available and has a plan. Where two apps cannot both have their
//!    newest one, the one that is nearer to the app asked for has it: they are decided in the order in which they are met,
//!    what a version needs in the order of its package first, then what it would break, by id.
//!
//! Versions in Preview are for the app asked for alone, in sandboxes, and where the request allows them. No app goes down,
//! none of Microsoft's own is touched (they come with the environment), and none for which an operation waits or runs.
//!
//! The search finds a plan if there is one, within [`SEARCH_LIMIT`]. A catalogue made to be hard, for in general the question is
//! as hard as any that computers are asked, comes to `TooManyCombinations`, after some tenths of a second at most.

mod order;
mod search;
#[cfg(test)]
mod tests;

use crate::{
    country::CountryCode,
    environment::EnvironmentKind,
    hotfix::{Finding, Reason},
    ids::{AppId, OperationId},
    operation::OperationKind,
    problem::{Code, Requirement, RuleError},
    rules::{self, Place, Target},
    signer::{Signer, SignerRule},
    start::can_be_uninstalled,
    version::{AppVersion, Availability, Dependency},
};
use order::{dependencies_first, dependents_first};
use search::{Choice, Impasse, Search};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap},
    rc::Rc,
};

/// How many things a search may look at, also one for the updates of all that is installed: candidates, what each of them
/// needs, and what stands against it.
pub const SEARCH_LIMIT: u64 = 1_000_000;

/// An environment as the rules ask about it.
#[derive(Clone, Debug)]
pub struct Environment {
    /// Its application family, for the targets of refusals.
    pub family: String,
    /// Its name.
    pub name: String,
    /// The country in which versions are offered to it.
    pub country: CountryCode,
    /// What it is for.
    pub kind: EnvironmentKind,
    /// The version of its application, if known.
    pub application_version: Option<AppVersion>,
    /// The version of its platform, if known.
    pub platform_version: Option<AppVersion>,
    /// What is known to be installed.
    pub apps: BTreeMap<AppId, App>,
    /// Whether that is all.
    pub inventory_complete: bool,
    /// The apps for which an operation waits or runs.
    pub occupied: HashMap<AppId, OperationId>,
}

/// An installed app.
#[derive(Clone, Debug)]
pub struct App {
    /// The version installed.
    pub version: AppVersion,
    /// Its name, as far as it is known.
    pub name: String,
    /// Its publisher, as far as it is known.
    pub publisher: String,
    /// What its publisher says of that version; `None` when the repository does not know it.
    pub availability: Option<Availability>,
    /// What that version declares it needs; `None` when the repository does not know it.
    pub dependencies: Option<Vec<Dependency>>,
    /// Whether the target lets it be uninstalled, if it said.
    pub can_be_uninstalled: Option<bool>,
}

/// A version that was uploaded for the environment's country.
#[derive(Clone, Debug)]
pub struct Offer {
    /// Whose version it is.
    pub app_id: AppId,
    /// Its number.
    pub version: AppVersion,
    /// The name that its package gives the app.
    pub name: String,
    /// The publisher that its package names.
    pub publisher: String,
    /// To whom it is offered.
    pub availability: Availability,
    /// The apps that it needs.
    pub dependencies: Vec<Dependency>,
    /// The least application version that it needs, if it says.
    pub application: Option<AppVersion>,
    /// The least platform version that it needs, if it says.
    pub platform: Option<AppVersion>,
    /// The AL runtime that it was compiled for, if it says.
    pub runtime: Option<AppVersion>,
    /// Who signed its package, as far as that is proven.
    pub signer: Option<Signer>,
}

/// All versions that matter to a question, by app, the newest first, and who must have signed them.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    offers: HashMap<AppId, Vec<Offer>>,
    signer_rules: HashMap<AppId, SignerRule>,
}

impl FromIterator<Offer> for Catalogue {
    fn from_iter<I: IntoIterator<Item = Offer>>(offers: I) -> Self {
        let mut by_app: HashMap<AppId, Vec<Offer>> = HashMap::new();
        for offer in offers {
            by_app.entry(offer.app_id).or_default().push(offer);
        }
        for offers in by_app.values_mut() {
            offers.sort_by_key(|offer| Reverse(offer.version));
        }
        Self {
            offers: by_app,
            signer_rules: HashMap::new(),
        }
    }
}

impl Catalogue {
    /// With who must have signed the versions of apps, where somebody must.
    #[must_use]
    pub fn with_signer_rules(self, signer_rules: HashMap<AppId, SignerRule>) -> Self {
        Self { signer_rules, ..self }
    }

    fn offers(&self, app: AppId) -> &[Offer] {
        self.offers.get(&app).map_or(&[], Vec::as_slice)
    }

    fn signer_rule(&self, app: AppId) -> &SignerRule {
        self.signer_rules.get(&app).unwrap_or(&SignerRule::None)
    }
}

/// What a customer asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// Bringing an app in.
    Install {
        /// The app.
        app: AppId,
        /// The version; the highest that has a plan if there is none.
        target: Option<AppVersion>,
        /// Whether that version may be in Preview.
        allow_preview: bool,
        /// Whether other apps may be installed and updated for it.
        allow_dependencies: bool,
    },
    /// Bringing an app to a newer version.
    Update {
        /// The app.
        app: AppId,
        /// The version.
        target: AppVersion,
        /// Whether that version may be in Preview.
        allow_preview: bool,
        /// Whether other apps may be installed and updated for it.
        allow_dependencies: bool,
    },
    /// Taking an app out.
    Uninstall {
        /// The app.
        app: AppId,
        /// Whether the apps that depend on it may be taken out with it.
        allow_dependents: bool,
    },
}

/// What a request allows besides what it asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allowed {
    /// That the version is in Preview.
    pub preview: bool,
    /// That other apps are installed and updated.
    pub dependencies: bool,
    /// That other apps are taken out.
    pub dependents: bool,
}

impl Request {
    /// What is done with the app.
    #[must_use]
    pub fn kind(&self) -> OperationKind {
        match self {
            Self::Install { .. } => OperationKind::Install,
            Self::Update { .. } => OperationKind::Update,
            Self::Uninstall { .. } => OperationKind::Uninstall,
        }
    }

    /// The version asked for, if one is.
    #[must_use]
    pub fn target(&self) -> Option<AppVersion> {
        match *self {
            Self::Install { target, .. } => target,
            Self::Update { target, .. } => Some(target),
            Self::Uninstall { .. } => None,
        }
    }

    /// What it allows.
    #[must_use]
    pub fn allowed(&self) -> Allowed {
        match *self {
            Self::Install {
                allow_preview: preview,
                allow_dependencies: dependencies,
                ..
            }
            | Self::Update {
                allow_preview: preview,
                allow_dependencies: dependencies,
                ..
            } => Allowed {
                preview,
                dependencies,
                dependents: false,
            },
            Self::Uninstall { allow_dependents, .. } => Allowed {
                dependents: allow_dependents,
                ..Allowed::default()
            },
        }
    }
}

/// What is to be done, all of it or nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Each change, in the order in which they are to be carried out: what an app needs comes before it, and what would
    /// break goes out of the way first where it can.
    pub steps: Vec<Step>,
}

/// One change of one app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The app.
    pub app_id: AppId,
    /// Its name.
    pub name: String,
    /// Its publisher.
    pub publisher: String,
    /// What is done with it: `Install`, `Update` or `Uninstall`.
    pub kind: OperationKind,
    /// The version that is there; none where it is installed.
    pub from: Option<AppVersion>,
    /// The version that will be; none where it is uninstalled.
    pub to: Option<AppVersion>,
    /// Whether it is what was asked for, and not done for its sake.
    pub is_asked: bool,
    /// Why it is done.
    pub because: String,
}

impl Step {
    fn requirement(&self) -> Requirement {
        Requirement {
            app_id: self.app_id,
            name: self.name.clone(),
            publisher: self.publisher.clone(),
            version: self.to.or(self.from).unwrap_or_default(),
            kind: self.kind,
        }
    }
}

/// A newer version that an installed app may go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    /// The app.
    pub app_id: AppId,
    /// Its name.
    pub name: String,
    /// Its publisher.
    pub publisher: String,
    /// The highest version that has a plan.
    pub version: AppVersion,
    /// What else has to change for it, in that order.
    pub requirements: Vec<Requirement>,
}

/// The updates of all that is installed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Updates {
    /// By app id.
    pub available: Vec<Update>,
    /// The apps of which it could not be found out within the limit of the search.
    pub undecided: Vec<AppId>,
}

/// All that has to be done for a request, in order.
///
/// # Errors
/// The first rule that stands against it, with its reason in the details:
///
/// * `TargetNotFound`: the version, or the app, is not in the catalogue.
/// * `AlreadyInstalled`; `ResourceDoesNotExist` where the app is to be updated or taken out and is not there.
/// * `AppCannotBeUninstalled`: it, or an app that depends on it, is part of the environment.
/// * [`Reason::AlreadyScheduled`], with the operation in the extension `operationId`.
/// * [`Reason::DependencyMissing`], [`Reason::DependencyTooOld`], [`Reason::DependantIncompatible`] or `DependentsInstalled`
///   for each of the requirements that the request does not allow; all of them, transitively, are in `requirements`.
/// * [`Reason`] for what stands against the version itself, and for what cannot be had of other apps.
/// * `TooManyCombinations` beyond [`SEARCH_LIMIT`].
pub fn plan(environment: &Environment, catalogue: &Catalogue, request: &Request) -> Result<Plan, RuleError> {
    match *request {
        Request::Install {
            app,
            target,
            allow_preview,
            allow_dependencies,
        } => Change {
            environment,
            catalogue,
            app,
            target,
            allow_preview,
            allow_dependencies,
            is_install: true,
        }
        .plan(),
        Request::Update {
            app,
            target,
            allow_preview,
            allow_dependencies,
        } => Change {
            environment,
            catalogue,
            app,
            target: Some(target),
            allow_preview,
            allow_dependencies,
            is_install: false,
        }
        .plan(),
        Request::Uninstall {
            app,
            allow_dependents,
        } => uninstall(environment, app, allow_dependents),
    }
}

/// The highest version that each installed app may go to, with what else has to change for it. Versions in Preview are not
/// among them. What waits or runs does not count: it is asked again when somebody wants the update.
#[must_use]
pub fn available_updates(environment: &Environment, catalogue: &Catalogue) -> Updates {
    let mut search = Search::new(environment, catalogue, false);
    let mut updates = Updates::default();
    let mut left = SEARCH_LIMIT;
    let mut open: Vec<AppId> = environment.apps.keys().copied().collect();
    // Each has an equal share of what is left, so that one app made to be hard does not keep the others from an answer; and
    // those that were not decided have what the others did not need.
    loop {
        let count = open.len();
        for (index, app) in std::mem::take(&mut open).into_iter().enumerate() {
            let others = u64::try_from(count - index).unwrap_or(u64::MAX);
            let share = left.checked_div(others).unwrap_or_default();
            left -= share;
            let mut unspent = share;
            let candidates = search.candidates(app);
            match search.solve(app, candidates, &mut unspent) {
                Ok(choices) => updates.available.extend(update(environment, &search, &choices)),
                Err(Impasse::TooMany) => open.push(app),
                Err(Impasse::Never(_)) => {}
            }
            left += unspent;
        }
        if open.len() == count || open.is_empty() {
            break;
        }
    }
    updates.available.sort_by_key(|update| update.app_id);
    updates.undecided = open;
    updates
}

fn update(environment: &Environment, search: &Search<'_>, choices: &[Choice<'_>]) -> Option<Update> {
    let steps = steps(environment, &in_order(search, choices));
    let (asked, needed): (Vec<_>, Vec<_>) = steps.into_iter().partition(|step| step.is_asked);
    let asked = asked.into_iter().next()?;
    Some(Update {
        app_id: asked.app_id,
        version: asked.to?,
        name: asked.name,
        publisher: asked.publisher,
        requirements: needed.iter().map(Step::requirement).collect(),
    })
}

/// All installed apps that depend on an app, directly or not, in the order in which they would be taken out: none before
/// those that depend on it. What an installed version needs is known of those that the repository knows.
#[must_use]
pub fn uninstall_requirements(environment: &Environment, app: AppId) -> Vec<Requirement> {
    let steps = uninstall_steps(environment, app);
    let others = steps.iter().filter(|step| !step.is_asked);
    others.map(Step::requirement).collect()
}

/// An install or an update, with all that decides about it.
struct Change<'a> {
    environment: &'a Environment,
    catalogue: &'a Catalogue,
    app: AppId,
    target: Option<AppVersion>,
    allow_preview: bool,
    allow_dependencies: bool,
    is_install: bool,
}

impl<'a> Change<'a> {
    fn plan(&self) -> Result<Plan, RuleError> {
        let environment = self.environment;
        let asked = self.asked()?;
        self.check_installed()?;
        if let Some(&other) = environment.occupied.get(&self.app) {
            return Err(environment.occupied_by(self.app, other));
        }
        let mut search = Search::new(environment, self.catalogue, true);
        let candidates = match asked {
            Some(offer) => Rc::from([offer]),
            None => search.candidates(self.app),
        };
        let solved = search.solve(self.app, candidates, &mut { SEARCH_LIMIT });
        let solved = solved.map(|choices| in_order(&search, &choices));
        if let Ok(choices) = &solved
            && !self.allow_dependencies
        {
            self.check_alone(choices)?;
        }
        let newest = self
            .offers()
            .find(|offer| offer.availability == Availability::Available);
        let judged = match &solved {
            Err(Impasse::Never(_)) => asked.or(newest),
            _ => asked,
        };
        if let Some(finding) = judged.and_then(|offer| search.against(offer, self.allow_preview)) {
            return Err(environment.refusal(self.app, &finding));
        }
        match solved {
            Ok(choices) => Ok(Plan {
                steps: steps(environment, &choices),
            }),
            Err(Impasse::Never(finding)) => Err(environment.refusal(self.app, &finding)),
            Err(Impasse::TooMany) => Err(self.too_many()),
        }
    }

    fn offers(&self) -> impl Iterator<Item = &'a Offer> {
        self.catalogue.offers(self.app).iter()
    }

    /// The version asked for, if one is.
    fn asked(&self) -> Result<Option<&'a Offer>, RuleError> {
        let found = match self.target {
            Some(version) => self.offers().find(|offer| offer.version == version),
            None => self
                .offers()
                .find(|offer| offer.availability == Availability::Available),
        };
        match found {
            Some(offer) => Ok(self.target.map(|_| offer)),
            None => Err(self.not_found()),
        }
    }

    /// A client of the public takes the text apart at its apostrophes: the app, the version and the country.
    fn not_found(&self) -> RuleError {
        let latest = || "latest compatible".to_owned();
        let version = self.target.map_or_else(latest, |version| version.to_string());
        let message = format!(
            "Entity validation failed: Target app version was not found. App '{}' has no version '{version}' that is \
             offered in country '{}'.",
            self.app, self.environment.country
        );
        RuleError::broken("TargetNotFound", message).about(self.environment.address(self.app))
    }

    fn check_installed(&self) -> Result<(), RuleError> {
        let there = self.environment.apps.get(&self.app);
        match there {
            Some(app) if self.is_install => {
                let message = format!(
                    "Entity validation failed: App is already installed. Environment '{}' has version {} of it.",
                    self.environment.name, app.version
                );
                Err(RuleError::broken("AlreadyInstalled", message).about(self.environment.address(self.app)))
            }
            None if !self.is_install => Err(self.environment.not_installed(self.app)),
            _ => Ok(()),
        }
    }

    /// Nothing but the app itself has to change.
    fn check_alone(&self, choices: &[Choice<'_>]) -> Result<(), RuleError> {
        let needed = choices.iter().filter_map(|choice| {
            let step = step(self.environment, choice);
            let reason = choice.reason(step.from.is_some())?;
            Some((step, reason))
        });
        let needed: Vec<_> = needed.collect();
        if needed.is_empty() {
            return Ok(());
        }
        let asked = choices.iter().find(|choice| choice.cause.is_none());
        let version = asked.map(|choice| choice.offer.version).unwrap_or_default();
        let listed: Vec<_> = needed.iter().map(|(step, _)| listed(step)).collect();
        let message = format!(
            "Version {version} of app {} requires the following apps to be installed or updated as dependencies, please \
             either allow automatic dependency installation/update or do the operation manually: {}.",
            self.app,
            listed.join(", ")
        );
        let mut error = RuleError::new(Code::EntityValidationFailed, message)
            .about(self.environment.address(self.app))
            .requiring(needed.iter().map(|(step, _)| step.requirement()));
        for (step, reason) in needed {
            error = error.because(reason.code(), step.because);
        }
        Err(error)
    }

    fn too_many(&self) -> RuleError {
        let message = format!(
            "Among the versions of the apps that app {} needs it could not be found out within {SEARCH_LIMIT} \
             comparisons which go together. Update or install some of them first, or name another version.",
            self.app
        );
        RuleError::broken("TooManyCombinations", message).about(self.environment.address(self.app))
    }
}

fn listed(step: &Step) -> String {
    let version = step.to.or(step.from).unwrap_or_default();
    format!(
        "'{}' by {} ({}) {version}",
        step.name, step.publisher, step.app_id
    )
}

/// What was chosen, in the order in which it is to be carried out.
fn in_order<'a>(search: &Search<'_>, choices: &[Choice<'a>]) -> Vec<Choice<'a>> {
    let order = dependencies_first(choices, search).into_iter();
    order.filter_map(|index| choices.get(index).copied()).collect()
}

fn steps(environment: &Environment, choices: &[Choice<'_>]) -> Vec<Step> {
    choices.iter().map(|choice| step(environment, choice)).collect()
}

fn step(environment: &Environment, choice: &Choice<'_>) -> Step {
    let from = environment.apps.get(&choice.offer.app_id).map(|app| app.version);
    Step {
        app_id: choice.offer.app_id,
        name: choice.offer.name.clone(),
        publisher: choice.offer.publisher.clone(),
        kind: match from {
            Some(_) => OperationKind::Update,
            None => OperationKind::Install,
        },
        from,
        to: Some(choice.offer.version),
        is_asked: choice.cause.is_none(),
        because: choice.because(),
    }
}

fn uninstall(environment: &Environment, app: AppId, allow_dependents: bool) -> Result<Plan, RuleError> {
    if !environment.apps.contains_key(&app) {
        return Err(environment.not_installed(app));
    }
    let steps = uninstall_steps(environment, app);
    let asked = steps.iter().filter(|step| step.is_asked);
    environment.check_uninstall(app, asked)?;
    let dependents: Vec<_> = steps.iter().filter(|step| !step.is_asked).collect();
    if !allow_dependents && !dependents.is_empty() {
        let named: Vec<_> = dependents.iter().map(|step| listed(step)).collect();
        let message = format!(
            "The following apps in environment '{}' depend on app {app}. Either allow that they are uninstalled too \
             (uninstallDependents), or uninstall them first: {}.",
            environment.name,
            named.join(", ")
        );
        let mut error = RuleError::new(Code::EntityValidationFailed, message)
            .about(environment.address(app))
            .requiring(dependents.iter().map(|step| step.requirement()));
        for step in dependents {
            error = error.because("DependentsInstalled", step.because.clone());
        }
        return Err(error);
    }
    environment.check_uninstall(app, dependents)?;
    Ok(Plan { steps })
}

fn uninstall_steps(environment: &Environment, app: AppId) -> Vec<Step> {
    let found = dependents_first(environment, app);
    let step = |(id, needs): (AppId, Option<AppId>)| {
        let installed = environment.apps.get(&id)?;
        let name_of = |id: AppId| environment.apps.get(&id).map_or("", |app| &app.name);
        Some(Step {
            app_id: id,
            name: installed.name.clone(),
            publisher: installed.publisher.clone(),
            kind: OperationKind::Uninstall,
            from: Some(installed.version),
            to: None,
            is_asked: id == app,
            because: match needs {
                None => "It was asked for.".to_owned(),
                Some(needs) => format!(
                    "Version {} of '{}' depends on '{}' ({needs}).",
                    installed.version,
                    installed.name,
                    name_of(needs)
                ),
            },
        })
    };
    found.into_iter().filter_map(step).collect()
}

impl Environment {
    /// What refusals are about: `{family}/{name}/apps/{app}`.
    #[must_use]
    pub fn address(&self, app: AppId) -> String {
        format!("{}/{}/apps/{app}", self.family, self.name)
    }

    fn place(&self) -> Place<'_> {
        Place {
            name: &self.name,
            kind: self.kind,
            application_version: self.application_version,
            platform_version: self.platform_version,
        }
    }

    fn refusal(&self, app: AppId, finding: &Finding) -> RuleError {
        RuleError::broken(finding.reason.code(), &finding.message).about(self.address(app))
    }

    fn occupied_by(&self, app: AppId, other: OperationId) -> RuleError {
        let message = rules::slot(self.place(), Some(other)).map(|finding| finding.message);
        RuleError::broken(Reason::AlreadyScheduled.code(), message.unwrap_or_default())
            .about(self.address(app))
            .with("operationId", other.to_string())
    }

    fn not_installed(&self, app: AppId) -> RuleError {
        let message = format!("App {app} is not installed in environment '{}'.", self.name);
        RuleError::missing(self.address(app), message)
    }

    /// Whether these may be taken out, of which `asked` is the one asked for.
    fn check_uninstall<'s>(
        &self,
        asked: AppId,
        steps: impl IntoIterator<Item = &'s Step>,
    ) -> Result<(), RuleError> {
        for step in steps {
            let id = step.app_id;
            let told = self.apps.get(&id).and_then(|app| app.can_be_uninstalled);
            if !can_be_uninstalled(id, told) {
                let message = format!(
                    "App {} cannot be uninstalled: it is part of environment '{}'.",
                    listed(step),
                    self.name
                );
                return Err(RuleError::broken("AppCannotBeUninstalled", message).about(self.address(asked)));
            }
            match self.occupied.get(&id) {
                Some(&other) if id == asked => return Err(self.occupied_by(asked, other)),
                Some(&other) => {
                    let message = format!(
                        "App {} would have to be uninstalled too, and operation {other} waits or runs for it in \
                         environment '{}'. Wait until it is over, or cancel it.",
                        listed(step),
                        self.name
                    );
                    let error = RuleError::broken(Reason::AlreadyScheduled.code(), message);
                    return Err(error.about(self.address(asked)));
                }
                None => {}
            }
        }
        Ok(())
    }
}

impl Offer {
    fn target(&self) -> Target<'_> {
        Target {
            version: self.version,
            availability: self.availability,
            dependencies: &self.dependencies,
            application: self.application,
            platform: self.platform,
            runtime: self.runtime,
            signer: self.signer.as_ref(),
        }
    }
}
