//! What the hand-written peers share: how they are served.

use axum::Router;
use std::net::SocketAddr;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

/// Serves until SIGTERM.
///
/// # Errors
/// When the address is taken.
pub async fn serve(listen: SocketAddr, router: Router) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let listener = axum::serve::ListenerExt::tap_io(TcpListener::bind(listen).await?, |stream| {
        // Answers are written whole; waiting for more of them only delays the last packet.
        drop(stream.set_nodelay(true));
    });
    axum::serve(listener, router)
        .with_graceful_shutdown(async move {
            terminate.recv().await;
        })
        .await?;
    Ok(())
}
