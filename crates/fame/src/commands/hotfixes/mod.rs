//! `fame hotfixes`: pushing a version to customers' environments, and finding out what became of it.

mod schedule;
mod selection;
mod wait;

use crate::{
    args::{QueryArgs, Shelf},
    client::{Call, Client, with_options},
    exit::Exit,
    failure::Failure,
    output::Column,
};
use clap::{Args, Subcommand};
use domain::{ids::OperationId, version::AppVersion};
use reqwest::{Method, Url};
use serde_json::Value;
use wire::hotfixes::HotfixPatchBody;

/// `fame hotfixes …`
#[derive(Subcommand, Debug)]
pub enum HotfixesCommand {
    /// List the hotfixes of an app in a country, the newest first
    List {
        #[command(flatten)]
        shelf: Shelf,
        #[command(flatten)]
        query: QueryArgs,
    },
    /// Show one hotfix
    Get {
        #[command(flatten)]
        shelf: Shelf,
        /// The hotfix
        id: OperationId,
    },
    /// Push a version to one environment, or to all that match
    Schedule(schedule::ScheduleArgs),
    /// Call off hotfixes that have not started
    Cancel {
        #[command(flatten)]
        shelf: Shelf,
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
pub struct PlanArgs {
    #[command(flatten)]
    shelf: Shelf,
    /// The version to go to
    #[arg(long, value_name = "VERSION")]
    target: AppVersion,
    /// Only environments for which this holds, as OData: "type eq 'Production'"
    #[arg(long, value_name = "EXPRESSION")]
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
    pub async fn run(self, client: &Client) -> Result<Exit, Failure> {
        match self {
            Self::List { shelf, query } => {
                let url = shelf.address(client, &["environmentHotfixes"]);
                client.print_list(url, &query, COLUMNS).await?;
            }
            Self::Get { shelf, id } => client.print_one(address(client, &shelf, id)).await?,
            Self::Plan(args) => {
                let rows = plan(client, &args.shelf, args.target, args.filter).await?;
                client.printer().rows(&rows, PLAN_COLUMNS)?;
            }
            Self::Cancel { shelf, ids } => return cancel(client, &shelf, &ids).await,
            Self::Schedule(args) => return args.run(client).await,
            Self::Wait(args) => return args.run(client).await,
        }
        Ok(Exit::Done)
    }
}

fn address(client: &Client, shelf: &Shelf, id: OperationId) -> Url {
    shelf.address(client, &["environmentHotfixes", &id.to_string()])
}

async fn plan(
    client: &Client,
    shelf: &Shelf,
    target: AppVersion,
    filter: Option<String>,
) -> Result<Vec<Value>, Failure> {
    let url = shelf.address(client, &["environmentHotfixes", "plan"]);
    let target = [
        ("targetAppVersion", Some(target.to_string())),
        ("$filter", filter),
    ];
    client
        .list(with_options(url, &target), &QueryArgs::default())
        .await
}

/// Cancels each; one that cannot be canceled any more does not keep the others.
async fn cancel(client: &Client, shelf: &Shelf, ids: &[OperationId]) -> Result<Exit, Failure> {
    let mut canceled = Vec::new();
    let mut outcomes = Vec::new();
    for &id in ids {
        let body = HotfixPatchBody {
            status: "Canceled".to_owned(),
        };
        let call = Call::new(Method::PATCH, address(client, shelf, id)).json(&body)?;
        match client.fetch(&call).await {
            Ok(row) => canceled.push(row),
            Err(failure) => {
                client.printer().error(format!("{id}: {failure}"));
                outcomes.push(failure.exit());
            }
        }
    }
    if !canceled.is_empty() || client.printer().is_json() {
        client.printer().rows(&canceled, COLUMNS)?;
    }
    Ok(Exit::first_of(outcomes))
}
