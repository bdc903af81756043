//! What is old enough is forgotten, and nothing else.

use crate::harness::{APP, Backend, Environment, Harness, on_both_databases};
use agent::drivers::simulate::Settings as Simulated;
use serde_json::{Value, json};
use std::time::Duration;

on_both_databases!(
    nothing_is_forgotten_unless_it_is_asked_for,
    operations_go_some_days_after_they_ended,
    an_operation_that_holds_its_environment_stays,
    a_key_whose_operation_is_gone_makes_a_new_one,
    audit_rows_go_some_days_after_they_were_recorded,
    more_than_one_batch_goes_and_is_accounted_for_once,
);

const DAY: Duration = Duration::from_secs(24 * 3600);

async fn audit(service: &Harness) -> Vec<Value> {
    service
        .operator()
        .get("/operator/v1/audit")
        .await
        .expect(200)
        .rows()
}

async fn runs(service: &Harness) -> Vec<Value> {
    let rows = audit(service).await;
    rows.into_iter()
        .filter(|row| row["action"] == "retention/remove")
        .collect()
}

async fn hotfixes(service: &Harness) -> usize {
    let path = service.owner().us("environmentHotfixes");
    service.owner().get(path).await.expect(200).rows().len()
}

/// A service with one hotfix that succeeded.
async fn with_one_done(service: &Harness) -> Environment {
    service.owner().has_uploaded("1.0.0.1").await;
    let environment = Environment::my_customer("1.0.0.0");
    service.operator().reports(&environment).await.expect(201);
    service
        .owner()
        .schedules_at_once(&environment, "1.0.0.1")
        .await
        .expect(200);
    service.finishes_work().await;
    environment
}

async fn nothing_is_forgotten_unless_it_is_asked_for(backend: Backend) {
    let service = Harness::start(backend).await;
    with_one_done(&service).await;
    let before = audit(&service).await;
    service.advances(DAY * 3_650).await;
    assert_eq!(hotfixes(&service).await, 1);
    assert_eq!(audit(&service).await, before);
}

async fn operations_go_some_days_after_they_ended(backend: Backend) {
    let service = Harness::with(backend)
        .setting("retention.operations_days", 7)
        .start()
        .await;
    let environment = with_one_done(&service).await;
    service.owner().has_uploaded("1.0.0.2").await;
    service.advances(DAY * 7 - Duration::from_secs(60)).await;
    let waiting = service
        .owner()
        .schedules(&environment, "1.0.0.2")
        .await
        .expect(200);
    assert_eq!(hotfixes(&service).await, 2, "a week is not over");
    service.advances(Duration::from_secs(120)).await;
    assert_eq!(hotfixes(&service).await, 1);
    assert_eq!(
        service.reader().looks_at(&waiting).await.property("status"),
        "Scheduled"
    );
    let told = runs(&service).await;
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0]["actor"]["name"], "retention");
    assert_eq!(told[0]["after"]["operations"], 1);
    assert_eq!(told[0]["after"]["audit"], 0);
    // Another round finds nothing and says nothing.
    service.catches_up().await;
    assert_eq!(runs(&service).await.len(), 1);
}

async fn an_operation_that_holds_its_environment_stays(backend: Backend) {
    let environment = Environment::my_customer("1.0.0.0");
    let service = Harness::with(backend)
        .setting("retention.operations_days", 7)
        .simulated(&environment, Simulated::silent())
        .start()
        .await;
    service.owner().has_uploaded("1.0.0.1").await;
    service.operator().reports(&environment).await.expect(201);
    let lost = service
        .owner()
        .schedules_at_once(&environment, "1.0.0.1")
        .await
        .expect(200);
    service.catches_up().await;
    service.advances(Duration::from_secs(400)).await;
    service.advances(DAY * 30).await;
    let held = service.reader().looks_at(&lost).await;
    assert!(
        held.property("errorMessage").contains("OutcomeUnknown"),
        "{held:?}"
    );
    let release = format!("{}/release", environment.operator_path());
    service.operator().post(release, json!({})).await.expect(200);
    service.catches_up().await;
    assert_eq!(hotfixes(&service).await, 0);
}

async fn a_key_whose_operation_is_gone_makes_a_new_one(backend: Backend) {
    let service = Harness::with(backend)
        .setting("retention.operations_days", 7)
        .start()
        .await;
    service.owner().has_uploaded("1.0.0.1").await;
    let environment = Environment::my_customer("1.0.0.0");
    service.operator().reports(&environment).await.expect(201);
    let owner = service.owner();
    let schedule = || {
        owner
            .schedules(&environment, "1.0.0.1")
            .header("idempotency-key", "one")
    };
    let first = schedule().await.expect(200);
    service.owner().cancels(&first).await.expect(200);
    assert_eq!(schedule().await.expect(200).property("id"), first.property("id"));
    service.advances(DAY * 8).await;
    assert_eq!(hotfixes(&service).await, 0);
    let second = schedule().await.expect(200);
    assert_ne!(second.property("id"), first.property("id"));
}

async fn audit_rows_go_some_days_after_they_were_recorded(backend: Backend) {
    let service = Harness::with(backend)
        .without_simulator()
        .setting("retention.audit_days", 30)
        .start()
        .await;
    service.advances(DAY * 20).await;
    service.owner().adds_country("DE").await.expect(200);
    let before = audit(&service).await.len();
    service.advances(DAY * 11).await;
    let left = audit(&service).await;
    let kinds: Vec<_> = left.iter().map(|row| row["action"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["retention/remove", "countries/write"]);
    assert_eq!(left[0]["after"]["audit"], json!(before - 1));
}

async fn more_than_one_batch_goes_and_is_accounted_for_once(backend: Backend) {
    let service = Harness::with(backend)
        .without_simulator()
        .setting("retention.audit_days", 30)
        .start()
        .await;
    let operator = service.operator();
    let environment = Environment::named("Often").has(APP, "1.0.0.0");
    for _ in 0..60 {
        let reports = (0..10).map(|_| async { operator.reports(&environment).await.status });
        futures::future::join_all(reports).await;
    }
    service.advances(DAY * 31).await;
    let told = runs(&service).await;
    assert_eq!(told.len(), 1);
    assert!(told[0]["after"]["audit"].as_u64().unwrap() > 600, "{told:?}");
    assert_eq!(audit(&service).await.len(), 1);
}
