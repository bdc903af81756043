//! Everything that is printed.
//!
//! Standard output carries what was asked for and nothing else, so that it can be piped; standard error carries
//! notes, progress and errors. One [`Printer`] decides what appears, so that `--json` and `--quiet` mean the same
//! for every command.

use comfy_table::{ContentArrangement, Table, presets::NOTHING};
use domain::text::is_invisible;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::Value;
use std::io::{self, IsTerminal, Write};

/// Standard output cannot be written to.
#[derive(Debug)]
pub(crate) struct Unwritten(pub io::Error);

/// A column of a table: its heading and the property it shows.
pub(crate) type Column<'c> = (&'c str, &'c str);

/// What may be printed, decided once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Printer {
    json: bool,
    quiet: bool,
}

impl Printer {
    /// `json`: standard output is JSON. `quiet`: no notes and no progress.
    pub(crate) fn new(json: bool, quiet: bool) -> Self {
        Self { json, quiet }
    }

    /// Whether standard output is to be JSON.
    pub(crate) fn is_json(self) -> bool {
        self.json
    }

    /// Prints rows: as a table, or as one JSON array of all that the service said.
    ///
    /// # Errors
    /// When standard output cannot be written to; so for all that follow.
    pub(crate) fn rows(self, rows: &[Value], columns: &[Column<'_>]) -> Result<(), Unwritten> {
        if self.json {
            return print_json(&rows);
        }
        if rows.is_empty() {
            self.note("Nothing found.");
            return Ok(());
        }
        let mut table = plain_table();
        table.set_header(columns.iter().map(|(heading, _)| *heading));
        for row in rows {
            table.add_row(columns.iter().map(|(_, property)| cell(&row[*property])));
        }
        print_table(&table)
    }

    /// Prints one thing: each of its properties on a line, or the JSON.
    pub(crate) fn record(self, record: &Value) -> Result<(), Unwritten> {
        if self.json {
            return print_json(record);
        }
        let mut table = plain_table();
        for (name, value) in record.as_object().into_iter().flatten() {
            table.add_row([name.clone(), cell(value)]);
        }
        print_table(&table)
    }

    /// Prints text that is the same with and without `--json`.
    pub(crate) fn text(self, text: &str) -> Result<(), Unwritten> {
        let end = if text.ends_with('\n') { "" } else { "\n" };
        write(&[text, end])
    }

    /// Writes raw bytes to standard output.
    pub(crate) fn bytes(self, bytes: &[u8]) -> Result<(), Unwritten> {
        io::stdout().lock().write_all(bytes).map_err(Unwritten)
    }

    /// Makes sure that what was written has left.
    pub(crate) fn flush(self) -> Result<(), Unwritten> {
        io::stdout().lock().flush().map_err(Unwritten)
    }

    /// Tells people how it is going.
    pub(crate) fn note(self, text: impl AsRef<str>) {
        if !self.quiet {
            say(text.as_ref());
        }
    }

    /// Tells of something that is wrong though the command goes on.
    pub(crate) fn warning(self, text: impl AsRef<str>) {
        say(&format!("warning: {}", text.as_ref()));
    }

    /// Says what went wrong.
    pub(crate) fn error(self, text: impl AsRef<str>) {
        say(&format!("error: {}", text.as_ref()));
    }

    /// A progress bar over `total` bytes, visible only to people.
    pub(crate) fn progress(self, total: u64, title: String) -> ProgressBar {
        if self.quiet || !io::stderr().is_terminal() {
            return ProgressBar::hidden();
        }
        let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
        let style = "{msg} [{wide_bar}] {bytes}/{total_bytes} {bytes_per_sec} {eta}";
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.with_message(harmless(&title))
    }

    /// A count of what is done, of `total` if that is known; visible only to people.
    pub(crate) fn counter(self, total: Option<u64>, title: &'static str) -> ProgressBar {
        if self.quiet || !io::stderr().is_terminal() {
            return ProgressBar::hidden();
        }
        let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr());
        let style = if total.is_some() {
            "{msg} [{wide_bar}] {human_pos}/{human_len} {eta}"
        } else {
            "{msg} {human_pos} {elapsed}"
        };
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.with_message(title)
    }
}

/// A value in the words of a table: no quotes, no braces, nothing at all for null.
pub(crate) fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => harmless(text),
        Value::Array(items) if items.iter().any(Value::is_object) => {
            items.iter().map(cell).collect::<Vec<_>>().join("\n")
        }
        Value::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join(", "),
        Value::Object(members) => members.values().map(cell).collect::<Vec<_>>().join("  "),
        other => other.to_string(),
    }
}

/// Names and messages come from other people: nothing in them may steer a terminal, or be read as what it is not.
fn harmless(text: &str) -> String {
    let shown = |character: char| match character {
        '\n' | '\t' => character,
        _ if is_invisible(character) => '\u{FFFD}',
        _ => character,
    };
    text.replace("\r\n", "\n").chars().map(shown).collect()
}

/// Writes a line for people. When nobody can hear it, the command goes on all the same.
fn say(text: &str) {
    let _ = writeln!(io::stderr(), "{}", harmless(text));
}

/// Columns of text and nothing around them: readable for people, and for `cut` and `awk`.
fn plain_table() -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING);
    let arrangement = if io::stdout().is_terminal() {
        ContentArrangement::Dynamic
    } else {
        ContentArrangement::Disabled
    };
    table.set_content_arrangement(arrangement);
    table
}

fn print_table(table: &Table) -> Result<(), Unwritten> {
    let mut text = String::new();
    for line in table.lines() {
        text += line.strip_prefix(' ').unwrap_or(&line).trim_end();
        text.push('\n');
    }
    write(&[&text])
}

fn print_json<T: serde::Serialize + ?Sized>(value: &T) -> Result<(), Unwritten> {
    let text = serde_json::to_string_pretty(value).map_err(|error| Unwritten(error.into()))?;
    write(&[&text, "\n"])
}

fn write(parts: &[&str]) -> Result<(), Unwritten> {
    let mut out = io::stdout().lock();
    let written = parts.iter().try_for_each(|part| out.write_all(part.as_bytes()));
    written.and_then(|()| out.flush()).map_err(Unwritten)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn cells_are_words() {
        assert_eq!(cell(&json!(null)), "");
        assert_eq!(cell(&json!(["Owner", "Reader"])), "Owner, Reader");
        assert_eq!(
            cell(&json!([{"appId": "a", "version": "1.0"}, {"appId": "b"}])),
            "a  1.0\nb"
        );
        assert_eq!(cell(&json!(true)), "true");
    }

    #[test]
    fn nothing_from_outside_steers_the_terminal() {
        assert_eq!(cell(&json!("a\u{1b}[2Jb\r\nc\u{7}")), "a\u{FFFD}[2Jb\nc\u{FFFD}");
        for unseen in [
            '\u{202E}',
            '\u{2066}',
            '\u{200B}',
            '\u{AD}',
            '\u{FEFF}',
            '\u{E0041}',
        ] {
            assert_eq!(
                harmless(&format!("gpj{unseen}.exe\t\u{e9}")),
                "gpj\u{FFFD}.exe\t\u{e9}"
            );
        }
    }
}
