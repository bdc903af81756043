//! `fame events`, and the feed of the real service, killed again and again: whoever comes back hears each thing once.

use crate::{
    service::{APP, Answer, Service},
    services::{APPS, Database, Environment, Process, Site, eventually, fill, package},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// A stream that ends.
fn stream(messages: &[(u64, &str)]) -> Answer {
    let mut text = "retry: 2000\nid: 4\n\n:\n\n".to_owned();
    for (position, kind) in messages {
        let event =
            json!({ "type": kind, "timestamp": "2026-03-05T12:00:00Z", "data": { "version": "16.0.1.2" } });
        text.push_str(&format!("id: {position}\ndata: {event}\n\n"));
    }
    Answer::bytes(200, text).with("content-type", "text/event-stream")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_happened_is_printed_line_by_line() {
    let service = Service::start(|_, _| stream(&[(5, "version.uploaded"), (8, "version.offered")])).await;
    let ended = service.fame(&["events", APP]).await;
    assert_eq!(ended.code, 0, "{}", ended.err);
    assert_eq!(
        ended.out,
        "2026-03-05T12:00:00Z  version.uploaded  16.0.1.2\n2026-03-05T12:00:00Z  version.offered  16.0.1.2\n"
    );
    assert!(ended.err.contains("--from 8"), "{}", ended.err);
    let asked = &service.journal()[0];
    assert_eq!(asked.path, format!("/v1.4/apps/{APP}/events"));
    assert_eq!(asked.query, "from=kept&follow=false");
    let json = service
        .fame(&["events", "operator", "--from", "7", "--json"])
        .await;
    let lines: Vec<Value> = json
        .out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(
        (&lines[0]["position"], &lines[1]["type"]),
        (&json!(5), &json!("version.offered"))
    );
    let asked = &service.journal()[1];
    assert_eq!(
        (asked.path.as_str(), asked.query.as_str()),
        ("/operator/v1/events", "from=7&follow=false")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_ends_goes_on_behind_what_was_heard() {
    let service = Service::start(|_, number| match number {
        0 => stream(&[(5, "version.uploaded")]),
        1 => stream(&[(6, "version.offered")]),
        _ => Answer::refusal(410, "EventsGone", "Events behind 6 are not kept any more."),
    })
    .await;
    let ended = service.fame(&["events", APP, "--follow"]).await;
    assert_eq!(ended.code, 5, "{}", ended.err);
    assert_eq!(ended.out.lines().count(), 2, "{}", ended.out);
    assert!(ended.err.contains("Events behind 6"), "{}", ended.err);
    let queries: Vec<_> = service
        .journal()
        .iter()
        .map(|asked| asked.query.clone())
        .collect();
    assert_eq!(queries, ["from=now", "from=5", "from=6"]);
}

/// Hotfixes that are scheduled, and how many between two kills.
const HOTFIXES: usize = 12;
const BETWEEN: usize = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_missing_from_the_feed_whenever_the_service_is_killed_on_sqlite() {
    nothing_is_missing_from_the_feed_whenever_the_service_is_killed(Database::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_missing_from_the_feed_whenever_the_service_is_killed_on_postgres() {
    nothing_is_missing_from_the_feed_whenever_the_service_is_killed(Database::Postgres).await;
}

async fn nothing_is_missing_from_the_feed_whenever_the_service_is_killed(database: Database) {
    let site = Site::on(database);
    let mut service = site.start(0).await;
    let (operator, owner) = (service.operator(), service.owner());
    fill(&operator, &owner).await;
    let path = format!("/v1.4/apps/{}/countries/US/versions", APPS[0]);
    let contents = STANDARD.encode(package(APPS[0], 1));
    let body = json!({ "initialAvailability": "Available", "packageContents": contents });
    owner.post(&path, &body).await.unwrap().expect(200);

    let (mut from, mut heard) = ("kept".to_owned(), Vec::new());
    let mut scheduled = BTreeSet::new();
    for number in 0..HOTFIXES {
        scheduled.insert(schedules(&service, number).await);
        if number % BETWEEN == BETWEEN - 1 {
            listens(&service, &mut from, &mut heard).await;
            service.kill().await;
            service = site.start(0).await;
        }
    }
    eventually("all is heard", async || {
        listens(&service, &mut from, &mut heard).await;
        (heard.len() >= HOTFIXES).then_some(())
    })
    .await;
    let once: BTreeSet<_> = heard.iter().cloned().collect();
    assert_eq!(once, scheduled);
    assert_eq!(heard.len(), HOTFIXES, "something was heard twice");
}

/// Listens to what there is behind what was heard before.
async fn listens(service: &Process, from: &mut String, heard: &mut Vec<String>) {
    let path = format!("/v1.4/apps/{}/events?follow=false&from={from}", APPS[0]);
    let told = service.owner().get(&path).await.unwrap().expect(200);
    for line in String::from_utf8(told.body.to_vec()).unwrap().lines() {
        match line.split_once(": ") {
            Some(("id", position)) => position.clone_into(from),
            Some(("data", data)) => {
                let event: Value = serde_json::from_str(data).unwrap();
                if event["type"] == "hotfix.scheduled" {
                    heard.push(event["data"]["id"].as_str().unwrap().to_owned());
                }
            }
            _ => {}
        }
    }
}

/// The id of a hotfix that was scheduled in an environment of its own.
async fn schedules(service: &Process, number: usize) -> String {
    let environment = Environment::new(format!("Environment{number}"), "US");
    let report = environment.report("1.0.0.0", "mark");
    let registered = service.operator().put(&environment.path(), &report).await;
    registered.unwrap().expect(201);
    let path = format!("/v1.4/apps/{}/countries/US/environmentHotfixes", APPS[0]);
    let hotfix = environment.hotfix("1.0.1.0");
    let scheduled = service.owner().post(&path, &hotfix).await.unwrap().expect(200);
    scheduled.property("id")
}
