//! A model of what drives a rollout, to try the machine in any history: members, a clock, an executor, people, and
//! kills between any two things that a driver does.

use super::{
    Action, Approver, BATCH, Change, Counts, Definition, Driver, Facts, HOUR, Happening, MemberState, Reason,
    Rollout, State, Step, TargetOffered, Used, WaveFacts, WaveState, abort, advance, approve,
    definition::{
        Consequence, Gate, Later, Limits, Order, Percent, Proceed, ProceedWhen, Selection, StopRule, Take,
        Threshold, Wave,
    },
    pause, resume, retry, step,
};
use crate::{
    instant::Instant,
    principal::{CallerKind, Role, Roles},
    problem::RuleError,
};
use proptest::prelude::*;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

pub(super) fn percent(percent: u16) -> Percent {
    Percent::of_hundredths(percent * 100).unwrap()
}

pub(super) fn beginning() -> Instant {
    "2026-11-26T12:00:00Z".parse().unwrap()
}

/// A wave by which nothing but the end of its members is waited for.
pub(super) fn wave(take: Take) -> Wave {
    Wave {
        take,
        stop: None,
        ..Wave::default()
    }
}

pub(super) fn rollout_of(waves: Vec<Wave>) -> Definition {
    let named = waves.into_iter().enumerate().map(|(number, wave)| Wave {
        name: format!("wave {number}"),
        ..wave
    });
    Definition {
        name: "16.0.2".to_owned(),
        target: "16.0.2.0".parse().unwrap(),
        note: None,
        run_after: None,
        ignore_upgrade_window: None,
        select: Selection {
            countries: None,
            filter: None,
            except: Vec::new(),
            later: Later::Ignore,
        },
        waves: named.collect(),
        approval_required: false,
    }
}

pub(super) fn another_person() -> Approver {
    Approver {
        kind: CallerKind::User,
        roles: Roles::NONE.with(Role::Contributor),
        role_since: Some(beginning() - Duration::from_secs(48 * 3_600)),
        signed_in: Some(beginning()),
        is_creator: false,
        is_uploader: false,
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) state: MemberState,
    pub(super) wave: Option<usize>,
    /// What the rules would say; `Scheduled` where it may have a hotfix.
    pub(super) verdict: MemberState,
    pub(super) attempts: u32,
    pub(super) is_held: bool,
    pub(super) ended: Option<Instant>,
}

/// A rollout, what its driver keeps, and the world.
#[derive(Clone, Debug)]
pub(super) struct World {
    pub(super) definition: Definition,
    pub(super) rollout: Rollout,
    pub(super) members: Vec<Member>,
    pub(super) taken: Vec<bool>,
    pub(super) driver: Driver,
    pub(super) now: Instant,
    pub(super) starts: Vec<Instant>,
    pub(super) later: u64,
    pub(super) target: TargetOffered,
    pub(super) approver_may: bool,
    pub(super) frozen_until: Option<Instant>,
    pub(super) happened: Vec<Happening>,
    /// Since when what has to come about in each wave has, as the world sees it.
    come_about: Vec<Option<Instant>>,
    /// The most that ran when the latest wave began.
    running_at_begin: u64,
}

impl World {
    pub(super) fn new(definition: Definition, members: usize, driver: Driver) -> Self {
        Self::approved(definition, members, driver, false)
    }

    pub(super) fn approved(
        definition: Definition,
        members: usize,
        driver: Driver,
        needs_approval: bool,
    ) -> Self {
        let waves = definition.waves.len();
        let rollout = Rollout::new(&definition, needs_approval, beginning());
        Self {
            definition,
            rollout,
            members: vec![Self::member(MemberState::Scheduled); members],
            taken: vec![false; waves],
            driver,
            now: beginning(),
            starts: Vec::new(),
            later: 0,
            target: TargetOffered::Everywhere,
            approver_may: true,
            frozen_until: None,
            happened: Vec::new(),
            come_about: vec![None; waves],
            running_at_begin: 0,
        }
    }

    fn member(verdict: MemberState) -> Member {
        Member {
            state: MemberState::Untaken,
            wave: None,
            verdict,
            attempts: 0,
            is_held: false,
            ended: None,
        }
    }

    pub(super) fn facts(&self) -> Facts {
        let of = |wave: usize| {
            self.members
                .iter()
                .filter(move |member| member.wave == Some(wave))
        };
        let waves = (0..self.definition.waves.len()).map(|wave| WaveFacts {
            is_taken: self.taken[wave],
            counts: of(wave).map(|member| (member.state, 1)).collect(),
            last_ended: of(wave).filter_map(|member| member.ended).max(),
        });
        let in_state = |state| self.members.iter().filter(move |member| member.state == state);
        let time = self.engine_time();
        let recent = self.starts.iter().filter(|start| **start + HOUR > time);
        let held = in_state(MemberState::Scheduled).filter(|member| member.is_held);
        Facts {
            as_of: self.now,
            driver: self.driver,
            untaken: in_state(MemberState::Untaken).count() as u64,
            later: self.later,
            waves: waves.collect(),
            target: self.target,
            approver_may: self.approver_may,
            used: Used {
                running: in_state(MemberState::Running).count() as u64,
                in_the_hour: recent.clone().count() as u64,
                first_in_the_hour: recent.min().copied(),
            },
            held: held.count() as u64,
            frozen_until: self.frozen_until,
        }
    }

    fn engine_time(&self) -> Instant {
        self.rollout.engine_time.max(self.now)
    }

    pub(super) fn counts(&self, wave: usize) -> Counts {
        self.facts().waves[wave].counts
    }

    /// How many members are in each of these states, over all.
    pub(super) fn in_states<const N: usize>(&self, states: [MemberState; N]) -> [u64; N] {
        let facts = self.facts();
        states.map(|state| facts.in_state(state))
    }

    /// One step, and all that it asks for.
    pub(super) fn step(&mut self) -> Step {
        self.step_and_die(usize::MAX).0
    }

    /// One step of a driver that dies after it has done so many things; says whether it did.
    pub(super) fn step_and_die(&mut self, things: usize) -> (Step, bool) {
        let facts = self.facts();
        let asked = step(&self.definition, &self.rollout, &facts, self.now).unwrap();
        let again = step(&self.definition, &self.rollout, &facts, self.now).unwrap();
        assert_eq!(asked, again, "I8: the same facts, the same answer");
        self.check_step(&facts, &asked);
        if things == 0 {
            return (asked, true);
        }
        self.rollout = asked.rollout.clone();
        self.happened.extend(asked.happened.iter().cloned());
        for (done, action) in asked.actions.iter().enumerate() {
            if done + 1 >= things {
                return (asked, true);
            }
            self.apply(*action);
        }
        (asked, false)
    }

    /// Steps until nothing follows.
    pub(super) fn rest(&mut self) {
        let waves = self.definition.waves.len();
        // A client's batch is what its limits leave, which is not used up by members that get no hotfix.
        let batch = match self.driver {
            Driver::Service => usize::try_from(BATCH).unwrap(),
            Driver::Client => 1,
        };
        let most = waves + self.members.len().div_ceil(batch) + 2;
        // Each newcomer costs a step of its own before a wave begins that might take it.
        let most = most + usize::try_from(self.later).unwrap();
        for _ in 0..=most {
            let before = self.rollout.revision;
            if self.step().actions.is_empty() && self.rollout.revision == before {
                return;
            }
        }
        panic!("I9: no rest after {most} steps: {self:?}");
    }

    fn apply(&mut self, action: Action) {
        let now = self.engine_time();
        match action {
            Action::IncludeLater => self.include(None),
            Action::IncludeInWave { wave } => self.include(Some(wave)),
            Action::BeginWave { wave, most } => {
                if !self.taken[wave] {
                    self.taken[wave] = true;
                    let most = most.map_or(usize::MAX, |most| usize::try_from(most).unwrap());
                    let filtered = matches!(self.definition.waves[wave].take, Take::Filter(_));
                    let untaken = self.members.iter_mut().enumerate();
                    let untaken = untaken.filter(|(_, member)| member.state == MemberState::Untaken);
                    // A filter of the model fits every third member.
                    let fits = untaken.filter(|(number, _)| !filtered || number % 3 == 0);
                    for (_, member) in fits.take(most) {
                        member.state = MemberState::Taken;
                        member.wave = Some(wave);
                    }
                }
            }
            Action::CreateNext { wave, count } => {
                let next = self
                    .members
                    .iter_mut()
                    .filter(|member| member.wave == Some(wave) && member.state == MemberState::Taken);
                for member in next.take(usize::try_from(count).unwrap()) {
                    member.state = member.verdict;
                    match member.state {
                        MemberState::Scheduled => {
                            member.attempts += 1;
                            if self.driver == Driver::Client {
                                self.starts.push(now);
                            }
                        }
                        MemberState::Blocked => {}
                        _ => member.ended = Some(now),
                    }
                }
            }
            Action::Expire { wave } => self.end(|member| member.wave == Some(wave), MemberState::Expired),
            Action::Cancel => self.end(|_| true, MemberState::Canceled),
            Action::Withdraw => {
                let scheduled = self.members.iter_mut();
                for member in scheduled.filter(|member| member.state == MemberState::Scheduled) {
                    member.state = MemberState::Taken;
                    member.is_held = false;
                }
            }
            Action::Hold => self.hold(true),
            Action::Release => self.hold(false),
        }
        self.look();
    }

    fn include(&mut self, wave: Option<usize>) {
        for _ in 0..std::mem::take(&mut self.later) {
            let mut member = Self::member(MemberState::Scheduled);
            member.wave = wave;
            if wave.is_some() {
                member.state = MemberState::Taken;
            }
            self.members.push(member);
        }
    }

    fn end(&mut self, which: impl Fn(&Member) -> bool, state: MemberState) {
        let now = self.engine_time();
        for member in &mut self.members {
            if member.state.has_not_begun() && which(member) {
                member.state = state;
                member.ended = Some(now);
            }
        }
    }

    fn hold(&mut self, is_held: bool) {
        for member in &mut self.members {
            member.is_held = is_held && member.state == MemberState::Scheduled;
        }
    }

    /// Somebody starts what may start, up to so many. A client's service asks nobody.
    pub(super) fn claim(&mut self, most: usize) {
        for _ in 0..most {
            if self.driver == Driver::Service {
                let limits = self.rollout.limits(&self.definition);
                if self.rollout.is_braked() || self.facts().used.room(limits) == 0 {
                    return;
                }
            }
            let now = self.engine_time();
            let mut waiting = self.members.iter_mut();
            let Some(member) =
                waiting.find(|member| member.state == MemberState::Scheduled && !member.is_held)
            else {
                return;
            };
            member.state = MemberState::Running;
            if self.driver == Driver::Service {
                self.starts.push(now);
            }
            self.check_limits();
        }
    }

    /// The first that runs ends so.
    pub(super) fn report(&mut self, result: MemberState) {
        let now = self.engine_time();
        let mut members = self.members.iter_mut();
        if let Some(member) = members.find(|member| member.state == MemberState::Running) {
            member.state = result;
            member.ended = Some(now);
        }
        self.look();
    }

    /// As many members are claimed and end so, one after another with a step in between.
    pub(super) fn end_as(&mut self, result: MemberState, times: usize) {
        for _ in 0..times {
            self.claim(1);
            self.report(result);
            self.step();
        }
    }

    pub(super) fn pass(&mut self, span: Duration) {
        self.now = self.now + span;
    }

    pub(super) fn keep(&mut self, change: Result<Change, RuleError>) -> Result<bool, RuleError> {
        let change = change?;
        self.rollout = change.rollout;
        Ok(change.is_changed)
    }

    pub(super) fn pause(&mut self, withdraw: bool) -> Result<bool, RuleError> {
        self.keep(pause(&self.rollout, withdraw, self.now))
    }

    pub(super) fn resume(&mut self, reason: Option<&str>) -> Result<bool, RuleError> {
        let facts = self.facts();
        self.keep(resume(&self.definition, &self.rollout, &facts, reason, self.now))
    }

    pub(super) fn advance(&mut self, wave: usize) -> Result<bool, RuleError> {
        self.keep(advance(&self.rollout, wave, self.now))
    }

    pub(super) fn abort(&mut self) -> Result<bool, RuleError> {
        self.keep(abort(&self.rollout, self.now))
    }

    pub(super) fn retry(&mut self) -> Result<bool, RuleError> {
        let before = self.members.clone();
        let mut waves = Vec::new();
        for member in &mut self.members {
            if member.state.is_retried() {
                member.state = MemberState::Taken;
                member.ended = None;
                waves.extend(member.wave);
            }
        }
        let facts = self.facts();
        let kept = self.keep(retry(&self.rollout, &facts, &waves, self.now));
        if kept.is_err() {
            self.members = before;
        }
        self.look();
        kept
    }

    /// Since when what has to come about in each wave has, decided by another hand than the machine's.
    pub(super) fn look(&mut self) {
        let facts = self.facts();
        for (number, wave) in self.definition.waves.iter().enumerate() {
            let counts = &facts.waves[number].counts;
            let has = match wave.proceed.when {
                ProceedWhen::AllEnded => counts.open() == 0,
                ProceedWhen::Succeeded(percent) => {
                    let base = counts.members() - counts.neutral();
                    counts.succeeded() * 10_000 >= u64::from(percent.hundredths()) * base
                }
            };
            let has = has && facts.waves[number].is_taken;
            let since = &mut self.come_about[number];
            *since = has.then(|| since.unwrap_or(self.rollout.engine_time.max(self.now)));
        }
    }

    fn is_over_limit(wave: &Wave, counts: &Counts, acknowledged: u64) -> bool {
        let (failed, tried) = (counts.failed(), counts.tried());
        let over = match wave.stop.map(|stop| stop.failed) {
            None => false,
            Some(Threshold::Count(count)) => failed >= count,
            Some(Threshold::Percent { percent, min }) => {
                (tried >= min || counts.open() == 0)
                    && failed * 10_000 >= u64::from(percent.hundredths()) * tried
            }
        };
        over && failed > 0 && failed > acknowledged
    }

    fn check_step(&self, facts: &Facts, step: &Step) {
        let (before, after) = (&self.rollout, &step.rollout);
        let waves = self.definition.waves.len();
        assert!(step.actions.len() <= waves + 4, "I22: {:?}", step.actions);
        let in_waves: u64 = facts.waves.iter().map(|wave| wave.counts.members()).sum();
        assert_eq!(
            facts.untaken + in_waves,
            self.members.len() as u64,
            "I1: nobody is lost"
        );
        assert!(after.engine_time >= before.engine_time, "I11");
        assert_eq!(
            after.revision > before.revision,
            Rollout {
                revision: 0,
                engine_time: beginning(),
                ..after.clone()
            } != Rollout {
                revision: 0,
                engine_time: beginning(),
                ..before.clone()
            },
            "the revision tells of every change"
        );
        let may_follow = match before.state {
            State::AwaitingApproval | State::Completed | State::Aborted => after.state == before.state,
            State::Active => true,
            State::Paused => matches!(after.state, State::Paused | State::Aborted),
        };
        assert!(may_follow, "I11: {} to {}", before.state, after.state);
        if before.is_over() {
            assert_eq!(
                after.revision, before.revision,
                "I23: late news change counts only"
            );
            assert!(step.actions.iter().all(|action| *action == Action::Cancel));
        }
        if after.state != State::Active {
            let begins =
                |action: &Action| matches!(action, Action::BeginWave { .. } | Action::CreateNext { .. });
            assert!(!step.actions.iter().any(begins), "I5: {:?}", step.actions);
        }
        let open = before.waves.iter().zip(&self.definition.waves).zip(&facts.waves);
        let over = open.filter(|((progress, wave), found)| {
            found.is_taken
                && Self::is_over_limit(
                    wave,
                    &found.counts,
                    progress.acknowledged.min(found.counts.failed()),
                )
        });
        let is_over = over.count() > 0;
        if matches!(before.state, State::Active | State::Paused) {
            assert!(!is_over || after.state != State::Active, "I12: not stopped");
        }
        let stopped = step.happened.iter().any(|happening| {
            matches!(
                happening,
                Happening::Stopped {
                    reason: Reason::StopRule,
                    ..
                }
            )
        });
        assert!(!stopped || is_over, "I12: stopped by a rule that nothing broke");
        for (number, wave) in after.waves.iter().enumerate() {
            let found = &facts.waves[number];
            let newly_done = wave.state == WaveState::Done && before.waves[number].state != WaveState::Done;
            if newly_done && found.counts.tried() == 0 && facts.untaken > 0 {
                let is_rest = self.definition.waves[number].take == Take::Rest;
                assert!(wave.passed_at.is_some() || is_rest, "I14: {number}");
            }
        }
        for happening in &step.happened {
            if let Happening::WaveBegan(begun) = happening {
                self.check_begin(*begun, facts, step);
            }
        }
    }

    /// I4: what must hold before a wave begins.
    fn check_begin(&self, begun: usize, facts: &Facts, step: &Step) {
        assert_ne!(self.rollout.approval, super::Approval::Needed, "I24");
        for number in 0..begun {
            let (wave, progress) = (&self.definition.waves[number], &step.rollout.waves[number]);
            let counts = &facts.waves[number].counts;
            assert!(
                !Self::is_over_limit(wave, counts, progress.acknowledged),
                "I4: over its limit"
            );
            if counts.members() == 0 {
                continue;
            }
            if progress.passed_at.is_none() {
                let since = self.come_about[number].expect("I4: nothing came about");
                assert!(facts.as_of >= since + wave.proceed.soak, "I4: soak");
            }
            let was_last = number + 1 == begun;
            if wave.proceed.gate == Gate::Manual && was_last {
                assert!(progress.gate_opened, "I4: gate");
            }
        }
    }

    /// I6: limits, whatever happened before.
    fn check_limits(&self) {
        if self.driver == Driver::Client {
            return;
        }
        let limits = self.rollout.limits(&self.definition);
        let running = self.facts().used.running;
        if let Some(most) = limits.running {
            assert!(running <= most.max(self.running_at_begin), "I6: {running} run");
        }
        let per_hour = self.definition.waves.iter().map(|wave| wave.limits.per_hour);
        if let Some(most) = per_hour
            .into_iter()
            .try_fold(0, |most, limit| Some(limit?.max(most)))
        {
            let last = *self.starts.last().unwrap();
            let within = self.starts.iter().filter(|start| **start + HOUR > last);
            assert!(within.count() as u64 <= most, "I6: per hour");
        }
    }
}

/// What may happen between two steps.
#[derive(Clone, Debug)]
enum Event {
    Claim(usize),
    Report(MemberState),
    Pass(u64),
    ClockBack(u64),
    Newcomer,
    Unblock,
    CancelOne,
    TruthComesOut,
    Target(TargetOffered),
    Approver(bool),
    Freeze(u64),
    Pause(bool),
    Resume(bool),
    Advance(usize),
    Retry,
    Approve,
    Abort,
    Step,
    StepAndDie(usize),
}

fn some_percent() -> impl Strategy<Value = Percent> {
    (1_u16..=10_000).prop_map(|hundredths| Percent::of_hundredths(hundredths).unwrap())
}

fn some_wave() -> impl Strategy<Value = Wave> {
    let take = prop_oneof![
        (1_u64..6).prop_map(Take::Count),
        some_percent().prop_map(Take::Percent),
        Just(Take::Filter("a".to_owned())),
    ];
    let when = prop_oneof![
        Just(ProceedWhen::AllEnded),
        some_percent().prop_map(ProceedWhen::Succeeded)
    ];
    let threshold = prop_oneof![
        (1_u64..4).prop_map(Threshold::Count),
        (0_u16..=10_000, 1_u64..6).prop_map(|(hundredths, min)| Threshold::Percent {
            percent: Percent::of_hundredths(hundredths).unwrap(),
            min
        }),
    ];
    let then = prop_oneof![9 => Just(Consequence::Pause), 1 => Just(Consequence::Abort)];
    let stop = proptest::option::of((threshold, then).prop_map(|(failed, then)| StopRule { failed, then }));
    let gate = prop_oneof![Just(Gate::Auto), Just(Gate::Manual)];
    let limits = (proptest::option::of(1_u64..5), proptest::option::of(1_u64..8));
    let limits = limits.prop_map(|(running, per_hour)| Limits { running, per_hour });
    let minutes = |most: u64| (0..most).prop_map(|minutes| MINUTE * u32::try_from(minutes).unwrap());
    let deadline = proptest::option::of((1_u64..400).prop_map(|m| MINUTE * u32::try_from(m).unwrap()));
    (take, when, minutes(120), gate, stop, limits, deadline).prop_map(
        |(take, when, soak, gate, stop, limits, deadline)| Wave {
            name: String::new(),
            take,
            order: Order::Name,
            proceed: Proceed { when, soak, gate },
            stop,
            limits,
            deadline,
        },
    )
}

fn some_rollout() -> impl Strategy<Value = Definition> {
    let later = prop_oneof![Just(Later::Ignore), Just(Later::Include)];
    (
        proptest::collection::vec(some_wave(), 1..4),
        proptest::option::of(some_wave()),
        later,
    )
        .prop_map(|(mut waves, rest, later)| {
            waves.extend(rest.map(|rest| Wave {
                take: Take::Rest,
                ..rest
            }));
            let mut definition = rollout_of(waves);
            definition.select.later = later;
            definition
        })
}

fn some_event() -> impl Strategy<Value = Event> {
    use MemberState::{Failed, Skipped, Unknown, Updated};
    let result = prop_oneof![5 => Just(Updated), 2 => Just(Failed), 1 => Just(Unknown), 1 => Just(Skipped)];
    let offered = prop_oneof![
        Just(TargetOffered::Everywhere),
        Just(TargetOffered::Partly),
        Just(TargetOffered::Nowhere)
    ];
    prop_oneof![
        12 => Just(Event::Step),
        6 => (0_usize..5).prop_map(Event::StepAndDie),
        10 => (1_usize..6).prop_map(Event::Claim),
        14 => result.prop_map(Event::Report),
        6 => (0_u64..180).prop_map(Event::Pass),
        1 => (0_u64..50).prop_map(Event::ClockBack),
        1 => Just(Event::Newcomer),
        2 => Just(Event::Unblock),
        1 => Just(Event::CancelOne),
        1 => Just(Event::TruthComesOut),
        1 => offered.prop_map(Event::Target),
        1 => any::<bool>().prop_map(Event::Approver),
        1 => (0_u64..120).prop_map(Event::Freeze),
        1 => any::<bool>().prop_map(Event::Pause),
        4 => any::<bool>().prop_map(Event::Resume),
        3 => (0_usize..5).prop_map(Event::Advance),
        2 => Just(Event::Retry),
        2 => Just(Event::Approve),
        1 => prop_oneof![8 => Just(Event::Step), 1 => Just(Event::Abort)],
    ]
}

fn some_verdict() -> impl Strategy<Value = MemberState> {
    use MemberState::{AlreadyThere, Blocked, Refused, Scheduled};
    prop_oneof![7 => Just(Scheduled), 1 => Just(AlreadyThere), 1 => Just(Blocked), 1 => Just(Refused)]
}

fn some_driver() -> impl Strategy<Value = Driver> {
    prop_oneof![Just(Driver::Service), Just(Driver::Client)]
}

impl World {
    fn happens(&mut self, event: &Event) {
        match *event {
            Event::Step => drop(self.step()),
            Event::StepAndDie(things) => drop(self.step_and_die(things)),
            Event::Claim(most) => self.claim(most),
            Event::Report(result) => self.report(result),
            Event::Pass(minutes) => self.pass(MINUTE * u32::try_from(minutes).unwrap()),
            Event::ClockBack(minutes) => {
                let back = self.now - MINUTE * u32::try_from(minutes).unwrap();
                self.now = back.max(self.rollout.engine_time - MINUTE * 50);
            }
            Event::Newcomer => self.later += 1,
            Event::Unblock => {
                for member in &mut self.members {
                    if member.state == MemberState::Blocked {
                        member.state = MemberState::Taken;
                        member.verdict = MemberState::Scheduled;
                    }
                }
            }
            Event::CancelOne => {
                let now = self.engine_time();
                let mut members = self.members.iter_mut();
                if let Some(one) = members.find(|member| member.state == MemberState::Scheduled) {
                    one.state = MemberState::Canceled;
                    one.ended = Some(now);
                }
            }
            Event::TruthComesOut => {
                let now = self.engine_time();
                let mut members = self.members.iter_mut();
                if let Some(one) = members.find(|member| member.state == MemberState::Unknown) {
                    one.state = MemberState::Updated;
                    one.ended = Some(now);
                }
            }
            Event::Target(offered) => self.target = offered,
            Event::Approver(may) => self.approver_may = may,
            Event::Freeze(minutes) => {
                let until = self.engine_time() + MINUTE * u32::try_from(minutes).unwrap();
                self.frozen_until = (self.driver == Driver::Client).then_some(until);
            }
            Event::Pause(_)
            | Event::Resume(_)
            | Event::Advance(_)
            | Event::Retry
            | Event::Approve
            | Event::Abort => self.is_asked(event),
        }
        self.look();
        self.running_at_begin = self.running_at_begin.max(self.facts().used.running);
    }

    /// I19, I20: a verb that is refused changes nothing, and asked again one changes nothing more.
    fn is_asked(&mut self, event: &Event) {
        let before = (self.rollout.clone(), self.members.clone());
        if self.ask(event).is_err() {
            assert_eq!(before, (self.rollout.clone(), self.members.clone()), "I19");
            return;
        }
        let once = (self.rollout.clone(), self.members.clone());
        assert_eq!(self.ask(event), Ok(false), "I20: {event:?}");
        assert_eq!(
            once,
            (self.rollout.clone(), self.members.clone()),
            "I20: {event:?}"
        );
        if let Event::Advance(wave) = event {
            for (number, (now, before)) in self.rollout.waves.iter().zip(&before.0.waves).enumerate() {
                assert!(
                    number == *wave || now.gate_opened == before.gate_opened,
                    "I20: gates"
                );
            }
        }
    }

    fn ask(&mut self, event: &Event) -> Result<bool, RuleError> {
        match *event {
            Event::Pause(withdraw) => self.pause(withdraw),
            Event::Resume(with_reason) => self.resume(with_reason.then_some("it was the network")),
            Event::Advance(wave) => self.advance(wave),
            Event::Retry => self.retry(),
            Event::Approve => {
                let approver = Approver {
                    signed_in: Some(self.now),
                    ..another_person()
                };
                self.keep(approve(&self.rollout, &approver, self.now))
            }
            _ => self.abort(),
        }
    }

    /// An executor that ends every hotfix, in its order, and people who let everything go on; the driver may be killed
    /// between any two things that it does. Each result is fixed beforehand, by the member and its attempt.
    fn live(&mut self, results: &[MemberState], kills: &mut dyn FnMut() -> usize) -> bool {
        for _ in 0..2_000 {
            while self.step_and_die(kills()).1 {}
            self.rest();
            if self.rollout.is_over() && self.facts().sum(Counts::open) == 0 {
                return true;
            }
            if self.rollout.state == State::Paused {
                self.resume(Some("go on")).unwrap();
                continue;
            }
            for wave in 0..self.rollout.waves.len() {
                if self.rollout.waves[wave].state == WaveState::AwaitingGate {
                    self.advance(wave).unwrap();
                }
            }
            self.happens(&Event::Unblock);
            let running = |member: &Member| member.state == MemberState::Running;
            self.claim(1);
            if let Some(number) = self.members.iter().position(running) {
                self.report(results[number % results.len()]);
            }
            self.pass(MINUTE * 13);
        }
        false
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// I1, I4, I5, I6, I8, I11, I12, I14, I19, I20, I22, I23, I24, in any history.
    #[test]
    fn whatever_happens_nothing_begins_that_must_not(
        definition in some_rollout(),
        verdicts in proptest::collection::vec(some_verdict(), 1..14),
        driver in some_driver(),
        needs_approval in any::<bool>(),
        events in proptest::collection::vec(some_event(), 1..120),
    ) {
        let mut world = World::approved(definition, verdicts.len(), driver, needs_approval);
        for (member, verdict) in world.members.iter_mut().zip(verdicts) {
            member.verdict = verdict;
        }
        for event in &events {
            let before = world.members.clone();
            let was_over = world.rollout.is_over();
            world.happens(event);
            for (member, before) in world.members.iter().zip(&before) {
                prop_assert!(before.wave.is_none() || member.wave == before.wave, "I11: a wave is for ever");
                prop_assert!(member.attempts >= before.attempts, "I11");
                prop_assert!(!was_over || member.attempts == before.attempts || !world.rollout.is_over(), "I23");
            }
            if world.rollout.approval == super::Approval::Needed {
                prop_assert!(world.members.iter().all(|member| member.wave.is_none()), "I24");
            }
        }
        world.rest();
    }

    /// I9, I13: it comes to rest, and with people and an executor who go on it ends.
    #[test]
    fn it_ends(
        definition in some_rollout(),
        verdicts in proptest::collection::vec(some_verdict(), 1..14),
        results in proptest::collection::vec(
            prop_oneof![Just(MemberState::Updated), Just(MemberState::Failed), Just(MemberState::Skipped)], 1..14),
        driver in some_driver(),
    ) {
        let mut world = World::new(definition, verdicts.len(), driver);
        for (member, verdict) in world.members.iter_mut().zip(verdicts) {
            member.verdict = verdict;
        }
        prop_assert!(world.live(&results, &mut || usize::MAX), "I13: {:?}", world.rollout);
    }

    /// I10: wherever a driver is killed, in the end every member is where it would be without that. Without limits it
    /// is there at the same time too; with them a wave that finds nobody binds the others for as long as its driver
    /// needs for a step.
    #[test]
    fn a_kill_changes_nothing(
        mut definition in some_rollout(),
        verdicts in proptest::collection::vec(some_verdict(), 1..14),
        results in proptest::collection::vec(
            prop_oneof![Just(MemberState::Updated), Just(MemberState::Failed), Just(MemberState::Skipped)], 1..14),
        driver in some_driver(),
        kills in proptest::collection::vec(0_usize..6, 1..40),
    ) {
        for wave in &mut definition.waves {
            wave.limits = Limits::default();
        }
        let mut world = World::new(definition, verdicts.len(), driver);
        for (member, verdict) in world.members.iter_mut().zip(verdicts) {
            member.verdict = verdict;
        }
        let mut killed = world.clone();
        prop_assert!(world.live(&results, &mut || usize::MAX));
        let mut kills = kills.into_iter();
        prop_assert!(killed.live(&results, &mut || kills.next().unwrap_or(usize::MAX)));
        prop_assert_eq!(world.members, killed.members);
        prop_assert_eq!(world.rollout.outcome, killed.rollout.outcome);
        prop_assert_eq!(world.happened.len() >= killed.happened.len(), true);
    }

    /// I12: where everything fails, a share stops the first wave that tries anything.
    #[test]
    fn a_stop_is_reachable(
        hundredths in 0_u16..=10_000,
        min in 1_u64..30,
        members in 1_usize..20,
        first in 1_u64..8,
    ) {
        let rule = StopRule {
            failed: Threshold::Percent { percent: Percent::of_hundredths(hundredths).unwrap(), min },
            then: Consequence::Pause,
        };
        let stopped = |take| Wave { stop: Some(rule), ..wave(take) };
        let definition = rollout_of(vec![stopped(Take::Count(first)), stopped(Take::Rest)]);
        let mut world = World::new(definition, members, Driver::Service);
        world.rest();
        let first = usize::try_from(first).unwrap().min(members);
        world.end_as(MemberState::Failed, first);
        prop_assert_eq!(world.rollout.reason, Some(Reason::StopRule));
        prop_assert_eq!(world.rollout.waves[1].state, WaveState::Waiting);
    }
}
