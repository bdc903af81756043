//! What people ask of a rollout. Each may be asked again without harm, and none is remembered that was refused.

use super::{
    approval::{Approval, Approver},
    definition::{Definition, LONGEST_TEXT},
    engine::{hindrance, show},
    facts::Facts,
    progress::{Reason, Rollout, State, WaveState},
};
use crate::{
    instant::Instant,
    problem::{Code, RuleError},
    text::check_text,
};

/// What became of a rollout by a verb.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The rollout now.
    pub rollout: Rollout,
    /// Whether it differs from what it was; where it does not, there is nothing to keep and nothing to tell.
    pub is_changed: bool,
}

/// Somebody else lets it begin.
///
/// # Errors
/// `Forbidden` for who may not; `RolloutNotInState` once it is over.
pub fn approve(rollout: &Rollout, approver: &Approver, now: Instant) -> Result<Change, RuleError> {
    match rollout.state {
        State::AwaitingApproval => approver.check(now)?,
        State::Active | State::Paused => return Ok(unchanged(rollout)),
        State::Completed | State::Aborted => return Err(not_in_state(rollout, "approved")),
    }
    let mut next = at(rollout, now);
    next.state = State::Active;
    next.reason = None;
    next.approval = Approval::Given;
    Ok(next.since(rollout))
}

/// Somebody else refuses it.
///
/// # Errors
/// `Forbidden` for who may not; `RolloutNotInState` unless it waits for its approval, or was rejected before.
pub fn reject(rollout: &Rollout, approver: &Approver, now: Instant) -> Result<Change, RuleError> {
    match (rollout.state, rollout.reason) {
        (State::AwaitingApproval, _) => approver.check_other()?,
        (State::Aborted, Some(Reason::Rejected)) => return Ok(unchanged(rollout)),
        _ => return Err(not_in_state(rollout, "rejected")),
    }
    let mut next = at(rollout, now);
    next.abort(Reason::Rejected);
    Ok(next.since(rollout))
}

/// Nothing of it begins any more and nothing starts, until it is resumed. What is Scheduled is withdrawn if that is
/// asked for, also of one that is Paused.
///
/// # Errors
/// `RolloutNotInState` unless it is Active or Paused.
pub fn pause(rollout: &Rollout, withdraw: bool, now: Instant) -> Result<Change, RuleError> {
    let mut next = at(rollout, now);
    match rollout.state {
        State::Active => next.pause(Reason::Requested),
        State::Paused => {}
        _ => return Err(not_in_state(rollout, "paused")),
    }
    next.withdraws |= withdraw;
    Ok(next.since(rollout))
}

/// It goes on, and what failed until now does not stop it again. A wave that can go on only because somebody says so
/// goes on with a reason.
///
/// # Errors
/// `RolloutNotInState` unless it is Active or Paused, and while the target is offered nowhere; `ReasonRequired`.
pub fn resume(
    definition: &Definition,
    rollout: &Rollout,
    facts: &Facts,
    reason: Option<&str>,
    now: Instant,
) -> Result<Change, RuleError> {
    match rollout.state {
        State::Paused => {}
        State::Active => return Ok(unchanged(rollout)),
        _ => return Err(not_in_state(rollout, "resumed")),
    }
    if facts.is_target_withdrawn() {
        let message = "The target is Available in no country that is still to be done. Make it Available again, or abort.";
        return Err(RuleError::new(Code::RolloutNotInState, message)
            .with("state", rollout.state.as_str())
            .because("TargetWithdrawn", message));
    }
    let reason = reason.filter(|reason| !reason.trim().is_empty());
    if let Some(reason) = reason {
        check_text("reason", reason, LONGEST_TEXT)?;
    }
    let mut next = at(rollout, now);
    let now = next.engine_time;
    let paused_since = next.paused_since.unwrap_or(now);
    for (number, wave) in next.waves.iter_mut().enumerate() {
        let (Some(rules), Some(found)) = (definition.waves.get(number), facts.waves.get(number)) else {
            continue;
        };
        wave.deadline_from = wave
            .deadline_from
            .map(|from| from + now.since(paused_since.max(from)));
        if !found.is_taken {
            continue;
        }
        if let Some(hindrance) = hindrance(rules, wave, facts, found) {
            if reason.is_none() {
                let name = &rules.name;
                let message =
                    format!("The wave '{name}' can go on only with a reason: it is stopped by {hindrance}.");
                return Err(RuleError::broken("ReasonRequired", message).about("reason"));
            }
            wave.passed_at = Some(now);
            wave.proceeds_since = Some(now);
        }
        wave.stopped_by = None;
        wave.acknowledged = found.counts.failed();
    }
    next.state = State::Active;
    next.reason = None;
    next.withdraws = false;
    next.paused_since = None;
    show(definition, &mut next, facts);
    Ok(next.since(rollout))
}

/// Somebody opens the way from a wave to the next.
///
/// # Errors
/// `ResourceDoesNotExist` for a wave that there is not; `RolloutNotInState` unless the wave waits for that or is past
/// it.
pub fn advance(rollout: &Rollout, wave: usize, now: Instant) -> Result<Change, RuleError> {
    let mut next = at(rollout, now);
    let is_open = matches!(rollout.state, State::Active | State::Paused);
    let Some(progress) = next.waves.get_mut(wave) else {
        return Err(RuleError::missing(
            "wave",
            format!("The rollout has no wave {wave}: they count from 0."),
        ));
    };
    let is_past = progress.state == WaveState::Done || progress.gate_opened;
    if is_past && (is_open || rollout.state == State::Completed) {
        return Ok(unchanged(rollout));
    }
    if !is_open || progress.state != WaveState::AwaitingGate {
        let message = format!(
            "The rollout is {}, and its wave {wave} is {}. Only one that is AwaitingGate can be advanced.",
            rollout.state, progress.state
        );
        return Err(RuleError::new(Code::RolloutNotInState, message)
            .about("wave")
            .with("state", rollout.state.as_str()));
    }
    progress.gate_opened = true;
    progress.state = WaveState::Done;
    Ok(next.since(rollout))
}

/// Members are tried again. The caller has made those Taken again already, within the same transaction, and read
/// `facts` after that; `waves` are those that they are in.
///
/// # Errors
/// `RolloutNotInState` unless it is Active, Paused or Completed.
pub fn retry(rollout: &Rollout, facts: &Facts, waves: &[usize], now: Instant) -> Result<Change, RuleError> {
    if !matches!(rollout.state, State::Active | State::Paused | State::Completed) {
        return Err(not_in_state(rollout, "retried"));
    }
    if waves.is_empty() {
        return Ok(unchanged(rollout));
    }
    let mut next = at(rollout, now);
    if next.state == State::Completed {
        next.state = State::Active;
        next.outcome = None;
    }
    let begun = next.waves.iter().filter(|wave| wave.begun_at.is_some()).count();
    let now = next.engine_time;
    for (number, wave) in next.waves.iter_mut().enumerate() {
        if !waves.contains(&number) {
            continue;
        }
        let failed = facts.waves.get(number).map_or(0, |found| found.counts.failed());
        wave.acknowledged = wave.acknowledged.min(failed);
        wave.deadline_from = wave.deadline_from.map(|_| now);
        wave.proceeds_since = None;
        wave.passed_at = None;
        wave.gate_opened &= number + 1 < begun;
        if wave.stopped_by != Some(Reason::StopRule) {
            wave.stopped_by = None;
            wave.state = WaveState::Active;
        }
    }
    // Who decides on what was read before the members were Taken again keeps nothing of it.
    next.revision = rollout.revision + 1;
    Ok(Change {
        rollout: next,
        is_changed: true,
    })
}

/// It is given up: what is Scheduled is canceled, what runs ends by itself.
///
/// # Errors
/// `RolloutNotInState` once it is Completed.
pub fn abort(rollout: &Rollout, now: Instant) -> Result<Change, RuleError> {
    match rollout.state {
        State::AwaitingApproval | State::Active | State::Paused => {}
        State::Aborted => return Ok(unchanged(rollout)),
        State::Completed => return Err(not_in_state(rollout, "aborted")),
    }
    let mut next = at(rollout, now);
    next.abort(Reason::Requested);
    Ok(next.since(rollout))
}

fn at(rollout: &Rollout, now: Instant) -> Rollout {
    Rollout {
        engine_time: rollout.engine_time.max(now),
        ..rollout.clone()
    }
}

fn unchanged(rollout: &Rollout) -> Change {
    Change {
        rollout: rollout.clone(),
        is_changed: false,
    }
}

fn not_in_state(rollout: &Rollout, done: &str) -> RuleError {
    let state = rollout.state;
    let message = format!("The rollout is {state} and cannot be {done}.");
    RuleError::new(Code::RolloutNotInState, message).with("state", state.as_str())
}
