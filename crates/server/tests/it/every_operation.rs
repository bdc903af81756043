//! Every operation of the API with a request that somebody who may would make of it, and who may.
//!
//! The addresses come from the OpenAPI document, so that nothing that is served can be missing here: see
//! `every_endpoint_guarded`. Whatever a request uses up, a version number or a waiting hotfix, each caller has one of
//! their own.

use crate::harness::{
    APP, Answer, Backend, CUSTOMER, Caller, Environment, Harness, OTHER_CUSTOMER, PARTNER_TENANT, Person,
    RESELLER_TENANT, Request, TECHNICIAN, admin_path, administrator_of, agent_registration, client_of,
    identity_of, mint, package, partner_entry, partner_of, principal_body, publisher, publisher_with,
    registration, run_for, upload_body,
};
use entra_local::{SigningKeyChoice, TokenRequest};
use http::Method;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};
use uuid::Uuid;

/// What protects an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Guard {
    /// Nothing: it tells nothing but that the process is there.
    Public,
    /// A valid token; what is shown depends on the caller.
    AnyToken,
    /// This role on the app.
    Role(Role),
    /// Being an operator.
    Operator,
    /// Being an agent.
    Agent,
    /// Being an agent that has a token of the service's own.
    OwnToken,
    /// Being the run of a pipeline.
    Run,
    /// Administering a tenant, and more.
    Administrator(Whose),
}

/// What an administrator of a tenant asks about, and who of them may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    /// The tenant that the token is of, whichever that is.
    Own,
    /// The same, for people alone.
    OfPeople,
    /// The same, for programs alone.
    OfPrograms,
    /// The same, for people who belong to it.
    OfInsiders,
    /// Something that the customer's tenant has, and no other.
    Customers,
    /// The same, for people who belong to it.
    CustomersInsiders,
}

/// The roles, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    Reader,
    Contributor,
    Owner,
}

/// Every kind of caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallerKind {
    /// Without a token.
    Nobody,
    /// With a token that a key nobody published has signed.
    Forger,
    /// With a valid token, and without any role.
    Stranger,
    Holder(Role),
    /// Who runs the service, and has no role on the app.
    Operator,
    /// What carries operations out, with a token of the service's own.
    Agent,
    /// The same with a token of its issuer, whose application has the role for it.
    CloudAgent,
    /// Who administers the customer's tenant.
    Administrator,
    /// An application that the customer lists.
    Client,
    /// A partner's technician whom the customer has let in.
    Partner,
    /// Who administers another customer's tenant.
    OtherAdministrator,
    /// The run of a pipeline whose publisher may upload, and no more.
    Run,
}

impl CallerKind {
    pub(crate) const ALL: [Self; 14] = [
        Self::Nobody,
        Self::Forger,
        Self::Stranger,
        Self::Holder(Role::Reader),
        Self::Holder(Role::Contributor),
        Self::Holder(Role::Owner),
        Self::Operator,
        Self::Agent,
        Self::CloudAgent,
        Self::Administrator,
        Self::Client,
        Self::Partner,
        Self::OtherAdministrator,
        Self::Run,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Nobody => "nobody",
            Self::Forger => "forger",
            Self::Stranger => "stranger",
            Self::Holder(Role::Reader) => "reader",
            Self::Holder(Role::Contributor) => "contributor",
            Self::Holder(Role::Owner) => "owner",
            Self::Operator => "operator",
            Self::Agent => "agent",
            Self::CloudAgent => "cloud agent",
            Self::Administrator => "admin",
            Self::Client => "client",
            Self::Partner => "partner",
            Self::OtherAdministrator => "other admin",
            Self::Run => "run",
        }
    }

    /// Who they are, if they can prove it.
    pub(crate) fn person(self) -> Option<Person> {
        match self {
            Self::Nobody | Self::Forger | Self::Agent | Self::CloudAgent | Self::Run => None,
            Self::Administrator | Self::Client | Self::Partner | Self::OtherAdministrator => None,
            Self::Stranger => Some(Person::STRANGER),
            Self::Holder(Role::Reader) => Some(Person::READER),
            Self::Holder(Role::Contributor) => Some(Person::CONTRIBUTOR),
            Self::Holder(Role::Owner) => Some(Person::OWNER),
            Self::Operator => Some(Person::OPERATOR),
        }
    }

    fn caller(self, fixture: &Fixture) -> Caller {
        let service = &fixture.service;
        match (self, self.person()) {
            (_, Some(person)) => service.caller(&person),
            (Self::Forger, None) => service.caller_with_token(forged_token()),
            (Self::Agent, None) => fixture.agent.clone(),
            (Self::CloudAgent, None) => fixture.cloud_agent.clone(),
            (Self::Administrator, None) => service.administrator(),
            (Self::Client, None) => service.with_token(&client_of(CUSTOMER, &Person::STRANGER)),
            (Self::Partner, None) => service.with_token(&partner_of(CUSTOMER)),
            (Self::Run, None) => fixture.run.clone(),
            (Self::OtherAdministrator, None) => service.with_token(&administrator_of(OTHER_CUSTOMER)),
            (_, None) => service.nobody(),
        }
    }

    fn number(self) -> usize {
        Self::ALL.iter().position(|who| *who == self).unwrap()
    }
}

/// What is open to the runs of a publisher that may upload, of all that takes a role.
pub(crate) const OPEN_TO_RUNS: &[&str] = &[
    "get_app",
    "get_my_permissions",
    "get_my_permissions_by_get",
    "list_roles",
    "list_countries",
    "count_countries",
    "get_country",
    "list_versions",
    "count_versions",
    "get_version",
    "upload_version",
    "get_package_contents",
    "get_package_contents_by_get",
];

/// The owner's token in all but the key.
fn forged_token() -> String {
    mint(&TokenRequest {
        key: SigningKeyChoice::Unknown,
        ..Person::OWNER.token()
    })
}

/// What stands for a parameter of an address.
type PathValue = fn(&Own) -> String;

/// A request that somebody who may would make.
pub(crate) struct Sample {
    pub operation: &'static str,
    pub guard: Guard,
    /// The status of success.
    pub success: u16,
    query: &'static str,
    /// What stands in the address where the usual things do not.
    in_path: Vec<(&'static str, PathValue)>,
    body: Option<fn(&Own) -> Value>,
}

/// A sample that succeeds with 200.
fn sample(operation: &'static str, guard: Guard) -> Sample {
    Sample {
        operation,
        guard,
        success: 200,
        query: "",
        in_path: Vec::new(),
        body: None,
    }
}

impl Sample {
    fn succeeds_with(self, success: u16) -> Self {
        Self { success, ..self }
    }

    fn query(self, query: &'static str) -> Self {
        Self { query, ..self }
    }

    fn with(mut self, parameter: &'static str, value: PathValue) -> Self {
        self.in_path.push((parameter, value));
        self
    }

    fn body(self, body: fn(&Own) -> Value) -> Self {
        Self {
            body: Some(body),
            ..self
        }
    }
}

/// What is a caller's own, so that one caller's success does not take another's away.
pub(crate) struct Own {
    /// A version that nobody has uploaded.
    version: String,
    /// An environment in which nothing waits.
    free: Environment,
    /// An environment in which a hotfix waits.
    busy: Environment,
    /// An environment in which nothing is installed.
    vacant: Environment,
    /// Environments in which an update waits that the customer asked for, and it.
    updating: [(Environment, String); 2],
    /// An environment that may be removed.
    doomed: Environment,
    /// A hotfix that waits.
    hotfix: String,
    /// A principal that may be removed.
    principal: Uuid,
    /// An agent that has yet to enrol.
    agent: String,
    /// An agent that may be removed.
    doomed_agent: String,
    /// What is frozen, and stays so.
    frozen: String,
    /// What may go on.
    thawed: String,
    /// A webhook, one that may be removed, and what the first was told: the app's for its owner, the operator's for others.
    webhook: Uuid,
    doomed_webhook: Uuid,
    told: String,
    /// A trusted publisher, one that may be removed, what a run of a third shows, and a token that may end.
    publisher: Uuid,
    doomed_publisher: Uuid,
    shown: String,
    ending_run: Option<Caller>,
    /// A rollout that goes on later, and one that may be given up.
    rollout: String,
    doomed_rollout: String,
    /// A code that nobody has used.
    code: String,
    /// What an agent holds, and goes on to hold.
    held: Held,
    /// What an agent holds, and may end.
    ending: Held,
}

/// An operation that an agent holds; for everybody else none that there is.
#[derive(Default)]
struct Held {
    operation: Uuid,
    lease: Uuid,
}

/// The table: every operation of the OpenAPI document, and no other.
pub(crate) fn samples() -> Vec<Sample> {
    let mut all = vec![
        sample("get_service_document", Guard::AnyToken),
        sample("get_metadata", Guard::AnyToken),
        sample("list_apps", Guard::AnyToken),
        sample("count_apps", Guard::AnyToken),
    ];
    all.extend(of_an_app());
    all.extend(of_a_country());
    all.extend(of_operators());
    all.extend(of_agents());
    all.extend(of_customers());
    all.push(sample("get_oidc_audience", Guard::Public));
    all.push(sample("exchange_oidc_token", Guard::Public).body(|own| json!({ "token": own.shown })));
    all.push(sample("end_oidc_token", Guard::Run).succeeds_with(204));
    all.push(sample("get_live", Guard::Public));
    all.push(sample("get_ready", Guard::Public));
    all
}

fn of_an_app() -> Vec<Sample> {
    let [reader, contributor, owner] = roles();
    let principal = |own: &Own| own.principal.to_string();
    let role = |_: &Own| principal_body(&Person::STRANGER, &["Reader"]);
    vec![
        sample("get_app", reader),
        sample("get_my_permissions", reader),
        sample("get_my_permissions_by_get", reader),
        sample("list_roles", reader),
        sample("list_countries", reader),
        sample("count_countries", reader),
        sample("get_country", reader),
        sample("patch_country", contributor).body(|_| json!({ "countryCode": "US" })),
        sample("list_principals", reader),
        sample("count_principals", reader),
        sample("get_principal", reader).with("id", |_| Person::OWNER_USER.id.to_string()),
        sample("patch_principal", owner).with("id", principal).body(role),
        sample("delete_principal", owner)
            .succeeds_with(204)
            .with("id", principal),
        sample("list_webhooks", owner),
        sample("get_webhook", owner).with("id", webhook),
        sample("put_webhook", owner)
            .with("id", webhook)
            .body(webhook_body),
        sample("delete_webhook", owner)
            .succeeds_with(204)
            .with("id", doomed_webhook),
        sample("rotate_webhook", owner).with("id", webhook),
        sample("test_webhook", owner).with("id", webhook),
        sample("list_webhook_deliveries", owner).with("id", webhook),
        sample("replay_webhook_delivery", owner)
            .with("id", webhook)
            .with("eventId", told),
        sample("list_trusted_publishers", owner),
        sample("get_trusted_publisher", owner).with("id", |own| own.publisher.to_string()),
        sample("put_trusted_publisher", owner)
            .with("id", |own| own.publisher.to_string())
            .body(|_| elsewhere()),
        sample("delete_trusted_publisher", owner)
            .succeeds_with(204)
            .with("id", |own| own.doomed_publisher.to_string()),
        sample("list_rollouts", reader),
        sample("count_rollouts", reader),
        sample("plan_rollout", reader).body(|own| rollout_of(&own.free)),
        sample("create_rollout", contributor)
            .succeeds_with(201)
            .body(|own| rollout_of(&own.free)),
        sample("get_rollout", reader).with("id", rollout),
        sample("list_rollout_environments", reader).with("id", rollout),
        sample("approve_rollout", contributor).with("id", rollout),
        // Neither can be asked of one that goes on.
        sample("reject_rollout", contributor)
            .succeeds_with(409)
            .with("id", rollout),
        sample("advance_rollout", contributor)
            .succeeds_with(409)
            .with("id", rollout)
            .body(|_| json!({ "wave": "rest" })),
        sample("pause_rollout", contributor).with("id", rollout),
        sample("resume_rollout", contributor).with("id", rollout),
        sample("retry_rollout", contributor).with("id", rollout),
        sample("abort_rollout", contributor).with("id", |own| own.doomed_rollout.clone()),
        sample("get_approval_policy", reader),
        sample("put_approval_policy", owner).body(|_| json!({ "approval": "Never" })),
    ]
}

fn rollout(own: &Own) -> String {
    own.rollout.clone()
}

/// A rollout to one environment, which begins long after.
fn rollout_of(environment: &Environment) -> Value {
    json!({
        "name": "a fix",
        "targetAppVersion": "16.0.1.2",
        "runAfter": "2100-01-01T00:00:00Z",
        "select": { "countries": ["US"], "filter": format!("name eq '{}'", environment.name) },
    })
}

/// A publisher that no run fits.
fn elsewhere() -> Value {
    publisher_with(json!({ "repository": "contoso/elsewhere", "repositoryId": "43" }))
}

fn webhook(own: &Own) -> String {
    own.webhook.to_string()
}

fn doomed_webhook(own: &Own) -> String {
    own.doomed_webhook.to_string()
}

fn told(own: &Own) -> String {
    own.told.clone()
}

/// Nobody listens there.
fn webhook_body(_: &Own) -> Value {
    json!({ "url": "http://127.0.0.1:9/" })
}

fn of_a_country() -> Vec<Sample> {
    let [reader, contributor, _] = roles();
    let hotfix = |own: &Own| own.hotfix.clone();
    vec![
        sample("list_versions", reader),
        sample("count_versions", reader),
        sample("upload_version", contributor).body(|own| upload_body(&package(&own.version), "Preview")),
        sample("get_version", reader),
        sample("patch_version", contributor).body(|_| json!({ "syncMode": "Sync" })),
        sample("get_package_contents", reader),
        sample("get_package_contents_by_get", reader),
        sample("list_environments", reader),
        sample("count_environments", reader),
        sample("get_environment", reader),
        sample("list_hotfixes", reader),
        sample("count_hotfixes", reader),
        sample("schedule_hotfix", contributor).body(|own| own.free.hotfix("16.0.1.2")),
        sample("plan_hotfixes", reader).query("?targetAppVersion=16.0.1.2"),
        sample("get_hotfix", reader).with("id", hotfix),
        sample("update_hotfix", contributor)
            .with("id", hotfix)
            .body(|_| json!({ "status": "Canceled" })),
    ]
}

fn of_operators() -> Vec<Sample> {
    let principal = |own: &Own| own.principal.to_string();
    let doomed = |own: &Own| own.doomed.name.clone();
    let agent = |own: &Own| own.agent.clone();
    let frozen = |own: &Own| own.frozen.clone();
    let role = |_: &Own| principal_body(&Person::STRANGER, &["Reader"]);
    vec![
        sample("get_operator_metadata", Guard::Operator),
        sample("list_registered_apps", Guard::Operator),
        sample("get_registered_app", Guard::Operator),
        sample("put_app", Guard::Operator).body(|_| registration()),
        sample("patch_app", Guard::Operator).body(|_| json!({ "publisher": "Contoso" })),
        sample("put_principal", Guard::Operator)
            .with("id", principal)
            .body(role),
        sample("list_registered_environments", Guard::Operator),
        sample("get_registered_environment", Guard::Operator),
        sample("put_environment", Guard::Operator).body(|own| own.free.report()),
        sample("patch_environment", Guard::Operator).body(|_| json!({ "locationName": "West Europe" })),
        sample("delete_environment", Guard::Operator)
            .succeeds_with(204)
            .with("name", doomed),
        sample("release_environment", Guard::Operator),
        sample("rebind_environment", Guard::Operator).body(|own| json!({ "agent": own.agent })),
        sample("list_customers", Guard::Operator),
        sample("get_customer", Guard::Operator).with("aadTenantId", |_| PARTNER_TENANT.to_string()),
        sample("put_customer", Guard::Operator)
            .with("aadTenantId", |_| PARTNER_TENANT.to_string())
            .body(|_| json!({ "clients": [Person::STRANGER.id] })),
        sample("delete_customer", Guard::Operator)
            .succeeds_with(204)
            .with("aadTenantId", |_| RESELLER_TENANT.to_string()),
        sample("list_freezes", Guard::Operator),
        sample("put_freeze", Guard::Operator)
            .with("subject", frozen)
            .body(|_| json!({ "reason": "its secret was found" })),
        sample("get_freeze", Guard::Operator).with("subject", frozen),
        sample("delete_freeze", Guard::Operator)
            .succeeds_with(204)
            .with("subject", |own| own.thawed.clone()),
        sample("list_agents", Guard::Operator),
        sample("get_agent", Guard::Operator).with("name", agent),
        sample("put_agent", Guard::Operator)
            .with("name", agent)
            .body(|_| agent_registration()),
        sample("rotate_agent", Guard::Operator).with("name", agent),
        sample("delete_agent", Guard::Operator)
            .succeeds_with(204)
            .with("name", |own| own.doomed_agent.clone()),
        sample("list_operations", Guard::Operator),
        sample("list_audit", Guard::Operator),
        sample("list_all_webhooks", Guard::Operator),
        sample("get_any_webhook", Guard::Operator).with("id", webhook),
        sample("put_any_webhook", Guard::Operator)
            .with("id", webhook)
            .body(webhook_body),
        sample("delete_any_webhook", Guard::Operator)
            .succeeds_with(204)
            .with("id", doomed_webhook),
        sample("rotate_any_webhook", Guard::Operator).with("id", webhook),
        sample("test_any_webhook", Guard::Operator).with("id", webhook),
        sample("list_any_webhook_deliveries", Guard::Operator).with("id", webhook),
        sample("replay_any_webhook_delivery", Guard::Operator)
            .with("id", webhook)
            .with("eventId", told),
    ]
}

fn of_customers() -> Vec<Sample> {
    let [own, customers] = [Whose::Own, Whose::Customers].map(Guard::Administrator);
    let busy = |own: &Own| own.busy.name.clone();
    let hotfix = |own: &Own| own.hotfix.clone();
    let window =
        |_: &Own| json!({ "preferredStartTime": "21:00", "preferredEndTime": "06:00", "timeZoneId": "UTC" });
    vec![
        sample("list_families", own),
        sample("list_time_zones", own),
        sample("list_authorized_apps", Guard::Administrator(Whose::OfPeople)),
        sample("list_manageable_tenants", Guard::Administrator(Whose::OfPrograms)),
        sample("list_own_environments", own),
        sample("list_own_environments_of_family", own),
        sample("get_own_environment", customers),
        sample("list_platform_updates", customers),
        sample("get_upgrade_settings", customers),
        sample("put_upgrade_settings", customers).body(window),
        sample("put_update_cadence", customers).body(|_| json!({ "value": "Default" })),
        sample("list_installed_apps", customers),
        sample("list_available_updates", customers),
        sample("list_uninstall_requirements", customers),
        sample("install_app", customers)
            .with("environmentName", |own| own.vacant.name.clone())
            .body(|_| json!({ "acceptIsvEula": true, "useEnvironmentUpdateWindow": true })),
        sample("update_app", customers)
            .body(|_| json!({ "targetVersion": "16.0.1.2", "useEnvironmentUpdateWindow": true })),
        sample("uninstall_app", customers)
            .with("environmentName", |own| own.doomed.name.clone())
            .body(|_| json!({ "useEnvironmentUpdateWindow": true })),
        sample("cancel_app_operation", customers)
            .with("environmentName", |own| own.updating[0].0.name.clone())
            .body(|own| json!({ "ScheduledOperationId": own.updating[0].1 })),
        sample("cancel_environment_operation", customers)
            .with("environmentName", |own| own.updating[1].0.name.clone())
            .with("id", |own| own.updating[1].1.clone()),
        sample("postpone_operation", customers)
            .with("environmentName", busy)
            .with("id", hotfix)
            .body(|_| json!({ "until": "2020-03-06T20:00:00Z", "reason": "It is month end." })),
        sample("list_tenant_operations", own),
        sample("get_tenant_operation", customers).with("id", hotfix),
        sample("list_environment_operations", customers),
        sample("get_environment_operation", customers)
            .with("environmentName", busy)
            .with("id", hotfix),
        sample("list_app_operations", customers),
        sample("get_app_operation", customers)
            .with("environmentName", busy)
            .with("id", hotfix),
        sample("list_delegated_partners", Guard::Administrator(Whose::OfInsiders)),
        sample(
            "revoke_delegated_partner",
            Guard::Administrator(Whose::CustomersInsiders),
        )
        .succeeds_with(204)
        .with("partnerTenantId", |_| RESELLER_TENANT.to_string()),
        sample(
            "revoke_delegated_person",
            Guard::Administrator(Whose::CustomersInsiders),
        )
        .succeeds_with(204)
        .with("partnerTenantId", |_| PARTNER_TENANT.to_string())
        .with("objectId", |_| TECHNICIAN.to_string()),
    ]
}

fn of_agents() -> Vec<Sample> {
    let held = |own: &Own| own.held.operation.to_string();
    vec![
        sample("enrol_agent", Guard::Public).body(|own| json!({ "code": own.code })),
        sample("report_leaked_tokens", Guard::Public)
            .succeeds_with(202)
            .body(|_| json!({ "tokens": ["fameagt_"] })),
        sample("rotate_agent_token", Guard::OwnToken),
        sample("put_inventory", Guard::Agent).body(|_| next_inventory()),
        sample("patch_inventory", Guard::Agent).body(|_| next_inventory()),
        sample("claim_operations", Guard::Agent).body(|_| json!({ "max": 1 })),
        sample("renew_operation", Guard::Agent)
            .with("id", held)
            .body(|own| json!({ "leaseId": own.held.lease })),
        sample("finish_operation", Guard::Agent)
            .with("id", |own| own.ending.operation.to_string())
            .body(|own| json!({ "leaseId": own.ending.lease, "status": "Skipped" })),
        sample("get_operation_package", Guard::Agent).with("id", held),
    ]
}

/// An inventory of a higher number than all before.
fn next_inventory() -> Value {
    static LAST: AtomicI64 = AtomicI64::new(0);
    json!({ "sequence": 1 + LAST.fetch_add(1, Ordering::Relaxed), "confirm": true, "environments": [] })
}

fn roles() -> [Guard; 3] {
    [Role::Reader, Role::Contributor, Role::Owner].map(Guard::Role)
}

/// An operation as the OpenAPI document has it.
pub(crate) struct Described {
    pub id: String,
    pub method: Method,
    /// With its parameters in braces.
    pub path: String,
}

/// The operations of an OpenAPI document, in its order.
pub(crate) fn described(document: &Value) -> Vec<Described> {
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (verb, operation) in item.as_object().unwrap() {
            let Ok(method) = verb.to_uppercase().parse::<Method>() else {
                continue;
            };
            let id = operation["operationId"].as_str().unwrap_or_default().to_owned();
            found.push(Described {
                id,
                method,
                path: path.clone(),
            });
        }
    }
    found
}

/// A service in which every sample succeeds, for each caller who may, once.
pub(crate) struct Fixture {
    pub service: Harness,
    own: BTreeMap<&'static str, Own>,
    agent: Caller,
    cloud_agent: Caller,
    run: Caller,
}

impl Fixture {
    pub(crate) async fn set(backend: Backend) -> Self {
        Self::on(Harness::start(backend).await).await
    }

    /// The same on a service that something is special about.
    pub(crate) async fn on(service: Harness) -> Self {
        let (owner, operator) = (service.owner(), service.operator());
        for version in ["16.0.0.5", "16.0.1.2"] {
            owner.has_uploaded(version).await;
        }
        operator
            .reports(&Environment::my_customer("16.0.0.5"))
            .await
            .expect(201);
        let administrator = service.administrator();
        let mut own = BTreeMap::new();
        for who in CallerKind::ALL {
            own.insert(
                who.name(),
                Self::things_of(who, &owner, &operator, &administrator).await,
            );
        }
        let person = json!({ "tenantId": PARTNER_TENANT, "objectId": TECHNICIAN, "expiresOn": "2020-06-01T00:00:00Z" });
        let reseller = json!({ "tenantId": RESELLER_TENANT, "expiresOn": "2020-06-01T00:00:00Z" });
        let registration = json!({
            "clients": [Person::STRANGER.id],
            "partners": [partner_entry(), person, reseller],
        });
        service
            .registers_customer(CUSTOMER, registration)
            .await
            .expect(201);
        for tenant in [PARTNER_TENANT, RESELLER_TENANT] {
            service.registers_customer(tenant, json!({})).await.expect(201);
        }
        owner.trusts(Uuid::new_v4(), &publisher()).await.expect(201);
        let run = service.has_run().await;
        let ending = service.has_run().await;
        own.get_mut(CallerKind::Run.name()).unwrap().ending_run = Some(ending);
        let agent = service.has_agent("agent").await;
        // It replaces its token no earlier.
        service.advances(Duration::from_secs(60)).await;
        let mut identity = agent_registration();
        identity["identity"] = identity_of(&Person::STRANGER);
        operator.registers_agent("cloud agent", identity).await;
        let cloud_agent = service.cloud_agent(&Person::STRANGER);
        for (who, caller) in [
            (CallerKind::Agent, &agent),
            (CallerKind::CloudAgent, &cloud_agent),
        ] {
            let own = own.get_mut(who.name()).unwrap();
            own.held = Self::work_of(who, "held", caller, &service).await;
            own.ending = Self::work_of(who, "ending", caller, &service).await;
        }
        Self {
            service,
            own,
            agent,
            cloud_agent,
            run,
        }
    }

    /// An operation that the agent `who` takes on, in an environment that is theirs.
    async fn work_of(who: CallerKind, what: &str, agent: &Caller, service: &Harness) -> Held {
        let environment = Environment::named(&format!("{} {what}", who.name())).has(APP, "16.0.0.5");
        let operator = service.operator();
        operator.reports(&environment).await.expect(201);
        let binding = format!("{}/rebind", environment.operator_path());
        operator
            .post(binding, json!({ "agent": who.name() }))
            .await
            .expect(200);
        let hotfix = service.owner().schedules_at_once(&environment, "16.0.1.2");
        let scheduled = hotfix.await.expect(200).property("id");
        let claimed = agent
            .post("/agent/v1/claim", json!({ "max": 5 }))
            .await
            .expect(200)
            .json();
        let operations = claimed["operations"].as_array().unwrap();
        let is_it = |operation: &&Value| operation["operationId"] == scheduled;
        let operation = operations.iter().find(is_it).unwrap();
        let id = |name: &str| operation[name].as_str().unwrap().parse().unwrap();
        Held {
            operation: id("operationId"),
            lease: id("leaseId"),
        }
    }

    async fn things_of(who: CallerKind, owner: &Caller, operator: &Caller, administrator: &Caller) -> Own {
        let environment =
            |what: &str| Environment::named(&format!("{} {what}", who.name())).has(APP, "16.0.0.5");
        let (free, doomed, busy) = (environment("free"), environment("doomed"), environment("busy"));
        let vacant = Environment::named(&format!("{} vacant", who.name())).with_complete_inventory();
        for environment in [&free, &doomed, &busy, &vacant] {
            operator.reports(environment).await.expect(201);
        }
        let mut updating = Vec::new();
        for what in ["updating", "updating too"] {
            let environment = environment(what);
            operator.reports(&environment).await.expect(201);
            let path = admin_path(&environment.name, &format!("apps/{APP}/update"));
            let body = json!({ "targetVersion": "16.0.1.2", "useEnvironmentUpdateWindow": true });
            let update = administrator.post(path, body).await.expect(200).property("id");
            updating.push((environment, update));
        }
        let updating = updating.try_into().unwrap_or_else(|_| panic!("two"));
        let hotfix = owner
            .schedules(&busy, "16.0.1.2")
            .await
            .expect(200)
            .property("id");
        let mut rollouts = Vec::new();
        for _ in 0..2 {
            let path = format!("{}/rollouts", owner.app_path());
            let made = owner.post(path, rollout_of(&free)).await.expect(201);
            rollouts.push(made.property("id"));
        }
        let [rollout, doomed_rollout] = rollouts.try_into().unwrap_or_else(|_| panic!("two"));
        let principal = Uuid::new_v5(&APP, who.name().as_bytes());
        let path = format!("{}/principals/{principal}", owner.app_path());
        owner
            .patch(path, principal_body(&Person::STRANGER, &["Reader"]))
            .await
            .expect(200);
        let [agent, doomed_agent] = ["agent", "doomed agent"].map(|what| format!("{what} of {}", who.name()));
        operator
            .registers_agent(&doomed_agent, agent_registration())
            .await;
        let registered = operator.registers_agent(&agent, agent_registration()).await;
        let [frozen, thawed] = [(); 2].map(|()| format!("principal:{}", Uuid::new_v4()));
        for subject in [&frozen, &thawed] {
            let reason = json!({ "reason": "its secret was found" });
            let path = format!("/operator/v1/freezes/{subject}");
            operator.put(path, reason).await.expect(201);
        }
        let [webhook, doomed_webhook] = [Uuid::new_v4(), Uuid::new_v4()];
        let mut told = Uuid::new_v4().to_string();
        let webhooks = match who {
            CallerKind::Holder(Role::Owner) => Some((owner, format!("{}/webhooks", owner.app_path()))),
            CallerKind::Operator => Some((operator, "/operator/v1/webhooks".to_owned())),
            _ => None,
        };
        if let Some((caller, path)) = webhooks {
            for id in [webhook, doomed_webhook] {
                let body = json!({ "url": "http://127.0.0.1:9/" });
                caller.put(format!("{path}/{id}"), body).await.expect(201);
            }
            let tested = caller.asks(Method::POST, format!("{path}/{webhook}/test"));
            told = tested.await.expect(200).property("eventId");
        }
        let [publisher, doomed_publisher] = [Uuid::new_v4(), Uuid::new_v4()];
        if who == CallerKind::Holder(Role::Owner) {
            for id in [publisher, doomed_publisher] {
                owner.trusts(id, &elsewhere()).await.expect(201);
            }
        }
        Own {
            publisher,
            doomed_publisher,
            shown: mint(&run_for(owner.base_url())),
            ending_run: None,
            webhook,
            doomed_webhook,
            told,
            rollout,
            doomed_rollout,
            agent,
            frozen,
            thawed,
            doomed_agent,
            code: registered.property("enrolmentCode"),
            version: format!("16.0.{}.0", 100 + who.number()),
            free,
            busy,
            vacant,
            updating,
            doomed,
            hotfix,
            principal,
            held: Held::default(),
            ending: Held::default(),
        }
    }

    /// What `who` gets when they do this.
    pub(crate) async fn answer(&self, who: CallerKind, sample: &Sample, described: &Described) -> Answer {
        let request = self.request(who, sample, described);
        match self.body(who, sample) {
            Some(body) => request.json(&body).await,
            None => request.await,
        }
    }

    /// What `who` asks, without its body.
    pub(crate) fn request(&self, who: CallerKind, sample: &Sample, described: &Described) -> Request {
        let own = &self.own[who.name()];
        let path = format!("{}{}", filled(&described.path, sample, own), sample.query);
        let caller = match (sample.guard, &own.ending_run) {
            (Guard::Run, Some(ending)) => ending.clone(),
            _ => who.caller(self),
        };
        caller.asks(described.method.clone(), path)
    }

    /// The body that belongs to it, if any.
    pub(crate) fn body(&self, who: CallerKind, sample: &Sample) -> Option<Value> {
        sample.body.map(|body| body(&self.own[who.name()]))
    }

    /// How many changes were recorded.
    pub(crate) async fn changes(&self) -> usize {
        let audit = self
            .service
            .operator()
            .get("/operator/v1/audit")
            .await
            .expect(200);
        audit.rows().len()
    }
}

/// The address with its parameters filled in.
fn filled(template: &str, sample: &Sample, own: &Own) -> String {
    let usual = [
        ("appId", APP.to_string()),
        ("countryCode", "US".into()),
        ("versionNumber", "16.0.1.2".into()),
        ("aadTenantId", CUSTOMER.to_string()),
        ("applicationFamily", "Business Central".into()),
    ];
    let mut path = template.to_owned();
    for (parameter, value) in &sample.in_path {
        path = path.replace(&format!("{{{parameter}}}"), &value(own));
    }
    for (parameter, value) in usual {
        path = path.replace(&format!("{{{parameter}}}"), &value);
    }
    path = path
        .replace("{name}", &own.free.name)
        .replace("{environmentName}", &own.free.name);
    assert!(
        !path.contains('{'),
        "{}: the table does not say what stands for a parameter of {path}",
        sample.operation
    );
    path
}
