//! The two listeners and what answers there.
//!
//! Service and issuer share one address, http and https: a client that is given one base URL finds both, and no path
//! of the one is a path of the other. Behind http alone there is also the control endpoint.

use anyhow::Context;
use axum::Router;
use entra_local::{Certificates, Issuer, Scheme, router as issuer_router, serve_https};
use server::config::LimitSettings;
use std::{
    io,
    net::{SocketAddr, TcpListener},
    time::Duration,
};
use tokio::{sync::watch, task::JoinSet};

/// The path of the control endpoint.
pub(super) const CONTROL: &str = "/control";

/// How far the https port is from the http port when it is free: 8443 for 8080.
const HTTPS_DISTANCE: u16 = 363;

/// How long requests may go on after a signal to end.
const DRAIN: Duration = Duration::from_secs(5);

/// Both listeners, bound; nobody answers yet.
pub(super) struct Listeners {
    http: TcpListener,
    https: TcpListener,
    http_url: String,
    https_url: String,
}

impl Listeners {
    /// Takes the address, and a port of the same host for https.
    ///
    /// # Errors
    /// When it is taken.
    pub(super) fn bind(listen: SocketAddr) -> anyhow::Result<Self> {
        let http = TcpListener::bind(listen).with_context(|| {
            format!("cannot listen on {listen}, which --listen changes to another address or port")
        })?;
        let http_address = http.local_addr()?;
        let https = bind_https(listen).context("cannot listen for https")?;
        let https_address = https.local_addr()?;
        let (http_url, https_url) = (
            format!("http://{http_address}"),
            format!("https://{https_address}"),
        );
        Ok(Self {
            http,
            https,
            http_url,
            https_url,
        })
    }

    /// `http://host:port`.
    pub(super) fn http_url(&self) -> &str {
        &self.http_url
    }

    /// `https://host:port`.
    pub(super) fn https_url(&self) -> &str {
        &self.https_url
    }

    /// Begins to take requests.
    ///
    /// # Errors
    /// Those of the listeners.
    pub(super) fn serve(
        self,
        http: Router,
        https: Router,
        certificates: Certificates,
        limits: LimitSettings,
    ) -> io::Result<Serving> {
        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        self.http.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(self.http)?;
        let signal = wait_for(stopped.clone());
        tasks.spawn(async move { server::serve(listener, http, &limits, DRAIN, signal).await });
        tasks.spawn(async move {
            if let Err(error) = serve_https(self.https, https, &certificates, wait_for(stopped)).await {
                tracing::error!(%error, "https ended");
            }
        });
        Ok(Serving { stop, tasks })
    }
}

/// The usual distance away, so that it is the same every time; any port when that one is taken.
fn bind_https(listen: SocketAddr) -> io::Result<TcpListener> {
    let usual = match listen.port() {
        0 => 0,
        port => port.checked_add(HTTPS_DISTANCE).unwrap_or(0),
    };
    match TcpListener::bind((listen.ip(), usual)) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => TcpListener::bind((listen.ip(), 0)),
        bound => bound,
    }
}

async fn wait_for(mut stopped: watch::Receiver<bool>) {
    // The other end is gone only when all is over anyway.
    drop(stopped.wait_for(|stopped| *stopped).await);
}

/// Listeners whose requests are answered.
pub(super) struct Serving {
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Serving {
    /// Takes no more requests, and waits for those under way.
    pub(super) async fn close(mut self) {
        self.stop.send_replace(true);
        while self.tasks.join_next().await.is_some() {}
    }
}

/// What answers over http: service, issuer, and control.
pub(super) fn http_router(service: Router, issuer: &Issuer, control: Router) -> Router {
    issuer_router(issuer.clone(), Scheme::Http)
        .nest(CONTROL, control)
        .fallback_service(service)
}

/// What answers over https: service and issuer.
pub(super) fn https_router(service: Router, issuer: &Issuer) -> Router {
    issuer_router(issuer.clone(), Scheme::Https).fallback_service(service)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn https_has_a_port_of_its_own_even_when_the_usual_one_is_taken() {
        let first = Listeners::bind(([127, 0, 0, 1], 0).into()).unwrap();
        assert_ne!(
            first.http_url().rsplit(':').next(),
            first.https_url().rsplit(':').next()
        );
        assert!(first.https_url().starts_with("https://127.0.0.1:"));
        let taken = first.http.local_addr().unwrap();
        let Some(below) = taken.port().checked_sub(HTTPS_DISTANCE) else {
            return;
        };
        let https = bind_https((taken.ip(), below).into()).unwrap();
        assert_ne!(https.local_addr().unwrap().port(), taken.port());
    }
}
