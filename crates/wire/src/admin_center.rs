//! The customers' API: the shapes of the Admin Center API, as far as it is served.
//!
//! Its clients compare names and words exactly, look at the top level of an error, and fail on `null`: so what is not known
//! is left out, lists are `{"value":[…]}`, instants are UTC with seven digits, and each word is in the case in which the
//! original sends it. What is asked for is in `requests`.

mod error;
mod requests;

pub use error::{AdminError, AdminErrorData, AdminErrorText, AdminInnerError};
pub use requests::{
    CadenceBody, CadenceRequest, CancelBody, CancelRequest, Hours, InstallBody, InstallRequest, PostponeBody,
    PostponeRequest, UninstallBody, UninstallRequest, UpdateBody, UpdateRequest, UpgradeSettingsBody,
    UpgradeSettingsRequest, window_problem,
};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// A whole list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Listed<T> {
    /// Its rows.
    pub value: Vec<T>,
}

impl<T> Listed<T> {
    /// A list of these rows.
    #[must_use]
    pub fn of(rows: impl IntoIterator<Item = T>) -> Self {
        Self {
            value: rows.into_iter().collect(),
        }
    }
}

/// An environment of the caller's tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AdminEnvironment {
    /// Its name.
    pub name: String,
    /// The same.
    pub friendly_name: String,
    /// Production or Sandbox.
    #[serde(rename = "type")]
    #[schema(value_type = crate::words::EnvironmentKind)]
    pub kind: String,
    /// Its application family.
    #[schema(example = "BusinessCentral")]
    pub application_family: String,
    /// The tenant.
    pub aad_tenant_id: Uuid,
    /// The country of its localisation.
    #[schema(example = "DK")]
    pub country_code: String,
    /// `Active`, or `NotReady` while nobody finds it any more.
    #[schema(value_type = crate::words::EnvironmentStatus)]
    pub status: String,
    /// Where people sign in to it; empty if nobody said.
    pub web_client_login_url: String,
    /// Where its services are; empty if nobody said.
    pub web_service_url: String,
    /// Where it runs.
    pub location_name: String,
    /// Always `Production`.
    pub ring_name: String,
    /// The version of its base application.
    pub application_version: String,
    /// The version of its platform; that of its application where it is not known.
    pub platform_version: String,
    /// Its version once more.
    pub version_details: VersionDetails,
    /// Whether updates of the platform bring those of apps: `Default`, `DuringMajorUpgrade` or `DuringMajorMinorUpgrade`. It is
    /// kept and shown, and changes nothing here.
    #[schema(value_type = crate::words::UpdateCadence)]
    pub app_source_apps_update_cadence: String,
}

/// The version of an environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VersionDetails {
    /// The version of its base application.
    pub version: String,
}

/// An app that is installed in an environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AdminApp {
    /// The app.
    pub id: Uuid,
    /// The same.
    pub app_id: Uuid,
    /// Its name; empty if nobody said.
    pub name: String,
    /// Its publisher; empty if nobody said.
    pub publisher: String,
    /// The installed version.
    pub version: String,
    /// `Installed`, `UpdatePending` or `Updating`.
    #[schema(value_type = crate::words::InstalledAppState)]
    pub state: String,
    /// The last update or hotfix.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_operation_id: Option<Uuid>,
    /// What became of it, once it is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<crate::words::OperationStatus>)]
    pub last_update_attempt_result: Option<String>,
    /// The last attempt to take it out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_uninstall_operation_id: Option<Uuid>,
    /// What became of it, once it is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<crate::words::OperationStatus>)]
    pub last_uninstall_attempt_result: Option<String>,
    /// `global` or `tenant`.
    #[schema(value_type = crate::words::AppType)]
    pub app_type: String,
    /// Whether it can be taken out.
    pub can_be_uninstalled: bool,
}

/// A newer version that an app can be updated to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AvailableUpdate {
    /// The app.
    pub app_id: Uuid,
    /// The same.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// Its publisher.
    pub publisher: String,
    /// The version.
    pub version: String,
    /// What would have to happen to other apps first.
    pub requirements: Vec<AdminRequirement>,
}

/// What would have to happen to another app.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AdminRequirement {
    /// The app.
    pub app_id: Uuid,
    /// The same.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// Its publisher.
    pub publisher: String,
    /// The version that it is to have, or has.
    pub version: String,
    /// `install`, `update` or `uninstall`; in what is available they begin with a capital.
    #[serde(rename = "type")]
    pub kind: String,
}

/// An app that depends on another, and goes before it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UninstallRequirement {
    /// The app.
    pub app_id: Uuid,
    /// The same.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// Its publisher.
    pub publisher: String,
    /// The version that it has.
    pub version: String,
    /// `Global` or `PTE`.
    #[serde(rename = "type")]
    #[schema(value_type = crate::words::DependentScope)]
    pub kind: String,
    /// Always `Uninstall`.
    pub environment_app_operation_requirement_type: String,
}

/// An operation, as every address shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AdminOperation {
    /// Its identity.
    pub id: Uuid,
    /// `install`, `update`, `uninstall` or `hotfix` where an app's operations are asked for; `environmentAppInstall` and so on
    /// where an environment's are.
    #[serde(rename = "type")]
    #[schema(value_type = crate::words::CustomersOperationKind)]
    pub kind: String,
    /// `scheduled`, `running`, `succeeded`, `failed`, `canceled` or `skipped`.
    #[schema(value_type = crate::words::CustomersOperationStatus)]
    pub status: String,
    /// When it was asked for.
    #[schema(format = DateTime)]
    pub created_on: String,
    /// When it started.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub started_on: Option<String>,
    /// When it was completed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub completed_on: Option<String>,
    /// The version that it leads away from; empty for an install.
    pub source_app_version: String,
    /// The version that it leads to; empty for an uninstall.
    pub target_app_version: String,
    /// `sourceAppVersion` again.
    pub source_version: String,
    /// `targetAppVersion` again.
    pub target_version: String,
    /// Why it failed or was skipped; empty otherwise.
    pub error_message: String,
    /// Who asked for it: an address, a client id, a publisher, or `partner` with its tenant.
    pub created_by: String,
    /// Who called it off; empty otherwise.
    pub canceled_by: String,
    /// `user` or `app`.
    #[schema(value_type = crate::words::CreatorKind)]
    pub creator_principal_type: String,
    /// The app.
    pub app_id: Uuid,
    /// The tenant.
    pub aad_tenant_id: Uuid,
    /// The environment.
    pub environment_name: String,
    /// Production or Sandbox.
    #[schema(value_type = crate::words::EnvironmentKind)]
    pub environment_type: String,
    /// The application family.
    pub product_family: String,
    /// Whether it can be called off here.
    pub can_be_canceled: bool,
    /// `Immediate` or `UpdateWindow`.
    #[schema(value_type = crate::words::ScheduleKind)]
    pub schedule_kind: String,
    /// When the customer put a vendor's hotfix off.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub postponed_on: Option<String>,
    /// Until when.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub postponed_until: Option<String>,
    /// And why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub postpone_reason: Option<String>,
    /// What was asked for.
    pub parameters: AdminOperationParameters,
}

/// What an operation was asked for with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AdminOperationParameters {
    /// The app.
    pub app_id: Uuid,
    /// The version that it leads to; empty for an uninstall.
    pub target_app_version: String,
    /// The version that it leads away from; empty for an install.
    pub source_app_version: String,
    /// The country.
    pub country_code: String,
    /// Whether a preview was allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_preview_version: Option<bool>,
    /// Whether it does not wait for the update window.
    pub ignore_upgrade_window: bool,
    /// Whether other apps could be installed or updated for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_dependency_update: Option<bool>,
    /// Whether the licence terms were accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accept_isv_eula: Option<bool>,
    /// The language that an app is installed in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language_id: Option<String>,
    /// Whether apps that depend on it could be taken out too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_dependents_uninstall: Option<bool>,
    /// Whether its data goes too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delete_data: Option<bool>,
    /// The operation that it was made for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_operation_id: Option<Uuid>,
}

/// When an environment's updates may start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UpgradeSettings {
    /// Its start by the environment's clock, as `HH:mm`.
    #[schema(example = "20:00")]
    pub preferred_start_time: String,
    /// Its end by the environment's clock, as `HH:mm`.
    #[schema(example = "06:00")]
    pub preferred_end_time: String,
    /// The time zone, by its Windows id.
    #[schema(example = "Romance Standard Time")]
    pub time_zone_id: String,
    /// When it starts next, or started if it is open.
    #[schema(format = DateTime)]
    pub preferred_start_time_utc: String,
    /// When that one ends.
    #[schema(format = DateTime)]
    pub preferred_end_time_utc: String,
}

/// A time zone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AdminTimeZone {
    /// Its Windows id.
    pub id: String,
    /// The same with its usual offset in front.
    #[schema(example = "(UTC+01:00) Romance Standard Time")]
    pub display_name: String,
    /// Its offset now.
    #[schema(example = "+01:00")]
    pub current_utc_offset: String,
    /// Whether its clock changes for the summer.
    pub supports_daylight_saving_time: bool,
    /// Whether it has done so now.
    pub is_currently_daylight_saving_time: bool,
}

/// A word that was kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Kept {
    /// The word.
    pub value: String,
}

/// A tenant that lists the calling application.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ManageableTenant {
    /// The tenant.
    pub entra_tenant_id: Uuid,
}

/// An application that the tenant lists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuthorizedApp {
    /// Its client id.
    pub app_id: Uuid,
    /// Always true: what an administrator consented to is said by the tokens themselves.
    pub is_admin_consent_granted: bool,
}

/// An application family, and where it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApplicationFamily {
    /// Its name.
    pub application_family: String,
    /// Its countries.
    pub countries_ring_details: Vec<CountryRings>,
}

/// A country, and its rings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CountryRings {
    /// The country.
    pub country_code: String,
    /// Its rings: there is one.
    pub rings: Vec<Ring>,
}

/// A ring of updates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Ring {
    /// Its name.
    pub name: String,
    /// Whether it is production's.
    pub production_ring: bool,
    /// Its name for people.
    pub friendly_name: String,
}

/// A partner who is let in; ours, the original has it elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DelegatedPartner {
    /// The partner's tenant.
    pub tenant_id: Uuid,
    /// Whom of that tenant alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object_id: Option<Uuid>,
    /// Until when.
    #[schema(format = DateTime)]
    pub expires_on: String,
}

/// Whether an environment can be worked with, as the web base address of the original says it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Deployment {
    /// `Ready` or `DoesNotExist`.
    pub status: String,
    /// Where people sign in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// 1 for a sandbox, 0 for production.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment_type: Option<u8>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{
        ids::AppId,
        operation::OperationKind,
        problem::{Requirement, RuleError},
    };

    /// The text that clients search, and not only its meaning.
    #[test]
    fn a_refusal_is_written_as_its_readers_expect_it() {
        let requirement = Requirement {
            app_id: AppId(Uuid::from_u128(1)),
            name: "Contoso Base".to_owned(),
            publisher: "Contoso".to_owned(),
            version: "1.4.0.0".parse().unwrap(),
            kind: OperationKind::Install,
        };
        let problem = RuleError::broken("DependencyMissing", "It needs an app.")
            .about("BusinessCentral/Sandbox/apps/x")
            .with("operationId", "y")
            .requiring([requirement]);
        let id = "00000000-0000-0000-0000-000000000001";
        let expected = format!(
            "{{\"code\":\"EntityValidationFailed\",\"message\":\"It needs an app.\",\
             \"target\":\"BusinessCentral/Sandbox/apps/x\",\"extensionData\":{{\"operationId\":\"y\"}},\
             \"data\":{{\"requirements\":[{{\"appId\":\"{id}\",\"id\":\"{id}\",\"name\":\"Contoso Base\",\
             \"publisher\":\"Contoso\",\"version\":\"1.4.0.0\",\"type\":\"install\"}}]}},\
             \"clientError\":[{{\"code\":\"DependencyMissing\",\"message\":\"It needs an app.\"}}],\
             \"error\":{{\"code\":\"EntityValidationFailed\",\"message\":\"It needs an app.\"}}}}"
        );
        assert_eq!(
            String::from_utf8(AdminError::new(&problem).to_json()).unwrap(),
            expected
        );
        let bare = AdminError::new(&RuleError::missing("", "There is nothing here."));
        let text = String::from_utf8(bare.to_json()).unwrap();
        let said = "\"code\":\"ResourceDoesNotExist\",\"message\":\"There is nothing here.\"";
        assert_eq!(text, format!("{{{said},\"error\":{{{said}}}}}"));
    }
}
