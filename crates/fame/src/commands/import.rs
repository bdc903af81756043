//! `fame import`: an export, into an empty database and the configured storage locations.

use super::{
    config::ConfigArgs,
    transfer::{failure, print, watcher},
};
use crate::{exit::Exit, failure::Failure, output::Printer};
use clap::Args;
use server::transfer::{LocationMap, check, import};
use std::path::PathBuf;

/// `fame import`
#[derive(Args, Debug)]
pub(crate) struct ImportArgs {
    /// Folder of the export
    #[arg(long, value_name = "FOLDER")]
    from: PathBuf,
    /// Let a storage location of the export become a configured one, such as "West Europe=EU"; repeat it for several
    #[arg(long = "map-location", value_name = "FROM=TO", value_parser = from_and_to)]
    locations: Vec<(String, String)>,
    /// Only read the whole export and make sure that it is undamaged; no database is touched
    #[arg(long, conflicts_with = "locations")]
    check: bool,
    #[command(flatten)]
    config: ConfigArgs,
}

fn from_and_to(text: &str) -> Result<(String, String), String> {
    let (from, to) = text
        .split_once('=')
        .ok_or("expected FROM=TO, such as \"West Europe=EU\"")?;
    Ok((from.trim().to_owned(), to.trim().to_owned()))
}

impl ImportArgs {
    /// Imports the export, or goes on with an import of it that was cut.
    ///
    /// # Errors
    /// [`Failure::Usage`] when the settings will not do, [`Failure::NotFound`] when there is no export,
    /// [`Failure::Rule`] when it is damaged or does not fit, or when the database is not empty, and what can happen
    /// to files and databases.
    pub(crate) async fn run(self, printer: Printer) -> Result<Exit, Failure> {
        let watcher = watcher(printer);
        if self.check {
            let contents = check(&self.from, watcher).await.map_err(failure)?;
            print(printer, &contents)?;
            printer.note("The export is complete and undamaged.");
            return Ok(Exit::Done);
        }
        let loaded = self.config.load(printer)?;
        let locations = LocationMap::new(self.locations).map_err(failure)?;
        let imported = import(&loaded.settings, &self.from, &locations, watcher).await;
        let imported = imported.map_err(failure)?;
        print(printer, &imported.contents)?;
        printer.note(if imported.was_there {
            "This export had been imported into this database before; nothing was changed."
        } else {
            "Everything is there; the service can start. Do not start the old one again."
        });
        Ok(Exit::Done)
    }
}
