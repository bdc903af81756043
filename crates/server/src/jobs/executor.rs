//! The round of the service's own executor: report what is done, keep what is not, take on what is due.
//!
//! One round runs to its end before the next begins, whoever asks for it: the job itself, or somebody who moved the
//! clock and wants to see what came of it.
//!
//! A planned stop must not leave operations of which nobody knows how they ended. So an executor that is to stop takes
//! nothing on any more, and goes on until all that it carries is reported.

use super::failure_reporter::FailureReporter;
use crate::{
    actions::{
        Service,
        execution::{self, ClaimsInDoubt, Report},
    },
    error::Result,
    executor::{Executor, Progress},
};
use domain::{chain::Chain, ids::OperationId, instant::Instant};
use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use store::execution::Lease;
use tokio::sync::{Mutex, Notify};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Rounds in a row that may each find more to do; a guard against turning for ever.
const ROUNDS: usize = 10_000;

/// How long to rest at least.
const SHORTEST_REST: Duration = Duration::from_millis(5);
/// How long to rest at most where something is due and cannot be taken on: somebody else is at it.
const LONGEST_OVERDUE_REST: Duration = Duration::from_secs(1);

/// What drives the executor of this process.
pub(crate) struct ExecutorJob {
    service: Arc<Service>,
    at_work: Mutex<AtWork>,
    /// Whether nothing more is taken on.
    drains: AtomicBool,
    /// Told when there is nothing left that a drain waits for.
    drained: Notify,
}

/// The executor and what it is at.
struct AtWork {
    executor: Box<dyn Executor>,
    /// What it carries out, each by its lease.
    held: HashMap<OperationId, Lease>,
    in_doubt: ClaimsInDoubt,
}

impl AtWork {
    /// Whether there is nothing that somebody may wait for.
    fn is_through(&self) -> bool {
        self.held.is_empty() && self.in_doubt.is_empty()
    }

    /// How far each operation has come.
    fn poll(&mut self, now: Instant) -> Vec<(OperationId, Lease, Progress)> {
        let Self { executor, held, .. } = self;
        let poll = |(id, lease): (&OperationId, &Lease)| (*id, *lease, executor.poll(*id, now));
        held.iter().map(poll).collect()
    }

    /// What there is to report. Of what is silent for good nobody waits for a report.
    fn done(&mut self, now: Instant) -> Vec<Report> {
        let mut reports = Vec::new();
        for (id, lease, progress) in self.poll(now) {
            match progress {
                Progress::Ended(outcome) => reports.push(Report {
                    id,
                    lease_id: lease.id,
                    outcome,
                }),
                Progress::Silent(until) if until <= now => self.let_go(id),
                Progress::Silent(_) | Progress::GoesOn(_) => {}
            }
        }
        reports
    }

    /// The leases of which at least half is over, when a new one lasts `lease`. What is done is not renewed: it is
    /// reported, or, if that can never be, given up like any other.
    fn old_leases(&mut self, now: Instant, lease: Duration) -> Vec<(OperationId, Uuid)> {
        let mut old = self.poll(now);
        old.retain(|(_, held, progress)| {
            matches!(progress, Progress::GoesOn(_)) && renewed_on(*held, lease) <= now
        });
        old.into_iter().map(|(id, held, _)| (id, held.id)).collect()
    }

    /// Whether the lease of this work has run out, so that another report of it would be of no use.
    fn has_lost_lease(&self, id: OperationId, now: Instant) -> bool {
        self.held.get(&id).is_none_or(|lease| lease.until < now)
    }

    fn let_go(&mut self, id: OperationId) {
        self.held.remove(&id);
        self.executor.stop(id);
    }

    /// When the next report or renewal is due.
    fn next_step(&mut self, now: Instant, lease: Duration) -> Option<Instant> {
        let step = |(_, held, progress): (OperationId, Lease, Progress)| match progress {
            Progress::Ended(_) => now,
            Progress::Silent(until) => until,
            Progress::GoesOn(until) => {
                let renewed = renewed_on(held, lease);
                until.map_or(renewed, |until| until.min(renewed))
            }
        };
        self.poll(now).into_iter().map(step).min()
    }
}

/// When half of a lease is over.
fn renewed_on(held: Lease, lease: Duration) -> Instant {
    let half = i64::try_from((lease / 2).as_nanos() / 100).unwrap_or(i64::MAX);
    Instant(held.until.0.saturating_sub(half))
}

impl ExecutorJob {
    pub(crate) fn new(service: Arc<Service>, executor: impl Executor + 'static) -> Self {
        Self {
            service,
            at_work: Mutex::new(AtWork {
                executor: Box::new(executor),
                held: HashMap::new(),
                in_doubt: ClaimsInDoubt::default(),
            }),
            drains: AtomicBool::new(false),
            drained: Notify::new(),
        }
    }

    /// Does everything that can be done at this moment.
    pub(crate) async fn catch_up(&self) -> Result<()> {
        let mut at_work = self.at_work.lock().await;
        for _ in 0..ROUNDS {
            if !self.round(&mut at_work).await? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// One round; whether anything happened.
    async fn round(&self, at_work: &mut AtWork) -> Result<bool> {
        let reported = self.report(at_work).await;
        // One report that cannot be written down costs neither the others their leases nor anybody their work.
        self.renew(at_work).await?;
        let taken_on = self.take_on(at_work).await?;
        let something = reported? | taken_on;
        if !self.takes_on() && at_work.is_through() {
            self.drained.notify_one();
        }
        Ok(something)
    }

    /// Reports what is done. What cannot be written down is kept for the next round, as long as it is of use.
    async fn report(&self, at_work: &mut AtWork) -> Result<bool> {
        let now = self.service.clock.now();
        let reports = at_work.done(now);
        let ids: Vec<_> = reports.iter().map(|report| report.id).collect();
        let by = at_work.executor.claimant();
        let answers = execution::finish_all(&self.service, by, reports).await;
        let (mut something, mut failure) = (false, None);
        for (id, answer) in ids.into_iter().zip(answers) {
            match answer {
                Ok(_) => {
                    at_work.let_go(id);
                    something = true;
                }
                // Through an outage nobody else could take it for lost either.
                Err(error) if !error.is_passing() && at_work.has_lost_lease(id, now) => {
                    tracing::error!(operation = %id, error = %Chain(&error), "what became of an operation could not be written down in time");
                    at_work.let_go(id);
                }
                Err(error) => failure = Some(error),
            }
        }
        failure.map_or(Ok(something), Err)
    }

    /// Says that work goes on, before anybody takes it for lost.
    async fn renew(&self, at_work: &mut AtWork) -> Result<()> {
        if at_work.held.is_empty() {
            return Ok(());
        }
        let lease = self.service.settings.executor.lease;
        let now = self.service.clock_check.compare(&self.service).await?;
        let (held, until) = (at_work.old_leases(now, lease), now + lease);
        let asked: Vec<_> = held.iter().map(|(id, _)| *id).collect();
        let by = at_work.executor.claimant();
        let renewed: HashSet<_> = execution::renew(&self.service, by, held, until)
            .await?
            .into_iter()
            .collect();
        for id in asked {
            if !renewed.contains(&id) {
                tracing::warn!(operation = %id, "an operation is not ours any more: its lease ran out");
                at_work.let_go(id);
            } else if let Some(lease) = at_work.held.get_mut(&id) {
                lease.until = until;
            }
        }
        Ok(())
    }

    async fn take_on(&self, at_work: &mut AtWork) -> Result<bool> {
        let settings = &self.service.settings.executor;
        let AtWork {
            executor,
            held,
            in_doubt,
        } = at_work;
        let places = match self.takes_on() {
            true => settings.slots.saturating_sub(held.len()),
            false => 0,
        };
        let by = executor.claimant();
        let claimed = execution::claim(&self.service, by, in_doubt, places, settings.lease).await?;
        for claimed in &claimed {
            held.insert(claimed.operation.id, claimed.lease);
            executor.begin(&claimed.operation);
        }
        in_doubt.taken_on(&claimed);
        Ok(!claimed.is_empty())
    }

    /// Works until it is asked to stop.
    pub(crate) async fn run(&self, stop: CancellationToken) {
        let mut failures = FailureReporter::of("executor");
        let mut wakeup = self.service.wakeup.listener();
        let mut moved = self.service.clock.listener();
        let mut rests = Rests::new(self.service.settings.executor.poll);
        loop {
            // A signal that comes while this looks is kept for the rest that follows.
            let caught_up = self.catch_up().await;
            failures.after(&caught_up);
            let next = match caught_up {
                Ok(()) => self.next_step().await,
                Err(_) => None,
            };
            let rest = rests.until(next, self.service.clock.now());
            tokio::select! {
                () = stop.cancelled() => return,
                () = wakeup.notified() => {}
                () = moved.notified() => {}
                () = tokio::time::sleep(rest) => {}
            }
        }
    }

    /// Takes nothing on any more; answers once all that was taken on is reported, or `within` is over. Whether all is.
    pub(crate) async fn drain(&self, within: Duration) -> bool {
        self.drains.store(true, Ordering::SeqCst);
        let all_reported = async {
            while !self.at_work.lock().await.is_through() {
                self.drained.notified().await;
            }
        };
        tokio::time::timeout(within, all_reported).await.is_ok()
    }

    /// When there is something to do next, as far as is known.
    async fn next_step(&self) -> Option<Instant> {
        let settings = &self.service.settings.executor;
        let (own, busy, by) = {
            let mut at_work = self.at_work.lock().await;
            let own = at_work.next_step(self.service.clock.now(), settings.lease);
            (own, at_work.held.len(), at_work.executor.claimant().clone())
        };
        let due = if self.takes_on() && busy < settings.slots {
            execution::next_due(&self.service, &by).await.ok().flatten()
        } else {
            None
        };
        own.into_iter().chain(due).min()
    }

    fn takes_on(&self) -> bool {
        !self.drains.load(Ordering::SeqCst)
    }
}

/// How long to rest between two looks.
pub(super) struct Rests {
    /// Where nothing is known to come.
    poll: Duration,
    /// Where something has been due already when this looked, and could not be taken on: longer each time.
    overdue: Duration,
}

impl Rests {
    pub(super) fn new(poll: Duration) -> Self {
        Self {
            poll,
            overdue: SHORTEST_REST,
        }
    }

    /// The rest until `next`, at which there is something to do.
    pub(super) fn until(&mut self, next: Option<Instant>, now: Instant) -> Duration {
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
