//! The customers' API: a subset of the Admin Center API, in the shapes and words that its clients rely on.
//!
//! Whoever asks is an administrator of the tenant that their token is of; that tenant decides what there is. What is asked for
//! in a body is only looked at once the environment has been found.

pub(crate) mod address;
pub(crate) mod apps;
mod context;
pub(crate) mod environments;
pub(crate) mod operations;
pub(crate) mod partners;
pub(crate) mod rows;
pub(crate) mod settings;
pub(crate) mod tenant;

pub(crate) use context::AdminContext;

use crate::{
    actions::customers::reading::EnvironmentName,
    error::{Error, Result},
};
use axum::{
    Json,
    extract::OriginalUri,
    http::{HeaderValue, Method, header},
    response::{IntoResponse, Response},
};
use domain::problem::{Code, RuleError};
use serde::Serialize;

/// The family and the name that an address spells.
type EnvironmentPath = (String, String);
/// The same, and what comes behind: an app, an operation, a version.
type PathBelow = (String, String, String);

fn named((family, name): EnvironmentPath) -> EnvironmentName {
    EnvironmentName::new(&family, name)
}

/// An answer that succeeded.
fn answer<T: Serialize>(body: &T) -> Response {
    let mut response = Json(body).into_response();
    let json = HeaderValue::from_static("application/json; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

/// A call of the original's that is not served: it is named, so that nobody looks for a mistake of their own.
pub(crate) async fn not_served(method: Method, uri: OriginalUri, _: AdminContext) -> Result<Response> {
    let call = format!("{method} {}", uri.path());
    let message =
        format!("{call} is not served here: of the Admin Center API, this service has what is about apps.");
    Err(Error::Rule(
        RuleError::new(Code::NotImplemented, message).about(call),
    ))
}
