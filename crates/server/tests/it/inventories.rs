//! `/agent/v1/inventory`: what agents report, and what vendors and the operator see of it.

use crate::harness::{
    APP, Backend, CUSTOMER, Caller, Environment, Harness, OTHER_CUSTOMER, agent_of, country_path,
    on_both_databases,
};
use serde_json::{Value, json};
use std::time::Duration;

on_both_databases!(
    what_an_agent_reports_is_seen,
    what_is_missing_is_shown_and_goes_after_a_day,
    a_dispute_is_shown_and_ended_by_a_release,
    changes_are_reported_alone,
    a_list_that_may_lack_apps_takes_none_away,
    an_inventory_that_cannot_be_read_is_refused_whole,
    a_body_beyond_the_limit_is_refused,
);

const HOUR: Duration = Duration::from_secs(3600);
const INVENTORY: &str = "/agent/v1/inventory";
const ENVIRONMENTS: &str = "/operator/v1/environments";

fn found(environment: &Environment) -> Value {
    let mut found = environment.report();
    found["aadTenantId"] = json!(environment.tenant);
    found["applicationFamily"] = json!(environment.family);
    found["name"] = json!(environment.name);
    found
}

fn inventory(sequence: i64, environments: &[Environment]) -> Value {
    let environments: Vec<_> = environments.iter().map(found).collect();
    json!({ "sequence": sequence, "confirm": true, "environments": environments })
}

async fn has_agent(service: &Harness) -> Caller {
    let registered = service
        .operator()
        .registers_agent("Hoster", agent_of(CUSTOMER))
        .await;
    service.enrols(&registered.property("enrolmentCode")).await
}

async fn names(service: &Harness, filter: &str) -> Vec<String> {
    let path = format!("{ENVIRONMENTS}?$filter={filter}");
    service.operator().get(path).await.expect(200).column("name")
}

async fn what_an_agent_reports_is_seen(backend: Backend) {
    let service = Harness::start(backend).await;
    let agent = has_agent(&service).await;
    let ours = Environment::my_customer("16.0.0.5");
    let abroad = Environment::named("Abroad").of(OTHER_CUSTOMER);
    let taken = agent
        .put(INVENTORY, inventory(1, &[ours.clone(), abroad]))
        .await
        .expect(200)
        .json();
    assert_eq!(
        (
            &taken["added"],
            &taken["refused"][0]["code"],
            &taken["refused"][0]["name"]
        ),
        (&json!(1), &json!("OutOfScope"), &json!("Abroad"))
    );
    let listed = service
        .reader()
        .get(country_path(APP, "US", "environments"))
        .await
        .expect(200);
    assert_eq!(listed.column("version"), ["16.0.0.5"]);
    let seen = service.operator().get(ours.operator_path()).await.expect(200);
    assert_eq!(seen.property("agent"), "Hoster");
    assert_eq!(seen.property("inventoryOn"), service.now().to_string());
    assert_eq!(names(&service, "agent eq 'hoster'").await, ["MyCustomer"]);
    assert!(names(&service, "agent eq null").await.is_empty());
    let late = agent.put(INVENTORY, inventory(1, &[])).await;
    late.refused(409, "StaleInventory");
}

async fn what_is_missing_is_shown_and_goes_after_a_day(backend: Backend) {
    let service = Harness::start(backend).await;
    let agent = has_agent(&service).await;
    let ours = Environment::my_customer("16.0.0.5");
    agent
        .put(INVENTORY, inventory(1, std::slice::from_ref(&ours)))
        .await
        .expect(200);
    let mut meant = inventory(2, &[]);
    meant["confirm"] = json!(false);
    let refused = agent
        .put(INVENTORY, meant)
        .await
        .refused(409, "ConfirmationRequired");
    assert!(refused.message().contains("Of 1 environments"), "{refused:?}");
    let taken = agent.put(INVENTORY, inventory(2, &[])).await.expect(200).json();
    assert_eq!(taken["missing"], json!(1));
    assert_eq!(names(&service, "missingSince ne null").await, ["MyCustomer"]);
    service
        .owner()
        .schedules(&ours, "16.0.1.2")
        .await
        .refused(404, "EnvironmentNotFound");
    service.advances(HOUR * 23).await;
    assert_eq!(names(&service, "missingSince ne null").await, ["MyCustomer"]);
    service.advances(HOUR).await;
    service
        .operator()
        .get(ours.operator_path())
        .await
        .refused(404, "EnvironmentNotFound");
}

async fn a_dispute_is_shown_and_ended_by_a_release(backend: Backend) {
    let service = Harness::start(backend).await;
    let agent = has_agent(&service).await;
    let ours = Environment::my_customer("16.0.0.5");
    agent
        .put(INVENTORY, inventory(1, std::slice::from_ref(&ours)))
        .await
        .expect(200);
    let sandbox = [ours.clone().sandbox()];
    let taken = agent
        .put(INVENTORY, inventory(2, &sandbox))
        .await
        .expect(200)
        .json();
    assert_eq!(taken["disputed"][0]["name"], json!("MyCustomer"));
    assert_eq!(names(&service, "disputedSince ne null").await, ["MyCustomer"]);
    let seen = service.operator().get(ours.operator_path()).await.expect(200);
    assert_eq!(seen.property("type"), "Production");
    let path = format!("{}/release", ours.operator_path());
    let released = service.operator().post(path, json!({})).await.expect(200);
    assert_eq!(released.property("type"), "Sandbox");
    assert!(names(&service, "disputedSince ne null").await.is_empty());
}

async fn changes_are_reported_alone(backend: Backend) {
    let service = Harness::start(backend).await;
    let agent = has_agent(&service).await;
    let both = [Environment::my_customer("16.0.0.5"), Environment::named("Other")];
    agent.put(INVENTORY, inventory(1, &both)).await.expect(200);
    let mut changes = inventory(2, &[Environment::my_customer("16.0.0.6")]);
    changes["gone"] =
        json!([{ "aadTenantId": both[1].tenant, "applicationFamily": both[1].family, "name": "OTHER" }]);
    let taken = agent.patch(INVENTORY, changes.clone()).await.expect(200).json();
    assert_eq!((&taken["changed"], &taken["missing"]), (&json!(1), &json!(1)));
    assert_eq!(names(&service, "missingSince ne null").await, ["Other"]);
    changes["sequence"] = json!(3);
    agent
        .put(INVENTORY, changes.clone())
        .await
        .refused(400, "InvalidInput");
    changes["unread"] = changes["gone"].take();
    changes["gone"] = json!([]);
    let refused = agent.patch(INVENTORY, changes).await.refused(400, "InvalidInput");
    assert_eq!(refused.target(), "unread");
}

async fn a_list_that_may_lack_apps_takes_none_away(backend: Backend) {
    let service = Harness::start(backend).await;
    let agent = has_agent(&service).await;
    let ours = Environment::my_customer("16.0.0.5");
    agent
        .put(INVENTORY, inventory(1, std::slice::from_ref(&ours)))
        .await
        .expect(200);
    let other = "bbbbbbbb-0000-1111-2222-cccccccccccc";
    let mut partly = inventory(2, std::slice::from_ref(&ours));
    partly["environments"][0]["inventoryComplete"] = json!(false);
    partly["environments"][0]["apps"] = json!([{ "id": other, "version": "1.0.0.0" }]);
    agent.put(INVENTORY, partly.clone()).await.expect(200);
    let apps = async || {
        let seen = service.operator().get(ours.operator_path()).await.expect(200);
        let apps = seen.json()["apps"].as_array().unwrap().clone();
        let versions = apps.iter().map(|app| app["version"].as_str().unwrap().to_owned());
        let mut versions: Vec<_> = versions.collect();
        versions.sort();
        versions
    };
    assert_eq!(apps().await, ["1.0.0.0", "16.0.0.5"]);
    partly["sequence"] = json!(3);
    let again = agent.patch(INVENTORY, partly.clone()).await.expect(200).json();
    assert_eq!(again["unchanged"], json!(1));
    // Of a list that names all there is, what it does not name is gone.
    partly["sequence"] = json!(4);
    partly["environments"][0]["inventoryComplete"] = json!(true);
    agent.patch(INVENTORY, partly).await.expect(200);
    assert_eq!(apps().await, ["1.0.0.0"]);
}

async fn an_inventory_that_cannot_be_read_is_refused_whole(backend: Backend) {
    let service = Harness::start(backend).await;
    let agent = has_agent(&service).await;
    for body in [
        json!({}),
        json!({ "sequence": 1, "environments": [{ "name": 7 }] }),
        json!([]),
    ] {
        let refused = agent.put(INVENTORY, body).await.refused(400, "InvalidInput");
        assert!(refused.message().contains("line 1"), "{refused:?}");
    }
    agent.put(INVENTORY, inventory(1, &[])).await.expect(200);
}

async fn a_body_beyond_the_limit_is_refused(backend: Backend) {
    let limited = Harness::with(backend).setting("agents.inventory_body_bytes", 1024);
    let service = limited.start().await;
    let agent = has_agent(&service).await;
    let many: Vec<_> = (0..20)
        .map(|number| Environment::named(&format!("E{number}")))
        .collect();
    agent
        .put(INVENTORY, inventory(1, &many))
        .await
        .refused(413, "RequestEntityTooLarge");
    agent.put(INVENTORY, inventory(1, &[])).await.expect(200);
}
