//! `fame secrets`: the keys under which a service keeps the secrets of others.

use super::config::ConfigArgs;
use crate::{exit::Exit, failure::Failure, output::Printer};
use clap::Subcommand;
use domain::chain::Chain;

/// `fame secrets …`
#[derive(Subcommand, Debug)]
pub(crate) enum SecretsCommand {
    /// Keep everything under the first of secrets.keys that is kept under another; afterwards the others can be taken away
    Rotate {
        #[command(flatten)]
        config: ConfigArgs,
        /// Remove what was kept under a key that is gone, so that the service starts without it
        #[arg(long)]
        forget: bool,
    },
}

impl SecretsCommand {
    /// Runs the command.
    ///
    /// # Errors
    /// [`Failure::Usage`] when the settings will not do, [`Failure::Unexpected`] when keys or database will not.
    pub(crate) async fn run(self, printer: Printer) -> Result<Exit, Failure> {
        let Self::Rotate { config, forget } = self;
        let settings = config.load(printer)?.settings;
        let rotated = server::rotate_secrets(&settings, forget).await;
        let rotated = rotated.map_err(|error| {
            let why = Chain(&error);
            Failure::Unexpected(format!("Secrets cannot be kept under another key: {why}."))
        })?;
        printer.note(format!(
            "Webhooks kept under the first key from now on: {}. Removed: {}.",
            rotated.anew, rotated.forgotten
        ));
        Ok(Exit::Done)
    }
}
