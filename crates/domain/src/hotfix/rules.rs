//! The rules themselves, one function each, in the order in which they are asked.
//!
//! Each one answers with the facts it looked at, because "not eligible" helps nobody.

use super::{Facts, Finding, Reason};
use crate::{
    catalogue::{DependantConstraint, DependencyState, EnvironmentApps, StandardPart, app_of_part},
    environment::EnvironmentKind,
    ids::AppId,
    version::{AppVersion, Availability, Dependency},
};

/// Every rule that is broken.
pub(super) fn broken(facts: &Facts<'_>) -> Vec<Finding> {
    let single = [
        availability(facts),
        line(facts),
        newer(facts),
        source(facts),
        slot(facts),
    ];
    let mut findings: Vec<Finding> = single.into_iter().flatten().collect();
    findings.extend(dependencies(facts));
    findings.extend(dependants(facts));
    let environment = [application(facts), platform(facts), runtime(facts)];
    findings.extend(environment.into_iter().flatten());
    findings
}

fn availability(facts: &Facts<'_>) -> Option<Finding> {
    let target = facts.target;
    match facts.target_availability {
        Availability::Available => None,
        Availability::Deprecated => {
            let message =
                format!("Version {target} is Deprecated. A hotfix needs a target that is Available.");
            Some(Finding::new(Reason::TargetDeprecated, message))
        }
        Availability::Preview => preview(facts),
    }
}

fn preview(facts: &Facts<'_>) -> Option<Finding> {
    let (target, name) = (facts.target, facts.environment_name);
    let message = match facts.environment_kind {
        EnvironmentKind::Sandbox if facts.allow_preview_in_sandbox => return None,
        EnvironmentKind::Sandbox => format!(
            "Version {target} is in Preview, and this service does not push versions in Preview to \
             sandboxes such as '{name}'. Change its availability to Available first."
        ),
        EnvironmentKind::Production => format!(
            "Version {target} is in Preview, which is never pushed to a production environment such as \
             '{name}'. Change its availability to Available first."
        ),
    };
    Some(Finding::new(Reason::TargetPreview, message))
}

fn line(facts: &Facts<'_>) -> Option<Finding> {
    let (installed, target) = (facts.installed, facts.target);
    if target.same_line(installed) {
        return None;
    }
    let message = format!(
        "Version {target} is not in the line of version {installed}, which is installed in environment \
         '{}'. A hotfix keeps the major and minor numbers: {}.{}.",
        facts.environment_name,
        installed.major(),
        installed.minor()
    );
    Some(Finding::new(Reason::LineDiffers, message))
}

fn newer(facts: &Facts<'_>) -> Option<Finding> {
    let (installed, target) = (facts.installed, facts.target);
    if target > installed {
        return None;
    }
    let message = format!(
        "Version {target} is not newer than version {installed}, which is installed in environment '{}'.",
        facts.environment_name
    );
    Some(Finding::new(Reason::NotNewer, message))
}

fn source(facts: &Facts<'_>) -> Option<Finding> {
    if facts.installed_availability != Some(Availability::Preview) {
        return None;
    }
    let message = format!(
        "Version {}, which is installed in environment '{}', is in Preview, and a hotfix cannot be \
         applied to it. Either uninstall it from the environment, or change its availability from \
         Preview to Available.",
        facts.installed, facts.environment_name
    );
    Some(Finding::new(Reason::InstalledIsPreview, message))
}

fn slot(facts: &Facts<'_>) -> Option<Finding> {
    let other = facts.occupied_by?;
    let message = format!(
        "An operation for this app has already been scheduled in environment '{}': {other}. Wait until \
         it is over, or cancel it.",
        facts.environment_name
    );
    Some(Finding::new(Reason::AlreadyScheduled, message))
}

fn dependencies(facts: &Facts<'_>) -> Vec<Finding> {
    let apps = EnvironmentApps {
        inventory: facts.inventory,
        inventory_complete: facts.inventory_complete,
        application_version: facts.application_version,
        platform_version: facts.platform_version,
        declared_before: facts.installed_dependencies,
    };
    let each = facts.dependencies.iter();
    each.filter_map(|needed| dependency(facts, needed, apps.state_of(needed)))
        .collect()
}

fn dependency(facts: &Facts<'_>, needed: &Dependency, state: DependencyState) -> Option<Finding> {
    let (target, environment) = (facts.target, facts.environment_name);
    let app = format!("'{}' by {} ({})", needed.name, needed.publisher, needed.app_id);
    let least = needed.min_version;
    let shown = |installed: AppVersion, otherwise: &str| match is_visible(facts, needed.app_id) {
        true => installed.to_string(),
        false => otherwise.to_owned(),
    };
    let (reason, message) = match state {
        DependencyState::Met => return None,
        DependencyState::Missing => (
            Reason::DependencyMissing,
            format!(
                "Version {target} needs {app} in version {least} or later, and it is not installed in \
                 environment '{environment}'."
            ),
        ),
        DependencyState::Unproven => (
            Reason::DependencyMissing,
            format!(
                "Version {target} needs {app} in version {least} or later, which the installed version \
                 {} does not. The inventory of environment '{environment}' does not list it.",
                facts.installed
            ),
        ),
        DependencyState::TooOld(installed) => (
            Reason::DependencyTooOld,
            format!(
                "Version {target} needs {app} in version {least} or later; environment '{environment}' has {}.",
                shown(installed, "an older one")
            ),
        ),
        DependencyState::Incompatible(installed) => (
            Reason::DependencyIncompatible,
            format!(
                "Version {target} is marked incompatible with {app} from version {} on; environment \
                 '{environment}' has {}.",
                needed.incompatible_from.unwrap_or_default(),
                shown(installed, "such a version")
            ),
        ),
    };
    Some(Finding::new(reason, message))
}

fn dependants(facts: &Facts<'_>) -> Vec<Finding> {
    let broken = facts
        .dependants
        .iter()
        .filter(|dependant| !dependant.accepts(facts.target));
    let finding = |dependant: &DependantConstraint| {
        if !is_visible(facts, dependant.app_id) {
            let message = format!(
                "Another app, which is installed in environment '{}', is marked incompatible with this app from a \
                 version on that the target {} is not below.",
                facts.environment_name, facts.target
            );
            return Finding::new(Reason::DependantIncompatible, message);
        }
        let message = format!(
            "App '{}' ({}), which is installed in environment '{}', is marked incompatible with this \
             app from version {} on, and the target is {}.",
            dependant.name,
            dependant.app_id,
            facts.environment_name,
            dependant.incompatible_from,
            facts.target
        );
        Finding::new(Reason::DependantIncompatible, message)
    };
    broken.map(finding).collect()
}

/// Whether messages may tell what of an app is installed.
fn is_visible(facts: &Facts<'_>, app: AppId) -> bool {
    facts.visible.is_none_or(|visible| visible.contains(&app))
}

fn application(facts: &Facts<'_>) -> Option<Finding> {
    let part = StandardPart::Application;
    let shortfall = shortfall(facts, part, facts.target_application, facts.application_version)?;
    Some(Finding::new(
        Reason::ApplicationTooOld,
        too_old(facts, "application", shortfall),
    ))
}

fn platform(facts: &Facts<'_>) -> Option<Finding> {
    let part = StandardPart::Platform;
    let shortfall = shortfall(facts, part, facts.target_platform, facts.platform_version)?;
    Some(Finding::new(
        Reason::PlatformTooOld,
        too_old(facts, "platform", shortfall),
    ))
}

/// What is needed and what is there, when both are known and the second is less. A manifest may name the part in an
/// attribute and in a row, and an environment may have it as its own version and in its inventory: the stricter counts.
fn shortfall(
    facts: &Facts<'_>,
    part: StandardPart,
    attribute: Option<AppVersion>,
    there: Option<AppVersion>,
) -> Option<(AppVersion, AppVersion)> {
    let app = app_of_part(part);
    let row = facts.dependencies.iter().find(|row| row.app_id == app);
    let needed = attribute.max(row.map(|row| row.min_version))?;
    let listed = facts.inventory.iter().find(|listed| listed.app_id == app);
    let there = there
        .into_iter()
        .chain(listed.map(|listed| listed.version))
        .min()?;
    (there < needed).then_some((needed, there))
}

/// Runtime N.M came with version N+11.M of Business Central. An environment's application has both numbers; its platform
/// has not.
fn runtime(facts: &Facts<'_>) -> Option<Finding> {
    let (runtime, there) = facts.target_runtime.zip(facts.application_version)?;
    let needed = (runtime.major().saturating_add(11), runtime.minor());
    if (there.major(), there.minor()) >= needed {
        return None;
    }
    let message = format!(
        "Version {} was compiled for runtime {}.{}, which needs Business Central {}.{} or later; environment \
         '{}' has {}.{}.",
        facts.target,
        runtime.major(),
        runtime.minor(),
        needed.0,
        needed.1,
        facts.environment_name,
        there.major(),
        there.minor()
    );
    Some(Finding::new(Reason::RuntimeTooNew, message))
}

fn too_old(facts: &Facts<'_>, part: &str, (needed, there): (AppVersion, AppVersion)) -> String {
    let (target, environment) = (facts.target, facts.environment_name);
    format!(
        "Version {target} needs {part} version {needed} or later; environment '{environment}' has {there}."
    )
}
