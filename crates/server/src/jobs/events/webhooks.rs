//! Another consumer: whoever asked to be told, each of whom gets a delivery of what they want.

use super::Consumer;
use crate::{
    actions::{Service, webhooks},
    error::Result,
};
use std::sync::Arc;
use store::events::Event;

/// The webhooks.
pub(crate) struct Webhooks(pub(crate) Arc<Service>);

impl Consumer for Webhooks {
    const NAME: &'static str = "webhooks";

    async fn deliver(&self, events: &[Event]) -> Result<()> {
        webhooks::deliveries_of(&self.0, events).await?;
        self.0.deliveries.notify();
        Ok(())
    }
}
