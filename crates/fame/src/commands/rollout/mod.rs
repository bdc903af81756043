//! `fame rollout`: one decision for many environments, in waves, with a brake.
//!
//! A service that has rollouts drives them itself: [`service`] asks it, and [`watch`] shows how it goes. [`run`] drives a
//! rollout from here, at a service that knows none: [`mod@file`] says what is wanted, [`journal`] what was decided and
//! done, and between them [`drive`] asks the engine (`domain::rollout`) what follows and does it through [`remote`].
//!
//! | how it ended | exit code |
//! |---|---:|
//! | every wave is done, and nothing failed | 0 |
//! | the file or a flag is wrong; nothing was sent | 2 |
//! | not signed in, or the role does not allow it (any more); the rollout stands as it was | 3 |
//! | nothing is selected that could get the version | 4 |
//! | the journal is damaged, in use or another rollout's, or a rule of the rollout speaks against what was asked | 5 |
//! | every wave is done, and something failed | 10 |
//! | every wave is done, and nothing came about: all was skipped, refused or called off | 11 |
//! | aborted | 12 |
//! | not over when the time to wait was | 13 |
//! | paused, waiting for somebody to open the way to the next wave, or stopped by Ctrl-C; run it again | 20 |

mod cursor;
mod drive;
mod file;
mod journal;
mod members;
mod news;
mod record;
mod remote;
mod run;
mod service;
mod snapshot;
mod stop;
mod story;
mod watch;
mod written;

use crate::{
    args::{AppArg, QueryArgs},
    exit::Exit,
    failure::Failure,
    session::Session,
};
use clap::Subcommand;
use client::RolloutVerb;

/// `fame rollout …`
#[derive(Subcommand, Debug)]
pub(crate) enum RolloutCommand {
    /// Say what a rollout would come to; changes nothing
    Plan(service::FileArg),
    /// Make a rollout, which the service then carries out
    Create(service::CreateArgs),
    /// Carry a rollout out from this machine, at a service that knows no rollouts, such as Microsoft's
    Run(run::RunArgs),
    #[command(flatten)]
    OfService(OfServiceCommand),
}

/// What is asked about a rollout that a service has.
#[derive(Subcommand, Debug)]
pub(crate) enum OfServiceCommand {
    /// List the rollouts of an app
    List {
        #[command(flatten)]
        app: AppArg,
        #[command(flatten)]
        query: QueryArgs,
    },
    /// Show a rollout with its waves, or its environments
    Show(service::ShowArgs),
    /// Show how a rollout goes until it is over or paused; the exit code tells how it ended
    Watch(watch::WatchArgs),
    /// Let a rollout begin that somebody else made
    Approve(service::RemarkArgs),
    /// Refuse a rollout that somebody else made
    Reject(service::RemarkArgs),
    /// Let nothing of a rollout begin or start any more, until it is resumed
    Pause(service::PauseArgs),
    /// Let a rollout go on; what failed until now does not stop it again
    Resume(service::ResumeArgs),
    /// Open the way from a wave to the next
    Advance(service::AdvanceArgs),
    /// Give a rollout up: what has not started is called off
    Abort(service::AbortArgs),
    /// Take the environments of a rollout anew that failed or were refused
    Retry(service::RetryArgs),
}

impl RolloutCommand {
    /// Runs the command. `session` is opened with the profile that the rollout's file names, if it names one.
    ///
    /// # Errors
    /// Whatever ends it before there is an outcome to show.
    pub(crate) async fn run(
        self,
        session: impl AsyncFnOnce(Option<String>) -> Result<Session, Failure>,
    ) -> Result<Exit, Failure> {
        match self {
            Self::Run(args) => args.run(session).await,
            Self::Plan(args) => {
                let file = args.read()?;
                service::plan(&session(file.profile.clone()).await?, &file).await
            }
            Self::Create(args) => {
                let file = args.read()?;
                args.run(&session(file.profile.clone()).await?, &file).await
            }
            Self::OfService(command) => command.run(&session(None).await?).await,
        }
    }
}

impl OfServiceCommand {
    async fn run(self, session: &Session) -> Result<Exit, Failure> {
        match self {
            Self::List { app, query } => service::list(session, &app, query).await,
            Self::Show(args) => args.run(session).await,
            Self::Watch(args) => args.run(session).await,
            Self::Approve(args) => args.run(session, RolloutVerb::Approve).await,
            Self::Reject(args) => args.run(session, RolloutVerb::Reject).await,
            Self::Pause(args) => args.run(session).await,
            Self::Resume(args) => args.run(session).await,
            Self::Advance(args) => args.run(session).await,
            Self::Abort(args) => args.run(session).await,
            Self::Retry(args) => args.run(session).await,
        }
    }
}
