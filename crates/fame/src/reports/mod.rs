//! What a pipeline is told besides the exit code: a JUnit file, a summary, annotations.
//!
//! A command that does many things says what became of each of them as one [`Report`]; [`write()`] brings it into the forms
//! that GitHub Actions and Azure DevOps show, within what they really show. Nothing here decides about the command: its
//! outcome stands, whatever becomes of the reports.

mod annotations;
mod azure;
mod github;
mod junit;
mod summary;

use crate::{ci::Ci, exit::Exit, failure::Failure, output::Printer};
use clap::Args;
use std::{
    fs, io,
    path::{Path, PathBuf},
};

pub(crate) use annotations::annotate;
pub(crate) use azure::Percent;

/// What became of everything that a command was to do.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Report {
    /// One for each app.
    pub suites: Vec<Suite>,
}

/// What became of an app.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Suite {
    /// The app's name, or its id where the name is not known.
    pub name: String,
    /// Each thing that was to be done.
    pub cases: Vec<Case>,
}

/// One thing that was to be done.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Case {
    /// What and where: `US 26.1.4.0 upload`, or `contoso-prod hotfix`. Where it begins with a country, summaries count it
    /// there.
    pub name: String,
    /// The app's name.
    pub classname: String,
    /// How long it took, where that was measured.
    pub seconds: Option<f64>,
    /// What became of it.
    pub result: CaseResult,
}

/// What became of one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CaseResult {
    /// It was done, or was so already.
    Passed,
    /// It was not done.
    Failed {
        /// The stable code of why: the service's, or ours.
        code: String,
        /// Why, in one line.
        message: String,
        /// Everything that is known of it, with the correlation id.
        text: String,
    },
    /// It was not tried, or not to be done.
    Skipped {
        /// Why.
        message: String,
    },
}

/// Where reports go.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct ReportArgs {
    /// Write what became of each part to a file too, as JUnit
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
}

impl ReportArgs {
    /// Whether anybody reads a report.
    pub(crate) fn is_wanted(&self, printer: Printer) -> bool {
        self.junit.is_some() || printer.ci() != Ci::None
    }

    /// Passes on how a command called `title` ended. One that ended early has a JUnit file too: pipelines look for it.
    pub(crate) fn keep<T>(
        &self,
        title: &str,
        ended: Result<T, Failure>,
        printer: Printer,
    ) -> Result<T, Failure> {
        if let (Err(failure), Some(path)) = (&ended, &self.junit) {
            let case = Case {
                name: title.to_owned(),
                classname: title.to_owned(),
                seconds: None,
                result: CaseResult::of_failure(failure),
            };
            let suite = Suite {
                name: title.to_owned(),
                cases: vec![case],
            };
            let report = Report { suites: vec![suite] };
            write_junit(path, title, &report, printer);
        }
        ended
    }
}

impl Case {
    /// The country that its name begins with.
    fn country(&self) -> Option<&str> {
        let word = self.name.split(' ').next()?;
        let is_country = word.len() == 2 && word.bytes().all(|byte| byte.is_ascii_uppercase());
        is_country.then_some(word)
    }
}

impl CaseResult {
    /// What `failure` makes of a case.
    pub(crate) fn of_failure(failure: &Failure) -> Self {
        let text = failure.to_string();
        Self::Failed {
            code: failure.code().to_owned(),
            message: text.lines().next().unwrap_or_default().to_owned(),
            text,
        }
    }
}

impl Report {
    fn cases(&self) -> impl Iterator<Item = (&Suite, &Case)> {
        let of_suite = |suite| Suite::cases(suite).map(move |case| (suite, case));
        self.suites.iter().flat_map(of_suite)
    }
}

impl Suite {
    fn cases(&self) -> impl Iterator<Item = &Case> {
        self.cases.iter()
    }
}

/// Writes what became of a command called `title`, such as `fame release`, which came to `outcome`: to the JUnit file that
/// was asked for, and to the system whose pipeline runs the command. Returns what the process ends with: a file that cannot
/// be written is an outcome of its own where there is no other.
pub(crate) fn write(
    report: &Report,
    args: &ReportArgs,
    title: &str,
    outcome: Exit,
    printer: Printer,
) -> Exit {
    let written = args
        .junit
        .as_deref()
        .map(|path| write_junit(path, title, report, printer));
    let end = Exit::first_of([outcome, written.unwrap_or(Exit::Done)]);
    let summary = |limit| summary::markdown(report, title, outcome, args.junit.as_deref(), limit);
    match printer.ci() {
        Ci::None => {}
        Ci::Github => {
            github::list_cases(report, title, printer);
            annotations::of_report(report, title, printer);
            github::append_summary(summary, printer);
        }
        Ci::Azure => {
            azure::list_cases(report, title, printer);
            annotations::of_report(report, title, printer);
            azure::upload_summary(&summary(summary::LIMIT), title, printer);
            azure::tell_outcome(outcome, printer);
        }
    }
    end
}

/// Writes a JUnit file, and says so where that does not work.
fn write_junit(path: &Path, title: &str, report: &Report, printer: Printer) -> Exit {
    match write_file(path, &junit::document(title, report)) {
        Ok(()) => Exit::Done,
        Err(source) => {
            let failure = Failure::file("write", path, source);
            failure.tell(printer, None);
            failure.exit()
        }
    }
}

/// Writes a file, and the folders that it is to lie in. Whoever looks finds the file from before or the whole of this one.
fn write_file(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder)?;
    }
    if fs::metadata(path).is_ok_and(|there| !there.is_file()) {
        // A terminal or a pipe keeps nothing.
        return fs::write(path, text);
    }
    let mut fresh = path.to_owned().into_os_string();
    fresh.push(format!(".{}.part", std::process::id()));
    let fresh = PathBuf::from(fresh);
    let written = fs::write(&fresh, text).and_then(|()| fs::rename(&fresh, path));
    if written.is_err() {
        // What it was to become counts, and not what is left of it.
        let _ = fs::remove_file(&fresh);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_there_whole_or_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("reports/a.xml");
        write_file(&path, "one").unwrap();
        let before = fs::File::open(&path).unwrap();
        write_file(&path, "another").unwrap();
        assert_eq!(
            io::read_to_string(before).unwrap(),
            "one",
            "whoever reads it has one of them"
        );
        assert_eq!(fs::read_to_string(&path).unwrap(), "another");
        assert!(write_file(folder.path(), "x").is_err());
        let left = fs::read_dir(folder.path().join("reports")).unwrap().count();
        assert_eq!(left, 1);
    }
}
