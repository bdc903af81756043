//! `fame rollout`: one decision for many environments, in waves, with a brake.
//!
//! [`run`] drives a rollout from here, at a service that knows none: [`mod@file`] says what is wanted, [`journal`] what was
//! decided and done, and between them [`drive`] asks the engine (`domain::rollout`) what follows and does it through
//! [`remote`].
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
mod snapshot;
mod stop;
mod story;
mod written;

use crate::{exit::Exit, failure::Failure, session::Session};
use clap::Subcommand;

/// `fame rollout …`
#[derive(Subcommand, Debug)]
pub(crate) enum RolloutCommand {
    /// Carry a rollout out from this machine, at a service that knows no rollouts, such as Microsoft's
    Run(run::RunArgs),
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
        }
    }
}
