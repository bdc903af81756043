//! `fame apps`: what apps there are, and what you may do with them.

use crate::{args::QueryArgs, client::Client, exit::Exit, failure::Failure, output::Column};
use clap::Subcommand;
use domain::ids::AppId;

/// `fame apps …`
#[derive(Subcommand, Debug)]
pub enum AppsCommand {
    /// List the apps that you have a role on
    List(#[command(flatten)] QueryArgs),
    /// Show an app
    Get {
        /// The app
        app: AppId,
    },
    /// List what you may do with an app
    Permissions {
        /// The app
        app: AppId,
    },
    /// List the roles there are on an app and what each of them may do
    Roles {
        /// The app
        app: AppId,
    },
}

const COLUMNS: &[Column] = &[
    ("ID", "id"),
    ("NAME", "name"),
    ("PUBLISHER", "publisher"),
    ("STORAGE LOCATION", "storageLocation"),
];

impl AppsCommand {
    /// Runs the command.
    ///
    /// # Errors
    /// Those of [`Client::fetch`]; so for all commands that talk to the service.
    pub async fn run(self, client: &Client) -> Result<Exit, Failure> {
        match self {
            Self::List(query) => client.print_list(client.api(&["apps"]), &query, COLUMNS).await?,
            Self::Get { app } => client.print_one(client.api(&["apps", &app.to_string()])).await?,
            Self::Permissions { app } => {
                let url = client.api(&["apps", &app.to_string(), "getMyPermissions"]);
                let rows = client.post_for_list(url).await?;
                client.printer().rows(&rows, &[("ACTION", "action")])?;
            }
            Self::Roles { app } => {
                let url = client.api(&["apps", &app.to_string(), "roles"]);
                let columns = &[("ROLE", "name"), ("PERMISSIONS", "permissions")];
                client.print_list(url, &QueryArgs::default(), columns).await?;
            }
        }
        Ok(Exit::Done)
    }
}
