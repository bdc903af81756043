//! A new process of the agent finds what one before it had begun.

use super::*;
use std::{io::Write as _, sync::Arc};

fn mark(step: &str) -> Mark {
    Mark {
        step: step.into(),
        facts: json!({}),
    }
}

#[tokio::test]
async fn what_may_have_run_is_not_started_again_unless_it_goes_on_by_itself() {
    for marks in [vec![mark("Run")], vec![mark("Run"), mark("Started")]] {
        let place = Place::new();
        *place.marks.lock().unwrap() = marks;
        let failure = unclear(place.deploy("touch ran").await);
        assert!(failure.text.contains("reenterable"), "{failure}");
        assert!(!place.path("ran").exists());

        let mut settings = place.settings("touch ran", "");
        settings["reenterable"] = json!(true);
        let deployed = exec(settings).deploy(&work(), &Found::default(), &place).await;
        assert_eq!(deployed, Deployed::Done);
        assert!(place.path("ran").exists());
    }
}

#[tokio::test]
async fn what_ended_before_may_be_tried_again() {
    let place = Place::new();
    failed(place.deploy("exit 1").await);
    assert_eq!(place.deploy("exit 0").await, Deployed::Done);
    assert_eq!(
        place.steps(),
        ["Run", "Started", "Ended", "Run", "Started", "Ended"]
    );
}

#[tokio::test]
async fn a_command_that_still_runs_is_waited_for() {
    let before = Arc::new(Place::new());
    let pipe = before.pipe("until");
    let first = {
        let before = Arc::clone(&before);
        tokio::spawn(async move {
            before
                .deploy("echo begun; read line <until; echo over >over")
                .await
        })
    };
    before.hears("begun").await;

    let after = Place::new();
    *after.marks.lock().unwrap() = before.marks();
    let mut settings = after.settings("touch ran", "");
    settings["reenterable"] = json!(true);
    let exec = exec(settings);
    let release = async {
        after.hears("still runs").await;
        assert!(!after.path("ran").exists() && !before.path("over").exists());
        let go = move || {
            fs::OpenOptions::new()
                .write(true)
                .open(pipe)
                .unwrap()
                .write_all(b"go\n")
        };
        tokio::task::spawn_blocking(go).await.unwrap().unwrap();
        assert_eq!(first.await.unwrap(), Deployed::Done);
    };
    let (work, found) = (work(), Found::default());
    let (deployed, ()) = tokio::join!(exec.deploy(&work, &found, &after), release);
    assert_eq!(deployed, Deployed::Done);
    assert!(after.path("ran").exists());
}

#[tokio::test]
async fn a_command_that_runs_beyond_its_time_is_left_alone() {
    let before = Arc::new(Place::new());
    let pipe = before.pipe("until");
    let first = {
        let before = Arc::clone(&before);
        tokio::spawn(async move { before.deploy("echo begun; read line <until").await })
    };
    before.hears("begun").await;

    let after = Place::new();
    *after.marks.lock().unwrap() = before.marks();
    let mut settings = after.settings("touch ran", "");
    settings["reenterable"] = json!(true);
    settings["time_limit"] = json!("100ms");
    let failure = unclear(exec(settings).deploy(&work(), &Found::default(), &after).await);
    assert!(failure.text.contains("still runs"), "{failure}");
    assert!(!after.path("ran").exists());

    let go = move || {
        fs::OpenOptions::new()
            .write(true)
            .open(pipe)
            .unwrap()
            .write_all(b"go\n")
    };
    tokio::task::spawn_blocking(go).await.unwrap().unwrap();
    assert_eq!(first.await.unwrap(), Deployed::Done);
}
