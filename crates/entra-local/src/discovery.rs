//! What clients read before they ask for a token: the discovery documents, the keys, and the answers that
//! MSAL wants about the cloud and the user.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::directory::{Directory, TokenVersion};
use crate::grants::DEVICE_GRANT;
use crate::listener::Listener;
use crate::oauth_error::Refusal;

/// The tenant segment of a path.
pub(crate) enum TenantPath {
    /// One tenant that exists.
    One(Uuid),
    /// `common` or `organizations`: whichever the user belongs to.
    Any(&'static str),
}

impl TenantPath {
    pub(crate) fn find(directory: &Directory, segment: &str) -> Result<Self, Refusal> {
        match segment {
            "common" => return Ok(Self::Any("common")),
            "organizations" => return Ok(Self::Any("organizations")),
            _ => {}
        }
        let tenant = Uuid::try_parse(segment)
            .ok()
            .filter(|tenant| directory.has_tenant(*tenant));
        tenant
            .map(Self::One)
            .ok_or_else(|| Refusal::UnknownTenant(segment.to_owned()))
    }

    /// Whether users of that tenant sign in here.
    pub(crate) fn admits(&self, tenant: Uuid) -> bool {
        match self {
            Self::One(own) => *own == tenant,
            Self::Any(_) => true,
        }
    }

    fn segment(&self) -> String {
        match self {
            Self::One(tenant) => tenant.to_string(),
            Self::Any(word) => (*word).to_owned(),
        }
    }
}

pub(crate) async fn document_v2(
    State(listener): State<Listener>,
    Path(tenant): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    document(&listener, TokenVersion::V2, &tenant, &uri, &headers)
}

pub(crate) async fn document_v1(
    State(listener): State<Listener>,
    Path(tenant): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    document(&listener, TokenVersion::V1, &tenant, &uri, &headers)
}

fn document(
    listener: &Listener,
    version: TokenVersion,
    tenant: &str,
    uri: &Uri,
    headers: &HeaderMap,
) -> Response {
    let tenant = match TenantPath::find(&listener.issuer.directory(), tenant) {
        Ok(tenant) => tenant,
        Err(refusal) => return refusal.answer(listener.issuer.now(), headers),
    };
    let Some(origin) = listener.origin(uri, headers) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let issuer = match &tenant {
        TenantPath::One(tenant) => listener.issuer.issuer_of(*tenant, version),
        TenantPath::Any(_) => listener.issuer.issuer_template(version),
    };
    let base = format!("{origin}{}/{}", listener.issuer.base_path(), tenant.segment());
    Json(document_body(version, &base, &issuer)).into_response()
}

fn document_body(version: TokenVersion, base: &str, issuer: &str) -> Value {
    let (oauth2, discovery) = match version {
        TokenVersion::V1 => ("oauth2", "discovery"),
        TokenVersion::V2 => ("oauth2/v2.0", "discovery/v2.0"),
    };
    json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{base}/{oauth2}/authorize"),
        "token_endpoint": format!("{base}/{oauth2}/token"),
        "device_authorization_endpoint": format!("{base}/oauth2/v2.0/devicecode"),
        "jwks_uri": format!("{base}/{discovery}/keys"),
        "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
        "grant_types_supported": [
            "authorization_code", "refresh_token", DEVICE_GRANT, "client_credentials", "password"
        ],
        "code_challenge_methods_supported": ["S256"],
        "response_modes_supported": ["query", "form_post"],
        "response_types_supported": ["code"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "scopes_supported": ["openid", "profile", "email", "offline_access"],
        "claims_supported": [
            "aud", "iss", "iat", "nbf", "exp", "ver", "tid", "oid", "sub", "name", "nonce", "auth_time",
            "appid", "azp", "idtyp", "scp", "preferred_username", "roles", "wids"
        ],
        "request_uri_parameter_supported": false,
    })
}

pub(crate) async fn keys_v2(
    State(listener): State<Listener>,
    Path(tenant): Path<String>,
    headers: HeaderMap,
) -> Response {
    keys(&listener, TokenVersion::V2, &tenant, &headers)
}

pub(crate) async fn keys_v1(
    State(listener): State<Listener>,
    Path(tenant): Path<String>,
    headers: HeaderMap,
) -> Response {
    keys(&listener, TokenVersion::V1, &tenant, &headers)
}

fn keys(listener: &Listener, version: TokenVersion, tenant: &str, headers: &HeaderMap) -> Response {
    match TenantPath::find(&listener.issuer.directory(), tenant) {
        Ok(_) => Json(listener.issuer.key_set(version)).into_response(),
        Err(refusal) => refusal.answer(listener.issuer.now(), headers),
    }
}

/// The question of MSAL which clouds there are.
#[derive(Deserialize)]
pub(crate) struct InstanceQuery {
    authorization_endpoint: Option<String>,
}

/// Answers that this host is a cloud of its own, so that MSAL does not go and ask Microsoft's.
pub(crate) async fn instance(
    State(listener): State<Listener>,
    Query(query): Query<InstanceQuery>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let Some(origin) = listener.origin(&uri, &headers) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let host = origin.rsplit('/').next().unwrap_or_default();
    let base = format!("{origin}{}", listener.issuer.base_path());
    let endpoint = query.authorization_endpoint.as_deref().unwrap_or_default();
    let tenant = tenant_of_endpoint(endpoint).unwrap_or("common");
    Json(json!({
        "tenant_discovery_endpoint": format!("{base}/{tenant}/v2.0/.well-known/openid-configuration"),
        "api-version": "1.1",
        "metadata": [{ "preferred_network": host, "preferred_cache": host, "aliases": [host] }],
    }))
    .into_response()
}

/// The segment before `/oauth2/…`, if it is a plain word or GUID.
fn tenant_of_endpoint(endpoint: &str) -> Option<&str> {
    let (before, _) = endpoint.split_once("/oauth2/")?;
    let tenant = before.rsplit('/').next()?;
    let is_plain = tenant
        .chars()
        .all(|letter| letter.is_ascii_alphanumeric() || letter == '-');
    (is_plain && !tenant.is_empty()).then_some(tenant)
}

/// MSAL asks, before it sends a password, whether the user's home is federated. Nobody's is here.
pub(crate) async fn user_realm(Path((_tenant, username)): Path<(String, String)>) -> Json<Value> {
    let domain = username.rsplit('@').next().unwrap_or_default();
    Json(json!({
        "ver": "1.0",
        "account_type": "Managed",
        "domain_name": domain,
        "cloud_instance_name": "entra-local",
        "cloud_audience_urn": "urn:federation:MicrosoftOnline",
    }))
}
