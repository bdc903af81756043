//! The agent at work: what is reported, what is taken on, and how it is gone on with.
//!
//! Three rounds go on side by side: what is installed is reported, due operations are asked for, and the token is replaced
//! from time to time. Each operation is a task of its own, and one that breaks breaks no other. Whatever is in the way, be it the network, the service or this
//! very process being killed, no round gives up; and what was taken on is in the journal.

mod inventory;
mod lease;
mod log;
mod pauses;
mod reads;
mod rotation;

use crate::{
    clock::{Moment, SharedClock},
    config::{Config, Environment},
    driver::{Driver, Work},
    drivers::Surroundings,
    failure::Failure,
    folder::{self, Folder, FolderError, KeptToken},
    health,
    journal::{Journal, JournalError, Record},
    redact::Redactor,
    service::{self, Caller, ServiceError},
    status::{Status, Trouble},
    work::{self, KINDS, Outcome, Patience},
    workplace::Place,
};
use client::Error;
use domain::{
    chain::Chain, environment::EnvironmentKey, ids::OperationId, instant::Instant, operation::FailureCause,
};
use futures::FutureExt;
use inventory::Reporter;
use lease::Lease;
use pauses::Pauses;
use reqwest::StatusCode;
use secrecy::SecretString;
use std::{
    collections::{BTreeMap, BTreeSet},
    future, io,
    net::{SocketAddr, TcpListener},
    panic::{self, AssertUnwindSafe},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{Notify, OnceCell, RwLock, mpsc, watch},
    task::{JoinError, JoinSet},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use wire::agent::{Claim, ClaimRequest, ClaimedOperation, Finish, LONGEST_MESSAGE, MOST_CLAIMED, Progress};

/// How long the service is asked to wait for something to be due.
pub(crate) const WAIT_SECONDS: u32 = 50;
/// How long a report is tried before it is left to the next start.
const TELL_FOR: Duration = Duration::from_secs(24 * 3_600);
/// How often it is looked again whether another operation may be begun in this hour.
const BUDGET_PAUSE: Duration = Duration::from_secs(30);
const HOUR: Duration = Duration::from_secs(3_600);
/// How many letters a text of a claim has at most: no name is longer.
const LONGEST_NAME: usize = 250;
const UNKNOWN_TOKEN: &str = "The service does not know the agent's token any more: it was revoked, or the agent was \
                             removed. Enrol it again (fame agent enrol)";

/// An agent that is ready to work.
pub struct Agent {
    shared: Arc<Shared>,
    health: Option<TcpListener>,
    kept: Option<KeptToken>,
    changes: mpsc::UnboundedReceiver<EnvironmentKey>,
    confirm_inventory: bool,
}

struct Shared {
    config: Config,
    clock: SharedClock,
    folder: Arc<Folder>,
    journal: Journal,
    caller: Arc<Caller>,
    redactor: Arc<Redactor>,
    environments: BTreeMap<EnvironmentKey, Served>,
    status: Arc<Status>,
    /// What is being carried out, or still to be told of.
    at_work: Mutex<BTreeSet<OperationId>>,
    ended: Notify,
    works: TaskTracker,
    /// An inventory and the end of an operation reach the service in the order in which they came about.
    in_order: RwLock<()>,
    /// What only waits is left to the next start.
    leaving: CancellationToken,
    stopping: CancellationToken,
    changed: mpsc::UnboundedSender<EnvironmentKey>,
}

/// An environment that is served.
struct Served {
    settings: Environment,
    driver: Arc<dyn Driver>,
    /// Held while an operation is carried out there.
    at_work: tokio::sync::Mutex<()>,
    /// How many operations have begun or ended there: what was read before is not to be told after.
    turns: AtomicU64,
}

/// Nobody else works in an environment while this is held.
type Turn<'s> = tokio::sync::MutexGuard<'s, ()>;

/// Why an agent cannot work.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// It was never enrolled.
    #[error("{} holds no token: enrol the agent first (fame agent enrol)", .0.display())]
    NotEnrolled(std::path::PathBuf),
    /// Its token has ended.
    #[error("The agent's token ended on {0}: enrol it again (fame agent enrol)")]
    TokenEnded(Instant),
    /// Its folder cannot be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// Its journal cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The service cannot be spoken to.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// A driver cannot work as it is set up.
    #[error("Environment {0}: {1}")]
    Driver(EnvironmentKey, Failure),
    /// Health cannot be told there.
    #[error("agent.health_listen: {0}")]
    Health(io::Error),
}

/// Opens the driver of each environment.
fn open_all(config: &Config, around: &Surroundings) -> Result<BTreeMap<EnvironmentKey, Served>, StartError> {
    let open = |settings: &Environment| {
        let driver = settings.driver.open(&settings.name, settings.kind, around);
        let served = Served {
            driver: driver.map_err(|failure| StartError::Driver(settings.key(), failure))?,
            settings: settings.clone(),
            at_work: tokio::sync::Mutex::default(),
            turns: AtomicU64::default(),
        };
        Ok((settings.key(), served))
    };
    config.environments.iter().map(open).collect()
}

impl Agent {
    /// Takes the agent's folder and reads what is in it. Nothing is sent yet. `confirm_inventory` says whether it is meant
    /// that the first full inventory has far fewer, or far more, environments than the service knows.
    ///
    /// # Errors
    /// [`StartError`] with what is missing.
    pub fn prepare(
        config: Config,
        around: &Surroundings,
        confirm_inventory: bool,
    ) -> Result<Self, StartError> {
        let clock = around.clock.clone();
        let folder = Folder::open(&config.folder)?;
        let kept = folder::kept_token(&config.folder)?;
        let credentials = service::credentials(&config.service, kept.as_ref())?;
        let credentials = credentials.ok_or_else(|| StartError::NotEnrolled(config.folder.clone()))?;
        let kept = kept.filter(|_| config.service.identity.is_none());
        if let Some(ended) = kept.as_ref().filter(|kept| kept.expires_on <= clock.now()) {
            return Err(StartError::TokenEnded(ended.expires_on));
        }
        let redactor = Redactor::new(config.secrets.clone());
        let status = Arc::new(Status::default());
        if let Some(kept) = &kept {
            redactor.learn(kept.token.clone());
            status.token(kept.expires_on, rotation::latest(kept));
        }
        let environments = open_all(&config, around)?;
        status
            .environments
            .store(environments.len() as u64, Ordering::Relaxed);
        let health = config
            .health_listen
            .map(health::listen)
            .transpose()
            .map_err(StartError::Health)?;
        let journal = Journal::open(&folder.journal(), clock.now())?;
        let (changed, changes) = mpsc::unbounded_channel();
        let shared = Shared {
            caller: Arc::new(Caller::new(
                service::client(&config.service, credentials)?,
                status.clone(),
            )),
            config,
            clock,
            folder: Arc::new(folder),
            journal,
            redactor: Arc::new(redactor),
            environments,
            status,
            at_work: Mutex::default(),
            ended: Notify::new(),
            works: TaskTracker::new(),
            in_order: RwLock::default(),
            leaving: CancellationToken::new(),
            stopping: CancellationToken::new(),
            changed,
        };
        Ok(Self {
            shared: Arc::new(shared),
            health,
            kept,
            changes,
            confirm_inventory,
        })
    }

    /// Where it tells how it is doing.
    #[must_use]
    pub fn health_address(&self) -> Option<SocketAddr> {
        self.health.as_ref()?.local_addr().ok()
    }

    /// Works until `stop`, and then until what is being carried out has ended and been told, or the time for that is over.
    /// What is left then is gone on with at the next start.
    ///
    /// # Panics
    /// When one of its rounds does: an agent of which a part stands still would look as if it worked.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let agent = self.shared;
        let mut background = JoinSet::new();
        if let Some(listener) = self.health {
            let (status, clock) = (agent.status.clone(), agent.clock.clone());
            let health = health::serve(listener, status, clock);
            let ended = agent.stopping.clone();
            background.spawn(async move {
                tokio::select! {
                    _ = health => {}
                    () = ended.cancelled() => {}
                }
            });
        }
        agent.resume();
        let (answered, mut is_answered) = watch::channel(false);
        let reporter = Reporter::new(agent.clone(), self.changes, self.confirm_inventory);
        background.spawn(reporter.run(answered));
        if let Some(kept) = self.kept {
            background.spawn(rotation::run(agent.clone(), kept));
        }
        tokio::select! {
            () = stop => {}
            () = until_one_breaks(&mut background) => {}
            () = async {
                // What is installed is told before anything is taken on.
                let _ = is_answered.wait_for(|answered| *answered).await;
                agent.claim_on().await;
            } => {}
        }
        agent.stop().await;
        while let Some(ended) = background.join_next().await {
            unbroken(ended);
        }
    }
}

/// Ends with a panic as soon as one of the rounds does, and else never.
async fn until_one_breaks(rounds: &mut JoinSet<()>) {
    while let Some(ended) = rounds.join_next().await {
        unbroken(ended);
    }
    future::pending().await
}

fn unbroken(ended: Result<(), JoinError>) {
    if let Some(panic) = ended.err().and_then(|error| error.try_into_panic().ok()) {
        panic::resume_unwind(panic);
    }
}

impl Shared {
    fn at_work(&self) -> MutexGuard<'_, BTreeSet<OperationId>> {
        self.at_work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Goes on with what a process before this one was at.
    fn resume(self: &Arc<Self>) {
        let open = self.journal.open_operations();
        let ids: Vec<_> = open.iter().map(Record::id).collect();
        self.folder.keep_packages(&ids);
        for record in open {
            tracing::info!(operation = %record.id(), begun = record.begun_on.is_some(), "going on with an operation");
            self.clone().start(record, None);
        }
    }

    /// Asks for due operations, again and again.
    async fn claim_on(self: &Arc<Self>) {
        let mut pauses = Pauses::default();
        loop {
            let free = self.free_places().await;
            let asked = Moment::now(&*self.clock);
            match self.claim(free, WAIT_SECONDS).await {
                Ok(claim) => {
                    let is_empty = claim.operations.is_empty();
                    match self.take_on(claim, asked).await || is_empty {
                        true => pauses = Pauses::default(),
                        false => {
                            let text = "nothing of what was granted is begun";
                            pauses.pause(self, text).await;
                        }
                    }
                }
                Err(error) => pauses.pause_after(self, &error).await,
            }
        }
    }

    /// How many operations may be taken on now; waits until there is one.
    async fn free_places(&self) -> usize {
        loop {
            let ended = self.ended.notified();
            let is_writable = self.journal.is_writable().await;
            let trouble =
                (!is_writable).then(|| "The journal cannot be written: nothing is begun.".to_owned());
            self.status.trouble(Trouble::Journal, trouble);
            let places = self.places();
            if places > 0 && is_writable {
                return places;
            }
            tokio::select! {
                () = ended => {}
                () = self.clock.pause(BUDGET_PAUSE) => {}
            }
        }
    }

    /// How many operations may be taken on now: as many as there are places, and as many as may be begun in this hour.
    fn places(&self) -> usize {
        let at_work = self.at_work().clone();
        let records = at_work.iter().filter_map(|id| self.journal.record(*id));
        let unbegun = records.filter(|record| record.begun_on.is_none()).count();
        let begun = self.journal.begun_since(self.clock.now() - HOUR);
        let budget = self
            .config
            .policy
            .max_starts_per_hour
            .saturating_sub(begun + unbegun);
        budget.min(self.config.parallel.saturating_sub(at_work.len()))
    }

    async fn claim(&self, free: usize, wait_seconds: u32) -> Result<Claim, Error> {
        // What was given up is named too: who is told of it again would hold it anew, and it would never end.
        let given_up = self.journal.given_up();
        let known: BTreeSet<_> = self.at_work().iter().copied().chain(given_up).collect();
        let request = ClaimRequest {
            max: u32::try_from(free).unwrap_or(MOST_CLAIMED).min(MOST_CLAIMED),
            wait_seconds,
            holding: known.into_iter().map(|id| id.0).collect(),
            kinds: KINDS.map(|kind| kind.to_string()).into(),
        };
        let claim = self.caller.now().claim_operations(&request).await;
        self.note(claim.as_ref().err());
        claim
    }

    /// Remembers how the last request went, for those who watch the agent.
    fn note(&self, error: Option<&Error>) {
        if error.is_some() {
            self.status.service_errors.fetch_add(1, Ordering::Relaxed);
        }
        let told = error.map(|error| format!("The service: {}", self.told_of(error)));
        self.status.trouble(Trouble::Service, told);
    }

    /// What was in the way, for the agent's operator.
    fn told_of(&self, error: &Error) -> String {
        // Whoever signs in with Microsoft Entra has no token of the service's.
        let is_enrolled = self.config.service.identity.is_none();
        match error.refusal(StatusCode::UNAUTHORIZED) {
            Some(_) if is_enrolled => UNKNOWN_TOKEN.to_owned(),
            _ => self.redactor.redact(&Chain(error).to_string()),
        }
    }

    /// Takes on what was claimed, and says whether any of it may be begun. What the journal knows is not begun a second
    /// time, whoever says so.
    async fn take_on(self: &Arc<Self>, claim: Claim, asked: Moment) -> bool {
        let mut any_begins = false;
        let mut seen = BTreeSet::new();
        // One line for all: a claim may hold any number of them.
        let mut left = BTreeMap::<_, usize>::new();
        for claimed in &claim.operations {
            if !seen.insert(claimed.operation_id) {
                continue;
            }
            match self.take_one_on(claimed, asked).await {
                Ok(begins) => any_begins |= begins,
                Err(why) => *left.entry(why).or_default() += 1,
            }
        }
        for (why, operations) in left {
            tracing::warn!(operations, "not taken on: {why}");
        }
        any_begins
    }

    /// Whether this one may be begun; why not if it is not even taken on.
    async fn take_one_on(
        self: &Arc<Self>,
        claimed: &ClaimedOperation,
        asked: Moment,
    ) -> Result<bool, String> {
        let id = OperationId(claimed.operation_id);
        if self.at_work().contains(&id) {
            return Ok(false);
        }
        if let Some(known) = self.journal.record(id) {
            return Ok(self.take_on_again(known, claimed, asked));
        }
        if is_oversized(claimed) {
            return Err(format!("a text has more than {LONGEST_NAME} letters"));
        }
        if self.places() == 0 {
            return Err("more was granted than was asked for".to_owned());
        }
        // What is not in the journal, the service tells of again once it can be written.
        let taken = self.journal.take(claimed, self.clock.now()).await;
        taken.map_err(|error| error.to_string())?;
        let Some(record) = self.journal.record(id) else {
            return Ok(false);
        };
        let served = self.environments.get(&claimed.environment.key());
        let begins = self.allowed(&record, served).is_ok();
        self.clone().start(record, Some(asked));
        Ok(begins)
    }

    /// The service grants what is in the journal. What has not ended is gone on with; of what has, it is told once more how
    /// that was, and nothing is done. Whether it is gone on with.
    fn take_on_again(self: &Arc<Self>, known: Record, claimed: &ClaimedOperation, asked: Moment) -> bool {
        let id = known.id();
        match known.ended.clone() {
            None if known.is_told => {
                tracing::warn!(operation = %id, "an operation that was given up is not begun again");
                false
            }
            None => {
                self.clone().start(known, Some(asked));
                true
            }
            Some(ended) => {
                tracing::warn!(operation = %id, "an operation that has ended is not begun again");
                let finish = Finish {
                    lease_id: claimed.lease_id,
                    ..ended
                };
                let agent = self.clone();
                self.works.spawn(async move { agent.tell(id, &finish).await });
                false
            }
        }
    }

    /// Carries an operation out in a task of its own. `asked` is when it was claimed, if that was by this process.
    fn start(self: Arc<Self>, record: Record, asked: Option<Moment>) {
        let id = record.id();
        self.at_work().insert(id);
        self.status.running.fetch_add(1, Ordering::Relaxed);
        let agent = self.clone();
        self.works.spawn(async move {
            let carried = AssertUnwindSafe(agent.carry(record, asked)).catch_unwind().await;
            if carried.is_err() {
                // Nobody knows how far it got: it is as if the agent had gone, for this operation alone.
                tracing::error!(operation = %id, "it broke: it is gone on with when it is claimed again");
            }
            agent.folder.forget_package(id);
            agent.status.running.fetch_sub(1, Ordering::Relaxed);
            agent.at_work().remove(&id);
            agent.ended.notify_one();
        });
    }

    async fn carry(&self, record: Record, asked: Option<Moment>) {
        let id = record.id();
        let key = record.claimed.environment.key();
        let served = self.environments.get(&key);
        let ended = match record.ended.clone() {
            Some(finish) => Some((finish, turn_of(served).await)),
            None => {
                let left = Notify::new();
                tokio::select! {
                    ended = self.carry_out(&record, served, asked, &left) => ended,
                    () = left.notified() => {
                        tracing::info!(operation = %id, "an operation that only waits is gone on with at the next start");
                        return;
                    }
                }
            }
        };
        let Some((finish, turn)) = ended else {
            // It is as if the agent had gone; the service finds that out by itself.
            _ = self.journal.tell(id).await;
            return;
        };
        self.tell(id, &finish).await;
        drop(turn);
        // Nobody reads changes any more once the agent stops.
        _ = self.changed.send(key);
    }

    /// How it ended, as it is in the journal, and the environment's turn; nothing where the agent is to fall silent.
    async fn carry_out<'s>(
        &self,
        record: &Record,
        served: Option<&'s Served>,
        asked: Option<Moment>,
        left: &Notify,
    ) -> Option<(Finish, Option<Turn<'s>>)> {
        let (progress, told) = watch::channel(Progress::default());
        let lease = Lease::new(self, &record.claimed, asked, told);
        if served.is_some_and(|served| served.driver.falls_silent()) {
            self.clock.reach(lease.ends_on()).await;
            return None;
        }
        let ending = async {
            lease.hold().await;
            // Until it is this operation's turn, the lease may have to be renewed several times.
            let has_to_wait = served.is_some_and(|served| served.at_work.try_lock().is_err());
            let turn = turn_of(served).await;
            if has_to_wait && self.leaving.is_cancelled() {
                // The one before it may have been left, and it must not overtake that.
                left.notify_one();
                return future::pending().await;
            }
            let count = || served.map(|served| served.turns.fetch_add(1, Ordering::SeqCst));
            count();
            let outcome = self.outcome(record, served, &lease, progress, left).await;
            count();
            let outcome = outcome?;
            let has_succeeded = outcome == Outcome::Succeeded;
            let finish = self.finish(record, outcome);
            if let Err(error) = self.journal.end(record.id(), &finish).await {
                tracing::error!(operation = %record.id(), "{error}");
            }
            if has_succeeded {
                lease.tell_last().await;
            }
            Some((finish, turn))
        };
        tokio::select! {
            ended = ending => ended,
            never = lease.renew_on() => match never {},
        }
    }

    /// What is asked for, and where, unless it cannot be understood or this agent may not begin it.
    fn allowed<'s>(
        &self,
        record: &Record,
        served: Option<&'s Served>,
    ) -> Result<(Work, &'s Served), Failure> {
        let key = record.claimed.environment.key();
        let unserved = || Failure::misconfigured(format!("The agent does not serve {key}."));
        let work = work::understood(&record.claimed)?;
        let served = served.ok_or_else(unserved)?;
        if record.begun_on.is_none() {
            self.config.policy.check(&work)?;
        }
        Ok((work, served))
    }

    /// How it ended. Nothing where something was begun that this agent cannot even watch any more: whoever falls silent is
    /// taken for lost, and the environment is held until somebody has looked.
    async fn outcome(
        &self,
        record: &Record,
        served: Option<&Served>,
        lease: &Lease<'_>,
        progress: watch::Sender<Progress>,
        left: &Notify,
    ) -> Option<Outcome> {
        let (id, is_begun) = (record.id(), record.begun_on.is_some());
        let (work, served) = match self.allowed(record, served) {
            Ok(known) => known,
            Err(failure) if is_begun => {
                tracing::error!(operation = %id, "what was begun cannot be watched any more: {failure}");
                return None;
            }
            Err(failure) => {
                let text = format!("{} Nothing was started.", failure.text);
                return Some(Outcome::Failed(Failure { text, ..failure }, None));
            }
        };
        tracing::info!(operation = %id, app = %work.app_id, kind = %work.kind, target = work.target_text(), "an operation begins");
        let package = record.claimed.package.as_ref();
        if package.is_some_and(|package| package.differs_elsewhere) {
            tracing::warn!(
                operation = %id, app = %work.app_id, target = work.target_text(),
                "another country has other bytes of this version, which Business Central online refuses"
            );
        }
        let driver = served.settings.driver.name();
        let may_begin = || {
            self.config.policy.check(&work)?;
            begun_by(record, driver)?;
            match lease.is_held() {
                true => Ok(()),
                false => Err(Failure::new(
                    FailureCause::TimeOut,
                    "The service has given the operation up, so nothing is begun any more.",
                )),
            }
        };
        let place = Place {
            work: &work,
            driver,
            journal: &self.journal,
            folder: &self.folder,
            caller: &self.caller,
            clock: &*self.clock,
            redactor: &self.redactor,
            package: OnceCell::new(),
            max_package_bytes: self.config.max_package_bytes,
            signers: &self.config.policy.signers,
            progress,
            may_begin: &may_begin,
            leaving: &self.leaving,
            left,
        };
        let bench = work::Bench {
            driver: &*served.driver,
            clock: &*self.clock,
            patience: Patience {
                verify: self.config.spans.verify_within,
                watch: self.config.spans.watch_within,
            },
        };
        Some(bench.carry_out(&work, &place).await)
    }

    fn finish(&self, record: &Record, outcome: Outcome) -> Finish {
        let lease_id = record.claimed.lease_id;
        let mut finish = Finish {
            lease_id,
            status: String::new(),
            error_message: None,
            failure_cause: None,
            installed_version: None,
        };
        match outcome {
            Outcome::Succeeded => {
                finish.status = "Succeeded".into();
                finish.installed_version = record.claimed.target_version.clone();
            }
            Outcome::Failed(failure, installed) => {
                finish.status = "Failed".into();
                finish.error_message = Some(self.text(&failure.to_string()));
                finish.failure_cause = Some(failure.cause.to_string());
                finish.installed_version = installed.map(|version| version.to_string());
            }
            Outcome::Skipped(reason, installed) => {
                finish.status = "Skipped".into();
                finish.error_message = Some(self.text(&reason));
                finish.installed_version = installed.map(|version| version.to_string());
            }
        }
        finish
    }

    /// A text as it may leave the machine: its end, if it is too long, where the reason usually is.
    fn text(&self, text: &str) -> String {
        let text = self.redactor.redact(text);
        let from = text.ceil_char_boundary(text.len().saturating_sub(LONGEST_MESSAGE));
        text.get(from..).unwrap_or_default().to_owned()
    }

    /// Tells the service how an operation ended, until it knows.
    async fn tell(&self, id: OperationId, finish: &Finish) {
        let give_up = self.clock.now() + TELL_FOR;
        let mut pauses = Pauses::default();
        loop {
            let told = {
                let _in_order = self.in_order.read().await;
                self.caller.now().finish_operation(id, finish).await
            };
            match told {
                Ok(finished) => {
                    self.note(None);
                    let claimed = self.journal.record(id).map(|record| record.claimed);
                    log::ended(id, claimed.as_ref(), finish, &finished.status);
                    break;
                }
                Err(error) if is_answer(&error) => {
                    // It came too late, or the service does not know the operation any more: it has heard it all the same.
                    self.note(None);
                    tracing::warn!(operation = %id, status = finish.status, "the end of an operation was not taken: {}", Chain(&error));
                    break;
                }
                Err(error) if self.clock.now() >= give_up => {
                    tracing::error!(operation = %id, "the end of an operation cannot be told: {}", Chain(&error));
                    return;
                }
                Err(error) => {
                    self.note(Some(&error));
                    pauses.pause_after(self, &error).await;
                }
            }
        }
        let counted = match finish.status.as_str() {
            "Succeeded" => &self.status.succeeded,
            "Failed" => &self.status.failed,
            _ => &self.status.skipped,
        };
        counted.fetch_add(1, Ordering::Relaxed);
        if let Err(error) = self.journal.tell(id).await {
            tracing::error!(operation = %id, "{error}");
        }
    }

    /// Takes on nothing more but what was granted in an answer that nobody read, and waits for what is being carried out.
    async fn stop(self: &Arc<Self>) {
        tracing::info!(
            "stopping: {} operations are being carried out",
            self.at_work().len()
        );
        let asked = Moment::now(&*self.clock);
        if let Ok(claim) = self.claim(0, 0).await {
            self.take_on(claim, asked).await;
        }
        self.works.close();
        self.leaving.cancel();
        tokio::select! {
            () = self.works.wait() => {}
            () = self.clock.pause(self.config.spans.stop_within) => {
                tracing::warn!("{} operations are gone on with at the next start", self.at_work().len());
            }
        }
        self.stopping.cancel();
    }

    /// Signs in with another token from now on.
    fn sign_in_with(&self, token: &SecretString) -> Result<(), ServiceError> {
        let credentials = client::Credentials::Token(token.clone());
        self.redactor.learn(token.clone());
        self.caller
            .replace(service::client(&self.config.service, credentials)?);
        Ok(())
    }
}

/// Whether any of its texts is longer than a name can be: nothing of the kind is written down.
fn is_oversized(claimed: &ClaimedOperation) -> bool {
    let texts = [
        &claimed.kind,
        &claimed.environment.application_family,
        &claimed.environment.name,
        &claimed.environment_type,
        &claimed.country_code,
        &claimed.sync_mode,
    ];
    let optional = [
        &claimed.source_version,
        &claimed.target_version,
        &claimed.app_name,
        &claimed.app_publisher,
        &claimed.language_id,
    ];
    let digest = claimed.package.as_ref().map(|package| &package.sha256);
    texts
        .into_iter()
        .chain(optional.into_iter().flatten())
        .chain(digest)
        .any(|text| text.chars().nth(LONGEST_NAME).is_some())
}

/// Waits until no other operation is carried out there.
async fn turn_of(served: Option<&Served>) -> Option<Turn<'_>> {
    match served {
        Some(served) => Some(served.at_work.lock().await),
        None => None,
    }
}

/// Makes sure that what was begun by one driver is not gone on with by another, which does not know its marks.
fn begun_by(record: &Record, driver: &str) -> Result<(), Failure> {
    match record.begun_by.as_deref().filter(|begun_by| *begun_by != driver) {
        Some(begun_by) => Err(Failure::misconfigured(format!(
            "It was begun by the driver '{begun_by}', and the environment has the driver '{driver}' now."
        ))),
        None => Ok(()),
    }
}

/// Whether the service has understood and will not say anything else if it is asked again.
pub(crate) fn is_answer(error: &Error) -> bool {
    [
        StatusCode::BAD_REQUEST,
        StatusCode::NOT_FOUND,
        StatusCode::CONFLICT,
        StatusCode::GONE,
        StatusCode::PAYLOAD_TOO_LARGE,
        StatusCode::UNPROCESSABLE_ENTITY,
    ]
    .iter()
    .any(|status| error.refusal(*status).is_some())
}
