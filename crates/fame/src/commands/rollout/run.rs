//! `fame rollout run`: the file, the journal, what people ask of the rollout, and then the drive.

use super::{
    drive::{Drive, Ending, Verbs},
    file::RolloutFile,
    journal::{Identity, Journal},
    remote::Remote,
    stop::Stop,
    story,
};
use crate::{
    args::{brief, duration},
    exit::Exit,
    failure::Failure,
    session::Session,
};
use clap::Args;
use std::{path::PathBuf, time::Duration};

/// Carry a rollout out from this machine, at a service that knows no rollouts.
///
/// What was decided and done stands in the journal before it is done, so the command can end anywhere and be run again with
/// the same file and journal: it goes on, and posts no hotfix twice. It ends by itself when nothing more comes about without
/// somebody: when the rollout is completed, paused or aborted, or waits before its next wave. What such a service was sent it
/// starts by itself, so a pause calls off whatever has not started.
#[derive(Args, Debug)]
pub(crate) struct RunArgs {
    /// The rollout, in TOML or JSON
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The file that keeps what was decided and done; made where there is none
    #[arg(long, value_name = "PATH")]
    journal: PathBuf,
    /// First call off what has not started; then it is paused until --resume
    #[arg(long, conflicts_with_all = ["abort", "retry", "resume", "advance"])]
    pause: bool,
    /// First let it go on from where it was paused; what failed until now does not stop it again
    #[arg(long)]
    resume: bool,
    /// Why it goes on, where a wave can go on only because somebody says so
    #[arg(long, value_name = "TEXT", requires = "resume")]
    reason: Option<String>,
    /// First open the way from this wave to the next, named as in the file
    #[arg(long, value_name = "WAVE")]
    advance: Option<String>,
    /// First take the environments that failed or were refused anew
    #[arg(long)]
    retry: bool,
    /// Give it up: what has not started is called off
    #[arg(long, conflicts_with_all = ["retry", "resume", "advance"])]
    abort: bool,
    /// How long to pause between looks
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = brief)]
    poll_interval: Duration,
    /// How long to drive it at most; after that, exit code 13, and the same command goes on
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    timeout: Option<Duration>,
}

impl RunArgs {
    /// Runs the command.
    ///
    /// # Errors
    /// Whatever ends it before there is an outcome to show.
    pub(super) async fn run(
        self,
        session: impl AsyncFnOnce(Option<String>) -> Result<Session, Failure>,
    ) -> Result<Exit, Failure> {
        let file = RolloutFile::read(&self.file)?;
        file.check_for_client()?;
        let verbs = self.verbs(&file)?;
        let session = session(file.profile.clone()).await?;
        let app = session.app(&file.app).await?;
        let live = session.client.get_live();
        let identity = Identity::of(&[&file.digestible(), &app.to_string(), live.url().as_str()]);
        let (journal, records) = Journal::open(&self.journal, identity)?;
        let definition = &file.definition;
        let remote = Remote {
            session: &session,
            app,
            target: definition.target,
            ignores_window: definition.ignore_upgrade_window.is_some(),
        };
        let stop = Stop::listening(self.timeout)?;
        let mut drive = Drive::new(remote, &file, journal, &records, stop.clone());
        drive.poll_interval = self.poll_interval;
        if !drive.has_begun() {
            drive.begin().await?;
        }
        drive.obey(&verbs).await?;
        let ending = drive.run().await?;
        story::tell(&drive, ending, ending == Ending::Interrupted && stop.is_late())
    }

    fn verbs(&self, file: &RolloutFile) -> Result<Verbs, Failure> {
        let waves = &file.definition.waves;
        let place = |name: &String| {
            let found = waves.iter().position(|wave| wave.name == *name);
            found.ok_or_else(|| {
                let names: Vec<&str> = waves.iter().map(|wave| wave.name.as_str()).collect();
                Failure::Usage(format!(
                    "The rollout has no wave '{name}'; it has {}.",
                    names.join(", ")
                ))
            })
        };
        Ok(Verbs {
            pause: self.pause,
            abort: self.abort,
            retry: self.retry,
            advance: self.advance.as_ref().map(place).transpose()?,
            resume: self.resume,
            reason: self.reason.clone(),
        })
    }
}
