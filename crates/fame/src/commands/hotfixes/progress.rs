//! How a wait is going, while it is: of a single hotfix step by step, of several in one line that counts, or in a table.

use super::{
    seen::{is_left_alone, warn_of_nobody},
    wait::Watched,
};
use crate::{
    output::{Column, Printer, cell},
    reports::Percent,
};
use indicatif::ProgressBar;
use serde_json::Value;

/// How a wait is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::commands) enum View {
    /// `fame hotfixes wait`: one line that counts.
    Counted,
    /// `fame hotfixes watch`: each hotfix by itself.
    Each,
}

impl View {
    /// The command.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Counted => "fame hotfixes wait",
            Self::Each => "fame hotfixes watch",
        }
    }
}

/// The most hotfixes that a table which changes holds, so that it fits on a screen.
const MOST_SHOWN: usize = 20;

const COLUMNS: &[Column] = &[
    ("TENANT", "environmentAadTenantId"),
    ("ENVIRONMENT", "environmentName"),
    ("STATUS", "status"),
    ("TO", "targetAppVersion"),
    ("STARTS", "expectedStart"),
    ("WAITING FOR", "waitingFor"),
    ("MESSAGE", "errorMessage"),
];

/// Tells how it is going.
pub(super) struct Progress {
    printer: Printer,
    view: View,
    hotfixes: usize,
    line: ProgressBar,
    percent: Percent,
    told: String,
    has_warned: bool,
}

impl Progress {
    pub(super) fn new(printer: Printer, view: View, hotfixes: usize) -> Self {
        let is_line = hotfixes > 1 || view == View::Each;
        Self {
            printer,
            view,
            hotfixes,
            line: if is_line {
                printer.line()
            } else {
                ProgressBar::hidden()
            },
            percent: Percent::new(printer),
            told: String::new(),
            has_warned: false,
        }
    }

    /// Tells what has become of one hotfix, unless all are shown in another way.
    pub(super) fn tell(&self, news: Option<String>) {
        let is_told = self.hotfixes == 1 || self.view == View::Each;
        if let Some(news) = news.filter(|_| is_told && self.line.is_hidden()) {
            self.printer.note(news);
        }
    }

    /// Tells what has become of all.
    pub(super) fn show(&mut self, watched: &[Watched]) {
        if !self.has_warned && watched.iter().any(|hotfix| is_left_alone(&hotfix.row)) {
            self.has_warned = true;
            warn_of_nobody(self.printer, watched.iter().map(|hotfix| &hotfix.row));
        }
        let ended = watched.iter().filter(|hotfix| hotfix.has_ended()).count();
        self.percent
            .tell(ended as u64, watched.len() as u64, self.view.title());
        if self.hotfixes == 1 && self.view == View::Counted {
            return;
        }
        let text = counts(watched);
        if !self.line.is_hidden() {
            self.line.set_message(match self.view {
                View::Counted => text,
                View::Each => format!("{}{text}", self.table(watched)),
            });
        } else if self.view == View::Counted && text != self.told {
            self.printer.note(&text);
            self.told = text;
        }
    }

    /// Those that have not ended first.
    fn table(&self, watched: &[Watched]) -> String {
        let (ended, open): (Vec<_>, Vec<_>) = watched.iter().partition(|hotfix| hotfix.has_ended());
        let shown = open.into_iter().chain(ended).take(MOST_SHOWN);
        let rows: Vec<Value> = shown.map(|hotfix| hotfix.row.clone()).collect();
        self.printer.live_table(&rows, COLUMNS)
    }

    /// Takes away what is shown; what of it stands on the screen.
    pub(super) fn end(self) -> String {
        self.line.finish_and_clear();
        self.told
    }
}

/// How many there are of each status, and what lies ahead of those that wait.
pub(super) fn counts(watched: &[Watched]) -> String {
    let ended = watched.iter().filter(|hotfix| hotfix.has_ended()).count();
    let count = |text: &str| watched.iter().filter(|hotfix| hotfix.said() == text).count();
    let mut words: Vec<&str> = watched.iter().map(Watched::said).collect();
    words.sort_unstable();
    words.dedup();
    let by_status: Vec<String> = words
        .iter()
        .map(|word| format!("{} {word}", count(word)))
        .collect();
    let next = watched
        .iter()
        .filter_map(|hotfix| hotfix.text("expectedStart"))
        .min();
    let next = next
        .map(|at| format!("; the next starts {}", cell(&at.into())))
        .unwrap_or_default();
    format!(
        "{ended} of {} have ended: {}{next}.",
        watched.len(),
        by_status.join(", ")
    )
}
