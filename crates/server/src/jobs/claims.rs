//! Looks for work on behalf of all claims that wait on this server, and wakes those for which there is some.
//!
//! However many wait, a look is one statement. It is made when a signal says that there may be work, when the next of what
//! is known becomes due, and from time to time; not when another claim comes to wait, which has just looked by itself.

use super::failure_reporter::FailureReporter;
use crate::{
    actions::{Service, execution},
    error::Result,
};
use domain::instant::Instant;
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// How long to rest at least between two looks; signals that come meanwhile are answered by the second.
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

/// How long to rest at least.
const SHORTEST_REST: Duration = Duration::from_millis(5);
/// How long to rest at most where something is due and was not taken on: nobody of those who wait may be quick.
const LONGEST_OVERDUE_REST: Duration = Duration::from_secs(1);

/// Looks until it is asked to stop; then nobody waits any more.
pub(crate) async fn run(service: Arc<Service>, stop: CancellationToken) {
    stop.run_until_cancelled(look_again_and_again(&service)).await;
    service.waiting.close();
}

async fn look_again_and_again(service: &Service) {
    let mut failures = FailureReporter::of("claims");
    let mut wakeup = service.wakeup.listener();
    let mut moved = service.clock.listener();
    let mut rests = Rests::new(service.settings.executor.poll);
    loop {
        while service.waiting.agents().is_empty() {
            service.waiting.entered().await;
        }
        let looked = look(service).await;
        failures.after(&looked);
        let due = looked.unwrap_or_default();
        sleep(BETWEEN_LOOKS).await;
        tokio::select! {
            () = wakeup.notified() => {}
            () = moved.notified() => {}
            () = until_due(service, &due, &mut rests) => {}
        }
    }
}

/// Wakes the claims of agents for which something is due; when something will be for the others.
async fn look(service: &Service) -> Result<HashMap<Uuid, Instant>> {
    let due = execution::due_of_agents(service).await?;
    let now = service.clock.now();
    let is_due = due.iter().filter(|(_, due)| **due <= now);
    service.waiting.wake(is_due.map(|(agent, _)| *agent));
    Ok(due)
}

/// Rests until something is due for an agent whose claim waits, or it is time to look anyway.
async fn until_due(service: &Service, due: &HashMap<Uuid, Instant>, rests: &mut Rests) {
    let ends = tokio::time::Instant::now() + service.settings.executor.poll;
    loop {
        let waiting = service.waiting.agents();
        let next = waiting.iter().filter_map(|agent| due.get(agent)).min();
        let rest = rests.until(next.copied(), service.clock.now());
        let until = ends.min(tokio::time::Instant::now() + rest);
        tokio::select! {
            () = tokio::time::sleep_until(until) => return,
            () = service.waiting.entered() => {}
        }
    }
}

/// How long to rest between two looks.
struct Rests {
    /// Where nothing is known to come.
    poll: Duration,
    /// Where something has been due already when this looked, and could not be taken on: longer each time.
    overdue: Duration,
}

impl Rests {
    fn new(poll: Duration) -> Self {
        Self {
            poll,
            overdue: SHORTEST_REST,
        }
    }

    /// The rest until `next`, at which there is something to do.
    fn until(&mut self, next: Option<Instant>, now: Instant) -> Duration {
        match next {
            Some(next) if next <= now => {
                let rest = self.overdue.min(self.poll);
                self.overdue = (rest * 2).min(LONGEST_OVERDUE_REST);
                rest
            }
            next => {
                self.overdue = SHORTEST_REST;
                next.map_or(self.poll, |next| next.since(now).clamp(SHORTEST_REST, self.poll))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::instant::TICKS_PER_SECOND;

    const NOW: Instant = Instant(1_000 * TICKS_PER_SECOND);
    const POLL: Duration = Duration::from_secs(5);

    #[test]
    fn what_is_due_and_cannot_be_taken_is_looked_at_less_and_less() {
        let mut rests = Rests::new(POLL);
        let in_ten_seconds: Vec<_> = std::iter::repeat_with(|| rests.until(Some(NOW), NOW))
            .scan(Duration::ZERO, |passed, rest| {
                *passed += rest;
                Some(*passed)
            })
            .take_while(|passed| *passed < Duration::from_secs(10))
            .collect();
        assert!(in_ten_seconds.len() < 20, "{in_ten_seconds:?}");
        assert_eq!(rests.until(Some(NOW), NOW), LONGEST_OVERDUE_REST);
    }

    #[test]
    fn what_comes_later_is_waited_for_and_begins_anew() {
        let mut rests = Rests::new(POLL);
        for _ in 0..20 {
            rests.until(Some(NOW), NOW);
        }
        assert_eq!(
            rests.until(Some(NOW + Duration::from_secs(2)), NOW),
            Duration::from_secs(2)
        );
        assert_eq!(rests.until(Some(NOW), NOW), SHORTEST_REST);
        assert_eq!(rests.until(Some(NOW + Duration::from_secs(60)), NOW), POLL);
        assert_eq!(rests.until(None, NOW), POLL);
    }
}
