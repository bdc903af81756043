//! The `exec` driver with real processes.

mod faults;
mod inventory;
mod protocol;
mod restart;
mod scripts;

use agent::{
    driver::{Deployed, Driver, Found, Mark, Work, Workplace},
    drivers::exec::{Exec, Settings},
    failure::Failure,
};
use domain::{
    environment::EnvironmentKind,
    ids::{AppId, OperationId},
    operation::OperationKind,
};
use futures::future::BoxFuture;
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tempfile::TempDir;
use tokio::sync::watch;
use uuid::Uuid;
use wire::agent::EnvironmentName;

const APP: Uuid = Uuid::from_u128(0xA1);
const TENANT: Uuid = Uuid::from_u128(0x7E);

/// A folder with scripts, the package, and what the agent was told and wrote down.
struct Place {
    folder: TempDir,
    marks: Mutex<Vec<Mark>>,
    told: watch::Sender<Vec<Told>>,
    journal_is_full: bool,
    is_held: AtomicBool,
    /// Whether the service gives the operation up as soon as it is begun.
    is_given_up: bool,
}

type Told = (Option<u8>, String, String);

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("package.app"), b"the package").unwrap();
        Self {
            folder,
            marks: Mutex::default(),
            told: watch::Sender::new(Vec::new()),
            journal_is_full: false,
            is_held: AtomicBool::new(true),
            is_given_up: false,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// A script for `sh` in a file.
    fn script(&self, name: &str, text: &str) -> Vec<String> {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        vec!["/bin/sh".into(), path.display().to_string()]
    }

    /// Settings of an environment whose commands are these scripts.
    fn settings(&self, deploy: &str, inventory: &str) -> Value {
        json!({
            "deploy": self.script("deploy.sh", deploy),
            "inventory": self.script("inventory.sh", inventory),
            "folder": self.folder.path(),
            "stop_within": "5s",
        })
    }

    fn exec(&self, deploy: &str) -> Exec {
        exec(self.settings(deploy, "exit 9"))
    }

    async fn deploy(&self, script: &str) -> Deployed {
        self.exec(script).deploy(&work(), &Found::default(), self).await
    }

    fn steps(&self) -> Vec<String> {
        self.marks
            .lock()
            .unwrap()
            .iter()
            .map(|mark| mark.step.clone())
            .collect()
    }

    fn told(&self) -> Vec<Told> {
        self.told.borrow().clone()
    }

    /// Waits until a text that holds this was told.
    async fn hears(&self, words: &str) {
        let is_told = |told: &Vec<Told>| told.iter().any(|(_, _, text)| text.contains(words));
        let heard = self.told.subscribe().wait_for(is_told).await.map(|_| ());
        heard.unwrap();
    }

    /// A pipe with a name. Who writes to it lives as long as somebody can still read something.
    fn pipe(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        path
    }
}

impl Workplace for Place {
    fn package(&self) -> BoxFuture<'_, Result<&Path, Failure>> {
        // The path lives as long as the place.
        let path: &'static Path = Box::leak(self.path("package.app").into_boxed_path());
        Box::pin(async move { Ok(path) })
    }

    fn may_begin(&self) -> Result<(), Failure> {
        match self.is_held.load(Ordering::SeqCst) {
            true => Ok(()),
            false => Err(Failure::other("given up")),
        }
    }

    fn mark(&self, step: &str, facts: Value) -> BoxFuture<'_, Result<(), Failure>> {
        let mark = Mark {
            step: step.to_owned(),
            facts,
        };
        Box::pin(async move {
            if self.journal_is_full {
                return Err(Failure::other("No space left on device"));
            }
            self.marks.lock().unwrap().push(mark);
            self.is_held.fetch_and(!self.is_given_up, Ordering::SeqCst);
            Ok(())
        })
    }

    fn rest(&self, span: Duration) -> BoxFuture<'_, ()> {
        Box::pin(tokio::time::sleep(span))
    }

    fn marks(&self) -> Vec<Mark> {
        self.marks.lock().unwrap().clone()
    }

    fn progress(&self, percent: Option<u8>, step: &str, text: &str) {
        self.told
            .send_modify(|told| told.push((percent, step.into(), text.into())));
    }
}

fn exec(settings: Value) -> Exec {
    named_exec(settings, "Production")
}

fn named_exec(settings: Value, name: &str) -> Exec {
    let settings: Settings = serde_json::from_value(settings).unwrap();
    let environment = EnvironmentName {
        aad_tenant_id: TENANT,
        application_family: "BusinessCentral".into(),
        name: name.into(),
    };
    Exec::new(settings, environment)
}

fn work() -> Work {
    Work {
        operation_id: OperationId(Uuid::from_u128(0x09)),
        kind: OperationKind::Hotfix,
        aad_tenant_id: TENANT,
        application_family: "BusinessCentral".into(),
        environment_name: "Production".into(),
        environment_kind: EnvironmentKind::Production,
        country_code: "DK".parse().unwrap(),
        app_id: AppId(APP),
        app_name: Some("Sales".into()),
        app_publisher: Some("Publisher".into()),
        source: Some("1.0.0.0".parse().unwrap()),
        target: Some("1.0.0.1".parse().unwrap()),
        package_sha256: [0xAB; 32],
        package_size: 11,
        delete_data: false,
        language_id: None,
    }
}

fn failed(deployed: Deployed) -> Failure {
    match deployed {
        Deployed::Failed(failure) => failure,
        other => panic!("not failed: {other:?}"),
    }
}

fn unclear(deployed: Deployed) -> Failure {
    match deployed {
        Deployed::Unclear(failure) => failure,
        other => panic!("not unclear: {other:?}"),
    }
}

/// Reads a pipe until nobody is left who could write to it. Nobody who is ended by force closes it otherwise.
async fn nobody_is_left(pipe: &Path) -> String {
    let pipe = pipe.to_owned();
    let reading = tokio::task::spawn_blocking(move || fs::read_to_string(pipe).unwrap());
    tokio::time::timeout(Duration::from_secs(60), reading)
        .await
        .expect("all have ended")
        .unwrap()
}
