//! What happened, in all apps and environments: operations and the audit.

use crate::{
    entity::entity,
    value::{Flag, Json},
};
use domain::{
    country::CountryCode,
    environment::EnvironmentKind,
    ids::{AppId, OperationId, TenantId},
    instant::Instant,
    operation::{FailureCause, OperationKind, OperationStatus},
    version::AppVersion,
};
use uuid::Uuid;

entity! {
    /// An operation of any kind, on any app, as the operator sees it.
    OperationRow "operation" keyed by ["id"] {
        /// The id of the operation.
        #[schema(value_type = uuid::Uuid)]
        id "id": OperationId,
        /// Hotfix, Update, Install or Uninstall.
        #[schema(value_type = crate::words::OperationKind)]
        kind "kind": OperationKind,
        /// Scheduled, Running, Succeeded, Failed, Canceled or Skipped.
        #[schema(value_type = crate::words::OperationStatus)]
        status "status": OperationStatus,
        /// The app.
        #[schema(value_type = uuid::Uuid)]
        app_id "appId": AppId,
        /// The country of the environment.
        #[schema(value_type = String, example = "US")]
        country_code "countryCode": CountryCode,
        /// The customer's Microsoft Entra tenant.
        #[schema(value_type = uuid::Uuid)]
        environment_aad_tenant_id "environmentAadTenantId": TenantId,
        /// The environment's application family.
        environment_application_family "environmentApplicationFamily": String,
        /// The environment's name.
        environment_name "environmentName": String,
        /// What the environment is for: Production or Sandbox.
        #[serde(default)]
        #[schema(value_type = Option<crate::words::EnvironmentKind>)]
        environment_type "environmentType": Option<EnvironmentKind>,
        /// The version that was installed before; none for an install.
        #[serde(default)]
        #[schema(value_type = Option<String>)]
        source_app_version "sourceAppVersion": Option<AppVersion>,
        /// The version to go to; none for an uninstall.
        #[serde(default)]
        #[schema(value_type = Option<String>)]
        target_app_version "targetAppVersion": Option<AppVersion>,
        /// When it was asked for.
        #[schema(value_type = String, format = DateTime)]
        created_on "createdOn": Instant,
        /// When it is to run at the earliest.
        #[serde(default)]
        #[schema(value_type = Option<String>, format = DateTime)]
        run_after "runAfter": Option<Instant>,
        /// Whether it does not wait for the update window; only shown when it does not.
        #[serde(default)]
        #[schema(value_type = Option<bool>)]
        ignore_upgrade_window "ignoreUpgradeWindow": Flag,
        /// When it started.
        #[serde(default)]
        #[schema(value_type = Option<String>, format = DateTime)]
        started_on "startedOn": Option<Instant>,
        /// When it succeeded or failed.
        #[serde(default)]
        #[schema(value_type = Option<String>, format = DateTime)]
        completed_on "completedOn": Option<Instant>,
        /// Why it failed or was skipped.
        #[serde(default)]
        error_message "errorMessage": Option<String>,
        /// Why it failed, as far as its agent could tell: one word of a closed list.
        #[serde(default)]
        #[schema(value_type = Option<crate::words::FailureCause>)]
        failure_cause "failureCause": Option<FailureCause>,
    }
    when selected {
        /// How far it has come, of a hundred.
        #[schema(value_type = Option<u32>, example = 40)]
        progress_percent "progressPercent": Option<u32>,
        /// What is being done.
        #[schema(example = "Publish")]
        progress_step "progressStep": Option<String>,
        /// What was said of it last.
        progress_text "progressText": Option<String>,
        /// When that was said.
        #[schema(value_type = Option<String>, format = DateTime)]
        progress_on "progressOn": Option<Instant>,
        /// The agent that carries it out, or did.
        agent_name "agentName": Option<String>,
    }
}

entity! {
    /// One change, and who made it.
    AuditRow "auditRow" keyed by ["id"] {
        /// The id of the row.
        #[schema(value_type = uuid::Uuid)]
        id "id": Uuid,
        /// When it happened.
        #[schema(value_type = String, format = DateTime)]
        at "at": Instant,
        /// Who did it.
        actor "actor": Actor,
        /// What was done, such as `environmentHotfixes/cancel`.
        action "action": String,
        /// What it was done to: an address within the service.
        target "target": String,
        /// The id under which the request stands in the log.
        #[serde(default)]
        #[schema(value_type = Option<uuid::Uuid>)]
        correlation_id "correlationId": Option<Uuid>,
        /// The state before, where there was one.
        #[serde(default)]
        #[schema(value_type = Option<Object>)]
        before "before": Option<Json>,
        /// The state after, where there is one.
        #[serde(default)]
        #[schema(value_type = Option<Object>)]
        after "after": Option<Json>,
        /// The address that the request came from; none for what the service did by itself.
        #[serde(default)]
        #[schema(example = "203.0.113.7")]
        address "address": Option<String>,
        /// The API that it came through: `vendor`, `operator`, `customer`, `agent`, `oidc` for an exchange, or `tokens` for what was
        /// told of leaked tokens.
        #[serde(default)]
        #[schema(example = "vendor")]
        via "via": Option<String>,
    }
}

entity! {
    /// Who did something.
    Actor "actor" keyed by ["id"] {
        /// `User`, `Application`, `Delegated` for an administrator from a partner, `Agent`, or `Service` for what the service did
        /// by itself.
        #[schema(value_type = crate::words::ActorKind)]
        kind "type": String,
        /// The principal, if it was one.
        #[serde(default)]
        #[schema(value_type = Option<uuid::Uuid>)]
        id "id": Option<Uuid>,
        /// The principal's tenant, if known.
        #[serde(default)]
        #[schema(value_type = Option<uuid::Uuid>)]
        tenant_id "tenantId": Option<TenantId>,
        /// The object id of an application's service principal in that tenant, if known.
        #[serde(default)]
        #[schema(value_type = Option<uuid::Uuid>)]
        object_id "objectId": Option<Uuid>,
        /// A name for people, if known.
        #[serde(default)]
        name "name": Option<String>,
    }
}
