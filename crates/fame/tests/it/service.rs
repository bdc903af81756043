//! A service that does as it is told, and the binary under test.

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, request::Parts},
    response::{IntoResponse, Response},
};
use serde_json::Value;
use std::{
    net::SocketAddr,
    process::Command,
    sync::{Arc, Mutex},
};
use tempfile::TempDir;
use tokio::net::TcpListener;

/// The app in all tests.
pub(crate) const APP: &str = "aaaaaaaa-0000-1111-2222-bbbbbbbbbbbb";
/// The customer's tenant in all tests.
pub(crate) const TENANT: &str = "aaaabbbb-0000-cccc-1111-dddd2222eeee";

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub method: Method,
    pub path: String,
    pub query: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Asked {
    /// `METHOD /path`.
    pub(crate) fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// An answer as it is to be given.
pub(crate) struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Body,
    /// Whether it bears the id under which the service logged the request.
    is_marked: bool,
}

impl Answer {
    pub(crate) fn json(status: u16, body: Value) -> Self {
        Self {
            status,
            headers: vec![("content-type", "application/json".into())],
            body: body.to_string().into(),
            is_marked: true,
        }
    }

    pub(crate) fn bytes(status: u16, body: impl Into<Body>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: body.into(),
            is_marked: true,
        }
    }

    /// What a gateway says in the service's place.
    pub(crate) fn page(status: u16, text: &'static str) -> Self {
        let mut page = Self::bytes(status, text).with("content-type", "text/html");
        page.is_marked = false;
        page
    }

    /// A refusal in the documented shape.
    pub(crate) fn refusal(status: u16, code: &str, message: &str) -> Self {
        let body = serde_json::json!({
            "error": {"code": code, "message": message},
            "code": code, "message": message
        });
        Self::json(status, body)
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let mut response = Response::new(self.body);
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap();
        if self.is_marked {
            let id = HeaderValue::from_static("00000000-0000-4000-8000-000000000000");
            response.headers_mut().insert("ms-correlation-x", id);
        }
        for (name, value) in self.headers {
            let name = HeaderName::from_static(name);
            response
                .headers_mut()
                .insert(name, HeaderValue::from_str(&value).unwrap());
        }
        response
    }
}

/// The service, and what it was asked.
pub(crate) struct Service {
    pub address: SocketAddr,
    journal: Arc<Mutex<Vec<Asked>>>,
}

impl Service {
    /// A service that answers with what `script` says of the request and of how often that very request
    /// (method and path) was made before.
    pub(crate) async fn start(script: impl Fn(&Asked, usize) -> Answer + Send + Sync + 'static) -> Self {
        let journal: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let (script, kept) = (Arc::new(script), journal.clone());
        let answer = move |parts: Parts, body: Body| {
            let (script, journal) = (script.clone(), kept.clone());
            async move {
                let asked = Asked {
                    method: parts.method,
                    path: parts.uri.path().to_owned(),
                    query: parts.uri.query().unwrap_or_default().to_owned(),
                    headers: parts.headers,
                    body: to_bytes(body, usize::MAX).await.unwrap_or_default(),
                };
                let before = {
                    let mut journal = journal.lock().unwrap();
                    let before = journal
                        .iter()
                        .filter(|earlier| earlier.line() == asked.line())
                        .count();
                    journal.push(asked.clone());
                    before
                };
                script(&asked, before)
            }
        };
        let router = Router::new().fallback(move |request: axum::extract::Request| {
            let (parts, body) = request.into_parts();
            answer(parts, body)
        });
        Self {
            address: serve(router).await,
            journal,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Everything that was asked so far.
    pub(crate) fn journal(&self) -> Vec<Asked> {
        self.journal.lock().unwrap().clone()
    }

    /// `METHOD /path` of everything that was asked so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.journal().iter().map(Asked::line).collect()
    }

    /// Runs the binary against this service, signed in with a token.
    pub(crate) async fn fame(&self, args: &[&str]) -> Ended {
        run(self.command(args)).await
    }

    /// The binary, to be run against this service, signed in with a token.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = binary(args);
        command.env("FAME_URL", self.url()).env("FAME_TOKEN", "the-token");
        command
    }
}

/// Serves `router` on a port of its own.
pub(crate) async fn serve(router: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// The binary with nothing in its environment, and no profiles of whoever runs the tests.
pub(crate) fn binary(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fame"));
    command.args(args).env_clear();
    command.env("XDG_CONFIG_HOME", "/nowhere");
    command
}

/// The same, in a folder that holds nothing but what the test put there.
pub(crate) fn binary_in(folder: &TempDir, args: &[&str]) -> Command {
    let mut command = binary(args);
    command.current_dir(folder);
    command
}

/// The least that `fame serve` has to be told, each to be given with `--set`.
pub(crate) const OPERATOR: &str = "operators.principals=Application:cccccccc-dddd-eeee-3333-444444444444@aaaabbbb-0000-cccc-1111-dddd2222eeee";
pub(crate) const ISSUER: &str = "identity.issuers=[{\"kind\": \"entra\", \"tenants\": [\"aaaabbbb-0000-cccc-1111-dddd2222eeee\"], \"audiences\": [\"fame\"]}]";

/// How a run of the binary ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub code: i32,
    pub out: String,
    pub raw: Vec<u8>,
    pub err: String,
}

impl Ended {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Runs `command` to its end without keeping the service from answering.
pub(crate) async fn run(mut command: Command) -> Ended {
    let output = tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap();
    Ended {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        raw: output.stdout,
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
