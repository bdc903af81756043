//! Azure Application Insights: what Business Central itself sends there, so that queries that partners have find it, and what
//! its answers mean.

use super::{Answer, Refused, Target, items::Item};
use serde_json::{Value, json};
use std::{collections::BTreeSet, time::Duration};

/// Where data goes that no connection string says the place of.
const GLOBAL: &str = "https://dc.services.visualstudio.com";
/// Longest message, in characters.
const LONGEST_MESSAGE: usize = 32_768;
/// How long nothing is sent where a day's quota is used up, at first.
const QUOTA_PAUSE: Duration = Duration::from_hours(1);
/// What a host ends in that belongs to Azure Monitor.
const AZURE_MONITOR: [&str; 3] = [
    ".applicationinsights.azure.com",
    ".monitor.azure.com",
    ".services.visualstudio.com",
];

/// Where telemetry goes, and as whose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Connection {
    pub(crate) url: String,
    instrumentation_key: String,
}

impl Connection {
    /// Reads a connection string.
    pub(crate) fn read(text: &str) -> Result<Self, Refused> {
        let refused = |why: &str| Refused(format!("the connection string {why}"));
        let mut known = [const { None::<&str> }; 5];
        let names = [
            "instrumentationkey",
            "ingestionendpoint",
            "endpointsuffix",
            "location",
            "authorization",
        ];
        for part in text.split(';').filter(|part| !part.trim().is_empty()) {
            let (name, value) = part
                .split_once('=')
                .ok_or_else(|| refused("has a part without '='"))?;
            let at = names
                .iter()
                .position(|known| name.trim().eq_ignore_ascii_case(known));
            if let Some(place) = at.and_then(|at| known.get_mut(at)) {
                *place = Some(value.trim()).filter(|value| !value.is_empty());
            }
        }
        let [key, endpoint, suffix, location, authorization] = known;
        let key = key.ok_or_else(|| refused("has no InstrumentationKey"))?;
        if key.chars().count() > 40 {
            return Err(refused("has an InstrumentationKey of more than 40 characters"));
        }
        if authorization.is_some_and(|way| !way.eq_ignore_ascii_case("ikey")) {
            return Err(refused("asks for an Authorization other than ikey"));
        }
        let location = location
            .map(|location| format!("{location}."))
            .unwrap_or_default();
        let base = match (endpoint, suffix) {
            (Some(endpoint), _) => endpoint.trim_end_matches('/').to_owned(),
            (None, Some(suffix)) => format!("https://{location}dc.{}", suffix.trim_start_matches('.')),
            (None, None) => GLOBAL.to_owned(),
        };
        Ok(Self {
            url: format!("{base}/v2.1/track"),
            instrumentation_key: key.to_owned(),
        })
    }

    /// A body as it is sent: in the database it does not say as whose.
    pub(crate) fn addressed(&self, body: &str) -> String {
        let Ok(Value::Array(mut items)) = serde_json::from_str(body) else {
            return body.to_owned();
        };
        for item in &mut items {
            item["iKey"] = self.instrumentation_key.as_str().into();
        }
        Value::Array(items).to_string()
    }
}

/// Where a redirect leads, if it may be followed: to the host that was configured, one under it, or Azure Monitor's, by
/// nothing weaker than before.
pub(crate) fn redirected(from: &Target, answer: &Answer) -> Option<Target> {
    if !matches!(answer.status, 307 | 308) {
        return None;
    }
    let location = answer.headers.get(http::header::LOCATION)?.to_str().ok()?;
    let to = Target::read(location).ok()?;
    let (host, before) = (to.host(), from.host());
    let is_near = host == before
        || host.ends_with(&format!(".{before}"))
        || AZURE_MONITOR.iter().any(|end| host.ends_with(end));
    (is_near && to.is_as_safe_as(from)).then_some(to)
}

/// What a destination is told, as it is sent.
pub(super) fn write(items: &[Item]) -> Value {
    items.iter().map(envelope).collect()
}

fn envelope(item: &Item) -> Value {
    json!({
        "name": "Microsoft.ApplicationInsights.Message",
        "time": item.at.to_string(),
        "iKey": "",
        "tags": { "ai.cloud.role": "fame", "ai.operation.id": item.operation },
        "data": {
            "baseType": "MessageData",
            "baseData": {
                "ver": 2,
                "message": item.message.chars().take(LONGEST_MESSAGE).collect::<String>(),
                "severityLevel": if item.is_error { 3 } else { 1 },
                "properties": item.properties,
            },
        },
    })
}

/// What an answer means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// All was taken, or dropped on purpose.
    Taken,
    /// These are to be sent again.
    Again(Option<String>),
    /// The same, but not before a pause: a day's quota is used up.
    QuotaUsedUp(Duration),
    /// It will never be taken.
    Refused,
}

/// What an answer to `body` means, which was sent for the `attempts`th time.
pub(crate) fn meaning(answer: &Answer, body: &str, attempts: u32) -> Meaning {
    match answer.status {
        200..=205 => Meaning::Taken,
        206 => partly(&answer.body, body),
        402 | 439 => {
            Meaning::QuotaUsedUp(QUOTA_PAUSE * 2_u32.saturating_pow(attempts.min(5).saturating_sub(1)))
        }
        // A redirect that comes here was one too many, or led too far away: it may lead elsewhere another time.
        307 | 308 | 401 | 403 | 408 | 429 | 500 | 502 | 503 | 504 => Meaning::Again(None),
        _ => Meaning::Refused,
    }
}

/// Some were taken. Of the others those are sent again that may be taken then; one that was sampled out is not.
fn partly(answer: &[u8], body: &str) -> Meaning {
    let (Ok(answer), Ok(Value::Array(items))) = (
        serde_json::from_slice::<Value>(answer),
        serde_json::from_str::<Value>(body),
    ) else {
        return Meaning::Again(None);
    };
    let errors = answer.get("errors").and_then(Value::as_array);
    let errors = errors.map(Vec::as_slice).unwrap_or_default();
    let is_passing = |error: &&Value| {
        matches!(
            error.get("statusCode").and_then(Value::as_u64),
            Some(401 | 403 | 408 | 429 | 439 | 500 | 502 | 503 | 504)
        )
    };
    let index = |error: &Value| usize::try_from(error.get("index")?.as_u64()?).ok();
    // Each once, however often the answer names it: what is sent again never grows.
    let named: BTreeSet<_> = errors.iter().filter(is_passing).filter_map(index).collect();
    let again: Vec<_> = named
        .into_iter()
        .filter_map(|index| items.get(index).cloned())
        .collect();
    let sampled = |error: &Value| error.get("statusCode").and_then(Value::as_u64) == Some(206);
    match again.is_empty() {
        false => Meaning::Again(Some(Value::Array(again).to_string())),
        true if errors.iter().all(sampled) => Meaning::Taken,
        true => Meaning::Refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::destinations::items::tests::{failed, told};
    use bytes::Bytes;
    use http::HeaderMap;

    fn answered(status: u16, body: &str) -> Answer {
        Answer {
            status,
            headers: HeaderMap::new(),
            body: Bytes::copy_from_slice(body.as_bytes()),
        }
    }

    #[test]
    fn a_connection_string_is_read_as_azure_writes_it() {
        for (text, url) in [
            (
                "InstrumentationKey=k",
                "https://dc.services.visualstudio.com/v2.1/track",
            ),
            (
                "instrumentationkey = k ;IngestionEndpoint=https://westeurope-1.in.applicationinsights.azure.com/; LiveEndpoint=https://x/;ApplicationId=y;",
                "https://westeurope-1.in.applicationinsights.azure.com/v2.1/track",
            ),
            (
                "InstrumentationKey=k;EndpointSuffix=applicationinsights.azure.cn;Location=chinaeast2;Authorization=ikey",
                "https://chinaeast2.dc.applicationinsights.azure.cn/v2.1/track",
            ),
        ] {
            let read = Connection::read(text).unwrap();
            assert_eq!((read.url.as_str(), read.instrumentation_key.as_str()), (url, "k"));
        }
        for wrong in [
            "",
            "k",
            "IngestionEndpoint=https://a.b",
            "InstrumentationKey=",
            "InstrumentationKey=k;Authorization=aad",
        ] {
            assert!(Connection::read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_failed_hotfix_is_told_as_business_central_tells_it() {
        let body = write(&told(&failed("no room"), false)).to_string();
        let connection = Connection::read("InstrumentationKey=key").unwrap();
        let items: Value = serde_json::from_str(&connection.addressed(&body)).unwrap();
        let [hotfix, update] = items.as_array().unwrap().as_slice() else {
            panic!("{items}");
        };
        assert_eq!(hotfix["iKey"], "key");
        assert_eq!(hotfix["name"], "Microsoft.ApplicationInsights.Message");
        assert_eq!(hotfix["data"]["baseType"], "MessageData");
        let data = &hotfix["data"]["baseData"];
        assert_eq!(
            data["message"],
            "Environment app 'Coffee' hotfix to version 16.0.1.2 failed for environment: Prod"
        );
        assert_eq!((&data["ver"], &data["severityLevel"]), (&json!(2), &json!(3)));
        let properties = &data["properties"];
        for (name, value) in [
            ("eventId", "LC0160"),
            ("component", "Dynamics 365 Business Central Control Plane"),
            ("telemetrySchemaVersion", "0.1"),
            ("extensionName", "Coffee"),
            ("useEnvironmentUpdateWindow", "False"),
            ("failureReason", "no room"),
            ("totalTime", "00:00:02.5000000"),
            ("runAfterDateUtc", "2020-03-05T12:00:00.0000000Z"),
        ] {
            assert_eq!(properties[name], value, "{name}");
        }
        assert!(properties.as_object().unwrap().values().all(Value::is_string));
        let properties = &update["data"]["baseData"]["properties"];
        assert_eq!(properties["eventId"], "LC0171");
        assert_eq!(properties["allowPreviewVersion"], "False");
        assert!(properties.get("extensionName").is_none());
    }

    #[test]
    fn an_answer_says_what_is_to_be_sent_again() {
        let body = r#"[{"a":0},{"a":1}]"#;
        let errors =
            |errors: Value| json!({ "itemsReceived": 2, "itemsAccepted": 1, "errors": errors }).to_string();
        let busy = errors(json!([{ "index": 1, "statusCode": 500, "message": "x" }]));
        let sampled = errors(json!([{ "index": 0, "statusCode": 206, "message": "Telemetry sampled out." }]));
        let twice = errors(json!([
            { "index": 1, "statusCode": 500, "message": "x" },
            { "index": 0, "statusCode": 429, "message": "x" },
            { "index": 1, "statusCode": 503, "message": "x" },
            { "index": 2, "statusCode": 503, "message": "x" },
        ]));
        let bad = errors(json!([{ "index": 0, "statusCode": 400, "message": "x" }]));
        for (answer, expected) in [
            (answered(200, ""), Meaning::Taken),
            (
                answered(206, &busy),
                Meaning::Again(Some(r#"[{"a":1}]"#.to_owned())),
            ),
            (answered(206, &twice), Meaning::Again(Some(body.to_owned()))),
            (answered(206, &sampled), Meaning::Taken),
            (answered(206, &bad), Meaning::Refused),
            (answered(400, ""), Meaning::Refused),
            (answered(429, ""), Meaning::Again(None)),
            (answered(403, ""), Meaning::Again(None)),
            (answered(307, ""), Meaning::Again(None)),
            (answered(308, ""), Meaning::Again(None)),
            (answered(439, ""), Meaning::QuotaUsedUp(Duration::from_hours(1))),
        ] {
            assert_eq!(meaning(&answer, body, 1), expected, "{answer:?}");
        }
        assert_eq!(
            meaning(&answered(402, ""), body, 3),
            Meaning::QuotaUsedUp(Duration::from_hours(4))
        );
    }

    #[test]
    fn a_redirect_is_followed_only_to_where_it_belongs() {
        let from = Target::read("https://eu.contoso.com/v2.1/track").unwrap();
        let to = |location: &str| {
            let mut answer = answered(308, "");
            answer.headers.insert("location", location.parse().unwrap());
            redirected(&from, &answer).is_some()
        };
        for location in [
            "https://eu.contoso.com/x",
            "https://a.eu.contoso.com/",
            "https://x.in.applicationinsights.azure.com/v2.1/track",
        ] {
            assert!(to(location), "{location}");
        }
        for location in [
            "http://eu.contoso.com/x",
            "https://contoso.com/",
            "https://127.0.0.1/",
            "https://evileu.contoso.com/",
            "/x",
        ] {
            assert!(!to(location), "{location}");
        }
        assert!(redirected(&from, &answered(200, "")).is_none());
    }
}
