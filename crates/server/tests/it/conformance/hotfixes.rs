//! Decisions about hotfixes: which may be scheduled, and what becomes of them.

use super::{
    Evidence::{C, D, H, I, X},
    Row, Section,
};

pub(super) const SCHEDULING: Section = Section {
    title: "Scheduling a hotfix",
    rows: &[
        Row(
            "The first check that fails answers; the order of the checks is fixed.",
            X,
            &[
                "hotfixes::the_first_broken_rule_answers",
                "hotfixes::rights_come_first",
            ],
        ),
        Row(
            "A broken rule has a machine-readable reason from a closed list in `details`, and the facts in the message.",
            X,
            &[
                "error_codes::no_code_is_sent_that_is_not_listed",
                "domain::hotfix::the_first_broken_rule_answers_and_a_plan_shows_all",
            ],
        ),
        Row(
            "A malformed body is told apart from a broken rule.",
            I,
            &["hotfixes::the_body_is_read_leniently_but_checked"],
        ),
        Row(
            "A target whose tables synchronisation is forecast to refuse after the installed version is refused with `SchemaBreak`, in a plan too, unless `despiteForecast` says otherwise, which the audit tells. Where the installed version is not in the repository, nothing is forecast.",
            X,
            &[
                "forecasts::a_plan_and_scheduling_heed_the_forecast",
                "forecasts::whoever_knows_better_schedules_despite_the_forecast",
                "forecasts::where_the_installed_version_is_not_known_nothing_is_forecast",
            ],
        ),
        Row(
            "The environment must exist and have the app.",
            D,
            &["hotfixes::the_environment_must_exist_and_have_the_app"],
        ),
        Row(
            "The target must be uploaded in this country.",
            D,
            &["hotfixes::the_target_must_be_uploaded_in_this_country"],
        ),
        Row(
            "The target must be available.",
            I,
            &["hotfixes::targets_must_be_available"],
        ),
        Row(
            "The target keeps major and minor number of what is installed.",
            D,
            &["hotfixes::the_line_is_kept_and_the_version_rises"],
        ),
        Row(
            "The target is newer than what is installed.",
            I,
            &[
                "domain::hotfix::a_hotfix_stays_in_its_line_and_goes_up",
                "hotfixes::the_line_is_kept_and_the_version_rises",
            ],
        ),
        Row(
            "An installed preview is not hotfixed, and the message names both remedies.",
            D,
            &["hotfixes::an_installed_preview_is_not_hotfixed"],
        ),
        Row(
            "An installed version that was never uploaded here says nothing against a hotfix.",
            X,
            &["hotfixes::an_installed_preview_is_not_hotfixed"],
        ),
        Row(
            "One operation for an app waits or runs in an environment; the next is told that one has `already been scheduled`, and its id.",
            C,
            &[
                "hotfixes::there_is_one_operation_for_an_app_in_an_environment",
                "vscode_client::it_schedules_one_hotfix_per_environment_and_finds_the_one_in_the_way",
                "hotfixes::of_many_at_once_one_is_scheduled",
            ],
        ),
        Row(
            "Dependencies must be installed in a version that satisfies.",
            I,
            &["hotfixes::dependencies_must_be_satisfied"],
        ),
        Row(
            "A dependency that is not listed is missing only if the list is complete, or if the installed version did not need as much.",
            X,
            &[
                "domain::catalogue::what_is_not_listed_is_missing_only_from_a_complete_inventory",
                "hotfixes::dependencies_must_be_satisfied",
            ],
        ),
        Row(
            "An app that only the manifest implies is never missing: it is as old as the environment, if that is known.",
            X,
            &[
                "domain::catalogue::a_part_of_business_central_is_never_missing",
                "hotfixes::a_part_of_business_central_is_there_whatever_the_inventory_says",
            ],
        ),
        Row(
            "The environment's application and platform must be new enough, where they are known.",
            I,
            &[
                "hotfixes::the_environment_must_be_new_enough",
                "domain::catalogue::standard_apps_are_as_old_as_the_environment",
            ],
        ),
        Row(
            "What is needed of Business Central counts from the manifest's attribute and from a row, the stricter of both.",
            X,
            &[
                "hotfixes::the_stricter_of_attribute_and_row_counts",
                "domain::hotfix::two_places_are_never_laxer_than_one",
            ],
        ),
        Row(
            "Runtime N.M of the manifest needs Business Central N+11.M, where the environment's application is known.",
            D,
            &[
                "hotfixes::the_environment_must_have_the_runtime",
                "domain::hotfix::a_runtime_needs_the_business_central_that_brought_it",
            ],
        ),
        Row(
            "What is installed counts; a `sourceAppVersion` in the body does not.",
            I,
            &["hotfixes::the_body_is_read_leniently_but_checked"],
        ),
        Row(
            "`runAfter` is now when it is missing, is UTC without an offset, and is answered as it was sent; one that is past is due at once.",
            D,
            &[
                "hotfixes::run_after_is_answered_as_it_was_sent",
                "hotfixes::a_moment_that_has_passed_is_due_at_once",
                "domain::instant::any_offset_is_read_and_none_is_utc",
            ],
        ),
        Row(
            "`ignoreUpgradeWindow` is false unless given, and shown when true.",
            H,
            &[
                "hotfixes::run_after_is_answered_as_it_was_sent",
                "wire::samples::what_the_documentation_does_not_show_is_shown_only_when_it_says_something",
            ],
        ),
        Row(
            "`environmentType` may be given, must then fit, and is shown.",
            D,
            &["hotfixes::the_type_must_fit_when_it_is_given"],
        ),
        Row(
            "One set of rules decides when scheduling, when starting and in a plan.",
            X,
            &[
                "domain::hotfix::the_three_moments_agree",
                "execution::what_no_longer_makes_sense_is_skipped",
                "hotfixes::a_plan_explains_without_changing_anything",
            ],
        ),
        Row(
            "The same `Idempotency-Key` repeats the answer; with another body it is refused with 422; rights are checked before.",
            X,
            &[
                "hotfixes::an_idempotency_key_repeats_the_answer",
                "hotfixes::an_idempotency_key_does_not_outlive_the_role",
                "hotfixes::the_same_key_at_once_makes_one_hotfix",
            ],
        ),
    ],
};

pub(super) const LIFE: Section = Section {
    title: "Life of a hotfix",
    rows: &[
        Row(
            "Scheduled leads to Running, Canceled or Skipped, Running to Succeeded, Failed or Skipped, and nothing leads on from there.",
            D,
            &[
                "domain::operation::what_may_follow_what",
                "domain::operation::terminal_states_never_change",
            ],
        ),
        Row(
            "A hotfix starts at the first instant after `runAfter` that lies in the environment's update window.",
            D,
            &[
                "execution::a_hotfix_waits_for_the_window_runs_and_changes_what_is_installed",
                "domain::window::the_next_start_is_inside_and_not_before",
                "domain::window::nothing_inside_is_missed",
            ],
        ),
        Row(
            "The window can be ignored, `runAfter` cannot.",
            D,
            &["execution::the_window_can_be_ignored_but_not_run_after"],
        ),
        Row(
            "A window's start belongs to it and its end does not; it may span midnight.",
            I,
            &[
                "execution::the_window_begins_inclusive_and_ends_exclusive",
                "domain::window::a_window_may_span_midnight_and_excludes_its_end",
            ],
        ),
        Row(
            "A window is wall time in a Windows time zone, 20:00 to 06:00 unless set, of at least six hours.",
            I,
            &[
                "execution::the_window_is_wall_time_of_the_environment",
                "domain::window::the_default_is_the_night_of_the_country",
                "domain::window::short_windows_are_refused",
            ],
        ),
        Row(
            "Without a zone the country's counts, else UTC.",
            X,
            &[
                "execution::without_a_window_of_its_own_the_country_decides",
                "domain::country::countries_have_the_clock_their_people_go_by",
            ],
        ),
        Row(
            "A local time that comes twice counts from first to last; one that is skipped counts as the instant after the gap.",
            X,
            &[
                "domain::window::a_repeated_time_counts_from_its_first_to_its_last_occurrence",
                "domain::window::a_skipped_start_moves_to_the_instant_after_the_gap",
            ],
        ),
        Row(
            "Work that has started goes on when the window closes; what missed it waits for the next.",
            I,
            &[
                "execution::work_that_has_started_goes_on_when_the_window_closes",
                "execution::what_missed_its_window_waits_for_the_next",
            ],
        ),
        Row(
            "Apps of one environment are worked on one at a time: dependencies first, then `runAfter`, then `createdOn`.",
            I,
            &[
                "execution::one_runs_at_a_time_and_dependencies_go_first",
                "execution::among_others_the_earlier_wish_goes_first",
                "domain::operation::then_run_after_then_created_on",
            ],
        ),
        Row(
            "A hotfix that makes no sense any more is skipped, and `errorMessage` says why.",
            I,
            &[
                "execution::what_no_longer_makes_sense_is_skipped",
                "execution::an_environment_that_is_removed_skips_what_waits_for_it",
            ],
        ),
        Row(
            "An environment is not removed while something runs in it: 409 `EnvironmentBusy` and a time to try again.",
            X,
            &["execution::an_environment_in_which_something_runs_is_not_removed"],
        ),
        Row(
            "`sourceAppVersion` is what was installed when it was scheduled, and then what was installed at the start.",
            I,
            &["execution::the_source_is_what_was_installed_at_the_start"],
        ),
        Row(
            "`startedOn` comes with Running, `completedOn` with Succeeded and Failed only.",
            D,
            &[
                "execution::a_hotfix_waits_for_the_window_runs_and_changes_what_is_installed",
                "execution::what_no_longer_makes_sense_is_skipped",
            ],
        ),
        Row(
            "What waits can be canceled, twice is no error, and what runs or is over cannot.",
            D,
            &[
                "hotfixes::what_waits_can_be_canceled",
                "domain::operation::only_what_is_scheduled_is_canceled_and_twice_is_no_error",
            ],
        ),
        Row(
            "Either the cancel wins or the start, never both.",
            X,
            &["execution::canceling_and_starting_never_both_happen"],
        ),
        Row(
            "Nothing but the status can be changed, and only to `Canceled`.",
            D,
            &["hotfixes::nothing_else_can_be_changed"],
        ),
        Row(
            "A failure is final and keeps every word of its message; another try is another hotfix.",
            I,
            &["execution::a_failure_keeps_every_word_and_is_final"],
        ),
        Row(
            "Work whose agent fell silent ends as Failed with `OutcomeUnknown`, is not tried again, and holds its environment.",
            X,
            &[
                "execution::a_lost_agent_leaves_the_outcome_unknown",
                "restart::what_ran_during_a_crash_ends_as_unknown_if_its_agent_has_gone_too",
            ],
        ),
        Row(
            "What was started is carried out even when the answer to its claim was lost.",
            X,
            &["commits::hotfixes_of_which_a_claim_was_in_doubt_are_carried_out_all_the_same"],
        ),
        Row(
            "A held environment works again after a new report, or when the operator releases it.",
            X,
            &["execution::a_held_environment_works_again_after_release_or_report"],
        ),
        Row(
            "What waits survives a restart.",
            X,
            &["restart::what_waited_runs_after_a_restart"],
        ),
        Row(
            "What a hotfix waits for, and when it is expected to start, is told where it is selected (`waitingFor`, `expectedStart`) and in the rows of a plan.",
            X,
            &[
                "waiting::time_and_freezes_are_told",
                "waiting::a_plan_says_why_an_environment_starts_nothing",
            ],
        ),
        Row(
            "Why a hotfix was skipped or failed is told in one word where it is selected, and can be filtered by (`reasonCode`).",
            X,
            &["side_data::why_a_hotfix_did_not_come_about_is_one_word"],
        ),
        Row(
            "Vendors put tags on environments of their app, one by one or by a filter, list and plan by them (`tags/any(…)`), and see them where they select them.",
            X,
            &[
                "side_data::tags_are_a_vendors_own_words",
                "side_data::tags_are_put_on_all_that_a_filter_brings",
                "side_data::what_is_no_tag_is_refused",
            ],
        ),
        Row(
            "Owners declare freezes of their app: within one no hotfix of it starts in the environments that it is about, and what customers ask for themselves goes on.",
            X,
            &[
                "side_data::while_an_app_is_frozen_its_hotfixes_wait",
                "side_data::a_freeze_of_an_app_is_its_owners",
                "side_data::a_freeze_that_cannot_be_is_refused",
            ],
        ),
        Row(
            "Where nobody executes, everybody is told: in the header `fame-waiting-for` of what is answered to planning and scheduling, in `waitingFor`, and in readiness.",
            X,
            &[
                "waiting::where_nobody_executes_everybody_is_told",
                "waiting::an_agent_that_fell_silent_executes_nothing",
            ],
        ),
        Row(
            "A hotfix that is skipped is told to webhooks as every other step.",
            X,
            &["webhooks::what_is_skipped_is_told_too"],
        ),
    ],
};
