//! What is under way on a connection: requests from their heads on, until their answers have been sent.

use axum::{
    Router,
    body::{Body, Bytes, HttpBody},
    response::Response,
};
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
            let request = request.map(|body| Body::new(Counted::new(body, &exchange)));
            let answering = router.clone().oneshot(request);
            async move {
                let response = answering.await?;
                Ok(response.map(|body| Body::new(Counted::new(body, &exchange))))
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
}

impl<B> Counted<B> {
    fn new(body: B, exchange: &Arc<Exchange>) -> Self {
        Self {
            body,
            _exchange: Arc::clone(exchange),
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
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
