//! Hotfixes as they are read and shown: with what a service tells only to those who ask for it.

use crate::{
    args::{AppInCountry, QueryArgs},
    exit::Exit,
    failure::Failure,
    output::{Column, Printer, cell},
    session::Session,
};
use domain::{ids::OperationId, operation::OperationStatus};
use reqwest::StatusCode;
use serde_json::Value;
use std::{
    collections::HashSet,
    sync::atomic::{AtomicBool, Ordering},
};
use wire::{Entity, hotfixes::EnvironmentHotfix};

/// Asks for all that can be told of hotfixes, until the service turns out not to know it.
pub(in crate::commands) struct Reader<'s> {
    session: &'s Session,
    is_plain: AtomicBool,
}

impl<'s> Reader<'s> {
    pub(in crate::commands) fn new(session: &'s Session) -> Self {
        Self {
            session,
            is_plain: AtomicBool::new(false),
        }
    }

    /// The hotfixes of these countries, as far as `query` asks for them.
    pub(in crate::commands) async fn list(
        &self,
        scopes: &[AppInCountry],
        query: &QueryArgs,
    ) -> Result<Vec<Value>, Failure> {
        let lists = || {
            let list = |scope: &AppInCountry| self.session.client.list_hotfixes(scope.app, &scope.country.0);
            scopes.iter().map(list).collect()
        };
        let everything = QueryArgs {
            select: Some(EnvironmentHotfix::PROPERTIES.join(",")),
            ..query.clone()
        };
        if self.is_plain.load(Ordering::Relaxed) {
            return self.session.rows(lists(), query).await;
        }
        match self.session.rows(lists(), &everything).await {
            // Another service, or an older one.
            Err(failure) if failure.exit() == Exit::Refused => {
                let rows = self.session.rows(lists(), query).await?;
                self.is_plain.store(true, Ordering::Relaxed);
                Ok(rows)
            }
            rows => rows.map(|rows| rows.into_iter().map(as_shown).collect()),
        }
    }

    /// One hotfix.
    pub(in crate::commands) async fn one(
        &self,
        scope: &AppInCountry,
        id: OperationId,
    ) -> client::Result<Value> {
        let get = || self.session.client.get_hotfix(scope.app, &scope.country.0, id);
        if self.is_plain.load(Ordering::Relaxed) {
            return get().json().await;
        }
        match get()
            .select(&EnvironmentHotfix::PROPERTIES.join(","))
            .json()
            .await
        {
            Err(error) if error.refusal(StatusCode::BAD_REQUEST).is_some() => {
                self.is_plain.store(true, Ordering::Relaxed);
                get().json().await
            }
            row => row.map(as_shown),
        }
    }
}

/// The status that a row tells, if it is a known one.
pub(in crate::commands) fn status_of(row: &Value) -> Option<OperationStatus> {
    row.get("status")?.as_str()?.parse().ok()
}

/// A row without what was asked for and is not so.
fn as_shown(mut row: Value) -> Value {
    let shown = EnvironmentHotfix::PROPERTIES
        .get(..EnvironmentHotfix::SHOWN)
        .unwrap_or_default();
    if let Some(members) = row.as_object_mut() {
        members.retain(|name, value| !value.is_null() || shown.contains(&name.as_str()));
    }
    row
}

const COLUMNS: &[Column] = &[
    ("ID", "id"),
    ("TENANT", "environmentAadTenantId"),
    ("ENVIRONMENT", "environmentName"),
    ("STATUS", "status"),
    ("FROM", "sourceAppVersion"),
    ("TO", "targetAppVersion"),
    ("RUN AFTER", "runAfter"),
];

/// What only some hotfixes have, so that a table has room for it only where it says something.
const RARER: &[Column] = &[
    ("STARTS", "expectedStart"),
    ("WAITING FOR", "waitingFor"),
    ("POSTPONED ON", "postponedOn"),
    ("POSTPONED FOR", "postponeReason"),
];

/// The columns of a table of these hotfixes.
pub(super) fn columns(rows: &[Value]) -> Vec<Column<'static>> {
    let country = country_column(rows);
    let is_said = |(_, property): &&Column<'_>| rows.iter().any(|row| !row[*property].is_null());
    let rarer = RARER.iter().filter(is_said);
    let all = COLUMNS.iter().chain(rarer).copied();
    all.chain(country).chain([("MESSAGE", "errorMessage")]).collect()
}

/// The column of the country, where there are several.
pub(super) fn country_column(rows: &[Value]) -> Option<Column<'static>> {
    let countries: HashSet<&str> = rows
        .iter()
        .filter_map(|row| row["countryCode"].as_str())
        .collect();
    (countries.len() > 1).then_some(("COUNTRY", "countryCode"))
}

/// What lies ahead of a hotfix that has not started, as far as the service tells.
pub(in crate::commands) fn prospect(row: &Value) -> Option<String> {
    let start = row["expectedStart"]
        .as_str()
        .map(|_| format!("starts {}", cell(&row["expectedStart"])));
    let waits = row["waitingFor"]
        .as_str()
        .map(|word| format!("waiting for {}", meaning(word)));
    let reason = row["postponeReason"].as_str();
    let postponed = row["postponedOn"].as_str().map(|_| match reason {
        Some(_) => format!("postponed by its customer: {}", cell(&row["postponeReason"])),
        None => "postponed by its customer".to_owned(),
    });
    let parts: Vec<String> = [start, waits, postponed].into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn meaning(word: &str) -> &str {
    match word {
        "RunAfter" => "the time that was asked for",
        "Window" => "the update window",
        "Slot" => "the end of what runs in the environment",
        "Held" => "its environment, in which nothing starts",
        "Freeze" => "the end of a freeze",
        "Agent" => "an agent, as nobody carries it out",
        other => other,
    }
}

/// Whether nobody is there to carry a hotfix out.
pub(super) fn is_left_alone(row: &Value) -> bool {
    row["waitingFor"] == "Agent"
}

/// Says so where nobody carries hotfixes out.
pub(super) fn warn_of_nobody<'r>(printer: Printer, rows: impl Iterator<Item = &'r Value>) {
    let left_alone = rows.filter(|row| is_left_alone(row)).count();
    if left_alone > 0 {
        printer.warning(format!(
            "Nobody carries out {left_alone} of them: no agent that works has the environment. They wait until one does."
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::waiting::WaitingFor;
    use serde_json::json;

    #[test]
    fn every_wait_is_said_in_words() {
        for word in WaitingFor::ALL {
            assert_ne!(meaning(word.as_str()), word.as_str());
        }
    }

    #[test]
    fn columns_that_say_nothing_are_left_out() {
        let plain = json!({"id": "a", "countryCode": "US"});
        let waits = json!({"id": "b", "countryCode": "DK", "waitingFor": "Window"});
        assert_eq!(columns(std::slice::from_ref(&plain)).len(), COLUMNS.len() + 1);
        let headings: Vec<_> = columns(&[plain, waits])
            .into_iter()
            .map(|(heading, _)| heading)
            .collect();
        assert!(
            headings.ends_with(&["WAITING FOR", "COUNTRY", "MESSAGE"]),
            "{headings:?}"
        );
    }
}
