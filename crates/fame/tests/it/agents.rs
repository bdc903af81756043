//! `fame operator agents`: what is asked of the service, and what is shown once.

use crate::service::{Answer, Service, TENANT};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_is_made_seen_and_removed() {
    let service = Service::start(|asked, _| match asked.method.as_str() {
        "DELETE" => Answer::bytes(204, ""),
        _ => Answer::json(
            200,
            json!({
                "name": "eu",
                "scope": { "tenants": [TENANT], "allTenants": false, "reason": null, "names": ["prod*"] },
                "enrolmentCode": "fameenr_0",
                "overlaps": ["us", "asia"],
            }),
        ),
    })
    .await;
    let made = service
        .fame(&[
            "operator",
            "agents",
            "put",
            "eu",
            "--scope-tenant",
            TENANT,
            "--scope-name",
            "prod*",
        ])
        .await;
    assert_eq!(made.code, 0, "{made:?}");
    assert!(made.out.contains("fameenr_0"), "{made:?}");
    assert!(
        made.out.contains(&format!("tenants {TENANT}; names prod*")),
        "{made:?}"
    );
    assert!(
        made.err
            .contains("warning: The scope overlaps with that of us, asia"),
        "{made:?}"
    );
    for args in [
        &[
            "put",
            "eu",
            "--all-tenants",
            "One agent for all",
            "--serves-unreported",
        ][..],
        &["get", "eu"],
        &["rotate", "eu", "--revoke"],
        &["delete", "eu"],
    ] {
        let ended = service.fame(&[&["operator", "agents"], args].concat()).await;
        assert_eq!(ended.code, 0, "{ended:?}");
    }
    let asked = service.journal();
    let lines: Vec<_> = asked.iter().map(|asked| asked.line()).collect();
    let agent = "/operator/v1/agents/eu";
    let expected = ["PUT", "PUT", "GET", "POST", "DELETE"].map(|method| match method {
        "POST" => format!("POST {agent}/rotate"),
        method => format!("{method} {agent}"),
    });
    assert_eq!(lines, expected);
    assert_eq!(
        asked[0].json(),
        json!({ "scope": { "tenants": [TENANT], "names": ["prod*"] }, "servesUnreported": false })
    );
    assert_eq!(
        asked[1].json(),
        json!({ "scope": { "allTenants": true, "reason": "One agent for all" }, "servesUnreported": true })
    );
    assert_eq!(asked[3].json(), json!({ "revoke": true }));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_environment_goes_to_another_agent_or_to_nobody() {
    let service = Service::start(|_, _| Answer::json(200, json!({ "name": "Production" }))).await;
    let environment = [
        "operator",
        "environments",
        "rebind",
        TENANT,
        "BusinessCentral",
        "Production",
    ];
    for args in [&["--agent", "eu"][..], &["--nobody"]] {
        let ended = service.fame(&[&environment[..], args].concat()).await;
        assert_eq!(ended.code, 0, "{ended:?}");
    }
    assert_eq!(
        service.fame(&environment).await.code,
        2,
        "whose it is has to be said"
    );
    let bodies: Vec<_> = service.journal().iter().map(|asked| asked.json()).collect();
    assert_eq!(bodies, [json!({ "agent": "eu" }), json!({ "agent": null })]);
}
