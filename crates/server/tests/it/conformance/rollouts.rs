//! Decisions about rollouts, none of which the original has.

use super::{Evidence::X, Row, Section};

pub(super) const ROLLOUTS: Section = Section {
    title: "Rollouts",
    rows: &[
        Row(
            "A plan counts what the rules say of every environment that is selected, by reason, and changes nothing; Readers may ask.",
            X,
            &[
                "rollouts::a_plan_adds_up_what_the_rules_say_and_changes_nothing",
                "rollouts::a_plan_streams_its_rows_and_ends_with_what_they_come_to",
                "rollouts::a_plan_tells_what_each_wave_would_take",
            ],
        ),
        Row(
            "A plan's fingerprint is of the definition but for its name and note, of the packages, and of each environment with its version and verdict; not of the time.",
            X,
            &["rollouts::equal_plans_have_equal_fingerprints"],
        ),
        Row(
            "With a fingerprint, a rollout is made only of what was planned; `drift: shrink` lets pass what only fell out or has got the target.",
            X,
            &[
                "rollouts::a_rollout_is_made_of_what_was_planned",
                "rollouts::what_changed_since_the_plan_is_told_and_nothing_is_made",
                "rollouts::what_only_fell_out_may_pass",
            ],
        ),
        Row(
            "A selection in which nothing can be done is refused, and so is leaving out what nobody knows.",
            X,
            &[
                "rollouts::a_selection_without_anything_to_do_is_refused",
                "rollouts::an_environment_to_leave_out_has_to_be_known",
            ],
        ),
        Row(
            "What is wrong with a definition is named by the way to it.",
            X,
            &["rollouts::a_definition_is_refused_by_the_way_to_what_is_wrong"],
        ),
        Row(
            "The same request under the same `Idempotency-Key` makes one rollout, whatever has changed between.",
            X,
            &["rollouts::the_same_key_makes_one_rollout"],
        ),
        Row(
            "Who approves is another person than the creator and the target's uploader, and has had the role for 24 hours.",
            X,
            &[
                "rollouts::who_approves_is_somebody_else",
                "rollouts::whoever_rejects_ends_it",
            ],
        ),
        Row(
            "Verbs may be repeated, and are refused with the state where they cannot be; nothing that was refused has an effect.",
            X,
            &["rollouts::verbs_may_be_repeated_and_are_refused_elsewhere"],
        ),
        Row(
            "Readers read, Contributors make and act, Owners say what has to be approved.",
            X,
            &["rollouts::readers_read_and_contributors_act_and_owners_set_the_policy"],
        ),
        Row(
            "The environments of a rollout are a list like any other.",
            X,
            &["rollouts::its_environments_are_listed"],
        ),
    ],
};
