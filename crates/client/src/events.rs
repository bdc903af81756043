//! What happens, as it is told: server-sent events, each once, whatever becomes of connections.
//!
//! A stream ends every few minutes, when a server stops, or when a connection breaks. Then it is asked for again, behind the
//! last event that arrived. Only where the service does not keep what came behind that, it is at an end.

use crate::{
    Client,
    address::with_options,
    error::{Error, Result},
    request::{Call, Request},
};
use domain::{ids::AppId, jitter};
use reqwest::{Method, Response, Url};
use serde_json::Value;
use std::time::Duration;

/// The longest message: events are a kilobyte or so.
const MESSAGE_BYTES: usize = 1 << 20;
/// How long to wait before a stream that ended is asked for again.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(2));

/// From where events are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// From now on.
    Now,
    /// From the first that the service has kept.
    Kept,
    /// From behind the one at this position.
    Behind(u64),
}

/// An event as it was told.
#[derive(Clone, Debug, PartialEq)]
pub struct ToldEvent {
    /// Its position in line, behind which others can be asked for.
    pub position: u64,
    /// What happened.
    pub event: Value,
}

/// A stream of events, asked for anew where it breaks off.
#[derive(Debug)]
pub struct EventStream {
    client: Client,
    url: Url,
    /// Whether it goes on once there is nothing more to tell at the moment.
    waits: bool,
    from: From,
    answer: Option<Response>,
    /// What arrived and was not read.
    text: Vec<u8>,
    /// How far the part of it reaches that has no end of a message in it.
    looked_at: usize,
}

impl EventStream {
    pub(crate) fn new(client: &Client, url: Url, from: From, waits: bool) -> Self {
        Self {
            client: client.clone(),
            url,
            waits,
            from,
            answer: None,
            text: Vec::new(),
            looked_at: 0,
        }
    }

    /// The position that the stream has come to, behind which it can be asked for again; none before it began.
    #[must_use]
    pub fn position(&self) -> Option<u64> {
        match self.from {
            From::Behind(position) => Some(position),
            From::Now | From::Kept => None,
        }
    }

    /// The next event; none where there is nothing more, if the stream does not wait.
    ///
    /// # Errors
    /// [`Error::Refused`] where the service does not let the caller hear more, or keeps no more what they have not heard;
    /// those of [`Request::send`] where it cannot be reached any more.
    pub async fn next(&mut self) -> Result<Option<ToldEvent>> {
        loop {
            while let Some(message) = self.take_message() {
                if let Some(event) = self.understand(&message) {
                    return Ok(Some(event));
                }
            }
            let is_over = match &mut self.answer {
                None => {
                    self.answer = Some(self.open().await?);
                    continue;
                }
                Some(answer) => match self.client.next_chunk(answer).await {
                    Ok(Some(bytes)) if self.text.len() + bytes.len() > MESSAGE_BYTES => {
                        return Err(Error::TooLong {
                            request: format!("GET {}", self.url.path()),
                            most: MESSAGE_BYTES,
                        });
                    }
                    Ok(Some(bytes)) => {
                        self.text.extend_from_slice(&bytes);
                        continue;
                    }
                    Ok(None) => !self.waits,
                    Err(Error::Interrupted { .. } | Error::Stalled { .. }) => false,
                    Err(error) => return Err(error),
                },
            };
            if is_over {
                return Ok(None);
            }
            // Half a message is told again.
            (self.answer, self.looked_at) = (None, 0);
            self.text.clear();
            tokio::time::sleep(jitter::between(PAUSES.0, PAUSES.1)).await;
        }
    }

    async fn open(&self) -> Result<Response> {
        let from = match self.from {
            From::Now => "now".to_owned(),
            From::Kept => "kept".to_owned(),
            From::Behind(position) => position.to_string(),
        };
        let follow = (!self.waits).then(|| "false".to_owned());
        let url = with_options(self.url.clone(), &[("from", Some(from)), ("follow", follow)]);
        let call = Call::new(Method::GET, url).header("accept", "text/event-stream, application/json");
        let (_, answer) = Request::<()>::of(&self.client, call).open().await?;
        Ok(answer)
    }

    /// The next message, if all of it has arrived.
    fn take_message(&mut self) -> Option<String> {
        let unread = self.text.get(self.looked_at..)?;
        let end = unread.windows(2).position(|two| two == b"\n\n");
        let Some(end) = end else {
            self.looked_at = self.text.len().saturating_sub(1);
            return None;
        };
        let rest = self.text.split_off(self.looked_at + end + 2);
        let message = std::mem::replace(&mut self.text, rest);
        self.looked_at = 0;
        Some(String::from_utf8_lossy(&message).into_owned())
    }

    /// Comes as far as a message says; the event in it, if there is one.
    fn understand(&mut self, message: &str) -> Option<ToldEvent> {
        let field = |name: &str| {
            let mut lines = message.lines();
            lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        };
        if let Some(position) = field("id").and_then(|id| id.trim().parse().ok()) {
            self.from = From::Behind(position);
        }
        let event = serde_json::from_str(field("data")?).ok()?;
        let position = self.position()?;
        Some(ToldEvent { position, event })
    }
}

impl Client {
    /// What happens to an app; where it does not wait, what has happened.
    pub fn stream_events(&self, app: AppId, from: From, waits: bool) -> EventStream {
        EventStream::new(self, self.in_app(app, &["events"]), from, waits)
    }

    /// What happens to anything, for operators.
    pub fn stream_all_events(&self, from: From, waits: bool) -> EventStream {
        EventStream::new(self, self.operator(&["events"]), from, waits)
    }
}
