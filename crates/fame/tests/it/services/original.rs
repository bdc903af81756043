//! A strict double of Microsoft's endpoint: the App Management API as its documents describe it, and no better.
//!
//! What they do not show is refused or not there: members and query options that they do not name, pages, the address of one
//! app or one environment, ranges, digests, keys against repetition, plans. Hotfixes take time on a clock that only the
//! test moves, and an upload may stay `Uploading` for a while. It can be told to be slow, to throttle, to cut connections, to
//! have a gateway answer in its place, and to let tokens expire. It keeps everything it was asked, and what was done twice.

mod books;
mod filter;

pub(crate) use books::{Installed, LineOfWork};

use super::{gateway::is_change, samples::APPS};
use axum::{
    Router,
    body::{Body, Bytes},
    extract::Request,
    http::{HeaderValue, Method, Response, StatusCode},
};
use books::{Books, Refused};
use data_encoding::BASE64URL_NOPAD;
use futures::StreamExt as _;
use jiff::SignedDuration;
use serde_json::{Value, json};
use std::{
    future::pending,
    panic::resume_unwind,
    process::Command,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};
use tokio::net::TcpListener;
use uuid::Uuid;

/// What it does to one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It answers 429, to be asked again after so many seconds.
    Throttled(u64),
    /// A gateway answers in its place with a page, status 503.
    Unavailable,
    /// It takes so long to answer.
    Slow(Duration),
    /// It cuts the connection after so many bytes of the request's body, and does nothing.
    CutWithin(usize),
    /// It does as it was asked, and cuts the connection instead of answering.
    CutAfter,
    /// It does as it was asked, and never answers.
    NeverAnswers,
    /// It does not do as it was asked, and never answers.
    NeverBegins,
    /// It refuses whoever asks.
    Forbidden,
}

/// A request that it was asked, as far as it came.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub line: String,
    pub query: String,
    pub body: Bytes,
    /// The status that it was answered with; 0 if with none.
    pub status: u16,
}

/// The double.
#[derive(Clone)]
pub(crate) struct Original {
    url: String,
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    books: Books,
    faults: Vec<(String, Fault)>,
    asked: Vec<Asked>,
    tokens: u64,
    /// How many requests a token is good for.
    token_lasts: u64,
    used: u64,
    /// By how much the clock moves on with each look at a hotfix.
    moves_by_looks: SignedDuration,
    /// By how much it moves on each time hotfixes are listed.
    moves_by_lists: SignedDuration,
}

/// The application that may do everything.
pub(crate) const CLIENT: &str = "10000000-0000-4000-8000-000000000001";
const SECRET: &str = "the secret of the pipeline";
const TENANT: &str = "aaaabbbb-0000-cccc-1111-dddd2222eeee";

impl Original {
    /// One that knows the apps, and nothing else.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let original = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            shared: Arc::new(Mutex::new(Shared {
                books: Books::new(&APPS),
                faults: Vec::new(),
                asked: Vec::new(),
                tokens: 0,
                token_lasts: u64::MAX,
                used: 0,
                moves_by_looks: SignedDuration::ZERO,
                moves_by_lists: SignedDuration::ZERO,
            })),
        };
        let answering = original.clone();
        let router = Router::new().fallback(async move |request: Request| answering.answer(request).await);
        tokio::spawn(async move { axum::serve(listener, router).await });
        original
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The binary, to be run against it by a pipeline that signs in with a secret.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = crate::service::binary(args);
        for (name, value) in self.variables() {
            command.env(name, value);
        }
        command
    }

    /// What a pipeline has in its environment.
    pub(crate) fn variables(&self) -> Vec<(&'static str, String)> {
        vec![
            ("FAME_URL", self.url.clone()),
            ("FAME_API_VERSION", "v1.4".into()),
            ("FAME_TENANT_ID", TENANT.into()),
            ("FAME_CLIENT_ID", CLIENT.into()),
            ("FAME_CLIENT_SECRET", SECRET.into()),
            (
                "FAME_TOKEN_URL",
                format!("{}/{{tenant}}/oauth2/v2.0/token", self.url),
            ),
            (
                "FAME_SCOPE",
                "https://apps.businesscentral.dynamics.com/.default".into(),
            ),
        ]
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap()
    }

    /// What it knows, to be added to.
    pub(crate) fn knows(&self, add: impl FnOnce(&mut Books)) {
        add(&mut self.shared().books);
    }

    /// Spoils the next request whose `METHOD /path` begins so; each call one more.
    pub(crate) fn spoils(&self, line: &str, fault: Fault) {
        self.shared().faults.push((line.to_owned(), fault));
    }

    /// The faults that nothing has called for yet.
    pub(crate) fn faults_left(&self) -> usize {
        self.shared().faults.len()
    }

    /// Tokens are good for so many requests from now on.
    pub(crate) fn tokens_last(&self, requests: u64) {
        let mut shared = self.shared();
        shared.token_lasts = requests;
        shared.used = 0;
    }

    /// How many tokens were issued.
    pub(crate) fn tokens(&self) -> u64 {
        self.shared().tokens
    }

    /// Moves the clock on.
    pub(crate) fn moves_clock(&self, by: SignedDuration) {
        self.shared().books.moves_clock(by);
    }

    /// Moves the clock on by so much with each look at a hotfix, for whoever waits for one.
    pub(crate) fn moves_clock_by_looks(&self, by: SignedDuration) {
        self.shared().moves_by_looks = by;
    }

    /// Moves the clock on by so much each time hotfixes are listed, for whoever follows many.
    pub(crate) fn moves_clock_by_lists(&self, by: SignedDuration) {
        self.shared().moves_by_lists = by;
    }

    /// Everything it was asked, but for tokens.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.shared().asked.clone()
    }

    /// `METHOD /path` of everything it was asked, but for tokens.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.shared()
            .asked
            .iter()
            .map(|asked| asked.line.clone())
            .collect()
    }

    /// How many requests there were that change something.
    pub(crate) fn changes(&self) -> usize {
        self.lines().iter().filter(|line| is_change(line)).count()
    }

    /// The changes that were sent again after they had been made: whoever does so relies on a refusal.
    pub(crate) fn unsafe_repeats(&self) -> Vec<String> {
        let asked = self.asked();
        let changes =
            |asked: &&Asked| asked.line.starts_with("POST ") && asked.line.ends_with("/environmentHotfixes");
        let mut repeats = Vec::new();
        for (at, repeat) in asked.iter().enumerate().filter(|(_, asked)| changes(asked)) {
            let mut before = asked[..at].iter();
            let is_made = before.any(|before| {
                (&before.line, &before.body) == (&repeat.line, &repeat.body) && before.status == 0
            });
            if is_made {
                repeats.push(repeat.line.clone());
            }
        }
        repeats
    }

    async fn answer(&self, request: Request) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let path = parts.uri.path().to_owned();
        if path.ends_with("/oauth2/v2.0/token") {
            return self.token(&collected(body, usize::MAX).await);
        }
        let line = format!("{} {path}", parts.method);
        let fault = {
            let mut shared = self.shared();
            let found = shared
                .faults
                .iter()
                .position(|(start, _)| line.starts_with(start));
            found.map(|index| shared.faults.remove(index))
        };
        let (spoilt, fault) = fault.unzip();
        let most = match fault {
            Some(Fault::CutWithin(bytes)) => bytes,
            _ => usize::MAX,
        };
        let body = collected(body, most).await;
        let mut asked = Asked {
            line,
            query: parts.uri.query().unwrap_or_default().to_owned(),
            body,
            status: 0,
        };
        if let Some(Fault::Slow(time)) = fault {
            tokio::time::sleep(time).await;
        }
        let answer = match fault {
            Some(Fault::CutWithin(_)) => None,
            Some(Fault::Throttled(seconds)) => {
                let body = json!({"code": "TooManyRequests", "message": "Too many requests."});
                let mut answer = marked(429, &body);
                let seconds = HeaderValue::from_str(&seconds.to_string()).unwrap();
                answer.headers_mut().insert("retry-after", seconds);
                Some(answer)
            }
            Some(Fault::Unavailable) => Some(page()),
            Some(Fault::Forbidden) => {
                let body = json!({"code": "Forbidden", "message": "You may not do this any more."});
                Some(marked(403, &body))
            }
            Some(Fault::NeverBegins) => pending().await,
            Some(Fault::Slow(_) | Fault::CutAfter | Fault::NeverAnswers) | None => {
                let token = parts
                    .headers
                    .get("authorization")
                    .and_then(|value| value.to_str().ok());
                Some(self.work(&parts.method, &path, token, &asked))
            }
        };
        // What was refused was not done: the fault is for the next that is.
        let is_done = answer.as_ref().is_some_and(|answer| answer.status().is_success());
        if let (Some(line), Some(Fault::CutAfter), false) = (spoilt, fault, is_done) {
            self.shared().faults.insert(0, (line, Fault::CutAfter));
        }
        let is_kept = match fault {
            Some(Fault::CutAfter) => is_done,
            Some(Fault::NeverAnswers) => true,
            _ => false,
        };
        let answer = answer.filter(|_| !is_kept);
        if let Some(answer) = &answer {
            asked.status = answer.status().as_u16();
        }
        // What was cut before it was done was not done.
        if !matches!(fault, Some(Fault::CutWithin(_))) {
            self.shared().asked.push(asked);
        }
        if fault == Some(Fault::NeverAnswers) {
            pending::<()>().await;
        }
        match answer {
            Some(answer) => answer,
            // Ends the task that serves the connection, and the connection with it.
            None => resume_unwind(Box::new("the connection is cut")),
        }
    }

    /// Issues a token; there is but one that is good.
    fn token(&self, form: &[u8]) -> Response<Body> {
        let form = String::from_utf8_lossy(form);
        if !form.contains(&SECRET.replace(' ', "+")) {
            return marked(
                401,
                &json!({"error": "invalid_client", "error_description": "Who is this?"}),
            );
        }
        let mut shared = self.shared();
        shared.tokens += 1;
        shared.used = 0;
        let token = token(shared.tokens);
        marked(
            200,
            &json!({"access_token": token, "token_type": "Bearer", "expires_in": 3599}),
        )
    }

    fn work(&self, method: &Method, path: &str, shown: Option<&str>, asked: &Asked) -> Response<Body> {
        let mut shared = self.shared();
        let good = format!("Bearer {}", token(shared.tokens));
        if shown != Some(&good) || shared.used >= shared.token_lasts {
            let body = json!({"code": "Unauthorized", "message": "The token is not valid, or not any more."});
            return marked(401, &body);
        }
        shared.used += 1;
        if *method == Method::GET && path.contains("/environmentHotfixes/") {
            let by = shared.moves_by_looks;
            shared.books.moves_clock(by);
        }
        if *method == Method::GET && path.ends_with("/environmentHotfixes") {
            let by = shared.moves_by_lists;
            shared.books.moves_clock(by);
        }
        match shared.books.work(method, path, &asked.query, &asked.body) {
            Ok(Done::Row(row)) => marked(200, &row),
            Ok(Done::Nothing) => {
                let mut answer = Response::new(Body::empty());
                *answer.status_mut() = StatusCode::NO_CONTENT;
                mark(&mut answer);
                answer
            }
            Ok(Done::Package(bytes)) => {
                let mut answer = Response::new(Body::from(bytes));
                let kind = HeaderValue::from_static("application/octet-stream");
                answer.headers_mut().insert("content-type", kind);
                mark(&mut answer);
                answer
            }
            Err(Refused(status, code, message)) => marked(status, &json!({"code": code, "message": message})),
        }
    }
}

/// The token of that number, which says who has it.
fn token(number: u64) -> String {
    let part = |json: Value| BASE64URL_NOPAD.encode(json.to_string().as_bytes());
    let (head, claims) = (
        part(json!({"alg": "none"})),
        part(json!({"appid": CLIENT, "jti": number})),
    );
    format!("{head}.{claims}.{}", BASE64URL_NOPAD.encode(b"signature"))
}

/// What came of a request.
enum Done {
    Row(Value),
    Nothing,
    Package(Bytes),
}

/// A body, or as many bytes of it.
async fn collected(body: Body, most: usize) -> Bytes {
    let mut bytes = Vec::new();
    let mut chunks = body.into_data_stream();
    while bytes.len() < most
        && let Some(Ok(chunk)) = chunks.next().await
    {
        bytes.extend_from_slice(&chunk);
    }
    bytes.into()
}

fn marked(status: u16, body: &Value) -> Response<Body> {
    let mut answer = Response::new(Body::from(body.to_string()));
    *answer.status_mut() = status.try_into().unwrap();
    let kind = HeaderValue::from_static("application/json; charset=utf-8");
    answer.headers_mut().insert("content-type", kind);
    mark(&mut answer);
    answer
}

fn mark(answer: &mut Response<Body>) {
    let id = HeaderValue::from_str(&Uuid::new_v4().to_string()).unwrap();
    answer.headers_mut().insert("ms-correlation-x", id);
}

fn page() -> Response<Body> {
    let mut page = Response::new(Body::from("<html><h1>Service Unavailable</h1></html>"));
    *page.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    let headers = page.headers_mut();
    headers.insert("content-type", HeaderValue::from_static("text/html"));
    headers.insert("retry-after", HeaderValue::from_static("0"));
    page
}
