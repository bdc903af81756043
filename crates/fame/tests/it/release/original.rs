//! A service in memory that has what the documents of the original say, and nothing of what only ours has: no digests, no
//! keys, no plans, no properties for those who ask for them. Hotfixes succeed at once.

use crate::service::{Answer, Asked, Service};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    process::Command,
    sync::{Arc, Mutex},
};
use uuid::Uuid;

const TENANT: &str = "ccccdddd-2222-eeee-3333-ffff4444aaaa";

/// A version, by app and country.
#[derive(Clone)]
struct Stored {
    bytes: Vec<u8>,
    availability: String,
}

type Versions = BTreeMap<(String, String), Stored>;

struct State {
    versions: Versions,
    hotfixes: Vec<Value>,
    /// What becomes of hotfixes.
    outcome: &'static str,
}

/// The service.
pub(super) struct Original {
    service: Service,
    state: Arc<Mutex<State>>,
}

impl Original {
    pub(super) async fn start() -> Self {
        Self::whose_hotfixes_are("Succeeded").await
    }

    /// One that shows all hotfixes with that status.
    pub(super) async fn whose_hotfixes_are(outcome: &'static str) -> Self {
        let state = Arc::new(Mutex::new(State {
            versions: Versions::default(),
            hotfixes: Vec::new(),
            outcome,
        }));
        let kept = state.clone();
        let service = Service::start(move |asked, _| kept.lock().unwrap().answer(asked)).await;
        Self { service, state }
    }

    pub(super) fn command(&self, args: &[&str]) -> Command {
        self.service.command(args)
    }

    pub(super) fn lines(&self) -> Vec<String> {
        self.service.lines()
    }

    /// How many requests there were that change something.
    pub(super) fn changes(&self) -> usize {
        let only_asks = |line: &str| {
            ["/getMyPermissions", "/getPackageContents"]
                .iter()
                .any(|end| line.ends_with(end))
        };
        let is_change =
            |line: &&String| !only_asks(line) && !line.starts_with("GET") && !line.starts_with("HEAD");
        self.lines().iter().filter(is_change).count()
    }

    pub(super) fn holds_other_bytes(&self, app: Uuid, country: &str) {
        let mut state = self.state.lock().unwrap();
        let stored = state.versions.get_mut(&(app.to_string(), country.to_owned()));
        stored.unwrap().bytes.push(0);
    }
}

impl State {
    fn answer(&mut self, asked: &Asked) -> Answer {
        assert_eq!(
            asked.header("idempotency-key").is_empty(),
            !asked.path.ends_with("/environmentHotfixes") || asked.method != "POST"
        );
        if asked.query.contains("%24select") || asked.query.contains("$select") {
            return Answer::refusal(400, "InvalidInput", "The query option $select is not known.");
        }
        let path: Vec<&str> = asked.path.trim_start_matches("/v1.4/apps/").split('/').collect();
        let key = |country: &str| (path[0].to_owned(), country.to_owned());
        match (asked.method.as_str(), &path[1..]) {
            ("POST", ["getMyPermissions"]) => list(&[
                json!({"action": "versions/write"}),
                json!({"action": "environmentHotfixes/write"}),
            ]),
            ("GET", ["countries"]) => list(&[json!({"countryCode": "US"}), json!({"countryCode": "DE"})]),
            ("POST", ["countries", country, "versions"]) => self.upload(key(country), asked),
            ("GET", ["countries", country, "versions", number]) => self.shown(&key(country), number),
            ("PATCH", ["countries", country, "versions", number]) => {
                let availability = asked.json()["availability"].as_str().unwrap().to_owned();
                self.versions.get_mut(&key(country)).unwrap().availability = availability;
                self.shown(&key(country), number)
            }
            ("POST", ["countries", country, "versions", "1.0.1.0", "getPackageContents"]) => {
                Answer::bytes(200, self.versions[&key(country)].bytes.clone())
            }
            ("GET", ["countries", country, "environments"]) => list(&[self.environment(path[0], country)]),
            ("GET", ["countries", country, "environmentHotfixes"]) => {
                let of_place = |row: &&Value| row["appId"] == path[0] && row["countryCode"] == *country;
                list(&self.hotfixes.iter().filter(of_place).cloned().collect::<Vec<_>>())
            }
            ("GET", ["countries", _, "environmentHotfixes", id]) => {
                let found = self.hotfixes.iter().find(|row| row["id"] == *id);
                match found {
                    Some(row) => Answer::json(200, row.clone()),
                    None => Answer::refusal(404, "ResourceDoesNotExist", "There is no such hotfix."),
                }
            }
            ("POST", ["countries", country, "environmentHotfixes"]) => self.schedule(path[0], country, asked),
            _ => Answer::refusal(404, "ResourceDoesNotExist", "There is no such address."),
        }
    }

    fn upload(&mut self, key: (String, String), asked: &Asked) -> Answer {
        let body = asked.json();
        assert_eq!(body["initialAvailability"], "Preview");
        let bytes = STANDARD
            .decode(body["packageContents"].as_str().unwrap())
            .unwrap();
        let stored = Stored {
            bytes,
            availability: "Preview".to_owned(),
        };
        assert!(
            self.versions.insert(key.clone(), stored).is_none(),
            "uploaded twice"
        );
        self.shown(&key, "1.0.1.0")
    }

    fn shown(&self, key: &(String, String), number: &str) -> Answer {
        match self.versions.get(key).filter(|_| number == "1.0.1.0") {
            None => Answer::refusal(404, "ResourceDoesNotExist", "There is no such version."),
            Some(stored) => Answer::json(
                200,
                json!({"version": number, "appId": key.0, "countryCode": key.1, "status": "Uploaded",
                       "availability": stored.availability}),
            ),
        }
    }

    fn environment(&self, app: &str, country: &str) -> Value {
        let is_here = |row: &&Value| row["appId"] == app && row["countryCode"] == country;
        let version = match self.hotfixes.iter().find(is_here) {
            Some(row) if row["status"] == "Succeeded" => "1.0.1.0",
            _ => "1.0.0.0",
        };
        json!({"aadTenantId": TENANT, "applicationFamily": "Business Central", "name": format!("customer-{country}"),
               "type": "Production", "appId": app, "countryCode": country, "version": version})
    }

    fn schedule(&mut self, app: &str, country: &str, asked: &Asked) -> Answer {
        let asked = asked.json();
        let is_taken = self
            .hotfixes
            .iter()
            .any(|row| row["appId"] == app && row["countryCode"] == country);
        assert!(!is_taken, "scheduled twice");
        let row = json!({
            "id": Uuid::new_v4(), "appId": app, "countryCode": country, "status": self.outcome, "errorMessage": "The table holds rows.",
            "environmentAadTenantId": asked["environmentAadTenantId"],
            "environmentApplicationFamily": asked["environmentApplicationFamily"],
            "environmentName": asked["environmentName"], "targetAppVersion": asked["targetAppVersion"],
        });
        self.hotfixes.push(row.clone());
        Answer::json(200, row)
    }
}

fn list(rows: &[Value]) -> Answer {
    Answer::json(200, json!({ "value": rows }))
}
