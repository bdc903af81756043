//! What hotfixes wait for is told wherever somebody asks: by whom they are scheduled, planned and looked at.

use crate::harness::{
    APP, Answer, Backend, Caller, Environment, Harness, LIBRARY, agent_path, agent_registration,
    country_path, on_both_databases, package_of,
};
use agent::drivers::simulate::Settings as Simulated;
use serde_json::{Value, json};
use std::time::Duration;

on_both_databases!(
    where_nobody_executes_everybody_is_told,
    an_agent_that_fell_silent_executes_nothing,
    time_and_freezes_are_told,
    a_plan_says_why_an_environment_starts_nothing,
    a_plan_goes_by_the_start_that_is_asked_for,
);

const TARGET: &str = "16.0.1.2";
const HEADER: &str = "fame-waiting-for";
const NOON: &str = "2020-03-05T12:00:00.0000000Z";

fn hotfixes() -> String {
    country_path(APP, "US", "environmentHotfixes")
}

async fn plan(caller: &Caller) -> Answer {
    let path = format!("{}/plan?targetAppVersion={TARGET}", hotfixes());
    caller.get(path).await.expect(200)
}

/// What a hotfix waits for and when it is expected to start, as the list and the hotfix itself say alike.
async fn told(caller: &Caller, hotfix: &Answer) -> (Value, Value) {
    let select = "$select=status,expectedStart,waitingFor";
    let id = hotfix.property("id");
    let one = format!("{}/{id}?{select}", hotfixes());
    let one = caller.get(one).await.expect(200).json();
    let listed = format!("{}?{select}&$filter=id eq {id}", hotfixes());
    assert_eq!(
        caller.get(listed).await.expect(200).rows(),
        std::slice::from_ref(&one)
    );
    let member = |name: &str| one.get(name).cloned().unwrap_or_default();
    (member("waitingFor"), member("expectedStart"))
}

async fn agents(service: &Harness) -> (Value, String) {
    let health = service.nobody().get("/health/ready").await.expect(200);
    assert_eq!(health.property("status"), "ready");
    let health = health.json();
    (health["agents"].clone(), health["details"].to_string())
}

async fn where_nobody_executes_everybody_is_told(backend: Backend) {
    let service = Harness::start(backend).await;
    let owner = service.owner();
    owner.has_uploaded(TARGET).await;
    let environment = Environment::my_customer("16.0.0.5");
    service.operator().reports(&environment).await.expect(201);

    let (word, details) = agents(&service).await;
    assert_eq!(word, "none");
    assert!(details.contains("there is no agent"), "{details}");
    let planned = plan(&service.reader()).await;
    assert_eq!(planned.header(HEADER), "Agent");
    let row = &planned.rows()[0];
    assert_eq!(
        (&row["eligible"], &row["waitingFor"]),
        (&json!(true), &json!("Agent"))
    );
    assert_eq!(row.get("startsAt"), None);
    let scheduled = owner.schedules_at_once(&environment, TARGET).await.expect(200);
    assert_eq!(scheduled.header(HEADER), "Agent");
    // What is documented stays as it is for those who do not ask.
    assert_eq!(scheduled.json().get("waitingFor"), None);
    assert_eq!(told(&owner, &scheduled).await, (json!("Agent"), Value::Null));

    service.catches_up().await;
    assert_eq!(told(&owner, &scheduled).await, (Value::Null, Value::Null));
    assert_eq!(owner.looks_at(&scheduled).await.property("status"), "Running");
    assert_eq!(agents(&service).await.0, "working");
    assert!(!plan(&service.reader()).await.has_header(HEADER));
}

async fn an_agent_that_fell_silent_executes_nothing(backend: Backend) {
    let service = Harness::with(backend).without_simulator().start().await;
    let owner = service.owner();
    owner.has_uploaded(TARGET).await;
    let environment = Environment::my_customer("16.0.0.5");
    service.operator().reports(&environment).await.expect(201);
    let mut registration = agent_registration();
    registration["servesUnreported"] = json!(true);
    let registered = service.operator().registers_agent("beside", registration).await;
    assert_eq!(agents(&service).await.0, "none");
    let agent = service.enrols(&registered.property("enrolmentCode")).await;
    let calls = async |is_ready: &str| {
        let claim = agent.post("/agent/v1/claim", json!({ "max": 0 }));
        claim.header("fame-agent-ready", is_ready).await.expect(200);
    };
    calls("true").await;
    assert_eq!(agents(&service).await.0, "working");
    let scheduled = owner.schedules_at_once(&environment, TARGET).await.expect(200);
    assert!(!scheduled.has_header(HEADER));
    assert_eq!(told(&owner, &scheduled).await, (Value::Null, json!(NOON)));

    service.advances(Duration::from_secs(301)).await;
    let (word, details) = agents(&service).await;
    assert_eq!(word, "silent");
    assert!(details.contains("no agent has called"), "{details}");
    assert_eq!(told(&owner, &scheduled).await.0, "Agent");
    calls("false").await;
    assert_eq!(agents(&service).await.0, "silent");
    assert_eq!(told(&owner, &scheduled).await.0, "Agent");
    service.advances(Duration::from_secs(61)).await;
    calls("true").await;
    assert_eq!(told(&owner, &scheduled).await.0, Value::Null);
    let frozen = service.operator().delete(agent_path("beside")).await;
    frozen.expect(204);
    assert_eq!(agents(&service).await.0, "none");
    assert_eq!(told(&owner, &scheduled).await.0, "Agent");
}

async fn time_and_freezes_are_told(backend: Backend) {
    let service = Harness::start(backend).await;
    let (owner, operator) = (service.owner(), service.operator());
    owner.has_uploaded(TARGET).await;
    let environment = Environment::my_customer("16.0.0.5");
    operator.reports(&environment).await.expect(201);
    let other = Environment::named("Other").has(APP, "16.0.0.5");
    operator.reports(&other).await.expect(201);
    service.catches_up().await;

    let in_window = owner.schedules(&environment, TARGET).await.expect(200);
    assert_eq!(in_window.header(HEADER), "Window");
    let evening = json!("2020-03-05T20:00:00.0000000Z");
    assert_eq!(told(&owner, &in_window).await, (json!("Window"), evening));
    let mut body = other.hotfix(TARGET);
    body["ignoreUpgradeWindow"] = json!(true);
    let later = json!("2020-03-06T13:00:00.0000000Z");
    body["runAfter"] = later.clone();
    let waiting = owner.post(hotfixes(), body).await.expect(200);
    assert_eq!(waiting.header(HEADER), "RunAfter");
    assert_eq!(told(&owner, &waiting).await, (json!("RunAfter"), later));

    let freeze = json!({ "reason": "A build server was broken into." });
    operator
        .put("/operator/v1/freezes/scheduling", freeze)
        .await
        .expect(201);
    for hotfix in [&in_window, &waiting] {
        assert_eq!(told(&owner, hotfix).await, (json!("Freeze"), Value::Null));
    }
    // Nobody waits for what has ended.
    owner.cancels(&waiting).await.expect(200);
    assert_eq!(told(&owner, &waiting).await, (Value::Null, Value::Null));
    for option in ["$filter=waitingFor eq 'Window'", "$orderby=expectedStart"] {
        let refused = owner.get(format!("{}?{option}", hotfixes())).await.expect(400);
        assert!(
            ["waitingFor", "expectedStart"]
                .iter()
                .any(|name| refused.message().contains(name))
        );
    }
}

async fn a_plan_says_why_an_environment_starts_nothing(backend: Backend) {
    let environment = Environment::my_customer("16.0.0.5").has(LIBRARY, "1.0.0.0");
    let service = Harness::with(backend)
        .simulated(&environment, Simulated::silent())
        .start()
        .await;
    service.has_app(LIBRARY).await;
    let (owner, library) = (service.owner(), service.owner().on(LIBRARY));
    owner.has_uploaded(TARGET).await;
    library
        .uploads(&package_of(LIBRARY, "1.0.0.1"), "Available")
        .await
        .expect(200);
    service.operator().reports(&environment).await.expect(201);
    library
        .schedules_at_once(&environment, "1.0.0.1")
        .await
        .expect(200);
    service.catches_up().await;
    let waiting = owner.schedules_at_once(&environment, TARGET).await.expect(200);
    assert_eq!(waiting.header(HEADER), "Slot");
    assert_eq!(told(&owner, &waiting).await, (json!("Slot"), Value::Null));
    owner.cancels(&waiting).await.expect(200);

    service.advances(Duration::from_secs(301)).await;
    let planned = plan(&owner).await;
    let row = &planned.rows()[0];
    let reasons = row["reasons"].as_array().unwrap();
    assert_eq!(
        (&row["eligible"], &row["waitingFor"]),
        (&json!(true), &json!("Held"))
    );
    assert_eq!(
        (reasons.len(), &reasons[0]["code"]),
        (1, &json!("EnvironmentHeld"))
    );
    let message = reasons[0]["message"].as_str().unwrap();
    assert!(
        message.contains("'MyCustomer'") && message.contains("since 2020-03-05T12:05:0"),
        "{message}"
    );
    let held = owner.schedules_at_once(&environment, TARGET).await.expect(200);
    assert_eq!(held.header(HEADER), "Held");
    assert_eq!(told(&owner, &held).await, (json!("Held"), Value::Null));
    // Only a report of what is installed tells that all is well.
    let change = json!({ "locationName": "Elsewhere" });
    let patched = service.operator().patch(environment.operator_path(), change);
    assert!(patched.await.expect(200).json().get("heldSince").is_some());
    let filtered = format!(
        "{}/plan?targetAppVersion={TARGET}&$filter=reasons/any(r: r/code eq 'EnvironmentHeld')",
        hotfixes()
    );
    assert_eq!(owner.get(filtered).await.expect(200).rows().len(), 1);
}

async fn a_plan_goes_by_the_start_that_is_asked_for(backend: Backend) {
    let service = Harness::start(backend).await;
    let owner = service.owner();
    owner.has_uploaded(TARGET).await;
    let environment = Environment::my_customer("16.0.0.5");
    service.operator().reports(&environment).await.expect(201);
    service.catches_up().await;
    let later = "2020-03-06T13:00:00.0000000Z";
    for (options, starts_at, waiting_for) in [
        ("", json!("2020-03-05T20:00:00.0000000Z"), json!("Window")),
        ("&ignoreUpgradeWindow=true", json!(NOON), Value::Null),
        (
            "&ignoreUpgradeWindow=false&runAfter=2020-03-06T14:00:00%2B01:00",
            json!("2020-03-06T20:00:00.0000000Z"),
            json!("RunAfter"),
        ),
        (
            "&ignoreUpgradeWindow=true&runAfter=2020-03-06T13:00:00Z",
            json!(later),
            json!("RunAfter"),
        ),
    ] {
        let path = format!("{}/plan?targetAppVersion={TARGET}{options}", hotfixes());
        let planned = owner.get(path).await.expect(200);
        let row = planned.rows()[0].clone();
        let told = (row["startsAt"].clone(), row["waitingFor"].clone());
        assert_eq!(told, (starts_at, waiting_for), "{options}");
    }
    for wrong in ["runAfter=soon", "ignoreUpgradeWindow=yes"] {
        let path = format!("{}/plan?targetAppVersion={TARGET}&{wrong}", hotfixes());
        let refused = owner.get(path).await.expect(400);
        assert_eq!(refused.target(), wrong.split_once('=').unwrap().0);
    }
}
