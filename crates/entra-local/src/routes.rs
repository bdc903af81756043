//! The table of the public endpoints.

use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use axum::{Router, middleware};

use crate::listener::{Listener, Scheme, by_own_name};
use crate::{Issuer, authorize, device, discovery, grants};

/// What a form may hold, bytes: some of it is kept until a sign-in ends.
const MOST_OF_A_FORM: usize = 16 * 1024;

/// Entra's endpoints for a listener of that scheme. If the issuer's base URL has a path, nest the router there.
pub fn router(issuer: Issuer, scheme: Scheme) -> Router {
    let listener = Listener { issuer, scheme };
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
            get(authorize::asked).post(authorize::posted),
        )
        .route(
            "/{tenant}/oauth2/authorize",
            get(authorize::asked).post(authorize::posted),
        )
        .route("/{tenant}/oauth2/v2.0/devicecode", post(device::begin))
        .route(
            "/{tenant}/oauth2/deviceauth",
            get(device::ask).post(device::decide),
        )
        .route_layer(DefaultBodyLimit::max(MOST_OF_A_FORM))
        .route_layer(middleware::from_fn_with_state(listener.clone(), by_own_name))
        .with_state(listener)
}
