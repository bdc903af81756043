//! What replicas share: a database, package folders and a configuration.

use super::{Person, PostgresCluster, Process, simulator::Simulator};
use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};
use tempfile::TempDir;
use test_support::issuer::{self, API, API_URI, HOME_TENANT};

/// Where a site keeps its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Database {
    Sqlite,
    Postgres,
}

/// What every process of a site is started with.
pub(crate) struct Site {
    folder: Arc<TempDir>,
    root: PathBuf,
    database_url: String,
    settings: Vec<(&'static str, String)>,
    simulator: Option<Simulator>,
}

impl Site {
    /// An empty site on this database; PostgreSQL is the server that all tests share.
    pub(crate) fn on(database: Database) -> Self {
        match database {
            Database::Sqlite => Self::at("sqlite:{data_dir}/fame.db".into()),
            Database::Postgres => Self::in_cluster(PostgresCluster::shared()),
        }
    }

    /// An empty site on a new database of that server.
    pub(crate) fn in_cluster(cluster: &PostgresCluster) -> Self {
        Self::at(cluster.durable_database_url())
    }

    /// An empty site on the database of that url.
    fn at(database_url: String) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            root: folder.path().to_owned(),
            folder: Arc::new(folder),
            database_url,
            settings: vec![
                ("server.drain_seconds", "20".into()),
                ("database.connections", "8".into()),
                ("identity.allow_insecure_loopback", "true".into()),
                (
                    "operators.principals",
                    format!("[\"Application:{}\"]", Person::OPERATOR.id),
                ),
                ("executor.lease_seconds", "10".into()),
                ("executor.poll_seconds", "1".into()),
                ("packages.upload_idle_seconds", "5".into()),
                ("log.format", "\"json\"".into()),
            ],
            simulator: None,
        }
    }

    /// Sets a key of the configuration, in TOML.
    pub(crate) fn with(mut self, key: &'static str, value: impl ToString) -> Self {
        self.settings.retain(|(known, _)| *known != key);
        self.settings.push((key, value.to_string()));
        self
    }

    /// Has an agent in this process that pretends to carry out what is due.
    pub(crate) fn with_simulator(mut self) -> Self {
        self.simulator = Some(Simulator::default());
        self
    }

    /// Keeps everything under `root` from now on, which the caller removes.
    pub(crate) fn under(mut self, root: &Path) -> Self {
        self.root = root.to_owned();
        self
    }

    pub(crate) fn database_url(&self) -> &str {
        &self.database_url
    }

    /// The folder that holds the SQLite database of the first replica, or nothing of interest.
    pub(crate) fn data_dir(&self, replica: usize) -> PathBuf {
        self.root.join(format!("data-{replica}"))
    }

    /// The folder of the packages, shared by all replicas.
    pub(crate) fn packages(&self) -> PathBuf {
        self.root.join("packages")
    }

    /// Starts a process of this site and waits until it takes requests.
    pub(crate) async fn start(&self, replica: usize) -> Process {
        let process = Process::start(self.configured(replica), replica).await;
        if let Some(simulator) = &self.simulator {
            simulator.asks(&process).await;
        }
        process
    }

    /// Writes the configuration of one replica; where it is.
    pub(crate) fn configured(&self, replica: usize) -> PathBuf {
        let path = self.folder.path().join(format!("fame-{replica}.toml"));
        fs::write(&path, self.configuration(replica)).unwrap();
        path
    }

    fn configuration(&self, replica: usize) -> String {
        let mut text = String::new();
        let packages = self.packages();
        let data_dir = self.data_dir(replica);
        // Dotted keys stand before the first table.
        for (key, value) in &self.settings {
            writeln!(text, "{key} = {value}").unwrap();
        }
        writeln!(text, "server.listen = \"127.0.0.1:0\"").unwrap();
        writeln!(text, "server.data_dir = {:?}", data_dir.display().to_string()).unwrap();
        writeln!(text, "database.url = {:?}", self.database_url).unwrap();
        for (name, folder) in [("West Europe", "west-europe"), ("East US", "east-us")] {
            let directory = packages.join(folder).display().to_string();
            writeln!(
                text,
                "storage.locations.{name:?} = {{ directory = {directory:?} }}"
            )
            .unwrap();
        }
        text + &identity()
    }
}

/// The issuer as the configuration of a service names it.
fn identity() -> String {
    let authority = issuer::base_url();
    format!(
        "[[identity.issuers]]\n\
         kind = \"entra\"\n\
         tenants = [\"{HOME_TENANT}\"]\n\
         audiences = [\"{API}\", \"{API_URI}\"]\n\
         authority = \"{authority}\"\n\
         v1_issuer = \"{authority}/{{tenantid}}/\"\n"
    )
}
