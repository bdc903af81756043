//! Webhooks: who is told of what, in which order, how often, and who must never be.

use crate::harness::{
    APP, Answer, Backend, CUSTOMER, Caller, Environment, Harness, LIBRARY, OTHER_CUSTOMER, Person,
    on_both_databases,
};
use axum::{Router, body::Bytes, extract::State, response::IntoResponse};
use http::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};
use std::{
    collections::VecDeque,
    fs::{self, Permissions},
    io::Read as _,
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};
use store::Db;
use tokio::{net::TcpListener, sync::watch, time::timeout};
use uuid::Uuid;

on_both_databases!(
    each_step_is_told_once_in_order_and_signed,
    what_is_skipped_is_told_too,
    a_receiver_that_was_down_is_told_when_it_is_back,
    what_a_crash_left_is_told_afterwards,
    of_two_secrets_the_former_is_good_for_a_day,
    who_takes_nothing_for_days_is_told_nothing_any_more_and_the_others_hear_of_it,
    who_is_gone_is_told_nothing_any_more,
    a_host_that_was_none_before_is_heard_of_by_the_others,
    nobody_listens_while_others_are_made_deaf,
    what_was_told_is_told_again_under_the_same_id,
    webhooks_are_tested_ten_times_an_hour,
    only_owners_see_webhooks_and_nobody_sees_secrets,
    operators_stop_webhooks_and_let_them_go_on,
    what_is_no_address_of_the_internet_is_refused,
    without_its_key_the_service_does_not_start,
    an_operator_is_told_of_one_tenant,
    application_insights_gets_what_business_central_sends_it,
    a_collector_gets_the_same_as_log_records,
    a_collectors_header_goes_to_nobody_else,
    the_format_stays_as_it_is,
    the_host_stays_what_it_is,
    webhooks_are_changed_so_often_in_an_hour,
    a_rotation_that_is_asked_for_twice_happens_once,
    an_app_has_ten_webhooks,
);

/// How long anything may take that comes about by itself.
const PATIENCE: Duration = Duration::from_secs(20);

/// Something that was told.
#[derive(Clone)]
struct Told {
    headers: HeaderMap,
    body: Bytes,
}

impl Told {
    fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }

    fn json(&self) -> Value {
        match self.headers.get("content-encoding") {
            None => serde_json::from_slice(&self.body).unwrap(),
            Some(_) => {
                let mut text = String::new();
                let mut decoder = flate2::read::GzDecoder::new(&*self.body);
                decoder.read_to_string(&mut text).unwrap();
                serde_json::from_str(&text).unwrap()
            }
        }
    }

    fn kind(&self) -> String {
        let told = self.json();
        told["type"].as_str().unwrap_or("several things").to_owned()
    }

    fn is_signed_with(&self, secret: &str) -> bool {
        let verifier = standardwebhooks::Webhook::new(secret).unwrap();
        verifier.verify(&self.body, &self.headers).is_ok()
    }
}

/// Somebody who is told, and answers as they are asked to.
#[derive(Clone)]
struct Receiver {
    url: String,
    told: watch::Sender<Vec<Told>>,
    /// What is answered next; the last for ever.
    answers: Arc<Mutex<VecDeque<(u16, &'static str)>>>,
}

impl Receiver {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let receiver = Self {
            url: format!("http://{}/", listener.local_addr().unwrap()),
            told: watch::Sender::new(Vec::new()),
            answers: Arc::default(),
        };
        let router = Router::new().fallback(Self::take).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        receiver
    }

    async fn take(State(receiver): State<Self>, headers: HeaderMap, body: Bytes) -> impl IntoResponse {
        let (status, answer) = {
            let mut answers = receiver.answers.lock().unwrap();
            let next = answers.front().copied().unwrap_or((204, ""));
            if answers.len() > 1 {
                answers.pop_front();
            }
            next
        };
        receiver
            .told
            .send_modify(|told| told.push(Told { headers, body }));
        (StatusCode::from_u16(status).unwrap(), answer)
    }

    fn answers(&self, answers: &[u16]) {
        let answers = answers.iter().map(|status| (*status, ""));
        *self.answers.lock().unwrap() = answers.collect();
    }

    /// All that was told once there are so many.
    async fn hears(&self, count: usize) -> Vec<Told> {
        let mut told = self.told.subscribe();
        let enough = timeout(PATIENCE, told.wait_for(|told| told.len() >= count)).await;
        match enough {
            Ok(told) => told.unwrap().clone(),
            Err(_) => panic!("it heard {:?}", self.kinds()),
        }
    }

    fn so_far(&self) -> Vec<Told> {
        self.told.borrow().clone()
    }

    fn kinds(&self) -> Vec<String> {
        self.so_far().iter().map(Told::kind).collect()
    }
}

/// A webhook of the app.
struct Hook {
    path: String,
    id: Uuid,
    secret: String,
}

async fn adds(owner: &Caller, body: Value) -> Hook {
    adds_below(owner, &format!("{}/webhooks", owner.app_path()), body).await
}

async fn adds_below(caller: &Caller, path: &str, body: Value) -> Hook {
    let id = Uuid::new_v4();
    let path = format!("{path}/{id}");
    let added = caller.put(&path, body).await.expect(201);
    assert_eq!(added.header("cache-control"), "no-store");
    let secret = added.json()["secret"].as_str().unwrap_or_default().to_owned();
    Hook { path, id, secret }
}

/// A webhook that is told of hotfixes.
async fn listens(owner: &Caller, receiver: &Receiver) -> Hook {
    adds(owner, json!({ "url": receiver.url, "events": ["hotfix.*"] })).await
}

/// Whoever is added from now on is not told of who was added before.
async fn its_host_is_no_news_any_more(service: &Harness) {
    service.advances(Duration::from_secs(1)).await;
}

async fn does(caller: &Caller, hook: &Hook, what: &str) -> Answer {
    caller.asks(Method::POST, format!("{}/{what}", hook.path)).await
}

async fn deliveries(caller: &Caller, hook: &Hook) -> Vec<Value> {
    let path = format!("{}/deliveries?$orderby=occurredOn", hook.path);
    caller.get(path).await.expect(200).rows()
}

/// Waits until what the log says of all deliveries is so.
async fn until_all(service: &Harness, caller: &Caller, hook: &Hook, status: &str) {
    service
        .until(&format!("all are {status}"), async || {
            let rows = deliveries(caller, hook).await;
            !rows.is_empty() && rows.iter().all(|row| row["status"] == status)
        })
        .await;
}

async fn schedules(service: &Harness, name: &str) -> Answer {
    let environment = Environment::named(name).has(APP, "1.0.0.0");
    service.operator().reports(&environment).await.expect(201);
    service
        .owner()
        .schedules_at_once(&environment, "1.0.0.1")
        .await
        .expect(200)
}

async fn with_a_version(backend: Backend) -> Harness {
    let service = Harness::start(backend).await;
    service.owner().has_uploaded("1.0.0.1").await;
    service
}

async fn each_step_is_told_once_in_order_and_signed(backend: Backend) {
    let service = with_a_version(backend).await;
    let (receiver, events) = (Receiver::new().await, Receiver::new().await);
    let hook = listens(&service.owner(), &receiver).await;
    its_host_is_no_news_any_more(&service).await;
    let cloud = json!({ "url": events.url, "events": ["hotfix.*"], "format": "CloudEvents" });
    let cloud = adds(&service.owner(), cloud).await;
    let hotfix = schedules(&service, "Fabrikam production").await;
    service.finishes_work().await;
    let told = receiver.hears(3).await;
    assert_eq!(
        receiver.kinds(),
        ["hotfix.scheduled", "hotfix.started", "hotfix.succeeded"]
    );
    for told in &told {
        assert!(told.is_signed_with(&hook.secret) && !told.is_signed_with(&cloud.secret));
        assert_eq!(told.header("content-type"), "application/json");
        let text = String::from_utf8(told.body.to_vec()).unwrap();
        assert!(
            !text.contains("Fabrikam") && !text.contains("ExampleApp"),
            "{text}"
        );
    }
    let last = told.last().unwrap().json();
    assert_eq!(last["data"]["id"], hotfix.property("id"));
    assert_eq!(last["data"]["targetVersion"], "1.0.0.1");
    let told = events.hears(3).await;
    assert!(told.iter().all(|told| told.is_signed_with(&cloud.secret)));
    let first = told[0].json();
    assert_eq!(first["type"], "fame.hotfix.scheduled");
    assert_eq!(first["id"], told[0].header("webhook-id"));
    assert_eq!(
        told[0].header("content-type"),
        "application/cloudevents+json; charset=UTF-8"
    );
    let sequences: Vec<_> = told
        .iter()
        .map(|told| told.json()["sequence"].to_string())
        .collect();
    assert!(sequences.is_sorted());
    until_all(&service, &service.owner(), &hook, "Delivered").await;
    let log = deliveries(&service.owner(), &hook).await;
    assert_eq!(log.len(), 3);
    assert!(
        log.iter()
            .all(|row| row["attempts"] == 1 && row["lastStatus"] == 204)
    );
}

async fn what_is_skipped_is_told_too(backend: Backend) {
    let service = with_a_version(backend).await;
    let receiver = Receiver::new().await;
    listens(&service.owner(), &receiver).await;
    its_host_is_no_news_any_more(&service).await;
    let hotfix = schedules(&service, "Fabrikam production").await;
    let updated = Environment::named("Fabrikam production").has(APP, "1.0.0.1");
    service.operator().reports(&updated).await.expect(200);
    service.finishes_work().await;
    let ended = service.owner().looks_at(&hotfix).await;
    assert_eq!(ended.property("status"), "Skipped");
    let told = receiver.hears(2).await;
    assert_eq!(receiver.kinds(), ["hotfix.scheduled", "hotfix.skipped"]);
    let last = told.last().unwrap().json();
    assert_eq!(last["data"]["id"], hotfix.property("id"));
}

async fn a_receiver_that_was_down_is_told_when_it_is_back(backend: Backend) {
    let service = with_a_version(backend).await;
    let receiver = Receiver::new().await;
    receiver.answers(&[500, 503, 204]);
    let hook = listens(&service.owner(), &receiver).await;
    schedules(&service, "One").await;
    receiver.hears(1).await;
    service.finishes_work().await;
    // Nothing of the operation goes before its first step.
    let row = || async { deliveries(&service.owner(), &hook).await[0].clone() };
    service
        .until("it is to be tried again", async || row().await["attempts"] == 1)
        .await;
    assert_eq!(row().await["lastResult"], "Status");
    service.advances(Duration::from_secs(10)).await;
    receiver.hears(2).await;
    service
        .until("it was tried again", async || row().await["attempts"] == 2)
        .await;
    service.advances(Duration::from_mins(7)).await;
    let told = receiver.hears(5).await;
    let kinds = ["scheduled", "scheduled", "scheduled", "started", "succeeded"];
    assert_eq!(receiver.kinds(), kinds.map(|kind| format!("hotfix.{kind}")));
    let ids: Vec<_> = told[..3].iter().map(|told| told.header("webhook-id")).collect();
    assert!(ids[0] == ids[1] && ids[1] == ids[2]);
    until_all(&service, &service.owner(), &hook, "Delivered").await;
}

async fn what_a_crash_left_is_told_afterwards(backend: Backend) {
    let service = with_a_version(backend).await;
    let receiver = Receiver::new().await;
    receiver.answers(&[500]);
    let hook = listens(&service.owner(), &receiver).await;
    schedules(&service, "One").await;
    receiver.hears(1).await;
    let left = service.crash().await;
    receiver.answers(&[204]);
    let before = receiver.so_far().len();
    let service = left.start().await;
    service.advances(Duration::from_mins(10)).await;
    service.finishes_work().await;
    receiver.hears(before + 3).await;
    until_all(&service, &service.owner(), &hook, "Delivered").await;
    let ids: std::collections::BTreeSet<_> = receiver
        .so_far()
        .iter()
        .map(|told| told.header("webhook-id").to_owned())
        .collect();
    assert_eq!(ids.len(), 3);
}

async fn of_two_secrets_the_former_is_good_for_a_day(backend: Backend) {
    let service = Harness::start(backend).await;
    let (owner, receiver) = (service.owner(), Receiver::new().await);
    let hook = listens(&owner, &receiver).await;
    let rotated = does(&owner, &hook, "rotate").await.expect(200);
    assert_eq!(rotated.header("cache-control"), "no-store");
    let new = rotated.property("secret");
    assert_ne!(new, hook.secret);
    does(&owner, &hook, "test").await.expect(200);
    let told = receiver.hears(1).await;
    assert!(told[0].is_signed_with(&new) && told[0].is_signed_with(&hook.secret));
    service.advances(Duration::from_hours(25)).await;
    does(&owner, &hook, "test").await.expect(200);
    let told = receiver.hears(2).await;
    assert!(told[1].is_signed_with(&new) && !told[1].is_signed_with(&hook.secret));
    // What is changed otherwise leaves the secret, and no answer shows it.
    let seen = owner
        .put(&hook.path, json!({ "url": receiver.url }))
        .await
        .expect(200);
    assert!(seen.json().get("secret").is_none());
    does(&owner, &hook, "test").await.expect(200);
    assert!(receiver.hears(3).await[2].is_signed_with(&new));
}

async fn who_takes_nothing_for_days_is_told_nothing_any_more_and_the_others_hear_of_it(backend: Backend) {
    let service = with_a_version(backend).await;
    let (owner, deaf, other) = (service.owner(), Receiver::new().await, Receiver::new().await);
    deaf.answers(&[500]);
    let hook = listens(&owner, &deaf).await;
    its_host_is_no_news_any_more(&service).await;
    adds(&owner, json!({ "url": other.url, "events": ["hotfix.failed"] })).await;
    let waiting = Environment::named("One").has(APP, "1.0.0.0");
    service.operator().reports(&waiting).await.expect(201);
    owner.schedules(&waiting, "1.0.0.1").await.expect(200);
    let minutes = [1, 6, 36, 144, 360, 720, 1_008, 1_440, 1_728, 1];
    for (before, minutes) in minutes.into_iter().enumerate() {
        service
            .until("it was tried", async || {
                let first = deliveries(&owner, &hook).await.into_iter().next();
                first.is_some_and(|row| row["attempts"].as_u64() > Some(before as u64))
            })
            .await;
        service.advances(Duration::from_mins(minutes)).await;
    }
    let seen = || async { owner.get(&hook.path).await.expect(200).json() };
    service
        .until("it is disabled", async || {
            seen().await["disabledReason"] == "Failing"
        })
        .await;
    assert!(seen().await["enabled"] == false && deaf.so_far().len() >= 10);
    let heard = other.hears(1).await;
    let notice = heard
        .iter()
        .map(Told::json)
        .find(|told| told["type"] == "webhook.disabled")
        .unwrap();
    assert_eq!(notice["data"]["id"], hook.id.to_string());
    assert_eq!(notice["data"]["reason"], "Failing");
    does(&owner, &hook, "test").await.broke_rule("WebhookDisabled");
    // Whoever enables it again and replays what failed is told it.
    deaf.answers(&[204]);
    let again = json!({ "url": deaf.url, "events": ["hotfix.*"] });
    owner.put(&hook.path, again).await.expect(200);
    let failed = deliveries(&owner, &hook).await;
    let failed = failed.iter().find(|row| row["status"] == "Failed").unwrap();
    let replay = format!("deliveries/{}/replay", failed["eventId"].as_str().unwrap());
    does(&owner, &hook, &replay).await.expect(200);
    until_all(&service, &owner, &hook, "Delivered").await;
    // Enabled again, it has all its attempts once more for what still waits.
    deaf.answers(&[500]);
    let body = |enabled: bool| json!({ "url": deaf.url, "events": ["hotfix.*"], "enabled": enabled });
    owner.put(&hook.path, body(false)).await.expect(200);
    let db: Db = store::open(&service.settings().database).await.unwrap();
    let waits = "UPDATE webhook_deliveries SET status = 'Waiting', attempts = 9, first_on = 0, next_on = 0";
    db.write((), move |mut tx, ()| {
        Box::pin(async move { tx.query(waits).execute().await.map(drop) })
    })
    .await
    .unwrap();
    owner.put(&hook.path, body(true)).await.expect(200);
    service
        .until("it was tried once more", async || {
            deliveries(&owner, &hook).await[0]["attempts"].as_u64() == Some(1)
        })
        .await;
    assert_eq!(deliveries(&owner, &hook).await[0]["status"], "Waiting");
    assert_eq!(seen().await["enabled"], true);
}

async fn who_is_gone_is_told_nothing_any_more(backend: Backend) {
    let service = Harness::start(backend).await;
    let (owner, receiver) = (service.owner(), Receiver::new().await);
    receiver.answers(&[410]);
    let hook = listens(&owner, &receiver).await;
    does(&owner, &hook, "test").await.expect(200);
    let seen = || async { owner.get(&hook.path).await.expect(200).json() };
    service
        .until("it is disabled", async || {
            seen().await["disabledReason"] == "Gone"
        })
        .await;
    let audit = service
        .operator()
        .get("/operator/v1/audit")
        .await
        .expect(200)
        .rows();
    let disabled = audit
        .iter()
        .find(|row| row["action"] == "webhooks/disable")
        .unwrap();
    assert_eq!(disabled["actor"]["type"], "Service");
}

async fn a_host_that_was_none_before_is_heard_of_by_the_others(backend: Backend) {
    let service = Harness::start(backend).await;
    let (owner, first) = (service.owner(), Receiver::new().await);
    adds(&owner, json!({ "url": first.url, "events": ["hotfix.failed"] })).await;
    let ear = json!({ "url": first.url.replace("127.0.0.1", "127.0.0.2"), "events": ["hotfix.*"] });
    let hook = adds(&owner, ear).await;
    let heard = first.hears(1).await[0].json();
    assert_eq!(
        (&heard["type"], &heard["data"]["host"]),
        (&json!("webhook.newHost"), &json!("127.0.0.2"))
    );
    assert_eq!(heard["data"]["id"], hook.id.to_string());
    assert_eq!(heard["data"]["by"]["id"], Person::OWNER.id.to_string());
    // The same host once more is no news.
    let same = adds(&owner, json!({ "url": first.url, "events": ["hotfix.failed"] })).await;
    does(&owner, &same, "test").await.expect(200);
    first.hears(2).await;
    assert_eq!(first.kinds(), ["webhook.newHost", "webhook.test"]);
}

async fn nobody_listens_while_others_are_made_deaf(backend: Backend) {
    let service = Harness::start(backend).await;
    let (owner, victim, witness) = (service.owner(), Receiver::new().await, Receiver::new().await);
    let hook = listens(&owner, &victim).await;
    its_host_is_no_news_any_more(&service).await;
    adds(&owner, json!({ "url": witness.url, "events": ["hotfix.failed"] })).await;
    let body = |enabled: bool| json!({ "url": victim.url, "events": ["hotfix.*"], "enabled": enabled });
    owner.put(&hook.path, body(false)).await.expect(200);
    assert_eq!(witness.hears(1).await[0].json()["data"]["reason"], "Asked");
    let ear = json!({ "url": witness.url.replace("127.0.0.1", "127.0.0.2"), "events": ["hotfix.*"] });
    adds(&owner, ear).await;
    assert_eq!(witness.hears(2).await[1].kind(), "webhook.newHost");
    assert!(victim.so_far().is_empty());
    owner.put(&hook.path, body(true)).await.expect(200);
    assert_eq!(victim.hears(1).await[0].json()["data"]["host"], "127.0.0.2");
    owner.delete(&hook.path).await.expect(204);
    let removed = witness.hears(3).await[2].json();
    assert_eq!(removed["type"], "webhook.disabled");
    assert_eq!(removed["data"]["id"], hook.id.to_string());
}

async fn what_was_told_is_told_again_under_the_same_id(backend: Backend) {
    let service = Harness::start(backend).await;
    let (owner, receiver) = (service.owner(), Receiver::new().await);
    let hook = listens(&owner, &receiver).await;
    let event = does(&owner, &hook, "test").await.expect(200).property("eventId");
    receiver.hears(1).await;
    until_all(&service, &owner, &hook, "Delivered").await;
    let replayed = does(&owner, &hook, &format!("deliveries/{event}/replay"))
        .await
        .expect(200);
    assert_eq!(replayed.property("status"), "Waiting");
    let told = receiver.hears(2).await;
    assert_eq!(told[0].header("webhook-id"), event);
    assert_eq!(told[1].header("webhook-id"), event);
    assert_eq!(told[0].body, told[1].body);
    let unknown = format!("deliveries/{}/replay", Uuid::new_v4());
    does(&owner, &hook, &unknown)
        .await
        .refused(404, "ResourceDoesNotExist");
}

async fn webhooks_are_tested_ten_times_an_hour(backend: Backend) {
    let service = Harness::start(backend).await;
    let (owner, receiver) = (service.owner(), Receiver::new().await);
    let (one, two) = (listens(&owner, &receiver).await, listens(&owner, &receiver).await);
    for hook in [&one, &two].iter().cycle().take(10) {
        does(&owner, hook, "test").await.expect(200);
    }
    does(&owner, &one, "test").await.refused(429, "TooManyRequests");
    // Those of a webhook that is gone count as well.
    owner.delete(&two.path).await.expect(204);
    let two = listens(&owner, &receiver).await;
    does(&owner, &two, "test").await.refused(429, "TooManyRequests");
    service.advances(Duration::from_mins(61)).await;
    let event = does(&owner, &one, "test").await.expect(200).property("eventId");
    // What was told is told again sixty times an hour.
    let replay = format!("deliveries/{event}/replay");
    for _ in 0..60 {
        until_all(&service, &owner, &one, "Delivered").await;
        does(&owner, &one, &replay).await.expect(200);
    }
    until_all(&service, &owner, &one, "Delivered").await;
    does(&owner, &one, &replay).await.refused(429, "TooManyRequests");
}

async fn only_owners_see_webhooks_and_nobody_sees_secrets(backend: Backend) {
    let service = Harness::start(backend).await;
    service.has_app(LIBRARY).await;
    let (owner, receiver) = (service.owner(), Receiver::new().await);
    receiver
        .answers
        .lock()
        .unwrap()
        .push_back((500, "an internal banner"));
    let hook = listens(&owner, &receiver).await;
    does(&owner, &hook, "test").await.expect(200);
    receiver.hears(1).await;
    service
        .until("it was tried", async || {
            deliveries(&owner, &hook).await[0]["attempts"] == 1
        })
        .await;
    let log = format!("{}/deliveries", hook.path);
    let list = format!("{}/webhooks", owner.app_path());
    for path in [&list, &hook.path, &log] {
        service.reader().get(path).await.refused(403, "Forbidden");
        service.contributor().get(path).await.refused(403, "Forbidden");
        service
            .stranger()
            .get(path)
            .await
            .refused(404, "ResourceDoesNotExist");
        let text = owner.get(path).await.expect(200).text();
        assert!(!text.contains("whsec_") && !text.contains("banner"), "{text}");
    }
    // It is not there for whoever owns another app, and none of that app's.
    let elsewhere = hook.path.replace(&APP.to_string(), &LIBRARY.to_string());
    owner.get(&elsewhere).await.refused(404, "ResourceDoesNotExist");
    owner
        .delete(&elsewhere)
        .await
        .refused(404, "ResourceDoesNotExist");
    let taken = owner.put(&elsewhere, json!({ "url": receiver.url })).await;
    taken.refused(404, "ResourceDoesNotExist");
    let secret = hook.secret.trim_start_matches("whsec_").to_owned();
    let stored = everything_stored(&service).await;
    assert!(stored.contains(&hook.id.simple().to_string()[..8]) || stored.contains("v1."));
    assert!(!stored.contains(&secret) && !stored.contains("whsec_"));
}

/// All that the tables of webhooks, events and the audit hold, as text.
async fn everything_stored(service: &Harness) -> String {
    let db: Db = store::open(&service.settings().database).await.unwrap();
    let mut all = String::new();
    for sql in [
        "SELECT secret, url FROM webhooks",
        "SELECT COALESCE(former_secret, ''), created_by FROM webhooks",
        "SELECT body, kind FROM webhook_deliveries",
        "SELECT payload, kind FROM events",
        "SELECT COALESCE(t.before_state, ''), COALESCE(t.after_state, '') FROM audit t",
    ] {
        for (one, two) in db.query(sql).fetch_all::<(String, String)>().await.unwrap() {
            all.push_str(&one);
            all.push_str(&two);
        }
    }
    all
}

async fn operators_stop_webhooks_and_let_them_go_on(backend: Backend) {
    let service = Harness::start(backend).await;
    let (owner, operator, receiver) = (service.owner(), service.operator(), Receiver::new().await);
    let hook = listens(&owner, &receiver).await;
    its_host_is_no_news_any_more(&service).await;
    let own = adds_below(
        &operator,
        "/operator/v1/webhooks",
        json!({ "url": receiver.url, "events": ["agent.*"] }),
    )
    .await;
    for (number, subject) in ["webhooks".to_owned(), format!("webhooks:{APP}")]
        .iter()
        .enumerate()
    {
        let path = format!("/operator/v1/freezes/{subject}");
        operator
            .put(&path, json!({ "reason": "They flood somebody." }))
            .await
            .expect(201);
        does(&owner, &hook, "test").await.expect(200);
        if number == 1 {
            // Others go on.
            does(&operator, &own, "test").await.expect(200);
            receiver.hears(2).await;
        }
        assert_eq!(deliveries(&owner, &hook).await.last().unwrap()["attempts"], 0);
        operator.delete(&path).await.expect(204);
        receiver.hears(1 + 2 * number).await;
    }
    let all = operator.get("/operator/v1/webhooks").await.expect(200);
    assert_eq!(all.rows().len(), 2);
    assert!(all.column("url").iter().all(|url| *url == receiver.url));
    // Whoever's it is.
    let any = format!("/operator/v1/webhooks/{}", hook.id);
    let stopped = json!({ "url": receiver.url, "enabled": false });
    assert_eq!(
        operator
            .put(&any, stopped)
            .await
            .expect(200)
            .property("disabledReason"),
        "Asked"
    );
    operator.delete(&any).await.expect(204);
    owner.get(&hook.path).await.refused(404, "ResourceDoesNotExist");
}

async fn what_is_no_address_of_the_internet_is_refused(backend: Backend) {
    let service = Harness::with(backend)
        .setting("destinations.allow_loopback", "false")
        .start()
        .await;
    let owner = service.owner();
    for url in [
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://10.0.0.7/",
        "https://169.254.169.254/latest",
        "https://168.63.129.16/",
        "https://[64:ff9b::a9fe:a9fe]/",
        "https://localhost/",
        "http://8.8.8.8/",
        "https://8.8.8.8:22/",
        "ftp://8.8.8.8/",
    ] {
        let path = format!("{}/webhooks/{}", owner.app_path(), Uuid::new_v4());
        let refused = owner.put(path, json!({ "url": url })).await;
        assert_eq!(refused.broke_rule("AddressRefused").target(), "url", "{url}");
    }
    // What a name stands for is told to operators, and nobody else hears even whether it stands for anything.
    let asked = async |caller: &Caller, list: &str, host: &str| {
        let path = format!("{list}/{}", Uuid::new_v4());
        let refused = caller
            .put(path, json!({ "url": format!("https://{host}/") }))
            .await;
        refused
            .broke_rule("AddressRefused")
            .message()
            .replace(host, "HOST")
    };
    let (list, operator) = (format!("{}/webhooks", owner.app_path()), service.operator());
    let here = asked(&owner, &list, "localhost").await;
    assert!(here.contains("HOST"), "{here}");
    assert_eq!(here, asked(&owner, &list, "nobody.invalid").await);
    let all = asked(&operator, "/operator/v1/webhooks", "localhost").await;
    assert!(all.contains("127.0.0.1") || all.contains("::1"), "{all}");
    assert_eq!(
        owner
            .get(format!("{}/webhooks", owner.app_path()))
            .await
            .expect(200)
            .rows()
            .len(),
        0
    );
}

/// Another key.
fn other_key(folder: &Path) -> String {
    let file = folder.join("other.key");
    fs::write(&file, [8; 32]).unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    file.to_string_lossy().into_owned()
}

async fn without_its_key_the_service_does_not_start(backend: Backend) {
    let service = Harness::start(backend).await;
    let (owner, receiver) = (service.owner(), Receiver::new().await);
    let hook = listens(&owner, &receiver).await;
    let stopped = service.crash().await;
    let (first, other) = (stopped.folder().join("secret.key"), other_key(stopped.folder()));
    let first = first.to_string_lossy().into_owned();
    for keys in [Vec::new(), vec![other.clone().into()]] {
        let mut settings = stopped.settings();
        settings.secrets.keys = keys;
        let started = server::Server::start(settings, server::clock::Clock::system()).await;
        let message = started.err().unwrap().to_string();
        assert!(message.contains("secrets.keys"), "{message}");
    }
    // Once everything is sealed under the new key, the old one can go.
    let mut settings = stopped.settings();
    settings.secrets.keys = vec![other.clone().into(), first.into()];
    let rotated = server::rotate_secrets(&settings, false).await.unwrap();
    assert_eq!((rotated.anew, rotated.forgotten), (1, 0));
    assert_eq!(
        server::rotate_secrets(&settings, true).await.unwrap(),
        server::Resealed::default()
    );
    let service = stopped.with("secrets.keys", &other).start().await;
    does(&service.owner(), &hook, "test").await.expect(200);
    assert!(receiver.hears(1).await[0].is_signed_with(&hook.secret));
    // What nobody can read any more goes where that is meant, and nowhere else.
    let stopped = service.crash().await;
    let mut settings = stopped.settings();
    settings.secrets.keys = vec![stopped.folder().join("secret.key")];
    let refused = server::rotate_secrets(&settings, false).await;
    assert!(refused.is_err());
    let forgotten = server::rotate_secrets(&settings, true).await.unwrap();
    assert_eq!((forgotten.anew, forgotten.forgotten), (0, 1));
    let keys = stopped.folder().join("secret.key");
    let service = stopped
        .with("secrets.keys", &keys.to_string_lossy())
        .start()
        .await;
    service
        .owner()
        .get(&hook.path)
        .await
        .refused(404, "ResourceDoesNotExist");
}

async fn an_operator_is_told_of_one_tenant(backend: Backend) {
    let service = with_a_version(backend).await;
    let (operator, receiver) = (service.operator(), Receiver::new().await);
    let body = json!({ "url": receiver.url, "events": ["hotfix.scheduled"], "aadTenantId": OTHER_CUSTOMER });
    adds_below(&operator, "/operator/v1/webhooks", body).await;
    for (name, tenant) in [("One", CUSTOMER), ("Two", OTHER_CUSTOMER)] {
        let environment = Environment::named(name).of(tenant).has(APP, "1.0.0.0");
        operator.reports(&environment).await.expect(201);
        service
            .owner()
            .schedules(&environment, "1.0.0.1")
            .await
            .expect(200);
    }
    let told = receiver.hears(1).await;
    assert_eq!(told[0].json()["data"]["aadTenantId"], OTHER_CUSTOMER.to_string());
    assert_eq!(receiver.kinds().len(), 1);
}

async fn application_insights_gets_what_business_central_sends_it(backend: Backend) {
    let service = with_a_version(backend).await;
    let (owner, ingestion) = (service.owner(), Receiver::new().await);
    *ingestion.answers.lock().unwrap() = [
        (429, ""),
        (206, r#"{"itemsReceived":1,"itemsAccepted":0,"errors":[{"index":0,"statusCode":500,"message":"busy"}]}"#),
        (200, r#"{"itemsReceived":1,"itemsAccepted":1,"errors":[]}"#),
    ]
    .into();
    let key = Uuid::new_v4().to_string();
    let connection = format!("InstrumentationKey={key};IngestionEndpoint={}", ingestion.url);
    let body = json!({ "format": "ApplicationInsights", "connectionString": connection });
    let hook = adds(&owner, body).await;
    assert_eq!(hook.secret, "");
    schedules(&service, "Production").await;
    service.finishes_work().await;
    for count in 1..=2 {
        ingestion.hears(count).await;
        service
            .until("it was tried", async || {
                deliveries(&owner, &hook).await[0]["attempts"].as_u64() >= Some(count as u64)
            })
            .await;
        service.advances(Duration::from_mins(10)).await;
    }
    let told = ingestion.hears(5).await;
    let ids: Vec<Vec<_>> = told
        .iter()
        .map(|told| {
            let items = told.json();
            let items = items.as_array().unwrap().clone();
            for item in &items {
                assert_eq!(item["iKey"], key);
                assert!(item["data"]["baseData"]["properties"]["fameEventId"].is_string());
            }
            items
                .iter()
                .map(|item| {
                    item["data"]["baseData"]["properties"]["eventId"]
                        .as_str()
                        .unwrap()
                        .to_owned()
                })
                .collect()
        })
        .collect();
    assert_eq!(ids[..3], [["LC0155"], ["LC0155"], ["LC0155"]]);
    assert_eq!(ids[3..], [["LC0158", "LC0169"], ["LC0159", "LC0170"]]);
    assert!(!everything_stored(&service).await.contains(&key));
    does(&owner, &hook, "rotate").await.refused(400, "BadArgument");
}

async fn a_collector_gets_the_same_as_log_records(backend: Backend) {
    let service = with_a_version(backend).await;
    let (owner, collector) = (service.owner(), Receiver::new().await);
    collector.answers(&[503, 200]);
    let key = Uuid::new_v4().to_string();
    let body =
        json!({ "format": "OpenTelemetry", "url": collector.url, "header": format!("api-key: {key}") });
    let hook = adds(&owner, body).await;
    assert_eq!(hook.secret, "");
    schedules(&service, "Production").await;
    service.finishes_work().await;
    collector.hears(1).await;
    service
        .until("it was tried", async || {
            deliveries(&owner, &hook).await[0]["attempts"].as_u64() == Some(1)
        })
        .await;
    service.advances(Duration::from_mins(10)).await;
    let ids: Vec<Vec<_>> = collector
        .hears(4)
        .await
        .iter()
        .map(|told| {
            assert_eq!(told.headers["api-key"], key);
            assert!(!told.headers.contains_key("webhook-signature"));
            let body = told.json();
            let records = body.pointer("/resourceLogs/0/scopeLogs/0/logRecords").unwrap();
            let records = records.as_array().unwrap().iter();
            records.map(|record| attribute(record, "eventId")).collect()
        })
        .collect();
    assert_eq!(ids[..2], [["LC0155"], ["LC0155"]]);
    assert_eq!(ids[2..], [["LC0158", "LC0169"], ["LC0159", "LC0170"]]);
    assert!(!everything_stored(&service).await.contains(&key));
    assert!(!owner.get(&hook.path).await.expect(200).text().contains(&key));
    does(&owner, &hook, "rotate").await.refused(400, "BadArgument");
}

/// An attribute of a log record.
fn attribute(record: &Value, name: &str) -> String {
    let attributes = record["attributes"].as_array().unwrap();
    let found = attributes
        .iter()
        .find(|attribute| attribute["key"] == name)
        .unwrap();
    found["value"]["stringValue"].as_str().unwrap().to_owned()
}

async fn a_collectors_header_goes_to_nobody_else(backend: Backend) {
    let service = Harness::start(backend).await;
    let (owner, collector, other) = (service.owner(), Receiver::new().await, Receiver::new().await);
    let wrong = json!({ "format": "OpenTelemetry", "url": collector.url, "header": "Host: contoso.com" });
    let path = format!("{}/webhooks/{}", owner.app_path(), Uuid::new_v4());
    let refused = owner.put(path.clone(), wrong).await.refused(400, "InvalidInput");
    assert_eq!(refused.target(), "header");
    let signed = json!({ "url": collector.url, "header": "api-key: k" });
    owner.put(path, signed).await.refused(400, "BadArgument");

    let body = json!({ "format": "OpenTelemetry", "url": collector.url, "header": "api-key: k" });
    let hook = adds(&owner, body).await;
    let mut hears_it = Vec::new();
    // Another port is another address, though not another host.
    for (receiver, heard) in [(&collector, 1), (&other, 1), (&collector, 2)] {
        let body = json!({ "format": "OpenTelemetry", "url": receiver.url, "events": ["hotfix.*"] });
        owner.put(&hook.path, body).await.expect(200);
        does(&owner, &hook, "test").await.expect(200);
        let told = receiver.hears(heard).await;
        hears_it.push(told.last().unwrap().headers.contains_key("api-key"));
    }
    assert_eq!(hears_it, [true, false, false]);
}

async fn the_format_stays_as_it_is(backend: Backend) {
    let service = Harness::start(backend).await;
    let (owner, receiver) = (service.owner(), Receiver::new().await);
    let hook = listens(&owner, &receiver).await;
    let connection = format!("InstrumentationKey=key;IngestionEndpoint={}", receiver.url);
    for changed in [
        json!({ "url": receiver.url, "format": "CloudEvents" }),
        json!({ "connectionString": connection, "format": "ApplicationInsights" }),
    ] {
        let refused = owner.put(&hook.path, changed).await;
        assert_eq!(refused.broke_rule("FormatCannotChange").target(), "format");
    }
    assert_eq!(
        owner.get(&hook.path).await.expect(200).property("format"),
        "StandardWebhooks"
    );
    let telemetry = json!({ "connectionString": connection, "format": "ApplicationInsights" });
    let hook = adds(&owner, telemetry).await;
    let refused = owner.put(&hook.path, json!({ "url": receiver.url })).await;
    refused.broke_rule("FormatCannotChange");
}

async fn the_host_stays_what_it_is(backend: Backend) {
    let service = Harness::start(backend).await;
    let (owner, receiver) = (service.owner(), Receiver::new().await);
    let hook = listens(&owner, &receiver).await;
    let elsewhere = json!({ "url": receiver.url.replace("127.0.0.1", "127.0.0.2") });
    let refused = owner.put(&hook.path, elsewhere).await;
    assert_eq!(refused.broke_rule("HostCannotChange").target(), "url");
    let beside = format!("{}beside", receiver.url);
    owner.put(&hook.path, json!({ "url": beside })).await.expect(200);
    let key = "InstrumentationKey=key;IngestionEndpoint";
    let telemetry =
        |url: &str| json!({ "format": "ApplicationInsights", "connectionString": format!("{key}={url}") });
    let hook = adds(&owner, telemetry(&receiver.url)).await;
    let elsewhere = telemetry(&receiver.url.replace("127.0.0.1", "127.0.0.2"));
    owner
        .put(&hook.path, elsewhere)
        .await
        .broke_rule("HostCannotChange");
}

async fn webhooks_are_changed_so_often_in_an_hour(backend: Backend) {
    let service = Harness::start(backend).await;
    let (owner, receiver) = (service.owner(), Receiver::new().await);
    let hook = listens(&owner, &receiver).await;
    let change = || owner.put(&hook.path, json!({ "url": receiver.url }));
    for _ in 1..120 {
        change().await.expect(200);
    }
    change().await.refused(429, "TooManyRequests");
    service.advances(Duration::from_mins(61)).await;
    change().await.expect(200);
}

async fn a_rotation_that_is_asked_for_twice_happens_once(backend: Backend) {
    let service = Harness::start(backend).await;
    let (owner, receiver) = (service.owner(), Receiver::new().await);
    let hook = listens(&owner, &receiver).await;
    let rotate = || {
        let asked = owner.asks(Method::POST, format!("{}/rotate", hook.path));
        asked.header("idempotency-key", "nightly-7")
    };
    let first = rotate().await.expect(200);
    let second = rotate().await.expect(200);
    assert!(first.json()["secret"].is_string());
    assert_eq!(second.json()["secret"], Value::Null);
    assert_eq!(first.json()["_etag"], second.json()["_etag"]);
}

async fn an_app_has_ten_webhooks(backend: Backend) {
    let service = Harness::start(backend).await;
    let owner = service.owner();
    for _ in 0..10 {
        adds(&owner, json!({ "url": "http://127.0.0.1:9/" })).await;
    }
    let path = format!("{}/webhooks/{}", owner.app_path(), Uuid::new_v4());
    let one_more = owner.put(path, json!({ "url": "http://127.0.0.1:9/" })).await;
    one_more.broke_rule("TooManyWebhooks");
}
