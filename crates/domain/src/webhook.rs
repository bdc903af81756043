//! Telling others what happened: which events there are, how they are written, and how often a delivery is tried.

use crate::{instant::Instant, jitter, vocabulary::vocabulary};
use std::time::Duration;

vocabulary! {
    /// How an event is written for whoever is told of it.
    WebhookFormat {
        /// A JSON object with `type`, `timestamp` and `data`.
        StandardWebhooks,
        /// A CloudEvent of version 1.0, structured.
        CloudEvents,
        /// What Business Central itself sends to Azure Application Insights.
        ApplicationInsights,
        /// The same as log records of OTLP.
        OpenTelemetry,
    }
}

vocabulary! {
    /// How far a delivery has come.
    DeliveryStatus {
        /// It will be tried, or tried again.
        Waiting,
        /// Whoever was told has taken it.
        Delivered,
        /// It was tried as often as it is; it can be sent anew.
        Failed,
    }
}

vocabulary! {
    /// How an attempt to deliver went.
    AttemptResult {
        /// It was taken.
        Accepted,
        /// The name stands for nothing, or for an address to which nothing is sent.
        RefusedAddress,
        /// Nobody listens there.
        Connect,
        /// The other side could not prove who it is.
        Tls,
        /// No answer in time.
        Timeout,
        /// An answer that says no.
        Status,
    }
}

vocabulary! {
    /// Why a webhook gets nothing.
    DisabledReason {
        /// Somebody who may said so.
        Asked,
        /// It answered that it is gone.
        Gone,
        /// Nothing could be delivered for as long as it is tried.
        Failing,
    }
}

impl WebhookFormat {
    /// Whether it is for telemetry, which is not signed and tells of less.
    #[must_use]
    pub fn is_telemetry(self) -> bool {
        matches!(self, Self::ApplicationInsights | Self::OpenTelemetry)
    }
}

/// What an event that tests a webhook is called.
pub const TEST: &str = "webhook.test";
/// What the event is called that tells of a webhook at a host at which there was none.
pub const NEW_HOST: &str = "webhook.newHost";
/// What the event is called that tells of a webhook that gets nothing any more.
pub const DISABLED: &str = "webhook.disabled";

/// What the event is called that tells of a publisher that may more than before, or whose ids were confirmed.
pub const PUBLISHER_WIDENED: &str = "publisher.widened";
/// What the event is called that tells of a publisher whose ids are those of its first run from now on.
pub const PUBLISHER_LOCKED: &str = "publisher.locked";
/// What the event is called that tells of a run's token that was found where it does not belong, and has ended.
pub const PUBLISHER_TOKEN_LEAKED: &str = "publisher.tokenLeaked";
/// What the event is called that tells of a pipeline's token with which somebody came again: at most once an hour of each
/// publisher.
pub const PUBLISHER_TOKEN_REUSED: &str = "publisher.tokenReused";

/// What the event is called that tells of a version that was uploaded.
pub const VERSION_UPLOADED: &str = "version.uploaded";
/// What the event is called that tells to whom a version is offered from now on.
pub const VERSION_OFFERED: &str = "version.offered";
/// What the event is called that tells of a version of which its publisher says something else.
pub const VERSION_CHANGED: &str = "version.changed";
/// What the event is called that tells of somebody who has a role on an app from now on.
pub const PRINCIPAL_ADDED: &str = "principal.added";
/// What the event is called that tells of somebody who has other roles on an app.
pub const PRINCIPAL_CHANGED: &str = "principal.changed";
/// What the event is called that tells of somebody who has no role on an app any more.
pub const PRINCIPAL_REMOVED: &str = "principal.removed";

/// Events that belong to an app: its owners can have themselves told of them.
pub const APP_EVENTS: &[&str] = &[
    "hotfix.scheduled",
    "hotfix.postponed",
    "hotfix.canceled",
    "hotfix.started",
    "hotfix.succeeded",
    "hotfix.failed",
    "hotfix.skipped",
    "install.scheduled",
    "install.canceled",
    "install.started",
    "install.succeeded",
    "install.failed",
    "install.skipped",
    "update.scheduled",
    "update.canceled",
    "update.started",
    "update.succeeded",
    "update.failed",
    "update.skipped",
    "uninstall.scheduled",
    "uninstall.canceled",
    "uninstall.started",
    "uninstall.succeeded",
    "uninstall.failed",
    "uninstall.skipped",
    "environment.drift",
    VERSION_UPLOADED,
    VERSION_OFFERED,
    VERSION_CHANGED,
    PRINCIPAL_ADDED,
    PRINCIPAL_CHANGED,
    PRINCIPAL_REMOVED,
    "rollout.created",
    "rollout.approved",
    "rollout.rejected",
    "rollout.paused",
    "rollout.resumed",
    "rollout.advanced",
    "rollout.retried",
    "rollout.aborted",
    "rollout.waveBegan",
    "rollout.awaitsGate",
    "rollout.awaitsApproval",
    "rollout.completed",
    PUBLISHER_WIDENED,
    PUBLISHER_LOCKED,
    PUBLISHER_TOKEN_LEAKED,
    PUBLISHER_TOKEN_REUSED,
    NEW_HOST,
    DISABLED,
];

/// Events that only operators are told of besides.
pub const SERVICE_EVENTS: &[&str] = &[
    "environment.boundElsewhere",
    "environment.windowModified",
    "agent.enrolled",
    "agent.frozen",
    "agent.unrecorded",
];

/// Whether an event is of a type that was asked for: by its name, or by what it begins with (`hotfix.*`). Whoever asked for
/// none gets all. What tells of webhooks themselves reaches everybody, so that nobody listens unheard.
#[must_use]
pub fn is_wanted<'p>(kind: &str, mut patterns: impl Iterator<Item = &'p str>) -> bool {
    let first = patterns.next();
    let matches = |pattern: &str| match pattern.strip_suffix('*') {
        Some(beginning) => kind.starts_with(beginning),
        None => kind == pattern,
    };
    first.is_none_or(|first| kind.starts_with("webhook.") || matches(first) || patterns.any(matches))
}

/// Whether a pattern can mean any event.
#[must_use]
pub fn means_something(pattern: &str, is_of_app: bool) -> bool {
    let others: &[&str] = if is_of_app { &[] } else { SERVICE_EVENTS };
    !pattern.is_empty()
        && APP_EVENTS
            .iter()
            .chain(others)
            .any(|kind| match pattern.strip_suffix('*') {
                Some(beginning) => beginning.ends_with('.') && kind.starts_with(beginning),
                None => *kind == pattern,
            })
}

/// How long after each attempt in vain the next one comes; after the last there is none. Nearly four days in all, so that a
/// weekend loses nothing.
const PAUSES: [Duration; 9] = [
    Duration::from_secs(5),
    Duration::from_mins(5),
    Duration::from_mins(30),
    Duration::from_hours(2),
    Duration::from_hours(5),
    Duration::from_hours(10),
    Duration::from_hours(14),
    Duration::from_hours(20),
    Duration::from_hours(24),
];

/// The longest that whoever was told may put off the next attempt.
const LONGEST_ASKED: Duration = Duration::from_hours(24);

/// When to try again after so many attempts in vain, the last of which was at `now`; none after the last. Whoever was told
/// may have asked for a pause, which is kept to.
#[must_use]
pub fn next_attempt(attempts: u32, now: Instant, asked: Option<Duration>) -> Option<Instant> {
    let index = usize::try_from(attempts).unwrap_or(usize::MAX).checked_sub(1)?;
    let pause = *PAUSES.get(index)?;
    let pause = jitter::between(pause, pause + pause / 5);
    let asked = asked.unwrap_or_default().min(LONGEST_ASKED);
    Some(now + pause.max(asked))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_is_tried_for_about_three_days_and_a_half() {
        let now = Instant(0);
        let mut at = now;
        let mut attempts = 1;
        while let Some(next) = next_attempt(attempts, at, None) {
            assert!(next > at);
            (at, attempts) = (next, attempts + 1);
        }
        assert_eq!(attempts, 10);
        let hours = at.since(now).as_secs() / 3_600;
        assert!((75..=91).contains(&hours), "{hours}");
    }

    #[test]
    fn a_pause_that_was_asked_for_is_kept_within_reason() {
        let now = Instant(0);
        let next = |asked| next_attempt(1, now, Some(asked)).unwrap().since(now);
        assert_eq!(next(Duration::from_mins(10)), Duration::from_mins(10));
        assert_eq!(next(Duration::from_hours(1_000)), LONGEST_ASKED);
        assert!(next(Duration::ZERO) >= Duration::from_secs(5));
    }

    #[test]
    fn a_filter_leaves_what_it_names_and_word_of_webhooks() {
        let wanted = |kind: &str, patterns: &[&str]| is_wanted(kind, patterns.iter().copied());
        assert!(wanted("hotfix.failed", &[]));
        assert!(wanted("hotfix.failed", &["hotfix.*"]));
        assert!(wanted("hotfix.failed", &["agent.frozen", "hotfix.failed"]));
        assert!(!wanted("hotfix.started", &["hotfix.failed"]));
        assert!(!wanted("hotfix.failed", &["agent.*"]));
        assert!(wanted(NEW_HOST, &["hotfix.failed"]));
    }

    #[test]
    fn a_pattern_has_to_mean_something() {
        for pattern in ["hotfix.*", "hotfix.failed", "webhook.*"] {
            assert!(means_something(pattern, true), "{pattern}");
        }
        for pattern in [
            "",
            "*",
            "hotfix*",
            "hotfix.fail*",
            "hotfix.failled",
            "Hotfix.failed",
            "agent.*",
        ] {
            assert!(!means_something(pattern, true), "{pattern}");
        }
        assert!(means_something("agent.*", false));
    }
}
