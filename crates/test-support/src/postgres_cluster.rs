//! PostgreSQL for tests: a server that all tests of a process share, or one that a test has for itself and may stop,
//! start again, or reach with encryption.
//!
//! A server is a child of `postgres_cluster.sh`, which lives until its standard input ends. This process holds the
//! other end of that pipe, so the server goes when the process does, even after a panic or a kill. A run of many
//! processes starts the script once itself and passes its url on as `FAME_TEST_POSTGRES_URL`.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::LazyLock,
    time::Duration,
};
use tokio_postgres::{NoTls, SimpleQueryMessage};
use uuid::Uuid;

/// Names a server that runs already; its user may create databases.
const SERVER_VARIABLE: &str = "FAME_TEST_POSTGRES_URL";
/// Runs a server; the commands that it takes are written at its top.
const SCRIPT: &str = include_str!("postgres_cluster.sh");

static SHARED: LazyLock<PostgresCluster> = LazyLock::new(PostgresCluster::find_or_start);

/// Creates an empty database that nobody else uses, on the server that all tests of this process share; its url.
///
/// # Panics
/// When there is no PostgreSQL to be had, saying what to do.
pub fn database_url() -> String {
    let name = new_name();
    execute_apart(&SHARED.url, &format!("CREATE DATABASE {name}"));
    SHARED.url_of(&name)
}

/// A PostgreSQL server. One of a test's own ends with this value.
pub struct PostgresCluster {
    /// The url of its first database, as its first user.
    pub url: String,
    /// Where it listens on the loopback address, if it does.
    pub port: Option<u16>,
    script: Option<Script>,
}

impl PostgresCluster {
    /// The server that all tests of this process share.
    pub fn shared() -> &'static Self {
        &SHARED
    }

    fn find_or_start() -> Self {
        match std::env::var(SERVER_VARIABLE) {
            Ok(url) if !url.is_empty() => Self {
                url,
                port: None,
                script: None,
            },
            _ => Self::start(),
        }
    }

    /// A server of the test's own, reached through its unix socket.
    pub fn start() -> Self {
        Self::run(&[], None)
    }

    /// A server of the test's own that is also reached by TCP, with `server.crt` and `server.key` of the folder.
    pub fn with_certificate(folder: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        Self::run(&[folder.display().to_string(), port.to_string()], Some(port))
    }

    fn run(args: &[String], port: Option<u16>) -> Self {
        let (script, url) = Script::start(args);
        Self {
            url,
            port,
            script: Some(script),
        }
    }

    /// Creates an empty database; its name.
    pub async fn new_database(&self) -> String {
        let name = new_name();
        query(&self.url, &format!("CREATE DATABASE {name}")).await;
        name
    }

    /// Creates an empty database whose acknowledged changes survive a crash of the server; its url.
    pub fn durable_database_url(&self) -> String {
        let name = new_name();
        execute_apart(&self.url, &format!("CREATE DATABASE {name}"));
        execute_apart(
            &self.url,
            &format!("ALTER DATABASE {name} SET synchronous_commit = on"),
        );
        self.url_of(&name)
    }

    /// The url of one of its databases.
    pub fn url_of(&self, database: &str) -> String {
        with_database(&self.url, database)
    }

    /// The unix socket on which it listens.
    pub fn socket(&self) -> String {
        let (_, rest) = self.url.split_once('@').unwrap();
        let (folder, _) = rest.split_once('/').unwrap();
        let folder = percent_encoding::percent_decode_str(folder)
            .decode_utf8()
            .unwrap();
        format!("{folder}/.s.PGSQL.5432")
    }

    /// Stops a server of the test's own at once, as a crash would.
    pub fn stop(&mut self) {
        self.script().carry_out("stop");
    }

    /// Starts it again.
    pub fn start_again(&mut self) {
        self.script().carry_out("start");
    }

    /// Stops it at once and starts it again.
    pub fn restart(&mut self) {
        self.script().carry_out("restart");
    }

    /// How often a server of the test's own ended a transaction because several waited for each other in a circle;
    /// those of connections that are still there may be missing.
    pub fn deadlocks(&mut self) -> u64 {
        self.script().deadlocks()
    }

    fn script(&mut self) -> &mut Script {
        self.script.as_mut().expect("a server of the test's own")
    }

    /// Ends every connection to its databases but the one that says so; it goes on taking new ones.
    pub async fn cut_connections(&self) {
        let statement = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                         WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";
        query(&self.url, statement).await;
    }
}

/// What runs a server. It holds the pipe whose end stops the server.
struct Script {
    commands: ChildStdin,
    replies: BufReader<ChildStdout>,
    _child: Child,
}

impl Script {
    /// Starts a server; its url.
    fn start(args: &[String]) -> (Self, String) {
        // A group of its own, so that a Ctrl-C meant for the tests leaves the script alive to clean up.
        let mut child = Command::new("sh")
            .args(["-c", SCRIPT, "postgres_cluster"])
            .args(args)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut script = Self {
            commands: child.stdin.take().unwrap(),
            replies: BufReader::new(child.stdout.take().unwrap()),
            _child: child,
        };
        let url = script.reply();
        if !url.starts_with("postgres://") {
            let mut complaint = String::new();
            let mut stderr = script._child.stderr.take().unwrap();
            stderr.read_to_string(&mut complaint).unwrap();
            panic!("{complaint}");
        }
        (script, url)
    }

    fn carry_out(&mut self, command: &str) {
        assert_eq!(self.send(command), "done", "{command}");
    }

    fn deadlocks(&mut self) -> u64 {
        let counted = self.send("deadlocks");
        assert_eq!(self.reply(), "done", "deadlocks");
        counted.parse().unwrap()
    }

    /// The first line of the reply to a command.
    fn send(&mut self, command: &str) -> String {
        tokio::task::block_in_place(|| {
            writeln!(self.commands, "{command}").unwrap();
            self.reply()
        })
    }

    fn reply(&mut self) -> String {
        let mut line = String::new();
        self.replies.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }
}

fn new_name() -> String {
    format!("fame_test_{}", Uuid::new_v4().simple())
}

/// Executes a statement on a thread of its own, because callers may be inside a runtime that must not be blocked by
/// another one.
fn execute_apart(url: &str, statement: &str) {
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(query(url, statement));
        });
    });
}

/// What one statement finds in a database: the first column of its first row, as text.
///
/// # Panics
/// When the server cannot be reached or refuses the statement.
pub async fn query(url: &str, statement: &str) -> Option<String> {
    let (client, connection) = tokio_postgres::connect(url, NoTls)
        .await
        .unwrap_or_else(|error| panic!("cannot reach the PostgreSQL for tests: {error}"));
    let connection = tokio::spawn(connection);
    let found = client.simple_query(statement).await;
    let found = found.unwrap_or_else(|error| panic!("{statement}: {error}"));
    drop(client);
    connection.await.unwrap().unwrap();
    found.into_iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    })
}

/// How often the server ended a transaction of this database because it waited in a circle. What a connection counted is
/// certain to be reported once it has gone, so all others are ended first.
///
/// # Panics
/// When they do not end.
pub async fn deadlocks(url: &str) -> i64 {
    let (client, connection) = tokio_postgres::connect(url, NoTls)
        .await
        .unwrap_or_else(|error| panic!("cannot reach the PostgreSQL for tests: {error}"));
    let connection = tokio::spawn(connection);
    let count = async |statement: &str| -> i64 {
        let row = client.query_one(statement, &[]).await;
        row.unwrap_or_else(|error| panic!("{statement}: {error}")).get(0)
    };
    let end = "SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity
               WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let all_gone = async { while count(end).await != 0 {} };
    let in_time = tokio::time::timeout(Duration::from_secs(20), all_gone).await;
    assert!(in_time.is_ok(), "connections did not end");
    let deadlocks = count("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()").await;
    drop(client);
    drop(connection.await);
    deadlocks
}

/// The same server and user, with `name` for the database.
fn with_database(url: &str, name: &str) -> String {
    let (address, options) = url
        .split_once('?')
        .map_or((url, None), |(address, options)| (address, Some(options)));
    let authority = address.find("://").map_or(0, |scheme| scheme + 3);
    let end = address[authority..]
        .find('/')
        .map_or(address.len(), |slash| authority + slash);
    let options = options.map(|options| format!("?{options}")).unwrap_or_default();
    format!("{}/{name}{options}", &address[..end])
}

#[test]
fn every_caller_gets_an_empty_database_of_its_own() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let (one, other) = (database_url(), database_url());
    assert_ne!(one, other);
    runtime.block_on(async {
        query(&one, "CREATE TABLE apps (id INT)").await;
        // Would fail if the table were there already.
        query(&other, "CREATE TABLE apps (id INT)").await;
    });
}

#[tokio::test]
async fn a_database_can_be_had_inside_a_runtime() {
    query(&database_url(), "SELECT 1").await;
}

#[test]
fn the_database_replaces_the_one_of_the_server() {
    let cases = [
        (
            "postgres://fame@%2Ftmp%2Fpg/postgres",
            "postgres://fame@%2Ftmp%2Fpg/x",
        ),
        ("postgres://u:p@localhost:5433", "postgres://u:p@localhost:5433/x"),
        (
            "postgresql://u@h/db?sslmode=disable",
            "postgresql://u@h/x?sslmode=disable",
        ),
    ];
    for (server, expected) in cases {
        assert_eq!(with_database(server, "x"), expected);
    }
}
