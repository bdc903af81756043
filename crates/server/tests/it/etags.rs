//! Tags: every spelling, weak comparison, and what becomes of requests that rely on them.

use crate::{
    every_operation::{CallerKind, Fixture, Guard, Role, described, samples},
    harness::{APP, Backend, Environment, Harness, Person, on_both_databases},
};
use http::Method;
use serde_json::json;

on_both_databases!(
    every_spelling_of_a_tag_is_understood,
    a_tag_that_is_not_the_state_changes_nothing,
    a_tag_on_nothing_never_fits,
    only_create_means_only_create,
    a_known_state_is_not_sent_again,
    tags_are_never_demanded_and_ignored_in_bodies,
    of_many_changes_from_one_state_one_succeeds,
    no_operation_overlooks_a_condition,
    a_package_that_is_known_is_not_posted_again,
    a_release_is_of_the_state_that_was_seen,
    an_environment_has_another_tag_when_another_version_is_installed,
    a_tag_stands_for_what_is_read_however_it_is_sent,
);

fn path() -> String {
    format!("/v1.4/apps/{APP}/principals/{}", Person::READER.id)
}

async fn every_spelling_of_a_tag_is_understood(backend: Backend) {
    let service = Harness::start(backend).await;
    let owner = service.owner();
    let spell: [fn(&str) -> String; 7] = [
        |tag| format!("W/\"{tag}\""),
        |tag| format!("\"{tag}\""),
        |tag| tag.to_owned(),
        |tag| tag.to_uppercase(),
        |tag| format!("\"other\", W/\"{tag}\""),
        |tag| format!("other,{tag} , more"),
        |_| "*".to_owned(),
    ];
    for (round, spell) in spell.iter().enumerate() {
        let tag = owner.get(path()).await.expect(200).etag();
        let role = if round % 2 == 0 { "Contributor" } else { "Reader" };
        let changed = owner
            .grants(&Person::READER, &[role])
            .header("if-match", spell(&tag))
            .await;
        assert_ne!(changed.expect(200).etag(), tag, "{}", spell(&tag));
    }
}

async fn a_tag_that_is_not_the_state_changes_nothing(backend: Backend) {
    let service = Harness::start(backend).await;
    let owner = service.owner();
    let before = owner.get(path()).await.expect(200);
    let changed = owner.grants(&Person::READER, &["Contributor"]).await.expect(200);
    let stale = owner
        .grants(&Person::READER, &["Owner"])
        .header("if-match", before.header("etag"));
    stale.await.refused(412, "PreconditionFailed");
    owner
        .removes(&Person::READER)
        .header("if-match", before.header("etag"))
        .await
        .refused(412, "PreconditionFailed");
    assert_eq!(owner.get(path()).await.json(), changed.json());
    // Who may not is told so first, and what is wrong with the body before that.
    let weak = service
        .contributor()
        .grants(&Person::READER, &["Owner"])
        .header("if-match", "\"x\"");
    weak.await.refused(403, "Forbidden");
    let wrong = owner
        .grants(&Person::READER, &["Admin"])
        .header("if-match", "\"x\"");
    wrong.await.refused(400, "InvalidInput");
}

async fn a_tag_on_nothing_never_fits(backend: Backend) {
    let service = Harness::start(backend).await;
    let owner = service.owner();
    for tag in ["*", "\"x\""] {
        owner
            .grants(&Person::STRANGER, &["Reader"])
            .header("if-match", tag)
            .await
            .refused(412, "PreconditionFailed");
        owner
            .removes(&Person::STRANGER)
            .header("if-match", tag)
            .await
            .refused(412, "PreconditionFailed");
        owner
            .adds_country("DK")
            .header("if-match", tag)
            .await
            .refused(412, "PreconditionFailed");
        let version = owner.changes_version("9.0.0.0", json!({ "availability": "Preview" }));
        version
            .header("if-match", tag)
            .await
            .refused(412, "PreconditionFailed");
    }
    service
        .stranger()
        .get(owner.app_path())
        .await
        .refused(404, "ResourceDoesNotExist");
}

async fn only_create_means_only_create(backend: Backend) {
    let service = Harness::start(backend).await;
    let owner = service.owner();
    let create = || {
        owner
            .grants(&Person::STRANGER, &["Reader"])
            .header("if-none-match", "*")
    };
    create().await.expect(200);
    create().await.refused(412, "PreconditionFailed");
}

async fn a_known_state_is_not_sent_again(backend: Backend) {
    let service = Harness::start(backend).await;
    service.owner().has_uploaded("1.0.0.0").await;
    let reader = service.reader();
    let app = reader.app_path();
    for path in [
        app.clone(),
        format!("{app}/countries/US"),
        path(),
        reader.us("versions/1.0.0.0"),
    ] {
        let known = reader.get(&path).await.expect(200);
        let again = reader
            .get(&path)
            .header("if-none-match", known.header("etag"))
            .await
            .expect(304);
        assert!(again.body.is_empty());
        assert_eq!(again.header("etag"), known.header("etag"));
        reader
            .get(&path)
            .header("if-none-match", "\"another\"")
            .await
            .expect(200);
        reader
            .get(&path)
            .header("if-match", "\"another\"")
            .await
            .refused(412, "PreconditionFailed");
    }
}

async fn tags_are_never_demanded_and_ignored_in_bodies(backend: Backend) {
    let service = Harness::start(backend).await;
    let owner = service.owner();
    let body = json!({ "_etag": "not the state", "@odata.etag": "W/\"x\"", "roles": ["Contributor"] });
    owner.patch(path(), body).await.expect(200);
    owner.removes(&Person::READER).await.expect(204);
}

async fn of_many_changes_from_one_state_one_succeeds(backend: Backend) {
    let service = Harness::start(backend).await;
    let owner = service.owner();
    for round in 0..5 {
        let tag = owner.get(path()).await.expect(200).etag();
        let role = if round % 2 == 0 { "Contributor" } else { "Reader" };
        let change = |_| {
            owner
                .grants(&Person::READER, &[role])
                .header("if-match", &tag)
                .into_future()
        };
        let answers = futures::future::join_all((0..6).map(change)).await;
        let succeeded = answers.iter().filter(|answer| answer.status == 200).count();
        let failed = answers.iter().filter(|answer| answer.status == 412).count();
        assert_eq!((succeeded, failed), (1, 5), "round {round}");
    }
}

async fn no_operation_overlooks_a_condition(backend: Backend) {
    let fixture = Fixture::set(backend).await;
    let document = serde_json::from_str(&server::openapi_json()).unwrap();
    let before = fixture.changes().await;
    for operation in described(&document) {
        let all = samples();
        let sample = all
            .iter()
            .find(|sample| sample.operation == operation.id)
            .unwrap();
        let who = match sample.guard {
            Guard::AnyToken | Guard::Role(_) => CallerKind::Holder(Role::Owner),
            Guard::Operator => CallerKind::Operator,
            Guard::Agent | Guard::OwnToken => CallerKind::Agent,
            // Ended is ended.
            Guard::Run => continue,
            // What customers read has no tag.
            Guard::Administrator(_) if operation.method != Method::GET => CallerKind::Administrator,
            Guard::Public | Guard::Administrator(_) => continue,
        };
        let asks = |name: &str, value: &str| {
            let request = fixture.request(who, sample, &operation).header(name, value);
            match fixture.body(who, sample) {
                Some(body) => request.json(&body),
                None => request,
            }
        };
        for tag in ["\"nothing\"", "\"*\"", "\"x\", *", "W/\"*\""] {
            let answer = asks("if-match", tag).await;
            assert_eq!(answer.status, 412, "{} {tag}: {answer:?}", sample.operation);
        }
        if operation.method == Method::GET && who != CallerKind::Agent {
            assert_eq!(
                asks("if-none-match", "*").await.status,
                304,
                "{}",
                sample.operation
            );
            asks("if-none-match", "\"*\"").await.expect(200);
            asks("if-match", "*").await.expect(200);
        }
    }
    assert_eq!(fixture.changes().await, before);
}

async fn a_package_that_is_known_is_not_posted_again(backend: Backend) {
    let service = Harness::start(backend).await;
    service.owner().has_uploaded("1.0.0.0").await;
    let reader = service.reader();
    let asks = || reader.asks(Method::POST, reader.us("versions/1.0.0.0/getPackageContents"));
    let known = asks().await.expect(200).header("etag").to_owned();
    for tag in [known.as_str(), "*"] {
        let again = asks().header("if-none-match", tag).await;
        again.refused(412, "PreconditionFailed");
    }
    asks().header("if-none-match", "\"another\"").await.expect(200);
    asks().header("if-match", &known).await.expect(200);
}

async fn a_release_is_of_the_state_that_was_seen(backend: Backend) {
    let service = Harness::start(backend).await;
    let operator = service.operator();
    let environment = Environment::my_customer("16.0.0.5");
    operator.reports(&environment).await.expect(201);
    let path = environment.operator_path();
    let seen = operator.get(&path).await.expect(200).header("etag").to_owned();
    let release = |tag: &str| {
        operator
            .asks(Method::POST, format!("{path}/release"))
            .header("if-match", tag)
    };
    release(&seen).await.expect(200);
    release("*").await.expect(200);
    operator.reports(&environment).await.expect(200);
    release(&seen).await.refused(412, "PreconditionFailed");
}

async fn an_environment_has_another_tag_when_another_version_is_installed(backend: Backend) {
    let service = Harness::start(backend).await;
    let (owner, operator) = (service.owner(), service.operator());
    for version in ["16.0.0.5", "16.0.1.2"] {
        owner.has_uploaded(version).await;
    }
    let environment = Environment::my_customer("16.0.0.5");
    operator.reports(&environment).await.expect(201);
    let path = environment.operator_path();
    let before = operator.get(&path).await.expect(200);
    let mut hotfix = environment.hotfix("16.0.1.2");
    hotfix["ignoreUpgradeWindow"] = json!(true);
    owner
        .post(owner.us("environmentHotfixes"), hotfix)
        .await
        .expect(200);
    assert_eq!(operator.get(&path).await.header("etag"), before.header("etag"));
    service.finishes_work().await;
    let after = operator.get(&path).await.expect(200);
    assert_eq!(after.json()["apps"][0]["version"], "16.0.1.2");
    assert_ne!(after.header("etag"), before.header("etag"));
    let stale = operator
        .reports(&environment)
        .header("if-match", before.header("etag"));
    stale.await.refused(412, "PreconditionFailed");
}

/// Bytes that count as such, and answers to changes, in which secrets may be, are never compressed.
async fn a_tag_stands_for_what_is_read_however_it_is_sent(backend: Backend) {
    let service = Harness::start(backend).await;
    let owner = service.owner();
    owner.has_uploaded("1.0.0.0").await;
    let asked = |method: Method, path: &str| owner.asks(method, path).header("accept-encoding", "gzip");
    let plain = owner.get("/v1.4/$metadata").await.expect(200);
    let compressed = asked(Method::GET, "/v1.4/$metadata").await.expect(200);
    assert_eq!(compressed.header("content-encoding"), "gzip");
    assert!(!compressed.has_header("content-length"));
    for answer in [&plain, &compressed] {
        assert_eq!(answer.header("vary"), "Accept-Encoding");
        assert_eq!(answer.header("etag"), plain.header("etag"));
    }
    assert!(plain.header("etag").starts_with("W/"));
    for asked in [
        asked(Method::GET, "/v1.4/$metadata"),
        owner.get("/v1.4/$metadata"),
    ] {
        asked
            .header("if-none-match", compressed.header("etag"))
            .await
            .expect(304);
    }
    let package = owner.us("versions/1.0.0.0/getPackageContents");
    let country = format!("{}/countries/US", owner.app_path());
    for (method, path) in [
        (Method::GET, package.as_str()),
        (Method::POST, &package),
        (Method::HEAD, "/v1.4/$metadata"),
        (Method::GET, &country),
    ] {
        let answer = asked(method, path).await.expect(200);
        assert!(!answer.has_header("content-encoding"), "{answer:?}");
    }
    let described = asked(Method::GET, "/openapi.json").await.expect(200);
    assert_eq!(described.header("content-encoding"), "gzip");
    let change = asked(Method::PATCH, &country).json(&json!({})).await;
    assert!(!change.has_header("content-encoding"));
}
