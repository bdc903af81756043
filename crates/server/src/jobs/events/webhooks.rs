//! Another consumer: whoever asked to be told, each of whom gets a delivery of what they want.

use super::{Consumer, TelemetryLog};
use crate::{
    actions::{Service, webhooks},
    error::Result,
    telemetry::{Told, listen},
};
use futures::FutureExt as _;
use std::{slice, sync::Arc};
use store::events::Event;

/// The webhooks.
pub(crate) struct Webhooks(pub(crate) Arc<Service>);

impl Consumer for Webhooks {
    const NAME: &'static str = "webhooks";

    async fn deliver(&self, events: &[Event]) -> Result<()> {
        webhooks::add_deliveries(&self.0, events, telemetry_of(events)).await?;
        self.0.deliveries.notify();
        Ok(())
    }
}

/// What telemetry says of each event. It is asked for here rather than read in the log, which may not be there.
pub(crate) fn telemetry_of(events: &[Event]) -> Vec<Vec<Told>> {
    let of = |event: &Event| listen(|| TelemetryLog.deliver(slice::from_ref(event)).now_or_never()).1;
    events.iter().map(of).collect()
}
