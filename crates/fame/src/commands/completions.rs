//! `fame completions`: scripts that complete commands and flags in a shell.

use crate::{exit::Exit, failure::Failure, output::Printer};
use clap::{Args, Command};
use clap_complete::{Shell, generate};

/// Which shell.
#[derive(Args, Debug)]
pub(crate) struct CompletionsArgs {
    /// The shell to complete in
    shell: Shell,
}

/// Prints the script that completes `command`.
///
/// # Errors
/// When standard output cannot be written to.
pub(crate) fn run(args: &CompletionsArgs, mut command: Command, printer: Printer) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    generate(args.shell, &mut command, "fame", &mut script);
    printer.text(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Done)
}
