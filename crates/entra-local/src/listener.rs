//! A listener knows its scheme, because the documents it hands out must lead back to it: a client that came by
//! https refuses an http token endpoint.

use axum::http::{HeaderMap, Uri, header};

use crate::Issuer;

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
    /// `scheme://host:port` as the client wrote it; nothing if it wrote no plain host.
    pub(crate) fn origin(&self, uri: &Uri, headers: &HeaderMap) -> Option<String> {
        let host = match uri.authority() {
            Some(authority) => authority.as_str(),
            None => headers.get(header::HOST)?.to_str().ok()?,
        };
        let is_plain = |letter: char| letter.is_ascii_alphanumeric() || ".:-[]".contains(letter);
        if host.is_empty() || !host.chars().all(is_plain) {
            return None;
        }
        let scheme = match self.scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
        };
        Some(format!("{scheme}://{host}"))
    }
}
