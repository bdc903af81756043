//! What is under way on a connection: requests from their heads on, until their answers have been sent.

use super::streams::Taking;
use crate::http::request_info::Peer;
use axum::{
    Router,
    body::{Body, Bytes, HttpBody},
    response::Response,
};
use bytes::Buf;
use http::Request;
use http_body::{Frame, SizeHint};
use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::sync::watch;
use tower::{Service, ServiceExt, service_fn};

/// How many requests of one connection are under way.
#[derive(Clone, Default)]
pub(super) struct UnderWay(Arc<watch::Sender<usize>>);

/// One of them, until this goes.
struct Exchange(UnderWay);

impl Drop for Exchange {
    fn drop(&mut self) {
        self.0.0.send_modify(|count| *count -= 1);
    }
}

impl UnderWay {
    /// The same router, its requests counted.
    pub(super) fn counting<B>(
        &self,
        router: Router,
        peer: Peer,
    ) -> impl Service<
        Request<B>,
        Response = Response,
        Error = Infallible,
        Future = impl Future<Output = Result<Response, Infallible>> + Send + 'static,
    > + Clone
    + Send
    + 'static
    where
        B: HttpBody<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<axum::BoxError>,
    {
        let under_way = self.clone();
        service_fn(move |request: Request<B>| {
            let exchange = Arc::new(under_way.begin());
            let mut request = request.map(|body| Body::new(Counted::new(body, &exchange, None)));
            request.extensions_mut().insert(peer.clone());
            let answering = router.clone().oneshot(request);
            async move {
                let response = answering.await?;
                let taking = Taking::of_this_task();
                Ok(response.map(|body| Body::new(Counted::new(body, &exchange, taking))))
            }
        })
    }

    fn begin(&self) -> Exchange {
        self.0.send_modify(|count| *count += 1);
        Exchange(self.clone())
    }

    /// Waits until nothing has been under way for so long.
    pub(super) async fn nothing_for(&self, patience: Duration) {
        let mut count = self.0.subscribe();
        loop {
            // The sender is this one's own.
            drop(count.wait_for(|count| *count == 0).await);
            if tokio::time::timeout(patience, count.changed()).await.is_err() {
                return;
            }
        }
    }
}

/// A body that keeps its exchange under way as long as it is there.
struct Counted<B> {
    body: B,
    _exchange: Arc<Exchange>,
    /// How it is taken, if it is an answer by a stream of HTTP/2.
    taking: Option<Taking>,
}

impl<B> Counted<B> {
    fn new(body: B, exchange: &Arc<Exchange>, taking: Option<Taking>) -> Self {
        Self {
            body,
            _exchange: Arc::clone(exchange),
            taking,
        }
    }
}

impl<B: HttpBody + Unpin> HttpBody for Counted<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = &mut *self;
        let Some(taking) = &this.taking else {
            return Pin::new(&mut this.body).poll_frame(context);
        };
        taking.asked();
        let polled = Pin::new(&mut this.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            taking.gave(frame.data_ref().map_or(0, |data| data.remaining() as u64));
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
