//! Serving a router over https with the leaf certificate.

use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use axum::Router;
use axum_server::Handle;
use axum_server::tls_rustls::RustlsConfig;

use crate::Certificates;

/// How long open requests may finish after the shutdown signal.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);

/// Serves `router` over https on `listener` until `shutdown` resolves, then lets open requests finish for up
/// to five seconds. Any router will do, not only the issuer's.
///
/// # Errors
/// Those of the listener.
pub async fn serve_https(
    listener: TcpListener,
    router: Router,
    certificates: &Certificates,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let handle = Handle::<SocketAddr>::new();
    let config = RustlsConfig::from_config(certificates.server_config());
    let serving = axum_server::from_tcp_rustls(listener, config)?
        .handle(handle.clone())
        .serve(router.into_make_service());
    let mut serving = std::pin::pin!(serving);
    tokio::select! {
        ended = &mut serving => return ended,
        () = shutdown => handle.graceful_shutdown(Some(SHUTDOWN_GRACE)),
    }
    serving.await
}
