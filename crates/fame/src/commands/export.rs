//! `fame export`: everything that a service holds, as a folder of plain files.

use super::{
    config::ConfigArgs,
    transfer::{failure, print, watcher},
};
use crate::{exit::Exit, failure::Failure, output::Printer};
use clap::Args;
use server::transfer::export;
use std::path::PathBuf;

/// `fame export`
#[derive(Args, Debug)]
pub(crate) struct ExportArgs {
    /// Folder to write to: a new or an empty one, or the one of an export that was cut, which is then finished
    #[arg(long, value_name = "FOLDER")]
    to: PathBuf,
    #[command(flatten)]
    config: ConfigArgs,
}

impl ExportArgs {
    /// Exports the configured service, which may be running.
    ///
    /// # Errors
    /// [`Failure::Usage`] when the settings will not do, [`Failure::Rule`] when the folder or the database is not
    /// what it must be, and what can happen to files and databases.
    pub(crate) async fn run(self, printer: Printer) -> Result<Exit, Failure> {
        let loaded = self.config.load(printer)?;
        let exported = export(&loaded.settings, &self.to, watcher(printer)).await;
        let contents = exported.map_err(failure)?;
        if contents.running_operations > 0 {
            printer.warning(format!(
                "{} operations were running. Where this export is imported, they end as OutcomeUnknown when their \
                 leases run out.",
                contents.running_operations
            ));
        }
        print(printer, &contents)?;
        printer.note(format!(
            "The export is in {}. It holds everything, e-mail addresses included: keep it as you keep the database.",
            self.to.display()
        ));
        Ok(Exit::Done)
    }
}
