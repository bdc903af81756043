//! What went wrong with comparable machines, or was asked of them, and what this one does in the same place.

use super::{
    Action, ApprovalPolicy, Approver, Driver, Happening, MemberState, Outcome, Reason, State, TargetOffered,
    WaveState, approve,
    definition::{
        Consequence, Gate, Later, Limits, Percent, Planned, ProceedWhen, StopRule, Take, Threshold, Wave,
    },
    model::{World, another_person, beginning, percent, rollout_of, wave},
    reject, step,
};
use crate::{
    principal::{CallerKind, Roles},
    problem::Code,
};
use MemberState::{
    AlreadyThere, Blocked, Canceled, Expired, Failed, Refused, Running, Scheduled, Skipped, Taken, Unknown,
    Untaken, Updated,
};
use std::time::Duration;

const HOURS: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(24 * 3_600);

fn share(of: u16, min: u64) -> Option<StopRule> {
    Some(StopRule {
        failed: Threshold::Percent {
            percent: percent(of),
            min,
        },
        then: Consequence::Pause,
    })
}

fn count(count: u64, then: Consequence) -> Option<StopRule> {
    Some(StopRule {
        failed: Threshold::Count(count),
        then,
    })
}

fn first(count: u64) -> Wave {
    wave(Take::Count(count))
}

fn rest() -> Wave {
    wave(Take::Rest)
}

fn succeeded(mut wave: Wave, of: u16) -> Wave {
    wave.proceed.when = ProceedWhen::Succeeded(percent(of));
    wave
}

fn soaking(mut wave: Wave, soak: Duration) -> Wave {
    wave.proceed.soak = soak;
    wave
}

fn gated(mut wave: Wave) -> Wave {
    wave.proceed.gate = Gate::Manual;
    wave
}

fn stopping(stop: Option<StopRule>, wave: Wave) -> Wave {
    Wave { stop, ..wave }
}

/// A rollout that has begun at the service and made its first hotfixes.
fn begun(waves: Vec<Wave>, members: usize) -> World {
    let mut world = World::new(rollout_of(waves), members, Driver::Service);
    world.rest();
    world
}

fn states(world: &World) -> (State, Option<Reason>, Vec<WaveState>) {
    let waves = world.rollout.waves.iter().map(|wave| wave.state);
    (world.rollout.state, world.rollout.reason, waves.collect())
}

fn paused(reason: Reason, waves: &[WaveState]) -> (State, Option<Reason>, Vec<WaveState>) {
    (State::Paused, Some(reason), waves.to_vec())
}

fn active(waves: &[WaveState]) -> (State, Option<Reason>, Vec<WaveState>) {
    (State::Active, None, waves.to_vec())
}

/// Ends members of a wave that have a hotfix, without a step in between.
fn end_at_once(world: &mut World, ended: &[(MemberState, usize)]) {
    let now = world.now;
    for (state, number) in ended {
        let open = world
            .members
            .iter_mut()
            .filter(|member| member.state == Scheduled);
        for member in open.take(*number) {
            member.state = *state;
            member.ended = Some(now);
        }
    }
    world.look();
}

// Thresholds and counting

#[test]
fn s01_a_canary_smaller_than_the_minimum_can_fail() {
    let mut world = begun(vec![stopping(share(5, 3), first(2)), rest()], 10);
    world.end_as(Failed, 1);
    assert_eq!(states(&world), active(&[WaveState::Active, WaveState::Waiting]));
    world.end_as(Failed, 1);
    assert_eq!(
        states(&world),
        paused(Reason::StopRule, &[WaveState::Stopped, WaveState::Waiting])
    );
}

#[test]
fn s02_the_limit_is_inclusive() {
    let mut world = begun(vec![stopping(share(5, 3), first(20)), rest()], 30);
    world.end_as(Updated, 19);
    world.end_as(Failed, 1);
    assert_eq!(
        states(&world),
        paused(Reason::StopRule, &[WaveState::Stopped, WaveState::Waiting])
    );
}

#[test]
fn s03_what_cannot_be_reached_any_more_pauses_at_once() {
    let mut world = begun(vec![succeeded(first(7), 95), rest()], 20);
    world.claim(7);
    world.report(Failed);
    world.step();
    assert_eq!(
        states(&world),
        paused(
            Reason::ProceedUnreachable,
            &[WaveState::Stopped, WaveState::Waiting]
        )
    );
    let refused = world.resume(None).unwrap_err();
    assert_eq!(refused.details[0].code, "ReasonRequired");
    assert!(refused.message.contains("wave 0"), "{}", refused.message);
    assert_eq!(world.resume(Some("the seventh was broken before")), Ok(true));
    world.step();
    assert_eq!(states(&world), active(&[WaveState::Done, WaveState::Active]));
}

#[test]
fn s04_what_says_nothing_does_not_count() {
    let mut world = begun(vec![soaking(succeeded(first(100), 95), 4 * HOURS), rest()], 110);
    world.end_as(Skipped, 10);
    world.claim(90);
    for _ in 0..85 {
        world.report(Updated);
        world.step();
    }
    assert_eq!(world.rollout.waves[0].state, WaveState::Active);
    world.pass(HOURS);
    world.report(Updated);
    let of_the_86th = world.now;
    world.pass(HOURS);
    world.step();
    let wave = world.rollout.waves[0];
    assert_eq!(
        (wave.state, wave.proceeds_since),
        (WaveState::Soaking, Some(of_the_86th))
    );
    assert_eq!(world.step().wake_at, Some(of_the_86th + 4 * HOURS));
}

#[test]
fn s05_each_end_counts_as_what_it_is() {
    let ends = [
        (Updated, 4),
        (AlreadyThere, 1),
        (Skipped, 2),
        (Failed, 1),
        (Unknown, 1),
        (Refused, 1),
    ];
    for (limit, is_stopped) in [(30, false), (28, true)] {
        let mut world = begun(vec![stopping(share(limit, 5), first(10)), rest()], 20);
        end_at_once(&mut world, &ends);
        let counts = world.counts(0);
        assert_eq!(
            (
                counts.succeeded(),
                counts.failed(),
                counts.neutral(),
                counts.tried()
            ),
            (5, 2, 3, 7)
        );
        world.step();
        assert_eq!(world.rollout.state == State::Paused, is_stopped, "{limit} %");
        assert_eq!(world.rollout.waves[0].state == WaveState::Done, !is_stopped);
    }
}

#[test]
fn s06_where_nothing_was_tried_nothing_is_known() {
    let mut world = begun(vec![first(3), rest()], 10);
    end_at_once(&mut world, &[(Skipped, 3)]);
    world.step();
    assert_eq!(
        states(&world),
        paused(Reason::NothingTried, &[WaveState::Stopped, WaveState::Waiting])
    );
    assert!(world.resume(None).is_err());
    assert_eq!(world.resume(Some("they are test systems")), Ok(true));
    world.step();
    assert_eq!(states(&world), active(&[WaveState::Done, WaveState::Active]));
}

#[test]
fn s07_without_a_failure_nothing_stops() {
    let mut world = begun(vec![stopping(share(0, 1), first(10))], 10);
    world.end_as(Updated, 9);
    assert_eq!(world.rollout.state, State::Active);
    world.end_as(Failed, 1);
    assert_eq!(world.rollout.reason, Some(Reason::StopRule));
}

#[test]
fn s08_who_was_faster_has_succeeded() {
    let mut world = World::new(rollout_of(vec![first(5)]), 5, Driver::Service);
    world.members[2].verdict = AlreadyThere;
    world.rest();
    assert_eq!(world.in_states([Scheduled, AlreadyThere, Refused]), [4, 1, 0]);
    assert_eq!(world.members[2].attempts, 0);
}

#[test]
fn s09_a_late_failure_of_a_wave_that_is_done_stops_the_next() {
    let canary = stopping(count(2, Consequence::Pause), succeeded(first(20), 80));
    let mut world = begun(vec![canary, first(5_000)], 5_020);
    world.claim(20);
    for result in [Failed].into_iter().chain([Updated; 16]) {
        world.report(result);
    }
    for _ in 0..4 {
        world.step();
    }
    assert_eq!(states(&world), active(&[WaveState::Done, WaveState::Active]));
    assert_eq!(world.in_states([Scheduled, Taken]), [1_500, 3_500]);
    world.report(Failed);
    let step = world.step();
    assert_eq!(step.actions, [Action::Hold], "no fourth batch");
    assert_eq!(
        states(&world),
        paused(Reason::StopRule, &[WaveState::Stopped, WaveState::Active])
    );
    assert_eq!(world.facts().held, 1_500);
    assert_eq!(world.resume(None), Ok(true));
    assert_eq!(states(&world), active(&[WaveState::Done, WaveState::Active]));
    world.rest();
    assert_eq!(world.in_states([Scheduled, Taken]), [5_000, 0]);
    assert!(world.members.iter().all(|member| member.attempts == 1));
}

#[test]
fn s10_two_waves_over_their_limits_are_one_pause() {
    let rule = count(1, Consequence::Pause);
    let canary = stopping(rule, succeeded(first(4), 50));
    let mut world = begun(vec![canary, stopping(rule, rest())], 10);
    world.end_as(Updated, 2);
    world.claim(8);
    world.step();
    for _ in 0..8 {
        world.claim(1);
        world.report(Failed);
    }
    let step = world.step();
    let told = Happening::Stopped {
        reason: Reason::StopRule,
        waves: vec![0, 1],
    };
    assert_eq!(step.happened, [told]);
    assert_eq!(
        states(&world),
        paused(Reason::StopRule, &[WaveState::Stopped, WaveState::Stopped])
    );
    world.rest();
    let again = world.step();
    assert_eq!((again.actions.len(), again.happened.len()), (0, 0));
}

#[test]
fn s11_a_rule_may_abort() {
    let mut world = begun(vec![stopping(count(2, Consequence::Abort), first(40))], 50);
    world.claim(10);
    world.report(Failed);
    world.report(Failed);
    world.rest();
    assert_eq!(
        (world.rollout.state, world.rollout.reason),
        (State::Aborted, Some(Reason::StopRule))
    );
    assert_eq!(world.in_states([Canceled, Running, Failed]), [30, 8, 2]);
    let revision = world.rollout.revision;
    world.report(Updated);
    world.rest();
    assert_eq!(world.rollout.revision, revision);
    assert_eq!(world.in_states([Running, Updated, Untaken]), [7, 1, 10]);
}

#[test]
fn s12_a_member_counts_once_by_its_last_attempt() {
    let mut world = begun(vec![stopping(count(2, Consequence::Pause), first(5))], 5);
    world.end_as(Failed, 1);
    assert_eq!(world.retry(), Ok(true));
    world.rest();
    world.end_as(Failed, 1);
    assert_eq!(world.members[0].attempts, 2);
    assert_eq!(
        (world.rollout.state, world.counts(0).failed()),
        (State::Active, 1)
    );
}

// Waves and selection

#[test]
fn s13_shares_are_of_the_whole_and_rounded_up() {
    let mut world = begun(vec![wave(Take::Percent(percent(10))); 10], 11);
    for _ in 0..11 {
        world.end_as(Updated, 1);
        world.rest();
    }
    let taken: Vec<u64> = (0..10).map(|wave| world.counts(wave).members()).collect();
    assert_eq!(taken, [2, 2, 2, 2, 2, 1, 0, 0, 0, 0]);
    assert_eq!(world.rollout.outcome, Some(Outcome::Succeeded));
}

#[test]
fn s14_a_share_is_at_least_one() {
    let mut world = begun(vec![wave(Take::Percent(percent(1))), rest()], 3);
    world.end_as(Updated, 1);
    world.rest();
    assert_eq!((world.counts(0).members(), world.counts(1).members()), (1, 2));
}

#[test]
fn s15_what_no_wave_takes_is_told_and_counted() {
    let tenths = |of| wave(Take::Percent(percent(of)));
    let definition = rollout_of(vec![tenths(10), tenths(20)]);
    let planned = Planned {
        untaken: 70,
        ..Planned::default()
    };
    let warnings = definition.warnings(&planned);
    assert_eq!(warnings[0].code, "NotCovered");
    assert!(warnings[0].message.contains("70"), "{}", warnings[0].message);
    let mut world = World::new(definition, 100, Driver::Service);
    for _ in 0..40 {
        world.rest();
        world.end_as(Updated, 1);
    }
    assert_eq!(world.rollout.state, State::Completed);
    assert_eq!(world.in_states([Updated, Untaken]), [30, 70]);
}

#[test]
fn s18_a_wave_that_finds_nobody_pauses() {
    let mut canary = World::new(
        rollout_of(vec![
            wave(Take::Filter("tags/any(t:t eq 'canary')".to_owned())),
            rest(),
        ]),
        800,
        Driver::Service,
    );
    // The tag was deleted, so the wave takes nobody.
    let mut begun = canary.step();
    assert_eq!(begun.actions, [Action::BeginWave { wave: 0, most: None }]);
    for member in &mut canary.members {
        (member.state, member.wave) = (Untaken, None);
    }
    begun = canary.step();
    assert!(begun.actions.is_empty());
    assert_eq!(
        states(&canary),
        paused(Reason::EmptyWave, &[WaveState::Stopped, WaveState::Waiting])
    );
    assert!(canary.resume(Some(" ")).is_err());
    assert_eq!(canary.resume(Some("the canaries are gone for good")), Ok(true));
    canary.rest();
    assert_eq!(canary.counts(1)[Scheduled], 800);
}

#[test]
fn s20_newcomers_join_what_has_not_begun() {
    let mut definition = rollout_of(vec![first(1), first(1), soaking(rest(), HOURS)]);
    definition.select.later = Later::Include;
    let mut world = World::new(definition, 3, Driver::Service);
    world.rest();
    world.end_as(Updated, 1);
    world.rest();
    world.later = 1;
    world.rest();
    assert_eq!(world.in_states([Untaken]), [2], "it is a member, and of no wave");
    world.end_as(Updated, 1);
    world.rest();
    assert_eq!(world.counts(2).members(), 2);
    world.later = 1;
    world.rest();
    assert_eq!(
        world.counts(2).members(),
        3,
        "the last wave takes them while it goes on"
    );
    world.end_as(Updated, 3);
    assert_eq!(world.rollout.waves[2].state, WaveState::Soaking);
    world.later = 1;
    world.rest();
    world.pass(HOURS);
    world.rest();
    assert_eq!(world.rollout.state, State::Completed);
    assert_eq!((world.facts().members(), world.later), (5, 1));
}

#[test]
fn s22_a_lot_does_not_depend_on_who_else_takes_part() {
    use super::definition::lot;
    use crate::{environment::EnvironmentKey, ids::TenantId};
    let key = |name: &str| EnvironmentKey::new(TenantId(uuid::Uuid::nil()), "BusinessCentral", name);
    let names: Vec<String> = (0..1_000).map(|number| format!("env{number}")).collect();
    let mut lots: Vec<u64> = names.iter().map(|name| lot(7, &key(name))).collect();
    assert_eq!(lot(7, &key("ENV1")), lots[1], "it goes by the key");
    assert_ne!(lot(8, &key("env1")), lots[1], "it goes by the seed");
    let early = lots.iter().take(100).filter(|lot| **lot < u64::MAX / 2).count();
    assert!((30..70).contains(&early), "neighbours are spread: {early}");
    lots.sort_unstable();
    lots.dedup();
    assert_eq!(lots.len(), 1_000);
}

// The environments' own life, other rollouts and versions

#[test]
fn s28_what_is_busy_is_waited_for_and_asked_again() {
    let mut world = World::new(rollout_of(vec![first(2), rest()]), 3, Driver::Service);
    world.members[0].verdict = Blocked;
    world.rest();
    world.end_as(Updated, 1);
    assert_eq!(states(&world), active(&[WaveState::Active, WaveState::Waiting]));
    assert_eq!(world.in_states([Blocked, Refused]), [1, 0]);
    world.members[0].state = Taken;
    world.members[0].verdict = AlreadyThere;
    world.rest();
    assert_eq!(states(&world), active(&[WaveState::Done, WaveState::Active]));
}

#[test]
fn s31_a_hotfix_that_is_canceled_singly_breaks_no_share() {
    let rules = stopping(share(50, 1), succeeded(first(3), 100));
    let mut world = begun(vec![rules, rest()], 5);
    end_at_once(&mut world, &[(Canceled, 1)]);
    world.end_as(Updated, 2);
    world.step();
    assert_eq!(states(&world), active(&[WaveState::Done, WaveState::Active]));
    assert_eq!(world.retry(), Ok(false), "only who names it has it tried again");
}

#[test]
fn s34_a_target_that_is_withdrawn_pauses_before_anything_is_refused() {
    let mut world = begun(vec![first(2_300)], 2_300);
    world.resume(None).unwrap();
    world.target = TargetOffered::Nowhere;
    let step = world.step();
    assert_eq!(step.actions, [Action::Hold]);
    assert_eq!(world.rollout.reason, Some(Reason::TargetWithdrawn));
    let refused = world.resume(Some("please")).unwrap_err();
    assert_eq!(
        (refused.code, refused.details[0].code.as_str()),
        (Code::RolloutNotInState, "TargetWithdrawn")
    );
    world.target = TargetOffered::Partly;
    assert_eq!(world.resume(None), Ok(true));
    assert_eq!(world.step().actions, [Action::Release]);
}

// Time

#[test]
fn s37_a_client_withdraws_what_a_freeze_covers() {
    let mut world = World::new(rollout_of(vec![first(4)]), 4, Driver::Client);
    world.rest();
    assert_eq!(world.in_states([Scheduled]), [4]);
    let end = world.now + 2 * HOURS;
    world.frozen_until = Some(end);
    let step = world.step();
    assert_eq!((step.actions, step.wake_at), (vec![Action::Withdraw], None));
    assert_eq!(world.step().wake_at, Some(end));
    assert_eq!(world.in_states([Scheduled, Taken]), [0, 4]);
    assert_eq!(world.rollout.state, State::Active);
    world.pass(2 * HOURS);
    world.rest();
    assert_eq!(world.in_states([Scheduled]), [4]);
}

#[test]
fn s38_what_has_not_begun_by_the_deadline_is_called_off() {
    let mut canary = first(3);
    canary.deadline = Some(2 * DAY);
    let definition = rollout_of(vec![canary, rest()]);
    let planned = Planned {
        after_deadline: vec![1, 0],
        ..Planned::default()
    };
    let warned = definition.warnings(&planned);
    assert_eq!(warned[0].code, "StartsAfterDeadline");
    let mut world = World::new(definition, 5, Driver::Service);
    world.rest();
    world.end_as(Updated, 1);
    world.claim(1);
    world.pass(DAY);
    world.pause(false).unwrap();
    world.pass(10 * DAY);
    world.rest();
    world.resume(None).unwrap();
    world.rest();
    assert_eq!(
        world.in_states([Expired]),
        [0],
        "what it was paused does not count"
    );
    assert_eq!(world.step().wake_at, Some(world.now + DAY));
    world.pass(DAY);
    world.rest();
    assert_eq!(world.in_states([Expired, Running, Updated]), [1, 1, 1]);
    world.report(Updated);
    world.rest();
    assert_eq!(world.rollout.waves[0].state, WaveState::Done);
}

#[test]
fn s39_a_judgement_is_corrected_and_a_pause_stays() {
    let mut world = begun(vec![stopping(count(1, Consequence::Pause), first(2))], 2);
    world.end_as(Unknown, 1);
    assert_eq!(world.rollout.reason, Some(Reason::StopRule));
    world.members[0].state = Updated;
    world.step();
    assert_eq!(
        (world.rollout.state, world.counts(0).failed()),
        (State::Paused, 0)
    );
    assert_eq!(world.resume(None), Ok(true));
}

#[test]
fn s41_the_engines_time_never_goes_back() {
    let mut world = begun(vec![soaking(first(1), 2 * HOURS), rest()], 2);
    world.end_as(Updated, 1);
    world.pass(2 * HOURS - Duration::from_secs(600));
    let before = world.now;
    world.step();
    world.now = before - Duration::from_secs(1_200);
    let step = world.step();
    assert_eq!(step.rollout.engine_time, before);
    assert_eq!(step.wake_at, Some(beginning() + 2 * HOURS));
    world.now = before - 2 * HOURS;
    let behind = step_of(&world).unwrap_err();
    assert_eq!((behind.now, behind.before), (world.now, before));
}

fn step_of(world: &World) -> Result<super::Step, super::ClockBehind> {
    step(&world.definition, &world.rollout, &world.facts(), world.now)
}

#[test]
fn s42_old_facts_open_nothing_and_failures_come_before_gates() {
    let rules = stopping(count(1, Consequence::Pause), succeeded(first(2), 50));
    let mut world = begun(vec![soaking(rules, HOURS), rest()], 5);
    world.end_as(Updated, 1);
    world.claim(1);
    world.step();
    let old = world.facts();
    world.pass(3 * DAY);
    let on_old = step(&world.definition, &world.rollout, &old, world.now).unwrap();
    assert_eq!(on_old.rollout.waves[0].state, WaveState::Soaking);
    assert!(on_old.actions.is_empty());
    world.report(Failed);
    world.step();
    assert_eq!(
        states(&world),
        paused(Reason::StopRule, &[WaveState::Stopped, WaveState::Waiting])
    );
}

#[test]
fn s43_a_soak_runs_on_through_a_pause() {
    for away in [HOURS / 2, 21 * DAY] {
        let mut world = begun(vec![soaking(first(1), 4 * HOURS), rest()], 5);
        world.end_as(Updated, 1);
        let until = world.now + 4 * HOURS;
        world.pass(HOURS);
        world.pause(false).unwrap();
        world.pass(away);
        world.rest();
        assert_eq!(world.counts(1).members(), 0);
        world.resume(None).unwrap();
        let step = world.step();
        let is_over = world.now >= until;
        assert_eq!(step.wake_at, (!is_over).then_some(until));
        assert_eq!(world.counts(1).members() > 0, is_over);
    }
}

#[test]
fn s44_results_count_while_it_is_paused() {
    let mut world = begun(vec![gated(first(6)), rest()], 12);
    world.claim(6);
    world.pause(false).unwrap();
    for _ in 0..6 {
        world.report(Updated);
        world.rest();
    }
    assert_eq!(
        states(&world),
        paused(Reason::Requested, &[WaveState::AwaitingGate, WaveState::Waiting])
    );
    assert_eq!(world.advance(0), Ok(true));
    world.rest();
    assert_eq!(world.counts(1).members(), 0);
    world.resume(None).unwrap();
    world.rest();
    assert_eq!(world.counts(1)[Scheduled], 6);
}

// Verbs and people

#[test]
fn s46_it_can_be_aborted_whatever_it_does() {
    let mut waiting = World::approved(rollout_of(vec![first(2)]), 2, Driver::Service, true);
    assert_eq!(waiting.abort(), Ok(true));
    waiting.rest();
    assert_eq!(waiting.in_states([Untaken]), [2]);
    let mut held = begun(vec![first(2)], 2);
    held.pause(false).unwrap();
    held.rest();
    assert_eq!(held.abort(), Ok(true));
    held.rest();
    assert_eq!(held.in_states([Canceled]), [2]);
    let mut retried = begun(vec![first(2)], 2);
    retried.end_as(Failed, 1);
    retried.retry().unwrap();
    assert_eq!(retried.abort(), Ok(true));
    retried.rest();
    assert_eq!(retried.in_states([Canceled]), [2]);
    assert_eq!(retried.members[0].attempts, 1, "the second was never made");
    assert!(retried.retry().is_err() && retried.resume(None).is_err() && retried.pause(true).is_err());
    assert_eq!(retried.abort(), Ok(false));
}

#[test]
fn s47_a_verb_names_its_wave() {
    let mut world = begun(vec![gated(first(1)), gated(first(1)), rest()], 3);
    world.end_as(Updated, 1);
    assert_eq!(world.rollout.waves[0].state, WaveState::AwaitingGate);
    assert_eq!(world.advance(0), Ok(true));
    world.rest();
    world.end_as(Updated, 1);
    assert_eq!(world.rollout.waves[1].state, WaveState::AwaitingGate);
    assert_eq!(world.advance(0), Ok(false));
    assert_eq!(world.rollout.waves[1].state, WaveState::AwaitingGate);
    assert_eq!(world.advance(7).unwrap_err().code, Code::ResourceDoesNotExist);
}

#[test]
fn s48_what_is_not_at_its_gate_is_not_advanced_and_that_is_forgotten() {
    let mut world = begun(vec![gated(soaking(first(1), HOURS)), rest()], 3);
    world.end_as(Updated, 1);
    let refused = world.advance(0).unwrap_err();
    assert_eq!(refused.code, Code::RolloutNotInState);
    assert!(refused.message.contains("Soaking"), "{}", refused.message);
    world.pass(HOURS);
    world.rest();
    assert_eq!(world.rollout.waves[0].state, WaveState::AwaitingGate);
    world.abort().unwrap();
    let refused = world.advance(0).unwrap_err();
    assert_eq!(refused.extension, [("state", "Aborted".to_owned())]);
}

#[test]
fn s49_another_person_approves() {
    let world = World::approved(rollout_of(vec![first(1)]), 1, Driver::Service, true);
    let refused = |approver: Approver| {
        let error = approve(&world.rollout, &approver, world.now).unwrap_err();
        assert_eq!(error.code, Code::Forbidden);
        error.details[0].code.clone()
    };
    let good = another_person();
    assert_eq!(
        refused(Approver {
            is_creator: true,
            ..good
        }),
        "CreatorMayNotApprove"
    );
    for kind in [
        CallerKind::Application,
        CallerKind::Publisher,
        CallerKind::Delegated,
    ] {
        assert_eq!(refused(Approver { kind, ..good }), "ApproverMustBeUser");
    }
    assert_eq!(
        refused(Approver {
            is_uploader: true,
            ..good
        }),
        "UploaderMayNotApprove"
    );
    assert_eq!(
        refused(Approver {
            roles: Roles::NONE,
            ..good
        }),
        "ApproverNeedsRole"
    );
    let second = Duration::from_secs(1);
    for (since, refusal) in [(DAY - second, Some("RoleTooNew")), (DAY, None)] {
        let approver = Approver {
            role_since: Some(world.now - since),
            ..good
        };
        let answer = approve(&world.rollout, &approver, world.now);
        assert_eq!(
            answer.err().map(|error| error.details[0].code.clone()).as_deref(),
            refusal
        );
    }
    let minutes = |minutes: u64| Some(world.now - Duration::from_secs(60 * minutes));
    for (signed_in, is_enough) in [(minutes(15), true), (minutes(16), false), (None, false)] {
        let approver = Approver { signed_in, ..good };
        assert_eq!(approve(&world.rollout, &approver, world.now).is_ok(), is_enough);
    }
    let approved = approve(&world.rollout, &good, world.now).unwrap();
    assert_eq!(approved.rollout.state, State::Active);
    let again = approve(&approved.rollout, &good, world.now).unwrap();
    assert!(!again.is_changed);
    assert!(reject(&approved.rollout, &good, world.now).is_err());
    let rejected = reject(&world.rollout, &good, world.now).unwrap().rollout;
    assert_eq!(
        (rejected.state, rejected.reason),
        (State::Aborted, Some(Reason::Rejected))
    );
    assert!(!reject(&rejected, &good, world.now).unwrap().is_changed);
    assert!(approve(&rejected, &good, world.now).is_err());
}

#[test]
fn s50_who_approved_must_still_be_able_to_when_it_begins() {
    let mut definition = rollout_of(vec![first(1), rest()]);
    definition.run_after = Some(beginning() + DAY);
    let mut world = World::approved(definition, 2, Driver::Service, true);
    let approved = approve(&world.rollout, &another_person(), world.now);
    world.keep(approved).unwrap();
    assert_eq!(world.step().wake_at, Some(beginning() + DAY));
    world.approver_may = false;
    world.pass(DAY);
    assert_eq!(world.step().happened, [Happening::ApproverGone]);
    assert_eq!(
        (world.rollout.state, world.rollout.reason),
        (State::AwaitingApproval, Some(Reason::ApproverGone))
    );
    assert_eq!(world.in_states([Untaken]), [2]);
    let other = Approver {
        signed_in: Some(world.now),
        ..another_person()
    };
    let approved = approve(&world.rollout, &other, world.now);
    world.keep(approved).unwrap();
    world.approver_may = true;
    world.rest();
    world.approver_may = false;
    world.end_as(Updated, 1);
    world.rest();
    assert_eq!(
        world.in_states([Updated, Scheduled]),
        [1, 1],
        "later it stops nothing"
    );
}

#[test]
fn s51_what_failed_or_was_refused_is_tried_again_within_its_wave() {
    let rules = stopping(share(15, 3), soaking(first(20), HOURS));
    let mut world = begun(vec![rules, rest()], 30);
    world.members[19].state = Refused;
    end_at_once(&mut world, &[(Updated, 16)]);
    end_at_once(&mut world, &[(Failed, 3)]);
    world.rest();
    assert_eq!(world.rollout.reason, Some(Reason::StopRule));
    assert_eq!(world.retry(), Ok(true));
    assert_eq!(world.resume(None), Ok(true));
    world.rest();
    assert_eq!(states(&world), active(&[WaveState::Active, WaveState::Waiting]));
    assert_eq!((world.counts(0)[Scheduled], world.counts(0).members()), (4, 20));
    world.pass(3 * HOURS);
    world.end_as(Updated, 4);
    let wave = world.rollout.waves[0];
    assert_eq!(
        (wave.state, wave.proceeds_since),
        (WaveState::Soaking, Some(world.now))
    );
}

#[test]
fn s52_what_somebody_has_seen_stops_nothing_again() {
    let mut world = begun(vec![stopping(count(2, Consequence::Pause), first(9))], 9);
    world.end_as(Failed, 2);
    assert_eq!(world.rollout.state, State::Paused);
    world.resume(None).unwrap();
    world.rest();
    world.end_as(Updated, 2);
    assert_eq!(world.rollout.state, State::Active);
    world.end_as(Failed, 1);
    assert_eq!(world.rollout.reason, Some(Reason::StopRule));
}

#[test]
fn s53_a_retry_asks_the_rules_again() {
    let mut world = begun(vec![first(2)], 2);
    world.end_as(Failed, 2);
    assert_eq!(world.rollout.outcome, Some(Outcome::WithFailures));
    world.members[0].verdict = AlreadyThere;
    world.members[1].verdict = Refused;
    assert_eq!(world.retry(), Ok(true));
    world.rest();
    assert_eq!(world.in_states([AlreadyThere, Refused, Failed]), [1, 1, 0]);
    assert_eq!(
        (world.rollout.state, world.rollout.outcome),
        (State::Completed, Some(Outcome::Succeeded))
    );
}

// Limits and size

#[test]
fn s54_stragglers_and_what_started_before_a_restart_count() {
    let mut canary = succeeded(first(10), 70);
    canary.limits.per_hour = Some(500);
    let mut all = rest();
    all.limits = Limits {
        running: Some(50),
        per_hour: Some(500),
    };
    let mut world = begun(vec![canary, all], 200);
    world.claim(10);
    for _ in 0..7 {
        world.report(Updated);
    }
    world.rest();
    world.claim(200);
    assert_eq!(world.in_states([Running]), [50]);
    assert_eq!(
        world.starts.len(),
        57,
        "three stragglers, forty-seven of the next wave"
    );
    let stale = world.rollout.revision;
    assert_eq!(step_of(&world).unwrap().rollout.revision, stale);
    world.starts.extend(vec![world.now; 400]);
    let used = world.facts().used;
    let limits = Limits {
        running: None,
        ..world.rollout.limits(&world.definition)
    };
    assert_eq!(used.room(limits), 43);
    assert_eq!(used.next_place(limits), None);
}

#[test]
fn s55_what_a_client_has_sent_cannot_be_kept_from_starting() {
    let mut all = first(200);
    all.limits.running = Some(50);
    let mut world = World::new(rollout_of(vec![all]), 200, Driver::Client);
    world.rest();
    assert_eq!(world.in_states([Scheduled, Taken]), [50, 150]);
    world.claim(3);
    world.rest();
    assert_eq!(world.in_states([Scheduled, Running, Taken]), [47, 3, 150]);
    world.report(Updated);
    world.rest();
    assert_eq!(world.in_states([Scheduled, Running, Taken]), [48, 2, 149]);
}

#[test]
fn s60_it_is_completed_when_no_member_is_open() {
    let mut world = begun(vec![succeeded(first(1_000), 95)], 1_000);
    for member in world.members.iter_mut().skip(990) {
        member.state = Running;
    }
    let ends = [
        (Updated, 930),
        (AlreadyThere, 20),
        (Skipped, 15),
        (Refused, 12),
        (Canceled, 3),
        (Expired, 6),
        (MemberState::Left, 4),
    ];
    end_at_once(&mut world, &ends);
    world.rest();
    assert_eq!(states(&world), active(&[WaveState::Done]));
    for _ in 0..8 {
        world.report(Failed);
    }
    world.rest();
    assert_eq!(world.rollout.state, State::Active);
    world.report(Unknown);
    world.report(Unknown);
    world.rest();
    assert_eq!(
        (world.rollout.state, world.rollout.outcome),
        (State::Completed, Some(Outcome::WithFailures))
    );
    let counts = world.counts(0);
    let told = ends.iter().map(|(state, _)| counts[*state]).sum::<u64>();
    assert_eq!(told + counts[Failed] + counts[Unknown], 1_000);
}

// What a definition may say

#[test]
fn a_definition_names_the_member_that_is_wrong() {
    let wrong = |definition: super::Definition, target: &str| {
        let error = definition.check().unwrap_err();
        assert_eq!(error.target.as_deref(), Some(target));
        assert!(
            error.message.starts_with(&format!("'{target}'")),
            "{}",
            error.message
        );
    };
    assert_eq!(rollout_of(vec![first(1), rest()]).check(), Ok(()));
    wrong(rollout_of(Vec::new()), "waves");
    wrong(rollout_of(vec![first(1), first(0)]), "waves[1].take.count");
    wrong(rollout_of(vec![rest(), first(1)]), "waves[0].take");
    let zero = Percent::of_hundredths(0).unwrap();
    wrong(
        rollout_of(vec![wave(Take::Percent(zero))]),
        "waves[0].take.percent",
    );
    wrong(
        rollout_of(vec![wave(Take::Filter(" ".to_owned()))]),
        "waves[0].take.filter",
    );
    wrong(
        rollout_of(vec![succeeded(first(1), 0)]),
        "waves[0].proceed.when.succeeded",
    );
    wrong(
        rollout_of(vec![soaking(first(1), 400 * DAY)]),
        "waves[0].proceed.soak",
    );
    wrong(
        rollout_of(vec![stopping(share(1, 0), first(1))]),
        "waves[0].stop.failed.min",
    );
    wrong(
        rollout_of(vec![stopping(count(0, Consequence::Pause), first(1))]),
        "waves[0].stop.failed.count",
    );
    let mut limited = first(1);
    limited.limits.per_hour = Some(0);
    wrong(rollout_of(vec![limited]), "waves[0].limits.perHour");
    let mut late = first(1);
    late.deadline = Some(Duration::ZERO);
    wrong(rollout_of(vec![late]), "waves[0].deadline");
    let mut twice = rollout_of(vec![first(1), rest()]);
    twice.waves[1].name = "wave 0".to_owned();
    wrong(twice, "waves[1].name");
    let good = || rollout_of(vec![rest()]);
    let mut nowhere = good();
    nowhere.select.countries = Some(Vec::new());
    wrong(nowhere, "select.countries");
    let mut unsaid = good();
    unsaid.ignore_upgrade_window = Some(String::new());
    wrong(unsaid, "ignoreUpgradeWindow.reason");
    let mut nameless = good();
    nameless.name = "  ".to_owned();
    wrong(nameless, "name");
}

#[test]
fn its_makers_are_warned_of_what_may_surprise_them() {
    let codes = |waves, planned: &Planned| -> Vec<String> {
        let warnings = rollout_of(waves).warnings(planned);
        warnings.into_iter().map(|warning| warning.code).collect()
    };
    let none = Planned::default();
    assert_eq!(
        codes(vec![stopping(share(5, 20), rest())], &none),
        ["SingleFailureStops"]
    );
    assert!(codes(vec![stopping(share(5, 21), rest())], &none).is_empty());
    let planned = Planned {
        overlapping: 3,
        without_start: vec![2],
        ..Planned::default()
    };
    assert_eq!(codes(vec![rest()], &planned), ["WavesOverlap", "NoDeadline"]);
}

#[test]
fn a_policy_asks_for_an_approval() {
    let plain = rollout_of(vec![rest()]);
    let mut asks = plain.clone();
    asks.approval_required = true;
    let mut hurried = plain.clone();
    hurried.ignore_upgrade_window = Some("it loses orders".to_owned());
    let mut growing = plain.clone();
    growing.select.later = Later::Include;
    let above = ApprovalPolicy::ProductionAbove(100);
    for (policy, definition, production, is_required) in [
        (ApprovalPolicy::Never, &plain, 500, false),
        (ApprovalPolicy::Never, &asks, 0, true),
        (ApprovalPolicy::Always, &plain, 0, true),
        (above, &plain, 100, false),
        (above, &plain, 101, true),
        (above, &hurried, 0, false),
        (above, &hurried, 1, true),
        (above, &growing, 0, true),
    ] {
        assert_eq!(policy.requires(definition, production), is_required, "{policy:?}");
    }
}

#[test]
fn shares_and_spans_are_read_as_they_are_written() {
    for (text, hundredths) in [
        ("0", 0),
        ("5", 500),
        ("0.01", 1),
        ("33.3", 3_330),
        ("99.99", 9_999),
        ("100", 10_000),
    ] {
        let read: Percent = text.parse().unwrap();
        assert_eq!(read.hundredths(), hundredths, "{text}");
        assert_eq!(read.to_string(), text);
    }
    for wrong in [
        "", ".", "5.", ".5", "100.01", "101", "-1", "5.123", "5e1", "five", "655.36", "99999",
    ] {
        assert!(wrong.parse::<Percent>().is_err(), "{wrong}");
    }
    assert_eq!(percent(10).of(11), 2);
    use super::definition::{read_span, write_span};
    for (text, span) in [
        ("PT4H", 4 * HOURS),
        ("P2D", 2 * DAY),
        ("P1DT1H", DAY + HOURS),
        ("P1W", 7 * DAY),
        ("PT0S", Duration::ZERO),
    ] {
        assert_eq!(read_span(text), Ok(span), "{text}");
        assert_eq!(read_span(&write_span(span)), Ok(span));
    }
    for wrong in ["", "P", "4h", "P1M", "P1Y", "-PT1H", "PT", "P1DT"] {
        assert!(read_span(wrong).is_err(), "{wrong}");
    }
}
