//! Requests that cannot all succeed, sent through all replicas at once.

use super::{Fleet, closed_window, hotfixes_path, statuses, upload_body, versions_path};
use crate::services::{
    APPS, Answer, COUNTRIES, Caller, Environment, Method, Person, package, principal_body,
};
use futures::future::join_all;
use serde_json::json;
use std::collections::BTreeSet;
use uuid::Uuid;

const ROUNDS: u32 = 12;
const APP: Uuid = APPS[0];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_several_uploads_of_one_version_one_wins() {
    let fleet = Fleet::start().await;
    let path = versions_path(APP, "US");
    for number in 1..=ROUNDS {
        // Every other time the contents differ: then it matters whose they are in the end.
        let version = format!("1.0.{number}.0");
        let packages: Vec<_> = (0..fleet.replicas.len() as u64)
            .map(|replica| variant(&version, u64::from(number % 2) * replica))
            .collect();
        let owners = fleet.everywhere(&Person::OWNER);
        let uploads = owners.iter().zip(&packages).map(|(owner, package)| {
            let (body, path) = (upload_body(package), &path);
            async move { owner.post(path, &body).await.unwrap() }
        });
        let answers = join_all(uploads).await;
        assert_eq!(statuses(&answers), [200, 409, 409], "{answers:?}");
        let winner = answers.iter().position(|answer| answer.status == 200).unwrap();
        for owner in &owners {
            let path = format!("{path}/{version}/getPackageContents");
            let contents = owner.ask(Method::POST, &path, &[], None).await.unwrap();
            assert!(
                contents.expect(200).body == packages[winner],
                "{version} has not the bytes of the upload that won"
            );
        }
    }
    let staged = fleet.books.staged();
    assert!(staged.is_empty(), "{staged:?}");
}

/// A package of the version, other bytes for each variant.
fn variant(version: &str, variant: u64) -> Vec<u8> {
    navx::PackageBuilder::new(APP, "Sales Pack", "Contoso", version.parse().unwrap())
        .payload_bytes(20_000 + 5_000 * variant)
        .to_bytes()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_several_changes_of_one_state_one_wins() {
    const STATES: [&[&str]; 4] = [
        &["Reader"],
        &["Contributor"],
        &["Owner"],
        &["Reader", "Contributor"],
    ];
    let fleet = Fleet::start().await;
    let owners = fleet.everywhere(&Person::OWNER);
    let path = format!("/v1.4/apps/{APP}/principals/{}", Uuid::from_u128(0x77));
    let mut state = 0;
    owners[0]
        .patch(&path, &principal_body(STATES[state]))
        .await
        .unwrap()
        .expect(200);
    for _ in 0..ROUNDS {
        let tag = owners[0].get(&path).await.unwrap().property("_etag");
        let tag = format!("W/\"{tag}\"");
        let others: Vec<_> = (0..STATES.len()).filter(|other| *other != state).collect();
        let changes = owners.iter().zip(&others).map(|(owner, other)| {
            let (tag, path) = (&tag, &path);
            async move {
                let body = principal_body(STATES[*other]);
                owner
                    .ask(Method::PATCH, path, &[("if-match", tag)], Some(&body))
                    .await
                    .unwrap()
            }
        });
        let answers = join_all(changes).await;
        assert_eq!(statuses(&answers), [200, 412, 412], "{answers:?}");
        state = others[answers.iter().position(|answer| answer.status == 200).unwrap()];
        for owner in &owners {
            let seen = owner.get(&path).await.unwrap().json();
            let expected: BTreeSet<_> = STATES[state].iter().map(|role| json!(role).to_string()).collect();
            let roles = seen["roles"]
                .as_array()
                .unwrap()
                .iter()
                .map(ToString::to_string)
                .collect();
            assert_eq!(expected, roles, "{seen}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_keeps_an_owner() {
    let fleet = Fleet::start().await;
    let (one, other) = (
        fleet.replicas[0].owner(),
        fleet.replicas[1].caller(&Person::SECOND_OWNER),
    );
    for round in 0..ROUNDS {
        for person in [Person::OWNER, Person::SECOND_OWNER] {
            let path = format!("/operator/v1/apps/{APP}/principals/{}", person.id);
            let granted = fleet.operator(2).put(&path, &principal_body(&["Owner"])).await;
            granted.unwrap().expect(200);
        }
        // Each removes the other, or each removes themselves.
        let mut victims = [Person::SECOND_OWNER.id, Person::OWNER.id];
        if round % 2 == 1 {
            victims.reverse();
        }
        let [first, second] = victims.map(|id| format!("/v1.4/apps/{APP}/principals/{id}"));
        let (first, second) = tokio::join!(one.delete(&first), other.delete(&second));
        let answers = [first.unwrap(), second.unwrap()];
        let done = answers.iter().filter(|answer| answer.status < 300).count();
        assert_eq!(done, 1, "{answers:?}");
        assert!(answers.iter().all(|answer| answer.status < 500), "{answers:?}");
        assert_eq!(
            owners_left(&one).await + owners_left(&other).await,
            1,
            "{answers:?}"
        );
    }
}

/// How many owners somebody sees: none, if they are none themselves any more.
async fn owners_left(caller: &Caller) -> usize {
    let list = caller.get(&format!("/v1.4/apps/{APP}/principals")).await.unwrap();
    if list.status != 200 {
        return 0;
    }
    let is_owner = |row: &serde_json::Value| row["roles"].as_array().unwrap().contains(&json!("Owner"));
    list.rows().iter().filter(|row| is_owner(row)).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_several_hotfixes_for_one_slot_one_is_scheduled() {
    let fleet = Fleet::start().await;
    fleet.has_uploaded(APP, "US", &package(APP, 1)).await;
    let owners = fleet.everywhere(&Person::OWNER);
    for round in 0..ROUNDS {
        let mut environment = Environment::new(format!("customer-{round}"), COUNTRIES[0]);
        environment.window = closed_window();
        fleet.has_reported(&environment).await;
        let has_key = round % 2 == 1;
        let key = format!("round-{round}");
        let answers = join_all(
            owners
                .iter()
                .map(|owner| schedule(owner, &environment, has_key.then_some(&key))),
        )
        .await;
        let ids: BTreeSet<_> = answers.iter().map(|answer| answer.property("id")).collect();
        if has_key {
            assert_eq!(statuses(&answers), [200, 200, 200], "{answers:?}");
            assert_eq!(ids.len(), 1, "one request, sent thrice: {answers:?}");
        } else {
            assert_eq!(statuses(&answers), [200, 400, 400], "{answers:?}");
        }
    }
    let operations = fleet.books.rows(super::OPERATIONS).await;
    assert_eq!(operations.len(), ROUNDS as usize);
    // The windows are closed, whichever replica looks.
    assert!(
        operations.iter().all(|row| row[1] == "Scheduled"),
        "{operations:?}"
    );
}

async fn schedule(owner: &Caller, environment: &Environment, key: Option<&String>) -> Answer {
    let mut body = environment.hotfix("1.0.1.0");
    body["ignoreUpgradeWindow"] = json!(false);
    let headers: Vec<_> = key
        .map(|key| ("idempotency-key", key.as_str()))
        .into_iter()
        .collect();
    let path = hotfixes_path(APP, environment.country);
    owner
        .ask(Method::POST, &path, &headers, Some(&body))
        .await
        .unwrap()
}
