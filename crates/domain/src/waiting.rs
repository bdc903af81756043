//! What keeps an operation from beginning, and when it is expected to.
//!
//! Whoever asked for it is told the one thing that has to happen first; what only somebody else can do comes before what
//! time does by itself.

use crate::{freeze::FrozenSpan, instant::Instant, vocabulary::vocabulary, window::UpdateWindow};

vocabulary! {
    /// What an operation waits for.
    WaitingFor {
        /// The instant from which on it was asked to run.
        RunAfter,
        /// The environment's update window.
        Window,
        /// The end of what runs in the environment.
        Slot,
        /// Its environment, in which nothing starts: how an operation ended there is unknown, or it is missing or disputed.
        Held,
        /// The end of a freeze.
        Freeze,
        /// An agent to carry it out: none that is there and works has the environment.
        Agent,
    }
}

/// As much of an operation and its environment as says when it can begin.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances<'a> {
    /// Before when it may not start.
    pub run_after: Instant,
    /// When operations may start in the environment, where it waits for that.
    pub window: Option<&'a UpdateWindow>,
    /// Whether nothing starts in the environment, whatever waits there.
    pub is_held: bool,
    /// Whether the operator has stopped it.
    pub is_frozen: bool,
    /// When nothing of its app starts there, as the app's owners say.
    pub frozen_spans: &'a [FrozenSpan],
    /// Whether an agent that works has the environment.
    pub has_agent: bool,
    /// Whether another operation runs there.
    pub is_occupied: bool,
}

/// When an operation is expected to begin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wait {
    /// The first instant at which it can; nobody knows where somebody has to do something before.
    pub expected_start: Option<Instant>,
    /// What has to happen first; nothing where it can begin now.
    pub waiting_for: Option<WaitingFor>,
}

impl Circumstances<'_> {
    /// What follows for the operation.
    #[must_use]
    pub fn wait(&self, now: Instant) -> Wait {
        let unfrozen = self.in_window(self.run_after.max(now));
        let start = self.outside_of_freezes(unfrozen);
        let in_the_way = [
            (self.is_held, WaitingFor::Held),
            (self.is_frozen, WaitingFor::Freeze),
            (!self.has_agent, WaitingFor::Agent),
            (self.is_occupied && start <= now, WaitingFor::Slot),
        ];
        let in_the_way = in_the_way.into_iter().find(|(is_so, _)| *is_so);
        if let Some((_, waiting_for)) = in_the_way {
            return Wait {
                expected_start: None,
                waiting_for: Some(waiting_for),
            };
        }
        let until = match self.run_after > now {
            _ if start > unfrozen => WaitingFor::Freeze,
            true => WaitingFor::RunAfter,
            false => WaitingFor::Window,
        };
        Wait {
            expected_start: Some(start),
            waiting_for: (start > now).then_some(until),
        }
    }

    /// The first instant from `earliest` on at which its window lets it start.
    fn in_window(&self, earliest: Instant) -> Instant {
        self.window.map_or(earliest, |window| window.next_start(earliest))
    }

    /// The same from a start on that freezes may be in the way of: the next window behind them counts.
    fn outside_of_freezes(&self, mut start: Instant) -> Instant {
        while let Some(span) = self.frozen_spans.iter().find(|span| span.covers(start)) {
            start = self.in_window(span.ends_on);
        }
        start
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: &str = "2026-11-26T12:00:00Z";
    const EVENING: &str = "2026-11-26T20:00:00Z";

    fn at(text: &str) -> Instant {
        text.parse().unwrap()
    }

    fn ready() -> Circumstances<'static> {
        Circumstances {
            run_after: at(NOON),
            window: None,
            is_held: false,
            is_frozen: false,
            frozen_spans: &[],
            has_agent: true,
            is_occupied: false,
        }
    }

    fn told(circumstances: Circumstances<'_>) -> (Option<Instant>, Option<WaitingFor>) {
        let wait = circumstances.wait(at(NOON));
        (wait.expected_start, wait.waiting_for)
    }

    #[test]
    fn what_can_begin_waits_for_nothing() {
        assert_eq!(told(ready()), (Some(at(NOON)), None));
    }

    #[test]
    fn time_says_when() {
        let window = UpdateWindow::new("20:00", "06:00", "UTC").unwrap();
        let in_window = Circumstances {
            window: Some(&window),
            ..ready()
        };
        assert_eq!(told(in_window), (Some(at(EVENING)), Some(WaitingFor::Window)));
        let tomorrow = at("2026-11-27T12:00:00Z");
        let later = Circumstances {
            run_after: tomorrow,
            ..ready()
        };
        assert_eq!(told(later), (Some(tomorrow), Some(WaitingFor::RunAfter)));
        let both = Circumstances {
            window: Some(&window),
            ..later
        };
        let evening_after = at("2026-11-27T20:00:00Z");
        assert_eq!(told(both), (Some(evening_after), Some(WaitingFor::RunAfter)));
    }

    fn span(begins_on: &str, ends_on: &str) -> FrozenSpan {
        FrozenSpan {
            begins_on: at(begins_on),
            ends_on: at(ends_on),
        }
    }

    #[test]
    fn a_freeze_ends_when_it_says_and_the_next_window_counts() {
        let until_two = [span("2026-11-26T00:00:00Z", "2026-11-26T14:00:00Z")];
        let frozen = Circumstances {
            frozen_spans: &until_two,
            ..ready()
        };
        let two = at("2026-11-26T14:00:00Z");
        assert_eq!(told(frozen), (Some(two), Some(WaitingFor::Freeze)));
        // Its window opens later anyway.
        let window = UpdateWindow::new("20:00", "06:00", "UTC").unwrap();
        let in_window = Circumstances {
            window: Some(&window),
            ..frozen
        };
        assert_eq!(told(in_window), (Some(at(EVENING)), Some(WaitingFor::Window)));
        // One that begins in the window, and another that touches it.
        let nights = [
            span("2026-11-26T22:00:00Z", "2026-11-28T08:00:00Z"),
            span("2026-11-26T19:00:00Z", "2026-11-26T22:00:00Z"),
        ];
        let through_the_night = Circumstances {
            frozen_spans: &nights,
            ..in_window
        };
        let after = at("2026-11-28T20:00:00Z");
        assert_eq!(told(through_the_night), (Some(after), Some(WaitingFor::Freeze)));
        // One that is over, and one that begins when it has started.
        let elsewhere = [
            span("2026-11-25T00:00:00Z", NOON),
            span("2026-11-26T12:00:01Z", EVENING),
        ];
        let unhindered = Circumstances {
            frozen_spans: &elsewhere,
            ..ready()
        };
        assert_eq!(told(unhindered), (Some(at(NOON)), None));
    }

    #[test]
    fn what_somebody_has_to_do_has_no_time_and_comes_first() {
        let all = Circumstances {
            is_held: true,
            is_frozen: true,
            has_agent: false,
            is_occupied: true,
            ..ready()
        };
        assert_eq!(told(all), (None, Some(WaitingFor::Held)));
        let not_held = Circumstances {
            is_held: false,
            ..all
        };
        assert_eq!(told(not_held), (None, Some(WaitingFor::Freeze)));
        let not_frozen = Circumstances {
            is_frozen: false,
            ..not_held
        };
        assert_eq!(told(not_frozen), (None, Some(WaitingFor::Agent)));
        let with_agent = Circumstances {
            has_agent: true,
            ..not_frozen
        };
        assert_eq!(told(with_agent), (None, Some(WaitingFor::Slot)));
        let window = UpdateWindow::new("20:00", "06:00", "UTC").unwrap();
        let in_the_evening = Circumstances {
            window: Some(&window),
            ..with_agent
        };
        assert_eq!(
            told(in_the_evening),
            (Some(at(EVENING)), Some(WaitingFor::Window))
        );
    }
}
