//! What an agent's inventories write into history: change by change, as long as it is not more in an hour than one agent may
//! write. Of what goes beyond, history says how much it was; what is known of the environments is written as ever.
//!
//! Else one agent whose target says now this and now that fills the database and everybody's outbox. Environments that
//! are new count for nothing: there are only so many of them. The count is kept in the agent's row, which is locked
//! anyway, so it is one count by way of whichever server.

use super::{
    Reporter,
    drift::{self, Drift},
};
use crate::{
    actions::{
        agents,
        audit::{self, Change},
        environments::Written,
        events::{self, AgentStep},
    },
    error::Result,
};
use domain::instant::Instant;
use serde_json::{Value, json};
use std::time::Duration;
use store::{
    Tx,
    agents::{Agent, Recorded},
    inventories::set_recorded,
};
use uuid::Uuid;

const HOUR: Duration = Duration::from_secs(3_600);

/// Whether all was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    All,
    /// Not all, and that is known.
    Less,
    /// Not all, for the first time in this hour.
    LessFromNowOn,
}

impl Told {
    /// Says in the log, once an hour, that an agent goes beyond what is told of it.
    pub(super) fn warn(self, by: &Reporter) {
        if self == Self::LessFromNowOn {
            let (agent, most) = (&by.caller.name, by.most_recorded);
            tracing::warn!(
                agent,
                most,
                "an agent's inventories change more than is recorded in an hour (agents.recorded_changes_per_hour); they \
                 are taken, and the audit says how many more changes there were"
            );
        }
    }
}

/// Writes down what has become of environments by what an agent reports, its row locked, and tells of it.
pub(super) async fn record(
    tx: &mut Tx<'_>,
    by: &Reporter,
    agent: &Agent,
    written: &[Written],
    drift: &[Drift<'_>],
) -> Result<Told> {
    let mut hour = Hour::of(agent, by);
    let drift: Vec<_> = drift.iter().filter(|_| hour.has_room()).collect();
    let written = written
        .iter()
        .filter(|one| one.before.is_none() || hour.has_room());
    let written: Vec<_> = written.map(Written::change).collect();
    audit::record_all(tx, by.actor(), by.now, written).await?;
    drift::record(tx, by.actor(), by.now, &drift).await?;
    hour.end(tx, by, agent).await
}

/// What is counted of an agent in the hour that it is.
struct Hour {
    before: Recorded,
    now: Recorded,
    most: u64,
}

impl Hour {
    fn of(agent: &Agent, by: &Reporter) -> Self {
        let goes_on = |since: &Instant| by.now < *since + HOUR;
        let before = match agent.recorded.since.filter(goes_on) {
            Some(_) => agent.recorded,
            None => Recorded::default(),
        };
        Self {
            before,
            now: before,
            most: by.most_recorded,
        }
    }

    /// Whether one more change is written down; it is counted either way.
    fn has_room(&mut self) -> bool {
        let has_room = self.now.count < self.most;
        match has_room {
            true => self.now.count += 1,
            false => self.now.beyond += 1,
        }
        has_room
    }

    /// Writes down the counts, if there is something new in them.
    async fn end(self, tx: &mut Tx<'_>, by: &Reporter, agent: &Agent) -> Result<Told> {
        let Self { before, mut now, .. } = self;
        if now == before {
            return Ok(Told::All);
        }
        let since = *now.since.get_or_insert(by.now);
        let told = match now.beyond_id {
            _ if now.beyond == before.beyond => Told::All,
            Some(id) => {
                audit::amend(tx, id, &state(since, now)).await?;
                Told::Less
            }
            None => {
                let change = Change {
                    action: "agents/unrecorded",
                    target: agents::target(&agent.name),
                    before: None,
                    after: Some(state(since, now)),
                };
                let id = *now.beyond_id.insert(Uuid::now_v7());
                audit::record_under(tx, id, by.actor(), by.now, change).await?;
                events::emit_agent(tx, AgentStep::Unrecorded, by.actor(), by.now, agent).await?;
                Told::LessFromNowOn
            }
        };
        set_recorded(tx, agent.id, now).await?;
        Ok(told)
    }
}

fn state(since: Instant, now: Recorded) -> Value {
    json!({
        "since": since.to_string(),
        "recorded": now.count,
        "unrecorded": now.beyond,
    })
}
