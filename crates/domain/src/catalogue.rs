//! What a version needs from the apps around it, and whether an environment has it.
//!
//! Asked when a publisher declares an incompatibility, and when a hotfix is scheduled, starts or is explained.
//! The hard part is ignorance: an inventory need not be complete, and an app that is not listed may be there
//! all the same.

use crate::{
    ids::AppId,
    problem::RuleError,
    version::{AppVersion, Dependency, MAX_PART},
};
use uuid::{Uuid, uuid};

const SYSTEM_APPLICATION: Uuid = uuid!("63ca2fa4-4f03-4f2b-a480-172fef340d3f");
const BUSINESS_FOUNDATION: Uuid = uuid!("f3552374-a1f2-4356-848e-196002525837");
const BASE_APPLICATION: Uuid = uuid!("437dbf0e-84ff-417a-965d-ed2bb9650972");
const APPLICATION: Uuid = uuid!("c1335042-3002-4257-bf8a-75c898ccb1b8");
const SYSTEM: Uuid = uuid!("8874ed3a-0643-4247-9ced-7a7002f7135d");

/// A part of Business Central that every environment has and that is visible as an app of Microsoft's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StandardPart {
    /// Its version is the environment's application version.
    Application,
    /// Its version is the environment's platform version.
    Platform,
}

/// Microsoft's own apps that a package needs without listing them, when its manifest says `Application` or
/// `Platform`: their ids, names, and the part whose version they share.
pub const STANDARD_APPS: &[(AppId, &str, StandardPart)] = &[
    (
        AppId(SYSTEM_APPLICATION),
        "System Application",
        StandardPart::Application,
    ),
    (
        AppId(BUSINESS_FOUNDATION),
        "Business Foundation",
        StandardPart::Application,
    ),
    (
        AppId(BASE_APPLICATION),
        "Base Application",
        StandardPart::Application,
    ),
    (AppId(APPLICATION), "Application", StandardPart::Application),
    (AppId(SYSTEM), "System", StandardPart::Platform),
];

/// The app that `Application` or `Platform` of a manifest means.
#[must_use]
pub fn app_of_part(part: StandardPart) -> AppId {
    match part {
        StandardPart::Application => AppId(APPLICATION),
        StandardPart::Platform => AppId(SYSTEM),
    }
}

/// The part of Business Central that an app stands for, if it does.
#[must_use]
pub fn standard_part(app: AppId) -> Option<StandardPart> {
    STANDARD_APPS
        .iter()
        .find(|(id, _, _)| *id == app)
        .map(|&(_, _, part)| part)
}

/// What a publisher declares, after publication, about a version and one of its dependencies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Incompatibility {
    /// The app that the version depends on.
    pub app_id: AppId,
    /// The first version of it that will no longer do; `None` takes an earlier declaration back.
    pub from: Option<AppVersion>,
}

/// The dependencies of a version after its publisher's declarations about some of them; the others stay as they are.
///
/// Standard apps that the package needs only by its manifest's `Application` or `Platform`, or by being an app at all,
/// can be named too; they then appear after the dependencies that it declares, with that version as the minimum, until
/// the declaration is taken back. So the outcome depends on the last declaration about each app alone.
///
/// Any version is taken, also one that is not above the declared minimum; nothing fits both then, see
/// [`unusable`].
///
/// # Errors
/// `UnknownDependency` for an app that the version does not depend on.
pub fn mark_incompatible(
    dependencies: &[Dependency],
    application: Option<AppVersion>,
    platform: Option<AppVersion>,
    changes: &[Incompatibility],
) -> Result<Vec<Dependency>, RuleError> {
    let mut marked = dependencies.to_vec();
    for change in changes {
        let is_meant = |listed: &Dependency| listed.app_id == change.app_id;
        if !marked.iter().any(is_meant) {
            marked.extend(implied_dependency(change.app_id, application, platform));
        }
        let dependency = marked.iter_mut().find(|listed| is_meant(listed));
        let dependency = dependency.ok_or_else(|| unknown_dependency(change.app_id))?;
        dependency.incompatible_from = change.from;
    }
    marked.retain(|dependency| !dependency.is_implied || dependency.incompatible_from.is_some());
    marked.sort_by_key(|dependency| dependency.is_implied.then(|| standard_index(dependency.app_id)));
    Ok(marked)
}

fn standard_index(app: AppId) -> Option<usize> {
    STANDARD_APPS.iter().position(|(id, _, _)| *id == app)
}

fn implied_dependency(
    app: AppId,
    application: Option<AppVersion>,
    platform: Option<AppVersion>,
) -> Option<Dependency> {
    let &(app_id, name, part) = STANDARD_APPS.iter().find(|(id, _, _)| *id == app)?;
    let declared = match part {
        StandardPart::Application => application,
        StandardPart::Platform => platform,
    };
    let (name, publisher) = (name.to_owned(), "Microsoft".to_owned());
    Some(Dependency {
        app_id,
        name,
        publisher,
        min_version: declared.unwrap_or_default(),
        incompatible_from: None,
        is_implied: true,
    })
}

fn unknown_dependency(app: AppId) -> RuleError {
    let message = format!("The version does not depend on app {app}.");
    RuleError::broken("UnknownDependency", message).about("dependencies")
}

/// The dependencies that no version of theirs fits any more: marked incompatible from the least version needed, or from
/// one below it.
pub fn unusable(dependencies: &[Dependency]) -> impl Iterator<Item = &Dependency> {
    dependencies.iter().filter(|dependency| {
        let from = dependency.incompatible_from;
        from.is_some_and(|from| from <= dependency.min_version)
    })
}

/// What counts as needed already where an app is not installed: the parts of Business Central, in whatever version, since every
/// environment has them.
#[must_use]
pub fn needed_before_install() -> Vec<Dependency> {
    let everything = AppVersion([MAX_PART; 4]);
    let parts = STANDARD_APPS.iter().map(|&(app_id, name, _)| Dependency {
        app_id,
        name: name.to_owned(),
        publisher: "Microsoft".to_owned(),
        min_version: everything,
        incompatible_from: None,
        is_implied: true,
    });
    parts.collect()
}

/// An app that is installed in an environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Installed {
    /// The app.
    pub app_id: AppId,
    /// The version installed.
    pub version: AppVersion,
}

/// An installed app whose publisher said from which version of the app in question on it no longer works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DependantConstraint {
    /// The installed app that depends on the app in question.
    pub app_id: AppId,
    /// Its name.
    pub name: String,
    /// The first version of the app in question that it cannot live with.
    pub incompatible_from: AppVersion,
}

impl DependantConstraint {
    /// Whether the dependant goes on working beside `version`.
    #[must_use]
    pub fn accepts(&self, version: AppVersion) -> bool {
        version < self.incompatible_from
    }
}

/// What is known about an environment's apps.
#[derive(Clone, Copy, Debug)]
pub struct EnvironmentApps<'a> {
    /// The apps known to be installed.
    pub inventory: &'a [Installed],
    /// Whether those are all.
    pub inventory_complete: bool,
    /// The version of Business Central's application, if known.
    pub application_version: Option<AppVersion>,
    /// The version of Business Central's platform, if known.
    pub platform_version: Option<AppVersion>,
    /// What the version that is installed now declares it needs; `None` when that is not known.
    pub declared_before: Option<&'a [Dependency]>,
}

/// How an environment meets a dependency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DependencyState {
    /// It is there and fits, or nothing speaks against it.
    Met,
    /// The inventory says that it is not there.
    Missing,
    /// The inventory is not complete, and the installed version does not need it, or needs less of it.
    Unproven,
    /// It is there, below the version needed.
    TooOld(AppVersion),
    /// It is there, at or above the version marked incompatible.
    Incompatible(AppVersion),
}

impl EnvironmentApps<'_> {
    /// How `dependency` is met.
    ///
    /// An app that is listed is judged by its version. One that is not listed, and that the package itself
    /// does not declare, is a part of Business Central: it is judged by the environment's own version, and
    /// while nobody knows that, nothing speaks against it. Any other is missing if the inventory is complete.
    /// Otherwise a standard app is judged by the environment's own version, and the rest count as there when
    /// the installed version needs as much of it already: it could not run without. When nobody knows what
    /// the installed version needs, nothing speaks against it either.
    #[must_use]
    pub fn state_of(&self, dependency: &Dependency) -> DependencyState {
        let listed = self
            .inventory
            .iter()
            .find(|installed| installed.app_id == dependency.app_id);
        self.state_with(dependency, listed.map(|installed| installed.version))
    }

    /// The same, for whoever has looked up already in which version the app is listed, if it is.
    pub(crate) fn state_with(&self, dependency: &Dependency, listed: Option<AppVersion>) -> DependencyState {
        if let Some(version) = listed {
            return judge(dependency, version);
        }
        if self.inventory_complete && !dependency.is_implied {
            return DependencyState::Missing;
        }
        if let Some(version) = self.version_of_part(dependency.app_id) {
            return judge(dependency, version);
        }
        if dependency.is_implied || self.was_needed_before(dependency) {
            DependencyState::Met
        } else {
            DependencyState::Unproven
        }
    }

    fn version_of_part(&self, app: AppId) -> Option<AppVersion> {
        match standard_part(app)? {
            StandardPart::Application => self.application_version,
            StandardPart::Platform => self.platform_version,
        }
    }

    fn was_needed_before(&self, dependency: &Dependency) -> bool {
        let Some(declared) = self.declared_before else {
            return true;
        };
        let as_much = |before: &Dependency| {
            before.app_id == dependency.app_id && before.min_version >= dependency.min_version
        };
        declared.iter().any(as_much)
    }
}

fn judge(dependency: &Dependency, version: AppVersion) -> DependencyState {
    if version < dependency.min_version {
        DependencyState::TooOld(version)
    } else if dependency.accepts(version) {
        DependencyState::Met
    } else {
        DependencyState::Incompatible(version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const OTHER: AppId = AppId(uuid!("44445555-eeee-6666-ffff-7777aaaa8888"));

    fn version(text: &str) -> AppVersion {
        text.parse().unwrap()
    }

    fn needs(app_id: AppId, min: &str, incompatible_from: Option<&str>) -> Dependency {
        Dependency {
            app_id,
            name: "Example Dependency".into(),
            publisher: "Fabrikam".into(),
            min_version: version(min),
            incompatible_from: incompatible_from.map(version),
            is_implied: false,
        }
    }

    fn nothing_known() -> EnvironmentApps<'static> {
        EnvironmentApps {
            inventory: &[],
            inventory_complete: false,
            application_version: None,
            platform_version: None,
            declared_before: None,
        }
    }

    #[test]
    fn what_is_listed_is_judged_by_its_version() {
        let inventory = [Installed {
            app_id: OTHER,
            version: version("2.0"),
        }];
        let known = EnvironmentApps {
            inventory: &inventory,
            ..nothing_known()
        };
        assert_eq!(known.state_of(&needs(OTHER, "2.0", None)), DependencyState::Met);
        assert_eq!(
            known.state_of(&needs(OTHER, "2.1", None)),
            DependencyState::TooOld(version("2.0"))
        );
        assert_eq!(
            known.state_of(&needs(OTHER, "1.0", Some("2.0"))),
            DependencyState::Incompatible(version("2.0"))
        );
        assert_eq!(
            known.state_of(&needs(OTHER, "1.0", Some("2.0.0.1"))),
            DependencyState::Met
        );
    }

    #[test]
    fn what_is_not_listed_is_missing_only_from_a_complete_inventory() {
        let before = [needs(OTHER, "1.5", None)];
        let partial = EnvironmentApps {
            declared_before: Some(&before),
            ..nothing_known()
        };
        assert_eq!(partial.state_of(&needs(OTHER, "1.5", None)), DependencyState::Met);
        assert_eq!(partial.state_of(&needs(OTHER, "1.0", None)), DependencyState::Met);
        assert_eq!(
            partial.state_of(&needs(OTHER, "1.6", None)),
            DependencyState::Unproven
        );
        let complete = EnvironmentApps {
            inventory_complete: true,
            ..partial
        };
        assert_eq!(
            complete.state_of(&needs(OTHER, "1.0", None)),
            DependencyState::Missing
        );
        assert_eq!(
            nothing_known().state_of(&needs(OTHER, "9.0", None)),
            DependencyState::Met
        );
    }

    #[test]
    fn standard_apps_are_as_old_as_the_environment() {
        let system = AppId(SYSTEM_APPLICATION);
        let known = EnvironmentApps {
            application_version: Some(version("26.0")),
            platform_version: Some(version("25.0")),
            declared_before: Some(&[]),
            ..nothing_known()
        };
        assert_eq!(known.state_of(&needs(system, "26.0", None)), DependencyState::Met);
        assert_eq!(
            known.state_of(&needs(system, "27.0", None)),
            DependencyState::TooOld(version("26.0"))
        );
        assert_eq!(
            known.state_of(&needs(system, "16.0", Some("26.0"))),
            DependencyState::Incompatible(version("26.0"))
        );
        assert_eq!(
            known.state_of(&needs(AppId(SYSTEM), "26.0", None)),
            DependencyState::TooOld(version("25.0"))
        );
    }

    fn word(app_id: AppId, from: &str) -> Incompatibility {
        Incompatibility {
            app_id,
            from: Some(version(from)),
        }
    }

    fn take_back(app_id: AppId) -> Incompatibility {
        Incompatibility { app_id, from: None }
    }

    #[test]
    fn a_publisher_marks_and_unmarks_what_the_version_depends_on() {
        let declared = [needs(OTHER, "1.0", None)];
        let marked = mark_incompatible(&declared, None, None, &[word(OTHER, "2.0")]).unwrap();
        assert_eq!(marked, [needs(OTHER, "1.0", Some("2.0"))]);
        assert_eq!(
            mark_incompatible(&marked, None, None, &[take_back(OTHER)]).unwrap(),
            declared
        );
    }

    #[test]
    fn the_documented_example_marks_the_system_application() {
        let system = AppId(SYSTEM_APPLICATION);
        let manifest_says = Some(version("15.0"));
        let marked = mark_incompatible(&[], manifest_says, None, &[word(system, "16.0.0.0")]).unwrap();
        let as_implied = Dependency {
            name: "System Application".into(),
            publisher: "Microsoft".into(),
            is_implied: true,
            ..needs(system, "15.0", Some("16.0"))
        };
        assert_eq!(marked, [as_implied]);
        assert_eq!(
            mark_incompatible(&marked, manifest_says, None, &[take_back(system)]).unwrap(),
            []
        );
        assert_eq!(
            mark_incompatible(&[], manifest_says, None, &[take_back(system)]).unwrap(),
            [],
            "what was never said can be taken back"
        );
    }

    #[test]
    fn what_the_package_declares_stays_even_if_it_is_implied_too() {
        let system = AppId(SYSTEM_APPLICATION);
        let declared = [needs(system, "15.0", None)];
        let manifest_says = Some(version("15.0"));
        let marked = mark_incompatible(&declared, manifest_says, None, &[word(system, "16.0")]).unwrap();
        assert_eq!(marked, [needs(system, "15.0", Some("16.0"))]);
        assert_eq!(
            mark_incompatible(&marked, manifest_says, None, &[take_back(system)]).unwrap(),
            declared
        );
    }

    #[test]
    fn a_part_of_business_central_is_never_missing() {
        let implied = |app_id, incompatible_from| Dependency {
            is_implied: true,
            ..needs(app_id, "25.0", Some(incompatible_from))
        };
        let unknown = EnvironmentApps {
            inventory_complete: true,
            declared_before: Some(&[]),
            ..nothing_known()
        };
        let known = EnvironmentApps {
            application_version: Some(version("26.0")),
            platform_version: Some(version("24.0")),
            ..unknown
        };
        for inventory_complete in [false, true] {
            let (known, unknown) = (
                EnvironmentApps {
                    inventory_complete,
                    ..known
                },
                EnvironmentApps {
                    inventory_complete,
                    ..unknown
                },
            );
            let base = AppId(BASE_APPLICATION);
            assert_eq!(known.state_of(&implied(base, "27.0")), DependencyState::Met);
            let newer = DependencyState::Incompatible(version("26.0"));
            assert_eq!(known.state_of(&implied(base, "26.0")), newer);
            let older = DependencyState::TooOld(version("24.0"));
            assert_eq!(known.state_of(&implied(AppId(SYSTEM), "26.0")), older);
            assert_eq!(unknown.state_of(&implied(base, "26.0")), DependencyState::Met);
        }
        let listed = [Installed {
            app_id: AppId(BASE_APPLICATION),
            version: version("27.1"),
        }];
        let known = EnvironmentApps {
            inventory: &listed,
            ..known
        };
        assert_eq!(
            known.state_of(&implied(AppId(BASE_APPLICATION), "27.0")),
            DependencyState::Incompatible(version("27.1")),
            "what is listed counts first"
        );
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let reason = |change| {
            let refused = mark_incompatible(&[needs(OTHER, "1.0", None)], None, None, &[change]).unwrap_err();
            refused.details[0].code.clone()
        };
        assert_eq!(
            reason(word(AppId(Uuid::from_u128(1)), "16.0")),
            "UnknownDependency"
        );
    }

    #[test]
    fn any_version_may_be_marked_and_what_fits_nothing_is_told() {
        let declared = [needs(OTHER, "2.0", None)];
        for (from, fits_nothing) in [("0.0", true), ("1.0", true), ("2.0", true), ("2.0.0.1", false)] {
            let marked = mark_incompatible(&declared, None, None, &[word(OTHER, from)]).unwrap();
            assert_eq!(marked, [needs(OTHER, "2.0", Some(from))]);
            assert_eq!(unusable(&marked).count() == 1, fits_nothing, "{from}");
        }
        assert_eq!(unusable(&declared).count(), 0);
    }

    #[test]
    fn a_standard_app_may_be_marked_though_the_manifest_names_no_part() {
        for &(app, name, _) in STANDARD_APPS {
            let marked = mark_incompatible(&[], None, None, &[word(app, "16.0.0.0")]).unwrap();
            let implied = Dependency {
                name: name.into(),
                publisher: "Microsoft".into(),
                is_implied: true,
                ..needs(app, "0.0", Some("16.0"))
            };
            assert_eq!(marked, [implied]);
            assert_eq!(
                mark_incompatible(&marked, None, None, &[take_back(app)]).unwrap(),
                []
            );
        }
    }

    /// One word on each of some apps that a package depends on: declared, declared and implied, and implied.
    fn words() -> impl Strategy<Value = Vec<Incompatibility>> {
        let known = [
            OTHER,
            AppId(SYSTEM_APPLICATION),
            AppId(BASE_APPLICATION),
            AppId(SYSTEM),
        ];
        let word = |app_id| {
            let from =
                prop::option::of(0_u32..19).prop_map(|from| from.map(|major| AppVersion([major, 0, 0, 0])));
            from.prop_map(move |from| Incompatibility { app_id, from })
        };
        prop::sample::subsequence(known.to_vec(), 0..=known.len())
            .prop_shuffle()
            .prop_flat_map(move |apps| apps.into_iter().map(word).collect::<Vec<_>>())
    }

    proptest! {
        /// However much was said before, taking back what was said since leads to where it began, in any order.
        #[test]
        fn taking_back_is_the_inverse_of_marking(
            earlier in words(),
            named: bool,
            (since, undone) in words().prop_flat_map(|since| {
                (Just(since.clone()), Just(since).prop_shuffle())
            }),
        ) {
            let manifest_says = named.then(|| version("15.0"));
            let said = |dependencies: &[Dependency], words: &[Incompatibility]| {
                mark_incompatible(dependencies, manifest_says, manifest_says, words).unwrap()
            };
            let declared = [needs(AppId(SYSTEM_APPLICATION), "15.0", None), needs(OTHER, "1.0", None)];
            let before = said(&declared, &earlier);
            let after = said(&before, &since);
            for word in &since {
                let found = after.iter().find(|dependency| dependency.app_id == word.app_id);
                prop_assert_eq!(found.and_then(|dependency| dependency.incompatible_from), word.from);
            }
            let back_to_earlier = |word: &Incompatibility| {
                let found = before.iter().find(|dependency| dependency.app_id == word.app_id);
                Incompatibility { from: found.and_then(|dependency| dependency.incompatible_from), ..*word }
            };
            let taken_back = undone
                .iter()
                .fold(after, |state, word| said(&state, &[back_to_earlier(word)]));
            prop_assert_eq!(taken_back, before);
        }

        /// Learning that the list was complete can only make a dependency worse off, and listing a fitting
        /// version always meets it.
        #[test]
        fn knowledge_is_monotone(min in 0_u32..4, listed in prop::option::of(0_u32..6), complete: bool) {
            let inventory: Vec<_> = listed.iter().map(|&n| Installed { app_id: OTHER,
                version: AppVersion([n, 0, 0, 0]) }).collect();
            let dependency = needs(OTHER, &format!("{min}.0"), Some("4.0"));
            let known = EnvironmentApps { inventory: &inventory, inventory_complete: complete,
                ..nothing_known() };
            let standing = known.state_of(&dependency);
            match listed {
                Some(n) => prop_assert_eq!(standing == DependencyState::Met, (min..4).contains(&n)),
                None => prop_assert_eq!(standing == DependencyState::Missing, complete),
            }
        }
    }
}
