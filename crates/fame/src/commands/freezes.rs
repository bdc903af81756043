//! `fame freezes`: when nothing of an app starts.

use crate::{
    args::{AppArg, Country, IfMatch, QueryArgs, each},
    exit::Exit,
    failure::Failure,
    output::Column,
    session::Session,
};
use clap::{Args, Subcommand};
use domain::environment::EnvironmentKind;
use uuid::Uuid;
use wire::freezes::AppFreezeBody;

/// `fame freezes …`
#[derive(Subcommand, Debug)]
pub(crate) enum FreezesCommand {
    /// List the freezes of an app, those that are over as well
    List {
        #[command(flatten)]
        app: AppArg,
        #[command(flatten)]
        query: QueryArgs,
    },
    /// Show one of them
    Get(OneArgs),
    /// Declare a freeze: within it no hotfix of the app starts
    Add(Box<AddArgs>),
    /// Remove a freeze; what is due by then starts within a minute
    Remove {
        #[command(flatten)]
        one: OneArgs,
        #[command(flatten)]
        condition: IfMatch,
    },
}

/// Which freeze.
#[derive(Args, Debug)]
pub(crate) struct OneArgs {
    #[command(flatten)]
    app: AppArg,
    /// The freeze
    freeze: Uuid,
}

/// `fame freezes add`
#[derive(Args, Debug)]
pub(crate) struct AddArgs {
    #[command(flatten)]
    app: AppArg,
    /// From when on nothing starts, such as 2026-12-20T00:00:00+01:00
    #[arg(long, value_name = "INSTANT")]
    from: String,
    /// From when on it may again
    #[arg(long, value_name = "INSTANT")]
    to: String,
    /// In environments of this country alone, such as US; repeat it for several
    #[arg(
        long = "country",
        visible_alias = "countries",
        short,
        value_name = "CODE",
        value_delimiter = ','
    )]
    countries: Vec<Country>,
    /// In environments of this type alone, Production or Sandbox
    #[arg(long = "type", value_name = "TYPE")]
    kinds: Vec<EnvironmentKind>,
    /// Why, as those are told whose hotfixes wait
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

const COLUMNS: &[Column] = &[
    ("ID", "id"),
    ("FROM", "from"),
    ("TO", "to"),
    ("COUNTRIES", "countries"),
    ("TYPES", "types"),
    ("REASON", "reason"),
    ("BY", "createdBy"),
];

impl FreezesCommand {
    /// Runs the command.
    pub(crate) async fn run(self, session: &Session) -> Result<Exit, Failure> {
        let client = &session.client;
        match self {
            Self::List { app, query } => {
                let app = session.app(&app).await?;
                session
                    .print_list(client.list_app_freezes(app), query, COLUMNS)
                    .await?;
            }
            Self::Get(OneArgs { app, freeze }) => {
                let app = session.app(&app).await?;
                session.print_one(client.get_app_freeze(app, freeze)).await?;
            }
            Self::Add(args) => {
                let app = session.app(&args.app).await?;
                let request = client.put_app_freeze(app, Uuid::new_v4(), &args.body());
                session.print_one(request).await?;
            }
            Self::Remove { one, condition } => {
                let app = session.app(&one.app).await?;
                let request = client.delete_app_freeze(app, one.freeze);
                request.if_match(condition.if_match.as_deref()).json().await?;
                session.printer.note(format!("Removed freeze {}.", one.freeze));
            }
        }
        Ok(Exit::Done)
    }
}

impl AddArgs {
    fn body(&self) -> AppFreezeBody {
        let countries = each(&self.countries).into_iter();
        AppFreezeBody {
            from: self.from.clone(),
            to: self.to.clone(),
            countries: countries.map(|country| country.0.clone()).collect(),
            types: self.kinds.iter().map(EnvironmentKind::to_string).collect(),
            reason: self.reason.clone(),
        }
    }
}
