//! Instants, dates, times of day and durations, exact to the picosecond.
//!
//! The grammar allows twelve fraction digits, stored instants have seven (ticks of 100 ns). Counting picoseconds
//! keeps `eq` honest: a literal between two ticks equals neither. Everything is UTC on the proleptic Gregorian
//! calendar, without leap seconds; a written second 60 is the first instant of the next minute.

use std::fmt;

/// Picoseconds per 100-ns tick.
pub const PICOS_PER_TICK: i128 = 100_000;
const PICOS_PER_SECOND: i128 = 1_000_000_000_000;
const SECONDS_PER_DAY: i64 = 86_400;
const PICOS_PER_DAY: i128 = PICOS_PER_SECOND * SECONDS_PER_DAY as i128;

/// A point in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant {
    picos: i128,
}

/// A calendar day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date {
    days: i64,
}

/// A time on any day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimeOfDay {
    picos: i128,
}

/// A length of time, negative too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration {
    picos: i128,
}

/// Hours, minutes, seconds and the rest in picoseconds; all negative (or zero) in a negative duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Clock {
    pub hour: i64,
    pub minute: i64,
    pub second: i64,
    pub picos: i64,
}

impl Instant {
    /// What `mindatetime()` means: the first instant of the year 1.
    pub const MIN: Instant = Instant {
        picos: -62_135_596_800 * PICOS_PER_SECOND,
    };
    /// What `maxdatetime()` means: the last tick of the year 9999.
    pub const MAX: Instant = Instant {
        picos: 253_402_300_800 * PICOS_PER_SECOND - PICOS_PER_TICK,
    };

    /// From 100-ns ticks since the start of 1970, UTC.
    pub fn from_ticks(ticks: i64) -> Instant {
        Instant {
            picos: i128::from(ticks) * PICOS_PER_TICK,
        }
    }

    /// Picoseconds since the start of 1970, UTC.
    pub fn picos(self) -> i128 {
        self.picos
    }

    /// The last tick at or before this instant, held at the ends of `i64`, and whether it is exactly that tick.
    pub fn to_ticks(self) -> (i64, bool) {
        let ticks = self.picos.div_euclid(PICOS_PER_TICK);
        match i64::try_from(ticks) {
            Ok(exact) => (exact, self.picos.rem_euclid(PICOS_PER_TICK) == 0),
            Err(_) if ticks < 0 => (i64::MIN, false),
            Err(_) => (i64::MAX, false),
        }
    }

    /// The day in UTC.
    pub fn date(self) -> Date {
        Date {
            days: self.picos.div_euclid(PICOS_PER_DAY) as i64,
        }
    }

    /// The time of day in UTC.
    pub fn time_of_day(self) -> TimeOfDay {
        TimeOfDay {
            picos: self.picos.rem_euclid(PICOS_PER_DAY),
        }
    }

    /// The instant after `duration`, if it can be held.
    pub fn plus(self, duration: Duration) -> Option<Instant> {
        Some(Instant {
            picos: in_range(self.picos.checked_add(duration.picos)?)?,
        })
    }

    /// The time from `earlier` to this instant.
    pub fn since(self, earlier: Instant) -> Duration {
        Duration {
            picos: self.picos - earlier.picos,
        }
    }
}

impl Date {
    /// A day of the proleptic Gregorian calendar, year 0 and negative years included, if it exists.
    pub fn new(year: i64, month: u32, day: u32) -> Option<Date> {
        let exists =
            year.abs() <= 999_999 && (1..=12).contains(&month) && day >= 1 && day <= days_in(year, month);
        exists.then(|| Date {
            days: days_from_civil(year, month, day),
        })
    }

    /// From days since 1 January 1970.
    pub fn from_days(days: i64) -> Date {
        Date { days }
    }

    /// Days since 1 January 1970.
    pub fn days(self) -> i64 {
        self.days
    }

    /// Midnight at the start of the day, UTC.
    pub fn midnight(self) -> Instant {
        Instant {
            picos: i128::from(self.days) * PICOS_PER_DAY,
        }
    }

    /// Year, month and day.
    pub fn civil(self) -> (i64, u32, u32) {
        civil_from_days(self.days)
    }
}

impl TimeOfDay {
    /// A time of day; second 60 is not one.
    pub fn new(hour: u32, minute: u32, second: u32, picos: u64) -> Option<TimeOfDay> {
        let fits = hour < 24 && minute < 60 && second < 60 && i128::from(picos) < PICOS_PER_SECOND;
        let seconds = i128::from(hour * 3600 + minute * 60 + second);
        fits.then(|| TimeOfDay {
            picos: seconds * PICOS_PER_SECOND + i128::from(picos),
        })
    }

    /// From picoseconds since midnight, if they fit into a day.
    pub fn from_picos(picos: i128) -> Option<TimeOfDay> {
        (0..PICOS_PER_DAY).contains(&picos).then_some(TimeOfDay { picos })
    }

    /// Picoseconds since midnight.
    pub fn picos(self) -> i128 {
        self.picos
    }

    pub(crate) fn clock(self) -> Clock {
        clock_of(self.picos)
    }
}

impl Duration {
    /// From 100-ns ticks.
    pub fn from_ticks(ticks: i64) -> Duration {
        Duration {
            picos: i128::from(ticks) * PICOS_PER_TICK,
        }
    }

    /// From picoseconds.
    pub fn from_picos(picos: i128) -> Option<Duration> {
        Some(Duration {
            picos: in_range(picos)?,
        })
    }

    /// The length in picoseconds.
    pub fn picos(self) -> i128 {
        self.picos
    }

    /// The same length the other way.
    pub fn negate(self) -> Duration {
        Duration { picos: -self.picos }
    }

    /// The sum, if it can be held.
    pub fn plus(self, other: Duration) -> Option<Duration> {
        Duration::from_picos(self.picos + other.picos)
    }

    /// Whole days, cut towards zero.
    pub fn whole_days(self) -> i64 {
        (self.picos / PICOS_PER_DAY) as i64
    }

    pub(crate) fn clock(self) -> Clock {
        clock_of(self.picos % PICOS_PER_DAY)
    }

    /// Reads `[-]P[nD][T[nH][nM][n[.f]S]]`, with at least one part and at most twelve fraction digits. Years and
    /// months have no fixed length and are refused, as is a plus sign.
    pub fn parse(text: &str) -> Option<Duration> {
        let unsigned = text.strip_prefix('-').unwrap_or(text);
        let body = strip_letter(unsigned, 'P')?;
        let (days, clock) = match body.split_once(['T', 't']) {
            Some((days, clock)) => (days, Some(clock)),
            None => (body, None),
        };
        let days = if days.is_empty() {
            None
        } else {
            Some(parse_days(days)?)
        };
        let clock = match clock {
            Some(clock) => Some(parse_clock(clock)?),
            None => None,
        };
        if days.is_none() && clock.is_none() {
            return None;
        }
        let size = days
            .unwrap_or(0)
            .checked_mul(PICOS_PER_DAY)?
            .checked_add(clock.unwrap_or(0))?;
        Duration::from_picos(if text.starts_with('-') { -size } else { size })
    }
}

impl fmt::Display for Instant {
    /// `2019-07-09T11:54:45.5414576Z`, with as many fraction digits as are needed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}T{}Z", self.date(), self.time_of_day())
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.civil();
        let sign = if year < 0 { "-" } else { "" };
        write!(f, "{sign}{:04}-{month:02}-{day:02}", year.abs())
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let clock = self.clock();
        write!(f, "{:02}:{:02}:{:02}", clock.hour, clock.minute, clock.second)?;
        write_fraction(f, clock.picos.unsigned_abs())
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.picos < 0 { "-" } else { "" };
        let clock = self.clock();
        let (days, hours) = (self.whole_days().abs(), clock.hour.abs());
        write!(
            f,
            "{sign}P{days}DT{hours}H{}M{}",
            clock.minute.abs(),
            clock.second.abs()
        )?;
        write_fraction(f, clock.picos.unsigned_abs())?;
        f.write_str("S")
    }
}

fn write_fraction(f: &mut fmt::Formatter<'_>, picos: u64) -> fmt::Result {
    if picos == 0 {
        return Ok(());
    }
    let digits = format!("{picos:012}");
    write!(f, ".{}", digits.trim_end_matches('0'))
}

/// Keeps sums far from the ends of `i128`, so that no later sum can overflow.
fn in_range(picos: i128) -> Option<i128> {
    (picos.unsigned_abs() < 1 << 100).then_some(picos)
}

fn clock_of(picos: i128) -> Clock {
    let seconds = (picos / PICOS_PER_SECOND) as i64;
    Clock {
        hour: seconds / 3600,
        minute: seconds / 60 % 60,
        second: seconds % 60,
        picos: (picos % PICOS_PER_SECOND) as i64,
    }
}

fn strip_letter(text: &str, letter: char) -> Option<&str> {
    text.strip_prefix([letter, letter.to_ascii_lowercase()])
}

fn parse_days(text: &str) -> Option<i128> {
    parse_whole(text.strip_suffix(['D', 'd'])?)
}

/// The part of a duration behind `T`, in picoseconds: `H`, `M`, `S` in this order, at least one of them.
fn parse_clock(text: &str) -> Option<i128> {
    let (hours, rest) = take_part(text, 'H')?;
    let (minutes, rest) = take_part(rest, 'M')?;
    let seconds = if rest.is_empty() {
        None
    } else {
        Some(parse_seconds(rest)?)
    };
    if hours.is_none() && minutes.is_none() && seconds.is_none() {
        return None;
    }
    let whole = hours
        .unwrap_or(0)
        .checked_mul(3600)?
        .checked_add(minutes.unwrap_or(0).checked_mul(60)?)?;
    whole
        .checked_mul(PICOS_PER_SECOND)?
        .checked_add(seconds.unwrap_or(0))
}

/// `12H…` → 12 and the rest; nothing and everything when the letter does not occur.
fn take_part(text: &str, letter: char) -> Option<(Option<i128>, &str)> {
    match text.split_once([letter, letter.to_ascii_lowercase()]) {
        Some((digits, rest)) => Some((Some(parse_whole(digits)?), rest)),
        None => Some((None, text)),
    }
}

fn parse_whole(digits: &str) -> Option<i128> {
    let short = (1..=18).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    if short { digits.parse().ok() } else { None }
}

fn parse_seconds(text: &str) -> Option<i128> {
    let number = text.strip_suffix(['S', 's'])?;
    let (whole, fraction) = match number.split_once('.') {
        Some((whole, fraction)) => (whole, i128::from(parse_fraction(fraction)?)),
        None => (number, 0),
    };
    parse_whole(whole)?
        .checked_mul(PICOS_PER_SECOND)?
        .checked_add(fraction)
}

/// One to twelve digits behind a decimal point, as picoseconds.
pub(crate) fn parse_fraction(digits: &str) -> Option<u64> {
    let fits = (1..=12).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !fits {
        return None;
    }
    let value: u64 = digits.parse().ok()?;
    Some(value * 10u64.pow(12 - digits.len() as u32))
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in(year: i64, month: u32) -> u32 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days of the 400-year cycle, counted in years that begin in March so that the leap day comes last.
const DAYS_PER_ERA: i64 = 146_097;
/// Days from 1 March of year 0 to 1 January 1970.
const EPOCH_SHIFT: i64 = 719_468;

fn days_from_civil(year: i64, month: u32, day: u32) -> i64 {
    let march_year = if month <= 2 { year - 1 } else { year };
    let march_month = i64::from((month + 9) % 12);
    let year_of_era = march_year.rem_euclid(400);
    let day_of_year = (153 * march_month + 2) / 5 + i64::from(day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    march_year.div_euclid(400) * DAYS_PER_ERA + day_of_era - EPOCH_SHIFT
}

fn civil_from_days(days: i64) -> (i64, u32, u32) {
    let shifted = days + EPOCH_SHIFT;
    let day_of_era = shifted.rem_euclid(DAYS_PER_ERA);
    let leap_days = day_of_era / 1_460 - day_of_era / 36_524 + day_of_era / 146_096;
    let year_of_era = (day_of_era - leap_days) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 {
        march_month + 3
    } else {
        march_month - 9
    };
    let year = year_of_era + shifted.div_euclid(DAYS_PER_ERA) * 400 + i64::from(month <= 2);
    (year, month as u32, day as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn knows_the_calendar() {
        assert_eq!(Date::new(1970, 1, 1).map(Date::days), Some(0));
        assert_eq!(Date::new(2000, 3, 1).map(Date::days), Some(11_017));
        assert_eq!(Date::new(1, 1, 1).map(|date| date.midnight()), Some(Instant::MIN));
        for missing in [
            (2019, 2, 29),
            (1900, 2, 29),
            (2020, 4, 31),
            (2020, 0, 1),
            (2020, 13, 1),
            (2020, 1, 0),
        ] {
            assert_eq!(Date::new(missing.0, missing.1, missing.2), None, "{missing:?}");
        }
        assert!(
            Date::new(2000, 2, 29).is_some()
                && Date::new(0, 2, 29).is_some()
                && Date::new(-4, 2, 29).is_some()
        );
        assert_eq!(Instant::MAX.to_string(), "9999-12-31T23:59:59.9999999Z");
        let leap_day = |year| Date::new(year, 2, 29).map(|date| date.to_string());
        assert_eq!(leap_day(0).as_deref(), Some("0000-02-29"));
        assert_eq!(leap_day(-4).as_deref(), Some("-0004-02-29"));
        assert_eq!(
            Instant::from_ticks(-1).to_string(),
            "1969-12-31T23:59:59.9999999Z"
        );
    }

    #[test]
    fn ticks_say_when_they_are_not_exact() {
        assert_eq!(Instant { picos: -1 }.to_ticks(), (-1, false));
        assert_eq!(Instant::from_ticks(42).to_ticks(), (42, true));
        assert_eq!(
            Instant {
                picos: i128::from(i64::MAX) * 1_000_000
            }
            .to_ticks(),
            (i64::MAX, false)
        );
        let long_ago = Instant {
            picos: i128::from(i64::MIN) * 1_000_000,
        };
        assert_eq!(long_ago.to_ticks(), (i64::MIN, false));
    }

    #[test]
    fn each_day_of_four_centuries_follows_the_one_before() {
        let (mut year, mut month, mut day) = (1970, 1, 1);
        for days in 0..DAYS_PER_ERA {
            assert_eq!(civil_from_days(days), (year, month, day), "day {days}");
            day += 1;
            if day > days_in(year, month) {
                (month, day) = (month + 1, 1);
            }
            if month > 12 {
                (year, month) = (year + 1, 1);
            }
        }
    }

    #[test]
    fn no_time_at_all_is_not_negative() {
        assert_eq!(Duration::from_ticks(0).to_string(), "P0DT0H0M0S");
        assert_eq!(Duration::from_ticks(-5).to_string(), "-P0DT0H0M0.0000005S");
    }

    #[test]
    fn reads_durations() {
        let seconds = |text| Duration::parse(text).map(|duration| duration.picos as f64 / 1e12);
        assert_eq!(seconds("P6DT23H59M59.5S"), Some(604_799.5));
        assert_eq!(seconds("-PT1M"), Some(-60.0));
        assert_eq!(seconds("P1D"), Some(86_400.0));
        assert_eq!(seconds("pt0.000000000001s"), Some(1e-12));
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
            "1D",
            "P-1D",
            "P9999999999999999999D",
            "P999999999999999999D",
        ] {
            assert_eq!(Duration::parse(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn days_and_dates_are_the_same(days in -300_000_000i64..300_000_000) {
            let (year, month, day) = civil_from_days(days);
            prop_assert_eq!(days_from_civil(year, month, day), days);
            let (next_year, next_month, next_day) = civil_from_days(days + 1);
            prop_assert!(next_day == day + 1 && next_month == month && next_year == year
                || next_day == 1 && day == days_in(year, month));
        }

        #[test]
        fn duration_text_round_trips(picos in -(1i128 << 90)..1i128 << 90) {
            let duration = Duration { picos };
            prop_assert_eq!(Duration::parse(&duration.to_string()), Some(duration));
        }
    }
}
