//! What a caller gets, and what every answer must have.

use bytes::Bytes;
use flate2::read::GzDecoder;
use http::{HeaderMap, Method};
use serde_json::Value;
use std::io::Read as _;
use uuid::Uuid;

/// An answer of the service. That it carries what all answers carry was checked when it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// What was asked, for messages.
    pub request: String,
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    /// The same as a client reads it that takes compressed answers.
    pub(crate) fn decompressed(mut self) -> Self {
        if self.headers.remove("content-encoding").is_some() {
            let mut plain = Vec::new();
            GzDecoder::new(self.body.as_ref())
                .read_to_end(&mut plain)
                .unwrap();
            self.body = plain.into();
        }
        self
    }

    /// Takes an answer, and holds it against what is promised of all of them.
    pub(super) fn new(
        method: &Method,
        request: String,
        status: u16,
        headers: HeaderMap,
        body: Bytes,
    ) -> Self {
        let answer = Self {
            request,
            status,
            headers,
            body,
        };
        answer.check_correlation();
        if status >= 400 && method != Method::HEAD {
            answer.check_error();
        }
        answer
    }

    fn check_correlation(&self) {
        let id = self.header("ms-correlation-x");
        assert!(Uuid::try_parse(id).is_ok(), "{self:?}");
        assert_eq!(self.header("request-id"), id, "{self:?}");
        assert_eq!(
            self.header("api-supported-versions"),
            "1.0, 1.1, 1.2, 1.3, 1.4",
            "{self:?}"
        );
    }

    fn check_error(&self) {
        // The readiness report is not an error body: it says what works and what does not.
        if self.status == 503 && self.request.contains("/health/") {
            return;
        }
        let body = self.json();
        let error = &body["error"];
        if self.is_of_customers() {
            assert_eq!(
                (&body["code"], &body["message"]),
                (&error["code"], &error["message"]),
                "{self:?}"
            );
            assert_eq!(error.as_object().unwrap().len(), 2, "{self:?}");
            assert!(!self.text().contains("null"), "{self:?}");
            return;
        }
        let is_text = |value: &Value| value.as_str().is_some_and(|text| !text.is_empty());
        assert!(is_text(&error["code"]) && is_text(&error["message"]), "{self:?}");
        assert_eq!(
            error["innererror"]["correlationId"],
            self.header("ms-correlation-x"),
            "{self:?}"
        );
        assert_eq!(self.header("content-language"), "en-US", "{self:?}");
        if self.headers.contains_key("odata-version") {
            assert_eq!(body.as_object().unwrap().len(), 1, "{self:?}");
        } else {
            assert_eq!(
                (&body["code"], &body["message"]),
                (&error["code"], &error["message"]),
                "{self:?}"
            );
            assert_eq!(body.get("target"), error.get("target"), "{self:?}");
        }
    }

    /// Whether the Admin Center API answers here, whose errors have a shape of their own.
    fn is_of_customers(&self) -> bool {
        let path = self
            .request
            .split("://")
            .nth(1)
            .and_then(|rest| rest.split_once('/'));
        let version = path.and_then(|(_, path)| {
            path.to_ascii_lowercase()
                .strip_prefix("admin/v2.")?
                .split('/')
                .next()
                .map(str::len)
        });
        matches!(version, Some(1 | 2))
    }

    /// The status must be this one.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{} answered {}", self.request, self.text());
        self
    }

    /// The request must have been refused like this.
    #[track_caller]
    pub(crate) fn refused(self, status: u16, code: &str) -> Self {
        let answer = self.expect(status);
        assert_eq!(
            answer.code(),
            code,
            "{} answered {}",
            answer.request,
            answer.text()
        );
        answer
    }

    /// A rule must have been broken, and this be the machine-readable reason.
    #[track_caller]
    pub(crate) fn broke_rule(self, reason: &str) -> Self {
        let answer = self.refused(400, "EntityValidationFailed");
        assert_eq!(
            answer.reason(),
            reason,
            "{} answered {}",
            answer.request,
            answer.text()
        );
        answer
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        match serde_json::from_slice(&self.body) {
            Ok(json) => json,
            Err(error) => panic!("{}: {error}: {} {}", self.request, self.status, self.text()),
        }
    }

    /// A header that must be there.
    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> &str {
        match self.headers.get(name) {
            Some(value) => value.to_str().unwrap(),
            None => panic!("{}: no {name} in {:?}", self.request, self.headers),
        }
    }

    /// Whether a header is there.
    pub(crate) fn has_header(&self, name: &str) -> bool {
        self.headers.contains_key(name)
    }

    /// The code of an error.
    #[track_caller]
    pub(crate) fn code(&self) -> String {
        text_of(&self.json()["error"]["code"])
    }

    /// The message of an error.
    #[track_caller]
    pub(crate) fn message(&self) -> String {
        text_of(&self.json()["error"]["message"])
    }

    /// The target of an error.
    #[track_caller]
    pub(crate) fn target(&self) -> String {
        match self.is_of_customers() {
            true => text_of(&self.json()["target"]),
            false => text_of(&self.json()["error"]["target"]),
        }
    }

    /// The code of an error's first detail.
    #[track_caller]
    pub(crate) fn reason(&self) -> String {
        match self.is_of_customers() {
            true => text_of(&self.json()["clientError"][0]["code"]),
            false => text_of(&self.json()["error"]["details"][0]["code"]),
        }
    }

    /// A property of an entity, as text.
    #[track_caller]
    pub(crate) fn property(&self, name: &str) -> String {
        text_of(&self.json()[name])
    }

    /// The tag of an entity.
    #[track_caller]
    pub(crate) fn etag(&self) -> String {
        self.property("_etag")
    }

    /// The rows of a list.
    #[track_caller]
    pub(crate) fn rows(&self) -> Vec<Value> {
        match self.json()["value"].as_array() {
            Some(rows) => rows.clone(),
            None => panic!(
                "{} answered no list: {} {}",
                self.request,
                self.status,
                self.text()
            ),
        }
    }

    /// One property of all rows of a list, as text.
    #[track_caller]
    pub(crate) fn column(&self, name: &str) -> Vec<String> {
        self.rows().iter().map(|row| text_of(&row[name])).collect()
    }
}

fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
