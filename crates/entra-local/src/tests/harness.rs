//! Contoso's tenant with an application, a public client and a user; and a running listener.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use reqwest::redirect::Policy;
use reqwest::{Client, Response};
use serde_json::{Map, Value};
use uuid::{Uuid, uuid};

use crate::{
    Application, Directory, Issuer, JsonWebKeySet, Resource, Scheme, Secret, Settings, TokenVersion, User,
    control_router, router,
};

pub(super) const NOW: i64 = 1_790_000_000;
pub(super) const TENANT: Uuid = uuid!("6f8c7a3e-1111-4c2b-9a55-0c0a7c0a0001");
pub(super) const API: Uuid = uuid!("6f8c7a3e-2222-4c2b-9a55-0c0a7c0a0002");
pub(super) const API_URI: &str = "https://apps.businesscentral.dynamics.com";
pub(super) const CLIENT: Uuid = uuid!("6f8c7a3e-3333-4c2b-9a55-0c0a7c0a0003");
pub(super) const SERVICE_PRINCIPAL: Uuid = uuid!("6f8c7a3e-4444-4c2b-9a55-0c0a7c0a0004");
pub(super) const PUBLIC_CLIENT: Uuid = uuid!("6f8c7a3e-5555-4c2b-9a55-0c0a7c0a0005");
/// A client with a secret, of whose users some belong to other tenants.
pub(super) const WEB_CLIENT: Uuid = uuid!("6f8c7a3e-7777-4c2b-9a55-0c0a7c0a0007");
pub(super) const WEB_ADDRESS: &str = "https://console.contoso.com/signed-in?to=apps";
pub(super) const OTHER_TENANT: Uuid = uuid!("6f8c7a3e-1111-4c2b-9a55-0c0a7c0a00ff");
pub(super) const OTHER_USER: Uuid = uuid!("6f8c7a3e-6666-4c2b-9a55-0c0a7c0a00ff");
/// Dynamics 365 Business Central Administrator.
pub(super) const DIRECTORY_ROLE: Uuid = uuid!("963797fb-eb3b-4cde-8ce3-5878b3f32a3f");
pub(super) const USER: Uuid = uuid!("6f8c7a3e-6666-4c2b-9a55-0c0a7c0a0006");
pub(super) const SECRET: &str = "s3cret/+ of owner";
pub(super) const PASSWORD: &str = "p4ssword of reader";
pub(super) const BASE_URL: &str = "https://127.0.0.1:8802";

pub(super) fn settings() -> Settings {
    Settings {
        base_url: BASE_URL.to_owned(),
        hosts: Vec::new(),
        clock: Arc::new(|| NOW),
    }
}

pub(super) fn directory() -> Directory {
    let application = |name: &str, client_id, object_id, secret: Option<&str>| Application {
        name: name.to_owned(),
        client_id,
        object_id,
        tenant_id: TENANT,
        secret: secret.map(Secret::new),
        public_client: secret.is_none(),
        redirect_uris: vec!["http://localhost".to_owned()],
        ..Application::default()
    };
    let user = |name: &str, username: &str, object_id, tenant_id| User {
        name: name.to_owned(),
        username: username.to_owned(),
        password: Secret::new(PASSWORD),
        object_id,
        tenant_id,
        directory_roles: Vec::new(),
    };
    Directory {
        tenants: Vec::new(),
        resources: vec![Resource {
            client_id: API,
            identifier_uris: vec![API_URI.to_owned()],
            token_version: TokenVersion::V2,
            scopes: vec!["user_impersonation".to_owned()],
        }],
        applications: vec![
            Application {
                roles: vec!["AdminCenter.ReadWrite.All".to_owned()],
                ..application("owner", CLIENT, SERVICE_PRINCIPAL, Some(SECRET))
            },
            application("desktop", PUBLIC_CLIENT, Uuid::from_u128(5), None),
            Application {
                multi_tenant: true,
                redirect_uris: vec![WEB_ADDRESS.to_owned()],
                ..application("web", WEB_CLIENT, Uuid::from_u128(7), Some(SECRET))
            },
        ],
        users: vec![
            user("reader-user", "reader@contoso.com", USER, TENANT),
            User {
                directory_roles: vec![DIRECTORY_ROLE],
                ..user("<Ann> \"admin\"", "ann@cronus.com", OTHER_USER, OTHER_TENANT)
            },
        ],
    }
}

pub(super) fn issuer() -> Issuer {
    Issuer::new(settings(), directory()).unwrap()
}

/// A running http listener with the public endpoints, and the control endpoint under `/control`.
pub(super) struct Harness {
    pub issuer: Issuer,
    pub origin: String,
    pub http: Client,
    time: Arc<AtomicI64>,
}

impl Harness {
    pub(super) async fn open() -> Self {
        let time = Arc::new(AtomicI64::new(NOW));
        let now = Arc::clone(&time);
        let settings = Settings {
            clock: Arc::new(move || now.load(Ordering::Relaxed)),
            ..settings()
        };
        let issuer = Issuer::new(settings, directory()).unwrap();
        let control = control_router(issuer.clone());
        let routes = router(issuer.clone(), Scheme::Http).nest("/control", control);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        let http = Client::builder().no_proxy().redirect(Policy::none());
        let http = http.build().unwrap();
        Self {
            issuer,
            origin,
            http,
            time,
        }
    }

    pub(super) fn advance(&self, seconds: i64) {
        self.time.fetch_add(seconds, Ordering::Relaxed);
    }

    /// Asks as a browser or program does that takes whatever comes.
    pub(super) async fn page(&self, path: &str, fields: &[(&str, &str)]) -> Page {
        let url = format!("{}{path}", self.origin);
        Page::of(self.http.get(url).query(fields).send().await.unwrap()).await
    }

    pub(super) async fn post_page(
        &self,
        path: &str,
        fields: &[(&str, &str)],
        headers: &[(&str, &str)],
    ) -> Page {
        let mut request = self.http.post(format!("{}{path}", self.origin)).form(fields);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Page::of(request.send().await.unwrap()).await
    }

    pub(super) async fn get(&self, path: &str) -> (u16, Value) {
        let response = self
            .http
            .get(format!("{}{path}", self.origin))
            .send()
            .await
            .unwrap();
        let status = response.status().as_u16();
        (status, response.json().await.unwrap_or(Value::Null))
    }

    pub(super) async fn post_form(&self, path: &str, fields: &[(&str, &str)]) -> (u16, Value) {
        let request = self.http.post(format!("{}{path}", self.origin)).form(fields);
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        (status, response.json().await.unwrap())
    }

    pub(super) async fn post_json(&self, path: &str, body: &Value) -> (u16, Value) {
        let request = self.http.post(format!("{}{path}", self.origin)).json(body);
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        (status, response.json().await.unwrap())
    }
}

/// What a browser is answered.
#[derive(Debug)]
pub(super) struct Page {
    pub status: u16,
    pub policy: String,
    pub location: Option<String>,
    pub text: String,
}

impl Page {
    async fn of(response: Response) -> Self {
        let header = |name: &str| {
            let value = response.headers().get(name);
            value.map(|value| value.to_str().unwrap().to_owned())
        };
        Self {
            status: response.status().as_u16(),
            policy: header("content-security-policy").unwrap_or_default(),
            location: header("location"),
            text: response.text().await.unwrap(),
        }
    }

    /// A member of the query of the address that it sends to.
    pub(super) fn sent(&self, name: &str) -> Option<String> {
        let place = reqwest::Url::parse(self.location.as_ref()?).unwrap();
        let found = place.query_pairs().find(|(field, _)| field == name);
        found.map(|(_, value)| value.into_owned())
    }
}

pub(super) fn loopback_listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

/// Verifies the signature with another implementation than the one that signed, and gives the claims.
pub(super) fn verified_claims(token: &str, keys: &JsonWebKeySet) -> Option<Map<String, Value>> {
    let kid = jsonwebtoken::decode_header(token).unwrap().kid.unwrap();
    let key = keys.keys.iter().find(|key| key.kid == kid)?;
    let decoding = DecodingKey::from_rsa_components(&key.n, &key.e).unwrap();
    let mut validation = Validation::new(Algorithm::RS256);
    // The issuer's clock is not the wall's; times are compared by the tests that care.
    validation.validate_exp = false;
    validation.validate_aud = false;
    let decoded = jsonwebtoken::decode(token, &decoding, &validation).ok()?;
    Some(decoded.claims)
}
