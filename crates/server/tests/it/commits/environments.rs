//! Environments as they are reported, removed and released.

use super::trial::{Change, Fixture, each_commit_cut, environment, is_gone};
use http::Method;
use test_support::postgres_cluster::query;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_environment_is_reported_or_not() {
    each_commit_cut(async |trial| {
        let environment = environment(trial);
        let change = Change::of(
            || trial.operator().reports(&environment),
            (environment.audited_as(), "environments/write"),
            || trial.looking_operator().get(environment.operator_path()),
            |shown| shown.status == 200 && shown.json()["apps"][0].is_object(),
        );
        trial.changes(change.repeats_count()).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_environment_is_removed_or_not() {
    each_commit_cut(async |trial| {
        let environment = environment(trial);
        trial.looker().has_uploaded("1.0.0.1").await;
        trial.looking_operator().reports(&environment).await.expect(201);
        let waiting = trial
            .looker()
            .schedules(&environment, "1.0.0.1")
            .await
            .expect(200);
        let path = environment.operator_path();
        let change = Change::of(
            || trial.operator().delete(&path),
            (environment.audited_as(), "environments/delete"),
            || trial.looking_operator().get(&path),
            is_gone,
        );
        trial.changes(change.again(&[204, 404])).await;
        let shown = trial.looker().looks_at(&waiting).await;
        assert_eq!(shown.property("status"), "Skipped", "{}", trial.name());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_environment_is_released_or_not() {
    let fixture = Fixture::set().await;
    fixture
        .with_each_commit_cut(async |trial| {
            let environment = environment(trial);
            let operator = trial.looking_operator();
            operator.reports(&environment).await.expect(201);
            let hold = format!(
                "UPDATE environments SET held_since = 1 WHERE name = '{}'",
                environment.name
            );
            query(&fixture.postgres.url, &hold).await;
            let path = environment.operator_path();
            assert!(operator.get(&path).await.json()["heldSince"].is_string());
            let release = format!("{path}/release");
            let change = Change::of(
                || trial.operator().asks(Method::POST, &release),
                (environment.audited_as(), "environments/release"),
                || trial.looking_operator().get(&path),
                |shown| shown.json()["heldSince"].is_null(),
            );
            trial.changes(change).await;
        })
        .await;
    fixture.close().await;
}
