//! The vendor's commands against a strict double of Microsoft's endpoint, which has what its documents say and no more.

use crate::{
    service::{Ended, run},
    services::{APPS, Fault, Installed, LineOfWork, Original, package},
};
use jiff::SignedDuration;
use serde_json::Value;
use std::{path::PathBuf, time::Duration};
use tempfile::TempDir;

const APP: &str = "aaaaaaaa-0000-1111-2222-bbbbbbbbbbbb";
const VERSIONS: &str = "/v1.4/apps/aaaaaaaa-0000-1111-2222-bbbbbbbbbbbb/countries/US/versions";
const HOTFIXES: &str = "/v1.4/apps/aaaaaaaa-0000-1111-2222-bbbbbbbbbbbb/countries/US/environmentHotfixes";

/// The double with an app in three countries, and customers who have it.
struct Vendor {
    original: Original,
    folder: TempDir,
}

impl Vendor {
    async fn start() -> Self {
        let original = Original::start().await;
        original.knows(|books| {
            books.has_countries(APPS[0], &["US", "DE", "DK"]);
            for name in ["North", "South"] {
                books.installs(Installed::new(APPS[0], "US", name, "1.0.0.0"));
            }
            books.installs(Installed {
                kind: "Sandbox",
                ..Installed::new(APPS[0], "US", "Trial", "1.0.0.0")
            });
        });
        Self {
            original,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    async fn fame(&self, args: &[&str]) -> Ended {
        let mut command = self.original.command(args);
        command.current_dir(&self.folder);
        run(command).await
    }

    async fn succeeds(&self, args: &[&str]) -> Value {
        let ended = self.fame(&[args, &["--json"]].concat()).await;
        assert_eq!(ended.code, 0, "{args:?}: {ended:?}");
        match ended.out.is_empty() {
            true => Value::Null,
            false => ended.json(),
        }
    }

    fn package(&self, number: u32) -> PathBuf {
        let path = self.folder.path().join(format!("{number}.app"));
        std::fs::write(&path, package(APPS[0], number)).unwrap();
        path
    }

    async fn uploads(&self, number: u32, more: &[&str]) -> Ended {
        let file = self.package(number);
        let args = ["versions", "upload", file.to_str().unwrap(), "-c", "US"];
        self.fame(&[&args[..], more].concat()).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_documented_can_be_done() {
    let vendor = Vendor::start().await;
    assert_eq!(
        vendor.succeeds(&["apps", "list"]).await.as_array().unwrap().len(),
        3
    );
    let west = [
        "apps",
        "list",
        "--filter",
        "storageLocation eq 'West Europe'",
        "--count",
    ];
    let ended = vendor.fame(&west).await;
    assert_eq!(
        (ended.code, ended.out.trim()),
        (0, "3"),
        "who counts nothing has rows to count: {ended:?}"
    );
    assert_eq!(
        vendor.succeeds(&["apps", "get", APP]).await["publisher"],
        "Contoso"
    );
    assert_eq!(
        vendor
            .succeeds(&["countries", "list", APP])
            .await
            .as_array()
            .unwrap()
            .len(),
        3
    );
    vendor.succeeds(&["countries", "add", APP, "FR", "at"]).await;
    assert_eq!(
        vendor.succeeds(&["countries", "get", APP, "AT"]).await["countryCode"],
        "AT"
    );
    let user = "20000000-0000-4000-8000-000000000001";
    let set = [
        "principals",
        "set",
        APP,
        user,
        "--type",
        "User",
        "--role",
        "Reader",
    ];
    let tenant = ["--aad-tenant-id", "aaaabbbb-0000-cccc-1111-dddd2222eeee"];
    vendor.succeeds(&[&set[..], &tenant].concat()).await;
    let owners = vendor.succeeds(&[
        "principals",
        "list",
        APP,
        "--filter",
        "type eq 'User' and 'Reader' in roles",
    ]);
    assert_eq!(owners.await[0]["id"], user);
    vendor.succeeds(&["principals", "get", APP, user]).await;
    assert_eq!(vendor.fame(&["principals", "remove", APP, user]).await.code, 0);

    let ended = vendor.uploads(1, &["--availability", "Available"]).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    let ended = vendor.uploads(1, &["--skip-existing"]).await;
    assert_eq!(ended.code, 0, "the bytes are fetched to compare them: {ended:?}");
    let ended = vendor.uploads(1, &[]).await;
    assert_eq!(ended.code, 5, "{ended:?}");
    let versions = [
        "versions",
        "list",
        APP,
        "-c",
        "US",
        "--filter",
        "MajorVersion eq 1 and MinorVersion eq 0",
    ];
    assert_eq!(vendor.succeeds(&versions).await[0]["version"], "1.0.1.0");
    vendor
        .succeeds(&["versions", "get", APP, "1.0.1.0", "-c", "US"])
        .await;
    let deprecate = [
        "versions",
        "update",
        APP,
        "1.0.1.0",
        "-c",
        "US",
        "--availability",
        "Deprecated",
    ];
    assert_eq!(vendor.succeeds(&deprecate).await["availability"], "Deprecated");
    let breaks = "63ca2fa4-4f03-4f2b-a480-172fef340d3f=16.0.0.0";
    vendor
        .succeeds(&[
            "versions",
            "update",
            APP,
            "1.0.1.0",
            "-c",
            "US",
            "--incompatible-from",
            breaks,
        ])
        .await;
    vendor
        .succeeds(&["versions", "download", APP, "1.0.1.0", "-c", "US", "-o", "a.app"])
        .await;
    let fetched = std::fs::read(vendor.folder.path().join("a.app")).unwrap();
    assert_eq!(fetched, package(APPS[0], 1));

    let environments = [
        "environments",
        "list",
        APP,
        "-c",
        "US",
        "--filter",
        "version eq '1.0.0.0'",
    ];
    assert_eq!(vendor.succeeds(&environments).await.as_array().unwrap().len(), 3);
    let north = vendor
        .succeeds(&["environments", "get", APP, "North", "-c", "US"])
        .await;
    assert_eq!(north["name"], "North");
    assert_eq!(
        vendor
            .fame(&["environments", "get", APP, "Nowhere", "-c", "US"])
            .await
            .code,
        4
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_is_found_by_its_name_where_apps_have_one() {
    let vendor = Vendor::start().await;
    let ended = vendor.fame(&["countries", "list", "Sales Pack"]).await;
    assert_eq!(ended.code, 4, "{ended:?}");
    assert!(ended.err.contains("by its id"), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn hotfixes_are_scheduled_waited_for_and_canceled() {
    let vendor = Vendor::start().await;
    let ended = vendor.uploads(1, &["--availability", "Available"]).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    let production = ["--filter", "type eq 'Production'"];
    let schedule = ["hotfixes", "schedule", APP, "-c", "US", "--target", "1.0.1.0"];
    let rows = vendor.succeeds(&[&schedule[..], &production].concat()).await;
    assert_eq!(rows.as_array().unwrap().len(), 2, "{rows}");
    let again = vendor.fame(&[&schedule[..], &production].concat()).await;
    assert_eq!(again.code, 5, "{again:?}");
    assert_eq!(
        vendor
            .succeeds(&["hotfixes", "list", APP, "-c", "US"])
            .await
            .as_array()
            .unwrap()
            .len(),
        2
    );
    let id = rows[1]["id"].as_str().unwrap();
    vendor.succeeds(&["hotfixes", "get", APP, id, "-c", "US"]).await;
    vendor
        .succeeds(&["hotfixes", "cancel", APP, id, "-c", "US"])
        .await;
    let too_early = [
        "hotfixes",
        "wait",
        APP,
        "-c",
        "US",
        "--target",
        "1.0.1.0",
        "--timeout",
        "0s",
    ];
    let ended = vendor.fame(&too_early).await;
    assert_ne!(ended.code, 0, "{ended:?}");

    vendor.original.moves_clock_by_looks(SignedDuration::from_mins(3));
    let id = rows[0]["id"].as_str().unwrap();
    let wait = [
        "hotfixes",
        "wait",
        APP,
        id,
        "-c",
        "US",
        "--poll-interval",
        "20ms",
        "--timeout",
        "60s",
    ];
    let done = vendor.succeeds(&wait).await;
    assert_eq!(done[0]["status"], "Succeeded", "{done}");
    let north = vendor
        .succeeds(&["environments", "get", APP, "North", "-c", "US"])
        .await;
    assert_eq!(north["version"], "1.0.1.0");
    assert_eq!(vendor.original.unsafe_repeats(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hotfix_that_does_not_succeed_is_told() {
    let vendor = Vendor::start().await;
    assert_eq!(vendor.uploads(1, &["--availability", "Available"]).await.code, 0);
    vendor.original.moves_clock_by_looks(SignedDuration::from_mins(3));
    for (line, name, code) in [
        (LineOfWork::Fails, "Broken", 10),
        (LineOfWork::IsSkipped, "Gone", 11),
    ] {
        vendor.original.knows(|books| {
            books.installs(Installed {
                line,
                ..Installed::new(APPS[0], "US", name, "1.0.0.0")
            });
        });
        let schedule = [
            "hotfixes", "schedule", APP, "-c", "US", "--target", "1.0.1.0", "-e", name,
        ];
        let id = vendor.succeeds(&schedule).await[0]["id"]
            .as_str()
            .unwrap()
            .to_owned();
        let wait = [
            "hotfixes",
            "wait",
            APP,
            &id,
            "-c",
            "US",
            "--poll-interval",
            "20ms",
            "--timeout",
            "60s",
        ];
        let ended = vendor.fame(&wait).await;
        assert_eq!(ended.code, code, "{ended:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_this_service_has_is_said_to_be_missing() {
    let vendor = Vendor::start().await;
    assert_eq!(vendor.uploads(1, &["--availability", "Available"]).await.code, 0);
    let plan = ["hotfixes", "plan", APP, "-c", "US", "--target", "1.0.1.0"];
    let schedule = [
        "hotfixes", "schedule", APP, "-c", "US", "--target", "1.0.1.0", "--all",
    ];
    let dry_run = [&schedule[..], &["--dry-run"]].concat();
    let eligible_only = [&schedule[..], &["--eligible-only"]].concat();
    for args in [&plan[..], &dry_run, &eligible_only] {
        let ended = vendor.fame(args).await;
        assert_eq!(ended.code, 5, "{ended:?}");
        assert!(ended.err.contains("gives no plans"), "{ended:?}");
    }
    assert_eq!(vendor.fame(&["apps", "roles", APP]).await.code, 4);
    let sorted = vendor
        .fame(&["versions", "list", APP, "-c", "US", "--orderby", "version desc"])
        .await;
    assert_eq!(sorted.code, 5, "{sorted:?}");
    assert!(sorted.err.contains("$orderby"), "{sorted:?}");
}

/// It is not uploaded before the service says so.
#[tokio::test(flavor = "multi_thread")]
async fn an_upload_has_ended_when_it_is_stored() {
    let vendor = Vendor::start().await;
    vendor.original.knows(|books| books.uploads_take = 3);
    let ended = vendor.uploads(1, &["--json"]).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(ended.json()[0]["status"], "Uploaded", "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_are_waited_out_and_nothing_is_done_twice() {
    let vendor = Vendor::start().await;
    let Vendor { original, .. } = &vendor;
    let post = format!("POST {VERSIONS}");
    let faults = [
        Fault::Throttled(0),
        Fault::Unavailable,
        Fault::CutWithin(700),
        Fault::CutAfter,
    ];
    for (fault, number) in faults.into_iter().zip(1..) {
        original.spoils(&post, fault);
        let ended = vendor.uploads(number, &["--availability", "Available"]).await;
        assert_eq!(ended.code, 0, "{fault:?}: {ended:?}");
        assert_eq!(original.faults_left(), 0, "{fault:?}");
    }
    original.spoils(&post, Fault::Slow(Duration::from_secs(20)));
    let ended = vendor.uploads(9, &["--request-timeout", "1s"]).await;
    assert_eq!(ended.code, 0, "{ended:?}");

    // Each token is good for two requests, and a new one is fetched in between.
    original.tokens_last(2);
    let before = original.tokens();
    let ended = vendor
        .fame(&["countries", "add", APP, "US", "DK", "DE", "FR", "AT"])
        .await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(original.tokens() - before, 3);
    original.tokens_last(u64::MAX);

    for (fault, target) in [Fault::Throttled(0), Fault::Unavailable, Fault::CutAfter]
        .into_iter()
        .zip(1..)
    {
        original.spoils(&format!("POST {HOTFIXES}"), fault);
        let target = format!("1.0.{target}.0");
        let schedule = [
            "hotfixes", "schedule", APP, "-c", "US", "--target", &target, "-e", "North", "--json",
        ];
        let ended = vendor.fame(&schedule).await;
        assert_eq!(ended.code, 0, "{fault:?}: {ended:?}");
        assert_eq!(original.faults_left(), 0, "{fault:?}");
        assert_eq!(original.unsafe_repeats(), [""; 0], "{fault:?}");
        original.moves_clock(SignedDuration::from_hours(1));
    }
    original.knows(|books| assert_eq!(books.installed(APPS[0], "North"), "1.0.3.0"));
}

/// A token may end at any request, also at the one whose answer is lost: one that was refused was not carried out.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_told_from_a_refused_token() {
    for requests in 1..=8 {
        let vendor = Vendor::start().await;
        let Vendor { original, .. } = &vendor;
        assert_eq!(vendor.uploads(1, &["--availability", "Available"]).await.code, 0);
        original.spoils(&format!("POST {HOTFIXES}"), Fault::CutAfter);
        original.tokens_last(requests);
        let schedule = [
            "hotfixes", "schedule", APP, "-c", "US", "--target", "1.0.1.0", "-e", "North", "--json",
        ];
        let ended = vendor.fame(&schedule).await;
        assert_eq!(ended.code, 0, "{requests}: {ended:?}");
        assert_eq!(original.faults_left(), 0, "{requests}: {:?}", original.lines());
        assert_eq!(
            original.unsafe_repeats(),
            [""; 0],
            "{requests}: {:?}",
            original.lines()
        );
    }
}

/// What came before the connection was cut is no part of a package that is fetched without ranges.
#[tokio::test(flavor = "multi_thread")]
async fn a_download_that_broke_off_begins_anew() {
    let vendor = Vendor::start().await;
    assert_eq!(vendor.uploads(16, &[]).await.code, 0);
    let part = vendor.folder.path().join("a.app.part");
    std::fs::write(&part, b"what came before").unwrap();
    let ended = vendor
        .fame(&["versions", "download", APP, "1.0.16.0", "-c", "US", "-o", "a.app"])
        .await;
    assert_eq!(ended.code, 0, "{ended:?}");
    let fetched = std::fs::read(vendor.folder.path().join("a.app")).unwrap();
    assert_eq!(fetched, package(APPS[0], 16));
}
