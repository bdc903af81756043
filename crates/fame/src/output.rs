//! Everything that is printed.
//!
//! Standard output carries what was asked for and nothing else, so that it can be piped; standard error carries
//! notes, progress and errors. One [`Printer`] decides what appears, so that `--json` and `--quiet` mean the same
//! for every command. What becomes of the output decides nothing about the command: the exit code is its outcome's.

use crate::{ci::Ci, exit::Exit, failure::Failure};
use comfy_table::{Cell, Color, ColumnConstraint, ContentArrangement, Table, Width, presets::NOTHING};
use domain::{instant::Instant, text::is_invisible};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};
use std::{
    env,
    io::{self, IsTerminal, Write},
    sync::OnceLock,
};
use uuid::Uuid;

/// Why what was to be printed could not be, from the first time on.
static UNPRINTED: OnceLock<io::Error> = OnceLock::new();

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
    ci: Ci,
}

impl Printer {
    /// `json`: standard output is JSON. `quiet`: no notes and no progress. `ci`: the system that reads all of it.
    pub(crate) fn new(json: bool, quiet: bool, ci: Ci) -> Self {
        Self { json, quiet, ci }
    }

    /// The system whose pipeline runs the command.
    pub(crate) fn ci(self) -> Ci {
        self.ci
    }

    /// Whether no notes and no progress are wanted.
    pub(crate) fn is_quiet(self) -> bool {
        self.quiet
    }

    /// Whether standard output is to be JSON.
    pub(crate) fn is_json(self) -> bool {
        self.json
    }

    /// Prints rows: as a table, or as one JSON array of all that the service said.
    ///
    /// # Errors
    /// When they cannot be written as JSON; so for all that follow, but for bytes.
    pub(crate) fn rows(self, rows: &[Value], columns: &[Column<'_>]) -> Result<(), Unwritten> {
        if self.json {
            return self.print_json(&rows);
        }
        if rows.is_empty() {
            self.note("Nothing found.");
            return Ok(());
        }
        self.print(&tabulated(columns, &shown(rows, columns), Look::of_stdout()))
    }

    /// Prints rows as comma-separated values (RFC 4180, but for its line ends) below the names of their properties. What a
    /// spreadsheet would take for a formula begins with an apostrophe.
    ///
    /// # Errors
    /// None but those of [`Printer::rows`].
    pub(crate) fn csv(self, rows: &[Value], columns: &[Column<'_>]) -> Result<(), Unwritten> {
        let headings = columns.iter().map(|(_, property)| (*property).to_owned());
        let values = rows.iter().map(|row| {
            let values = columns.iter().map(|(_, property)| cell(&row[*property]));
            values.map(|value| field(&value)).collect()
        });
        let lines: Vec<Vec<String>> = [headings.collect()].into_iter().chain(values).collect();
        let text: String = lines.iter().map(|line| format!("{}\n", line.join(","))).collect();
        self.print(&text)
    }

    /// Prints one thing: each of its properties on a line, or the JSON.
    pub(crate) fn record(self, record: &Value) -> Result<(), Unwritten> {
        if self.json {
            return self.print_json(record);
        }
        self.print(&described(record, Look::of_stdout()))
    }

    /// Prints one of many things as JSON on a line of its own.
    pub(crate) fn json_line(self, value: &Value) -> Result<(), Unwritten> {
        let text = serde_json::to_string(value).map_err(|error| Unwritten(error.into()))?;
        write(&format!("{}\n", self.ci.defuse_json(&text)));
        Ok(())
    }

    /// Whether what was printed could be written so far.
    pub(crate) fn is_read(self) -> bool {
        UNPRINTED.get().is_none()
    }

    /// Prints text that is the same with and without `--json`.
    pub(crate) fn text(self, text: &str) -> Result<(), Unwritten> {
        let end = if text.ends_with('\n') { "" } else { "\n" };
        self.print(&format!("{text}{end}"))
    }

    fn print_json<T: serde::Serialize + ?Sized>(self, value: &T) -> Result<(), Unwritten> {
        let text = serde_json::to_string_pretty(value).map_err(|error| Unwritten(error.into()))?;
        write(&format!("{}\n", self.ci.defuse_json(&text)));
        Ok(())
    }

    fn print(self, text: &str) -> Result<(), Unwritten> {
        write(&self.ci.defuse(text));
        Ok(())
    }

    /// Writes a line for people. When nobody can hear it, the command goes on all the same.
    fn say(self, text: &str) {
        let _ = writeln!(io::stderr(), "{}", self.ci.defuse(&harmless(text)));
    }

    /// Writes a line for the system whose pipeline runs the command, which carries it out. Whatever is in it that others
    /// wrote has to be escaped as that system wants it.
    pub(crate) fn command(self, line: &str) {
        let _ = writeln!(io::stderr(), "{}", harmless(line).replace('\n', " "));
    }

    /// What the process ends with when its command came to `outcome`. Output that could not be written is an outcome of its
    /// own where there is no other; not if nobody wanted to read on.
    pub(crate) fn ended(self, outcome: Exit) -> Exit {
        match UNPRINTED.get() {
            Some(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                self.error(Exit::Unexpected, format!("Cannot write the output: {error}"));
                Exit::first_of([outcome, Exit::Unexpected])
            }
            _ => outcome,
        }
    }

    /// Writes raw bytes to standard output.
    ///
    /// # Errors
    /// When it cannot be written to: then what was asked for is not handed over.
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
            self.say(text.as_ref());
        }
    }

    /// Tells of something that is wrong though the command goes on.
    pub(crate) fn warning(self, text: impl AsRef<str>) {
        self.say(&format!("warning: {}", text.as_ref()));
    }

    /// Says what went wrong, which is what `exit` stands for.
    pub(crate) fn error(self, exit: Exit, text: impl AsRef<str>) {
        self.coded_error(exit.name(), exit, text);
    }

    /// Says what went wrong: to programs with a stable `code`, and what the process ends with if nothing else is wrong.
    pub(crate) fn coded_error(self, code: &str, exit: Exit, text: impl AsRef<str>) {
        let text = text.as_ref();
        let facts = || json!({ "code": code, "exitCode": exit.code(), "message": text });
        self.error_with_facts(text, facts);
    }

    /// Says what went wrong: to people as `text`, to programs as one line of JSON with `facts`.
    pub(crate) fn error_with_facts(self, text: &str, facts: impl FnOnce() -> Value) {
        match self.json {
            true => {
                let line = json!({ "error": facts() }).to_string();
                let _ = writeln!(io::stderr(), "{}", self.ci.defuse_json(&line));
            }
            false => self.say(&format!("error: {text}")),
        }
    }

    /// Goes on only if somebody at the terminal says so.
    ///
    /// # Errors
    /// [`Failure::Usage`] where they do not, or where nobody is there to be asked.
    pub(crate) fn confirm(self, consequence: &str) -> Result<(), Failure> {
        let is_asked = io::stdin().is_terminal() && io::stderr().is_terminal();
        let mut answer = String::new();
        if is_asked {
            // Whoever does not see the question does not say yes.
            let _ = write!(io::stderr(), "{consequence} Go on? [y/N] ");
            let _ = io::stdin().read_line(&mut answer);
        }
        match answer.trim().to_ascii_lowercase().as_str() {
            "y" | "yes" => Ok(()),
            _ if is_asked => Err(Failure::Usage("Nothing was changed.".to_owned())),
            _ => Err(Failure::Usage(format!(
                "{consequence} --yes says that this is meant."
            ))),
        }
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

    /// A line that says how it is going, visible only to people.
    pub(crate) fn line(self) -> ProgressBar {
        if self.quiet || !io::stderr().is_terminal() {
            return ProgressBar::hidden();
        }
        let line = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template("{msg}") {
            line.set_style(style);
        }
        line
    }

    /// A table for [`Printer::line`], which changes: as wide as the terminal that people read it on.
    pub(crate) fn live_table(self, rows: &[Value], columns: &[Column<'_>]) -> String {
        let mut terminal = Table::new();
        let width = terminal.use_stderr().width();
        let look = Look {
            width,
            colours: Look::of_stdout().colours,
        };
        tabulated(columns, &shown(rows, columns), look)
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

/// The most characters of a line in a table. What is longer is told whole where one thing is shown, and as JSON.
const LONGEST_LINE: usize = 250;

/// A cell of a table as far as it is one that people can read beside others.
fn cut(cell: &str) -> String {
    let line = |line: &str| match line.char_indices().nth(LONGEST_LINE) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line.to_owned(),
    };
    cell.split('\n').map(line).collect::<Vec<_>>().join("\n")
}

/// The cells of a table of `rows`.
fn shown(rows: &[Value], columns: &[Column<'_>]) -> Vec<Vec<String>> {
    let cells = |row: &Value| -> Vec<String> {
        let texts = columns.iter().map(|(_, property)| cut(&cell(&row[*property])));
        texts.collect()
    };
    rows.iter().map(cells).collect()
}

/// A value between commas.
fn field(value: &str) -> String {
    let guard = if wire::csv::is_formula(value) { "'" } else { "" };
    let text = format!("{guard}{value}");
    match text.contains([',', '"', '\n', '\'']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text,
    }
}

/// A value in the words of a table: no quotes, no braces, nothing at all for null.
pub(crate) fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => harmless(whole_seconds(text).as_deref().unwrap_or(text)),
        Value::Array(items) if items.iter().any(Value::is_object) => {
            items.iter().map(cell).collect::<Vec<_>>().join("\n")
        }
        Value::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join(", "),
        Value::Object(members) => members.values().map(cell).collect::<Vec<_>>().join("  "),
        other => other.to_string(),
    }
}

/// A time without the fractions of its second, which people do not read.
fn whole_seconds(text: &str) -> Option<String> {
    let (seconds, _) = text
        .strip_suffix('Z')?
        .split_once('.')
        .filter(|(seconds, _)| seconds.len() == 19)?;
    text.parse::<Instant>().ok()?;
    Some(format!("{seconds}Z"))
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

/// Where a table is shown: how much room there is, if that matters, and whether colours are seen.
#[derive(Clone, Copy)]
struct Look {
    width: Option<u16>,
    colours: bool,
}

impl Look {
    /// On a terminal, its width, and colours unless the reader wants none (no-color.org).
    fn of_stdout() -> Self {
        let is_terminal = io::stdout().is_terminal();
        let unwanted = env::var_os("NO_COLOR").is_some_and(|told| !told.is_empty());
        Self {
            width: Table::new().width().filter(|_| is_terminal),
            colours: is_terminal && !unwanted && env::var_os("TERM").is_none_or(|kind| kind != "dumb"),
        }
    }
}

/// What is between two columns.
const GAP: usize = 2;
/// As much of a word as has to stay together, unless it is one that is copied: a name can be any length.
const LONGEST_WORD: usize = 16;

/// The least width at which nothing of `text` that is copied is cut apart.
fn least_width(text: &str) -> usize {
    let width = |word: &str| match word.chars().count() {
        long if long > LONGEST_WORD && !is_copied(word) => LONGEST_WORD,
        length => length,
    };
    text.split_whitespace().map(width).max().unwrap_or(0)
}

/// Whether a word is good for nothing in two pieces: an id, or a time.
fn is_copied(word: &str) -> bool {
    let word = word.trim_end_matches(',');
    word.parse::<Uuid>().is_ok() || word.parse::<Instant>().is_ok()
}

/// Rows below the headings of `columns`; where there is too little room for that, one below the other.
fn tabulated(columns: &[Column<'_>], rows: &[Vec<String>], look: Look) -> String {
    let least = |column: usize, heading: &str| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        let longest = cells.map(|cell| least_width(cell)).max().unwrap_or(0);
        longest.max(heading.chars().count())
    };
    let least: Vec<usize> = columns
        .iter()
        .enumerate()
        .map(|(column, (heading, _))| least(column, heading))
        .collect();
    let needed = least
        .iter()
        .map(|width| width + GAP)
        .sum::<usize>()
        .saturating_sub(GAP);
    if look.width.is_some_and(|width| needed > usize::from(width)) {
        let blocks: Vec<String> = rows.iter().map(|row| block(columns, row, look)).collect();
        return blocks.join("\n");
    }
    let mut table = plain_table(look);
    table.set_header(columns.iter().map(|(heading, _)| *heading));
    for row in rows {
        let cells = columns.iter().zip(row);
        table.add_row(cells.map(|((_, property), text)| coloured(property, text, look)));
    }
    for (column, width) in table.column_iter_mut().zip(least) {
        hold(column, width);
    }
    lines(&table)
}

/// One row of a table that is too wide, as lines.
fn block(columns: &[Column<'_>], row: &[String], look: Look) -> String {
    let said = columns.iter().zip(row).filter(|(_, text)| !text.is_empty());
    pairs(
        said.map(|((heading, property), text)| (*heading, *property, text.clone())),
        look,
    )
}

/// The properties of one thing, as lines.
fn described(record: &Value, look: Look) -> String {
    let members = record.as_object().into_iter().flatten();
    pairs(
        members.map(|(name, value)| (name.as_str(), name.as_str(), cell(value))),
        look,
    )
}

fn pairs<'p>(pairs: impl Iterator<Item = (&'p str, &'p str, String)>, look: Look) -> String {
    let mut table = plain_table(look);
    let mut least = (0, 0);
    for (name, property, text) in pairs {
        least = (least.0.max(name.chars().count()), least.1.max(least_width(&text)));
        table.add_row([Cell::new(name), coloured(property, &text, look)]);
    }
    for (column, width) in table.column_iter_mut().zip([least.0, least.1]) {
        hold(column, width);
    }
    lines(&table)
}

/// Keeps a column from becoming narrower than that.
fn hold(column: &mut comfy_table::Column, width: usize) {
    let width = u16::try_from(width)
        .unwrap_or(u16::MAX)
        .saturating_add(column.padding_width());
    column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(width)));
}

/// A cell; a status has a colour besides its word.
fn coloured(property: &str, text: &str, look: Look) -> Cell {
    let cell = Cell::new(text);
    let colour = match text {
        "Succeeded" | "Uploaded" | "Delivered" => Color::Green,
        "Failed" | "UploadFailed" => Color::Red,
        "Running" | "Uploading" => Color::Cyan,
        "Skipped" | "Canceled" => Color::Yellow,
        _ => return cell,
    };
    match look.colours && property.to_ascii_lowercase().ends_with("status") {
        true => cell.fg(colour),
        false => cell,
    }
}

/// Columns of text and nothing around them: readable for people, and for `cut` and `awk`.
fn plain_table(look: Look) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.style_text_only();
    match look.colours {
        true => table.enforce_styling(),
        false => table.force_no_tty(),
    };
    match look.width {
        Some(width) => table
            // The blanks at both ends of a line are taken away afterwards.
            .set_width(width.saturating_add(2))
            .set_content_arrangement(ContentArrangement::Dynamic),
        None => table.set_content_arrangement(ContentArrangement::Disabled),
    };
    table
}

fn lines(table: &Table) -> String {
    let mut text = String::new();
    for line in table.lines() {
        text += line.strip_prefix(' ').unwrap_or(&line).trim_end();
        text.push('\n');
    }
    text
}

/// Prints text. The command goes on where that fails, to its own outcome: [`Printer::ended`] tells of it.
fn write(text: &str) {
    let mut out = io::stdout().lock();
    let written = out.write_all(text.as_bytes());
    if let Err(error) = written.and_then(|()| out.flush()) {
        UNPRINTED.get_or_init(|| error);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

    const ID: &str = "dddddddd-3333-4444-5555-eeeeeeeeeeee";

    fn hotfixes(look: Look) -> String {
        let columns = [
            ("ID", "id"),
            ("ENVIRONMENT", "name"),
            ("STATUS", "status"),
            ("SINCE", "since"),
            ("MESSAGE", "message"),
        ];
        let message = "Table 50100 cannot be changed as long as it holds rows of the version before.";
        let row = [
            ID,
            "Production of the north",
            "Failed",
            "2026-11-30T19:00:00Z",
            message,
        ];
        let shorter = [ID, "East", "Running", "2026-11-30T19:00:00Z", ""];
        let rows = [row, shorter].map(|row| row.map(str::to_owned).to_vec());
        tabulated(&columns, &rows, look)
    }

    #[test]
    fn tables_fit_and_leave_ids_and_times_whole() {
        for width in 50..200 {
            let look = Look {
                width: Some(width),
                colours: false,
            };
            let shown = hotfixes(look);
            let longest = shown.lines().map(|line| line.chars().count()).max().unwrap();
            assert!(longest <= usize::from(width), "{width}:\n{shown}");
            assert_eq!(shown.matches(ID).count(), 2, "{width}:\n{shown}");
            assert_eq!(
                shown.matches("2026-11-30T19:00:00Z").count(),
                2,
                "{width}:\n{shown}"
            );
        }
        let record = described(
            &json!({"id": ID, "errorMessage": "word ".repeat(40)}),
            Look {
                width: Some(60),
                colours: false,
            },
        );
        assert!(
            record.contains(ID) && record.lines().all(|line| line.len() <= 60),
            "{record}"
        );
    }

    #[test]
    fn a_status_has_a_colour_and_its_word() {
        let plain = hotfixes(Look {
            width: None,
            colours: false,
        });
        assert!(!plain.contains('\u{1b}'), "{plain}");
        let coloured = hotfixes(Look {
            width: None,
            colours: true,
        });
        assert!(
            coloured.contains("Failed") && coloured.contains('\u{1b}'),
            "{coloured}"
        );
    }

    #[test]
    fn times_are_whole_seconds_and_nothing_else_is_touched() {
        assert_eq!(
            cell(&json!("2026-11-30T19:00:00.0000000Z")),
            "2026-11-30T19:00:00Z"
        );
        for other in ["16.0.1.2", "Contoso Sales. All of it", "2026-11-30T19:00:00Z"] {
            assert_eq!(cell(&json!(other)), other);
        }
    }

    #[test]
    fn a_spreadsheet_finds_no_formula() {
        for (value, shown) in [
            ("Production", "Production"),
            ("a, \"b\"", "\"a, \"\"b\"\"\""),
            ("=HYPERLINK(1)", "\"'=HYPERLINK(1)\""),
            (" @SUM(A1)", "\"' @SUM(A1)\""),
            ("\t=1", "\"'\t=1\""),
            ("-1", "\"'-1\""),
            ("16.0.1.2", "16.0.1.2"),
        ] {
            assert_eq!(field(value), shown);
        }
    }

    #[test]
    fn a_long_text_does_not_fill_a_table() {
        let (long, whole) = ("é".repeat(251), "é".repeat(250));
        assert_eq!(cut(&format!("{long}\n{whole}")), format!("{whole}…\n{whole}"));
        assert_eq!(cut(""), "");
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
