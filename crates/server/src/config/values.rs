//! How single values are written: each is read here into what the settings hold, with its bounds and words.

use domain::zone::AddedZone;
use serde::{Deserialize, Deserializer, de::Error};
use std::{
    collections::BTreeMap, fmt::Display, net::SocketAddr, path::PathBuf, str::FromStr, time::Duration,
};

/// A hundred years.
const DAYS_KEPT_AT_MOST: i64 = 36_500;

pub(super) fn number<'de, const MIN: i64, const MAX: i64, N: TryFrom<i64>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<N, D::Error> {
    let number = i64::deserialize(deserializer)?;
    let fitting = N::try_from(number).ok();
    fitting
        .filter(|_| (MIN..=MAX).contains(&number))
        .ok_or_else(|| D::Error::custom(format!("{number} is not from {MIN} to {MAX}")))
}

pub(super) fn seconds<'de, const MIN: i64, const MAX: i64, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Duration, D::Error> {
    number::<MIN, MAX, _, _>(deserializer).map(Duration::from_secs)
}

pub(super) fn minutes<'de, const MIN: i64, const MAX: i64, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Duration, D::Error> {
    number::<MIN, MAX, _, _>(deserializer).map(Duration::from_mins)
}

pub(super) fn hours<'de, const MIN: i64, const MAX: i64, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Duration, D::Error> {
    number::<MIN, MAX, _, _>(deserializer).map(Duration::from_hours)
}

pub(super) fn days<'de, const MIN: i64, const MAX: i64, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Duration, D::Error> {
    number::<MIN, MAX, u64, _>(deserializer).map(|days| Duration::from_hours(24 * days))
}

/// A number of days from `MIN` on; 0 means for ever.
pub(super) fn days_kept<'de, const MIN: i64, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<u16>, D::Error> {
    let days = i64::deserialize(deserializer)?;
    match u16::try_from(days) {
        Ok(0) => Ok(None),
        Ok(kept) if (MIN..=DAYS_KEPT_AT_MOST).contains(&days) => Ok(Some(kept)),
        _ => Err(D::Error::custom(format!(
            "{days} is neither 0, for ever, nor from {MIN} to {DAYS_KEPT_AT_MOST}"
        ))),
    }
}

/// Time zones, each by an id and a zone of the IANA database.
pub(super) fn zones<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<AddedZone>, D::Error> {
    let zones = BTreeMap::<String, String>::deserialize(deserializer)?;
    let mut added = Vec::new();
    let mut problems = Vec::new();
    for (id, iana) in zones {
        match AddedZone::new(id, iana) {
            Ok(zone) => added.push(zone),
            Err(problem) => problems.push(problem.to_string()),
        }
    }
    match problems.is_empty() {
        true => Ok(added),
        false => Err(D::Error::custom(problems.join("\n"))),
    }
}

fn text<'de, T, E: Display, D: Deserializer<'de>>(
    deserializer: D,
    read: impl FnOnce(&str) -> Result<T, E>,
) -> Result<T, D::Error> {
    let text = String::deserialize(deserializer)?;
    read(&text).map_err(D::Error::custom)
}

/// Whatever says itself what is wrong with a text.
pub(super) fn parsed<'de, T: FromStr<Err: Display>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    text(deserializer, str::parse)
}

/// One of some words, in any case.
pub(super) fn word<'de, T, D: Deserializer<'de>, const WORDS: usize>(
    deserializer: D,
    words: [(&str, T); WORDS],
) -> Result<T, D::Error> {
    text(deserializer, |text| {
        let known: Vec<_> = words.iter().map(|(word, _)| *word).collect();
        let refused = format!("'{text}' is neither {}", known.join(" nor "));
        let mut words = words.into_iter();
        let found = words.find(|(word, _)| text.eq_ignore_ascii_case(word));
        found.map(|(_, meant)| meant).ok_or(refused)
    })
}

/// The same, or nothing where the text is empty.
pub(super) fn optional_listen_address<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<SocketAddr>, D::Error> {
    text(deserializer, |text| match text {
        "" => Ok(None),
        text => read_listen_address(text).map(Some),
    })
}

pub(super) fn listen_address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    text(deserializer, read_listen_address)
}

fn read_listen_address(text: &str) -> Result<SocketAddr, String> {
    let problem = |_| format!("'{text}' is not an address and port such as 127.0.0.1:8080");
    text.parse().map_err(problem)
}

/// An absolute http or https url, without a slash at its end.
pub(super) fn public_url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    text(deserializer, |text| match text {
        "" => Ok(None),
        url if is_web_address(url) => Ok(Some(url.trim_end_matches('/').to_owned())),
        _ => Err(format!("'{text}' is not a url such as https://fame.contoso.com")),
    })
}

/// Whether `text` is an absolute http or https url that names a host and, perhaps, a path, and nothing else.
pub(super) fn is_web_address(text: &str) -> bool {
    text.parse().is_ok_and(|url: http::Uri| {
        let is_web = matches!(url.scheme_str(), Some("http" | "https"));
        let has_user = url.authority().is_some_and(|place| place.as_str().contains('@'));
        is_web && url.host().is_some() && !has_user && !text.contains(['?', '#'])
    })
}

pub(super) fn folder<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
    text(deserializer, |text| match text {
        "" => Err("is empty: name a folder"),
        path => Ok(path.into()),
    })
}
