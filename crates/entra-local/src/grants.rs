//! The token endpoint: `client_credentials` for applications, `password` for users.

use std::collections::HashMap;

use axum::Json;
use axum::extract::rejection::FormRejection;
use axum::extract::{Form, Path, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::directory::{Application, Directory, TokenVersion, User};
use crate::discovery::TenantPath;
use crate::listener::Listener;
use crate::oauth_error::Refusal;
use crate::token::LIFETIME_SECONDS;
use crate::{Issuer, TokenRequest};

type Fields = HashMap<String, String>;
type SentForm = Result<Form<Fields>, FormRejection>;

/// Scopes that ask for nothing of a resource.
const OPENID_SCOPES: [&str; 4] = ["openid", "profile", "email", "offline_access"];

pub(crate) async fn token_v2(
    State(listener): State<Listener>,
    Path(tenant): Path<String>,
    headers: HeaderMap,
    form: SentForm,
) -> Response {
    answer(&listener.issuer, TokenVersion::V2, &tenant, &headers, form)
}

pub(crate) async fn token_v1(
    State(listener): State<Listener>,
    Path(tenant): Path<String>,
    headers: HeaderMap,
    form: SentForm,
) -> Response {
    answer(&listener.issuer, TokenVersion::V1, &tenant, &headers, form)
}

fn answer(
    issuer: &Issuer,
    endpoint: TokenVersion,
    tenant: &str,
    headers: &HeaderMap,
    form: SentForm,
) -> Response {
    match grant(issuer, tenant, headers, form) {
        Ok(granted) => {
            let no_store = [(header::CACHE_CONTROL, "no-store"), (header::PRAGMA, "no-cache")];
            (no_store, Json(granted.body(endpoint, issuer.now()))).into_response()
        }
        Err(refusal) => refusal.answer(issuer.now(), headers),
    }
}

/// What goes into the answer besides the fixed members.
struct Granted {
    access_token: String,
    resource: String,
    /// Delegated permissions, each with the resource's name before it.
    scope: Option<String>,
}

impl Granted {
    fn body(self, endpoint: TokenVersion, now: i64) -> Value {
        // Entra promises one second less than the token holds.
        let expires_in = LIFETIME_SECONDS - 1;
        match endpoint {
            TokenVersion::V2 => {
                let mut body = json!({
                    "token_type": "Bearer",
                    "expires_in": expires_in,
                    "ext_expires_in": expires_in,
                    "access_token": self.access_token,
                });
                if let (Some(scope), Some(body)) = (self.scope, body.as_object_mut()) {
                    body.insert("scope".to_owned(), json!(scope));
                }
                body
            }
            // The older endpoint writes its numbers as text.
            TokenVersion::V1 => json!({
                "token_type": "Bearer",
                "expires_in": expires_in.to_string(),
                "ext_expires_in": expires_in.to_string(),
                "expires_on": (now + expires_in).to_string(),
                "not_before": now.to_string(),
                "resource": self.resource,
                "access_token": self.access_token,
            }),
        }
    }
}

fn grant(issuer: &Issuer, tenant: &str, headers: &HeaderMap, form: SentForm) -> Result<Granted, Refusal> {
    let directory = issuer.directory();
    let tenant = TenantPath::find(&directory, tenant)?;
    let Form(fields) = form.map_err(|_| Refusal::NotAForm)?;
    let grant_type = required(&fields, "grant_type")?;
    match grant_type {
        "client_credentials" => application_token(issuer, &directory, &tenant, headers, &fields),
        "password" => user_token(issuer, &directory, &tenant, headers, &fields),
        other => Err(Refusal::UnsupportedGrant(other.to_owned())),
    }
}

fn application_token(
    issuer: &Issuer,
    directory: &Directory,
    tenant: &TenantPath,
    headers: &HeaderMap,
    fields: &Fields,
) -> Result<Granted, Refusal> {
    let TenantPath::One(tenant) = tenant else {
        return Err(Refusal::TenantIndependent);
    };
    let credentials = Credentials::read(headers, fields)?;
    let application = credentials.application(directory, *tenant)?;
    credentials.prove(application)?;

    let resource = requested_resource(fields, AllowedScopes::OnlyDefault)?;
    let request = TokenRequest::client(application.client_id.to_string());
    mint(issuer, directory, request, resource)
}

fn user_token(
    issuer: &Issuer,
    directory: &Directory,
    tenant: &TenantPath,
    headers: &HeaderMap,
    fields: &Fields,
) -> Result<Granted, Refusal> {
    let credentials = Credentials::read(headers, fields)?;
    let username = required(fields, "username")?;
    let password = required(fields, "password")?;
    let user = signed_in_user(directory, tenant, username, password);
    let client_tenant = match tenant {
        TenantPath::One(tenant) => *tenant,
        TenantPath::Any(_) => user.ok_or(Refusal::WrongUser)?.tenant_id,
    };
    let application = credentials.application(directory, client_tenant)?;
    if credentials.has_secret() || !application.public_client {
        credentials.prove(application)?;
    }
    let user = user.ok_or(Refusal::WrongUser)?;

    let resource = requested_resource(fields, AllowedScopes::AnyScope)?;
    let mut request = TokenRequest::user(user.object_id.to_string());
    request.client = Some(application.client_id.to_string());
    mint(issuer, directory, request, resource)
}

fn signed_in_user<'a>(
    directory: &'a Directory,
    tenant: &TenantPath,
    username: &str,
    password: &str,
) -> Option<&'a User> {
    let is_in_tenant = |user: &&User| match tenant {
        TenantPath::One(tenant) => user.tenant_id == *tenant,
        TenantPath::Any(_) => true,
    };
    let is_called = |user: &&User| user.username.eq_ignore_ascii_case(username);
    let user = directory.users.iter().filter(is_in_tenant).find(is_called)?;
    user.password.matches(password).then_some(user)
}

fn mint(
    issuer: &Issuer,
    directory: &Directory,
    mut request: TokenRequest,
    resource_name: &str,
) -> Result<Granted, Refusal> {
    let unknown = || Refusal::UnknownResource(resource_name.to_owned());
    let resource = directory.resource(resource_name).ok_or_else(unknown)?;
    let scope = request.user.as_ref().map(|_| {
        let full = |scope: &String| format!("{}/{scope}", resource_name.trim_end_matches('/'));
        resource.scopes.iter().map(full).collect::<Vec<_>>().join(" ")
    });
    request.audience = Some(resource_name.to_owned());
    let access_token = issuer.mint(&request).map_err(|_| Refusal::Internal)?;
    Ok(Granted {
        access_token,
        resource: resource_name.to_owned(),
        scope,
    })
}

/// Which scopes a grant may ask for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum AllowedScopes {
    /// `…/.default` only.
    OnlyDefault,
    /// Also single permissions, and OpenID's.
    AnyScope,
}

/// The resource's name: v1.0's `resource`, or v2.0's `scope` without the permission at its end.
fn requested_resource(fields: &Fields, allowed: AllowedScopes) -> Result<&str, Refusal> {
    if let Some(resource) = fields.get("resource") {
        return Ok(resource);
    }
    let scopes = required(fields, "scope")?;
    let first = scopes
        .split_whitespace()
        .find(|scope| !OPENID_SCOPES.contains(scope));
    let scope = first.ok_or(Refusal::MissingParameter("scope"))?;
    let malformed = || Refusal::ScopeIsNotDefault(scope.to_owned());
    let (resource, permission) = scope.rsplit_once('/').ok_or_else(malformed)?;
    if allowed == AllowedScopes::OnlyDefault && permission != ".default" {
        return Err(malformed());
    }
    Ok(resource)
}

fn required<'a>(fields: &'a Fields, name: &'static str) -> Result<&'a str, Refusal> {
    let value = fields
        .get(name)
        .map(String::as_str)
        .filter(|value| !value.is_empty());
    value.ok_or(Refusal::MissingParameter(name))
}

/// The application's id and secret, from the form or from basic authentication.
struct Credentials {
    client_id: String,
    /// The readings of what was sent as secret: basic authentication is form-encoded by the book and often
    /// is not by practice.
    secrets: Vec<String>,
}

impl Credentials {
    fn read(headers: &HeaderMap, fields: &Fields) -> Result<Self, Refusal> {
        if let Some(credentials) = Self::from_basic(headers) {
            return Ok(credentials);
        }
        let client_id = required(fields, "client_id")?.to_owned();
        let secrets = fields.get("client_secret").cloned().into_iter().collect();
        Ok(Self { client_id, secrets })
    }

    fn from_basic(headers: &HeaderMap) -> Option<Self> {
        let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
        let (scheme, encoded) = value.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
        let (client_id, secret) = decoded.split_once(':')?;
        let secrets = vec![secret.to_owned(), form_decoded(secret)];
        Some(Self {
            client_id: form_decoded(client_id),
            secrets,
        })
    }

    fn has_secret(&self) -> bool {
        !self.secrets.is_empty()
    }

    fn application<'a>(&self, directory: &'a Directory, tenant: Uuid) -> Result<&'a Application, Refusal> {
        let unknown = || Refusal::UnknownClient(self.client_id.clone());
        let client_id = Uuid::try_parse(&self.client_id).map_err(|_| unknown())?;
        let mut applications = directory.applications.iter();
        let found = applications.find(|it| it.client_id == client_id && it.tenant_id == tenant);
        found.ok_or_else(unknown)
    }

    fn prove(&self, application: &Application) -> Result<(), Refusal> {
        if !self.has_secret() {
            return Err(Refusal::MissingSecret);
        }
        let secret = application.secret.as_ref().ok_or(Refusal::UnexpectedSecret)?;
        let is_right = self.secrets.iter().any(|given| secret.matches(given));
        is_right.then_some(()).ok_or(Refusal::WrongSecret)
    }
}

fn form_decoded(text: &str) -> String {
    let with_blanks = text.replace('+', " ");
    percent_decode_str(&with_blanks).decode_utf8_lossy().into_owned()
}
