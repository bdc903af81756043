//! The environments of a rollout that this machine drives, as they stand: nothing but what its records say, one after the
//! other.

use super::{
    file::Freeze,
    record::{Chosen, Reason, Record, Took},
    snapshot::Snapshot,
};
use crate::commands::hotfixes::selection::Environment;
use domain::{
    country::CountryCode,
    environment::{EnvironmentKey, EnvironmentKind},
    ids::OperationId,
    instant::Instant,
    rollout::{
        Counts, Definition, HOUR, MemberReason, MemberState, Rollout, Used, WaveFacts, WaveProgress,
        definition::{Order, lot},
    },
    version::AppVersion,
};
use serde_json::{Value, json};
use std::cmp::Reverse;

/// An environment of the rollout.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub environment: Environment,
    pub country: CountryCode,
    pub kind: Option<EnvironmentKind>,
    /// The version that it had when it was selected.
    pub installed: Option<AppVersion>,
    /// The wave that took it, from 0.
    pub wave: Option<usize>,
    pub state: MemberState,
    /// Since when it is there, as far as this machine has seen.
    pub since: Instant,
    /// Its attempts so far.
    pub attempt: u32,
    /// Its last hotfix.
    pub hotfix: Option<OperationId>,
    /// The hotfixes that it had before the post of which nobody knows yet what became of it.
    pub intent: Option<Vec<OperationId>>,
    /// Where it is once its hotfix, which is being called off, is Canceled.
    pub calling_off: Option<MemberState>,
    pub reason: Option<Reason>,
}

impl Member {
    fn new(chosen: &Chosen, on: Instant) -> Self {
        Self {
            environment: Environment::named(chosen.tenant, &chosen.family, &chosen.name),
            country: chosen.country,
            kind: chosen.kind.map(|kind| kind.0),
            installed: chosen.installed.map(|version| version.0),
            wave: None,
            state: MemberState::Untaken,
            since: on,
            attempt: 0,
            hotfix: None,
            intent: None,
            calling_off: None,
            reason: None,
        }
    }

    fn become_so(&mut self, state: MemberState, on: Instant, reason: Option<Reason>) {
        if state == MemberState::Taken && self.hotfix.is_some() {
            // It was withdrawn: that was no attempt, and what it had is no hotfix of the rollout any more.
            self.hotfix = None;
            self.attempt = self.attempt.saturating_sub(1);
        }
        let is_settled = [
            MemberState::Taken,
            MemberState::Blocked,
            MemberState::Refused,
            MemberState::AlreadyThere,
        ];
        if is_settled.contains(&state) {
            self.intent = None;
        }
        (self.state, self.since, self.reason, self.calling_off) = (state, on, reason, None);
    }

    /// What tells it from all others.
    pub(super) fn key(&self) -> EnvironmentKey {
        self.environment.key()
    }

    /// Until when it is frozen, if it is: over all freezes that overlap or touch.
    pub(super) fn frozen_until(&self, now: Instant, freezes: &[Freeze]) -> Option<Instant> {
        let end_of = |at: Instant| {
            let covering = freezes
                .iter()
                .filter(|freeze| freeze.covers(at, self.country, self.kind));
            covering.map(|freeze| freeze.to).max()
        };
        let mut until = end_of(now)?;
        while let Some(later) = end_of(until) {
            until = later;
        }
        Some(until)
    }

    /// The environment for people and programs.
    pub(super) fn row(&self, waves: &Definition) -> Value {
        let wave = self
            .wave
            .and_then(|wave| waves.waves.get(wave))
            .map(|wave| wave.name.as_str());
        json!({
            "aadTenantId": self.environment.aad_tenant_id.to_string(),
            "applicationFamily": self.environment.application_family,
            "name": self.environment.name,
            "countryCode": self.country.as_str(),
            "wave": wave,
            "state": self.state.as_str(),
            "attempt": self.attempt,
            "hotfixId": self.hotfix.map(|id| id.to_string()),
            "reasonCode": self.reason.as_ref().map(|reason| reason.code.as_str()),
            "reason": self.reason.as_ref().map(|reason| reason.text.as_str()),
        })
    }
}

/// All that the records of a journal say.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger {
    /// The environments, in the places by which records name them.
    pub members: Vec<Member>,
    /// Where the rollout stands, once it has begun.
    pub rollout: Option<Rollout>,
    /// When hotfixes were posted, or were about to be.
    posts: Vec<Instant>,
}

impl Ledger {
    /// Takes a record in. One that names an environment which is not there changes nothing.
    pub(super) fn take(&mut self, record: &Record) {
        match record {
            Record::Begun { on, members, .. } => {
                self.members = members.iter().map(|chosen| Member::new(chosen, *on)).collect();
            }
            Record::Stood {
                rollout,
                took,
                retried,
            } => self.stand(rollout, took.as_ref(), retried),
            Record::Intends {
                member,
                attempt,
                known,
                on,
            } => {
                self.posts.push(*on);
                if let Some(member) = self.members.get_mut(*member) {
                    member.attempt = *attempt;
                    member.intent = Some(known.iter().map(|id| id.0).collect());
                }
            }
            Record::Posted { member, hotfix } => {
                if let Some(member) = self.members.get_mut(*member) {
                    member.hotfix = Some(hotfix.0);
                    member.intent = None;
                }
            }
            Record::CallsOff { member, then } => {
                if let Some(member) = self.members.get_mut(*member) {
                    member.calling_off = Some(*then);
                }
            }
            Record::Became {
                member,
                state,
                on,
                reason,
            } => {
                if let Some(member) = self.members.get_mut(*member) {
                    member.become_so(*state, *on, reason.clone());
                }
            }
        }
    }

    fn stand(&mut self, rollout: &Snapshot, took: Option<&Took>, retried: &[usize]) {
        let rollout = rollout.rollout();
        let now = rollout.engine_time;
        for place in took.iter().flat_map(|took| &took.members) {
            if let Some(member) = self.members.get_mut(*place) {
                member.wave = took.map(|took| took.wave);
                (member.state, member.since) = (MemberState::Taken, now);
            }
        }
        for place in took.iter().flat_map(|took| &took.left) {
            if let Some(member) = self.members.get_mut(*place) {
                member.state = MemberState::Left;
                member.reason = Some(Reason {
                    code: MemberReason::NoLongerSelected.to_string(),
                    text: "It was no longer among the environments that were selected when its wave began."
                        .to_owned(),
                });
            }
        }
        for place in retried {
            if let Some(member) = self.members.get_mut(*place) {
                (member.state, member.since) = (MemberState::Taken, now);
                (member.hotfix, member.intent, member.reason) = (None, None, None);
                member.calling_off = None;
            }
        }
        self.rollout = Some(rollout);
    }

    /// The places of the members for which this holds.
    pub(super) fn places(&self, holds: impl Fn(&Member) -> bool) -> Vec<usize> {
        let all = self.members.iter().enumerate();
        all.filter(|(_, member)| holds(member))
            .map(|(place, _)| place)
            .collect()
    }

    /// The countries in which something may still be posted.
    pub(super) fn countries_to_do(&self) -> Vec<CountryCode> {
        let is_to_do = |state: MemberState| state == MemberState::Untaken || state.has_not_begun();
        let to_do = self.members.iter().filter(|member| is_to_do(member.state));
        distinct(to_do.map(|member| member.country))
    }

    /// The countries of members of which something is still to be heard, or for which something may be posted.
    pub(super) fn countries_to_hear_of(&self) -> Vec<CountryCode> {
        let heard = self
            .members
            .iter()
            .filter(|member| member.is_to_be_heard_of() || member.state.has_not_begun());
        distinct(heard.map(|member| member.country))
    }

    /// What is known of each wave.
    pub(super) fn waves(&self, rollout: &Rollout) -> Vec<WaveFacts> {
        let of_wave = |(number, progress): (usize, &WaveProgress)| {
            let members = self.members.iter().filter(|member| member.wave == Some(number));
            let ended = members.clone().filter(|member| !member.state.is_open());
            WaveFacts {
                is_taken: progress.begun_at.is_some(),
                counts: members.map(|member| (member.state, 1)).collect::<Counts>(),
                last_ended: ended.map(|member| member.since).max(),
            }
        };
        rollout.waves.iter().enumerate().map(of_wave).collect()
    }

    /// How many members no wave has.
    pub(super) fn untaken(&self) -> u64 {
        self.members
            .iter()
            .filter(|member| member.state == MemberState::Untaken)
            .count() as u64
    }

    /// What of the limits is used. A post of which nobody knows what became of it may run.
    pub(super) fn used(&self, now: Instant) -> Used {
        let may_run = |member: &&Member| member.state == MemberState::Running || member.intent.is_some();
        let in_the_hour = self.posts.iter().filter(|post| **post > now - HOUR);
        Used {
            running: self.members.iter().filter(may_run).count() as u64,
            in_the_hour: in_the_hour.clone().count() as u64,
            first_in_the_hour: in_the_hour.min().copied(),
        }
    }

    /// Until when everything that may still be posted is frozen, if it is.
    pub(super) fn frozen_until(&self, now: Instant, freezes: &[Freeze]) -> Option<Instant> {
        let to_do = self.members.iter().filter(|member| member.state.has_not_begun());
        let ends: Vec<Option<Instant>> = to_do.map(|member| member.frozen_until(now, freezes)).collect();
        ends.into_iter().min().flatten()
    }

    /// Members in the order of a wave.
    pub(super) fn ordered(&self, mut places: Vec<usize>, order: Order, own_seed: u64) -> Vec<usize> {
        let by_name = |place: &usize| {
            let key = self.members.get(*place).map(Member::key);
            key.map(|key| (key.name_key, key.tenant_id, key.family_key))
        };
        match order {
            Order::Name => places.sort_by_cached_key(by_name),
            Order::Oldest => places.sort_by_cached_key(|place| {
                let installed = self.members.get(*place).and_then(|member| member.installed);
                // One of which nobody knows what it has is not among the oldest.
                (Reverse(installed.map(Reverse)), by_name(place))
            }),
            Order::Random(seed) => places.sort_by_cached_key(|place| {
                let key = self.members.get(*place).map(Member::key);
                (key.map(|key| lot(seed.unwrap_or(own_seed), &key)), by_name(place))
            }),
        }
        places
    }
}

impl Member {
    /// Whether the service has something of it whose end is not known: also one that counts as lost may be heard of yet.
    pub(super) fn is_to_be_heard_of(&self) -> bool {
        let is_lost = self.state == MemberState::Unknown;
        self.intent.is_some() || (self.hotfix.is_some() && (self.state.is_open() || is_lost))
    }
}

fn distinct<T: Ord>(values: impl Iterator<Item = T>) -> Vec<T> {
    let mut distinct: Vec<T> = values.collect();
    distinct.sort_unstable();
    distinct.dedup();
    distinct
}
