//! One request: what it asks, when it may be sent again, and how its answer is read.
//!
//! Operations come as a [`Request`] that has not been sent. Awaiting it sends it and gives what the operation
//! promises; on the way it can be made conditional, be looked at, or be read as something else. What another
//! service, or a newer one, says beyond what we know is not lost to a caller who reads [`Request::json`].

use crate::{
    Client,
    address::with_options,
    error::{Error, Result, header, is_json, is_marked},
    retry::{is_passing, is_turned_away, leaves_open},
    settle::{Shown, Wish},
    upload::{Sent, Upload},
};
use futures::future::BoxFuture;
use reqwest::{
    Method, RequestBuilder, Response, StatusCode, Url,
    header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::{marker::PhantomData, time::Duration};

/// The longest answer, unless less is known of it: the largest page of a list is a fraction of it.
const ANSWER_BYTES: usize = 64 << 20;

/// A request that can be sent, and sent again.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) url: Url,
    headers: HeaderMap,
    body: CallBody,
    pub(crate) is_repeatable: bool,
    /// How much longer than usual its answer may take.
    pub(crate) patience: Duration,
    /// How long its answer may be.
    pub(crate) answer_bytes: usize,
    /// What its answer is.
    pub(crate) reads: Reads,
    /// Whether what it changes can be looked at where it is.
    has_state: bool,
    /// What the caller asked for and cannot be sent.
    problem: Option<Error>,
}

/// What the answer to a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reads {
    Json,
    Text,
    /// The bytes of a package, which are read as they arrive.
    Package,
}

/// A success.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: ArrivedBody,
}

#[derive(Debug)]
pub(crate) enum ArrivedBody {
    Whole(Vec<u8>),
    Arriving(Response),
}

impl Arrival {
    /// The answer to a removal.
    pub(crate) fn nothing() -> Self {
        Self {
            status: StatusCode::NO_CONTENT,
            headers: HeaderMap::new(),
            body: ArrivedBody::Whole(Vec::new()),
        }
    }

    /// The body, if it was read.
    pub(crate) fn whole(&self) -> &[u8] {
        match &self.body {
            ArrivedBody::Whole(body) => body,
            ArrivedBody::Arriving(_) => &[],
        }
    }
}

#[derive(Debug)]
enum CallBody {
    None,
    Json(Vec<u8>),
    /// Made anew for each try.
    Upload(Upload),
}

impl Call {
    /// A request without a body. Repeating it changes nothing, unless it is a POST.
    pub(crate) fn new(method: Method, url: Url) -> Self {
        Self {
            is_repeatable: method != Method::POST,
            has_state: [Method::PUT, Method::PATCH, Method::DELETE].contains(&method),
            method,
            url,
            headers: HeaderMap::new(),
            body: CallBody::None,
            patience: Duration::ZERO,
            answer_bytes: ANSWER_BYTES,
            reads: Reads::Json,
            problem: None,
        }
    }

    /// A value that no header can carry is left out by nobody: it is an error.
    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        match HeaderValue::from_str(value) {
            Ok(value) => _ = self.headers.insert(HeaderName::from_static(name), value),
            Err(_) => {
                let value = value.to_owned();
                self.problem = Some(Error::InvalidHeader { name, value });
            }
        }
        self
    }

    fn json(mut self, body: &impl Serialize) -> Self {
        match serde_json::to_vec(body) {
            Ok(text) => self.body = CallBody::Json(text),
            Err(error) => self.problem = Some(Error::Unwritable(error)),
        }
        self
    }

    /// Says that repeating it is safe though it is a POST.
    pub(crate) fn repeatable(mut self) -> Self {
        self.is_repeatable = true;
        self
    }

    /// Gives the answer so much more time.
    pub(crate) fn patient(mut self, longer: Duration) -> Self {
        self.patience = longer;
        self
    }

    /// Says how long the answer is at most.
    pub(crate) fn answered_within(mut self, bytes: usize) -> Self {
        self.answer_bytes = bytes;
        self
    }

    /// Says what the answer is, where it is not JSON.
    pub(crate) fn reads(mut self, reads: Reads) -> Self {
        self.reads = reads;
        self
    }

    /// Says that what it changes cannot be looked at.
    pub(crate) fn without_state(mut self) -> Self {
        self.has_state = false;
        self
    }

    /// What is asked, for messages.
    pub(crate) fn line(&self) -> String {
        format!("{} {}", self.method, self.url.path())
    }

    /// The first problem with it, which keeps it from being sent.
    pub(crate) fn take_problem(&mut self) -> Result<()> {
        self.problem.take().map_or(Ok(()), Err)
    }

    /// The request of one try.
    pub(crate) fn build(&self, http: &reqwest::Client, sent: &Sent) -> Result<RequestBuilder> {
        let request = http
            .request(self.method.clone(), self.url.clone())
            .headers(self.headers.clone());
        let json = |request: RequestBuilder| request.header(CONTENT_TYPE, "application/json");
        Ok(match &self.body {
            // An empty POST says its length, because some gateways demand one.
            CallBody::None if self.method == Method::POST => request.header(CONTENT_LENGTH, 0),
            CallBody::None => request,
            CallBody::Json(text) => json(request).body(text.clone()),
            CallBody::Upload(upload) => json(request).body(upload.body(sent)?),
        })
    }

    /// Whether an answer with these headers is the service's. One without a body has no kind.
    pub(crate) fn is_answered_by(&self, headers: &HeaderMap) -> bool {
        let is_of_kind = self.reads != Reads::Json || is_json(headers) || !headers.contains_key(CONTENT_TYPE);
        is_marked(headers) && is_of_kind
    }

    /// What was to be the case afterwards, where that can be seen.
    pub(crate) fn wish(&self) -> Option<Wish> {
        match &self.body {
            _ if !self.has_state => None,
            CallBody::None if self.method == Method::DELETE => Some(Wish::Gone),
            CallBody::Json(text) => {
                let wished = serde_json::from_slice(text).ok()?;
                let is_whole = self.method == Method::PUT;
                Some(Wish::Shown(Shown { wished, is_whole }))
            }
            CallBody::None | CallBody::Upload(_) => None,
        }
    }

    pub(crate) fn is_worth_repeating(&self, error: &Error) -> bool {
        match error {
            Error::Refused(refusal) if refusal.leaves_open() => self.is_repeatable,
            Error::Refused(refusal) => {
                let waits_for_other_upload =
                    refusal.code() == "UploadInProgress" && refusal.retry_after.is_some();
                is_turned_away(refusal.status)
                    || waits_for_other_upload
                    || (self.is_repeatable && leaves_open(refusal.status))
            }
            Error::Gateway(answer) => self.is_repeatable && is_passing(answer.status),
            Error::Unreachable { .. } | Error::ProxyUnreachable { .. } => true,
            Error::Interrupted { .. } | Error::NoAnswer { .. } | Error::Stalled { .. } => self.is_repeatable,
            _ => false,
        }
    }
}

/// A request whose answer is a `T`, not sent yet. Await it, or [`Request::send`] it to learn more than the `T`.
#[derive(Debug)]
#[must_use = "nothing is sent before it is awaited"]
pub struct Request<T> {
    client: Client,
    call: Call,
    reads: PhantomData<fn() -> T>,
}

/// A success.
#[derive(Clone, Debug)]
pub struct Answer<T> {
    /// The HTTP status.
    pub status: StatusCode,
    /// The headers, among them `etag`.
    pub headers: HeaderMap,
    /// What was answered.
    pub value: T,
}

impl<T> Request<T> {
    pub(crate) fn new(client: &Client, method: Method, url: Url) -> Self {
        Self::of(client, Call::new(method, url))
    }

    pub(crate) fn of(client: &Client, call: Call) -> Self {
        Self {
            client: client.clone(),
            call,
            reads: PhantomData,
        }
    }

    /// A version is never overwritten: a repetition is refused where the first try was carried out.
    pub(crate) fn upload(mut self, upload: Upload) -> Self {
        self.call.body = CallBody::Upload(upload);
        self.repeatable()
    }

    pub(crate) fn reads(mut self, reads: Reads) -> Self {
        self.call = self.call.reads(reads);
        self
    }

    pub(crate) fn repeatable(mut self) -> Self {
        self.call = self.call.repeatable();
        self
    }

    /// The same request with this body, be it of the operation's shape or not.
    pub fn with_body(mut self, body: &impl Serialize) -> Self {
        self.call = self.call.json(body);
        self
    }

    /// Only if the row still has this `_etag`; else [`Error::Refused`] with 412. Nothing without one.
    pub fn if_match<'e>(mut self, etag: impl Into<Option<&'e str>>) -> Self {
        if let Some(etag) = etag.into() {
            self.call = self.call.header("if-match", etag);
        }
        self
    }

    /// Gives the request a key, with which it does the same however often it arrives.
    pub fn idempotency_key(mut self, key: &str) -> Self {
        self.call = self.call.header("idempotency-key", key).repeatable();
        self
    }

    /// Gives the request a key all the same where nobody knows whether the service takes one: what may have been carried out
    /// is not sent again.
    pub fn key_if_known(mut self, key: &str) -> Self {
        self.call = self.call.header("idempotency-key", key);
        self
    }

    /// Only these properties, besides the keys; also such as are shown only to those who select them.
    pub fn select(mut self, properties: &str) -> Self {
        let selected = ("$select", Some(properties.to_owned()));
        self.call.url = with_options(self.call.url, &[selected]);
        self
    }

    /// The same request, its answer read as a `U`.
    pub fn read_as<U>(self) -> Request<U> {
        Request {
            client: self.client,
            call: self.call,
            reads: PhantomData,
        }
    }

    /// The same request, its answer taken as it comes: with members and words that nobody here knows.
    pub fn json(self) -> Request<Value> {
        self.read_as()
    }

    /// The method.
    pub fn method(&self) -> &Method {
        &self.call.method
    }

    /// The address.
    pub fn url(&self) -> &Url {
        &self.call.url
    }

    /// The body for people to read: the bytes of a package are only counted.
    pub fn body(&self) -> Option<Value> {
        match &self.call.body {
            CallBody::None => None,
            CallBody::Json(text) => serde_json::from_slice(text).ok(),
            CallBody::Upload(upload) => serde_json::to_value(upload.summary()).ok(),
        }
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    async fn arrive(mut self) -> Result<(Client, Call, Arrival)> {
        self.call.take_problem()?;
        let arrival = self.client.send(&self.call).await?;
        Ok((self.client, self.call, arrival))
    }

    /// Sends it, its answer being the bytes of a package.
    ///
    /// # Errors
    /// Those of [`Request::send`].
    pub(crate) async fn open(self) -> Result<(Client, Response)> {
        let (client, call, arrival) = self.reads(Reads::Package).arrive().await?;
        match arrival.body {
            ArrivedBody::Arriving(answer) => Ok((client, answer)),
            ArrivedBody::Whole(_) => Err(Error::NoPackage { request: call.line() }),
        }
    }

    /// Sends it, its answer being text.
    ///
    /// # Errors
    /// Those of [`Request::send`].
    pub(crate) async fn text(self) -> Result<String> {
        let (_, _, arrival) = self.reads(Reads::Text).arrive().await?;
        Ok(String::from_utf8_lossy(arrival.whole()).into_owned())
    }
}

impl<T: DeserializeOwned> Request<T> {
    /// Sends it. An answer without a body is read as `null`. Where the answer to a change is lost, what was to be changed is
    /// looked at: if it is as it was to be, that is the answer.
    ///
    /// # Errors
    /// [`Error::Refused`] for every answer that is no success, [`Error::Gateway`] for one that is not the service's,
    /// [`Error::Unreadable`] for a success that is no `T`, [`Error::TooLong`] for one that does not end, and what can keep an
    /// answer from coming.
    pub async fn send(self) -> Result<Answer<T>> {
        let (_, call, arrival) = self.arrive().await?;
        let body = arrival.whole();
        let json = if body.is_empty() { b"null" } else { body };
        let value = serde_json::from_slice(json).map_err(|source| Error::Unreadable {
            request: call.line(),
            correlation_id: header(&arrival.headers, "ms-correlation-x"),
            source,
        })?;
        Ok(Answer {
            status: arrival.status,
            headers: arrival.headers,
            value,
        })
    }
}

impl<T: DeserializeOwned + Send + 'static> IntoFuture for Request<T> {
    type Output = Result<T>;
    type IntoFuture = BoxFuture<'static, Result<T>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { Ok(self.send().await?.value) })
    }
}
