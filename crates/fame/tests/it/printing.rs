//! Help, and what all output has in common.

use crate::service::{Answer, Service, binary, run};
use serde_json::json;

async fn help(args: &[&str]) -> String {
    let ended = run(binary(args)).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    ended.out
}

#[tokio::test]
async fn help_of_the_whole() {
    insta::assert_snapshot!(help(&["--help"]).await);
}

#[tokio::test]
async fn help_of_commands() {
    for command in [
        "apps list",
        "countries add",
        "principals set",
        "versions upload",
        "versions update",
        "versions download",
        "environments get",
        "hotfixes schedule",
        "hotfixes wait",
        "hotfixes plan",
        "operator apps put",
        "operator environments put",
        "package inspect",
        "package sign-info",
        "package verify",
    ] {
        let mut args: Vec<&str> = command.split(' ').collect();
        args.push("-h");
        let text = help(&args).await;
        // What holds for all commands is in the help of the whole.
        let (own, _) = text.split_once("\nService:").unwrap();
        insta::assert_snapshot!(command.replace(' ', "_"), own);
    }
}

#[tokio::test]
async fn help_of_an_agent_shows_what_it_uses_and_no_more() {
    insta::assert_snapshot!(help(&["agent", "run", "-h"]).await);
    for command in ["enrol", "check"] {
        let text = help(&["agent", command, "--help"]).await;
        for of_no_use in ["--url", "--client-id", "Service:", "Sign-in:"] {
            assert!(!text.contains(of_no_use), "{text}");
        }
    }
}

#[tokio::test]
async fn the_exit_codes_can_be_looked_up() {
    let table = help(&["exit-codes"]).await;
    assert!(help(&["help", "exit-codes"]).await.contains(table.trim_end()));
    insta::assert_snapshot!(table);
}

#[tokio::test]
async fn a_shell_learns_to_complete() {
    assert!(help(&["completions", "bash"]).await.contains("_fame()"));
}

#[tokio::test]
async fn what_cannot_be_understood_is_a_usage_error() {
    for wrong in [
        &["apps", "get", " "][..],
        &["versions", "list", "aaaaaaaa-0000-1111-2222-bbbbbbbbbbbb"],
        &[
            "versions",
            "list",
            "aaaaaaaa-0000-1111-2222-bbbbbbbbbbbb",
            "-c",
            "USA",
        ],
        &[
            "versions",
            "update",
            "aaaaaaaa-0000-1111-2222-bbbbbbbbbbbb",
            "1.0.0.0",
            "-c",
            "US",
        ],
        &["apps", "list", "--client-secret", "on-the-command-line"],
        &["apps", "list", "--token", "on-the-command-line"],
    ] {
        assert_eq!(run(binary(wrong)).await.code, 2, "{wrong:?}");
    }
    let app = "aaaaaaaa-0000-1111-2222-bbbbbbbbbbbb";
    let schedule = ["hotfixes", "schedule", app, "-c", "US", "--target", "1.0.0.1"];
    let id = "dddddddd-3333-4444-5555-eeeeeeeeeeee";
    let wait = ["hotfixes", "wait", app, id, "-c", "US"];
    for wrong in [
        ["--poll-interval", "0"],
        ["--poll-interval", "2h"],
        ["--timeout", "999999h"],
        ["--request-timeout", "0s"],
    ] {
        let ended = run(binary(&[&wait[..], &wrong].concat())).await;
        assert_eq!(ended.code, 2, "{wrong:?}: {ended:?}");
        assert!(ended.err.contains(wrong[0]), "{ended:?}");
    }
    for wrong in [&[][..], &["--filter", " "], &["--all", "--idempotency-key", ""]] {
        let ended = run(binary(&[&schedule[..], wrong].concat())).await;
        assert_eq!(ended.code, 2, "{wrong:?}");
    }
}

#[tokio::test]
async fn a_usage_error_says_what_is_missing_and_not_what_is_set() {
    let app = "aaaaaaaa-0000-1111-2222-bbbbbbbbbbbb";
    let mut command = binary(&["hotfixes", "schedule", app, "--all", "-c", "US"]);
    command
        .env("FAME_URL", "https://fame.contoso.com")
        .env("FAME_RETRIES", "2");
    let ended = run(command).await;
    assert_eq!(ended.code, 2);
    assert!(ended.err.contains("--target <VERSION>"), "{}", ended.err);
    for set in ["--url", "--retries", "--concurrency", "--request-timeout"] {
        assert!(!ended.err.contains(set), "{}", ended.err);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_json_errors_are_json() {
    let usage = run(binary(&["--json", "hotfixes", "schedule", "--all"])).await;
    assert_eq!(usage.code, 2);
    let service = Service::start(|_, _| {
        Answer::refusal(409, "ResourceExists", "It is there.")
            .with("ms-correlation-x", "11111111-2222-3333-4444-555555555555")
    })
    .await;
    let refused = service
        .fame(&["--json", "countries", "add", crate::service::APP, "US"])
        .await;
    assert_eq!(refused.code, 5);
    for (ended, code) in [(&usage, "Usage"), (&refused, "ResourceExists")] {
        let error: serde_json::Value = serde_json::from_str(&ended.err).unwrap();
        assert_eq!(error["error"]["code"], code, "{ended:?}");
        assert_eq!(error["error"]["exitCode"], ended.code);
    }
    let error: serde_json::Value = serde_json::from_str(&refused.err).unwrap();
    assert_eq!(
        error["error"]["correlationId"],
        "11111111-2222-3333-4444-555555555555"
    );
    assert_eq!(error["error"]["message"], "It is there.");
}

#[tokio::test]
async fn a_shell_learns_which_availabilities_there_are() {
    for shell in ["bash", "zsh", "fish"] {
        let script = help(&["completions", shell]).await;
        assert!(
            script.contains("Preview") && script.contains("Deprecated"),
            "{shell}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn quiet_leaves_only_what_was_asked_for() {
    let service = Service::start(|_, before| match before {
        0 => Answer::refusal(503, "ServiceUnavailable", "Later.").with("retry-after", 0),
        _ => Answer::json(200, json!({"value": []})),
    })
    .await;
    let ended = service.fame(&["--quiet", "apps", "list"]).await;
    assert_eq!((ended.code, ended.out.as_str(), ended.err.as_str()), (0, "", ""));
    assert_eq!(service.fame(&["--json", "apps", "list"]).await.out, "[]\n");
}
