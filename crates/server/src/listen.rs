//! Taking connections: so many at once and from one address, none of them for long without a request, each with a bounded
//! time for taking what it is sent, and all of them brought to an end when the service is asked to stop.

mod door;
mod heads;
mod stream;
mod streams;
mod under_way;

use crate::{
    config::{LimitSettings, Network},
    http::request_info::Peer,
};
use axum::Router;
use door::Door;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::conn::auto::Builder,
    service::TowerToHyperService,
};
use std::{net::IpAddr, pin::pin, sync::Arc, time::Duration};
use stream::Watched;
use streams::Streams;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use under_way::UnderWay;

/// How long a connection that was asked to end may take to do so when nothing is under way on it.
const FAREWELL: Duration = Duration::from_secs(2);

/// How many bytes of an answer have to be taken in a second, while they wait to be taken.
const TAKEN_PER_SECOND: u64 = 1024;

/// How many requests may be under way on a connection of HTTP/2.
const MAX_STREAMS: u32 = 32;

/// Serves until `stop`, then waits up to `drain` for requests under way.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: &LimitSettings,
    drain: Duration,
    stop: impl Future<Output = ()>,
) {
    let door = Door::new(limits);
    let host = Arc::new(Host {
        builder: builder(limits),
        router,
        limits: limits.clone(),
        proxies: limits.proxies.as_slice().into(),
        stopping: CancellationToken::new(),
    });
    let connections = TaskTracker::new();
    let mut stop = pin!(stop);
    loop {
        let admitted = tokio::select! {
            () = &mut stop => break,
            admitted = door.admit(&listener) => admitted,
        };
        if let Some((stream, peer, place)) = admitted {
            let host = Arc::clone(&host);
            connections.spawn(async move {
                host.carry(stream, peer).await;
                drop(place);
            });
        }
    }
    drop(listener);
    host.stopping.cancel();
    connections.close();
    if tokio::time::timeout(drain, connections.wait()).await.is_err() {
        tracing::warn!("some requests were still under way when the time to drain was over");
    }
}

/// What all connections share.
struct Host {
    builder: Builder<Streams>,
    router: Router,
    limits: LimitSettings,
    proxies: Arc<[Network]>,
    stopping: CancellationToken,
}

impl Host {
    /// Answers what comes by a connection until it ends. It does when nothing has been under way for as long as the head
    /// of a request may take: whatever was sent of one, by whichever version of HTTP, and whatever else was sent.
    async fn carry(&self, stream: TcpStream, peer: IpAddr) {
        let stream = Watched::new(stream, self.limits.response_idle, self.stopping.clone());
        let under_way = UnderWay::default();
        let peer = Peer {
            address: peer,
            proxies: Arc::clone(&self.proxies),
        };
        let service = TowerToHyperService::new(under_way.counting(self.router.clone(), peer));
        let connection = self.builder.serve_connection(TokioIo::new(stream), service);
        let mut connection = pin!(connection);
        let mut is_asked_to_end = false;
        loop {
            let patience = match is_asked_to_end {
                true => FAREWELL,
                false => self.limits.request_header,
            };
            tokio::select! {
                // How a connection ends is the client's affair; what it was answered is logged where it was answered.
                _ = connection.as_mut() => return,
                () = self.stopping.cancelled(), if !is_asked_to_end => {}
                () = under_way.nothing_for(patience) => if is_asked_to_end { return },
            }
            is_asked_to_end = true;
            connection.as_mut().graceful_shutdown();
        }
    }
}

fn builder(limits: &LimitSettings) -> Builder<Streams> {
    let mut builder = Builder::new(Streams {
        idle: limits.response_idle,
    });
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.request_header);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .keep_alive_interval(Some(Duration::from_secs(20)));
    builder
}
