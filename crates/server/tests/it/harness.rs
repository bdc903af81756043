//! A service of a test's own, started through the same function as in production, and everybody who calls it.
//!
//! Tokens come from a real issuer over loopback http and hold on the machine's time; the service's own clock
//! stands still until a test moves it. Work in environments is simulated and takes one to two seconds of that
//! clock.

mod agents;
mod answer;
mod caller;
mod customers;
mod publishing;
mod replicas;
mod samples;
mod simulator;

pub(crate) use agents::{agent_of, agent_path, agent_registration, identity_of};
pub(crate) use answer::Answer;
pub(crate) use caller::{Caller, Request, principal_body};
pub(crate) use customers::*;
pub(crate) use publishing::*;
pub(crate) use replicas::{Replicas, at_once};
pub(crate) use samples::*;
pub(crate) use test_support::issuer::{
    API, CUSTOMER_TENANTS, HOME_TENANT, PARTNER_TENANT, Person, RESELLER_TENANT, base_url as issuer_url, mint,
};

use agent::{drivers::simulate::Settings as Simulated, simulated::Script};
use domain::{chain::Chain, environment::EnvironmentKey, ids::TenantId, instant::Instant};
use serde_json::{Value, json};
use server::{
    Server,
    clock::Clock,
    config::{Settings, Sources},
};
use simulator::Simulator;
use std::{
    fs::{self, Permissions},
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tempfile::TempDir;
use test_support::{issuer, postgres_cluster};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::OnceCell,
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// When every test begins, unless it says otherwise: a Thursday noon, outside the usual update window.
pub(crate) const NOON: &str = "2020-03-05T12:00:00Z";

/// Where the service keeps its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Backend {
    Sqlite,
    Postgres,
}

/// Makes two tests of each function, one for each database: `async fn test(backend: Backend)`.
macro_rules! on_both_databases {
    ($($test:ident),+ $(,)?) => {
        mod sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    super::$test($crate::harness::Backend::Sqlite).await;
                }
            )+
        }
        mod postgres {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    super::$test($crate::harness::Backend::Postgres).await;
                }
            )+
        }
    };
}
pub(crate) use on_both_databases;

/// What a service is started with.
pub(crate) struct Plan {
    backend: Backend,
    settings: Vec<(String, String)>,
    script: Script,
    simulates: bool,
    now: Instant,
    database_url: Option<String>,
}

impl Plan {
    /// Keeps its rows in this database instead of one of its own.
    pub(crate) fn on_database(mut self, url: &str) -> Self {
        self.database_url = Some(url.into());
        self
    }

    /// Sets a key of the configuration.
    pub(crate) fn setting(mut self, key: &str, value: impl ToString) -> Self {
        self.settings.push((key.into(), value.to_string()));
        self
    }

    /// Trusts the issuer's tokens of these tenants; `applications` says how it knows applications.
    pub(crate) fn trusting(self, tenants: &[Uuid], applications: Value) -> Self {
        let operator = format!("Application:{}@{HOME_TENANT}", Person::OPERATOR.id);
        self.setting("identity.issuers", issuers(tenants, applications))
            .setting("operators.principals", operator)
    }

    /// Starts with this time on the service's clock.
    pub(crate) fn at(mut self, now: &str) -> Self {
        self.now = now.parse().unwrap();
        self
    }

    /// Nobody carries operations out, or agents of the test's own do.
    pub(crate) fn without_simulator(mut self) -> Self {
        self.simulates = false;
        self
    }

    /// Operations in this environment go like this.
    pub(crate) fn simulated(mut self, environment: &Environment, how: Simulated) -> Self {
        let tenant = TenantId(environment.tenant);
        self.script.insert(
            EnvironmentKey::new(tenant, &environment.family, &environment.name),
            how,
        );
        self
    }

    /// Starts the service, with nothing in it.
    pub(crate) async fn start_empty(self) -> Harness {
        let database_url = self.new_database();
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let simulator = self.new_simulator();
        Harness::run(Arc::new(self), folder, database_url, simulator).await
    }

    /// A service that was never started: nothing is there yet but an empty folder and an empty database.
    pub(crate) fn never_started(self) -> Stopped {
        Stopped {
            database_url: self.new_database(),
            folder: Arc::new(tempfile::tempdir().unwrap()),
            simulator: self.new_simulator(),
            plan: Arc::new(self),
        }
    }

    /// Whether the service would start; if not, what it says.
    pub(crate) async fn tries_to_start(self) -> Result<(), String> {
        let database_url = self.new_database();
        let folder = tempfile::tempdir().unwrap();
        tries(&self, folder.path(), &database_url).await
    }

    fn new_simulator(&self) -> Option<Arc<Simulator>> {
        self.simulates
            .then(|| Arc::new(Simulator::new(self.script.clone())))
    }

    fn new_database(&self) -> String {
        match (&self.database_url, self.backend) {
            (Some(url), _) => url.clone(),
            (None, Backend::Sqlite) => "sqlite:{data_dir}/fame.db".to_owned(),
            (None, Backend::Postgres) => postgres_cluster::database_url(),
        }
    }

    /// Starts the service with the app of the samples: registered, with its principals and the country US.
    pub(crate) async fn start(self) -> Harness {
        let service = self.start_empty().await;
        service.settle_in(APP).await;
        service
    }
}

/// A running service.
pub(crate) struct Harness {
    plan: Arc<Plan>,
    folder: Arc<TempDir>,
    database_url: String,
    /// Who carries operations out, if somebody does.
    simulator: Option<Arc<Simulator>>,
    /// As whom they ask this service.
    agent_client: OnceCell<client::Client>,
    server: Server,
    stop: CancellationToken,
    serving: JoinHandle<()>,
    address: SocketAddr,
    client: reqwest::Client,
}

impl Harness {
    /// A service with the app of the samples in it.
    pub(crate) async fn start(backend: Backend) -> Self {
        Self::with(backend).start().await
    }

    /// A service that something is special about.
    pub(crate) fn with(backend: Backend) -> Plan {
        let now = NOON.parse().unwrap();
        Plan {
            backend,
            settings: Vec::new(),
            script: Script::new(),
            simulates: true,
            now,
            database_url: None,
        }
    }

    /// Whether another service would start on the same database and folder; if not, what it says.
    pub(crate) async fn tries_another(&self) -> Result<(), String> {
        tries(&self.plan, self.folder.path(), &self.database_url).await
    }

    /// Starts another service on the same database and folder, with another setting.
    pub(crate) async fn beside(&self, key: &str, value: &str) -> Self {
        let mut settings = self.plan.settings.clone();
        settings.push((key.into(), value.into()));
        let plan = Plan {
            settings,
            script: self.plan.script.clone(),
            database_url: None,
            ..*self.plan
        };
        Self::run(
            Arc::new(plan),
            Arc::clone(&self.folder),
            self.database_url.clone(),
            self.simulator.clone(),
        )
        .await
    }

    async fn run(
        plan: Arc<Plan>,
        folder: Arc<TempDir>,
        database_url: String,
        simulator: Option<Arc<Simulator>>,
    ) -> Self {
        let settings = settings(&plan, folder.path(), &database_url);
        let limits = settings.limits.clone();
        let server = Server::start(settings, Clock::stopped(plan.now)).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let (router, stopped) = (server.router("http"), stop.clone().cancelled_owned());
        let serving = tokio::spawn(async move {
            server::serve(listener, router, &limits, Duration::from_secs(5), stopped).await;
        });
        let client = reqwest::Client::builder()
            .no_proxy()
            .tls_certs_only([])
            .build()
            .unwrap();
        Self {
            plan,
            folder,
            database_url,
            simulator,
            agent_client: OnceCell::new(),
            server,
            stop,
            serving,
            address,
            client,
        }
    }

    /// Where the service keeps what it keeps in files.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn simulator(&self) -> &Simulator {
        self.simulator.as_ref().unwrap()
    }

    /// Ends the service as SIGTERM would, and starts another one on the same data.
    pub(crate) async fn restart(self) -> Self {
        let now = self.server.clock().now();
        let Self {
            plan,
            folder,
            database_url,
            simulator,
            server,
            stop,
            serving,
            ..
        } = self;
        stop.cancel();
        serving.await.unwrap();
        server.stop().await;
        drop(server);
        let again = Self::run(plan, folder, database_url, simulator).await;
        again.server.clock().set(now);
        again
    }

    /// Ends the service without a word: requests under way are cut off, nothing is settled.
    pub(crate) async fn crash(self) -> Stopped {
        let Self {
            plan,
            folder,
            database_url,
            simulator,
            server,
            serving,
            ..
        } = self;
        serving.abort();
        drop(serving.await);
        server.stop().await;
        Stopped {
            plan,
            folder,
            database_url,
            simulator,
        }
    }

    async fn settle_in(&self, app: Uuid) {
        let operator = self.operator().on(app);
        operator.registers_app().await.expect(201);
        let owner = self.owner().on(app);
        for (person, role) in [
            (&Person::CONTRIBUTOR, "Contributor"),
            (&Person::READER, "Reader"),
            (&Person::OWNER_USER, "Owner"),
            (&Person::READER_USER, "Reader"),
        ] {
            owner.grants(person, &[role]).await.expect(200);
        }
        owner.adds_country("US").await.expect(200);
    }

    /// Registers another app, with the same principals and country.
    pub(crate) async fn has_app(&self, app: Uuid) {
        self.settle_in(app).await;
    }

    /// Somebody with a token of their own.
    pub(crate) fn caller(&self, person: &Person) -> Caller {
        self.caller_with_token(issuer::token_of(person))
    }

    /// Somebody who shows this token.
    pub(crate) fn caller_with_token(&self, token: String) -> Caller {
        Caller::new(self.client.clone(), self.base_url(), Some(token))
    }

    /// Somebody without a token.
    pub(crate) fn nobody(&self) -> Caller {
        Caller::new(self.client.clone(), self.base_url(), None)
    }

    /// The application that owns the app.
    pub(crate) fn owner(&self) -> Caller {
        self.caller(&Person::OWNER)
    }

    /// An application that may upload and schedule.
    pub(crate) fn contributor(&self) -> Caller {
        self.caller(&Person::CONTRIBUTOR)
    }

    /// An application that may only look.
    pub(crate) fn reader(&self) -> Caller {
        self.caller(&Person::READER)
    }

    /// An application without any role.
    pub(crate) fn stranger(&self) -> Caller {
        self.caller(&Person::STRANGER)
    }

    /// Whoever runs the service.
    pub(crate) fn operator(&self) -> Caller {
        self.caller(&Person::OPERATOR)
    }

    /// A person who owns the app.
    pub(crate) fn owner_user(&self) -> Caller {
        self.caller(&Person::OWNER_USER)
    }

    /// A person who may only look.
    pub(crate) fn reader_user(&self) -> Caller {
        self.caller(&Person::READER_USER)
    }

    /// `http://127.0.0.1:PORT`
    pub(crate) fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Serves the metrics at an address of their own, as `fame serve` does; which one that is.
    pub(crate) async fn serves_metrics(&self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (router, limits) = (self.server.metrics_router(), self.settings().limits);
        let stopped = self.stop.clone().cancelled_owned();
        tokio::spawn(async move {
            server::serve(listener, router, &limits, Duration::ZERO, stopped).await;
        });
        address
    }

    /// A connection for what no client library would send.
    pub(crate) async fn connection(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// The time on the service's clock.
    pub(crate) fn now(&self) -> Instant {
        self.server.clock().now()
    }

    /// Sets the service's clock, and does what became due.
    pub(crate) async fn moves_clock_to(&self, now: &str) {
        self.server.clock().set(now.parse().unwrap());
        self.catches_up().await;
    }

    /// Lets the clock of the service's machine go wrong by so much, and does what is due.
    pub(crate) async fn its_machine_is_ahead_by(&self, span: Duration) {
        let ticks = i64::try_from(span.as_nanos() / 100).unwrap();
        self.server.clock().go_wrong_by(ticks);
        self.catches_up().await;
    }

    /// Moves the service's clock on, and does what became due.
    pub(crate) async fn advances(&self, span: Duration) {
        self.server.clock().set(self.now() + span);
        self.catches_up().await;
    }

    /// Moves the service's clock on while something is in the way; what it says.
    pub(crate) async fn advances_in_vain(&self, span: Duration) -> String {
        self.server.clock().set(self.now() + span);
        self.tries_to_catch_up().await.unwrap_err()
    }

    /// Moves the service's clock on, and does what became due as far as that can be done.
    pub(crate) async fn advances_as_far_as_possible(&self, span: Duration) {
        self.server.clock().set(self.now() + span);
        drop(self.tries_to_catch_up().await);
    }

    /// Does all that is due now.
    pub(crate) async fn catches_up(&self) {
        self.tries_to_catch_up().await.unwrap();
    }

    /// The same, if nothing is in the way. Agents report first what they have done.
    pub(crate) async fn tries_to_catch_up(&self) -> Result<(), String> {
        if let Some(simulator) = &self.simulator {
            simulator.catch_up(self).await?;
        }
        self.server.catch_up().await
    }

    /// Starts what is due and gives it the time that simulated work takes.
    pub(crate) async fn finishes_work(&self) {
        self.catches_up().await;
        self.advances(Duration::from_secs(2)).await;
    }

    /// What the service was started with.
    pub(crate) fn settings(&self) -> Settings {
        settings(&self.plan, self.folder.path(), &self.database_url)
    }

    /// Lets nobody wait any more and ends uploads that are under way, as before a planned stop.
    pub(crate) async fn drains(&self) {
        self.server.drain(Duration::from_secs(20)).await;
    }

    /// The database of the service, where it is PostgreSQL's.
    pub(crate) fn postgres_url(&self) -> String {
        assert_eq!(self.plan.backend, Backend::Postgres);
        self.database_url.clone()
    }

    /// The folder of a storage location.
    pub(crate) fn location(&self, name: &str) -> PathBuf {
        self.folder
            .path()
            .join("packages")
            .join(name.to_lowercase().replace(' ', "-"))
    }

    /// The packages stored in all locations.
    pub(crate) fn stored_packages(&self) -> Vec<PathBuf> {
        self.files("objects")
    }

    /// The files of uploads that are under way, in all locations.
    pub(crate) fn staged_files(&self) -> Vec<PathBuf> {
        self.files("staging")
    }

    fn files(&self, kind: &str) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for location in fs::read_dir(self.folder.path().join("packages")).unwrap() {
            add_files(&location.unwrap().path().join(kind), &mut found);
        }
        found.sort();
        found
    }

    /// Waits until what the service does on its own shows: `is_so` is asked again and again. There is no other way
    /// to learn that the service noticed a connection that broke.
    pub(crate) async fn until<Asked: Future<Output = bool>>(&self, what: &str, is_so: impl Fn() -> Asked) {
        let asked_for_long = async {
            while !is_so().await {
                tokio::task::yield_now().await;
            }
        };
        let in_time = tokio::time::timeout(Duration::from_secs(20), asked_for_long).await;
        assert!(in_time.is_ok(), "it never came about that {what}");
    }
}

/// A service that has ended, and what it left.
pub(crate) struct Stopped {
    plan: Arc<Plan>,
    folder: Arc<TempDir>,
    database_url: String,
    simulator: Option<Arc<Simulator>>,
}

impl Stopped {
    /// Whoever carried operations out has gone too.
    pub(crate) fn without_simulator(mut self) -> Self {
        self.simulator = None;
        self
    }

    /// What the service kept.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What a service would be started with.
    pub(crate) fn settings(&self) -> Settings {
        settings(&self.plan, self.folder.path(), &self.database_url)
    }

    /// Starts another service on what was left.
    pub(crate) async fn start(self) -> Harness {
        Harness::run(self.plan, self.folder, self.database_url, self.simulator).await
    }

    /// Sets a key of the configuration for the next start.
    pub(crate) fn with(mut self, key: &str, value: &str) -> Self {
        let settings = [self.plan.settings.clone(), vec![(key.into(), value.into())]].concat();
        self.plan = Arc::new(Plan {
            settings,
            script: self.plan.script.clone(),
            database_url: None,
            ..*self.plan
        });
        self
    }

    /// Whether a service would start on what was left; if not, what it says.
    pub(crate) async fn tries_to_start(&self) -> Result<(), String> {
        tries(&self.plan, self.folder.path(), &self.database_url).await
    }

    /// Where the service kept its rows.
    pub(crate) fn database_url(&self) -> String {
        let folder = self.folder.path().to_string_lossy();
        self.database_url.replace("{data_dir}", &folder)
    }
}

/// Whether a service would start; if not, what it says.
async fn tries(plan: &Plan, folder: &Path, database_url: &str) -> Result<(), String> {
    let settings = settings(plan, folder, database_url);
    match Server::start(settings, Clock::stopped(plan.now)).await {
        Ok(server) => {
            server.stop().await;
            Ok(())
        }
        Err(error) => Err(Chain(&error).to_string()),
    }
}

fn add_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            add_files(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// The issuer of all tests, trusted for the home tenant and, at their own door, for customers.
fn all_issuers() -> Value {
    let mut all = issuers(&[HOME_TENANT], json!({}));
    let mut customers = issuers(&CUSTOMER_TENANTS, json!({}));
    customers[0]["doors"] = json!(["customer"]);
    let entries = all.as_array_mut().unwrap();
    entries.push(customers[0].take());
    all
}

/// The issuer of all tests, trusted for these tenants.
pub(crate) fn issuers(tenants: &[Uuid], applications: Value) -> Value {
    let authority = issuer::base_url();
    json!([{
        "kind": "entra",
        "tenants": tenants,
        "audiences": [API, issuer::API_URI],
        "authority": authority,
        "v1_issuer": format!("{authority}/{{tenantid}}/"),
        "applications": applications,
    }])
}

/// The key under which the service keeps secrets.
fn key_in(folder: &Path) -> String {
    let file = folder.join("secret.key");
    if !file.exists() {
        fs::write(&file, [7; 32]).unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    }
    file.to_string_lossy().into_owned()
}

fn settings(plan: &Plan, folder: &Path, database_url: &str) -> Settings {
    let mut overrides: Vec<(String, String)> = [
        ("server.data_dir", folder.to_string_lossy().into_owned()),
        ("database.url", database_url.to_owned()),
        ("database.connections", "4".into()),
        ("identity.issuers", all_issuers().to_string()),
        ("identity.publishers", publishing::issuers().to_string()),
        ("secrets.keys", key_in(folder)),
        ("destinations.allow_loopback", "true".into()),
        ("identity.allow_insecure_loopback", "true".into()),
        (
            "operators.principals",
            format!("Application:{}", Person::OPERATOR.id),
        ),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into();
    overrides.extend(plan.settings.clone());
    let sources = Sources {
        file: None,
        environment: Vec::new(),
        overrides,
    };
    match Settings::load(&sources) {
        Ok(loaded) => loaded.settings,
        Err(problems) => panic!("settings: {problems:?}"),
    }
}
