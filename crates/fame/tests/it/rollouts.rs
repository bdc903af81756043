//! `fame rollout run` against a strict double of Microsoft's endpoint: waves, brakes and gates; drivers that are killed at
//! every step and with every line of their journal; answers that are lost.

mod service;

use crate::{
    service::{Ended, run},
    services::{APPS, Fault, Installed, LineOfWork, Original, eventually, package},
};
use jiff::SignedDuration;
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    process::{Command, Stdio},
};
use tempfile::TempDir;

const APP: &str = "aaaaaaaa-0000-1111-2222-bbbbbbbbbbbb";
const POST: &str = "POST /v1.4/apps/aaaaaaaa-0000-1111-2222-bbbbbbbbbbbb/countries/US/environmentHotfixes";
const SOONER_THAN_EVER: SignedDuration = SignedDuration::from_mins(7);

/// The double, with an app that four environments in two countries have, and a version for them.
struct Vendor {
    original: Original,
    folder: TempDir,
}

/// Two waves: one environment, then the others.
const CANARY: &str = r#"
[[waves]]
name = "canary"
take = { count = 1 }
stop = { failed = { count = 1 } }

[[waves]]
name = "rest"
take = "rest"
"#;

impl Vendor {
    async fn start() -> Self {
        let original = Original::start().await;
        original.knows(|books| {
            books.has_countries(APPS[0], &["US", "DE"]);
            for (name, country) in [("Alpha", "US"), ("Beta", "US"), ("Gamma", "US"), ("Delta", "DE")] {
                books.installs(Installed::new(APPS[0], country, name, "1.0.0.0"));
            }
        });
        let vendor = Self {
            original,
            folder: tempfile::tempdir().unwrap(),
        };
        vendor.publishes(1).await;
        vendor
    }

    async fn publishes(&self, number: u32) {
        let path = self.folder.path().join("new.app");
        fs::write(&path, package(APPS[0], number)).unwrap();
        let offered = ["--availability", "Available", "-c", "US", "-c", "DE"];
        let upload = [&["versions", "upload", "new.app"], &offered[..]].concat();
        let ended = self.fame(&upload).await;
        assert_eq!(ended.code, 0, "{ended:?}");
    }

    fn writes(&self, more: &str) {
        let mut text = format!("app = '{APP}'\nname = 'One'\ntargetAppVersion = '1.0.1.0'\n{more}\n");
        if !more.contains("[select]") {
            text += "[select]\ncountries = 'all'\n";
        }
        fs::write(self.folder.path().join("rollout.toml"), text).unwrap();
    }

    fn journal(&self) -> PathBuf {
        self.folder.path().join("journal")
    }

    async fn fame(&self, args: &[&str]) -> Ended {
        let mut command = self.original.command(args);
        command.current_dir(&self.folder);
        run(command).await
    }

    /// Drives the rollout while time passes at the service.
    async fn drives(&self, more: &[&str]) -> Ended {
        self.original.moves_clock_by_lists(SOONER_THAN_EVER);
        self.fame(&driving(more)).await
    }

    /// Drives it for so long, while no time passes there.
    async fn drives_in_vain(&self, more: &[&str]) -> Ended {
        self.original.moves_clock_by_lists(SignedDuration::ZERO);
        self.fame(&driving(&[more, &["--timeout", "1s"]].concat())).await
    }

    fn starts(&self, more: &[&str]) -> tokio::process::Child {
        let mut command = tokio::process::Command::from(self.original.command(&driving(more)));
        command
            .current_dir(&self.folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command.spawn().unwrap()
    }

    /// The environments that hotfixes were made for, in the order in which they were.
    fn posted(&self) -> Vec<String> {
        let asked = self.original.asked();
        let posts = asked
            .iter()
            .filter(|asked| asked.line.starts_with("POST ") && asked.line.ends_with("/environmentHotfixes"));
        // Those that were done and not answered are marked so, and not refused.
        let made = posts.filter(|asked| matches!(asked.status, 0 | 200));
        made.map(|asked| {
            let body: Value = serde_json::from_slice(&asked.body).unwrap();
            body["environmentName"].as_str().unwrap().to_owned()
        })
        .collect()
    }

    /// Each environment was given one hotfix, and has what it was to bring.
    fn is_whole(&self) {
        let mut posted = self.posted();
        posted.sort_unstable();
        assert_eq!(posted, ["Alpha", "Beta", "Delta", "Gamma"]);
        assert_eq!(self.original.unsafe_repeats(), [""; 0]);
        self.original.knows(|books| {
            for name in ["Alpha", "Beta", "Gamma", "Delta"] {
                assert_eq!(books.installed(APPS[0], name), "1.0.1.0");
            }
        });
    }
}

fn driving<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let drive = [
        "rollout",
        "run",
        "rollout.toml",
        "--journal",
        "journal",
        "--poll-interval",
        "10ms",
        "--json",
    ];
    [&drive[..], more].concat()
}

/// Where each environment is.
fn states(ended: &Ended) -> BTreeMap<String, String> {
    let rows = ended.json()["environments"].as_array().unwrap().clone();
    let text = |row: &Value, name: &str| row[name].as_str().unwrap().to_owned();
    rows.iter()
        .map(|row| (text(row, "name"), text(row, "state")))
        .collect()
}

#[track_caller]
fn is(ended: &Ended, code: i32, state: &str, reason: Option<&str>) {
    assert_eq!(ended.code, code, "{ended:?}");
    assert_eq!(ended.json()["state"], state, "{ended:?}");
    assert_eq!(ended.json()["reason"].as_str(), reason, "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn waves_follow_each_other_and_a_second_run_finds_nothing_to_do() {
    let vendor = Vendor::start().await;
    vendor.writes(CANARY);
    let ended = vendor.drives(&[]).await;
    is(&ended, 0, "Completed", None);
    assert_eq!(ended.json()["outcome"], "Succeeded");
    assert_eq!(ended.json()["counts"]["updated"], 4);
    vendor.is_whole();
    assert_eq!(vendor.posted()[0], "Alpha");
    let lines = vendor.original.lines();
    let posts = lines
        .iter()
        .enumerate()
        .filter(|(_, line)| line.ends_with("/environmentHotfixes") && line.starts_with("POST"));
    let posts: Vec<usize> = posts.map(|(at, _)| at).collect();
    let looks = lines[posts[0]..posts[1]]
        .iter()
        .filter(|line| line.starts_with("GET") && line.ends_with("Hotfixes"));
    assert!(
        looks.count() >= 2,
        "the canary was followed to its end: {lines:?}"
    );

    let changes = vendor.original.changes();
    let again = vendor.drives(&[]).await;
    is(&again, 0, "Completed", None);
    assert_eq!(vendor.original.changes(), changes);
    let people = ["rollout", "run", "rollout.toml", "--journal", "journal"];
    let people = vendor.fame(&people).await;
    assert!(
        people.out.contains("Alpha") && people.out.contains("Updated"),
        "{people:?}"
    );
    assert!(people.err.contains("rest, Done: 3 updated of 3"), "{people:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_that_fails_pauses_it_and_a_retry_goes_on() {
    let vendor = Vendor::start().await;
    vendor.writes(CANARY);
    vendor
        .original
        .knows(|books| books.line(APPS[0], "Alpha", LineOfWork::Fails));
    let ended = vendor.drives(&[]).await;
    is(&ended, 20, "Paused", Some("StopRule"));
    assert_eq!(vendor.posted(), ["Alpha"]);
    assert!(
        ended.err.contains("1 times: The field 'No.' cannot be removed."),
        "{ended:?}"
    );
    let again = vendor.drives(&[]).await;
    is(&again, 20, "Paused", Some("StopRule"));
    let resumed = vendor.drives(&["--resume"]).await;
    assert_eq!(resumed.json()["outcome"], "WithFailures", "{resumed:?}");
    assert_eq!(resumed.code, 10);
    assert_eq!(states(&resumed)["Alpha"], "Failed");

    vendor
        .original
        .knows(|books| books.line(APPS[0], "Alpha", LineOfWork::Succeeds));
    let retried = vendor.drives(&["--retry"]).await;
    is(&retried, 0, "Completed", None);
    assert_eq!(vendor.posted().iter().filter(|name| *name == "Alpha").count(), 2);
    assert_eq!(vendor.posted().len(), 5);
    let rows = retried.json()["environments"].as_array().unwrap().clone();
    let alpha = rows.iter().find(|row| row["name"] == "Alpha").unwrap();
    assert_eq!(alpha["attempt"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_calls_off_what_has_not_started_and_that_was_no_attempt() {
    let vendor = Vendor::start().await;
    vendor.writes("");
    let ended = vendor.drives_in_vain(&[]).await;
    is(&ended, 13, "Active", None);
    assert_eq!(ended.json()["counts"]["scheduled"], 4);
    let paused = vendor.drives_in_vain(&["--pause"]).await;
    is(&paused, 20, "Paused", Some("Requested"));
    assert_eq!(paused.json()["counts"]["taken"], 4);
    let patches = vendor.original.lines();
    assert_eq!(patches.iter().filter(|line| line.starts_with("PATCH")).count(), 4);
    let resumed = vendor.drives(&["--resume"]).await;
    is(&resumed, 0, "Completed", None);
    assert_eq!(vendor.posted().len(), 8);
    let rows = resumed.json()["environments"].as_array().unwrap().clone();
    assert!(rows.iter().all(|row| row["attempt"] == 1), "{rows:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abort_calls_off_for_good() {
    let vendor = Vendor::start().await;
    vendor.writes("");
    vendor.drives_in_vain(&[]).await;
    let ended = vendor.drives_in_vain(&["--abort"]).await;
    is(&ended, 12, "Aborted", Some("Requested"));
    assert_eq!(ended.json()["counts"]["canceled"], 4);
    let resumed = vendor.drives(&["--resume"]).await;
    assert_eq!(resumed.code, 5, "{resumed:?}");
    assert_eq!(vendor.posted().len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gate_waits_for_somebody() {
    let vendor = Vendor::start().await;
    vendor.writes("[[waves]]\nname = 'canary'\ntake = { count = 1 }\nproceed = { gate = 'manual' }\n[[waves]]\nname = 'rest'\ntake = 'rest'");
    let ended = vendor.drives(&[]).await;
    is(&ended, 20, "Active", None);
    assert!(ended.err.contains("--advance 'canary'"), "{ended:?}");
    assert_eq!(vendor.posted(), ["Alpha"]);
    let wrong = vendor.drives(&["--advance", "first"]).await;
    assert_eq!(wrong.code, 2, "{wrong:?}");
    is(
        &vendor.drives(&["--advance", "canary"]).await,
        0,
        "Completed",
        None,
    );
    vendor.is_whole();
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_becomes_of_an_answer_nothing_is_posted_twice() {
    for retries in ["0", "3"] {
        let vendor = Vendor::start().await;
        vendor.writes("[select]\ncountries = ['US', 'DE']");
        for fault in [
            Fault::Throttled(0),
            Fault::Unavailable,
            Fault::CutAfter,
            Fault::CutWithin(20),
        ] {
            vendor.original.spoils(POST, fault);
        }
        vendor.original.spoils("GET /v1.4/apps", Fault::CutAfter);
        let ended = vendor.drives(&["--retries", retries]).await;
        match ended.code {
            // What is read first has to be there.
            6 if retries == "0" => is(&vendor.drives(&["--retries", "0"]).await, 0, "Completed", None),
            _ => is(&ended, 0, "Completed", None),
        }
        assert_eq!(vendor.original.faults_left(), 0);
        vendor.is_whole_but_for_faults();
    }
}

impl Vendor {
    /// As [`Vendor::is_whole`], where some posts were answered by others than the service.
    fn is_whole_but_for_faults(&self) {
        let posted: std::collections::BTreeSet<String> = self.posted().into_iter().collect();
        assert_eq!(posted.len(), 4);
        assert_eq!(self.original.unsafe_repeats(), [""; 0]);
        self.original.knows(|books| {
            for name in ["Alpha", "Beta", "Gamma", "Delta"] {
                assert_eq!(books.installed(APPS[0], name), "1.0.1.0");
                assert_eq!(books.hotfixes_of(APPS[0], name), 1, "{name}");
            }
        });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_any_more_stops_and_the_rollout_stands() {
    let vendor = Vendor::start().await;
    vendor.writes("");
    vendor
        .original
        .spoils(POST, Fault::Slow(std::time::Duration::ZERO));
    vendor.original.spoils(POST, Fault::Forbidden);
    let ended = vendor.drives(&[]).await;
    assert_eq!(ended.code, 3, "{ended:?}");
    is(&vendor.drives(&[]).await, 0, "Completed", None);
    vendor.is_whole_but_for_faults();
}

/// Before a post is worked on, after that, and while a hotfix is being called off.
#[tokio::test(flavor = "multi_thread")]
async fn drivers_that_are_killed_at_a_request_leave_each_environment_with_one_hotfix() {
    let vendor = Vendor::start().await;
    vendor.writes("");
    vendor.original.moves_clock_by_lists(SignedDuration::ZERO);
    let posts = [
        Fault::NeverBegins,
        Fault::NeverAnswers,
        Fault::NeverBegins,
        Fault::NeverAnswers,
    ];
    for fault in posts {
        vendor.original.spoils(POST, fault);
        vendor.is_killed_at_the_fault(&[]).await;
    }
    let ended = vendor.drives_in_vain(&[]).await;
    assert_eq!(ended.json()["counts"]["scheduled"], 4, "{ended:?}");
    vendor.is_scheduled_once();
    for (fault, more) in [(Fault::NeverBegins, &["--pause"][..]), (Fault::NeverAnswers, &[])] {
        vendor.original.spoils("PATCH ", fault);
        vendor.is_killed_at_the_fault(more).await;
    }
    let paused = vendor.drives_in_vain(&[]).await;
    is(&paused, 20, "Paused", Some("Requested"));
    assert_eq!(paused.json()["counts"]["taken"], 4, "{paused:?}");
    is(&vendor.drives(&["--resume"]).await, 0, "Completed", None);
    vendor.original.knows(|books| {
        for name in ["Alpha", "Beta", "Gamma", "Delta"] {
            assert_eq!(
                books.hotfixes_of(APPS[0], name),
                2,
                "one called off, and one that came about: {name}"
            );
            assert_eq!(books.installed(APPS[0], name), "1.0.1.0");
        }
    });
}

impl Vendor {
    async fn is_killed_at_the_fault(&self, more: &[&str]) {
        let mut child = self.starts(more);
        eventually("the fault is met", async || {
            (self.original.faults_left() == 0).then_some(())
        })
        .await;
        // What it was doing may still be on its way through the double.
        child.kill().await.unwrap();
    }

    fn is_scheduled_once(&self) {
        self.original.knows(|books| {
            for name in ["Alpha", "Beta", "Gamma", "Delta"] {
                assert_eq!(books.hotfixes_of(APPS[0], name), 1, "{name}");
            }
        });
    }
}

/// The system ends a driver that writes more than so many bytes into a file, in the middle of a line.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn drivers_that_die_in_the_middle_of_any_line_go_on_where_they_were() {
    const STEP: u64 = 331;
    let vendor = Vendor::start().await;
    vendor.writes(CANARY);
    vendor.original.moves_clock_by_lists(SOONER_THAN_EVER);
    let mut deaths = 0;
    let mut most = STEP;
    loop {
        let mut command = Command::new("prlimit");
        command.args([
            format!("--fsize={most}"),
            "--core=0".into(),
            env!("CARGO_BIN_EXE_fame").into(),
        ]);
        command
            .args(driving(&[]))
            .env_clear()
            .env("XDG_CONFIG_HOME", "/nowhere")
            .current_dir(&vendor.folder);
        command.env("PATH", std::env::var_os("PATH").unwrap());
        command.envs(vendor.original.variables());
        let ended = run(command).await;
        if ended.code == 0 {
            break;
        }
        assert_eq!(ended.code, -1, "{ended:?}");
        deaths += 1;
        most = most.max(fs::metadata(vendor.journal()).unwrap().len()) + STEP;
    }
    assert!(deaths > 9, "{deaths}");
    vendor.is_whole();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_process_drives_a_rollout() {
    let vendor = Vendor::start().await;
    vendor.writes("");
    vendor.original.spoils(POST, Fault::NeverAnswers);
    let mut first = vendor.starts(&[]);
    eventually("the first is at work", async || {
        (vendor.original.faults_left() == 0).then_some(())
    })
    .await;
    let second = vendor.drives(&[]).await;
    assert_eq!(second.code, 5, "{second:?}");
    assert!(
        second.err.contains("another process drives this rollout"),
        "{second:?}"
    );
    first.kill().await.unwrap();
    is(&vendor.drives(&[]).await, 0, "Completed", None);
    vendor.is_whole();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_that_was_edited_or_belongs_to_another_is_refused() {
    let vendor = Vendor::start().await;
    vendor.writes(CANARY);
    vendor
        .original
        .knows(|books| books.line(APPS[0], "Alpha", LineOfWork::Fails));
    vendor.drives(&[]).await;
    let text = fs::read_to_string(vendor.journal()).unwrap();
    assert!(!text.contains("127.0.0.1"), "{text}");
    let before = vendor.original.changes();

    fs::write(vendor.journal(), text.replacen("\"Failed\"", "\"Updated\"", 1)).unwrap();
    let line = text.lines().position(|line| line.contains("\"Failed\"")).unwrap() + 1;
    let ended = vendor.drives(&["--resume"]).await;
    assert_eq!(ended.code, 5, "{ended:?}");
    assert!(ended.err.contains(&format!("line {line}:")), "{ended:?}");

    fs::write(vendor.journal(), &text).unwrap();
    vendor.writes("");
    let other = vendor.drives(&["--resume"]).await;
    assert_eq!(other.code, 5, "{other:?}");
    assert!(other.err.contains("journal of another rollout"), "{other:?}");
    assert_eq!(vendor.original.changes(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_the_version_gets_nothing_and_who_waits_for_another_hotfix_is_asked_again() {
    let vendor = Vendor::start().await;
    vendor.publishes(2).await;
    vendor
        .original
        .knows(|books| books.installs(Installed::new(APPS[0], "US", "Early", "1.0.1.0")));
    let schedule = [
        "hotfixes", "schedule", APP, "-c", "US", "--target", "1.0.2.0", "-e", "Beta",
    ];
    assert_eq!(vendor.fame(&schedule).await.code, 0);
    vendor.writes("");
    let ended = vendor.drives_in_vain(&[]).await;
    let at = states(&ended);
    assert_eq!(
        (at["Beta"].as_str(), at["Early"].as_str()),
        ("Blocked", "AlreadyThere"),
        "{ended:?}"
    );
    let ended = vendor.drives(&[]).await;
    is(&ended, 0, "Completed", None);
    assert_eq!(states(&ended)["Beta"], "AlreadyThere");
    assert_eq!(ended.json()["counts"]["updated"], 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_posted_in_a_freeze_and_what_waits_is_called_off() {
    let vendor = Vendor::start().await;
    let freeze = "[[freezes]]\nfrom = 2020-01-01T00:00:00Z\nto = 2999-01-01T00:00:00Z\n";
    vendor.writes("");
    assert_eq!(vendor.drives_in_vain(&[]).await.json()["counts"]["scheduled"], 4);
    vendor.writes(&format!("{freeze}countries = 'US'\n"));
    let ended = vendor.drives_in_vain(&[]).await;
    is(&ended, 13, "Active", None);
    assert_eq!(ended.json()["counts"]["taken"], 3, "{ended:?}");
    assert_eq!(states(&ended)["Delta"], "Scheduled");
    vendor.writes(freeze);
    let ended = vendor.drives_in_vain(&[]).await;
    assert_eq!(ended.json()["counts"]["taken"], 4, "{ended:?}");
    vendor.writes("");
    is(&vendor.drives(&[]).await, 0, "Completed", None);
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_bind_what_is_sent() {
    let vendor = Vendor::start().await;
    vendor.writes("[[waves]]\nname = 'all'\ntake = 'rest'\nlimits = { running = 2, perHour = 3 }");
    let ended = vendor.drives_in_vain(&[]).await;
    assert_eq!(ended.json()["counts"]["scheduled"], 2, "{ended:?}");
    vendor.original.moves_clock_by_lists(SOONER_THAN_EVER);
    let ended = vendor.fame(&driving(&["--timeout", "2s"])).await;
    is(&ended, 13, "Active", None);
    assert_eq!(
        ended.json()["counts"]["updated"],
        3,
        "the hour is not over: {ended:?}"
    );
    assert_eq!(vendor.posted().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_begin_in_time_expires_and_what_does_not_end_is_lost_until_it_does() {
    let vendor = Vendor::start().await;
    let first = "[[waves]]\nname = 'first'\ntake = { count = 3 }\ndeadline = 'PT1S'\n";
    let rest = "[[waves]]\nname = 'rest'\ntake = 'rest'\ndeadline = 'PT1S'";
    vendor.writes(&format!("{first}{rest}"));
    vendor.original.moves_clock_by_lists(SignedDuration::ZERO);
    let ended = vendor.fame(&driving(&[])).await;
    is(&ended, 20, "Paused", Some("NothingTried"));
    assert_eq!(ended.json()["counts"]["expired"], 3);
    assert_eq!(
        vendor.fame(&driving(&["--resume"])).await.code,
        5,
        "that needs a reason"
    );
    let ended = vendor
        .fame(&driving(&["--resume", "--reason", "Nobody was there."]))
        .await;
    is(&ended, 11, "Completed", None);
    assert_eq!(ended.json()["counts"]["expired"], 4, "{ended:?}");

    let vendor = Vendor::start().await;
    vendor
        .original
        .knows(|books| books.hotfixes_take = SignedDuration::from_hours(24 * 365));
    vendor.writes("unknownAfter = 'PT1S'");
    let ended = vendor.drives(&[]).await;
    is(&ended, 20, "Paused", Some("StopRule"));
    assert_eq!(ended.json()["counts"]["unknown"], 4);
    vendor.original.moves_clock(SignedDuration::from_hours(24 * 366));
    let ended = vendor.drives(&["--resume"]).await;
    is(&ended, 0, "Completed", None);
    assert_eq!(ended.json()["counts"]["updated"], 4);
    assert_eq!(vendor.posted().len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn asked_to_stop_it_says_what_stays_and_goes_on_another_time() {
    let vendor = Vendor::start().await;
    vendor.writes("");
    vendor.original.moves_clock_by_lists(SignedDuration::ZERO);
    let child = vendor.starts(&[]);
    eventually("all are posted", async || {
        (vendor.posted().len() == 4).then_some(())
    })
    .await;
    let pid = child.id().unwrap().to_string();
    assert!(
        Command::new("kill")
            .args(["-INT", &pid])
            .status()
            .unwrap()
            .success()
    );
    let ended = child.wait_with_output().await.unwrap();
    assert_eq!(ended.status.code(), Some(20), "{ended:?}");
    assert!(
        String::from_utf8_lossy(&ended.stderr).contains("4 hotfixes stay scheduled"),
        "{ended:?}"
    );
    is(&vendor.drives(&[]).await, 0, "Completed", None);
    vendor.is_whole();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_begin_leaves_nothing_behind() {
    let vendor = Vendor::start().await;
    for (more, code, fact) in [
        ("url = 'https://evil.example'", 2, "line 4, column 1"),
        (
            "[select]\ncountries = 'all'\nfilter = \"name eq 'Nobody'\"",
            4,
            "NothingSelected",
        ),
        (
            "[select]\ncountries = 'all'\nexcept = ['aaaabbbb-0000-cccc-1111-dddd2222eeee/Business Central/Alpha']",
            2,
            "UnknownEnvironment",
        ),
        ("[approval]\nrequired = true", 2, "who approves"),
        (
            "[select]\ncountries = 'all'\nfilter = \"tags/any(t:t eq 'ring0')\"",
            5,
            "BadRequest",
        ),
    ] {
        vendor.writes(more);
        let changes = vendor.original.changes();
        let ended = vendor.drives(&[]).await;
        assert_eq!(ended.code, code, "{more}: {ended:?}");
        assert!(ended.err.contains(fact), "{more}: {ended:?}");
        assert_eq!(vendor.original.changes(), changes);
        assert_eq!(
            fs::read_to_string(vendor.journal()).unwrap_or_default(),
            "",
            "{more}"
        );
    }
}
