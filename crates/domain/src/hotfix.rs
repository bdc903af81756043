//! Whether an environment may have a hotfix: one rule set, asked at three moments.
//!
//! When a hotfix is scheduled the first rule that is broken is the answer; a plan shows all of them; and when its time
//! comes the same rules decide whether it still makes sense. Because it is one list, the plan can be believed, and what
//! was accepted is refused later only if the facts changed.

use crate::{
    catalogue::{DependantConstraint, EnvironmentApps, Installed, StandardPart, app_of_part},
    environment::EnvironmentKind,
    ids::{AppId, OperationId},
    operation::{Skip, SkipReason},
    problem::RuleError,
    rules::{self, Place, Target},
    signer::{Signer, SignerRule},
    version::{AppVersion, Availability, Dependency},
    vocabulary::vocabulary,
};
use std::collections::HashSet;

/// Everything that decides about one hotfix of one app in one environment.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The environment's name, for messages.
    pub environment_name: &'a str,
    /// What the environment is for.
    pub environment_kind: EnvironmentKind,
    /// The version installed there.
    pub installed: AppVersion,
    /// What its publisher says of the installed version; `None` when the repository does not know it.
    pub installed_availability: Option<Availability>,
    /// What the installed version declares it needs; `None` when the repository does not know it.
    pub installed_dependencies: Option<&'a [Dependency]>,
    /// The version to go to.
    pub target: AppVersion,
    /// What its publisher says of the target.
    pub target_availability: Availability,
    /// What the target needs.
    pub dependencies: &'a [Dependency],
    /// The least application version that the target needs, if it says.
    pub target_application: Option<AppVersion>,
    /// The least platform version that the target needs, if it says.
    pub target_platform: Option<AppVersion>,
    /// The AL runtime that the target was compiled for, if it says.
    pub target_runtime: Option<AppVersion>,
    /// Who signed the target, as its package proves.
    pub target_signer: Option<&'a Signer>,
    /// Who must have signed the app's packages.
    pub signer_rule: &'a SignerRule,
    /// Whether the operator lets versions in preview go to sandboxes.
    pub allow_preview_in_sandbox: bool,
    /// The operation that waits or runs for the same app there, if any.
    pub occupied_by: Option<OperationId>,
    /// The other apps known to be installed there.
    pub inventory: &'a [Installed],
    /// Whether those are all.
    pub inventory_complete: bool,
    /// The environment's application version, if known.
    pub application_version: Option<AppVersion>,
    /// The environment's platform version, if known.
    pub platform_version: Option<AppVersion>,
    /// The apps installed there that are incompatible with this app from some version on.
    pub dependants: &'a [DependantConstraint],
    /// The apps of which messages may tell what is installed there; `None` for all.
    pub visible: Option<&'a HashSet<AppId>>,
    /// What of the target schema synchronisation is forecast to refuse; `None` where nothing is, or nobody knows.
    pub schema_break: Option<&'a str>,
}

vocabulary! {
    /// Why a hotfix may not be. Stable: these are the codes in `details` and in plans, in the order of
    /// the rules.
    Reason {
        /// The request names another type of environment than the environment has.
        EnvironmentTypeDiffers,
        /// The target is no longer offered.
        TargetDeprecated,
        /// The target is in preview, and the environment may not have it.
        TargetPreview,
        /// The target is not signed as the app's packages must be.
        SignerNotAllowed,
        /// The target's major or minor number differs from that of the installed version.
        LineDiffers,
        /// The target is not newer than the installed version.
        NotNewer,
        /// The installed version is in preview.
        InstalledIsPreview,
        /// An operation for the same app waits or runs there.
        AlreadyScheduled,
        /// An app that the target needs is not installed, or not known to be.
        DependencyMissing,
        /// An app that the target needs is installed in too old a version.
        DependencyTooOld,
        /// An app that the target needs is installed in a version it was marked incompatible with.
        DependencyIncompatible,
        /// An installed app was marked incompatible with the target.
        DependantIncompatible,
        /// The environment's application is older than the target needs.
        ApplicationTooOld,
        /// The environment's platform is older than the target needs.
        PlatformTooOld,
        /// The environment's Business Central is older than the runtime that the target was compiled for.
        RuntimeTooNew,
        /// A hotfix is synchronised with `Add`, which is forecast to refuse what the target changes of the installed version's
        /// tables. Whoever knows better says so with `despiteForecast`.
        SchemaBreak,
    }
}

impl Reason {
    /// The stable code.
    #[must_use]
    pub fn code(self) -> &'static str {
        self.as_str()
    }

    /// What becomes of a waiting hotfix for which this is found when its time has come; none for what only
    /// speaks against scheduling it.
    #[must_use]
    pub fn skip_reason(self) -> Option<SkipReason> {
        match self {
            Self::EnvironmentTypeDiffers | Self::AlreadyScheduled | Self::SchemaBreak => None,
            Self::TargetDeprecated => Some(SkipReason::TargetDeprecated),
            Self::TargetPreview => Some(SkipReason::TargetBecamePreview),
            Self::SignerNotAllowed => Some(SkipReason::SignerNotAllowed),
            Self::LineDiffers => Some(SkipReason::LineChanged),
            Self::NotNewer => Some(SkipReason::AlreadyUpToDate),
            Self::InstalledIsPreview => Some(SkipReason::SourceBecamePreview),
            Self::DependencyMissing | Self::DependencyTooOld | Self::DependencyIncompatible => {
                Some(SkipReason::DependenciesUnmet)
            }
            Self::DependantIncompatible => Some(SkipReason::DependantIncompatible),
            Self::ApplicationTooOld | Self::PlatformTooOld | Self::RuntimeTooNew => {
                Some(SkipReason::EnvironmentTooOld)
            }
        }
    }
}

/// One broken rule, with the facts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which rule.
    pub reason: Reason,
    /// One or two sentences that name the facts.
    pub message: String,
}

impl Finding {
    pub(crate) fn new(reason: Reason, message: String) -> Self {
        Self { reason, message }
    }
}

impl<'a> Facts<'a> {
    pub(crate) fn place(&self) -> Place<'a> {
        Place {
            name: self.environment_name,
            kind: self.environment_kind,
            application_version: self.application_version,
            platform_version: self.platform_version,
        }
    }

    pub(crate) fn target(&self) -> Target<'a> {
        Target {
            version: self.target,
            availability: self.target_availability,
            dependencies: self.dependencies,
            application: self.target_application,
            platform: self.target_platform,
            runtime: self.target_runtime,
            signer: self.target_signer,
        }
    }

    fn listed(&self, app: AppId) -> Option<AppVersion> {
        let found = self.inventory.iter().find(|listed| listed.app_id == app);
        found.map(|listed| listed.version)
    }

    /// Whether messages may tell what of an app is installed.
    fn is_visible(&self, app: AppId) -> bool {
        self.visible.is_none_or(|visible| visible.contains(&app))
    }
}

/// Whether a hotfix whose time has come still makes sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// It is to be carried out.
    Go,
    /// It is not, and this is why.
    Skip(Skip),
}

/// Every rule that is broken, in the order of the rules; none when the hotfix may be.
#[must_use]
pub fn reasons(facts: &Facts<'_>) -> Vec<Finding> {
    let place = facts.place();
    let single = [
        availability(facts),
        rules::signer(facts.target(), facts.signer_rule),
        line(facts),
        rules::newer(place, facts.installed, facts.target),
        source(facts),
        rules::slot(place, facts.occupied_by),
    ];
    let single = single.into_iter().flatten();
    let around = around(facts, Some(facts.installed));
    single.chain(around).chain(schema(facts)).collect()
}

/// What around the app stands against the target, which comes in place of what is installed, if anything is.
pub(crate) fn around(facts: &Facts<'_>, installed: Option<AppVersion>) -> Vec<Finding> {
    let (place, target) = (facts.place(), facts.target());
    let mut findings = dependencies(facts, installed);
    let dependants = facts.dependants.iter();
    findings.extend(dependants.filter_map(|dependant| {
        rules::dependant(place, facts.target, dependant, facts.is_visible(dependant.app_id))
    }));
    let listed = |part| facts.listed(app_of_part(part));
    let environment = [
        rules::part(
            place,
            target,
            StandardPart::Application,
            listed(StandardPart::Application),
        ),
        rules::part(
            place,
            target,
            StandardPart::Platform,
            listed(StandardPart::Platform),
        ),
        rules::runtime(place, target),
    ];
    findings.extend(environment.into_iter().flatten());
    findings
}

fn availability(facts: &Facts<'_>) -> Option<Finding> {
    let (target, name) = (facts.target, facts.environment_name);
    let reason = rules::availability(facts.place(), facts.target(), facts.allow_preview_in_sandbox)?;
    let message = match (reason, facts.environment_kind) {
        (Reason::TargetDeprecated, _) => {
            format!("Version {target} is Deprecated. A hotfix needs a target that is Available.")
        }
        (_, EnvironmentKind::Sandbox) => format!(
            "Version {target} is in Preview, and this service does not push versions in Preview to \
             sandboxes such as '{name}'. Change its availability to Available first."
        ),
        (_, EnvironmentKind::Production) => format!(
            "Version {target} is in Preview, which is never pushed to a production environment such as \
             '{name}'. Change its availability to Available first."
        ),
    };
    Some(Finding::new(reason, message))
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

fn source(facts: &Facts<'_>) -> Option<Finding> {
    if !rules::is_preview(facts.installed_availability) {
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

fn schema(facts: &Facts<'_>) -> Option<Finding> {
    let refused = facts.schema_break?;
    let message = format!(
        "Schema synchronisation is forecast to refuse version {} after version {}, which is installed in environment '{}': \
         {refused} A hotfix is always synchronised with Add, and nothing overrides that.",
        facts.target, facts.installed, facts.environment_name
    );
    Some(Finding::new(Reason::SchemaBreak, message))
}

fn dependencies(facts: &Facts<'_>, installed: Option<AppVersion>) -> Vec<Finding> {
    let apps = EnvironmentApps {
        inventory: facts.inventory,
        inventory_complete: facts.inventory_complete,
        application_version: facts.application_version,
        platform_version: facts.platform_version,
        declared_before: facts.installed_dependencies,
    };
    let (place, target) = (facts.place(), (facts.target, installed));
    let found = |needed: &Dependency| {
        let is_visible = facts.is_visible(needed.app_id);
        rules::dependency(place, target, needed, apps.state_of(needed), is_visible)
    };
    facts.dependencies.iter().filter_map(found).collect()
}

/// Whether the hotfix may be scheduled.
///
/// # Errors
/// `EntityValidationFailed` for the first broken rule, whose [`Reason`] is in the details. For
/// [`Reason::AlreadyScheduled`] the extension `operationId` names the operation in the way.
pub fn check_schedule(facts: &Facts<'_>) -> Result<(), RuleError> {
    let Some(first) = reasons(facts).into_iter().next() else {
        return Ok(());
    };
    let error = RuleError::broken(first.reason.code(), first.message).about(target_of(first.reason));
    match facts.occupied_by {
        Some(other) if first.reason == Reason::AlreadyScheduled => {
            Err(error.with("operationId", other.to_string()))
        }
        _ => Err(error),
    }
}

/// Whether the hotfix, whose time has come, is to be carried out. The slot does not matter: it is its own.
#[must_use]
pub fn check_start(facts: &Facts<'_>) -> Start {
    for finding in reasons(facts) {
        if let Some(reason) = finding.reason.skip_reason() {
            return Start::Skip(Skip {
                reason,
                message: finding.message,
            });
        }
    }
    Start::Go
}

/// Whether the type that a request gives for the environment is the one it has; giving none is fine.
///
/// # Errors
/// [`Reason::EnvironmentTypeDiffers`].
pub fn check_environment_kind(
    requested: Option<EnvironmentKind>,
    actual: EnvironmentKind,
    environment_name: &str,
) -> Result<(), RuleError> {
    match requested {
        Some(kind) if kind != actual => {
            let message = format!("Environment '{environment_name}' is of type {actual}, not {kind}.");
            let reason = Reason::EnvironmentTypeDiffers;
            Err(RuleError::broken(reason.code(), message).about(target_of(reason)))
        }
        _ => Ok(()),
    }
}

/// The property of the request that a caller would look at first.
fn target_of(reason: Reason) -> &'static str {
    match reason {
        Reason::EnvironmentTypeDiffers => "environmentType",
        Reason::AlreadyScheduled | Reason::InstalledIsPreview => "environmentName",
        _ => "targetAppVersion",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        catalogue::{StandardPart, app_of_part},
        problem::Code,
        signer::SignerKey,
    };
    use proptest::prelude::*;
    use uuid::{Uuid, uuid};

    const OTHER: AppId = AppId(uuid!("44445555-eeee-6666-ffff-7777aaaa8888"));

    fn version(text: &str) -> AppVersion {
        text.parse().unwrap()
    }

    fn good() -> Facts<'static> {
        Facts {
            environment_name: "MyCustomer",
            environment_kind: EnvironmentKind::Production,
            installed: AppVersion([16, 0, 0, 5]),
            installed_availability: Some(Availability::Available),
            installed_dependencies: Some(&[]),
            target: AppVersion([16, 0, 1, 2]),
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
            inventory_complete: false,
            application_version: None,
            platform_version: None,
            dependants: &[],
            visible: None,
            schema_break: None,
        }
    }

    fn found(facts: &Facts<'_>) -> Vec<Reason> {
        reasons(facts).into_iter().map(|finding| finding.reason).collect()
    }

    fn needs(min: &str, incompatible_from: Option<&str>) -> Dependency {
        Dependency {
            app_id: OTHER,
            name: "Example Dependency".into(),
            publisher: "Fabrikam".into(),
            min_version: version(min),
            incompatible_from: incompatible_from.map(version),
            is_implied: false,
        }
    }

    #[test]
    fn a_forecast_speaks_against_scheduling_and_says_what_is_refused() {
        let facts = Facts {
            schema_break: Some("field \"Name\" of table 50100 \"T\" is removed."),
            ..good()
        };
        let found = reasons(&facts);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].reason, Reason::SchemaBreak);
        assert!(found[0].message.contains("50100"), "{}", found[0].message);
        assert_eq!(Reason::SchemaBreak.skip_reason(), None);
    }

    #[test]
    fn the_documented_hotfix_may_be() {
        assert!(check_schedule(&good()).is_ok());
        assert_eq!(check_start(&good()), Start::Go);
        let unknown_source = Facts {
            installed_availability: None,
            installed_dependencies: None,
            ..good()
        };
        assert!(check_schedule(&unknown_source).is_ok());
    }

    #[test]
    fn the_target_must_be_offered_to_the_environment() {
        let deprecated = Facts {
            target_availability: Availability::Deprecated,
            ..good()
        };
        assert_eq!(found(&deprecated), [Reason::TargetDeprecated]);
        let preview = Facts {
            target_availability: Availability::Preview,
            ..good()
        };
        assert_eq!(found(&preview), [Reason::TargetPreview]);
        let allowed = Facts {
            allow_preview_in_sandbox: true,
            ..preview
        };
        assert_eq!(
            found(&allowed),
            [Reason::TargetPreview],
            "production never has previews"
        );
        let sandbox = Facts {
            environment_kind: EnvironmentKind::Sandbox,
            ..preview
        };
        assert_eq!(found(&sandbox), [Reason::TargetPreview]);
        assert_eq!(
            found(&Facts {
                allow_preview_in_sandbox: true,
                ..sandbox
            }),
            []
        );
    }

    #[test]
    fn a_hotfix_stays_in_its_line_and_goes_up() {
        assert_eq!(
            found(&Facts {
                installed: version("16.1.0.0"),
                ..good()
            }),
            [Reason::LineDiffers, Reason::NotNewer]
        );
        assert_eq!(
            found(&Facts {
                installed: version("15.0.9.9"),
                ..good()
            }),
            [Reason::LineDiffers]
        );
        assert_eq!(
            found(&Facts {
                installed: version("16.0.1.2"),
                ..good()
            }),
            [Reason::NotNewer]
        );
        assert_eq!(
            found(&Facts {
                installed: version("16.0.10.0"),
                ..good()
            }),
            [Reason::NotNewer]
        );
        assert_eq!(
            found(&Facts {
                target: version("16.0.10.0"),
                installed: version("16.0.9.0"),
                ..good()
            }),
            []
        );
    }

    #[test]
    fn who_leaves_the_line_is_told_which_one_it_is() {
        let facts = Facts {
            installed: version("27.3.0.0"),
            target: version("28.0.0.0"),
            ..good()
        };
        let error = check_schedule(&facts).unwrap_err();
        assert!(
            error.message.contains("major and minor numbers: 27.3."),
            "{error}"
        );
    }

    #[test]
    fn a_refusal_names_the_property_to_look_at() {
        let about = |facts: Facts<'_>| check_schedule(&facts).unwrap_err().target.unwrap();
        let deprecated = Facts {
            target_availability: Availability::Deprecated,
            ..good()
        };
        assert_eq!(about(deprecated), "targetAppVersion");
        let installed_preview = Facts {
            installed_availability: Some(Availability::Preview),
            ..good()
        };
        assert_eq!(about(installed_preview), "environmentName");
        let occupied = Facts {
            occupied_by: Some(OperationId(Uuid::from_u128(7))),
            ..good()
        };
        assert_eq!(about(occupied), "environmentName");
        let (sandbox, production) = (EnvironmentKind::Sandbox, EnvironmentKind::Production);
        let other_kind = check_environment_kind(Some(sandbox), production, "MyCustomer").unwrap_err();
        assert_eq!(other_kind.target.as_deref(), Some("environmentType"));
    }

    #[test]
    fn a_preview_is_not_hotfixed_and_the_message_says_what_to_do() {
        let facts = Facts {
            installed_availability: Some(Availability::Preview),
            ..good()
        };
        let error = check_schedule(&facts).unwrap_err();
        assert_eq!(
            (error.code, error.details[0].code.as_str()),
            (Code::EntityValidationFailed, "InstalledIsPreview")
        );
        assert!(error.message.contains("uninstall"), "{error}");
        assert!(error.message.contains("from Preview to Available"), "{error}");
    }

    #[test]
    fn an_occupied_slot_names_the_operation_in_the_way() {
        let other = OperationId(Uuid::from_u128(7));
        let facts = Facts {
            occupied_by: Some(other),
            ..good()
        };
        let error = check_schedule(&facts).unwrap_err();
        assert!(error.message.contains("already been scheduled"), "{error}");
        assert_eq!(error.extension, [("operationId", other.to_string())]);
        assert_eq!(check_start(&facts), Start::Go, "its own slot is not in its way");
    }

    #[test]
    fn dependencies_are_judged_with_the_facts() {
        let dependencies = [needs("1.5", Some("3.0"))];
        let with = |inventory: &[Installed], complete: bool| {
            let facts = Facts {
                dependencies: &dependencies,
                inventory,
                inventory_complete: complete,
                ..good()
            };
            let findings = reasons(&facts);
            findings
                .into_iter()
                .next()
                .map(|finding| (finding.reason, finding.message))
        };
        let (missing, message) = with(&[], true).unwrap();
        assert_eq!(missing, Reason::DependencyMissing);
        assert!(
            message.contains("'Example Dependency' by Fabrikam") && message.contains("1.5.0.0"),
            "{message}"
        );
        assert_eq!(with(&[], false).unwrap().0, Reason::DependencyMissing);
        let old = [Installed {
            app_id: OTHER,
            version: version("1.4.9.9"),
        }];
        let (too_old, message) = with(&old, false).unwrap();
        assert_eq!(too_old, Reason::DependencyTooOld);
        assert!(message.contains("1.4.9.9"), "{message}");
        let new = [Installed {
            app_id: OTHER,
            version: version("3.0"),
        }];
        assert_eq!(with(&new, false).unwrap().0, Reason::DependencyIncompatible);
        let fitting = [Installed {
            app_id: OTHER,
            version: version("2.0"),
        }];
        assert_eq!(with(&fitting, true), None);
    }

    /// What is installed of other people's apps is not everybody's business.
    #[test]
    fn other_apps_are_told_of_only_to_those_who_may_see_them() {
        let dependencies = [needs("1.5", Some("3.0"))];
        let dependants = [DependantConstraint {
            app_id: OTHER,
            name: "Add-on".into(),
            incompatible_from: version("16.0.1.0"),
        }];
        let told = |installed: &str, visible: Option<&HashSet<AppId>>| {
            let facts = Facts {
                dependencies: &dependencies,
                dependants: &dependants,
                inventory: &[Installed {
                    app_id: OTHER,
                    version: version(installed),
                }],
                visible,
                ..good()
            };
            reasons(&facts)
        };
        let (none, some) = (HashSet::new(), HashSet::from([OTHER]));
        for installed in ["1.4.8.9", "3.7.8.9"] {
            let all = told(installed, None);
            assert_eq!(told(installed, Some(&some)), all);
            let hidden = told(installed, Some(&none));
            let codes =
                |findings: &[Finding]| findings.iter().map(|finding| finding.reason).collect::<Vec<_>>();
            assert_eq!((codes(&hidden), hidden.len()), (codes(&all), 2));
            let text = |findings: &[Finding]| format!("{findings:?}");
            for secret in [installed, "Add-on", "16.0.1.0"] {
                assert!(
                    text(&all).contains(secret) && !text(&hidden).contains(secret),
                    "{hidden:?}"
                );
            }
        }
    }

    #[test]
    fn an_installed_app_that_cannot_live_with_the_target_keeps_it_out() {
        let constraint = |from: &str| {
            [DependantConstraint {
                app_id: OTHER,
                name: "Add-on".into(),
                incompatible_from: version(from),
            }]
        };
        assert_eq!(
            found(&Facts {
                dependants: &constraint("16.0.1.2"),
                ..good()
            }),
            [Reason::DependantIncompatible]
        );
        assert_eq!(
            found(&Facts {
                dependants: &constraint("16.0.1.3"),
                ..good()
            }),
            []
        );
    }

    #[test]
    fn the_environment_must_be_new_enough_where_its_versions_are_known() {
        let target = Facts {
            target_application: Some(version("26.0")),
            target_platform: Some(version("26.0")),
            ..good()
        };
        assert_eq!(found(&target), []);
        let old = Some(version("25.9"));
        let facts = Facts {
            application_version: old,
            platform_version: old,
            ..target
        };
        assert_eq!(found(&facts), [Reason::ApplicationTooOld, Reason::PlatformTooOld]);
        for (finding, part) in reasons(&facts).iter().zip(["application", "platform"]) {
            let facts_named =
                format!("needs {part} version 26.0.0.0 or later; environment 'MyCustomer' has 25.9.0.0");
            assert!(finding.message.contains(&facts_named), "{}", finding.message);
        }
        let just_new_enough = Facts {
            application_version: Some(version("26.0")),
            platform_version: Some(version("26.0")),
            ..target
        };
        assert_eq!(found(&just_new_enough), []);
    }

    #[test]
    fn the_target_is_signed_as_the_rule_asks() {
        let signer = Signer {
            key: SignerKey([7; 32]),
            subject: "CN=Contoso".into(),
        };
        let pinned = SignerRule::Pinned([SignerKey([8; 32])].into());
        let unsigned = Facts {
            signer_rule: &SignerRule::Signed,
            ..good()
        };
        assert_eq!(found(&unsigned), [Reason::SignerNotAllowed]);
        let signed = Facts {
            target_signer: Some(&signer),
            ..unsigned
        };
        assert_eq!(found(&signed), []);
        let by_another = Facts {
            signer_rule: &pinned,
            ..signed
        };
        let Start::Skip(skip) = check_start(&by_another) else {
            panic!("expected a reason to skip");
        };
        assert_eq!(skip.reason, SkipReason::SignerNotAllowed);
        assert!(
            skip.message.contains(&signer.key.to_string()) && skip.message.contains("Version 16.0.1.2"),
            "{}",
            skip.message
        );
    }

    #[test]
    fn a_runtime_needs_the_business_central_that_brought_it() {
        let with = |runtime: &str, application: &str| {
            let facts = Facts {
                target_runtime: Some(version(runtime)),
                application_version: Some(version(application)),
                ..good()
            };
            reasons(&facts).into_iter().next()
        };
        for (runtime, least, before) in [
            ("1.0", "12.0", "11.9"),
            ("13.0", "24.0", "23.9.9.9"),
            ("15.2", "26.2", "26.1.9.9"),
            ("16.0", "27.0", "26.5"),
            ("99.0", "110.0", "23.0"),
            ("2147483647.0", "2147483647.9", "28.0"),
        ] {
            assert_eq!(
                with(runtime, least).is_none(),
                runtime != "2147483647.0",
                "{runtime}"
            );
            let finding = with(runtime, before).unwrap();
            assert_eq!(finding.reason, Reason::RuntimeTooNew);
        }
        assert_eq!(with("15.2", "26.2.0.0"), None);
        let message = with("15.2", "26.1.9.9").unwrap().message;
        assert!(
            message.contains("runtime 15.2")
                && message.contains("26.2 or later")
                && message.contains("has 26.1."),
            "{message}"
        );
        let unknown = Facts {
            target_runtime: Some(version("99.0")),
            platform_version: Some(version("23.0")),
            ..good()
        };
        assert_eq!(found(&unknown), []);
    }

    /// A manifest may say twice what it needs of Business Central, and an environment twice what it has.
    #[test]
    fn the_stricter_of_two_places_counts() {
        for part in [StandardPart::Application, StandardPart::Platform] {
            let (app_id, too_old) = match part {
                StandardPart::Application => (app_of_part(part), Reason::ApplicationTooOld),
                StandardPart::Platform => (app_of_part(part), Reason::PlatformTooOld),
            };
            let row = [Dependency {
                app_id,
                ..needs("25.0", None)
            }];
            let listed = |text: &str| {
                [Installed {
                    app_id,
                    version: version(text),
                }]
            };
            let with = |attribute: &str, inventory: &[Installed], there: Option<&str>| {
                found(&Facts {
                    dependencies: &row,
                    target_application: Some(version(attribute)),
                    target_platform: Some(version(attribute)),
                    inventory,
                    application_version: there.filter(|_| part == StandardPart::Application).map(version),
                    platform_version: there.filter(|_| part == StandardPart::Platform).map(version),
                    ..good()
                })
            };
            assert_eq!(
                with("26.0", &listed("25.5"), None),
                [too_old],
                "the attribute is stricter"
            );
            assert_eq!(with("26.0", &listed("26.0"), None), []);
            assert_eq!(with("26.0", &listed("26.0"), Some("25.5")), [too_old]);
            assert_eq!(
                with("24.0", &listed("25.0"), Some("24.5")),
                [too_old],
                "the row is stricter"
            );
            assert_eq!(
                with("24.0", &listed("24.5"), Some("25.0")),
                [Reason::DependencyTooOld, too_old]
            );
        }
    }

    #[test]
    fn the_first_broken_rule_answers_and_a_plan_shows_all() {
        let facts = Facts {
            target_availability: Availability::Deprecated,
            installed: version("16.0.1.2"),
            installed_availability: Some(Availability::Preview),
            occupied_by: Some(OperationId(Uuid::from_u128(7))),
            ..good()
        };
        let all = [
            Reason::TargetDeprecated,
            Reason::NotNewer,
            Reason::InstalledIsPreview,
            Reason::AlreadyScheduled,
        ];
        assert_eq!(found(&facts), all);
        let error = check_schedule(&facts).unwrap_err();
        assert_eq!(error.details[0].code, "TargetDeprecated");
        assert!(error.extension.is_empty());
    }

    #[test]
    fn what_changed_while_it_waited_skips_it() {
        let skipped = |facts: Facts<'_>| match check_start(&facts) {
            Start::Go => panic!("expected a reason to skip"),
            Start::Skip(skip) => skip.reason,
        };
        assert_eq!(
            skipped(Facts {
                installed: version("16.0.1.2"),
                ..good()
            }),
            SkipReason::AlreadyUpToDate
        );
        assert_eq!(
            skipped(Facts {
                installed: version("16.1.0.0"),
                ..good()
            }),
            SkipReason::LineChanged
        );
        let deprecated = Facts {
            target_availability: Availability::Deprecated,
            ..good()
        };
        assert_eq!(skipped(deprecated), SkipReason::TargetDeprecated);
        let preview = Facts {
            installed_availability: Some(Availability::Preview),
            ..good()
        };
        assert_eq!(skipped(preview), SkipReason::SourceBecamePreview);
    }

    #[test]
    fn a_type_given_must_be_the_type_it_has() {
        let actual = EnvironmentKind::Production;
        assert!(check_environment_kind(None, actual, "MyCustomer").is_ok());
        assert!(check_environment_kind(Some(actual), actual, "MyCustomer").is_ok());
        let error = check_environment_kind(Some(EnvironmentKind::Sandbox), actual, "MyCustomer").unwrap_err();
        assert_eq!(error.details[0].code, "EnvironmentTypeDiffers");
    }

    fn any_availability() -> impl Strategy<Value = Availability> {
        prop::sample::select(Availability::ALL)
    }

    proptest! {
        /// What is needed of Business Central counts from both places and is held against both: whatever is refused for
        /// one of them alone is refused for both together.
        #[test]
        fn two_places_are_never_laxer_than_one(
            attribute in prop::option::of(24_u32..28),
            row in prop::option::of(24_u32..28),
            listed in prop::option::of(24_u32..28),
            there in prop::option::of(24_u32..28),
            complete: bool,
        ) {
            let of = |major: u32| AppVersion([major, 0, 0, 0]);
            let app_id = app_of_part(StandardPart::Application);
            let may_be = |attribute: Option<u32>, row: Option<u32>, listed: Option<u32>, there: Option<u32>| {
                let rows: Vec<_> = row.map(|min| Dependency { app_id, min_version: of(min), ..needs("0.0", None) })
                    .into_iter().collect();
                let inventory: Vec<_> = listed.map(|major| Installed { app_id, version: of(major) })
                    .into_iter().collect();
                found(&Facts {
                    target_application: attribute.map(of),
                    dependencies: &rows,
                    inventory: &inventory,
                    inventory_complete: complete && listed.is_some(),
                    application_version: there.map(of),
                    installed_dependencies: None,
                    ..good()
                }).is_empty()
            };
            if may_be(attribute, row, listed, there) {
                prop_assert!(may_be(attribute, None, listed, there) && may_be(None, row, listed, there));
                prop_assert!(may_be(attribute, row, listed, None) && may_be(attribute, row, None, there));
            }
        }

        /// The three questions agree: scheduling refuses for the first reason of the plan, starting skips for the first
        /// that concerns it, and nothing that leaves the line or goes down is ever let through.
        #[test]
        fn the_three_moments_agree(
            installed in prop::array::uniform4(0_u32..3),
            target in prop::array::uniform4(0_u32..3),
            source_is in prop::option::of(any_availability()),
            target_is in any_availability(),
            kind in prop::sample::select(EnvironmentKind::ALL),
            allow: bool,
            occupied: bool,
            runtime in prop::option::of(15_u32..18),
            application in prop::option::of(26_u32..29),
        ) {
            let facts = Facts {
                installed: AppVersion(installed),
                target: AppVersion(target),
                installed_availability: source_is,
                target_availability: target_is,
                environment_kind: kind,
                allow_preview_in_sandbox: allow,
                occupied_by: occupied.then(|| OperationId(Uuid::from_u128(1))),
                target_runtime: runtime.map(|major| AppVersion([major, 0, 0, 0])),
                application_version: application.map(|major| AppVersion([major, 0, 0, 0])),
                ..good()
            };
            let plan = found(&facts);
            let scheduled = check_schedule(&facts);
            let code = scheduled.as_ref().err().map(|error| error.details[0].code.clone());
            prop_assert_eq!(code.as_deref(), plan.first().map(|reason| reason.code()));
            prop_assert!(plan.is_sorted(), "in the order of the closed list");
            let first_to_skip = plan.iter().find_map(|reason| reason.skip_reason());
            match check_start(&facts) {
                Start::Go => prop_assert_eq!(first_to_skip, None),
                Start::Skip(skip) => prop_assert_eq!(first_to_skip, Some(skip.reason)),
            }
            if scheduled.is_ok() {
                prop_assert!(facts.target > facts.installed && facts.target.same_line(facts.installed));
                prop_assert!(source_is != Some(Availability::Preview));
                prop_assert!(target_is != Availability::Deprecated);
            }
        }
    }
}
