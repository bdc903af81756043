//! `/agent/v1/inventory`: what agents report, and what vendors and the operator see of it.

use crate::harness::{
    APP, Backend, CUSTOMER, Caller, Environment, Harness, OTHER_CUSTOMER, agent_of, country_path,
    on_both_databases,
};
use flate2::{Compression, write::GzEncoder};
use http::Method;
use serde_json::{Value, json};
use std::{io::Write as _, time::Duration};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use uuid::Uuid;
use wire::agent::SESSION_HEADER;

on_both_databases!(
    what_an_agent_reports_is_seen,
    what_is_missing_is_shown_and_goes_after_a_day,
    a_dispute_is_shown_and_ended_by_a_release,
    changes_are_reported_alone,
    a_list_that_may_lack_apps_takes_none_away,
    an_inventory_that_cannot_be_read_is_refused_whole,
    a_body_beyond_the_limit_is_refused,
    a_compressed_inventory_counts_by_what_it_becomes,
    what_a_newer_agent_adds_is_passed_over,
    a_number_that_no_clock_has_is_refused_and_enrolment_begins_anew,
    names_that_are_misread_are_refused,
    an_agent_is_taken_one_inventory_of_at_a_time,
    nobody_waits_for_ever_for_those_who_send_slowly,
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

/// A service, an agent, and the one environment that it has reported.
async fn with_a_report(backend: Backend) -> (Harness, Caller, Environment) {
    let service = Harness::start(backend).await;
    let agent = has_agent(&service).await;
    let ours = Environment::my_customer("16.0.0.5");
    agent
        .put(INVENTORY, inventory(1, std::slice::from_ref(&ours)))
        .await
        .expect(200);
    (service, agent, ours)
}

async fn what_is_missing_is_shown_and_goes_after_a_day(backend: Backend) {
    let (service, agent, ours) = with_a_report(backend).await;
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
    let (service, agent, ours) = with_a_report(backend).await;
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
    let (service, agent, ours) = with_a_report(backend).await;
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

/// What is kept may be nested to a bounded depth; what nobody asks for costs nothing, however deep it goes.
async fn a_compressed_inventory_counts_by_what_it_becomes(backend: Backend) {
    let service = Harness::with(backend)
        .setting("agents.inventory_body_bytes", 2000)
        .start()
        .await;
    let agent = has_agent(&service).await;
    let report = inventory(1, &[Environment::my_customer("16.0.0.5")]).to_string();
    let sent = |text: String| {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        gzip.write_all(text.as_bytes()).unwrap();
        agent
            .asks(Method::PUT, INVENTORY)
            .bytes(gzip.finish().unwrap())
            .header("content-encoding", "gzip")
    };
    sent(format!("{report:2001}"))
        .await
        .refused(413, "RequestEntityTooLarge");
    sent(format!("{report:2000}")).await.expect(200);
}

async fn what_a_newer_agent_adds_is_passed_over(backend: Backend) {
    let service = Harness::start(backend).await;
    let agent = has_agent(&service).await;
    let known = inventory(1, &[Environment::my_customer("16.0.0.5")]).to_string();
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let body = known.replace("\"name\":", &format!("\"later\":{deep},\"name\":"));
    assert!(body.contains(&deep));
    let sent = agent.asks(Method::PUT, INVENTORY).bytes(body).await.expect(200);
    assert_eq!(sent.json()["added"], json!(1));
}

async fn a_number_that_no_clock_has_is_refused_and_enrolment_begins_anew(backend: Backend) {
    let service = Harness::start(backend).await;
    let agent = has_agent(&service).await;
    let tomorrow = service.now().0 + 24 * 3600 * 10_000_000;
    for sequence in [i64::MAX, tomorrow + 1] {
        let refused = agent.put(INVENTORY, inventory(sequence, &[])).await;
        let refused = refused.refused(400, "InvalidInput");
        assert_eq!(refused.target(), "sequence");
        assert!(refused.message().contains(&tomorrow.to_string()), "{refused:?}");
    }
    agent.put(INVENTORY, inventory(tomorrow, &[])).await.expect(200);
    agent
        .put(INVENTORY, inventory(1, &[]))
        .await
        .refused(409, "StaleInventory");
    let path = "/operator/v1/agents/Hoster/rotate";
    let rotated = service.operator().post(path, json!({})).await.expect(200);
    let anew = service.enrols(&rotated.property("enrolmentCode")).await;
    anew.put(INVENTORY, inventory(1, &[])).await.expect(200);
}

async fn names_that_are_misread_are_refused(backend: Backend) {
    let service = Harness::start(backend).await;
    let agent = has_agent(&service).await;
    let names = [" Production", "Production ", ".", ".."].map(Environment::named);
    let taken = agent
        .put(INVENTORY, inventory(1, &names))
        .await
        .expect(200)
        .json();
    assert_eq!(taken["added"], json!(0));
    let refused = taken["refused"].as_array().unwrap();
    let codes: Vec<_> = refused.iter().map(|row| row["code"].clone()).collect();
    assert_eq!(codes, ["InvalidInput"; 4]);
}

/// A connection over which an agent sends an inventory of so many bytes; of these, the first ones have been sent, and the
/// service has begun to take them in.
async fn begins(service: &Harness, agent: &Caller, sent: usize, size: usize) -> TcpStream {
    let head = format!(
        "PUT {INVENTORY} HTTP/1.1\r\nHost: fame\r\nAuthorization: {}\r\n{SESSION_HEADER}: {}\r\nContent-Length: {size}\r\n\
         Expect: 100-continue\r\n\r\n",
        agent.authorization(),
        Uuid::new_v4()
    );
    let mut connection = service.connection().await;
    connection.write_all(head.as_bytes()).await.unwrap();
    assert_eq!(status_of(&mut connection).await, "HTTP/1.1 100");
    let mut rest = [0; 13];
    connection.read_exact(&mut rest).await.unwrap();
    connection.write_all(&b" ".repeat(sent)).await.unwrap();
    connection
}

/// What an answer begins with.
async fn status_of(connection: &mut TcpStream) -> String {
    let mut status = [0; 12];
    connection.read_exact(&mut status).await.unwrap();
    String::from_utf8_lossy(&status).into_owned()
}

async fn an_agent_is_taken_one_inventory_of_at_a_time(backend: Backend) {
    let service = Harness::start(backend).await;
    let agent = has_agent(&service).await;
    let slow = begins(&service, &agent, 1, 1_000_000).await;
    let next = agent.in_session(Uuid::new_v4());
    let second = next.put(INVENTORY, inventory(1, &[])).await;
    let second = second.refused(429, "TooManyRequests");
    assert_eq!(second.header("retry-after"), "10");
    let other = service.has_agent("Other").await;
    other.put(INVENTORY, inventory(1, &[])).await.expect(200);
    drop(slow);
    service
        .until("the first is given up", async || {
            next.put(INVENTORY, inventory(1, &[])).await.status == 200
        })
        .await;
}

async fn nobody_waits_for_ever_for_those_who_send_slowly(backend: Backend) {
    let limited = Harness::with(backend).setting("limits.request_body_seconds", 2);
    let service = limited
        .setting("agents.inventory_body_bytes", 100_000)
        .start()
        .await;
    let last = has_agent(&service).await;
    let agent = async |number: usize| service.has_agent(&format!("Slow{number}")).await;
    // Next to nothing earns no time.
    let mut slow = begins(&service, &agent(0).await, 1, 90_000).await;
    assert_eq!(status_of(&mut slow).await, "HTTP/1.1 408");
    // Whoever has sent most of it may take ten times as long, and keeps their place.
    let mut places = Vec::new();
    for number in 1..=4 {
        places.push(begins(&service, &agent(number).await, 80_000, 90_000).await);
    }
    let refused = last.put(INVENTORY, inventory(1, &[])).await;
    let refused = refused.refused(503, "ServiceUnavailable");
    assert_eq!(refused.header("retry-after"), "10");
    drop(places);
    last.put(INVENTORY, inventory(1, &[])).await.expect(200);
}
