//! When to try again, and after how long.
//!
//! Trying again must never do a thing twice: what may already have been done is only repeated where a repetition
//! changes nothing. And it must not make things worse: the service's own wish comes first, otherwise the pauses
//! grow, and they are spread so that many pipelines do not come back at the same moment.

use crate::{failure::Failure, output::Printer};
use domain::jitter;
use reqwest::StatusCode;
use std::time::Duration;

/// The longest pause; a service that asks for more is told to the user instead.
const LONGEST_PAUSE: Duration = Duration::from_secs(120);
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// The tries that are left.
#[derive(Debug)]
pub struct Tries {
    made: u32,
    allowed: u32,
    printer: Printer,
}

impl Tries {
    /// One try, and `retries` more.
    pub fn new(retries: u32, printer: Printer) -> Self {
        Self {
            made: 0,
            allowed: retries,
            printer,
        }
    }

    /// Waits before the next try; `wish` is how long the service asked for.
    ///
    /// # Errors
    /// `failure` itself, when it is time to give up.
    pub async fn pause_or(&mut self, failure: Failure, wish: Option<Duration>) -> Result<(), Failure> {
        let pause = wish.unwrap_or_else(|| spread(FIRST_PAUSE * 2_u32.pow(self.made.min(6))));
        if self.made >= self.allowed || pause > LONGEST_PAUSE {
            return Err(failure);
        }
        self.made += 1;
        let (turn, of, seconds) = (self.made, self.allowed, pause.as_secs_f32());
        let first_line = failure.to_string().lines().next().unwrap_or_default().to_owned();
        self.printer.note(format!(
            "{first_line} Trying again in {seconds:.0} s ({turn} of {of})."
        ));
        tokio::time::sleep(pause).await;
        Ok(())
    }
}

/// Whether an answer of this status says that the request was not worked on at all.
pub fn is_turned_away(status: StatusCode) -> bool {
    matches!(status.as_u16(), 429 | 503)
}

/// Whether an answer of this status leaves open what became of the request.
pub fn is_uncertain(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 500 | 502 | 504)
}

/// `span`, more or less: between four fifths and six fifths of it.
pub fn spread(span: Duration) -> Duration {
    jitter::between(span.mul_f64(0.8), span.mul_f64(1.2))
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

    #[tokio::test]
    async fn a_wish_too_long_is_not_waited_for() {
        let mut tries = Tries::new(4, Printer::new(false, true));
        let wish = Some(Duration::from_secs(3_600));
        let failure = Failure::Unavailable("busy".into());
        assert!(tries.pause_or(failure, wish).await.is_err());
    }

    #[tokio::test]
    async fn tries_come_to_an_end() {
        let mut tries = Tries::new(2, Printer::new(false, true));
        let mut pause = async || {
            let failure = Failure::Unavailable("busy".into());
            tries.pause_or(failure, Some(Duration::ZERO)).await
        };
        assert!(pause().await.is_ok());
        assert!(pause().await.is_ok());
        assert!(pause().await.is_err());
    }
}
