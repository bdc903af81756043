//! What keeps an operation from beginning, and when it is expected to.
//!
//! Whoever asked for it is told the one thing that has to happen first; what only somebody else can do comes before what
//! time does by itself.

use crate::{instant::Instant, vocabulary::vocabulary, window::UpdateWindow};

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
        let earliest = self.run_after.max(now);
        let start = self.window.map_or(earliest, |window| window.next_start(earliest));
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
            true => WaitingFor::RunAfter,
            false => WaitingFor::Window,
        };
        Wait {
            expected_start: Some(start),
            waiting_for: (start > now).then_some(until),
        }
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
