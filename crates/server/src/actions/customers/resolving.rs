//! What the resolver asks about an environment, gathered in a few statements: what is installed, what is being changed, and
//! the versions of everything that may have to change too, one statement for each step from app to app.

use crate::error::Result;
use domain::{
    catalogue::standard_part,
    environment::family_shown,
    ids::AppId,
    problem::RuleError,
    resolution::{self, App, Catalogue, Offer},
    version::AppVersion,
};
use std::collections::{BTreeSet, HashMap, HashSet};
use store::{
    Reader, apps,
    environments::{self, Environment, InstalledApp},
    versions::{self, OfferedVersion},
};

/// How many versions are read for one question.
const MOST_VERSIONS: usize = 50_000;

/// What a question is about.
#[derive(Clone, Copy, Debug)]
pub(super) enum Question {
    /// One app, of which those versions too are read that nobody is offered.
    App(AppId),
    /// Updates of all that is installed.
    Updates,
}

/// An environment with what is offered to it.
pub(super) struct Gathered {
    pub(super) environment: resolution::Environment,
    pub(super) catalogue: Catalogue,
    /// Hash and size of the versions' packages.
    pub(super) packages: HashMap<(AppId, AppVersion), ([u8; 32], u64)>,
}

/// What is installed in an environment and being changed there.
pub(super) async fn environment(
    reader: &mut Reader<'_, '_>,
    environment: &Environment,
) -> Result<resolution::Environment> {
    let installed = environments::installed_apps(&mut *reader, environment.id).await?;
    let occupied = environments::occupied_in(reader, environment.id).await?;
    Ok(resolution::Environment {
        family: family_shown(&environment.family).to_owned(),
        name: environment.name.clone(),
        country: environment.country_code,
        kind: environment.kind,
        application_version: environment.application_version,
        platform_version: environment.platform_version,
        apps: installed
            .into_iter()
            .map(|app| (app.app_id, known(app)))
            .collect(),
        inventory_complete: environment.inventory_complete,
        occupied: occupied.into_iter().collect(),
    })
}

fn known(app: InstalledApp) -> App {
    App {
        version: app.version,
        name: app.name.unwrap_or_else(|| app.app_id.to_string()),
        publisher: app.publisher.unwrap_or_default(),
        availability: app.availability,
        dependencies: app.dependencies,
        can_be_uninstalled: app.can_be_uninstalled,
    }
}

/// The same with what is offered.
pub(super) async fn gather(
    reader: &mut Reader<'_, '_>,
    row: &Environment,
    question: Question,
) -> Result<Gathered> {
    let environment = environment(reader, row).await?;
    let (mut open, asked) = match question {
        Question::App(app) => (BTreeSet::from([app]), Some(app)),
        Question::Updates => (environment.apps.keys().copied().collect(), None),
    };
    let constrained = constrained(&environment);
    let mut seen = HashSet::new();
    let mut offers = Vec::new();
    let mut packages = HashMap::new();
    while !open.is_empty() {
        open.retain(|&app| standard_part(app).is_none() && seen.insert(app));
        let step = std::mem::take(&mut open);
        open.extend(step.iter().filter_map(|app| constrained.get(app)).flatten());
        for version in versions::offered(reader, row.country_code, step, asked).await? {
            let installed = environment.apps.get(&version.app_id);
            if installed.is_none_or(|installed| version.version > installed.version) {
                open.extend(version.dependencies.iter().map(|needed| needed.app_id));
            }
            packages.insert((version.app_id, version.version), (version.sha256, version.size));
            offers.push(offer(version));
        }
        if offers.len() > MOST_VERSIONS {
            return Err(too_many(&environment, question).into());
        }
    }
    let signer_rules = apps::signer_rules(reader).await?;
    Ok(Gathered {
        environment,
        catalogue: offers
            .into_iter()
            .collect::<Catalogue>()
            .with_signer_rules(signer_rules),
        packages,
    })
}

/// The installed apps that newer versions of an app may break, and that have to change then.
fn constrained(environment: &resolution::Environment) -> HashMap<AppId, Vec<AppId>> {
    let mut constrained: HashMap<AppId, Vec<AppId>> = HashMap::new();
    for (&id, app) in &environment.apps {
        let declared = app.dependencies.iter().flatten();
        for dependency in declared.filter(|dependency| dependency.incompatible_from.is_some()) {
            constrained.entry(dependency.app_id).or_default().push(id);
        }
    }
    constrained
}

fn offer(version: OfferedVersion) -> Offer {
    Offer {
        app_id: version.app_id,
        version: version.version,
        name: version.name,
        publisher: version.publisher,
        availability: version.availability,
        dependencies: version.dependencies,
        application: version.application,
        platform: version.platform,
        runtime: version.runtime,
        signer: version.signer,
    }
}

fn too_many(environment: &resolution::Environment, question: Question) -> RuleError {
    let message = format!(
        "More than {MOST_VERSIONS} versions would have to be looked at. Update or install some of the apps needed first."
    );
    let target = match question {
        Question::App(app) => environment.address(app),
        Question::Updates => format!("{}/{}/apps", environment.family, environment.name),
    };
    RuleError::broken("TooManyCombinations", message).about(target)
}
