//! What follows for a rollout from what is known of it.
//!
//! The order within a step is fixed, for it decides what wins: time, the target, deadlines, stop rules, what lets a
//! wave go on, at most one wave that begins, hotfixes within the limits, and last of all whether it is over. What stops
//! comes before what goes on.

use super::{
    approval::Approval,
    definition::{Consequence, Definition, Gate, Later, ProceedWhen, StopRule, Take, Threshold, Wave},
    facts::{Driver, Facts, HOUR, TargetOffered, WaveFacts},
    member::{Counts, MemberState},
    progress::{Outcome, Reason, Rollout, State, WaveProgress, WaveState},
};
use crate::instant::Instant;

/// How many hotfixes a step asks for at most: a driver makes them in one transaction.
pub const BATCH: u64 = 500;

/// What is to be done with members. Each is asked for in every step until the facts say that it was done, and may be
/// done in part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Environments that fit the selection and are no members become members, so that waves to come may take them.
    IncludeLater,
    /// The same, and the last wave takes them at once.
    IncludeInWave {
        /// That wave.
        wave: usize,
    },
    /// A wave takes its members, on one snapshot and within one transaction.
    BeginWave {
        /// Which wave.
        wave: usize,
        /// How many members it takes at most; all that fit, where there is no such number.
        most: Option<u64>,
    },
    /// The next Taken members of a wave get a hotfix, or what the rules say instead.
    CreateNext {
        /// Which wave.
        wave: usize,
        /// How many.
        count: u64,
    },
    /// What has not begun in a wave is called off, for its deadline passed.
    Expire {
        /// Which wave.
        wave: usize,
    },
    /// Nobody need look any more whether what is Scheduled may start.
    Hold,
    /// What was held may be looked at again.
    Release,
    /// What is Scheduled is canceled, and those members are Taken again.
    Withdraw,
    /// What has not begun is canceled for good.
    Cancel,
}

/// What came about in a step that people want to be told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happening {
    /// A wave began.
    WaveBegan(usize),
    /// A wave waits for somebody to open the way to the next.
    WaveAwaitsGate(usize),
    /// A wave is done.
    WaveDone(usize),
    /// The rollout was Paused or Aborted, by these waves; where it was Paused before, they were stopped too.
    Stopped {
        /// Why.
        reason: Reason,
        /// The waves; none where it was not a wave.
        waves: Vec<usize>,
    },
    /// Who approved it could not any more, so it waits for its approval again.
    ApproverGone,
    /// It is completed.
    Completed(Outcome),
}

/// What follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The rollout now. Its revision rises with it; where that is the same, only the engine's time may differ.
    pub rollout: Rollout,
    /// What is to be done with members, in this order, after the rollout was kept.
    pub actions: Vec<Action>,
    /// What people want to be told of.
    pub happened: Vec<Happening>,
    /// When the next step is due, if time alone decides; whatever changes the facts makes it due at once.
    pub wake_at: Option<Instant>,
}

/// The clock is more than an hour behind what it said before: either it is wrong now or it was, and nothing is decided
/// until somebody has looked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the clock says {now}, and it said {before} before")]
pub struct ClockBehind {
    /// What it says.
    pub now: Instant,
    /// What it said.
    pub before: Instant,
}

/// What follows for a rollout from what is known of it. Equal facts give equal answers.
///
/// # Errors
/// [`ClockBehind`].
pub fn step(
    definition: &Definition,
    rollout: &Rollout,
    facts: &Facts,
    now: Instant,
) -> Result<Step, ClockBehind> {
    if now + HOUR < rollout.engine_time {
        return Err(ClockBehind {
            now,
            before: rollout.engine_time,
        });
    }
    let mut stepping = Stepping {
        definition,
        facts,
        rollout: Rollout {
            engine_time: rollout.engine_time.max(now),
            ..rollout.clone()
        },
        actions: Vec::new(),
        happened: Vec::new(),
    };
    stepping.all();
    let wake_at = stepping.wake_at();
    Ok(Step {
        rollout: stepping.rollout.since(rollout).rollout,
        actions: stepping.actions,
        happened: stepping.happened,
        wake_at,
    })
}

struct Stepping<'a> {
    definition: &'a Definition,
    facts: &'a Facts,
    rollout: Rollout,
    actions: Vec<Action>,
    happened: Vec<Happening>,
}

impl<'a> Stepping<'a> {
    fn all(&mut self) {
        match self.rollout.state {
            State::AwaitingApproval | State::Completed => return,
            State::Aborted => {}
            State::Active | State::Paused => {
                self.target();
                self.deadlines();
                self.stop_rules();
            }
        }
        if matches!(self.rollout.state, State::Active | State::Paused) {
            self.proceed();
        }
        if self.rollout.state == State::Active {
            self.begin();
        }
        if self.rollout.state == State::Active {
            self.create();
            self.complete();
        }
        self.brake();
    }

    fn target(&mut self) {
        if self.rollout.state == State::Active && self.facts.is_target_withdrawn() {
            self.stop(Reason::TargetWithdrawn, Vec::new());
        }
    }

    fn deadlines(&mut self) {
        if self.rollout.state != State::Active {
            return;
        }
        for (number, _) in self.taken() {
            if self.is_expired(number) && self.counts(number).not_begun() > 0 {
                self.actions.push(Action::Expire { wave: number });
            }
        }
    }

    fn stop_rules(&mut self) {
        let mut fired = Vec::new();
        let mut then = Consequence::Pause;
        for (number, rules) in self.taken() {
            let counts = self.counts(number);
            let Some(progress) = self.rollout.waves.get_mut(number) else {
                continue;
            };
            progress.acknowledged = progress.acknowledged.min(counts.failed());
            if let Some(rule) = rules.stop
                && fires(rule, &counts, progress.acknowledged)
            {
                then = then.max(rule.then);
                fired.push(number);
            }
        }
        if then == Consequence::Abort {
            self.mark(Reason::StopRule, &fired);
            self.rollout.abort(Reason::StopRule);
            self.happened.push(Happening::Stopped {
                reason: Reason::StopRule,
                waves: fired,
            });
        } else if !fired.is_empty() {
            self.stop(Reason::StopRule, fired);
        }
    }

    fn proceed(&mut self) {
        let facts = self.facts;
        let mut hindered: Vec<(Reason, usize)> = Vec::new();
        for (number, rules) in self.taken() {
            let (Some(progress), Some(found)) = (self.rollout.waves.get(number), facts.waves.get(number))
            else {
                continue;
            };
            if let Some(reason) = hindrance(rules, progress, facts, found) {
                hindered.push((reason, number));
            }
        }
        if let Some((reason, _)) = hindered.first().copied() {
            let waves = hindered.iter().filter(|(other, _)| *other == reason);
            self.stop(reason, waves.map(|(_, wave)| *wave).collect());
        }
        let before: Vec<WaveState> = self.rollout.waves.iter().map(|wave| wave.state).collect();
        show(self.definition, &mut self.rollout, facts);
        for (number, (wave, before)) in self.rollout.waves.iter().zip(before).enumerate() {
            match wave.state {
                state if state == before => {}
                WaveState::AwaitingGate => self.happened.push(Happening::WaveAwaitsGate(number)),
                WaveState::Done => self.happened.push(Happening::WaveDone(number)),
                _ => {}
            }
        }
    }

    fn begin(&mut self) {
        let waiting = self.rollout.waves.iter().position(|wave| wave.begun_at.is_none());
        let untaken = self.begun().find(|number| !self.is_taken(*number));
        if let Some(wave) = untaken {
            self.begin_wave(wave);
            return;
        }
        if self.include(waiting) {
            return;
        }
        let Some(next) = waiting else {
            return;
        };
        let mut begun = self.rollout.waves.iter().take(next);
        let are_done = begun.all(|wave| wave.state == WaveState::Done);
        if !are_done || (next == 0 && !self.may_begin()) {
            return;
        }
        let now = self.rollout.engine_time;
        if let Some(wave) = self.rollout.waves.get_mut(next) {
            wave.state = WaveState::Active;
            wave.begun_at = Some(now);
            wave.deadline_from = Some(now);
        }
        self.happened.push(Happening::WaveBegan(next));
        self.begin_wave(next);
    }

    /// Whether the first wave may begin: its time has come, and who approved it still may.
    fn may_begin(&mut self) -> bool {
        let run_after = self.definition.run_after;
        if run_after.is_some_and(|run_after| self.rollout.engine_time < run_after) {
            return false;
        }
        if self.rollout.approval == Approval::Given && !self.facts.approver_may {
            self.rollout.state = State::AwaitingApproval;
            self.rollout.reason = Some(Reason::ApproverGone);
            self.rollout.approval = Approval::Needed;
            self.happened.push(Happening::ApproverGone);
            return false;
        }
        true
    }

    fn begin_wave(&mut self, wave: usize) {
        let take = self.definition.waves.get(wave).map(|wave| &wave.take);
        let most = take.and_then(|take| take.most(self.facts.members()));
        self.actions.push(Action::BeginWave { wave, most });
    }

    /// Whether newcomers come first, before a wave begins that might take them.
    fn include(&mut self, waiting: Option<usize>) -> bool {
        if self.definition.select.later == Later::Ignore || self.facts.later == 0 {
            return false;
        }
        if waiting.is_some() {
            self.actions.push(Action::IncludeLater);
            return true;
        }
        let last = self.rollout.waves.len().saturating_sub(1);
        let goes_on = self
            .rollout
            .waves
            .last()
            .is_some_and(|wave| wave.proceeds_since.is_some());
        if !goes_on {
            self.actions.push(Action::IncludeInWave { wave: last });
        }
        !goes_on
    }

    fn create(&mut self) {
        let mut room = self.room();
        for (number, _) in self.taken() {
            let count = self.counts(number)[MemberState::Taken].min(room);
            if count > 0 && !self.is_expired(number) {
                room -= count;
                self.actions.push(Action::CreateNext { wave: number, count });
            }
        }
    }

    /// How many hotfixes may be made now. The service makes them freely and counts what starts; what a client sends,
    /// starts.
    fn room(&self) -> u64 {
        let (facts, limits) = (self.facts, self.rollout.limits(self.definition));
        match facts.driver {
            Driver::Service => BATCH,
            Driver::Client if self.is_frozen() => 0,
            Driver::Client => {
                let mut used = facts.used;
                used.running += facts.in_state(MemberState::Scheduled);
                used.room(limits).min(BATCH)
            }
        }
    }

    fn is_frozen(&self) -> bool {
        let until = self.facts.frozen_until;
        until.is_some_and(|until| self.rollout.engine_time < until)
    }

    fn complete(&mut self) {
        let are_done = self
            .rollout
            .waves
            .iter()
            .all(|wave| wave.state == WaveState::Done);
        if !are_done || self.facts.sum(Counts::open) > 0 || !self.actions.is_empty() {
            return;
        }
        let outcome = if self.facts.sum(Counts::failed) > 0 {
            Outcome::WithFailures
        } else if self.facts.sum(Counts::succeeded) > 0 {
            Outcome::Succeeded
        } else {
            Outcome::NothingDone
        };
        self.rollout.state = State::Completed;
        self.rollout.outcome = Some(outcome);
        self.happened.push(Happening::Completed(outcome));
    }

    /// What the state asks of what has not begun yet.
    fn brake(&mut self) {
        let facts = self.facts;
        let scheduled = facts.in_state(MemberState::Scheduled);
        let action = match (self.rollout.state, facts.driver) {
            (State::Aborted, _) => (facts.sum(Counts::not_begun) > 0).then_some(Action::Cancel),
            (State::Paused, Driver::Client) => (scheduled > 0).then_some(Action::Withdraw),
            (State::Paused, Driver::Service) if self.rollout.withdraws => {
                (scheduled > 0).then_some(Action::Withdraw)
            }
            (State::Paused, Driver::Service) => (facts.held < scheduled).then_some(Action::Hold),
            (State::Active, Driver::Client) => {
                (self.is_frozen() && scheduled > 0).then_some(Action::Withdraw)
            }
            (State::Active, Driver::Service) => (facts.held > 0).then_some(Action::Release),
            (State::AwaitingApproval | State::Completed, _) => None,
        };
        self.actions.extend(action);
    }

    /// When time alone makes another step due.
    fn wake_at(&self) -> Option<Instant> {
        let (rollout, facts) = (&self.rollout, self.facts);
        if !matches!(rollout.state, State::Active | State::Paused) {
            return None;
        }
        let waves = rollout.waves.iter().zip(&self.definition.waves);
        let soaks = waves.filter(|(wave, _)| wave.state == WaveState::Soaking);
        let soaks = soaks.filter_map(|(wave, rules)| Some(wave.proceeds_since? + rules.proceed.soak));
        let is_active = rollout.state == State::Active;
        let deadlines = (0..rollout.waves.len()).filter(|number| self.counts(*number).not_begun() > 0);
        let deadlines = deadlines.filter_map(|number| self.deadline(number));
        let waits_to_begin = rollout.waves.first().is_some_and(|wave| wave.begun_at.is_none());
        let run_after = self.definition.run_after.filter(|_| waits_to_begin);
        let is_client = facts.driver == Driver::Client && facts.in_state(MemberState::Taken) > 0;
        let place = facts.used.next_place(rollout.limits(self.definition));
        let in_the_way = [place, facts.frozen_until.filter(|_| self.is_frozen())];
        let in_the_way = in_the_way.into_iter().flatten().filter(|_| is_client);
        let if_active = deadlines.chain(run_after).chain(in_the_way).filter(|_| is_active);
        soaks.chain(if_active).min()
    }

    /// Stops waves, and pauses the rollout unless it is; what was stopped before is not told again.
    fn stop(&mut self, reason: Reason, waves: Vec<usize>) {
        let is_news = self.mark(reason, &waves);
        let was_active = self.rollout.state == State::Active;
        if was_active {
            self.rollout.pause(reason);
        }
        if was_active || is_news {
            self.happened.push(Happening::Stopped { reason, waves });
        }
    }

    fn mark(&mut self, reason: Reason, waves: &[usize]) -> bool {
        let mut is_news = false;
        for (number, wave) in self.rollout.waves.iter_mut().enumerate() {
            if waves.contains(&number) && wave.stopped_by.is_none() {
                wave.stopped_by = Some(reason);
                is_news = true;
            }
        }
        is_news
    }

    fn begun(&self) -> impl Iterator<Item = usize> {
        let begun = self.rollout.waves.iter().filter(|wave| wave.begun_at.is_some());
        0..begun.count()
    }

    fn is_taken(&self, wave: usize) -> bool {
        self.facts.waves.get(wave).is_some_and(|found| found.is_taken)
    }

    /// The waves that have begun and taken their members.
    fn taken(&self) -> Vec<(usize, &'a Wave)> {
        let begun = self.begun().zip(&self.definition.waves);
        begun.filter(|(number, _)| self.is_taken(*number)).collect()
    }

    fn counts(&self, wave: usize) -> Counts {
        self.facts
            .waves
            .get(wave)
            .map(|found| found.counts)
            .unwrap_or_default()
    }

    fn deadline(&self, wave: usize) -> Option<Instant> {
        let deadline = self.definition.waves.get(wave)?.deadline?;
        Some(self.rollout.waves.get(wave)?.deadline_from? + deadline)
    }

    fn is_expired(&self, wave: usize) -> bool {
        self.deadline(wave)
            .is_some_and(|deadline| deadline <= self.rollout.engine_time)
    }
}

impl Facts {
    /// Whether something is still to be done, and the target is offered nowhere where it is.
    pub(super) fn is_target_withdrawn(&self) -> bool {
        self.target == TargetOffered::Nowhere && self.untaken + self.sum(Counts::not_begun) > 0
    }
}

/// Whether too much has failed, and something did since somebody saw what had.
fn fires(rule: StopRule, counts: &Counts, acknowledged: u64) -> bool {
    let (failed, tried) = (counts.failed(), counts.tried());
    let is_reached = match rule.failed {
        Threshold::Count(count) => failed >= count,
        Threshold::Percent { percent, min } => {
            let says_something = tried >= min || counts.open() == 0;
            says_something && percent.is_reached(failed, tried)
        }
    };
    is_reached && failed > acknowledged
}

/// Why a wave can go on only because somebody says so, if that is so and nobody has.
pub(super) fn hindrance(
    rules: &Wave,
    progress: &WaveProgress,
    facts: &Facts,
    found: &WaveFacts,
) -> Option<Reason> {
    let counts = &found.counts;
    let leaves_some = facts.untaken > 0;
    if progress.passed_at.is_some() {
        None
    } else if counts.members() == 0 {
        (leaves_some && rules.take != Take::Rest).then_some(Reason::EmptyWave)
    } else if counts.open() == 0 && counts.tried() == 0 {
        leaves_some.then_some(Reason::NothingTried)
    } else if let ProceedWhen::Succeeded(percent) = rules.proceed.when {
        let can_be = percent.is_reached(counts.succeeded() + counts.open(), counts.counting());
        (!can_be).then_some(Reason::ProceedUnreachable)
    } else {
        None
    }
}

/// Has each wave that has begun show what its members, its soak and its gate say.
pub(super) fn show(definition: &Definition, rollout: &mut Rollout, facts: &Facts) {
    let begun = rollout
        .waves
        .iter()
        .filter(|wave| wave.begun_at.is_some())
        .count();
    let now = rollout.engine_time;
    let waves = rollout.waves.iter_mut().zip(&definition.waves);
    for (number, ((wave, rules), found)) in waves.zip(&facts.waves).enumerate().take(begun) {
        if !found.is_taken {
            continue;
        }
        let holds = wave.passed_at.is_some() || has_come_about(rules.proceed.when, &found.counts);
        if !holds {
            wave.proceeds_since = None;
            // The way that somebody opened leads on from what had come about then.
            wave.gate_opened &= number + 1 < begun;
        } else if wave.proceeds_since.is_none() {
            wave.proceeds_since = found.last_ended.or(wave.begun_at);
        }
        let is_last = number + 1 == definition.waves.len();
        let leads_on = is_last || number + 1 < begun || wave.gate_opened;
        wave.state = match wave.proceeds_since {
            _ if wave.stopped_by.is_some() => WaveState::Stopped,
            None => WaveState::Active,
            Some(_) if found.counts.members() == 0 => WaveState::Done,
            Some(since) if now.min(facts.as_of) < since + rules.proceed.soak => WaveState::Soaking,
            Some(_) if rules.proceed.gate == Gate::Manual && !leads_on => WaveState::AwaitingGate,
            Some(_) => WaveState::Done,
        };
    }
}

fn has_come_about(when: ProceedWhen, counts: &Counts) -> bool {
    match when {
        ProceedWhen::AllEnded => counts.open() == 0,
        ProceedWhen::Succeeded(percent) => percent.is_reached(counts.succeeded(), counts.counting()),
    }
}
