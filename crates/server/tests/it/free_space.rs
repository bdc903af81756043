//! What is left of a disk stays free.

use crate::harness::{APP, Backend, Environment, Harness, Person, on_both_databases, package};
use serde_json::json;

on_both_databases!(nothing_is_added_to_a_disk_that_is_nearly_full);

async fn nothing_is_added_to_a_disk_that_is_nearly_full(backend: Backend) {
    let service = Harness::start(backend).await;
    let owner = service.owner();
    owner.has_uploaded("1.0.0.1").await;
    let environment = Environment::named("One").has(APP, "1.0.0.0");
    service.operator().reports(&environment).await.expect(201);
    let other = Environment::named("Two").has(APP, "1.0.0.0");
    let hotfix = owner.schedules_at_once(&environment, "1.0.0.1").await.expect(200);

    let service = service
        .crash()
        .await
        .with("storage.min_free_bytes", "70368744177664")
        .start()
        .await;
    let (owner, operator) = (service.owner(), service.operator());
    let ready = service.nobody().get("/health/ready").await.expect(200);
    assert_eq!(
        (ready.property("status"), ready.property("room")),
        ("ready".into(), "low".into())
    );
    let refused = owner.uploads(&package("1.0.0.2"), "Available").await;
    let refused = refused.refused(503, "ServiceUnavailable");
    assert!(
        refused.message().contains("nearly, and nothing is added"),
        "{refused:?}"
    );
    assert!(service.staged_files().is_empty());
    // Where rows are elsewhere, the disk says nothing about them.
    for (request, added) in [
        (operator.reports(&other), 201),
        (owner.adds_country("DK"), 200),
        (owner.grants(&Person::STRANGER, &["Reader"]), 200),
    ] {
        let answer = request.await;
        match backend {
            Backend::Sqlite => answer.refused(503, "ServiceUnavailable"),
            Backend::Postgres => answer.expect(added),
        };
    }
    owner.version("1.0.0.1").await.expect(200);
    let freeze = json!({ "reason": "The disk is full." });
    operator
        .put("/operator/v1/freezes/scheduling", freeze)
        .await
        .expect(201);
    operator
        .delete("/operator/v1/freezes/scheduling")
        .await
        .expect(204);
    owner.cancels(&hotfix).await.expect(200);
}
