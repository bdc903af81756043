//! Work as agents see it over HTTP: claimed, renewed, ended, and the packages for it; and what vendors and operators see
//! of it.

use crate::harness::{
    APP, Answer, Backend, Caller, Environment, Harness, Request, agent_path, agent_registration, bytes_of,
    country_path, on_both_databases, package,
};
use auth::{OwnToken, OwnTokenKind};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use domain::instant::Instant;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::time::Duration;
use test_support::postgres_cluster::query;
use uuid::Uuid;
use wire::agent::SESSION_HEADER;

on_both_databases!(
    an_agent_carries_a_hotfix_out,
    progress_is_shown_to_those_who_select_it,
    failures_can_be_told_apart_by_their_cause,
    wrong_requests_are_told_what_is_wrong_with_them,
    packages_are_for_whoever_holds_the_operation,
    an_agent_that_lost_an_environment_may_only_say_how_it_ended_there,
    a_package_is_sent_three_times_from_its_beginning,
    what_comes_too_late_is_written_down_once,
    a_package_that_was_changed_is_not_sent,
    a_claim_that_waits_takes_up_no_place_and_ends_with_the_service,
    a_claim_that_waits_is_answered_when_the_window_opens,
    a_frozen_agent_gets_nothing_until_it_is_enrolled_again,
    other_bytes_elsewhere_are_told_of,
);

const TARGET: &str = "16.0.1.2";

/// An agent with a token, and a process of it that calls.
struct Agent {
    caller: Caller,
    session: Uuid,
}

impl Agent {
    /// An agent to which this environment belongs from now on.
    async fn of(service: &Harness, name: &str, environment: &Environment) -> Self {
        let code = OwnToken::random(OwnTokenKind::Enrolment).unwrap();
        let (id, etag) = (Uuid::new_v4(), Uuid::new_v4());
        let far = i64::MAX;
        let made = format!(
            "INSERT INTO agents (id, name, name_key, serves_unreported, created_on, code_sha256, code_until,
                                 token_used, inventory_sequence, etag)
             VALUES ({}, '{name}', '{name}', FALSE, 0, {}, {far}, FALSE, 0, {})",
            guid(service, id),
            bytes(service, &code.sha256()),
            guid(service, etag)
        );
        let bound = format!(
            "UPDATE environments SET agent_id = {} WHERE name = '{}'",
            guid(service, id),
            environment.name
        );
        for statement in [made, bound] {
            carry_out(service, &statement).await;
        }
        let enrolment = json!({ "code": code.text() });
        let enrolled = service
            .nobody()
            .post("/agent/v1/enrol", enrolment)
            .await
            .expect(200);
        Self {
            caller: service.caller_with_token(enrolled.property("token")),
            session: Uuid::new_v4(),
        }
    }

    fn named(&self, request: Request) -> Request {
        request.header(SESSION_HEADER, self.session.to_string())
    }

    fn posts(&self, path: &str, body: Value) -> Request {
        self.named(self.caller.post(format!("/agent/v1/{path}"), body))
    }

    /// What the agent is given, of which there is one operation.
    async fn claims(&self) -> Value {
        let claimed = self.posts("claim", json!({ "max": 5 })).await.expect(200);
        let operations = claimed.json()["operations"].as_array().unwrap().clone();
        assert_eq!(operations.len(), 1, "{claimed:?}");
        operations[0].clone()
    }

    fn fetches(&self, operation: &Value) -> Request {
        let id = operation["operationId"].as_str().unwrap();
        self.named(self.caller.get(format!("/agent/v1/operations/{id}/package")))
    }

    fn says(&self, operation: &Value, what: &str, mut body: Value) -> Request {
        body["leaseId"] = operation["leaseId"].clone();
        let id = operation["operationId"].as_str().unwrap();
        self.posts(&format!("operations/{id}/{what}"), body)
    }
}

fn is_sqlite(service: &Harness) -> bool {
    service.settings().database.url.sqlite_path().is_some()
}

fn guid(service: &Harness, id: Uuid) -> String {
    match is_sqlite(service) {
        true => bytes(service, id.as_bytes()),
        false => format!("'{id}'"),
    }
}

fn bytes(service: &Harness, bytes: &[u8]) -> String {
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    match is_sqlite(service) {
        true => format!("x'{hex}'"),
        false => format!("'\\x{hex}'"),
    }
}

pub(crate) async fn carry_out(service: &Harness, statement: &str) {
    match service.settings().database.url.sqlite_path() {
        Some(file) => {
            let database = rusqlite::Connection::open(file).unwrap();
            database.busy_timeout(Duration::from_secs(20)).unwrap();
            assert_eq!(database.execute(statement, []).unwrap(), 1, "{statement}");
        }
        None => drop(query(&service.postgres_url(), statement).await),
    }
}

/// A service without the simulator, an environment that has the app, and the agent to which it belongs.
async fn with_agent(backend: Backend) -> (Harness, Environment, Agent) {
    // Only a signal wakes anybody within the hour.
    let plan = Harness::with(backend)
        .without_simulator()
        .setting("executor.poll_seconds", 3_600);
    let service = plan.setting("limits.concurrent_per_principal", 1).start().await;
    for version in ["16.0.0.5", TARGET] {
        service.owner().has_uploaded(version).await;
    }
    let environment = Environment::my_customer("16.0.0.5");
    service.operator().reports(&environment).await.expect(201);
    let agent = Agent::of(&service, "one", &environment).await;
    (service, environment, agent)
}

/// The same with a hotfix that the agent holds.
async fn with_work(backend: Backend) -> (Harness, Agent, Answer, Value) {
    let (service, environment, agent) = with_agent(backend).await;
    let hotfix = service
        .owner()
        .schedules_at_once(&environment, TARGET)
        .await
        .expect(200);
    let operation = agent.claims().await;
    (service, agent, hotfix, operation)
}

async fn an_agent_carries_a_hotfix_out(backend: Backend) {
    let (service, environment, agent) = with_agent(backend).await;
    let hotfix = service
        .owner()
        .schedules_at_once(&environment, TARGET)
        .await
        .expect(200);
    let operation = agent.claims().await;
    let bytes = bytes_of(&package(TARGET));
    let sha256: String = Sha256::digest(&bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let expected = json!({
        "operationId": hotfix.property("id"),
        "leaseId": operation["leaseId"],
        "leaseSeconds": 300,
        "kind": "Hotfix",
        "environment": {
            "aadTenantId": environment.tenant.to_string(),
            "applicationFamily": environment.family,
            "name": environment.name,
        },
        "environmentType": "Production",
        "countryCode": "US",
        "appId": APP.to_string(),
        "appName": operation["appName"],
        "appPublisher": operation["appPublisher"],
        "sourceVersion": "16.0.0.5",
        "targetVersion": TARGET,
        "syncMode": "Sync",
        "package": { "sha256": sha256, "size": bytes.len() },
    });
    assert_eq!(operation, expected);
    assert_eq!(operation["appPublisher"], "Contoso");
    let nothing = agent.posts(
        "claim",
        json!({ "max": 5, "holding": [operation["operationId"]] }),
    );
    assert_eq!(nothing.await.expect(200).json(), json!({ "operations": [] }));

    let renewed = agent.says(&operation, "renew", json!({})).await.expect(200);
    assert_eq!(renewed.json(), json!({ "leaseSeconds": 300 }));
    let ended = json!({ "status": "Succeeded", "installedVersion": TARGET });
    for _ in 0..2 {
        let finished = agent.says(&operation, "finish", ended.clone()).await.expect(200);
        assert_eq!(finished.property("status"), "Succeeded");
    }
    assert_eq!(
        service.reader().looks_at(&hotfix).await.property("status"),
        "Succeeded"
    );
    agent
        .says(&operation, "renew", json!({}))
        .await
        .refused(409, "LeaseLost");
    let audit = service
        .operator()
        .get("/operator/v1/audit?$filter=actorType eq 'Agent'")
        .await
        .expect(200);
    let mut actions = audit.column("action");
    actions.sort();
    assert_eq!(actions, ["agents/enrol", "operations/end", "operations/start"]);
}

async fn progress_is_shown_to_those_who_select_it(backend: Backend) {
    let (service, agent, hotfix, operation) = with_work(backend).await;
    let progress =
        json!({ "percent": 40, "step": "Publish", "text": "Bearer abcdefgh, and half of it is there." });
    agent
        .says(&operation, "renew", json!({ "progress": progress }))
        .await
        .expect(200);
    let path = service.reader().hotfix_path(&hotfix);
    let shown = service.reader().get(&path).await.expect(200).json();
    let names: Vec<_> = shown.as_object().unwrap().keys().collect();
    assert!(
        !names
            .iter()
            .any(|name| name.starts_with("progress") || *name == "agentName"),
        "{names:?}"
    );
    let selected =
        "$select=status,progressPercent,progressStep,progressText,progressOn,agentName,failureCause";
    let expected = json!({
        "id": hotfix.property("id"),
        "status": "Running",
        "progressPercent": 40,
        "progressStep": "Publish",
        "progressText": "Bearer ***, and half of it is there.",
        "progressOn": "2020-03-05T12:00:00.0000000Z",
        "agentName": "one",
    });
    let one = service
        .reader()
        .get(format!("{path}?{selected}"))
        .await
        .expect(200);
    assert_eq!(one.json(), expected);
    let list = country_path(APP, "US", "environmentHotfixes");
    let listed = service
        .reader()
        .get(format!("{list}?{selected}"))
        .await
        .expect(200);
    assert_eq!(listed.rows(), [expected]);
    let of_operator = "/operator/v1/operations?$select=progressPercent,agentName";
    let listed = service.operator().get(of_operator).await.expect(200);
    let expected = json!({ "id": hotfix.property("id"), "progressPercent": 40, "agentName": "one" });
    assert_eq!(listed.rows(), [expected]);
}

async fn failures_can_be_told_apart_by_their_cause(backend: Backend) {
    let (service, agent, hotfix, operation) = with_work(backend).await;
    let said = "Table 18 is locked. Password=hunter2;";
    let failed = json!({ "status": "Failed", "errorMessage": said, "failureCause": "Lock" });
    agent.says(&operation, "finish", failed).await.expect(200);
    let list = country_path(APP, "US", "environmentHotfixes");
    for (cause, is_it) in [("lock", true), ("SchemaBreak", false)] {
        let found = service
            .reader()
            .get(format!("{list}?$filter=failureCause eq '{cause}'"))
            .await
            .expect(200);
        assert_eq!(found.rows().len(), usize::from(is_it), "{cause}");
    }
    let shown = service.reader().looks_at(&hotfix).await;
    let redacted = "Table 18 is locked. Password=***;";
    assert_eq!(shown.property("errorMessage"), redacted);
    let operations = service
        .operator()
        .get("/operator/v1/operations")
        .await
        .expect(200);
    assert_eq!(operations.column("failureCause"), ["Lock"]);
}

async fn wrong_requests_are_told_what_is_wrong_with_them(backend: Backend) {
    let (_service, agent, _, operation) = with_work(backend).await;
    for (body, target) in [
        (json!({ "max": 251 }), "max"),
        (json!({ "max": 1, "waitSeconds": 61 }), "waitSeconds"),
        (json!({ "max": "one" }), "body"),
        (json!({}), "body"),
    ] {
        let refused = agent.posts("claim", body).await.refused(400, "InvalidInput");
        assert_eq!(refused.target(), target, "{refused:?}");
    }
    let too_much = json!({ "progress": { "percent": 101 } });
    agent
        .says(&operation, "renew", too_much)
        .await
        .refused(400, "InvalidInput");
    agent
        .posts("operations/one/renew", json!({ "leaseId": Uuid::new_v4() }))
        .await
        .refused(400, "InvalidInput");
    let other = json!({ "status": "Succeeded", "installedVersion": "16.0.0.5" });
    let refused = agent
        .says(&operation, "finish", other)
        .await
        .refused(400, "InvalidInput");
    assert_eq!(refused.target(), "installedVersion");
    let unknown = format!("operations/{}/finish", Uuid::new_v4());
    let ended = json!({ "leaseId": Uuid::new_v4(), "status": "Skipped" });
    agent.posts(&unknown, ended).await.refused(409, "LeaseLost");
}

async fn packages_are_for_whoever_holds_the_operation(backend: Backend) {
    let (service, agent, _, operation) = with_work(backend).await;
    let elsewhere = Environment::named("Elsewhere");
    service.operator().reports(&elsewhere).await.expect(201);
    let other = Agent::of(&service, "other", &elsewhere).await;
    other
        .fetches(&operation)
        .await
        .refused(404, "ResourceDoesNotExist");

    let bytes = bytes_of(&package(TARGET));
    let whole = agent.fetches(&operation).await.expect(200);
    assert_eq!(whole.body, bytes);
    let digest = format!("sha-256=:{}:", STANDARD.encode(Sha256::digest(&bytes)));
    assert_eq!(whole.header("repr-digest"), digest);
    let rest = agent
        .fetches(&operation)
        .header("range", "bytes=10-")
        .await
        .expect(206);
    assert_eq!(rest.body, bytes[10..]);
    let last = bytes.len() - 1;
    assert_eq!(
        rest.header("content-range"),
        format!("bytes 10-{last}/{}", bytes.len())
    );

    service.advances(Duration::from_secs(301)).await;
    agent
        .fetches(&operation)
        .await
        .refused(404, "ResourceDoesNotExist");
}

async fn an_agent_that_lost_an_environment_may_only_say_how_it_ended_there(backend: Backend) {
    let (service, agent, _, operation) = with_work(backend).await;
    agent.says(&operation, "renew", json!({})).await.expect(200);
    let path = format!("{}/rebind", Environment::my_customer("16.0.0.5").operator_path());
    service
        .operator()
        .post(path, json!({ "agent": null }))
        .await
        .expect(200);
    agent
        .says(&operation, "renew", json!({}))
        .await
        .refused(409, "LeaseLost");
    agent
        .fetches(&operation)
        .await
        .refused(404, "ResourceDoesNotExist");
    // Nor is it held anew because the agent seems not to have heard of it.
    let again = agent.posts("claim", json!({ "max": 5 })).await.expect(200);
    assert_eq!(again.json(), json!({ "operations": [] }));
    let ended = json!({ "status": "Succeeded", "installedVersion": TARGET });
    agent.says(&operation, "finish", ended).await.expect(200);
}

async fn a_package_is_sent_three_times_from_its_beginning(backend: Backend) {
    let (_service, agent, _, operation) = with_work(backend).await;
    let id = operation["operationId"].as_str().unwrap();
    for _ in 0..4 {
        let path = format!("/agent/v1/operations/{id}/package");
        let told = agent.named(agent.caller.head(path)).await.expect(200);
        assert_eq!(
            told.header("content-length"),
            operation["package"]["size"].to_string()
        );
        assert!(told.body.is_empty());
    }
    // Who leaves out the first byte has got the package as well.
    for range in ["bytes=0-9", "bytes=1-", "items=0-1"] {
        let sent = agent.fetches(&operation).header("range", range).await;
        assert!([200, 206].contains(&sent.status), "{sent:?}");
    }
    agent.fetches(&operation).await.refused(403, "DownloadsUsedUp");
    let size = operation["package"]["size"].as_u64().unwrap();
    let from = |first: u64| {
        agent
            .fetches(&operation)
            .header("range", format!("bytes={first}-"))
    };
    from((size - 1) / 2).await.refused(403, "DownloadsUsedUp");
    from(size.div_ceil(2)).await.expect(206);
}

async fn what_comes_too_late_is_written_down_once(backend: Backend) {
    let (service, agent, _, operation) = with_work(backend).await;
    let ended = json!({ "status": "Succeeded", "installedVersion": TARGET });
    agent.says(&operation, "finish", ended).await.expect(200);
    let id = operation["operationId"].as_str().unwrap();
    for number in 0..5 {
        let text = format!("{number}{}", "x".repeat(30_000));
        for status in ["Failed", "Skipped"] {
            let late = json!({ "leaseId": Uuid::new_v4(), "status": status, "errorMessage": text });
            agent
                .posts(&format!("operations/{id}/finish"), late)
                .await
                .refused(409, "LeaseLost");
        }
    }
    let path = "/operator/v1/audit?$filter=action eq 'operations/lateReport'&$orderby=id";
    let rows = service.operator().get(path).await.expect(200).rows();
    let reported: Vec<_> = rows.iter().map(|row| row["after"]["reported"].clone()).collect();
    assert_eq!(reported, ["Failed", "Skipped"]);
    let kept = rows[0]["after"]["errorMessage"].as_str().unwrap();
    assert_eq!((kept.len(), &kept[..2]), (2_048, "0x"));
}

async fn a_package_that_was_changed_is_not_sent(backend: Backend) {
    let (service, agent, _, operation) = with_work(backend).await;
    let sha256 = operation["package"]["sha256"].as_str().unwrap();
    let stored = service.stored_packages();
    let is_its = |file: &&std::path::PathBuf| file.to_string_lossy().contains(sha256);
    let file = stored.iter().find(is_its).unwrap();
    let mut changed = std::fs::read(file).unwrap();
    *changed.last_mut().unwrap() ^= 1;
    std::fs::remove_file(file).unwrap();
    std::fs::write(file, changed).unwrap();
    let refused = agent.fetches(&operation).await.refused(409, "PackageChanged");
    assert!(refused.body.len() < 4_096, "{refused:?}");
    let failed = json!({ "status": "Failed", "errorMessage": "Changed.", "failureCause": "PackageChanged" });
    agent.says(&operation, "finish", failed).await.expect(200);

    // What the repository says itself is compared too.
    let (service, agent, _, operation) = with_work(backend).await;
    let pinned = bytes(&service, &[7; 32]);
    let changes = format!("UPDATE operations SET package_sha256 = {pinned} WHERE status = 'Running'");
    carry_out(&service, &changes).await;
    agent.fetches(&operation).await.refused(409, "PackageChanged");
}

async fn a_claim_that_waits_takes_up_no_place_and_ends_with_the_service(backend: Backend) {
    let (service, _, agent) = with_agent(backend).await;
    let soon = Duration::from_secs(30);
    let waits = || {
        Box::pin(
            agent
                .posts("claim", json!({ "max": 1, "waitSeconds": 60 }))
                .send(),
        )
    };
    // Of one principal one request is answered at a time. One that waits does not count, and ends with the next.
    let both = futures::future::select(waits(), waits());
    let (ended, latest) = tokio::time::timeout(soon, both).await.unwrap().factor_first();
    let nothing = json!({ "operations": [] });
    assert_eq!(ended.unwrap().expect(200).json(), nothing);
    let (ended, ()) = tokio::time::timeout(soon, async { tokio::join!(latest, service.drains()) })
        .await
        .unwrap();
    assert_eq!(ended.unwrap().expect(200).json(), nothing);
}

async fn a_claim_that_waits_is_answered_when_the_window_opens(backend: Backend) {
    let (service, environment, agent) = with_agent(backend).await;
    let hotfix = service.owner().schedules(&environment, TARGET).await.expect(200);
    let opens: Instant = service
        .operator()
        .sees_agent("one")
        .await
        .property("dueOn")
        .parse()
        .unwrap();
    assert!(service.now() < opens);
    let waiting = agent.posts("claim", json!({ "max": 1, "waitSeconds": 60 }));
    let waiting = tokio::spawn(waiting.send());
    service
        .until("the agent is seen", || async {
            service.operator().sees_agent("one").await.json()["lastSeenOn"] != Value::Null
        })
        .await;
    let second = Duration::from_secs(1);
    service.moves_clock_to(&(opens - second).to_string()).await;
    assert!(!waiting.is_finished());
    service.moves_clock_to(&opens.to_string()).await;
    let soon = tokio::time::timeout(Duration::from_secs(30), waiting);
    let claimed = soon.await.unwrap().unwrap().unwrap().expect(200).json();
    assert_eq!(
        claimed["operations"][0]["operationId"],
        json!(hotfix.property("id"))
    );
}

async fn a_frozen_agent_gets_nothing_until_it_is_enrolled_again(backend: Backend) {
    let (service, agent, _, operation) = with_work(backend).await;
    let inventory = json!({ "sequence": 1, "environments": [] });
    let every_door = || {
        let report = |request: Request| agent.named(request).json(&inventory);
        [
            agent.posts("token", json!({})),
            report(agent.caller.put("/agent/v1/inventory", json!({}))),
            report(agent.caller.patch("/agent/v1/inventory", json!({}))),
            agent.posts("claim", json!({ "max": 1 })),
            agent.says(&operation, "renew", json!({})),
            agent.says(&operation, "finish", json!({ "status": "Skipped" })),
            agent.fetches(&operation),
            agent.fetches(&operation).header("range", "bytes=10-"),
        ]
    };
    let is_closed = async || {
        for request in every_door() {
            request.await.refused(403, "AgentFrozen");
        }
    };
    let token = agent.caller.authorization();
    let token = token.trim_start_matches("Bearer ");
    let told = json!({ "tokens": [token] });
    service.nobody().post("/tokens/leaked", told).await.expect(202);
    is_closed().await;
    let operator = service.operator();
    assert_eq!(operator.sees_agent("one").await.property("state"), "Frozen");

    // Neither a change of what is registered nor a code that nobody has used thaws it.
    let registration = agent_registration();
    operator.put(agent_path("one"), registration).await.expect(200);
    let path = format!("{}/rotate", agent_path("one"));
    let code = operator.post(path, json!({})).await.expect(200);
    is_closed().await;

    let session = Uuid::new_v4();
    let thawed = Agent {
        caller: service
            .enrols(&code.property("enrolmentCode"))
            .await
            .in_session(session),
        session,
    };
    let again = thawed.claims().await;
    assert_eq!(again["operationId"], operation["operationId"]);
    let ended = json!({ "status": "Succeeded", "installedVersion": TARGET });
    thawed.says(&again, "finish", ended).await.expect(200);
    agent
        .posts("claim", json!({ "max": 1 }))
        .await
        .refused(401, "Unauthorized");
}

async fn other_bytes_elsewhere_are_told_of(backend: Backend) {
    let (service, environment, agent) = with_agent(backend).await;
    let owner = service.owner();
    owner.adds_country("DK").await.expect(200);
    let other = package(TARGET).brief("Another compile");
    owner.uploads_to("DK", &other, "Available").await.expect(200);
    owner.schedules_at_once(&environment, TARGET).await.expect(200);
    assert_eq!(agent.claims().await["package"]["differsElsewhere"], true);
}
