//! Uploads, and changes of a version.

use super::trial::{Change, Fixture, Trial, each_commit_cut};
use crate::harness::{Answer, Person, bytes_of, country_path, package_of};
use serde_json::json;
use std::future::IntoFuture;
use test_support::postgres_cluster::query;
use uuid::Uuid;

/// What an upload came to, once nobody is at it any more: its version is there, or nothing stands in the way of the next
/// try.
async fn settles(trial: &Trial<'_>, country: &str, version: &str) -> Option<Answer> {
    trial.fixture.service.drains().await;
    let path = country_path(trial.app, country, &format!("versions/{version}"));
    let shown = trial.looker().get(&path).await;
    if shown.status == 404 {
        return None;
    }
    match shown.property("status").as_str() {
        "Uploaded" => Some(shown),
        "UploadFailed" => None,
        _ => panic!("{}: the version stays Uploading", trial.name()),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_is_uploaded_or_may_be_sent_again() {
    let fixture = Fixture::set().await;
    fixture
        .with_each_commit_cut(async |trial| {
            let sent = package_of(trial.app, "1.0.0.0");
            let target = format!("apps/{}/countries/US/versions/1.0.0.0", trial.app);
            let answer = trial.sends(trial.owner().uploads(&sent, "Available")).await;
            if answer.status == 200 {
                let shown = trial.looker().version("1.0.0.0").await.expect(200);
                assert_eq!(shown.property("status"), "Uploaded", "{}", trial.name());
                assert_eq!(shown.etag(), answer.etag(), "{}", trial.name());
            } else if settles(trial, "US", "1.0.0.0").await.is_some() {
                let again = trial.owner().uploads(&sent, "Available").await;
                again.refused(409, "ResourceExists");
            } else {
                trial.owner().uploads(&sent, "Available").await.expect(200);
            }
            assert!(settles(trial, "US", "1.0.0.0").await.is_some());
            assert_eq!(
                trial.audited(&target, "versions/upload").await,
                1,
                "{}",
                trial.name()
            );
            let path = trial.owner().us("versions/1.0.0.0/getPackageContents");
            assert!(trial.owner().get(path).await.expect(200).body == bytes_of(&sent));
        })
        .await;
    fixture
        .service
        .until("staging is empty", async || {
            fixture.service.staged_files().is_empty()
        })
        .await;
    fixture.close().await;
}

/// What the database itself says of a version's status.
async fn stored_status(fixture: &Fixture, app: Uuid) -> Option<String> {
    query(
        &fixture.postgres.url,
        &format!("SELECT status FROM versions WHERE app_id = '{app}'"),
    )
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_published_version_stays_when_its_uploader_loses_the_role_in_between() {
    let fixture = Fixture::set().await;
    fixture
        .with_each_commit_cut(async |trial| {
            let contributor = fixture.service.contributor().on(trial.app);
            let sent = package_of(trial.app, "1.0.0.0");
            fixture.proxy.cut_and_freeze(trial.nth, trial.moment);
            let upload = tokio::spawn(contributor.uploads(&sent, "Available").into_future());
            fixture
                .direct
                .until("the connection is cut or the upload has ended", async || {
                    fixture.proxy.was_cut() || upload.is_finished()
                })
                .await;
            trial.was_cut.set(fixture.proxy.was_cut());
            let stored = stored_status(&fixture, trial.app).await;
            let was_published = stored.as_deref() == Some("Uploaded");
            trial.looker().removes(&Person::CONTRIBUTOR).await.expect(204);
            fixture.proxy.release();
            let answer = upload.await.unwrap();
            let is_there = settles(trial, "US", "1.0.0.0").await.is_some();
            assert_eq!(is_there, was_published, "{}: {}", trial.name(), answer.text());
            let expected: &[u16] = if was_published {
                &[200, 503]
            } else {
                &[403, 404, 503]
            };
            assert!(
                expected.contains(&answer.status),
                "{}: the upload was answered {} {}",
                trial.name(),
                answer.status,
                answer.text()
            );
            let target = format!("apps/{}/countries/US/versions/1.0.0.0", trial.app);
            let recorded = trial.audited(&target, "versions/upload").await;
            assert_eq!(recorded, usize::from(is_there), "{}", trial.name());
        })
        .await;
    fixture.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_is_changed_or_not() {
    each_commit_cut(async |trial| {
        trial.owner().has_uploaded("1.0.0.0").await;
        let target = format!("apps/{}/countries/US/versions/1.0.0.0", trial.app);
        let change = Change::of(
            || {
                trial
                    .owner()
                    .changes_version("1.0.0.0", json!({ "availability": "Deprecated" }))
            },
            (target, "versions/write"),
            || trial.looker().version("1.0.0.0"),
            |shown| shown.property("availability") == "Deprecated",
        );
        trial.changes(change).await;
    })
    .await;
}
