//! Decisions about what an app has: countries, versions and environments.

use super::{
    Evidence::{C, D, H, I, X},
    Row, Section,
};

pub(super) const COUNTRIES: Section = Section {
    title: "Countries",
    rows: &[
        Row(
            "Adding a country again changes nothing, and keeps its `_etag`.",
            I,
            &["countries::adding_a_country_again_changes_nothing"],
        ),
        Row(
            "The body may be empty braces, but must be there.",
            H,
            &["countries::a_body_must_be_there_but_may_be_empty"],
        ),
        Row(
            "A country is never added by using it; the answer says that it is missing.",
            D,
            &["countries::what_needs_a_country_does_not_create_it"],
        ),
    ],
};

pub(super) const VERSIONS: Section = Section {
    title: "Versions",
    rows: &[
        Row(
            "What a change of a version would hit is told before it is made.",
            X,
            &[
                "what_if::who_has_a_version_and_who_needs_it_is_told_and_nothing_changes",
                "what_if::whoever_has_or_could_not_get_an_incompatible_version_is_counted",
                "what_if::a_change_that_could_not_be_made_is_refused_as_if_it_were",
            ],
        ),
        Row(
            "`GET apps/{id}/versions` tells of all countries at once, with SHA-256, size, uploader and signer of each package. A publisher that is confined to countries is refused.",
            X,
            &[
                "versions::all_countries_are_seen_at_once",
                "domain::publisher::countries_confine",
            ],
        ),
        Row(
            "A package comes as base64 in JSON; padding may be missing and lines may be broken.",
            I,
            &[
                "uploads::what_senders_do_to_bodies_is_tolerated",
                "server::upload::padding_may_be_missing_but_not_wrong",
                "server::upload::line_breaks_and_escapes_within_the_base64_are_tolerated",
            ],
        ),
        Row(
            "A package is taken in as it arrives, whatever the order of the two properties.",
            X,
            &[
                "uploads::the_order_of_the_properties_does_not_matter",
                "uploads::an_upload_in_pieces_arrives_whole",
            ],
        ),
        Row(
            "Rights and country are checked before the body is read, and rights again at the end.",
            X,
            &[
                "uploads::rights_and_country_are_checked_before_the_body_is_read",
                "uploads::a_role_that_is_taken_away_meanwhile_counts",
            ],
        ),
        Row(
            "A package beyond the limit is refused with 413: unread if its length is declared, otherwise when the limit is met.",
            X,
            &[
                "uploads::a_declared_length_beyond_the_limit_is_refused_unread",
                "uploads::a_stream_beyond_the_limit_is_refused",
            ],
        ),
        Row(
            "An upload that makes no progress is given up with 408.",
            X,
            &["uploads::an_upload_without_progress_is_given_up"],
        ),
        Row(
            "Without an availability a version is a preview.",
            I,
            &["uploads::without_an_availability_it_is_a_preview"],
        ),
        Row(
            "The package must be of the app that is addressed.",
            D,
            &["uploads::a_wrong_package_leaves_nothing"],
        ),
        Row(
            "Version, name, publisher and dependencies come from the package's manifest.",
            D,
            &["versions::a_version_is_shown_as_documented"],
        ),
        Row(
            "Runtime packages are refused, because their manifest cannot be read.",
            C,
            &[
                "uploads::a_wrong_package_leaves_nothing",
                "navx::container::runtime_packages_are_recognised_and_their_length_counts_without_the_prefix",
            ],
        ),
        Row(
            "An operator may say who must have signed an app's packages: asked at upload, in a plan, when scheduling and at the start.",
            X,
            &[
                "signers::a_package_that_is_not_signed_as_it_must_be_leaves_nothing",
                "signers::the_rule_is_asked_again_before_a_hotfix_begins",
            ],
        ),
        Row(
            "Whoever selects `warnings` and `missingDependencies` of an upload, or of one version, is told what synchronisation is forecast to refuse after the newest lower version of its line, and which apps its country lacks; of apps that the caller may not see nothing.",
            X,
            &[
                "forecasts::an_upload_tells_what_would_be_refused_to_whoever_asks",
                "forecasts::an_upload_tells_what_its_country_lacks",
                "forecasts::what_other_apps_have_is_told_to_their_callers_alone",
            ],
        ),
        Row(
            "Of a ready-to-run package the app within is read.",
            I,
            &[
                "uploads::ready_to_run_and_signed_packages_are_read",
                "navx::ready_to_run::the_embedded_app_is_found_packed_and_stored",
            ],
        ),
        Row(
            "`packageId` is the GUID in the package's header.",
            C,
            &["samples::the_documented_version_is_uploaded_read_listed_and_deprecated"],
        ),
        Row(
            "A refused upload, or one that is cut off, leaves neither row nor bytes.",
            X,
            &[
                "uploads::a_wrong_body_leaves_nothing",
                "uploads::a_wrong_package_leaves_nothing",
                "uploads::an_upload_that_is_cut_off_leaves_nothing",
            ],
        ),
        Row(
            "A package that could not be stored shows as `UploadFailed` and may be sent again.",
            X,
            &["uploads::a_package_that_could_not_be_stored_may_be_sent_again"],
        ),
        Row(
            "While a version is being uploaded, the same one is refused with 409 and a time to try again.",
            X,
            &["uploads::of_many_at_once_one_wins"],
        ),
        Row(
            "What is changed about a version that is being uploaded stays changed, and its tag is a new one when it has arrived.",
            X,
            &["concurrency::a_change_that_is_acknowledged_during_an_upload_is_kept"],
        ),
        Row(
            "A version whose upload was not answered is there, or may be sent again within seconds.",
            X,
            &[
                "commits::a_version_is_uploaded_or_may_be_sent_again",
                "commits::a_published_version_stays_when_its_uploader_loses_the_role_in_between",
            ],
        ),
        Row(
            "A crash at any moment leaves no row that uploads for ever and no bytes that nobody needs.",
            X,
            &[
                "restart::an_upload_cut_by_a_crash_leaves_nothing",
                "restart::stale_staging_files_go_at_the_start",
            ],
        ),
        Row(
            "A changed storage location counts for later uploads; one that is in use may not vanish from the configuration.",
            X,
            &[
                "uploads::a_location_that_changes_affects_later_uploads_only",
                "restart::a_location_in_use_may_not_vanish",
            ],
        ),
        Row(
            "The same version again in the same country is refused with the facts about the first, and never overwritten.",
            I,
            &["uploads::the_same_version_again_is_refused_with_the_facts"],
        ),
        Row(
            "Each country needs an upload of its own; the same bytes are stored once.",
            D,
            &["uploads::another_country_takes_the_same_version_and_stores_the_bytes_once"],
        ),
        Row(
            "Other bytes under the same version in another country are taken and noted in the audit, unless the service is set to refuse them.",
            X,
            &["uploads::other_bytes_in_another_country_can_be_refused"],
        ),
        Row(
            "An older version may follow a newer one: hotfixes are for older lines.",
            D,
            &["uploads::an_older_version_may_follow_a_newer_one"],
        ),
        Row(
            "Dependencies need not be known to the service.",
            I,
            &["samples::the_documented_version_is_uploaded_read_listed_and_deprecated"],
        ),
        Row(
            "Every change of availability is allowed, and noted in the audit.",
            X,
            &[
                "versions::the_availability_goes_every_way",
                "operator::every_change_leaves_an_audit_row",
            ],
        ),
        Row(
            "What is read-only may be sent back as it is, and is refused when it differs.",
            D,
            &["versions::what_is_read_only_may_be_repeated_but_not_changed"],
        ),
        Row(
            "Incompatibilities are merged into the manifest's dependencies; `null` takes one back. Any version is taken; `Warning` says when nothing fits any more.",
            D,
            &[
                "versions::dependencies_are_merged",
                "domain::catalogue::any_version_may_be_marked_and_what_fits_nothing_is_told",
            ],
        ),
        Row(
            "Microsoft's own apps, which a manifest implies, can be marked too and appear then.",
            D,
            &[
                "versions::a_dependency_that_the_manifest_implies_can_be_marked",
                "samples::the_documented_incompatibility_is_taken_in",
            ],
        ),
        Row(
            "Taking a mark back is the exact inverse: what is only implied is gone again, what the package declares stays.",
            X,
            &[
                "versions::taking_a_word_back_leaves_what_the_package_declares",
                "domain::catalogue::taking_back_is_the_inverse_of_marking",
            ],
        ),
        Row(
            "`Add` is another word for the sync mode `Sync`.",
            I,
            &["wire::versions::add_is_an_older_name_of_sync"],
        ),
        Row(
            "A deprecated version is no target, and can still be downloaded; what waits for it is skipped.",
            I,
            &[
                "hotfixes::targets_must_be_available",
                "downloads::readers_download_whatever_is_available_or_not",
                "execution::what_no_longer_makes_sense_is_skipped",
            ],
        ),
        Row(
            "A preview never goes to production, and to a sandbox only where the operator allows it.",
            X,
            &["hotfixes::a_sandbox_gets_a_preview_only_where_the_operator_allows_it"],
        ),
        Row(
            "A version is no target where a dependency is installed that it was marked incompatible with, nor where an installed app was marked incompatible with it.",
            D,
            &[
                "hotfixes::dependencies_must_be_satisfied",
                "hotfixes::an_app_that_is_incompatible_with_the_target_keeps_it_out",
            ],
        ),
        Row(
            "A download is the bytes of the upload.",
            D,
            &["downloads::the_bytes_are_those_of_the_upload"],
        ),
        Row(
            "A download has length, digest, tag, ranges and a name that everybody can read.",
            X,
            &[
                "downloads::the_file_is_named_so_that_everybody_can_read_it",
                "downloads::parts_can_be_asked_for",
                "downloads::known_bytes_are_not_sent_again",
            ],
        ),
        Row(
            "A download may come with an empty form as body.",
            C,
            &[
                "vscode_client::it_downloads_with_an_empty_form",
                "downloads::an_empty_form_is_as_good_as_nothing",
            ],
        ),
    ],
};

pub(super) const ENVIRONMENTS: Section = Section {
    title: "Environments",
    rows: &[
        Row(
            "What was done with the app in an environment is listed with who asked for it; who a customer's administrators are, operators are told alone.",
            X,
            &[
                "history::what_was_done_is_listed_the_newest_first",
                "history::who_a_customer_is_operators_are_told_alone",
                "history::one_of_several_environments_is_meant",
            ],
        ),
        Row(
            "`behind`, shown where it is selected, is the number of newer versions of the installed one's line that are Available in its country.",
            X,
            &[
                "store::list::tests::groups::behind_counts_newer_versions_of_the_line",
                "groups::environments_are_counted_by_how_far_they_are_behind",
            ],
        ),
        Row(
            "An environment is listed where the app is installed, in the country it belongs to.",
            D,
            &["environments::only_environments_with_the_app_in_the_country_are_listed"],
        ),
        Row(
            "Its `version` is that of the app.",
            D,
            &[
                "environments::an_environment_is_shown_as_documented",
                "samples::the_documented_environment_is_listed",
            ],
        ),
        Row(
            "It is known by tenant, family and name, in any case.",
            I,
            &[
                "environments::versions_compare_by_number_and_names_without_case",
                "operator::environments_are_known_by_tenant_family_and_name",
            ],
        ),
        Row(
            "What was reported last counts.",
            X,
            &["environments::what_was_reported_last_counts"],
        ),
    ],
};
