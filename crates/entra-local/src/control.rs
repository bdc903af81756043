//! The control endpoint of `fame dev`: mint any token, rotate keys, trust other issuers. Whoever reaches it may become
//! anybody.

use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router, body::Bytes};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{Error, FederatedCredential, Issuer, TokenRequest, TokenVersion};

/// `POST /tokens` ([`TokenRequest`] → `{"accessToken": …}`), `POST /keys/rotate` ([`RotationRequest`] → [`Rotation`]) and
/// `POST /federated-credentials` ([`Federation`] → the same).
pub fn control_router(issuer: Issuer) -> Router {
    Router::new()
        .route("/tokens", post(mint_token))
        .route("/keys/rotate", post(rotate_keys))
        .route("/federated-credentials", post(federate))
        .with_state(issuer)
}

async fn mint_token(
    State(issuer): State<Issuer>,
    request: Result<Json<TokenRequest>, JsonRejection>,
) -> Response {
    let request = match request {
        Ok(Json(request)) => request,
        Err(rejection) => return problem(StatusCode::BAD_REQUEST, "InvalidInput", &rejection.body_text()),
    };
    match issuer.mint(&request) {
        Ok(token) => Json(json!({ "tokenType": "Bearer", "accessToken": token })).into_response(),
        Err(error) => failure(&error),
    }
}

/// What to do with the former keys when a new one comes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RotationRequest {
    /// Serve the new key only, so that tokens signed before are worthless. Default: keep serving all.
    pub retire_previous: bool,
}

/// The keys after a rotation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Rotation {
    /// Id of the key that signs from now on.
    pub kid: String,
    /// Ids of all keys that are served, the current one first.
    pub kids: Vec<String>,
}

async fn rotate_keys(State(issuer): State<Issuer>, body: Bytes) -> Response {
    let request = match read_rotation(&body) {
        Ok(request) => request,
        Err(error) => return problem(StatusCode::BAD_REQUEST, "InvalidInput", &error.to_string()),
    };
    let kid = match issuer.rotate_keys() {
        Ok(kid) => kid,
        Err(error) => return failure(&error),
    };
    if request.retire_previous {
        issuer.retire_previous_keys();
    }
    let kids = issuer
        .key_set(TokenVersion::V2)
        .keys
        .into_iter()
        .map(|key| key.kid)
        .collect();
    Json(Rotation { kid, kids }).into_response()
}

/// By whose tokens an application may prove who it is from now on.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Federation {
    /// Name, client id or object id of the application.
    pub application: String,
    /// All of them; none for none any more.
    pub credentials: Vec<FederatedCredential>,
}

async fn federate(
    State(issuer): State<Issuer>,
    request: Result<Json<Federation>, JsonRejection>,
) -> Response {
    let request = match request {
        Ok(Json(request)) => request,
        Err(rejection) => return problem(StatusCode::BAD_REQUEST, "InvalidInput", &rejection.body_text()),
    };
    let directory = issuer.directory();
    let Some(client_id) = directory
        .application(&request.application)
        .map(|found| found.client_id)
    else {
        return failure(&Error::UnknownPrincipal(request.application));
    };
    issuer.change_directory(|directory| {
        let mut applications = directory.applications.iter_mut();
        if let Some(found) = applications.find(|one| one.client_id == client_id) {
            found.federated_credentials.clone_from(&request.credentials);
        }
    });
    Json(request).into_response()
}

/// No body is the usual request.
fn read_rotation(body: &[u8]) -> Result<RotationRequest, serde_json::Error> {
    if body.is_empty() {
        return Ok(RotationRequest::default());
    }
    serde_json::from_slice(body)
}

fn failure(error: &Error) -> Response {
    let status = match error.is_callers_fault() {
        true => StatusCode::BAD_REQUEST,
        false => StatusCode::INTERNAL_SERVER_ERROR,
    };
    problem(status, error.code(), &error.to_string())
}

fn problem(status: StatusCode, code: &str, message: &str) -> Response {
    (
        status,
        Json(json!({ "error": { "code": code, "message": message } })),
    )
        .into_response()
}
