//! PostgreSQL is away. What happens under load while it comes and goes is tried among the crashes.

use super::{download, report, upload, upload_until_it_works};
use crate::services::{APPS, Environment, PostgresCluster, Process, Site, TIME_LIMIT, fill, package};
use serde_json::Value;
use std::process::Stdio;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStderr},
};

/// A service on a server of its own.
pub(super) async fn start(site: impl FnOnce(Site) -> Site) -> (PostgresCluster, Site, Process) {
    let cluster = PostgresCluster::start();
    let site = site(Site::in_cluster(&cluster));
    let process = site.start(0).await;
    fill(&process.operator(), &process.owner()).await;
    (cluster, site, process)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_away_is_said_and_survived() {
    let (mut cluster, _site, mut process) = start(|site| site).await;
    let (owner, operator) = (process.owner(), process.operator());
    let environment = Environment::new("customer", "US");
    report(&process, &environment, "before").await.expect(201);
    upload(&owner, APPS[0], &package(APPS[0], 1))
        .await
        .unwrap()
        .expect(200);
    for round in 1..=2 {
        cluster.stop();
        owner.get("/v1.4/apps").await.unwrap().expect_unavailable();
        report(&process, &environment, "while it is away")
            .await
            .expect_unavailable();
        let refused = upload(&owner, APPS[0], &package(APPS[0], 2)).await;
        refused.unwrap().expect_unavailable();
        download(&owner, APPS[0], 1).await.expect_unavailable();
        let health = process.until_readiness_is(503).await;
        assert_eq!(
            (&health["database"], &health["storage"]),
            (&"unavailable".into(), &"available".into())
        );
        operator.get("/health/live").await.unwrap().expect(200);

        cluster.start_again();
        process.until_readiness_is(200).await;
        let shown = operator.get(&environment.path()).await.unwrap().expect(200);
        assert_ne!(
            shown.property("locationName"),
            "while it is away",
            "what was refused is not done"
        );
        report(&process, &environment, &format!("after round {round}"))
            .await
            .expect(200);
    }
    upload_until_it_works(&owner, APPS[0], &package(APPS[0], 2)).await;
    for number in [1, 2] {
        let contents = download(&owner, APPS[0], number).await.expect(200);
        assert!(contents.body == package(APPS[0], number), "version {number}");
    }
    assert!(process.is_running());
    let beginnings = process.said("the database cannot be reached");
    let ends = process.said("the database can be reached again");
    assert_eq!((beginnings, ends), (2, 2), "{}", process.log_tail());
    for noise in [
        "the job failed",
        "the job works again",
        "signals of other servers",
        "deadpool",
    ] {
        assert_eq!(process.said(noise), 0, "{noise}: {}", process.log_tail());
    }
    let refused = process.said(r#""method":"GET","status":503,"path":"/v1.4/apps""#);
    assert!(refused >= 2, "{}", process.log_tail());
}

/// What is started together with its database may be there before it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_waits_for_a_database_that_is_away() {
    let mut cluster = PostgresCluster::start();
    let site = Site::in_cluster(&cluster);
    cluster.stop();
    let (mut waiting, mut log) = spawn(&site, &[]);
    let away = says(&mut log, "cannot be reached").await;
    assert_eq!(away["level"], "ERROR");
    cluster.start_again();
    let back = says(&mut log, "can be reached again").await;
    assert!(back["seconds"].is_number(), "{back}");
    says(&mut log, "serving").await;
    assert_eq!(asked_to_stop(&mut waiting, log).await, Some(0));

    // Whoever does not want to wait for it any longer can say so.
    cluster.stop();
    let (mut waiting, mut log) = spawn(&site, &[]);
    says(&mut log, "cannot be reached").await;
    assert_eq!(asked_to_stop(&mut waiting, log).await, Some(0));

    // What no waiting mends is said at once.
    cluster.start_again();
    let nowhere = format!("database.url={}", cluster.url_of("nowhere"));
    let (mut refused, log) = spawn(&site, &["--set", &nowhere]);
    assert_eq!(ended(&mut refused, log).await, Some(1));
}

type LogLines = Lines<BufReader<ChildStderr>>;

fn spawn(site: &Site, more: &[&str]) -> (Child, LogLines) {
    let mut command = Process::command(&site.configured(0));
    let command = command.args(more).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().unwrap();
    let log = BufReader::new(child.stderr.take().unwrap()).lines();
    (child, log)
}

/// The next line with such a message.
async fn says(log: &mut LogLines, text: &str) -> Value {
    let found = async {
        loop {
            let line = log.next_line().await.unwrap();
            let line = line.unwrap_or_else(|| panic!("it ended without saying that it {text}"));
            let said: Value = serde_json::from_str(&line).unwrap_or_default();
            if said["message"]
                .as_str()
                .is_some_and(|message| message.contains(text))
            {
                return said;
            }
        }
    };
    tokio::time::timeout(TIME_LIMIT, found).await.unwrap()
}

async fn asked_to_stop(child: &mut Child, log: LogLines) -> Option<i32> {
    let id = child.id().unwrap().to_string();
    let sent = std::process::Command::new("kill")
        .args(["-s", "TERM", &id])
        .status();
    assert!(sent.unwrap().success());
    ended(child, log).await
}

/// How it ended. What it still logs has to go somewhere.
async fn ended(child: &mut Child, mut log: LogLines) -> Option<i32> {
    let ended = async {
        while log.next_line().await.unwrap().is_some() {}
        child.wait().await.unwrap().code()
    };
    tokio::time::timeout(TIME_LIMIT, ended).await.unwrap()
}
