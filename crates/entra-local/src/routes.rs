//! The table of the public endpoints.

use axum::Router;
use axum::routing::{get, post};

use crate::listener::{Listener, Scheme};
use crate::{Issuer, discovery, grants};

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
        .with_state(Listener { issuer, scheme })
}
