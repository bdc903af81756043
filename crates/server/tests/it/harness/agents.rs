//! Agents, as operators make them and as they call.

use super::{Answer, Caller, HOME_TENANT, Harness, Person, mint};
use entra_local::TokenRequest;
use serde_json::{Value, json};
use uuid::Uuid;

/// What an agent is registered with that may serve everything.
pub(crate) fn agent_registration() -> Value {
    json!({ "scope": { "allTenants": true, "reason": "One agent for all of them" } })
}

/// What an agent is registered with that may serve one tenant.
pub(crate) fn agent_of(tenant: Uuid) -> Value {
    json!({ "scope": { "tenants": [tenant] } })
}

/// An application as agents are registered with it.
pub(crate) fn identity_of(person: &Person) -> Value {
    json!({ "tenantId": HOME_TENANT, "clientId": person.id, "objectId": person.service_principal() })
}

impl Harness {
    /// Registers an agent that may serve everything, which then enrols.
    pub(crate) async fn has_agent(&self, name: &str) -> Caller {
        let registered = self.operator().registers_agent(name, agent_registration()).await;
        self.enrols(&registered.property("enrolmentCode")).await
    }

    /// The agent that a code is for, in a process of its own.
    pub(crate) async fn enrols(&self, code: &str) -> Caller {
        let enrolled = self
            .nobody()
            .post("/agent/v1/enrol", json!({ "code": code }))
            .await
            .expect(200);
        self.caller_with_token(enrolled.property("token"))
            .in_session(Uuid::new_v4())
    }

    /// An application whose issuer says that it is an agent.
    pub(crate) fn cloud_agent(&self, person: &Person) -> Caller {
        self.caller_with_token(Caller::cloud_token(person))
            .in_session(Uuid::new_v4())
    }
}

impl Caller {
    /// A token of an application whose issuer says that it is an agent.
    pub(crate) fn cloud_token(person: &Person) -> String {
        let mut token = TokenRequest::client(person.name);
        token.claims.insert("roles".into(), json!(["Fame.Agent"]));
        mint(&token)
    }

    /// Registers an agent, as the operator.
    pub(crate) async fn registers_agent(&self, name: &str, registration: Value) -> Answer {
        self.put(agent_path(name), registration).await.expect(201)
    }

    /// The agent as the operator sees it.
    pub(crate) async fn sees_agent(&self, name: &str) -> Answer {
        self.get(agent_path(name)).await.expect(200)
    }
}

/// `/operator/v1/agents/{name}`
pub(crate) fn agent_path(name: &str) -> String {
    format!("/operator/v1/agents/{name}")
}
