//! Log records for a collector, or for whoever else takes OTLP/HTTP 1 in JSON
//! (<https://opentelemetry.io/docs/specs/otlp/#otlphttp>), and what the answers mean.

use super::{Answer, Refused, items::Item};
use http::{HeaderName, HeaderValue};
use serde_json::{Value, json};

/// What says who sends, in one header.
#[derive(Clone, Debug)]
pub(crate) struct Credential(pub(crate) HeaderName, pub(crate) HeaderValue);

impl Credential {
    /// Reads `name: value`.
    pub(crate) fn read(text: &str) -> Result<Self, Refused> {
        let refused = |why: &str| Refused(format!("the header {why}"));
        let (name, value) = text
            .split_once(':')
            .ok_or_else(|| refused("has no ':' between its name and its value"))?;
        let name: HeaderName = name
            .trim()
            .parse()
            .map_err(|_| refused("has a name that no header can have"))?;
        if is_ours(&name) {
            return Err(refused(&format!("'{name}' is none that says who sends")));
        }
        let mut value: HeaderValue = value
            .trim()
            .parse()
            .map_err(|_| refused("has a value that no header can have"))?;
        value.set_sensitive(true);
        Ok(Self(name, value))
    }
}

/// Whether a header says how or where something is sent: that is nobody's choice.
fn is_ours(name: &HeaderName) -> bool {
    let name = name.as_str();
    let of_transport = [
        "host",
        "connection",
        "transfer-encoding",
        "te",
        "trailer",
        "upgrade",
        "expect",
        "keep-alive",
        "user-agent",
        "forwarded",
        "date",
        "cookie",
    ];
    let groups = [
        "content-",
        "proxy-",
        "accept",
        "metadata",
        "x-forwarded-",
        "webhook-",
    ];
    of_transport.contains(&name) || groups.iter().any(|group| name.starts_with(group))
}

/// What a destination is told, as it is sent.
pub(super) fn write(items: &[Item]) -> Value {
    let records: Vec<_> = items.iter().map(record).collect();
    json!({
        "resourceLogs": [{
            "resource": { "attributes": [attribute("service.name", "fame")] },
            "scopeLogs": [{ "scope": { "name": "fame::telemetry" }, "logRecords": records }],
        }],
    })
}

fn record(item: &Item) -> Value {
    let (number, text) = if item.is_error { (17, "ERROR") } else { (9, "INFO") };
    let operation = ("operationId", item.operation.as_str());
    let properties = item
        .properties
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    json!({
        "timeUnixNano": (i128::from(item.at.0) * 100).to_string(),
        "severityNumber": number,
        "severityText": text,
        "body": { "stringValue": item.message },
        "attributes": properties.chain([operation]).map(|(name, value)| attribute(name, value)).collect::<Vec<_>>(),
    })
}

fn attribute(name: &str, value: &str) -> Value {
    json!({ "key": name, "value": { "stringValue": value } })
}

/// What an answer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    Taken,
    /// It is to be sent again; whether nothing else is sent meanwhile.
    Again {
        pauses: bool,
    },
    /// It will never be taken.
    Refused,
}

/// What an answer means. The standard lets nothing else be sent again than what 429, 502, 503 and 504 answer; beyond it, a
/// credential and an address may be put right meanwhile.
pub(crate) fn meaning(answer: &Answer) -> Meaning {
    match answer.status {
        200..=299 if is_partly_rejected(&answer.body) => Meaning::Refused,
        200..=299 => Meaning::Taken,
        429 | 502 | 503 | 504 => Meaning::Again { pauses: true },
        401 | 403 | 404 | 408 => Meaning::Again { pauses: false },
        _ => Meaning::Refused,
    }
}

/// Whether some of what was sent was not taken, which must not be sent again. 64-bit numbers may be texts in its JSON.
fn is_partly_rejected(answer: &[u8]) -> bool {
    let Ok(answer) = serde_json::from_slice::<Value>(answer) else {
        return false;
    };
    match answer.pointer("/partialSuccess/rejectedLogRecords") {
        Some(Value::String(count)) => count != "0",
        Some(Value::Number(count)) => count.as_u64() != Some(0),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::destinations::items::tests::{failed, told};
    use bytes::Bytes;
    use http::HeaderMap;

    #[test]
    fn a_failed_hotfix_is_a_record_of_an_error() {
        let written = write(&told(&failed("no room"), false));
        let records = written.pointer("/resourceLogs/0/scopeLogs/0/logRecords").unwrap();
        let [hotfix, update] = records.as_array().unwrap().as_slice() else {
            panic!("{written}");
        };
        assert_eq!(hotfix["timeUnixNano"], "1583409603000000000");
        assert_eq!(
            (&hotfix["severityNumber"], &hotfix["severityText"]),
            (&json!(17), &json!("ERROR"))
        );
        let said = |record: &Value, name: &str| {
            let attributes = record["attributes"].as_array().unwrap();
            let found = attributes.iter().find(|attribute| attribute["key"] == name);
            found.map(|attribute| attribute["value"]["stringValue"].as_str().unwrap().to_owned())
        };
        assert_eq!(said(hotfix, "eventId").as_deref(), Some("LC0160"));
        assert_eq!(said(hotfix, "failureReason").as_deref(), Some("no room"));
        assert_eq!(said(update, "eventId").as_deref(), Some("LC0171"));
        assert_eq!(
            said(hotfix, "operationId").as_deref(),
            Some("00000000-0000-0000-0000-000000000004")
        );
    }

    #[test]
    fn a_header_says_who_sends_and_nothing_else() {
        let Credential(name, value) = Credential::read("X-Api-Key:  a b ").unwrap();
        assert_eq!(
            (name.as_str(), value.as_bytes()),
            ("x-api-key", b"a b".as_slice())
        );
        for wrong in [
            "",
            "key",
            ": value",
            "a key: value",
            "key: a\r\nHost: b",
            "Host: b",
            "Content-Length: 0",
            "TE: trailers",
            "Transfer-Encoding: chunked",
            "Proxy-Authorization: a",
            "Metadata-Flavor: Google",
            "X-Forwarded-For: 10.0.0.1",
        ] {
            let refused = Credential::read(wrong).unwrap_err();
            assert!(!refused.0.contains("value of"), "{}", refused.0);
        }
    }

    #[test]
    fn an_answer_says_whether_to_send_again() {
        let again = |pauses| Meaning::Again { pauses };
        for (status, body, expected) in [
            (200, "", Meaning::Taken),
            (200, "{}", Meaning::Taken),
            (
                200,
                r#"{"partialSuccess":{"rejectedLogRecords":"0","errorMessage":"slow"}}"#,
                Meaning::Taken,
            ),
            (
                200,
                r#"{"partialSuccess":{"rejectedLogRecords":"1"}}"#,
                Meaning::Refused,
            ),
            (
                200,
                r#"{"partialSuccess":{"rejectedLogRecords":1}}"#,
                Meaning::Refused,
            ),
            (400, "", Meaning::Refused),
            (500, "", Meaning::Refused),
            (307, "", Meaning::Refused),
            (401, "", again(false)),
            (429, "", again(true)),
            (503, "", again(true)),
        ] {
            let answer = Answer {
                status,
                headers: HeaderMap::new(),
                body: Bytes::copy_from_slice(body.as_bytes()),
            };
            assert_eq!(meaning(&answer), expected, "{status} {body}");
        }
    }
}
