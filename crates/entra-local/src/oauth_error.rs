//! Refusals of the token endpoint in the shape of Entra's: an OAuth error word, a description that starts
//! with an `AADSTS` number, and ids to search logs by. The numbers are Entra's own, because client libraries
//! branch on some of them; the sentences are ours.

use axum::Json;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde_json::json;
use uuid::Uuid;

/// Why no token is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The path names a tenant that the directory does not know.
    UnknownTenant(String),
    /// A parameter of the form is missing.
    MissingParameter(&'static str),
    /// The body is not a form.
    NotAForm,
    /// A grant type we do not speak.
    UnsupportedGrant(String),
    /// No such application in this tenant.
    UnknownClient(String),
    /// The secret is wrong.
    WrongSecret,
    /// A secret is needed and none was sent.
    MissingSecret,
    /// A secret was sent for an application that has none.
    UnexpectedSecret,
    /// `client_credentials` needs a tenant of its own, not `common` or `organizations`.
    TenantIndependent,
    /// The scope of `client_credentials` must end with `/.default`.
    ScopeIsNotDefault(String),
    /// No such resource.
    UnknownResource(String),
    /// The user is unknown or the password is wrong.
    WrongUser,
    /// The issuer itself failed.
    Internal,
}

impl Refusal {
    fn status(&self) -> StatusCode {
        match self {
            Self::WrongSecret | Self::MissingSecret | Self::UnexpectedSecret => StatusCode::UNAUTHORIZED,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    /// The word of RFC 6749 §5.2 (and Entra's additions).
    fn error(&self) -> &'static str {
        match self {
            Self::UnknownTenant(_) | Self::MissingParameter(_) | Self::NotAForm => "invalid_request",
            Self::TenantIndependent => "invalid_request",
            Self::UnsupportedGrant(_) => "unsupported_grant_type",
            Self::UnknownClient(_) => "unauthorized_client",
            Self::WrongSecret | Self::MissingSecret | Self::UnexpectedSecret => "invalid_client",
            Self::ScopeIsNotDefault(_) => "invalid_scope",
            Self::UnknownResource(_) => "invalid_resource",
            Self::WrongUser => "invalid_grant",
            Self::Internal => "server_error",
        }
    }

    fn number(&self) -> u32 {
        match self {
            Self::UnknownTenant(_) => 90002,
            Self::MissingParameter(_) => 900144,
            Self::NotAForm => 900561,
            Self::UnsupportedGrant(_) => 70003,
            Self::UnknownClient(_) => 700016,
            Self::WrongSecret => 7000215,
            Self::MissingSecret => 7000218,
            Self::UnexpectedSecret => 700025,
            Self::TenantIndependent => 50194,
            Self::ScopeIsNotDefault(_) => 1002012,
            Self::UnknownResource(_) => 500011,
            Self::WrongUser => 50126,
            Self::Internal => 90033,
        }
    }

    fn sentence(&self) -> String {
        match self {
            Self::UnknownTenant(tenant) => format!("Tenant '{tenant}' is not known here."),
            Self::MissingParameter(name) => format!("The form has no parameter '{name}'."),
            Self::NotAForm => "The body must be application/x-www-form-urlencoded.".to_owned(),
            Self::UnsupportedGrant(grant) => format!("The grant type '{grant}' is not supported."),
            Self::UnknownClient(client) => format!("No application '{client}' exists in this tenant."),
            Self::WrongSecret => "The client secret is wrong.".to_owned(),
            Self::MissingSecret => {
                "This application must show its secret, in the form or as basic authentication.".to_owned()
            }
            Self::UnexpectedSecret => "This application is public and has no secret to show.".to_owned(),
            Self::TenantIndependent => {
                "An application asks for tokens at the endpoint of a tenant, not at this one.".to_owned()
            }
            Self::ScopeIsNotDefault(scope) => {
                format!("The scope '{scope}' must be the resource's URI followed by '/.default'.")
            }
            Self::UnknownResource(name) => format!("No resource '{name}' is registered."),
            Self::WrongUser => "The user name or the password is wrong.".to_owned(),
            Self::Internal => "The issuer failed to make the token.".to_owned(),
        }
    }

    /// The whole answer. `now` is in seconds since 1970; a `client-request-id` of the caller becomes the
    /// correlation id, as with Entra.
    pub(crate) fn answer(&self, now: i64, request: &HeaderMap) -> Response {
        let timestamp = entra_timestamp(now);
        let trace = Uuid::new_v4();
        let correlation = correlation_id(request);
        let number = self.number();
        let description = format!(
            "AADSTS{number}: {} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {timestamp}",
            self.sentence()
        );
        let body = json!({
            "error": self.error(),
            "error_description": description,
            "error_codes": [number],
            "timestamp": timestamp,
            "trace_id": trace,
            "correlation_id": correlation,
        });
        (self.status(), [(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
    }
}

fn correlation_id(request: &HeaderMap) -> Uuid {
    let given = request
        .get("client-request-id")
        .and_then(|value| value.to_str().ok());
    given
        .and_then(|text| Uuid::try_parse(text).ok())
        .unwrap_or_else(Uuid::new_v4)
}

/// `2026-01-31 09:05:00Z`.
fn entra_timestamp(now: i64) -> String {
    let instant = Timestamp::from_second(now).unwrap_or(Timestamp::UNIX_EPOCH);
    instant.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}
