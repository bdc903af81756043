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
    /// Users are not sent back to that address by that application.
    UnregisteredRedirect(String, String),
    /// Only codes are given.
    UnsupportedResponseType(String),
    /// A way to answer that we do not speak.
    UnsupportedResponseMode(String),
    /// The challenge is not made with SHA-256.
    BadChallenge,
    /// Nobody is signed in, and nobody shall be asked.
    SignInRequired,
    /// Somebody said no.
    Declined,
    /// The code was never given to this application, was redeemed, or is too old.
    BadCode,
    /// The code was given for another address to go back to.
    OtherRedirect,
    /// The verifier does not fit the code's challenge.
    WrongVerifier,
    /// A public client showed no verifier.
    NoVerifier,
    /// The refresh token was never given to this application, was used, or is too old.
    BadRefreshToken,
    /// Nobody has decided yet.
    Pending,
    /// The device code was never given to this application, was redeemed, or is too old.
    BadDeviceCode,
    /// A page of somebody else's asks in the name of a device.
    ForeignPage,
    /// As many devices wait as may.
    TooManyDevices,
    /// The client assertion is of a kind that nobody here reads.
    UnsupportedAssertion(String),
    /// The client assertion is no token.
    MalformedAssertion,
    /// The client assertion is not good yet, or no longer.
    AssertionOutOfTime {
        /// When it begins, seconds since 1970.
        from: i64,
        /// When it ends.
        until: i64,
    },
    /// The application has no federated credential.
    NoFederatedCredential,
    /// None of its federated credentials is of that issuer.
    OtherIssuer(String),
    /// None of those of that issuer is for that subject.
    OtherSubject(String),
    /// None of those for that subject is for that audience.
    OtherAudience(String),
    /// The client assertion is not signed with a key of its issuer.
    BadAssertionSignature,
    /// The issuer itself failed.
    Internal,
}

impl Refusal {
    fn status(&self) -> StatusCode {
        match self {
            Self::WrongSecret | Self::MissingSecret | Self::UnexpectedSecret => StatusCode::UNAUTHORIZED,
            Self::MalformedAssertion | Self::AssertionOutOfTime { .. } => StatusCode::UNAUTHORIZED,
            Self::NoFederatedCredential | Self::BadAssertionSignature => StatusCode::UNAUTHORIZED,
            Self::OtherIssuer(_) | Self::OtherSubject(_) | Self::OtherAudience(_) => StatusCode::UNAUTHORIZED,
            Self::ForeignPage => StatusCode::FORBIDDEN,
            Self::TooManyDevices => StatusCode::TOO_MANY_REQUESTS,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    /// The word of RFC 6749 §5.2 (and Entra's additions).
    pub(crate) fn error(&self) -> &'static str {
        match self {
            Self::UnknownTenant(_) | Self::MissingParameter(_) | Self::NotAForm => "invalid_request",
            Self::TenantIndependent => "invalid_request",
            Self::UnsupportedGrant(_) => "unsupported_grant_type",
            Self::UnknownClient(_) => "unauthorized_client",
            Self::WrongSecret | Self::MissingSecret | Self::UnexpectedSecret => "invalid_client",
            Self::ScopeIsNotDefault(_) => "invalid_scope",
            Self::UnknownResource(_) => "invalid_resource",
            Self::WrongUser | Self::BadCode | Self::OtherRedirect => "invalid_grant",
            Self::WrongVerifier | Self::NoVerifier | Self::BadRefreshToken => "invalid_grant",
            Self::UnregisteredRedirect(..) | Self::UnsupportedResponseMode(_) => "invalid_request",
            Self::BadChallenge => "invalid_request",
            Self::UnsupportedResponseType(_) => "unsupported_response_type",
            Self::SignInRequired => "login_required",
            Self::Declined => "access_denied",
            Self::Pending => "authorization_pending",
            Self::BadDeviceCode => "expired_token",
            Self::ForeignPage => "access_denied",
            Self::TooManyDevices => "temporarily_unavailable",
            Self::UnsupportedAssertion(_) => "invalid_request",
            Self::MalformedAssertion | Self::AssertionOutOfTime { .. } => "invalid_client",
            Self::NoFederatedCredential | Self::BadAssertionSignature => "invalid_client",
            Self::OtherIssuer(_) | Self::OtherSubject(_) | Self::OtherAudience(_) => "invalid_client",
            Self::Internal => "server_error",
        }
    }

    pub(crate) fn number(&self) -> u32 {
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
            Self::UnregisteredRedirect(..) => 50011,
            Self::UnsupportedResponseType(_) => 70005,
            Self::UnsupportedResponseMode(_) => 70007,
            Self::BadChallenge => 9_002_313,
            Self::SignInRequired => 50058,
            Self::Declined => 65004,
            Self::BadCode | Self::BadRefreshToken => 70000,
            Self::OtherRedirect => 500_112,
            Self::WrongVerifier => 501_481,
            Self::NoVerifier => 9_002_325,
            Self::Pending => 70016,
            Self::BadDeviceCode => 70020,
            Self::ForeignPage => 90013,
            Self::TooManyDevices => 90055,
            Self::UnsupportedAssertion(_) => 90021,
            Self::MalformedAssertion => 50027,
            Self::AssertionOutOfTime { .. } => 700_024,
            Self::NoFederatedCredential => 70025,
            Self::OtherIssuer(_) => 700_211,
            Self::OtherSubject(_) => 700_213,
            Self::OtherAudience(_) => 700_212,
            Self::BadAssertionSignature => 700_027,
            Self::Internal => 90033,
        }
    }

    pub(crate) fn sentence(&self) -> String {
        match self {
            Self::UnknownTenant(tenant) => format!("Tenant '{tenant}' is not known here."),
            Self::MissingParameter(name) => format!("The form has no parameter '{name}'."),
            Self::NotAForm => "The body must be application/x-www-form-urlencoded, 16 KiB at most.".to_owned(),
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
            Self::UnregisteredRedirect(address, application) => {
                format!("The address '{address}' is not registered as a redirect URI of '{application}'.")
            }
            Self::UnsupportedResponseType(name) => format!("The response_type '{name}' is not 'code'."),
            Self::UnsupportedResponseMode(name) => {
                format!("The response_mode '{name}' is neither 'query' nor 'form_post'.")
            }
            Self::BadChallenge => "The code_challenge must be a SHA-256 digest in base64url, and \
                                   code_challenge_method 'S256'."
                .to_owned(),
            Self::SignInRequired => {
                "Nobody stays signed in here, and prompt=none lets nobody be asked.".to_owned()
            }
            Self::Declined => "Whoever was asked to sign in did not want to.".to_owned(),
            Self::BadCode => "The code is not one of this application's, was redeemed before, or is too old.".to_owned(),
            Self::OtherRedirect => "The redirect_uri is not the one that the code was asked with.".to_owned(),
            Self::WrongVerifier => "The code_verifier does not fit the code_challenge of the code.".to_owned(),
            Self::NoVerifier => {
                "A public client must send a code_challenge, and its code_verifier with the code.".to_owned()
            }
            Self::BadRefreshToken => {
                "The refresh token is not one of this application's, was used before, or is too old; the issuer \
                 forgets all of them when it ends."
                    .to_owned()
            }
            Self::Pending => "Nobody has signed in for this device yet.".to_owned(),
            Self::BadDeviceCode => {
                "The device code is not one of this application's, was redeemed before, or is too old.".to_owned()
            }
            Self::ForeignPage => "A page of another site asked for it.".to_owned(),
            Self::TooManyDevices => {
                "Too many devices wait for somebody to sign in: try again when some have ended.".to_owned()
            }
            Self::UnsupportedAssertion(kind) => {
                format!("The client_assertion_type '{kind}' is not the one of RFC 7523 §2.2.")
            }
            Self::MalformedAssertion => "The client assertion is no signed JSON Web Token.".to_owned(),
            Self::AssertionOutOfTime { from, until } => format!(
                "The client assertion is not within its valid time range: it is good from {} to {}.",
                entra_timestamp(*from),
                entra_timestamp(*until)
            ),
            Self::NoFederatedCredential => "The application has no configured federated identity credentials.".to_owned(),
            Self::OtherIssuer(issuer) => {
                format!("No matching federated identity record is found for the presented assertion issuer '{issuer}'.")
            }
            Self::OtherSubject(subject) => {
                format!("No matching federated identity record is found for the presented assertion subject '{subject}'.")
            }
            Self::OtherAudience(audience) => {
                format!("No matching federated identity record is found for the presented assertion audience '{audience}'.")
            }
            Self::BadAssertionSignature => "The client assertion failed signature validation.".to_owned(),
            Self::Internal => "The issuer failed to make the token.".to_owned(),
        }
    }

    /// The whole answer. `now` is in seconds since 1970; a `client-request-id` of the caller becomes the
    /// correlation id, as with Entra.
    pub(crate) fn answer(&self, now: i64, request: &HeaderMap) -> Response {
        let ids = Ids::new(now, request);
        let body = json!({
            "error": self.error(),
            "error_description": self.description_with(&ids),
            "error_codes": [self.number()],
            "timestamp": ids.timestamp,
            "trace_id": ids.trace,
            "correlation_id": ids.correlation,
        });
        (self.status(), [(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
    }

    /// Number, sentence, and ids to search logs by, in one text.
    pub(crate) fn description(&self, now: i64, request: &HeaderMap) -> String {
        self.description_with(&Ids::new(now, request))
    }

    fn description_with(&self, ids: &Ids) -> String {
        let Ids {
            timestamp,
            trace,
            correlation,
        } = ids;
        format!(
            "AADSTS{}: {} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {timestamp}",
            self.number(),
            self.sentence()
        )
    }
}

/// What a refusal is found by in logs.
struct Ids {
    timestamp: String,
    trace: Uuid,
    correlation: Uuid,
}

impl Ids {
    fn new(now: i64, request: &HeaderMap) -> Self {
        Self {
            timestamp: entra_timestamp(now),
            trace: Uuid::new_v4(),
            correlation: correlation_id(request),
        }
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
