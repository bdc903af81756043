//! The members of a rollout, what becomes of each, and what counts as what.

use crate::{
    hotfix,
    operation::{FailReason, OperationStatus, SkipReason},
    vocabulary::vocabulary,
};
use std::ops::{Index, IndexMut};

vocabulary! {
    /// Where a member is: an environment of the selection. It is in exactly one of these.
    MemberState {
        /// No wave has taken it yet.
        Untaken,
        /// It is in a wave and has no hotfix yet.
        Taken,
        /// It is in a wave, and something else has to end there before it can have a hotfix.
        Blocked,
        /// Its hotfix waits for its time.
        Scheduled,
        /// Its hotfix is carried out.
        Running,
        /// It was brought to the target.
        Updated,
        /// It has the target or something newer, without the rollout's doing.
        AlreadyThere,
        /// Its hotfix failed.
        Failed,
        /// How its hotfix ended, nobody knows.
        Unknown,
        /// Its hotfix no longer made sense when its time had come.
        Skipped,
        /// The rules refuse it a hotfix.
        Refused,
        /// Its hotfix was called off.
        Canceled,
        /// It had not begun when its wave's deadline passed.
        Expired,
        /// It was no longer of the selection when its wave began.
        Left,
    }
}

impl MemberState {
    /// Whether something is still to come of it: it is in a wave and has not ended.
    #[must_use]
    pub fn is_open(self) -> bool {
        self.has_not_begun() || self == Self::Running
    }

    /// Whether it is in a wave and can still be kept from beginning.
    #[must_use]
    pub fn has_not_begun(self) -> bool {
        matches!(self, Self::Taken | Self::Blocked | Self::Scheduled)
    }

    /// Whether it has the target.
    #[must_use]
    pub fn is_succeeded(self) -> bool {
        matches!(self, Self::Updated | Self::AlreadyThere)
    }

    /// Whether it was tried without success, as far as anybody knows.
    #[must_use]
    pub fn is_failed(self) -> bool {
        matches!(self, Self::Failed | Self::Unknown)
    }

    /// Whether it ended and says nothing about the target.
    #[must_use]
    pub fn is_neutral(self) -> bool {
        match self {
            Self::Skipped | Self::Refused | Self::Canceled | Self::Expired | Self::Left => true,
            Self::Untaken
            | Self::Taken
            | Self::Blocked
            | Self::Scheduled
            | Self::Running
            | Self::Updated
            | Self::AlreadyThere
            | Self::Failed
            | Self::Unknown => false,
        }
    }

    /// Whether a retry that names no members takes it.
    #[must_use]
    pub fn is_retried(self) -> bool {
        self.is_failed() || self == Self::Refused
    }

    /// What follows for a member whose environment the rules for hotfixes find this against; that it may have one,
    /// where nothing is found. What is there already is a success whatever else there is, and what only has to end
    /// first is waited for.
    #[must_use]
    pub fn of_findings(findings: &[hotfix::Finding]) -> Option<Self> {
        let found = |reason| findings.iter().any(|finding| finding.reason == reason);
        if findings.is_empty() {
            None
        } else if found(hotfix::Reason::NotNewer) {
            Some(Self::AlreadyThere)
        } else if found(hotfix::Reason::AlreadyScheduled) {
            Some(Self::Blocked)
        } else {
            Some(Self::Refused)
        }
    }

    /// Where a member is whose hotfix is in this state, with the reason that it ended for, if it has one.
    #[must_use]
    pub fn of_hotfix(
        status: OperationStatus,
        skipped: Option<SkipReason>,
        failed: Option<FailReason>,
    ) -> Self {
        match status {
            OperationStatus::Scheduled => Self::Scheduled,
            OperationStatus::Running => Self::Running,
            OperationStatus::Succeeded => Self::Updated,
            OperationStatus::Failed if failed == Some(FailReason::OutcomeUnknown) => Self::Unknown,
            OperationStatus::Failed => Self::Failed,
            OperationStatus::Canceled => Self::Canceled,
            OperationStatus::Skipped if skipped == Some(SkipReason::AlreadyUpToDate) => Self::AlreadyThere,
            OperationStatus::Skipped => Self::Skipped,
        }
    }
}

vocabulary! {
    /// Why a member ended that has no hotfix to say so. What the rules refuse has the code of the rule instead, and
    /// what a hotfix ended with its own.
    MemberReason {
        /// It left the filter or the countries of the selection before its wave began.
        NoLongerSelected,
        /// The target is not offered in its country.
        TargetNotOffered,
        /// Its wave's deadline passed before it began.
        DeadlinePassed,
        /// The rollout was aborted before it began.
        RolloutAborted,
    }
}

/// How many members are in each state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Counts([u64; MemberState::ALL.len()]);

#[expect(
    clippy::indexing_slicing,
    reason = "a state is its own place among all states"
)]
impl Index<MemberState> for Counts {
    type Output = u64;

    fn index(&self, state: MemberState) -> &u64 {
        &self.0[state as usize]
    }
}

#[expect(
    clippy::indexing_slicing,
    reason = "a state is its own place among all states"
)]
impl IndexMut<MemberState> for Counts {
    fn index_mut(&mut self, state: MemberState) -> &mut u64 {
        &mut self.0[state as usize]
    }
}

impl Counts {
    fn sum(&self, counts: impl Fn(MemberState) -> bool) -> u64 {
        let states = MemberState::ALL.iter().filter(|state| counts(**state));
        states.map(|state| self[*state]).sum()
    }

    /// All of them.
    #[must_use]
    pub fn members(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Those of which something is still to come.
    #[must_use]
    pub fn open(&self) -> u64 {
        self.sum(MemberState::is_open)
    }

    /// Those in a wave that can still be kept from beginning.
    #[must_use]
    pub fn not_begun(&self) -> u64 {
        self.sum(MemberState::has_not_begun)
    }

    /// Those that have the target.
    #[must_use]
    pub fn succeeded(&self) -> u64 {
        self.sum(MemberState::is_succeeded)
    }

    /// Those that were tried without success.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.sum(MemberState::is_failed)
    }

    /// Those that ended and say nothing about the target.
    #[must_use]
    pub fn neutral(&self) -> u64 {
        self.sum(MemberState::is_neutral)
    }

    /// Those that say something about the target: the base of a stop rule's share.
    #[must_use]
    pub fn tried(&self) -> u64 {
        self.succeeded() + self.failed()
    }

    /// Those that can count for going on: the base of the share that has to succeed.
    #[must_use]
    pub fn counting(&self) -> u64 {
        self.members() - self.neutral()
    }
}

impl FromIterator<(MemberState, u64)> for Counts {
    fn from_iter<T: IntoIterator<Item = (MemberState, u64)>>(counted: T) -> Self {
        let mut counts = Self::default();
        for (state, number) in counted {
            counts[state] += number;
        }
        counts
    }
}
