//! Agents that are killed at every point of their journal and between all steps of the script that they run: whoever
//! comes after them finishes what was begun, and no step is taken twice.
//!
//! All processes are real: `fame serve`, `fame agent run`, and the script for a Business Central server with cmdlets that
//! refuse what a server refuses. Between the agent and the service stands a keeper that keeps a call or an answer back. A
//! death in the middle of writing is the system's: the agent may write no more than so many bytes of a file, and is ended
//! (`SIGXFSZ`) at the next one.

use crate::service::{binary, run};
use crate::services::{APPS, Caller, Database, Environment, TIME_LIMIT, eventually, forward, within};
use crate::walk::{TENANT, Walk, plain, write};
use axum::{Router, body::Body, extract::Request, http::Response};
use futures::{StreamExt as _, stream};
use serde_json::Value;
use std::{
    fmt::Write as _,
    fs,
    os::unix::{fs::symlink, process::ExitStatusExt as _},
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, Mutex},
};
use tokio::{
    net::TcpListener,
    process::{Child, Command},
    sync::watch,
};
use uuid::Uuid;

const OLD: &str = "1.0.0.0";
const NEW: &str = "1.0.1.0";

/// All that the script changes, each once.
const WHOLE: &[&str] = &[
    "Publish-NAVApp 1.0.1.0 one",
    "Sync-NAVApp 1.0.1.0 one",
    "Start-NAVAppDataUpgrade 1.0.1.0 one",
    "Unpublish-NAVApp 0.9.0.0 ",
    "Unpublish-NAVApp 0.8.0.0 ",
];

const CMDLETS: &[&str] = &[
    "Get-NAVAppInfo",
    "Get-NAVAppTenant",
    "Get-NAVTenant",
    "Install-NAVApp",
    "Publish-NAVApp",
    "Start-NAVAppDataUpgrade",
    "Sync-NAVApp",
    "Unpublish-NAVApp",
];

/// Prints what is installed, and waits before it where it is told to.
const INVENTORY: &str = r#"#!/bin/sh
cd "$(dirname "$0")"
if [ -e hold ]; then
  : >held
  read -r _ <go
fi
apps=''
[ ! -f one/installed ] || apps=$(printf '{"id":"%s","name":"Sales Pack","publisher":"Contoso","version":"%s"}' \
  APP "$(cat one/installed)")
printf '{"inventoryComplete":true,"apps":[%s]}' "$apps"
"#;

/// How many operations the agent has carried out before: the journal is longer than a package, so that a limit to what
/// may be written meets the journal alone.
const CARRIED_OUT_BEFORE: u128 = 60;

/// Where the agent is killed.
#[derive(Clone, Copy, Debug)]
enum Point {
    /// An operation was granted, and nobody has read that.
    Granted,
    /// It is in the journal; what is installed is being read before anything is begun.
    Reading,
    /// The package is being asked for.
    Bringing,
    /// Before that is written into the journal: no byte of it, or half of it.
    Writing(&'static str, Written),
    /// The script has come there.
    Step(&'static str, Script),
    /// The script has ended; what is installed is being read back.
    Verifying,
    /// The end is being told, and the service does not hear it.
    Telling,
    /// The service has heard it, and the agent does not know that.
    Told,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Written {
    Nothing,
    Half,
}

/// What becomes of the script when its agent is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Script {
    /// It is killed too, as when the machine goes down.
    Dies,
    /// It goes on, as far as it gets.
    GoesOn,
}
use {Point::*, Script::*, Written::*};

const POINTS: &[Point] = &[
    Granted,
    Writing("taken", Nothing),
    Writing("taken", Half),
    Reading,
    Bringing,
    Writing("begun", Nothing),
    Writing("begun", Half),
    Writing("Run", Nothing),
    Writing("Run", Half),
    Writing("Started", Nothing),
    Writing("Started", Half),
    Step("before Publish-NAVApp", Dies),
    Step("before Publish-NAVApp", GoesOn),
    Step("after Publish-NAVApp", Dies),
    Step("after Publish-NAVApp", GoesOn),
    Step("before Sync-NAVApp", Dies),
    Step("after Sync-NAVApp", Dies),
    Step("before Start-NAVAppDataUpgrade", Dies),
    Step("within Start-NAVAppDataUpgrade", Dies),
    Step("after Start-NAVAppDataUpgrade", Dies),
    Step("after Start-NAVAppDataUpgrade", GoesOn),
    Step("before Unpublish-NAVApp", Dies),
    Step("after Unpublish-NAVApp", Dies),
    Writing("Ended", Nothing),
    Writing("Ended", Half),
    Verifying,
    Writing("ended", Nothing),
    Writing("ended", Half),
    Telling,
    Told,
    Writing("told", Nothing),
    Writing("told", Half),
];

/// Which call is kept back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kept {
    /// The answer to a claim that grants something.
    Grant,
    /// A request for a package.
    Package,
    /// A request that tells an end.
    Finish,
    /// The answer to it.
    FinishAnswer,
}

/// What stands between an agent and the service.
#[derive(Clone)]
struct Keeper {
    url: String,
    service: String,
    client: reqwest::Client,
    kept: Arc<Mutex<Option<Kept>>>,
    /// Whether something is being kept back now.
    keeps: watch::Sender<bool>,
}

impl Keeper {
    async fn to(service: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let keeper = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            service: service.to_owned(),
            client: Caller::new_client(),
            kept: Arc::default(),
            keeps: watch::channel(false).0,
        };
        let passing = keeper.clone();
        let router = Router::new().fallback(async move |request: Request| passing.pass(request).await);
        tokio::spawn(async move { axum::serve(listener, router).await });
        keeper
    }

    /// Keeps the next such call back.
    fn keeps_back(&self, what: Kept) {
        *self.kept.lock().unwrap() = Some(what);
    }

    async fn until_it_keeps(&self) {
        let mut keeps = self.keeps.subscribe();
        let kept = tokio::time::timeout(TIME_LIMIT, keeps.wait_for(|keeps| *keeps)).await;
        kept.unwrap().unwrap();
    }

    fn lets_go(&self) {
        self.keeps.send_replace(false);
    }

    async fn keep(&self, what: Kept) {
        let is_meant = self.kept.lock().unwrap().take_if(|kept| *kept == what).is_some();
        if is_meant {
            self.keeps.send_replace(true);
            let mut keeps = self.keeps.subscribe();
            keeps.wait_for(|keeps| !keeps).await.unwrap();
        }
    }

    async fn pass(&self, request: Request) -> Response<Body> {
        let path = request.uri().path().to_owned();
        if path.ends_with("/package") {
            self.keep(Kept::Package).await;
        }
        if path.ends_with("/finish") {
            self.keep(Kept::Finish).await;
        }
        let answer = forward(&self.client, &self.service, request).await;
        if path.ends_with("/claim") && grants(answer.body()) {
            self.keep(Kept::Grant).await;
        }
        if path.ends_with("/finish") {
            self.keep(Kept::FinishAnswer).await;
        }
        answer.map(Body::from)
    }
}

fn grants(claim: &[u8]) -> bool {
    let claim: Value = serde_json::from_slice(claim).unwrap_or_default();
    claim["operations"]
        .as_array()
        .is_some_and(|granted| !granted.is_empty())
}

/// A Business Central server with an app in three versions, the last of them installed, and the agent beside it.
struct Machine {
    folder: tempfile::TempDir,
    environment: Environment,
    keeper: Keeper,
}

impl Machine {
    async fn new(walk: &Walk, name: &str, settings: &str) -> Self {
        let environment = Environment::new(name, "US");
        let machine = Self {
            folder: tempfile::tempdir().unwrap(),
            keeper: Keeper::to(walk.service.base_url()).await,
            environment,
        };
        machine.has_server();
        machine.has_agent(settings);
        let code = walk.has_agent(name, &machine.environment).await;
        machine.writes("code", &code);
        let [config, code] = ["agent.toml", "code"].map(|name| machine.path(name).display().to_string());
        let enrolled = run(binary(&[
            "agent",
            "enrol",
            "--config",
            &config,
            "--code-file",
            &code,
        ]))
        .await;
        assert_eq!(enrolled.code, 0, "{enrolled:?}");
        machine
    }

    fn has_server(&self) {
        for folder in ["bin", "app", "fail", "one", "one/synced", "one/dependents"] {
            fs::create_dir(self.path(folder)).unwrap();
        }
        for cmdlet in CMDLETS {
            symlink(scripts().join("cmdlet.sh"), self.path("bin").join(cmdlet)).unwrap();
        }
        for version in ["0.8.0.0", "0.9.0.0", OLD] {
            self.writes(&format!("app/{version}"), &format!("Global {version}\n"));
        }
        self.writes("one/state", "Operational");
        self.writes("one/synced/1.0.0.0", "");
        self.writes("one/dependents/Reports", "");
        self.writes("one/installed", "1.0.0.0\n");
        self.writes("one/data", "1.0.0.0\n");
        write(
            &self.path("inventory"),
            &INVENTORY.replace("APP", &APPS[0].to_string()),
            0o700,
        );
        let made = std::process::Command::new("mkfifo").arg(self.path("go")).status();
        assert!(made.unwrap().success());
    }

    fn has_agent(&self, settings: &str) {
        let at = |name: &str| self.path(name).display().to_string();
        let [service, name] = [&self.keeper.url, &self.environment.name];
        let script = scripts().join("deploy.sh").display().to_string();
        let path = format!("PATH={}:/usr/bin:/bin", at("bin"));
        let mut text = String::new();
        let lines = write!(
            text,
            "[service]\nurl = {service:?}\n\
             [agent]\nfolder = {:?}\npolicy = {:?}\ninventory_every = \"1h\"\nwatch_within = \"1s\"\n\
             verify_within = \"1s\"\n\
             [[environment]]\ntenant = {TENANT:?}\nfamily = \"Business Central\"\nname = {name:?}\n\
             country = \"US\"\ntype = \"Production\"\ndriver = \"exec\"\n\
             window = {{ start = \"20:00\", end = \"06:00\", time_zone = \"UTC\" }}\n\
             [environment.exec]\ndeploy = [\"/usr/bin/env\", {path:?}, \"sh\", {script:?}, \"one\"]\n\
             inventory = [{:?}]\nenvironment = {{ SERVER = {:?} }}\n{settings}\n",
            at("state"),
            at("policy.toml"),
            at("inventory"),
            self.folder.path().display().to_string(),
        );
        lines.unwrap();
        self.writes("agent.toml", &text);
        self.writes("policy.toml", "allowed_apps = \"any\"");
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn writes(&self, name: &str, text: &str) {
        write(&self.path(name), text, 0o600);
    }

    fn forgets(&self, name: &str) {
        fs::remove_file(self.path(name)).unwrap();
    }

    fn reads(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    async fn until_there_is(&self, name: &str) {
        let there = within(TIME_LIMIT, async || self.path(name).exists().then_some(()));
        assert!(there.await.is_some(), "no {name}: {}", self.reads("log"));
    }

    /// Who waits at the pipe goes on.
    async fn lets_go(&self) {
        let pipe = self.path("go");
        let told = tokio::task::spawn_blocking(move || fs::write(pipe, "go\n"));
        let told = tokio::time::timeout(TIME_LIMIT, told).await;
        told.unwrap().unwrap().unwrap();
    }

    /// The lines of the journal that are whole.
    fn journal(&self) -> Vec<Value> {
        let text = self.reads("state/journal");
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    fn count(&self, word: &str) -> usize {
        let journal = self.journal();
        journal.iter().filter(|line| word_of(line) == word).count()
    }

    fn runs(&self) -> Child {
        self.starts(Command::new(env!("CARGO_BIN_EXE_fame")))
    }

    /// Starts an agent that may write so many bytes into a file at most.
    fn runs_within(&self, bytes: u64) -> Child {
        let mut command = Command::new("prlimit");
        command.args([
            format!("--fsize={bytes}"),
            "--core=0".into(),
            env!("CARGO_BIN_EXE_fame").into(),
        ]);
        self.starts(command)
    }

    fn starts(&self, mut command: Command) -> Child {
        let log = fs::File::options()
            .append(true)
            .create(true)
            .open(self.path("log"))
            .unwrap();
        let config = self.path("agent.toml").display().to_string();
        command
            .args(["agent", "run", "--config", &config])
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .unwrap()
    }

    /// What was changed at the server, in its order.
    fn did(&self) -> Vec<String> {
        self.reads("did").lines().map(str::to_owned).collect()
    }
}

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../agent/tests/server")
}

/// What a line of the journal says was done: the entry, or of a mark its step.
fn word_of(line: &Value) -> &str {
    let word = if line["entry"] == "mark" {
        &line["step"]
    } else {
        &line["entry"]
    };
    word.as_str().unwrap()
}

/// What an agent writes for one operation that it carries out. Others are as long, where the environment's name is.
#[derive(Clone)]
struct Sample(Vec<Value>);

impl Sample {
    /// How many bytes stand in the journal from `first` up to `last`.
    fn bytes(&self, first: &str, last: &str) -> u64 {
        let lines = self.0.iter().skip_while(|line| word_of(line) != first);
        let lines = lines.take_while(|line| word_of(line) != last);
        lines.map(|line| self.bytes_of(word_of(line))).sum()
    }

    fn bytes_of(&self, word: &str) -> u64 {
        let line = self.0.iter().find(|line| word_of(line) == word).unwrap();
        line.to_string().len() as u64 + 1
    }

    /// The journal of an agent that has done the same many times.
    fn history(&self) -> String {
        let mut text = String::new();
        for number in 1..=CARRIED_OUT_BEFORE {
            let id = Uuid::from_u128(number).to_string();
            for mut line in self.0.clone() {
                match word_of(&line) {
                    "taken" => line["claimed"]["operationId"] = id.clone().into(),
                    "ended" | "told" => line["operation"] = id.clone().into(),
                    _ => continue,
                }
                writeln!(text, "{line}").unwrap();
            }
        }
        text
    }
}

/// From now on the agent is ended when it writes more than so many bytes into a file.
fn limit(agent: &Child, bytes: u64) {
    let limited = std::process::Command::new("prlimit")
        .args([
            format!("--pid={}", agent.id().unwrap()),
            format!("--fsize={bytes}:{bytes}"),
            "--core=0:0".into(),
        ])
        .status();
    assert!(limited.unwrap().success());
}

/// Kills a process group.
fn kill_group(leader: &str) {
    let killed = std::process::Command::new("kill")
        .args(["-KILL", "--", &format!("-{}", leader.trim())])
        .status();
    assert!(killed.unwrap().success());
}

/// One agent that is killed, and the one after it.
struct Case<'a> {
    walk: &'a Walk,
    machine: Machine,
    sample: Option<&'a Sample>,
}

impl<'a> Case<'a> {
    async fn new(walk: &'a Walk, name: &str, settings: &str, sample: Option<&'a Sample>) -> Self {
        let machine = Machine::new(walk, name, settings).await;
        if let Some(sample) = sample {
            machine.writes("state/journal", &sample.history());
        }
        Self {
            walk,
            machine,
            sample,
        }
    }

    /// Runs the agent until the service knows what is installed, and schedules something for it there.
    async fn begins(&self, stop: impl FnOnce(&Machine)) -> (Child, String) {
        let agent = self.machine.runs();
        self.until_installed(OLD).await;
        stop(&self.machine);
        let hotfix = self.walk.schedules(&self.machine.environment, NEW).await;
        (agent, hotfix)
    }

    async fn until_installed(&self, version: &str) {
        let environment = &self.machine.environment;
        let seen = within(TIME_LIMIT, async || {
            (self.walk.installed(environment).await.as_deref() == Some(version)).then_some(())
        });
        assert!(
            seen.await.is_some(),
            "{version} is not seen: {}",
            self.machine.reads("log")
        );
    }

    async fn until_ended(&self, hotfix: &str, status: &str) -> Value {
        let found = within(TIME_LIMIT, async || {
            let found = self.walk.hotfix(hotfix).await;
            (found["status"] == status).then_some(found)
        });
        match found.await {
            Some(found) => found,
            None => {
                let (found, log) = (self.walk.hotfix(hotfix).await, self.machine.reads("log"));
                panic!("{}: not {status}: {found}: {log}", self.machine.environment.name)
            }
        }
    }

    /// The agent has told all that it took on, and stops as it is asked to.
    async fn stops(&self, mut agent: Child) {
        let machine = &self.machine;
        let told = within(TIME_LIMIT, async || {
            let (taken, told) = (machine.count("taken"), machine.count("told"));
            (taken == told).then_some(())
        });
        assert!(told.await.is_some(), "not all is told: {}", machine.reads("log"));
        let asked = std::process::Command::new("kill")
            .args(["-TERM", &agent.id().unwrap().to_string()])
            .status();
        assert!(asked.unwrap().success());
        let ended = tokio::time::timeout(TIME_LIMIT, agent.wait()).await;
        let ended = ended.unwrap().unwrap();
        assert!(ended.success(), "{ended}: {}", machine.reads("log"));
        assert!(machine.count("begun") <= 1);
    }

    /// Kills the agent there.
    async fn is_killed_at(&self, point: Point) -> String {
        match point {
            Granted => self.dies_over(Kept::Grant).await,
            Bringing => self.dies_over(Kept::Package).await,
            Telling => self.dies_over(Kept::Finish).await,
            Told => self.dies_over(Kept::FinishAnswer).await,
            Reading => {
                let (agent, hotfix) = self.begins(|machine| machine.writes("hold", "")).await;
                self.dies_reading(agent).await;
                hotfix
            }
            Verifying => {
                let (agent, hotfix) = self.stopped_at("after Start-NAVAppDataUpgrade").await;
                self.machine.writes("hold", "");
                self.machine.forgets("stop");
                self.machine.lets_go().await;
                self.dies_reading(agent).await;
                hotfix
            }
            Step(step, script) => self.dies_at(step, script).await,
            Writing(entry, written) => self.dies_writing(entry, written).await,
        }
    }

    async fn dies_over(&self, kept: Kept) -> String {
        let (mut agent, hotfix) = self.begins(|machine| machine.keeper.keeps_back(kept)).await;
        self.machine.keeper.until_it_keeps().await;
        agent.kill().await.unwrap();
        self.machine.keeper.lets_go();
        hotfix
    }

    async fn dies_reading(&self, mut agent: Child) {
        self.machine.until_there_is("held").await;
        agent.kill().await.unwrap();
        self.machine.forgets("hold");
        self.machine.lets_go().await;
    }

    async fn stopped_at(&self, step: &str) -> (Child, String) {
        let (agent, hotfix) = self.begins(|machine| machine.writes("stop", step)).await;
        self.machine.until_there_is("stopped").await;
        let is_started = |line: &Value| word_of(line) == "Started";
        eventually("the script's start is in the journal", async || {
            self.machine.journal().iter().any(is_started).then_some(())
        })
        .await;
        (agent, hotfix)
    }

    async fn dies_at(&self, step: &str, script: Script) -> String {
        let (mut agent, hotfix) = self.stopped_at(step).await;
        agent.kill().await.unwrap();
        self.machine.forgets("stop");
        match script {
            Dies => {
                kill_group(&self.machine.reads("stopped"));
                // A cmdlet that is ended gives the server back.
                let _freed = fs::remove_dir(self.machine.path("busy"));
            }
            GoesOn => self.machine.lets_go().await,
        }
        hotfix
    }

    async fn dies_writing(&self, entry: &str, written: Written) -> String {
        let sample = self.sample.unwrap();
        let (agent, hotfix, first) = match entry {
            "Ended" | "ended" | "told" => {
                let (agent, hotfix) = self.stopped_at("before Sync-NAVApp").await;
                (agent, hotfix, "Ended")
            }
            _ => {
                let (agent, hotfix) = self
                    .begins(|machine| machine.keeper.keeps_back(Kept::Grant))
                    .await;
                self.machine.keeper.until_it_keeps().await;
                (agent, hotfix, "taken")
            }
        };
        let half = match written {
            Nothing => 0,
            Half => sample.bytes_of(entry) / 2,
        };
        let length = self.machine.reads("state/journal").len() as u64;
        limit(&agent, length + sample.bytes(first, entry) + half);
        match first {
            "taken" => self.machine.keeper.lets_go(),
            _ => {
                self.machine.forgets("stop");
                self.machine.lets_go().await;
            }
        }
        self.dies_of_its_limit(agent).await;
        let journal = self.machine.journal();
        assert!(
            !journal
                .iter()
                .skip_while(|line| !is_of(line, &hotfix))
                .any(|line| word_of(line) == entry)
        );
        let text = self.machine.reads("state/journal");
        assert_eq!(text.ends_with('\n'), written == Nothing, "{entry}");
        hotfix
    }

    async fn dies_of_its_limit(&self, mut agent: Child) {
        let ended = tokio::time::timeout(TIME_LIMIT, agent.wait()).await;
        let ended = ended.unwrap().unwrap();
        assert_eq!(
            ended.signal(),
            Some(SIGXFSZ),
            "{ended}: {}",
            self.machine.reads("log")
        );
    }
}

/// What a process is ended by that writes more than it may.
const SIGXFSZ: i32 = 25;

fn is_of(line: &Value, hotfix: &str) -> bool {
    line["claimed"]["operationId"] == hotfix
}

/// What an agent writes that nobody kills.
async fn sample(walk: &Walk) -> Sample {
    let case = Case::new(walk, "unharmed", "reenterable = true", None).await;
    let (agent, hotfix) = case.begins(|_| {}).await;
    case.until_ended(&hotfix, "Succeeded").await;
    case.until_installed(NEW).await;
    case.stops(agent).await;
    assert_eq!(case.machine.did(), WHOLE);
    let mut lines = case.machine.journal();
    lines.retain(|line| line["entry"] != "sequence");
    let words: Vec<_> = lines.iter().map(word_of).collect();
    assert_eq!(
        words,
        ["taken", "begun", "Run", "Started", "Ended", "ended", "told"]
    );
    Sample(lines)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_comes_after_a_killed_agent_ends_what_it_began_and_repeats_nothing() {
    let walk = Walk::start(Database::Sqlite, 120).await;
    let sample = sample(&walk).await;
    let cases = POINTS.iter().enumerate().map(async |(number, point)| {
        let case = Case::new(
            &walk,
            &format!("killed{number:02}"),
            "reenterable = true",
            Some(&sample),
        )
        .await;
        let hotfix = case.is_killed_at(*point).await;
        let was_installed = case.machine.reads("one/installed").trim() == NEW;
        let agent = case.machine.runs();
        case.until_ended(&hotfix, "Succeeded").await;
        case.until_installed(NEW).await;
        case.stops(agent).await;
        let did = case.machine.did();
        match was_installed {
            // Nothing is started any more; older versions go with the next upgrade.
            true => assert_eq!(did, WHOLE[..did.len()], "{point:?}"),
            false => assert_eq!(did, WHOLE, "{point:?}"),
        }
    });
    stream::iter(cases).buffer_unordered(4).collect::<Vec<()>>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_killed_while_the_journal_is_written_anew_leaves_the_old_one() {
    let walk = Walk::start(Database::Sqlite, 120).await;
    let sample = sample(&walk).await;
    let case = Case::new(&walk, "killed99", "reenterable = true", Some(&sample)).await;
    let hotfix = case
        .is_killed_at(Step("before Start-NAVAppDataUpgrade", Dies))
        .await;
    let left = case.machine.reads("state/journal");
    let second = case.machine.runs_within(left.len() as u64 / 2);
    case.dies_of_its_limit(second).await;
    assert_eq!(case.machine.reads("state/journal"), left);
    let agent = case.machine.runs();
    case.until_ended(&hotfix, "Succeeded").await;
    case.stops(agent).await;
    assert_eq!(case.machine.did(), WHOLE);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_may_not_be_started_again_is_judged_by_what_is_installed() {
    let walk = Walk::start(Database::Sqlite, 120).await;
    let sample = sample(&walk).await;
    for (number, point, did) in [
        (1, Writing("Run", Half), &[][..]),
        (2, Step("after Sync-NAVApp", Dies), &WHOLE[..2]),
        (3, Step("within Start-NAVAppDataUpgrade", Dies), &WHOLE[..2]),
    ] {
        let case = Case::new(&walk, &format!("judged{number:02}"), "", Some(&sample)).await;
        let hotfix = case.is_killed_at(point).await;
        let agent = case.machine.runs();
        let status = if did.is_empty() { "Succeeded" } else { "Failed" };
        let ended = case.until_ended(&hotfix, status).await;
        case.stops(agent).await;
        let did = if did.is_empty() { WHOLE } else { did };
        assert_eq!(case.machine.did(), did, "{point:?}");
        if status == "Failed" {
            let text = plain(&ended["errorMessage"]);
            assert!(text.contains("Asked for 1.0.1.0"), "{text}");
            let installed = match number {
                3 => "the app is not installed",
                _ => "1.0.0.0 is installed",
            };
            assert!(text.contains(installed), "{text}");
        }
    }
    let case = Case::new(&walk, "judged04", "", Some(&sample)).await;
    let hotfix = case.is_killed_at(Writing("Ended", Nothing)).await;
    let agent = case.machine.runs();
    case.until_ended(&hotfix, "Succeeded").await;
    case.stops(agent).await;
    assert_eq!(case.machine.did(), WHOLE);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_is_told_with_both_facts_also_by_the_next_agent() {
    let walk = Walk::start(Database::Sqlite, 120).await;
    let sample = sample(&walk).await;
    for (number, point) in [Writing("Ended", Half), Writing("ended", Nothing), Telling, Told]
        .iter()
        .enumerate()
    {
        let name = format!("failed{number:02}");
        let case = Case::new(&walk, &name, "reenterable = true", Some(&sample)).await;
        case.machine
            .writes("fail/Start-NAVAppDataUpgrade", "OnUpgradePerCompany failed");
        let hotfix = case.is_killed_at(*point).await;
        let agent = case.machine.runs();
        let ended = case.until_ended(&hotfix, "Failed").await;
        case.stops(agent).await;
        let text = plain(&ended["errorMessage"]);
        for fact in [
            "OnUpgradePerCompany failed",
            "Asked for 1.0.1.0: 1.0.0.0 is installed",
        ] {
            assert!(text.contains(fact), "{text}");
        }
        assert_eq!(ended["failureCause"], "UpgradeCode");
        assert_eq!(case.machine.did(), WHOLE[..2], "{point:?}");
    }
}
