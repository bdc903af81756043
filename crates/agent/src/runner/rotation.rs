//! The agent's token: replaced by itself long before it ends.

use super::{Pauses, Shared};
use crate::folder::KeptToken;
use domain::instant::Instant;
use std::{sync::Arc, time::Duration};

/// How long before its end a token is replaced at the latest, where it lives for long.
const BEFORE_END: Duration = Duration::from_secs(24 * 3_600);
/// How old each token becomes at least: an end that has passed already, by whoever's mistake, is no reason to ask at once.
const SHORTEST: Duration = Duration::from_secs(60);
/// How long to leave a folder alone that cannot be written.
const FOLDER_PAUSE: Duration = Duration::from_secs(3_600);

/// Replaces the token from time to time, until the agent stops.
pub(super) async fn run(agent: Arc<Shared>, mut kept: KeptToken) {
    loop {
        let next = next(&kept, agent.config.spans.rotate_token_every, agent.clock.now());
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

/// When a token is replaced at the latest: a third of its life before its end, and no more than a day.
pub(super) fn latest(kept: &KeptToken) -> Instant {
    let life = kept.expires_on.since(kept.given_on);
    kept.expires_on - BEFORE_END.min(life / 3)
}

/// When a token that should not grow older than `every` is replaced.
fn next(kept: &KeptToken, every: Duration, now: Instant) -> Instant {
    // A clock that was set back does not make it wait any longer.
    let given_on = kept.given_on.min(now);
    (given_on + every).min(latest(kept)).max(given_on + SHORTEST)
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
    agent.status.token(kept.expires_on, latest(kept));
    if let Err(error) = agent.sign_in_with(&kept.token) {
        tracing::error!("the agent's new token cannot be used: {error}");
        return;
    }
    tracing::info!(expires_on = %kept.expires_on, "the agent's token was replaced");
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Instant = Instant(17_672_688_000_000_000);
    const DAY: Duration = Duration::from_secs(24 * 3_600);
    const MINUTE: Duration = Duration::from_secs(60);

    /// When a token is replaced that was given at noon, and lives that long.
    fn replaced(life: Duration, now: Instant) -> Instant {
        let kept = KeptToken {
            name: "north".into(),
            token: "the-token".into(),
            given_on: NOON,
            expires_on: NOON + life,
        };
        next(&kept, 30 * DAY, now)
    }

    #[test]
    fn a_token_is_replaced_in_time_however_long_it_lives() {
        for (life, after) in [(90 * DAY, 30 * DAY), (30 * DAY, 29 * DAY), (DAY, DAY / 3 * 2)] {
            assert_eq!(replaced(life, NOON), NOON + after, "{life:?}");
        }
    }

    #[test]
    fn no_token_is_replaced_within_a_minute_whatever_its_end() {
        for life in [Duration::ZERO, MINUTE / 6] {
            assert_eq!(replaced(life, NOON), NOON + MINUTE, "{life:?}");
            assert_eq!(
                replaced(life, NOON + MINUTE / 2),
                NOON + MINUTE,
                "after another start"
            );
        }
        // It ended before it was given.
        let kept = KeptToken {
            name: "north".into(),
            token: "the-token".into(),
            given_on: NOON,
            expires_on: Instant(0),
        };
        assert_eq!(next(&kept, DAY, NOON), NOON + MINUTE);
    }

    #[test]
    fn a_clock_that_was_set_back_does_not_keep_a_token_for_longer() {
        let now = NOON - 365 * DAY;
        assert_eq!(replaced(90 * DAY, now), now + 30 * DAY);
    }
}
