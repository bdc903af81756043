//! The table of contents: every address of the service, and what answers there.

use super::{
    agent, apps, context, countries, environments, exchange, extract::AppState, health, hotfixes, metadata,
    oidc, openapi, principals, problem, publishers, rollouts, versions, webhooks,
};
use crate::{admin_center, operator};
use axum::{
    Router, middleware,
    routing::{any, get, patch, put},
};
use std::sync::Arc;
use tower::util::MapRequestLayer;
use utoipa::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The vendor API: the App Management API.
fn app_management() -> OpenApiRouter<Arc<AppState>> {
    OpenApiRouter::new()
        .routes(routes!(metadata::get_service_document))
        .routes(routes!(metadata::get_metadata))
        .routes(routes!(apps::list_apps))
        .routes(routes!(apps::count_apps))
        .routes(routes!(apps::get_app))
        .routes(routes!(apps::get_my_permissions, apps::get_my_permissions_by_get))
        .routes(routes!(apps::list_roles))
        .routes(routes!(countries::list_countries))
        .routes(routes!(countries::count_countries))
        .routes(routes!(countries::get_country, countries::patch_country))
        .routes(routes!(principals::list_principals))
        .routes(routes!(principals::count_principals))
        .routes(routes!(
            principals::get_principal,
            principals::patch_principal,
            principals::delete_principal
        ))
        .routes(routes!(versions::list_versions, versions::upload_version))
        .routes(routes!(versions::count_versions))
        .routes(routes!(versions::get_version, versions::patch_version))
        .routes(routes!(
            versions::get_package_contents,
            versions::get_package_contents_by_get
        ))
        .routes(routes!(environments::list_environments))
        .routes(routes!(environments::count_environments))
        .routes(routes!(environments::get_environment))
        .routes(routes!(hotfixes::list_hotfixes, hotfixes::schedule_hotfix))
        .routes(routes!(hotfixes::count_hotfixes))
        .routes(routes!(hotfixes::plan_hotfixes))
        .routes(routes!(hotfixes::get_hotfix, hotfixes::update_hotfix))
        .routes(routes!(webhooks::list_webhooks))
        .routes(routes!(
            webhooks::get_webhook,
            webhooks::put_webhook,
            webhooks::delete_webhook
        ))
        .routes(routes!(webhooks::rotate_webhook))
        .routes(routes!(webhooks::test_webhook))
        .routes(routes!(webhooks::list_webhook_deliveries))
        .routes(routes!(webhooks::replay_webhook_delivery))
        .routes(routes!(publishers::list_trusted_publishers))
        .routes(routes!(
            publishers::get_trusted_publisher,
            publishers::put_trusted_publisher,
            publishers::delete_trusted_publisher
        ))
        .routes(routes!(rollouts::list_rollouts, rollouts::create_rollout))
        .routes(routes!(rollouts::count_rollouts))
        .routes(routes!(rollouts::plan_rollout))
        .routes(routes!(rollouts::get_rollout))
        .routes(routes!(rollouts::list_rollout_environments))
        .routes(routes!(rollouts::approve_rollout))
        .routes(routes!(rollouts::reject_rollout))
        .routes(routes!(rollouts::pause_rollout))
        .routes(routes!(rollouts::resume_rollout))
        .routes(routes!(rollouts::advance_rollout))
        .routes(routes!(rollouts::retry_rollout))
        .routes(routes!(rollouts::abort_rollout))
        .routes(routes!(
            rollouts::get_approval_policy,
            rollouts::put_approval_policy
        ))
}

/// The operator API.
fn operators() -> OpenApiRouter<Arc<AppState>> {
    OpenApiRouter::new()
        .routes(routes!(metadata::get_operator_metadata))
        .routes(routes!(operator::apps::list_registered_apps))
        .routes(routes!(
            operator::apps::get_registered_app,
            operator::apps::put_app,
            operator::apps::patch_app
        ))
        .routes(routes!(operator::apps::put_principal))
        .routes(routes!(operator::environments::list_registered_environments))
        .routes(routes!(
            operator::environments::get_registered_environment,
            operator::environments::put_environment,
            operator::environments::patch_environment,
            operator::environments::delete_environment
        ))
        .routes(routes!(operator::environments::release_environment))
        .routes(routes!(operator::agents::rebind_environment))
        .routes(routes!(operator::customers::list_customers))
        .routes(routes!(
            operator::customers::get_customer,
            operator::customers::put_customer,
            operator::customers::delete_customer
        ))
        .routes(routes!(operator::freezes::list_freezes))
        .routes(routes!(
            operator::freezes::get_freeze,
            operator::freezes::put_freeze,
            operator::freezes::delete_freeze
        ))
        .routes(routes!(operator::agents::list_agents))
        .routes(routes!(
            operator::agents::get_agent,
            operator::agents::put_agent,
            operator::agents::delete_agent
        ))
        .routes(routes!(operator::agents::rotate_agent))
        .routes(routes!(operator::records::list_operations))
        .routes(routes!(operator::records::list_audit))
        .routes(routes!(operator::webhooks::list_all_webhooks))
        .routes(routes!(
            operator::webhooks::get_any_webhook,
            operator::webhooks::put_any_webhook,
            operator::webhooks::delete_any_webhook
        ))
        .routes(routes!(operator::webhooks::rotate_any_webhook))
        .routes(routes!(operator::webhooks::test_any_webhook))
        .routes(routes!(operator::webhooks::list_any_webhook_deliveries))
        .routes(routes!(operator::webhooks::replay_any_webhook_delivery))
}

/// The agent API.
fn agents() -> OpenApiRouter<Arc<AppState>> {
    OpenApiRouter::new()
        .routes(routes!(agent::sign_in::enrol_agent))
        .routes(routes!(agent::sign_in::rotate_agent_token))
        .routes(routes!(
            agent::inventory::put_inventory,
            agent::inventory::patch_inventory
        ))
        .routes(routes!(agent::work::claim_operations))
        .routes(routes!(agent::work::renew_operation))
        .routes(routes!(agent::work::finish_operation))
        .routes(routes!(agent::work::get_operation_package))
}

/// The customers' API: a subset of the Admin Center API.
fn customers() -> OpenApiRouter<Arc<AppState>> {
    OpenApiRouter::new()
        .routes(routes!(admin_center::tenant::list_families))
        .routes(routes!(admin_center::tenant::list_time_zones))
        .routes(routes!(admin_center::tenant::list_authorized_apps))
        .routes(routes!(admin_center::tenant::list_manageable_tenants))
        .routes(routes!(admin_center::environments::list_own_environments))
        .routes(routes!(
            admin_center::environments::list_own_environments_of_family
        ))
        .routes(routes!(admin_center::environments::get_own_environment))
        .routes(routes!(admin_center::environments::list_platform_updates))
        .routes(routes!(
            admin_center::settings::get_upgrade_settings,
            admin_center::settings::put_upgrade_settings
        ))
        .routes(routes!(admin_center::settings::put_update_cadence))
        .routes(routes!(admin_center::apps::list_installed_apps))
        .routes(routes!(admin_center::apps::list_available_updates))
        .routes(routes!(admin_center::apps::list_uninstall_requirements))
        .routes(routes!(admin_center::apps::install_app))
        .routes(routes!(admin_center::apps::update_app))
        .routes(routes!(admin_center::apps::cancel_app_operation))
        .routes(routes!(admin_center::apps::uninstall_app))
        .routes(routes!(admin_center::operations::list_tenant_operations))
        .routes(routes!(admin_center::operations::get_tenant_operation))
        .routes(routes!(admin_center::operations::list_environment_operations))
        .routes(routes!(admin_center::operations::get_environment_operation))
        .routes(routes!(admin_center::operations::cancel_environment_operation))
        .routes(routes!(admin_center::operations::postpone_operation))
        .routes(routes!(admin_center::operations::list_app_operations))
        .routes(routes!(admin_center::operations::get_app_operation))
        .routes(routes!(admin_center::partners::list_delegated_partners))
        .routes(routes!(admin_center::partners::revoke_delegated_partner))
        .routes(routes!(admin_center::partners::revoke_delegated_person))
}

/// What clients of the Admin Center API ask for besides: addresses that it had before, what never succeeds here, and all of it
/// that is not served.
fn also_for_customers() -> Router<Arc<AppState>> {
    const ENVIRONMENT: &str = "/admin/v2.0/applications/{applicationFamily}/environments/{environmentName}";
    let none = admin_center::environments::scheduled_platform_update;
    let not_served = || any(admin_center::not_served);
    Router::new()
        .route(
            "/admin/v2.0/applications/{applicationFamily}/environments/operations",
            get(admin_center::operations::list_tenant_operations_of_family),
        )
        .route(
            "/admin/v2.0/environments/{environmentName}/operations",
            get(admin_center::operations::list_operations_of_name),
        )
        .route(
            &format!("{ENVIRONMENT}/updates/{{version}}"),
            patch(admin_center::environments::choose_platform_update),
        )
        .route(&format!("{ENVIRONMENT}/upgrade"), get(none).put(none))
        .route(
            ENVIRONMENT,
            put(admin_center::not_served)
                .post(admin_center::not_served)
                .patch(admin_center::not_served)
                .delete(admin_center::not_served),
        )
        .route(
            "/admin/v2.0/authorizedAadApps",
            put(admin_center::not_served)
                .post(admin_center::not_served)
                .patch(admin_center::not_served)
                .delete(admin_center::not_served),
        )
        .route("/admin/v2.0", not_served())
        .route("/admin/v2.0/{*rest}", not_served())
        .route(
            "/{tenantId}/{environmentName}/deployment/url",
            get(admin_center::environments::get_deployment),
        )
}

fn documented() -> OpenApiRouter<Arc<AppState>> {
    OpenApiRouter::with_openapi(openapi::Description::openapi())
        .nest("/v1.0", app_management())
        .nest("/operator/v1", operators())
        .nest("/agent/v1", agents())
        .nest("/admin/v2.0", customers())
        .routes(routes!(agent::sign_in::report_leaked_tokens))
        .routes(routes!(oidc::get_oidc_audience))
        .routes(routes!(oidc::exchange_oidc_token))
        .routes(routes!(oidc::end_oidc_token))
        .routes(routes!(health::get_live))
        .routes(routes!(health::get_ready))
}

/// Everything that is served.
pub(crate) fn router(state: Arc<AppState>) -> Router {
    let (documented, description) = documented().split_for_parts();
    let routed = documented
        .merge(also_for_customers())
        .merge(openapi::pages(&openapi::described(&description)))
        .fallback(problem::no_such_address)
        .method_not_allowed_fallback(problem::wrong_verb)
        .with_state(state)
        .layer(MapRequestLayer::new(exchange::note_route));
    // A layer around a router does not see requests that no route matches as they were sent, and could not change
    // what is matched; around this outer one it can.
    Router::new()
        .fallback_service(routed)
        .layer(middleware::from_fn(context::around))
}

/// The description of every address, as JSON.
#[must_use]
pub fn openapi_json() -> String {
    let (_, description) = documented().split_for_parts();
    openapi::to_json(&openapi::described(&description))
}
