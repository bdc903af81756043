//! One `fame agent run`, whose targets are simulated.

use super::{APPS, Environment, Process, TIME_LIMIT};
use crate::service::{binary, run};
use serde_json::json;
use std::{
    fmt::Write as _,
    fs,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::{ExitStatus, Stdio},
};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use uuid::Uuid;

/// A machine with environments that have all apps, and an agent for them. Dropping it kills the agent.
pub(crate) struct AgentHost {
    folder: TempDir,
    child: Option<Child>,
}

impl AgentHost {
    /// An agent that asks this service for up to `parallel` operations at once. It reports the environments itself.
    pub(crate) async fn starts(service: &Process, environments: &[Environment], parallel: usize) -> Self {
        let mut host = Self {
            folder: tempfile::tempdir().unwrap(),
            child: None,
        };
        host.writes("policy.toml", "allowed_apps = \"any\"");
        host.writes("agent.toml", &host.configuration(service, environments, parallel));
        let names: Vec<_> = environments.iter().map(|environment| &environment.name).collect();
        let scope = json!({ "scope": { "tenants": [Environment::tenant()], "names": names } });
        let path = format!("/operator/v1/agents/{}", Uuid::new_v4().simple());
        let made = service.operator().put(&path, &scope).await.unwrap().expect(201);
        let code = made.json()["enrolmentCode"].as_str().unwrap().to_owned();
        host.writes("code", &code);
        let [config, code] = ["agent.toml", "code"].map(|name| host.path(name).display().to_string());
        let enrol = ["agent", "enrol", "--config", &config, "--code-file", &code];
        let enrolled = run(binary(&enrol)).await;
        assert_eq!(enrolled.code, 0, "{enrolled:?}");
        host.runs();
        host
    }

    fn configuration(&self, service: &Process, environments: &[Environment], parallel: usize) -> String {
        let at = |name: &str| self.path(name).display().to_string();
        let mut text = format!(
            "[service]\nurl = {:?}\n[agent]\nfolder = {:?}\npolicy = {:?}\n\
             parallel = {parallel}\ninventory_every = \"1s\"\n",
            service.base_url(),
            at("state"),
            at("policy.toml"),
        );
        let apps = APPS.map(|id| format!("{{ id = \"{id}\", version = \"1.0.0.0\" }}"));
        for Environment { name, country, .. } in environments {
            write!(
                text,
                "[[environment]]\ntenant = \"{}\"\nfamily = \"Business Central\"\nname = {name:?}\n\
                 country = {country:?}\ntype = \"Production\"\ndriver = \"simulate\"\n\
                 [environment.simulate]\napps = [{}]\n",
                Environment::tenant(),
                apps.join(", "),
            )
            .unwrap();
        }
        text
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn writes(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// Starts the agent, on whatever it knows from before.
    pub(crate) fn runs(&mut self) {
        let log = fs::File::create(self.path("log")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_fame"));
        command
            .args(["agent", "run", "--config"])
            .arg(self.path("agent.toml"));
        command.stdout(Stdio::null()).stderr(log).kill_on_drop(true);
        self.child = Some(command.spawn().unwrap());
    }

    /// Sends a signal by its name, such as `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.as_ref().unwrap().id().unwrap().to_string();
        let sent = std::process::Command::new("kill")
            .args(["-s", name, &pid])
            .status();
        assert!(sent.unwrap().success(), "kill -s {name}");
    }

    /// Waits until the agent has ended on its own.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let ended = tokio::time::timeout(TIME_LIMIT, self.child.as_mut().unwrap().wait()).await;
        ended
            .unwrap_or_else(|_| panic!("it does not end: {}", self.log()))
            .unwrap()
    }

    /// What the agent said since it was started last.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }
}
