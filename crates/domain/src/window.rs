//! When an environment's operations may start: a stretch of its own wall clock, every day.
//!
//! The difficulty is that a wall clock is not a line. Twice a year an hour is missing or comes twice, and a window may
//! span midnight. So a window is never compared as wall time: each day's window is turned into two instants first, and
//! only instants are compared.

use crate::{
    country::{CountryCode, default_time_zone},
    instant::Instant,
    problem::RuleError,
    zone,
};
use jiff::{
    Timestamp,
    civil::{Date, DateTime, Time},
    tz::{AmbiguousOffset, Offset, TimeZone},
};
use std::{borrow::Cow, ops::Range};

/// The shortest window that may be set, in minutes of wall time: six hours, as documented.
pub const SHORTEST_MINUTES: u16 = 6 * 60;
/// When a window starts if nobody says otherwise.
pub const DEFAULT_START: &str = "20:00";
/// When a window ends if nobody says otherwise.
pub const DEFAULT_END: &str = "06:00";

const MINUTES_PER_DAY: u16 = 24 * 60;

/// The hours, on an environment's own clock, in which its operations may start.
///
/// The start is included, the end is not. A local time that comes twice counts from its first to its last
/// occurrence; one that is skipped stands for the instant after the gap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpdateWindow {
    start: u16,
    end: u16,
    zone_id: Cow<'static, str>,
    zone: TimeZone,
}

impl UpdateWindow {
    /// A window from `start` to `end`, both `HH:MM` on a 24-hour clock, in a time zone by its Windows id, also one that
    /// Windows has no more, or by that of the IANA database, for which the Windows zone is taken whose clock goes the same,
    /// if there is one; in any case. It is written down as
    /// [`start_text`](Self::start_text), [`end_text`](Self::end_text) and [`time_zone`](Self::time_zone), and read back
    /// from them.
    ///
    /// A window may span midnight. One that ends when it starts is refused rather than taken for a whole day: to open
    /// an environment to updates at noon by a slip is worse than having to write 00:00 to 23:59.
    ///
    /// # Errors
    /// `InvalidInput` about `start`, `end` or `timeZone` when they are malformed or unknown, and
    /// `EntityValidationFailed` with `WindowTooShort` for less than [`SHORTEST_MINUTES`] of wall time.
    pub fn new(start: &str, end: &str, zone: &str) -> Result<Self, RuleError> {
        let (start, end) = read_hours(start, end)?;
        let (zone_id, zone) = find_zone(zone)?;
        Ok(Self {
            start,
            end,
            zone_id,
            zone,
        })
    }

    /// Refuses hours that are none of a window in whatever time zone: all that can be said where another process knows
    /// which zones there are.
    ///
    /// # Errors
    /// Those of [`new`](Self::new), but for the time zone.
    pub fn check_hours(start: &str, end: &str) -> Result<(), RuleError> {
        read_hours(start, end).map(drop)
    }

    /// The window of an environment for which none was set: 20:00 to 06:00 by its country's clock.
    #[must_use]
    pub fn default_in(country: CountryCode) -> Self {
        let found = find_zone(default_time_zone(country));
        let (zone_id, zone) = found.unwrap_or(("UTC".into(), TimeZone::UTC));
        Self {
            start: 20 * 60,
            end: 6 * 60,
            zone_id,
            zone,
        }
    }

    /// A window whose hours are said in UTC, kept by the clock of a country as that goes at an instant.
    ///
    /// # Errors
    /// Those of [`new`](Self::new).
    pub fn of_utc(start: &str, end: &str, country: CountryCode, now: Instant) -> Result<Self, RuleError> {
        let (start, end) = read_hours(start, end)?;
        let (zone_id, zone) = find_zone(default_time_zone(country))?;
        let ahead = zone.to_offset(now.to_timestamp()).seconds() / 60;
        let local = |minute: u16| {
            let shifted = (i32::from(minute) + ahead).rem_euclid(i32::from(MINUTES_PER_DAY));
            u16::try_from(shifted).unwrap_or(minute)
        };
        Ok(Self {
            start: local(start),
            end: local(end),
            zone_id,
            zone,
        })
    }

    /// The window that is open at `at`, or else the next one; none at the very end of the calendar.
    #[must_use]
    pub fn occurrence(&self, at: Instant) -> Option<Range<Instant>> {
        self.days_around(at).find(|day| at < day.end)
    }

    /// When it starts, as `HH:MM`.
    #[must_use]
    pub fn start_text(&self) -> String {
        clock_text(self.start)
    }

    /// When it ends, as `HH:MM`.
    #[must_use]
    pub fn end_text(&self) -> String {
        clock_text(self.end)
    }

    /// The id of the time zone it is meant in: that of Windows, wherever Windows has one.
    #[must_use]
    pub fn time_zone(&self) -> &str {
        &self.zone_id
    }

    /// Whether an operation may start at `at`.
    #[must_use]
    pub fn contains(&self, at: Instant) -> bool {
        self.days_around(at).any(|day| day.contains(&at))
    }

    /// The first instant not before `from` at which an operation may start: `from` itself inside the
    /// window.
    ///
    /// At the very end of the calendar, where no further window can be named, it is `from`.
    #[must_use]
    pub fn next_start(&self, from: Instant) -> Instant {
        let open = self.days_around(from).find(|day| from < day.end);
        open.map_or(from, |day| day.start.max(from))
    }

    /// The windows of the days near `at`, in order, as instants. The day before matters because a window may span
    /// midnight; one more on either side because a zone may skip or repeat a whole day, as Samoa did.
    fn days_around(&self, at: Instant) -> impl Iterator<Item = Range<Instant>> {
        let today = self.zone.to_datetime(at.to_timestamp()).date();
        (-2..=3).filter_map(move |days| self.on(shifted(today, days)?))
    }

    /// The window that starts on `day`; none when a gap in the clock swallowed it.
    fn on(&self, day: Date) -> Option<Range<Instant>> {
        let last_day = if self.end <= self.start {
            shifted(day, 1)?
        } else {
            day
        };
        let start = self.instant(day, self.start, Occurrence::First)?;
        let end = self.instant(last_day, self.end, Occurrence::Last)?;
        (start < end).then_some(start..end)
    }

    fn instant(&self, day: Date, minute: u16, which: Occurrence) -> Option<Instant> {
        let local = DateTime::from_parts(day, wall_time(minute));
        let offsets = self.zone.to_ambiguous_timestamp(local).offset();
        let at = match (offsets, which) {
            (AmbiguousOffset::Unambiguous { offset }, _) => offset.to_timestamp(local).ok()?,
            (AmbiguousOffset::Fold { before, .. }, Occurrence::First) => before.to_timestamp(local).ok()?,
            (AmbiguousOffset::Fold { after, .. }, Occurrence::Last) => after.to_timestamp(local).ok()?,
            (AmbiguousOffset::Gap { after, .. }, _) => self.end_of_gap(local, after)?,
        };
        Some(Instant::from_timestamp(at))
    }

    /// The instant at which the clock jumped over `local`. Read with the offset of after the jump, a skipped time names
    /// an instant before it, so the next change to that offset is the jump.
    fn end_of_gap(&self, local: DateTime, after: Offset) -> Option<Timestamp> {
        let before_the_jump = after.to_timestamp(local).ok()?;
        let jump = self
            .zone
            .following(before_the_jump)
            .find(|change| change.offset() == after)?;
        Some(jump.timestamp())
    }
}

#[derive(Clone, Copy)]
enum Occurrence {
    First,
    Last,
}

fn shifted(day: Date, days: i64) -> Option<Date> {
    day.checked_add(jiff::Span::new().try_days(days).ok()?).ok()
}

fn wall_time(minute: u16) -> Time {
    let (hour, minute) = (i8::try_from(minute / 60), i8::try_from(minute % 60));
    let time = hour
        .ok()
        .zip(minute.ok())
        .and_then(|(hour, minute)| Time::new(hour, minute, 0, 0).ok());
    time.unwrap_or_else(Time::midnight)
}

fn clock_text(minute: u16) -> String {
    format!("{:02}:{:02}", minute / 60, minute % 60)
}

/// The minutes of the day at which a window starts and ends.
fn read_hours(start: &str, end: &str) -> Result<(u16, u16), RuleError> {
    let (first, last) = (minutes("start", start)?, minutes("end", end)?);
    // None at all when it ends as it starts.
    let length = (last + MINUTES_PER_DAY - first) % MINUTES_PER_DAY;
    if length >= SHORTEST_MINUTES {
        return Ok((first, last));
    }
    let message = format!(
        "The window from {start} to {end} is too short: an update window has at least six hours of wall time."
    );
    Err(RuleError::broken("WindowTooShort", message).about("window"))
}

fn minutes(property: &str, text: &str) -> Result<u16, RuleError> {
    read_clock(text).ok_or_else(|| {
        let shown: String = text.chars().take(80).collect();
        RuleError::invalid(
            property,
            format!("'{shown}' is not a time of day such as 20:00 or 06:30."),
        )
    })
}

/// Reads `HH:MM`. Seconds are not accepted: nothing here could keep them.
fn read_clock(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let two_digits = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
    if !two_digits(hour) || !two_digits(minute) {
        return None;
    }
    let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
    (hour < 24 && minute < 60).then_some(hour * 60 + minute)
}

/// The zone of that id, and the id by which it is kept.
fn find_zone(id: &str) -> Result<(Cow<'static, str>, TimeZone), RuleError> {
    zone::find(id).ok_or_else(|| {
        let shown: String = id.chars().take(80).collect();
        let message = format!(
            "'{shown}' is neither a Windows time-zone id such as 'Romance Standard Time' or 'UTC', nor the id of a zone \
             of the IANA database such as 'Europe/Paris'."
        );
        RuleError::invalid("timeZone", message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{problem::Code, zone::AddedZone};
    use proptest::prelude::*;

    const MINUTE: i64 = 60 * crate::instant::TICKS_PER_SECOND;

    fn at(text: &str) -> Instant {
        text.parse().unwrap()
    }

    fn of_iana(id: &str) -> TimeZone {
        jiff::tz::TimeZoneDatabase::bundled().get(id).unwrap()
    }

    fn window(start: &str, end: &str, zone: &str) -> UpdateWindow {
        UpdateWindow::new(start, end, zone).unwrap()
    }

    #[test]
    fn hours_in_utc_are_kept_by_the_clock_of_the_country() {
        let country = "DK".parse().unwrap();
        let of =
            |start, end, now: &str| UpdateWindow::of_utc(start, end, country, now.parse().unwrap()).unwrap();
        for (now, start, end) in [
            ("2026-01-10T12:00:00Z", "23:30", "07:00"),
            ("2026-07-10T12:00:00Z", "00:30", "08:00"),
        ] {
            let window = of("22:30", "06:00", now);
            assert_eq!(
                (window.start_text(), window.end_text()),
                (start.into(), end.into())
            );
            assert_eq!(window.time_zone(), "Romance Standard Time");
        }
        let west = UpdateWindow::of_utc("02:00", "09:00", "US".parse().unwrap(), Instant(0)).unwrap();
        assert_eq!(west.start_text(), "20:00");
        assert!(UpdateWindow::of_utc("02:00", "07:59", country, Instant(0)).is_err());
    }

    #[test]
    fn the_window_that_is_open_began_already() {
        let window = UpdateWindow::new("20:00", "06:00", "UTC").unwrap();
        let at = |text: &str| text.parse::<Instant>().unwrap();
        let night = at("2026-03-01T20:00:00Z")..at("2026-03-02T06:00:00Z");
        for now in [
            "2026-03-01T12:00:00Z",
            "2026-03-01T20:00:00Z",
            "2026-03-02T05:59:59Z",
        ] {
            assert_eq!(window.occurrence(at(now)), Some(night.clone()), "{now}");
        }
        let next = window.occurrence(at("2026-03-02T06:00:00Z")).unwrap();
        assert_eq!(next.start, at("2026-03-02T20:00:00Z"));
    }

    #[test]
    fn a_window_may_span_midnight_and_excludes_its_end() {
        let nightly = window("20:00", "06:00", "Romance Standard Time");
        assert!(nightly.contains(at("2026-01-10T19:00:00Z")));
        assert!(!nightly.contains(at("2026-01-10T18:59:59.9999999Z")));
        assert!(nightly.contains(at("2026-01-11T04:59:59.9999999Z")));
        assert!(!nightly.contains(at("2026-01-11T05:00:00Z")));
        assert_eq!(
            nightly.next_start(at("2026-01-11T05:00:00Z")),
            at("2026-01-11T19:00:00Z")
        );
        assert_eq!(
            nightly.next_start(at("2026-01-11T01:30:00Z")),
            at("2026-01-11T01:30:00Z")
        );
    }

    #[test]
    fn a_daytime_window_starts_the_next_day_when_it_is_over() {
        let daytime = window("08:00", "16:00", "UTC");
        assert_eq!(
            daytime.next_start(at("2026-06-30T16:00:00Z")),
            at("2026-07-01T08:00:00Z")
        );
        assert_eq!(
            daytime.next_start(at("2026-06-30T07:00:00Z")),
            at("2026-06-30T08:00:00Z")
        );
    }

    #[test]
    fn a_skipped_start_moves_to_the_instant_after_the_gap() {
        let in_the_gap = window("02:30", "09:00", "Romance Standard Time");
        assert_eq!(
            in_the_gap.next_start(at("2026-03-29T00:00:00Z")),
            at("2026-03-29T01:00:00Z")
        );
        let ends_in_the_gap = window("20:00", "02:30", "Romance Standard Time");
        assert!(ends_in_the_gap.contains(at("2026-03-29T00:59:59Z")));
        assert!(!ends_in_the_gap.contains(at("2026-03-29T01:00:00Z")));
    }

    #[test]
    fn a_repeated_time_counts_from_its_first_to_its_last_occurrence() {
        let starts_twice = window("02:30", "09:00", "Romance Standard Time");
        assert_eq!(
            starts_twice.next_start(at("2026-10-25T00:00:00Z")),
            at("2026-10-25T00:30:00Z")
        );
        assert!(
            starts_twice.contains(at("2026-10-25T01:15:00Z")),
            "the second 02:15 lies between"
        );
        let ends_twice = window("20:00", "02:30", "Romance Standard Time");
        assert!(
            ends_twice.contains(at("2026-10-25T01:29:59Z")),
            "until the second 02:30"
        );
        assert!(!ends_twice.contains(at("2026-10-25T01:30:00Z")));
    }

    #[test]
    fn a_day_that_never_was_has_no_window() {
        let samoa = window("08:00", "16:00", "Samoa Standard Time");
        assert_eq!(
            samoa.next_start(at("2011-12-30T02:00:00Z")),
            at("2011-12-30T18:00:00Z")
        );
    }

    #[test]
    fn the_default_is_the_night_of_the_country() {
        let denmark = UpdateWindow::default_in(CountryCode::parse("DK", false).unwrap());
        assert_eq!(
            denmark,
            window(DEFAULT_START, DEFAULT_END, "Romance Standard Time")
        );
        let worldwide = UpdateWindow::default_in(CountryCode::parse("W1", true).unwrap());
        assert_eq!(
            (worldwide.start_text().as_str(), worldwide.end_text().as_str()),
            ("20:00", "06:00")
        );
        assert_eq!(worldwide.time_zone(), "UTC");
    }

    #[test]
    fn a_zone_may_be_named_as_the_iana_database_does() {
        for (iana, windows) in [
            ("Europe/Paris", "Romance Standard Time"),
            ("europe/paris", "Romance Standard Time"),
            ("Europe/Berlin", "W. Europe Standard Time"),
            ("Europe/Stockholm", "W. Europe Standard Time"),
            ("Europe/London", "GMT Standard Time"),
            ("Europe/Kyiv", "FLE Standard Time"),
            ("Asia/Kolkata", "India Standard Time"),
            ("Asia/Calcutta", "India Standard Time"),
            ("Asia/Kathmandu", "Nepal Standard Time"),
            ("America/Vancouver", "British Columbia Standard Time"),
            ("Canada/Pacific", "British Columbia Standard Time"),
            ("America/Edmonton", "Alberta Standard Time"),
            ("america/winnipeg", "Manitoba Standard Time"),
            ("America/Toronto", "Eastern Standard Time"),
            ("antarctica/troll", "Antarctica/Troll"),
            ("America/New_York", "Eastern Standard Time"),
            ("US/Pacific", "Pacific Standard Time"),
            ("America/Argentina/Buenos_Aires", "Argentina Standard Time"),
            ("Australia/Melbourne", "AUS Eastern Standard Time"),
            ("Etc/UTC", "UTC"),
            ("Etc/GMT", "UTC"),
        ] {
            let read = window("20:00", "06:00", iana);
            assert_eq!(read.time_zone(), windows, "{iana}");
            let at = at("2026-07-01T12:00:00Z");
            let (named, own) = (of_iana(iana), read.zone.clone());
            assert_eq!(
                own.to_offset(at.to_timestamp()),
                named.to_offset(at.to_timestamp())
            );
        }
        for unknown in ["Europe/Atlantis", "CET-1CEST", "+02:00", "", "Local"] {
            let refused = UpdateWindow::new("20:00", "06:00", unknown).unwrap_err();
            assert_eq!(refused.target.as_deref(), Some("timeZone"));
            assert!(
                refused.message.contains(&format!("'{unknown}' is neither")),
                "{refused}"
            );
        }
    }

    #[test]
    fn windows_ids_may_be_new_or_old_and_in_any_case() {
        for (id, kept, iana) in [
            (
                "British Columbia Standard Time",
                "British Columbia Standard Time",
                "America/Vancouver",
            ),
            (
                "ALBERTA standard time",
                "Alberta Standard Time",
                "America/Edmonton",
            ),
            (
                "Manitoba Standard Time",
                "Manitoba Standard Time",
                "America/Winnipeg",
            ),
            ("Kamchatka Standard Time", "Russia Time Zone 11", "Asia/Kamchatka"),
            ("mid-atlantic standard time", "UTC-02", "Etc/GMT+2"),
            (
                "Mexico Standard Time",
                "Central Standard Time (Mexico)",
                "America/Mexico_City",
            ),
            (
                "Mexico Standard Time 2",
                "Mountain Standard Time (Mexico)",
                "America/Mazatlan",
            ),
            ("romance STANDARD time", "Romance Standard Time", "Europe/Paris"),
            ("utc", "UTC", "Etc/UTC"),
        ] {
            let read = window("20:00", "06:00", id);
            assert_eq!(read.time_zone(), kept, "{id}");
            for month in ["01", "07"] {
                let at = at(&format!("2027-{month}-01T12:00:00Z")).to_timestamp();
                assert_eq!(read.zone.to_offset(at), of_iana(iana).to_offset(at), "{id}");
            }
            assert_eq!(window("20:00", "06:00", read.time_zone()), read, "{id}");
        }
    }

    #[test]
    fn ids_can_be_added() {
        let id = "Atlantis Standard Time";
        assert!(UpdateWindow::new("20:00", "06:00", id).is_err());
        let added = |iana: &str| AddedZone::new(id.into(), iana.into());
        let unknown = added("Atlantic/Atlantis").unwrap_err().to_string();
        assert!(
            unknown.starts_with("'Atlantic/Atlantis', for 'Atlantis Standard Time'"),
            "{unknown}"
        );
        added("atlantic/azores").unwrap().add();
        let read = window("20:00", "06:00", "atlantis standard time");
        assert_eq!(read.time_zone(), id);
        assert!(zone::all().contains(&(id.into(), "Atlantic/Azores".into())));
    }

    #[test]
    fn every_zone_that_is_listed_is_found() {
        let all = zone::all();
        for id in [
            "Kamchatka Standard Time",
            "Alberta Standard Time",
            "Romance Standard Time",
        ] {
            assert!(all.iter().any(|(listed, _)| listed == id), "{id}");
        }
        for (id, iana) in all {
            let at = at("2027-07-01T12:00:00Z").to_timestamp();
            assert_eq!(
                window("20:00", "06:00", &id).zone.to_offset(at),
                of_iana(&iana).to_offset(at),
                "{id}"
            );
        }
        assert!(zone::tzdb().starts_with("20"), "{}", zone::tzdb());
    }

    #[test]
    fn what_was_written_down_is_read_back() {
        for (start, end, zone) in [
            ("20:00", "06:00", "Romance Standard Time"),
            ("00:05", "23:59", "UTC"),
        ] {
            let written = window(start, end, zone);
            let texts = (written.start_text(), written.end_text(), written.time_zone());
            assert_eq!(texts, (start.to_owned(), end.to_owned(), zone));
            assert_eq!(UpdateWindow::new(&texts.0, &texts.1, texts.2), Ok(written));
        }
    }

    #[test]
    fn short_windows_are_refused() {
        for (start, end) in [("20:00", "01:59"), ("20:00", "20:00"), ("08:00", "13:59")] {
            let refused = UpdateWindow::new(start, end, "UTC").unwrap_err();
            assert_eq!(refused.details[0].code, "WindowTooShort", "{start} {end}");
            assert_eq!(UpdateWindow::check_hours(start, end), Err(refused));
        }
        assert!(UpdateWindow::new("20:00", "02:00", "UTC").is_ok());
        assert!(UpdateWindow::new("00:00", "23:59", "UTC").is_ok());
    }

    #[test]
    fn malformed_values_are_named() {
        for (start, end, zone, target) in [
            ("8:00", "20:00", "UTC", "start"),
            ("24:00", "06:00", "UTC", "start"),
            ("20:00", "06:60", "UTC", "end"),
            ("20:00", "06:00:00", "UTC", "end"),
            ("20:00", "+6:00", "UTC", "end"),
            ("20:00", "06:00", "Europe/Atlantis", "timeZone"),
            ("20:00", "06:00", "", "timeZone"),
        ] {
            let refused = UpdateWindow::new(start, end, zone).unwrap_err();
            assert_eq!(
                (refused.code, refused.target.as_deref()),
                (Code::InvalidInput, Some(target)),
                "{start} {end}"
            );
        }
    }

    /// What the wall clock of `zone` showed, read minute by minute over the change of one day: the rules
    /// again, but from the other side.
    fn shown_inside(window: &UpdateWindow, at: Instant) -> bool {
        let wall = window.zone.to_datetime(at.to_timestamp());
        let minute = u16::try_from(i32::from(wall.hour()) * 60 + i32::from(wall.minute())).unwrap();
        if window.start < window.end {
            (window.start..window.end).contains(&minute)
        } else {
            minute >= window.start || minute < window.end
        }
    }

    const ZONES: [&str; 8] = [
        "Romance Standard Time",
        "Pacific Standard Time",
        "New Zealand Standard Time",
        "Lord Howe Standard Time",
        "E. South America Standard Time",
        "Iran Standard Time",
        "Nepal Standard Time",
        "UTC",
    ];

    fn any_window() -> impl Strategy<Value = UpdateWindow> {
        let span = SHORTEST_MINUTES..MINUTES_PER_DAY;
        (0..MINUTES_PER_DAY, span, prop::sample::select(ZONES.to_vec())).prop_map(|(start, span, zone)| {
            let end = (start + span) % MINUTES_PER_DAY;
            UpdateWindow::new(&clock_text(start), &clock_text(end), zone).unwrap()
        })
    }

    /// Instants near one of the zone's changes between 2015 and 2035, or anywhere where it has none.
    fn near_a_change(window: &UpdateWindow, pick: usize, minutes: i64) -> Instant {
        let changes: Vec<_> = window
            .zone
            .following(at("2015-01-01T00:00:00Z").to_timestamp())
            .take_while(|change| change.timestamp() < at("2035-01-01T00:00:00Z").to_timestamp())
            .map(|change| Instant::from_timestamp(change.timestamp()))
            .collect();
        let base = changes.get(pick % changes.len().max(1)).copied();
        Instant(base.unwrap_or_else(|| at("2026-02-03T00:00:00Z")).0 + minutes * MINUTE)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(96))]

        #[test]
        fn the_next_start_is_inside_and_not_before(window in any_window(), pick in 0_usize..40,
            minutes in -3000_i64..3000) {
            let from = near_a_change(&window, pick, minutes);
            let start = window.next_start(from);
            prop_assert!(start >= from);
            prop_assert!(window.contains(start));
            prop_assert_eq!(window.next_start(start), start);
            prop_assert_eq!(start == from, window.contains(from));
        }

        #[test]
        fn nothing_inside_is_missed(window in any_window(), pick in 0_usize..40,
            minutes in -1500_i64..1500) {
            let from = near_a_change(&window, pick, minutes);
            let start = window.next_start(from);
            let mut minute = from;
            while minute < start {
                prop_assert!(!window.contains(minute), "{} is inside, before {}", minute, start);
                minute = Instant(minute.0 + MINUTE);
            }
            prop_assert!(start.since(from) <= std::time::Duration::from_secs(25 * 3600));
        }

        /// Away from the changes the window is exactly what the wall clock shows, and at a change it is never less than
        /// that: a repeated hour only widens it.
        #[test]
        fn it_is_what_the_wall_clock_shows(window in any_window(), pick in 0_usize..40,
            minutes in -3000_i64..3000) {
            let instant = near_a_change(&window, pick, minutes);
            let shown = shown_inside(&window, instant);
            let near = minutes.abs() < 120;
            if near {
                prop_assert!(!shown || window.contains(instant));
            } else {
                prop_assert_eq!(shown, window.contains(instant));
            }
        }
    }
}
