//! What looks like a secret in a text, whoever's it is. Agents take such things out of what they tell, and the service once
//! more out of what it is told.

use regex::{Captures, Regex};
use std::sync::LazyLock;

/// What stands in the place of a secret.
pub const HIDDEN: &str = "***";

/// Where there is a first group, it stays.
static SHAPES: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    [
        r"\bfame(?:agt|enr|tp|feed|data|push|ses|cnf)_[0-9A-Za-z]{49}\b",
        r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*",
        r"(?i)(\bbearer\s+)[A-Za-z0-9._~+/=-]{8,}",
        r#"(?i)(\b(?:password|pwd|accountkey|sharedaccesskey|client_secret)["']?\s*[=:]\s*)(?:"[^"]*"|'[^']*'|[^\s;,&"']+)"#,
    ]
    .iter()
    .filter_map(|shape| Regex::new(shape).ok())
    .collect()
});

/// `text` without what looks like a secret.
#[must_use]
pub fn redacted(text: &str) -> String {
    SHAPES.iter().fold(text.to_owned(), |text, shape| {
        let hidden = |found: &Captures<'_>| {
            let kept = found.get(1).map_or("", |kept| kept.as_str());
            format!("{kept}{HIDDEN}")
        };
        shape.replace_all(&text, hidden).into_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_secret_is_hidden() {
        let token = format!("fameagt_{}", "a1".repeat(24) + "b");
        for (told, left) in [
            (token.as_str(), "***"),
            ("eyJhbGciOiJSUzI1NiJ9.eyJhdWQiOiJ4In0xx.c2lnbmF0dXJl", "***"),
            ("Authorization: Bearer abcdefgh12345", "Authorization: Bearer ***"),
            ("Server=x;Password=hunter2;User=y", "Server=x;Password=***;User=y"),
            (
                "AccountKey=abc==;EndpointSuffix=z",
                "AccountKey=***;EndpointSuffix=z",
            ),
            (r#"{"password": "hunter 2"}"#, r#"{"password": ***}"#),
        ] {
            assert_eq!(redacted(told), left);
        }
    }

    #[test]
    fn other_texts_stay_as_they_are() {
        for text in [
            "The password must be changed by the user.",
            "Publish → Sync → Start-NAVAppDataUpgrade 100 %",
        ] {
            assert_eq!(redacted(text), text);
        }
    }
}
