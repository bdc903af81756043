//! Decisions about the customers' API.

use super::{
    Evidence::{C, D, I, X},
    Row, Section,
};

/// The Admin Center API.
pub(super) const CUSTOMERS: Section = Section {
    title: "Customers' API",
    rows: &[
        Row(
            "`/admin/v2.{n}` is served for every n from 0 to 99, as one behaviour: the newest superset.",
            C,
            &[
                "admin_center::every_minor_version_and_spelling_is_one_address",
                "server::admin_center::address::other_versions_and_places_are_left_alone",
            ],
        ),
        Row(
            "Literals, family, environment and ids are read in any case, a family also without blanks, an id also in braces, a slash at the end is nothing.",
            C,
            &[
                "admin_center::every_minor_version_and_spelling_is_one_address",
                "admin_clients::ccms_updates_an_app_whose_id_stands_in_braces",
            ],
        ),
        Row(
            "Members of requests are read in any case, truths also as texts, `null` as nothing; unknown members pass and are written down in the audit.",
            C,
            &[
                "wire::admin_center::requests::members_are_read_as_clients_spell_them",
                "wire::admin_center::requests::what_means_nothing_is_passed_over_and_told",
                "admin_center::the_cadence_is_kept_and_shown",
            ],
        ),
        Row(
            "A member that is one or two letters away from a known one is refused with its name.",
            X,
            &["wire::admin_center::requests::a_misspelt_member_is_none_that_means_nothing"],
        ),
        Row(
            "Environments, apps and operations have one superset of members, in documented words and case; what is not known is left out and never null.",
            C,
            &[
                "admin_center::environments_have_the_documented_shape",
                "admin_center::apps_have_the_documented_shape",
                "admin_center::an_operation_is_the_same_at_every_address",
            ],
        ),
        Row(
            "One environment is answered bare, and so is one operation; lists are `{\"value\":[…]}`, whole, operations newest first.",
            C,
            &[
                "admin_center::environments_have_the_documented_shape",
                "admin_center::an_operation_is_the_same_at_every_address",
            ],
        ),
        Row(
            "Apps show no `status`: one client would take them out for it.",
            C,
            &["admin_clients::terraform_creates_updates_and_destroys_an_app"],
        ),
        Row(
            "The update window is read and set by wall time with a Windows time zone, or in UTC; both at once, halves and less than six hours are refused.",
            D,
            &[
                "admin_center::a_window_is_read_and_set_in_both_ways",
                "admin_center::a_window_that_cannot_be_is_refused",
                "admin_center::what_waits_is_timed_anew_when_the_window_changes",
            ],
        ),
        Row(
            "A window that a customer set holds until another one is reported than before.",
            X,
            &["admin_center::a_window_is_read_and_set_in_both_ways"],
        ),
        Row(
            "The cadence of apps is kept and shown, and changes nothing; it is set by PUT alone.",
            X,
            &["admin_center::the_cadence_is_kept_and_shown"],
        ),
        Row(
            "There are no updates of the platform to see, choose or move.",
            X,
            &["admin_center::updates_of_the_platform_are_none"],
        ),
        Row(
            "Every other call of the original is answered with 501 that names it.",
            X,
            &["admin_center::what_is_not_served_is_named"],
        ),
        Row(
            "An error says code and message at the top level and in `error` again, requirements in `data`, reasons in `clientError`.",
            C,
            &["admin_clients::the_open_tool_requires_members_and_understands_texts"],
        ),
        Row(
            "The tenant of the token decides what there is; what is another tenant's is answered byte for byte as what is nobody's.",
            X,
            &[
                "admin_center::an_environment_of_another_tenant_answers_as_one_that_is_nobodys",
                "admin_center::the_tenant_of_the_token_decides_what_there_is",
            ],
        ),
        Row(
            "Users administer a tenant by a directory role in `wids` or because they are named; applications by the role and the tenant's list together. Who does not gets 403, never 404.",
            D,
            &[
                "customers::users_have_a_directory_role_or_are_named",
                "customers::applications_have_the_role_and_are_listed",
                "auth::tests::doors::administrators_are_told_by_their_roles",
            ],
        ),
        Row(
            "A delegated administrator is a caller kind of its own, from `tid`, `idp` and `aai`, who needs a role and an entry that has not ended; without an entry there is nothing (404).",
            I,
            &[
                "auth::tests::doors::a_delegated_administrator_is_known_by_their_own_tenant_in_both_versions",
                "auth::tests::doors::a_delegation_that_contradicts_itself_is_none",
                "auth::tests::doors::a_guest_is_a_user_of_the_tenant_whose_guest_they_are",
                "customers::a_delegated_token_opens_the_door_of_a_customer_who_let_it_in",
                "customers::a_partnership_ends_at_its_instant",
            ],
        ),
        Row(
            "A tenant is trusted for doors; at all others its tokens are refused with 401. `any` tenant is possible for customers alone, who have to be registered then.",
            X,
            &[
                "auth::tests::doors::a_tenant_is_trusted_for_the_doors_of_its_entry",
                "auth::tests::settings::any_tenant_is_for_customers_alone_and_not_with_tokens_of_others",
                "customers::each_door_has_its_own_tenants",
                "customers::of_any_tenant_only_the_registered_come_in",
            ],
        ),
        Row(
            "The operator keeps a tenant's clients, named administrators and partners; its own users list partners and end their access, which nobody else may.",
            X,
            &[
                "customers::operators_register_customers",
                "customers::customers_see_and_end_the_access_of_partners",
            ],
        ),
        Row(
            "A caller makes so many changes an hour, in all tenants together.",
            X,
            &["customers::so_many_changes_an_hour_in_all_tenants_together"],
        ),
        Row(
            "`deployment/url` is told to anybody where the operator switches it on.",
            X,
            &["admin_center::the_web_address_of_an_environment_is_told_where_that_is_switched_on"],
        ),
        Row(
            "BcContainerHelper, AL-Go, the Terraform provider, CCMS, BC Admin Open Tool, ALOps, the MCP server, AL Dev Toolbox and the samples work when only the base address changes.",
            C,
            &[
                "admin_clients::bc_container_helper_installs_an_app_and_polls_its_list",
                "admin_clients::bc_container_helper_reads_environments_operations_and_windows",
                "admin_clients::al_go_reads_the_version_of_the_base_application",
                "admin_clients::terraform_creates_updates_and_destroys_an_app",
                "admin_clients::terraform_takes_a_scheduled_operation_for_a_deferred_success",
                "admin_clients::terraform_changes_the_window_flag_of_an_update_that_waits",
                "admin_clients::terraform_reads_an_environment_and_its_data_sources",
                "admin_clients::ccms_updates_an_app_whose_id_stands_in_braces",
                "admin_clients::the_open_tool_requires_members_and_understands_texts",
                "admin_clients::alops_updates_every_app_that_is_listed",
                "admin_clients::the_mcp_server_parses_what_it_gets",
                "admin_clients::al_dev_toolbox_is_tolerant",
                "admin_clients::the_rest_client_and_the_samples_take_200_alone",
            ],
        ),
    ],
};
