use super::*;
use crate::{catalogue::STANDARD_APPS, signer::SignerKey};
use proptest::prelude::*;
use std::collections::{BTreeSet, HashSet};
use uuid::Uuid;

fn app(number: usize) -> AppId {
    AppId(Uuid::from_u128(u128::try_from(number).unwrap() + 1))
}

fn version(major: u32) -> AppVersion {
    AppVersion([major, 0, 0, 0])
}

fn needs(number: usize, least: u32, incompatible_from: Option<u32>) -> Dependency {
    Dependency {
        app_id: app(number),
        name: format!("App {number}"),
        publisher: "Contoso".into(),
        min_version: version(least),
        incompatible_from: incompatible_from.map(version),
        is_implied: false,
    }
}

fn offer(number: usize, major: u32, dependencies: &[Dependency]) -> Offer {
    Offer {
        app_id: app(number),
        version: version(major),
        name: format!("App {number}"),
        publisher: "Contoso".into(),
        availability: Availability::Available,
        dependencies: dependencies.to_vec(),
        application: None,
        platform: None,
        runtime: None,
        signer: None,
    }
}

fn installed(major: u32, dependencies: &[Dependency]) -> App {
    App {
        version: version(major),
        name: "An app".into(),
        publisher: "Contoso".into(),
        availability: Some(Availability::Available),
        dependencies: Some(dependencies.to_vec()),
        can_be_uninstalled: None,
    }
}

fn environment(apps: impl IntoIterator<Item = (usize, App)>) -> Environment {
    Environment {
        family: "BusinessCentral".into(),
        name: "Production".into(),
        country: "DK".parse().unwrap(),
        kind: EnvironmentKind::Production,
        application_version: Some(version(26)),
        platform_version: Some(version(26)),
        apps: apps
            .into_iter()
            .map(|(number, there)| (app(number), there))
            .collect(),
        inventory_complete: true,
        occupied: HashMap::new(),
    }
}

fn catalogue(offers: impl IntoIterator<Item = Offer>) -> Catalogue {
    offers.into_iter().collect()
}

fn install(number: usize) -> Request {
    Request::Install {
        app: app(number),
        target: None,
        allow_preview: false,
        allow_dependencies: true,
    }
}

fn update(number: usize, major: u32) -> Request {
    Request::Update {
        app: app(number),
        target: version(major),
        allow_preview: false,
        allow_dependencies: true,
    }
}

fn uninstall(number: usize, allow_dependents: bool) -> Request {
    Request::Uninstall {
        app: app(number),
        allow_dependents,
    }
}

fn alone(request: Request) -> Request {
    match request {
        Request::Install {
            app,
            target,
            allow_preview,
            ..
        } => Request::Install {
            app,
            target,
            allow_preview,
            allow_dependencies: false,
        },
        Request::Update {
            app,
            target,
            allow_preview,
            ..
        } => Request::Update {
            app,
            target,
            allow_preview,
            allow_dependencies: false,
        },
        Request::Uninstall { app, .. } => Request::Uninstall {
            app,
            allow_dependents: false,
        },
    }
}

/// The steps in words: `+` for an install, `^` for an update, `-` for an uninstall.
fn told(plan: &Plan) -> Vec<String> {
    let word = |step: &Step| {
        let number = step.app_id.0.as_u128() - 1;
        match step.kind {
            OperationKind::Install => format!("+{number}@{}", step.to.unwrap().major()),
            OperationKind::Uninstall => format!("-{number}"),
            _ => format!("^{number}@{}", step.to.unwrap().major()),
        }
    };
    plan.steps.iter().map(word).collect()
}

fn planned(
    environment: &Environment,
    offers: impl IntoIterator<Item = Offer>,
    request: &Request,
) -> Vec<String> {
    told(&plan(environment, &catalogue(offers), request).unwrap())
}

fn refused(
    environment: &Environment,
    offers: impl IntoIterator<Item = Offer>,
    request: &Request,
) -> RuleError {
    plan(environment, &catalogue(offers), request).unwrap_err()
}

fn reason(error: &RuleError) -> &str {
    error.details.first().map_or("", |detail| &detail.code)
}

#[test]
fn an_app_brings_what_it_needs_before_it_in_the_newest_version_that_is_offered() {
    let offers = [
        offer(0, 1, &[]),
        offer(0, 2, &[needs(1, 2, None)]),
        offer(1, 1, &[]),
        offer(1, 2, &[]),
        offer(1, 3, &[needs(2, 1, None)]),
        Offer {
            availability: Availability::Preview,
            ..offer(1, 4, &[])
        },
        offer(2, 1, &[]),
    ];
    let empty = environment([]);
    assert_eq!(
        planned(&empty, offers.clone(), &install(0)),
        ["+2@1", "+1@3", "+0@2"]
    );
    let plan = plan(&empty, &catalogue(offers), &install(0)).unwrap();
    let because: Vec<_> = plan.steps.iter().map(|step| step.because.as_str()).collect();
    assert!(because[0].contains("Version 3.0.0.0 of 'App 1'"), "{because:?}");
    assert!(
        because[1].contains("needs 'App 1' in version 2.0.0.0 or later"),
        "{because:?}"
    );
    assert_eq!((because[2], plan.steps[2].is_asked), ("It was asked for.", true));
}

#[test]
fn what_is_there_and_fits_stays_as_it_is() {
    let offers = [
        offer(0, 2, &[needs(1, 1, None), needs(2, 2, None)]),
        offer(1, 5, &[]),
        offer(2, 2, &[]),
        offer(2, 3, &[]),
    ];
    let there = environment([
        (0, installed(1, &[])),
        (1, installed(1, &[])),
        (2, installed(1, &[])),
    ]);
    assert_eq!(planned(&there, offers, &update(0, 2)), ["^2@3", "^0@2"]);
}

#[test]
fn an_update_is_made_together_with_that_of_what_it_would_break() {
    let add_on = installed(1, &[needs(0, 1, Some(2))]);
    let there = environment([(0, installed(1, &[])), (1, add_on)]);
    let with = |add_ons: Vec<Offer>| [vec![offer(0, 2, &[])], add_ons].concat();
    let goes_with_both = with(vec![offer(1, 2, &[needs(0, 1, None)])]);
    assert_eq!(
        planned(&there, goes_with_both, &update(0, 2)),
        ["^1@2", "^0@2"],
        "first out of the way"
    );
    let goes_with_the_new = with(vec![offer(1, 2, &[needs(0, 2, None)])]);
    assert_eq!(
        planned(&there, goes_with_the_new, &update(0, 2)),
        ["^0@2", "^1@2"]
    );
    let goes_alone = with(vec![offer(1, 2, &[])]);
    assert_eq!(planned(&there, goes_alone, &update(0, 2)), ["^1@2", "^0@2"]);

    let nothing_newer = with(vec![offer(1, 1, &[needs(0, 1, Some(2))])]);
    let error = refused(&there, nothing_newer, &update(0, 2));
    assert_eq!(reason(&error), "DependantIncompatible");
    assert!(error.message.contains("from version 2.0.0.0 on"), "{error}");
    assert!(error.message.contains("offered in DK"), "{error}");
}

/// Both ways: what the new version cannot live with is not brought in, and what is there and is too new keeps it out.
#[test]
fn incompatibilities_count_both_ways() {
    let needing = |from| offer(0, 2, &[needs(1, 1, Some(from))]);
    let too_new = environment([(0, installed(1, &[])), (1, installed(3, &[]))]);
    let error = refused(&too_new, [needing(3)], &update(0, 2));
    assert_eq!(reason(&error), "DependencyIncompatible");
    assert!(error.message.contains("has 3.0.0.0"), "{error}");
    assert_eq!(planned(&too_new, [needing(4)], &update(0, 2)), ["^0@2"]);
    let offers = [needing(3), offer(1, 2, &[]), offer(1, 3, &[])];
    assert_eq!(planned(&environment([]), offers, &install(0)), ["+1@2", "+0@2"]);
}

#[test]
fn two_apps_that_want_different_versions_of_a_third_meet_where_both_can() {
    let offers = [
        offer(0, 1, &[needs(1, 1, None), needs(2, 1, None)]),
        offer(1, 1, &[needs(3, 1, None)]),
        offer(1, 2, &[needs(3, 2, None)]),
        offer(2, 1, &[needs(3, 1, Some(2))]),
        offer(3, 1, &[]),
        offer(3, 2, &[]),
    ];
    assert_eq!(
        planned(&environment([]), offers, &install(0)),
        ["+3@1", "+1@1", "+2@1", "+0@1"]
    );
}

#[test]
fn an_app_asked_for_without_a_version_goes_to_the_highest_that_has_a_plan() {
    let offers = [
        offer(0, 1, &[]),
        offer(0, 2, &[needs(1, 1, None)]),
        Offer {
            application: Some(version(27)),
            ..offer(0, 3, &[])
        },
        offer(0, 4, &[needs(1, 9, None)]),
        offer(1, 1, &[]),
    ];
    assert_eq!(planned(&environment([]), offers, &install(0)), ["+1@1", "+0@2"]);
}

#[test]
fn what_is_not_allowed_is_told_as_a_whole_and_in_order() {
    let offers = [
        offer(0, 2, &[needs(1, 1, None), needs(3, 2, None)]),
        offer(1, 1, &[needs(2, 1, None)]),
        offer(2, 1, &[]),
        offer(3, 2, &[]),
    ];
    let there = environment([(0, installed(1, &[])), (3, installed(1, &[]))]);
    let error = refused(&there, offers, &alone(update(0, 2)));
    assert_eq!(
        (error.code, reason(&error)),
        (Code::EntityValidationFailed, "DependencyMissing")
    );
    let listed: Vec<_> = error
        .requirements
        .iter()
        .map(|one| (one.app_id, one.kind, one.version))
        .collect();
    let (install, update) = (OperationKind::Install, OperationKind::Update);
    let expected = [
        (app(2), install, version(1)),
        (app(1), install, version(1)),
        (app(3), update, version(2)),
    ];
    assert_eq!(listed, expected);
    let known = "requires the following apps to be installed or updated as dependencies, please either allow automatic \
                 dependency installation/update or do the operation manually";
    assert!(error.message.contains(known), "{error}");
    assert_eq!(
        error.target.unwrap(),
        format!("BusinessCentral/Production/apps/{}", app(0))
    );
    let codes: Vec<_> = error.details.iter().map(|detail| detail.code.as_str()).collect();
    assert_eq!(
        codes,
        ["DependencyMissing", "DependencyMissing", "DependencyTooOld"]
    );
}

#[test]
fn what_would_break_is_told_so_where_nothing_else_may_change() {
    let offers = [
        offer(0, 2, &[needs(2, 2, None)]),
        offer(1, 2, &[]),
        offer(2, 2, &[]),
    ];
    let there = environment([
        (0, installed(1, &[])),
        (1, installed(1, &[needs(0, 1, Some(2))])),
        (2, installed(1, &[])),
    ]);
    let error = refused(&there, offers, &alone(update(0, 2)));
    let requirements = error.requirements.iter().map(|one| one.app_id);
    let codes = error.details.iter().map(|detail| detail.code.as_str());
    let told: HashMap<_, _> = requirements.zip(codes).collect();
    let expected = [(app(1), "DependantIncompatible"), (app(2), "DependencyTooOld")];
    assert_eq!(told, HashMap::from(expected));
}

#[test]
fn a_version_that_is_not_there_is_told_so_that_programs_can_read_it() {
    let there = environment([(0, installed(1, &[]))]);
    for (request, shown) in [
        (update(0, 9), "9.0.0.0"),
        (install(1), "latest compatible"),
        (update(1, 9), "9.0.0.0"),
    ] {
        let preview = Offer {
            availability: Availability::Preview,
            ..offer(1, 1, &[])
        };
        let error = refused(&there, [preview], &request);
        assert_eq!(reason(&error), "TargetNotFound");
        assert!(
            error
                .message
                .starts_with("Entity validation failed: Target app version was not found.")
        );
        let pieces: Vec<_> = error.message.split('\'').collect();
        pieces[1].parse::<AppId>().unwrap();
        assert_eq!((pieces[3], pieces[5]), (shown, "DK"));
    }
}

#[test]
fn an_app_is_installed_once_and_only_what_is_there_is_updated_or_taken_out() {
    let there = environment([(0, installed(1, &[]))]);
    let offers = || [offer(0, 2, &[]), offer(1, 1, &[])];
    let error = refused(&there, offers(), &install(0));
    assert_eq!(reason(&error), "AlreadyInstalled");
    assert!(
        error
            .message
            .contains("Entity validation failed: App is already installed."),
        "{error}"
    );
    for request in [update(1, 1), uninstall(1, true)] {
        let error = refused(&there, offers(), &request);
        assert_eq!(error.code, Code::ResourceDoesNotExist);
        assert_eq!(
            error.target.unwrap(),
            format!("BusinessCentral/Production/apps/{}", app(1))
        );
    }
}

#[test]
fn a_slot_is_one_operations_and_what_it_keeps_from_changing_is_told() {
    let other = OperationId(Uuid::from_u128(7));
    let mut there = environment([(0, installed(1, &[])), (1, installed(1, &[]))]);
    there.occupied.insert(app(0), other);
    let offers = || [offer(0, 2, &[]), offer(1, 2, &[needs(0, 2, None)])];
    for request in [update(0, 2), uninstall(0, true)] {
        let error = refused(&there, offers(), &request);
        assert_eq!(reason(&error), "AlreadyScheduled");
        assert!(error.message.contains("already been scheduled"), "{error}");
        assert_eq!(error.extension, [("operationId", other.to_string())]);
    }
    let error = refused(&there, offers(), &update(1, 2));
    assert_eq!(reason(&error), "DependencyTooOld");
    assert!(error.message.contains(&other.to_string()), "{error}");
    assert!(
        !error.message.contains("already been scheduled"),
        "clients take that for their own app's"
    );
    assert_eq!(
        available_updates(&there, &catalogue(offers())).available.len(),
        2,
        "it stays listed"
    );
}

#[test]
fn previews_are_for_sandboxes_that_ask_for_them_and_for_the_app_asked_for_alone() {
    let preview = |number, dependencies: &[Dependency]| Offer {
        availability: Availability::Preview,
        ..offer(number, 2, dependencies)
    };
    let asked = Request::Update {
        app: app(0),
        target: version(2),
        allow_preview: true,
        allow_dependencies: true,
    };
    let production = environment([(0, installed(1, &[]))]);
    let sandbox = Environment {
        kind: EnvironmentKind::Sandbox,
        ..production.clone()
    };
    assert_eq!(
        reason(&refused(&production, [preview(0, &[])], &asked)),
        "TargetPreview"
    );
    assert_eq!(
        reason(&refused(&sandbox, [preview(0, &[])], &update(0, 2))),
        "TargetPreview"
    );
    assert_eq!(planned(&sandbox, [preview(0, &[])], &asked), ["^0@2"]);
    let needing_one = [preview(0, &[needs(1, 2, None)]), preview(1, &[])];
    assert_eq!(
        reason(&refused(&sandbox, needing_one, &asked)),
        "DependencyMissing"
    );
    assert_eq!(
        available_updates(&sandbox, &catalogue([preview(0, &[])])),
        Updates::default()
    );
}

#[test]
fn what_stands_against_the_version_itself_is_told() {
    let there = environment([(0, installed(2, &[]))]);
    let at = |major| offer(0, major, &[]);
    let against = |one: Offer| {
        let major = one.version.major();
        reason(&refused(&there, [one], &update(0, major))).to_owned()
    };
    assert_eq!(against(at(2)), "NotNewer");
    assert_eq!(against(at(1)), "NotNewer");
    let deprecated = Availability::Deprecated;
    assert_eq!(
        against(Offer {
            availability: deprecated,
            ..at(3)
        }),
        "TargetDeprecated"
    );
    let later = Some(version(27));
    assert_eq!(
        against(Offer {
            application: later,
            ..at(3)
        }),
        "ApplicationTooOld"
    );
    assert_eq!(
        against(Offer {
            platform: later,
            ..at(3)
        }),
        "PlatformTooOld"
    );
    assert_eq!(
        against(Offer {
            runtime: Some(version(16)),
            ..at(3)
        }),
        "RuntimeTooNew"
    );

    let mut in_preview = there.clone();
    in_preview.apps.get_mut(&app(0)).unwrap().availability = Some(Availability::Preview);
    assert_eq!(
        reason(&refused(&in_preview, [at(3)], &update(0, 3))),
        "InstalledIsPreview"
    );
    assert_eq!(planned(&there, [at(3)], &update(0, 3)), ["^0@3"]);
}

#[test]
fn what_was_not_signed_by_whom_it_must_be_goes_nowhere() {
    let signed = |offer: Offer| Offer {
        signer: Some(Signer {
            key: SignerKey([0xA1; 32]),
            subject: "CN=Contoso".into(),
        }),
        ..offer
    };
    let offers = || {
        [
            signed(offer(0, 2, &[])),
            offer(0, 3, &[needs(1, 2, None)]),
            offer(1, 2, &[]),
            offer(2, 2, &[needs(1, 2, None)]),
            offer(3, 1, &[needs(1, 2, None)]),
        ]
    };
    let there = environment([0, 1, 2].map(|number| (number, installed(1, &[]))));
    let ruled = |number, rule| catalogue(offers()).with_signer_rules(HashMap::from([(app(number), rule)]));
    let offered = |catalogue: &Catalogue| {
        let updates = available_updates(&there, catalogue).available.into_iter();
        updates
            .map(|update| (update.app_id, update.version))
            .collect::<Vec<_>>()
    };
    let refused = |catalogue: &Catalogue, request| plan(&there, catalogue, &request).unwrap_err();
    for rule in [
        SignerRule::Signed,
        SignerRule::Pinned([SignerKey([0xA1; 32])].into()),
    ] {
        let of_the_app = ruled(0, rule.clone());
        let (two, three) = (version(2), version(3));
        assert_eq!(
            offered(&of_the_app),
            [(app(0), two), (app(1), two), (app(2), two)]
        );
        assert!(plan(&there, &of_the_app, &update(0, 2)).is_ok());
        let error = refused(&of_the_app, update(0, 3));
        assert_eq!(reason(&error), "SignerNotAllowed");
        assert!(error.message.contains(&three.to_string()), "{error}");
        // Nothing is begun for which another app would have to go to such a version.
        let of_what_is_needed = ruled(1, rule);
        assert_eq!(offered(&of_what_is_needed), [(app(0), two)]);
        for request in [update(2, 2), install(3)] {
            let error = refused(&of_what_is_needed, request);
            assert_eq!(reason(&error), "DependencyTooOld");
            assert!(error.message.contains("must be signed"), "{error}");
        }
    }
    let another = ruled(0, SignerRule::Pinned([SignerKey([0xB2; 32])].into()));
    assert_eq!(reason(&refused(&another, update(0, 2))), "SignerNotAllowed");
}

#[test]
fn a_refusal_says_which_app_of_a_chain_cannot_be_had() {
    let offers = [
        offer(0, 1, &[needs(1, 1, None)]),
        offer(1, 1, &[needs(2, 5, None)]),
        offer(2, 4, &[]),
    ];
    let error = refused(&environment([]), offers, &install(0));
    assert_eq!(reason(&error), "DependencyMissing");
    for fact in ["'App 1'", "'App 2'", "5.0.0.0", "4.0.0.0", "DK"] {
        assert!(error.message.contains(fact), "{fact}: {error}");
    }
}

#[test]
fn parts_of_business_central_are_never_changed_and_never_missing_where_nothing_is_known() {
    let part = STANDARD_APPS[2].0;
    let base = Dependency {
        app_id: part,
        ..needs(9, 26, None)
    };
    let newer = Offer {
        app_id: part,
        ..offer(9, 27, &[])
    };
    let asking = |least| Dependency {
        min_version: version(least),
        ..base.clone()
    };
    let unknown = Environment {
        application_version: None,
        inventory_complete: false,
        ..environment([])
    };
    assert_eq!(
        planned(&unknown, [offer(0, 1, &[asking(27)]), newer.clone()], &install(0)),
        ["+0@1"]
    );
    let known = Environment {
        inventory_complete: false,
        ..environment([])
    };
    assert_eq!(
        planned(&known, [offer(0, 1, &[asking(26)])], &install(0)),
        ["+0@1"]
    );
    let too_old = refused(&known, [offer(0, 1, &[asking(27)]), newer], &install(0));
    assert!(too_old.message.contains("part of the environment"), "{too_old}");
}

#[test]
fn what_an_incomplete_inventory_does_not_list_is_not_counted_on() {
    let partial = Environment {
        inventory_complete: false,
        ..environment([])
    };
    let needing = || offer(0, 1, &[needs(1, 1, None)]);
    let error = refused(&partial, [needing()], &install(0));
    assert_eq!(reason(&error), "DependencyMissing");
    assert!(error.message.contains("does not list it"), "{error}");
    assert_eq!(
        planned(&partial, [needing(), offer(1, 1, &[])], &install(0)),
        ["+1@1", "+0@1"]
    );
    let needed_before = Environment {
        inventory_complete: false,
        ..environment([(0, installed(1, &[needs(1, 1, None)]))])
    };
    let newer = Offer {
        version: version(2),
        ..needing()
    };
    assert_eq!(planned(&needed_before, [newer], &update(0, 2)), ["^0@2"]);
}

#[test]
fn an_app_goes_after_all_that_depend_on_it() {
    let there = environment([
        (0, installed(1, &[])),
        (1, installed(1, &[needs(0, 1, None)])),
        (2, installed(1, &[needs(1, 1, None), needs(0, 1, None)])),
        (3, installed(1, &[])),
    ]);
    assert_eq!(planned(&there, [], &uninstall(0, true)), ["-2", "-1", "-0"]);
    assert_eq!(planned(&there, [], &uninstall(2, false)), ["-2"]);
    let listed = uninstall_requirements(&there, app(0));
    let listed: Vec<_> = listed.iter().map(|one| (one.app_id, one.kind)).collect();
    assert_eq!(
        listed,
        [
            (app(2), OperationKind::Uninstall),
            (app(1), OperationKind::Uninstall)
        ]
    );
    let error = refused(&there, [], &uninstall(0, false));
    assert_eq!(reason(&error), "DependentsInstalled");
    assert_eq!(
        error.requirements.to_vec(),
        uninstall_requirements(&there, app(0))
    );

    let mut kept = there.clone();
    kept.apps.get_mut(&app(2)).unwrap().can_be_uninstalled = Some(false);
    assert_eq!(
        reason(&refused(&kept, [], &uninstall(0, true))),
        "AppCannotBeUninstalled"
    );
    assert_eq!(
        reason(&refused(&kept, [], &uninstall(2, true))),
        "AppCannotBeUninstalled"
    );
    let mut busy = there.clone();
    busy.occupied.insert(app(1), OperationId(Uuid::from_u128(7)));
    let error = refused(&busy, [], &uninstall(0, true));
    assert_eq!((reason(&error), error.extension.len()), ("AlreadyScheduled", 0));
    let base = STANDARD_APPS[0].0;
    let mut with_base = there;
    with_base.apps.insert(base, installed(1, &[]));
    let request = Request::Uninstall {
        app: base,
        allow_dependents: true,
    };
    assert_eq!(
        reason(&refused(&with_base, [], &request)),
        "AppCannotBeUninstalled"
    );
}

#[test]
fn apps_that_need_each_other_in_a_circle_come_to_an_end() {
    let offers = [
        offer(0, 1, &[needs(1, 1, None)]),
        offer(1, 1, &[needs(2, 1, None), needs(1, 1, None)]),
        offer(2, 1, &[needs(1, 1, None), needs(3, 1, None)]),
        offer(3, 1, &[]),
    ];
    let steps = planned(&environment([]), offers, &install(0));
    assert_eq!(
        (steps.first().unwrap().as_str(), steps.last().unwrap().as_str()),
        ("+3@1", "+0@1")
    );
    let circle = environment([
        (0, installed(1, &[needs(1, 1, None)])),
        (1, installed(1, &[needs(0, 1, None)])),
    ]);
    assert_eq!(planned(&circle, [], &uninstall(0, true)), ["-1", "-0"]);
}

/// One of a thousand apps cannot be had, and each of the others has twenty versions: who tried all of them together would
/// never end.
#[test]
fn what_has_nothing_to_do_with_an_impasse_is_not_tried_again() {
    let rows: Vec<_> = (1..=1_000).map(|number| needs(number, 1, None)).collect();
    let mut offers = vec![offer(0, 1, &rows)];
    for number in 1..1_000 {
        offers.extend((1..=20).map(|major| offer(number, major, &[])));
    }
    let error = refused(&environment([]), offers, &install(0));
    assert_eq!(reason(&error), "DependencyMissing");
    assert!(error.message.contains("'App 1000'"), "{error}");
}

/// More pigeons than holes: each app can go to one of `holes` places, and each place takes one of them. Nobody knows how to see
/// that without trying.
fn pigeons(holes: usize) -> Vec<Offer> {
    let number = |n: usize| u32::try_from(n).unwrap();
    let pigeons = holes + 1;
    let all: Vec<_> = (1..=pigeons).map(|pigeon| needs(pigeon, 1, None)).collect();
    let mut offers = vec![offer(0, 1, &all)];
    for pigeon in 1..=pigeons {
        for hole in 1..=holes {
            let place = needs(pigeons + hole, number(pigeon), Some(number(pigeon + 1)));
            offers.push(offer(pigeon, number(hole), &[place]));
        }
    }
    for hole in 1..=holes {
        offers.extend((1..=pigeons).map(|pigeon| offer(pigeons + hole, number(pigeon), &[])));
    }
    offers
}

#[test]
fn a_catalogue_made_to_be_hard_is_given_up_on() {
    assert_eq!(
        reason(&refused(&environment([]), pigeons(3), &install(0))),
        "DependencyMissing"
    );
    let error = refused(&environment([]), pigeons(12), &install(0));
    assert_eq!(reason(&error), "TooManyCombinations");
    assert!(error.message.contains(&SEARCH_LIMIT.to_string()), "{error}");

    let mut there = environment([(0, installed(1, &[])), (99, installed(1, &[]))]);
    there.inventory_complete = false;
    let mut offers = pigeons(12);
    offers[0].version = version(2);
    offers.push(offer(99, 2, &[]));
    let updates = available_updates(&there, &catalogue(offers));
    assert_eq!(updates.undecided, [app(0)], "the others are found all the same");
    assert_eq!(
        updates
            .available
            .iter()
            .map(|update| update.app_id)
            .collect::<Vec<_>>(),
        [app(99)]
    );
}

/// What a version needs: an app, from which version on, and from which it is incompatible.
type Needs = Vec<(usize, u32, Option<u32>)>;

/// What a small world consists of, in numbers.
#[derive(Clone, Debug)]
struct World {
    /// Of each app the version that is there, if it is, and whether the repository knows it.
    there: Vec<Option<(u32, bool)>>,
    /// Of each app what each of its versions needs, from version 1 on, and whether it is Available.
    offers: Vec<Vec<(Needs, bool)>>,
    complete: bool,
    occupied: Option<usize>,
}

const APPS: usize = 5;
const VERSIONS: usize = 3;

fn worlds() -> impl Strategy<Value = World> {
    let need = (0..APPS, 1_u32..4, prop::option::weighted(0.6, 2_u32..5));
    let version = (prop::collection::vec(need, 0..4), prop::bool::weighted(0.9));
    let versions = prop::collection::vec(version, 1..=VERSIONS);
    let there = prop::option::weighted(0.4, (1_u32..=3, prop::bool::weighted(0.8)));
    (
        prop::collection::vec(there, APPS),
        prop::collection::vec(versions, APPS),
        prop::bool::weighted(0.7),
        prop::option::weighted(0.2, 0..APPS),
    )
        .prop_map(|(there, offers, complete, occupied)| World {
            there,
            offers,
            complete,
            occupied,
        })
}

impl World {
    fn rows(needs_of: &[(usize, u32, Option<u32>)]) -> Vec<Dependency> {
        needs_of
            .iter()
            .map(|&(number, least, from)| needs(number, least, from))
            .collect()
    }

    fn catalogue(&self) -> Catalogue {
        let mut offers = Vec::new();
        for (number, versions) in self.offers.iter().enumerate() {
            for (major, (needs_of, is_available)) in (1..).zip(versions) {
                offers.push(Offer {
                    availability: match is_available {
                        true => Availability::Available,
                        false => Availability::Deprecated,
                    },
                    ..offer(number, major, &Self::rows(needs_of))
                });
            }
        }
        catalogue(offers)
    }

    fn environment(&self) -> Environment {
        let there = self.there.iter().enumerate().filter_map(|(number, there)| {
            let (major, is_known) = (*there)?;
            let known = self.offers[number]
                .get(usize::try_from(major - 1).unwrap())
                .filter(|_| is_known);
            let app = App {
                availability: known.map(|_| Availability::Available),
                dependencies: known.map(|(needs_of, _)| Self::rows(needs_of)),
                ..installed(major, &[])
            };
            Some((number, app))
        });
        let mut environment = environment(there);
        environment.inventory_complete = self.complete;
        let operation = OperationId(Uuid::from_u128(7));
        environment.occupied = self
            .occupied
            .map(|number| (app(number), operation))
            .into_iter()
            .collect();
        environment
    }
}

/// Versions that apps go to.
type Assignment = BTreeMap<AppId, AppVersion>;

/// Whether everything goes together after these changes: said without any of what the search is made of.
fn goes_together(environment: &Environment, catalogue: &Catalogue, changes: &Assignment) -> bool {
    let before = |id: AppId| environment.apps.get(&id).map(|app| app.version);
    let fits = |dependency: &Dependency, there: AppVersion| {
        there >= dependency.min_version && dependency.incompatible_from.is_none_or(|from| there < from)
    };
    changes.iter().all(|(&id, &to)| {
        let offer = catalogue.offers[&id]
            .iter()
            .find(|offer| offer.version == to)
            .unwrap();
        offer.dependencies.iter().all(|dependency| {
            let other = dependency.app_id;
            if let Some(there) = changes.get(&other).copied().or(before(other)) {
                return fits(dependency, there);
            }
            let declared = environment.apps.get(&id).map(|app| app.dependencies.as_ref());
            !environment.inventory_complete
                && match declared {
                    None => false,
                    Some(None) => true,
                    Some(Some(rows)) => rows
                        .iter()
                        .any(|row| row.app_id == other && row.min_version >= dependency.min_version),
                }
        })
    }) && environment.apps.iter().all(|(id, app)| {
        changes.contains_key(id)
            || app.dependencies.iter().flatten().all(|dependency| {
                let to = changes.get(&dependency.app_id);
                to.is_none_or(|&to| dependency.incompatible_from.is_none_or(|from| to < from))
            })
    })
}

/// Every set of changes that goes together, of which that of `asked` is one.
fn all_that_go_together(
    environment: &Environment,
    catalogue: &Catalogue,
    asked: AppId,
    heeds_slots: bool,
) -> Vec<Assignment> {
    let mut found = vec![Assignment::new()];
    for number in 0..APPS {
        let id = app(number);
        let above = environment.apps.get(&id).map(|app| app.version);
        let is_free = !(heeds_slots && environment.occupied.contains_key(&id));
        let offers = catalogue.offers(id).iter();
        let may_be: Vec<_> = offers
            .filter(|offer| offer.availability == Availability::Available && is_free)
            .map(|offer| offer.version)
            .filter(|&to| above.is_none_or(|above| to > above))
            .collect();
        let with = |changes: &Assignment| {
            let mut all = vec![changes.clone()];
            for &to in &may_be {
                let mut changed = changes.clone();
                changed.insert(id, to);
                all.push(changed);
            }
            all
        };
        found = found.iter().flat_map(with).collect();
    }
    found.retain(|changes| changes.contains_key(&asked) && goes_together(environment, catalogue, changes));
    found
}

/// What each step of a plan that needs another step finds, or would break, when its turn comes.
fn check_order(environment: &Environment, catalogue: &Catalogue, plan: &Plan) -> Result<(), TestCaseError> {
    let planned: HashSet<AppId> = plan.steps.iter().map(|step| step.app_id).collect();
    let offer_of = |step: &Step| {
        let offers = catalogue.offers(step.app_id).iter();
        offers.clone().find(|offer| Some(offer.version) == step.to)
    };
    let needs_of: HashMap<AppId, Vec<AppId>> = plan
        .steps
        .iter()
        .map(|step| {
            let rows = offer_of(step).into_iter().flat_map(|offer| &offer.dependencies);
            (
                step.app_id,
                rows.map(|row| row.app_id)
                    .filter(|id| planned.contains(id))
                    .collect(),
            )
        })
        .collect();
    let reaches = |from: AppId, to: AppId| {
        let mut seen = HashSet::new();
        let mut open = vec![from];
        while let Some(next) = open.pop() {
            if seen.insert(next) {
                open.extend(&needs_of[&next]);
            }
        }
        seen.contains(&to)
    };
    let mut there: Assignment = environment
        .apps
        .iter()
        .map(|(&id, app)| (id, app.version))
        .collect();
    for step in &plan.steps {
        for row in offer_of(step).into_iter().flat_map(|offer| &offer.dependencies) {
            if planned.contains(&row.app_id) && !reaches(row.app_id, step.app_id) {
                let fits = there
                    .get(&row.app_id)
                    .is_some_and(|&version| row.accepts(version));
                prop_assert!(fits, "{} comes before what it needs: {plan:?}", step.app_id);
            }
        }
        there.insert(step.app_id, step.to.unwrap());
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    /// There is a plan exactly where one can be found by trying everything; it goes together; nothing in it could be left
    /// out; and each app in its turn has the newest version that it could have.
    #[test]
    fn a_plan_is_found_wherever_there_is_one_and_is_the_preferred_one(world in worlds(), asked in 0..APPS) {
        let (environment, catalogue) = (world.environment(), world.catalogue());
        let asked = app(asked);
        let all = all_that_go_together(&environment, &catalogue, asked, true);
        let mut search = Search::new(&environment, &catalogue, true);
        let candidates = search.candidates(asked);
        let Ok(choices) = search.solve(asked, candidates, &mut { SEARCH_LIMIT }) else {
            prop_assert_eq!(all, Vec::<Assignment>::new());
            return Ok(());
        };
        let changes: Assignment =
            choices.iter().map(|choice| (choice.offer.app_id, choice.offer.version)).collect();
        prop_assert!(all.contains(&changes), "{:?}", changes);
        let keys = |changes: &Assignment| changes.keys().copied().collect::<BTreeSet<_>>();
        for other in &all {
            let is_part = other.len() < changes.len() && other.iter().all(|(id, to)| changes.get(id) == Some(to));
            prop_assert!(!is_part, "{:?} would do, {:?} is planned", keys(other), keys(&changes));
        }
        let mut agreeing: Vec<&Assignment> = all.iter().collect();
        for choice in &choices {
            let (id, to) = (choice.offer.app_id, choice.offer.version);
            prop_assert_eq!(agreeing.iter().filter_map(|other| other.get(&id)).max(), Some(&to));
            agreeing.retain(|other| other.get(&id) == Some(&to));
        }
    }

    /// A request is answered by that plan, in an order in which it can be carried out, and by the same list where it is not
    /// allowed.
    #[test]
    fn what_is_planned_can_be_carried_out_in_that_order(world in worlds(), asked in 0..APPS, to in 1_u32..=3) {
        let (environment, catalogue) = (world.environment(), world.catalogue());
        let request = match environment.apps.contains_key(&app(asked)) {
            true => update(asked, to),
            false => install(asked),
        };
        let Ok(found) = plan(&environment, &catalogue, &request) else {
            return Ok(());
        };
        let again = plan(&environment, &catalogue, &request).unwrap();
        prop_assert_eq!(&again, &found, "the same question, the same answer");
        prop_assert_eq!(found.steps.iter().filter(|step| step.is_asked).count(), 1);
        check_order(&environment, &catalogue, &found)?;
        let others: Vec<_> = found.steps.iter().filter(|step| !step.is_asked).map(Step::requirement).collect();
        match plan(&environment, &catalogue, &alone(request)) {
            Ok(same) => prop_assert!(others.is_empty() && same == found),
            Err(error) => prop_assert_eq!(error.requirements.to_vec(), others),
        }
    }

    /// Updates are what asking for each app alone would come to.
    #[test]
    fn every_update_is_the_highest_that_goes_together(world in worlds()) {
        let (environment, catalogue) = (world.environment(), world.catalogue());
        let updates = available_updates(&environment, &catalogue);
        prop_assert_eq!(updates.undecided, Vec::<AppId>::new());
        for &id in environment.apps.keys() {
            let all = all_that_go_together(&environment, &catalogue, id, false);
            let highest = all.iter().filter_map(|changes| changes.get(&id)).max().copied();
            let found = updates.available.iter().find(|update| update.app_id == id);
            prop_assert_eq!(found.map(|update| update.version), highest);
        }
    }

    /// Whatever depends on an app, directly or not, goes, and goes first.
    #[test]
    fn an_uninstall_takes_along_exactly_what_depends_on_it(world in worlds(), asked in 0..APPS) {
        let environment = world.environment();
        let asked = app(asked);
        let mut going = BTreeSet::from([asked]);
        loop {
            let more: Vec<_> = environment.apps.iter()
                .filter(|(_, app)| app.dependencies.iter().flatten().any(|row| going.contains(&row.app_id)))
                .map(|(&id, _)| id)
                .filter(|id| !going.contains(id))
                .collect();
            if more.is_empty() {
                break;
            }
            going.extend(more);
        }
        going.remove(&asked);
        let listed = uninstall_requirements(&environment, asked);
        prop_assert_eq!(listed.iter().map(|one| one.app_id).collect::<BTreeSet<_>>(), going);
    }
}
