//! That there may be work: told to whoever waits for it in this process, and passed on to the other servers.
//!
//! A signal makes the executor quick, it does not make it right: it also looks from time to time by itself. So a
//! signal may be lost, may come twice, and several in a row may become one.

use tokio::sync::Notify;

/// The signal, in both directions.
#[derive(Default)]
pub(crate) struct Work {
    here: Notify,
    elsewhere: Notify,
}

impl Work {
    /// This server made work, for itself or for any other.
    pub(crate) fn notify_one(&self) {
        self.here.notify_one();
        self.elsewhere.notify_one();
    }

    /// Another server made work.
    pub(crate) fn heard(&self) {
        self.here.notify_one();
    }

    /// Waits until there may be work, or there may have been since this was last waited for. For one listener.
    pub(crate) async fn notified(&self) {
        self.here.notified().await;
    }

    /// Waits until the others are to be told. For one listener.
    pub(crate) async fn to_be_told(&self) {
        self.elsewhere.notified().await;
    }
}
