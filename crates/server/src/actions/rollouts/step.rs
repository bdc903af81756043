//! Looking at a rollout, deciding what follows, and having it carried out.
//!
//! One transaction reads, asks `domain::rollout` and keeps where the rollout is; then each thing that is to be done
//! with its members is done in batches of one transaction each. Whoever finds the rollout changed since does nothing:
//! somebody else has decided anew. A server that dies in between leaves a rollout that is to be looked at now, and the
//! next look goes on.

use super::{address, carry_out::carry_out, state::Loaded};
use crate::{
    actions::{
        Service,
        audit::{self, Actor, Change},
        events::{RolloutStep, emit_rollout},
    },
    error::Result,
};
use domain::{
    chain::Chain,
    instant::Instant,
    rollout::{self, Action, Happening, MemberState, State, Step},
};
use serde_json::json;
use std::{collections::BTreeSet, time::Duration};
use store::{
    Tx, driving,
    rollouts::{self as rows, Member},
};
use uuid::Uuid;

/// The driver, as the record of changes calls it.
pub(super) const DRIVER: Actor<'static> = Actor::Service("rollouts");

/// Rollouts that are looked at before the next are asked for.
const MOST: i64 = 100;
/// Looks at one rollout before it is another's turn.
const ROUNDS: usize = 50;
/// How often a rollout that goes on is looked at whatever happens: that a target was withdrawn, and that what was in a
/// member's way is gone, nobody says.
const LOOKED_AT_EACH: Duration = Duration::from_secs(60);
/// Members that are looked at at once because something was in their way.
const UNBLOCKED: i64 = 500;

/// Looks at the rollouts whose time has come; how many there were. One that is damaged keeps nobody from the others.
pub(crate) async fn step_due(service: &Service) -> Result<usize> {
    let now = service.clock_check.compare(service).await?;
    if !service.clock_check.is_right() {
        return Ok(0);
    }
    let due = rows::rollouts_to_step(&service.db, now, MOST).await?;
    let mut failed = None;
    for rollout in &due {
        if let Err(error) = drive(service, *rollout).await {
            tracing::error!(%rollout, error = %Chain(&error), "a rollout cannot be looked at");
            failed.get_or_insert(error);
        }
    }
    match failed {
        Some(error) => Err(error),
        None => Ok(due.len()),
    }
}

/// When a rollout is next to be looked at.
pub(crate) async fn next_step(service: &Service) -> Result<Option<Instant>> {
    Ok(rows::next_step(&service.db).await?)
}

/// What was decided, about a rollout as it was then.
pub(super) struct Decided {
    pub(super) id: Uuid,
    pub(super) revision: u64,
    pub(super) actions: Vec<Action>,
}

async fn drive(service: &Service, id: Uuid) -> Result<()> {
    for _ in 0..ROUNDS {
        let input = (id, service.clock.now());
        let decided = service
            .db
            .write(input, |tx, input| Box::pin(decide_in(tx, *input)))
            .await;
        service.emitted.notify_here();
        let Some(decided) = decided?.filter(|decided| !decided.actions.is_empty()) else {
            return Ok(());
        };
        for action in &decided.actions {
            carry_out(service, &decided, *action).await?;
        }
        service.wakeup.notify();
    }
    Ok(())
}

async fn decide_in(mut tx: Tx<'_>, (id, now): (Uuid, Instant)) -> Result<Option<Decided>> {
    let Some(mut loaded) = Loaded::lock(&mut tx, id).await? else {
        return Ok(None);
    };
    unblock(&mut tx, &loaded, now).await?;
    let facts = loaded.facts(&mut tx, now).await?;
    let step = match rollout::step(&loaded.definition, &loaded.rollout, &facts, now) {
        Ok(step) => step,
        Err(behind) => {
            tracing::error!(rollout = %id, error = %behind, "nothing is decided about a rollout until the clock is right");
            look_at(&mut tx, &mut loaded, Some(now + LOOKED_AT_EACH)).await?;
            return Ok(None);
        }
    };
    keep(&mut tx, &mut loaded, &step, now).await?;
    Ok(Some(Decided {
        id,
        revision: loaded.row.revision,
        actions: step.actions,
    }))
}

/// Makes members Taken again with nothing in their way any more.
async fn unblock(tx: &mut Tx<'_>, loaded: &Loaded, now: Instant) -> Result<()> {
    if loaded.row.state != State::Active {
        return Ok(());
    }
    let (id, app) = (loaded.row.id, loaded.row.app_id);
    let unblocked = driving::unblocked_members(tx, id, app, UNBLOCKED).await?;
    let moved = unblocked.into_iter().map(|member| {
        member.moved(|member| Member {
            state: MemberState::Taken,
            changed_on: now,
            ..member
        })
    });
    Ok(rows::move_members(tx, &moved.collect::<Vec<_>>()).await?)
}

/// Keeps what a step decided about a rollout, whose row is locked, and says when it is to be looked at next.
pub(super) async fn keep(tx: &mut Tx<'_>, loaded: &mut Loaded, step: &Step, now: Instant) -> Result<()> {
    let (before, revision) = (loaded.row.state, loaded.row.revision);
    let is_over = matches!(
        step.rollout.state,
        State::Completed | State::Aborted | State::AwaitingApproval
    );
    loaded.row.step_on = match step.actions.is_empty() {
        false => Some(now),
        true if is_over => None,
        true => Some(
            step.wake_at
                .map_or(now + LOOKED_AT_EACH, |at| at.min(now + LOOKED_AT_EACH)),
        ),
    };
    if step.rollout.revision == revision {
        let next = loaded.row.step_on;
        return look_at(tx, loaded, next).await;
    }
    let reason_text = step.happened.iter().find_map(|happening| said(loaded, happening));
    loaded.row.reason_text = reason_text
        .or(loaded.row.reason_text.take())
        .filter(|_| step.rollout.reason.is_some());
    loaded.keep(tx, step.rollout.clone(), now).await?;
    for happening in &step.happened {
        let Some(told) = rollout_step(happening, loaded.row.state) else {
            continue;
        };
        emit_rollout(tx, told, DRIVER, now, &loaded.row).await?;
    }
    let change = Change {
        action: "rollouts/step",
        target: address(loaded.row.app_id, loaded.row.id),
        before: Some(json!({ "state": before.as_str(), "revision": revision })),
        after: Some(json!({
            "state": loaded.row.state.as_str(),
            "revision": loaded.row.revision,
            "reasonCode": loaded.row.reason.map(|reason| reason.as_str()),
            "reason": loaded.row.reason_text,
            "waves": loaded.waves.iter().map(|wave| wave.state.as_str()).collect::<Vec<_>>(),
        })),
    };
    match step.happened.is_empty() {
        true => Ok(()),
        false => audit::record(tx, DRIVER, now, change).await,
    }
}

/// The event of what came about, where it is one.
fn rollout_step(happening: &Happening, state: State) -> Option<RolloutStep> {
    match happening {
        Happening::WaveBegan(_) => Some(RolloutStep::WaveBegan),
        Happening::WaveAwaitsGate(_) => Some(RolloutStep::AwaitsGate),
        Happening::WaveDone(_) => None,
        Happening::Stopped { .. } if state == State::Aborted => Some(RolloutStep::Aborted),
        Happening::Stopped { .. } => Some(RolloutStep::Paused),
        Happening::ApproverGone => Some(RolloutStep::AwaitsApproval),
        Happening::Completed(_) => Some(RolloutStep::Completed),
    }
}

/// Why a rollout was stopped, in a sentence.
fn said(loaded: &Loaded, happening: &Happening) -> Option<String> {
    let Happening::Stopped { reason, waves } = happening else {
        return None;
    };
    let named = waves.iter().filter_map(|wave| loaded.waves.get(*wave));
    let named: Vec<_> = named.map(|wave| format!("'{}'", wave.name)).collect();
    let waves = named.join(", ");
    Some(match reason {
        rollout::Reason::StopRule => format!("Too much failed in {waves}."),
        rollout::Reason::ProceedUnreachable => {
            format!("What has to succeed in {waves} cannot any more.")
        }
        rollout::Reason::NothingTried => format!("Nothing was tried in {waves}."),
        rollout::Reason::EmptyWave => format!("{waves} found no environment, though some are left."),
        rollout::Reason::TargetWithdrawn => {
            "The target is Available in no country that is still to be done.".to_owned()
        }
        rollout::Reason::Requested | rollout::Reason::ApproverGone | rollout::Reason::Rejected => {
            return None;
        }
    })
}

async fn look_at(tx: &mut Tx<'_>, loaded: &mut Loaded, next: Option<Instant>) -> Result<()> {
    loaded.row.step_on = next;
    Ok(rows::update_rollout(tx, &loaded.row, &[]).await?)
}

/// Has somebody look at rollouts by then.
pub(super) async fn look_by(tx: &mut Tx<'_>, rollouts: BTreeSet<Uuid>, at: Instant) -> Result<()> {
    Ok(rows::step_by(tx, rollouts, at).await?)
}
