//! Microsoft's own sign-in libraries, for Python and for Node, against `fame dev`: desktop programs, devices and web sites
//! sign people in, find them again, and go on without asking them.
//!
//! The programs are `tests/python/msal_people.py` and `tests/msal-node/people.mjs`; their libraries are installed by `./test`.

use crate::dev::Dev;
use serde_json::{Value, json};
use std::path::PathBuf;
use tokio::process::Command;

/// The addresses of Microsoft's that the VS Code client knows by heart.
const RENAMED: [&str; 4] = [
    "--host",
    "login.microsoftonline.com",
    "--host",
    "apps.businesscentral.dynamics.com",
];

fn in_repository(path: &str) -> PathBuf {
    let root: PathBuf = [env!("CARGO_MANIFEST_DIR"), "..", ".."].iter().collect();
    root.join(path)
}

/// Where `./test` has put something.
fn installed(variable: &str, usual: &str) -> PathBuf {
    let path = std::env::var_os(variable).map_or(in_repository(usual), PathBuf::from);
    assert!(
        path.exists(),
        "{} is missing: run ./test, which installs it",
        path.display()
    );
    path
}

/// Runs a program that signs people in, and gives its report.
async fn report(dev: &Dev, mut program: Command) -> Value {
    let output = program
        .env("FAME_DEV", dev.ready.to_string())
        .env("NO_PROXY", "127.0.0.1,localhost")
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What a way of signing in comes to, whichever it is.
fn signed_in() -> Value {
    json!({ "account": "owner-user@contoso.com", "apps": 3, "from the cache": true, "anew": true })
}

#[tokio::test]
async fn python_signs_people_in_and_finds_them_again() {
    let dev = Dev::start(&[]).await;
    let mut program = Command::new(installed("FAME_TEST_PYTHON", ".venv/bin/python"));
    program.arg(in_repository("tests/python/msal_people.py"));
    let expected = json!({
        "browser": signed_in(),
        "browser of an OpenID Connect authority": signed_in(),
        "device": signed_in(),
        "web": signed_in(),
        "application": { "manageable tenants": 1 },
    });
    assert_eq!(report(&dev, program).await, expected);
}

#[tokio::test]
async fn node_signs_people_in_and_so_does_the_vs_code_client() {
    let dev = Dev::start(&RENAMED).await;
    let node = installed("FAME_TEST_NODE", ".tools/azurite/node_modules/.bin/node");
    let libraries = installed("FAME_TEST_MSAL", ".tools/msal-node");
    let mut program = Command::new(node);
    program
        .arg(in_repository("tests/msal-node/people.mjs"))
        .arg(libraries)
        .env("NODE_EXTRA_CA_CERTS", dev.ready["caFile"].as_str().unwrap());
    let expected = json!({
        "browser": signed_in(),
        "browser of version 2": signed_in(),
        "device": signed_in(),
        "web": signed_in(),
        "application": { "manageable tenants": 1 },
        "VS Code": signed_in(),
    });
    assert_eq!(report(&dev, program).await, expected);
}
