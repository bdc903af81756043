//! The environments of all agents, which are the same in every process: a number says everything.

use serde_json::{Value, json};

/// The app that hotfixes are scheduled for; the others belong to publishers whom the service does not know.
pub const APP: &str = "63ca2fa4-4f03-4f2b-a480-172fef340d3f";
pub const FAMILY: &str = "BusinessCentral";
/// Environments that a tenant has; all of a tenant's belong to one agent.
const OF_A_TENANT: u64 = 10;
/// More than an agent may have.
const OF_AN_AGENT: u64 = 100_000;

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Environment {
    pub agent: usize,
    pub number: usize,
}

impl Environment {
    /// The n-th of all, agents taking turns.
    pub const fn nth(n: usize, agents: usize) -> Self {
        Self {
            agent: n % agents,
            number: n / agents,
        }
    }

    pub fn tenant(self) -> String {
        let tenant = (self.agent as u64 * OF_AN_AGENT + self.number as u64) / OF_A_TENANT;
        format!("{tenant:08x}-0000-4000-8000-000000000000")
    }

    /// Begins with the agent's name, by which the agent's scope covers it.
    pub fn name(self) -> String {
        format!("a{:04}-{:05}", self.agent, self.number)
    }
}

/// What tells an environment from all others, as agents say it.
pub fn named(environment: Environment) -> Value {
    json!({
        "aadTenantId": environment.tenant(),
        "applicationFamily": FAMILY,
        "name": environment.name(),
    })
}

/// What is installed in an environment: the app in `version`, and others, the first of them in a version of its own.
pub fn report(environment: Environment, apps: usize, version: &str, other: &str) -> Value {
    let others = (1..apps).map(|app| {
        json!({
            "id": format!("0000a000-0000-4000-8000-{app:012}"),
            "name": format!("App {app}"),
            "publisher": "Fabrikam",
            "version": if app == 1 { other } else { "1.0.0.0" },
        })
    });
    let ours = json!({ "id": APP, "name": "Sales Pack", "publisher": "Contoso", "version": version });
    json!({
        "aadTenantId": environment.tenant(),
        "applicationFamily": FAMILY,
        "name": environment.name(),
        "countryCode": "US",
        "type": if environment.number % 10 == 3 { "Sandbox" } else { "Production" },
        "locationName": "West Europe",
        "applicationVersion": "27.0.0.0",
        "platformVersion": "27.0.0.0",
        "window": { "start": "20:00", "end": "06:00", "timeZone": "Romance Standard Time" },
        "inventoryComplete": true,
        "apps": std::iter::once(ours).chain(others).collect::<Vec<_>>(),
    })
}
