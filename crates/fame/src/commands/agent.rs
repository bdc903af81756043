//! `fame agent`: what runs beside Business Central environments and carries out there what the service says is due.

use super::serve::stop_signal;
use crate::{exit::Exit, failure::Failure, output::Printer};
use agent::{
    check::{self, Checked},
    clock::MachineClock,
    config::Config,
    driver::Weight,
    drivers::{Surroundings, simulate::World},
    enrol::{EnrolError, enrol},
    folder::FolderError,
    runner::{Agent, StartError},
};
use clap::{Args, Subcommand};
use domain::chain::Chain;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use server::{
    config::{LogFormat, LogSettings, SecurityLog},
    telemetry,
};
use std::{env, fs, path::PathBuf, sync::Arc};

/// Where the code is looked for when no file is named.
const CODE: &str = "FAME_ENROLMENT_CODE";

/// `fame agent …`
#[derive(Subcommand, Debug)]
pub(crate) enum AgentCommand {
    /// Exchange an operator's enrolment code for a token, which is kept in the agent's folder
    Enrol(EnrolArgs),
    /// Try each environment without changing anything (exit code 5 if something cannot work)
    Check(AgentArgs),
    /// Report what is installed, and carry out what is due
    Run(RunArgs),
}

/// What every one of them needs.
#[derive(Args, Debug)]
pub(crate) struct AgentArgs {
    /// Configuration of the agent
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

/// `fame agent enrol`
#[derive(Args, Debug)]
pub(crate) struct EnrolArgs {
    #[command(flatten)]
    agent: AgentArgs,
    /// File that holds the enrolment code; without it, FAME_ENROLMENT_CODE is the code
    #[arg(long, value_name = "FILE")]
    code_file: Option<PathBuf>,
}

/// `fame agent run`
#[derive(Args, Debug)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    agent: AgentArgs,
    /// The first full inventory is meant as it is, though it has far fewer, or far more, environments than the service
    /// knows
    #[arg(long)]
    confirm_inventory: bool,
}

impl AgentCommand {
    /// Runs the command.
    ///
    /// # Errors
    /// [`Failure::Usage`] when the configuration will not do, and what keeps the command from its work.
    pub(crate) async fn run(self, printer: Printer) -> Result<Exit, Failure> {
        match self {
            Self::Enrol(args) => args.run(printer).await,
            Self::Check(args) => args.check(printer).await,
            Self::Run(args) => args.run(printer).await,
        }
    }
}

impl AgentArgs {
    /// Reads the configuration, telling of every problem.
    fn load(&self, printer: Printer) -> Result<Config, Failure> {
        Config::load(&self.config).map_err(|problems| {
            for problem in &problems {
                printer.error(Exit::Usage, problem.to_string());
            }
            let plural = if problems.len() == 1 {
                "problem"
            } else {
                "problems"
            };
            Failure::Usage(format!(
                "The agent's configuration has {} {plural}.",
                problems.len()
            ))
        })
    }

    async fn check(&self, printer: Printer) -> Result<Exit, Failure> {
        let config = self.load(printer)?;
        let checked = check::check(&config, &surroundings()).await;
        let rows: Vec<_> = checked.iter().flat_map(rows).collect();
        printer.rows(&rows, &[("ABOUT", "about"), ("", "weight"), ("FOUND", "text")])?;
        let mut findings = checked.iter().flat_map(|checked| &checked.findings);
        Ok(match findings.any(|finding| finding.weight == Weight::Problem) {
            true => Exit::Refused,
            false => Exit::Done,
        })
    }
}

fn rows(checked: &Checked) -> impl Iterator<Item = serde_json::Value> {
    checked.findings.iter().map(|finding| {
        let weight = match finding.weight {
            Weight::Good => "good",
            Weight::Warning => "warning",
            Weight::Problem => "problem",
        };
        json!({ "about": checked.about, "weight": weight, "text": finding.text })
    })
}

impl EnrolArgs {
    async fn run(self, printer: Printer) -> Result<Exit, Failure> {
        let config = self.agent.load(printer)?;
        let code = self.code()?;
        let kept = enrol(&config, code.expose_secret(), &MachineClock).await;
        let kept = kept.map_err(|error| match error {
            EnrolError::Service(error) => Failure::Service(error),
            EnrolError::Folder(error) => folder(&error),
            EnrolError::Setup(error) => Failure::Usage(error.to_string()),
        })?;
        printer.record(&json!({ "name": kept.name, "expiresOn": kept.expires_on.to_string() }))?;
        Ok(Exit::Done)
    }

    /// The code is never an argument, where everybody on the machine could read it.
    fn code(&self) -> Result<SecretString, Failure> {
        let text = match &self.code_file {
            Some(path) => fs::read_to_string(path).map_err(|error| Failure::unreadable(path, &error))?,
            None => env::var(CODE).unwrap_or_default(),
        };
        match text.trim() {
            "" => Err(Failure::NotSignedIn(format!(
                "The enrolment code is missing: set {CODE} or --code-file."
            ))),
            code => Ok(code.into()),
        }
    }
}

impl RunArgs {
    async fn run(self, printer: Printer) -> Result<Exit, Failure> {
        let config = self.agent.load(printer)?;
        telemetry::init_logging(&log_settings(&config)?)
            .map_err(|error| Failure::Unexpected(error.to_string()))?;
        let stop = stop_signal()?;
        let agent = Agent::prepare(config, &surroundings(), self.confirm_inventory);
        agent.map_err(|error| unstarted(&error))?.run(stop).await;
        Ok(Exit::Done)
    }
}

fn surroundings() -> Surroundings {
    Surroundings {
        clock: Arc::new(MachineClock),
        simulated: World::default(),
    }
}

fn log_settings(config: &Config) -> Result<LogSettings, Failure> {
    let level = config.log.level.parse();
    Ok(LogSettings {
        level: level.map_err(|error| Failure::Usage(format!("log.level: {error}")))?,
        format: match config.log.is_json {
            true => LogFormat::Json,
            false => LogFormat::Text,
        },
        access: false,
        security: SecurityLog::Off,
    })
}

fn unstarted(error: &StartError) -> Failure {
    match error {
        StartError::NotEnrolled(_) | StartError::TokenEnded(_) => Failure::NotSignedIn(error.to_string()),
        StartError::Service(_) | StartError::Driver(..) => Failure::Usage(error.to_string()),
        StartError::Folder(error) => folder(error),
        StartError::Journal(_) | StartError::Health(_) => Failure::Unexpected(Chain(error).to_string()),
    }
}

fn folder(error: &FolderError) -> Failure {
    match error {
        FolderError::NotOwnerOnly(_) => Failure::Usage(error.to_string()),
        FolderError::NoToken { .. } => Failure::NotSignedIn(error.to_string()),
        FolderError::InUse(_) => Failure::Rule(error.to_string()),
        FolderError::Io { .. } => Failure::Unexpected(error.to_string()),
    }
}
