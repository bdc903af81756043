//! The walk of `docs/agents/README.md` with real processes: `fame serve` on PostgreSQL, agents whose driver is a small
//! script, and a vendor.
//!
//! What is installed at a target is a file; the script that brings a version in writes it. What it starts with, it
//! appends to another, so that nothing can happen twice unseen.

use crate::service::{binary, run};
use crate::services::{
    APPS, Caller, Database, Environment, Process, Site, TIME_LIMIT, eventually, fill, package, plain_id,
    within,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::{RoundMode, SignedDuration, Timestamp, TimestampRound, Unit};
use serde_json::{Value, json};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Stdio,
};
use tokio::process::{Child, Command};

pub(crate) const TENANT: &str = "ccccdddd-2222-eeee-3333-ffff4444aaaa";

/// Brings a version in: says what it does, waits while it is told to, fails where it is told to.
const DEPLOY: &str = r#"#!/bin/sh
set -e
cd "$(dirname "$0")"
echo "$FAME_TARGET_VERSION" >> begun
echo "FAME:progress 40 Publish half of it is done"
while [ -e wait ]; do sleep 0.05; done
if [ -e fail ]; then
  echo "FAME:failure SchemaBreak Unsupported table change: the field 'No.' was removed." >&2
  exit 1
fi
echo "$FAME_TARGET_VERSION" > installed.new
mv installed.new installed
"#;

const INVENTORY: &str = r#"#!/bin/sh
cd "$(dirname "$0")"
printf '{"inventoryComplete":true,"apps":[{"id":"%s","name":"Sales Pack","publisher":"Contoso","version":"%s"}]}' \
  APP "$(cat installed)"
"#;

/// A machine with an agent and the target that it serves.
struct Host {
    folder: tempfile::TempDir,
    environment: Environment,
}

impl Host {
    fn of(environment: Environment, service: &str) -> Self {
        let host = Self {
            folder: tempfile::tempdir().unwrap(),
            environment,
        };
        host.writes("deploy", DEPLOY, 0o700);
        host.writes(
            "inventory",
            &INVENTORY.replace("APP", &APPS[0].to_string()),
            0o700,
        );
        host.writes("installed", "1.0.0.0", 0o600);
        host.writes("policy.toml", &format!("allowed_apps = [\"{}\"]", APPS[0]), 0o600);
        host.is_for(service);
        host
    }

    /// Names the service that the agent works for: it has another port after each start.
    fn is_for(&self, service: &str) {
        let at = |name: &str| self.path(name).display().to_string();
        let Environment {
            name,
            country,
            window,
        } = &self.environment;
        let configuration = format!(
            "[service]\nurl = {service:?}\n\
             [agent]\nfolder = {:?}\npolicy = {:?}\ninventory_every = \"1s\"\n\
             [[environment]]\ntenant = {TENANT:?}\nfamily = \"Business Central\"\nname = {name:?}\n\
             country = {country:?}\ntype = \"Production\"\ndriver = \"exec\"\n\
             window = {{ start = {}, end = {}, time_zone = {} }}\n\
             [environment.exec]\ndeploy = [{:?}]\ninventory = [{:?}]\nreenterable = true\n",
            at("state"),
            at("policy.toml"),
            window["start"],
            window["end"],
            window["timeZone"],
            at("deploy"),
            at("inventory"),
        );
        self.writes("agent.toml", &configuration, 0o600);
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn writes(&self, name: &str, text: &str, mode: u32) {
        write(&self.path(name), text, mode);
    }

    fn forgets(&self, name: &str) {
        fs::remove_file(self.path(name)).unwrap();
    }

    /// What deployments were begun for, in their order.
    fn begun(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path("begun")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    fn command(&self, command: &str) -> Command {
        let config = self.path("agent.toml").display().to_string();
        let mut command_line = Command::new(env!("CARGO_BIN_EXE_fame"));
        command_line.args(["agent", command, "--config", &config]);
        command_line
    }

    /// Enrols with the code that the operator gave.
    async fn enrols(&self, code: &str) {
        self.writes("code", code, 0o600);
        let [config, code] = ["agent.toml", "code"].map(|name| self.path(name).display().to_string());
        let ended = run(binary(&[
            "agent",
            "enrol",
            "--config",
            &config,
            "--code-file",
            &code,
        ]))
        .await;
        assert_eq!(ended.code, 0, "{ended:?}");
    }

    /// Starts the agent; dropping it kills it.
    fn runs(&self) -> Child {
        let log = fs::File::create(self.path("log")).unwrap();
        self.command("run")
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .unwrap()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }
}

pub(crate) fn write(path: &Path, text: &str, mode: u32) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// The service and its people.
pub(crate) struct Walk {
    site: Site,
    pub(crate) service: Process,
    starts: usize,
}

impl Walk {
    /// Starts the service, with an app of which six newer versions are there.
    pub(crate) async fn start(database: Database, lease_seconds: u32) -> Self {
        let site = Site::on(database).with("executor.lease_seconds", lease_seconds);
        let service = site.start(1).await;
        fill(&service.operator(), &service.owner()).await;
        let walk = Self {
            site,
            service,
            starts: 1,
        };
        for number in 1..=6 {
            let package = package(APPS[0], number);
            let body =
                json!({ "initialAvailability": "Available", "packageContents": STANDARD.encode(package) });
            let path = format!("/v1.4/apps/{}/countries/US/versions", APPS[0]);
            walk.owner().post(&path, &body).await.unwrap().expect(200);
        }
        walk
    }

    fn owner(&self) -> Caller {
        self.service.owner()
    }

    pub(crate) fn operator(&self) -> Caller {
        self.service.operator()
    }

    /// Kills the service and starts it anew; the agents are told where it is now.
    async fn dies_and_returns(mut self) -> Self {
        self.service.kill().await;
        self.starts += 1;
        self.service = self.site.start(self.starts).await;
        self
    }

    /// Makes an agent for one environment; its enrolment code.
    pub(crate) async fn has_agent(&self, name: &str, environment: &Environment) -> String {
        let scope = json!({ "scope": { "tenants": [TENANT], "names": [environment.name] } });
        let path = format!("/operator/v1/agents/{name}");
        let made = self.operator().put(&path, &scope).await.unwrap().expect(201);
        plain(made.property("enrolmentCode"))
    }

    pub(crate) async fn schedules(&self, environment: &Environment, target: &str) -> String {
        self.schedules_by(&environment.hotfix(target)).await
    }

    async fn schedules_by(&self, body: &Value) -> String {
        let path = format!("/v1.4/apps/{}/countries/US/environmentHotfixes", APPS[0]);
        let owner = self.owner();
        let made = owner.post(&path, body).await.unwrap().expect(200);
        plain_id(&made.property("id"))
    }

    pub(crate) async fn hotfix(&self, id: &str) -> Value {
        let shown = "id,status,createdOn,startedOn,errorMessage,failureCause,agentName,progressStep";
        let path = format!(
            "/v1.4/apps/{}/countries/US/environmentHotfixes/{id}?$select={shown}",
            APPS[0]
        );
        self.owner().get(&path).await.unwrap().expect(200).json()
    }

    async fn until(&self, host: &Host, id: &str, status: &str) -> Value {
        let found = within(TIME_LIMIT, async || {
            let hotfix = self.hotfix(id).await;
            (hotfix["status"] == status).then_some(hotfix)
        });
        match found.await {
            Some(hotfix) => hotfix,
            None => panic!("not {status}: {}: {}", self.hotfix(id).await, host.log()),
        }
    }

    /// The version that the vendor sees in an environment.
    pub(crate) async fn installed(&self, environment: &Environment) -> Option<String> {
        let path = format!(
            "/v1.4/apps/{}/countries/US/environments/{}",
            APPS[0], environment.name
        );
        let answer = self.owner().get(&path).await.unwrap();
        (answer.status == 200).then(|| plain(answer.property("version")))
    }

    async fn until_installed(&self, host: &Host, version: &str) {
        let seen = within(TIME_LIMIT, async || {
            (self.installed(&host.environment).await.as_deref() == Some(version)).then_some(())
        });
        let name = &host.environment.name;
        assert!(
            seen.await.is_some(),
            "{version} is not seen in {name}: {}",
            host.log()
        );
    }
}

pub(crate) fn plain(value: impl std::fmt::Display) -> String {
    value.to_string().trim_matches('"').to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn agents_carry_out_what_vendors_schedule_whatever_happens() {
    let mut walk = Walk::start(Database::Postgres, 10).await;
    let mut hosts = Vec::new();
    let mut agents = Vec::new();
    let opens = soon();
    for name in ["north", "south", "east"] {
        let mut environment = Environment::new(name, "US");
        if name == "east" {
            environment.window["start"] = clock_of(opens).into();
            environment.window["end"] = clock_of(opens + SignedDuration::from_hours(6)).into();
        }
        let code = walk.has_agent(name, &environment).await;
        let host = Host::of(environment, walk.service.base_url());
        host.enrols(&code).await;
        agents.push(host.runs());
        hosts.push(host);
    }
    let [north, south, east] = [&hosts[0], &hosts[1], &hosts[2]];
    for host in &hosts {
        walk.until_installed(host, "1.0.0.0").await;
    }

    // Outside of its window it waits, while all that follows goes on.
    let mut body = east.environment.hotfix("1.0.1.0");
    body["ignoreUpgradeWindow"] = false.into();
    let waiting = walk.schedules_by(&body).await;
    let seen = walk.hotfix(&waiting).await;
    assert_eq!(seen["status"], "Scheduled", "{seen}");
    assert!(moment(&seen["createdOn"]) < opens, "{seen}");

    // Both sides see the new version, and who brought it.
    let hotfix = walk.schedules(&north.environment, "1.0.1.0").await;
    let ended = walk.until(north, &hotfix, "Succeeded").await;
    assert_eq!(ended["agentName"], "north");
    walk.until_installed(north, "1.0.1.0").await;
    assert_eq!(north.begun(), ["1.0.1.0"]);
    assert_eq!(
        walk.installed(&south.environment).await.as_deref(),
        Some("1.0.0.0")
    );

    // A script that fails says why.
    south.writes("fail", "", 0o600);
    let hotfix = walk.schedules(&south.environment, "1.0.1.0").await;
    let ended = walk.until(south, &hotfix, "Failed").await;
    assert_eq!(ended["failureCause"], "SchemaBreak");
    assert!(
        plain(&ended["errorMessage"]).contains("'No.' was removed"),
        "{ended}"
    );
    south.forgets("fail");

    // A killed agent goes on when it is started again, and ends what it had begun.
    north.writes("wait", "", 0o600);
    let hotfix = walk.schedules(&north.environment, "1.0.2.0").await;
    walk.until(north, &hotfix, "Running").await;
    eventually("the script has begun", async || {
        (north.begun().len() == 2).then_some(())
    })
    .await;
    agents[0].kill().await.unwrap();
    agents[0] = north.runs();
    north.forgets("wait");
    walk.until(north, &hotfix, "Succeeded").await;
    walk.until_installed(north, "1.0.2.0").await;

    // An environment that was restored to an older version is seen so, and can be brought on again.
    north.writes("installed", "1.0.0.0", 0o600);
    walk.until_installed(north, "1.0.0.0").await;
    let hotfix = walk.schedules(&north.environment, "1.0.3.0").await;
    walk.until(north, &hotfix, "Succeeded").await;

    // A service that is killed in the middle finds what its agent made of it.
    for agent in &mut agents {
        agent.kill().await.unwrap();
    }
    let hotfix = walk.schedules(&south.environment, "1.0.2.0").await;
    walk = walk.dies_and_returns().await;
    for (host, agent) in hosts.iter().zip(&mut agents) {
        host.is_for(walk.service.base_url());
        *agent = host.runs();
    }
    walk.until(south, &hotfix, "Succeeded").await;

    // A token that is revoked in the middle: nobody knows how it ends, and nothing starts there again by itself.
    south.writes("wait", "", 0o600);
    let hotfix = walk.schedules(&south.environment, "1.0.4.0").await;
    walk.until(south, &hotfix, "Running").await;
    let path = "/operator/v1/agents/south/rotate";
    walk.operator()
        .post(path, &json!({ "revoke": true }))
        .await
        .unwrap()
        .expect(200);
    south.forgets("wait");
    let ended = walk.until(south, &hotfix, "Failed").await;
    assert!(
        plain(&ended["errorMessage"]).starts_with("OutcomeUnknown"),
        "{ended}"
    );

    // The clock has reached the window, or will.
    let opened = within(TIME_LIMIT * 2, async || (Timestamp::now() >= opens).then_some(()));
    opened.await.unwrap();
    let ended = walk.until(east, &waiting, "Succeeded").await;
    assert!(moment(&ended["startedOn"]) >= opens, "{ended}");
    walk.until_installed(east, "1.0.1.0").await;
    assert_eq!(east.begun(), ["1.0.1.0"]);
}

/// A full minute that is near, and far enough that an environment is reported before.
fn soon() -> Timestamp {
    let earliest = Timestamp::now() + SignedDuration::from_secs(45);
    let round = TimestampRound::new().smallest(Unit::Minute).mode(RoundMode::Ceil);
    earliest.round(round).unwrap()
}

fn clock_of(moment: Timestamp) -> String {
    moment.strftime("%H:%M").to_string()
}

fn moment(value: &Value) -> Timestamp {
    plain(value).parse().unwrap()
}
