//! Section `log`: how much is logged, and how.

use super::values;
use serde::{Deserialize, Deserializer};
use std::{fmt, str::FromStr};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;

/// The crates whose own lines may be logged at any level.
const OURS: &[&str] = &[
    "agent",
    "auth",
    "client",
    "domain",
    "entra_local",
    "fame",
    "navx",
    "odata",
    "server",
    "store",
    "wire",
];

/// Libraries that tell of each connection that breaks and each request that they try again. What comes of it is told by
/// whoever asked, and an outage once, by us.
const TALKATIVE: [(&str, LevelFilter); 2] = [
    ("deadpool", LevelFilter::ERROR),
    ("object_store", LevelFilter::WARN),
];

/// Section `log`.
#[derive(Clone, Debug, Deserialize)]
pub struct LogSettings {
    /// How much.
    #[serde(deserialize_with = "values::parsed")]
    pub level: LogFilter,
    /// How it is written.
    #[serde(deserialize_with = "log_format")]
    pub format: LogFormat,
    /// Whether each request leaves a line when its answer has been sent.
    pub access: bool,
    /// Which security events are logged.
    #[serde(deserialize_with = "security_log")]
    pub security: SecurityLog,
}

/// Which security events are logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SecurityLog {
    /// None.
    #[default]
    Off,
    /// Sign-ins and calls that were refused.
    Refusals,
    /// Those, and packages that were handed out.
    All,
}

fn security_log<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SecurityLog, D::Error> {
    let words = [
        ("off", SecurityLog::Off),
        ("refusals", SecurityLog::Refusals),
        ("all", SecurityLog::All),
    ];
    values::word(deserializer, words)
}

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object per line, for machines.
    Json,
}

fn log_format<'de, D: Deserializer<'de>>(deserializer: D) -> Result<LogFormat, D::Error> {
    values::word(
        deserializer,
        [("text", LogFormat::Text), ("json", LogFormat::Json)],
    )
}

/// How much is logged: a level, and levels of single libraries or modules (`info,hyper=debug`).
///
/// What libraries say below `info` may hold what callers sent, tokens included. The plain level therefore opens
/// only our own crates further than `info`; a library is heard there only when it is named.
#[derive(Clone, Debug, PartialEq)]
pub struct LogFilter {
    text: String,
    targets: Targets,
}

impl LogFilter {
    /// What is logged of which target.
    pub(crate) fn targets(&self) -> &Targets {
        &self.targets
    }
}

impl Default for LogFilter {
    /// `info`.
    fn default() -> Self {
        Self {
            text: "info".to_owned(),
            targets: with_plain_level(Targets::new(), LevelFilter::INFO),
        }
    }
}

/// The text is no [`LogFilter`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is neither error, warn, info, debug, trace or off, nor one of them for a module (hyper=debug)"
)]
pub struct InvalidLogFilter(String);

impl FromStr for LogFilter {
    type Err = InvalidLogFilter;

    fn from_str(text: &str) -> Result<Self, InvalidLogFilter> {
        let mut targets = Targets::new();
        let mut named = Vec::new();
        for part in text.split(',').map(str::trim) {
            let (module, level) = part
                .split_once('=')
                .map_or((None, part), |(m, level)| (Some(m.trim()), level));
            let level = read_level(level.trim()).ok_or_else(|| InvalidLogFilter(part.to_owned()))?;
            match module {
                Some("") => return Err(InvalidLogFilter(part.to_owned())),
                Some(module) => named.push((module, level)),
                None => targets = with_plain_level(targets, level),
            }
        }
        targets.extend(named);
        Ok(Self {
            text: text.to_owned(),
            targets,
        })
    }
}

impl fmt::Display for LogFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Stricter than tracing's own reading, which takes numbers and the empty text too.
fn read_level(text: &str) -> Option<LevelFilter> {
    ["error", "warn", "info", "debug", "trace", "off"]
        .iter()
        .find(|level| level.eq_ignore_ascii_case(text))?;
    text.parse().ok()
}

fn with_plain_level(targets: Targets, level: LevelFilter) -> Targets {
    let ours = OURS.iter().map(|&target| (target, level));
    let talkative = TALKATIVE.map(|(target, most)| (target, level.min(most)));
    targets
        .with_default(level.min(LevelFilter::INFO))
        .with_targets(ours)
        .with_targets(talkative)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_level_is_refused() {
        for text in ["inof", "", "info,", "hyper=loud", "=debug", "3"] {
            assert!(text.parse::<LogFilter>().is_err(), "{text}");
        }
        assert_eq!(
            "INFO, hyper=debug".parse::<LogFilter>().unwrap().to_string(),
            "INFO, hyper=debug"
        );
    }
}
