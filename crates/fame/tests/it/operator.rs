//! `fame operator`: what is changed of apps and principals, and only that.

use crate::service::{APP, Answer, Service, TENANT, binary, run};
use serde_json::json;

const CLIENT: &str = "22223333-4444-5555-6666-777788889999";

async fn answering() -> Service {
    Service::start(|_, _| Answer::json(200, json!({ "id": APP }))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_of_an_app_names_what_changes() {
    let service = answering().await;
    let ended = service
        .fame(&[
            "operator",
            "apps",
            "update",
            APP,
            "--storage-location",
            "East US",
            "--signer-rule",
            "signed",
            "--if-match",
            "abc",
        ])
        .await;
    assert_eq!(ended.code, 0, "{ended:?}");
    let asked = &service.journal()[0];
    assert_eq!(asked.line(), format!("PATCH /operator/v1/apps/{APP}"));
    assert_eq!(
        asked.json(),
        json!({ "storageLocation": "East US", "signerRule": "signed" })
    );
    assert_eq!(asked.header("if-match"), "abc");
    let nothing = service.fame(&["operator", "apps", "update", APP]).await;
    assert_eq!(nothing.code, 2, "{nothing:?}");
    assert_eq!(service.journal().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_says_whose_tokens_an_application_comes_with() {
    let service = answering().await;
    for (args, body) in [
        (&["--token-tenant", "any"][..], json!({ "tokenTenant": "any" })),
        (&["--token-tenant", TENANT], json!({ "tokenTenant": TENANT })),
        (
            &["--type", "Application", "--role", "Owner,Reader"],
            json!({ "type": "Application", "roles": ["Owner", "Reader"] }),
        ),
    ] {
        let ended = service
            .fame(&[&["operator", "principals", "set", APP, CLIENT], args].concat())
            .await;
        assert_eq!(ended.code, 0, "{ended:?}");
        let asked = service.journal().pop().unwrap();
        assert_eq!(
            asked.line(),
            format!("PUT /operator/v1/apps/{APP}/principals/{CLIENT}")
        );
        assert_eq!(asked.json(), body);
    }
    for wrong in [&["--token-tenant", "mine"][..], &["--type", "Application"]] {
        let ended = service
            .fame(&[&["operator", "principals", "set", APP, CLIENT], wrong].concat())
            .await;
        assert_eq!(ended.code, 2, "{ended:?}");
    }
    assert_eq!(service.journal().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_help_says_when_an_environment_works_that_names_no_window() {
    let help = run(binary(&["operator", "environments", "put", "--help"]))
        .await
        .out;
    let window = help
        .split("--window")
        .nth(1)
        .unwrap()
        .split("\n      --")
        .next()
        .unwrap();
    let window = window.split_whitespace().collect::<Vec<_>>().join(" ");
    for fact in [
        "--time-zone",
        "20:00-06:00 by the clock of its country",
        "six hours",
    ] {
        assert!(window.contains(fact), "{fact}: {window}");
    }
}
