//! Which hotfixes are meant: those that are named, or all that match.

use super::{seen::Reader, selection::Target};
use crate::{
    args::{AppInCountry, QueryArgs, said},
    failure::Failure,
    session::Session,
};
use clap::Args;
use domain::{environment::EnvironmentKey, ids::OperationId, instant::Instant, version::AppVersion};
use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::Value;
use std::collections::HashMap;

/// How a command is used that goes by hotfixes: there are three ways to name them.
pub(super) fn usage_of_which(command: &str) -> String {
    let ways = ["<ID>...", "--target <VERSION>", "--filter <EXPRESSION>"];
    let usage = ways.map(|way| format!("fame hotfixes {command} [OPTIONS] --country <CODE> <APP> {way}"));
    usage.join("\n       ")
}

/// Hotfixes by their ids, or by what they are.
#[derive(Args, Debug)]
pub(crate) struct Which {
    /// The hotfixes
    #[arg(value_name = "ID", required_unless_present_any = ["target", "filter"], conflicts_with_all = ["target", "filter"])]
    ids: Vec<OperationId>,
    /// Instead of ids: the newest hotfix to this version in each environment
    #[arg(long, value_name = "VERSION")]
    target: Option<AppVersion>,
    /// Instead of ids: the newest hotfix in each environment for which this holds, as OData: "status eq 'Running'"
    #[arg(long, visible_alias = "where", value_name = "EXPRESSION", value_parser = said)]
    filter: Option<String>,
}

/// A hotfix, and where it is found.
pub(in crate::commands) struct Meant {
    pub scope: AppInCountry,
    pub id: OperationId,
}

impl Which {
    /// The hotfixes that are meant, and for which `condition` holds if they are not named: at least one.
    ///
    /// # Errors
    /// [`Failure::NotFound`] when nothing matches.
    pub(super) async fn resolve(
        &self,
        session: &Session,
        scopes: &[AppInCountry],
        condition: Option<&str>,
    ) -> Result<Vec<Meant>, Failure> {
        let reader = Reader::new(session);
        let Some(filter) = self.list_filter(condition) else {
            return self.named(&reader, scopes).await;
        };
        let mut meant = Vec::new();
        for scope in scopes {
            let query = QueryArgs {
                filter: Some(filter.clone()),
                ..QueryArgs::default()
            };
            let rows = reader.list(std::slice::from_ref(scope), &query).await?;
            let of_country = newest(&rows).into_iter().map(|id| Meant {
                scope: scope.clone(),
                id,
            });
            meant.extend(of_country);
        }
        match meant.is_empty() {
            true => Err(Failure::NotFound(format!(
                "There is no hotfix for which this holds: {filter}"
            ))),
            false => Ok(meant),
        }
    }

    fn list_filter(&self, condition: Option<&str>) -> Option<String> {
        let target = self
            .target
            .map(|version| format!("targetAppVersion eq '{version}'"));
        let filter = self.filter.as_ref().map(|filter| format!("({filter})"));
        let parts: Vec<String> = [target, filter].into_iter().flatten().collect();
        if parts.is_empty() {
            return None;
        }
        let condition = condition.map(str::to_owned);
        Some(
            parts
                .into_iter()
                .chain(condition)
                .collect::<Vec<_>>()
                .join(" and "),
        )
    }

    /// Those that are named, each in the country that has it; whichever that is, if none has.
    async fn named(&self, reader: &Reader<'_>, scopes: &[AppInCountry]) -> Result<Vec<Meant>, Failure> {
        let mut meant = Vec::new();
        for &id in &self.ids {
            let mut place = scopes.first();
            if scopes.len() > 1 {
                for scope in scopes {
                    match reader.one(scope, id).await {
                        Ok(_) => {
                            place = Some(scope);
                            break;
                        }
                        Err(error) if is_elsewhere(&error) => {}
                        // Nobody knows yet whether it is here.
                        Err(error) => return Err(error.into()),
                    }
                }
            }
            meant.extend(place.map(|scope| Meant {
                scope: scope.clone(),
                id,
            }));
        }
        Ok(meant)
    }
}

/// Whether a look for a hotfix says that it is not in that country, or of no concern there.
fn is_elsewhere(error: &client::Error) -> bool {
    [StatusCode::NOT_FOUND, StatusCode::FORBIDDEN]
        .into_iter()
        .any(|status| error.refusal(status).is_some())
}

/// The newest of each environment.
fn newest(rows: &[Value]) -> Vec<OperationId> {
    let mut newest: HashMap<EnvironmentKey, (Option<Instant>, usize, OperationId)> = HashMap::new();
    for (place, row) in rows.iter().enumerate() {
        let text = |property: &str| row[property].as_str();
        let Some(id) = text("id").and_then(|id| id.parse().ok()) else {
            continue;
        };
        let Some(key) = Target::deserialize(row).ok().and_then(|target| target.key()) else {
            continue;
        };
        let created = text("createdOn").and_then(|at| at.parse().ok());
        let known = newest.entry(key).or_insert((created, place, id));
        if created > known.0 {
            *known = (created, place, id);
        }
    }
    let mut newest: Vec<_> = newest.into_values().map(|(_, place, id)| (place, id)).collect();
    newest.sort_unstable_by_key(|(place, _)| *place);
    newest.into_iter().map(|(_, id)| id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn of_each_environment_the_newest_counts() {
        let row = |number: u32, name: &str, created: &str| {
            json!({"id": format!("{number:08}-3333-4444-5555-eeeeeeeeeeee"), "createdOn": created, "environmentName": name,
                   "environmentAadTenantId": "aaaabbbb-0000-cccc-1111-dddd2222eeee",
                   "environmentApplicationFamily": "BusinessCentral"})
        };
        let rows = [
            row(1, "North", "2026-11-30T19:00:00Z"),
            row(2, "South", "2026-11-30T19:00:00Z"),
            row(3, "north", "2026-11-30T20:00:00Z"),
            row(4, "South", "2026-11-30T18:00:00Z"),
        ];
        let ids: Vec<String> = newest(&rows)
            .iter()
            .map(|id| id.to_string().chars().take(8).collect::<String>())
            .collect();
        assert_eq!(ids, ["00000002", "00000003"]);
    }
}
