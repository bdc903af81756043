//! Who carries out what is due, unless a test brings agents of its own: an agent that only pretends. Like any agent it
//! outlives the service, and learns only when it asks that this one has gone.

use super::{Caller, Harness, Person, agent_path, agent_registration, identity_of};
use agent::{
    clock::{Clock, SharedClock},
    simulated::{Script, SimulatedAgent},
};
use client::{Client, Credentials, RetryPolicy};
use domain::{chain::Chain, instant::Instant};
use futures::future::BoxFuture;
use serde_json::json;
use std::{sync::Arc, time::Duration};
use tokio::sync::OnceCell;
use tokio_util::task::AbortOnDropHandle;

/// No answer takes longer.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The agent, which is registered when time passes first.
pub(super) struct Simulator {
    script: Script,
    agent: OnceCell<Arc<SimulatedAgent>>,
}

impl Simulator {
    pub(super) fn new(script: Script) -> Self {
        Self {
            script,
            agent: OnceCell::new(),
        }
    }

    /// The agent, as it asks this service.
    async fn at(&self, service: &Harness) -> Arc<SimulatedAgent> {
        let client = service.agent_client.get_or_init(|| async {
            let settings = client::Settings {
                url: service.base_url().parse().unwrap(),
                api_version: String::new(),
                credentials: Credentials::Token(Caller::cloud_token(&Person::SIMULATOR).into()),
                trusted: Vec::new(),
                timeout: TIMEOUT,
                retry: RetryPolicy::new(0),
            };
            Client::new(settings).unwrap()
        });
        let client = client.await.clone();
        let agent = self.agent.get_or_init(|| async {
            let mut registration = agent_registration();
            registration["servesUnreported"] = json!(true);
            registration["identity"] = identity_of(&Person::SIMULATOR);
            let operator = service.operator();
            let registered = operator.put(agent_path("simulator"), registration).await;
            assert_eq!(registered.status / 100, 2, "{registered:?}");
            Arc::new(SimulatedAgent::new(client.clone(), self.script.clone()))
        });
        let agent = agent.await.clone();
        agent.replace(client);
        agent
    }

    /// Has the agent do all that it can at this moment; what stood in the way.
    pub(super) async fn catch_up(&self, service: &Harness) -> Result<(), String> {
        let caught_up = self.at(service).await.catch_up(service.now()).await;
        caught_up.map_err(|error| Chain(&error).to_string())
    }
}

/// The service's clock, as its agents read it.
struct ServiceClock(server::clock::Clock);

impl Clock for ServiceClock {
    fn now(&self) -> Instant {
        self.0.now()
    }

    fn reach(&self, moment: Instant) -> BoxFuture<'_, ()> {
        Box::pin(self.0.reach(moment))
    }
}

impl Harness {
    /// Lets the agent wait here for what becomes due, as long as the answer is kept.
    pub(crate) async fn has_a_waiting_agent(&self) -> AbortOnDropHandle<()> {
        let agent = self.simulator().at(self).await;
        let clock: SharedClock = Arc::new(ServiceClock(self.server.clock().clone()));
        AbortOnDropHandle::new(tokio::spawn(async move { agent.run(&clock).await }))
    }
}
