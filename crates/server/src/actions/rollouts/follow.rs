//! Has members follow their hotfixes: in the transaction that changes the hotfix, whoever changes it.
//!
//! Where a hotfix ended, it is asked at once whether that stops its rollout, so that nothing of it starts between the report
//! and the next look at the rollout.

use super::{
    state::Loaded,
    step::{keep, look_by},
};
use crate::error::Result;
use domain::{
    instant::Instant,
    operation::OperationStatus,
    rollout::{self, MemberState, State},
};
use std::collections::{BTreeSet, HashMap};
use store::{
    Tx,
    hotfixes::Operation,
    rollouts::{self as rows, Member, Moved},
};
use uuid::Uuid;

/// Moves the members that these hotfixes, as they are from now on, were made for.
pub(crate) async fn follow(tx: &mut Tx<'_>, now: Instant, operations: &[&Operation]) -> Result<()> {
    let theirs = operations
        .iter()
        .filter(|operation| operation.rollout_id.is_some() && operation.status != OperationStatus::Scheduled);
    let theirs: HashMap<_, _> = theirs.map(|operation| (operation.id, *operation)).collect();
    if theirs.is_empty() {
        return Ok(());
    }
    let rollouts: BTreeSet<Uuid> = theirs
        .values()
        .filter_map(|operation| operation.rollout_id)
        .collect();
    rows::lock_rollouts(tx, rollouts).await?;
    let members = rows::members_of_operations(tx, theirs.keys().copied()).await?;
    let moved = members.into_iter().filter_map(|member| {
        let operation = theirs.get(&member.operation_id?)?;
        follows(member, operation, now)
    });
    let moved: Vec<_> = moved.collect();
    rows::move_members(tx, &moved).await?;
    let ended = moved.iter().filter(|one| !one.member.state.is_open());
    let ended: BTreeSet<Uuid> = ended.map(|one| one.member.rollout_id).collect();
    look_by(tx, ended.clone(), now).await?;
    // Also what succeeds can bring a share to count, or end a wave.
    for rollout in ended {
        stop_if_too_much_failed(tx, rollout, now).await?;
    }
    Ok(())
}

fn follows(member: Member, operation: &Operation, now: Instant) -> Option<Moved> {
    let reason = operation.reason.as_deref();
    let state = MemberState::of_hotfix(
        operation.status,
        reason.and_then(|reason| reason.parse().ok()),
        reason.and_then(|reason| reason.parse().ok()),
    );
    // What was called off for its rollout's sake is where that put it.
    let has_hotfix = matches!(member.state, MemberState::Scheduled | MemberState::Running);
    if !has_hotfix || member.state == state {
        return None;
    }
    let cause = operation.failure_cause.map(|cause| cause.to_string());
    let text = operation.error_message.clone();
    Some(member.moved(|member| {
        Member {
            state,
            is_held: false,
            reason: cause.or_else(|| operation.reason.clone()),
            reason_key: text
                .as_deref()
                .filter(|_| state.is_failed())
                .map(|text| said_in_short(text, operation)),
            reason_text: text,
            changed_on: now,
            ..member
        }
    }))
}

/// What a failure says, but for what differs from one environment to the next: names, numbers and identities.
fn said_in_short(text: &str, operation: &Operation) -> String {
    const LONGEST: usize = 200;
    let text = text.replace(&operation.environment_name, "*");
    let words =
        text.split_whitespace()
            .map(|word| match word.chars().any(|letter| letter.is_ascii_digit()) {
                true => "#",
                false => word,
            });
    let words = words.collect::<Vec<_>>().join(" ");
    words.chars().take(LONGEST).collect()
}

async fn stop_if_too_much_failed(tx: &mut Tx<'_>, id: Uuid, now: Instant) -> Result<()> {
    let Some(mut loaded) = Loaded::lock(tx, id).await? else {
        return Ok(());
    };
    if loaded.row.state != State::Active {
        return Ok(());
    }
    let facts = loaded.facts(tx, now).await?;
    // Where the clock is wrong nothing is decided; the brake is on then.
    let Ok(step) = rollout::step(&loaded.definition, &loaded.rollout, &facts, now) else {
        return Ok(());
    };
    if matches!(step.rollout.state, State::Paused | State::Aborted) {
        keep(tx, &mut loaded, &step, now).await?;
    }
    Ok(())
}
