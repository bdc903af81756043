//! The settings that the service starts with.
//!
//! Four layers, the later winning: the built-in `config.default.toml`, a file, the environment, flags. An operator
//! who mistypes a key must hear of it, of all mistakes at once, and of where each was made; so every value keeps
//! its origin, and nothing is looked up that the built-in file does not document.

mod database;
mod destinations;
mod layers;
mod log;
mod network;
mod operators;
mod read;
mod show;
mod storage;
mod values;

pub use auth::oidc_id;
pub(crate) use destinations::Host;
pub use destinations::{AllowedDestination, DestinationSettings};
pub use layers::{Origin, Problem, Severity, Sources};
pub use log::{InvalidLogFilter, LogFilter, LogFormat, LogSettings, SecurityLog};
pub use network::Network;
pub use operators::{Operator, OperatorSettings};
pub use show::Explained;
pub use storage::{AzureCredentials, BucketSettings, Location, Provider, StorageBackend, StorageSettings};
pub use store::settings::{DatabaseSettings, DatabaseUrl, Migrate};

use crate::{blobs, private, secrets::KeyRing};
use auth::AuthSettings;
use domain::zone::AddedZone;
use serde::Deserialize;
use std::{net::SocketAddr, path::PathBuf, time::Duration};
use values::{number, seconds};

/// Everything that can be set, checked. The keys are documented in `config.default.toml`.
#[derive(Clone, Debug, Deserialize)]
pub struct Settings {
    /// Section `server`.
    pub server: ServerSettings,
    /// Section `database`.
    #[serde(with = "database::Section")]
    pub database: DatabaseSettings,
    /// Section `retention`.
    pub retention: RetentionSettings,
    /// Section `feed`.
    pub feed: FeedSettings,
    /// Section `storage`.
    pub storage: StorageSettings,
    /// Section `packages`.
    pub packages: PackageSettings,
    /// Section `quotas`.
    pub quotas: QuotaSettings,
    /// Section `countries`.
    pub countries: CountrySettings,
    /// Section `time_zones`.
    pub time_zones: TimeZoneSettings,
    /// Section `hotfixes`.
    pub hotfixes: HotfixSettings,
    /// Section `odata`.
    pub odata: OdataSettings,
    /// Section `identity`; without issuers, nobody can sign in.
    pub identity: AuthSettings,
    /// Section `operators`.
    pub operators: OperatorSettings,
    /// Section `executor`.
    pub executor: ExecutorSettings,
    /// Section `agents`.
    pub agents: AgentSettings,
    /// Section `customers`.
    pub customers: CustomerSettings,
    /// Section `limits`.
    pub limits: LimitSettings,
    /// Section `log`.
    pub log: LogSettings,
    /// Section `metrics`.
    pub metrics: MetricsSettings,
    /// Section `secrets`.
    pub secrets: SecretSettings,
    /// Section `destinations`.
    pub destinations: DestinationSettings,
}

/// Section `secrets`.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct SecretSettings {
    /// Files with the keys under which secrets are kept: the first seals, all open.
    pub keys: Vec<PathBuf>,
}

/// Section `server`.
#[derive(Clone, Debug, Deserialize)]
pub struct ServerSettings {
    /// Where requests are accepted.
    #[serde(deserialize_with = "values::listen_address")]
    pub listen: SocketAddr,
    /// What callers reach the service as, without a slash at its end.
    #[serde(deserialize_with = "values::public_url")]
    pub public_url: Option<String>,
    /// The folder for what the service keeps.
    #[serde(deserialize_with = "values::folder")]
    pub data_dir: PathBuf,
    /// How long requests and operations under way may go on when the service is asked to stop.
    #[serde(rename = "drain_seconds", deserialize_with = "seconds::<0, 3_600, _>")]
    pub drain: Duration,
}

/// Section `retention`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct RetentionSettings {
    /// How many days audit rows are kept; `None`: for ever.
    #[serde(deserialize_with = "values::days_kept::<30, _>")]
    pub audit_days: Option<u16>,
    /// How many days operations are kept after they ended; `None`: for ever.
    #[serde(deserialize_with = "values::days_kept::<7, _>")]
    pub operations_days: Option<u16>,
}

/// Section `feed`.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct FeedSettings {
    /// How long events are kept for those who come back.
    #[serde(rename = "keep_hours", deserialize_with = "values::hours::<1, 720, _>")]
    pub keep: Duration,
    /// How many of them are kept at most.
    #[serde(deserialize_with = "number::<1_000, 100_000_000, _, _>")]
    pub keep_most: i64,
    /// Streams of events at the same time.
    #[serde(deserialize_with = "number::<1, 1_000_000, _, _>")]
    pub streams: usize,
    /// Streams of one principal at the same time.
    #[serde(deserialize_with = "number::<1, 1_000_000, _, _>")]
    pub streams_per_principal: usize,
}

/// Section `packages`.
#[derive(Clone, Debug, Deserialize)]
pub struct PackageSettings {
    /// Largest package, in bytes.
    #[serde(deserialize_with = "number::<1_024, 17_179_869_184, _, _>")]
    pub max_bytes: u64,
    /// Whether a version must be the same bytes in every country.
    pub same_bytes_across_countries: bool,
    /// Whether packages that hold only symbols are taken in.
    pub allow_symbols_only: bool,
    /// How far an upload may be behind what is asked of it.
    #[serde(rename = "upload_idle_seconds", deserialize_with = "seconds::<1, 3_600, _>")]
    pub upload_idle: Duration,
    /// How many bytes of its package an upload must bring in a second.
    #[serde(deserialize_with = "number::<1, 1_073_741_824, _, _>")]
    pub upload_bytes_per_second: u64,
    /// Uploads at the same time.
    #[serde(deserialize_with = "number::<1, 1_024, _, _>")]
    pub concurrent_uploads: usize,
}

/// Section `quotas`: what one app may take up; 0: any amount.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct QuotaSettings {
    /// Bytes of all its packages together.
    #[serde(deserialize_with = "number::<0, 70_368_744_177_664, _, _>")]
    pub app_bytes: u64,
    /// Versions, in all countries together.
    #[serde(deserialize_with = "number::<0, 1_000_000_000, _, _>")]
    pub app_versions: u64,
    /// Hotfixes that have not begun.
    #[serde(deserialize_with = "number::<0, 1_000_000_000, _, _>")]
    pub app_scheduled_hotfixes: u64,
    /// Principals that its owners add.
    #[serde(deserialize_with = "number::<0, 1_000_000_000, _, _>")]
    pub app_principals: u64,
}

/// Section `countries`.
#[derive(Clone, Debug, Deserialize)]
pub struct CountrySettings {
    /// Whether `W1` counts as a country.
    pub allow_w1: bool,
}

/// Section `time_zones`.
#[derive(Clone, Debug, Deserialize)]
pub struct TimeZoneSettings {
    /// Ids beyond those that are known, each with its zone of the IANA database.
    #[serde(deserialize_with = "values::zones")]
    pub added: Vec<AddedZone>,
}

/// Section `hotfixes`.
#[derive(Clone, Debug, Deserialize)]
pub struct HotfixSettings {
    /// Whether a sandbox may get a Preview version.
    pub preview_in_sandbox: bool,
}

/// Section `odata`.
#[derive(Clone, Debug, Deserialize)]
pub struct OdataSettings {
    /// Whether `filter=` means `$filter=`.
    pub no_dollar_options: bool,
}

/// Section `executor`.
#[derive(Clone, Debug, Deserialize)]
pub struct ExecutorSettings {
    /// How long an operation stays claimed without a heartbeat.
    #[serde(rename = "lease_seconds", deserialize_with = "seconds::<10, 86_400, _>")]
    pub lease: Duration,
    /// How often to look for due operations when nothing announced one.
    #[serde(rename = "poll_seconds", deserialize_with = "seconds::<1, 3_600, _>")]
    pub poll: Duration,
}

/// Section `agents`.
#[derive(Clone, Debug, Deserialize)]
pub struct AgentSettings {
    /// How long a token is good.
    #[serde(rename = "token_days", deserialize_with = "values::days::<1, 90, _>")]
    pub token: Duration,
    /// How long an enrolment code is good.
    #[serde(
        rename = "enrolment_minutes",
        deserialize_with = "values::minutes::<1, 60, _>"
    )]
    pub enrolment: Duration,
    /// How long an environment stays registered that its agent does not find any more.
    #[serde(
        rename = "remove_missing_hours",
        deserialize_with = "values::hours::<1, 8_760, _>"
    )]
    pub remove_missing_after: Duration,
    /// Largest inventory, in bytes.
    #[serde(deserialize_with = "number::<1_024, 268_435_456, _, _>")]
    pub inventory_body_bytes: usize,
    /// Changes that an agent's inventories write into history one by one in an hour.
    #[serde(deserialize_with = "number::<1, 10_000_000, _, _>")]
    pub recorded_changes_per_hour: u64,
    /// Customers of whose failures vendors are told the cause only.
    pub only_cause_to_vendor: Vec<uuid::Uuid>,
}

/// Section `customers`.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct CustomerSettings {
    /// Changes of one caller in an hour, in all tenants together; 0: any number.
    #[serde(deserialize_with = "number::<0, 1_000_000, _, _>")]
    pub changes_per_hour: u32,
    /// Whether an uninstall may take the app's data along.
    pub delete_data: bool,
    /// By how many days a vendor's hotfix may be postponed; 0: by none.
    #[serde(deserialize_with = "number::<0, 365, _, _>")]
    pub postpone_days: u32,
    /// Whether anybody is told, without signing in, that an environment is there.
    pub deployment_url: bool,
}

/// Section `limits`.
#[derive(Clone, Debug, Deserialize)]
pub struct LimitSettings {
    /// Largest JSON body, in bytes.
    #[serde(deserialize_with = "number::<1_024, 67_108_864, _, _>")]
    pub json_body_bytes: usize,
    /// Requests of one principal at the same time.
    #[serde(deserialize_with = "number::<1, 100_000, _, _>")]
    pub concurrent_per_principal: usize,
    /// Requests of one principal that may wait.
    #[serde(deserialize_with = "number::<0, 100_000, _, _>")]
    pub queue_per_principal: usize,
    /// Connections at the same time.
    #[serde(deserialize_with = "number::<16, 1_000_000, _, _>")]
    pub connections: usize,
    /// Connections of one address at the same time; 0: as many as there are.
    #[serde(deserialize_with = "number::<0, 1_000_000, _, _>")]
    pub connections_per_address: usize,
    /// Addresses that many callers share, so that their connections are not counted.
    pub proxies: Vec<Network>,
    /// How long the headers of a request may take, and a connection may stay without one.
    #[serde(rename = "request_header_seconds", deserialize_with = "seconds::<1, 600, _>")]
    pub request_header: Duration,
    /// How long a JSON body may take.
    #[serde(rename = "request_body_seconds", deserialize_with = "seconds::<1, 600, _>")]
    pub request_body: Duration,
    /// How far a caller may be behind in taking an answer.
    #[serde(rename = "response_idle_seconds", deserialize_with = "seconds::<1, 3_600, _>")]
    pub response_idle: Duration,
}

/// Section `metrics`.
#[derive(Clone, Debug, Deserialize)]
pub struct MetricsSettings {
    /// Where they are read; `None`: nowhere, and none are kept.
    #[serde(deserialize_with = "values::optional_listen_address")]
    pub listen: Option<SocketAddr>,
    /// How often what has to be counted in the database is counted.
    #[serde(rename = "refresh_seconds", deserialize_with = "seconds::<1, 3_600, _>")]
    pub refresh: Duration,
}

/// Settings, and where each came from.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The settings.
    pub settings: Settings,
    provenance: Vec<Explained>,
}

impl Settings {
    /// Puts the layers together and checks every value.
    ///
    /// # Errors
    /// All problems at once.
    pub fn load(sources: &Sources) -> Result<Loaded, Vec<Problem>> {
        let (mut values, mut problems) = layers::merge(sources);
        problems.extend(database::read_url_file(&mut values).err());
        let (settings, unreadable) = read::settings(&values);
        problems.extend(unreadable);
        match settings {
            Some(settings) if problems.is_empty() => Ok(Loaded {
                settings,
                provenance: show::explain(&values),
            }),
            _ => {
                problems.sort_by(|one, other| one.key.cmp(&other.key));
                Err(problems)
            }
        }
    }
}

const PLAINTEXT_ALLOWED: &str = "whoever is between here and the database can read and change what is sent";
const PLAINTEXT_REFUSED: &str = "over a network use sslmode=verify-full, or say database.allow_plaintext = true where \
                                 nobody else can reach it";

impl Loaded {
    /// Every key with its value and where it came from, secrets hidden; for `fame config show`.
    #[must_use]
    pub fn explain(&self) -> &[Explained] {
        &self.provenance
    }

    /// What stands against serving real callers with these settings. Errors forbid it; warnings are for the log.
    #[must_use]
    pub fn check_production(&self) -> Vec<Problem> {
        let settings = &self.settings;
        let mut problems = Vec::new();
        let mut object = |key: &str, severity, message: &str| {
            problems.push(self.against(key, severity, message));
        };
        if settings.identity.issuers.is_empty() {
            let message = "is empty, so nobody could sign in: name an issuer and its audiences";
            object("identity.issuers", Severity::Error, message);
        }
        if settings.operators.principals.is_empty() {
            let message = "is empty, so nobody could register an app: name an operator";
            object("operators.principals", Severity::Error, message);
        }
        let server = &settings.server;
        if server.public_url.is_none() && !server.listen.ip().is_loopback() {
            let message = "is empty, and the service listens on more than this machine: name the address by which callers \
                           reach it, for what they send as their Host is not believed";
            object("server.public_url", Severity::Error, message);
        }
        if let Some(why) = settings.database.exposure() {
            let (severity, more) = match settings.database.allow_plaintext {
                true => (Severity::Warning, PLAINTEXT_ALLOWED),
                false => (Severity::Error, PLAINTEXT_REFUSED),
            };
            object(database::URL, severity, &format!("{why}: {more}"));
        }
        if server.public_url.is_none() && !settings.identity.publishers.is_empty() {
            let message = "names issuers of pipelines, whose tokens have to be meant for server.public_url, which is empty";
            object("identity.publishers", Severity::Error, message);
        }
        if settings.identity.allow_insecure_loopback {
            let message = "is on: whoever can listen on a loopback authority's port can sign for everybody";
            object("identity.allow_insecure_loopback", Severity::Warning, message);
        }
        if settings.destinations.allow_loopback {
            let message = "is on: whoever may have a webhook reaches what listens on this machine alone";
            object("destinations.allow_loopback", Severity::Warning, message);
        }
        let with_secrets = self.provenance.iter().filter(|given| given.value.contains("***"));
        for given in with_secrets {
            if let Origin::File(path) = &given.origin
                && let Some(mode) = private::mode_for_others(path)
            {
                let message =
                    format!("is a secret in a file that is open to others (mode {mode:04o}): make it 0600");
                object(&given.key, Severity::Warning, &message);
            }
        }
        for location in settings
            .storage
            .locations
            .iter()
            .filter(|location| location.is_exposed())
        {
            let message = format!(
                "has '{}' at an http:// endpoint on another machine: packages and credentials could be read on the way",
                location.name
            );
            object("storage.locations", Severity::Error, &message);
        }
        let unusable = self.unusable().into_iter();
        problems.extend(unusable.map(|(key, message)| self.against(&key, Severity::Error, &message)));
        problems
    }

    /// What a start would stumble over that is not in the settings themselves, but in the files that they name.
    fn unusable(&self) -> Vec<(String, String)> {
        let settings = &self.settings;
        let mut unusable = Vec::new();
        if let Some(problem) = settings.identity.unusable() {
            unusable.push((problem.key, problem.message));
        }
        if let Some((is_in_url, message)) = settings.database.unusable_authorities() {
            let key = if is_in_url {
                database::URL
            } else {
                "database.ca_file"
            };
            unusable.push((key.to_owned(), message));
        }
        let keys = KeyRing::read(&settings.secrets.keys).err().unwrap_or_default();
        unusable.extend(
            keys.into_iter()
                .map(|message| ("secrets.keys".to_owned(), message)),
        );
        for location in &settings.storage.locations {
            if let Some(message) = blobs::unusable(location) {
                unusable.push((format!("storage.locations[{:?}]", location.name), message));
            }
        }
        unusable
    }

    /// As [`Self::check_production`] says it, of what could not be reached.
    pub(crate) fn unreachable(&self, key: &str, message: &str) -> Problem {
        Problem {
            code: "OutOfReach",
            ..self.against(key, Severity::Error, message)
        }
    }

    fn against(&self, key: &str, severity: Severity, message: &str) -> Problem {
        // `storage.locations["EU"]` was set where `storage.locations` was.
        let whole = key.split('[').next().unwrap_or(key);
        let origin = self.provenance.iter().find(|explained| explained.key == whole);
        Problem {
            severity,
            code: "UnfitForProduction",
            key: key.to_owned(),
            origin: origin.map(|explained| explained.origin.clone()),
            message: message.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests;
