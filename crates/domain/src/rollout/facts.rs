//! What a driver reads before it asks what follows: numbers, of the same size for five members and for a million.

use super::{
    definition::Limits,
    member::{Counts, MemberState},
};
use crate::{instant::Instant, vocabulary::vocabulary};
use std::time::Duration;

/// What is known of a rollout's members and of what is around them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// When these were read, or, where they were read one after another, when the first was.
    pub as_of: Instant,
    /// Who drives it.
    pub driver: Driver,
    /// How many members no wave has taken.
    pub untaken: u64,
    /// How many environments fit the selection and are no members.
    pub later: u64,
    /// What is known of each wave, as the definition has them.
    pub waves: Vec<WaveFacts>,
    /// Where the target is offered, of the countries that are still to be done.
    pub target: TargetOffered,
    /// Whether who approved it still may: a Contributor or Owner. Of no weight where nobody had to.
    pub approver_may: bool,
    /// What of its limits is used.
    pub used: Used,
    /// How many Scheduled members nobody looks at who starts hotfixes, because the rollout was held.
    pub held: u64,
    /// Until when everything that is still to be done lies in a freeze, where the driver has to see to that itself.
    pub frozen_until: Option<Instant>,
}

/// What is known of one wave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WaveFacts {
    /// Whether its members were taken.
    pub is_taken: bool,
    /// How many of its members are in each state.
    pub counts: Counts,
    /// When the last of its members ended, of those that have, or was found to have ended otherwise.
    pub last_ended: Option<Instant>,
}

/// Who drives a rollout, which says what can be kept from starting once it is Scheduled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// The service, which starts hotfixes itself: it holds what is Scheduled, and counts against limits what starts.
    Service,
    /// A client of another service, which starts what it was sent: the client withdraws it again, and counts against
    /// limits what it sends.
    Client,
}

vocabulary! {
    /// Where the target is offered, of the countries that are still to be done.
    TargetOffered {
        /// In all of them.
        Everywhere,
        /// In some.
        Partly,
        /// In none.
        Nowhere,
    }
}

/// What of a rollout's limits is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// How many of its hotfixes run.
    pub running: u64,
    /// How many started within the last sixty minutes; at a client, how many were sent. Those that a clock which was
    /// set back finds in the future are among them.
    pub in_the_hour: u64,
    /// When the first of those did.
    pub first_in_the_hour: Option<Instant>,
}

/// How long a start counts against `per_hour`.
pub const HOUR: Duration = Duration::from_secs(3_600);

impl Used {
    /// How many more may begin now within the limits.
    #[must_use]
    pub fn room(&self, limits: Limits) -> u64 {
        let running = limits.running.map(|most| most.saturating_sub(self.running));
        let per_hour = limits.per_hour.map(|most| most.saturating_sub(self.in_the_hour));
        running.into_iter().chain(per_hour).min().unwrap_or(u64::MAX)
    }

    /// When `per_hour` lets the next begin, where that is what is in the way.
    #[must_use]
    pub fn next_place(&self, limits: Limits) -> Option<Instant> {
        let is_full = limits.per_hour.is_some_and(|most| self.in_the_hour >= most);
        self.first_in_the_hour
            .filter(|_| is_full)
            .map(|first| first + HOUR)
    }
}

impl Facts {
    /// How many members there are.
    #[must_use]
    pub fn members(&self) -> u64 {
        self.untaken + self.sum(Counts::members)
    }

    /// The number of members in one state, over all waves.
    #[must_use]
    pub fn in_state(&self, state: MemberState) -> u64 {
        let in_waves = self.sum(|counts| counts[state]);
        in_waves
            + if state == MemberState::Untaken {
                self.untaken
            } else {
                0
            }
    }

    pub(super) fn sum(&self, number: impl Fn(&Counts) -> u64) -> u64 {
        self.waves.iter().map(|wave| number(&wave.counts)).sum()
    }
}
