//! `fame config`: what the service would run with, where each value came from, and whether it will do.

use crate::{exit::Exit, failure::Failure, output::Printer};
use clap::{Args, Subcommand};
use domain::zone::{self, AddedZone};
use serde_json::{Value, json};
use server::config::{Explained, Loaded, Origin, Problem, Settings, Severity, Sources, oidc_id};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

/// `fame config …`
#[derive(Subcommand, Debug)]
pub(crate) enum ConfigCommand {
    /// Show every setting, its value and where that came from; secrets are hidden
    Show(ConfigArgs),
    /// Find every problem that would keep the service from starting (exit code 2); with --connect also try what it has to
    /// reach (exit code 6)
    Check(CheckArgs),
    /// List the ids of time zones that windows may have, besides those of the IANA database
    Zones(ConfigArgs),
    /// Print the id that somebody of an issuer of kind "oidc" has here, to name them before they first call
    ///
    /// Whoever has called already finds it in the answer that refused them (403). Principals of Microsoft Entra have the ids
    /// that they have there.
    PrincipalId {
        /// The issuer, letter by letter as its tokens name it (iss)
        issuer: String,
        /// What identifies them in its tokens: a user's sub, an application's azp, or the claims that the configuration names
        claim: String,
    },
}

/// Where settings come from.
#[derive(Args, Clone, Debug)]
pub(crate) struct ConfigArgs {
    /// Configuration file; left out, the path in FAME_CONFIG, else ./fame-serve.toml if there is one
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Change one setting, such as log.level=debug; repeat it for several
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = key_and_value)]
    overrides: Vec<(String, String)>,
}

/// `fame config check`
#[derive(Args, Clone, Debug)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Try the database, every storage location and every issuer too: object stores are given a few bytes and asked to
    /// remove them, nothing else is changed
    #[arg(long)]
    connect: bool,
}

fn key_and_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text
        .split_once('=')
        .ok_or("expected KEY=VALUE, such as log.level=debug")?;
    Ok((key.trim().to_owned(), value.to_owned()))
}

impl ConfigArgs {
    /// As if `key` had been set on the command line, unless it is none.
    #[must_use]
    pub(crate) fn with(mut self, key: &str, value: Option<String>) -> Self {
        self.overrides.extend(value.map(|value| (key.to_owned(), value)));
        self
    }

    /// Loads the settings, telling of every problem.
    ///
    /// # Errors
    /// [`Failure::Usage`] when there is any.
    pub(crate) fn load(self, printer: Printer) -> Result<Loaded, Failure> {
        let sources = Sources::of_process(self.config, self.overrides);
        Settings::load(&sources).map_err(|problems| summary(printer, &problems))
    }
}

/// Tells of every problem; comes to a failure that counts the errors among them.
pub(crate) fn summary(printer: Printer, problems: &[Problem]) -> Failure {
    tell(printer, problems, Exit::Usage);
    let errors = errors_in(problems);
    let plural = if errors == 1 { "problem" } else { "problems" };
    Failure::Usage(format!("The settings have {errors} {plural}."))
}

fn tell(printer: Printer, problems: &[Problem], exit: Exit) {
    for problem in problems {
        let line = format!("{}: {problem}", problem.code);
        match problem.severity {
            Severity::Warning => printer.warning(line),
            Severity::Error => printer.coded_error(problem.code, exit, line),
        }
    }
}

/// How many of `problems` forbid to start.
pub(crate) fn errors_in(problems: &[Problem]) -> usize {
    let errors = problems
        .iter()
        .filter(|problem| problem.severity == Severity::Error);
    errors.count()
}

impl ConfigCommand {
    /// Runs the command.
    ///
    /// # Errors
    /// [`Failure::Usage`] when the settings cannot be used, [`Failure::Unavailable`] when something is out of reach.
    pub(crate) async fn run(self, printer: Printer) -> Result<Exit, Failure> {
        match self {
            Self::Show(args) => show(&args.load(printer)?, printer),
            Self::Check(args) => check(&args.config.load(printer)?, args.connect, printer).await,
            Self::Zones(args) => zones(&args.load(printer)?, printer),
            Self::PrincipalId { issuer, claim } => {
                printer.text(&oidc_id(&issuer, &claim).to_string())?;
                Ok(Exit::Done)
            }
        }
    }
}

fn show(loaded: &Loaded, printer: Printer) -> Result<Exit, Failure> {
    let row = |explained: &Explained| {
        json!({
            "key": explained.key,
            "value": if printer.is_json() { explained.value.clone() } else { in_lines(&explained.value) },
            "origin": explained.origin.to_string(),
            "isDefault": explained.origin == Origin::Default,
        })
    };
    let rows: Vec<Value> = loaded.explain().iter().map(row).collect();
    printer.rows(&rows, &[("KEY", "key"), ("VALUE", "value"), ("FROM", "origin")])?;
    Ok(Exit::Done)
}

/// The longest value that stands on one line.
const LONGEST_VALUE: usize = 80;

/// A value of several parts with a line for each part, where one line would be too long to read.
fn in_lines(value: &str) -> String {
    match value.chars().count() > LONGEST_VALUE {
        true => value.replace("}, ", "},\n").replace("\", \"", "\",\n\""),
        false => value.to_owned(),
    }
}

async fn check(loaded: &Loaded, connects: bool, printer: Printer) -> Result<Exit, Failure> {
    let files: BTreeSet<&Path> = loaded.explain().iter().filter_map(file_of).collect();
    let files: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
    let from = match files.is_empty() {
        true => "no configuration file".to_owned(),
        false => files.join(", "),
    };
    let problems = loaded.check_production();
    if errors_in(&problems) > 0 {
        return Err(summary(printer, &problems));
    }
    for problem in &problems {
        printer.warning(format!("{}: {problem}", problem.code));
    }
    if connects {
        let problems = server::try_connections(loaded).await;
        if !problems.is_empty() {
            tell(printer, &problems, Exit::Unavailable);
            return Err(Failure::Unavailable(
                "Not all that the service has to reach can be reached.".to_owned(),
            ));
        }
        printer.note("The database, the storage locations and the issuers can be reached.");
    }
    printer.note(format!("The service can start with these settings ({from})."));
    Ok(Exit::Done)
}

/// The configuration file that a setting comes from.
fn file_of(explained: &Explained) -> Option<&Path> {
    match &explained.origin {
        Origin::File(path) => Some(path),
        _ => None,
    }
}

fn zones(loaded: &Loaded, printer: Printer) -> Result<Exit, Failure> {
    loaded.settings.time_zones.added.iter().for_each(AddedZone::add);
    let row = |(id, iana): (String, String)| json!({ "id": id, "iana": iana });
    let rows: Vec<Value> = zone::all().into_iter().map(row).collect();
    printer.rows(&rows, &[("ID", "id"), ("IANA", "iana")])?;
    printer.note(format!(
        "Rules: tzdb {}; ids: CLDR {} and newer ones.",
        zone::tzdb(),
        zone::CLDR
    ));
    Ok(Exit::Done)
}
