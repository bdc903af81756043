//! What becomes of the output decides nothing about the exit code: readers that are gone, and a full disk.

use crate::{
    packages::PackageFile,
    service::{APP, Answer, Service, TENANT, binary},
};
use serde_json::json;
use std::{
    fs::File,
    io::pipe,
    process::{Command, Stdio},
};

const HOTFIX: &str = "dddddddd-3333-4444-5555-eeeeeeeeeeee";

/// A service whose hotfix failed, and that has version 16.0.1.2 already.
async fn service() -> Service {
    Service::start(|asked, _| match asked.method.as_str() {
        "POST" if asked.path.ends_with("/getPackageContents") => Answer::bytes(200, vec![7; 1 << 20]),
        "POST" => Answer::refusal(400, "EntityValidationFailed", "It is a trial."),
        _ if asked.path.ends_with(HOTFIX) => Answer::json(
            200,
            json!({"id": HOTFIX, "environmentAadTenantId": TENANT, "environmentName": "Cronus", "status": "Failed",
                   "environmentApplicationFamily": "BusinessCentral", "targetAppVersion": "16.0.1.2"}),
        ),
        _ => Answer::json(200, json!({"value": [{"countryCode": "US"}]})),
    })
    .await
}

/// How the command ends when nobody reads what it prints.
async fn unread(mut command: Command) -> (i32, String) {
    let (reader, writer) = pipe().unwrap();
    drop(reader);
    command.stdout(writer);
    ended(command).await
}

/// How it ends when there is no room for what it prints.
async fn without_room(mut command: Command) -> (i32, String) {
    command.stdout(File::options().write(true).open("/dev/full").unwrap());
    ended(command).await
}

async fn ended(mut command: Command) -> (i32, String) {
    command.stderr(Stdio::piped());
    let output = tokio::task::spawn_blocking(move || command.spawn().unwrap().wait_with_output().unwrap());
    let output = output.await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code().unwrap_or(-1), said)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_outcome_stands_whoever_reads_it() {
    let service = service().await;
    let package = PackageFile::new("16.0.1.2");
    let schedule = [
        "hotfixes", "schedule", APP, "-c", "US", "--target", "1.0.0.0", "--json",
    ];
    let environment = [
        "-e",
        "Cronus",
        "--aad-tenant-id",
        TENANT,
        "--family",
        "Business Central",
    ];
    let schedule = [&schedule[..], &environment].concat();
    let cases: [(i32, &[&str]); 4] = [
        (10, &["hotfixes", "wait", APP, HOTFIX, "-c", "US"]),
        (10, &["hotfixes", "wait", APP, HOTFIX, "-c", "US", "--json"]),
        (5, &["versions", "upload", package.name(), "-c", "US", "--json"]),
        (5, &schedule),
    ];
    for (code, args) in cases {
        let (seen, said) = unread(service.command(args)).await;
        assert_eq!(seen, code, "{args:?}: {said}");
        assert!(!said.contains("Cannot write"), "{said}");
        let (seen, said) = without_room(service.command(args)).await;
        assert_eq!(seen, code, "{args:?}: {said}");
        assert!(said.contains("Cannot write the output: No space left"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_done_is_done_though_nobody_reads_on() {
    let service = service().await;
    for args in [
        &["countries", "list", APP][..],
        &["countries", "list", APP, "--json"],
    ] {
        assert_eq!(unread(service.command(args)).await.0, 0, "{args:?}");
        let (code, said) = without_room(service.command(args)).await;
        assert_eq!(code, 1, "{args:?}: {said}");
        assert!(said.contains("Cannot write the output"), "{said}");
    }
    for args in [&["openapi"][..], &["completions", "bash"], &["exit-codes"]] {
        assert_eq!(unread(binary(args)).await.0, 0, "{args:?}");
        assert_eq!(without_room(binary(args)).await.0, 1, "{args:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_package_that_nobody_took_was_not_handed_over() {
    let service = service().await;
    let args = ["versions", "download", APP, "16.0.1.2", "-c", "US", "-o", "-"];
    assert_eq!(unread(service.command(&args)).await.0, 1);
    assert_eq!(without_room(service.command(&args)).await.0, 1);
}
