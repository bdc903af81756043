//! `docs/reference/commands.md`: every command with all that it takes, written down from the tree of commands itself, so
//! that the page cannot differ from the program.
//!
//! The page is committed, and a test compares it.

use super::Cli;
use crate::exit::Exit;
use clap::{Arg, Command, CommandFactory};
use std::fmt::{self, Write as _};
use test_support::reviewed_file;

#[test]
fn the_committed_page_is_what_the_commands_make() {
    reviewed_file::holds("docs/reference/commands.md", &page().unwrap());
}

const HEAD: &str = "\
# Commands

Generated from the program and compared by a test; `FAME_UPDATE=1` writes it anew. `fame help COMMAND` says the same, in
the version that is installed.
";

fn page() -> Result<String, fmt::Error> {
    let mut tree = Cli::command();
    tree.build();
    let mut page = HEAD.to_owned();
    page.push_str("\n## What every command knows\n\n");
    for arg in tree.get_arguments().filter(|arg| arg.is_global_set()) {
        item(&mut page, arg)?;
    }
    for command in shown(&tree) {
        section(&mut page, command, 2)?;
    }
    write!(page, "\n## Exit codes\n\n```text\n{}\n```\n", Exit::table())?;
    Ok(page)
}

fn shown(command: &Command) -> impl Iterator<Item = &Command> {
    let commands = command.get_subcommands();
    commands.filter(|command| !command.is_hide_set() && command.get_name() != "help")
}

fn section(page: &mut String, command: &Command, level: usize) -> fmt::Result {
    let name = command.get_bin_name().unwrap_or_else(|| command.get_name());
    write!(page, "\n{} {name}\n\n", "#".repeat(level))?;
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    // A long text that does not go on from the short one is something else, as the table of exit codes.
    let long = command.get_long_about().map(ToString::to_string);
    let long = long.filter(|long| long.starts_with(&about));
    writeln!(page, "{}", flat(&long.unwrap_or(about)))?;
    let is_group = command.has_subcommands();
    if !is_group || !command.is_subcommand_required_set() {
        let usage = command.clone().render_usage().to_string();
        let usage = usage.trim_start_matches("Usage: ").trim();
        write!(page, "\n```text\n{usage}\n```\n")?;
    }
    let own: Vec<_> = command.get_arguments().filter(|arg| is_own(arg)).collect();
    if !own.is_empty() {
        page.push('\n');
    }
    for arg in own {
        item(page, arg)?;
    }
    for command in shown(command) {
        section(page, command, level + 1)?;
    }
    Ok(())
}

fn is_own(arg: &Arg) -> bool {
    !arg.is_global_set() && !arg.is_hide_set() && !["help", "version"].contains(&arg.get_id().as_str())
}

/// One argument or option, with everything that help would say of it.
fn item(page: &mut String, arg: &Arg) -> fmt::Result {
    let help = arg.get_long_help().or_else(|| arg.get_help());
    let help = flat(&help.map(ToString::to_string).unwrap_or_default());
    write!(page, "* {}: {help}", spelling(arg))?;
    let takes_values = arg.get_action().takes_values();
    let words = arg.get_possible_values();
    if takes_values && !arg.is_hide_possible_values_set() && !words.is_empty() {
        let words: Vec<_> = words
            .iter()
            .map(|word| format!("`{}`", word.get_name()))
            .collect();
        write!(page, ". One of {}", words.join(", "))?;
    }
    let defaults = arg.get_default_values();
    if takes_values && !arg.is_hide_default_value_set() && !defaults.is_empty() {
        let defaults: Vec<_> = defaults.iter().map(|value| value.to_string_lossy()).collect();
        write!(page, ". Default: `{}`", defaults.join(" "))?;
    }
    if let Some(variable) = arg.get_env().filter(|_| !arg.is_hide_env_set()) {
        write!(page, ". Variable: `{}`", variable.to_string_lossy())?;
    }
    page.push('\n');
    Ok(())
}

/// How it is typed: `-c`, `--country <CODE>`, `--countries`, or `<APP>`.
fn spelling(arg: &Arg) -> String {
    if arg.is_positional() {
        return format!("`{arg}`");
    }
    let short = arg.get_short().map(|short| format!("`-{short}`, "));
    let names: Vec<_> = arg.get_value_names().unwrap_or_default().iter().collect();
    let values = if arg.get_action().takes_values() {
        names.iter().map(|name| format!(" <{name}>")).collect()
    } else {
        String::new()
    };
    let aliases = arg.get_visible_aliases().unwrap_or_default();
    let aliases: String = aliases.iter().map(|alias| format!(", `--{alias}`")).collect();
    format!(
        "{}`--{}{values}`{aliases}",
        short.unwrap_or_default(),
        arg.get_long().unwrap_or_default()
    )
}

/// A text for people's terminals as one of Markdown, its paragraphs apart.
fn flat(text: &str) -> String {
    let text = text.replace('<', "&lt;").replace('*', "\\*");
    let paragraphs: Vec<_> = text
        .trim()
        .split("\n\n")
        .map(|paragraph| paragraph.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    paragraphs.join("\n\n")
}
