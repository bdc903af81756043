//! Trusted publishing from the command line, against the real service: an Owner trusts a pipeline, and a run of it uploads
//! with nothing but what its own issuer says of it.

use crate::{
    service::{Answer, Ended, Service, binary, run},
    services::{APPS, Database, Environment, Person, Process, Site, fill, package},
};
use serde_json::json;
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

/// A double of the place where GitHub gives a running job its tokens; each is another one.
async fn github() -> Service {
    Service::start(|_, _| {
        let token = issuer::mint(&issuer::pipeline_run(PUBLIC_URL));
        Answer::json(200, json!({ "value": token }))
    })
    .await
}

/// `fame …` in a run of the pipeline, with nothing but what its issuer says of it.
async fn in_run(service: &Process, github: &Service, args: &[&str]) -> Ended {
    let mut command = binary(args);
    command
        .env("FAME_URL", service.base_url())
        .env("ACTIONS_ID_TOKEN_REQUEST_URL", format!("{}/github", github.url()))
        .env("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "job");
    run(command).await
}

/// A service that takes tokens of the pipelines' issuer.
fn site() -> Site {
    let publishers = format!(
        "[{{ provider = \"github\", issuer = \"{}\" }}]",
        issuer::pipeline_issuer()
    );
    Site::on(Database::Sqlite)
        .with("server.public_url", format!("\"{PUBLIC_URL}\""))
        .with("identity.publishers", publishers)
}

/// The arguments by which an Owner trusts the pipeline for an app.
fn trust<'a>(app: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let pipeline = [
        "publishers",
        "add",
        app,
        "--repository",
        "contoso/sales-pack",
        "--workflow",
        ".github/workflows/release.yml",
        "--ref",
        "refs/heads/main",
        "--json",
    ];
    [&pipeline[..], more].concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_trusts_a_pipeline_whose_run_uploads() {
    let (site, github) = (site(), github().await);
    let service = site.start(0).await;
    fill(&service.operator(), &service.owner()).await;
    let (app, owner) = (APPS[0].to_string(), issuer::token_of(&Person::OWNER));
    let added = fame(&service, &owner, &trust(&app, &["--countries", "us,US"])).await;
    assert_eq!(added.code, 0, "{added:?}");
    assert!(added.err.contains("fame publishers confirm"), "{added:?}");
    let added = added.json();
    let id = added["id"].as_str().unwrap();
    assert_eq!(
        (&added["state"], &added["may"]),
        (&json!("Pending"), &json!(["upload"]))
    );
    assert_eq!(added["countries"], json!(["US"]));

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("package.app");
    fs::write(&file, package(APPS[0], 1)).unwrap();
    let file = file.to_str().unwrap();
    let refused = in_run(
        &service,
        &github,
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
    let uploaded = in_run(
        &service,
        &github,
        &["versions", "upload", file, "--country", "US"],
    )
    .await;
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_several_apps_trust_releases_them_all() {
    let (site, github) = (site(), github().await);
    let service = site.start(0).await;
    fill(&service.operator(), &service.owner()).await;
    let owner = issuer::token_of(&Person::OWNER);
    let ids = ["--repository-id", "42", "--owner-id", "7"];
    let folder = tempfile::tempdir().unwrap();
    let mut files = Vec::new();
    for (number, app) in APPS.iter().take(2).enumerate() {
        let added = fame(&service, &owner, &trust(&app.to_string(), &ids)).await;
        assert_eq!(added.code, 0, "{added:?}");
        let file = folder.path().join(format!("{number}.app"));
        fs::write(&file, package(*app, 1)).unwrap();
        files.push(file.to_str().unwrap().to_owned());
    }
    let release = |more: &[&'static str]| {
        let mut args = vec!["release".to_owned()];
        args.extend(files.iter().cloned());
        args.extend(["--country", "US"].map(str::to_owned));
        args.extend(more.iter().map(|arg| (*arg).to_owned()));
        args
    };
    let released = async |more: &[&'static str]| {
        let args = release(more);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        in_run(&service, &github, &args).await
    };

    // Neither is granted more than Preview, which is said before anything is touched.
    for more in [
        &["--availability", "Available"][..],
        &["--availability", "Available", "--plan"],
    ] {
        let refused = released(more).await;
        assert_eq!(refused.code, 3, "{refused:?}");
        assert!(refused.err.contains("is not granted availability"), "{refused:?}");
    }
    let first = APPS[0].to_string();
    let versions = ["versions", "list", &first, "--country", "US", "--json"];
    let there = in_run(&service, &github, &versions).await;
    assert_eq!((there.code, there.json()), (0, json!([])), "{there:?}");

    let done = released(&[]).await;
    assert_eq!(done.code, 0, "{done:?}");
    let there = in_run(&service, &github, &versions).await;
    assert_eq!(there.json().as_array().unwrap().len(), 1, "{there:?}");

    // What is there already needs no right.
    let of_owner = async |args: &[&str]| fame(&service, &owner, args).await;
    for app in APPS.iter().take(2).map(ToString::to_string) {
        let update = [
            "versions",
            "update",
            &app,
            "1.0.1.0",
            "-c",
            "US",
            "--availability",
            "Available",
        ];
        assert_eq!(of_owner(&update).await.code, 0);
    }
    let done = released(&["--availability", "Available"]).await;
    assert_eq!(done.code, 0, "{done:?}");

    let unclear = in_run(&service, &github, &["apps", "list"]).await;
    assert_eq!(unclear.code, 3, "{unclear:?}");
    assert!(unclear.err.contains("name the app by its id"), "{unclear:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_may_hotfix_sandboxes_only_touches_nothing_for_production() {
    let (site, github) = (site(), github().await);
    let service = site.start(0).await;
    fill(&service.operator(), &service.owner()).await;
    let environment = Environment::new("north", "US");
    let (operator, report) = (service.operator(), environment.report("1.0.0.0", "West"));
    operator
        .put(&environment.path(), &report)
        .await
        .unwrap()
        .expect(201);
    let (app, owner) = (APPS[0].to_string(), issuer::token_of(&Person::OWNER));
    let may = ["upload", "availability", "hotfix:sandbox"]
        .map(|right| ["--may", right])
        .concat();
    let more = [
        &[
            "--repository-id",
            "42",
            "--owner-id",
            "7",
            "--max-availability",
            "Available",
        ][..],
        &may,
    ];
    let added = fame(&service, &owner, &trust(&app, &more.concat())).await;
    assert_eq!(added.code, 0, "{added:?}");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("package.app");
    fs::write(&file, package(APPS[0], 1)).unwrap();
    let release = [
        "release",
        file.to_str().unwrap(),
        "-c",
        "US",
        "--availability",
        "Available",
        "--hotfix",
        "--where",
        "type eq 'Production'",
    ];
    for more in [&[][..], &["--plan"]] {
        let refused = in_run(&service, &github, &[&release[..], more].concat()).await;
        assert_eq!(refused.code, 3, "{refused:?}");
        assert!(
            refused.err.contains("is not granted hotfix:production;"),
            "{refused:?}"
        );
    }
    let versions = ["versions", "list", &app, "-c", "US", "--json"];
    assert_eq!(fame(&service, &owner, &versions).await.json(), json!([]));
    let wrong = fame(&service, &owner, &["publishers", "get", &app, "contoso"]).await;
    assert_eq!(wrong.code, 2, "{wrong:?}");
    assert!(
        wrong.err.contains("a GUID that \"fame publishers list\" shows"),
        "{wrong:?}"
    );
}
