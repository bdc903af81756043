//! What is said of a command line that cannot be understood.

use crate::{ci::Ci, cli::Cli, exit::Exit, failure::Failure, output::Printer};
use clap::{
    CommandFactory, Error,
    builder::StyledStr,
    error::{ContextKind, ContextValue},
};
use std::env;

/// Shows the help that was asked for, or what is wrong.
pub(crate) fn answer(mut error: Error) -> Exit {
    if !error.use_stderr() {
        // Nothing is left to do for a reader who has gone away.
        let _ = error.print();
        return Exit::Done;
    }
    // The usage that comes with an error lists whatever is set, the defaults and variables too.
    if error.get(ContextKind::Usage).is_some() {
        error.insert(ContextKind::Usage, ContextValue::StyledStr(usage()));
    }
    let is_json = env::args().any(|argument| argument == "--json");
    let printer = Printer::new(is_json, false, Ci::detected());
    // Whatever was typed may come from somewhere else, and is repeated.
    if is_json || printer.ci() != Ci::None {
        let text = error.render().to_string();
        let text = text
            .strip_prefix("error: ")
            .unwrap_or(&text)
            .trim_end()
            .to_owned();
        Failure::Usage(text).tell(printer, None);
    } else {
        let _ = error.print();
    }
    Exit::Usage
}

/// How the command is used that was typed.
fn usage() -> StyledStr {
    let mut command = Cli::command();
    command.build();
    for word in env::args().skip(1) {
        if let Some(inner) = command.find_subcommand(&word) {
            command = inner.clone();
        }
    }
    command.render_usage()
}
