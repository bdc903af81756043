//! `fame config`, `fame openapi`, and how `fame serve` starts and stops.

use crate::service::{ISSUER, OPERATOR, binary, binary_in, run};
use std::{path::Path, process::Command};

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

/// Starts the service, waits until it says that it serves, and sends it `signal`.
#[cfg(unix)]
fn serve_until(signal: &str) -> Option<i32> {
    use std::{
        io::{BufRead, BufReader},
        process::Stdio,
    };
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
    let mut service = binary_in(&folder, &args).stderr(Stdio::piped()).spawn().unwrap();
    let mut log = BufReader::new(service.stderr.take().unwrap()).lines();
    let serves = log
        .by_ref()
        .map_while(Result::ok)
        .find(|line| line.contains("\"message\":\"serving"));
    assert!(serves.is_some(), "it never served");
    let sent = Command::new("kill")
        .args([signal, &service.id().to_string()])
        .status()
        .unwrap();
    assert!(sent.success());
    // What is still logged must go somewhere, or the service could not end.
    log.for_each(drop);
    service.wait().unwrap().code()
}

#[cfg(unix)]
#[test]
fn the_service_stops_in_good_order_when_it_is_asked_to() {
    assert_eq!(serve_until("-TERM"), Some(0));
    assert_eq!(serve_until("-INT"), Some(0));
}
