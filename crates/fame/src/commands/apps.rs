//! `fame apps`: what apps there are, and what you may do with them.

use crate::{
    args::{AppArg, QueryArgs},
    exit::Exit,
    failure::Failure,
    output::Column,
    session::Session,
};
use clap::Subcommand;
use reqwest::StatusCode;

/// `fame apps …`
#[derive(Subcommand, Debug)]
pub(crate) enum AppsCommand {
    /// List the apps that you have a role on
    List(#[command(flatten)] QueryArgs),
    /// Show an app
    Get(AppArg),
    /// List what you may do with an app
    Permissions(AppArg),
    /// List the roles there are on an app and what each of them may do
    Roles(AppArg),
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
            Self::Get(app) => {
                let id = session.app(&app).await?;
                let found = match client.get_app(id).json().await {
                    Err(error) if error.refusal(StatusCode::NOT_FOUND).is_some() => {
                        session
                            .row(client.list_apps(), "id", &id.to_string(), error)
                            .await?
                    }
                    found => found?,
                };
                session.printer.record(&found)?;
            }
            Self::Permissions(app) => {
                let permissions = client.get_my_permissions(session.app(&app).await?);
                session
                    .print_list(permissions, whole, &[("ACTION", "action")])
                    .await?;
            }
            Self::Roles(app) => {
                let columns = &[("ROLE", "name"), ("PERMISSIONS", "permissions")];
                let roles = client.list_roles(session.app(&app).await?);
                session.print_list(roles, whole, columns).await?;
            }
        }
        Ok(Exit::Done)
    }
}
