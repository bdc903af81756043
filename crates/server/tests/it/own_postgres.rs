//! A PostgreSQL that a test has for itself: it may stop it and start it again, or reach it with encryption.

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};
use test_support::postgres_cluster::SCRIPT;
use tokio_postgres::NoTls;
use uuid::Uuid;

/// The server. It ends with this value.
pub struct OwnPostgres {
    /// As whom it is reached through its unix socket.
    pub url: String,
    /// Where it listens on the loopback address, if it does.
    pub port: Option<u16>,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
    _script: Child,
}

impl OwnPostgres {
    /// A server that is reached through its unix socket.
    pub fn start() -> Self {
        Self::run(&[], None)
    }

    /// A server that is also reached by TCP, with `server.crt` and `server.key` of the folder.
    pub fn with_certificate(folder: &Path) -> Self {
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        Self::run(&[folder.display().to_string(), port.to_string()], Some(port))
    }

    fn run(args: &[String], port: Option<u16>) -> Self {
        let mut script = Command::new("sh")
            .args(["-c", SCRIPT, "postgres_cluster"])
            .args(args)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut answers = BufReader::new(script.stdout.take().unwrap());
        let url = line(&mut answers);
        assert!(url.starts_with("postgres://"), "PostgreSQL did not start");
        Self {
            url,
            port,
            commands: script.stdin.take().unwrap(),
            answers,
            _script: script,
        }
    }

    /// The unix socket on which the server listens.
    pub fn socket(&self) -> String {
        let (_, place) = self.url.split_once('@').unwrap();
        let (folder, _) = place.split_once('/').unwrap();
        let folder = percent_encoding::percent_decode_str(folder)
            .decode_utf8()
            .unwrap();
        format!("{folder}/.s.PGSQL.5432")
    }

    /// Creates an empty database; its name.
    pub async fn new_database(&self) -> String {
        let name = format!("fame_{}", Uuid::new_v4().simple());
        asks(&self.url, &format!("CREATE DATABASE {name}")).await;
        name
    }

    /// Where a database of this server is reached directly.
    pub fn url_of(&self, database: &str) -> String {
        let (server, _) = self.url.rsplit_once('/').unwrap();
        format!("{server}/{database}")
    }

    /// Stops the server at once, as a crash would.
    pub fn stops(&mut self) {
        self.does("stop");
    }

    /// Starts the server again.
    pub fn starts(&mut self) {
        self.does("start");
    }

    /// Stops the server at once and starts it again.
    pub fn restarts(&mut self) {
        self.does("restart");
    }

    /// How often the server ended a transaction because several waited for each other in a circle; those of
    /// connections that are still there may be missing.
    pub fn deadlocks(&mut self) -> u64 {
        let counted = self.asks_script("deadlocks");
        let answer = tokio::task::block_in_place(|| line(&mut self.answers));
        assert_eq!(answer, "done", "deadlocks");
        counted.parse().unwrap()
    }

    fn does(&mut self, command: &str) {
        let answer = self.asks_script(command);
        assert_eq!(answer, "done", "{command}");
    }

    /// The first line that the script answers.
    fn asks_script(&mut self, command: &str) -> String {
        let (commands, answers) = (&mut self.commands, &mut self.answers);
        tokio::task::block_in_place(|| {
            writeln!(commands, "{command}").unwrap();
            line(answers)
        })
    }
}

fn line(from: &mut BufReader<ChildStdout>) -> String {
    let mut line = String::new();
    from.read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}

/// What one statement finds in a database: the first column of its first row, as text.
pub async fn asks(url: &str, statement: &str) -> Option<String> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    let found = client.simple_query(statement).await.unwrap();
    drop(client);
    connection.await.unwrap().unwrap();
    found.into_iter().find_map(|message| match message {
        tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    })
}
