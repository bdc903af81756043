//! What the service needs goes away and comes back: it says so, loses nothing, and works again without help.

mod full_disk;
mod hasty_clients;
mod package_folder;
mod postgres_away;
mod unwritten_reports;

use crate::services::{Answer, Caller, Environment, Lost, Process, eventually};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use uuid::Uuid;

fn versions_path(app: Uuid) -> String {
    format!("/v1.4/apps/{app}/countries/US/versions")
}

fn upload_body(package: &[u8]) -> Value {
    json!({ "initialAvailability": "Available", "packageContents": STANDARD.encode(package) })
}

async fn upload(owner: &Caller, app: Uuid, package: &[u8]) -> Result<Answer, Lost> {
    owner.post(&versions_path(app), &upload_body(package)).await
}

async fn report(process: &Process, environment: &Environment, mark: &str) -> Answer {
    let report = environment.report("1.0.0.0", mark);
    process
        .operator()
        .put(&environment.path(), &report)
        .await
        .unwrap()
}

/// Uploads again and again, as the answers say, until the version is there.
async fn upload_until_it_works(owner: &Caller, app: Uuid, package: &[u8]) {
    eventually("the upload works again", async || {
        let answer = upload(owner, app, package).await.unwrap();
        match (answer.status, answer.code().as_str()) {
            (200, _) | (409, "ResourceExists") => Some(()),
            (409, "UploadInProgress") | (503, _) => None,
            _ => panic!("{answer}"),
        }
    })
    .await;
}

/// The contents of a version, as the service gives them.
async fn download(owner: &Caller, app: Uuid, number: u32) -> Answer {
    let path = format!("{}/1.0.{number}.0/getPackageContents", versions_path(app));
    owner.post(&path, &Value::Null).await.unwrap()
}
