//! `/apps/{appId}/events` and the operator's `/events`: what happens, as server-sent events.
//!
//! An event is one message, whose id is its position in line: a client that comes back names the last that it has in
//! `Last-Event-ID`. A sign of life is a comment with the position that the stream has come to, so that a client to whose app
//! nothing happens for a long time can come back as well. Messages have no `event` of their own, which a browser would
//! give only to those who know its name; what happened stands in the data.

use super::extract::{OperatorContext, RequestContext};
use crate::{
    actions::feed::{self, About, Begin, Listening, READ, Step},
    error::Result,
};
use axum::{
    body::Body,
    extract::Path,
    http::{HeaderValue, header},
    response::Response,
};
use bytes::Bytes;
use domain::{chain::Chain, problem::RuleError};
use futures::{StreamExt, stream};
use std::fmt::Write as _;
use utoipa::IntoParams;
use wire::ErrorBody;

/// The header by which a client says what it has.
const LAST_EVENT_ID: &str = "last-event-id";
/// The media type of server-sent events.
/// A message of a stream of events, as its lines say.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "it is written line by line; this describes it")]
struct StreamedEvent {
    /// From where on to listen again after it.
    id: String,
    /// The event, as JSON.
    data: Option<String>,
}

const EVENT_STREAM: &str = "text/event-stream";
/// How long to wait before coming back, in milliseconds; said first.
const RETRY: &str = "retry: 2000\n";

/// From where to listen, and how long.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only described; the options are read from the raw query")]
pub(crate) struct FeedQuery {
    /// `now`, which it is when left out; `kept`, the first event that is kept; or the id of the event behind which to begin.
    /// The header `Last-Event-ID` counts before it.
    from: Option<String>,
    /// `false` ends the stream where there is nothing more to tell at the moment.
    follow: Option<bool>,
}

/// Where a client left off.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(
    dead_code,
    reason = "only described; the header is read where the stream begins"
)]
pub(crate) struct LastEventId {
    /// The id of the last event that the client has.
    #[param(rename = "Last-Event-ID")]
    last_event_id: Option<u64>,
}

/// Streams what happens to the app: to its versions, principals, hotfixes, and to it in environments.
#[utoipa::path(get, path = "/apps/{appId}/events", tag = "events",
    params(("appId" = uuid::Uuid, Path), FeedQuery, LastEventId),
    responses((status = 200, body = StreamedEvent, content_type = "text/event-stream"), (status = "default", body = ErrorBody)))]
pub(crate) async fn stream_events(Path(app): Path<String>, context: RequestContext) -> Result<Response> {
    let app = context.app(&app)?;
    let (begin, waits) = context.reveal_to_permitted(app, READ, asked(&context)).await?;
    listen(&context, About::App(app), begin, waits).await
}

/// Streams all that happens.
#[utoipa::path(get, path = "/events", tag = "operator", params(FeedQuery, LastEventId),
    responses((status = 200, body = StreamedEvent, content_type = "text/event-stream"), (status = "default", body = ErrorBody)))]
pub(crate) async fn stream_all_events(OperatorContext(context): OperatorContext) -> Result<Response> {
    let (begin, waits) = asked(&context)?;
    listen(&context, About::Everything, begin, waits).await
}

/// From where somebody wants to listen, and whether they wait for what is yet to come.
fn asked(context: &RequestContext) -> Result<(Begin, bool)> {
    context.preconditions.check_untagged()?;
    let (mut begin, mut waits) = (Begin::Now, true);
    for (option, value) in context.custom_options(odata::Resource::Entity)? {
        match option.to_ascii_lowercase().as_str() {
            "from" => begin = begin_of("from", &value)?,
            "follow" => waits = is_followed(&value)?,
            _ => {}
        }
    }
    if context.headers.contains_key(LAST_EVENT_ID) {
        let last = context.header(LAST_EVENT_ID).unwrap_or_default();
        begin = begin_of("Last-Event-ID", last)?;
    }
    Ok((begin, waits))
}

fn begin_of(name: &str, text: &str) -> Result<Begin, RuleError> {
    let position = |text: &str| text.parse().ok().filter(|position: &i64| *position >= 0);
    match text.trim() {
        "now" => Ok(Begin::Now),
        "kept" => Ok(Begin::Kept),
        other => position(other).map(Begin::Behind).ok_or_else(|| {
            let message = format!("'{name}' must be the id of an event, 'now' or 'kept'.");
            RuleError::invalid(name, message)
        }),
    }
}

fn is_followed(text: &str) -> Result<bool, RuleError> {
    text.trim()
        .parse()
        .map_err(|_| RuleError::invalid("follow", "'follow' must be true or false."))
}

async fn listen(context: &RequestContext, about: About, begin: Begin, waits: bool) -> Result<Response> {
    let listening = feed::listen(context.service(), &context.principal, about, begin, waits).await?;
    // It has a place among those who listen, and most of the time does nothing.
    context.exchange.waits();
    let mut response = Response::new(sent(listening));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(EVENT_STREAM));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Proxies that collect an answer before they pass it on are asked not to.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

fn sent(listening: Listening) -> Body {
    // So that whoever is cut off before anything happens comes back to where they began.
    let first = format!("{RETRY}id: {}\n\n", listening.position());
    let steps = stream::try_unfold(listening, |mut listening| async move {
        let step = listening.next().await;
        if let Err(error) = &step {
            tracing::warn!("a stream of events broke off: {}", Chain(error));
        }
        Ok(step?.map(|step| (written(step), listening)))
    });
    let first = stream::once(async { Ok(Bytes::from(first)) });
    super::answer::streamed(first.chain(steps))
}

fn written(step: Step) -> Bytes {
    let mut text = String::new();
    match step {
        Step::Alive(position) => text = format!(":\nid: {position}\n\n"),
        Step::Told(events) => {
            for (position, data) in events {
                let data = String::from_utf8_lossy(&data);
                // Nothing stands against writing into a string.
                _ = write!(text, "id: {position}\ndata: {data}\n\n");
            }
        }
    }
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_a_position_and_one_line() {
        let events = vec![(7, Bytes::from_static(b"{}")), (9, Bytes::from_static(b"[]"))];
        assert_eq!(
            written(Step::Told(events)),
            "id: 7\ndata: {}\n\nid: 9\ndata: []\n\n"
        );
        assert_eq!(written(Step::Alive(9)), ":\nid: 9\n\n");
    }

    #[test]
    fn a_beginning_is_a_word_or_a_position() {
        assert_eq!(begin_of("from", "now").unwrap(), Begin::Now);
        assert_eq!(begin_of("from", "kept").unwrap(), Begin::Kept);
        assert_eq!(begin_of("from", " 12 ").unwrap(), Begin::Behind(12));
        for wrong in ["", "-1", "12a", "Kept?", "99999999999999999999"] {
            assert!(begin_of("from", wrong).is_err(), "{wrong}");
        }
    }
}
