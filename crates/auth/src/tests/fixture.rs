//! Contoso's tenant at a local issuer whose web server can be watched and made to misbehave.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};

use axum::Router;
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use entra_local::{
    Application, Directory, Issuer, IssuerState, Resource, Scheme, Secret, Settings, TokenRequest,
    TokenVersion, User, router,
};
use serde_json::Value;
use uuid::{Uuid, uuid};

use crate::{AuthError, AuthFailure, AuthSettings, Authenticator, Caller, Customer, Door, WallClock};

pub(super) const START: i64 = 1_790_000_000;
pub(super) const TENANT: Uuid = uuid!("6f8c7a3e-1111-4c2b-9a55-0c0a7c0a0001");
pub(super) const OTHER_TENANT: Uuid = uuid!("6f8c7a3e-1111-4c2b-9a55-0c0a7c0a0099");
pub(super) const API: Uuid = uuid!("6f8c7a3e-2222-4c2b-9a55-0c0a7c0a0002");
pub(super) const API_URI: &str = "https://apps.contoso.com";
pub(super) const CLIENT: Uuid = uuid!("6f8c7a3e-3333-4c2b-9a55-0c0a7c0a0003");
pub(super) const SERVICE_PRINCIPAL: Uuid = uuid!("6f8c7a3e-4444-4c2b-9a55-0c0a7c0a0004");
pub(super) const USER: Uuid = uuid!("6f8c7a3e-6666-4c2b-9a55-0c0a7c0a0006");

/// The issuer's name differs from where it listens, as Entra's does.
pub(super) const BASE_URL: &str = "https://sts.contoso.com";

/// An entry for tenants that nobody has listed.
pub(super) const ANY: &str = "tenants = \"any\"\ndoors = [\"customer\"]";

/// Keys take a while to make, so all fixtures begin with the same ones.
static STATE: LazyLock<IssuerState> = LazyLock::new(|| {
    let settings = Settings {
        base_url: BASE_URL.to_owned(),
        hosts: Vec::new(),
        clock: Arc::new(|| START),
    };
    Issuer::new(settings, directory()).unwrap().state().unwrap()
});

fn directory() -> Directory {
    Directory {
        tenants: vec![OTHER_TENANT],
        resources: vec![Resource {
            client_id: API,
            identifier_uris: vec![API_URI.to_owned()],
            token_version: TokenVersion::V2,
            scopes: vec!["user_impersonation".to_owned()],
        }],
        applications: vec![Application {
            name: "owner".to_owned(),
            client_id: CLIENT,
            object_id: SERVICE_PRINCIPAL,
            tenant_id: TENANT,
            secret: Some(Secret::new("unused")),
            ..Application::default()
        }],
        users: vec![User {
            name: "reader-user".to_owned(),
            username: "reader@contoso.com".to_owned(),
            password: Secret::new("unused"),
            object_id: USER,
            tenant_id: TENANT,
            directory_roles: Vec::new(),
        }],
    }
}

/// What the web server answers instead of the issuer.
#[derive(Clone)]
pub(super) enum Instead {
    Json(Value),
    Status(u16),
    Redirect(String),
    Bytes(usize),
}

#[derive(Default)]
struct Traffic {
    key_fetches: AtomicUsize,
    all_requests: AtomicUsize,
    instead: Mutex<HashMap<String, Instead>>,
}

pub(super) struct Fixture {
    pub issuer: Issuer,
    pub origin: String,
    time: Arc<AtomicI64>,
    traffic: Arc<Traffic>,
}

impl Fixture {
    pub(super) async fn open() -> Self {
        let time = Arc::new(AtomicI64::new(START));
        let settings = Settings {
            base_url: BASE_URL.to_owned(),
            hosts: Vec::new(),
            clock: clock_of(&time),
        };
        let issuer = Issuer::load(settings, STATE.clone()).unwrap();
        let traffic = Arc::new(Traffic::default());
        let routes = watched(router(issuer.clone(), Scheme::Http), Arc::clone(&traffic));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self {
            issuer,
            origin,
            time,
            traffic,
        }
    }

    pub(super) fn clock(&self) -> WallClock {
        clock_of(&self.time)
    }

    pub(super) fn advance(&self, seconds: i64) {
        self.time.fetch_add(seconds, Ordering::SeqCst);
    }

    /// How often a key set was asked for.
    pub(super) fn key_fetches(&self) -> usize {
        self.traffic.key_fetches.load(Ordering::SeqCst)
    }

    /// How often anything was asked for.
    pub(super) fn all_requests(&self) -> usize {
        self.traffic.all_requests.load(Ordering::SeqCst)
    }

    pub(super) fn answer_instead(&self, path: &str, answer: Instead) {
        self.traffic
            .instead
            .lock()
            .unwrap()
            .insert(path.to_owned(), answer);
    }

    pub(super) fn behave_again(&self) {
        self.traffic.instead.lock().unwrap().clear();
    }

    /// The usual settings as a configuration file would have them, with more lines for the entry.
    pub(super) fn settings_with(&self, more: &str) -> AuthSettings {
        toml::from_str(&format!(
            r#"
            allow_insecure_loopback = true
            [[issuers]]
            kind = "entra"
            authority = "{}"
            audiences = ["{API}", "{API_URI}"]
            v1_issuer = "{BASE_URL}/{{tenantid}}/"
            v2_issuer = "{BASE_URL}/{{tenantid}}/v2.0"
            {more}
            "#,
            self.origin
        ))
        .unwrap()
    }

    pub(super) fn authenticator(&self) -> Authenticator {
        self.authenticator_with(&format!(r#"tenants = ["{TENANT}"]"#))
    }

    pub(super) fn authenticator_with(&self, more: &str) -> Authenticator {
        Authenticator::new(&self.settings_with(more), self.clock()).unwrap()
    }

    pub(super) fn mint(&self, request: &TokenRequest) -> String {
        self.issuer.mint(request).unwrap()
    }
}

fn clock_of(time: &Arc<AtomicI64>) -> WallClock {
    let time = Arc::clone(time);
    Arc::new(move || time.load(Ordering::SeqCst))
}

fn watched(routes: Router, traffic: Arc<Traffic>) -> Router {
    let watch = move |request: Request, next: Next| {
        let traffic = Arc::clone(&traffic);
        async move {
            traffic.all_requests.fetch_add(1, Ordering::SeqCst);
            let path = request.uri().path().to_owned();
            if path.ends_with("/keys") {
                traffic.key_fetches.fetch_add(1, Ordering::SeqCst);
            }
            let instead = traffic.instead.lock().unwrap().get(&path).cloned();
            match instead {
                Some(answer) => misbehave(answer),
                None => next.run(request).await,
            }
        }
    };
    // A fallback, because middleware runs for routes that exist only.
    routes
        .fallback(|| async { StatusCode::NOT_FOUND })
        .layer(from_fn(watch))
}

fn misbehave(answer: Instead) -> Response {
    match answer {
        Instead::Json(body) => axum::Json(body).into_response(),
        Instead::Status(status) => StatusCode::from_u16(status).unwrap().into_response(),
        Instead::Redirect(to) => (StatusCode::FOUND, [(header::LOCATION, to)]).into_response(),
        Instead::Bytes(count) => vec![b' '; count].into_response(),
    }
}

pub(super) fn v1(request: TokenRequest) -> TokenRequest {
    TokenRequest {
        version: Some(TokenVersion::V1),
        ..request
    }
}

pub(super) fn application() -> TokenRequest {
    TokenRequest::client("owner")
}

pub(super) fn user() -> TokenRequest {
    TokenRequest::user("reader-user")
}

pub(super) fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

/// Calls with the token that `request` describes.
pub(super) async fn call(
    fixture: &Fixture,
    authenticator: &Authenticator,
    request: &TokenRequest,
) -> Result<Arc<Caller>, AuthError> {
    present(authenticator, &fixture.mint(request)).await
}

/// Calls with this token.
pub(super) async fn present(authenticator: &Authenticator, token: &str) -> Result<Arc<Caller>, AuthError> {
    authenticator
        .authenticate(Door::Vendor, Some(&bearer(token)))
        .await
}

/// Calls as a customer with the token that `request` describes.
pub(super) async fn call_as_customer(
    fixture: &Fixture,
    authenticator: &Authenticator,
    request: &TokenRequest,
) -> Result<Customer, AuthError> {
    let token = bearer(&fixture.mint(request));
    authenticator.authenticate_customer(Some(&token)).await
}

/// Expects a refusal, and answers status and reason.
pub(super) async fn refusal(
    fixture: &Fixture,
    authenticator: &Authenticator,
    request: &TokenRequest,
) -> (u16, AuthFailure) {
    refused(call(fixture, authenticator, request).await)
}

pub(super) fn refused<T: std::fmt::Debug>(outcome: Result<T, AuthError>) -> (u16, AuthFailure) {
    let error = outcome.expect_err("a refusal");
    (error.status().as_u16(), error.failure())
}
