//! The way to whoever issues tokens: asked again where it cannot answer for the moment, and never followed elsewhere.

use crate::{
    SecureUrl,
    error::{Error, Result, header, is_distrust, read_short, retry_after},
    proxy::Proxies,
    retry::RetryPolicy,
};
use futures::future::BoxFuture;
use reqwest::{Certificate, RequestBuilder, Response, StatusCode, redirect};
use serde_json::Value;
use std::{fmt, sync::Arc, time::Duration};

/// The longest that an issuer may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// The longest that a connection may take to come about.
pub(crate) const MAX_CONNECT: Duration = Duration::from_secs(30);
/// Most characters that are kept of an answer which is no OAuth error.
const MAX_SAID_CHARS: usize = 300;

/// Connections to issuers. Clones share them.
#[derive(Clone)]
pub struct Issuers {
    http: reqwest::Client,
    proxies: Arc<Proxies>,
    is_direct: bool,
    retry: RetryPolicy,
}

impl fmt::Debug for Issuers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Issuers")
    }
}

impl Issuers {
    /// Connections to what is at `addresses`, trusting the authorities in `trusted` besides the system's.
    ///
    /// # Errors
    /// [`Error::Tls`] when TLS cannot be set up.
    pub fn new(addresses: &[&SecureUrl], trusted: &[Certificate], retry: RetryPolicy) -> Result<Self> {
        let proxies = Arc::new(Proxies::from_env());
        let http = connections(addresses, trusted, &proxies, MAX_CONNECT)?;
        let is_direct = addresses.iter().all(|url| url.is_local());
        Ok(Self::of(http, proxies, is_direct, retry))
    }

    /// The same by connections that are there.
    pub(crate) fn of(
        http: reqwest::Client,
        proxies: Arc<Proxies>,
        is_direct: bool,
        retry: RetryPolicy,
    ) -> Self {
        Self {
            http,
            proxies,
            is_direct,
            retry,
        }
    }

    /// What the issuer at `url` answers to the request that `make` makes anew for each try.
    ///
    /// # Errors
    /// [`Error::SignInRefused`] when it refuses, those of `make`, and those of an issuer that is out of reach.
    pub async fn ask<'a>(
        &self,
        url: &SecureUrl,
        make: impl Fn(reqwest::Client) -> BoxFuture<'a, Result<RequestBuilder>>,
    ) -> Result<Value> {
        let mut tries = self.retry.tries();
        let issuer = || url.as_str().to_owned();
        loop {
            let request = make(self.http.clone()).await?;
            let (error, asked) = match request.timeout(PATIENCE).send().await {
                Ok(answer) if answer.status().is_success() => return read(answer).await,
                Ok(answer) if is_passing(answer.status()) => {
                    let (status, issuer) = (answer.status(), issuer());
                    let asked = retry_after(answer.headers());
                    (Error::IssuerUnavailable { issuer, status }, asked)
                }
                Ok(answer) => return Err(refused(issuer(), answer).await),
                Err(source) if is_distrust(&source) => {
                    return Err(Error::Untrusted {
                        host: url.authority().to_owned(),
                        source,
                    });
                }
                Err(source) => (self.unreachable(url, source), None),
            };
            tries.pause_or(error, asked).await?;
        }
    }

    /// The same by a form.
    ///
    /// # Errors
    /// Those of [`Issuers::ask`].
    pub async fn post(&self, url: &SecureUrl, form: &[(&str, &str)]) -> Result<Value> {
        let make = |http: reqwest::Client| -> BoxFuture<'_, _> {
            Box::pin(async move { Ok(http.post((**url).clone()).form(form)) })
        };
        self.ask(url, make).await
    }

    fn unreachable(&self, url: &SecureUrl, source: reqwest::Error) -> Error {
        let proxy = self.proxies.before(url);
        match proxy.filter(|_| !self.is_direct && source.is_connect()) {
            Some(proxy) => Error::ProxyUnreachable {
                proxy,
                host: url.authority().to_owned(),
                source,
            },
            None => Error::IssuerUnreachable {
                issuer: url.as_str().to_owned(),
                source,
            },
        }
    }
}

/// Connections to what is at `addresses`: past proxies where all of it is on this machine.
pub(crate) fn connections(
    addresses: &[&SecureUrl],
    trusted: &[Certificate],
    proxies: &Proxies,
    connect_within: Duration,
) -> Result<reqwest::Client> {
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("fame/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(connect_within)
        // A token must not follow a redirect to somewhere else.
        .redirect(redirect::Policy::none());
    builder = match addresses.iter().all(|url| url.is_local()) {
        true => builder.no_proxy(),
        false => proxies.lead(builder),
    };
    let trusted = trusted.to_vec();
    builder = match addresses.iter().any(|url| url.scheme() == "https") {
        true => builder.tls_certs_merge(trusted),
        // Where nothing is encrypted, a machine without any certificate authorities will do.
        false => builder.tls_certs_only(trusted),
    };
    builder.build().map_err(Error::Tls)
}

fn is_passing(status: StatusCode) -> bool {
    status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error()
}

async fn read(answer: Response) -> Result<Value> {
    let issuer = answer.url().to_string();
    let body = read_short(answer)
        .await
        .map_err(|source| Error::IssuerInterrupted { issuer, source })?;
    match body.as_slice() {
        [] => Ok(Value::Null),
        body => serde_json::from_slice(body).map_err(|_| Error::NoToken),
    }
}

async fn refused(issuer: String, answer: Response) -> Error {
    let status = answer.status();
    let logged = header(answer.headers(), "x-vss-e2eid");
    let body = read_short(answer).await.unwrap_or_default();
    let (code, mut description) = said(&body);
    if let Some(logged) = logged {
        description = format!("{description} (x-vss-e2eid {logged})").trim().to_owned();
    }
    Error::SignInRefused {
        issuer,
        status,
        code,
        description,
    }
}

/// The code and the reason in words: OAuth's, ours, or whatever the answer says.
fn said(body: &[u8]) -> (String, String) {
    let error: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    match error.get("error") {
        Some(Value::String(code)) => (code.clone(), text(error.get("error_description"))),
        Some(Value::Object(ours)) if ours.contains_key("code") => {
            (text(ours.get("code")), text(ours.get("message")))
        }
        _ => {
            let words = String::from_utf8_lossy(body);
            let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
            (String::new(), words.chars().take(MAX_SAID_CHARS).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_read_in_whichever_words_it_comes() {
        let both = |code: &str, text: &str| (code.to_owned(), text.to_owned());
        let oauth = br#"{"error":"invalid_client","error_description":"AADSTS70025: None."}"#;
        assert_eq!(said(oauth), both("invalid_client", "AADSTS70025: None."));
        let ours = br#"{"error":{"code":"NoPublisher","message":"None fits."}}"#;
        assert_eq!(said(ours), both("NoPublisher", "None fits."));
        assert_eq!(said(b"<p>Not\n found</p>"), both("", "<p>Not found</p>"));
        assert_eq!(said(b""), both("", ""));
    }
}
