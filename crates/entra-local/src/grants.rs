//! The token endpoint: `client_credentials` for applications; codes, refresh tokens, device codes and passwords for users.

use std::collections::HashMap;

use aws_lc_rs::digest::{SHA256, digest};
use axum::Json;
use axum::extract::rejection::FormRejection;
use axum::extract::{Form, Path, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use crate::authorize::registered_client;
use crate::directory::{Application, Directory, TokenVersion, User};
use crate::discovery::TenantPath;
use crate::federation::Assertion;
use crate::keys::base64url;
use crate::listener::Listener;
use crate::oauth_error::Refusal;
use crate::scopes::Scopes;
use crate::tickets::{Decision, Device, Refresh};
use crate::token::{LIFETIME_SECONDS, SignIn, id_token};
use crate::{Issuer, TokenRequest};

pub(crate) type Fields = HashMap<String, String>;
type SentForm = Result<Form<Fields>, FormRejection>;

/// The grant type of RFC 8628.
pub(crate) const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// How long a refresh token may be used again after it was, for requests that were under way at the same time and for
/// answers that got lost, seconds.
const OVERLAP_SECONDS: i64 = 60;

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
    match grant(issuer, endpoint, tenant, headers, form) {
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
    refresh_token: Option<String>,
    id_token: Option<String>,
    client_info: Option<String>,
}

impl Granted {
    fn body(self, endpoint: TokenVersion, now: i64) -> Value {
        // Entra promises one second less than the token holds.
        let expires_in = LIFETIME_SECONDS - 1;
        let mut body = match endpoint {
            TokenVersion::V2 => json!({
                "token_type": "Bearer",
                "expires_in": expires_in,
                "ext_expires_in": expires_in,
                "access_token": self.access_token,
            }),
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
        };
        let more = [
            ("scope", self.scope),
            ("refresh_token", self.refresh_token),
            ("id_token", self.id_token),
            ("client_info", self.client_info),
        ];
        if let Some(body) = body.as_object_mut() {
            let more = more
                .into_iter()
                .filter_map(|(name, value)| Some((name.to_owned(), json!(value?))));
            body.extend(more);
        }
        body
    }
}

/// A request to the token endpoint.
struct Asked<'a> {
    issuer: &'a Issuer,
    endpoint: TokenVersion,
    directory: &'a Directory,
    tenant: TenantPath,
    headers: &'a HeaderMap,
    fields: &'a Fields,
}

fn grant(
    issuer: &Issuer,
    endpoint: TokenVersion,
    tenant: &str,
    headers: &HeaderMap,
    form: SentForm,
) -> Result<Granted, Refusal> {
    let directory = issuer.directory();
    let tenant = TenantPath::find(&directory, tenant)?;
    let Form(fields) = form.map_err(|_| Refusal::NotAForm)?;
    let asked = Asked {
        issuer,
        endpoint,
        directory: &directory,
        tenant,
        headers,
        fields: &fields,
    };
    match required(&fields, "grant_type")? {
        "client_credentials" => asked.application_token(),
        "password" => asked.with_password(),
        "authorization_code" => asked.with_code(),
        "refresh_token" => asked.with_refresh_token(),
        DEVICE_GRANT | "device_code" => asked.for_device(),
        other => Err(Refusal::UnsupportedGrant(other.to_owned())),
    }
}

impl Asked<'_> {
    fn application_token(&self) -> Result<Granted, Refusal> {
        let TenantPath::One(tenant) = &self.tenant else {
            return Err(Refusal::TenantIndependent);
        };
        let credentials = Credentials::read(self.headers, self.fields)?;
        let application = registered_client(self.directory, &self.tenant, &credentials.client_id)?;
        credentials.prove(application, self.issuer.now())?;
        if application.tenant_id != *tenant {
            return Err(Refusal::UnknownClient(credentials.client_id));
        }

        let scope = asked_scope(self.fields)?;
        let scopes = Scopes::read(&scope)?;
        if !scopes.is_default() {
            return Err(Refusal::ScopeIsNotDefault(scope));
        }
        scopes.known(self.directory)?;
        let request = TokenRequest {
            audience: scopes.resource().map(str::to_owned),
            ..TokenRequest::client(application.client_id.to_string())
        };
        Ok(Granted {
            access_token: self.issuer.mint(&request).map_err(|_| Refusal::Internal)?,
            resource: scopes.resource().unwrap_or_default().to_owned(),
            scope: None,
            refresh_token: None,
            id_token: None,
            client_info: None,
        })
    }

    /// The application, proven where it has to be.
    fn client(&self) -> Result<(&Application, Credentials), Refusal> {
        let credentials = Credentials::read(self.headers, self.fields)?;
        let application = registered_client(self.directory, &self.tenant, &credentials.client_id)?;
        if credentials.shows_proof() || !application.public_client {
            credentials.prove(application, self.issuer.now())?;
        }
        Ok((application, credentials))
    }

    fn with_password(&self) -> Result<Granted, Refusal> {
        let (username, password) = (
            required(self.fields, "username")?,
            required(self.fields, "password")?,
        );
        let (application, _) = self.client()?;
        let user = self
            .signed_in_user(username, password)
            .ok_or(Refusal::WrongUser)?;
        let sign_in = Refresh {
            client_id: application.client_id,
            user: user.object_id,
            scope: asked_scope(self.fields)?,
            at: self.issuer.now(),
        };
        self.user_tokens(&sign_in, None)
    }

    fn signed_in_user(&self, username: &str, password: &str) -> Option<&User> {
        let mut users = self.directory.users.iter();
        let user = users.find(|user| {
            self.tenant.admits(user.tenant_id) && user.username.eq_ignore_ascii_case(username)
        })?;
        user.password.matches(password).then_some(user)
    }

    fn with_code(&self) -> Result<Granted, Refusal> {
        let (application, credentials) = self.client()?;
        let now = self.issuer.now();
        let code = self
            .issuer
            .tickets()
            .codes
            .redeem(now, required(self.fields, "code")?);
        let code = code.filter(|code| code.sign_in.client_id == application.client_id);
        let code = code.ok_or(Refusal::BadCode)?;
        if self.fields.get("redirect_uri") != Some(&code.redirect_uri) {
            return Err(Refusal::OtherRedirect);
        }
        let verifier = self.fields.get("code_verifier").map(|verifier| sha256(verifier));
        match (&code.challenge, verifier) {
            (challenge, verifier) if *challenge != verifier => return Err(Refusal::WrongVerifier),
            (None, _) if !credentials.shows_proof() => return Err(Refusal::NoVerifier),
            _ => {}
        }
        self.user_tokens(&code.sign_in, code.nonce.as_deref())
    }

    fn with_refresh_token(&self) -> Result<Granted, Refusal> {
        let (application, _) = self.client()?;
        let token = required(self.fields, "refresh_token")?;
        let (now, tokens) = (self.issuer.now(), &self.issuer.tickets().refresh_tokens);
        let sign_in = tokens.look_at(now, token);
        let sign_in = sign_in.filter(|sign_in| sign_in.client_id == application.client_id);
        let mut sign_in = sign_in.ok_or(Refusal::BadRefreshToken)?;
        if self.fields.contains_key("scope") || self.fields.contains_key("resource") {
            sign_in.scope = asked_scope(self.fields)?;
        }
        // It goes on whether or not that is said once more.
        if !Scopes::read(&sign_in.scope)?.has("offline_access") {
            sign_in.scope.push_str(" offline_access");
        }
        let granted = self.user_tokens(&sign_in, None)?;
        tokens.end_in(now, token, OVERLAP_SECONDS);
        Ok(granted)
    }

    fn for_device(&self) -> Result<Granted, Refusal> {
        let (application, _) = self.client()?;
        let code = required(self.fields, "device_code")?;
        let (now, devices) = (self.issuer.now(), &self.issuer.tickets().devices);
        let device = devices.look_at(now, code);
        let device = device.filter(|device| device.client_id == application.client_id);
        let device = device.ok_or(Refusal::BadDeviceCode)?;
        if device.decision == Decision::Open {
            return Err(Refusal::Pending);
        }
        // Of two that ask at the same time one is too late.
        let Device { decision, scope, .. } = devices.redeem(now, code).ok_or(Refusal::BadDeviceCode)?;
        let Decision::SignedIn(user, at) = decision else {
            return Err(Refusal::Declined);
        };
        let client_id = application.client_id;
        let sign_in = Refresh {
            client_id,
            user,
            scope,
            at,
        };
        self.user_tokens(&sign_in, None)
    }

    /// All that somebody who has signed in gets.
    fn user_tokens(&self, sign_in: &Refresh, nonce: Option<&str>) -> Result<Granted, Refusal> {
        let mut users = self.directory.users.iter();
        let user = users
            .find(|user| user.object_id == sign_in.user)
            .ok_or(Refusal::WrongUser)?;
        let client_id = sign_in.client_id.to_string();
        let application = registered_client(self.directory, &TenantPath::One(user.tenant_id), &client_id)?;
        if !self.tenant.admits(user.tenant_id) {
            return Err(Refusal::WrongUser);
        }
        let scopes = Scopes::read(&sign_in.scope)?;
        let resource = scopes.known(self.directory)?;
        let granted_scope = scopes.granted(resource);
        let mut request = TokenRequest::user(user.object_id.to_string());
        request.client = Some(application.client_id.to_string());
        // Who asks for nothing of an API has a token that opens none.
        request.audience = Some(scopes.resource().unwrap_or(&client_id).to_owned());
        if resource.is_none() {
            request = request.with_claim("scp", granted_scope.as_str());
        }
        let failed = |_| Refusal::Internal;
        let access_token = self.issuer.mint(&request).map_err(failed)?;
        let as_told = SignIn {
            user,
            client_id: application.client_id,
            at: sign_in.at,
            nonce,
            version: self.endpoint,
        };
        let (now, tokens) = (self.issuer.now(), &self.issuer.tickets().refresh_tokens);
        let refresh = scopes
            .has("offline_access")
            .then(|| tokens.issue(now, sign_in.clone()));
        Ok(Granted {
            access_token,
            resource: scopes.resource().unwrap_or_default().to_owned(),
            scope: (self.endpoint == TokenVersion::V2).then_some(granted_scope),
            refresh_token: refresh.transpose().map_err(failed)?,
            id_token: scopes
                .has("openid")
                .then(|| id_token(self.issuer, &as_told))
                .transpose()
                .map_err(failed)?,
            client_info: asks_for_client_info(self.fields).then(|| client_info(user)),
        })
    }
}

/// Whether the client asks who the user is in the way that MSAL reads.
pub(crate) fn asks_for_client_info(fields: &Fields) -> bool {
    fields.get("client_info").is_some_and(|asked| asked == "1")
}

/// By which MSAL files the account.
pub(crate) fn client_info(user: &User) -> String {
    let info = json!({ "uid": user.object_id, "utid": user.tenant_id });
    base64url(info.to_string().as_bytes())
}

fn sha256(text: &str) -> String {
    base64url(digest(&SHA256, text.as_bytes()).as_ref())
}

/// The scope that is asked for. The older endpoints name the resource instead, and mean all there is.
pub(crate) fn asked_scope(fields: &Fields) -> Result<String, Refusal> {
    match fields.get("resource").filter(|resource| !resource.is_empty()) {
        Some(resource) => Ok(format!("{resource}/.default openid profile offline_access")),
        None => required(fields, "scope").map(str::to_owned),
    }
}

pub(crate) fn required<'a>(fields: &'a Fields, name: &'static str) -> Result<&'a str, Refusal> {
    let value = fields
        .get(name)
        .map(String::as_str)
        .filter(|value| !value.is_empty());
    value.ok_or(Refusal::MissingParameter(name))
}

/// The application's id and how it proves that, from the form or from basic authentication.
struct Credentials {
    client_id: String,
    proof: Shown,
}

/// What an application shows to prove who it is.
enum Shown {
    Nothing,
    /// The readings of what was sent as secret: basic authentication is form-encoded by the book and often
    /// is not by practice.
    Secrets(Vec<String>),
    Assertion(Assertion),
}

impl Credentials {
    fn read(headers: &HeaderMap, fields: &Fields) -> Result<Self, Refusal> {
        if let Some(credentials) = Self::from_basic(headers) {
            return Ok(credentials);
        }
        let client_id = required(fields, "client_id")?.to_owned();
        let secret = fields.get("client_secret").cloned();
        let proof = match (Assertion::read(fields)?, secret) {
            (Some(assertion), _) => Shown::Assertion(assertion),
            (None, Some(secret)) => Shown::Secrets(vec![secret]),
            (None, None) => Shown::Nothing,
        };
        Ok(Self { client_id, proof })
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
            proof: Shown::Secrets(secrets),
        })
    }

    fn shows_proof(&self) -> bool {
        !matches!(self.proof, Shown::Nothing)
    }

    fn prove(&self, application: &Application, now: i64) -> Result<(), Refusal> {
        match &self.proof {
            Shown::Nothing => Err(Refusal::MissingSecret),
            Shown::Assertion(assertion) => assertion.prove(&application.federated_credentials, now),
            Shown::Secrets(secrets) => {
                let secret = application.secret.as_ref().ok_or(Refusal::UnexpectedSecret)?;
                let is_right = secrets.iter().any(|given| secret.matches(given));
                is_right.then_some(()).ok_or(Refusal::WrongSecret)
            }
        }
    }
}

fn form_decoded(text: &str) -> String {
    let with_blanks = text.replace('+', " ");
    percent_decode_str(&with_blanks).decode_utf8_lossy().into_owned()
}
