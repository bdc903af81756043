//! How the service is called: over connections that are kept, at the next replica when one does not answer.

use anyhow::Context;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    Method, Request, StatusCode,
    client::conn::http1::{SendRequest, handshake},
    header,
};
use hyper_util::rt::TokioIo;
use std::{
    net::SocketAddr,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::net::TcpStream;

/// How long to leave a service alone that could not be reached.
const PAUSE: Duration = Duration::from_millis(200);

pub struct Link {
    servers: Vec<SocketAddr>,
    at: AtomicUsize,
    idle: Mutex<Vec<(usize, SendRequest<Full<Bytes>>)>>,
    token: String,
    /// An agent's; a vendor has none.
    session: Option<String>,
}

impl Link {
    pub fn new(servers: &[SocketAddr], first: usize, token: String, session: Option<String>) -> Self {
        Self {
            servers: servers.to_vec(),
            at: AtomicUsize::new(first % servers.len()),
            idle: Mutex::default(),
            token,
            session,
        }
    }

    /// The answer, whenever there is a service that can give one.
    pub async fn send(
        &self,
        method: &Method,
        path: &str,
        body: Bytes,
    ) -> anyhow::Result<(StatusCode, Bytes)> {
        loop {
            let at = self.at.load(Ordering::Relaxed);
            match self.try_send(at, method, path, body.clone()).await {
                Ok((status, _)) if status == StatusCode::TOO_MANY_REQUESTS => {}
                Ok((status, _)) if status == StatusCode::SERVICE_UNAVAILABLE => self.go_on(at),
                Ok(answer) => return Ok(answer),
                Err(_) => self.go_on(at),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// The body of a good answer.
    pub async fn ask(&self, method: &Method, path: &str, body: Bytes) -> anyhow::Result<Bytes> {
        let (status, answer) = self.send(method, path, body).await?;
        anyhow::ensure!(
            status.is_success(),
            "{method} {path}: {status} {}",
            String::from_utf8_lossy(&answer)
        );
        Ok(answer)
    }

    fn go_on(&self, from: usize) {
        self.at.store((from + 1) % self.servers.len(), Ordering::Relaxed);
    }

    async fn try_send(
        &self,
        at: usize,
        method: &Method,
        path: &str,
        body: Bytes,
    ) -> anyhow::Result<(StatusCode, Bytes)> {
        let mut connection = self.connection(at).await?;
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "fame")
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token));
        if let Some(session) = &self.session {
            request = request.header("fame-agent-session", session);
        }
        let response = connection.send_request(request.body(Full::new(body))?).await?;
        let status = response.status();
        let answer = response.into_body().collect().await?.to_bytes();
        self.idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((at, connection));
        Ok((status, answer))
    }

    async fn connection(&self, at: usize) -> anyhow::Result<SendRequest<Full<Bytes>>> {
        while let Some(mut connection) = self.kept(at) {
            if connection.ready().await.is_ok() {
                return Ok(connection);
            }
        }
        let server = self.servers.get(at).context("no such replica")?;
        let stream = TcpStream::connect(server).await?;
        stream.set_nodelay(true)?;
        let (connection, driver) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(driver);
        Ok(connection)
    }

    fn kept(&self, at: usize) -> Option<SendRequest<Full<Bytes>>> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|(server, connection)| *server == at && !connection.is_closed());
        idle.pop().map(|(_, connection)| connection)
    }
}
