//! How long to leave the service alone after it could not, or would not, answer.

use super::Shared;
use client::{Error, spread};
use std::time::Duration;

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);

/// Pauses that grow.
#[derive(Default)]
pub(super) struct Pauses {
    made: u32,
}

impl Pauses {
    /// Logs what was in the way, and waits.
    pub(super) async fn pause_after(&mut self, agent: &Shared, error: &Error) {
        self.pause(agent, &agent.told_of(error)).await;
    }

    /// The same of something that the service would answer anew at once.
    pub(super) async fn pause(&mut self, agent: &Shared, text: &str) {
        let pause = spread((FIRST * 2_u32.pow(self.made.min(6))).min(LONGEST));
        self.made += 1;
        tracing::warn!(again_in = pause.as_secs(), "{text}");
        agent.clock.pause(pause).await;
    }
}
