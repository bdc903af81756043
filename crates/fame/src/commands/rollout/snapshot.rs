//! Where a rollout stands, as it is written down: the engine knows no JSON.

use super::record::word;
use domain::{
    instant::Instant,
    rollout::{Approval, Outcome, Reason, Rollout, State, WaveProgress, WaveState},
};
use serde::{Deserialize, Serialize};

/// All that the engine keeps of a rollout.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Snapshot {
    #[serde(with = "word")]
    state: State,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<Word<Reason>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    outcome: Option<Word<Outcome>>,
    #[serde(with = "word")]
    approval: Approval,
    withdraws: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    paused_since: Option<Word<Instant>>,
    waves: Vec<Wave>,
    #[serde(with = "word")]
    engine_time: Instant,
    revision: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Wave {
    #[serde(with = "word")]
    state: WaveState,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    begun_at: Option<Word<Instant>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    deadline_from: Option<Word<Instant>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    proceeds_since: Option<Word<Instant>>,
    gate_opened: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    passed_at: Option<Word<Instant>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stopped_by: Option<Word<Reason>>,
    acknowledged: u64,
}

/// What is written as a text, where it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(
    transparent,
    bound = "T: std::fmt::Display + std::str::FromStr<Err: std::fmt::Display>"
)]
struct Word<T>(#[serde(with = "word")] T);

impl Snapshot {
    /// Of a rollout.
    pub(super) fn of(rollout: &Rollout) -> Self {
        Self {
            state: rollout.state,
            reason: rollout.reason.map(Word),
            outcome: rollout.outcome.map(Word),
            approval: rollout.approval,
            withdraws: rollout.withdraws,
            paused_since: rollout.paused_since.map(Word),
            waves: rollout.waves.iter().map(Wave::of).collect(),
            engine_time: rollout.engine_time,
            revision: rollout.revision,
        }
    }

    /// The rollout.
    pub(super) fn rollout(&self) -> Rollout {
        Rollout {
            state: self.state,
            reason: self.reason.map(|word| word.0),
            outcome: self.outcome.map(|word| word.0),
            approval: self.approval,
            withdraws: self.withdraws,
            paused_since: self.paused_since.map(|word| word.0),
            waves: self.waves.iter().map(Wave::progress).collect(),
            engine_time: self.engine_time,
            revision: self.revision,
        }
    }
}

impl Wave {
    fn of(progress: &WaveProgress) -> Self {
        Self {
            state: progress.state,
            begun_at: progress.begun_at.map(Word),
            deadline_from: progress.deadline_from.map(Word),
            proceeds_since: progress.proceeds_since.map(Word),
            gate_opened: progress.gate_opened,
            passed_at: progress.passed_at.map(Word),
            stopped_by: progress.stopped_by.map(Word),
            acknowledged: progress.acknowledged,
        }
    }

    fn progress(&self) -> WaveProgress {
        WaveProgress {
            state: self.state,
            begun_at: self.begun_at.map(|word| word.0),
            deadline_from: self.deadline_from.map(|word| word.0),
            proceeds_since: self.proceeds_since.map(|word| word.0),
            gate_opened: self.gate_opened,
            passed_at: self.passed_at.map(|word| word.0),
            stopped_by: self.stopped_by.map(|word| word.0),
            acknowledged: self.acknowledged,
        }
    }
}
