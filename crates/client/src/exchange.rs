//! One request as somebody else put it, and whatever is answered to it: for those who pass requests on, or compare answers.
//! Nothing is tried again, and no answer is an error.

use crate::{Client, error::Result};
use bytes::Bytes;
use reqwest::{
    Body, Method, Response,
    header::{AUTHORIZATION, HeaderMap},
};

/// A request by its parts.
#[derive(Debug)]
pub struct Parts {
    /// The method.
    pub method: Method,
    /// The path below the service's root, percent-encoded, with a slash at its beginning.
    pub path: String,
    /// The query, percent-encoded, without its question mark.
    pub query: Option<String>,
    /// The headers; who is calling is added unless it is nobody.
    pub headers: HeaderMap,
    /// The body.
    pub body: Option<Body>,
}

impl Client {
    /// Sends a request as it is; the answer, of whatever status, with its body still on the way.
    ///
    /// # Errors
    /// Those of [`Client::sign_in`], and what keeps an answer from coming: but not that it takes long.
    pub async fn exchange(&self, parts: Parts) -> Result<Response> {
        let mut url = (*self.0.settings.url).clone();
        let root = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{root}{}", parts.path));
        url.set_query(parts.query.as_deref());
        let app = self.app_of(&url);
        let mut request = self.0.http.request(parts.method, url).headers(parts.headers);
        if let Some(body) = parts.body {
            request = request.body(body);
        }
        if let Some(token) = self.token(app).await? {
            request = request.header(AUTHORIZATION, token.bearer()?);
        }
        request.send().await.map_err(|source| self.broken(source))
    }

    /// The next bytes of such an answer's body; none at its end.
    ///
    /// # Errors
    /// [`Error::Interrupted`] when the connection breaks, [`Error::Stalled`] when nothing arrives for too long.
    ///
    /// [`Error::Interrupted`]: crate::Error::Interrupted
    /// [`Error::Stalled`]: crate::Error::Stalled
    pub async fn next_bytes(&self, answer: &mut Response) -> Result<Option<Bytes>> {
        self.next_chunk(answer).await
    }
}
