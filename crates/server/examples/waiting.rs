//! Measures what claims cost that wait for work.
//!
//! ```text
//! cargo run --release -p server --example waiting -- DATABASE_FILE [AGENTS] [SECONDS]
//! ```
//!
//! `DATABASE_FILE` names a SQLite file that is not there yet. AGENTS agents (default 1000) each open a connection of their
//! own to a service in this process and send a claim that waits for a minute; once all wait, nothing is done for SECONDS
//! (default 10). Prints one JSON object: the resident memory before and with all of them waiting, in KiB, what each
//! takes of it, sockets of both sides included, and the processor time that the process spent while all waited.

use auth::{OwnToken, OwnTokenKind};
use domain::ids::TenantId;
use rusqlite::{Connection, params};
use server::{
    Server,
    clock::Clock,
    config::{Settings, Sources},
};
use std::{error::Error, io::Write, time::Duration};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

type Outcome<T> = Result<T, Box<dyn Error>>;

#[tokio::main]
async fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let file = arguments.first().ok_or("name a file for the database")?;
    let number = |index: usize, default: u32| arguments.get(index).map_or(Ok(default), |text| text.parse());
    let (agents, seconds) = (number(1, 1_000)?, number(2, 10)?);

    let folder = tempfile::tempdir()?;
    let settings = settings(file, folder.path())?;
    let limits = settings.limits.clone();
    let server = Server::start(settings, Clock::system()).await?;
    let tokens = make_agents(file, agents)?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let stop = CancellationToken::new();
    let (router, stopped) = (server.router("http"), stop.clone().cancelled_owned());
    let serving = tokio::spawn(async move {
        server::serve(listener, router, &limits, Duration::ZERO, stopped).await;
    });

    let memory_before = resident_kib().unwrap_or_default();
    let mut connections = Vec::new();
    for token in tokens {
        let mut connection = TcpStream::connect(address).await?;
        connection.write_all(claim(&token).as_bytes()).await?;
        connections.push(connection);
    }
    // Long enough for all to have come to wait; none is answered before its minute is over.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let (memory, spent) = (
        resident_kib().unwrap_or_default(),
        processor_millis().unwrap_or_default(),
    );
    tokio::time::sleep(Duration::from_secs(seconds.into())).await;
    let spent = processor_millis().unwrap_or_default() - spent;
    let answered = connections
        .iter()
        .filter(|connection| connection.try_read(&mut [0]).is_ok());
    let line = serde_json::json!({
        "waiting": agents,
        "answered_early": answered.count(),
        "resident_kib_before": memory_before,
        "resident_kib": memory,
        "kib_for_each": f64::from(u32::try_from(memory - memory_before)?) / f64::from(agents),
        "seconds": seconds,
        "processor_ms": spent,
    });
    writeln!(std::io::stdout(), "{line}")?;
    drop(connections);
    server.drain(Duration::from_secs(1)).await;
    stop.cancel();
    serving.await?;
    server.stop().await;
    Ok(())
}

fn settings(file: &str, folder: &std::path::Path) -> Outcome<Settings> {
    let tenant = TenantId(Uuid::from_u128(0xB)).to_string();
    let issuers = serde_json::json!([{ "kind": "entra", "tenants": [tenant], "audiences": ["fame"] }]);
    let overrides = [
        ("identity.issuers", issuers.to_string()),
        ("server.data_dir", folder.display().to_string()),
        ("database.url", format!("sqlite:{file}")),
    ];
    let sources = Sources {
        file: None,
        environment: Vec::new(),
        overrides: overrides.map(|(key, value)| (key.to_owned(), value)).into(),
    };
    let loaded = Settings::load(&sources).map_err(|problems| format!("{problems:?}"))?;
    Ok(loaded.settings)
}

/// Agents that have enrolled; their tokens.
fn make_agents(file: &str, agents: u32) -> Outcome<Vec<OwnToken>> {
    let mut database = Connection::open(file)?;
    let tx = database.transaction()?;
    let mut tokens = Vec::new();
    for number in 0..agents {
        let token = OwnToken::random(OwnTokenKind::Agent)?;
        let name = format!("agent {number}");
        tx.execute(
            "INSERT INTO agents (id, name, name_key, serves_unreported, created_on, token_sha256, token_until,
                                 token_used, inventory_sequence, etag)
             VALUES (?1, ?2, ?2, FALSE, 0, ?3, ?4, FALSE, 0, ?1)",
            params![Uuid::new_v4().as_bytes(), name, token.sha256(), i64::MAX],
        )?;
        tokens.push(token);
    }
    tx.commit()?;
    Ok(tokens)
}

fn claim(token: &OwnToken) -> String {
    let body = r#"{"max":1,"waitSeconds":60}"#;
    format!(
        "POST /agent/v1/claim HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\n{}: {}\r\ncontent-length: {}\r\n\r\n{body}",
        token.text(),
        wire::agent::SESSION_HEADER,
        Uuid::new_v4(),
        body.len()
    )
}

/// Memory of this process, where the system tells as Linux does.
fn resident_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// Processor time of this process, where the system keeps it as Linux does: in ticks of ten milliseconds.
fn processor_millis() -> Option<u64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let behind_name = stat.rsplit(')').next()?;
    let fields: Vec<_> = behind_name.split_whitespace().collect();
    let ticks = |field: usize| fields.get(field)?.parse::<u64>().ok();
    Some((ticks(11)? + ticks(12)?) * 10)
}
