//! Decisions about what is served: addresses, values, and who may.

use super::{
    Evidence::{C, D, H, I, X},
    Row, Section,
};

pub(super) const SURFACE: Section = Section {
    title: "Surface",
    rows: &[
        Row(
            "v1.0, v1.1, v1.2, v1.3 and v1.4 are one behaviour.",
            I,
            &["apps::every_version_of_the_api_behaves_the_same"],
        ),
        Row(
            "The documented requests get the documented answers, member by member.",
            D,
            &[
                "samples::the_documented_apps_are_listed",
                "samples::the_documented_countries_are_added_read_and_listed",
                "samples::the_documented_principal_is_added_read_listed_and_removed",
                "samples::the_documented_version_is_uploaded_read_listed_and_deprecated",
                "samples::the_documented_incompatibility_is_taken_in",
                "samples::the_documented_environment_is_listed",
                "samples::the_documented_hotfix_is_scheduled_read_listed_and_canceled",
            ],
        ),
        Row(
            "The list of apps has those on which the caller has a role, and no other.",
            D,
            &["apps::only_apps_with_a_role_are_listed"],
        ),
        Row(
            "One app can be read by its id.",
            C,
            &[
                "apps::an_app_is_shown_as_documented",
                "vscode_client::it_finds_its_apps_and_their_names_without_a_walk",
            ],
        ),
        Row(
            "`getMyPermissions` answers what the caller may do; by POST, and by GET too.",
            H,
            &[
                "apps::permissions_follow_from_the_role",
                "every_endpoint_guarded::permitted_calls_succeed",
            ],
        ),
        Row(
            "`roles` answers the three roles with their permissions.",
            H,
            &["apps::roles_are_explained_to_every_principal"],
        ),
        Row(
            "The shapes of `getMyPermissions` and `roles`, which nobody has published, are lists of `{action}` and of `{name, permissions}`.",
            X,
            &[
                "apps::permissions_follow_from_the_role",
                "apps::roles_are_explained_to_every_principal",
            ],
        ),
        Row(
            "Every operation needs the role that the access matrix shows.",
            D,
            &[
                "every_endpoint_guarded::permitted_calls_succeed",
                "access_matrix::the_reviewed_matrix_is_what_callers_really_get",
            ],
        ),
        Row(
            "A version's package can be fetched by POST, and by GET too.",
            X,
            &[
                "every_endpoint_guarded::permitted_calls_succeed",
                "downloads::the_bytes_are_those_of_the_upload",
            ],
        ),
        Row(
            "One environment is found by its name; if several have it the request is ambiguous until tenant and family are given.",
            C,
            &[
                "environments::one_is_found_by_name_in_any_case",
                "environments::a_name_that_several_have_must_be_narrowed",
            ],
        ),
        Row(
            "One environment is also found by OData's composite key.",
            X,
            &["environments::odata_finds_one_by_its_composite_key"],
        ),
        Row(
            "A plan explains for every environment whether a hotfix could be scheduled, and changes nothing.",
            X,
            &["hotfixes::a_plan_explains_without_changing_anything"],
        ),
        Row(
            "It says when hotfixes would start that are asked for with its `runAfter` and `ignoreUpgradeWindow`.",
            X,
            &["waiting::a_plan_goes_by_the_start_that_is_asked_for"],
        ),
        Row(
            "Its rows are filtered, sorted, counted and paged by all that they have.",
            X,
            &["hotfixes::a_plan_is_filtered_by_what_it_finds_out"],
        ),
        Row(
            "The service document and `$metadata` need a valid token and no role.",
            X,
            &[
                "every_endpoint_guarded::permitted_calls_succeed",
                "odata_format::the_service_document_leads_to_the_apps",
            ],
        ),
        Row(
            "Registering an app is the operator's.",
            D,
            &["operator::an_app_is_registered_with_an_owner_and_replaced"],
        ),
        Row(
            "Hotfixes show the type of their environment, as the documented examples do.",
            D,
            &["hotfixes::a_hotfix_is_shown_as_documented"],
        ),
        Row(
            "Versions have a `syncMode`, shown only when it is `ForceSync`.",
            D,
            &["versions::the_sync_mode_is_only_shown_when_it_forces"],
        ),
        Row(
            "Apps show the name of their highest uploaded version, which is no part of what `_etag` stands for.",
            C,
            &["apps::the_name_is_that_of_the_highest_version_and_leaves_the_tag_alone"],
        ),
    ],
};

pub(super) const VALUES: Section = Section {
    title: "Casing and values",
    rows: &[
        Row(
            "Names are written in camelCase except `_etag`; what has no value is left out; words are written exactly as documented.",
            D,
            &[
                "wire::samples::the_documented_answers_are_written_as_documented",
                "wire::samples::what_the_documentation_does_not_show_is_shown_only_when_it_says_something",
            ],
        ),
        Row(
            "GUIDs are written in lower case with dashes.",
            D,
            &[
                "samples::the_documented_version_is_uploaded_read_listed_and_deprecated",
                "domain::ids::guids_are_read_as_callers_write_them",
            ],
        ),
        Row(
            "Times are written in UTC with seven digits and `Z`.",
            D,
            &["domain::instant::seven_digits_are_kept"],
        ),
        Row(
            "Names in bodies are read in any case.",
            D,
            &[
                "wire::lenient::names_are_read_in_any_case_at_every_depth",
                "vscode_client::it_adds_principals_with_a_capital_type",
            ],
        ),
        Row(
            "Properties that nobody knows are refused, with the one that is likely to be meant; annotations and what an entity shows of itself pass.",
            X,
            &[
                "bodies::no_operation_takes_what_nobody_knows",
                "bodies::a_misspelt_moment_schedules_nothing",
                "bodies::what_was_read_may_be_sent_back",
                "vscode_client::it_patches_incompatibility_flat_and_is_told_how_to",
            ],
        ),
        Row(
            "Words are read in any case; an unknown one is answered with those that are known.",
            I,
            &["domain::version::words_are_read_in_any_case_and_unknown_ones_list_the_known"],
        ),
        Row(
            "GUIDs are read with or without braces.",
            I,
            &["domain::ids::guids_are_read_as_callers_write_them"],
        ),
        Row(
            "A byte order mark before a body is no obstacle.",
            C,
            &[
                "wire::lenient::a_byte_order_mark_is_no_obstacle",
                "countries::a_body_must_be_there_but_may_be_empty",
            ],
        ),
        Row(
            "A body counts whatever its content type says.",
            C,
            &[
                "uploads::what_senders_do_to_bodies_is_tolerated",
                "errors::answers_come_in_the_language_and_type_they_say",
            ],
        ),
        Row(
            "A change of a version with nothing writable in it is refused with a hint, because a client sends `incompatibleFromVersion` outside of `dependencies`.",
            C,
            &[
                "vscode_client::it_patches_incompatibility_flat_and_is_told_how_to",
                "versions::a_patch_with_nothing_writable_says_what_to_send",
            ],
        ),
        Row(
            "Addresses are read in any case, and with a slash at the end.",
            I,
            &[
                "errors::addresses_are_read_leniently",
                "server::address::every_spelling_comes_to_one_form",
            ],
        ),
        Row(
            "Countries are those of ISO 3166-1, kept in upper case.",
            D,
            &[
                "countries::only_countries_of_the_table_are_known",
                "domain::country::codes_are_read_in_any_case_and_kept_upper",
            ],
        ),
        Row(
            "`W1`, the worldwide localisation, is a country only where that is switched on.",
            I,
            &[
                "countries::the_worldwide_localisation_is_a_country_where_it_is_switched_on",
                "countries::only_countries_of_the_table_are_known",
            ],
        ),
        Row(
            "A body that names another country than the address is refused.",
            X,
            &["countries::path_and_body_must_name_the_same_country"],
        ),
        Row(
            "`Business Central` and `BusinessCentral` are one application family, shown as registered.",
            D,
            &[
                "domain::environment::both_documented_spellings_of_the_family_are_one_key",
                "operator::environments_are_known_by_tenant_family_and_name",
            ],
        ),
        Row(
            "A version has four numbers; missing ones are zero when read, and all four are written.",
            X,
            &[
                "domain::version::missing_parts_are_zero_and_output_is_canonical",
                "versions::versions_are_listed_by_number_and_found_in_any_spelling",
            ],
        ),
        Row(
            "Versions compare by number in `$filter` and `$orderby`; a text that is no version is refused.",
            X,
            &["lists::versions_compare_by_number_with_every_operator"],
        ),
        Row(
            "Text functions see a version as it is written.",
            X,
            &["lists::functions_see_a_version_as_text"],
        ),
        Row(
            "Countries, families, environment names, types, statuses, availabilities and roles compare without case, families also without blanks.",
            X,
            &["lists::closed_words_and_keys_compare_without_case"],
        ),
        Row(
            "Without an order, apps come by id, countries by code, principals by id.",
            X,
            &[
                "store::paging::without_a_wish_lists_come_as_documented",
                "countries::countries_are_listed_by_code_and_found_in_any_case",
                "principals::principals_are_shown_as_documented_and_listed_by_id",
            ],
        ),
        Row(
            "Without an order, versions come lowest first, because a client turns the list round.",
            C,
            &["vscode_client::it_reverses_the_versions_to_show_the_newest_first"],
        ),
        Row(
            "Without an order, environments come by tenant and name, hotfixes newest first.",
            X,
            &[
                "environments::the_order_is_tenant_then_name",
                "lists::hotfixes_come_newest_first",
            ],
        ),
        Row(
            "Unless pages are asked for the whole list is sent, because no known client follows a link.",
            C,
            &[
                "lists::a_long_list_arrives_whole",
                "lists::pages_are_sent_only_on_request",
            ],
        ),
    ],
};

pub(super) const CALLERS: Section = Section {
    title: "Callers and roles",
    rows: &[
        Row(
            "A user is known by tenant and object id, an application by client id or by the object id of its service principal.",
            I,
            &["principals::applications_are_known_by_either_id_and_users_by_tenant_too"],
        ),
        Row(
            "Without a role the app and all below it answer 404, as if it did not exist.",
            H,
            &[
                "every_endpoint_guarded::an_app_that_is_hidden_answers_as_one_that_is_not_there",
                "apps::an_app_without_a_role_is_as_if_it_did_not_exist",
            ],
        ),
        Row(
            "With too weak a role the answer is 403 and names the role that is missing and the principal that was seen.",
            H,
            &["every_endpoint_guarded::refused_calls_change_nothing_and_say_no_more_than_they_may"],
        ),
        Row(
            "Readers read; contributors also write countries, versions and hotfixes; owners also principals.",
            D,
            &[
                "domain::access::readers_read_everything_and_write_nothing",
                "domain::access::contributors_also_write_countries_versions_and_hotfixes",
                "domain::access::only_owners_write_principals",
                "principals::only_owners_change_principals",
            ],
        ),
        Row("Several roles add up.", D, &["principals::several_roles_add_up"]),
        Row(
            "A new user needs a tenant, and a new application must not carry one.",
            D,
            &["principals::a_user_has_a_tenant_and_an_application_has_none"],
        ),
        Row(
            "A new principal needs a type and at least one role.",
            I,
            &[
                "domain::access::a_new_principal_needs_type_tenant_and_roles",
                "principals::roles_are_checked_and_collapse",
            ],
        ),
        Row(
            "For an existing principal the roles are enough.",
            H,
            &["principals::an_existing_principal_needs_roles_only"],
        ),
        Row(
            "Type and tenant of a principal never change.",
            X,
            &["principals::type_and_tenant_never_change"],
        ),
        Row(
            "An unknown role is refused, and so is an empty list; a role that is named twice counts once.",
            X,
            &["principals::roles_are_checked_and_collapse"],
        ),
        Row(
            "The last owner can neither be removed nor demoted, not even by themselves.",
            X,
            &[
                "principals::the_last_owner_stays",
                "domain::access::no_series_of_changes_loses_the_last_owner",
            ],
        ),
        Row(
            "Of two owners who remove each other at once one remains.",
            X,
            &["principals::of_two_owners_who_remove_each_other_one_remains"],
        ),
        Row(
            "The operator can always add an owner.",
            X,
            &["principals::an_operator_can_always_add_an_owner"],
        ),
        Row(
            "Removing a principal answers 204, and 404 the second time.",
            I,
            &["principals::removing_twice_finds_nothing"],
        ),
        Row(
            "Roles are read with every request and never remembered.",
            X,
            &[
                "principals::a_role_ends_with_the_request_that_takes_it",
                "uploads::a_role_that_is_taken_away_meanwhile_counts",
            ],
        ),
        Row(
            "A verified token is remembered for five minutes at most, and not longer than its key.",
            X,
            &[
                "auth::memory::a_token_is_verified_once_in_five_minutes",
                "auth::keys::a_token_is_forgotten_together_with_its_key",
            ],
        ),
        Row(
            "Answers come in this order: 401, 404 for the app, 403, 400 for the body, 404 for the row, 412, rules.",
            X,
            &[
                "identity::the_order_is_401_404_403_400",
                "hotfixes::rights_come_first",
                "etags::a_tag_on_nothing_never_fits",
            ],
        ),
        Row(
            "A refused call changes nothing and leaves no trace in the audit.",
            X,
            &["every_endpoint_guarded::refused_calls_change_nothing_and_say_no_more_than_they_may"],
        ),
    ],
};
