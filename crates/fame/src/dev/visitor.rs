//! Somebody who calls on the service as everybody else does: over HTTP, with a token. The sample data and the main
//! job go in by the same doors as a vendor's and an operator's would, and so prove those doors at every start.

use super::cast::{Credentials, SCOPE};
use anyhow::{Context, bail};
use reqwest::{Client, Method, StatusCode};
use serde_json::Value;
use std::time::Duration;

/// Longer than anything here can take; only a defect is slower.
const PATIENCE: Duration = Duration::from_secs(20);

/// Where the service and its issuer are.
#[derive(Clone, Debug)]
pub struct Place {
    /// The service, without a slash at the end.
    pub base_url: String,
    /// Where tokens are issued.
    pub token_url: String,
}

/// What was answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The body; `null` when there was none.
    pub body: Value,
}

/// A caller who has signed in.
#[derive(Clone)]
pub struct Visitor {
    http: Client,
    base_url: String,
    token: String,
}

/// A connection that asks no proxy how to reach this very machine.
///
/// # Errors
/// When TLS cannot be set up.
pub fn connection() -> anyhow::Result<Client> {
    Ok(Client::builder().no_proxy().timeout(PATIENCE).build()?)
}

impl Visitor {
    /// Fetches a token.
    ///
    /// # Errors
    /// The issuer's refusal, in its words.
    pub async fn sign_in(http: &Client, place: &Place, credentials: &Credentials) -> anyhow::Result<Self> {
        let client_id = credentials.client_id.to_string();
        let mut form = vec![
            ("client_id", client_id.as_str()),
            ("client_secret", credentials.client_secret.reveal()),
            ("scope", SCOPE),
        ];
        match &credentials.user {
            None => form.push(("grant_type", "client_credentials")),
            Some((username, password)) => {
                form.push(("grant_type", "password"));
                form.push(("username", username));
                form.push(("password", password.reveal()));
            }
        }
        let response = http
            .post(&place.token_url)
            .form(&form)
            .send()
            .await
            .context("the token endpoint")?;
        let status = response.status();
        let body: Value = response.json().await.context("the token endpoint's answer")?;
        let Some(token) = body["access_token"].as_str() else {
            bail!(
                "the token endpoint answered {status}: {}",
                body["error_description"]
            );
        };
        Ok(Self {
            http: http.clone(),
            base_url: place.base_url.clone(),
            token: token.to_owned(),
        })
    }

    /// Asks, and takes whatever is answered. `path` begins with a slash.
    ///
    /// # Errors
    /// When no answer arrives, or none that is JSON.
    pub async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<Answer> {
        let mut request = self
            .http
            .request(method.clone(), format!("{}{path}", self.base_url));
        request = request.bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.with_context(|| format!("{method} {path}"))?;
        let status = response.status();
        let text = response
            .text()
            .await
            .with_context(|| format!("the answer to {method} {path}"))?;
        let body = match text.is_empty() {
            true => Value::Null,
            false => serde_json::from_str(&text).with_context(|| format!("the answer to {method} {path}"))?,
        };
        Ok(Answer { status, body })
    }

    /// Asks, and takes only success.
    ///
    /// # Errors
    /// Also when the answer is a refusal.
    pub async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.demand(Method::GET, path, None).await
    }

    /// Sends a body, and takes only success.
    ///
    /// # Errors
    /// Also when the answer is a refusal.
    pub async fn send(&self, method: Method, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.demand(method, path, Some(body)).await
    }

    async fn demand(&self, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<Value> {
        let answer = self.ask(method.clone(), path, body).await?;
        if !answer.status.is_success() {
            bail!(
                "{method} {path} was answered {}: {}",
                answer.status,
                answer.body["error"]["message"]
            );
        }
        Ok(answer.body)
    }

    /// The bytes of a package.
    ///
    /// # Errors
    /// When no success is answered.
    pub async fn download(&self, path: &str) -> anyhow::Result<bytes::Bytes> {
        let request = self
            .http
            .post(format!("{}{path}", self.base_url))
            .bearer_auth(&self.token);
        let response = request.send().await?.error_for_status()?;
        Ok(response.bytes().await?)
    }
}

/// The rows of a list.
pub fn rows(list: &Value) -> &[Value] {
    list["value"].as_array().map_or(&[], Vec::as_slice)
}

/// A text of an answer; empty if it is not there.
pub fn text<'a>(row: &'a Value, property: &str) -> &'a str {
    row[property].as_str().unwrap_or_default()
}
