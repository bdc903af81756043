//! The public endpoints, once per listener. A door knows its scheme, because the documents it hands out must
//! lead back through the same door: a client that came by https refuses an http token endpoint.

use axum::Router;
use axum::http::{HeaderMap, Uri, header};
use axum::routing::{get, post};

use crate::{Issuer, discovery, grants};

/// How clients reach the listener that serves a router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Plain HTTP.
    Http,
    /// TLS.
    Https,
}

#[derive(Clone)]
pub(crate) struct Door {
    pub(crate) issuer: Issuer,
    scheme: Scheme,
}

impl Door {
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

/// Entra's endpoints for a listener of that scheme. If the issuer's base URL has a path, nest the router there.
pub fn router(issuer: Issuer, scheme: Scheme) -> Router {
    Router::new()
        .route(
            "/{tenant}/v2.0/.well-known/openid-configuration",
            get(discovery::document_v2),
        )
        .route(
            "/{tenant}/.well-known/openid-configuration",
            get(discovery::document_v1),
        )
        .route("/{tenant}/discovery/v2.0/keys", get(discovery::keys_v2))
        .route("/{tenant}/discovery/keys", get(discovery::keys_v1))
        .route("/{tenant}/discovery/instance", get(discovery::instance))
        .route("/{tenant}/userrealm/{username}", get(discovery::user_realm))
        .route("/{tenant}/oauth2/v2.0/token", post(grants::token_v2))
        .route("/{tenant}/oauth2/token", post(grants::token_v1))
        .route(
            "/{tenant}/oauth2/v2.0/authorize",
            get(discovery::authorize).post(discovery::authorize),
        )
        .route(
            "/{tenant}/oauth2/authorize",
            get(discovery::authorize).post(discovery::authorize),
        )
        .with_state(Door { issuer, scheme })
}
