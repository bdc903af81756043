//! Hotfixes as they are scheduled and canceled.

use super::trial::{Change, Trial, each_commit_cut, environment};
use crate::harness::Environment;
use serde_json::{Value, json};

async fn hotfixes_of(trial: &Trial<'_>) -> Vec<Value> {
    let looker = trial.looker();
    let all = looker.us("environmentHotfixes");
    looker.get(all).await.expect(200).rows()
}

/// An environment with an older version than the target.
async fn to_be_fixed(trial: &Trial<'_>) -> Environment {
    let environment = environment(trial);
    trial.looker().has_uploaded("1.0.0.1").await;
    trial.looking_operator().reports(&environment).await.expect(201);
    environment
}

async fn recorded_hotfixes(trial: &Trial<'_>) -> usize {
    let path = "/operator/v1/audit?$filter=action eq 'environmentHotfixes/write'";
    let rows = trial.looking_operator().get(path).await.expect(200).rows();
    let of_this = format!("apps/{}/", trial.app);
    let is_of_this = |row: &&Value| row["target"].as_str().unwrap().starts_with(&of_this);
    rows.iter().filter(is_of_this).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hotfix_is_scheduled_or_not() {
    each_commit_cut(async |trial| {
        let environment = to_be_fixed(trial).await;
        let answer = trial
            .sends(trial.owner().schedules(&environment, "1.0.0.1"))
            .await;
        let made = hotfixes_of(trial).await;
        assert!(made.len() <= 1, "{}: {made:?}", trial.name());
        assert_eq!(recorded_hotfixes(trial).await, made.len(), "{}", trial.name());
        if answer.status == 200 {
            assert_eq!(made[0]["id"], answer.json()["id"], "{}", trial.name());
            return;
        }
        let again = trial.owner().schedules(&environment, "1.0.0.1").await;
        match made.first() {
            None => drop(again.expect(200)),
            Some(there) => {
                let refused = again.broke_rule("AlreadyScheduled");
                assert!(refused.text().contains(there["id"].as_str().unwrap()));
            }
        }
        assert_eq!(hotfixes_of(trial).await.len(), 1);
        assert_eq!(recorded_hotfixes(trial).await, 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hotfix_under_a_key_is_scheduled_once() {
    each_commit_cut(async |trial| {
        let environment = to_be_fixed(trial).await;
        let request = || {
            let request = trial.owner().schedules(&environment, "1.0.0.1");
            request.header("idempotency-key", "the same")
        };
        let answer = trial.sends(request()).await;
        let made = hotfixes_of(trial).await;
        assert!(
            made.len() == 1 || (made.is_empty() && answer.status == 503),
            "{}: {made:?}",
            trial.name()
        );
        let id = request().await.expect(200).property("id");
        let made = hotfixes_of(trial).await;
        assert_eq!(made.len(), 1, "{}", trial.name());
        assert_eq!(made[0]["id"], json!(id), "{}", trial.name());
        if answer.status == 200 {
            assert_eq!(answer.property("id"), id, "{}", trial.name());
        }
        assert_eq!(recorded_hotfixes(trial).await, 1, "{}", trial.name());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hotfix_is_canceled_or_not() {
    each_commit_cut(async |trial| {
        let environment = to_be_fixed(trial).await;
        let hotfix = trial
            .looker()
            .schedules(&environment, "1.0.0.1")
            .await
            .expect(200);
        let target = format!(
            "apps/{}/countries/US/environmentHotfixes/{}",
            trial.app,
            hotfix.property("id")
        );
        let path = trial.owner().hotfix_path(&hotfix);
        let change = Change::of(
            || trial.owner().cancels(&hotfix),
            (target, "environmentHotfixes/cancel"),
            || trial.looker().get(&path),
            |shown| shown.property("status") == "Canceled",
        );
        trial.changes(change).await;
    })
    .await;
}
