//! Literals without quotes: GUIDs, dates, times and numbers all begin with digits (a GUID also with a letter), so
//! they are tried from the most particular shape to the least, each as long as possible.

use crate::number::{InvalidNumber, Number};
use crate::temporal::{Date, Duration, Instant, TimeOfDay, parse_fraction};
use crate::value::Guid;

/// A literal as it was written, before the binder fits it to the other side.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Literal {
    /// `null`.
    Null,
    /// `true` or `false`.
    Boolean(bool),
    /// A number; `integer` when it was written without fraction and exponent.
    Number {
        /// The exact value.
        value: Number,
        /// Written as an integer.
        integer: bool,
    },
    /// `'text'`, quotes already undoubled.
    String(String),
    /// A GUID with dashes.
    Guid(Guid),
    /// A date with time and offset.
    Instant(Instant),
    /// A date.
    Date(Date),
    /// A time of day.
    TimeOfDay(TimeOfDay),
    /// `duration'P1D'`.
    Duration(Duration),
    /// `binary'…'`, base64url.
    Binary(Vec<u8>),
    /// `Ns.Type'Member,Member'`.
    Enumeration {
        /// The qualified type name; it is not looked up.
        type_name: String,
        /// The text between the quotes.
        members: String,
    },
}

/// A literal whose shape is clear but whose content is wrong.
#[derive(Debug, PartialEq)]
pub(crate) struct Flaw {
    /// Bytes from the start of the literal.
    pub offset: usize,
    pub message: String,
}

type Scan = Result<Option<(Literal, usize)>, Flaw>;

/// The literal at the start of `text` and its length in bytes; `None` when something else begins there.
pub(crate) fn scan(text: &str) -> Scan {
    if let Some(guid) = text.get(..36).and_then(Guid::parse)
        && ends_at(text, 36)
    {
        return Ok(Some((Literal::Guid(guid), 36)));
    }
    let attempts = [scan_date_or_instant, scan_time, scan_number, scan_special_number];
    for attempt in attempts {
        if let Some(found) = attempt(text)? {
            return Ok(Some(found));
        }
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if !unsigned.starts_with(|c: char| c.is_ascii_digit()) {
        return Ok(None);
    }
    Err(Flaw {
        offset: 0,
        message: format!("`{}` is not a number, date, time or GUID", word(text)),
    })
}

/// The literal that all of `text` is.
pub(crate) fn parse(text: &str) -> Option<Literal> {
    match scan(text) {
        Ok(Some((literal, length))) if length == text.len() => Some(literal),
        _ => None,
    }
}

/// Whether a literal may end before `text[at..]`: the next character does not continue a word.
fn ends_at(text: &str, at: usize) -> bool {
    let continues = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | ':' | '-' | '+' | '\'' | '/');
    text.get(at..).is_some_and(|rest| !rest.starts_with(continues))
}

/// The run of characters up to the next separator, for messages; cut when it is long.
pub(crate) fn word(text: &str) -> String {
    let separator = |c: char| c.is_whitespace() || matches!(c, '(' | ')' | ',' | '\'');
    let run = text.split(separator).next().unwrap_or("");
    if run.chars().count() > 48 {
        run.chars().take(45).chain("...".chars()).collect()
    } else {
        run.into()
    }
}

/// The characters of a kind that `text` begins with, and the rest.
pub(crate) fn split_while(text: &str, is_of_kind: impl Fn(char) -> bool) -> (&str, &str) {
    let end = text.find(|c| !is_of_kind(c)).unwrap_or(text.len());
    text.split_at(end)
}

/// Walks over the fixed-width parts of dates and times.
struct Scanner<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Scanner<'t> {
    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn digits(&mut self) -> &'t str {
        let (digits, _) = split_while(self.rest(), |c| c.is_ascii_digit());
        self.at += digits.len();
        digits
    }

    fn two_digits(&mut self) -> Option<i8> {
        let digits = self.digits();
        if digits.len() == 2 {
            digits.parse().ok()
        } else {
            None
        }
    }

    fn flaw<T>(&self, message: impl Into<String>) -> Result<T, Flaw> {
        Err(Flaw {
            offset: self.at,
            message: message.into(),
        })
    }
}

fn scan_date_or_instant(text: &str) -> Scan {
    let mut scanner = Scanner { text, at: 0 };
    let Some((year, month, day)) = scan_date_shape(&mut scanner) else {
        return Ok(None);
    };
    let with_time = matches!(scanner.peek(), Some(b'T' | b't'));
    if !with_time && !ends_at(text, scanner.at) {
        return Ok(None);
    }
    let Ok(date) = Date::new(year, month, day) else {
        let written = text.get(..scanner.at).unwrap_or(text);
        return Err(Flaw {
            offset: 0,
            message: format!(
                "`{written}` is not a day of the calendar, which ends with the years -9999 and 9999"
            ),
        });
    };
    if !with_time {
        return Ok(Some((Literal::Date(date), scanner.at)));
    }
    scanner.at += 1;
    let instant = scan_instant(&mut scanner, date)?;
    Ok(Some((Literal::Instant(instant), scanner.at)))
}

/// `[-]YYYY-MM-DD`, whether the day exists or not. Longer years do not begin with 0.
fn scan_date_shape(scanner: &mut Scanner) -> Option<(i16, i8, i8)> {
    let before_common_era = scanner.eat(b'-');
    let digits = scanner.digits();
    let fits = digits.len() == 4 || (digits.len() > 4 && !digits.starts_with('0'));
    if !fits || !scanner.eat(b'-') {
        return None;
    }
    let month = scanner.two_digits()?;
    if !scanner.eat(b'-') {
        return None;
    }
    let day = scanner.two_digits()?;
    let year: i16 = digits.parse().unwrap_or(i16::MAX);
    Some((if before_common_era { -year } else { year }, month, day))
}

/// The time and the offset behind the `T`.
fn scan_instant(scanner: &mut Scanner, date: Date) -> Result<Instant, Flaw> {
    let time = scan_clock(scanner)?;
    let offset_minutes = scan_offset(scanner)?;
    if !ends_at(scanner.text, scanner.at) {
        return scanner.flaw("Unexpected text behind a date and time");
    }
    let minutes = i64::from(time.hour) * 60 + i64::from(time.minute) - offset_minutes;
    let since_midnight = Duration::new(minutes * 60 + i64::from(time.second), time.nanos);
    match Instant::midnight(date).plus(since_midnight) {
        Some(instant) => Ok(instant),
        None => scanner.flaw("The date is out of range"),
    }
}

struct ClockText {
    hour: i8,
    minute: i8,
    second: i8,
    nanos: i32,
}

/// `hh:mm[:ss[.f]]`; the second may be 60.
fn scan_clock(scanner: &mut Scanner) -> Result<ClockText, Flaw> {
    let hour = scan_clock_part(scanner, "an hour", 23)?;
    if !scanner.eat(b':') {
        return scanner.flaw("Expected `:` and the minute");
    }
    let minute = scan_clock_part(scanner, "a minute", 59)?;
    let mut clock = ClockText {
        hour,
        minute,
        second: 0,
        nanos: 0,
    };
    if scanner.eat(b':') {
        clock.second = scan_clock_part(scanner, "a second", 60)?;
        if scanner.eat(b'.') {
            clock.nanos = scan_fraction(scanner)?;
        }
    }
    Ok(clock)
}

fn scan_clock_part(scanner: &mut Scanner, what: &str, max: i8) -> Result<i8, Flaw> {
    let start = scanner.at;
    match scanner.two_digits().filter(|value| *value <= max) {
        Some(value) => Ok(value),
        None => Err(Flaw {
            offset: start,
            message: format!("Expected {what} from 00 to {max}"),
        }),
    }
}

fn scan_fraction(scanner: &mut Scanner) -> Result<i32, Flaw> {
    let offset = scanner.at;
    parse_fraction(scanner.digits()).map_err(|message| Flaw {
        offset,
        message: message.into(),
    })
}

/// `Z` or `+hh:mm` in minutes. A blank stands for the plus sign that a form decoder has eaten.
fn scan_offset(scanner: &mut Scanner) -> Result<i64, Flaw> {
    if scanner.eat(b'Z') || scanner.eat(b'z') {
        return Ok(0);
    }
    let sign = match scanner.peek() {
        Some(b'-') => -1,
        Some(b'+') => 1,
        Some(b' ') if blank_hides_plus(scanner.rest()) => 1,
        _ => {
            return scanner.flaw(
                "A date with a time needs an offset; append Z or one such as +02:00 (in a URL %2B02:00)",
            );
        }
    };
    scanner.at += 1;
    let hour = scan_clock_part(scanner, "the offset's hour", 23)?;
    if !scanner.eat(b':') {
        return scanner.flaw("Expected `:` and the offset's minute");
    }
    let minute = scan_clock_part(scanner, "the offset's minute", 59)?;
    Ok(sign * (i64::from(hour) * 60 + i64::from(minute)))
}

/// Whether ` hh:mm` follows, which could not mean anything else.
fn blank_hides_plus(text: &str) -> bool {
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    digit(1) && digit(2) && bytes.get(3) == Some(&b':') && digit(4) && digit(5) && ends_at(text, 6)
}

fn scan_time(text: &str) -> Scan {
    let mut scanner = Scanner { text, at: 0 };
    if scanner.two_digits().is_none() || !scanner.eat(b':') {
        return Ok(None);
    }
    scanner.at = 0;
    let clock = scan_clock(&mut scanner)?;
    if !ends_at(text, scanner.at) {
        return Ok(None);
    }
    match TimeOfDay::new(clock.hour, clock.minute, clock.second, clock.nanos) {
        Ok(time) => Ok(Some((Literal::TimeOfDay(time), scanner.at))),
        Err(_) => Err(Flaw {
            offset: 6,
            message: "Expected a second from 00 to 59".into(),
        }),
    }
}

fn scan_number(text: &str) -> Scan {
    let bytes = text.as_bytes();
    let run = |from: usize| {
        bytes
            .iter()
            .skip(from)
            .take_while(|byte| byte.is_ascii_digit())
            .count()
    };
    let sign = usize::from(text.starts_with(['+', '-']));
    let mut end = sign + run(sign);
    if end == sign {
        return Ok(None);
    }
    let mut integer = true;
    if bytes.get(end) == Some(&b'.') {
        integer = false;
        let fraction = run(end + 1);
        if fraction == 0 {
            return Err(Flaw {
                offset: end + 1,
                message: "Expected digits behind the decimal point".into(),
            });
        }
        end += 1 + fraction;
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        integer = false;
        let exponent_sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        end += 1 + exponent_sign + run(end + 1 + exponent_sign);
    }
    if !ends_at(text, end) {
        return Ok(None);
    }
    match text.get(..end).unwrap_or(text).parse() {
        Ok(value) => Ok(Some((Literal::Number { value, integer }, end))),
        Err(InvalidNumber::Malformed) => Ok(None),
        Err(InvalidNumber::NotExact) => Err(Flaw {
            offset: 0,
            message: format!(
                "`{}` cannot be held exactly; a number may have 28 digits",
                word(text)
            ),
        }),
    }
}

fn scan_special_number(text: &str) -> Scan {
    let specials = [
        ("INF", Number::INFINITY),
        ("-INF", Number::NEGATIVE_INFINITY),
        ("NaN", Number::NAN),
    ];
    for (written, value) in specials {
        let continued = |rest: &str| rest.starts_with('(');
        if text.strip_prefix(written).is_some_and(|rest| !continued(rest)) && ends_at(text, written.len()) {
            return Ok(Some((
                Literal::Number {
                    value,
                    integer: false,
                },
                written.len(),
            )));
        }
    }
    Ok(None)
}

/// Decodes base64url with or without padding; `None` when it is not that.
pub(crate) fn decode_base64url(text: &str) -> Option<Vec<u8>> {
    let body = text
        .strip_suffix("==")
        .or_else(|| text.strip_suffix('='))
        .unwrap_or(text);
    if body.len() % 4 == 1 || (body.len() != text.len() && !text.len().is_multiple_of(4)) {
        return None;
    }
    let mut bytes = Vec::with_capacity(body.len() * 3 / 4);
    let mut buffer: u32 = 0;
    let mut bits = 0;
    for symbol in body.bytes() {
        buffer = buffer << 6 | base64url_value(symbol)?;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            let [.., byte] = (buffer >> bits).to_be_bytes();
            bytes.push(byte);
            buffer &= (1 << bits) - 1;
        }
    }
    (buffer == 0).then_some(bytes)
}

fn base64url_value(symbol: u8) -> Option<u32> {
    let value = match symbol {
        b'A'..=b'Z' => symbol - b'A',
        b'a'..=b'z' => symbol - b'a' + 26,
        b'0'..=b'9' => symbol - b'0' + 52,
        b'-' => 62,
        b'_' => 63,
        _ => return None,
    };
    Some(value.into())
}

/// Encodes as base64url without padding.
#[expect(clippy::indexing_slicing, reason = "six bits choose one of 64")]
pub(crate) fn encode_base64url(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let buffer = chunk
            .iter()
            .fold(0u32, |buffer, byte| buffer << 8 | u32::from(*byte))
            << (8 * (3 - chunk.len()));
        for index in 0..=chunk.len() {
            let symbol = buffer >> (18 - 6 * index) & 63;
            text.push(char::from(ALPHABET[symbol as usize]));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_most_particular_shape_wins() {
        let kinds = [
            ("0123e567-89ab-cdef-0123-456789abcdef", "Guid"),
            ("abcdef01-89ab-cdef-0123-456789abcdef", "Guid"),
            ("2024-02-29", "Date"),
            ("-0044-03-15", "Date"),
            ("2024-02-29T23:59Z", "Instant"),
            ("2024-02-29t23:59:60.5-11:30", "Instant"),
            ("11:22", "TimeOfDay"),
            ("11:22:33.123456789", "TimeOfDay"),
            ("1122", "Number"),
            ("-1.5e-7", "Number"),
            ("-INF", "Number"),
            ("NaN", "Number"),
        ];
        for (text, kind) in kinds {
            let literal = parse(text).unwrap_or_else(|| panic!("{text} is a literal"));
            assert!(format!("{literal:?}").starts_with(kind), "{text}: {literal:?}");
        }
        for text in [
            "name",
            "-name",
            "INFO",
            "NaN(",
            "",
            "'x'",
            "+",
            "abcdef01-89ab-cdef-0123-456789abcdefg",
        ] {
            assert_eq!(scan(text), Ok(None), "{text}");
        }
    }

    #[test]
    fn years_before_the_common_era_are_negative() {
        for (text, year) in [("-0044-03-15", -44), ("0044-03-15", 44), ("-9999-03-15", -9_999)] {
            let ides = Date::new(year, 3, 15).map(Literal::Date).ok();
            assert_eq!(parse(text), ides, "{text}");
        }
    }

    #[test]
    fn flaws_say_where() {
        for (text, offset) in [
            ("2024-02-30", 0),
            ("2024-02-29T24:00Z", 11),
            ("2024-02-29T23:60Z", 14),
            ("2024-02-29T23:59:61Z", 17),
            ("2024-02-29T23:59:00.Z", 20),
            ("2024-02-29T23:59:00.1234567890123Z", 20),
            ("2024-02-29T23:59:00", 19),
            ("2024-02-29T23:59:00+24:00", 20),
            ("2024-02-29T23:59:00 02", 19),
            ("2024-02-29T23:59:00 02:0", 19),
            ("2024-02-29T23:59:00 2:00:00", 19),
            ("2024-02-29T23:59:00 02:000", 19),
            ("2024-02-29T23:59:00 and 1", 19),
            ("2024-02-29T23:59:00Zz", 20),
            ("11:22:33.123456789012", 9),
            ("11:22:60", 6),
            ("12345-01-01", 0),
            ("1e29", 0),
            ("42.", 3),
            ("42e", 0),
            ("1_000", 0),
            ("999-01-01", 0),
            ("02024-01-01", 0),
            ("01234567-89ab-cdef-456789abcdef", 0),
        ] {
            let flaw = scan(text).expect_err(text);
            assert_eq!(flaw.offset, offset, "{text}: {}", flaw.message);
        }
    }

    #[test]
    fn a_blank_may_stand_for_the_plus_sign_of_an_offset() {
        let text = "2024-02-29T11:00:00 02:00";
        assert_eq!(parse(text), parse("2024-02-29T09:00:00Z"));
        assert!(scan("2024-02-29T11:00:00 and").is_err());
        assert!(scan("2024-02-29T11:00:00 02:00:00").is_err());
    }

    #[test]
    fn base64url_is_strict() {
        assert_eq!(decode_base64url("Zg=="), Some(b"f".to_vec()));
        assert_eq!(decode_base64url("Zg"), Some(b"f".to_vec()));
        assert_eq!(decode_base64url("-_8"), Some(vec![0xfb, 0xff]));
        for wrong in ["Z", "Zg=", "Zh", "Z g=", "Z+8=", "===="] {
            assert_eq!(decode_base64url(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn base64url_round_trips(bytes: Vec<u8>) {
            prop_assert_eq!(decode_base64url(&encode_base64url(&bytes)), Some(bytes));
        }
    }
}
