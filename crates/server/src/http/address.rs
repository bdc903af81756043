//! Bringing an address to the one form that is routed: `/v1.0/apps/{id}/countries/{code}/…`.

use crate::admin_center;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use std::borrow::Cow;

/// What may stand in a segment as it is. Not `$`: a key that begins with it is no literal.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// Stands for bytes that are no text. No name has it.
const NO_TEXT: &str = "\u{1a}";

/// The collection whose keys are names, which may be anything.
const ENVIRONMENTS: &str = "environments";
/// The collection from which a plan is made.
const HOTFIXES: &str = "environmentHotfixes";
/// Another one.
const ROLLOUTS: &str = "rollouts";

/// What may be named in the key of an environment.
const PARTS_OF_KEY: [&str; 3] = ["aadTenantId", "applicationFamily", "name"];

/// The collections of the API, as they are routed.
const COLLECTIONS: [&str; 10] = [
    "apps",
    "countries",
    "principals",
    "versions",
    ENVIRONMENTS,
    HOTFIXES,
    "webhooks",
    "deliveries",
    "trustedPublishers",
    ROLLOUTS,
];

/// Every other literal of the API.
const WORDS: [&str; 17] = [
    "$metadata",
    "$count",
    "getMyPermissions",
    "roles",
    "getPackageContents",
    "plan",
    "rotate",
    "test",
    "replay",
    "approve",
    "reject",
    "pause",
    "resume",
    "advance",
    "retry",
    "abort",
    "approvalPolicy",
];

/// An address in the one form that is routed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Routed {
    pub(crate) path: String,
    /// The parts of its last key, or the parameters of what is called, where they were named:
    /// `(aadTenantId=…,applicationFamily='…',name='…')`.
    pub(crate) named_key: Option<NamedKey>,
}

/// Parts of a key with their names.
pub(crate) type NamedKey = Vec<(String, String)>;

impl Routed {
    /// The routed form of an address under `/v1.n` or `/admin/v2.n`; any other only loses the slash at its end.
    pub(crate) fn of(path: &str) -> Self {
        let path = readable(path);
        if let Some(path) = admin_center::address::routed(&path, PLAIN) {
            return Self {
                path,
                named_key: None,
            };
        }
        let trimmed = path.trim_end_matches('/');
        let mut segments = trimmed.split('/').skip(1);
        let mut routed = Self {
            path: "/v1.0".to_owned(),
            named_key: None,
        };
        if !segments.next().is_some_and(is_api_version) {
            let is_root = trimmed.is_empty();
            routed.path = if is_root {
                path.into_owned()
            } else {
                trimmed.to_owned()
            };
            return routed;
        }
        let mut key_of = None;
        for segment in segments {
            key_of = routed.push_segment(segment, key_of);
        }
        routed
    }

    /// Adds a segment, which is a key of `key_of` if that is there; the collection of which one is expected after it.
    fn push_segment(&mut self, segment: &str, key_of: Option<&'static str>) -> Option<&'static str> {
        let text = percent_decode_str(segment).decode_utf8_lossy();
        if let Some(collection) = key_of {
            if let Some(parameters) = plan_with(collection, &text) {
                self.push("plan");
                self.named_key = named_parts(parameters);
                return None;
            }
            match word_for_key(collection, segment, &text) {
                Some(word) => self.push(word),
                None => self.push_key(&text),
            }
            return None;
        }
        if let Some(word) = known(&WORDS, called(&text)) {
            self.push(word);
            return None;
        }
        if let Some((collection, key)) = with_key(&text) {
            self.push(collection);
            self.push_key_of(collection, key);
            return None;
        }
        let collection = known(&COLLECTIONS, &text);
        match collection {
            Some(collection) => self.push(collection),
            None => self.push_key(&text),
        }
        collection
    }

    fn push_key_of(&mut self, collection: &str, key: &str) {
        let is_quoted = key.trim_start().starts_with('\'');
        let part = key.split('=').next().unwrap_or_default().trim();
        let is_part = match collection {
            ENVIRONMENTS => known(&PARTS_OF_KEY, part).is_some(),
            _ => key.contains('='),
        };
        let parts = named_parts(key).filter(|_| is_part && !is_quoted);
        match parts.as_deref() {
            Some([(_, value)]) if collection != ENVIRONMENTS => self.push_key(value),
            Some(_) => {
                self.push_key(key);
                self.named_key = parts;
            }
            None => self.push_key(&unquoted(key).replace("''", "'")),
        }
    }

    fn push(&mut self, literal: &str) {
        self.path.push('/');
        self.path.push_str(literal);
    }

    fn push_key(&mut self, key: &str) {
        self.path.push('/');
        self.path.extend(utf8_percent_encode(key, PLAIN));
    }
}

/// Whether an address, in the form that is routed, is that of a package. Its last segment does not say so: an environment
/// can be called as it likes.
pub(super) fn is_package(routed: &str) -> bool {
    let segments: Vec<_> = routed.split('/').skip(1).collect();
    matches!(
        segments.as_slice(),
        [
            "v1.0",
            "apps",
            _,
            "countries",
            _,
            "versions",
            _,
            "getPackageContents"
        ] | ["agent", "v1", "operations", _, "package"]
    )
}

/// An address whose segments are text.
fn readable(path: &str) -> Cow<'_, str> {
    if percent_decode_str(path).decode_utf8().is_ok() {
        return Cow::Borrowed(path);
    }
    let segments = path.split('/').map(|segment| {
        let text = percent_decode_str(segment).decode_utf8_lossy();
        let text = text.replace(char::REPLACEMENT_CHARACTER, NO_TEXT);
        utf8_percent_encode(&text, PLAIN).to_string()
    });
    segments.collect::<Vec<_>>().join("/").into()
}

fn is_api_version(segment: &str) -> bool {
    ["v1.0", "v1.1", "v1.2", "v1.3", "v1.4"]
        .iter()
        .any(|version| version.eq_ignore_ascii_case(segment))
}

/// The literal that stands where a key could. Names may be anything, so that only one that is written out is no name: an
/// environment that is called `$count` is written `%24count`.
fn word_for_key(collection: &str, segment: &str, text: &str) -> Option<&'static str> {
    let written = if collection == ENVIRONMENTS { segment } else { text };
    match collection {
        HOTFIXES | ROLLOUTS => known(&["$count", "plan"], called(written)),
        _ => known(&["$count"], written),
    }
}

/// What is called, without what `$metadata` calls it by besides: a namespace before it, and nothing in parentheses.
fn called(text: &str) -> &str {
    let name = text.strip_prefix("AppManagement.").unwrap_or(text);
    name.strip_suffix("()").unwrap_or(name)
}

/// The parameters of a plan that is called as the function that `$metadata` has it as.
fn plan_with<'t>(collection: &str, text: &'t str) -> Option<&'t str> {
    let (name, parameters) = called(text).split_once('(')?;
    let is_plan = collection == HOTFIXES && name.eq_ignore_ascii_case("plan");
    parameters.strip_suffix(')').filter(|_| is_plan)
}

fn known(words: &[&'static str], text: &str) -> Option<&'static str> {
    words.iter().copied().find(|word| word.eq_ignore_ascii_case(text))
}

/// `countries('US')` as collection and key.
fn with_key(text: &str) -> Option<(&'static str, &str)> {
    let (name, rest) = text.split_once('(')?;
    Some((known(&COLLECTIONS, name)?, rest.strip_suffix(')')?))
}

fn unquoted(text: &str) -> &str {
    let text = text.trim();
    text.strip_prefix('\'')
        .and_then(|text| text.strip_suffix('\''))
        .unwrap_or(text)
}

/// The parts of a key with their names: `aadTenantId=…,applicationFamily='…',name='…'`.
fn named_parts(key: &str) -> Option<NamedKey> {
    let mut parts = Vec::new();
    let mut rest = key;
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=')?;
        let (value, after) = take_value(after.trim_start())?;
        parts.push((name.trim().to_owned(), value));
        rest = after;
    }
    Some(parts)
}

/// The value at the beginning, and what follows the comma behind it.
fn take_value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('\'') else {
        let (value, rest) = text.split_once(',').unwrap_or((text, ""));
        return Some((value.trim().to_owned(), rest));
    };
    let mut value = String::new();
    let mut letters = quoted.chars();
    while let Some(letter) = letters.next() {
        let rest = letters.as_str();
        if letter != '\'' {
            value.push(letter);
        } else if let Some(rest) = rest.strip_prefix('\'') {
            value.push('\'');
            letters = rest.chars();
        } else {
            return Some((value, rest.strip_prefix(',').unwrap_or(rest)));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn routed(path: &str) -> String {
        Routed::of(path).path
    }

    #[test]
    fn every_spelling_comes_to_one_form() {
        for path in [
            "/v1.3/apps/{A}/countries/US/versions",
            "/V1.4/Apps/{A}/COUNTRIES/US/Versions/",
            "/v1.0/apps({A})/countries('US')/versions",
            "/v1.0/apps({A})/countries(countryCode='US')/versions",
        ] {
            let path = path.replace("{A}", "aaaaaaaa-0000-1111-2222-bbbbbbbbbbbb");
            assert_eq!(
                routed(&path),
                "/v1.0/apps/aaaaaaaa-0000-1111-2222-bbbbbbbbbbbb/countries/US/versions"
            );
        }
    }

    #[test]
    fn keys_may_look_like_literals() {
        assert_eq!(
            routed("/v1.0/apps/a/countries/US/environments/Versions"),
            "/v1.0/apps/a/countries/US/environments/Versions"
        );
        assert_eq!(
            routed("/v1.0/apps/a/countries/US/environmentHotfixes/PLAN"),
            "/v1.0/apps/a/countries/US/environmentHotfixes/plan"
        );
        assert_eq!(routed("/v1.0/apps/$count"), "/v1.0/apps/$count");
    }

    #[test]
    fn what_is_called_may_have_its_namespace() {
        for (path, form) in [
            (
                "/v1.0/apps(a)/AppManagement.getMyPermissions",
                "/v1.0/apps/a/getMyPermissions",
            ),
            ("/v1.0/apps(a)/AppManagement.roles()", "/v1.0/apps/a/roles"),
            ("/v1.0/apps(a)/roles()", "/v1.0/apps/a/roles"),
            (
                "/v1.0/apps/a/countries/US/environments/AppManagement.plan",
                "/v1.0/apps/a/countries/US/environments/AppManagement.plan",
            ),
        ] {
            assert_eq!(routed(path), form);
        }
        let plan = "/v1.0/apps(a)/countries('US')/environmentHotfixes/AppManagement.plan(targetAppVersion='16.0.1.2')";
        let plan = Routed::of(plan);
        assert_eq!(plan.path, "/v1.0/apps/a/countries/US/environmentHotfixes/plan");
        let target = ("targetAppVersion".to_owned(), "16.0.1.2".to_owned());
        assert_eq!(plan.named_key, Some(vec![target]));
    }

    #[test]
    fn other_addresses_lose_only_their_last_slash() {
        assert_eq!(routed("/operator/v1/apps/"), "/operator/v1/apps");
        for path in [
            "/openapi.json",
            "/v2.0/apps",
            "/",
            "/operator/v1/environments/a/b/%24count",
        ] {
            assert_eq!(routed(path), path);
        }
    }

    #[test]
    fn a_package_is_where_one_is_served() {
        for path in [
            "/v1.4/apps/a/countries/US/versions/1.0.0.0/GETPACKAGECONTENTS/",
            "/v1.0/apps(a)/countries('US')/versions('1.0.0.0')/getPackageContents",
            "/agent/v1/operations/a/package",
        ] {
            assert!(is_package(&routed(path)), "{path}");
        }
        for path in [
            "/v1.0/apps/a/countries/US/environments/getPackageContents",
            "/v1.0/apps/a/countries/US/environments/package",
            "/operator/v1/environments/a/b/getPackageContents",
            "/operator/v1/environments/a/b/package",
        ] {
            assert!(!is_package(&routed(path)), "{path}");
        }
    }

    #[test]
    fn several_keys_are_read_by_name() {
        let path = "/v1.0/apps/a/countries/US/environments(aadTenantId=t,applicationFamily='Business Central', name='It''s, ours')";
        let expected = [
            ("aadTenantId", "t"),
            ("applicationFamily", "Business Central"),
            ("name", "It's, ours"),
        ];
        assert_eq!(
            Routed::of(path).named_key.unwrap(),
            expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
        assert_eq!(Routed::of("/v1.0/apps(a='open)").named_key, None);
    }

    #[test]
    fn what_is_no_text_is_no_name_either() {
        assert_eq!(routed("/v1.0/apps/%ff"), "/v1.0/apps/%1A");
        assert_eq!(routed("/operator/v1/apps/a%ff/"), "/operator/v1/apps/a%1A");
    }

    /// The last segment, as a handler gets it.
    fn key(path: &str) -> String {
        let routed = Routed::of(path);
        if let Some(parts) = routed.named_key {
            let [(_, name)] = parts.as_slice() else {
                panic!("{path} names {parts:?}");
            };
            return name.clone();
        }
        let segments: Vec<_> = routed.path.split('/').collect();
        let [.., collection, key] = segments.as_slice() else {
            panic!("{path} is routed as {}", routed.path);
        };
        assert_eq!(*collection, "environments", "{path}");
        assert!(!key.starts_with('$'), "{path} is a literal");
        percent_decode_str(key).decode_utf8().unwrap().into_owned()
    }

    fn every_address_of_a_name_leads_to_it(name: &str) {
        let root = "/v1.4/apps/a/countries/US/environments";
        let encoded = utf8_percent_encode(name, NON_ALPHANUMERIC);
        let quoted = name.replace('\'', "''");
        let quoted = utf8_percent_encode(&quoted, NON_ALPHANUMERIC);
        for path in [
            format!("{root}/{encoded}"),
            format!("{root}('{quoted}')"),
            format!("{root}(name='{quoted}')"),
        ] {
            assert_eq!(key(&path), name, "{path}");
        }
    }

    #[test]
    fn names_may_look_like_anything() {
        for name in [
            "a=b",
            "(x=1)",
            "$count",
            "..",
            ".",
            "plan",
            "versions",
            "name='a'",
            "'",
            "''",
            "'a=b",
            "a,b=c",
            "(name='a')",
            "%24count",
            "$metadata",
            "environments('a')",
            "a/b",
            "\u{1a}",
        ] {
            every_address_of_a_name_leads_to_it(name);
        }
        let root = "/v1.4/apps/a/countries/US/environments";
        for name in ["a=b", "(x=1)", "a'b", "(name='a')", "$counts"] {
            assert_eq!(key(&format!("{root}/{name}")), name);
        }
        assert_eq!(key(&format!("{root}(a=b)")), "a=b");
    }

    proptest! {
        #[test]
        fn every_name_has_an_address(name in "[ -~\u{a0}-\u{ff}]{1,12}|[$().=',%/a]{1,8}") {
            every_address_of_a_name_leads_to_it(&name);
        }
    }
}
