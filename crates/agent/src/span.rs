//! Spans of time as people write them in settings: `500ms`, `15s`, `4h`, `1h 30m`.

use jiff::SignedDuration;
use serde::{Deserialize, Deserializer, de};
use std::time::Duration;

/// Reads a span; for `#[serde(deserialize_with)]`.
///
/// # Errors
/// When it is none, or less than nothing.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse(&text).ok_or_else(|| de::Error::custom(format!("'{text}' is not a span of time such as 15s or 4h")))
}

fn parse(text: &str) -> Option<Duration> {
    let span: SignedDuration = text.parse().ok()?;
    Duration::try_from(span).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_as_people_write_them() {
        for (text, span) in [
            ("500ms", Some(Duration::from_millis(500))),
            ("15s", Some(Duration::from_secs(15))),
            ("1h 30m", Some(Duration::from_secs(5_400))),
            ("4h", Some(Duration::from_secs(14_400))),
            ("15", None),
            ("-1s", None),
            ("soon", None),
        ] {
            assert_eq!(parse(text), span, "{text}");
        }
    }
}
