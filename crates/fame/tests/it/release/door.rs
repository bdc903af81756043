//! Something before a service that stops right after a change was made, until it is told to go on: then its answer is lost.

use crate::services::{Caller, forward, is_change};
use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::Request,
    http::Response,
};
use std::{
    panic::resume_unwind,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio::{
    net::TcpListener,
    sync::{mpsc, oneshot},
};

/// The door.
pub(super) struct Door {
    url: String,
    shared: Arc<Shared>,
    stopped: mpsc::UnboundedReceiver<Stopped>,
}

struct Shared {
    service: Mutex<String>,
    client: reqwest::Client,
    is_to_stop: AtomicBool,
    changes: Mutex<Vec<(String, u16)>>,
    /// Where it stopped: what is sent again passes.
    stopped_at: Mutex<Vec<(String, Bytes)>>,
    tell: mpsc::UnboundedSender<Stopped>,
}

/// A change that was made and is not answered.
pub(super) struct Stopped(oneshot::Sender<()>);

impl Stopped {
    /// Cuts the connection of whoever waits for the answer.
    pub(super) fn goes_on(self) {
        // Whoever waited may have gone.
        let _ = self.0.send(());
    }
}

impl Door {
    /// One before the service at that address.
    pub(super) async fn before(service: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (tell, stopped) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            service: Mutex::new(service.to_owned()),
            client: Caller::new_client(),
            is_to_stop: AtomicBool::new(false),
            changes: Mutex::default(),
            stopped_at: Mutex::default(),
            tell,
        });
        let passing = shared.clone();
        let router = Router::new().fallback(async move |request: Request| passing.answer(request).await);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, shared, stopped }
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Leads to another service from now on.
    pub(super) fn leads_to(&self, service: &str) {
        service.clone_into(&mut self.shared.service.lock().unwrap());
    }

    pub(super) fn stops_at_the_next_change(&self) {
        self.shared.is_to_stop.store(true, Ordering::SeqCst);
    }

    /// The next change at which it stopped.
    pub(super) async fn stopped(&mut self) -> Option<Stopped> {
        self.stopped.recv().await
    }

    /// The changes that the service has answered, each with the status.
    pub(super) fn changes(&self) -> Vec<(String, u16)> {
        self.shared.changes.lock().unwrap().clone()
    }
}

impl Shared {
    async fn answer(&self, request: Request) -> Response<Body> {
        let line = format!("{} {}", request.method(), request.uri().path());
        let is_change = is_change(&line);
        let service = self.service.lock().unwrap().clone();
        let (parts, body) = request.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        let change = (line.clone(), body.clone());
        let request = Request::from_parts(parts, Body::from(body));
        let answer = forward(&self.client, &service, request).await;
        if !is_change {
            return answer.map(Body::from);
        }
        self.changes
            .lock()
            .unwrap()
            .push((line, answer.status().as_u16()));
        let is_known = self.stopped_at.lock().unwrap().contains(&change);
        if !is_known && self.is_to_stop.swap(false, Ordering::SeqCst) {
            self.stopped_at.lock().unwrap().push(change);
            let (go_on, told) = oneshot::channel();
            drop(self.tell.send(Stopped(go_on)));
            drop(told.await);
            resume_unwind(Box::new("the connection is cut"));
        }
        answer.map(Body::from)
    }
}
