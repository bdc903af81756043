//! Around every request: its identity, its format, its address as we route it, and what every answer carries.
//!
//! Callers write addresses in several ways that mean the same: any version from v1.0 to v1.4, literals in any case, a
//! slash at the end, OData's `apps(id)`. All of them are brought to one form here, so that the router has one.

use super::{
    address,
    exchange::{Ending, Exchange},
    problem,
};
use axum::{
    body::Body,
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, Uri, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures::FutureExt;
use std::panic::AssertUnwindSafe;
use tracing::Instrument;
use uuid::Uuid;
use wire::ResponseFormat;

/// The versions of the API that are served, as one behaviour.
pub(crate) const API_VERSIONS: &str = "1.0, 1.1, 1.2, 1.3, 1.4";

/// Headers by which callers name a request of theirs; they are logged and sent back.
const CALLERS_IDS: [HeaderName; 3] = [
    HeaderName::from_static("client-request-id"),
    HeaderName::from_static("x-ms-client-request-id"),
    HeaderName::from_static("x-ms-correlation-id"),
];

/// Longest id of a caller's that is taken notice of.
const LONGEST_ID: usize = 128;

/// The scheme of the listener that a request came in by, where it is not http.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scheme(pub &'static str);

/// What is known of a request besides what it asks for.
#[derive(Clone, Debug)]
pub(crate) struct RequestInfo {
    pub(crate) correlation_id: Uuid,
    pub(crate) format: ResponseFormat,
    /// The address as it was sent, without the query.
    pub(crate) path: String,
    pub(crate) query: String,
    /// The address in the one form that is routed.
    pub(crate) routed: String,
    scheme: &'static str,
    host: String,
}

impl RequestInfo {
    fn of(request: &Request) -> Self {
        let uri = request.uri();
        let headers = request.headers();
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let host = host
            .or_else(|| uri.authority().map(|authority| authority.as_str()))
            .unwrap_or("localhost");
        let query = uri.query().unwrap_or_default().to_owned();
        let path = uri.path().to_owned();
        Self {
            correlation_id: Uuid::new_v4(),
            format: format_of(headers, &query),
            routed: address::canonical(&path).unwrap_or_else(|| path.clone()),
            path,
            query,
            scheme: request
                .extensions()
                .get::<Scheme>()
                .map_or("http", |scheme| scheme.0),
            host: host.to_owned(),
        }
    }

    /// The service's address as the caller knows it, without a slash at the end.
    pub(crate) fn origin(&self, public_url: Option<&str>) -> String {
        match public_url {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None => format!("{}://{}", self.scheme, self.host),
        }
    }

    /// The first segment of the address: `v1.4`.
    pub(crate) fn version_segment(&self) -> &str {
        self.path
            .trim_start_matches('/')
            .split('/')
            .next()
            .unwrap_or_default()
    }
}

/// Callers that speak OData get OData's format: they say so by a version header, by `$format`, or by asking for a
/// degree of metadata.
fn format_of(headers: &HeaderMap, query: &str) -> ResponseFormat {
    let by_version = headers.contains_key("odata-version") || headers.contains_key("odata-maxversion");
    let by_accept = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|accept| {
            let accept = accept.to_ascii_lowercase();
            accept.contains("odata.metadata=")
                || accept.contains(";metadata=")
                || accept.contains("; metadata=")
        });
    let by_format = query.split('&').any(|item| {
        let name = item.split('=').next().unwrap_or_default().to_ascii_lowercase();
        matches!(name.as_str(), "$format" | "%24format" | "format")
    });
    if by_version || by_accept || by_format {
        ResponseFormat::OData
    } else {
        ResponseFormat::Bare
    }
}

/// Wraps the whole router.
pub(crate) async fn around(mut request: Request, next: Next) -> Response {
    let info = RequestInfo::of(&request);
    let echoed = callers_ids(request.headers());
    let method = request.method().clone();
    let exchange = Exchange::begin(&info, &method);
    let ending = Ending::of(exchange.clone(), method.clone());
    let span = exchange.span().clone();
    span.in_scope(|| {
        let callers: Vec<_> = echoed.iter().map(|(_, value)| value).collect();
        tracing::debug!(?callers, path = info.path, "request");
    });
    if info.routed != info.path {
        replace_path(&mut request, &info.routed);
    }
    request.extensions_mut().insert(info.clone());
    request.extensions_mut().insert(exchange);
    let answered = AssertUnwindSafe(next.run(request)).catch_unwind();
    let answered = answered.instrument(span.clone()).await;
    let response = answered.unwrap_or_else(|_| problem::panicked());
    let mut response = span.in_scope(|| problem::finish(response, &info, &method));
    add_headers(response.headers_mut(), &info, echoed);
    ending.with(response)
}

fn callers_ids(headers: &HeaderMap) -> Vec<(HeaderName, HeaderValue)> {
    let is_plain = |value: &&HeaderValue| {
        value.len() <= LONGEST_ID && value.as_bytes().iter().all(|byte| (0x20..0x7F).contains(byte))
    };
    CALLERS_IDS
        .into_iter()
        .filter_map(|name| {
            headers
                .get(&name)
                .filter(is_plain)
                .cloned()
                .map(|value| (name, value))
        })
        .collect()
}

fn replace_path(request: &mut Request, path: &str) {
    let mut parts = request.uri().clone().into_parts();
    let query = request
        .uri()
        .query()
        .map_or(String::new(), |query| format!("?{query}"));
    if let Ok(path_and_query) = format!("{path}{query}").parse() {
        parts.path_and_query = Some(path_and_query);
        if let Ok(uri) = Uri::from_parts(parts) {
            *request.uri_mut() = uri;
        }
    }
}

fn add_headers(headers: &mut HeaderMap, info: &RequestInfo, echoed: Vec<(HeaderName, HeaderValue)>) {
    if let Ok(id) = HeaderValue::from_str(&info.correlation_id.to_string()) {
        headers.insert("ms-correlation-x", id.clone());
        headers.insert("request-id", id);
    }
    headers.insert("api-supported-versions", HeaderValue::from_static(API_VERSIONS));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    for (name, value) in echoed {
        headers.insert(name, value);
    }
}

/// An empty answer with a status.
pub(crate) fn empty(status: axum::http::StatusCode) -> Response {
    (status, Body::empty()).into_response()
}
