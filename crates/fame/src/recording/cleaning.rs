//! What is kept of an exchange: what is known to be harmless, and pseudonyms for all else.

use super::{
    body::{of_base64, package},
    format::{Answered, Asked, Body},
    pseudonyms::{Kind, Pseudonyms, as_guid, kind_of},
};
use domain::{
    catalogue::STANDARD_APPS,
    country::CountryCode,
    environment::EnvironmentKind,
    instant::Instant,
    operation::OperationStatus,
    principal::{PrincipalKind, Role},
    redaction::redacted,
    version::{AppVersion, Availability, SyncMode, VersionStatus},
};
use percent_encoding::percent_decode_str;
use reqwest::header::HeaderMap;
use serde_json::{Map, Value};
use std::{collections::BTreeMap, sync::LazyLock};
use wire::{
    Entity,
    apps::App,
    countries::Country,
    environments::Environment,
    hotfixes::{EnvironmentHotfix, PlanRow},
    principals::Principal,
    versions::{Dependency, Version},
};

/// What stands in the place of what nobody is to see.
pub(crate) const REMOVED: &str = "(removed)";
/// The most characters of a message that are kept.
const LONGEST_MESSAGE: usize = 2_000;
/// The longest name of a member, or of a query option, that is kept.
const LONGEST_NAME: usize = 80;

/// A request as it was made.
pub(crate) struct RawRequest {
    pub method: String,
    /// The path, percent-encoded.
    pub path: String,
    /// The query, percent-encoded.
    pub query: Option<String>,
    pub headers: HeaderMap,
    pub body: Body,
}

/// What is kept of a request.
pub(crate) fn request(known: &mut Pseudonyms, raw: RawRequest) -> Asked {
    let path = path(known, &raw.path);
    let collection = collection(&raw.path);
    Asked {
        method: raw.method,
        query: raw
            .query
            .as_deref()
            .map_or_else(Vec::new, |query| options(known, query)),
        headers: headers(known, &raw.headers, REQUEST_HEADERS),
        body: body(known, raw.body, &collection),
        path,
    }
}

/// What is kept of an answer to a request for `path`.
pub(crate) fn answer(
    known: &mut Pseudonyms,
    path: &str,
    status: u16,
    raw: &HeaderMap,
    seen: Body,
) -> Answered {
    Answered {
        status,
        headers: headers(known, raw, ANSWER_HEADERS),
        body: body(known, seen, &collection(path)),
    }
}

/// The literals of addresses in the App Management API.
const LITERALS: &[&str] = &[
    "apps",
    "countries",
    "principals",
    "roles",
    "versions",
    "environments",
    "environmenthotfixes",
    "plan",
    "webhooks",
    "deliveries",
    "rotate",
    "test",
    "replay",
    "publishers",
    "getmypermissions",
    "getpackagecontents",
    "$count",
    "$metadata",
];

/// Whether `path` is one of the App Management API: nothing else is recorded or replayed.
pub(crate) fn is_of_the_api(path: &str) -> bool {
    let first = path.trim_start_matches('/').split('/').next().unwrap_or_default();
    path.starts_with('/') && is_api_version(first)
}

fn is_api_version(segment: &str) -> bool {
    let number = segment.strip_prefix(['v', 'V']).unwrap_or_default();
    let (major, minor) = number.split_once('.').unwrap_or((number, "0"));
    let is_number =
        |text: &str| (1..=3).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number(major) && is_number(minor)
}

/// The collection that a path leads to or into, in lower case; empty where there is none.
fn collection(path: &str) -> String {
    let named = path.rsplit('/').map(|segment| {
        let name = segment.split('(').next().unwrap_or_default();
        name.to_ascii_lowercase()
    });
    let of_entities = [
        "apps",
        "countries",
        "principals",
        "versions",
        "environments",
        "environmenthotfixes",
    ];
    let mut named = named.filter(|name| of_entities.contains(&name.as_str()));
    named.next().unwrap_or_default()
}

/// What an id is, going by the collection that it stands in.
fn kind_in(collection: &str) -> Kind {
    match collection {
        "apps" => Kind::App,
        "principals" => Kind::Principal,
        "environmenthotfixes" => Kind::Hotfix,
        "environments" => Kind::Name,
        _ => Kind::Id,
    }
}

fn path(known: &mut Pseudonyms, path: &str) -> String {
    let mut above = String::new();
    let mut clean = Vec::new();
    for segment in path.split('/') {
        let decoded = percent_decode_str(segment).decode_utf8_lossy();
        let lower = decoded.to_ascii_lowercase();
        let is_kept = LITERALS.contains(&lower.as_str()) || is_api_version(&decoded) || is_plain(&decoded);
        clean.push(match (is_kept, decoded.split_once('(')) {
            (true, _) => segment.to_owned(),
            (false, Some((name, key))) if LITERALS.contains(&name.to_ascii_lowercase().as_str()) => {
                format!("{name}({}", expression(known, key))
            }
            _ => known.of(kind_in(&above), &decoded),
        });
        above = lower;
    }
    clean.join("/")
}

/// The options of a query, decoded and cleaned.
fn options(known: &mut Pseudonyms, query: &str) -> Vec<(String, String)> {
    let decode = |text: &str| {
        let text = text.replace('+', " ");
        percent_decode_str(&text).decode_utf8_lossy().into_owned()
    };
    let pairs = query.split('&').filter(|option| !option.is_empty());
    pairs
        .map(|option| {
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            let (name, value) = (decode(name), decode(value));
            let value = match name.to_ascii_lowercase().as_str() {
                "$filter" | "$orderby" | "$select" | "filter" | "orderby" | "select" => {
                    expression(known, &value)
                }
                "aadtenantid" => text(known, Kind::Tenant, &value),
                _ => text(known, Kind::Text, &value),
            };
            (member_name(known, &name), value)
        })
        .collect()
}

/// Words that stand in expressions besides names of properties.
const EXPRESSION_WORDS: &[&str] = &[
    "eq",
    "ne",
    "gt",
    "ge",
    "lt",
    "le",
    "and",
    "or",
    "not",
    "in",
    "has",
    "asc",
    "desc",
    "any",
    "all",
    "contains",
    "startswith",
    "endswith",
    "tolower",
    "toupper",
    "trim",
    "length",
    "indexof",
    "substring",
    "concat",
    "year",
    "month",
    "day",
    "hour",
    "minute",
    "second",
    "now",
    "date",
    "time",
    "matchespattern",
    "add",
    "sub",
    "mul",
    "div",
    "mod",
    "null",
    "true",
    "false",
];

/// An OData expression in which every literal and every name that nobody knows is a pseudonym.
fn expression(known: &mut Pseudonyms, expression: &str) -> String {
    let mut clean = String::new();
    let mut rest = expression;
    while let Some(first) = rest.chars().next() {
        let (piece, after) = match first {
            '\'' => quoted(rest),
            _ if is_of_words(first) => {
                rest.split_at(rest.find(|next| !is_of_words(next)).unwrap_or(rest.len()))
            }
            _ => rest.split_at(first.len_utf8()),
        };
        clean += &match (first, piece) {
            ('\'', literal) => {
                let inner = literal.trim_matches('\'').replace("''", "'");
                format!("'{}'", text(known, Kind::Text, &inner))
            }
            (_, word) if !is_of_words(first) || is_known_word(word) || is_plain(word) => word.to_owned(),
            (_, word) => known.of(Kind::Text, word),
        };
        rest = after;
    }
    clean
}

/// A literal in quotes at the beginning of `text`, and what comes after it.
fn quoted(text: &str) -> (&str, &str) {
    let mut end = 1;
    let mut quotes = text.match_indices('\'').skip(1).peekable();
    while let Some((at, _)) = quotes.next() {
        end = at + 1;
        // Two in a row are one of the text.
        if quotes.next_if(|(next, _)| *next == end).is_none() {
            return text.split_at(end);
        }
    }
    match end {
        1 => (text, ""),
        _ => text.split_at(text.len()),
    }
}

fn is_of_words(character: char) -> bool {
    character.is_alphanumeric() || "_.-$@:+".contains(character)
}

fn is_known_word(word: &str) -> bool {
    EXPRESSION_WORDS
        .iter()
        .any(|known| known.eq_ignore_ascii_case(word))
        || is_property(word)
}

/// The names of all properties of the API, in lower case.
static PROPERTIES: LazyLock<Vec<String>> = LazyLock::new(|| {
    let all = [
        App::PROPERTIES,
        Country::PROPERTIES,
        Principal::PROPERTIES,
        Version::PROPERTIES,
        Dependency::PROPERTIES,
        Environment::PROPERTIES,
        EnvironmentHotfix::PROPERTIES,
        PlanRow::PROPERTIES,
        &["packageContents", "initialAvailability"],
    ];
    all.concat().iter().map(|name| name.to_lowercase()).collect()
});

fn is_property(word: &str) -> bool {
    PROPERTIES.contains(&word.to_lowercase())
}

/// Whether a text is one that many have, and that tells of nobody.
fn is_plain(text: &str) -> bool {
    let is_number = !text.is_empty() && text.len() < 20 && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_standard =
        || as_guid(text).is_some_and(|id| id.is_nil() || STANDARD_APPS.iter().any(|app| app.0.0 == id));
    text.is_empty()
        || is_number
        || is_word(text)
        || is_version(text)
        || is_time(text)
        || is_country(text)
        || is_standard()
}

fn is_word(text: &str) -> bool {
    let is_family = ["Business Central", "BusinessCentral"].contains(&text);
    let is_permission = text.split_once('/').is_some_and(|(what, how)| {
        LITERALS.contains(&what.to_ascii_lowercase().as_str()) && ["read", "write"].contains(&how)
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

fn is_country(text: &str) -> bool {
    text.len() == 2 && (text == "W1" || text.parse::<CountryCode>().is_ok())
}

/// A text of which `kind` says what it is where it is nothing that is kept.
fn text(known: &mut Pseudonyms, kind: Kind, text: &str) -> String {
    // Somebody's name may be a number, or two letters.
    let is_kept = match kind {
        Kind::Name | Kind::Email => text.is_empty() || is_word(text),
        _ => is_plain(text),
    };
    if is_kept {
        return text.to_owned();
    }
    let kind = match kind {
        _ if as_guid(text).is_some() => kind,
        _ if text.contains("://") => Kind::Address,
        _ if is_email(text) => Kind::Email,
        kind => kind,
    };
    known.of(kind, text)
}

fn is_email(text: &str) -> bool {
    let ends = text.rsplit_once('@');
    ends.is_some_and(|(name, host)| {
        !name.is_empty() && host.contains('.') && !text.contains(char::is_whitespace)
    })
}

/// A message for people: without secrets, ids, addresses, names that were seen elsewhere, and what stands in quotes.
fn message(known: &mut Pseudonyms, message: &str) -> String {
    let message: String = redacted(message).chars().take(LONGEST_MESSAGE).collect();
    let words = message.split_inclusive(char::is_whitespace).map(|word| {
        let bare = word.trim_matches(|end: char| !end.is_alphanumeric());
        match !bare.is_empty() && (is_email(bare) || bare.contains("://")) {
            true => word.replacen(bare, &text(known, Kind::Email, bare), 1),
            false => word.to_owned(),
        }
    });
    let message: String = words.collect();
    let unquoted = without_quoted(known, &message);
    known.in_text(Kind::Id, &unquoted)
}

/// The text with a pseudonym for what stands in quotes and is no word of the API.
fn without_quoted(known: &mut Pseudonyms, message: &str) -> String {
    let mut clean = String::new();
    let mut rest = message;
    let mut before = ' ';
    while let Some(first) = rest.chars().next() {
        let is_opening = "'\"`“‘«".contains(first) && !before.is_alphanumeric();
        if let Some((inner, quote, after)) = is_opening.then(|| in_quotes(rest, first)).flatten() {
            clean.push(first);
            clean += &match is_plain(inner) || is_known_word(inner) || kind_of(inner).is_some() {
                true => inner.to_owned(),
                false => text(known, Kind::Text, inner),
            };
            clean.push(quote);
            (rest, before) = (after, quote);
            continue;
        }
        clean.push(first);
        before = first;
        rest = rest.get(first.len_utf8()..).unwrap_or_default();
    }
    clean
}

/// What stands in quotes at the beginning of `text`, the quote at its end, and what comes after it.
fn in_quotes(text: &str, opening: char) -> Option<(&str, char, &str)> {
    let closing = match opening {
        '“' => '”',
        '‘' => '’',
        '«' => '»',
        same => same,
    };
    let inside = text.get(opening.len_utf8()..)?;
    let mut ends = inside.match_indices(closing).map(|(at, _)| at);
    let end = ends.find(|at| {
        let after = inside.get(at + closing.len_utf8()..).unwrap_or_default();
        !after.starts_with(char::is_alphanumeric)
    })?;
    let after = inside.get(end + closing.len_utf8()..)?;
    Some((inside.get(..end)?, closing, after)).filter(|(inner, ..)| !inner.is_empty())
}

/// The name of a member or an option, unless it is none that somebody chose for a program.
fn member_name(known: &mut Pseudonyms, name: &str) -> String {
    let is_of_programs = |character: char| character.is_ascii_alphanumeric() || "_@.$-".contains(character);
    let is_name = !name.is_empty() && name.len() <= LONGEST_NAME && name.chars().all(is_of_programs);
    match is_name
        && !name.starts_with(|first: char| first.is_ascii_digit())
        && as_guid(name).is_none()
        && !is_email(name)
    {
        true => name.to_owned(),
        false => known.of(Kind::Text, name),
    }
}

fn body(known: &mut Pseudonyms, body: Body, collection: &str) -> Body {
    match body {
        Body::Json(json) => Body::Json(value(known, json, "", collection)),
        other => other,
    }
}

/// Members whose values are secrets, in lower case.
const SECRETS: &[&str] = &[
    "access_token",
    "refresh_token",
    "id_token",
    "token",
    "client_secret",
    "client_assertion",
    "secret",
    "password",
    "assertion",
];

/// A value that stands in the member `name`, in lower case.
fn value(known: &mut Pseudonyms, json: Value, name: &str, collection: &str) -> Value {
    match json {
        _ if SECRETS.contains(&name) => REMOVED.into(),
        Value::Null | Value::Bool(_) | Value::Number(_) => json,
        Value::Array(items) => {
            let items = items.into_iter();
            items.map(|item| value(known, item, name, collection)).collect()
        }
        Value::Object(members) => {
            condensed(name, &members).unwrap_or_else(|| object(known, members, collection))
        }
        Value::String(text) if name == "packagecontents" => of_base64(&text),
        Value::String(text) => string(known, &text, name, collection).into(),
    }
}

fn object(known: &mut Pseudonyms, members: Map<String, Value>, collection: &str) -> Value {
    let clean = members.into_iter().map(|(name, member)| {
        let member = value(known, member, &name.to_lowercase(), collection);
        (member_name(known, &name), member)
    });
    clean.collect::<Map<_, _>>().into()
}

/// What already stands in the place of a package or a long text.
fn condensed(name: &str, members: &Map<String, Value>) -> Option<Value> {
    let length = |kind: &str| members.get(kind)?.get("length")?.as_u64();
    let text = || Some(serde_json::json!({"longText": {"length": length("longText")?}}));
    let sha256 = || {
        let sha256 = members.get("package")?.get("sha256")?.as_str()?;
        let is_digest = sha256.len() == 64 && sha256.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_digest.then_some(sha256)
    };
    match members.len() {
        1 if name == "packagecontents" && members.contains_key("package") => {
            Some(package(length("package")?, sha256()?))
        }
        1 if members.contains_key("longText") => text(),
        // A long base64 anywhere else is nobody's package.
        1 if members.contains_key("package") => {
            sha256()?;
            Some(serde_json::json!({"longText": {"length": length("package")?}}))
        }
        _ => None,
    }
}

fn string(known: &mut Pseudonyms, text_of: &str, name: &str, collection: &str) -> String {
    let kind = match name {
        "message" | "errormessage" | "description" | "error_description" => return message(known, text_of),
        "code" | "clienterror" if is_code(text_of) => return text_of.to_owned(),
        "target" if is_property(text_of) => return text_of.to_owned(),
        "id" => kind_in(collection),
        "appid" => Kind::App,
        "_etag" | "etag" => Kind::Etag,
        _ if name.eq_ignore_ascii_case("packageId") => Kind::Package,
        "operationid" => Kind::Hotfix,
        "storagelocation" | "locationname" => Kind::Location,
        _ if name.ends_with("tenantid") => Kind::Tenant,
        _ if name.ends_with("email") => Kind::Email,
        _ if name.ends_with("name") || name == "publisher" => Kind::Name,
        _ => Kind::Text,
    };
    text(known, kind, text_of)
}

/// Whether a text is a code for programs.
fn is_code(text: &str) -> bool {
    let is_of_codes = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    let is_short = (1..=LONGEST_NAME).contains(&text.len());
    is_short && text.bytes().all(is_of_codes) && as_guid(text).is_none()
}

/// How the value of a header is kept.
#[derive(Clone, Copy)]
enum Kept {
    /// As it is.
    Whole,
    /// Without the ids in it.
    WithoutIds,
    /// The names of its parts, without their values.
    Names,
}

const REQUEST_HEADERS: &[(&str, Kept)] = &[
    ("accept", Kept::Whole),
    ("content-type", Kept::Whole),
    ("if-match", Kept::WithoutIds),
    ("if-none-match", Kept::WithoutIds),
    ("odata-maxversion", Kept::Whole),
    ("odata-version", Kept::Whole),
    ("prefer", Kept::Whole),
    ("range", Kept::Whole),
];

const ANSWER_HEADERS: &[(&str, Kept)] = &[
    ("accept-ranges", Kept::Whole),
    ("allow", Kept::Whole),
    ("content-disposition", Kept::Names),
    ("content-type", Kept::Whole),
    ("etag", Kept::WithoutIds),
    ("odata-version", Kept::Whole),
    ("preference-applied", Kept::Whole),
    ("retry-after", Kept::Whole),
    ("www-authenticate", Kept::Names),
];

fn headers(known: &mut Pseudonyms, headers: &HeaderMap, kept: &[(&str, Kept)]) -> BTreeMap<String, String> {
    let mut clean = BTreeMap::new();
    for (name, value) in headers {
        let value = value.to_str().unwrap_or_default();
        let how = kept.iter().find(|(kept, _)| *kept == name.as_str());
        let value = match how.filter(|_| value.len() <= LONGEST_MESSAGE) {
            Some((_, Kept::Whole)) if as_tokens(value) => value.to_owned(),
            Some((_, Kept::WithoutIds)) => tags(known, value),
            Some((_, Kept::Names)) => names_of_parts(value),
            _ => REMOVED.to_owned(),
        };
        clean.insert(name.as_str().to_owned(), value);
    }
    clean
}

/// Whether a value holds nothing but what such headers hold: no address, no id.
fn as_tokens(value: &str) -> bool {
    let is_of_tokens = |byte: u8| byte.is_ascii_alphanumeric() || b" ,;=/*+.-_\"".contains(&byte);
    let has_id = value
        .split(|character: char| !character.is_ascii_hexdigit() && character != '-')
        .any(|part| as_guid(part).is_some());
    value.bytes().all(is_of_tokens) && !value.contains("//") && !has_id
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

/// `Bearer realm, authorization_uri` of `Bearer realm="…", authorization_uri="…"`.
fn names_of_parts(value: &str) -> String {
    let outside: String = value.split('"').step_by(2).collect();
    let is_name = |text: &&str| {
        let is_of_names = |character: char| character.is_ascii_alphanumeric() || "_-* ".contains(character);
        !text.is_empty() && text.len() <= LONGEST_NAME && text.chars().all(is_of_names)
    };
    let parts = outside.split([',', ';']);
    let names = parts.map(|part| part.split('=').next().unwrap_or_default().trim());
    names.filter(is_name).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use reqwest::header::{HeaderName, HeaderValue};
    use serde_json::json;

    const APP: &str = "aaaaaaaa-0000-1111-2222-bbbbbbbbbbbb";
    const TENANT: &str = "aaaabbbb-0000-cccc-1111-dddd2222eeee";
    const SECRET: &str = "eyJhbGciOiJSUzI1NiJ9.eyJhdWQiOiJ4In0xx.c2lnbmF0dXJl";

    fn asked(path: &str, query: Option<&str>) -> RawRequest {
        RawRequest {
            method: "GET".into(),
            path: path.into(),
            query: query.map(str::to_owned),
            headers: HeaderMap::new(),
            body: Body::None,
        }
    }

    fn cleaned(known: &mut Pseudonyms, path: &str, json: Value) -> Value {
        match answer(known, path, 200, &HeaderMap::new(), Body::Json(json)).body {
            Body::Json(json) => json,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn addresses_lose_ids_and_names_and_keep_the_words_of_the_api() {
        let mut known = Pseudonyms::default();
        let path = format!("/v1.4/apps/{APP}/countries/US/environments/My%20Customer");
        let query = "$filter=name%20eq%20'O''Neil'%20and%20type+eq+'Sandbox'%20and%20aadTenantId eq AAAABBBB-0000-cccc-1111-dddd2222eeee and secret lt '16.0.1.2'&$top=5&who=nobody";
        let clean = request(&mut known, asked(&path, Some(query)));
        assert_eq!(
            clean.path,
            "/v1.4/apps/{app-1}/countries/US/environments/{name-1}"
        );
        assert_eq!(
            clean.query,
            [
                (
                    "$filter".to_owned(),
                    "name eq '{text-1}' and type eq 'Sandbox' and aadTenantId eq {id-1} and {text-2} lt '16.0.1.2'".to_owned()
                ),
                ("$top".to_owned(), "5".to_owned()),
                ("who".to_owned(), "{text-3}".to_owned()),
            ]
        );
        let keyed = format!("/v1.4/apps({APP})/countries('us')/versions/16.0.1.2/getPackageContents");
        let clean = request(&mut known, asked(&keyed, None));
        assert_eq!(
            clean.path,
            "/v1.4/apps({app-1})/countries('us')/versions/16.0.1.2/getPackageContents"
        );
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
    fn rows_keep_their_form_and_lose_what_they_are_about() {
        let mut known = Pseudonyms::default();
        let rows = json!({"value": [{
            "id": APP, "publisher": "Contoso", "publisherAadTenantId": TENANT, "publisherContactEmail": "a@contoso.com",
            "storageLocation": "West Europe", "new": "Contoso", "_etag": "5c47bfb0-d80c-4780-99ed-c3a3d38ac539", "count": 3,
            "createdOn": "2020-03-05T15:41:20.6468128Z", "version": "16.0.1.2", "status": "Scheduled", "countryCode": "US",
            "dependencies": [{"appId": "63ca2fa4-4f03-4f2b-a480-172fef340d3f"}], "access_token": SECRET,
        }], "@odata.nextLink": "https://contoso.com/v1.4/apps?$skiptoken=x"});
        assert_eq!(
            cleaned(&mut known, "/v1.4/apps", rows),
            json!({"value": [{
                "id": "{app-1}", "publisher": "{name-1}", "publisherAadTenantId": "{tenant-1}",
                "publisherContactEmail": "{email-1}", "storageLocation": "{location-1}", "new": "{name-1}", "_etag": "{etag-1}",
                "count": 3, "createdOn": "2020-03-05T15:41:20.6468128Z", "version": "16.0.1.2", "status": "Scheduled",
                "countryCode": "US", "dependencies": [{"appId": "63ca2fa4-4f03-4f2b-a480-172fef340d3f"}],
                "access_token": REMOVED,
            }], "@odata.nextLink": "{address-1}"})
        );
        let hotfixes = format!("/v1.4/apps/{APP}/countries/US/environmentHotfixes");
        let row = json!({"id": "dddddddd-3333-4444-5555-eeeeeeeeeeee", "errorMessage": null});
        assert_eq!(
            cleaned(&mut known, &hotfixes, row),
            json!({"id": "{hotfix-1}", "errorMessage": null})
        );
        let odd = json!({APP: 1, "My Customer": 2, "5": 3, "PackageContents": "AQID", "x": {"package": {"length": 9, "sha256": "secret"}}});
        let clean = cleaned(&mut known, "/v1.4/apps", odd).to_string();
        assert!(
            !clean.contains("Customer") && !clean.contains("secret") && !clean.contains(APP),
            "{clean}"
        );
        assert!(
            clean.contains("\"PackageContents\":{\"package\":{\"length\":3"),
            "{clean}"
        );
    }

    #[test]
    fn messages_lose_whoever_they_are_about() {
        let mut known = Pseudonyms::default();
        known.of(Kind::Name, "CRONUS");
        let told = format!(
            "The environment Cronus of {TENANT} isn't one of 'Fabrikam Ltd.', says jane@fabrikam.com (Bearer {SECRET}); set 'runAfter' at https://fabrikam.com/x."
        );
        let clean = cleaned(
            &mut known,
            "/v1.4/apps",
            json!({"code": "EntityValidationFailed", "message": told}),
        );
        assert_eq!(
            clean,
            json!({"code": "EntityValidationFailed", "message":
                "The environment {name-1} of {id-1} isn't one of '{text-1}', says {email-1} (Bearer ***); set 'runAfter' at {address-1}."})
        );
    }

    #[test]
    fn headers_keep_their_names() {
        let mut raw = HeaderMap::new();
        for (name, value) in [
            ("authorization", "Bearer x"),
            ("cookie", "a=b"),
            ("content-type", "application/json; charset=utf-8"),
            ("etag", "W/\"5c47bfb0-d80c-4780-99ed-c3a3d38ac539\""),
            ("ms-correlation-x", TENANT),
            (
                "content-disposition",
                "attachment; filename=\"a, b; c=d.app\"; filename*=UTF-8''x",
            ),
            (
                "www-authenticate",
                "Bearer realm=\"x, secret, y\", authorization_uri=\"https://login/t\"",
            ),
            ("allow", "GET, POST"),
            ("retry-after", "5"),
        ] {
            raw.insert(
                HeaderName::from_static(name),
                HeaderValue::from_str(value).unwrap(),
            );
        }
        let mut known = Pseudonyms::default();
        let clean = answer(&mut known, "/v1.4/apps", 200, &raw, Body::None).headers;
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

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 20, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec(("[a-zA-Z]{1,8}", inner), 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        /// Whatever an answer looks like, a name that is nobody's business is not in what is kept of it.
        #[test]
        fn nothing_that_is_no_word_is_kept(json in any_json(), name in "[A-Z][a-z]{5,9} [A-Z][a-z]{5,9}", member in "[a-z]{1,9}") {
            let mut known = Pseudonyms::default();
            let whole = json!({ "rest": json, member: {"x": [name.clone()]}, "environmentName": name });
            let clean = cleaned(&mut known, "/v1.4/apps", whole).to_string();
            prop_assert!(!clean.contains(&name), "{clean}");
        }

        #[test]
        fn expressions_are_cut_into_pieces_and_lose_nothing_else(text in "[a-zA-Z0-9' ()=,é]{0,40}") {
            let clean = expression(&mut Pseudonyms::default(), &text);
            let signs = |text: &str| text.matches(['(', ')', '=']).count();
            prop_assert!(signs(&clean) <= signs(&text), "{clean}");
        }
    }
}
