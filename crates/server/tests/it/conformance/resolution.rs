//! Decisions about what customers change, and what else changes with it.

use super::{
    Evidence::{C, D, I, X},
    Row, Section,
};

/// Installs, updates, uninstalls, and hotfixes that are postponed.
pub(super) const CHANGES: Section = Section {
    title: "What customers change",
    rows: &[
        Row(
            "An update that is offered is the highest Available version that has a plan; a preview is never offered, and what waits stays listed.",
            D,
            &[
                "domain::resolution::tests::every_update_is_the_highest_that_goes_together",
                "domain::resolution::tests::previews_are_for_sandboxes_that_ask_for_them_and_for_the_app_asked_for_alone",
                "domain::resolution::tests::a_slot_is_one_operations_and_what_it_keeps_from_changing_is_told",
            ],
        ),
        Row(
            "An install without a version goes to the highest that has a plan, an update to any newer version that is offered, whatever its line.",
            D,
            &[
                "domain::resolution::tests::an_app_asked_for_without_a_version_goes_to_the_highest_that_has_a_plan",
                "domain::resolution::tests::what_stands_against_the_version_itself_is_told",
            ],
        ),
        Row(
            "A plan is found wherever there is one; only what has to change does, and goes to the newest version that is Available and fits, the nearer app first.",
            X,
            &[
                "domain::resolution::tests::a_plan_is_found_wherever_there_is_one_and_is_the_preferred_one",
                "domain::resolution::tests::what_is_there_and_fits_stays_as_it_is",
                "domain::resolution::tests::two_apps_that_want_different_versions_of_a_third_meet_where_both_can",
            ],
        ),
        Row(
            "What a version needs comes before it; what would break goes out of the way first, where it can.",
            X,
            &[
                "domain::resolution::tests::what_is_planned_can_be_carried_out_in_that_order",
                "domain::resolution::tests::an_update_is_made_together_with_that_of_what_it_would_break",
                "server::actions::tests::customers::a_plan_may_break_for_a_moment_what_it_mends",
            ],
        ),
        Row(
            "`incompatibleFromVersion` keeps a version out where a dependency is too new, and takes the dependants of an update along or keeps it out.",
            D,
            &[
                "domain::resolution::tests::incompatibilities_count_both_ways",
                "domain::resolution::tests::an_update_is_made_together_with_that_of_what_it_would_break",
            ],
        ),
        Row(
            "Versions in Preview are for sandboxes that ask for one by its number, and for the app asked for alone.",
            X,
            &[
                "domain::resolution::tests::previews_are_for_sandboxes_that_ask_for_them_and_for_the_app_asked_for_alone",
                "server::actions::tests::customers::a_request_that_cannot_be_meant_is_told_so",
            ],
        ),
        Row(
            "Microsoft's own apps come with the environment: none is changed or uninstalled.",
            I,
            &[
                "domain::resolution::tests::parts_of_business_central_are_never_changed_and_never_missing_where_nothing_is_known",
                "domain::resolution::tests::an_app_goes_after_all_that_depend_on_it",
            ],
        ),
        Row(
            "What is needed and not allowed is listed as a whole, transitively and in order, in words that clients look for.",
            C,
            &[
                "domain::resolution::tests::what_is_not_allowed_is_told_as_a_whole_and_in_order",
                "server::actions::tests::customers::what_would_break_is_updated_too_and_the_same_is_told_beforehand",
            ],
        ),
        Row(
            "A version that is not offered is told with app, version and country in apostrophes, which a client takes apart; it is 400.",
            C,
            &["domain::resolution::tests::a_version_that_is_not_there_is_told_so_that_programs_can_read_it"],
        ),
        Row(
            "An app that is there already, or is not there, is told in the words and with the code that clients know.",
            C,
            &[
                "domain::resolution::tests::an_app_is_installed_once_and_only_what_is_there_is_updated_or_taken_out",
            ],
        ),
        Row(
            "All of a plan is scheduled in one transaction, or nothing; what comes along are operations of their own that name the one asked for.",
            X,
            &[
                "server::actions::tests::customers::an_install_is_scheduled_with_all_it_needs_in_order",
                "server::actions::tests::customers::what_the_operator_has_frozen_stays_as_it_is",
            ],
        ),
        Row(
            "Of those who want one slot at once, vendor or customer, one has it; the other is told of that operation.",
            C,
            &[
                "server::actions::tests::customers::of_those_who_want_one_slot_at_once_one_has_it",
                "server::actions::tests::customers::whoever_comes_second_is_told_of_the_first",
            ],
        ),
        Row(
            "An app goes after all that depend on it; its data stays unless the customer asks otherwise and the operator lets them.",
            X,
            &[
                "domain::resolution::tests::an_uninstall_takes_along_exactly_what_depends_on_it",
                "server::actions::tests::customers::an_app_is_taken_out_after_what_depends_on_it",
                "server::actions::tests::customers::data_goes_only_where_the_operator_lets_it",
            ],
        ),
        Row(
            "Installs, updates and uninstalls that have not begun are canceled with all of their plan; hotfixes only by their vendors.",
            X,
            &["server::actions::tests::customers::what_was_asked_for_together_is_called_off_together"],
        ),
        Row(
            "A customer may postpone a hotfix by so many days at most after what its vendor wanted; the vendor reads when and why.",
            X,
            &[
                "server::actions::tests::customers::a_hotfix_is_put_off_so_far_and_its_vendor_reads_why",
                "domain::postponement::a_hotfix_is_put_off_as_far_as_its_operator_lets_it_and_back_again",
            ],
        ),
        Row(
            "A catalogue in which it cannot be found out within a bound what goes together is refused, and never searched without end.",
            X,
            &[
                "domain::resolution::tests::a_catalogue_made_to_be_hard_is_given_up_on",
                "domain::resolution::tests::what_has_nothing_to_do_with_an_impasse_is_not_tried_again",
            ],
        ),
    ],
};
