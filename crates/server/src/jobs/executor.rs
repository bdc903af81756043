//! The simulated executor's round: report what is done, keep what is not, end what was lost, take on what is due.
//!
//! One round runs to its end before the next begins, whoever asks for it: the job itself, or somebody who moved the
//! clock and wants to see what came of it.
//!
//! A planned stop must not leave operations of which nobody knows how they ended. So an executor that is to stop takes
//! nothing on any more, and goes on until all that it carries is reported.

use super::trouble::Trouble;
use crate::{
    actions::{Service, execution},
    error::Result,
    simulate::{Script, Simulator},
};
use domain::instant::Instant;
use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::sync::{Mutex, Notify};
use tokio_util::sync::CancellationToken;

/// Rounds in a row that may each find more to do; a guard against turning for ever.
const ROUNDS: usize = 10_000;

/// How long to rest at least, even where something is due already: another replica may be at it.
const SHORTEST_REST: Duration = Duration::from_millis(5);

/// The executor of this process.
pub(crate) struct Executor {
    service: Arc<Service>,
    simulator: Mutex<Simulator>,
    /// Whether nothing more is taken on.
    drains: AtomicBool,
    /// Told when there is nothing left that a drain waits for.
    drained: Notify,
}

impl Executor {
    pub(crate) fn new(service: Arc<Service>, script: Script) -> Self {
        Self {
            service,
            simulator: Mutex::new(Simulator::new(script)),
            drains: AtomicBool::new(false),
            drained: Notify::new(),
        }
    }

    /// Does everything that can be done at this moment.
    pub(crate) async fn catch_up(&self) -> Result<()> {
        let mut simulator = self.simulator.lock().await;
        for _ in 0..ROUNDS {
            if !self.round(&mut simulator).await? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// One round; whether anything happened.
    async fn round(&self, simulator: &mut Simulator) -> Result<bool> {
        let mut something = self.report(simulator).await?;
        self.renew(simulator).await?;
        something |= execution::end_lost(&self.service).await? > 0;
        if self.takes_on() {
            something |= self.take_on(simulator).await?;
        } else if simulator.busy() == 0 {
            self.drained.notify_one();
        }
        Ok(something)
    }

    /// Reports what is done. What cannot be written down is kept for the next round, as long as it is of use.
    async fn report(&self, simulator: &mut Simulator) -> Result<bool> {
        let now = self.service.clock.now();
        let reports = simulator.done(now);
        let ids: Vec<_> = reports.iter().map(|report| report.id).collect();
        let answers = execution::finish_all(&self.service, reports).await;
        let (mut something, mut failure) = (false, None);
        for (id, answer) in ids.into_iter().zip(answers) {
            match answer {
                Ok(_) => {
                    simulator.forget(id);
                    something = true;
                }
                Err(error) if simulator.has_lost_lease(id, now) => {
                    tracing::error!(operation = %id, %error, "what became of an operation could not be written down in time");
                    simulator.forget(id);
                }
                Err(error) => failure = Some(error),
            }
        }
        failure.map_or(Ok(something), Err)
    }

    /// Says that work goes on, before anybody takes it for lost.
    async fn renew(&self, simulator: &mut Simulator) -> Result<()> {
        let lease = self.service.settings.executor.lease;
        let now = self.service.clock.now();
        let held = simulator.to_renew(now, lease);
        let asked: Vec<_> = held.iter().map(|(id, _)| *id).collect();
        let renewed: HashSet<_> = execution::renew(&self.service, held, lease)
            .await?
            .into_iter()
            .collect();
        for id in asked {
            if renewed.contains(&id) {
                simulator.holds_until(id, now + lease);
            } else {
                tracing::warn!(operation = %id, "an operation is not ours any more: its lease ran out");
                simulator.forget(id);
            }
        }
        Ok(())
    }

    async fn take_on(&self, simulator: &mut Simulator) -> Result<bool> {
        let settings = &self.service.settings.executor;
        let places = settings.slots.saturating_sub(simulator.busy());
        let claimed = execution::claim(&self.service, places, settings.lease).await?;
        for claimed in &claimed {
            simulator.begin(claimed);
        }
        Ok(!claimed.is_empty())
    }

    /// Works until it is told to stop.
    pub(crate) async fn run(&self, stop: CancellationToken) {
        let mut trouble = Trouble::of("executor");
        loop {
            // Listen before looking: a signal that comes while this looks is not missed.
            let signal = self.service.work.notified();
            let moved = self.service.clock.moved();
            let caught_up = self.catch_up().await;
            trouble.after(&caught_up);
            let rest = match caught_up {
                Ok(()) => self.rest().await,
                Err(_) => self.service.settings.executor.poll,
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = signal => {}
                () = moved => {}
                () = tokio::time::sleep(rest) => {}
            }
        }
    }

    /// Takes nothing on any more; answers once all that was taken on is reported, or `within` is over. Whether all is.
    pub(crate) async fn drain(&self, within: Duration) -> bool {
        self.drains.store(true, Ordering::SeqCst);
        let all_reported = async {
            while self.simulator.lock().await.busy() > 0 {
                self.drained.notified().await;
            }
        };
        tokio::time::timeout(within, all_reported).await.is_ok()
    }

    /// How long there is nothing to do, as far as is known; never longer than the configured period.
    async fn rest(&self) -> Duration {
        let settings = &self.service.settings.executor;
        let (own, busy) = {
            let simulator = self.simulator.lock().await;
            (simulator.next_step(settings.lease), simulator.busy())
        };
        let now = self.service.clock.now();
        let lost = execution::next_lease_end(&self.service).await.ok().flatten();
        // A lease that has ended and is still there cannot be settled by looking again at once.
        let lost = lost.filter(|&at| at > now);
        let due = if self.takes_on() && busy < settings.slots {
            execution::next_due(&self.service).await.ok().flatten()
        } else {
            None
        };
        let next = [own, lost, due].into_iter().flatten().min();
        next.map_or(settings.poll, |at: Instant| {
            at.since(now).clamp(SHORTEST_REST, settings.poll)
        })
    }

    fn takes_on(&self) -> bool {
        !self.drains.load(Ordering::SeqCst)
    }
}
