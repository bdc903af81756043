//! Where a rollout is: all that its driver keeps of it beside its members.

use super::{
    approval::Approval,
    definition::{Definition, Limits},
    verbs::Change,
};
use crate::{instant::Instant, vocabulary::vocabulary};

vocabulary! {
    /// Where a rollout is.
    State {
        /// Somebody else has to approve it first.
        AwaitingApproval,
        /// Its waves go on.
        Active,
        /// Nothing of it begins, and nothing of it starts.
        Paused,
        /// Every wave is done and no member is open.
        Completed,
        /// It was given up.
        Aborted,
    }
}

vocabulary! {
    /// Where a wave is.
    WaveState {
        /// It has not begun.
        Waiting,
        /// It has begun, and what has to come about in it has not.
        Active,
        /// That has come about, and it is waited for late failures.
        Soaking,
        /// That is over, and somebody has to open the way to the next wave.
        AwaitingGate,
        /// The next wave may begin.
        Done,
        /// Something in it stopped the rollout, and nobody has let it go on.
        Stopped,
    }
}

vocabulary! {
    /// Why a rollout is Paused or Aborted, or waits for its approval again.
    Reason {
        /// Somebody asked for it.
        Requested,
        /// Too much failed in a wave.
        StopRule,
        /// What has to succeed in a wave cannot any more.
        ProceedUnreachable,
        /// A wave ended in which nothing was tried.
        NothingTried,
        /// A wave began that found no member, though there are some that no wave has.
        EmptyWave,
        /// The target is offered nowhere that is still to be done.
        TargetWithdrawn,
        /// Who approved it could not any more when its first wave was to begin.
        ApproverGone,
        /// Who was asked to approve it refused.
        Rejected,
    }
}

vocabulary! {
    /// What a completed rollout came to.
    Outcome {
        /// Some members have the target, and none failed.
        Succeeded,
        /// At least one member failed.
        WithFailures,
        /// No member was tried.
        NothingDone,
    }
}

/// Where a rollout is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rollout {
    /// Where it is.
    pub state: State,
    /// Why, where that needs one.
    pub reason: Option<Reason>,
    /// What it came to, once it is Completed.
    pub outcome: Option<Outcome>,
    /// Whether it needs an approval, and has it.
    pub approval: Approval,
    /// Whether what is Scheduled is withdrawn while it is Paused, and not only held.
    pub withdraws: bool,
    /// Since when it is Paused.
    pub paused_since: Option<Instant>,
    /// Its waves, as the definition has them.
    pub waves: Vec<WaveProgress>,
    /// The latest time that a step or a verb saw. It never goes back.
    pub engine_time: Instant,
    /// Rises with every change but that of `engine_time`. Whoever keeps a change found this number to be what it was
    /// read with, or keeps nothing.
    pub revision: u64,
}

/// Where a wave is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaveProgress {
    /// Where it is.
    pub state: WaveState,
    /// When it began.
    pub begun_at: Option<Instant>,
    /// From when its deadline counts: since it began or was last tried again, moved on by what it was Paused.
    pub deadline_from: Option<Instant>,
    /// Since when what has to come about in it has.
    pub proceeds_since: Option<Instant>,
    /// Whether somebody opened the way to the next wave.
    pub gate_opened: bool,
    /// Since when what has to come about in it counts as if it had, because somebody said so with a reason.
    pub passed_at: Option<Instant>,
    /// What stopped it.
    pub stopped_by: Option<Reason>,
    /// How many of its failures somebody has seen and gone on.
    pub acknowledged: u64,
}

impl WaveProgress {
    const WAITING: Self = Self {
        state: WaveState::Waiting,
        begun_at: None,
        deadline_from: None,
        proceeds_since: None,
        gate_opened: false,
        passed_at: None,
        stopped_by: None,
        acknowledged: 0,
    };
}

impl Rollout {
    /// A new rollout.
    #[must_use]
    pub fn new(definition: &Definition, needs_approval: bool, now: Instant) -> Self {
        let (state, approval) = match needs_approval {
            true => (State::AwaitingApproval, Approval::Needed),
            false => (State::Active, Approval::NotNeeded),
        };
        Self {
            state,
            reason: None,
            outcome: None,
            approval,
            withdraws: false,
            paused_since: None,
            waves: vec![WaveProgress::WAITING; definition.waves.len()],
            engine_time: now,
            revision: 0,
        }
    }

    /// Whether nothing of it may start: its brake. Whoever starts a hotfix asks this of the rollout's row in the same
    /// transaction.
    #[must_use]
    pub fn is_braked(&self) -> bool {
        self.state != State::Active && self.state != State::Completed
    }

    /// Whether nothing follows any more but late results.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Completed | State::Aborted)
    }

    /// The limits that bind all of it: those of the wave that began last.
    #[must_use]
    pub fn limits(&self, definition: &Definition) -> Limits {
        let begun = self.waves.iter().filter(|wave| wave.begun_at.is_some()).count();
        let last = begun.checked_sub(1).and_then(|last| definition.waves.get(last));
        last.map(|wave| wave.limits).unwrap_or_default()
    }

    pub(super) fn pause(&mut self, reason: Reason) {
        self.state = State::Paused;
        self.reason = Some(reason);
        self.paused_since = Some(self.engine_time);
    }

    pub(super) fn abort(&mut self, reason: Reason) {
        self.state = State::Aborted;
        self.reason = Some(reason);
        self.paused_since = None;
        for wave in &mut self.waves {
            if wave.state != WaveState::Waiting && wave.state != WaveState::Done {
                wave.state = WaveState::Stopped;
            }
        }
    }

    /// This, if it differs from what it was, under the next revision.
    pub(super) fn since(mut self, before: &Self) -> Change {
        self.revision = before.revision;
        let is_changed = Self {
            engine_time: before.engine_time,
            ..self.clone()
        } != *before;
        if is_changed {
            self.revision += 1;
        }
        Change {
            rollout: self,
            is_changed,
        }
    }
}
