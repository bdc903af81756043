//! Signals to the other servers on the same database that there is work, and receives their signals.

use crate::actions::Service;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Passes signals on until it is asked to stop. A database that belongs to one process needs none.
pub(crate) async fn run(service: Arc<Service>, stop: CancellationToken) {
    service.db.exchange_signals(&service.wakeup, &stop).await;
}
