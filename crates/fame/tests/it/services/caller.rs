//! Somebody who calls a service that may die at any instant: an answer counts once it has arrived whole.

use super::{Person, TIME_LIMIT};
use axum::body::Bytes;
use futures::Stream;
pub(crate) use reqwest::Method;
use reqwest::{Body, Client, Response, header::HeaderMap};
use serde_json::Value;
use std::io;
use test_support::issuer::token_of;

/// No answer arrived, so nobody knows whether the request was carried out.
#[derive(Clone, Debug)]
pub(crate) struct Lost(pub String);

impl From<reqwest::Error> for Lost {
    fn from(error: reqwest::Error) -> Self {
        Self(format!("{error:?}"))
    }
}

/// A whole answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// What was asked, for messages.
    pub request: String,
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The code of a refusal.
    pub(crate) fn code(&self) -> String {
        self.json()["error"]["code"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// A property of an entity that is a text.
    pub(crate) fn property(&self, name: &str) -> String {
        self.json()[name].as_str().unwrap_or_default().to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The rows of a list.
    pub(crate) fn rows(&self) -> Vec<Value> {
        match self.json()["value"].as_array() {
            Some(rows) => rows.clone(),
            None => panic!("no list: {self}"),
        }
    }

    /// The status must be this one.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self}");
        self
    }

    /// The service must have said that it cannot now, and when to come back.
    #[track_caller]
    pub(crate) fn expect_unavailable(self) -> Self {
        let answer = self.expect(503);
        assert!(answer.header("retry-after").is_some(), "{answer}");
        answer
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = self.body.len().min(600);
        let body = String::from_utf8_lossy(&self.body[..shown]);
        write!(out, "{} answered {} {body}", self.request, self.status)
    }
}

/// Somebody with a token, and the service that they call.
#[derive(Clone)]
pub(crate) struct Caller {
    client: Client,
    base_url: String,
    token: String,
}

impl Caller {
    pub(crate) fn new(client: Client, base_url: String, person: &Person) -> Self {
        Self {
            client,
            base_url,
            token: token_of(person),
        }
    }

    /// Somebody whose token another issuer has made.
    pub(crate) fn with_token(base_url: String, token: String) -> Self {
        Self {
            client: Self::new_client(),
            base_url,
            token,
        }
    }

    /// A client with connections of its own.
    pub(crate) fn new_client() -> Client {
        Client::builder()
            .no_proxy()
            .tls_certs_only([])
            .timeout(TIME_LIMIT)
            .build()
            .unwrap()
    }

    /// The same caller with connections of their own.
    pub(crate) fn elsewhere(&self) -> Self {
        Self {
            client: Self::new_client(),
            ..self.clone()
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Answer, Lost> {
        self.ask(Method::GET, path, &[], None).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Answer, Lost> {
        self.ask(Method::POST, path, &[], Some(body)).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Result<Answer, Lost> {
        self.ask(Method::PUT, path, &[], Some(body)).await
    }

    pub(crate) async fn patch(&self, path: &str, body: &Value) -> Result<Answer, Lost> {
        self.ask(Method::PATCH, path, &[], Some(body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Result<Answer, Lost> {
        self.ask(Method::DELETE, path, &[], None).await
    }

    /// Asks for something, with further headers and a JSON body.
    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Answer, Lost> {
        let mut request = self
            .client
            .request(method.clone(), format!("{}{path}", self.base_url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request
                .header("content-type", "application/json")
                .body(body.to_string());
        }
        let response = request.bearer_auth(&self.token).send().await?;
        answer(format!("{method} {path}"), response).await
    }

    /// Posts a JSON body in chunks.
    pub(crate) async fn post_in_chunks<S>(&self, path: &str, chunks: S) -> Result<Answer, Lost>
    where
        S: Stream<Item = io::Result<Bytes>> + Send + 'static,
    {
        let request = self
            .client
            .post(format!("{}{path}", self.base_url))
            .header("content-type", "application/json")
            .body(Body::wrap_stream(chunks));
        let response = request.bearer_auth(&self.token).send().await?;
        answer(format!("POST {path}"), response).await
    }
}

async fn answer(request: String, response: Response) -> Result<Answer, Lost> {
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Ok(Answer {
        request,
        status,
        headers,
        body: response.bytes().await?,
    })
}
