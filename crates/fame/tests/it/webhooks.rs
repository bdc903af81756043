//! Webhooks of the real service, killed again and again: its receiver is told each thing that happened, and nothing that did
//! not.

use crate::services::{APPS, Database, Environment, Process, Site, eventually, fill, package};
use axum::{Router, extract::State, http::HeaderMap, http::StatusCode};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    sync::{Arc, Mutex},
};
use tokio::net::TcpListener;
use uuid::Uuid;

/// Hotfixes that are scheduled, and how many between two kills.
const HOTFIXES: usize = 20;
const BETWEEN: usize = 5;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_thing_is_told_whenever_the_service_is_killed_on_sqlite() {
    each_thing_is_told_whenever_the_service_is_killed(Database::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_thing_is_told_whenever_the_service_is_killed_on_postgres() {
    each_thing_is_told_whenever_the_service_is_killed(Database::Postgres).await;
}

/// What was told, by its id: the operation, and how often.
type Told = Arc<Mutex<BTreeMap<String, (String, usize)>>>;

/// A receiver that refuses every third thing when it first comes.
async fn receiver() -> (String, Told) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let told = Told::default();
    let router = Router::new().fallback(take).with_state(told.clone());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (url, told)
}

async fn take(State(told): State<Told>, headers: HeaderMap, body: String) -> StatusCode {
    let body: Value = serde_json::from_str(&body).unwrap();
    let id = headers["webhook-id"].to_str().unwrap().to_owned();
    let mut told = told.lock().unwrap();
    let is_third = told.len() % 3 == 2;
    let operation = body["data"]["id"].as_str().unwrap_or_default().to_owned();
    let (_, times) = told.entry(id).or_insert((operation, 0));
    *times += 1;
    match *times == 1 && is_third {
        true => StatusCode::INTERNAL_SERVER_ERROR,
        false => StatusCode::NO_CONTENT,
    }
}

async fn each_thing_is_told_whenever_the_service_is_killed(database: Database) {
    let keys = tempfile::tempdir().unwrap();
    let key = keys.path().join("key");
    fs::write(&key, [7; 32]).unwrap();
    fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
    let site = Site::on(database)
        .with("secrets.keys", format!("[\"{}\"]", key.display()))
        .with("destinations.allow_loopback", "true");
    let mut service = site.start(0).await;
    let (url, told) = receiver().await;
    let webhook = begins(&service, &url).await;
    let mut scheduled = BTreeSet::new();
    for number in 0..HOTFIXES {
        scheduled.insert(schedules(&service, number).await);
        if number % BETWEEN == BETWEEN - 1 {
            service.kill().await;
            service = site.start(0).await;
        }
    }
    let path = format!("{webhook}/deliveries?$filter=status ne 'Delivered'&$top=1");
    eventually("everything is delivered", async || {
        let waiting = service.owner().get(&path).await.ok()?.rows().len();
        let heard = told.lock().unwrap().len();
        (waiting == 0 && heard >= HOTFIXES).then_some(())
    })
    .await;
    let heard: BTreeSet<_> = told
        .lock()
        .unwrap()
        .values()
        .map(|(operation, _)| operation.clone())
        .collect();
    assert_eq!(heard, scheduled);
    assert_eq!(told.lock().unwrap().len(), HOTFIXES);
}

/// Apps, a version to bring, and a webhook that is told of what is scheduled; its address.
async fn begins(service: &Process, url: &str) -> String {
    let (operator, owner) = (service.operator(), service.owner());
    fill(&operator, &owner).await;
    let path = format!("/v1.4/apps/{}/countries/US/versions", APPS[0]);
    let contents = STANDARD.encode(package(APPS[0], 1));
    let body = json!({ "initialAvailability": "Available", "packageContents": contents });
    owner.post(&path, &body).await.unwrap().expect(200);
    let webhook = format!("/v1.4/apps/{}/webhooks/{}", APPS[0], Uuid::new_v4());
    let body = json!({ "url": url, "events": ["hotfix.scheduled"] });
    owner.put(&webhook, &body).await.unwrap().expect(201);
    webhook
}

/// The id of a hotfix that was scheduled in an environment of its own.
async fn schedules(service: &Process, number: usize) -> String {
    let environment = Environment::new(format!("Environment{number}"), "US");
    let report = environment.report("1.0.0.0", "mark");
    service
        .operator()
        .put(&environment.path(), &report)
        .await
        .unwrap()
        .expect(201);
    let path = format!("/v1.4/apps/{}/countries/US/environmentHotfixes", APPS[0]);
    let hotfix = environment.hotfix("1.0.1.0");
    let scheduled = service.owner().post(&path, &hotfix).await.unwrap().expect(200);
    scheduled.property("id")
}
