//! Rollouts as they go on: waves, hotfixes, and the brake, whoever starts hotfixes at the same time.

use crate::harness::{APP, Answer, Backend, Environment, Harness, country_path, on_both_databases};
use agent::drivers::simulate::Settings as Simulated;
use futures::future::join_all;
use serde_json::{Value, json};
use std::time::Duration;

on_both_databases!(
    it_brings_the_target_in_waves_once_to_each,
    a_canary_that_fails_stops_it_before_anything_else_begins,
    what_is_paused_waits_in_its_window_and_goes_on_when_it_is_resumed,
    what_is_aborted_is_canceled_and_what_runs_ends,
    what_is_withdrawn_frees_its_slot_and_is_made_again,
    no_more_run_than_its_limit,
    a_soak_is_waited_for_and_a_gate_opened,
    whoever_starts_hotfixes_starts_none_after_a_pause_was_answered,
    whoever_stopped_in_between_goes_on_where_it_was,
    an_environment_that_is_named_twice_is_tried_again_once,
    a_target_that_is_withdrawn_pauses_it,
);

const TARGET: &str = "16.0.1.2";
const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

fn all() -> String {
    format!("/v1.0/apps/{APP}/rollouts")
}

fn waves(waves: &Value) -> Value {
    json!({
        "name": "the tax fix",
        "targetAppVersion": TARGET,
        "select": { "countries": ["US"] },
        "waves": waves,
    })
}

fn at_once(mut definition: Value) -> Value {
    definition["ignoreUpgradeWindow"] = json!({ "reason": "it loses orders" });
    definition
}

/// A service with two versions of the app and six environments that have the first; `broken` ones fail each hotfix.
async fn fleet(backend: Backend, broken: &[&str]) -> Harness {
    let mut plan = Harness::with(backend);
    for name in broken {
        let environment = Environment::named(name).has(APP, "16.0.0.5");
        plan = plan.simulated(&environment, Simulated::failing("Table 18 is locked."));
    }
    let service = plan.start().await;
    for version in ["16.0.0.5", TARGET] {
        service.owner().has_uploaded(version).await;
    }
    for name in NAMES {
        let environment = Environment::named(name).has(APP, "16.0.0.5");
        service.operator().reports(&environment).await;
    }
    service
}

async fn makes(service: &Harness, definition: Value) -> Answer {
    let made = service.contributor().post(all(), definition).await.expect(201);
    service.catches_up().await;
    made
}

async fn does(service: &Harness, rollout: &Answer, verb: &str, body: Value) -> Answer {
    let path = format!("{}/{}/{verb}", all(), rollout.property("id"));
    service.contributor().post(path, body).await
}

async fn shown(service: &Harness, rollout: &Answer) -> Value {
    let path = format!("{}/{}", all(), rollout.property("id"));
    service.reader().get(path).await.expect(200).json()
}

async fn state(service: &Harness, rollout: &Answer) -> String {
    shown(service, rollout).await["state"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// Where each environment is, in the order of their names.
async fn members(service: &Harness, rollout: &Answer) -> Vec<String> {
    let path = format!("{}/{}/environments?$orderby=name", all(), rollout.property("id"));
    service.reader().get(path).await.expect(200).column("state")
}

async fn hotfixes(service: &Harness, status: &str) -> usize {
    let list = country_path(APP, "US", "environmentHotfixes");
    let path = format!("{list}?$filter=status eq '{status}'");
    service.reader().get(path).await.expect(200).rows().len()
}

/// Lets everything that is due be done, some times in a row.
async fn goes_on(service: &Harness) {
    for _ in 0..4 {
        service.finishes_work().await;
    }
}

async fn it_brings_the_target_in_waves_once_to_each(backend: Backend) {
    let service = fleet(backend, &[]).await;
    let two = json!([{ "name": "canary", "take": { "count": 1 } }, { "name": "rest", "take": "rest" }]);
    let rollout = makes(&service, at_once(waves(&two))).await;
    service.finishes_work().await;
    goes_on(&service).await;
    let ended = shown(&service, &rollout).await;
    assert_eq!(
        (&ended["state"], &ended["outcome"]),
        (&json!("Completed"), &json!("Succeeded")),
        "{ended}"
    );
    assert_eq!(members(&service, &rollout).await, ["Updated"; 6]);
    assert_eq!(hotfixes(&service, "Succeeded").await, 6);
    let list = country_path(APP, "US", "environmentHotfixes");
    let listed = service
        .reader()
        .get(format!("{list}?$select=rolloutId"))
        .await
        .expect(200);
    assert_eq!(listed.column("rolloutId"), vec![rollout.property("id"); 6]);
    let events = service
        .operator()
        .get("/operator/v1/audit?$filter=action eq 'rollouts/step'")
        .await
        .expect(200);
    assert!(events.rows().len() >= 3, "two waves began and it ended");
}

async fn a_canary_that_fails_stops_it_before_anything_else_begins(backend: Backend) {
    let service = fleet(backend, &["a"]).await;
    let two = json!([
        { "name": "canary", "take": { "count": 1 }, "stop": { "failed": { "count": 1 } } },
        { "name": "rest", "take": "rest" },
    ]);
    let rollout = makes(&service, at_once(waves(&two))).await;
    goes_on(&service).await;
    let stopped = shown(&service, &rollout).await;
    assert_eq!(
        (&stopped["state"], &stopped["reasonCode"]),
        (&json!("Paused"), &json!("StopRule")),
        "{stopped}"
    );
    assert_eq!(
        members(&service, &rollout).await,
        ["Failed", "Untaken", "Untaken", "Untaken", "Untaken", "Untaken"]
    );
    does(&service, &rollout, "resume", json!({})).await.expect(200);
    goes_on(&service).await;
    let ended = shown(&service, &rollout).await;
    assert_eq!(
        (&ended["state"], &ended["outcome"]),
        (&json!("Completed"), &json!("WithFailures")),
        "{ended}"
    );
    does(&service, &rollout, "retry", json!({})).await.expect(200);
    goes_on(&service).await;
    assert_eq!(
        (
            hotfixes(&service, "Failed").await,
            hotfixes(&service, "Succeeded").await
        ),
        (2, 5)
    );
}

async fn what_is_paused_waits_in_its_window_and_goes_on_when_it_is_resumed(backend: Backend) {
    let service = fleet(backend, &[]).await;
    let rollout = makes(&service, waves(&json!([{ "name": "all", "take": "rest" }]))).await;
    assert_eq!(members(&service, &rollout).await, ["Scheduled"; 6]);
    does(&service, &rollout, "pause", json!({})).await.expect(200);
    service.moves_clock_to("2020-03-05T20:00:00Z").await;
    goes_on(&service).await;
    assert_eq!(
        (
            hotfixes(&service, "Scheduled").await,
            hotfixes(&service, "Running").await
        ),
        (6, 0)
    );
    does(&service, &rollout, "resume", json!({})).await.expect(200);
    service.catches_up().await;
    goes_on(&service).await;
    assert_eq!(members(&service, &rollout).await, ["Updated"; 6]);
    assert_eq!(state(&service, &rollout).await, "Completed");
}

async fn what_is_aborted_is_canceled_and_what_runs_ends(backend: Backend) {
    let service = fleet(backend, &[]).await;
    let one = json!([{ "name": "all", "take": "rest", "limits": { "running": 2 } }]);
    let rollout = makes(&service, at_once(waves(&one))).await;
    service.catches_up().await;
    service
        .until("two run", async || hotfixes(&service, "Running").await == 2)
        .await;
    does(&service, &rollout, "abort", json!({})).await.expect(200);
    goes_on(&service).await;
    assert_eq!(
        (
            hotfixes(&service, "Succeeded").await,
            hotfixes(&service, "Canceled").await
        ),
        (2, 4)
    );
    let mut ended = members(&service, &rollout).await;
    ended.sort();
    assert_eq!(
        ended,
        [
            "Canceled", "Canceled", "Canceled", "Canceled", "Updated", "Updated"
        ]
    );
    assert_eq!(state(&service, &rollout).await, "Aborted");
}

async fn what_is_withdrawn_frees_its_slot_and_is_made_again(backend: Backend) {
    let service = fleet(backend, &[]).await;
    let rollout = makes(&service, waves(&json!([{ "name": "all", "take": "rest" }]))).await;
    does(&service, &rollout, "pause", json!({ "withdraw": true }))
        .await
        .expect(200);
    service.catches_up().await;
    assert_eq!(members(&service, &rollout).await, ["Taken"; 6]);
    assert_eq!(hotfixes(&service, "Canceled").await, 6);
    does(&service, &rollout, "resume", json!({})).await.expect(200);
    service.catches_up().await;
    assert_eq!(members(&service, &rollout).await, ["Scheduled"; 6]);
}

async fn no_more_run_than_its_limit(backend: Backend) {
    let service = fleet(backend, &[]).await;
    let one = json!([{ "name": "all", "take": "rest", "limits": { "running": 2 } }]);
    let rollout = makes(&service, at_once(waves(&one))).await;
    for _ in 0..12 {
        service.catches_up().await;
        assert!(hotfixes(&service, "Running").await <= 2);
        service.advances(Duration::from_secs(61)).await;
    }
    assert_eq!(state(&service, &rollout).await, "Completed");
}

async fn a_soak_is_waited_for_and_a_gate_opened(backend: Backend) {
    let service = fleet(backend, &[]).await;
    let two = json!([
        { "name": "canary", "take": { "count": 1 }, "proceed": { "soak": "PT4H", "gate": "manual" } },
        { "name": "rest", "take": "rest" },
    ]);
    let rollout = makes(&service, at_once(waves(&two))).await;
    goes_on(&service).await;
    let wave = async || shown(&service, &rollout).await["waves"][0]["state"].clone();
    assert_eq!(wave().await, "Soaking");
    service.advances(Duration::from_secs(4 * 3_600)).await;
    assert_eq!(wave().await, "AwaitingGate");
    assert_eq!(hotfixes(&service, "Scheduled").await, 0);
    does(&service, &rollout, "advance", json!({ "wave": "canary" }))
        .await
        .expect(200);
    goes_on(&service).await;
    assert_eq!(state(&service, &rollout).await, "Completed");
}

async fn whoever_starts_hotfixes_starts_none_after_a_pause_was_answered(backend: Backend) {
    let service = fleet(backend, &[]).await;
    let rollout = makes(&service, waves(&json!([{ "name": "all", "take": "rest" }]))).await;
    // The window opens for all at once, and whoever claims meets whoever pauses.
    let claims = async {
        service.moves_clock_to("2020-03-05T20:00:00Z").await;
    };
    let pauses = does(&service, &rollout, "pause", json!({}));
    let (paused, ()) = tokio::join!(pauses, claims);
    paused.expect(200);
    let begun = 6 - hotfixes(&service, "Scheduled").await;
    join_all((0..4).map(|_| service.catches_up())).await;
    goes_on(&service).await;
    assert_eq!(6 - hotfixes(&service, "Scheduled").await, begun);
    does(&service, &rollout, "abort", json!({})).await.expect(200);
    goes_on(&service).await;
    assert_eq!(hotfixes(&service, "Canceled").await, 6 - begun);
}

async fn whoever_stopped_in_between_goes_on_where_it_was(backend: Backend) {
    let service = fleet(backend, &[]).await;
    let made = service
        .contributor()
        .post(all(), waves(&json!([{ "name": "all", "take": "rest" }])))
        .await
        .expect(201);
    let service = service.crash().await.start().await;
    service.catches_up().await;
    assert_eq!(members(&service, &made).await, ["Scheduled"; 6]);
    assert_eq!(hotfixes(&service, "Scheduled").await, 6);
}

async fn an_environment_that_is_named_twice_is_tried_again_once(backend: Backend) {
    let service = fleet(backend, &["a"]).await;
    let one = json!([{ "name": "all", "take": "rest", "stop": { "failed": { "count": 1 } } }]);
    let rollout = makes(&service, at_once(waves(&one))).await;
    goes_on(&service).await;
    let key = format!("{}/BusinessCentral/a", crate::harness::CUSTOMER);
    let twice =
        json!({ "environments": [key, key.to_uppercase().replace("BUSINESSCENTRAL", "BusinessCentral")] });
    does(&service, &rollout, "retry", twice).await.expect(200);
    let before = shown(&service, &rollout).await;
    let why = "Too much failed in 'all'.";
    assert_eq!(
        (&before["counts"]["taken"], &before["reason"]),
        (&json!(1), &json!(why)),
        "{before}"
    );
    does(&service, &rollout, "resume", json!({})).await.expect(200);
    goes_on(&service).await;
    let stopped = shown(&service, &rollout).await;
    assert_eq!(
        (
            &stopped["state"],
            &stopped["counts"]["failed"],
            &stopped["counts"]["taken"]
        ),
        (&json!("Paused"), &json!(1), &json!(0)),
        "{stopped}"
    );
}

async fn a_target_that_is_withdrawn_pauses_it(backend: Backend) {
    for withdrawn in ["Preview", "Deprecated"] {
        let service = fleet(backend, &[]).await;
        let two = json!([
            { "name": "one", "take": { "count": 1 }, "proceed": { "gate": "manual" } },
            { "name": "rest", "take": "rest" },
        ]);
        let rollout = makes(&service, at_once(waves(&two))).await;
        goes_on(&service).await;
        let path = country_path(APP, "US", &format!("versions/{TARGET}"));
        let change = json!({ "availability": withdrawn });
        service.owner().patch(path, change).await.expect(200);
        does(&service, &rollout, "advance", json!({ "wave": "one" })).await;
        goes_on(&service).await;
        let paused = shown(&service, &rollout).await;
        assert_eq!(
            (&paused["state"], &paused["reasonCode"]),
            (&json!("Paused"), &json!("TargetWithdrawn")),
            "{withdrawn}: {paused}"
        );
    }
}
