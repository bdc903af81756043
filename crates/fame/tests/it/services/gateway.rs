//! Something between a client and a service that answers in the service's place, or cuts connections.

use super::Caller;
use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::Request,
    http::{HeaderValue, Response, header::CONTENT_TYPE},
};
use std::{
    panic::resume_unwind,
    sync::{Arc, Mutex},
};
use tokio::{net::TcpListener, sync::oneshot};

/// What it does to one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Misdeed {
    /// It answers with a page of this status, and passes nothing on.
    Page(u16),
    /// It passes the request on, and answers with a page of this status whatever the service says.
    PageAfter(u16),
    /// It passes the request on, and cuts the connection.
    CutAfter,
    /// It passes the request on without its key, and cuts the connection.
    CutAfterWithoutKey,
}

/// The gateway; it passes on what it is not told to spoil.
#[derive(Clone)]
pub(crate) struct Gateway {
    url: String,
    service: String,
    client: reqwest::Client,
    misdeeds: Arc<Mutex<Vec<(String, Misdeed)>>>,
    held: Arc<Mutex<Vec<Holding>>>,
}

/// A request that has arrived and waits; dropping it cuts its connection.
pub(crate) type Held = oneshot::Sender<()>;

/// How the request begins that is to be held, and who is told.
type Holding = (String, oneshot::Sender<Held>);

impl Gateway {
    /// One before the service at that address.
    pub(crate) async fn before(service: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let gateway = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            service: service.to_owned(),
            client: Caller::new_client(),
            misdeeds: Arc::default(),
            held: Arc::default(),
        };
        let passing = gateway.clone();
        let router = Router::new().fallback(async move |request: Request| passing.answer(request).await);
        tokio::spawn(async move { axum::serve(listener, router).await });
        gateway
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Spoils the next request whose `METHOD /path` begins so; each call one more.
    pub(crate) fn spoils(&self, line: &str, misdeed: Misdeed) {
        self.misdeeds.lock().unwrap().push((line.to_owned(), misdeed));
    }

    /// Holds the next request whose `METHOD /path` begins so, and tells of it; what is held is never passed on.
    pub(crate) fn holds(&self, line: &str) -> oneshot::Receiver<Held> {
        let (tell, told) = oneshot::channel();
        self.held.lock().unwrap().push((line.to_owned(), tell));
        told
    }

    /// The misdeeds that nothing has called for yet.
    pub(crate) fn left(&self) -> usize {
        self.misdeeds.lock().unwrap().len()
    }

    async fn answer(&self, request: Request) -> Response<Body> {
        let line = format!("{} {}", request.method(), request.uri().path());
        let held = {
            let mut held = self.held.lock().unwrap();
            let found = held.iter().position(|(start, _)| line.starts_with(start));
            found.map(|index| held.remove(index).1)
        };
        if let Some(tell) = held {
            let (held, cuts) = oneshot::channel();
            drop(tell.send(held));
            drop(cuts.await);
            cut();
        }
        let misdeed = {
            let mut misdeeds = self.misdeeds.lock().unwrap();
            let found = misdeeds.iter().position(|(start, _)| line.starts_with(start));
            found.map(|index| misdeeds.remove(index).1)
        };
        match misdeed {
            None => self.pass(request).await,
            Some(Misdeed::Page(status)) => page(status),
            Some(Misdeed::PageAfter(status)) => {
                self.pass(request).await;
                page(status)
            }
            Some(Misdeed::CutAfter) => {
                self.pass(request).await;
                cut()
            }
            Some(Misdeed::CutAfterWithoutKey) => {
                let mut request = request;
                request.headers_mut().remove("idempotency-key");
                self.pass(request).await;
                cut()
            }
        }
    }

    async fn pass(&self, request: Request) -> Response<Body> {
        forward(&self.client, &self.service, request)
            .await
            .map(Body::from)
    }
}

/// Whether a request, as `METHOD /path`, changes something: some only ask by POST.
pub(crate) fn is_change(line: &str) -> bool {
    let reads = ["GET ", "HEAD "].iter().any(|method| line.starts_with(method));
    let asks = ["/getMyPermissions", "/getPackageContents"];
    !reads && !asks.iter().any(|end| line.ends_with(end))
}

/// Passes a request on to a service, and brings its answer; where none comes, the connection is cut.
pub(crate) async fn forward(client: &reqwest::Client, service: &str, request: Request) -> Response<Bytes> {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    let mut headers = parts.headers;
    headers.remove("host");
    let asked = client
        .request(parts.method, format!("{service}{}", parts.uri))
        .headers(headers)
        .body(body);
    let Ok(answer) = asked.send().await else {
        cut();
    };
    let (status, mut headers) = (answer.status(), answer.headers().clone());
    headers.remove("transfer-encoding");
    let Ok(body) = answer.bytes().await else {
        cut();
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

fn page(status: u16) -> Response<Body> {
    let mut page = Response::new(Body::from("<html><h1>The gateway</h1></html>"));
    *page.status_mut() = status.try_into().unwrap();
    let headers = page.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html"));
    headers.insert("retry-after", HeaderValue::from_static("0"));
    page
}

/// Ends the task that serves the connection, and the connection with it.
fn cut() -> ! {
    resume_unwind(Box::new("the connection is cut"))
}
