//! Why a caller is turned away, in words that show an honest client what to mend and an attacker nothing new.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use http::StatusCode;

use super::trusted::{IssuerKind, Tenants, TrustedIssuer};

/// Seconds between two attempts to fetch keys while there are none at all; a caller had better not come earlier.
pub(super) const UNAVAILABLE_PAUSE: u32 = 10;

/// What is wrong, as far as the outside may know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthFailure {
    /// No token was sent.
    Missing,
    /// What was sent is no token that could be accepted.
    Malformed,
    /// The token's times do not include now.
    Expired,
    /// The token is meant for another API.
    Audience,
    /// The token is good, but for another API of the service.
    OtherApi,
    /// The token's issuer or tenant is not trusted here.
    Issuer,
    /// No key of the issuer verifies the token.
    Signature,
    /// The token is good, but lacks the permission, or is of a kind that is not served.
    InsufficientScope,
    /// The issuer's keys could not be fetched, so nobody can tell whether the token is good.
    Unavailable,
}

impl AuthFailure {
    fn status(self) -> StatusCode {
        match self {
            Self::InsufficientScope => StatusCode::FORBIDDEN,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::UNAUTHORIZED,
        }
    }

    fn message(self) -> &'static str {
        match self {
            Self::Missing => "An access token is required: send it as `Authorization: Bearer <token>`.",
            Self::Malformed => "The access token is not valid.",
            Self::Expired => "The access token has expired or is not valid yet.",
            Self::Audience => "The access token is meant for another audience.",
            Self::OtherApi => "The access token is for another API of this service.",
            Self::Issuer => "The access token comes from an issuer or tenant that is not trusted here.",
            Self::Signature => "The signature of the access token could not be verified.",
            Self::InsufficientScope => "The access token lacks the permission that this API requires.",
            Self::Unavailable => "The access token cannot be checked at the moment. Try again shortly.",
        }
    }
}

/// A caller who is turned away.
#[derive(Clone, Debug)]
pub struct AuthError {
    failure: AuthFailure,
    detail: Cow<'static, str>,
    challenge: Option<Arc<str>>,
}

impl AuthError {
    /// What is wrong, as far as the outside may know.
    pub fn failure(&self) -> AuthFailure {
        self.failure
    }

    /// 401 for a token that proves nothing, 403 for one that proves too little, 503 if nobody can tell.
    pub fn status(&self) -> StatusCode {
        self.failure.status()
    }

    /// The stable code of the error body.
    pub fn code(&self) -> &'static str {
        match self.failure {
            AuthFailure::InsufficientScope => "Forbidden",
            AuthFailure::Unavailable => "ServiceUnavailable",
            _ => "Unauthorized",
        }
    }

    /// The text of the error body; safe to show to anybody.
    pub fn message(&self) -> &'static str {
        self.failure.message()
    }

    /// The value of `WWW-Authenticate`, on 401 and 403.
    pub fn www_authenticate(&self) -> Option<&str> {
        self.challenge.as_deref()
    }

    /// The value of `Retry-After` in seconds, on 503.
    pub fn retry_after(&self) -> Option<u32> {
        (self.failure == AuthFailure::Unavailable).then_some(UNAVAILABLE_PAUSE)
    }

    /// Which check failed, for our own log. Of the token it holds its audience at most, where that is not one of ours.
    pub fn detail(&self) -> &str {
        &self.detail
    }
}

impl fmt::Display for AuthError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.message())
    }
}

impl std::error::Error for AuthError {}

/// Why a token is refused, before anybody thinks of HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub failure: AuthFailure,
    pub detail: Cow<'static, str>,
}

impl Refusal {
    pub(super) fn new(failure: AuthFailure, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            failure,
            detail: detail.into(),
        }
    }

    pub(super) fn malformed(detail: &'static str) -> Self {
        Self::new(AuthFailure::Malformed, detail)
    }
}

/// The challenges of `WWW-Authenticate`, written once. They lead to the first configured issuer.
pub(super) struct Challenges {
    no_header: Arc<str>,
    no_token: Arc<str>,
    invalid_token: Arc<str>,
    insufficient_scope: Arc<str>,
}

impl Challenges {
    pub(super) fn of(issuer: &TrustedIssuer) -> Self {
        let (realm, authorization_uri) = sign_in_place(issuer);
        let resource = &issuer.resource_id;
        let scope = &issuer.required_scope;
        Self {
            // Power BI and Excel need these two exactly so, without quotes (desktop-troubleshoot-odata).
            no_header: format!("Bearer realm={realm}").into(),
            no_token: format!("Bearer authorization_uri={authorization_uri}").into(),
            invalid_token: format!(
                r#"Bearer realm="{realm}", authorization_uri="{authorization_uri}", resource_id="{resource}", error="invalid_token""#
            )
            .into(),
            insufficient_scope: format!(
                r#"Bearer realm="{realm}", error="insufficient_scope", scope="{scope}""#
            )
            .into(),
        }
    }

    /// No `Authorization: Bearer` at all.
    pub(super) fn missing_header(&self) -> AuthError {
        Self::error(
            Refusal::new(AuthFailure::Missing, "no bearer token"),
            Some(&self.no_header),
        )
    }

    /// `Authorization: Bearer` and nothing after it: Power Query's question where to sign in.
    pub(super) fn missing_token(&self) -> AuthError {
        Self::error(
            Refusal::new(AuthFailure::Missing, "empty bearer token"),
            Some(&self.no_token),
        )
    }

    pub(super) fn refuse(&self, refusal: Refusal) -> AuthError {
        let challenge = match refusal.failure {
            AuthFailure::Unavailable => None,
            AuthFailure::InsufficientScope => Some(&self.insufficient_scope),
            AuthFailure::Missing => Some(&self.no_header),
            _ => Some(&self.invalid_token),
        };
        Self::error(refusal, challenge)
    }

    fn error(refusal: Refusal, challenge: Option<&Arc<str>>) -> AuthError {
        AuthError {
            failure: refusal.failure,
            detail: refusal.detail,
            challenge: challenge.cloned(),
        }
    }
}

/// The realm and the address where a browser signs in.
fn sign_in_place(issuer: &TrustedIssuer) -> (String, String) {
    match &issuer.kind {
        IssuerKind::Entra(entra) => {
            let tenant = match &entra.tenants {
                Tenants::Listed(tenants) if let [tenant] = tenants.as_slice() => tenant.to_string(),
                _ => "common".to_owned(),
            };
            let realm = format!("{}/{tenant}", entra.authority);
            let authorization_uri = format!("{realm}/oauth2/authorize");
            (realm, authorization_uri)
        }
        IssuerKind::Oidc(oidc) => (oidc.issuer.clone(), oidc.authorization_uri.clone()),
    }
}
