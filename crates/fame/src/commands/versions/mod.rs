//! `fame versions`: the packages of an app that are published for a country.

mod download;
mod foretold;
pub(super) mod packages;
mod partial;
pub(super) mod target;
mod upload;

use crate::{
    args::{AppAt, AppInCountries, IfMatch, QueryArgs, availability},
    exit::Exit,
    failure::Failure,
    output::Column,
    session::{Session, Shown},
};
use clap::{Args, Subcommand};
use domain::{
    ids::AppId,
    version::{AppVersion, Availability, SyncMode},
};
use wire::versions::{DependencyPatch, VersionPatchBody};

/// `fame versions …`
#[derive(Subcommand, Debug)]
pub(crate) enum VersionsCommand {
    /// List the versions of an app in a country
    List {
        #[command(flatten)]
        scope: AppInCountries,
        #[command(flatten)]
        query: QueryArgs,
    },
    /// Show one version
    Get {
        #[command(flatten)]
        scope: AppInCountries,
        /// The version, such as 16.0.1.2
        version: AppVersion,
    },
    /// Upload packages, each to all the countries named
    Upload(upload::UploadArgs),
    /// Change who is offered a version, or what it is known not to work with
    Update(UpdateArgs),
    /// Fetch the package of a version
    Download(download::DownloadArgs),
}

/// `fame versions update`
#[derive(Args, Debug)]
#[group(id = "change", required = true, multiple = true, args = ["availability", "incompatible_from", "clear_incompatible", "sync_mode"])]
pub(crate) struct UpdateArgs {
    #[command(flatten)]
    scope: AppInCountries,
    /// The version, such as 16.0.1.2
    version: AppVersion,
    /// To whom it is offered: Preview, Available or Deprecated
    #[arg(long, ignore_case = true, hide_possible_values = true, value_parser = availability())]
    availability: Option<Availability>,
    /// From which version of a dependency on it no longer works
    #[arg(long, value_name = "APP=VERSION")]
    incompatible_from: Vec<AppAt>,
    /// Take back what was said about a dependency
    #[arg(long, value_name = "APP")]
    clear_incompatible: Vec<AppId>,
    /// How the database follows the app's schema on an update: Sync or ForceSync
    #[arg(long, value_name = "MODE", value_parser = sync_mode)]
    sync_mode: Option<SyncMode>,
    /// Change nothing, and say what the change would hit
    #[arg(long, conflicts_with = "if_match")]
    dry_run: bool,
    #[command(flatten)]
    condition: IfMatch,
}

/// The columns of what a change would hit.
const HIT: &[Column] = &[
    ("VERSION", "version"),
    ("COUNTRY", "countryCode"),
    ("ENVIRONMENTS", "environments"),
    ("PRODUCTION", "production"),
    ("SCHEDULED", "scheduledHotfixes"),
    ("DEPENDANTS", "dependants"),
];

fn sync_mode(text: &str) -> Result<SyncMode, String> {
    SyncMode::parse(text).map_err(|error| error.to_string())
}

/// The columns of a list of versions.
const COLUMNS: &[Column] = &[
    ("VERSION", "version"),
    ("COUNTRY", "countryCode"),
    ("AVAILABILITY", "availability"),
    ("STATUS", "status"),
    ("UPLOADED ON", "uploadedOn"),
    ("NAME", "name"),
];

impl VersionsCommand {
    /// Runs the command.
    pub(crate) async fn run(self, session: &Session) -> Result<Exit, Failure> {
        let client = &session.client;
        match self {
            Self::List { scope, query } => {
                let scopes = session.scopes(&scope).await?;
                let lists = scopes
                    .iter()
                    .map(|scope| client.list_versions(scope.app, &scope.country.0));
                session.print_lists(lists.collect(), query, COLUMNS).await?;
            }
            Self::Get { scope, version } => {
                let scopes = session.scopes(&scope).await?;
                let get = scopes.into_iter().map(|scope| {
                    let get = client.get_version(scope.app, &scope.country.0, version);
                    (scope.country, get)
                });
                return session.print_each(get.collect(), COLUMNS, Shown::Whole).await;
            }
            Self::Update(args) => {
                let scopes = session.scopes(&args.scope).await?;
                if args.dry_run {
                    let hit = scopes.into_iter().map(|scope| {
                        let hit =
                            client.what_if_version(scope.app, &scope.country.0, args.version, &args.body());
                        (scope.country, hit)
                    });
                    return session.print_each(hit.collect(), HIT, Shown::Whole).await;
                }
                let change = scopes.into_iter().map(|scope| {
                    let change =
                        client.patch_version(scope.app, &scope.country.0, args.version, &args.body());
                    (scope.country, change.if_match(args.condition.if_match.as_deref()))
                });
                return session.print_each(change.collect(), COLUMNS, Shown::Brief).await;
            }
            Self::Upload(args) => return args.run(session).await,
            Self::Download(args) => return args.run(session).await,
        }
        Ok(Exit::Done)
    }
}

impl UpdateArgs {
    fn body(&self) -> VersionPatchBody {
        let said = self
            .incompatible_from
            .iter()
            .map(|AppAt { app, version }| DependencyPatch {
                app_id: app.0,
                incompatible_from_version: Some(version.to_string()),
            });
        let taken_back = self.clear_incompatible.iter().map(|app| DependencyPatch {
            app_id: app.0,
            incompatible_from_version: None,
        });
        VersionPatchBody {
            availability: self.availability.map(|availability| availability.to_string()),
            sync_mode: self.sync_mode.map(|mode| mode.to_string()),
            dependencies: said.chain(taken_back).collect(),
        }
    }
}
