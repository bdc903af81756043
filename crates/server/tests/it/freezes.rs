//! The operator's emergency stop.

use crate::harness::{
    APP, Answer, Backend, Caller, Environment, Harness, LIBRARY, Person, on_both_databases, package,
};
use serde_json::{Value, json};
use std::time::Duration;

on_both_databases!(
    a_frozen_app_stays_as_it_is,
    a_frozen_principal_changes_nothing_and_gets_nothing_begun,
    while_all_scheduling_is_frozen_nothing_begins,
    freezes_are_listed_changed_and_audited,
    what_names_nothing_cannot_be_frozen,
);

const REASON: &str = "A build server was broken into.";

async fn freezes(operator: &Caller, subject: &str) -> Answer {
    let path = format!("/operator/v1/freezes/{subject}");
    operator.put(path, json!({ "reason": REASON })).await
}

async fn thaws(operator: &Caller, subject: &str) {
    operator
        .delete(format!("/operator/v1/freezes/{subject}"))
        .await
        .expect(204);
}

/// What was frozen is looked at again within a minute.
async fn begins_again(service: &Harness) {
    service.advances(Duration::from_secs(60)).await;
    service.finishes_work().await;
}

/// The answer says that something is frozen, and why.
fn is_frozen(answer: Answer, what: &str) {
    let answer = answer.refused(403, "Forbidden");
    assert_eq!(answer.reason(), "Frozen");
    let message = answer.message();
    assert!(message.contains(what) && message.contains(REASON), "{message}");
}

/// An environment with the app in it, and a hotfix that is due there.
async fn due_hotfix(service: &Harness, by: &Caller, name: &str) -> (Environment, Answer) {
    let environment = Environment::named(name).has(APP, "1.0.0.0");
    service.operator().reports(&environment).await.expect(201);
    let hotfix = by.schedules_at_once(&environment, "1.0.0.1").await.expect(200);
    (environment, hotfix)
}

async fn status(service: &Harness, hotfix: &Answer) -> String {
    service
        .owner()
        .looks_at(hotfix)
        .await
        .expect(200)
        .property("status")
}

async fn a_frozen_app_stays_as_it_is(backend: Backend) {
    let service = Harness::start(backend).await;
    let (owner, operator) = (service.owner(), service.operator());
    owner.has_uploaded("1.0.0.1").await;
    let (_, waiting) = due_hotfix(&service, &owner, "One").await;
    let (_, doomed) = due_hotfix(&service, &owner, "Two").await;
    let third = Environment::named("Three").has(APP, "1.0.0.0");
    operator.reports(&third).await.expect(201);
    let subject = format!("app:{APP}");
    freezes(&operator, &subject).await.expect(201);

    let what = APP.to_string();
    is_frozen(owner.uploads(&package("1.0.0.2"), "Available").await, &what);
    is_frozen(
        owner
            .changes_version("1.0.0.1", json!({ "availability": "Preview" }))
            .await,
        &what,
    );
    is_frozen(owner.adds_country("DK").await, &what);
    is_frozen(owner.grants(&Person::STRANGER, &["Reader"]).await, &what);
    is_frozen(owner.removes(&Person::READER).await, &what);
    is_frozen(owner.schedules_at_once(&third, "1.0.0.1").await, &what);
    // Whoever may not do it anyway hears that first, and strangers hear nothing.
    let weak = service
        .reader()
        .adds_country("DK")
        .await
        .refused(403, "Forbidden");
    assert!(!weak.message().contains(REASON), "{}", weak.message());
    service
        .stranger()
        .adds_country("DK")
        .await
        .refused(404, "ResourceDoesNotExist");
    // Reading goes on, and what waits can be canceled.
    owner.version("1.0.0.1").await.expect(200);
    owner.cancels(&doomed).await.expect(200);
    service.finishes_work().await;
    assert_eq!(status(&service, &waiting).await, "Scheduled");
    // Other apps have nothing to do with it.
    service.has_app(LIBRARY).await;

    thaws(&operator, &subject).await;
    begins_again(&service).await;
    assert_eq!(status(&service, &waiting).await, "Succeeded");
    owner.adds_country("DK").await.expect(200);
}

async fn a_frozen_principal_changes_nothing_and_gets_nothing_begun(backend: Backend) {
    let service = Harness::start(backend).await;
    let (owner, contributor, operator) = (service.owner(), service.contributor(), service.operator());
    owner.has_uploaded("1.0.0.1").await;
    let (_, theirs) = due_hotfix(&service, &contributor, "One").await;
    let (_, others) = due_hotfix(&service, &owner, "Two").await;
    let ids = [Person::CONTRIBUTOR.id, Person::CONTRIBUTOR.service_principal()];
    for id in ids {
        let subject = format!("principal:{id}");
        freezes(&operator, &subject).await.expect(201);
        is_frozen(
            contributor.uploads(&package("1.0.0.2"), "Available").await,
            &id.to_string(),
        );
        is_frozen(contributor.cancels(&theirs).await, &id.to_string());
        contributor.version("1.0.0.1").await.expect(200);
        begins_again(&service).await;
        assert_eq!(status(&service, &theirs).await, "Scheduled");
        assert_eq!(status(&service, &others).await, "Succeeded");
        thaws(&operator, &subject).await;
    }
    begins_again(&service).await;
    assert_eq!(status(&service, &theirs).await, "Succeeded");
}

async fn while_all_scheduling_is_frozen_nothing_begins(backend: Backend) {
    let service = Harness::start(backend).await;
    let (owner, operator) = (service.owner(), service.operator());
    owner.has_uploaded("1.0.0.1").await;
    let (_, waiting) = due_hotfix(&service, &owner, "One").await;
    freezes(&operator, "scheduling").await.expect(201);
    let second = Environment::named("Two").has(APP, "1.0.0.0");
    operator.reports(&second).await.expect(201);
    is_frozen(owner.schedules(&second, "1.0.0.1").await, "all scheduling");
    service.finishes_work().await;
    assert_eq!(status(&service, &waiting).await, "Scheduled");
    // All else goes on.
    owner.has_uploaded("1.0.0.2").await;

    let service = service.restart().await;
    service.finishes_work().await;
    assert_eq!(status(&service, &waiting).await, "Scheduled");
    thaws(&service.operator(), "scheduling").await;
    begins_again(&service).await;
    assert_eq!(status(&service, &waiting).await, "Succeeded");
}

async fn freezes_are_listed_changed_and_audited(backend: Backend) {
    let service = Harness::start(backend).await;
    let operator = service.operator();
    let path = "/operator/v1/freezes/scheduling";
    operator.get(path).await.refused(404, "ResourceDoesNotExist");
    operator.delete(path).await.refused(404, "ResourceDoesNotExist");
    let first = freezes(&operator, "scheduling").await.expect(201);
    assert_eq!(first.property("reason"), REASON);
    assert_eq!(first.property("frozenOn"), "2020-03-05T12:00:00.0000000Z");
    assert_eq!(operator.get(path).await.expect(200).json(), first.json());
    let anew = json!({ "reason": "We look into it." });
    let stale = operator.put(path, anew.clone()).header("if-none-match", "*");
    stale.await.refused(412, "PreconditionFailed");
    let changed = operator.put(path, anew).await.expect(200);
    assert_ne!(changed.etag(), first.etag());
    freezes(&operator, &format!("app:{APP}")).await.expect(201);
    let listed = operator
        .get("/operator/v1/freezes?$filter=reason eq 'We look into it.'")
        .await;
    assert_eq!(listed.expect(200).column("subject"), ["scheduling"]);
    let listed = operator.get("/operator/v1/freezes?$count=true").await.expect(200);
    assert_eq!(listed.rows().len(), 2);
    let stale = operator
        .delete(path)
        .header("if-match", format!("\"{}\"", first.etag()));
    stale.await.refused(412, "PreconditionFailed");
    thaws(&operator, "scheduling").await;

    let audit = "/operator/v1/audit?$filter=target eq 'freezes/scheduling'&$orderby=id";
    let audit = operator.get(audit).await.expect(200).rows();
    let told = |row: &Value| (row["action"].clone(), row["after"]["reason"].clone());
    let told: Vec<_> = audit.iter().map(told).collect();
    assert_eq!(
        told,
        [
            (json!("freezes/write"), json!(REASON)),
            (json!("freezes/write"), json!("We look into it.")),
            (json!("freezes/delete"), json!(null)),
        ]
    );
}

async fn what_names_nothing_cannot_be_frozen(backend: Backend) {
    let service = Harness::start(backend).await;
    let operator = service.operator();
    // Whoever mistypes an id in an emergency must not believe that something has stopped.
    freezes(&operator, "app:11111111-dead-beef-0000-000000000000")
        .await
        .refused(404, "ResourceDoesNotExist");
    for wrong in ["everything", "app:me", "principal:", "agent:1"] {
        let refused = freezes(&operator, wrong).await.refused(400, "InvalidInput");
        assert_eq!(refused.target(), "subject");
    }
    for body in [
        json!({}),
        json!({ "reason": " " }),
        json!({ "reason": "a\u{202e}b" }),
        json!({ "reason": "x".repeat(501) }),
    ] {
        let refused = operator.put("/operator/v1/freezes/scheduling", body).await;
        assert_eq!(refused.refused(400, "InvalidInput").target(), "reason");
    }
    service
        .owner()
        .put("/operator/v1/freezes/scheduling", json!({ "reason": REASON }))
        .await
        .expect(403);
}
