//! When to try again, and after how long.
//!
//! Trying again must never do a thing twice: what may already have been done is only repeated where a repetition
//! changes nothing. And it must not make things worse: what the service asks for comes first, otherwise the pauses
//! grow, and they are spread so that many pipelines do not come back at the same moment.

use crate::{
    Client,
    error::{Error, Result},
};
use domain::jitter;
use reqwest::StatusCode;
use std::{fmt, sync::Arc, time::Duration};

/// The longest pause; a service that asks for more is told to the caller instead.
const MAX_PAUSE: Duration = Duration::from_secs(120);
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// A try that failed and will be followed by another.
#[derive(Clone, Copy, Debug)]
pub struct Retry<'a> {
    /// Why it failed.
    pub error: &'a Error,
    /// How long it is until the next.
    pub pause: Duration,
    /// Which repetition the next will be, from 1.
    pub number: u32,
    /// How many there may be.
    pub allowed: u32,
}

/// How often to try again, and who hears of it.
#[derive(Clone)]
pub struct RetryPolicy {
    /// How often a request is repeated at most.
    pub retries: u32,
    /// Called before each pause.
    pub on_retry: Arc<dyn Fn(Retry<'_>) + Send + Sync>,
}

impl RetryPolicy {
    /// This many repetitions, and nobody hears of them.
    #[must_use]
    pub fn new(retries: u32) -> Self {
        Self {
            retries,
            on_retry: Arc::new(|_| ()),
        }
    }

    pub(crate) fn tries(&self) -> Tries<'_> {
        Tries {
            policy: self,
            made: 0,
        }
    }
}

impl fmt::Debug for RetryPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryPolicy")
            .field("retries", &self.retries)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Tries as it makes them, for whoever has to look before a request is sent again.
    #[must_use]
    pub fn tries(&self) -> Tries<'_> {
        self.0.settings.retry.tries()
    }
}

/// The tries of one request.
pub struct Tries<'a> {
    policy: &'a RetryPolicy,
    made: u32,
}

impl fmt::Debug for Tries<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tries")
            .field("made", &self.made)
            .finish_non_exhaustive()
    }
}

impl Tries<'_> {
    /// Waits before another try after one that ended so.
    ///
    /// # Errors
    /// `error` itself, when it is time to give up.
    pub async fn again(&mut self, error: Error) -> Result<()> {
        let asked = error.retry_after();
        self.pause_or(error, asked).await
    }

    /// Waits before the next try; `asked` is how long the service wants to be left alone.
    ///
    /// # Errors
    /// `error` itself, when it is time to give up.
    pub(crate) async fn pause_or(&mut self, error: Error, asked: Option<Duration>) -> Result<()> {
        let allowed = self.policy.retries;
        let pause = asked.unwrap_or_else(|| spread(FIRST_PAUSE * 2_u32.pow(self.made.min(6))));
        if self.made >= allowed || pause > MAX_PAUSE {
            return Err(error);
        }
        self.made += 1;
        (self.policy.on_retry)(Retry {
            error: &error,
            pause,
            number: self.made,
            allowed,
        });
        tokio::time::sleep(pause).await;
        Ok(())
    }
}

/// Whether an answer of this status says that the request was not worked on at all.
pub(crate) fn is_turned_away(status: StatusCode) -> bool {
    matches!(status.as_u16(), 429 | 503)
}

/// Whether an answer of this status leaves open what became of the request.
pub(crate) fn leaves_open(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 500 | 502 | 504)
}

/// Whether what a gateway answers with this status may pass: not where it sends on to somewhere else, or will not take
/// the request as it is.
pub(crate) fn is_passing(status: StatusCode) -> bool {
    status.is_success() || status.is_server_error() || matches!(status.as_u16(), 401 | 403 | 404 | 408 | 429)
}

/// `span`, more or less: between four fifths and six fifths of it.
#[must_use]
pub fn spread(span: Duration) -> Duration {
    jitter::between(span * 4 / 5, span * 6 / 5)
}

/// The pauses of whoever looks again and again: each half as long again as the one before, up to twelve times the first.
#[derive(Debug)]
pub struct Pauses {
    next: Duration,
    longest: Duration,
}

impl Pauses {
    /// Those that begin with `first`.
    #[must_use]
    pub fn new(first: Duration) -> Self {
        Self {
            next: first,
            longest: first * 12,
        }
    }

    /// Waits for the next, spread.
    pub async fn pass(&mut self) {
        tokio::time::sleep(spread(self.grow())).await;
    }

    /// The one that is due; the next will be longer.
    fn grow(&mut self) -> Duration {
        let due = self.next;
        self.next = (due * 3 / 2).min(self.longest);
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_are_spread_but_not_far() {
        for _ in 0..200 {
            let pause = spread(Duration::from_secs(10));
            assert!((8..=12).contains(&pause.as_secs()), "{pause:?}");
        }
    }

    #[test]
    fn pauses_grow_to_twelve_times_the_first() {
        let mut pauses = Pauses::new(Duration::from_secs(4));
        let seconds: Vec<u64> = (0..3).map(|_| pauses.grow().as_secs()).collect();
        assert_eq!(seconds, [4, 6, 9]);
        let later: Vec<u64> = (0..9).map(|_| pauses.grow().as_secs()).collect();
        assert_eq!(later[7..], [48, 48]);
    }

    #[tokio::test]
    async fn too_long_a_pause_is_not_made() {
        let policy = RetryPolicy::new(4);
        let asked = Some(Duration::from_secs(3_600));
        assert!(policy.tries().pause_or(Error::NoToken, asked).await.is_err());
    }

    #[tokio::test]
    async fn tries_come_to_an_end() {
        let policy = RetryPolicy::new(2);
        let mut tries = policy.tries();
        let mut pause = async || tries.pause_or(Error::NoToken, Some(Duration::ZERO)).await;
        assert!(pause().await.is_ok());
        assert!(pause().await.is_ok());
        assert!(pause().await.is_err());
    }
}
