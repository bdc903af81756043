//! Rollouts: one decision for many environments. None of it is part of the original's API.

mod definition;

pub use definition::{parse_definition, read_definition, read_key, read_keys, write_definition};

use crate::{entity::entity, lenient, value::Json};
use domain::{
    country::CountryCode,
    environment::EnvironmentKind,
    ids::{Etag, OperationId, TenantId},
    instant::Instant,
    problem::RuleError,
    rollout::Definition,
    version::AppVersion,
    waiting::WaitingFor,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

entity! {
    /// How many environments stand where. Each is in one place.
    RolloutCounts "rolloutCounts" keyed by [] {
        /// No wave has taken them.
        #[serde(default)]
        untaken "untaken": u32,
        /// A wave has taken them, and they have no hotfix yet.
        #[serde(default)]
        taken "taken": u32,
        /// Taken, and something else must end first.
        #[serde(default)]
        blocked "blocked": u32,
        /// Their hotfix waits.
        #[serde(default)]
        scheduled "scheduled": u32,
        /// Their hotfix runs.
        #[serde(default)]
        running "running": u32,
        /// Their hotfix succeeded.
        #[serde(default)]
        updated "updated": u32,
        /// They had the target, or a newer version, already.
        #[serde(default)]
        already_there "alreadyThere": u32,
        /// Their hotfix failed.
        #[serde(default)]
        failed "failed": u32,
        /// Nobody knows how their hotfix ended.
        #[serde(default)]
        unknown "unknown": u32,
        /// Their hotfix made no sense any more when its time came.
        #[serde(default)]
        skipped "skipped": u32,
        /// A rule forbade their hotfix.
        #[serde(default)]
        refused "refused": u32,
        /// Their hotfix was canceled.
        #[serde(default)]
        canceled "canceled": u32,
        /// Their wave's deadline came first.
        #[serde(default)]
        expired "expired": u32,
        /// They were no longer selected when their wave began.
        #[serde(default)]
        left "left": u32,
    }
}

entity! {
    /// A wave of a rollout.
    RolloutWave "rolloutWave" keyed by ["name"] {
        /// By which verbs name it.
        name "name": String,
        /// Waiting, Active, Soaking, AwaitingGate, Done or Stopped.
        state "state": String,
        /// When it began.
        #[serde(default)]
        #[schema(value_type = Option<String>, format = DateTime)]
        begun_on "begunOn": Option<Instant>,
        /// Until when it soaks.
        #[serde(default)]
        #[schema(value_type = Option<String>, format = DateTime)]
        soak_until "soakUntil": Option<Instant>,
        /// When what has not started of it expires.
        #[serde(default)]
        #[schema(value_type = Option<String>, format = DateTime)]
        deadline_on "deadlineOn": Option<Instant>,
        /// Where its environments stand.
        counts "counts": RolloutCounts,
    }
}

entity! {
    /// Failures that say the same, but for numbers, names and ids in them.
    RolloutFailure "rolloutFailure" keyed by ["text"] {
        /// What they say.
        text "text": String,
        /// What it is, in one word.
        #[serde(default)]
        reason_code "reasonCode": Option<String>,
        /// How many environments.
        environments "environments": u32,
    }
}

entity! {
    /// Whether somebody else approves a rollout before it begins, and who did.
    RolloutApproval "rolloutApproval" keyed by [] {
        /// Whether anybody has to.
        required "required": bool,
        /// When somebody did.
        #[serde(default)]
        #[schema(value_type = Option<String>, format = DateTime)]
        approved_on "approvedOn": Option<Instant>,
        /// Who: `User/tenant/id`.
        #[serde(default)]
        approved_by "approvedBy": Option<String>,
        /// What their token calls them.
        #[serde(default)]
        approved_by_name "approvedByName": Option<String>,
        /// What they said.
        #[serde(default)]
        remark "remark": Option<String>,
    }
}

entity! {
    /// One decision for many environments: this version, to these, in this order, and stop when it goes wrong.
    Rollout "rollout" keyed by ["id"] tagged by etag {
        /// By which it is addressed.
        id "id": Uuid,
        /// What it is called.
        name "name": String,
        /// What else was said of it.
        #[serde(default)]
        note "note": Option<String>,
        /// The version to go to.
        #[schema(value_type = String, example = "16.0.1.2")]
        target_app_version "targetAppVersion": AppVersion,
        /// AwaitingApproval, Active, Paused, Completed or Aborted.
        state "state": String,
        /// Of a Completed one: Succeeded, WithFailures or NothingDone.
        #[serde(default)]
        outcome "outcome": Option<String>,
        /// Why it is Paused, Aborted or awaits approval anew: one word.
        #[serde(default)]
        reason_code "reasonCode": Option<String>,
        /// The same in a sentence, or what whoever did it said.
        #[serde(default)]
        reason "reason": Option<String>,
        /// When it was made.
        #[schema(value_type = String, format = DateTime)]
        created_on "createdOn": Instant,
        /// By whom: `User/tenant/id` or `Application/id`.
        created_by "createdBy": String,
        /// When it ended.
        #[serde(default)]
        #[schema(value_type = Option<String>, format = DateTime)]
        ended_on "endedOn": Option<Instant>,
        /// How many environments it has.
        environments "environments": u32,
        /// What tells what was planned from all other plans: SHA-256 in hexadecimal.
        fingerprint "fingerprint": String,
        /// Whether somebody else approves it, and who did.
        approval "approval": RolloutApproval,
        /// Where its environments stand.
        counts "counts": RolloutCounts,
        /// Its waves, in order.
        #[serde(default)]
        #[schema(required = true)]
        waves "waves": Vec<RolloutWave>,
        /// Its failures, those of most environments first.
        #[serde(default)]
        #[schema(required = true)]
        failures "failures": Vec<RolloutFailure>,
        /// The newest version of the line that is Available in one of its countries, where that is newer than the target.
        #[serde(default)]
        #[schema(value_type = Option<String>)]
        superseded_by "supersededBy": Option<AppVersion>,
        /// What may not be meant so; only in the answer to whoever makes it.
        #[serde(default)]
        #[schema(required = true)]
        warnings "warnings": Vec<RolloutWarning>,
        /// A value unique to its current state.
        #[schema(value_type = uuid::Uuid)]
        etag "_etag": Etag,
    }
    when selected {
        /// What was asked for, with all that was left out.
        #[schema(value_type = Option<Object>)]
        definition "definition": Option<Json>,
    }
}

entity! {
    /// An environment of a rollout.
    RolloutEnvironment "rolloutEnvironment" keyed by ["aadTenantId", "applicationFamily", "name"] {
        /// The customer's Microsoft Entra tenant.
        #[schema(value_type = uuid::Uuid)]
        aad_tenant_id "aadTenantId": TenantId,
        /// Its application family.
        application_family "applicationFamily": String,
        /// Its name.
        name "name": String,
        /// The country in which it was selected.
        #[schema(value_type = String, example = "US")]
        country_code "countryCode": CountryCode,
        /// What it is for: Production or Sandbox.
        #[schema(value_type = crate::words::EnvironmentKind)]
        kind "type": EnvironmentKind,
        /// The version that was installed when the rollout was made.
        #[schema(value_type = String, example = "16.0.0.5")]
        version "version": AppVersion,
        /// The wave that has taken it.
        #[serde(default)]
        wave "wave": Option<String>,
        /// Where it stands: one of the words of `rolloutCounts`, with a capital letter.
        state "state": String,
        /// Which attempt this is, from 1 on; 0 before there was any.
        attempt "attempt": u32,
        /// The hotfix of the last attempt.
        #[serde(default)]
        #[schema(value_type = Option<uuid::Uuid>)]
        hotfix_id "hotfixId": Option<OperationId>,
        /// Why it stands there: one word.
        #[serde(default)]
        reason_code "reasonCode": Option<String>,
        /// The same in a sentence.
        #[serde(default)]
        reason "reason": Option<String>,
        /// Since when it stands there.
        #[schema(value_type = String, format = DateTime)]
        changed_on "changedOn": Instant,
    }
    when selected {
        /// When its hotfix is expected to start, while that waits.
        #[schema(value_type = Option<String>, format = DateTime)]
        expected_start "expectedStart": Option<Instant>,
        /// What has to happen first, while its hotfix waits.
        #[schema(value_type = Option<crate::words::WaitingFor>)]
        waiting_for "waitingFor": Option<WaitingFor>,
    }
}

/// What a rollout would come to, if it were made now. Nothing is changed by asking.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutPlan {
    /// As of when.
    #[schema(format = DateTime)]
    pub as_of: String,
    /// What tells this plan from all others; whoever makes the rollout repeats it.
    pub fingerprint: String,
    /// How many environments are selected.
    pub environments: u64,
    /// How many of them are in production.
    pub production: u64,
    /// How many can have a hotfix now.
    pub eligible: u64,
    /// How many have the target, or a newer version, already.
    pub already_there: u64,
    /// How many can have one once something else has ended.
    pub blocked: u64,
    /// How many cannot have one.
    pub refused: u64,
    /// Why, for those that cannot have one now.
    pub reasons: Vec<RolloutPlanReason>,
    /// How many of those that are eligible would start in which hour.
    pub starts: Vec<RolloutPlanStart>,
    /// How many of them would start nobody knows when: somebody has to do something before.
    pub without_start: u64,
    /// What each wave would take, as far as it can be told beforehand.
    pub waves: Vec<RolloutPlanWave>,
    /// Whether somebody else would have to approve it.
    pub needs_approval: bool,
    /// What may not be meant so.
    pub warnings: Vec<RolloutWarning>,
}

/// Why environments cannot have a hotfix now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutPlanReason {
    /// The stable code.
    pub code: String,
    /// What becomes of them: AlreadyThere, Blocked or Refused.
    pub verdict: String,
    /// How many.
    pub environments: u64,
    /// Some of them.
    pub sample: Vec<RolloutPlanRow>,
}

/// How many environments start within an hour.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutPlanStart {
    /// When the hour begins, in UTC.
    #[schema(format = DateTime)]
    pub hour: String,
    /// How many.
    pub environments: u64,
}

/// What a wave would take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutPlanWave {
    /// The wave.
    pub name: String,
    /// How many environments.
    pub environments: u64,
    /// How many of those that its filter finds an earlier wave's filter finds too, and takes.
    pub overlap: u64,
}

entity! {
    /// Something that may not be meant so.
    RolloutWarning "rolloutWarning" keyed by [] {
        /// The stable code.
        code "code": String,
        /// What it is, with the facts.
        message "message": String,
    }
}

impl Serialize for RolloutWarning {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct as _;
        let mut object = serializer.serialize_struct("RolloutWarning", 2)?;
        object.serialize_field("code", &self.code)?;
        object.serialize_field("message", &self.message)?;
        object.end()
    }
}

/// An environment of a plan: a line of those that stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutPlanRow {
    /// The customer's Microsoft Entra tenant.
    pub aad_tenant_id: Uuid,
    /// Its application family.
    pub application_family: String,
    /// Its name.
    pub name: String,
    /// Its country.
    pub country_code: String,
    /// What it is for: Production or Sandbox.
    #[serde(rename = "type")]
    #[schema(value_type = crate::words::EnvironmentKind)]
    pub kind: String,
    /// The installed version.
    pub installed_version: String,
    /// Eligible, AlreadyThere, Blocked or Refused.
    pub verdict: String,
    /// Why it is not eligible.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason_code: Option<String>,
    /// The same with the facts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When its hotfix would start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub starts_at: Option<String>,
    /// What it would wait for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<crate::words::WaitingFor>)]
    pub waiting_for: Option<String>,
}

entity! {
    /// Which rollouts of an app somebody else than their creator has to approve.
    ApprovalPolicy "approvalPolicy" keyed by [] tagged by etag {
        /// Never, Always, or ProductionAbove: those to more production environments than `productionAbove`, and those to any
        /// that ignore update windows or take in environments that come later.
        approval "approval": String,
        /// That number.
        #[serde(default)]
        production_above "productionAbove": Option<u32>,
        /// A value unique to its current state.
        #[schema(value_type = uuid::Uuid)]
        etag "_etag": Etag,
    }
}

/// Says which rollouts somebody else has to approve.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApprovalPolicyBody {
    /// Never, Always or ProductionAbove.
    pub approval: String,
    /// With ProductionAbove: the number of production environments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub production_above: Option<u32>,
}

impl ApprovalPolicyBody {
    /// Reads a request body.
    ///
    /// # Errors
    /// `RequestBodyRequired`; `InvalidInput` for what is no policy.
    pub fn read(body: &[u8]) -> Result<domain::rollout::ApprovalPolicy, RuleError> {
        use domain::rollout::ApprovalPolicy as Policy;
        let object = lenient::object(body)?;
        object.only(&["approval", "productionAbove"])?;
        let above =
            definition::number(&object, "productionAbove")?.filter(|above| u32::try_from(*above).is_ok());
        let word = object
            .text("approval")?
            .ok_or_else(|| object.required("approval"))?;
        match (word.to_ascii_lowercase().as_str(), above) {
            ("never", None) => Ok(Policy::Never),
            ("always", None) => Ok(Policy::Always),
            ("productionabove", Some(above)) => Ok(Policy::ProductionAbove(above)),
            ("productionabove", None) => Err(object.required("productionAbove")),
            ("never" | "always", Some(_)) => {
                Err(object.invalid("productionAbove", "it belongs to ProductionAbove alone"))
            }
            _ => Err(object.invalid("approval", "it is Never, Always or ProductionAbove")),
        }
    }
}

/// A request to make a rollout: its definition, and which plan was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutBody {
    /// What it is called.
    pub name: String,
    /// The version to bring.
    #[schema(example = "16.0.1.2")]
    pub target_app_version: String,
    /// What its makers want to remember of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// When its first wave begins at the earliest, with an offset.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub run_after: Option<String>,
    /// Why update windows are not waited for: `{"reason":"…"}`. Left out, they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub ignore_upgrade_window: Option<serde_json::Value>,
    /// The environments that it is for: `countries`, `filter`, `except`, `later`.
    #[schema(value_type = Object, example = json!({"countries": "all"}))]
    pub select: serde_json::Value,
    /// In which order; one wave with all of them when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Object>>)]
    pub waves: Option<serde_json::Value>,
    /// Whether somebody else has to approve it, whatever the app's policy: `{"required":true}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub approval: Option<serde_json::Value>,
    /// The plan that was seen. Is what was planned not so any more, the answer is 409 `PlanChanged`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// `shrink` lets pass what only fell out since, or has got the target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drift: Option<String>,
}

/// A request to make a rollout, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RolloutRequest {
    /// What it is to do.
    pub definition: Definition,
    /// The plan that was seen.
    pub fingerprint: Option<[u8; 32]>,
    /// Whether environments may have fallen out since.
    pub may_shrink: bool,
}

impl RolloutRequest {
    /// Reads a request body.
    ///
    /// # Errors
    /// `RequestBodyRequired`; those of [`read_definition`].
    pub fn read(body: &[u8]) -> Result<Self, RuleError> {
        let object = lenient::object(body)?;
        let fingerprint = object.understood("fingerprint", |text| {
            read_fingerprint(text).ok_or_else(|| "it is no fingerprint of a plan".to_owned())
        })?;
        let may_shrink = object.understood("drift", |text| match text.eq_ignore_ascii_case("shrink") {
            true => Ok(true),
            false => Err("it is shrink, or left out".to_owned()),
        })?;
        Ok(Self {
            definition: read_definition(&object, &["fingerprint", "drift"])?,
            fingerprint,
            may_shrink: may_shrink.unwrap_or(false),
        })
    }
}

/// Thirty-two bytes in hexadecimal.
fn read_fingerprint(text: &str) -> Option<[u8; 32]> {
    let half = |digits: Option<&str>| {
        let digits = digits.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
        u128::from_str_radix(digits, 16).ok()
    };
    let halves = [
        half(text.get(..32))?,
        half(text.get(32..).filter(|rest| rest.len() == 32))?,
    ];
    let mut bytes = [0; 32];
    for (slot, half) in bytes.chunks_exact_mut(16).zip(halves) {
        slot.copy_from_slice(&half.to_be_bytes());
    }
    Some(bytes)
}

/// What somebody says who does something to a rollout.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutVerbBody {
    /// With approve and reject: what there is to say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remark: Option<String>,
    /// With pause, resume and abort: why. What can go on only because somebody says so goes on with a reason alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// With pause: whether what is Scheduled is withdrawn, and not only held.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub withdraw: Option<bool>,
    /// With advance: the wave by its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wave: Option<String>,
    /// With retry: which environments, each as `TENANT/FAMILY/NAME`; those that failed or were refused when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environments: Option<Vec<String>>,
}
