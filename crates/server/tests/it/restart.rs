//! What survives the process, and what a crash leaves.

use crate::harness::{
    APP, Answer, Backend, Environment, Harness, Stopped, base64_of, bytes_of, on_both_databases, package,
};
use bytes::Bytes;
use futures::channel::mpsc;
use serde_json::json;
use std::{fs, time::Duration};

on_both_databases!(
    everything_is_still_there_after_a_restart,
    what_waited_runs_after_a_restart,
    what_ran_during_a_crash_is_told_after_it,
    what_ran_during_a_crash_ends_as_unknown_if_its_agent_has_gone_too,
    an_upload_cut_by_a_crash_leaves_nothing,
    stale_staging_files_go_at_the_start,
    a_location_in_use_may_not_vanish,
);

async fn everything_is_still_there_after_a_restart(backend: Backend) {
    let service = Harness::start(backend).await;
    let owner = service.owner();
    owner.has_uploaded("1.0.0.0").await;
    owner.has_uploaded("1.0.0.1").await;
    let environment = Environment::my_customer("1.0.0.0");
    service.operator().reports(&environment).await.expect(201);
    owner.schedules(&environment, "1.0.0.1").await.expect(200);
    let paths = [
        "/v1.4/apps".to_owned(),
        format!("/v1.4/apps/{APP}/countries"),
        format!("/v1.4/apps/{APP}/principals"),
        owner.us("versions"),
        owner.us("environments"),
        owner.us("environmentHotfixes"),
    ];
    let mut before = Vec::new();
    for path in &paths {
        before.push(owner.get(path).await.expect(200).json());
    }
    let audit = service
        .operator()
        .get("/operator/v1/audit")
        .await
        .expect(200)
        .json();

    let service = service.restart().await;
    for (path, expected) in paths.iter().zip(before) {
        assert_eq!(
            service.owner().get(path).await.expect(200).json(),
            expected,
            "{path}"
        );
    }
    assert_eq!(
        service
            .operator()
            .get("/operator/v1/audit")
            .await
            .expect(200)
            .json(),
        audit
    );
    let path = service.owner().us("versions/1.0.0.1/getPackageContents");
    assert_eq!(
        service.owner().get(path).await.expect(200).body,
        bytes_of(&package("1.0.0.1"))
    );
    service
        .owner()
        .uploads(&package("1.0.0.1"), "Available")
        .await
        .refused(409, "ResourceExists");
}

async fn what_waited_runs_after_a_restart(backend: Backend) {
    let service = Harness::start(backend).await;
    service.owner().has_uploaded("1.0.0.1").await;
    let environment = Environment::my_customer("1.0.0.0");
    service.operator().reports(&environment).await.expect(201);
    let request = service
        .owner()
        .schedules(&environment, "1.0.0.1")
        .header("idempotency-key", "one");
    let hotfix = request.await.expect(200);
    let service = service.restart().await;
    let again = service
        .owner()
        .schedules(&environment, "1.0.0.1")
        .header("idempotency-key", "one");
    assert_eq!(again.await.expect(200).property("id"), hotfix.property("id"));
    service.moves_clock_to("2020-03-05T20:00:00Z").await;
    service.advances(Duration::from_secs(2)).await;
    assert_eq!(
        service.reader().looks_at(&hotfix).await.property("status"),
        "Succeeded"
    );
}

async fn what_ran_during_a_crash_is_told_after_it(backend: Backend) {
    let (service, hotfix, _) = has_crashed_at_work(backend).await;
    let service = service.start().await;
    service.finishes_work().await;
    let ended = service.reader().looks_at(&hotfix).await;
    assert_eq!(ended.property("status"), "Succeeded");
}

async fn what_ran_during_a_crash_ends_as_unknown_if_its_agent_has_gone_too(backend: Backend) {
    let (service, hotfix, environment) = has_crashed_at_work(backend).await;
    let service = service.without_simulator().start().await;
    service.catches_up().await;
    assert_eq!(
        service.reader().looks_at(&hotfix).await.property("status"),
        "Running"
    );
    service.advances(Duration::from_secs(301)).await;
    let ended = service.reader().looks_at(&hotfix).await;
    assert_eq!(ended.property("status"), "Failed");
    assert!(
        ended.property("errorMessage").contains("OutcomeUnknown"),
        "{ended:?}"
    );
    let release = format!("{}/release", environment.operator_path());
    let released = service.operator().post(&release, json!({})).await.expect(200);
    assert_eq!(released.json().get("heldSince"), None);
    service
        .owner()
        .schedules_at_once(&environment, "1.0.0.1")
        .await
        .expect(200);
}

/// A service that crashed while a hotfix was carried out in that environment.
async fn has_crashed_at_work(backend: Backend) -> (Stopped, Answer, Environment) {
    let service = Harness::start(backend).await;
    service.owner().has_uploaded("1.0.0.1").await;
    let environment = Environment::my_customer("1.0.0.0");
    service.operator().reports(&environment).await.expect(201);
    let hotfix = service
        .owner()
        .schedules_at_once(&environment, "1.0.0.1")
        .await
        .expect(200);
    service.catches_up().await;
    assert_eq!(
        service.reader().looks_at(&hotfix).await.property("status"),
        "Running"
    );
    (service.crash().await, hotfix, environment)
}

async fn an_upload_cut_by_a_crash_leaves_nothing(backend: Backend) {
    let service = Harness::start(backend).await;
    let owner = service.owner();
    let (chunks, body) = mpsc::unbounded();
    let upload = tokio::spawn(
        owner
            .asks(http::Method::POST, owner.us("versions"))
            .stream(body)
            .send(),
    );
    let half = base64_of(&bytes_of(&package("1.0.0.0")))[..400].to_owned();
    chunks
        .unbounded_send(Ok(Bytes::from(format!("{{\"packageContents\":\"{half}"))))
        .unwrap();
    service
        .until("the upload has begun", async || {
            !service.staged_files().is_empty()
        })
        .await;
    let service = service.crash().await.start().await;
    drop(chunks);
    drop(upload.await);
    let versions = service
        .owner()
        .get(service.owner().us("versions"))
        .await
        .expect(200);
    assert_eq!(versions.json(), json!({ "value": [] }));
    assert!(service.stored_packages().is_empty());
    service.owner().has_uploaded("1.0.0.0").await;
    service
        .until("staging is empty", async || service.staged_files().is_empty())
        .await;
}

async fn stale_staging_files_go_at_the_start(backend: Backend) {
    let service = Harness::start(backend).await;
    service.owner().has_uploaded("1.0.0.0").await;
    let stopped = service.crash().await;
    let left_behind = stopped.folder().join("packages/west-europe/staging/left-behind");
    fs::write(&left_behind, b"half a package").unwrap();
    let long_ago = std::time::UNIX_EPOCH + Duration::from_secs(1_500_000_000);
    fs::File::options()
        .write(true)
        .open(&left_behind)
        .unwrap()
        .set_modified(long_ago)
        .unwrap();
    let service = stopped.start().await;
    assert!(service.staged_files().is_empty());
    assert_eq!(service.stored_packages().len(), 1);
    let path = service.owner().us("versions/1.0.0.0/getPackageContents");
    service.owner().get(path).await.expect(200);
}

async fn a_location_in_use_may_not_vanish(backend: Backend) {
    let service = Harness::start(backend).await;
    service.owner().has_uploaded("1.0.0.0").await;
    let elsewhere = r#"{"East US": {"directory": "{data_dir}/packages/east-us"}}"#;
    let refused = service
        .crash()
        .await
        .with("storage.locations", elsewhere)
        .tries_to_start()
        .await;
    assert!(refused.unwrap_err().contains("West Europe"));
}
