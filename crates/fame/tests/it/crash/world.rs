//! What the clients and the killer share: where the service is, when something begins, and what was found wrong.

use super::ledger::Ledger;
use crate::services::{Answer, COUNTRIES, Caller, Dice, Environment, Lost, Person};
use std::sync::{
    Arc, Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard, broadcast};

/// How many environments there are.
const ENVIRONMENTS: usize = 24;

/// An instant that is good to be killed at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    /// The first bytes of a package were sent.
    UploadBegins,
    /// The last bytes of a package were sent.
    UploadEnds,
    /// A hotfix is asked for.
    Schedules,
    /// A hotfix is to be canceled.
    Cancels,
    /// An environment is reported, or a principal or country changed.
    Administers,
}

impl Moment {
    pub(super) const ALL: [Self; 5] = [
        Self::UploadBegins,
        Self::UploadEnds,
        Self::Schedules,
        Self::Cancels,
        Self::Administers,
    ];
}

/// The world of one run.
pub(super) struct World {
    pub seed: u64,
    /// Whether what the service needs goes away too, so that it may say that it cannot now.
    may_be_unavailable: bool,
    pub environments: Vec<Environment>,
    client: reqwest::Client,
    /// Where each replica was started last.
    addresses: Vec<Mutex<String>>,
    moments: broadcast::Sender<Moment>,
    /// Held for writing while nobody may ask for anything.
    gate: RwLock<()>,
    is_over: AtomicBool,
    kills: AtomicUsize,
    ledger: Mutex<Ledger>,
    findings: Mutex<Vec<String>>,
}

impl World {
    pub(super) fn new(seed: u64, replicas: usize, may_be_unavailable: bool) -> Arc<Self> {
        let environments = (0..ENVIRONMENTS)
            .map(|index| Environment::new(format!("customer-{index}"), COUNTRIES[index % COUNTRIES.len()]))
            .collect();
        Arc::new(Self {
            seed,
            may_be_unavailable,
            environments,
            client: Caller::new_client(),
            addresses: (0..replicas).map(|_| Mutex::default()).collect(),
            moments: broadcast::channel(256).0,
            gate: RwLock::default(),
            is_over: AtomicBool::new(false),
            kills: AtomicUsize::new(0),
            ledger: Mutex::default(),
            findings: Mutex::default(),
        })
    }

    /// Somebody who calls any of the replicas.
    pub(super) fn caller(&self, dice: &mut Dice, person: &Person) -> Caller {
        self.caller_of(dice.below(self.addresses.len()), person)
    }

    /// Somebody who calls that replica.
    pub(super) fn caller_of(&self, replica: usize, person: &Person) -> Caller {
        let address = self.addresses[replica].lock().unwrap().clone();
        Caller::new(self.client.clone(), address, person)
    }

    pub(super) fn replica_is_at(&self, replica: usize, address: &str) {
        address.clone_into(&mut self.addresses[replica].lock().unwrap());
    }

    pub(super) fn may_be_unavailable(&self) -> bool {
        self.may_be_unavailable
    }

    pub(super) fn replicas(&self) -> usize {
        self.addresses.len()
    }

    /// Says that something is just happening.
    pub(super) fn moment(&self, moment: Moment) {
        // Nobody waits for a moment while nobody is about to kill.
        drop(self.moments.send(moment));
    }

    pub(super) fn moments(&self) -> broadcast::Receiver<Moment> {
        self.moments.subscribe()
    }

    /// The right to ask for one thing; `None` when all is over.
    pub(super) async fn turn(&self) -> Option<RwLockReadGuard<'_, ()>> {
        let turn = self.gate.read().await;
        (!self.is_over.load(Ordering::SeqCst)).then_some(turn)
    }

    /// Waits until nobody asks for anything, and keeps it so.
    pub(super) async fn silence(&self) -> RwLockWriteGuard<'_, ()> {
        self.gate.write().await
    }

    /// Tells the clients to end.
    pub(super) fn stop(&self) {
        self.is_over.store(true, Ordering::SeqCst);
    }

    /// How many kills there were so far.
    pub(super) fn kills(&self) -> usize {
        self.kills.load(Ordering::SeqCst)
    }

    pub(super) fn count_kill(&self) {
        self.kills.fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap()
    }

    /// A line for a history: when it was, and what.
    pub(super) fn noted(&self, what: impl std::fmt::Display) -> String {
        let now = server::clock::wall_seconds() % 86_400;
        let (hours, minutes, seconds) = (now / 3_600, now / 60 % 60, now % 60);
        format!(
            "after kill {} at {hours:02}:{minutes:02}:{seconds:02}: {what}",
            self.kills()
        )
    }

    /// Something is wrong.
    pub(super) fn finds(&self, what: impl Into<String>) {
        let what = self.noted(what.into());
        self.findings.lock().unwrap().push(what);
    }

    pub(super) fn has_findings(&self) -> bool {
        !self.findings.lock().unwrap().is_empty()
    }

    pub(super) fn must_have_no_findings(&self) {
        let findings = self.findings.lock().unwrap();
        let shown: Vec<_> = findings.iter().take(20).map(String::as_str).collect();
        assert!(
            findings.is_empty(),
            "{}={} found {} things wrong after {} kills:\n{}",
            super::SEED,
            self.seed,
            findings.len(),
            self.kills(),
            shown.join("\n")
        );
    }

    /// Whether an answer decides the matter. One that says that something of ours failed decides nothing, and comes
    /// only when what the service needs has gone away.
    pub(super) fn decides(&self, asked: &Result<Answer, Lost>) -> bool {
        match asked {
            Ok(answer) if answer.status >= 500 => {
                let says_when = answer.status == 503 && answer.header("retry-after").is_some();
                if !(self.may_be_unavailable && says_when) {
                    self.finds(format!("{answer}"));
                }
                false
            }
            Ok(_) => true,
            Err(_) => false,
        }
    }
}
