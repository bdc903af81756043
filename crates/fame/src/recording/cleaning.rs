//! What is kept of an exchange: what is known to be harmless, and pseudonyms for all else.

use super::{
    body::{of_base64, package},
    expressions::expression,
    format::{Answered, Asked, Body},
    headers::{self, headers},
    messages::message,
    pseudonyms::{Kind, Pseudonyms, as_guid},
    vocabulary::{
        API_VERSION, KEY, is_api_version, is_code, is_member, is_option, is_plain, is_segment,
        is_small_number, is_word,
    },
};
use percent_encoding::percent_decode_str;
use reqwest::{Method, header::HeaderMap};
use serde_json::{Map, Value};

/// What stands in the place of what nobody is to see.
pub(crate) const REMOVED: &str = "(removed)";
/// The longest code of an error that is kept.
const LONGEST_CODE: usize = 60;
/// The methods of the API, and of those who try out others.
const METHODS: [Method; 7] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PATCH,
    Method::PUT,
    Method::DELETE,
    Method::OPTIONS,
];

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

/// Where a body stands.
#[derive(Clone, Copy)]
struct Place<'p> {
    /// The collection that its address leads to or into.
    collection: &'p str,
    /// Whether it says why something was refused.
    is_refusal: bool,
}

/// What is kept of a request.
pub(crate) fn request(known: &mut Pseudonyms, raw: RawRequest) -> Asked {
    let path = path(known, &raw.path);
    let place = Place {
        collection: &collection(&raw.path),
        is_refusal: false,
    };
    let is_method = METHODS.iter().any(|method| method.as_str() == raw.method);
    Asked {
        method: if is_method { raw.method } else { REMOVED.to_owned() },
        query: raw
            .query
            .as_deref()
            .map_or_else(Vec::new, |query| options(known, query)),
        headers: headers(known, &raw.headers, headers::OF_REQUESTS),
        body: body(known, raw.body, place),
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
    let place = Place {
        collection: &collection(path),
        is_refusal: status >= 400,
    };
    Answered {
        status,
        headers: headers(known, raw, headers::OF_ANSWERS),
        body: body(known, seen, place),
    }
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
    let mut before = String::new();
    let mut clean = Vec::new();
    for segment in path.split('/') {
        let decoded = percent_decode_str(segment).decode_utf8_lossy();
        let (name, key) = match decoded.split_once('(') {
            Some((name, key)) => (name, Some(key)),
            None => (&*decoded, None),
        };
        let (written, now) = match key {
            _ if decoded.is_empty() => (String::new(), before.clone()),
            None if before.is_empty() && is_api_version(name) => (segment.to_owned(), API_VERSION.to_owned()),
            None if is_segment(&before, name) => (segment.to_owned(), name.to_ascii_lowercase()),
            Some(key) if is_segment(&before, name) => {
                (format!("{name}({}", expression(known, name, key)), KEY.to_owned())
            }
            _ if is_plain(&before, &decoded) && kind_in(&before) != Kind::Name => {
                (segment.to_owned(), KEY.to_owned())
            }
            _ => (known.of(kind_in(&before), &decoded), KEY.to_owned()),
        };
        clean.push(written);
        before = now;
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
            let lower = name.to_ascii_lowercase();
            let value = match lower.trim_start_matches('$') {
                _ if !is_option(&name) && !value.is_empty() => known.of(Kind::Text, &value),
                "filter" | "orderby" | "select" | "expand" | "apply" => expression(known, "", &value),
                "format" => headers::words(known, &value),
                "top" | "skip" if is_small_number(&value) => value,
                "aadtenantid" => text(known, Kind::Tenant, &lower, &value),
                _ => text(known, Kind::Text, &lower, &value),
            };
            (option_name(known, &name), value)
        })
        .collect()
}

/// The name of an option; of one that nobody knows only whether it is one of OData.
fn option_name(known: &mut Pseudonyms, name: &str) -> String {
    match name.strip_prefix('$') {
        _ if is_option(name) => name.to_owned(),
        Some(name) => format!("${}", known.of(Kind::Text, name)),
        None => known.of(Kind::Text, name),
    }
}

/// What stands in the member `name`, of which `kind` says what it is where it is nothing that is kept.
fn text(known: &mut Pseudonyms, kind: Kind, name: &str, text: &str) -> String {
    // Somebody's name may be a point in time too.
    let is_kept = match kind {
        Kind::Name | Kind::Email => text.is_empty() || is_word(text),
        _ => is_plain(name, text),
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
    ends.is_some_and(|(name, _)| !name.is_empty() && !text.contains(char::is_whitespace))
}

/// The name of a member, unless nobody knows it.
fn member_name(known: &mut Pseudonyms, name: &str) -> String {
    match is_member(name) || SECRETS.contains(&name.to_lowercase().as_str()) {
        true => name.to_owned(),
        false => known.of(Kind::Text, name),
    }
}

fn body(known: &mut Pseudonyms, body: Body, place: Place<'_>) -> Body {
    match body {
        Body::Json(json) => Body::Json(value(known, json, "", place)),
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
fn value(known: &mut Pseudonyms, json: Value, name: &str, place: Place<'_>) -> Value {
    match json {
        _ if SECRETS.contains(&name) => REMOVED.into(),
        // What nobody knows may count somebody's money, or be their telephone's.
        Value::Number(number) if !is_member(name) && !name.is_empty() => match number.is_f64() {
            true => 0.0.into(),
            false => 0.into(),
        },
        Value::Null | Value::Bool(_) | Value::Number(_) => json,
        Value::Array(items) => {
            let items = items.into_iter();
            items.map(|item| value(known, item, name, place)).collect()
        }
        Value::Object(members) => condensed(name, &members).unwrap_or_else(|| object(known, members, place)),
        Value::String(text) if name == "packagecontents" => of_base64(&text),
        Value::String(text) => string(known, &text, name, place).into(),
    }
}

fn object(known: &mut Pseudonyms, members: Map<String, Value>, place: Place<'_>) -> Value {
    let clean = members.into_iter().map(|(name, member)| {
        let member = value(known, member, &name.to_lowercase(), place);
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

fn string(known: &mut Pseudonyms, text_of: &str, name: &str, place: Place<'_>) -> String {
    let kind = match name {
        "message" | "errormessage" | "description" | "error_description" => return message(known, text_of),
        "code" | "clienterror" if is_code(text_of) || (place.is_refusal && is_written_as_code(text_of)) => {
            return text_of.to_owned();
        }
        "target" if is_member(text_of) || is_option(text_of) => return text_of.to_owned(),
        "id" => kind_in(place.collection),
        "appid" => Kind::App,
        "_etag" | "etag" => Kind::Etag,
        "packageid" => Kind::Package,
        "operationid" => Kind::Hotfix,
        "storagelocation" | "locationname" => Kind::Location,
        _ if name.ends_with("tenantid") => Kind::Tenant,
        _ if name.ends_with("email") => Kind::Email,
        _ if name.ends_with("name") || name == "publisher" => Kind::Name,
        _ => Kind::Text,
    };
    text(known, kind, name, text_of)
}

/// Whether a text is written as services write why they refuse: several words with capitals, and nothing else.
fn is_written_as_code(text: &str) -> bool {
    let capitals = text.bytes().filter(u8::is_ascii_uppercase).count();
    text.len() <= LONGEST_CODE
        && text.starts_with(|first: char| first.is_ascii_uppercase())
        && text.bytes().all(|byte| byte.is_ascii_alphabetic())
        && (2..text.len() / 2).contains(&capitals)
}

#[cfg(test)]
mod tests {
    use super::{super::vocabulary::is_of_the_api, *};
    use proptest::prelude::*;
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
        let query = "$filter=name%20eq%20'O''Neil'%20and%20type+eq+'Sandbox'%20and%20aadTenantId eq AAAABBBB-0000-cccc-1111-dddd2222eeee and colour lt '16.0.1.2'&$top=5&who=nobody";
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
                    "name eq '{text-1}' and type eq 'Sandbox' and aadTenantId eq {id-1} and {text-2} lt '{text-3}'".to_owned()
                ),
                ("$top".to_owned(), "5".to_owned()),
                ("{text-5}".to_owned(), "{text-4}".to_owned()),
            ]
        );
        let keyed = format!("/v1.4/apps({APP})/countries('us')/versions/16.0.1.2/getPackageContents");
        let clean = request(&mut known, asked(&keyed, None));
        assert_eq!(
            clean.path,
            "/v1.4/apps({app-1})/countries('us')/versions/16.0.1.2/getPackageContents"
        );
        for (path, clean) in [
            (
                "/v1.4/apps/x/countries/US/environments/12345678",
                "/v1.4/apps/{text-6}/countries/US/environments/{name-2}",
            ),
            (
                "/v1.4/apps/x/countries/US/environments/plan",
                "/v1.4/apps/{text-6}/countries/US/environments/{name-3}",
            ),
            ("/v1.4/apps/x/contoso?", "/v1.4/apps/{text-6}/{text-7}"),
        ] {
            let clean_path = request(&mut known, asked(path, None)).path;
            assert_eq!(clean_path, clean);
        }
    }

    #[test]
    fn methods_and_options_that_nobody_knows_are_not_kept() {
        let mut known = Pseudonyms::default();
        let mut raw = asked(
            "/v1.4/apps",
            Some("contoso=1&$fabrikam=2&$top=4512345678&$format=json&$skip=7"),
        );
        raw.method = "CONTOSO".into();
        let clean = request(&mut known, raw);
        assert_eq!(clean.method, REMOVED);
        let names: Vec<_> = clean
            .query
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        assert_eq!(
            names,
            [
                "{text-2}={text-1}",
                "${text-4}={text-3}",
                "$top={text-5}",
                "$format=json",
                "$skip=7"
            ]
        );
    }

    #[test]
    fn every_literal_of_the_described_addresses_stays() {
        let description: Value = serde_json::from_str(&server::openapi_json()).unwrap();
        let paths = description["paths"].as_object().unwrap().keys();
        let mut known = Pseudonyms::default();
        let mut count = 0;
        for path in paths.filter(|path| is_of_the_api(path)) {
            let clean = request(&mut known, asked(path, None)).path;
            for (written, clean) in path.split('/').zip(clean.split('/')) {
                assert!(written.starts_with('{') || written == clean, "{path}: {clean}");
            }
            count += 1;
        }
        assert!(count > 20, "{count}");
    }

    #[test]
    fn codes_stay_where_services_say_why() {
        let mut known = Pseudonyms::default();
        let said = json!({"code": "ContosoIsBusy", "error": {"code": "PackageTooOld", "details": [{"code": "contoso-7"}]}});
        let mut clean = |status: u16| {
            let clean = answer(
                &mut known,
                "/v1.4/apps",
                status,
                &HeaderMap::new(),
                Body::Json(said.clone()),
            );
            match clean.body {
                Body::Json(json) => json,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(
            clean(400),
            json!({"code": "ContosoIsBusy", "error": {"code": "PackageTooOld", "details": [{"code": "{text-1}"}]}})
        );
        assert_eq!(
            clean(200),
            json!({"code": "{text-2}", "error": {"code": "{text-3}", "details": [{"code": "{text-1}"}]}})
        );
    }

    #[test]
    fn rows_keep_their_form_and_lose_what_they_are_about() {
        let mut known = Pseudonyms::default();
        let rows = json!({"value": [{
            "id": APP, "publisher": "Contoso", "publisherAadTenantId": TENANT, "publisherContactEmail": "a@contoso.com",
            "storageLocation": "West Europe", "contoso": "Contoso", "phone": 4512345678_u64, "host": "10.1.2.3", "_etag": "5c47bfb0-d80c-4780-99ed-c3a3d38ac539", "@odata.count": 3,
            "createdOn": "2020-03-05T15:41:20.6468128Z", "version": "16.0.1.2", "status": "Scheduled", "countryCode": "US", "majorVersion": 16,
            "dependencies": [{"appId": "63ca2fa4-4f03-4f2b-a480-172fef340d3f"}], "access_token": SECRET,
        }], "@odata.nextLink": "https://contoso.com/v1.4/apps?$skiptoken=x"});
        assert_eq!(
            cleaned(&mut known, "/v1.4/apps", rows),
            json!({"value": [{
                "id": "{app-1}", "publisher": "{name-1}", "publisherAadTenantId": "{tenant-1}",
                "publisherContactEmail": "{email-1}", "storageLocation": "{location-1}", "{name-1}": "{name-1}", "{text-1}": 0, "{text-3}": "{text-2}", "_etag": "{etag-1}",
                "@odata.count": 3, "createdOn": "2020-03-05T15:41:20.6468128Z", "version": "16.0.1.2", "status": "Scheduled",
                "countryCode": "US", "majorVersion": 16, "dependencies": [{"appId": "63ca2fa4-4f03-4f2b-a480-172fef340d3f"}],
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
    }
}
