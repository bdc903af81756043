//! The one place where a failure becomes a status and a body, and where it is logged.
//!
//! A handler's error travels to the outermost layer as an extension of an empty answer, because only there the
//! correlation id and the caller's format are known.

use super::request_info::RequestInfo;
use crate::{admin_center, error::Error, telemetry::one_line};
use auth::AuthError;
use axum::{
    body::Body,
    http::{HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use domain::{
    chain::Chain,
    problem::{Code, RuleError},
};
use odata::QueryError;
use std::sync::Arc;
use store::StoreError;
use wire::{ErrorBody, ResponseFormat, admin_center::AdminError, error::POSITION};

/// After how many seconds a caller may try again when something of ours is not there.
const RETRY_AFTER: u32 = 5;

/// The fact of a refused range that its answer's header repeats: how many bytes there are.
pub(crate) const SIZE: &str = "size";

/// An error on its way to the outermost layer.
#[derive(Clone)]
struct Pending(Arc<Error>);

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let mut response = StatusCode::INTERNAL_SERVER_ERROR.into_response();
        response.extensions_mut().insert(Pending(Arc::new(self)));
        response
    }
}

impl From<QueryError> for Error {
    fn from(error: QueryError) -> Self {
        query_problem(&error).into()
    }
}

/// A wrong query option as a problem.
pub(crate) fn query_problem(error: &QueryError) -> RuleError {
    let code = match error.code {
        odata::ErrorCode::InvalidFilter => Code::InvalidFilter,
        odata::ErrorCode::InvalidQueryOption => Code::InvalidQueryOption,
        odata::ErrorCode::NotImplemented => Code::NotImplemented,
        odata::ErrorCode::NotAcceptable => Code::NotAcceptable,
    };
    let problem = RuleError::new(code, &error.message).about(&error.target);
    match error.position {
        Some(position) => problem.with(POSITION, position.to_string()),
        None => problem,
    }
}

/// The answer to a request whose handler panicked.
pub(crate) fn panicked() -> Response {
    Error::fault("a handler panicked").into_response()
}

/// What an address of an environment's Automation API has in it, which customers' tools look for beside the Admin Center API.
const AUTOMATION: &str = "/api/microsoft/automation/";

/// No such address.
pub(crate) async fn no_such_address(request: axum::extract::Request) -> Error {
    let info = request.extensions().get::<Arc<RequestInfo>>();
    let path = info.map_or_else(|| request.uri().path().to_owned(), |info| info.path.clone());
    if path.to_ascii_lowercase().contains(AUTOMATION) {
        let message = "The Automation API is an environment's own, and not served here: per-tenant extensions are published to the environment itself.";
        return RuleError::new(Code::NotImplemented, message).about(path).into();
    }
    let served = match admin_center::address::is_meant_by(&path) {
        true => "The Admin Center API is served as v2.0 to v2.99: /admin/v2.29/applications.",
        false => "The API is served as v1.0 to v1.4: /v1.4/apps.",
    };
    let message = format!("There is nothing at {path}. {served}");
    RuleError::missing(path, message).into()
}

/// The address is there, for other verbs. The router adds which.
pub(crate) async fn wrong_verb() -> Error {
    RuleError::new(Code::MethodNotAllowed, "").into()
}

/// Gives an answer its body if it failed, and logs what went wrong.
pub(crate) fn finish(response: Response, info: &RequestInfo, method: &Method) -> Response {
    let pending = response.extensions().get::<Pending>().cloned();
    match pending {
        Some(pending) => failed(&pending.0, response, info, method),
        None => response,
    }
}

fn failed(error: &Error, original: Response, info: &RequestInfo, method: &Method) -> Response {
    if let Error::NotModified { tag } = error {
        let mut response = StatusCode::NOT_MODIFIED.into_response();
        if let Some(tag) = tag {
            set(&mut response, header::ETAG, tag);
        }
        return response;
    }
    let allow = original.headers().get(header::ALLOW).cloned();
    let problem = shown(error, allow.as_ref(), method);
    let status = status_of(error, &problem);
    log(error, info, method, status);
    let body = match admin_center::address::is_below_root(&info.routed) {
        true => AdminError::new(&problem).to_json(),
        false => ErrorBody::new(&problem, Some(info.correlation_id), info.format).to_json(),
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    set(&mut response, header::CONTENT_TYPE, content_type(info.format));
    set(&mut response, header::CONTENT_LANGUAGE, "en-US");
    if info.format == ResponseFormat::OData {
        response
            .headers_mut()
            .insert("odata-version", HeaderValue::from_static("4.0"));
    }
    if let Some(allow) = allow {
        response.headers_mut().insert(header::ALLOW, allow);
    }
    if let Some((_, size)) = problem.extension.iter().find(|(name, _)| *name == SIZE) {
        set(&mut response, header::CONTENT_RANGE, &format!("bytes */{size}"));
    }
    if problem.code == Code::UnsupportedMediaType {
        set(&mut response, header::ACCEPT_ENCODING, "gzip");
    }
    if let Some(seconds) = retry_after(error) {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if let Error::Auth(refused) = error
        && let Some(challenge) = refused.www_authenticate()
    {
        set(&mut response, header::WWW_AUTHENTICATE, challenge);
    }
    response
}

/// The media type of JSON answers.
pub(crate) fn content_type(format: ResponseFormat) -> &'static str {
    match format {
        ResponseFormat::Bare => "application/json; charset=utf-8",
        ResponseFormat::OData => "application/json;odata.metadata=minimal",
    }
}

fn set(response: &mut Response, name: header::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

/// What a caller may see of an error.
fn shown(error: &Error, allow: Option<&HeaderValue>, method: &Method) -> RuleError {
    match error {
        Error::Rule(problem) if problem.code == Code::MethodNotAllowed => {
            let verbs = allow
                .and_then(|allow| allow.to_str().ok())
                .unwrap_or("another verb");
            RuleError::new(
                problem.code,
                format!("{method} is not possible here; {} is.", verbs.replace(',', ", ")),
            )
        }
        Error::Rule(problem) | Error::TryLater { problem, .. } => problem.clone(),
        Error::Auth(refused) => auth_problem(refused),
        Error::Store(StoreError::Busy) => RuleError::new(
            Code::ServiceUnavailable,
            "The database is busy. Try again in a moment.",
        ),
        Error::Store(StoreError::Unavailable(_)) => RuleError::new(
            Code::ServiceUnavailable,
            "The database is not available. Try again in a moment.",
        ),
        Error::Store(StoreError::InDoubt(_)) => {
            let message = "The database became unavailable while the change was being saved: it may or may not have been made. Check before you send it again.";
            RuleError::new(Code::ServiceUnavailable, message).because("ChangeInDoubt", message)
        }
        Error::Blobs(full) if full.is_full() => RuleError::new(
            Code::ServiceUnavailable,
            "The disk of the package store is full, or nearly, and nothing is added to it until its operator has made room. \
             What is there can be read.",
        ),
        Error::Blobs(_) if error.is_passing() => RuleError::new(
            Code::ServiceUnavailable,
            "The package store is not available. Try again in a moment.",
        ),
        Error::NotModified { .. } | Error::Store(_) | Error::Blobs(_) | Error::Fault(_) => RuleError::new(
            Code::Unknown,
            "Something unforeseen happened. The correlation id finds it in the service's log.",
        ),
    }
}

fn auth_problem(refused: &AuthError) -> RuleError {
    let code = match refused.status().as_u16() {
        403 => Code::Forbidden,
        503 => Code::ServiceUnavailable,
        _ => Code::Unauthorized,
    };
    RuleError::new(code, refused.message())
}

fn status_of(error: &Error, problem: &RuleError) -> StatusCode {
    match error {
        Error::Auth(refused) => refused.status(),
        _ => StatusCode::from_u16(problem.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

fn retry_after(error: &Error) -> Option<u32> {
    match error {
        Error::TryLater { seconds, .. } => Some(*seconds),
        Error::Auth(refused) => refused.retry_after(),
        error if error.is_passing() => Some(RETRY_AFTER),
        _ => None,
    }
}

fn log(error: &Error, info: &RequestInfo, method: &Method, status: StatusCode) {
    let path = one_line(&info.path);
    let (method, status) = (method.as_str(), status.as_u16());
    match error {
        Error::Rule(problem) | Error::TryLater { problem, .. } => {
            // What a query option says may be data.
            let message = match problem.target.as_deref() {
                Some(option) if option.starts_with('$') => format!("{option} is not what it should be"),
                _ => one_line(&problem.message),
            };
            tracing::info!(method, status, path, code = %problem.code, "{message}");
        }
        Error::Auth(refused) => {
            tracing::info!(
                method,
                status,
                path,
                code = refused.code(),
                "{}",
                refused.detail()
            );
        }
        Error::NotModified { .. } => {}
        Error::Store(_) | Error::Blobs(_) | Error::Fault(_) => {
            tracing::error!(method, status, path, "{}", one_line(&Chain(error).to_string()));
        }
    }
}
