//! What a command prints, as lines that a person can read, whatever it is coded in and however much there is.

use domain::{operation::FailureCause, text::is_invisible};
use std::{
    borrow::Cow,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// What is kept of all that a command says: its end.
const KEPT: usize = 32 << 10;
/// What is kept of one line: its beginning.
const LINE: usize = 4 << 10;
/// What an inventory is at most: a thousand apps are a twentieth of it.
pub(super) const PRINTED_AT_MOST: usize = 8 << 20;

/// A line of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Line<'l> {
    /// `FAME:progress 40 Publish The package is compiled`; `-` where nobody knows how much is done.
    Progress {
        /// How much is done.
        percent: Option<u8>,
        /// What is being done, in a word.
        step: &'l str,
        /// And in more words.
        text: &'l str,
    },
    /// `FAME:failure SchemaBreak Field 7 is gone`.
    Failure {
        /// Why it will fail.
        cause: FailureCause,
        /// And in more words.
        text: &'l str,
    },
    /// Any other.
    Text(&'l str),
}

impl<'l> Line<'l> {
    /// Reads a line. What is not quite of the form is text.
    pub(super) fn read(line: &'l str) -> Self {
        Self::of_progress(line)
            .or_else(|| Self::of_failure(line))
            .unwrap_or(Self::Text(line))
    }

    fn of_progress(line: &'l str) -> Option<Self> {
        let (percent, rest) = line.strip_prefix("FAME:progress ")?.split_once(' ')?;
        let percent = match percent {
            "-" => None,
            number => Some(number.parse().ok().filter(|percent| *percent <= 100)?),
        };
        let (step, text) = rest.split_once(' ').unwrap_or((rest, ""));
        Some(Self::Progress { percent, step, text })
    }

    fn of_failure(line: &'l str) -> Option<Self> {
        let rest = line.strip_prefix("FAME:failure ")?;
        let (word, text) = rest.split_once(' ').unwrap_or((rest, ""));
        Some(match word.parse() {
            Ok(cause) => Self::Failure { cause, text },
            // Whoever misspelled it sees it where the failure is read.
            Err(_) => Self::Failure {
                cause: FailureCause::Other,
                text: rest,
            },
        })
    }

    fn text(&self) -> &'l str {
        match self {
            Self::Progress { text, .. } | Self::Failure { text, .. } | Self::Text(text) => text,
        }
    }
}

/// What was heard of a command so far.
#[derive(Debug, Default)]
pub(super) struct Heard(Mutex<Memory>);

#[derive(Debug, Default)]
struct Memory {
    end: String,
    is_cut: bool,
    last_line: String,
    percent: Option<u8>,
    step: String,
    cause: Option<FailureCause>,
}

impl Heard {
    /// Keeps a line.
    pub(super) fn hear(&self, line: &Line<'_>) {
        let mut memory = self.memory();
        match line {
            Line::Progress { percent, step, .. } => {
                memory.percent = *percent;
                (*step).clone_into(&mut memory.step);
            }
            Line::Failure { cause, .. } => memory.cause = Some(*cause),
            Line::Text(_) => {}
        }
        let text = line.text();
        if text.is_empty() {
            return;
        }
        text.clone_into(&mut memory.last_line);
        memory.end.push_str(text);
        memory.end.push('\n');
        // Not at each line, so that what is kept is not moved at each line.
        if memory.end.len() > 2 * KEPT {
            memory.cut(KEPT);
        }
    }

    /// How much was done, and what was being done, when it was last said.
    pub(super) fn step(&self) -> (Option<u8>, String) {
        let memory = self.memory();
        (memory.percent, memory.step.clone())
    }

    /// The last that was said.
    pub(super) fn last_line(&self) -> String {
        self.memory().last_line.clone()
    }

    /// The cause that the command named, if it did.
    pub(super) fn named_cause(&self) -> Option<FailureCause> {
        self.memory().cause
    }

    /// The end of all that was said.
    pub(super) fn text(&self) -> String {
        self.after("")
    }

    /// The end of all that was said, after a sentence; together not more than is kept.
    pub(super) fn after(&self, sentence: &str) -> String {
        let mut memory = self.memory();
        // Room for the sentence, and for the word that something is missing.
        memory.cut(KEPT.saturating_sub(sentence.len() + 8));
        let gap = if memory.is_cut { "[…]\n" } else { "" };
        let text = format!("{sentence}\n{gap}{}", memory.end);
        text.trim().to_owned()
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory {
    fn cut(&mut self, keep: usize) {
        if self.end.len() > keep {
            let start = self.end.ceil_char_boundary(self.end.len() - keep);
            self.end.drain(..start);
            self.is_cut = true;
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Utf8,
    Utf16Little,
    Utf16Big,
}

/// Makes lines out of bytes as they come.
#[derive(Debug, Default)]
pub(super) struct Lines {
    coding: Option<Coding>,
    /// Bytes of a line, or half a letter.
    bytes: Vec<u8>,
    /// How many bytes of the line were looked at.
    looked_at: usize,
}

impl Lines {
    /// Takes bytes, and tells the lines that end in them.
    pub(super) fn add(&mut self, bytes: &[u8], tell: &mut dyn FnMut(&str)) {
        for byte in bytes {
            self.take(*byte, tell);
        }
    }

    /// Tells the last line, which nothing ended.
    pub(super) fn finish(mut self, tell: &mut dyn FnMut(&str)) {
        self.end_line(tell);
    }

    fn take(&mut self, byte: u8, tell: &mut dyn FnMut(&str)) {
        self.looked_at += 1;
        if self.bytes.len() < 2 * LINE {
            self.bytes.push(byte);
        } else {
            // The line is too long to be kept; the place of its letters is, so that its end is seen.
            let last = self.bytes.len() - 2 + (self.looked_at + 1) % 2;
            if let Some(place) = self.bytes.get_mut(last) {
                *place = byte;
            }
        }
        let coding = match self.coding {
            Some(coding) => coding,
            None if self.looked_at < 2 => return,
            None => self.find_coding(),
        };
        let ends = match coding {
            Coding::Utf8 => matches!(byte, b'\n' | b'\r'),
            Coding::Utf16Little => self.looked_at.is_multiple_of(2) && is_break(self.last_two()),
            Coding::Utf16Big => {
                self.looked_at.is_multiple_of(2) && is_break(self.last_two().map(|[a, b]| [b, a]))
            }
        };
        if ends {
            self.end_line(tell);
        }
    }

    /// By the first two bytes of all.
    fn find_coding(&mut self) -> Coding {
        let coding = coding_of(&self.bytes);
        if coding == Coding::Utf8 && matches!(self.bytes[..], [b'\n' | b'\r', _]) {
            self.bytes.remove(0);
        }
        *self.coding.insert(coding)
    }

    fn last_two(&self) -> Option<[u8; 2]> {
        self.bytes.last_chunk().copied()
    }

    fn end_line(&mut self, tell: &mut dyn FnMut(&str)) {
        let line = clean(&decode_as(&self.bytes, self.coding.unwrap_or(Coding::Utf8)));
        if !line.is_empty() {
            tell(line.get(..line.floor_char_boundary(LINE)).unwrap_or_default());
        }
        self.bytes.clear();
        self.looked_at = 0;
    }
}

fn is_break(letter: Option<[u8; 2]>) -> bool {
    matches!(letter, Some([b'\n' | b'\r', 0]))
}

/// Windows tools write UTF-16, some with a mark at the beginning and some without.
fn coding_of(bytes: &[u8]) -> Coding {
    match bytes {
        [0xFF, 0xFE, ..] | [_, 0, ..] => Coding::Utf16Little,
        [0xFE, 0xFF, ..] | [0, _, ..] => Coding::Utf16Big,
        _ => Coding::Utf8,
    }
}

/// All of it as text, whatever it is coded in.
pub(super) fn decode(bytes: &[u8]) -> Cow<'_, str> {
    decode_as(bytes, coding_of(bytes))
}

fn decode_as(bytes: &[u8], coding: Coding) -> Cow<'_, str> {
    let units = bytes
        .chunks_exact(2)
        .filter_map(|pair| pair.first_chunk().copied());
    let letters: Vec<u16> = match coding {
        Coding::Utf8 => {
            let text = bytes.strip_prefix("\u{FEFF}".as_bytes()).unwrap_or(bytes);
            return String::from_utf8_lossy(text);
        }
        Coding::Utf16Little => units.map(u16::from_le_bytes).collect(),
        Coding::Utf16Big => units.map(u16::from_be_bytes).collect(),
    };
    let text = String::from_utf16_lossy(&letters);
    Cow::Owned(text.trim_start_matches('\u{FEFF}').to_owned())
}

/// Without colours, without what moves a cursor, and without what turns the direction of letters.
fn clean(line: &str) -> String {
    let mut clean = String::with_capacity(line.len());
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\u{1B}' => skip_sequence(&mut letters),
            '\t' => clean.push(' '),
            _ if is_invisible(letter) => {}
            _ => clean.push(letter),
        }
    }
    clean.trim_end().to_owned()
}

/// Skips what a terminal would take for a command, after its escape.
fn skip_sequence(letters: &mut std::str::Chars<'_>) {
    match letters.next() {
        Some('[') => {
            letters.find(|letter| matches!(letter, '@'..='~'));
        }
        Some(']') => {
            letters.find(|letter| matches!(letter, '\u{7}' | '\\'));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lines_in_chunks(bytes: &[u8], size: usize) -> Vec<String> {
        let mut found = Vec::new();
        let mut tell = |line: &str| found.push(line.to_owned());
        let mut lines = Lines::default();
        bytes.chunks(size).for_each(|chunk| lines.add(chunk, &mut tell));
        lines.finish(&mut tell);
        found
    }

    fn utf16(text: &str, big: bool) -> Vec<u8> {
        let bytes = |unit: u16| {
            if big {
                unit.to_be_bytes()
            } else {
                unit.to_le_bytes()
            }
        };
        text.encode_utf16().flat_map(bytes).collect()
    }

    #[test]
    fn lines_are_the_same_in_every_coding_and_however_they_arrive() {
        let text = "Größe ünïcode\r\nzwei\n\n\r\nдрай 🦀\rvier";
        let expected = ["Größe ünïcode", "zwei", "драй 🦀", "vier"];
        let marked = format!("\u{FEFF}{text}");
        let plain = "\nPlain start Größe\r\nend";
        for size in [1, 2, 3, 7, 1000] {
            for bytes in [
                text.as_bytes().to_vec(),
                marked.clone().into_bytes(),
                utf16(&marked, false),
                utf16(&marked, true),
            ] {
                assert_eq!(lines_in_chunks(&bytes, size), expected, "{size}");
            }
            for big in [false, true] {
                let without_mark = lines_in_chunks(&utf16(plain, big), size);
                assert_eq!(without_mark, ["Plain start Größe", "end"], "{size} {big}");
            }
        }
    }

    #[test]
    fn letters_that_look_like_line_ends_in_half_are_none() {
        // U+0A0D and U+0D0A hold the bytes of both line ends.
        assert_eq!(
            lines_in_chunks(&utf16("a\u{0A0D}b\u{0D0A}c", false), 1),
            ["a\u{0A0D}b\u{0D0A}c"]
        );
    }

    #[test]
    fn bytes_that_are_no_letters_are_shown_as_such() {
        assert_eq!(
            lines_in_chunks(b"caf\xE9 au lait\nok", 4),
            ["caf\u{FFFD} au lait", "ok"]
        );
    }

    #[test]
    fn colours_bells_and_turned_directions_are_not_told() {
        let line = "\u{1B}[31;1mError\u{1B}[0m \u{1B}]0;title\u{7}of\ta\u{202E}ta\u{AD}ble\u{8}\u{E0041}";
        assert_eq!(lines_in_chunks(line.as_bytes(), 5), ["Error of atable"]);
    }

    #[test]
    fn a_line_without_end_is_cut_and_the_next_one_is_whole() {
        for text in [
            format!("{}\nnext", "ä".repeat(100_000)),
            format!("{}x\nnext", "a".repeat(100_000)),
        ] {
            for bytes in [
                text.clone().into_bytes(),
                utf16(&format!("\u{FEFF}{text}"), false),
            ] {
                let lines = lines_in_chunks(&bytes, 999);
                assert_eq!(
                    lines.len(),
                    2,
                    "{:?}",
                    lines.iter().map(String::len).collect::<Vec<_>>()
                );
                assert!(
                    lines[0].len() <= LINE && lines[0].len() > LINE / 2,
                    "{}",
                    lines[0].len()
                );
                assert_eq!(lines[1], "next");
            }
        }
    }

    #[test]
    fn lines_of_the_protocol_are_told_from_text() {
        let progress = |percent, step, text| Line::Progress { percent, step, text };
        let failure = |cause, text| Line::Failure { cause, text };
        for (line, expected) in [
            (
                "FAME:progress 40 Publish The package",
                progress(Some(40), "Publish", "The package"),
            ),
            ("FAME:progress 100 Done", progress(Some(100), "Done", "")),
            ("FAME:progress - Wait for it", progress(None, "Wait", "for it")),
            (
                "FAME:progress 101 Publish x",
                Line::Text("FAME:progress 101 Publish x"),
            ),
            (
                "FAME:progress -1 Publish x",
                Line::Text("FAME:progress -1 Publish x"),
            ),
            ("FAME:progress 40", Line::Text("FAME:progress 40")),
            (" FAME:progress 40 a b", Line::Text(" FAME:progress 40 a b")),
            (
                "FAME:failure SchemaBreak a field",
                failure(FailureCause::SchemaBreak, "a field"),
            ),
            ("FAME:failure schemabreak", failure(FailureCause::SchemaBreak, "")),
            (
                "FAME:failure Whatever it is",
                failure(FailureCause::Other, "Whatever it is"),
            ),
            ("nothing special", Line::Text("nothing special")),
        ] {
            assert_eq!(Line::read(line), expected, "{line}");
        }
    }

    #[test]
    fn the_end_of_what_was_said_is_kept() {
        let heard = Heard::default();
        for number in 0..100_000 {
            heard.hear(&Line::Text(&format!("line {number} ä")));
        }
        let text = heard.after("It failed.");
        assert!(text.len() <= KEPT && text.len() > KEPT - 100, "{}", text.len());
        assert!(
            text.starts_with("It failed.\n[…]\n") && text.ends_with("line 99999 ä"),
            "{text}"
        );
        assert_eq!(heard.last_line(), "line 99999 ä");
        let few = Heard::default();
        few.hear(&Line::Text("all"));
        assert_eq!(few.after("It failed."), "It failed.\nall");
        assert_eq!(few.text(), "all");
    }

    proptest! {
        #[test]
        fn any_bytes_become_lines_that_can_be_shown(bytes in prop::collection::vec(any::<u8>(), 0..300), size in 1_usize..50) {
            for line in lines_in_chunks(&bytes, size) {
                prop_assert!(!line.is_empty() && !line.contains(char::is_control));
            }
        }
    }
}
