//! Who carries out what is due at a site: an agent of this process, which asks whichever replica was started last and
//! lives through whatever happens to them.

use super::{Person, Process, TIME_LIMIT};
use agent::{
    clock::{MachineClock, SharedClock},
    simulated::{Script, SimulatedAgent},
};
use client::{Client, Credentials, RetryPolicy};
use entra_local::TokenRequest;
use serde_json::json;
use std::sync::Arc;
use test_support::issuer::{HOME_TENANT, mint};
use tokio::{sync::OnceCell, task::JoinHandle};

/// The agent. Dropping it ends it.
#[derive(Default)]
pub(super) struct Simulator(OnceCell<(Arc<SimulatedAgent>, JoinHandle<()>)>);

impl Simulator {
    /// Has the agent ask this replica from now on.
    pub(super) async fn asks(&self, replica: &Process) {
        let client = client_of(replica);
        let registered = self.0.get_or_init(|| async {
            register(replica).await;
            let agent = Arc::new(SimulatedAgent::new(client.clone(), Script::new()));
            let working = agent.clone();
            let clock: SharedClock = Arc::new(MachineClock);
            (agent, tokio::spawn(async move { working.run(&clock).await }))
        });
        registered.await.0.replace(client);
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        if let Some((_, job)) = self.0.get() {
            job.abort();
        }
    }
}

async fn register(replica: &Process) {
    let person = Person::SIMULATOR;
    let body = json!({
        "scope": { "allTenants": true, "reason": "One agent for all of them" },
        "servesUnreported": true,
        "identity": {
            "tenantId": HOME_TENANT, "clientId": person.id, "objectId": person.service_principal(),
        },
    });
    let operator = replica.operator();
    let made = operator.put("/operator/v1/agents/simulator", &body).await;
    made.unwrap().expect(201);
}

fn client_of(replica: &Process) -> Client {
    let mut token = TokenRequest::client(Person::SIMULATOR.name);
    token.claims.insert("roles".into(), json!(["Fame.Agent"]));
    Client::new(client::Settings {
        url: replica.base_url().parse().unwrap(),
        api_version: String::new(),
        credentials: Credentials::Token(mint(&token).into()),
        trusted: Vec::new(),
        timeout: TIME_LIMIT,
        retry: RetryPolicy::new(0),
    })
    .unwrap()
}
