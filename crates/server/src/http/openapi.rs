//! The description of the API, made from the handlers themselves, and a page to read it.

mod answers;
mod examples;

use super::extract::AppState;
use axum::{
    Router,
    body::Bytes,
    http::{HeaderName, HeaderValue, header},
    response::Html,
    routing::get,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use utoipa::{
    Modify, OpenApi, PartialSchema, ToSchema,
    openapi::{
        Object, OpenApi as Document, RefOr, Schema, SecurityRequirement, Type,
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};

/// What the description says of the service as a whole.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "App Management API",
        description = "Versions of Business Central apps per country, who may do what with them, the environments that have them, and hotfixes for those. Served as v1.0, v1.1, v1.2, v1.3 and v1.4 alike; the addresses below show v1.0.",
        contact(name = "Whoever runs the service"),
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")
    ),
    servers((url = "/", description = "The service that this description comes from.")),
    tags(
        (name = "service", description = "What there is: for generic clients of OData."),
        (name = "apps", description = "Apps, and what their callers may do with them."),
        (name = "countries", description = "The countries that an app is offered in."),
        (name = "principals", description = "Who may do what with an app."),
        (name = "versions", description = "Packages, up and down."),
        (name = "environments", description = "The customers' environments that have an app."),
        (name = "environmentHotfixes", description = "Versions pushed to environments, and the plan for them."),
        (name = "webhooks", description = "Who is told what happens to an app, and what they were told."),
        (name = "trustedPublishers", description = "Pipelines that may act for an app, and how their runs sign in."),
        (name = "rollouts", description = "Versions brought to many environments by one decision, and which ones need a second."),
        (name = "operator", description = "What those do who run the service."),
        (name = "agent", description = "For agents, which carry operations out beside the environments."),
        (name = "admin", description = "What customers do with the apps in their environments: a subset of Business Central's Admin Center API."),
        (name = "health", description = "For whoever watches over the process."),
    ),
    modifiers(&Bearer)
)]
pub(crate) struct Description;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut Document) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("JWT")
            .build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("bearer", SecurityScheme::Http(scheme));
        document.security = Some(vec![SecurityRequirement::new("bearer", Vec::<String>::new())]);
    }
}

/// The bytes of a file, as they are.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
pub(crate) struct FileBytes(#[expect(dead_code, reason = "only described")] Bytes);

/// A number of rows: of any size, since only what there is counts.
pub(crate) struct HowMany;

impl PartialSchema for HowMany {
    fn schema() -> RefOr<Schema> {
        let number = Object::builder().schema_type(Type::Integer).minimum(Some(0));
        number.into()
    }
}

impl ToSchema for HowMany {}

/// The description, with what is so of every operation, examples and links.
pub(crate) fn described(document: &Document) -> Value {
    let mut described = serde_json::to_value(document).unwrap_or_default();
    answers::add(&mut described);
    examples::add(&mut described);
    described
}

/// The description as text, the same each time.
pub(crate) fn to_json(document: &Value) -> String {
    let mut text = serde_json::to_string_pretty(document).unwrap_or_default();
    text.push('\n');
    text
}

/// `/openapi.json`, and `/` to read it without any script from elsewhere.
pub(crate) fn pages(document: &Value) -> Router<Arc<AppState>> {
    // Sent as they are, however many ask at once.
    let text = Bytes::from(to_json(document));
    let page = Bytes::from(page(document));
    let policy = policy();
    Router::new()
        .route(
            "/openapi.json",
            get(move || async move {
                let json = HeaderValue::from_static("application/json; charset=utf-8");
                ([(header::CONTENT_TYPE, json), CACHED], text.clone())
            }),
        )
        .route(
            "/",
            get(move || async move {
                let safe = [
                    (header::CONTENT_SECURITY_POLICY, policy.clone()),
                    CACHED,
                    NO_FRAME,
                    NO_REFERRER,
                ];
                (safe, Html(page.clone()))
            }),
        )
}

/// The same for everybody, until the service is another one.
const CACHED: (HeaderName, HeaderValue) = (
    header::CACHE_CONTROL,
    HeaderValue::from_static("public, max-age=300"),
);
const NO_FRAME: (HeaderName, HeaderValue) = (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
const NO_REFERRER: (HeaderName, HeaderValue) =
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));

/// The page is text with its style; a browser that is told so runs and loads nothing else.
fn policy() -> HeaderValue {
    let style = STANDARD.encode(Sha256::digest(STYLE));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static(
        "default-src 'none'; frame-ancestors 'none'",
    ))
}

/// Every operation with its parameters and answers, as one plain page.
fn page(document: &Value) -> String {
    let mut rows = String::new();
    let paths = document.get("paths").and_then(Value::as_object);
    for (path, item) in paths.into_iter().flatten() {
        for (verb, operation) in item.as_object().into_iter().flatten() {
            if let Some(id) = operation["operationId"].as_str() {
                rows.push_str(&row(path, verb, id, operation));
            }
        }
    }
    let of_info = |name| document.pointer(name).and_then(Value::as_str).unwrap_or_default();
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title><style>{STYLE}</style></head>\
         <body><h1>{title}</h1><p>{text}</p><p>Machine-readable: <a href=\"/openapi.json\">openapi.json</a></p>\
         <table><thead><tr><th>Operation</th><th>Address</th><th>Parameters</th><th>Body</th></tr></thead>\
         <tbody>{rows}</tbody></table></body></html>",
        title = escaped(of_info("/info/title")),
        text = escaped(of_info("/info/description")),
    )
}

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:75rem;padding:0 1rem;color:#1b1b1b;background:#fff}\
    table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;padding:.5rem;border-bottom:1px solid #ddd}\
    code{font:14px ui-monospace,monospace;overflow-wrap:anywhere}small{color:#555}\
    @media(prefers-color-scheme:dark){body{color:#eee;background:#1b1b1b}th,td{border-color:#444}small{color:#aaa}a{color:#9cf}}";

fn row(path: &str, verb: &str, id: &str, operation: &Value) -> String {
    let parameters: Vec<_> = operation["parameters"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|parameter| parameter["name"].as_str())
        .map(|name| format!("<code>{}</code>", escaped(name)))
        .collect();
    let body = operation.pointer("/requestBody/content/application~1json/schema/$ref");
    let body = body
        .and_then(Value::as_str)
        .and_then(|reference| reference.rsplit('/').next())
        .unwrap_or_default();
    format!(
        "<tr id=\"{id}\"><td><code>{id}</code><br><small>{summary}</small></td><td><code>{verb} {path}</code></td><td>{parameters}</td><td><code>{body}</code></td></tr>",
        summary = escaped(operation["summary"].as_str().unwrap_or_default()),
        verb = verb.to_uppercase(),
        path = escaped(path),
        parameters = parameters.join(" "),
        body = escaped(body),
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
