//! `fame tags`: a vendor's own words on the environments that have its app.

use super::operator::EnvironmentArgs;
use crate::{
    args::{AppArg, AppInCountries, QueryArgs, said},
    exit::Exit,
    failure::Failure,
    output::Column,
    session::Session,
};
use clap::{Args, Subcommand};
use wire::tags::{EnvironmentTagsBody, TagsChangeBody};

/// `fame tags …`
#[derive(Subcommand, Debug)]
pub(crate) enum TagsCommand {
    /// List the environments that have tags, or those that a filter names
    List {
        #[command(flatten)]
        scope: AppInCountries,
        #[command(flatten)]
        query: QueryArgs,
    },
    /// Put tags on one environment, in place of those that it has
    Set {
        #[command(flatten)]
        app: AppArg,
        #[command(flatten)]
        environment: EnvironmentArgs,
        /// A tag, such as ring0; repeatable
        #[arg(value_name = "TAG", required_unless_present = "none", value_parser = said)]
        tags: Vec<String>,
        /// Leave it without any
        #[arg(long, conflicts_with = "tags")]
        none: bool,
    },
    /// Put tags on all environments that a filter names, of all countries
    Add(ManyArgs),
    /// Take tags from all environments that a filter names, of all countries
    Remove(ManyArgs),
}

/// Which environments, and which tags.
#[derive(Args, Debug)]
pub(crate) struct ManyArgs {
    #[command(flatten)]
    app: AppArg,
    /// A tag, such as ring0; repeatable
    #[arg(value_name = "TAG", required = true, value_parser = said)]
    tags: Vec<String>,
    /// Environments for which this holds, as OData: "type eq 'Sandbox'"; true for all
    #[arg(long, value_name = "EXPRESSION", value_parser = said)]
    filter: String,
}

const COLUMNS: &[Column] = &[
    ("TENANT", "aadTenantId"),
    ("CUSTOMER", "customerName"),
    ("FAMILY", "applicationFamily"),
    ("NAME", "name"),
    ("TYPE", "type"),
    ("COUNTRY", "countryCode"),
    ("VERSION", "version"),
    ("TAGS", "tags"),
];

/// What is shown of an environment unless somebody says otherwise.
const SELECTED: &str = "aadTenantId,applicationFamily,name,type,countryCode,version,customerName,tags";

impl TagsCommand {
    /// Runs the command.
    pub(crate) async fn run(self, session: &Session) -> Result<Exit, Failure> {
        let client = &session.client;
        match self {
            Self::List { scope, query } => {
                let query = QueryArgs {
                    filter: query.filter.or_else(|| Some("tags/any()".to_owned())),
                    select: query.select.or_else(|| Some(SELECTED.to_owned())),
                    ..query
                };
                let scopes = session.scopes(&scope).await?;
                let lists = scopes
                    .iter()
                    .map(|scope| client.list_environments(scope.app, &scope.country.0));
                session.print_lists(lists.collect(), query, COLUMNS).await?;
            }
            Self::Set {
                app,
                environment,
                tags,
                none: _,
            } => {
                let app = session.app(&app).await?;
                let body = EnvironmentTagsBody { tags };
                session
                    .print_one(client.put_tags(app, environment.path(), &body))
                    .await?;
            }
            Self::Add(ManyArgs { app, tags, filter }) => {
                let change = TagsChangeBody {
                    filter,
                    add: tags,
                    remove: Vec::new(),
                };
                change_all(session, &app, &change).await?;
            }
            Self::Remove(ManyArgs { app, tags, filter }) => {
                let change = TagsChangeBody {
                    filter,
                    add: Vec::new(),
                    remove: tags,
                };
                change_all(session, &app, &change).await?;
            }
        }
        Ok(Exit::Done)
    }
}

async fn change_all(session: &Session, app: &AppArg, change: &TagsChangeBody) -> Result<(), Failure> {
    let app = session.app(app).await?;
    session.print_one(session.client.change_tags(app, change)).await
}
