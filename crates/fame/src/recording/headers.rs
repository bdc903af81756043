//! Headers: all names are kept, and of values what such headers are made of.

use super::{
    cleaning::REMOVED,
    pseudonyms::{Kind, Pseudonyms},
    vocabulary::is_small_number,
};
use reqwest::header::HeaderMap;
use std::collections::BTreeMap;

/// The longest value that is looked at, in bytes.
const LONGEST: usize = 2_000;
/// The longest name of a part that is kept.
const LONGEST_NAME: usize = 80;

/// How the value of a header is kept.
#[derive(Clone, Copy)]
pub(super) enum Kept {
    /// The words that are known of such headers, and small numbers.
    Words,
    /// Without the ids in it.
    WithoutIds,
    /// The names of its parts, without their values.
    Names,
}

pub(super) const OF_REQUESTS: &[(&str, Kept)] = &[
    ("accept", Kept::Words),
    ("content-type", Kept::Words),
    ("if-match", Kept::WithoutIds),
    ("if-none-match", Kept::WithoutIds),
    ("odata-maxversion", Kept::Words),
    ("odata-version", Kept::Words),
    ("prefer", Kept::Words),
    ("range", Kept::Words),
];

pub(super) const OF_ANSWERS: &[(&str, Kept)] = &[
    ("accept-ranges", Kept::Words),
    ("allow", Kept::Words),
    ("content-disposition", Kept::Names),
    ("content-type", Kept::Words),
    ("etag", Kept::WithoutIds),
    ("odata-version", Kept::Words),
    ("preference-applied", Kept::Words),
    ("retry-after", Kept::Words),
    ("www-authenticate", Kept::Names),
];

/// The words of media types, preferences, ranges and methods, and of their parameters.
const WORDS: &[&str] = &[
    "*/*",
    "application/*",
    "application/http",
    "application/json",
    "application/octet-stream",
    "application/problem+json",
    "application/xml",
    "multipart/mixed",
    "text/*",
    "text/csv",
    "text/html",
    "text/plain",
    "text/xml",
    "charset",
    "q",
    "utf-8",
    "us-ascii",
    "iso-8859-1",
    "ieee754compatible",
    "exponentialdecimals",
    "metadata",
    "odata",
    "odata.metadata",
    "odata.streaming",
    "streaming",
    "json",
    "full",
    "minimal",
    "none",
    "verbose",
    "nometadata",
    "minimalmetadata",
    "fullmetadata",
    "true",
    "false",
    "allow-entityreferences",
    "odata.allow-entityreferences",
    "continue-on-error",
    "odata.continue-on-error",
    "handling",
    "lenient",
    "strict",
    "maxpagesize",
    "odata.maxpagesize",
    "representation",
    "respond-async",
    "return",
    "track-changes",
    "odata.track-changes",
    "wait",
    "bytes",
    "connect",
    "delete",
    "get",
    "head",
    "options",
    "patch",
    "post",
    "put",
    "trace",
];

/// The headers of a message as they are kept.
pub(super) fn headers(
    known: &mut Pseudonyms,
    headers: &HeaderMap,
    kept: &[(&str, Kept)],
) -> BTreeMap<String, String> {
    let mut clean = BTreeMap::new();
    for (name, value) in headers {
        let value = value.to_str().unwrap_or_default();
        let how = kept.iter().find(|(kept, _)| *kept == name.as_str());
        let value = match how.filter(|_| value.len() <= LONGEST) {
            Some((_, Kept::Words)) => words(known, value),
            Some((_, Kept::WithoutIds)) => tags(known, value),
            Some((_, Kept::Names)) => names_of_parts(value),
            None => REMOVED.to_owned(),
        };
        clean.insert(name.as_str().to_owned(), value);
    }
    clean
}

/// A value with pseudonyms for the parts that are none of such headers: a parameter that nobody knows is one, its value with
/// it.
pub(super) fn words(known: &mut Pseudonyms, value: &str) -> String {
    value
        .split_inclusive([',', ';'])
        .map(|part| {
            let bare = part.trim_end_matches([',', ';']);
            let (space, end) = (bare.len() - bare.trim_start().len(), part.get(bare.len()..));
            let space = bare.get(..space).unwrap_or_default();
            format!(
                "{space}{}{}",
                self::part(known, bare.trim()),
                end.unwrap_or_default()
            )
        })
        .collect()
}

fn part(known: &mut Pseudonyms, part: &str) -> String {
    match part.split_once('=') {
        _ if part.is_empty() => String::new(),
        None if is_of_headers(part) => part.to_owned(),
        Some((name, value)) if is_of_headers(name.trim()) => {
            let bare = value.trim().trim_matches('"');
            match bare.is_empty() || is_of_headers(bare) || is_range(bare) {
                true => part.to_owned(),
                false => format!("{}={}", name.trim(), known.of(Kind::Text, bare)),
            }
        }
        _ => known.of(Kind::Text, part),
    }
}

fn is_of_headers(word: &str) -> bool {
    let is_number = || {
        let (whole, fraction) = word.split_once('.').unwrap_or((word, "0"));
        is_small_number(whole) && is_small_number(fraction)
    };
    WORDS.contains(&word.to_ascii_lowercase().as_str()) || is_number()
}

/// Whether a text is the first and the last byte of a range, or one of them.
fn is_range(text: &str) -> bool {
    let is_place = |place: &str| place.is_empty() || is_small_number(place);
    text.split_once('-')
        .is_some_and(|(first, last)| is_place(first) && is_place(last))
}

/// An entity tag, or several: its form, with pseudonyms for what it is made of.
fn tags(known: &mut Pseudonyms, value: &str) -> String {
    let tags = value.split(',').map(|tag| {
        let tag = tag.trim();
        let bare = tag.trim_start_matches("W/").trim_matches('"');
        match bare {
            "" | "*" => tag.to_owned(),
            bare => tag.replacen(bare, &known.of(Kind::Etag, bare), 1),
        }
    });
    tags.collect::<Vec<_>>().join(", ")
}

/// The names of the parts of `content-disposition` and `www-authenticate`.
const PARTS: &[&str] = &[
    "attachment",
    "inline",
    "filename",
    "filename*",
    "bearer",
    "basic",
    "negotiate",
    "ntlm",
    "authorization",
    "authorization_uri",
    "claims",
    "client_id",
    "error",
    "error_description",
    "realm",
    "resource_id",
    "scope",
];

/// `Bearer realm, authorization_uri` of `Bearer realm="…", authorization_uri="…"`.
fn names_of_parts(value: &str) -> String {
    let outside: String = value.split('"').step_by(2).collect();
    let is_name = |text: &&str| {
        let mut words = text.split_whitespace().peekable();
        words.peek().is_some()
            && text.len() <= LONGEST_NAME
            && words.all(|word| PARTS.contains(&word.to_ascii_lowercase().as_str()))
    };
    let parts = outside.split([',', ';']);
    let names = parts.map(|part| part.split('=').next().unwrap_or_default().trim());
    names.filter(is_name).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::{HeaderName, HeaderValue};

    const ID: &str = "aaaabbbb-0000-cccc-1111-dddd2222eeee";

    #[test]
    fn headers_keep_their_names() {
        let mut raw = HeaderMap::new();
        for (name, value) in [
            ("authorization", "Bearer x"),
            ("cookie", "a=b"),
            ("content-type", "application/json; charset=utf-8"),
            ("etag", "W/\"5c47bfb0-d80c-4780-99ed-c3a3d38ac539\""),
            ("ms-correlation-x", ID),
            (
                "content-disposition",
                "attachment; filename=\"a, b; c=d.app\"; filename*=UTF-8''x",
            ),
            (
                "www-authenticate",
                "Bearer realm=\"x, secret, y\", authorization_uri=\"https://login/t\", contoso=\"x\"",
            ),
            ("allow", "GET, POST"),
            ("retry-after", "5"),
        ] {
            raw.insert(
                HeaderName::from_static(name),
                HeaderValue::from_str(value).unwrap(),
            );
        }
        let clean = headers(&mut Pseudonyms::default(), &raw, OF_ANSWERS);
        let clean: Vec<_> = clean
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        assert_eq!(
            clean,
            [
                ("allow", "GET, POST"),
                ("authorization", REMOVED),
                ("content-disposition", "attachment, filename, filename*"),
                ("content-type", "application/json; charset=utf-8"),
                ("cookie", REMOVED),
                ("etag", "W/\"{etag-1}\""),
                ("ms-correlation-x", REMOVED),
                ("retry-after", "5"),
                ("www-authenticate", "Bearer realm, authorization_uri"),
            ]
        );
    }

    #[test]
    fn parameters_that_nobody_knows_are_no_words_of_the_api() {
        for (written, clean) in [
            (
                "return=minimal, odata.maxpagesize=5",
                "return=minimal, odata.maxpagesize=5",
            ),
            ("return=minimal; contoso=secret", "return=minimal; {text-1}"),
            ("wait=4512345678", "wait={text-1}"),
            ("maxpagesize=\"Jane\"", "maxpagesize={text-1}"),
            ("multipart/mixed; boundary=contoso", "multipart/mixed; {text-1}"),
            (
                "application/vnd.contoso+json;charset=utf-8",
                "{text-1};charset=utf-8",
            ),
            (
                "application/json;odata.metadata=minimal, */*;q=0.8",
                "application/json;odata.metadata=minimal, */*;q=0.8",
            ),
            ("bytes=0-99", "bytes=0-99"),
            ("jane@localhost", "{text-1}"),
        ] {
            assert_eq!(words(&mut Pseudonyms::default(), written), clean);
        }
    }
}
