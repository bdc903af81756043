//! What the process says when it ends.
//!
//! Pipelines act on the exit code and on nothing else, so every code is a promise: it keeps its meaning across
//! releases, and one meaning never gets a second code.
//!
//! | code | meaning |
//! |---:|---|
//! | 0 | done |
//! | 1 | something unexpected, such as a file that cannot be written |
//! | 2 | the command line or a setting is wrong; nothing was sent |
//! | 3 | not signed in, or not allowed (401, 403) |
//! | 4 | not found (404), or nothing matched |
//! | 5 | refused by a rule, or bad input (400, 409, 412, 422 and other 4xx) |
//! | 6 | the service could not be reached or could not answer (408, 429, 5xx), also after retries |
//! | 10 | a hotfix ended as Failed, or its environment does not have the version that it was to bring |
//! | 11 | a hotfix ended as Skipped, or a rollout in which nothing came about |
//! | 12 | a hotfix ended as Canceled, or a rollout as Aborted |
//! | 13 | a hotfix or a rollout had not ended when the time to wait was over |
//! | 14 | the package was refused: it is damaged, or cannot say which app it is |
//! | 15 | the version exists with different content |
//! | 16 | the database is not up to date (`fame migrate --check`) |
//! | 17 | schema synchronisation would refuse the new package (`fame package diff`) |
//! | 18 | undecided: what was asked cannot be told from the files alone |
//! | 19 | the package's signature is missing, broken, or not the one that was asked for |
//! | 20 | partial: a part was done and stands, the rest was not |

use domain::operation::OperationStatus;
use serde_json::{Value, json};
use std::process::ExitCode;

/// How a command ended. The table above is the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// Something unexpected.
    Unexpected = 1,
    /// The command line or a setting is wrong.
    Usage = 2,
    /// Not signed in, or not allowed.
    NotAllowed = 3,
    /// Not found, or nothing matched.
    NotFound = 4,
    /// Refused by a rule, or bad input.
    Refused = 5,
    /// The service could not be reached or could not answer.
    Unavailable = 6,
    /// A hotfix failed.
    HotfixFailed = 10,
    /// A hotfix was skipped.
    HotfixSkipped = 11,
    /// A hotfix was canceled.
    HotfixCanceled = 12,
    /// A hotfix had not ended in time.
    WaitedTooLong = 13,
    /// The package was refused.
    PackageRefused = 14,
    /// The version exists with different content.
    DifferentContent = 15,
    /// The database is not up to date.
    DatabaseOutdated = 16,
    /// Schema synchronisation would refuse the new package.
    SchemaRefused = 17,
    /// What was asked cannot be told from the files alone.
    Undecided = 18,
    /// The signature is missing, broken, or not the one that was asked for.
    SignatureRefused = 19,
    /// A part was done and stands, the rest was not.
    Partial = 20,
}

impl Exit {
    const ALL: [Self; 18] = [
        Self::Done,
        Self::Unexpected,
        Self::Usage,
        Self::NotAllowed,
        Self::NotFound,
        Self::Refused,
        Self::Unavailable,
        Self::HotfixFailed,
        Self::HotfixSkipped,
        Self::HotfixCanceled,
        Self::WaitedTooLong,
        Self::PackageRefused,
        Self::DifferentContent,
        Self::DatabaseOutdated,
        Self::SchemaRefused,
        Self::Undecided,
        Self::SignatureRefused,
        Self::Partial,
    ];

    /// The number that the process ends with.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// What stands for a hotfix of that status when nobody waits any longer.
    pub(crate) fn of_hotfix(status: OperationStatus) -> Self {
        match status {
            OperationStatus::Succeeded => Self::Done,
            OperationStatus::Failed => Self::HotfixFailed,
            OperationStatus::Skipped => Self::HotfixSkipped,
            OperationStatus::Canceled => Self::HotfixCanceled,
            OperationStatus::Scheduled | OperationStatus::Running => Self::WaitedTooLong,
        }
    }

    /// What the code means, for people.
    pub(crate) fn meaning(self) -> &'static str {
        self.words().1
    }

    /// What the code stands for, in one word, for programs.
    pub(crate) fn name(self) -> &'static str {
        self.words().0
    }

    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Done => ("Done", "done"),
            Self::Unexpected => (
                "Unexpected",
                "something unexpected, such as a file that cannot be written",
            ),
            Self::Usage => (
                "Usage",
                "the command line or a setting is wrong; nothing was sent",
            ),
            Self::NotAllowed => ("NotAllowed", "not signed in, or not allowed (401, 403)"),
            Self::NotFound => ("NotFound", "not found (404), or nothing matched"),
            Self::Refused => (
                "Refused",
                "refused by a rule, or bad input (400, 409, 412, 422 and other 4xx)",
            ),
            Self::Unavailable => (
                "Unavailable",
                "the service could not be reached or could not answer (408, 429, 5xx), also after retries",
            ),
            Self::HotfixFailed => (
                "HotfixFailed",
                "a hotfix ended as Failed, or its environment does not have the version that it was to bring",
            ),
            Self::HotfixSkipped => (
                "HotfixSkipped",
                "a hotfix ended as Skipped, or a rollout in which nothing came about",
            ),
            Self::HotfixCanceled => (
                "HotfixCanceled",
                "a hotfix ended as Canceled, or a rollout as Aborted",
            ),
            Self::WaitedTooLong => (
                "WaitedTooLong",
                "a hotfix or a rollout had not ended when the time to wait was over",
            ),
            Self::PackageRefused => (
                "PackageRefused",
                "the package was refused: it is damaged, or cannot say which app it is",
            ),
            Self::DifferentContent => ("DifferentContent", "the version exists with different content"),
            Self::DatabaseOutdated => (
                "DatabaseOutdated",
                "the database is not up to date (fame migrate --check)",
            ),
            Self::SchemaRefused => (
                "SchemaRefused",
                "schema synchronisation would refuse the new package (fame package diff)",
            ),
            Self::Undecided => (
                "Undecided",
                "undecided: what was asked cannot be told from the files alone",
            ),
            Self::SignatureRefused => (
                "SignatureRefused",
                "the package's signature is missing, broken, or not the one that was asked for",
            ),
            Self::Partial => ("Partial", "partial: a part was done and stands, the rest was not"),
        }
    }

    /// All codes with their names and meanings.
    pub(crate) fn rows() -> Vec<Value> {
        let row =
            |exit: Self| json!({ "exitCode": exit.code(), "name": exit.name(), "meaning": exit.meaning() });
        Self::ALL.map(row).to_vec()
    }

    /// All codes with their meanings, one per line.
    pub fn table() -> String {
        let lines = Self::ALL.map(|exit| format!("{:>4}  {}", exit.code(), exit.meaning()));
        format!("Exit codes:\n{}", lines.join("\n"))
    }

    /// Of several outcomes, the one to end with: the first that is not [`Exit::Done`].
    pub fn first_of(outcomes: impl IntoIterator<Item = Self>) -> Self {
        let mut outcomes = outcomes.into_iter();
        outcomes.find(|exit| *exit != Self::Done).unwrap_or(Self::Done)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
