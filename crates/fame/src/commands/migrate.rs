//! `fame migrate`: the database brought up to date by itself, for services that do not do it when they start.

use super::{config::ConfigArgs, serve::unable};
use crate::{exit::Exit, failure::Failure, output::Printer};
use clap::Args;
use server::StartError;

/// `fame migrate`
#[derive(Args, Debug)]
pub(crate) struct MigrateArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Only say whether the database is up to date (exit code 16 when it is not)
    #[arg(long)]
    check: bool,
}

impl MigrateArgs {
    /// Brings the database up to date, or says what it lacks.
    ///
    /// # Errors
    /// [`Failure::Usage`] when the settings will not do, [`Failure::Unexpected`] when the database will not.
    pub(crate) async fn run(self, printer: Printer) -> Result<Exit, Failure> {
        let settings = self.config.load(printer)?.settings;
        if self.check {
            let lacking = server::outstanding(&settings).await.map_err(unfit)?;
            return Ok(tell_lacking(&lacking, printer));
        }
        let applied = server::migrate(&settings).await.map_err(unfit)?;
        match applied.as_slice() {
            [] => printer.note("The database is up to date."),
            applied => printer.note(format!(
                "The database is up to date: applied {}.",
                listed(applied)
            )),
        }
        Ok(Exit::Done)
    }
}

fn tell_lacking(lacking: &[i64], printer: Printer) -> Exit {
    if lacking.is_empty() {
        printer.note("The database is up to date.");
        return Exit::Done;
    }
    let text = format!("The database lacks {}.", listed(lacking));
    printer.error(Exit::DatabaseOutdated, text);
    Exit::DatabaseOutdated
}

fn listed(ids: &[i64]) -> String {
    let noun = if ids.len() == 1 { "migration" } else { "migrations" };
    let ids: Vec<_> = ids.iter().map(ToString::to_string).collect();
    format!("{noun} {}", ids.join(", "))
}

fn unfit(error: StartError) -> Failure {
    unable("The database cannot be brought up to date", &error)
}
