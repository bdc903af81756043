//! What a service that drives rollouts is asked, and how its answers are shown.

use crate::service::{APP, Answer, Ended, Service, binary_in};
use serde_json::{Value, json};
use std::fs;
use tempfile::TempDir;

const ID: &str = "11111111-2222-4333-8444-555555555555";

const FILE: &str = r#"
app = "aaaaaaaa-0000-1111-2222-bbbbbbbbbbbb"
name = "One"
targetAppVersion = "1.0.1.0"
runAfter = 2026-12-01T18:00:00Z
select = { countries = "all" }
"#;

fn rollout(state: &str, more: Value) -> Value {
    let mut rollout = json!({
        "id": ID, "name": "One", "targetAppVersion": "1.0.1.0", "state": state, "outcome": null, "reason": null,
        "environments": 3, "failures": [],
        "waves": [
            {"name": "canary", "state": "Done", "counts": {"updated": 1}},
            {"name": "rest", "state": "Active", "counts": {"running": 1, "failed": 1}},
        ],
    });
    for (name, value) in more.as_object().unwrap() {
        rollout[name] = value.clone();
    }
    rollout
}

async fn with_file(service: &Service, text: &str, args: &[&str]) -> Ended {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("rollout.toml"), text).unwrap();
    let mut command = binary_in(&folder, args);
    command
        .env("FAME_URL", service.url())
        .env("FAME_TOKEN", "the-token");
    crate::service::run(command).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_told_and_made_with_its_fingerprint() {
    let service = Service::start(|asked, _| match asked.path.ends_with("/plan") {
        true => Answer::json(
            200,
            json!({
                "fingerprint": "5f1c", "environments": 5, "eligible": 3, "alreadyThere": 1, "blocked": 0, "refused": 1,
                "reasons": [{"code": "LineDiffers", "verdict": "Refused", "environments": 1, "sample": [{"name": "Old"}]}],
                "starts": [], "waves": [{"name": "rest", "environments": 3, "overlap": 0}], "needsApproval": true,
                "warnings": [{"code": "NotCovered", "message": "No wave takes 1 environments of the selection."}],
            }),
        ),
        false => Answer::json(201, rollout("Active", json!({}))),
    })
    .await;
    let planned = with_file(&service, FILE, &["rollout", "plan", "rollout.toml"]).await;
    assert_eq!(planned.code, 0, "{planned:?}");
    for told in [
        "3 can have it now",
        "NotCovered",
        "--fingerprint 5f1c",
        "has to approve",
    ] {
        assert!(planned.err.contains(told), "{told}: {planned:?}");
    }
    assert!(
        planned.out.contains("LineDiffers") && planned.out.contains("Old"),
        "{planned:?}"
    );

    let create = [
        "rollout",
        "create",
        "rollout.toml",
        "--fingerprint",
        "5f1c",
        "--shrink",
        "--json",
    ];
    let made = with_file(&service, FILE, &create).await;
    assert_eq!((made.code, made.json()["id"].as_str()), (0, Some(ID)), "{made:?}");
    let asked = service.journal().pop().unwrap();
    assert_eq!(asked.line(), format!("POST /v1.4/apps/{APP}/rollouts"));
    assert!(!asked.header("idempotency-key").is_empty());
    let body = json!({
        "name": "One", "targetAppVersion": "1.0.1.0", "runAfter": "2026-12-01T18:00:00Z", "select": {"countries": "all"},
        "fingerprint": "5f1c", "drift": "shrink",
    });
    assert_eq!(asked.json(), body);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_file_is_told_before_anything_is_sent() {
    let service = Service::start(|_, _| Answer::json(200, json!({}))).await;
    let freeze = "[[freezes]]\nfrom = 2026-12-20T00:00:00Z\nto = 2027-01-06T00:00:00Z";
    for (more, fact) in [("notes = 'x'", "line 7, column 1"), (freeze, "`freezes` are for")] {
        for command in ["plan", "create"] {
            let ended = with_file(
                &service,
                &format!("{FILE}{more}"),
                &["rollout", command, "rollout.toml"],
            )
            .await;
            assert_eq!(ended.code, 2, "{ended:?}");
            assert!(ended.err.contains(fact), "{ended:?}");
        }
    }
    assert_eq!(service.lines(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_verb_is_asked_for_with_what_goes_with_it() {
    let service = Service::start(|_, _| Answer::json(200, rollout("Active", json!({})))).await;
    for (args, body) in [
        (
            &["approve", APP, ID, "--remark", "Seen."][..],
            json!({"remark": "Seen."}),
        ),
        (&["reject", APP, ID], json!({})),
        (&["pause", APP, ID, "--withdraw"], json!({"withdraw": true})),
        (
            &["resume", APP, ID, "--reason", "Known."],
            json!({"reason": "Known."}),
        ),
        (&["advance", APP, ID, "canary"], json!({"wave": "canary"})),
        (
            &["retry", APP, ID, "-e", "t/f/n"],
            json!({"environments": ["t/f/n"]}),
        ),
        (&["retry", APP, ID], json!({})),
        (&["abort", APP, ID], json!({})),
    ] {
        let ended = service.fame(&[&["rollout"], args].concat()).await;
        assert_eq!(ended.code, 0, "{ended:?}");
        assert!(
            ended.out.contains("canary") && ended.out.contains("SUCCEEDED"),
            "{ended:?}"
        );
        let asked = service.journal().pop().unwrap();
        assert_eq!(
            asked.line(),
            format!("POST /v1.4/apps/{APP}/rollouts/{ID}/{}", args[0])
        );
        assert_eq!(asked.json(), body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rollouts_and_their_environments_are_listed() {
    let service = Service::start(|asked, _| {
        let row = match asked.path.ends_with("/environments") {
            true => {
                json!({"name": "North", "state": "failed", "wave": "canary", "reason": "The disk is full."})
            }
            false if asked.path.ends_with("/rollouts") => rollout("Paused", json!({})),
            false => return Answer::json(200, rollout("Paused", json!({}))),
        };
        Answer::json(200, json!({ "value": [row] }))
    })
    .await;
    let listed = service
        .fame(&["rollout", "list", APP, "--filter", "state eq 'Paused'"])
        .await;
    assert!(listed.code == 0 && listed.out.contains(ID), "{listed:?}");
    let shown = service.fame(&["rollout", "show", APP, ID]).await;
    assert!(shown.code == 0 && shown.out.contains("canary"), "{shown:?}");
    let show = [
        "rollout",
        "show",
        APP,
        ID,
        "--environments",
        "--where",
        "state eq 'failed'",
    ];
    let environments = service.fame(&show).await;
    assert!(environments.out.contains("The disk is full."), "{environments:?}");
    assert!(
        service.journal().pop().unwrap().query.contains("filter"),
        "{environments:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_tells_each_change_once_and_how_it_ended() {
    let failures = json!({"failures": [{"text": "The disk is full.", "environments": 2}]});
    for (end, code) in [
        (rollout("Completed", json!({"outcome": "succeeded"})), 0),
        (
            rollout(
                "Completed",
                json!({"outcome": "withFailures", "failures": failures["failures"]}),
            ),
            10,
        ),
        (rollout("Aborted", json!({})), 12),
        (rollout("Paused", json!({"reason": "Too much failed."})), 20),
    ] {
        let last = end.clone();
        let service = Service::start(move |_, before| match before {
            0 | 2 => Answer::json(200, rollout("Active", json!({}))),
            1 => Answer::refusal(503, "Busy", "Later."),
            _ => Answer::json(200, last.clone()),
        })
        .await;
        let watch = [
            "rollout",
            "watch",
            APP,
            ID,
            "--poll-interval",
            "5ms",
            "--json",
            "--retries",
            "0",
        ];
        let ended = service.fame(&watch).await;
        assert_eq!(ended.code, code, "{ended:?}");
        assert_eq!(ended.json(), end);
        assert_eq!(
            ended.err.matches("Active; canary, Done: 1 of 1").count(),
            1,
            "{ended:?}"
        );
        assert_eq!(
            ended.err.contains("2 times: The disk is full."),
            code == 10,
            "{ended:?}"
        );
    }
    let service = Service::start(|_, _| Answer::json(200, rollout("Active", json!({})))).await;
    let watch = [
        "rollout",
        "watch",
        APP,
        ID,
        "--poll-interval",
        "5ms",
        "--timeout",
        "100ms",
    ];
    assert_eq!(service.fame(&watch).await.code, 13);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_without_rollouts_is_told_of() {
    let service =
        Service::start(|_, _| Answer::json(404, json!({"code": "NotFound", "message": "No."}))).await;
    let ended = with_file(&service, FILE, &["rollout", "create", "rollout.toml"]).await;
    assert_eq!(ended.code, 5, "{ended:?}");
    assert!(
        ended.err.contains("fame rollout run carries one out"),
        "{ended:?}"
    );
}
