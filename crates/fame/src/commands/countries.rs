//! `fame countries`: where an app is available.

use crate::{
    args::{AppArg, Country, QueryArgs},
    exit::Exit,
    failure::Failure,
    output::Column,
    session::Session,
};
use clap::Subcommand;

/// `fame countries …`
#[derive(Subcommand, Debug)]
pub(crate) enum CountriesCommand {
    /// List the countries of an app
    List {
        #[command(flatten)]
        app: AppArg,
        #[command(flatten)]
        query: QueryArgs,
    },
    /// Show a country of an app
    Get {
        #[command(flatten)]
        app: AppArg,
        /// The country, such as US
        country: Country,
    },
    /// Add countries to an app; adding one that is there changes nothing
    Add {
        #[command(flatten)]
        app: AppArg,
        /// The countries, such as US DK
        #[arg(required = true, value_name = "COUNTRY")]
        countries: Vec<Country>,
    },
}

const COLUMNS: &[Column] = &[("COUNTRY", "countryCode"), ("ETAG", "_etag")];

impl CountriesCommand {
    /// Runs the command.
    pub(crate) async fn run(self, session: &Session) -> Result<Exit, Failure> {
        let client = &session.client;
        match self {
            Self::List { app, query } => {
                let app = session.app(&app).await?;
                session
                    .print_list(client.list_countries(app), query, COLUMNS)
                    .await?;
            }
            Self::Get { app, country } => {
                let app = session.app(&app).await?;
                session.print_one(client.get_country(app, &country.0)).await?;
            }
            Self::Add { app, countries } => {
                let app = session.app(&app).await?;
                let mut added = Vec::new();
                for country in countries {
                    added.push(client.patch_country(app, &country.0).json().await?);
                }
                session.printer.rows(&added, COLUMNS)?;
            }
        }
        Ok(Exit::Done)
    }
}
