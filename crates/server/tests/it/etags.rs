//! Tags: every spelling, weak comparison, and what becomes of requests that rely on them.

use crate::harness::{APP, Backend, Harness, Person, on_both_databases};
use serde_json::json;

on_both_databases!(
    every_spelling_of_a_tag_is_understood,
    a_tag_that_is_not_the_state_changes_nothing,
    a_tag_on_nothing_never_fits,
    only_create_means_only_create,
    a_known_state_is_not_sent_again,
    tags_are_never_demanded_and_ignored_in_bodies,
    of_many_changes_from_one_state_one_succeeds,
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
