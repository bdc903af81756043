//! Moments in time, with the seven fractional digits the API shows.

use jiff::{
    SignedDuration, Timestamp,
    civil::{DateTime, date},
    fmt::temporal::Pieces,
    tz::Offset,
};
use std::{
    fmt,
    ops::{Add, Sub},
    str::FromStr,
    time::{Duration, SystemTime},
};

/// Ticks in a second: a tick is 100 nanoseconds, as in .NET.
pub const TICKS_PER_SECOND: i64 = 10_000_000;

const EPOCH: DateTime = date(1970, 1, 1).at(0, 0, 0, 0);

/// A moment, as 100-nanosecond ticks since 1970-01-01T00:00:00Z.
///
/// Text form: UTC, seven fractional digits and `Z` (`2020-03-05T15:41:20.6468128Z`), as in the API reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(pub i64);

/// The text was no date and time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a date and time such as 2020-03-05T17:30:00Z")]
pub struct InvalidInstant(pub String);

impl Instant {
    /// The moment a [`Timestamp`] names, cut to whole ticks.
    #[must_use]
    pub fn from_timestamp(at: Timestamp) -> Self {
        Self::of_nanoseconds(at.as_nanosecond())
    }

    fn of_nanoseconds(since_1970: i128) -> Self {
        Self(i64::try_from(since_1970.div_euclid(100)).unwrap_or(i64::MAX))
    }

    /// The same moment as a [`Timestamp`]; moments beyond its range become its nearest end.
    #[must_use]
    pub fn to_timestamp(self) -> Timestamp {
        let end = if self.0 < 0 {
            Timestamp::MIN
        } else {
            Timestamp::MAX
        };
        let nanos = i32::try_from(self.0.rem_euclid(TICKS_PER_SECOND) * 100).unwrap_or(0);
        Timestamp::new(self.unix_seconds(), nanos).unwrap_or(end)
    }

    /// Whole seconds since 1970, rounded down.
    #[must_use]
    pub fn unix_seconds(self) -> i64 {
        self.0.div_euclid(TICKS_PER_SECOND)
    }

    /// The text form, without a detour over the allocator: a list shows several of them in each of its rows.
    /// Moments before the year 0 are shown as its beginning, and those after 9999 as its end.
    #[must_use]
    pub fn to_ascii(self) -> [u8; 28] {
        let at = self.in_utc();
        let mut text = *b"0000-01-01T00:00:00.0000000Z";
        let Ok(year) = u32::try_from(at.year()) else {
            return text;
        };
        put(&mut text[..4], year);
        put(&mut text[5..7], at.month().unsigned_abs().into());
        put(&mut text[8..10], at.day().unsigned_abs().into());
        put(&mut text[11..13], at.hour().unsigned_abs().into());
        put(&mut text[14..16], at.minute().unsigned_abs().into());
        put(&mut text[17..19], at.second().unsigned_abs().into());
        put(&mut text[20..27], at.subsec_nanosecond().unsigned_abs() / 100);
        text
    }

    /// Date and time in UTC. A [`Timestamp`] ends a day before the calendar does, so that it has a local time anywhere.
    fn in_utc(self) -> DateTime {
        let at = self.to_timestamp();
        if at < Timestamp::MAX {
            return Offset::UTC.to_datetime(at);
        }
        let left = SignedDuration::from_secs(self.unix_seconds());
        let whole = EPOCH.checked_add(left);
        let nanos = SignedDuration::from_nanos(self.0.rem_euclid(TICKS_PER_SECOND) * 100);
        whole
            .and_then(|whole| whole.checked_add(nanos))
            .unwrap_or(DateTime::MAX)
    }

    /// How long after `earlier` this is; zero when it is not after it.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        let ticks = u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0);
        Duration::from_nanos(ticks.saturating_mul(100))
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(ticks_in(span)))
    }
}

impl Sub<Duration> for Instant {
    type Output = Self;

    fn sub(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(ticks_in(span)))
    }
}

fn ticks_in(span: Duration) -> i64 {
    i64::try_from(span.as_nanos() / 100).unwrap_or(i64::MAX)
}

impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.to_ascii();
        f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

/// Writes `number` over the zeros in `digits`, right-aligned.
fn put(digits: &mut [u8], mut number: u32) {
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
    }
}

/// As far as machines count: what is before 1970 is 1970.
impl From<Instant> for SystemTime {
    fn from(instant: Instant) -> Self {
        Self::UNIX_EPOCH + instant.since(Instant(0))
    }
}

impl Instant {
    /// Reads RFC 3339 with an offset: what two sides agree on has to name the same moment for both.
    ///
    /// # Errors
    /// [`InvalidInstant`], also for a text that is one but for its offset.
    pub fn parse_with_offset(text: &str) -> Result<Self, InvalidInstant> {
        let has_offset = Pieces::parse(text.trim()).is_ok_and(|pieces| pieces.to_numeric_offset().is_some());
        match has_offset {
            true => text.parse(),
            false => Err(InvalidInstant(text.chars().take(80).collect())),
        }
    }
}

impl FromStr for Instant {
    type Err = InvalidInstant;

    /// Reads RFC 3339 with any offset; a text without one is UTC.
    fn from_str(text: &str) -> Result<Self, InvalidInstant> {
        read(text.trim()).ok_or_else(|| InvalidInstant(text.chars().take(80).collect()))
    }
}

/// Reads a moment up to the very end of the year 9999.
fn read(text: &str) -> Option<Instant> {
    let pieces = Pieces::parse(text).ok().filter(|_| has_time(text))?;
    let local = pieces.date().to_datetime(pieces.time()?);
    let offset = pieces.to_numeric_offset().unwrap_or(Offset::UTC);
    let utc = local
        .checked_sub(SignedDuration::from_secs(offset.seconds().into()))
        .ok()?;
    Some(Instant::of_nanoseconds(utc.duration_since(EPOCH).as_nanos()))
}

fn has_time(text: &str) -> bool {
    text.contains(':') && !text.contains('[')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_may_be_asked_for() {
        let noon = "2026-12-24T12:00:00Z".parse();
        for same in ["2026-12-24T12:00:00Z", "2026-12-24T13:00:00+01:00"] {
            assert_eq!(Instant::parse_with_offset(same), noon);
        }
        for none in ["2026-12-24T12:00:00", "2026-12-24", "noon"] {
            assert!(Instant::parse_with_offset(none).is_err(), "{none}");
        }
    }
    use proptest::prelude::*;

    #[test]
    fn seven_digits_are_kept() {
        let at: Instant = "2020-03-05T15:41:20.6468128Z".parse().unwrap();
        assert_eq!(at.to_string(), "2020-03-05T15:41:20.6468128Z");
        assert_eq!(at.unix_seconds(), 1_583_422_880);
    }

    #[test]
    fn any_offset_is_read_and_none_is_utc() {
        let utc: Instant = "2020-03-05T17:30:00Z".parse().unwrap();
        for text in [
            "2020-03-05T19:30:00+02:00",
            "2020-03-05T17:30:00",
            "2020-03-05T17:30:00.0000000",
            "2020-03-05 17:30:00Z",
        ] {
            assert_eq!(text.parse::<Instant>().unwrap(), utc, "{text}");
        }
        assert_eq!(utc.to_string(), "2020-03-05T17:30:00.0000000Z");
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        for text in ["", "tomorrow", "2020-02-30T00:00:00Z", "2020-03-05", "17:30"] {
            assert!(text.parse::<Instant>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_ends_of_time_have_a_text() {
        assert_eq!(Instant(i64::MIN).to_string(), "0000-01-01T00:00:00.0000000Z");
        assert_eq!(Instant(i64::MAX).to_string(), "9999-12-31T23:59:59.9999999Z");
        assert_eq!(Instant(-1).to_string(), "1969-12-31T23:59:59.9999999Z");
    }

    #[test]
    fn the_last_hours_that_have_a_name_are_moments_too() {
        for text in [
            "9999-12-30T22:00:00.9999999Z",
            "9999-12-30T22:00:01.0000000Z",
            "9999-12-31T23:59:59.0000000Z",
            "9999-12-31T23:59:59.9999999Z",
        ] {
            assert_eq!(text.parse::<Instant>().unwrap().to_string(), text);
        }
        let east: Instant = "9999-12-31T23:59:59+14:00".parse().unwrap();
        assert_eq!(east.to_string(), "9999-12-31T09:59:59.0000000Z");
        assert!(
            "9999-12-31T23:59:59-00:01".parse::<Instant>().is_err(),
            "that is in the year 10000"
        );
        assert!("10000-01-01T00:00:00Z".parse::<Instant>().is_err());
    }

    #[test]
    fn a_span_of_time_is_kept_to_the_tick_and_never_overflows() {
        let at: Instant = "2020-03-05T15:41:20Z".parse().unwrap();
        let later: Instant = "2020-03-05T15:42:50.0000007Z".parse().unwrap();
        let span = Duration::from_secs(90) + Duration::from_nanos(700);
        assert_eq!(at + span, later);
        assert_eq!(later.since(at), span);
        assert_eq!(at.since(later), Duration::ZERO, "what lies ahead is not past");
        assert_eq!(at + Duration::MAX, Instant(i64::MAX));
    }

    proptest! {
        #[test]
        fn text_round_trips(ticks in -600_000_000_000_000_000_i64..2_534_023_007_999_999_999) {
            let at = Instant(ticks);
            prop_assert_eq!(at.to_string().parse::<Instant>().unwrap(), at);
        }
    }
}
