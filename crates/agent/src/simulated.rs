//! An agent that only pretends: for `fame dev`, demonstrations and tests.
//!
//! It serves whatever environment it is given work for, without a configuration, a folder or a journal of its own, and
//! speaks to the service as any agent does. What it makes of an operation is what the `simulate` driver makes of it. One
//! round runs to its end before the next begins, whoever asks for it: the agent itself, or somebody who moved the clock and
//! wants to see what came of it.

use crate::{
    clock::SharedClock,
    drivers::simulate::Settings,
    runner::{WAIT_SECONDS, is_answer},
    service::Caller,
    work::KINDS,
};
use client::{Client, Error};
use domain::{chain::Chain, environment::EnvironmentKey, ids::OperationId, instant::Instant};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::sync::{Mutex, watch};
use uuid::Uuid;
use wire::agent::{Claim, ClaimRequest, ClaimedOperation, Finish, MOST_CLAIMED, Renewal};

/// Rounds in a row that may each find more to do; a guard against turning for ever.
const ROUNDS: usize = 10_000;

/// How long to leave the service alone that could not answer, at first.
const PAUSE: Duration = Duration::from_millis(500);
/// How long at most: it may have taken the agent away for good.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What is special about environments.
pub type Script = HashMap<EnvironmentKey, Settings>;

/// The agent and what it is at.
pub struct SimulatedAgent {
    caller: Caller,
    script: Script,
    at_work: Mutex<BTreeMap<OperationId, Work>>,
    /// How many operations there are of which it will tell.
    busy: watch::Sender<usize>,
    /// Whether nothing more is taken on.
    drains: AtomicBool,
}

/// An operation that it holds.
struct Work {
    lease_id: Uuid,
    lease: Duration,
    /// When half of the lease is over.
    renewed_on: Instant,
    ends_on: Instant,
    /// `None` for an operation over which it falls silent. It stays known, so that the service does not tell of it again.
    finish: Option<Finish>,
}

impl Work {
    fn goes_on_at(&self, now: Instant) -> bool {
        self.finish.is_some() && self.ends_on > now
    }

    /// When there is something to tell of it next.
    fn next_step(&self) -> Option<Instant> {
        self.finish.as_ref().map(|_| self.ends_on.min(self.renewed_on))
    }

    /// What there is to tell of how it ended.
    fn ended(&self, now: Instant) -> Option<&Finish> {
        self.finish.as_ref().filter(|_| self.ends_on <= now)
    }
}

impl SimulatedAgent {
    /// An agent that signs in as `client` does, in a session of its own.
    #[must_use]
    pub fn new(client: Client, script: Script) -> Self {
        Self {
            caller: Caller::new(client, Arc::default()),
            script,
            at_work: Mutex::default(),
            busy: watch::Sender::new(0),
            drains: AtomicBool::new(false),
        }
    }

    /// Signs in as `client` does from now on, in the same session.
    pub fn replace(&self, client: Client) {
        self.caller.replace(client);
    }

    /// Does everything that can be done when it is `now`.
    ///
    /// # Errors
    /// The first request that was not answered. What could not be told is told in another round.
    pub async fn catch_up(&self, now: Instant) -> Result<(), Error> {
        let mut at_work = self.at_work.lock().await;
        for _ in 0..ROUNDS {
            let did_something = self.round(&mut at_work, now).await;
            self.count(&at_work);
            if !did_something? {
                break;
            }
        }
        Ok(())
    }

    /// When there is something to tell of next, of what it is at.
    pub async fn next_step(&self) -> Option<Instant> {
        self.at_work
            .lock()
            .await
            .values()
            .filter_map(Work::next_step)
            .min()
    }

    fn count(&self, at_work: &BTreeMap<OperationId, Work>) {
        let told_of = at_work.values().filter(|work| work.finish.is_some()).count();
        self.busy
            .send_if_modified(|busy| std::mem::replace(busy, told_of) != told_of);
    }

    /// One round; whether anything happened.
    async fn round(&self, at_work: &mut BTreeMap<OperationId, Work>, now: Instant) -> Result<bool, Error> {
        let told = self.tell(at_work, now).await;
        // One ending that cannot be told costs the others neither their leases nor their start.
        self.renew(at_work, now).await?;
        let request = self.request(at_work, 0);
        let claim = self.caller.now().claim_operations(&request).await?;
        let taken_on = self.take_on(at_work, claim, now);
        Ok(told? | taken_on)
    }

    /// Tells how operations ended. What the service cannot hear now is told in the next round.
    async fn tell(&self, at_work: &mut BTreeMap<OperationId, Work>, now: Instant) -> Result<bool, Error> {
        let ended = |(id, work): (&OperationId, &Work)| Some((*id, work.ended(now)?.clone()));
        let ended: Vec<_> = at_work.iter().filter_map(ended).collect();
        let (mut something, mut failure) = (false, None);
        for (id, finish) in ended {
            match self.caller.now().finish_operation(id, &finish).await {
                Err(error) if !is_answer(&error) => failure = Some(error),
                answer => {
                    if let Err(error) = answer {
                        tracing::warn!(operation = %id, "the end of an operation was not taken: {}", Chain(&error));
                    }
                    at_work.remove(&id);
                    something = true;
                }
            }
        }
        failure.map_or(Ok(something), Err)
    }

    /// Says that work goes on, before the service takes it for lost.
    async fn renew(&self, at_work: &mut BTreeMap<OperationId, Work>, now: Instant) -> Result<(), Error> {
        let mut lost = Vec::new();
        let old = |work: &Work| work.goes_on_at(now) && work.renewed_on <= now;
        for (id, work) in at_work.iter_mut().filter(|(_, work)| old(work)) {
            let renewal = Renewal {
                lease_id: work.lease_id,
                progress: None,
            };
            match self.caller.now().renew_operation(*id, &renewal).await {
                Ok(_) => work.renewed_on = now + work.lease / 2,
                Err(error) if is_answer(&error) => lost.push(*id),
                Err(error) => return Err(error),
            }
        }
        for id in lost {
            tracing::warn!(operation = %id, "the service has given an operation up: its lease ran out");
            at_work.remove(&id);
        }
        Ok(())
    }

    fn request(&self, at_work: &BTreeMap<OperationId, Work>, wait_seconds: u32) -> ClaimRequest {
        ClaimRequest {
            max: if self.drains() { 0 } else { MOST_CLAIMED },
            wait_seconds,
            holding: at_work.keys().map(|id| id.0).collect(),
            kinds: KINDS.map(|kind| kind.to_string()).into(),
        }
    }

    /// Takes on what was granted; whether anything was.
    fn take_on(&self, at_work: &mut BTreeMap<OperationId, Work>, claim: Claim, now: Instant) -> bool {
        let is_something = !claim.operations.is_empty();
        for claimed in claim.operations {
            let id = OperationId(claimed.operation_id);
            at_work.entry(id).or_insert_with(|| self.begin(claimed, now));
        }
        is_something
    }

    fn begin(&self, claimed: ClaimedOperation, now: Instant) -> Work {
        let ordinary = Settings::default();
        let place = self.script.get(&claimed.environment.key()).unwrap_or(&ordinary);
        let lease = Duration::from_secs(claimed.lease_seconds.into());
        Work {
            lease_id: claimed.lease_id,
            lease,
            renewed_on: now + lease / 2,
            ends_on: now + place.lasts(OperationId(claimed.operation_id)),
            finish: (!place.gets_lost).then(|| finish(place, claimed)),
        }
    }

    fn drains(&self) -> bool {
        self.drains.load(Ordering::SeqCst)
    }

    /// Works until it is dropped, on a clock that others may move.
    pub async fn run(&self, clock: &SharedClock) {
        let mut busy = self.busy.subscribe();
        let mut pause = PAUSE;
        loop {
            busy.mark_unchanged();
            let worked = async {
                self.catch_up(clock.now()).await?;
                tokio::select! {
                    // It may have been somebody else who had it catch up, so that something else is next.
                    _ = busy.changed() => Ok(()),
                    waited = self.until_something_is_due(clock) => waited,
                }
            };
            match worked.await {
                Ok(()) => pause = PAUSE,
                Err(error) => {
                    tracing::warn!(?pause, "the simulated agent could not work: {}", Chain(&error));
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    async fn until_something_is_due(&self, clock: &SharedClock) -> Result<(), Error> {
        let (next, request) = {
            let at_work = self.at_work.lock().await;
            let next = at_work.values().filter_map(Work::next_step).min();
            (next, self.request(&at_work, WAIT_SECONDS))
        };
        let waits = request.max > 0;
        tokio::select! {
            () = async { clock.reach(next.unwrap_or(clock.now())).await }, if next.is_some() => Ok(()),
            claim = async { self.caller.now().claim_operations(&request).await }, if waits => {
                let mut at_work = self.at_work.lock().await;
                self.take_on(&mut at_work, claim?, clock.now());
                self.count(&at_work);
                Ok(())
            }
            else => std::future::pending().await,
        }
    }

    /// Takes nothing on any more, and waits until all that it will tell of is told, but not longer than `within`; whether all
    /// is. It has to run meanwhile.
    pub async fn drain(&self, within: Duration) -> bool {
        self.drains.store(true, Ordering::SeqCst);
        let mut busy = self.busy.subscribe();
        let through = busy.wait_for(|busy| *busy == 0);
        tokio::time::timeout(within, through).await.is_ok()
    }
}

/// How an operation ends there.
fn finish(place: &Settings, claimed: ClaimedOperation) -> Finish {
    let finish = Finish {
        lease_id: claimed.lease_id,
        status: "Succeeded".into(),
        error_message: None,
        failure_cause: None,
        installed_version: None,
    };
    match &place.fails {
        _ if place.finds_nothing_to_do => Finish {
            status: "Skipped".into(),
            ..finish
        },
        Some(text) => Finish {
            status: "Failed".into(),
            error_message: Some(text.clone()),
            failure_cause: place.cause.map(|cause| cause.to_string()),
            ..finish
        },
        None => Finish {
            installed_version: claimed.target_version,
            ..finish
        },
    }
}
