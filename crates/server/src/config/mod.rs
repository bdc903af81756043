//! What the service is told before it starts.
//!
//! Four layers, the later winning: the built-in `config.default.toml`, a file, the environment, flags. An operator
//! who mistypes a key must hear of it, of all mistakes at once, and of where each was made; so every value keeps
//! its origin, and nothing is looked up that the built-in file does not document.

mod database;
mod layers;
mod read;
mod show;
mod storage;

pub use layers::{Origin, Problem, Severity, Sources};
pub use show::Explained;
pub use storage::{AzureCredentials, BucketPlace, Place, Provider};
pub use store::settings::{DatabaseSettings, DatabaseUrl, Migrate};

use crate::telemetry::{LogFilter, LogFormat};
use auth::AuthSettings;
use domain::principal::PrincipalKind;
use read::Reader;
use std::{net::SocketAddr, path::PathBuf, time::Duration};
use uuid::Uuid;

/// Everything that can be set, checked. The keys are documented in `config.default.toml`.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Section `server`.
    pub server: ServerSettings,
    /// Section `database`.
    pub database: DatabaseSettings,
    /// Section `retention`.
    pub retention: RetentionSettings,
    /// Section `storage`.
    pub storage: StorageSettings,
    /// Section `packages`.
    pub packages: PackageSettings,
    /// Section `countries`.
    pub countries: CountrySettings,
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
    /// Section `limits`.
    pub limits: LimitSettings,
    /// Section `log`.
    pub log: LogSettings,
}

/// Section `server`.
#[derive(Clone, Debug)]
pub struct ServerSettings {
    /// Where requests are accepted.
    pub listen: SocketAddr,
    /// What callers reach the service as, without a slash at its end.
    pub public_url: Option<String>,
    /// The folder for what the service keeps.
    pub data_dir: PathBuf,
    /// How long requests and operations under way may go on when the service is asked to stop.
    pub drain: Duration,
}

/// Section `retention`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RetentionSettings {
    /// How many days audit rows are kept; `None`: for ever.
    pub audit_days: Option<u16>,
    /// How many days operations are kept after they ended; `None`: for ever.
    pub operations_days: Option<u16>,
}

/// Section `storage`.
#[derive(Clone, Debug)]
pub struct StorageSettings {
    /// How often to tidy up after crashes.
    pub sweep: Duration,
    /// How long uploads that give no sign of life, and bytes that no version needs, are left alone.
    pub grace: Duration,
    /// At least one; no two of one name or place.
    pub locations: Vec<Location>,
}

/// A place for packages that apps may name.
#[derive(Clone, Debug)]
pub struct Location {
    /// As the operator writes it.
    pub name: String,
    /// Where its packages are.
    pub place: Place,
}

impl StorageSettings {
    /// The location of that name, in any case.
    #[must_use]
    pub fn location(&self, name: &str) -> Option<&Location> {
        let wanted = name.trim().to_lowercase();
        self.locations
            .iter()
            .find(|location| location.name.to_lowercase() == wanted)
    }
}

/// Section `packages`.
#[derive(Clone, Debug)]
pub struct PackageSettings {
    /// Largest package, in bytes.
    pub max_bytes: u64,
    /// Whether a version must be the same bytes in every country.
    pub same_bytes_across_countries: bool,
    /// How long an upload may make no progress.
    pub upload_idle: Duration,
    /// Uploads at the same time.
    pub concurrent_uploads: usize,
}

/// Section `countries`.
#[derive(Clone, Debug)]
pub struct CountrySettings {
    /// Whether `W1` counts as a country.
    pub allow_w1: bool,
}

/// Section `hotfixes`.
#[derive(Clone, Debug)]
pub struct HotfixSettings {
    /// Whether a sandbox may get a Preview version.
    pub preview_in_sandbox: bool,
}

/// Section `odata`.
#[derive(Clone, Debug)]
pub struct OdataSettings {
    /// Whether `filter=` means `$filter=`.
    pub no_dollar_options: bool,
}

/// Section `operators`.
#[derive(Clone, Debug)]
pub struct OperatorSettings {
    /// Who may use the operator's door.
    pub principals: Vec<Operator>,
}

/// Somebody who may use the operator's door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operator {
    /// A person or a program.
    pub kind: PrincipalKind,
    /// A person's object id, a program's client id.
    pub id: Uuid,
    /// A person's tenant; programs have none.
    pub tenant_id: Option<Uuid>,
}

/// Section `executor`.
#[derive(Clone, Debug)]
pub struct ExecutorSettings {
    /// What carries out due operations.
    pub kind: ExecutorKind,
    /// How long an operation stays claimed without a sign of life.
    pub lease: Duration,
    /// How often to look for due operations when nothing announced one.
    pub poll: Duration,
    /// Operations at the same time.
    pub slots: usize,
}

/// What carries out due operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExecutorKind {
    /// Nothing here; agents do.
    None,
    /// A pretence that touches no environment.
    Simulate,
}

/// Section `limits`.
#[derive(Clone, Debug)]
pub struct LimitSettings {
    /// Largest JSON body, in bytes.
    pub json_body_bytes: usize,
    /// Requests of one principal at the same time.
    pub concurrent_per_principal: usize,
    /// Requests of one principal that may wait.
    pub queue_per_principal: usize,
    /// Connections at the same time.
    pub connections: usize,
    /// How long the headers of a request may take.
    pub request_header: Duration,
    /// How long a JSON body may take.
    pub request_body: Duration,
    /// How long a caller may take nothing of an answer.
    pub response_idle: Duration,
}

/// Section `log`.
#[derive(Clone, Debug)]
pub struct LogSettings {
    /// How much.
    pub level: LogFilter,
    /// How it is written.
    pub format: LogFormat,
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
        let mut reader = Reader::new(&values);
        let settings = Self::read(&mut reader);
        problems.append(&mut reader.problems);
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Loaded {
            settings,
            provenance: show::explain(&values),
        })
    }

    /// Every key once, in the order of the built-in file. What cannot be read leaves a problem with the reader, and
    /// a stand-in here that nobody gets to see.
    fn read(reader: &mut Reader<'_>) -> Self {
        const UPLOAD_IDLE: &str = "packages.upload_idle_seconds";
        let upload_idle = reader.seconds(UPLOAD_IDLE, 1..=3_600);
        Self {
            server: ServerSettings {
                listen: reader.listen_address("server.listen"),
                public_url: reader.public_url("server.public_url"),
                data_dir: reader.data_dir(),
                drain: reader.seconds("server.drain_seconds", 0..=3_600),
            },
            database: DatabaseSettings {
                url: reader.database_url(),
                connections: reader.number("database.connections", 1..=1_000),
                ca_file: reader.optional_path("database.ca_file"),
                allow_plaintext: reader.flag("database.allow_plaintext"),
                migrate: reader.word(
                    "database.migrate",
                    &[
                        ("at_start", Migrate::AtStart),
                        ("separately", Migrate::Separately),
                    ],
                ),
            },
            retention: RetentionSettings {
                audit_days: reader.days_kept("retention.audit_days", 30),
                operations_days: reader.days_kept("retention.operations_days", 7),
            },
            storage: StorageSettings {
                sweep: reader.seconds("storage.sweep_seconds", 1..=86_400),
                grace: reader.sweep_grace("storage.grace_seconds", (UPLOAD_IDLE, upload_idle)),
                locations: reader.locations("storage.locations"),
            },
            packages: PackageSettings {
                max_bytes: reader.number("packages.max_bytes", 1_024..=17_179_869_184),
                same_bytes_across_countries: reader.flag("packages.same_bytes_across_countries"),
                upload_idle,
                concurrent_uploads: reader.number("packages.concurrent_uploads", 1..=1_024),
            },
            countries: CountrySettings {
                allow_w1: reader.flag("countries.allow_w1"),
            },
            hotfixes: HotfixSettings {
                preview_in_sandbox: reader.flag("hotfixes.preview_in_sandbox"),
            },
            odata: OdataSettings {
                no_dollar_options: reader.flag("odata.no_dollar_options"),
            },
            identity: reader.identity(),
            operators: OperatorSettings {
                principals: reader.operators("operators.principals"),
            },
            executor: ExecutorSettings {
                kind: reader.word(
                    "executor.kind",
                    &[("none", ExecutorKind::None), ("simulate", ExecutorKind::Simulate)],
                ),
                lease: reader.seconds("executor.lease_seconds", 10..=86_400),
                poll: reader.seconds("executor.poll_seconds", 1..=3_600),
                slots: reader.number("executor.slots", 1..=100_000),
            },
            limits: LimitSettings {
                json_body_bytes: reader.number("limits.json_body_bytes", 1_024..=67_108_864),
                concurrent_per_principal: reader.number("limits.concurrent_per_principal", 1..=100_000),
                queue_per_principal: reader.number("limits.queue_per_principal", 0..=100_000),
                connections: reader.number("limits.connections", 16..=1_000_000),
                request_header: reader.seconds("limits.request_header_seconds", 1..=600),
                request_body: reader.seconds("limits.request_body_seconds", 1..=600),
                response_idle: reader.seconds("limits.response_idle_seconds", 1..=3_600),
            },
            log: LogSettings {
                level: reader.log_level("log.level"),
                format: reader.word(
                    "log.format",
                    &[("text", LogFormat::Text), ("json", LogFormat::Json)],
                ),
            },
        }
    }
}

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
        if settings.identity.issuers.is_empty() {
            let message = "is empty, so nobody could sign in: name an issuer and its audiences";
            problems.push(self.against("identity.issuers", Severity::Error, message));
        }
        if settings.operators.principals.is_empty() {
            let message = "is empty, so nobody could register an app: name an operator";
            problems.push(self.against("operators.principals", Severity::Error, message));
        }
        if let Some(why) = store::settings::exposure(&settings.database) {
            let (severity, message) = if settings.database.allow_plaintext {
                (
                    Severity::Warning,
                    format!(
                        "{why}: whoever is between here and the database can read and change what is sent"
                    ),
                )
            } else {
                (
                    Severity::Error,
                    format!(
                        "{why}: over a network use sslmode=verify-full, or say database.allow_plaintext = true where nobody else can reach it"
                    ),
                )
            };
            problems.push(self.against("database.url", severity, &message));
        }
        if settings.identity.allow_insecure_loopback {
            let message = "is on: whoever can listen on a loopback authority's port can sign for everybody";
            problems.push(self.against("identity.allow_insecure_loopback", Severity::Warning, message));
        }
        for location in &settings.storage.locations {
            if matches!(&location.place, Place::Bucket(bucket) if bucket.is_exposed()) {
                let message = format!(
                    "has '{}' at an http:// endpoint on another machine: packages and credentials could be read on the way",
                    location.name
                );
                problems.push(self.against("storage.locations", Severity::Error, &message));
            }
        }
        if settings.executor.kind == ExecutorKind::Simulate {
            let message = "is 'simulate': operations will end as done, but no environment is changed";
            problems.push(self.against("executor.kind", Severity::Warning, message));
        }
        problems
    }

    fn against(&self, key: &str, severity: Severity, message: &str) -> Problem {
        let origin = self.provenance.iter().find(|explained| explained.key == key);
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
