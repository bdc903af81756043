//! `fame operator agents`: who carries operations out, and within which scope.

use super::or_file;
use crate::{
    args::{IfMatch, QueryArgs},
    failure::Failure,
    output::{Column, cell},
    session::Session,
};
use clap::{Args, Subcommand};
use client::Request;
use domain::ids::TenantId;
use serde_json::Value;
use std::{path::PathBuf, str::FromStr};
use uuid::Uuid;
use wire::operator::{AgentRegistrationBody, IdentityBody, RegisteredAgent, RotationBody, ScopeBody};

/// `fame operator agents …`
#[derive(Subcommand, Debug)]
pub(crate) enum AgentsCommand {
    /// Make an agent, or replace what is registered of it; a new one gets an enrolment code
    Put(Box<PutAgent>),
    /// List all agents
    List(#[command(flatten)] QueryArgs),
    /// Show an agent
    Get {
        /// The agent
        name: String,
    },
    /// Remove an agent; its environments are nobody's then, until another agent reports them
    Delete {
        /// The agent
        name: String,
    },
    /// Make a new enrolment code for an agent
    Rotate {
        /// The agent
        name: String,
        /// The token that it has dies at once, and not only when the code is used
        #[arg(long)]
        revoke: bool,
    },
}

/// `fame operator agents put`
#[derive(Args, Debug)]
pub(crate) struct PutAgent {
    /// The agent
    name: String,
    /// The whole request as JSON, instead of the flags below; - reads standard input
    #[arg(long, value_name = "BODY.JSON", conflicts_with_all = ["tenants", "all_tenants", "families", "names", "serves_unreported", "identity"])]
    file: Option<PathBuf>,
    /// A tenant whose environments it may serve; repeat it for several
    #[arg(long = "scope-tenant", value_name = "ID", required_unless_present_any = ["file", "all_tenants"])]
    tenants: Vec<TenantId>,
    /// It may serve environments of all tenants, for this reason
    #[arg(long, value_name = "REASON", conflicts_with = "tenants")]
    all_tenants: Option<String>,
    /// An application family that it may serve; repeat it for several. Otherwise all
    #[arg(long = "scope-family", value_name = "FAMILY")]
    families: Vec<String>,
    /// A pattern of names that it may serve, such as "prod*"; repeat it for several. Otherwise all
    #[arg(long = "scope-name", value_name = "PATTERN")]
    names: Vec<String>,
    /// It also serves what belongs to no agent now, and what the operator registers later
    #[arg(long)]
    serves_unreported: bool,
    /// The application of Microsoft Entra that it signs in as: CLIENT-ID/OBJECT-ID@TENANT-ID
    #[arg(long, value_name = "IDENTITY")]
    identity: Option<Identity>,
    #[command(flatten)]
    condition: IfMatch,
}

/// An application as typed: `CLIENT-ID/OBJECT-ID@TENANT-ID`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity(IdentityBody);

impl FromStr for Identity {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = "expected CLIENT-ID/OBJECT-ID@TENANT-ID";
        let guid = |text: &str| text.parse::<TenantId>().map_err(|error| error.to_string());
        let (ids, tenant) = text.split_once('@').ok_or(expected)?;
        let (client, object) = ids.split_once('/').ok_or(expected)?;
        Ok(Self(IdentityBody {
            tenant_id: guid(tenant)?.0,
            client_id: guid(client)?.0,
            object_id: guid(object)?.0,
        }))
    }
}

const AGENTS: &[Column] = &[
    ("NAME", "name"),
    ("STATE", "state"),
    ("READY", "ready"),
    ("LAST SEEN ON", "lastSeenOn"),
    ("SOFTWARE", "software"),
    ("ENVIRONMENTS", "environments"),
    ("RUNNING", "running"),
    ("DUE ON", "dueOn"),
];

impl AgentsCommand {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        let (client, printer) = (&session.client, session.printer);
        match self {
            Self::Put(put) => {
                let request = or_file(client.put_agent(&put.name, &put.body()), put.file.as_deref())?;
                let request = request.if_match(put.condition.if_match.as_deref());
                print_agent(session, request).await
            }
            Self::List(query) => session.print_list(client.list_agents(), query, AGENTS).await,
            Self::Get { name } => print_agent(session, client.get_agent(&name)).await,
            Self::Delete { name } => {
                client.delete_agent(&name).json().await?;
                printer.note(format!("Removed {name}."));
                Ok(())
            }
            Self::Rotate { name, revoke } => {
                print_agent(session, client.rotate_agent(&name, &RotationBody { revoke })).await
            }
        }
    }
}

/// Prints an agent. For people its scope is said in words, and what else may serve the same stands out.
async fn print_agent(session: &Session, request: Request<RegisteredAgent>) -> Result<(), Failure> {
    let mut agent = request.json().await?;
    let printer = session.printer;
    let overlaps = agent.get("overlaps").map(cell).unwrap_or_default();
    if !overlaps.is_empty() {
        printer.warning(format!(
            "The scope overlaps with that of {overlaps}: what several may serve is served by the first to report it."
        ));
    }
    if !printer.is_json()
        && let Some(scope) = agent.get_mut("scope")
    {
        *scope = in_words(scope).into();
    }
    Ok(printer.record(&agent)?)
}

fn in_words(scope: &Value) -> String {
    let whose = match scope["allTenants"].as_bool() {
        Some(true) => format!("all tenants ({})", cell(&scope["reason"])),
        _ => format!("tenants {}", cell(&scope["tenants"])),
    };
    let rest = ["families", "names"].into_iter().filter_map(|what| {
        let list = cell(&scope[what]);
        (!list.is_empty()).then(|| format!("{what} {list}"))
    });
    [whose].into_iter().chain(rest).collect::<Vec<_>>().join("; ")
}

impl PutAgent {
    fn body(&self) -> AgentRegistrationBody {
        let some = |list: &[String]| (!list.is_empty()).then(|| list.to_vec());
        let tenants: Vec<Uuid> = self.tenants.iter().map(|tenant| tenant.0).collect();
        AgentRegistrationBody {
            scope: ScopeBody {
                tenants: (!tenants.is_empty()).then_some(tenants),
                all_tenants: self.all_tenants.is_some(),
                reason: self.all_tenants.clone(),
                families: some(&self.families),
                names: some(&self.names),
            },
            serves_unreported: self.serves_unreported,
            identity: self.identity.clone().map(|Identity(identity)| identity),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_scope_is_said_in_words() {
        let some = json!({ "tenants": ["a", "b"], "allTenants": false, "reason": null, "families": null, "names": ["prod*"] });
        assert_eq!(in_words(&some), "tenants a, b; names prod*");
        let all =
            json!({ "tenants": null, "allTenants": true, "reason": "One hoster", "families": ["f", "g"] });
        assert_eq!(in_words(&all), "all tenants (One hoster); families f, g");
    }

    #[test]
    fn an_identity_is_typed_with_all_of_its_ids() {
        let id = "cccccccc-dddd-eeee-3333-444444444444";
        let read: Identity = format!("{id}/{id}@{id}").parse().unwrap();
        assert_eq!(read.0.client_id.to_string(), id);
        for wrong in [id.to_owned(), format!("{id}@{id}"), format!("{id}/x@{id}")] {
            assert!(wrong.parse::<Identity>().is_err(), "{wrong}");
        }
    }
}
