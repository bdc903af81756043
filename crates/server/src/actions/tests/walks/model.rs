//! What may become of two environments, said as simply as it can be: all of it in memory, one act after the other.
//!
//! It shares nothing with the service but words: statuses, versions, instants. Where the documentation leaves a choice
//! open it allows both.

mod promises;
mod rules;

use super::acts::{
    APPS, Act, Answer, Audited, BASE, By, Country, DEPENDANT, ENVIRONMENTS, Ending, FAILURE_MESSAGE,
    LeaseUsed, Report, ScheduleRequest, Target, UPLOADED, Window,
};
use crate::actions::tests::fleet::LEASE;
use domain::{
    instant::Instant,
    operation::OperationStatus::{self, Canceled, Failed, Running, Scheduled, Skipped, Succeeded},
    version::{AppVersion, Availability},
};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    time::Duration,
};

const KEYS_ARE_KEPT: Duration = Duration::from_secs(24 * 3600);

/// An environment as its operator and its agent know it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Environment {
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
    /// What the agent reported, word for word.
    pub(super) error_message: Option<String>,
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

fn refused(code: &str) -> Answer {
    Answer::Refused(code.into())
}

#[derive(Clone)]
pub(super) struct Model {
    pub(super) now: Instant,
    pub(super) environments: [Option<Environment>; ENVIRONMENTS],
    pub(super) operations: Vec<Operation>,
    /// What the living agent believes to carry.
    pub(super) carried: Vec<usize>,
    /// Every keyed request that was granted.
    pub(super) keyed: Vec<ScheduleRequest>,
    /// The audit rows of the last act.
    pub(super) audit: Vec<Audited>,
    /// What was reported of which operations too late.
    late: HashSet<(usize, OperationStatus)>,
    homes: usize,
    offers: BTreeMap<(usize, Country, AppVersion), Offer>,
    keys: HashMap<(usize, Country, u8), (ScheduleRequest, usize, Instant)>,
    /// Places in which something that waited was canceled, which may make work due earlier than it is: that costs a
    /// look at the place and nothing more.
    due_too_early: [bool; ENVIRONMENTS],
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
            environments: [None, None],
            operations: Vec::new(),
            carried: Vec::new(),
            keyed: Vec::new(),
            audit: Vec::new(),
            late: HashSet::new(),
            homes: 0,
            offers,
            keys: HashMap::new(),
            due_too_early: [false; ENVIRONMENTS],
        }
    }

    pub(super) fn take(&mut self, act: &Act) -> Answer {
        self.audit.clear();
        match act {
            Act::Schedules(request) => self.schedule(request).unwrap_or_else(refused),
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
                environment,
                country,
                window,
                complete,
                apps,
            } => self.report_environment(*environment, *country, *window, *complete, *apps),
            Act::DeletesEnvironment(environment) => self.delete_environment(*environment),
            Act::ReleasesEnvironment(environment) => self.release_environment(*environment),
            Act::Claims(limit) => self.claim(*limit),
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

    fn schedule(&mut self, request: &ScheduleRequest) -> Result<Answer, &'static str> {
        let key = request.key.map(|key| (request.app, request.country, key));
        let before = key.and_then(|key| self.keys.get(&key));
        if let Some((same, operation, _)) = before.filter(|(_, _, on)| self.now < *on + KEYS_ARE_KEPT) {
            if same != request {
                return Err("IdempotencyKeyReused");
            }
            return Ok(Answer::Is(*operation, self.operations[*operation].status));
        }
        let run_after = request.run_after.unwrap_or(self.now);
        let environment = self.environments[request.environment].as_ref();
        let environment = environment
            .filter(|environment| environment.country == request.country)
            .ok_or("EnvironmentNotFound")?;
        let source = environment.apps[request.app].ok_or("EnvironmentNotFound")?;
        if !UPLOADED.contains(&request.target) {
            return Err("ResourceDoesNotExist");
        }
        if let Some((code, _)) = self.objection(
            environment,
            request.app,
            request.target,
            self.slot_is_taken(environment, request.app),
        ) {
            return Err(code);
        }
        let operation = Operation {
            app: request.app,
            country: request.country,
            home: environment.home,
            source,
            target: request.target,
            status: Scheduled,
            ignore_window: request.ignore_window,
            run_after,
            created_on: self.now,
            started_on: None,
            completed_on: None,
            ended_on: None,
            reason: None,
            error_message: None,
            lease_until: None,
        };
        let starts = self.first_start(environment, &operation);
        let number = self.operations.len();
        let is_free = self.is_free(environment);
        self.operations.push(operation);
        if let Some(environment) = self.environments[request.environment]
            .as_mut()
            .filter(|_| is_free)
        {
            environment.due = Some(environment.due.map_or(starts, |due| due.min(starts)));
        }
        if let Some(key) = key {
            self.keys.insert(key, (request.clone(), number, self.now));
            self.keyed.push(request.clone());
        }
        self.audits("environmentHotfixes/write", number, None, Scheduled, By::Somebody);
        Ok(Answer::Is(number, Scheduled))
    }

    fn cancel(&mut self, number: usize) -> Answer {
        match self.operations[number].status {
            Canceled => {}
            Scheduled => {
                self.end(number, Canceled, None);
                if let Some(environment) = self.environment_of(number) {
                    self.due_too_early[environment] = true;
                }
                self.audits(
                    "environmentHotfixes/cancel",
                    number,
                    Some(Scheduled),
                    Canceled,
                    By::Somebody,
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
        let offer = self.offers.get_mut(&version).unwrap();
        if std::mem::replace(&mut offer.incompatible_from, from) != from {
            self.audits_version(version);
        }
        Answer::Done
    }

    /// The environment is what it is said to be, and whatever was unknown about it is known now.
    fn report_environment(
        &mut self,
        environment: usize,
        country: Country,
        window: Window,
        complete: bool,
        apps: [Option<AppVersion>; APPS],
    ) -> Answer {
        let before = self.environments[environment].as_ref().map(|before| before.home);
        let home = before.unwrap_or(self.homes);
        self.homes = self.homes.max(home + 1);
        self.environments[environment] = Some(Environment {
            home,
            country,
            window,
            complete,
            reported_on: self.now,
            apps,
            held: None,
            due: None,
        });
        self.reschedule(environment);
        self.audits_environment("environments/write", environment);
        Answer::IsNew(before.is_none())
    }

    /// Nothing may run there: its report would have nowhere to go.
    fn delete_environment(&mut self, environment: usize) -> Answer {
        let Some(gone) = &self.environments[environment] else {
            return refused("EnvironmentNotFound");
        };
        if self.running_in(gone).is_some() {
            return refused("EnvironmentBusy");
        }
        for waiting in self.waiting_in(gone) {
            self.skip(waiting, "EnvironmentGone", By::Somebody);
        }
        self.environments[environment] = None;
        self.audits_environment("environments/delete", environment);
        Answer::Done
    }

    fn release_environment(&mut self, number: usize) -> Answer {
        let Some(environment) = &mut self.environments[number] else {
            return refused("EnvironmentNotFound");
        };
        if environment.held.take().is_some() {
            self.reschedule(number);
            self.audits_environment("environments/release", number);
        }
        Answer::Done
    }

    /// Looks at the places in which something is due, the longest due first, until enough has been started.
    fn claim(&mut self, limit: usize) -> Answer {
        let mut started = Vec::new();
        while started.len() < limit {
            let Some(environment) = self.longest_due() else {
                break;
            };
            started.extend(self.start_in(environment));
        }
        self.carried.extend(&started);
        Answer::Started(started)
    }

    fn longest_due(&self) -> Option<usize> {
        let due = |&environment: &usize| {
            let environment = self.environments[environment].as_ref()?;
            environment
                .due
                .filter(|due| *due <= self.now)
                .map(|due| (due, environment.home))
        };
        (0..ENVIRONMENTS)
            .filter(|environment| due(environment).is_some())
            .min_by_key(|environment| due(environment))
    }

    /// Starts the one operation that is next; what no longer makes sense before it is skipped.
    fn start_in(&mut self, number: usize) -> Option<usize> {
        let environment = self.environments[number].clone()?;
        while let Some(next) = self.next_in(&environment) {
            match self.objection_to_start(&environment, next) {
                Some(reason) => self.skip(next, reason, By::Agent),
                None => {
                    self.start(&environment, next);
                    self.reschedule(number);
                    return Some(next);
                }
            }
        }
        self.reschedule(number);
        None
    }

    /// Of those that may start now: none before what it needs, then the earliest wanted, then the first asked for.
    fn next_in(&self, environment: &Environment) -> Option<usize> {
        let mut ready = self.waiting_in(environment);
        ready.retain(|&one| self.first_start(environment, &self.operations[one]) <= self.now);
        let base_is_ready = ready.iter().any(|&one| self.operations[one].app == BASE);
        ready.retain(|&one| !(base_is_ready && self.operations[one].app == DEPENDANT));
        ready.into_iter().min_by_key(|&one| {
            let operation = &self.operations[one];
            (operation.run_after, operation.created_on, one)
        })
    }

    fn objection_to_start(&self, environment: &Environment, number: usize) -> Option<&'static str> {
        let operation = &self.operations[number];
        if operation.country != environment.country {
            return Some("EnvironmentMoved");
        }
        if environment.apps[operation.app].is_none() {
            return Some("AppUninstalled");
        }
        let objection = self.objection(environment, operation.app, operation.target, false);
        objection.map(|(_, skipped)| skipped)
    }

    fn start(&mut self, environment: &Environment, number: usize) {
        let operation = &mut self.operations[number];
        operation.status = Running;
        operation.source = environment.apps[operation.app].unwrap();
        operation.started_on = Some(self.now);
        operation.lease_until = Some(self.now + LEASE);
        self.audits("operations/start", number, Some(Scheduled), Running, By::Agent);
    }

    fn renew(&mut self, held: &[(usize, LeaseUsed)]) -> Answer {
        let mut renewed: Vec<usize> = held
            .iter()
            .filter(|(number, lease)| *lease == LeaseUsed::Own && self.operations[*number].status == Running)
            .map(|(number, _)| *number)
            .collect();
        renewed.sort_unstable();
        for number in &renewed {
            self.operations[*number].lease_until = Some(self.now + LEASE);
        }
        Answer::Renewed(renewed)
    }

    /// What is over stays as it is, whoever says what about it; but news of what it took on are written down, each once.
    fn report(&mut self, report: &Report) -> OperationStatus {
        let number = report.operation;
        self.carried.retain(|carried| *carried != number);
        let (was, ending) = (self.operations[number].status, report.ending.status());
        let is_its = report.lease == LeaseUsed::Own;
        if is_its && was == Running {
            self.end_as_reported(number, report.ending);
        } else if self.operations[number].started_on.is_some()
            && (!is_its
                || was != ending
                || self.operations[number].reason.as_deref() != report.ending.reason())
            && self.late.insert((number, ending))
        {
            self.audits("operations/lateReport", number, Some(was), ending, By::Agent);
        }
        self.operations[number].status
    }

    fn end_as_reported(&mut self, number: usize, ending: Ending) {
        self.end(number, ending.status(), ending.reason());
        match ending {
            Ending::Failed => self.operations[number].error_message = Some(FAILURE_MESSAGE.into()),
            Ending::Succeeded | Ending::Skipped => {}
        }
        self.audits(
            "operations/end",
            number,
            Some(Running),
            ending.status(),
            By::Agent,
        );
        let Some(environment) = self.environment_of(number) else {
            return;
        };
        if ending == Ending::Succeeded {
            self.install(environment, number);
        }
        self.reschedule(environment);
    }

    /// What was reported to be installed meanwhile may be newer, or may not be there at all.
    fn install(&mut self, environment: usize, number: usize) {
        let operation = &self.operations[number];
        let environment = self.environments[environment].as_mut().unwrap();
        if let Some(installed) = &mut environment.apps[operation.app] {
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
            self.audits("operations/end", number, Some(Running), Failed, By::Service);
            let environment = self.environment_of(number).unwrap();
            self.environments[environment].as_mut().unwrap().held = Some((self.now, number));
            self.reschedule(environment);
        }
        Answer::Lost(lost.len())
    }

    fn skip(&mut self, number: usize, reason: &str, by: By) {
        self.end(number, Skipped, Some(reason));
        self.audits("operations/end", number, Some(Scheduled), Skipped, by);
    }

    fn end(&mut self, number: usize, status: OperationStatus, reason: Option<&str>) {
        let operation = &mut self.operations[number];
        operation.status = status;
        operation.completed_on = matches!(status, Succeeded | Failed).then_some(self.now);
        operation.ended_on = Some(self.now);
        operation.reason = reason.map(str::to_owned);
        operation.lease_until = None;
    }

    fn first_start(&self, environment: &Environment, operation: &Operation) -> Instant {
        let earliest = operation.run_after.max(self.now);
        if operation.ignore_window {
            earliest
        } else {
            environment.window.first_open(earliest)
        }
    }

    /// Says anew when work may next start.
    fn reschedule(&mut self, number: usize) {
        let Some(environment) = &self.environments[number] else {
            return;
        };
        let due = self.exactly_due(environment);
        self.due_too_early[number] = false;
        self.environments[number].as_mut().unwrap().due = due;
    }

    fn exactly_due(&self, environment: &Environment) -> Option<Instant> {
        if !self.is_free(environment) {
            return None;
        }
        let waiting = self.waiting_in(environment).into_iter();
        waiting
            .map(|one| self.first_start(environment, &self.operations[one]))
            .min()
    }

    fn is_free(&self, environment: &Environment) -> bool {
        environment.held.is_none() && self.running_in(environment).is_none()
    }

    fn slot_is_taken(&self, environment: &Environment, app: usize) -> bool {
        let mut operations = self.operations.iter();
        operations.any(|one| one.home == environment.home && one.app == app && one.occupies())
    }

    fn running_in(&self, environment: &Environment) -> Option<usize> {
        let mut operations = self.operations.iter();
        operations.position(|one| one.home == environment.home && one.status == Running)
    }

    fn waiting_in(&self, environment: &Environment) -> Vec<usize> {
        let waits = |one: &usize| {
            let operation = &self.operations[*one];
            operation.home == environment.home && operation.status == Scheduled
        };
        (0..self.operations.len()).filter(waits).collect()
    }

    fn environment_of(&self, number: usize) -> Option<usize> {
        let home = self.operations[number].home;
        let is_home = |environment: &Option<Environment>| {
            environment
                .as_ref()
                .is_some_and(|environment| environment.home == home)
        };
        self.environments.iter().position(is_home)
    }

    /// Takes over when work is due, as it was found, where more than one answer is right.
    pub(super) fn allows_due(&mut self, number: usize, found: Option<Instant>) {
        let Some(environment) = &self.environments[number] else {
            return;
        };
        let is_exact = found == self.exactly_due(environment);
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
        by: By,
    ) {
        self.audit.push(Audited {
            action,
            target: Target::Operation(number),
            statuses: (before, Some(after)),
            by,
        });
    }

    fn audits_environment(&mut self, action: &'static str, environment: usize) {
        self.audit.push(Audited {
            action,
            target: Target::Environment(environment),
            statuses: (None, None),
            by: By::Somebody,
        });
    }

    fn audits_version(&mut self, (app, country, version): (usize, Country, AppVersion)) {
        self.audit.push(Audited {
            action: "versions/write",
            target: Target::Version(app, country, version),
            statuses: (None, None),
            by: By::Somebody,
        });
    }
}
