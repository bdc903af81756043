//! What a target answered, and what can be read from it whatever its form is.

use crate::failure::Failure;
use jiff::{Timestamp, fmt::rfc2822};
use reqwest::{
    StatusCode,
    header::{DATE, HeaderMap, RETRY_AFTER},
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::time::Duration;

/// Most characters kept of an answer's text.
const MAX_TEXT_CHARS: usize = 32_000;

/// An answer, read to its end.
#[derive(Clone, Debug)]
pub struct Answer {
    /// What was asked: method and path.
    pub request: String,
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
}

/// What an error's body says, from whichever of the shapes that targets have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// A code, if there is one.
    pub code: Option<String>,
    /// The words.
    pub message: String,
}

impl Answer {
    /// The body as JSON, with or without a byte order mark.
    ///
    /// # Errors
    /// A failure that says what was expected where.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_slice(self.bytes()).map_err(|wrong| {
            Failure::other(format!("The answer to {} cannot be read: {wrong}", self.request))
        })
    }

    fn bytes(&self) -> &[u8] {
        self.body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&self.body)
    }

    fn header(&self, name: impl reqwest::header::AsHeaderName) -> Option<&str> {
        Some(self.headers.get(name)?.to_str().ok()?.trim())
    }

    /// The target's clock.
    #[must_use]
    pub fn date(&self) -> Option<Timestamp> {
        http_date(self.header(DATE)?)
    }

    /// How long the target asks to be left alone: seconds, or a moment by its own clock.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        let text = self.header(RETRY_AFTER)?;
        if let Ok(seconds) = text.parse() {
            return Some(Duration::from_secs(seconds));
        }
        let span = http_date(text)?.duration_since(self.date()?);
        Some(Duration::try_from(span).unwrap_or_default())
    }

    /// Whether another try may be answered otherwise.
    pub(crate) fn is_passing(&self) -> bool {
        matches!(self.status.as_u16(), 429 | 502..=504)
    }

    /// Whether it leaves open what became of a request that can change something: whoever answered did not finish it.
    pub(crate) fn is_uncertain(&self) -> bool {
        self.status == StatusCode::REQUEST_TIMEOUT || self.status.is_server_error()
    }

    /// What the body says: `{"error":{"code","message"}}`, `{"code","message"}`, `{"Message"}`, text, or a page.
    #[must_use]
    pub fn error(&self) -> Told {
        match serde_json::from_slice(self.bytes()) {
            Ok(Value::Object(body)) => of_object(&Value::Object(body)),
            Ok(Value::String(text)) => Told {
                code: None,
                message: short(&text),
            },
            _ => Told {
                code: None,
                message: short(&plain(&String::from_utf8_lossy(self.bytes()))),
            },
        }
    }

    /// Status, code, words, and the id by which the target's log is searched, in a line.
    #[must_use]
    pub fn told(&self) -> String {
        let Told { code, message } = self.error();
        let code = code.map(|code| format!(" {code}")).unwrap_or_default();
        let log = self
            .header("ms-correlation-x")
            .map(|id| format!(" (ms-correlation-x {id})"));
        let message = match message.as_str() {
            "" => String::new(),
            message => format!(": {message}"),
        };
        format!("{}{code}{message}{}", self.status, log.unwrap_or_default())
    }
}

fn of_object(body: &Value) -> Told {
    let body = body
        .get("error")
        .filter(|error| error.is_object())
        .unwrap_or(body);
    let member = |name: &str| {
        let members = body.as_object()?;
        let found = members.iter().find(|(key, _)| key.eq_ignore_ascii_case(name))?;
        Some(found.1.as_str()?.trim().to_owned()).filter(|text| !text.is_empty())
    };
    let words = member("message").or_else(|| member("error_description"));
    // Such as the apps that are missing, or what is wrong with which part.
    let more = ["data", "clientError", "innerError"]
        .into_iter()
        .filter_map(|name| {
            Some(format!(
                " {name}: {}",
                body.get(name).filter(|more| !is_nothing(more))?
            ))
        });
    let message = match words {
        Some(words) => words + &more.collect::<String>(),
        None => body.to_string(),
    };
    Told {
        code: member("code").or_else(|| member("error")),
        message: short(&message),
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(parts) => parts.is_empty(),
        Value::Object(members) => members.is_empty(),
        _ => false,
    }
}

fn short(text: &str) -> String {
    text.trim().chars().take(MAX_TEXT_CHARS).collect()
}

/// The words of a page, without its tags.
fn plain(text: &str) -> String {
    if !text.trim_start().starts_with('<') {
        return text.to_owned();
    }
    let mut words = String::new();
    for part in text.split('<') {
        let visible = part.split_once('>').map_or(part, |(_, visible)| visible);
        words.push_str(visible);
        words.push(' ');
    }
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn http_date(text: &str) -> Option<Timestamp> {
    let zoned = rfc2822::parse(&text.replace("GMT", "+0000")).ok()?;
    Some(zoned.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(headers: &[(&'static str, &str)], body: &[u8]) -> Answer {
        Answer {
            request: "GET /apps".to_owned(),
            status: StatusCode::BAD_REQUEST,
            headers: headers
                .iter()
                .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
                .collect(),
            body: body.to_vec(),
        }
    }

    #[test]
    fn errors_are_read_in_all_their_shapes() {
        for (body, code, message) in [
            (
                r#"{"error":{"code":"BadRequest","message":"No"}}"#,
                Some("BadRequest"),
                "No",
            ),
            (
                r#"{"code":"Unknown","message":"No","data":{}}"#,
                Some("Unknown"),
                "No",
            ),
            ("{\"Message\":\"\\r\\nNo\\r\\n\"}", None, "No"),
            (
                r#"{"code":"C","message":"No","data":{"requirements":[1]}}"#,
                Some("C"),
                r#"No data: {"requirements":[1]}"#,
            ),
            ("\u{feff}{\"message\":\"Unauthorized\"}", None, "Unauthorized"),
            (
                r#"{"error":"invalid_client","error_description":"No"}"#,
                Some("invalid_client"),
                "No",
            ),
            ("\"No\"", None, "No"),
            ("No\n", None, "No"),
            (
                "<html><head><title>502</title></head><body>Bad <b>gateway</b></body></html>",
                None,
                "502 Bad gateway",
            ),
            ("", None, ""),
        ] {
            let told = answer(&[], body.as_bytes()).error();
            assert_eq!(
                (told.code.as_deref(), told.message.as_str()),
                (code, message),
                "{body}"
            );
        }
    }

    #[test]
    fn pauses_are_counted_by_the_clock_of_whoever_asks_for_them() {
        let asked = |retry: &str| {
            let date = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
            answer(&[date, ("retry-after", retry)], b"").retry_after()
        };
        assert_eq!(asked("7"), Some(Duration::from_secs(7)));
        assert_eq!(
            asked("Sun, 06 Nov 1994 08:50:07 GMT"),
            Some(Duration::from_secs(30))
        );
        assert_eq!(asked("Sun, 06 Nov 1994 08:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!(asked("soon"), None);
    }
}
