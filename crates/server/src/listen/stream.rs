//! A connection whose other end has to take what it is sent, slowly, if it must, but not as good as never; and has to send
//! lines that end as they should. At its end it reads on for a while, for whoever is in the middle of sending.

use super::{TAKEN_PER_SECOND, heads::Heads};
use crate::{pace::Pace, unread::Leftover};
use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Sleep,
};
use tokio_util::sync::CancellationToken;

/// Fails once its other end is too far behind, and gives nobody a line of another kind.
pub(super) struct Watched<IO> {
    io: IO,
    heads: Heads,
    idle: Duration,
    /// While something waits to be taken.
    waiting: Option<Waiting>,
    /// Once the other end has been told that nothing more comes.
    leftover: Option<Leftover>,
    stopping: CancellationToken,
}

struct Waiting {
    pace: Pace,
    timer: Pin<Box<Sleep>>,
}

impl Waiting {
    fn begin(idle: Duration) -> Self {
        let pace = Pace::new(idle, TAKEN_PER_SECOND);
        let timer = Box::pin(tokio::time::sleep_until(pace.until()));
        Self { pace, timer }
    }

    fn poll_over(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.timer.deadline() != self.pace.until() {
            self.timer.as_mut().reset(self.pace.until());
        }
        self.timer.as_mut().poll(context)
    }
}

impl<IO> Watched<IO> {
    pub(super) fn new(io: IO, idle: Duration, stopping: CancellationToken) -> Self {
        Self {
            io,
            heads: Heads::default(),
            idle,
            waiting: None,
            leftover: None,
            stopping,
        }
    }

    fn wrote(
        &mut self,
        written: Poll<io::Result<usize>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Ok(bytes)) => {
                if let Some(waiting) = &mut self.waiting {
                    waiting.pace.earn(bytes as u64);
                }
                written
            }
            Poll::Ready(Err(_)) => written,
            Poll::Pending => {
                let idle = self.idle;
                let waiting = self.waiting.get_or_insert_with(|| Waiting::begin(idle));
                ready!(waiting.poll_over(context));
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
        }
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Watched<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let instead = self.heads.instead(buffer.remaining());
        if !instead.is_empty() {
            buffer.put_slice(instead);
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(context, buffer))?;
        let came = buffer.filled_mut().get_mut(before..).unwrap_or_default();
        self.heads.pass(came);
        Poll::Ready(Ok(()))
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Watched<IO> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(context, bytes);
        self.wrote(written, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(context, bytes);
        self.wrote(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    /// Whoever writes to a connection flushes it when they have nothing more to write.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.io).poll_flush(context))?;
        self.waiting = None;
        Poll::Ready(Ok(()))
    }

    /// Says that nothing more comes. A connection that were closed on bytes which nobody has read would end at once, and take
    /// along what was said last.
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.leftover.is_none() {
            ready!(Pin::new(&mut this.io).poll_shutdown(context))?;
            if this.heads.is_between_requests() {
                return Poll::Ready(Ok(()));
            }
        }
        let stopping = &this.stopping;
        let leftover = this
            .leftover
            .get_or_insert_with(|| Leftover::begin(stopping.clone()));
        leftover.poll_forget(&mut this.io, context).map(Ok)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        time::Instant,
    };

    const IDLE: Duration = Duration::from_secs(1);
    const LENGTH: usize = 16 << 10;

    /// How long it takes until so much of an answer is taken, or its reader is given up: `bytes` at a time, so often.
    async fn takes(bytes: usize, every: Duration) -> (io::Result<()>, Duration) {
        let begun = Instant::now();
        let (near, mut far) = tokio::io::duplex(512);
        let reader = tokio::spawn(async move {
            let mut taken = vec![0; bytes];
            while far.read_exact(&mut taken).await.is_ok() {
                tokio::time::sleep(every).await;
            }
        });
        let mut watched = Watched::new(near, IDLE, CancellationToken::new());
        let written = async {
            watched.write_all(&[7; LENGTH]).await?;
            watched.flush().await
        };
        let written = written.await;
        reader.abort();
        (written, begun.elapsed())
    }

    #[tokio::test]
    async fn whoever_takes_next_to_nothing_is_given_up() {
        for (bytes, milliseconds) in [(1, 900), (1, 10), (32, 100)] {
            let (written, _) = takes(bytes, Duration::from_millis(milliseconds)).await;
            assert_eq!(written.unwrap_err().kind(), io::ErrorKind::TimedOut);
        }
    }

    #[tokio::test]
    async fn whoever_is_slow_takes_all_of_it() {
        let (written, elapsed) = takes(512, Duration::from_millis(100)).await;
        assert!(written.is_ok() && elapsed > IDLE * 3, "{elapsed:?}");
    }

    #[tokio::test]
    async fn a_pause_of_whoever_writes_is_nobodys_fault() {
        let (near, mut far) = tokio::io::duplex(512);
        let mut watched = Watched::new(near, IDLE, CancellationToken::new());
        let mut taken = vec![0; 1024];
        for _ in 0..3 {
            let (written, read) = tokio::join!(watched.write_all(&[7; 1024]), far.read_exact(&mut taken));
            written.and(read.map(drop)).unwrap();
            watched.flush().await.unwrap();
            tokio::time::sleep(IDLE * 2).await;
        }
    }
}
