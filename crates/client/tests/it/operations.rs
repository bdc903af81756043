//! Every operation of the service has its method, at the address that its description says.

use crate::service::{APP, Asked, Service, answer};
use client::{
    AgentClient, Client, EnvironmentPath, Error, EventsFrom, Narrowing, OwnEnvironment, RolloutVerb, Upload,
};
use domain::{
    freeze::Frozen,
    ids::{OperationId, PrincipalId, TenantId},
    version::AppVersion,
};
use serde_json::Value;
use std::collections::BTreeSet;
use uuid::Uuid;
use wire::{
    admin_center::{
        CadenceBody, CancelBody, InstallBody, PostponeBody, UninstallBody, UpdateBody, UpgradeSettingsBody,
    },
    agent::{ClaimRequest, Finish, Inventory, Renewal},
    freezes::AppFreezeBody,
    hotfixes::HotfixRequestBody,
    operator::{
        AgentRegistrationBody, AppRegistrationBody, CustomerBody, EnvironmentPatchBody,
        EnvironmentRegistrationBody, FreezeBody, PrincipalRegistrationBody, RebindingBody, RotationBody,
    },
    principals::PrincipalPatch,
    publishers::{PublisherExchange, TrustedPublisherBody},
    tags::{EnvironmentTagsBody, TagsChangeBody},
    versions::VersionPatchBody,
    webhooks::WebhookBody,
};

const VERSION: AppVersion = AppVersion([16, 0, 1, 2]);

/// `METHOD path` of every operation in the description, its parameters as `{}`; but for those that are there once more for
/// clients that know no verb but GET.
fn described() -> BTreeSet<String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../openapi.json");
    let document: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let mut operations = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        let segments = path.split('/').map(|segment| match segment.starts_with('{') {
            true => "{}",
            false => segment,
        });
        let path = segments.collect::<Vec<_>>().join("/");
        let methods = methods.as_object().unwrap().iter();
        let methods = methods.filter(|(_, operation)| {
            let id = operation["operationId"].as_str().unwrap_or_default();
            !id.is_empty() && !id.ends_with("_by_get")
        });
        operations.extend(methods.map(|(method, _)| format!("{} {path}", method.to_uppercase())));
    }
    operations
}

/// The same of a request, which has `known` for parameters.
fn called(asked: &Asked, known: &[String]) -> String {
    let segments = asked.uri.path().split('/');
    let segments = segments.map(|segment| match known.iter().any(|known| known == segment) {
        true => "{}",
        false => segment,
    });
    format!("{} {}", asked.method, segments.collect::<Vec<_>>().join("/"))
}

#[tokio::test]
async fn every_operation_is_called_at_its_address() {
    let service = Service::start(|_, _| answer(418, "")).await;
    let (principal, tenant, operation) = (
        PrincipalId(Uuid::from_u128(2)),
        TenantId(Uuid::from_u128(3)),
        OperationId(Uuid::from_u128(4)),
    );
    let environment = EnvironmentPath {
        aad_tenant_id: tenant,
        application_family: "Family",
        name: "Name",
    };
    call_vendor(&service.client(), principal, operation, environment).await;
    call_rollout(&service.client(), principal.0).await;
    call_operator(&service.client(), principal, environment).await;
    call_agent(&service.client(), operation).await;
    call_customer(&service.client(), tenant, operation).await;
    let known = [
        APP.to_string(),
        principal.to_string(),
        tenant.to_string(),
        operation.to_string(),
        VERSION.to_string(),
        Frozen::Scheduling.to_string(),
        Frozen::App(APP).to_string(),
        Frozen::Principal(principal).to_string(),
        "US".into(),
        "Family".into(),
        "Name".into(),
    ];
    let asked: BTreeSet<String> = service
        .journal()
        .iter()
        .map(|asked| called(asked, &known))
        .collect();
    assert_eq!(asked, described());
}

/// Makes the calls; what is answered does not matter.
macro_rules! call {
    ($($call:expr),+ $(,)?) => { $(drop($call.await);)+ };
}

async fn call_vendor(
    client: &Client,
    principal: PrincipalId,
    operation: OperationId,
    environment: EnvironmentPath<'_>,
) {
    let (principals, versions) = (PrincipalPatch::default(), VersionPatchBody::default());
    let hotfix = HotfixRequestBody {
        environment_aad_tenant_id: Uuid::nil(),
        target_app_version: VERSION.to_string(),
        run_after: None,
        ignore_upgrade_window: false,
        environment_application_family: "Family".into(),
        environment_name: "Name".into(),
        environment_type: None,
        despite_forecast: false,
    };
    let exchange = PublisherExchange {
        token: "token".into(),
        app_id: None,
        publisher_id: None,
    };
    call! {
        client.get_live(),
        client.get_ready(),
        client.get_service_document(),
        client.get_metadata(),
        client.list_apps().all(),
        client.count_apps(None),
        client.get_app(APP),
        client.get_my_permissions(APP).all(),
        client.list_roles(APP).all(),
        client.list_countries(APP).all(),
        client.count_countries(APP, None),
        client.get_country(APP, "US"),
        client.patch_country(APP, "US"),
        client.list_principals(APP).all(),
        client.count_principals(APP, None),
        client.get_principal(APP, principal),
        client.patch_principal(APP, principal, &principals),
        client.delete_principal(APP, principal),
        client.list_versions(APP, "US").all(),
        client.count_versions(APP, "US", None),
        client.get_version(APP, "US", VERSION),
        client.upload_version(APP, "US", Upload::bytes(&b"abc"[..])),
        client.patch_version(APP, "US", VERSION, &versions),
        client.what_if_version(APP, "US", VERSION, &versions),
        client.get_package_contents(APP, "US", VERSION).bytes(),
        client.list_environments(APP, "US").all(),
        client.count_environments(APP, "US", None),
        client.get_environment(APP, "US", "Name", &Narrowing::default()),
        client.list_environment_history(APP, "US", "Name", &Narrowing::default()).all(),
        client.list_hotfixes(APP, "US").all(),
        client.count_hotfixes(APP, "US", None),
        client.plan_hotfixes(APP, "US", VERSION).all(),
        client.get_hotfix(APP, "US", operation),
        client.schedule_hotfix(APP, "US", &hotfix),
        client.update_hotfix(APP, "US", operation),
        client.stream_events(APP, EventsFrom::Now, false).next(),
        client.list_webhooks(APP).all(),
        client.get_webhook(APP, principal.0),
        client.put_webhook(APP, principal.0, &WebhookBody::default()),
        client.delete_webhook(APP, principal.0),
        client.rotate_webhook(APP, principal.0),
        client.test_webhook(APP, principal.0),
        client.list_webhook_deliveries(APP, principal.0).all(),
        client.replay_webhook_delivery(APP, principal.0, operation.0),
        client.list_trusted_publishers(APP).all(),
        client.get_trusted_publisher(APP, principal.0),
        client.put_trusted_publisher(APP, principal.0, &TrustedPublisherBody::default()),
        client.delete_trusted_publisher(APP, principal.0),
        client.list_tokens(APP).all(),
        client.revoke_token(APP, principal.0),
        client.get_tags(APP, environment),
        client.put_tags(APP, environment, &EnvironmentTagsBody::default()),
        client.change_tags(APP, &TagsChangeBody::default()),
        client.list_app_freezes(APP).all(),
        client.get_app_freeze(APP, principal.0),
        client.put_app_freeze(APP, principal.0, &AppFreezeBody::default()),
        client.delete_app_freeze(APP, principal.0),
        client.list_uploaded_versions(APP).all(),
        client.plan_rollout(APP, &Value::Null),
        client.create_rollout(APP, &Value::Null),
        client.list_rollouts(APP).all(),
        client.count_rollouts(APP, None),
        client.get_rollout(APP, principal.0),
        client.list_rollout_environments(APP, principal.0).all(),
        client.get_approval_policy(APP),
        client.put_approval_policy(APP, &Value::Null),
        client.get_oidc_audience(),
        client.exchange_oidc_token(&exchange),
        client.end_oidc_token(),
    }
}

async fn call_rollout(client: &Client, id: Uuid) {
    for verb in [
        RolloutVerb::Approve,
        RolloutVerb::Reject,
        RolloutVerb::Pause,
        RolloutVerb::Resume,
        RolloutVerb::Advance,
        RolloutVerb::Retry,
        RolloutVerb::Abort,
    ] {
        drop(client.change_rollout(APP, id, verb, &Value::Null).await);
    }
}

async fn call_operator(client: &Client, principal: PrincipalId, environment: EnvironmentPath<'_>) {
    let app = AppRegistrationBody::default();
    let registration = EnvironmentRegistrationBody {
        country_code: "US".into(),
        kind: "Sandbox".into(),
        location_name: None,
        application_version: None,
        platform_version: None,
        window: None,
        inventory_complete: false,
        apps: Vec::new(),
    };
    call! {
        client.get_operator_metadata(),
        client.list_registered_apps().all(),
        client.get_registered_app(APP),
        client.put_app(APP, &app),
        client.patch_app(APP, &app),
        client.list_customers().all(),
        client.get_customer(environment.aad_tenant_id),
        client.put_customer(environment.aad_tenant_id, &CustomerBody::default()),
        client.delete_customer(environment.aad_tenant_id),
        client.list_freezes().all(),
        client.get_freeze(Frozen::Scheduling),
        client.put_freeze(Frozen::App(APP), &FreezeBody::default()),
        client.delete_freeze(Frozen::Principal(principal)),
        client.put_principal(APP, principal, &PrincipalRegistrationBody::default()),
        client.list_registered_environments().all(),
        client.get_registered_environment(environment),
        client.list_registered_environment_history(environment).all(),
        client.put_environment(environment, &registration),
        client.patch_environment(environment, &EnvironmentPatchBody::default()),
        client.delete_environment(environment),
        client.release_environment(environment),
        client.rebind_environment(environment, &RebindingBody::default()),
        client.list_agents().all(),
        client.get_agent("Name"),
        client.put_agent("Name", &AgentRegistrationBody::default()),
        client.delete_agent("Name"),
        client.rotate_agent("Name", &RotationBody::default()),
        client.stream_all_events(EventsFrom::Kept, false).next(),
        client.list_operations().all(),
        client.list_audit().all(),
        client.list_all_webhooks().all(),
        client.get_any_webhook(principal.0),
        client.put_any_webhook(principal.0, &WebhookBody::default()),
        client.delete_any_webhook(principal.0),
        client.rotate_any_webhook(principal.0),
        client.test_any_webhook(principal.0),
        client.list_any_webhook_deliveries(principal.0).all(),
        client.replay_any_webhook_delivery(principal.0, environment.aad_tenant_id.0),
    }
}

async fn call_agent(client: &Client, operation: OperationId) {
    let agent = AgentClient::new(client.clone(), Uuid::from_u128(5));
    let inventory = Inventory::default();
    let renewal = Renewal {
        lease_id: Uuid::nil(),
        progress: None,
    };
    let finish = Finish {
        lease_id: Uuid::nil(),
        status: "Skipped".into(),
        error_message: None,
        failure_cause: None,
        installed_version: None,
    };
    call! {
        client.enrol_agent("fameenr_code"),
        client.report_leaked_tokens(&["fameagt_".to_owned()]),
        agent.rotate_agent_token(),
        agent.put_inventory(&inventory),
        agent.patch_inventory(&inventory),
        agent.claim_operations(&ClaimRequest::default()),
        agent.renew_operation(operation, &renewal),
        agent.finish_operation(operation, &finish),
        agent.get_operation_package::<Error>(operation, |_| Ok(())),
    }
}

async fn call_customer(client: &Client, tenant: TenantId, operation: OperationId) {
    let environment = OwnEnvironment {
        application_family: "Family",
        name: "Name",
    };
    call! {
        client.list_families(),
        client.list_time_zones(),
        client.list_authorized_apps(),
        client.list_manageable_tenants(),
        client.list_own_environments(),
        client.list_own_environments_of_family("Family"),
        client.get_own_environment(environment),
        client.list_platform_updates(environment),
        client.get_upgrade_settings(environment),
        client.put_upgrade_settings(environment, &UpgradeSettingsBody::default()),
        client.put_update_cadence(environment, &CadenceBody::default()),
        client.list_installed_apps(environment),
        client.list_available_updates(environment),
        client.list_uninstall_requirements(environment, APP),
        client.install_app(environment, APP, &InstallBody::default()),
        client.update_app(environment, APP, &UpdateBody::default()),
        client.uninstall_app(environment, APP, &UninstallBody::default()),
        client.cancel_app_operation(environment, APP, &CancelBody::default()),
        client.cancel_environment_operation(environment, operation),
        client.postpone_operation(environment, operation, &PostponeBody::default()),
        client.list_tenant_operations(),
        client.get_tenant_operation(operation),
        client.list_environment_operations(environment),
        client.get_environment_operation(environment, operation),
        client.list_app_operations(environment, APP),
        client.get_app_operation(environment, APP, operation),
        client.list_delegated_partners(),
        client.revoke_delegated_partner(tenant),
        client.revoke_delegated_person(tenant, tenant.0),
    }
}
