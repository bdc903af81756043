//! The words that anybody may know who has read how the App Management API is described: what is kept of a recording is made
//! of them.
//!
//! They are taken from the description that the service gives of itself, so that what the API gains is known here too.

use domain::{
    catalogue::STANDARD_APPS,
    country::CountryCode,
    environment::EnvironmentKind,
    instant::Instant,
    operation::OperationStatus,
    principal::{PrincipalKind, Role},
    problem::Code,
    version::{AppVersion, Availability, SyncMode, VersionStatus},
};
use serde_json::Value;
use std::{collections::HashSet, sync::LazyLock};

use super::pseudonyms::as_guid;

/// What stands before a segment of a path that is a key, or follows one.
pub(super) const KEY: &str = "{}";
/// What stands in the place of the version of the API.
pub(super) const API_VERSION: &str = "v";

/// All of it in lower case.
#[derive(Default)]
struct Vocabulary {
    /// The literals of addresses, each with what it comes after.
    segments: HashSet<(String, String)>,
    /// The names of query options.
    options: HashSet<String>,
    /// The names of members of JSON.
    members: HashSet<String>,
    /// The words that values are made of.
    words: HashSet<String>,
}

static VOCABULARY: LazyLock<Vocabulary> = LazyLock::new(|| {
    let mut vocabulary = Vocabulary::default();
    if let Ok(description) = serde_json::from_str(&server::openapi_json()) {
        vocabulary.read(&description);
    }
    vocabulary
});

/// Members that answers have by the protocol, or where something else answers than the API.
const MEMBERS: [&str; 16] = [
    "@odata.context",
    "@odata.count",
    "@odata.etag",
    "@odata.id",
    "@odata.nextlink",
    "@odata.type",
    "clienterror",
    "code",
    "correlationid",
    "details",
    "error",
    "error_description",
    "innererror",
    "message",
    "target",
    "value",
];
/// Options that every service of OData may have.
const OPTIONS: [&str; 9] = [
    "$apply",
    "$expand",
    "$filter",
    "$orderby",
    "$search",
    "$select",
    "$skip",
    "$skiptoken",
    "$top",
];

impl Vocabulary {
    fn read(&mut self, description: &Value) {
        let paths = description["paths"].as_object().into_iter().flatten();
        for (path, operations) in paths.filter(|(path, _)| is_of_the_api(path)) {
            self.read_path(path);
            self.read_options(operations);
        }
        self.read_schemas(description);
    }

    fn read_path(&mut self, path: &str) {
        let mut before = API_VERSION;
        for segment in path.trim_start_matches('/').split('/').skip(1) {
            if segment.starts_with('{') {
                before = KEY;
                continue;
            }
            let pair = (before.to_ascii_lowercase(), segment.to_ascii_lowercase());
            self.segments.insert(pair);
            before = segment;
        }
    }

    fn read_options(&mut self, operations: &Value) {
        let operations = operations.as_object().into_iter().flatten();
        let parameters = operations.filter_map(|(_, operation)| operation["parameters"].as_array());
        let options = parameters
            .flatten()
            .filter(|parameter| parameter["in"] == "query");
        let names = options.filter_map(|parameter| parameter["name"].as_str());
        self.options.extend(names.map(str::to_ascii_lowercase));
    }

    /// Properties and enumerations, wherever they stand.
    fn read_schemas(&mut self, json: &Value) {
        match json {
            Value::Array(items) => items.iter().for_each(|item| self.read_schemas(item)),
            Value::Object(members) => {
                let properties = json["properties"].as_object().into_iter().flatten();
                self.members
                    .extend(properties.map(|(name, _)| name.to_lowercase()));
                let words = json["enum"].as_array().into_iter().flatten();
                let words = words.filter_map(Value::as_str);
                self.words.extend(words.map(str::to_lowercase));
                members.values().for_each(|member| self.read_schemas(member));
            }
            _ => {}
        }
    }
}

/// Whether `path` is one of the App Management API: nothing else is recorded or replayed.
pub(crate) fn is_of_the_api(path: &str) -> bool {
    let first = path.trim_start_matches('/').split('/').next().unwrap_or_default();
    path.starts_with('/') && is_api_version(first)
}

pub(super) fn is_api_version(segment: &str) -> bool {
    let number = segment.strip_prefix(['v', 'V']).unwrap_or_default();
    let (major, minor) = number.split_once('.').unwrap_or((number, "0"));
    let is_number =
        |text: &str| (1..=3).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number(major) && is_number(minor)
}

/// Whether a segment of a path is a word of the API after `before`: another literal in lower case, [`KEY`] or
/// [`API_VERSION`].
pub(super) fn is_segment(before: &str, segment: &str) -> bool {
    let pair = (before.to_owned(), segment.to_ascii_lowercase());
    VOCABULARY.segments.contains(&pair)
}

/// Whether the API, or any of OData, has such a query option.
pub(super) fn is_option(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    VOCABULARY.options.contains(&lower) || OPTIONS.contains(&lower.as_str())
}

/// Whether members of JSON are called so.
pub(super) fn is_member(name: &str) -> bool {
    let lower = name.to_lowercase();
    VOCABULARY.members.contains(&lower) || MEMBERS.contains(&lower.as_str())
}

/// Whether a text is a word that values of the API are made of.
pub(super) fn is_word(text: &str) -> bool {
    let is_family = ["Business Central", "BusinessCentral"].contains(&text);
    let is_permission = text.split_once('/').is_some_and(|(what, how)| {
        [API_VERSION, KEY].iter().any(|before| is_segment(before, what)) && ["read", "write"].contains(&how)
    });
    let is_truth = ["true", "false", "null"].contains(&text);
    is_family
        || is_permission
        || is_truth
        || text.parse::<Availability>().is_ok()
        || text.parse::<VersionStatus>().is_ok()
        || text.parse::<OperationStatus>().is_ok()
        || text.parse::<EnvironmentKind>().is_ok()
        || text.parse::<PrincipalKind>().is_ok()
        || text.parse::<Role>().is_ok()
        || SyncMode::parse(text).is_ok()
        || VOCABULARY.words.contains(&text.to_lowercase())
}

/// Whether a text is the code of an error that is known.
pub(super) fn is_code(text: &str) -> bool {
    Code::ALL.iter().any(|code| code.as_str() == text) || is_word(text)
}

/// Whether a text is a version of an app, or a number with a fraction.
pub(crate) fn is_version(text: &str) -> bool {
    let looks_like_one = text.contains('.') && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    looks_like_one && text.parse::<AppVersion>().is_ok()
}

/// Whether a text is a point in time.
pub(crate) fn is_time(text: &str) -> bool {
    text.len() >= 10
        && text.starts_with(|first: char| first.is_ascii_digit())
        && text.parse::<Instant>().is_ok()
}

/// Whether a text is the code of a country.
pub(super) fn is_country(text: &str) -> bool {
    text.len() == 2 && (text == "W1" || text.parse::<CountryCode>().is_ok())
}

/// Whether a text is a number that is too short to be somebody's.
pub(super) fn is_small_number(text: &str) -> bool {
    (1..=5).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether a text that stands for `what`, a member or the literal of a path, is one that many have, and tells of nobody.
pub(super) fn is_plain(what: &str, text: &str) -> bool {
    let what = what.to_ascii_lowercase();
    let is_standard =
        || as_guid(text).is_some_and(|id| id.is_nil() || STANDARD_APPS.iter().any(|app| app.0.0 == id));
    text.is_empty()
        || is_word(text)
        || is_standard()
        || match what.as_str() {
            "countries" | "countrycode" => is_country(text),
            // What looks like one may be an address of the network elsewhere.
            what if what.ends_with("version") || what.ends_with("versions") => is_version(text),
            what => is_member(what) && is_time(text),
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_those_of_the_description() {
        assert!(is_segment(API_VERSION, "apps") && is_segment(KEY, "trustedPublishers"));
        assert!(is_segment("environmenthotfixes", "plan") && !is_segment("environments", "plan"));
        assert!(!is_segment(KEY, "publishers") && !is_segment("apps", "countries"));
        assert!(is_option("$filter") && is_option("targetAppVersion") && !is_option("contoso"));
        assert!(is_member("publisherContactEmail") && !is_member("contoso"));
        assert!(is_word("Deprecated") && is_word("versions/write") && !is_word("Contoso"));
        assert!(is_code("EntityValidationFailed") && !is_code("Contoso"));
    }

    #[test]
    fn only_the_app_management_api_is_recorded() {
        for other in [
            "/oauth2/token",
            "/operator/v1/apps",
            "/health/ready",
            "v1.4",
            "/v1.4x/apps",
            "/v/apps",
        ] {
            assert!(!is_of_the_api(other), "{other}");
        }
        assert!(is_of_the_api("/v1.4/apps") && is_of_the_api("/v2.0"));
    }

    #[test]
    fn a_text_is_plain_where_such_texts_stand() {
        for (what, text) in [
            ("version", "16.0.1.2"),
            ("targetAppVersion", "16.0.1.2"),
            ("countries", "us"),
            ("createdOn", "2020-03-05T15:41:20.6468128Z"),
            ("id", "63ca2fa4-4f03-4f2b-a480-172fef340d3f"),
            ("anything", "Scheduled"),
        ] {
            assert!(is_plain(what, text), "{what} {text}");
        }
        for (what, text) in [
            ("host", "10.1.2.3"),
            ("environments", "12345678"),
            ("publisher", "US"),
            ("birthday", "1980-03-05T00:00:00Z"),
            ("version", "4512345678"),
        ] {
            assert!(!is_plain(what, text), "{what} {text}");
        }
    }
}
