//! What somebody does to the environments, what it comes to, and the few things it is about.

use domain::{
    instant::{Instant, TICKS_PER_SECOND},
    operation::OperationStatus::{self, Failed, Skipped, Succeeded},
    version::{AppVersion, Availability},
};
use std::time::Duration;

pub(super) const ENVIRONMENTS: usize = 2;
pub(super) const APPS: usize = 3;
/// The app that the next one depends on. The last one depends on Business Central's own application alone.
pub(super) const BASE: usize = 0;
pub(super) const DEPENDANT: usize = 1;
/// The application version that both environments have.
pub(super) const APPLICATION: AppVersion = AppVersion([16, 0, 0, 5]);
/// What the last app's packages need of it.
pub(super) const LEAST_APPLICATION: AppVersion = AppVersion([16, 0, 0, 0]);

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

    pub(super) fn first_open(self, from: Instant) -> Instant {
        let (opens, lasts) = self.minutes();
        let midnight = from.0 - from.0.rem_euclid(DAY);
        let mut opening = midnight - DAY + opens * MINUTE;
        while opening + lasts * MINUTE <= from.0 {
            opening += DAY;
        }
        Instant(opening.max(from.0))
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct ScheduleRequest {
    pub(super) environment: usize,
    pub(super) app: usize,
    pub(super) country: Country,
    pub(super) target: AppVersion,
    pub(super) run_after: Option<Instant>,
    pub(super) ignore_window: bool,
    /// An `Idempotency-Key`.
    pub(super) key: Option<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LeaseUsed {
    Own,
    Another,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Succeeded,
    Failed,
    Skipped,
}

impl Ending {
    pub(super) fn status(self) -> OperationStatus {
        match self {
            Self::Succeeded => Succeeded,
            Self::Failed => Failed,
            Self::Skipped => Skipped,
        }
    }

    /// What is written down as the reason of such an end.
    pub(super) fn reason(self) -> Option<&'static str> {
        match self {
            Self::Succeeded => None,
            Self::Failed => Some("Reported"),
            Self::Skipped => Some("NothingToDo"),
        }
    }
}

/// The words of a report of failure.
pub(super) const FAILURE_MESSAGE: &str = "The schema could not be synchronized: table 18 is locked.";

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Report {
    pub(super) operation: usize,
    pub(super) lease: LeaseUsed,
    pub(super) ending: Ending,
}

/// What somebody does. Operations are numbered as they were scheduled.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Act {
    Schedules(ScheduleRequest),
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
        environment: usize,
        country: Country,
        window: Window,
        complete: bool,
        apps: [Option<AppVersion>; APPS],
    },
    DeletesEnvironment(usize),
    ReleasesEnvironment(usize),
    Claims(usize),
    Renews(Vec<(usize, LeaseUsed)>),
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

/// What an audit row is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Target {
    Operation(usize),
    Environment(usize),
    Version(usize, Country, AppVersion),
}

/// An audit row, as far as it is foretold.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Audited {
    pub(super) action: &'static str,
    pub(super) target: Target,
    /// The status of an operation before, and after or as reported.
    pub(super) statuses: (Option<OperationStatus>, Option<OperationStatus>),
    pub(super) by: By,
}

/// Who did it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum By {
    Somebody,
    Agent,
    Service,
}
