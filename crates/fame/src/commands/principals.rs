//! `fame principals`: who has which roles on an app.

use crate::{
    args::{AppArg, IfMatch, QueryArgs},
    exit::Exit,
    failure::Failure,
    output::Column,
    session::Session,
};
use clap::{Args, Subcommand};
use domain::{
    ids::{PrincipalId, TenantId},
    principal::{PrincipalKind, Role},
};
use wire::principals::PrincipalPatch;

/// `fame principals …`
#[derive(Subcommand, Debug)]
pub(crate) enum PrincipalsCommand {
    /// List who has roles on an app
    List {
        #[command(flatten)]
        app: AppArg,
        #[command(flatten)]
        query: QueryArgs,
    },
    /// Show one principal
    Get {
        #[command(flatten)]
        app: AppArg,
        /// A user's object id, or an application's client id
        principal: PrincipalId,
    },
    /// Add a principal, or change the roles of one
    Set(SetArgs),
    /// Take all roles from a principal
    Remove {
        #[command(flatten)]
        app: AppArg,
        /// A user's object id, or an application's client id
        principal: PrincipalId,
        /// Do not ask whether this is meant where it is about yourself
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        condition: IfMatch,
    },
}

/// `fame principals set`
#[derive(Args, Debug)]
pub(crate) struct SetArgs {
    #[command(flatten)]
    app: AppArg,
    /// A user's object id, or an application's client id
    principal: PrincipalId,
    /// User or Application; needed for a new principal
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<PrincipalKind>,
    /// Owner, Contributor or Reader; repeat it for several. These are all roles that the principal then has
    #[arg(long = "role", value_name = "ROLE", required = true, value_delimiter = ',')]
    roles: Vec<Role>,
    /// The user's Microsoft Entra tenant; needed for a new user
    #[arg(long, value_name = "ID")]
    aad_tenant_id: Option<TenantId>,
    #[command(flatten)]
    condition: IfMatch,
}

const COLUMNS: &[Column] = &[
    ("ID", "id"),
    ("TYPE", "type"),
    ("ROLES", "roles"),
    ("TENANT", "aadTenantId"),
];

impl PrincipalsCommand {
    /// Runs the command.
    pub(crate) async fn run(self, session: &Session) -> Result<Exit, Failure> {
        let client = &session.client;
        match self {
            Self::List { app, query } => {
                let app = session.app(&app).await?;
                session
                    .print_list(client.list_principals(app), query, COLUMNS)
                    .await?;
            }
            Self::Get { app, principal } => {
                let app = session.app(&app).await?;
                session.print_one(client.get_principal(app, principal)).await?;
            }
            Self::Set(args) => {
                let app = session.app(&args.app).await?;
                let change = client.patch_principal(app, args.principal, &args.body());
                let change = change.if_match(args.condition.if_match.as_deref());
                session.print_one(change).await?;
            }
            Self::Remove {
                app,
                principal,
                yes,
                condition,
            } => {
                let app = session.app(&app).await?;
                if !yes && client.signed_in_as().await?.contains(&principal.0) {
                    session.printer.confirm(
                        "This takes all of your own roles on the app, and only another owner can give them back.",
                    )?;
                }
                let removal = client.delete_principal(app, principal);
                removal.if_match(condition.if_match.as_deref()).json().await?;
                session.printer.note(format!("Removed principal {principal}."));
            }
        }
        Ok(Exit::Done)
    }
}

impl SetArgs {
    fn body(&self) -> PrincipalPatch {
        PrincipalPatch {
            aad_tenant_id: self.aad_tenant_id.map(|tenant| tenant.0),
            kind: self.kind.map(|kind| kind.to_string()),
            roles: Some(self.roles.iter().map(ToString::to_string).collect()),
        }
    }
}
