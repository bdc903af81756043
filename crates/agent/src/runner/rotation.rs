//! The agent's token: replaced by itself long before it ends.

use super::{Pauses, Shared};
use crate::folder::KeptToken;
use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

/// How long before its end a token is replaced at the latest.
const BEFORE_END: Duration = Duration::from_secs(24 * 3_600);
/// How long to leave a folder alone that cannot be written.
const FOLDER_PAUSE: Duration = Duration::from_secs(3_600);

/// Replaces the token from time to time, until the agent stops.
pub(super) async fn run(agent: Arc<Shared>, mut kept: KeptToken) {
    loop {
        let due = kept.given_on + agent.config.spans.rotate_token_every;
        let last = kept.expires_on - BEFORE_END;
        let next = due.min(last).max(agent.clock.now());
        tokio::select! {
            () = agent.stopping.cancelled() => return,
            () = agent.clock.reach(next) => {}
        }
        tokio::select! {
            () = agent.stopping.cancelled() => return,
            new = rotate(&agent) => kept = new,
        }
    }
}

/// A new token, in use and kept. The one before is good for ten more minutes, so an answer that was lost is asked for again
/// at once.
async fn rotate(agent: &Shared) -> KeptToken {
    let mut pauses = Pauses::default();
    let kept = loop {
        // Whoever cannot keep the new one had better not ask for it.
        if !agent.journal.is_writable().await {
            agent.clock.pause(FOLDER_PAUSE).await;
            continue;
        }
        match agent.caller.now().rotate_agent_token().await {
            Ok(given) => break KeptToken::new(given, agent.clock.now()),
            Err(error) => pauses.pause_after(agent, &error).await,
        }
    };
    keep(agent, &kept).await;
    kept
}

async fn keep(agent: &Shared, kept: &KeptToken) {
    // Kept before it is used: from then on the former one means that somebody copied it.
    while let Err(error) = agent.folder.keep_token(kept) {
        tracing::error!("the agent's new token cannot be kept: {error}");
        agent.clock.pause(Duration::from_secs(10)).await;
    }
    agent
        .status
        .token_expires_on
        .store(kept.expires_on.0, Ordering::Relaxed);
    if let Err(error) = agent.sign_in_with(&kept.token) {
        tracing::error!("the agent's new token cannot be used: {error}");
        return;
    }
    tracing::info!(expires_on = %kept.expires_on, "the agent's token was replaced");
}
