//! `fame record`: what a service is asked and answers, written down on the way (`docs/RECORDING.md`).
//!
//! Callers talk to this machine, and everything is passed on as it comes, in constant memory. What is kept of it, decides
//! [`crate::recording`]; nothing is kept of what does not belong to the App Management API, such as how callers sign in.

use super::serve::stop_signal;
use crate::{
    args::{GlobalArgs, ORIGINAL_URL},
    exit::Exit,
    failure::Failure,
    output::Printer,
    recording::{
        body::Watch,
        cleaning::{self, RawRequest},
        format::{Body as Seen, Exchange, Head, Writer},
        pseudonyms::Pseudonyms,
        vocabulary::is_of_the_api,
    },
    settings,
};
use axum::{
    Router,
    body::{Body, HttpBody},
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode},
    response::IntoResponse,
};
use bytes::Bytes;
use clap::Args;
use client::{Client, Parts};
use futures::{Stream, StreamExt, stream};
use serde_json::json;
use std::{
    io,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::{net::TcpListener, sync::Notify};

/// `fame record`
///
/// Whoever has access to the original service can show others what it answers. Point a client at the address that is printed,
/// such as with --url, and let it do its work; stop the recording with Ctrl-C. The client signs in as ever: FAME_TOKEN, or
/// --token-url and --scope, which nobody can find out through the recording.
///
/// Before a recording is handed on, it should be read: messages of the service are kept.
#[derive(Args, Debug)]
pub(crate) struct RecordArgs {
    /// Where to listen, on this machine only; port 0 takes any free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8787", value_parser = loopback)]
    listen: SocketAddr,
    /// The service to pass requests on to
    #[arg(long, value_name = "URL", default_value = ORIGINAL_URL)]
    to: String,
    /// The file to write, which must not be there yet
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Reads an address that only this machine can reach.
fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text
        .parse()
        .map_err(|_| "expected an address and port such as 127.0.0.1:8787".to_owned())?;
    match address.ip().is_loopback() {
        true => Ok(address),
        false => Err(format!("{} is not this machine alone", address.ip())),
    }
}

impl RecordArgs {
    /// Records until it is asked to stop.
    ///
    /// # Errors
    /// [`Failure::Usage`] for an address that will not do, [`Failure::Io`] when the file cannot be written or nothing can be
    /// listened to.
    pub(crate) async fn run(self, global: &GlobalArgs, printer: Printer) -> Result<Exit, Failure> {
        let stop = stop_signal()?;
        let service = settings::nobody_at(&self.to, global, printer)?;
        let is_original = settings::is_original(&service.url);
        let listener = TcpListener::bind(self.listen).await;
        let address = listener.and_then(|listener| Ok((listener.local_addr()?, listener)));
        let (address, listener) = address.map_err(|source| Failure::Io {
            what: format!("Cannot listen on {}", self.listen),
            source,
        })?;
        let file = Writer::create(&self.out, &Head::new(is_original));
        let file = file.map_err(|source| Failure::file("write", &self.out, source))?;
        let recorder = Arc::new(Recorder {
            client: Client::new(service)?,
            kept: Mutex::new(Kept {
                file,
                pseudonyms: Pseudonyms::default(),
                problem: None,
            }),
            broken: Notify::new(),
        });
        self.announce(address, printer)?;
        let passing = Arc::clone(&recorder);
        let router = Router::new().fallback(async move |request: Request| passing.pass(request).await);
        tokio::select! {
            served = axum::serve(listener, router).into_future() => served.map_err(|source| Failure::Io {
                what: "Cannot go on listening".to_owned(),
                source,
            })?,
            () = stop => {}
            () = recorder.broken.notified() => {}
        }
        self.told(&recorder, printer)
    }

    fn announce(&self, address: SocketAddr, printer: Printer) -> Result<(), Failure> {
        let url = format!("http://{address}");
        let out = self.out.display().to_string();
        let text = match printer.is_json() {
            true => json!({"url": url, "to": self.to, "out": out}).to_string(),
            false => format!(
                "{url} passes on to {}; what is asked and answered is written to {out}. Ctrl-C ends it.",
                self.to
            ),
        };
        Ok(printer.text(&text)?)
    }

    /// What came of it.
    fn told(&self, recorder: &Recorder, printer: Printer) -> Result<Exit, Failure> {
        let mut kept = recorder.kept();
        if let Some(source) = kept.problem.take() {
            return Err(Failure::file("write", &self.out, source));
        }
        printer.note(format!(
            "Recorded {} requests in {}.",
            kept.file.exchanges(),
            self.out.display()
        ));
        Ok(Exit::Done)
    }
}

/// Passes requests on and writes down what comes of them.
struct Recorder {
    client: Client,
    kept: Mutex<Kept>,
    /// Told when nothing can be written any more.
    broken: Notify,
}

/// What is kept of all exchanges.
struct Kept {
    file: Writer,
    pseudonyms: Pseudonyms,
    /// Why nothing can be written any more.
    problem: Option<io::Error>,
}

impl Recorder {
    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn pass(self: Arc<Self>, request: Request) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let (path, query) = (parts.uri.path().to_owned(), parts.uri.query().map(str::to_owned));
        let headers = parts.headers.clone();
        let is_head = parts.method == Method::HEAD;
        let watched = Arc::new(Mutex::new(Passing::of(&headers)));
        let exchange = is_of_the_api(&path).then(|| Open {
            recorder: Arc::clone(&self),
            request: Some(RawRequest {
                method: parts.method.to_string(),
                path: path.clone(),
                query: query.clone(),
                headers: headers.clone(),
                body: Seen::None,
            }),
            asked: Arc::clone(&watched),
            answer: None,
        });
        let has_body = !body.is_end_stream();
        let body = has_body.then(|| reqwest::Body::wrap_stream(observed(body.into_data_stream(), watched)));
        let sent = self.client.exchange(Parts {
            method: parts.method,
            path,
            query,
            headers: of_the_request(headers),
            body,
        });
        match sent.await {
            Ok(answer) => answered(answer, is_head, exchange),
            Err(error) => unanswered(&error),
        }
    }
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

/// Headers that are between two neighbours alone (RFC 9110 §7.6.1), and what names the one that was asked here.
const OF_NEIGHBOURS: [HeaderName; 9] = [
    HeaderName::from_static("connection"),
    HeaderName::from_static("host"),
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-authorization"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("te"),
    HeaderName::from_static("trailer"),
    HeaderName::from_static("transfer-encoding"),
    HeaderName::from_static("upgrade"),
];

fn between_ends(mut headers: HeaderMap) -> HeaderMap {
    for name in OF_NEIGHBOURS {
        headers.remove(name);
    }
    headers
}

/// What is passed on of a request's headers: nothing that lets the answer be in a form that cannot be read here.
fn of_the_request(headers: HeaderMap) -> HeaderMap {
    let mut headers = between_ends(headers);
    headers.remove("accept-encoding");
    headers.remove("expect");
    headers
}

/// A body on its way, as far as it has come.
struct Passing {
    watch: Option<Watch>,
    /// How long it is, as far as that was said: nobody looks for the end of a body that has all its bytes.
    announced: Option<u64>,
    is_whole: bool,
}

impl Passing {
    fn of(headers: &HeaderMap) -> Self {
        Self {
            watch: Some(Watch::of(text(headers, "content-type"))),
            announced: text(headers, "content-length").and_then(|length| length.parse().ok()),
            is_whole: false,
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        if let Some(watch) = &mut self.watch {
            watch.take(bytes);
        }
    }

    fn end(&mut self) -> Seen {
        let is_whole = |watch: &Watch| self.is_whole || self.announced.unwrap_or(0) == watch.length();
        let watch = self.watch.take();
        watch.map_or(Seen::None, |watch| {
            let is_whole = is_whole(&watch);
            watch.end(is_whole)
        })
    }
}

/// The same bytes, which are looked at on the way.
fn observed<S, E>(
    bytes: S,
    watched: Arc<Mutex<Passing>>,
) -> impl Stream<Item = Result<Bytes, E>> + Send + 'static
where
    S: Stream<Item = Result<Bytes, E>> + Send + 'static,
    E: Send + 'static,
{
    let state = (Box::pin(bytes), watched);
    stream::unfold(state, async |(mut bytes, watched)| {
        let next = bytes.next().await;
        {
            let mut watched = watched.lock().unwrap_or_else(PoisonError::into_inner);
            match &next {
                Some(Ok(chunk)) => watched.take(chunk),
                Some(Err(_)) => {}
                None => watched.is_whole = true,
            }
        }
        next.map(|next| (next, (bytes, watched)))
    })
}

/// An exchange that has not ended; when it is dropped it has.
struct Open {
    recorder: Arc<Recorder>,
    request: Option<RawRequest>,
    asked: Arc<Mutex<Passing>>,
    answer: Option<(StatusCode, HeaderMap, Passing)>,
}

impl Drop for Open {
    fn drop(&mut self) {
        let Some(mut request) = self.request.take() else {
            return;
        };
        let mut kept = self.recorder.kept();
        let Kept {
            file,
            pseudonyms,
            problem,
        } = &mut *kept;
        request.body = self.asked.lock().unwrap_or_else(PoisonError::into_inner).end();
        let path = request.path.clone();
        let request = cleaning::request(pseudonyms, request);
        let answer = self.answer.take().map(|(status, headers, mut body)| {
            cleaning::answer(pseudonyms, &path, status.as_u16(), &headers, body.end())
        });
        if let Err(error) = file.add(&Exchange { request, answer }) {
            problem.get_or_insert(error);
            self.recorder.broken.notify_one();
        }
    }
}

/// Brings the answer, and writes the exchange down before its last bytes are handed on: whoever has a whole answer may rely
/// on its being in the recording.
fn answered(answer: reqwest::Response, is_head: bool, mut exchange: Option<Open>) -> Response<Body> {
    let (status, headers) = (answer.status(), between_ends(answer.headers().clone()));
    // Nobody waits for the end of a body that has none.
    let is_empty = is_head || status == StatusCode::NO_CONTENT || answer.content_length() == Some(0);
    if let Some(open) = &mut exchange {
        let mut passing = Passing::of(&headers);
        passing.is_whole = is_empty;
        open.answer = Some((status, headers.clone(), passing));
    }
    if is_empty {
        drop(exchange.take());
    }
    let state = (Box::pin(answer.bytes_stream()), exchange, None::<Bytes>);
    let bytes = stream::unfold(state, async |(mut bytes, mut exchange, mut held)| {
        loop {
            let next = bytes.next().await;
            let watched = exchange.as_mut().and_then(|open| open.answer.as_mut());
            match next {
                Some(Ok(chunk)) => {
                    if let Some((_, _, passing)) = watched {
                        passing.take(&chunk);
                    }
                    match held.replace(chunk) {
                        Some(before) => return Some((Ok(before), (bytes, exchange, held))),
                        None => continue,
                    }
                }
                Some(Err(error)) => return Some((Err(error), (bytes, exchange, None))),
                None => {
                    if let Some((_, _, passing)) = watched {
                        passing.is_whole = true;
                    }
                    drop(exchange.take());
                    let last = held.take()?;
                    return Some((Ok(last), (bytes, None, None)));
                }
            }
        }
    });
    let mut response = Response::new(Body::from_stream(bytes));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// What callers are told where the service cannot be asked.
fn unanswered(error: &client::Error) -> Response<Body> {
    let text = format!("fame record: {}\n", crate::failure::explained(error));
    let mut response = (StatusCode::BAD_GATEWAY, text).into_response();
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert("content-type", plain);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_listened_to() {
        assert!(loopback("127.0.0.1:0").is_ok() && loopback("[::1]:1").is_ok());
        for wrong in ["0.0.0.0:1", "192.0.2.1:80", "127.0.0.1", "localhost"] {
            assert!(loopback(wrong).is_err(), "{wrong}");
        }
    }
}
