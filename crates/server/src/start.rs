//! Starting and stopping: opening what is kept, refusing what cannot work, and draining before the end.

use crate::{
    actions::{
        self, Service, agents::LookUps, clock_check::ClockCheck, customers::changes::Changes,
        execution::WaitingClaims, forecasts::Forecasts, readiness::Agents, sweep,
        upload_places::UploadPlaces, webhooks::Resealed,
    },
    blobs::{Blobs, StorageLocation},
    clock::{Clock, wall_seconds},
    config::{Loaded, Location, RetentionSettings, Settings, Severity},
    destinations::Connector,
    error::Error,
    free_space,
    http::{
        concurrency::ConcurrencyLimiter, extract::AppState, places::Places, request_info::Scheme,
        router::router,
    },
    jobs::{
        claims,
        events::{Delivery, TelemetryLog, Webhooks},
        feed, gauges, leases, missing, retention, rollouts, signals, sweeper, webhooks,
    },
    private,
    secrets::KeyRing,
    telemetry,
};
use auth::Authenticator;
use axum::{Extension, Router};
use domain::{chain::Chain, instant::Instant, zone::AddedZone};
use std::{
    fs::{self, File},
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use store::wakeup::Wakeup;
use store::{Db, apps::locations_in_use, transfer::find_import};
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument;

/// How many times as long as an upload may be behind another waits for its place: until those are gone that do nothing.
const WAITS_FOR_PLACE: u32 = 2;

/// How long a service that stops may take to tell of what has happened.
const FAREWELL: Duration = Duration::from_secs(5);

/// Why the service does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The settings cannot be.
    #[error("{}", .0.join("\n"))]
    Settings(Vec<String>),
    /// Another process works on the same folder.
    #[error("another process is using {}", .0.display())]
    InUse(PathBuf),
    /// Another process may reach the database by another name without either knowing of the other.
    #[error(
        "the database {} has several names (hard links), by which several processes could use it at once; remove the others", .0.display()
    )]
    SeveralNames(PathBuf),
    /// A location that holds packages is not configured any more.
    #[error(
        "packages are stored in the location '{0}', which is not configured any more; configure it again under storage.locations"
    )]
    LocationGone(String),
    /// The data folder or a storage location cannot be used.
    #[error("{what}")]
    Files {
        /// What was tried.
        what: String,
        /// Why it did not work.
        source: io::Error,
    },
    /// The database cannot be opened or brought up to date.
    #[error("database")]
    Database(#[source] store::OpenError),
    /// What an earlier process left behind cannot be settled.
    #[error("what an earlier process left behind cannot be settled")]
    Unsettled(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The database holds only a part of a service.
    #[error(
        "an import into the database has not finished: run 'fame import' again to finish it, or begin with an empty database"
    )]
    ImportUnfinished,
    /// Something is kept under a key that is not there.
    #[error("{0}: name its file again under secrets.keys; what is kept under it cannot be read without it")]
    SecretKey(String),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// Which address.
        address: String,
        /// Why not.
        source: io::Error,
    },
}

/// The service, started: its APIs are ready to be served, its jobs are running.
pub struct Server {
    state: Arc<AppState>,
    telemetry: Arc<Delivery<TelemetryLog>>,
    stop: CancellationToken,
    tasks: TaskTracker,
    /// Held as long as this process works on what belongs to one process.
    _locks: Vec<File>,
}

impl Server {
    /// Opens what is kept, settles what a crash left behind, and starts the jobs.
    ///
    /// # Errors
    /// Everything that would keep the service from working.
    pub async fn start(settings: Settings, clock: Clock) -> Result<Self, StartError> {
        let settings = Arc::new(settings);
        settings.time_zones.added.iter().for_each(AddedZone::add);
        let locks = lock_for_one(&settings)?;
        let secrets = read_keys(&settings)?;
        let connector = Connector::new(settings.destinations.clone())
            .map_err(|error| StartError::Settings(vec![format!("TLS cannot be used: {error}")]))?;
        let blobs = Blobs::open(&settings).map_err(|error| StartError::Files {
            what: "storage locations".into(),
            source: error.into(),
        })?;
        let db = store::open(&settings.database)
            .await
            .map_err(StartError::Database)?;
        warn_of_what_is_open(&settings);
        for shortage in free_space::shortages(&settings) {
            tracing::warn!("uploads and what adds rows are refused: {shortage}");
        }
        refuse_unfinished_import(&db).await?;
        let authenticator = Authenticator::new(&settings.identity, Arc::new(wall_seconds))
            .map_err(|problems| StartError::Settings(problems.iter().map(ToString::to_string).collect()))?;
        let service = Arc::new(Service {
            db,
            blobs: Arc::new(blobs),
            clock,
            clock_check: ClockCheck::default(),
            settings: Arc::clone(&settings),
            wakeup: Wakeup::default(),
            waiting: WaitingClaims::default(),
            emitted: Wakeup::default(),
            feed: Default::default(),
            deliveries: Wakeup::default(),
            connector,
            secrets,
            uploads: UploadPlaces::new(
                settings.packages.concurrent_uploads,
                WAITS_FOR_PLACE * settings.packages.upload_idle,
            ),
            forecasts: Forecasts::default(),
            enrolments: LookUps::of_enrolments(),
            leaks: LookUps::of_leaks(),
            exchanges: Default::default(),
            plans: Default::default(),
            customers_changes: Changes::default(),
            changes: TaskTracker::new(),
        });
        check_locations(&service).await?;
        check_secrets(&service).await?;
        settle(&service).await?;
        let state = Arc::new(AppState {
            concurrency: ConcurrencyLimiter::new(&settings.limits),
            operators: settings.operators.principals.clone(),
            inventories: Places::new(),
            service,
            authenticator,
        });
        Ok(Self::with_jobs(state, locks))
    }

    fn with_jobs(state: Arc<AppState>, locks: Vec<File>) -> Self {
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let service = &state.service;
        let sweeping = sweeper::run(Arc::clone(service), grace_at_start(service), stop.clone());
        tasks.spawn(sweeping.instrument(job("sweeper")));
        tasks.spawn(signals::run(Arc::clone(service), stop.clone()).instrument(job("signals")));
        tasks.spawn(missing::run(Arc::clone(service), stop.clone()).instrument(job("missing")));
        if service.settings.retention != RetentionSettings::default() {
            tasks.spawn(retention::run(Arc::clone(service), stop.clone()).instrument(job("retention")));
        }
        if service.settings.metrics.listen.is_some() {
            telemetry::metrics::begin(service.blobs.all().map(StorageLocation::name));
            tasks.spawn(gauges::run(Arc::clone(service), stop.clone()).instrument(job("metrics")));
        }
        tasks.spawn(claims::run(Arc::clone(service), stop.clone()).instrument(job("claims")));
        let delivery = Arc::new(Delivery::new(Arc::clone(service), TelemetryLog));
        let (delivering, delivery_stop) = (Arc::clone(&delivery), stop.clone());
        tasks.spawn(async move { delivering.run(delivery_stop).await }.instrument(job("events")));
        let telling = Delivery::new(Arc::clone(service), Webhooks(Arc::clone(service)));
        let telling_stop = stop.clone();
        tasks.spawn(async move { telling.run(telling_stop).await }.instrument(job("events")));
        tasks.spawn(feed::run(Arc::clone(service), stop.clone()).instrument(job("feed")));
        tasks.spawn(rollouts::run(Arc::clone(service), stop.clone()).instrument(job("rollouts")));
        tasks.spawn(webhooks::run(Arc::clone(service), stop.clone()).instrument(job("webhooks")));
        tasks.spawn(leases::run(Arc::clone(service), stop.clone()).instrument(job("leases")));
        Self {
            state,
            telemetry: delivery,
            stop,
            tasks,
            _locks: locks,
        }
    }

    /// All APIs, as they are reached by http or, with TLS in front, by https.
    pub fn router(&self, scheme: &'static str) -> Router {
        router(Arc::clone(&self.state)).layer(Extension(Scheme(scheme)))
    }

    /// Where Prometheus reads the metrics; for a listener that callers do not reach.
    pub fn metrics_router(&self) -> Router {
        telemetry::metrics::router()
    }

    /// The clock of the service.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.state.service.clock
    }

    /// Ends and removes all whose time is over, before the clock moves on. Agents that have something to report do so first.
    ///
    /// # Errors
    /// What stood in the way, as text for people.
    pub async fn catch_up(&self) -> Result<(), String> {
        let ended = actions::execution::end_lost(&self.state.service).await;
        ended.map_err(|error| Chain(&error).to_string())?;
        let after = self.state.service.settings.agents.remove_missing_after;
        let missing = actions::inventory::remove_missing(&self.state.service, after).await;
        missing.map_err(|error| Chain(&error).to_string())?;
        let forgotten = actions::feed::forget(&self.state.service).await;
        forgotten.map_err(|error| Chain(&error).to_string())?;
        let stepped = actions::rollouts::step_due(&self.state.service).await;
        stepped.map_err(|error| Chain(&error).to_string())?;
        let removed = actions::retention::remove_all(&self.state.service).await;
        removed.map(drop).map_err(|error| Chain(&error).to_string())
    }

    /// The first instant after `after` at which there is something to do: work to start, a lease that ends, or a rollout to look
    /// at.
    ///
    /// # Errors
    /// What stood in the way, as text for people.
    pub async fn next_instant(&self, after: Instant) -> Result<Option<Instant>, String> {
        let text = |error| Chain(&error).to_string();
        let next = actions::execution::next_instant(&self.state.service, after).await;
        let step = actions::rollouts::next_step(&self.state.service)
            .await
            .map_err(text)?;
        let step = step.filter(|step| *step > after);
        Ok(next.map_err(text)?.into_iter().chain(step).min())
    }

    /// Lets no claim wait and nobody listen any more, and waits until every upload whose sender has gone has its end, but not longer than
    /// `within`. An upload that is left then is given up after the time of grace. What agents carry out goes on.
    pub async fn drain(&self, within: Duration) {
        self.state.service.waiting.close();
        self.state.service.feed.close();
        let all_ended = self.state.service.uploads.all_ended();
        if tokio::time::timeout(within, all_ended).await.is_err() {
            tracing::warn!("some uploads were still under way when the time to drain was over");
        }
    }

    /// Ends the jobs, each after what it is doing this moment, waits for changes whose callers have gone, and tells of
    /// what happened until then.
    pub async fn stop(&self) {
        self.stop.cancel();
        let changes = &self.state.service.changes;
        for tasks in [&self.tasks, changes] {
            tasks.close();
            tasks.wait().await;
        }
        match tokio::time::timeout(FAREWELL, self.telemetry.catch_up()).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => {
                tracing::warn!(error = %Chain(&error), "some events will be delivered when a service runs next")
            }
            Err(_) => tracing::warn!(
                "there was no time to deliver all events; the rest will be when a service runs next"
            ),
        }
    }
}

/// Says so where nothing of what is asked for is carried out.
async fn warn_where_nobody_executes(service: &Service) {
    if let Some(objection) = Agents::of(service).await.objection() {
        tracing::warn!("{objection} See docs/agents/README.md.");
    }
}

/// Says which of the service's folders and files others may read or change.
fn warn_of_what_is_open(settings: &Settings) {
    let folders = settings.storage.locations.iter().filter_map(Location::folder);
    let database = settings.database.url.sqlite_path();
    let files = ["", "-wal", "-shm"].into_iter().filter_map(|end| {
        let mut path = database.clone()?.into_os_string();
        path.push(end);
        Some(PathBuf::from(path))
    });
    let folders = folders
        .map(Path::to_owned)
        .chain([settings.server.data_dir.clone()]);
    folders.chain(files).for_each(|path| private::warn_if_open(&path));
}

/// Holds the data folder and the database file where the database is SQLite: both belong to one process. Servers that
/// share a PostgreSQL may share a folder for packages too.
pub(crate) fn lock_for_one(settings: &Settings) -> Result<Vec<File>, StartError> {
    if settings.database.url.sqlite_path().is_none() {
        return Ok(Vec::new());
    }
    let folder = lock_folder(&settings.server.data_dir)?;
    let database = lock_database(settings)?;
    Ok(database.into_iter().chain([folder]).collect())
}

/// Makes the data folder, and holds it.
pub(crate) fn lock_folder(folder: &Path) -> Result<File, StartError> {
    let failed = |source| StartError::Files {
        what: format!("data folder {}", folder.display()),
        source,
    };
    private::make_folder(folder).map_err(failed)?;
    hold(&folder.join("fame.lock"), folder)
}

/// Holds the database where it is a file, by whichever path it was reached: by a file beside it, because whoever closes
/// another handle of the database file itself takes SQLite's own locks away.
pub(crate) fn lock_database(settings: &Settings) -> Result<Option<File>, StartError> {
    let Some(database) = settings.database.url.sqlite_path() else {
        return Ok(None);
    };
    let failed = |source| StartError::Files {
        what: format!("database {}", database.display()),
        source,
    };
    let real = real_path(&database).map_err(failed)?;
    if has_several_names(&real).map_err(failed)? {
        return Err(StartError::SeveralNames(real));
    }
    let mut beside = real.clone().into_os_string();
    beside.push(".lock");
    hold(Path::new(&beside), &real).map(Some)
}

/// Whether a file can be reached by another name, beside which another lock would lie.
#[cfg(unix)]
fn has_several_names(file: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    Ok(file.metadata()?.nlink() > 1)
}

/// Not to be had from the standard library.
#[cfg(not(unix))]
fn has_several_names(_: &Path) -> io::Result<bool> {
    Ok(false)
}

/// The path of a file without links. The file is made where it is not there yet: a link may lead to where it will be.
fn real_path(file: &Path) -> io::Result<PathBuf> {
    if !file.exists() {
        private::options().append(true).create(true).open(file)?;
    }
    file.canonicalize()
}

fn hold(lock: &Path, what: &Path) -> Result<File, StartError> {
    let failed = |source| StartError::Files {
        what: format!("lock {}", lock.display()),
        source,
    };
    // A link planted here would have another file locked or emptied; opening a pipe would never end.
    let is_strange = fs::symlink_metadata(lock).is_ok_and(|found| !found.is_file());
    if is_strange {
        return Err(failed(io::Error::other("it is there and is no plain file")));
    }
    let file = private::options()
        .append(true)
        .create(true)
        .open(lock)
        .map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(StartError::InUse(what.to_owned())),
        Err(std::fs::TryLockError::Error(source)) => Err(failed(source)),
    }
}

async fn refuse_unfinished_import(db: &Db) -> Result<(), StartError> {
    match find_import(db).await {
        Ok(Some(import)) if import.ended_on.is_none() => Err(StartError::ImportUnfinished),
        Ok(_) => Ok(()),
        Err(error) => Err(StartError::Database(error.into())),
    }
}

async fn check_locations(service: &Service) -> Result<(), StartError> {
    let in_use = locations_in_use(&service.db).await;
    let in_use = in_use.map_err(|error| StartError::Database(error.into()))?;
    match in_use
        .into_iter()
        .find(|name| service.blobs.location(name).is_none())
    {
        Some(name) => Err(StartError::LocationGone(name)),
        None => Ok(()),
    }
}

fn read_keys(settings: &Settings) -> Result<Arc<KeyRing>, StartError> {
    let read = KeyRing::read(&settings.secrets.keys);
    read.map(Arc::new).map_err(|problems| {
        let named = problems.iter().map(|problem| format!("secrets.keys: {problem}"));
        StartError::Settings(named.collect())
    })
}

/// Makes sure that everything that is kept sealed can be opened.
async fn check_secrets(service: &Service) -> Result<(), StartError> {
    let sealed = store::webhooks::all_sealed(&service.db).await;
    let sealed = sealed.map_err(|error| StartError::Database(error.into()))?;
    let unreadable = sealed
        .iter()
        .find_map(|sealed| service.secrets.check(sealed).err());
    unreadable.map_or(Ok(()), |error| Err(StartError::SecretKey(error.to_string())))
}

/// Seals everything under the first of the keys that is not yet; how much that was. Afterwards the others can be taken away.
/// What was sealed under a key that is gone is removed where that is meant.
///
/// # Errors
/// As for a start; a SQLite database must not be in use.
pub async fn rotate_secrets(settings: &Settings, forgets: bool) -> Result<Resealed, StartError> {
    let _lock = lock_for_one(settings)?;
    let keys = read_keys(settings)?;
    if !keys.can_seal() {
        return Err(StartError::Settings(vec!["secrets.keys names no key".to_owned()]));
    }
    let db = store::open(&settings.database)
        .await
        .map_err(StartError::Database)?;
    let rotated = actions::webhooks::reseal(&db, keys, forgets, Clock::system().now()).await;
    rotated.map_err(|error: Error| StartError::Unsettled(error.into()))
}

/// How old must be what an earlier process left. Where that one has certainly gone, nothing of it need be.
fn grace_at_start(service: &Service) -> Duration {
    match service.settings.database.url.sqlite_path() {
        Some(_) => Duration::ZERO,
        None => service.settings.storage.grace,
    }
}

/// The span of a job: what it says can be told from what requests say.
fn job(name: &'static str) -> tracing::Span {
    tracing::error_span!("job", job = name)
}

async fn settle(service: &Service) -> Result<(), StartError> {
    let swept = sweep::settle(service, grace_at_start(service)).await;
    let swept = swept.map_err(|error: Error| StartError::Unsettled(error.into()))?;
    if swept != sweep::Swept::default() {
        tracing::info!(?swept, "settled what an earlier process left behind");
    }
    Ok(())
}

/// A listener, and the address that it has got: port 0 asks for any.
type Bound = (TcpListener, SocketAddr);
type Listeners = (Option<Bound>, Bound);

async fn listen(address: SocketAddr) -> Result<Bound, StartError> {
    let cannot_listen = |source| StartError::Listen {
        address: address.to_string(),
        source,
    };
    let listener = TcpListener::bind(address).await.map_err(cannot_listen)?;
    let address = listener.local_addr().map_err(cannot_listen)?;
    Ok((listener, address))
}

/// Where callers are served, and operators before them, if they are.
async fn listen_at_both(metrics: Option<SocketAddr>, callers: SocketAddr) -> Result<Listeners, StartError> {
    let metrics = match metrics {
        Some(address) => Some(listen(address).await?),
        None => None,
    };
    Ok((metrics, listen(callers).await?))
}

/// Runs the service in production until `stop`: refuses unfit settings, serves, and drains.
///
/// # Errors
/// Everything that keeps it from starting.
pub async fn run(loaded: Loaded, stop: impl Future<Output = ()> + Send + 'static) -> Result<(), StartError> {
    let problems = loaded.check_production();
    let errors: Vec<_> = problems
        .iter()
        .filter(|problem| problem.severity == Severity::Error)
        .map(ToString::to_string)
        .collect();
    if !errors.is_empty() {
        return Err(StartError::Settings(errors));
    }
    for warning in problems {
        tracing::warn!("{warning}");
    }
    let settings = loaded.settings;
    let address = settings.server.listen;
    let metrics_address = settings.metrics.listen;
    let limits = settings.limits.clone();
    let drain = settings.server.drain;
    let mut stop = std::pin::pin!(stop);
    tokio::select! {
        () = store::wait_while_away(&settings.database) => {}
        () = &mut stop => return Ok(()),
    }
    let server = Server::start(settings, Clock::system()).await?;
    let (metrics_listener, (listener, address)) = match listen_at_both(metrics_address, address).await {
        Ok(listeners) => listeners,
        Err(error) => {
            server.stop().await;
            return Err(error);
        }
    };
    warn_where_nobody_executes(&server.state.service).await;
    tracing::info!(%address, "serving");
    // Requests and uploads get the same time to end, from the moment at which the service is asked to stop.
    let asked = CancellationToken::new();
    let stop = async {
        stop.await;
        asked.cancel();
    };
    let drained = async {
        asked.cancelled().await;
        server.drain(drain).await;
    };
    let served = crate::listen::serve(listener, server.router("http"), &limits, drain, stop);
    let metrics_served = async {
        let Some((listener, address)) = metrics_listener else {
            return;
        };
        tracing::info!(%address, "serving metrics");
        let stop = asked.cancelled();
        crate::listen::serve(listener, server.metrics_router(), &limits, Duration::ZERO, stop).await;
    };
    tokio::join!(served, drained, metrics_served);
    server.stop().await;
    tracing::info!("stopped");
    Ok(())
}
