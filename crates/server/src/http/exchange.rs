//! One request and its answer, from the first byte to the last: the span that all is told under, the caller's place,
//! and the one line of the access log once the answer has been sent.
//!
//! When a handler returns, a list or a package has only begun to be sent. So what a request cost, and whether its
//! caller got all of it, is known when its body has been taken or given up; and so is when its place is free.

use super::{concurrency::Permit, request_info::RequestInfo};
use crate::telemetry::{ACCESS, SECURITY, metrics::Answered};
use axum::{
    body::{Body, Bytes, HttpBody},
    extract::{MatchedPath, Request},
    http::{Method, StatusCode, header},
    response::Response,
};
use http_body::{Frame, SizeHint};
use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Instant,
};
use tracing::{Span, field::Empty};
use uuid::Uuid;

/// How the address of a package ends, as the router knows it.
const PACKAGES: [&str; 2] = ["/getPackageContents", "/operations/{id}/package"];

/// The address of one operation; its last segment is the operation's id.
const OPERATION: &str = "/environmentHotfixes/{id}";

/// A request that is being answered. What lies within the router leaves here what it learns of it.
pub(crate) struct Exchange {
    span: Span,
    learnt: Mutex<Learnt>,
}

#[derive(Default)]
struct Learnt {
    route: Option<MatchedPath>,
    permit: Option<Permit>,
}

impl Exchange {
    /// Begins the span of a request. It is there at every level, so that each line that is written has its ids.
    pub(crate) fn begin(info: &RequestInfo, method: &Method) -> Arc<Self> {
        let span = tracing::error_span!(
            "request",
            correlation = %info.correlation_id,
            method = known(method),
            route = Empty,
            principal = Empty,
            operation = Empty,
        );
        Arc::new(Self {
            span,
            learnt: Mutex::default(),
        })
    }

    pub(crate) fn span(&self) -> &Span {
        &self.span
    }

    /// Leaves the caller's name in the span and their place here, so that it lasts until the answer has been sent.
    pub(crate) fn admit(&self, caller: &str, permit: Permit) {
        self.span.record("principal", caller);
        self.learnt().permit = Some(permit);
    }

    /// Whether it is known who asks, and they have a place.
    pub(crate) fn is_of_somebody(&self) -> bool {
        self.learnt().permit.is_some()
    }

    /// Gives the caller's place to their next request: this one only waits.
    pub(crate) fn waits(&self) {
        drop(self.learnt().permit.take());
    }

    fn learnt(&self) -> std::sync::MutexGuard<'_, Learnt> {
        self.learnt.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Notes the address as the router knows it: what a caller wrote may hold data, and has no end of values.
pub(crate) fn note_route(request: Request) -> Request {
    let extensions = request.extensions();
    if let (Some(exchange), Some(route)) =
        (extensions.get::<Arc<Exchange>>(), extensions.get::<MatchedPath>())
    {
        exchange.span.record("route", route.as_str());
        let last = request.uri().path().rsplit('/').next().unwrap_or_default();
        if let (true, Ok(id)) = (route.as_str().ends_with(OPERATION), last.parse::<Uuid>()) {
            exchange.span.record("operation", tracing::field::display(id));
        }
        exchange.learnt().route = Some(route.clone());
    }
    request
}

/// What will be told of an exchange when this goes: its answer has been sent then, or was given up.
pub(crate) struct Ending {
    exchange: Arc<Exchange>,
    method: Method,
    begun: Instant,
    status: Option<StatusCode>,
    bytes: u64,
    is_whole: bool,
}

impl Ending {
    pub(crate) fn of(exchange: Arc<Exchange>, method: Method) -> Self {
        Self {
            exchange,
            method,
            begun: Instant::now(),
            status: None,
            bytes: 0,
            is_whole: false,
        }
    }

    /// The answer, with a body that tells of the exchange at its end.
    pub(crate) fn with(mut self, response: Response) -> Response {
        self.status = Some(response.status());
        let (parts, body) = response.into_parts();
        let declared = parts.headers.get(header::CONTENT_LENGTH);
        let declared = declared.and_then(|length| length.to_str().ok()?.parse().ok());
        self.is_whole = self.method == Method::HEAD || body.is_end_stream();
        let length = declared.or_else(|| body.size_hint().exact());
        Response::from_parts(
            parts,
            Body::new(Sending {
                body,
                length,
                ending: self,
            }),
        )
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        let Learnt { route, permit } = std::mem::take(&mut *self.exchange.learnt());
        let elapsed = self.begun.elapsed();
        let status = self.status.map(|status| status.as_u16());
        let (span, bytes) = (&self.exchange.span, self.bytes);
        let milliseconds = elapsed.as_micros() as f64 / 1_000.0;
        match self.is_whole {
            true => tracing::info!(target: ACCESS, parent: span, status, bytes, milliseconds, "answered"),
            false => tracing::info!(
                target: ACCESS, parent: span, status, bytes, milliseconds, aborted = true, "broken off"
            ),
        }
        self.tell_security(route.as_ref().map_or("none", MatchedPath::as_str));
        let answered = Answered {
            method: known(&self.method),
            route: route.as_ref().map_or("none", MatchedPath::as_str),
            status,
            elapsed,
            is_whole: self.is_whole,
        };
        answered.count();
        drop(permit);
    }
}

impl Ending {
    /// What a security team wants to hear of.
    fn tell_security(&self, route: &str) {
        let (span, bytes) = (&self.exchange.span, self.bytes);
        let is_package = PACKAGES.iter().any(|end| route.ends_with(end));
        match self.status {
            Some(StatusCode::UNAUTHORIZED) => {
                tracing::warn!(target: SECURITY, parent: span, "sign-in failed");
            }
            Some(StatusCode::FORBIDDEN) => tracing::warn!(target: SECURITY, parent: span, "refused"),
            Some(StatusCode::OK | StatusCode::PARTIAL_CONTENT) if is_package && bytes > 0 => {
                tracing::info!(target: SECURITY, parent: span, bytes, "package handed out");
            }
            _ => {}
        }
    }
}

/// A method as a label: callers may make up any number of others.
fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}

/// A body on its way to the caller. What is done to make it, such as reading rows, is told under the request's span.
struct Sending {
    body: Body,
    /// How many bytes it will have, where that is known before.
    length: Option<u64>,
    ending: Ending,
}

impl HttpBody for Sending {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        let _entered = this.ending.exchange.span.enter();
        let polled = Pin::new(&mut this.body).poll_frame(context);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                this.ending.bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
                // A server asks no further when it has all that there is to come.
                this.ending.is_whole = this.length == Some(this.ending.bytes) || this.body.is_end_stream();
            }
            Poll::Ready(Some(Err(_))) => this.ending.is_whole = false,
            Poll::Ready(None) => this.ending.is_whole = true,
            Poll::Pending => {}
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

#[cfg(test)]
mod tests;
