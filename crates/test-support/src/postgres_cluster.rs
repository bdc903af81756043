//! A PostgreSQL for tests: a fresh database for each caller, on one server per test process.
//!
//! The server is a child of `postgres_cluster.sh`, which lives until its standard input ends. This process holds the
//! other end of that pipe and never writes to it, so the server goes when the process does, even after a panic or a
//! kill. A run of many processes starts the script once itself and passes its url on as `FAME_TEST_POSTGRES_URL`.

use std::{
    io::{BufRead, BufReader, Read},
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
    sync::OnceLock,
    time::Duration,
};
use tokio_postgres::NoTls;
use uuid::Uuid;

/// Names a server that runs already; its user may create databases.
const SERVER_VARIABLE: &str = "FAME_TEST_POSTGRES_URL";
/// Starts a server; what it understands is written at its top.
pub const SCRIPT: &str = include_str!("postgres_cluster.sh");

static SERVER: OnceLock<Server> = OnceLock::new();

struct Server {
    url: String,
    /// Holds the pipe whose end stops the server.
    _script: Option<Child>,
}

/// Creates an empty database that nobody else uses and returns its url.
///
/// # Panics
/// When there is no PostgreSQL to be had, saying what to do.
pub fn database_url() -> String {
    let server = SERVER.get_or_init(Server::find_or_start);
    let name = format!("fame_test_{}", Uuid::new_v4().simple());
    create_database(&server.url, &name);
    with_database(&server.url, &name)
}

impl Server {
    fn find_or_start() -> Self {
        match std::env::var(SERVER_VARIABLE) {
            Ok(url) if !url.is_empty() => Self { url, _script: None },
            _ => Self::start(),
        }
    }

    fn start() -> Self {
        // A group of its own, so that a Ctrl-C meant for the tests leaves the script alive to clean up.
        let mut script = Command::new("sh")
            .args(["-c", SCRIPT])
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start sh: {error}"));
        let mut url = String::new();
        if let Some(stdout) = script.stdout.take() {
            BufReader::new(stdout)
                .read_line(&mut url)
                .unwrap_or_else(|error| panic!("PostgreSQL: {error}"));
        }
        assert!(url.starts_with("postgres://"), "{}", complaint(&mut script));
        Self {
            url: url.trim_end().to_owned(),
            _script: Some(script),
        }
    }
}

fn complaint(script: &mut Child) -> String {
    let mut text = String::new();
    if let Some(stderr) = &mut script.stderr {
        stderr
            .read_to_string(&mut text)
            .unwrap_or_else(|error| panic!("PostgreSQL: {error}"));
    }
    text
}

/// On a thread of its own, because callers may be inside a runtime that must not be blocked by another one.
fn create_database(server: &str, name: &str) {
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap_or_else(|error| panic!("no runtime: {error}"));
            runtime.block_on(execute(server, &format!("CREATE DATABASE {name}")));
        });
    });
}

async fn execute(url: &str, statement: &str) {
    let (client, connection) = tokio_postgres::connect(url, NoTls)
        .await
        .unwrap_or_else(|error| panic!("cannot reach the PostgreSQL for tests: {error}"));
    let connection = tokio::spawn(connection);
    let outcome = client.batch_execute(statement).await;
    drop(client);
    outcome.unwrap_or_else(|error| panic!("{statement}: {error}"));
    connection
        .await
        .ok()
        .and_then(Result::ok)
        .unwrap_or_else(|| panic!("{statement}: the connection broke"));
}

/// How often the server ended a transaction of this database because it waited in a circle. What a connection counted is
/// certain to be told once it has gone, so all others are ended first.
///
/// # Panics
/// When they do not end.
pub async fn deadlocks(url: &str) -> i64 {
    let (client, connection) = tokio_postgres::connect(url, NoTls)
        .await
        .unwrap_or_else(|error| panic!("cannot reach the PostgreSQL for tests: {error}"));
    let connection = tokio::spawn(connection);
    let asks = async |statement: &str| -> i64 {
        let row = client.query_one(statement, &[]).await;
        row.unwrap_or_else(|error| panic!("{statement}: {error}")).get(0)
    };
    let end = "SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity
               WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let all_gone = async { while asks(end).await != 0 {} };
    let in_time = tokio::time::timeout(Duration::from_secs(20), all_gone).await;
    assert!(in_time.is_ok(), "connections did not end");
    let counted = asks("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()").await;
    drop(client);
    drop(connection.await);
    counted
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
        execute(&one, "CREATE TABLE apps (id INT)").await;
        // Would fail if the table were there already.
        execute(&other, "CREATE TABLE apps (id INT)").await;
    });
}

#[tokio::test]
async fn a_database_can_be_had_inside_a_runtime() {
    execute(&database_url(), "SELECT 1").await;
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
