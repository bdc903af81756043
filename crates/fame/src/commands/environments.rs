//! `fame environments`: which customers have an app, and which version of it.

use crate::{
    args::{AppInCountries, AppInCountry, QueryArgs},
    exit::Exit,
    failure::Failure,
    output::Column,
    session::Session,
};
use clap::{Args, Subcommand};
use client::{Narrowing, Query, literal};
use domain::ids::TenantId;
use reqwest::StatusCode;
use serde_json::Value;

/// `fame environments …`
#[derive(Subcommand, Debug)]
pub(crate) enum EnvironmentsCommand {
    /// List the environments that have an app installed
    List {
        #[command(flatten)]
        scope: AppInCountries,
        #[command(flatten)]
        query: QueryArgs,
    },
    /// Show one environment, of the first country named that has it
    Get {
        #[command(flatten)]
        scope: AppInCountries,
        #[command(flatten)]
        named: NamedArgs,
    },
    /// List what was done with an app in one environment, of the first country named that has it
    History {
        #[command(flatten)]
        scope: AppInCountries,
        #[command(flatten)]
        named: NamedArgs,
        #[command(flatten)]
        query: QueryArgs,
    },
}

/// One environment of a country.
#[derive(Args, Debug)]
pub(crate) struct NamedArgs {
    /// The environment's name
    name: String,
    /// The customer's Microsoft Entra tenant, if several have an environment of that name
    #[arg(long, value_name = "ID")]
    aad_tenant_id: Option<TenantId>,
    /// The application family, if several have an environment of that name
    #[arg(long, value_name = "FAMILY")]
    family: Option<String>,
}

impl NamedArgs {
    /// The name, and what narrows it down.
    fn narrowed(self) -> (String, Narrowing) {
        let narrowing = Narrowing {
            aad_tenant_id: self.aad_tenant_id,
            application_family: self.family,
        };
        (self.name, narrowing)
    }
}

/// The columns of an environment's history.
pub(super) const HISTORY: &[Column] = &[
    ("CREATED", "createdOn"),
    ("KIND", "kind"),
    ("FROM", "sourceAppVersion"),
    ("TO", "targetAppVersion"),
    ("STATUS", "status"),
    ("ENDED", "endedOn"),
    ("BY", "requestedByType"),
    ("WHO", "requestedBy"),
    ("ID", "id"),
];

const COLUMNS: &[Column] = &[
    ("TENANT", "aadTenantId"),
    ("FAMILY", "applicationFamily"),
    ("NAME", "name"),
    ("TYPE", "type"),
    ("COUNTRY", "countryCode"),
    ("LOCATION", "locationName"),
    ("VERSION", "version"),
];

impl EnvironmentsCommand {
    /// Runs the command.
    pub(crate) async fn run(self, session: &Session) -> Result<Exit, Failure> {
        let client = &session.client;
        match self {
            Self::List { scope, query } => {
                let scopes = session.scopes(&scope).await?;
                let lists = scopes
                    .iter()
                    .map(|scope| client.list_environments(scope.app, &scope.country.0));
                session.print_lists(lists.collect(), query, COLUMNS).await?;
            }
            Self::Get { scope, named } => {
                let (name, narrowing) = named.narrowed();
                let get = async |scope: &AppInCountry| {
                    let environment = client.get_environment(scope.app, &scope.country.0, &name, &narrowing);
                    match environment.json().await {
                        Err(error) if error.refusal(StatusCode::NOT_FOUND).is_some() => {
                            let called_so = Query::default().filter(narrowing_filter(&name, &narrowing));
                            let list = client.list_environments(scope.app, &scope.country.0);
                            session.row(list.query(called_so), "name", &name, error).await
                        }
                        found => found,
                    }
                };
                let environment = session.find(&session.scopes(&scope).await?, get).await?;
                session.printer.record(&environment)?;
            }
            Self::History { scope, named, query } => {
                let (name, narrowing) = named.narrowed();
                let history = async |scope: &AppInCountry| {
                    let list =
                        client.list_environment_history(scope.app, &scope.country.0, &name, &narrowing);
                    let rows = list.query(query.clone().into()).json().all().await?;
                    Ok(Value::Array(rows))
                };
                let rows = session.find(&session.scopes(&scope).await?, history).await?;
                let rows = rows.as_array().map_or(&[][..], Vec::as_slice);
                session.printer.rows(rows, HISTORY)?;
            }
        }
        Ok(Exit::Done)
    }
}

/// The environments of that name, as narrowed down, in words that every service knows.
fn narrowing_filter(name: &str, narrowing: &Narrowing) -> String {
    let tenant = narrowing
        .aad_tenant_id
        .map(|tenant| format!(" and aadTenantId eq {tenant}"));
    let family = narrowing.application_family.as_deref();
    let family = family.map(|family| format!(" and applicationFamily eq {}", literal(family)));
    let further = [tenant, family].into_iter().flatten().collect::<String>();
    format!("name eq {}{further}", literal(name))
}
