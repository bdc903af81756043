//! A release as a build system runs it: the script that is shipped, from the build to the last hotfix, against this service
//! while that is killed and started again, and against a strict double of the original.

use crate::{
    dev::Dev,
    service::{Ended, binary, run},
    services::{Caller, Fault, Gateway, Installed, Original, TIME_LIMIT},
};
use jiff::SignedDuration;
use serde_json::Value;
use std::{
    collections::BTreeSet,
    net::TcpListener,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};
use tempfile::TempDir;
use tokio::{sync::oneshot, task::JoinHandle};
use uuid::Uuid;

const VERSION: &str = "16.1.3.0";
const COUNTRIES: [&str; 3] = ["US", "DK", "DE"];

/// The script, in a folder in which nothing else is, with what a build system sets and nothing else.
fn script(folder: &TempDir, variables: &[(&str, String)], more: &[&str]) -> Command {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../contrib/pipelines/script/release.sh");
    let program = Path::new(env!("CARGO_BIN_EXE_fame")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
    let mut command = Command::new("bash");
    command
        .arg(script)
        .args(more)
        .current_dir(folder)
        .env_clear()
        .env("PATH", path)
        .env("HOME", folder.path())
        .env("TMPDIR", folder.path())
        .env("VERSION", VERSION)
        .env("COUNTRIES", COUNTRIES.join(","))
        .envs(variables.iter().map(|(name, value)| (*name, value.as_str())))
        .stdin(Stdio::null());
    command
}

/// Where a process can listen that is to be found there again after its death.
fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

async fn soon<T>(what: &str, event: impl Future<Output = T>) -> T {
    tokio::time::timeout(TIME_LIMIT, event)
        .await
        .unwrap_or_else(|_| panic!("it never came about that {what}"))
}

/// The service dies when the request has come that is held, and is started again on what it left.
async fn dies_at(
    held: oneshot::Receiver<oneshot::Sender<()>>,
    script: &JoinHandle<Ended>,
    dev: Dev,
    address: &str,
    data: &str,
) -> Dev {
    let request = soon("the release came so far", held).await.unwrap();
    assert!(!script.is_finished());
    dev.kill().await;
    drop(request);
    Dev::start_at(address, &["--data", data]).await
}

async fn rows(caller: &Caller, path: &str) -> Vec<Value> {
    caller.get(path).await.unwrap().expect(200).rows()
}

fn text<'v>(row: &'v Value, member: &str) -> &'v str {
    row[member].as_str().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_comes_about_though_the_service_is_killed_in_the_middle() {
    let folder = tempfile::tempdir().unwrap();
    let data = tempfile::tempdir().unwrap();
    let data = data.path().to_str().unwrap();
    let address = free_address();
    let dev = Dev::start_at(&address, &["--data", data]).await;
    let app = dev.app("Contoso Sales Pack");
    let gateway = Gateway::before(&format!("http://{address}")).await;
    let upload = gateway.holds(&format!("POST /v1.4/apps/{app}/countries/DK/versions"));
    let offer = gateway.holds(&format!("PATCH /v1.4/apps/{app}/countries/DE/versions/{VERSION}"));
    let owner = dev.client("owner").clone();
    let variables = [
        ("FAME_URL", gateway.url().to_owned()),
        ("FAME_CLIENT_ID", text(&owner, "clientId").to_owned()),
        ("FAME_CLIENT_SECRET", text(&owner, "clientSecret").to_owned()),
        ("FAME_TOKEN_URL", text(&owner, "tokenUrl").to_owned()),
        ("FAME_SCOPE", text(&dev.ready, "scope").to_owned()),
    ];
    let command = script(
        &folder,
        &variables,
        &["--ignore-window", "--poll-interval", "200ms"],
    );
    let running = tokio::spawn(run(command));
    let dev = dies_at(upload, &running, dev, &address, data).await;
    let dev = dies_at(offer, &running, dev, &address, data).await;
    let ended = soon("the release ended", running).await.unwrap();
    println!("{}{}", ended.out, ended.err);
    assert_eq!(ended.code, 0, "{}{}", ended.out, ended.err);

    let caller = dev.caller("owner").await;
    for country in COUNTRIES {
        let path = format!("/v1.4/apps/{app}/countries/{country}");
        let version = caller.get(&format!("{path}/versions/{VERSION}")).await.unwrap();
        let version = version.expect(200).json();
        assert_eq!(
            (text(&version, "status"), text(&version, "availability")),
            ("Uploaded", "Available")
        );
        let filter = format!("targetAppVersion%20eq%20'{VERSION}'");
        let hotfixes = rows(&caller, &format!("{path}/environmentHotfixes?$filter={filter}")).await;
        let names: BTreeSet<&str> = hotfixes.iter().map(|row| text(row, "environmentName")).collect();
        assert_eq!(
            names.len(),
            hotfixes.len(),
            "none was scheduled twice: {hotfixes:?}"
        );
        assert!(
            hotfixes.iter().all(|row| row["status"] == "Succeeded"),
            "{hotfixes:?}"
        );
        let there = rows(
            &caller,
            &format!("{path}/environments?$filter=type%20eq%20'Production'"),
        )
        .await;
        let on_line = there
            .iter()
            .filter(|row| text(row, "version").starts_with("16.1."));
        let behind: Vec<_> = on_line.filter(|row| row["version"] != VERSION).collect();
        assert_eq!(behind, Vec::<&Value>::new());
        assert!(!names.is_empty() || country != "US", "{there:?}");
    }
}

/// The app of the package that the script builds.
async fn built_app(folder: &TempDir) -> Uuid {
    let file = folder.path().join("built.app");
    let ended = run(binary(&["dev", "package", VERSION, file.to_str().unwrap()])).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    let bytes = std::io::Cursor::new(std::fs::read(&file).unwrap());
    let package = navx::read(bytes, &navx::Limits::default()).unwrap();
    package.manifest.unwrap().app_id
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_script_releases_to_the_original() {
    let folder = tempfile::tempdir().unwrap();
    let app = built_app(&folder).await;
    let original = Original::start().await;
    original.knows(|books| {
        books.has_app(app, "Contributor");
        books.has_countries(app, &COUNTRIES);
        books.installs(Installed::new(app, "US", "North", "16.1.1.0"));
        books.installs(Installed::new(app, "US", "Old", "16.0.2.0"));
        books.installs(Installed::new(app, "DK", "South", "16.1.0.0"));
        books.installs(Installed {
            kind: "Sandbox",
            ..Installed::new(app, "DE", "Trial", "16.1.1.0")
        });
        books.uploads_take = 2;
    });
    original.moves_clock_by_looks(SignedDuration::from_mins(3));
    original.tokens_last(9);
    let at = |method: &str, rest: &str| format!("{method} /v1.4/apps/{app}/countries/{rest}");
    for (line, fault) in [
        (at("POST", "US/versions"), Fault::CutWithin(500)),
        (at("POST", "DK/versions"), Fault::Throttled(1)),
        (at("POST", "DE/versions"), Fault::CutAfter),
        (at("PATCH", "US/versions"), Fault::Unavailable),
        (at("PATCH", "DE/versions"), Fault::CutAfter),
        (at("POST", "US/environmentHotfixes"), Fault::CutAfter),
        (at("POST", "DK/environmentHotfixes"), Fault::Unavailable),
        (
            at("GET", "DK/environmentHotfixes/"),
            Fault::Slow(Duration::from_millis(300)),
        ),
    ] {
        original.spoils(&line, fault);
    }
    let command = script(&folder, &original.variables(), &["--poll-interval", "50ms"]);
    let ended = soon("the release ended", run(command)).await;
    println!("{}{}", ended.out, ended.err);
    assert_eq!(ended.code, 0, "{}{}", ended.out, ended.err);
    assert_eq!(original.faults_left(), 0, "{:?}", original.lines());
    assert_eq!(original.unsafe_repeats(), [""; 0]);
    assert!(original.tokens() > 2, "{}", original.tokens());
    original.knows(|books| {
        let versions = ["North", "South", "Old", "Trial"].map(|name| books.installed(app, name));
        assert_eq!(versions, [VERSION, VERSION, "16.0.2.0", "16.1.1.0"]);
    });
    let lines = original.lines();
    let uploads = lines
        .iter()
        .rposition(|line| line.starts_with("POST ") && line.ends_with("/versions"));
    let offers = lines.iter().position(|line| line.starts_with("PATCH "));
    assert!(
        uploads < offers,
        "nothing is offered before all is uploaded: {lines:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_may_only_read_changes_nothing_at_the_original() {
    let folder = tempfile::tempdir().unwrap();
    let app = built_app(&folder).await;
    let original = Original::start().await;
    original.knows(|books| {
        books.has_app(app, "Reader");
        books.has_countries(app, &COUNTRIES);
        books.installs(Installed::new(app, "US", "North", "16.1.1.0"));
    });
    let ended = run(script(&folder, &original.variables(), &[])).await;
    assert_eq!(ended.code, 3, "{}{}", ended.out, ended.err);
    assert!(ended.err.contains("versions/write"), "{}", ended.err);
    assert_eq!(original.changes(), 0, "{:?}", original.lines());
}
