//! `fame fleet`: which version of an app each environment has.

use crate::{
    args::{AppInAnyCountries, QueryArgs, said},
    exit::Exit,
    failure::Failure,
    output::Column,
    session::Session,
};
use clap::Args;
use domain::version::AppVersion;
use serde_json::Value;
use std::{cmp::Reverse, collections::BTreeMap};

/// `fame fleet`
#[derive(Args, Debug)]
pub(crate) struct FleetArgs {
    #[command(flatten)]
    scope: AppInAnyCountries,
    /// Only environments for which this holds, as OData: "type eq 'Production' and version lt '16.0.1.2'"
    #[arg(long, visible_alias = "where", value_name = "EXPRESSION", value_parser = said)]
    filter: Option<String>,
    /// Print comma-separated values, for a spreadsheet
    #[arg(long, conflicts_with = "json")]
    csv: bool,
}

const COLUMNS: &[Column] = &[
    ("COUNTRY", "countryCode"),
    ("TENANT", "aadTenantId"),
    ("FAMILY", "applicationFamily"),
    ("ENVIRONMENT", "name"),
    ("TYPE", "type"),
    ("VERSION", "version"),
];

impl FleetArgs {
    /// Runs the command.
    pub(crate) async fn run(self, session: &Session) -> Result<Exit, Failure> {
        let printer = session.printer;
        let scopes = session.scopes_or_all(&self.scope).await?;
        let client = &session.client;
        let lists = scopes
            .iter()
            .map(|scope| client.list_environments(scope.app, &scope.country.0));
        let query = QueryArgs {
            filter: self.filter,
            ..QueryArgs::default()
        };
        let rows = session.rows(lists.collect(), &query).await?;
        match self.csv {
            true => printer.csv(&rows, COLUMNS)?,
            false => printer.rows(&rows, COLUMNS)?,
        }
        if !rows.is_empty() {
            printer.note(counts(&rows));
        }
        Ok(Exit::Done)
    }
}

/// How many environments have each version, the newest first.
fn counts(rows: &[Value]) -> String {
    let mut counts: BTreeMap<(Reverse<Option<AppVersion>>, &str), usize> = BTreeMap::new();
    for row in rows {
        let text = row["version"].as_str().unwrap_or("no version");
        *counts.entry((Reverse(text.parse().ok()), text)).or_default() += 1;
    }
    let parts = counts
        .iter()
        .map(|((_, text), count)| format!("{count} with {text}"));
    let parts: Vec<String> = parts.collect();
    let plural = if rows.len() == 1 {
        "environment"
    } else {
        "environments"
    };
    format!("{} {plural}: {}.", rows.len(), parts.join(", "))
}
