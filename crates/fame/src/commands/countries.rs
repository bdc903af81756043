//! `fame countries`: where an app is available.

use crate::{
    args::{Country, QueryArgs},
    client::{Call, Client},
    exit::Exit,
    failure::Failure,
    output::Column,
};
use clap::Subcommand;
use domain::ids::AppId;
use reqwest::Method;
use wire::countries::CountryPatch;

/// `fame countries …`
#[derive(Subcommand, Debug)]
pub enum CountriesCommand {
    /// List the countries of an app
    List {
        /// The app
        app: AppId,
        #[command(flatten)]
        query: QueryArgs,
    },
    /// Show a country of an app
    Get {
        /// The app
        app: AppId,
        /// The country, such as US
        country: Country,
    },
    /// Add countries to an app; adding one that is there changes nothing
    Add {
        /// The app
        app: AppId,
        /// The countries, such as US DK
        #[arg(required = true, value_name = "COUNTRY")]
        countries: Vec<Country>,
    },
}

const COLUMNS: &[Column] = &[("COUNTRY", "countryCode"), ("ETAG", "_etag")];

impl CountriesCommand {
    /// Runs the command.
    pub async fn run(self, client: &Client) -> Result<Exit, Failure> {
        match self {
            Self::List { app, query } => {
                let url = client.api(&["apps", &app.to_string(), "countries"]);
                client.print_list(url, &query, COLUMNS).await?;
            }
            Self::Get { app, country } => {
                let url = client.api(&["apps", &app.to_string(), "countries", &country.0]);
                client.print_one(url).await?;
            }
            Self::Add { app, countries } => {
                let mut added = Vec::new();
                for country in countries {
                    let url = client.api(&["apps", &app.to_string(), "countries", &country.0]);
                    let call = Call::new(Method::PATCH, url).json(&CountryPatch {
                        country_code: Some(country.0),
                    })?;
                    added.push(client.fetch(&call).await?);
                }
                client.printer().rows(&added, COLUMNS)?;
            }
        }
        Ok(Exit::Done)
    }
}
