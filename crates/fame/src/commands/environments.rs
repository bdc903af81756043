//! `fame environments`: which customers have an app, and which version of it.

use crate::{
    args::{QueryArgs, Shelf},
    client::{Client, with_options},
    exit::Exit,
    failure::Failure,
    output::Column,
};
use clap::Subcommand;
use domain::ids::TenantId;

/// `fame environments …`
#[derive(Subcommand, Debug)]
pub enum EnvironmentsCommand {
    /// List the environments that have an app installed
    List {
        #[command(flatten)]
        shelf: Shelf,
        #[command(flatten)]
        query: QueryArgs,
    },
    /// Show one environment
    Get {
        #[command(flatten)]
        shelf: Shelf,
        /// The environment's name
        name: String,
        /// The customer's Microsoft Entra tenant, if several have an environment of that name
        #[arg(long, value_name = "ID")]
        aad_tenant_id: Option<TenantId>,
        /// The application family, if several have an environment of that name
        #[arg(long, value_name = "FAMILY")]
        family: Option<String>,
    },
}

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
    pub async fn run(self, client: &Client) -> Result<Exit, Failure> {
        match self {
            Self::List { shelf, query } => {
                let url = shelf.address(client, &["environments"]);
                client.print_list(url, &query, COLUMNS).await?;
            }
            Self::Get {
                shelf,
                name,
                aad_tenant_id,
                family,
            } => {
                let url = shelf.address(client, &["environments", &name]);
                let narrowing = [
                    ("aadTenantId", aad_tenant_id.map(|tenant| tenant.to_string())),
                    ("applicationFamily", family),
                ];
                client.print_one(with_options(url, &narrowing)).await?;
            }
        }
        Ok(Exit::Done)
    }
}
