//! Decisions about how the service speaks: HTTP, OData, tokens, and the APIs of operators and agents.

use super::{
    Evidence::{C, D, I, X},
    Row, Section,
};

pub(super) const HTTP: Section = Section {
    title: "HTTP",
    rows: &[
        Row(
            "Every answer, good or bad, carries its id in `ms-correlation-x`.",
            D,
            &["errors::the_callers_own_ids_are_sent_back_and_never_used"],
        ),
        Row(
            "The same id is in `request-id` and in `innererror.correlationId`, and answers name the versions of the API.",
            I,
            &[
                "apps::every_version_of_the_api_behaves_the_same",
                "errors::the_callers_own_ids_are_sent_back_and_never_used",
            ],
        ),
        Row(
            "An id of the caller's own is sent back and never used instead.",
            I,
            &["errors::the_callers_own_ids_are_sent_back_and_never_used"],
        ),
        Row(
            "Every error has a JSON body that says the same below `error` and at the top.",
            C,
            &[
                "wire::error::the_bare_face_says_it_in_both_places",
                "vscode_client::it_sees_the_same_errors_in_both_places",
            ],
        ),
        Row(
            "The codes are closed lists.",
            X,
            &[
                "error_codes::the_committed_list_is_the_one_the_code_makes",
                "error_codes::no_code_is_sent_that_is_not_listed",
            ],
        ),
        Row(
            "HEAD answers as GET without a body.",
            I,
            &["errors::head_answers_like_get_without_a_body"],
        ),
        Row(
            "A wrong verb answers 405 and names the right one.",
            I,
            &["errors::a_wrong_verb_names_the_right_one"],
        ),
        Row(
            "Another version, or none, is an address that does not exist.",
            X,
            &["errors::an_unknown_address_says_where_the_api_is"],
        ),
        Row(
            "`_etag` is a GUID, and the header `ETag` the same as a weak tag.",
            D,
            &[
                "countries::adding_a_country_again_changes_nothing",
                "etags::every_spelling_of_a_tag_is_understood",
            ],
        ),
        Row(
            "`If-Match` that does not fit answers 412 and changes nothing, also where there is nothing.",
            I,
            &[
                "etags::a_tag_that_is_not_the_state_changes_nothing",
                "etags::a_tag_on_nothing_never_fits",
            ],
        ),
        Row(
            "A condition is met or refused everywhere: on what has no tag `If-Match` is 412 unless it is `*`, and only a bare `*` is the wildcard.",
            X,
            &[
                "etags::no_operation_overlooks_a_condition",
                "etags::a_package_that_is_known_is_not_posted_again",
                "etags::a_release_is_of_the_state_that_was_seen",
            ],
        ),
        Row(
            "Control characters are refused in bodies and addresses, by their place; a body that is no UTF-8 is called what it is.",
            X,
            &[
                "bodies::no_operation_takes_control_characters",
                "bodies::no_address_takes_control_characters",
                "bodies::what_is_no_utf_8_is_called_what_it_is",
            ],
        ),
        Row(
            "`Idempotency-Key` counts on uploads (the same key and package), changes of versions, countries, principals and what operators put, as on hotfixes.",
            X,
            &[
                "repeating::an_upload_that_comes_again_is_answered_again",
                "repeating::a_change_that_comes_again_is_made_once",
                "repeating::another_request_under_the_same_key_is_refused",
                "repeating::what_was_taken_away_does_not_come_back",
            ],
        ),
        Row(
            "`If-None-Match` makes a write create only, and a read answer 304.",
            I,
            &[
                "etags::only_create_means_only_create",
                "etags::a_known_state_is_not_sent_again",
            ],
        ),
        Row(
            "Of several who create the same thing at once one does; the others meet it.",
            X,
            &[
                "creating::an_app_is_registered_by_one_of_those_who_would_create_it",
                "creating::an_environment_is_added_by_one_of_those_who_would_create_it",
                "creating::a_country_is_added_by_one_of_those_who_would_create_it",
                "creating::a_principal_is_added_by_one_of_those_who_would_create_it",
            ],
        ),
        Row(
            "A change that was being committed when the database went away is answered with 503: it may have been made, or not.",
            X,
            &[
                "commits::an_app_is_registered_or_not",
                "commits::an_environment_is_reported_or_not",
                "commits::a_hotfix_is_scheduled_or_not",
            ],
        ),
        Row(
            "Tags are never demanded, and ignored in bodies.",
            C,
            &["etags::tags_are_never_demanded_and_ignored_in_bodies"],
        ),
        Row(
            "Of many changes from one state one succeeds.",
            X,
            &["etags::of_many_changes_from_one_state_one_succeeds"],
        ),
        Row(
            "Creating by PATCH answers 200 like changing.",
            I,
            &["samples::the_documented_countries_are_added_read_and_listed"],
        ),
        Row(
            "There is no limit of requests per time; each caller has so many at once, and the others wait or get 429.",
            X,
            &["errors::more_requests_than_fit_are_told_to_wait"],
        ),
        Row(
            "A token in a query is refused with 400 and not repeated.",
            X,
            &["errors::a_token_in_the_address_is_refused_and_not_repeated"],
        ),
        Row(
            "A JSON body has a limit of its own.",
            X,
            &["errors::a_body_that_is_too_large_is_refused"],
        ),
        Row(
            "What is no HTTP is refused quickly.",
            X,
            &["errors::what_is_no_http_is_refused_quickly"],
        ),
        Row(
            "Every operation is in the OpenAPI document, and a page shows it without anything from elsewhere.",
            X,
            &[
                "openapi::the_served_document_is_the_same",
                "openapi::the_page_needs_nothing_from_elsewhere",
                "every_endpoint_guarded::the_table_and_the_document_name_the_same_operations",
            ],
        ),
        Row(
            "Whoever is refused before they have sent everything hears why: what is still sent is read for a while, in both versions of HTTP.",
            X,
            &[
                "early_answers::curl_hears_why_it_is_refused",
                "early_answers::curl_hears_why_it_is_refused_by_http_2",
                "early_answers::node_hears_why_it_is_refused",
                "early_answers::httpx_hears_why_it_is_refused",
                "early_answers::httpx_hears_why_it_is_refused_by_http_2",
                "early_answers::reqwest_hears_why_it_is_refused",
                "early_answers::reqwest_hears_why_it_is_refused_by_http_2",
                "early_answers::a_refused_body_that_never_ends_keeps_no_connection",
            ],
        ),
        Row(
            "Whoever asks with `Expect: 100-continue` is refused without being asked for the body.",
            I,
            &["early_answers::whoever_waits_to_be_asked_for_a_body_is_refused_without_being_asked"],
        ),
        Row(
            "A body may be compressed with gzip, and written in UTF-16 or ISO-8859-1 where its `charset` says so, within the same limits; what is not read is 415 and says what is.",
            X,
            &[
                "bodies::what_says_how_it_is_encoded_is_read",
                "inventories::a_compressed_inventory_counts_by_what_it_becomes",
            ],
        ),
        Row(
            "JSON and XML that somebody signed in reads is compressed for whoever asks for gzip; its tag stays the same.",
            X,
            &[
                "lists::a_long_list_arrives_whole",
                "etags::a_known_state_is_not_sent_again",
                "server::compress::whoever_names_gzip_is_taken_at_their_word",
                "server::compress::what_is_long_is_compressed_as_it_comes_and_broken_off_as_it_would_be",
            ],
        ),
        Row(
            "`/health/live` and `/health/ready` answer everybody, with the version; a part that is away is told in `details` and takes no server out, a wrong clock does.",
            X,
            &[
                "health::a_healthy_service_says_so_to_everybody",
                "health::a_store_that_is_gone_shows_and_takes_nobody_out",
                "health::a_clock_that_others_do_not_share_shows",
            ],
        ),
        Row(
            "Every answer of an operation, with its headers and the words of closed lists, is in the OpenAPI document.",
            X,
            &[
                "openapi::every_answer_is_described_and_so_is_what_goes_wrong",
                "openapi::answers_have_the_headers_that_are_described",
                "openapi::words_of_a_closed_list_are_listed",
            ],
        ),
    ],
};

pub(super) const ODATA: Section = Section {
    title: "OData",
    rows: &[
        Row(
            "Lists are grouped and counted by `$apply=[filter(…)/]groupby((…)[,aggregate($count as n)])`; the other options are then about the groups. More than 10,000 groups are refused.",
            X,
            &[
                "groups::environments_are_counted_by_how_far_they_are_behind",
                "groups::groups_are_filtered_sorted_and_cut",
                "groups::groups_are_for_those_who_see_the_list",
                "groups::groups_come_in_every_format",
                "groups::what_cannot_be_grouped_says_so",
                "odata::apply::what_the_extension_has_besides_is_not_implemented",
                "store::list::tests::groups::groups_count_what_the_list_has",
                "store::list::tests::groups::there_are_not_too_many_groups",
            ],
        ),
        Row(
            "Lists come as CSV to whoever accepts that rather than JSON: all of their rows, without pages. A list that breaks off breaks the connection.",
            X,
            &[
                "csv::a_list_is_read_back_as_it_is",
                "csv::a_long_list_comes_whole_and_on_no_pages",
                "csv::csv_is_for_lists_and_for_those_who_ask",
                "csv::a_list_that_breaks_off_does_not_look_whole",
            ],
        ),
        Row(
            "In CSV an apostrophe stands before a text that a spreadsheet could take for a formula.",
            X,
            &[
                "csv::no_text_is_taken_for_a_formula",
                "wire::csv::what_begins_like_a_formula_stays_a_text",
                "wire::csv::every_text_can_be_had_back",
            ],
        ),
        Row(
            "The documented filters work as they are written.",
            D,
            &[
                "samples::the_documented_apps_are_listed",
                "principals::the_documented_filter_works",
                "lists::versions_compare_by_number_with_every_operator",
            ],
        ),
        Row(
            "Option names are read in any case and without the dollar sign, unless that is switched off.",
            C,
            &[
                "lists::the_dollar_sign_may_be_left_out",
                "vscode_client::it_filters_with_a_stray_ampersand_and_without_the_dollar",
            ],
        ),
        Row(
            "Empty items of a query are skipped, and a plus sign is a blank.",
            C,
            &[
                "vscode_client::it_filters_with_a_stray_ampersand_and_without_the_dollar",
                "msal::a_program_signs_in_and_reads_what_it_may",
                "odata::options::values_are_decoded_once_after_splitting",
            ],
        ),
        Row(
            "GUIDs in filters may be bare or quoted.",
            C,
            &[
                "vscode_client::it_filters_with_a_stray_ampersand_and_without_the_dollar",
                "odata::grammar::bound_literals_have_the_type_of_what_they_meet",
            ],
        ),
        Row(
            "The grammar and the binding of operators are the standard's.",
            D,
            &[
                "odata::grammar::accepts_the_language",
                "odata::grammar::precedence_is_the_standards",
            ],
        ),
        Row(
            "A wrong filter is refused with the place of the fault.",
            X,
            &[
                "lists::a_wrong_filter_says_where",
                "odata::grammar::refuses_the_rest_and_says_where",
            ],
        ),
        Row(
            "A filter that was cut at an ampersand is refused.",
            C,
            &["vscode_client::it_cuts_filters_at_ampersands_and_is_told_so"],
        ),
        Row(
            "Comparison with null, and the logic of what is unknown, are the standard's.",
            D,
            &[
                "odata::evaluation::and_or_and_not_follow_kleene",
                "lists::three_valued_logic_keeps_only_what_is_true",
            ],
        ),
        Row(
            "Both databases and an evaluation in memory agree about every filter.",
            X,
            &[
                "store::agreement::three_judges_agree_on_versions",
                "store::agreement::three_judges_agree_on_hotfixes",
                "store::agreement::three_judges_agree_on_environments",
            ],
        ),
        Row(
            "Filters are bounded in length, depth and number of terms, and over a bound the answer is quick.",
            X,
            &[
                "odata::grammar::limits_are_kept",
                "odata::stress::over_a_limit_the_answer_is_quick",
            ],
        ),
        Row(
            "What OData has and the service has not answers 501; an unknown option with a dollar sign 400; others are ignored.",
            D,
            &[
                "lists::what_is_not_supported_says_so",
                "lists::wrong_options_are_named",
                "lists::custom_options_are_ignored",
            ],
        ),
        Row(
            "Orders are stable: null comes first when ascending, and the key decides at the end.",
            D,
            &[
                "lists::rows_are_ordered_as_asked",
                "odata::options::orders_end_with_the_key",
            ],
        ),
        Row(
            "`$top`, `$skip`, `$count` and `/$count` work together as the standard says.",
            D,
            &["lists::top_skip_and_count_work_together"],
        ),
        Row(
            "`$select` keeps the keys.",
            D,
            &[
                "lists::a_selection_keeps_the_keys",
                "odata_format::a_selection_is_named_in_the_context",
            ],
        ),
        Row(
            "Pages survive changes meanwhile, and a token of another query is refused.",
            X,
            &["lists::pages_survive_changes_and_refuse_other_queries"],
        ),
        Row(
            "Whoever speaks OData is answered in OData, with context, tags and nulls; all others as in the documented examples.",
            X,
            &[
                "odata_format::whoever_speaks_odata_is_answered_in_odata",
                "odata_format::a_list_has_a_context_and_each_row_a_tag",
                "odata_format::an_entity_has_a_context_and_its_nulls",
            ],
        ),
        Row(
            "In OData's format an error is the `error` object alone.",
            D,
            &["odata_format::an_error_is_the_error_object_alone"],
        ),
        Row(
            "In OData's format what is made says where it is.",
            D,
            &["odata_format::what_is_made_says_where_it_is"],
        ),
        Row(
            "Versions of OData before 4.0 are refused.",
            D,
            &["odata_format::older_versions_than_4_are_refused"],
        ),
        Row(
            "`$metadata` is in XML and says of every entity what is really written.",
            D,
            &[
                "csdl::every_type_has_the_properties_that_are_written_in_their_order",
                "csdl::every_vocabulary_that_is_used_is_referred_to",
            ],
        ),
        Row(
            "`$metadata` says what clients may not expect (`$expand`, `$search`, `$batch`, inserts, updates, deletes), by the Capabilities vocabulary, and it is so.",
            D,
            &[
                "csdl::what_it_says_can_be_done_is_what_is_served",
                "csdl::what_it_says_is_not_there_is_not",
            ],
        ),
        Row(
            "Functions and actions are declared, and can be called as declared.",
            D,
            &["csdl::what_can_be_called_is_declared_and_can_be_called_so"],
        ),
        Row(
            "The link to the next page goes on after a program has encoded its plus signs anew.",
            C,
            &["lists::a_link_goes_on_after_its_plus_signs_were_encoded_anew"],
        ),
    ],
};

pub(super) const IDENTITY: Section = Section {
    title: "Tokens",
    rows: &[
        Row(
            "Every answer in OData's format names metadata that exists, the operators' too.",
            I,
            &[
                "csdl::every_answer_names_metadata_that_exists",
                "csdl::what_operators_see_is_described_too",
            ],
        ),
        Row(
            "Microsoft's libraries get tokens that are believed, from Entra or from an issuer that speaks like it.",
            D,
            &["msal::a_program_signs_in_and_reads_what_it_may"],
        ),
        Row(
            "Tokens of version 1.0 and 2.0 are understood, of users and of applications.",
            D,
            &[
                "identity::both_kinds_of_token_are_understood",
                "auth::entra::an_application_is_its_client_id_in_both_versions",
                "auth::entra::a_user_is_its_object_id_in_both_versions_and_never_its_client",
            ],
        ),
        Row(
            "Signature, issuer, audience and times are all checked, and algorithms are not the token's choice.",
            D,
            &[
                "auth::refusals::signatures_that_prove_nothing",
                "auth::refusals::times_that_do_not_include_now",
                "auth::refusals::a_token_for_somebody_else",
                "auth::refusals::no_byte_of_a_good_token_can_be_changed",
            ],
        ),
        Row(
            "A refused token is told no more than whether time, audience, issuer or signature is wrong, and where to get a good one.",
            I,
            &[
                "identity::a_bad_token_is_refused_without_details",
                "auth::challenges::an_invalid_token_is_told_where_to_get_a_valid_one",
            ],
        ),
        Row(
            "Power Query and Excel find their way to sign in.",
            D,
            &[
                "auth::challenges::power_query_finds_its_way_in_two_steps",
                "identity::without_a_token_a_browser_is_told_where_to_sign_in",
            ],
        ),
        Row(
            "A user's token must have the delegated permission.",
            I,
            &["identity::tokens_that_prove_too_little_are_forbidden"],
        ),
        Row(
            "Tenants must be trusted; personal accounts never are.",
            X,
            &[
                "identity::a_token_of_another_tenant_is_refused",
                "auth::refusals::the_tenant_of_personal_accounts_even_where_any_is_welcome",
            ],
        ),
        Row(
            "Where several tenants are trusted, an application counts with tokens of the app's publisher tenant, unless the operator allows more.",
            X,
            &[
                "identity::an_application_is_bound_to_the_publishers_tenant",
                "identity::operators_let_applications_of_other_tenants_in",
                "identity::a_setting_lets_in_all_applications_of_a_tenant",
                "identity::an_operator_is_of_the_tenant_that_is_named",
            ],
        ),
        Row(
            "Which id of an application counts is configured.",
            X,
            &["auth::entra::which_id_of_an_application_counts_is_configured"],
        ),
        Row(
            "Keys are fetched once for many, renewed in the background, and the last good ones stay while the issuer is down.",
            D,
            &[
                "auth::keys::many_first_callers_cause_one_fetch",
                "auth::keys::keys_are_renewed_after_an_hour_without_anybody_waiting",
                "auth::keys::the_last_good_keys_stay_in_force_while_the_issuer_is_down",
            ],
        ),
        Row(
            "The issuer of `fame dev` signs people in by browser with a code and PKCE, answered by query or by form, as Entra's libraries expect it.",
            C,
            &[
                "entra-local::by_browser::who_signed_in_comes_back_with_a_code_for_all_that_a_library_stores",
                "entra-local::by_browser::a_public_client_proves_that_it_asked_and_others_their_secret",
                "entra-local::by_browser::a_form_takes_the_answer_where_it_was_asked_for",
                "entra-local::by_browser::a_refresh_token_is_changed_for_the_next_and_ends_soon_after",
            ],
        ),
        Row(
            "It gives device codes, and tells whoever waits what became of the wish in Entra's words.",
            D,
            &[
                "entra-local::on_devices::a_device_waits_until_somebody_has_signed_in_for_it",
                "entra-local::on_devices::a_device_that_nobody_wants_or_that_waited_too_long_is_told",
            ],
        ),
        Row(
            "Microsoft's libraries for Python and Node find accounts again there, and get tokens silently.",
            C,
            &[
                "fame::libraries::python_signs_people_in_and_finds_them_again",
                "fame::libraries::node_signs_people_in_and_so_does_the_vs_code_client",
            ],
        ),
    ],
};

pub(super) const OPERATOR: Section = Section {
    title: "The operator API",
    rows: &[
        Row(
            "Only configured operators pass it, and being one gives no role on any app.",
            X,
            &[
                "identity::operators_and_principals_are_kept_apart",
                "every_endpoint_guarded::refused_calls_change_nothing_and_say_no_more_than_they_may",
            ],
        ),
        Row(
            "Apps are registered, replaced and changed in part.",
            X,
            &[
                "operator::an_app_is_registered_with_an_owner_and_replaced",
                "operator::an_app_is_changed_in_part",
                "operator::a_registration_is_checked",
            ],
        ),
        Row(
            "Operators freeze an app, a principal, or all scheduling, with a reason that whoever is kept from a change is told.",
            X,
            &[
                "freezes::a_frozen_app_stays_as_it_is",
                "freezes::a_frozen_principal_changes_nothing_and_gets_nothing_begun",
                "freezes::while_all_scheduling_is_frozen_nothing_begins",
                "freezes::freezes_are_listed_changed_and_audited",
            ],
        ),
        Row(
            "Operators call customers by a name; vendors list environments and hotfixes by it (`customerName`), and see it where they select it.",
            X,
            &["side_data::vendors_read_what_the_operator_calls_customers"],
        ),
        Row(
            "Webhooks are told of events in order within an operation, at least once, signed as Standard Webhooks 1.0 says.",
            X,
            &[
                "webhooks::each_step_is_told_once_in_order_and_signed",
                "webhooks::a_receiver_that_was_down_is_told_when_it_is_back",
                "webhooks::what_a_crash_left_is_told_afterwards",
                "webhooks::of_two_secrets_the_former_is_good_for_a_day",
                "webhooks::what_was_told_is_told_again_under_the_same_id",
            ],
        ),
        Row(
            "What happens to an app is streamed to its principals, as far as their roles go, in order and without a gap: behind the last event that they have.",
            X,
            &[
                "feed::what_happens_to_an_app_is_told_as_it_happens",
                "feed::who_comes_back_after_a_crash_hears_what_they_missed_once",
                "feed::more_than_is_read_at_once_comes_in_order",
                "feed::what_happens_at_one_server_is_told_at_another",
                "feed::who_loses_their_role_hears_nothing_more",
                "feed::each_hears_what_their_role_lets_them_read",
            ],
        ),
        Row(
            "Events that are not kept any more are said to be gone; streams are bounded, and end with the service.",
            X,
            &[
                "feed::what_is_not_kept_any_more_is_said_to_be_gone",
                "feed::streams_have_a_limit",
                "feed::a_planned_stop_ends_streams",
                "feed::a_beginning_is_understood_or_refused",
            ],
        ),
        Row(
            "Webhooks and the feed are told ids, versions and states, and nothing that anybody wrote.",
            X,
            &["feed::ids_versions_and_states_are_told_and_nothing_that_anybody_wrote"],
        ),
        Row(
            "A webhook that takes nothing for as long as it is tried, or is gone, is disabled, and the app's others hear of it.",
            X,
            &[
                "webhooks::who_takes_nothing_for_days_is_told_nothing_any_more_and_the_others_hear_of_it",
                "webhooks::who_is_gone_is_told_nothing_any_more",
                "webhooks::a_host_that_was_none_before_is_heard_of_by_the_others",
            ],
        ),
        Row(
            "Webhooks are their app's owners' and the operators' alone, go to addresses of the internet, and keep their secrets sealed.",
            X,
            &[
                "webhooks::only_owners_see_webhooks_and_nobody_sees_secrets",
                "webhooks::what_is_no_address_of_the_internet_is_refused",
                "webhooks::without_its_key_the_service_does_not_start",
                "webhooks::operators_stop_webhooks_and_let_them_go_on",
                "webhooks::webhooks_are_tested_ten_times_an_hour",
                "webhooks::an_app_has_ten_webhooks",
                "webhooks::an_operator_is_told_of_one_tenant",
            ],
        ),
        Row(
            "A pipeline's run exchanges its own issuer's token, once, for one that uploads Preview versions of one app, unless an Owner allows more; each claim counts.",
            X,
            &[
                "trusted_publishing::a_usual_run_uploads_previews_and_no_more",
                "trusted_publishing::what_an_owner_allows_besides_is_allowed",
                "trusted_publishing::whatever_a_run_says_otherwise_is_named",
                "trusted_publishing::what_is_no_token_of_the_pipelines_issuer_is_none",
                "trusted_publishing::a_token_is_good_once",
                "trusted_publishing::a_taken_name_locks_a_record_that_stays_capped",
                "trusted_publishing::ids_that_nobody_confirmed_stay_unconfirmed_when_their_record_goes",
                "trusted_publishing::records_of_others_with_its_ids_hinder_no_run",
            ],
        ),
        Row(
            "Owners see which tokens open their app, and end any of them; the audit says from where and through which API a change came.",
            X,
            &[
                "trusted_publishing::owners_see_which_tokens_there_are_and_end_them",
                "trusted_publishing::the_audit_says_from_where_and_by_which_door",
            ],
        ),
        Row(
            "An upload that began under a token that ran out meanwhile is taken in; one whose token was revoked is not.",
            X,
            &["trusted_publishing::an_upload_outlasts_its_token_and_no_revocation"],
        ),
        Row(
            "Application Insights, or a collector, is sent of hotfixes what Business Central itself sends Application Insights.",
            X,
            &[
                "webhooks::application_insights_gets_what_business_central_sends_it",
                "webhooks::a_collector_gets_the_same_as_log_records",
            ],
        ),
        Row(
            "What an app takes up is bounded by settings.",
            X,
            &[
                "quotas::an_app_has_so_many_versions",
                "quotas::an_app_has_so_many_bytes",
                "quotas::so_many_hotfixes_of_an_app_wait",
                "quotas::owners_add_so_many_principals",
            ],
        ),
        Row(
            "Environments are reported as a whole.",
            X,
            &[
                "operator::an_environment_is_reported_and_replaced",
                "operator::a_report_is_checked",
            ],
        ),
        Row(
            "Every change leaves an audit row in the same transaction; what changes nothing leaves none.",
            X,
            &[
                "operator::every_change_leaves_an_audit_row",
                "operator::an_actor_is_known_in_their_tenant_and_named_as_it_can_be_shown",
                "operator::what_changes_nothing_leaves_no_row",
                "operator::the_audit_tells_what_agents_did",
            ],
        ),
        Row(
            "Operations and audit are lists with all query options.",
            X,
            &[
                "execution::operations_are_listed_for_the_operator",
                "operator::the_audit_can_be_filtered",
            ],
        ),
        Row(
            "PATCH of an environment changes what it names - window, versions, location - and leaves the inventory alone.",
            X,
            &["operator::an_environment_is_changed_in_part"],
        ),
        Row(
            "A time zone that nobody knows costs a registered environment its window alone.",
            X,
            &["operator::a_time_zone_that_nobody_knows_costs_the_window_alone"],
        ),
    ],
};

pub(super) const AGENTS: Section = Section {
    title: "Agents",
    rows: &[
        Row(
            "An agent's token opens the agent API and no other, and no other token opens that.",
            X,
            &["every_endpoint_guarded::refused_calls_change_nothing_and_say_no_more_than_they_may"],
        ),
        Row(
            "A code that the operator gives out is exchanged for a token once, within an hour.",
            X,
            &[
                "agents::a_code_is_good_once",
                "agents::a_code_ends_and_a_new_one_is_made",
                "agents::few_codes_are_looked_up_in_a_minute",
                "agents::who_tells_of_what_nobody_was_given_keeps_nobody_from_enrolling",
            ],
        ),
        Row(
            "A token is replaced a minute after it was given out at the earliest.",
            X,
            &["agents::a_token_is_not_replaced_as_soon_as_it_is_got"],
        ),
        Row(
            "An agent replaces its token itself; the one before is good until the new one is used, and ten minutes more.",
            X,
            &[
                "agents::a_token_is_replaced_and_the_one_before_is_good_for_a_while",
                "agents::a_token_ends",
                "agents::an_answer_that_got_lost_is_asked_for_again",
                "agents::an_answer_that_got_lost_before_a_long_outage_freezes_nobody",
            ],
        ),
        Row(
            "A token in two hands freezes the agent until it is enrolled again.",
            X,
            &[
                "agents::two_processes_under_one_token_freeze_the_agent",
                "agents::a_token_that_was_replaced_freezes_the_agent",
                "agents::a_token_that_got_lost_is_nobodys",
            ],
        ),
        Row(
            "Each call names the process that makes it: a new one takes over, and one that was followed by another and calls again freezes the agent.",
            X,
            &[
                "agents::a_call_names_its_process",
                "agents::a_new_process_takes_over",
                "agents::copies_that_call_in_turn_freeze_the_agent",
            ],
        ),
        Row(
            "An agent that is started more than twenty times within an hour is frozen; who called before is remembered for a day.",
            X,
            &["agents::a_copy_does_not_hide_behind_new_sessions"],
        ),
        Row(
            "Whoever finds a token or a code may end it, and does not learn whether it was one.",
            X,
            &["agents::a_token_that_was_found_is_ended_by_whoever_tells"],
        ),
        Row(
            "A frozen agent gets 403 `AgentFrozen` at every address, and only a new code thaws it.",
            X,
            &["agent_work::a_frozen_agent_gets_nothing_until_it_is_enrolled_again"],
        ),
        Row(
            "Who is told of a scope is told whose scopes overlap with it.",
            X,
            &["agents::scopes_that_overlap_are_told"],
        ),
        Row(
            "What is bound to an agent lies within its scope: what is not covered any more is let go.",
            X,
            &[
                "agents::a_scope_that_shrinks_lets_environments_go",
                "agents::a_removed_agent_lets_environments_go",
                "agents::the_operator_says_whose_an_environment_is",
            ],
        ),
        Row(
            "An environment that only the operator registered is served by the one agent that may.",
            X,
            &["agents::what_nobody_reports_is_served_by_the_one_who_may"],
        ),
        Row(
            "An agent is neither an operator, nor a principal, nor another agent.",
            X,
            &[
                "agents::who_is_an_agent_is_nobody_else",
                "agents::an_agent_of_the_cloud_signs_in_by_its_issuer",
            ],
        ),
        Row(
            "An agent reports all that it serves, or what has changed; a row that is wrong, out of scope or another's costs no other.",
            X,
            &[
                "inventories::what_an_agent_reports_is_seen",
                "inventories::changes_are_reported_alone",
                "server::inventories::a_wrong_row_is_refused_with_the_fact_and_costs_no_other",
            ],
        ),
        Row(
            "Nothing that an agent reports widens its scope.",
            X,
            &["server::inventories::a_row_outside_the_scope_is_refused_and_the_rest_is_taken"],
        ),
        Row(
            "An environment belongs to the agent that reported it first; what another says of it is `BoundElsewhere`.",
            X,
            &[
                "server::inventories::an_environment_stays_with_the_agent_that_reported_it_first",
                "server::inventories::two_agents_that_find_the_same_environment_at_once_do_not_both_get_it",
                "server::inventories::what_the_operator_registered_belongs_to_whoever_reports_it_first",
            ],
        ),
        Row(
            "An inventory whose number is not higher than that of the last is refused, and of two at once the higher one decides.",
            X,
            &[
                "server::inventories::an_inventory_that_comes_late_or_twice_is_refused",
                "server::inventories::of_two_inventories_at_once_the_later_one_decides",
            ],
        ),
        Row(
            "The number of an inventory is at most that of this time tomorrow; after enrolment numbers begin anew.",
            X,
            &["inventories::a_number_that_no_clock_has_is_refused_and_enrolment_begins_anew"],
        ),
        Row(
            "One inventory of an agent is taken in at a time; whoever sends slowly is given up, and nobody waits for long for the others.",
            X,
            &[
                "inventories::an_agent_is_taken_one_inventory_of_at_a_time",
                "inventories::nobody_waits_for_ever_for_those_who_send_slowly",
            ],
        ),
        Row(
            "A full inventory that loses more than a fifth of the environments, or gains more than a fifth and fifty, has to be confirmed.",
            X,
            &[
                "server::inventories::far_fewer_or_far_more_environments_have_to_be_meant",
                "inventories::what_is_missing_is_shown_and_goes_after_a_day",
            ],
        ),
        Row(
            "An agent has 20000 environments at most, those that are missing included, each of 1000 apps.",
            X,
            &["server::inventories::nobody_reports_more_than_an_agent_may_have"],
        ),
        Row(
            "What comes back works again, and nothing is removed in which something runs.",
            X,
            &[
                "server::inventories::what_comes_back_works_again_and_nothing_is_removed_in_which_something_runs",
            ],
        ),
        Row(
            "What changed without the service's doing is written down and told, and decides what waits.",
            X,
            &[
                "server::inventories::drift_is_written_down_and_told",
                "server::inventories::drift_decides_what_waits",
            ],
        ),
        Row(
            "An environment that is held for an unknown outcome works again once its agent reports it.",
            X,
            &["server::inventories::an_environment_that_was_held_works_again_once_it_is_reported"],
        ),
        Row(
            "A time zone is named by its Windows id, new or obsolete, or by its IANA id, in any case, or by an id that the settings add; one that nobody knows costs a report the window only.",
            X,
            &[
                "domain::window::a_zone_may_be_named_as_the_iana_database_does",
                "domain::window::windows_ids_may_be_new_or_old_and_in_any_case",
                "server::inventories::a_time_zone_that_nobody_knows_costs_the_window_only",
            ],
        ),
        Row(
            "What an agent does not name any more is missing: nothing is scheduled or starts there, and it goes after a day.",
            X,
            &["inventories::what_is_missing_is_shown_and_goes_after_a_day"],
        ),
        Row(
            "Production that is reported as a sandbox stays what it was, and nothing starts, until the operator releases it.",
            X,
            &["inventories::a_dispute_is_shown_and_ended_by_a_release"],
        ),
        Row(
            "A claim gives what is due in the agent's environments, and tells again of what it holds and does not name.",
            X,
            &[
                "agent_work::an_agent_carries_a_hotfix_out",
                "server::working::what_an_agent_did_not_hear_of_it_is_told_again_and_of_what_it_lost_nothing",
                "server::claiming::whoever_claims_is_given_nothing_but_what_belongs_to_them",
            ],
        ),
        Row(
            "A claim may wait for a minute: it costs no query and no place, and is answered as soon as something is due.",
            X,
            &[
                "server::working::claims_that_wait_ask_the_database_nothing",
                "server::working::a_waiting_claim_is_woken_by_work_wherever_it_is_made_and_when_it_becomes_due",
                "agent_work::a_claim_that_waits_is_answered_when_the_window_opens",
                "agent_work::a_claim_that_waits_takes_up_no_place_and_ends_with_the_service",
            ],
        ),
        Row(
            "Whoever holds an operation renews its lease and says how far it has come, which vendor and operator see when they select it.",
            X,
            &[
                "agent_work::progress_is_shown_to_those_who_select_it",
                "server::working::progress_is_kept_by_whoever_holds_the_operation",
            ],
        ),
        Row(
            "Success needs the version that was asked for, failure a message; the same report may come again, and a late one is only written down.",
            X,
            &[
                "agent_work::wrong_requests_are_told_what_is_wrong_with_them",
                "server::working::a_report_counts_once_and_a_late_one_is_only_written_down",
            ],
        ),
        Row(
            "Failures can be filtered by their cause; of some customers vendors learn the cause only.",
            X,
            &[
                "agent_work::failures_can_be_told_apart_by_their_cause",
                "server::working::of_some_customers_vendors_learn_the_cause_only",
            ],
        ),
        Row(
            "A package is sent to whoever holds its operation, three times from before its middle, and ends within five seconds after that is over; HEAD is no download.",
            X,
            &[
                "agent_work::packages_are_for_whoever_holds_the_operation",
                "agent_work::a_package_is_sent_three_times_from_its_beginning",
                "server::working::a_download_ends_within_five_seconds_after_the_lease_or_the_agent_was_frozen",
            ],
        ),
        Row(
            "A package that is not what was scheduled is not sent; a large one is broken off before its end.",
            X,
            &[
                "agent_work::a_package_that_was_changed_is_not_sent",
                "server::working::the_last_bytes_of_a_changed_package_are_not_sent",
            ],
        ),
        Row(
            "A claim tells where another country has other bytes of the same version.",
            X,
            &["agent_work::other_bytes_elsewhere_are_told_of"],
        ),
    ],
};
