//! The simulated executor's round: report what is done, end what was lost, take on what is due.
//!
//! One round runs to its end before the next begins, whoever asks for it: the job itself, or somebody who moved the
//! clock and wants to see what came of it.

use super::trouble::{Trouble, is_passing};
use crate::{
    actions::{Service, execution},
    error::Result,
    simulate::{Script, Simulator},
};
use domain::instant::Instant;
use std::{sync::Arc, time::Duration};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

/// Rounds in a row that may each find more to do; a guard against turning for ever.
const ROUNDS: usize = 10_000;

/// The executor of this process.
pub(crate) struct Executor {
    service: Arc<Service>,
    simulator: Mutex<Simulator>,
}

impl Executor {
    pub(crate) fn new(service: Arc<Service>, script: Script) -> Self {
        Self {
            service,
            simulator: Mutex::new(Simulator::new(script)),
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
        let settings = &self.service.settings.executor;
        let mut something = self.report(simulator).await?;
        something |= execution::end_lost(&self.service).await? > 0;
        let places = settings.slots.saturating_sub(simulator.busy());
        for claimed in execution::claim(&self.service, places, settings.lease).await? {
            simulator.begin(&claimed);
            something = true;
        }
        Ok(something)
    }

    /// Reports what is done; whether anything was. What cannot be reported because the database is away is kept.
    async fn report(&self, simulator: &mut Simulator) -> Result<bool> {
        let now = self.service.clock.now();
        let done = simulator.take_done(now);
        let something = !done.is_empty();
        let mut failure = None;
        for (id, lease_id, outcome) in done {
            if failure.is_none() {
                let reported = execution::finish(&self.service, id, lease_id, outcome.clone()).await;
                match reported {
                    Err(error) if is_passing(&error) => failure = Some(error),
                    reported => {
                        reported?;
                        continue;
                    }
                }
            }
            simulator.put_back(id, lease_id, outcome, now);
        }
        failure.map_or(Ok(something), Err)
    }

    /// Works until it is told to stop.
    pub(crate) async fn run(&self, stop: CancellationToken) {
        let mut trouble = Trouble::of("executor");
        loop {
            // Listen before looking: a signal that comes while this looks is not missed.
            let signal = self.service.work.notified();
            let moved = self.service.clock.moved();
            trouble.after(&self.catch_up().await);
            let rest = self.rest().await;
            tokio::select! {
                () = stop.cancelled() => return,
                () = signal => {}
                () = moved => {}
                () = tokio::time::sleep(rest) => {}
            }
        }
    }

    /// How long there is nothing to do, as far as is known; never longer than the configured period.
    async fn rest(&self) -> Duration {
        let longest = self.service.settings.executor.poll;
        let known = execution::next_work(&self.service).await.ok().flatten();
        let next = [known, self.simulator.lock().await.next_end()]
            .into_iter()
            .flatten()
            .min();
        let now = self.service.clock.now();
        next.map_or(longest, |at: Instant| {
            at.since(now).clamp(Duration::from_millis(5), longest)
        })
    }
}
