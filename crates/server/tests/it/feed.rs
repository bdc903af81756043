//! The feed: who hears what, in which order, and what becomes of it when a connection, a role or the service goes.

use crate::harness::{
    APP, Answer, Backend, Caller, Environment, Harness, LIBRARY, Person, Replicas, Request,
    agent_registration, on_both_databases, package_of, publisher_with,
};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::timeout;

on_both_databases!(
    what_happens_to_an_app_is_told_as_it_happens,
    ids_versions_and_states_are_told_and_nothing_that_anybody_wrote,
    who_comes_back_after_a_crash_hears_what_they_missed_once,
    what_is_not_kept_any_more_is_said_to_be_gone,
    who_loses_their_role_hears_nothing_more,
    each_hears_what_their_role_lets_them_read,
    streams_have_a_limit,
    a_planned_stop_ends_streams,
    what_happens_at_one_server_is_told_at_another,
    a_beginning_is_understood_or_refused,
    more_than_is_read_at_once_comes_in_order,
);

/// How long anything may take that comes about by itself.
const PATIENCE: Duration = Duration::from_secs(20);
const TARGET: &str = "16.0.1.2";
/// Principals that the app of the samples has.
const PRINCIPALS: usize = 5;

/// Somebody who listens.
struct Ear {
    response: reqwest::Response,
    /// What was heard and not looked at.
    text: String,
    /// The id of the last message.
    last: String,
}

impl Ear {
    async fn open(request: Request) -> Self {
        let response = request.opens().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["cache-control"], "no-store");
        assert!(!response.headers().contains_key("content-encoding"));
        Self {
            response,
            text: String::new(),
            last: String::new(),
        }
    }

    /// The next event; nothing where the stream has ended.
    async fn next(&mut self) -> Option<Value> {
        timeout(PATIENCE, async {
            loop {
                while let Some((message, rest)) = self.text.split_once("\n\n") {
                    let (message, rest) = (message.to_owned(), rest.to_owned());
                    self.text = rest;
                    if let Some(told) = self.understand(&message) {
                        return Some(told);
                    }
                }
                let chunk = self.response.chunk().await.ok()??;
                self.text.push_str(std::str::from_utf8(&chunk).unwrap());
            }
        })
        .await
        .unwrap()
    }

    fn understand(&mut self, message: &str) -> Option<Value> {
        let mut told = None;
        for line in message.lines() {
            match line.split_once(": ") {
                Some(("id", id)) => {
                    let (before, now): (u64, u64) = (self.last.parse().unwrap_or(0), id.parse().unwrap());
                    assert!(before <= now, "{before} came before {now}");
                    id.clone_into(&mut self.last);
                }
                Some(("data", data)) => told = Some(serde_json::from_str(data).unwrap()),
                Some(("retry", _)) => {}
                None if line == ":" => {}
                _ => panic!("{line}"),
            }
        }
        told
    }

    /// The next event, which must be of this type. That agents come, who carry out what is due, is no part of what is told here.
    async fn hears(&mut self, kind: &str) -> Value {
        loop {
            let told = self.next().await.unwrap();
            if !told["type"].as_str().unwrap().starts_with("agent.") {
                assert_eq!(told["type"], kind, "{told}");
                return told;
            }
        }
    }

    /// All that is still to come, by its types.
    async fn rest(mut self) -> Vec<String> {
        let mut kinds = Vec::new();
        while let Some(told) = self.next().await {
            kinds.push(told["type"].as_str().unwrap().to_owned());
        }
        kinds
    }
}

fn events(caller: &Caller, query: &str) -> Request {
    caller.get(format!("{}/events{query}", caller.app_path()))
}

/// Listens once so much of what went before is in line, which is no part of what is heard then.
async fn listens_behind(caller: &Caller, before: usize) -> Ear {
    let settled = timeout(PATIENCE, async { while all(caller).await.len() < before {} });
    settled.await.unwrap();
    Ear::open(events(caller, "")).await
}

/// Listens to an app that nothing has happened to but that its principals were added.
async fn listens(caller: &Caller) -> Ear {
    listens_behind(caller, PRINCIPALS).await
}

/// What the app's caller is told when all of it is asked for, by its types.
async fn all(caller: &Caller) -> Vec<String> {
    Ear::open(events(caller, "?from=kept&follow=false"))
        .await
        .rest()
        .await
}

async fn what_happens_to_an_app_is_told_as_it_happens(backend: Backend) {
    let service = Harness::start(backend).await;
    let (owner, operator) = (service.owner(), service.operator());
    let environment = Environment::my_customer("16.0.0.5");
    operator.reports(&environment).await.expect(201);
    let mut heard = vec![listens(&service.reader()).await];
    heard.push(Ear::open(operator.get("/operator/v1/events")).await);
    let package = package_of(APP, TARGET);
    owner.uploads(&package, "Preview").await.expect(200);
    let available = json!({ "availability": "Available" });
    owner.changes_version(TARGET, available).await.expect(200);
    let synced = json!({ "syncMode": "ForceSync" });
    owner.changes_version(TARGET, synced).await.expect(200);
    owner.grants(&Person::STRANGER, &["Reader"]).await.expect(200);
    owner
        .grants(&Person::STRANGER, &["Contributor"])
        .await
        .expect(200);
    owner.removes(&Person::STRANGER).await.expect(204);
    let hotfix = owner.schedules_at_once(&environment, TARGET).await.expect(200);
    service.finishes_work().await;
    for ear in &mut heard {
        let told = ear.hears("version.uploaded").await;
        assert_eq!(told["data"]["version"], TARGET, "{told}");
        assert_eq!(told["data"]["availability"], "Preview", "{told}");
        assert_eq!(told["data"]["sha256"].as_str().unwrap().len(), 64, "{told}");
        let told = ear.hears("version.offered").await;
        assert_eq!(told["data"]["availabilityBefore"], "Preview", "{told}");
        assert_eq!(told["data"]["availability"], "Available", "{told}");
        let told = ear.hears("version.changed").await;
        assert_eq!(told["data"]["syncMode"], "ForceSync", "{told}");
        let told = ear.hears("principal.added").await;
        assert_eq!(told["data"]["id"], Person::STRANGER.id.to_string(), "{told}");
        assert_eq!(told["data"]["roles"], "Reader", "{told}");
        let told = ear.hears("principal.changed").await;
        assert_eq!(told["data"]["rolesBefore"], "Reader", "{told}");
        assert_eq!(told["data"]["roles"], "Contributor", "{told}");
        let told = ear.hears("principal.removed").await;
        assert_eq!(told["data"].get("roles"), None, "{told}");
        for step in ["scheduled", "started", "succeeded"] {
            let told = ear.hears(&format!("hotfix.{step}")).await;
            assert_eq!(told["data"]["id"], hotfix.property("id"), "{told}");
            assert_eq!(told["data"]["appId"], APP.to_string(), "{told}");
        }
    }
}

async fn ids_versions_and_states_are_told_and_nothing_that_anybody_wrote(backend: Backend) {
    let service = Harness::start(backend).await;
    let owner = service.owner();
    owner.has_uploaded(TARGET).await;
    let environment = Environment::named("Fabrikam production").has(APP, "16.0.0.5");
    service.operator().reports(&environment).await.expect(201);
    let mut ear = listens_behind(&service.reader(), PRINCIPALS + 1).await;
    let hotfix = owner.schedules_at_once(&environment, TARGET).await.expect(200);
    let mut told = ear.hears("hotfix.scheduled").await;
    let data = told["data"].as_object_mut().unwrap();
    let run_after = data.remove("runAfter").unwrap();
    assert!(run_after.is_string());
    told["id"] = json!("its own");
    assert_eq!(
        told,
        json!({
            "id": "its own",
            "type": "hotfix.scheduled",
            "timestamp": "2020-03-05T12:00:00.0000000Z",
            "data": {
                "id": hotfix.property("id"),
                "appId": APP,
                "aadTenantId": environment.tenant,
                "applicationFamily": environment.family,
                "environmentType": "Production",
                "countryCode": "US",
                "sourceVersion": "16.0.0.5",
                "targetVersion": TARGET,
                "by": { "type": "Application", "id": Person::OWNER.id },
            },
        })
    );
}

async fn who_comes_back_after_a_crash_hears_what_they_missed_once(backend: Backend) {
    let service = Harness::start(backend).await;
    let mut ear = listens(&service.reader()).await;
    service.owner().has_uploaded("1.0.0.0").await;
    let first = ear.hears("version.uploaded").await;
    assert_eq!(first["data"]["version"], "1.0.0.0");
    let last = ear.last.clone();
    service.owner().has_uploaded("1.0.0.1").await;
    let service = service.crash().await.start().await;
    service.owner().has_uploaded("1.0.0.2").await;

    let mut again = Ear::open(events(&service.reader(), "?from=now").header("last-event-id", &last)).await;
    service.owner().has_uploaded("1.0.0.3").await;
    for version in ["1.0.0.1", "1.0.0.2", "1.0.0.3"] {
        let told = again.hears("version.uploaded").await;
        assert_eq!(told["data"]["version"], version);
    }
    let behind = format!("?from={}&follow=false", again.last);
    assert!(
        Ear::open(events(&service.reader(), &behind))
            .await
            .rest()
            .await
            .is_empty()
    );
}

async fn what_is_not_kept_any_more_is_said_to_be_gone(backend: Backend) {
    let service = Harness::start(backend).await;
    let (owner, reader) = (service.owner(), service.reader());
    let mut ear = listens(&reader).await;
    owner.has_uploaded("1.0.0.0").await;
    ear.hears("version.uploaded").await;
    let early = ear.last.clone();
    owner.has_uploaded("1.0.0.1").await;
    ear.hears("version.uploaded").await;
    let last = ear.last.clone();
    let behind = |position: &str| events(&reader, &format!("?from={position}&follow=false"));
    behind(&early).await.expect(200);

    service.advances(Duration::from_secs(25 * 3_600)).await;
    // Whoever is told in order may have yet to say that they were.
    let gone = timeout(PATIENCE, async {
        loop {
            service.catches_up().await;
            let answer = behind(&early).await;
            if answer.status == 410 && answer.message().contains(&format!("those behind {last}")) {
                return answer;
            }
        }
    });
    gone.await.unwrap().refused(410, "EventsGone");
    assert!(all(&reader).await.is_empty());
    behind(&last).await.expect(200);
    let ahead = behind("999999").await.refused(410, "EventsGone");
    assert!(
        ahead.message().contains(&format!("the last is {last}")),
        "{ahead:?}"
    );
}

async fn who_loses_their_role_hears_nothing_more(backend: Backend) {
    let service = Harness::start(backend).await;
    let owner = service.owner();
    let (mut reader, mut witness) = (listens(&service.reader()).await, listens(&owner).await);
    owner.has_uploaded("1.0.0.0").await;
    reader.hears("version.uploaded").await;
    owner.removes(&Person::READER).await.expect(204);
    owner.has_uploaded("1.0.0.1").await;
    assert_eq!(reader.next().await, None);
    witness.hears("version.uploaded").await;
    witness.hears("principal.removed").await;
    witness.hears("version.uploaded").await;
    events(&service.reader(), "").await.expect(404);
}

async fn each_hears_what_their_role_lets_them_read(backend: Backend) {
    let service = Harness::with(backend).publishing().start().await;
    service.has_app(LIBRARY).await;
    let (owner, operator) = (service.owner(), service.operator());
    let publisher = format!(
        "{}/trustedPublishers/{}",
        owner.app_path(),
        uuid::Uuid::from_u128(1)
    );
    let narrow = json!({ "may": ["upload"] });
    owner.put(&publisher, publisher_with(narrow)).await.expect(201);
    let wide = json!({ "may": ["upload", "availability"] });
    owner.put(&publisher, publisher_with(wide)).await.expect(200);
    let registered = operator.registers_agent("beside", agent_registration()).await;
    service.enrols(&registered.property("enrolmentCode")).await;
    owner
        .on(LIBRARY)
        .grants(&Person::STRANGER, &["Reader"])
        .await
        .expect(200);
    owner.has_uploaded(TARGET).await;

    listens_behind(&service.reader(), PRINCIPALS + 1).await;
    let has = |kinds: &[String], kind: &str| kinds.iter().any(|told| told == kind);
    let reader = all(&service.reader()).await;
    assert!(
        has(&reader, "version.uploaded") && has(&reader, "principal.added"),
        "{reader:?}"
    );
    assert!(
        !has(&reader, "publisher.widened") && !has(&reader, "agent.enrolled"),
        "{reader:?}"
    );
    let heard = all(&owner).await;
    assert!(
        has(&heard, "publisher.widened") && !has(&heard, "agent.enrolled"),
        "{heard:?}"
    );
    let to_library = all(&owner.on(LIBRARY)).await;
    assert!(!has(&to_library, "version.uploaded"), "{to_library:?}");
    let everything = operator.get("/operator/v1/events?from=kept&follow=false");
    let everything = Ear::open(everything).await.rest().await;
    for kind in ["agent.enrolled", "publisher.widened", "version.uploaded"] {
        assert!(has(&everything, kind), "{everything:?}");
    }
    assert!(
        everything.len() >= heard.len() + to_library.len(),
        "{everything:?}"
    );
}

async fn streams_have_a_limit(backend: Backend) {
    let service = Harness::with(backend)
        .setting("feed.streams", "2")
        .setting("feed.streams_per_principal", "1")
        .start()
        .await;
    let first = listens(&service.reader()).await;
    let refused = events(&service.reader(), "")
        .await
        .refused(429, "TooManyRequests");
    assert_eq!(refused.header("retry-after"), "30");
    let _second = listens(&service.owner()).await;
    events(&service.contributor(), "")
        .await
        .refused(503, "ServiceUnavailable");
    // Other requests of theirs go on.
    service
        .reader()
        .get(service.reader().app_path())
        .await
        .expect(200);
    drop(first);
    let free = timeout(PATIENCE, async {
        while events(&service.contributor(), "?follow=false").await.status != 200 {}
    });
    free.await.unwrap();
}

async fn a_planned_stop_ends_streams(backend: Backend) {
    let service = Harness::start(backend).await;
    let mut ear = listens(&service.reader()).await;
    service.drains().await;
    assert_eq!(ear.next().await, None);
    events(&service.reader(), "")
        .await
        .refused(503, "ServiceUnavailable");
}

async fn what_happens_at_one_server_is_told_at_another(backend: Backend) {
    let service = Replicas::open(Harness::with(backend)).await;
    let mut ear = listens(&service.at(1).reader()).await;
    for version in ["1.0.0.0", "1.0.0.1"] {
        service.at(0).owner().has_uploaded(version).await;
        let told = ear.hears("version.uploaded").await;
        assert_eq!(told["data"]["version"], version);
    }
    service.close().await;
}

async fn a_beginning_is_understood_or_refused(backend: Backend) {
    let service = Harness::start(backend).await;
    let reader = service.reader();
    for query in ["?from=yesterday", "?from=-1", "?follow=maybe"] {
        events(&reader, query).await.refused(400, "InvalidInput");
        events(&service.stranger(), query).await.expect(404);
    }
    let mut ear = listens(&reader).await;
    service.owner().has_uploaded("1.0.0.0").await;
    ear.hears("version.uploaded").await;
    let accepts = |what: &str| events(&reader, "?from=kept&follow=false").header("accept", what);
    accepts("text/event-stream").await.expect(200);
    accepts("image/png").await.refused(406, "NotAcceptable");
    let spelled = reader.get(format!("/V1.4/Apps({APP})/Events?from=kept&follow=false"));
    let told = |answer: Answer| -> Vec<String> {
        let text = answer.text();
        assert!(text.starts_with("retry: "), "{text}");
        let data = text.lines().filter(|line| line.starts_with("data: "));
        data.map(str::to_owned).collect()
    };
    let (spelled, usual) = (
        told(spelled.await.expect(200)),
        told(accepts("*/*").await.expect(200)),
    );
    // More may have happened meanwhile.
    assert!(
        !spelled.is_empty() && usual.starts_with(&spelled),
        "{spelled:?} {usual:?}"
    );
}

async fn more_than_is_read_at_once_comes_in_order(backend: Backend) {
    let service = Harness::start(backend).await;
    let (owner, reader) = (service.owner(), service.reader());
    let mut ear = listens(&reader).await;
    let before = all(&reader).await.len();
    owner.grants(&Person::STRANGER, &["Reader"]).await.expect(200);
    for _ in 0..60 {
        for role in ["Contributor", "Reader"] {
            owner.grants(&Person::STRANGER, &[role]).await.expect(200);
        }
    }
    ear.hears("principal.added").await;
    for _ in 0..60 {
        for role in ["Contributor", "Reader"] {
            assert_eq!(ear.hears("principal.changed").await["data"]["roles"], role);
        }
    }
    assert_eq!(all(&reader).await.len(), before + 121);
}
