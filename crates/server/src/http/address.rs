//! Bringing an address to the one form that is routed: `/v1.0/apps/{id}/countries/{code}/…`.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// What may stand in a segment as it is.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b'$');

/// The collections of the API, as they are routed.
const COLLECTIONS: [&str; 6] = [
    "apps",
    "countries",
    "principals",
    "versions",
    "environments",
    "environmentHotfixes",
];

/// Every other literal of the API.
const WORDS: [&str; 6] = [
    "$metadata",
    "$count",
    "getMyPermissions",
    "roles",
    "getPackageContents",
    "plan",
];

/// The routed form of an address under `/v1.n`; `None` for any other address but for a slash at its end.
pub(crate) fn canonical(path: &str) -> Option<String> {
    let mut segments = path.trim_end_matches('/').split('/').skip(1);
    let first = segments.next()?;
    if !is_api_version(first) {
        let trimmed = path.trim_end_matches('/');
        return (trimmed.len() < path.len() && !trimmed.is_empty()).then(|| trimmed.to_owned());
    }
    let mut routed = String::with_capacity(path.len());
    routed.push_str("/v1.0");
    let mut expects_key = false;
    for segment in segments {
        let text = percent_decode_str(segment).decode_utf8().ok()?;
        expects_key = push_segment(&mut routed, &text, expects_key);
    }
    Some(routed)
}

fn is_api_version(segment: &str) -> bool {
    ["v1.0", "v1.1", "v1.2", "v1.3", "v1.4"]
        .iter()
        .any(|version| version.eq_ignore_ascii_case(segment))
}

/// Adds a segment; whether a key is expected after it.
fn push_segment(routed: &mut String, text: &str, expects_key: bool) -> bool {
    if let Some(word) = known(&WORDS, text).filter(|word| !expects_key || is_word_for_key(word)) {
        push(routed, word);
        return false;
    }
    if expects_key {
        push(routed, text);
        return false;
    }
    if let Some((name, key)) = with_key(text) {
        push(routed, name);
        push(routed, &key);
        return false;
    }
    let collection = known(&COLLECTIONS, text);
    push(routed, collection.unwrap_or(text));
    collection.is_some()
}

/// Literals that stand where a key could. An environment may be called `plan`; hotfixes are known by their ids.
fn is_word_for_key(word: &str) -> bool {
    matches!(word, "$count" | "plan")
}

fn known(words: &[&'static str], text: &str) -> Option<&'static str> {
    words.iter().copied().find(|word| word.eq_ignore_ascii_case(text))
}

/// `countries('US')` as collection and key. Several named keys stay together, in their parentheses.
fn with_key(text: &str) -> Option<(&'static str, String)> {
    let (name, rest) = text.split_once('(')?;
    let name = known(&COLLECTIONS, name)?;
    let key = rest.strip_suffix(')')?;
    if is_composite(key) {
        return Some((name, format!("({key})")));
    }
    Some((
        name,
        unquoted(key.split_once('=').map_or(key, |(_, value)| value))
            .to_owned()
            .replace("''", "'"),
    ))
}

fn is_composite(key: &str) -> bool {
    let mut in_quotes = false;
    let mut equal_signs = 0;
    for letter in key.chars() {
        match letter {
            '\'' => in_quotes = !in_quotes,
            '=' if !in_quotes => equal_signs += 1,
            _ => {}
        }
    }
    equal_signs > 1
}

fn unquoted(text: &str) -> &str {
    let text = text.trim();
    text.strip_prefix('\'')
        .and_then(|text| text.strip_suffix('\''))
        .unwrap_or(text)
}

fn push(routed: &mut String, segment: &str) {
    routed.push('/');
    routed.extend(utf8_percent_encode(segment, PLAIN));
}

/// The named parts of a composite key: `(aadTenantId=…,applicationFamily='…',name='…')`.
pub(crate) fn composite_key(text: &str) -> Option<Vec<(String, String)>> {
    let inner = text.strip_prefix('(')?.strip_suffix(')')?;
    let mut parts = Vec::new();
    let mut rest = inner;
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=')?;
        let (value, after) = take_value(after)?;
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
                canonical(&path).unwrap(),
                "/v1.0/apps/aaaaaaaa-0000-1111-2222-bbbbbbbbbbbb/countries/US/versions"
            );
        }
    }

    #[test]
    fn keys_may_look_like_literals() {
        assert_eq!(
            canonical("/v1.0/apps/a/countries/US/environments/Versions").unwrap(),
            "/v1.0/apps/a/countries/US/environments/Versions"
        );
        assert_eq!(
            canonical("/v1.0/apps/a/countries/US/environmentHotfixes/PLAN").unwrap(),
            "/v1.0/apps/a/countries/US/environmentHotfixes/plan"
        );
        assert_eq!(canonical("/v1.0/apps/$count").unwrap(), "/v1.0/apps/$count");
    }

    #[test]
    fn other_addresses_lose_only_their_last_slash() {
        assert_eq!(canonical("/operator/v1/apps/").unwrap(), "/operator/v1/apps");
        assert_eq!(canonical("/openapi.json"), None);
        assert_eq!(canonical("/v2.0/apps"), None);
        assert_eq!(canonical("/"), None);
    }

    #[test]
    fn several_keys_are_read_by_name() {
        let segment = canonical("/v1.0/apps/a/countries/US/environments(aadTenantId=t,applicationFamily='Business Central',name='It''s, ours')").unwrap();
        let key = percent_decode_str(segment.rsplit('/').next().unwrap())
            .decode_utf8()
            .unwrap()
            .into_owned();
        let parts = composite_key(&key).unwrap();
        let expected = [
            ("aadTenantId", "t"),
            ("applicationFamily", "Business Central"),
            ("name", "It's, ours"),
        ];
        assert_eq!(
            parts,
            expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
        assert_eq!(composite_key("(a='open"), None);
    }
}
