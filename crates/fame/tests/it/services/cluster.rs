//! PostgreSQL for tests: one server that all share, or one of a test's own that it may stop and start.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    os::unix::process::CommandExt as _,
    process::{Child, ChildStdout, Command, Stdio},
    sync::LazyLock,
};
use tokio_postgres::NoTls;
use uuid::Uuid;

/// Names a server that runs already; its user may create databases.
const SERVER_VARIABLE: &str = "FAME_TEST_POSTGRES_URL";
/// Runs a server until its standard input ends, and does what that input says.
const SCRIPT: &str = include_str!("../../../../test-support/src/postgres_cluster.sh");

static SHARED: LazyLock<Cluster> = LazyLock::new(Cluster::found_or_own);

/// A PostgreSQL server.
pub struct Cluster {
    url: String,
    script: Option<Script>,
}

/// What runs a server of our own. It holds the pipe whose end stops the server.
struct Script {
    child: Child,
    replies: BufReader<ChildStdout>,
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
        let mut child = Command::new("sh")
            .args(["-c", SCRIPT])
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut replies = BufReader::new(child.stdout.take().unwrap());
        let mut url = String::new();
        replies.read_line(&mut url).unwrap();
        if !url.starts_with("postgres://") {
            let mut complaint = String::new();
            child
                .stderr
                .take()
                .unwrap()
                .read_to_string(&mut complaint)
                .unwrap();
            panic!("{complaint}");
        }
        Self {
            url: url.trim_end().to_owned(),
            script: Some(Script { child, replies }),
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

    /// Stops the server of a test's own at once, as a crash would.
    pub fn stop(&mut self) {
        self.script.as_mut().unwrap().carry_out("stop");
    }

    /// Starts it again.
    pub fn start(&mut self) {
        self.script.as_mut().unwrap().carry_out("start");
    }

    /// Ends every connection to its databases but the one that says so; it goes on taking new ones.
    pub async fn cut_connections(&self) {
        let statement = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                         WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";
        execute(&self.url, &[statement.to_owned()]).await;
    }
}

impl Script {
    fn carry_out(&mut self, command: &str) {
        tokio::task::block_in_place(|| {
            writeln!(self.child.stdin.as_mut().unwrap(), "{command}").unwrap();
            let mut reply = String::new();
            self.replies.read_line(&mut reply).unwrap();
            assert_eq!(reply, "done\n", "{command}");
        });
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
