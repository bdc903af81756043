//! What Azure DevOps is told: logging commands on standard error, and a summary in a file that they name.

use super::{Report, summary};
use crate::{ci::Ci, exit::Exit, output::Printer};
use std::{
    env, fs,
    path::PathBuf,
    time::{Duration, Instant},
};
use uuid::Uuid;

/// An issue of the run.
pub(super) fn error(code: &str, text: &str) -> String {
    format!(
        "##vso[task.logissue type=error;code={};]{}",
        escaped(code),
        escaped(text)
    )
}

/// Lists what became of each case in a group that can be unfolded.
pub(super) fn list_cases(report: &Report, title: &str, printer: Printer) {
    let commands = [format!("##[group]{}", escaped(title)), "##[endgroup]".to_owned()];
    summary::list_cases(report, &commands, printer);
}

/// Has a summary shown with the run. The name of its file is the name of the attachment, which must not be there twice.
pub(super) fn upload_summary(markdown: &str, title: &str, printer: Printer) {
    let folder = env::var_os("AGENT_TEMPDIRECTORY").filter(|path| !path.is_empty());
    let folder = folder.map_or_else(env::temp_dir, PathBuf::from);
    let path = folder.join(format!("{} {}.md", title.replace(' ', "-"), Uuid::new_v4()).replace(' ', "-"));
    let written = std::path::absolute(&path).and_then(|path| fs::write(&path, markdown).map(|()| path));
    match written {
        Ok(path) => printer.command(&format!(
            "##vso[task.uploadsummary]{}",
            escaped(&path.display().to_string())
        )),
        Err(error) => printer.warning(format!("Cannot write the summary {}: {error}", path.display())),
    }
}

/// Says that a part was done, which the exit code alone would make a failure of everything.
pub(super) fn tell_outcome(outcome: Exit, printer: Printer) {
    if outcome == Exit::Partial {
        let text = escaped(outcome.meaning());
        printer.command(&format!("##vso[task.complete result=SucceededWithIssues;]{text}"));
    }
}

/// How far a command is, for Azure DevOps to show beside its step: told once a second at most.
#[derive(Debug)]
pub(crate) struct Percent {
    printer: Printer,
    told: Option<(Instant, u64)>,
}

impl Percent {
    /// Nothing is told yet.
    pub(crate) fn new(printer: Printer) -> Self {
        Self { printer, told: None }
    }

    /// `done` of `total` is done of what `title` says.
    pub(crate) fn tell(&mut self, done: u64, total: u64, title: &str) {
        if self.printer.ci() != Ci::Azure || self.printer.is_quiet() || total == 0 {
            return;
        }
        let percent = done.min(total).saturating_mul(100) / total;
        if self.is_due(percent, Instant::now()) {
            let title = escaped(title);
            self.printer
                .command(&format!("##vso[task.setprogress value={percent};]{title}"));
        }
    }

    /// Whether `percent` is news, and the last news a second old.
    fn is_due(&mut self, percent: u64, now: Instant) -> bool {
        let is_early =
            |(at, told): (Instant, u64)| told == percent || now.duration_since(at) < Duration::from_secs(1);
        let is_due = !self.told.is_some_and(is_early);
        if is_due {
            self.told = Some((now, percent));
        }
        is_due
    }
}

fn escaped(text: &str) -> String {
    let escaped = text
        .replace('%', "%AZP25")
        .replace('\r', "%0D")
        .replace('\n', "%0A");
    escaped.replace(';', "%3B").replace(']', "%5D")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_told_once_a_second_at_most() {
        let mut percent = Percent::new(Printer::new(false, false, Ci::Azure));
        let begin = Instant::now();
        let told = [(0, 0), (10, 5), (999, 6), (1_000, 6), (2_500, 6), (2_600, 7)];
        let told = told.map(|(millis, value)| percent.is_due(value, begin + Duration::from_millis(millis)));
        assert_eq!(told, [true, false, false, true, false, true]);
    }

    #[test]
    fn an_issue_is_one_line_that_ends_where_it_should() {
        assert_eq!(
            error("A]B;c", "50 %\n##vso[task.setvariable variable=a]b"),
            "##vso[task.logissue type=error;code=A%5DB%3Bc;]50 %AZP25%0A##vso[task.setvariable variable=a%5Db"
        );
    }
}
