//! Instants, dates, times of day and durations, exact to the nanosecond.
//!
//! Stored instants often have seven fraction digits (ticks of 100 ns, as in .NET); two more keep `eq` honest: a literal
//! between two ticks equals neither. Everything is UTC on the proleptic Gregorian calendar from -9999 to 9999, without
//! leap seconds; a written second 60 is the first instant of the next minute.

pub use jiff::SignedDuration as Duration;
pub use jiff::civil::{Date, Time as TimeOfDay};

use jiff::civil::{self, DateTime};
use std::fmt;

/// Nanoseconds per 100-ns tick.
const NANOS_PER_TICK: i64 = 100;
const TICKS_PER_SECOND: i64 = 10_000_000;
const SECONDS_PER_DAY: i64 = 86_400;
const EPOCH: Date = civil::date(1970, 1, 1);

/// A point in time, counted from the start of 1970, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(Duration);

impl Instant {
    /// What `mindatetime()` means: the first instant of the year 1.
    pub const MIN: Instant = Instant(Duration::from_secs(-62_135_596_800));
    /// What `maxdatetime()` means: the last tick of the year 9999.
    pub const MAX: Instant = Instant(Duration::new(253_402_300_799, 999_999_900));

    /// From 100-ns ticks since the start of 1970, UTC.
    #[expect(clippy::cast_possible_truncation, reason = "they are less than a second")]
    pub fn from_ticks(ticks: i64) -> Instant {
        let nanos = ticks.rem_euclid(TICKS_PER_SECOND) * NANOS_PER_TICK;
        Instant(Duration::new(ticks.div_euclid(TICKS_PER_SECOND), nanos as i32))
    }

    /// The last tick at or before this instant, and whether it is exactly that tick.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the calendar ends before `i64` does"
    )]
    pub fn to_ticks(self) -> (i64, bool) {
        let (nanos, tick) = (self.0.as_nanos(), i128::from(NANOS_PER_TICK));
        (nanos.div_euclid(tick) as i64, nanos.rem_euclid(tick) == 0)
    }

    /// Midnight at the start of a day, UTC.
    pub fn midnight(date: Date) -> Instant {
        Instant(date.duration_since(EPOCH))
    }

    /// The day and the time of day in UTC; `None` where the calendar ends before.
    pub fn civil(self) -> Option<DateTime> {
        EPOCH.to_datetime(TimeOfDay::midnight()).checked_add(self.0).ok()
    }

    /// The instant after `duration`, if the calendar has it.
    pub fn plus(self, duration: Duration) -> Option<Instant> {
        let sum = Instant(self.0.checked_add(duration)?);
        sum.civil().map(|_| sum)
    }

    /// The time from `earlier` to this instant.
    pub fn since(self, earlier: Instant) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for Instant {
    /// `2019-07-09T11:54:45.5414576Z`, with as many fraction digits as are needed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.civil() {
            Some(at) => write!(f, "{at}Z"),
            None => write!(f, "1970-01-01T00:00:00Z + {}", self.0),
        }
    }
}

/// Days since 1 January 1970.
pub(crate) fn days_of(date: Date) -> i64 {
    date.duration_since(EPOCH).as_secs() / SECONDS_PER_DAY
}

/// The day that comes so many days after 1 January 1970.
pub(crate) fn date_of(days: i64) -> Option<Date> {
    let seconds = days.checked_mul(SECONDS_PER_DAY)?;
    Instant(Duration::from_secs(seconds)).civil().map(DateTime::date)
}

/// Reads `[-]P[nD][T[nH][nM][n[.f]S]]`, with at least one part and at most nine fraction digits that are not zeros at
/// the end. Years and months have no fixed length and are refused, as is a plus sign.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let body = unsigned.strip_prefix(['P', 'p'])?;
    let (days, clock) = match body.split_once(['T', 't']) {
        Some((days, clock)) => (days, Some(clock)),
        None => (body, None),
    };
    let whole_days = match days {
        "" => clock.map(|_| 0)?,
        days => parse_whole(days.strip_suffix(['D', 'd'])?)?,
    };
    let clock = clock.map_or(Some(Duration::ZERO), parse_clock)?;
    let days = Duration::from_secs(whole_days.checked_mul(SECONDS_PER_DAY)?);
    let size = days.checked_add(clock)?;
    Some(if text.starts_with('-') { -size } else { size })
}

/// The part of a duration behind `T`: `H`, `M`, `S` in this order, at least one of them.
fn parse_clock(text: &str) -> Option<Duration> {
    if text.is_empty() {
        return None;
    }
    let (hours, rest) = take_part(text, ['H', 'h'])?;
    let (minutes, rest) = take_part(rest, ['M', 'm'])?;
    let (seconds, nanos) = match rest {
        "" => (0, 0),
        seconds => parse_seconds(seconds.strip_suffix(['S', 's'])?)?,
    };
    let whole = hours
        .checked_mul(3600)?
        .checked_add(minutes.checked_mul(60)?)?
        .checked_add(seconds)?;
    Some(Duration::new(whole, nanos))
}

/// `12H…` → 12 and the rest; nothing and everything when the letter does not occur.
fn take_part(text: &str, letters: [char; 2]) -> Option<(i64, &str)> {
    match text.split_once(letters) {
        Some((digits, rest)) => Some((parse_whole(digits)?, rest)),
        None => Some((0, text)),
    }
}

fn parse_whole(digits: &str) -> Option<i64> {
    let is_whole = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if is_whole { digits.parse().ok() } else { None }
}

fn parse_seconds(text: &str) -> Option<(i64, i32)> {
    match text.split_once('.') {
        Some((whole, fraction)) => Some((parse_whole(whole)?, parse_fraction(fraction).ok()?)),
        None => Some((parse_whole(text)?, 0)),
    }
}

/// One to twelve digits behind a decimal point, as nanoseconds.
pub(crate) fn parse_fraction(digits: &str) -> Result<i32, &'static str> {
    let fits = (1..=12).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !fits {
        return Err("Fractions of a second have 1 to 12 digits");
    }
    let held = digits.trim_end_matches('0');
    if held.len() > 9 {
        return Err("Fractions of a second are exact to nine digits; write no more than nine");
    }
    Ok(format!("{held:0<9}").parse().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn knows_the_calendar() {
        let days = |year, month, day| days_of(civil::date(year, month, day));
        assert_eq!((days(1970, 1, 1), days(2000, 3, 1)), (0, 11_017));
        assert_eq!(Instant::midnight(civil::date(1, 1, 1)), Instant::MIN);
        assert_eq!(Instant::MAX.to_string(), "9999-12-31T23:59:59.9999999Z");
        assert_eq!(
            Instant::from_ticks(-1).to_string(),
            "1969-12-31T23:59:59.9999999Z"
        );
    }

    #[test]
    fn the_calendar_has_ends() {
        let second = Duration::from_secs(1);
        for (end, beyond) in [(civil::DateTime::MAX, second), (civil::DateTime::MIN, -second)] {
            let at = Instant(end.duration_since(EPOCH.into()));
            assert_eq!(at.civil(), Some(end));
            assert_eq!(at.plus(beyond), None);
            assert_eq!(at.plus(-beyond).and_then(|at| at.plus(beyond)), Some(at));
        }
        assert_eq!(Instant::MIN.plus(Duration::MAX), None);
        assert_eq!(Instant::from_ticks(i64::MAX).civil(), None);
        assert!(Instant::from_ticks(i64::MAX).to_string().ends_with('S'));
        assert_eq!(date_of(i64::MAX), None);
    }

    #[test]
    fn ticks_say_when_they_are_not_exact() {
        assert_eq!(Instant(Duration::from_nanos(-1)).to_ticks(), (-1, false));
        for ticks in [i64::MIN, -1, 0, 42, i64::MAX] {
            assert_eq!(Instant::from_ticks(ticks).to_ticks(), (ticks, true));
        }
    }

    #[test]
    fn reads_durations() {
        let seconds = |text| parse_duration(text).map(|duration| duration.as_nanos() as f64 / 1e9);
        assert_eq!(seconds("P6DT23H59M59.5S"), Some(604_799.5));
        assert_eq!(seconds("-PT1M"), Some(-60.0));
        assert_eq!(seconds("P1D"), Some(86_400.0));
        assert_eq!(seconds("pt0.000000001s"), Some(1e-9));
        assert_eq!(seconds("PT0.500000000000S"), Some(0.5));
        for wrong in [
            "",
            "P",
            "PT",
            "P1DT",
            "+P1D",
            "P1Y",
            "P1M",
            "PT1S1M",
            "P1",
            "PT1",
            "P1D2D",
            "PT.5S",
            "PT1.S",
            "PT1.0000000000001S",
            "PT0.000000000001S",
            "1D",
            "P-1D",
            "P9999999999999999999D",
            "P999999999999999999D",
        ] {
            assert_eq!(parse_duration(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn days_and_dates_are_the_same(days in -4_000_000i64..2_900_000) {
            prop_assert_eq!(date_of(days).map(days_of), Some(days));
        }

        #[test]
        fn duration_text_round_trips(seconds: i64, nanos in 0..1_000_000_000i32) {
            let duration = Duration::new(seconds / 2, nanos);
            prop_assert_eq!(parse_duration(&duration.to_string()), Some(duration));
        }
    }
}
