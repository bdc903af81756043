//! Environments that another agent reports than the one that they belong to. It is told of when it is first found; that it
//! goes on is no news.

use crate::{
    actions::{
        audit::{self, Actor, Change},
        environments::target,
        events::{self, EnvironmentNews, EnvironmentStep},
    },
    error::Result,
};
use domain::instant::Instant;
use serde_json::{Map, json};
use store::{
    Tx,
    environments::{Environment, update_environments},
};

/// Writes down that environments, whose rows are locked, are contested from now on, and tells of it.
pub(super) async fn record(
    tx: &mut Tx<'_>,
    by: Actor<'_>,
    now: Instant,
    contested: &[Environment],
) -> Result<()> {
    update_environments(tx, contested).await?;
    audit::record_all(tx, by, now, contested.iter().map(change)).await?;
    events::emit_environments(tx, by, now, contested.iter().map(news)).await
}

fn change(environment: &Environment) -> Change<'static> {
    Change {
        action: "environments/boundElsewhere",
        target: target(&environment.key()),
        before: None,
        after: Some(json!({ "agentId": environment.agent_id.map(|id| id.to_string()) })),
    }
}

fn news(environment: &Environment) -> EnvironmentNews<'_> {
    EnvironmentNews {
        step: EnvironmentStep::BoundElsewhere,
        environment,
        app_id: None,
        facts: Map::new(),
    }
}
