//! Rollouts: one decision for many environments. None of it is part of the original's API.

mod definition;

pub use definition::{parse_definition, read_definition, read_key, read_keys, write_definition};

use crate::{entity::entity, value::Json};
use domain::{
    country::CountryCode,
    environment::EnvironmentKind,
    ids::{Etag, OperationId, TenantId},
    instant::Instant,
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
        /// Of a Completed one: succeeded, withFailures or nothingDone.
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
        /// Where it stands: one of the words of `rolloutCounts`.
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

/// Something that may not be meant so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutWarning {
    /// The stable code.
    pub code: String,
    /// What it is, with the facts.
    pub message: String,
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
