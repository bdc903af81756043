//! Google Cloud Storage's XML API in front of an S3 server.
//!
//! Google has no emulator of its own. Its XML API is S3's, but for how callers prove who they are and for the names of
//! some headers; that difference is all there is here, so the client for Google meets answers that a server made.

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{HeaderName, Response, StatusCode, header},
};
use std::net::{SocketAddr, TcpListener};

/// More than any part of an upload.
const MAX_BODY_BYTES: usize = 16 * 1024 * 1024;
const COPY_SOURCE: HeaderName = HeaderName::from_static("x-goog-copy-source");
const S3_COPY_SOURCE: HeaderName = HeaderName::from_static("x-amz-copy-source");

#[derive(Clone)]
struct ProxyState {
    server: SocketAddr,
    client: reqwest::Client,
}

/// Opens a proxy of the S3 server, which asks nobody for keys; where it can be reached. It stays open as long as the
/// process lives.
pub fn open(server: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap_or_else(|error| panic!("no port: {error}"));
    let address = listener
        .local_addr()
        .unwrap_or_else(|error| panic!("no port: {error}"));
    std::thread::spawn(move || serve(listener, server));
    address
}

fn serve(listener: TcpListener, server: SocketAddr) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap_or_else(|error| panic!("no runtime: {error}"));
    let served = runtime.block_on(async {
        listener.set_nonblocking(true)?;
        let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).build();
        let client = client.map_err(std::io::Error::other)?;
        let router = Router::new()
            .fallback(forward)
            .with_state(ProxyState { server, client });
        axum::serve(tokio::net::TcpListener::from_std(listener)?, router).await
    });
    served.unwrap_or_else(|error| panic!("the proxy for Google ended: {error}"));
}

async fn forward(State(state): State<ProxyState>, request: Request) -> Response<Body> {
    let (mut parts, body) = request.into_parts();
    // Whoever comes is let in: a token would have to be Google's.
    parts.headers.remove(header::AUTHORIZATION);
    if let Some(source) = parts.headers.remove(COPY_SOURCE) {
        parts.headers.insert(S3_COPY_SOURCE, source);
    }
    parts.headers.remove(header::HOST);
    let Ok(body) = to_bytes(body, MAX_BODY_BYTES).await else {
        return plain(StatusCode::PAYLOAD_TOO_LARGE);
    };
    let address = format!("http://{}{}", state.server, parts.uri);
    let forwarded = state
        .client
        .request(parts.method, address)
        .headers(parts.headers)
        .body(body);
    let Ok(answer) = forwarded.send().await else {
        return plain(StatusCode::BAD_GATEWAY);
    };
    let (status, headers) = (answer.status(), answer.headers().clone());
    let mut response = Response::new(Body::from_stream(answer.bytes_stream()));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response.headers_mut().remove(header::TRANSFER_ENCODING);
    response
}

fn plain(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}
