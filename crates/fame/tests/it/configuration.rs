//! `fame config`, `fame openapi`, and how `fame serve` starts and stops.

use crate::service::{ISSUER, OPERATOR, binary, binary_in, run};
use serde_json::Value;
#[cfg(unix)]
use std::{
    io::{BufRead, BufReader, Lines, Write},
    net::TcpStream,
    process::{Child, ChildStderr, Stdio},
};
use std::{path::Path, process::Command};
use tempfile::TempDir;

#[tokio::test]
async fn every_setting_is_shown_with_its_origin_and_without_secrets() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("own.toml"), "[log]\nlevel = \"debug\"\n").unwrap();
    let args = [
        "config",
        "show",
        "--config",
        "own.toml",
        "--set",
        "packages.max_bytes=4096",
        "--json",
    ];
    let mut command = binary_in(&folder, &args);
    command.env(
        "FAME_DATABASE__URL",
        "postgres://fame:top-secret@db.contoso.com/fame",
    );
    let ended = run(command).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(!ended.out.contains("top-secret"), "{}", ended.out);
    let rows = ended.json();
    let origin = |key: &str| {
        let row = rows.as_array().unwrap().iter().find(|row| row["key"] == key);
        row.unwrap()["origin"].as_str().unwrap().to_owned()
    };
    assert_eq!(origin("log.level"), "own.toml");
    assert_eq!(origin("packages.max_bytes"), "command line");
    assert_eq!(origin("database.url"), "FAME_DATABASE__URL");
    assert_eq!(origin("server.listen"), "default");
}

#[tokio::test]
async fn a_port_that_is_taken_is_told_with_what_to_do() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    let keeps = "server.data_dir=data";
    let serve = [
        "serve", "--listen", &address, "--set", OPERATOR, "--set", ISSUER, "--set", keeps,
    ];
    for args in [&serve[..], &["dev", "--listen", &address]] {
        let ended = run(binary_in(&folder, args)).await;
        assert_ne!(ended.code, 0, "{ended:?}");
        assert!(
            ended.err.contains(&address) && ended.err.contains("--listen"),
            "{}",
            ended.err
        );
    }
}

#[tokio::test]
async fn a_check_names_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let settings = ["config", "check", "--set", OPERATOR, "--set", ISSUER];
    std::fs::write(folder.path().join("own.toml"), "[log]\nlevel = \"debug\"\n").unwrap();
    let named = run(binary_in(
        &folder,
        &[&settings[..], &["--config", "own.toml"]].concat(),
    ))
    .await;
    assert!(
        named.code == 0 && named.err.contains("settings (own.toml)."),
        "{named:?}"
    );
    let none = run(binary_in(&folder, &settings)).await;
    assert!(
        none.code == 0 && none.err.contains("(no configuration file)"),
        "{none:?}"
    );
}

#[tokio::test]
async fn settings_fit_a_page() {
    let folder = tempfile::tempdir().unwrap();
    let shown = run(binary_in(&folder, &["config", "show"])).await;
    let longest = shown.out.lines().map(|line| line.chars().count()).max();
    assert!(longest <= Some(140), "{longest:?}\n{}", shown.out);
}

#[tokio::test]
async fn time_zones_are_listed_with_those_that_were_added() {
    let folder = tempfile::tempdir().unwrap();
    let added = r#"time_zones.added={"Atlantis Standard Time":"Atlantic/Azores"}"#;
    let ended = run(binary_in(&folder, &["config", "zones", "--set", added, "--json"])).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    let rows = ended.json();
    for (id, iana) in [
        ("Atlantis Standard Time", "Atlantic/Azores"),
        ("Alberta Standard Time", "America/Edmonton"),
        ("Kamchatka Standard Time", "Asia/Kamchatka"),
        ("Romance Standard Time", "Europe/Paris"),
    ] {
        let found = rows.as_array().unwrap().iter().find(|row| row["id"] == id);
        assert_eq!(found.unwrap()["iana"], iana);
    }
    let version = run(binary_in(&folder, &["--version"])).await;
    assert!(version.out.contains("time zones: tzdb 20"), "{version:?}");
}

/// Whoever computes it otherwise names somebody else: a version 5 of the claim under a version 5 of the issuer.
#[tokio::test]
async fn the_id_of_a_principal_is_known_before_they_call() {
    let issuer = "https://login.contoso.com/realms/apps";
    let ended = run(binary(&["config", "principal-id", issuer, "reader"])).await;
    assert_eq!(
        (ended.code, ended.out.trim()),
        (0, "ee3171a3-f562-5ec9-863a-49e5a2ed91bb")
    );
    let other = run(binary(&[
        "config",
        "principal-id",
        &format!("{issuer}/"),
        "reader",
    ]))
    .await;
    assert_ne!(other.out, ended.out);
}

#[tokio::test]
async fn all_problems_are_told_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let args = [
        "config",
        "check",
        "--set",
        "server.lisen=x",
        "--set",
        "log.level=loud",
    ];
    let ended = run(binary_in(&folder, &args)).await;
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(
        ended.err.contains("server.lisen") && ended.err.contains("log.level"),
        "{}",
        ended.err
    );

    let unfit = run(binary_in(&folder, &["config", "check"])).await;
    assert_eq!(unfit.code, 2);
    assert!(
        unfit.err.contains("identity.issuers") && unfit.err.contains("operators.principals"),
        "{}",
        unfit.err
    );

    let fit = run(binary_in(
        &folder,
        &["config", "check", "--set", OPERATOR, "--set", ISSUER],
    ))
    .await;
    assert_eq!(fit.code, 0, "{fit:?}");
}

/// What the service would not start with is found by its check, and what it has to reach is tried where that is asked for.
#[tokio::test]
async fn a_check_finds_what_a_start_would_stumble_over() {
    let folder = tempfile::tempdir().unwrap();
    let with = |more: &[&str]| {
        let args = ["config", "check", "--set", OPERATOR, "--set", ISSUER];
        run(binary_in(&folder, &[&args, more].concat()))
    };
    let missing = ["--set", "identity.ca_file=no/such/authorities.pem"];
    let unfit = with(&missing).await;
    assert_eq!(unfit.code, 2, "{unfit:?}");
    assert!(
        unfit.err.contains("identity.ca_file") && unfit.err.contains("no/such/authorities.pem"),
        "{unfit:?}"
    );

    // Nobody listens at these.
    let issuer = format!(
        r#"identity.issuers=[{{"kind": "oidc", "issuer": "https://127.0.0.1:9", "tenant": "{}", "audiences": ["api://fame"]}}]"#,
        uuid::Uuid::from_u128(7)
    );
    let away = [
        "--connect",
        "--set",
        "database.url=postgres://fame@127.0.0.1:9/fame",
        "--set",
        r#"storage.locations={"EU": {"url": "s3://a", "region": "eu", "endpoint": "https://127.0.0.1:9", "access_key_id": "id", "secret_access_key": "hidden"}}"#,
        "--set",
        &issuer,
    ];
    let away = with(&away).await;
    assert_eq!(away.code, 6, "{away:?}");
    for key in ["database.url", r#"storage.locations["EU"]"#, "identity.issuers"] {
        assert!(away.err.contains(key), "{key}: {away:?}");
    }
    assert!(away.err.contains("https://127.0.0.1:9/.well-known"), "{away:?}");
    assert!(!away.err.contains("hidden"), "{away:?}");
    assert!(is_empty(folder.path()), "nothing was made");
}

#[tokio::test]
async fn the_service_does_not_start_with_unfit_settings() {
    let folder = tempfile::tempdir().unwrap();
    let ended = run(binary_in(&folder, &["serve", "--listen", "127.0.0.1:0"])).await;
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(
        ended.err.contains("identity.issuers") && ended.err.contains("operators.principals"),
        "{}",
        ended.err
    );
    assert!(is_empty(folder.path()), "nothing was made");
}

fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).unwrap().next().is_none()
}

#[tokio::test]
async fn the_service_describes_itself() {
    let ended = run(binary(&["openapi"])).await;
    assert_eq!(ended.code, 0);
    assert!(ended.json()["openapi"].as_str().unwrap().starts_with("3."));
}

/// A service that serves, and what it logs from then on.
#[cfg(unix)]
struct Serving {
    process: Child,
    address: String,
    log: Lines<BufReader<ChildStderr>>,
    _folder: TempDir,
}

#[cfg(unix)]
impl Serving {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let args = [
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--set",
            OPERATOR,
            "--set",
            ISSUER,
            "--set",
            "log.format=json",
        ];
        let mut process = binary_in(&folder, &args).stderr(Stdio::piped()).spawn().unwrap();
        let mut log = BufReader::new(process.stderr.take().unwrap()).lines();
        let serves = says(&mut log, |line| line["message"] == "serving");
        Self {
            process,
            address: serves["address"].as_str().unwrap().to_owned(),
            log,
            _folder: folder,
        }
    }
}

/// The next line that `is_meant`.
#[cfg(unix)]
fn says(log: &mut Lines<BufReader<ChildStderr>>, is_meant: impl Fn(&Value) -> bool) -> Value {
    let lines = log.map_while(Result::ok);
    let mut lines = lines.map(|line| serde_json::from_str(&line).unwrap());
    let said = lines.find(is_meant);
    said.unwrap_or_else(|| panic!("it ended without saying so"))
}

#[cfg(unix)]
#[test]
fn the_line_of_a_request_is_there_when_the_request_was_the_last_one() {
    let mut service = Serving::start();
    let mut caller = TcpStream::connect(&service.address).unwrap();
    caller
        .write_all(b"GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .unwrap();
    let line = says(&mut service.log, |line| line["target"] == "fame::access");
    assert_eq!(
        (&line["status"], &line["span"]["route"]),
        (&200.into(), &"/health/live".into())
    );
    service.process.kill().unwrap();
    service.process.wait().unwrap();
}

/// Starts the service and sends it `signal`.
#[cfg(unix)]
fn serve_until(signal: &str) -> Option<i32> {
    let mut service = Serving::start();
    let sent = Command::new("kill")
        .args([signal, &service.process.id().to_string()])
        .status()
        .unwrap();
    assert!(sent.success());
    // What is still logged must go somewhere, or the service could not end.
    service.log.for_each(drop);
    service.process.wait().unwrap().code()
}

#[cfg(unix)]
#[test]
fn the_service_stops_in_good_order_when_it_is_asked_to() {
    assert_eq!(serve_until("-TERM"), Some(0));
    assert_eq!(serve_until("-INT"), Some(0));
}
