//! Hotfixes, and the plan that explains them beforehand.

use crate::{
    countries::check_country_in,
    entity::{Entity, entity},
    lenient::{self, Object},
    value::Flag,
};
use domain::{
    country::CountryCode,
    environment::EnvironmentKind,
    ids::{AppId, OperationId, TenantId},
    instant::Instant,
    operation::{FailureCause, OperationStatus},
    problem::RuleError,
    version::AppVersion,
    waiting::WaitingFor,
};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// The header of an answer that says what a hotfix waits for that was just scheduled, or what all of a plan would wait for:
/// one of the words of [`WaitingFor`]. It is left out where nothing is in the way.
pub const WAITING_HEADER: &str = "fame-waiting-for";

entity! {
    /// The pushing of a version of the app to a customer's environment.
    EnvironmentHotfix "environmentHotfix" keyed by ["id"] {
        /// The id of the request.
        #[schema(value_type = uuid::Uuid)]
        id "id": OperationId,
        /// The customer's Microsoft Entra tenant.
        #[schema(value_type = uuid::Uuid)]
        environment_aad_tenant_id "environmentAadTenantId": TenantId,
        /// The version that was installed before.
        #[serde(default)]
        #[schema(value_type = Option<String>, example = "16.0.0.5")]
        source_app_version "sourceAppVersion": Option<AppVersion>,
        /// The version to go to.
        #[schema(value_type = String, example = "16.0.1.2")]
        target_app_version "targetAppVersion": AppVersion,
        /// Scheduled, Running, Succeeded, Failed, Canceled or Skipped.
        #[schema(value_type = crate::words::OperationStatus)]
        status "status": OperationStatus,
        /// When it was asked for.
        #[schema(value_type = String, format = DateTime)]
        created_on "createdOn": Instant,
        /// When it is to run at the earliest.
        #[serde(default)]
        #[schema(value_type = Option<String>, format = DateTime)]
        run_after "runAfter": Option<Instant>,
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
        /// Whether it does not wait for the environment's update window; only shown when it does not.
        #[serde(default)]
        #[schema(value_type = Option<bool>)]
        ignore_upgrade_window "ignoreUpgradeWindow": Flag,
        /// The app.
        #[schema(value_type = uuid::Uuid)]
        app_id "appId": AppId,
        /// The country of the environment.
        #[schema(value_type = String, example = "US")]
        country_code "countryCode": CountryCode,
        /// The environment's application family.
        environment_application_family "environmentApplicationFamily": String,
        /// The environment's name.
        environment_name "environmentName": String,
        /// What the environment is for: Production or Sandbox.
        #[serde(default)]
        #[schema(value_type = Option<crate::words::EnvironmentKind>)]
        environment_type "environmentType": Option<EnvironmentKind>,
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
        /// Why it failed, as far as its agent could tell: one word of a closed list.
        #[schema(value_type = Option<crate::words::FailureCause>)]
        failure_cause "failureCause": Option<FailureCause>,
        /// When it was asked to run at the earliest, where its customer has postponed it since.
        #[schema(value_type = Option<String>, format = DateTime)]
        asked_run_after "askedRunAfter": Option<Instant>,
        /// When its customer last postponed it.
        #[schema(value_type = Option<String>, format = DateTime)]
        postponed_on "postponedOn": Option<Instant>,
        /// Why, as they say.
        postpone_reason "postponeReason": Option<String>,
        /// When it is expected to start, while it is Scheduled; nothing where somebody has to do something before.
        #[schema(value_type = Option<String>, format = DateTime)]
        expected_start "expectedStart": Option<Instant>,
        /// What has to happen first, while it is Scheduled: RunAfter, Window, Slot (something runs in the environment), Held
        /// (nothing starts there), Freeze or Agent (nobody is there to carry it out). Nothing where it can start now.
        #[schema(value_type = Option<crate::words::WaitingFor>)]
        waiting_for "waitingFor": Option<WaitingFor>,
        /// The rollout that it is a part of.
        rollout_id "rolloutId": Option<Uuid>,
    }
}

/// A request to schedule a hotfix, as a client sends it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct HotfixRequestBody {
    /// The customer's Microsoft Entra tenant.
    pub environment_aad_tenant_id: Uuid,
    /// The version to go to.
    #[schema(example = "16.0.1.2")]
    pub target_app_version: String,
    /// When it is to run at the earliest; at once when left out or past.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub run_after: Option<String>,
    /// Whether it is not to wait for the environment's update window.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false, nullable)]
    pub ignore_upgrade_window: bool,
    /// The environment's application family.
    #[schema(example = "Business Central")]
    pub environment_application_family: String,
    /// The environment's name.
    pub environment_name: String,
    /// What the environment is for; refused if it is not so.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<crate::words::EnvironmentKind>)]
    pub environment_type: Option<String>,
    /// Whether it is to be scheduled though schema synchronisation is forecast to refuse the target (`SchemaBreak`).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false, nullable)]
    pub despite_forecast: bool,
}

/// A request to schedule a hotfix, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HotfixRequest {
    /// The customer's tenant.
    pub tenant_id: TenantId,
    /// The environment's application family, as it was spelled.
    pub application_family: String,
    /// The environment's name, as it was spelled.
    pub environment_name: String,
    /// What the caller takes the environment for.
    pub environment_kind: Option<EnvironmentKind>,
    /// The version to go to.
    pub target: AppVersion,
    /// When it is to run at the earliest.
    pub run_after: Option<Instant>,
    /// Whether it is not to wait for the update window.
    pub ignore_window: bool,
    /// Whether a forecast does not count.
    pub despite_forecast: bool,
}

/// What only a request to schedule a hotfix says, and no hotfix is shown with.
const DESPITE_FORECAST: &str = "despiteForecast";

impl HotfixRequest {
    /// Reads a request body sent for `app` and `country`. Its `sourceAppVersion` is ignored, as what is compared with is
    /// what is installed, and so is what only a hotfix that exists can have: whoever asks again for one that failed sends
    /// it as they read it.
    ///
    /// # Errors
    /// `RequestBodyRequired`, or `InvalidInput` for missing and malformed values, and for another app or
    /// country than the address has.
    pub fn read(body: &[u8], app: AppId, country: CountryCode) -> Result<Self, RuleError> {
        let object = lenient::object(body)?;
        let known = [EnvironmentHotfix::PROPERTIES, &[DESPITE_FORECAST]].concat();
        object.only(&known)?;
        object.is_about("app", "appId", &app)?;
        check_country_in(&object, country)?;
        let tenant = "environmentAadTenantId";
        let target = "targetAppVersion";
        Ok(Self {
            tenant_id: object.parsed(tenant)?.ok_or_else(|| object.required(tenant))?,
            application_family: required_text(&object, "environmentApplicationFamily")?,
            environment_name: required_text(&object, "environmentName")?,
            environment_kind: object.parsed("environmentType")?,
            target: object.parsed(target)?.ok_or_else(|| object.required(target))?,
            run_after: object.parsed("runAfter")?,
            ignore_window: object.flag("ignoreUpgradeWindow")?.unwrap_or(false),
            despite_forecast: object.flag(DESPITE_FORECAST)?.unwrap_or(false),
        })
    }
}

/// A text that is there and not only blanks.
pub(crate) fn required_text(object: &Object, name: &str) -> Result<String, RuleError> {
    let text = object.text(name)?.filter(|text| !text.trim().is_empty());
    text.ok_or_else(|| object.required(name))
}

/// A request to change a hotfix, understood: it can be canceled, and nothing else.
#[derive(Clone, Debug, PartialEq)]
pub struct HotfixPatch {
    /// The status asked for.
    pub status: Option<OperationStatus>,
    given: Object,
}

/// A request to cancel a hotfix, as a client sends it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct HotfixPatchBody {
    /// `Canceled`.
    #[schema(value_type = crate::words::CanceledStatus)]
    pub status: String,
}

impl HotfixPatch {
    /// Reads a request body.
    ///
    /// # Errors
    /// `RequestBodyRequired` or `InvalidInput`.
    pub fn read(body: &[u8]) -> Result<Self, RuleError> {
        let given = lenient::object(body)?;
        given.only(EnvironmentHotfix::PROPERTIES)?;
        Ok(Self {
            status: given.parsed("status")?,
            given,
        })
    }

    /// Whether everything else that the body says is what the hotfix is anyway.
    ///
    /// # Errors
    /// `EntityValidationFailed` with `ReadOnly`, naming the property.
    pub fn check_read_only(&self, current: &EnvironmentHotfix) -> Result<(), RuleError> {
        self.given.check_read_only(current, &["status"])
    }
}

entity! {
    /// What a hotfix would come to in one environment; nothing is changed by asking.
    PlanRow "planRow" keyed by ["aadTenantId", "applicationFamily", "name"] {
        /// The customer's Microsoft Entra tenant.
        #[schema(value_type = uuid::Uuid)]
        aad_tenant_id "aadTenantId": TenantId,
        /// The environment's application family.
        application_family "applicationFamily": String,
        /// The environment's name.
        name "name": String,
        /// What the environment is for: Production or Sandbox.
        #[schema(value_type = crate::words::EnvironmentKind)]
        kind "type": EnvironmentKind,
        /// The version installed there.
        #[schema(value_type = String, example = "16.0.0.5")]
        installed_version "installedVersion": AppVersion,
        /// Whether the hotfix could be scheduled now.
        eligible "eligible": bool,
        /// Everything that speaks against it, and `EnvironmentHeld` where it could be scheduled and would not start.
        #[serde(default)]
        #[schema(required = true)]
        reasons "reasons": Vec<PlanReason>,
        /// When it would start, if it were scheduled now, and waited for the update window unless that is to be ignored.
        #[serde(default)]
        #[schema(value_type = Option<String>, format = DateTime)]
        starts_at "startsAt": Option<Instant>,
        /// What it would wait for, if it were scheduled now: RunAfter, Window, Slot, Held or Agent. Nothing where it would
        /// start.
        #[serde(default)]
        #[schema(value_type = Option<crate::words::WaitingFor>)]
        waiting_for "waitingFor": Option<WaitingFor>,
    }
}

entity! {
    /// One thing that speaks against a hotfix.
    PlanReason "planReason" keyed by ["code"] {
        /// A stable code, such as `NotNewer`.
        code "code": String,
        /// What it is, with the facts.
        message "message": String,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const APP: AppId = AppId(Uuid::from_u128(1));

    fn read(body: &str) -> Result<HotfixRequest, RuleError> {
        HotfixRequest::read(body.as_bytes(), APP, CountryCode::parse("US", false).unwrap())
    }

    const GOOD: &str = r#""environmentAadTenantId":"aaaabbbb-0000-cccc-1111-dddd2222eeee",
        "targetAppVersion":"16.0.1.2","environmentApplicationFamily":"Business Central",
        "environmentName":"MyCustomer""#;

    #[test]
    fn the_least_that_is_needed() {
        let request = read(&format!("{{{GOOD}}}")).unwrap();
        assert_eq!(
            (request.run_after, request.ignore_window, request.environment_kind),
            (None, false, None)
        );
    }

    #[test]
    fn what_is_missing_is_named() {
        for name in [
            "environmentAadTenantId",
            "targetAppVersion",
            "environmentApplicationFamily",
            "environmentName",
        ] {
            let without = format!(
                "{{{}}}",
                GOOD.replace(&format!("\"{name}\""), "\"other\"")
                    .replacen("other", "@a", 1)
            );
            let refused = read(&without).unwrap_err();
            assert_eq!(refused.target.as_deref(), Some(name));
        }
        assert!(read(&format!("{{{}}}", GOOD.replace("MyCustomer", " "))).is_err());
    }

    #[test]
    fn a_body_about_another_app_or_country_is_refused() {
        let other_app = read(&format!(
            r#"{{{GOOD},"appId":"00000000-0000-0000-0000-000000000002"}}"#
        ))
        .unwrap_err();
        assert_eq!(other_app.target.as_deref(), Some("appId"));
        let other_country = read(&format!(r#"{{{GOOD},"countryCode":"DK"}}"#)).unwrap_err();
        assert_eq!(other_country.target.as_deref(), Some("countryCode"));
        assert!(
            read(&format!(
                r#"{{{GOOD},"countryCode":"us","sourceAppVersion":"nonsense"}}"#
            ))
            .is_ok()
        );
    }
}
