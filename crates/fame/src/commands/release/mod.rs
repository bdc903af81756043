//! `fame release`: packages to every country, then offered, then in customers' environments; one command, and its exit code
//! is the truth.
//!
//! [`mod@file`] and the flags say what is wanted; [`placed`] reads the packages and says which goes where. Then the service is
//! [looked at](look), and where anything speaks against the release it ends there, with nothing touched. [`plan`] decides
//! step by step what is next, [`drive`] does it and reads it back, and [`outcome`] says what became of it all. What only
//! our own service has, such as digests and idempotency keys, is used where the service shows it; nothing depends on it.
//!
//! | what became of it | exit code |
//! |---|---:|
//! | every post-condition was read back | 0 |
//! | a flag, `fame.toml` or a pattern of files is wrong; nothing was sent | 2 |
//! | not signed in, or the role does not allow it; nothing was changed | 3 |
//! | an app, a country or any environment that matches is missing; nothing was changed | 4 |
//! | a rule speaks against it, such as a version that was withdrawn or another hotfix; nothing was changed | 5 |
//! | the service is out of reach, and nothing was changed | 6 |
//! | all was published and scheduled, but a hotfix ended as Failed | 10 |
//! | … as Skipped | 11 |
//! | … as Canceled | 12 |
//! | … or had not ended in time | 13 |
//! | a package is damaged, or cannot say which app it is; nothing was sent | 14 |
//! | a version exists with other content, even one that appeared meanwhile; nothing was changed | 15 |
//! | schema synchronisation is forecast to refuse a hotfix; nothing was changed | 17 |
//! | a part of the release stands, and the rest does not; run it again | 20 |
//!
//! With `--plan` the code is that of the checks, which is what a run would end with if nothing went wrong.

mod access;
mod drive;
mod entries;
mod file;
mod look;
mod objections;
mod outcome;
mod placed;
mod plan;
mod policy;
mod sites;
mod transfers;

use crate::{
    args::{Country, brief, duration, said},
    exit::Exit,
    failure::Failure,
    output::Printer,
    reports::ReportArgs,
    session::Session,
};
use clap::{
    Args,
    builder::{PossibleValuesParser, TypedValueParser},
};
use domain::{instant::Instant, version::Availability};
use drive::Release;
use file::ReleaseFile;
use placed::{Group, Placed};
use plan::Goal;
use policy::{Decided, Policy};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// Publish packages in all their countries, offer them, and bring them to customers' environments.
///
/// All checks come first: where a version exists with other content, a country is missing or the role does not suffice,
/// nothing is changed. Uploads are Preview until each of them was read back; then they are offered, what others need first;
/// then hotfixes are scheduled. Run again, it finishes the rest and repeats nothing. Without packages, the release is the one
/// that fame.toml describes, in the working directory or above it up to the repository's root.
#[derive(Args, Debug)]
pub(crate) struct ReleaseArgs {
    /// The packages (.app), instead of those of fame.toml; each says itself which app and version it is
    #[arg(value_name = "PACKAGE")]
    packages: Vec<PathBuf>,
    /// The file that describes the release; left out, fame.toml where there is one
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Countries to publish in, such as US,DE; instead of all that the file names
    #[arg(
        long = "countries",
        visible_alias = "country",
        short = 'c',
        value_name = "CODE",
        value_delimiter = ','
    )]
    countries: Vec<Country>,
    /// To whom the versions are offered at the end: Preview (as long as nothing else is said) or Available
    #[arg(long, ignore_case = true, hide_possible_values = true, value_parser = release_availability())]
    availability: Option<Availability>,
    /// Add countries that an app lacks, instead of being refused
    #[arg(long)]
    add_countries: bool,
    /// Offer a version again that was withdrawn (Deprecated), instead of being refused
    #[arg(long)]
    allow_deprecated: bool,
    /// Then schedule hotfixes for the environments that match, are on the version's line and have an older one
    #[arg(long)]
    hotfix: bool,
    /// Schedule none, whatever the file says
    #[arg(long, conflicts_with = "hotfix")]
    no_hotfix: bool,
    /// Which environments get hotfixes, as OData: "type eq 'Sandbox'"
    #[arg(long = "where", visible_alias = "filter", id = "where", value_name = "EXPRESSION", value_parser = said)]
    filter: Option<String>,
    /// Start hotfixes no earlier than this: 2026-11-30T18:00:00Z; in UTC where nothing else is said
    #[arg(long, value_name = "TIME")]
    run_after: Option<Instant>,
    /// Do not wait for the environments' update windows
    #[arg(long)]
    ignore_window: bool,
    /// Schedule hotfixes even where schema synchronisation is forecast to refuse the version
    #[arg(long)]
    despite_forecast: bool,
    /// Wait until the hotfixes have ended, and make sure that they did what they were to do
    #[arg(long)]
    wait: bool,
    /// Do not wait, whatever the file says
    #[arg(long, conflicts_with = "wait")]
    no_wait: bool,
    /// How long to wait for all of them together (24h as long as nothing else is said); after that, exit code 13
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    timeout: Option<Duration>,
    /// How long to pause between looks at first; pauses grow to twelve times that
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = brief)]
    poll_interval: Duration,
    /// Only say what would happen; nothing is changed, and the exit code is that of the checks
    #[arg(long)]
    plan: bool,
    /// Uploads and requests at the same time
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    concurrency: u16,
    #[command(flatten)]
    report: ReportArgs,
}

/// What reports call the command.
const TITLE: &str = "fame release";

/// To whom a release can be offered, with words that a shell can complete.
fn release_availability() -> impl TypedValueParser<Value = Availability> {
    PossibleValuesParser::new(["Preview", "Available"]).try_map(|word| availability(&word))
}

/// Reads to whom a release is offered.
fn availability(word: &str) -> Result<Availability, String> {
    let read = word.parse().ok();
    let offered = [Availability::Preview, Availability::Available];
    let read = read.filter(|word| offered.contains(word));
    read.ok_or_else(|| format!("'{word}': a release is offered as Preview or Available"))
}

/// A release, read and understood; nothing was sent yet.
struct Wanted {
    profile: Option<String>,
    placed: Vec<Placed>,
    decided: Decided,
}

impl ReleaseArgs {
    /// Runs the command. `session` is opened with the profile that the release's file names, if it names one.
    ///
    /// # Errors
    /// Whatever ends it before there is an outcome to show: nothing was changed by then.
    pub(crate) async fn run(
        self,
        session: impl AsyncFnOnce(Option<String>) -> Result<Session, Failure>,
        printer: Printer,
    ) -> Result<Exit, Failure> {
        let ended = self.release(session, printer).await;
        self.report.keep(TITLE, ended, printer)
    }

    async fn release(
        &self,
        session: impl AsyncFnOnce(Option<String>) -> Result<Session, Failure>,
        printer: Printer,
    ) -> Result<Exit, Failure> {
        let wanted = self.wanted(printer).await?;
        let session = session(wanted.profile.clone()).await?;
        let mut release = self.of(&session, wanted);
        release.look().await?;
        release.warn_of_lacks().await;
        if !release.is_hindered() && !self.plan {
            release.carry_out().await;
        }
        outcome::tell(&release, self.plan, &self.report)
    }

    /// What the flags and the file say, and the packages that they name.
    async fn wanted(&self, printer: Printer) -> Result<Wanted, Failure> {
        let file = file::read(self.file.as_deref())?.unwrap_or_default();
        let mut decided = self.policy().or(file.policy.clone()).decide(self.run_after)?;
        match &mut decided.rollout {
            Some(rollout) => rollout.despite_forecast = self.despite_forecast,
            None if self.despite_forecast && !self.no_hotfix => {
                return Err(Failure::Usage(
                    "--despite-forecast is of hotfixes: say with --hotfix that there are to be some."
                        .to_owned(),
                ));
            }
            None => {}
        }
        let placed = placed::judge(self.groups(&file)?, printer).await?;
        Ok(Wanted {
            profile: file.profile,
            placed,
            decided,
        })
    }

    fn policy(&self) -> Policy {
        let said = |yes: bool, no: bool| match (yes, no) {
            (true, _) => Some(true),
            (_, true) => Some(false),
            _ => None,
        };
        Policy {
            availability: self.availability,
            adds_countries: said(self.add_countries, false),
            hotfix: said(self.hotfix, self.no_hotfix),
            filter: self.filter.clone(),
            ignores_window: said(self.ignore_window, false),
            waits: said(self.wait, self.no_wait),
            timeout: self.timeout,
        }
    }

    /// The files, and the countries that each of them goes to.
    fn groups(&self, file: &ReleaseFile) -> Result<Vec<Group>, Failure> {
        let of_all = match self.countries.is_empty() {
            true => &file.countries,
            false => &self.countries,
        };
        let countries = |own: &[Country]| match own.is_empty() || !self.countries.is_empty() {
            true => of_all.clone(),
            false => own.to_vec(),
        };
        if !self.packages.is_empty() {
            let files = self.packages.iter().map(|path| named(path));
            let files = files.collect::<Result<Vec<_>, _>>()?.concat();
            return Group::new(files, countries(&[])).map(|group| vec![group]);
        }
        if file.groups.is_empty() {
            return Err(Failure::Usage(match file.path.as_os_str().is_empty() {
                true => format!(
                    "No packages: name them, or describe the release in {}.",
                    file::NAME
                ),
                false => format!(
                    "{} names no packages: it needs [[app]] with packages = [\"output/*.app\"], or name them here.",
                    file.path.display()
                ),
            }));
        }
        let group = |written: &file::Written| {
            let files = file.files(written)?;
            Group::new(files, countries(&written.countries))
        };
        file.groups.iter().map(group).collect()
    }

    fn of<'s>(&self, session: &'s Session, wanted: Wanted) -> Release<'s> {
        let Wanted { placed, decided, .. } = wanted;
        let goal = Goal {
            items: placed::items(&placed),
            availability: decided.availability,
            adds_countries: decided.adds_countries,
            allows_deprecated: self.allow_deprecated,
            hotfix: decided.rollout.as_ref().map(|rollout| rollout.hotfix),
        };
        let packages = placed.into_iter().map(|placed| placed.package).collect();
        let pace = drive::Pace {
            concurrency: self.concurrency.into(),
            poll_interval: self.poll_interval,
        };
        Release::new(session, goal, packages, decided.rollout, pace)
    }
}

/// The files that a word of the command line names: shells of Windows leave patterns to the program.
fn named(path: &Path) -> Result<Vec<PathBuf>, Failure> {
    let pattern = path
        .to_str()
        .filter(|text| text.contains(['*', '?', '[']) && !path.exists());
    let Some(pattern) = pattern else {
        return Ok(vec![path.to_owned()]);
    };
    let found = file::matches(Path::new("."), pattern)?;
    match found.is_empty() {
        true => Err(Failure::Usage(format!("No file matches '{pattern}'."))),
        false => Ok(found),
    }
}

#[cfg(test)]
mod tests {
    /// Lines of a table, without what stands before them.
    fn table<'t>(text: &'t str, prefix: &str) -> Vec<&'t str> {
        let from = text.lines().filter_map(|line| line.strip_prefix(prefix));
        let from = from.skip_while(|line| !line.starts_with("| what became of it | exit code |"));
        from.take_while(|line| line.starts_with('|')).collect()
    }

    #[test]
    fn the_exit_codes_are_those_that_are_documented() {
        let documented = table(include_str!("../../../../../docs/RELEASING.md"), "");
        assert!(documented.len() > 10, "{documented:?}");
        assert_eq!(table(include_str!("mod.rs"), "//! "), documented);
    }
}
