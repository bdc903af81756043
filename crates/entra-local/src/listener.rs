//! A listener knows its scheme, because the documents it hands out must lead back to it: a client that came by
//! https refuses an http token endpoint. And it knows by which names it is reached, because somebody else's name that
//! leads here would make somebody else's page one of ours.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::Issuer;
use crate::own_page::{host_of, is_from_page_of};

/// How clients reach the listener that serves a router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Plain HTTP.
    Http,
    /// TLS.
    Https,
}

/// What the endpoints of one listener share.
#[derive(Clone)]
pub(crate) struct Listener {
    pub(crate) issuer: Issuer,
    pub(crate) scheme: Scheme,
}

impl Listener {
    /// `scheme://host:port` as the client wrote it; nothing if it wrote no name of ours.
    pub(crate) fn origin(&self, uri: &Uri, headers: &HeaderMap) -> Option<String> {
        let authority = match uri.authority() {
            Some(authority) => authority.as_str(),
            None => headers.get(header::HOST)?.to_str().ok()?,
        };
        let scheme = match self.scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
        };
        self.issuer
            .is_own_name(host_of(authority))
            .then(|| format!("{scheme}://{authority}"))
    }

    /// Whether a page of ours sent this, as far as browsers say. What is no browser says nothing.
    pub(crate) fn is_from_own_page(&self, uri: &Uri, headers: &HeaderMap) -> bool {
        let own = self.origin(uri, headers);
        let authority = own.as_deref().and_then(|origin| origin.split_once("://"));
        authority.is_some_and(|(_, authority)| is_from_page_of(authority, headers))
    }
}

/// Answers only who asks for us by name.
pub(crate) async fn by_own_name(State(listener): State<Listener>, request: Request, next: Next) -> Response {
    if listener.origin(request.uri(), request.headers()).is_some() {
        return next.run(request).await;
    }
    let names = listener.issuer.own_names().join(", ");
    let text = format!("The request's Host is none of the names that this issuer goes by: {names}.\n");
    (StatusCode::BAD_REQUEST, text).into_response()
}
