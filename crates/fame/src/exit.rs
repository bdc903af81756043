//! What the process says when it ends.
//!
//! Pipelines act on the exit code and on nothing else, so every code is a promise: it keeps its meaning across
//! releases, and one meaning never gets a second code. [`Exit`] says which there are.

use domain::operation::OperationStatus;
use serde_json::{Value, json};
use std::process::ExitCode;

macro_rules! exits {
    ($($name:ident = $code:literal, $meaning:literal;)+) => {
        /// How a command ended; the contract with whoever runs it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Exit {
            $(#[doc = $meaning] $name = $code,)+
        }

        impl Exit {
            const ALL: &[Self] = &[$(Self::$name),+];

            /// What the code stands for, in one word, for programs.
            pub(crate) fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)+ }
            }

            /// What the code means, for people.
            pub(crate) fn meaning(self) -> &'static str {
                match self { $(Self::$name => $meaning,)+ }
            }
        }
    };
}

exits! {
    Done = 0, "done";
    Unexpected = 1, "something unexpected, such as a file that cannot be written";
    Usage = 2, "the command line or a setting is wrong; nothing was sent";
    NotAllowed = 3, "not signed in, or not allowed (401, 403)";
    NotFound = 4, "not found (404), or nothing matched";
    Refused = 5, "refused by a rule, or bad input (400, 409, 412, 422 and other 4xx)";
    Unavailable = 6, "the service could not be reached or could not answer (408, 429, 5xx), also after retries";
    HotfixFailed = 10, "a hotfix ended as Failed, or its environment does not have the version that it was to bring";
    HotfixSkipped = 11, "a hotfix ended as Skipped, or a rollout in which nothing came about";
    HotfixCanceled = 12, "a hotfix ended as Canceled, or a rollout as Aborted";
    WaitedTooLong = 13, "a hotfix or a rollout had not ended when the time to wait was over";
    PackageRefused = 14, "the package was refused: it is damaged, or cannot say which app it is";
    DifferentContent = 15, "the version exists with different content";
    DatabaseOutdated = 16, "the database is not up to date (fame migrate --check)";
    SchemaRefused = 17, "schema synchronisation would refuse the new package (fame package diff)";
    Undecided = 18, "undecided: what was asked cannot be told from the files alone";
    SignatureRefused = 19, "the package's signature is missing, broken, or not the one that was asked for";
    Partial = 20, "partial: a part was done and stands, the rest was not";
}

impl Exit {
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

    /// All codes with their names and meanings.
    pub(crate) fn rows() -> Vec<Value> {
        let row =
            |exit: Self| json!({ "exitCode": exit.code(), "name": exit.name(), "meaning": exit.meaning() });
        Self::ALL.iter().copied().map(row).collect()
    }

    /// All codes with their meanings, one per line.
    pub fn table() -> String {
        let line = |exit: &Self| format!("{:>4}  {}", exit.code(), exit.meaning());
        let lines: Vec<String> = Self::ALL.iter().map(line).collect();
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
