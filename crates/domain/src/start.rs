//! Whether what a customer asked for still makes sense when its time has come. Of hotfixes it is said in
//! [`super::hotfix`].
//!
//! The rules about versions are those of hotfixes, but for the one about lines: a customer may go to any newer version.

use crate::{
    catalogue::standard_part,
    hotfix::{self, Facts, Finding, Reason, Start},
    ids::{AppId, OperationId},
    operation::{OperationKind, OperationStatus, Skip, SkipReason},
    rules,
    version::AppVersion,
};

/// Whether an app is to be brought in, or from what is installed to another version. The slot does not matter, for it is
/// its own.
#[must_use]
pub fn check_target(facts: &Facts<'_>, installed: Option<AppVersion>) -> Start {
    let findings = [
        availability(facts),
        rules::signer(facts.target(), facts.signer_rule),
        installed.and_then(|installed| rules::newer(facts.place(), installed, facts.target)),
        source(facts, installed),
    ];
    let around = hotfix::around(facts, installed);
    for finding in findings.into_iter().flatten().chain(around) {
        if let Some(reason) = finding.reason.skip_reason() {
            return Start::Skip(Skip {
                reason,
                message: finding.message,
            });
        }
    }
    Start::Go
}

fn availability(facts: &Facts<'_>) -> Option<Finding> {
    let reason = rules::availability(facts.place(), facts.target(), facts.allow_preview_in_sandbox)?;
    let (target, place) = (facts.target, facts.environment_name);
    let message = match reason {
        Reason::TargetDeprecated => format!("Version {target} is Deprecated, and is not offered any more."),
        _ => format!("Version {target} is in Preview, which was not asked for in environment '{place}'."),
    };
    Some(Finding::new(reason, message))
}

fn source(facts: &Facts<'_>, installed: Option<AppVersion>) -> Option<Finding> {
    let installed = installed.filter(|_| rules::is_preview(facts.installed_availability))?;
    let message = format!(
        "Version {installed}, which is installed in environment '{}', is in Preview, and is not brought to another version.",
        facts.environment_name
    );
    Some(Finding::new(Reason::InstalledIsPreview, message))
}

/// What an uninstall is decided by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uninstall<'a> {
    /// The environment's name, for messages.
    pub environment_name: &'a str,
    /// The app.
    pub app_id: AppId,
    /// Whether the target lets it be uninstalled, if it said.
    pub can_be_uninstalled: Option<bool>,
    /// The names of the installed apps that need it.
    pub dependents: Vec<String>,
}

/// Whether an app is to be taken out. Apps that need it are not left behind without it.
#[must_use]
pub fn check_uninstall(facts: &Uninstall<'_>) -> Start {
    let environment = facts.environment_name;
    if !can_be_uninstalled(facts.app_id, facts.can_be_uninstalled) {
        return Start::Skip(Skip {
            reason: SkipReason::AppCannotBeUninstalled,
            message: format!("The app is a part of environment '{environment}' that cannot be uninstalled."),
        });
    }
    match facts.dependents.as_slice() {
        [] => Start::Go,
        dependents => Start::Skip(Skip {
            reason: SkipReason::DependentsInstalled,
            message: format!(
                "In environment '{environment}' these apps need it and are installed: {}.",
                dependents.join(", ")
            ),
        }),
    }
}

/// Whether an app can be taken out of an environment: Microsoft's base apps never, others unless the target says no.
#[must_use]
pub fn can_be_uninstalled(app: AppId, told: Option<bool>) -> bool {
    standard_part(app).is_none() && told != Some(false)
}

/// The app was brought in by somebody else while this waited.
#[must_use]
pub fn already_installed(environment: &str, version: AppVersion) -> Skip {
    Skip {
        reason: SkipReason::AlreadyInstalled,
        message: format!("The app is installed in environment '{environment}' by now, in version {version}."),
    }
}

/// Whether an operation was skipped because what it was to bring about is so already. The rest of its plan goes on
/// then, if its own rules allow that.
#[must_use]
pub fn is_there_already(kind: OperationKind, reason: SkipReason) -> bool {
    match reason {
        SkipReason::AlreadyUpToDate | SkipReason::AlreadyInstalled | SkipReason::NothingToDo => true,
        SkipReason::AppUninstalled => kind == OperationKind::Uninstall,
        _ => false,
    }
}

/// Something that was asked for together with it did not come about: that operation, about that app, which ended so.
#[must_use]
pub fn part_failed(
    other: OperationId,
    kind: OperationKind,
    app: &str,
    status: OperationStatus,
    reason: Option<&str>,
) -> Skip {
    let why = reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
    Skip {
        reason: SkipReason::PartFailed,
        message: format!(
            "It was asked for together with the {} of '{app}', operation {other}, which is {status}{why}.",
            kind.as_str().to_lowercase()
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{environment::EnvironmentKind, signer::SignerRule, version::Availability};
    use uuid::{Uuid, uuid};

    fn update(target: AppVersion) -> Facts<'static> {
        Facts {
            environment_name: "MyCustomer",
            environment_kind: EnvironmentKind::Production,
            installed: AppVersion([16, 0, 0, 5]),
            installed_availability: Some(Availability::Available),
            installed_dependencies: Some(&[]),
            target,
            target_availability: Availability::Available,
            dependencies: &[],
            target_application: None,
            target_platform: None,
            target_runtime: None,
            target_signer: None,
            signer_rule: &SignerRule::None,
            allow_preview_in_sandbox: false,
            occupied_by: None,
            inventory: &[],
            inventory_complete: true,
            application_version: None,
            platform_version: None,
            dependants: &[],
            visible: None,
            schema_break: None,
        }
    }

    fn reason(start: Start) -> Option<SkipReason> {
        match start {
            Start::Go => None,
            Start::Skip(skip) => Some(skip.reason),
        }
    }

    #[test]
    fn an_update_may_leave_the_line_but_not_go_down_nor_to_what_is_not_offered() {
        let newer = update(AppVersion([17, 2, 0, 0]));
        assert_eq!(reason(check_target(&newer, Some(newer.installed))), None);
        assert_eq!(reason(hotfix::check_start(&newer)), Some(SkipReason::LineChanged));
        let older = update(AppVersion([15, 9, 0, 0]));
        assert_eq!(
            reason(check_target(&older, Some(older.installed))),
            Some(SkipReason::AlreadyUpToDate)
        );
        let deprecated = Facts {
            target_availability: Availability::Deprecated,
            ..newer
        };
        assert_eq!(
            reason(check_target(&deprecated, Some(deprecated.installed))),
            Some(SkipReason::TargetDeprecated)
        );
        let unsigned = Facts {
            signer_rule: &SignerRule::Signed,
            ..newer
        };
        assert_eq!(
            reason(check_target(&unsigned, None)),
            Some(SkipReason::SignerNotAllowed)
        );
        let too_old = Facts {
            target_application: Some(AppVersion([27, 0, 0, 0])),
            application_version: Some(AppVersion([26, 5, 0, 0])),
            ..newer
        };
        assert_eq!(
            reason(check_target(&too_old, Some(too_old.installed))),
            Some(SkipReason::EnvironmentTooOld)
        );
    }

    #[test]
    fn what_is_there_already_is_no_failure_of_its_plan() {
        use OperationKind::{Install, Uninstall, Update};
        use SkipReason::{AlreadyInstalled, AlreadyUpToDate, AppUninstalled, DependenciesUnmet, NothingToDo};
        for (kind, reason, is_there) in [
            (Update, AlreadyUpToDate, true),
            (Install, AlreadyInstalled, true),
            (Install, NothingToDo, true),
            (Uninstall, AppUninstalled, true),
            (Update, AppUninstalled, false),
            (Update, DependenciesUnmet, false),
        ] {
            assert_eq!(is_there_already(kind, reason), is_there, "{kind} {reason}");
        }
    }

    #[test]
    fn an_app_that_others_need_or_that_belongs_to_the_environment_stays() {
        let base = AppId(uuid!("437dbf0e-84ff-417a-965d-ed2bb9650972"));
        let facts = |app_id, can_be_uninstalled, dependents: &[&str]| Uninstall {
            environment_name: "MyCustomer",
            app_id,
            can_be_uninstalled,
            dependents: dependents.iter().map(|&name| name.to_owned()).collect(),
        };
        let app = AppId(Uuid::from_u128(7));
        for told in [None, Some(true)] {
            assert_eq!(check_uninstall(&facts(app, told, &[])), Start::Go);
            let cannot = Some(SkipReason::AppCannotBeUninstalled);
            assert_eq!(reason(check_uninstall(&facts(base, told, &[]))), cannot);
        }
        assert_eq!(
            reason(check_uninstall(&facts(app, Some(false), &[]))),
            Some(SkipReason::AppCannotBeUninstalled)
        );
        let Start::Skip(skip) = check_uninstall(&facts(app, None, &["Sales", "Stock"])) else {
            panic!("it goes");
        };
        assert_eq!(skip.reason, SkipReason::DependentsInstalled);
        assert!(skip.message.contains("Sales, Stock"), "{}", skip.message);
    }
}
