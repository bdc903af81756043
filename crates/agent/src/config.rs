//! The agent's configuration: one TOML file, and its policy in another.
//!
//! Read once, at the start; what comes out cannot be wrong any more. All that is wrong is told at once, each with the key
//! and the fact, and an unknown key with the one that was most likely meant.

pub use crate::section::Problem;

use crate::{
    drivers::DriverSettings,
    policy::Policy,
    secret::{Proof, Secret},
    section::Section,
};
use client::SecureUrl;
use domain::{
    country::CountryCode,
    environment::{EnvironmentKey, EnvironmentKind},
    inventory::MOST_ENVIRONMENTS,
    window::UpdateWindow,
};
use std::{
    collections::BTreeSet,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};
use toml::{Table, Value};
use wire::agent::{EnvironmentName, ReportedWindow};

/// All that an agent is told by its operator.
#[derive(Clone, Debug)]
pub struct Config {
    /// The service it works for.
    pub service: Service,
    /// Where it keeps what it has to know.
    pub folder: PathBuf,
    /// How many operations it carries out at once.
    pub parallel: usize,
    /// Where health and metrics are read; nowhere where nothing is said.
    pub health_listen: Option<SocketAddr>,
    /// How large a package may be, in bytes.
    pub max_package_bytes: u64,
    /// How long things may take.
    pub spans: Spans,
    /// How it logs.
    pub log: Log,
    /// What it may do.
    pub policy: Policy,
    /// The environments that it serves.
    pub environments: Vec<Environment>,
    /// Every secret that the configuration names.
    pub secrets: Vec<Secret>,
}

/// The service.
#[derive(Clone, Debug)]
pub struct Service {
    /// Its root.
    pub url: SecureUrl,
    /// Certificate authorities to trust besides the system's, as a PEM file.
    pub ca_file: Option<PathBuf>,
    /// How long an answer may take.
    pub answer_within: Duration,
    /// An application of Microsoft Entra to sign in as, instead of enrolling.
    pub identity: Option<Identity>,
}

/// An application of Microsoft Entra.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Where tokens are issued.
    pub token_url: SecureUrl,
    /// The application.
    pub client_id: String,
    /// How it proves who it is.
    pub proof: Proof,
    /// What the token is for.
    pub scope: String,
}

/// How long things may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spans {
    /// How often it is read what is installed.
    pub inventory_every: Duration,
    /// How often all of it is reported, and not only what changed.
    pub full_inventory_every: Duration,
    /// How long the inventory is read again when a target says that it is done and the version does not show.
    pub verify_within: Duration,
    /// How long the inventory is watched when nobody says how a deployment ended, and how long a target may be busy.
    pub watch_within: Duration,
    /// How old a token becomes before it is replaced.
    pub rotate_token_every: Duration,
    /// How long a planned stop waits for what is being carried out.
    pub stop_within: Duration,
}

/// How the agent logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// How much: `info`, or `info,agent=debug`.
    pub level: String,
    /// Whether each line is JSON, for machines.
    pub is_json: bool,
}

/// An environment that the agent serves.
#[derive(Clone, Debug)]
pub struct Environment {
    /// Which.
    pub name: EnvironmentName,
    /// The country of its localisation, where its target does not tell another.
    pub country: CountryCode,
    /// What it is for, where its target does not tell.
    pub kind: EnvironmentKind,
    /// Where it runs.
    pub location: Option<String>,
    /// When its operations may start, where its target does not tell.
    pub window: Option<ReportedWindow>,
    /// How its target is spoken to.
    pub driver: DriverSettings,
}

impl Environment {
    /// What tells it from all others.
    #[must_use]
    pub fn key(&self) -> EnvironmentKey {
        self.name.key()
    }
}

impl Config {
    /// Reads the file at `path`, and the policy that it names.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn load(path: &Path) -> Result<Self, Vec<Problem>> {
        let file = path.display().to_string();
        let text = fs::read_to_string(path)
            .map_err(|error| vec![Problem::new(&file, format!("cannot be read: {error}"))])?;
        let table: Table = text
            .parse()
            .map_err(|error| vec![Problem::new(&file, format!("is no TOML: {error}"))])?;
        Self::read(table, path.parent().unwrap_or(Path::new("")))
    }

    /// Reads a table; paths are relative to `folder`.
    fn read(table: Table, folder: &Path) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let secrets = secrets_in(&Value::Table(table.clone()));
        let mut root = Section::new(String::new(), table, &mut problems);
        let service = root.section("service", |section| service(section, folder));
        let agent = root.section("agent", |section| Agent::read(section, folder));
        let log = root.section("log", log);
        let environments = environments(&mut root);
        root.end();
        match (service, agent, log) {
            (Some(service), Some(agent), Some(log)) if problems.is_empty() => Ok(Self {
                service,
                folder: agent.folder,
                parallel: agent.parallel,
                health_listen: agent.health_listen,
                max_package_bytes: agent.max_package_bytes,
                spans: agent.spans,
                log,
                policy: agent.policy,
                environments,
                secrets,
            }),
            _ => Err(problems),
        }
    }
}

fn service(section: &mut Section<'_>, folder: &Path) -> Option<Service> {
    let url = section.required::<String>("url");
    let url = url.and_then(|text| secure_url(section, "url", &text));
    let answer_within = section.span("answer_within", "100s");
    let ca_file = section
        .optional::<PathBuf>("ca_file")
        .map(|path| folder.join(path));
    if let Some(path) = ca_file.as_ref().filter(|path| !path.is_file()) {
        section.refuse("ca_file", format!("is {}, which is no file", path.display()));
    }
    let identity = match section.has("identity") {
        true => Some(section.section("identity", |section| identity(section, folder))?),
        false => None,
    };
    Some(Service {
        url: url?,
        ca_file,
        answer_within,
        identity,
    })
}

fn identity(section: &mut Section<'_>, folder: &Path) -> Option<Identity> {
    let token_url = section.required::<String>("token_url");
    let token_url = token_url.and_then(|text| secure_url(section, "token_url", &text));
    let client_id = section.required("client_id");
    let client_secret = section.optional("client_secret");
    let assertion_file = section.optional::<PathBuf>("client_assertion_file");
    let proof = Proof::of(client_secret, assertion_file.map(|path| folder.join(path)))
        .map_err(|wrong| section.refuse_whole(wrong))
        .ok();
    let scope = section.required("scope");
    Some(Identity {
        token_url: token_url?,
        client_id: client_id?,
        proof: proof?,
        scope: scope?,
    })
}

fn secure_url(section: &mut Section<'_>, key: &'static str, text: &str) -> Option<SecureUrl> {
    match text.parse() {
        Ok(url) => Some(url),
        Err(client::InsecureUrl::Credentials) => {
            section.refuse(key, "holds credentials, which do not belong into a URL");
            None
        }
        Err(error) => {
            section.refuse(key, format!("is '{text}', which {error}"));
            None
        }
    }
}

/// Section `agent`.
struct Agent {
    folder: PathBuf,
    policy: Policy,
    parallel: usize,
    health_listen: Option<SocketAddr>,
    max_package_bytes: u64,
    spans: Spans,
}

impl Agent {
    fn read(section: &mut Section<'_>, folder: &Path) -> Option<Self> {
        let own = section
            .required::<PathBuf>("folder")
            .map(|path| folder.join(path));
        let policy = section.required::<PathBuf>("policy");
        let policy = policy.and_then(|path| section.adopt(Policy::load(&folder.join(path))));
        let parallel = section.optional("parallel").unwrap_or(4);
        if !(1..=1_000).contains(&parallel) {
            section.refuse("parallel", format!("is {parallel}, and must be 1 to 1000"));
        }
        let health_listen = section.optional("health_listen");
        let max_package_bytes = section.optional("max_package_bytes").unwrap_or(1 << 30);
        if max_package_bytes == 0 {
            section.refuse("max_package_bytes", "is 0, and must be at least 1");
        }
        let spans = Spans {
            inventory_every: section.span("inventory_every", "15m"),
            full_inventory_every: section.span("full_inventory_every", "24h"),
            verify_within: section.span("verify_within", "3m"),
            watch_within: section.span("watch_within", "1h"),
            rotate_token_every: section.span("rotate_token_every", "720h"),
            stop_within: section.span("stop_within", "10m"),
        };
        Some(Self {
            folder: own?,
            policy: policy?,
            parallel,
            health_listen,
            max_package_bytes,
            spans,
        })
    }
}

fn log(section: &mut Section<'_>) -> Option<Log> {
    let level = section.optional("level").unwrap_or_else(|| "info".to_owned());
    let format: String = section.optional("format").unwrap_or_else(|| "text".to_owned());
    if !["text", "json"].contains(&format.as_str()) {
        section.refuse("format", format!("is '{format}', and must be text or json"));
    }
    Some(Log {
        level,
        is_json: format == "json",
    })
}

fn environments(root: &mut Section<'_>) -> Vec<Environment> {
    let tables = root.tables("environment");
    if tables.is_empty() {
        root.refuse("environment", "is not there: name at least one [[environment]]");
    }
    if tables.len() > MOST_ENVIRONMENTS {
        let message = format!(
            "is there {} times, and an agent serves at most {MOST_ENVIRONMENTS}: divide them among several",
            tables.len()
        );
        root.refuse("environment", message);
    }
    let mut known = BTreeSet::new();
    let mut environments = Vec::new();
    for (number, table) in tables.into_iter().enumerate() {
        let at = format!("environment[{number}]");
        let Some(environment) = root.within(at.clone(), table, environment) else {
            continue;
        };
        if !known.insert(environment.key()) {
            root.refuse_at(&at, format!("is {}, as another one before it", environment.key()));
        }
        environments.push(environment);
    }
    environments
}

fn environment(section: &mut Section<'_>) -> Option<Environment> {
    let tenant = section.required("tenant");
    let family = section
        .optional("family")
        .unwrap_or_else(|| "BusinessCentral".to_owned());
    let name = section.required("name");
    let country = section.parsed::<CountryCode>("country");
    let kind = section.parsed::<EnvironmentKind>("type");
    let location = section.optional("location");
    let window = match section.has("window") {
        true => section.section("window", window),
        false => None,
    };
    let driver = driver(section);
    Some(Environment {
        name: EnvironmentName {
            aad_tenant_id: tenant?,
            application_family: family,
            name: name?,
        },
        country: country?,
        kind: kind?,
        location,
        window,
        driver: driver?,
    })
}

fn window(section: &mut Section<'_>) -> Option<ReportedWindow> {
    let start = section.required("start");
    let end = section.required("end");
    let time_zone = section.required("time_zone");
    let window = ReportedWindow {
        start: start?,
        end: end?,
        time_zone: time_zone?,
    };
    // Which time zones there are is the service's to say: whoever runs it may have added some.
    if let Err(error) = UpdateWindow::check_hours(&window.start, &window.end) {
        section.refuse_whole(format!("cannot be one: {error}"));
    }
    Some(window)
}

fn driver(section: &mut Section<'_>) -> Option<DriverSettings> {
    let name: String = section.required("driver")?;
    let Some(known) = DriverSettings::NAMES.iter().find(|known| **known == name) else {
        let known = DriverSettings::NAMES.join(", ");
        section.refuse("driver", format!("is '{name}', and must be one of: {known}"));
        return None;
    };
    let own = section.table(known);
    match DriverSettings::read(known, own) {
        Ok(settings) => Some(settings),
        Err(message) => {
            section.refuse(known, message);
            None
        }
    }
}

/// Every secret that is named anywhere, so that none of them is ever told.
fn secrets_in(value: &Value) -> Vec<Secret> {
    match value {
        Value::String(text) => text.parse().into_iter().collect(),
        Value::Array(entries) => entries.iter().flat_map(secrets_in).collect(),
        Value::Table(entries) => entries.values().flat_map(secrets_in).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Home(tempfile::TempDir);

    impl Home {
        fn new(policy: &str) -> Self {
            let home = tempfile::tempdir().unwrap();
            crate::owner_only::replace(&home.path().join("policy.toml"), policy.as_bytes()).unwrap();
            Self(home)
        }

        fn read(&self, text: &str) -> Result<Config, Vec<String>> {
            let path = self.0.path().join("agent.toml");
            fs::write(&path, text).unwrap();
            let told = |problems: Vec<Problem>| problems.iter().map(ToString::to_string).collect();
            Config::load(&path).map_err(told)
        }
    }

    const GOOD: &str = r#"
        [service]
        url = "https://fame.contoso.com"
        [agent]
        folder = "state"
        policy = "policy.toml"
        inventory_every = "5m"
        [[environment]]
        tenant = "aaaaaaaa-0000-1111-2222-bbbbbbbbbbbb"
        name = "Production"
        country = "US"
        type = "Production"
        window = { start = "20:00", end = "06:00", time_zone = "Romance Standard Time" }
        driver = "simulate"
        simulate = { fails = "env:FAME_NO_SUCH_SECRET" }
    "#;

    #[test]
    fn what_is_needed_is_enough() {
        let home = Home::new("allowed_apps = \"any\"");
        let config = home.read(GOOD).unwrap();
        assert_eq!(config.folder, home.0.path().join("state"));
        assert_eq!(config.spans.inventory_every, Duration::from_secs(300));
        assert_eq!(config.spans.full_inventory_every, Duration::from_secs(86_400));
        assert_eq!(config.max_package_bytes, 1_073_741_824);
        assert_eq!(config.environments[0].name.application_family, "BusinessCentral");
        assert_eq!(config.secrets, [Secret::Variable("FAME_NO_SUCH_SECRET".into())]);
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once() {
        let home = Home::new("allowed_apps = \"some\"\nmax_start_per_hour = 5");
        let problems = home
            .read(
                r#"
                [service]
                url = "http://fame.contoso.com"
                [service.identity]
                token_url = "https://login.microsoftonline.com/contoso.com/oauth2/v2.0/token"
                client_id = "x"
                scope = "x/.default"
                [agent]
                folder = "state"
                policy = "policy.toml"
                parallels = 3
                max_package_bytes = 0
                verify_within = "soon"
                [agnet]
                [[environment]]
                tenant = "x"
                name = "Production"
                country = "XX"
                type = "Test"
                driver = "simulat"
                [[environment]]
                tenant = "aaaaaaaa-0000-1111-2222-bbbbbbbbbbbb"
                name = "Sandbox"
                country = "US"
                type = "Sandbox"
                window = { start = "20:00", end = "20:00", time_zone = "UTC" }
                driver = "simulate"
                simulate = { fails_ = "x" }
                "#,
            )
            .unwrap_err();
        for expected in [
            "service.url is 'http://fame.contoso.com'",
            "service.identity needs client_secret or client_assertion_file",
            "agent.parallels is not a setting; did you mean parallel?",
            "agent.verify_within",
            "agent.max_package_bytes is 0",
            "agnet is not a setting; did you mean agent?",
            "environment[0].tenant",
            "environment[0].country",
            "environment[0].type",
            "environment[0].driver is 'simulat'",
            "environment[1].window",
            "environment[1].simulate",
            "allowed_apps",
            "max_start_per_hour is not a setting; did you mean max_starts_per_hour?",
        ] {
            assert!(
                problems.iter().any(|problem| problem.contains(expected)),
                "{expected}: {problems:#?}"
            );
        }
    }

    #[test]
    fn an_environment_is_served_once() {
        let home = Home::new("allowed_apps = \"any\"");
        let (_, environment) = GOOD.split_once("[[environment]]").unwrap();
        let again = environment.replace("Production\"\n        country", "PRODUCTION\"\n        country");
        let problems = home.read(&format!("{GOOD}\n[[environment]]{again}")).unwrap_err();
        assert!(problems[0].starts_with("environment[1] is "), "{problems:?}");
        assert_eq!(problems.len(), 1);
    }

    #[test]
    fn a_window_may_be_in_a_time_zone_that_only_the_service_knows() {
        let home = Home::new("allowed_apps = \"any\"");
        let config = home.read(&GOOD.replace("Romance Standard Time", "Contoso Standard Time"));
        let window = config.unwrap().environments[0].window.clone().unwrap();
        assert_eq!(window.time_zone, "Contoso Standard Time");
        for wrong in ["20:00\", end = \"01:59", "8 p.m.\", end = \"06:00"] {
            let problems = home
                .read(&GOOD.replace("20:00\", end = \"06:00", wrong))
                .unwrap_err();
            assert!(
                problems[0].starts_with("environment[0].window cannot be one"),
                "{problems:?}"
            );
        }
    }

    #[test]
    fn without_a_policy_nothing_starts() {
        let home = Home::new("");
        fs::remove_file(home.0.path().join("policy.toml")).unwrap();
        let problems = home.read(GOOD).unwrap_err();
        assert!(problems[0].contains("policy.toml"), "{problems:?}");
    }
}
