//! `fame`: the service, a service to try things out with, and the command line for both and for the original.
//!
//! `main` reads the command line, runs the command and turns what came of it into an exit code; [`exit`] has the
//! table of those. What a command prints goes through [`output`], what it asks of a service through a
//! [`session`].

mod args;
mod ci;
mod cli;
mod commands;
mod dev;
mod exit;
mod failure;
mod output;
mod profiles;
mod recording;
mod reports;
mod session;
mod settings;
mod sign_in;
mod usage;

use args::{GlobalArgs, ORIGINAL_URL};
use ci::Ci;
use clap::{CommandFactory, Parser};
use cli::{Cli, Command};
use dev::DevArgs;
use exit::Exit;
use failure::Failure;
use output::Printer;
use server::telemetry::{flush_log, rewrite_log};
use session::Session;
use settings::advice_for_strangers;
use std::process::ExitCode;
use tokio::runtime::Runtime;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage::answer(error).into(),
    };
    let printer = Printer::new(
        cli.global.json,
        cli.global.quiet,
        cli.global.ci.unwrap_or_else(Ci::detected),
    );
    if printer.ci() != Ci::None {
        rewrite_log(|line| Ci::Github.defuse(line));
    }
    let ended = runtime().and_then(|runtime| runtime.block_on(run(cli, printer)));
    flush_log();
    match ended {
        Ok(code) => code,
        Err(failure) => {
            failure.tell(printer, None);
            reports::annotate(&failure, printer);
            failure.exit().into()
        }
    }
}

/// The threads on which everything runs. The log's lines that could wait are written when a thread has nothing to do.
fn runtime() -> Result<Runtime, Failure> {
    let built = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .on_thread_park(flush_log)
        .build();
    built.map_err(|source| {
        let what = "Cannot start threads".to_owned();
        Failure::Io { what, source }
    })
}

async fn run(cli: Cli, printer: Printer) -> Result<ExitCode, Failure> {
    let session = || Session::open(&cli.global, printer);
    let session_of_file = async |profile: Option<String>| {
        let profile = cli.global.profile.clone().or(profile);
        let global = GlobalArgs {
            profile,
            ..cli.global.clone()
        };
        Session::open(&global, printer).await
    };
    let exit = match cli.command {
        Command::Login(args) => args.run(&cli.global, printer).await,
        Command::Logout => commands::logout::run(&cli.global, printer).await,
        Command::Whoami(args) => args.run(&session().await?).await,
        Command::Profiles(command) => command.run(printer).await,
        Command::Apps(command) => command.run(&session().await?).await,
        Command::Countries(command) => command.run(&session().await?).await,
        Command::Principals(command) => command.run(&session().await?).await,
        Command::Versions(command) => command.run(&session().await?).await,
        Command::Release(args) => args.run(session_of_file, printer).await,
        Command::Environments(command) => command.run(&session().await?).await,
        Command::Hotfixes(command) => command.run(&session().await?).await,
        Command::Rollout(command) => command.run(session_of_file).await,
        Command::Matrix(args) => args.run(&session().await?).await,
        Command::Fleet(args) => args.run(&session().await?).await,
        Command::Events(args) => args.run(&session().await?).await,
        Command::Tags(command) => command.run(&session().await?).await,
        Command::Freezes(command) => command.run(&session().await?).await,
        Command::Publishers(command) => command.run(&session().await?).await,
        Command::Webhooks(command) => command.run(&session().await?).await,
        Command::Operator(command) => command.run(&session().await?).await,
        Command::Package(command) => command.run(printer),
        Command::Record(args) => args.run(&cli.global, printer).await,
        Command::Replay(args) => args.run(cli.global.clone(), printer).await,
        Command::Agent(command) => command.run(printer).await,
        Command::Serve(args) => args.run(printer).await,
        Command::Export(args) => args.run(printer).await,
        Command::Import(args) => args.run(printer).await,
        Command::Migrate(args) => args.run(printer).await,
        Command::Secrets(command) => command.run(printer).await,
        Command::Config(command) => command.run(printer).await,
        Command::Dev(DevArgs {
            command: Some(command),
            ..
        }) => {
            command
                .run(cli.global.url.as_deref().unwrap_or(ORIGINAL_URL), printer)
                .await
        }
        Command::Dev(args) => {
            let json = cli.global.json;
            return run_dev(DevArgs { json, ..args }).await;
        }
        Command::Openapi => commands::openapi::run(printer),
        Command::Completions(args) => commands::completions::run(&args, Cli::command(), printer),
        Command::Man(args) => commands::man::run(&args, Cli::command(), printer),
        Command::ExitCodes => {
            match printer.is_json() {
                true => printer.rows(&Exit::rows(), &[])?,
                false => printer.text(&Exit::table())?,
            }
            Ok(Exit::Done)
        }
    };
    session::leave().await;
    let exit = exit.inspect_err(|failure| {
        let advice = failure
            .is_of_strangers()
            .then(|| advice_for_strangers(&cli.global, printer));
        if let Some(advice) = advice.flatten() {
            printer.note(advice);
        }
    })?;
    Ok(printer.ended(exit).into())
}

async fn run_dev(args: DevArgs) -> Result<ExitCode, Failure> {
    let ended = dev::run(args).await;
    ended.map_err(|error| Failure::Unexpected(format!("{error:#}")))
}
