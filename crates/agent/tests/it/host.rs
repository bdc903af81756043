//! The machine that an agent runs on: its folder, its files, and a clock that goes fast.

use crate::service::{FIRST_TOKEN, Service};
use agent::{
    clock::Clock,
    config::{Config, Problem},
    driver::InstalledApp,
    drivers::{Surroundings, simulate::World},
    folder::{Folder, KeptToken},
    runner::{Agent, StartError},
};
use domain::{
    environment::EnvironmentKey,
    ids::{AppId, TenantId},
    instant::Instant,
    version::AppVersion,
};
use futures::future::BoxFuture;
use std::{fs, net::SocketAddr, os::unix::fs::PermissionsExt, path::PathBuf, sync::Arc, time::Duration};
use tempfile::TempDir;
use tokio::{runtime::Runtime, sync::oneshot};
use uuid::Uuid;
use wire::agent::{AgentToken, ClaimedOperation, ClaimedPackage, EnvironmentName};

pub(crate) const TENANT: Uuid = Uuid::from_u128(0xaaaa_aaaa_0000_1111_2222_bbbb_bbbb_bbbb);
pub(crate) const APP: Uuid = Uuid::from_u128(0xcccc_cccc_0000_1111_2222_dddd_dddd_dddd);
pub(crate) const OLD: AppVersion = AppVersion([16, 0, 0, 5]);
pub(crate) const NEW: AppVersion = AppVersion([16, 0, 1, 2]);

/// A clock on which so many seconds pass in one.
#[derive(Clone)]
pub(crate) struct Hurried {
    times: u32,
    since: tokio::time::Instant,
    /// It breaks when somebody waits for longer than this.
    longest: Duration,
}

impl Clock for Hurried {
    fn now(&self) -> Instant {
        Instant(18_000_000_000_000_000) + self.since.elapsed() * self.times
    }

    fn reach(&self, moment: Instant) -> BoxFuture<'_, ()> {
        let span = moment.since(self.now());
        assert!(span <= self.longest, "nobody waits that long");
        Box::pin(tokio::time::sleep(span / self.times))
    }
}

pub(crate) struct Host {
    home: TempDir,
    pub(crate) world: World,
    pub(crate) clock: Hurried,
    url: String,
    agent: String,
    driver: String,
    environments: Vec<&'static str>,
}

impl Host {
    /// A machine with an agent of this service, which serves the environment `Production` with the old version.
    pub(crate) fn of(service: &Service) -> Self {
        let host = Self {
            home: tempfile::tempdir().unwrap(),
            world: World::default(),
            clock: Hurried {
                times: 100,
                since: tokio::time::Instant::now(),
                longest: Duration::MAX,
            },
            url: service.url.clone(),
            agent: String::new(),
            driver: simulate("takes = \"1s\""),
            environments: vec!["Production"],
        };
        host.policy("allowed_apps = \"any\"");
        host.enrolled(Duration::ZERO)
    }

    pub(crate) fn hurried(mut self, times: u32) -> Self {
        self.clock.times = times;
        self
    }

    /// It works for a service of which nobody hears anything.
    pub(crate) fn of_nobody(mut self) -> Self {
        self.url = "http://127.0.0.1:1".into();
        self
    }

    pub(crate) fn with_agent(mut self, settings: &str) -> Self {
        self.agent = settings.into();
        self
    }

    pub(crate) fn simulating(mut self, settings: &str) -> Self {
        self.driver = simulate(settings);
        self
    }

    /// Its environments are worked on by these scripts for `sh`, in the agent's folder and with these settings besides.
    pub(crate) fn with_scripts(mut self, deploy: &str, inventory: &str, settings: &str) -> Self {
        let script = |name: &str, text: &str| {
            let path = self.path(name);
            fs::write(&path, text).unwrap();
            format!("[\"/bin/sh\", \"{}\"]", path.display())
        };
        self.driver = format!(
            "driver = \"exec\"\n[environment.exec]\ndeploy = {}\ninventory = {}\nfolder = \"{}\"\n{settings}\n",
            script("deploy.sh", deploy),
            script("inventory.sh", inventory),
            self.home.path().display()
        );
        self
    }

    /// Its clock breaks when somebody waits for longer than this.
    pub(crate) fn with_a_clock_that_breaks(mut self, longest: Duration) -> Self {
        self.clock.longest = longest;
        self
    }

    pub(crate) fn serving(mut self, names: &[&'static str]) -> Self {
        self.environments = names.to_vec();
        self
    }

    pub(crate) fn policy(&self, text: &str) {
        let path = self.path("policy.toml");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// As if it had been enrolled so long ago.
    pub(crate) fn enrolled(self, ago: Duration) -> Self {
        self.with_token(ago, "9000-01-01T00:00:00Z".into())
    }

    /// As if it had been enrolled with a token that ends so soon.
    pub(crate) fn with_token_for(self, span: Duration) -> Self {
        let ends = (self.clock.now() + span).to_string();
        self.with_token(Duration::from_secs(89 * 24 * 3_600), ends)
    }

    fn with_token(self, ago: Duration, expires_on: String) -> Self {
        let given = AgentToken {
            name: "north".into(),
            token: FIRST_TOKEN.into(),
            expires_on,
        };
        let folder = Folder::open(&self.path("state")).unwrap();
        folder
            .keep_token(&KeptToken::new(given, self.clock.now() - ago))
            .unwrap();
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    pub(crate) fn config(&self) -> Result<Config, Vec<Problem>> {
        let environments = self.environments.iter().map(|name| {
            format!(
                "[[environment]]\ntenant = \"{TENANT}\"\nname = \"{name}\"\ncountry = \"US\"\ntype = \"Production\"\n{}",
                self.driver
            )
        });
        let text = format!(
            "[service]\nurl = \"{}\"\n[agent]\nfolder = \"state\"\npolicy = \"policy.toml\"\n{}\n{}",
            self.url,
            self.agent,
            environments.collect::<String>()
        );
        let path = self.path("agent.toml");
        fs::write(&path, text).unwrap();
        Config::load(&path)
    }

    pub(crate) fn surroundings(&self) -> Surroundings {
        Surroundings {
            clock: Arc::new(self.clock.clone()),
            simulated: self.world.clone(),
        }
    }

    fn prepares(&self) -> Result<Agent, StartError> {
        Agent::prepare(self.config().unwrap(), &self.surroundings(), false)
    }

    /// Why an agent cannot be started.
    pub(crate) fn refused(&self) -> String {
        self.prepares().err().unwrap().to_string()
    }

    /// Starts the agent.
    pub(crate) fn runs(&self) -> Running {
        let runtime = Runtime::new().unwrap();
        let agent = self.prepares().unwrap();
        let health = agent.health_address();
        let (stop, stopped) = oneshot::channel();
        let ended = runtime.spawn(async move {
            let stopped = async {
                _ = stopped.await;
            };
            agent.run(stopped).await;
        });
        Running {
            health,
            runtime: Some(runtime),
            stop,
            ended,
        }
    }

    pub(crate) fn installed(&self, environment: &str) -> AppVersion {
        self.world.installed(&key(environment))[0].version
    }

    pub(crate) fn installs(&self, environment: &str, version: AppVersion) {
        let app = InstalledApp {
            id: AppId(APP),
            version,
            name: None,
            publisher: None,
            scope: None,
            can_be_uninstalled: None,
        };
        self.world.install(&key(environment), app);
    }
}

/// A simulated environment which has the old version.
fn simulate(settings: &str) -> String {
    format!(
        "driver = \"simulate\"\n[environment.simulate]\n{settings}\napps = [{{ id = \"{APP}\", version = \"{OLD}\" }}]\n"
    )
}

fn key(environment: &str) -> EnvironmentKey {
    EnvironmentKey::new(TenantId(TENANT), "BusinessCentral", environment)
}

/// An agent that runs.
pub(crate) struct Running {
    /// Where it tells how it is doing.
    pub(crate) health: Option<SocketAddr>,
    runtime: Option<Runtime>,
    stop: oneshot::Sender<()>,
    ended: tokio::task::JoinHandle<()>,
}

impl Running {
    /// Asks it to stop, and waits until it has.
    pub(crate) async fn stops(mut self) {
        _ = self.stop.send(());
        self.ended.await.unwrap();
        end(self.runtime.take()).await;
    }

    /// Waits until it breaks.
    pub(crate) async fn breaks(mut self) {
        let ended = tokio::time::timeout(Duration::from_secs(60), &mut self.ended).await;
        assert!(ended.unwrap().unwrap_err().is_panic());
        end(self.runtime.take()).await;
    }

    /// Ends it where it stands.
    pub(crate) async fn dies(mut self) {
        end(self.runtime.take()).await;
    }
}

async fn end(runtime: Option<Runtime>) {
    tokio::task::spawn_blocking(move || drop(runtime)).await.unwrap();
}

/// An operation that brings the new version into an environment.
pub(crate) fn hotfix(number: u128, environment: &str) -> ClaimedOperation {
    ClaimedOperation {
        operation_id: Uuid::from_u128(number),
        lease_id: Uuid::from_u128(number + 1_000),
        lease_seconds: 300,
        kind: "Hotfix".into(),
        environment: EnvironmentName {
            aad_tenant_id: TENANT,
            application_family: "BusinessCentral".into(),
            name: environment.into(),
        },
        environment_type: "Production".into(),
        country_code: "US".into(),
        app_id: APP,
        app_name: Some("Sales".into()),
        app_publisher: Some("Contoso".into()),
        source_version: Some(OLD.to_string()),
        target_version: Some(NEW.to_string()),
        sync_mode: "Sync".into(),
        package: Some(ClaimedPackage {
            sha256: "00".repeat(32),
            size: 1,
            differs_elsewhere: false,
        }),
        delete_data: false,
        language_id: None,
    }
}
