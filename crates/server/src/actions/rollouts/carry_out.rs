//! What is to be done with a rollout's members, done in batches: each a transaction of its own, in which the
//! environments come first, then what waits in them, and last the rollout. It is done only while the rollout is as it
//! was when it was decided.

use super::{
    begin::begin,
    brake::held_or_not,
    next::{Rules, create_next},
    state::Loaded,
    step::{DRIVER, Decided},
};
use crate::{
    actions::{
        Service,
        audit::{self, Change},
        events,
        execution::{self, address},
    },
    error::{Error, Result},
};
use domain::{
    environment::EnvironmentKey,
    ids::OperationId,
    instant::Instant,
    operation::OperationStatus,
    rollout::{Action, MemberReason, MemberState},
};
use serde_json::json;
use std::collections::{BTreeSet, HashMap, HashSet};
use store::{
    Tx, driving,
    environments::Environment,
    execution as starting,
    hotfixes::{self, Operation},
    rollouts::{self as rows, Member, MemberOrder},
};
use uuid::Uuid;

/// Members that one transaction does something with.
const BATCH: i64 = 250;
const NOT_BEGUN: &[MemberState] = &[MemberState::Taken, MemberState::Blocked, MemberState::Scheduled];

/// Does all of it, unless somebody decides anew meanwhile.
pub(super) async fn carry_out(service: &Service, decided: &Decided, action: Action) -> Result<()> {
    if let Action::BeginWave { wave, most } = action {
        return begin(service, decided, wave, most).await;
    }
    let mut rules = match action {
        Action::CreateNext { .. } => Some(Rules::read(service, decided.id).await?),
        _ => None,
    };
    let mut left = match action {
        Action::CreateNext { count, .. } => i64::try_from(count).unwrap_or(i64::MAX),
        _ => i64::MAX,
    };
    while left > 0 {
        let input = Batch {
            rollout: decided.id,
            revision: decided.revision,
            action,
            most: BATCH.min(left),
            rules: rules.clone(),
            now: service.clock.now(),
        };
        let written = service
            .db
            .write(input, |tx, input| Box::pin(batch_in(tx, input)))
            .await;
        service.emitted.notify_here();
        let done = written?;
        if done == 0 {
            return Ok(());
        }
        left -= i64::try_from(done).unwrap_or(left);
        if let Some(rules) = &mut rules {
            rules.see(service.clock.now());
        }
    }
    Ok(())
}

/// Some members, and what is to be done with them.
struct Batch {
    rollout: Uuid,
    revision: u64,
    action: Action,
    most: i64,
    rules: Option<Rules>,
    now: Instant,
}

/// Members and where they are, all locked.
pub(super) struct Locked {
    pub(super) loaded: Loaded,
    pub(super) members: Vec<Member>,
    pub(super) environments: HashMap<Uuid, Environment>,
    /// What waits or runs in them.
    pub(super) operations: Vec<Operation>,
    pub(super) now: Instant,
}

impl Locked {
    /// Says anew when work may start there.
    pub(super) async fn reschedule(&self, tx: &mut Tx<'_>) -> Result<()> {
        let environments: Vec<_> = self.environments.values().collect();
        execution::reschedule(tx, &environments, self.now).await
    }
}

/// Does something with the next members; with how many.
async fn batch_in(mut tx: Tx<'_>, input: &Batch) -> Result<usize> {
    let Some(locked) = lock(&mut tx, input).await? else {
        return Ok(0);
    };
    let count = locked.members.len();
    if count == 0 {
        return Ok(0);
    }
    match (input.action, &input.rules) {
        (Action::Hold, _) => hold(&mut tx, locked, true).await?,
        (Action::Release, _) => hold(&mut tx, locked, false).await?,
        (Action::Withdraw, _) => call_off(&mut tx, locked, MemberState::Taken, None).await?,
        (Action::Cancel, _) => {
            call_off(
                &mut tx,
                locked,
                MemberState::Canceled,
                Some(MemberReason::RolloutAborted),
            )
            .await?;
        }
        (Action::Expire { .. }, _) => {
            call_off(
                &mut tx,
                locked,
                MemberState::Expired,
                Some(MemberReason::DeadlinePassed),
            )
            .await?;
        }
        (Action::CreateNext { .. }, Some(rules)) => create_next(&mut tx, locked, rules).await?,
        (action, _) => {
            return Err(Error::fault(format!(
                "{action:?} is nothing that is done in batches"
            )));
        }
    }
    Ok(count)
}

async fn lock(tx: &mut Tx<'_>, input: &Batch) -> Result<Option<Locked>> {
    let found = members(tx, input).await?;
    let places: BTreeSet<Uuid> = found.iter().map(|member| member.environment_id).collect();
    let environments = starting::lock_environments(tx, places.iter().copied()).await?;
    let operations = starting::lock_occupying(tx, places).await?;
    let loaded = Loaded::lock(tx, input.rollout).await?;
    let Some(loaded) = loaded.filter(|loaded| loaded.row.revision == input.revision) else {
        return Ok(None);
    };
    // They may have moved on while it was waited for their environments.
    let keys: Vec<EnvironmentKey> = found.iter().map(Member::key).collect();
    let states: HashMap<_, _> = found
        .iter()
        .map(|member| (member.key(), (member.state, member.is_held)))
        .collect();
    let again = rows::members_by_key(tx, input.rollout, &keys).await?;
    let members = again
        .into_iter()
        .filter(|member| states.get(&member.key()) == Some(&(member.state, member.is_held)));
    Ok(Some(Locked {
        loaded,
        members: members.collect(),
        environments: environments
            .into_iter()
            .map(|environment| (environment.id, environment))
            .collect(),
        operations,
        now: input.now,
    }))
}

/// The members that are next, as they are before they are locked.
async fn members(tx: &mut Tx<'_>, input: &Batch) -> Result<Vec<Member>> {
    let (id, most) = (input.rollout, input.most);
    let number = |wave: usize| u64::try_from(wave).ok();
    Ok(match input.action {
        Action::Hold => driving::scheduled_members(tx, id, false, most).await?,
        Action::Release => driving::scheduled_members(tx, id, true, most).await?,
        Action::Withdraw => driving::members_in(tx, id, &[MemberState::Scheduled], None, most).await?,
        Action::Cancel => driving::members_in(tx, id, NOT_BEGUN, None, most).await?,
        Action::Expire { wave } => driving::members_in(tx, id, NOT_BEGUN, number(wave), most).await?,
        Action::CreateNext { wave, .. } => {
            let order = input
                .rules
                .as_ref()
                .map_or(MemberOrder::Name, |rules| rules.order(wave));
            rows::next_members(tx, id, (number(wave), MemberState::Taken), order, most).await?
        }
        Action::BeginWave { .. } | Action::IncludeLater | Action::IncludeInWave { .. } => Vec::new(),
    })
}

async fn hold(tx: &mut Tx<'_>, mut locked: Locked, are_held: bool) -> Result<()> {
    let members = std::mem::take(&mut locked.members).into_iter();
    let moved: Vec<_> = members
        .map(|member| held_or_not(member, are_held, locked.now))
        .collect();
    rows::move_members(tx, &moved).await?;
    locked.reschedule(tx).await
}

/// Cancels what was scheduled for members, which come into another state.
async fn call_off(
    tx: &mut Tx<'_>,
    mut locked: Locked,
    state: MemberState,
    reason: Option<MemberReason>,
) -> Result<()> {
    let now = locked.now;
    let members = std::mem::take(&mut locked.members);
    let of_members: HashSet<OperationId> = members.iter().filter_map(|member| member.operation_id).collect();
    let moved: Vec<_> = members
        .into_iter()
        .map(|member| {
            member.moved(|member| Member {
                state,
                is_held: false,
                reason: reason.map(|reason| reason.as_str().to_owned()),
                reason_text: None,
                reason_key: None,
                changed_on: now,
                ..member
            })
        })
        .collect();
    rows::move_members(tx, &moved).await?;
    let waiting = std::mem::take(&mut locked.operations).into_iter();
    let canceled: Vec<_> = waiting
        .filter(|operation| {
            operation.status == OperationStatus::Scheduled && of_members.contains(&operation.id)
        })
        .map(|operation| Operation {
            status: OperationStatus::Canceled,
            ended_on: Some(now),
            ..operation
        })
        .collect();
    hotfixes::cancel_operations(tx, &canceled).await?;
    let changes = canceled.iter().map(|operation| Change {
        action: "environmentHotfixes/cancel",
        target: address(operation),
        before: Some(json!({ "status": "Scheduled" })),
        after: Some(json!({ "status": "Canceled", "rolloutId": operation.rollout_id })),
    });
    audit::record_all(tx, DRIVER, now, changes).await?;
    events::emit(tx, DRIVER, now, &canceled).await?;
    locked.reschedule(tx).await
}
