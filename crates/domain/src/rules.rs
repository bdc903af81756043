//! The rules about bringing an environment to a version of an app, one function each: what vendors' hotfixes and customers'
//! own changes have in common.
//!
//! Each one answers with the facts it looked at, because "not eligible" helps nobody.

use crate::{
    catalogue::{DependantConstraint, DependencyState, StandardPart, app_of_part},
    environment::EnvironmentKind,
    hotfix::{Finding, Reason},
    ids::OperationId,
    signer::{Signer, SignerRule},
    version::{AppVersion, Availability, Dependency},
};

/// An environment, as far as the rules ask about it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    /// Its name, for messages.
    pub(crate) name: &'a str,
    pub(crate) kind: EnvironmentKind,
    pub(crate) application_version: Option<AppVersion>,
    pub(crate) platform_version: Option<AppVersion>,
}

/// A version to go to, as far as the rules ask about it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target<'a> {
    pub(crate) version: AppVersion,
    pub(crate) availability: Availability,
    pub(crate) dependencies: &'a [Dependency],
    pub(crate) application: Option<AppVersion>,
    pub(crate) platform: Option<AppVersion>,
    pub(crate) runtime: Option<AppVersion>,
    pub(crate) signer: Option<&'a Signer>,
}

/// A version that is Deprecated is offered nowhere, and one in Preview only where that is allowed, in sandboxes.
pub(crate) fn availability(place: Place<'_>, target: Target<'_>, preview_in_sandbox: bool) -> Option<Reason> {
    match target.availability {
        Availability::Available => None,
        Availability::Deprecated => Some(Reason::TargetDeprecated),
        Availability::Preview => {
            let is_allowed = preview_in_sandbox && place.kind == EnvironmentKind::Sandbox;
            (!is_allowed).then_some(Reason::TargetPreview)
        }
    }
}

/// Who must have signed the target has.
pub(crate) fn signer(target: Target<'_>, rule: &SignerRule) -> Option<Finding> {
    let (_, objection) = rule.objection(target.signer)?;
    let message = format!("Version {} cannot be brought in. {objection}", target.version);
    Some(Finding::new(Reason::SignerNotAllowed, message))
}

/// What is installed in Preview is not brought to another version.
pub(crate) fn is_preview(installed: Option<Availability>) -> bool {
    installed == Some(Availability::Preview)
}

/// An app only goes up.
pub(crate) fn newer(place: Place<'_>, installed: AppVersion, target: AppVersion) -> Option<Finding> {
    if target > installed {
        return None;
    }
    let message = format!(
        "Version {target} is not newer than version {installed}, which is installed in environment '{}'.",
        place.name
    );
    Some(Finding::new(Reason::NotNewer, message))
}

/// Each installation has one place for an operation.
pub(crate) fn slot(place: Place<'_>, occupied_by: Option<OperationId>) -> Option<Finding> {
    let other = occupied_by?;
    let message = format!(
        "An operation for this app has already been scheduled in environment '{}': {other}. Wait until \
         it is over, or have it canceled.",
        place.name
    );
    Some(Finding::new(Reason::AlreadyScheduled, message))
}

/// What the target needs is there, and fits. The target comes with the version that is installed now, if one is.
pub(crate) fn dependency(
    place: Place<'_>,
    (target, installed): (AppVersion, Option<AppVersion>),
    needed: &Dependency,
    state: DependencyState,
    is_visible: bool,
) -> Option<Finding> {
    let environment = place.name;
    let app = format!("'{}' by {} ({})", needed.name, needed.publisher, needed.app_id);
    let least = needed.min_version;
    let shown = |installed: AppVersion, otherwise: &str| match is_visible {
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
        DependencyState::Unproven => {
            let before = installed.map(|version| format!(", which the installed version {version} does not"));
            let message = format!(
                "Version {target} needs {app} in version {least} or later{}. The inventory of environment \
                 '{environment}' does not list it.",
                before.unwrap_or_default()
            );
            (Reason::DependencyMissing, message)
        }
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

/// Whatever is installed goes on working beside the target.
pub(crate) fn dependant(
    place: Place<'_>,
    target: AppVersion,
    dependant: &DependantConstraint,
    is_visible: bool,
) -> Option<Finding> {
    if dependant.accepts(target) {
        return None;
    }
    let environment = place.name;
    let message = match is_visible {
        true => format!(
            "App '{}' ({}), which is installed in environment '{environment}', is marked incompatible with this \
             app from version {} on, and the target is {target}.",
            dependant.name, dependant.app_id, dependant.incompatible_from
        ),
        false => format!(
            "Another app, which is installed in environment '{environment}', is marked incompatible with this app \
             from a version on that the target {target} is not below."
        ),
    };
    Some(Finding::new(Reason::DependantIncompatible, message))
}

/// The environment's own part is new enough, where both sides are known. A manifest may name the part in an attribute and in
/// a row, and an environment may have it as its own version and, `listed`, in its inventory: the stricter counts.
pub(crate) fn part(
    place: Place<'_>,
    target: Target<'_>,
    part: StandardPart,
    listed: Option<AppVersion>,
) -> Option<Finding> {
    let (reason, word, attribute, own) = match part {
        StandardPart::Application => (
            Reason::ApplicationTooOld,
            "application",
            target.application,
            place.application_version,
        ),
        StandardPart::Platform => (
            Reason::PlatformTooOld,
            "platform",
            target.platform,
            place.platform_version,
        ),
    };
    let app = app_of_part(part);
    let row = target.dependencies.iter().find(|row| row.app_id == app);
    let needed = attribute.max(row.map(|row| row.min_version))?;
    let there = own.into_iter().chain(listed).min()?;
    if there >= needed {
        return None;
    }
    let message = format!(
        "Version {} needs {word} version {needed} or later; environment '{}' has {there}.",
        target.version, place.name
    );
    Some(Finding::new(reason, message))
}

/// Runtime N.M came with version N+11.M of Business Central. An environment's application has both numbers; its platform
/// has not.
pub(crate) fn runtime(place: Place<'_>, target: Target<'_>) -> Option<Finding> {
    let (runtime, there) = target.runtime.zip(place.application_version)?;
    let needed = (runtime.major().saturating_add(11), runtime.minor());
    if (there.major(), there.minor()) >= needed {
        return None;
    }
    let message = format!(
        "Version {} was compiled for runtime {}.{}, which needs Business Central {}.{} or later; environment \
         '{}' has {}.{}.",
        target.version,
        runtime.major(),
        runtime.minor(),
        needed.0,
        needed.1,
        place.name,
        there.major(),
        there.minor()
    );
    Some(Finding::new(Reason::RuntimeTooNew, message))
}
