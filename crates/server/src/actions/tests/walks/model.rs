//! What may become of two environments, said as simply as it can be: all of it in memory, one act after the other.
//!
//! It shares nothing with the service but words: statuses, versions, instants. Where the documentation leaves a choice
//! open it allows both.

use domain::{
    instant::{Instant, TICKS_PER_SECOND},
    operation::OperationStatus::{self, Canceled, Failed, Running, Scheduled, Skipped, Succeeded},
    version::{AppVersion, Availability},
};
use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

pub(super) const PLACES: usize = 2;
pub(super) const APPS: usize = 3;
/// The app that the next one depends on. The last one depends on Business Central's own application alone.
pub(super) const BASE: usize = 0;
pub(super) const DEPENDANT: usize = 1;
pub(super) use crate::actions::tests::fleet::LEASE;
/// The application version that both environments have.
pub(super) const APPLICATION: AppVersion = AppVersion([16, 0, 0, 5]);
/// What the last app's packages need of it.
pub(super) const LEAST_APPLICATION: AppVersion = AppVersion([16, 0, 0, 0]);
/// How far ahead `runAfter` may lie.
const FURTHEST_AHEAD: Duration = Duration::from_secs(365 * 24 * 3600);
const KEYS_ARE_KEPT: Duration = Duration::from_secs(24 * 3600);

pub(super) const fn fix(number: u32) -> AppVersion {
    AppVersion([16, 0, 0, number])
}

/// Another line, which no hotfix leads to or away from.
pub(super) const NEXT_LINE: AppVersion = AppVersion([17, 0, 0, 1]);
/// The versions uploaded for every app and country. Environments may have others, of which nothing is known.
pub(super) const UPLOADED: [AppVersion; 4] = [fix(1), fix(2), fix(3), NEXT_LINE];

/// The least version of [`BASE`] that a version of [`DEPENDANT`] needs.
pub(super) fn least_base(version: AppVersion) -> AppVersion {
    if version >= fix(3) { fix(2) } else { fix(1) }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Country {
    Us,
    De,
}

impl Country {
    pub(super) fn code(self) -> &'static str {
        match self {
            Self::Us => "US",
            Self::De => "DE",
        }
    }
}

/// An update window, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Window {
    Day,
    Night,
    Always,
}

const MINUTE: i64 = 60 * TICKS_PER_SECOND;
const DAY: i64 = 24 * 60 * MINUTE;

impl Window {
    pub(super) fn texts(self) -> (&'static str, &'static str) {
        match self {
            Self::Day => ("08:00", "20:00"),
            Self::Night => ("20:00", "06:00"),
            Self::Always => ("00:00", "23:59"),
        }
    }

    /// When it opens, after midnight, and for how long.
    fn minutes(self) -> (i64, i64) {
        match self {
            Self::Day => (8 * 60, 12 * 60),
            Self::Night => (20 * 60, 10 * 60),
            Self::Always => (0, 24 * 60 - 1),
        }
    }

    fn first_open(self, from: Instant) -> Instant {
        let (opens, lasts) = self.minutes();
        let midnight = from.0 - from.0.rem_euclid(DAY);
        let mut opening = midnight - DAY + opens * MINUTE;
        while opening + lasts * MINUTE <= from.0 {
            opening += DAY;
        }
        Instant(opening.max(from.0))
    }
}

/// An environment as its operator and its executor know it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Place {
    /// Which making of it this is: one that was removed and reported again is another.
    pub(super) home: usize,
    pub(super) country: Country,
    pub(super) window: Window,
    pub(super) complete: bool,
    pub(super) reported_on: Instant,
    pub(super) apps: [Option<AppVersion>; APPS],
    pub(super) held: Option<(Instant, usize)>,
    /// When work may next start.
    pub(super) due: Option<Instant>,
}

/// A hotfix.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Operation {
    pub(super) app: usize,
    pub(super) country: Country,
    pub(super) home: usize,
    pub(super) source: AppVersion,
    pub(super) target: AppVersion,
    pub(super) status: OperationStatus,
    pub(super) ignore_window: bool,
    pub(super) run_after: Instant,
    pub(super) created_on: Instant,
    pub(super) started_on: Option<Instant>,
    pub(super) completed_on: Option<Instant>,
    pub(super) ended_on: Option<Instant>,
    pub(super) reason: Option<String>,
    /// What the executor told, word by word.
    pub(super) told: Option<String>,
    pub(super) lease_until: Option<Instant>,
}

impl Operation {
    fn occupies(&self) -> bool {
        matches!(self.status, Scheduled | Running)
    }
}

/// What its publisher says of a version in a country.
#[derive(Clone, Copy, Debug)]
struct Offer {
    availability: Availability,
    /// The first version, of the app that it depends on, with which it does not work.
    incompatible_from: Option<AppVersion>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Wish {
    pub(super) place: usize,
    pub(super) app: usize,
    pub(super) country: Country,
    pub(super) target: AppVersion,
    pub(super) run_after: Option<Instant>,
    pub(super) ignore_window: bool,
    /// An `Idempotency-Key`.
    pub(super) key: Option<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Under {
    ItsLease,
    AnotherLease,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    Succeeded,
    Failed,
    Skipped,
}

impl Said {
    fn status(self) -> OperationStatus {
        match self {
            Self::Succeeded => Succeeded,
            Self::Failed => Failed,
            Self::Skipped => Skipped,
        }
    }
}

/// The words of a report of failure.
pub(super) const TROUBLE: &str = "The schema could not be synchronized: table 18 is locked.";

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Report {
    pub(super) operation: usize,
    pub(super) under: Under,
    pub(super) said: Said,
}

/// What somebody does. Operations are numbered as they were scheduled.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Act {
    Schedules(Wish),
    Cancels(usize),
    Offers {
        app: usize,
        country: Country,
        version: AppVersion,
        availability: Availability,
    },
    /// Says from which version on of the app that it depends on a version does not work, or takes it back.
    MarksIncompatible {
        app: usize,
        country: Country,
        version: AppVersion,
        from: Option<AppVersion>,
    },
    ReportsEnvironment {
        place: usize,
        country: Country,
        window: Window,
        complete: bool,
        apps: [Option<AppVersion>; APPS],
    },
    DeletesEnvironment(usize),
    ReleasesEnvironment(usize),
    Claims(usize),
    Renews(Vec<(usize, Under)>),
    Reports(Vec<Report>),
    ExecutorDies,
    LeasesAreLookedAt,
    ServiceCrashes,
    TimePasses(Duration),
}

/// What it comes to.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Answer {
    Done,
    Refused(String),
    Is(usize, OperationStatus),
    IsNew(bool),
    Started(Vec<usize>),
    Renewed(Vec<usize>),
    Reported(Vec<OperationStatus>),
    Lost(usize),
}

fn refused(code: &str) -> Answer {
    Answer::Refused(code.into())
}

/// What an audit row is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Target {
    Operation(usize),
    Place(usize),
    Version(usize, Country, AppVersion),
}

/// An audit row, as far as it is foretold.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Audited {
    pub(super) action: &'static str,
    pub(super) target: Target,
    /// The status of an operation before, and after or as reported.
    pub(super) statuses: (Option<OperationStatus>, Option<OperationStatus>),
    pub(super) by_service: bool,
}

/// A broken rule: how scheduling names it, and how an operation does that is skipped for it.
type Objection = (&'static str, &'static str);

#[derive(Clone)]
pub(super) struct Model {
    pub(super) now: Instant,
    pub(super) places: [Option<Place>; PLACES],
    pub(super) operations: Vec<Operation>,
    /// What the living executor believes to carry.
    pub(super) carried: Vec<usize>,
    /// Every keyed request that was granted.
    pub(super) keyed: Vec<Wish>,
    /// The audit rows of the last act.
    pub(super) audit: Vec<Audited>,
    homes: usize,
    offers: BTreeMap<(usize, Country, AppVersion), Offer>,
    keys: HashMap<(usize, Country, u8), (Wish, usize, Instant)>,
    /// Places in which something that waited was canceled, which may make work due earlier than it is: that costs a
    /// look at the place and nothing more.
    due_too_early: [bool; PLACES],
}

impl Model {
    pub(super) fn new(now: Instant) -> Self {
        let mut offers = BTreeMap::new();
        for app in 0..APPS {
            for country in [Country::Us, Country::De] {
                for version in UPLOADED {
                    let offer = Offer {
                        availability: Availability::Available,
                        incompatible_from: None,
                    };
                    offers.insert((app, country, version), offer);
                }
            }
        }
        Self {
            now,
            places: [None, None],
            operations: Vec::new(),
            carried: Vec::new(),
            keyed: Vec::new(),
            audit: Vec::new(),
            homes: 0,
            offers,
            keys: HashMap::new(),
            due_too_early: [false; PLACES],
        }
    }

    pub(super) fn take(&mut self, act: &Act) -> Answer {
        self.audit.clear();
        match act {
            Act::Schedules(wish) => self.schedule(wish).unwrap_or_else(refused),
            Act::Cancels(operation) => self.cancel(*operation),
            Act::Offers {
                app,
                country,
                version,
                availability,
            } => self.offer((*app, *country, *version), *availability),
            Act::MarksIncompatible {
                app,
                country,
                version,
                from,
            } => self.mark_incompatible((*app, *country, *version), *from),
            Act::ReportsEnvironment {
                place,
                country,
                window,
                complete,
                apps,
            } => self.report_environment(*place, *country, *window, *complete, *apps),
            Act::DeletesEnvironment(place) => self.delete_environment(*place),
            Act::ReleasesEnvironment(place) => self.release_environment(*place),
            Act::Claims(most) => self.claim(*most),
            Act::Renews(held) => self.renew(held),
            Act::Reports(reports) => {
                Answer::Reported(reports.iter().map(|report| self.report(report)).collect())
            }
            Act::LeasesAreLookedAt => self.end_lost(),
            Act::ExecutorDies | Act::ServiceCrashes => {
                self.carried.clear();
                Answer::Done
            }
            Act::TimePasses(span) => {
                self.now = self.now + *span;
                Answer::Done
            }
        }
    }

    fn schedule(&mut self, wish: &Wish) -> Result<Answer, &'static str> {
        let key = wish.key.map(|key| (wish.app, wish.country, key));
        let before = key.and_then(|key| self.keys.get(&key));
        if let Some((same, operation, _)) = before.filter(|(_, _, on)| self.now < *on + KEYS_ARE_KEPT) {
            if same != wish {
                return Err("IdempotencyKeyReused");
            }
            return Ok(Answer::Is(*operation, self.operations[*operation].status));
        }
        let run_after = wish.run_after.map_or(self.now, |at| at.max(self.now));
        if run_after > self.now + FURTHEST_AHEAD {
            return Err("RunAfterTooFar");
        }
        let place = self.places[wish.place].as_ref();
        let place = place
            .filter(|place| place.country == wish.country)
            .ok_or("EnvironmentNotFound")?;
        let source = place.apps[wish.app].ok_or("ResourceDoesNotExist")?;
        if !UPLOADED.contains(&wish.target) {
            return Err("ResourceDoesNotExist");
        }
        if let Some((code, _)) =
            self.objection(place, wish.app, wish.target, self.slot_is_taken(place, wish.app))
        {
            return Err(code);
        }
        let operation = Operation {
            app: wish.app,
            country: wish.country,
            home: place.home,
            source,
            target: wish.target,
            status: Scheduled,
            ignore_window: wish.ignore_window,
            run_after,
            created_on: self.now,
            started_on: None,
            completed_on: None,
            ended_on: None,
            reason: None,
            told: None,
            lease_until: None,
        };
        let starts = self.first_start(place, &operation);
        let number = self.operations.len();
        let is_free = self.is_free(place);
        self.operations.push(operation);
        if let Some(place) = self.places[wish.place].as_mut().filter(|_| is_free) {
            place.due = Some(place.due.map_or(starts, |due| due.min(starts)));
        }
        if let Some(key) = key {
            self.keys.insert(key, (wish.clone(), number, self.now));
            self.keyed.push(wish.clone());
        }
        self.audits("environmentHotfixes/write", number, None, Scheduled, false);
        Ok(Answer::Is(number, Scheduled))
    }

    fn cancel(&mut self, number: usize) -> Answer {
        match self.operations[number].status {
            Canceled => {}
            Scheduled => {
                self.end(number, Canceled, None);
                if let Some(place) = self.place_of(number) {
                    self.due_too_early[place] = true;
                }
                self.audits(
                    "environmentHotfixes/cancel",
                    number,
                    Some(Scheduled),
                    Canceled,
                    false,
                );
            }
            _ => return refused("NotCancelable"),
        }
        Answer::Is(number, Canceled)
    }

    fn offer(&mut self, version: (usize, Country, AppVersion), availability: Availability) -> Answer {
        let offer = self.offers.get_mut(&version).unwrap();
        if std::mem::replace(&mut offer.availability, availability) != availability {
            self.audits_version(version);
        }
        Answer::Done
    }

    fn mark_incompatible(
        &mut self,
        version: (usize, Country, AppVersion),
        from: Option<AppVersion>,
    ) -> Answer {
        let least = if version.0 == DEPENDANT {
            least_base(version.2)
        } else {
            LEAST_APPLICATION
        };
        if from.is_some_and(|from| from <= least) {
            return refused("NotAboveMinimum");
        }
        let offer = self.offers.get_mut(&version).unwrap();
        if std::mem::replace(&mut offer.incompatible_from, from) != from {
            self.audits_version(version);
        }
        Answer::Done
    }

    /// The environment is what it is said to be, and whatever was unknown about it is known now.
    fn report_environment(
        &mut self,
        place: usize,
        country: Country,
        window: Window,
        complete: bool,
        apps: [Option<AppVersion>; APPS],
    ) -> Answer {
        let before = self.places[place].as_ref().map(|before| before.home);
        let home = before.unwrap_or(self.homes);
        self.homes = self.homes.max(home + 1);
        self.places[place] = Some(Place {
            home,
            country,
            window,
            complete,
            reported_on: self.now,
            apps,
            held: None,
            due: None,
        });
        self.reschedule(place);
        self.audits_place("environments/write", place);
        Answer::IsNew(before.is_none())
    }

    /// Nothing may run there: its report would have nowhere to go.
    fn delete_environment(&mut self, place: usize) -> Answer {
        let Some(gone) = &self.places[place] else {
            return refused("EnvironmentNotFound");
        };
        if self.running_in(gone).is_some() {
            return refused("EnvironmentBusy");
        }
        for waiting in self.waiting_in(gone) {
            self.skip(waiting, "EnvironmentGone", false);
        }
        self.places[place] = None;
        self.audits_place("environments/delete", place);
        Answer::Done
    }

    fn release_environment(&mut self, number: usize) -> Answer {
        let Some(place) = &mut self.places[number] else {
            return refused("EnvironmentNotFound");
        };
        if place.held.take().is_some() {
            self.reschedule(number);
            self.audits_place("environments/release", number);
        }
        Answer::Done
    }

    /// Looks at the places in which something is due, the longest due first, until enough has been started.
    fn claim(&mut self, most: usize) -> Answer {
        let mut started = Vec::new();
        while started.len() < most {
            let Some(place) = self.longest_due() else { break };
            started.extend(self.start_in(place));
        }
        self.carried.extend(&started);
        Answer::Started(started)
    }

    fn longest_due(&self) -> Option<usize> {
        let due = |&place: &usize| {
            let place = self.places[place].as_ref()?;
            place
                .due
                .filter(|due| *due <= self.now)
                .map(|due| (due, place.home))
        };
        (0..PLACES)
            .filter(|place| due(place).is_some())
            .min_by_key(|place| due(place))
    }

    /// Starts the one operation that is next; what no longer makes sense before it is skipped.
    fn start_in(&mut self, number: usize) -> Option<usize> {
        let place = self.places[number].clone()?;
        while let Some(next) = self.next_in(&place) {
            match self.objection_to_start(&place, next) {
                Some(reason) => self.skip(next, reason, true),
                None => {
                    self.start(&place, next);
                    self.reschedule(number);
                    return Some(next);
                }
            }
        }
        self.reschedule(number);
        None
    }

    /// Of those that may start now: none before what it needs, then the earliest wish, then the first asked for.
    fn next_in(&self, place: &Place) -> Option<usize> {
        let mut ready = self.waiting_in(place);
        ready.retain(|&one| self.first_start(place, &self.operations[one]) <= self.now);
        let base_is_ready = ready.iter().any(|&one| self.operations[one].app == BASE);
        ready.retain(|&one| !(base_is_ready && self.operations[one].app == DEPENDANT));
        ready.into_iter().min_by_key(|&one| {
            let operation = &self.operations[one];
            (operation.run_after, operation.created_on, one)
        })
    }

    fn objection_to_start(&self, place: &Place, number: usize) -> Option<&'static str> {
        let operation = &self.operations[number];
        if operation.country != place.country {
            return Some("EnvironmentMoved");
        }
        if place.apps[operation.app].is_none() {
            return Some("AppUninstalled");
        }
        let objection = self.objection(place, operation.app, operation.target, false);
        objection.map(|(_, skipped)| skipped)
    }

    fn start(&mut self, place: &Place, number: usize) {
        let operation = &mut self.operations[number];
        operation.status = Running;
        operation.source = place.apps[operation.app].unwrap();
        operation.started_on = Some(self.now);
        operation.lease_until = Some(self.now + LEASE);
        self.audits("operations/start", number, Some(Scheduled), Running, true);
    }

    fn renew(&mut self, held: &[(usize, Under)]) -> Answer {
        let mut renewed: Vec<usize> = held
            .iter()
            .filter(|(number, under)| *under == Under::ItsLease && self.operations[*number].status == Running)
            .map(|(number, _)| *number)
            .collect();
        renewed.sort_unstable();
        for number in &renewed {
            self.operations[*number].lease_until = Some(self.now + LEASE);
        }
        Answer::Renewed(renewed)
    }

    /// What is over stays as it is, whoever says what about it; but news are written down.
    fn report(&mut self, report: &Report) -> OperationStatus {
        let number = report.operation;
        self.carried.retain(|carried| *carried != number);
        let (was, said) = (self.operations[number].status, report.said.status());
        let is_its = report.under == Under::ItsLease;
        if is_its && was == Running {
            self.end_as_reported(number, report.said);
        } else if !is_its || was != said {
            self.audits("operations/lateReport", number, Some(was), said, true);
        }
        self.operations[number].status
    }

    fn end_as_reported(&mut self, number: usize, said: Said) {
        match said {
            Said::Succeeded => self.end(number, Succeeded, None),
            Said::Failed => {
                self.end(number, Failed, Some("Reported"));
                self.operations[number].told = Some(TROUBLE.into());
            }
            Said::Skipped => self.end(number, Skipped, Some("NothingToDo")),
        }
        self.audits("operations/end", number, Some(Running), said.status(), true);
        let Some(place) = self.place_of(number) else {
            return;
        };
        if said == Said::Succeeded {
            self.install(place, number);
        }
        self.reschedule(place);
    }

    /// What was reported to be installed meanwhile may be newer, or may not be there at all.
    fn install(&mut self, place: usize, number: usize) {
        let operation = &self.operations[number];
        let place = self.places[place].as_mut().unwrap();
        if let Some(installed) = &mut place.apps[operation.app] {
            *installed = operation.target.max(*installed);
        }
    }

    fn end_lost(&mut self) -> Answer {
        let is_lost = |one: &&usize| {
            self.operations[**one]
                .lease_until
                .is_some_and(|until| until < self.now)
        };
        let all: Vec<usize> = (0..self.operations.len()).collect();
        let lost: Vec<usize> = all.iter().filter(is_lost).copied().collect();
        for &number in &lost {
            self.end(number, Failed, Some("OutcomeUnknown"));
            self.audits("operations/end", number, Some(Running), Failed, true);
            let place = self.place_of(number).unwrap();
            self.places[place].as_mut().unwrap().held = Some((self.now, number));
            self.reschedule(place);
        }
        Answer::Lost(lost.len())
    }

    fn skip(&mut self, number: usize, reason: &str, by_service: bool) {
        self.end(number, Skipped, Some(reason));
        self.audits("operations/end", number, Some(Scheduled), Skipped, by_service);
    }

    fn end(&mut self, number: usize, status: OperationStatus, reason: Option<&str>) {
        let operation = &mut self.operations[number];
        operation.status = status;
        operation.completed_on = matches!(status, Succeeded | Failed).then_some(self.now);
        operation.ended_on = Some(self.now);
        operation.reason = reason.map(str::to_owned);
        operation.lease_until = None;
    }

    /// The first rule that speaks against bringing an app to a version, if one does.
    fn objection(&self, place: &Place, app: usize, target: AppVersion, taken: bool) -> Option<Objection> {
        let installed = place.apps[app]?;
        let offered = self.offers[&(app, place.country, target)].availability;
        let installed_offer = self.offers.get(&(app, place.country, installed));
        let from_preview = installed_offer.is_some_and(|offer| offer.availability == Availability::Preview);
        let rules = [
            (offered == Availability::Deprecated).then_some(("TargetDeprecated", "TargetDeprecated")),
            (offered == Availability::Preview).then_some(("TargetPreview", "TargetBecamePreview")),
            (installed.0[..2] != target.0[..2]).then_some(("LineDiffers", "LineChanged")),
            (target <= installed).then_some(("NotNewer", "AlreadyUpToDate")),
            from_preview.then_some(("InstalledIsPreview", "SourceBecamePreview")),
            taken.then_some(("AlreadyScheduled", "AlreadyScheduled")),
            self.unmet(place, app, target)
                .map(|code| (code, "DependenciesUnmet")),
            self.breaks_dependant(place, app, target)
                .then_some(("DependantIncompatible", "DependantIncompatible")),
        ];
        rules.into_iter().flatten().next()
    }

    /// What is wrong with the app that a version depends on.
    fn unmet(&self, place: &Place, app: usize, target: AppVersion) -> Option<&'static str> {
        let incompatible_from = self.offers[&(app, place.country, target)].incompatible_from;
        let (least, there) = match app {
            BASE => return None,
            DEPENDANT => (least_base(target), place.apps[BASE]),
            _ => {
                // That it needs the application is only spoken of where it does not work with some.
                incompatible_from?;
                (LEAST_APPLICATION, Some(APPLICATION))
            }
        };
        match there {
            Some(there) if there < least => Some("DependencyTooOld"),
            Some(there) if incompatible_from.is_some_and(|from| there >= from) => {
                Some("DependencyIncompatible")
            }
            Some(_) => None,
            None if place.complete => Some("DependencyMissing"),
            // What is installed works, so as much as that needs must be there; nobody knows what a version needs that
            // was never uploaded.
            None => {
                let installed = place.apps[app]?;
                let is_known = self.offers.contains_key(&(app, place.country, installed));
                (is_known && least_base(installed) < least).then_some("DependencyMissing")
            }
        }
    }

    fn breaks_dependant(&self, place: &Place, app: usize, target: AppVersion) -> bool {
        let dependant = place.apps[DEPENDANT].filter(|_| app == BASE);
        let offer = dependant.and_then(|version| self.offers.get(&(DEPENDANT, place.country, version)));
        offer
            .and_then(|offer| offer.incompatible_from)
            .is_some_and(|from| target >= from)
    }

    fn first_start(&self, place: &Place, operation: &Operation) -> Instant {
        let earliest = operation.run_after.max(self.now);
        if operation.ignore_window {
            earliest
        } else {
            place.window.first_open(earliest)
        }
    }

    /// Says anew when work may next start.
    fn reschedule(&mut self, number: usize) {
        let Some(place) = &self.places[number] else { return };
        let due = self.exactly_due(place);
        self.due_too_early[number] = false;
        self.places[number].as_mut().unwrap().due = due;
    }

    fn exactly_due(&self, place: &Place) -> Option<Instant> {
        if !self.is_free(place) {
            return None;
        }
        let waiting = self.waiting_in(place).into_iter();
        waiting
            .map(|one| self.first_start(place, &self.operations[one]))
            .min()
    }

    fn is_free(&self, place: &Place) -> bool {
        place.held.is_none() && self.running_in(place).is_none()
    }

    fn slot_is_taken(&self, place: &Place, app: usize) -> bool {
        let mut operations = self.operations.iter();
        operations.any(|one| one.home == place.home && one.app == app && one.occupies())
    }

    fn running_in(&self, place: &Place) -> Option<usize> {
        let mut operations = self.operations.iter();
        operations.position(|one| one.home == place.home && one.status == Running)
    }

    fn waiting_in(&self, place: &Place) -> Vec<usize> {
        let waits = |one: &usize| {
            let operation = &self.operations[*one];
            operation.home == place.home && operation.status == Scheduled
        };
        (0..self.operations.len()).filter(waits).collect()
    }

    fn place_of(&self, number: usize) -> Option<usize> {
        let home = self.operations[number].home;
        let is_home = |place: &Option<Place>| place.as_ref().is_some_and(|place| place.home == home);
        self.places.iter().position(is_home)
    }

    /// Takes over when work is due, as it was found, where more than one answer is right.
    pub(super) fn allows_due(&mut self, number: usize, found: Option<Instant>) {
        let Some(place) = &self.places[number] else { return };
        let is_exact = found == self.exactly_due(place);
        if self.due_too_early[number] && is_exact {
            self.reschedule(number);
        }
    }

    fn audits(
        &mut self,
        action: &'static str,
        number: usize,
        before: Option<OperationStatus>,
        after: OperationStatus,
        by_service: bool,
    ) {
        self.audit.push(Audited {
            action,
            target: Target::Operation(number),
            statuses: (before, Some(after)),
            by_service,
        });
    }

    fn audits_place(&mut self, action: &'static str, place: usize) {
        self.audit.push(Audited {
            action,
            target: Target::Place(place),
            statuses: (None, None),
            by_service: false,
        });
    }

    fn audits_version(&mut self, (app, country, version): (usize, Country, AppVersion)) {
        self.audit.push(Audited {
            action: "versions/write",
            target: Target::Version(app, country, version),
            statuses: (None, None),
            by_service: false,
        });
    }

    /// The few sentences that must be true of everything, however it came about: the first that an act broke.
    pub(super) fn broken_promise(&self, before: &Self, act: &Act) -> Option<String> {
        let mut operations = before.operations.iter().zip(&self.operations).enumerate();
        let changed = operations.find_map(|(number, (was, is))| {
            let may_be = was.status == is.status || was.status.may_become(is.status);
            let stays = !was.status.is_terminal() || was == is;
            (!may_be || !stays).then(|| format!("operation {number} became {is:?} from {was:?}"))
        });
        let mut places = before.places.iter().flatten().zip(self.places.iter().flatten());
        let installed = places.find_map(|(was, is)| broken_by_installing(was, is, act));
        let states = || {
            self.places
                .iter()
                .flatten()
                .find_map(|place| self.broken_in(place))
        };
        changed.or(installed).or_else(states)
    }

    fn broken_in(&self, place: &Place) -> Option<String> {
        let here = |one: &&Operation| one.home == place.home;
        let running = self
            .operations
            .iter()
            .filter(here)
            .filter(|one| one.status == Running);
        let running = running.count();
        let waits = !self.waiting_in(place).is_empty();
        if running > 1 {
            return Some(format!("{running} run in {place:?}"));
        }
        for app in 0..APPS {
            let of_app = self.operations.iter().filter(here).filter(|one| one.app == app);
            if of_app.filter(|one| one.occupies()).count() > 1 {
                return Some(format!("two wait or run for app {app} in {place:?}"));
            }
        }
        if place.held.is_some() && (running > 0 || place.due.is_some()) {
            return Some(format!("work goes on where it is held: {place:?}"));
        }
        if running > 0 && place.due.is_some() {
            return Some(format!("work is due where one runs: {place:?}"));
        }
        if waits && running == 0 && place.held.is_none() && place.due.is_none() {
            return Some(format!("work waits for ever in {place:?}"));
        }
        None
    }
}

/// Only a report changes what is installed, and that of an executor never to something older.
fn broken_by_installing(was: &Place, is: &Place, act: &Act) -> Option<String> {
    let may_change = match act {
        Act::ReportsEnvironment { .. } => true,
        Act::Reports(_) => was.apps.iter().zip(&is.apps).all(|(was, is)| is >= was),
        _ => was.apps == is.apps,
    };
    (was.home == is.home && !may_change).then(|| format!("{:?} became {:?} in a place", was.apps, is.apps))
}
