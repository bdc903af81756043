//! Commands that behave as commands should not.

use super::*;
use domain::operation::FailureCause;
use std::{fmt::Write as _, io::Write as _};

/// What an error text is at most, in bytes.
const KEPT: usize = 32 << 10;

async fn deploy_within(place: &Place, script: &str, limit: &str, stop_within: &str) -> Deployed {
    let mut settings = place.settings(script, "exit 9");
    settings["time_limit"] = json!(limit);
    settings["stop_within"] = json!(stop_within);
    exec(settings).deploy(&work(), &Found::default(), place).await
}

#[tokio::test]
async fn a_command_that_says_nothing_for_ever_is_ended_with_all_that_it_started() {
    let place = Place::new();
    let pipe = place.pipe("alive");
    let script = "exec 9>alive; (sleep 1000) & sleep 1000";
    let (deployed, _) = tokio::join!(deploy_within(&place, script, "5s", "20s"), nobody_is_left(&pipe));
    let failure = unclear(deployed);
    assert_eq!(failure.cause, FailureCause::TimeOut);
    assert_eq!(
        failure.text,
        "The command was ended because it had not ended within 5s."
    );
    assert_eq!(place.steps(), ["Run", "Started", "Ended"]);
}

#[tokio::test]
async fn a_command_that_does_not_want_to_end_is_ended_by_force() {
    let place = Place::new();
    let pipe = place.pipe("alive");
    let script = "exec 9>alive; trap 'echo not yet' TERM; echo started; while :; do sleep 0.1; done";
    let (deployed, _) = tokio::join!(deploy_within(&place, script, "5s", "5s"), nobody_is_left(&pipe));
    let failure = unclear(deployed);
    assert_eq!(failure.cause, FailureCause::TimeOut);
    // Before or after the last a shell may say that what it was waiting for was terminated.
    let mut lines = failure.text.lines().skip_while(|line| *line != "started");
    assert!(
        lines.any(|line| line == "not yet"),
        "it was asked first: {failure}"
    );
}

/// Runs a reenterable command that fails with that text until it was started so often, or for ever.
async fn tried(place: &Place, text: &str, succeeds_at: usize, inventory: &str) -> (Deployed, usize) {
    let script = format!(
        "cd '{}'; echo run >>runs; [ $(wc -l <runs) -lt {succeeds_at} ] || exit 0; echo '{text}' >&2; exit 1",
        place.folder.path().display()
    );
    let mut settings = place.settings(&script, inventory);
    settings["reenterable"] = true.into();
    settings["repeats"] = json!({
        "pause": "1ms", "shortest_lock_pause": "1ms", "longest_lock_pause": "2ms",
    });
    let deployed = exec(settings).deploy(&work(), &Found::default(), place).await;
    (deployed, place.read("runs").lines().count())
}

const LOCKED: &str = "The operation failed to acquire a lock on the table";
const OLD_INSTALLED: &str =
    r#"echo '{"apps":[{"id":"00000000-0000-0000-0000-0000000000a1","version":"1.0.0.0"}]}'"#;
const NEW_INSTALLED: &str =
    r#"echo '{"apps":[{"id":"00000000-0000-0000-0000-0000000000a1","version":"1.0.0.1"}]}'"#;

#[tokio::test]
async fn what_was_only_in_the_way_is_tried_again_by_a_command_that_may_be_started_again() {
    let told = tried(&Place::new(), LOCKED, 3, OLD_INSTALLED).await;
    assert_eq!(told, (Deployed::Done, 3));
    let (deployed, runs) = tried(&Place::new(), LOCKED, 9, OLD_INSTALLED).await;
    assert_eq!((failed(deployed).cause, runs), (FailureCause::Lock, 3));
    let connection = "The server is currently not ready to serve requests";
    let (deployed, runs) = tried(&Place::new(), connection, 9, OLD_INSTALLED).await;
    assert_eq!((failed(deployed).cause, runs), (FailureCause::Connection, 2));
}

#[tokio::test]
async fn what_no_second_try_can_help_is_tried_once() {
    for text in [
        "Table A :: Unsupported table change",
        "De tabel is vergrendeld",
        "FAME:failure Lock The tenant is OperationalDataUpgradePending",
    ] {
        let (deployed, runs) = tried(&Place::new(), text, 9, OLD_INSTALLED).await;
        failed(deployed);
        assert_eq!(runs, 1, "{text}");
    }
    // It failed, and what it was for is there.
    let (deployed, runs) = tried(&Place::new(), LOCKED, 9, NEW_INSTALLED).await;
    assert_eq!((deployed, runs), (Deployed::Done, 1));
    // Nobody knows what is there.
    let (deployed, runs) = tried(&Place::new(), LOCKED, 9, "exit 1").await;
    assert_eq!((failed(deployed).cause, runs), (FailureCause::Lock, 1));
}

#[tokio::test]
async fn nothing_is_tried_again_without_the_lease_or_where_a_command_is_not_reenterable() {
    let place = Place {
        is_given_up: true,
        ..Place::new()
    };
    let (deployed, runs) = tried(&place, LOCKED, 9, OLD_INSTALLED).await;
    assert_eq!((failed(deployed).cause, runs), (FailureCause::Lock, 1));
    // Given up before, it is not begun at all.
    let failure = failed(place.deploy("exit 0").await);
    assert_eq!(failure.text, "given up");
    assert_eq!(place.steps().iter().filter(|step| *step == "Run").count(), 1);

    let place = Place::new();
    let script = format!(
        "echo run >>'{}'; echo '{LOCKED}'; exit 1",
        place.path("runs").display()
    );
    assert_eq!(failed(place.deploy(&script).await).cause, FailureCause::Lock);
    assert_eq!(place.read("runs"), "run\n");
}

#[tokio::test]
async fn what_a_command_leaves_behind_is_ended() {
    let place = Place::new();
    let pipe = place.pipe("alive");
    for script in [
        "exec 9>alive; sleep 1000 & echo done",
        "exec 9>alive; (trap '' TERM; sleep 1000) >/dev/null 2>&1 & echo done",
    ] {
        let (deployed, _) = tokio::join!(deploy_within(&place, script, "1h", "1s"), nobody_is_left(&pipe));
        assert_eq!(deployed, Deployed::Done, "{script}");
    }
}

#[tokio::test]
async fn what_a_command_leaves_behind_is_asked_to_end_first() {
    let place = Place::new();
    place.pipe("up");
    let script =
        "(trap 'echo asked; exit' TERM; echo up >up; while :; do sleep 0.1; done) & read line <up; echo done";
    assert_eq!(deploy_within(&place, script, "1h", "20s").await, Deployed::Done);
    assert!(place.told().contains(&(None, String::new(), "asked".into())));
}

#[tokio::test]
async fn who_leaves_the_group_with_the_output_in_hand_is_not_waited_for() {
    let place = Place::new();
    let pipe = place.pipe("until");
    place.pipe("up");
    let script = "setsid sh -c 'echo up >up; read line <until' & read line <up; echo done";
    assert_eq!(deploy_within(&place, script, "1h", "300ms").await, Deployed::Done);
    // It was waiting for this all the time, so it is still there.
    let release = move || {
        fs::OpenOptions::new()
            .write(true)
            .open(pipe)
            .unwrap()
            .write_all(b"go\n")
    };
    tokio::task::spawn_blocking(release).await.unwrap().unwrap();
}

#[tokio::test]
async fn who_is_not_waited_for_any_more_is_ended() {
    let place = Place::new();
    let pipe = place.pipe("alive");
    let exec = place.exec("exec 9>alive; echo begun; sleep 1000");
    let work = work();
    let found = Found::default();
    tokio::join!(
        async {
            tokio::select! {
                deployed = exec.deploy(&work, &found, &place) => panic!("it ended: {deployed:?}"),
                () = place.hears("begun") => {}
            }
        },
        nobody_is_left(&pipe)
    );
    assert_eq!(place.steps(), ["Run", "Started"], "nobody says that it has ended");
}

#[tokio::test]
async fn a_command_that_is_killed_may_have_done_something() {
    let place = Place::new();
    let failure = unclear(place.deploy("echo half done; kill -KILL $$").await);
    assert_eq!(failure.cause, FailureCause::Other);
    assert!(
        failure.text.contains("signal: 9") && failure.text.ends_with("half done"),
        "{failure}"
    );
}

#[tokio::test]
async fn a_hundred_megabytes_are_read_and_their_end_is_kept() {
    let place = Place::new();
    let script = "yes 'All work and no play makes this a long line of a log that nobody reads to its end, day by day' \
                  | head -c 104857600; echo; echo 'Unsupported table change' >&2; exit 1";
    let failure = failed(place.deploy(script).await);
    assert_eq!(failure.cause, FailureCause::SchemaBreak);
    assert!(failure.text.len() <= KEPT, "{}", failure.text.len());
    assert!(failure.text.len() > KEPT - 200, "{}", failure.text.len());
    assert!(place.told().len() > 900_000);
}

#[tokio::test]
async fn one_endless_line_is_cut() {
    let place = Place::new();
    let script = "head -c 10000000 /dev/zero | tr '\\0' x; echo; echo end; exit 1";
    let failure = failed(place.deploy(script).await);
    assert!(failure.text.len() < 10_000, "{}", failure.text.len());
    assert!(failure.text.ends_with("x\nend"));
}

#[tokio::test]
async fn every_coding_and_colour_becomes_text() {
    let place = Place::new();
    let utf16 = "\u{FEFF}Größe\r\nUnsupported key change\r\n";
    let mut octal = String::new();
    for byte in utf16.encode_utf16().flat_map(u16::to_le_bytes) {
        write!(octal, "\\{byte:03o}").unwrap();
    }
    let script = format!("printf '{octal}'; exit 1");
    let failure = failed(place.deploy(&script).await);
    assert_eq!(failure.cause, FailureCause::SchemaBreak);
    assert!(
        failure.text.ends_with("Größe\nUnsupported key change"),
        "{failure}"
    );

    let script = r"printf '\033[31;1mUnsupported \033[0mkey change\r\ncaf\351\r\n' >&2; exit 1";
    let failure = failed(place.deploy(script).await);
    assert_eq!(failure.cause, FailureCause::SchemaBreak);
    assert!(
        failure.text.ends_with("Unsupported key change\ncaf\u{FFFD}"),
        "{failure:?}"
    );
}

#[tokio::test]
async fn a_program_that_is_not_there_is_a_matter_of_the_configuration() {
    let place = Place::new();
    let mut settings = place.settings("", "");
    settings["deploy"] = json!(["/nowhere/deploy"]);
    settings["inventory"] = json!(["surely-no-such-program"]);
    let exec = exec(settings);
    let failure = failed(exec.deploy(&work(), &Found::default(), &place).await);
    assert_eq!(
        (failure.cause, failure.hint),
        (FailureCause::Other, Some("Configuration"))
    );
    assert!(
        failure
            .text
            .starts_with("'/nowhere/deploy' could not be started: "),
        "{failure}"
    );

    let texts: Vec<_> = exec
        .check()
        .await
        .into_iter()
        .map(|finding| finding.text)
        .collect();
    assert_eq!(texts[0], "/nowhere/deploy is not a program that can be run.");
    assert_eq!(
        texts[1],
        "No folder of PATH holds a program 'surely-no-such-program'."
    );
}
