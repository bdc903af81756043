//! How two answers to the same request differ, whatever they are about.
//!
//! Two services have other rows, so values say nothing but where they are constants: the status, the code of an error.
//! What counts is which members there are, of which types, which headers, and in which order. What of an answer depends on
//! the rows is told from what does not by looking at all rows together.

use super::{
    format::{Answered, Asked, Body},
    pseudonyms::{Kind, kind_of},
    vocabulary::{is_time, is_version},
};
use domain::{instant::Instant, version::AppVersion};
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Something that is otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Difference {
    /// What it is about: `status`, `header etag`, `value[].name`.
    pub at: String,
    /// What was recorded.
    pub recorded: String,
    /// What is answered now.
    pub answered: String,
}

/// The headers of answers that are promised, or would be missed. Others are of whoever passes answers on.
const HEADERS: &[&str] = &[
    "accept-ranges",
    "allow",
    "content-disposition",
    "content-range",
    "etag",
    "location",
    "ms-correlation-x",
    "odata-version",
    "preference-applied",
    "repr-digest",
    "retry-after",
    "www-authenticate",
];

/// Members that a row has only in some states, so that one row says nothing of whether another has them.
const OF_SOME_STATES: &[&str] = &[
    "aadTenantId",
    "completedOn",
    "environmentType",
    "errorMessage",
    "ignoreUpgradeWindow",
    "incompatibleFromVersion",
    "runAfter",
    "sourceAppVersion",
    "startedOn",
    "syncMode",
];

/// What is otherwise in what is answered now to `asked` than in what was recorded. Both were cleaned in the same way.
pub(crate) fn differences(asked: &Asked, recorded: &Answered, answered: &Answered) -> Vec<Difference> {
    let mut found = Found::default();
    found.compare(
        "status",
        &recorded.status.to_string(),
        &answered.status.to_string(),
    );
    for header in HEADERS {
        let has = |answer: &Answered| presence(answer.headers.contains_key(*header));
        found.compare(&format!("header {header}"), has(recorded), has(answered));
    }
    let media_type = |answer: &Answered| {
        let written = answer
            .headers
            .get("content-type")
            .map(String::as_str)
            .unwrap_or_default();
        written
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase()
    };
    found.compare("content-type", &media_type(recorded), &media_type(answered));
    if recorded.status != answered.status {
        // A success and a refusal have nothing else in common.
        return found.0;
    }
    match (&recorded.body, &answered.body) {
        (Body::Json(recorded), Body::Json(answered)) => {
            let shape = |json: &Value| {
                let mut shape = Shape::default();
                shape.see(json);
                shape
            };
            found.shapes("", &shape(recorded), &shape(answered));
            for (code, at) in [("code", "/code"), ("error.code", "/error/code")] {
                let of = |json: &Value| json.pointer(at).and_then(Value::as_str).map(str::to_owned);
                if let (Some(recorded), Some(answered)) = (of(recorded), of(answered)) {
                    found.compare(code, &recorded, &answered);
                }
            }
            if let (Some(recorded), Some(answered)) = (order(asked, recorded), order(asked, answered)) {
                found.compare("order", recorded, answered);
            }
        }
        (recorded, answered) => found.compare("body", body_kind(recorded), body_kind(answered)),
    }
    found.0
}

fn presence(is_there: bool) -> &'static str {
    if is_there { "there" } else { "missing" }
}

fn body_kind(body: &Body) -> &'static str {
    match body {
        Body::None => "none",
        Body::Json(_) => "JSON",
        Body::Bytes { .. } => "bytes",
        Body::TooLong { .. } => "long JSON",
        Body::Cut { .. } => "broken off",
    }
}

#[derive(Default)]
struct Found(Vec<Difference>);

impl Found {
    fn compare(&mut self, at: &str, recorded: &str, answered: &str) {
        if recorded != answered {
            self.0.push(Difference {
                at: at.to_owned(),
                recorded: recorded.to_owned(),
                answered: answered.to_owned(),
            });
        }
    }

    fn shapes(&mut self, at: &str, recorded: &Shape, answered: &Shape) {
        let are_seen = recorded.seen > 0 && answered.seen > 0;
        if are_seen
            && recorded.types.is_disjoint(&answered.types)
            && !recorded.is_nothing()
            && !answered.is_nothing()
        {
            let place = if at.is_empty() { "body" } else { at };
            self.compare(place, &recorded.told(), &answered.told());
            return;
        }
        if let (Some(recorded), Some(answered)) = (&recorded.items, &answered.items) {
            self.shapes(&format!("{at}[]"), recorded, answered);
        }
        if recorded.objects == 0 || answered.objects == 0 {
            return;
        }
        let names: BTreeSet<&String> = recorded.members.keys().chain(answered.members.keys()).collect();
        for name in names {
            let place = match at {
                "" => name.clone(),
                at => format!("{at}.{name}"),
            };
            match (recorded.members.get(name), answered.members.get(name)) {
                (Some(recorded), Some(answered)) => self.shapes(&place, recorded, answered),
                (Some(only), None) if recorded.always_has(name, only) => {
                    self.compare(&place, &only.told(), "missing");
                }
                (None, Some(only)) if answered.always_has(name, only) => {
                    self.compare(&place, "missing", &only.told());
                }
                _ => {}
            }
        }
    }
}

/// What values have in common that stand in the same place.
#[derive(Debug, Default)]
struct Shape {
    seen: usize,
    types: BTreeSet<String>,
    /// How many of them are objects.
    objects: usize,
    members: BTreeMap<String, Shape>,
    items: Option<Box<Shape>>,
}

impl Shape {
    fn see(&mut self, json: &Value) {
        self.seen += 1;
        self.types.insert(type_of(json));
        match json {
            Value::Object(members) => {
                self.objects += 1;
                for (name, member) in members {
                    self.members.entry(name.clone()).or_default().see(member);
                }
            }
            Value::Array(items) => {
                for item in items {
                    self.items.get_or_insert_default().see(item);
                }
            }
            _ => {}
        }
    }

    /// Whether `null` is all that is known.
    fn is_nothing(&self) -> bool {
        self.types.iter().all(|known| known == "null")
    }

    /// Whether every object that was seen has the member, and others of its kind have it too.
    fn always_has(&self, name: &str, member: &Self) -> bool {
        member.seen == self.objects && !OF_SOME_STATES.contains(&name)
    }

    fn told(&self) -> String {
        self.types.iter().cloned().collect::<Vec<_>>().join(" or ")
    }
}

fn type_of(json: &Value) -> String {
    match json {
        Value::Null => "null".to_owned(),
        Value::Bool(_) => "boolean".to_owned(),
        Value::Number(number) if number.is_f64() => "number".to_owned(),
        Value::Number(_) => "integer".to_owned(),
        Value::String(text) => type_of_text(text),
        Value::Array(_) => "list".to_owned(),
        Value::Object(_) => "object".to_owned(),
    }
}

fn type_of_text(text: &str) -> String {
    match kind_of(text) {
        Some(kind) if kind.is_guid() => return "GUID".to_owned(),
        Some(Kind::Address) => return "address".to_owned(),
        Some(_) => return "text".to_owned(),
        None => {}
    }
    if super::pseudonyms::as_guid(text).is_some() {
        return "GUID".to_owned();
    }
    if is_version(text) {
        return "version".to_owned();
    }
    if is_time(text) {
        let fraction = text.split_once('.').map_or("", |(_, fraction)| fraction);
        let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
        let zone = if text.ends_with('Z') { "Z" } else { "offset" };
        return format!("time with {digits} decimals and {zone}");
    }
    "text".to_owned()
}

/// How the rows of a list are ordered, where an order is promised and there is enough to tell.
fn order(asked: &Asked, json: &Value) -> Option<&'static str> {
    if asked
        .query
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("$orderby"))
    {
        return None;
    }
    let collection = asked
        .path
        .rsplit('/')
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase();
    let rows = json.get("value")?.as_array()?;
    let texts = |name: &str| -> Vec<String> {
        let texts = rows.iter().filter_map(|row| row.get(name)?.as_str());
        texts.map(str::to_owned).collect()
    };
    let told = |is_ascending: bool, is_descending: bool| match (is_ascending, is_descending) {
        (true, _) => "ascending",
        (false, true) => "descending",
        (false, false) => "none",
    };
    fn of<T: PartialOrd>(keys: &[T]) -> (bool, bool) {
        (keys.is_sorted(), keys.is_sorted_by(|one, other| one >= other))
    }
    let (keys, (is_ascending, is_descending)) = match collection.as_str() {
        "versions" => {
            let versions: Vec<AppVersion> = texts("version")
                .iter()
                .filter_map(|text| text.parse().ok())
                .collect();
            (versions.len(), of(&versions))
        }
        "countries" => {
            let codes = texts("countryCode");
            (codes.len(), of(&codes))
        }
        "environmenthotfixes" => {
            let created: Vec<Instant> = texts("createdOn")
                .iter()
                .filter_map(|text| text.parse().ok())
                .collect();
            (created.len(), of(&created))
        }
        _ => return None,
    };
    let is_telling = keys > 1 && keys == rows.len() && !(is_ascending && is_descending);
    is_telling.then(|| told(is_ascending, is_descending))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn asked(path: &str) -> Asked {
        Asked {
            method: "GET".into(),
            path: path.into(),
            query: Vec::new(),
            headers: BTreeMap::new(),
            body: Body::None,
        }
    }

    fn answered(status: u16, json: Value) -> Answered {
        Answered {
            status,
            headers: BTreeMap::from([("content-type".into(), "application/json".into())]),
            body: Body::Json(json),
        }
    }

    fn compared(path: &str, recorded: Value, now: Value) -> Vec<(String, String, String)> {
        let found = differences(&asked(path), &answered(200, recorded), &answered(200, now));
        found
            .into_iter()
            .map(|found| (found.at, found.recorded, found.answered))
            .collect()
    }

    fn differ(at: &str, recorded: &str, answered: &str) -> (String, String, String) {
        (at.to_owned(), recorded.to_owned(), answered.to_owned())
    }

    #[test]
    fn other_rows_of_the_same_shape_are_the_same() {
        let recorded = json!({"value": [
            {"id": "{app-1}", "version": "16.0.1.2", "on": "2020-03-05T15:41:20.6468128Z", "roles": ["Owner"]},
            {"id": "{app-2}", "version": "16.0.1.3", "on": "2020-03-05T15:41:20.6468128Z", "roles": [], "errorMessage": "x"},
        ]});
        let now = json!({"value": [
            {"id": "{hotfix-7}", "version": "1.0.0.0", "on": "2026-03-05T15:41:20.0000000Z", "roles": ["Reader", "Owner"]},
        ]});
        assert_eq!(compared("/v1.4/apps", recorded.clone(), now.clone()), []);
        assert_eq!(compared("/v1.4/apps", now, recorded.clone()), []);
        assert_eq!(
            compared("/v1.4/apps", recorded, json!({"value": []})),
            [],
            "no rows say nothing"
        );
    }

    #[test]
    fn members_types_and_forms_are_compared() {
        let recorded =
            json!({"value": [{"a": "{id-1}", "b": 1, "c": "2020-03-05T15:41:20.6468128Z", "gone": "x"}]});
        let now = json!({"value": [{"a": "{text-1}", "b": "1", "c": "2020-03-05T15:41:20Z", "new": null, "Gone": 1}]});
        assert_eq!(
            compared("/v1.4/apps", recorded, now),
            [
                differ("value[].Gone", "missing", "integer"),
                differ("value[].a", "GUID", "text"),
                differ("value[].b", "integer", "text"),
                differ(
                    "value[].c",
                    "time with 7 decimals and Z",
                    "time with 0 decimals and Z"
                ),
                differ("value[].gone", "text", "missing"),
                differ("value[].new", "missing", "null"),
            ]
        );
        assert_eq!(
            compared("/v1.4/apps", json!([]), json!({})),
            [differ("body", "list", "object")]
        );
    }

    #[test]
    fn what_some_rows_have_says_nothing_of_others() {
        let recorded = json!({"value": [{"a": 1, "b": 2}, {"a": 1}]});
        assert_eq!(compared("/v1.4/apps", recorded, json!({"value": [{"a": 1}]})), []);
        let running = json!({"status": "Running", "startedOn": "2020-03-05T15:41:20.6468128Z"});
        assert_eq!(compared("/v1.4/x", running, json!({"status": "Scheduled"})), []);
    }

    #[test]
    fn order_is_compared_where_it_is_promised() {
        let versions = |texts: &[&str]| {
            let rows: Vec<Value> = texts.iter().map(|version| json!({"version": version})).collect();
            json!({"value": rows})
        };
        let (up, down) = (
            versions(&["16.0.9.0", "16.0.10.0"]),
            versions(&["16.0.10.0", "16.0.9.0"]),
        );
        let path = "/v1.4/apps/{app-1}/countries/US/versions";
        assert_eq!(compared(path, up.clone(), versions(&["1.0.0.0", "2.0.0.0"])), []);
        assert_eq!(
            compared(path, down.clone(), up.clone()),
            [differ("order", "descending", "ascending")]
        );
        assert_eq!(
            compared(path, versions(&["1.0.0.0"]), up.clone()),
            [],
            "one row has no order"
        );
        assert_eq!(
            compared("/v1.4/apps", down.clone(), up.clone()),
            [],
            "none is promised"
        );
        let mut sorted = asked(path);
        sorted.query = vec![("$orderby".into(), "version desc".into())];
        assert_eq!(differences(&sorted, &answered(200, down), &answered(200, up)), []);
    }

    #[test]
    fn statuses_codes_and_headers_are_constants() {
        let error = |code: &str| json!({"code": code, "message": "x"});
        let found = differences(
            &asked("/v1.4/apps"),
            &answered(400, error("InvalidInput")),
            &answered(400, error("BadArgument")),
        );
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].at.as_str(), found[0].recorded.as_str()),
            ("code", "InvalidInput")
        );
        let mut with_tag = answered(404, error("x"));
        with_tag.headers.insert("etag".into(), "W/\"{etag-1}\"".into());
        with_tag.headers.insert("x-cache".into(), "(removed)".into());
        let found = differences(&asked("/v1.4/apps"), &answered(200, json!([])), &with_tag);
        let places: Vec<_> = found.iter().map(|found| found.at.as_str()).collect();
        assert_eq!(
            places,
            ["status", "header etag"],
            "a refusal is not compared with a success"
        );
    }

    proptest! {
        #[test]
        fn nothing_differs_from_itself(texts in prop::collection::vec("[a-z0-9.{}-]{0,9}", 0..6), number in any::<i64>()) {
            let json = json!({"value": texts, "n": number, "o": {"p": texts.first()}});
            prop_assert_eq!(compared("/v1.4/apps/x/countries/US/versions", json.clone(), json), vec![]);
        }
    }
}
