//! `fame apps`: what apps there are, and what you may do with them.

use crate::{args::QueryArgs, exit::Exit, failure::Failure, output::Column, session::Session};
use clap::Subcommand;
use domain::ids::AppId;

/// `fame apps …`
#[derive(Subcommand, Debug)]
pub(crate) enum AppsCommand {
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
    /// [`Failure::Service`]; so for all commands that talk to the service.
    pub(crate) async fn run(self, session: &Session) -> Result<Exit, Failure> {
        let (client, whole) = (&session.client, QueryArgs::default());
        match self {
            Self::List(query) => session.print_list(client.list_apps(), query, COLUMNS).await?,
            Self::Get { app } => session.print_one(client.get_app(app)).await?,
            Self::Permissions { app } => {
                let columns = &[("ACTION", "action")];
                session
                    .print_list(client.get_my_permissions(app), whole, columns)
                    .await?;
            }
            Self::Roles { app } => {
                let columns = &[("ROLE", "name"), ("PERMISSIONS", "permissions")];
                session.print_list(client.list_roles(app), whole, columns).await?;
            }
        }
        Ok(Exit::Done)
    }
}
