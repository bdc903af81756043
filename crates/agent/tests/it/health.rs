//! What an agent says over HTTP of how it is doing.

use crate::{
    host::{APP, Host, Running, TENANT, hotfix},
    service::{SECOND_TOKEN, Service, State},
};
use std::time::Duration;
use uuid::Uuid;
use wire::agent::RefusedEnvironment;

const LISTENS: &str = "health_listen = \"127.0.0.1:0\"";

/// What is answered there: the status and the text.
async fn asked(agent: &Running, path: &str) -> (u16, String) {
    let url = format!("http://{}{path}", agent.health.unwrap());
    let answer = reqwest::get(url).await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

/// Asks there until it says this; the status and the text.
async fn until_it_says(agent: &Running, path: &str, words: &str) -> (u16, String) {
    let asking = async {
        loop {
            let (status, text) = asked(agent, path).await;
            if text.contains(words) {
                return (status, text);
            }
        }
    };
    let said = tokio::time::timeout(Duration::from_secs(60), asking).await;
    said.expect("it says so")
}

/// Asks until it is not ready, for this reason: it lives all the same.
async fn until_it_is_not_ready(agent: &Running, reason: &str) {
    assert_eq!(until_it_says(agent, "/health/ready", reason).await.0, 503);
    assert_eq!(asked(agent, "/health/live").await, (200, "alive\n".into()));
    assert!(
        asked(agent, "/metrics")
            .await
            .1
            .contains("\nfame_agent_ready 0\n")
    );
}

#[tokio::test]
async fn an_agent_that_works_is_ready_and_counts_what_it_does_without_a_name() {
    let service = Service::start().await;
    let host = Host::of(&service).with_agent(LISTENS);
    let agent = host.runs();
    service.grants([hotfix(1, "Production")]);
    service.finish_of(Uuid::from_u128(1)).await;
    assert_eq!(asked(&agent, "/health/live").await, (200, "alive\n".into()));
    assert_eq!(asked(&agent, "/health/ready").await, (200, "ready\n".into()));
    let succeeded = "fame_agent_operations_total{status=\"Succeeded\"} 1\n";
    let (status, metrics) = until_it_says(&agent, "/metrics", succeeded).await;
    assert_eq!(status, 200);
    for line in ["fame_agent_ready 1", "fame_agent_environments 1"] {
        assert!(metrics.lines().any(|told| told == line), "{line}: {metrics}");
    }
    for name in [&TENANT.to_string(), &APP.to_string(), "Production", "north"] {
        assert!(!metrics.contains(name), "{name}: {metrics}");
    }
    assert_eq!(asked(&agent, "/").await.0, 404);
    agent.stops().await;
    service.assert_obeyed();
}

#[tokio::test]
async fn a_frozen_agent_lives_and_is_not_ready() {
    let service = Service::start().await;
    service.state().is_frozen = true;
    let agent = Host::of(&service).with_agent(LISTENS).runs();
    until_it_is_not_ready(&agent, "AgentFrozen").await;
    service.state().is_frozen = false;
    service.grants([hotfix(1, "Production")]);
    service.finish_of(Uuid::from_u128(1)).await;
    agent.stops().await;
}

#[tokio::test]
async fn a_token_that_ends_within_a_day_and_cannot_be_replaced_is_told() {
    let service = Service::start().await;
    service.state().faults = vec![("POST /agent/v1/token", 503); 10_000];
    let host = Host::of(&service)
        .with_agent(LISTENS)
        .with_token_for(Duration::from_secs(23 * 3_600));
    let agent = host.runs();
    until_it_is_not_ready(&agent, "The token ends on 2027-").await;
    service.state().faults.clear();
    assert_eq!(until_it_says(&agent, "/health/ready", "ready\n").await.0, 200);
    assert_eq!(service.state().token, SECOND_TOKEN);
    agent.stops().await;
}

#[tokio::test]
async fn a_service_that_cannot_be_reached_is_told() {
    let service = Service::start().await;
    let agent = Host::of(&service).with_agent(LISTENS).of_nobody().runs();
    until_it_is_not_ready(&agent, "The service: ").await;
    let (_, metrics) = asked(&agent, "/metrics").await;
    let errors = metrics
        .lines()
        .find(|line| line.starts_with("fame_agent_service_errors_total "));
    assert_ne!(errors, Some("fame_agent_service_errors_total 0"));
    agent.dies().await;
}

#[tokio::test]
async fn an_address_that_is_taken_is_told_before_anything_begins() {
    let service = Service::start().await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let host = Host::of(&service).with_agent(&format!("health_listen = \"{address}\""));
    let refused = host.refused();
    assert!(refused.starts_with("agent.health_listen: "), "{refused}");
    assert!(service.state().sessions.is_empty());
}

#[tokio::test]
async fn a_token_that_the_service_does_not_know_any_more_is_told() {
    let service = Service::start().await;
    service.state().token = "of another one".into();
    let agent = Host::of(&service).with_agent(LISTENS).runs();
    until_it_is_not_ready(
        &agent,
        "The service does not know the agent's token any more: it was revoked, or the agent was removed. Enrol it again \
         (fame agent enrol)",
    )
    .await;
    agent.dies().await;
}

#[tokio::test]
async fn an_agent_that_can_read_no_environment_is_not_ready() {
    let service = Service::start().await;
    let host = Host::of(&service)
        .serving(&["One", "Two"])
        .with_agent(&format!("inventory_every = \"1m\"\n{LISTENS}"))
        .with_scripts("", "cat $FAME_ENVIRONMENT_NAME", "");
    let agent = host.runs();
    until_it_is_not_ready(&agent, "None of the environments can be read").await;
    let says = async |ready: &str| {
        let said = |state: &State| (state.ready == ready).then_some(());
        service.until("was the service told of it", said).await;
    };
    says("false").await;
    std::fs::write(host.path("One"), r#"{"apps": []}"#).unwrap();
    assert_eq!(until_it_says(&agent, "/health/ready", "ready\n").await.0, 200);
    says("true").await;
    agent.stops().await;
}

#[tokio::test]
async fn an_agent_of_which_no_environment_is_taken_is_not_ready() {
    let service = Service::start().await;
    let refused = |name: &str| RefusedEnvironment {
        environment: hotfix(1, name).environment,
        code: "OutOfScope".into(),
        message: "The agent may not report it.".into(),
    };
    service.state().result.refused = vec![refused("One"), refused("Two")];
    let host = Host::of(&service)
        .serving(&["One", "Two"])
        .with_agent(&format!("inventory_every = \"1m\"\n{LISTENS}"));
    let agent = host.runs();
    until_it_is_not_ready(&agent, "The service takes none of the environments").await;
    service.state().result.refused.truncate(1);
    assert_eq!(until_it_says(&agent, "/health/ready", "ready\n").await.0, 200);
    agent.stops().await;
}
