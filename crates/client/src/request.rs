//! One request: what it asks, when it may be sent again, and how its answer is read.
//!
//! Operations come as a [`Request`] that has not been sent. Awaiting it sends it and gives what the operation
//! promises; on the way it can be made conditional, be looked at, or be read as something else. What another
//! service, or a newer one, says beyond what we know is not lost to a caller who reads [`Request::json`].

use crate::{
    Client,
    error::{Error, Refusal, Result, header},
    retry::{is_turned_away, is_uncertain},
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
    /// What the caller asked for and cannot be sent.
    problem: Option<Error>,
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
            method,
            url,
            headers: HeaderMap::new(),
            body: CallBody::None,
            patience: Duration::ZERO,
            answer_bytes: ANSWER_BYTES,
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

    /// Whether the request, once it was carried out, is refused when it is sent again.
    fn would_meet_itself(&self) -> bool {
        self.method == Method::DELETE
            || self.headers.contains_key("if-match")
            || self.headers.contains_key("if-none-match")
    }

    pub(crate) fn is_worth_repeating(&self, refusal: &Refusal) -> bool {
        let waits_for_other_upload = refusal.code() == "UploadInProgress" && refusal.retry_after.is_some();
        if refusal.leaves_in_doubt() {
            return self.is_repeatable && !self.would_meet_itself();
        }
        is_turned_away(refusal.status)
            || waits_for_other_upload
            || (self.is_repeatable && is_uncertain(refusal.status))
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

    pub(crate) fn upload(mut self, upload: Upload) -> Self {
        self.call.body = CallBody::Upload(upload);
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

    pub(crate) async fn open(mut self) -> Result<(Client, Call, Response)> {
        self.call.take_problem()?;
        let answer = self.client.send(&self.call).await?;
        Ok((self.client, self.call, answer))
    }
}

impl<T: DeserializeOwned> Request<T> {
    /// Sends it. An answer without a body is read as `null`.
    ///
    /// # Errors
    /// [`Error::Refused`] for every answer that is no success, [`Error::Unreadable`] for a success that is no `T`,
    /// [`Error::TooLong`] for one that does not end, and what can keep an answer from coming.
    pub async fn send(self) -> Result<Answer<T>> {
        let (client, call, answer) = self.open().await?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body = client.read_all(answer, &call).await?;
        let json = if body.is_empty() { b"null" } else { &body[..] };
        let value = serde_json::from_slice(json).map_err(|source| Error::Unreadable {
            request: call.line(),
            correlation_id: header(&headers, "ms-correlation-x"),
            source,
        })?;
        Ok(Answer {
            status,
            headers,
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
