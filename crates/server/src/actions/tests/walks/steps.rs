//! What may come next, drawn by lot. A step says which operation it is about by a number that is cut down to those that
//! there are, so that a walk stays a walk when shrinking takes steps out of it.

use super::{
    acts::{
        APPS, Act, Country, DEPENDANT, ENVIRONMENTS, Ending, LeaseUsed, NEXT_LINE, Report, ScheduleRequest,
        UPLOADED, Window, fix,
    },
    model::Model,
};
use crate::actions::tests::fleet::LEASE;
use domain::{instant::Instant, version::AppVersion, version::Availability};
use proptest::{collection::vec, option, prelude::*, sample::select};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

/// A number that stands for one of those there are.
type Pick = u8;

#[derive(Clone, Debug)]
pub(super) enum Step {
    Schedules(Scheduling),
    RepeatsARequest(Pick),
    Cancels(Pick),
    Offers(usize, Country, AppVersion, Availability),
    MarksIncompatible(usize, Country, AppVersion, Option<AppVersion>),
    ReportsEnvironment(Inventory),
    DeletesEnvironment(usize),
    ReleasesEnvironment(usize),
    Claims(usize),
    RenewsAll,
    RenewsUnderAnotherLease(Pick),
    Reports(Pick, Ending),
    ReportsAgain(Vec<(Pick, Ending)>),
    ReportsUnderAnotherLease(Pick, Ending),
    ExecutorDies,
    LeasesAreLookedAt,
    ServiceCrashes,
    TimePasses(Duration),
    TimePassesUntil(Until),
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Until {
    JustBeforeWorkIsDue,
    WorkIsDue,
    ALeaseEnds,
    ALeaseIsOver,
}

#[derive(Clone, Debug)]
pub(super) struct Scheduling {
    environment: usize,
    app: usize,
    /// Whether in a country in which the environment is not.
    abroad: bool,
    target: AppVersion,
    run_after: After,
    ignore_window: bool,
    key: Option<u8>,
}

#[derive(Clone, Copy, Debug)]
enum After {
    Unsaid,
    Ago(Duration),
    In(Duration),
}

#[derive(Clone, Debug)]
pub(super) struct Inventory {
    environment: usize,
    moves: bool,
    window: Option<Window>,
    complete: bool,
    apps: Apps,
}

#[derive(Clone, Copy, Debug)]
enum Apps {
    AsTheyAre,
    Newer(usize, AppVersion),
    Without(usize),
    AllOfTheFirstVersion,
}

/// The walks that are tried, of so many steps at most. What comes by chance alone seldom comes far, so between single
/// steps they hold the beginnings of stories. Shrinking leaves stories out, then steps.
pub(super) fn walks(long: usize) -> impl Strategy<Value = Vec<Option<Step>>> {
    let story = prop_oneof![
        4 => vec(maybe(step()), 1..4),
        1 => one_hotfix(),
        1 => silence(),
        1 => news_meanwhile(),
        1 => waiting_in_line(),
        1 => one_request_twice(),
        1 => a_word_taken_back(),
    ];
    vec(story, 1..=long).prop_map(move |stories| stories.into_iter().flatten().take(long).collect())
}

fn maybe(step: impl Strategy<Value = Step> + 'static) -> BoxedStrategy<Option<Step>> {
    option::weighted(0.97, step).boxed()
}

fn one_hotfix() -> impl Strategy<Value = Vec<Option<Step>>> {
    let steps = [
        schedules(),
        is_due(),
        claims(),
        maybe(anything_meanwhile()),
        reports(),
    ];
    steps.to_vec()
}

fn silence() -> impl Strategy<Value = Vec<Option<Step>>> {
    let afterwards = prop_oneof![
        2 => environment().prop_map(Step::ReleasesEnvironment),
        1 => inventory().prop_map(Step::ReportsEnvironment),
        1 => (any::<Pick>(), ending()).prop_map(|(which, ending)| Step::Reports(which, ending)),
    ];
    let is_over = prop_oneof![1 => Just(Until::ALeaseEnds), 2 => Just(Until::ALeaseIsOver)];
    let is_over = is_over.prop_map(Step::TimePassesUntil);
    let looks = Just(Step::LeasesAreLookedAt);
    let steps = [
        schedules(),
        schedules(),
        is_due(),
        claims(),
        maybe(is_over),
        maybe(looks),
        maybe(afterwards),
        claims(),
    ];
    steps.to_vec()
}

fn news_meanwhile() -> impl Strategy<Value = Vec<Option<Step>>> {
    let news = inventory().prop_map(Step::ReportsEnvironment);
    let steps = [schedules(), is_due(), claims(), maybe(news), reports(), claims()];
    steps.to_vec()
}

fn waiting_in_line() -> impl Strategy<Value = Vec<Option<Step>>> {
    let meanwhile = || maybe(anything_meanwhile());
    let steps = [
        schedules(),
        schedules(),
        schedules(),
        meanwhile(),
        meanwhile(),
        is_due(),
        claims(),
        reports(),
        claims(),
    ];
    steps.to_vec()
}

/// A key is remembered for a day, and not longer.
fn one_request_twice() -> impl Strategy<Value = Vec<Option<Step>>> {
    let keyed = scheduling().prop_map(|request| Scheduling {
        key: Some(0),
        ..request
    });
    let day = 24 * HOUR;
    let meanwhile = select(vec![Duration::ZERO, day - HOUR, day, day + HOUR / 2]).prop_map(Step::TimePasses);
    let again = any::<Pick>().prop_map(Step::RepeatsARequest);
    let steps = [
        maybe(keyed.prop_map(Step::Schedules)),
        maybe(meanwhile),
        maybe(again),
    ];
    steps.to_vec()
}

/// What was said of a version and taken back is as if it had never been said.
fn a_word_taken_back() -> impl Strategy<Value = Vec<Option<Step>>> {
    let (version, from) = (select(vec![fix(2), fix(3)]), select(vec![fix(3), fix(9)]));
    let are_taken = vec(prop::bool::weighted(0.97), 3);
    let drawn = (scheduling(), DEPENDANT..APPS, version, from, are_taken);
    drawn.prop_map(|(request, app, target, from, are_taken)| {
        let marks = |from| Step::MarksIncompatible(app, Country::Us, target, from);
        let request = Scheduling {
            app,
            target,
            ..request
        };
        let steps = [marks(Some(from)), marks(None), Step::Schedules(request)];
        let steps = steps.into_iter().zip(are_taken);
        steps.map(|(step, is_taken)| is_taken.then_some(step)).collect()
    })
}

fn schedules() -> BoxedStrategy<Option<Step>> {
    maybe(scheduling().prop_map(Step::Schedules))
}

fn is_due() -> BoxedStrategy<Option<Step>> {
    option::weighted(0.6, Just(Step::TimePassesUntil(Until::WorkIsDue))).boxed()
}

fn claims() -> BoxedStrategy<Option<Step>> {
    maybe(limit().prop_map(Step::Claims))
}

fn reports() -> BoxedStrategy<Option<Step>> {
    maybe((any::<Pick>(), ending()).prop_map(|(which, ending)| Step::Reports(which, ending)))
}

fn anything_meanwhile() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => inventory().prop_map(Step::ReportsEnvironment),
        2 => offers(),
        2 => marks_incompatible(),
        2 => any::<Pick>().prop_map(Step::Cancels),
        1 => environment().prop_map(Step::DeletesEnvironment),
        1 => Just(Step::RenewsAll),
        2 => (any::<Pick>(), ending()).prop_map(|(which, ending)| Step::ReportsUnderAnotherLease(which, ending)),
        1 => Just(Step::ServiceCrashes),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        10 => scheduling().prop_map(Step::Schedules),
        3 => any::<Pick>().prop_map(Step::RepeatsARequest),
        3 => any::<Pick>().prop_map(Step::Cancels),
        2 => offers(),
        2 => marks_incompatible(),
        5 => inventory().prop_map(Step::ReportsEnvironment),
        1 => environment().prop_map(Step::DeletesEnvironment),
        4 => environment().prop_map(Step::ReleasesEnvironment),
        12 => limit().prop_map(Step::Claims),
        3 => Just(Step::RenewsAll),
        1 => any::<Pick>().prop_map(Step::RenewsUnderAnotherLease),
        8 => (any::<Pick>(), ending()).prop_map(|(which, ending)| Step::Reports(which, ending)),
        3 => vec((any::<Pick>(), ending()), 1..4).prop_map(Step::ReportsAgain),
        2 => (any::<Pick>(), ending()).prop_map(|(which, ending)| Step::ReportsUnderAnotherLease(which, ending)),
        1 => Just(Step::ExecutorDies),
        4 => Just(Step::LeasesAreLookedAt),
        2 => Just(Step::ServiceCrashes),
        6 => span().prop_map(Step::TimePasses),
        10 => until().prop_map(Step::TimePassesUntil),
    ]
}

fn limit() -> impl Strategy<Value = usize> {
    prop_oneof![5 => Just(1), 2 => Just(2), 1 => Just(0), 1 => Just(5)]
}

fn offers() -> impl Strategy<Value = Step> {
    let drawn = (0..APPS, country(), uploaded(), availability());
    drawn.prop_map(|(app, country, version, to)| Step::Offers(app, country, version, to))
}

fn marks_incompatible() -> impl Strategy<Value = Step> {
    let from = option::of(select(vec![fix(2), fix(3), fix(9)]));
    let drawn = (DEPENDANT..APPS, country(), uploaded(), from);
    drawn.prop_map(|(app, country, version, from)| Step::MarksIncompatible(app, country, version, from))
}

fn scheduling() -> impl Strategy<Value = Scheduling> {
    let target =
        prop_oneof![8 => Just(fix(2)), 5 => Just(fix(3)), 1 => select(vec![fix(1), fix(9), NEXT_LINE])];
    let run_after = prop_oneof![
        10 => Just(After::Unsaid),
        1 => Just(After::Ago(HOUR)),
        4 => select(vec![HOUR / 2, 10 * HOUR, 30 * HOUR]).prop_map(After::In),
        1 => select(vec![365 * 24 * HOUR, 10 * 365 * 24 * HOUR]).prop_map(After::In),
    ];
    let key = prop_oneof![3 => Just(None), 1 => (0..2_u8).prop_map(Some)];
    let abroad = prop::bool::weighted(0.05);
    let drawn = (
        environment(),
        0..APPS,
        abroad,
        target,
        run_after,
        any::<bool>(),
        key,
    );
    drawn.prop_map(
        |(environment, app, abroad, target, run_after, ignore_window, key)| Scheduling {
            environment,
            app,
            abroad,
            target,
            run_after,
            ignore_window,
            key,
        },
    )
}

fn inventory() -> impl Strategy<Value = Inventory> {
    let apps = prop_oneof![
        3 => Just(Apps::AsTheyAre),
        4 => (0..APPS, select(vec![fix(2), fix(3), fix(9), NEXT_LINE]))
            .prop_map(|(app, version)| Apps::Newer(app, version)),
        1 => (0..APPS).prop_map(Apps::Without),
        2 => Just(Apps::AllOfTheFirstVersion),
    ];
    let windows = option::of(select(vec![Window::Day, Window::Night, Window::Always]));
    let drawn = (
        environment(),
        prop::bool::weighted(0.15),
        windows,
        any::<bool>(),
        apps,
    );
    drawn.prop_map(|(environment, moves, window, complete, apps)| Inventory {
        environment,
        moves,
        window,
        complete,
        apps,
    })
}

fn environment() -> impl Strategy<Value = usize> {
    prop_oneof![3 => Just(0), 1 => 1..ENVIRONMENTS]
}

fn country() -> impl Strategy<Value = Country> {
    prop_oneof![3 => Just(Country::Us), 1 => Just(Country::De)]
}

fn uploaded() -> impl Strategy<Value = AppVersion> {
    select(UPLOADED.to_vec())
}

fn availability() -> impl Strategy<Value = Availability> {
    select(Availability::ALL)
}

fn ending() -> impl Strategy<Value = Ending> {
    prop_oneof![4 => Just(Ending::Succeeded), 1 => Just(Ending::Failed), 1 => Just(Ending::Skipped)]
}

fn until() -> impl Strategy<Value = Until> {
    prop_oneof![
        1 => Just(Until::JustBeforeWorkIsDue),
        4 => Just(Until::WorkIsDue),
        1 => Just(Until::ALeaseEnds),
        4 => Just(Until::ALeaseIsOver),
    ]
}

fn span() -> impl Strategy<Value = Duration> {
    let second = Duration::from_secs(1);
    let spans = [
        second,
        20 * second,
        LEASE - second,
        LEASE,
        LEASE + second,
        HOUR,
        4 * HOUR,
        9 * HOUR,
        25 * HOUR,
    ];
    select(spans.to_vec())
}

fn one_of(numbers: &[usize], which: Pick) -> Option<usize> {
    let index = usize::from(which).checked_rem(numbers.len())?;
    Some(numbers[index])
}

impl Step {
    /// What it comes to do, as things are; none where there is nothing that it could be about.
    pub(super) fn act(&self, model: &Model) -> Option<Act> {
        let all: Vec<usize> = (0..model.operations.len()).collect();
        let has_started = |number: &usize| model.operations[*number].started_on.is_some();
        let started: Vec<usize> = all.iter().copied().filter(has_started).collect();
        let report = |operation, ending, lease| Report {
            operation,
            lease,
            ending,
        };
        Some(match self.clone() {
            Self::Schedules(request) => Act::Schedules(request.request(model)),
            Self::RepeatsARequest(which) => {
                let requests: Vec<usize> = (0..model.keyed.len()).collect();
                Act::Schedules(model.keyed[one_of(&requests, which)?].clone())
            }
            Self::Cancels(which) => Act::Cancels(one_of(&all, which)?),
            Self::Offers(app, country, version, availability) => Act::Offers {
                app,
                country,
                version,
                availability,
            },
            Self::MarksIncompatible(app, country, version, from) => Act::MarksIncompatible {
                app,
                country,
                version,
                from,
            },
            Self::ReportsEnvironment(inventory) => inventory.report(model),
            Self::DeletesEnvironment(environment) => Act::DeletesEnvironment(environment),
            Self::ReleasesEnvironment(environment) => Act::ReleasesEnvironment(environment),
            Self::Claims(limit) => Act::Claims(limit),
            Self::RenewsAll => {
                let carried = model.carried.iter();
                Act::Renews(carried.map(|number| (*number, LeaseUsed::Own)).collect())
            }
            Self::RenewsUnderAnotherLease(which) => {
                Act::Renews(vec![(one_of(&all, which)?, LeaseUsed::Another)])
            }
            Self::Reports(which, ending) => {
                let operation = one_of(&model.carried, which)?;
                Act::Reports(vec![report(operation, ending, LeaseUsed::Own)])
            }
            Self::ReportsAgain(several) => {
                let reports = several.into_iter().map(|(which, ending)| {
                    let operation = one_of(&started, which)?;
                    Some(report(operation, ending, LeaseUsed::Own))
                });
                Act::Reports(reports.collect::<Option<_>>()?)
            }
            Self::ReportsUnderAnotherLease(which, ending) => {
                let operation = one_of(&all, which)?;
                Act::Reports(vec![report(operation, ending, LeaseUsed::Another)])
            }
            Self::ExecutorDies => Act::ExecutorDies,
            Self::LeasesAreLookedAt => Act::LeasesAreLookedAt,
            Self::ServiceCrashes => Act::ServiceCrashes,
            Self::TimePasses(span) => Act::TimePasses(span),
            Self::TimePassesUntil(until) => Act::TimePasses(until.span(model)?),
        })
    }
}

impl Until {
    /// How long it is until then, if it is to come at all.
    fn span(self, model: &Model) -> Option<Duration> {
        let dues = model
            .environments
            .iter()
            .flatten()
            .filter_map(|environment| environment.due);
        let leases = model
            .operations
            .iter()
            .filter_map(|operation| operation.lease_until);
        let due = dues.filter(|due| *due > model.now).min();
        let lease = leases.filter(|until| *until >= model.now).min();
        let at = match self {
            Self::JustBeforeWorkIsDue => Instant(due?.0 - 1),
            Self::WorkIsDue => due?,
            Self::ALeaseEnds => lease?,
            Self::ALeaseIsOver => Instant(lease?.0 + 1),
        };
        Some(at.since(model.now))
    }
}

impl Scheduling {
    fn request(&self, model: &Model) -> ScheduleRequest {
        let at_home = model.environments[self.environment]
            .as_ref()
            .map_or(Country::Us, |environment| environment.country);
        let ago = |span: Duration| Instant(model.now.0 - (Instant(0) + span).0);
        ScheduleRequest {
            environment: self.environment,
            app: self.app,
            country: if self.abroad { other(at_home) } else { at_home },
            target: self.target,
            run_after: match self.run_after {
                After::Unsaid => None,
                After::Ago(span) => Some(ago(span)),
                After::In(span) => Some(model.now + span),
            },
            ignore_window: self.ignore_window,
            key: self.key,
        }
    }
}

fn other(country: Country) -> Country {
    match country {
        Country::Us => Country::De,
        Country::De => Country::Us,
    }
}

impl Inventory {
    fn report(&self, model: &Model) -> Act {
        let before = model.environments[self.environment].as_ref();
        let country = before.map_or(Country::Us, |environment| environment.country);
        let mut apps = before.map_or([Some(fix(1)); APPS], |environment| environment.apps);
        match self.apps {
            Apps::AsTheyAre => {}
            Apps::Newer(app, version) => apps[app] = apps[app].max(Some(version)),
            Apps::Without(app) => apps[app] = None,
            Apps::AllOfTheFirstVersion => apps = [Some(fix(1)); APPS],
        }
        Act::ReportsEnvironment {
            environment: self.environment,
            country: if self.moves { other(country) } else { country },
            window: self
                .window
                .or(before.map(|environment| environment.window))
                .unwrap_or(Window::Day),
            complete: self.complete,
            apps,
        }
    }
}

/// The environments with which every walk begins.
pub(super) fn beginning() -> [Act; ENVIRONMENTS] {
    [0, 1].map(|environment| Act::ReportsEnvironment {
        environment,
        country: Country::Us,
        window: Window::Day,
        complete: environment == 0,
        apps: [Some(fix(1)); APPS],
    })
}
