//! One `fame serve`.

use super::{Caller, Person, TIME_LIMIT, eventually};
use serde_json::Value;
use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex},
};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, ChildStderr, Command},
    sync::oneshot,
};

/// Log lines that are kept for messages.
const KEPT_LINES: usize = 4_000;

/// What a process writes to its log.
#[derive(Clone, Debug)]
pub(crate) struct LogLine(pub String);

impl LogLine {
    fn json(&self) -> Value {
        serde_json::from_str(&self.0).unwrap_or_default()
    }

    /// Whether the service says that something unforeseen happened.
    pub(crate) fn is_error(&self) -> bool {
        let said = self.json();
        // A hotfix that is refused is an event of the business, for whoever watches a tenant.
        let is_of_the_business = said["eventId"].is_string();
        (said["level"] == "ERROR" && !is_of_the_business) || self.0.contains("panicked at")
    }
}

type Log = Arc<Mutex<VecDeque<LogLine>>>;

/// A running service. Dropping it kills it.
pub(crate) struct Process {
    child: Child,
    client: reqwest::Client,
    base_url: String,
    log: Log,
}

impl Process {
    /// Starts the service on a port of its own, and waits until it takes requests.
    pub(crate) async fn start(configuration: PathBuf, replica: usize) -> Self {
        Self::spawn(Self::command(&configuration), replica).await
    }

    /// The command that starts it.
    pub(crate) fn command(configuration: &Path) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fame"));
        command.arg("serve").arg("--config").arg(configuration);
        command
    }

    /// Starts it by `command`, which becomes or runs `fame serve`.
    pub(crate) async fn spawn(mut command: Command, replica: usize) -> Self {
        let mut child = command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("RUST_BACKTRACE", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let log = Log::default();
        let (tell, told) = oneshot::channel();
        tokio::spawn(read_log(child.stderr.take().unwrap(), log.clone(), tell));
        let address = tokio::time::timeout(TIME_LIMIT, told).await;
        let Ok(Ok(address)) = address else {
            drop(child.start_kill());
            panic!("replica {replica} did not start: {}", tail(&log));
        };
        Self {
            child,
            client: Caller::new_client(),
            base_url: format!("http://{address}"),
            log,
        }
    }

    /// `http://127.0.0.1:PORT`
    pub(crate) fn base_url(&self) -> &str {
        &self.base_url
    }

    pub(crate) fn caller(&self, person: &Person) -> Caller {
        Caller::new(self.client.clone(), self.base_url.clone(), person)
    }

    pub(crate) fn owner(&self) -> Caller {
        self.caller(&Person::OWNER)
    }

    pub(crate) fn operator(&self) -> Caller {
        self.caller(&Person::OPERATOR)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// Whether it still runs.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Ends it at this very instant, as `kill -9` does.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// Sends a signal by its name, such as `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let sent = std::process::Command::new("kill")
            .args(["-s", name, &self.pid().to_string()])
            .status()
            .unwrap();
        assert!(sent.success(), "kill -s {name}");
    }

    /// Waits until it has ended on its own.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let ended = tokio::time::timeout(TIME_LIMIT, self.child.wait()).await;
        ended
            .unwrap_or_else(|_| panic!("it does not end: {}", tail(&self.log)))
            .unwrap()
    }

    /// What its readiness says: the status, and the body.
    pub(crate) async fn readiness(&self) -> (u16, Value) {
        match self.operator().get("/health/ready").await {
            Ok(answer) => (answer.status, answer.json()),
            Err(lost) => (0, lost.0.into()),
        }
    }

    /// Waits until its readiness answers with `status`; the body.
    pub(crate) async fn until_readiness_is(&self, status: u16) -> Value {
        eventually(&format!("the readiness is {status}"), async || {
            let (found, body) = self.readiness().await;
            (found == status).then_some(body)
        })
        .await
    }

    /// Waits until its readiness says this word; the body.
    pub(crate) async fn until_it_is(&self, word: &str) -> Value {
        eventually(&format!("the service is {word}"), async || {
            let (_, body) = self.readiness().await;
            (body["status"] == word).then_some(body)
        })
        .await
    }

    /// The log lines that speak of something unforeseen.
    pub(crate) fn errors(&self) -> Vec<LogLine> {
        let log = self.log.lock().unwrap();
        log.iter().filter(|line| line.is_error()).cloned().collect()
    }

    /// How many lines of its log have this in them.
    pub(crate) fn said(&self, text: &str) -> usize {
        let log = self.log.lock().unwrap();
        log.iter().filter(|line| line.0.contains(text)).count()
    }

    /// The end of its log.
    pub(crate) fn log_tail(&self) -> String {
        tail(&self.log)
    }
}

fn tail(log: &Log) -> String {
    let log = log.lock().unwrap();
    let lines: Vec<_> = log.iter().rev().take(40).map(|line| line.0.as_str()).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("\n")
}

/// Keeps the log, and tells the address once the service says it.
async fn read_log(stderr: ChildStderr, log: Log, tell: oneshot::Sender<String>) {
    let mut tell = Some(tell);
    let mut lines = BufReader::new(stderr).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let line = LogLine(line);
        if tell.is_some() {
            let said = line.json();
            if said["message"] == "serving"
                && let (Some(tell), Some(address)) = (tell.take(), said["address"].as_str())
            {
                drop(tell.send(address.to_owned()));
            }
        }
        let mut log = log.lock().unwrap();
        if log.len() == KEPT_LINES {
            log.pop_front();
        }
        log.push_back(line);
    }
}
