//! `fame hotfixes`: pushing a version to customers' environments, and finding out what became of it.

mod schedule;
mod selection;
mod wait;

use crate::{
    args::{AppInCountry, QueryArgs, said},
    exit::Exit,
    failure::Failure,
    output::Column,
    session::Session,
};
use clap::{Args, Subcommand};
use client::Query;
use domain::{ids::OperationId, version::AppVersion};
use serde_json::Value;

/// `fame hotfixes …`
#[derive(Subcommand, Debug)]
pub(crate) enum HotfixesCommand {
    /// List the hotfixes of an app in a country, the newest first
    List {
        #[command(flatten)]
        scope: AppInCountry,
        #[command(flatten)]
        query: QueryArgs,
    },
    /// Show one hotfix
    Get {
        #[command(flatten)]
        scope: AppInCountry,
        /// The hotfix
        id: OperationId,
    },
    /// Push a version to one environment, or to all that match
    Schedule(schedule::ScheduleArgs),
    /// Call off hotfixes that have not started
    Cancel {
        #[command(flatten)]
        scope: AppInCountry,
        /// The hotfixes
        #[arg(required = true, value_name = "ID")]
        ids: Vec<OperationId>,
    },
    /// Explain for each environment whether a hotfix could be scheduled and when it would start; changes nothing
    Plan(PlanArgs),
    /// Wait until hotfixes have ended, and make sure that they did what they were to do
    Wait(wait::WaitArgs),
}

/// `fame hotfixes plan`
#[derive(Args, Debug)]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    scope: AppInCountry,
    /// The version to go to
    #[arg(long, value_name = "VERSION")]
    target: AppVersion,
    /// Only environments for which this holds, as OData: "type eq 'Production'"
    #[arg(long, value_name = "EXPRESSION", value_parser = said)]
    filter: Option<String>,
}

const COLUMNS: &[Column] = &[
    ("ID", "id"),
    ("TENANT", "environmentAadTenantId"),
    ("ENVIRONMENT", "environmentName"),
    ("STATUS", "status"),
    ("FROM", "sourceAppVersion"),
    ("TO", "targetAppVersion"),
    ("RUN AFTER", "runAfter"),
    ("MESSAGE", "errorMessage"),
];

const PLAN_COLUMNS: &[Column] = &[
    ("TENANT", "aadTenantId"),
    ("FAMILY", "applicationFamily"),
    ("ENVIRONMENT", "name"),
    ("TYPE", "type"),
    ("INSTALLED", "installedVersion"),
    ("ELIGIBLE", "eligible"),
    ("STARTS AT", "startsAt"),
    ("REASONS", "reasons"),
];

impl HotfixesCommand {
    /// Runs the command.
    pub(crate) async fn run(self, session: &Session) -> Result<Exit, Failure> {
        let client = &session.client;
        match self {
            Self::List { scope, query } => {
                let list = client.list_hotfixes(scope.app, &scope.country.0);
                session.print_list(list, query, COLUMNS).await?;
            }
            Self::Get { scope, id } => {
                session
                    .print_one(client.get_hotfix(scope.app, &scope.country.0, id))
                    .await?;
            }
            Self::Plan(args) => {
                let rows = plan(session, &args.scope, args.target, args.filter).await?;
                session.printer.rows(&rows, PLAN_COLUMNS)?;
            }
            Self::Cancel { scope, ids } => return cancel(session, &scope, &ids).await,
            Self::Schedule(args) => return args.run(session).await,
            Self::Wait(args) => return args.run(session).await,
        }
        Ok(Exit::Done)
    }
}

async fn plan(
    session: &Session,
    scope: &AppInCountry,
    target: AppVersion,
    filter: Option<String>,
) -> Result<Vec<Value>, Failure> {
    let plan = session.client.plan_hotfixes(scope.app, &scope.country.0, target);
    Ok(plan.query(Query::default().filter(filter)).json().all().await?)
}

/// Cancels each; one that cannot be canceled any more does not keep the others.
async fn cancel(session: &Session, scope: &AppInCountry, ids: &[OperationId]) -> Result<Exit, Failure> {
    let printer = session.printer;
    let mut canceled = Vec::new();
    let mut outcomes = Vec::new();
    for &id in ids {
        let cancel = session.client.update_hotfix(scope.app, &scope.country.0, id);
        match cancel.json().await.map_err(Failure::from) {
            Ok(row) => canceled.push(row),
            Err(failure) => {
                printer.error(format!("{id}: {failure}"));
                outcomes.push(failure.exit());
            }
        }
    }
    if !canceled.is_empty() || printer.is_json() {
        printer.rows(&canceled, COLUMNS)?;
    }
    Ok(Exit::first_of(outcomes))
}
