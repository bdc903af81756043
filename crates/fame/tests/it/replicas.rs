//! Three `fame serve` on one PostgreSQL and one package folder behave as one.

mod draining;
mod execution;
mod races;
mod stopping;

use crate::services::{
    Answer, Books, Caller, Database, Environment, Person, Process, Site, eventually, fill,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use uuid::Uuid;

const REPLICAS: usize = 3;

/// The processes and what they share.
struct Fleet {
    site: Site,
    books: Books,
    replicas: Vec<Process>,
    /// How many were ever started: each has a data folder of its own.
    started: usize,
}

impl Fleet {
    /// Three replicas, with apps and countries.
    async fn start() -> Self {
        Self::start_on(Site::on(Database::Postgres), REPLICAS).await
    }

    async fn start_on(site: Site, replicas: usize) -> Self {
        let mut fleet = Self {
            books: Books::of(&site),
            site,
            replicas: Vec::new(),
            started: 0,
        };
        for _ in 0..replicas {
            fleet.start_another().await;
        }
        fill(&fleet.replicas[0].operator(), &fleet.replicas[0].owner()).await;
        fleet
    }

    async fn start_another(&mut self) {
        self.started += 1;
        let replica = self.site.start(self.started).await;
        self.replicas.push(replica);
    }

    fn owner(&self, replica: usize) -> Caller {
        self.replicas[replica].owner()
    }

    fn operator(&self, replica: usize) -> Caller {
        self.replicas[replica].operator()
    }

    /// One person's callers, each of another replica.
    fn everywhere(&self, person: &Person) -> Vec<Caller> {
        self.replicas
            .iter()
            .map(|replica| replica.caller(person))
            .collect()
    }

    async fn has_uploaded(&self, app: Uuid, country: &str, package: &[u8]) {
        let path = versions_path(app, country);
        let uploaded = self.owner(0).post(&path, &upload_body(package)).await;
        uploaded.unwrap().expect(200);
    }

    async fn has_reported(&self, environment: &Environment) {
        let report = environment.report("1.0.0.0", "West Europe");
        let reported = self.operator(0).put(&environment.path(), &report).await;
        reported.unwrap().expect(201);
    }

    /// Waits until no operation waits or runs; all operations then, as [`OPERATIONS`] has them.
    async fn until_all_have_ended(&self) -> Vec<Vec<String>> {
        eventually("all operations have ended", async || {
            let operations = self.books.rows(OPERATIONS).await;
            let is_open = |row: &Vec<String>| matches!(row[1].as_str(), "Scheduled" | "Running");
            (!operations.iter().any(is_open)).then_some(operations)
        })
        .await
    }
}

/// Id, status, environment, app, earliest start, start and reason of every operation.
const OPERATIONS: &str =
    "SELECT id, status, environment_id, app_id, run_after, started_on, reason FROM operations ORDER BY id";

fn versions_path(app: Uuid, country: &str) -> String {
    format!("/v1.4/apps/{app}/countries/{country}/versions")
}

fn hotfixes_path(app: Uuid, country: &str) -> String {
    format!("/v1.4/apps/{app}/countries/{country}/environmentHotfixes")
}

fn upload_body(package: &[u8]) -> Value {
    json!({ "initialAvailability": "Available", "packageContents": STANDARD.encode(package) })
}

/// The statuses of several answers, in order.
fn statuses(answers: &[Answer]) -> Vec<u16> {
    let mut statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    statuses
}

/// A window that is closed for many hours to come.
fn closed_window() -> Value {
    let hour = server::clock::wall_seconds() / 3_600 % 24;
    let start = (hour + 8) % 24;
    json!({ "start": format!("{start:02}:00"), "end": format!("{:02}:00", (start + 6) % 24), "timeZone": "UTC" })
}
