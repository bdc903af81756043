//! Around every request: its identity, its format, its address as we route it, and what every answer carries.
//!
//! Callers write addresses in several ways that mean the same: any version from v1.0 to v1.4, literals in any case, a
//! slash at the end, OData's `apps(id)`. All of them are brought to one form here, so that the router has one.

use super::{
    accept, compress,
    exchange::{Ending, Exchange},
    headers, problem,
    request_info::RequestInfo,
};
use crate::{error::Error, unread::Rest};
use auth::OwnToken;
use axum::{
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, Uri, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use domain::problem::{Code, RuleError};
use futures::FutureExt;
use percent_encoding::percent_decode_str;
use std::{panic::AssertUnwindSafe, sync::Arc};
use tracing::Instrument;

/// The versions of the API that are served, as one behaviour.
pub(crate) const API_VERSIONS: &str = "1.0, 1.1, 1.2, 1.3, 1.4";

/// Headers by which callers name a request of theirs; they are logged and sent back.
const CALLERS_IDS: [HeaderName; 3] = [
    HeaderName::from_static("client-request-id"),
    HeaderName::from_static("x-ms-client-request-id"),
    HeaderName::from_static("x-ms-correlation-id"),
];

/// What members of a query are called that hold a token.
const TOKENS_NAMES: [&str; 6] = [
    "access_token",
    "authorization",
    "bearer",
    "id_token",
    "refresh_token",
    "token",
];

/// Longest id of a caller's that is taken notice of.
const LONGEST_ID: usize = 128;

/// Wraps the whole router.
pub(crate) async fn around(request: Request, next: Next) -> Response {
    let (mut request, rest) = Rest::of(request);
    let info = Arc::new(RequestInfo::of(&request));
    let echoed = callers_ids(request.headers());
    let method = request.method().clone();
    let exchange = Exchange::begin(&info, &method);
    let ending = Ending::of(exchange.clone(), method.clone());
    let span = exchange.span().clone();
    tracing::debug!(
        parent: &span,
        callers = ?echoed.iter().map(|(_, value)| value).collect::<Vec<_>>(),
        path = info.path,
        "request"
    );
    if info.routed != info.path {
        replace_path(&mut request, &info.routed);
    }
    let checked = refuse_tokens(&info.query)
        .and_then(|()| match knows_no_options(&info.routed) {
            true => refuse_options(&info),
            false => Ok(()),
        })
        .and_then(|()| headers::check(&request, &info.routed));
    let asks_compressed = compress::is_asked_for(&method, request.headers());
    let accepted = info.wants_csv.then(|| accept::accepted(request.headers()));
    request.extensions_mut().insert(Arc::clone(&info));
    request.extensions_mut().insert(Arc::clone(&exchange));
    let answering = async {
        let answered = match checked {
            Ok(()) => AssertUnwindSafe(next.run(request)).catch_unwind().await,
            Err(refused) => Ok(Error::from(refused).into_response()),
        };
        let answer = answered.unwrap_or_else(|_| problem::panicked());
        let checked = accepted.map_or(Ok(()), |accepted| accept::check_answer(&accepted, &answer));
        let answer = match checked {
            Ok(()) => answer,
            Err(refused) => Error::from(refused).into_response(),
        };
        problem::finish(answer, &info, &method)
    };
    let mut response = answering.instrument(span).await;
    rest.forget();
    add_headers(response.headers_mut(), &info, echoed);
    if exchange.is_of_somebody() {
        response = compress::compressed(response, asks_compressed);
    }
    ending.with(response)
}

/// What is sent in an address stays in histories and in the logs of whatever lies between, so a token does not belong
/// there; it is not looked at, and not repeated.
fn refuse_tokens(query: &str) -> Result<(), RuleError> {
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().to_ascii_lowercase();
    let holds_token = query.split('&').any(|item| {
        let (name, value) = item.split_once('=').unwrap_or((item, ""));
        TOKENS_NAMES.contains(&decoded(name).as_str()) || OwnToken::is_meant_by(&decoded(value))
    });
    match holds_token {
        true => Err(RuleError::invalid(
            "query",
            "A token does not belong into an address, which is kept in histories and logs. Replace it by a new one, and \
             send that in the header Authorization.",
        )),
        false => Ok(()),
    }
}

/// Whether this is an address under which nothing is OData's.
fn knows_no_options(routed: &str) -> bool {
    ["/health/", "/agent/", "/tokens/"]
        .iter()
        .any(|root| routed.starts_with(root))
}

/// Where there are no entities to choose of, OData has nothing to say. (Where there are, what is said is read with them.)
pub(crate) fn refuse_options(info: &RequestInfo) -> Result<(), RuleError> {
    let names = info
        .query
        .split('&')
        .map(|item| item.split('=').next().unwrap_or_default());
    let mut options = names.map(|name| percent_decode_str(name).decode_utf8_lossy());
    match options.find(|name| name.starts_with('$')) {
        Some(name) => {
            let message = format!("The query option '{name}' is not possible here.");
            Err(RuleError::new(Code::InvalidQueryOption, message).about(name))
        }
        None => Ok(()),
    }
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
    // What an answer says is for whoever asked, now.
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    for (name, value) in echoed {
        headers.insert(name, value);
    }
}
