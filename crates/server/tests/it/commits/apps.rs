//! Apps, their countries and principals.

use super::trial::{Change, Fixture, Trial, each_commit_cut, is_found, is_gone};
use crate::harness::{Answer, Person, principal_body, registration};
use serde_json::json;
use uuid::Uuid;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_is_registered_or_not() {
    each_commit_cut(async |trial| {
        let (operator, app) = (trial.operator(), Uuid::new_v4());
        let path = format!("/operator/v1/apps/{app}");
        let audited = (format!("apps/{app}"), "apps/write");
        let is_whole = |answer: &Answer| answer.status == 200 && answer.json()["owners"][0].is_object();
        let change = Change::of(
            || operator.put(&path, registration()),
            audited,
            || trial.looking_operator().get(&path),
            is_whole,
        );
        trial.changes(change).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_is_changed_or_not() {
    each_commit_cut(async |trial| {
        let path = format!("/operator/v1/apps/{}", trial.app);
        let target = format!("apps/{}", trial.app);
        // Its registration is a change that has been recorded before.
        assert_eq!(trial.audited(&target, "apps/write").await, 1);
        let sent = json!({ "publisher": "Changed" });
        let answer = trial.sends(trial.operator().patch(&path, sent.clone())).await;
        let is_there = async || {
            let shown = trial.looking_operator().get(&path).await;
            shown.property("publisher") == "Changed"
        };
        let made = is_there().await;
        assert!(made || answer.status == 503, "{}", trial.name());
        assert_eq!(
            trial.audited(&target, "apps/write").await,
            1 + usize::from(made),
            "{}",
            trial.name()
        );
        trial.operator().patch(&path, sent).await.expect(200);
        assert!(is_there().await);
        assert_eq!(trial.audited(&target, "apps/write").await, 2, "{}", trial.name());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_country_is_added_or_not() {
    each_commit_cut(async |trial| {
        let target = format!("apps/{}/countries/DE", trial.app);
        let path = format!("/v1.4/{target}");
        let change = Change::of(
            || trial.owner().adds_country("DE"),
            (target, "countries/write"),
            || trial.looker().get(&path),
            is_found,
        );
        trial.changes(change).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_principal_is_granted_and_removed_or_not() {
    let fixture = Fixture::set().await;
    let target = |trial: &Trial<'_>, person: &Person| format!("apps/{}/principals/{}", trial.app, person.id);
    fixture
        .with_each_commit_cut(async |trial| {
            let somebody = Person::STRANGER;
            let change = Change::of(
                || trial.owner().grants(&somebody, &["Reader"]),
                (target(trial, &somebody), "principals/write"),
                || trial.looker().get(trial.looker().principal_path(&somebody)),
                is_found,
            );
            trial.changes(change).await;
        })
        .await;
    fixture
        .with_each_commit_cut(async |trial| {
            let somebody = Person::STRANGER;
            let path = format!("/operator/v1/{}", target(trial, &somebody));
            let change = Change::of(
                || {
                    trial
                        .operator()
                        .put(&path, principal_body(&somebody, &["Contributor"]))
                },
                (target(trial, &somebody), "principals/write"),
                || trial.looker().get(trial.looker().principal_path(&somebody)),
                is_found,
            );
            trial.changes(change).await;
        })
        .await;
    fixture
        .with_each_commit_cut(async |trial| {
            let somebody = Person::CONTRIBUTOR;
            let change = Change::of(
                || trial.owner().removes(&somebody),
                (target(trial, &somebody), "principals/delete"),
                || trial.looker().get(trial.looker().principal_path(&somebody)),
                is_gone,
            );
            trial.changes(change.again(&[204, 404])).await;
        })
        .await;
    fixture.close().await;
}
