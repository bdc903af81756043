//! That there may be work: signalled to everybody who waits for it in this process, and passed on to the other servers.
//!
//! A wake-up makes a job quick, it does not make it right: each also looks from time to time by itself. So a wake-up may
//! be lost, may come twice, and several in a row may become one.

use tokio::sync::{Notify, watch};

/// The signal, in both directions.
pub struct Wakeup {
    here: watch::Sender<()>,
    elsewhere: Notify,
}

impl Default for Wakeup {
    fn default() -> Self {
        Self {
            here: watch::Sender::new(()),
            elsewhere: Notify::new(),
        }
    }
}

impl Wakeup {
    /// This server made work, for itself or for any other.
    pub fn notify(&self) {
        self.notify_here();
        self.elsewhere.notify_one();
    }

    /// Another server made work.
    pub fn notify_here(&self) {
        self.here.send_replace(());
    }

    /// Somebody who waits for work from now on; each hears of all of it.
    #[must_use]
    pub fn listener(&self) -> Listener {
        Listener(self.here.subscribe())
    }

    /// Waits until the other servers are to be notified. For one waiter.
    pub async fn to_pass_on(&self) {
        self.elsewhere.notified().await;
    }
}

/// Somebody who waits for work.
pub struct Listener(watch::Receiver<()>);

impl Listener {
    /// Waits until there may be work, or there may have been since this listener last waited. For ever, once the
    /// [`Wakeup`] is gone.
    pub async fn notified(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending().await
        }
    }
}
