//! Starting and stopping: opening what is kept, refusing what cannot work, and draining before the end.

use crate::{
    actions::{self, Service, sweep},
    auth::Authenticator,
    blobs::Blobs,
    clock::{Clock, wall_seconds},
    config::{ExecutorKind, Loaded, RetentionSettings, Settings, Severity},
    error::Error,
    http::{context::Scheme, extract::Door, fairness::Fairness, router::router},
    jobs::{executor::Executor, retention, signals, sweeper},
    simulate::Script,
    store::{self, Db, apps::locations_in_use, transfer::find_import},
    work::Work,
};
use axum::{Extension, Router};
use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::{net::TcpListener, sync::Semaphore};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Why the service does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// What it was told cannot be.
    #[error("{}", .0.join("\n"))]
    Settings(Vec<String>),
    /// Another process works on the same folder.
    #[error("another process is using {}", .0.display())]
    InUse(PathBuf),
    /// A location that holds packages is not configured any more.
    #[error(
        "packages are stored in the location '{0}', which is not configured any more; configure it again under storage.locations"
    )]
    LocationGone(String),
    /// The data folder or a storage location cannot be used.
    #[error("{what}: {source}")]
    Files {
        /// What was tried.
        what: String,
        /// Why it did not work.
        source: io::Error,
    },
    /// The database cannot be opened or brought up to date.
    #[error("database: {0}")]
    Database(String),
    /// The database holds only a part of a service.
    #[error(
        "an import into the database has not finished: run 'fame import' again to finish it, or begin with an empty database"
    )]
    ImportUnfinished,
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Which address.
        address: String,
        /// Why not.
        source: io::Error,
    },
}

/// The service, started: its doors are ready to be served, its jobs are running.
pub struct Server {
    door: Arc<Door>,
    executor: Option<Arc<Executor>>,
    stop: CancellationToken,
    tasks: TaskTracker,
    /// Held as long as this process works on what belongs to one process.
    _lock: Option<File>,
}

impl Server {
    /// Opens what is kept, settles what a crash left behind, and starts the jobs. `script` is what the simulated
    /// executor makes of environments, if there is one.
    ///
    /// # Errors
    /// Everything that would keep the service from working.
    pub async fn start(settings: Settings, clock: Clock, script: Script) -> Result<Self, StartError> {
        let settings = Arc::new(settings);
        let lock = lock_for_one(&settings)?;
        let blobs = Blobs::open(&settings).map_err(|source| StartError::Files {
            what: "storage locations".into(),
            source,
        })?;
        let database = store::open(&settings.database).await;
        let db = database.map_err(|error| StartError::Database(error.to_string()))?;
        refuse_unfinished_import(&db).await?;
        let authenticator = Authenticator::new(&settings.identity, Arc::new(wall_seconds))
            .map_err(|problems| StartError::Settings(problems.iter().map(ToString::to_string).collect()))?;
        let service = Arc::new(Service {
            db,
            blobs: Arc::new(blobs),
            clock,
            settings: Arc::clone(&settings),
            work: Work::default(),
            uploads: Arc::new(Semaphore::new(settings.packages.concurrent_uploads)),
        });
        check_locations(&service).await?;
        settle(&service).await?;
        let door = Arc::new(Door {
            fairness: Fairness::new(&settings.limits),
            operators: settings.operators.principals.clone(),
            service,
            authenticator,
        });
        Ok(Self::with_jobs(door, script, lock))
    }

    fn with_jobs(door: Arc<Door>, script: Script, lock: Option<File>) -> Self {
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let service = &door.service;
        tasks.spawn(sweeper::run(Arc::clone(service), stop.clone()));
        tasks.spawn(signals::run(Arc::clone(service), stop.clone()));
        if service.settings.retention != RetentionSettings::default() {
            tasks.spawn(retention::run(Arc::clone(service), stop.clone()));
        }
        let simulates = service.settings.executor.kind == ExecutorKind::Simulate;
        let executor = simulates.then(|| Arc::new(Executor::new(Arc::clone(service), script)));
        if let Some(executor) = executor.clone() {
            tracing::warn!("operations are only simulated: nothing is installed anywhere");
            let stop = stop.clone();
            tasks.spawn(async move { executor.run(stop).await });
        }
        Self {
            door,
            executor,
            stop,
            tasks,
            _lock: lock,
        }
    }

    /// All doors, as they are reached by http or, with TLS in front, by https.
    pub fn router(&self, scheme: &'static str) -> Router {
        router(Arc::clone(&self.door)).layer(Extension(Scheme(scheme)))
    }

    /// The clock of the service.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.door.service.clock
    }

    /// Does all that became due, before the clock moves on.
    ///
    /// # Errors
    /// What stood in the way, as text for people.
    pub async fn catch_up(&self) -> Result<(), String> {
        if let Some(executor) = &self.executor {
            executor.catch_up().await.map_err(|error| error.to_string())?;
        }
        let removed = actions::retention::remove_all(&self.door.service).await;
        removed.map(drop).map_err(|error| error.to_string())
    }

    /// Lets the service's own executor take on nothing more, and waits until all that it carries is reported, but not
    /// longer than `within`. What is left then ends as unknown when its lease does.
    pub async fn drain(&self, within: Duration) {
        let Some(executor) = &self.executor else { return };
        if !executor.drain(within).await {
            tracing::warn!("some operations were still being carried out when the time to drain was over");
        }
    }

    /// Ends the jobs, each after what it is doing this moment.
    pub async fn stop(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// Holds the data folder where SQLite is in it, which belongs to one process. Servers that share a PostgreSQL may share
/// a folder for packages too.
pub(crate) fn lock_for_one(settings: &Settings) -> Result<Option<File>, StartError> {
    if settings.database.url.sqlite_path().is_none() {
        return Ok(None);
    }
    lock_folder(&settings.server.data_dir).map(Some)
}

/// Makes the data folder, and holds it.
pub(crate) fn lock_folder(folder: &Path) -> Result<File, StartError> {
    let failed = |source| StartError::Files {
        what: format!("data folder {}", folder.display()),
        source,
    };
    std::fs::create_dir_all(folder).map_err(failed)?;
    let lock = File::create(folder.join("fame.lock")).map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(std::fs::TryLockError::WouldBlock) => Err(StartError::InUse(folder.to_owned())),
        Err(std::fs::TryLockError::Error(source)) => Err(failed(source)),
    }
}

async fn refuse_unfinished_import(db: &Db) -> Result<(), StartError> {
    match find_import(db).await {
        Ok(Some(import)) if import.ended_on.is_none() => Err(StartError::ImportUnfinished),
        Ok(_) => Ok(()),
        Err(error) => Err(StartError::Database(error.to_string())),
    }
}

async fn check_locations(service: &Service) -> Result<(), StartError> {
    let in_use = locations_in_use(&service.db).await;
    let in_use = in_use.map_err(|error| StartError::Database(error.to_string()))?;
    match in_use
        .into_iter()
        .find(|name| service.blobs.location(name).is_none())
    {
        Some(name) => Err(StartError::LocationGone(name)),
        None => Ok(()),
    }
}

/// Settles what an earlier process left. Where it certainly has gone, everything; otherwise only what is old.
async fn settle(service: &Service) -> Result<(), StartError> {
    let is_alone = service.settings.database.url.sqlite_path().is_some();
    let grace = if is_alone {
        Duration::ZERO
    } else {
        service.settings.storage.grace
    };
    let swept = sweep::sweep(service, grace).await;
    let swept = swept.map_err(|error: Error| StartError::Database(error.to_string()))?;
    if swept != sweep::Swept::default() {
        tracing::info!(?swept, "settled what an earlier process left behind");
    }
    Ok(())
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
    let limits = settings.limits.clone();
    let drain = settings.server.drain;
    let server = Server::start(settings, Clock::system(), Script::new()).await?;
    let cannot_listen = |source| StartError::Listen {
        address: address.to_string(),
        source,
    };
    let listener = TcpListener::bind(address).await.map_err(cannot_listen)?;
    // Port 0 asks for any: what counts is which one it became.
    let address = listener.local_addr().map_err(cannot_listen)?;
    tracing::info!(%address, "serving");
    // Requests and operations get the same time to end, from the moment at which the service is asked to stop.
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
    tokio::join!(served, drained);
    server.stop().await;
    tracing::info!("stopped");
    Ok(())
}
