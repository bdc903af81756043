//! What all doubles of targets have in common: they are reached over real connections, sign in strictly, have a clock of
//! their own, break on demand, write every request down, and fail the test on one that nobody knows.

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    http::{HeaderMap, Method, Request, Response, StatusCode},
    routing::any,
};
use futures::{StreamExt, stream};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    net::TcpListener,
    sync::Notify,
    task::{JoinHandle, JoinSet},
};

pub(crate) const CLIENT_ID: &str = "6b1c4a3e-7d1f-4c62-9a51-0c3f3f6f7d10";
pub(crate) const CLIENT_SECRET: &str = "a-secret-that-nobody-sees";

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: BTreeMap<String, String>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The parts of the path.
    pub(crate) fn parts(&self) -> Vec<&str> {
        self.path.split('/').skip(1).collect()
    }

    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.header("content-type"), "application/json", "{}", self.path);
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The parts of a form by their names.
    pub(crate) fn form(&self) -> BTreeMap<String, Part> {
        let media_type = self.header("content-type");
        let boundary = media_type.strip_prefix("multipart/form-data; boundary=").unwrap();
        assert_eq!(self.header("content-length"), self.body.len().to_string());
        assert!(self.header("expect").is_empty());
        let end = format!("\r\n--{boundary}--\r\n");
        let body = self.body.strip_suffix(end.as_bytes()).unwrap();
        let first = format!("--{boundary}\r\n");
        let mut rest = body.strip_prefix(first.as_bytes()).unwrap();
        let between = format!("\r\n--{boundary}\r\n");
        let mut parts = BTreeMap::new();
        loop {
            let next = find(rest, between.as_bytes());
            let (name, part) = Part::read(&rest[..next.unwrap_or(rest.len())]);
            assert!(parts.insert(name, part).is_none());
            match next {
                Some(next) => rest = &rest[next + between.len()..],
                None => return parts,
            }
        }
    }
}

fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) file_name: Option<String>,
    pub(crate) media_type: Option<String>,
    pub(crate) bytes: Vec<u8>,
}

impl Part {
    pub(crate) fn text(text: &str) -> Self {
        Self {
            file_name: None,
            media_type: None,
            bytes: text.into(),
        }
    }

    fn read(part: &[u8]) -> (String, Self) {
        let head_end = find(part, b"\r\n\r\n").unwrap();
        let head = std::str::from_utf8(&part[..head_end]).unwrap();
        let quoted = |name: &str| {
            let (_, rest) = head.split_once(&format!("; {name}=\""))?;
            Some(rest.split_once('"')?.0.to_owned())
        };
        let media_type = head
            .lines()
            .find_map(|line| Some(line.strip_prefix("Content-Type: ")?.to_owned()));
        let read = Self {
            file_name: quoted("filename"),
            media_type,
            bytes: part[head_end + 4..].to_vec(),
        };
        (quoted("name").unwrap(), read)
    }
}

/// What is answered.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::text(status, &body.to_string()).with("content-type", "application/json")
    }

    pub(crate) fn text(status: u16, text: &str) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: text.into(),
        }
    }

    pub(crate) fn empty(status: u16) -> Self {
        Self::text(status, "")
    }

    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// An OData error.
    pub(crate) fn error(status: u16, code: &str, message: &str) -> Self {
        Self::json(status, &json!({"error": {"code": code, "message": message}}))
    }

    /// What a gateway says.
    pub(crate) fn page(status: u16) -> Self {
        let page =
            "<!DOCTYPE html><html><head><title>Sorry</title></head><body>Our services are busy</body></html>";
        Self::text(status, page).with("content-type", "text/html")
    }
}

/// How a connection or an answer breaks.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// This is answered, and the target hears nothing of it.
    Answer(Reply),
    /// This is answered, and the target has done what it was asked for.
    AnswerAfter(Reply),
    /// The connection ends before the body is read.
    CutBeforeBody,
    /// The connection ends after the body, the target having done what it was asked for, or not.
    CutAfterBody { begun: bool },
    /// The connection ends in the middle of the answer.
    CutInAnswer,
    /// Nothing comes back.
    Silence { begun: bool },
    /// The answer never ends.
    Endless,
    /// The answer begins with a byte order mark.
    Bom,
}

impl Fault {
    fn reaches_the_target(&self) -> bool {
        !matches!(
            self,
            Self::Answer(_) | Self::CutAfterBody { begun: false } | Self::Silence { begun: false }
        )
    }
}

/// What is behind a double.
pub(crate) trait Target: Send + 'static {
    /// The answer; none when nobody knows such a request.
    fn answer(&mut self, asked: &Asked, now: jiff::Timestamp) -> Option<Reply>;
}

struct Rule {
    method: Method,
    path: String,
    left: usize,
    fault: Fault,
}

/// Who issues tokens.
pub(crate) struct Issuer {
    /// How long tokens live, in seconds.
    pub(crate) life: u64,
    /// Those that are let in.
    pub(crate) valid: BTreeSet<String>,
    /// How the application must prove who it is, as the form says it.
    pub(crate) proof: String,
    /// How many were issued.
    pub(crate) issued: usize,
    /// A user and a password that are let in besides, as they are sent.
    pub(crate) basic: Option<String>,
}

struct Shared<T> {
    target: T,
    issuer: Issuer,
    now: jiff::Timestamp,
    rules: Vec<Rule>,
    asked: Vec<Asked>,
    wrong: Vec<String>,
}

/// A double of a target, and of the issuer of its tokens.
pub(crate) struct Double<T> {
    pub(crate) url: String,
    shared: Arc<Mutex<Shared<T>>>,
    /// Told when nobody is there any more, and then that nobody is.
    gone: Arc<Notify>,
    served: Mutex<Option<JoinHandle<()>>>,
}

impl<T: Target> Double<T> {
    pub(crate) async fn of(target: T) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Mutex::new(Shared {
            target,
            issuer: Issuer {
                life: 3_600,
                valid: BTreeSet::new(),
                proof: format!("client_secret={CLIENT_SECRET}"),
                issued: 0,
                basic: None,
            },
            // Nothing like the clock of the machine that tests run on.
            now: "2031-05-06T07:08:09Z".parse().unwrap(),
            rules: Vec::new(),
            asked: Vec::new(),
            wrong: Vec::new(),
        }));
        let gone = Arc::new(Notify::new());
        let serving = tokio::spawn(serve(listener, shared.clone(), gone.clone()));
        Self {
            url,
            shared,
            gone,
            served: Mutex::new(Some(serving)),
        }
    }

    /// Ends all connections, and takes no more.
    pub(crate) async fn hang_up(&self) {
        let served = self.served.lock().unwrap().take().unwrap();
        self.gone.notify_one();
        served.await.unwrap();
    }

    fn lock(&self) -> MutexGuard<'_, Shared<T>> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn change<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        change(&mut self.lock().target)
    }

    pub(crate) fn issuer<R>(&self, change: impl FnOnce(&mut Issuer) -> R) -> R {
        change(&mut self.lock().issuer)
    }

    pub(crate) fn set_clock(&self, now: &str) {
        self.lock().now = now.parse().unwrap();
    }

    /// Breaks the next `times` requests of that method whose path ends like this.
    pub(crate) fn breaks(&self, method: &Method, path: &str, times: usize, fault: Fault) {
        self.lock().rules.push(Rule {
            method: method.clone(),
            path: path.to_owned(),
            left: times,
            fault,
        });
    }

    /// How many requests of that method came whose path ends like this.
    pub(crate) fn count(&self, method: &Method, path: &str) -> usize {
        let asked = &self.lock().asked;
        let fits = |asked: &&Asked| asked.method == *method && asked.path.ends_with(path);
        asked.iter().filter(fits).count()
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.lock().asked.clone()
    }

    /// Waits until such a request has come.
    pub(crate) async fn seen(&self, method: &Method, path: &str) {
        while self.count(method, path) == 0 {
            tokio::task::yield_now().await;
        }
    }
}

impl<T> Drop for Double<T> {
    fn drop(&mut self) {
        let shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        if !std::thread::panicking() {
            assert!(
                shared.wrong.is_empty(),
                "nobody should ask this: {:#?}",
                shared.wrong
            );
        }
    }
}

impl<T: Target> Shared<T> {
    fn fault(&mut self, method: &Method, path: &str) -> Option<Fault> {
        let rule = self
            .rules
            .iter_mut()
            .find(|rule| rule.left > 0 && rule.method == *method && path.ends_with(&rule.path))?;
        rule.left -= 1;
        Some(rule.fault.clone())
    }

    fn answer(&mut self, asked: &Asked) -> Reply {
        if asked.path == "/issuer/token" {
            return self.issue(asked);
        }
        for (name, value) in [("accept-language", "en-US"), ("accept", "application/json")] {
            if asked.header(name) != value {
                let sent = asked.header(name);
                self.wrong
                    .push(format!("{} {} with {name}: {sent}", asked.method, asked.path));
            }
        }
        if asked.method == Method::GET && !asked.body.is_empty() {
            self.wrong.push(format!("GET {} with a body", asked.path));
        }
        let is_open = asked.path.starts_with("/portal/");
        if !is_open && !self.lets_in(asked.header("authorization")) {
            let text = "The server has rejected the client credentials.";
            return Reply::error(401, "Authentication_InvalidCredentials", text);
        }
        let now = self.now;
        self.target.answer(asked, now).unwrap_or_else(|| {
            let (query, body) = (&asked.query, &asked.body);
            self.wrong
                .push(format!("{} {} {query:?} {body:?}", asked.method, asked.path));
            Reply::empty(400)
        })
    }

    fn lets_in(&self, authorization: &str) -> bool {
        match authorization.split_once(' ') {
            Some(("Bearer", token)) => self.issuer.valid.contains(token),
            Some(("Basic", both)) => self.issuer.basic.as_deref() == Some(both),
            _ => false,
        }
    }

    fn issue(&mut self, asked: &Asked) -> Reply {
        let expected = format!(
            "grant_type=client_credentials&client_id={CLIENT_ID}\
             &scope=https%3A%2F%2Fapi.businesscentral.dynamics.com%2F.default&{}",
            self.issuer.proof
        );
        if asked.method != Method::POST || asked.body != expected.as_bytes() {
            self.wrong
                .push(format!("{} {:?} for a token", asked.method, asked.body));
        }
        self.issuer.issued += 1;
        let token = format!("the-token-number-{}", self.issuer.issued);
        self.issuer.valid.insert(token.clone());
        let life = self.issuer.life;
        Reply::json(
            200,
            &json!({"token_type": "Bearer", "expires_in": life, "access_token": token}),
        )
    }
}

async fn serve<T: Target>(listener: TcpListener, shared: Arc<Mutex<Shared<T>>>, gone: Arc<Notify>) {
    // Dropped with all the connections in it.
    let mut connections = JoinSet::new();
    loop {
        let connection = tokio::select! {
            accepted = listener.accept() => accepted.unwrap().0,
            () = gone.notified() => break,
        };
        let shared = shared.clone();
        connections.spawn(async move {
            let cut = Arc::new(Notify::new());
            let handler = {
                let cut = cut.clone();
                move |request| handle(shared.clone(), cut.clone(), request)
            };
            let service = TowerToHyperService::new(Router::new().fallback(any(handler)));
            let builder = auto::Builder::new(TokioExecutor::new());
            let served = builder.serve_connection(TokioIo::new(connection), service);
            tokio::select! {
                biased;
                _ = served => {}
                () = cut.notified() => {}
            }
        });
    }
    connections.shutdown().await;
}

async fn handle<T: Target>(
    shared: Arc<Mutex<Shared<T>>>,
    cut: Arc<Notify>,
    request: Request<Body>,
) -> Response<Body> {
    let lock = || shared.lock().unwrap_or_else(PoisonError::into_inner);
    let (parts, body) = request.into_parts();
    let path = percent_decode(parts.uri.path());
    let fault = lock().fault(&parts.method, &path);
    let mut asked = Asked {
        method: parts.method,
        path,
        query: parts.uri.query().map(query).unwrap_or_default(),
        headers: parts.headers,
        body: Bytes::new(),
    };
    if matches!(fault, Some(Fault::CutBeforeBody)) {
        lock().asked.push(asked);
        cut.notify_one();
        return std::future::pending().await;
    }
    match to_bytes(body, 1 << 30).await {
        Ok(body) => asked.body = body,
        // The driver went away.
        Err(_) => return std::future::pending().await,
    }
    let (now, answer) = {
        let mut shared = lock();
        shared.now += Duration::from_secs(1);
        shared.asked.push(asked.clone());
        let answer = match fault.as_ref().is_none_or(Fault::reaches_the_target) {
            true => shared.answer(&asked),
            false => Reply::empty(200),
        };
        (shared.now, answer)
    };
    match fault {
        None => respond(answer, now, Body::from),
        Some(Fault::Bom) => respond(answer, now, |body| {
            Body::from([b"\xEF\xBB\xBF".as_slice(), &body].concat())
        }),
        Some(Fault::Answer(reply) | Fault::AnswerAfter(reply)) => respond(reply, now, Body::from),
        Some(Fault::CutInAnswer) => respond(answer, now, |body| {
            let half = Bytes::from(body[..body.len() / 2].to_vec());
            let begin = stream::iter([Ok::<_, io::Error>(half)]);
            let end = stream::once(async move {
                cut.notify_one();
                std::future::pending().await
            });
            Body::from_stream(begin.chain(end))
        }),
        Some(Fault::Endless) => respond(answer, now, |_| {
            let blanks = stream::repeat_with(|| Ok::<_, io::Error>(Bytes::from_static(&[b' '; 65_536])));
            Body::from_stream(blanks)
        }),
        Some(Fault::Silence { .. }) => std::future::pending().await,
        Some(Fault::CutAfterBody { .. } | Fault::CutBeforeBody) => {
            cut.notify_one();
            std::future::pending().await
        }
    }
}

fn respond(reply: Reply, now: jiff::Timestamp, body: impl FnOnce(Vec<u8>) -> Body) -> Response<Body> {
    let mut response = Response::builder()
        .status(StatusCode::from_u16(reply.status).unwrap())
        .header("date", http_date(now));
    for (name, value) in reply.headers {
        response = response.header(name, value);
    }
    response.body(body(reply.body)).unwrap()
}

pub(crate) fn http_date(at: jiff::Timestamp) -> String {
    at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

fn query(text: &str) -> BTreeMap<String, String> {
    text.split('&')
        .map(|option| {
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            (percent_decode(name), percent_decode(value))
        })
        .collect()
}

fn percent_decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut left = text.bytes();
    while let Some(byte) = left.next() {
        match byte {
            b'%' => {
                let digits = [left.next().unwrap(), left.next().unwrap()];
                let digits = std::str::from_utf8(&digits).unwrap();
                bytes.push(u8::from_str_radix(digits, 16).unwrap());
            }
            b'+' => bytes.push(b' '),
            byte => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).unwrap()
}
