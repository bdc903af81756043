//! What somebody still sends of a request that has been answered.
//!
//! Many clients look at an answer only once they have sent everything, and a stream that is reset before, or a connection
//! that is closed on bytes which nobody has read, takes the answer with it. So what was left unread is read and forgotten
//! while the answer is on its way: the rest of a body, and what comes by a connection of which it was said that it ends.
//!
//! Anybody may send what is refused, so this must cost nobody anything: it holds no place but that of the connection, and
//! none of the bytes, and it ends after so many of them, and when they come too slowly.

use crate::pace::Pace;
use axum::{
    body::{Body, Bytes, HttpBody},
    extract::Request,
    http::{Version, header},
};
use http_body::{Frame, SizeHint};
use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, ReadBuf},
    sync::oneshot,
    time::{Sleep, timeout_at},
};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// How much is read of one body, and of a connection that ends.
const MAX_BYTES: u64 = 256 * 1024 * 1024;
/// How far whoever sends a body may be behind, and how much of it they have to bring in a second; and how long a connection
/// that ends is read at most.
const PATIENCE: Duration = Duration::from_secs(10);
const BYTES_PER_SECOND: u64 = 1024 * 1024;
/// How much is read of a connection at a time.
const PIECE: usize = 16 * 1024;

/// What is left of a body when whoever was to read it is done.
pub(crate) struct Rest(oneshot::Receiver<Body>);

impl Rest {
    /// The same request, and what will be left of its body.
    pub(crate) fn of(request: Request) -> (Request, Self) {
        let comes = !waits_to_be_asked(&request);
        let (leave, left) = oneshot::channel();
        let request = request.map(|body| match body.is_end_stream() {
            true => body,
            false => Body::new(Received {
                body: Some(body),
                leave: Some(leave),
                comes,
            }),
        });
        (request, Self(left))
    }

    /// Reads it and forgets it, in a task of its own, now that the request has been answered. (Before, whoever waits to be
    /// asked for their body would be asked in place of an answer.)
    pub(crate) fn forget(mut self) {
        if let Ok(body) = self.0.try_recv() {
            tokio::spawn(read_on(body, MAX_BYTES, Pace::new(PATIENCE, BYTES_PER_SECOND)));
        }
    }
}

/// Whether a body only comes if it is asked for. (HTTP/2 has no use for that.)
fn waits_to_be_asked(request: &Request) -> bool {
    request.version() < Version::HTTP_2 && request.headers().contains_key(header::EXPECT)
}

/// A body that is left to somebody else when this goes, unless its end has been read.
struct Received {
    body: Option<Body>,
    leave: Option<oneshot::Sender<Body>>,
    /// Whether it comes, or has been asked for.
    comes: bool,
}

impl Drop for Received {
    fn drop(&mut self) {
        if let (true, Some(body), Some(leave)) = (self.comes, self.body.take(), self.leave.take()) {
            // Where the answer has been given up, so has the rest.
            drop(leave.send(body));
        }
    }
}

impl HttpBody for Received {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.comes = true;
        let Some(body) = &mut self.body else {
            return Poll::Ready(None);
        };
        let polled = Pin::new(body).poll_frame(context);
        if let Poll::Ready(None | Some(Err(_))) = &polled {
            self.body = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let none = SizeHint::with_exact(0);
        self.body.as_ref().map_or(none, HttpBody::size_hint)
    }
}

/// Reads until nothing comes any more, or it comes too slowly, or more than `most` bytes have come.
async fn read_on(mut body: Body, most: u64, mut pace: Pace) {
    let mut came = 0;
    while came <= most {
        let next = poll_fn(|context| Pin::new(&mut body).poll_frame(context));
        let Ok(Some(Ok(frame))) = timeout_at(pace.until(), next).await else {
            return;
        };
        let bytes = frame.data_ref().map_or(0, |data| data.len() as u64);
        came += bytes;
        pace.earn(bytes);
    }
}

/// What still comes by a connection whose other end has been told that no more is sent to it.
pub(crate) struct Leftover {
    left: u64,
    end: Pin<Box<Sleep>>,
    stop: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Leftover {
    /// It ends at once when `stopping` is: nobody waits for a planned stop so that somebody can send what is read by nobody.
    pub(crate) fn begin(stopping: CancellationToken) -> Self {
        Self::within(MAX_BYTES, PATIENCE, stopping)
    }

    fn within(most: u64, longest: Duration, stopping: CancellationToken) -> Self {
        Self {
            left: most,
            end: Box::pin(tokio::time::sleep(longest)),
            stop: Box::pin(stopping.cancelled_owned()),
        }
    }

    /// Reads on until the other end has closed the connection too, or as much as is read was.
    pub(crate) fn poll_forget(
        &mut self,
        mut io: impl AsyncRead + Unpin,
        context: &mut Context<'_>,
    ) -> Poll<()> {
        let mut bytes = [0; PIECE];
        while self.left > 0
            && self.end.as_mut().poll(context).is_pending()
            && self.stop.as_mut().poll(context).is_pending()
        {
            let mut piece = ReadBuf::new(&mut bytes);
            let read = ready!(Pin::new(&mut io).poll_read(context, &mut piece));
            match piece.filled().len() as u64 {
                came if read.is_ok() && came > 0 => self.left = self.left.saturating_sub(came),
                _ => break,
            }
        }
        Poll::Ready(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::{StreamExt, stream};
    use std::{
        convert::Infallible,
        sync::{
            Arc,
            atomic::{AtomicU64, Ordering},
        },
    };
    use tokio::io::{AsyncWriteExt, duplex};

    /// Much longer than anything here takes.
    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn a_body_is_read_to_its_end_or_to_the_bound() {
        for (pieces, read) in [(3, 3), (10, 10), (1_000_000, 11)] {
            let given = Arc::new(AtomicU64::new(0));
            let count = Arc::clone(&given);
            let pieces = stream::iter(0..pieces).map(move |_| {
                count.fetch_add(1, Ordering::Relaxed);
                Ok::<_, Infallible>(Bytes::from_static(&[7; 100]))
            });
            read_on(Body::from_stream(pieces), 1_000, Pace::new(LONG, 1)).await;
            assert_eq!(given.load(Ordering::Relaxed), read);
        }
        let none = Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
        let slow = read_on(none, 1_000, Pace::new(Duration::from_millis(50), 1));
        tokio::time::timeout(LONG, slow).await.unwrap();
    }

    /// Whether the other end can send so much to somebody who reads no more than `most` of it.
    async fn takes(bytes: usize, most: u64) -> bool {
        let (mut near, mut far) = duplex(PIECE);
        let mut leftover = Leftover::within(most, LONG, CancellationToken::new());
        let reading = async move { poll_fn(|context| leftover.poll_forget(&mut near, context)).await };
        let sending = async move { far.write_all(&vec![7; bytes]).await.is_ok() };
        tokio::join!(reading, sending).1
    }

    #[tokio::test]
    async fn a_connection_is_read_until_its_other_end_is_done_or_as_much_or_as_long_as_is_read() {
        assert!(takes(1_000_000, 2_000_000).await);
        assert!(takes(1_000_000, 1_000_000).await);
        assert!(!takes(1_000_000, 500_000).await);
        let (mut near, _far) = duplex(PIECE);
        let mut leftover = Leftover::within(1_000, Duration::from_millis(50), CancellationToken::new());
        let reading = poll_fn(|context| leftover.poll_forget(&mut near, context));
        tokio::time::timeout(LONG, reading).await.unwrap();
    }

    #[tokio::test]
    async fn a_planned_stop_waits_for_nobody_who_goes_on_sending() {
        let stopping = CancellationToken::new();
        let (mut near, _far) = duplex(PIECE);
        let mut leftover = Leftover::within(1_000, LONG, stopping.clone());
        let reading = poll_fn(|context| leftover.poll_forget(&mut near, context));
        let both = async { tokio::join!(reading, async { stopping.cancel() }) };
        tokio::time::timeout(LONG / 2, both).await.unwrap();
    }
}
