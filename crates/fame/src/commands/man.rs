//! `fame man`: the help of all commands as manual pages.

use crate::{exit::Exit, failure::Failure, output::Printer};
use clap::{Args, Command};
use serde_json::json;
use std::{fs, path::PathBuf};

/// Where the pages go.
#[derive(Args, Debug)]
pub(crate) struct ManArgs {
    /// The folder to write the pages to; made where it is not there
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

/// Writes a page for `command` and for each of those below it.
///
/// # Errors
/// [`Failure::Io`] when a page cannot be written.
pub(crate) fn run(args: &ManArgs, command: Command, printer: Printer) -> Result<Exit, Failure> {
    let folder = &args.folder;
    let unwritten = |error| Failure::file("write manual pages to", folder, error);
    fs::create_dir_all(folder).map_err(unwritten)?;
    clap_mangen::generate_to(telling_aliases(command), folder).map_err(unwritten)?;
    let shown = folder.display().to_string();
    match printer.is_json() {
        true => printer.record(&json!({ "folder": shown }))?,
        false => printer.note(format!("Wrote the manual pages to {shown}.")),
    }
    Ok(Exit::Done)
}

/// The same, where the help of an option tells its other names: pages have no place of their own for them.
fn telling_aliases(command: Command) -> Command {
    let told = command.mut_args(|arg| {
        let aliases = arg.get_visible_aliases().unwrap_or_default();
        let aliases: Vec<String> = aliases.iter().map(|name| format!("--{name}")).collect();
        if aliases.is_empty() {
            return arg;
        }
        let help = arg.get_long_help().or_else(|| arg.get_help());
        let help = help.map(ToString::to_string).unwrap_or_default();
        arg.long_help(format!("{help} [aliases: {}]", aliases.join(", ")))
    });
    told.mut_subcommands(telling_aliases)
}
