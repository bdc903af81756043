//! Tells the other servers on the same database that there is work, and hears it from them.

use crate::actions::Service;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Passes signals on until it is told to stop. A database that belongs to one process needs none.
pub(crate) async fn run(service: Arc<Service>, stop: CancellationToken) {
    service.db.exchange_signals(&service.wakeup, &stop).await;
}
