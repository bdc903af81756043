//! The service, and a client of it.

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    http::{HeaderMap, Method, Response, Uri},
};
use client::{Client, Credentials, RetryPolicy, SecureUrl, Settings};
use domain::ids::AppId;
use serde_json::Value;
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use uuid::Uuid;

pub(crate) const APP: AppId = AppId(Uuid::from_u128(0xaaaa_aaaa_0000_1111_2222_bbbb_bbbb_bbbb));
pub(crate) const TAG: &str = "00000000-0000-0000-0000-000000000001";

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub method: Method,
    pub uri: Uri,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// `METHOD /path?query`
    pub(crate) fn line(&self) -> String {
        format!("{} {}", self.method, self.uri)
    }
}

/// An answer of the service, which bears its marks.
pub(crate) fn answer(status: u16, body: impl Into<Body>) -> Response<Body> {
    let marked = with(gateway(status, body), "ms-correlation-x", TAG);
    with(marked, "content-type", "application/json; charset=utf-8")
}

/// What a gateway says in its place.
pub(crate) fn gateway(status: u16, body: impl Into<Body>) -> Response<Body> {
    Response::builder().status(status).body(body.into()).unwrap()
}

pub(crate) fn json(body: &Value) -> Response<Body> {
    answer(200, body.to_string())
}

pub(crate) fn with(mut answer: Response<Body>, name: &'static str, value: &str) -> Response<Body> {
    answer.headers_mut().insert(name, value.parse().unwrap());
    answer
}

pub(crate) struct Service {
    url: String,
    journal: Arc<Mutex<Vec<Asked>>>,
}

impl Service {
    /// A service that answers with what `script` says of the request and of how many came before it.
    pub(crate) async fn start(
        script: impl Fn(&Asked, usize) -> Response<Body> + Send + Sync + 'static,
    ) -> Self {
        let journal: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let (script, kept) = (Arc::new(script), journal.clone());
        let router = Router::new().fallback(move |request: axum::extract::Request| {
            let (script, journal) = (script.clone(), kept.clone());
            async move {
                let (parts, body) = request.into_parts();
                let asked = Asked {
                    method: parts.method,
                    uri: parts.uri,
                    headers: parts.headers,
                    body: to_bytes(body, usize::MAX).await.unwrap_or_default(),
                };
                let before = {
                    let mut journal = journal.lock().unwrap();
                    journal.push(asked.clone());
                    journal.len() - 1
                };
                script(&asked, before)
            }
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, journal }
    }

    pub(crate) fn url(&self) -> SecureUrl {
        self.url.parse().unwrap()
    }

    pub(crate) fn settings(&self) -> Settings {
        Settings {
            url: self.url(),
            api_version: "v1.0".into(),
            credentials: Credentials::Token("the-token".into()),
            trusted: Vec::new(),
            timeout: Duration::from_secs(60),
            retry: RetryPolicy::new(2),
        }
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(self.settings()).unwrap()
    }

    /// Everything that was asked so far.
    pub(crate) fn journal(&self) -> Vec<Asked> {
        self.journal.lock().unwrap().clone()
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.journal().iter().map(Asked::line).collect()
    }
}
