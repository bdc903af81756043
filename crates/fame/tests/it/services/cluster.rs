//! PostgreSQL for tests: one server that all share, or one of a test's own that it may stop and start.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    os::unix::process::CommandExt as _,
    process::{Child, Command, Stdio},
    sync::LazyLock,
};
use tokio_postgres::NoTls;
use uuid::Uuid;

/// Names a server that runs already; its user may create databases.
const SERVER_VARIABLE: &str = "FAME_TEST_POSTGRES_URL";
/// Runs a server until its standard input ends, and does there what that input says.
const SCRIPT: &str = include_str!("../../../../server/tests/it/postgres_cluster.sh");

static SHARED: LazyLock<Cluster> = LazyLock::new(Cluster::found_or_own);

/// A PostgreSQL server.
pub struct Cluster {
    url: String,
    /// Holds the pipe whose end stops the server.
    script: Option<Child>,
}

impl Cluster {
    /// The server that all tests share.
    pub fn shared() -> &'static Self {
        &SHARED
    }

    fn found_or_own() -> Self {
        match std::env::var(SERVER_VARIABLE) {
            Ok(url) if !url.is_empty() => Self { url, script: None },
            _ => Self::own(),
        }
    }

    /// A server of the test's own.
    pub fn own() -> Self {
        let mut script = Command::new("sh")
            .args(["-c", SCRIPT])
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut url = String::new();
        BufReader::new(script.stdout.take().unwrap())
            .read_line(&mut url)
            .unwrap();
        if !url.starts_with("postgres://") {
            let mut complaint = String::new();
            script
                .stderr
                .take()
                .unwrap()
                .read_to_string(&mut complaint)
                .unwrap();
            panic!("{complaint}");
        }
        Self {
            url: url.trim_end().to_owned(),
            script: Some(script),
        }
    }

    /// The url of a new, empty database whose acknowledged changes survive a crash of the server.
    pub fn new_database(&self) -> String {
        let name = format!("fame_test_{}", Uuid::new_v4().simple());
        let server = self.url.clone();
        let statements = [
            format!("CREATE DATABASE {name}"),
            format!("ALTER DATABASE {name} SET synchronous_commit = on"),
        ];
        // On a thread of its own: callers are inside a runtime that must not be blocked by another one.
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(execute(&server, &statements));
        })
        .join()
        .unwrap();
        let end = self.url.rfind('/').unwrap();
        format!("{}/{name}", &self.url[..end])
    }

    /// Tells the server of a test's own to `start`, to `stop` in order, or to `crash`. It does so a moment later.
    pub fn tell(&mut self, what: &str) {
        let script = self.script.as_mut().unwrap();
        writeln!(script.stdin.as_mut().unwrap(), "{what}").unwrap();
    }

    /// Whether the server takes connections.
    pub async fn answers(&self) -> bool {
        tokio_postgres::connect(&self.url, NoTls).await.is_ok()
    }
}

async fn execute(url: &str, statements: &[String]) {
    let (client, connection) = tokio_postgres::connect(url, NoTls)
        .await
        .unwrap_or_else(|error| panic!("cannot reach the PostgreSQL for tests: {error}"));
    let connection = tokio::spawn(connection);
    for statement in statements {
        let outcome = client.batch_execute(statement).await;
        outcome.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
    drop(client);
    connection.await.unwrap().unwrap();
}
