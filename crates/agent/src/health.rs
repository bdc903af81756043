//! Whether the agent lives, whether it can work, and its metrics: over HTTP, on this machine unless told otherwise.

use crate::{clock::SharedClock, status::Status};
use axum::{
    Router,
    http::{StatusCode, header::CONTENT_TYPE},
    response::IntoResponse,
    routing::get,
};
use std::{
    io,
    net::{self, SocketAddr},
    sync::Arc,
};
use tokio::net::TcpListener;

/// Takes the address, so that it is known before anything begins whether it can be had.
///
/// # Errors
/// What the system says.
pub(crate) fn listen(address: SocketAddr) -> io::Result<net::TcpListener> {
    let listener = net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Answers at `listener` for as long as it is polled.
///
/// # Errors
/// What the system says.
pub(crate) async fn serve(
    listener: net::TcpListener,
    status: Arc<Status>,
    clock: SharedClock,
) -> io::Result<()> {
    axum::serve(TcpListener::from_std(listener)?, router(status, clock)).await
}

fn router(status: Arc<Status>, clock: SharedClock) -> Router {
    let (readiness, time) = (status.clone(), clock.clone());
    Router::new()
        .route("/health/live", get(async || "alive\n"))
        .route("/health/ready", get(async move || ready(&readiness, &time)))
        .route("/metrics", get(async move || metrics(&status, &clock)))
}

fn ready(status: &Status, clock: &SharedClock) -> impl IntoResponse + use<> {
    let troubles = status.troubles(clock.now());
    match troubles.is_empty() {
        true => (StatusCode::OK, "ready\n".to_owned()),
        false => (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("{}\n", troubles.join("\n")),
        ),
    }
}

fn metrics(status: &Status, clock: &SharedClock) -> impl IntoResponse + use<> {
    let text = status.metrics(clock.now());
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], text)
}
