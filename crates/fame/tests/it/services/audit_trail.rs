//! The history that the service wrote, replayed: it must be one that can happen, and lead to what is there.

use super::{Row, plain_id};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// One change, as the audit tells it.
struct Event {
    /// Milliseconds since 1970 at which the row was made, under the lock of what it is about.
    at: u64,
    action: String,
    /// The last part of the address: an operation's id, an environment's name.
    about: String,
    after: Value,
}

/// The audit, oldest first.
pub(crate) struct AuditTrail {
    events: Vec<Event>,
    requests: BTreeSet<String>,
}

/// What happened to one operation.
#[derive(Debug, Default)]
struct Life {
    starts: usize,
    ends: usize,
    cancels: usize,
}

impl AuditTrail {
    /// Rows are named by version 7 GUIDs, made while the environment is locked: their order is that of events.
    pub(crate) const QUERY: &str =
        "SELECT id, action, target, after_state, correlation_id FROM audit ORDER BY id";

    pub(crate) fn read(rows: &[Row]) -> Self {
        let mut events: Vec<_> = rows.iter().map(Event::read).collect();
        // Two processes may write within one millisecond, in any order of ids; but work that begins then was waiting
        // for what ended.
        events.sort_by_key(|event| (event.at, event.action == "operations/start"));
        Self {
            events,
            requests: rows.iter().map(|row| row[4].clone()).collect(),
        }
    }

    /// Whether a request left a row.
    pub(crate) fn has_request(&self, correlation_id: &str) -> bool {
        self.requests.contains(&plain_id(correlation_id))
    }

    /// Every operation was started at most once and ended at most once, one at a time in each environment, and never
    /// while the outcome of another there is unknown. `operations` are id, status, environment, app, earliest start,
    /// start and reason.
    pub(crate) fn check_operations(&self, operations: &[Row]) -> Vec<String> {
        let mut wrong = self.check_lives(operations);
        wrong.extend(check_slots(operations));
        wrong.extend(self.check_turns(operations));
        for row in operations.iter().filter(|row| !row[5].is_empty()) {
            let [run_after, started_on] = [&row[4], &row[5]].map(|text| text.parse::<i64>().unwrap());
            if started_on < run_after {
                wrong.push(format!("the operation {} started before its time", row[0]));
            }
        }
        wrong
    }

    fn check_lives(&self, operations: &[Row]) -> Vec<String> {
        let mut lives: BTreeMap<&str, Life> = BTreeMap::new();
        for event in &self.events {
            let life = lives.entry(event.about.as_str()).or_default();
            match event.action.as_str() {
                "operations/start" => life.starts += 1,
                "operations/end" => life.ends += 1,
                "environmentHotfixes/cancel" => life.cancels += 1,
                _ => {}
            }
        }
        let mut wrong = Vec::new();
        for row in operations {
            let life = lives.remove(row[0].as_str()).unwrap_or_default();
            let expected = match row[1].as_str() {
                "Scheduled" => (0, 0, 0),
                "Running" => (1, 0, 0),
                "Succeeded" | "Failed" => (1, 1, 0),
                "Skipped" => (0, 1, 0),
                _ => (0, 0, 1),
            };
            if (life.starts, life.ends, life.cancels) != expected {
                let history = self.history_of(&row[0]);
                wrong.push(format!(
                    "the operation {} is {} after {life:?}:\n  {history}",
                    row[0], row[1]
                ));
            }
        }
        wrong
    }

    /// In each environment one operation runs at a time.
    fn check_turns(&self, operations: &[Row]) -> Vec<String> {
        let environment_of: BTreeMap<_, _> = operations
            .iter()
            .map(|row| (row[0].as_str(), row[2].as_str()))
            .collect();
        let mut running: BTreeMap<&str, &str> = BTreeMap::new();
        let mut wrong = Vec::new();
        for event in &self.events {
            let Some(environment) = environment_of.get(event.about.as_str()) else {
                continue;
            };
            match event.action.as_str() {
                "operations/start" => {
                    if let Some(other) = running.insert(environment, &event.about) {
                        wrong.push(format!(
                            "the operation {} started in {environment} while {other} ran:\n  {}\n  {}",
                            event.about,
                            self.history_of(other),
                            self.history_of(&event.about)
                        ));
                    }
                }
                "operations/end" if running.get(environment) == Some(&event.about.as_str()) => {
                    running.remove(environment);
                }
                _ => {}
            }
        }
        wrong
    }

    /// What is installed is what the last report or the last success says. `installed` are environment's name, app and
    /// version.
    pub(crate) fn check_installed(&self, installed: &[Row]) -> Vec<String> {
        let mut known: BTreeMap<(String, String), Vec<(u64, String)>> = BTreeMap::new();
        let mut targets: BTreeMap<&str, (String, String, String)> = BTreeMap::new();
        for event in &self.events {
            match event.action.as_str() {
                "environments/write" => {
                    for app in event.after["apps"].as_array().unwrap() {
                        let key = (event.about.clone(), plain_id(text(&app["id"])));
                        let versions = known.entry(key).or_default();
                        versions.push((event.at, text(&app["version"]).to_owned()));
                    }
                }
                "environmentHotfixes/write" => {
                    let environment = text(&event.after["environmentName"]).to_lowercase();
                    let target = text(&event.after["targetAppVersion"]).to_owned();
                    targets.insert(&event.about, (environment, event.app(), target));
                }
                "operations/end" if event.after["status"] == "Succeeded" => {
                    let (environment, app, target) = targets[event.about.as_str()].clone();
                    let versions = known.entry((environment, app)).or_default();
                    versions.push((event.at, target));
                }
                _ => {}
            }
        }
        let mut wrong = Vec::new();
        for row in installed {
            let key = (row[0].to_lowercase(), row[1].clone());
            let versions = &known[&key];
            let last = versions.last().unwrap().0;
            if !versions
                .iter()
                .any(|(at, version)| *at == last && *version == row[2])
            {
                wrong.push(format!("{row:?} is installed after {versions:?}"));
            }
        }
        wrong
    }

    fn history_of(&self, about: &str) -> String {
        let events = self.events.iter().filter(|event| event.about == about);
        let lines: Vec<_> = events
            .map(|event| format!("{} {} {}", event.at, event.action, event.after))
            .collect();
        lines.join("\n  ")
    }
}

impl Event {
    fn read(row: &Row) -> Self {
        let [id, action, target, after, _] = row.as_slice() else {
            panic!("an audit row has other columns: {row:?}");
        };
        let about = target.rsplit('/').next().unwrap_or_default();
        let mut after: Value = serde_json::from_str(after).unwrap_or_default();
        if action == "environmentHotfixes/write" {
            after["appId"] = target.split('/').nth(1).unwrap_or_default().into();
        }
        Self {
            at: Uuid::try_parse(id).unwrap().as_u64_pair().0 >> 16,
            action: action.clone(),
            about: plain_id(about).to_lowercase(),
            after,
        }
    }

    /// The app that a scheduled hotfix is of.
    fn app(&self) -> String {
        plain_id(text(&self.after["appId"]))
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// At most one operation waits or runs for an app in an environment.
fn check_slots(operations: &[Row]) -> Vec<String> {
    let mut holders: BTreeMap<(&str, &str), &str> = BTreeMap::new();
    let mut wrong = Vec::new();
    for row in operations
        .iter()
        .filter(|row| matches!(row[1].as_str(), "Scheduled" | "Running"))
    {
        if let Some(other) = holders.insert((&row[2], &row[3]), &row[0]) {
            wrong.push(format!("{other} and {} hold the same slot", row[0]));
        }
    }
    wrong
}
