//! The agent API, `/agent/v1`: how agents say what is installed, take due operations on, and tell what became of them.
//!
//! Both sides are ours, so the shapes are read and written by the same structs. What a newer side adds, an older one
//! ignores. No member of any of them is a command, a script, an address or a setting: what an agent may be asked for is an
//! app, its version, and when (`docs/SECURITY.md`).

use domain::{environment::EnvironmentKey, ids::TenantId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// The header in which a running agent names itself, a GUID that it made when it started. Two of them under one token at
/// once are two processes, and the agent is frozen.
pub const SESSION_HEADER: &str = "fame-agent-session";
/// The header in which a running agent says with each call whether nothing keeps it from its work, `true` or `false`. It is
/// noted together with when the agent last called.
pub const READY_HEADER: &str = "fame-agent-ready";

/// Operations that are given out at once, at most.
pub const MOST_CLAIMED: u32 = 250;
/// How long a claim waits at most, in seconds.
pub const LONGEST_WAIT_SECONDS: u32 = 60;
/// Longest text of a failure that is kept, in bytes.
pub const LONGEST_MESSAGE: usize = 32 * 1024;
/// Longest text about progress that is kept, in bytes.
pub const LONGEST_TEXT: usize = 4 * 1024;
/// Longest name of a step that is kept, in bytes.
pub const LONGEST_STEP: usize = 100;

/// A code that an operator gave, to be exchanged for a token once.
#[derive(Clone, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Enrolment {
    /// The code, `fameenr_…`.
    pub code: String,
}

/// What an agent signs in with from now on.
#[derive(Clone, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AgentToken {
    /// What the operator calls the agent.
    pub name: String,
    /// The token, `fameagt_…`. It is not shown again.
    pub token: String,
    /// When it ends.
    #[schema(format = DateTime)]
    pub expires_on: String,
}

/// Tokens of this service, and codes for them, that were found where they do not belong.
#[derive(Clone, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LeakedTokens {
    /// At most a hundred.
    #[schema(max_items = 100)]
    pub tokens: Vec<String>,
}

/// What is installed in environments: all that the agent serves, or those of which something changed.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Inventory {
    /// Higher than that of every inventory before it; what comes late is refused.
    pub sequence: i64,
    /// Whether it is meant that a full set has far fewer, or far more, environments than the one before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub confirm: bool,
    /// Environments, each with all that is known of it.
    pub environments: Vec<ReportedEnvironment>,
    /// Changes only: environments that are not there any more. In a full set they are just not named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gone: Vec<EnvironmentName>,
    /// Full set only: environments that are there, and of which nothing else can be said at this moment, because something
    /// is being done there or they could not be read. What is known of them stays.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<EnvironmentName>,
}

/// What tells an environment from all others.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EnvironmentName {
    /// The customer's Microsoft Entra tenant.
    pub aad_tenant_id: Uuid,
    /// The application family.
    #[schema(example = "BusinessCentral")]
    pub application_family: String,
    /// The name.
    #[schema(example = "Production")]
    pub name: String,
}

impl EnvironmentName {
    /// What tells it from all others, however it is spelled.
    #[must_use]
    pub fn key(&self) -> EnvironmentKey {
        EnvironmentKey::new(TenantId(self.aad_tenant_id), &self.application_family, &self.name)
    }
}

/// An environment as an agent found it.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", from = "FlatEnvironment")]
pub struct ReportedEnvironment {
    /// Which.
    #[serde(flatten)]
    pub environment: EnvironmentName,
    /// The country of its localisation.
    #[schema(example = "US")]
    pub country_code: String,
    /// `Production` or `Sandbox`.
    #[serde(rename = "type")]
    #[schema(value_type = crate::words::EnvironmentKind)]
    pub kind: String,
    /// Where it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location_name: Option<String>,
    /// The version of Business Central's application.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application_version: Option<String>,
    /// The version of Business Central's platform.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform_version: Option<String>,
    /// Where people sign in to it; what was known when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub web_client_url: Option<String>,
    /// Where programs call it; what was known when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub web_service_url: Option<String>,
    /// When its operations may start; what was known when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<ReportedWindow>,
    /// Whether the apps below are all that are installed. If not, those that are not named stay known, and an environment
    /// that waits for a report after an unknown outcome waits on.
    #[serde(default)]
    pub inventory_complete: bool,
    /// The apps that are installed.
    #[serde(default)]
    pub apps: Vec<ReportedApp>,
}

/// [`ReportedEnvironment`] as it is read. Into a flattened struct everything is read, and held, before it is known whether
/// anybody asks for it; here, what nobody asks for is passed over.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FlatEnvironment {
    aad_tenant_id: Uuid,
    application_family: String,
    name: String,
    country_code: String,
    #[serde(rename = "type")]
    kind: String,
    location_name: Option<String>,
    application_version: Option<String>,
    platform_version: Option<String>,
    web_client_url: Option<String>,
    web_service_url: Option<String>,
    window: Option<ReportedWindow>,
    #[serde(default)]
    inventory_complete: bool,
    #[serde(default)]
    apps: Vec<ReportedApp>,
}

impl From<FlatEnvironment> for ReportedEnvironment {
    fn from(flat: FlatEnvironment) -> Self {
        Self {
            environment: EnvironmentName {
                aad_tenant_id: flat.aad_tenant_id,
                application_family: flat.application_family,
                name: flat.name,
            },
            country_code: flat.country_code,
            kind: flat.kind,
            location_name: flat.location_name,
            application_version: flat.application_version,
            platform_version: flat.platform_version,
            web_client_url: flat.web_client_url,
            web_service_url: flat.web_service_url,
            window: flat.window,
            inventory_complete: flat.inventory_complete,
            apps: flat.apps,
        }
    }
}

/// The hours in which an environment's operations may start.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReportedWindow {
    /// When it starts, `HH:MM`.
    #[schema(example = "20:00")]
    pub start: String,
    /// When it ends, `HH:MM`.
    #[schema(example = "06:00")]
    pub end: String,
    /// The Windows id of the time zone, or the IANA id of one that goes the same. One that nobody knows loses the window,
    /// and a warning says so.
    #[schema(example = "Romance Standard Time")]
    pub time_zone: String,
}

/// An installed app as an agent found it.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReportedApp {
    /// The app.
    pub id: Uuid,
    /// The version installed.
    #[schema(example = "16.0.0.5")]
    pub version: String,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its publisher.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publisher: Option<String>,
    /// For whom it was published, if that can be told: `Global`, `Tenant` or `Dev`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<crate::words::AppScope>)]
    pub scope: Option<String>,
    /// Whether the target lets it be uninstalled, if that can be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub can_be_uninstalled: Option<bool>,
}

/// What came of an inventory.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct InventoryResult {
    /// Environments that are new.
    pub added: u64,
    /// Environments of which something changed.
    pub changed: u64,
    /// Environments of which all was known.
    pub unchanged: u64,
    /// Environments that are missing now: nothing starts there, and they are removed after a while.
    pub missing: u64,
    /// What was not taken, with the reason. The rest was.
    pub refused: Vec<RefusedEnvironment>,
    /// Environments in which nothing starts until the operator has looked: `Production` became `Sandbox`.
    pub disputed: Vec<EnvironmentName>,
    /// What else an agent's operator should know, such as a time zone that nobody knows.
    pub warnings: Vec<String>,
}

/// An environment that was not taken.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", from = "FlatRefusal")]
pub struct RefusedEnvironment {
    /// Which.
    #[serde(flatten)]
    pub environment: EnvironmentName,
    /// `OutOfScope`, `BoundElsewhere` or `InvalidInput`.
    pub code: String,
    /// What is wrong, with the fact.
    pub message: String,
}

/// [`RefusedEnvironment`] as it is read, for the same reason.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FlatRefusal {
    aad_tenant_id: Uuid,
    application_family: String,
    name: String,
    code: String,
    message: String,
}

impl From<FlatRefusal> for RefusedEnvironment {
    fn from(flat: FlatRefusal) -> Self {
        Self {
            environment: EnvironmentName {
                aad_tenant_id: flat.aad_tenant_id,
                application_family: flat.application_family,
                name: flat.name,
            },
            code: flat.code,
            message: flat.message,
        }
    }
}

/// A request for work.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClaimRequest {
    /// At most so many operations.
    pub max: u32,
    /// How long to wait for the first one, in seconds.
    #[serde(default)]
    pub wait_seconds: u32,
    /// What the agent knows of. What it holds besides, because an answer was lost, it is told of again, and holds anew.
    #[serde(default)]
    pub holding: Vec<Uuid>,
    /// The kinds of operations that the agent carries out besides `Hotfix`, which each does: `Update`, `Install`,
    /// `Uninstall`. It is given no others.
    #[serde(default)]
    #[schema(example = json!(["Update", "Install", "Uninstall"]))]
    pub kinds: Vec<String>,
}

/// Operations that the agent holds from now on.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Claim {
    /// Each in an environment of its own.
    pub operations: Vec<ClaimedOperation>,
}

/// An operation that the agent holds.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClaimedOperation {
    /// Its identity.
    pub operation_id: Uuid,
    /// What it is held by.
    pub lease_id: Uuid,
    /// How long it is held, in seconds from the answer, unless it is renewed.
    pub lease_seconds: u32,
    /// What it does: `Hotfix`, or a kind that the claim named.
    #[schema(value_type = crate::words::OperationKind)]
    pub kind: String,
    /// Where.
    pub environment: EnvironmentName,
    /// What the environment is for: `Production` or `Sandbox`.
    pub environment_type: String,
    /// The country of its localisation.
    pub country_code: String,
    /// The app.
    pub app_id: Uuid,
    /// The app's name, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_name: Option<String>,
    /// The app's publisher, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_publisher: Option<String>,
    /// The version that was installed when it started; none where the app is installed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_version: Option<String>,
    /// The version that it leads to; none where the app is uninstalled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_version: Option<String>,
    /// How the schema is brought up to date: `Sync`.
    pub sync_mode: String,
    /// The package, as it was when the operation was scheduled; none where the app is uninstalled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package: Option<ClaimedPackage>,
    /// Whether the app's data is deleted with it; kept if this is not said.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub delete_data: bool,
    /// The language that the app is installed in, if somebody chose one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "da-DK")]
    pub language_id: Option<String>,
}

/// The package of an operation.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClaimedPackage {
    /// SHA-256 in hexadecimal digits.
    pub sha256: String,
    /// Its size in bytes.
    pub size: u64,
    /// Whether another country has other bytes under the same number, which Business Central online refuses.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub differs_elsewhere: bool,
}

/// That work goes on.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Renewal {
    /// What the operation is held by.
    pub lease_id: Uuid,
    /// How far it has come, if there is something to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
}

/// How far an operation has come.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// 0 to 100, if it can be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent: Option<u8>,
    /// What is being done, in a word or two: `Publish`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// The last thing that was said of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// How long an operation is held from now on.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Renewed {
    /// In seconds from the answer.
    pub lease_seconds: u32,
}

/// How an operation ended.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Finish {
    /// What the operation is held by.
    pub lease_id: Uuid,
    /// `Succeeded`, `Failed` or `Skipped`.
    #[schema(value_type = crate::words::EndStatus)]
    pub status: String,
    /// What the target said, in full; needed when it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
    /// Why it failed, as far as it can be told: one word of a closed list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<crate::words::FailureCause>)]
    pub failure_cause: Option<String>,
    /// The version that was found installed at the end; needed when it succeeded, and then the version asked for. None
    /// where the app was uninstalled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "16.0.1.2")]
    pub installed_version: Option<String>,
}

/// The operation as it stands after a report.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Finished {
    /// Its identity.
    pub operation_id: Uuid,
    /// Its status, which may be another than the one reported if that came too late.
    #[schema(value_type = crate::words::OperationStatus)]
    pub status: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever is kept is read to a bounded depth; only what is passed over may go as deep as it likes.
    #[test]
    fn what_an_older_side_does_not_know_is_passed_over_and_not_kept() {
        let deep = format!("{}{}", "[".repeat(1000), "]".repeat(1000));
        let name =
            r#""aadTenantId":"11111111-1111-4111-8111-111111111111","applicationFamily":"F","name":"N""#;
        let reported =
            format!(r#"{{"later":{deep},{name},"countryCode":"US","type":"Production","apps":[]}}"#);
        let reported: ReportedEnvironment = serde_json::from_str(&reported).unwrap();
        let refused = format!(r#"{{{name},"later":{deep},"code":"OutOfScope","message":"No."}}"#);
        let refused: RefusedEnvironment = serde_json::from_str(&refused).unwrap();
        assert_eq!(reported.environment, refused.environment);
        assert_eq!(refused.environment.name, "N");
        let again = serde_json::to_string(&reported).unwrap();
        assert_eq!(
            serde_json::from_str::<ReportedEnvironment>(&again).unwrap(),
            reported
        );
    }
}
