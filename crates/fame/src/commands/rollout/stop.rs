//! Being asked to stop: by Ctrl-C, by whatever supervises the process, or because the time is over.

use crate::{commands::serve::stop_signal, failure::Failure};
use std::{future, time::Duration};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until, timeout},
};

/// Whether somebody has asked, and when the time is over.
#[derive(Clone)]
pub(super) struct Stop {
    asked: watch::Receiver<bool>,
    until: Option<Instant>,
}

impl Stop {
    /// Listens from now on; the process no longer ends by itself when it is asked to. Without a limit there is all the time.
    ///
    /// # Errors
    /// [`Failure::Io`] when signals cannot be listened for.
    pub(super) fn listening(limit: Option<Duration>) -> Result<Self, Failure> {
        let (tell, asked) = watch::channel(false);
        let requested = stop_signal()?;
        tokio::spawn(async move {
            requested.await;
            // Who does not listen any more has stopped.
            let _ = tell.send(true);
            future::pending::<()>().await;
        });
        Ok(Self {
            asked,
            until: limit.and_then(|limit| Instant::now().checked_add(limit)),
        })
    }

    /// Whether it is time to stop.
    pub(super) fn is_asked(&self) -> bool {
        *self.asked.borrow() || self.is_late()
    }

    /// Whether it is the time that is over.
    pub(super) fn is_late(&self) -> bool {
        self.until.is_some_and(|until| until <= Instant::now())
    }

    /// Waits so long, or until it is time to stop.
    pub(super) async fn pause(&mut self, span: Duration) {
        let late = async {
            match self.until {
                Some(until) => sleep_until(until).await,
                None => future::pending().await,
            }
        };
        let asked = self.asked.wait_for(|asked| *asked);
        tokio::select! {
            _ = timeout(span, asked) => {}
            () = late => {}
        }
    }
}
