//! Trusted publishing from the command line, against the real service: an Owner trusts a pipeline, and a run of it uploads
//! with nothing but what its own issuer says of it.

use crate::{
    service::{Ended, binary, run},
    services::{APPS, Database, Person, Process, Site, fill, package},
};
use serde_json::{Value, json};
use std::fs;
use test_support::issuer;

/// How the service calls itself.
const PUBLIC_URL: &str = "https://apps.contoso.com";

/// `fame …` against the service with this token.
async fn fame(service: &Process, token: &str, args: &[&str]) -> Ended {
    let mut command = binary(args);
    command
        .env("FAME_URL", service.base_url())
        .env("FAME_TOKEN", token);
    run(command).await
}

async fn exchange(service: &Process) -> Value {
    let body = json!({ "token": issuer::mint(&issuer::pipeline_run(PUBLIC_URL)) });
    let given = service.owner().post("/oidc/exchange", &body).await.unwrap();
    given.expect(200).json()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_trusts_a_pipeline_whose_run_uploads() {
    let publishers = format!(
        "[{{ provider = \"github\", issuer = \"{}\" }}]",
        issuer::pipeline_issuer()
    );
    let site = Site::on(Database::Sqlite)
        .with("server.public_url", format!("\"{PUBLIC_URL}\""))
        .with("identity.publishers", publishers);
    let service = site.start(0).await;
    fill(&service.operator(), &service.owner()).await;
    let (app, owner) = (APPS[0].to_string(), issuer::token_of(&Person::OWNER));
    let added = fame(
        &service,
        &owner,
        &[
            "publishers",
            "add",
            &app,
            "--repository",
            "contoso/sales-pack",
            "--workflow",
            ".github/workflows/release.yml",
            "--ref",
            "refs/heads/main",
            "--countries",
            "us,US",
            "--json",
        ],
    )
    .await;
    assert_eq!(added.code, 0, "{added:?}");
    assert!(added.err.contains("fame publishers confirm"), "{added:?}");
    let added = added.json();
    let id = added["id"].as_str().unwrap();
    assert_eq!(
        (&added["state"], &added["may"]),
        (&json!("Pending"), &json!(["upload"]))
    );
    assert_eq!(added["countries"], json!(["US"]));

    let given = exchange(&service).await;
    let token = given["token"].as_str().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("package.app");
    fs::write(&file, package(APPS[0], 1)).unwrap();
    let file = file.to_str().unwrap();
    let refused = fame(
        &service,
        token,
        &[
            "versions",
            "upload",
            file,
            "--country",
            "US",
            "--availability",
            "Available",
        ],
    )
    .await;
    assert_ne!(refused.code, 0, "{refused:?}");
    assert!(refused.err.contains("may: upload"), "{refused:?}");
    let uploaded = fame(&service, token, &["versions", "upload", file, "--country", "US"]).await;
    assert_eq!(uploaded.code, 0, "{uploaded:?}");

    // Its ids were locked to those of its first run, and the owner says that they are right.
    let wrong = ["--repository-id", "43", "--owner-id", "7"];
    let right = ["--repository-id", "42", "--owner-id", "7"];
    let other = fame(
        &service,
        &owner,
        &[&["publishers", "confirm", &app, id][..], &wrong].concat(),
    )
    .await;
    assert_ne!(other.code, 0, "{other:?}");
    let confirmed = fame(
        &service,
        &owner,
        &[&["publishers", "confirm", &app, id][..], &right].concat(),
    )
    .await;
    assert_eq!(confirmed.code, 0, "{confirmed:?}");
    let shown = fame(&service, &owner, &["publishers", "get", &app, id, "--json"])
        .await
        .json();
    assert_eq!(shown["state"], "Active");
    assert_eq!(shown["repositoryId"], "42");
    let listed = fame(&service, &owner, &["publishers", "list", &app, "--json"])
        .await
        .json();
    assert_eq!(listed.as_array().unwrap().len(), 1, "{listed}");

    let removed = fame(&service, &owner, &["publishers", "remove", &app, id]).await;
    assert_eq!(removed.code, 0, "{removed:?}");
    let left = fame(&service, &owner, &["publishers", "list", &app, "--json"])
        .await
        .json();
    assert_eq!(left, json!([]));
}
