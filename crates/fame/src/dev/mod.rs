//! `fame dev`: the whole service on one machine, with issuer, sample data and a movable clock, in one command and
//! without anything else installed.
//!
//! It is the service that `fame serve` runs, told to believe an issuer of its own, and an agent that pretends to
//! carry out what is scheduled. Everything in it came in by the public APIs, so that it is a demonstration and a test at once.

mod args;
mod clock;
mod control;
mod demo;
mod examples;
mod instructions;
mod listeners;
mod once;
mod people;
mod ready;
mod running;
mod seed;
mod simulator;
mod state_dir;

pub(crate) use args::DevArgs;

use crate::{commands::serve::stop_signal, exit::Exit, failure::Failure, output::Printer};
use args::DevCommand;
use listeners::Listeners;
use running::Running;
use state_dir::{Beginning, StateDir, StateDirError};
use std::{
    fs,
    io::{self, Write},
    process::ExitCode,
    sync::Arc,
};

/// Runs until it is told to stop or, with `--once`, until the main job is done.
///
/// # Errors
/// What kept it from starting or from ending well, for people.
pub(crate) async fn run(args: DevArgs) -> anyhow::Result<ExitCode> {
    let stop = stop_signal()?;
    let listeners = Listeners::bind(args.listen)?;
    let state = match open_state(&args) {
        Ok(state) => state,
        Err(refusal) => return refused(&refusal),
    };
    let beginning = if args.empty || args.once {
        Beginning::Empty
    } else {
        Beginning::Demo
    };
    let running = Running::start(listeners, Arc::new(state), beginning, &args.hosts).await?;
    let ended = tokio::select! {
        ended = serve(&args, &running) => ended,
        () = stop => Ok(interrupted(&args).into()),
    };
    running.stop().await;
    ended
}

impl DevCommand {
    /// Runs the command; the clock is that of the `fame dev` at `url`.
    ///
    /// # Errors
    /// As the clock's; [`Failure::Io`] when the package cannot be written.
    pub(crate) async fn run(self, url: &str, printer: Printer) -> Result<Exit, Failure> {
        match self {
            Self::Clock(command) => command.run(url, printer).await,
            Self::Package { version, file } => {
                let package = demo::SALES_PACK.package(version).to_bytes();
                let written = package.and_then(|bytes| fs::write(&file, bytes));
                written.map_err(|error| Failure::file("write", &file, error))?;
                printer.note(format!("Wrote {}.", file.display()));
                Ok(Exit::Done)
            }
        }
    }
}

/// To be told to stop is the usual end, except for a job that was to be done.
fn interrupted(args: &DevArgs) -> Exit {
    if args.once { Exit::Unexpected } else { Exit::Done }
}

/// Why a folder is not for this run: whoever named it can name another.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error(transparent)]
    State(#[from] StateDirError),
    #[error("--once runs on a fresh folder, and {0} has been used before; leave --data out, or name another")]
    NotFresh(String),
}

fn open_state(args: &DevArgs) -> Result<StateDir, Refusal> {
    let state = StateDir::open(args.data.as_deref())?;
    if args.once && state.kept().is_some() {
        return Err(Refusal::NotFresh(state.folder().display().to_string()));
    }
    Ok(state)
}

fn refused(refusal: &Refusal) -> anyhow::Result<ExitCode> {
    writeln!(io::stderr().lock(), "error: {refusal}")?;
    let exit = match refusal {
        Refusal::State(StateDirError::Files { .. }) => Exit::Unexpected,
        Refusal::State(StateDirError::InUse(_)) => Exit::Refused,
        _ => Exit::Usage,
    };
    Ok(exit.into())
}

/// Says that all is ready, then does what was asked for.
async fn serve(args: &DevArgs, running: &Running) -> anyhow::Result<ExitCode> {
    running.prepare().await?;
    let ready = running.look_around().await?;
    if args.json {
        say(&serde_json::to_string(&ready)?)?;
    }
    if args.once {
        let kept_free = args.json;
        return once::run(running, &ready.addresses, kept_free).await;
    }
    if !args.json {
        say(&instructions::text(&ready, &running.examples().await?)?)?;
    }
    std::future::pending().await
}

fn say(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.trim_end().as_bytes())?;
    out.write_all(b"\n")?;
    out.flush()
}
