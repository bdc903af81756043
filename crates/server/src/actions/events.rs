//! What happened to operations, to agents, to environments, and to versions and principals of apps: added to the outbox by the change itself, in its own transaction.
//!
//! So its event is delivered after the commit, even if this process dies right after it or never hears of it. What does
//! not happen is not committed either: that a hotfix was refused is told at once, by whoever refused it. Were it written
//! down, a request that changes nothing would cost a transaction, and its caller has been told already; nobody counts on
//! the event of a refusal whose answer a crash took along.

use super::{audit::Actor, rollouts};
use crate::error::{Error, Result};
use domain::{
    ids::AppId,
    instant::Instant,
    operation::{OperationKind, OperationStatus},
    version::AppVersion,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use store::{
    Tx,
    agents::Agent,
    environments::{self, Environment},
    events::{Event, insert_events},
    hotfixes::Operation,
    rollouts::Rollout,
};
use uuid::Uuid;

/// A step in the life of an operation, by which its event is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OperationStep {
    Scheduled,
    /// By its customer; it goes on waiting.
    Postponed,
    Canceled,
    Started,
    Succeeded,
    Failed,
    Skipped,
}

impl OperationStep {
    const ALL: [Self; 7] = [
        Self::Scheduled,
        Self::Postponed,
        Self::Canceled,
        Self::Started,
        Self::Succeeded,
        Self::Failed,
        Self::Skipped,
    ];

    /// The step that leads to a status.
    fn to(status: OperationStatus) -> Self {
        match status {
            OperationStatus::Scheduled => Self::Scheduled,
            OperationStatus::Canceled => Self::Canceled,
            OperationStatus::Running => Self::Started,
            OperationStatus::Succeeded => Self::Succeeded,
            OperationStatus::Failed => Self::Failed,
            OperationStatus::Skipped => Self::Skipped,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Postponed => "postponed",
            Self::Canceled => "canceled",
            Self::Started => "started",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }

    /// How the event of an operation of this kind is called: `hotfix.scheduled`.
    fn event(self, of: OperationKind) -> String {
        format!("{}.{}", of.as_str().to_lowercase(), self.word())
    }

    /// The step that an event is about, and of which kind of operation, if it is about one.
    pub(crate) fn of(event: &Event) -> Option<(OperationKind, Self)> {
        let (kind, word) = event.kind.split_once('.')?;
        let step = Self::ALL.into_iter().find(|step| step.word() == word)?;
        Some((kind.parse().ok()?, step))
    }
}

/// An operation as it was after a step: all that is told of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OperationState {
    pub(crate) id: Uuid,
    /// Who brought it about: what kind of actor, and its id.
    pub(crate) by: (String, String),
    /// Whether that was its customer.
    #[serde(default)]
    pub(crate) by_customer: bool,
    /// Who asked for it, and by which request, if anybody did.
    pub(crate) asked_by: Option<(String, Uuid)>,
    pub(crate) tenant_id: Uuid,
    pub(crate) family: String,
    pub(crate) environment_name: String,
    pub(crate) environment_type: String,
    /// The version of its application, if known.
    pub(crate) environment_version: Option<String>,
    pub(crate) app_id: Uuid,
    pub(crate) app_name: Option<String>,
    pub(crate) app_publisher: Option<String>,
    pub(crate) country_code: String,
    pub(crate) source_version: Option<String>,
    pub(crate) target_version: Option<String>,
    pub(crate) ignore_window: bool,
    /// Instants as the APIs write them.
    pub(crate) run_after: String,
    pub(crate) started_on: Option<String>,
    pub(crate) completed_on: Option<String>,
    pub(crate) error_message: Option<String>,
    /// Why it failed, as far as it can be told.
    pub(crate) failure_cause: Option<String>,
    pub(crate) allow_preview: bool,
    pub(crate) allow_dependencies: bool,
    pub(crate) allow_dependents: bool,
    pub(crate) delete_data: bool,
    pub(crate) parent_id: Option<Uuid>,
    /// The app that it is installed for, where it is scheduled together with it.
    pub(crate) needed_by: Option<Needing>,
}

/// An app that another is installed for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Needing {
    pub(crate) kind: String,
    pub(crate) app_id: Uuid,
    pub(crate) app_name: Option<String>,
    pub(crate) app_publisher: Option<String>,
    pub(crate) target_version: Option<String>,
}

impl OperationState {
    /// What an event says.
    pub(crate) fn read(event: &Event) -> Result<Self> {
        serde_json::from_str(&event.payload).map_err(Error::fault)
    }

    fn of(
        operation: &Operation,
        environment_version: Option<AppVersion>,
        by: Actor<'_>,
        together: &[&Operation],
    ) -> Self {
        let is_brought_in =
            operation.status == OperationStatus::Scheduled && operation.kind == OperationKind::Install;
        let needing = together
            .iter()
            .filter(|other| is_brought_in && operation.parent_id == Some(other.id));
        let mut needed_by = needing.map(|other| Needing {
            kind: other.kind.to_string(),
            app_id: other.app_id.0,
            app_name: other.app_name.clone(),
            app_publisher: other.app_publisher.clone(),
            target_version: other.target_version.map(|version| version.to_string()),
        });
        let (kind, id) = by.named();
        Self {
            id: operation.id.0,
            by: (kind.to_owned(), id),
            by_customer: matches!(by, Actor::Customer(_)),
            asked_by: by.asked(),
            tenant_id: operation.tenant_id.0,
            family: operation.family.clone(),
            environment_name: operation.environment_name.clone(),
            environment_type: operation.environment_kind.as_str().to_owned(),
            environment_version: environment_version.map(|version| version.to_string()),
            app_id: operation.app_id.0,
            app_name: operation.app_name.clone(),
            app_publisher: operation.app_publisher.clone(),
            country_code: operation.country_code.to_string(),
            source_version: operation.source_version.map(|version| version.to_string()),
            target_version: operation.target_version.map(|version| version.to_string()),
            ignore_window: operation.ignore_window,
            run_after: operation.run_after.to_string(),
            started_on: operation.started_on.map(|on| on.to_string()),
            completed_on: operation.completed_on.map(|on| on.to_string()),
            error_message: operation.error_message.clone(),
            failure_cause: operation.failure_cause.map(|cause| cause.to_string()),
            allow_preview: operation.allow_preview,
            allow_dependencies: operation.allow_dependencies,
            allow_dependents: operation.allow_dependents,
            delete_data: operation.delete_data,
            parent_id: operation.parent_id.map(|parent| parent.0),
            needed_by: needed_by.next(),
        }
    }
}

/// Says of operations, each of which is given as it is from now on, that it has come to be so; first of all to the rollouts that
/// they are parts of.
pub(super) async fn emit<'o>(
    tx: &mut Tx<'_>,
    by: Actor<'_>,
    now: Instant,
    operations: impl IntoIterator<Item = &'o Operation>,
) -> Result<()> {
    let operations: Vec<_> = operations.into_iter().collect();
    rollouts::follow(tx, now, &operations).await?;
    let step = |operation: &Operation| OperationStep::to(operation.status);
    emit_steps(tx, by, now, &operations, step).await
}

/// Says of a hotfix, as it is from now on, that its customer has postponed it.
pub(super) async fn emit_postponed(
    tx: &mut Tx<'_>,
    by: Actor<'_>,
    now: Instant,
    operation: &Operation,
) -> Result<()> {
    emit_steps(tx, by, now, &[operation], |_| OperationStep::Postponed).await
}

async fn emit_steps(
    tx: &mut Tx<'_>,
    by: Actor<'_>,
    now: Instant,
    together: &[&Operation],
    step: impl Fn(&Operation) -> OperationStep,
) -> Result<()> {
    let environments: BTreeSet<_> = together
        .iter()
        .map(|operation| operation.environment_id)
        .collect();
    let versions = environments::application_versions(tx, environments).await?;
    let mut events = Vec::with_capacity(together.len());
    for operation in together {
        let version = versions.get(&operation.environment_id).copied();
        let payload = serde_json::to_string(&OperationState::of(operation, version, by, together));
        events.push(Event {
            id: Uuid::now_v7(),
            kind: step(operation).event(operation.kind),
            app_id: Some(operation.app_id),
            environment_id: Some(operation.environment_id),
            operation_id: Some(operation.id),
            payload: payload.map_err(Error::fault)?,
            recorded_on: now,
        });
    }
    Ok(insert_events(tx, &events).await?)
}

/// What befalls an agent, by which its event is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AgentStep {
    Enrolled,
    Frozen,
    /// Its inventories change more than is written down one by one.
    Unrecorded,
}

impl AgentStep {
    fn kind(self) -> &'static str {
        match self {
            Self::Enrolled => "agent.enrolled",
            Self::Frozen => "agent.frozen",
            Self::Unrecorded => "agent.unrecorded",
        }
    }
}

/// An agent as it was after a step.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AgentState<'a> {
    id: Uuid,
    name: &'a str,
    /// Who brought it about: what kind of actor, and its id.
    by: (&'a str, String),
    frozen_reason: Option<&'a str>,
}

/// Says of an agent, which is given as it is from now on, that it has come to be so.
pub(super) async fn emit_agent(
    tx: &mut Tx<'_>,
    step: AgentStep,
    by: Actor<'_>,
    now: Instant,
    agent: &Agent,
) -> Result<()> {
    let payload = serde_json::to_string(&AgentState {
        id: agent.id,
        name: &agent.name,
        by: by.named(),
        frozen_reason: agent.frozen_reason.as_deref(),
    });
    let event = Event {
        id: Uuid::now_v7(),
        kind: step.kind().to_owned(),
        app_id: None,
        environment_id: None,
        operation_id: None,
        payload: payload.map_err(Error::fault)?,
        recorded_on: now,
    };
    Ok(insert_events(tx, &[event]).await?)
}

/// Says what has befallen something of an app that is neither an operation nor an environment; `facts` are told of it.
pub(super) async fn emit_of_app(
    tx: &mut Tx<'_>,
    kind: &str,
    app: AppId,
    by: Actor<'_>,
    now: Instant,
    mut facts: Map<String, Value>,
) -> Result<()> {
    let (actor, id) = by.named();
    facts.insert("by".to_owned(), vec![actor.to_owned(), id].into());
    let event = Event {
        id: Uuid::now_v7(),
        kind: kind.to_owned(),
        app_id: Some(app),
        environment_id: None,
        operation_id: None,
        payload: Value::Object(facts).to_string(),
        recorded_on: now,
    };
    Ok(insert_events(tx, &[event]).await?)
}

/// A step in the life of a rollout, by which its event is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RolloutStep {
    Created,
    Approved,
    Rejected,
    Paused,
    Resumed,
    Advanced,
    Retried,
    Aborted,
    WaveBegan,
    AwaitsGate,
    AwaitsApproval,
    Completed,
}

impl RolloutStep {
    fn kind(self) -> &'static str {
        match self {
            Self::Created => "rollout.created",
            Self::Approved => "rollout.approved",
            Self::Rejected => "rollout.rejected",
            Self::Paused => "rollout.paused",
            Self::Resumed => "rollout.resumed",
            Self::Advanced => "rollout.advanced",
            Self::Retried => "rollout.retried",
            Self::Aborted => "rollout.aborted",
            Self::WaveBegan => "rollout.waveBegan",
            Self::AwaitsGate => "rollout.awaitsGate",
            Self::AwaitsApproval => "rollout.awaitsApproval",
            Self::Completed => "rollout.completed",
        }
    }
}

/// A rollout as it was after a step.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RolloutState<'a> {
    id: Uuid,
    name: &'a str,
    target_app_version: String,
    state: &'a str,
    reason_code: Option<&'a str>,
    environments: u64,
    /// Who brought it about: what kind of actor, and its id.
    by: (&'a str, String),
}

/// Says of a rollout, which is given as it is from now on, that it has come to be so.
pub(super) async fn emit_rollout(
    tx: &mut Tx<'_>,
    step: RolloutStep,
    by: Actor<'_>,
    now: Instant,
    rollout: &Rollout,
) -> Result<()> {
    let payload = serde_json::to_string(&RolloutState {
        id: rollout.id,
        name: &rollout.name,
        target_app_version: rollout.target_version.to_string(),
        state: rollout.state.as_str(),
        reason_code: rollout.reason.map(|reason| reason.as_str()),
        environments: rollout.environments,
        by: by.named(),
    });
    let event = Event {
        id: Uuid::now_v7(),
        kind: step.kind().to_owned(),
        app_id: Some(rollout.app_id),
        environment_id: None,
        operation_id: None,
        payload: payload.map_err(Error::fault)?,
        recorded_on: now,
    };
    Ok(insert_events(tx, &[event]).await?)
}

/// How the event is called that a customer has set an environment's update window.
pub(crate) const WINDOW_MODIFIED: &str = "environment.windowModified";

/// What befalls an environment by what an agent reports, or its customer chooses, by which its event is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EnvironmentStep {
    /// It, or an app in it, has become another without the service's doing.
    Drift,
    /// Another agent reports it than the one that it belongs to.
    BoundElsewhere,
    /// Its customer has set its update window.
    WindowModified,
}

impl EnvironmentStep {
    fn kind(self) -> &'static str {
        match self {
            Self::Drift => "environment.drift",
            Self::BoundElsewhere => "environment.boundElsewhere",
            Self::WindowModified => WINDOW_MODIFIED,
        }
    }
}

/// What there is to tell of an environment.
pub(super) struct EnvironmentNews<'e> {
    pub(super) step: EnvironmentStep,
    pub(super) environment: &'e Environment,
    /// The app that it is about, if it is about one.
    pub(super) app_id: Option<AppId>,
    /// What else is to be said.
    pub(super) facts: Map<String, Value>,
}

/// What is told of an environment.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EnvironmentState<'e> {
    /// Who brought it about: what kind of actor, and its id.
    by: (&'e str, String),
    environment_aad_tenant_id: String,
    environment_application_family: &'e str,
    environment_name: &'e str,
    environment_type: &'e str,
    country_code: &'e str,
    #[serde(flatten)]
    facts: Map<String, Value>,
}

/// Tells of environments.
pub(super) async fn emit_environments<'e>(
    tx: &mut Tx<'_>,
    by: Actor<'_>,
    now: Instant,
    news: impl IntoIterator<Item = EnvironmentNews<'e>>,
) -> Result<()> {
    let mut events = Vec::new();
    for told in news {
        let environment = told.environment;
        let payload = serde_json::to_string(&EnvironmentState {
            by: by.named(),
            environment_aad_tenant_id: environment.tenant_id.to_string(),
            environment_application_family: &environment.family,
            environment_name: &environment.name,
            environment_type: environment.kind.as_str(),
            country_code: environment.country_code.as_str(),
            facts: told.facts,
        });
        events.push(Event {
            id: Uuid::now_v7(),
            kind: told.step.kind().to_owned(),
            app_id: told.app_id,
            environment_id: Some(environment.id),
            // No step of one, though it may tell of one.
            operation_id: None,
            payload: payload.map_err(Error::fault)?,
            recorded_on: now,
        });
    }
    Ok(insert_events(tx, &events).await?)
}
